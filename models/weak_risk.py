"""Risk of a unit that lacks one dimension: a range, never a single number that was made up.

Nobody displaced was recorded, or the counts are too few to tell: what the dimension would be
there is not known. It is neither 0 nor the mean. So the risk is said as the range it has while
the dimension goes through the middle of what the country shows.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.composite import Level, Values, evaluate, name_of, weighted_mean
from models.risk import CUTS, DIMENSIONS, class_number

MAY_LACK = DIMENSIONS[1:]
"""Dimensions whose absence leaves a range. Without hazard or exposure nothing is said: unknown never looks safe."""

MIDDLE = (0.1, 0.9)
"""Quantiles of the country between which a dimension that is lacking is taken to lie."""

MIN_UNITS = 10
"""Fewest units that must have a dimension for its quantiles to speak for another unit."""

NONE, SCORE, RANGE = 0, 1, 2
BASES = ("none", "score", "range")
"""What the ends of a risk rest on: nothing, a score, or a range because one dimension is lacking."""


@dataclass(frozen=True)
class RiskSpan:
    """Ends of the risk, and what they rest on.

    Parameters
    ----------
    low, high : arrays (..., unit), 0-10; both the risk itself where there is one, NaN where nothing is said
    basis : int8 array (..., unit), place in BASES
    lacking : int8 array (..., unit), place of the dimension lacking among the parts of the tree; -1 where none is
    """

    low: np.ndarray
    high: np.ndarray
    basis: np.ndarray
    lacking: np.ndarray


def risk_span(
    values: Values,
    tree: Level,
    *,
    may_lack: Sequence[str] = MAY_LACK,
    quantiles: tuple[float, float] = MIDDLE,
    min_units: int = MIN_UNITS,
) -> RiskSpan:
    """Risk of each unit as a range where one dimension is lacking.

    Parameters
    ----------
    values : score name -> array (..., unit), 0-10
    tree : Level, whose parts are the dimensions
    may_lack : names of dimensions
    quantiles : lower and upper, of the units that have the dimension
    min_units : int

    Returns
    -------
    RiskSpan
        ``low``, ``high`` (1, 0-10), ``basis`` (place in BASES), ``lacking`` (of the dimension); arrays (..., unit).

    Formula
    -------
    low, high = risk with the lacking dimension at its 10th and 90th percentile over the units that have it

    Limits
    ------
    * Units that have the dimension need not be like the one that lacks it: where nobody was recorded
      people may live better than in nine of ten places with camps.
    * Two dimensions lacking, or hazard and exposure, leave nothing.
    * The range tells of the dimension alone; errors of the others come on top (`models.confidence`).

    References
    ----------
    The project's own rule; percentiles by linear interpolation (type 7 of Hyndman and Fan 1996).
    """
    known = evaluate(tree, values)
    dims = [np.asarray(values[p] if isinstance(p, str) else known[p.name], dtype=float) for p in tree.parts]
    low, high = (known[tree.name].copy() for _ in MIDDLE)
    basis = np.isfinite(low).astype("int8")
    lacking = lacking_dimension(dims, [name_of(p) for p in tree.parts], known[tree.name], may_lack, min_units)
    for number, own in enumerate(dims):
        here = lacking == number
        if not here.any():
            continue
        with warnings.catch_warnings():  # where no unit has the dimension there is no quantile of it
            warnings.simplefilter("ignore", RuntimeWarning)
            ends = np.nanquantile(own, quantiles, axis=-1)
        for end, at in zip((low, high), ends, strict=True):
            filled = [np.where(here, at[..., None], d) if i == number else d for i, d in enumerate(dims)]
            end[here] = weighted_mean(filled, tree.weights, tree.mean, tree.needs)[here]
        basis[here] = RANGE
    return RiskSpan(low, high, basis, lacking)


def lacking_dimension(
    dims: Sequence[np.ndarray], names: Sequence[str], risk: np.ndarray, may_lack: Sequence[str], min_units: int
) -> np.ndarray:
    """Place of the only dimension a unit lacks, -1 where it lacks none, another, or more than one.

    Parameters
    ----------
    dims : arrays (..., unit) of each dimension
    names : of the dimensions
    risk : array (..., unit); a unit that has one lacks nothing
    may_lack, min_units : as of `risk_span`
    """
    absent = np.stack([np.isnan(d) for d in dims])
    spoken = (~absent).sum(axis=-1, keepdims=True) >= min_units
    may = np.array([n in may_lack for n in names]).reshape(-1, *[1] * np.ndim(risk))
    one = (absent.sum(axis=0) == 1) & np.isnan(risk) & (absent & spoken & may).any(axis=0)
    return np.where(one, np.argmax(absent, axis=0), -1).astype("int8")


def class_of_range(low: np.ndarray, high: np.ndarray, cuts: Sequence[float] = CUTS) -> np.ndarray:
    """Number of the class that holds the whole range, -1 where it crosses a cut or there is none.

    A cut belongs to the class above it, for both ends: a range that ends on a cut crosses it.

    >>> class_of_range(np.array([4.0, 3.9, np.nan, 4.5]), np.array([5.9, 4.1, np.nan, 6.0]))
    array([ 2, -1, -1, -1], dtype=int8)
    """
    first, last = (class_number(end, cuts) for end in (low, high))
    return np.where(first == last, first, -1).astype("int8")
