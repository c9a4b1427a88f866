"""Reservoirs: each value reaches the subdistricts that the country file names, and says when it is shared."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from geodata.reservoirs import ReservoirTable
from geodata.schema import Findings, InputError, Status
from geodata.sources import READERS

SUBDISTRICTS = pd.DataFrame(
    [("Q1N1", "Q1", "G1"), ("Q1N2", "Q1", "G1"), ("Q2N1", "Q2", "G1"), ("Q3N1", "Q3", "G2")],
    columns=["pcode", "adm2_pcode", "adm1_pcode"],
).set_index("pcode")
OK, SHARED, SHORT, MISSING = (
    int(s) for s in (Status.ok, Status.resolution_limited, Status.insufficient_data, Status.input_missing)
)
WIDE = "Year,East Dam,West Lake\n2018,10,100\n2019,20,\n2020,,\n"


def options(**changes):
    base = {
        "reader": "reservoir_table",
        "path": "area.csv",
        "label": {"en": "Reservoirs"},
        "units": "km2",
        "cadence": "year",
        "licence": "none stated",
        "attribution": "nobody",
        "time_column": "Year",
        "serves": {"East Dam": ["Q1N1"], "West Lake": ["Q1N1", "Q2N1"]},
    }
    return ReservoirTable.model_validate({**base, **changes})


def read(folder, text=WIDE, **changes):
    (folder / "area.csv").write_text(text, encoding="utf-8")
    log = Findings("sources.reservoirs")
    return options(**changes).read(folder, log, SUBDISTRICTS), log


def refused(folder, text=WIDE, **changes):
    with pytest.raises(InputError) as error:
        read(folder, text, **changes)
    return str(error.value)


def column(table, pcode):
    picked = table.sel(pcode=pcode)
    return picked["value"].values.tolist(), picked["status"].values.tolist()


def test_a_subdistrict_has_the_sum_of_its_reservoirs(tmp_path):
    """Q1N1 draws on both: a year in which one of them is unknown has no sum, and one without any is missing."""
    table, _ = read(tmp_path)
    values, flags = column(table, "Q1N1")
    assert values[0] == 110.0
    assert np.isnan(values[1:]).all()
    assert flags == [SHARED, SHORT, MISSING]
    assert table["value"].attrs == {"units": "km2", "long_name": "Reservoirs"}
    assert table["time"].dt.strftime("%Y-%m-%d").values.tolist() == ["2018-01-01", "2019-01-01", "2020-01-01"]
    assert table["pcode"].values.tolist() == list(SUBDISTRICTS.index)


def test_a_shared_reservoir_is_given_whole_and_says_so(tmp_path):
    table, _ = read(tmp_path)
    assert column(table, "Q2N1")[0][0] == 100.0
    assert column(table, "Q2N1")[1] == [SHARED, MISSING, MISSING]


def test_a_reservoir_of_one_subdistrict_is_its_own(tmp_path):
    table, _ = read(tmp_path, serves={"East Dam": ["Q1N1"]})
    assert column(table, "Q1N1")[0][:2] == [10.0, 20.0]
    assert column(table, "Q1N1")[1] == [OK, OK, MISSING]


def test_whom_no_reservoir_serves_has_a_missing_input_and_not_zero(tmp_path):
    table, _ = read(tmp_path)
    for pcode in ("Q1N2", "Q3N1"):
        assert np.isnan(column(table, pcode)[0]).all()
        assert column(table, pcode)[1] == [MISSING] * 3


def test_the_code_of_a_district_or_governorate_stands_for_its_subdistricts(tmp_path):
    table, _ = read(tmp_path, serves={"East Dam": ["Q1"], "West Lake": ["G1", "Q1N1"]})
    assert table["value"].sel(time="2018-01-01").values.tolist()[:3] == [110.0, 110.0, 100.0]
    assert np.isnan(table["value"].sel(time="2018-01-01").values[3])


def test_a_long_table_says_the_same_as_a_wide_one(tmp_path):
    wide, _ = read(tmp_path)
    text = "lake,when,v\nWest Lake,2018,100\nEast Dam,2019,20\nEast Dam,2018,10\nWest Lake,2020,NA\nEast Dam,2020,\n"
    long, _ = read(tmp_path, text, time_column="when", unit_column="lake", value_column="v")
    assert long.equals(wide)


def test_months_and_scales(tmp_path):
    text = "Year,East Dam\n2018-03,1500\n2018-02,1000\n"
    serves = {"East Dam": ["Q1N1"]}
    table, _ = read(tmp_path, text, cadence="month", serves=serves, scale=0.001, scaled_units="Mm3")
    assert column(table, "Q1N1")[0] == [1.0, 1.5]
    assert table["value"].attrs["units"] == "Mm3"


@given(st.lists(st.floats(0, 1e4), min_size=2, max_size=2), st.permutations(["East Dam", "West Lake"]))
def test_the_order_of_columns_and_links_changes_nothing(tmp_path_factory, held, order):
    folder = tmp_path_factory.mktemp("order")
    values = dict(zip(("East Dam", "West Lake"), held, strict=True))
    text = f"Year,{','.join(order)}\n2018,{','.join(repr(values[n]) for n in order)}\n"
    links = {"East Dam": ["Q1N1"], "West Lake": ["Q1N1", "Q2N1"]}
    table, _ = read(folder, text, serves={name: links[name][::-1] for name in order})
    assert table["value"].values[0, [0, 2]].tolist() == pytest.approx([sum(held), values["West Lake"]])


# ------------------------------------------------------------------ bad input


def test_a_reservoir_the_table_does_not_have_is_named(tmp_path):
    told = refused(tmp_path, serves={"Est Dam": ["Q1N1"], "West Lake": ["Q2N1"]})
    assert "area.csv: serves.Est Dam: found no 'Est Dam' (did you mean 'East Dam'?)" in told
    long = "lake,Year,v\nWest Lake,2018,100\n"
    told = refused(tmp_path, long, unit_column="lake", value_column="v")
    assert "serves.East Dam: found no 'East Dam'" in told


def test_a_code_the_boundaries_do_not_have_is_named_with_its_reservoir(tmp_path):
    told = refused(tmp_path, serves={"East Dam": ["Q1N9"], "West Lake": ["X"]})
    assert "serves.East Dam: found 'Q1N9' (did you mean 'Q1N" in told
    assert "serves.West Lake: found 'X', expected a p-code of the boundary file" in told


def test_a_reservoir_nobody_is_served_by_is_a_warning(tmp_path):
    _, log = read(tmp_path, serves={"East Dam": ["Q1N1"]})
    assert [(i.severity, i.found) for i in log.items] == [("warning", "nobody served by West Lake")]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Year,East Dam,West Lake\n2018,-1,2\n", "found -1"),
        ("Year,East Dam,West Lake\n2018,many,2\n", "many"),
        ("Year,East Dam,West Lake\n2018,1,2\n2018,1,2\n", "rows 2, 3: found 2018 2 times"),
        ("Year,East Dam,West Lake\nlast,1,2\n", "found 'last', expected a year"),
        ("year,East Dam,West Lake\n2018,1,2\n", "no 'Year' (did you mean 'year'?)"),
    ],
)
def test_what_is_wrong_in_the_table_is_named(tmp_path, text, told):
    assert told in refused(tmp_path, text)


def test_a_reservoir_twice_in_a_period_is_refused(tmp_path):
    text = "lake,Year,v\nEast Dam,2018,1\nWest Lake,2018,1\nEast Dam,2018,2\n"
    assert "found 2018 2 times" in refused(tmp_path, text, unit_column="lake", value_column="v")


def test_a_year_nobody_speaks_of_is_a_warning(tmp_path):
    _, log = read(tmp_path, "Year,East Dam,West Lake\n2016,1,2\n2018,1,2\n")
    assert [(i.severity, i.found) for i in log.items] == [("warning", "no rows for 2017")]


@pytest.mark.parametrize(
    "changes", [{"serves": {}}, {"serves": {"East Dam": []}}, {"unit_column": "lake"}, {"cadence": "dekad"}]
)
def test_mistakes_of_the_country_file_are_found_when_it_is_read(changes):
    with pytest.raises(ValidationError):
        options(**changes)


# ------------------------------------------------------------------ the real table


def test_lakes_and_reservoirs_of_iraq(shared_data):
    """22 years of 7 reservoirs; Thartar and Raza give their whole area to each subdistrict of one district."""
    units = pd.DataFrame(
        [("A1", "A", "G"), ("A2", "A", "G"), ("B1", "B", "G"), ("C1", "C", "G")],
        columns=["pcode", "adm2_pcode", "adm1_pcode"],
    ).set_index("pcode")
    source = options(
        path="iraq/water/reservoir_area_km2_2000_2021.csv",
        serves={"Thartar Dam": ["A"], "Raza Dyke": ["A2"], "Haditha Dam": ["B1"]},
    )
    assert READERS["reservoir_table"] is ReservoirTable
    assert [p.name for p in source.files(shared_data)] == ["reservoir_area_km2_2000_2021.csv"]
    log = Findings("sources.reservoirs")
    table = source.read(shared_data, log, units)
    assert table.sizes == {"time": 22, "pcode": 4}
    assert table["value"].sel(time="2000-01-01").values.tolist()[:3] == pytest.approx([1640.9, 1640.9 + 1217.0, 322.5])
    assert table["status"].values[0].tolist() == [SHARED, SHARED, OK, MISSING]
    assert "nobody served by Hamrin, Mosul Dam, Nazaf Dam, Ramadi-Habbaniya Dam" in log.items[0].found
