"""A finished run scored again, from what it published: by other settings, or with other counts.

Nothing is scored by a rule of its own here: what the run measured is taken out of its cube, and handed to
the very functions that a run scores with.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import xarray as xr

from models.composite import Level
from models.hazards import HAZARDS, HazardOptions, as_hazard
from models.indicators import IndicatorSheet
from models.risk import DIMENSIONS

from .finished_run import FinishedRun
from .issue_warnings import levels
from .plan import Plan
from .score_risk import classes_of, score, sureness
from .settings import Settings

MADE = ("exposure", "people", "risk", "risk_low", "risk_high", "lack_of_reliability", *DIMENSIONS)
"""What scoring makes, besides the rows of the sheet and the parts of the risk."""

PARTS = ("contribution_", "within_")
SAME_SCORE = 1e-9
"""Score points within which a hazard read back is the one that its breakpoints give."""


@dataclass(frozen=True)
class Scored:
    """One month of a run, scored.

    Parameters
    ----------
    cube : Dataset (time, pcode), of one month
    tree : Level
    table : DataFrame, index pcode
        ``risk``, ``risk_low``, ``risk_high`` (unrounded), ``risk_basis``, ``risk_class``, ``risk_tier``.
    """

    cube: xr.Dataset
    tree: Level
    table: pd.DataFrame


def month_of(run: FinishedRun) -> xr.Dataset:
    """All that was published of the as-of month (time, pcode)."""
    return run.cube(months=[run.plan.as_of])


def measured(run: FinishedRun, month: xr.Dataset) -> xr.Dataset:
    """What the scores of a month were made from: hazards, counts and sources, without what scoring makes of them."""
    rows = [name for row in run.sheet.assessed for name in (row.name, f"{row.name}_value")]
    made = {*MADE, *rows}
    names = [str(v) for v in month.data_vars]
    return month.drop_vars(
        [n for n in names if n.removesuffix("_status") in made or (n.startswith(PARTS) and n != "hazard")]
    )


def rescored(plan: Plan, inputs: xr.Dataset, sheet: IndicatorSheet) -> Scored:
    """Scores, classes and tiers of one month from what was measured.

    Parameters
    ----------
    plan : Plan, with the settings to score by
    inputs : Dataset (time, pcode) of one month, as of `measured`
    sheet : IndicatorSheet
    """
    cube, tree = score(plan, inputs, sheet)
    last = cube.isel(time=-1)
    sure = sureness(plan, last, tree, sheet)
    table = sure[["risk_low", "risk_high", "risk_basis", "risk_tier"]].assign(risk=last["risk"].to_series())
    return Scored(cube, tree, table.assign(risk_class=classes_of(plan, last, sure)))


def with_settings(plan: Plan, settings: Settings) -> Plan:
    """The question of a run, asked of other settings."""
    return replace(plan, settings=settings)


# ------------------------------------------------------------------ hazards by other breakpoints


def hazard_names(settings: Settings) -> set[str]:
    """Variables that hazard scores and alert levels of all months are made from."""
    names = {f"hazard_{n}" for n in settings.assessed_hazards}
    facts = ("percentile", "scale_months", "age_months")
    for name, block in settings.assessed_hazards.items():
        names |= {index_name(name, block), *(f"{name}_{fact}" for fact in facts)}
    return {f"{n}{end}" for n in names for end in ("", "_status")}


def index_name(name: str, block: HazardOptions) -> str:
    """Variable of the index that a hazard is scored from."""
    return f"{name}_{HAZARDS[block.method].scored}"


def scored_index(cube: xr.Dataset, name: str, block: HazardOptions) -> xr.DataArray | None:
    """Index that gives a hazard's score by its breakpoints; None where the cube does not hold it."""
    index = index_name(name, block)
    if index not in cube:
        return None
    value = cube[index].where(cube[f"hazard_{name}"].notnull())
    again = as_hazard(name, value, cube[f"hazard_{name}_status"], block)[f"hazard_{name}"]
    own = cube[f"hazard_{name}"].values
    same = np.isnan(own) | (np.abs(again.transpose(*cube[f"hazard_{name}"].dims).values - own) <= SAME_SCORE)
    return value if same.all() else None


def unscorable(cube: xr.Dataset, old: Settings, new: Settings) -> list[str]:
    """Hazards with new breakpoints whose index the cube does not hold."""
    return [
        name
        for name, block in moved_breakpoints(old, new)
        if scored_index(cube, name, old.assessed_hazards[name]) is None
    ]


def moved_breakpoints(old: Settings, new: Settings) -> list[tuple[str, HazardOptions]]:
    """Hazards that both have, whose breakpoints differ, with the new block."""
    before = old.assessed_hazards
    return [
        (name, block)
        for name, block in new.assessed_hazards.items()
        if name in before and block.breakpoints != before[name].breakpoints
    ]


def with_breakpoints(cube: xr.Dataset, old: Settings, new: Settings) -> xr.Dataset:
    """The cube with the hazards scored by the breakpoints of the new settings; those it no longer names left out."""
    for name, block in moved_breakpoints(old, new):
        value = scored_index(cube, name, old.assessed_hazards[name])
        assert value is not None  # `unscorable` was asked before
        cube = cube.assign(as_hazard(name, value, cube[f"hazard_{name}_status"], block))
    gone = [n for n in old.assessed_hazards if n not in new.assessed_hazards]
    return cube.drop_vars(_with_status(f"hazard_{n}" for n in gone), errors="ignore")


def alerts_of(plan: Plan, hazards: xr.Dataset) -> pd.DataFrame:
    """Alert level of the as-of month and the code of its reason, by p-code.

    Parameters
    ----------
    plan : Plan
    hazards : Dataset (time, pcode) of all months, names as of `hazard_names`
    """
    alerts, reasons = levels(plan, hazards)
    return reasons.assign(alert_level=alerts["alert_level"].isel(time=-1).to_series().astype(int))


def _with_status(names: Iterable[str]) -> list[str]:
    return [f"{n}{end}" for n in names for end in ("", "_status")]
