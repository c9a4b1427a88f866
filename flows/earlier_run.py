"""Which run a run is compared with: the one people saw last."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .workspace import kept_receipts, run_folder_name, runs_folder


def earlier_run(run: Mapping[str, Any], out: str | Path) -> str:
    """Folder's name of the run that another one is compared with; "" where there is none.

    The run that `latest` names, as that is what people have read. Where it will not do (none is published, it is of a
    later month, or it is this very run) the newest kept run: of the latest as-of month, then of the latest date of
    issue, then the one finished last. A drill is compared with drills alone, a run with runs.

    Parameters
    ----------
    run : the part ``run`` of a receipt
    out : folder of the results
    """
    receipts = {run_folder_name(r["run"]): r for r in kept_receipts(out, run["country"])}
    kept = {n: r for n, r in receipts.items() if _may_be_compared(r["run"], run) and n != run_folder_name(run)}
    published = published_run(out, run["country"])
    if published in kept:
        return published
    return max(kept, key=lambda name: (*_age(kept[name]), name), default="")


def published_run(out: str | Path, country: str) -> str:
    """Folder's name of the run that `latest.json` names; "" where none is published."""
    pointer = runs_folder(out, country).parent / "latest.json"
    return str(json.loads(pointer.read_text("utf-8"))["run"]) if pointer.is_file() else ""


def _may_be_compared(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> bool:
    return bool(earlier["exercise"]) == bool(later["exercise"]) and earlier["as_of"] <= later["as_of"]


def _age(receipt: Mapping[str, Any]) -> tuple[str, str, str]:
    return receipt["run"]["as_of"], receipt["run"]["issued"], receipt["machine"]["finished"]
