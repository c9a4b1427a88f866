"""Networks of rivers and canals: what is read stands where it was written, and what cannot be is named."""

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from geodata.network import KINDS, WaterNetwork
from geodata.schema import Findings, InputError, Status
from geodata.sources import READERS, read_source
from geodata.store import read_cube, write_dataset

UNITS = pd.DataFrame(index=pd.Index(["A", "B", "C", "D"], name="pcode"))
NETWORK = """
[[node]]
name = "upstream"
kind = "border"

[[node]]
name = "lake"
kind = "reservoir"
serves = ["A"]
capacity_mm3 = 100
dead_mm3 = 20
initial_mm3 = 60
release_share = 0.25
surface_km2 = 2
evaporation_mm = [10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120]

[[node]]
name = "town"
kind = "reach"
serves = ["B", { pcode = "C", share = 0.6 }]
min_flow_m3s = 2
industry_m3d = 500

[[node]]
name = "canal"
kind = "canal"
serves = [{ pcode = "C", share = 0.4 }]
drains = ["D"]

[[node]]
name = "sea"
kind = "outlet"

[[link]]
from = "upstream"
to = "lake"
share = 1

[[link]]
from = "lake"
to = "town"
share = 0.7

[[link]]
from = "lake"
to = "canal"
share = 0.3
loss = 0.1

[[link]]
from = "town"
to = "sea"
share = 1

[[link]]
from = "canal"
to = "sea"
share = 1
"""
INFLOW = "month,node,inflow_m3s\n2024-01,upstream,10\n2024-03,upstream,30\n2024-04,upstream,\n"


BLOCK = {
    "reader": "water_network",
    "path": "network.toml",
    "inflow": "inflow.csv",
    "label": {"en": "Rivers"},
    "units": "m3/s",
    "cadence": "month",
    "licence": "x",
    "attribution": "x",
}


def read(folder, network=NETWORK, inflow=INFLOW):
    """The network and what was found on the way."""
    (folder / "network.toml").write_text(network, "utf-8")
    (folder / "inflow.csv").write_text(inflow or "", "utf-8")
    log = Findings("sources.river")
    options = READERS["water_network"].model_validate(BLOCK | {"inflow": None if inflow is None else "inflow.csv"})
    return read_source(options, folder, log, UNITS), log


def refused(folder, **texts):
    with pytest.raises(InputError) as error:
        read(folder, **texts)
    return [(f.file, f.field, f.found) for f in error.value.findings]


# ------------------------------------------------------------------ values where they were written


def test_links_users_and_reservoirs_stand_where_they_were_written(tmp_path):
    found, _ = read(tmp_path)
    assert found["share"].sel(node="lake", to="canal").item() == 0.3
    assert found["loss"].sel(node="lake", to="canal").item() == 0.1
    assert found["share"].sel(node="canal", to="lake").item() == 0
    assert found["share"].sum("to").values.tolist() == [1, 1, 1, 1, 0]
    assert found["serves"].sel(pcode="C").values.tolist() == [0, 0, 0.6, 0.4, 0]
    assert found["serves"].sum("node").values.tolist() == [1, 1, 1, 0]
    assert found["drains"].sel(node="canal").values.tolist() == [0, 0, 0, 1]
    assert [KINDS[k] for k in found["kind"].values] == ["border", "reservoir", "reach", "canal", "outlet"]
    lake = found.sel(node="lake")
    assert [lake[n].item() for n in ("capacity", "dead", "initial", "release_share")] == [100e6, 20e6, 60e6, 0.25]
    assert lake["evaporation"].sel(month=2).item() == 20 / 1000 * 2e6  # 20 mm of 2 km2
    assert found["min_flow"].sel(node="town").item() == 2 * 86_400
    assert found["industry"].sel(node="town").item() == 500


def test_a_month_without_inflow_is_unknown_and_never_dry(tmp_path):
    """10 m3/s are 864,000 m3/day; February has no row, April an empty cell."""
    found, log = read(tmp_path)
    assert found.indexes["time"].strftime("%Y-%m").tolist() == ["2024-01", "2024-02", "2024-03", "2024-04"]
    inflow = found["border_inflow"].sel(border="upstream")
    np.testing.assert_array_equal(inflow, [864_000, np.nan, 2_592_000, np.nan])
    assert found["border_inflow_status"].values.ravel().tolist() == [Status.ok, Status.input_missing] * 2
    (warning,) = log.items
    assert (warning.severity, warning.file) == ("warning", "inflow.csv")
    assert "2024-02, 2024-04" in warning.found


def test_a_network_whose_inflow_nobody_measures_has_no_month(tmp_path):
    found, _ = read(tmp_path, inflow=None)
    assert found["border_inflow"].shape == (0, 1)


def test_a_border_without_any_row_is_unknown(tmp_path):
    more = NETWORK + '[[node]]\nname = "west"\nkind = "border"\n[[link]]\nfrom = "west"\nto = "town"\nshare = 1\n'
    found, log = read(tmp_path, network=more)
    assert bool(found["border_inflow"].sel(border="west").isnull().all())
    assert "'west': no inflow" in [f.found for f in log.items]


def test_both_files_are_hashed(tmp_path):
    read(tmp_path)
    options = WaterNetwork.model_validate(BLOCK)
    assert [p.name for p in options.files(tmp_path)] == ["inflow.csv", "network.toml"]


def test_a_network_survives_its_store(tmp_path):
    found, _ = read(tmp_path)
    back = read_cube(write_dataset(found, tmp_path / "network.nc"))
    assert back["node"].values.tolist() == found["node"].values.tolist()
    for name in found.data_vars:
        np.testing.assert_array_equal(back[name].values, found[name].values)
    empty, _ = read(tmp_path, inflow=None)
    assert read_cube(write_dataset(empty, tmp_path / "empty.nc"))["border_inflow"].shape == (0, 1)


# ------------------------------------------------------------------ networks that cannot be


@pytest.mark.parametrize(
    ("old", "new", "field", "found"),
    [
        (
            'to = "canal"\nshare = 0.3',
            'to = "cannal"\nshare = 0.3',
            "link 'lake' to 'cannal'.to",
            "did you mean 'canal'",
        ),
        ("share = 0.7", "share = 0.6", "node 'lake'", "2 links with shares that sum to 0.9"),
        ('name = "town"', 'name = "lake"', "node 'lake'", "two nodes of this name"),
        (
            'from = "canal"\nto = "sea"',
            'from = "canal"\nto = "upstream"',
            "link 'canal' to 'upstream'",
            "into a border",
        ),
        ('from = "canal"\nto = "sea"', 'from = "sea"\nto = "canal"', "link 'sea' to 'canal'", "out of an outlet"),
        ('from = "canal"\nto = "sea"', 'from = "town"\nto = "sea"', "link 'town' to 'sea'", "two such links"),
        ('from = "canal"\nto = "sea"', 'from = "upstream"\nto = "sea"', "node 'canal'", "no link that leaves it"),
        ('to = "lake"\nshare = 1', 'to = "town"\nshare = 1', "node 'lake'", "no water that enters it"),
        ('serves = ["B", ', 'serves = ["Q", ', "node 'town'.serves", "unknown p-codes Q"),
        ('serves = ["B", ', 'serves = ["A", ', "node 'lake'.serves", "A also at town, and here without a share"),
        ('serves = ["A"]', 'serves = ["A", "A"]', "node 'lake'.serves", "A twice"),
        ('"C", share = 0.4', '"C", share = 0.5', "serves", "shares that sum to 1.1 over town, canal"),
        ('"C", share = 0.4', '"C", share = 1.4', "node 'canal'.serves.0.share", "1.4"),
        ('drains = ["D"]', 'drains = ["Q"]', "node 'canal'.drains", "unknown p-codes Q"),
        ('serves = ["A"]', 'serves = ["A"]\ndrains = ["D"]', "drains", "D at lake, canal"),
        ("dead_mm3 = 20", "dead_mm3 = 120", "node 'lake'.dead_mm3", "120"),
        ("initial_mm3 = 60", "initial_mm3 = 101", "node 'lake'.initial_mm3", "101"),
        ("capacity_mm3 = 100\n", "", "node 'lake'.capacity_mm3", "nothing"),
        ("release_share = 0.25\n", "", "node 'lake'.release_share", "nothing"),
        ("surface_km2 = 2\n", "", "node 'lake'", "one of surface_km2"),
        ("release_share = 0.25", "release_share = 0", "node 'lake'.release_share", "0"),
        ("capacity_mm3 = 100", "capacity_mm3 = -100", "node 'lake'.capacity_mm3", "-100"),
        ("90, 100, 110, 120]", "90, 100, 110]", "node 'lake'.evaporation_mm", "["),
        ("min_flow_m3s = 2", "min_flow_m3s = -2", "node 'town'.min_flow_m3s", "-2"),
        ("min_flow_m3s = 2", "capacity_mm3 = 2", "node 'town'.capacity_mm3", "on a reach"),
        ('kind = "border"', 'kind = "border"\nserves = ["D"]', "node 'upstream'.serves", "on a border"),
        ("min_flow_m3s = 2", "min_flow = 2", "node 'town'.min_flow", "an unknown key"),
        ('kind = "canal"', 'kind = "ditch"', "node 'canal'.kind", "'ditch'"),
        ('name = "canal"\n', "", "node number 4.name", "nothing"),
        ("loss = 0.1", "loss = 1.0", "link 'lake' to 'canal'.loss", "1.0"),
        ("loss = 0.1", "loses = 0.1", "link 'lake' to 'canal'.loses", "an unknown key"),
        ("loss = 0.1", "loss = ", "syntax", "Invalid value"),
        ("[[link]]", "[[links]]", "links", "unknown table"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_field(tmp_path, old, new, field, found):
    assert old in NETWORK
    errors = refused(tmp_path, network=NETWORK.replace(old, new, -1 if old == "[[link]]" else 1))
    assert ("network.toml", field) in [e[:2] for e in errors]
    assert any(e[1] == field and found in e[2] for e in errors), errors


def test_a_cycle_is_named_by_its_nodes(tmp_path):
    """lake to town to canal to lake: three links that are each right."""
    text = NETWORK.replace('from = "town"\nto = "sea"', 'from = "town"\nto = "canal"')
    text = text.replace('from = "canal"\nto = "sea"', 'from = "canal"\nto = "lake"')
    (cycle,) = [e for e in refused(tmp_path, network=text) if "cycle" in e[2]]
    assert cycle[:2] == ("network.toml", "link")
    assert all(name in cycle[2] for name in ("lake", "town", "canal"))
    assert "upstream" not in cycle[2]


def test_a_node_that_leads_to_itself_is_a_cycle(tmp_path):
    errors = refused(tmp_path, network=NETWORK.replace('from = "canal"\nto = "sea"', 'from = "canal"\nto = "canal"'))
    assert any("a cycle: canal to canal" in e[2] for e in errors)


def test_all_errors_are_told_at_once(tmp_path):
    text = NETWORK.replace("share = 0.7", "share = 0.6").replace("dead_mm3 = 20", "dead_mm3 = 120")
    errors = refused(tmp_path, network=text, inflow=INFLOW.replace("10", "-10"))
    assert {(e[0], e[1].partition(",")[0]) for e in errors} == {
        ("network.toml", "node 'lake'"),
        ("network.toml", "node 'lake'.dead_mm3"),
        ("inflow.csv", "column 'inflow_m3s'"),
    }


@pytest.mark.parametrize(
    ("inflow", "field", "found"),
    [
        (INFLOW.replace("30", "-30"), "column 'inflow_m3s', row 3", "-30"),
        (INFLOW.replace("30", "much"), "column 'inflow_m3s', row 3", "much"),
        (INFLOW.replace("2024-03", "2024-13"), "column 'month', row 3", "2024-13"),
        (INFLOW.replace("03,upstream", "03,upstreem"), "column 'node', row 3", "did you mean 'upstream'"),
        (INFLOW.replace("03,upstream", "03,lake"), "column 'node', row 3", "'lake', no border node"),
        (INFLOW.replace("2024-03", "2024-01"), "columns 'month' and 'node', rows 2, 3", "upstream in 2024-01"),
        (INFLOW.replace("inflow_m3s", "inflow"), "columns", "no 'inflow_m3s'"),
    ],
)
def test_inflow_that_cannot_be_is_named_with_file_and_field(tmp_path, inflow, field, found):
    errors = refused(tmp_path, inflow=inflow)
    assert [e[:2] for e in errors] == [("inflow.csv", field)]
    assert found in errors[0][2]


def test_a_file_that_is_not_there(tmp_path):
    options, _ = WaterNetwork.model_validate(BLOCK | {"inflow": "flow.csv"}), read(tmp_path)
    with pytest.raises(InputError, match=r"flow\.csv"):
        options.read(tmp_path, Findings("sources.river"), UNITS)


def test_inflow_in_other_units_is_refused():
    with pytest.raises(ValidationError, match="m3/s"):
        WaterNetwork.model_validate(BLOCK | {"units": "m3/day"})
