"""NetCDF and Zarr stacks, by CF conventions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pyproj
import xarray as xr

from .calendar import next_period, period_range, period_start
from .grids import Floats, cell_centres
from .rain_units import rain_factor
from .schema import Findings
from .stacks import (
    BLOCK_BYTES,
    PARTS_OF,
    Bounds,
    Layout,
    StackOptions,
    clipped,
    complete_periods,
    crs_is_fit,
    dated_files,
    nothing_found,
    only_files,
    require_periods,
    unit_factors,
    what_it_is,
    whole_layout,
)

_LATITUDES, _LONGITUDES = {"lat", "latitude", "y"}, {"lon", "longitude", "long", "x"}
_TIMES = {"time", "valid_time", "t"}


def read_netcdf(
    options: StackOptions,
    root: Path,
    log: Findings,
    bounds: Bounds | None,
    only: Mapping[pd.Timestamp, str] | None = None,
) -> xr.DataArray:
    """Lazy raster (time, lat, lon) of the NetCDF files or the Zarr store of a stack.

    With ``only``, no other file is opened than those of these periods, and the first, whose grid is that of all.
    """
    dated: list[tuple[str, pd.Timestamp | None]] = [(options.path, None)]
    if not options.is_zarr:
        dated = dated_files(options, root, log)
    elif not (root / options.path).is_dir():
        raise log.fail(file=options.path, field="path", found=nothing_found(options, root), expected="a Zarr store")
    if only is not None:
        dated = only_files(dated, only)
    parts = [_one_file(root, name, date, options, log) for name, date in dated]
    log.stop()
    _require_one_grid([(part, name) for part, (name, _) in zip(parts, dated, strict=True)], log)
    names = [name for part, (name, _) in zip(parts, dated, strict=True) for _ in range(part.sizes["time"])]
    periods = [pd.Timestamp(t) for part in parts for t in part["time"].values]
    if only is None:
        every = complete_periods(options, periods, names, log)
        log.stop()
    else:
        every = pd.DatetimeIndex(list(only)).as_unit("ns")
        require_periods(only, dict(zip(periods, names, strict=True)), log)
    first = parts[0]
    layout = clipped(whole_layout(first["lat"].values, first["lon"].values, names[0], log), options, log, bounds)
    lat, lon = cell_centres(layout.grid)
    # Labels go with the moved data, and are those of the first file: float32 files differ in rounding.
    moved = [_cells(part, layout, options).assign_coords(lat=lat, lon=lon) for part in parts]
    raster = xr.concat(moved, dim="time").sortby("time").reindex(time=every)
    factors, offset = unit_factors(options, every)
    return (raster * xr.DataArray(factors, coords={"time": every}) + offset).astype("float32")


def netcdf_periods(
    options: StackOptions, root: Path, name: str, date: pd.Timestamp | None, log: Findings
) -> list[pd.Timestamp]:
    """Starts of the periods whose images a file holds, by its own coordinates, whatever its name says."""
    return [pd.Timestamp(t) for t in _one_file(root, name, date, options, log)["time"].values]


def _one_file(root: Path, name: str, date: pd.Timestamp | None, options: StackOptions, log: Findings) -> xr.DataArray:
    """One file as (time, lat, lon) as stored, nothing read, in the file's units."""
    try:
        ds = _open_dataset(root / name, is_zarr=options.is_zarr)
    except (OSError, ValueError, KeyError, RuntimeError):
        found = "a damaged or foreign store" if options.is_zarr else what_it_is(root / name)
        raise log.fail(file=name, field="file", found=found, expected="a readable NetCDF or Zarr") from None
    values = _variable(ds, name, options, log)
    lat, lon = _dimension(ds, values, "lat", name, log), _dimension(ds, values, "lon", name, log)
    crs_is_fit(_netcdf_crs(ds, values, lat, lon), name, options, log)
    _check_units(values, name, options, log)
    _check_scale(values, name, options, log)
    times, time = _netcdf_times(ds, values, date, name, options, log)
    values = values.rename({lat: "lat", lon: "lon"} | ({time: "time"} if time else {}))
    values = values if time else values.expand_dims("time")
    extra = [d for d in values.dims if d not in ("time", "lat", "lon")]
    if any(values.sizes[d] > 1 for d in extra):
        raise log.fail(file=name, field="dimensions", found=values.dims, expected="time, latitude and longitude")
    values = values.isel(dict.fromkeys(extra, 0), drop=True).reset_coords(drop=True)
    return values.assign_coords(time=times).transpose("time", "lat", "lon")


def _cells(stored: xr.DataArray, layout: Layout, options: StackOptions) -> xr.DataArray:
    """Wanted cells in order, chunked; the country file's own nodata, scale and offset applied."""
    wanted = stored.isel(lat=layout.rows, lon=layout.columns)
    step = int(np.clip(BLOCK_BYTES / 4 / (layout.grid.height * layout.grid.width), 1, 600))
    values = wanted.chunk({"time": step, "lat": -1, "lon": -1})
    if options.nodata is not None:
        values = values.where(values != options.nodata)
    return values * options.scale + options.offset


def _open_dataset(path: Path, *, is_zarr: bool) -> xr.Dataset:
    if is_zarr:
        return xr.open_zarr(path, decode_times=False, chunks=None, consolidated=False)
    return xr.open_dataset(path, engine="netcdf4", decode_times=False, chunks=None)


def _variable(ds: xr.Dataset, name: str, options: StackOptions, log: Findings) -> xr.DataArray:
    if options.variable:
        if options.variable not in ds:
            from .options import describe_missing

            found = describe_missing(options.variable, map(str, ds.data_vars))
            raise log.fail(file=name, field="variable", found=found, expected=f"a variable {options.variable!r}")
        return ds[options.variable]
    images = [str(v) for v in ds.data_vars if _axis(ds, ds[v], "lat") and _axis(ds, ds[v], "lon")]
    if len(images) != 1:
        raise log.fail(
            file=name,
            field="variable",
            found=f"{images or 'none'} with latitude and longitude",
            expected='variable = "..."',
        )
    return ds[images[0]]


def _axis(ds: xr.Dataset, values: xr.DataArray, kind: Literal["lat", "lon", "time"]) -> str:
    """Name of the dimension that is latitude, longitude or time: by CF attributes, else by name."""
    standard = {"lat": "latitude", "lon": "longitude", "time": "time"}[kind]
    names = {"lat": _LATITUDES, "lon": _LONGITUDES, "time": _TIMES}[kind]
    for dim in map(str, values.dims):
        attrs = ds[dim].attrs if dim in ds.variables else {}
        if attrs.get("standard_name") == standard:
            return dim
        if kind != "time" and str(attrs.get("units", "")).startswith(f"degrees_{'north' if kind == 'lat' else 'east'}"):
            return dim
    return next((d for d in map(str, values.dims) if d.lower() in names), "")


def _dimension(ds: xr.Dataset, values: xr.DataArray, kind: Literal["lat", "lon"], name: str, log: Findings) -> str:
    dim = _axis(ds, values, kind)
    if not dim or dim not in ds.coords:
        word = "latitude" if kind == "lat" else "longitude"
        raise log.fail(file=name, field=word, found=f"dimensions {values.dims}", expected=f"a {word} coordinate")
    return dim


def _netcdf_crs(ds: xr.Dataset, values: xr.DataArray, lat: str, lon: str) -> str:
    """CRS as the file states it: a grid mapping, or CF's degrees_north and degrees_east; "" if neither."""
    mapping = values.attrs.get("grid_mapping") or values.encoding.get("grid_mapping")
    if mapping in ds.variables:
        attrs = ds[mapping].attrs
        for key in ("crs_wkt", "spatial_ref"):
            if attrs.get(key):
                return str(attrs[key])
        if attrs.get("grid_mapping_name") == "latitude_longitude":
            return pyproj.CRS.from_cf(attrs).to_wkt()
        return str(attrs.get("grid_mapping_name", ""))
    units = [str(ds[dim].attrs.get("units", "")) for dim in (lat, lon)]
    return "EPSG:4326" if units[0].startswith("degree") and units[1].startswith("degree") else ""


def _check_units(values: xr.DataArray, name: str, options: StackOptions, log: Findings) -> None:
    """The file's own units, where they are known ones, must mean what the country file declares."""
    own = values.attrs.get("units")
    if own is None or options.quantity != "precipitation" or options.cadence not in PARTS_OF:
        return
    sample = period_range(pd.Timestamp(2001, 1, 1), pd.Timestamp(2001, 1, 1), options.cadence)
    try:
        meant, declared = (rain_factor(str(u), options.cadence, sample) for u in (own, options.units))
    except ValueError:
        log.warning(file=name, field="units", found=repr(own), expected=f"units that mean {options.units!r}")
        return
    if not np.allclose(meant, declared):
        log.error(file=name, field="units", found=f"{own!r} in the file", expected=f"{options.units!r} as declared")


def _check_scale(values: xr.DataArray, name: str, options: StackOptions, log: Findings) -> None:
    if {"scale_factor", "add_offset"} & set(values.encoding) and (options.scale, options.offset) != (1.0, 0.0):
        found = "a scale in the file and one in the country file"
        log.error(file=name, field="scale", found=found, expected="one of the two")


def _netcdf_times(
    ds: xr.Dataset, values: xr.DataArray, date: pd.Timestamp | None, name: str, options: StackOptions, log: Findings
) -> tuple[pd.DatetimeIndex, str]:
    """Start of the period of each image, and the dimension it stands on ("" for a single image)."""
    dim = _axis(ds, values, "time")
    if dim and dim in ds.coords:
        moments = _decoded(ds, dim, name, log)
    elif date is not None or options.start:
        moments = [date if date is not None else pd.Timestamp(options.start)]
        while dim and len(moments) < values.sizes[dim]:
            moments.append(next_period(moments[-1], options.cadence))
    else:
        raise log.fail(
            file=name, field="time", found=f"dimensions {values.dims}", expected="a time coordinate, or start = ..."
        )
    return pd.DatetimeIndex([period_start(m, options.cadence) for m in moments]).as_unit("ns"), dim


def _decoded(ds: xr.Dataset, dim: str, name: str, log: Findings) -> list[pd.Timestamp]:
    """Moments of a CF time coordinate. With bounds, the middle of each period: an image that is
    labelled with the end of its month belongs to that month."""
    time = ds[dim]
    bounds = ds.get(time.attrs.get("bounds", ""))
    numbers = time.astype("float64") if bounds is None else bounds.mean([d for d in bounds.dims if d != dim])
    attrs = {k: time.attrs[k] for k in ("units", "calendar") if k in time.attrs}
    months = re.match(r"months since (\d{4}-\d{1,2})", str(attrs.get("units", "")))
    if months:
        start = pd.Period(months[1], "M")
        return [(start + int(np.floor(n))).to_timestamp() for n in numbers.values]
    try:
        moments = xr.decode_cf(xr.Dataset({"m": (dim, numbers.values, attrs)}))["m"].values
        return [pd.Timestamp(getattr(m, "isoformat", lambda m=m: m)()) for m in moments]
    except (ValueError, TypeError, OverflowError):
        raise log.fail(
            file=name, field="time", found=repr(attrs.get("units")), expected="CF time, e.g. 'days since 1900-01-01'"
        ) from None


def _require_one_grid(parts: Iterable[tuple[xr.DataArray, str]], log: Findings) -> None:
    (first, first_name), *others = parts
    for other, name in others:
        if not _alike(first["lat"].values, other["lat"].values) or not _alike(first["lon"].values, other["lon"].values):
            expected = f"that of {first_name}: {_as_stored(first)}"
            raise log.fail(file=name, field="grid", found=_as_stored(other), expected=expected)


def _alike(a: Floats, b: Floats) -> bool:
    """True for the same cell centres, up to a hundredth of a cell (coordinates kept as float32)."""
    return a.size == b.size and bool(np.allclose(a, b, rtol=0, atol=0.01 * np.abs(np.diff(a)).min(initial=1.0)))


def _as_stored(raster: xr.DataArray) -> str:
    lat, lon = raster["lat"].values, raster["lon"].values
    return f"{lat.size} latitudes {lat[0]:g}..{lat[-1]:g} and {lon.size} longitudes {lon[0]:g}..{lon[-1]:g}"
