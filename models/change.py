"""Change since an earlier run, split by what brought it: the world, the data, the method, the weights, the boundaries.

A place is worse when its figures are worse, said the same way. So the earlier run is brought step by
step onto the footing of the later one, and what is left is real. The steps are taken in a declared
order and telescope: they sum to the whole difference, and a step that changes nothing is exactly 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pandas as pd

from geodata.schema import ContractError
from models.composite import Level, evaluate, leaves, levels, name_of

FACTORS = ("boundary", "data_vintage", "method", "weights", "real")
"""In the order in which the earlier run is brought onto the footing of the later one; what is left is real."""

VERDICTS = ("worse", "better", "no real change", "not comparable")
SAME = 0.05
"""Score points: a real change smaller than half of the printed decimal is none."""

Scale = Callable[[np.ndarray], np.ndarray]
"""From the value of an index or indicator to its score 0-10."""


@dataclass(frozen=True)
class Basis:
    """All that a run's risk is made from.

    Parameters
    ----------
    as_of : "YYYY-MM"
    values : DataFrame, index pcode, a column per score of the tree: value of its index or indicator, NaN where unknown
    tree : Level, the means and weights
    scales : score name -> Scale; a score that is not named is a score already
    """

    as_of: str
    values: pd.DataFrame
    tree: Level
    scales: Mapping[str, Scale] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if absent := [n for n in leaves(self.tree) if n not in self.values]:
            raise ContractError(f"change: {self.as_of} has no values of {absent}")
        if not self.values.index.is_unique:
            raise ContractError(f"change: {self.as_of} has units that stand twice, expected unique p-codes")


def split_change(
    earlier: Basis,
    later: Basis,
    *,
    moved: pd.DataFrame | None = None,
    restated: pd.DataFrame | None = None,
    remade: pd.DataFrame | None = None,
    crosswalk: pd.DataFrame | None = None,
    same_data: bool = False,
) -> pd.DataFrame:
    """Difference of the risk between two runs, split into FACTORS.

    Parameters
    ----------
    earlier, later : Basis
    moved : DataFrame, index pcode of the later run
        Values of the earlier month on the later units, by the earlier files and method, where they are known better
        than as means over the crosswalk; these means unless given.
    restated : DataFrame, index pcode of the later run
        Values of the earlier month as the later files tell them, by the earlier method; those of the earlier run
        unless given, or, of the same month, those of the later run unless ``same_data``.
    remade : DataFrame, index pcode of the later run
        Values of the earlier month from the later files by the later method (what the cube of the later run holds);
        as ``restated`` unless given, or, of the same month, those of the later run.
    crosswalk : DataFrame, index pcode of the later run, columns p-codes of the earlier one
        Share of the later unit that each earlier unit makes up; rows sum to 1. Units of the same code are the same
        place unless given; a code that is new has no earlier risk.
    same_data : the files of both runs are the same ones

    Returns
    -------
    DataFrame, index pcode of the later run
        ``risk_before`` (1, 0-10; the earlier run's, on the later units), ``risk_after``, ``change``,
        ``change_<factor>`` of each of FACTORS, which sum to ``change`` (NaN where one of the steps has no risk),
        ``verdict`` one of VERDICTS.

    Formula
    -------
    S0 earlier risk carried to the later units; S1 risk of the earlier values carried there; S2 of the restated values;
    S3 of the remade values on the later scales and means; S4 with the later weights; S5 of the later values
    boundary = S1 - S0, data vintage = (S2 - S1) + (S6 - S5), method = S3 - S2, weights = S4 - S3, real = S5 - S4
    S2 to S5 from what is known in both months; S6 = later risk, from all that is known

    Limits
    ------
    * Sequential, in the order of FACTORS: another order would share joint effects otherwise. Real change is measured
      on the later run's footing, as INFORM restates earlier years when its method changes.
    * An indicator that appears or goes silent is no real change: what it moves is counted to the data.
    * With new files and a new way to compute an index, and no ``restated``, both are counted to the method.

    References
    ----------
    Sequential (path) decomposition; INFORM's rule to apply a change of method to earlier years.
    """
    _check(earlier, later, {"moved": moved, "restated": restated, "remade": remade}, crosswalk)
    same_month = earlier.as_of == later.as_of
    own = carried(earlier.values, later.values.index, crosswalk) if moved is None else moved
    if restated is None:
        restated = later.values if same_month and not same_data else own
    if remade is None:
        remade = later.values if same_month else restated
    own, restated = (_with(t, earlier.tree, later.values.index) for t in (own, restated))
    remade = _with(remade, later.tree, later.values.index)
    blended = _with_weights(later.tree, earlier.tree)
    seen = _known_in(restated, later.values)
    both = _known_in(remade, later.values)
    whole = _risk(later.values, later.tree, later.scales)
    steps = [
        carried(_risk(earlier.values, earlier.tree, earlier.scales).to_frame("risk"), whole.index, crosswalk)["risk"],
        _risk(own, earlier.tree, earlier.scales),
        _risk(seen, earlier.tree, earlier.scales),
        _risk(both, blended, later.scales),
        _risk(both, later.tree, later.scales),
        _risk(_known_in(later.values, both), later.tree, later.scales),
    ]
    moves = dict(zip(FACTORS, (b - a for a, b in pairwise(steps)), strict=True))
    moves["data_vintage"] = moves["data_vintage"] + (whole - steps[-1])
    return _table(steps[0], whole, moves)


def crosswalk_faults(crosswalk: pd.DataFrame) -> str:
    """What is wrong with a crosswalk; "" if nothing."""
    shares = crosswalk.to_numpy(dtype=float)
    if not np.isfinite(shares).all() or (shares < 0).any():
        return "shares below 0 or not known, expected 0 to 1"
    off = crosswalk.index[np.abs(shares.sum(axis=1) - 1.0) > 1e-6]
    return f"shares of {list(off[:5])} do not sum to 1" if len(off) else ""


def carried(values: pd.DataFrame, units: pd.Index, crosswalk: pd.DataFrame | None = None) -> pd.DataFrame:
    """Values on the later units: a unit made of several has their mean, and none where one of these has none.

    Parameters
    ----------
    values : DataFrame, index pcode of the earlier run
    units : p-codes of the later one
    crosswalk : as of `split_change`; a unit without a row has no value
    """
    if crosswalk is None:
        return values.reindex(units)
    shares = crosswalk.reindex(index=units).to_numpy(dtype=float)
    own = values.reindex(crosswalk.columns).to_numpy(dtype=float)
    lost = (shares[:, :, None] > 0) & np.isnan(own)[None, :, :]
    mean = shares @ np.nan_to_num(own)
    known = np.where(lost.any(axis=1) | np.isnan(shares).any(axis=1)[:, None], np.nan, mean)
    return pd.DataFrame(known, index=units, columns=values.columns)


# ------------------------------------------------------------------ beneath


def _table(before: pd.Series, after: pd.Series, moves: Mapping[str, pd.Series]) -> pd.DataFrame:
    out = pd.DataFrame({"risk_before": before, "risk_after": after, "change": after - before})
    for factor in FACTORS:
        out[f"change_{factor}"] = moves[factor]
    comparable = out[[f"change_{f}" for f in FACTORS]].notna().all(axis=1)
    out.loc[~comparable, [f"change_{f}" for f in FACTORS]] = np.nan
    real = out["change_real"]
    out["verdict"] = np.select([~comparable, real >= SAME, real <= -SAME], [VERDICTS[3], *VERDICTS[:2]], VERDICTS[2])
    return out


def _risk(values: pd.DataFrame, tree: Level, scales: Mapping[str, Scale]) -> pd.Series:
    scores = {}
    for name in leaves(tree):
        own = values[name].to_numpy(dtype=float)
        scores[name] = np.where(np.isnan(own), np.nan, scales[name](own) if name in scales else own)
    return pd.Series(evaluate(tree, scores)[tree.name], index=values.index)


def _with(values: pd.DataFrame, tree: Level, units: pd.Index) -> pd.DataFrame:
    """The table with every score of the tree; NaN where it says nothing of one."""
    return values.reindex(index=units, columns=list(dict.fromkeys([*values.columns, *leaves(tree)])))


def _known_in(values: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """Values of what is known in both tables; what the other has no column for stays."""
    there = other.reindex(index=values.index, columns=values.columns).notna()
    return values.where(there | ~values.columns.isin(other.columns)[None, :])


def _with_weights(tree: Level, donor: Level) -> Level:
    """The tree with the weights of another one, on each level that has the same parts in both."""
    given = {
        level.name: {name_of(p): w for p, w in zip(level.parts, level.weights, strict=True)} for level in levels(donor)
    }
    own = {name_of(p): w for p, w in zip(tree.parts, tree.weights, strict=True)}
    weights = given.get(tree.name, own)
    weights = weights if set(weights) == set(own) else own
    parts = tuple(p if isinstance(p, str) else _with_weights(p, donor) for p in tree.parts)
    return Level(tree.name, tree.mean, parts, tuple(weights[name_of(p)] for p in parts), tree.needs)


def _check(
    earlier: Basis,
    later: Basis,
    tables: Mapping[str, pd.DataFrame | None],
    crosswalk: pd.DataFrame | None,
) -> None:
    wrong = []
    if later.as_of < earlier.as_of:
        wrong.append(f"later run of {later.as_of}, expected not before {earlier.as_of}")
    for name, table in tables.items():
        if table is not None and not table.index.is_unique:
            wrong.append(f"{name} has units that stand twice")
    if crosswalk is not None and (found := crosswalk_faults(crosswalk)):
        wrong.append(f"crosswalk: {found}")
    if wrong:
        raise ContractError("change: " + "; ".join(wrong))
