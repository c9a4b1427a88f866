"""What a movement of households would change at both ends: the same scores, from the same published counts.

Nothing leaks: the counts that move are those a run published, and every number here follows from them and from
what the user typed. What a movement may not be (more households than were published, or from a place whose count is
hidden) is told by the published count alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import xarray as xr
from prefect import flow

from geodata.name_ladder import ladder_of
from geodata.schema import KEEPS_VALUE, Finding, InputError, Status, has_status, status_attrs
from models.demand import domestic_demand
from models.protection import LARGEST_SUPPRESSED, STAND_IN
from models.relocation import ARRIVING, COLUMNS, KINDS, LEAVING, Movement, hosts, most_that_can_move, relocate

from .balance_water import by_shelter, shown
from .compare_table import plain_word
from .finished_run import FinishedRun
from .plan import plan_run, with_inputs
from .policy import quiet_input_errors
from .rescoring import Scored, measured, month_of, rescored
from .scenario_run import run_for
from .scenario_words import AS_MEASURED, RANGED, SCENARIO, WATER_AS_BEFORE, told
from .settings import DISPLACEMENT, Settings, includes_displaced

IN_CUBE = {
    "residents": "residents",
    "households": "displaced_households",
    "critical": "displaced_critical",
    "camp_or_critical": "displaced_camp_or_critical",
    "protracted": "displaced_protracted",
    "climate": "displaced_climate_households",
}
"""Count of `models.relocation` -> its name in the cube."""

MOVE_WORDS = {
    "displaced": "{n:,} displaced households go from {a} to {b} and stay displaced",
    "return": "{n:,} displaced households of {a} become residents of {b}",
    "evacuation": "{n:,} households of residents of {a} are displaced to {b}",
}
LITRES = 1000.0
ENDS = ("origin", "destination")


@flow(name="relocate-households")
def relocate_households(
    origin: str,
    destination: str,
    households: str,
    config: str,
    issued: str,
    data: str | None = None,
    as_of: str | None = None,
    out: str = "out",
    kind: str = "displaced",
    leaving: str = "any",
    arriving: str = "same",
) -> dict[str, Any]:
    """Risk, water and host pressure at both ends, before and after a movement; nothing published changes.

    Parameters
    ----------
    origin, destination : str, p-codes, or names that mean one subdistrict
    households : str, a whole number
    config, data, as_of, issued, out : as of `wadi run`; the run of that month is used, or made if none is kept
    kind, leaving, arriving : see `models.relocation`

    Returns
    -------
    dict of plain values, as `wadi relocate --json` prints it

    Raises
    ------
    InputError : an argument or an input is wrong
    """
    quiet_input_errors()
    for field, word, known in (
        ("--kind", kind, KINDS),
        ("--leaving", leaving, LEAVING),
        ("--arriving", arriving, ARRIVING),
    ):
        if word not in known:
            raise _wrong(field, repr(word), f"one of {', '.join(known)}")
    number = whole_number(households)
    run = run_for(with_inputs(plan_run(config, data, as_of, issued)), out)
    codes = [unit_of(text, run.subdistricts, name) for text, name in ((origin, "A"), (destination, "B"))]
    if codes[0] == codes[1]:
        raise _wrong("B", f"{destination!r}, the same subdistrict as A", "another subdistrict")
    return report_of(run, Movement(codes[0], codes[1], number, kind, leaving, arriving))


def report_of(run: FinishedRun, movement: Movement) -> dict[str, Any]:
    """Both ends of a movement, before and after, as plain values.

    Raises
    ------
    InputError : more households than the published count, or a count that is hidden or not known
    """
    settings, month = run.plan.settings, month_of(run)
    inputs = measured(run, month)
    cells = cells_of(inputs, [movement.origin, movement.destination])
    refuse_more_than_there_are(cells, movement, settings, run.subdistricts)
    before = with_stand_ins(cells)
    after = relocate(before, movement, **how(settings))
    scored = [rescored(run.plan, cube, run.sheet) for cube in (inputs, with_counts(inputs, after, settings))]
    water = water_of(run, month, scored)
    sides = [
        {end: measures(run, s, frame, cells, water[n], pcode, n) for end, pcode in zip(ENDS, cells.index, strict=True)}
        for n, (s, frame) in enumerate(zip(scored, (before, after), strict=True))
    ]
    ends = {
        end: place_of(run, pcode) | {"before": sides[0][end], "after": sides[1][end]} for end, pcode in _ends(cells)
    }
    names = [ends[end]["name"] for end in ENDS]
    words = MOVE_WORDS[movement.kind].format(n=movement.households, a=names[0], b=names[1])
    return {
        "run": run.name,
        "as_of": run.plan.as_of,
        "title": run.receipt["headlines"]["title"],
        "notice": str(month.attrs.get("notice", "")).split(" · ")[0],
        "movement": {
            "origin": movement.origin,
            "destination": movement.destination,
            "households": movement.households,
            "kind": movement.kind,
            "leaving": movement.leaving,
            "arriving": movement.arriving,
            "words": words,
        },
        **ends,
        "households": account_of(cells, before, after, movement),
        "notes": [SCENARIO, AS_MEASURED, *([WATER_AS_BEFORE] if water[0] is not None else [])],
    }


# ------------------------------------------------------------------ what was typed


def whole_number(text: str) -> int:
    """A whole number above 0; InputError for anything else."""
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise _wrong("N", repr(text), "a whole number of households above 0")
    return int(text)


def unit_of(text: str, subdistricts: gpd.GeoDataFrame, field: str) -> str:
    """P-code of the one subdistrict that a p-code or a name means; else InputError that lists the nearest."""
    if text in subdistricts.index:
        return text
    match = ladder_of(subdistricts, 3).climb(text)
    if match.code:
        return str(match.code)
    near = [f"{c.name}, {subdistricts.at[c.code, 'adm2_name']} ({c.code})" for c in match.candidates]
    found = f"{text!r}, {match.why}"
    raise _wrong(field, found, f"a p-code or one of its names; nearest: {'; '.join(near)}" if near else "a p-code")


def refuse_more_than_there_are(
    cells: pd.DataFrame, movement: Movement, settings: Settings, subdistricts: gpd.GeoDataFrame
) -> None:
    """Raise InputError unless the published count of the origin holds the households that are to move."""
    most = most_that_can_move(cells[list(COLUMNS)], movement, **how(settings))
    name = subdistricts.at[movement.origin, "name_en"]
    group = "households of residents" if movement.kind == "evacuation" else "displaced households"
    shelter = "" if movement.leaving == "any" or movement.kind == "evacuation" else f" in {movement.leaving} shelter"
    if np.isnan(most):
        hidden = cells.loc[movement.origin, "households_status"] == Status.suppressed.name
        found = f"{group}{shelter} in {name}: {'few (1-4)' if hidden else 'not told by the published counts'}"
        raise _wrong("A", found, "a subdistrict with a published count")
    if movement.households > most:
        raise _wrong("N", f"{movement.households:,}", f"at most {most:,.0f}, the published {group}{shelter} in {name}")


def how(settings: Settings) -> dict[str, Any]:
    """What the country file says of households and residents."""
    return {
        "people_per_household": settings.country.people_per_household,
        "residents_include_displaced": includes_displaced(settings),
    }


def _wrong(field: str, found: str, expected: str) -> InputError:
    return InputError(Finding("error", "arguments", "command line", field, found, expected))


# ------------------------------------------------------------------ counts


def cells_of(cube: xr.Dataset, pcodes: list[str]) -> pd.DataFrame:
    """Published counts of some subdistricts with the words of their statuses; NaN where none is told."""
    now = cube.isel(time=-1).sel(pcode=pcodes)
    out = pd.DataFrame(index=pd.Index(pcodes, name="pcode"))
    for name, variable in IN_CUBE.items():
        known = variable in now
        out[name] = now[variable].values.astype(float) if known else np.nan
        flags = now[f"{variable}_status"].values if known else [int(Status.input_missing)] * len(pcodes)
        out[f"{name}_status"] = [Status(int(flag)).name for flag in flags]
    return out


def with_stand_ins(cells: pd.DataFrame) -> pd.DataFrame:
    """Counts to reckon with: a suppressed one with its stand-in."""
    out = pd.DataFrame(index=cells.index)
    for name in COLUMNS:
        out[name] = cells[name].mask(cells[f"{name}_status"] == Status.suppressed.name, STAND_IN)
    return out


def with_counts(cube: xr.Dataset, counts: pd.DataFrame, settings: Settings) -> xr.Dataset:
    """The month with other counts of some subdistricts, each told, or hidden, as a run tells it."""
    cube = cube.copy(deep=True)
    people = settings.country.people_per_household
    for pcode, row in counts.iterrows():
        here = {"pcode": pcode}
        for name in [n for n in COLUMNS if IN_CUBE[n] in cube]:
            value, variable = float(row[name]), IN_CUBE[name]
            few = name != "residents" and 0.0 < value < LARGEST_SUPPRESSED + 1
            cube[variable].loc[here] = np.nan if few else value
            flags = cube[f"{variable}_status"]
            if few:
                flags.loc[here] = int(Status.suppressed)
            elif not np.isnan(value) and not bool(has_status(flags.loc[here], KEEPS_VALUE).all()):
                flags.loc[here] = int(Status.ok)
        cube["displaced_people"].loc[here] = cube["displaced_households"].loc[here] * people
        cube["displaced_people_status"].loc[here] = cube["displaced_households_status"].loc[here]
    return cube


def account_of(cells: pd.DataFrame, before: pd.DataFrame, after: pd.DataFrame, movement: Movement) -> dict[str, Any]:
    """Households at both ends: those told before, those after, and who changed what they are."""
    status = cells["households_status"]
    hidden = (status == Status.suppressed.name).sum() * STAND_IN
    besides = {Status.suppressed.name: "few (1-4)", Status.input_missing.name: "those that nobody counted"}
    n = movement.households
    return {
        "displaced_before": round(before["households"].sum() - hidden),
        "displaced_after": round(after["households"].sum() - hidden),
        "moved": n,
        "became_residents": n if movement.kind == "return" else 0,
        "became_displaced": n if movement.kind == "evacuation" else 0,
        "besides": [f"{besides[s]} at the {end}" for end, s in zip(ENDS, status, strict=True) if s in besides],
    }


# ------------------------------------------------------------------ measures


def measures(
    run: FinishedRun,
    scored: Scored,
    counts: pd.DataFrame,
    cells: pd.DataFrame,
    water: Mapping[str, xr.Dataset] | None,
    pcode: str,
    side: int,
) -> dict[str, dict[str, Any]]:
    """What is told of one end, before (side 0) or after (1)."""
    last = scored.cube.isel(time=-1).sel(pcode=pcode)
    row, published = scored.table.loc[pcode], run.subdistricts.loc[pcode]
    out = {"risk": risk_of(row, word_of(last, "risk"))}
    for name in ("risk_class", "risk_tier"):
        ranged = row["risk_basis"] == RANGED and not row[name]
        out[name] = {"value": str(row[name]) or None, "status": RANGED if ranged else word_of(last, "risk")}
    for name in ("hazard", "exposure", "vulnerability"):
        out[name] = told(float(last[name]), word_of(last, name))
    out["displaced_households"] = households_of(last, cells.loc[pcode], counts.at[pcode, "households"], side)
    out["residents"] = told(float(last["residents"]), word_of(last, "residents"), 0)
    out["host_pressure"] = pressure_of(counts.loc[[pcode]], out["displaced_households"], run.plan.settings)
    out |= {name: per_head(water, name, last, pcode) for name in ("water_demand", "water_supply")}
    level = plain_word("alert_level", int(published["alert_level"]))
    out["alert_level"] = {"value": level, "status": Status.ok.name}
    return out


def risk_of(row: pd.Series, status: str) -> dict[str, Any]:
    """A risk: the score, or its range where one dimension is not known, or why there is none."""
    if row["risk_basis"] == RANGED:
        ends = {end: told(float(row[f"risk_{end}"]), status)["value"] for end in ("low", "high")}
        return {**ends, "status": status}
    return told(float(row["risk"]), status)


def households_of(last: xr.Dataset, cell: pd.Series, now: float, side: int) -> dict[str, Any]:
    """Displaced households: the count, or those who came to a few or to those that nobody counted."""
    status = str(cell["households_status"])
    known = status in {s.name for s in KEEPS_VALUE}
    arrived = now - (STAND_IN if status == Status.suppressed.name else 0.0)
    if side and not known and arrived > 0:
        return {"at_least": round(arrived), "status": status}
    return told(float(last["displaced_households"]), word_of(last, "displaced_households"), 0)


def pressure_of(counts: pd.DataFrame, households: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """Displaced people for each 1,000 residents who are not displaced."""
    residents = float(hosts(counts, **how(settings)).iloc[0])
    if np.isnan(residents):
        return told(np.nan, Status.exposure_unknown.name)
    if residents == 0:
        return told(np.nan, Status.insufficient_data.name)
    if households.get("value") is None and "at_least" not in households:
        return told(np.nan, households["status"])
    count = float(households.get("value", households.get("at_least", np.nan)))
    people = count * settings.country.people_per_household
    if "at_least" in households:
        return {"at_least": round(1000 * people / residents), "status": households["status"]}
    return told(1000.0 * people / residents, households["status"])


def place_of(run: FinishedRun, pcode: str) -> dict[str, Any]:
    """Names of a subdistrict, and the reason of its alert level."""
    row = run.subdistricts.loc[pcode]
    names = {"pcode": pcode, "name": row["name_en"], "district": row["adm2_name"]}
    return names | {"warning_reason": row["warning_reason"]}


def word_of(last: xr.Dataset, name: str) -> str:
    """Word of a status."""
    return Status(int(last[f"{name}_status"])).name


def _ends(cells: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(ENDS, map(str, cells.index), strict=True))


# ------------------------------------------------------------------ water


def water_of(run: FinishedRun, month: xr.Dataset, scored: list[Scored]) -> list[dict[str, xr.Dataset] | None]:
    """Demand of people and what they get, m3/day, before and after; None in a country without coefficients."""
    coefficients = run.plan.settings.water_demand
    if coefficients is None or "water_unmet_domestic" not in month:
        return [None, None]
    demands = [domestic_of(run, s.cube.isel(time=[-1])) for s in scored]
    before = demands[0]["demand_domestic"]
    delivered = before - month["water_unmet_domestic"]
    flags = month["water_unmet_domestic_status"]
    return [
        {
            "water_demand": _pair(demand["demand_domestic"], demand["demand_domestic_status"]),
            "water_supply": _pair(xr.ufuncs.minimum(delivered, demand["demand_domestic"]), flags),
        }
        for demand in demands
    ]


def domestic_of(run: FinishedRun, cube: xr.Dataset) -> xr.Dataset:
    """Domestic demand of the people of a month, as of `balance_water`."""
    settings = run.plan.settings
    assert settings.water_demand is not None
    counted = DISPLACEMENT in settings.sources
    people = settings.country.people_per_household
    return domestic_demand(
        cube["residents"].assign_attrs(units="people"),
        by_shelter(cube, people) if counted else None,
        settings.water_demand.domestic,
        residents_status=cube["residents_status"],
        displaced_status=shown(cube["displaced_households_status"]) if counted else None,
        residents_include_displaced=includes_displaced(settings),
    )


def per_head(water: Mapping[str, xr.Dataset] | None, name: str, last: xr.Dataset, pcode: str) -> dict[str, Any]:
    """Litres for each person and day at three levels, or why they are not known."""
    if water is None:
        return told(np.nan, Status.input_missing.name)
    found = water[name].isel(time=-1).sel(pcode=pcode)
    litres = found["value"] * LITRES / float(last["people"])
    flags = found["status"]
    if not np.isfinite(litres.values).all():
        return told(np.nan, Status(int(flags.max())).name)
    least, mid, most = np.sort(litres.values)
    return {"least": round(least), "mid": round(mid), "most": round(most), "status": Status.ok.name}


def _pair(values: xr.DataArray, flags: xr.DataArray) -> xr.Dataset:
    return xr.Dataset({"value": values.drop_attrs(), "status": flags.astype("int8").assign_attrs(status_attrs())})
