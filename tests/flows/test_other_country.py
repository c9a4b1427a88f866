"""Another country by its file alone: districts as units, residents, rain, nobody displaced on record, no sheet."""

import json
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pytest

from flows.run_country import run_country

from .conftest import ISSUED

COUNTRY = """
[country]
key = "elsewhere"
name = { en = "Elsewhere" }
languages = ["en"]
synthetic = true
publish = "auto"
as_of = "2024-03"
people_per_household = 5
people_per_household_source = "assumed by this test"

[calibration]
start_year = 1991
end_year = 2020
why = "WMO normal"

[boundaries]
path = "districts.gpkg"
pcode = "ADM2_PCODE"
names = { en = "ADM2_EN" }
adm2_pcode = "ADM2_PCODE"
adm2_names = { en = "ADM2_EN" }
adm1_pcode = "ADM1_PCODE"
adm1_names = { en = "ADM1_EN" }
vintage = "2024"
label = { en = "Districts" }
licence = "none needed"
attribution = "made by geodata.synthetic"

[sources.rain]
reader = "raster_stack"
path = "rainfall/rain_{YYYY}.{MM}.tif"
quantity = "precipitation"
units = "mm/month"
cadence = "month"
max_age_days = 62
label = { en = "Rain" }
licence = "none needed"
attribution = "made by geodata.synthetic"

[sources.residents]
reader = "residents_table"
path = "residents.csv"
unit_by = "pcode"
unit_column = "code"
value_column = "people"
reference = 2020-07-01
units = "people"
cadence = "once"
max_age_days = 3653
label = { en = "Residents" }
licence = "none needed"
attribution = "made by geodata.synthetic"

[hazards.drought]
method = "spi"
source = "rain"
"""
LACKING = ("water", "heavy_rain", "salinity", "dust", "river_flood", "heat")
SCORES = """
[exposure]
people_low = 1_000
people_high = 1_000_000
country_share_high = 0.1
bounds_source = "assumed by this test"

[risk]
class_cut_points = [2.0, 4.0, 6.0, 8.0]
class_origin = "assumed by this test"
reference_score = 2.0
reference_origin = "assumed by this test"

[uncertainty]
spi_sd = 0.24
spi_sd_source = "assumed by this test"
hazard_score_sd = 1.0
hazard_score_sd_source = "assumed by this test"

[warning]
watch_score = 4.0
warning_score = 6.0
emergency_score = 8.0
threshold_source = "assumed by this test"
"""


@pytest.fixture(scope="module")
def elsewhere(synthetic_inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run on the districts of the synthetic country."""
    folder = tmp_path_factory.mktemp("elsewhere")
    shapes = gpd.read_file(synthetic_inputs / "boundaries" / "synthetic_adm3.gpkg")
    columns = ["ADM2_PCODE", "ADM2_EN", "ADM1_PCODE", "ADM1_EN", "geometry"]
    districts = shapes[columns].dissolve("ADM2_PCODE", as_index=False)
    districts.to_file(folder / "districts.gpkg")
    people = pd.read_csv(synthetic_inputs / "residents" / "residents.csv").set_index("pcode")["residents"]
    of = shapes.set_index("ADM3_PCODE")["ADM2_PCODE"]
    people.groupby(of.reindex(people.index)).sum().rename_axis("code").rename("people").to_csv(folder / "residents.csv")
    (folder / "rainfall").symlink_to(synthetic_inputs / "rainfall")
    config = folder / "elsewhere.toml"
    absent = "".join(f'\n[hazards.{name}]\nmethod = "none"\n' for name in LACKING)
    config.write_text(COUNTRY + absent + SCORES, "utf-8")
    return Path(run_country.fn(str(config), data=str(folder), issued=ISSUED, out=str(folder / "out")))


def test_every_district_has_its_row_and_a_risk(elsewhere):
    table = pd.read_csv(elsewhere / "tables" / "subdistricts.csv", keep_default_na=False)
    assert len(table) == table["adm2_pcode"].nunique() == table["pcode"].nunique() > 10
    assert (table["pcode"] == table["adm2_pcode"]).all()
    assert (table["risk"] != "").mean() > 0.9
    assert set(table["risk_basis"]) <= {"score", "none"}


def test_the_dimensions_that_are_not_assessed_are_named_everywhere(elsewhere):
    receipt = json.loads((elsewhere / "manifest.json").read_text("utf-8"))
    assert receipt["headlines"]["title"].endswith("(without vulnerability, without coping capacity)")
    assert receipt["run"]["dimensions_missing"] == ["vulnerability", "lack_of_coping"]
    assert [level["level"] for level in receipt["risk_levels"]] == ["risk", "hazard_and_exposure", "hazard"]
    gaps = json.loads((elsewhere / "checks.json").read_text("utf-8"))["gaps"]
    assert "vulnerability: not assessed in this country" in gaps
    page = (elsewhere / "site" / "index.html").read_text("utf-8")
    assert '"without":["vulnerability","lack_of_coping"]' in page


def test_nobody_displaced_on_record_is_unknown_and_not_nobody(elsewhere):
    table = pd.read_csv(elsewhere / "tables" / "subdistricts.csv", keep_default_na=False)
    for column in ("displaced_households", "displaced_people", "displaced_climate_households", "returnee_households"):
        assert (table[column] == "").all()
        assert set(table[f"{column}_status"]) == {"input_missing"}
    # Reliability is lowered by all that is not there.
    assert (table["lack_of_reliability"].astype(float) > 4).all()
