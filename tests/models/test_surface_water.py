"""Open water: years without imagery, usually dry units, and the percentile of what was seen."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from geodata.schema import Status
from models.surface_water import find_years_without_imagery, water_percentile

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
    assert out.attrs == {"years_without_imagery": "1988 1990", "years_found": "1990"}
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
        (np.where(times.month == 8, 10, 20) * year)[:, None], dims=("time", "pcode"), coords={"time": times}
    )
    out = water_percentile(area, CALIBRATION)
    last = out.water_percentile.isel(pcode=0, time=slice(-12, None))
    assert last.values == pytest.approx(29.56 / 30.12)


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
    )
    assert find_years_without_imagery(area) == (1988, 1989, 1993, 1994, 1995, 1996, 1997)
    out = water_percentile(area, (1984, 2013))
    assert (out.water_percentile_status == Status.ok).any("time").mean() > 0.85
