"""Amounts by category: nothing that is not written is taken for known, but what a written unit leaves out."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from geodata.categories import CategoryTable, unknown_categories
from geodata.schema import Findings, InputError, Status, check_cube
from geodata.sources import READERS, read_source

UNITS = pd.DataFrame(
    {"name_en": ["Amara", "Basra", "Karkh"], "name_ar": "", "name_ckb": "", "adm1_pcode": "G", "adm1_name": "G"},
    index=pd.Index(["A", "B", "C"], name="pcode"),
).assign(adm2_pcode="D", adm2_name="D", area_km2=[10.0, 20.0, 30.0])
BLOCK = {
    "reader": "category_table",
    "path": "crops.csv",
    "unit_column": "pcode",
    "category_column": "crop",
    "value_column": "hectares",
    "units": "ha",
    "reference": date(2020, 7, 15),
    "cadence": "once",
    "label": {"en": "Irrigated area"},
    "licence": "x",
    "attribution": "x",
}


def read(folder, rows, header="pcode,crop,hectares", **changes):
    (folder / "crops.csv").write_text(f"{header}\n" + "\n".join(rows) + "\n", "utf-8")
    log = Findings("sources.irrigated_area")
    return read_source(READERS["category_table"].model_validate(BLOCK | changes), folder, log, UNITS), log


def refused(folder, rows, **changes):
    with pytest.raises(InputError) as error:
        read(folder, rows, **changes)
    return str(error.value)


def test_each_amount_stands_at_its_place(tmp_path):
    """A grows wheat and rice, B wheat alone: of rice B has none; of C nothing is known."""
    found, log = read(tmp_path, ["A,wheat,100", "B,wheat,7", 'A,rice,"1,000"'])
    assert found["category"].values.tolist() == ["rice", "wheat"]
    np.testing.assert_array_equal(found["value"][0], [[1000, 100], [0, 7], [np.nan, np.nan]])
    assert found["status"][0, :, 0].values.tolist() == [Status.ok, Status.ok, Status.input_missing]
    assert found["value"].attrs["units"] == "ha"
    assert str(found["time"].values[0])[:10] == "2020-07-01"
    assert [f.severity for f in log.items] == ["note", "warning"]
    assert "1 subdistricts (C)" in log.items[1].found
    check_cube(found.rename({"value": "area", "status": "area_status"}))


def test_a_table_may_say_that_it_leaves_out_who_has_none(tmp_path):
    found, log = read(tmp_path, ["A,wheat,100"], absent_is_zero=True)
    assert found["value"].sum("category").values.tolist() == [[100, 0, 0]]
    assert set(found["status"].values.ravel().tolist()) == {Status.ok}
    assert log.items == []


def test_units_by_name(tmp_path):
    found, _ = read(tmp_path, ["Basra,sheep,12"], unit_by="name", units="head")
    assert found["value"].sel(pcode="B", category="sheep").item() == 12


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("A,wheat,-1", "column 'hectares', row 3: found -1"),
        ("A,rice,some", "column 'hectares', row 3: found 'some'"),
        ("A,rice,", "column 'hectares', row 3: found nothing"),
        ("A,,5", "column 'crop', row 3: found nothing"),
        ("Q,rice,5", "column 'pcode', row 3: found 'Q'"),
        ("A,wheat,5", "rows 2, 3: found A 'wheat' twice"),
        ("B,wheat,2001", "than the subdistrict has, in B"),
    ],
)
def test_what_is_wrong_is_named_with_its_row(tmp_path, row, told):
    message = refused(tmp_path, ["A,wheat,100", row])
    assert message.startswith("crops.csv: ")
    assert told in message


def test_all_wrong_rows_are_told_together(tmp_path):
    message = refused(tmp_path, ["A,wheat,-1", "Q,rice,5", "B,rice,x"])
    assert all(f"row {n}" in message for n in (2, 3, 4))


def test_a_table_without_rows_or_columns(tmp_path):
    assert "expected a row" in refused(tmp_path, [])
    assert "no 'crop' (did you mean 'crops'?)" in refused(tmp_path, ["A,wheat,1"], header="pcode,crops,hectares")


def test_a_category_without_a_coefficient_is_named_with_its_file(tmp_path):
    found, _ = read(tmp_path, ["A,wheat,100", "B,rice,1", "C,opium,1"])
    errors = unknown_categories(found, {"wheat", "rice"}, source="sources.fields", file="crops.csv")
    assert [str(f) for f in errors] == [
        "crops.csv: category: found 'opium', expected one of those with a coefficient: rice, wheat"
    ]
    assert {f.severity for f in errors} == {"error"}


def test_a_district_says_nothing_of_its_subdistricts():
    with pytest.raises(ValidationError, match="level"):
        CategoryTable.model_validate(BLOCK | {"level": 2})
