"""Demand for water, what rivers and canals deliver of it, and what is left unmet: by subdistrict and above.

The balance asks what the people, fields and animals of the as-of month need, in the weather and with
the inflow of each month of the record. So its last month speaks of the as-of month, and all months
together say how often the water would do for those who are there now.

Nothing leaks. Displaced people enter as the protected counts of the stage, a suppressed one with
its stand-in, and as nothing else: neither this stage nor what it calls opens a list of locations.
All that it computes, sums over districts included, is a function of these cells, so two true tables
that are protected alike give the same balance to the last digit (`models.protection`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

import geopandas as gpd
import numpy as np
import pandas as pd
import xarray as xr
from prefect import flow

from geodata.calendar import month_axis, period_ends
from geodata.categories import unknown_categories
from geodata.schema import (
    KEEPS_VALUE,
    InputError,
    Status,
    check_cube,
    has_status,
    status_attrs,
    status_like,
)
from geodata.store import read_cube, write_cube, write_dataset
from models.allocation import allocate, mass_balance, require_balance
from models.demand import (
    PARTS,
    DemandOptions,
    displaced_by_shelter,
    domestic_demand,
    irrigation_demand,
    livestock_demand,
    unknown_demand,
    with_total,
    words_of_sectors,
)
from models.water_balance import (
    LEVELS,
    USERS,
    BalanceOptions,
    aggregate,
    at_nodes,
    supply_performance,
    to_units,
    use_over_resource,
    without_supply,
)

from .months import on_months, reindexed
from .plan import Plan
from .policy import computing
from .score_risk import stood_in
from .settings import DISPLACEMENT, RESIDENTS, includes_displaced
from .workspace import load_plan, stage

log = logging.getLogger("wadi")

MONTHS_OF_A_YEAR = 12
M3_PER_MM_KM2 = 1e3
SECTORS = ("domestic", "irrigation", "livestock")
SUMMED = (*(f"demand_{s}" for s in SECTORS), "demand_total", "supply", *(f"unmet_{s}" for s in SECTORS), "unmet_total")
COLUMNS = (
    "level",
    "pcode",
    "name_en",
    "scenario",
    *(f"{name}_m3d" for name in SUMMED),
    "unmet_share",
    "supply_reliability",
    "status",
    "demand_domestic_status",
    "demand_status",
    "sectors_known",
    "sectors_partly_known",
    "units",
    "units_with_demand",
    "units_with_supply",
    "as_of",
)


@flow(name="balance-water")
def balance_water(work: str) -> None:
    """Balance demand against supply, and store it by subdistrict and by node of the network."""
    plan = load_plan(work)
    coefficients = plan.settings.water_demand
    if coefficients is None:
        return
    cube, nodes = balance(plan, work, coefficients, plan.settings.water_balance or BalanceOptions())
    write_cube(cube, stage(work) / "water_balance.nc", packed=False)
    if nodes is not None:
        write_dataset(nodes, stage(work) / "water_nodes.nc", packed=False)
    known = cube["supply"].isel(time=-1).notnull().any("scenario")
    log.info("Water balance: supply of %d of %d subdistricts", int(known.sum()), known.size)


@computing("balance")
def balance(
    plan: Plan, work: str, coefficients: DemandOptions, options: BalanceOptions
) -> tuple[xr.Dataset, xr.Dataset | None]:
    """Demand, supply and what is unmet.

    Returns
    -------
    Dataset (time, pcode, scenario), each variable with its status
        ``demand_<sector>``, ``demand_total``, ``sectors_known``, and those of
        `models.water_balance.to_units` and `supply_performance`.
    Dataset (time, node, ...) or None
        From `models.allocation.allocate`, with ``mass_balance``; None without a network.

    Raises
    ------
    InputError : a crop or an animal without a coefficient
    """
    months = months_of_balance(plan, work, options)
    demand, sectors = demand_of(plan, work, coefficients, options, months)
    if options.network is None:
        supply, nodes = without_supply(demand, Status[options.without_network]), None
    else:
        supply, nodes = supply_of(plan, work, demand, sectors, coefficients, options)
    cube = xr.merge([demand, supply, supply_performance(supply)], join="exact").transpose("time", "pcode", ...)
    # of the domestic sector the parts stay inside: of few households one of them tells nothing but the stand-in
    cube = cube.drop_vars([f"demand_{part}{end}" for part in ("residents", "displaced") for end in ("", "_status")])
    if set(sectors) != set(USERS):
        cube = cube.assign(without_share(cube))
    cube.attrs = {
        "comment": f"people, fields and animals of {plan.as_of} in every month",
        "sectors_left_out": " ".join(s for s in USERS if s not in sectors),
    }
    check_cube(cube)
    return cube, nodes


def without_share(cube: xr.Dataset) -> dict[str, xr.DataArray]:
    """No share of the demand is told where a sector has no source: what nobody counted may be what goes short."""
    name = "unmet_share"
    flags = cube[f"{name}_status"]
    told = xr.where(has_status(flags, KEEPS_VALUE), np.int8(Status.insufficient_data), flags)
    return {name: cube[name].where(False), f"{name}_status": told.astype("int8").assign_attrs(status_attrs())}


def months_of_balance(plan: Plan, work: str, options: BalanceOptions) -> pd.DatetimeIndex:
    """From the first month of inflow, or the declared one, to the as-of month; a year where there is no inflow."""
    first = pd.Timestamp(plan.as_of) - pd.DateOffset(months=MONTHS_OF_A_YEAR - 1)
    if options.network is not None:
        measured = network_of(work, options.network).indexes["time"]
        declared = measured[measured >= pd.Timestamp(options.first_month)] if options.first_month else measured
        first = min(declared, default=first)
    return month_axis(min(first, pd.Timestamp(plan.as_of)), plan.as_of)


# ------------------------------------------------------------------ demand


def demand_of(
    plan: Plan, work: str, coefficients: DemandOptions, options: BalanceOptions, months: pd.DatetimeIndex
) -> tuple[xr.Dataset, tuple[str, ...]]:
    """Demand of every subdistrict with its total, and the sectors that this country has sources of."""
    parts = [people_demand(plan, work, coefficients, months)]
    like = parts[0]["demand_domestic"].isel(scenario=0, drop=True)
    herd = options.livestock is not None and coefficients.livestock is not None
    weather = (options.irrigated_area, options.rain, options.evapotranspiration, coefficients.irrigation)
    fields = all(part is not None for part in weather)
    for sector, there, compute in (("livestock", herd, animals_demand), ("irrigation", fields, fields_demand)):
        found = compute(plan, work, coefficients, options, months) if there else unknown_demand(sector, like)
        parts.append(found)
    sources = {"domestic": RESIDENTS in plan.settings.sources, "livestock": herd, "irrigation": fields}
    order = ("time", "pcode", "scenario")
    whole = xr.merge(parts, join="exact").transpose(*order)
    return with_total(whole), tuple(s for s in USERS if sources[s])


def people_demand(plan: Plan, work: str, coefficients: DemandOptions, months: pd.DatetimeIndex) -> xr.Dataset:
    """Domestic demand of residents and of displaced people, the latter from protected counts alone."""
    now = {name: as_of_month(plan, work, name) for name in (RESIDENTS, DISPLACEMENT) if name in plan.settings.sources}
    pcodes = gpd.read_parquet(stage(work) / "subdistricts.parquet").index.to_numpy().astype(str)
    nobody = xr.DataArray(
        np.full(len(pcodes), np.nan), dims="pcode", coords={"pcode": pcodes}, attrs={"units": "people"}
    )
    residents = now[RESIDENTS]["residents"] if RESIDENTS in now else nobody
    flags = now[RESIDENTS]["residents_status"] if RESIDENTS in now else status_like(nobody, Status.input_missing)
    groups, displaced_flags = None, None
    if DISPLACEMENT in now:
        groups = by_shelter(now[DISPLACEMENT], plan.settings.country.people_per_household)
        groups = {name: in_every(part, months) for name, part in groups.items()}
        displaced_flags = in_every(shown(now[DISPLACEMENT]["displaced_households_status"]), months)
    return domestic_demand(
        in_every(residents, months),
        groups,
        coefficients.domestic,
        residents_status=in_every(flags, months),
        displaced_status=displaced_flags,
        residents_include_displaced=includes_displaced(plan.settings),
    )


def by_shelter(counts: xr.Dataset, people_per_household: float) -> dict[str, xr.DataArray]:
    """Displaced people by class of shelter, from the protected cube.

    Camps are told by the protected count of households in camps or critical shelter, of which
    critical shelter is a part: a count of camps alone, beside that of critical shelter, would be a
    second part of the same whole, and two of them narrow what is protected. Where it is not known,
    whoever is not in critical shelter is ``other``.
    """
    critical = stood_in(counts, "displaced_critical")
    camp = (stood_in(counts, "displaced_camp_or_critical") - critical).clip(min=0.0)
    households = stood_in(counts, "displaced_households").assign_attrs(units="households")
    return displaced_by_shelter(households, people_per_household, critical=critical, camp=camp)


def shown(flags: xr.DataArray) -> xr.DataArray:
    """A suppressed count enters with its stand-in, so a demand made from it has a value."""
    return flags.where(flags != int(Status.suppressed), int(Status.ok)).astype("int8").assign_attrs(status_attrs())


def animals_demand(
    plan: Plan, work: str, coefficients: DemandOptions, options: BalanceOptions, months: pd.DatetimeIndex
) -> xr.Dataset:
    """Demand of livestock."""
    litres = coefficients.livestock or {}
    heads, flags = table_of(plan, work, str(options.livestock), "animal", litres)
    return livestock_demand(in_every(heads, months), litres, heads_status=in_every(flags, months))


def fields_demand(
    plan: Plan, work: str, coefficients: DemandOptions, options: BalanceOptions, months: pd.DatetimeIndex
) -> xr.Dataset:
    """Demand of irrigated crops in the weather of each month."""
    assert coefficients.irrigation is not None  # asked for by `demand_of` alone
    area, flags = table_of(plan, work, str(options.irrigated_area), "crop", coefficients.irrigation.crops)
    evapotranspiration, rain = (
        weather_of(plan, work, str(n), months) for n in (options.evapotranspiration, options.rain)
    )
    return irrigation_demand(
        in_every(area, months),
        evapotranspiration["value"],
        rain["value"],
        coefficients.irrigation,
        area_status=in_every(flags, months),
        evapotranspiration_status=evapotranspiration["value_status"],
        rain_status=rain["value_status"],
    )


# ------------------------------------------------------------------ supply


def supply_of(
    plan: Plan,
    work: str,
    demand: xr.Dataset,
    sectors: tuple[str, ...],
    coefficients: DemandOptions,
    options: BalanceOptions,
) -> tuple[xr.Dataset, xr.Dataset]:
    """What the network delivers to subdistricts, and what passes at its nodes; the water is accounted for."""
    name = str(options.network)
    network = network_of(work, name)
    serves = network["serves"].sel(pcode=demand["pcode"].values)
    inflow = known_by_then(network["border_inflow"], plan, name)
    runoff = runoff_of(plan, work, network, options, demand.indexes["time"])
    returns = returning(coefficients)
    allocation = allocate(network, at_nodes(demand, serves, sectors), inflow, runoff=runoff, returns=returns)
    residual = mass_balance(network, allocation, inflow, runoff=runoff, returns=returns)
    require_balance(residual)
    supply = to_units(allocation, demand, serves, sectors, without_network=Status[options.without_network])
    return supply, allocation.assign(mass_balance=residual)


def known_by_then(inflow: xr.DataArray, plan: Plan, name: str) -> xr.DataArray:
    """Inflow that could be had by the end of the as-of month; a month belongs to itself and is not carried on."""
    source = plan.settings.sources[name]
    ends = period_ends(pd.DatetimeIndex(inflow.indexes["time"]), source.cadence)
    available = ends + pd.Timedelta(days=source.available_after_days)
    return inflow.isel(time=available <= pd.Timestamp(plan.as_of_end))


def runoff_of(
    plan: Plan, work: str, network: xr.Dataset, options: BalanceOptions, months: pd.DatetimeIndex
) -> xr.DataArray | None:
    """Runoff that enters at each node (m3/day); not known where it is declared and has no source."""
    drains = network["drains"]
    if not bool((drains > 0).any()):
        return None
    area = gpd.read_parquet(stage(work) / "subdistricts.parquet")["area_km2"].to_xarray()
    if options.runoff is None:
        depth = area.expand_dims(time=months) * np.nan
    else:
        depth = weather_of(plan, work, options.runoff, months)["value"]
    water = depth * area * M3_PER_MM_KM2 / depth["time"].dt.days_in_month
    lacking = xr.dot(water.isnull().astype(float), drains, dim="pcode") > 0
    return xr.dot(water.fillna(0.0), drains, dim="pcode").where(~lacking).assign_attrs(units="m3/day")


def returning(coefficients: DemandOptions) -> xr.DataArray | None:
    """Share of what each sector is given that flows back (sector, scenario); the thirsty scenario returns least."""
    parts = {sector: share.along(thirsty="low") for sector, share in coefficients.returns.items()}
    return xr.concat(list(parts.values()), dim=pd.Index(list(parts), name="sector")) if parts else None


# ------------------------------------------------------------------ sources of the stage


def network_of(work: str, name: str) -> xr.Dataset:
    """The network as it was read."""
    return read_cube(stage(work) / f"{name}.nc")


def as_of_month(plan: Plan, work: str, name: str) -> xr.Dataset:
    """Variables (pcode) of a source that lasts, as known at the end of the as-of month."""
    cube = read_cube(stage(work) / f"{name}.nc")
    on_axis = on_months(cube.drop_vars("effective_cells", errors="ignore"), plan.settings.sources[name], plan)
    return on_axis.isel(time=-1, drop=True)


def weather_of(plan: Plan, work: str, name: str, months: pd.DatetimeIndex) -> xr.Dataset:
    """``value`` and ``value_status`` (time, pcode) of a monthly source."""
    cube = read_cube(stage(work) / f"{name}.nc")[[name, f"{name}_status"]]
    on_axis = on_months(cube.drop_vars("effective_cells", errors="ignore"), plan.settings.sources[name], plan)
    return reindexed(on_axis, months).rename({name: "value", f"{name}_status": "value_status"})


def table_of(
    plan: Plan, work: str, name: str, dim: str, coefficients: Mapping[str, object]
) -> tuple[xr.DataArray, xr.DataArray]:
    """Amounts by category (pcode, <dim>) and their status, as known at the end of the as-of month.

    Raises
    ------
    InputError : a category without a coefficient
    """
    cube = read_cube(stage(work) / f"{name}.nc")
    path = plan.settings.sources[name].path
    if findings := unknown_categories(cube, coefficients, source=f"sources.{name}", file=path):
        raise InputError(findings)
    categories = [str(c) for c in cube["category"].values]
    flat = xr.Dataset()
    for n, category in enumerate(categories):
        flat[f"c{n}"] = cube[name].sel(category=category, drop=True)
        flat[f"c{n}_status"] = cube[f"{name}_status"].sel(category=category, drop=True)
    now = on_months(flat, plan.settings.sources[name], plan).isel(time=-1, drop=True)
    index = pd.Index(categories, name=dim)
    values, flags = (
        xr.concat([now[f"c{n}{end}"] for n in range(len(categories))], dim=index, combine_attrs="override")
        for end in ("", "_status")
    )
    units = plan.settings.sources[name].units
    return values.transpose("pcode", dim).assign_attrs(units=units), flags.transpose("pcode", dim)


def in_every(values: xr.DataArray, months: pd.DatetimeIndex) -> xr.DataArray:
    """The as-of month's value in every month."""
    return values.expand_dims(time=months).assign_attrs(values.attrs)


# ------------------------------------------------------------------ the table


def water_table(cube: xr.Dataset, subdistricts: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The balance of the as-of month at three levels, unrounded.

    Parameters
    ----------
    cube : Dataset (time, pcode, scenario)
        From `balance`.
    subdistricts : DataFrame
        The subdistricts table.

    Returns
    -------
    dict "subdistrict", "district", "governorate" -> DataFrame with `COLUMNS`
        Sorted by p-code and scenario. A sum stands where it is known of every subdistrict:
        ``units_with_demand`` and ``units_with_supply`` of ``units``, and ``sectors_partly_known`` says which
        parts of the demand are known in some of them only. ``demand_total_m3d`` alone is then a lower bound.
        ``status`` is that of the supply and of what is unmet.
    """
    last = cube.isel(time=[-1])
    tables = {}
    for level, column in LEVELS.items():
        codes = pd.Series(subdistricts.index if column == "pcode" else subdistricts[column], index=subdistricts.index)
        names = subdistricts.groupby(codes.to_numpy())[_NAMES[level]].first()
        tables[level] = _level_table(last, codes.rename("unit"), names, level)
    return tables


_NAMES = {"subdistrict": "name_en", "district": "adm2_name", "governorate": "adm1_name"}


def _level_table(last: xr.Dataset, codes: pd.Series, names: pd.Series, level: str) -> pd.DataFrame:
    sums = aggregate(last, codes, SUMMED).isel(time=0)
    rows = sums[list(SUMMED)].reset_coords(drop=True).to_dataframe(dim_order=["unit", "scenario"])
    rows = rows.rename(columns={name: f"{name}_m3d" for name in SUMMED})
    used = use_over_resource(sums["unmet_total"], sums["unmet_total"] + sums["supply"])
    rows["unmet_share"] = np.nan if last.attrs.get("sectors_left_out") else used["ratio"].to_series()
    rows["supply_reliability"] = np.nan
    if level == "subdistrict":
        rows["supply_reliability"] = _of_units(last["supply_reliability"].isel(time=0))
    for name, column in (
        ("supply", "status"),
        ("demand_domestic", "demand_domestic_status"),
        ("demand_total", "demand_status"),
    ):
        rows[column] = _of_units(sums[f"{name}_status"].broadcast_like(sums[name])).map(lambda c: Status(int(c)).name)
    known, partly = _sectors_of(last["sectors_known"].isel(time=0), codes)
    unit = rows.index.get_level_values("unit")
    rows["sectors_known"], rows["sectors_partly_known"] = known.loc[unit].to_numpy(), partly.loc[unit].to_numpy()
    rows["units"] = sums["units"].to_series().loc[unit].to_numpy()
    rows["units_with_demand"] = _of_units(sums["demand_total_units"])
    rows["units_with_supply"] = _of_units(sums["supply_units"])
    # What is known of some of its subdistricts is not known of a larger unit: 0 of three is not 0.
    in_part = {name: _of_units(sums[f"{name}_units"]).between(1, rows["units"] - 1) for name in SUMMED}
    for name in [name for name in SUMMED if name != "demand_total"]:  # which is told as a lower bound
        of_supply = in_part["supply"] if not name.startswith("demand") else False
        rows.loc[in_part[name] | of_supply, f"{name}_m3d"] = np.nan
    rows.loc[in_part["supply"], ["unmet_share", "status"]] = [np.nan, Status.insufficient_data.name]
    rows.loc[in_part["demand_domestic"], "demand_domestic_status"] = Status.insufficient_data.name
    rows = rows.reset_index().rename(columns={"unit": "pcode"})
    rows["level"], rows["name_en"] = level, names.loc[rows["pcode"]].to_numpy()
    rows["as_of"] = pd.Timestamp(last.indexes["time"][-1]).strftime("%Y-%m")
    return rows[list(COLUMNS)]


def _of_units(values: xr.DataArray) -> pd.Series:
    """Series with the index (unit, scenario)."""
    unit = "unit" if "unit" in values.dims else "pcode"
    series = values.reset_coords(drop=True).transpose(unit, "scenario").to_series()
    return series.rename_axis(["unit", "scenario"])


def _sectors_of(held: xr.DataArray, codes: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Parts of the demand that are known in every subdistrict of a unit, and in how many where not in all."""
    bits = held.to_series().reindex(codes.index)
    parts = pd.DataFrame({part: bits.to_numpy() >> n & 1 for n, part in enumerate(PARTS)}, index=codes.to_numpy())
    counts, sizes = parts.groupby(level=0).sum(), parts.groupby(level=0).size()
    full = counts.eq(sizes, axis=0)
    known = full.apply(lambda row: words_of_sectors(sum(1 << n for n, part in enumerate(PARTS) if row[part])), axis=1)
    some = counts.gt(0) & ~full
    partly = pd.Series(
        [
            "; ".join(f"{part}: {counts.at[unit, part]} of {sizes[unit]}" for part in PARTS if some.at[unit, part])
            for unit in counts.index
        ],
        index=counts.index,
    )
    return known, partly
