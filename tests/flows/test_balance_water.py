"""The water balance as a stage: a small country made here, its numbers by hand, and nothing told of true counts."""

from datetime import date
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from shapely.geometry import box

import flows.balance_water
import flows.score_risk
from flows.balance_water import COLUMNS, SUMMED, balance, returning, water_table
from flows.displacement import DISPLACED, as_cube
from flows.indicator_sheet import EMPTY
from flows.plan import Plan
from flows.settings import load_settings
from flows.workspace import stage
from geodata.categories import CategoryTable
from geodata.network import WaterNetwork
from geodata.schema import ContractError, Findings, InputError, Status, check_cube, status_attrs
from geodata.store import read_cube, write_cube, write_dataset, write_geoparquet
from models.allocation import allocate
from models.demand import DemandOptions
from models.protection import STAND_IN, protect
from models.water_balance import BalanceOptions

AS_OF = "2024-03"
RAIN = ("2023-01", 15)  # first month and number of months of weather and inflow, up to the as-of month
UNITS = gpd.GeoDataFrame(
    {
        "name_en": ["Alpha", "Beta", "Gamma", "Delta"],
        "name_ar": "",
        "name_ckb": "",
        "adm1_pcode": ["G1", "G1", "G1", "G2"],
        "adm1_name": ["North", "North", "North", "South"],
        "adm2_pcode": ["D1", "D1", "D2", "D3"],
        "adm2_name": ["Up", "Up", "Down", "Far"],
        "area_km2": [100.0, 100.0, 100.0, 100.0],
    },
    index=pd.Index(["A", "B", "C", "D"], name="pcode"),
    geometry=[box(40 + n, 30, 41 + n, 31) for n in range(4)],
    crs="EPSG:4326",
)
TRUE = pd.DataFrame(
    {
        "households": [100.0, 3.0, 0.0, 40.0],
        "critical": [40.0, 2.0, 0.0, 40.0],
        "protracted": [0.0] * 4,
        "climate": [0.0] * 4,
    },
    index=UNITS.index,
)
NETWORK = """
[[node]]
name = "in"
kind = "border"
[[node]]
name = "town"
kind = "reach"
serves = ["A", { pcode = "B", share = 0.5 }]
[[node]]
name = "canal"
kind = "canal"
serves = [{ pcode = "B", share = 0.5 }, "C"]
[[node]]
name = "sea"
kind = "outlet"
[[link]]
from = "in"
to = "town"
share = 1
[[link]]
from = "town"
to = "canal"
share = 1
loss = 0.1
[[link]]
from = "canal"
to = "sea"
share = 1
"""
FLAT = {"licence": "x", "attribution": "x", "label": {"en": "x"}}
SOURCES = {
    "river": {"reader": "water_network", "path": "n.toml", "inflow": "i.csv", "units": "m3/s", "cadence": "month"},
    "fields": {"path": "f.csv", "category_column": "crop", "value_column": "n", "units": "ha"},
    "herd": {"path": "h.csv", "category_column": "animal", "value_column": "n", "units": "head"},
}
TABLE = {"reader": "category_table", "unit_column": "pcode", "reference": date(2020, 7, 1), "cadence": "once"}


def one(value, spread=0.0):
    return {"low": value - spread, "mid": value, "high": value + spread, "source": "test"}


COEFFICIENTS = DemandOptions.model_validate(
    {
        "domestic": {
            "residents_litres": one(100, 50),
            "camp_litres": one(20),
            "critical_litres": one(50),
            "other_litres": one(100),
            "losses": one(0.5, 0.1),
        },
        "irrigation": {
            "efficiency": one(0.5),
            "crops": {"wheat": {"kc": {k: [1.0] * 12 for k in ("low", "mid", "high")} | {"source": "test"}}},
        },
        "livestock": {"sheep": one(10)},
        "returns": {"domestic": one(0.25)},
    }
)
OPTIONS = BalanceOptions(
    network="river", irrigated_area="fields", livestock="herd", rain="rain", evapotranspiration="evapotranspiration"
)


def monthly(name, value):
    """A source by subdistrict, the same in every month."""
    times = pd.date_range(RAIN[0], periods=RAIN[1], freq="MS", unit="ns")
    coords = {"time": times, "pcode": UNITS.index.to_numpy().astype(str)}
    values = xr.DataArray(np.full((RAIN[1], 4), value), dims=("time", "pcode"), coords=coords)
    cube = xr.Dataset({name: values.assign_attrs(units="mm/month", long_name=name)})
    cube[f"{name}_status"] = xr.zeros_like(values, dtype="int8").assign_attrs(status_attrs())
    return cube


def residents(values):
    table = np.array([values], dtype=float)
    coords = {"time": pd.DatetimeIndex(["2020-07-01"]).as_unit("ns"), "pcode": UNITS.index.to_numpy().astype(str)}
    cube = xr.Dataset({"residents": (("time", "pcode"), table, {"units": "people", "long_name": "residents"})}, coords)
    codes = np.where(np.isnan(table), Status.input_missing, Status.ok).astype("int8")
    return cube.assign(residents_status=(("time", "pcode"), codes, status_attrs()))


def read_text(model, block, name, text, folder):
    """What a reader makes of a text, stored under the name of its source."""
    options = model.model_validate(FLAT | block)
    (folder / options.path).write_text(text, "utf-8")
    return options, options.read(folder, Findings(name), UNITS)


def make_country(
    folder: Path,
    *,
    true=TRUE,
    people=(10_000, 2_000, 3_000, 500),
    inflow=lambda month: 0.05,
    fields="A,wheat,10\nB,wheat,0\nC,wheat,20\nD,wheat,0\n",
    herd="A,sheep,100\nB,sheep,0\nC,sheep,0\nD,sheep,5\n",
    network=NETWORK,
    camp=np.nan,
):
    """The stage of a run of four subdistricts, D without a source of water; returns its plan."""
    (folder / ".stage").mkdir(parents=True, exist_ok=True)
    place = stage(folder)
    settings = load_settings("demo")
    sources = {k: settings.sources[k] for k in ("residents", "displacement", "rain")}
    sources["evapotranspiration"] = sources["rain"]
    write_geoparquet(UNITS, place / "subdistricts.parquet")
    for name, value in (("rain", 0.0), ("evapotranspiration", 155.0)):
        write_cube(monthly(name, value), place / f"{name}.nc")
    write_cube(residents(people), place / "residents.nc")
    cube = as_cube(protect(true.assign(camp_or_critical=true["critical"] + camp)), date(2024, 2, 29), DISPLACED)
    write_cube(cube, place / "displacement.nc")
    for name, header, text in (("fields", "pcode,crop,n\n", fields), ("herd", "pcode,animal,n\n", herd)):
        sources[name], table = read_text(CategoryTable, TABLE | SOURCES[name], name, header + text, folder)
        write_cube(table.rename(value=name, status=f"{name}_status"), place / f"{name}.nc")
    rows = [f"{m:%Y-%m},in,{inflow(m)}" for m in pd.date_range(RAIN[0], periods=RAIN[1], freq="MS")]
    (folder / "i.csv").write_text("month,node,inflow_m3s\n" + "\n".join(rows) + "\n")
    sources["river"], rivers = read_text(WaterNetwork, SOURCES["river"], "river", network, folder)
    write_dataset(rivers, place / "river.nc")
    return Plan(settings.model_copy(update={"sources": sources}), str(folder), AS_OF, "2024-04-08")


def run(folder, coefficients=COEFFICIENTS, options=OPTIONS, **changes):
    return balance(make_country(folder, **changes), str(folder), coefficients, options)


def mid(cube, name, pcode, month=AS_OF):
    return cube[name].sel(pcode=pcode, scenario="mid", time=month).squeeze().item()


def word(cube, name, pcode, month=AS_OF):
    flags = cube[f"{name}_status"].sel(pcode=pcode, time=month).squeeze()
    return Status(int(flags.isel(scenario=0) if flags.ndim else flags)).name


# ------------------------------------------------------------------ numbers


def test_demand_and_supply_by_hand(tmp_path):
    """4,320 m3/day enter; all is met in the town, where 1,000 m3/day are asked for 10 ha in March.

    A: 10,000 residents and 100 households of 6, 40 of them in critical shelter; half is lost.
    """
    cube, nodes = run(tmp_path)
    check_cube(cube)
    people = (10_000 * 100 + 240 * 50 + 360 * 100) / 1000 / 0.5
    assert mid(cube, "demand_domestic", "A") == pytest.approx(people)
    assert mid(cube, "demand_irrigation", "A") == pytest.approx(155 * 10 * 10 / 0.5 / 31)
    assert mid(cube, "demand_livestock", "A") == pytest.approx(1.0)
    assert mid(cube, "supply", "A") == pytest.approx(people + 1000 + 1)
    assert mid(cube, "unmet_share", "A") == 0
    few = (2_000 * 100 + STAND_IN * 6 * 50) / 1000 / 0.5
    assert mid(cube, "demand_domestic", "B") == pytest.approx(few)
    below = (0.05 * 86_400 - (people * 0.75 + 1000 + 1) - few / 2 * 0.75) * 0.9
    assert nodes["inflow"].sel(node="canal", scenario="mid", time=AS_OF).squeeze().item() == pytest.approx(below)
    # the canal's towns first: half of B and 3,000 residents of C; what is left is for C's fields
    left = below - few / 2 - 600
    assert 0 < left < 2000
    assert mid(cube, "supply", "C") == pytest.approx(600 + left)
    assert mid(cube, "unmet_irrigation", "C") == pytest.approx(2000 - left)
    assert (word(cube, "supply", "D"), word(cube, "demand_total", "D")) == ("input_missing", "ok")
    assert float(abs(nodes["mass_balance"]).max()) < 1e-9


def test_the_months_of_the_record_say_how_often_it_would_do(tmp_path):
    """In five months of fifteen nothing comes: met in two thirds of them, and never a bit in the others."""
    cube, _ = run(tmp_path, inflow=lambda m: 0.0 if m.year == 2023 and m.month <= 5 else 1.0)
    assert cube.sizes["time"] == 15
    assert mid(cube, "supply_reliability", "A") == pytest.approx(2 / 3)
    assert mid(cube, "supply_vulnerability", "A") == 1
    assert word(cube, "water_stress", "A", "2023-03") == "insufficient_data"
    assert "people, fields and animals of 2024-03" in cube.attrs["comment"]


def test_the_thirsty_scenario_gives_least_back():
    shares = {"irrigation": {"low": 0.1, "mid": 0.2, "high": 0.3, "source": "test"}}
    options = DemandOptions.model_validate(COEFFICIENTS.model_dump() | {"returns": shares})
    assert returning(options).sel(sector="irrigation", scenario=["low", "mid", "high"]).values.tolist() == [
        0.3,
        0.2,
        0.1,
    ]
    assert returning(options.model_copy(update={"returns": {}})) is None


def test_water_that_is_unaccounted_for_stops_the_run(tmp_path, monkeypatch):
    """A millionth of what leaves each node is let slip on purpose."""

    def leaking(*arguments, **options):
        found = allocate(*arguments, **options)
        return found.assign(outflow=found["outflow"] * (1 - 1e-6))

    monkeypatch.setattr(flows.balance_water, "allocate", leaking)
    with pytest.raises(ContractError, match="unaccounted"):
        run(tmp_path)


def test_the_record_may_begin_later(tmp_path):
    cube, _ = run(tmp_path, options=OPTIONS.model_copy(update={"first_month": "2023-11"}))
    assert cube.sizes["time"] == 5


def test_camps_are_told_by_a_nested_count(tmp_path):
    """60 of A's households in camps or critical shelter, 40 of them in critical shelter: 20 in camps.

    Where camps are not known, their households are among the others.
    """
    plain, _ = run(tmp_path / "plain")
    cube, _ = run(tmp_path / "camps", camp=pd.Series([20.0, 0.0, 0.0, 0.0], UNITS.index))
    fewer = 20 * 6 * (100 - 20) / 1000 / 0.5
    assert mid(plain, "demand_domestic", "A") - mid(cube, "demand_domestic", "A") == pytest.approx(fewer)
    assert mid(cube, "demand_domestic", "C") == mid(plain, "demand_domestic", "C")


# ------------------------------------------------------------------ what is not known


def test_a_month_without_inflow_is_external_unknown_for_the_river_alone(tmp_path):
    cube, _ = run(tmp_path, inflow=lambda m: "" if m.strftime("%Y-%m") == AS_OF else 1.0)
    check_cube(cube)
    assert [word(cube, "supply", p) for p in "ABCD"] == ["external_unknown"] * 3 + ["input_missing"]
    assert word(cube, "supply", "A", "2024-02") == "ok"
    assert word(cube, "demand_total", "A") == "ok"
    table = water_table(cube, UNITS)["governorate"].set_index(["pcode", "scenario"])
    assert table.loc[("G1", "mid"), "status"] == "external_unknown"
    assert np.isnan(table.loc[("G1", "mid"), "supply_m3d"])


def test_inflow_that_was_not_yet_published_is_not_known(tmp_path):
    plan = make_country(tmp_path)
    late = plan.settings.sources["river"].model_copy(update={"available_after_days": 10})
    plan = Plan(plan.settings.model_copy(update={"sources": {**plan.settings.sources, "river": late}}), "", AS_OF, "")
    cube, _ = balance(plan, str(tmp_path), COEFFICIENTS, OPTIONS)
    assert (word(cube, "supply", "A"), word(cube, "supply", "A", "2024-02")) == ("external_unknown", "ok")


def test_a_country_without_network_fields_and_herds_shows_demand_and_what_is_unknown(tmp_path):
    options = BalanceOptions(without_network="external_unknown")
    cube, nodes = run(tmp_path, options=options)
    check_cube(cube)
    assert nodes is None
    assert cube.sizes["time"] == 12
    assert {word(cube, "supply", p) for p in "ABCD"} == {"external_unknown"}
    assert {word(cube, "demand_irrigation", p) for p in "ABCD"} == {"input_missing"}
    assert mid(cube, "demand_total", "A") == mid(cube, "demand_domestic", "A")
    table = water_table(cube, UNITS)["subdistrict"]
    assert set(table["sectors_known"]) == {"residents displaced"}
    assert cube.attrs["sectors_left_out"] == "livestock irrigation"


def test_residents_nobody_counted_have_no_demand_and_hide_what_is_left_below(tmp_path):
    cube, _ = run(tmp_path, people=(np.nan, 2_000, 3_000, 500))
    assert word(cube, "demand_domestic", "A") == "input_missing"
    assert [word(cube, "supply", p) for p in "ABC"] == ["input_missing", "insufficient_data", "insufficient_data"]


def make_uncounted(folder, *pcodes):
    """The stage of a country where no round tells of these subdistricts; returns its plan."""
    plan = make_country(folder)
    path = stage(folder) / "displacement.nc"
    cube = read_cube(path)
    here = cube["pcode"].isin(pcodes)
    for name in [str(v) for v in cube.data_vars if f"{v}_status" in cube]:
        cube[name] = cube[name].where(~here).assign_attrs(cube[name].attrs)
        flags = cube[f"{name}_status"]
        cube[f"{name}_status"] = flags.where(~here, int(Status.input_missing)).astype("int8").assign_attrs(flags.attrs)
    write_cube(cube, path)
    return plan


def test_displaced_people_nobody_counted_are_not_nobody_at_any_level(tmp_path):
    """Of B no round tells. Its residents alone are a lower bound of what is asked for, and what B takes is unknown."""
    cube, _ = balance(make_uncounted(tmp_path, "B"), str(tmp_path), COEFFICIENTS, OPTIONS)
    check_cube(cube)
    assert [word(cube, "demand_domestic", p) for p in "ABCD"] == ["ok", "input_missing", "ok", "ok"]
    assert mid(cube, "demand_total", "B") == pytest.approx(2_000 * 100 / 1000 / 0.5)
    assert {word(cube, "supply", p) for p in "ABC"} <= {"input_missing", "insufficient_data"}
    tables = {level: t.set_index(["pcode", "scenario"]) for level, t in water_table(cube, UNITS).items()}
    for scenario in ("low", "mid", "high"):
        row = tables["subdistrict"].loc[("B", scenario)]
        assert np.isnan(row["demand_domestic_m3d"])
        assert (row["demand_domestic_status"], row["sectors_known"]) == (
            "input_missing",
            "residents irrigation livestock",
        )
        for level, unit, size in (("district", "D1", 2), ("governorate", "G1", 3)):
            row = tables[level].loc[(unit, scenario)]
            assert np.isnan(row["demand_domestic_m3d"])
            assert row["demand_domestic_status"] == "insufficient_data"
            assert row["sectors_partly_known"] == f"displaced: {size - 1} of {size}"
            assert row["demand_total_m3d"] > 0
        row = tables["district"].loc[("D2", scenario)]
        assert (row["demand_domestic_status"], row["sectors_partly_known"]) == ("ok", "")
        assert row["demand_domestic_m3d"] == tables["subdistrict"].loc[("C", scenario), "demand_domestic_m3d"]


def test_before_the_first_round_nobody_knows_how_much_people_need(tmp_path):
    plan = make_country(tmp_path)
    early = Plan(plan.settings, str(tmp_path), "2024-01", "2024-04-08")
    cube, _ = balance(early, str(tmp_path), COEFFICIENTS, OPTIONS)
    assert {word(cube, "demand_domestic", p, "2024-01") for p in "ABCD"} == {"input_missing"}
    assert set(water_table(cube, UNITS)["governorate"]["sectors_known"]) == {"residents irrigation livestock"}


def test_displaced_people_among_the_residents_are_counted_once(tmp_path):
    """A: of 10,000 people 600 are displaced, 240 of them in critical shelter. B: few households stand for 15 people."""
    plan = make_country(tmp_path)
    among = plan.settings.sources["residents"].model_copy(update={"includes_displaced": True})
    sources = {**plan.settings.sources, "residents": among}
    plan = Plan(plan.settings.model_copy(update={"sources": sources}), str(tmp_path), AS_OF, "")
    cube, _ = balance(plan, str(tmp_path), COEFFICIENTS, OPTIONS)
    assert mid(cube, "demand_domestic", "A") == pytest.approx((9_400 * 100 + 240 * 50 + 360 * 100) / 1000 / 0.5)
    few = STAND_IN * 6
    assert mid(cube, "demand_domestic", "B") == pytest.approx(((2_000 - few) * 100 + few * 50) / 1000 / 0.5)


def test_runoff_that_is_declared_and_has_no_source_is_not_taken_for_nothing(tmp_path):
    network = NETWORK.replace('kind = "canal"', 'kind = "canal"\ndrains = ["D"]')
    cube, _ = run(tmp_path / "without", network=network)
    assert [word(cube, "supply", p) for p in "AC"] == ["ok", "input_missing"]
    with_rain, nodes = run(tmp_path / "with", network=network, options=OPTIONS.model_copy(update={"runoff": "rain"}))
    assert word(with_rain, "supply", "C") == "ok"
    assert float(abs(nodes["mass_balance"]).max()) < 1e-9


def test_a_crop_without_coefficient_is_named_with_its_file(tmp_path):
    with pytest.raises(
        InputError, match=r"f\.csv: category: found 'rice', expected one of those with a coefficient: wheat"
    ):
        run(tmp_path, fields="A,wheat,10\nB,rice,1\nC,wheat,0\nD,wheat,0\n")


# ------------------------------------------------------------------ disclosure


def test_two_truths_protected_alike_give_the_same_balance(tmp_path):
    """Other true counts of the same classes, in camps too: 98 to 102 is 100, 1 to 4 is few."""
    other = TRUE.assign(households=[98.0, 1.0, 0.0, 42.0], critical=[42.0, 1.0, 0.0, 38.0])
    assert not other.equals(TRUE)
    camps = [pd.Series(values, UNITS.index) for values in ([20.0, 0.0, 0.0, 0.0], [16.0, 0.0, 0.0, 3.0])]
    one_cube, one_nodes = run(tmp_path / "one", camp=camps[0])
    other_cube, other_nodes = run(tmp_path / "other", true=other, camp=camps[1])
    xr.testing.assert_identical(one_cube, other_cube)
    xr.testing.assert_identical(one_nodes, other_nodes)
    tables = [pd.concat(water_table(cube, UNITS).values()) for cube in (one_cube, other_cube)]
    assert tables[0].to_csv() == tables[1].to_csv()
    # and the comparison does see a count of another class
    third, _ = run(tmp_path / "third", true=TRUE.assign(households=[103.0, 3.0, 0.0, 40.0]), camp=camps[0])
    fourth, _ = run(tmp_path / "fourth", camp=camps[0] + [3.0, 0.0, 0.0, 0.0])
    for seen in (third, fourth):
        assert not seen["demand_domestic"].equals(one_cube["demand_domestic"])


# ------------------------------------------------------------------ the table


def test_the_table_has_three_levels_that_add_up(tmp_path):
    cube, _ = run(tmp_path)
    tables = water_table(cube, UNITS)
    assert {level: len(table) for level, table in tables.items()} == {
        "subdistrict": 12,
        "district": 9,
        "governorate": 6,
    }
    for level, table in tables.items():
        assert list(table.columns) == list(COLUMNS)
        assert set(table["level"]) == {level}
        assert table["pcode"].is_monotonic_increasing
        assert table["scenario"].tolist() == ["low", "mid", "high"] * (len(table) // 3)
        assert set(table["as_of"]) == {AS_OF}
    for name in SUMMED:
        totals = [table.groupby("scenario")[f"{name}_m3d"].sum() for table in tables.values()]
        np.testing.assert_allclose(totals[1], totals[0], rtol=1e-12)
        np.testing.assert_allclose(totals[2], totals[0], rtol=1e-12)
    north = tables["governorate"].set_index(["pcode", "scenario"]).loc[("G1", "mid")]
    assert (north["name_en"], north["units"], north["units_with_supply"]) == ("North", 3, 3)
    assert north["unmet_share"] == pytest.approx(north["unmet_total_m3d"] / north["demand_total_m3d"])
    assert tables["district"].set_index("pcode")["name_en"].loc["D2"].unique().tolist() == ["Down"]


def test_a_sum_over_part_of_the_units_says_so(tmp_path):
    """C's herd is not known: of three units of G1 two tell of livestock, and the supply of none is a whole."""
    cube, _ = run(tmp_path, herd="A,sheep,100\nB,sheep,0\nD,sheep,5\n")
    table = water_table(cube, UNITS)["governorate"].set_index(["pcode", "scenario"])
    north = table.loc[("G1", "mid")]
    assert north["sectors_known"] == "residents displaced irrigation"
    assert north["sectors_partly_known"] == "livestock: 2 of 3"
    assert (north["units_with_demand"], north["units_with_supply"]) == (3, 1)
    assert north["status"] == "insufficient_data"
    silent = ["supply_m3d", "unmet_domestic_m3d", "unmet_total_m3d", "unmet_share", "demand_livestock_m3d"]
    assert north[silent].isna().all()  # 0 unmet in the one that is known is not 0 in three
    assert north[["demand_irrigation_m3d", "demand_total_m3d"]].notna().all()
    assert table.loc[("G2", "mid"), "sectors_known"] == "residents displaced irrigation livestock"
    assert table.loc[("G2", "mid"), "sectors_partly_known"] == ""


def test_scenarios_stand_in_their_order(tmp_path):
    cube, _ = run(tmp_path)
    demand = cube["demand_total"]
    assert bool((demand.sel(scenario="low") < demand.sel(scenario="mid")).all())
    assert bool((demand.sel(scenario="mid") < demand.sel(scenario="high")).all())


def test_where_a_sector_has_no_source_nobody_is_told_that_the_water_is_enough(tmp_path):
    """The river meets all that is counted, but nobody counted the fields: supply stands, the share does not."""
    counted = OPTIONS.model_copy(update={"irrigated_area": None})
    cube, _ = run(tmp_path, options=counted)
    check_cube(cube)
    assert np.isfinite(mid(cube, "supply", "A"))
    assert np.isnan(mid(cube, "unmet_share", "A"))
    assert word(cube, "unmet_share", "A") == "insufficient_data"
    assert word(cube, "unmet_share", "D") == "input_missing"
    assert all(table["unmet_share"].isna().all() for table in water_table(cube, UNITS).values())


def test_the_demand_of_one_subdistrict_of_the_demo_by_hand(demo_run, synthetic_inputs):
    """From its rows of the input files, the printed counts and the weather of March 2024, with the middle coefficients.

    People: residents 200 L, critical shelter 50 L, camps 20 L, others 200 L, 0.4 lost. Animals: L per head. Fields:
    10 m3 per mm and ha, half of the water lost, salt leached at 1 dS/m.
    """
    pcode = "XWG05Q01N01"
    kc = {"wheat": 1.15, "barley": 1.15, "rice": 0.0, "vegetables": 0.6, "dates": 0.9, "fodder": 0.95}
    salt = {"wheat": 7.4, "barley": 10.0, "rice": 3.8, "vegetables": 3.5, "dates": 6.8, "fodder": 3.4}
    litres = {"sheep": 6, "goats": 6, "cattle": 50, "buffaloes": 60, "camels": 20}

    def own(path, of, column):
        table = pd.read_csv(synthetic_inputs / path)
        return table[table["pcode"] == pcode].set_index(of)[column].to_dict()

    hectares, heads = (
        own("agriculture/irrigated_area.csv", "crop", "hectares"),
        own("agriculture/livestock.csv", "animal", "head"),
    )
    residents = own("residents/residents.csv", "pcode", "residents")[pcode]
    with xr.open_dataset(demo_run / "cube.nc") as cube:
        now = cube.sel(pcode=pcode).isel(time=-1)
        printed = ("displaced_households", "displaced_critical", "displaced_camp_or_critical")
        households, critical, either = (float(now[name]) for name in printed)
        rain, reference = (float(now[name]) for name in ("rain", "evapotranspiration"))
    assert min(sum(hectares.values()), sum(heads.values()), either - critical) > 0
    people = residents * 200 + 6 * (critical * 50 + (either - critical) * 20 + (households - either) * 200)
    usable = rain * (125 - 0.2 * rain) / 125
    crops = {
        crop: max(0.0, kc[crop] * reference - usable) * 10 * ha / 0.5 / (1 - 1.0 / (5 * salt[crop] - 1.0)) / 31
        for crop, ha in hectares.items()
    }
    by_hand = {
        "domestic": people / 1000 / 0.6,
        "irrigation": sum(crops.values()),
        "livestock": sum(litres[animal] * head for animal, head in heads.items()) / 1000,
    }
    table = pd.read_csv(demo_run / "tables" / "water_balance.csv")
    row = table[(table["level"] == "subdistrict") & (table["pcode"] == pcode) & (table["scenario"] == "mid")].iloc[0]
    for sector, water in by_hand.items():
        assert row[f"demand_{sector}_m3d"] == pytest.approx(water, abs=0.051), sector
    assert row["demand_total_m3d"] == pytest.approx(sum(by_hand.values()), abs=0.051)


@pytest.mark.parametrize(("among", "apart"), [(False, 10_000.0), (True, 9_400.0)])
def test_exposure_counts_displaced_people_once_too(tmp_path, monkeypatch, among, apart):
    """The option of the residents holds for who is exposed as for who needs water: 600 of A's 10,000 are displaced."""

    class Stop(Exception):
        pass

    def told(people, displaced, **options):
        raise Stop(people.sel(pcode="A").item(), displaced.sel(pcode="A").item())

    plan = make_country(tmp_path)
    source = plan.settings.sources["residents"].model_copy(update={"includes_displaced": among})
    plan = Plan(
        plan.settings.model_copy(update={"sources": {**plan.settings.sources, "residents": source}}), "", AS_OF, ""
    )
    counts = read_cube(stage(tmp_path) / "displacement.nc").isel(time=[-1])
    cube = counts.merge(residents((10_000, 2_000, 3_000, 500)).assign_coords(time=counts["time"]))
    monkeypatch.setattr(flows.score_risk, "exposure", told)
    with pytest.raises(Stop) as asked:
        flows.score_risk.score(plan, cube, EMPTY)
    assert asked.value.args == (apart, 600.0)
