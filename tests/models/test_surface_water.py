"""Open water: years without imagery, what too little was seen of, percentiles, trends, storage and the supply index."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau, theilslopes

from geodata.schema import KEEPS_VALUE, ContractError, Status, has_status
from models.surface_water import (
    find_years_without_imagery,
    storage_percentile,
    surface_water_supply_index,
    water_percentile,
    water_trend,
)

CALIBRATION = (1981, 2010)


def lakes(years=30, units=10, seed=0):
    """Units with 5 to 50 km2 of water that varies by a fifth."""
    rng = np.random.default_rng(seed)
    area = np.linspace(5, 50, units) * rng.uniform(0.8, 1.2, (years, units))
    return xr.DataArray(
        area,
        dims=("time", "pcode"),
        coords={"time": pd.date_range("1981-01", periods=years, freq="YS"), "pcode": [f"U{i}" for i in range(units)]},
        attrs={"units": "km2"},
    )


def test_of_few_lakes_one_that_falls_dry_is_a_dry_lake_and_no_missing_image():
    """Three lakes, one of them empty in the last year: a third of the units, and the worst year there is."""
    area = lakes(units=3)
    area[-1, 0] = 0.0
    assert find_years_without_imagery(area) == ()
    out = water_percentile(area, (1981, 2010))
    assert float(out.water_percentile[-1, 0]) == pytest.approx(0.56 / 30.12)
    assert Status(int(out.water_percentile_status[-1, 0])) is Status.ok


def test_the_years_in_which_a_third_of_the_units_empty_at_once_are_no_imagery():
    """1988: all units at 0; 1990: 4 of 10; 1995: 3 of 10 (a drought may do that)."""
    area = lakes()
    area.loc["1988"] = 0.0
    area.loc["1990"][0, :4] = 0.01
    area.loc["1995"][0, :3] = 0.01
    assert find_years_without_imagery(area) == (1988, 1990)


def test_usually_dry_units_do_not_count_as_emptied():
    area = lakes()
    area[:, :6] = 0.0
    assert find_years_without_imagery(area) == ()
    assert find_years_without_imagery(area * 0) == ()


def test_declared_and_found_years_are_masked_and_named():
    """Nothing of 1988 (declared) and 1990 (found) is published, and neither enters a rank."""
    area = lakes()
    area.loc["1988"] = 0.0
    area.loc["1990"] = 0.0
    out = water_percentile(area, CALIBRATION, years_without_imagery=[1988])
    assert out.attrs == {"years_without_imagery": "1988 1990", "years_found": "1990", "ranked_years": "1981-2010"}
    lost = out.water_percentile_status.isel(pcode=0) == Status.insufficient_data
    assert out.time.dt.year.values[lost.values].tolist() == [1988, 1990]
    assert out.water_percentile.isel(pcode=0).min().item() == pytest.approx(0.56 / 28.12)


def test_a_usually_dry_unit_has_no_percentile():
    area = lakes()
    area[:, 0] = 0.01
    out = water_percentile(area, CALIBRATION)
    assert (out.water_percentile_status.isel(pcode=0) == Status.insufficient_data).all()
    assert out.water_percentile.isel(pcode=0).isnull().all()
    assert out.water_percentile.isel(pcode=1).notnull().all()


def test_the_anomaly_is_relative_to_the_median_of_the_seen_years():
    """10, 20 and 30 km2 in turn: -50 %, 0, +50 %."""
    area = lakes(units=1)
    area[:, 0] = np.tile([10.0, 20.0, 30.0], 10)
    out = water_percentile(area, CALIBRATION)
    assert out.water_anomaly.values[:3, 0] == pytest.approx([-0.5, 0, 0.5])


def test_fewer_seen_years_than_asked_for_are_not_enough():
    out = water_percentile(lakes(years=19), CALIBRATION)
    assert (out.water_percentile_status == Status.insufficient_data).all()


def test_monthly_areas_are_ranked_in_their_own_month():
    """Every August holds half the water of March; neither is a drought."""
    times = pd.date_range("1981-01", periods=360, freq="MS")
    year = 1 + 0.01 * (times.year.to_numpy() - 1980)
    area = xr.DataArray(
        (np.where(times.month == 8, 10, 20) * year)[:, None],
        dims=("time", "pcode"),
        coords={"time": times},
        attrs={"units": "km2"},
    )
    out = water_percentile(area, CALIBRATION)
    last = out.water_percentile.isel(pcode=0, time=slice(-12, None))
    assert last.values == pytest.approx(29.56 / 30.12)
    assert out.water_anomaly.isel(pcode=0, time=slice(-12, None)).values == pytest.approx(1.30 / 1.155 - 1)


def test_lakes_that_shrink_every_august_were_seen_every_august():
    """Four of ten units keep a hundredth of their water each August; only the August of 1990 is lower still."""
    times = pd.date_range("1981-01", periods=360, freq="MS")
    area = np.random.default_rng(0).uniform(16, 24, (360, 10))
    area[times.month == 8, :4] /= 100
    coords = {"time": times, "pcode": [f"U{i}" for i in range(10)]}
    monthly = xr.DataArray(area, dims=("time", "pcode"), coords=coords)
    assert find_years_without_imagery(monthly) == ()
    monthly.loc["1990-08"] = 0.0
    assert find_years_without_imagery(monthly) == (1990,)


def test_real_districts_of_iraq(shared_data):
    """The years known to lack imagery are found, and 1995, in which two fifths of the districts read nothing."""
    table = pd.read_csv(shared_data / "iraq/water/surface_water_district_yearly_1984_2018.csv")
    wide = (table.pivot_table(index="year", columns="district", values="water", aggfunc="sum") * 0.0009).sort_index()
    area = xr.DataArray(
        wide.to_numpy(),
        dims=("time", "pcode"),
        coords={"time": pd.to_datetime([f"{int(y)}-01-01" for y in wide.index]), "pcode": list(wide.columns)},
        attrs={"units": "km2"},
    )
    assert find_years_without_imagery(area) == (1988, 1989, 1993, 1994, 1995, 1996, 1997)
    out = water_percentile(area, (1984, 2013))
    assert (out.water_percentile_status == Status.ok).any("time").mean() > 0.85
    trend = water_trend(area, min_years=20)
    assert (trend.water_trend_status == Status.ok).mean() > 0.8
    assert trend.water_trend_years.max() == 28


# ------------------------------------------------------------------ the share that was seen


def test_an_area_of_which_too_little_was_seen_is_no_observation():
    """0.69 of the unit, and a share that nobody knows: no value there, and neither year enters another's rank."""
    area = lakes(units=5)
    area[5, 0] = area[6, 0] = 0.0
    share = xr.full_like(area, 1.0).assign_attrs(units="1")
    share[5, 0], share[6, 0] = 0.69, np.nan
    out = water_percentile(area, CALIBRATION, observed_share=share)
    assert (out.water_percentile_status[5:7, 0] == Status.insufficient_data).all()
    assert out.water_percentile.isel(pcode=0).min().item() == pytest.approx(0.56 / 28.12)
    assert has_status(out.water_percentile_status[:, 1:], KEEPS_VALUE).all()
    less = water_percentile(area, CALIBRATION, observed_share=share, min_observed=0.6)
    assert less.water_percentile[5, 0].item() == pytest.approx(0.56 / 29.12)


def test_a_year_that_was_not_seen_is_not_found_again_as_a_year_without_imagery():
    area = lakes()
    area.loc["1990"] = 0.0
    share = xr.where(area.time.dt.year == 1990, 0.1, 1.0).broadcast_like(area).assign_attrs(units="1")
    out = water_percentile(area, CALIBRATION, observed_share=share)
    assert out.attrs["years_found"] == ""
    assert (out.water_percentile_status.sel(time="1990-01-01") == Status.insufficient_data).all()


# ------------------------------------------------------------------ trends


def yearly(values, first=1991):
    """One unit's areas, a year each."""
    times = pd.date_range(f"{first}-01", periods=len(values), freq="YS")
    return xr.DataArray(np.asarray(values, float), dims="time", coords={"time": times}, attrs={"units": "km2"})


def test_ten_rising_years():
    """0 to 9: every one of the 45 pairs rises; variance 125, z = 44 / sqrt(125), p of pymannkendall 1.4.3."""
    out = water_trend(yearly(np.arange(10.0)), min_years=10, detect=False)
    assert float(out.water_trend_s) == 45
    assert float(out.water_trend) == 1
    assert float(out.water_trend_p) == pytest.approx(8.303070332638107e-05, rel=1e-12)
    assert float(out.water_trend_years) == 10


TIED = [4.2, 4.2, 3.9, 4.8, 3.1, 3.3, 3.3, 3.3, 2.9, np.nan, 2.5, 3.0, 2.2, 2.2, 1.9, 2.6, 2.0, 1.4, 1.8, 1.7, 1.5, 1.5]


def test_ties_and_a_gap_as_pymannkendall_counts_them():
    """S, and p with the variance of tied groups, of pymannkendall 1.4.3's original test."""
    out = water_trend(yearly(TIED), detect=False)
    assert float(out.water_trend_s) == -170
    assert float(out.water_trend_p) == pytest.approx(3.073841139400457e-07, rel=1e-9)
    assert float(out.water_trend_years) == 21


def test_months_are_pooled_as_pymannkendall_pools_seasons():
    """Twenty years of months with a season: S, slope and p of pymannkendall 1.4.3's seasonal test."""
    i = np.arange(240)
    x = np.round(30 + 12 * np.cos(2 * np.pi * i / 12) - 0.006 * i + ((i * 7919) % 13) / 2.0, 0)
    times = pd.date_range("1991-01", periods=240, freq="MS")
    out = water_trend(xr.DataArray(x, dims="time", coords={"time": times}, attrs={"units": "km2"}), detect=False)
    assert float(out.water_trend_s) == -441
    assert float(out.water_trend) == pytest.approx(-0.14285714285714285, abs=1e-12)
    assert float(out.water_trend_p) == pytest.approx(2.9735808309450107e-05, rel=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.one_of(st.integers(0, 12), st.none()), min_size=10, max_size=35))
def test_slope_and_s_are_those_of_scipy(values):
    """theilslopes over the years that were seen; kendalltau's tau-b times its denominator is S."""
    x = np.array([np.nan if v is None else float(v) for v in values])
    year = np.arange(len(x))
    seen = np.isfinite(x)
    out = water_trend(yearly(x), min_years=2, min_area_km2=0.0, detect=False)
    if seen.sum() < 2:
        assert int(out.water_trend_status) == Status.insufficient_data
        return
    assert float(out.water_trend) == pytest.approx(theilslopes(x[seen], year[seen]).slope, abs=1e-12)
    if len(set(x[seen])) == 1:
        assert (float(out.water_trend_s), float(out.water_trend_p)) == (0, 1)
        return
    pairs = seen.sum() * (seen.sum() - 1) / 2
    tied = sum(n * (n - 1) / 2 for n in np.unique(x[seen], return_counts=True)[1])
    tau = kendalltau(year[seen], x[seen]).statistic
    assert float(out.water_trend_s) == pytest.approx(tau * np.sqrt(pairs * (pairs - tied)), abs=1e-9)


def test_a_random_record_shows_a_trend_as_often_as_p_says():
    """2,000 records of 30 independent years: 3 to 7 in 100 with p below 0.05."""
    x = np.random.default_rng(3).normal(50, 5, (30, 2000))
    times = pd.date_range("1981-01", periods=30, freq="YS")
    area = xr.DataArray(x, dims=("time", "pcode"), coords={"time": times}, attrs={"units": "km2"})
    rejected = float((water_trend(area, detect=False).water_trend_p < 0.05).mean())
    assert 0.03 <= rejected <= 0.07


@settings(max_examples=25, deadline=None)
@given(st.floats(0.1, 100), st.floats(0, 100))
def test_scale_and_offset_leave_the_test_and_scale_the_slope(a, b):
    own, other = (water_trend(yearly(v), detect=False) for v in (np.array(TIED), a * np.array(TIED) + b))
    assert float(other.water_trend) == pytest.approx(a * float(own.water_trend), rel=1e-6)
    turned = water_trend(yearly(TIED[::-1]), detect=False)
    assert float(turned.water_trend) == pytest.approx(-float(own.water_trend), rel=1e-12)
    assert float(turned.water_trend_p) == float(own.water_trend_p)


def test_a_trend_needs_its_years_and_some_water():
    """Nineteen seen years; a unit that never held a tenth of a km2; the years without imagery are told and left out."""
    area = lakes(years=24, units=11)
    area.loc["1990"] = 0.0
    area[:, 0] = 0.05
    out = water_trend(area, years_without_imagery=[1985])
    assert out.attrs == {"years_without_imagery": "1985 1990", "years_found": "1990"}
    assert (out.water_trend_years.isel(pcode=1)) == 22
    assert out.water_trend_status.values.tolist() == [Status.insufficient_data] + [Status.ok] * 10
    few = water_trend(area, years_without_imagery=[1985, 1986, 1987, 1988])
    assert (few.water_trend_status == Status.insufficient_data).all()
    assert few.water_trend.isnull().all()


def test_a_lake_that_dried_up_has_a_trend():
    """Ten years of 5 km2, then fifteen of none: its median is 0 and its fall is not."""
    out = water_trend(yearly([5.0] * 10 + [0.0] * 15), detect=False)
    assert float(out.water_trend_s) == -150
    assert float(out.water_trend_p) < 0.001


# ------------------------------------------------------------------ storage and the supply index


def test_storage_is_ranked_in_its_month_and_since_the_dam():
    """Full until 2000, half after a dam upstream: ordinary among its own twenty years, low among all forty."""
    times = pd.date_range("1981-01", periods=480, freq="MS")
    level = np.where(times.year < 2001, 8.0, 4.0) + np.where(times.month == 10, -2, 0)
    storage = xr.DataArray(
        level + np.tile(np.linspace(-0.5, 0.5, 20), 2).repeat(12), dims="time", coords={"time": times}
    )
    whole, since = (storage_percentile(storage, (1981, 2020), since_year=y) for y in (None, 2001))
    last = since.isel(time=slice(-132, -120))  # 2010, the tenth lowest of its twenty years
    assert last.storage_percentile.values == pytest.approx((10 - 0.44) / 20.12)
    assert whole.storage_percentile.isel(time=slice(-132, -120)).values == pytest.approx((10 - 0.44) / 40.12)
    assert (since.attrs["ranked_years"], whole.attrs["ranked_years"]) == ("2001-2020", "1981-2020")
    assert float(since.storage_anomaly[-1]) == pytest.approx(4.5 / 4.0 - 1)
    assert (since.storage_percentile_status == Status.ok).all()


def test_an_empty_reservoir_has_a_percentile_and_no_relative_anomaly():
    """Dry in more than half of the years: 0 is shared by them, and nothing is a share of a median of 0."""
    out = storage_percentile(yearly([0.0] * 15 + [1.0] * 9), (1991, 2014))
    assert float(out.storage_percentile[0]) == pytest.approx((8 - 0.44) / 24.12)
    assert (out.storage_anomaly_status == Status.insufficient_data).all()


def test_a_regime_that_starts_after_the_calibration_is_refused():
    with pytest.raises(ContractError, match="since_year 2015"):
        water_percentile(lakes(), CALIBRATION, since_year=2015)


PARTS = ("snow", "rain", "flow", "storage")
WEIGHTS = {"snow": 0.1, "rain": 0.2, "flow": 0.3, "storage": 0.4}


def parts(**values):
    return xr.Dataset({n: ("time", [values.get(n, 0.5)], {"units": "1"}) for n in PARTS})


def test_the_supply_index_at_its_ends():
    """All at 50 % is 0, all at 100 % is 4.1667, all at 0 is -4.1667; storage at 20 % is (0.4 * 20 + 30 - 50) / 12."""
    ends = [surface_water_supply_index(parts(**dict.fromkeys(PARTS, v)), WEIGHTS).swsi.item() for v in (0.5, 1, 0)]
    assert ends == pytest.approx([0, 4.1667, -4.1667], abs=5e-5)
    assert surface_water_supply_index(parts(storage=0.2), WEIGHTS).swsi.item() == pytest.approx(-1, abs=1e-12)


def test_a_missing_part_is_not_an_ordinary_one():
    out = surface_water_supply_index(parts(snow=np.nan), WEIGHTS)
    assert np.isnan(out.swsi.item())
    assert int(out.swsi_status[0]) == Status.insufficient_data
    without = surface_water_supply_index(parts(snow=np.nan), {"snow": 0.0, "rain": 0.5, "storage": 0.5})
    assert without.swsi.item() == pytest.approx(0)


@pytest.mark.parametrize("weights", [{}, {"rain": 0.5}, {"rain": 1.5, "snow": -0.5}, {"rain": 0.5, "wells": 0.5}])
def test_weights_that_are_no_shares_are_refused(weights):
    with pytest.raises(ValueError, match="weights"):
        surface_water_supply_index(parts(), weights)


# ------------------------------------------------------------------ laws and bad input


@pytest.mark.parametrize("chunks", [{"time": -1, "pcode": -1}, {"time": 7, "pcode": 3}])
def test_chunks_and_order_of_dimensions_change_nothing(chunks):
    area = lakes(units=7)
    area.loc["1990"] = 0.0
    area[3, 2] = np.nan
    for how in (lambda a: water_percentile(a, CALIBRATION), water_trend, lambda a: storage_percentile(a, CALIBRATION)):
        own = how(area)
        for other in (area.chunk(chunks), area.T.chunk(chunks)):
            found = how(other).compute().transpose(*own.dims)
            assert found.attrs == own.attrs
            xr.testing.assert_allclose(found, own, rtol=0, atol=1e-12)


def test_a_value_stands_where_its_status_keeps_one_and_nowhere_else():
    area = lakes()
    area[:, 0] = 0.0
    area[4, 1] = np.nan
    out = xr.merge([water_percentile(area, CALIBRATION), water_trend(area)], combine_attrs="drop")
    for name in (str(v) for v in out.data_vars if not str(v).endswith("_status")):
        assert (out[name].notnull() == has_status(out[f"{name}_status"], KEEPS_VALUE)).all(), name


def test_areas_in_other_units_are_refused():
    for how in (lambda a: water_percentile(a, CALIBRATION), water_trend):
        with pytest.raises(ContractError, match="expected 'km2'"):
            how(lakes().assign_attrs(units="ha"))
