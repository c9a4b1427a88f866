"""Percentile of the season to date: ranks by hand, seasons, gaps and dry starts."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from geodata.schema import ContractError, Status
from models.percentile import percentile_of_month, season_to_date

CALIBRATION = (1981, 2010)


def monthly(values, start="1981-01", units="mm/month"):
    values = np.asarray(values, dtype=float)
    times = pd.date_range(start, periods=len(values), freq="MS")
    return xr.DataArray(values, dims="time", coords={"time": times}, attrs={"units": units}, name="rain")


def yearly(values, start=1981):
    times = pd.date_range(f"{start}-01", periods=len(values), freq="YS")
    return xr.DataArray(np.asarray(values, dtype=float), dims="time", coords={"time": times})


def wet(years=35, seed=0):
    return monthly(np.random.default_rng(seed).gamma(2, 20, years * 12))


def test_gringorten_positions_by_hand():
    """Of 30 years 1..30: the lowest at 0.56 / 30.12, the highest at 29.56 / 30.12."""
    out = percentile_of_month(yearly(range(1, 31)), CALIBRATION, min_years=30).percentile.values
    assert out == pytest.approx((np.arange(1, 31) - 0.44) / 30.12)


def test_a_year_after_the_calibration_is_ranked_with_it():
    """30 calibration years and itself: driest of 31."""
    out = percentile_of_month(yearly([*range(1, 31), 0]), CALIBRATION, min_years=30)
    assert out.percentile.values[-1] == pytest.approx(0.56 / 31.12)


def test_equal_values_share_their_mean_rank():
    """2, 2, 2 of five years hold the ranks 2, 3, 4."""
    out = percentile_of_month(yearly([1, 2, 2, 2, 9]), (1981, 1985), min_years=5).percentile.values
    assert out == pytest.approx((np.array([1, 3, 3, 3, 5]) - 0.44) / 5.12)


def test_too_few_years_give_no_percentile():
    out = percentile_of_month(yearly(range(29)), CALIBRATION, min_years=30)
    assert out.percentile.isnull().all()
    assert (out.status == Status.insufficient_data).all()


def test_a_missing_year_is_no_rank():
    values = yearly(range(31))
    values[4] = np.nan
    out = percentile_of_month(values, (1981, 2011), min_years=30)
    assert np.flatnonzero(out.percentile.isnull()).tolist() == [4]
    assert out.percentile.values[-1] == pytest.approx(29.56 / 30.12)


def test_times_that_stand_twice_are_refused():
    values = xr.DataArray([1.0, 2.0], dims="time", coords={"time": pd.DatetimeIndex(["2001-01-01"] * 2)})
    with pytest.raises(ContractError, match="twice"):
        percentile_of_month(values, CALIBRATION, min_years=1)


def test_the_total_restarts_each_october():
    """10 mm a month: 10 in October, 120 in September; unknown until the first October."""
    out = season_to_date(monthly(np.full(12 * 35, 10.0)), CALIBRATION)
    total = out.season_total
    assert total.values[:9].tolist() == pytest.approx([np.nan] * 9, nan_ok=True)
    assert total.sel(time="1981-10-01").item() == 10
    assert total.sel(time="1982-09-01").item() == 120


def test_a_gap_silences_the_rest_of_its_season():
    rain = wet()
    rain.loc["2012-12-01"] = np.nan
    lost = season_to_date(rain, CALIBRATION).season_percentile.isnull()
    assert lost.sel(time=slice("2012-10", "2014-01")).values.tolist() == [False] * 2 + [True] * 10 + [False] * 4


def test_thirty_complete_years_are_enough_though_the_first_season_started_before_them():
    """Record and calibration start in January 1981: the first nine months have 29 seasons."""
    out = season_to_date(wet(), CALIBRATION)
    assert (out.season_percentile_status.values[9:] == Status.ok).all()
    assert (out.season_percentile_status.values[:9] == Status.insufficient_data).all()


def test_a_season_that_has_seldom_begun_by_then_is_masked():
    """October is dry in 2 years of 3: a dry October ranks at 0.33 and says nothing; December does."""
    rain = wet()
    october = np.flatnonzero(rain.time.dt.month == 10)
    rain[october[np.arange(len(october)) % 3 != 0]] = 0.0
    out = season_to_date(rain, CALIBRATION)
    months = out.time.dt.month
    assert set(out.season_percentile_status.values[12:][months[12:] == 10]) == {int(Status.masked_dry_season)}
    assert set(out.season_percentile_status.values[12:][months[12:] == 12]) == {int(Status.ok)}


def test_drizzle_below_the_trace_is_no_rain():
    out = season_to_date(monthly(np.full(12 * 35, 0.05)), CALIBRATION)
    assert float(out.season_total.max()) == 0


@settings(max_examples=20, deadline=None)
@given(st.floats(0.1, 100))
def test_units_of_rain_do_not_matter(factor):
    own = season_to_date(wet(), CALIBRATION)
    scaled = season_to_date((wet() * factor).assign_attrs(units="mm/month"), CALIBRATION, trace_mm=factor)
    np.testing.assert_allclose(own.season_percentile, scaled.season_percentile, rtol=0, atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(st.integers(12, 419), st.floats(0.1, 100))
def test_more_rain_never_ranks_lower(month, more):
    before = wet()
    after = before.copy()
    after[month] = after[month] + more
    a, b = (season_to_date(r, CALIBRATION).season_percentile.values[month] for r in (before, after))
    assert b >= a


def test_chunks_and_order_of_dimensions_change_nothing():
    rain = (
        xr.concat([wet(seed=s) for s in range(3)], dim="pcode")
        .transpose("time", "pcode")
        .assign_attrs(units="mm/month")
    )
    own = season_to_date(rain, CALIBRATION)
    for other in (rain.chunk(time=17, pcode=2), rain.T):
        found = season_to_date(other, CALIBRATION).compute().transpose("time", "pcode")
        xr.testing.assert_identical(own, found)
