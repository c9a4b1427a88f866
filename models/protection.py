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
  4, nor the whole 1.
* *One exact national total* is one equality over the cells; when it narrows none of them is
  decided by `account_is_safe`.

Two exact totals over groups, or both halves of a split (critical and not critical), do
leak; ``tests/models/test_protection.py`` holds the attacks.
"""

from __future__ import annotations

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

SUBSETS = (*CHAIN[:-1], "protracted", "climate")
"""Counts of households that are among ``households``. Their complements are never published."""


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
        part, whole = CHAIN[:-1]
        if part in exact and whole in exact and (exact[part] > exact[whole]).any():
            wrong.append(f"{part} exceeds {whole}")
    if wrong:
        raise ContractError("counts: " + "; ".join(wrong))
