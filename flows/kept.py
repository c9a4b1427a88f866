"""What earlier runs worked out, kept under all that it depends on, so that a new month costs about a month.

Nothing here decides anything: an entry is found only where the same question would give the
same answer, bit for bit, and one that was damaged is worked out again. `wadi verify` uses none.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from geodata.schema import InputError
from geodata.store import read_cube, sha256_of, writing

from .plan import Plan
from .workspace import out_of

RECORD = "whole.json"
"""Written last: an entry that has one is whole."""

ENTRIES_OF_A_KIND = 3
"""Older ones make room: other months, other settings, an older Wadi."""

LIBRARIES = ("exactextract", "numpy", "pandas", "pyet", "rasterio", "scipy", "shapely", "xarray")

Answer = Mapping[str, xr.Dataset]


def kept_folder(plan: Plan, work: str | Path) -> Path:
    """Where a country's entries lie, beside its runs."""
    return out_of(work) / plan.settings.country.key / "kept"


def recall(folder: Path, kind: str, question: Any, answer: Callable[[], Answer]) -> Answer:
    """What was answered to this question before, or else the answer, which is then kept.

    Parameters
    ----------
    folder : Path, as of `kept_folder`
    kind : str, what it is, e.g. "learnt-drought-cells"; the latest few of a kind stay
    question : all that the answer depends on, as plain values; code included
    answer : () -> mapping of names to Datasets
    """
    entry = folder / f"{kind}-{_key(question)}"
    found = _read(entry)
    if found is None:
        found = answer()
        _keep(entry, found)
        _make_room(folder, kind)
    return found


def grow(
    folder: Path, kind: str, question: Any, digests: pd.Series, answer: Callable[[pd.Index], xr.Dataset]
) -> xr.Dataset:
    """Answer piece by piece: only those whose digest is new or changed are asked for.

    Parameters
    ----------
    folder, kind, question : as of `recall`; the question without the files
    digests : Series of str
        Its index, which has a name, has the pieces: periods (``time``) or files. Its values are the hash of all that
        decides a piece.
    answer : (pieces) -> Dataset (time, ...) of these pieces, each independent of the others

    Returns
    -------
    Dataset (time, ...), the pieces of `digests` in their order
    """
    dim = str(digests.index.name)
    entry = folder / f"{kind}-{_key(question)}"
    found = _read(entry)
    known = found["pieces"] if found else None
    same = pd.Series(known["digest"].values, index=known.indexes[dim]).reindex(digests.index) if known else None
    fresh = digests.index if same is None else digests.index[(same != digests).to_numpy()]
    if known is not None and not len(fresh):
        return known.drop_vars("digest").sel({dim: digests.index})
    new = answer(fresh)
    parts = (
        [new]
        if known is None or len(fresh) == len(digests)
        else [known.drop_vars("digest").sel({dim: digests.index.difference(fresh)}), new]
    )
    whole = xr.concat(parts, dim=dim, join="exact", combine_attrs="override")
    whole = whole.sel({dim: digests.index})
    _keep(entry, {"pieces": whole.assign(digest=(dim, digests.to_numpy(dtype=str)))})
    _make_room(folder, kind)
    return whole


def _key(question: Any) -> str:
    """Of the question and of the libraries that answer it: another release may round otherwise."""
    whole = [question, {name: metadata.version(name) for name in LIBRARIES}]
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:20]


def _read(entry: Path) -> Answer | None:
    """An entry, or None if there is none or a byte of it changed."""
    try:
        record = json.loads((entry / RECORD).read_text("utf-8"))
        if any(sha256_of(entry / f"{name}.nc") != digest for name, digest in record.items()):
            return None
        found = {name: read_cube(entry / f"{name}.nc") for name in record}
        with suppress(OSError):
            os.utime(entry)  # entries make room by their last use
        return found
    except (OSError, ValueError, InputError):
        return None


def _keep(entry: Path, answer: Answer) -> None:
    """Write an entry; a run goes on where nothing can be kept."""
    fresh = entry.parent / f".{secrets.token_hex(8)}"
    try:
        with suppress(InputError), writing(entry):
            fresh.mkdir(parents=True)
            for name, dataset in answer.items():
                dataset.drop_encoding().to_netcdf(fresh / f"{name}.nc", engine="netcdf4")
            record = {name: sha256_of(fresh / f"{name}.nc") for name in answer}
            (fresh / RECORD).write_text(json.dumps(record), "utf-8")
            shutil.rmtree(entry, ignore_errors=True)
            os.replace(fresh, entry)
    finally:  # once `writing` has looked how full the disk is
        shutil.rmtree(fresh, ignore_errors=True)


def _make_room(folder: Path, kind: str) -> None:
    """Remove all but the entries of a kind that were last used."""
    entries = sorted(folder.glob(f"{kind}-{'?' * 20}"), key=lambda entry: entry.stat().st_mtime)
    for entry in entries[:-ENTRIES_OF_A_KIND]:
        shutil.rmtree(entry, ignore_errors=True)
