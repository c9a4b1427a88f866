"""Files a run leaves behind: same content, same bytes; a hindrance is told in words."""

import contextlib
import errno
import os
import subprocess
import time
from datetime import date

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
import xarray as xr

from geodata.schema import ContractError, InputError, status_like
from geodata.store import (
    read_cube,
    sha256_of,
    write_cog,
    write_cube,
    write_dataset,
    write_geopackage,
    write_geoparquet,
    write_score_cog,
    writing,
)

ISSUED = date(2019, 9, 30)


def _cube():
    rain = xr.DataArray(
        [[1.5, np.nan], [0.0, 2.25]],
        dims=("time", "pcode"),
        coords={"time": pd.date_range("2019-01-01", periods=2, freq="MS"), "pcode": ["X01", "X02"]},
        attrs={"units": "mm/month", "long_name": "rain", "is_real": True, "note": {"en": "a"}, "nothing": None},
    )
    cube = xr.Dataset({"rain": rain, "rain_status": status_like(rain)}, attrs={"issued": ISSUED})
    return cube.assign_coords(name_ar=("pcode", ["غرب", "شرق"]))


def _table():
    index = pd.Index(["X01", "X02"], name="pcode")
    shapes = [shapely.box(0, 0, 1, 1), shapely.box(1, 0, 2, 1)]
    return gpd.GeoDataFrame({"name_ar": ["غرب", "شرق"], "risk": [1.5, None]}, geometry=shapes, index=index, crs=4326)


def _image(size=80):
    values = np.random.default_rng(0).random((size, size)).astype("float32")
    values[0, 0] = np.nan
    coords = {"lat": 36 - 0.05 * (np.arange(size) + 0.5), "lon": 40 + 0.05 * (np.arange(size) + 0.5)}
    attrs = {"units": "mm", "long_name": "rain", "crs": "EPSG:4326"}
    return xr.DataArray(values, dims=("lat", "lon"), coords=coords, attrs=attrs)


WRITERS = {
    "cube.nc": lambda path: write_cube(_cube(), path),
    "t.parquet": lambda path: write_geoparquet(_table(), path),
    "t.gpkg": lambda path: write_geopackage({"a": _table(), "b": _table()}, path, dated=ISSUED),
    "q.tif": lambda path: write_cog(_image(), path),
}


@pytest.mark.parametrize("name", WRITERS)
def test_the_same_content_gives_the_same_bytes(tmp_path, name):
    """Written more than a second apart, in two folders, and over an older file: one hash."""
    paths = [tmp_path / "a" / name, tmp_path / "somewhere else" / name]
    WRITERS[name](paths[0])
    first = sha256_of(paths[0])
    time.sleep(1.1)
    WRITERS[name](paths[1])
    WRITERS[name](paths[0])
    assert {sha256_of(path) for path in paths} == {first}


def test_a_cube_comes_back_as_it_was(tmp_path):
    """Values, flags (int8), text in Arabic and attributes."""
    back = read_cube(write_cube(_cube(), tmp_path / "deep" / "er" / "cube.nc"))
    xr.testing.assert_equal(back, _cube())
    assert back.rain_status.dtype == np.int8
    assert back.rain_status.attrs["flag_meanings"].startswith("ok stale")
    assert back.name_ar.values.tolist() == ["غرب", "شرق"]
    assert back.pcode.dtype.kind == "U"
    assert (back.rain.attrs["is_real"], back.rain.attrs["note"]) == (1, '{"en": "a"}')
    assert back.attrs == {"Conventions": "CF-1.11", "issued": "2019-09-30"}


def test_encodings_of_the_file_a_value_came_from_do_not_leak(tmp_path):
    cube = _cube()
    cube["rain"].encoding = {"dtype": "int16", "scale_factor": 100.0, "_FillValue": -1}
    assert read_cube(write_cube(cube, tmp_path / "c.nc")).rain.values[0, 0] == 1.5


def test_a_cube_that_breaks_its_promise_is_not_written(tmp_path):
    with pytest.raises(ContractError, match="no rain_status"):
        write_cube(_cube().drop_vars("rain_status"), tmp_path / "c.nc")
    assert not (tmp_path / "c.nc").exists()
    assert "rain" in read_cube(write_dataset(_cube().drop_vars("rain_status"), tmp_path / "c.nc"))


def test_reading_what_is_no_cube_is_told(tmp_path):
    with pytest.raises(InputError, match="found none, expected a cube"):
        read_cube(tmp_path / "c.nc")
    (tmp_path / "c.nc").write_text("<html>")
    with pytest.raises(InputError, match="a web page"):
        read_cube(tmp_path / "c.nc")


def test_tables_come_back_with_codes_and_geometry(tmp_path):
    parquet = gpd.read_parquet(write_geoparquet(_table(), tmp_path / "t.parquet"))
    assert parquet.equals(_table())
    package = gpd.read_file(write_geopackage(_table(), tmp_path / "t.gpkg", dated=ISSUED), layer="subdistricts")
    assert package.set_index("pcode").name_ar.tolist() == ["غرب", "شرق"]
    assert package.geometry.geom_equals(_table().geometry.reset_index(drop=True)).all()


def test_layers_of_a_package_are_all_there_and_old_ones_gone(tmp_path):
    path = tmp_path / "t.gpkg"
    write_geopackage({"old": _table()}, path, dated=ISSUED)
    write_geopackage({"a": _table(), "b": _table().iloc[:1]}, path, dated=ISSUED)
    assert gpd.list_layers(path)["name"].tolist() == ["a", "b"]


def test_a_package_bears_the_date_of_issue_alone(tmp_path):
    import sqlite3

    path = write_geopackage(_table(), tmp_path / "t.gpkg", dated=ISSUED)
    with sqlite3.connect(path) as package:
        assert package.execute("SELECT last_change FROM gpkg_contents").fetchall() == [("2019-09-30T00:00:00.000Z",)]


def test_a_quicklook_is_cloud_optimised_and_keeps_values_and_place(tmp_path):
    with rasterio.open(write_cog(_image(1100), tmp_path / "q.tif")) as file:
        assert np.array_equal(file.read(1), _image(1100).values, equal_nan=True)
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.overviews(1) == [2, 4]
        assert (file.units[0], file.descriptions[0]) == ("mm", "rain")
        assert np.isnan(file.nodata)
        assert file.bounds.left == pytest.approx(40.0)
        assert file.bounds.top == pytest.approx(36.0)


def test_a_raster_of_indices_has_a_band_for_each(tmp_path):
    """Values, names, units and statistics of each band are its own."""
    both = xr.Dataset({"spi_1": _image(), "spi_3": (_image() + 2.0).assign_attrs(units="1", long_name="SPI-3")})
    with rasterio.open(write_cog(both, tmp_path / "spi.tif")) as file:
        assert file.count == 2
        assert np.array_equal(file.read(2), (_image() + 2.0).values, equal_nan=True)
        assert (file.descriptions, file.units) == (("rain", "SPI-3"), ("mm", "1"))
        highest = [float(file.tags(band)["STATISTICS_MAXIMUM"]) for band in (1, 2)]
        assert highest[1] - highest[0] == pytest.approx(2.0)


def test_a_quicklook_is_one_image(tmp_path):
    with pytest.raises(ContractError, match="expected \\('lat', 'lon'\\)"):
        write_cog(_image().expand_dims("time"), tmp_path / "q.tif")


def _scores():
    """3 x 4 cells: the ends, printed halves, a gap."""
    values = np.array([[0.0, 0.04, 0.05, 4.35], [3.94, 3.95, 9.96, 10.0], [2.0, 8.0, np.nan, np.nan]])
    lat, lon = [35.75, 35.25, 34.75], [40.25, 40.75, 41.25, 41.75]
    return xr.DataArray(
        values, dims=("lat", "lon"), coords={"lat": lat, "lon": lon}, name="hazard", attrs={"units": "1"}
    )


def test_a_raster_of_scores_holds_printed_tenths_with_their_colours_and_statistics(tmp_path):
    colours = {code: (code, 0, 100 - code) for code in range(101)}
    with rasterio.open(write_score_cog(_scores(), tmp_path / "s.tif", colours)) as file:
        assert file.read(1).tolist() == [[0, 0, 1, 44], [39, 40, 100, 100], [20, 80, 255, 255]]
        assert file.scales == (0.1,)
        table, tags = file.colormap(1), file.tags(1)
        assert table[44] == (44, 0, 56, 255)
        assert table[255][3] == 0  # what was not assessed has no colour
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
    seen = [0, 0, 1, 44, 39, 40, 100, 100, 20, 80]
    assert float(tags["STATISTICS_MEAN"]) == pytest.approx(np.mean(seen))
    assert float(tags["STATISTICS_STDDEV"]) == pytest.approx(np.std(seen))
    assert (tags["STATISTICS_MINIMUM"], tags["STATISTICS_MAXIMUM"]) == ("0", "100")
    assert float(tags["STATISTICS_VALID_PERCENT"]) == pytest.approx(100 * 10 / 12, abs=0.01)


def test_a_raster_in_which_nothing_was_assessed_has_no_statistics_and_no_colour(tmp_path):
    with rasterio.open(write_score_cog(_scores() * np.nan, tmp_path / "s.tif", {})) as file:
        assert (file.read(1) == 255).all()
        assert "STATISTICS_MEAN" not in file.tags(1)


def test_what_is_no_score_is_refused(tmp_path):
    with pytest.raises(ContractError, match="beyond 0 to 10"):
        write_score_cog(_scores() + 1, tmp_path / "s.tif", {})


# ------------------------------------------------------------------ hashes


def test_one_file_has_its_own_hash(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, "abc"
    assert sha256_of(tmp_path / "a") == expected


# ------------------------------------------------------------------ hindrances


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "no space left on the disk"),
        (errno.EACCES, "no permission to write there"),
        (errno.EROFS, "a read-only disk"),
        (errno.EDQUOT, "quota"),
        (errno.EIO, "nput/output error"),
    ],
)
def test_any_os_error_is_told_in_words(tmp_path, code, words):
    with pytest.raises(InputError, match=words), writing(tmp_path / "f"):
        raise OSError(code, os.strerror(code))


def test_a_file_in_place_of_a_folder_is_told(tmp_path):
    (tmp_path / "a").write_text("")
    with pytest.raises(InputError, match=r"a file where a folder should be|File exists"):
        write_geoparquet(_table(), tmp_path / "a" / "b" / "t.parquet")


@pytest.mark.parametrize("name", WRITERS)
def test_a_folder_in_place_of_the_file_is_told(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(InputError, match="a folder of that name"):
        WRITERS[name](tmp_path / name)


def test_a_fault_of_ours_is_not_put_down_to_the_disk(tmp_path):
    with pytest.raises(RuntimeError, match="a fault"), writing(tmp_path / "f"):
        raise RuntimeError("a fault")
    with pytest.raises(KeyError), writing(tmp_path / "f"):
        raise KeyError("a fault")


def test_findings_pass_through_unchanged(tmp_path):
    with pytest.raises(InputError, match="first"), writing(tmp_path / "f"), writing(tmp_path / "g"):
        raise OSError(errno.EIO, "first")


@pytest.fixture
def small_disk(tmp_path):
    """A disk of two megabytes, gone after the test."""
    mount = tmp_path / "disk"
    mount.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(mount)], capture_output=True, text=True, check=False
    )
    if made.returncode:
        pytest.skip(f"mounting a small disk is not allowed here: {made.stderr.strip()}")
    yield mount
    subprocess.run(["umount", "--lazy", str(mount)], check=True)  # HDF5 may still hold a file it failed to finish


@pytest.mark.skipif(os.name != "posix" or not os.path.exists("/bin/mount"), reason="no mount on this machine")
@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_told_and_leaves_no_half_file(small_disk, name):
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"\1" * 4096):
            continue
    with pytest.raises(InputError, match="no space left on the disk"):
        WRITERS[name](small_disk / name)
    assert not (small_disk / name).exists()


@pytest.mark.skipif(os.name != "posix" or not os.path.exists("/bin/mount"), reason="no mount on this machine")
@pytest.mark.parametrize("name", WRITERS)
def test_a_disk_that_fills_up_while_writing_is_told(small_disk, name, monkeypatch):
    """Some 12 kB are free: the first bytes go through, the rest does not."""
    filler = small_disk / "filler"
    free = os.statvfs(small_disk)
    filler.write_bytes(b"\1" * (free.f_bavail * free.f_frsize - 3 * 4096))
    table = gpd.GeoDataFrame(
        {"n": np.random.default_rng(0).random(5000)},
        geometry=gpd.points_from_xy(*np.random.default_rng(1).random((2, 5000))),
        crs=4326,
    )
    noise = xr.DataArray(np.random.default_rng(2).random((60, 600)), dims=("time", "pcode"), name="n").to_dataset()
    large = {
        "cube.nc": lambda path: write_dataset(noise, path),
        "t.parquet": lambda path: write_geoparquet(table, path),
        "t.gpkg": lambda path: write_geopackage(table, path, dated=ISSUED),
        "q.tif": lambda path: write_cog(_image(400), path),
    }
    with pytest.raises(InputError, match="no space left on the disk"):
        large[name](small_disk / name)


@pytest.mark.skipif(os.name != "posix" or not os.path.exists("/bin/mount"), reason="no mount on this machine")
@pytest.mark.parametrize("name", WRITERS)
def test_a_read_only_disk_is_told(small_disk, name):
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(InputError, match=r"a read-only disk|no permission to write there"):
        WRITERS[name](small_disk / name)


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write anywhere")
@pytest.mark.parametrize("name", WRITERS)
def test_a_folder_without_permission_is_told(tmp_path, name):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="no permission to write there"):
        WRITERS[name](tmp_path / name)
    tmp_path.chmod(0o700)
