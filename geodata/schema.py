"""The narrow waist: the nouns that every package shares, and the checks that guard them.

Left of the waist are pixels, projections and files (``geodata.*``); right of it
(``models``, ``maps``) there is no pixel and no path. This module is the only one of
``geodata`` that ``models`` and ``maps`` may import, so it imports nothing but numpy,
pandas and xarray.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from enum import IntEnum
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr


class Status(IntEnum):
    """Why a value stands, or why it does not. Codes are the CF flags of the cube.

    A NaN alone says nothing: each value travels with one of these words.
    """

    ok = 0
    stale = 1
    resolution_limited = 2
    out_of_support = 3
    masked_dry_season = 4
    insufficient_data = 5
    input_missing = 6
    exposure_unknown = 7
    external_unknown = 8
    no_skill = 9
    suppressed = 10


KEEPS_VALUE = frozenset({Status.ok, Status.stale, Status.resolution_limited, Status.out_of_support})
"""Statuses under which a value is published. (``no_skill`` belongs to forecasts alone.)"""

RAISES_ALERTS = frozenset({Status.ok, Status.resolution_limited, Status.out_of_support})
"""Statuses under which a value may raise an alert."""

CAUTION = (Status.ok, Status.resolution_limited, Status.out_of_support, Status.stale)
"""Statuses that keep a value, from the one that claims most to the one that claims least."""


class AlertLevel(IntEnum):
    """What the reader is asked to do. Unknown can never look like fine."""

    NO_DATA = -1
    NORMAL = 0
    WATCH = 1
    WARNING = 2
    EMERGENCY = 3


# ------------------------------------------------------------------ findings and errors

Severity = Literal["error", "warning", "repair", "note"]


@dataclass(frozen=True)
class Finding:
    """One thing found wrong, or mended, in an input. Written to ``checks.json``."""

    severity: Severity
    source: str  # the block of the country file, e.g. "sources.rain"
    file: str  # as the country file names it, relative to the data folder
    field: str
    found: str
    expected: str
    action: str = ""

    def __str__(self) -> str:
        done = f" ({self.action})" if self.action else ""
        return f"{self.file}: {self.field}: found {self.found}, expected {self.expected}{done}"


class InputError(ValueError):
    """The input is wrong: the user can mend it, and the message says how (exit code 1)."""

    def __init__(self, findings: Finding | Iterable[Finding]):
        self.findings = (findings,) if isinstance(findings, Finding) else tuple(findings)
        super().__init__("\n".join(str(f) for f in self.findings))

    def __reduce__(self) -> tuple[type, tuple[tuple[Finding, ...]]]:
        return type(self), (self.findings,)


class ContractError(ValueError):
    """A promise of the waist is broken: a fault of ours, not of the user (exit code 70)."""


class Findings:
    """Collects what a reader finds in one source, so that one pass reports everything."""

    def __init__(self, source: str):
        self.source = source
        self.items: list[Finding] = []
        self.reviews: list[Any] = []  # what an analyst has to decide on: `geodata.review.Review`

    def add(
        self,
        severity: Severity,
        *,
        file: str,
        field: str,
        found: object,
        expected: object,
        action: str = "",
    ) -> None:
        """Note one finding; nothing is raised yet."""
        self.items.append(Finding(severity, self.source, str(file), field, str(found), str(expected), action))

    def error(self, *, file: str, field: str, found: object, expected: object) -> None:
        """Note something that must stop the run, and read on to find the rest."""
        self.add("error", file=file, field=field, found=found, expected=expected)

    def repair(self, *, file: str, field: str, found: object, expected: object, action: str) -> None:
        """Note something that was mended; ``action`` says what was done."""
        self.add("repair", file=file, field=field, found=found, expected=expected, action=action)

    def warning(self, *, file: str, field: str, found: object, expected: object, action: str = "") -> None:
        """Note something an analyst should look at."""
        self.add("warning", file=file, field=field, found=found, expected=expected, action=action)

    @property
    def errors(self) -> list[Finding]:
        """The findings that stop a run."""
        return [f for f in self.items if f.severity == "error"]

    def take(self, other: Findings) -> None:
        """Note all that another log holds."""
        self.items += other.items
        self.reviews += other.reviews

    def stop(self) -> None:
        """Raise InputError if anything found so far is an error."""
        if self.errors:
            raise InputError(self.errors)

    def fail(self, *, file: str, field: str, found: object, expected: object) -> InputError:
        """Note an error and return it, for ``raise log.fail(...)`` where reading on is pointless."""
        self.error(file=file, field=field, found=found, expected=expected)
        return InputError(self.errors)


# ------------------------------------------------------------------ values


@dataclass(frozen=True)
class GridSpec:
    """Which pixels a raster has. Equality means "the same pixels".

    Parameters
    ----------
    crs : str, e.g. "EPSG:4326"
    west, north : float, outer edges of the first cell, in units of the crs
    dx, dy : float > 0, cell size
    width, height : int, number of columns and rows; row 0 is the northernmost
    """

    crs: str
    west: float
    north: float
    dx: float
    dy: float
    width: int
    height: int

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(west, south, east, north), outer edges."""
        return (self.west, self.north - self.dy * self.height, self.west + self.dx * self.width, self.north)


@dataclass(frozen=True)
class Source:
    """One input as the receipt and every product name it."""

    name: str
    label: Mapping[str, str]  # per language
    location: str  # relative to the data folder
    sha256: str
    licence: str
    attribution: str
    native_units: str
    cadence: str
    available_after_days: int
    max_age_days: int | None
    first: str = ""  # first and last period read, "YYYY-MM"
    last: str = ""
    age_days: int | None = None  # from the end of the last period to the end of the as-of month
    status: str = "ok"
    note: Mapping[str, str] = field(default_factory=dict)  # a caveat every product repeats


@dataclass(frozen=True)
class Manifest:
    """The receipt: stored with every output, printed on every map."""

    run_id: str
    country: str
    country_name: Mapping[str, str]
    as_of: str  # "YYYY-MM"
    issued: date
    synthetic: bool
    exercise: bool
    code_version: str
    config_sha256: str
    dimensions_missing: tuple[str, ...]  # e.g. ("lack_of_coping",): titles must say so
    sources: tuple[Source, ...] = ()
    missing_hazards: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "issued": self.issued.isoformat()}


# ------------------------------------------------------------------ statuses in arrays


def status_attrs() -> dict[str, Any]:
    """CF attributes of a ``<name>_status`` flag variable."""
    return {
        "flag_values": np.array([s.value for s in Status], dtype="int8"),
        "flag_meanings": " ".join(s.name for s in Status),
    }


def status_like(values: xr.DataArray, missing: Status = Status.insufficient_data) -> xr.DataArray:
    """Flag variable for ``values``: ok where there is a number, ``missing`` where there is none."""
    flags = xr.where(values.notnull(), np.int8(Status.ok), np.int8(missing)).astype("int8")
    return flags.assign_attrs(status_attrs())


def has_status(flags: xr.DataArray, members: Iterable[Status]) -> xr.DataArray:
    """True where the flag is one of ``members``."""
    return flags.isin([int(m) for m in members])


def more_cautious(a: xr.DataArray, b: xr.DataArray) -> xr.DataArray:
    """Of two flags that both keep a value, the one that claims less (ok < resolution_limited <
    out_of_support < stale). A flag that keeps no value stands over one that does."""
    order = np.full(max(Status) + 1, len(CAUTION), dtype="int8")
    for rank, member in enumerate(CAUTION):
        order[member] = rank
    ra, rb = (xr.apply_ufunc(lambda f: order[f], f, dask="parallelized", output_dtypes=["int8"]) for f in (a, b))
    return xr.where(rb > ra, b, a).astype("int8").assign_attrs(status_attrs())


# ------------------------------------------------------------------ checks at the waist

SUBDISTRICT_COLUMNS = (
    "name_en",
    "name_ar",
    "name_ckb",
    "adm1_pcode",
    "adm1_name",
    "adm1_name_ar",
    "adm1_name_ckb",
    "adm2_pcode",
    "adm2_name",
    "adm2_name_ar",
    "adm2_name_ckb",
    "area_km2",
)
"""Columns of the subdistricts table besides ``geometry``; names may be empty, never null."""


def check_subdistricts(subdistricts: pd.DataFrame) -> None:
    """Raise ContractError unless this is a subdistricts table.

    Promise: index ``pcode`` of unique non-empty strings, sorted; the columns of
    SUBDISTRICT_COLUMNS; if a geometry column is there, EPSG:4326 and all valid.
    """
    wrong = []
    index = subdistricts.index
    if index.name != "pcode" or not index.is_unique or not index.is_monotonic_increasing:
        wrong.append(f"index {index.name!r}, unique={index.is_unique}, expected a unique sorted 'pcode'")
    if absent := [c for c in SUBDISTRICT_COLUMNS if c not in subdistricts.columns]:
        wrong.append(f"columns {absent} absent")
    if "geometry" in subdistricts.columns:
        crs = getattr(subdistricts, "crs", None)
        if crs is None or crs.to_epsg() != 4326:
            wrong.append(f"crs {crs}, expected EPSG:4326")
        elif not subdistricts.geometry.is_valid.all():
            wrong.append("invalid geometry")
    if wrong:
        raise ContractError("subdistricts: " + "; ".join(wrong))


def check_cube(cube: xr.Dataset) -> None:
    """Raise ContractError unless every variable keeps the promises of the waist.

    Promise: dims start with ("time", "pcode"); a flag variable names its meanings; each other has ``units``,
    ``long_name`` and a ``<name>_status`` flag variable; where the flag keeps no value the
    value is NaN, and where it keeps one the value is not NaN.
    """
    wrong = []
    for name in map(str, cube.data_vars):
        values = cube[name]
        if "flag_meanings" in values.attrs:
            continue  # a flag carries its own words
        if tuple(values.dims[:2]) != ("time", "pcode"):
            wrong.append(f"{name}: dims {tuple(values.dims)}, expected ('time', 'pcode')")
        if absent := [a for a in ("units", "long_name") if a not in values.attrs]:
            wrong.append(f"{name}: attributes {absent} absent")
        if f"{name}_status" not in cube:
            wrong.append(f"{name}: no {name}_status")
            continue
        kept = has_status(cube[f"{name}_status"], KEEPS_VALUE)
        if bool((kept != values.notnull()).any()):
            wrong.append(f"{name}: value and status disagree in {int((kept != values.notnull()).sum())} cells")
    if wrong:
        raise ContractError("cube: " + "; ".join(wrong))


def require_units(values: xr.DataArray, units: str) -> None:
    """Raise ContractError unless ``values`` carries exactly these units (conversion is done at the door)."""
    if values.attrs.get("units") != units:
        raise ContractError(f"{values.name}: units {values.attrs.get('units')!r}, expected {units!r}")
