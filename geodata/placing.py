"""Where a location belongs: its p-code if the point agrees, else the point, else its name, else an analyst's word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from pydantic import Field

from .name_ladder import MIN_LEAD, MIN_SCORE, NO_NAME, Match, NameLadder, ladder_of
from .options import DataPath, Options
from .placement import KM_PER_DEGREE, unit_probabilities
from .review import NOWHERE, Key, Question
from .schema import Findings
from .sheets import listed

PLACED_BY = ("pcode", "point", "name", "decision", "")
"""What decided on the unit of a location; "" where nothing could."""

PARTS = (
    ("critical", "camp_or_critical"),
    ("protracted", "settled"),
    ("climate", "climate_at_most", "not_conflict"),
    ("arrived_since",),
)
"""Chains of counts among the households, each a part of the next and all of the households."""

_UNSURE_STEPS = ("kurdish", "fuzzy")  # not enough for a village that may merely sound like a subdistrict


class Placing(Options):
    """How locations find their subdistrict.

    Parameters
    ----------
    pcode_tolerance_km : float
        By which a point may lie outside the unit of its p-code before the point is believed instead.
    coordinate_error_km : float
        Standard deviation of the coordinates to the east and to the north; households near a border are then shared
        by the chance of each side. 1 for a village, 3 for a place given the middle of its district; 0 is exact.
    aliases : dict
        Their name -> name or p-code of ours, for governorates, districts and subdistricts.
    alternates : dict
        P-code -> further names of the unit.
    min_score, min_lead : float
        Below the score, or with less lead over the next unit, a name goes to the review file.
    review : str or None
        The review file with an analyst's decisions, relative to the data folder.
    """

    pcode_tolerance_km: float = Field(default=2.0, ge=0)
    coordinate_error_km: float = Field(default=0.0, ge=0, le=50)
    aliases: dict[str, str] = Field(default_factory=dict)
    alternates: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    min_score: float = Field(default=MIN_SCORE, gt=0, le=1)
    min_lead: float = Field(default=MIN_LEAD, gt=0, le=1)
    review: DataPath | None = None


class Placed(NamedTuple):
    """Locations with their unit, and the names nobody has decided on."""

    sites: gpd.GeoDataFrame
    questions: list[Question]


@dataclass(frozen=True)
class Ladders:
    """Ladders to the governorates, districts and subdistricts of one country."""

    adm1: NameLadder
    adm2: NameLadder
    adm3: NameLadder

    @classmethod
    def of(cls, subdistricts: pd.DataFrame, options: Placing, log: Findings) -> Ladders:
        """Ladders with the aliases and alternates of the country file; aliases that lead nowhere are errors."""
        alternates: Mapping[str, tuple[str, ...]] = options.alternates
        limits = {"min_score": options.min_score, "min_lead": options.min_lead}
        found = cls(
            *(ladder_of(subdistricts, n, aliases=options.aliases, alternates=alternates, **limits) for n in (1, 2, 3))
        )
        lost = [ladder.unknown_aliases() for ladder in (found.adm1, found.adm2, found.adm3)]
        for theirs in sorted(lost[0].keys() & lost[1].keys() & lost[2].keys()):
            log.error(
                file="country file",
                field=f"placing.aliases.{theirs}",
                found=repr(lost[0][theirs]),
                expected="one unit of the boundary file",
            )
        return found


def units_at(points: gpd.GeoSeries, subdistricts: gpd.GeoDataFrame) -> pd.Series:
    """P-code of the unit each point lies in; on a border the first of the two, so that it counts once.

    Parameters
    ----------
    points : GeoSeries, EPSG:4326, may hold None
    subdistricts : GeoDataFrame, index pcode, EPSG:4326

    Returns
    -------
    Series of str, None outside and without a point; index as given
    """
    here = points.notna()
    point, polygon = subdistricts.geometry.sindex.query(points[here], predicate="intersects")
    hits = pd.DataFrame({"row": points.index[here][point], "pcode": subdistricts.index.to_numpy()[polygon]})
    first = hits.groupby("row")["pcode"].min().astype(object)
    return first.reindex(points.index).where(lambda p: p.notna(), None)


def place_sites(
    sites: gpd.GeoDataFrame,
    subdistricts: gpd.GeoDataFrame,
    options: Placing,
    log: Findings,
    *,
    file: str,
    decisions: Mapping[Key, str] | None = None,
) -> Placed:
    """Locations with the subdistrict they belong to, and how that was found.

    Parameters
    ----------
    sites : GeoDataFrame, EPSG:4326
        ``site_id``, geometry (point or None) and, where the list has them, ``given_pcode``, ``governorate``,
        ``district``, ``subdistrict``, ``name``, ``name_ar`` (str, "" if unknown).
    subdistricts : GeoDataFrame
        The subdistricts table.
    options : Placing
    log : Findings
        Told of p-codes that are unknown or contradict their point, and of what names decided, by id and name.
    file : str
        Name of the list in findings.
    decisions : mapping of `review.read_review`

    Returns
    -------
    Placed
        ``sites`` with ``pcode`` (str, None where undecided), ``placed_by`` (one of `PLACED_BY`) and ``place_score``
        (1 but for names; NaN where undecided), same rows and order; and the open questions.
    """
    at_point = units_at(sites.geometry, subdistricts)
    pcode, by = at_point.copy(), pd.Series(np.where(at_point.notna(), "point", ""), index=sites.index, dtype=object)
    if "given_pcode" in sites:
        agreed = _agreed_pcodes(sites, at_point, subdistricts, options, log, file)
        pcode[agreed], by[agreed] = sites["given_pcode"][agreed], "pcode"
    score = pd.Series(1.0, index=sites.index).where(by != "", np.nan)
    open_rows = sites[by == ""]
    questions = []
    answers = _by_name(open_rows, Ladders.of(subdistricts, options, log)) if len(open_rows) else []
    for row, (name, within, match) in zip(open_rows.index, answers, strict=True):
        if match.code:
            pcode[row], by[row], score[row] = match.code, "name", match.score
            continue
        question = Question(log.source, str(open_rows.at[row, "site_id"]), name, within, match)
        decision = (decisions or {}).get(question.key, "")
        if not decision:
            questions.append(question)
        elif decision != NOWHERE:
            pcode[row], by[row], score[row] = decision, "decision", 1.0
        else:
            by[row] = "decision"
    placed = sites.assign(pcode=pcode.astype(object), placed_by=by, place_score=score)
    _tell_of_names(placed, subdistricts, log, file)
    return Placed(placed, questions)


def refuse_strays(placed: gpd.GeoDataFrame, log: Findings, *, file: str, max_stray_share: float) -> None:
    """An error if more of the points lie in no unit than can be mistakes: the boundaries are another country's, or the
    coordinates are. Locations are named by id and name.

    Parameters
    ----------
    placed : GeoDataFrame of `place_sites`
    log : Findings
    file : str
    max_stray_share : float, 0 to 1
    """
    outside = placed.geometry.notna() & ~placed["placed_by"].isin(["point", "pcode"])
    if not outside.any():
        return
    found = f"{int(outside.sum())} of {len(placed)} locations outside every polygon: {_named(placed[outside])}"
    if outside.sum() > max_stray_share * len(placed):
        log.error(file=file, field="coordinates", found=found, expected=f"at most {max_stray_share:.0%} outside")
    else:
        action = "placed by name or by decision, or counted in no subdistrict"
        log.warning(file=file, field="coordinates", found=found, expected="points in a subdistrict", action=action)


def share_by_error(
    sites: gpd.GeoDataFrame, subdistricts: gpd.GeoDataFrame, sigma_km: float, *, draws: int = 1024, seed: int = 0
) -> gpd.GeoDataFrame:
    """Locations with their households shared among the units they may lie in, if coordinates have a normal error.

    Only what a point decided is shared; people live in the country, so the chance of lying outside it goes to the
    units in proportion. Shares are whole households (largest remainder) and add up at every location; parts of the
    households (critical shelter ...) are shared like them and stay parts.

    Parameters
    ----------
    sites : GeoDataFrame of `place_sites`
    subdistricts : GeoDataFrame
    sigma_km : float, km
    draws : int, a power of 2
    seed : int

    Returns
    -------
    GeoDataFrame
        As ``sites``, a row per location and unit that has at least one household of it (or the location's own unit),
        ordered by location and p-code.
    """
    shared = (sites["placed_by"] == "point") & (sigma_km > 0)
    if not shared.any():
        return sites
    chance = unit_probabilities(sites.geometry[shared], subdistricts, sigma_km, draws=draws, seed=seed)
    chance = chance[chance["pcode"] != ""]
    several = chance[chance.groupby("point")["pcode"].transform("size") > 1].sort_values(["point", "pcode"])
    if several.empty:
        return sites
    pieces = _split(sites.loc[several["point"]].assign(at=sites["pcode"], pcode=several["pcode"].to_numpy()), several)
    whole = sites[~sites.index.isin(several["point"])]
    return gpd.GeoDataFrame(pd.concat([whole, pieces]).sort_index(kind="stable"), crs=sites.crs).reset_index(drop=True)


def whole_shares(totals: np.ndarray, weights: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Totals split into whole numbers in proportion to weights, adding up exactly (largest remainder; ties: the first).

    No part exceeds its weight where weights are whole and sum to at least the total.

    Parameters
    ----------
    totals : array (n,), whole, the same within a group, or NaN
    weights : array (n,) >= 0, of which one in each group is above 0 unless its total is 0
    group : array (n,) of int >= 0

    Returns
    -------
    array (n,), NaN where the total is

    >>> whole_shares(np.full(3, 10.0), np.array([0.55, 0.33, 0.12]), np.zeros(3, int)).tolist()
    [6.0, 3.0, 1.0]
    """
    base = np.bincount(group, weights)[group]
    quota = totals * np.divide(weights, base, out=np.zeros(len(weights)), where=base > 0)
    parts = np.floor(quota + 1e-9)
    left = totals - np.bincount(group, parts)[group]
    order = np.lexsort((np.arange(len(group)), -(quota - parts), group))
    first = np.searchsorted(group[order], group[order])
    rank = np.empty(len(group), dtype="int64")
    rank[order] = np.arange(len(group)) - first
    return np.where(np.isnan(totals), np.nan, parts + (rank < np.round(left)))


# ------------------------------------------------------------------ p-codes and points


def _agreed_pcodes(
    sites: gpd.GeoDataFrame,
    at_point: pd.Series,
    subdistricts: gpd.GeoDataFrame,
    options: Placing,
    log: Findings,
    file: str,
) -> pd.Series:
    """True where the p-code given is one of ours and the point, if there is one, lies in its unit or near it."""
    given = sites["given_pcode"].fillna("")
    known = given.isin(subdistricts.index)
    if (unknown := (given != "") & ~known).any():
        found = f"p-codes the boundaries do not have, at {_named(sites[unknown])}"
        action = "placed by point or name"
        log.warning(file=file, field="p-code", found=found, expected="p-codes of the boundary file", action=action)
    agreed = known.copy()
    elsewhere = known & sites.geometry.notna() & (at_point != given)
    km = _km_apart(sites.geometry[elsewhere], subdistricts.geometry.reindex(given[elsewhere]))
    agreed[elsewhere] = km <= options.pcode_tolerance_km
    if (against := known & ~agreed).any():
        found = f"p-codes more than {options.pcode_tolerance_km:g} km from the point, at {_named(sites[against])}"
        log.warning(
            file=file, field="p-code", found=found, expected="a p-code and a point that agree", action="by point"
        )
    return agreed


def _km_apart(points: gpd.GeoSeries, shapes: gpd.GeoSeries) -> np.ndarray:
    """Distance of each point to its shape, km: exact nearby, where it decides, and rough far away.

    Mercator keeps angles, so near a point its plane is the ground, drawn larger by 1 / cos(latitude).
    """
    flat = [shapely.transform(g.to_numpy(), _mercator) for g in (points, shapes)]
    return KM_PER_DEGREE * np.cos(np.radians(points.y.to_numpy())) * shapely.distance(*flat)


def _mercator(degrees: np.ndarray) -> np.ndarray:
    lon, lat = degrees.T
    return np.column_stack([lon, np.degrees(np.arcsinh(np.tan(np.radians(lat))))])


# ------------------------------------------------------------------ names


def _by_name(sites: pd.DataFrame, ladders: Ladders) -> list[tuple[str, str, Match]]:
    """(name asked for, units above as given, match) of each row."""
    texts = {c: sites[c].fillna("") if c in sites else pd.Series("", index=sites.index) for c in _TEXTS}
    above = ladders.adm1.climb_all(texts["governorate"])
    district = ladders.adm2.climb_all(texts["district"], [pd.Series([m.code for m in above], index=sites.index)])
    out = []
    for row, adm1, adm2 in zip(sites.index, above, district, strict=True):
        given = {c: texts[c][row] for c in _TEXTS}
        within = ", ".join(filter(None, (given["district"], given["governorate"])))
        name = given["subdistrict"] or given["name"] or given["name_ar"]
        out.append((name, within, _match(given, adm1, adm2, ladders.adm3)))
    return out


_TEXTS = ("governorate", "district", "subdistrict", "name", "name_ar")


def _match(given: Mapping[str, str], adm1: Match, adm2: Match, ladder: NameLadder) -> Match:
    within = [adm1.code, adm2.code]
    found = ladder.climb(given["subdistrict"], within)
    if not given["subdistrict"]:
        found = _agreeing([ladder.climb(given[c], within) for c in ("name", "name_ar") if given[c]])
        if found.step in _UNSURE_STEPS:
            found = Match("", "", found.score, "a place that only sounds like a subdistrict", found.candidates)
    lost = [c for c, m in (("governorate", adm1), ("district", adm2)) if given[c] and not m.code]
    if found.code and lost:
        # Without the unit above a name may be that of its namesake elsewhere.
        return Match("", "", found.score, f"{lost[0]} not recognised", found.candidates)
    return found


def _agreeing(matches: list[Match]) -> Match:
    """One match of the names of one place in two scripts; none if they name two units."""
    placed = [m for m in matches if m.code]
    if len({m.code for m in placed}) > 1:
        candidates = {c.code: c for m in placed for c in m.candidates}
        return Match("", "", max(m.score for m in placed), "ambiguous", tuple(candidates.values()))
    return max(placed or matches, key=lambda m: m.score, default=NO_NAME)


def _tell_of_names(placed: gpd.GeoDataFrame, subdistricts: pd.DataFrame, log: Findings, file: str) -> None:
    named = placed[placed["placed_by"] == "name"]
    if len(named):
        to = subdistricts["name_en"].reindex(named["pcode"]).fillna("")
        told = (f"{i} in {n} ({s:.2f})" for i, n, s in zip(named["site_id"], to, named["place_score"], strict=True))
        found = f"{len(named)} locations without a point in the country: {listed(told)}"
        log.add("note", file=file, field="names", found=found, expected="p-codes or points", action="placed by name")


def _named(sites: pd.DataFrame) -> str:
    names = sites["name"] if "name" in sites else [""] * len(sites)
    return listed(f"{i} {n}".strip() for i, n in zip(sites["site_id"], names, strict=True))


# ------------------------------------------------------------------ shares of locations


def _split(pieces: gpd.GeoDataFrame, chance: pd.DataFrame) -> gpd.GeoDataFrame:
    """Rows of a location and a unit, each count of the location split; those without households are left out."""
    group = pd.factorize(chance["point"])[0]
    split = whole_shares(pieces["households"].to_numpy(), chance["probability"].to_numpy(), group)
    out: dict[str, np.ndarray] = {"households": split}
    for chain in PARTS:
        # The smaller part first, then what the larger adds, among the households that are left.
        counted, taken = np.zeros(len(split)), np.zeros(len(split))
        for part in (c for c in chain if c in pieces):
            total = pieces[part].to_numpy(dtype="float64")
            more = counted + whole_shares(total - taken, split - counted, group)
            out[part] = more
            counted, taken = np.where(np.isnan(more), counted, more), np.where(np.isnan(more), taken, total)
    for column in pieces:
        if column in ("people", "camp") or str(column).startswith("origin_"):
            out[column] = whole_shares(pieces[column].to_numpy(dtype="float64"), split, group)
    empty = np.bincount(group, split)[group] == 0
    kept = (split > 0) | (empty & (pieces["pcode"] == pieces["at"]).to_numpy())
    return pieces.assign(**out).drop(columns="at")[kept]
