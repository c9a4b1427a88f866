"""The folders a run writes: made beside the old ones, and swapped in when they are whole."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from geodata.schema import Finding, InputError
from geodata.store import sha256_of, writing

from .plan import Plan, plan_from_json

STAGE = ".stage"
"""Folder of intermediate stores inside an unfinished run; gone before the run is swapped in."""

RECEIPT = "manifest.json"


def runs_folder(out: str | Path, country: str) -> Path:
    """Where the runs of a country are kept."""
    return Path(out) / country / "runs"


@contextmanager
def unfinished(plan: Plan, out: str | Path) -> Iterator[Path]:
    """A fresh hidden folder beside the finished runs; it is removed whatever happens.

    Raises
    ------
    InputError : the place cannot be written to, or is full
    """
    runs = runs_folder(out, plan.settings.country.key)
    work = runs / f".{plan.run_name}.{os.getpid()}.partial"
    with writing(work):
        shutil.rmtree(work, ignore_errors=True)
        (work / STAGE).mkdir(parents=True)
        (work / STAGE / "plan.json").write_text(plan.to_json(), "utf-8")
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def load_plan(work: str | Path) -> Plan:
    """The plan of an unfinished run."""
    return plan_from_json((stage(work) / "plan.json").read_text("utf-8"))


def stage(work: str | Path) -> Path:
    """Folder of intermediate stores of an unfinished run."""
    return Path(work) / STAGE


@contextmanager
def timed(work: str | Path, name: str) -> Iterator[None]:
    """Keep how long a stage took, for the receipt: clocks stand nowhere else."""
    start = time.perf_counter()
    yield
    path = stage(work) / "seconds.json"
    path.write_text(json.dumps(stage_seconds(work) | {name: round(time.perf_counter() - start, 2)}), "utf-8")


def stage_seconds(work: str | Path) -> dict[str, float]:
    """Seconds of the stages that are done."""
    path = stage(work) / "seconds.json"
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


def out_of(work: str | Path) -> Path:
    """The folder of results that an unfinished run lies in."""
    return Path(work).parents[2]


def finished(plan: Plan, out: str | Path) -> Path | None:
    """Folder of an identical run that is whole, if there is one."""
    folder = runs_folder(out, plan.settings.country.key) / plan.run_name
    return folder if (folder / RECEIPT).is_file() and not damaged_files(folder) else None


def swap_in(work: Path, plan: Plan, out: str | Path) -> Path:
    """Rename a whole run into its place; a damaged one of the same name makes room."""
    folder = runs_folder(out, plan.settings.country.key) / plan.run_name
    with writing(folder):
        shutil.rmtree(work / STAGE)
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(work, folder)
    return folder


def point_latest(folder: Path) -> None:
    """Make `latest` and `latest.json` name this run; each changes in one step."""
    country = folder.parent.parent
    name = folder.name
    with writing(country):
        fresh = country / f".latest.{os.getpid()}"
        fresh.write_text(json.dumps({"run": name, "path": f"runs/{name}"}) + "\n", "utf-8")
        os.replace(fresh, country / "latest.json")
        with suppress(NotImplementedError, PermissionError):  # file systems without links: latest.json suffices
            fresh.symlink_to(Path("runs") / name, target_is_directory=True)
            os.replace(fresh, country / "latest")


def read_receipt(folder: str | Path) -> dict[str, Any]:
    """The receipt of a finished run.

    Raises
    ------
    InputError : there is none, or it cannot be read
    """
    path = Path(folder) / RECEIPT
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        finding = Finding("error", "run", str(path), "receipt", str(error), "the manifest.json of a finished run")
        raise InputError(finding) from None


def products(folder: Path) -> dict[str, str]:
    """SHA-256 of every product of a run, by its path inside the run's folder."""
    return {
        path.relative_to(folder).as_posix(): sha256_of(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != RECEIPT and STAGE not in path.relative_to(folder).parts
    }


def damaged_files(folder: Path) -> list[str]:
    """Products that no longer are what the receipt says, or are gone."""
    promised = read_receipt(folder)["products"]
    present = products(folder)
    return sorted(path for path, digest in promised.items() if present.get(path) != digest)


def run_folder_name(run: Mapping[str, Any]) -> str:
    """Name of the folder of the run that the part ``run`` of a receipt is of."""
    return f"{run['as_of']}-{run['run_id']}" + ("-exercise" if run["exercise"] else "")


def kept_receipts(out: str | Path, country: str) -> list[dict[str, Any]]:
    """Receipts of all kept runs of a country, oldest as-of month first."""
    return [read_receipt(path.parent) for path in sorted(runs_folder(out, country).glob(f"*/{RECEIPT}"))]
