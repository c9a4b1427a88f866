"""A composite score as a tree of weighted means: the mean of each level, its weights, and what may be missing.

One tree serves the score, its parts, its uncertainty and its what-ifs, so that none of them can
be made by another rule. One rule for missing parts holds at every level: a part that is not known
is left out and the weights of the others are rescaled, as long as the known ones hold the share
of the weight that the level declares; below it the level has no value. Nothing is filled in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Literal, get_args

import numpy as np

from geodata.schema import ContractError
from models.risk import DIMENSIONS

Mean = Literal["arithmetic", "geometric", "scaled_geometric"]
"""Plain means, and INFORM's geometric mean of inverted scores, which the worst part leads."""

ANY, TWO_THIRDS, ALL = 0.0, 2.0 / 3.0, 1.0
"""Share of a level's weight that must be known: of hazards one is enough, two thirds of indicators, all dimensions."""

_SLACK = 1e-9  # of sums of weights: 2/3 of three equal weights is met by two of them

Values = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Level:
    """One level of the tree.

    Parameters
    ----------
    name : str
    mean : how the parts become one score
    parts : further levels, or names of scores
    weights : of each part; none below 0, sum 1
    needs : share of the weight that must be known for the level to have a value

    Raises
    ------
    ContractError
        Weights that do not fit, an unknown mean, or a name that stands twice in the tree.
    """

    name: str
    mean: Mean
    parts: tuple[Level | str, ...]
    weights: tuple[float, ...]
    needs: float = ALL

    def __post_init__(self) -> None:
        if wrong := list(self._faults()):
            raise ContractError(f"{self.name}: " + "; ".join(wrong))

    def _faults(self) -> Iterator[str]:
        if self.mean not in get_args(Mean):
            yield f"mean {self.mean!r}, expected one of {list(get_args(Mean))}"
        if not self.parts or len(self.parts) != len(self.weights):
            yield f"{len(self.weights)} weights of {len(self.parts)} parts, expected one each and at least one"
        elif found := weight_faults(self.weights):
            yield found
        if not 0.0 <= self.needs <= 1.0:
            yield f"needs {self.needs}, expected 0 to 1"
        names = [*(level.name for level in levels(self)), *leaves(self)]
        if twice := sorted({n for n in names if names.count(n) > 1}):
            yield f"names {twice} more than once, expected each once"


@dataclass(frozen=True)
class Means:
    """The mean declared for each level; those of INFORM unless the country file says otherwise."""

    hazards: Mean = "scaled_geometric"
    hazard_and_exposure: Mean = "geometric"
    indicators: Mean = "arithmetic"
    risk: Mean = "geometric"


def weight_faults(weights: Sequence[float]) -> str:
    """What is wrong with the weights of one level; "" if nothing.

    >>> weight_faults([0.5, -0.5, 1.0])
    'weights [0.5, -0.5, 1.0], expected none below 0'
    >>> weight_faults([0.5, 0.4])
    'weights [0.5, 0.4] sum to 0.9, expected 1'
    """
    shown = [float(w) for w in weights]
    if not np.isfinite(shown).all():
        return f"weights {shown}, expected numbers"
    if min(shown) < 0:
        return f"weights {shown}, expected none below 0"
    if abs(sum(shown) - 1.0) > 1e-6:
        return f"weights {shown} sum to {round(sum(shown), 6)}, expected 1"
    return ""


def inform(
    hazards: Sequence[str],
    dimensions: Sequence[str] = DIMENSIONS[:2],
    *,
    indicators: Mapping[str, Sequence[str]] | None = None,
    weights: Mapping[str, Mapping[str, float]] | None = None,
    means: Means | None = None,
) -> Level:
    """The tree of INFORM for the hazards and dimensions assessed in a country.

    Parameters
    ----------
    hazards : names of the hazards; their scores are ``hazard_<name>``
    dimensions : subset of DIMENSIONS, the ones assessed; the others are left out and the exponents rescaled
    indicators : dimension -> names of the scores it is made of; one that is not named has a score of its own
    weights : level -> part -> weight; parts by the name of their score; a level that is not named has equal weights
    means : of each level

    Returns
    -------
    Level ``risk``, of levels ``hazard_and_exposure`` (``hazard`` and ``exposure``), ``vulnerability``, ...

    References
    ----------
    INFORM: scaled geometric mean of hazards, arithmetic mean of indicators, geometric mean of dimensions.

    >>> tree = inform(["drought", "water"])
    >>> values = {"hazard_drought": 8.0, "hazard_water": 2.0, "exposure": 6.0, "vulnerability": 3.0}
    >>> round(float(evaluate(tree, values)["risk"]), 3)
    4.204
    """
    means, weights, indicators = means or Means(), dict(weights or {}), indicators or {}
    if not dimensions or not set(dimensions) <= set(DIMENSIONS):
        raise ContractError(f"risk: dimensions {list(dimensions)}, expected some of {list(DIMENSIONS)}")

    def level(name: str, mean: Mean, parts: Sequence[Level | str], needs: float) -> Level:
        names = [name_of(p) for p in parts]
        given = weights.pop(name, dict.fromkeys(names, 1.0 / max(len(names), 1)))
        if set(given) != set(names):
            raise ContractError(f"{name}: weights of {sorted(given)}, expected of {sorted(names)}")
        return Level(name, mean, tuple(parts), tuple(float(given[n]) for n in names), needs)

    def dimension(name: str) -> Level | str:
        if name == DIMENSIONS[0]:
            hazard = level("hazard", means.hazards, [f"hazard_{h}" for h in hazards], ANY)
            return level(name, means.hazard_and_exposure, [hazard, "exposure"], ALL)
        return level(name, means.indicators, indicators[name], TWO_THIRDS) if name in indicators else name

    tree = level("risk", means.risk, [dimension(d) for d in dimensions], ALL)
    if weights:
        raise ContractError(f"risk: weights of {sorted(weights)}, expected of {[n.name for n in levels(tree)]}")
    return tree


def name_of(part: Level | str) -> str:
    """Name of a level or of a score."""
    return part if isinstance(part, str) else part.name


def levels(tree: Level) -> list[Level]:
    """Every level of the tree, the topmost first."""
    return [tree, *(found for part in tree.parts if isinstance(part, Level) for found in levels(part))]


def leaves(tree: Level) -> list[str]:
    """Names of the scores the tree is made of, in its order."""
    return [name for part in tree.parts for name in ([part] if isinstance(part, str) else leaves(part))]


def described(tree: Level) -> list[dict[str, str | float]]:
    """One row per level for titles and receipts: which mean, of what, with which weights, and what it needs.

    >>> described(inform(["drought"], ["hazard_and_exposure"]))[-1]
    {'level': 'hazard', 'mean': 'scaled_geometric', 'parts': 'hazard_drought', 'weights': '1', 'needs': 0.0}
    """
    return [
        {
            "level": level.name,
            "mean": level.mean,
            "parts": " ".join(name_of(p) for p in level.parts),
            "weights": " ".join(f"{w:.6g}" for w in level.weights),
            "needs": level.needs,
        }
        for level in levels(tree)
    ]


def evaluate(tree: Level, values: Values) -> dict[str, np.ndarray]:
    """Value of every level from the scores of the parts.

    Parameters
    ----------
    tree : Level
    values : score name -> array (any shape, the same for all), 0-10, NaN where it is not known

    Returns
    -------
    level name -> array, 0-10, unrounded; NaN where too little of its weight is known

    Raises
    ------
    ContractError
        A score of the tree is not among the values: what was never computed does not belong in the tree.
    """
    if absent := [name for name in leaves(tree) if name not in values]:
        raise ContractError(f"{tree.name}: no scores {absent}")
    out: dict[str, np.ndarray] = {}
    _evaluate(tree, values, out)
    return out


def weighted_mean(
    parts: Iterable[np.ndarray], weights: Sequence[float] | np.ndarray, mean: Mean, needs: float = ALL
) -> np.ndarray:
    """Mean of the parts that are known; NaN where these hold less than ``needs`` of the weight, or none.

    A geometric mean with a part of 0 is 0 (no floor: INFORM's own rule).

    Parameters
    ----------
    parts : arrays (any shape, the same for all), 0-10
    weights : of each part
    mean : which
    needs : share of the weight

    >>> weighted_mean([np.array([6.0, 6.0]), np.array([4.0, np.nan])], [0.5, 0.5], "arithmetic", needs=0.5)
    array([5., 6.])
    """
    total: np.ndarray | float = 0.0
    known: np.ndarray | float = 0.0
    for part, weight in zip(parts, weights, strict=True):
        if weight == 0:
            continue  # 0 times the logarithm of 0 is no number
        seen = np.isfinite(part)
        total = total + np.where(seen, weight * into(np.where(seen, part, 5.0), mean), 0.0)
        known = known + np.where(seen, weight, 0.0)
    known = np.asarray(known)
    enough = (known > 0) & (known >= needs * sum(weights) - _SLACK)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(enough, back(np.asarray(total) / known, mean), np.nan)


def into(score: np.ndarray, mean: Mean) -> np.ndarray:
    """Scores where the mean is a plain one: as they are, their logarithm, or that of the inverted score."""
    if mean == "arithmetic":
        return score
    with np.errstate(divide="ignore"):
        return np.log(score if mean == "geometric" else 10.0 - 0.9 * score)


def back(value: np.ndarray, mean: Mean) -> np.ndarray:
    """Inverse of `into`, inside 0-10."""
    if mean == "arithmetic":
        return np.clip(value, 0.0, 10.0)
    if mean == "geometric":
        return np.minimum(np.exp(value), 10.0)
    return np.clip((10.0 - np.exp(value)) / 0.9, 0.0, 10.0)


def needed(tree: Level, values: Values, part: str, target: np.ndarray) -> np.ndarray:
    """Score of one part at which the whole tree has the target, the other parts as they are.

    Parameters
    ----------
    tree : Level
    values : as of `evaluate`
    part : name of a score of the tree
    target : array, same shape, 0-10

    Returns
    -------
    array; outside 0-10, infinite or NaN where no score of that part gives the target
    """
    at = evaluate(tree, values) | dict(values)
    want = np.asarray(target, dtype=float)
    with np.errstate(all="ignore"):
        for level, child in _path(tree, part):
            others = [
                (np.asarray(at[name_of(p)], dtype=float), w)
                for p, w in zip(level.parts, level.weights, strict=True)
                if name_of(p) != child and w > 0
            ]
            own = level.weights[[name_of(p) for p in level.parts].index(child)]
            seen = [np.isfinite(v) for v, _ in others]
            rest = sum(np.where(s, w * into(v, level.mean), 0.0) for s, (v, w) in zip(seen, others, strict=True))
            weight = own + sum(np.where(s, w, 0.0) for s, (_, w) in zip(seen, others, strict=True))
            want = _beyond(into(want, level.mean) * weight - rest, own, level.mean)
    return np.where(np.isfinite(at[part]), want, np.nan)


def _beyond(value: np.ndarray, weight: float, mean: Mean) -> np.ndarray:
    """Inverse of `into` that does not stop at the ends of the scale: what lies outside must be seen to."""
    value = value / weight if weight else np.full_like(value, np.nan)
    if mean == "scaled_geometric":
        return (10.0 - np.exp(value)) / 0.9
    return np.exp(value) if mean == "geometric" else value


def _path(tree: Level, part: str) -> list[tuple[Level, str]]:
    """Levels from the top to a score, each with the name of the part that leads there."""
    for child in tree.parts:
        if child == part:
            return [(tree, part)]
        if isinstance(child, Level) and part in leaves(child):
            return [(tree, child.name), *_path(child, part)]
    raise ContractError(f"{tree.name}: no score {part!r}, expected one of {leaves(tree)}")


def _evaluate(tree: Level, values: Values, out: dict[str, np.ndarray]) -> np.ndarray:
    parts = [
        np.asarray(values[p], dtype=float) if isinstance(p, str) else _evaluate(p, values, out) for p in tree.parts
    ]
    out[tree.name] = weighted_mean(parts, tree.weights, tree.mean, tree.needs)
    return out[tree.name]


def means_of(options: Mapping[str, Mean]) -> Means:
    """Means from an option block; names that are not there keep INFORM's.

    Raises
    ------
    ContractError
        A level or a mean that does not exist.
    """
    names = [f.name for f in fields(Means)]
    wrong = {k: v for k, v in options.items() if k not in names or v not in get_args(Mean)}
    if wrong:
        raise ContractError(f"means: {wrong}, expected of {names} one of {list(get_args(Mean))}")
    return Means(**options)
