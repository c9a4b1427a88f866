"""The published sites in a real browser with every request refused: the synthetic country, and Iraq."""

from pathlib import Path

import pandas as pd
import pytest

from flows.run_country import run_country

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PLACES = "path[data-pcode]"


@pytest.fixture(scope="module")
def iraq_run(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("iraq")
    data = str(shared_data / "iraq")
    return Path(run_country.fn("iraq", data=data, as_of="2019-08", issued="2019-09-10", out=str(out)))


@pytest.fixture(params=["demo", "iraq"])
def run(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(f"{request.param}_run")


def address(run: Path, **state: str) -> str:
    return (run / "site" / "index.html").as_uri() + "#" + "&".join(f"{k}={v}" for k, v in state.items())


@pytest.mark.parametrize("lang", ["en", "ar"])
@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_every_subdistrict_is_drawn_and_nothing_is_wider_than_the_screen(run, visit, size, lang):
    """294 and 60 of them; no request, no script error."""
    page = visit(address(run, lang=lang), size)
    table = pd.read_csv(run / "tables" / "subdistricts.csv")
    drawn = page.locator(PLACES).evaluate_all("all => all.map(p => p.dataset.pcode)")
    assert sorted(drawn) == sorted(table["pcode"])
    assert page.evaluate("[document.documentElement.lang, document.documentElement.dir]") == [
        lang,
        {"en": "ltr", "ar": "rtl"}[lang],
    ]
    width = page.viewport_size["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_a_place_opens_with_its_numbers_and_the_language_switches(run, visit, size):
    """What the panel says is what the table says."""
    table = pd.read_csv(run / "tables" / "subdistricts.csv")
    row = table[table["risk"].notna()].sort_values("risk").iloc[-1]
    page = visit(address(run, lang="en"), size)
    page.locator(f"path[data-pcode='{row.pcode}']").focus()
    page.keyboard.press("Enter")
    panel = page.locator("#panel")
    assert panel.is_visible()
    assert row.pcode in panel.inner_text()
    assert f"{row.risk:.1f}" in panel.inner_text()
    if size == "phone":
        page.click("#lang-open")
    page.click("[data-lang=ar]")
    assert row.name_ar in panel.inner_text()
    assert page.evaluate("document.documentElement.dir") == "rtl"


def test_a_hazard_nobody_could_assess_is_no_zero_among_the_reasons(run, visit):
    """Of a place whose risk is known and whose water is not, the panel says so, and prints no 0.0 for it."""
    table = pd.read_csv(run / "tables" / "subdistricts.csv")
    row = table[table["risk"].notna() & table["hazard_water"].isna() & table["hazard_drought"].notna()].iloc[0]
    page = visit(address(run, lang="en", place=row.pcode))
    said = dict(
        page.locator("#panel .why [data-part]").evaluate_all("all => all.map(e => [e.dataset.part, e.innerText])")
    )
    assert said["water"] == "Not assessed"
    assert said["drought"].lstrip("+−")[0].isdigit()


def test_no_unknown_place_has_a_class_colour(run, visit):
    """What the table leaves empty is hatched on the map."""
    table = pd.read_csv(run / "tables" / "subdistricts.csv").set_index("pcode")
    page = visit(address(run, lang="en", layer="risk"))
    fills = dict(page.locator(PLACES).evaluate_all("all => all.map(p => [p.dataset.pcode, p.getAttribute('fill')])"))
    unknown = table.index[table["risk"].isna()]
    assert len(unknown) > 0
    assert {fills[p] for p in unknown} == {"url(#na)"}
    assert "url(#na)" not in {fills[p] for p in table.index.difference(unknown)}


def test_reconstructed_rain_is_called_so_where_dates_and_sources_are(iraq_run, visit):
    """An exercise must not read as a measurement."""
    page = visit(address(iraq_run, lang="en", place="IQG17Q01N01"))
    assert "reconstructed" in page.locator("#panel").inner_text().lower()


def test_the_iraq_page_keeps_its_budget(iraq_run):
    """It has to travel by e-mail and on a slow link."""
    import gzip

    page = (iraq_run / "site" / "index.html").read_bytes()
    assert len(page) <= 1_500_000
    assert len(gzip.compress(page, 9, mtime=0)) <= 450_000
