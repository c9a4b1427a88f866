"""Heavy rain: other projects' code and hand-made gaps, laws, whole months and years, ranks and laziness."""

from dataclasses import replace

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from geodata.schema import ContractError, Status, check_cube
from models.heavy_rain import (
    Antecedent,
    RainRules,
    annual_maxima,
    antecedent_precipitation,
    daily_rain_indices,
    heavy_rain_percentile,
    rx1day_monthly,
    wet_day_percentile,
    yearly_rain_indices,
)

CALIBRATION = (2001, 2012)
RULES = RainRules(min_years=10)
INDICES = ("rx1day", "rx5day", "wet_day_total_mm", "r95p_total_mm", "cdd", "cwd", "api", "days_seen")


def daily(first="2000-10-01", last="2012-09-30", cells=1, seed=0):
    days = pd.date_range(first, last, freq="D")
    values = np.random.default_rng(seed).gamma(0.3, 10, (len(days), cells))
    return xr.DataArray(values, dims=("time", "cell"), coords={"time": days}, attrs={"units": "mm/day"}, name="rain")


def days(values, first="2001-01-01"):
    """One cell whose days are given."""
    values = np.asarray(values, dtype=float)
    time = pd.date_range(first, periods=len(values))
    return xr.DataArray(values, dims="time", coords={"time": time}, attrs={"units": "mm/day"}, name="rain")


def wet_month(first="2001-01-01"):
    """January and February 2001, 5 mm on every day."""
    return days(np.full(59, 5.0), first)


def maxima(values, start="2000-10"):
    """Months that are 0 but for March, which holds each year's highest day."""
    months = np.zeros(12 * len(values))
    months[5::12] = values
    times = pd.date_range(start, periods=len(months), freq="MS")
    return xr.DataArray(months, dims="time", coords={"time": times}, attrs={"units": "mm/day"})


def test_the_highest_day_of_each_month_is_that_of_pandas():
    rain = daily(cells=2)
    expected = rain.to_series().groupby([pd.Grouper(level="time", freq="MS"), "cell"]).max()
    assert rx1day_monthly(rain).values.ravel() == pytest.approx(expected.to_numpy())


@pytest.mark.parametrize(("missing", "known"), [(1, True), (2, False)])
def test_a_month_with_two_unseen_days_is_unknown(missing, known):
    """29 of 30 days are 97 %, 28 are 93 %."""
    rain = daily()
    rain.loc["2001-04-01" : f"2001-04-{missing:02d}"] = np.nan
    assert bool(rx1day_monthly(rain).sel(time="2001-04-01").notnull().item()) == known


def test_a_month_that_is_absent_from_the_axis_is_unknown():
    rain = daily()
    rain = rain.sel(time=~((rain.time.dt.year == 2003) & (rain.time.dt.month == 5)))
    out = rx1day_monthly(rain)
    assert out.sizes["time"] == 144
    assert np.flatnonzero(out.isnull().values).tolist() == [31]


def test_daily_rasters_are_read_lazily():
    """Building the graph computes nothing; chunks that cut months give the same answer."""
    rain = daily(cells=6)
    lazy = rx1day_monthly(rain.chunk(time=100, cell=4))
    assert isinstance(lazy.data, da.Array)
    assert np.array_equal(lazy.compute(), rx1day_monthly(rain))


def test_years_run_from_october_and_must_be_whole():
    """March of 2001..2003, and a fourth year of which only October was seen."""
    months = maxima([30.0, 50.0, 40.0])
    months = xr.concat([months, months[:1].assign_coords(time=[np.datetime64("2003-10-01")])], dim="time")
    out = annual_maxima(months)
    assert out.year.values.tolist() == [2001, 2002, 2003, 2004]
    assert np.array_equal(out.values, [30, 50, 40, np.nan], equal_nan=True)


def test_a_record_day_ranks_highest_among_the_years_and_a_dry_month_lowest():
    """Years 10..120 mm: the last March is 12th of 12; a rainless June is below the other 11."""
    out = heavy_rain_percentile(maxima(np.arange(10, 130, 10)), (2001, 2012))
    assert out.heavy_rain_percentile.sel(time="2012-03-01").item() == pytest.approx(11.56 / 12.12)
    assert out.heavy_rain_percentile.sel(time="2012-06-01").item() == pytest.approx(0.56 / 12.12)


def test_a_window_holds_the_highest_day_of_its_months():
    out = heavy_rain_percentile(maxima(np.arange(10, 130, 10)), (2001, 2012), window_months=3)
    assert out.rx1day.sel(time=slice("2012-02", "2012-06")).values.tolist() == [0, 120, 120, 120, 0]


@pytest.mark.parametrize(("years", "status"), [(9, Status.insufficient_data), (10, Status.ok)])
def test_fewer_than_ten_years_are_no_record(years, status):
    out = heavy_rain_percentile(maxima(np.arange(1.0, years + 1)), (2001, 2030))
    assert set(out.heavy_rain_percentile_status.values.tolist()) == {int(status)}


def test_only_calibration_years_are_compared_with():
    """Calibrated on 2001-2010, a day of 65 mm in 2012 beats the years 10..60 of the ten."""
    months = maxima([*range(10, 110, 10), 500, 65])
    out = heavy_rain_percentile(months, (2001, 2010))
    assert out.heavy_rain_percentile.sel(time="2012-03-01").item() == pytest.approx((7 - 0.44) / 11.12)


def test_units_are_checked():
    with pytest.raises(ContractError, match="mm/day"):
        rx1day_monthly(daily().assign_attrs(units="mm/month"))


# ------------------------------------------------------------------ oracles


def test_xclim_gives_the_same_highest_days_of_each_month():
    """Rx1day and Rx5day of a field without gaps, to 1e-9; the first month has no four days before it."""
    from xclim import indices as xclim_indices

    rain = daily(cells=3)
    own = daily_rain_indices(rain, CALIBRATION, RULES)
    one = xclim_indices.max_1day_precipitation_amount(rain, freq="MS").transpose("time", "cell")
    five = xclim_indices.max_n_day_precipitation_amount(rain, window=5, freq="MS").transpose("time", "cell")
    assert np.abs(own.rx1day.values - one.values).max() < 1e-9
    assert np.abs(own.rx5day.values - five.values)[1:].max() < 1e-9
    assert (own.rx5day_status[0] == Status.insufficient_data).all()


def test_xclim_gives_the_same_indices_of_each_hydrological_year():
    """Rx1day, longest dry and wet spell, wet-day total, each October to September."""
    from xclim import indices as xclim_indices

    rain = daily(cells=3)
    own = yearly_rain_indices(rain, CALIBRATION, RULES)
    assert own.year.values.tolist() == list(range(2001, 2013))
    theirs = {
        "rx1day": xclim_indices.max_1day_precipitation_amount(rain, freq="YS-OCT"),
        "cdd": xclim_indices.maximum_consecutive_dry_days(rain, freq="YS-OCT"),
        "cwd": xclim_indices.maximum_consecutive_wet_days(rain, freq="YS-OCT"),
        "wet_day_total_mm": xclim_indices.prcptot(rain, thresh="1 mm/day", freq="YS-OCT"),
    }
    for name, values in theirs.items():
        assert np.abs(own[name].values - values.transpose("time", "cell").values).max() < 1e-9, name


def test_xclim_gives_the_same_share_of_heavy_days():
    """R95pTOT with numpy's median-unbiased percentile of the wet days."""
    from xclim import indices as xclim_indices

    rain = daily(cells=3)
    wet = rain.where(rain >= 1).values
    percentile = xr.DataArray(
        np.nanquantile(wet, 0.95, axis=0, method="median_unbiased"), dims="cell", attrs={"units": "mm/day"}
    )
    assert np.abs(wet_day_percentile(rain, CALIBRATION, RULES) - percentile).max() < 1e-12
    theirs = xclim_indices.fraction_over_precip_thresh(rain, percentile, freq="YS-OCT").transpose("time", "cell")
    own = yearly_rain_indices(rain, CALIBRATION, RULES)
    assert np.abs(own.r95p_share.values - theirs.values).max() < 1e-9


def test_pandas_gives_the_same_running_spells():
    """The longest length that a spell has reached on a day of the month, counted from its own first day."""
    rain = daily()
    dry = pd.Series(rain.values[:, 0] < 1, index=rain.time.to_index())
    for name, inside in (("cdd", dry), ("cwd", ~dry)):
        running = inside.groupby((~inside).cumsum()).cumsum()
        expected = running.resample("MS").max().to_numpy()
        found = daily_rain_indices(rain, CALIBRATION, RULES)[name].values[:, 0]
        assert np.array_equal(found[1:], expected[1:]), name


def test_climate_indices_gives_the_same_antecedent_index():
    from climate_indices import flood

    rain = daily()
    own = antecedent_precipitation(rain, Antecedent(k=0.9))
    theirs = flood.antecedent_precipitation_index(rain.values[:, 0], 0.9)
    assert own.api_status.values[:, 0].tolist() == [int(Status.insufficient_data)] * 90 + [0] * (len(rain) - 90)
    assert np.abs(own.api.values[90:, 0] - theirs[90:]).max() < 1e-9


def test_constant_rain_fills_the_antecedent_index_to_its_limit():
    """P = 1, k = 0.935: 1 / (1 - k) = 15.385; a sum of seven days would give 5.774."""
    out = antecedent_precipitation(days(np.ones(400)), Antecedent(k=0.935))
    assert out.api.values[-1] == pytest.approx(1 / 0.065, abs=1e-6)
    assert round(float(out.api[-1]), 3) == 15.385


def test_in_summer_the_antecedent_index_forgets_sooner():
    """31 May to 1 June: 0.92 of it is left after a day of May, 0.85 after one of June."""
    out = antecedent_precipitation(days([100, 0, 0], "2001-05-30"), Antecedent(summer_k=0.85, spin_up_days=0))
    assert out.api.values.tolist() == pytest.approx([100, 92, 78.2])


def test_the_month_holds_the_antecedent_index_of_its_last_day():
    rain = daily(cells=2)
    by_day = antecedent_precipitation(rain).api
    by_month = daily_rain_indices(rain, CALIBRATION, RULES).api
    last = by_day.resample(time="MS").last(skipna=False)
    assert np.allclose(by_month, last.transpose(*by_month.dims), rtol=2.0**-24, atol=0, equal_nan=True)
    assert by_month.isnull().values[:, 0].tolist() == [True] * 2 + [False] * 142


# ------------------------------------------------------------------ edges of months and years


def test_five_days_belong_to_the_month_in_which_they_end():
    """10 mm a day from 29 January to 2 February: 30 mm by the end of January, 50 mm in February."""
    rain = days(np.zeros(90), "2000-12-01")
    rain.loc["2001-01-29":"2001-02-02"] = 10
    assert daily_rain_indices(rain, CALIBRATION, RULES).rx5day.values[1:].tolist() == [30, 50]


def test_no_window_and_no_spell_reaches_into_a_year_from_the_year_before():
    """10 mm a day from 29 September to 2 October: 20 mm, two wet days a year; in October 40 mm."""
    rain = days(np.zeros(730), "2000-10-01")
    rain.loc["2001-09-29":"2001-10-02"] = 10
    by_year = yearly_rain_indices(rain, CALIBRATION, RULES)
    assert by_year.rx5day.values.tolist() == [20, 20]
    assert by_year.cwd.values.tolist() == [2, 2]
    assert by_year.cdd.values.tolist() == [363, 363]
    october = daily_rain_indices(rain, CALIBRATION, RULES).sel(time="2001-10-01")
    assert (october.rx5day.item(), october.cwd.item()) == (40, 4)


def test_a_dry_spell_goes_on_from_month_to_month():
    """Rain on 10 January alone: 21 days by the end of January, 49 by the end of February."""
    rain = days(np.zeros(59))
    rain[9] = 5
    out = daily_rain_indices(rain, CALIBRATION, RULES)
    assert np.array_equal(out.cdd, [np.nan, 49], equal_nan=True)
    longer = daily_rain_indices(days(np.r_[[5.0], np.zeros(30), [5.0], np.zeros(27)]), CALIBRATION, RULES)
    assert longer.cdd.values.tolist() == [30, 30 - 3]


def test_a_millimetre_makes_a_wet_day_and_the_percentile_itself_no_heavy_one():
    """1.0 mm is wet, 20.0 mm is not above 20."""
    rain = days(np.zeros(59))
    rain[40:44] = [1.0, 0.99, 20.0, 20.1]
    held = xr.DataArray(20.0, attrs={"units": "mm/day"})
    out = daily_rain_indices(rain, CALIBRATION, RULES, wet_day_p95=held).isel(time=1)
    assert out.wet_day_total_mm == pytest.approx(41.1)
    assert out.r95p_total_mm == pytest.approx(20.1)
    assert out.cwd == 2


def test_a_spell_under_way_when_the_record_begins_has_no_length():
    """Dry from the first day: nobody knows since when, until the first rain."""
    rain = days(np.zeros(120))
    rain[70] = 5
    out = daily_rain_indices(rain, CALIBRATION, RULES)
    assert out.cdd_status.values.tolist() == [Status.insufficient_data] * 3 + [Status.ok]
    assert out.cdd.values[3] == 120 - 71


# ------------------------------------------------------------------ gaps


def test_an_unseen_day_ends_a_spell_and_hides_its_length():
    """Three dry days, one unseen, three dry: 3 or 7, so nothing is said."""
    rain = wet_month()
    rain[10:17] = 0
    rain[13] = np.nan
    out = daily_rain_indices(rain, CALIBRATION, RULES).isel(time=0)
    assert np.isnan(out.cdd)
    assert out.cdd_status == Status.insufficient_data


def test_an_unseen_day_beside_a_shorter_spell_hides_nothing():
    """The same, and ten dry days elsewhere: 10, whatever the unseen day was."""
    rain = wet_month()
    rain[10:17] = 0
    rain[13] = np.nan
    rain[18:28] = 0
    out = daily_rain_indices(rain, CALIBRATION, RULES).isel(time=0)
    assert out.cdd == 10
    assert out.cdd_status == Status.ok


@pytest.mark.parametrize(("missing", "known"), [(1, True), (2, False)])
def test_a_month_needs_95_percent_of_its_days(missing, known):
    """One of 28 days of February is 4 %, two are 7 %; the same of the 32 that its five-day windows see."""
    rain = wet_month()
    rain[40] = 30
    rain[41 : 41 + missing] = np.nan
    out = daily_rain_indices(rain, CALIBRATION, RULES).isel(time=1)
    assert out.days_seen == 28 - missing
    for name, value in (("rx1day", 30), ("rx5day", 50), ("wet_day_total_mm", 30 + 26 * 5)):
        assert (float(out[name]) == value) == known, name
        assert (out[f"{name}_status"] == Status.ok) == known, name


def test_an_unseen_day_adds_nothing_to_its_window():
    """30 mm with an unseen day on either side is 40 mm of the three days seen, and no month without a value."""
    rain = wet_month()
    rain[15] = 30
    rain[[14, 16]] = np.nan
    rules = replace(RULES, min_days=0.9)
    assert daily_rain_indices(rain, CALIBRATION, rules).rx5day[1] == 25
    rain = days(np.full(90, 5.0))
    rain[45] = 30
    rain[[44, 46]] = np.nan
    assert daily_rain_indices(rain, CALIBRATION, rules).rx5day[1] == 45


@pytest.mark.parametrize(("missing", "known"), [(18, True), (19, False)])
def test_a_year_needs_95_percent_of_its_days(missing, known):
    """347 of 365 days are 95.07 %, 346 are 94.8 %."""
    rain = daily(last="2001-09-30")
    rain[100 : 100 + missing] = np.nan
    out = yearly_rain_indices(rain, CALIBRATION, RULES)
    assert bool(out.rx1day.notnull().item()) == known


@pytest.mark.parametrize(("missing", "known"), [(0, True), (1, False), (2, False)])
def test_the_highest_day_alone_may_ask_for_every_day_of_its_month(missing, known):
    """January without one day or two: all else stays as it was, and Rx1day is known of the whole month alone."""
    rain = days(np.ones(31))
    rain[10 : 10 + missing] = np.nan
    usual = daily_rain_indices(rain, CALIBRATION, RULES)
    strict = daily_rain_indices(rain, CALIBRATION, replace(RULES, min_days_of_highest=1.0))
    assert bool(strict.rx1day.notnull().item()) == known
    assert strict.rx1day_status.item() == (Status.ok if known else Status.insufficient_data)
    of_highest = ["rx1day", "rx1day_status"]
    xr.testing.assert_identical(strict.drop_vars(of_highest), usual.drop_vars(of_highest))
    assert bool(usual.rx1day.notnull().item()) == (missing < 2)


def test_months_that_the_record_only_touches_are_unknown():
    """From 15 January to 15 March: February alone is whole."""
    out = daily_rain_indices(days(np.ones(60), "2001-01-15"), CALIBRATION, RULES)
    assert out.days_seen.values.tolist() == [17, 28, 15]
    assert out.rx1day_status.values.tolist() == [Status.insufficient_data, Status.ok, Status.insufficient_data]


def test_after_an_unseen_day_the_antecedent_index_spins_up_again():
    rain = days(np.ones(300))
    rain[150] = np.nan
    out = antecedent_precipitation(rain)
    assert np.flatnonzero(out.api.isnull()).tolist() == [*range(90), *range(150, 241)]
    assert out.api.values[241] == pytest.approx((1 - 0.92**91) / 0.08)
    assert not out.api_bridged.any()


def test_two_unseen_days_may_count_as_dry_and_are_flagged():
    """1 mm a day, k = 0.5: 2, then 1, then 0.5 over the gap; flagged for as long as a spin-up takes."""
    rain = days(np.ones(200))
    rain[[100, 101]] = np.nan
    out = antecedent_precipitation(rain, Antecedent(k=0.5, bridge_days=2, spin_up_days=60))
    assert out.api.values[99:103].tolist() == pytest.approx([2, 1, 0.5, 1.25])
    assert np.flatnonzero(out.api_bridged).tolist() == list(range(100, 161))


def test_three_unseen_days_are_not_bridged():
    rain = days(np.ones(300))
    rain[150:153] = np.nan
    out = antecedent_precipitation(rain, Antecedent(bridge_days=2))
    assert np.flatnonzero(out.api.isnull())[90:].tolist() == list(range(152, 243))


def test_days_unseen_apart_are_bridged_one_by_one():
    """One of three gaps of a day each, with a bridge of a day: nothing is lost."""
    rain = days(np.ones(300))
    rain[[150, 160, 170]] = np.nan
    out = antecedent_precipitation(rain, Antecedent(bridge_days=1))
    assert np.flatnonzero(out.api.isnull()).tolist() == list(range(90))
    assert np.flatnonzero(out.api_bridged).tolist() == list(range(150, 260))


def test_a_cell_that_was_never_seen_says_nothing():
    rain = daily(cells=2)
    rain[:, 1] = np.nan
    out = daily_rain_indices(rain, CALIBRATION, RULES)
    for name in INDICES[:-1]:
        assert out[name].isel(cell=1).isnull().all(), name
        assert (out[f"{name}_status"].isel(cell=1) == Status.insufficient_data).all(), name
    xr.testing.assert_equal(out.isel(cell=[0]), daily_rain_indices(rain.isel(cell=[0]), CALIBRATION, RULES))


def test_a_year_without_a_wet_day_has_no_share_of_heavy_ones():
    """Sums are 0; the share of nothing is masked."""
    rain = daily()
    rain.loc["2005-10-01":"2006-09-30"] = 0.5
    out = yearly_rain_indices(rain, CALIBRATION, RULES).sel(year=2006)
    assert (out.wet_day_total_mm == 0).all()
    assert (out.r95p_total_mm == 0).all()
    assert (out.r95p_share_status == Status.masked_dry_season).all()
    assert out.r95p_share.isnull().all()


# ------------------------------------------------------------------ the percentile of wet days


def test_a_saved_percentile_is_used_again():
    """Later years do not move what was learnt, and what was learnt gives the same sums."""
    rain = daily(cells=2)
    learnt = wet_day_percentile(rain, (2001, 2010), RULES)
    xr.testing.assert_identical(learnt, wet_day_percentile(rain.sel(time=slice("2010-12-31")), (2001, 2010), RULES))
    own = daily_rain_indices(rain, (2001, 2010), RULES)
    again = daily_rain_indices(rain, (1900, 1901), RULES, wet_day_p95=learnt)
    xr.testing.assert_equal(own, again)


@pytest.mark.parametrize(
    ("rules", "known"),
    [({"min_years": 12}, True), ({"min_years": 13}, False), ({"min_wet_days": 10**4, "min_years": 1}, False)],
)
def test_too_few_years_or_wet_days_give_no_percentile(rules, known):
    out = daily_rain_indices(daily(), CALIBRATION, RainRules(**rules))
    status = set(out.r95p_total_mm_status.values.ravel().tolist())
    assert status == {int(Status.ok if known else Status.insufficient_data)}
    assert (out.wet_day_total_mm_status == Status.ok).all()


def test_a_year_with_a_hole_does_not_count_for_the_percentile():
    """12 years, one of them with 30 unseen days in one of two cells."""
    rain = daily(cells=2)
    rain[1600:1630, 1] = np.nan
    assert wet_day_percentile(rain, CALIBRATION, RainRules(min_years=11)).notnull().all()
    found = wet_day_percentile(rain, CALIBRATION, RainRules(min_years=12))
    assert found.notnull().values.tolist() == [True, False]


# ------------------------------------------------------------------ laws


@settings(max_examples=15)
@given(st.integers(0, 729), st.floats(0.01, 80))
def test_more_rain_never_lowers_an_index(day, more):
    """Dry spells apart, which it never lengthens; the percentile of wet days held."""
    rain = daily(last="2002-09-30")
    held = xr.DataArray([20.0], dims="cell", attrs={"units": "mm/day"})
    wetter = rain.copy()
    wetter[day] = wetter[day] + more
    before, after = (daily_rain_indices(r, CALIBRATION, RULES, wet_day_p95=held) for r in (rain, wetter))
    for name in ("rx1day", "rx5day", "wet_day_total_mm", "r95p_total_mm", "cwd", "api"):
        both = before[name].notnull() & after[name].notnull()
        assert (after[name] >= before[name] - 1e-12).where(both, True).all(), name
    assert not (after.cdd > before.cdd).any()


@settings(max_examples=10)
@given(st.floats(0.01, 100))
def test_scaling_the_rain_scales_every_amount(factor):
    """Amounts by the factor, the wet day with it; spells not at all."""
    rain = daily()
    own = daily_rain_indices(rain, CALIBRATION, RULES)
    scaled = daily_rain_indices(
        (rain * factor).assign_attrs(rain.attrs), CALIBRATION, replace(RULES, wet_day_mm=factor)
    )
    for name in ("rx1day", "rx5day", "wet_day_total_mm", "r95p_total_mm", "api"):
        assert np.allclose(scaled[name], factor * own[name], rtol=1e-12, equal_nan=True), name
    for name in ("cdd", "cwd"):
        assert np.array_equal(scaled[name], own[name], equal_nan=True), name


@settings(max_examples=15)
@given(st.sets(st.integers(0, 729), min_size=1, max_size=12))
def test_a_masked_day_never_lowers_an_index(masked):
    """With every day asked for, a value is the same as before or gone; spells and the antecedent index always.

    Of what the antecedent index held before a gap, 0.92^90 would be left when it speaks again.
    """
    rain = daily(last="2002-09-30")
    holed = rain.copy()
    holed[list(masked)] = np.nan
    held = xr.DataArray([20.0], dims="cell", attrs={"units": "mm/day"})
    strict = replace(RULES, min_days=1.0)
    forgotten = 0.92**90 * float(antecedent_precipitation(rain, Antecedent(spin_up_days=0)).api.max())
    for rules, names in ((strict, INDICES[:-1]), (RULES, ("cdd", "cwd", "api"))):
        own, found = (daily_rain_indices(r, CALIBRATION, rules, wet_day_p95=held) for r in (rain, holed))
        for name in names:
            lost = forgotten if name == "api" else 1e-12
            assert (found[name].isnull() | (abs(found[name] - own[name]) <= lost)).all(), name


@settings(max_examples=15)
@given(st.sets(st.integers(0, 729), max_size=60))
def test_five_days_hold_no_less_than_the_wettest_of_them(masked):
    rain = daily(last="2002-09-30")
    rain[list(masked)] = np.nan
    rules = replace(RULES, min_days=0.5)
    for out in (daily_rain_indices(rain, CALIBRATION, rules), yearly_rain_indices(rain, CALIBRATION, rules)):
        assert not (out.rx5day < out.rx1day).any()


@pytest.mark.parametrize("chunks", [{"time": -1, "cell": -1}, {"time": 700, "cell": 2}, {"time": -1, "cell": 1}])
@pytest.mark.parametrize("by", [daily_rain_indices, yearly_rain_indices])
def test_chunks_and_order_of_dimensions_change_nothing(by, chunks):
    rain = daily(cells=5)
    rain[1000:1003, 2] = np.nan
    own = by(rain, CALIBRATION, RULES)
    for other in (rain.chunk(chunks), rain.T.chunk(chunks), rain.T):
        lazy = by(other, CALIBRATION, RULES)
        assert all(isinstance(v.data, da.Array) for v in lazy.values()) == (other.chunks is not None)
        found = lazy.compute().transpose(*own.rx1day.dims)
        for name in own.data_vars:
            assert np.allclose(found[name], own[name], rtol=0, atol=1e-12, equal_nan=True), name


def test_more_cells_than_a_block_give_each_cell_its_own_indices():
    """The 2,100th cell of a field equals the same cell alone, with its own percentile."""
    rain = daily(last="2002-09-30", cells=2100)
    held = xr.DataArray(np.linspace(5, 30, 2100), dims="cell", attrs={"units": "mm/day"})
    whole = daily_rain_indices(rain, CALIBRATION, RULES, wet_day_p95=held).isel(cell=[-1])
    alone = daily_rain_indices(rain.isel(cell=[-1]), CALIBRATION, RULES, wet_day_p95=held[-1:])
    xr.testing.assert_allclose(whole, alone, rtol=0, atol=1e-12)


def test_a_raster_keeps_its_dimensions_and_its_precision():
    """(time, lat, lon) float32 in and out, and a lazy percentile of (lat, lon) beside a chunked raster."""
    rain = daily(cells=6).astype("float32")
    coords = {"time": rain.time, "lat": [34.0, 33.0], "lon": [43.0, 44.0, 45.0]}
    raster = xr.DataArray(rain.values.reshape(-1, 2, 3), dims=("time", "lat", "lon"), coords=coords, attrs=rain.attrs)
    learnt = wet_day_percentile(raster, CALIBRATION, RULES)
    assert learnt.dims == ("lat", "lon")
    out = daily_rain_indices(raster.chunk(lat=1), CALIBRATION, RULES, wet_day_p95=learnt).compute()
    flat = daily_rain_indices(rain, CALIBRATION, RULES)
    for name in INDICES:
        assert out[name].dims == ("time", "lat", "lon")
        assert out[name].dtype == (np.int16 if name == "days_seen" else np.float32)
        assert np.array_equal(out[name].values.reshape(-1, 6), flat[name], equal_nan=True), name


def test_every_value_has_its_status_units_and_words():
    """The promises of the cube, with gaps in it."""
    rain = daily(cells=3).rename(cell="pcode").assign_coords(pcode=["A", "B", "C"])
    rain[500:520, 1] = np.nan
    out = daily_rain_indices(rain, CALIBRATION, RULES)
    check_cube(out)
    assert set(INDICES) < set(out.data_vars)
    check_cube(antecedent_precipitation(rain))
    check_cube(yearly_rain_indices(rain, CALIBRATION, RULES).rename(year="time"))


def test_the_input_is_not_changed():
    rain = daily()
    rain[5] = np.nan
    before = rain.values.copy()
    daily_rain_indices(rain, CALIBRATION, RULES)
    assert np.array_equal(rain.values, before, equal_nan=True)


# ------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    "times", [["2001-01-01", "2001-01-01"], ["2001-01-01", "2001-01-03"], ["2001-01-02", "2001-01-01"]]
)
@pytest.mark.parametrize("by", [daily_rain_indices, yearly_rain_indices])
def test_days_twice_missing_or_out_of_order_are_refused(by, times):
    rain = xr.DataArray([1.0, 2.0], dims="time", coords={"time": pd.DatetimeIndex(times)}, attrs={"units": "mm/day"})
    with pytest.raises(ContractError, match="consecutive days"):
        by(rain, CALIBRATION)


@pytest.mark.parametrize("by", [daily_rain_indices, yearly_rain_indices, wet_day_percentile])
def test_rain_of_a_month_is_no_daily_rain(by):
    with pytest.raises(ContractError, match="mm/day"):
        by(daily().assign_attrs(units="mm/month"), CALIBRATION)


@pytest.mark.parametrize("wrong", [{"k": 1.0}, {"k": 0.0}, {"summer_k": 1.2}, {"bridge_days": 3}])
def test_an_index_that_never_forgets_or_bridges_weeks_is_refused(wrong):
    with pytest.raises(ContractError, match="api"):
        Antecedent(**wrong)
