"""Displacement lists: every household is accounted for, and no finding tells a count of a place."""

import re
import zipfile
from datetime import date

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from shapely.geometry import box

from geodata.displacement import DtmIdpList, account, count_by_unit, read_sites
from geodata.placing import Placing, place_sites, refuse_strays
from geodata.schema import SUBDISTRICT_COLUMNS, Findings, InputError
from models.protection import account_is_safe, protect

ROUND = date(2019, 8, 31)
HEADER = ["Location ID", "Governorate", "District", "Location Name", "Latitude", "Longitude", "Families", "Individuals"]
SHELTER = ["Camp", "Informalsettlements", "Rented"]
PERIOD = ["Pre June14", "Post 2016"]
COLUMNS = [*HEADER, *SHELTER, *PERIOD, "Anbar", "Ninewa"]

# Two squares that share the border 44E, in a box that ends at 46E.
SUBDISTRICTS = gpd.GeoDataFrame(
    index=pd.Index(["IQ01", "IQ02", "IQ03"], name="pcode"),
    geometry=[box(43, 36, 44, 37), box(44, 36, 45, 37), box(45, 36.5, 45.5, 37)],
    crs="EPSG:4326",
)


def place(sites, units, log, *, max_stray_share=0.03):
    """Placed by their points alone: the units have no names."""
    nameless = units.assign(**dict.fromkeys(SUBDISTRICT_COLUMNS, ""))
    found = place_sites(sites, nameless, Placing(), log, file="list").sites
    refuse_strays(found, log, file="list", max_stray_share=max_stray_share)
    return found


def site(number, households, lon=43.5, lat=36.5, *, name="Qadish", critical=0, old=0):
    """One row of a list; its households come from Ninewa and live in rented houses unless critical."""
    place_of = [f"{number}", "Dahuk", "Amedi", name, lat, lon, households, households * 6]
    return [*place_of, 0, critical, households - critical, old, households - old, 0, households]


def plain(folder, rows, columns=COLUMNS, name="list.csv"):
    pd.DataFrame(rows, columns=columns).to_csv(folder / name, index=False)


def workbook(folder, rows, columns=COLUMNS, name="list.xlsx"):
    with xlsxwriter.Workbook(folder / name, {"constant_memory": True}) as book:
        sheet = book.add_worksheet()
        for n, row in enumerate([columns, *rows]):
            for k, value in enumerate(row):
                if value is not None:
                    sheet.write(n, k, value)


def options(**changes):
    base = {
        "reader": "dtm_idp_list",
        "path": "list.csv",
        "round_as_of": ROUND,
        "label": {"en": "Displaced households"},
        "units": "households",
        "cadence": "round",
        "licence": "none stated",
        "attribution": "IOM DTM",
        "shelter": {"critical": ["Informalsettlements"], "camp": ["Camp"]},
        "periods": {"ends": {"Pre June14": date(2014, 5, 31), "Post 2016": date(2017, 12, 31)}},
        "origins": ["Anbar", "Ninewa"],
        "bbox": (38.5, 28.9, 48.9, 37.5),
        "max_stray_share": 0.5,
    }
    return DtmIdpList.model_validate({**base, **changes})


def read(folder, **changes):
    log = Findings("sources.displacement")
    return read_sites(options(**changes), folder, log)[ROUND], log


def refused(folder, **changes):
    with pytest.raises(InputError) as error:
        read(folder, **changes)
    return [str(f) for f in error.value.findings]


def said(log, severity):
    return [str(f) for f in log.items if f.severity == severity]


# ------------------------------------------------------------------ what is read


@pytest.mark.parametrize("write", [plain, workbook])
def test_a_list_becomes_points_with_counts(tmp_path, write):
    """16 households, 3 in an informal settlement, 12 since before June 2014."""
    write(tmp_path, [site(1101011, 16, critical=3, old=12)])
    sites, log = read(tmp_path, path="list.csv" if write is plain else "list.xlsx")
    row = sites.iloc[0]
    assert (row["site_id"], row["name"], row["governorate"], row["district"]) == ("1101011", "Qadish", "Dahuk", "Amedi")
    assert (row["households"], row["people"], row["critical"], row["protracted"], row["camp"]) == (16, 96, 3, 12, 0)
    assert (row["origin_Anbar"], row["origin_Ninewa"]) == (0, 16)
    assert np.isnan(row["climate"])
    assert (row.geometry.x, row.geometry.y) == (43.5, 36.5)
    assert row["as_of"] == pd.Timestamp(ROUND)
    assert sites.crs.to_epsg() == 4326
    assert log.items == []


def test_an_arrival_becomes_protracted_with_time():
    """Arrived by 31 May 2014: protracted from 31 May 2019 on. A configured list stands over dates."""
    assert options().protracted_columns(date(2019, 5, 31)) == ("Pre June14",)
    assert options().protracted_columns(date(2019, 5, 30)) == ()
    assert options().protracted_columns(date(2023, 1, 1)) == ("Pre June14", "Post 2016")
    assert options(periods={"protracted": ["Post 2016"]}).protracted_columns(date(2010, 1, 1)) == ("Post 2016",)


def test_new_arrivals_are_those_whose_period_began_after_the_round_before(tmp_path):
    """6 of 10 households arrived since the list of June; of the first list nobody knows."""
    for name in ("a.csv", "b.csv"):
        plain(tmp_path, [[*site(1, 10 if name == "a.csv" else 16), 6]], [*COLUMNS, "July 2019"], name=name)
    rounds = [{"path": "a.csv", "as_of": date(2019, 6, 30)}, {"path": "b.csv", "as_of": ROUND}]
    starts = {"July 2019": date(2019, 7, 1), "Post 2016": date(2016, 12, 1)}
    listed = options(rounds=rounds, path=".", round_as_of=None, periods={"starts": starts})
    found = read_sites(listed, tmp_path, Findings("s"))
    assert found[ROUND]["arrived_since"].tolist() == [6]
    assert found[date(2019, 6, 30)]["arrived_since"].isna().all()


def test_climate_households_are_known_where_reasons_were_asked(tmp_path):
    rows = [[*site(1, 10), 4, 6], [*site(2, 10), 0, 10]]
    plain(tmp_path, rows, [*COLUMNS, "Reason climate", "Reason conflict"])
    sites, _ = read(tmp_path, reasons={"climate": ["Reason climate"], "conflict": ["Reason conflict"]})
    assert sites["climate"].tolist() == [4, 0]


def in_camp(row, households):
    """The row with some of its rented households in a camp."""
    row[COLUMNS.index("Camp")], row[COLUMNS.index("Rented")] = households, row[COLUMNS.index("Rented")] - households
    return row


def test_camps_are_counted_together_with_critical_shelter_alone(tmp_path):
    """5 households in camps and 3 in critical shelter: 8 in either, and per subdistrict no count of camps."""
    plain(tmp_path, [in_camp(site(1, 16, critical=3), 5), site(2, 10, critical=4)])
    sites, log = read(tmp_path)
    assert sites["camp"].tolist() == [5, 0]
    assert sites["camp_or_critical"].tolist() == [8, 4]
    counts = count_by_unit(place(sites, SUBDISTRICTS, log), SUBDISTRICTS.index)
    assert counts.loc["IQ01", ["critical", "camp_or_critical", "households"]].tolist() == [7, 12, 26]
    assert "camp" not in counts


def test_a_camp_that_is_critical_shelter_too_counts_once(tmp_path):
    plain(tmp_path, [in_camp(site(1, 16, critical=3), 5)])
    sites, _ = read(tmp_path, shelter={"critical": ["Informalsettlements", "Camp"], "camp": ["Camp"]})
    assert sites[["critical", "camp_or_critical"]].to_numpy().tolist() == [[8, 8]]


@pytest.mark.parametrize("shelter", [{"critical": ["Informalsettlements"]}, {"camp": ["Camp"]}, {}])
def test_what_is_in_camps_or_critical_shelter_is_known_where_both_are(tmp_path, shelter):
    """None is not zero: of a list without camps nobody knows how many live there."""
    plain(tmp_path, [in_camp(site(1, 16, critical=3), 5)])
    sites, _ = read(tmp_path, shelter=shelter)
    assert sites["camp_or_critical"].isna().all()


def test_rounds_are_carried_on_separately(tmp_path):
    """The same location may change between rounds: no repeat, no average."""
    plain(tmp_path, [site(1, 10)], name="a.csv")
    plain(tmp_path, [site(1, 30)], name="b.csv")
    rounds = [{"path": "b.csv", "as_of": "2019-12-31"}, {"path": "a.csv", "as_of": "2019-08-31"}]
    both = read_sites(options(path=".", round_as_of=None, rounds=rounds), tmp_path, Findings("x"))
    assert {day.isoformat(): s["households"].tolist() for day, s in both.items()} == {
        "2019-08-31": [10],
        "2019-12-31": [30],
    }
    files = options(path=".", round_as_of=None, rounds=rounds).files(tmp_path)
    assert [f.name for f in files] == ["a.csv", "b.csv"]


def test_what_is_wrong_in_two_rounds_is_told_at_once(tmp_path):
    (tmp_path / "a.xlsx").write_text("<html>moved</html>")
    plain(tmp_path, [site(1, -3)], name="b.csv")
    rounds = [
        {"path": p, "as_of": d} for p, d in (("a.xlsx", "2019-04-30"), ("b.csv", "2019-08-31"), ("c.csv", "2020-01-01"))
    ]
    found = refused(tmp_path, path=".", round_as_of=None, rounds=rounds)
    assert ["a.xlsx" in found[0], "b.csv" in found[1], "c.csv" in found[-1]] == [True] * 3


@pytest.mark.parametrize(
    "changes",
    [
        {"rounds": [{"path": "a.csv", "as_of": "2019-08-31"}]},
        {"round_as_of": None},
        {"path": "."},
        {"round_as_of": "2019-02-30"},
        {"path": ".", "round_as_of": None, "rounds": [{"path": p, "as_of": "2019-08-31"} for p in ("a.csv", "b.csv")]},
        {"bbox": (48.9, 28.9, 38.5, 37.5)},
        {"people_per_household": 0},
        {"shelter": {"critcal": []}},
    ],
)
def test_options_that_contradict_themselves_are_refused(changes):
    with pytest.raises(ValidationError):
        options(**changes)


# ------------------------------------------------------------------ what is mended, and listed


def test_the_row_of_totals_is_left_out_and_compared(tmp_path):
    """10 + 20 households and a row of 30: left in, it would double the country."""
    totals = ["Totals: Locations:2", *[None] * 5, 30, 180, 0, 0, 30, 0, 30, 0, 30]
    workbook(tmp_path, [site(1, 10), site(2, 20), totals])
    sites, log = read(tmp_path, path="list.xlsx")
    assert sites["households"].sum() == 30
    assert len(said(log, "repair")) == 1
    assert "row 4" in said(log, "repair")[0]
    assert said(log, "warning") == []


def test_a_row_of_totals_that_disagrees_is_said(tmp_path):
    totals = ["Totals: Locations:3", *[None] * 5, "31", 180, 0, 0, 30, 0, 30, 0, 30]
    workbook(tmp_path, [site(1, 10), site(2, 20), totals])
    warnings = said(read(tmp_path, path="list.xlsx")[1], "warning")
    assert "another number than the rows of locations add up to" in warnings[0]
    assert not {"30", "31"} & set(re.findall(r"\d+", warnings[0]))
    assert "3 locations in the row of totals" in warnings[1]


def test_a_last_row_without_id_and_name_is_a_row_of_totals(tmp_path):
    workbook(tmp_path, [site(1, 10), site(2, 20), [*[None] * 6, 30]])
    sites, _ = read(tmp_path, path="list.xlsx")
    assert sites["site_id"].tolist() == ["1", "2"]


@pytest.mark.parametrize("twin", ["Camp", "Camp.1"])
def test_a_column_that_stands_twice_alike_is_read_once(tmp_path, twin):
    """The twin holds 0.0 for 0 and nothing in the row of totals."""
    totals = ["Totals", *[None] * 5, 10, 60, 0, 0, 10, 0, 10, 0, 10, None]
    workbook(tmp_path, [[*site(1, 10), "0.0"], totals], [*COLUMNS, twin])
    sites, log = read(tmp_path, path="list.xlsx")
    assert sites["camp"].tolist() == [0]
    assert "'Camp'" in said(log, "repair")[0]


def test_a_column_that_stands_twice_and_differs_is_refused(tmp_path):
    workbook(tmp_path, [[*site(1, 10), 0], [*site(2, 10), 7]], [*COLUMNS, "Camp.1"])
    found = refused(tmp_path, path="list.xlsx")
    assert "column 'Camp', row 3" in found[0]
    assert "differ" in found[0]


def test_the_same_row_twice_is_one_location(tmp_path):
    plain(tmp_path, [site(7, 10), site(8, 5), site(7, 10)])
    sites, log = read(tmp_path)
    assert sites["households"].tolist() == [10, 5]
    assert "rows 4" in said(log, "repair")[0] or "row 4" in said(log, "repair")[0]


def test_a_location_with_two_counts_is_an_error(tmp_path):
    """Even if only a part differs; the counts themselves are not told."""
    plain(tmp_path, [site(7, 10), site(7, 11), site(8, 50, critical=2), site(8, 50, critical=3)])
    found = refused(tmp_path)
    assert len(found) == 1
    assert "rows 2, 3, 4, 5: found locations with two counts: 7, 8" in found[0]


def test_swapped_coordinates_are_put_right_and_listed_by_name(tmp_path):
    plain(tmp_path, [site(1, 10), site(2, 20, lon=36.6, lat=43.6, name="Domiz"), site(3, 1)])
    sites, log = read(tmp_path)
    assert sites.geometry.x.tolist() == [43.5, 43.6, 43.5]
    assert sites.geometry.y.tolist() == [36.5, 36.6, 36.5]
    assert "2 Domiz" in said(log, "repair")[0]


@pytest.mark.parametrize(("lon", "lat"), [(0, 0), (None, None), (43.5, 365), ("east", 36.5), (12, 55)])
def test_a_location_that_can_be_nowhere_is_dropped_and_accounted_for(tmp_path, lon, lat):
    plain(tmp_path, [site(1, 10), site(2, 20, lon=lon, lat=lat, name="Lost"), site(3, 5, lon=45.9)])
    sites, log = read(tmp_path)
    assert "2 Lost" in said(log, "repair")[0]
    placed = place(sites, SUBDISTRICTS, log)
    assert account(placed) == {
        "households_total": 35,
        "households_inside": 10,
        "households_outside": 5,
        "households_dropped": 20,
        "locations_total": 3,
        "locations_inside": 1,
        "locations_outside": 1,
        "locations_dropped": 1,
    }


def test_too_many_stray_locations_refuse_the_file(tmp_path):
    """2 of 4 locations is more than 3 %: then it is the columns that are swapped, not two typists."""
    plain(tmp_path, [site(1, 10), site(2, 20, lon=36, lat=43), site(3, 5), site(4, 5, lon=0, lat=0)])
    found = refused(tmp_path, max_stray_share=0.03)
    assert "1 swapped and 1 outside" in found[0]
    assert "rows 3, 5" in found[0]


def test_a_decimal_comma_in_a_coordinate_is_read(tmp_path):
    plain(tmp_path, [site(1, 10, lon="43,5", lat="٣٦٫٥")])
    sites, log = read(tmp_path)
    assert (sites.geometry.x[0], sites.geometry.y[0]) == (43.5, 36.5)
    assert len(said(log, "note")) == 2


def test_counts_with_separators_and_arabic_digits_are_read_with_a_note(tmp_path):
    row = site(1, 1234)
    row[HEADER.index("Families")], row[HEADER.index("Individuals")] = "1,234", "٧٤٠٤"
    plain(tmp_path, [row])
    sites, log = read(tmp_path)
    assert (sites["households"][0], sites["people"][0]) == (1234, 7404)
    assert len(said(log, "note")) == 2
    assert said(log, "warning") == []


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"),
        ('O\'Brien "Camp" & co; =1+1', 'O\'Brien "Camp" & co; =1+1'),
        ("Hay\u202e\u2066 Amin", "Hay Amin"),
    ],
)
def test_a_place_name_passes_as_inert_text(tmp_path, name, kept):
    workbook(tmp_path, [site(1, 5, name=name)])
    sites, log = read(tmp_path, path="list.xlsx")
    assert sites["name"].tolist() == [kept]
    assert bool(said(log, "repair")) == (name != kept)


def test_a_null_byte_in_a_name_is_removed(tmp_path):
    plain(tmp_path, [site(1, 5, name="Ba@sra")])
    content = (tmp_path / "list.csv").read_bytes().replace(b"@", b"\0")
    (tmp_path / "list.csv").write_bytes(content)
    sites, log = read(tmp_path)
    assert sites["name"].tolist() == ["Basra"]
    assert "null bytes" in said(log, "repair")[0]


def test_an_unknown_part_is_not_zero(tmp_path):
    """An empty cell of critical shelter: the location, and its subdistrict, are unknown there."""
    row = site(1, 10)
    row[COLUMNS.index("Informalsettlements")] = None
    plain(tmp_path, [row, site(2, 5), site(3, 5, lon=44.5)])
    sites, log = read(tmp_path)
    counts = count_by_unit(place(sites, SUBDISTRICTS, log), SUBDISTRICTS.index)
    assert counts["households"].tolist() == [15, 5, 0]
    assert counts["critical"].isna().tolist() == [True, False, False]
    assert "row 2" in said(log, "warning")[0]


def test_other_people_than_the_factor_are_said(tmp_path):
    row = site(1, 10)
    row[HEADER.index("Individuals")] = 50
    plain(tmp_path, [row])
    assert "6 people per household" in said(read(tmp_path)[1], "warning")[0]


def test_origins_that_do_not_add_up_are_said(tmp_path):
    row = site(1, 10)
    row[COLUMNS.index("Anbar")] = 3
    plain(tmp_path, [row])
    assert "origins" in said(read(tmp_path)[1], "warning")[0]


# ------------------------------------------------------------------ what is refused


def test_everything_wrong_in_a_list_is_told_in_one_pass(tmp_path):
    """Text, a negative, a fraction, an empty cell, an empty id: each with row and column."""
    rows = [site(n, 10) for n in range(1, 7)]
    for n, cell in enumerate(["about 20", -5, 3.5, None]):
        rows[n][HEADER.index("Families")] = cell
    rows[4][0] = " "
    plain(tmp_path, rows)
    found = refused(tmp_path)
    for row, word in ((2, "'about 20'"), (3, "'-5'"), (4, "'3.5'"), (5, "empty")):
        assert any(f"column 'Families', row {row}" in f and word in f for f in found), (row, found)
    assert any("column 'Location ID', row 6" in f for f in found)


@pytest.mark.parametrize("column", ["Families", "Latitude", "Informalsettlements", "Anbar"])
def test_a_column_that_is_not_there_is_named_with_the_nearest(tmp_path, column):
    plain(tmp_path, [site(1, 10)], [f"{c}s" if c == column else c for c in COLUMNS])
    found = refused(tmp_path)
    assert len(found) == 1
    assert f"no '{column}' (did you mean '{column}s'?)" in found[0]


def test_a_part_larger_than_the_whole_is_an_error(tmp_path):
    row = site(1, 10)
    row[COLUMNS.index("Informalsettlements")] = 12
    plain(tmp_path, [site(2, 5), row])
    found = refused(tmp_path)
    assert "row 3: found more households in critical than at the location" in found[0]


def test_two_kinds_of_shelter_larger_than_the_whole_are_an_error(tmp_path):
    """6 of 10 households in camps and 6 in critical shelter: each a part, together more than there are."""
    plain(tmp_path, [site(2, 5), in_camp(site(1, 10, critical=6), 6)])
    row = pd.read_csv(tmp_path / "list.csv")
    row.assign(Rented=0).to_csv(tmp_path / "list.csv", index=False)
    found = refused(tmp_path)
    assert len(found) == 1
    assert "row 3: found more households in camp_or_critical than at the location" in found[0]


@pytest.mark.parametrize("written", ["2019-02-30", "2019-13-01", "soon", "2019-09-15"])
def test_an_impossible_date_is_an_error(tmp_path, written):
    """Of a day that never was, or after the round."""
    plain(tmp_path, [[*site(1, 10), "2019-08-20"], [*site(2, 5), written]], [*COLUMNS, "Updated"])
    found = refused(tmp_path, columns={"updated": "Updated"})
    assert "column 'Updated', row 3" in found[0]
    assert written in found[0]


def test_a_list_without_locations_is_empty(tmp_path):
    plain(tmp_path, [])
    sites, log = read(tmp_path)
    counts = count_by_unit(place(sites, SUBDISTRICTS, log), SUBDISTRICTS.index)
    assert counts["households"].tolist() == [0, 0, 0]


# ------------------------------------------------------------------ in subdistricts


def test_a_point_on_a_border_counts_once_in_the_first_unit(tmp_path):
    plain(tmp_path, [site(1, 10, lon=44.0), site(2, 7, lon=44.5)])
    placed = place(read(tmp_path)[0], SUBDISTRICTS, Findings("x"))
    assert placed["pcode"].tolist() == ["IQ01", "IQ02"]
    assert count_by_unit(placed, SUBDISTRICTS.index)["households"].tolist() == [10, 7, 0]


def test_locations_outside_are_listed_by_name_only(tmp_path):
    plain(tmp_path, [site(1, 10), site(2, 54321, lon=45.9, lat=36.123, name="Umm Qasr")])
    log = Findings("x")
    placed = place(read(tmp_path)[0], SUBDISTRICTS, log, max_stray_share=0.5)
    assert placed["pcode"].isna().tolist() == [False, True]
    assert "2 Umm Qasr" in said(log, "warning")[0]
    assert not re.search(r"54,?321|36\.1|45\.9", said(log, "warning")[0])


def test_a_list_of_another_country_is_an_error(tmp_path):
    plain(tmp_path, [site(1, 10, lon=48.0), site(2, 5, lon=48.1)])
    log = Findings("x")
    place(read(tmp_path)[0], SUBDISTRICTS, log)
    assert "at most 3% outside" in str(log.errors[0])


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.integers(0, 5000), st.floats(42, 47), st.sampled_from([36.5, 36.2, 43.0, 0.0])),
        min_size=1,
        max_size=12,
    ),
    st.randoms(),
)
def test_every_household_is_inside_outside_or_dropped_whatever_the_order(tmp_path, drawn, random):
    """inside + outside + dropped = total, and shuffling the rows changes no count."""
    rows = [site(n, households, lon, lat) for n, (households, lon, lat) in enumerate(drawn)]
    found = []
    for _ in range(2):
        plain(tmp_path, rows)
        log = Findings("x")
        placed = place(read(tmp_path, max_stray_share=1)[0], SUBDISTRICTS, log, max_stray_share=1)
        found.append((account(placed), count_by_unit(placed, SUBDISTRICTS.index)))
        random.shuffle(rows)
    sums, counts = found[0]
    assert sums["households_total"] == sum(households for households, _, _ in drawn)
    parts = [sums[f"households_{k}"] for k in ("inside", "outside", "dropped")]
    assert sum(parts) == sums["households_total"]
    assert counts["households"].sum() == sums["households_inside"]
    assert found[1][0] == sums
    pd.testing.assert_frame_equal(found[1][1], counts)


def test_no_finding_tells_the_count_or_the_coordinates_of_a_place(tmp_path):
    """Every kind of finding at once; 31,337 households at 43.777 E stand nowhere in the log."""
    rows = [
        site(1, 31337, lon=43.777),
        site(1, 31337, lon=43.777),
        site(2, 31337, lon=36.777, lat=43.777, name="Swapped"),
        site(3, 31337, lon=0.777, lat=0.777, name="Nowhere"),
        site(4, 31337, lon=45.777, name="Outside"),
        site(5, 1),
    ]
    rows[5][HEADER.index("Individuals")] = 31337
    plain(tmp_path, rows)
    sites, log = read(tmp_path, max_stray_share=1)
    place(sites, SUBDISTRICTS, log, max_stray_share=1)
    assert len(log.items) >= 5
    for finding in log.items:
        assert not re.search(r"31,?337|\.777", str(finding)), str(finding)


# ------------------------------------------------------------------ size, and the real list


def repeat_row(path, times):
    """Row 2 of a workbook again and again, with ids of its own: quicker than writing each cell."""
    with zipfile.ZipFile(path) as whole:
        parts = {name: whole.read(name) for name in whole.namelist()}
    sheet = parts["xl/worksheets/sheet1.xml"].decode()
    row = re.search(r'<row r="2".*?</row>', sheet)[0]
    template = re.sub(r'(r="[A-Z]*)2"', r'\1@"', row)
    template = re.sub(r'<c r="A@".*?</c>', '<c r="A@"><v>@</v></c>', template)
    rows = "".join(template.replace("@", str(n)) for n in range(2, times + 2))
    parts["xl/worksheets/sheet1.xml"] = sheet.replace(row, rows).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as long:
        for name, content in parts.items():
            long.writestr(name, content)


@pytest.mark.slow
@pytest.mark.slow
def test_a_list_of_twenty_thousand_locations_is_read_and_placed(tmp_path):
    workbook(tmp_path, [site(0, 10)])
    repeat_row(tmp_path / "list.xlsx", 20_000)
    sites, log = read(tmp_path, path="list.xlsx")
    placed = place(sites, SUBDISTRICTS, log)
    assert count_by_unit(placed, SUBDISTRICTS.index)["households"].sum() == 200_000


@pytest.fixture(scope="module")
def real(shared_data):
    """The IDP Master List of 31 August 2019, placed in the 294 subdistricts."""
    period = " Period of displacement"
    ends = {"Pre June14": date(2014, 5, 31), "June July14": date(2014, 7, 31), "August14": date(2014, 8, 31)}
    critical = [
        "Informalsettlements",
        "Religiousbuilding",
        "Schoolbuilding",
        "Unfinishedbuilding",
        "Rented Uninhabitable",
    ]
    list_ = options(
        path="iraq/displacement/IDPs_MasterList_dataset_DTM_IOMAug 31, 2019.xlsx",
        shelter={"critical": critical, "camp": ["Camp"]},
        periods={"ends": {name + period: end for name, end in ends.items()}},
        origins=[],
        max_stray_share=0.03,
    )
    log = Findings("sources.displacement")
    sites = list_.read(shared_data, log)[ROUND]
    shapes = gpd.read_file(shared_data / "iraq/boundaries/irq_admbnda_adm3_cso_20190603.shp")
    subdistricts = shapes.rename(columns={"ADM3_PCODE": "pcode"}).set_index("pcode").sort_index()
    return place(sites, subdistricts, log), subdistricts, log


def test_the_real_list_is_accounted_for(real):
    """3,106 locations, 258,819 households, 1,552,914 people; three points in no polygon."""
    placed, _, log = real
    sums = account(placed)
    assert (sums["locations_total"], sums["households_total"], placed["people"].sum()) == (3106, 258_819, 1_552_914)
    assert (sums["locations_outside"], sums["locations_dropped"]) == (3, 0)
    assert said(log, "error") == []
    assert len(said(log, "repair")) == 2
    assert re.search(r"1104016 Fishkhaboor, 2708032 .*, 3104065 Umm Qasr", said(log, "warning")[0])


def test_the_real_list_agrees_with_its_own_totals(real):
    """Sums of the columns as the row of totals of the file has them."""
    placed, _, _ = real
    assert placed["camp"].sum() == 78_674
    assert placed["critical"].sum() == 7034 + 935 + 597 + 8173 + 2431
    assert placed["camp_or_critical"].sum() == 78_674 + 7034 + 935 + 597 + 8173 + 2431
    assert placed["protracted"].sum() == 9726 + 47_047 + 77_351


def test_the_real_national_total_may_be_published_beside_the_protected_cells(real):
    placed, subdistricts, _ = real
    counts = count_by_unit(placed, subdistricts.index)
    protected = protect(counts)
    assert len(protected) == 294
    assert (counts["households"] == 0).sum() == 51
    assert account_is_safe(int(counts["households"].sum()), protected)
