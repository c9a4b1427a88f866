"""From hazard scores to the alert level of every subdistrict, and the reason for it."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping

import pandas as pd
import xarray as xr
from prefect import flow

from geodata.schema import AlertLevel, Status, status_like
from geodata.store import read_cube, write_cube
from models.warning import warning, warning_reasons

from .plan import Plan
from .policy import computing
from .workspace import load_plan, stage

log = logging.getLogger("wadi")


@flow(name="issue-warnings")
def issue_warnings(work: str) -> None:
    """Alert levels from monitoring, with the rule, the value and the threshold behind each."""
    plan = load_plan(work)
    hazards = read_cube(stage(work) / "hazards.nc")
    alerts, reasons = levels(plan, hazards)
    write_cube(alerts, stage(work) / "warnings.nc", packed=False)
    stored = reasons.assign(reason_values=[json.dumps(v, sort_keys=True) for v in reasons["reason_values"]])
    stored.to_parquet(stage(work) / "reasons.parquet")
    now = alerts["alert_level"].isel(time=-1)
    log.info("Alert levels: %s", ", ".join(f"{int((now == level).sum())} {level.name.lower()}" for level in AlertLevel))


@computing("alert-levels")
def levels(plan: Plan, hazards: xr.Dataset) -> tuple[xr.Dataset, pd.DataFrame]:
    """Levels of every month, and the reasons of the as-of month as codes with values."""
    settings = plan.settings
    names = tuple(settings.assessed_hazards)
    alerts = warning(
        hazards,
        names,
        thresholds=settings.warning.thresholds,
        persistence_months={name: settings.warning.persistence_of(name) for name in names},
        period_months={
            name: 12
            for name, block in settings.assessed_hazards.items()
            if settings.sources[block.source].cadence == "year"
        },
    )
    reasons = warning_reasons(
        alerts,
        hazards,
        hazards.indexes["time"][-1],
        thresholds=settings.warning.thresholds,
        worse_when={name: block.worse_side for name, block in settings.assessed_hazards.items()},
    )
    old = {name: hazards[f"hazard_{name}_status"].isel(time=-1) == int(Status.stale) for name in names}
    for name in ("alert_months", "score_months"):
        months = alerts[name].where(alerts["alert_level"] >= 0).assign_attrs(alerts[name].attrs)
        alerts = alerts.assign({name: months, f"{name}_status": status_like(months)})
    return alerts, told(reasons, old)


def told(reasons: pd.DataFrame, old: Mapping[str, xr.DataArray]) -> pd.DataFrame:
    """Reasons that also say which hazards are silent because their data is too old."""
    rows = []
    for i, values in enumerate(reasons["reason_values"]):
        rows.append({**values, "stale": [name for name, flags in old.items() if bool(flags[i])]})
    return reasons.assign(reason_values=rows)


def read_reasons(work: str) -> pd.DataFrame:
    """Reasons as `issue_warnings` stored them; index pcode, reason_code, reason_values (dict)."""
    stored = pd.read_parquet(stage(work) / "reasons.parquet")
    return stored.assign(reason_values=[json.loads(v) for v in stored["reason_values"]])
