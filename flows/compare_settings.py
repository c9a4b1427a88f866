"""What an edit of the settings would move, before it is applied: the same inputs, the same month, scored twice."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pandas as pd
from prefect import flow

from geodata.schema import Finding, InputError
from geodata.store import read_cube, writing
from maps.tables import write_records
from models.change import Basis, split_change
from models.indicators import IndicatorSheet

from .bases import basis
from .compare_table import compare_table, lines_of, records_of
from .finished_run import FinishedRun, read_run
from .indicator_sheet import load_sheet
from .plan import Plan, code_version, with_inputs
from .policy import quiet_input_errors
from .rescoring import (
    Scored,
    alerts_of,
    hazard_names,
    measured,
    month_of,
    rescored,
    unscorable,
    with_breakpoints,
    with_settings,
)
from .risk_tree import risk_tree
from .run_country import STAGES
from .score_risk import dimensions
from .settings import Settings, load_settings
from .settings_edit import paths_that_measure, refuse_what_cannot_be_compared, sheet_of_edit
from .verify import changed_inputs
from .workspace import stage, unfinished


@flow(name="compare-settings")
def compare_settings(
    run: str, config: str, data: str | None = None, out: str | None = None, every: bool = False
) -> list[str]:
    """What the settings of a country file would move in a finished run; nothing published changes.

    Parameters
    ----------
    run : str, folder of a finished run
    config : str, a bundled country or the path of the edited country file
    data : str, folder of the inputs, where it is not where the run found it; it is opened only for settings that need
        the inputs again
    out : str, a CSV to write with every subdistrict
    every : bool, name all that change

    Returns
    -------
    list of str, what would move

    Raises
    ------
    InputError : the run or the country file is wrong, or an input that is needed is gone or is not what the run read
    """
    quiet_input_errors()
    finished, settings = read_run(run), load_settings(config)
    table = compare(finished, settings, data or finished.plan.data, config)
    names = finished.subdistricts.loc[table.index]
    cuts_moved = settings.risk.class_cut_points != finished.plan.settings.risk.class_cut_points
    lines = [f"{finished.name} scored by {config}; nothing published changes."]
    if finished.plan.code_version != code_version():
        lines.append(f"The run was made with {finished.plan.code_version}; both are scored with {code_version()}.")
    lines += lines_of(table, names, cuts_moved=cuts_moved, every=every)
    if out is not None:
        notice = str(finished.cube(names=[]).attrs.get("notice", ""))
        constants = {"run": finished.name, "as_of": finished.plan.as_of, "notice": notice}
        with writing(Path(out)) as path:
            rows = records_of(table, names, constants)
            write_records(rows, path, dict.fromkeys(rows.select_dtypes("float"), 1))
        lines.append(f"All subdistricts: {out}")
    return lines


def compare(run: FinishedRun, settings: Settings, data: str, config: str) -> pd.DataFrame:
    """Every subdistrict by the run's own settings and by others, as of `compare_table`.

    Parameters
    ----------
    run : FinishedRun
    settings : the others
    data : folder of the inputs, needed where `settings` measure something anew
    config : name of their file, for messages
    """
    old = run.plan.settings
    paths = paths_that_measure(old, settings)
    refuse_what_cannot_be_compared(run, settings, paths, config)
    hazards = run.cube(names=hazard_names(old))
    paths += [f"hazards.{name}.breakpoints" for name in unscorable(hazards, old, settings)]
    month = measured(run, month_of(run))
    before = rescored(run.plan, month, run.sheet)
    plan = with_settings(run.plan, settings)
    if paths:
        plan = measured_anew(replace(plan, data=data), run, paths[0], config)
        after, sheet, alerts = from_inputs(plan)
    else:
        sheet = sheet_of_edit(run, settings, data, config)
        absent = [row for row in sheet.assessed if row.value_source and row.value_source not in month]
        if absent:
            raise _not_held(f"{absent[0].name}: values", config)
        after = rescored(plan, with_breakpoints(month, old, settings), sheet)
        alerts = alerts_of(plan, with_breakpoints(hazards, old, settings))
    same_data = {(f.source, f.sha256) for f in plan.inputs} == {(f.source, f.sha256) for f in run.plan.inputs}
    earlier, later = basis_of_scored(run.plan, before, run.sheet), basis_of_scored(plan, after, sheet)
    split = split_change(earlier, later, same_data=same_data)
    told = [
        scored.table.assign(alert_level=levels["alert_level"])
        for scored, levels in ((before, alerts_of(run.plan, hazards)), (after, alerts))
    ]
    return compare_table(told[0], told[1], split)


def basis_of_scored(plan: Plan, scored: Scored, sheet: IndicatorSheet) -> Basis:
    """What the risk of a scored month is made from."""
    return basis(plan.as_of, plan, scored.tree, sheet, scored.cube)


# ------------------------------------------------------------------ where the inputs are needed again


def measured_anew(plan: Plan, run: FinishedRun, path: str, config: str) -> Plan:
    """The plan with its inputs hashed, the run's own among them as the run read them.

    Raises
    ------
    InputError : there is no data folder, or an input is gone or is not what the run read
    """
    if not Path(plan.data).is_dir():
        found = f"another value than in the run, and no folder {plan.data!r}"
        raise InputError(Finding("error", "config", config, path, found, "--data, the folder that holds the inputs"))
    kept = {f"sources.{name}" for name in plan.settings.sources} | {"boundaries"}
    own = replace(plan, inputs=tuple(f for f in run.plan.inputs if f.source in kept))
    if changed := list(changed_inputs(own)):
        found = f"{changed[0]} ({len(changed)} in all)"
        raise InputError(Finding("error", "inputs", plan.data, path, found, "the inputs that the run was made from"))
    return replace(with_inputs(plan), restricted=False)


def from_inputs(plan: Plan) -> tuple[Scored, IndicatorSheet, pd.DataFrame]:
    """The stages of a run in a place that is gone afterwards, up to its alert levels; nothing is published."""
    with tempfile.TemporaryDirectory() as out, unfinished(plan, out) as work:
        for step in STAGES[:-1]:
            step.fn(str(work))
        place, sheet = stage(work), load_sheet(stage(work))
        cube = read_cube(place / "scores.nc")
        alerts = read_cube(place / "warnings.nc")["alert_level"].isel(time=-1).to_series().astype(int)
        words = pd.read_parquet(place / "words.parquet")
    last = cube.isel(time=[-1])
    ends = {name: last[name].isel(time=0).to_series() for name in ("risk", "risk_low", "risk_high")}
    tree = risk_tree(plan.settings, sheet, dimensions(cube))
    table = words[["risk_basis", "risk_tier", "risk_class"]].assign(**ends)
    return Scored(last, tree, table), sheet, alerts.to_frame("alert_level")


def _not_held(field: str, config: str) -> InputError:
    expected = "values that the run holds; of a new source make a run"
    return InputError(
        Finding("error", "indicator_sheet", config, field, "a source the run's cube does not hold", expected)
    )
