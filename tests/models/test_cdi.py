"""Combined drought indicator, version 1: the whole truth table, what is proven when inputs are missing, and lags."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from geodata.schema import KEEPS_VALUE, ContractError, Status, has_status
from models.cdi import INPUTS, CdiStage, CdiThresholds, combined_drought_indicator

DRY = {"spi_1": -2.1, "spi_3": -1.1, "soil_moisture": -1.1, "vegetation": -1.1}
EDGE = {"spi_1": -2.0, "spi_3": -1.0, "soil_moisture": -1.0, "vegetation": -1.0}
MISSING = (Status.insufficient_data, Status.input_missing, Status.masked_dry_season)


def indices(rows, start="2001-01"):
    """Dataset of rows of four values or statuses, in the order of INPUTS."""
    time = pd.date_range(start, periods=len(rows), freq="MS")
    out = xr.Dataset(coords={"time": time})
    for i, name in enumerate(INPUTS):
        column = [row[i] for row in rows]
        told = [isinstance(v, Status) for v in column]
        out[name] = ("time", [np.nan if t else v for v, t in zip(column, told, strict=True)], {"units": "1"})
        out[f"{name}_status"] = ("time", np.array([v if t else 0 for v, t in zip(column, told, strict=True)], "int8"))
    return out


def stages(rows, **options):
    out = combined_drought_indicator(indices(rows), **options)
    return [CdiStage(int(s)) for s in out.cdi_stage], out.cdi_at_least.values.astype(bool).tolist(), out


def by_the_book(spi_1, spi_3, soil_moisture, vegetation):
    """Stage of four inputs that are dry or not, as the value table of the observatory lists them."""
    table = {
        (False, False): CdiStage.watch,
        (True, False): CdiStage.warning,
        (False, True): CdiStage.alert,
        (True, True): CdiStage.alert,
    }
    return table[soil_moisture, vegetation] if spi_1 or spi_3 else CdiStage.none


# ------------------------------------------------------------------ oracles


def test_the_whole_truth_table():
    """Sixteen combinations of dry and not dry; an edge is not below itself."""
    combinations = list(product([True, False], repeat=4))
    rows = [[(DRY if d else EDGE)[n] for n, d in zip(INPUTS, row, strict=True)] for row in combinations]
    found, at_least, out = stages(rows)
    assert found == [by_the_book(*row) for row in combinations]
    assert not any(at_least)
    assert (out.cdi_stage_status == Status.ok).all()


def test_what_is_published_is_exactly_what_is_proven():
    """Each input dry, not dry, or missing in one of three ways: 625 rows against all their completions."""
    levels = [True, False, *MISSING]
    combinations = list(product(levels, repeat=4))
    rows = [
        [v if isinstance(v, Status) else (DRY if v else EDGE)[n] for n, v in zip(INPUTS, row, strict=True)]
        for row in combinations
    ]
    found, at_least, out = stages(rows)
    for row, stage, lower, status in zip(combinations, found, at_least, out.cdi_stage_status.values, strict=True):
        choices = [[v] if isinstance(v, bool) else [True, False] for v in row]
        if row[0] is Status.masked_dry_season:
            choices[0] = [False]  # the driest SPI-1 of such a month is an ordinary one
        possible = {by_the_book(*c) for c in product(*choices)}
        if Status.masked_dry_season in (row[1], row[3]):
            assert (stage, status) == (CdiStage.unknown, Status.masked_dry_season), row
        elif len(possible) == 1:
            assert (stage, lower, status) == (possible.pop(), False, Status.ok), row
        elif min(possible) > CdiStage.none:
            assert (stage, lower, status) == (min(possible), True, Status.ok), row
        else:
            assert (stage, lower) == (CdiStage.unknown, False), row
            assert status in (row[0], row[1]), row


def test_a_drought_by_hand():
    """Rain fails, the soil follows, then the plants; the soil is wetted first; then it rains enough."""
    rows = [
        [0.3, 0.1, 0.2, 0.5],
        [-1.2, -1.3, -0.4, 0.2],
        [-1.5, -1.8, -1.4, -0.3],
        [-0.5, -1.6, -1.9, -1.2],
        [-2.4, -0.9, -0.6, -1.4],
        [0.8, -0.2, -1.3, -1.6],
    ]
    found, _, _ = stages(rows)
    assert [s.name for s in found] == ["none", "watch", "warning", "alert", "alert", "none"]


def test_the_text_of_the_observatory_asks_an_alert_for_dry_soil_too():
    rows = [[0, -1.5, 0, -1.5], [0, -1.5, -1.5, -1.5], [0, -1.5, Status.input_missing, -1.5]]
    found, at_least, out = stages(rows, thresholds=CdiThresholds(alert_needs_dry_soil=True))
    assert [s.name for s in found] == ["watch", "alert", "watch"]
    assert at_least == [False, False, True]
    assert "alert needs dry soil" in out.attrs["thresholds"]


# ------------------------------------------------------------------ a missing input is not a good one


def test_without_soil_and_vegetation_a_lack_of_rain_is_at_least_a_watch():
    """Sources that do not exist: watch at least when it is dry, none when it is not."""
    rain = indices([[-0.5, -1.4, 0, 0], [0.4, 0.2, 0, 0]])[["spi_1", "spi_1_status", "spi_3", "spi_3_status"]]
    out = combined_drought_indicator(rain)
    assert out.cdi_stage.values.tolist() == [CdiStage.watch, CdiStage.none]
    assert out.cdi_at_least.values.tolist() == [1, 0]


def test_without_rain_nothing_is_known():
    """Soil and plants at their worst say nothing about a stage that starts with the rain."""
    found, _, out = stages([[Status.input_missing, Status.input_missing, -3.0, -3.0]])
    assert found == [CdiStage.unknown]
    assert int(out.cdi_stage_status[0]) == Status.input_missing
    alone = indices([[0, 0, -3.0, -3.0]])[["soil_moisture", "vegetation"]]
    assert combined_drought_indicator(alone).cdi_stage.values.tolist() == [CdiStage.unknown]


def test_a_value_whose_status_keeps_none_is_not_read():
    data = indices([[0.0, -3.0, 0.0, 0.0]])
    data["spi_3_status"][0] = Status.insufficient_data
    assert int(combined_drought_indicator(data).cdi_stage[0]) == CdiStage.unknown


def test_a_stale_input_makes_a_stale_stage():
    data = indices([[0.0, -3.0, -1.5, 0.0]])
    data["soil_moisture_status"][0] = Status.stale
    out = combined_drought_indicator(data)
    assert (int(out.cdi_stage[0]), int(out.cdi_stage_status[0])) == (CdiStage.warning, Status.stale)


# ------------------------------------------------------------------ laws

value = st.one_of(st.floats(-3, 3), st.sampled_from(list(EDGE.values())), st.sampled_from(MISSING))
known = st.one_of(st.floats(-3, 3), st.sampled_from(list(EDGE.values())))


@settings(max_examples=40, deadline=None)
@given(st.tuples(known, known, known, known), st.integers(0, 3), st.floats(0, 3))
def test_drier_never_lowers_the_stage(row, which, less):
    drier = [v - less if i == which else v for i, v in enumerate(row)]
    (before, after), _, _ = stages([row, drier])
    assert after >= before


@settings(max_examples=40, deadline=None)
@given(st.tuples(value, value, value, value))
def test_the_stage_is_unknown_exactly_where_the_status_keeps_no_value(row):
    _, _, out = stages([row])
    assert ((out.cdi_stage != CdiStage.unknown) == has_status(out.cdi_stage_status, KEEPS_VALUE)).all()
    assert not ((out.cdi_at_least == 1) & (out.cdi_stage == CdiStage.unknown)).any()


@settings(max_examples=40, deadline=None)
@given(st.tuples(known, known, known, known), st.sets(st.integers(0, 3)))
def test_losing_an_input_never_claims_less(row, lost):
    """With inputs lost the stage is the same, or a lower bound that says so, or unknown."""
    less = [Status.insufficient_data if i in lost else v for i, v in enumerate(row)]
    (full, part), (_, lower), _ = stages([row, less])
    assert part == CdiStage.unknown or part == full or (lower and part < full)


@pytest.mark.parametrize("chunks", [{"time": -1, "pcode": -1}, {"time": 7, "pcode": 2}, {"time": 50, "pcode": 1}])
def test_chunks_and_order_of_dimensions_change_nothing(chunks):
    rng = np.random.default_rng(0)
    data = xr.Dataset(coords={"time": pd.date_range("2001-01", periods=60, freq="MS")})
    for name in INPUTS:
        values = rng.normal(-0.8, 1, (60, 5))
        values[rng.uniform(size=(60, 5)) < 0.1] = np.nan
        data[name] = (("time", "pcode"), values, {"units": "1"})
    own = combined_drought_indicator(data, lags={"vegetation": 1})
    assert len(np.unique(own.cdi_stage)) == 5
    for other in (data.chunk(chunks), data.transpose("pcode", "time").chunk(chunks)):
        found = combined_drought_indicator(other, lags={"vegetation": 1}).compute().transpose("time", "pcode")
        xr.testing.assert_identical(found, own)


# ------------------------------------------------------------------ options


def test_a_lag_lets_a_value_speak_later_and_is_told():
    """Vegetation of January decides in February; January itself has none and is a watch at least."""
    rows = [[0, -1.5, 0, -2.0], [0, -1.5, 0, 0.0], [0, -1.5, 0, 0.0]]
    found, at_least, out = stages(rows, lags={"vegetation": 1})
    assert [s.name for s in found] == ["watch", "alert", "watch"]
    assert at_least == [True, False, False]
    assert out.attrs["lags"] == "spi_1 0, spi_3 0, soil_moisture 0, vegetation 1"
    assert out.attrs["cdi_version"].startswith("1 ")


def test_thresholds_are_those_declared():
    rows = [[0, -0.9, -0.6, 0]]
    found, _, out = stages(rows, thresholds=CdiThresholds(spi_3=-0.8, soil_moisture=-0.5))
    assert found == [CdiStage.warning]
    assert out.attrs["thresholds"] == "spi_1 < -2, spi_3 < -0.8, soil_moisture < -0.5, vegetation < -1"


def test_flags_carry_the_words_of_the_indicator_and_none_of_the_alerts():
    _, _, out = stages([[0, 0, 0, 0]])
    words = out.cdi_stage.attrs["flag_meanings"].split()
    assert dict(zip(words, out.cdi_stage.attrs["flag_values"].tolist(), strict=True)) == {
        s.name: s.value for s in CdiStage
    }
    assert out.cdi_stage.dtype == np.int8


# ------------------------------------------------------------------ bad input


def test_a_threshold_that_a_masked_index_might_pass_is_refused():
    with pytest.raises(ValueError, match=r"spi_1: found -0.5, expected -1.0 or lower"):
        CdiThresholds(spi_1=-0.5)


@pytest.mark.parametrize("lags", [{"rain": 1}, {"spi_3": -1}])
def test_a_lag_into_the_future_or_of_something_else_is_refused(lags):
    with pytest.raises(ValueError, match="lags"):
        stages([[0, 0, 0, 0]], lags=lags)


def test_indices_that_hold_none_of_the_inputs_are_refused():
    with pytest.raises(ValueError, match="expected some of spi_1"):
        combined_drought_indicator(xr.Dataset({"spi_6": ("time", [0.0])}))


def test_a_percentile_is_no_standardised_index():
    data = indices([[0, 0, 0, 0]])
    data["vegetation"].attrs["units"] = "%"
    with pytest.raises(ContractError, match="expected '1'"):
        combined_drought_indicator(data)
