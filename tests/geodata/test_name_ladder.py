"""Names of places: one unit, or none and the reason; never one of two by luck."""

import re
import tomllib
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from geodata.boundaries import BoundaryOptions, read_boundaries
from geodata.name_ladder import FUZZY_AT_MOST, MIN_SCORE, NameLadder, ladder_of
from geodata.place_names import arabic_form, kurdish_form, likeness, plain_form, sound_form
from geodata.schema import Findings

IRAQ = Path(__file__).resolve().parents[2] / "flows" / "config" / "iraq.toml"

UNITS = pd.DataFrame(
    [
        ("A1", "Al-Falluja", "الفلوجة", "فەلوجە", "A", "Al-Anbar", "Q1", "Falluja"),
        ("A2", "Amiriyat", "العامرية", "", "A", "Al-Anbar", "Q1", "Falluja"),
        ("B1", "Markaz Amara", "مركز العمارة", "", "B", "Maysan", "Q2", "Amara"),
        ("B2", "Al-Salam", "السلام", "سەلام", "B", "Maysan", "Q2", "Amara"),
        ("C1", "As-Salam", "سلام", "", "C", "Kirkuk", "Q3", "Dibis"),
        ("C2", "Dokan", "دوكان", "", "C", "Kirkuk", "Q3", "Dibis"),
    ],
    columns=["pcode", "name_en", "name_ar", "name_ckb", "adm1_pcode", "adm1_name", "adm2_pcode", "adm2_name"],
).set_index("pcode")
for level in ("adm1", "adm2"):
    UNITS = UNITS.assign(**{f"{level}_name_ar": "", f"{level}_name_ckb": ""})
NAMES = UNITS["name_en"].tolist()


def climbed(name, within=(), **options):
    found = ladder_of(UNITS, 3, **options).climb(name, within)
    return found.code or found.why, found.step


# ------------------------------------------------------------------ forms


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("Falluja", "Al-Falluja"),
        ("Sulaymaniya", "Al-Sulaymaniyah"),
        ("Al Resafa", "Al-Risafa"),
        ("Baiji", "Beygee"),
        ("Missan", "Maysan"),
        ("Halabja", "Halabcha"),
        ("Ḥadītha", "Haditha"),
        ("Ba'quba", "Baquba"),
        ("AL-KA`IM", "al ka\u02bfim"),
    ],
)
def test_two_transliterations_of_a_name_sound_alike(theirs, ours):
    assert sound_form(theirs) == sound_form(ours)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("الأنبار", "انبار"),
        ("العامريّة", "عامريه"),
        ("مصطفى", "مصطفي"),
        ("قضاء\u200f  الزاب", "قضاء الزاب"),
        ("آمرلي", "امرلی"),
        ("طـــويريج", "طويريج"),
    ],
)
def test_forms_of_alef_ya_and_ta_marbuta_and_the_article_make_no_other_name(theirs, ours):
    assert arabic_form(theirs) == arabic_form(ours)


def test_an_article_alone_and_a_name_that_starts_like_one_stay():
    """الي is no article with a letter after it; Al alone is a name."""
    assert (arabic_form("الي"), sound_form("Al"), sound_form("Alba")) == ("الي", "al", "alba")


def test_kurdish_vowels_that_arabic_leaves_out_make_no_other_name():
    assert kurdish_form("هەولێر") == kurdish_form("هولر")
    assert kurdish_form("ڕانیە") == kurdish_form("رانية")
    assert kurdish_form("چەمچەماڵ") == kurdish_form("جمجمال")


@given(st.text(max_size=20), st.text(max_size=20))
def test_likeness_is_the_same_both_ways_and_between_none_and_equal(a, b):
    assert likeness(a, b) == likeness(b, a)
    assert 0 <= likeness(a, b) <= 1


@given(st.sampled_from(["'", "\u2019", " ", "-", "\u200f", "."]), st.sampled_from(NAMES))
def test_case_blanks_and_marks_around_a_name_change_nothing(mark, name):
    assert plain_form(f"{mark}{name.upper()}{mark}") == plain_form(name)


def test_names_in_two_scripts_are_not_compared():
    assert likeness("Kirkuk", "كركوك") == 0


# ------------------------------------------------------------------ the ladder


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("al-falluja", ("A1", "exact")),
        ("A1", ("A1", "exact")),
        ("Faluja", ("A1", "transliteration")),
        ("فلوجه", ("A1", "arabic")),
        ("فەلوجە", ("A1", "exact")),
        ("دۆکان", ("C2", "arabic")),
        ("فه‌للووجا", ("A1", "kurdish")),
        ("Amiriyatt al", ("A2", "fuzzy")),
        ("Karbala", ("no such name", "")),
        ("", ("no name", "")),
        (" - ", ("no name", "")),
    ],
)
def test_each_step_finds_what_the_steps_before_do_not(name, answer):
    assert climbed(name) == answer


def test_an_alias_of_the_country_file_comes_first():
    assert climbed("Fallujah City", aliases={"fallujah city": "Al-Falluja"}) == ("A1", "alias")
    assert climbed("Dokan", aliases={"Dokan": "A2"}) == ("A2", "alias")


def test_an_alternate_name_is_found_below_the_names_of_the_boundary_file():
    alternates = {"A2": ["Hay Al-Askari", "Dokan"]}
    assert climbed("Hai Askary", alternates=alternates) == ("A2", "alternate")
    assert climbed("Dokan", alternates=alternates) == ("C2", "exact")


def test_a_name_that_two_units_bear_equally_is_never_placed():
    found = ladder_of(UNITS, 3).climb("Salam")
    assert (found.code, found.why) == ("", "ambiguous")
    assert [(c.code, c.name) for c in found.candidates] == [("B2", "Al-Salam"), ("C1", "As-Salam")]


@pytest.mark.parametrize(("within", "answer"), [(["C"], "C1"), (["B", "Q2"], "B2"), (["A"], "no such name")])
def test_the_unit_above_tells_two_of_one_name_apart(within, answer):
    assert climbed("Salam", within)[0] == answer


def test_two_names_nearly_as_like_are_ambiguous():
    """Each differs in one letter from the name asked for."""
    twins = pd.DataFrame(
        {
            "code": ["X", "Y"],
            "name": ["Barzanikala", "Barzamikala"],
            "alternate": False,
            "above": [frozenset("X"), frozenset("Y")],
        }
    )
    found = NameLadder(twins).climb("Barzalikala")
    assert (found.code, found.why, len(found.candidates)) == ("", "ambiguous", 2)


@given(st.sampled_from(NAMES), st.integers(0, 20), st.sampled_from("bdfklmnrst"))
def test_a_slip_of_the_pen_finds_the_right_name_or_none(name, place, letter):
    """One letter too many: the unit meant, or nobody; the score says which."""
    assume("salam" not in name.lower())
    place = min(place, len(name))
    found = ladder_of(UNITS, 3).climb(name[:place] + letter + name[place:])
    right = UNITS.index[NAMES.index(name)]
    assert found.code in (right, "")
    assert found.candidates[0].code == right
    assert (found.score >= MIN_SCORE) == bool(found.code)


@given(st.permutations(range(len(UNITS))), st.sampled_from([*NAMES, "Salam", "Amarah", "Amiriat al", "xyz"]))
def test_the_order_of_the_units_changes_no_answer(order, name):
    assert ladder_of(UNITS.iloc[order], 3).climb(name) == ladder_of(UNITS, 3).climb(name)


def test_no_fuzzy_match_scores_as_an_equal_form():
    assert ladder_of(UNITS, 3).climb("Amiriyatt al").score <= FUZZY_AT_MOST < 0.92


def test_an_alias_to_no_unit_is_told():
    assert ladder_of(UNITS, 3, aliases={"a": "Dokan", "b": "Nowhere"}).unknown_aliases() == {"b": "Nowhere"}


def test_the_same_question_has_one_answer_in_the_order_asked():
    found = ladder_of(UNITS, 3).climb_all(pd.Series(["Salam", "Dokan", "Salam"]), [pd.Series(["C", "", "B"])])
    assert [m.code for m in found] == ["C1", "C2", "B2"]


# ------------------------------------------------------------------ the real names


@pytest.fixture(scope="module")
def cod(shared_data):
    options = BoundaryOptions.model_validate(tomllib.loads(IRAQ.read_text("utf-8"))["boundaries"])
    return read_boundaries(options, shared_data / "iraq", Findings("boundaries"))


def test_baiji_of_the_water_table_is_beygee(cod, shared_data):
    """All 101 districts of the table, whose other names are those of the boundary file."""
    table = pd.read_csv(shared_data / "iraq/water/surface_water_district_yearly_1984_2018.csv")
    names = table[["governorate", "district"]].drop_duplicates()
    above = [m.code for m in ladder_of(cod, 1).climb_all(names["governorate"])]
    found = dict(
        zip(names["district"], ladder_of(cod, 2).climb_all(names["district"], [pd.Series(above)]), strict=True)
    )
    assert (found["Baiji"].code, found["Baiji"].step) == ("IQG16Q03", "transliteration")
    assert len({m.code for m in found.values()} - {""}) == len(names) == 101
    assert {m.step for name, m in found.items() if name != "Baiji"} == {"exact"}


def test_no_two_units_of_iraq_sound_alike(cod):
    """So the step of transliteration can never be ambiguous within the real country."""
    for number, count in ((1, 18), (2, 101), (3, 294)):
        names = cod["name_en" if number == 3 else f"adm{number}_name"].unique()
        assert len({sound_form(n) for n in names}) == count


def test_every_name_is_its_own_first_answer(cod):
    for column in ("name_en", "name_ar"):
        found = ladder_of(cod, 3).climb_all(cod[column])
        assert [m.code for m in found] == cod.index.tolist()
        assert not any(re.search("fuzzy|kurdish", m.step) for m in found)
