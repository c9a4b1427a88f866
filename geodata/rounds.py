"""Two rounds of a list compared like with like: what changed where both looked, and what only looks like a change.

Schema of a panel (DataFrame), a row per location, key ``site_id`` (its latest): ``id_before``, ``status`` (one of
`STATUSES`), ``pcode_before`` and ``pcode_after`` (text, "" in no unit), ``households_before`` and ``households_after``
(whole, 0 where the location is not in the round; exact: for restricted use, never to be published).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from .place_names import plain_form, sound_form
from .placement import KM_PER_DEGREE
from .schema import ContractError, Status

STATUSES = ("both", "moved", "renumbered", "born", "closed", "newly_assessed", "not_assessed")
"""In both rounds at one place; at another place or in another unit; under another id; only in the later; only in the
earlier; only in the later, where the earlier did not look; only in the earlier, where the later did not look."""

PARTS = ("both", "moved_in", "moved_out", "born", "closed", "newly_assessed", "not_assessed")
"""Of the change of a unit: what is added and taken away sums to households after less before."""

WORDS = ("comparable", "relocation", "coverage_changed", "not_covered")
"""May a change be told as one of displacement? As a move from places that closed; not at all, as one round did not look
there; nothing can be told, as neither did."""

CARRIED_DAYS = 184
"""Days for which a round is carried on: six months, from the end of a month to the end of another."""

_ABSENT = {"before": ("born", "newly_assessed"), "after": ("closed", "not_assessed")}
_INFERRED_FROM = 3  # locations of a district that all come or go at once before coverage is thought to have changed


def compare_rounds(
    before: gpd.GeoDataFrame,
    after: gpd.GeoDataFrame,
    subdistricts: pd.DataFrame,
    *,
    covered_before: Iterable[str] | None = None,
    covered_after: Iterable[str] | None = None,
    moved_beyond_km: float = 5.0,
    same_place_km: float = 0.5,
) -> pd.DataFrame:
    """Each location of two rounds, and what became of it.

    Where coverage is not declared a district that has no location in one round and `_INFERRED_FROM` or more in the
    other is taken as not assessed in the one: an unseen place is not an empty one.

    Parameters
    ----------
    before, after : GeoDataFrame, EPSG:4326
        Placed rounds: ``site_id``, ``name``, ``households``, ``pcode``, geometry (point or None).
    subdistricts : DataFrame
        The subdistricts table.
    covered_before, covered_after : iterable of str, or None
        Codes of governorates, districts and subdistricts that the round assessed; None is not declared.
    moved_beyond_km : float
        A location further from where it was has moved, as has one in another unit.
    same_place_km : float
        A new id this near to one that is gone, with the same name, is the same location renumbered.

    Returns
    -------
    DataFrame, a panel

    Raises
    ------
    ContractError : a location twice in one round
    """
    for sites in (before, after):
        if sites["site_id"].duplicated().any():
            raise ContractError("rounds: a location twice in one round")
    old, new = (_table(s) for s in (before, after))
    renumbered = _renumbered(old, new, same_place_km)
    old = old.rename(index=renumbered)
    panel = old.add_suffix("_before").join(new.add_suffix("_after"), how="outer")
    for side in ("before", "after"):
        panel[f"pcode_{side}"] = panel[f"pcode_{side}"].fillna("")
    here = {side: panel[f"households_{side}"].notna() for side in ("before", "after")}
    place = panel["pcode_after"].where(here["after"], panel["pcode_before"])
    seen_before = _seen(place, here["before"], here["after"], subdistricts, covered_before)
    seen_after = _seen(place, here["after"], here["before"], subdistricts, covered_after)
    both = here["before"] & here["after"]
    moved = both & ((panel["pcode_before"] != panel["pcode_after"]) | (_km_moved(panel) > moved_beyond_km))
    chosen = [
        moved,
        both & panel.index.isin(renumbered.values()),
        both,
        here["after"] & seen_before,
        here["after"],
        seen_after,
    ]
    names = ["moved", "renumbered", "both", "born", "newly_assessed", "closed"]
    panel["status"] = np.select(chosen, names, "not_assessed")
    panel["id_before"] = pd.Series({v: k for k, v in renumbered.items()}, dtype=object).reindex(panel.index)
    panel["id_before"] = panel["id_before"].fillna(panel.index.to_series()).where(here["before"], "")
    counts = panel[["households_before", "households_after"]].fillna(0.0)
    columns = ["id_before", "status", "pcode_before", "pcode_after"]
    return panel[columns].join(counts).rename_axis("site_id").sort_index().reset_index()


def change_by_unit(panel: pd.DataFrame, units: pd.Index) -> pd.DataFrame:
    """Exact change of each unit, in parts that sum; for restricted use, never to be published.

    households_after - households_before = both + moved_in - moved_out + born - closed + newly_assessed - not_assessed.

    Parameters
    ----------
    panel : DataFrame of `compare_rounds`
    units : Index of every p-code

    Returns
    -------
    DataFrame, index ``units`` and "" for what lies in none
        ``households_before``, ``households_after`` and `PARTS`; renumbered locations count under ``both``.
    """
    every = pd.Index([*units, ""], name="pcode")
    b, a = panel["households_before"], panel["households_after"]
    stays = panel["pcode_before"] == panel["pcode_after"]
    lasting = panel["status"].isin(["both", "moved", "renumbered"])
    crossing = lasting & ~stays
    amounts = {
        "households_before": (b, "pcode_before"),
        "households_after": (a, "pcode_after"),
        "both": ((a - b).where(lasting & stays, 0.0), "pcode_after"),
        "moved_in": (a.where(crossing, 0.0), "pcode_after"),
        "moved_out": (b.where(crossing, 0.0), "pcode_before"),
        "born": (a.where(panel["status"] == "born", 0.0), "pcode_after"),
        "closed": (b.where(panel["status"] == "closed", 0.0), "pcode_before"),
        "newly_assessed": (a.where(panel["status"] == "newly_assessed", 0.0), "pcode_after"),
        "not_assessed": (b.where(panel["status"] == "not_assessed", 0.0), "pcode_before"),
    }
    sums = {
        name: values.groupby(panel[by]).sum().reindex(every, fill_value=0.0) for name, (values, by) in amounts.items()
    }
    return pd.DataFrame(sums)


def new_displacement(change: pd.DataFrame, governorate: pd.Series) -> pd.DataFrame:
    """Households newly displaced between two rounds, apart from the stock and from those who only moved on.

    Locations that closed are set against the increases of their governorate first: a camp that empties into the
    villages around displaces nobody anew. What was not assessed in either round says nothing.

    Parameters
    ----------
    change : DataFrame of `change_by_unit`
    governorate : Series, p-code -> governorate

    Returns
    -------
    DataFrame, index as ``change``
        ``increase`` (of places that both rounds looked at, 0 or more), ``relocated`` (the part that closures, decreases
        and moves of the governorate explain), ``new`` = increase - relocated. Households, exact; NaN of a unit that
        only one of the rounds looked at.
    """
    net = change["both"] + change["moved_in"] - change["moved_out"] + change["born"] - change["closed"]
    increase, decrease = net.clip(lower=0), (-net).clip(lower=0)
    of = governorate.reindex(change.index).fillna("")
    up, down = increase.groupby(of).transform("sum"), decrease.groupby(of).transform("sum")
    share = np.divide(np.minimum(up, down), up, out=np.zeros(len(up)), where=up.to_numpy() > 0)
    relocated = increase * share
    looked_at = (change[["both", "moved_in", "moved_out", "born", "closed"]] != 0).any(axis=1)
    silent = ~looked_at & (change[["newly_assessed", "not_assessed"]] != 0).any(axis=1)
    return pd.DataFrame({"increase": increase, "relocated": relocated, "new": increase - relocated}).mask(silent)


def comparability(
    panel: pd.DataFrame,
    subdistricts: pd.DataFrame,
    *,
    covered_before: Iterable[str] | None = None,
    covered_after: Iterable[str] | None = None,
) -> pd.Series:
    """Word of each unit that says what a difference between its two published counts may be called.

    Which locations came, went and moved decides, never how many households they hold: a word that told of a rise within
    one rounding step would narrow what protection leaves open. A unit without a location shares the coverage of its
    district: where neither round has a location in it, and none is declared, nobody is known to have looked.

    Parameters
    ----------
    panel : DataFrame of `compare_rounds`
    subdistricts : DataFrame
        The subdistricts table.
    covered_before, covered_after
        As of `compare_rounds`.

    Returns
    -------
    Series of one of `WORDS`, index of the subdistricts
        No counts: it may stand beside protected tables.
    """
    units, governorate = subdistricts.index, subdistricts["adm1_pcode"]
    unseen = panel["status"].isin(["newly_assessed", "not_assessed"])
    left = panel["status"].isin(["closed", "moved"])
    held = pd.Index([*panel["pcode_before"], *panel["pcode_after"]])
    partly = units.isin([*panel["pcode_before"][unseen], *panel["pcode_after"][unseen]])
    empty = ~units.isin(held)
    before = _looked_at(panel, subdistricts, covered_before, "before", "after")
    after = _looked_at(panel, subdistricts, covered_after, "after", "before")
    emptied = governorate.reindex(panel["pcode_before"][left]).dropna()
    near = governorate.isin(emptied).to_numpy() & ~empty
    chosen = [partly | (empty & (before != after)), empty & ~before, near]
    return pd.Series(
        np.select(chosen, ["coverage_changed", "not_covered", "relocation"], "comparable"), units, name="word"
    )


def published_change(before: pd.DataFrame, after: pd.DataFrame, words: pd.Series) -> pd.DataFrame:
    """Change of households told to readers: between protected counts alone, and only of what both rounds looked at.

    Parameters
    ----------
    before, after : DataFrame of `models.protection.protect`, same index
        ``households`` (NaN where suppressed) and ``households_status``.
    words : Series of `comparability`

    Returns
    -------
    DataFrame
        ``change`` (households, NaN where not told), ``change_status`` (name of a `Status`) and ``comparability``.
    """
    change = after["households"] - before["households"]
    hidden = (before["households_status"] == "suppressed") | (after["households_status"] == "suppressed")
    word = words.reindex(change.index)
    unlike = word.isin(["coverage_changed", "not_covered"])
    names = [Status.suppressed.name, Status.insufficient_data.name]
    status = np.select([hidden, unlike | change.isna()], names, Status.ok.name)
    told = change.where(status == Status.ok.name)
    return pd.DataFrame({"change": told, "change_status": status, "comparability": word})


def speaks_at(rounds: Iterable[date], end: date, days: int = CARRIED_DAYS) -> tuple[date | None, Status]:
    """The round that speaks at the end of a month, never one after it, and whether it is too old to.

    >>> speaks_at([date(2019, 2, 28), date(2019, 8, 31)], date(2020, 2, 29))
    (datetime.date(2019, 8, 31), <Status.ok: 0>)
    >>> speaks_at([date(2019, 8, 31)], date(2020, 3, 31))
    (datetime.date(2019, 8, 31), <Status.stale: 1>)
    >>> speaks_at([date(2019, 8, 31)], date(2019, 7, 31))
    (None, <Status.input_missing: 6>)
    """
    known = [day for day in rounds if day <= end]
    if not known:
        return None, Status.input_missing
    last = max(known)
    return last, Status.ok if (end - last).days <= days else Status.stale


def rounds_after(rounds: Iterable[date], issued: date) -> list[date]:
    """Rounds dated after the day of issue: nobody can have counted them yet, so the date or the clock is wrong."""
    return sorted(day for day in rounds if day > issued)


# ------------------------------------------------------------------ one location in two rounds


def _table(sites: gpd.GeoDataFrame) -> pd.DataFrame:
    columns = sites[["name", "households", "pcode"]]
    return pd.DataFrame(columns).assign(point=sites.geometry.to_numpy()).set_index(sites["site_id"].astype(str))


def _renumbered(old: pd.DataFrame, new: pd.DataFrame, within_km: float) -> dict[str, str]:
    """Old id -> new id of locations that stand where they stood under the same name; one to one, or not at all."""
    gone = old[~old.index.isin(new.index) & old["point"].notna()]
    come = new[~new.index.isin(old.index) & new["point"].notna()]
    if gone.empty or come.empty:
        return {}
    tree = shapely.STRtree(come["point"].to_numpy())
    degrees = within_km / (KM_PER_DEGREE * 0.5)  # wide enough at any latitude below 60; the distance decides
    a, b = tree.query(gone["point"].to_numpy(), predicate="dwithin", distance=degrees)
    near = _km(gone["point"].to_numpy()[a], come["point"].to_numpy()[b]) <= within_km
    pairs = pd.DataFrame({"old": gone.index[a], "new": come.index[b]})[near]
    same = [_same_name(gone.at[o, "name"], come.at[n, "name"]) for o, n in zip(pairs["old"], pairs["new"], strict=True)]
    pairs = pairs[np.array(same, dtype=bool)]
    alone = ~pairs["old"].duplicated(keep=False) & ~pairs["new"].duplicated(keep=False)
    return dict(zip(pairs["old"][alone], pairs["new"][alone], strict=True))


def _same_name(a: str, b: str) -> bool:
    return bool(plain_form(a)) and (plain_form(a) == plain_form(b) or sound_form(a) == sound_form(b))


def _seen(
    place: pd.Series, here: pd.Series, other: pd.Series, subdistricts: pd.DataFrame, covered: Iterable[str] | None
) -> pd.Series:
    """True for locations in places that a round looked at; ``here`` and ``other`` say who has a location there."""
    units = subdistricts[["adm1_pcode", "adm2_pcode"]].reindex(place.to_numpy()).set_axis(place.index)
    if covered is not None:
        codes = set(covered)
        return here | place.isin(codes) | units["adm1_pcode"].isin(codes) | units["adm2_pcode"].isin(codes)
    district = units["adm2_pcode"].fillna("")
    mine, theirs = here.groupby(district).transform("sum"), other.groupby(district).transform("sum")
    return here | (mine > 0) | (theirs < _INFERRED_FROM) | (district == "")


def _looked_at(
    panel: pd.DataFrame, subdistricts: pd.DataFrame, covered: Iterable[str] | None, side: str, other: str
) -> np.ndarray:
    """True for units that a round looked at, as `_seen` tells of locations, where they hold none themselves."""
    if covered is not None:
        codes = set(covered)
        return subdistricts.index.isin(codes) | subdistricts[["adm1_pcode", "adm2_pcode"]].isin(codes).any(axis=1)
    mine, theirs = (_locations_near(panel, subdistricts["adm2_pcode"], of) for of in (side, other))
    return (mine > 0) | ((theirs > 0) & (theirs < _INFERRED_FROM))


def _locations_near(panel: pd.DataFrame, district: pd.Series, side: str) -> np.ndarray:
    """Locations of a round in the district of each unit; one that it knows to have moved is known in both places."""
    here = panel[~panel["status"].isin(_ABSENT[side])]
    places = [here[f"pcode_{of}"].map(district).rename("district").to_frame() for of in ("before", "after")]
    known = pd.concat(places).dropna().reset_index().drop_duplicates()
    return district.map(known["district"].value_counts()).fillna(0).to_numpy()


def _km_moved(panel: pd.DataFrame) -> pd.Series:
    both = panel["point_before"].notna() & panel["point_after"].notna()
    km = pd.Series(0.0, index=panel.index)
    km[both] = _km(panel["point_before"][both].to_numpy(), panel["point_after"][both].to_numpy())
    return km


def _km(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    lat = np.radians((shapely.get_y(a) + shapely.get_y(b)) / 2)
    east = (shapely.get_x(a) - shapely.get_x(b)) * np.cos(lat)
    return KM_PER_DEGREE * np.hypot(east, shapely.get_y(a) - shapely.get_y(b))
