"""Disclosure control of household counts: protect first, compute after.

A count of 1 to 4 households is suppressed, any other is rounded to the nearest 5. The rule
looks at one true count and at nothing else, so it gives the same answer for the same round
and unit in every run and every product.

Why nothing leaks. Let ``P`` be the rule applied cell by cell. ``P`` is monotone: its classes
{0}, {1..4}, {5..7}, {8..12}, ... are ordered and do not overlap.

* *Anything computed from protected cells* (totals, shares, scores, people) is a function of
  ``P(true)``. Two true tables with the same ``P`` give the same products, so products tell
  the classes and no more.
* *Nested counts* (critical, protracted, climate <= households) narrow nothing: for
  ``a <= b`` with classes A and B, monotony gives either A = B or A wholly below B. Any ``x``
  in A can stand with b = max B, any ``y`` in B with a = min A. The same holds along a chain
  (critical <= camp or critical <= households): what lies below is taken at the bottom of its
  class, what lies above at the top. A count of camps alone would be a second part of the same
  whole beside critical shelter: of 1 to 4 households in each of the three neither part can be
  4, nor the whole 1. Several chains below one whole are as one: to hold one count where one
  likes in its class, take all of its chain below it at the bottom and above it at the top, and
  all of the other chains at the bottom.
* *A split in parts* (why people left, whence they came, when) is published as running totals,
  which are a chain: climate <= climate or mixed <= ... <= households. What stands in a table
  for one part is the difference of two protected running totals (`part_between`,
  `split_by_running_totals`), so it is computed from protected cells and tells no more than
  these, and the parts add up to the protected whole. A part has no class of its own.
* *Shares of a larger whole whose own count is not published* are given in steps of 5 % of the
  running total (`shares_in_steps`), and only where its protected cells say 20 households or
  more. Then every step holds a whole number for every possible whole, in order, so no
  combination of cells is ruled out.
* *One exact national total* is one equality over the cells; when it narrows none of them is
  decided by `account_is_safe`.

Two exact totals over groups, or both halves of a split (critical and not critical), do
leak. So does hiding parts where they would: with 10 households of which 10 fled climate, the
other parts would be hidden if they are 1 to 4 and shown if they are 0, so hiding them says that
there are some, and of the 8 to 12 only 9 to 12 are left. Whether something is hidden may depend
on what is published in any case, and on nothing else; nothing here hides a part.
``tests/models/test_protection.py`` holds the attacks.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

from geodata.schema import ContractError, Status

LARGEST_SUPPRESSED = 4
BASE = 5
STAND_IN = 2.5
"""Households a suppressed cell counts as where a share or an exposure needs a number: the
middle of 1 to 4, the same for every such cell."""

CHAIN = ("critical", "camp_or_critical", "households")
"""Counts each of which is among those of the next."""

PERIODS = ("protracted", "settled", "households")
"""The same by time: displaced for long, there since the round before, all. New arrivals are all but the settled."""

REASONS = {
    "climate": "climate",
    "mixed": "climate_or_mixed",
    "unknown": "climate_at_most",
    "other": "not_conflict",
    "conflict": "households",
}
"""Reason -> households of this and of all reasons before it: the running totals of a split."""

CHAINS = (CHAIN, PERIODS, tuple(REASONS.values()))

SUBSETS = tuple(dict.fromkeys(name for chain in CHAINS for name in chain[:-1]))
"""Counts of households that are among ``households``. Their complements are never published."""

SHARE_STEP = 0.05
FEWEST_FOR_SHARES = 20
"""Households that a whole surely has where its parts are told in steps of `SHARE_STEP`: a step holds one of them."""


def protect(counts: pd.DataFrame) -> pd.DataFrame:
    """Protected counts: 0 stays 0, 1 to 4 is suppressed, the rest is rounded half up to 5.

    Parameters
    ----------
    counts : DataFrame, index pcode
        households, critical, camp_or_critical, protracted, climate and other exact counts of
        households; NaN where nothing was counted. A column ``people`` is left out: people are
        derived after protection.

    Returns
    -------
    DataFrame, same index
        Per column the value (float, households; NaN if suppressed or not counted) and
        ``<name>_status``, the word of a `Status`.

    >>> protect(pd.DataFrame({"households": [0, 3, 5, 8]}, index=list("ABCD"))).values.tolist()
    [[0.0, 'ok'], [nan, 'suppressed'], [5.0, 'ok'], [10.0, 'ok']]
    """
    exact = counts.drop(columns="people", errors="ignore").astype("float64")
    _check_counts(exact)
    protected: dict[str, npt.NDArray[np.generic]] = {}
    for name in map(str, exact.columns):
        protected[name], protected[f"{name}_status"] = _protect_cells(exact[name])
    return pd.DataFrame(protected, index=counts.index)


def part_between(protected: pd.DataFrame, below: str | None, above: str) -> pd.DataFrame:
    """A part of a split: what lies between two protected running totals, to the nearest 5, give or take 5.

    Parameters
    ----------
    protected : DataFrame
        From `protect`.
    below, above : str
        The running total without the part, None before the first, and with it.

    Returns
    -------
    DataFrame, same index
        value (float, households) and status: suppressed where the part is below 5 or may be none while there are
        others, ok and 0 where there is nobody at all.

    >>> cells = protect(pd.DataFrame({"climate": [30, 1, 0, 3], "households": [42, 60, 0, 3]}, index=list("ABCD")))
    >>> part_between(cells, "climate", "households").values.tolist()
    [[10.0, 'ok'], [60.0, 'ok'], [0.0, 'ok'], [nan, 'suppressed']]
    """
    if below is None:
        names = {above: "value", f"{above}_status": "status"}
        return protected[list(names)].rename(columns=names)
    between = stand_in(protected, above) - stand_in(protected, below)
    missing = protected[f"{below}_status"].eq("input_missing") | protected[f"{above}_status"].eq("input_missing")
    few = protected[f"{above}_status"].eq("suppressed") | ((between < BASE) & (protected[above] != 0))
    status = np.select([missing, few], [Status.input_missing.name, Status.suppressed.name], Status.ok.name)
    return pd.DataFrame({"value": to_nearest(between).where(status == Status.ok.name), "status": status})


def split_by_running_totals(parts: pd.DataFrame, whole: pd.Series) -> pd.DataFrame:
    """Protected parts of a whole, for sums and weights: differences of protected running totals.

    Parameters
    ----------
    parts : DataFrame, index pcode
        Exact households of each part (0 or more), in the order of the running total.
    whole : Series, index pcode
        Exact households; parts beyond it are cut off.

    Returns
    -------
    DataFrame, index pcode
        The parts and ``""`` for what is in none of them (float, with stand-ins, so not to be printed as counts); they
        add up to the protected whole with its stand-in.

    >>> split_by_running_totals(pd.DataFrame({"A": [3], "B": [30]}), pd.Series([42.0])).values.tolist()
    [[2.5, 32.5, 5.0]]
    """
    running = parts.cumsum(axis=1).clip(upper=whole, axis=0).assign(**{"": whole})
    protected = {name: protect(running[[name]].set_axis(["households"], axis=1)) for name in running}
    return _differences(pd.DataFrame({name: stand_in(cells) for name, cells in protected.items()}, index=parts.index))


def shares_in_steps(parts: pd.DataFrame, at_least: pd.Series) -> pd.DataFrame:
    """Shares in steps of 5 % of a whole that other protected cells tell, and no count of its own.

    Parameters
    ----------
    parts : DataFrame, index unit
        Exact households of each part, in the order of the running total.
    at_least : Series, index unit
        Households that the protected cells of the unit say there are at least.

    Returns
    -------
    DataFrame, as ``parts``
        Shares (0 to 1, adding up to 1); NaN of units with fewer than `FEWEST_FOR_SHARES` or nobody.

    >>> shares_in_steps(pd.DataFrame({"A": [30.0], "B": [13.0]}), pd.Series([38])).values.tolist()
    [[0.7, 0.3]]
    """
    whole = parts.sum(axis=1)
    running = parts.cumsum(axis=1).div(whole.where((whole > 0) & (at_least >= FEWEST_FOR_SHARES)), axis=0)
    steps = np.floor(running / SHARE_STEP + 0.5 + 1e-9)  # a share on the border of two steps belongs to the upper
    return (_differences(steps) * SHARE_STEP).round(2)


def to_nearest(values: pd.Series) -> pd.Series:
    """Sums of protected cells and stand-ins as they are printed: to the nearest 5, half up."""
    return np.floor(values / BASE + 0.5) * BASE


def people(protected: pd.DataFrame, people_per_household: float) -> pd.DataFrame:
    """People derived from protected households, so that they know no more than these do.

    Parameters
    ----------
    protected : DataFrame
        From `protect`.
    people_per_household : float > 0
        The declared factor.

    Returns
    -------
    DataFrame, index pcode
        people (float, people) and people_status.
    """
    return pd.DataFrame(
        {
            "people": protected["households"] * people_per_household,
            "people_status": protected["households_status"],
        },
        index=protected.index,
    )


def stand_in(protected: pd.DataFrame, name: str = "households") -> pd.Series:
    """Protected households with `STAND_IN` where suppressed; NaN where nothing was counted.

    Returns: Series, index pcode, households. For arithmetic alone; never printed as a count.
    """
    return protected[name].mask(protected[f"{name}_status"] == Status.suppressed.name, STAND_IN)


def share(protected: pd.DataFrame, part: str, whole: str = "households") -> pd.DataFrame:
    """Share of the households that are in ``part``, from protected cells only.

    A suppressed part counts as `STAND_IN`. A suppressed whole gives no share: of 1 to 4
    households every share says "who". Of no household there is no share.

    Returns
    -------
    DataFrame, index pcode
        <part>_share (0-1) and <part>_share_status.

    >>> cells = protect(pd.DataFrame({"households": [100, 2, 0], "critical": [3, 2, 0]}, index=list("ABC")))
    >>> share(cells, "critical").values.tolist()
    [[0.025, 'ok'], [nan, 'suppressed'], [nan, 'insufficient_data']]
    """
    households, among = protected[whole], stand_in(protected, part)
    value = (among / households.where(households > 0)).clip(upper=1.0)
    status = np.select(
        [
            protected[f"{whole}_status"] == Status.suppressed.name,
            households.isna() | among.isna(),
            households == 0,
        ],
        [Status.suppressed.name, Status.input_missing.name, Status.insufficient_data.name],
        default=Status.ok.name,
    )
    return pd.DataFrame({f"{part}_share": value, f"{part}_share_status": status}, index=protected.index)


def total_by(protected: pd.DataFrame, parent: pd.Series) -> pd.DataFrame:
    """Totals by a parent unit: sums of protected cells, and how many stay out of each sum.

    Parameters
    ----------
    protected : DataFrame
        From `protect`.
    parent : Series, index pcode
        The parent of each unit, e.g. adm1_pcode.

    Returns
    -------
    DataFrame, index parent, sorted
        Per count the sum (float, households; NaN if no unit was counted),
        ``<name>_suppressed`` and ``<name>_missing`` (int, units left out).

    >>> cells = protect(pd.DataFrame({"households": [12, 3, 40]}, index=list("ABC")))
    >>> total_by(cells, pd.Series("G1", index=list("ABC"))).values.tolist()
    [[50.0, 1.0, 0.0]]
    """
    groups = parent.reindex(protected.index)
    if groups.isna().any():
        raise ContractError(f"parent: none for {list(groups.index[groups.isna()][:5])}, expected one for each unit")
    totals = {}
    for name in _count_names(protected):
        status = protected[f"{name}_status"]
        suppressed, missing = status == Status.suppressed.name, status == Status.input_missing.name
        # Units with a few households are counted units: a governorate of these alone sums to 0
        # with its number of suppressed units beside it, not to "unknown".
        totals[name] = protected[name].mask(suppressed, 0.0).groupby(groups).sum(min_count=1)
        totals[f"{name}_suppressed"] = suppressed.groupby(groups).sum().astype("int64")
        totals[f"{name}_missing"] = missing.groupby(groups).sum().astype("int64")
    return pd.DataFrame(totals).sort_index().rename_axis(parent.name)


def interval(published: float | None) -> tuple[int, int]:
    """Smallest and largest true count behind a published cell; None or NaN is a suppressed one.

    >>> [interval(p) for p in (0, None, 5, 10, 120)]
    [(0, 0), (1, 4), (5, 7), (8, 12), (118, 122)]
    """
    if published is None or np.isnan(published):
        return 1, LARGEST_SUPPRESSED
    if published < 0 or published % BASE:
        raise ContractError(f"published: found {published}, expected a multiple of {BASE}, 0 or more")
    if published == 0:
        return 0, 0
    half = BASE // 2
    return max(int(published) - half, LARGEST_SUPPRESSED + 1), int(published) + half


def intervals(protected: pd.DataFrame, name: str = "households") -> pd.DataFrame:
    """`interval` of each counted cell. Returns: DataFrame, index pcode: low, high (int, households)."""
    counted = protected.loc[protected[f"{name}_status"] != Status.input_missing.name, name]
    bounds = [interval(value) for value in counted]
    return pd.DataFrame(bounds, index=counted.index, columns=["low", "high"], dtype="int64")


def account_is_safe(exact_total: int, protected: pd.DataFrame, name: str = "households") -> bool:
    """True if publishing this one exact total beside the protected cells narrows none of them.

    Proof. Let cell i have the interval [l_i, u_i], L and U be the sums of the l_i and u_i, and
    w the largest u_i - l_i. Given the total N, the cells besides i can make every whole number
    from L - l_i to U - u_i, so cell i can be exactly the values between
    max(l_i, N - (U - u_i)) and min(u_i, N - (L - l_i)). That is all of [l_i, u_i] for each i
    if and only if L + w <= N <= U - w. Counts nested in the cells change nothing, as each can
    be taken at the bottom of its class (module docstring). The proof is for one equality: a
    second exact total, of a group or of a nested count, needs an attack of its own.

    Parameters
    ----------
    exact_total : int, households
        Sum of the true counts of all counted units.
    protected : DataFrame
        From `protect`.
    name : str
        Which count.

    >>> account_is_safe(117, protect(pd.DataFrame({"households": [70, 45, 2]}, index=list("ABC"))))
    True
    >>> account_is_safe(120, protect(pd.DataFrame({"households": [70, 46, 4]}, index=list("ABC"))))
    False
    """
    bounds = intervals(protected, name)
    if bounds.empty:
        return exact_total == 0
    widest = int((bounds["high"] - bounds["low"]).max())
    return bool(bounds["low"].sum() + widest <= exact_total <= bounds["high"].sum() - widest)


def _protect_cells(exact: pd.Series) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.str_]]:
    counted = exact.to_numpy()
    few = (counted >= 1) & (counted <= LARGEST_SUPPRESSED)
    rounded = np.floor(counted / BASE + 0.5) * BASE
    status = np.select(
        [np.isnan(counted), few], [Status.input_missing.name, Status.suppressed.name], default=Status.ok.name
    )
    return np.where(few, np.nan, rounded), status


def _differences(running: pd.DataFrame) -> pd.DataFrame:
    """Parts of running totals."""
    return running.sub(running.shift(1, axis=1, fill_value=0.0))


def _count_names(protected: pd.DataFrame) -> list[str]:
    return [c for c in map(str, protected.columns) if f"{c}_status" in protected.columns]


def _check_counts(exact: pd.DataFrame) -> None:
    wrong = []
    if "households" not in exact.columns or not exact.index.is_unique:
        wrong.append("expected a column 'households' and unique p-codes")
    known = exact.where(exact.notna(), 0)
    if (known < 0).to_numpy().any() or (known % 1 != 0).to_numpy().any():
        wrong.append("expected whole counts of 0 or more")
    if not wrong:
        over = [c for c in SUBSETS if c in exact and (exact[c] > exact["households"]).any()]
        wrong += [f"{c} exceeds households" for c in over]
        links = (link for chain in CHAINS for link in pairwise(c for c in chain if c in exact and c != "households"))
        wrong += [f"{part} exceeds {whole}" for part, whole in links if (exact[part] > exact[whole]).any()]
    if wrong:
        raise ContractError("counts: " + "; ".join(wrong))
