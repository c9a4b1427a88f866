"""Writing what a run leaves behind, and reading it back: the same content gives the same bytes.

No file written here holds a clock time, a host or a path. A full or write-protected disk is the
user's to mend: it comes out as InputError, with the file and what was in the way.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import geopandas as gpd
import netCDF4
import numpy as np
import pyarrow
import pyogrio
import rasterio
import xarray as xr
from rasterio.transform import from_origin
from xlsxwriter.exceptions import XlsxWriterException

from .grids import grid_of
from .schema import ContractError, Finding, InputError, check_cube
from .stacks import what_it_is

NO_SCORE = 255
"""What stands for "not assessed" in a raster of scores."""

_WRITABLE = "a place that can be written to"
_FULL = 1_000_000  # bytes free below which a failed write is put down to the disk
_LIBRARY_ERRORS = (RuntimeError, sqlite3.Error, pyarrow.ArrowException, XlsxWriterException)
_REASONS = {
    errno.ENOSPC: "no space left on the disk",
    errno.EDQUOT: "the disk quota is used up",
    errno.EACCES: "no permission to write there",
    errno.EPERM: "no permission to write there",
    errno.EROFS: "a read-only disk",
    errno.ENOTDIR: "a file where a folder should be",
    errno.EISDIR: "a folder of that name",
    errno.ENOENT: "no such folder",
    errno.ENAMETOOLONG: "a name that is too long",
}


# ------------------------------------------------------------------ errors while writing


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Turn what hinders writing `path` into InputError; give its folder first if need be.

    Any OSError is such a hindrance. Libraries say "HDF error" when the disk is full, so any error
    of theirs counts as one while less than 1 MB is free; other errors pass through unchanged.
    A file that could not be finished is removed.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield path
    except InputError:
        raise
    except (OSError, *_LIBRARY_ERRORS) as error:
        reason = _reason(error, path)
        if not reason:
            raise
        _discard(path)
        raise InputError(Finding("error", "output", str(path), "file", reason, _WRITABLE)) from error


def _reason(error: Exception, path: Path) -> str:
    """Why an error hinders writing, in words; "" if it is no matter of the disk."""
    code = getattr(error, "errno", None)
    if path.is_dir():
        return _REASONS[errno.EISDIR]
    if not _may_write(path):
        return _REASONS[errno.EROFS if code == errno.EROFS else errno.EACCES]
    # HDF5 says "permission denied" of a full disk that may be written to.
    if _is_full(path) and code in (None, errno.ENOSPC, errno.EACCES, errno.EPERM, errno.EIO):
        return _REASONS[errno.ENOSPC]
    if isinstance(error, OSError):
        return _REASONS.get(code or 0, "") or str(error.strerror or error) or type(error).__name__
    return ""


def _may_write(path: Path) -> bool:
    folder = path.parent
    return os.access(path if path.exists() else folder, os.W_OK) if folder.is_dir() else True


def _is_full(path: Path) -> bool:
    there = next((p for p in (path.parent, *path.parent.parents) if p.is_dir()), None)
    return there is not None and shutil.disk_usage(there).free < _FULL


def _discard(path: Path) -> None:
    try:
        if path.is_file():
            path.unlink()
    except OSError:
        return  # what hinders writing may hinder removing too: the first reason is the one to tell


def _require_whole(path: Path, expected: object) -> None:
    """Read back what a library may have failed to finish without a word."""
    if not path.is_file() or not expected:
        full = _is_full(path)
        found = _REASONS[errno.ENOSPC] if full else "a file that reads back otherwise than it was written"
        _discard(path)
        raise InputError(Finding("error", "output", str(path), "file", found, _WRITABLE))


# ------------------------------------------------------------------ cubes


def write_cube(cube: xr.Dataset, path: Path, *, packed: bool = True) -> Path:
    """Write the waist as NetCDF 4, CF 1.11; refused with ContractError unless `check_cube` passes.

    Parameters
    ----------
    cube : Dataset (time, pcode, ...)
        Values with their `<name>_status` flags (int8, kept as such).
    path : Path
        Where to; folders are made.
    packed : bool
        Compressed; False for what is read back and removed before a run ends.

    Returns
    -------
    Path, as given
    """
    check_cube(cube)
    return write_dataset(cube, path, packed=packed)


def write_dataset(dataset: xr.Dataset, path: Path, *, packed: bool = True) -> Path:
    """Write any dataset as NetCDF 4 whose bytes depend on nothing but its content."""
    plain = dataset.drop_encoding()
    plain.attrs = {"Conventions": "CF-1.11", **_plain_attributes(dataset.attrs)}
    for name in plain.variables:
        plain[name].attrs = _plain_attributes(plain[name].attrs)
    encoding = {name: _encoding(plain[name], packed) for name in plain.variables}
    with writing(path) as target:
        target.unlink(missing_ok=True)
        plain.to_netcdf(target, engine="netcdf4", format="NETCDF4", encoding=encoding)
        with netCDF4.Dataset(target) as back:
            _require_whole(target, set(back.variables) == set(plain.variables))
    return path


def _encoding(variable: xr.DataArray, packed: bool) -> dict[str, Any]:
    kind = variable.dtype.kind
    if kind == "M":
        return {
            "dtype": "int32",
            "units": "days since 1970-01-01",
            "calendar": "proleptic_gregorian",
            "_FillValue": None,
        }
    if kind in "OUST":
        return {"dtype": "S1"}  # text of fixed width: CF readers of every age can read it
    smaller = {"zlib": True, "complevel": 4} if packed and variable.ndim else {}
    return {**smaller, "_FillValue": np.array(np.nan, variable.dtype)[()] if kind == "f" else None}


def _plain_attributes(attributes: Mapping[Any, Any]) -> dict[str, Any]:
    """Attributes as NetCDF can hold them: None left out, truth as 0 or 1, mappings as JSON."""
    return {str(key): _plain(value) for key, value in attributes.items() if value is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, bool | np.bool_):
        return np.int8(value)
    if isinstance(value, Mapping):
        return json.dumps(value, ensure_ascii=False, sort_keys=True)
    return value.isoformat() if isinstance(value, date) else value


def names_in(path: Path) -> list[str]:
    """Names of the variables and coordinates of what `write_dataset` wrote; the values stay where they are."""
    with netCDF4.Dataset(path) as stored:
        return [str(name) for name in stored.variables]


def read_cube(path: Path, *, names: Collection[str] | None = None, months: Sequence[str] | None = None) -> xr.Dataset:
    """Read what `write_cube` or `write_dataset` wrote, into memory; flags stay int8.

    Parameters
    ----------
    path : Path
    names : variables to read, those that are there; all of them unless given
    months : "YYYY-MM" of the months to read, those that are there; all of them unless given
    """
    if not Path(path).is_file():
        raise InputError(Finding("error", "store", str(path), "file", "none", "a cube written by a run"))
    try:
        with xr.open_dataset(path, engine="netcdf4") as stored:
            cube = _part(stored, names, months).load()
    except (OSError, RuntimeError, ValueError):
        found = what_it_is(Path(path))
        raise InputError(Finding("error", "store", str(path), "file", found, "a cube written by a run")) from None
    for name in cube.coords:
        if cube[name].dtype.kind == "O":
            cube[name] = cube[name].astype(str)
    return cube


def _part(stored: xr.Dataset, names: Collection[str] | None, months: Sequence[str] | None) -> xr.Dataset:
    part = stored if names is None else stored[[n for n in stored.data_vars if n in names]]
    if months is None:
        return part
    return part.isel(time=part.indexes["time"].strftime("%Y-%m").isin(months).nonzero()[0])


# ------------------------------------------------------------------ tables with geometry


def write_geoparquet(table: gpd.GeoDataFrame, path: Path) -> Path:
    """Write a table with geometry as GeoParquet 1.1, index included."""
    with writing(path) as target:
        table.to_parquet(target, compression="zstd", schema_version="1.1.0", index=True)
    return path


@contextmanager
def _gdal_options(**options: str) -> Iterator[None]:
    before = {key: pyogrio.get_gdal_config_option(key) for key in options}
    pyogrio.set_gdal_config_options(options)
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options(before)


def write_geopackage(layers: gpd.GeoDataFrame | Mapping[str, gpd.GeoDataFrame], path: Path, *, dated: date) -> Path:
    """Write one layer ("subdistricts") or several as a GeoPackage whose only date is the given one.

    Parameters
    ----------
    layers : GeoDataFrame or mapping
        Layer name -> table; the index becomes a column if it has a name.
    path : Path
        Where to; what stood there is replaced.
    dated : date
        Written as `last_change`, which GeoPackage requires: the date of issue, never a clock.

    Returns
    -------
    Path, as given
    """
    named = layers if isinstance(layers, Mapping) else {"subdistricts": layers}
    with writing(path) as target, _gdal_options(OGR_CURRENT_DATE=f"{dated.isoformat()}T00:00:00.000Z"):
        target.unlink(missing_ok=True)
        for position, (layer, table) in enumerate(named.items()):
            flat = table.reset_index() if table.index.name else table
            pyogrio.write_dataframe(flat, target, layer=layer, driver="GPKG", append=position > 0)
            _require_whole(target, pyogrio.read_info(target, layer=layer)["features"] == len(flat))
    return path


# ------------------------------------------------------------------ rasters


def write_cog(raster: xr.DataArray | xr.Dataset, path: Path) -> Path:
    """Write images as a cloud-optimised GeoTIFF with their statistics, float32, NaN where there is no value.

    Parameters
    ----------
    raster : DataArray (lat, lon), any unit, or Dataset of such: a band for each variable
        One time; attributes units and long_name go with them.
    path : Path
        Where to.

    Returns
    -------
    Path, as given
    """
    profile = {"dtype": "float32", "nodata": float("nan"), "predictor": 3, "overview_resampling": "average"}
    images = [raster] if isinstance(raster, xr.DataArray) else [raster[name] for name in raster.data_vars]
    return _write_images(images, [image.values.astype("float32") for image in images], profile, path)


def write_score_cog(scores: xr.DataArray, path: Path, colours: Mapping[int, tuple[int, int, int]]) -> Path:
    """Write a score as a cloud-optimised GeoTIFF with a colour table and statistics.

    A colour table needs whole numbers: a cell holds the score in tenths, and the file says so
    (scale 0.1). 255, which has no colour, stands where nothing was assessed.

    Parameters
    ----------
    scores : DataArray (lat, lon), 0-10, NaN where not assessed
    path : Path
        Where to.
    colours : mapping, tenths 0 to 100 -> red, green, blue 0 to 255

    Returns
    -------
    Path, as given
    """
    values = scores.values.astype("float64")
    if np.nanmin(values, initial=0.0) < 0 or np.nanmax(values, initial=0.0) > 10:
        raise ContractError(f"{scores.name}: values beyond 0 to 10, expected a score")
    # Half up on the decimal that is printed: 4.35 is 4.4, though the float beneath lies a hair below.
    tenths = np.floor(np.round(values * 10.0, 9) + 0.5)
    stored = np.where(np.isnan(values), NO_SCORE, tenths).astype("uint8")
    table = {code: (*colours[code], 255) if code in colours else (0, 0, 0, 0) for code in range(256)}
    profile = {"dtype": "uint8", "nodata": NO_SCORE, "overview_resampling": "nearest"}
    return _write_images([scores], [stored], profile, path, colours=table, scale=0.1)


def _write_images(
    rasters: Sequence[xr.DataArray],
    values: Sequence[Any],
    profile: Mapping[str, Any],
    path: Path,
    *,
    colours: Mapping[int, tuple[int, int, int, int]] | None = None,
    scale: float = 1.0,
) -> Path:
    for raster in rasters:
        if tuple(raster.dims) != ("lat", "lon"):
            raise ContractError(f"{raster.name}: dims {tuple(raster.dims)}, expected ('lat', 'lon')")
    grid = grid_of(rasters[0])
    place = {
        "driver": "COG",
        "count": len(rasters),
        "width": grid.width,
        "height": grid.height,
        "crs": grid.crs,
        "transform": from_origin(grid.west, grid.north, grid.dx, grid.dy),
        "compress": "deflate",
        "num_threads": 1,
    }
    # Made in memory: GDAL only logs what goes wrong while it closes a file on a disk.
    with rasterio.MemoryFile() as memory:
        with memory.open(**place, **profile) as file:
            for band, (raster, image) in enumerate(zip(rasters, values, strict=True), start=1):
                file.write(image, band)
                file.set_band_description(band, str(raster.attrs.get("long_name", raster.name or "")))
                file.set_band_unit(band, str(raster.attrs.get("units", "")))
                file.update_tags(band, **_statistics(image, profile["nodata"]))
            file.scales = (scale,) * len(rasters)
            if colours is not None:
                file.write_colormap(1, dict(colours))
        content = bytes(memory.getbuffer())
    with writing(path) as target:
        target.write_bytes(content)
    return path


def _statistics(values: Any, nodata: float) -> dict[str, str]:
    """Statistics of the stored values as GDAL names them; only the share that is there, if none is."""
    seen = values[~np.isnan(values)] if np.isnan(nodata) else values[values != nodata]
    share = {"STATISTICS_VALID_PERCENT": f"{100 * seen.size / max(values.size, 1):.4g}"}
    if not seen.size:
        return share
    wide = seen.astype("float64")
    figures = {"MINIMUM": wide.min(), "MAXIMUM": wide.max(), "MEAN": wide.mean(), "STDDEV": wide.std()}
    return {f"STATISTICS_{key}": f"{figure:.10g}" for key, figure in figures.items()} | share


# ------------------------------------------------------------------ hashes


def sha256_of(path: Path) -> str:
    """SHA-256 of one file, hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
