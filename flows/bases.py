"""What a run's risk is made from, for the split of a change: values behind the scores, their scales, their origins."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from models.change import Basis, Scale, carried
from models.composite import Level, leaves
from models.hazards import HAZARDS, HazardOptions
from models.indicators import Indicator, IndicatorSheet
from models.scoring import score_by_breakpoints

from .finished_run import FinishedRun
from .plan import Plan
from .rescoring import hazard_names, scored_index
from .settings import DISPLACEMENT, RESIDENTS, Settings

NO_METHOD = frozenset(
    {"label", "licence", "attribution", "note", "path", "rounds", "breakpoints", "breakpoints_source"}
)
"""Options of a block that say where its files lie or what it is called; breakpoints are a scale of their own."""


def basis(as_of: str, plan: Plan, tree: Level, sheet: IndicatorSheet, cube: xr.Dataset) -> Basis:
    """All that a risk is made from, in one month.

    Parameters
    ----------
    as_of : "YYYY-MM"
    plan, tree, sheet : of the run
    cube : Dataset (time, pcode) of that month alone
    """
    values: dict[str, np.ndarray] = {}
    scales: dict[str, Scale] = {}
    for name in leaves(tree):
        value, scale = behind(name, plan.settings, sheet, cube)
        values[name] = value.isel(time=0).values.astype(float)
        if scale is not None:
            scales[name] = scale
    return Basis(as_of, pd.DataFrame(values, index=cube.indexes["pcode"]), tree, scales)


def basis_of(run: FinishedRun, month: str) -> Basis:
    """What a run says of one month of its cube; NaN where it says nothing."""
    cube = run.cube(names=names_behind(run), months=[month])
    return basis(month, run.plan, run.tree, run.sheet, cube)


def names_behind(run: FinishedRun) -> set[str]:
    """Variables of the cube that `basis` reads."""
    names = hazard_names(run.plan.settings) | set(leaves(run.tree))
    return names | {f"{row.name}_value" for row in run.sheet.assessed}


def behind(name: str, settings: Settings, sheet: IndicatorSheet, cube: xr.Dataset) -> tuple[xr.DataArray, Scale | None]:
    """Values behind a score and their scale; the score itself where the cube holds no value that gives it."""
    if (block := hazard_block(name, settings)) is not None:
        index = scored_index(cube, name.removeprefix("hazard_"), block)
        return (cube[name], None) if index is None else (index, by_breakpoints(block))
    if (row := row_of(name, sheet)) is not None and f"{name}_value" in cube:
        return cube[f"{name}_value"].where(cube[name].notnull()), row.score
    return cube[name], None


def by_breakpoints(block: HazardOptions) -> Scale:
    """Score of a hazard from its index."""
    sign = -1.0 if block.turned else 1.0
    return lambda value: score_by_breakpoints(xr.DataArray(sign * value), block.breakpoints).values


def hazard_block(name: str, settings: Settings) -> HazardOptions | None:
    """Block of the hazard whose score this is."""
    return settings.assessed_hazards.get(name.removeprefix("hazard_")) if name.startswith("hazard_") else None


def row_of(name: str, sheet: IndicatorSheet) -> Indicator | None:
    """Row of the sheet whose score this is."""
    return next((row for row in sheet.assessed if row.name == name), None)


# ------------------------------------------------------------------ the earlier month, told anew


def earlier_month(
    before: FinishedRun, after: FinishedRun, earlier: Basis, later: Basis, crosswalk: pd.DataFrame | None
) -> dict[str, pd.DataFrame]:
    """The earlier month as the later run tells it, step by step, for `split_change`.

    The later run's cube holds the earlier month, made from its files, by its method, on its boundaries. Score by score:

    * same files, same method: the earlier value stands; on other boundaries it is what the later cube says.
    * new files, same method: what the later cube says, so that a difference is one of the data.
    * another method, or another version of Wadi: the earlier value, then what the later cube says; new files at the
      same time cannot be told apart from it and are counted to the method.
    * a balance of water asks for the people of its as-of month in every month, so a later run's balance of the
      earlier month is that of other people. By the same method the earlier value stands.

    Returns
    -------
    dict "moved", "restated", "remade" -> DataFrame, index pcode of the later run
    """
    moved = carried(earlier.values, later.values.index, crosswalk)
    same_month = earlier.as_of == later.as_of
    remade = (later if same_month else basis_of(after, earlier.as_of)).values.reindex(later.values.index)
    restated = moved.copy()
    for name in [n for n in remade if n in moved]:
        if method_behind(name, before) != method_behind(name, after):
            continue
        other_people = is_balance(name, before.plan.settings) and not same_month
        if other_people or (crosswalk is None and not same_month and same_files(name, before, after)):
            remade[name] = moved[name]
        elif same_files(name, before, after) and crosswalk is not None:
            moved[name] = restated[name] = remade[name]
        elif not same_files(name, before, after):
            restated[name] = remade[name]
    return {"moved": moved, "restated": restated, "remade": remade}


def is_balance(name: str, settings: Settings) -> bool:
    """True for a hazard that is made from the balance of water."""
    block = hazard_block(name, settings)
    return block is not None and bool(HAZARDS[block.method].made_by)


def sources_behind(name: str, settings: Settings, sheet: IndicatorSheet) -> set[str]:
    """Source blocks that a score is made from."""
    people = {RESIDENTS, DISPLACEMENT} & set(settings.sources)
    if (block := hazard_block(name, settings)) is not None:
        balance = settings.water_balance.sources if settings.water_balance is not None else {}
        return set(block.sources.values()) | (set(balance.values()) | people if is_balance(name, settings) else set())
    row = row_of(name, sheet)
    return {row.value_source} if row is not None and row.value_source else people


def same_files(name: str, before: FinishedRun, after: FinishedRun) -> bool:
    """True if both runs made a score from files of the same content."""
    one, other = (files_behind(name, run) for run in (before, after))
    return one == other


def files_behind(name: str, run: FinishedRun) -> set[tuple[str, str]]:
    """Block and hash of the files that a score is made from."""
    blocks = {f"sources.{s}" for s in sources_behind(name, run.plan.settings, run.sheet)}
    return {(f.source, f.sha256) for f in run.plan.inputs if f.source in blocks}


def method_behind(name: str, run: FinishedRun) -> dict[str, Any]:
    """All that says how the value of a score is made from its files, the version of Wadi among it."""
    settings = run.plan.settings
    whole = settings.model_dump(mode="json")
    sources = {s: plain(whole["sources"][s]) for s in sources_behind(name, settings, run.sheet)}
    told = {"code": run.plan.code_version, "sources": sources, "people": settings.country.people_per_household}
    if hazard_block(name, settings) is not None:
        told |= {"block": plain(whole["hazards"][name.removeprefix("hazard_")]), "calibration": whole["calibration"]}
        if is_balance(name, settings):
            told |= {part: whole[part] for part in ("water_demand", "water_balance")}
    elif (row := row_of(name, run.sheet)) is not None:
        told |= {"values": row.values, "units": row.units}
    else:
        told |= {"exposure": {k: v for k, v in whole["exposure"].items() if k != "bounds_source"}}
    return told


def plain(block: Any, left_out: Collection[str] = NO_METHOD) -> Any:
    """A block of the country file without the options that change no number."""
    if not isinstance(block, Mapping):
        return block
    return {key: plain(value, left_out) for key, value in block.items() if key not in left_out}
