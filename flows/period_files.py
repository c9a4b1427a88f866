"""Which file holds which periods of a stack: what a new month adds, and what it leaves alone.

Of GeoTIFFs with a file for each period the names tell. Of any other files of a stack their headers do, and what
those said is kept by the hash of each file: a name does not bind the times inside. One single file,
a Zarr store, and dekads that make months are read whole.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from geodata.calendar import period_start
from geodata.rasters import RasterStack
from geodata.schema import Finding, Findings, InputError
from geodata.stacks import PARTS_OF, complete_periods, dated_files, periods_of_files

from .kept import grow
from .plan import Plan, code_version

_SAID: dict[str, dict[str, str]] = {}
"""What headers said in this process: question -> file -> text."""


def digests_of(name: str, plan: Plan) -> dict[str, str]:
    """Path -> hash of the files of a source; of no file, of a gap, none."""
    return {f.path: f.sha256 for f in plan.inputs if f.source == f"sources.{name}"} | {"": ""}


def later_files(name: str, plan: Plan, last_year: int) -> set[str]:
    """Files all of whose periods lie after the last calibration year."""
    end = pd.Timestamp(last_year + 1, 1, 1)
    held = file_of_each_period(name, plan)
    return set(held.values()) - {path for period, path in held.items() if period < end}


def file_of_each_period(name: str, plan: Plan, kept: Path | None = None) -> dict[pd.Timestamp, str]:
    """Period -> its file, of stacks of several files; empty of any other source, and where two files hold a period.

    Parameters
    ----------
    kept : Path, where what headers said is kept from run to run
    """
    source = plan.settings.sources[name]
    if not isinstance(source, RasterStack) or source.file_cadence or source.is_zarr or not source.placeholders:
        return {}
    if source.cadence not in PARTS_OF:
        return {}
    if names_tell(source):
        dated = dated_files(source, Path(plan.data), Findings(f"sources.{name}"))
        return {period_start(date, source.cadence): path for path, date in dated if date is not None}
    held = [(day, path) for path, said in _said(name, source, plan, kept) for day in said["periods"]]
    return dict(_in_order(tuple(held))) if len(dict(held)) == len(held) else {}


@lru_cache(maxsize=8)  # a run asks for the same files many times
def _in_order(held: tuple[tuple[str, str], ...]) -> list[tuple[pd.Timestamp, str]]:
    days = pd.DatetimeIndex([day for day, _ in held])
    return sorted(zip(days, (path for _, path in held), strict=True))


def axis_of_files(name: str, plan: Plan, log: Findings, kept: Path | None = None) -> dict[pd.Timestamp, str]:
    """Every period from the first to the last, and its file, "" of a gap; empty as of `file_of_each_period`.

    What headers said, in this run or before, goes to the log, and so do repeated and missing periods.
    """
    held, source = file_of_each_period(name, plan, kept), plan.settings.sources[name]
    if not held or not isinstance(source, RasterStack):
        return {}
    if names_tell(source):
        periods = periods_of_files(source, Path(plan.data), log)
    else:
        log.items += [Finding(**f) for _, said in _said(name, source, plan, kept) for f in said["findings"]]
        periods = complete_periods(source, list(held), list(held.values()), log)
        log.stop()
    return {period: held.get(period, "") for period in periods}


def names_tell(source: RasterStack) -> bool:
    """True for GeoTIFFs with a file for each period."""
    return not source.is_netcdf and source.placeholders >= PARTS_OF[source.cadence]


def _said(name: str, source: RasterStack, plan: Plan, kept: Path | None) -> list[tuple[str, dict[str, Any]]]:
    """What the header of each file says: its periods, and what was found. Nothing, where one cannot be read."""
    log = Findings(f"sources.{name}")
    dated = dict(dated_files(source, Path(plan.data), log))
    if log.errors:
        return []
    digests = digests_of(name, plan)
    files = pd.Series([digests.get(path, "") for path in dated], index=pd.Index(list(dated), name="file"))
    question = {"source": source.model_dump(mode="json"), "code": code_version()}
    key = json.dumps([plan.data, question, files.to_dict()])

    def answer(paths: pd.Index) -> xr.Dataset:
        said = [_header_says(source, Path(plan.data), path, dated[path], log.source) for path in paths]
        return xr.Dataset({"said": ("file", said)}, coords={"file": list(paths)})

    if key not in _SAID:
        try:
            whole = answer(files.index) if kept is None else grow(kept, f"headers-{name}", question, files, answer)
            _SAID[key] = dict(zip(files.index, map(str, whole["said"].values), strict=True))
        except InputError:
            return []  # reading it whole tells every file that is not fit
    return [(path, json.loads(text)) for path, text in _SAID[key].items()]


def _header_says(source: RasterStack, root: Path, path: str, date: pd.Timestamp | None, block: str) -> str:
    log = Findings(block)
    periods = source.periods_in(root, path, date, log)
    log.stop()
    return json.dumps({"periods": [p.isoformat() for p in periods], "findings": [asdict(f) for f in log.items]})
