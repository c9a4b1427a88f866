"""Promote a staged run: look at it first, then make it the one that people see."""

from __future__ import annotations

import json
from pathlib import Path

from geodata.schema import Finding, InputError

from .changes import tell_change
from .earlier_run import earlier_run
from .workspace import damaged_files, point_latest, read_receipt


def promote(folder: Path) -> list[str]:
    """Make `latest` name a finished run.

    Returns
    -------
    list of str, what changed since the run that people saw before

    Raises
    ------
    InputError : it is no finished run, is damaged, is a drill, or its checks hold an error
    """
    folder = folder.resolve()
    receipt = read_receipt(folder)
    if damaged := damaged_files(folder):
        raise InputError(
            _refused(folder, f"{len(damaged)} changed products, such as {damaged[0]}", "a run as it was made")
        )
    if receipt["run"]["exercise"]:
        raise InputError(_refused(folder, "an exercise", "a run that is no drill"))
    errors = json.loads((folder / "checks.json").read_text("utf-8"))["errors"]
    if errors:
        raise InputError(_refused(folder, f"{errors} errors in checks.json", "none"))
    told = tell_change(folder, earlier_run(receipt["run"], folder.parents[2]))
    point_latest(folder)
    return told


def _refused(folder: Path, found: str, expected: str) -> Finding:
    return Finding("error", "publish", str(folder), "run", found, expected)
