"""Which file holds which period, of stacks with a file for each: what a new month adds, and what it leaves alone."""

from __future__ import annotations

import pandas as pd

from geodata.calendar import period_range, period_start
from geodata.stacks import PARTS_OF, StackOptions

from .plan import Plan

EARLIEST = pd.Timestamp(1900, 1, 1)
"""No raster of a period is older."""


def later_files(name: str, plan: Plan, last_year: int) -> set[str]:
    """Files that hold one period each, after the last calibration year."""
    source = plan.settings.sources[name]
    dated = file_of_each_period(name, plan)
    end = period_start(pd.Timestamp(last_year + 1, 1, 1), source.cadence)
    return {path for period, path in dated.items() if period >= end}


def file_of_each_period(name: str, plan: Plan) -> dict[pd.Timestamp, str]:
    """Period -> its file, of a stack that has a file for each period; empty of any other source."""
    source = plan.settings.sources[name]
    if (
        not isinstance(source, StackOptions)
        or source.file_cadence
        or not source.placeholders >= PARTS_OF.get(source.cadence, {""})
    ):
        return {}
    there = {f.path for f in plan.inputs if f.source == f"sources.{name}"}
    periods = period_range(EARLIEST, period_start(pd.Timestamp(plan.issued), source.cadence), source.cadence)
    named = {period: source.file_of(period) for period in periods}
    return {period: path for period, path in named.items() if path in there}


def digest_of_each_period(name: str, plan: Plan, periods: pd.DatetimeIndex) -> pd.Series:
    """Hash of the file of each period, index time; "" of a period without one. Empty, where files hold several."""
    paths = file_of_each_period(name, plan)
    digests = {f.path: f.sha256 for f in plan.inputs}
    if not paths:
        return pd.Series(dtype=str)
    return pd.Series([digests.get(paths.get(period, ""), "") for period in periods], index=periods)
