"""Tables for other programs: the contract's columns, unknown empty, equal bytes."""

import csv
import hashlib

import numpy as np
import openpyxl
import pytest

from geodata.schema import ContractError
from maps.tables import COLUMNS, publishable, tag, write_csv, write_hxl_csv, write_xlsx


@pytest.fixture(scope="module")
def table(page):
    """The score table with the contract's columns that the fake scores lack."""
    names = page.subdistricts.drop(columns="geometry")
    extra = {
        "displaced_climate_households": np.nan, "returnee_households": np.nan, "hazard_heavy_rain": np.nan,
        "hazard_heavy_rain_status": "input_missing", "lack_of_coping": np.nan, "lack_of_coping_status": "input_missing",
    }  # fmt: skip
    columns = [c for c in names.columns if c in COLUMNS]
    return publishable(page.scores.assign(**extra).join(names[columns]))


def read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_contract_columns_come_first_in_their_order(table, tmp_path):
    write_csv(table, tmp_path / "t.csv")
    head, *rows = read(tmp_path / "t.csv")
    assert tuple(head[: len(COLUMNS)]) == COLUMNS
    assert head[len(COLUMNS)].endswith("_status")
    assert [r[0] for r in rows] == sorted(r[0] for r in rows)
    assert len(rows) == len(table)


def test_unknown_is_empty_and_says_why(table, tmp_path):
    """Row 6 of the fake country lacks a source."""
    write_csv(table, tmp_path / "t.csv")
    head, *rows = read(tmp_path / "t.csv")
    row = dict(zip(head, rows[6], strict=True))
    assert (row["risk"], row["risk_class"], row["risk_status"]) == ("", "", "input_missing")
    assert row["hazard_heavy_rain"] == ""
    assert not {"nan", "NaN", "<NA>", "None"} & {cell for r in rows for cell in r}


def test_scores_have_one_decimal_and_counts_none(table, tmp_path):
    write_csv(table, tmp_path / "t.csv")
    head, *rows = read(tmp_path / "t.csv")
    row = dict(zip(head, rows[20], strict=True))
    assert row["risk"].split(".")[1].isdigit()
    assert len(row["risk"].split(".")[1]) == 1
    assert row["residents"].isdigit()
    assert row["displaced_households"].isdigit()
    assert row["alert_level"] in {"-1", "0", "1", "2", "3"}


def test_how_many_hazards_stand_behind_the_score_is_a_whole_number(table, tmp_path):
    """Row 6 lacks drought: one of seven hazards is known there, two elsewhere."""
    write_csv(table, tmp_path / "t.csv")
    head, *rows = read(tmp_path / "t.csv")
    told = [(row["hazards_known"], row["hazards_declared"]) for row in (dict(zip(head, r, strict=True)) for r in rows)]
    assert (told[6], told[20]) == (("1", "7"), ("2", "7"))
    assert tag("hazards_known") == "#indicator+hazards+known+num"


def test_halves_go_up_once(page):
    scores = page.scores.iloc[20:21].assign(risk=2.25, risk_low=0.45)
    parts = [c for c in scores if c.startswith("contribution_")]
    scores[parts] = [2.25, 0.0, 0.0, 0.0, 0.0]
    printed = publishable(scores)
    assert (printed["risk"].iloc[0], printed["risk_low"].iloc[0]) == (2.3, 0.5)


def test_printed_contributions_add_up(table):
    parts = table[[c for c in table if c.startswith("contribution_")]]
    known = table["risk"].notna()
    assert np.allclose(parts[known].sum(axis=1), table.loc[known, "risk"], atol=1e-9)


def test_a_part_that_nobody_could_assess_is_empty_and_says_why(page, tmp_path):
    """4.2 = 5.0 + 0.3 - 1.1: what is printed adds up without a 0.0 for the drought that was not seen."""
    row = page.scores.index[20]
    scores = page.scores.copy()
    parts = ["reference", "drought", "water", "exposure", "vulnerability"]
    scores.loc[row, [f"contribution_{p}" for p in parts]] = [5.0, np.nan, 0.26, -1.07, 0.01]
    scores.loc[row, "risk"] = 4.2
    scores["contribution_drought_status"] = "ok"
    scores.loc[row, "contribution_drought_status"] = "input_missing"
    absent = ["displaced_climate_households", "returnee_households", "hazard_heavy_rain", "lack_of_coping"]
    names = page.subdistricts.drop(columns="geometry")
    names = names[[c for c in names if c in COLUMNS]]
    write_csv(publishable(scores.assign(**dict.fromkeys(absent, np.nan)).join(names)), tmp_path / "t.csv")
    head, *rows = read(tmp_path / "t.csv")
    told = next(dict(zip(head, r, strict=True)) for r in rows if r[0] == row)
    printed = [told[f"contribution_{p}"] for p in parts]
    assert printed == ["5.0", "", "0.3", "-1.1", "0.0"]
    assert told["contribution_drought_status"] == "input_missing"
    assert tag("contribution_drought_status") == "#status+contribution+drought"


def test_the_reason_is_a_sentence(table):
    assert set(table["warning_reason"]) >= {
        "Nothing measured here reaches the limit for a watch.",
        "Less rain fell over the last 6 months than in 9 of 10 years. It has been so for 3 months.",
    }


def test_indices_behind_the_scores_keep_two_decimals(table, tmp_path):
    """A percentile of 0.08 must not print as 0.1; a count must not print as 10.00."""
    write_csv(table.assign(water_percentile=0.08, alert_months=10.0), tmp_path / "t.csv")
    head, row, *_ = read(tmp_path / "t.csv")
    cells = dict(zip(head, row, strict=True))
    assert (cells["water_percentile"], cells["alert_months"]) == ("0.08", "10")


def test_a_missing_column_fails(table, tmp_path):
    with pytest.raises(ContractError, match="risk_tier"):
        write_csv(table.drop(columns="risk_tier"), tmp_path / "t.csv")


def test_hxl_twin_has_a_tag_for_every_column(table, tmp_path):
    write_hxl_csv(table, tmp_path / "h.csv")
    head, tags, *rows = read(tmp_path / "h.csv")
    assert len(tags) == len(head)
    assert all(t.startswith("#") for t in tags)
    assert tags[0] == "#adm3+code"
    assert len(rows) == len(table)


def test_hxl_tags_are_unique():
    tags = [tag(c) for c in COLUMNS]
    assert len(set(tags)) == len(tags)


def test_workbook_holds_scores_definitions_and_sources(table, make_manifest, tmp_path):
    write_xlsx(table, make_manifest(), tmp_path / "t.xlsx")
    book = openpyxl.load_workbook(tmp_path / "t.xlsx")
    assert book.sheetnames == ["scores", "definitions", "sources"]
    scores = book["scores"]
    assert scores["A1"].value.startswith(
        "SYNTHETIC. Risk score, without coping capacity: Iraq, 2026-10, issued 2026-11-09"
    )
    assert [c.value for c in scores[2]][: len(COLUMNS)] == list(COLUMNS)
    assert scores.max_row == 2 + len(table)
    assert scores.freeze_panes == "C3"
    assert scores.auto_filter.ref


def test_text_that_looks_like_a_formula_stays_text(table, make_manifest, tmp_path):
    """A place called =1+1 computes nothing in the reader's office."""
    write_xlsx(table.assign(name_en="=1+1", name_ar="https://a.example"), make_manifest(), tmp_path / "t.xlsx")
    cell = openpyxl.load_workbook(tmp_path / "t.xlsx")["scores"]["B3"]
    assert (cell.value, cell.data_type) == ("=1+1", "s")


def test_definitions_name_what_is_missing(table, make_manifest, tmp_path):
    write_xlsx(table, make_manifest(), tmp_path / "t.xlsx")
    names = [c.value for c in openpyxl.load_workbook(tmp_path / "t.xlsx")["definitions"]["A"]]
    assert {"hazard: dust", "hazard: heavy_rain", "dimension: lack_of_coping", "status: suppressed"} <= set(names)


@pytest.mark.parametrize("name", ["t.csv", "h.csv", "t.xlsx"])
def test_equal_tables_have_equal_bytes(table, make_manifest, tmp_path, name):
    def made(folder):
        path = tmp_path / folder
        path.mkdir()
        write_csv(table, path / "t.csv")
        write_hxl_csv(table.iloc[::-1], path / "h.csv")
        write_xlsx(table, make_manifest(), path / "t.xlsx")
        return hashlib.sha256((path / name).read_bytes()).hexdigest()

    assert made("a") == made("b")
