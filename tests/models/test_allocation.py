"""Water along a network: nothing is lost or made, the river is not guessed, and who takes more leaves less.

Oracles: a chain of three nodes and a reservoir by hand; a linear programme (HiGHS) that knows only the
balance of each node; failures of a demand counted by hand.
"""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from geodata.schema import KEEPS_VALUE, ContractError, Status, has_status
from models.allocation import SECTORS, allocate, flow_order, mass_balance, performance, require_balance

KINDS = ("border", "reach", "canal", "reservoir", "outlet")
ASKED = ["domestic", "livestock", "irrigation"]
TIMED = ("inflow", "available", "outflow", "evaporation", "link_loss", "storage", "delivered", "unmet")


def make_network(nodes, links, **numbers):
    """nodes: name -> kind; links: (from, to) -> share or (share, loss); numbers: of nodes, by variable and name."""
    names = list(nodes)
    share, loss = (xr.DataArray(np.zeros((len(names),) * 2), dims=("node", "to")) for _ in range(2))
    share, loss = (v.assign_coords(node=names, to=names) for v in (share, loss))
    for (source, to), value in links.items():
        share.loc[source, to], loss.loc[source, to] = value if isinstance(value, tuple) else (value, 0.0)
    own = {"min_flow": 0.0, "industry": 0.0, "capacity": 0.0, "dead": 0.0, "initial": 0.0, "release_share": 1.0}
    columns = {
        key: ("node", [float(numbers.get(key, {}).get(name, default)) for name in names])
        for key, default in own.items()
    }
    dried = np.array([[numbers.get("evaporation", {}).get(name, 0.0)] * 12 for name in names])
    kinds = ("node", np.array([KINDS.index(k) for k in nodes.values()], "int8"), {"flag_meanings": " ".join(KINDS)})
    return xr.Dataset(
        {"share": share, "loss": loss, **columns, "kind": kinds, "evaporation": (("node", "month"), dried)},
        coords={"month": np.arange(1, 13)},
    )


def months(count, first="2024-01"):
    return pd.date_range(first, periods=count, freq="MS", unit="ns")


def asking(network, per_node, count=1, sectors=ASKED):
    """Demand (time, node, sector), m3/day: node -> value of each sector, or rows of them by month."""
    values = np.zeros((count, network.sizes["node"], len(sectors)))
    for name, wanted in per_node.items():
        values[:, network["node"].values.tolist().index(name)] = wanted
    coords = {"time": months(count), "node": network["node"].values, "sector": sectors}
    return xr.DataArray(values, dims=("time", "node", "sector"), coords=coords, attrs={"units": "m3/day"})


def entering(count=1, **borders):
    """Inflow (time, border), m3/day."""
    values = np.array([np.broadcast_to(v, count) for v in borders.values()], dtype=float).T
    coords = {"time": months(count), "border": list(borders)}
    return xr.DataArray(values, dims=("time", "border"), coords=coords, attrs={"units": "m3/day"})


def raining(network, count=1, **nodes):
    values = np.zeros((count, network.sizes["node"]))
    for name, value in nodes.items():
        values[:, network["node"].values.tolist().index(name)] = value
    coords = {"time": months(count), "node": network["node"].values}
    return xr.DataArray(values, dims=("time", "node"), coords=coords, attrs={"units": "m3/day"})


def at(result, name, node, **where):
    return result[name].sel(node=node, **where).isel(time=0).item()


CHAIN = make_network(
    {"in": "border", "town": "reach", "fields": "canal", "sea": "outlet"},
    {("in", "town"): 1.0, ("town", "fields"): (1.0, 0.1), ("fields", "sea"): 1.0},
    min_flow={"town": 30.0},
    industry={"town": 10.0},
)


# ------------------------------------------------------------------ by hand


def test_a_chain_of_three_nodes_by_hand():
    """100 enter. Town: 40 domestic, 5 livestock, 30 kept in the river, 10 industry, 15 of 50 for its fields.

    Of the 40, half returns: 30 + 20 = 50 flow on, 5 are lost on the way, 45 are left for the fields' 60.
    """
    demand = asking(CHAIN, {"town": [40, 5, 50], "fields": [0, 0, 60]})
    returns = xr.DataArray([0.5], dims="sector", coords={"sector": ["domestic"]})
    found = allocate(CHAIN, demand, entering(**{"in": 100}), returns=returns)
    town = found["delivered"].sel(node="town").isel(time=0)
    assert dict(zip(town["sector"].values.tolist(), town.values.tolist(), strict=True)) == pytest.approx(
        {"domestic": 40, "livestock": 5, "environment": 30, "industry": 10, "irrigation": 15}
    )
    assert at(found, "outflow", "town") == pytest.approx(50)
    assert at(found, "link_loss", "town") == pytest.approx(5)
    assert at(found, "inflow", "fields") == pytest.approx(45)
    assert at(found, "delivered", "fields", sector="irrigation") == pytest.approx(45)
    assert at(found, "unmet", "fields", sector="irrigation") == pytest.approx(15)
    assert at(found, "unmet", "town", sector="irrigation") == pytest.approx(35)
    assert at(found, "inflow", "sea") == pytest.approx(0)
    assert all(set(found[f"{name}_status"].values.ravel().tolist()) == {Status.ok} for name in TIMED)


LAKE = {"capacity": {"lake": 1000.0}, "dead": {"lake": 200.0}, "initial": {"lake": 500.0}}


def lake(**numbers):
    kinds = {"in": "border", "lake": "reservoir", "sea": "outlet"}
    return make_network(kinds, {("in", "lake"): 1.0, ("lake", "sea"): 1.0}, **LAKE | numbers)


def test_a_reservoir_by_hand():
    """January: 500 + 310 - 62 evaporated = 748; half of what stands above 200 goes: 274; 474 stay.

    February (29 days, 100 a day): 474 + 2900 - 62 = 3312; 1556 go, 1756 stay, 756 of them over the rim: 1000.
    """
    network = lake(release_share={"lake": 0.5}, evaporation={"lake": 62.0})
    demand = asking(network, {"lake": [2, 0, 1000]}, 2)
    found = allocate(network, demand, entering(2, **{"in": [10, 100]})).sel(node="lake")
    assert found["storage"].values == pytest.approx([474, 1000])
    assert found["available"].values == pytest.approx([274 / 31, (1556 + 756) / 29])
    assert found["evaporation"].values == pytest.approx([2, 62 / 29])
    assert found["delivered"].sel(sector="irrigation").values == pytest.approx([274 / 31 - 2, 2312 / 29 - 2])


def test_dead_storage_stays_and_a_dry_lake_evaporates_no_more_than_it_holds():
    network = lake(release_share={"lake": 1.0}, evaporation={"lake": 150.0})
    found = allocate(network, asking(network, {}, 5), entering(5, **{"in": 0.0})).sel(node="lake")
    assert found["storage"].values == pytest.approx([200, 50, 0, 0, 0])
    assert (found["evaporation"] * found["time"].dt.days_in_month).values == pytest.approx([150, 150, 50, 0, 0])
    assert found["available"].values == pytest.approx([150 / 31, 0, 0, 0, 0])


def test_priority_is_that_of_the_sectors_whatever_their_order_in_the_demand():
    demand = asking(CHAIN, {"town": [50, 5, 40]}, sectors=["irrigation", "livestock", "domestic"])
    found = allocate(CHAIN, demand, entering(**{"in": 60}))
    given = found["delivered"].sel(node="town").isel(time=0).values
    assert dict(zip(SECTORS, given, strict=True)) == pytest.approx(
        {"domestic": 40, "livestock": 5, "environment": 15, "industry": 0, "irrigation": 0}
    )
    assert at(found, "outflow", "town") == pytest.approx(15)


# ------------------------------------------------------------------ random networks

flows = st.floats(0, 1000).map(lambda v: round(v, 3))


@st.composite
def networks(draw, reservoirs=True, minimum=True):
    """A border, up to five nodes each fed by earlier ones, and the sea."""
    count = draw(st.integers(2, 5))
    names = [f"n{i}" for i in range(count)]
    kinds = [draw(st.sampled_from(["reach", "canal", *(["reservoir"] if reservoirs else [])])) for _ in names]
    everyone = ["in", *names, "sea"]
    links = {}
    for position, name in enumerate(everyone[:-1]):
        below = everyone[position + 1 :]
        chosen = [below[0], *draw(st.lists(st.sampled_from(below), max_size=2))]
        weights = {to: draw(st.floats(0.1, 1.0)) for to in dict.fromkeys(chosen)}
        for to, weight in weights.items():
            links[name, to] = (weight / sum(weights.values()), draw(st.sampled_from([0.0, 0.1, 0.5])))
    size = draw(st.floats(1e2, 1e5))
    return make_network(
        dict(zip(everyone, ["border", *kinds, "outlet"], strict=True)),
        links,
        min_flow={n: draw(flows) / 5 for n in names} if minimum else {},
        industry={n: draw(flows) / 10 for n in names},
        capacity=dict.fromkeys(names, size),
        dead=dict.fromkeys(names, size * 0.1),
        initial={n: size * draw(st.floats(0, 1)) for n in names},
        release_share={n: draw(st.floats(0.05, 1.0)) for n in names},
        evaporation={n: draw(flows) for n in names},
    )


def drawn_demand(draw, network, count, sectors=ASKED):
    served = [n for n in network["node"].values.tolist() if n.startswith("n")]
    wanted = {n: [[draw(flows) for _ in sectors] for _ in range(count)] for n in served}
    return asking(network, wanted, count, sectors)


@st.composite
def cases(draw, count=3, **options):
    """A network, a demand and an inflow of some months."""
    network = draw(networks(**options))
    return network, drawn_demand(draw, network, count), entering(count, **{"in": [draw(flows) for _ in range(count)]})


@settings(max_examples=60)
@given(cases(count=4), st.floats(0, 0.9), flows)
def test_water_is_neither_lost_nor_made(case, back, rain):
    """|in - out - use - loss - change of storage| < 1e-9 of the water at every node and month."""
    network, demand, inflow = case
    returns = xr.DataArray([back], dims="sector", coords={"sector": ["domestic"]})
    runoff = raining(network, 4, n0=rain)
    found = allocate(network, demand, inflow, runoff=runoff, returns=returns)
    residual = mass_balance(network, found, inflow, runoff=runoff, returns=returns)
    assert bool(residual.notnull().all())
    assert float(abs(residual).max()) < 1e-9
    require_balance(residual)
    # and of the network as a whole
    start = network["initial"].where(network["kind"] == KINDS.index("reservoir"), 0.0).sum()
    days = found["time"].dt.days_in_month
    used = found["delivered"] * (1 - returns.reindex(sector=list(SECTORS), fill_value=0.0))
    out = found["inflow"].sel(node="sea") + (found["evaporation"] + found["link_loss"]).sum("node")
    out = out + used.sel(sector=["domestic", "livestock", "industry", "irrigation"]).sum(["node", "sector"])
    came = ((inflow.sum("border") + runoff.sum("node")) * days).sum()
    kept = found["storage"].isel(time=-1).sum() - start
    assert float((out * days).sum() + kept) == pytest.approx(float(came), rel=1e-9, abs=1e-6)


def test_a_leak_is_seen_and_stops_the_run():
    demand, inflow = asking(CHAIN, {"town": [40, 5, 50]}), entering(**{"in": 100})
    found = allocate(CHAIN, demand, inflow)
    found["outflow"] = found["outflow"].where(found["node"] != "town", found["outflow"] - 1e-6)
    residual = mass_balance(CHAIN, found, inflow)
    assert abs(residual.sel(node="town").item()) > 1e-9
    assert abs(residual.sel(node="fields").item()) > 1e-9
    with pytest.raises(ContractError, match="unaccounted"):
        require_balance(residual)


@settings(max_examples=60)
@given(cases(count=1, reservoirs=False, minimum=False))
def test_with_one_sector_greedy_gives_as_much_as_a_linear_programme(case):
    """Highest sum of deliveries that the balance of each node allows; variables: delivery and outflow of each node."""
    network, demand, inflow = case
    network["industry"] = network["industry"] * 0
    demand = demand.sel(sector=["irrigation"])
    found = allocate(network, demand, inflow)
    size = network.sizes["node"]
    share, loss = network["share"].values, network["loss"].values
    # delivery[n] + outflow[n] - sum over m of outflow[m] share (1 - loss) = what enters at n
    balance = np.hstack([np.eye(size), np.eye(size) - (share * (1 - loss)).T])
    own = np.where(network["node"].values == "in", inflow.item(), 0.0)
    wanted = demand.values[0, :, 0]
    goal = np.concatenate([-np.ones(size), np.zeros(size)])
    bounds = [(0, w) for w in wanted] + [(0, None)] * size
    best = linprog(goal, A_eq=balance, b_eq=own, bounds=bounds, method="highs")
    assert best.success
    given_to_all = found["delivered"].sel(sector="irrigation").sum().item()
    assert given_to_all == pytest.approx(-best.fun, rel=1e-7, abs=1e-6)


@settings(max_examples=60)
@given(cases(), st.integers(0, 4), st.sampled_from(ASKED), flows)
def test_more_use_above_never_gives_more_water_below(case, position, sector, more):
    """Of a node that asks for more, and of all that do not lie below it, nothing flows on more than before."""
    network, demand, inflow = case
    served = [n for n in network["node"].values.tolist() if n.startswith("n")]
    node = served[min(position, len(served) - 1)]
    thirsty = demand + more * ((demand["node"] == node) & (demand["sector"] == sector))
    before, after = (allocate(network, d.assign_attrs(units="m3/day"), inflow) for d in (demand, thirsty))
    for name in ("inflow", "available", "outflow", "storage"):
        assert bool((after[name] <= before[name] + 1e-6).all()), name
    elsewhere = before["delivered"].sel(node=[n for n in before["node"].values if n != node])
    assert bool((after["delivered"].sel(node=elsewhere["node"]) <= elsewhere + 1e-6).all())


@settings(max_examples=60)
@given(cases(reservoirs=False, minimum=False), st.data())
def test_splitting_a_node_in_two_in_series_changes_nothing(case, data):
    """Sectors that come first draw at the upper half, the others at the lower."""
    network, demand, inflow = case
    served = [n for n in network["node"].values.tolist() if n.startswith("n")]
    node = data.draw(st.sampled_from(served))
    cut = data.draw(st.integers(0, len(ASKED)))
    links = {}
    for (i, source), (j, to) in (
        (a, b) for a in enumerate(network["node"].values) for b in enumerate(network["to"].values)
    ):
        if network["share"].values[i, j] > 0:
            key = ("lower" if source == node else source, to)
            links[key] = (network["share"].values[i, j], network["loss"].values[i, j])
    links[node, "lower"] = 1.0
    kinds = {n: KINDS[k] for n, k in zip(network["node"].values.tolist(), network["kind"].values, strict=True)}
    twice = make_network(kinds | {"lower": "reach"}, links)
    network["industry"] = network["industry"] * 0
    upper = demand.where((demand["node"] != node) | demand["sector"].isin(ASKED[:cut]), 0.0)
    lower = demand.sel(node=[node]).where(demand["sector"].isin(ASKED[cut:]), 0.0).assign_coords(node=["lower"])
    split = xr.concat([upper, lower], dim="node").assign_attrs(units="m3/day")
    before, after = allocate(network, demand, inflow), allocate(twice, split, inflow)
    together = after["delivered"].sel(node=node) + after["delivered"].sel(node="lower")
    np.testing.assert_allclose(together, before["delivered"].sel(node=node), rtol=1e-9, atol=1e-6)
    others = [n for n in network["node"].values if n != node]
    for name in ("inflow", "outflow", "delivered"):
        np.testing.assert_allclose(after[name].sel(node=others), before[name].sel(node=others), rtol=1e-9, atol=1e-6)


def test_the_order_of_nodes_and_chunks_change_nothing():
    network = lake(release_share={"lake": 0.3})
    demand, inflow = asking(network, {"lake": [2, 1, 1000]}, 3), entering(3, **{"in": [10, 100, 5]})
    scenarios = (demand * xr.DataArray([0.5, 1.0], dims="scenario")).assign_attrs(units="m3/day")
    whole = allocate(network, scenarios, inflow)
    turned = allocate(network.isel(node=[2, 0, 1], to=[1, 2, 0]), scenarios.isel(node=[1, 2, 0]), inflow)
    chunked = allocate(network, scenarios.chunk(scenario=1, time=2, node=1).transpose("scenario", ...), inflow)
    assert chunked["delivered"].chunks is not None
    for name in TIMED:
        assert whole[name].dims[-1] == "scenario"
        np.testing.assert_allclose(turned[name].sel(node=network["node"]), whole[name], rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(chunked[name].transpose(*whole[name].dims), whole[name], rtol=1e-12, atol=1e-12)
    one = allocate(network, demand, inflow)
    np.testing.assert_allclose(whole["storage"].isel(scenario=1), one["storage"], rtol=1e-14)


def test_a_cycle_is_an_error_that_names_it():
    network = make_network(
        {"in": "border", "a": "reach", "b": "reach"}, {("in", "a"): 1.0, ("a", "b"): 1.0, ("b", "a"): 1.0}
    )
    with pytest.raises(ContractError, match=r"a to b to a|b to a to b"):
        flow_order(network)
    with pytest.raises(ContractError, match="cycle"):
        allocate(network, asking(network, {}), entering(**{"in": 1}))


# ------------------------------------------------------------------ what is not known

TWO = make_network(
    {"tigris": "border", "spring": "reach", "lake": "reservoir", "below": "reach", "valley": "reach", "sea": "outlet"},
    {
        ("tigris", "lake"): 1.0,
        ("lake", "below"): 1.0,
        ("spring", "valley"): 1.0,
        ("below", "sea"): 1.0,
        ("valley", "sea"): 1.0,
    },
    capacity={"lake": 1e5},
    initial={"lake": 5e4},
    release_share={"lake": 0.5},
)


def consistent(found):
    """A value where the status keeps one, and nowhere else."""
    for name in TIMED:
        assert bool((has_status(found[f"{name}_status"], KEEPS_VALUE) == found[name].notnull()).all()), name


def words(found, name, node):
    return [Status(int(c)).name for c in found[f"{name}_status"].sel(node=node).values]


def test_without_border_inflow_nothing_below_is_known_and_local_runoff_is_not_taken_for_it():
    """Much rain below the lake says nothing of the river. The valley has no border above it: it is computed."""
    demand = asking(TWO, {"below": [10, 0, 0], "valley": [10, 0, 0]}, 3)
    runoff = raining(TWO, 3, below=1e6, spring=50.0)
    found = allocate(TWO, demand, entering(3, tigris=[100, np.nan, 100]), runoff=runoff)
    consistent(found)
    assert words(found, "inflow", "lake") == ["ok", "external_unknown", "ok"]
    assert words(found, "available", "lake") == ["ok", "external_unknown", "external_unknown"]
    assert words(found, "inflow", "below") == ["ok", "external_unknown", "external_unknown"]
    assert found["delivered"].sel(node="below", sector="domestic").isnull().values.tolist() == [False, True, True]
    assert words(found, "inflow", "sea")[1:] == ["external_unknown"] * 2
    assert found["delivered"].sel(node="valley", sector="domestic").values.tolist() == [10, 10, 10]
    assert words(found, "outflow", "valley") == ["ok"] * 3
    residual = mass_balance(TWO, found, entering(3, tigris=[100, np.nan, 100]), runoff=runoff)
    assert residual.sel(node="valley").notnull().all()
    assert residual.sel(node="below").isnull().values.tolist() == [False, True, True]
    require_balance(residual)


def test_a_border_or_a_month_that_the_table_lacks_is_unknown():
    demand = asking(TWO, {"below": [10, 0, 0]}, 2)
    for inflow in (entering(2, tigris=1.0).isel(border=slice(0)), entering(1, tigris=1.0).isel(time=slice(0))):
        found = allocate(TWO, demand, inflow)
        assert words(found, "inflow", "below") == ["external_unknown"] * 2
        assert words(found, "inflow", "valley") == ["ok"] * 2


def test_a_demand_that_is_not_known_leaves_what_comes_after_it_unknown():
    """Irrigation above is not known: the towns there are served first, what is left for those below nobody knows."""
    demand = asking(TWO, {"valley": [10, 1, np.nan], "below": [10, 0, 0]})
    found = allocate(TWO, demand, entering(tigris=100), runoff=raining(TWO, valley=100.0))
    consistent(found)
    given = found["delivered"].sel(node="valley").isel(time=0)
    assert given.sel(sector=["domestic", "livestock"]).values.tolist() == [10, 1]
    assert np.isnan(given.sel(sector="irrigation").item())
    assert words(found, "outflow", "valley") == ["insufficient_data"]
    assert words(found, "inflow", "sea") == ["insufficient_data"]
    assert words(found, "outflow", "below") == ["ok"]
    first = allocate(TWO, asking(TWO, {"valley": [np.nan, 1, 5]}), entering(tigris=100), runoff=raining(TWO))
    consistent(first)
    assert first["delivered"].sel(node="valley").isnull().all()


def test_a_runoff_that_is_not_known_is_a_missing_input():
    found = allocate(TWO, asking(TWO, {}), entering(tigris=100), runoff=raining(TWO, spring=np.nan))
    consistent(found)
    assert words(found, "inflow", "valley") == ["input_missing"]
    assert words(found, "inflow", "below") == ["ok"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d, i: (d.assign_attrs(units="m3/s"), i), "m3/s"),
        (lambda d, i: (d, i.assign_attrs(units="m3/s")), "m3/s"),
        (lambda d, i: ((d - 1000).assign_attrs(d.attrs), i), "negative"),
        (lambda d, i: (d, (i - 1000).assign_attrs(i.attrs)), "negative"),
        (lambda d, i: (d.assign_coords(sector=["domestic", "parks", "irrigation"]), i), "parks"),
        (lambda d, i: (d.isel(time=[0, 2]), i), "consecutive"),
        (lambda d, i: (d.isel(time=[]), i), "consecutive"),
    ],
)
def test_wrong_inputs_are_refused(change, message):
    demand, inflow = change(asking(CHAIN, {"town": [40, 5, 50]}, 3), entering(3, **{"in": 100}))
    with pytest.raises(ContractError, match=message):
        allocate(CHAIN, demand, inflow)


# ------------------------------------------------------------------ performance


def series(*values):
    coords = {"time": months(len(values))}
    return xr.DataArray(np.array(values, dtype=float), dims="time", coords=coords, attrs={"units": "m3/day"})


def test_performance_by_hand():
    """Demand 10. Two runs of failure, of 3 months (worst 60 %) and of 1 (20 %): met in 8 of 12 months.

    Of 4 failing months 2 are followed by one that is met.
    """
    supply = series(10, 10, 8, 4, 5, 10, 10, 10, 8, 12, 10, 10)
    found = performance(xr.full_like(supply, 10.0), supply)
    assert found["reliability"].item() == pytest.approx(8 / 12)
    assert found["resilience"].item() == pytest.approx(2 / 4)
    assert found["vulnerability"].item() == pytest.approx((0.6 + 0.2) / 2)


def test_a_demand_that_never_fails_has_nothing_to_recover_from():
    supply = series(*[10] * 12)
    found = performance(xr.full_like(supply, 10.0), supply)
    assert (found["reliability"].item(), found["vulnerability"].item()) == (1.0, 0.0)
    assert np.isnan(found["resilience"].item())
    assert found["resilience_status"].item() == Status.insufficient_data


def test_months_nobody_knows_are_neither_met_nor_failed():
    """An unknown month after a failure says nothing of recovery; a failure at the end is an open run."""
    supply = series(*[10] * 9, 5, np.nan, 10, 10, 7)
    found = performance(xr.full_like(supply, 10.0), supply)
    assert found["reliability"].item() == pytest.approx(11 / 13)
    assert np.isnan(found["resilience"].item())
    assert found["vulnerability"].item() == pytest.approx((0.5 + 0.3) / 2)


def test_too_few_months_give_no_figure():
    supply = series(*[10] * 11)
    found = performance(xr.full_like(supply, 10.0), supply)
    assert all(found[f"{n}_status"].item() == Status.insufficient_data for n in ("reliability", "vulnerability"))
    assert np.isnan(found["reliability"].item())


@settings(max_examples=60)
@given(st.lists(st.floats(0, 20), min_size=12, max_size=30), st.floats(0, 5))
def test_more_water_is_never_less_reliable(supply, more):
    """Resilience may fall (METHODS of Hashimoto: it is a ratio); reliability does not."""
    wanted = xr.full_like(series(*supply), 10.0)
    before, after = performance(wanted, series(*supply)), performance(wanted, series(*[s + more for s in supply]))
    assert after["reliability"].item() >= before["reliability"].item()
    assert 0 <= after["vulnerability"].item() <= 1
