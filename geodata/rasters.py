"""Reader "raster_stack": GeoTIFF, NetCDF or Zarr to one lazy raster, mended or refused at the door.

What leaves this module has dims (time, lat, lon), north first, longitudes -180..180, float32,
NaN where there is no value, one unit, and a complete time axis. What cannot be made so is refused
with the name of the file and of the period.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

from .calendar import period_label
from .geotiff import geotiff_periods, read_geotiffs
from .grids import Floats, grid_of, row_areas
from .netcdf import netcdf_periods, read_netcdf
from .quantities import Quantity, Range
from .rain_units import months_from_dekads
from .schema import Findings, InputError
from .stacks import Bounds, StackOptions, listed

_SENTINELS = (-999.0, -9999.0, -99999.0, -32768.0, -2147483648.0, 1e20, 9.969209968386869e36)
_ROUNDING = 1e-6  # of a share or an index kept as float32, beyond the ends of its scale
_NEGATIVE_MM = -1e-3  # rounding noise of packed rain; anything below is a fault


class RasterStack(StackOptions):
    """The reader; its options are those of `StackOptions`."""

    reader: Literal["raster_stack"] = "raster_stack"

    def read(self, root: Path, log: Findings, subdistricts: Any = None) -> xr.DataArray:
        """Raster over the bounds of `subdistricts` (or all of it), every value checked once."""
        stored = read_raster_stack(self.as_stored, root, log, bounds_of(subdistricts))
        check_values(stored, self.as_stored, log)
        log.stop()
        return _in_months(stored) if self.file_cadence else stored

    def raster(
        self, root: Path, log: Findings, bounds: Bounds | None = None, only: Mapping[pd.Timestamp, str] | None = None
    ) -> xr.DataArray:
        """Lazy raster over `bounds`: see `read_raster_stack`."""
        return read_raster_stack(self, root, log, bounds, only)

    def periods_in(self, root: Path, name: str, date: pd.Timestamp | None, log: Findings) -> list[pd.Timestamp]:
        """Starts of the periods whose images one file of the stack holds: its header is read, no pixel.

        Parameters
        ----------
        name, date : as of `geodata.stacks.dated_files`
        """
        periods_of = netcdf_periods if self.is_netcdf else geotiff_periods
        return periods_of(self, root, name, date, log)


def bounds_of(subdistricts: Any) -> Bounds | None:
    """Bounds (west, south, east, north) of a table of subdistricts; None for no table."""
    if subdistricts is None:
        return None
    west, south, east, north = map(float, subdistricts.total_bounds)
    return west, south, east, north


def read_raster_stack(
    options: StackOptions,
    root: Path,
    log: Findings,
    bounds: Bounds | None = None,
    only: Mapping[pd.Timestamp, str] | None = None,
) -> xr.DataArray:
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
    only : mapping of Timestamp to str, or None
        Starts of the periods to give out, in their order, and the file of each ("" of a gap); the other files,
        but the first, stay closed. Not for files of dekads that make months.

    Returns
    -------
    DataArray (time, lat, lon), float32, dask-backed
        Attributes units, long_name and crs. Time is the start of each period, without gaps.
    """
    if options.file_cadence:
        return _in_months(read_raster_stack(options.as_stored, root, log, bounds))
    if options.is_netcdf:
        stored = read_netcdf(options, root, log, bounds, only)
    else:
        stored = read_geotiffs(options, root, log, bounds, only)
    raster = _as_meant(stored, options)
    label = options.label.get("en") or next(iter(options.label.values()), options.quantity)
    raster.attrs = {"units": options.units_given_out, "long_name": label, "crs": "EPSG:4326"}
    if codes := options.rule.codes:
        raster.attrs |= {"flag_values": np.array(list(codes), "int8"), "flag_meanings": " ".join(codes.values())}
    return raster.rename(options.variable or options.quantity)


def _as_meant(raster: xr.DataArray, options: StackOptions) -> xr.DataArray:
    """Codes that are no value left out, change counted from none, evaporation counted upwards."""
    rule = options.rule
    if rule.missing:
        raster = raster.where(~raster.isin(sorted(rule.missing)))
    if rule.zero:
        raster = raster - np.float32(rule.zero)
    return -raster if options.positive == "down" else raster


def _in_months(dekads: xr.DataArray) -> xr.DataArray:
    return months_from_dekads(dekads).assign_attrs(dekads.attrs, units="mm/month")


def check_values(raster: xr.DataArray, options: StackOptions, log: Findings) -> None:
    """Read every pixel once, block by block, and note what cannot be true.

    Parameters
    ----------
    raster : DataArray (time, lat, lon)
        From `read_raster_stack`.
    options : RasterStack
        Its options: quantity, plausible ranges, and the names of the files.
    log : Findings
        Unreadable pixels, negative rain, undeclared nodata, values and codes that the quantity
        cannot have, implausible annual totals and evaporation that runs the wrong way are errors;
        an image without any value is a warning.
    """
    judge(summarise(raster, options, log), options, log)


def summarise(raster: xr.DataArray, options: StackOptions, log: Findings) -> pd.DataFrame:
    """What each image holds, read block by block; an error for each file whose pixels cannot be read.

    Returns
    -------
    DataFrame, index time
        ``low``, ``high``, ``mean`` (of the area), ``empty``, ``foreign`` (it holds a code that the quantity has not)
    """
    area = row_areas(grid_of(raster))[:, np.newaxis]
    parts = []
    for block in _blocks(raster):
        try:
            parts.append(_summaries(raster.isel(time=block), area, options.rule))
        except InputError as error:
            log.items.extend(error.findings)
        except (OSError, RuntimeError):
            file = options.file_of(pd.Timestamp(raster["time"].values[block][0]))
            log.error(file=file, field="pixels", found="a damaged or truncated file", expected="readable values")
    return pd.concat(parts) if parts else pd.DataFrame()


def judge(table: pd.DataFrame, options: StackOptions, log: Findings) -> None:
    """Note what cannot be true of the images that `summarise` describes."""
    if table.empty:
        return
    _check_range(table, options, log)
    if options.quantity == "precipitation":
        _check_annual(table, options, log)
    if options.quantity == "evaporation" and options.is_depth:
        _check_sign(table, options, log)


def _blocks(raster: xr.DataArray) -> Iterator[slice]:
    chunks = raster.chunks[0] if raster.chunks else (raster.sizes["time"],)
    stop = np.cumsum(chunks)
    return (slice(int(b - n), int(b)) for n, b in zip(chunks, stop, strict=True))


def _summaries(images: xr.DataArray, area: Floats, rule: Quantity) -> pd.DataFrame:
    """Smallest, largest and area-mean value of each image (NaN where it is empty); has it a foreign code?"""
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
            "foreign": (has_value & ~np.isin(cells, list(rule.codes))).any(axis=(1, 2)) if rule.codes else False,
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
    ends = seen[["low", "high"]]
    sentinel = (ends.isin(_sentinels(options)) | np.isinf(ends) | (ends.abs() > 1e30)).any(axis=1)
    _refuse(seen[sentinel], options, log, "nodata", "a missing value not declared as such: set nodata = ...")
    _check_possible(seen[~sentinel], options, log)


def _sentinels(options: StackOptions) -> Floats:
    """What the usual codes for "no value" look like among the values given out."""
    factor, offset = (1.0, 0.0) if options.is_depth else options.rule.conversion(options.units)
    codes = np.asarray(_SENTINELS) * factor + offset - options.rule.zero
    with np.errstate(over="ignore"):  # the largest are infinite then, which is caught anyway
        return (-codes if options.positive == "down" else codes).astype("float32").astype("float64")


def _check_possible(seen: pd.DataFrame, options: StackOptions, log: Findings) -> None:
    """Codes and ranges of the quantity; `seen` are the images that have values, without codes for "no value"."""
    rule, units = options.rule, options.units_given_out
    if rule.codes:
        known = ", ".join(f"{code} {word.replace('_', ' ')}" for code, word in rule.codes.items())
        _refuse(seen[seen["foreign"]], options, log, "codes", _with_hint(f"{known}, 255 no data", rule.too_high))
    low, high = _range(options)
    if low is not None:
        expected = _with_hint(f"no value below {round(low, 5) + 0.0:g} {units}", rule.too_low)
        _refuse(seen[seen["low"] < low], options, log, "values", expected)
    if high is not None:
        expected = _with_hint(f"no value above {high:g} {units}", rule.too_high)
        _refuse(seen[seen["high"] > high], options, log, "values", expected)
    if rule.reaches is not None and not seen.empty and not (seen["high"] > rule.reaches).any():
        found = f"no value above {seen['high'].max():g} {units}, declared in {options.units!r}"
        log.error(file=options.path, field="units", found=found, expected=f"some above {rule.reaches:g} {units}")


def _with_hint(expected: str, hint: str) -> str:
    return f"{expected}: {hint}" if hint else expected


def _range(options: StackOptions) -> Range:
    """Smallest and largest value to let through: a country file may widen what is plausible, not what is possible."""
    low, high = options.valid_min, options.valid_max
    if options.quantity == "precipitation":
        low = _NEGATIVE_MM if low is None else low
    if options.is_depth and options.cadence != "year":
        high = options.max_month_mm if high is None else high
    low = options.rule.plausible[0] if low is None else low
    high = options.rule.plausible[1] if high is None else high
    least, most = options.rule.limits
    if least is not None:
        low = least - _ROUNDING if low is None else max(low, least - _ROUNDING)
    if most is not None:
        high = most + _ROUNDING if high is None else min(high, most + _ROUNDING)
    return low, high


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


def _check_sign(table: pd.DataFrame, options: StackOptions, log: Findings) -> None:
    """More water leaves the ground than condenses on it, over any area and time worth mapping."""
    mean = float(table["mean"].mean())
    other = "up" if options.positive == "down" else "down"
    if mean < 0:
        log.error(
            file=options.path,
            field="positive",
            found=f"{mean:.3g} {options.units_given_out} on average with positive = {options.positive!r}",
            expected=f'more evaporation than condensation: positive = "{other}"?',
        )
