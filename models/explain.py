"""One risk taken apart: what each score adds to it, and the smallest single change that moves its class."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import combinations
from math import factorial
from typing import Literal

import numpy as np
import pandas as pd

from geodata.schema import ContractError
from models.composite import Level, Values, evaluate, into, leaves, name_of, needed
from models.risk import CUTS, DIMENSIONS, REFERENCE, class_number

Direction = Literal["up", "down"]
"""To the next worse class, or to the next better one."""

ANSWERS = ("found", "no single change does", "no class beyond", "not assessed")
"""What may be answered to: which single change moves this unit one class?"""

_MOST_PLAYERS = 14
_BEYOND = (0.0, 1e-12, 1e-10, 1e-8, 1e-6, 1e-4)
"""Score points past the change that is computed, of which the first that does what it should is taken: a cut
belongs to the class above it, and a computed change ends on it."""


def tree_contributions(
    values: Values, tree: Level, *, reference: float | Mapping[str, float] = REFERENCE
) -> dict[str, np.ndarray]:
    """What each score adds to the risk against a fixed reference: exact Shapley values, shared out over indicators.

    Parameters
    ----------
    values : score name -> array (any shape), 0-10, NaN where not known
    tree : Level
    reference : one score, or a score by name of a score of the tree

    Returns
    -------
    name -> array (1, score points)
        ``reference`` (the risk with every known score at the reference), then every score of the tree, and every
        dimension made of indicators (the sum of these). Reference and scores sum to the risk. A score that is not
        known adds exactly 0; NaN where there is no risk.

    Formula
    -------
    Shapley value over the hazards, exposure and the further dimensions: mean over all orders of moving them from
    the reference to their own scores. A dimension's value is shared by its indicators i as w_i (f(x_i) - f(r_i)),
    f the function whose weighted mean the dimension is.

    Limits
    ------
    * It tells of the arithmetic of the score, against a reference that is a choice; not of causes.
    * Indicators of a dimension that cancel each other out exactly add nothing each.

    References
    ----------
    Shapley 1953; shares within a group: Owen 1977, for additive groups.
    """
    names = leaves(tree)
    at = dict(zip(names, _of(reference, names), strict=True))
    own = {n: np.asarray(values[n], dtype=float) for n in names}
    start = {n: np.where(np.isnan(own[n]), np.nan, at[n]) for n in names}
    pruned = _of_players(tree)
    players = leaves(pruned)
    if len(players) > _MOST_PLAYERS:
        raise ContractError(f"contributions: {len(players)} hazards and dimensions, expected {_MOST_PLAYERS} at most")
    own_at, start_at = (evaluate(tree, v) | v for v in (own, start))
    origin, parts = _shapley(pruned, [own_at[p] for p in players], [start_at[p] for p in players])
    out = {"reference": origin}
    inner = {part.name: part for part in tree.parts if isinstance(part, Level)}
    for player, contribution in zip(players, parts, strict=True):
        out[player] = contribution
        if player in inner and player != DIMENSIONS[0]:
            out |= _shared(inner[player], contribution, own, start)
    return out


def main_drivers(contributions: Mapping[str, np.ndarray], values: Values, names: Sequence[str]) -> np.ndarray:
    """Name of the largest contribution among some scores, "" where there is no risk; the earlier of equals.

    A score that is not known drives nothing, although its 0 may be the largest number.
    """
    size = np.stack([np.where(np.isnan(values[n]), -np.inf, np.round(contributions[n], 9)) for n in names])
    known = np.isfinite(contributions["reference"])
    return np.where(known, np.array(names)[np.argmax(np.nan_to_num(size, nan=-np.inf), axis=0)], "")


def smallest_change(
    values: Values,
    tree: Level,
    direction: Direction,
    *,
    cuts: Sequence[float] = CUTS,
    movable: Collection[str] | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
) -> pd.DataFrame:
    """Smallest change of one score alone that moves the risk one class up, or down, verified by applying it.

    Parameters
    ----------
    values : score name -> array (unit), 0-10
    tree : Level
    direction : "up" to the next worse class, "down" to the next better one
    cuts : lower bounds of the classes above the first
    movable : names of scores that may change; every hazard and indicator unless given. Exposure is how many people
        are there: moving them is a question of its own.
    bounds : score name -> (lowest, highest) score it may have; 0 and 10 unless given

    Returns
    -------
    DataFrame, a row per unit
        ``answer`` one of ANSWERS; ``part`` (name of the score, "" unless found; the earlier of equal changes),
        ``score_from``, ``score_to``, ``change`` (score points, unrounded), ``risk_after``; NaN unless found.

    Limits
    ------
    * The size of a change is in score points, not in effort: a point of drought is no policy.
    * It is the score that moves; how sure the class is, stands beside it.
    * A score that is not known cannot be changed, only assessed.

    References
    ----------
    The project's own; the change is exact, by inverting each mean of the tree.
    """
    if direction not in ("up", "down"):
        raise ContractError(f"direction {direction!r}, expected 'up' or 'down'")
    names = [n for n in leaves(tree) if (n != "exposure" if movable is None else n in movable)]
    if movable is not None and set(names) != set(movable):
        raise ContractError(f"movable: {sorted(set(movable) - set(names))}, expected scores of {leaves(tree)}")
    own = {n: np.asarray(values[n], dtype=float) for n in leaves(tree)}
    risk = evaluate(tree, own)[tree.name]
    number = class_number(risk, cuts)
    up = direction == "up"
    beyond = number == (len(cuts) if up else 0)
    edges = np.array(cuts)[np.clip(number if up else number - 1, 0, len(cuts) - 1)]
    best = _empty(len(risk))
    for name in names:
        lowest, highest = (bounds or {}).get(name, (0.0, 10.0))
        to = _verified(own, tree, name, needed(tree, own, name, edges), number, cuts, up, (lowest, highest))
        change = to - own[name]
        better = np.isfinite(change) & ~(np.abs(change) >= np.abs(best["change"]) - 1e-9)
        after = evaluate(tree, {**own, name: to})[tree.name]
        new = {"part": name, "score_from": own[name], "score_to": to, "change": change, "risk_after": after}
        for column, found in new.items():
            best[column] = np.where(better, found, best[column])
    best["answer"] = np.select(
        [np.isnan(risk), beyond, best["part"] == ""], [ANSWERS[3], ANSWERS[2], ANSWERS[1]], ANSWERS[0]
    )
    return pd.DataFrame(best)


def printed_change(score_to: np.ndarray, direction: Direction) -> np.ndarray:
    """Score to print, to one decimal, rounded to the side on which the printed change still does what it says.

    >>> printed_change(np.array([4.01, 9.999]), "up").tolist(), printed_change(np.array([4.09]), "down").tolist()
    ([4.1, 10.0], [4.0])
    """
    side = np.ceil(score_to * 10.0 - 1e-9) if direction == "up" else np.floor(score_to * 10.0 + 1e-9)
    return np.clip(side / 10.0, 0.0, 10.0)


def index_of_score(score: np.ndarray, breakpoints: Sequence[tuple[float, float]]) -> np.ndarray:
    """Index that has this score, so that a change can be told in the reader's units; NaN beyond the breakpoints.

    Where several have the same score it is the nearest to the middle of the breakpoints.

    >>> index_of_score(np.array([5.0]), [(0.0, 2.0), (-1.0, 4.0), (-1.5, 6.0)]).tolist()
    [-1.25]
    """
    points = sorted((float(s), float(x)) for x, s in breakpoints)
    scores, index = (np.array(side) for side in zip(*points, strict=True))
    keep = np.r_[True, np.diff(scores) > 0]
    return np.interp(score, scores[keep], index[keep], left=np.nan, right=np.nan)


# ------------------------------------------------------------------ numpy beneath


def _of(reference: float | Mapping[str, float], names: Sequence[str]) -> list[float]:
    if isinstance(reference, Mapping):
        return [float(reference[n]) for n in names]
    return [float(reference)] * len(names)


def _of_players(tree: Level) -> Level:
    """The tree with each dimension that is made of indicators as one score: the players of the first stage."""
    parts = tuple(p if isinstance(p, str) or p.name == DIMENSIONS[0] else p.name for p in tree.parts)
    return Level(tree.name, tree.mean, parts, tree.weights, tree.needs)


def _shapley(tree: Level, own: list[np.ndarray], start: list[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Value of the tree at the start, and what moving each score from there adds, over all orders."""
    names, n = leaves(tree), len(own)
    weight = [factorial(size) * factorial(n - size - 1) / factorial(n) for size in range(n)]
    parts = [np.zeros(own[0].shape) for _ in own]
    origin = np.full(own[0].shape, np.nan)
    for size in range(n + 1):
        for moved in combinations(range(n), size):
            mixed = {name: own[i] if i in moved else start[i] for i, name in enumerate(names)}
            value = evaluate(tree, mixed)[tree.name]
            if not moved:
                origin = value
            for i in range(n):
                parts[i] += weight[size - 1] * value if i in moved else -weight[size] * value
    absent = [np.isnan(o) & np.isfinite(origin) for o in own]
    return origin, [np.where(a, 0.0, p) for a, p in zip(absent, parts, strict=True)]


def _shared(level: Level, contribution: np.ndarray, own: Values, start: Values) -> dict[str, np.ndarray]:
    """A dimension's contribution shared over its indicators; the shares sum to it."""
    names = [name_of(p) for p in level.parts]
    moved = []
    for name, weight in zip(names, level.weights, strict=True):
        far = into(np.maximum(own[name], 1e-9), level.mean) - into(np.maximum(start[name], 1e-9), level.mean)
        moved.append(np.where(np.isnan(own[name]), 0.0, weight * far))
    total = np.sum(moved, axis=0)
    cancels = np.abs(total) < 1e-12
    share = np.where(cancels, 0.0, contribution) / np.where(cancels, 1.0, total)
    out = {name: np.where(np.isnan(contribution), np.nan, share * m) for name, m in zip(names, moved, strict=True)}
    # What is left to an exact sum is arithmetic, of the order of 1e-16 except where the indicators nearly cancel.
    out[names[0]] = out[names[0]] + (contribution - np.sum(list(out.values()), axis=0)) * ~np.isnan(own[names[0]])
    return out


def _verified(
    own: Mapping[str, np.ndarray],
    tree: Level,
    name: str,
    computed: np.ndarray,
    number: np.ndarray,
    cuts: Sequence[float],
    up: bool,
    bounds: tuple[float, float],
) -> np.ndarray:
    """The score that does it, found by applying the one computed and those just past it; NaN where none does."""
    out = np.full(len(number), np.nan)
    lowest, highest = bounds
    side, want = (1.0, number + 1) if up else (-1.0, number - 1)
    for past in _BEYOND:
        to = computed + side * past
        inside = (to >= lowest) & (to <= highest) & ((to - own[name]) * side > 0)
        tried = np.where(inside, to, np.nan)
        does = class_number(evaluate(tree, {**own, name: tried})[tree.name], cuts) == want
        out = np.where(np.isnan(out) & inside & does, to, out)
    return out


def _empty(units: int) -> dict[str, np.ndarray]:
    numbers = ("score_from", "score_to", "change", "risk_after")
    return {"answer": np.full(units, ""), "part": np.full(units, ""), **{n: np.full(units, np.nan) for n in numbers}}
