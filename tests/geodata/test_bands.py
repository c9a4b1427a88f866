"""Bands of rows: the same values by another path, in few chunks, for threads and for worker processes."""

import os
import shutil
import tracemalloc
from pathlib import Path

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import xarray as xr
import zarr
from distributed import Client, LocalCluster
from hypothesis import given
from hypothesis import strategies as st

from geodata import bands
from geodata.bands import by_bands
from geodata.rasters import RasterStack, read_raster_stack
from geodata.schema import ContractError, Findings, InputError
from models.heavy_rain import RainRules, daily_rain_indices


def images(days=40, rows=7, columns=3, chunk=6):
    """Each value tells its time, row and column; one cell is missing throughout."""
    values = np.arange(days * rows * columns, dtype="float32").reshape(days, rows, columns)
    values[:, 2, 1] = np.nan
    coords = {
        "time": pd.date_range("2001-01-01", periods=days),
        "lat": 36.0 - np.arange(rows),
        "lon": 40.0 + np.arange(columns),
    }
    attrs = {"units": "mm/day", "crs": "EPSG:4326"}
    raster = xr.DataArray(values, dims=("time", "lat", "lon"), coords=coords, attrs=attrs, name="rain")
    return raster.chunk(time=chunk)


def record(path, days, rows, columns):
    """Rain on one day in five, in a store of 100 images a chunk, read lazily."""
    store = zarr.create_array(
        store=str(path), shape=(days, rows, columns), chunks=(100, rows, columns), dtype="float32"
    )
    for first in range(0, days, 100):
        drawn = np.random.default_rng(first).standard_exponential((100, rows, columns), dtype="float32")
        store[first : first + 100] = 8 * np.maximum(drawn - 1.6, 0)
    coords = {"time": pd.date_range("1981-01-01", periods=days), "lat": -np.arange(rows), "lon": np.arange(columns)}
    attrs = {"units": "mm/day"}
    return xr.DataArray(da.from_zarr(str(path)), dims=("time", "lat", "lon"), coords=coords, attrs=attrs, name="rain")


@given(st.integers(1, 50), st.integers(1, 9), st.sampled_from([0, 1e9]), st.integers(1, 4000))
def test_turning_a_raster_changes_no_value(tmp_path_factory, chunk, rows, budget, block):
    """Whatever the chunks of the files, the rows of a band, and the times written at once; on disk or in memory."""
    scratch = tmp_path_factory.mktemp("scratch")
    raster = images(chunk=chunk)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bands, "_BLOCK_BYTES", block)
        turned = by_bands(raster, scratch, rows, budget_bytes=budget)
    xr.testing.assert_identical(turned.compute(), raster.compute())
    assert turned.chunks[0] == (40,)
    assert turned.chunks[1][0] == min(rows, 7)
    assert turned.chunks[2] == (3,)
    assert bool(list(scratch.iterdir())) == (budget == 0)


def test_the_value_at_a_place_is_that_of_its_image(tmp_path):
    """Day 17, 33 N 42 E: image 17, row 3, column 2."""
    turned = by_bands(images(), tmp_path, 2, budget_bytes=0)
    assert float(turned.sel(time="2001-01-18", lat=33, lon=42)) == (17 * 7 + 3) * 3 + 2


def test_chunks_of_files_of_uneven_length_are_kept_apart(tmp_path):
    """Yearly files of 365 and 366 days: a block may start within one of them."""
    raster = images(days=40).chunk(time=(11, 12, 11, 6))
    xr.testing.assert_identical(by_bands(raster, tmp_path, 3, budget_bytes=0).compute(), raster.compute())


def test_each_image_is_read_once_and_a_band_only_when_asked_for(tmp_path):
    read = []

    def image(block, block_info=None):
        if block_info:
            read.append(block_info[None]["chunk-location"][0])
        return block

    raster = images()
    raster = raster.copy(data=raster.data.map_blocks(image, dtype="float32", meta=raster.data._meta))
    turned = by_bands(raster, tmp_path, 2, budget_bytes=0)
    assert sorted(read) == list(range(7))
    turned.isel(lat=0).compute()
    assert len(read) == 7


def test_a_band_has_as_many_rows_as_fit(tmp_path, monkeypatch):
    """40 days of 3 columns in float32 are 480 bytes a row: 1,000 bytes hold two."""
    monkeypatch.setattr(bands, "BAND_BYTES", 1000)
    assert by_bands(images(), tmp_path, budget_bytes=0).chunks[1] == (2, 2, 2, 1)
    monkeypatch.setattr(bands, "BAND_BYTES", 1)
    assert by_bands(images(), tmp_path, budget_bytes=0).chunks[1] == (1,) * 7


def test_two_rasters_of_one_name_do_not_share_a_store(tmp_path):
    first = by_bands(images(), tmp_path, 2, budget_bytes=0)
    other = by_bands(images() + 1, tmp_path, 2, budget_bytes=0)
    assert float((other - first).min()) == float((other - first).max()) == 1.0


def test_the_graph_holds_no_pixels(tmp_path):
    """It grows with the bands, not with the images: one task for each band and a few beside."""
    turned = by_bands(images(days=400, rows=20, chunk=1), tmp_path, 5, budget_bytes=0)
    assert len(turned.__dask_graph__()) <= 2 * 4


def test_files_of_a_reader_pass_through_bands(tmp_path):
    """NetCDF as `read_raster_stack` gives it: packed, in chunks, with its attributes."""
    raster = images().compute().where(lambda v: v < 900)
    (tmp_path / "data").mkdir()
    packed = {"rain": {"dtype": "int16", "scale_factor": 0.5, "_FillValue": -999}}
    raster.drop_attrs().assign_attrs(units="mm/day").to_netcdf(tmp_path / "data/rain.nc", encoding=packed)
    options = RasterStack(
        path="rain.nc",
        quantity="precipitation",
        label={"en": "Rain"},
        units="mm/day",
        cadence="day",
        licence="CC0",
        attribution="nobody",
        crs="EPSG:4326",
    )
    read = read_raster_stack(options, tmp_path / "data", Findings("s"))
    turned = by_bands(read, tmp_path / "scratch", 2, budget_bytes=0)
    xr.testing.assert_identical(turned.compute(), read.compute())
    assert float(turned.sel(lat=36, lon=41, time="2001-01-01")) == 1.0


# ------------------------------------------------------------------ indices from bands


@pytest.mark.slow
def test_indices_of_bands_on_worker_processes_are_those_of_one_array(tmp_path):
    """Two processes write and read the scratch store by its path: the same indices, bit for bit."""
    rain = record(tmp_path / "rain.zarr", days=1600, rows=6, columns=20)
    rules = RainRules(min_years=3)
    expected = daily_rain_indices(rain.compute(), (1982, 1985), rules)
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "host": "127.0.0.1"}
    with LocalCluster(**options, dashboard_address=None) as cluster, Client(cluster) as client:
        turned = by_bands(rain, tmp_path / "scratch", 2, budget_bytes=0)
        found = daily_rain_indices(turned, (1982, 1985), rules).compute()
        assert len(set(client.run(os.getpid).values()) - {os.getpid()}) == 2
    assert int(found["r95p_total_mm"].notnull().sum()) > 1000
    xr.testing.assert_identical(found, expected)


@pytest.mark.slow
def test_a_long_record_never_stands_in_memory_whole(tmp_path):
    """130 MB of rain through the indices: less than half of it held at any time."""
    rain = record(tmp_path / "rain.zarr", days=4000, rows=82, columns=100)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bands, "BAND_BYTES", 4e6)
        patch.setattr(bands, "_BLOCK_BYTES", 4e6)
        tracemalloc.start()
        turned = by_bands(rain, tmp_path / "scratch", budget_bytes=0)
        indices = daily_rain_indices(turned, (1982, 1990), RainRules(min_years=5))
        indices.to_zarr(tmp_path / "indices.zarr", consolidated=False)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert rain.nbytes > 130e6
    assert peak < rain.nbytes / 2


# ------------------------------------------------------------------ what is refused


def test_other_dimensions_are_refused(tmp_path):
    with pytest.raises(ContractError, match=r"expected \('time', 'lat', 'lon'\)"):
        by_bands(images().rename(lat="y"), tmp_path)


def test_a_disk_that_is_too_small_is_told_before_anything_is_written(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(InputError, match=r"disk: found 0.0 GB free, expected 0.0 GB to turn rain into bands"):
        by_bands(images(), tmp_path / "new", budget_bytes=0)
    assert not (tmp_path / "new").exists()


def test_a_scratch_folder_that_is_a_file_is_named(tmp_path):
    (tmp_path / "scratch").write_text("x")
    with pytest.raises(InputError, match="scratch"):
        by_bands(images(), tmp_path / "scratch" / "deep", budget_bytes=0)


def test_a_damaged_image_leaves_no_scratch_behind(tmp_path):
    def broken(block):
        if block.size and block[0, 0, 0] > 500:
            raise ZeroDivisionError
        return block

    raster = images()
    raster = raster.copy(data=da.map_blocks(broken, raster.data, dtype="float32", meta=raster.data._meta))
    with pytest.raises(ZeroDivisionError):
        by_bands(raster, tmp_path / "scratch", budget_bytes=0)
    assert list(Path(tmp_path / "scratch").iterdir()) == []
