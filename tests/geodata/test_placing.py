"""Where locations belong: every one in one unit or in the account of those that are not; nothing by luck."""

import csv
import tomllib
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from shapely.geometry import Point, box

from geodata.boundaries import BoundaryOptions, read_boundaries
from geodata.displacement import DtmIdpList, read_sites
from geodata.name_ladder import Candidate, Match, ladder_of
from geodata.placement import KM_PER_DEGREE
from geodata.placing import Ladders, Placing, place_sites, share_by_error, units_at, whole_shares
from geodata.review import COLUMNS, NOWHERE, Question, Review, ask, read_review, write_review
from geodata.schema import Findings

IRAQ = Path(__file__).resolve().parents[2] / "flows" / "config" / "iraq.toml"

# Three squares side by side; two of them bear one name in two governorates.
UNITS = gpd.GeoDataFrame(
    {
        "name_en": ["West", "Salam", "Al-Salam"],
        "name_ar": ["الغرب", "", "السلام"],
        "name_ckb": "",
        "adm1_pcode": ["A", "A", "B"],
        "adm1_name": ["Anbar", "Anbar", "Babil"],
        "adm2_pcode": ["A1", "A1", "B1"],
        "adm2_name": ["Heet", "Heet", "Hilla"],
        **{f"adm{n}_name_{s}": "" for n in (1, 2) for s in ("ar", "ckb")},
    },
    index=pd.Index(["P1", "P2", "P3"], name="pcode"),
    geometry=[box(43, 32, 44, 34), box(44, 32, 45, 34), box(45, 32, 46, 34)],
    crs="EPSG:4326",
)


def sites(*rows):
    """Rows of (point or None, texts): ids s0, s1, ..."""
    texts = ("given_pcode", "governorate", "district", "subdistrict", "name", "name_ar")
    table = [{"site_id": f"s{n}", **dict.fromkeys(texts, ""), **said} for n, (_, said) in enumerate(rows)]
    points = [Point(p) if p else None for p, _ in rows]
    return gpd.GeoDataFrame(table, geometry=points, crs="EPSG:4326")


def placed(*rows, decisions=None, **options):
    log = Findings("sources.displacement")
    found = place_sites(sites(*rows), UNITS, Placing(**options), log, file="list.csv", decisions=decisions)
    return found, log


def answer(*row, **options):
    found, _ = placed(row, **options)
    return found.sites[["pcode", "placed_by"]].iloc[0].tolist()


# ------------------------------------------------------------------ p-code, point, name


def test_a_p_code_near_its_point_speaks_and_one_far_from_it_does_not():
    """0.01 degrees east of 44E at 33N are 0.93 km: inside the tolerance of 2 km, outside one of half a kilometre."""
    row = ((44.01, 33), {"given_pcode": "P1"})
    assert answer(*row) == ["P1", "pcode"]
    assert answer(*row, pcode_tolerance_km=0.5) == ["P2", "point"]
    assert 0.01 * KM_PER_DEGREE * np.cos(np.radians(33)) == pytest.approx(0.93, abs=0.005)


def test_a_p_code_without_a_point_speaks_and_an_unknown_one_is_told():
    assert answer(None, {"given_pcode": "P3"}) == ["P3", "pcode"]
    found, log = placed(((43.5, 33), {"given_pcode": "P9", "name": "Qadish"}))
    assert found.sites[["pcode", "placed_by"]].iloc[0].tolist() == ["P1", "point"]
    assert [str(f) for f in log.items if "s0 Qadish" in f.found and f.severity == "warning"]


def test_a_contradiction_of_p_code_and_point_is_listed_without_coordinates():
    _, log = placed(((45.5, 33), {"given_pcode": "P1", "name": "Qadish"}))
    assert "s0 Qadish" in log.items[0].found
    assert "45.5" not in str(log.items[0])


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"subdistrict": "The West", "name": "Salam"}, [None, ""]),
        ({"subdistrict": "west"}, ["P1", "name"]),
        ({"governorate": "Al-Anbar", "district": "Hit", "name": "As-Salam"}, ["P2", "name"]),
        ({"governorate": "Babil", "name_ar": "سلام"}, ["P3", "name"]),
        ({"name": "Salam"}, ["P2", "name"]),
        ({"name": "Nowhere"}, [None, ""]),
        ({"name": "Salam", "governorate": "Atlantis"}, [None, ""]),
        ({"name": "West", "name_ar": "السلام"}, [None, ""]),
        ({}, [None, ""]),
    ],
)
def test_without_a_point_the_name_speaks_where_it_means_one_unit(said, expected):
    assert answer(None, said) == expected


def test_a_name_of_two_subdistricts_equally_well_is_never_placed_silently():
    """`As-Salam` sounds as Salam and as Al-Salam; which, only the governorate tells."""
    found, _ = placed((None, {"name": "As-Salam"}))
    assert found.sites["pcode"].tolist() == [None]
    assert found.questions[0].match.why == "ambiguous"
    assert [c.code for c in found.questions[0].match.candidates] == ["P2", "P3"]


def test_a_village_that_only_sounds_like_a_subdistrict_is_asked_about():
    units = UNITS.assign(name_en=["Darbandikhan", "Salam", "Al-Salam"])
    log = Findings("s")
    for column, placed_by in (("name", ""), ("subdistrict", "name")):
        found = place_sites(sites((None, {column: "Derbendikhan"})), units, Placing(), log, file="f")
        assert found.sites["placed_by"].tolist() == [placed_by]


def test_a_point_outside_the_country_falls_back_on_the_name():
    assert answer((50, 33), {"subdistrict": "West"}) == ["P1", "name"]
    assert answer((50, 33), {"name": "Elsewhere"}) == [None, ""]


def test_an_alias_to_no_unit_is_an_error_of_the_country_file():
    log = Findings("sources.displacement")
    Ladders.of(UNITS, Placing(aliases={"Hit": "Heet", "X": "Nowhere"}), log)
    assert [f.field for f in log.errors] == ["placing.aliases.X"]


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(st.floats(42, 47), st.sampled_from(["", "P1", "P2", "P9"]), st.sampled_from(["West", "Salam", "?"])),
        min_size=1,
        max_size=12,
    )
)
def test_every_location_has_one_unit_or_is_asked_about_whatever_the_order(rows):
    asked = [((lon, 33.0), {"given_pcode": code, "name": name}) for lon, code, name in rows]
    found, _ = placed(*asked)
    assert len(found.sites) == len(rows)
    undecided = found.sites[found.sites["pcode"].isna()]
    assert sorted(undecided["site_id"]) == sorted(q.row for q in found.questions)
    backwards, _ = placed(*asked[::-1])
    assert backwards.sites["pcode"].tolist()[::-1] == found.sites["pcode"].tolist()


def test_a_point_on_a_border_belongs_to_the_first_unit():
    assert units_at(gpd.GeoSeries([Point(44, 33), None, Point(50, 33)], crs="EPSG:4326"), UNITS).tolist() == [
        "P1",
        None,
        None,
    ]


# ------------------------------------------------------------------ the review file


QUESTION = Question("sources.x", "s0", "As-Salam", "Heet, Anbar", ladder_of(UNITS, 3).climb("As-Salam"))


def review(folder, *questions, decide=None):
    path = folder / "review" / "names.csv"
    write_review(path, questions)
    if decide is not None:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = list(csv.DictReader(file))
        for row in table:
            row["decision"] = decide
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(table)
    log = Findings("review")
    return read_review(path, "names.csv", UNITS.index, log), log, path


def test_the_file_names_the_question_and_its_candidates_with_scores(tmp_path):
    _, _, path = review(tmp_path, QUESTION)
    with path.open(encoding="utf-8-sig", newline="") as file:
        row = next(csv.DictReader(file))
    assert (row["row"], row["name"], row["within"], row["why"]) == ("s0", "As-Salam", "Heet, Anbar", "ambiguous")
    assert (row["candidate_1"], row["candidate_1_name"], row["candidate_1_score"]) == ("P2", "Salam", "0.97")
    assert (row["candidate_3"], row["decision"]) == ("", "")


def test_a_decision_is_read_by_the_next_run_and_places_the_location(tmp_path):
    rows = (None, {"name": "As-Salam"}), (None, {"name": "Nowhere"})
    found, _ = placed(*rows)
    decisions, log, _ = review(tmp_path, *found.questions, decide="P3")
    assert log.items == []
    again, _ = placed(*rows, decisions=decisions)
    assert again.sites["pcode"].tolist() == ["P3", "P3"]
    assert again.sites["placed_by"].tolist() == ["decision", "decision"]
    assert again.questions == []


def test_decided_to_be_nowhere_is_decided(tmp_path):
    decisions, _, _ = review(tmp_path, QUESTION, decide="NONE")
    assert list(decisions.values()) == [NOWHERE]
    key = ("sources.displacement", "s0", "As-Salam")
    found, _ = placed((None, {"name": "As-Salam"}), decisions={key: NOWHERE})
    assert (found.sites["pcode"].tolist(), found.questions) == ([None], [])


def test_a_name_changed_since_is_a_new_question():
    found, _ = placed((None, {"name": "As-Salam"}), decisions={("sources.displacement", "s0", "Salaam"): "P3"})
    assert len(found.questions) == 1


def test_an_empty_decision_stays_open_and_the_finding_says_where_to_copy_the_file(tmp_path):
    decisions, _, _ = review(tmp_path, QUESTION)
    assert decisions == {}
    log = Findings("sources.x")
    ask(Review("review/names.csv", (QUESTION, QUESTION), {}), log)
    (told,) = log.items
    assert (told.severity, told.file) == ("warning", "review/names.csv")
    assert told.found == "none for 1 names: s0 As-Salam"
    assert "copy it to review/names.csv in the data folder" in told.action
    assert len(log.reviews) == 1


def test_where_the_country_file_names_no_review_file_the_finding_says_what_to_put_into_it():
    log = Findings("sources.x")
    ask(Review("review/names.csv", (QUESTION,), {}, declared=False), log)
    assert 'put review = "review/names.csv" into the country file' in log.items[0].action


def test_no_open_question_is_no_finding():
    log = Findings("x")
    ask(Review("review/names.csv", (), {QUESTION.key: "P2"}), log)
    assert log.items == []


def test_a_decision_that_is_no_p_code_is_an_error(tmp_path):
    decisions, log, _ = review(tmp_path, QUESTION, decide="P7")
    assert decisions == {}
    assert "'P7'" in log.errors[0].found


def test_two_decisions_for_one_row_are_an_error(tmp_path):
    _, _, path = review(tmp_path, QUESTION, decide="P2")
    lines = path.read_text("utf-8-sig").splitlines()
    path.write_text("\n".join([*lines, lines[1].replace(",P2", ",P3", 1)[:-3] + ",P3"]), "utf-8")
    log = Findings("review")
    read_review(path, "names.csv", UNITS.index, log)
    assert log.errors[0].field == "row 3"


def test_no_review_file_is_no_decision(tmp_path):
    assert read_review(tmp_path / "none.csv", "none.csv", UNITS.index, Findings("r")) == {}


def test_decisions_survive_the_next_writing_with_and_without_their_question(tmp_path):
    """The file is copied over the one that holds the decisions: none may be lost on the way."""
    decisions, _, path = review(tmp_path, QUESTION, decide="P2")
    for questions in ([QUESTION], []):
        write_review(path, questions, decisions)
        assert read_review(path, "names.csv", UNITS.index, Findings("r")) == decisions


@pytest.mark.parametrize("name", ['=HYPERLINK("http://x")', "+1", "@sum", "-2", '<b>"a", b</b>'])
def test_a_name_like_a_formula_is_inert_in_the_file_and_the_same_when_read(tmp_path, name):
    question = Question(
        "sources.x", "s0", name, "", Match("", "", 0.5, "no such name", (Candidate("P1", "West", 0.5),))
    )
    decisions, _, path = review(tmp_path, question, decide="P1")
    with path.open(encoding="utf-8-sig", newline="") as file:
        assert next(csv.DictReader(file))["name"][0] not in "=+-@"
    assert decisions == {question.key: "P1"}


def test_the_file_tells_no_coordinate_and_no_count(tmp_path):
    rows = sites(((50.123, 33.456), {"name": "Nowhere"})).assign(households=4711)
    found = place_sites(rows, UNITS, Placing(), Findings("s"), file="f")
    _, _, path = review(tmp_path, *found.questions)
    assert not any(secret in path.read_text("utf-8-sig") for secret in ("50.1", "33.4", "4711"))


# ------------------------------------------------------------------ the error of coordinates


def counted(lon, households, **parts):
    row = sites(((lon, 33.0), {"name": "Qadish"})).assign(
        households=float(households), people=6.0 * households, **parts
    )
    return place_sites(row, UNITS, Placing(), Findings("s"), file="f").sites


def test_households_by_a_border_are_shared_by_the_chance_of_each_side():
    """1 km east of a border, error 1 km: Phi(-1) = 0.1587 of 1,000 households lie to the west."""
    lon = 44 + 1 / (KM_PER_DEGREE * np.cos(np.radians(33)))
    shared = share_by_error(counted(lon, 1000), UNITS, 1.0, draws=4096).set_index("pcode")["households"]
    assert shared["P1"] == pytest.approx(1000 * norm.cdf(-1), abs=5)
    assert shared.sum() == 1000


def test_an_exact_or_distant_point_and_a_p_code_are_not_shared():
    assert share_by_error(counted(43.5, 100), UNITS, 1.0)["pcode"].tolist() == ["P1"]
    near = counted(44.001, 100)
    assert share_by_error(near, UNITS, 0.0) is near
    assert len(share_by_error(near.assign(placed_by="pcode"), UNITS, 1.0)) == 1


def test_nobody_is_shared_over_the_border_of_the_country():
    shared = share_by_error(counted(43.001, 100), UNITS, 1.0)
    assert shared[["pcode", "households"]].values.tolist() == [["P1", 100]]


@given(st.floats(43.95, 44.05), st.integers(0, 60), st.floats(0, 1), st.floats(0, 1), st.floats(0.2, 3), st.booleans())
@example(44.0001, 2, 0.5, 1.0, 1.0, True)
def test_shares_are_whole_add_up_and_parts_stay_parts(lon, households, a, b, sigma, known):
    critical = float(int(a * households))
    either = critical + float(int(b * (households - critical)))
    site = counted(lon, households, critical=critical, camp_or_critical=either, climate=critical if known else np.nan)
    shared = share_by_error(site, UNITS, sigma, draws=64)
    columns = ["households", "people", "critical", "camp_or_critical"]
    assert shared[columns].sum().tolist() == site[columns].sum().tolist()
    assert (shared[columns] % 1 == 0).all(axis=None)
    assert (shared["critical"] <= shared["camp_or_critical"]).all()
    assert (shared["camp_or_critical"] <= shared["households"]).all()
    assert shared["climate"].isna().all() == (not known)


@given(st.lists(st.tuples(st.integers(0, 10_000), st.lists(st.floats(0.001, 1), min_size=1, max_size=8)), min_size=1))
def test_whole_shares_add_up_and_differ_from_their_quota_by_less_than_one(groups):
    group = np.repeat(np.arange(len(groups)), [len(w) for _, w in groups])
    totals = np.array([t for t, _ in groups], dtype=float)[group]
    weights = np.concatenate([w for _, w in groups])
    parts = whole_shares(totals, weights, group)
    assert np.bincount(group, parts).tolist() == [t for t, _ in groups]
    quota = totals * weights / np.bincount(group, weights)[group]
    assert (np.abs(parts - quota) < 1 + 1e-6).all()


# ------------------------------------------------------------------ the real list


@pytest.fixture(scope="module")
def iraq(shared_data):
    settings = tomllib.loads(IRAQ.read_text("utf-8"))
    root = shared_data / "iraq"
    cod = read_boundaries(BoundaryOptions.model_validate(settings["boundaries"]), root, Findings("boundaries"))
    options = DtmIdpList.model_validate(settings["sources"]["displacement"])
    log = Findings("sources.displacement")
    (listed,) = read_sites(options, root, log).values()
    found = place_sites(listed, cod, options.placing, log, file="list")
    log.stop()
    return cod, options, listed, found, log


def test_all_3106_locations_of_august_2019_are_accounted_for(iraq):
    """3,103 by their point; the three outside every polygon are placed by name or asked about, by id."""
    _, _, listed, found, _ = iraq
    assert len(found.sites) == len(listed) == 3106
    by = found.sites["placed_by"].value_counts().to_dict()
    assert by["point"] == 3103
    assert sorted(found.sites["site_id"][found.sites["pcode"].isna()]) == sorted(q.row for q in found.questions)
    assert by.get("name", 0) + len(found.questions) == 3
    assert found.sites["households"].sum() == 258_819


def test_all_district_names_of_august_2019_are_districts_of_the_boundary_file(iraq):
    """With the aliases of iraq.toml every one of 3,106 rows finds its district, and most points lie in it."""
    cod, options, listed, found, log = iraq
    ladders = Ladders.of(cod, options.placing, log)
    above = ladders.adm1.climb_all(listed["governorate"])
    districts = ladders.adm2.climb_all(listed["district"], [pd.Series([m.code for m in above])])
    assert {m.why for m in districts} == {m.why for m in above} == {""}
    truth = cod["adm2_pcode"].reindex(found.sites["pcode"]).to_numpy()
    agree = np.array([m.code for m in districts]) == truth
    assert agree.mean() > 0.9
    by_name = pd.Series(agree).groupby([listed["governorate"], listed["district"]]).mean()
    assert set(by_name[by_name < 0.5].index.get_level_values(1)) <= {"Amara", "Daquq"}


def test_every_alias_of_iraq_is_needed(iraq):
    """An alias that the ladder does not need hides a rule that works."""
    cod, options, listed, _, log = iraq
    for theirs, ours in options.placing.aliases.items():
        fewer = {k: v for k, v in options.placing.aliases.items() if k != theirs}
        ladders = Ladders.of(cod, options.placing.model_copy(update={"aliases": fewer}), log)
        assert ladders.adm2.climb(theirs).code == ladders.adm1.climb(theirs).code == "", ours
    assert set(options.placing.aliases) <= {*listed["district"], *listed["governorate"], *options.origins}


def test_an_error_of_a_kilometre_keeps_every_household_of_the_real_list(iraq):
    cod, _, _, found, _ = iraq
    shared = share_by_error(found.sites, cod, 1.0, draws=128)
    columns = ["households", "people", "critical", "camp_or_critical", "protracted"]
    assert shared[columns].sum().tolist() == found.sites[columns].sum().tolist()
    assert (shared["critical"] <= shared["camp_or_critical"]).all()
    assert (shared.groupby("site_id")["households"].sum() == found.sites.set_index("site_id")["households"]).all()
    assert len(shared) > len(found.sites)
