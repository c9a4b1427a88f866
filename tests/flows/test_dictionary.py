"""What the variables of a run are called: every one with its unit and its words, in every language of the country."""

import numpy as np
import openpyxl
import pandas as pd
import pytest
import xarray as xr

from flows.compute_hazards import labelled
from flows.dictionary import dictionary, meanings
from flows.settings import load_settings
from geodata.schema import status_like
from maps.words import load_catalogue


@pytest.fixture(scope="module")
def settings():
    return load_settings("demo")


def one(name, unit="1", long_name="percentile of the open water area"):
    values = xr.DataArray(np.zeros((1, 1)), dims=("time", "pcode"), attrs={"units": unit, "long_name": long_name})
    return xr.Dataset({name: values, f"{name}_status": status_like(values)})


def rows(settings, *parts):
    return dictionary(xr.merge(parts), settings).set_index("name")


def test_an_indicator_bears_its_label_in_every_language(settings):
    """Also where its variables keep their own names, as those of the SPEI do."""
    named = labelled(one("open_water_percentile"), "open_water", settings.indicators["open_water"])
    own = labelled(one("spei_3", long_name="SPEI over 3 months"), "spei", settings.indicators["spei"])
    found = rows(settings, named, own)
    row = found.loc["open_water_percentile"]
    assert [row[f"label_{lang}"] for lang in ("en", "ar", "ckb")] == [
        "Open water of the month", "المسطحات المائية في الشهر", "ئاوی سەر زەوی لە مانگدا",
    ]  # fmt: skip
    assert (row["unit"], row["meaning"], row["block"]) == ("1", "percentile of the open water area", "open_water")
    assert found.loc["spei_3", "label_en"] == "Rain less evapotranspiration (SPEI)"


def test_a_hazard_without_a_label_of_its_own_has_that_of_the_catalogues(settings):
    found = rows(settings, labelled(one("drought_index"), "drought", settings.hazards["drought"]))
    for lang in ("en", "ar", "ckb"):
        assert found.loc["drought_index", f"label_{lang}"] == load_catalogue(lang)("hazard.drought")


def test_a_variable_of_no_block_has_its_meaning_alone(settings):
    found = rows(settings, one("water_supply", "m3/day", "water delivered"))
    assert found.loc["water_supply", ["block", "label_en", "label_ar"]].tolist() == ["", "", ""]
    assert found.loc["water_supply", "meaning"] == "water delivered"


def test_the_meaning_of_a_column_says_what_it_is_called_and_in_what_it_is_told(settings):
    found = dictionary(
        labelled(one("open_water_percentile"), "open_water", settings.indicators["open_water"]), settings
    )
    assert meanings(found) == {
        "open_water_percentile": "Open water of the month: percentile of the open water area (1)"
    }


def test_every_variable_of_a_run_stands_in_its_dictionary_and_every_column_has_a_meaning(demo_run, settings):
    """And every hazard and indicator of the country file is there under its label."""
    told = pd.read_csv(demo_run / "tables" / "dictionary.csv", keep_default_na=False)
    with xr.open_dataset(demo_run / "cube.nc") as cube:
        assert set(told["name"]) == {str(v) for v in cube.data_vars if f"{v}_status" in cube}
    assert set(pd.read_parquet(demo_run / "tables" / "indicators.parquet")["indicator"]) <= set(told["name"])
    blocks = {**settings.assessed_hazards, **settings.indicators}
    assert set(told["block"]) - {""} == set(blocks)
    assert (told.loc[told["block"] != "", ["label_en", "label_ar", "label_ckb"]] != "").all(axis=None)
    assert (told[["unit", "meaning"]] != "").all(axis=None)
    book = openpyxl.load_workbook(demo_run / "tables" / "subdistricts.xlsx", read_only=True)
    words = {row[0]: row[2] for row in book["definitions"].iter_rows(min_row=3, values_only=True)}
    assert words["open_water_percentile"].startswith("Open water of the month: ")
    assert [name for name in told["name"] if name in words and not words[name]] == []
