"""Displaced and returned households through a run: placed or asked about, compared like with like, protected."""

import csv
import shutil
import zipfile
from datetime import date
from pathlib import Path

import geopandas as gpd
import numpy as np
import openpyxl
import pandas as pd
import pytest
import xarray as xr
from shapely import Point

from flows.check_inputs import check_inputs
from flows.displacement import count, places_digest
from flows.plan import plan_run
from flows.read_sources import write_reviews
from flows.run_country import may_go_live, run_country
from flows.settings import load_settings
from geodata.displacement import count_by_origin, count_by_unit
from geodata.displacement_table import DisplacementTable, DtmApi
from geodata.placing import Placing, place_sites
from geodata.review import Review
from geodata.schema import Findings, InputError
from geodata.synthetic import square_subdistricts
from models.protection import intervals, stand_in

ISSUED = "2024-04-08"
LISTS = "displacement/idp_list_{}.xlsx"
LAST = "2024-02-29"


def table_of(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(folder / "tables" / f"{name}.csv", keep_default_na=False, na_values=[""])


@pytest.fixture(scope="module")
def exact(synthetic_inputs: Path) -> pd.DataFrame:
    """The last list, with the subdistrict of each location."""
    rows = pd.read_excel(synthetic_inputs / LISTS.format(LAST), engine="openpyxl").iloc[:-1]
    shapes = gpd.read_file(synthetic_inputs / "boundaries" / "synthetic_adm3.gpkg")
    points = gpd.GeoDataFrame(rows, geometry=gpd.points_from_xy(rows["Longitude"], rows["Latitude"]), crs=4326)
    return points.sjoin(shapes[["ADM3_PCODE", "ADM1_PCODE", "geometry"]], how="left")


# ------------------------------------------------------------------ placing


def test_a_location_no_rule_can_place_waits_in_the_review_file_and_counts_as_a_gap(small_run, small_config, country):
    """Copied into the data folder with a decision it is placed by the next run, which asks no more."""
    path = small_run / "review" / "displacement_names.csv"
    with path.open(encoding="utf-8-sig", newline="") as file:
        (question,) = csv.DictReader(file)
    assert (question["source"], question["decision"]) == ("sources.displacement", "")
    plan = plan_run(small_config, str(country), None, ISSUED)
    assert may_go_live(plan, False, small_run)
    assert not may_go_live(plan, True, small_run)
    assert '"review/displacement_names.csv: 1 names wait for a decision"' in (small_run / "checks.json").read_text()
    (country / "review").mkdir()
    text = path.read_text("utf-8-sig").rstrip("\r\n")
    (country / "review" / path.name).write_text(text + "XWG06Q03N01\r\n", "utf-8")
    found = check_inputs.fn(small_config, str(country), None, ISSUED)
    assert not [f for f in found if f.field == "column 'decision'"]


def test_the_finding_of_open_names_says_where_to_copy_the_file(synthetic_inputs, small_config):
    findings = check_inputs.fn(small_config, str(synthetic_inputs), None, ISSUED)
    (told,) = [f for f in findings if f.field == "column 'decision'"]
    assert told.severity == "warning"
    assert "copy it to review/displacement_names.csv in the data folder" in told.action


def test_questions_of_all_blocks_of_one_file_are_written_together(tmp_path):
    assert write_reviews([Review("review/names.csv", (), {("a", "1", "x"): "P1"})], tmp_path) == {}
    assert not (tmp_path / "review").exists()


def test_a_decision_moves_a_location_so_a_kept_round_is_cut_otherwise():
    sites = pd.DataFrame({"site_id": ["1", "2"], "pcode": ["A", None]})
    assert places_digest(sites, 0) == places_digest(sites.iloc[::-1], 0)
    assert places_digest(sites, 0) != places_digest(sites.assign(pcode=["A", "B"]), 0) != places_digest(sites, 1)


# ------------------------------------------------------------------ rounds


def test_a_round_dated_after_the_day_of_issue_is_an_error(synthetic_inputs, small_config):
    errors = [
        f
        for f in check_inputs.fn(small_config, str(synthetic_inputs), "2023-12", "2024-01-15")
        if f.severity == "error"
    ]
    assert {(f.source, f.found) for f in errors} == {("sources.displacement", LAST), ("sources.returnees", LAST)}


def test_no_phantom_increase_is_told(small_run, synthetic_inputs):
    """A district only the last round looked at has no change; a camp that emptied into its villages is a relocation."""
    from geodata.synthetic import make_country

    truth = make_country().truth
    rows = table_of(small_run, "displacement_change").set_index("pcode")
    assert len(rows) == 60
    assert set(rows["round_before"]) == {"2023-09-30"}
    assert set(rows["round_after"]) == {LAST}
    new = rows[rows["comparability"] == "coverage_changed"]
    assert len(new) > 0
    assert {code[:8] for code in new.index} == {truth.newly_assessed}
    assert (new["households_after"] > 0).any()
    assert new["change"].isna().all()
    closed = rows.loc[truth.closed_camp_pcode]
    assert (closed["comparability"], closed["change"] < 0) == ("relocation", True)
    near = rows[rows["comparability"] == "relocation"]
    assert {code[:5] for code in near.index} == {truth.closed_camp_pcode[:5]}
    told = rows["change"].notna()
    assert (rows["change"][told] == (rows["households_after"] - rows["households_before"])[told]).all()
    assert set(rows["change_status"][~told]) <= {"suppressed", "insufficient_data"}


def test_a_round_is_carried_six_months_and_stale_after(synthetic_inputs, small_config, tmp_path):
    """The list of September speaks to the end of March, 183 days later; without that of February it is old in April."""
    text = Path(small_config).read_text("utf-8")
    line = next(line for line in text.splitlines() if f"idp_list_{LAST}" in line)
    (tmp_path / "demo.toml").write_text(text.replace(line, ""), "utf-8")
    folder = Path(
        run_country.fn(
            str(tmp_path / "demo.toml"), data=str(synthetic_inputs), issued=ISSUED, out=str(tmp_path / "out")
        )
    )
    with xr.open_dataset(folder / "cube.nc") as cube:
        flags = cube["displaced_households_status"].sel(pcode=cube["pcode"][2]).to_series()
    assert set(flags["2023-10":"2024-03"]) == {0}
    (tmp_path / "old.toml").write_text(text.replace("max_age_days = 184", "max_age_days = 400"), "utf-8")
    with pytest.raises(InputError, match="less than or equal to 184"):
        load_settings(str(tmp_path / "old.toml"))


def test_new_arrivals_are_told_apart_from_the_stock(small_run, exact):
    """From the column of those who came since October, in the table and by month; unknown of the first round."""
    table = table_of(small_run, "subdistricts").set_index("pcode")
    came = exact.groupby("ADM3_PCODE")["Since October 2023 Period of displacement"].sum()
    known = table["displaced_arrivals_households"].dropna()
    assert len(known) > 30
    assert ((known - came.reindex(known.index).fillna(0)).abs() < 10).all()
    assert known.sum() > 100
    with xr.open_dataset(small_run / "cube.nc") as cube:
        assert (cube["displaced_arrivals_households_status"].sel(time="2023-05") == 6).all()
        assert cube["displaced_arrivals_households"].sel(time="2023-10").notnull().any()


# ------------------------------------------------------------------ returnees


def test_returned_households_are_counted_apart_and_not_again_among_the_exposed(
    small_run, small_config, synthetic_inputs, tmp_path
):
    """They are residents: without their block every score is the same."""
    import re

    text = re.sub(r"(?ms)^\[sources\.returnees.*?(?=^\[(?!sources\.returnees)|\Z)", "", Path(small_config).read_text())
    (tmp_path / "demo.toml").write_text(text, "utf-8")
    other = Path(
        run_country.fn(str(tmp_path / "demo.toml"), data=str(synthetic_inputs), issued=ISSUED, out=str(tmp_path / "o"))
    )
    a, b = (table_of(f, "subdistricts").set_index("pcode") for f in (small_run, other))
    assert a["returnee_households"].sum() > 100
    assert (a["returnee_households"].dropna() % 5 == 0).all()
    assert set(b["returnee_households_status"]) == {"input_missing"}
    for name in ("exposure", "risk", "displaced_households"):
        pd.testing.assert_series_equal(a[name], b[name])


# ------------------------------------------------------------------ whence, why, with what


def test_flows_keep_every_household_exactly_and_as_printed_the_protected_ones(small_run, exact, synthetic_inputs):
    sites = exact.rename(columns={"ADM3_PCODE": "pcode", "Families": "households"})
    names = ["Helbora", "Chemnava", "Hawrok", "Tavtaq", "Nevwan", "Kewhen"]
    sites = sites.rename(columns={n: f"origin_{n}" for n in names}).assign(
        **dict.fromkeys(("people", "critical", "camp_or_critical", "protracted", "settled", "climate"), np.nan),
        climate_at_most=np.nan,
        not_conflict=np.nan,
    )
    codes = pd.read_csv(small_run / "tables" / "subdistricts.csv")["pcode"]
    origins, counts = count_by_origin(sites, codes), count_by_unit(sites, codes)["households"]
    assert origins.sum(axis=1).tolist() == counts.tolist()
    flows = table_of(small_run, "displacement_flows")
    last = flows[flows["round"] == LAST]
    assert len(last) == 36
    assert set(flows["round"]) == {"2023-03-31", "2023-09-30", LAST}
    assert set(last["origin"]) == set(last["destination"]) == set(names)
    truth = origins.groupby(codes.str[:5].to_numpy()).sum()
    told = last.set_index(["destination_pcode", "origin"])["households"]
    for (destination, origin), households in told.dropna().items():
        assert households % 5 == 0
        assert abs(households - truth.at[destination, origin]) < 60
    printed = table_of(small_run, "subdistricts").set_index("pcode")["displaced_households"].fillna(2.5)
    sums = told.groupby(level=0).sum()
    assert (sums - printed.groupby(printed.index.str[:5]).sum()).abs().max() <= 2.5 * 6 + 15


def test_reasons_of_a_list_stand_by_subdistrict_and_round_and_add_up(small_run):
    rows = table_of(small_run, "displacement_by_reason")
    assert len(rows) == 180
    assert set(rows["level"]) == {3}
    assert set(rows["mixed_status"]) == {"input_missing"}
    last = rows[rows["round"] == LAST].set_index("code")
    table = table_of(small_run, "subdistricts").set_index("pcode")
    pd.testing.assert_series_equal(last["climate"], table["displaced_climate_households"], check_names=False)
    pd.testing.assert_series_equal(last["households"], table["displaced_households"], check_names=False)
    whole = last[["climate", "conflict", "other"]].notna().all(axis=1)
    assert ((last[["climate", "conflict", "other"]].sum(axis=1) - last["households"]).abs()[whole] <= 10).all()


def test_host_pressure_is_made_of_printed_counts(small_run):
    rows = table_of(small_run, "host_pressure").set_index("pcode")
    table = table_of(small_run, "subdistricts").set_index("pcode")
    known = rows["displaced_per_1000_residents"].dropna()
    ratio = 1000 * table["displaced_people"] / table["residents"]
    np.testing.assert_allclose(known, ratio[known.index], atol=0.0051)
    assert set(rows["displaced_per_1000_residents_status"][table["displaced_households_status"] == "suppressed"]) == {
        "suppressed"
    }
    assert set(rows["displaced_households_per_1000_m3d_status"]) == {"input_missing"}  # no balance of water here
    assert rows["hazard_at_origins"].notna().all()
    assert rows.groupby(rows.index.str[:5])["hazard_at_origins"].nunique().eq(1).all()
    critical = table["displaced_critical"] / table["displaced_households"]
    told = rows["share_critical"].notna() & critical.notna()
    np.testing.assert_allclose(rows["share_critical"][told], critical[told].clip(upper=1), atol=0.0051)


def test_more_households_at_a_host_raise_its_pressure():
    from flows.displacement_tables import with_host_pressure

    dims, coords = ("time", "pcode"), {"time": [0], "pcode": ["A", "B", "C"]}
    ok = xr.DataArray(np.zeros((1, 3), dtype="int8"), dims=dims, coords=coords)
    few = ok.copy(data=np.array([[0, 0, 10]], dtype="int8"))
    cube = xr.Dataset(
        {
            "displaced_people": (dims, [[60.0, 120.0, np.nan]]), "displaced_people_status": few,
            "residents": (dims, [[1000.0, 1000.0, 1000.0]]), "residents_status": ok,
        },
        coords=coords,
    )  # fmt: skip
    found = with_host_pressure(cube, 6.0)
    assert found["displaced_per_1000_residents"].values.tolist()[0][:2] == [60, 120]
    assert found["displaced_per_1000_residents_status"].values.tolist() == [[0, 0, 10]]


# ------------------------------------------------------------------ tables by unit

UNITS = square_subdistricts(9)


def plan_of(tmp_path):
    """A plan that knows the day of issue and the as-of month."""
    return plan_run("demo", str(tmp_path), "2024-03", ISSUED)


def table(tmp_path, rows, level=3, **changes):
    """Rows (unit, reason, households) of one round as a table, and what a run makes of it."""
    frame = pd.DataFrame(rows, columns=["unit", "reason", "households"])
    frame.to_csv(tmp_path / "table.csv", index=False)
    options = DisplacementTable(
        reader="displacement_table", path="table.csv", label={"en": "Table"}, units="households", cadence="round",
        licence="none", attribution="nobody", level=level, unit_by="pcode", unit_column="unit",
        round_as_of=date(2024, 2, 29), households_column="households", reason_column="reason",
        reasons={"drought": "climate", "war": "conflict", "work": "other"}, people_per_household=6, **changes,
    )  # fmt: skip
    log = Findings("sources.displacement")
    return options, options.read(tmp_path, log, UNITS), log


def test_a_table_by_subdistrict_fills_households_and_climate(tmp_path):
    first, second = UNITS.index[:2]
    rows = [(first, "drought", 40), (first, "war", 30), (first, "drought; war", 6), (second, "war", 3)]
    options, values, log = table(tmp_path, rows)
    found = count("displacement", values, options, UNITS, plan_of(tmp_path), log)
    last = found.cube.isel(time=0)
    assert last["displaced_households"].sel(pcode=first).item() == 75
    assert last["displaced_climate_households"].sel(pcode=first).item() == 40
    assert last["displaced_households_status"].sel(pcode=second).item() == 10
    assert (last["displaced_critical_status"] == 6).all()
    told = found.tables["reasons"].set_index("code").loc[first]
    assert [told[c] for c in ("climate", "mixed", "conflict", "climate_at_most")] == [40, 5, 30, 45]


def test_a_table_that_tells_no_reason_knows_no_climate(tmp_path):
    options, values, log = table(tmp_path, [(UNITS.index[0], "", 40)])
    found = count("displacement", values, options, UNITS, plan_of(tmp_path), log)
    assert (found.cube["displaced_climate_households_status"] == 6).all()
    assert set(found.tables["reasons"]["climate_status"]) == {"input_missing"}
    assert found.cube["displaced_households"].notnull().any()


def test_a_table_of_governorates_says_nothing_of_their_subdistricts(tmp_path):
    """Published at its own level; no subdistrict is 0, and a note says why."""
    code = UNITS["adm1_pcode"].iloc[0]
    options, values, log = table(tmp_path, [(code, "drought", 400), (code, "war", 100)], level=1)
    found = count("displacement", values, options, UNITS, plan_of(tmp_path), log)
    assert (found.cube["displaced_households_status"] == 6).all()
    rows = found.tables["reasons"]
    assert rows[["code", "level", "households", "climate"]].values.tolist()[0] == [code, 1, 500, 400]
    assert "no subdistrict has a figure, which is not 0" in log.items[-1].action


def test_a_table_of_larger_units_beside_its_own_subdistricts_has_no_sum_of_its_own(tmp_path):
    """Households are the sum of the protected cells and reasons steps of 5 % of it: the exact 503 stands nowhere."""
    code = UNITS["adm1_pcode"].iloc[0]
    inside = UNITS.index[UNITS["adm1_pcode"] == code]
    options, values, log = table(tmp_path, [(u, "", 101 + 7 * n) for n, u in enumerate(inside)])
    fine = count("displacement", values, options, UNITS, plan_of(tmp_path), log)
    total = sum(101 + 7 * n for n in range(len(inside)))
    options, values, log = table(tmp_path, [(code, "drought", total - 90), (code, "war", 90)], level=1)
    found = count("displacement_reasons", values, options, UNITS, plan_of(tmp_path), log, fine)
    row = found.tables["reasons"].set_index("code").loc[code]
    cells = fine.cells[date(2024, 2, 29)].loc[inside]
    whole = stand_in(cells).sum()
    assert row["households"] == whole
    assert abs(row["climate"] - (total - 90)) <= 0.05 * whole
    assert intervals(cells)["low"].sum() >= 20
    assert set(found.cube.dims) == {"time", "unit"}


def test_where_subdistricts_tell_their_reasons_those_of_larger_units_are_their_sums(tmp_path):
    """Another split of the same households would be a second equation: the table's own 400 and 3 stand nowhere."""
    code = UNITS["adm1_pcode"].iloc[0]
    inside = UNITS.index[UNITS["adm1_pcode"] == code]
    rows = [(u, reason, n) for u in inside for reason, n in (("drought", 22), ("war", 31))]
    options, values, log = table(tmp_path, rows)
    fine = count("displacement", values, options, UNITS, plan_of(tmp_path), log)
    options, values, log = table(tmp_path, [(code, "drought", 400), (code, "war", 3)], level=1)
    found = count("displacement_reasons", values, options, UNITS, plan_of(tmp_path), log, fine)
    row = found.tables["reasons"].set_index("code").loc[code]
    # 22 and 53 households of each subdistrict are 20 and 55: 20 by climate, 35 by conflict
    assert [row[c] / len(inside) for c in ("climate", "conflict", "households")] == [20, 35, 55]


def test_the_reasons_of_afghanistan_are_read_with_natural_disasters_among_them(shared_data, tmp_path):
    """The HDX table made of the DTM API, by ADM2 p-code: households, people and climate of each round."""
    path = next(shared_data.rglob("global-iom-dtm-from-api-admin-0-to-2.csv"), None)
    if path is None:
        pytest.skip("the HDX table is not on this machine")
    raw = pd.read_csv(path, dtype=str).iloc[1:]
    raw = raw[(raw["admin0Pcode"] == "AFG") & (raw["adminLevel"] == "2")]
    assert len(raw) > 100
    codes = sorted(raw["admin2Pcode"].dropna().unique())
    units = square_subdistricts(len(codes))
    units["adm2_pcode"] = codes
    options = DtmApi(
        reader="dtm_api", path=path.name, label={"en": "DTM"}, units="people", cadence="round", licence="IOM",
        attribution="IOM", country="AFG", admin_level=2, level=2, people_per_household=7,
        operation=raw["operation"].mode()[0],
    )  # fmt: skip
    log = Findings("sources.displacement")
    values = options.read(path.parent, log, units)
    assert "climate" in set(values["reason"])
    mine = raw[raw["operation"] == options.operation]
    natural = mine["displacementReason"].fillna("").str.casefold() == "natural disaster"
    people = pd.to_numeric(mine["numPresentIdpInd"])
    assert values.loc[values["reason"] == "climate", "people"].sum() == people[natural].sum() > 0


# ------------------------------------------------------------------ bad input


@pytest.fixture
def listed(country):
    """Change the last list: (row, column, value) cells."""

    def change(*cells):
        path = country / LISTS.format(LAST)
        book = openpyxl.load_workbook(path)
        columns = {cell.value: cell.column for cell in book.active[1]}
        for row, column, value in cells:
            book.active.cell(row, columns[column]).value = value
        book.save(path)
        return country

    return change


def findings_of(config, folder, severity="error", source="sources.displacement"):
    return [
        f for f in check_inputs.fn(config, str(folder), None, ISSUED) if (f.severity, f.source) == (severity, source)
    ]


@pytest.mark.parametrize(("value", "word"), [(-3, "'-3'"), (2.5, "'2.5'"), ("", "an empty cell")])
def test_a_count_that_cannot_be_is_named(listed, small_config, value, word):
    found = findings_of(small_config, listed((5, "Families", value or None)))
    assert any(word in f.found and "row 5" in f.field for f in found), found


def test_digits_of_another_script_and_thousands_separators_are_read_with_a_note(listed, small_config, country):
    book = openpyxl.load_workbook(country / LISTS.format(LAST)).active
    columns = {cell.value: cell.column for cell in book[1]}
    value = str(book.cell(5, columns["Families"]).value)
    arabic = value.translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩"))
    assert findings_of(small_config, listed((5, "Families", arabic))) == []
    notes = findings_of(small_config, country, "note")
    assert any("Arabic-Indic" in f.found and "row 5" in f.field for f in notes)


def test_people_that_are_not_households_times_the_factor_are_warned_of(listed, small_config):
    warned = findings_of(small_config, listed((5, "Individuals", 1)), "warning")
    assert any("another number of people" in f.found for f in warned)


def test_one_swapped_point_is_swapped_back_and_listed(listed, small_config, country):
    sheet = openpyxl.load_workbook(country / LISTS.format(LAST)).active
    at = {cell.value: cell.column for cell in sheet[1]}
    lat, lon, name = (sheet.cell(5, at[c]).value for c in ("Latitude", "Longitude", "Location ID"))
    mended = findings_of(small_config, listed((5, "Latitude", lon), (5, "Longitude", lat)), "repair")
    assert any("swapped" in f.found and str(name) in f.found for f in mended)


def test_the_same_round_under_two_dates_is_an_error(country, small_config):
    shutil.copy(country / LISTS.format("2023-09-30"), country / LISTS.format(LAST))
    assert any("the locations and counts of 2023-09-30" in f.found for f in findings_of(small_config, country))


def test_a_formula_is_text_and_inert_wherever_it_comes_out(listed, small_config, tmp_path):
    """In the review file and in restricted/: a spreadsheet that opens them evaluates nothing."""
    evil = '=HYPERLINK("http://x","y")'
    stray = "6030028"
    folder = listed()
    sheet = openpyxl.load_workbook(folder / LISTS.format(LAST)).active
    at = {cell.value: cell.column for cell in sheet[1]}
    row = next(r for r in range(2, sheet.max_row) if str(sheet.cell(r, at["Location ID"]).value) == stray)
    from_xml = f"'{evil}"  # a leading quote keeps the writer from making it a formula
    listed((row, "Location Name", from_xml))
    out = Path(run_country.fn(small_config, data=str(folder), issued=ISSUED, out=str(tmp_path / "o"), restricted=True))
    for path in [*out.rglob("review/*.csv"), *out.rglob("restricted/*.csv")]:
        with path.open(encoding="utf-8-sig", newline="") as file:
            cells = [cell for cells in csv.reader(file) for cell in cells]
        assert not [c for c in cells if c.startswith(("=", "@", "+"))], path


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", '"; DROP', "abc\u202edef", "a_x0000_b"])
def test_a_hostile_name_of_a_place_neither_stops_a_reading_nor_keeps_what_hides(listed, small_config, name):
    found = check_inputs.fn(small_config, str(listed((5, "Location Name", name))), None, ISSUED)
    assert not [f for f in found if f.severity == "error"]
    assert not any("\u202e" in str(f) or "\0" in str(f) for f in found)


def test_a_workbook_with_a_password_is_named_as_such(country, small_config):
    ole = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le")
    (country / LISTS.format(LAST)).write_bytes(ole)
    assert any("password-protected" in f.found for f in findings_of(small_config, country))


def test_a_workbook_of_200_megabytes_is_refused_before_it_is_opened(country, small_config, monkeypatch):
    path = country / LISTS.format(LAST)
    with path.open("r+b") as file:
        file.truncate(200 * 2**20)
    opened = []
    honest = zipfile.ZipFile
    monkeypatch.setattr("geodata.sheets.zipfile.ZipFile", lambda file: opened.append(file) or honest(file))
    found = findings_of(small_config, country)
    assert path not in opened
    assert len(opened) >= 2
    assert any("200 MB" in f.found and LAST in f.file for f in found), found


def test_a_name_of_two_subdistricts_alike_is_asked_and_not_guessed():
    """Two namesakes in one district, a location without a point: the question holds both."""
    units = square_subdistricts(9)
    units["name_en"] = ["Salam", "Salam", *[f"Place{n}" for n in range(7)]]
    row = {c: [""] for c in ("governorate", "district", "subdistrict", "name", "name_ar", "given_pcode")}
    sites = gpd.GeoDataFrame(
        {**row, "name": ["Salam"], "site_id": ["1"]}, geometry=gpd.GeoSeries([Point(80, 80)], crs=4326)
    )
    found = place_sites(sites, units, Placing(), Findings("sources.displacement"), file="list")
    (question,) = found.questions
    assert question.match.why == "ambiguous"
    assert {c.code for c in question.match.candidates[:2]} == set(units.index[:2])
