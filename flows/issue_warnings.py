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
from models.hazards import HazardOptions
from models.warning import warning, warning_reasons

from .plan import Plan
from .policy import computing
from .workspace import load_plan, stage

log = logging.getLogger("wadi")

SPOKEN = {"spi": "drought_spi", "water_percentile": "water_low", "heavy_rain": "heavy_rain", "anomaly": "anomaly"}
"""Method of a hazard -> the code under which the catalogues say why it is high."""


@flow(name="issue-warnings")
def issue_warnings(work: str) -> None:
    """Alert levels from monitoring, with the rule, the value and the threshold behind each."""
    plan = load_plan(work)
    hazards = read_cube(stage(work) / "hazards.nc")
    alerts, reasons = levels(plan, hazards)
    write_cube(alerts, stage(work) / "warnings.nc")
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
        persistence_months=settings.warning.persistence_months,
    )
    reasons = warning_reasons(alerts, hazards, hazards.indexes["time"][-1], thresholds=settings.warning.thresholds)
    old = {name: hazards[f"hazard_{name}_status"].isel(time=-1) == int(Status.stale) for name in names}
    months = alerts["alert_months"].where(alerts["alert_level"] >= 0).assign_attrs(alerts["alert_months"].attrs)
    return alerts.assign(alert_months=months, alert_months_status=status_like(months)), told(
        reasons, settings.assessed_hazards, old
    )


def told(reasons: pd.DataFrame, hazards: Mapping[str, HazardOptions], old: Mapping[str, xr.DataArray]) -> pd.DataFrame:
    """Reasons under the codes that the catalogues have words for, one per kind of index.

    Each also says which hazards are silent because their data is too old.
    """
    rows = []
    for i, (code, values) in enumerate(zip(reasons["reason_code"], reasons["reason_values"], strict=True)):
        stale = [name for name, flags in old.items() if bool(flags[i])]
        if code == "no_data":
            code = "stale_only" if stale else "nothing_observed"
        elif code == "above_threshold":
            block = hazards[values["hazard"]]
            code, values = SPOKEN[block.method], {**values, "label": block.label or {"en": values["hazard"]}}
        rows.append((code, {**values, "stale": stale}))
    return pd.DataFrame(rows, index=reasons.index, columns=["reason_code", "reason_values"])


def read_reasons(work: str) -> pd.DataFrame:
    """Reasons as `issue_warnings` stored them; index pcode, reason_code, reason_values (dict)."""
    stored = pd.read_parquet(stage(work) / "reasons.parquet")
    return stored.assign(reason_values=[json.loads(v) for v in stored["reason_values"]])
