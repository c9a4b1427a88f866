"""Does a run still hold? Inputs by hash, products by hash, and the numbers derived anew."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from geodata.store import sha256_of

from .plan import Plan, code_version, plan_from_json
from .run_country import STAGES
from .workspace import damaged_files, products, read_receipt, unfinished

SAME_BYTES = (".csv", ".html", ".xlsx", ".gpkg", ".parquet", ".json", ".tif", ".nc")
"""Products that the same plan gives byte for byte in one environment."""


def differences(folder: Path, data: str | None, say: Callable[[str], None]) -> list[str]:
    """One line for each way in which a run no longer is what its receipt says.

    Parameters
    ----------
    folder : Path, of a finished run
    data : str, the data folder, where it is not where the run found it
    say : called with one line of progress at a time

    Raises
    ------
    InputError : there is no receipt, or an input cannot be read any more
    """
    receipt = read_receipt(folder)
    plan = plan_from_json(json.dumps(receipt["plan"]))
    plan = replace(plan, data=data or plan.data)
    found = [f"{path}: not what the receipt says, or gone" for path in damaged_files(folder)]
    say(f"Comparing {len(plan.inputs)} inputs ...")
    found += list(changed_inputs(plan))
    if found:
        return found
    if plan.code_version != code_version():
        say(f"This is Wadi {code_version()}, the run was made with {plan.code_version}.")
    say("Deriving the numbers anew ...")
    return list(changed_numbers(plan, receipt["products"]))


def changed_inputs(plan: Plan) -> Iterator[str]:
    """Inputs whose bytes are not those the run read."""
    for file in plan.inputs:
        path = Path(plan.data) / file.path
        if not path.is_file():
            yield f"{file.path}: gone from {plan.data}"
        elif sha256_of(path) != file.sha256:
            yield f"{file.path}: sha256 {sha256_of(path)[:12]}, the run read {file.sha256[:12]}"


def changed_numbers(plan: Plan, promised: dict[str, str]) -> Iterator[str]:
    """Products that come out otherwise when the run is made again, without any server."""
    with tempfile.TemporaryDirectory() as out, unfinished(plan, out) as work:
        for stage in STAGES:
            stage.fn(str(work))
        again = products(work)
    for path, digest in promised.items():
        if path.endswith(SAME_BYTES) and again.get(path) != digest:
            yield f"{path}: comes out otherwise when derived anew"
