"""From sources by subdistrict to indices and hazard scores on the monthly axis."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict

import pandas as pd
import xarray as xr
from prefect import flow

from geodata.calendar import month_axis, onto_months, period_ends, period_start
from geodata.options import SourceOptions
from geodata.schema import Finding, Status, check_cube, has_status, status_attrs
from geodata.store import read_cube, write_cube
from models.hazards import HAZARDS, HazardOptions, combine_hazards

from .plan import Plan
from .policy import computing
from .workspace import load_plan, stage

log = logging.getLogger("wadi")

FLOWING = ("day", "month")
"""Cadences of quantities that belong to their own period; the others are states that last."""


@flow(name="compute-hazards")
def compute_hazards(work: str) -> None:
    """Indices and scores of every hazard that has a source, and all hazards together."""
    plan = load_plan(work)
    names = tuple(plan.settings.assessed_hazards)
    parts = [assess(plan, name, work) for name in names]
    findings = [
        finding for name, part in zip(names, parts, strict=True) for finding in found_on_the_way(plan, name, part)
    ]
    (stage(work) / "hazards.json").write_text(json.dumps([asdict(f) for f in findings]), "utf-8")
    cube = together(parts, names)
    check_cube(cube)
    write_cube(cube, stage(work) / "hazards.nc")
    log.info("Hazards assessed: %s", ", ".join(names))


@computing("assess-hazard")
def assess(plan: Plan, name: str, work: str) -> xr.Dataset:
    """Indices and score of one hazard on the months of the run."""
    options = plan.settings.assessed_hazards[name]
    source = plan.settings.sources[options.source]
    inputs = read_cube(stage(work) / f"{options.source}.nc").drop_vars("effective_cells")
    return hazard_on_months(name, inputs, options, source, plan)


@computing("combine-hazards")
def together(parts: Sequence[xr.Dataset], names: Sequence[str]) -> xr.Dataset:
    """All hazards on one axis, from the first month that any source has, and their combination."""
    cube = on_one_axis(parts)
    return cube.merge(combine_hazards(cube, names), join="exact")


def hazard_on_months(
    name: str, inputs: xr.Dataset, options: HazardOptions, source: SourceOptions, plan: Plan
) -> xr.Dataset:
    """Index on the source's own axis, then on the months of the run, then the score.

    A state, such as the water seen in a year, is first ranked among its own years and then
    carried. A flow, such as a month's rain, stays in its month; the method bridges later
    months by its own rule. Years after the as-of month may calibrate, and never speak; what comes
    after both is not looked at.
    """
    method = HAZARDS[options.method]
    calibration = options.calibration_years or plan.settings.calibration.years
    oldest = source.max_age_days if options.max_age_days is None else options.max_age_days
    dated = options.model_copy(update={"max_age_days": oldest})
    indices = method.index(known_or_calibrating(inputs, source, calibration, plan), dated, calibration)
    # An index of daily values is a monthly one.
    cadence = "month" if source.cadence == "day" else source.cadence
    dated_source = source.model_copy(update={"cadence": cadence, "max_age_days": oldest})
    hazard = method.score(name, on_months(indices, dated_source, plan), dated).assign_attrs(indices.attrs)
    if cadence in FLOWING or not method.scored:
        return hazard
    age = months_since_observed(indices, method.scored, dated_source, plan)
    whole = age.where(hazard[f"hazard_{name}"].notnull()).assign_attrs(hazard[f"{name}_age_months"].attrs)
    return hazard.assign({f"{name}_age_months": whole})


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


def found_on_the_way(plan: Plan, name: str, hazard: xr.Dataset) -> list[Finding]:
    """What a method noticed in its source: years in which almost all water is gone at once."""
    years = hazard.attrs.get("years_found", "")
    source = plan.settings.assessed_hazards[name].source
    if not years:
        return []
    return [
        Finding(
            "warning",
            f"sources.{source}",
            plan.settings.sources[source].path,
            "years",
            f"{years}: most units that usually hold water read almost none",
            "images of every year",
            "taken for years without imagery and masked; add them to years_without_imagery",
        )
    ]


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
    in_time = values.isel(time=available <= pd.Timestamp(plan.as_of_end))
    fill = {name: Status.input_missing if str(name).endswith("_status") else float("nan") for name in values.data_vars}
    out = in_time.reindex(time=months, fill_value=fill)
    for name in [v for v in out.data_vars if str(v).endswith("_status")]:
        out[name] = out[name].astype("int8").assign_attrs(status_attrs())
    return out


def on_one_axis(parts: Sequence[xr.Dataset]) -> xr.Dataset:
    """Datasets on months, together; input_missing before a part begins."""
    months = max((pd.DatetimeIndex(part.indexes["time"]) for part in parts), key=len)
    aligned = []
    for part in parts:
        flags = [name for name in part.data_vars if str(name).endswith("_status")]
        fill = {name: Status.input_missing if name in flags else float("nan") for name in part.data_vars}
        whole = part.reindex(time=months, fill_value=fill)
        for name in flags:
            whole[name] = whole[name].astype("int8").assign_attrs(status_attrs())
        aligned.append(whole)
    return xr.merge(aligned, join="exact", compat="no_conflicts", combine_attrs="drop_conflicts")


def speaks(values: xr.Dataset, name: str, members: Sequence[Status]) -> bool:
    """True if any subdistrict has one of these statuses in the last month."""
    return bool(has_status(values[f"{name}_status"].isel(time=-1), members).any())
