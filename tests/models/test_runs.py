"""Drought runs: vectors by hand, another project's runs, months that are not observable, and causality."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from geodata.schema import ContractError, Status
from models.runs import drought_runs, months_in_drought

NAN = np.nan
VECTOR = [0, -0.5, -1.2, -1.5, -0.9, -1.1, 0.2, NAN, -2, -1, -1.3, 0.5, -3]
PLAIN = {"onset": -1.0, "end": -1.0}

tenths = st.integers(-30, 15).map(lambda v: v / 10)
series = st.lists(st.one_of(tenths, st.just(NAN)), min_size=1, max_size=60)


def indexed(values, dims=("time",), start="2001-01", **coords):
    """An index and its status: masked_dry_season where it is NaN."""
    values = np.asarray(values, dtype=float)
    times = pd.date_range(start, periods=len(values), freq="MS")
    index = xr.DataArray(values, dims=dims, coords={"time": times, **coords}, name="spi_3")
    status = xr.where(index.isnull(), np.int8(Status.masked_dry_season), np.int8(Status.ok)).astype("int8")
    return index, status


def field(rows, names):
    """(time, pcode) of several series of one length."""
    return indexed(np.column_stack(rows), dims=("time", "pcode"), pcode=list(names))


# ------------------------------------------------------------------ oracles


def test_a_plain_threshold_on_a_vector():
    """Five runs below -1 of 2, 1, 1, 1, 1 months and magnitudes .7, .1, 1, .3, 2: -1 itself is not below -1."""
    runs = drought_runs(*indexed(VECTOR), **PLAIN)
    assert runs.duration_months.tolist() == [2, 1, 1, 1, 1]
    assert runs.severity.to_numpy() == pytest.approx([0.7, 0.1, 1.0, 0.3, 2.0], abs=1e-12)


def test_runs_a_month_apart_are_one():
    """With gaps of a month: two runs of 4 and 5 months, magnitudes .8 and 3.3."""
    runs = drought_runs(*indexed(VECTOR), **PLAIN, max_gap=1)
    assert runs.duration_months.tolist() == [4, 5]
    assert runs.severity.to_numpy() == pytest.approx([0.8, 3.3], abs=1e-12)
    assert [str(m)[:7] for m in runs.confirmed_month] == ["2001-03", "2001-09"]


def test_a_gap_above_zero_may_be_kept_apart():
    """Pooled only over months below 0: -.9 and -1 are bridged, .5 is not."""
    runs = drought_runs(*indexed(VECTOR), **PLAIN, max_gap=1, gap_below=0.0)
    assert runs.duration_months.tolist() == [4, 3, 1]


@settings(max_examples=100)
@given(st.lists(tenths, min_size=1, max_size=80), st.integers(0, 4), st.sampled_from([-1.0, -1.5, -0.5]))
def test_climate_indices_finds_the_same_runs(values, max_gap, threshold):
    """Without missing months, every number of every run of climate_indices' identify_runs."""
    from climate_indices.runs import identify_runs

    theirs = identify_runs(np.array(values), threshold, "below", max_gap=max_gap)
    own = drought_runs(*indexed(values), onset=threshold, end=threshold, max_gap=max_gap)
    months = pd.date_range("2001-01", periods=len(values), freq="MS")
    assert own.onset_month.tolist() == months[theirs.start_index].tolist()
    assert own.end_month.tolist() == months[theirs.end_index].tolist()
    assert own.duration_months.tolist() == theirs.duration.tolist()
    assert own.severity.to_numpy() == pytest.approx(theirs.magnitude, abs=1e-12)
    assert own.intensity.to_numpy() == pytest.approx(theirs.intensity, abs=1e-12)
    assert own.peak.tolist() == theirs.peak_value.tolist()
    assert own.peak_month.tolist() == months[theirs.peak_index].tolist()
    assert own.interarrival_months.astype("float64").to_numpy() == pytest.approx(theirs.interarrival, nan_ok=True)


def test_a_drought_begins_below_0_and_ends_at_0():
    """The definition of McKee: -.5 belongs to the spell that reaches -1; the spell of -.9 never does."""
    index, status = indexed([0.3, -0.5, -1.2, -0.4, 0.0, -0.9, 0.1, -1.0, -0.1])
    runs = drought_runs(index, status)
    assert [str(m)[:7] for m in runs.onset_month] == ["2001-02", "2001-08"]
    assert [str(m)[:7] for m in runs.confirmed_month] == ["2001-03", "2001-08"]
    assert [str(m)[:7] for m in runs.end_month] == ["2001-04", "2001-09"]
    assert runs.duration_months.tolist() == [3, 2]
    assert runs.severity.to_numpy() == pytest.approx([2.1, 1.1])
    assert runs.intensity.to_numpy() == pytest.approx([0.7, 0.55])
    assert runs.peak.tolist() == [-1.2, -1.0]
    assert runs.months_since_onset.tolist() == [7, 1]
    assert runs.interarrival_months.tolist() == [6, pd.NA]
    assert runs.censored_start.tolist() == [False, False]
    assert runs.censored_end.tolist() == [False, True]


def test_two_thresholds_start_at_the_onset_and_end_later():
    """Starts at -1, ends at -.5: the months before it reached -1 do not count, those after do."""
    index, status = indexed([-0.9, -1.1, -0.6, -0.4, -0.7, -1.3, -0.5])
    runs = drought_runs(index, status, onset=-1.0, end=-0.5, starts="onset")
    assert [str(m)[:7] for m in runs.onset_month] == ["2001-02", "2001-06"]
    assert runs.duration_months.tolist() == [2, 1]
    assert runs.severity.to_numpy() == pytest.approx([0.7, 0.8])


# ------------------------------------------------------------------ months that are not observable


def test_masked_months_neither_end_a_run_nor_count_in_it():
    """Two masked months inside: the run spans them, its sums do not hold them."""
    runs = drought_runs(*indexed([0.1, -0.6, NAN, NAN, -1.4, 0.2]))
    assert len(runs) == 1
    run = runs.iloc[0]
    assert (run.duration_months, run.observed_months, run.masked_months) == (4, 2, 2)
    assert run.severity == pytest.approx(2.0)
    assert run.intensity == pytest.approx(1.0)
    assert (run.masked_before, run.masked_after) == (0, 0)


def test_masked_months_at_an_edge_are_told_of():
    """Nobody saw it begin, nobody saw it end: it is as long as what was seen, and says what was not."""
    runs = drought_runs(*indexed([0.1, NAN, -1.4, NAN, NAN, 0.2]))
    run = runs.iloc[0]
    assert (run.duration_months, run.masked_months) == (1, 0)
    assert (run.masked_before, run.masked_after) == (1, 2)
    assert (run.censored_start, run.censored_end) == (False, False)


@pytest.mark.parametrize(
    ("values", "start", "end", "before", "after"),
    [
        ([-1.2, 0.1], True, False, 0, 0),
        ([0.1, -1.2], False, True, 0, 0),
        ([NAN, NAN, -1.2, 0.1], True, False, 2, 0),
        ([0.1, -1.2, NAN], False, True, 0, 1),
        ([NAN, -1.2, NAN, NAN], True, True, 1, 2),
    ],
)
def test_a_run_at_an_end_of_what_is_known_is_censored(values, start, end, before, after):
    run = drought_runs(*indexed(values)).iloc[0]
    assert (run.censored_start, run.censored_end) == (start, end)
    assert (run.masked_before, run.masked_after) == (before, after)


def test_a_masked_month_in_a_gap_takes_its_time():
    """Gaps are months of the calendar: one above 0 and one masked are two."""
    values = [-1.2, 0.1, NAN, -1.2]
    assert len(drought_runs(*indexed(values), max_gap=1)) == 2
    pooled = drought_runs(*indexed(values), max_gap=2).iloc[0]
    assert (pooled.duration_months, pooled.observed_months, pooled.masked_months) == (4, 3, 1)


def test_a_value_that_its_status_does_not_keep_is_not_observed():
    """Stale and out of support keep theirs; a number under a status that keeps none is no drought."""
    index, status = indexed([-1.2, -1.2, -1.2, 0.4])
    status[:] = [Status.out_of_support, Status.stale, Status.no_skill, Status.ok]
    run = drought_runs(index, status).iloc[0]
    assert (run.observed_months, run.masked_after) == (2, 1)
    followed = months_in_drought(index, status)
    assert followed.run_months.values == pytest.approx([1, 2, NAN, 0], nan_ok=True)
    assert followed.run_months_status.values.tolist() == status.values.tolist()


def test_a_kept_status_without_a_number_is_not_passed_on():
    index, status = indexed([-1.2, NAN])
    status[:] = Status.ok
    assert months_in_drought(index, status).run_months_status.values.tolist() == [Status.ok, Status.insufficient_data]


# ------------------------------------------------------------------ months under way


def test_a_spell_counts_from_its_first_month_once_it_is_a_drought():
    """In its second month nobody knew; in its third it is three months old."""
    followed = months_in_drought(*indexed([0.3, -0.5, -0.2, -1.1, NAN, -0.4, 0.0, -1.0]))
    assert followed.run_months.values == pytest.approx([0, 0, 0, 3, NAN, 4, 0, 1], nan_ok=True)
    assert followed.run_masked_months.values == pytest.approx([0, 0, 0, 0, NAN, 1, 0, 0], nan_ok=True)
    assert followed.run_severity.values == pytest.approx([0, 0, 0, 1.8, NAN, 2.2, 0, 1], nan_ok=True)
    assert followed.run_peak.values == pytest.approx([0, 0, 0, -1.1, NAN, -1.1, 0, -1], nan_ok=True)
    assert followed.months_since_onset.values == pytest.approx([0, 0, 0, 2, NAN, 4, 0, 0], nan_ok=True)
    flags = followed.run_peak_status.values.tolist()
    assert flags == [Status.ok] * 4 + [Status.masked_dry_season] + [Status.ok] * 3


@settings(max_examples=60)
@given(series, series, st.sampled_from([{}, PLAIN, {"onset": -1.0, "end": -0.5, "starts": "onset"}]))
def test_later_months_change_nothing(before, after, thresholds):
    whole = months_in_drought(*indexed(before + after), **thresholds)
    first = months_in_drought(*indexed(before), **thresholds)
    xr.testing.assert_identical(whole.isel(time=slice(len(before))), first)


@settings(max_examples=60)
@given(series, st.sampled_from([{}, PLAIN, {"onset": -1.0, "end": -0.5, "starts": "onset"}]))
def test_each_month_tells_of_the_last_run_of_the_record_until_then(values, thresholds):
    """The two forms agree: what is under way in a month is the open run of the record cut there."""
    followed = months_in_drought(*indexed(values), **thresholds)
    for month in np.flatnonzero(np.isfinite(values)):
        runs = drought_runs(*indexed(values[: month + 1]), **thresholds)
        now = followed.isel(time=month)
        if len(runs) and runs.censored_end.iloc[-1]:
            run = runs.iloc[-1]
            assert float(now.run_months) == run.observed_months
            assert float(now.run_masked_months) == run.masked_months
            assert float(now.run_severity) == pytest.approx(run.severity)
            assert float(now.run_peak) == run.peak
            assert float(now.months_since_onset) == run.months_since_onset
        else:
            assert [float(now[n]) for n in ("run_months", "run_severity", "run_peak", "months_since_onset")] == [
                0.0
            ] * 4


# ------------------------------------------------------------------ laws


@settings(max_examples=60)
@given(series, st.integers(0, 3))
def test_the_numbers_of_a_run_fit_together(values, max_gap):
    runs = drought_runs(*indexed(values), max_gap=max_gap)
    np.testing.assert_allclose(runs.severity, runs.intensity * runs.observed_months, rtol=1e-12)
    assert (runs.duration_months == runs.observed_months + runs.masked_months).all()
    assert (runs.peak <= -1).all()
    assert (runs.severity >= -runs.peak - 1e-12).all()
    assert (runs.severity <= -runs.peak * runs.observed_months + 1e-12).all()
    assert (runs.onset_month <= runs.confirmed_month).all()
    assert (runs.confirmed_month <= runs.end_month).all()
    assert ((runs.peak_month >= runs.onset_month) & (runs.peak_month <= runs.end_month)).all()
    gap = runs.interarrival_months.iloc[:-1].to_numpy(dtype=float) - runs.duration_months.iloc[:-1]
    assert (gap > max_gap).all()  # what is nearer was pooled


@settings(max_examples=40)
@given(st.lists(st.lists(st.one_of(tenths, st.just(NAN)), min_size=15, max_size=15), min_size=1, max_size=4), st.data())
def test_the_order_of_units_changes_nothing(rows, data):
    order = data.draw(st.permutations(range(len(rows))))
    names = [f"P{i}" for i in range(len(rows))]
    index, status = field(rows, names)
    moved = [v.isel(pcode=list(order)) for v in (index, status)]
    runs, other = drought_runs(index, status, max_gap=1), drought_runs(*moved, max_gap=1)
    expected = [runs[runs.pcode == names[i]] for i in order]
    pd.testing.assert_frame_equal(other, pd.concat(expected, ignore_index=True))
    followed = months_in_drought(index, status)
    xr.testing.assert_identical(months_in_drought(*moved), followed.isel(pcode=list(order)))


@settings(max_examples=40)
@given(st.lists(tenths, min_size=3, max_size=60), st.data())
def test_masking_a_dry_month_adds_no_drought(values, data):
    """The spell stays one, and can only be less severe, or no longer be known to have reached -1."""
    month = data.draw(st.integers(0, len(values) - 1))
    masked = list(values)
    masked[month] = NAN if values[month] < 0 else values[month]
    before, after = (drought_runs(*indexed(v)) for v in (values, masked))
    assert len(after) <= len(before)
    assert after.severity.sum() <= before.severity.sum() + 1e-9


def test_units_do_not_run_into_each_other():
    """One ends its record in drought, the next begins with one: two runs."""
    index, status = field([[0.1, 0.2, -1.5], [-1.6, 0.1, 0.3]], ["A", "B"])
    runs = drought_runs(index, status, max_gap=2)
    assert runs.pcode.tolist() == ["A", "B"]
    assert runs.duration_months.tolist() == [1, 1]
    assert runs.interarrival_months.isna().all()
    assert runs.censored_end.tolist() == [True, False]
    assert runs.censored_start.tolist() == [False, True]


def test_no_drought_is_an_empty_table_with_its_columns():
    runs = drought_runs(*indexed([0.5, NAN, 0.7]))
    assert len(runs) == 0
    assert "severity" in runs.columns
    assert len(drought_runs(*indexed([NAN, NAN]))) == 0


@pytest.mark.parametrize("chunks", [{"time": -1, "lat": 1, "lon": 2}, {"time": 7, "lat": 2, "lon": 1}])
def test_chunks_and_order_of_dimensions_change_nothing(chunks):
    rng = np.random.default_rng(2)
    values = np.where(rng.random((60, 2, 3)) < 0.1, NAN, rng.normal(-0.5, 1, (60, 2, 3)))
    index, status = indexed(values, dims=("time", "lat", "lon"), lat=[34.0, 33.0], lon=[43.0, 44.0, 45.0])
    own = months_in_drought(index, status)
    lazy = months_in_drought(index.chunk(chunks), status.chunk(chunks))
    assert lazy.run_months.chunks is not None
    xr.testing.assert_identical(lazy.compute(), own)
    turned = months_in_drought(index.transpose("lon", "time", "lat"), status)
    assert turned.run_months.dims == ("lon", "time", "lat")
    xr.testing.assert_identical(turned.transpose("time", "lat", "lon"), own)
    runs = drought_runs(index, status)
    pd.testing.assert_frame_equal(drought_runs(index.chunk(chunks), status), runs)
    place = runs[(runs["lat"] == 33.0) & (runs["lon"] == 45.0)].drop(columns=["lat", "lon"]).reset_index(drop=True)
    alone = drought_runs(*(v.sel(lat=33.0, lon=45.0, drop=True) for v in (index, status)))
    pd.testing.assert_frame_equal(place, alone)


def test_single_precision_in_single_precision_out():
    index, status = indexed([-0.5, -1.2, 0.1])
    assert months_in_drought(index.astype("float32"), status).run_severity.dtype == np.float32


# ------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    "thresholds",
    [
        {"onset": -1.0, "end": -1.5},
        {"onset": 0.0},
        {"onset": -1.0, "end": 0.5},
        {"onset": NAN},
        {"max_gap": -1},
        {"max_gap": 1, "gap_below": 0.0},
    ],
)
def test_thresholds_that_no_run_could_have_are_refused(thresholds):
    with pytest.raises(ContractError, match="runs: found"):
        drought_runs(*indexed([-1.0, 0.1]), **thresholds)


def test_thresholds_are_checked_in_both_forms():
    with pytest.raises(ContractError, match="runs: found onset -1"):
        months_in_drought(*indexed([-1.0, 0.1]), onset=-1.0, end=-1.5)


def test_an_axis_with_a_month_left_out_is_refused():
    index, status = (v.isel(time=[0, 2]) for v in indexed([-1.2, -1.2, -1.2]))
    for form in (drought_runs, months_in_drought):
        with pytest.raises(ContractError, match="consecutive months"):
            form(index, status)


def test_a_status_of_other_units_is_refused():
    index, status = field([[-1.2], [-1.2]], ["A", "B"])
    with pytest.raises(ContractError, match="different labels"):
        drought_runs(index, status.assign_coords(pcode=["A", "C"]))
