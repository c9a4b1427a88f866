"""Tables of the displaced: why they left, whence they came, what changed since the round before, who hosts them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from geodata.rounds import published_change
from geodata.schema import Status
from geodata.store import read_cube, writing
from maps.tables import write_records
from models.host_pressure import hazard_at_origins, per_thousand
from models.protection import BASE, share, to_nearest

from .plan import Plan
from .settings import DISPLACEMENT, DISPLACEMENT_REASONS
from .workspace import stage

PRESSURES = (
    ("displaced_per_1000_residents", "displaced people per 1,000 residents"),
    ("arrivals_per_1000_residents", "displaced people who arrived since the round before, per 1,000 residents"),
    ("displaced_households_per_1000_m3d", "displaced households per 1,000 m3 of water supply a day"),
)

CROSSWALK = "crosswalk"


def publish_displacement(plan: Plan, work: str, cube: xr.Dataset, subdistricts: pd.DataFrame, words: str) -> None:
    """Write each table of the displaced that the country's sources allow; all are computed from protected cells."""
    tables = {
        "displacement_by_reason": by_reason(plan, work, subdistricts),
        "displacement_flows": between_governorates(plan, work, subdistricts),
        "displacement_change": since_the_round_before(work, subdistricts),
        "host_pressure": pressure_on_hosts(plan, work, cube, subdistricts),
        CROSSWALK: crosswalks(plan, work),
    }
    for name, rows in tables.items():
        if rows is not None and len(rows):
            counts = {str(c): rows[c].astype("Int64") for c in rows if str(c) in _COUNTS}
            with writing(Path(work) / "tables" / f"{name}.csv") as path:
                write_records(rows.assign(**counts, notice=words), path, {"share": 9})


def crosswalks(plan: Plan, work: str) -> pd.DataFrame | None:
    """The crosswalks that people were moved by, each pair of units with the sources it served."""
    paths = {name: stage(work) / f"{name}_{CROSSWALK}.parquet" for name in plan.settings.sources}
    parts = [pd.read_parquet(path).assign(source=name) for name, path in paths.items() if path.is_file()]
    if not parts:
        return None
    pairs = pd.concat(parts).groupby(["from_pcode", "to_pcode", "share"])["source"]
    return pairs.agg("; ".join).reset_index()


def by_reason(plan: Plan, work: str, subdistricts: pd.DataFrame) -> pd.DataFrame | None:
    """Households by reason, unit and round."""
    parts = [kept_rows(work, f"{block}_reasons", plan) for block in (DISPLACEMENT, DISPLACEMENT_REASONS)]
    known = [rows for rows in parts if rows is not None]
    if not known:
        return None
    rows = pd.concat(known, ignore_index=True)
    rows.insert(1, "name_en", rows["code"].map(names_of_units(subdistricts)))
    return rows.sort_values(["level", "code", "round"], ignore_index=True)


def between_governorates(plan: Plan, work: str, subdistricts: pd.DataFrame) -> pd.DataFrame | None:
    """Households from governorate to governorate, to the nearest 5; of each destination they add up, but for rounding,
    to the protected counts of its subdistricts."""
    rows = kept_rows(work, f"{DISPLACEMENT}_flows", plan)
    if rows is None:
        return None
    untold = rows["weight"].where(rows["origin"] == "", 0.0).groupby(rows["round"]).transform("sum")
    rows = rows[(rows["origin"] != "") | (untold > 0)]
    names = names_of_units(subdistricts)
    told = (rows["weight"] >= BASE) | ~rows["anybody"]
    return pd.DataFrame(
        {
            "round": rows["round"],
            "origin_pcode": rows["origin_pcode"],
            "origin": rows["origin_pcode"].map(names).fillna(rows["origin"]),
            "destination_pcode": rows["destination_pcode"],
            "destination": rows["destination_pcode"].map(names),
            "households": to_nearest(rows["weight"]).where(told),
            "status": np.where(told, Status.ok.name, Status.suppressed.name),
        }
    ).sort_values(["round", "destination_pcode", "origin_pcode", "origin"], ignore_index=True)


def since_the_round_before(work: str, subdistricts: pd.DataFrame) -> pd.DataFrame | None:
    """Change between the protected counts of the last two rounds, and whether it may be called one."""
    path = stage(work) / f"{DISPLACEMENT}_words.parquet"
    if not path.is_file():
        return None
    words = pd.read_parquet(path).set_index("pcode")
    rounds = [words[f"round_{side}"].iloc[0] for side in ("before", "after")]
    cube = read_cube(stage(work) / f"{DISPLACEMENT}.nc")
    before, after = (cells_at(cube.sel(time=day)) for day in rounds)
    rows = subdistricts[["name_en", "name_ar", "name_ckb", "adm1_name", "adm2_name"]].join(
        words[["round_before", "round_after"]]
    )
    for side, table in (("before", before), ("after", after)):
        rows[f"households_{side}"] = table["households"]
        rows[f"households_{side}_status"] = table["households_status"]
    return rows.join(published_change(before, after, words["comparability"])).rename_axis("pcode").reset_index()


def cells_at(one: xr.Dataset, name: str = "displaced_households") -> pd.DataFrame:
    """Protected counts of one time, as `models.protection.protect` gives them."""
    words = [Status(int(code)).name for code in one[f"{name}_status"].values]
    values = {"households": one[name].values, "households_status": words}
    return pd.DataFrame(values, index=pd.Index(one["pcode"].values, name="pcode"))


# ------------------------------------------------------------------ host pressure


def with_host_pressure(cube: xr.Dataset, people_per_household: float) -> xr.Dataset:
    """The waist with displaced people and new arrivals against residents and water, where a country has both."""
    out = cube
    ratios = {
        PRESSURES[0][0]: ("displaced_people", 1.0, "residents"),
        PRESSURES[1][0]: ("displaced_arrivals_households", people_per_household, "residents"),
        PRESSURES[2][0]: ("displaced_households", 1.0, "water_supply"),
    }
    for (name, words), (part, factor, whole) in zip(PRESSURES, ratios.values(), strict=True):
        if part in cube and whole in cube:
            bottom = cube[[whole, f"{whole}_status"]]
            bottom = bottom.sel(scenario="mid", drop=True) if "scenario" in bottom.dims else bottom
            values, status = per_thousand(
                cube[part] * factor, cube[f"{part}_status"], bottom[whole], bottom[f"{whole}_status"]
            )
            values = values.transpose("time", "pcode").assign_attrs(units="1", long_name=words)
            out = out.assign({name: values, f"{name}_status": status.transpose("time", "pcode")})
    return out


def pressure_on_hosts(plan: Plan, work: str, cube: xr.Dataset, subdistricts: pd.DataFrame) -> pd.DataFrame | None:
    """What each subdistrict hosts with what, the hazard here, and the hazard where its displaced come from."""
    if DISPLACEMENT not in plan.settings.sources:
        return None
    last = cube.isel(time=-1)
    rows = subdistricts[["name_en", "name_ar", "name_ckb", "adm1_pcode", "adm1_name", "adm2_name"]].copy()
    for name in (*(name for name, _ in PRESSURES), "hazard"):
        told = name in last
        rows[name] = last[name].values if told else np.nan
        flags = last[f"{name}_status"].values if told else [Status.input_missing] * len(rows)
        rows[f"{name}_status"] = [Status(int(code)).name for code in flags]
    critical = [cells_at(last, part) for part in ("displaced_households", "displaced_critical")]
    cells = critical[0].join(critical[1].set_axis(["critical", "critical_status"], axis=1))
    rows[["share_critical", "share_critical_status"]] = share(cells, "critical")
    rows = rows.join(of_origins(plan, work, rows["hazard"], subdistricts), on="adm1_pcode")
    absent = rows["hazard_at_origins_status"].isna()
    rows.loc[absent, "hazard_at_origins_status"] = Status.input_missing.name
    return rows.drop(columns="adm1_pcode").rename_axis("pcode").reset_index().assign(as_of=plan.as_of)


def of_origins(plan: Plan, work: str, hazard: pd.Series, subdistricts: pd.DataFrame) -> pd.DataFrame:
    """Hazard at the origins of the displaced of each governorate, weighted by the flows of the last known round."""
    flows = kept_rows(work, f"{DISPLACEMENT}_flows", plan)
    if flows is None or flows.empty:
        return pd.DataFrame(columns=["hazard_at_origins", "hazard_at_origins_status"])
    last = flows[(flows["round"] == flows["round"].max()) & (flows["origin"] != "")]
    weights = last.pivot_table(index="origin_pcode", columns="destination_pcode", values="weight", aggfunc="sum")
    return hazard_at_origins(weights, hazard.groupby(subdistricts["adm1_pcode"]).mean())


# ------------------------------------------------------------------ pieces

_COUNTS = (
    *("households", "households_before", "households_after", "change"),
    *("climate", "mixed", "unknown", "other", "conflict", "climate_at_most"),
)


def kept_rows(work: str, name: str, plan: Plan) -> pd.DataFrame | None:
    """Protected rows that reading stored, of the rounds that were known at the end of the as-of month."""
    path = stage(work) / f"{name}.parquet"
    if not path.is_file():
        return None
    rows = pd.read_parquet(path)
    wait = pd.Timedelta(days=plan.settings.sources[name.rpartition("_")[0]].available_after_days)
    return rows[pd.to_datetime(rows["round"]) + wait <= pd.Timestamp(plan.as_of_end)]


def names_of_units(subdistricts: pd.DataFrame) -> dict[str, str]:
    """Code of a unit of any level -> its English name."""
    pairs = [("adm1_pcode", "adm1_name"), ("adm2_pcode", "adm2_name")]
    names = {code: name for pair in pairs for code, name in subdistricts[list(pair)].to_numpy()}
    return names | subdistricts["name_en"].to_dict()
