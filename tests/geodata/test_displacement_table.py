"""Displacement by unit and reason: every person of the table is read once, and an unasked reason is not "none"."""

import json
from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from geodata.displacement_table import DisplacementTable, DtmApi, HdxHapiIdps, counts_by_reason
from geodata.schema import Findings, InputError
from models.protection import protect

COMMON = {
    "label": {"en": "Displaced"},
    "units": "households",
    "cadence": "round",
    "licence": "none stated",
    "attribution": "IOM DTM",
}
TABLE = {
    **COMMON,
    "reader": "displacement_table",
    "path": "table.csv",
    "unit_column": "pcode",
    "time_column": "day",
    "households_column": "hh",
    "reason_column": "why",
    "people_per_household": 6,
}


def units(codes, above="G1"):
    frame = pd.DataFrame(index=pd.Index(codes, name="pcode"))
    for column in ("name_en", "adm1_name", "adm2_name"):
        frame[column] = frame.index
    frame = frame.assign(**{f"adm{n}_name_{s}": "" for n in (1, 2) for s in ("ar", "ckb")}, name_ar="", name_ckb="")
    return frame.assign(adm1_pcode=above, adm2_pcode=above)


UNITS = units(["P1", "P2", "P3"])


def read(folder, rows, header="pcode,day,hh,why", subdistricts=UNITS, **changes):
    (folder / "table.csv").write_text("\n".join([header, *rows]), "utf-8")
    log = Findings("sources.displacement")
    options = DisplacementTable.model_validate({**TABLE, **changes})
    return options.read(folder, log, subdistricts), log


def refused(folder, rows, **changes):
    with pytest.raises(InputError) as error:
        read(folder, rows, **changes)
    return str(error.value)


# ------------------------------------------------------------------ what is read


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("Natural disaster", "climate"),
        ("conflict", "conflict"),
        ("CONFLICT; Insecurity", "conflict"),
        ("Conflict; Natural disaster", "mixed"),
        ("Insecurity; Natural disaster; Other reason", "mixed"),
        ("Conflict; Other reason", "conflict"),
        ("Other reason", "other"),
        ("No reason for displacement reported", "unknown"),
        ("", "unknown"),
    ],
)
def test_a_reason_is_climate_alone_mixed_conflict_other_or_unknown(tmp_path, said, reason):
    table, _ = read(tmp_path, [f'P1,2020-01-31,10,"{said}"'])
    assert table[["code", "reason", "households", "people"]].values.tolist() == [["P1", reason, 10, 60]]
    assert table["day"].tolist() == [pd.Timestamp("2020-01-31")]


def test_columns_by_reason_are_read_as_rows_with_one(tmp_path):
    columns = {"reason_columns": {"drought": "climate", "war": "conflict"}, "reason_column": None}
    table, _ = read(
        tmp_path,
        ["P1,2020-01-31,4,6", "P2,2020-01-31,,1"],
        header="pcode,day,drought,war",
        households_column=None,
        **columns,
    )
    found = table[["code", "reason", "households"]].fillna(-1).values.tolist()
    assert found == [["P1", "climate", 4], ["P1", "conflict", 6], ["P2", "climate", -1], ["P2", "conflict", 1]]


@pytest.mark.parametrize(("people", "households"), [(0, 0), (2, 1), (9, 2), (8, 1), (600, 100)])
def test_households_are_people_over_the_factor_rounded_half_up_and_never_none_where_somebody_is(
    tmp_path, people, households
):
    options = {"households_column": None, "people_column": "hh"}
    table, log = read(tmp_path, [f"P1,2020-01-31,{people},"], **options)
    assert table[["households", "people"]].values.tolist() == [[households, people]]
    assert [f.severity for f in log.items] == ["note"]


def test_other_people_than_the_factor_are_said(tmp_path):
    _, log = read(tmp_path, ["P1,2020-01-31,10,,70"], header="pcode,day,hh,why,n", people_column="n")
    assert "1 rows with another number" in log.items[0].found


def test_units_by_name_and_level_and_a_round_of_one_day(tmp_path):
    table, _ = read(
        tmp_path, ["G1,5,conflict"], header="pcode,hh,why", level=1, time_column=None, round_as_of=date(2020, 2, 29)
    )
    assert table[["code", "day"]].values.tolist() == [["G1", pd.Timestamp("2020-02-29")]]


def test_counts_in_arabic_digits_and_with_separators_are_read_with_a_note(tmp_path):
    table, log = read(tmp_path, ['P1,2020-01-31,"١٬٢٣٤",conflict', 'P2,2020-01-31,"1,234",conflict'])
    assert table["households"].tolist() == [1234, 1234]
    assert [f.severity for f in log.items] == ["note"]


# ------------------------------------------------------------------ counts by reason


def test_climate_lies_between_what_is_climate_alone_and_what_may_be(tmp_path):
    rows = ["P1,2020-01-31,4,drought", "P1,2020-01-31,3,conflict; drought", "P1,2020-01-31,2,not available"]
    table, _ = read(tmp_path, [*rows, "P1,2020-01-31,1,conflict"])
    counts = counts_by_reason(table, UNITS.index).loc[(pd.Timestamp("2020-01-31"), "P1")]
    assert counts[["households", "climate", "mixed", "climate_at_most"]].tolist() == [10, 4, 3, 9]


def test_an_empty_cell_is_not_nobody(tmp_path):
    """P1 tells all; of P2 the droughts are not known, so neither is what may be climate nor the sum; P3 has no row."""
    columns = {"drought": "climate", "flood": "climate", "war": "conflict"}
    table, log = read(
        tmp_path,
        ["P1,2020-01-31,4,0,6", "P2,2020-01-31,,3,1"],
        header="pcode,day,drought,flood,war",
        households_column=None,
        reason_column=None,
        reason_columns=columns,
    )
    counts = counts_by_reason(table, UNITS.index).droplevel("day")
    told = counts[["households", "climate", "conflict", "mixed", "climate_at_most"]].fillna(-1)
    assert told.loc["P1"].tolist() == [10, 4, 6, 0, 4]
    assert told.loc["P2"].tolist() == [-1, -1, 1, 0, -1]
    assert told.loc["P3"].tolist() == [0, 0, 0, 0, 0]
    (warned,) = log.items
    assert (warned.severity, warned.field) == ("warning", "column 'drought', row 3")
    assert warned.expected == "a count, 0 where nobody is"
    whole = protect(counts)
    assert whole["households_status"].tolist() == ["ok", "input_missing", "ok"]


def test_where_no_reason_was_asked_climate_is_unknown_and_not_zero(tmp_path):
    table, _ = read(tmp_path, ["P1,2020-01-31,4,", "P1,2020-02-29,4,conflict"])
    counts = counts_by_reason(table, UNITS.index)
    assert counts.loc[pd.Timestamp("2020-01-31"), "climate"].isna().all()
    assert counts.loc[pd.Timestamp("2020-02-29"), "climate"].tolist() == [0, 0, 0]
    assert counts["households"].tolist() == [4, 0, 0, 4, 0, 0]


ROWS = st.lists(
    st.tuples(st.sampled_from(["P1", "P2"]), st.sampled_from(["Conflict", "Drought", "Flood"]), st.integers(0, 10**6)),
    min_size=1,
    max_size=6,
    unique_by=lambda row: row[:2],
)


@settings(max_examples=30)
@given(ROWS, st.randoms())
def test_every_household_is_counted_once_whatever_the_order(tmp_path_factory, rows, random):
    folder = tmp_path_factory.mktemp("t")
    lines = [f"{code},2020-01-31,{n},{why}" for code, why, n in rows]
    table, _ = read(folder, lines)
    assert (
        table["households"].sum() == counts_by_reason(table, UNITS.index)["households"].sum() == sum(r[2] for r in rows)
    )
    random.shuffle(lines)
    pd.testing.assert_frame_equal(read(folder, lines)[0], table)


# ------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("P1,2020-01-31,-3,conflict", "a count of 0 or more"),
        ("P1,2020-01-31,2.5,conflict", "a whole number"),
        ("P1,2020-01-31,=1+1,conflict", "found '=1\\+1', expected a number"),
        ("P1,2020-01-31,,conflict", "found an empty cell"),
        ("P9,2020-01-31,3,conflict", "found 'P9'"),
        ("P1,31 Jan,3,conflict", "found '31 Jan', expected a date"),
        ("P1,2020-01-31,3,Aliens", "found 'aliens', expected a reason"),
    ],
)
def test_what_is_wrong_in_a_row_is_named_with_its_row(tmp_path, row, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, [row])


def test_the_same_row_twice_counts_once_and_two_counts_are_refused(tmp_path):
    row = "P1,2020-01-31,3,Conflict"
    table, log = read(tmp_path, [row, row.lower().replace("p1", "P1")])
    assert table["households"].tolist() == [3]
    assert [f.action for f in log.items] == ["counted once"]
    assert "P1 with two counts in one round, rows 2, 3" in refused(tmp_path, [row, row.replace(",3,", ",4,")])


def test_no_row_that_the_country_file_asks_for_is_an_error(tmp_path):
    assert "found none, expected rows with day = '1999'" in refused(
        tmp_path, ["P1,2020-01-31,3,"], where={"day": "1999"}
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"round_as_of": date(2020, 1, 1)},
        {"time_column": None},
        {"households_column": None},
        {"reason_columns": {"drought": "climate"}},
        {"reasons": {"war": "greed"}},
        {"people_per_household": 0},
    ],
)
def test_options_that_contradict_themselves_are_refused(changes):
    with pytest.raises(ValidationError):
        DisplacementTable.model_validate({**TABLE, **changes})


@pytest.mark.parametrize("content", ["{", '{"rows": []}', "3", '{"result": ["x"]}'])
def test_an_answer_of_another_shape_is_refused(tmp_path, content):
    (tmp_path / "a.json").write_text(content, "utf-8")
    options = api(path="a.json")
    with pytest.raises(InputError, match="rows under"):
        options.read(tmp_path, Findings("s"), UNITS)


# ------------------------------------------------------------------ API, HDX, HAPI


def api(**changes):
    block = {**COMMON, "reader": "dtm_api", "country": "AFG", "admin_level": 2, "level": 3, "people_per_household": 7}
    return DtmApi.model_validate({**block, **changes})


def test_an_answer_of_hapi_is_read_and_tells_no_reason(tmp_path):
    row = {"location_code": "AFG", "admin_level": 2, "population": 700, "reference_period_end": "2022-12-31T00:00:00"}
    rows = [
        {**row, "admin2_code": "P1", "operation": "A"},
        {**row, "admin2_code": "P2", "operation": "A", "population": 7},
    ]
    (tmp_path / "hapi.json").write_text(json.dumps({"data": rows}), "utf-8")
    block = {**COMMON, "reader": "hdx_hapi_idps", "path": "hapi.json", "country": "AFG", "admin_level": 2, "level": 3}
    options = HdxHapiIdps.model_validate({**block, "people_per_household": 7})
    table = options.read(tmp_path, Findings("s"), UNITS)
    assert table[["code", "reason", "households"]].values.tolist() == [["P1", "unknown", 100], ["P2", "unknown", 1]]
    assert counts_by_reason(table, UNITS.index)["climate"].isna().all()


@pytest.fixture(scope="module")
def afghanistan(shared_data):
    """Districts of Afghanistan as the finest units of a boundary file, by the codes of the table itself."""
    path = "global-iom-dtm-from-api-admin-0-to-2.csv"
    raw = pd.read_csv(shared_data / "hdx/dtm_api" / path, skiprows=[1], low_memory=False)
    raw = raw[raw["admin0Pcode"] == "AFG"]
    districts = raw[raw["adminLevel"] == 2].drop_duplicates("admin2Pcode").set_index("admin2Pcode").sort_index()
    subdistricts = units(districts.index).assign(
        adm1_pcode=districts["admin1Pcode"], adm2_pcode=districts["admin1Pcode"]
    )
    subdistricts.index.name = "pcode"
    log = Findings("sources.displacement")
    return api(path=path).read(shared_data / "hdx/dtm_api", log, subdistricts), raw, subdistricts, log


def test_the_hdx_table_of_afghanistan_gives_people_by_district_and_reason(afghanistan):
    """Sums of an independent reading; natural disaster alone is climate, with conflict it is mixed."""
    table, raw, _, log = afghanistan
    last = table[table["day"] == "2022-12-31"]
    people = last.groupby("reason")["people"].sum().to_dict()
    assert people["climate"] == 385_241
    assert people["mixed"] == 1_969_963 + 2_749_215 + 399_873
    assert people["conflict"] == 717_352 + 327_487 + 8_724
    assert table["people"].sum() == raw.loc[raw["adminLevel"] == 2, "numPresentIdpInd"].sum()
    assert table["code"].nunique() == 401
    assert log.errors == []


def test_households_of_afghanistan_follow_from_people_and_climate_is_bounded(afghanistan):
    table, _, subdistricts, _ = afghanistan
    assert (np.abs(table["households"] * 7 - table["people"]) <= 7 * (table["people"] > 0) * 3.5).all()
    counts = counts_by_reason(table, subdistricts.index)
    assert (counts["climate"] <= counts["climate_at_most"]).all()
    assert (counts["climate_at_most"] <= counts["households"]).all()
    assert counts["households"].sum() == table["households"].sum()


def test_the_real_answer_of_the_api_agrees_with_the_hdx_table(afghanistan, shared_data):
    """JSON of governorates against CSV of districts, round 1 of March 2017: 179,956 people fled conflict."""
    _, _, subdistricts, _ = afghanistan
    options = api(path="displacement-admin1-admin0pcode-afg.json", admin_level=1, level=1)
    table = options.read(shared_data / "hdx/dtm_api", Findings("s"), subdistricts)
    first = table[table["day"] == "2017-03-30"].groupby("reason")["people"].sum().to_dict()
    assert first == {"climate": 98, "conflict": 179_956, "unknown": 66_308}
