"""Which file holds which period, of stacks with a file for each: what a new month adds, and what it leaves alone."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from geodata.calendar import period_start
from geodata.schema import Findings
from geodata.stacks import PARTS_OF, StackOptions, dated_files

from .plan import Plan


def later_files(name: str, plan: Plan, last_year: int) -> set[str]:
    """Files that hold one period each, after the last calibration year."""
    source = plan.settings.sources[name]
    dated = file_of_each_period(name, plan)
    end = period_start(pd.Timestamp(last_year + 1, 1, 1), source.cadence)
    return {path for period, path in dated.items() if period >= end}


def file_of_each_period(name: str, plan: Plan) -> dict[pd.Timestamp, str]:
    """Period -> its file, of GeoTIFFs with a file for each period; empty of any other source."""
    source = plan.settings.sources[name]
    if not isinstance(source, StackOptions) or source.file_cadence or source.is_netcdf:
        return {}
    if not source.placeholders >= PARTS_OF.get(source.cadence, {""}):
        return {}
    dated = dated_files(source, Path(plan.data), Findings(f"sources.{name}"))
    return {period_start(date, source.cadence): path for path, date in dated if date is not None}


def digest_of_each_period(name: str, plan: Plan, periods: pd.DatetimeIndex) -> pd.Series:
    """Hash of the file of each period, index time; "" of a period without one. Empty, where files hold several."""
    paths = file_of_each_period(name, plan)
    digests = {f.path: f.sha256 for f in plan.inputs}
    if not paths:
        return pd.Series(dtype=str)
    return pd.Series([digests.get(paths.get(period, ""), "") for period in periods], index=periods)
