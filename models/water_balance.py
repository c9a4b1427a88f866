"""Demand for water against what is delivered: by subdistrict, and summed over districts and governorates.

A subdistrict draws at the nodes of a network that serve it. One that no node serves has no declared
source of water, and where nobody measures the river at the border the supply of all who live
on it is ``external_unknown``: rain that falls beside a river says nothing about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import BaseModel, ConfigDict, Field

from geodata.schema import (
    CAUTION,
    KEEPS_VALUE,
    ContractError,
    Status,
    has_status,
    more_cautious,
    require_units,
    status_attrs,
    status_like,
)
from models.allocation import SECTORS, performance

USERS = ("domestic", "livestock", "irrigation")
"""Sectors of subdistricts, in the order in which they are given water."""

CASES = ("ratio", "no_use", "no_local_resource", "unknown")
"""What a use over a resource is: a number, nobody who uses and nothing to use, use of nothing, or not known."""

LEVELS = {"subdistrict": "pcode", "district": "adm2_pcode", "governorate": "adm1_pcode"}

_REASONS = (Status.external_unknown, Status.input_missing, Status.exposure_unknown, Status.insufficient_data)
"""Of several reasons why nothing is known, the first is told."""


class BalanceOptions(BaseModel):
    """Block [water_balance] of a country file: which source blocks the balance is made of.

    Parameters
    ----------
    network : source of the river and canal network, or None where there is none
    irrigated_area, livestock : sources by crop (ha) and by animal (head)
    rain, evapotranspiration : sources, mm/month, of what crops get and of the reference crop
    runoff : source, mm/month, of what runs off a subdistrict into the nodes that drain it
    first_month : "YYYY-MM", the month in which reservoirs hold their initial storage; default the first of inflow
    without_network : status of the supply where no node serves: input_missing, or external_unknown in a country
        whose rivers rise abroad
    why : language code -> what to tell the reader of it
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    network: str | None = None
    irrigated_area: str | None = None
    livestock: str | None = None
    rain: str | None = None
    evapotranspiration: str | None = None
    runoff: str | None = None
    first_month: str | None = Field(default=None, pattern=r"^\d{4}-(0[1-9]|1[0-2])$")
    without_network: Literal["input_missing", "external_unknown"] = "input_missing"
    why: dict[str, str] = Field(default_factory=dict)

    @property
    def sources(self) -> dict[str, str]:
        """Option -> source block it names."""
        names = ("network", "irrigated_area", "livestock", "rain", "evapotranspiration", "runoff")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}


# ------------------------------------------------------------------ between subdistricts and nodes


def at_nodes(demand: xr.Dataset, serves: xr.DataArray, sectors: Sequence[str]) -> xr.DataArray:
    """Demand of subdistricts where they draw it.

    Parameters
    ----------
    demand : Dataset (time, pcode, scenario)
        ``demand_<sector>``, m3/day.
    serves : DataArray (node, pcode), 1
        Share of a subdistrict's demand that is drawn at a node.
    sectors : of `USERS`
        The others are left out for all.

    Returns
    -------
    DataArray (time, node, sector, scenario), m3/day
        NaN where one of those who draw there has a demand that is not known.
    """
    wanted = _by_sector(demand, "demand", sectors)
    drawn = xr.dot(wanted.fillna(0.0), serves, dim="pcode")
    lacking = xr.dot(wanted.isnull().astype(float), (serves > 0).astype(float), dim="pcode")
    whole = drawn.where(lacking == 0)
    return whole.transpose("time", "node", "sector", ...).assign_attrs(units="m3/day", long_name="demand")


def to_units(
    allocation: xr.Dataset,
    demand: xr.Dataset,
    serves: xr.DataArray,
    sectors: Sequence[str],
    *,
    without_network: Status = Status.input_missing,
) -> xr.Dataset:
    """What subdistricts get of what they ask for.

    All who draw at a node get the same share of what their sector asks for.

    Parameters
    ----------
    allocation : Dataset (time, node, sector, scenario)
        From `models.allocation.allocate`, for the demand of `at_nodes`.
    demand : Dataset (time, pcode, scenario)
        ``demand_<sector>``, m3/day, with its status.
    serves, sectors : as in `at_nodes`
    without_network : Status
        Of subdistricts that no node serves.

    Returns
    -------
    Dataset (time, pcode, scenario), each with its status
        m3/day: ``supply``, ``unmet_<sector>`` and ``unmet_total`` of the sectors given (another sector is
        input_missing), ``unmet_share`` of the demand (1), ``water_stress`` (1): all that is asked for at
        the nodes where a subdistrict draws over all that is there, with ``water_stress_case``.

    Formula
    -------
    supply_s = demand_s x sum over nodes of serves x given_s / asked_s
    unmet_s = demand_s - supply_s
    unmet_share = sum of unmet_s / sum of demand_s
    water_stress = all that is asked for at the nodes that serve / water available there

    Limits
    ------
    * All who draw at a node get the same share: who lies at the tail of the canal gets less than it says.
    * Of a demand that is itself a range: read low, mid and high.
    * Without border inflow a river-fed unit is ``external_unknown``, and without a node that serves it
      ``input_missing``: never "enough".
    * Where nobody asks for anything there is no share. Of the stress ``water_stress_case`` tells which lacks,
      use or water.
    * Water that people buy from tankers or draw from wells is not in it.

    References
    ----------
    The project's own: shares of the allocation of `models.allocation.allocate`.
    """
    serves = serves.sel(pcode=demand["pcode"].values)
    wanted = _by_sector(demand, "demand", sectors)
    given = allocation["delivered"].sel(sector=list(sectors))
    asked = given + allocation["unmet"].sel(sector=list(sectors))
    met = given / asked.where(asked > 0)  # who asks for nothing gets nothing
    supplied = wanted * xr.dot(met.fillna(0.0), serves, dim="node")
    status = _status_of_users(allocation["delivered_status"].sel(sector=list(sectors)), serves, without_network)
    status = more_cautious(_by_sector(demand, "demand", sectors, "_status"), status)
    kept = has_status(status, KEEPS_VALUE)
    supplied, unmet = supplied.where(kept), (wanted - supplied).clip(min=0.0).where(kept)
    out = xr.Dataset()
    for sector in USERS:
        if sector in sectors:
            flags = status.sel(sector=sector, drop=True)
            _put(out, f"unmet_{sector}", unmet.sel(sector=sector, drop=True), flags, f"unmet demand: {sector}")
        else:
            nothing = xr.full_like(demand["demand_total"], np.nan)
            _put(out, f"unmet_{sector}", nothing, demand[f"demand_{sector}_status"], f"unmet demand: {sector}")
    flags = reduce(_worse, [status.isel(sector=n, drop=True) for n in range(len(sectors))])
    _put(out, "supply", supplied.sum("sector", skipna=False), flags, "water delivered")
    _put(out, "unmet_total", unmet.sum("sector", skipna=False), flags, "unmet demand")
    used = use_over_resource(out["unmet_total"], wanted.sum("sector", skipna=False).where(out["supply"].notnull()))
    out["unmet_share"] = used["ratio"].assign_attrs(long_name="share of the demand that is not met")
    out["unmet_share_status"] = _reason(used["ratio_status"], flags)
    return xr.merge([out, _stress(allocation, serves, flags)], join="exact").transpose("time", "pcode", ...)


def without_supply(demand: xr.Dataset, status: Status) -> xr.Dataset:
    """The variables of `to_units` in a country without a network: the same reason everywhere, and no number."""
    nothing = xr.full_like(demand["demand_total"], np.nan)
    flags = xr.full_like(demand["demand_total_status"], int(status))
    out = xr.Dataset()
    for name in ("supply", *(f"unmet_{sector}" for sector in USERS), "unmet_total"):
        _put(out, name, nothing, flags, name.replace("_", " "))
    for name in ("unmet_share", "water_stress"):
        _put(out, name, nothing, flags, name.replace("_", " "), units="1")
    cases = xr.full_like(demand["demand_total"], CASES.index("unknown"), dtype="int8")
    return out.assign(water_stress_case=cases.assign_attrs(_case_attrs()))


def supply_performance(balance: xr.Dataset, *, min_months: int = 12) -> xr.Dataset:
    """Reliability, resilience and vulnerability of the supply over all months of the balance.

    Parameters
    ----------
    balance : Dataset (time, pcode, scenario)
        ``supply`` and ``unmet_total``, m3/day.

    Returns
    -------
    Dataset (time, pcode, scenario), each with its status
        ``supply_reliability``, ``supply_resilience``, ``supply_vulnerability`` (1) of the whole record, at its
        last month; insufficient_data in the others.
    """
    wanted = (balance["supply"] + balance["unmet_total"]).assign_attrs(units="m3/day")
    figures = performance(wanted, balance["supply"], min_months=min_months)
    last = balance["time"] == balance["time"][-1]
    reason = balance["supply_status"].isel(time=-1, drop=True)
    out = xr.Dataset()
    for name in ("reliability", "resilience", "vulnerability"):
        values = figures[name].expand_dims(time=balance["time"]).where(last)
        flags = xr.where(
            has_status(reason, KEEPS_VALUE) | figures[name].notnull(), figures[f"{name}_status"], reason
        ).expand_dims(time=balance["time"])
        flags = flags.where(last, int(Status.insufficient_data))
        words = f"supply, {figures[name].attrs['long_name']}"
        _put(out, f"supply_{name}", values, flags, words, units="1")
    return out.transpose("time", "pcode", ...)


def use_over_resource(use: xr.DataArray, resource: xr.DataArray) -> xr.Dataset:
    """A use over a resource, where either may be nothing: never an infinite number.

    Parameters
    ----------
    use, resource : DataArray (...), same units

    Returns
    -------
    Dataset (...)
        ``ratio`` (1); NaN with insufficient_data in its status where there is no resource, and
        ``ratio_case``, flags of `CASES`: nothing used of nothing is "no_use", use of nothing is
        "no_local_resource".

    >>> found = use_over_resource(xr.DataArray([1.0, 0.0, 3.0, np.nan]), xr.DataArray([4.0, 0.0, 0.0, 1.0]))
    >>> [CASES[case] for case in found["ratio_case"].values], found["ratio"].values.tolist()
    (['ratio', 'no_use', 'no_local_resource', 'unknown'], [0.25, nan, nan, nan])
    """
    known = use.notnull() & resource.notnull()
    case = xr.where(known, xr.where(resource > 0, 0, xr.where(use == 0, 1, 2)), 3).astype("int8")
    ratio = (use / resource.where(resource > 0)).assign_attrs(units="1", long_name="use over resource")
    return xr.Dataset(
        {"ratio": ratio, "ratio_status": status_like(ratio), "ratio_case": case.assign_attrs(_case_attrs())}
    )


# ------------------------------------------------------------------ districts and governorates


def aggregate(values: xr.Dataset, parent: pd.Series, names: Iterable[str]) -> xr.Dataset:
    """Sums over the subdistricts of a larger unit, and how many of them each sum holds.

    Parameters
    ----------
    values : Dataset (time, pcode, ...)
        m3/day, each with its status.
    parent : Series, index pcode
        The larger unit of each subdistrict.
    names : variables to sum

    Returns
    -------
    Dataset (time, unit, ...)
        Per name the sum over subdistricts whose value is known, its status (of these the most
        cautious; where none is known the reason), and ``<name>_units``, how many they are; ``units``
        (unit), how many there are. Where the two differ the sum is a lower bound.
    """
    names = list(names)
    groups = parent.reindex(values["pcode"].values)
    if groups.isna().any():
        raise ContractError(f"parent: none for {list(groups.index[groups.isna()][:5])}, expected one for each unit")
    units, place = np.unique(groups.to_numpy().astype(str), return_inverse=True)
    out = xr.Dataset({"units": ("unit", np.bincount(place))}, coords={"unit": units})
    for name in names:
        require_units(values[name], "m3/day")
        known = values[name].notnull()
        count = _by_unit(known.astype("int64"), place, units, np.add)
        total = _by_unit(values[name].fillna(0.0), place, units, np.add).where(count > 0)
        rank = _by_unit(xr.DataArray(_RANK)[values[f"{name}_status"].astype("int64")], place, units, np.maximum)
        flags = xr.DataArray(_OF_RANK)[rank.astype("int64")]
        _put(out, name, total, flags, "")
        out[name].attrs = dict(values[name].attrs)
        out[f"{name}_units"] = count
    return out


def _by_unit(values: xr.DataArray, place: np.ndarray, units: np.ndarray, how: np.ufunc) -> xr.DataArray:
    """Sum or maximum over the subdistricts (dim pcode) of each unit, on the dim ``unit`` in its place."""
    axis = values.get_axis_num("pcode")
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(len(units)))
    found = how.reduceat(np.take(values.values, order, axis=axis), starts, axis=axis)
    dims = tuple("unit" if dim == "pcode" else dim for dim in values.dims)
    coords = {dim: values[dim] for dim in values.dims if dim != "pcode" and dim in values.coords}
    return xr.DataArray(found, dims=dims, coords={**coords, "unit": units})


# A unit's flag: of those that keep a value the most cautious; where none does, the first of `_REASONS` that is given.
_ORDER = (Status.insufficient_data, *(r for r in reversed(_REASONS)), *CAUTION)
_RANK = np.array([max((n for n, s in enumerate(_ORDER) if s == status), default=0) for status in Status])
_OF_RANK = np.array([int(status) for status in _ORDER], dtype="int8")


# ------------------------------------------------------------------ pieces


def _by_sector(values: xr.Dataset, name: str, sectors: Sequence[str], suffix: str = "") -> xr.DataArray:
    if not sectors or any(s not in USERS for s in sectors):
        raise ContractError(f"sectors: found {list(sectors)}, expected some of {list(USERS)}")
    if not suffix:
        for sector in sectors:
            require_units(values[f"{name}_{sector}"], "m3/day")
    parts = [values[f"{name}_{sector}{suffix}"] for sector in sectors]
    return xr.concat(parts, dim=pd.Index(list(sectors), name="sector"), combine_attrs="drop")


def _status_of_users(flags: xr.DataArray, serves: xr.DataArray, without_network: Status) -> xr.DataArray:
    """Status (time, pcode, sector): that of the nodes where a subdistrict draws, the worst of several."""
    draws = (serves > 0).astype(float)
    status = xr.full_like(xr.dot(flags.astype(float), draws, dim="node"), int(Status.ok), dtype="int8")
    for reason in reversed(_REASONS):
        here = xr.dot((flags == int(reason)).astype(float), draws, dim="node") > 0
        status = xr.where(here, np.int8(reason), status)
    return xr.where(draws.sum("node") > 0, status, np.int8(without_network)).astype("int8")


def _worse(a: xr.DataArray, b: xr.DataArray) -> xr.DataArray:
    """Of two flags the one that keeps no value; of two of those the first of `_REASONS`; else the more cautious."""
    both = more_cautious(a, b)
    for status in reversed(_REASONS):
        both = xr.where((a == int(status)) | (b == int(status)), np.int8(status), both)
    return both.astype("int8")


def _reason(ratio: xr.DataArray, flags: xr.DataArray) -> xr.DataArray:
    """Status of a ratio: that of its parts, and its own where there is nothing to divide by."""
    kept = has_status(flags, KEEPS_VALUE) & ~has_status(ratio, KEEPS_VALUE)
    return xr.where(kept, ratio, flags).astype("int8").assign_attrs(status_attrs())


def _stress(allocation: xr.Dataset, serves: xr.DataArray, flags: xr.DataArray) -> xr.Dataset:
    """Demand of all users of the nodes where a subdistrict draws, over the water there."""
    takers = [s for s in SECTORS if s != "environment"]
    demand = (allocation["delivered"] + allocation["unmet"]).sel(sector=takers).sum("sector", skipna=False)
    use, resource = (
        xr.dot(part.fillna(0.0), serves, dim="node").where(
            xr.dot(part.isnull().astype(float), (serves > 0).astype(float), dim="node") == 0
        )
        for part in (demand, allocation["available"])
    )
    served = (serves > 0).any("node")
    found = use_over_resource(use.where(served), resource.where(served))
    kept = found["ratio"].where(has_status(flags, KEEPS_VALUE))
    words = "demand of all who draw at the same nodes over the water there"
    cases = xr.where(has_status(flags, KEEPS_VALUE), found["ratio_case"], np.int8(CASES.index("unknown")))
    return xr.Dataset(
        {
            "water_stress": kept.assign_attrs(units="1", long_name=words),
            "water_stress_status": _reason(status_like(kept), flags),
            "water_stress_case": cases.astype("int8").assign_attrs(_case_attrs()),
        }
    )


def _put(
    out: xr.Dataset, name: str, values: xr.DataArray, flags: xr.DataArray, words: str, *, units: str = "m3/day"
) -> None:
    out[name] = values.drop_attrs().assign_attrs(units=units, long_name=words)
    out[f"{name}_status"] = flags.astype("int8").drop_attrs().assign_attrs(status_attrs())


def _case_attrs() -> dict[str, object]:
    return {"flag_values": np.arange(len(CASES), dtype="int8"), "flag_meanings": " ".join(CASES)}
