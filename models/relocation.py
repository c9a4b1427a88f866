"""Households that move from one subdistrict to another: bookkeeping, in which nobody is made and nobody is lost.

Everything is reckoned from protected counts: a suppressed one enters with its stand-in, so what comes
out knows no more than what was published. It is a scenario: it says what the same scores would be,
not who will move, nor that anybody should.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from geodata.schema import ContractError

KINDS = ("displaced", "return", "evacuation")
"""Displaced households go on being displaced; become residents where they arrive; residents become displaced."""

LEAVING = ("any", "camp", "critical")
"""Shelter of those who leave: as all displaced households there live, camps alone, or critical shelter alone."""

ARRIVING = ("same", "camp", "critical", "other")
"""Shelter of those who arrive; the same as where they left, unless said."""

PARTS = ("critical", "camp_or_critical", "protracted", "climate")
"""Counts among the displaced households that move with them."""

COLUMNS = ("residents", "households", *PARTS)


@dataclass(frozen=True)
class Movement:
    """Who moves, from where to where.

    Parameters
    ----------
    origin, destination : p-codes
    households : int > 0
    kind, leaving, arriving : of KINDS, LEAVING and ARRIVING
    """

    origin: str
    destination: str
    households: int
    kind: str = "displaced"
    leaving: str = "any"
    arriving: str = "same"

    def __post_init__(self) -> None:
        if self.kind not in KINDS or self.leaving not in LEAVING or self.arriving not in ARRIVING:
            raise ContractError(f"movement: {self.kind}, {self.leaving}, {self.arriving}, expected known words")
        if self.households <= 0 or self.origin == self.destination:
            raise ContractError("movement: expected one household or more, and two subdistricts")


def most_that_can_move(
    counts: pd.DataFrame, movement: Movement, *, people_per_household: float, residents_include_displaced: bool
) -> float:
    """Households that the counts of the origin let move; NaN where these are not known.

    Parameters
    ----------
    counts : DataFrame, index pcode, COLUMNS: residents (people) and displaced households as published; NaN where a
        count is suppressed or not known
    movement : Movement
    people_per_household, residents_include_displaced : as of `relocate`
    """
    own = counts.loc[movement.origin]
    if movement.kind == "evacuation":
        people = hosts(
            counts,
            people_per_household=people_per_household,
            residents_include_displaced=residents_include_displaced,
        )
        return float(np.floor(people[movement.origin] / people_per_household))
    if movement.leaving == "critical":
        return float(min(own["critical"], own["households"]))
    if movement.leaving == "camp":
        return float(max(own["camp_or_critical"] - own["critical"], 0.0))
    return float(own["households"])


def relocate(
    counts: pd.DataFrame, movement: Movement, *, people_per_household: float, residents_include_displaced: bool
) -> pd.DataFrame:
    """Counts after a movement.

    Parameters
    ----------
    counts : DataFrame, index pcode, COLUMNS
        Residents (people); displaced households and how many of them are in each part, a suppressed count with its
        stand-in, NaN where it is not known.
    movement : Movement
    people_per_household : float > 0
    residents_include_displaced : bool
        The residents are all who are there, displaced people among them.

    Returns
    -------
    DataFrame, as given: counts (1) of people and households.
        Where the displaced households of the destination were not known, those who came, and no part of them: what
        is known of the others is nothing.

    Formula
    -------
    displaced: households - N at the origin, + N at the destination; return: - N, and N x people per household residents
    more; evacuation: as many residents fewer, + N
    parts leave as they are among the households there, unless one shelter alone is left, and arrive as they left,
    unless another shelter is named

    Limits
    ------
    * From counts rounded to 5, so a few households more or less are the same.
    * Of those who stay and of those who were there nothing else changes; hazards are where they were.
    * Who is evacuated is displaced anew: neither protracted nor by climate as a list would count it.

    References
    ----------
    The project's own bookkeeping, on counts protected as of `models.protection`.
    """
    a, b, moving = movement.origin, movement.destination, float(movement.households)
    after = counts[list(COLUMNS)].astype(float).copy()
    staying = hosts(
        after, people_per_household=people_per_household, residents_include_displaced=residents_include_displaced
    )
    left = _leaving(after.loc[a], movement)
    came = _arriving(left, movement)
    if movement.kind != "evacuation":
        after.loc[a, "households"] -= moving
        after.loc[a, list(PARTS)] = (after.loc[a, list(PARTS)] - left).clip(lower=0.0)
        after.loc[a, list(PARTS)] = after.loc[a, list(PARTS)].clip(upper=after.at[a, "households"])
    else:
        staying[a] -= moving * people_per_household
    if movement.kind == "return":
        staying[b] += moving * people_per_household
    else:
        after.loc[b, list(PARTS)] += came
        after.loc[b, "households"] = np.nansum([after.at[b, "households"], moving])
    displaced = after["households"].fillna(0.0) * people_per_household
    for pcode in (a, b):
        after.loc[pcode, "residents"] = staying[pcode] + (displaced[pcode] if residents_include_displaced else 0.0)
    return after


def hosts(counts: pd.DataFrame, *, people_per_household: float, residents_include_displaced: bool) -> pd.Series:
    """Residents who are not displaced people, as of `relocate`. Returns: Series, index pcode, people."""
    residents = counts["residents"].astype(float)
    if not residents_include_displaced:
        return residents.copy()
    # More displaced people than residents stand for themselves: nobody is left, and no fewer.
    return (residents - counts["households"].fillna(0.0) * people_per_household).clip(lower=0.0)


def _leaving(own: pd.Series, movement: Movement) -> pd.Series:
    """Households among those who leave, by part."""
    n = float(movement.households)
    if movement.kind == "evacuation":
        return pd.Series(dict.fromkeys(PARTS, 0.0))
    left = own[list(PARTS)] * (n / own["households"])
    if movement.leaving == "critical":
        left[["critical", "camp_or_critical"]] = n
    elif movement.leaving == "camp":
        left[["critical", "camp_or_critical"]] = [0.0, n]
    return left


def _arriving(left: pd.Series, movement: Movement) -> pd.Series:
    """Households among those who arrive, by part."""
    n, came = float(movement.households), left.copy()
    if movement.arriving != "same":
        shelter = {"critical": [n, n], "camp": [0.0, n], "other": [0.0, 0.0]}
        came[["critical", "camp_or_critical"]] = shelter[movement.arriving]
    return came
