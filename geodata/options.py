"""What every source block of a country file declares, and the small helpers readers share.

A reader is one module: a frozen subclass of `SourceOptions` that says how its files look and
reads them. Nothing here opens a file.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from .schema import Findings

Cadence = Literal["day", "dekad", "month", "year", "round", "once"]


def _inside_the_data_folder(path: str) -> str:
    parts = PurePosixPath(path)
    if not path.strip() or parts.is_absolute() or ".." in parts.parts or "\\" in path:
        raise ValueError(f"found {path!r}, expected a path inside the data folder, with '/' between folders")
    return path


DataPath = Annotated[str, AfterValidator(_inside_the_data_folder)]
"""A path relative to the data folder: a run must not depend on where one machine keeps its files."""


class Options(BaseModel):
    """Base of every option model: unknown keys are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SourceOptions(Options):
    """The keys common to all sources. A subclass narrows `reader` and implements `read`.

    Parameters
    ----------
    reader : str, name of the reader in the registry
    path : str, relative to the data folder; readers of many files allow placeholders
    label : dict, language code -> name shown to readers of the products
    units : str, units of the values as the file holds them
    cadence : how often a value is published
    available_after_days : int, days from the end of a period to the day it can be had
    max_age_days : int or None, age at the end of a month beyond which a value is stale
    licence, attribution : str, go with every product
    note : dict, language code -> a caveat every product repeats
    """

    reader: str
    path: DataPath
    label: dict[str, str]
    units: str
    cadence: Cadence
    available_after_days: int = Field(default=0, ge=0)
    max_age_days: int | None = Field(default=None, ge=0)
    licence: str
    attribution: str
    note: dict[str, str] = Field(default_factory=dict)

    def files(self, root: Path) -> list[Path]:
        """Files this source is read from, sorted, for hashing; only those that exist."""
        return [path for path in (root / self.path,) if path.is_file()]

    def files_aside(self, root: Path) -> list[Path]:
        """Files that steer how the values are understood, such as decisions on names; only those that exist."""
        return []

    def read(self, root: Path, log: Findings, subdistricts: Any = None) -> Any:
        """Values of this source; what is found on the way goes to `log`.

        Parameters
        ----------
        root : Path
            The data folder.
        log : Findings
            Collects errors, repairs and warnings.
        subdistricts : GeoDataFrame or None
            The subdistricts table, for readers of tables by unit.
        """
        raise NotImplementedError(f"reader {self.reader!r} does not read")


class RasterSource(SourceOptions):
    """A source that is a raster, (time, lat, lon), whatever it is made of."""

    def raster(self, root: Path, log: Findings, bounds: tuple[float, float, float, float] | None = None) -> Any:
        """Lazy raster over `bounds` (west, south, east, north), its values not checked again.

        Parameters
        ----------
        root : Path
            The data folder.
        log : Findings
            Collects what is wrong with headers, grids and dates.
        bounds : tuple or None, degree
            Give out only the cells that these touch.
        """
        raise NotImplementedError(f"reader {self.reader!r} gives no raster")


def nearest(name: str, known: Iterable[str], *, likeness: float = 0.6) -> str:
    """Name in `known` that looks most like `name`, or "" if none looks like it enough (0 anything, 1 equal).

    >>> nearest("ADM3_PCOD", ["ADM3_EN", "ADM3_PCODE"])
    'ADM3_PCODE'
    """
    by_folded = {str(k).casefold(): str(k) for k in known}
    found = get_close_matches(name.casefold(), by_folded, n=1, cutoff=likeness)
    return by_folded[found[0]] if found else ""


def describe_missing(name: str, known: Iterable[str]) -> str:
    """What was found instead of `name`, for the "found" of a finding.

    >>> describe_missing("pcod", ["pcode", "name"])
    "no 'pcod' (did you mean 'pcode'?) among 'name', 'pcode'"
    """
    known = sorted({str(k) for k in known})
    hint = nearest(name, known)
    shown = ", ".join(map(repr, known[:12])) + (f" and {len(known) - 12} more" if len(known) > 12 else "")
    return f"no {name!r}{f' (did you mean {hint!r}?)' if hint else ''} among {shown or 'nothing'}"


def require_columns(columns: Iterable[str], wanted: Iterable[str], *, file: str, log: Findings) -> None:
    """Note an error for each of `wanted` that is not among `columns`, naming the nearest."""
    have = [str(c) for c in columns]
    for name in wanted:
        if name not in have:
            log.error(file=file, field="columns", found=describe_missing(name, have), expected=f"a column {name!r}")


def require_file(root: Path, path: str, log: Findings) -> Path:
    """Full path of an input file, or InputError naming the folder it was looked for in."""
    full = root / path
    if full.is_file():
        return full
    folder = PurePosixPath(path).parent
    beside = [p.name for p in full.parent.iterdir()] if full.parent.is_dir() else []
    hint = nearest(full.name, beside)
    if not full.parent.is_dir():
        found = f"no folder {str(folder)!r} in the data folder"
    else:
        found = f"no such file in {str(folder)!r}" + (f" (did you mean {hint!r}?)" if hint else "")
    raise log.fail(file=path, field="path", found=found, expected="a readable file")
