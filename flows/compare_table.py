"""Two scorings of one month side by side: which class, tier and alert level moves, by how much, and by which factor."""

from __future__ import annotations

import numpy as np
import pandas as pd

from geodata.schema import AlertLevel
from maps.rounding import half_up
from models.change import FACTORS, SAME

from .changes import MOVED_BY, NAMES, printed_split

WHAT = {"risk_class": "class", "risk_tier": "tier", "alert_level": "alert level"}
"""What is compared, and its name."""

SIDES = ("before", "after")
LIMIT = 20
"""Subdistricts named unless all are asked for."""


def compare_table(before: pd.DataFrame, after: pd.DataFrame, split: pd.DataFrame) -> pd.DataFrame:
    """Two tables of scores side by side, unrounded, with what the risk moved by.

    Parameters
    ----------
    before, after : DataFrame, index pcode: risk, risk_low, risk_high, risk_basis, risk_class, risk_tier, alert_level
    split : DataFrame of `split_change`

    Returns
    -------
    DataFrame, index pcode, columns ``<name>_before`` and ``<name>_after``, ``change`` and its parts
    """
    sides = [t.add_suffix(f"_{side}") for t, side in zip((before, after), SIDES, strict=True)]
    factors = [f"change_{f}" for f in FACTORS]
    return sides[0].join(sides[1]).join(split[["change", *factors]])


def moved(table: pd.DataFrame, what: str) -> pd.Series:
    """True where a word differs between the two scorings."""
    return table[f"{what}_before"] != table[f"{what}_after"]


def lines_of(table: pd.DataFrame, names: pd.DataFrame, *, cuts_moved: bool, every: bool) -> list[str]:
    """The comparison in words: how many move, by what, and each by name in p-code order.

    Parameters
    ----------
    table : DataFrame of `compare_table`
    names : DataFrame, index pcode: name_en, adm2_name
    cuts_moved : bool, the cut points of the classes differ
    every : bool, name all of them
    """
    changed = {what: moved(table, what) for what in WHAT}
    counts = ", ".join(f"{word}: {int(changed[what].sum())}" for what, word in WHAT.items())
    lines = [f"Of {len(table)} subdistricts these change: {counts}"]
    lines += [line for factor in FACTORS if (line := _moved_by(table[f"change_{factor}"], factor))]
    if cuts_moved:
        alone = changed["risk_class"] & (table["change"].fillna(0.0).abs() < 1e-9)
        lines.append(f"By other cut points alone: {int(alone.sum())} of the classes")
    named = table.index[np.logical_or.reduce([c.to_numpy() for c in changed.values()])]
    shown = named if every else named[:LIMIT]
    lines += [f"{pcode} {_place(names.loc[pcode])}: {_moves(table.loc[pcode])}" for pcode in shown]
    if len(named) > len(shown):
        lines.append(f"and {len(named) - len(shown)} more; --all names them")
    return lines if len(named) else [*lines, "No subdistrict changes its class, tier or alert level."]


def records_of(table: pd.DataFrame, names: pd.DataFrame, constants: dict[str, str]) -> pd.DataFrame:
    """The comparison of every subdistrict as it is written, rounded once."""
    plain = [f"{what}_{side}" for what in ("risk", "risk_low", "risk_high") for side in SIDES]
    rows = names[list(NAMES)].fillna("").join(table[plain].map(half_up, na_action="ignore"))
    rows = rows.join(printed_split(table))
    for what in WHAT:
        rows = rows.join(table[[f"{what}_{side}" for side in SIDES]])
    return rows.assign(**constants).rename_axis("pcode").reset_index()


def risk_words(row: pd.Series, side: str = "") -> str:
    """A risk as it is printed: the score, the range where one dimension is lacking, or "not assessed".

    >>> risk_words(pd.Series({"risk": 4.44, "risk_basis": "score"}))
    '4.4'
    >>> risk_words(pd.Series({"risk": float("nan"), "risk_low": 3.1, "risk_high": 5.25, "risk_basis": "range"}))
    '3.1–5.3'
    """
    basis = row[f"risk_basis{side}"]
    if basis == "none":
        return "not assessed"
    ends = ("risk",) if basis == "score" else ("risk_low", "risk_high")
    return "–".join(f"{half_up(float(row[f'{end}{side}'])):.1f}" for end in ends)


def plain_word(what: str, value: object) -> str:
    """A class, tier or alert level in plain English; what is not known says so."""
    if what == "alert_level":
        level = AlertLevel(int(str(value)))
        return "not assessed" if level is AlertLevel.NO_DATA else level.name.lower()
    return str(value).replace("_", " ") or "none"


def _moved_by(part: pd.Series, factor: str) -> str:
    seen = part[part.abs() >= 1e-9]
    if not len(seen):
        return ""
    return f"Risk moved by {MOVED_BY.get(factor, factor)}: {len(seen)} subdistricts, {_signed_range(seen)} points"


def _signed_range(values: pd.Series) -> str:
    return f"{_signed(values.min())} to {_signed(values.max())}"


def _signed(value: float) -> str:
    return f"{half_up(float(value)):+.1f}".replace("-", "−")


def _place(row: pd.Series) -> str:
    return f"{row['name_en']}, {row['adm2_name']}"


def _moves(row: pd.Series) -> str:
    said = [
        f"{word} {plain_word(what, row[f'{what}_before'])} -> {plain_word(what, row[f'{what}_after'])}"
        for what, word in WHAT.items()
        if row[f"{what}_before"] != row[f"{what}_after"]
    ]
    risk = [risk_words(row, f"_{side}") for side in SIDES]
    parts = [f"{f.replace('_', ' ')} {_signed(row[f'change_{f}'])}" for f in FACTORS if abs(row[f"change_{f}"]) >= SAME]
    return "; ".join([*said, f"risk {risk[0]} -> {risk[1]}" + (f" ({', '.join(parts)})" if parts else "")])
