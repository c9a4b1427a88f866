"""What the indices learnt from the calibration years: saved, and used again while those years stay as they are."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from geodata.store import read_cube, write_dataset
from models.hazards import HAZARDS, HazardOptions, Learnt

from .kept import kept_folder, recall
from .months import axis_of, known_or_calibrating, years_of
from .period_files import later_files
from .plan import Plan, code_version
from .workspace import stage

CALIBRATION = "calibration"
"""Folder of the parameters, in a run."""


def learn(
    name: str, block: HazardOptions, plan: Plan, work: str, where: str, inputs: Callable[[], xr.Dataset]
) -> Learnt | None:
    """Parameters of a block's indices; None of a method that fits nothing.

    Fitted once from the bytes of the calibration years: a new month, which adds files and
    changes none of those, never moves them.

    Parameters
    ----------
    name, block : of the hazard or indicator
    where : "subdistricts" or "cells"
    inputs : () -> Dataset (time, ...) on the axis of the block, asked only where nothing is kept
    """
    method = HAZARDS[block.method]
    if method.fit is None:
        return None
    fit, years = method.fit, years_of(block, plan)

    def answer() -> Learnt:
        return fit(known_or_calibrating(inputs(), axis_of(block, plan), years, plan), block, years)

    return _learnt_once(name, block, plan, work, where, answer)


def learn_cells(name: str, block: HazardOptions, plan: Plan, work: str, rasters: Callable[[], xr.Dataset]) -> Learnt:
    """What the months of a block's cells are computed with, before any mean; once, as of `learn`.

    Parameters
    ----------
    name, block : of a hazard or indicator whose method has `fit_cells`
    rasters : () -> Dataset (time, lat, lon), the whole record, asked only where nothing is kept
    """
    fit, years = HAZARDS[block.method].fit_cells, years_of(block, plan)
    assert fit is not None
    return _learnt_once(name, block, plan, work, "days", lambda: fit(rasters(), block, years))


def _learnt_once(
    name: str, block: HazardOptions, plan: Plan, work: str, where: str, answer: Callable[[], Learnt]
) -> Learnt:
    """What was learnt before from the same, or else the answer."""
    question = {"block": block.model_dump(mode="json"), "years": years_of(block, plan), "where": where}
    question |= {"inputs": calibrating_files(block, plan), "sources": sources_of(block, plan), "code": code_version()}
    question["boundaries"] = plan.settings.boundaries.model_dump(mode="json")

    def computed() -> Learnt:
        return {key: values.compute() for key, values in answer().items()}

    return recall(kept_folder(plan, work), f"learnt-{name}-{where}", question, computed)


def save_learnt(name: str, learnt: Learnt | None, work: str) -> None:
    """Keep the parameters of the subdistricts for `publish_learnt`."""
    for key, values in (learnt or {}).items():
        write_dataset(values, stage(work) / CALIBRATION / name / f"{key}.nc", packed=False)


def publish_learnt(work: str, notice: str) -> None:
    """Parameters of the subdistricts as products of the run: ``calibration/<block>/<index>.nc``."""
    for path in sorted((stage(work) / CALIBRATION).rglob("*.nc")):
        values = read_cube(path).assign_attrs(notice=notice)
        write_dataset(values, Path(work) / path.relative_to(stage(work)))


def calibrations(plan: Plan) -> dict[str, dict[str, str]]:
    """What each fitted block learnt from: its years, and one hash of all files that may decide it."""
    fitted = {name: block for name, block in plan.settings.blocks.items() if HAZARDS[block.method].fit is not None}
    return {name: {"years": "-".join(map(str, years_of(b, plan))), **_digest(b, plan)} for name, b in fitted.items()}


def _digest(block: HazardOptions, plan: Plan) -> dict[str, str]:
    lines = [f"{digest}  {path}\n" for path, digest in calibrating_files(block, plan)]
    lines.append(plan.settings.boundaries.model_dump_json())
    return {"inputs_sha256": hashlib.sha256("".join(lines).encode()).hexdigest()}


def moved_calibrations(plan: Plan, earlier: Sequence[Mapping[str, Any]]) -> list[str]:
    """One line for each block whose calibration years no longer hold the bytes that an earlier run learnt from.

    Parameters
    ----------
    plan : Plan
    earlier : receipts of kept runs, the latest last
    """
    lines = []
    for name, now in calibrations(plan).items():
        before = [r["calibration"][name] for r in earlier if name in r.get("calibration", {})]
        same_years = [b for b in before if b["years"] == now["years"]]
        if same_years and same_years[-1]["inputs_sha256"] != now["inputs_sha256"]:
            lines.append(f"{name}: the inputs of {now['years']} changed since the run before, so it was learnt anew")
    return lines


def sources_of(block: HazardOptions, plan: Plan) -> dict[str, Any]:
    """Source blocks that a hazard reads, as plain values."""
    return {name: plan.settings.sources[name].model_dump(mode="json") for name in block.sources.values()}


def calibrating_files(block: HazardOptions, plan: Plan) -> list[tuple[str, str]]:
    """Path and hash of every file that may decide what is learnt.

    The boundaries are among them for cells too: a raster is cut to their bounds.
    """
    last_year = years_of(block, plan)[1]
    chosen = [f for f in plan.inputs if f.source == "boundaries"]
    for name in block.sources.values():
        later = later_files(name, plan, last_year)
        chosen += [f for f in plan.inputs if f.source == f"sources.{name}" and f.path not in later]
    return [(f.path, f.sha256) for f in chosen]
