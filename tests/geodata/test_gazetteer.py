"""Names without p-codes are joined to units with a score, or asked about; no wrong name is better than an empty one."""

import json
import tomllib
from pathlib import Path

import pandas as pd
import pytest

from geodata.boundaries import BoundaryOptions, NamesTable, read_boundaries
from geodata.gazetteer import Gazetteer, fill_names, is_sorani, join_names, read_gazetteer, write_names
from geodata.review import read_review, write_review
from geodata.schema import Findings, InputError

IRAQ = Path(__file__).resolve().parents[2] / "flows" / "config" / "iraq.toml"
OPTIONS = Gazetteer(path="names.json", names={"en": "engName", "ar": "arbName", "ckb": "krdName"})

UNITS = pd.DataFrame(
    [
        ("P1", "Markaz Rania", "مركز رانية", "G", "Al-Sulaymaniyah", "السليمانية", "Q1", "Rania", "رانية"),
        ("P2", "Zarayan", "زراين", "G", "Al-Sulaymaniyah", "السليمانية", "Q2", "Dokan", "دوكان"),
        ("P3", "Soran", "سوران", "H", "Erbil", "اربيل", "Q3", "Rawanduz", "رواندوز"),
    ],
    columns=["pcode", "name_en", "name_ar"] + [f"adm{n}_{c}" for n in (1, 2) for c in ("pcode", "name", "name_ar")],
).set_index("pcode")
UNITS = UNITS.assign(name_ckb="", adm1_name_ckb="", adm2_name_ckb="")


def unit(english="", arabic="", kurdish="", below=()):
    return {"engName": english, "arbName": arabic, "krdName": kurdish, "below": list(below)}


def as_file(governorates):
    """The nesting of the real file: provinces, districts, subdistricts."""
    levels = ("provinces", "districts", "subdistricts", "villages")

    def at(units, depth):
        return [
            {**{k: v for k, v in u.items() if k != "below"}, levels[depth + 1]: at(u["below"], depth + 1)}
            for u in units
        ]

    return {"version": "1", "provinces": at(governorates, 0)}


def joined(tmp_path, *governorates, decisions=None, options=OPTIONS):
    (tmp_path / "names.json").write_text(json.dumps(as_file(governorates)), "utf-8")
    log = Findings("boundaries.gazetteer")
    found = join_names(read_gazetteer(options, tmp_path, log), UNITS, options, log, decisions=decisions)
    return found, log


def test_units_of_all_levels_get_the_name_with_its_score(tmp_path):
    district = unit("Ranya District", "رانية", "قەزای ڕانیە", [unit("Rania", "مركز رانية", "ڕانیە")])
    found, _ = joined(tmp_path, unit("Sulaymaniyah", "السليمانية", "سلێمانی", [district]))
    assert found.table["name"].to_dict() == {"G": "سلێمانی", "P1": "ڕانیە", "Q1": "ڕانیە"}
    assert found.table["level"].to_dict() == {"G": 1, "Q1": 2, "P1": 3}
    assert (found.table["score"] > 0.95).all()
    assert found.questions == []


def test_a_district_younger_than_the_boundaries_is_found_as_a_subdistrict(tmp_path):
    found, _ = joined(tmp_path, unit("Erbil", "أربيل", "هەولێر", [unit("Soran", "سوران", "سۆران")]))
    assert found.table.loc["P3", ["level", "name"]].tolist() == [3, "سۆران"]


def test_names_that_mean_different_units_are_a_question(tmp_path):
    found, _ = joined(tmp_path, unit("Erbil", "السليمانية", "هەولێر"))
    assert found.questions[0].match.why == "its names mean different units"
    assert found.table.empty


def test_two_names_for_one_unit_are_a_question_and_two_spellings_are_not(tmp_path):
    found, _ = joined(tmp_path, unit("Erbil", "", "هەولێر"), unit("Erbil", "", "ئەربیل"))
    assert [q.match.why for q in found.questions] == ["two names for one unit"] * 2
    assert found.table.empty
    found, _ = joined(tmp_path, unit("Erbil", "", "هەولێر"), unit("Erbil", "", "پارێزگای هه‌ولێر"))
    assert found.table["name"].tolist() == ["هەولێر"]


@pytest.mark.parametrize("name", ["القاسم", "كبيسة", "Amerli", "", "بعض"])
def test_a_name_that_is_not_sorani_is_left_out(tmp_path, name):
    assert not is_sorani(name)
    found, _ = joined(tmp_path, unit("Erbil", "اربيل", name))
    assert found.table.empty


def test_an_analysts_decision_joins_what_no_rule_may(tmp_path):
    nested = unit("Sulaymaniyah", "", "سلێمانی", [unit("Peshdar", "بشدر", "پشدەر")])
    found, _ = joined(tmp_path, nested)
    write_review(tmp_path / "review.csv", found.questions)
    text = (tmp_path / "review.csv").read_text("utf-8-sig").splitlines()
    (tmp_path / "review.csv").write_text("\n".join([text[0], text[1] + "Q2"]), "utf-8")
    decisions = read_review(tmp_path / "review.csv", "review.csv", ["Q2"], Findings("r"))
    again, _ = joined(tmp_path, nested, decisions=decisions)
    assert again.table.loc["Q2", ["name", "score"]].tolist() == ["پشدەر", 1.0]
    assert again.questions == []


def test_units_left_without_a_name_are_told(tmp_path):
    _, log = joined(tmp_path, unit("Erbil", "", "هەولێر"))
    assert [f.found.split(" (")[0] for f in log.items] == [
        "no name for 1 of 2 units of ADM1",
        "no name for 3 of 3 units of ADM2",
        "no name for 3 of 3 units of ADM3",
    ]


@pytest.mark.parametrize("content", ["{", '{"provinces": 3}', "[]", '{"provinces": ["x"]}', "<html>"])
def test_a_file_of_another_shape_is_refused(tmp_path, content):
    (tmp_path / "names.json").write_text(content, "utf-8")
    with pytest.raises(InputError, match="one inside the other"):
        read_gazetteer(OPTIONS, tmp_path, Findings("boundaries.gazetteer"))


# ------------------------------------------------------------------ the real names


@pytest.fixture(scope="module")
def real(shared_data):
    settings = tomllib.loads(IRAQ.read_text("utf-8"))
    settings["boundaries"].pop("gazetteer")
    cod = read_boundaries(
        BoundaryOptions.model_validate(settings["boundaries"]), shared_data / "iraq", Findings("boundaries")
    )
    options = OPTIONS.model_copy(update={"path": "names/iraq_places_en_ku_ar.json"})
    log = Findings("boundaries.gazetteer")
    gazetteer = read_gazetteer(options, shared_data / "iraq", log)
    return cod, settings, gazetteer, join_names(gazetteer, cod, options, log)


def test_the_real_file_has_24_governorates_155_districts_and_304_subdistricts(real):
    assert real[2].groupby("level").size().to_dict() == {1: 24, 2: 155, 3: 304}


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("IQG11", "هەولێر"),
        ("IQG06", "سلێمانی"),
        ("IQG13", "کەرکوک"),
        ("IQG09", "دهۆک"),
        ("IQG06Q09", "ڕانیە"),
        ("IQG06Q07", "پێنجوێن"),
        ("IQG11Q06N03", "هەریر"),
        ("IQG06Q02N02", "چەمچەماڵ"),
    ],
)
def test_sorani_names_of_iraq_stand_at_their_units(real, code, name):
    assert real[3].table.at[code, "name"] == name


def test_every_unit_of_the_real_file_is_joined_or_asked_about(real):
    cod, _, gazetteer, found = real
    assert found.table.groupby("level").size().to_dict() == {1: 17, 2: 75, 3: 68}
    assert found.table["score"].between(0.85, 1).all()
    assert len({q.row for q in found.questions}) == len(found.questions) == 196
    assert {q.row for q in found.questions} <= set(gazetteer["row"])
    assert set(found.table.index) <= {*cod.index, *cod["adm1_pcode"], *cod["adm2_pcode"]}


def test_joined_names_enter_as_a_names_table(real, shared_data, tmp_path):
    _, settings, _, found = real
    folder = tmp_path / "inputs"
    folder.mkdir()
    (folder / "boundaries").symlink_to(shared_data / "iraq" / "boundaries")
    write_names(folder / "names" / "names_ckb.csv", found.table)
    names = NamesTable(path="names/names_ckb.csv", key="PCODE", columns={"ckb": "NAME_CKB"})
    options = BoundaryOptions.model_validate(settings["boundaries"]).model_copy(update={"names_table": names})
    units = read_boundaries(options, folder, Findings("boundaries"))
    assert (units["name_ckb"] != "").sum() == 68
    assert units.loc[units["adm1_pcode"] == "IQG11", "adm1_name_ckb"].unique().tolist() == ["هەولێر"]


def test_the_country_file_of_iraq_fills_sorani_names_and_changes_no_other(real, shared_data):
    cod, _, _, found = real
    block = tomllib.loads(IRAQ.read_text("utf-8"))["boundaries"]
    log = Findings("boundaries")
    filled = read_boundaries(BoundaryOptions.model_validate(block), shared_data / "iraq", log)
    assert (filled["name_ckb"] != "").sum() == 68
    assert (filled["adm1_name_ckb"] != "").groupby(filled["adm1_pcode"]).all().sum() == 17
    assert filled["name_ckb"].to_dict() == found.table["name"].reindex(cod.index).fillna("").to_dict()
    others = [c for c in cod.columns if not c.endswith("ckb") and c != "geometry"]
    pd.testing.assert_frame_equal(pd.DataFrame(filled[others]), pd.DataFrame(cod[others]))
    assert [f.severity for f in log.items] == ["note"] * 3 + ["warning"]
    (review,) = log.reviews
    assert (review.file, len(review.questions)) == ("review/names_ckb.csv", len(found.questions))


def test_a_name_that_the_table_has_is_never_replaced(tmp_path):
    (tmp_path / "names.json").write_text(json.dumps(as_file([unit("Erbil", "", "هەولێر")])), "utf-8")
    named = UNITS.assign(adm1_name_ckb=["", "", "ئەربیل"])
    fill_names(named, OPTIONS, tmp_path, Findings("b"))
    assert named["adm1_name_ckb"].tolist() == ["", "", "ئەربیل"]
    empty = UNITS.copy()
    fill_names(empty, OPTIONS, tmp_path, Findings("b"))
    assert empty["adm1_name_ckb"].tolist() == ["", "", "هەولێر"]
