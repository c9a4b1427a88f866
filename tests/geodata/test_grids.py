"""Grids, read from coordinates."""

import numpy as np
import pyproj
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from geodata.grids import (
    cell_centres,
    grid_from_centres,
    grid_of,
    is_geographic_wgs84,
    north_first,
    row_areas,
    rows_and_columns,
    same_pixels,
    west_first,
)
from geodata.schema import ContractError, GridSpec

IRAQ = GridSpec("EPSG:4326", 38.0, 38.0, 0.25, 0.25, 46, 38)

grids = st.builds(
    GridSpec,
    st.just("EPSG:4326"),
    st.floats(-170, 100).map(lambda v: round(v, 3)),
    st.floats(-20, 80).map(lambda v: round(v, 3)),
    st.sampled_from([0.05, 0.25, 1 / 24, 0.5]).map(lambda v: round(v, 10)),
    st.sampled_from([0.05, 0.25, 0.5]),
    st.integers(2, 60),
    st.integers(2, 60),
)


@given(grids)
def test_a_grid_survives_being_written_as_coordinates(grid):
    """grid -> cell centres -> grid is the identity."""
    lat, lon = cell_centres(grid)
    assert grid_from_centres(lat, lon) == grid


def test_grid_of_reads_coordinates_and_crs_of_a_raster():
    lat, lon = cell_centres(IRAQ)
    raster = xr.DataArray(np.zeros((38, 46)), coords={"lat": lat, "lon": lon}, dims=("lat", "lon"))
    assert grid_of(raster) == IRAQ
    # A subset has its own edges: labels stay with cells.
    part = grid_of(raster.isel(lat=slice(4, 8), lon=slice(10, 12)))
    assert (part.west, part.north, part.width, part.height) == (40.5, 37.0, 2, 4)


@pytest.mark.parametrize(
    ("lat", "lon", "message"),
    [
        ([1.0, 2.0, 3.0], [0.0, 1.0], "latitudes run unevenly"),  # south first
        ([3.0, 2.0, 0.5], [0.0, 1.0], "latitudes run unevenly"),
        ([3.0, 2.0, 1.0], [0.0, 1.0, 3.0], "longitudes run unevenly"),
        ([3.0], [1.0], "at least two"),
    ],
)
def test_coordinates_that_are_no_grid_are_refused(lat, lon, message):
    with pytest.raises(ContractError, match=message):
        grid_from_centres(np.array(lat), np.array(lon))


def test_wrong_dims_are_refused():
    with pytest.raises(ContractError, match="expected"):
        grid_of(xr.DataArray(np.zeros((2, 2)), dims=("lon", "lat")))


def test_a_value_stays_at_its_place_when_longitudes_are_wrapped():
    """The value at 161 W is the one the file keeps at 199 E."""
    lon = np.arange(0.5, 360.0, 1.0)
    values = lon.copy()  # each cell holds its own longitude, east of Greenwich
    order, wrapped = west_first(lon)
    at = np.argmin(abs(wrapped - (-160.5)))
    assert values[order][at] == 199.5
    assert values[order][np.argmin(abs(wrapped - 44.5))] == 44.5
    assert np.allclose(np.diff(wrapped), 1.0)


def test_a_grid_that_ends_at_180_east_is_not_wrapped():
    lon = np.arange(-179.5, 180.1, 0.5)
    assert west_first(lon)[1].max() == 180.0


def test_a_value_stays_at_its_place_when_rows_are_turned():
    lat = np.array([10.0, 20.0, 30.0])
    assert lat[north_first(lat)].tolist() == [30.0, 20.0, 10.0]


def test_row_areas_follow_the_sphere():
    """A cell at 60 degrees has half the area of one at the equator; all rows add up to the sphere."""
    rows = row_areas(GridSpec("EPSG:4326", -180, 90, 1.0, 1.0, 360, 180))
    assert rows[89] == pytest.approx(1.0, abs=1e-4)
    assert row_areas(GridSpec("EPSG:4326", 0, 60.005, 0.01, 0.01, 2, 1))[0] == pytest.approx(0.5, abs=1e-6)
    assert rows.sum() * 2 * np.sin(np.radians(0.5)) == pytest.approx(2.0, abs=1e-12)


def test_grids_are_the_same_up_to_a_hundredth_of_a_cell():
    near = GridSpec("EPSG:4326", 38.001, 38.0, 0.25, 0.25, 46, 38)
    half_a_cell = GridSpec("EPSG:4326", 38.125, 38.0, 0.25, 0.25, 46, 38)
    assert same_pixels(IRAQ, near)
    assert not same_pixels(IRAQ, half_a_cell)


@given(st.floats(38.1, 48), st.floats(28.6, 37), st.floats(0.01, 1), st.floats(0.01, 1))
def test_rows_and_columns_hold_all_that_bounds_touch(west, south, dx, dy):
    """Clipped cells cover the bounds, and no whole row or column of them lies outside."""
    rows, columns = rows_and_columns(IRAQ, (west, south, west + dx, south + dy))
    assert IRAQ.west + columns.start * 0.25 <= west + 1e-6
    assert IRAQ.west + columns.stop * 0.25 >= min(west + dx, 49.5) - 1e-6
    assert IRAQ.north - rows.stop * 0.25 <= south + 1e-6
    assert IRAQ.north - rows.start * 0.25 >= south + dy - 1e-6
    assert (columns.stop - columns.start) * 0.25 <= dx + 0.5 + 1e-6
    assert (rows.stop - rows.start) * 0.25 <= dy + 0.5 + 1e-6


def test_bounds_beside_the_grid_give_nothing():
    rows, columns = rows_and_columns(IRAQ, (0.0, 0.0, 1.0, 1.0))
    assert len(range(*rows.indices(38))) * len(range(*columns.indices(46))) == 0


@pytest.mark.parametrize(
    ("crs", "fit"),
    [("EPSG:4326", True), ("OGC:CRS84", True), ("EPSG:32638", False), ("EPSG:4267", False), ("EPSG:4258", True)],
)
def test_only_latitude_and_longitude_on_wgs84_are_fit(crs, fit):
    """UTM 38N is in metres; NAD27 lies on another ellipsoid; ETRS89 is WGS84 within two metres."""
    assert is_geographic_wgs84(pyproj.CRS(crs)) is fit


def test_a_sphere_is_read_as_latitude_and_longitude():
    crs = pyproj.CRS.from_cf({"grid_mapping_name": "latitude_longitude", "earth_radius": 6371229.0})
    assert is_geographic_wgs84(crs)
