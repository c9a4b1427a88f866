"""The rendered page, read as text: nothing loaded, nothing escaped from, nothing painted that is not known."""

import dataclasses
import json
import re
from html.parser import HTMLParser

import folium
import numpy as np
import pandas as pd
import pytest

from geodata.schema import AlertLevel, ContractError, Status
from maps.onefile import check_budget, check_self_contained, inlined
from maps.page import HazardWords, LayerSpec, payload, standard_layers
from maps.site import SiteError, build_site, json_in_script
from maps.words import LANGUAGES, load_catalogue

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(1)><!--\u2028{{ 7*7 }}{% endraw %}\"'"


class Tags(HTMLParser):
    """Start tags and the text of the data block, as a browser would see them."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text, self.block, self.inside = [], [], "", ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside = dict(attrs).get("id", tag)

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        if self.inside == "wadi-data":
            self.block += data
        elif self.inside not in ("script", "style"):
            self.text.append(data)


def data_of(html):
    return json.loads(Tags(html).block)


# ------------------------------------------------------------------ one file


def test_nothing_is_loaded_from_anywhere(html):
    """No tag of the page has an address to fetch."""
    loading = [(t, a) for t, a in Tags(html).tags if any(k in a for k in ("src", "srcset", "action"))]
    loading += [(t, a) for t, a in Tags(html).tags if t == "link"]
    assert loading == []
    assert not re.search(r"url\(\s*['\"]?https?:|@import", html)


def test_an_address_that_is_not_mapped_fails():
    """A Folium plug-in would bring its own content network along."""
    page = folium.Map(tiles=None).get_root().render()
    with pytest.raises(SiteError, match="jquery"):
        inlined(page)


@pytest.mark.parametrize(
    "loaded",
    [
        '<script src="https://a.example/x.js"></script>',
        '<link rel="icon" href="http://a.example/i.ico">',
        '<img src="//a.example/x.png">',
        "<style>p{background:url(https://a.example/x.png)}</style>",
        "<style>@import 'https://a.example/x.css';</style>",
        '<p onclick="go()">x</p>',
    ],
)
def test_whatever_would_be_loaded_or_run_fails(html, loaded):
    with pytest.raises(SiteError):
        check_self_contained(html.replace("</body>", loaded + "</body>"))


def test_content_security_policy_allows_nothing_from_outside(html):
    """The policy comes first and names scripts by their hash alone."""
    policy = next(a["content"] for t, a in Tags(html).tags if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert "http" not in policy
    assert "unsafe-inline" not in policy.split("script-src")[1].split(";")[0]
    assert html.index("Content-Security-Policy") < html.index("<script")


def test_equal_pages_have_equal_bytes(page, html):
    assert build_site(page) == html


def test_no_random_id_is_left(html):
    assert re.findall(r"(?:map|geo_json|start)_[0-9a-f]{32}", html) == []


def test_the_shapes_stand_in_the_page_once(html, country):
    assert html.count('"type": "FeatureCollection"') == 1
    assert html.count('"id": 0,') == 1
    assert html.count(f'"id": {len(country) - 1},') == 1


def test_a_reader_may_enlarge_the_page(html):
    assert "user-scalable" not in html
    assert "maximum-scale" not in html


def test_budget_is_kept_and_guarded(html):
    check_budget(html)
    with pytest.raises(SiteError, match="expected at most"):
        check_budget("x" * 1_500_001)


# ------------------------------------------------------------------ escaping


def test_names_with_html_stay_inert(make_page, country):
    evil = country.assign(name_en=EVIL, name_ar=EVIL, adm1_name=EVIL, adm2_name=EVIL)
    plain, made = Tags(build_site(make_page())), Tags(build_site(make_page(evil)))
    assert [t for t, _ in made.tags] == [t for t, _ in plain.tags]
    assert json.loads(made.block)["units"]["name"]["en"][0] == EVIL


def test_braces_in_names_are_not_a_template(make_page, country):
    """A name is text to Jinja too."""
    html = build_site(make_page(country.assign(name_en="{{ 7*7 }}")))
    assert "{{ 7*7 }}" in data_of(html)["units"]["name"]["en"]


def test_labels_and_notes_from_a_country_file_are_escaped(make_page, make_manifest):
    manifest = make_manifest(country_name={"en": EVIL})
    page = make_page(manifest=manifest, hazards={"dust": HazardWords({"en": EVIL}, {"en": EVIL})}, notes={"en": [EVIL]})
    assert [t for t, _ in Tags(build_site(page)).tags].count("img") == 0


def test_p_codes_with_html_stay_inert(make_page, country):
    index = pd.Index([f"{p}<b>{{{{ 7*7 }}}}" for p in country.index], name="pcode")
    renamed = country.set_axis(index)
    made = Tags(build_site(make_page(renamed)))
    assert json.loads(made.block)["units"]["pcode"] == list(index)
    assert [t for t, _ in made.tags].count("b") == [t for t, _ in Tags(build_site(make_page())).tags].count("b")


def test_json_cannot_end_its_script():
    assert not re.search("[<>&\u2028\u2029]", json_in_script({EVIL: [EVIL]}))
    assert json.loads(json_in_script({"a": EVIL})) == {"a": EVIL}


# ------------------------------------------------------------------ unknown is never a colour


def layer(page, key):
    return next(la for la in payload(page)["layers"] if la["key"] == key)


@pytest.mark.parametrize("key", ["risk", "drought", "exposure", "vulnerability", "reliability"])
def test_a_value_that_is_absent_has_no_class(make_page, page, key):
    """NaN slipped in under status ok: no class, and never the word 'assessed'."""
    spec = next(la for la in page.layers if la.key == key)
    scores = page.scores.copy()
    scores.loc[scores.index[20], spec.column] = np.nan
    drawn = layer(make_page(scores=scores), key)
    assert (drawn["class"][20], drawn["value"][20]) == (None, None)
    assert Status(drawn["status"][20]) is Status.insufficient_data


def test_no_null_anywhere_has_a_class(page):
    for drawn in payload(page)["layers"]:
        if drawn["kind"] in ("score", "sureness"):
            assert all((v is None) == (k is None) for v, k in zip(drawn["value"], drawn["class"], strict=True))


def test_no_data_is_not_a_level(page):
    """-1 is the absence of a level: it has no colour to take."""
    drawn = layer(page, "alert")
    assert [k for k, v in zip(drawn["class"], page.scores["alert_level"], strict=True) if v < 0 and k is not None] == []


def test_unknown_counts_are_not_zero(page):
    """Row 3 is suppressed, row 4 was never counted."""
    units = payload(page)["units"]
    assert units["households"][3:5] == [None, None]
    assert [Status(s).name for s in units["householdsStatus"][3:5]] == ["suppressed", "input_missing"]


def test_each_status_and_level_has_its_words_in_the_page(html):
    for lang in data_of(html)["langs"]:
        assert [s.name for s in Status if f"status.{s.name}" not in lang["words"]] == []
        assert [a.name for a in AlertLevel if f"alert.{a.name}" not in lang["words"]] == []


def test_an_unknown_status_word_fails(make_page, page):
    scores = page.scores.assign(risk_status="fine")
    with pytest.raises(ContractError, match="fine"):
        payload(make_page(scores=scores))


# ------------------------------------------------------------------ numbers


def test_printed_contributions_add_up_to_the_printed_score(page):
    data = payload(page)
    risk = layer(page, "risk")["value"]
    for parts, total in zip(data["parts"]["rows"], risk, strict=True):
        assert (parts is None) == (total is None)
        if parts is not None:
            assert sum(p for p in parts if p is not None) == total


def test_the_starting_score_comes_first(page):
    assert payload(page)["parts"]["key"][0] == "reference"


def test_a_value_on_a_limit_belongs_to_the_upper_class(make_page, page):
    scores = page.scores.copy()
    scores.loc[scores.index[20], "exposure"] = 4.0
    assert layer(make_page(scores=scores), "exposure")["class"][20] == 2


def test_the_class_of_risk_is_the_one_that_was_computed(make_page, page):
    """5.96 prints as 6.0 and is still of the class Medium."""
    scores = page.scores.copy()
    row = scores.index[20]
    scores.loc[row, ["risk", "risk_class"]] = [5.96, "medium"]
    for part in ("drought", "water", "exposure", "vulnerability"):
        scores.loc[row, f"contribution_{part}"] = 0.24
    drawn = layer(make_page(scores=scores), "risk")
    assert (drawn["value"][20], drawn["class"][20]) == (60, 2)


def test_history_shows_the_last_24_months_and_where_it_says_nothing(page):
    held = payload(page)["history"]
    assert (len(held["months"]), held["months"][-1], held["threshold"]) == (24, "2026-10", -10)
    dry = [held["months"][m][-2:] for m in held["dry"][0]]
    assert set(dry) == {"07", "08"}
    assert all(held["rows"][0][m] is None for m in held["dry"][0])


def test_months_that_were_only_carried_on_are_marked(make_page, page):
    flags = page.history["drought_index_status"].copy()
    flags[-2:] = int(Status.stale)
    held = payload(make_page(history=page.history.assign(drought_index_status=flags)))["history"]
    assert held["old"][0] == [22, 23]


@pytest.mark.parametrize(
    ("last", "shown", "edition"),
    [
        ("2018-12", "2018-12", ""),
        ("2019-08-31", "2019-08", ""),
        ("2018", "2018", ""),
        ("COD-AB 2019", "", "COD-AB 2019"),
    ],
)
def test_the_last_period_of_a_source_is_a_month_a_year_or_an_edition(
    page, make_page, make_manifest, last, shown, edition
):
    source = dataclasses.replace(make_manifest().sources[0], last=last)
    held = payload(make_page(manifest=make_manifest(sources=(source,))))["sources"][0]
    assert (held["last"], held["edition"]) == (shown, edition)


def test_nothing_later_than_the_month_is_shown(make_page, make_manifest):
    held = payload(make_page(manifest=make_manifest(as_of="2026-08")))["history"]
    assert held["months"][-1] == "2026-08"


def test_age_is_counted_to_the_day_of_issue(page):
    assert payload(page)["age"] == 9


# ------------------------------------------------------------------ titles, banners, tables


def test_title_says_what_is_left_out_and_what_is_made_up(html):
    title = re.search("<title>(.*?)</title>", html)[1]
    assert title == "SYNTHETIC · Wadi · Risk score, without coping capacity · Iraq · Oct 2026"


def test_banners_stand_without_a_script(make_page, make_manifest):
    html = build_site(make_page(manifest=make_manifest(exercise=True)))
    text = " ".join(Tags(html).text)
    assert "EXERCISE" in text
    assert "SYNTHETIC" in text
    assert html.index('class="exercise"') < html.index('class="synthetic"')


def test_a_real_run_has_no_banner(make_page, make_manifest):
    html = build_site(make_page(manifest=make_manifest(synthetic=False)))
    assert 'class="synthetic"' not in html
    assert "<title>Wadi" in html


def test_dates_stand_without_a_script(html):
    """One source of the made-up run is too old, and the bar says so."""
    assert "Data to Oct 2026 · issued 9 Nov 2026 · 9 days old · with old data" in Tags(html).text


def test_arabic_first_opens_from_right_to_left(make_page):
    html = build_site(make_page(languages=("ar", "en")))
    assert '<html lang="ar" dir="rtl">' in html
    assert "ترجمة أولية" in re.search("<title>(.*?)</title>", html)[1]


def test_the_table_twin_holds_every_subdistrict_in_order(html, page):
    """By level, then group, then name; each row once."""
    rows = [int(a["data-unit"]) for t, a in Tags(html).tags if t == "tr" and "data-unit" in a]
    assert sorted(rows) == list(range(len(page.scores)))
    keys = [(-page.scores["alert_level"].iloc[i], page.scores["risk_tier"].iloc[i] or "Z") for i in rows]
    assert keys == sorted(keys)


def test_the_table_twin_never_prints_an_unknown_number(html, page):
    text = " ".join(Tags(html).text)
    assert "few (1–4) households" in text
    assert "not counted" in text
    assert "nan" not in text.lower().split()


def test_nothing_carries_a_rank(html):
    """Neither a word nor a numbered row."""
    assert not re.search(r"\b(rank|worst|1st|2nd|3rd)\b", " ".join(Tags(html).text))


def test_missing_hazards_stay_listed_with_their_reason(html):
    absent = {a["key"]: a for a in data_of(html)["absent"]}
    assert sorted(absent) == ["dust", "heat", "heavy_rain", "river_flood", "salinity"]
    assert absent["heavy_rain"]["why"]["en"] == "Daily rain is needed."


def test_a_borrowed_name_says_from_where(html):
    """Every third place has a Sorani name; the others borrow the Arabic one."""
    names = data_of(html)["units"]["name"]
    assert {tuple(sorted({str(f) for f in names["ckb_from"]}))} == {("None", "ar")}
    assert all(f is None for f in names["ar_from"])


# ------------------------------------------------------------------ what a new country or hazard brings


def test_a_new_hazard_is_one_layer_with_its_own_words(make_page, page):
    scores = page.scores.assign(hazard_locusts=3.2, hazard_locusts_status="ok", contribution_locusts=0.0)
    page = make_page(
        scores=scores,
        layers=standard_layers(("drought", "water", "locusts")),
        hazards={"locusts": HazardWords({"en": "Locusts", "ar": "الجراد"})},
    )
    drawn = layer(page, "locusts")
    assert drawn["label"] == {"en": "Locusts", "ar": "الجراد", "ckb": "الجراد"}
    assert drawn["colours"][0] == "#F8F2F4"
    build_site(page)


def test_a_layer_without_its_column_fails(make_page, page):
    with pytest.raises(ContractError, match="hazard_frost"):
        build_site(make_page(layers=(*page.layers, LayerSpec("frost", "hazard_frost", "hazard"))))


def test_limits_that_do_not_fit_the_palette_fail(make_page, page):
    with pytest.raises(ContractError, match="found 2 limits, expected 4"):
        build_site(make_page(layers=(dataclasses.replace(page.layers[0], cuts=(3.0, 6.0)), *page.layers[1:])))


def test_scores_of_other_subdistricts_fail(make_page, page):
    with pytest.raises(ContractError, match="index differs"):
        build_site(make_page(scores=page.scores.iloc[::-1]))


def test_a_page_in_one_language_holds_no_other(make_page):
    assert [la["code"] for la in payload(make_page(languages=("en",)))["langs"]] == ["en"]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_level_sentences_are_in_each_language(page, lang):
    said = payload(page)["reasons"]["text"][lang]
    assert load_catalogue(lang).words["reason.normal"] in said
