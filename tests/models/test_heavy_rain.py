"""Heavy rain: the wettest day of a month, whole hydrological years, ranks and laziness."""

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from geodata.schema import ContractError, Status
from models.heavy_rain import annual_maxima, heavy_rain_percentile, rx1day_monthly


def daily(first="2000-10-01", last="2012-09-30", cells=1, seed=0):
    days = pd.date_range(first, last, freq="D")
    values = np.random.default_rng(seed).gamma(0.3, 10, (len(days), cells))
    return xr.DataArray(values, dims=("time", "cell"), coords={"time": days}, attrs={"units": "mm/day"}, name="rain")


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
