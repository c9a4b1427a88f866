"""How far the risk may be off, and the tier that survives it.

Draws of the weights, of the error of each hazard's index and of the width that protection
leaves on the counts. Errors are common to all units of a draw: an index that runs dry runs
dry everywhere. So identical units get identical ranges and tiers, in any order of the units.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from geodata.schema import ContractError
from models.risk import DIMENSIONS
from models.scoring import SPI_BREAKPOINTS, scaled_mean

TIERS = ("E", "D", "C", "B", "A")
"""By fifths of the mean rank share; A is the highest risk."""


@dataclass(frozen=True)
class HazardError:
    """Error of a hazard, common to all units of a draw.

    Parameters
    ----------
    sd : float
        Standard deviation, in units of the index if ``breakpoints`` are given, else in score points.
        Sampling error of an SPI of 30 years near -1: 0.24.
    breakpoints : pairs (index, score), optional
        How the hazard was scored, so that the index can be moved and scored again.
    """

    sd: float
    breakpoints: Sequence[tuple[float, float]] | None = None


SPI_ERROR = HazardError(0.24, SPI_BREAKPOINTS)


def risk_range(
    scores: pd.DataFrame,
    hazards: Sequence[str],
    dimensions: Sequence[str] = ("hazard_and_exposure", "vulnerability"),
    *,
    errors: Mapping[str, HazardError] | None = None,
    indices: pd.DataFrame | None = None,
    halfwidths: pd.DataFrame | None = None,
    draws: int = 500,
    concentration: float = 10.0,
    seed: int = 0,
) -> pd.DataFrame:
    """Range (5 to 95 %) and tier of the risk of each unit.

    The range is widened to hold the risk itself where a one-sided error pushes it out.

    Parameters
    ----------
    scores : DataFrame, index pcode
        ``hazard_<name>``, ``exposure``, the further dimensions assessed, and ``risk``, 0-10, unrounded.
    hazards : names of the hazards
    dimensions : as of `models.risk.risk`
    errors : hazard -> HazardError; a hazard that is not named has none
    indices : DataFrame, index pcode, a column of index values per hazard whose error has breakpoints
    halfwidths : DataFrame, index pcode, score points by which protection may have moved a column of ``scores``
    draws : int
    concentration : float
        Of the Dirichlet distribution of the dimension weights; 10 each, equal on average.
    seed : int

    Returns
    -------
    DataFrame, index pcode
        ``risk_low``, ``risk_high`` (NaN where there is no risk), ``risk_tier`` A (highest) to E, "" where none.

    References
    ----------
    OECD/JRC Handbook on Constructing Composite Indicators, uncertainty analysis.
    """
    rng = np.random.default_rng(seed)
    names = sorted(h for h in hazards if f"hazard_{h}" in scores)
    weights = rng.dirichlet([concentration] * len(dimensions), size=draws)
    shifts = rng.standard_normal((draws, len(names)))
    others = [d for d in ("exposure", "vulnerability", "lack_of_coping") if d in scores]
    widths = rng.uniform(-1.0, 1.0, (draws, len(others)))
    moved_hazards = [_moved_hazard(name, scores, errors or {}, indices, shifts[:, i]) for i, name in enumerate(names)]
    moved = {d: _moved(d, scores, halfwidths, widths[:, i]) for i, d in enumerate(others)}
    values = _dimension_values(moved_hazards, moved, dimensions)
    drawn = np.exp(sum(weights[:, [i]] * np.log(np.maximum(v, 1e-300)) for i, v in enumerate(values)))
    known = np.isfinite(scores["risk"].to_numpy(dtype=float))
    return _summary(np.round(drawn, 9), scores["risk"], known)


def _moved_hazard(
    name: str,
    scores: pd.DataFrame,
    errors: Mapping[str, HazardError],
    indices: pd.DataFrame | None,
    shift: np.ndarray,
) -> np.ndarray:
    """Hazard scores (draw, unit) with the draw's error; a NaN score stays NaN."""
    own = scores[f"hazard_{name}"].to_numpy(dtype=float)[None, :]
    error = errors.get(name, HazardError(0.0))
    by = shift[:, None] * error.sd
    if error.breakpoints is None:
        return np.clip(own + by, 0.0, 10.0)
    if indices is None or name not in indices:
        raise ContractError(f"risk_range: no index of {name}, whose error is in units of the index")
    xs, ys = (np.array(side, dtype=float) for side in zip(*sorted(error.breakpoints), strict=True))
    index = indices[name].reindex(scores.index).to_numpy(dtype=float)[None, :]
    return np.where(np.isnan(own), np.nan, np.interp(index + by, xs, ys))


def _moved(column: str, scores: pd.DataFrame, halfwidths: pd.DataFrame | None, share: np.ndarray) -> np.ndarray:
    """Scores (draw, unit) moved by a share of each unit's own half-width."""
    own = scores[column].to_numpy(dtype=float)[None, :]
    if halfwidths is None or column not in halfwidths:
        return np.broadcast_to(own, (len(share), own.shape[1]))
    width = halfwidths[column].reindex(scores.index).fillna(0.0).to_numpy(dtype=float)[None, :]
    return np.clip(own + share[:, None] * width, 0.0, 10.0)


def _dimension_values(
    hazards: list[np.ndarray], moved: Mapping[str, np.ndarray], dimensions: Sequence[str]
) -> list[np.ndarray]:
    """Score of each dimension (draw, unit), in the order of ``dimensions``."""
    values = []
    for dimension in dimensions:
        if dimension != DIMENSIONS[0]:
            values.append(moved[dimension])
            continue
        values.append(np.sqrt(scaled_mean(np.stack(hazards)) * moved["exposure"]))
    return values


def _summary(drawn: np.ndarray, risk: pd.Series, known: np.ndarray) -> pd.DataFrame:
    """Range and tier from draws (draw, unit)."""
    out = pd.DataFrame({"risk_low": np.nan, "risk_high": np.nan, "risk_tier": ""}, index=risk.index)
    if not known.any():
        return out
    own = risk.to_numpy(dtype=float)[known]
    low, high = np.quantile(drawn[:, known], [0.05, 0.95], axis=0)
    share = ((rankdata(drawn[:, known], axis=1) - 0.5) / known.sum()).mean(axis=0)
    out.loc[known, "risk_low"] = np.minimum(low, own)
    out.loc[known, "risk_high"] = np.maximum(high, own)
    out.loc[known, "risk_tier"] = np.array(TIERS)[np.minimum((share * 5 + 1e-9).astype(int), 4)]
    return out
