"""Iraq's own data, held to the contract in three months: a round, the end of the rain record, a famous drought."""

import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest
import xarray as xr

from flows.plan import plan_run
from flows.run_country import may_go_live, run_country
from geodata.schema import KEEPS_VALUE, RAISES_ALERTS, Status
from maps.tables import COLUMNS

ISSUED = "2026-01-15"
MONTHS = ("2008-12", "2018-12", "2019-08")
SCORES = ("hazard_drought", "hazard_water", "hazard", "exposure", "vulnerability", "risk", "risk_low", "risk_high",
          "lack_of_reliability", "warning_score")  # fmt: skip
CLASSES = ("very_low", "low", "medium", "high", "very_high")


@pytest.fixture(scope="module")
def run_of(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folder of the run of a month; each is made once, without any server."""
    out = tmp_path_factory.mktemp("iraq")

    @cache
    def run(month: str) -> Path:
        return Path(run_country.fn("iraq", data=str(shared_data / "iraq"), as_of=month, issued=ISSUED, out=str(out)))

    return run


def text_of(folder: Path, name: str = "subdistricts.csv") -> pd.DataFrame:
    """The table as the characters it is made of."""
    return pd.read_csv(folder / "tables" / name, dtype=str, keep_default_na=False).set_index("pcode", drop=False)


def numbers(table: pd.DataFrame, name: str) -> pd.Series:
    return pd.to_numeric(table[name].replace("", np.nan))


def receipt(folder: Path) -> dict:
    return json.loads((folder / "manifest.json").read_text("utf-8"))


def cube_of(folder: Path) -> xr.Dataset:
    with xr.open_dataset(folder / "cube.nc") as cube:
        return cube.load()


each_month = pytest.mark.parametrize("month", MONTHS)


# ------------------------------------------------------------------ the table, at each month


@each_month
def test_there_is_one_row_for_each_subdistrict_of_the_boundary_file(run_of, month):
    """294 of them, sorted, none missing, with the contract's columns first."""
    table = text_of(run_of(month))
    assert len(table) == 294
    assert table["pcode"].is_monotonic_increasing
    assert table["pcode"].is_unique
    assert tuple(table.columns[: len(COLUMNS)]) == COLUMNS
    assert set(table["as_of"]) == {month}
    assert re.fullmatch(rf"{month}-[0-9a-f]{{10}}", run_of(month).name)


@each_month
def test_what_is_unknown_is_empty_and_has_its_reason(run_of, month):
    """Every status is a word of the one list, and a value stands where the word keeps one."""
    table = text_of(run_of(month))
    kept = {s.name for s in KEEPS_VALUE}
    flags = [c for c in table.columns if c.endswith("_status")]
    for column in flags:
        assert set(table[column]) <= {s.name for s in Status}, column
        assert (table[column].isin(kept) == (table[column.removesuffix("_status")] != "")).all(), column
    assert {f"{c}_status" for c in (*SCORES, "residents", "displaced_households", "lack_of_coping")} <= set(flags)
    assert (table["status"] == table["risk_status"]).all()
    for hazard in ("heavy_rain", "salinity", "dust", "river_flood", "heat"):
        assert set(table[f"hazard_{hazard}_status"]) == {"input_missing"}
    assert set(table["returnee_households_status"]) == {"input_missing"}
    assert set(table["displaced_climate_households_status"]) == {"input_missing"}  # this list asks for no reasons


@each_month
def test_scores_are_printed_with_one_decimal_rounded_half_up_once(run_of, month):
    """Against the unrounded cube, at the value itself."""
    folder = run_of(month)
    table, last = text_of(folder), cube_of(folder).isel(time=-1)
    for name in SCORES:
        printed = table[name][table[name] != ""]
        assert printed.str.fullmatch(r"(10|\d)\.\d").all(), name
        exact = last[name].to_series().loc[printed.index]
        half_up = np.floor(exact * 10 + 0.5 + 1e-9) / 10
        np.testing.assert_allclose(printed.astype(float), half_up, atol=1e-9, err_msg=name)


@each_month
def test_printed_parts_add_up_to_the_printed_risk_and_unrounded_ones_to_1e9(run_of, month):
    folder = run_of(month)
    table, last = text_of(folder), cube_of(folder).isel(time=-1)
    parts = [c for c in table.columns if c.startswith("contribution_") and not c.endswith("_status")]
    assert len(parts) >= 4
    known = table["risk"] != ""
    whole = sum(numbers(table, c).fillna(0.0) for c in parts)
    np.testing.assert_allclose(whole[known], numbers(table, "risk")[known], atol=1e-9)
    assert (table.loc[~known, parts] == "").all().all()
    exact = sum(last[c].fillna(0.0) for c in parts).to_series()[known]
    np.testing.assert_allclose(exact, last["risk"].to_series()[known], atol=1e-9)


def class_of(low, high):
    """Word of the class that holds both ends, "" where there is none."""
    numbers = {int(np.searchsorted((2, 4, 6, 8), v, side="right")) for v in (low, high)}
    return CLASSES[numbers.pop()] if len(numbers) == 1 and not np.isnan([low, high]).any() else ""


@each_month
def test_class_range_and_tier_follow_the_unrounded_risk(run_of, month):
    folder = run_of(month)
    table, last = text_of(folder), cube_of(folder).isel(time=-1)
    risk, low, high = (last[name].to_series() for name in ("risk", "risk_low", "risk_high"))
    known = risk.notna()
    ranged = (table["risk_basis"] == "range").set_axis(risk.index)
    assert (ranged == (risk.isna() & low.notna())).all()
    expected = [class_of(lo, hi) if weak else class_of(v, v) for v, lo, hi, weak in
                zip(risk, low, high, ranged, strict=True)]  # fmt: skip
    assert table["risk_class"].tolist() == expected
    assert (table["risk_tier"] != "")[known.to_numpy()].all()
    assert not (table["risk_tier"] != "")[(~known & ~ranged).to_numpy()].any()
    assert set(table["risk_tier"]) <= set("ABCDE") | {""}
    assert "sure" not in set(table.loc[ranged.to_numpy(), "confidence"])
    for edge in ("risk_low", "risk_high"):
        assert (table[f"{edge}_status"] == table["risk_status"])[~ranged.to_numpy()].all()
        assert (table.loc[ranged.to_numpy(), f"{edge}_status"] == "resolution_limited").all()
    assert (numbers(table, "risk_low")[known] <= numbers(table, "risk")[known]).all()
    assert (numbers(table, "risk_high")[known] >= numbers(table, "risk")[known]).all()
    assert not [c for c in table.columns if "rank" in c]


@each_month
def test_alerts_come_from_hazards_that_may_raise_them(run_of, month):
    """Stale raises nothing; NO_DATA stands only where no hazard was observed in time; each level has its reason."""
    table = text_of(run_of(month))
    hazards = [c for c in table.columns if c.startswith("hazard_") and f"{c}_status" in table and "exposure" not in c]
    raising = {s.name for s in RAISES_ALERTS}
    loud = pd.concat([numbers(table, h).where(table[f"{h}_status"].isin(raising)) for h in hazards], axis=1)
    level = table["alert_level"].astype(int)
    assert ((level == -1) == loud.isna().all(axis=1)).all()
    assert (level.mask(level < 1, 0) <= np.searchsorted((4, 6, 8), loud.max(axis=1).fillna(0), side="right")).all()
    assert (table["warning_reason"].str.len() > 10).all()
    assert set(table["alert_basis"]) == {"monitoring"}


@each_month
def test_the_tagged_twin_and_the_workbook_hold_the_same_rows(run_of, month):
    folder = run_of(month)
    table = text_of(folder).reset_index(drop=True)
    twin = pd.read_csv(folder / "tables" / "subdistricts_hxl.csv", dtype=str, keep_default_na=False)
    assert twin.iloc[0].str.match(r"#[a-z]\w*(\+[a-z]\w*)*$").all()
    assert twin.iloc[1:].reset_index(drop=True).equals(table)
    book = openpyxl.load_workbook(folder / "tables" / "subdistricts.xlsx", read_only=True)
    title, head, *rows = book["scores"].iter_rows(values_only=True)
    assert "without coping capacity" in title[0]
    assert list(head) == list(table.columns)
    assert [r[0] for r in rows] == table["pcode"].tolist()
    risk = head.index("risk")
    assert ["" if r[risk] is None else f"{r[risk]:.1f}" for r in rows] == table["risk"].tolist()
    absent = {r[0] for r in book["definitions"].iter_rows(values_only=True) if r[0]}
    assert {f"hazard: {h}" for h in ("heavy_rain", "salinity", "dust", "river_flood", "heat")} <= absent


# ------------------------------------------------------------------ what each month knows


def test_the_list_of_august_2019_adds_up(run_of):
    """258,819 households: inside, outside and dropped; the tables hold the protected ones."""
    folder = run_of("2019-08")
    table = text_of(folder)
    account = json.loads((folder / "checks.json").read_text("utf-8"))["households"]["2019-08-31"]
    printed = int(numbers(table, "displaced_households").sum())
    few = int((table["displaced_households_status"] == "suppressed").sum())
    assert account["households_total"] == 258_819
    assert sum(account[f"households_{k}"] for k in ("inside", "outside", "dropped")) == 258_819
    assert account["households_in_tables"] == printed
    assert account["locations_total"] == account["locations_inside"] + account["locations_outside"] == 3106
    assert few == 16
    assert 0 <= 258_819 - printed < 2 * 294
    counted = numbers(table, "displaced_households").dropna()
    assert (counted % 5 == 0).all()
    assert (numbers(table, "displaced_people").dropna() == 6 * counted).all()
    assert (table.loc[table["displaced_households"] == "0", "vulnerability"] == "").all()


def test_names_that_no_rule_decides_wait_in_review_files(run_of):
    """Three locations outside every polygon, of 3,106, and the names of the gazetteer; both are gaps."""
    folder = run_of("2019-08")
    waiting = {path.name: len(pd.read_csv(path)) for path in (folder / "review").glob("*.csv")}
    assert waiting["displacement_names.csv"] == 3
    assert waiting["names_ckb.csv"] > 100
    gaps = json.loads((folder / "checks.json").read_text("utf-8"))["gaps"]
    for name, count in waiting.items():
        assert f"review/{name}: {count} names wait for a decision" in gaps


def test_every_origin_of_the_list_is_a_governorate_and_flows_add_up(run_of):
    """18 origins to 18 governorates; as printed they are the protected households, but for rounding."""
    folder = run_of("2019-08")
    flows = pd.read_csv(folder / "tables" / "displacement_flows.csv", keep_default_na=False, na_values=[""])
    assert len(flows) == 18 * 18
    assert flows["origin_pcode"].notna().all()
    assert flows["origin_pcode"].nunique() == flows["destination_pcode"].nunique() == 18
    assert (flows["households"].dropna() % 5 == 0).all()
    table = text_of(folder)
    printed = numbers(table, "displaced_households").sum()
    assert abs(flows["households"].sum() - printed) < 18 * 18 * 2.5
    pressure = pd.read_csv(folder / "tables" / "host_pressure.csv")
    assert len(pressure) == 294
    assert pressure["hazard_at_origins"].notna().sum() > 250
    assert set(pressure["displaced_households_per_1000_m3d_status"]) == {"external_unknown", "suppressed"}


def test_rain_that_ended_eight_months_ago_is_old_and_raises_nothing(run_of):
    """The record ends in 2018; 243 days later the drought score still shows and is stale."""
    folder = run_of("2019-08")
    table = text_of(folder)
    ages = {s["name"]: (s["last"], s["age_days"], s["status"]) for s in receipt(folder)["run"]["sources"]}
    assert ages["rain"] == ("2018-12", 243, "stale")
    assert ages["displacement"] == ("2019-08-31", 0, "ok")
    assert ages["residents"][1:] == (426, "ok")
    places = {s["name"]: s["location"] for s in receipt(folder)["run"]["sources"]}
    assert places["displacement"] == "displacement/IDPs_MasterList_dataset_DTM_IOMAug 31, 2019.xlsx"
    assert set(table["hazard_drought_status"]) == {"stale"}
    assert (table["hazard_drought"] != "").all()
    alarmed = table[table["alert_level"].astype(int) > 0]
    assert len(alarmed) > 0
    assert alarmed["warning_reason"].str.contains("Surface water").all()
    assert alarmed["warning_reason"].str.contains("Too old to count: Drought").all()
    assert alarmed["warning_reason"].str.contains("The latest measurement is 8 months old").all()
    assert not alarmed["warning_reason"].str.contains("for 9 months|for 21 months").any()  # a year is read once


def test_a_round_of_the_next_year_is_not_known_yet(run_of):
    """At the end of 2018 nobody had counted: unknown, not 0, and the title says what is left out."""
    folder = run_of("2018-12")
    table = text_of(folder)
    assert set(table["displaced_households_status"]) == {"input_missing"}
    assert (table["displaced_households"] == "").all()
    assert (table["exposure"] != "").all()
    title = receipt(folder)["headlines"]["title"]
    assert "without vulnerability" in title
    assert "without coping capacity" in title
    page = (folder / "site" / "index.html").read_text("utf-8")
    heading = re.search(r"<title>(.*?)</title>", page, re.DOTALL).group(1)
    assert "without coping capacity" in heading


def test_before_the_residents_were_estimated_exposure_is_unknown(run_of):
    """Nobody knows in 2008 who will live there in 2018: exposure_unknown, never 0; hazards and alerts stand."""
    folder = run_of("2008-12")
    table = text_of(folder)
    assert set(table["status"]) == {"exposure_unknown"}
    assert (table["exposure"] == "").all()
    assert (table["hazard_drought"] != "").all()
    gaps = json.loads((folder / "checks.json").read_text("utf-8"))["gaps"]
    assert "risk: 294 of 294 subdistricts not assessed (exposure_unknown)" in gaps
    assert all(s["age_days"] is None or s["age_days"] >= 0 for s in receipt(folder)["run"]["sources"])


def test_a_strict_run_with_gaps_does_not_go_live(run_of, shared_data):
    """Rain is old and hazards have no source: said in checks.json, and enough for --strict to leave latest alone."""
    folder = run_of("2019-08")
    plan = plan_run("iraq", str(shared_data / "iraq"), "2019-08", ISSUED)
    assert may_go_live(plan, False, folder)
    assert not may_go_live(plan, True, folder)
    pointer = json.loads((folder.parents[1] / "latest.json").read_text("utf-8"))
    assert (folder.parents[1] / pointer["path"]).resolve() == (folder.parents[1] / "latest").resolve()


# ------------------------------------------------------------------ the record


def test_2008_is_the_driest_hydrological_year_of_the_record(run_of):
    """SPI-12 of September, the mean over the country; and 2008 is among the three worst years of the hazard."""
    cube = cube_of(run_of("2018-12"))
    september = cube["spi_12"].sel(time=cube["time.month"] == 9).mean("pcode").to_series().dropna()
    assert len(september) > 30
    assert september.idxmin().year == 2008
    hazard = cube["hazard_drought"].mean("pcode").groupby("time.year").mean().to_series()
    assert 2008 in hazard.nlargest(3).index


def test_no_year_later_than_the_month_changes_what_the_month_says(run_of):
    """Monitoring of 2008 reads the same in the run of 2008 and, for hazards and levels, in that of 2018."""
    then, later = (cube_of(run_of(m)).sel(time="2008-12-01") for m in ("2008-12", "2018-12"))
    for name in ("spi_6", "spi_12", "hazard_drought", "hazard_water", "hazard", "warning_score", "alert_level"):
        np.testing.assert_allclose(then[name], later[name], atol=1e-9, err_msg=name)


def test_years_without_imagery_are_never_a_water_shortage(run_of):
    """1988-89, 1993-94, 1996-97: what is shown in them is the year before, then stale, and raises nothing."""
    cube = cube_of(run_of("2018-12"))
    raising = [int(s) for s in RAISES_ALERTS]
    for silent, month in (
        (1988, "1989-06"),
        (1989, "1990-06"),
        (1994, "1995-06"),
        (1996, "1997-06"),
        (1997, "1998-06"),
    ):
        shown = cube.sel(time=f"{month}-01")
        assert not np.isin(shown["hazard_water_status"], raising).any(), silent
    for silent, month in ((1988, "1988-12"), (1993, "1993-12")):
        before = cube["hazard_water"].sel(time=f"{silent - 1}-12-01")
        np.testing.assert_array_equal(cube["hazard_water"].sel(time=f"{month}-01"), before)


def test_where_and_when_each_spi_can_be_used_is_told_and_marked_as_an_exercise(run_of):
    """18 governorates x 12 months x 6 scales: summers of the plain say nothing in 1 and 3 months, 6 and more always do.

    Each line carries the note that the rain is reconstructed: it holds few zeros, and proves no arid month.
    """
    folder = run_of("2019-08")
    table = pd.read_csv(folder / "tables" / "usable_months.csv")
    assert table.groupby("index").size().to_dict() == {f"spi_{k}": 18 * 12 for k in (1, 3, 6, 9, 12, 24)}
    assert table["note"].str.contains("Reconstructed rainfall.*exercises the method").all()
    share = table.set_index(["index", "region", "month"])["usable"]
    assert share.between(0, 1).all()
    for k in (6, 9, 12, 24):
        assert (share[f"spi_{k}"] == 1).all()
    plain, hills = "Al-Basrah", "Al-Sulaymaniyah"
    for k, silent in ((1, (6, 7, 8, 9)), (3, (8, 9))):
        months = share[f"spi_{k}"]
        assert set(months[plain][months[plain] == 0].index) == set(silent)
        assert (months[hills].loc[list(silent)] > 0).all()
    # of one governorate and month by hand, from the cube
    rows = text_of(folder)
    units = rows.index[rows["adm1_name"] == hills]
    flags = cube_of(folder)["spi_1_status"].sel(pcode=units)
    flags = flags.isel(time=(flags.time.dt.month == 8).values).values
    kept, masked = np.isin(flags, list(KEEPS_VALUE)).sum(), (flags == Status.masked_dry_season).sum()
    assert share["spi_1", hills, 8] == pytest.approx(kept / (kept + masked), abs=0.005)
    assert masked > kept > 0
