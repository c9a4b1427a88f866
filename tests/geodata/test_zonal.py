"""Zonal statistics against answers that can be worked out on paper."""

import math

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from geodata.grids import cell_centres, grid_of, row_areas
from geodata.schema import ContractError, GridSpec, Status
from geodata.zonal import shared_cells, zonal_mean, zonal_sum, zonal_weights


def _units(*shapes, codes=None):
    index = pd.Index(codes or [f"U{i:03d}" for i in range(len(shapes))], name="pcode")
    return gpd.GeoDataFrame(geometry=list(shapes), index=index, crs="EPSG:4326")


def _raster(values, *, north=10.0, west=0.0, cell=1.0, units="mm/month"):
    """Raster (time, lat, lon) from an array of the same shape; one image may come without time."""
    values = np.asarray(values, dtype="float32")
    values = values if values.ndim == 3 else values[np.newaxis]
    lat, lon = cell_centres(GridSpec("EPSG:4326", west, north, cell, cell, values.shape[2], values.shape[1]))
    months = pd.date_range("2000-01-01", periods=values.shape[0], freq="MS")
    return xr.DataArray(
        values,
        dims=("time", "lat", "lon"),
        coords={"time": months, "lat": lat, "lon": lon},
        name="rain",
        attrs={"units": units, "long_name": "rain", "crs": "EPSG:4326"},
    )


def _mean(raster, *shapes):
    return zonal_mean(raster, zonal_weights(grid_of(raster), _units(*shapes)))


# A raster 0..99, row by row from the north. A cell is 0.001 degree wide and lies at the equator, so
# that the areas of cells differ by less than any tolerance here.
UNIT = 0.001
HUNDRED = _raster(np.arange(100.0).reshape(10, 10), north=5 * UNIT, west=0.0, cell=UNIT)


def _at(x0, y0, x1, y1):
    """Box in units of cells from the south-west corner of HUNDRED."""
    return shapely.box(x0 * UNIT, (y0 - 5) * UNIT, x1 * UNIT, (y1 - 5) * UNIT)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (_at(2, 4, 4, 6), np.mean([42, 43, 52, 53])),
        (_at(0, 0, 10, 10), 49.5),
        (_at(7.5, 6, 8.5, 7), 37.5),  # half of cell 37 and half of 38
        # a fifth of a cell wide and high, inside cell 4, and half in cell 4 and half in 5
        (_at(4.4, 9.4, 4.6, 9.6), 4.0),
        (_at(4.9, 9.4, 5.1, 9.6), 4.5),
    ],
    ids=["aligned box", "whole raster", "half cells", "tiny", "tiny across an edge"],
)
def test_a_box_has_the_mean_of_what_it_covers(shape, expected):
    assert _mean(HUNDRED, shape).value.item() == pytest.approx(expected, abs=1e-6)


def test_the_boxes_and_the_triangle_of_the_methods():
    """Aligned box 52.5, half-cell box 37.5, triangle of area 2 with sum 119.5."""
    box = _at(2, 4, 4, 5)  # cells 52 and 53
    half = _at(7, 6, 9, 6.5)  # the southern halves of cells 37 and 38
    assert _mean(HUNDRED, box).value.item() == pytest.approx(52.5, abs=1e-6)
    assert _mean(HUNDRED, half).value.item() == pytest.approx(37.5, abs=1e-6)
    corners = np.array([(2, 3), (4, 3), (2, 5)])  # all of cell 62, half of 63, half of 52
    triangle = shapely.Polygon((corners - [0, 5]) * UNIT)
    weights = zonal_weights(grid_of(HUNDRED), _units(triangle))
    assert weights.fractions.sum() == pytest.approx(2.0, abs=1e-6)
    assert zonal_sum(HUNDRED, weights).value.item() == pytest.approx(119.5, abs=1e-6)


def test_the_covered_area_of_a_circle_is_its_area():
    """Radius 2.3 cells, drawn with 1024 corners: 16.61892 cells, 1e-4 less than the true circle."""
    circle = shapely.Point(5 * UNIT, 0.0).buffer(2.3 * UNIT, quad_segs=256)
    covered = zonal_weights(grid_of(HUNDRED), _units(circle)).fractions.sum()
    assert covered == pytest.approx(512 * 2.3**2 * np.sin(2 * np.pi / 1024), abs=1e-6)
    assert covered == pytest.approx(16.61892, abs=2e-6)


def test_the_covered_area_of_a_tiny_box_is_its_area():
    fractions = zonal_weights(grid_of(HUNDRED), _units(_at(4.9, 9.4, 5.1, 9.6))).fractions
    assert fractions.sum() == pytest.approx(0.04, abs=1e-6)
    assert sorted(fractions.indices) == [4, 5]


def test_the_mean_latitude_of_a_box_is_that_of_the_sphere():
    """39-48 E, 29-37.5 N: 33.18108 degrees, where cells counted alike would give 33.25."""
    lat, lon = cell_centres(GridSpec("EPSG:4326", 38, 38.5, 0.25, 0.25, 44, 40))
    raster = _raster(np.repeat(lat[:, np.newaxis], lon.size, axis=1), north=38.5, west=38.0, cell=0.25)
    mean = _mean(raster, shapely.box(39, 29, 48, 37.5)).value.item()
    assert mean == pytest.approx(33.18108, abs=2e-4)
    assert abs(mean - 33.25) > 0.06


@settings(max_examples=40)
@given(st.floats(0.2, 6), st.floats(-3, 3), st.floats(0.3, 3), st.floats(0.3, 1.9))
def test_a_raster_of_longitudes_has_the_longitude_of_the_centroid(x, y, width, height):
    """Half a cell of misalignment would show as half a cell of longitude."""
    lon = cell_centres(GridSpec("EPSG:4326", 0, 5, 0.1, 0.1, 100, 100))[1]
    raster = _raster(np.repeat(lon[np.newaxis], 100, axis=0), north=5.0, cell=0.1)
    # Snapped to cell edges: inside a cell cut in two all values are one.
    x0, y0, x1, y1 = (round(v, 1) for v in (x, y, x + width, y + height))
    assert _mean(raster, shapely.box(x0, y0, x1, y1)).value.item() == pytest.approx((x0 + x1) / 2, abs=1e-5)


def test_a_missing_cell_is_left_out_and_shows_in_the_coverage():
    values = np.array([[1.0, 3.0], [np.nan, np.nan]])
    found = _mean(_raster(values, north=UNIT, cell=UNIT), shapely.box(0, -UNIT, 2 * UNIT, UNIT))
    assert found.value.item() == 2.0
    assert found.coverage.item() == pytest.approx(0.5, abs=1e-9)
    assert found.status.item() == Status.resolution_limited


@pytest.mark.parametrize(
    ("covered", "status"),
    [
        (10, "ok"),
        (8, "ok"),
        (7, "resolution_limited"),
        (5, "resolution_limited"),
        (4, "insufficient_data"),
        (0, "input_missing"),
    ],
)
def test_the_mean_of_a_part_is_shown_with_its_caution_and_that_of_less_than_half_not_at_all(covered, status):
    """Of ten cells: at 0.8 of the unit the mean stands for it, from 0.5 on it is flagged (METHODS 8.1)."""
    values = np.full((2, 5), np.nan)
    values.flat[:covered] = 7.0
    found = _mean(_raster(values, north=UNIT, cell=UNIT), shapely.box(0, -UNIT, 5 * UNIT, UNIT))
    assert Status(found.status.item()).name == status
    assert bool(found.value.notnull()) == (covered >= 5)
    assert found.coverage.item() == pytest.approx(covered / 10, abs=1e-9)


def test_a_unit_outside_the_raster_keeps_its_row_and_says_input_missing():
    """Same index out as in: nothing is dropped, nothing shifts."""
    raster = _raster(np.ones((4, 4)), north=4.0)
    units = _units(
        shapely.box(100, 0, 101, 1), shapely.box(0, 0, 4, 4), shapely.box(-9, -9, -8, -8), codes=["C", "A", "B"]
    )
    found = zonal_mean(raster, zonal_weights(grid_of(raster), units))
    assert found.pcode.values.tolist() == ["C", "A", "B"]
    assert found.status.values.tolist() == [[Status.input_missing, Status.ok, Status.input_missing]]
    assert np.isnan(found.value.values[0, [0, 2]]).all()


def test_what_lies_beyond_the_edge_of_the_raster_is_not_covered():
    """A box of which a quarter lies on the raster: coverage 0.25, no value."""
    raster = _raster(np.ones((4, 4)), north=4 * UNIT, cell=UNIT)
    corner = shapely.box(-2 * UNIT, -2 * UNIT, 2 * UNIT, 2 * UNIT)
    found = _mean(raster, corner)
    assert found.coverage.item() == pytest.approx(0.25, abs=1e-6)
    assert found.status.item() == Status.insufficient_data


def test_a_raster_coarser_than_the_unit_says_so_and_keeps_the_value():
    raster = _raster(np.arange(16.0).reshape(4, 4), north=4.0)
    small, large = shapely.box(0.2, 0.2, 0.6, 0.6), shapely.box(0, 0, 4, 4)
    weights = zonal_weights(grid_of(raster), _units(small, large))
    found = zonal_mean(raster, weights)
    assert found.status.values.tolist() == [[Status.resolution_limited, Status.ok]]
    assert weights.n_eff[0] == pytest.approx(1.0)
    assert weights.n_eff[1] == pytest.approx(16.0, rel=1e-3)


def test_units_in_one_cell_are_one_cluster():
    raster = _raster(np.zeros((4, 4)), north=4.0)
    a, b = shapely.box(0.1, 0.1, 0.3, 0.3), shapely.box(0.5, 0.5, 0.9, 0.9)
    other, large, outside = shapely.box(2.1, 2.1, 2.2, 2.2), shapely.box(0, 0, 4, 4), shapely.box(50, 50, 51, 51)
    clusters = shared_cells(zonal_weights(grid_of(raster), _units(a, b, other, large, outside)))
    assert clusters[0] == clusters[1] == 12  # first cell of the last row
    assert clusters[2] not in (-1, 12)
    assert clusters[3:].tolist() == [-1, -1]


def _partition(seed, n=12):
    """Random polygons that fill 0..8 x 0..8 without gap or overlap."""
    points = np.random.default_rng(seed).uniform(0, 8, (n, 2))
    cells = shapely.get_parts(shapely.voronoi_polygons(shapely.multipoints(points), extend_to=shapely.box(0, 0, 8, 8)))
    return [shapely.intersection(cell, shapely.box(0, 0, 8, 8)) for cell in cells]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_sums_over_a_partition_are_the_total_of_the_raster(seed):
    """People are neither lost nor made: 1e-6."""
    people = np.random.default_rng(seed).gamma(0.5, 100.0, (3, 8, 8))
    raster = _raster(people, north=8.0, units="1")
    found = zonal_sum(raster, zonal_weights(grid_of(raster), _units(*_partition(seed))))
    total = raster.astype("float64").sum(("lat", "lon")).values
    assert np.allclose(found.value.sum("pcode").values, total, rtol=1e-6)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_area_weighted_means_over_a_partition_give_the_mean_of_the_whole(seed):
    raster = _raster(np.random.default_rng(seed).normal(size=(1, 8, 8)), north=8.0)
    weights = zonal_weights(grid_of(raster), _units(*_partition(seed)))
    whole = zonal_weights(grid_of(raster), _units(shapely.box(0, 0, 8, 8)))
    # Units in one or two cells keep their value, so all count.
    means = zonal_mean(raster, weights).value.values[0]
    mean = np.average(means, weights=weights.polygon_cells)
    assert mean == pytest.approx(zonal_mean(raster, whole).value.item(), abs=1e-6)


def test_a_sum_over_no_cell_is_unknown_not_zero():
    raster = _raster(np.full((2, 2), np.nan), north=2.0, units="1")
    weights = zonal_weights(grid_of(raster), _units(shapely.box(0, 0, 2, 2)))
    assert np.isnan(zonal_sum(raster, weights).value.item())
    assert zonal_sum(raster, weights, absent_is_zero=True).value.item() == 0.0


def test_empty_cells_count_as_nobody_only_if_the_product_says_so():
    people = np.array([[100.0, np.nan], [np.nan, np.nan]])
    raster = _raster(people, north=2.0, units="1")
    weights = zonal_weights(grid_of(raster), _units(shapely.box(0, 0, 2, 2)))
    assert zonal_sum(raster, weights).status.item() == Status.insufficient_data
    assert zonal_sum(raster, weights, absent_is_zero=True).value.item() == pytest.approx(100.0)


def test_a_sum_over_part_of_a_unit_is_not_given():
    """10 cells of 1,000 people, 4 of them unknown: 6,000 is not the unit's residents, though a mean would stand."""
    counts = np.full((1, 1, 10), 1000.0)
    counts[0, 0, 6:] = np.nan
    raster = _raster(counts, units="people")
    weights = zonal_weights(grid_of(raster), _units(shapely.box(0, 9, 10, 10)))
    found = zonal_sum(raster, weights)
    assert np.isnan(found.value.item())
    assert found.status.item() == Status.insufficient_data
    assert zonal_mean(raster, weights).value.item() == pytest.approx(1000.0)


# ------------------------------------------------------------------ laws


def _with_gaps(rng, n=70):
    """Images of a sea: the same gaps for a while, then none, one more, all, and gaps that differ each time."""
    values = rng.gamma(0.5, 30.0, (n, 8, 8))
    sea = rng.random((8, 8)) < 0.2
    values[:20, sea] = np.nan
    values[31, 4, 4] = np.inf
    values[33] = np.nan
    values[40:][rng.random((n - 40, 8, 8)) < 0.1] = np.nan
    return _raster(values, north=8.0)


@pytest.mark.parametrize("chunks", [None, {"time": 1}, {"time": 7}, {"time": -1}, {"time": 5, "lat": 3, "lon": 4}])
@pytest.mark.parametrize("statistic", [zonal_mean, zonal_sum])
def test_chunks_and_threads_change_no_bit(chunks, statistic):
    """Equal bit for bit to one image at a time, in one thread, whatever the chunks in time and space."""
    raster = _with_gaps(np.random.default_rng(0))
    weights = zonal_weights(grid_of(raster), _units(*_partition(3, 20)))
    single = [statistic(raster.isel(time=[i]), weights) for i in range(raster.sizes["time"])]
    found = statistic(raster if chunks is None else raster.chunk(chunks), weights)
    for name in ("value", "coverage", "status"):
        expected = np.concatenate([s[name].values for s in single])
        assert np.array_equal(found[name].values, expected, equal_nan=True), name


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_a_mean_is_the_exact_sum_over_the_cells_that_have_a_value(seed):
    """sum(f a v) / sum(f a) by exact summation, cell by cell, 1e-9; an infinite value is none."""
    rng = np.random.default_rng(seed)
    raster = _with_gaps(rng, 44).isel(time=slice(int(rng.integers(0, 40)), None))
    weights = zonal_weights(grid_of(raster), _units(*_partition(seed, 6)))
    found = zonal_mean(raster, weights)
    dense = weights.matrix.toarray()
    for image, means, coverage in zip(raster.values, found.value.values, found.coverage.values, strict=True):
        cells = image.astype("float64").ravel()
        here = np.isfinite(cells)
        for unit in range(len(dense)):
            total = math.fsum(dense[unit][here])
            assert coverage[unit] == pytest.approx(min(total / weights.polygon_cells[unit], 1.0), rel=1e-9)
            if coverage[unit] < 0.5:
                assert np.isnan(means[unit])
            else:
                expected = math.fsum(dense[unit][here] * cells[here]) / total
                assert means[unit] == pytest.approx(expected, rel=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(-40, 40))
def test_a_country_moved_east_with_its_rain_has_the_same_means(seed, cells):
    raster = _raster(np.random.default_rng(seed).gamma(0.5, 30.0, (2, 8, 8)), north=8.0)
    units = _units(*_partition(seed))
    moved = raster.assign_coords(lon=raster["lon"] + cells)
    there = zonal_mean(moved, zonal_weights(grid_of(moved), units.translate(xoff=cells).to_frame("geometry")))
    here = zonal_mean(raster, zonal_weights(grid_of(raster), units))
    # The share of a cell is kept as float32, and the corners of the units are rounded anew.
    np.testing.assert_allclose(there.value, here.value, rtol=1e-5, atol=1e-5)


def test_rain_moved_by_half_a_cell_is_not_taken_for_the_same():
    """The guard of the law above: the same numbers half a cell east have other means."""
    raster = _raster(np.random.default_rng(0).gamma(0.5, 30.0, (2, 8, 8)), north=8.0)
    units = _units(*_partition(0))
    moved = raster.assign_coords(lon=raster["lon"] + 0.5)
    there = zonal_mean(moved, zonal_weights(grid_of(moved), units))
    assert (abs(there.value - zonal_mean(raster, zonal_weights(grid_of(raster), units)).value) > 0.1).any()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(-1000, 1000), st.floats(0.001, 1000))
def test_a_mean_follows_the_scale_and_the_zero_of_its_raster(seed, offset, factor):
    raster = _raster(np.random.default_rng(seed).gamma(0.5, 30.0, (2, 8, 8)), north=8.0).astype("float64")
    weights = zonal_weights(grid_of(raster), _units(*_partition(seed)))
    found = zonal_mean((raster * factor + offset).assign_attrs(raster.attrs), weights)
    expected = zonal_mean(raster, weights).value * factor + offset
    np.testing.assert_allclose(found.value, expected, rtol=1e-9, atol=1e-9 * (abs(offset) + factor))


def test_a_record_without_an_image_has_no_means():
    raster = _raster(np.ones((3, 4, 4)), north=4.0)
    weights = zonal_weights(grid_of(raster), _units(shapely.box(0, 0, 1, 1)))
    assert zonal_mean(raster.isel(time=slice(0)), weights).value.shape == (0, 1)


# ------------------------------------------------------------------ what is refused, and what comes through


def test_weights_of_another_grid_are_refused():
    raster = _raster(np.ones((4, 4)), north=4.0)
    weights = zonal_weights(grid_of(raster), _units(shapely.box(0, 0, 1, 1)))
    with pytest.raises(ContractError, match="weights are for"):
        zonal_mean(_raster(np.ones((4, 4)), north=4.5), weights)
    with pytest.raises(ContractError, match="expected \\('time', 'lat', 'lon'\\)"):
        zonal_mean(raster.transpose("lat", "lon", "time"), weights)


def test_another_crs_is_refused():
    raster = _raster(np.ones((4, 4)), north=4.0)
    with pytest.raises(ContractError, match="expected EPSG:4326"):
        zonal_weights(grid_of(raster), _units(shapely.box(0, 0, 1, 1)).to_crs("EPSG:3857"))


def test_units_and_names_come_through():
    found = _mean(HUNDRED, _at(0, 0, 5, 5))
    assert found.value.attrs == {"units": "mm/month", "long_name": "rain", "cell_methods": "area: mean"}
    assert found.status.dtype == np.int8


def _country(rng, n=300):
    """About 300 units with winding borders over 39..50 E, 29..39 N."""
    points = rng.uniform((39, 29), (50, 39), (n, 2))
    frame = shapely.box(39, 29, 50, 39)
    cells = shapely.get_parts(shapely.voronoi_polygons(shapely.multipoints(points), extend_to=frame))
    return _units(*(shapely.segmentize(shapely.intersection(cell, frame), 0.02) for cell in cells))


@pytest.mark.slow
def test_means_of_many_units_equal_those_of_xvec():
    """300 units on 200 x 220 cells, some empty; speed is shown by `make bench`."""
    import rioxarray  # noqa: F401  (accessor)
    import xvec  # noqa: F401  (accessor)

    rng = np.random.default_rng(1)
    values = rng.gamma(0.5, 30.0, (44, 200, 220)).astype("float32")
    values[:, rng.random((200, 220)) < 0.02] = np.nan
    raster = _raster(values, north=39.0, west=39.0, cell=0.05)
    units = _country(rng)
    part = raster.rename(lat="y", lon="x").rio.write_crs("EPSG:4326")
    theirs = part.xvec.zonal_stats(units.geometry, "x", "y", stats="mean", method="exactextract")
    # xvec weighs all cells of a unit alike: compare where area does not matter, by flattening it out.
    flat = _unweighted(raster, units)
    assert np.allclose(flat, theirs.transpose("time", ...).values.reshape(44, -1), rtol=1e-6, atol=1e-6)


def _unweighted(raster, units):
    """Mean by fraction alone, from the same weights."""
    weights = zonal_weights(grid_of(raster), units)
    cells = raster.values.reshape(raster.shape[0], -1).T.astype("float64")
    has_value = ~np.isnan(cells)
    return ((weights.fractions @ np.where(has_value, cells, 0.0)) / (weights.fractions @ has_value.astype("float64"))).T


def test_means_equal_those_of_exactextract_with_cell_areas():
    """The same means from exactextract's own weighted mean, image by image."""
    import exactextract
    from exactextract.raster import NumPyRasterSource

    rng = np.random.default_rng(2)
    values = rng.gamma(0.5, 30.0, (1, 40, 44)).astype("float32")
    raster = _raster(values, north=39.0, west=39.0, cell=0.25)
    units = _country(rng, 60)
    grid = grid_of(raster)
    west, south, east, north = grid.bounds
    area = np.repeat(row_areas(grid)[:, np.newaxis], grid.width, axis=1)
    theirs = exactextract.exact_extract(
        NumPyRasterSource(values[0].astype("float64"), west, south, east, north),
        units.reset_index(),
        "weighted_mean",
        weights=NumPyRasterSource(area, west, south, east, north),
        output="pandas",
    )["weighted_mean"].to_numpy()
    ours = zonal_mean(raster, zonal_weights(grid, units)).value.values[0]
    assert np.allclose(ours, theirs, rtol=1e-6)
