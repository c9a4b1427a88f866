"""Months of a daily record: the days that each needs, and the files that hold them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from geodata.calendar import period_ends
from geodata.options import SourceOptions
from geodata.schema import Findings
from models.hazards import HAZARDS, HazardOptions

from .block_rasters import bounds_of_run, open_raster
from .kept import kept_folder
from .months import axis_of, known_or_calibrating, years_of
from .period_files import axis_of_files, digests_of
from .plan import Plan


def windows_of(block: HazardOptions, plan: Plan, work: str) -> pd.DataFrame:
    """Months that speak or calibrate, the days that each needs, and the hash of all files that hold one of these.

    A month that speaks by the as-of month is told from days that could be had by then. One that only
    calibrates is told from every day of the calibration.

    Returns
    -------
    DataFrame, index time = month starts
        ``first``, ``last``, the first and the last of its days; ``speaks``; ``digest``
    """
    source, speaking = plan.settings.sources[block.source], axis_of(block, plan)
    window = HAZARDS[block.method].window
    assert window is not None
    back, on = (pd.Timedelta(days=n) for n in window(block))
    bounds, kept = bounds_of_run(work), kept_folder(plan, work)
    axis = axis_of_files(block.source, plan, Findings(""), kept)
    record = pd.DatetimeIndex(axis) if axis else open_raster(block.source, plan, bounds).indexes["time"]
    days = _cut(record, source, block, plan)
    months = _cut(pd.DatetimeIndex(days.to_period("M").unique().to_timestamp()), speaking, block, plan)
    by_then, ends = last_day_known(block, plan), period_ends(months, "month")
    table = pd.DataFrame({"speaks": ends <= by_then}, index=pd.DatetimeIndex(months, name="time"))
    table["first"] = (table.index - back).where(table.index - back > days[0], days[0])
    latest = pd.Series(days[-1], index=table.index).where(~table["speaks"], min(by_then, days[-1]))
    table["last"] = latest.where(latest < ends + on, ends + on)
    files = [files_of_days(name, plan, days, kept) for name in block.sources.values()]
    table["digest"] = [_digest_of(row, days, files) for row in table.itertuples()]
    return table


def last_day_known(block: HazardOptions, plan: Plan) -> pd.Timestamp:
    """Last day of which every source of a block could be had by the end of the as-of month."""
    return pd.Timestamp(plan.as_of_end) - pd.Timedelta(days=axis_of(block, plan).available_after_days)


def _cut(times: pd.DatetimeIndex, source: SourceOptions, block: HazardOptions, plan: Plan) -> pd.DatetimeIndex:
    axis = xr.Dataset(coords={"time": times})
    return pd.DatetimeIndex(known_or_calibrating(axis, source, years_of(block, plan), plan).indexes["time"])


def files_of_days(name: str, plan: Plan, days: pd.DatetimeIndex, kept: Path) -> np.ndarray:
    """Hash of the file that holds each day; of all files together, where one may hold any day."""
    digests, axis = digests_of(name, plan), axis_of_files(name, plan, Findings(""), kept)
    if not axis:
        return np.full(len(days), "".join(digests.values()), dtype=object)
    return np.array([digests[axis.get(day, "")] for day in days], dtype=object)


def _digest_of(month: Any, days: pd.DatetimeIndex, files: Sequence[np.ndarray]) -> str:
    rows = days.slice_indexer(month.first, month.last)
    held = [list(dict.fromkeys(of_days[rows])) for of_days in files]
    return hashlib.sha256(json.dumps([str(month.first), str(month.last), held]).encode()).hexdigest()


def runs_of_months(windows: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Months that follow one another, in one run; those that speak apart from those that only calibrate."""
    number = windows.index.year * 12 + windows.index.month
    breaks = (np.diff(number, prepend=number[:1]) > 1) | (windows["speaks"] != windows["speaks"].shift())
    return (run for _, run in windows.groupby(breaks.cumsum()))
