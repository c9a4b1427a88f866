"""From a source's own time axis to the months of a run: what was known at the end of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import xarray as xr

from geodata.calendar import month_axis, onto_months, period_ends, period_range, period_start
from geodata.options import SourceOptions
from geodata.schema import Status, has_status, status_attrs
from geodata.stacks import PARTS_OF
from models.hazards import HAZARDS, HazardOptions

from .plan import Plan

FLOWING = ("day", "month")
"""Cadences of quantities that belong to their own period; the others are states that last."""


def years_of(block: HazardOptions, plan: Plan) -> tuple[int, int]:
    """Calibration years of a block: its own, where its source has another record than the country's period."""
    return block.calibration_years or plan.settings.calibration.years


def axis_of(block: HazardOptions, plan: Plan) -> SourceOptions:
    """Source that describes the time axis of a block's inputs: by month, where its method makes months of days.

    An index speaks when the last of its sources can be had, and is stale when the first of them is.
    """
    method, sources = HAZARDS[block.method], plan.settings.sources
    read = [sources[name] for option, name in block.sources.items() if option not in method.static]
    ages = [source.max_age_days for source in read if source.max_age_days is not None]
    known: dict[str, Any] = {
        "available_after_days": max(source.available_after_days for source in read),
        "max_age_days": min(ages, default=None),
    }
    if method.cells is not None:
        known["cadence"] = "month"
    return sources[block.source].model_copy(update=known)


def known_or_calibrating(
    inputs: xr.Dataset, source: SourceOptions, calibration: tuple[int, int], plan: Plan
) -> xr.Dataset:
    """Periods up to the last that is available or calibrates; all of them where none is either."""
    starts = pd.DatetimeIndex(inputs.indexes["time"])
    available = period_ends(starts, source.cadence) + pd.Timedelta(days=source.available_after_days)
    wanted = ((available <= pd.Timestamp(plan.as_of_end)) | (starts.year <= calibration[1])).nonzero()[0]
    return inputs.isel(time=slice(int(wanted[-1]) + 1)) if len(wanted) else inputs


def months_since_observed(indices: xr.Dataset, scored: str, source: SourceOptions, plan: Plan) -> xr.DataArray:
    """Months from the end of the period that speaks to each month of the run (time, pcode)."""
    ends = period_ends(pd.DatetimeIndex(indices.indexes["time"]), source.cadence)
    number = xr.DataArray(ends.year * 12.0 + ends.month, dims="time", coords={"time": indices["time"]})
    observed = xr.Dataset(
        {"month": number.where(indices[scored].notnull()), "month_status": indices[f"{scored}_status"]}
    )
    month = on_months(observed, source, plan)["month"].ffill("time")
    return month["time"].dt.year * 12 + month["time"].dt.month - month


def on_months(values: xr.Dataset, source: SourceOptions, plan: Plan) -> xr.Dataset:
    """Variables of a source, each with its status, on the months up to the as-of month."""
    starts = pd.DatetimeIndex(values.indexes["time"])
    months = month_axis(min(period_start(starts[0], "month"), pd.Timestamp(plan.as_of)), plan.as_of)
    ends = period_ends(starts, source.cadence)
    if source.cadence in FLOWING:
        return _in_their_month(values, ends + pd.Timedelta(days=source.available_after_days), months, plan)
    out = xr.Dataset(attrs=values.attrs)
    for name in [str(v) for v in values.data_vars if not str(v).endswith("_status")]:
        out[name], out[f"{name}_status"] = onto_months(
            values[name],
            values[f"{name}_status"],
            ends,
            available_after_days=source.available_after_days,
            max_age_days=source.max_age_days,
            months=months,
            # A year without imagery leaves the one before standing, with its own age. A round of counts is whole:
            # what it suppresses or did not ask is no gap for the round before to fill.
            skip_missing=source.cadence != "round",
        )
    return out


def _in_their_month(
    values: xr.Dataset, available: pd.DatetimeIndex, months: pd.DatetimeIndex, plan: Plan
) -> xr.Dataset:
    """Monthly values without carrying; input_missing in months that have none, or not yet."""
    return reindexed(values.isel(time=available <= pd.Timestamp(plan.as_of_end)), months)


def reindexed(values: xr.Dataset, times: pd.DatetimeIndex) -> xr.Dataset:
    """Values at these times; input_missing where there is none."""
    flags = [name for name in values.data_vars if str(name).endswith("_status")]
    fill = {name: Status.input_missing if name in flags else float("nan") for name in values.data_vars}
    out = values.reindex(time=times, fill_value=fill)
    return out.assign({name: out[name].astype("int8").assign_attrs(status_attrs()) for name in flags})


def every_period(starts: pd.DatetimeIndex, cadence: str) -> pd.DatetimeIndex:
    """Starts of the periods from the first to the last, those that a table leaves out among them."""
    return period_range(starts.min(), starts.max(), cadence) if cadence in PARTS_OF and len(starts) else starts


def on_one_axis(parts: Sequence[xr.Dataset]) -> xr.Dataset:
    """Datasets on months, together; input_missing before a part begins."""
    months = max((pd.DatetimeIndex(part.indexes["time"]) for part in parts), key=len)
    aligned = [reindexed(part, months) for part in parts]
    return xr.merge(aligned, join="exact", compat="no_conflicts", combine_attrs="drop_conflicts")


def speaks(values: xr.Dataset, name: str, members: Sequence[Status]) -> bool:
    """True if any subdistrict has one of these statuses in the last month."""
    return bool(has_status(values[f"{name}_status"].isel(time=-1), members).any())
