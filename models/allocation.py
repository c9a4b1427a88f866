"""Water shared out along a network of rivers and canals, month by month, from the border to the sea.

At each node, in the order of the water: what enters is the inflow at the border, what comes from
upstream, and local runoff. It is given to the sectors in the order of `SECTORS`; what is not
consumed flows on. The one above takes first: water is kept for those below by a minimum flow
(sector "environment"), which is left in the river.

What crosses the border is a boundary condition. Where it is not known, nothing downstream is:
local runoff is not taken for the river.

Release of a reservoir, in a month: evaporation first (no more than there is); then the declared share
of what stands above dead storage; then whatever exceeds the capacity. Users at the reservoir
draw from what is released.
"""

from __future__ import annotations

from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from geodata.schema import ContractError, Status, require_units, status_attrs

SECTORS = ("domestic", "livestock", "environment", "industry", "irrigation")
"""In the order in which they are given water; within one, all get the same share of what they ask."""

BALANCE_TOLERANCE = 1e-9
MET = 1e-9  # relative shortage below which a demand is met

_STAYS = "environment"  # is not taken out of the river
_CAUSES = np.array([Status.ok, Status.insufficient_data, Status.input_missing, Status.external_unknown], dtype="int8")
"""Why a value is not known, each standing over those before it: a demand, a runoff, an inflow at the border."""
_DEMAND, _RUNOFF, _BORDER = 1, 2, 3

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
FLOW = ("time", "node")
GIVEN = ("time", "node", "sector")


# ------------------------------------------------------------------ the network


def flow_order(network: xr.Dataset) -> list[int]:
    """Rows of the nodes, each after all that lie upstream of it; ContractError on a cycle, naming it."""
    linked = _links(network, "share") > 0
    names = network["node"].values
    try:
        upstream = {n: [int(m) for m in np.flatnonzero(linked[:, n])] for n in range(len(names))}
        return list(TopologicalSorter(upstream).static_order())
    except CycleError as error:
        cycle = " to ".join(str(names[n]) for n in error.args[1])
        raise ContractError(f"network: a cycle, {cycle}; expected water that never comes back") from None


def is_kind(network: xr.Dataset, kind: str) -> npt.NDArray[np.bool_]:
    """True for the nodes of a kind, (node,)."""
    meanings = network["kind"].attrs["flag_meanings"].split()
    return np.asarray(network["kind"].values == meanings.index(kind))


def _links(network: xr.Dataset, name: str) -> Floats:
    """A number of each link, (from, to), both in the order of the nodes."""
    found = network[name].sel(to=network["node"].values).transpose("node", "to")
    return np.asarray(found.values, dtype="float64")


# ------------------------------------------------------------------ allocation


def allocate(
    network: xr.Dataset,
    demand: xr.DataArray,
    border_inflow: xr.DataArray,
    *,
    runoff: xr.DataArray | None = None,
    returns: xr.DataArray | None = None,
) -> xr.Dataset:
    """What each node gets, keeps and passes on.

    Water is followed from the border to the sea: those upstream take first, and at each node the sectors in order.

    Parameters
    ----------
    network : Dataset (node, to, month)
        As `geodata.network` reads it.
    demand : DataArray (time, node, sector, ...), m3/day
        Consecutive months labelled by their first day. Sectors among `SECTORS`; one that is left out
        is given nothing. Environment and industry are those of the network. NaN: not known.
    border_inflow : DataArray (time, border), m3/day
        NaN where not measured; a month or border that it lacks is not known.
    runoff : DataArray (time, node), m3/day, optional
        That enters at each node, NaN where not known; without it none does.
    returns : DataArray (sector, ...), 1, optional
        Share of what a sector is given that flows back at the same node; 0 for one not named.

    Returns
    -------
    Dataset (time, node, ...), each variable with its status
        m3/day: ``inflow`` entering, ``available`` to users (at a reservoir what is released),
        ``outflow``, ``evaporation``, ``link_loss`` lost from the outflow on the way to the next node, and
        (time, node, sector, ...) ``delivered`` and ``unmet``. m3: ``storage`` at the end of the month.
        NaN with external_unknown downstream of a border whose inflow is not known (below a
        reservoir from then on), input_missing of a runoff, insufficient_data of a demand that is
        not known: what its user leaves for the others, and for those below, is not known either.

    Formula
    -------
    inflow_n = border_n + runoff_n + sum over m upstream of outflow_m share_mn (1 - loss_mn)
    given_s = min(demand_s, what is left), s = domestic, livestock, environment, industry, irrigation in turn
    outflow_n = available_n - sum of given_s (1 - return_s);  the environment consumes nothing
    reservoir: V = storage + inflow - evaporation;  available = r max(V - dead, 0), and what then exceeds the capacity

    Limits
    ------
    * Bookkeeping of months: water takes no time on its way, and no channel is too narrow for it.
    * The one above takes first. Real rivers have rights, gates and pumps; what the country file declares is
      what is reckoned with.
    * Reservoirs release a share of what they hold: no operator's rule, no flood storage.
    * No ground water, no quality of water, and no runoff but what a source gives.
    * Downstream of a border whose inflow is not known nothing is: ``external_unknown``.
    * The balance closes to 1e-9 of the water; that proves the arithmetic, and not the numbers that went in.

    References
    ----------
    The project's own: mass balance and fixed priorities, as of water allocation models in general.
    """
    require_units(demand, "m3/day")
    require_units(border_inflow, "m3/day")
    months = _months(demand)
    asked = _all_sectors(network, demand)
    entering = _at_borders(network, border_inflow, demand["time"])
    raining = _at_nodes(network, runoff, demand["time"])
    back = _of_all_sectors(returns)
    order = flow_order(network)
    cause = _causes(network, order, asked, entering, raining)
    known = {name: rank == 0 for name, rank in cause.items()}
    outputs = [list(FLOW)] * 6 + [list(GIVEN)]
    results = xr.apply_ufunc(
        _allocate,
        asked,
        entering,
        raining,
        back,
        input_core_dims=[list(GIVEN), list(FLOW), list(FLOW), ["sector"]],
        output_core_dims=outputs,
        kwargs={"order": order, **_constants(network, months)},
        dask="parallelized",
        dask_gufunc_kwargs={"allow_rechunk": True},
        output_dtypes=[np.float64] * len(outputs),
        keep_attrs=False,
    )
    names = ("inflow", "available", "outflow", "evaporation", "link_loss", "storage", "delivered")
    values = dict(zip(names, results, strict=True))
    values["unmet"] = asked - values["delivered"]
    out = {}
    for name, value in values.items():
        flags = cause[_CAUSE_OF[name]]
        dims = (*flags.dims, *(d for d in value.dims if d not in flags.dims))
        units = "m3" if name == "storage" else "m3/day"
        kept = value.where(known[_CAUSE_OF[name]]).transpose(*dims)
        out[name] = kept.assign_attrs(units=units, long_name=_WORDS[name])
        out[f"{name}_status"] = flags.copy(data=_CAUSES[flags.values]).assign_attrs(status_attrs())
    return xr.Dataset(out)


_WORDS = {
    "inflow": "water that enters",
    "available": "water that users can take",
    "outflow": "water that flows on",
    "evaporation": "evaporation of the open water",
    "link_loss": "water lost on the way to the next node",
    "storage": "storage at the end of the month",
    "delivered": "water given",
    "unmet": "demand that is not met",
}
_CAUSE_OF = {
    "inflow": "inflow",
    "available": "available",
    "outflow": "outflow",
    "evaporation": "available",
    "link_loss": "outflow",
    "storage": "available",
    "delivered": "delivered",
    "unmet": "delivered",
}


def _allocate(
    demand: Floats,
    border: Floats,
    runoff: Floats,
    returns: Floats,
    *,
    order: Sequence[int],
    share: Floats,
    loss: Floats,
    reservoirs: dict[int, Any],
    evaporation: Floats,
    days: Floats,
) -> tuple[Floats, ...]:
    """`allocate` on arrays: (..., time, node) and demand (..., time, node, sector), returns (..., sector)."""
    lead = np.broadcast_shapes(demand.shape[:-3], border.shape[:-2], runoff.shape[:-2], returns.shape[:-1])
    flow = (*lead, *demand.shape[-3:-1])
    inflow = np.broadcast_to(border + runoff, flow).copy()
    available, outflow, evaporated, lost, storage = (np.zeros(flow) for _ in range(5))
    delivered = np.zeros((*flow, demand.shape[-1]))
    consumed = np.where(np.array(SECTORS) == _STAYS, 0.0, 1.0 - returns)[..., np.newaxis, :]
    for n in order:
        usable = inflow[..., n]
        if n in reservoirs:
            usable, storage[..., n], evaporated[..., n] = _release(
                inflow[..., n], evaporation[:, n], days, **reservoirs[n]
            )
        given = _by_priority(usable, np.broadcast_to(demand[..., n, :], (*usable.shape, demand.shape[-1])))
        leaving = np.maximum(usable - (given * consumed).sum(axis=-1), 0.0)
        available[..., n], delivered[..., n, :], outflow[..., n] = usable, given, leaving
        for below in np.flatnonzero(share[n] > 0):
            sent = leaving * share[n, below]
            inflow[..., below] += sent * (1.0 - loss[n, below])
            lost[..., n] += sent * loss[n, below]
    return inflow, available, outflow, evaporated, lost, storage, delivered


def _by_priority(available: Floats, demand: Floats) -> Floats:
    """Water given to each sector (..., sector), the first in full before the next gets any."""
    left, given = available, np.empty_like(demand)
    for s in range(demand.shape[-1]):
        given[..., s] = np.minimum(demand[..., s], left)
        left = left - given[..., s]
    return given


def _release(
    inflow: Floats,
    evaporation: Floats,
    days: Floats,
    *,
    capacity: float,
    dead: float,
    initial: float,
    release_share: float,
) -> tuple[Floats, Floats, Floats]:
    """Released water (m3/day), storage at the end of each month (m3) and evaporation (m3/day), each (..., time)."""
    held = np.full(inflow.shape[:-1], initial)
    released, storage, evaporated = (np.empty(inflow.shape) for _ in range(3))
    for t, length in enumerate(days):
        held = held + inflow[..., t] * length
        dried = np.minimum(evaporation[t], held)
        held = held - dried
        let = release_share * np.maximum(held - dead, 0.0)
        let = let + np.maximum(held - let - capacity, 0.0)
        held = held - let
        released[..., t], storage[..., t], evaporated[..., t] = let / length, held, dried / length
    return released, storage, evaporated


def _causes(
    network: xr.Dataset, order: Sequence[int], demand: xr.DataArray, border: xr.DataArray, runoff: xr.DataArray
) -> dict[str, xr.DataArray]:
    """Rank in `_CAUSES` of why each value is not known, carried downstream, and at reservoirs onwards in time."""
    others = [d for d in demand.dims if d not in GIVEN]
    asked = demand.isnull().any(others).transpose(*GIVEN)
    entering = xr.where(border.isnull(), _BORDER, 0).transpose(*FLOW).values
    raining = xr.where(runoff.isnull(), _RUNOFF, 0).transpose(*FLOW).values
    inflow = np.maximum(entering, raining)
    # a sector's share depends on all that come before it
    by_sector = np.maximum.accumulate(asked.values, axis=-1) * _DEMAND
    available, outflow, delivered = np.zeros_like(inflow), np.zeros_like(inflow), np.zeros_like(by_sector)
    share, kept = _links(network, "share"), is_kind(network, "reservoir")
    for n in order:
        available[:, n] = np.maximum.accumulate(inflow[:, n]) if kept[n] else inflow[:, n]
        delivered[:, n] = np.maximum(available[:, n, np.newaxis], by_sector[:, n])
        outflow[:, n] = delivered[:, n, -1]
        for below in np.flatnonzero(share[n] > 0):
            inflow[:, below] = np.maximum(inflow[:, below], outflow[:, n])
    ranks = {"inflow": inflow, "available": available, "outflow": outflow}
    flow = asked.isel(sector=0, drop=True)
    return {name: flow.copy(data=rank) for name, rank in ranks.items()} | {"delivered": asked.copy(data=delivered)}


# ------------------------------------------------------------------ inputs


def _months(demand: xr.DataArray) -> pd.DatetimeIndex:
    months = pd.DatetimeIndex(demand.indexes["time"])
    number = months.year * 12 + months.month
    if len(months) == 0 or (np.diff(number) != 1).any() or (months.day != 1).any():
        raise ContractError("demand: expected consecutive months labelled by their first day: storage is carried over")
    return months


def _all_sectors(network: xr.Dataset, demand: xr.DataArray) -> xr.DataArray:
    names = [str(s) for s in demand["sector"].values]
    own = {_STAYS: "min_flow", "industry": "industry"}
    if strange := sorted(set(names) - (set(SECTORS) - set(own))):
        raise ContractError(f"demand: sectors {strange}, expected some of {[s for s in SECTORS if s not in own]}")
    if bool((demand < 0).any()):
        raise ContractError("demand: found negative values, expected 0 or more")
    placed = demand.sel(node=network["node"]).reindex(sector=list(SECTORS), fill_value=0.0)
    for sector, name in own.items():
        placed = xr.where(placed["sector"] == sector, network[name], placed)
    return placed.transpose(*GIVEN, ...)


def _at_borders(network: xr.Dataset, inflow: xr.DataArray, time: xr.DataArray) -> xr.DataArray:
    """Inflow (time, node): 0 at nodes inside the country, NaN at a border where it is not known."""
    if bool((inflow < 0).any()):
        raise ContractError("border_inflow: found negative values, expected 0 or more")
    placed = inflow.rename(border="node").reindex(node=network["node"].values, time=time.values)
    border = xr.DataArray(is_kind(network, "border"), dims="node", coords={"node": network["node"]})
    return placed.where(border, 0.0)


def _at_nodes(network: xr.Dataset, runoff: xr.DataArray | None, time: xr.DataArray) -> xr.DataArray:
    if runoff is None:
        zero = xr.DataArray(np.zeros((time.size, network.sizes["node"])), dims=FLOW)
        return zero.assign_coords(time=time, node=network["node"])
    require_units(runoff, "m3/day")
    if bool((runoff < 0).any()):
        raise ContractError("runoff: found negative values, expected 0 or more")
    return runoff.reindex(node=network["node"].values, time=time.values)


def _of_all_sectors(returns: xr.DataArray | None) -> xr.DataArray:
    if returns is None:
        return xr.DataArray(np.zeros(len(SECTORS)), dims="sector", coords={"sector": list(SECTORS)})
    if bool(((returns < 0) | (returns > 1)).any()):
        raise ContractError("returns: expected shares of 0 to 1")
    return returns.reindex(sector=list(SECTORS), fill_value=0.0)


def _constants(network: xr.Dataset, months: pd.DatetimeIndex) -> dict[str, Any]:
    numbers = ("capacity", "dead", "initial", "release_share")
    reservoirs = {
        int(n): {name: float(network[name].values[n]) for name in numbers}
        for n in np.flatnonzero(is_kind(network, "reservoir"))
    }
    evaporation = network["evaporation"].sel(month=xr.DataArray(months.month, dims="time"))
    return {
        "share": _links(network, "share"),
        "loss": _links(network, "loss"),
        "reservoirs": reservoirs,
        "evaporation": evaporation.transpose("time", "node").values,
        "days": np.asarray(months.days_in_month, dtype=float),
    }


# ------------------------------------------------------------------ the balance


def mass_balance(
    network: xr.Dataset,
    allocation: xr.Dataset,
    border_inflow: xr.DataArray,
    *,
    runoff: xr.DataArray | None = None,
    returns: xr.DataArray | None = None,
) -> xr.DataArray:
    """What is lost or made out of nothing: in - out - use - loss - change of storage, over the largest of them.

    The water that enters is put together anew from the border, the runoff and the outflow of the
    nodes upstream, so an error on the way from node to node shows as one at a node.

    Parameters
    ----------
    allocation : Dataset
        From `allocate`; the other parameters are those it was given.

    Returns
    -------
    DataArray (time, node, ...), 1
        Within 1e-9 of 0 where all is known; NaN elsewhere.
    """
    time = allocation["time"]
    arriving = network["share"] * (1.0 - network["loss"])
    # terms without a link are left out, not multiplied: an unknown outflow elsewhere is no water here
    sent = (allocation["outflow"] * arriving.where(arriving > 0)).fillna(0.0).sum("node").rename(to="node")
    inside = _at_borders(network, border_inflow, time) + _at_nodes(network, runoff, time) + sent
    consumed = xr.where(allocation["sector"] == _STAYS, 0.0, 1.0 - _of_all_sectors(returns))
    use = (allocation["delivered"] * consumed).sum("sector", skipna=False)
    days = allocation["time"].dt.days_in_month
    start = network["initial"].where(is_kind(network, "reservoir"), 0.0)
    before = xr.where(time == time[0], start, allocation["storage"].shift(time=1))
    change = (allocation["storage"] - before) / days
    residual = inside - allocation["outflow"] - use - allocation["evaporation"] - change
    largest = np.maximum(inside, before / days)
    relative = xr.where(largest > 0, residual / largest.where(largest > 0), residual)
    return relative.transpose(*FLOW, ...).rename("mass_balance").assign_attrs(units="1", long_name="water unaccounted")


def require_balance(residual: xr.DataArray) -> None:
    """Raise ContractError unless `mass_balance` closes to 1e-9 wherever all is known.

    >>> require_balance(xr.DataArray([1e-12, np.nan]))
    """
    worst = float(abs(residual).max().fillna(0.0))
    if worst > BALANCE_TOLERANCE:
        raise ContractError(
            f"allocation: {worst:.3g} of the water unaccounted for, expected at most {BALANCE_TOLERANCE}"
        )


# ------------------------------------------------------------------ performance


def performance(demand: xr.DataArray, supply: xr.DataArray, *, min_months: int = 12) -> xr.Dataset:
    """How often a demand is met, how soon it is met again, and how bad it is meanwhile.

    Parameters
    ----------
    demand, supply : DataArray (time, ...), m3/day
        Consecutive months; months in which one of them is not known are left out.
    min_months : int
        Known months that a figure needs.

    Returns
    -------
    Dataset (...), each with its status
        ``reliability`` (1): share of months in which the demand is met. ``resilience`` (1): share of the
        months of failure after which it is met; insufficient_data where there was none.
        ``vulnerability`` (1): mean over the runs of failing months of their worst shortage, as a share of
        the demand; 0 where none failed.

    Formula
    -------
    reliability = months in which demand is met / months known
    resilience = failing months followed by one in which it is met / failing months followed by a known one
    vulnerability = mean over runs of failing months of the largest 1 - supply / demand

    Limits
    ------
    * In a run today's demand is set against the inflow of the past: it tells of no year that happened.
    * A month fails by a drop or by half (1e-9 of the demand): reliability alone says nothing of how much.
    * 12 known months are asked for, which is few: a resilience of three failures is hardly a figure.

    References
    ----------
    Hashimoto, Stedinger and Loucks 1982, Water Resources Research 18, 14-20.
    """
    require_units(demand, "m3/day")
    require_units(supply, "m3/day")
    figures = xr.apply_ufunc(
        _performance,
        demand,
        supply,
        input_core_dims=[["time"], ["time"]],
        output_core_dims=[[], [], []],
        kwargs={"min_months": min_months},
        dask="parallelized",
        dask_gufunc_kwargs={"allow_rechunk": True},
        output_dtypes=[np.float64] * 3,
        keep_attrs=False,
    )
    words = {
        "reliability": "share of months in which the demand is met",
        "resilience": "share of failing months after which it is met",
        "vulnerability": "worst shortage of a run of failing months, mean share of the demand",
    }
    out = {}
    for (name, long_name), figure in zip(words.items(), figures, strict=True):
        flags = xr.where(figure.notnull(), np.int8(Status.ok), np.int8(Status.insufficient_data)).astype("int8")
        out[name] = figure.assign_attrs(units="1", long_name=long_name)
        out[f"{name}_status"] = flags.assign_attrs(status_attrs())
    return xr.Dataset(out)


def _performance(demand: Floats, supply: Floats, *, min_months: int) -> tuple[Floats, Floats, Floats]:
    demand, supply = np.broadcast_arrays(demand, supply)
    known = np.isfinite(demand) & np.isfinite(supply)
    met = known & (supply >= demand * (1.0 - MET))
    fails = known & ~met
    months, failing = known.sum(axis=-1), fails.sum(axis=-1)
    enough = months >= min_months
    followed = fails[..., :-1] & known[..., 1:]
    recovered = (followed & met[..., 1:]).sum(axis=-1)
    reliability = _ratio(months - failing, months, enough)
    resilience = _ratio(recovered, followed.sum(axis=-1), enough)
    return reliability, resilience, np.where(enough, _worst_of_runs(demand, supply, fails), np.nan)


def _worst_of_runs(demand: Floats, supply: Floats, fails: npt.NDArray[np.bool_]) -> Floats:
    """Mean over runs of ``fails`` along the last axis of the largest shortage share in each."""
    shortage = np.where(fails, 1.0 - supply / np.where(fails, demand, 1.0), 0.0)
    worst, total, runs = (np.zeros(fails.shape[:-1]) for _ in range(3))
    for t in range(fails.shape[-1]):
        total = total + np.where(fails[..., t], 0.0, worst)
        runs = runs + (~fails[..., t] & (worst > 0))
        worst = np.where(fails[..., t], np.maximum(worst, shortage[..., t]), 0.0)
    total, runs = total + worst, runs + (worst > 0)
    return total / np.maximum(runs, 1)


def _ratio(part: Ints, whole: Ints, enough: npt.NDArray[np.bool_]) -> Floats:
    return np.where(enough & (whole > 0), part / np.maximum(whole, 1), np.nan)
