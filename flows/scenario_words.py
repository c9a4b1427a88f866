"""A movement of households in words and as plain values: both ends, before and after; what is not known says so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from geodata.schema import Status
from maps.rounding import half_up
from models.weak_risk import BASES, RANGE

MEASURES = {
    "risk": "risk (0-10)",
    "risk_class": "risk class",
    "risk_tier": "tier (A is highest)",
    "hazard": "hazard (0-10)",
    "exposure": "exposure (0-10)",
    "vulnerability": "vulnerability (0-10)",
    "displaced_households": "displaced households",
    "residents": "residents",
    "host_pressure": "displaced people per 1,000 residents",
    "water_demand": "water people need, litres a head and day",
    "water_supply": "water delivered to people, litres a head and day",
    "alert_level": "alert level",
}
"""In their order in the table."""

FEW = "few (1-4)"
RANGED = BASES[RANGE]
"""In place of a status: no single class or tier, as the risk is a range."""

COUNTED = ("displaced_households", "residents", "host_pressure")
OF_COUNTS = {
    Status.suppressed.name: FEW,
    Status.input_missing.name: "not counted",
    Status.exposure_unknown.name: "residents not known",
}
OF_SCORES = {
    RANGED: "more than one in its range",
    Status.suppressed.name: "not assessed (few households, 1-4)",
    Status.input_missing.name: "not known (no source)",
    Status.exposure_unknown.name: "not assessed (residents not known)",
    Status.external_unknown.name: "not known (inflow at the border)",
}
"""Why a value is not told, where its status alone would not be plain."""

FIRST = "Your own plan and orders from the authorities come first."
SCENARIO = (
    "A scenario from published counts (rounded to 5, 1 to 4 are few): it says what the same scores would be, "
    "not that anybody will move or should."
)
AS_MEASURED = "Hazards and alert levels are as measured: they do not change with who lives there."
WATER_AS_BEFORE = "Water is delivered as before the movement, and never more than is needed; it is not shared out anew."


def told(value: float, status: str, decimals: int = 1) -> dict[str, Any]:
    """A value, or why there is none; one without decimals is a whole number.

    >>> told(4.44, "ok"), told(20.0, "ok", 0), told(float("nan"), "suppressed")
    ({'value': 4.4, 'status': 'ok'}, {'value': 20, 'status': 'ok'}, {'value': None, 'status': 'suppressed'})
    """
    if np.isnan(value):
        return {"value": None, "status": status}
    rounded = half_up(float(value), decimals)
    return {"value": rounded if decimals else int(rounded), "status": status}


def said(name: str, measure: Mapping[str, Any]) -> str:
    """A measure as it is printed: what is not known never looks like a number.

    >>> said("risk", {"low": 3.1, "high": 5.2, "status": "insufficient_data"})
    '3.1–5.2 (range)'
    >>> said("displaced_households", {"at_least": 20, "status": "suppressed"})
    '20 and few (1-4)'
    >>> said("vulnerability", {"value": None, "status": "insufficient_data"})
    'not assessed (insufficient data)'
    >>> said("residents", {"value": 1250, "status": "stale"})
    '1,250 (old data)'
    """
    status = measure["status"]
    if "low" in measure:
        return f"{measure['low']:.1f}–{measure['high']:.1f} (range)"
    if "at_least" in measure:
        rest = FEW if status == Status.suppressed.name else "others not counted"
        return f"{measure['at_least']:,} " + ("or more" if name == "host_pressure" else f"and {rest}")
    if "mid" in measure:
        return f"{measure['mid']:,} ({measure['least']:,} to {measure['most']:,})"
    value = measure["value"]
    if value is None:
        words = OF_COUNTS if name in COUNTED else OF_SCORES
        return words.get(status, f"not assessed ({status.replace('_', ' ')})")
    text = value.replace("_", " ") if isinstance(value, str) else _number(value)
    return f"{text} (old data)" if status == Status.stale.name else text


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"


def lines_of(report: Mapping[str, Any]) -> list[str]:
    """The report for people: what moves, a table of each end, the account of households, and what it is not."""
    lines = [report["notice"]] if report["notice"] else []
    lines += [report["title"], report["movement"]["words"], ""]
    for end in ("origin", "destination"):
        unit = report[end]
        lines.append(f"{end}: {unit['name']}, {unit['district']} ({unit['pcode']})")
        lines += _table([(MEASURES[m], said(m, unit["before"][m]), said(m, unit["after"][m])) for m in MEASURES])
        lines += [f"  why: {unit['warning_reason']}", ""]
    lines += [_account(report["households"]), *report["notes"], FIRST]
    return lines


def _table(rows: list[tuple[str, str, str]]) -> list[str]:
    head = ("", "before", "after")
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(3)]
    return [
        "  " + "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in [head, *rows]
    ]


def _account(totals: Mapping[str, Any]) -> str:
    displaced = (
        f"displaced households at both ends {totals['displaced_before']:,.0f} -> {totals['displaced_after']:,.0f}"
    )
    changed = totals["became_residents"] or totals["became_displaced"]
    how = "became residents" if totals["became_residents"] else "became displaced"
    rest = f"{changed:,.0f} {how}" if changed else f"{totals['moved']:,.0f} moved"
    few = f"; besides {', '.join(totals['besides'])}" if totals["besides"] else ""
    return f"Account: {displaced}, {rest}{few}; nobody is made and nobody is lost."
