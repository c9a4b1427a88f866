"""The tree of means that a country file declares: one for the score, its parts, its doubt and every what-if."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from models.composite import Level, described, inform, means_of
from models.indicators import IndicatorSheet

from .settings import Settings
from .workspace import stage

LEVELS = "risk_levels.json"
"""The tree of a run, in its stage."""


def risk_tree(settings: Settings, sheet: IndicatorSheet, dimensions: Sequence[str]) -> Level:
    """Risk from the assessed hazards, exposure and the rows of the indicator sheet.

    Parameters
    ----------
    settings : of the country; means and weights of ``[risk]``
    sheet : IndicatorSheet, whose weights are those among the assessed rows
    dimensions : those that are assessed; the weights of the others are shared out among them in proportion
    """
    declared = settings.risk.weights
    weights = {level: given for level, given in declared.items() if level != "risk"} | {
        d: w for d, w in sheet.weights().items() if d in dimensions
    }
    if "risk" in declared:
        among = {d: declared["risk"].get(d, 0.0) for d in dimensions}
        total = sum(among.values())
        weights["risk"] = {d: w / total for d, w in among.items()} if total > 0 else {}
    return inform(
        tuple(settings.assessed_hazards),
        dimensions,
        indicators={d: names for d, names in sheet.parts().items() if d in dimensions},
        weights={level: w for level, w in weights.items() if w},
        means=means_of(settings.risk.means),
    )


def keep_levels(tree: Level, work: str | Path) -> None:
    """Store the mean, parts and weights of each level for the products that print them."""
    (stage(work) / LEVELS).write_text(json.dumps(described(tree)), "utf-8")


def read_levels(work: str | Path) -> pd.DataFrame:
    """Columns level, mean, parts, weights, needs; a row per level, the topmost first."""
    return pd.DataFrame(json.loads((stage(work) / LEVELS).read_text("utf-8")))


def made_from(work: str | Path) -> dict[str, str]:
    """Level -> how it is made, in English, for the definitions of the workbook."""
    rows = read_levels(work).to_dict("records")
    return {
        str(r["level"]): f"{str(r['mean']).replace('_', ' ')} mean of {r['parts']}, weights {r['weights']}"
        for r in rows
    }
