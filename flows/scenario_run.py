"""The finished run that a scenario starts from: one that is kept, or one made for it."""

from __future__ import annotations

import logging
from pathlib import Path

from .finished_run import FinishedRun, read_run
from .plan import Plan
from .run_country import STAGES
from .workspace import (
    RECEIPT,
    damaged_files,
    finished,
    kept_receipts,
    run_folder_name,
    runs_folder,
    swap_in,
    timed,
    unfinished,
)

log = logging.getLogger("wadi")


def run_for(plan: Plan, out: str | Path) -> FinishedRun:
    """The run of a plan whose inputs are hashed; made as `wadi run` makes it where none is kept. `latest` stays.

    A kept run of the same inputs, settings, code and month has the same numbers whatever day it was issued on.

    Raises
    ------
    InputError : an input is wrong
    """
    folder = finished(plan, out) or same_question(plan, out)
    if folder is None:
        log.info("No run of %s is kept: making one", plan.as_of)
        with unfinished(plan, out) as work:
            for stage in STAGES:
                with timed(work, stage.name):
                    stage.fn(str(work))
            folder = swap_in(work, plan, out)
    return read_run(folder)


def same_question(plan: Plan, out: str | Path) -> Path | None:
    """Folder of the newest whole run that differs in its date of issue alone."""
    country = plan.settings.country.key
    same = [
        receipt
        for receipt in kept_receipts(out, country)
        if receipt["run"]["as_of"] == plan.as_of
        and receipt["run"]["config_sha256"] == plan.settings.sha256
        and receipt["run"]["code_version"] == plan.code_version
        and not receipt["run"]["exercise"]
        and {(f["source"], f["sha256"]) for f in receipt["plan"]["inputs"]}
        == {(f.source, f.sha256) for f in plan.inputs}
    ]
    names = [run_folder_name(r["run"]) for r in sorted(same, key=lambda r: (r["run"]["issued"], r["run"]["run_id"]))]
    folders = [runs_folder(out, country) / name for name in names]
    whole = [f for f in folders if (f / RECEIPT).is_file() and not damaged_files(f)]
    return whole[-1] if whole else None
