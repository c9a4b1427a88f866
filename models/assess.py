"""Scores of every level of the tree on the cube, each with why it stands, or why it does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce

import numpy as np
import xarray as xr

from geodata.schema import Status, has_status, status_attrs
from models.composite import Level, evaluate, leaves, levels, name_of
from models.risk import CUTS, DIMENSIONS, class_number
from models.scoring import cautious_status
from models.weak_risk import BASES, RANGE, class_of_range

LONG_NAMES: Mapping[str, str] = {
    "hazard": "hazard, all assessed together (0-10)",
    "hazard_and_exposure": "hazard and exposure (0-10)",
    "vulnerability": "vulnerability (0-10)",
    "lack_of_coping": "lack of coping capacity (0-10)",
    "risk": "risk (0-10)",
}


def assess(scores: xr.Dataset, tree: Level) -> xr.Dataset:
    """Every level of the tree: risk, its dimensions, and what these are made of.

    A dimension that no unit has does not belong in the tree: it is left out for all of them, and every title names
    it. A unit that lacks a dimension others have gets no score here (`models.weak_risk` says its range).

    Parameters
    ----------
    scores : Dataset (time, pcode)
        Every score of the tree, 0-10, each with ``<name>_status``.
    tree : Level

    Returns
    -------
    Dataset (time, pcode)
        Each level, 0-10, unrounded, with ``<name>_status``: the most cautious of the parts it rests on; where it has
        no value exposure_unknown if that is why, suppressed if that is why nothing is known, else insufficient_data.
        Attributes ``dimensions`` and ``dimensions_missing``.

    References
    ----------
    INFORM: arithmetic mean within a component, geometric mean of the dimensions; means and rule for what is missing
    of `models.composite`.
    """
    names = leaves(tree)
    template = scores[names[0]]
    found = evaluate(tree, {n: scores[n].transpose(*template.dims).values for n in names})
    out: dict[str, xr.DataArray] = {n: scores[n] for n in names} | {f"{n}_status": scores[f"{n}_status"] for n in names}
    told: dict[str, xr.DataArray] = {}
    for level in reversed(levels(tree)):  # parts before their wholes
        value = template.copy(data=found[level.name]).drop_attrs()
        parts = [name_of(p) for p in level.parts]
        flags, known = [out[f"{p}_status"] for p in parts], [out[p] for p in parts]
        told[level.name] = value.assign_attrs(units="1", long_name=LONG_NAMES.get(level.name, level.name))
        told[f"{level.name}_status"] = _status(value, flags, known)
        out |= told
    dimensions = [name_of(p) for p in tree.parts]
    missing = [d for d in DIMENSIONS if d not in dimensions]
    return xr.Dataset(told, attrs={"dimensions": " ".join(dimensions), "dimensions_missing": " ".join(missing)})


def printed_class(
    risk: np.ndarray, low: np.ndarray, high: np.ndarray, basis: Sequence[str], cuts: Sequence[float] = CUTS
) -> np.ndarray:
    """Number of the class to print: that of the score, or of a range only where the whole range lies in it; else -1.

    Parameters
    ----------
    risk, low, high : arrays (unit), 0-10, NaN where nothing is said
    basis : of each unit one of ``models.weak_risk.BASES``
    cuts : lower bounds of the classes above the first

    >>> printed_class(np.array([5.0, np.nan, np.nan]), np.array([4.0, 4.1, 3.0]), np.array([6.0, 5.0, 5.0]),
    ...               ["score", "range", "range"]).tolist()
    [2, 2, -1]
    """
    ranged = np.asarray(basis, dtype=object) == BASES[RANGE]
    return np.where(ranged, class_of_range(low, high, cuts), class_number(risk, cuts)).astype("int8")


def _status(value: xr.DataArray, flags: Sequence[xr.DataArray], parts: Sequence[xr.DataArray]) -> xr.DataArray:
    """The most cautious flag of the known parts where there is a score; otherwise why there is none."""
    unknown = reduce(lambda a, b: a | b, [has_status(f, {Status.exposure_unknown}) for f in flags])
    nothing = reduce(lambda a, b: a & b, [v.isnull() for v in parts])
    hidden = nothing & reduce(lambda a, b: a | b, [has_status(f, {Status.suppressed}) for f in flags])
    why = xr.where(hidden, np.int8(Status.suppressed), np.int8(Status.insufficient_data))
    why = xr.where(unknown, np.int8(Status.exposure_unknown), why)
    merged = xr.where(value.notnull(), cautious_status(flags, parts), why).astype("int8")
    return merged.transpose(*value.dims).assign_attrs(status_attrs())
