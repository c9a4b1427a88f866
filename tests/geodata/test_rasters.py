"""Raster stacks: the value at a place, one unit, a whole time axis, and what is refused."""

import numpy as np
import pandas as pd
import pytest
import rasterio
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from rasterio.transform import Affine, from_origin

from geodata.grids import grid_of
from geodata.rain_units import rain_factor
from geodata.rasters import RasterStack, check_values, read_raster_stack
from geodata.schema import Findings, GridSpec, InputError

pytestmark = pytest.mark.filterwarnings(
    "ignore::PendingDeprecationWarning", "ignore::rasterio.errors.NotGeoreferencedWarning"
)

BLOCK = {
    "path": "rain/r.{YYYY}.{MM}.tif",
    "quantity": "precipitation",
    "label": {"en": "Rainfall"},
    "units": "mm",
    "cadence": "month",
    "licence": "CC0",
    "attribution": "nobody",
}
NORTH_FIRST = from_origin(40, 36, 0.5, 0.5)  # 40..42 E, 36..34.5 N
PLACE = {"lat": 35.75, "lon": 41.25}  # row 0, column 2 of that grid


def _options(**changed):
    return RasterStack(**{**BLOCK, **changed})


def _tif(path, values, *, transform=NORTH_FIRST, crs="EPSG:4326", nodata=None, dtype="float32", scale=None, **profile):
    values = np.asarray(values, dtype=dtype)
    values = values if values.ndim == 3 else values[np.newaxis]
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = {"count": values.shape[0], "height": values.shape[1], "width": values.shape[2]}
    with rasterio.open(
        path, "w", driver="GTiff", dtype=dtype, crs=crs, transform=transform, nodata=nodata, **shape, **profile
    ) as file:
        file.write(values)
        if scale:
            file.scales, file.offsets = [scale[0]] * values.shape[0], [scale[1]] * values.shape[0]
    return path


def _months(root, n=12, value=50.0, first="2019-01", **profile):
    """A stack of n months; each cell holds `value` plus a hundredth of its number."""
    cells = value + np.arange(12.0).reshape(3, 4) / 100
    for month in pd.period_range(first, periods=n, freq="M"):
        _tif(root / f"rain/r.{month:%Y.%m}.tif", cells, **profile)


def _read(root, **changed):
    log = Findings("sources.rain")
    return _options(**changed).read(root, log).compute(), log


def _error(root, **changed):
    """All that reading a stack tells, one finding per line."""
    with pytest.raises(InputError) as caught:
        _read(root, **changed)
    return str(caught.value)


# ------------------------------------------------------------------ what comes out


def test_a_stack_has_the_promised_shape(tmp_path):
    _months(tmp_path)
    log = Findings("sources.rain")
    raster = _options().read(tmp_path, log)
    assert raster.dims == ("time", "lat", "lon")
    assert raster.dtype == np.float32
    assert raster.chunks is not None
    assert raster.attrs == {"units": "mm/month", "long_name": "Rainfall", "crs": "EPSG:4326"}
    assert grid_of(raster) == GridSpec("EPSG:4326", 40.0, 36.0, 0.5, 0.5, 4, 3)
    assert raster.time.values[[0, -1]].astype("datetime64[D]").tolist() == list(
        pd.to_datetime(["2019-01-01", "2019-12-01"]).date
    )
    assert log.items == []


def test_the_value_at_a_place_survives_rows_that_run_north(tmp_path):
    """A raster whose first row is the southernmost gives the same value at 35.75 N 41.25 E."""
    cells = np.arange(12.0).reshape(3, 4)
    _tif(tmp_path / "rain/r.2019.01.tif", cells)
    _tif(tmp_path / "up/r.2019.01.tif", cells[::-1], transform=Affine(0.5, 0, 40, 0, 0.5, 34.5))
    down, _ = _read(tmp_path, min_annual_mm=0)
    up, _ = _read(tmp_path, path="up/r.{YYYY}.{MM}.tif", min_annual_mm=0)
    assert down.sel(**PLACE).item() == up.sel(**PLACE).item() == 2.0
    xr.testing.assert_equal(down, up)


def test_the_value_at_a_place_survives_longitudes_to_360(tmp_path):
    """The raster holds its own longitude: 10 W stands at 350 E in the file."""
    lon = np.arange(5.0, 360.0, 10.0)
    cells = np.repeat(lon[np.newaxis], 3, axis=0)
    _tif(tmp_path / "rain/r.2019.01.tif", cells, transform=from_origin(0, 15, 10, 10))
    raster, _ = _read(tmp_path)
    assert raster.sel(lat=0, lon=-5).item() == 355.0
    assert raster.sel(lat=0, lon=-175).item() == 185.0
    assert raster.sel(lat=0, lon=45).item() == 45.0
    assert (np.diff(raster.lon) == 10).all()


def test_the_value_at_a_place_survives_clipping(tmp_path):
    import geopandas as gpd
    import shapely

    _months(tmp_path, 1)
    whole, _ = _read(tmp_path)
    unit = gpd.GeoDataFrame(geometry=[shapely.box(41.1, 35.1, 41.4, 35.9)], crs="EPSG:4326")
    log = Findings("sources.rain")
    part = _options().read(tmp_path, log, unit)
    assert dict(part.sizes) == {"time": 1, "lat": 2, "lon": 2}
    assert part.compute().sel(**PLACE).item() == whole.sel(**PLACE).item()
    assert log.items == []


def test_a_country_inside_one_cell_still_has_a_grid(tmp_path):
    """At least two rows and columns are kept, as the cell size is read from them."""
    _months(tmp_path, 1)
    for west, north in ((40.1, 35.9), (41.9, 34.7)):
        part = read_raster_stack(_options(), tmp_path, Findings("s"), (west, north - 0.1, west + 0.05, north))
        assert dict(part.sizes) == {"time": 1, "lat": 2, "lon": 2}
        assert grid_of(part).dx == 0.5


def test_a_raster_that_does_not_meet_the_country_is_refused(tmp_path):
    _months(tmp_path, 1)
    with pytest.raises(InputError, match=r"extent: found latitudes 34.5..36, longitudes 40..42, expected an overlap"):
        read_raster_stack(_options(), tmp_path, Findings("s"), (10.0, 10.0, 11.0, 11.0))


def test_a_raster_that_falls_short_of_the_country_is_warned_of(tmp_path):
    _months(tmp_path, 1)
    log = Findings("s")
    read_raster_stack(_options(), tmp_path, log, (39.0, 34.6, 41.0, 35.0))
    assert [(i.severity, i.field) for i in log.items] == [("warning", "extent")]


@pytest.mark.parametrize(
    ("units", "cadence", "factor"),
    [
        ("mm", "month", 1.0),
        ("mm/month", "month", 1.0),
        ("mm month-1", "month", 1.0),
        ("m", "month", 1000.0),
        ("cm", "month", 10.0),
        ("m/day", "month", 28000.0),
        ("kg m-2 s-1", "month", 86400.0 * 28),
        ("mm/hr", "month", 24.0 * 28),
        ("mm/day", "day", 1.0),
        ("m", "day", 1000.0),
        ("kg m**-2 s**-1", "day", 86400.0),
        ("mm/dekad", "dekad", 1.0),
    ],
)
def test_rain_becomes_millimetres_per_period(units, cadence, factor):
    """February 2019 has 28 days."""
    assert rain_factor(units, cadence, pd.DatetimeIndex(["2019-02-01"]))[0] == factor


def test_february_of_a_leap_year_has_29_days():
    assert rain_factor("mm/day", "month", pd.DatetimeIndex(["2020-02-01"]))[0] == 29.0


@pytest.mark.parametrize(
    ("units", "cadence"), [("furlongs", "month"), ("mm/month", "day"), ("K", "month"), ("mm/day/day", "day")]
)
def test_units_that_are_no_rain_are_refused_when_the_country_file_is_read(units, cadence):
    with pytest.raises(ValidationError, match="for precipitation per"):
        _options(units=units, cadence=cadence, path="r.{YYYY}.{MM}.{DD}.tif")


def test_metres_are_converted(tmp_path):
    _months(tmp_path, 12, value=0.05)
    raster, _ = _read(tmp_path, units="m", valid_max=20000, max_annual_mm=1e6)
    assert raster[0, 0, 0].item() == pytest.approx(50.0)


def test_kelvin_becomes_celsius(tmp_path):
    _months(tmp_path, 1, value=300.0)
    raster, _ = _read(tmp_path, quantity="temperature", units="K")
    assert raster[0, 0, 0].item() == pytest.approx(26.85, abs=1e-4)
    assert raster.attrs["units"] == "degC"


def test_declared_and_own_nodata_are_missing(tmp_path):
    cells = np.full((3, 4), 50.0)
    cells[0, 0], cells[0, 1], cells[1, 1] = -9999, -1, np.nan
    _tif(tmp_path / "rain/r.2019.01.tif", cells, nodata=-9999)
    raster, _ = _read(tmp_path, nodata=-1)
    assert np.isnan(raster.values[0]).sum() == 3
    assert raster[0, 2, 3].item() == 50.0


def test_integer_nodata_scale_and_offset_of_the_file_are_applied(tmp_path):
    """Stored 500 x 0.1 + 2 = 52 mm; stored -32768 is missing, not -3274.8 mm."""
    cells = np.full((3, 4), 500)
    cells[2, 3] = -32768
    _tif(tmp_path / "rain/r.2019.01.tif", cells, dtype="int16", nodata=-32768, scale=(0.1, 2.0))
    raster, _ = _read(tmp_path)
    assert raster[0, 0, 0].item() == pytest.approx(52.0)
    assert np.isnan(raster[0, 2, 3].item())
    assert "one of the two" in _error(tmp_path, scale=0.1)


def test_a_scale_the_file_does_not_declare_may_be_given(tmp_path):
    _tif(tmp_path / "rain/r.2019.01.tif", np.full((3, 4), 500), dtype="int16")
    raster, _ = _read(tmp_path, scale=0.1)
    assert raster[0, 0, 0].item() == pytest.approx(50.0)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2), st.integers(0, 3), st.booleans(), st.booleans())
def test_a_marked_cell_is_found_where_it_was_put(tmp_path_factory, row, column, is_south_first, is_past_180):
    """However rows and longitudes run in the file, the marked cell keeps its place on the Earth."""
    root = tmp_path_factory.mktemp("marked")
    cells = np.full((3, 4), 50.0)
    cells[row, column] = 99.0
    west = 199.0 if is_past_180 else -161.0
    place = (35.75 - 0.5 * row, -160.75 + 0.5 * column)
    transform = Affine(0.5, 0, west, 0, 0.5, 34.5) if is_south_first else from_origin(west, 36, 0.5, 0.5)
    _tif(root / "rain/r.2019.01.tif", cells[::-1] if is_south_first else cells, transform=transform)
    raster, _ = _read(root)
    found = raster[0].where(raster[0] == 99.0, drop=True)
    assert (found.lat.item(), found.lon.item()) == pytest.approx(place)


# ------------------------------------------------------------------ dates


@pytest.mark.parametrize(
    ("path", "name", "cadence", "expected"),
    [
        ("a/{YYYY}/r{MM}.tif", "a/2019/r03.tif", "month", "2019-03-01"),
        ("r{YYYY}{MM}{DD}-{YYYY}.tif", "r20190305-2019.tif", "day", "2019-03-05"),
        ("r.{YYYY}.{MM}.{DK}.tif", "r.2019.03.3.tif", "dekad", "2019-03-21"),
        ("y{YYYY}.tif", "y2019.tif", "year", "2019-01-01"),
        ("m.{YYYY}{MM}01-S000000.{MM}.tif", "m.20190301-S000000.03.tif", "month", "2019-03-01"),
    ],
)
def test_dates_stand_in_file_names(tmp_path, path, name, cadence, expected):
    _tif(tmp_path / name, np.full((3, 4), 50.0))
    options = _options(path=path, cadence=cadence, units="mm")
    raster = read_raster_stack(options, tmp_path, Findings("s"))
    assert str(raster.time.values[0])[:10] == expected
    assert options.file_of(pd.Timestamp(expected)) == name
    assert [p.name for p in options.files(tmp_path)] == [name.split("/")[-1]]


def test_bands_of_one_file_are_months_from_its_start(tmp_path):
    _tif(tmp_path / "all.tif", np.stack([np.full((3, 4), 10.0 + m) for m in range(14)]))
    raster, _ = _read(tmp_path, path="all.tif", start="2018-11")
    assert str(raster.time.values[-1])[:7] == "2019-12"
    assert raster[:, 0, 0].values.tolist() == [10.0 + m for m in range(14)]


def test_a_file_per_year_has_a_band_per_month(tmp_path):
    for year in (2018, 2019):
        _tif(tmp_path / f"y{year}.tif", np.stack([np.full((3, 4), year - 2000 + m / 10) for m in range(12)]))
    raster, _ = _read(tmp_path, path="y{YYYY}.tif")
    assert raster.sel(time="2019-03-01")[0, 0].item() == pytest.approx(19.2)


def test_an_impossible_date_names_the_file(tmp_path):
    _months(tmp_path, 1)
    _tif(tmp_path / "rain/r.2019.13.tif", np.full((3, 4), 50.0))
    assert "rain/r.2019.13.tif: date in the file name" in _error(tmp_path)


def test_a_placeholder_nobody_knows_is_refused():
    with pytest.raises(ValidationError, match="placeholders"):
        _options(path="r.{MONTH}.tif")


# ------------------------------------------------------------------ what is refused


def test_no_file_names_the_pattern_and_the_folder(tmp_path):
    assert "rain/r.{YYYY}.{MM}.tif: path: found no folder 'rain' in the data folder" in _error(tmp_path)
    _tif(tmp_path / "rain/x.2019.01.tif", np.full((3, 4), 50.0))
    told = _error(tmp_path)
    assert "no such file in 'rain' (1 others, such as 'x.2019.01.tif')" in told
    assert "expected files named like 'rain/r.1991.01.tif'" in told


def test_a_truncated_geotiff_is_named(tmp_path):
    """Its header is whole: only reading the pixels shows that half of them are not there."""
    _months(tmp_path, 3)
    rng = np.random.default_rng(0)
    path = _tif(tmp_path / "rain/r.2019.02.tif", rng.random((60, 80)), transform=NORTH_FIRST, compress="deflate")
    for month in ("01", "03"):
        _tif(tmp_path / f"rain/r.2019.{month}.tif", rng.random((60, 80)) + 50, compress="deflate")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    told = _error(tmp_path)
    assert told.startswith("rain/r.2019.02.tif: pixels: found a damaged, truncated or foreign file of")
    assert "r.2019.01" not in told


def test_a_geotiff_cut_within_its_header_is_named(tmp_path):
    _months(tmp_path, 2)
    path = tmp_path / "rain/r.2019.02.tif"
    path.write_bytes(path.read_bytes()[:60])
    assert "rain/r.2019.02.tif: file: found a damaged, truncated or foreign file of 60 bytes" in _error(tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<!DOCTYPE html><html><body>404</body></html>", "a web page (HTML)"),
        (b"\n <html lang=en>", "a web page (HTML)"),
        (b'{"error": "not found"}', "a text answer of a server"),
        (b"", "an empty file"),
        (b"\x1f\x8b\x08junk", "packed with gzip"),
        (b"version https://git-lfs.github.com/spec/v1", "a Git LFS pointer"),
        (b"junk", "foreign file of 4 bytes"),
    ],
)
@pytest.mark.parametrize("name", ["rain/r.2019.02.tif", "rain/all.nc"])
def test_what_is_no_raster_is_called_by_its_name(tmp_path, content, words, name):
    _months(tmp_path, 1)
    (tmp_path / name).write_bytes(content)
    path = BLOCK["path"] if name.endswith("tif") else name
    told = _error(tmp_path, path=path)
    assert f"{name}: file: found" in told
    assert words in told


def test_all_bad_files_are_told_at_once(tmp_path):
    _months(tmp_path, 4)
    for month in ("02", "04"):
        (tmp_path / f"rain/r.2019.{month}.tif").write_bytes(b"junk")
    told = _error(tmp_path)
    assert "r.2019.02.tif" in told
    assert "r.2019.04.tif" in told


def test_an_absent_crs_is_refused_and_may_be_declared(tmp_path):
    _months(tmp_path, 12, crs=None)
    assert "rain/r.2019.01.tif: crs: found none, expected EPSG:4326" in _error(tmp_path)
    raster, log = _read(tmp_path, crs="EPSG:4326")
    assert raster.sizes["time"] == 12
    assert {(i.severity, i.action) for i in log.items} == {("repair", "read as EPSG:4326, as declared")}


def test_a_crs_in_metres_is_refused_by_name(tmp_path):
    _months(tmp_path, 1, crs="EPSG:32638", transform=from_origin(400000, 3700000, 5000, 5000))
    assert "crs: found EPSG:32638 (WGS 84 / UTM zone 38N), expected latitude and longitude" in _error(tmp_path)
    assert "in the file, expected EPSG:4326 as declared" in _error(tmp_path, crs="EPSG:4326")


def test_metres_that_claim_to_be_degrees_are_refused(tmp_path):
    _months(tmp_path, 1, transform=from_origin(400, 370, 50, 50))
    assert "is this a CRS in metres?" in _error(tmp_path)


def test_a_crs_nobody_knows_is_refused(tmp_path):
    _months(tmp_path, 1, crs=None)
    assert "'EPSG:0' declared, expected a known CRS" in _error(tmp_path, crs="EPSG:0")


def test_a_raster_without_a_place_or_turned_is_refused(tmp_path):
    _months(tmp_path, 1, transform=Affine.identity())
    assert "no position on the Earth" in _error(tmp_path)
    _months(tmp_path, 1, transform=Affine(0.5, 0.1, 40, 0.1, -0.5, 36))
    assert "a turned raster" in _error(tmp_path)


def test_two_grids_in_one_stack_are_refused_and_both_files_named(tmp_path):
    _months(tmp_path, 2)
    _tif(tmp_path / "rain/r.2019.03.tif", np.full((3, 4), 50.0), transform=from_origin(40.25, 36, 0.5, 0.5))
    told = _error(tmp_path)
    assert "rain/r.2019.03.tif: grid: found 3 rows x 4 columns of 0.5 degree from (36, 40.25)" in told
    assert "expected that of rain/r.2019.01.tif" in told


def test_a_grid_that_differs_by_rounding_is_the_same_grid(tmp_path):
    _months(tmp_path, 2)
    _tif(tmp_path / "rain/r.2019.03.tif", np.full((3, 4), 50.0), transform=from_origin(40.000003, 36, 0.5, 0.5))
    assert _read(tmp_path)[0].sizes["time"] == 3


def test_metres_declared_as_millimetres_are_caught_by_the_annual_total(tmp_path):
    """12 months of 0.05 m are 0.6 "mm" a year, where 20 to 3000 mm fall."""
    _months(tmp_path, 12, value=0.0)
    told = _error(tmp_path)
    assert "units: found 0.662 mm in a typical year over the whole area, declared in 'mm'" in told
    assert "expected 20 to 3000 mm" in told
    assert _read(tmp_path, min_annual_mm=0.5)[0].sizes["time"] == 12


def test_millimetres_declared_as_metres_are_caught(tmp_path):
    _months(tmp_path, 12)
    assert "no value above 2000 mm/month" in _error(tmp_path, units="m")


def test_part_of_a_year_has_no_annual_total(tmp_path):
    _months(tmp_path, 6, value=0.0)
    assert _read(tmp_path)[0].sizes["time"] == 6


def test_negative_rain_names_the_file_and_the_month(tmp_path):
    _months(tmp_path, 3)
    _tif(tmp_path / "rain/r.2019.02.tif", np.full((3, 4), -0.5))
    told = _error(tmp_path)
    assert told.startswith("rain/r.2019.02.tif: values: found -0.5 to -0.5 mm/month in 2019-02")
    assert "expected no value below -0.001 mm/month" in told


def test_rounding_noise_below_zero_is_let_through(tmp_path):
    _months(tmp_path, 1)
    _tif(tmp_path / "rain/r.2019.02.tif", np.full((3, 4), -0.0005))
    assert _read(tmp_path)[0].sizes["time"] == 2


def test_nodata_that_was_not_declared_is_called_so(tmp_path):
    _tif(tmp_path / "rain/r.2019.01.tif", np.array([[1.0, -9999.0]] * 2))
    assert "nodata: found -9999 to 1 1 in 2019-01" in _error(tmp_path, quantity="anomaly", units="1")
    assert _read(tmp_path, quantity="anomaly", units="1", nodata=-9999)[0].min() == 1.0


def test_a_value_outside_the_declared_range_is_refused(tmp_path):
    _months(tmp_path, 1, value=5.0)
    assert "no value above 4 1" in _error(tmp_path, quantity="other", units="1", valid_max=4)
    assert "no value below 6 1" in _error(tmp_path, quantity="other", units="1", valid_min=6)


def test_a_negative_count_is_refused(tmp_path):
    _tif(tmp_path / "rain/r.2019.01.tif", np.full((3, 4), -3.0))
    assert "no value below 0 people" in _error(tmp_path, quantity="count", units="people")


def test_an_image_without_values_is_a_warning_and_a_stack_of_them_an_error(tmp_path):
    _months(tmp_path, 2)
    _tif(tmp_path / "rain/r.2019.03.tif", np.full((3, 4), np.nan))
    _, log = _read(tmp_path)
    assert [(i.severity, i.file, i.found) for i in log.items] == [
        ("warning", "rain/r.2019.03.tif", "no value in it: 2019-03")
    ]
    for month in ("01", "02"):
        _tif(tmp_path / f"rain/r.2019.{month}.tif", np.full((3, 4), np.nan))
    assert "no value in any image" in _error(tmp_path)


def test_missing_months_are_named_and_may_be_left_empty(tmp_path):
    _months(tmp_path, 12)
    for month in ("03", "07"):
        (tmp_path / f"rain/r.2019.{month}.tif").unlink()
    assert "time: found no image for 2019-03, 2019-07, expected every period" in _error(tmp_path)
    raster, log = _read(tmp_path, gaps="missing")
    assert raster.sizes["time"] == 12
    assert np.isnan(raster.sel(time="2019-07-01")).all()
    assert raster.sel(time="2019-08-01").notnull().all()
    assert "no image for 2019-03, 2019-07" in log.items[0].found


def test_months_missing_at_the_ends_of_a_required_period_are_named(tmp_path):
    _months(tmp_path, 3, first="2019-02")
    told = _error(tmp_path, first="2018-12", last="2019-05")
    assert "no image for 2018-12, 2019-01, 2019-05" in told


def test_a_file_with_more_bands_than_its_name_says_is_refused(tmp_path):
    _tif(tmp_path / "rain/r.2019.01.tif", np.ones((2, 3, 4)))
    assert "bands: found 2, expected 1" in _error(tmp_path)


def test_a_file_without_a_date_is_refused(tmp_path):
    _tif(tmp_path / "all.tif", np.ones((3, 4)))
    assert "start: found no date in the file name" in _error(tmp_path, path="all.tif")


# ------------------------------------------------------------------ NetCDF and Zarr


def _dataset(time=None, *, lat=(35.75, 35.25, 34.75), lon=(40.25, 40.75, 41.25, 41.75), units="mm", **attrs):
    time = pd.date_range("2019-01-01", periods=12, freq="MS") if time is None else time
    cells = 50.0 + np.arange(12.0).reshape(3, 4) / 100
    values = np.repeat(cells[np.newaxis], len(time), axis=0).astype("float32")
    rain = xr.DataArray(
        values,
        dims=("time", "latitude", "longitude"),
        coords={"time": time, "latitude": list(lat), "longitude": list(lon)},
        attrs={"units": units, **attrs},
    )
    rain["latitude"].attrs["units"], rain["longitude"].attrs["units"] = "degrees_north", "degrees_east"
    return rain.to_dataset(name="pr")


def _netcdf(root, dataset, name="rain.nc", **encoding):
    dataset.to_netcdf(root / name, encoding={"pr": encoding} if encoding else None)
    return name


def test_netcdf_zarr_and_geotiff_of_the_same_rain_are_the_same(tmp_path):
    _months(tmp_path)
    tif, _ = _read(tmp_path)
    _netcdf(tmp_path, _dataset())
    _dataset().to_zarr(tmp_path / "rain.zarr", consolidated=False)
    for path in ("rain.nc", "rain.zarr"):
        raster, log = _read(tmp_path, path=path)
        assert np.array_equal(raster.values, tif.values)
        assert grid_of(raster) == grid_of(tif)
        assert log.items == []
        assert _options(path=path).read(tmp_path, log).chunks is not None
        assert _options(path=path).files(tmp_path)


def test_netcdf_with_rows_that_run_north_and_longitudes_to_360(tmp_path):
    dataset = _dataset(lat=(34.75, 35.25, 35.75), lon=(199.25, 199.75, 200.25, 200.75))
    _netcdf(tmp_path, dataset)
    raster, _ = _read(tmp_path, path="rain.nc")
    assert raster[0].sel(lat=34.75, lon=-159.25).item() == pytest.approx(50.03)  # first row, last column of the file
    assert raster.lat.values.tolist() == [35.75, 35.25, 34.75]


def test_packed_netcdf_is_unpacked_and_its_fill_value_is_missing(tmp_path):
    dataset = _dataset()
    dataset["pr"][:, 0, 0] = np.nan
    _netcdf(tmp_path, dataset, dtype="int16", scale_factor=0.01, add_offset=10.0, _FillValue=-32768)
    raster, _ = _read(tmp_path, path="rain.nc")
    assert np.isnan(raster[0, 0, 0].item())
    assert raster[0, 0, 1].item() == pytest.approx(50.01, abs=1e-4)
    assert "one of the two" in _error(tmp_path, path="rain.nc", scale=2.0)


def test_units_of_the_file_that_contradict_the_country_file_are_refused(tmp_path):
    _netcdf(tmp_path, _dataset(units="m"))
    assert "units: found 'm' in the file, expected 'mm' as declared" in _error(tmp_path, path="rain.nc")


@pytest.mark.parametrize("day", [1, 15, 28])
def test_any_day_of_the_month_labels_the_month(tmp_path, day):
    _netcdf(tmp_path, _dataset(pd.DatetimeIndex([pd.Timestamp(2019, m, day) for m in range(1, 13)])))
    assert str(_read(tmp_path, path="rain.nc")[0].time.values[0])[:10] == "2019-01-01"


def test_time_bounds_tell_which_month_a_label_at_its_end_means(tmp_path):
    """Rain of January labelled 1 February, with bounds from 1 January to 1 February."""
    starts = pd.date_range("2019-01-01", periods=12, freq="MS")
    dataset = _dataset(starts + pd.DateOffset(months=1))
    ends = starts + pd.DateOffset(months=1)
    dataset["time_bnds"] = (("time", "bnds"), np.stack([starts, ends], axis=1))
    dataset["time"].attrs["bounds"] = "time_bnds"
    dataset["time"].encoding["units"] = "days since 1900-01-01"
    _netcdf(tmp_path, dataset)
    raster, _ = _read(tmp_path, path="rain.nc", variable="pr")
    assert str(raster.time.values[0])[:7] == "2019-01"


def test_calendars_of_360_days_and_months_since_are_understood(tmp_path):
    for units, calendar, numbers in (
        ("days since 2019-01-01", "360_day", np.arange(12) * 30.0 + 15),
        ("months since 2019-01-01", "360_day", np.arange(12) + 0.5),
    ):
        dataset = _dataset()
        dataset["time"] = ("time", numbers, {"units": units, "calendar": calendar})
        name = _netcdf(tmp_path, dataset, f"{units[:3]}.nc")
        raster, _ = _read(tmp_path, path=name)
        assert [str(t)[:7] for t in raster.time.values[[0, -1]]] == ["2019-01", "2019-12"]


def test_duplicate_months_are_named(tmp_path):
    months = pd.DatetimeIndex([*pd.date_range("2019-01-01", periods=11, freq="MS"), "2019-03-20"])
    _netcdf(tmp_path, _dataset(months))
    told = _error(tmp_path, path="rain.nc")
    assert "rain.nc: time: found 2 images for 2019-03, expected one image for each period" in told


def test_the_same_month_in_two_files_names_both(tmp_path):
    for year in (2018, 2019):
        _netcdf(tmp_path, _dataset(), f"r{year}.nc")
    assert "r2018.nc, r2019.nc: time: found 2 images for 2019-01" in _error(tmp_path, path="r{YYYY}.nc")


def test_years_in_their_own_files_are_put_in_order(tmp_path):
    for year in (2018, 2019):
        _netcdf(tmp_path, _dataset(pd.date_range(f"{year}-01-01", periods=12, freq="MS")), f"r{year}.nc")
    raster, _ = _read(tmp_path, path="r{YYYY}.nc")
    assert raster.sizes["time"] == 24
    assert raster.indexes["time"].is_monotonic_increasing


def test_netcdf_files_on_two_grids_are_refused_and_both_named(tmp_path):
    _netcdf(tmp_path, _dataset(pd.date_range("2018-01-01", periods=12, freq="MS")), "r2018.nc")
    _netcdf(tmp_path, _dataset(lat=(36.0, 35.5, 35.0)), "r2019.nc")
    told = _error(tmp_path, path="r{YYYY}.nc")
    assert "r2019.nc: grid: found 3 latitudes 36..35" in told
    assert "that of r2018.nc" in told


def test_a_missing_variable_names_the_nearest(tmp_path):
    _netcdf(tmp_path, _dataset())
    assert "found no 'prr' (did you mean 'pr'?)" in _error(tmp_path, path="rain.nc", variable="prr")


def test_of_several_variables_one_must_be_chosen(tmp_path):
    dataset = _dataset()
    dataset["pet"] = dataset["pr"] * 2
    _netcdf(tmp_path, dataset)
    assert "variable: found ['pr', 'pet'] with latitude and longitude" in _error(tmp_path, path="rain.nc")
    assert _read(tmp_path, path="rain.nc", variable="pet")[0].name == "pet"


def test_netcdf_without_units_of_degrees_has_no_crs(tmp_path):
    dataset = _dataset()
    for name in ("latitude", "longitude"):
        dataset[name].attrs.clear()
    _netcdf(tmp_path, dataset)
    assert "rain.nc: crs: found none" in _error(tmp_path, path="rain.nc")
    assert _read(tmp_path, path="rain.nc", crs="EPSG:4326")[0].sizes["time"] == 12


def test_a_further_dimension_is_refused_unless_it_holds_one_value(tmp_path):
    _netcdf(tmp_path, _dataset().expand_dims(expver=[1]))
    assert _read(tmp_path, path="rain.nc")[0].dims == ("time", "lat", "lon")
    _netcdf(tmp_path, xr.concat([_dataset().expand_dims(member=[i]) for i in (0, 1)], "member"))
    assert "dimensions: found ('member', 'time'" in _error(tmp_path, path="rain.nc")


def test_uneven_latitudes_are_refused(tmp_path):
    _netcdf(tmp_path, _dataset(lat=(35.75, 35.25, 34.0)))
    assert "latitudes run unevenly" in _error(tmp_path, path="rain.nc")


def test_a_truncated_netcdf_is_named(tmp_path):
    dataset = _dataset(pd.date_range("1980-01-01", periods=480, freq="MS"))
    dataset["pr"] += np.random.default_rng(0).random(dataset["pr"].shape).astype("float32")
    path = tmp_path / _netcdf(tmp_path, dataset)
    whole = path.read_bytes()
    for share in (0.2, 0.9):
        path.write_bytes(whole[: int(len(whole) * share)])
        assert "rain.nc: " in (told := _error(tmp_path, path="rain.nc"))
        assert "truncated" in told


# ------------------------------------------------------------------ blocks


def test_blocks_change_nothing(tmp_path):
    _months(tmp_path, 24)
    raster, _ = _read(tmp_path)
    for chunks in ({"time": 1}, {"time": 7, "lat": 2}, {"time": -1}):
        log = Findings("s")
        check_values(raster.chunk(chunks), _options(), log)
        assert log.items == []
        assert np.array_equal(raster.chunk(chunks).values, raster.values)


def test_pixels_are_read_only_when_asked_for(tmp_path):
    """Headers come first; a file whose pixels are gone is found by the check, or named on computing."""
    _months(tmp_path, 2)
    path = tmp_path / "rain/r.2019.02.tif"
    raster = read_raster_stack(_options(), tmp_path, Findings("s"))
    path.write_bytes(b"junk")
    with pytest.raises(InputError, match=r"rain/r.2019.02.tif: pixels"):
        raster.compute()


# ------------------------------------------------------------------ real files


def _real(shared_data, **changed):
    log = Findings("sources.rain")
    return RasterStack(**{**BLOCK, **changed}).read(shared_data, log), log


def test_reconstructed_rain_of_iraq(shared_data):
    """420 months; 207 to 215 mm a year over the box of the files' makers, none missing."""
    raster, log = _real(shared_data, path="iraq/rainfall/reconstructed/rain_reconstructed_{YYYY}.{MM}.tif")
    assert dict(raster.sizes) == {"time": 420, "lat": 38, "lon": 46}
    assert [str(t)[:7] for t in raster.time.values[[0, -1]]] == ["1984-01", "2018-12"]
    assert log.errors == []


def test_chirps_of_java(shared_data):
    """480 files, 2486 mm a year over land; the sea is missing, not 0."""
    raster, _ = _real(shared_data, path="java/chirps/java_chirps-v2.0.{YYYY}.{MM}.tif")
    assert dict(raster.sizes) == {"time": 480, "lat": 75, "lon": 224}
    assert float(raster.mean()) * 12 == pytest.approx(2486, rel=0.001)
    assert 0.1 < float(raster[0].isnull().mean()) < 0.9


def test_terraclimate_of_bali(shared_data):
    """Its fill value of -2147483648 is missing: 62 % of the cells."""
    raster, _ = _real(shared_data, path="bali/terraclimate_bali_ppt_1958_2024.nc")
    assert dict(raster.sizes) == {"time": 804, "lat": 24, "lon": 35}
    assert float(raster.isnull().mean()) == pytest.approx(0.62, abs=0.01)
    assert float(raster.min()) >= 0


def test_a_climatology_without_years_is_refused(shared_data):
    with pytest.raises(InputError, match="time: found"):
        _real(shared_data, path="iraq/rainfall/gpcc_climatology_0p25.nc", units="mm")


def test_real_metres_declared_as_millimetres(shared_data):
    """Rain of Iraq taken for metres comes out a thousandfold."""
    with pytest.raises(InputError, match="are the units right"):
        _real(shared_data, path="iraq/rainfall/reconstructed/rain_reconstructed_{YYYY}.{MM}.tif", units="m")
