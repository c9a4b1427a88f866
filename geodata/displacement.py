"""Displacement lists (IOM DTM): locations with households, placed in subdistricts and counted.

Exact and location-level figures pass through here and leave for `models.protection` alone.
Findings name locations by id and name, never a count beside a place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any, Literal

import geopandas as gpd
import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from .options import DataPath, Options, SourceOptions, require_columns, require_file
from .schema import Findings, InputError
from .sheets import clean_text, listed, one_column, parse_counts, parse_numbers, read_sheet, rows

SUBSETS = ("critical", "camp_or_critical", "protracted", "climate")
"""Counts of households among ``households`` of a location."""

_TOTALS = re.compile(r"\s*(grand\s+|sub-?)?totals?\b|\s*(المجموع|الاجمالي|الإجمالي)", re.IGNORECASE)
_TWIN = re.compile(r"\.\d+$")
_LOCATIONS_IN_TOTALS = re.compile(r"locations?\s*:?\s*([\d,]+)", re.IGNORECASE)


class Round(Options):
    """One round of a list.

    Parameters
    ----------
    path : str
        Its file, relative to the data folder.
    as_of : date
        Day the round speaks about.
    """

    path: DataPath
    as_of: date


class SiteColumns(Options):
    """Names of the columns of a list; None where a list has no such column."""

    site_id: str = "Location ID"
    households: str = "Families"
    people: str | None = "Individuals"
    lat: str = "Latitude"
    lon: str = "Longitude"
    name: str = "Location Name"
    governorate: str | None = "Governorate"
    district: str | None = "District"
    updated: str | None = None


class Shelter(Options):
    """Columns of households by shelter: critical shelter, and camps."""

    critical: tuple[str, ...] = ()
    camp: tuple[str, ...] = ()


class Periods(Options):
    """Columns of households by period of arrival, and which of them are protracted.

    Parameters
    ----------
    protracted : tuple of str or None
        These columns; None leaves it to ``ends``.
    ends : dict
        Column -> last day of its period. Protracted is a period that ended ``years`` or more
        before the round, so the same block serves every round.
    years : int
    """

    protracted: tuple[str, ...] | None = None
    ends: dict[str, date] = Field(default_factory=dict)
    years: int = Field(default=5, ge=1)


class Reasons(Options):
    """Columns of households by reason of displacement; empty where a list does not ask."""

    climate: tuple[str, ...] = ()
    conflict: tuple[str, ...] = ()


class DtmIdpList(SourceOptions):
    """Reader "dtm_idp_list": one row per location of displaced households, XLSX or CSV.

    Parameters
    ----------
    rounds : tuple of Round
        Rounds, each carried on separately. A list of one round may be given by ``path`` and
        ``round_as_of`` instead.
    columns, shelter, periods, origins, reasons
        Which columns say what; origins are columns of households by governorate of origin.
    people_per_household : float
        Declared factor; households are the primary count.
    bbox : (west, south, east, north), degree
        Where locations can lie at all.
    max_stray_share : float
        Share of locations with swapped or impossible coordinates above which the file is refused.
    sheet : str or None
        Sheet of a workbook; None is the first.
    """

    reader: Literal["dtm_idp_list"]
    path: DataPath = "."
    round_as_of: date | None = None
    rounds: tuple[Round, ...] = ()
    columns: SiteColumns = SiteColumns()
    shelter: Shelter = Shelter()
    periods: Periods = Periods()
    origins: tuple[str, ...] = ()
    reasons: Reasons = Reasons()
    people_per_household: float = Field(default=6.0, gt=0)
    bbox: tuple[float, float, float, float]
    max_stray_share: float = Field(default=0.03, ge=0, le=1)
    sheet: str | None = None

    @model_validator(mode="after")
    def _one_way_to_name_rounds(self) -> DtmIdpList:
        alone = self.round_as_of is not None and self.path != "."
        if bool(self.rounds) == alone or (self.rounds and (self.round_as_of is not None or self.path != ".")):
            raise ValueError("expected either rounds = [{path, as_of}, ...] or path with round_as_of")
        dates = [r.as_of for r in self.rounds]
        if len(set(dates)) < len(dates):
            raise ValueError("expected one file per round, found two with the same as_of")
        west, south, east, north = self.bbox
        if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
            raise ValueError(f"bbox: found {self.bbox}, expected west, south, east, north in degrees")
        return self

    @property
    def all_rounds(self) -> tuple[Round, ...]:
        """Rounds, oldest first, however they were given."""
        if self.round_as_of is not None:
            return (Round(path=self.path, as_of=self.round_as_of),)
        return tuple(sorted(self.rounds, key=lambda r: r.as_of))

    def files(self, root: Path) -> list[Path]:
        """Files of all rounds that exist."""
        return sorted(path for path in {root / r.path for r in self.all_rounds} if path.is_file())

    def read(self, root: Path, log: Findings, subdistricts: Any = None) -> dict[date, gpd.GeoDataFrame]:
        """Locations of each round: see `read_sites`."""
        return read_sites(self, root, log)

    def protracted_columns(self, as_of: date) -> tuple[str, ...]:
        """Arrival periods that are protracted at a round."""
        if self.periods.protracted is not None:
            return self.periods.protracted
        latest = (pd.Timestamp(as_of) - pd.DateOffset(years=self.periods.years)).date()
        return tuple(column for column, end in self.periods.ends.items() if end <= latest)


def read_sites(options: DtmIdpList, root: Path, log: Findings) -> dict[date, gpd.GeoDataFrame]:
    """Locations of each round, each round on its own.

    Parameters
    ----------
    options : DtmIdpList
        What the country file says of the list.
    root : Path
        The data folder.
    log : Findings
        InputError with all that is wrong in all rounds; repairs and warnings are added.

    Returns
    -------
    dict
        Round date -> GeoDataFrame sorted by ``site_id``, EPSG:4326: site_id, name, governorate,
        district (str, "" if unknown); households, people, critical, camp_or_critical,
        protracted, climate, camp (float, whole; NaN where not known); ``origin_<column>``;
        as_of; geometry (point as corrected, None for a location whose coordinates can be
        nowhere: it stays in the account and in no unit).
    """
    read: dict[date, gpd.GeoDataFrame] = {}
    for one in options.all_rounds:
        # What stops one round is in the log already; the others are read to find the rest.
        with suppress(InputError):
            read[one.as_of] = _read_round(options, one, root, log)
    log.stop()
    return read


def place(
    sites: gpd.GeoDataFrame,
    subdistricts: gpd.GeoDataFrame,
    log: Findings,
    *,
    file: str = "displacement list",
    max_stray_share: float = 0.03,
) -> gpd.GeoDataFrame:
    """Locations with the subdistrict they lie in.

    A location on a border belongs to the first p-code of the two, so that it counts once.
    Locations outside every polygon are listed by id and name and stay without p-code.

    Parameters
    ----------
    sites : GeoDataFrame
        One round of `read_sites`.
    subdistricts : GeoDataFrame
        The subdistricts table, EPSG:4326.
    log : Findings
        An error is noted if more than ``max_stray_share`` lie outside: then the boundaries are
        another country's or the coordinates are.
    file : str
        Name of the list in findings.
    max_stray_share : float
        0 to 1.

    Returns
    -------
    GeoDataFrame
        ``sites`` with ``pcode`` (str, None outside), same rows and order.
    """
    here = sites.geometry.notna()
    shapes = subdistricts.geometry
    point, polygon = shapes.sindex.query(sites.geometry[here], predicate="intersects")
    hits = pd.DataFrame({"row": sites.index[here][point], "pcode": subdistricts.index.to_numpy()[polygon]})
    first = hits.groupby("row")["pcode"].min().astype(object)
    placed = sites.assign(pcode=first.reindex(sites.index).where(lambda p: p.notna(), None))
    outside = here & placed["pcode"].isna()
    if not outside.any():
        return placed
    found = f"{int(outside.sum())} of {len(sites)} locations outside every polygon: {_named(sites[outside])}"
    if outside.sum() > max_stray_share * len(sites):
        log.error(file=file, field="coordinates", found=found, expected=f"at most {max_stray_share:.0%} outside")
    else:
        action = "counted in no subdistrict"
        log.warning(file=file, field="coordinates", found=found, expected="points in a subdistrict", action=action)
    return placed


def count_by_unit(sites: gpd.GeoDataFrame, pcodes: Iterable[str]) -> pd.DataFrame:
    """Exact counts per subdistrict: for `models.protection.protect`, and never to be published.

    The list covers the country, so a subdistrict without a location has none; a count that the
    round does not know (climate, where reasons were not asked) is NaN for every unit, and one
    unknown at a single location is NaN for its unit.

    Parameters
    ----------
    sites : GeoDataFrame
        One round, placed.
    pcodes : iterable of str
        Every subdistrict.

    Returns
    -------
    DataFrame
        Index pcode as given: households, critical, camp_or_critical, protracted, climate, people
        (float, exact).
    """
    names = ["households", *SUBSETS, "people"]
    units = pd.Index(list(pcodes), name="pcode")
    inside = sites[sites["pcode"].notna()]
    groups = inside["pcode"].astype(str)
    counts = inside[names].groupby(groups).sum().reindex(units, fill_value=0.0)
    unknown = inside[names].isna().groupby(groups).any().reindex(units, fill_value=False)
    never_asked = sites[names].isna().all() & (len(sites) > 0)
    return counts.mask(unknown | np.broadcast_to(never_asked.to_numpy(), unknown.shape)).rename_axis(index="pcode")


def account(sites: gpd.GeoDataFrame) -> dict[str, int]:
    """Households and locations of one placed round, accounted for: inside + outside + dropped = total.

    ``dropped`` have coordinates that can be nowhere, ``outside`` lie in no polygon. Few locations
    can stand behind these two: they are exact figures and belong under ``--restricted``.

    Returns
    -------
    dict
        households_total, households_inside, households_outside, households_dropped and the
        same for locations.
    """
    dropped = sites.geometry.isna()
    inside = ~dropped & sites["pcode"].notna()
    parts = {"total": dropped | ~dropped, "inside": inside, "outside": ~dropped & ~inside, "dropped": dropped}
    households = {f"households_{k}": int(sites["households"][chosen].sum()) for k, chosen in parts.items()}
    return households | {f"locations_{k}": int(chosen.sum()) for k, chosen in parts.items()}


# ------------------------------------------------------------------ one round


def _read_round(options: DtmIdpList, one: Round, root: Path, log: Findings) -> gpd.GeoDataFrame:
    """Locations of one round; InputError, or errors noted in ``log``, if something is wrong."""
    file, columns = one.path, options.columns
    frame = read_sheet(require_file(root, file, log), file, log, options.sheet)
    groups = _groups(options, one.as_of)
    wanted = [c for c in columns.model_dump().values() if c] + [c for names in groups.values() for c in names]
    require_columns(frame.columns, dict.fromkeys(wanted), file=file, log=log)
    if columns.site_id not in frame.columns or columns.households not in frame.columns:
        raise InputError(log.errors)
    frame, totals = _split_totals(frame, columns)
    frame = _without_twins(frame, file, log)
    if not set(wanted) <= set(frame.columns):
        raise InputError(log.errors)
    counts = _counts(frame, options, groups, file, log)
    sites = _texts(frame, columns, file, log)
    _check_dates(frame, columns, one, log)
    kept = _one_row_per_location(sites, counts, columns, file, log)
    _compare_totals(totals, frame, counts, kept, columns, file, log)
    sites, counts = sites[kept], counts[kept]
    points = _points(frame[kept], sites, options, file, log)
    sites = _sum_groups(sites, counts, groups, options, file, log).assign(as_of=pd.Timestamp(one.as_of))
    placed = gpd.GeoDataFrame(sites, geometry=points, crs="EPSG:4326")
    return placed.sort_values("site_id", kind="stable", ignore_index=True)


def _groups(options: DtmIdpList, as_of: date) -> dict[str, tuple[str, ...]]:
    critical, camp = options.shelter.critical, options.shelter.camp
    # Each column once, so that what is critical stays a part; of one kind alone the two together are not known.
    either = tuple(dict.fromkeys((*critical, *camp))) if critical and camp else ()
    return {
        "critical": critical,
        "camp": camp,
        "camp_or_critical": either,
        "protracted": options.protracted_columns(as_of),
        "climate": options.reasons.climate,
        "conflict": options.reasons.conflict,
        "origin": options.origins,
    }


def _split_totals(frame: pd.DataFrame, columns: SiteColumns) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of locations, and rows of totals: these double every sum that does not know them."""
    first, ids = frame.iloc[:, 0].fillna("").astype(str), one_column(frame, columns.site_id).fillna("").astype(str)
    is_total = first.str.match(_TOTALS) | ids.str.match(_TOTALS)
    # A last row that names no location and lies nowhere is a row of totals without its word.
    about = [c for c in (columns.site_id, columns.name, columns.lat) if c in frame.columns]
    nameless = pd.concat([one_column(frame, c).fillna("").astype(str).str.strip() == "" for c in about], axis=1)
    is_total |= nameless.all(axis=1) & (frame.index == max(frame.index, default=-1))
    return frame[~is_total], frame[is_total]


def _without_twins(frame: pd.DataFrame, file: str, log: Findings) -> pd.DataFrame:
    """Each column once. Exports hold columns twice, as ``X`` and again ``X`` or ``X.1``."""
    names = [str(c) for c in frame.columns]
    bases = [_TWIN.sub("", n) if _TWIN.sub("", n) in names else n for n in names]
    first = {base: n for n, base in reversed(list(enumerate(bases)))}
    dropped = []
    for position, base in enumerate(bases):
        if not base or first[base] == position:
            continue
        dropped.append(position)
        if (differ := _differing(frame.iloc[:, first[base]], frame.iloc[:, position])).any():
            log.error(
                file=file,
                field=f"column {base!r}, {rows(frame.index[differ])}",
                found="two columns of this name that differ",
                expected="one column, or two alike",
            )
    if dropped:
        twins = listed(dict.fromkeys(repr(bases[n]) for n in dropped))
        action = "read once"
        log.repair(file=file, field="columns", found=f"twice: {twins}", expected="each column once", action=action)
    return frame.iloc[:, [n for n in range(len(names)) if n not in set(dropped)]]


def _differing(a: pd.Series, b: pd.Series) -> pd.Series:
    differ = ~((a == b) | (a.isna() & b.isna()))
    if differ.any():
        as_number = [pd.to_numeric(s[differ], errors="coerce") for s in (a, b)]
        differ[differ] = ~(as_number[0] == as_number[1])
    return differ.astype(bool)


def _counts(
    frame: pd.DataFrame, options: DtmIdpList, groups: dict[str, tuple[str, ...]], file: str, log: Findings
) -> pd.DataFrame:
    """Every count column once, parsed. A location without households is an error, another gap a warning."""
    households = options.columns.households
    people = options.columns.people
    wanted = dict.fromkeys([households, *([people] if people else []), *(c for g in groups.values() for c in g)])
    counts = pd.DataFrame({name: parse_counts(one_column(frame, name), file=file, log=log) for name in wanted})
    empty = frame[list(wanted)].isna()
    if (blank := empty.pop(households)).any():
        where = f"column {households!r}, {rows(blank.index[blank])}"
        log.error(file=file, field=where, found="an empty cell", expected="a count of households")
    for name in empty.columns[empty.any()]:
        where = f"column {name!r}, {rows(empty.index[empty[name]])}"
        action = "not known there (no zero)"
        log.warning(file=file, field=where, found="empty cells", expected="a count", action=action)
    return counts


def _texts(frame: pd.DataFrame, columns: SiteColumns, file: str, log: Findings) -> pd.DataFrame:
    wanted: dict[str, str | None] = {"site_id": columns.site_id, "name": columns.name}
    wanted |= {"governorate": columns.governorate, "district": columns.district}
    texts = {
        ours: clean_text(one_column(frame, theirs), file=file, log=log) if theirs else ""
        for ours, theirs in wanted.items()
    }
    sites = pd.DataFrame(texts, index=frame.index)
    # A workbook keeps an id that looks like a number as one.
    sites["site_id"] = sites["site_id"].str.replace(r"^(\d+)\.0+$", r"\1", regex=True)
    if (blank := sites["site_id"] == "").any():
        where = f"column {columns.site_id!r}, {rows(frame.index[blank])}"
        log.error(file=file, field=where, found="an empty cell", expected="a location id")
    return sites


def _check_dates(frame: pd.DataFrame, columns: SiteColumns, one: Round, log: Findings) -> None:
    if columns.updated is None:
        return
    cells = one_column(frame, columns.updated).dropna()
    text = cells.astype(object).map(lambda t: str(t).strip().replace("/", "-")[:10])
    days = pd.to_datetime(text, format="%Y-%m-%d", errors="coerce")
    expected = f"a date YYYY-MM-DD up to the round, {one.as_of}"
    for wrong in (days.isna(), days > pd.Timestamp(one.as_of)):
        if wrong.any():
            found = listed(repr(t) for t in cells[wrong].unique())
            where = f"column {columns.updated!r}, {rows(cells.index[wrong])}"
            log.error(file=one.path, field=where, found=found, expected=expected)


def _one_row_per_location(
    sites: pd.DataFrame, counts: pd.DataFrame, columns: SiteColumns, file: str, log: Findings
) -> pd.Series:
    """True for the rows to keep. The same location twice is one; with two counts it is an error."""
    ids = sites["site_id"]
    repeated = ids.duplicated(keep=False) & (ids != "")
    if not repeated.any():
        return ~repeated
    differ = counts[repeated].groupby(ids[repeated]).nunique(dropna=False).gt(1).any(axis=1)
    conflicting = repeated & ids.isin(differ.index[differ])
    if conflicting.any():
        log.error(
            file=file,
            field=f"column {columns.site_id!r}, {rows(ids.index[conflicting])}",
            found=f"locations with two counts: {listed(ids[conflicting].unique())}",
            expected="one row per location",
        )
    again = repeated & ids.duplicated()
    alike = again & ~conflicting
    if alike.any():
        log.repair(
            file=file,
            field=f"column {columns.site_id!r}, {rows(ids.index[alike])}",
            found=f"the same location again: {listed(ids[alike].unique())}",
            expected="one row per location",
            action="counted once",
        )
    return ~again


def _compare_totals(
    totals: pd.DataFrame,
    frame: pd.DataFrame,
    counts: pd.DataFrame,
    kept: pd.Series,
    columns: SiteColumns,
    file: str,
    log: Findings,
) -> None:
    if totals.empty:
        return
    where = f"column {columns.site_id!r}, {rows(totals.index)}"
    action = "left out and compared with the sums"
    log.repair(file=file, field=where, found="a row of totals", expected="rows of locations", action=action)
    last = totals.iloc[[-1]]
    trial = Findings(log.source)  # what a totals row writes badly is no fault of the list
    for name in counts.columns:
        said = parse_numbers(one_column(last, name), file=file, log=trial).iloc[0]
        sums = {counts[name].sum(), counts.loc[kept, name].sum()}
        if not np.isnan(said) and said not in sums:
            # Neither sum is told: findings are published, and an exact total beside protected counts can tell one.
            found = "a row of totals with another number than the rows of locations add up to"
            log.warning(file=file, field=f"column {name!r}", found=found, expected="the same number")
    number = _LOCATIONS_IN_TOTALS.search(str(last.iloc[0, 0]))
    if number and int(number[1].replace(",", "")) not in (len(frame), int(kept.sum())):
        found = f"{number[1]} locations in the row of totals, {int(kept.sum()):,} rows"
        log.warning(file=file, field="locations", found=found, expected="the same number")


def _points(frame: pd.DataFrame, sites: pd.DataFrame, options: DtmIdpList, file: str, log: Findings) -> gpd.GeoSeries:
    """Points, with swapped coordinates put right; None where no reading lies in the bounding box."""
    trial = Findings(log.source)  # an unreadable coordinate is a stray, not an error of its own
    lat, lon = (
        parse_numbers(one_column(frame, c), file=file, log=trial, decimal_comma=True)
        for c in (options.columns.lat, options.columns.lon)
    )
    log.items += [f for f in trial.items if f.severity != "error"]
    right = _in_box(lon, lat, options.bbox)
    swapped = ~right & _in_box(lat, lon, options.bbox)
    nowhere = ~right & ~swapped
    _report_strays(sites, swapped, nowhere, options, file, log)
    x, y = lon.where(~swapped, lat), lat.where(~swapped, lon)
    points = gpd.GeoSeries(gpd.points_from_xy(x, y), index=frame.index, crs="EPSG:4326")
    return points.where(~nowhere, None)


def _in_box(lon: pd.Series, lat: pd.Series, bbox: tuple[float, float, float, float]) -> pd.Series:
    west, south, east, north = bbox
    return lon.between(west, east) & lat.between(south, north)


def _report_strays(
    sites: pd.DataFrame, swapped: pd.Series, nowhere: pd.Series, options: DtmIdpList, file: str, log: Findings
) -> None:
    stray = swapped | nowhere
    if not stray.any():
        return
    field = f"columns {options.columns.lat!r} and {options.columns.lon!r}, {{}}"
    if stray.sum() > options.max_stray_share * len(sites):
        found = f"{int(swapped.sum())} swapped and {int(nowhere.sum())} outside {options.bbox}, of {len(sites)}"
        expected = f"at most {options.max_stray_share:.0%} of the locations"
        log.error(file=file, field=field.format(rows(stray.index[stray])), found=found, expected=expected)
        return
    for kind, which, action in (
        ("latitude and longitude swapped", swapped, "swapped back"),
        ("coordinates that can be nowhere in the country", nowhere, "counted in no subdistrict"),
    ):
        if which.any():
            log.repair(
                file=file,
                field=field.format(rows(which.index[which])),
                found=f"{kind}: {_named(sites[which])}",
                expected="latitude and longitude inside the country",
                action=action,
            )


def _sum_groups(
    sites: pd.DataFrame,
    counts: pd.DataFrame,
    groups: dict[str, tuple[str, ...]],
    options: DtmIdpList,
    file: str,
    log: Findings,
) -> pd.DataFrame:
    """Locations with households, people and each group; a group without columns is not known."""
    households = counts[options.columns.households]
    people = options.columns.people
    by_factor = households * options.people_per_household
    sums = {name: _row_sum(counts, columns) for name, columns in groups.items()}
    both_reasons = _row_sum(counts, (*groups["climate"], *groups["conflict"]))
    among = {name: sums[name] for name in ("critical", "camp", "camp_or_critical", "protracted", "climate", "conflict")}
    for name, part in {**among, "climate and conflict": both_reasons}.items():
        if (over := part > households).any():
            found = f"more households in {name} than at the location"
            log.error(file=file, field=rows(over.index[over]), found=found, expected="a part of the households")
    if (uneven := sums["origin"].notna() & (sums["origin"] != households)).any():
        found = f"origins that do not add up to the households of the location, {rows(uneven.index[uneven])}"
        log.warning(file=file, field="origins", found=found, expected="all households by origin")
    if people and (other := (counts[people] != by_factor) & counts[people].notna()).any():
        found = f"{int(other.sum())} locations with another number of people than households x factor"
        expected = f"{options.people_per_household:g} people per household"
        action = "households lead; people are derived from them"
        log.warning(file=file, field=f"column {people!r}", found=found, expected=expected, action=action)
    origins = {f"origin_{c}": counts[c] for c in groups["origin"]}
    named = {name: sums[name] for name in ("critical", "camp_or_critical", "protracted", "climate", "camp")}
    return sites.assign(households=households, people=counts[people] if people else by_factor, **named, **origins)


def _row_sum(counts: pd.DataFrame, columns: tuple[str, ...]) -> pd.Series:
    if not columns:
        return pd.Series(np.nan, index=counts.index)
    return counts[list(columns)].sum(axis=1, skipna=False)


def _named(sites: pd.DataFrame) -> str:
    return listed(f"{i} {name}".strip() for i, name in zip(sites["site_id"], sites["name"], strict=True))
