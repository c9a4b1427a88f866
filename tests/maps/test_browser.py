"""The page in a real browser, with every request refused."""

import pytest

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def site(html, tmp_path_factory):
    path = tmp_path_factory.mktemp("site") / "index.html"
    path.write_text(html, encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def open_page(visit, site):
    """Opens the site; asserts at the end that nothing was requested and nothing went wrong."""

    def opened(size="desktop", fragment="", address=site, **options):
        return visit(address + fragment, size, **options)

    return opened


PLACES = "path[data-pcode]"


def test_every_subdistrict_is_drawn(open_page, country):
    page = open_page()
    assert page.locator(PLACES).count() == len(country)
    boxes = page.locator(PLACES).evaluate_all("all => all.map(p => p.getBoundingClientRect().width > 0)")
    assert all(boxes)


def test_not_assessed_is_the_only_hatch_and_no_null_has_a_colour(open_page, page):
    """What the browser paints, against the table."""
    fills = dict(
        open_page().locator(PLACES).evaluate_all("all => all.map(p => [p.dataset.pcode, p.getAttribute('fill')])")
    )
    hatch = {"insufficient_data", "input_missing", "exposure_unknown", "external_unknown", "suppressed"}
    for pcode, (risk, status) in page.scores[["risk", "risk_status"]].iterrows():
        if risk != risk:
            wanted = {"masked_dry_season": "url(#dry)", "no_skill": "url(#ns)"}.get(status, "url(#na)")
            assert fills[pcode] == wanted, status
        else:
            assert status not in hatch
            assert fills[pcode].startswith("url(#old-" if status == "stale" else "#")


def test_no_data_is_hatched_on_the_warning_layer(open_page, page):
    fills = dict(
        open_page(fragment="#layer=alert")
        .locator(PLACES)
        .evaluate_all("all => all.map(p => [p.dataset.pcode, p.getAttribute('fill')])")
    )
    unknown = page.scores.index[page.scores["alert_level"] < 0]
    assert {fills[p] for p in unknown} == {"url(#na)"}
    known = page.scores.index[page.scores["alert_level"] > 0]
    assert "url(#na)" not in {fills[p] for p in known}


def test_a_click_opens_the_place(open_page, country):
    page = open_page()
    place = page.locator(PLACES).nth(15)
    place.click(position=None, force=True)
    assert page.locator("#panel").is_visible()
    assert place.get_attribute("data-pcode") in page.locator("#panel").inner_text()


def test_enter_opens_the_place_and_escape_closes_it(open_page):
    page = open_page()
    page.locator(PLACES + "[tabindex='0']").focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    assert page.locator("#panel").is_visible()
    page.keyboard.press("Escape")
    assert page.locator("#panel").is_hidden()
    assert page.evaluate("document.activeElement.matches('path[data-pcode]')")


def test_the_map_is_reached_by_the_tab_key(open_page):
    page = open_page()
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('path[data-pcode]')"):
            return
    pytest.fail("no subdistrict was reached in 40 steps")


@pytest.mark.parametrize("lang", ["en", "ar", "ckb"])
def test_contributions_in_the_panel_add_up_as_printed(open_page, page, lang):
    pcode = page.scores.index[25]
    shown = open_page(fragment=f"#lang={lang}&place={pcode}")
    texts = shown.locator("#panel .why .v").all_inner_texts()
    *parts, total = [round(float(t.replace("−", "-").replace("+", "")) * 10) for t in texts]
    assert sum(parts) == total


def test_the_language_switches_without_loading_the_page_again(open_page):
    page = open_page()
    page.evaluate("window.stayed = true")
    page.click("[data-lang=ar]")
    assert page.evaluate("[document.documentElement.lang, document.documentElement.dir, window.stayed]") == [
        "ar",
        "rtl",
        True,
    ]
    assert "درجة الخطر" in page.locator("#layers").inner_text()
    assert "lang=ar" in page.url
    page.click("[data-lang=ckb]")
    assert "نمرەی مەترسی" in page.locator("#layers").inner_text()
    page.click("[data-lang=en]")
    assert page.evaluate("document.documentElement.dir") == "ltr"


def test_the_fragment_brings_back_language_layer_and_place(open_page, page):
    pcode = page.scores.index[25]
    shown = open_page(fragment=f"#lang=ar&layer=alert&place={pcode}")
    assert shown.locator("#layers [aria-checked=true]").get_attribute("data-layer") == "alert"
    assert pcode in shown.locator("#panel").inner_text()
    assert "إنذار" in shown.title()


def test_a_malformed_fragment_is_forgiven(open_page):
    assert open_page(fragment="#lang=%E0%A4%A&layer=nothing&place=nobody").locator("#panel").is_hidden()


@pytest.mark.parametrize("layer", ["risk", "alert", "drought", "exposure", "displaced", "reliability"])
def test_each_layer_has_a_legend_with_its_patterns(open_page, layer):
    page = open_page(fragment=f"#layer={layer}")
    drawn = set(page.locator(PLACES).evaluate_all("all => all.map(p => p.dataset.fill)"))
    legend = page.locator("#legend").inner_html()
    for texture in drawn & {"na", "ns", "dry"}:
        assert f"url(#{texture})" in legend
    assert ("old" in drawn) == ("url(#old-" in legend)


def test_displaced_people_are_circles_and_hidden_numbers_are_rings(open_page, page):
    shown = open_page(fragment="#layer=displaced")
    rings = shown.locator(".leaflet-rings-pane path")
    counted = (page.scores["displaced_households"] > 0).sum() + (
        page.scores["displaced_households_status"] == "suppressed"
    ).sum()
    assert rings.count() == counted
    assert shown.locator(".leaflet-rings-pane path[stroke-dasharray]").count() == 1
    not_counted = page.scores.index[page.scores["displaced_households_status"] == "input_missing"][0]
    assert shown.locator(f"path[data-pcode={not_counted}]").get_attribute("fill") == "url(#na)"


@pytest.mark.parametrize("lang", ["en", "ar", "ckb"])
@pytest.mark.parametrize("size", ["desktop", "phone", "small"])
def test_nothing_is_wider_than_the_screen(open_page, page, size, lang):
    shown = open_page(size, f"#lang={lang}&layer=risk")
    assert shown.evaluate("document.documentElement.scrollWidth") <= shown.viewport_size["width"]
    shown = open_page(size, f"#lang={lang}&layer=alert&place={page.scores.index[25]}")
    assert shown.evaluate("document.documentElement.scrollWidth") <= shown.viewport_size["width"]
    assert shown.locator("#panel").evaluate("p => p.scrollWidth <= p.clientWidth")


@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_touch_targets_are_large_enough(open_page, page, size):
    shown = open_page(size, f"#place={page.scores.index[25]}")
    small = shown.evaluate(
        """() => Array.from(document.querySelectorAll('button, .leaflet-control-zoom a'))
            .map(b => [b.id || b.className, b.getBoundingClientRect()])
            .filter(([n, r]) => n !== 'handle' && r.width > 0 && (r.width < 43.5 || r.height < 43.5)).map(([n]) => n)"""
    )
    assert small == []


@pytest.mark.parametrize("row", range(11))
def test_each_status_has_a_panel_that_says_why(open_page, page, row):
    shown = open_page(fragment=f"#lang=en&place={page.scores.index[row]}")
    text = shown.locator("#panel").inner_text()
    if page.scores["risk"].isna().iloc[row]:
        assert "Not assessed" in text
        assert shown.locator("#panel .score").count() == 0
        assert shown.locator("#panel .why").count() == 0
    else:
        assert shown.locator("#panel .score").count() == 1


@pytest.mark.parametrize(
    ("row", "words", "not_said"),
    [(13, ["Between 2.4 and 6.3", "not known"], "lies in this class"), (14, ["4.2", "5.8", "this class: Medium"], "")],
)
def test_a_place_that_lacks_a_part_has_its_range_and_stays_hatched(open_page, page, row, words, not_said):
    """Never a number of its own, never a class colour; a class in words only where the whole range lies in it."""
    pcode = page.scores.index[row]
    shown = open_page(fragment=f"#lang=en&place={pcode}")
    text = shown.locator("#panel").inner_text()
    assert all(word in text for word in words)
    assert not not_said or not_said not in text
    assert shown.locator("#panel .big").count() == 0
    assert shown.locator(f"{PLACES}[data-pcode='{pcode}']").get_attribute("fill") == "url(#na)"


@pytest.mark.parametrize("lang", ["en", "ar", "ckb"])
def test_the_panel_says_how_sure_the_group_is_and_what_would_change_the_class(open_page, page, lang):
    """In each language, in the words of the catalogue, with the label of the indicator."""
    from maps.words import load_catalogue

    words = load_catalogue(lang)
    for row, sure in ((15, "sure"), (16, "fairly_sure"), (17, "unsure")):
        shown = open_page(fragment=f"#lang={lang}&place={page.scores.index[row]}")
        assert words(f"confidence.{sure}") in shown.locator("#panel .score").inner_text()
        told = shown.locator("#panel [data-change=down]").inner_text()
        assert page.indicators["critical_shelter"][lang] in told
        assert words("hazard.drought") in shown.locator("#panel [data-change=up]").inner_text()
    shown = open_page(fragment=f"#lang={lang}&place={page.scores.index[12]}")
    assert words("change.none_up") in shown.locator("#panel").inner_text()


@pytest.mark.parametrize(
    ("lang", "words"), [("en", "rests on 1 of 7 hazards"), ("ar", "الدرجة: 1 من 7"), ("ckb", "1 لە 7")]
)
def test_the_panel_says_on_how_many_hazards_the_score_rests(open_page, page, lang, words):
    shown = open_page(fragment=f"#lang={lang}&place={page.scores.index[6]}")
    assert words in shown.locator("#panel").inner_text()


def test_names_with_html_stay_text(open_page, make_page, country, tmp_path):
    from maps.site import build_site

    evil = "<img src=x onerror=window.broken=1></script><script>window.broken=1</script>"
    path = tmp_path / "index.html"
    path.write_text(build_site(make_page(country.assign(name_en=evil, adm1_name=evil, name_ar=evil))), encoding="utf-8")
    shown = open_page(address=path.as_uri(), fragment=f"#place={country.index[5]}")
    shown.click("#table-open")
    assert shown.evaluate("window.broken") is None
    assert evil in shown.locator("#panel h2").text_content()


def test_the_content_security_policy_holds(browser, site):
    """A script slipped in afterwards doesn't run; the browser reports it, so this page is opened apart."""
    page = browser.new_page()
    page.goto(site)
    ran = page.evaluate(
        """() => { const script = document.createElement('script');
            script.textContent = 'window.slipped = 1';
            document.body.appendChild(script);
            return window.slipped || 0; }"""
    )
    page.close()
    assert ran == 0


def test_without_a_script_the_table_is_the_page(open_page, country):
    page = open_page("phone", java_script_enabled=False)
    assert page.locator("#table tbody tr[data-unit]").count() == len(country)
    assert page.locator("#table").is_visible()
    assert page.locator(".folium-map").is_hidden()
    assert page.locator("noscript").count() == 1


def test_table_and_sources_speak_the_chosen_language(open_page):
    page = open_page(fragment="#lang=ar")
    page.click("#table-open")
    assert "طوارئ" in page.locator("#table").inner_text()
    page.keyboard.press("Escape")
    page.click("#sources-open")
    assert "الرخصة" in page.locator("#sources").inner_text()


def test_the_sheet_never_covers_the_banners(open_page, page):
    shown = open_page("phone", f"#place={page.scores.index[25]}")
    shown.locator("#handle").click()
    assert shown.evaluate("document.body.dataset.stop") == "full"
    sheet = shown.locator("#panel").bounding_box()
    banners = shown.locator("#banners").bounding_box()
    assert sheet["y"] >= banners["y"] + banners["height"]


def test_real_boundaries_keep_the_budget(shared_data, make_page):
    """294 shapes of the real country with made-up numbers."""
    import geopandas as gpd

    from maps.onefile import check_budget
    from maps.site import build_site

    source = shared_data / "iraq" / "boundaries" / "irq_admbnda_adm3_cso_20190603.shp"
    given = gpd.read_file(source)
    check_budget(build_site(_iraq(given, make_page)))


def _iraq(given, make_page):
    import shapely

    columns = {
        "ADM3_PCODE": "pcode", "ADM3_EN": "name_en", "ADM3_AR": "name_ar", "ADM1_PCODE": "adm1_pcode",
        "ADM1_EN": "adm1_name",
        "ADM1_AR": "adm1_name_ar", "ADM2_PCODE": "adm2_pcode", "ADM2_EN": "adm2_name", "ADM2_AR": "adm2_name_ar",
    }  # fmt: skip
    table = given[[*columns, "geometry"]].rename(columns=columns).set_index("pcode").sort_index()
    table = table.assign(name_ckb="", adm1_name_ckb="", adm2_name_ckb="", area_km2=table.to_crs(6933).area / 1e6)
    table["geometry"] = shapely.make_valid(shapely.set_precision(shapely.simplify(table.geometry.values, 0.004), 0.001))
    return make_page(table)
