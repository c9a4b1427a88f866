"""What a run says in a terminal: where the map is, who stands highest, and what is missing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from .workspace import read_receipt

NAMED = 5
"""Headlines name up to this many subdistricts, in p-code order: a tier is no ranking."""


@dataclass(frozen=True)
class Summary:
    """The headlines of a finished run."""

    folder: Path
    title: str
    highest_tier: tuple[str, ...]
    gaps: tuple[str, ...]
    synthetic: bool
    exercise: bool

    def lines(self) -> list[str]:
        """The words, one line each."""
        banner = [word for word, on in (("SYNTHETIC: made-up numbers. Do not use.", self.synthetic),) if on]
        banner += ["EXERCISE: this is a drill."] if self.exercise else []
        return [
            *banner,
            self.title,
            f"Highest tier (A): {some(self.highest_tier)}",
            *(f"Gap: {gap}" for gap in self.gaps),
            f"Tables: {self.folder / 'tables'}",
            f"Map: {self.folder / 'site' / 'index.html'}",
        ]


def some(names: tuple[str, ...]) -> str:
    """Up to five names, and how many more.

    >>> some(("a", "b", "c", "d", "e", "f", "g"))
    'a, b, c, d, e and 2 more'
    >>> some(())
    'no subdistrict could be placed'
    """
    if not names:
        return "no subdistrict could be placed"
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def read_summary(folder: Path) -> Summary:
    """Headlines of a finished run, from its receipt and its checks."""
    receipt = read_receipt(folder)
    checks = json.loads((folder / "checks.json").read_text("utf-8"))
    run = receipt["run"]
    return Summary(
        folder,
        receipt["headlines"]["title"],
        tuple(receipt["headlines"]["highest_tier"]),
        tuple(checks["gaps"]),
        run["synthetic"],
        run["exercise"],
    )
