"""What all raster stacks share: options, file names and dates, a complete time axis, one fit grid.

Nothing here reads a pixel. The readers of one format each are `geotiff` and `netcdf`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, Self

import numpy as np
import pandas as pd
import pyproj
from pydantic import Field, model_validator

from .calendar import period_label, period_range, period_start
from .grids import (
    Floats,
    Indices,
    grid_from_centres,
    is_geographic_wgs84,
    north_first,
    parse_crs,
    rows_and_columns,
    west_first,
)
from .options import RasterSource, nearest
from .quantities import QUANTITIES, Quantity, QuantityName
from .rain_units import rain_factor
from .schema import ContractError, Findings, GridSpec

Bounds = tuple[float, float, float, float]

_MOST_NAMED = 12  # periods or files named in one finding
_PLACEHOLDERS = {"YYYY": r"(?P<YYYY>\d{4})", "MM": r"(?P<MM>\d{2})", "DD": r"(?P<DD>\d{2})", "DK": r"(?P<DK>[1-3])"}
PARTS_OF = {"day": {"YYYY", "MM", "DD"}, "dekad": {"YYYY", "MM", "DK"}, "month": {"YYYY", "MM"}, "year": {"YYYY"}}
"""Date parts that tell the periods of a cadence apart; a "round" or "once" has none."""
BLOCK_BYTES = 16e6
"""Of float32 cells in one dask chunk: a few in hand at a time stay small beside the machine."""

_NETCDF = {".nc", ".nc4", ".cdf", ".h5", ".hdf5"}


class StackOptions(RasterSource):
    """Rasters on one grid, one per period.

    Parameters
    ----------
    path : str
        With placeholders {YYYY} {MM} {DD} {DK} where the date of a file stands in its name, e.g.
        "rainfall/chirps-v2.0.{YYYY}.{MM}.tif"; a single NetCDF or Zarr; or one multi-band GeoTIFF
        with `start`. A pattern coarser than the cadence ("{YYYY}.tif", monthly) has a band per period.
    quantity : what the values are, a row of `QUANTITIES`, which has the units and the range of each;
        precipitation and evaporation become mm/month, mm/day, mm/dekad or mm/year
    positive : which way a positive evaporation goes in the file, "up" (more evaporation) or "down"
        (ERA5: a flux towards the ground); given out, more is always more evaporation
    file_cadence : "dekad" where the files hold dekads and `cadence` is "month": three make a month
    variable : str or None, variable of a NetCDF or Zarr that holds several
    start : str or None, "YYYY-MM" or "YYYY-MM-DD", period of the first band
    first, last : str or None, periods that must be there besides those between the files found
    nodata : float or None, a missing value the file does not declare itself
    scale, offset : float, value = stored x scale + offset, where the file does not declare it itself
    valid_min, valid_max : float or None, in the units given out; a value outside is an error
    gaps : what a missing period is: "refuse", or "missing" for an empty image and a warning
    crs : str or None, declares a CRS for files that have none (noted as a repair)
    max_month_mm, min_annual_mm, max_annual_mm : float, plausible rain
    min_observed_share : float, of a unit's area that a map of water must have seen to speak of it
    """

    reader: Literal["raster_stack"] = "raster_stack"
    quantity: QuantityName
    positive: Literal["up", "down"] | None = None
    file_cadence: Literal["dekad"] | None = None
    variable: str | None = None
    start: str | None = Field(default=None, pattern=r"^\d{4}(-\d{2}){0,2}$")
    first: str | None = Field(default=None, pattern=r"^\d{4}(-\d{2}){0,2}$")
    last: str | None = Field(default=None, pattern=r"^\d{4}(-\d{2}){0,2}$")
    nodata: float | None = None
    scale: float = 1.0
    offset: float = 0.0
    valid_min: float | None = None
    valid_max: float | None = None
    gaps: Literal["refuse", "missing"] = "refuse"
    crs: str | None = None
    max_month_mm: float = 2000.0
    min_annual_mm: float = 20.0
    max_annual_mm: float = 3000.0
    min_observed_share: float = Field(default=0.7, ge=0.5, le=1.0)

    @model_validator(mode="after")
    def _path_and_units_are_known(self) -> StackOptions:
        if unknown := set(re.findall(r"{(\w*)}", self.path)) - set(_PLACEHOLDERS):
            raise ValueError(f"path: found placeholders {sorted(unknown)}, expected {sorted(_PLACEHOLDERS)}")
        if self.start and self.placeholders:
            raise ValueError("start: found beside placeholders in path, expected one of the two")
        if self.file_cadence and (self.cadence, self.quantity) != ("month", "precipitation"):
            found = f"{self.file_cadence!r} for {self.quantity} with cadence {self.cadence!r}"
            raise ValueError(f'file_cadence: found {found}, expected precipitation with cadence = "month"')
        if "DK" in self.placeholders and self.as_stored.cadence != "dekad":
            expected = 'cadence = "dekad", or file_cadence = "dekad" for months made of dekads'
            raise ValueError(f"path: found {{DK}} with cadence {self.cadence!r}, expected {expected}")
        if (self.positive is not None) != (self.quantity == "evaporation"):
            expected = '"up" or "down" for evaporation, nothing for other quantities'
            raise ValueError(f"positive: found {self.positive!r} for {self.quantity}, expected {expected}")
        unit_factors(self.as_stored, pd.DatetimeIndex([]))
        if self.quantity == "water_occurrence" and self.cadence != "once":
            expected = 'cadence = "once": the occurrence is one map of all years, and says nothing of a month'
            raise ValueError(f"cadence: found {self.cadence!r} for water_occurrence, expected {expected}")
        return self

    @property
    def rule(self) -> Quantity:
        """What must be true of the values."""
        return QUANTITIES[self.quantity]

    @property
    def as_stored(self) -> Self:
        """The same source as its files hold it: where they hold dekads, by dekad."""
        return self.model_copy(update={"cadence": self.file_cadence or self.cadence, "file_cadence": None})

    @property
    def is_depth(self) -> bool:
        """True for water that falls or rises in a period: it is given out in mm per period."""
        return self.quantity == "precipitation" or (self.quantity == "evaporation" and self.units.strip() != "1")

    @property
    def placeholders(self) -> set[str]:
        """Date parts that stand in the path."""
        return set(re.findall(r"{(\w+)}", self.path))

    @property
    def units_given_out(self) -> str:
        """Units of the raster after reading."""
        if self.is_depth:
            return f"mm/{self.cadence}" if self.cadence in PARTS_OF else "mm"
        return self.rule.given_out or self.units

    @property
    def is_netcdf(self) -> bool:
        """True for a file with its own coordinates: NetCDF or Zarr."""
        return PurePosixPath(self.path).suffix.lower() in _NETCDF or self.is_zarr

    @property
    def is_zarr(self) -> bool:
        """True for a Zarr store, which is a folder."""
        return PurePosixPath(self.path).suffix.lower() == ".zarr"

    def file_of(self, period: pd.Timestamp) -> str:
        """Path of the file that holds a period, as findings name it."""
        parts = {"YYYY": f"{period.year:04d}", "MM": f"{period.month:02d}", "DD": f"{period.day:02d}"}
        parts["DK"] = str(min((period.day - 1) // 10, 2) + 1)
        return re.sub(r"{(\w+)}", lambda found: parts[found[1]], self.path)

    def files(self, root: Path) -> list[Path]:
        """Files of the stack, sorted; for a Zarr store all files within it."""
        if self.is_zarr:
            return sorted(p for p in (root / self.path).rglob("*") if p.is_file())
        return [root / name for name in matching_files(self.path, root)]


def unit_factors(options: StackOptions, periods: pd.DatetimeIndex) -> tuple[Floats, float]:
    """Multiplier per period and offset that turn the file's units into those given out.

    Raises
    ------
    ValueError : the quantity is never measured in these units
    """
    if options.is_depth and options.cadence in PARTS_OF:
        return rain_factor(options.units, options.cadence, periods, options.quantity), 0.0
    factor, offset = options.rule.conversion(options.units)
    return np.full(len(periods), factor), offset


@dataclass(frozen=True)
class Layout:
    """How the images of a stack lie in their files, and what of them is wanted."""

    grid: GridSpec  # of what is given out
    rows: Indices  # of the file, north first
    columns: Indices  # of the file, west first


def matching_files(pattern: str, root: Path) -> list[str]:
    """Files whose path, relative to the data folder, fits the pattern, sorted."""
    if not re.search(r"{\w+}", pattern):
        return [pattern] if (root / pattern).is_file() else []
    fits = _pattern(pattern)
    found = (p.relative_to(root).as_posix() for p in root.glob(re.sub(r"({\w+})+", "*", pattern)) if p.is_file())
    return sorted(name for name in found if fits.fullmatch(name))


def _pattern(pattern: str) -> re.Pattern[str]:
    """Regular expression of a path with placeholders; a placeholder seen again must repeat its value."""
    seen: set[str] = set()
    parts: list[str] = []
    for part in re.split(r"({\w+})", pattern):
        key = part.strip("{}")
        if not part.startswith("{"):
            parts.append(re.escape(part))
        elif key in seen:
            parts.append(f"(?P={key})")
        else:
            parts.append(_PLACEHOLDERS[key])
            seen.add(key)
    return re.compile("".join(parts))


def dated_files(options: StackOptions, root: Path, log: Findings) -> list[tuple[str, pd.Timestamp | None]]:
    """Files of the stack with the date in their name; InputError if there is none."""
    names = matching_files(options.path, root)
    if not names:
        raise log.fail(
            file=options.path, field="path", found=nothing_found(options, root), expected=_an_example(options)
        )
    if not options.placeholders:
        return [(names[0], None)]
    fits, dated = _pattern(options.path), []
    for name in names:
        found = fits.fullmatch(name)
        parts = {key: int(value) for key, value in (found.groupdict() if found else {}).items()}
        day = parts.get("DD", 10 * (parts.get("DK", 1) - 1) + 1)
        try:
            dated.append((name, pd.Timestamp(parts.get("YYYY", 0), parts.get("MM", 1), day)))
        except ValueError:
            log.error(file=name, field="date in the file name", found=parts, expected="a date of the calendar")
    return dated


def nothing_found(options: StackOptions, root: Path) -> str:
    """What stands where the files of a stack should be."""
    fixed = PurePosixPath(re.split(r"{\w+}", options.path)[0] + "x").parent
    folder = root / fixed
    if not folder.is_dir():
        return f"no folder {str(fixed)!r} in the data folder"
    beside = sorted(p.name for p in folder.iterdir())
    hint = nearest(PurePosixPath(options.file_of(pd.Timestamp(1991, 1, 1))).name, beside)
    return f"no such file in {str(fixed)!r} ({len(beside)} others{f', such as {hint!r}' if hint else ''})"


def _an_example(options: StackOptions) -> str:
    return f"files named like {options.file_of(pd.Timestamp(1991, 1, 1))!r}" if options.placeholders else "a file"


def complete_periods(
    options: StackOptions, periods: Sequence[pd.Timestamp], names: Sequence[str], log: Findings
) -> pd.DatetimeIndex:
    """Every period from first to last; repeated and missing ones are named."""
    for period, count in Counter(periods).items():
        if count > 1:
            where = sorted({n for p, n in zip(periods, names, strict=True) if p == period})
            log.error(
                file=", ".join(where[:3]),
                field="time",
                found=f"{count} images for {period_label(period, options.cadence)}",
                expected="one image for each period",
            )
    if options.cadence not in PARTS_OF:
        return pd.DatetimeIndex(sorted(set(periods))).as_unit("ns")
    if _are_dekads(periods, options.cadence):
        log.error(
            file=options.path,
            field="cadence",
            found="images for days 1, 11 and 21 alone, declared as days",
            expected='cadence = "dekad": a dekad has 8 to 11 days',
        )
        return pd.DatetimeIndex(sorted(set(periods))).as_unit("ns")
    first = min([*periods, *_declared(options.first, options.cadence)])
    last = max([*periods, *_declared(options.last, options.cadence)])
    every = period_range(first, last, options.cadence)
    there = set(periods)
    missing = [p for p in every if p not in there]
    if missing:
        _note_gaps(options, missing, log)
    return every


def _are_dekads(periods: Sequence[pd.Timestamp], cadence: str) -> bool:
    return cadence == "day" and len(set(periods)) > 2 and {p.day for p in periods} <= {1, 11, 21}


def periods_of_files(options: StackOptions, root: Path, log: Findings) -> pd.DatetimeIndex:
    """Every period of a stack with a file for each, from the names alone; repeated and missing ones are named."""
    dated = [(name, period_start(date, options.cadence)) for name, date in dated_files(options, root, log) if date]
    log.stop()
    periods = complete_periods(options, [period for _, period in dated], [name for name, _ in dated], log)
    log.stop()
    return periods


def only_files(
    dated: list[tuple[str, pd.Timestamp | None]], only: Mapping[pd.Timestamp, str]
) -> list[tuple[str, pd.Timestamp | None]]:
    """Files that hold the periods asked for, and the first, whose grid is that of all."""
    return dated[:1] + [item for item in dated[1:] if item[0] in set(only.values())]


def require_periods(only: Mapping[pd.Timestamp, str], found: Mapping[pd.Timestamp, str], log: Findings) -> None:
    """InputError for a period that is not, or no longer, in the file it is to be read from."""
    for period, name in only.items():
        if name and found.get(period) != name:
            raise log.fail(
                file=name, field="time", found=f"no image for {period.date()}", expected="a file that stays as it was"
            )


def _declared(text: str | None, cadence: str) -> list[pd.Timestamp]:
    return [period_start(pd.Timestamp(text), cadence)] if text else []


def _note_gaps(options: StackOptions, missing: Sequence[pd.Timestamp], log: Findings) -> None:
    labels = [period_label(p, options.cadence) for p in missing]
    found = f"no image for {listed(labels)}"
    file = options.file_of(missing[0]) if len(missing) == 1 else options.path
    if options.gaps == "refuse":
        log.error(file=file, field="time", found=found, expected='every period, or gaps = "missing"')
    else:
        log.warning(file=file, field="time", found=found, expected="every period", action="left empty")


def listed(labels: Sequence[str]) -> str:
    """First few of many labels, and how many more."""
    more = f" and {len(labels) - _MOST_NAMED} more" if len(labels) > _MOST_NAMED else ""
    return ", ".join(labels[:_MOST_NAMED]) + more


def what_it_is(path: Path) -> str:
    """What a file that will not open looks like, in words a user can act on."""
    try:
        with path.open("rb") as file:
            head = file.read(512).lstrip().lower()
    except OSError as error:
        return f"a file that cannot be read ({error.strerror or 'no reason given'})"
    size = path.stat().st_size
    if size == 0:
        return "an empty file"
    if head.startswith((b"<!doctype html", b"<html")) or b"<html" in head:
        return "a web page (HTML), perhaps an error page saved by a download"
    if head.startswith((b"<?xml", b"{")):
        return "a text answer of a server (XML or JSON), not data"
    if head.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not the file it stands for"
    if head.startswith(b"\x1f\x8b"):
        return "a file packed with gzip"
    return f"a damaged, truncated or foreign file of {size} bytes"


def crs_is_fit(found: str, name: str, options: StackOptions, log: Findings) -> bool:
    """True if the CRS is latitude and longitude on WGS84, the file's own or the declared one."""
    declared = parse_crs(options.crs) if options.crs else None
    own = parse_crs(found) if found else None
    if options.crs and declared is None:
        log.error(file=name, field="crs", found=f"{options.crs!r} declared", expected="a known CRS such as EPSG:4326")
        return False
    if own is None and declared is None:
        log.error(file=name, field="crs", found="none", expected='EPSG:4326, or crs = "..." in the country file')
        return False
    crs = own or declared
    if own is not None and declared is not None and is_geographic_wgs84(own) != is_geographic_wgs84(declared):
        log.error(file=name, field="crs", found=f"{_crs_name(own)} in the file", expected=f"{options.crs} as declared")
        return False
    if crs is None or not is_geographic_wgs84(crs):
        log.error(
            file=name,
            field="crs",
            found=_crs_name(crs),
            expected="latitude and longitude on WGS84 (EPSG:4326): warp the files first",
        )
        return False
    if own is None:
        log.repair(file=name, field="crs", found="none", expected="a CRS", action=f"read as {options.crs}, as declared")
    return True


def _crs_name(crs: pyproj.CRS | None) -> str:
    if crs is None:
        return "none"
    code = crs.to_epsg()
    return f"EPSG:{code} ({crs.name})" if code else str(crs.name)


def whole_layout(lat: Floats, lon: Floats, name: str, log: Findings) -> Layout:
    """Layout of all cells of a file, from its cell centres in any order; InputError if they are no grid
    on the Earth."""
    lat, lon = np.asarray(lat, dtype="float64"), np.asarray(lon, dtype="float64")
    # A grid may reach half a cell past the pole, and longitudes may run to 360.
    if np.abs(lat).max() > 90.0 or lon.min() < -180.5 or lon.max() > 360.5:
        raise log.fail(
            file=name,
            field="crs",
            found=f"latitudes {lat.min():g}..{lat.max():g}, longitudes {lon.min():g}..{lon.max():g}",
            expected="degrees: is this a CRS in metres?",
        )
    rows, (columns, lon) = north_first(lat), west_first(lon)
    try:
        return Layout(grid_from_centres(lat[rows], lon), rows, columns)
    except ContractError as error:
        raise log.fail(file=name, field="grid", found=str(error), expected="evenly spaced cells") from None


def clipped(layout: Layout, options: StackOptions, log: Findings, bounds: Bounds | None) -> Layout:
    """The part of a layout that `bounds` touch; an error if there is none, a warning if it falls short."""
    if bounds is None:
        return layout
    rows, columns = rows_and_columns(layout.grid, bounds)
    if rows.start >= rows.stop or columns.start >= columns.stop:
        raise log.fail(
            file=options.path,
            field="extent",
            found=_extent(layout.grid.bounds),
            expected=f"an overlap with the country, {_extent(bounds)}",
        )
    rows, columns = _two_at_least(rows, layout.grid.height), _two_at_least(columns, layout.grid.width)
    own = layout.grid.bounds
    if bounds[0] < own[0] or bounds[1] < own[1] or bounds[2] > own[2] or bounds[3] > own[3]:
        log.warning(
            file=options.path, field="extent", found=_extent(own), expected=f"the whole country, {_extent(bounds)}"
        )
    grid = layout.grid
    clipped = GridSpec(
        crs=grid.crs,
        west=round(grid.west + columns.start * grid.dx, 10),
        north=round(grid.north - rows.start * grid.dy, 10),
        dx=grid.dx,
        dy=grid.dy,
        width=columns.stop - columns.start,
        height=rows.stop - rows.start,
    )
    return Layout(clipped, layout.rows[rows], layout.columns[columns])


def _two_at_least(cells: slice, size: int) -> slice:
    """Cells wanted, and one beside a lone one: the cell size is read from two."""
    if cells.stop - cells.start > 1 or size < 2:
        return cells
    return slice(cells.start, cells.stop + 1) if cells.stop < size else slice(cells.start - 1, cells.stop)


def _extent(bounds: Bounds) -> str:
    west, south, east, north = bounds
    return f"latitudes {south:.4g}..{north:.4g}, longitudes {west:.4g}..{east:.4g}"
