"""The pages of docs/ are what the code says, and what the page of the new hazard promises comes true."""

import importlib.util
import inspect
import re
import sys
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import models
from geodata.schema import Status
from geodata.store import read_cube
from models.hazard_hot_days import HeatOptions
from models.hazard_storage_percentile import StorageOptions
from models.hazards import HAZARDS, HazardOptions

ROOT = Path(__file__).resolve().parents[1]


def loaded(path: Path):
    """A module from its file: the tests are no package."""
    spec = importlib.util.spec_from_file_location(f"{path.stem}_of_the_docs", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


docs = loaded(ROOT / "tests" / "docs.py")
example = loaded(ROOT / docs.EXAMPLE)


@pytest.fixture(params=docs.PAGES, ids=lambda name: Path(name).stem)
def page(request):
    """Text of each page as it is stored."""
    return (ROOT / request.param).read_text("utf-8")


def fenced(language, text):
    """Blocks of one language of a page."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


# ------------------------------------------------------------------ both pages


@pytest.mark.parametrize("name", docs.PAGES)
def test_a_page_is_what_the_generator_makes(name):
    """Else `make docs` was forgotten."""
    assert (ROOT / name).read_text("utf-8") == docs.PAGES[name]()


def test_every_link_of_a_page_leads_somewhere(page):
    anchors = {
        path.name: re.findall(r'<a id="(.+?)">', text := path.read_text("utf-8"))
        + [title.lower().replace(" ", "-") for title in re.findall(r"^#+ (.+)$", text, re.MULTILINE)]
        for path in (ROOT / name for name in docs.PAGES)
    }
    own = next(name for name, found in anchors.items() if (ROOT / "docs" / name).read_text("utf-8") == page)
    links = re.findall(r"\]\((.+?)\)", page)
    assert len(links) > 10
    for link in links:
        file, _, anchor = link.partition("#")
        assert (ROOT / "docs" / file).exists(), link
        assert not anchor or anchor in anchors[file or own], link


def test_no_anchor_stands_twice(page):
    anchors = re.findall(r'<a id="(.+?)">', page)
    assert anchors
    assert len(anchors) == len(set(anchors))


def test_a_page_names_no_place_on_a_machine(page):
    assert not re.search(r"(?<![\w.}>])/(home|work|tmp|usr|root|Users)\b|[A-Z]:\\", page)
    assert str(ROOT) not in page


def test_the_readme_leads_to_both_pages():
    readme = (ROOT / "README.md").read_text("utf-8")
    assert all(f"]({name})" in readme for name in docs.PAGES)


# ------------------------------------------------------------------ the indices

SECTIONS = ("Summary", "Returns", "Formula", "Limits", "References")
UNIT = re.compile(r"\((?:\.\.\.; )?(1|flag|mm|days?|months|km2)\b|(?<!\w)(mm/day|mm/month|m3/day|mm|%)(?![\w/])")


def lacking(told):
    """What an index does not tell: a section, or the unit of its result."""
    absent = [name for name in SECTIONS if not told.get(name, "").strip()]
    return absent + ["unit"] * (not UNIT.search(told.get("Returns", "")))


@pytest.mark.parametrize("index", docs.INDICES, ids=lambda index: index.name)
def test_an_index_tells_formula_unit_limits_and_source(index):
    assert lacking(index.told) == []
    assert index.told["Limits"].startswith("* ")
    assert index.function.__module__ == index.module, "named where it is made"


def test_an_index_that_is_silent_is_noticed():
    """The check above, on a docstring that has a heading too few and no unit."""

    def silent():
        """An index.

        Returns
        -------
        Dataset (time, ...): ``a`` and ``a_status``

        Formula
        -------
        a = b

        References
        ----------

        Limits
        ------
        * None.
        """

    assert lacking(docs.sections(silent)) == ["References", "unit"]


def test_sections_end_where_the_next_begins_and_examples_are_left_out():
    def told():
        """What it is.

        And more.

        Parameters
        ----------
        a, b : int
            Two of
            them.
        c : float, mm, how much
        d : str

        References
        ----------
        A book.

        >>> 1 + 1
        2
        """

    assert docs.sections(told)["Summary"] == "What it is.\n\nAnd more."
    assert docs.sections(told)["References"] == "A book."
    assert docs.parameters(told) == {"a": "Two of them.", "b": "Two of them.", "c": "mm, how much"}


def test_every_function_with_a_formula_is_on_the_page():
    """An index must not be forgotten because nobody named it."""
    modules = [
        f"{path.parent.name}.{path.stem}" for folder in ("models", "geodata") for path in (ROOT / folder).glob("*.py")
    ]
    functions = (
        (name, f.__name__)
        for name in modules
        for _, f in inspect.getmembers(importlib.import_module(name), inspect.isfunction)
        if f.__module__ == name and "Formula" in docs.sections(f)
    )
    assert set(functions) == {(index.module, index.name) for index in docs.INDICES}


@pytest.mark.parametrize(
    "method", [path.stem.removeprefix("hazard_") for path in (ROOT / "models").glob("hazard_*.py")]
)
def test_every_method_is_on_the_page_with_all_its_options(method):
    page = (ROOT / "docs/indices.md").read_text("utf-8")
    part = page.partition(f'<a id="method-{method}">')[2].partition("<a id=")[0]
    assert f"(../models/hazard_{method}.py)" in part
    shared = HazardOptions.model_fields
    for name, field in HAZARDS[method].options.model_fields.items():
        rows = re.findall(rf"^\| `{name}` \| (.+?) \| (.+?) \|$", part, re.MULTILINE)
        if name not in shared:
            assert len(rows) == 1, name
        if rows and isinstance(field.default, int | float) and not isinstance(field.default, bool):
            assert rows[0][0] == f"`{field.default}`"


@pytest.mark.parametrize("method", sorted(HAZARDS))
def test_every_option_says_what_it_is(method):
    silent = [name for name, field in docs.own_options(method).items() if not docs.meaning(method, name, field)]
    assert silent == []


@pytest.mark.parametrize("index", [i for i in docs.INDICES if not i.methods and not i.used], ids=lambda i: i.name)
def test_what_no_run_computes_is_named_by_no_other_module(index):
    """Else the page hides where it is used."""
    word = re.compile(rf"^[^#`]*\b{index.name}\b(?!`)", re.MULTILINE)
    paths = (path for folder in ("flows", "geodata", "models") for path in (ROOT / folder).glob("*.py"))
    others = (path for path in paths if path.stem != index.module.rpartition(".")[2])
    assert [path.name for path in others if word.search(path.read_text("utf-8"))] == []


def test_every_method_leads_to_an_index():
    assert {name for index in docs.INDICES for name in index.methods} == set(HAZARDS)


def test_what_an_option_is_comes_from_its_line_or_from_the_function_it_is_given_to():
    """Comment of the line; parameter of the same name; "as of" another function, followed there; of another name."""

    def said(method, name):
        return docs.meaning(method, name, HAZARDS[method].options.model_fields[name])

    assert docs.comments(HeatOptions)["min_years"] == "of the percentile behind heat waves"
    assert "min_years" not in docs.comments(StorageOptions)
    assert said("hot_days", "min_years") == "of the percentile behind heat waves"
    assert said("drought_runs", "onset") == "a spell is a drought once it is at or below this"
    assert (
        said("storage_percentile", "min_years")
        == said("water_percentile", "min_years")
        == "seen years a percentile needs"
    )
    assert said("heavy_rain", "antecedent_k") == "share of the index that is left after a day"


# ------------------------------------------------------------------ the new hazard


@pytest.fixture(scope="module")
def how_to():
    return (ROOT / "docs/new_hazard.md").read_text("utf-8")


def added_lines(block):
    return "".join(
        line[1:] + "\n" for line in block.splitlines() if line.startswith("+") and not line.startswith("+++ ")
    )


@pytest.mark.parametrize("added", docs.ADDED, ids=lambda added: added.name)
def test_the_diff_is_the_whole_module(how_to, added):
    (block,) = (b for b in fenced("diff", how_to) if f"+++ b/{added.module}\n" in b)
    assert added_lines(block) == (ROOT / added.module).read_text("utf-8")


@pytest.mark.parametrize("added", docs.ADDED, ids=lambda added: added.name)
def test_the_diff_of_the_country_file_gives_the_demo_its_hazard_and_all_it_reads(how_to, added):
    """The lines added, and those that stayed, are TOML that says what the demo's file says."""
    (block,) = (b for b in fenced("diff", how_to) if f" [hazards.{added.name}]\n" in b)
    after = "\n".join(line[1:] for line in block.splitlines() if line[:1] in "+ " and not line.startswith("+++ "))
    given, whole = tomllib.loads(after), tomllib.loads(docs.demo())
    hazard = given["hazards"][added.name]
    assert hazard == whole["hazards"][added.name]
    read = HAZARDS[added.method].options.model_validate(hazard).sources.values()
    assert given["sources"] == {name: whole["sources"][name] for name in read}
    assert [line for line in block.splitlines() if line.startswith("-") and line[1] != "-"] == ['-method = "none"']


@pytest.mark.parametrize("added", docs.ADDED, ids=lambda added: added.name)
def test_nothing_else_knows_of_the_hazards_that_were_added(added):
    """Neither the method, nor its options, nor what it computes, is named outside its own files."""
    method = HAZARDS[added.method]
    own = inspect.getmodule(method.options)
    names = {f"hazard_{added.method}", added.method, method.options.__name__}
    for file in added.files:
        module = importlib.import_module(file.removesuffix(".py").replace("/", "."))
        names |= {n for n, f in inspect.getmembers(module, inspect.isfunction) if f.__module__ == module.__name__}
    names = {name for name in names if not name.startswith("_")}
    assert {added.method, own.__name__.rpartition(".")[2]} <= names
    word = re.compile(rf"\b({'|'.join(sorted(names))})\b")
    elsewhere = [
        f"{path.relative_to(ROOT)}: {found[0]}"
        for folder in ("flows", "geodata", "maps", "models")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".js", ".json", ".html")
        and path.relative_to(ROOT).as_posix() not in added.files
        and not path.stem.startswith("synthetic")
        and (found := word.search(path.read_text("utf-8")))
    ]
    assert elsewhere == []


def test_every_status_has_its_row(how_to):
    assert list(docs.STATUSES) == list(Status)
    assert all(f"\n| `{status.name}` | " in how_to for status in Status)


def rain_of(*years):
    """Monthly rain, each year the same amount in each of its months."""
    times = pd.date_range("2001-01", periods=12 * len(years), freq="MS")
    return xr.DataArray(
        np.repeat(np.asarray(years, dtype=float), 12),
        dims="time",
        coords={"time": times},
        attrs={"units": "mm/month"},
        name="rain",
    )


def test_the_example_is_a_share_of_the_mean_of_its_month():
    """Means of 20, 40, 60 and 40 are 40 a month: in the last December, 2 x 40 of 2 x 40; in the third, 1.5 of it."""
    rules = {"months": 2, "min_normal_mm": 30.0, "min_years": 3}
    found = example.share_of_normal(rain_of(20, 40, 60, 40), (2001, 2004), **rules)
    december = found.isel(time=slice(11, None, 12))
    np.testing.assert_allclose(december["share"], [0.5, 1.0, 1.5, 1.0], rtol=1e-12)
    assert (december["share_status"] == Status.ok).all()


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"min_normal_mm": 101.0}, Status.masked_dry_season),
        ({"min_years": 5}, Status.insufficient_data),
    ],
)
def test_the_example_says_why_it_says_nothing(changed, status):
    rules = {"months": 2, "min_normal_mm": 30.0, "min_years": 3} | changed
    found = example.share_of_normal(rain_of(20, 40, 60, 40), (2001, 2004), **rules).isel(time=slice(1, None))
    assert found["share"].isnull().all()
    assert (found["share_status"] == status).all()


def test_a_gap_in_the_rain_is_no_share_of_the_example():
    rain = rain_of(20, 40, 60, 40)
    rain[20] = np.nan
    found = example.share_of_normal(rain, (2001, 2004), months=2, min_normal_mm=30.0, min_years=3)
    unknown = found["share_status"] == Status.insufficient_data
    assert np.flatnonzero(unknown).tolist() == [0, 20, 21]
    assert (found["share"].isnull() == unknown).all()


@pytest.fixture
def drop_in(how_to, tmp_path, monkeypatch):
    """The module of the page in a folder of its own, found as if it lay in ``models``; gone again afterwards."""
    (module,) = fenced("python", how_to)
    method = re.match(r'"""Method "(\w+)"', module)[1]
    name = f"hazard_{method}"
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / f"{name}.py").write_text(module, "utf-8")
    monkeypatch.setattr(models, "__path__", [*models.__path__, str(folder)])
    importlib.invalidate_caches()
    yield method
    sys.modules.pop(f"models.{name}", None)
    if hasattr(models, name):
        delattr(models, name)


def test_the_page_holds_the_example_as_it_can_be_copied(how_to):
    assert fenced("python", how_to) == [(ROOT / docs.EXAMPLE).read_text("utf-8")]
    assert docs.EXAMPLE_BLOCK in fenced("toml", how_to)


def test_a_method_is_found_where_its_module_lies_and_only_there(drop_in):
    assert drop_in in HAZARDS
    assert HAZARDS[drop_in].options().method == drop_in


def test_a_dropped_module_leaves_nothing_behind():
    assert "percent_of_normal" not in HAZARDS
    assert not hasattr(models, "hazard_percent_of_normal")


@pytest.mark.slow
def test_one_module_and_one_block_make_a_hazard(drop_in, how_to, synthetic_inputs, tmp_path):
    """In the table, in the cube and on the map, and nothing else was told of it."""
    from flows.check_inputs import check_inputs
    from flows.run_country import run_country

    (block,) = (b for b in fenced("toml", how_to) if "[hazards." in b)
    ((name, said),) = tomllib.loads(block)["hazards"].items()
    assert said["method"] == drop_in
    config = tmp_path / "yours.toml"
    config.write_text(f"{docs.demo()}\n{block}", "utf-8")
    question = {"data": str(synthetic_inputs), "as_of": None, "issued": "2024-04-08"}
    assert [f for f in check_inputs.fn(str(config), **question) if f.severity == "error"] == []
    run = Path(run_country.fn(str(config), **question, out=str(tmp_path / "out")))

    table = pd.read_csv(run / "tables" / "subdistricts.csv")
    cube = read_cube(run / "cube.nc")
    scored = table[f"hazard_{name}"]
    assert scored.notna().any()
    assert scored.dropna().between(0, 10).all()
    assert set(table[f"hazard_{name}_status"]) <= {status.name for status in Status}
    assert {f"hazard_{name}", f"hazard_{name}_status", f"{name}_share"} <= set(map(str, cube.data_vars))
    # the score by hand, from the index in the cube and the breakpoints of the module
    last = cube[f"{name}_share"].isel(time=-1).sel(pcode=table["pcode"].to_numpy())
    by_hand = np.interp(last, [0.0, 0.25, 0.5, 0.75, 1.0, 1.5], [10.0, 8.0, 6.0, 4.0, 2.0, 0.0])
    np.testing.assert_allclose(scored, by_hand, atol=0.0501)  # printed with one decimal
    site = (run / "site" / "index.html").read_text("utf-8")
    assert all(label in site for label in said["label"].values())
