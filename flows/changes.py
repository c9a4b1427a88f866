"""What changed since the run that people saw before: a table for each pair of runs, beside the runs.

The table is a product of two runs, so it stands in neither of them: ``OUT/<country>/changes/<before>--<after>/``.
The same question gives the same run, byte by byte, whatever else is kept; which run is the earlier one depends on
what is kept, and is said in the table and under ``machine.earlier`` of the receipt, where all stands that depends on
when and where a run was made. A table is a function of the two runs in its name: it is written when the later one is
made or published, and never changes after that.

Nothing leaks. The table is computed from what both runs published (cubes, receipts, and shapes where boundaries
moved) and from nothing else, all of it made from protected counts. Whoever holds the two runs can compute it, so it
tells them nothing; two true tables that are protected alike give the same changes.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from geodata.crosswalk import make_crosswalk, write_crosswalk
from geodata.schema import Findings, InputError
from geodata.store import writing
from maps.rounding import half_up
from maps.tables import write_records
from models.change import FACTORS, SAME, VERDICTS, split_change

from .bases import basis_of, earlier_month
from .finished_run import FinishedRun, read_run
from .summary import some
from .vintages import boundaries_digest
from .workspace import read_receipt

NAMES = ("name_en", "name_ar", "name_ckb", "adm2_name", "adm1_name")
PRINTED_FACTORS = ("real", "data_vintage", "method", "weights", "boundary")
MOVED_BY = {
    "data_vintage": "new files",
    "method": "another method",
    "weights": "other weights",
    "boundary": "other boundaries",
}
TABLE, SUMMARY, CROSSWALK = "change.csv", "change.json", "crosswalk.csv"


def changes_folder(after: Path, before: str) -> Path:
    """Where the change between two runs of a country is kept."""
    return after.parent.parent / "changes" / f"{before}--{after.name}"


def write_change(folder: Path, before: str) -> Path:
    """Write the change of a finished run since another one, unless it is there already.

    Parameters
    ----------
    folder : Path, of the later run
    before : name of the folder of the earlier one, beside it

    Returns
    -------
    Path, of the folder with the table

    Raises
    ------
    InputError : one of the runs cannot be read
    """
    place = changes_folder(folder, before)
    if (place / SUMMARY).is_file():
        return place
    earlier, later = read_run(folder.parent / before), read_run(folder)
    crosswalk = crosswalk_between(earlier, later)
    rows = printed(change_between(earlier, later, crosswalk), earlier, later)
    with writing(place / TABLE) as path:
        write_records(rows, path, dict.fromkeys(rows.select_dtypes("float"), 1))
    if crosswalk is not None:
        write_crosswalk(place / CROSSWALK, crosswalk)
    with writing(place / SUMMARY) as path:  # last: a folder that has one is whole
        path.write_text(json.dumps(summary_of(rows, earlier, later), ensure_ascii=False, indent=1) + "\n", "utf-8")
    return place


def change_between(before: FinishedRun, after: FinishedRun, crosswalk: pd.DataFrame | None = None) -> pd.DataFrame:
    """Change of the risk between two finished runs, split by what brought it; unrounded, as of `split_change`.

    Parameters
    ----------
    before, after : FinishedRun
    crosswalk : DataFrame of `crosswalk_between`
    """
    earlier, later = (basis_of(run, run.plan.as_of) for run in (before, after))
    shares = None if crosswalk is None else matrix_of(crosswalk, earlier.values.index)
    return split_change(earlier, later, crosswalk=shares, **earlier_month(before, after, earlier, later, shares))


# ------------------------------------------------------------------ boundaries


def crosswalk_between(before: FinishedRun, after: FinishedRun) -> pd.DataFrame | None:
    """Share of each later unit's people in each earlier unit, by geometry; None where the boundaries are the same."""
    files, others = ({f.sha256 for f in run.plan.inputs if f.source == "boundaries"} for run in (before, after))
    if files == others:
        return None
    old, new = before.subdistricts, after.subdistricts
    if boundaries_digest(old) == boundaries_digest(new):
        return None
    residents = old["residents"].astype("float64")
    return make_crosswalk(new[["geometry"]], old[["geometry"]], Findings("boundaries"), residents=residents)


def matrix_of(crosswalk: pd.DataFrame, earlier: pd.Index) -> pd.DataFrame:
    """Shares as a table: a row per later unit that lies on earlier ones, a column per earlier unit."""
    table = crosswalk.pivot(index="from_pcode", columns="to_pcode", values="share")
    return table.reindex(columns=earlier).fillna(0.0)


# ------------------------------------------------------------------ what is printed


def printed(change: pd.DataFrame, before: FinishedRun, after: FinishedRun) -> pd.DataFrame:
    """The table as it is written: rounded once, parts that add up to the printed change."""
    names = after.subdistricts.reindex(change.index)[list(NAMES)].fillna("")
    out = names.assign(**{c: change[c].map(half_up, na_action="ignore") for c in ("risk_before", "risk_after")})
    out = out.join(printed_split(change)).assign(verdict=change["verdict"])
    out = out.assign(
        run_before=before.name, as_of_before=before.plan.as_of, run_after=after.name, as_of_after=after.plan.as_of
    )
    notice = str(after.cube(names=[]).attrs.get("notice", ""))
    return out.assign(notice=notice).rename_axis("pcode").reset_index()


def printed_split(change: pd.DataFrame) -> pd.DataFrame:
    """The change and its parts with one decimal. The real part is rounded for itself, as the verdict is about it."""
    parts = [f"change_{f}" for f in PRINTED_FACTORS]
    known = change[parts].notna().all(axis=1)
    out = change[["change", *parts]].map(half_up, na_action="ignore")
    others = [p for p in parts if p != "change_real"]
    for pcode in out.index[known]:
        left = round((out.at[pcode, "change"] - out.at[pcode, "change_real"]) * 10)
        out.loc[pcode, others] = shared_out(change.loc[pcode, others].to_numpy(dtype=float), left) / 10.0
    return out


def shared_out(parts: np.ndarray, total: int) -> np.ndarray:
    """Parts in tenths that add up to ``total``; what rounding leaves over goes where it is least seen, never to a 0.

    >>> shared_out(np.array([0.0, 0.14, 0.14, -0.01]), 3)
    array([0, 2, 1, 0])
    """
    tenths = np.floor(parts * 10 + 0.5).astype(int)
    while (left := total - tenths.sum()) and parts.any():
        off = np.where(parts == 0, -np.inf, np.sign(left) * (parts * 10 - tenths))
        tenths[np.argmax(off)] += np.sign(left)
    return tenths


def summary_of(rows: pd.DataFrame, before: FinishedRun, after: FinishedRun) -> dict[str, Any]:
    """The change in a few numbers and names."""
    counts = Counter(rows["verdict"])
    moved = {f: int((rows[f"change_{f}"].abs() > SAME).sum()) for f in FACTORS if f != "real"}
    return {
        "before": before.name,
        "before_as_of": before.plan.as_of,
        "after": after.name,
        "after_as_of": after.plan.as_of,
        "verdicts": {v: counts[v] for v in VERDICTS},
        "worse": list(rows.loc[rows["verdict"] == VERDICTS[0], "name_en"]),
        "moved_otherwise": moved,
        "notice": str(rows["notice"].iloc[0]) if len(rows) else "",
    }


def change_lines(place: Path) -> list[str]:
    """The change in a terminal: what became worse, and what only looks so."""
    told = json.loads((place / SUMMARY).read_text("utf-8"))
    verdicts = ", ".join(f"{count} {word}" for word, count in told["verdicts"].items())
    lines = [f"Change since {told['before_as_of']} ({told['before']}): {verdicts}"]
    if told["worse"]:
        lines.append(f"Worse: {some(tuple(told['worse']))}")
    others = [f"{count} by {MOVED_BY[factor]}" for factor, count in told["moved_otherwise"].items() if count]
    if others:
        lines.append(f"Scores moved, and no place is worse for it: {', '.join(others)}")
    return [*lines, f"Changes: {place / TABLE}"]


def own_earlier(folder: Path) -> str:
    """Name of the earlier run that a run's receipt names, while it is kept; "" where there is none."""
    before = str(read_receipt(folder)["machine"].get("earlier", ""))
    return before if before and (folder.parent / before).is_dir() else ""


def tell_change(folder: Path, before: str) -> list[str]:
    """Write the change of a run since an earlier one, and say it in a few lines; none where there is no earlier one.

    The run stands whole beside it: an earlier one that this version cannot read is no reason to lose it.
    """
    if not before:
        return []
    try:
        return change_lines(write_change(folder, before))
    except InputError as error:
        return [f"Change since {before}: not comparable ({error})"]
