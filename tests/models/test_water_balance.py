"""Demand against supply: shares by hand, sums that say what they hold, and reasons instead of numbers."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from geodata.schema import KEEPS_VALUE, ContractError, Status, check_cube, has_status, status_attrs
from models.allocation import allocate
from models.demand import SCENARIOS, unknown_demand, with_total
from models.water_balance import (
    CASES,
    aggregate,
    at_nodes,
    supply_performance,
    to_units,
    use_over_resource,
    without_supply,
)

PCODES = ["A", "B", "C", "D"]
NODES = {"in": "border", "town": "reach", "canal": "canal", "sea": "outlet"}
SERVES = {("town", "A"): 1.0, ("town", "B"): 0.25, ("canal", "B"): 0.75, ("canal", "C"): 1.0}  # nobody serves D
KINDS = ("border", "reach", "canal", "reservoir", "outlet")


def months(count):
    return pd.date_range("2024-01-01", periods=count, freq="MS", unit="ns")


def make_network(links=(("in", "town"), ("town", "canal"), ("canal", "sea")), **industry):
    names = list(NODES)
    share = xr.DataArray(np.zeros((4, 4)), dims=("node", "to"), coords={"node": names, "to": names})
    for source, to in links:
        share.loc[source, to] = 1.0
    serves = xr.DataArray(np.zeros((4, 4)), dims=("node", "pcode"), coords={"node": names, "pcode": PCODES})
    for (node, pcode), part in SERVES.items():
        serves.loc[node, pcode] = part
    zero = ("node", np.zeros(4))
    kinds = ("node", np.array([KINDS.index(k) for k in NODES.values()], "int8"), {"flag_meanings": " ".join(KINDS)})
    return xr.Dataset(
        {"share": share, "loss": share * 0, "serves": serves, "kind": kinds, "min_flow": zero}
        | {
            "industry": ("node", [industry.get(n, 0.0) for n in names]),
            "evaporation": (("node", "month"), np.zeros((4, 12))),
        }
        | {name: zero for name in ("capacity", "dead", "initial", "release_share")},
        coords={"month": np.arange(1, 13)},
    )


def asking(count=1, **parts):
    """Demand of the four subdistricts in m3/day, the same in all scenarios; a part not named is not known."""
    like = xr.DataArray(np.zeros((count, 4)), dims=("time", "pcode"), coords={"time": months(count), "pcode": PCODES})
    found = xr.Dataset()
    for name in ("residents", "displaced", "irrigation", "livestock"):
        if name not in parts:
            found = found.merge(unknown_demand(name, like), join="exact")
            continue
        table = np.broadcast_to(np.array(parts[name], dtype=float), (count, 4))
        values = like.copy(data=table).expand_dims(scenario=list(SCENARIOS), axis=-1)
        codes = np.where(np.isnan(table), Status.input_missing, Status.ok).astype("int8")
        found[f"demand_{name}"] = values.assign_attrs(units="m3/day", long_name=name)
        found[f"demand_{name}_status"] = like.copy(data=codes).astype("int8").assign_attrs(status_attrs())
    found["demand_domestic"] = found["demand_residents"].assign_attrs(units="m3/day", long_name="domestic")
    found["demand_domestic_status"] = found["demand_residents_status"]
    return with_total(found)


def entering(values):
    coords = {"time": months(len(values)), "border": ["in"]}
    return xr.DataArray(
        np.array(values, dtype=float)[:, np.newaxis], dims=("time", "border"), coords=coords, attrs={"units": "m3/day"}
    )


def balance(demand, inflow, sectors=("domestic", "irrigation"), network=None, **options):
    network = make_network() if network is None else network
    allocation = allocate(network, at_nodes(demand, network["serves"], sectors), entering(inflow))
    return to_units(allocation, demand, network["serves"], sectors, **options)


def mids(found, name, month=0):
    return found[name].sel(scenario="mid").isel(time=month).values


def words(found, name, month=0):
    flags = found[f"{name}_status"].isel(time=month)
    return [Status(int(c)).name for c in (flags.isel(scenario=1) if "scenario" in flags.dims else flags).values]


def consistent(found):
    for name in map(str, found.data_vars):
        if "flag_meanings" not in found[name].attrs:
            kept = has_status(found[f"{name}_status"], KEEPS_VALUE)
            assert bool((kept == found[name].notnull()).all()), name


# ------------------------------------------------------------------ by hand


def test_demand_is_drawn_where_it_is_declared():
    found = at_nodes(asking(residents=[10, 20, 30, 40]), make_network()["serves"], ["domestic"])
    assert found.sel(sector="domestic", scenario="low").values.tolist() == [[0, 10 + 5, 15 + 30, 0]]


def test_a_short_month_by_hand():
    """100 enter. Town: A 40 and a quarter of B's 40, met; of 100 for irrigation 50 are left, so half of each.

    Nothing reaches the canal, so three quarters of B get nothing, and C.
    """
    demand = asking(residents=[40, 40, 10, 5], irrigation=[80, 80, 0, 5])
    found = balance(demand, [100])
    check_cube(found)
    consistent(found)
    np.testing.assert_allclose(mids(found, "supply"), [40 + 40, 10 + 10, 0, np.nan])
    np.testing.assert_allclose(mids(found, "unmet_domestic"), [0, 30, 10, np.nan])
    np.testing.assert_allclose(mids(found, "unmet_irrigation"), [40, 70, 0, np.nan])
    np.testing.assert_allclose(mids(found, "unmet_total"), [40, 100, 10, np.nan])
    np.testing.assert_allclose(mids(found, "unmet_share"), [40 / 120, 100 / 120, 1, np.nan])
    assert words(found, "supply") == ["ok", "ok", "ok", "input_missing"]


def test_supply_and_unmet_are_the_demand_and_no_more_is_given_than_delivered():
    demand = asking(residents=[40, 40, 10, 5], irrigation=[80, 80, 0, 5])
    network = make_network()
    allocation = allocate(network, at_nodes(demand, network["serves"], ["domestic", "irrigation"]), entering([100]))
    found = to_units(allocation, demand, network["serves"], ["domestic", "irrigation"])
    together = (found["supply"] + found["unmet_total"]).sel(pcode=["A", "B", "C"])
    np.testing.assert_allclose(together, demand["demand_total"].sel(pcode=["A", "B", "C"]), rtol=1e-12)
    np.testing.assert_allclose(
        found["supply"].sum("pcode"), allocation["delivered"].sum(["node", "sector"]), rtol=1e-12
    )


def test_water_stress_is_that_of_all_who_draw_at_the_same_place():
    """Town: (40 + 10 + 20 of industry) of 100; canal: 30 + 10 of the 30 left; B draws a quarter at the town."""
    demand = asking(residents=[40, 40, 10, 5])
    found = balance(demand, [100], ["domestic"], make_network(town=20.0))
    a, b = 70 / 100, (0.25 * 70 + 0.75 * 40) / (0.25 * 100 + 0.75 * 30)
    np.testing.assert_allclose(mids(found, "water_stress"), [a, b, 40 / 30, np.nan])
    dry = balance(demand, [0], ["domestic"])
    assert [CASES[c] for c in mids(dry, "water_stress_case")] == ["no_local_resource"] * 3 + ["unknown"]
    assert words(dry, "water_stress") == ["insufficient_data"] * 3 + ["input_missing"]
    idle = balance(asking(residents=[0, 0, 0, 0]), [0], ["domestic"])
    assert [CASES[c] for c in mids(idle, "water_stress_case")] == ["no_use"] * 3 + ["unknown"]
    assert words(idle, "unmet_share")[0] == "insufficient_data"
    assert mids(idle, "supply")[0] == 0


def test_a_use_over_nothing_is_no_number():
    found = use_over_resource(xr.DataArray([2.0, 5.0]), xr.DataArray([4.0, 0.0]))
    assert found["ratio"].values.tolist()[0] == 0.5
    assert not np.isinf(found["ratio"].values).any()


# ------------------------------------------------------------------ what is not known


def test_without_border_inflow_who_lives_on_the_river_has_no_known_supply():
    found = balance(asking(2, residents=[40, 40, 10, 5]), [100, np.nan], ["domestic"])
    check_cube(found)
    consistent(found)
    assert words(found, "supply") == ["ok", "ok", "ok", "input_missing"]
    assert words(found, "supply", 1) == ["external_unknown"] * 3 + ["input_missing"]
    assert words(found, "unmet_share", 1)[:3] == ["external_unknown"] * 3
    assert words(found, "water_stress", 1)[:3] == ["external_unknown"] * 3


def test_a_country_may_say_that_all_its_rivers_rise_abroad():
    demand = asking(residents=[40, 40, 10, 5])
    found = balance(demand, [100], ["domestic"], without_network=Status.external_unknown)
    assert words(found, "supply") == ["ok", "ok", "ok", "external_unknown"]
    none = without_supply(demand, Status.external_unknown)
    check_cube(none)
    consistent(none)
    assert set(none) == set(found)
    assert {w for name in ("supply", "unmet_total", "water_stress") for w in words(none, name)} == {"external_unknown"}


def test_a_sector_without_any_source_is_left_out_for_all_and_said_to_be_missing():
    found = balance(asking(residents=[40, 40, 10, 5]), [100], ["domestic"])
    assert words(found, "unmet_irrigation") == ["input_missing"] * 4
    np.testing.assert_allclose(mids(found, "unmet_total"), [0, 0, 0, np.nan])


def test_one_user_whose_demand_is_not_known_hides_what_is_left_for_the_others():
    """A's irrigation is not known: A has its domestic water; what reaches the canal, where B draws, nobody knows."""
    found = balance(asking(residents=[40, 40, 10, 5], irrigation=[np.nan, 80, 0, 5]), [100])
    check_cube(found)
    consistent(found)
    assert words(found, "unmet_domestic") == ["ok", "insufficient_data", "insufficient_data", "input_missing"]
    assert words(found, "unmet_irrigation")[0] == "input_missing"
    assert words(found, "supply") == ["input_missing", "insufficient_data", "insufficient_data", "input_missing"]


def test_an_old_demand_makes_an_old_balance():
    demand = asking(residents=[40, 40, 10, 5])
    demand["demand_domestic_status"][:, 0] = Status.stale
    found = balance(demand, [100], ["domestic"])
    assert words(found, "supply") == ["stale", "ok", "ok", "input_missing"]


def test_performance_stands_at_the_last_month_with_the_reason_where_there_is_none():
    """A's 40 are met in 9 of 12 months; the river is not known in the last of another record."""
    demand = asking(12, residents=[40, 0, 0, 5])
    found = supply_performance(balance(demand, [100] * 9 + [20] * 3, ["domestic"]))
    check_cube(found)
    assert mids(found, "supply_reliability", 11)[0] == pytest.approx(0.75)
    assert mids(found, "supply_vulnerability", 11)[0] == pytest.approx(0.5)
    assert words(found, "supply_reliability", 0) == ["insufficient_data"] * 4
    assert words(found, "supply_reliability", 11) == ["ok"] * 3 + ["input_missing"]
    unknown = supply_performance(balance(demand, [np.nan] * 12, ["domestic"]))
    assert words(unknown, "supply_reliability", 11) == ["external_unknown"] * 3 + ["input_missing"]


# ------------------------------------------------------------------ sums

PARENT = pd.Series(["G1", "G1", "G2", "G2"], index=PCODES)


def test_a_sum_says_how_many_stand_behind_it():
    demand = asking(residents=[40, 30, 10, np.nan])
    found = aggregate(demand, PARENT, ["demand_domestic", "demand_total", "demand_irrigation"])
    assert found["unit"].values.tolist() == ["G1", "G2"]
    assert found["units"].values.tolist() == [2, 2]
    assert mids(found, "demand_domestic").tolist() == [70, 10]
    assert mids(found, "demand_domestic_units").tolist() == [2, 1]
    assert words(found, "demand_domestic") == ["ok", "ok"]
    assert np.isnan(mids(found, "demand_irrigation")).all()
    assert words(found, "demand_irrigation") == ["input_missing", "input_missing"]
    assert found["demand_domestic"].dims == ("time", "unit", "scenario")
    consistent(found.drop_vars([v for v in found if str(v).endswith("units")]))


def test_a_sum_is_no_surer_than_its_parts_and_tells_the_reason_where_it_is_none():
    demand = asking(residents=[40, 30, 10, 5])
    demand["demand_domestic_status"][:, 1] = Status.stale
    assert words(aggregate(demand, PARENT, ["demand_domestic"]), "demand_domestic") == ["stale", "ok"]
    found = balance(demand, [np.nan], ["domestic"])
    assert words(aggregate(found, PARENT, ["supply"]), "supply") == ["external_unknown", "external_unknown"]


@settings(max_examples=40)
@given(st.lists(st.floats(0, 1e6), min_size=4, max_size=4), st.permutations(range(4)))
def test_governorates_add_up_to_the_country_whatever_the_order(residents, order):
    demand = asking(residents=residents).isel(pcode=list(order))
    found = aggregate(demand, PARENT, ["demand_domestic"])
    assert mids(found, "demand_domestic").sum() == pytest.approx(sum(residents), rel=1e-12)
    np.testing.assert_allclose(mids(found, "demand_domestic")[0], residents[0] + residents[1], rtol=1e-12)


def test_a_unit_without_a_larger_one_is_an_error():
    with pytest.raises(ContractError, match="'D'"):
        aggregate(asking(residents=[1, 2, 3, 4]), PARENT.drop("D"), ["demand_domestic"])


@pytest.mark.parametrize("sectors", [[], ["domestic", "parks"]])
def test_a_sector_nobody_knows_is_an_error(sectors):
    with pytest.raises(ContractError, match="sectors"):
        at_nodes(asking(residents=[1, 2, 3, 4]), make_network()["serves"], sectors)
