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


def by_the_definition(values, times, calibration, own=None):
    """(r - 0.44) / (n + 0.12) of each value, or of `own`, among the other calibration years of its month and itself."""
    values, month, year = np.asarray(values), np.asarray(times.month), np.asarray(times.year)
    calibrated = (year >= calibration[0]) & (year <= calibration[1]) & np.isfinite(values)
    out = np.full(len(values), np.nan)
    for i in np.flatnonzero(np.isfinite(values)):
        others = [values[j] for j in np.flatnonzero(calibrated & (month == month[i])) if j != i]
        x = values[i] if own is None else own
        rank = 1.0 + sum(v < x for v in others) + 0.5 * sum(v == x for v in others)
        out[i] = (rank - 0.44) / (len(others) + 1.0 + 0.12)
    return out


@settings(max_examples=30)
@given(st.lists(st.sampled_from([0.0, 1.0, 2.5, 2.5, 7.0, np.nan]), min_size=24, max_size=24 * 9), st.integers(1, 8))
def test_ranks_are_those_of_the_definition_bit_for_bit(values, years):
    """Ties, gaps, years inside the calibration and outside it."""
    series = monthly(values, start="1979-10")
    calibration = (1981, 1980 + years)
    found = percentile_of_month(series, calibration, min_years=1).percentile.values
    assert np.array_equal(found, by_the_definition(values, series.indexes["time"], calibration), equal_nan=True)


def test_more_cells_than_a_block_are_ranked_each_by_itself():
    """2,100 units with ties, of which a few are gone through by the definition; 300 years are counted past a byte."""
    values = np.random.default_rng(4).integers(0, 9, (12 * 30, 2100)).astype("float32")
    rain = xr.DataArray(values, dims=("time", "cell"), coords={"time": monthly(np.zeros(360)).time})
    found = percentile_of_month(rain, CALIBRATION, min_years=30).percentile.values
    for cell in (0, 2047, 2048, 2099):
        assert np.array_equal(found[:, cell], by_the_definition(values[:, cell], rain.indexes["time"], CALIBRATION))
    long = yearly(np.arange(300) % 7, start=1700)
    found = percentile_of_month(long, (1700, 1999), min_years=30).percentile.values
    assert np.array_equal(found, by_the_definition(long.values, long.indexes["time"], (1700, 1999)))


def test_a_season_is_ranked_and_masked_by_the_definition():
    """Totals ranked as above; masked where the share of dry years would put a zero above Phi(-1)."""
    rng = np.random.default_rng(9)
    rain = monthly(np.where(rng.random(12 * 35) < 0.6, 0.0, rng.gamma(1, 20, 12 * 35)))
    out = season_to_date(rain, CALIBRATION)
    total, times = out.season_total.values, out.indexes["time"]
    expected = by_the_definition(total, times, CALIBRATION)
    zero = by_the_definition(total, times, CALIBRATION, own=0.0)
    judged = np.isfinite(total) & (times >= "1981-10")
    dry = zero > 0.15866
    assert 0 < dry[judged].sum() < judged.sum()
    assert np.array_equal(out.season_percentile.values, np.where(judged & ~dry, expected, np.nan), equal_nan=True)


def test_months_missing_from_the_axis_are_refused():
    """A sum over a month that is not there would be a partial one."""
    rain = wet()
    with pytest.raises(ContractError, match="consecutive months"):
        season_to_date(rain.isel(time=np.r_[0:50, 51:420]), CALIBRATION)


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
