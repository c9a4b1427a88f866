"""Which file holds which days: told by what stands inside, opened only where asked for, read again only where new."""

import shutil

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
import xarray as xr
from rasterio.transform import from_origin

import flows.period_files as period_files
from flows.period_files import axis_of_files, file_of_each_period, later_files
from flows.plan import Plan, with_inputs
from flows.raster_means import by_subdistrict, read_by_subdistrict
from flows.settings import load_settings
from geodata.rasters import RasterStack, check_values
from geodata.schema import Findings, InputError

from .records import write_file, write_record

DAYS = pd.date_range("2001-01-01", "2003-03-31")
KINDS = {"a GeoTIFF a month": "rain/{YYYY}.{MM}.tif", "a GeoTIFF a year": "rain/{YYYY}.tif", "NetCDF": "rain/{YYYY}.nc"}


def values_of(days, seed=0):
    """Rain of 4 x 4 cells, another on each day."""
    return np.stack([np.random.default_rng([seed, d.toordinal()]).gamma(0.5, 9.0, (4, 4)) for d in days]).astype("f4")


def write_rain(data, pattern, days=DAYS, **how):
    write_record(data, pattern, days, values_of(days), **how)


def plan_of(data, pattern, **options):
    """A country whose daily rain is this record."""
    demo = load_settings("demo")
    plain = {"path": pattern, "variable": None, "max_annual_mm": 9000.0, "gaps": "missing", **options}
    source = demo.sources["daily_rain"].model_copy(update=plain)
    settings = demo.model_copy(update={"sources": {"daily_rain": source}})
    return with_inputs(Plan(settings, data=str(data), as_of="2003-03", issued="2026-01-15"))


def squares():
    boxes = [shapely.box(x, y, x + 1, y + 1) for y in (31, 30) for x in (40, 41)]
    frame = gpd.GeoDataFrame({"area_km2": [9e3] * 4}, geometry=boxes, crs="EPSG:4326")
    return frame.set_index(pd.Index(["A", "B", "C", "D"], name="pcode"))


def read(plan, kept, log=None):
    source = plan.settings.sources["daily_rain"]
    return read_by_subdistrict("daily_rain", source, plan, log or Findings("sources.daily_rain"), squares(), kept)


@pytest.fixture(autouse=True)
def a_fresh_process(monkeypatch):
    """What headers said is not known from the test before."""
    monkeypatch.setattr(period_files, "_SAID", {})


@pytest.fixture
def opened(monkeypatch):
    """Names of the files whose headers, and whose pixels, were asked for."""
    headers, pixels = [], []
    header_of, raster_of = RasterStack.periods_in, RasterStack.raster

    def periods_in(self, root, name, date, log):
        headers.append(name)
        return header_of(self, root, name, date, log)

    def raster(self, root, log, bounds=None, only=None):
        pixels.append(sorted(set(only.values())) if only is not None else "all")
        return raster_of(self, root, log, bounds, only)

    monkeypatch.setattr(RasterStack, "periods_in", periods_in)
    monkeypatch.setattr(RasterStack, "raster", raster)
    return headers, pixels


@pytest.mark.parametrize("kind", KINDS)
def test_each_day_is_known_by_its_file(tmp_path, kind):
    write_rain(tmp_path, KINDS[kind])
    held = file_of_each_period("daily_rain", plan_of(tmp_path, KINDS[kind]))
    assert list(held) == list(DAYS)
    expected = KINDS[kind].replace("{YYYY}", "2002").replace("{MM}", "06")
    assert held[pd.Timestamp("2002-06-30")] == expected


@pytest.mark.parametrize("kind", KINDS)
def test_means_of_several_files_are_those_of_the_record_read_whole(tmp_path, kind):
    write_rain(tmp_path / "data", KINDS[kind])
    plan = plan_of(tmp_path / "data", KINDS[kind])
    source = plan.settings.sources["daily_rain"]
    whole = source.raster(tmp_path / "data", Findings(""), tuple(squares().total_bounds))
    check_values(whole, source, Findings(""))
    expected = by_subdistrict(whole, source, squares())
    for _ in range(2):
        xr.testing.assert_identical(read(plan, tmp_path / "kept"), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_of_a_longer_record_only_the_last_files_are_read(tmp_path, kind, opened, monkeypatch):
    """April comes, in a file of its own or within that of its year: no header and no pixel of 2002 is asked for."""
    headers, pixels = opened
    write_rain(tmp_path / "data", KINDS[kind])
    read(plan_of(tmp_path / "data", KINDS[kind]), tmp_path / "kept")
    longer = pd.date_range(DAYS[0], "2003-04-30")
    write_rain(tmp_path / "data", KINDS[kind], longer[longer.year == 2003])
    monkeypatch.setattr(period_files, "_SAID", {})
    headers.clear(), pixels.clear()
    grown = read(plan_of(tmp_path / "data", KINDS[kind]), tmp_path / "kept")
    new = KINDS[kind].replace("{YYYY}", "2003").replace("{MM}", "04")
    assert set(headers) <= {new}
    assert {name for names in pixels for name in names} == {new}
    write_rain(tmp_path / "again", KINDS[kind], longer)
    full = read(plan_of(tmp_path / "again", KINDS[kind]), tmp_path / "none")
    xr.testing.assert_identical(grown, full)
    assert grown.sizes["time"] == len(longer)


def test_what_stands_in_a_netcdf_counts_and_not_its_name(tmp_path):
    """A file named 2003 with the days of 1999: they are found in it, and none of 2003 is."""
    write_rain(tmp_path, "rain/{YYYY}.nc", DAYS[DAYS.year < 2003])
    other = pd.date_range("1999-01-01", "1999-12-31")
    write_file(tmp_path / "rain/2003.nc", other, values_of(other))
    plan = plan_of(tmp_path, "rain/{YYYY}.nc")
    held = file_of_each_period("daily_rain", plan)
    assert held[pd.Timestamp("1999-06-01")] == "rain/2003.nc"
    assert max(held) == pd.Timestamp("2002-12-31")
    assert later_files("daily_rain", plan, 2000) == {"rain/2001.nc", "rain/2002.nc"}
    means = read(plan, tmp_path / "kept")
    assert means["value"].sel(time="2000-06-01").isnull().all()  # the year between is a gap


def test_a_day_in_two_files_leaves_the_shortcut_unused_and_is_refused(tmp_path):
    write_rain(tmp_path, "rain/{YYYY}.nc")
    last = pd.date_range("2002-12-31", "2003-03-31")
    write_file(tmp_path / "rain/2003.nc", last, values_of(last))
    plan = plan_of(tmp_path, "rain/{YYYY}.nc")
    assert file_of_each_period("daily_rain", plan) == {}
    assert read(plan, tmp_path / "kept") is None
    with pytest.raises(InputError, match="2 images for 2002-12-31"):
        plan.settings.sources["daily_rain"].read(tmp_path, Findings("sources.daily_rain"))


def test_a_damaged_file_is_refused_by_the_whole_reading(tmp_path):
    write_rain(tmp_path, "rain/{YYYY}.{MM}.tif")
    (tmp_path / "rain/2002.05.tif").write_bytes(b"no image")
    plan = plan_of(tmp_path, "rain/{YYYY}.{MM}.tif")
    assert read(plan, tmp_path / "kept") is None


def test_no_other_file_is_opened_than_those_of_the_days_asked_for(tmp_path):
    """All others, but the first, whose grid is that of all, are no images at all."""
    write_rain(tmp_path, "rain/{YYYY}.{MM}.tif")
    plan = plan_of(tmp_path, "rain/{YYYY}.{MM}.tif")
    held = file_of_each_period("daily_rain", plan)
    days = pd.date_range("2002-05-20", "2002-06-03")
    for path in (tmp_path / "rain").iterdir():
        if path.name not in ("2001.01.tif", "2002.05.tif", "2002.06.tif"):
            path.write_bytes(b"no image")
    source = plan.settings.sources["daily_rain"]
    found = source.raster(tmp_path, Findings(""), None, {day: held[day] for day in days})
    assert found.indexes["time"].equals(days)
    assert np.array_equal(found.values, values_of(days))


@pytest.mark.parametrize("kind", ["a GeoTIFF a year", "NetCDF"])
def test_a_file_that_lost_a_day_since_is_refused_and_gives_no_gap(tmp_path, kind):
    write_rain(tmp_path, KINDS[kind])
    held = file_of_each_period("daily_rain", plan := plan_of(tmp_path, KINDS[kind]))
    write_rain(tmp_path, KINDS[kind], pd.date_range("2003-01-01", "2003-03-30"))
    day = DAYS[-1]
    with pytest.raises(InputError, match="no image for 2003-03-31"):
        plan.settings.sources["daily_rain"].raster(tmp_path, Findings(""), None, {day: held[day]})


def test_what_headers_said_is_told_in_each_run(tmp_path, monkeypatch):
    """Files without a CRS, read as declared: every one is noted, by the run that opened it and by the next."""
    write_rain(tmp_path / "data", "rain/{YYYY}.tif", crs=None)
    plan = plan_of(tmp_path / "data", "rain/{YYYY}.tif", crs="EPSG:4326")
    for _ in range(2):
        log = Findings("sources.daily_rain")
        read(plan, tmp_path / "kept", log)
        assert [f.file for f in log.items if f.field == "crs"] == ["rain/2001.tif", "rain/2002.tif", "rain/2003.tif"]
        monkeypatch.setattr(period_files, "_SAID", {})


def test_a_changed_grid_is_not_answered_from_what_was_kept(tmp_path):
    """Cells half as wide under the same names: every file is read again."""
    write_rain(tmp_path / "data", "rain/{YYYY}.tif")
    before = read(plan_of(tmp_path / "data", "rain/{YYYY}.tif"), tmp_path / "kept")
    shutil.rmtree(tmp_path / "data")
    for year in (2001, 2002, 2003):
        days = DAYS[DAYS.year == year]
        layout = {"height": 4, "width": 8, "count": len(days), "dtype": "float32", "crs": "EPSG:4326"}
        (tmp_path / "data/rain").mkdir(parents=True, exist_ok=True)
        where = from_origin(40, 32, 0.25, 0.5)
        with rasterio.open(tmp_path / f"data/rain/{year}.tif", "w", driver="GTiff", transform=where, **layout) as file:
            file.write(np.repeat(values_of(days, 1), 2, axis=2))
    after = read(plan_of(tmp_path / "data", "rain/{YYYY}.tif"), tmp_path / "kept")
    assert not np.isclose(before["value"], after["value"]).any()


def test_one_file_with_the_whole_record_is_read_whole(tmp_path):
    write_rain(tmp_path, "rain/all.nc")
    plan = plan_of(tmp_path, "rain/all.nc")
    assert axis_of_files("daily_rain", plan, Findings("")) == {}
    assert read(plan, tmp_path / "kept") is None
