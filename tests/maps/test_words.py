"""Catalogues are complete, sentences carry their values, and some words are never said."""

import json
import re
from importlib import resources

import pytest

from geodata.schema import AlertLevel, ContractError, Status
from maps import words
from maps.words import (
    CLASSES,
    DIMENSIONS,
    HAZARDS,
    LANGUAGES,
    REASON_CODES,
    check_catalogue,
    in_language,
    load_catalogue,
    placeholders,
    plural_form,
    sentence,
)
from models.warning import REASON_CODES as handed_over


@pytest.mark.parametrize("lang", LANGUAGES)
def test_each_language_has_words_for_every_noun_of_the_contract(lang):
    """A status, level, class, hazard or dimension without words would reach a reader as a code."""
    catalogue = load_catalogue(lang)
    nouns = [f"status.{s.name}" for s in Status] + [f"alert.{a.name}" for a in AlertLevel]
    nouns += [f"class.{c}" for c in CLASSES] + [f"hazard.{h}" for h in HAZARDS] + [f"dimension.{d}" for d in DIMENSIONS]
    assert [n for n in nouns if not catalogue.words[n].strip()] == []


def test_a_missing_key_fails():
    held = dict(load_catalogue("ar").words)
    del held["panel.what_to_do"]
    with pytest.raises(ContractError, match=r"'panel.what_to_do' is missing"):
        check_catalogue("ar", held, load_catalogue("en").words)


def test_a_key_that_nothing_says_fails():
    held = {**load_catalogue("ckb").words, "panel.rank": "x"}
    with pytest.raises(ContractError, match=r"'panel.rank' is used by nothing"):
        check_catalogue("ckb", held, load_catalogue("en").words)


def test_a_lost_placeholder_fails():
    """A translation that drops the number would state a range without its ends."""
    held = {**load_catalogue("ar").words, "panel.range": "بين {low}"}
    with pytest.raises(ContractError, match=r"'panel.range'"):
        check_catalogue("ar", held, load_catalogue("en").words)


def test_a_catalogue_with_a_missing_key_does_not_load(monkeypatch):
    held = {k: v for k, v in words._read("en").items() if k != "brand"}
    monkeypatch.setattr(words, "_read", lambda lang: held)
    load_catalogue.cache_clear()
    with pytest.raises(ContractError, match="brand"):
        load_catalogue("en")
    monkeypatch.undo()
    load_catalogue.cache_clear()


def test_only_signed_translations_lose_their_draft_mark():
    """Arabic and Sorani wait for a native speaker of the field."""
    assert {lang: load_catalogue(lang).draft for lang in LANGUAGES} == {"en": False, "ar": True, "ckb": True}


NEVER = {
    "en": r"\b(safe|all clear|no risk|will happen|rank\w*|percentile|quantile|anomaly|p-value)\b",
    "ar": r"آمن|لا خطر|المرتبة",
    "ckb": r"سەلامەت|پلەبەندی",
}


@pytest.mark.parametrize("lang", LANGUAGES)
def test_words_that_would_calm_or_rank_are_never_said(lang):
    said = {k: v for k, v in load_catalogue(lang).words.items() if re.search(NEVER[lang], v, re.IGNORECASE)}
    assert said == {}


@pytest.mark.parametrize("lang", LANGUAGES)
def test_no_advice_on_moving_people(lang):
    """Orders come from the authorities: every list of actions is closed by that sentence."""
    text = " ".join(v for k, v in load_catalogue(lang).words.items() if k.startswith("do."))
    assert not re.search(r"evacuat|relocat|move (away|out)|إخلاء|ارحلوا|چۆڵ", text, re.IGNORECASE)
    assert load_catalogue(lang).words["do.first"]


def test_months_are_the_iraqi_ones():
    assert load_catalogue("ar").month("2026-10") == "تشرين الأول 2026"
    assert load_catalogue("en").month("2026-10") == "October 2026"


@pytest.mark.parametrize(
    ("n", "text"), [(1, "يوم واحد"), (2, "يومان"), (9, "9 أيام"), (12, "12 يوماً"), (100, "100 يوم"), (103, "103 أيام")]
)
def test_arabic_days_are_counted_as_arabic_counts(n, text):
    assert load_catalogue("ar").plural("days", n) == text


def test_english_has_two_plural_forms():
    assert [plural_form("en", n, 2) for n in (0, 1, 2)] == [1, 0, 1]


def test_a_name_falls_back_in_order_and_says_so():
    """Sorani falls back on Arabic, then on English."""
    assert in_language({"en": "Rania", "ar": "رانية", "ckb": ""}, "ckb") == ("رانية", "ar")
    assert in_language({"en": "Rania", "ar": "", "ckb": ""}, "ckb") == ("Rania", "en")


# ------------------------------------------------------------------ sentences


DROUGHT = {"hazard": "drought", "scale_months": 6, "index_value": -1.6, "years_of_ten": 9, "months": 1, "age_months": 0}


def test_a_drought_says_in_how_many_years_of_ten():
    said = sentence("en", "above_threshold", DROUGHT)
    assert said == "Less rain fell over the last 6 months than in 9 of 10 years."


def test_a_lasting_drought_says_for_how_long():
    assert sentence("en", "above_threshold", DROUGHT | {"months": 4}).endswith("It has been so for 4 months.")


def test_an_old_measurement_says_its_age():
    water = {"hazard": "water", "years_of_ten": 8, "months": 1, "age_months": 8}
    assert sentence("en", "above_threshold", water).endswith("The latest measurement is 8 months old.")


def test_a_level_not_yet_reached_says_so():
    assert "not yet for long enough" in sentence("en", "not_persistent", DROUGHT)


def test_arabic_months_agree_with_their_number():
    assert "آخر 6 أشهر" in sentence("ar", "above_threshold", DROUGHT)
    assert "آخر 12 شهراً" in sentence("ar", "above_threshold", DROUGHT | {"scale_months": 12})


def test_never_more_than_nine_of_ten_is_claimed():
    assert "9 of 10" in sentence("en", "above_threshold", {"hazard": "heavy_rain", "years_of_ten": 10})


def test_an_index_stands_where_years_are_not_known_and_keeps_a_true_minus():
    said = sentence("en", "above_threshold", DROUGHT | {"years_of_ten": None})
    assert "index −1.6; 0 is normal" in said


def test_a_hazard_of_a_new_country_uses_its_own_label():
    values = {"hazard": "locusts", "score": 6.25, "years_of_ten": None}
    assert sentence("ar", "above_threshold", values, {"locusts": "الجراد"}) == "الجراد: 6.3 من 10."
    assert sentence("en", "above_threshold", values) == "locusts: 6.3 of 10."


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("code", REASON_CODES)
def test_every_code_of_the_early_warning_has_words(lang, code):
    assert sentence(lang, code, DROUGHT).endswith(".")


def test_the_codes_are_those_the_models_hand_over():
    assert set(REASON_CODES) == set(handed_over)


def test_no_data_but_old_data_says_so():
    assert "too old" in sentence("en", "no_data", {"stale": ["water"]})
    assert sentence("en", "no_data", {"stale": []}).startswith("Nothing was observed")


def test_a_hazard_too_old_to_count_is_named():
    said = sentence("en", "normal", {"hazard": "drought", "stale": ["water", "locusts"]}, {"locusts": "Locusts"})
    assert said.endswith("Too old to count: Water shortage, Locusts.")


def test_a_hazard_of_another_name_speaks_by_its_kind_of_index():
    """A country may call its rain hazard what it likes."""
    assert "Less rain" in sentence("en", "above_threshold", DROUGHT | {"hazard": "winter_rain"})


def test_an_unknown_code_raises():
    with pytest.raises(ContractError, match="locusts"):
        sentence("en", "locusts", {})


def test_a_code_without_its_values_raises():
    with pytest.raises(ContractError, match="expected a hazard"):
        sentence("en", "above_threshold", {"scale_months": 6})
    with pytest.raises(ContractError, match="years_of_ten or score"):
        sentence("en", "above_threshold", {"hazard": "dust", "years_of_ten": float("nan")})


# ------------------------------------------------------------------ files


@pytest.mark.parametrize("lang", LANGUAGES)
def test_catalogue_files_hold_no_key_twice(lang):
    """JSON keeps the last of two equal keys in silence."""

    def once(pairs):
        keys = [k for k, _ in pairs]
        assert sorted(set(keys)) == sorted(keys)
        return dict(pairs)

    json.loads(resources.files("maps").joinpath("locales", f"{lang}.json").read_text("utf-8"), object_pairs_hook=once)


def test_placeholders_are_named():
    assert placeholders("{low}–{high}") == {"low", "high"}
