"""People counted on earlier boundaries: protected there, moved by a published crosswalk; one round on two vintages."""

import json
import shutil
from datetime import date
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import box

from flows.check_inputs import check_inputs
from flows.crosswalked import Cutting, moved_cells, shared_out
from flows.displacement import count
from flows.plan import plan_run
from flows.run_country import run_country
from flows.vintages import boundaries_digest
from geodata.crosswalk import make_crosswalk
from geodata.displacement_table import DisplacementTable
from geodata.schema import Findings, InputError
from geodata.synthetic import square_subdistricts
from models.protection import intervals, protect, stand_in

from .conftest import ISSUED

OLD, NEW = pd.Index(list("ABCD"), name="pcode"), pd.Index(list("UVWX"), name="pcode")
CROSSWALK = pd.DataFrame(
    [("A", "U", 0.25), ("A", "V", 0.75), ("B", "W", 1.0), ("C", "W", 1.0), ("D", "X", 1.0)],
    columns=["from_pcode", "to_pcode", "share"],
)
FILE = "boundaries/synthetic_adm3.gpkg"
EARLIER = """
[sources.{}.earlier_boundaries]
path = "boundaries/earlier.gpkg"
pcode = "ADM3_PCODE"
names = {{ en = "ADM3_EN", ar = "ADM3_AR" }}
adm2_pcode = "ADM2_PCODE"
adm2_names = {{ en = "ADM2_EN", ar = "ADM2_AR" }}
adm1_pcode = "ADM1_PCODE"
adm1_names = {{ en = "ADM1_EN", ar = "ADM1_AR" }}
vintage = "2019"
label = {{ en = "Earlier boundaries" }}
licence = "none needed"
attribution = "made by geodata.synthetic"
names_table = {{ path = "names/names_ckb.csv", key = "PCODE", columns = {{ ckb = "NAME_CKB" }} }}
"""


def cells(households, critical=None):
    counts = pd.DataFrame({"households": households}, index=OLD, dtype="float64")
    return protect(counts if critical is None else counts.assign(critical=critical))


# ------------------------------------------------------------------ by hand


def test_a_split_unit_shares_by_area_and_merged_ones_sum():
    """40 are split as 10 and 30; 20 and 7 (printed 5) are 25; nobody stays nobody."""
    moved = moved_cells(cells([40, 20, 7, 0]), CROSSWALK, NEW)
    assert moved.values.tolist() == [[10, "ok"], [30, "ok"], [25, "ok"], [0, "ok"]]


def test_a_few_and_the_unknown_stay_what_they_are():
    """Two suppressed cells are no count of 5; a quarter of 15 is not told; what is unknown makes its sum unknown."""
    moved = moved_cells(cells([15, 3, 2, np.nan]), CROSSWALK, NEW)
    assert moved["households_status"].tolist() == ["suppressed", "ok", "suppressed", "input_missing"]
    assert moved["households"].isna().tolist() == [True, False, True, True]
    assert moved_cells(cells([1, 20, np.nan, 5]), CROSSWALK, NEW)["households_status"].tolist()[2] == "input_missing"


@st.composite
def truths(draw):
    """Counts of households and of those among them, and another truth that is protected alike."""
    households = draw(st.lists(st.integers(0, 60), min_size=4, max_size=4))
    critical = [draw(st.integers(0, n)) for n in households]
    told = cells(households, critical)
    other = cells(intervals(told)["high"], intervals(told, "critical")["low"])
    return told, other


@given(truths(), st.integers(1, 99))
def test_another_truth_protected_alike_is_moved_alike_and_totals_and_parts_stay(both, percent):
    told, other = both
    crosswalk = CROSSWALK.assign(share=[percent / 100, 1 - percent / 100, 1, 1, 1])
    moved = moved_cells(told, crosswalk, NEW)
    pd.testing.assert_frame_equal(moved, moved_cells(other, crosswalk, NEW))
    amounts = pd.DataFrame({name: stand_in(told, name) for name in ("households", "critical")})
    shared = shared_out(amounts, crosswalk, NEW)
    np.testing.assert_allclose(shared.sum(), amounts.sum(), rtol=0, atol=1e-9)
    for name in amounts:
        printed = moved[name].dropna()
        assert (printed % 5 == 0).all()
        assert ((printed - shared[name][printed.index]).abs() <= 2.5 + 1e-6).all()
    assert (stand_in(moved, "critical") <= stand_in(moved)).all()


def test_the_same_boundaries_change_nothing():
    told = cells([40, 3, 0, np.nan])
    same = pd.DataFrame({"from_pcode": OLD, "to_pcode": OLD, "share": 1.0})
    pd.testing.assert_frame_equal(moved_cells(told, same, OLD), told)


def test_a_table_is_counted_on_the_earlier_units_and_tells_them_as_its_cut(tmp_path):
    """The first two squares were one: 42 households there, 40 as protected, are 20 in each."""
    units = square_subdistricts(9)
    first, second = units.index[:2]
    old = units.drop(index=second)
    old.loc[[first], "geometry"] = [units.geometry.loc[[first, second]].union_all()]
    pd.DataFrame({"unit": [first], "households": [42]}).to_csv(tmp_path / "table.csv", index=False)
    options = DisplacementTable(
        reader="displacement_table", path="table.csv", label={"en": "Table"}, units="households", cadence="round",
        licence="none", attribution="nobody", level=3, unit_by="pcode", unit_column="unit",
        round_as_of=date(2024, 2, 29), households_column="households", people_per_household=6,
    )  # fmt: skip
    log = Findings("sources.displacement")
    values = options.read(tmp_path, log, old)
    on = Cutting(old, units, make_crosswalk(old, units, log))
    plan = plan_run("demo", str(tmp_path), "2024-03", ISSUED)
    found = count("displacement", values, options, units, plan, log, cutting=on)
    assert found.cube["displaced_households"].sel(pcode=[first, second]).values.tolist() == [[20, 20]]
    assert found.tables["reasons"].set_index("code")["households"].sum() == 40
    assert found.rounds["2024-02-29"]["boundaries"] == boundaries_digest(old)
    coarse = options.model_copy(update={"level": 1, "reason_column": "reason"})
    row = {"unit": units["adm1_pcode"].iloc[0], "households": 42, "reason": "drought"}
    pd.DataFrame([row]).to_csv(tmp_path / "table.csv", index=False)
    values = coarse.read(tmp_path, log, units)
    rows = count("displacement_reasons", values, coarse, units, plan, log, found).tables["reasons"].set_index("code")
    assert rows.at[row["unit"], "households"] == 40
    assert rows.at[row["unit"], "climate_status"] == "suppressed"  # moved cells bound no count to take shares of


# ------------------------------------------------------------------ a run


@pytest.fixture
def redrawn(country: Path) -> tuple[Path, str, str]:
    """The data folder with new boundaries, in which the first unit gave the west half of its ground to a neighbour."""
    shutil.copy(country / FILE, country / "boundaries" / "earlier.gpkg")
    shapes = gpd.read_file(country / FILE)
    own = shapes.geometry[0]
    west, south, east, north = own.bounds
    touching = shapes.index[shapes.touches(own)]
    other = max(touching, key=lambda n: shapes.geometry[n].intersection(own).length)
    half = own.intersection(box(west, south, (west + east) / 2, north))
    shapes.loc[[0], "geometry"] = [own.difference(half)]
    shapes.loc[[other], "geometry"] = [shapes.geometry[other].union(half)]
    shapes.to_file(country / FILE)
    codes = shapes["ADM3_PCODE"]
    return country, codes[0], codes[other]


@pytest.fixture
def config(small_config: str, tmp_path: Path):
    """Path of the small country file with earlier boundaries and, if named, a crosswalk."""

    def write(crosswalk: str = "") -> str:
        more = f'crosswalk = "{crosswalk}"\n' if crosswalk else ""
        blocks = [EARLIER.format(name) + more for name in ("displacement", "returnees")]
        path = tmp_path / "config" / "demo.toml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(Path(small_config).read_text("utf-8") + "".join(blocks), "utf-8")
        return str(path)

    return write


def test_a_second_vintage_is_refused_alone_and_accepted_with_its_crosswalk(
    redrawn, config, small_config, small_run, tmp_path
):
    data, giver, taker = redrawn
    out = Path(shutil.copytree(small_run.parents[2], tmp_path / "out", symlinks=True))
    with pytest.raises(InputError, match="other boundaries"):
        run_country.fn(small_config, data=str(data), issued=ISSUED, out=str(out))
    run = Path(run_country.fn(config(), data=str(data), issued=ISSUED, out=str(out)))
    crosswalk = pd.read_csv(run / "tables" / "crosswalk.csv")
    assert crosswalk.columns.tolist() == ["from_pcode", "to_pcode", "share", "source", "notice"]
    np.testing.assert_allclose(crosswalk.groupby("from_pcode")["share"].sum(), 1, atol=1e-8)
    given = crosswalk[crosswalk["from_pcode"] == giver].set_index("to_pcode")["share"]
    assert set(given.index) == {giver, taker}
    before, after = (
        pd.read_csv(f / "tables" / "subdistricts.csv", keep_default_na=False, na_values=[""]).set_index("pcode")
        for f in (small_run, run)
    )
    for part, name in {"displaced_households": "households", "returnee_households": "households"}.items():
        told = pd.DataFrame({name: before[part], f"{name}_status": before[f"{part}_status"]})
        by_hand = moved_cells(told, crosswalk, after.index)[name]
        pd.testing.assert_series_equal(after[part], by_hand, check_names=False, check_dtype=False)
    assert (after["displaced_households"] != before["displaced_households"])[[giver, taker]].any()
    notes = json.loads((run / "checks.json").read_text("utf-8"))
    assert "moved by tables/crosswalk.csv" in json.dumps(notes)
    receipt = json.loads((run / "manifest.json").read_text("utf-8"))
    assert "boundaries/earlier.gpkg" in json.dumps(receipt["plan"]["inputs"])
    shutil.rmtree(out / "demo" / "runs" / small_run.name)
    with pytest.raises(InputError, match="other boundaries"):  # what was moved was told on the earlier boundaries alone
        run_country.fn(small_config, data=str(data), issued=ISSUED, out=str(out))


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (lambda t: t.assign(share=t["share"].mask(t.index == 0, 0.5)), "another sum of"),
        (lambda t: t.assign(to_pcode=t["to_pcode"].mask(t.index == 0, "XX99")), "XX99"),
        (lambda t: t.assign(from_pcode=t["from_pcode"].mask(t.index == 0, "XX98")), "XX98"),
        (lambda t: pd.concat([t, t.iloc[:1]]), "one twice of"),
        (lambda t: t.iloc[1:], "another sum of"),
        (lambda t: t.drop(columns="share"), "no 'share'"),
    ],
)
def test_a_faulty_crosswalk_is_one_clear_error(country, config, fault, words):
    shutil.copy(country / FILE, country / "boundaries" / "earlier.gpkg")
    codes = gpd.read_file(country / FILE)["ADM3_PCODE"]
    table = pd.DataFrame({"from_pcode": codes, "to_pcode": codes, "share": 1.0})
    fault(table).to_csv(country / "walk.csv", index=False)
    found = check_inputs.fn(config("walk.csv"), str(country), None, ISSUED)
    errors = [f for f in found if f.severity == "error" and f.source == "sources.displacement"]
    assert len(errors) == 1
    assert words in errors[0].found
    assert errors[0].file == "walk.csv"
