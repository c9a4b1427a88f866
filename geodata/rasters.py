"""Reader "raster_stack": GeoTIFF, NetCDF or Zarr to one lazy raster, mended or refused at the door.

What leaves this module has dims (time, lat, lon), north first, longitudes -180..180, float32,
NaN where there is no value, one unit, and a complete time axis. What cannot be made so is refused
with the name of the file and of the period.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

from .calendar import period_label
from .geotiff import read_geotiffs
from .grids import Floats, grid_of, row_areas
from .netcdf import read_netcdf
from .schema import Findings, InputError
from .stacks import Bounds, StackOptions, listed

_SENTINELS = (-999.0, -9999.0, -99999.0, -32768.0, -2147483648.0, 1e20, 9.969209968386869e36)
_NEGATIVE_MM = -1e-3  # rounding noise of packed rain; anything below is a fault


class RasterStack(StackOptions):
    """The reader; its options are those of `StackOptions`."""

    reader: Literal["raster_stack"] = "raster_stack"

    def read(self, root: Path, log: Findings, subdistricts: Any = None) -> xr.DataArray:
        """Raster over the bounds of `subdistricts` (or all of it), every value checked once."""
        bounds = None
        if subdistricts is not None:
            west, south, east, north = map(float, subdistricts.total_bounds)
            bounds = (west, south, east, north)
        raster = read_raster_stack(self, root, log, bounds)
        check_values(raster, self, log)
        log.stop()
        return raster


def read_raster_stack(options: StackOptions, root: Path, log: Findings, bounds: Bounds | None = None) -> xr.DataArray:
    """Lazy raster of a stack; headers are read, pixels are not.

    Parameters
    ----------
    options : RasterStack
        The source as declared.
    root : Path
        The data folder.
    log : Findings
        Collects errors and repairs; raised together where reading on is pointless.
    bounds : tuple (west, south, east, north) or None, degree
        Give out only the cells that these touch.

    Returns
    -------
    DataArray (time, lat, lon), float32, dask-backed
        Attributes units, long_name and crs. Time is the start of each period, without gaps.
    """
    reader = read_netcdf if options.is_netcdf else read_geotiffs
    raster = reader(options, root, log, bounds)
    label = options.label.get("en") or next(iter(options.label.values()), options.quantity)
    raster.attrs = {"units": options.units_given_out, "long_name": label, "crs": "EPSG:4326"}
    return raster.rename(options.variable or options.quantity)


def check_values(raster: xr.DataArray, options: StackOptions, log: Findings) -> None:
    """Read every pixel once, block by block, and note what cannot be true.

    Parameters
    ----------
    raster : DataArray (time, lat, lon)
        From `read_raster_stack`.
    options : RasterStack
        Its options: quantity, plausible ranges, and the names of the files.
    log : Findings
        Unreadable pixels, negative rain, undeclared nodata, values out of range and implausible
        annual totals are errors; an image without any value is a warning.
    """
    area = row_areas(grid_of(raster))[:, np.newaxis]
    parts = []
    for block in _blocks(raster):
        try:
            parts.append(_summaries(raster.isel(time=block), area))
        except InputError as error:
            log.items.extend(error.findings)
        except (OSError, RuntimeError):
            file = options.file_of(pd.Timestamp(raster["time"].values[block][0]))
            log.error(file=file, field="pixels", found="a damaged or truncated file", expected="readable values")
    if not parts:
        return
    table = pd.concat(parts)
    _check_range(table, options, log)
    if options.quantity == "precipitation":
        _check_annual(table, options, log)


def _blocks(raster: xr.DataArray) -> Iterator[slice]:
    chunks = raster.chunks[0] if raster.chunks else (raster.sizes["time"],)
    stop = np.cumsum(chunks)
    return (slice(int(b - n), int(b)) for n, b in zip(chunks, stop, strict=True))


def _summaries(images: xr.DataArray, area: Floats) -> pd.DataFrame:
    """Smallest, largest and area-mean value of each image (NaN where it is empty)."""
    cells = np.asarray(images.values, dtype="float64")
    has_value = ~np.isnan(cells)
    weight = (has_value * area).sum(axis=(1, 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(has_value, cells * area, 0.0).sum(axis=(1, 2)) / weight
    return pd.DataFrame(
        {
            "low": np.where(has_value, cells, np.inf).min(axis=(1, 2)),
            "high": np.where(has_value, cells, -np.inf).max(axis=(1, 2)),
            "mean": mean,
            "empty": weight == 0,
        },
        index=pd.DatetimeIndex(images["time"].values),
    )


def _check_range(table: pd.DataFrame, options: StackOptions, log: Findings) -> None:
    seen = table[~table["empty"]]
    if seen.empty:
        log.error(file=options.path, field="values", found="no value in any image", expected="values")
        return
    if table["empty"].any():
        _note_images(table.index[table["empty"]], options, log, "no value in it")
    sentinel = (
        seen["low"].isin(_SENTINELS) | seen["high"].isin(_SENTINELS) | np.isinf(seen[["low", "high"]]).any(axis=1)
    )
    sentinel |= (seen[["low", "high"]].abs() > 1e30).any(axis=1)
    _refuse(seen[sentinel], options, log, "nodata", "a missing value not declared as such: set nodata = ...")
    seen = seen[~sentinel]
    low, high, units = options.valid_min, options.valid_max, options.units_given_out
    if options.quantity == "precipitation":
        low = _NEGATIVE_MM if low is None else low
        high = options.max_month_mm if high is None and options.cadence != "year" else high
    if options.quantity == "count" and low is None:
        low = 0.0
    if low is not None:
        _refuse(seen[seen["low"] < low], options, log, "values", f"no value below {low:g} {units}")
    if high is not None:
        _refuse(seen[seen["high"] > high], options, log, "values", f"no value above {high:g} {units}")


def _refuse(table: pd.DataFrame, options: StackOptions, log: Findings, field: str, expected: str) -> None:
    """One error that names the first few periods, with their extremes."""
    if table.empty:
        return
    labels = [period_label(pd.Timestamp(t), options.cadence) for t in table.index]
    found = f"{table['low'].min():g} to {table['high'].max():g} {options.units_given_out} in {listed(labels)}"
    log.error(file=options.file_of(pd.Timestamp(table.index[0])), field=field, found=found, expected=expected)


def _note_images(times: pd.DatetimeIndex, options: StackOptions, log: Findings, found: str) -> None:
    labels = [period_label(pd.Timestamp(t), options.cadence) for t in times]
    file = options.file_of(pd.Timestamp(times[0]))
    log.warning(file=file, field="values", found=f"{found}: {listed(labels)}", expected="values", action="left empty")


def _check_annual(table: pd.DataFrame, options: StackOptions, log: Findings) -> None:
    """Area-mean total of a year: catches metres declared as millimetres, and the reverse."""
    if options.cadence not in ("day", "dekad", "month", "year"):
        return
    per_year = {"day": 365.25, "dekad": 36.0, "month": 12.0, "year": 1.0}[options.cadence]
    by_year = table["mean"].groupby(table.index.year).agg(["mean", "count"])
    # A part of a year says nothing of its total: too few images, no verdict.
    whole = by_year[by_year["count"] >= 0.9 * per_year]["mean"] * per_year
    if whole.empty:
        return
    if not options.min_annual_mm <= (typical := float(whole.median())) <= options.max_annual_mm:
        log.error(
            file=options.path,
            field="units",
            found=f"{typical:.3g} mm in a typical year over the whole area, declared in {options.units!r}",
            expected=f"{options.min_annual_mm:g} to {options.max_annual_mm:g} mm: are the units right?",
        )
