"""Displaced and returned households: placed, counted and at once protected; exact ones are for restricted use."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import xarray as xr

from geodata.displacement import DtmList, DtmReturneeList, account, count_by_origin, count_by_unit
from geodata.displacement_table import DisplacementTable, DtmApi, HdxHapiIdps, counts_by_reason
from geodata.options import SourceOptions
from geodata.placing import Ladders, place_sites, refuse_strays, share_by_error
from geodata.review import Question, Review, ask, read_review
from geodata.rounds import comparability, compare_rounds, rounds_after
from geodata.schema import Findings, Status, status_attrs
from models.protection import (
    BASE,
    REASONS,
    SUBSETS,
    account_is_safe,
    intervals,
    part_between,
    protect,
    shares_in_steps,
    split_by_running_totals,
    stand_in,
    to_nearest,
)

from .crosswalked import Cutting
from .plan import Plan
from .policy import computing
from .settings import DISPLACEMENT
from .vintages import boundaries_digest, groups_digest

FEWEST_LOCATIONS = 3
"""Locations that must stand behind a figure of households outside every subdistrict."""

TABLES = (DisplacementTable, DtmApi, HdxHapiIdps)
COUNTING = (DtmList, *TABLES)
"""Readers of counts of people, which are protected before anything else sees them."""

ADM3 = 3

DISPLACED = (
    ("households", "displaced_households", "displaced households"),
    ("critical", "displaced_critical", "displaced households in critical shelter"),
    ("camp_or_critical", "displaced_camp_or_critical", "displaced households in camps or critical shelter"),
    ("protracted", "displaced_protracted", "households displaced for long"),
    ("climate", "displaced_climate_households", "households displaced by climate"),
    (
        "arrivals",
        "displaced_arrivals_households",
        "displaced households that arrived since the round before, give or take 5",
    ),
)
RETURNED = (("households", "returnee_households", "households that returned"),)
"""Count, variable of the waist, what it is."""

place_step = computing("place-locations")(place_sites)


@dataclass
class Counted:
    """What one block tells of people.

    Parameters
    ----------
    cube : Dataset, protected counts by (time, pcode) or, of a table of larger units, by (time, unit)
    rounds : name of a round (its day, or its file's hash) -> how it is cut, by digests
    households : per day, the account of households where publishing it narrows no cell
    tables : name -> protected rows that products are made of
    cells : per day, the protected counts of the subdistricts
    sites : per day, exact and located: for a restricted run, and nothing else may look at it
    """

    cube: xr.Dataset
    rounds: dict[str, dict[str, str]] = field(default_factory=dict)
    households: dict[str, Any] = field(default_factory=dict)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    cells: dict[date, pd.DataFrame] = field(default_factory=dict)
    sites: Mapping[date, gpd.GeoDataFrame] = field(default_factory=dict)


def count(
    name: str,
    values: Any,
    options: SourceOptions,
    subdistricts: gpd.GeoDataFrame,
    plan: Plan,
    log: Findings,
    beside: Counted | None = None,
    cutting: Cutting | None = None,
) -> Counted:
    """Protected counts of a block.

    Parameters
    ----------
    name : str, of the block
    values : rounds of locations, or rows of counts, as the block's reader gives them
    options, subdistricts, plan, log
    beside : Counted, the displaced by subdistrict, where a further table tells why they left
    cutting : Cutting, where people are counted on other units than the subdistricts

    Raises
    ------
    InputError : a round is dated after the day of issue, or most points are in another country
    """
    on = cutting or Cutting(subdistricts, subdistricts)
    if isinstance(options, DtmList):
        counted = count_list(name, values, options, on, plan, log)
    elif isinstance(options, TABLES):
        counted = count_table(name, values, options, on, plan, log, beside)
    else:
        raise TypeError(f"{name}: {type(options).__name__} counts nobody")
    if on.crosswalk is not None:
        # What is told is told of the units people were counted on, and the crosswalk is published with it.
        told_on = {"boundaries": boundaries_digest(on.units)}
        counted.rounds = {one: cut | told_on for one, cut in counted.rounds.items()}
        counted.tables["crosswalk"] = on.crosswalk
    return counted


# ------------------------------------------------------------------ lists of locations


def count_list(
    name: str,
    rounds: Mapping[date, gpd.GeoDataFrame],
    options: DtmList,
    on: Cutting,
    plan: Plan,
    log: Findings,
) -> Counted:
    """Protected counts of a list: how many, why, whence, and what may be compared."""
    refuse_later_rounds(rounds, {r.as_of: r.path for r in options.all_rounds}, plan, log)
    placed = place_rounds(name, rounds, options, on.units, plan, log)
    log.stop()
    variables = RETURNED if isinstance(options, DtmReturneeList) else DISPLACED
    slices, households, cells, reasons, flows = [], {}, {}, [], []
    ladders = Ladders.of(on.subdistricts, options.placing, Findings(log.source))
    for day, sites in placed.items():
        shared = share_by_error(sites, on.units, options.placing.coordinate_error_km)
        told = protect(count_by_unit(shared, on.units.index))
        protected = on.moved(told)
        cells[day] = protected
        slices.append(as_cube(protected, day, variables))
        households[day.isoformat()] = publishable_account(shared, told, protected)
        if options.reasons.climate:
            reasons.append(reason_rows(protected, day, ADM3))
        if options.origins:
            flows.append(flow_rows(shared, protected, day, on, ladders))
    tables = {"reasons": reasons, "flows": flows, "words": compared(placed, on, options, plan)}
    if variables is RETURNED:  # neither in the account of the displaced nor in their tables
        households, tables = {}, {}
    return Counted(
        as_one(slices),
        cuts_of_list(name, placed, options, plan),
        households,
        {key: pd.concat(rows, ignore_index=True) for key, rows in tables.items() if rows},
        cells,
        placed,
    )


def place_rounds(
    name: str,
    rounds: Mapping[date, gpd.GeoDataFrame],
    options: DtmList,
    subdistricts: gpd.GeoDataFrame,
    plan: Plan,
    log: Findings,
) -> dict[date, gpd.GeoDataFrame]:
    """Locations of each round in their subdistrict; what only an analyst can decide goes to the review file."""
    placing = options.placing
    file = placing.review or f"review/{name}_names.csv"
    codes = [str(c) for c in subdistricts.index]
    decisions = read_review(Path(plan.data) / file, file, codes, log) if placing.review else {}
    placed: dict[date, gpd.GeoDataFrame] = {}
    questions: list[Question] = []
    for day, sites in rounds.items():
        told = f"{options.label.get('en', options.path)}, {day}"
        found = place_step(sites, subdistricts, placing, log, file=told, decisions=decisions)
        refuse_strays(found.sites, log, file=told, max_stray_share=options.max_stray_share)
        placed[day] = found.sites
        questions += found.questions
    ask(Review(file, tuple(questions), decisions, bool(placing.review)), log)
    return placed


def flow_rows(
    sites: gpd.GeoDataFrame,
    protected: pd.DataFrame,
    day: date,
    on: Cutting,
    ladders: Ladders,
) -> pd.DataFrame:
    """Households from each governorate to each, as sums of protected cells of subdistricts.

    Returns
    -------
    DataFrame
        round, origin (as the list names it, "" where it is not told), origin_pcode ("" if the boundaries have none of
        the name), destination_pcode, weight (households with stand-ins), anybody (any displaced there).
    """
    exact = count_by_unit(sites, on.units.index)["households"]
    origins = count_by_origin(sites, on.units.index)
    governorate = on.subdistricts["adm1_pcode"].rename("destination_pcode")
    sums = on.shared_out(split_by_running_totals(origins, exact)).groupby(governorate).sum()
    anybody = (stand_in(protected) > 0).groupby(governorate).any()
    rows = sums.rename_axis(columns="origin").stack().rename("weight").reset_index()
    names = pd.Series(sums.columns)
    code = dict(zip(names, (m.code for m in ladders.adm1.climb_all(names)), strict=True))
    return rows.assign(
        round=day.isoformat(),
        origin_pcode=rows["origin"].map(code),
        anybody=rows["destination_pcode"].map(anybody),
    )


def compared(
    placed: Mapping[date, gpd.GeoDataFrame], on: Cutting, options: SourceOptions, plan: Plan
) -> list[pd.DataFrame]:
    """What a difference of the last two rounds may be called, by subdistrict; nothing where there is one round."""
    known = last_two(placed, options, plan)
    if not known:
        return []
    panel = compare_rounds(placed[known[0]], placed[known[1]], on.units)
    return [words_of(on.words(comparability(panel, on.units)), known)]


def last_two(rounds: Iterable[date], options: SourceOptions, plan: Plan) -> list[date]:
    """The last two rounds that were known at the end of the as-of month; none where there are fewer."""
    wait = pd.Timedelta(days=options.available_after_days)
    known = sorted(day for day in rounds if pd.Timestamp(day) + wait <= pd.Timestamp(plan.as_of_end))[-2:]
    return known if len(known) == 2 else []


def words_of(words: pd.Series, rounds: Sequence[date]) -> pd.DataFrame:
    """Rows of words, each with the rounds it speaks of."""
    before, after = (day.isoformat() for day in rounds)
    return pd.DataFrame(
        {"pcode": words.index, "comparability": words.to_numpy(), "round_before": before, "round_after": after}
    )


def publishable_account(
    sites: gpd.GeoDataFrame, protected: pd.DataFrame, in_tables: pd.DataFrame | None = None
) -> dict[str, int | str | None]:
    """Households inside, outside and dropped, adding up to the list's own total, and the sum of the tables.

    The total is told where one exact figure beside the protected cells narrows none of them
    (`account_is_safe`). What lies in no subdistrict is a cell like any other: rounded to 5, and
    None, counted as inside, where it is 1 to 4 or stands on fewer locations than would hide one.
    `in_tables` are the cells of the tables, where a crosswalk moved the protected ones.
    """
    figures = account(sites)
    told: dict[str, int | str | None] = {k: v for k, v in figures.items() if k.startswith("locations_")}
    if not account_is_safe(figures["households_inside"], protected):
        return told | {"households": "withheld: an exact total would tell more than the protected counts"}
    apart = {k: as_cell(figures[f"households_{k}"], figures[f"locations_{k}"]) for k in ("outside", "dropped")}
    total = figures["households_total"]
    return told | {
        "households_total": total,
        "households_inside": total - sum(told_apart or 0 for told_apart in apart.values()),
        **{f"households_{k}": v for k, v in apart.items()},
        "households_in_tables": int((protected if in_tables is None else in_tables)["households"].sum()),
    }


def as_cell(households: int, locations: int) -> int | None:
    """A count under the protection rule; None where it has to be hidden, 0 where there is no location."""
    value = protect(pd.DataFrame({"households": [households]}, index=["apart"]))["households"].iloc[0]
    hidden = pd.isna(value) or 0 < locations < FEWEST_LOCATIONS
    return None if hidden else int(value)


# ------------------------------------------------------------------ tables by unit


def count_table(
    name: str,
    table: pd.DataFrame,
    options: DisplacementTable | DtmApi | HdxHapiIdps,
    on: Cutting,
    plan: Plan,
    log: Findings,
    beside: Counted | None,
) -> Counted:
    """Protected counts of a table, at the level it has: what it says of a governorate it does not say of its parts."""
    days = [day.date() for day in pd.DatetimeIndex(table["day"].unique()).sort_values()]
    refuse_later_rounds(days, dict.fromkeys(days, options.path), plan, log)
    log.stop()
    fine = options.level == ADM3
    level_of = on.units.index.to_series() if fine else on.units[f"adm{options.level}_pcode"]
    codes = pd.Index(sorted(level_of.unique()), name="code")
    exact = counts_by_reason(table, codes)
    slices, cells, reasons, households = [], {}, [], {}
    for day in days:
        counts = exact.loc[pd.Timestamp(day)]
        protected = protect(running_totals(counts))
        protected = on.moved(protected) if fine else protected
        told_by_parts = None if fine or beside is None else beside.cells.get(day)
        rows = reason_rows(protected, day, options.level)
        if told_by_parts is not None:
            sure = beside is not None and "crosswalk" not in beside.tables
            rows = reason_rows_by_parts(counts, told_by_parts, level_of, day, options.level, sure=sure)
        reasons.append(rows)
        if fine:
            cells[day] = protected
            households[day.isoformat()] = {"households_in_tables": int(protected["households"].sum())}
        slices.append(as_cube(protected if fine else nothing(on.subdistricts), day, DISPLACED))
    cube = as_one(slices)
    if name != DISPLACEMENT:
        cube, households = of_units(pd.concat(reasons)), {}
    elif not fine:
        found = f"counts by {('governorate', 'district')[options.level - 1]}"
        action = f"published at level {options.level}; no subdistrict has a figure, which is not 0"
        log.add("note", file=options.path, field="level", found=found, expected="counts by subdistrict", action=action)
    tables = {"reasons": pd.concat(reasons, ignore_index=True)}
    if fine and name == DISPLACEMENT and (known := last_two(days, options, plan)):
        tables["words"] = words_of(on.words(words_of_rows(table, codes, known)), known)
    digest = groups_digest(options)
    cuts = {round_name(name, day): {"groups": digest} for day in days}
    cuts |= {f.sha256: {"groups": digest} for f in plan.inputs if f.source == f"sources.{name}"}
    return Counted(cube, cuts, households, tables, cells)


def running_totals(counts: pd.DataFrame) -> pd.DataFrame:
    """Exact households and running totals of the reasons; NaN from the first reason on that is not known."""
    sums = counts[list(REASONS)].cumsum(axis=1, skipna=False).set_axis(list(REASONS.values()), axis=1)
    return sums.assign(households=counts["households"])


def words_of_rows(table: pd.DataFrame, codes: pd.Index, rounds: Sequence[date]) -> pd.Series:
    """Units that one of two rounds has no row of have another coverage, those of neither none; it tells no count."""
    before, after = (codes.isin(table["code"][table["day"] == pd.Timestamp(day)]) for day in rounds)
    words = np.select([before & after, before | after], ["comparable", "coverage_changed"], "not_covered")
    return pd.Series(words, index=codes)


def reason_rows(protected: pd.DataFrame, day: date, level: int) -> pd.DataFrame:
    """Rows of households by reason: differences of protected running totals (`models.protection`)."""
    have = protected.columns
    rows = pd.DataFrame({"code": protected.index, "level": level, "round": day.isoformat()})
    told = {"households": part_between(protected, None, "households")}
    below: str | None = None
    for reason, total in REASONS.items():
        if total in have:
            told[reason] = part_between(protected, below, total)
            below = total
    if "climate_at_most" in have:
        told["climate_at_most"] = part_between(protected, None, "climate_at_most")
    for column in ("households", *REASONS, "climate_at_most"):
        known = told.get(column)
        rows[column] = np.nan if known is None else known["value"].to_numpy()
        rows[f"{column}_status"] = Status.input_missing.name if known is None else known["status"].to_numpy()
    return rows


def reason_rows_by_parts(
    counts: pd.DataFrame, cells: pd.DataFrame, unit_of: pd.Series, day: date, level: int, *, sure: bool = True
) -> pd.DataFrame:
    """Rows of larger units whose subdistricts the same round tells: a count of its own would be a second sum of these.

    Households are the sum of the protected cells. Reasons are sums of protected cells too, where the subdistricts tell
    theirs, and else shares in steps of 5 % (`shares_in_steps`): not where the cells were moved (``sure`` is False), as
    then they bound no count.
    """
    whole = stand_in(cells).groupby(unit_of).sum(min_count=1).reindex(counts.index)
    by_cell = sums_of_reasons(cells, unit_of).reindex(counts.index)
    if by_cell["climate"].notna().any():
        parts, never_told = by_cell, by_cell.isna()
    else:
        at_least = intervals(cells)["low"].reindex(unit_of.index).groupby(unit_of).sum().reindex(counts.index)
        shares = shares_in_steps(counts[list(REASONS)], at_least if sure else at_least * 0)
        shares["climate_at_most"] = shares[["climate", "mixed", "unknown"]].sum(axis=1, skipna=False)
        unknown = counts[list(REASONS)].isna().any(axis=1)
        parts, never_told = shares.mul(whole, axis=0), pd.DataFrame(dict.fromkeys(shares, unknown))
    parts, never_told = parts.assign(households=whole), never_told.assign(households=False)
    rows = pd.DataFrame({"code": counts.index, "level": level, "round": day.isoformat()})
    for column in ("households", *REASONS, "climate_at_most"):
        status = np.select(
            [whole.isna() | never_told[column], whole == 0, parts[column].isna() | (parts[column] < BASE)],
            [Status.input_missing.name, Status.ok.name, Status.suppressed.name],
            Status.ok.name,
        )
        value = to_nearest(parts[column].where(whole != 0, 0.0))
        rows[column] = value.where(status == Status.ok.name).to_numpy()
        rows[f"{column}_status"] = status
    return rows


def sums_of_reasons(cells: pd.DataFrame, unit_of: pd.Series) -> pd.DataFrame:
    """Households of larger units by reason, as sums of protected cells of their subdistricts; NaN where not told."""
    sums, below = {}, 0.0
    for reason, total in REASONS.items():
        told = stand_in(cells, total) if total in cells else pd.Series(np.nan, index=cells.index)
        sums[reason] = told - below
        below = told.fillna(below)
    if "climate_at_most" in cells:
        sums["climate_at_most"] = stand_in(cells, "climate_at_most")
    found = pd.DataFrame(sums, columns=[*REASONS, "climate_at_most"])
    return found.groupby(unit_of).agg(lambda part: part.sum(skipna=False))


# ------------------------------------------------------------------ rounds


def refuse_later_rounds(rounds: Iterable[date], files: Mapping[date, str], plan: Plan, log: Findings) -> None:
    """An error for each round dated after the day of issue."""
    for day in rounds_after(rounds, date.fromisoformat(plan.issued)):
        expected = f"a round up to the day of issue, {plan.issued}"
        log.error(file=files[day], field="round", found=day.isoformat(), expected=expected)


def cuts_of_list(
    name: str, placed: Mapping[date, gpd.GeoDataFrame], options: DtmList, plan: Plan
) -> dict[str, dict[str, str]]:
    """How each round is cut, under its day and under its file: in which groups, and which location in which unit."""
    hashes = {f.path: f.sha256 for f in plan.inputs if f.source == f"sources.{name}"}
    path_of = {r.as_of: r.path for r in options.all_rounds}
    cuts = {}
    for day, sites in placed.items():
        cut = {"groups": groups_digest(options), "places": places_digest(sites, options.placing.coordinate_error_km)}
        cuts[round_name(name, day)] = cut
        if path_of[day] in hashes:
            # The day decides who is displaced for long and who arrived: under another day a file is cut otherwise.
            cuts[hashes[path_of[day]]] = cut | {"day": day.isoformat()}
    return cuts


def places_digest(sites: pd.DataFrame, coordinate_error_km: float) -> str:
    """Hash of which location is counted where; no count is in it."""
    digest = hashlib.sha256(f"{coordinate_error_km:g}".encode())
    for site, pcode in sorted(zip(sites["site_id"].astype(str), sites["pcode"].fillna(""), strict=True)):
        digest.update(f"\0{site}\0{pcode}".encode())
    return digest.hexdigest()


def round_name(block: str, day: date) -> str:
    """Name of a round in receipts: its day, after the block where that is not the displaced themselves."""
    return day.isoformat() if block == DISPLACEMENT else f"{block} {day.isoformat()}"


# ------------------------------------------------------------------ the waist


def as_cube(protected: pd.DataFrame, day: date, variables: Sequence[tuple[str, str, str]]) -> xr.Dataset:
    """Protected counts of one round as variables of the waist; input_missing where the round does not tell."""
    coords = {"time": pd.DatetimeIndex([pd.Timestamp(day)]).as_unit("ns"), "pcode": protected.index.to_numpy()}
    out = {}
    for column, name, words in variables:
        values, statuses = cell_of(protected, column)
        codes = np.array([[int(Status[word]) for word in statuses]], dtype="int8")
        attrs = {"units": "households", "long_name": words}
        out[name] = xr.DataArray(values[np.newaxis], dims=("time", "pcode"), coords=coords, attrs=attrs)
        out[f"{name}_status"] = xr.DataArray(codes, dims=("time", "pcode"), coords=coords, attrs=status_attrs())
    return xr.Dataset(out).assign_coords(effective_cells=("pcode", np.full(len(protected), 4.0)))


def cell_of(protected: pd.DataFrame, column: str) -> tuple[np.ndarray, Sequence[str]]:
    """Values and statuses of one count."""
    if column == "arrivals" and "settled" in protected:
        part = part_between(protected, "settled", "households")
        return part["value"].to_numpy(), list(part["status"])
    if column not in protected:
        return np.full(len(protected), np.nan), [Status.input_missing.name] * len(protected)
    return protected[column].to_numpy(), list(protected[f"{column}_status"])


def nothing(subdistricts: pd.DataFrame) -> pd.DataFrame:
    """Cells of a round that says nothing of subdistricts."""
    return protect(pd.DataFrame(np.nan, index=subdistricts.index, columns=["households", *SUBSETS]))


def as_one(slices: Sequence[xr.Dataset]) -> xr.Dataset:
    """Rounds one after the other."""
    return xr.concat(slices, dim="time", join="exact", combine_attrs="drop_conflicts")


def of_units(rows: pd.DataFrame) -> xr.Dataset:
    """Households of larger units by (time, unit), which tells a receipt what a further table speaks of."""
    wide = rows.pivot(index="round", columns="code", values=["households", "households_status"])
    wide = wide.sort_index().rename_axis(index=None)
    coords = {"time": pd.DatetimeIndex(list(wide.index)).as_unit("ns"), "unit": wide["households"].columns.to_numpy()}
    codes = wide["households_status"].map(lambda word: int(Status[word])).to_numpy("int8")
    attrs = {"units": "households", "long_name": "displaced households"}
    return xr.Dataset(
        {
            "households": (("time", "unit"), wide["households"].to_numpy("float64"), attrs),
            "households_status": (("time", "unit"), codes, status_attrs()),
        },
        coords=coords,
    )
