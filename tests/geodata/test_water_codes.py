"""Surface water from codes: what was not seen is neither land nor water."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from geodata.grids import cell_centres, grid_of
from geodata.schema import ContractError, GridSpec, Status
from geodata.water_codes import month_weighted_occurrence, occurrence_by_subdistrict, water_by_subdistrict
from geodata.zonal import zonal_weights

GRID = GridSpec("EPSG:4326", 44.0, 1.0, 0.1, 0.1, 8, 4)  # at the equator cells have one area, up to 0.01 %
UNITS = gpd.GeoDataFrame(
    {"area_km2": [1000.0, 500.0]},
    geometry=[shapely.box(44.0, 0.6, 44.4, 1.0), shapely.box(44.4, 0.6, 44.8, 1.0)],
    index=pd.Index(["P1", "P2"], name="pcode"),
    crs="EPSG:4326",
)
WEIGHTS = zonal_weights(GRID, UNITS)
OK, SHORT, MISSING = (int(s) for s in (Status.ok, Status.insufficient_data, Status.input_missing))


def _codes(*images, first="2019-01-01", freq="MS"):
    lat, lon = cell_centres(GRID)
    times = pd.date_range(first, periods=len(images), freq=freq, unit="ns")
    values = np.stack([np.broadcast_to(np.asarray(image, "float32"), (4, 8)) for image in images])
    return xr.DataArray(
        values,
        dims=("time", "lat", "lon"),
        coords={"time": times, "lat": lat, "lon": lon},
        attrs={"units": "1", "long_name": "Open water", "crs": "EPSG:4326"},
    )


def _image(left, right):
    """Codes of the 16 cells of each unit, in any order."""
    return np.concatenate([np.reshape(left, (4, 4)), np.reshape(right, (4, 4))], axis=1)


# ------------------------------------------------------------------ area


def test_water_is_scaled_to_the_part_that_was_not_seen():
    """P1: 4 of 16 cells water, all seen: 250 of 1000 km2. P2: 6 of the 12 cells seen: half of 500 km2."""
    raster = _codes(_image([2] * 4 + [1] * 12, [2] * 6 + [1] * 6 + [0] * 4))
    water = water_by_subdistrict(raster, WEIGHTS, UNITS["area_km2"])
    assert water["value"].values[0].tolist() == pytest.approx([250.0, 250.0], rel=1e-4)
    assert water["coverage"].values[0].tolist() == pytest.approx([1.0, 0.75], rel=1e-4)
    assert water["status"].values[0].tolist() == [OK, OK]
    assert water["value"].attrs["units"] == "km2"
    assert water["value"].dims == ("time", "pcode")


def test_too_little_seen_is_insufficient_and_nothing_seen_is_missing():
    raster = _codes(_image([2] * 11 + [0] * 5, [0] * 16), _image([2] * 12 + [np.nan] * 4, [np.nan] * 16))
    water = water_by_subdistrict(raster, WEIGHTS, UNITS["area_km2"])
    assert water["status"].values.tolist() == [[SHORT, MISSING], [OK, MISSING]]
    assert water["value"].isnull().values.tolist() == [[True, True], [False, True]]
    assert water["coverage"].values[0].tolist() == pytest.approx([11 / 16, 0.0], rel=1e-4)
    less = water_by_subdistrict(raster, WEIGHTS, UNITS["area_km2"], min_observed_share=0.6)
    assert less["status"].values.tolist() == [[OK, MISSING], [OK, MISSING]]


def test_no_water_seen_is_no_water_and_not_missing():
    water = water_by_subdistrict(_codes(1), WEIGHTS, UNITS["area_km2"])
    assert water["value"].values.tolist() == [[0.0, 0.0]]
    assert water["status"].values.tolist() == [[OK, OK]]


def test_a_unit_within_a_cell_says_that_it_is_coarse():
    small = UNITS.assign(geometry=[shapely.box(44.01, 0.61, 44.09, 0.69), UNITS.geometry.iloc[1]])
    water = water_by_subdistrict(_codes(2), zonal_weights(GRID, small), small["area_km2"])
    assert water["status"].values.tolist() == [[int(Status.resolution_limited), OK]]
    assert water["value"].values[0, 0] == pytest.approx(1000.0)


@settings(max_examples=40)
@given(st.lists(st.sampled_from([0, 1, 2, np.nan]), min_size=32, max_size=32))
def test_water_and_land_and_the_unseen_are_the_whole_unit(codes):
    """Land is the water of the same map with its two classes exchanged."""
    raster = _codes(np.reshape(codes, (4, 8)))
    exchanged = xr.where(raster == 1, 2, xr.where(raster == 2, 1, raster)).assign_attrs(raster.attrs)
    areas = UNITS["area_km2"]
    water, land = (water_by_subdistrict(r, WEIGHTS, areas, 0.5) for r in (raster, exchanged))
    seen = water["coverage"].values[0]
    unseen = areas.to_numpy() * (1 - seen)
    parts = (water["value"].values[0] + land["value"].values[0]) * seen + unseen
    kept = water["status"].values[0] == OK
    assert parts[kept] == pytest.approx(areas.to_numpy()[kept], rel=1e-9)
    assert (water["status"].values == land["status"].values).all()
    assert (kept == (seen >= 0.5)).all()


def test_blocks_change_nothing():
    raster = _codes(*np.random.default_rng(0).integers(0, 3, (6, 4, 8)))
    plain = water_by_subdistrict(raster, WEIGHTS, UNITS["area_km2"], 0.5)
    for chunks in ({"time": 1}, {"time": 4, "lat": 2, "lon": 3}):
        assert plain.identical(water_by_subdistrict(raster.chunk(chunks), WEIGHTS, UNITS["area_km2"], 0.5))


def test_areas_of_other_subdistricts_and_shares_below_the_half_are_refused():
    for areas in (UNITS["area_km2"][::-1], UNITS["area_km2"][:1]):
        with pytest.raises(ContractError, match="other subdistricts"):
            water_by_subdistrict(_codes(1), WEIGHTS, areas)
    for share in (0.3, 1.1):
        with pytest.raises(ContractError, match="min_observed_share"):
            water_by_subdistrict(_codes(1), WEIGHTS, UNITS["area_km2"], share)


# ------------------------------------------------------------------ occurrence

WET = (4, 4, 4, 3, 2, 0, 0, 0, 0, 1, 2, 3)  # detections of water in each month of the year
SEEN = (4, 5, 4, 4, 8, 9, 10, 10, 9, 8, 5, 4)  # valid observations: winters are cloudy


def _history():
    """Ten years in which one cell was seen SEEN times in each month, WET times under water."""
    codes = np.zeros((10, 12), "float32")
    for month in range(12):
        codes[: SEEN[month], month] = 1
        codes[: WET[month], month] = 2
    return _codes(*codes.ravel(), first="2010-01-01")


def test_occurrence_weighs_months_and_not_observations():
    """By hand: 4/4 + 4/5 + 4/4 + 3/4 + 2/8 + 0 + 0 + 0 + 0 + 1/8 + 2/5 + 3/4 = 5.075, over 12 months 42.29 %;
    23 of all 80 observations would be 28.75 %."""
    occurrence = month_weighted_occurrence(_history())
    assert occurrence.values == pytest.approx(np.full((4, 8), 100 * 5.075 / 12), rel=1e-6)
    assert 100 * sum(WET) / sum(SEEN) == pytest.approx(28.75)
    assert occurrence.dims == ("lat", "lon")
    assert occurrence.attrs["units"] == "%"
    assert np.allclose(month_weighted_occurrence(_history().chunk(time=7)).values, occurrence.values, rtol=1e-12)


def test_a_month_never_seen_leaves_a_cell_without_occurrence_unless_that_is_allowed():
    history = _history()
    history[:, 0, 0] = history[:, 0, 0].where(history["time"].dt.month != 2, 0.0)
    occurrence = month_weighted_occurrence(history)
    assert occurrence.isnull().values.ravel().tolist() == [True] + [False] * 31
    assert month_weighted_occurrence(history, min_months=11)[0, 0].item() == pytest.approx(100 * (5.075 - 0.8) / 11)


@given(st.lists(st.sampled_from([1, 2]), min_size=12, max_size=12), st.integers(1, 4))
def test_where_each_month_is_seen_equally_often_both_ways_agree(codes, times):
    history = _codes(*(list(codes) * times))
    assert month_weighted_occurrence(history)[0, 0].item() == pytest.approx(100 * codes.count(2) / 12, abs=1e-4)


def _map(*cells):
    """Occurrence, %, of the 16 cells of each unit, in any order."""
    return _codes(_image(*cells)).assign_attrs(units="%", long_name="Occurrence")


def test_usual_water_is_the_mean_occurrence_of_the_ground_and_its_steadiness_stands_beside():
    """P1, 62.5 km2 a cell: four at 100 %, two at 90 %, four at 50 %, one at 10 %, one at 9 %, four dry: 7.99 cells of
    water in the mean, six permanent, five changing. P2, 31.25 km2: all dry."""
    occurrence = _map([100] * 4 + [90] * 2 + [50] * 4 + [10] + [9] + [0] * 4, [0] * 16)
    areas = occurrence_by_subdistrict(occurrence, WEIGHTS, UNITS["area_km2"])
    assert areas["value"].values[0].tolist() == pytest.approx([7.99 * 62.5, 0.0], rel=1e-4)
    assert areas["permanent"].values[0].tolist() == pytest.approx([6 * 62.5, 0.0], rel=1e-4)
    assert areas["changing"].values[0].tolist() == pytest.approx([5 * 62.5, 0.0], rel=1e-4)
    assert areas["status"].values[0].tolist() == [OK, OK]
    assert {areas[name].attrs["units"] for name in ("value", "permanent", "changing")} == {"km2"}


def test_ground_of_unknown_occurrence_is_neither_wet_nor_dry():
    """P1: four cells under water, eight dry, four unknown: a third of 1000 km2. P2: under 70 % seen."""
    nan = np.nan
    occurrence = _map([100] * 4 + [0] * 8 + [nan] * 4, [100] * 11 + [nan] * 5)
    areas = occurrence_by_subdistrict(occurrence, WEIGHTS, UNITS["area_km2"])
    for name, expected in (("value", 1000 / 3), ("permanent", 1000 / 3), ("changing", 0.0)):
        assert areas[name].values[0, 0] == pytest.approx(expected, rel=1e-4, abs=1e-6)
        assert np.isnan(areas[name].values[0, 1])
    assert areas["coverage"].values[0].tolist() == pytest.approx([0.75, 11 / 16], rel=1e-4)
    assert areas["status"].values[0].tolist() == [OK, SHORT]
    unseen = occurrence_by_subdistrict(_map([nan] * 16, [5] * 16), WEIGHTS, UNITS["area_km2"])
    assert unseen["status"].values[0].tolist() == [MISSING, OK]
    assert unseen["value"].isnull().values[0].tolist() == [True, False]


@settings(max_examples=40)
@given(st.lists(st.one_of(st.just(np.nan), st.integers(0, 100).map(float)), min_size=32, max_size=32))
def test_permanent_water_bounds_usual_water_and_all_of_it_fits_in_the_unit(cells):
    """0.9 permanent + 0.1 changing <= usual <= permanent + 0.9 changing + 0.1 of the rest; no more than the unit."""
    occurrence = _codes(np.reshape(cells, (4, 8)))
    areas = UNITS["area_km2"]
    found = occurrence_by_subdistrict(occurrence, WEIGHTS, areas, 0.5).isel(time=0)
    kept = found["status"].values == OK
    usual, permanent, changing = (found[name].values[kept] for name in ("value", "permanent", "changing"))
    whole = areas.to_numpy()[kept]
    assert (permanent + changing <= whole * (1 + 1e-6)).all()
    assert (usual >= 0.9 * permanent + 0.1 * changing - 1e-3).all()
    assert (usual <= permanent + 0.9 * changing + 0.1 * (whole - permanent - changing) + 1e-3).all()


def test_the_mean_of_a_history_s_occurrence_is_its_mean_share_of_water():
    """Of codes all seen: usual water of their occurrence is the mean over the months of `water_by_subdistrict`."""
    rng = np.random.default_rng(3)
    history = _codes(*rng.integers(1, 3, (24, 4, 8)))
    occurrence = month_weighted_occurrence(history).expand_dims(time=history["time"][-1:])
    usual = occurrence_by_subdistrict(occurrence, WEIGHTS, UNITS["area_km2"])["value"].values[0]
    monthly = water_by_subdistrict(history, WEIGHTS, UNITS["area_km2"])["value"].mean("time").values
    assert usual == pytest.approx(monthly, rel=1e-5)
    assert grid_of(history) == GRID
