"""Tables by unit: every row finds its unit, or says why not."""

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from geodata.schema import Findings, InputError, Status
from geodata.tables import UnitTable

SUBDISTRICTS = pd.DataFrame(
    [
        ("Q1N1", "Centre", "المركز", "Q1", "Amara", "G1", "Missan"),
        ("Q1N2", "Kumait", "كميت", "Q1", "Amara", "G1", "Missan"),
        ("Q2N1", "Centre", "المركز", "Q2", "Beygee", "G2", "Salah"),
        ("Q3N1", "Sidi", "سيدي", "Q3", "Amara", "G2", "Salah"),
    ],
    columns=["pcode", "name_en", "name_ar", "adm2_pcode", "adm2_name", "adm1_pcode", "adm1_name"],
).set_index("pcode")
SUBDISTRICTS = SUBDISTRICTS.assign(
    adm1_name_ar="", adm1_name_ckb="", adm2_name_ar="", adm2_name_ckb="", name_ckb="", area_km2=1.0
)


def options(**changes):
    base = {
        "reader": "unit_table",
        "path": "water.csv",
        "label": {"en": "Surface water"},
        "units": "km2",
        "cadence": "year",
        "licence": "none stated",
        "attribution": "REACH",
        "unit_column": "pcode",
        "time_column": "year",
        "value_column": "water",
    }
    return UnitTable.model_validate({**base, **changes})


def read(folder, text, **changes):
    (folder / "water.csv").write_text(text, encoding="utf-8")
    log = Findings("sources.water")
    return options(**changes).read(folder, log, SUBDISTRICTS), log


def refused(folder, text, **changes):
    with pytest.raises(InputError) as error:
        read(folder, text, **changes)
    return [str(f) for f in error.value.findings]


def test_a_subdistrict_table_is_joined_by_code(tmp_path):
    """Two years, one cell empty, one written NA: the rest is scaled."""
    text = "pcode,year,water\nQ1N1,2017,10\nQ1N2,2017,20\nQ2N1,2017,\nQ3N1,2017,NA\nQ1N1,2018,30\n"
    table, _ = read(tmp_path, text, scale=0.5)
    assert table["value"].sel(time="2017-01").values.tolist()[0][:2] == [5.0, 10.0]
    assert table["value"].isnull().values.tolist() == [[False, False, True, True], [False, True, True, True]]
    assert table["status"].values.tolist()[0] == [Status.ok, Status.ok, Status.input_missing, Status.input_missing]
    assert table["value"].attrs == {"units": "km2", "long_name": "Surface water"}
    assert table["time"].dt.strftime("%Y-%m-%d").values.tolist() == ["2017-01-01", "2018-01-01"]


def test_a_district_value_goes_to_all_its_subdistricts_and_says_it_is_coarser(tmp_path):
    table, _ = read(tmp_path, "pcode,year,water\nQ1,2018.0,7\n", level=2)
    assert table["value"].values.tolist()[0][:2] == [7, 7]
    assert table["status"].values.tolist()[0] == [2, 2, 6, 6]
    assert Status(2).name == "resolution_limited"


def test_the_order_of_rows_and_of_subdistricts_changes_nothing(tmp_path):
    lines = [f"{p},{y},{n}" for n, (p, y) in enumerate((p, y) for y in (2016, 2017) for p in SUBDISTRICTS.index)]
    forward, _ = read(tmp_path, "\n".join(["pcode,year,water", *lines]))
    backward, _ = read(tmp_path, "\n".join(["pcode,year,water", *lines[::-1]]))
    assert forward.identical(backward)
    assert forward["value"].sel(pcode="Q2N1").values.tolist() == [2, 6]


def test_names_are_matched_without_case_and_through_aliases(tmp_path):
    text = "pcode,year,water\n  kumait ,2018,1\nSidi Ali,2018,2\n"
    table, _ = read(tmp_path, text, unit_by="name", aliases={"Sidi Ali": "Sidi"})
    assert table["value"].sel(pcode=["Q1N2", "Q3N1"]).values.tolist() == [[1, 2]]


def test_arabic_names_are_matched_if_the_table_uses_them(tmp_path):
    table, _ = read(tmp_path, "pcode,year,water\nكميت,2018,٣\n", unit_by="name", name_language="ar")
    assert table["value"].sel(pcode="Q1N2").item() == 3


def test_a_name_of_two_units_is_an_error_unless_the_parent_tells(tmp_path):
    """Amara is a district of Missan and of Salah."""
    text = "pcode,gov,year,water\nAmara,Missan,2018,1\nAmara,SALAH,2018,2\n"
    found = refused(tmp_path, text, unit_by="name", level=2)
    assert "'Amara', which is Q1, Q3" in found[0]
    table, _ = read(tmp_path, text, unit_by="name", level=2, parent_column="gov")
    assert table["value"].sel(pcode=["Q1N1", "Q3N1"]).values.tolist() == [[1, 2]]


def test_a_parent_is_recognised_two_levels_up_and_by_code(tmp_path):
    text = "pcode,gov,year,water\nCentre,G1,2018,1\nCentre,Beygee,2018,2\n"
    table, _ = read(tmp_path, text, unit_by="name", parent_column="gov")
    assert table["value"].sel(pcode=["Q1N1", "Q2N1"]).values.tolist() == [[1, 2]]


def test_a_unit_in_another_parent_is_an_error(tmp_path):
    text = "pcode,gov,year,water\nKumait,Salah,2018,1\n"
    assert "in 'salah'" in refused(tmp_path, text, unit_by="name", parent_column="gov")[0]


def test_everything_wrong_is_told_in_one_pass(tmp_path):
    """Unknown code, text, a negative, an impossible year: four findings with rows and columns."""
    text = "pcode,year,water\nQ1N9,2018,1\nQ1N2,2018,dry\nQ2N1,2018,-4\nQ3N1,18,1\n"
    found = refused(tmp_path, text)
    assert len(found) == 4
    assert "row 2" in found[0]
    assert "did you mean 'Q1N1'" in found[0] or "did you mean 'Q1N2'" in found[0]
    assert "'18'" in found[1]
    assert "column 'water', row 3" in found[2]
    assert "column 'water', row 4" in found[3]


def test_a_unit_twice_in_a_period_is_refused(tmp_path):
    found = refused(tmp_path, "pcode,year,water\nQ1N1,2018,1\nq1n1,2018,1\n")
    assert "rows 2, 3" in found[0]
    assert "Q1N1 in 2018 2 times" in found[0]


def test_a_column_that_is_not_there_is_named_with_the_nearest(tmp_path):
    assert (
        "did you mean 'water'" in refused(tmp_path, "pcode,year,watr,water\nQ1N1,2018,1,1\n", value_column="watter")[0]
    )


def test_an_alias_to_nowhere_is_an_error(tmp_path):
    found = refused(tmp_path, "pcode,year,water\nKumait,2018,1\n", unit_by="name", aliases={"Baiji": "Beygeee"})
    assert "aliases.Baiji" in found[0]


@pytest.mark.parametrize(
    ("cadence", "written", "start"),
    [
        ("year", "1984.0", "1984-01-01"),
        ("year", "1984-09-30", "1984-01-01"),
        ("month", "1984-03", "1984-03-01"),
        ("month", "1984/03/31", "1984-03-01"),
        ("day", "1984-03-31", "1984-03-31"),
        ("round", "2019-08-31T00:00:00", "2019-08-31"),
    ],
)
def test_a_period_is_labelled_by_its_start(tmp_path, cadence, written, start):
    table, _ = read(tmp_path, f"pcode,year,water\nQ1N1,{written},1\n", cadence=cadence)
    assert str(table["time"].values[0])[:10] == start


@pytest.mark.parametrize(
    ("cadence", "written"),
    [("month", "2018-13"), ("day", "2019-02-30"), ("year", "0"), ("month", "2018"), ("year", "")],
)
def test_an_impossible_period_is_an_error(tmp_path, cadence, written):
    found = refused(tmp_path, f"pcode,year,water\nQ1N1,{written},1\n", cadence=cadence)
    assert "column 'year', row 2" in found[0]


def test_gaps_and_silent_units_are_listed(tmp_path):
    _, log = read(tmp_path, "pcode,year,water\nQ1N1,2015,1\nQ1N1,2018,1\n")
    said = " ".join(str(f) for f in log.items)
    assert "2016, 2017" in said
    assert "3 of the ADM3 units (Q1N2, Q2N1, Q3N1)" in said


def test_an_unknown_option_is_refused():
    with pytest.raises(ValidationError, match="valu_column"):
        options(valu_column="x")


def test_negative_values_are_allowed_for_anomalies(tmp_path):
    table, _ = read(tmp_path, "pcode,year,water\nQ1N1,2018,-4\n", allow_negative=True)
    assert table["value"].sel(pcode="Q1N1").item() == -4


def test_the_real_water_table_is_joined_by_district(shared_data):
    """101 districts x 35 years; Al-Falluja 1984: 741,409 pixels of 0.0009 km2 are 667.27 km2."""
    import geopandas as gpd

    shapes = gpd.read_file(shared_data / "iraq/boundaries/irq_admbnda_adm3_cso_20190603.shp")
    renamed = shapes.rename(
        columns={"ADM3_PCODE": "pcode", "ADM3_EN": "name_en", "ADM2_PCODE": "adm2_pcode", "ADM2_EN": "adm2_name"}
    ).rename(columns={"ADM1_PCODE": "adm1_pcode", "ADM1_EN": "adm1_name"})
    subdistricts = renamed.set_index("pcode").sort_index()
    table = options(
        path="iraq/water/surface_water_district_yearly_1984_2018.csv",
        unit_column="district",
        unit_by="name",
        level=2,
        parent_column="governorate",
        scale=0.0009,
        aliases={"Baiji": "Beygee"},
    )
    log = Findings("sources.water")
    water = table.read(shared_data, log, subdistricts)
    assert dict(water.sizes) == {"time": 35, "pcode": 294}
    assert not water["value"].isnull().any()
    assert log.items == []
    falluja = subdistricts.index[subdistricts["adm2_name"] == "Al-Falluja"]
    np.testing.assert_allclose(water["value"].sel(time="1984-01-01", pcode=falluja), 741409.0078431345 * 0.0009)
