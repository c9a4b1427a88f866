"""One round of a displacement list: its rows as locations with counts, or everything that is wrong with them."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import geopandas as gpd
import numpy as np
import pandas as pd

from .options import require_columns, require_file
from .schema import Findings, InputError
from .sheets import clean_text, listed, one_column, parse_counts, parse_numbers, read_sheet, rows
from .site_columns import find_columns, lift_header

if TYPE_CHECKING:
    from .displacement import DtmList, Round, SiteColumns

REASONS = ("climate", "conflict", "other")

_TOTALS = re.compile(r"\s*(grand\s+|sub-?)?totals?\b|\s*(المجموع|الاجمالي|الإجمالي)", re.IGNORECASE)
_TWIN = re.compile(r"\.\d+$")
_LOCATIONS_IN_TOTALS = re.compile(r"locations?\s*:?\s*([\d,]+)", re.IGNORECASE)


def read_round(options: DtmList, one: Round, root: Path, log: Findings) -> gpd.GeoDataFrame:
    """Locations of one round: see `geodata.displacement.read_sites`.

    Raises
    ------
    InputError : what stops the round; other errors are noted in ``log``
    """
    file = one.path
    frame = lift_header(read_sheet(require_file(root, file, log), file, log, options.sheet), options.spellings)
    header = [str(c) for c in frame.columns]
    columns = find_columns(header, options.columns, options.spellings, one.as_of, file=file, log=log)
    options = options.model_copy(update={"columns": columns})
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


def _groups(options: DtmList, as_of: date) -> dict[str, tuple[str, ...]]:
    critical, camp = options.shelter.critical, options.shelter.camp
    # Each column once, so that what is critical stays a part; of one kind alone the two together are not known.
    either = tuple(dict.fromkeys((*critical, *camp))) if critical and camp else ()
    return {
        "critical": critical,
        "camp": camp,
        "camp_or_critical": either,
        "protracted": options.protracted_columns(as_of),
        "arrived_since": options.recent_columns(as_of),
        "climate": options.reasons.climate,
        "conflict": options.reasons.conflict,
        "other": options.reasons.other,
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
    frame: pd.DataFrame, options: DtmList, groups: dict[str, tuple[str, ...]], file: str, log: Findings
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
    wanted |= {"name_ar": columns.name_ar, "governorate": columns.governorate, "district": columns.district}
    wanted |= {"subdistrict": columns.subdistrict, "given_pcode": columns.pcode}
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


def _points(frame: pd.DataFrame, sites: pd.DataFrame, options: DtmList, file: str, log: Findings) -> gpd.GeoSeries:
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
    sites: pd.DataFrame, swapped: pd.Series, nowhere: pd.Series, options: DtmList, file: str, log: Findings
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
                found=f"{kind}: {named_sites(sites[which])}",
                expected="latitude and longitude inside the country",
                action=action,
            )


def _sum_groups(
    sites: pd.DataFrame,
    counts: pd.DataFrame,
    groups: dict[str, tuple[str, ...]],
    options: DtmList,
    file: str,
    log: Findings,
) -> pd.DataFrame:
    """Locations with households, people and each group; a group without columns is not known."""
    households = counts[options.columns.households]
    people = options.columns.people
    by_factor = households * options.people_per_household
    sums = {name: _row_sum(counts, columns) for name, columns in groups.items()}
    all_reasons = _row_sum(counts, (*groups["climate"], *groups["conflict"], *groups["other"]))
    among = {
        name: sums[name] for name in ("critical", "camp", "camp_or_critical", "protracted", "arrived_since", *REASONS)
    }
    among["protracted and arrived since"] = _row_sum(counts, (*groups["protracted"], *groups["arrived_since"]))
    for name, part in {**among, "all reasons": all_reasons}.items():
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
    named = {
        name: sums[name] for name in ("critical", "camp_or_critical", "protracted", "climate", "camp", "arrived_since")
    }
    # Who came lately, and who fled another reason, are told by the others: two parts of one whole would tell more.
    named["settled"] = households - sums["arrived_since"]
    named["not_conflict"] = households - sums["conflict"]
    named["climate_at_most"] = named["not_conflict"] - (sums["other"] if groups["other"] else 0.0)
    return sites.assign(households=households, people=counts[people] if people else by_factor, **named, **origins)


def _row_sum(counts: pd.DataFrame, columns: tuple[str, ...]) -> pd.Series:
    if not columns:
        return pd.Series(np.nan, index=counts.index)
    return counts[list(columns)].sum(axis=1, skipna=False)


def named_sites(sites: pd.DataFrame) -> str:
    """The first locations by id and name, as findings may tell them."""
    return listed(f"{i} {name}".strip() for i, name in zip(sites["site_id"], sites["name"], strict=True))
