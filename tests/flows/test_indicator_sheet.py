"""The indicator sheet in a run: rows in the country file or in a table, a source for coping, and what is refused."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from flows.check_inputs import check_inputs
from flows.indicator_sheet import SHEET, SheetOptions, check_sheet
from flows.run_country import run_country
from flows.settings import load_settings
from geodata.schema import Findings, InputError

from .conftest import ISSUED

SHEET_KEYS = ("name", "dimension", "direction", "lowest", "highest", "weight", "units", "values", "source", "assessed")
DOCTORS = """
[sources.doctors]
reader = "unit_table"
path = "health/doctors.csv"
unit_by = "pcode"
unit_column = "pcode"
time_column = "year"
value_column = "doctors"
units = "1"
cadence = "year"
max_age_days = 800
label = { en = "Doctors and nurses per 1,000 people" }
licence = "none needed"
attribution = "made by this test"
"""


def rows_of(config: str) -> list[dict]:
    """Rows of the sheet in a country file."""
    return [dict(row) for row in load_settings(config).indicator_sheet.rows]


def edited(config: str, folder: Path, sheet: str, more: str = "", name: str = "demo.toml") -> str:
    """A country file with another indicator sheet."""
    text = Path(config).read_text("utf-8")
    text = re.sub(r"(?ms)^\[indicator_sheet\].*?(?=^\[|\Z)", sheet + "\n\n", text) + more
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(text, "utf-8")
    return str(path)


def as_table(rows: list[dict], path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    pd.DataFrame(rows)[[k for k in SHEET_KEYS]].to_csv(path, index=False)


def run(config, data, out, **options):
    return Path(run_country.fn(config, data=str(data), issued=ISSUED, out=str(out), **options))


def table_of(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "tables" / "subdistricts.csv", keep_default_na=False).set_index("pcode")


def test_every_row_stands_in_the_products_and_absent_ones_lower_reliability(small_run):
    """Women-headed households, disability and age are named as not assessed, and filled in nowhere."""
    sheet = pd.read_csv(small_run / "tables" / "indicator_sheet.csv", keep_default_na=False)
    waiting = set(sheet.loc[sheet["assessed"].astype(str).str.lower() == "false", "name"])
    assert {"women_headed_households", "people_with_disability", "children_and_old_people"} <= waiting
    with xr.open_dataset(small_run / "cube.nc") as cube:
        assert not waiting & set(map(str, cube.data_vars))
    noted = [
        f
        for f in json.loads((small_run / "checks.json").read_text("utf-8"))["findings"]
        if f["found"] == "not assessed"
    ]
    assert {f["field"] for f in noted} == waiting


def test_the_means_and_weights_of_each_level_are_printed(small_run):
    levels = pd.read_csv(small_run / "tables" / "risk_levels.csv").set_index("level")
    assert levels["mean"].to_dict() == {
        "risk": "geometric",
        "hazard_and_exposure": "geometric",
        "hazard": "scaled_geometric",
        "vulnerability": "arithmetic",
    }
    assert json.loads((small_run / "manifest.json").read_text("utf-8"))["risk_levels"][0]["level"] == "risk"
    shares = dict(
        zip(levels.loc["vulnerability", "parts"].split(), levels.loc["vulnerability", "weights"].split(), strict=True)
    )
    assert float(shares["critical_shelter"]) == pytest.approx(0.25 / 0.6, abs=1e-5)


def test_vulnerability_is_that_of_the_protected_shares_by_hand(small_run):
    """Of the rounded counts of each subdistrict: 0.25, 0.1 and 0.25 of 0.6, with the bounds of the sheet."""
    table = table_of(small_run)
    some = table[
        (table["displaced_households_status"] == "ok")
        & (pd.to_numeric(table["displaced_households"], errors="coerce") > 0)
    ]
    assert len(some) > 20

    def share(column):
        counts = pd.to_numeric(some[column], errors="coerce").mask(some[f"{column}_status"] == "suppressed", 2.5)
        return (counts / some["displaced_households"].astype(float)).clip(upper=1.0)

    expected = (
        (
            0.25 * (share("displaced_critical") / 0.5).clip(upper=1.0)
            + 0.10 * share("displaced_camp_or_critical")
            + 0.25 * share("displaced_protracted")
        )
        / 0.6
        * 10
    )
    np.testing.assert_allclose(some["vulnerability"].astype(float), expected, atol=0.05 + 1e-9)


def test_a_unit_that_lacks_vulnerability_has_the_range_of_the_country(small_run):
    """Nobody displaced: no score and no class of its own; the ends are wider than the 10th and 90th percentile give."""
    table = table_of(small_run)
    ranged = table[table["risk_basis"] == "range"]
    assert len(ranged) >= 5
    assert set(ranged["displaced_households_status"]) <= {"ok", "suppressed"}
    assert (ranged["risk"] == "").all()
    assert (ranged["status"] == "insufficient_data").all()
    vulnerability = pd.to_numeric(table["vulnerability"]).dropna()
    first = pd.to_numeric(ranged["hazard_and_exposure"])
    for end, quantile in (("risk_low", 0.1), ("risk_high", 0.9)):
        point = np.sqrt(first * vulnerability.quantile(quantile))
        difference = pd.to_numeric(ranged[end]) - point
        assert (difference <= 0.1).all() if end == "risk_low" else (difference >= -0.1).all()


def test_a_sheet_in_a_table_is_the_same_as_one_in_the_country_file(small_config, small_run, country, tmp_path):
    as_table(rows_of(small_config), country / "sheets" / "indicators.csv")
    config = edited(small_config, tmp_path / "c", '[indicator_sheet]\npath = "sheets/indicators.csv"')
    folder = run(config, country, tmp_path / "out")
    columns = ["risk", "risk_low", "risk_high", "risk_tier", "vulnerability", "main_driver"]
    pd.testing.assert_frame_equal(table_of(folder)[columns], table_of(small_run)[columns])
    inputs = json.loads((folder / "manifest.json").read_text("utf-8"))["plan"]["inputs"]
    assert "sheets/indicators.csv" in {f["path"] for f in inputs}


def test_coping_has_a_place_once_a_source_is_named(small_config, small_run, country, tmp_path):
    """Doctors by subdistrict: a third dimension in the score, in its parts and no longer named as left out."""
    pcodes = table_of(small_run).index
    (country / "health").mkdir()
    doctors = pd.DataFrame({"pcode": pcodes, "year": 2023, "doctors": np.linspace(0.2, 3.8, len(pcodes)).round(2)})
    doctors.to_csv(country / "health" / "doctors.csv", index=False)
    rows = rows_of(small_config)
    for row in rows:
        if row["name"] == "health_care":
            row |= {"assessed": True, "values": "doctors", "source": "made by this test"}
    as_table(rows, country / "sheets" / "indicators.csv")
    config = edited(small_config, tmp_path / "c", '[indicator_sheet]\npath = "sheets/indicators.csv"', DOCTORS)
    folder = run(config, country, tmp_path / "out")
    table = table_of(folder)
    expected = 10.0 - doctors.set_index("pcode")["doctors"] / 4 * 10
    np.testing.assert_allclose(table["lack_of_coping"].astype(float), expected, atol=0.05 + 1e-9)
    known = table["risk"] != ""
    three = table.loc[known, ["hazard_and_exposure", "vulnerability", "lack_of_coping"]].astype(float).prod(axis=1) ** (
        1 / 3
    )
    np.testing.assert_allclose(table.loc[known, "risk"].astype(float), three, atol=0.11)
    assert (table.loc[known, "contribution_lack_of_coping"] != "").all()
    assert "without" not in json.loads((folder / "manifest.json").read_text("utf-8"))["headlines"]["title"]


def test_a_country_without_a_sheet_and_without_displacement_says_which_dimensions_are_missing(
    small_config, synthetic_inputs, tmp_path
):
    text = Path(edited(small_config, tmp_path / "c", "")).read_text("utf-8")
    text = re.sub(r"(?ms)^\[sources\.displacement[\].].*?(?=^\[(?!sources\.displacement)|\Z)", "", text)
    config = tmp_path / "c" / "demo.toml"
    config.write_text(text, "utf-8")
    folder = run(str(config), synthetic_inputs, tmp_path / "out")
    table = table_of(folder)
    known = table["risk"] != ""
    assert known.sum() > 50
    np.testing.assert_allclose(
        table.loc[known, "risk"].astype(float), table.loc[known, "hazard_and_exposure"].astype(float), atol=0.051
    )
    title = json.loads((folder / "manifest.json").read_text("utf-8"))["headlines"]["title"]
    assert "without vulnerability" in title
    assert "without coping capacity" in title
    assert (table["displaced_households"] == "").all()
    assert set(table["displaced_households_status"]) == {"input_missing"}


def test_declared_weights_move_the_score(small_config, small_run, synthetic_inputs, tmp_path):
    """Exposure and hazard nine to one, by hand."""
    weights = "\n[risk.weights]\nhazard_and_exposure = { hazard = 0.9, exposure = 0.1 }\n"
    config = tmp_path / "demo.toml"
    config.write_text(Path(small_config).read_text("utf-8") + weights, "utf-8")
    table = table_of(run(str(config), synthetic_inputs, tmp_path / "out"))
    some = table[(table["hazard"] != "") & (table["exposure"] != "")]
    expected = some["hazard"].astype(float) ** 0.9 * some["exposure"].astype(float) ** 0.1
    np.testing.assert_allclose(some["hazard_and_exposure"].astype(float), expected, atol=0.11)
    assert (table["hazard_and_exposure"] != table_of(small_run)["hazard_and_exposure"]).any()


MISTAKES = {
    "formula": (lambda r: r[0].update(weight="=1+1"), ["weight", "=1+1", "not a formula"]),
    "bounds": (lambda r: r[0].update(lowest=0.5), ["lowest 0.5", "lowest below highest"]),
    "weights": (lambda r: r[0].update(weight=0.9), ["vulnerability: weight", "expected 1"]),
    "negative": (lambda r: r[0].update(weight=-0.1), ["critical_shelter", "weight", "-0.1"]),
    "twice": (lambda r: r[1].update(name="critical_shelter"), ["critical_shelter: name", "2 rows", "once"]),
    "nowhere": (
        lambda r: r[0].update(values="displaced:crittical"),
        ["critical_shelter: values", "displaced:critical"],
    ),
    "units": (lambda r: r[0].update(values="rain"), ["critical_shelter: units", "'mm/month'"]),
    "taken": (lambda r: r[0].update(name="drought"), ["drought: name", "another block"]),
    "unsourced": (lambda r: r[0].update(source=""), ["critical_shelter", "no source"]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_the_sheet_is_named(small_config, tmp_path, mistake):
    """File, field, found and expected, of each."""
    rows, settings = rows_of(small_config), load_settings(small_config)
    change, words = MISTAKES[mistake]
    change(rows)
    as_table(rows, tmp_path / "sheets" / "indicators.csv")
    options = SheetOptions(path="sheets/indicators.csv")

    def read_and_check():
        log = Findings(SHEET)
        check_sheet(options.read(tmp_path, log), settings.sources, {"drought"}, str(options.path), log)
        log.stop()

    with pytest.raises(InputError) as error:
        read_and_check()
    for word in ["sheets/indicators.csv", "found", "expected", *words]:
        assert word in str(error.value)


def test_a_run_with_a_mistake_in_the_sheet_publishes_nothing(small_config, country, tmp_path):
    """And `wadi check` says the same."""
    rows = rows_of(small_config)
    rows[0].update(values="displaced:critcal")
    as_table(rows, country / "sheets" / "indicators.csv")
    config = edited(small_config, tmp_path / "c", '[indicator_sheet]\npath = "sheets/indicators.csv"')
    out = tmp_path / "out"
    with pytest.raises(InputError, match="critical_shelter: values"):
        run(config, country, out)
    assert not list(out.rglob("*.csv"))
    errors = [f for f in check_inputs.fn(config, str(country), None, ISSUED) if f.severity == "error"]
    assert {f.source for f in errors} == {SHEET}


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ("hazard = { hazard_drought = 0.5 }", ["risk.weights", "sum to 0.5, expected 1"]),
        ("hazard = { hazard_drought = -1.0, hazard_dust = 2.0 }", ["risk.weights", "none below 0"]),
        ("hazard = { hazard_drouht = 1.0 }", ["risk.weights.hazard", "hazard_drouht", "hazard_drought"]),
        ("hazards = { hazard_drought = 1.0 }", ["risk.weights", "'hazards'", "hazard_and_exposure"]),
        ("risk = { luck = 1.0 }", ["risk.weights.risk", "luck", "vulnerability"]),
    ],
)
def test_weights_that_do_not_fit_are_refused(small_config, tmp_path, weights, words):
    config = tmp_path / "demo.toml"
    config.write_text(Path(small_config).read_text("utf-8") + f"\n[risk.weights]\n{weights}\n", "utf-8")
    with pytest.raises(InputError) as error:
        load_settings(str(config))
    for word in ["demo.toml", *words]:
        assert word in str(error.value)


def test_a_mean_that_does_not_exist_is_refused(small_config, tmp_path):
    text = Path(small_config).read_text("utf-8").replace('risk = "geometric" }', 'risk = "harmonic" }')
    config = tmp_path / "demo.toml"
    config.write_text(text, "utf-8")
    with pytest.raises(InputError, match=r"risk\.means\.risk"):
        load_settings(str(config))
