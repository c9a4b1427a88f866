"""The tree of means that a country file declares: one for the score, its parts, its doubt and every what-if."""

from __future__ import annotations

from collections.abc import Sequence

from models.composite import Level, inform, means_of
from models.indicators import IndicatorSheet

from .settings import Settings


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
