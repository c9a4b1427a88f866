"""What a month needs of its record: the days that its method asks for, and no bit of those before or after them."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from geodata.schema import Status
from models.daily import LONGEST_SPELL
from models.hazard_heavy_rain import HeavyRainOptions
from models.hazard_hot_days import HeatOptions
from models.hazards import HAZARDS
from models.heat import HeatRules, warm_day_percentile
from models.heavy_rain import Antecedent, RainRules, antecedent_precipitation, daily_rain_indices, days_before

FIRST, DAYS = "2001-01-11", 1750
CALIBRATION = (2001, 2004)
RAIN = HeavyRainOptions(curve_number="land", min_years_of_wet_days=2)
HEAT = HeatOptions(wave_above_degc=30.0, min_years=2)

gaps = st.lists(st.tuples(st.integers(0, DAYS - 1), st.integers(1, 40)), max_size=12)
dry = st.tuples(st.integers(0, DAYS - 1), st.integers(0, 900))


def record(seed, unseen, calm, units, scale, dtype="float32"):
    """Three cells of days; the second cell has no gaps, the third is seen on every third day of them."""
    values = np.random.default_rng(seed).gamma(0.4, scale, (DAYS, 3)).astype(dtype)
    values[calm[0] : calm[0] + calm[1]] = 0.0
    for start, length in unseen:
        values[start : start + length, 0] = np.nan
        values[start : start + length : 3, 2] = np.nan
    coords = {"time": pd.date_range(FIRST, periods=DAYS)}
    return xr.DataArray(values, dims=("time", "cell"), coords=coords, attrs={"units": units})


def of_rain(seed, unseen, calm, dtype="float32"):
    land = xr.DataArray([75.0, 90.0, 60.0], dims="cell")
    return xr.Dataset({"rain_daily": record(seed, unseen, calm, "mm/day", 12.0, dtype), "land": land})


def of_precise_rain(seed, unseen, calm):
    return of_rain(seed, unseen, calm, "float64")


def of_heat(seed, unseen, calm):
    tmax = record(seed, unseen, calm, "degC", 120.0)
    return xr.Dataset({"tmax": tmax, "tmin": tmax.shift(time=1).assign_attrs(tmax.attrs)})


CASES = {
    "rain": (RAIN, of_rain),
    "rain that is long remembered": (RAIN.model_copy(update={"antecedent_k": 0.97}), of_precise_rain),
    "heat": (HEAT, of_heat),
}


@pytest.mark.parametrize("case", CASES)
@settings(max_examples=15)
@given(seed=st.integers(0, 99), unseen=gaps, calm=dry, first=st.integers(0, 57), months=st.integers(1, 3))
def test_a_month_is_told_from_the_days_of_its_window_as_from_the_whole_record(case, seed, unseen, calm, first, months):
    """Whatever is unseen, however long it stays dry, wherever the months lie: the same bits."""
    options, made = CASES[case]
    method, inputs = HAZARDS[options.method], made(seed, unseen, calm)
    learnt = method.fit_cells(inputs, options, CALIBRATION)
    learnt = {name: values * 0.5 for name, values in learnt.items()}  # more heavy days, more waves
    whole = method.in_months(inputs, options, CALIBRATION, learnt)
    first = min(first, whole.sizes["time"] - months)
    wanted = whole.indexes["time"][first : first + months]
    back, on = method.window(options)
    begin, end = wanted[0] - pd.Timedelta(days=back), wanted[-1] + pd.offsets.MonthEnd(0) + pd.Timedelta(days=on)
    cut = inputs.sel(time=slice(begin, end))
    found = method.in_months(cut, options, CALIBRATION, learnt).sel(time=wanted)
    for name, values in whole.sel(time=wanted).items():
        assert values.values.tobytes() == found[name].values.tobytes(), name


def test_a_day_less_than_the_window_would_change_a_month():
    """Dry for 730 days, from the day after the rain to the end of a month: told, and not told from a day less."""
    time = pd.date_range("2001-01-01", "2003-12-31")
    rain = xr.DataArray(np.zeros(len(time)), dims="time", coords={"time": time}, attrs={"units": "mm/day"})
    rain.loc["2001-11-01"] = 5.0
    held = xr.DataArray(20.0)
    months = daily_rain_indices(rain, wet_day_p95=held)
    assert months.cdd.sel(time="2003-10-01") == 729
    assert months.cdd.sel(time="2003-11-01").isnull()
    assert months.cdd_status.sel(time="2003-11-01") == Status.insufficient_data
    october = pd.Timestamp("2003-10-01")
    short = rain.sel(time=slice(october - pd.Timedelta(days=LONGEST_SPELL - 60), None))
    assert daily_rain_indices(short, wet_day_p95=held).cdd.sel(time=october).isnull()


def test_a_spell_of_exactly_two_years_is_told_and_one_day_more_is_not():
    """From 2 November 2001 on: 730 days by 1 November 2003, 731 by the 2nd; rain ends it on the day after."""
    time = pd.date_range("2001-01-01", "2003-12-31")
    for ends, told in (("2003-11-01", 730), ("2003-11-02", np.nan)):
        rain = xr.DataArray(np.full(len(time), 5.0), dims="time", coords={"time": time}, attrs={"units": "mm/day"})
        rain.loc["2001-11-02":ends] = 0.0
        november = daily_rain_indices(rain, wet_day_p95=xr.DataArray(20.0)).cdd.sel(time="2003-11-01").item()
        assert november == told or (np.isnan(told) and np.isnan(november))


@pytest.mark.parametrize("k", [0.85, 0.92, 0.98])
def test_what_fell_before_the_memory_is_less_than_float32_can_tell(k):
    """A metre of rain on the last day before the months that count, against the index of every day."""
    rules = Antecedent(k=k)
    time = pd.date_range("2001-01-01", periods=(rules.memory_months + 2) * 31)
    rain = xr.DataArray(np.ones(len(time)), dims="time", coords={"time": time}, attrs={"units": "mm/day"})
    rain[0] = 1000.0
    by_day = antecedent_precipitation(rain, rules).api
    by_month = daily_rain_indices(rain, rules=RainRules(antecedent=rules), wet_day_p95=xr.DataArray(20.0)).api
    last = by_month.time[-2]  # the last whole month
    end = pd.Timestamp(last.item()) + pd.offsets.MonthEnd(0)
    own = by_month.sel(time=last).item()
    assert own == pytest.approx(by_day.sel(time=end).item(), abs=1000.0 * 2.0**-24)
    assert days_before(RainRules(antecedent=rules)) >= 31 * rules.memory_months


def test_no_day_after_the_calibration_moves_the_percentile_of_its_last_days():
    """The first two days of January stand in the window of 31 December; those of the year after are not calibrating."""
    time = pd.date_range("2001-01-01", "2004-01-31")
    tmax = xr.DataArray(np.arange(len(time)) % 17.0, dims="time", coords={"time": time}, attrs={"units": "degC"})
    hotter = tmax.copy()
    hotter.loc["2004-01-01":] = 60.0
    rules = HeatRules(min_years=3)
    before, after = (warm_day_percentile(t, (2001, 2003), rules) for t in (tmax, hotter))
    xr.testing.assert_identical(before, after)
