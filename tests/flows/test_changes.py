"""Change since an earlier run: only the world makes a place worse, and the table tells nothing unpublished."""

import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from hypothesis import given
from hypothesis import strategies as st

from flows.changes import change_between, changes_folder, crosswalk_between, own_earlier, shared_out, tell_change
from flows.earlier_run import earlier_run
from flows.finished_run import read_run
from flows.promote import promote
from flows.run_country import run_country
from flows.verify import differences
from flows.workspace import products
from models.change import FACTORS

from .conftest import ISSUED, small_country_file

SPLIT = [f"change_{f}" for f in FACTORS]
HEAVIER = "weights = { risk = { hazard_and_exposure = 0.8, vulnerability = 0.2, lack_of_coping = 0 } }\n"


def config(folder: Path, *edits: tuple[str, str]) -> str:
    """The small country file with some edits."""
    text = small_country_file()
    for old, new in edits:
        changed = re.sub(old, new, text)
        assert changed != text, old
        text = changed
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "demo.toml").write_text(text, "utf-8")
    return str(folder / "demo.toml")


def run(config: str, data: Path, out: Path, **how) -> Path:
    return Path(run_country.fn(config, data=str(data), issued=ISSUED, out=str(out), **how))


def table(later: Path, before: Path) -> pd.DataFrame:
    """The change between two runs as it was written."""
    return pd.read_csv(changes_folder(later, before.name) / "change.csv", keep_default_na=False, na_values=[""])


def moved_by(rows: pd.DataFrame) -> set[str]:
    return {f for f in FACTORS if (rows[f"change_{f}"].fillna(0) != 0).any()}


@pytest.fixture(scope="module")
def runs(synthetic_inputs, tmp_path_factory) -> SimpleNamespace:
    """One country: two months, then other weights, then new files for the same month."""
    place = tmp_path_factory.mktemp("changes")
    out, plain = place / "out", config(place / "plain")
    weights = config(place / "weights", (r"\[risk\]\n", "[risk]\n" + HEAVIER))
    data = Path(shutil.copytree(synthetic_inputs, place / "inputs"))
    february, march = (run(plain, data, out, as_of=month) for month in ("2024-02", "2024-03"))
    weighed = run(weights, data, out)
    with rasterio.open(data / "rainfall" / "rain_2024.03.tif", "r+") as rain:
        rain.write(rain.read() * 0.2)
    revised = run(weights, data, out)
    return SimpleNamespace(out=out, february=february, march=march, weighed=weighed, revised=revised, weights=weights)


def test_other_weights_make_no_place_worse(runs):
    """All of the change is one of the weights."""
    rows = table(runs.weighed, runs.march)
    assert rows["change"].abs().max() > 0.5
    assert moved_by(rows) == {"weights"}
    assert set(rows["verdict"]) == {"no real change", "not comparable"}


def test_a_new_month_is_real(runs):
    """The same files and settings: what differs is what happened."""
    rows = table(runs.march, runs.february)
    assert moved_by(rows) == {"real"}
    assert {"worse", "better"} <= set(rows["verdict"])
    assert set(rows["as_of_before"]) == {"2024-02"}
    assert set(rows["run_before"]) == {runs.february.name}


def test_new_files_of_the_same_month_are_a_data_vintage(runs):
    """Somebody corrected the rain: no place became worse, we know better."""
    rows = table(runs.revised, runs.weighed)
    assert moved_by(rows) == {"data_vintage"}
    assert "worse" not in set(rows["verdict"])


def test_another_way_to_score_is_a_method(runs, tmp_path, synthetic_inputs):
    """Steeper breakpoints, other means, other bounds of exposure."""
    other = config(
        tmp_path,
        (r"\[-1\.0, 4\], \[-1\.5, 6\]", "[-0.5, 4], [-1.0, 6]"),
        (r"people_low = 1_000", "people_low = 100"),
        (r'hazard_and_exposure = "geometric"', 'hazard_and_exposure = "arithmetic"'),
    )
    later = read_run(run(other, synthetic_inputs, tmp_path / "out"))
    rows = change_between(read_run(runs.march), later)
    assert moved_by(rows) == {"method"}
    assert set(rows["verdict"]) == {"no real change", "not comparable"}


def test_the_printed_parts_add_up(runs):
    """To the printed change, and the columns are those that were promised."""
    rows = table(runs.march, runs.february)
    assert list(rows.columns[:6]) == ["pcode", "name_en", "name_ar", "name_ckb", "adm2_name", "adm1_name"]
    order = ["risk_before", "risk_after", "change", "change_real", "change_data_vintage", "change_method"]
    order += ["change_weights", "change_boundary", "verdict", "run_before", "as_of_before"]
    assert list(rows.columns[6:17]) == order
    assert rows.columns[-1] == "notice"
    assert rows["notice"].str.contains("SYNTHETIC").all()
    known = rows.dropna(subset=SPLIT)
    assert np.allclose(known[SPLIT].sum(axis=1), known["change"])
    assert len(rows) == 60


def test_what_is_not_comparable_has_no_number(runs):
    """A place without a risk in one of the runs is no better and no worse."""
    rows = table(runs.march, runs.february)
    absent = rows["risk_before"].isna() | rows["risk_after"].isna()
    assert absent.any()
    assert set(rows.loc[absent, "verdict"]) == {"not comparable"}
    assert rows.loc[absent, SPLIT].isna().all().all()


def test_the_change_follows_from_the_two_published_cubes_alone(runs, tmp_path):
    """Cubes and receipts in an empty place give the same numbers: the table tells nobody anything new."""
    bare = []
    for folder in (runs.february, runs.march):
        (tmp_path / folder.name).mkdir()
        for name in ("cube.nc", "manifest.json"):
            shutil.copy(folder / name, tmp_path / folder.name)
        bare.append(read_run(tmp_path / folder.name))
    rows = change_between(*bare)
    written = table(runs.march, runs.february).set_index("pcode")
    assert np.allclose(rows["change_real"].round(1), written["change_real"], atol=0.051, equal_nan=True)
    assert list(rows["verdict"]) == list(written["verdict"])


def test_the_run_stays_what_it_was(runs, synthetic_inputs, small_run):
    """The change stands beside the runs: the same question has the same id and bytes, with an earlier run or none."""
    assert runs.march.name != small_run.name or products(runs.march) == products(small_run)
    assert "change.csv" not in {Path(p).name for p in products(runs.march)}
    assert own_earlier(runs.march) == runs.february.name
    assert own_earlier(small_run) == ""
    assert differences(runs.march, str(synthetic_inputs), lambda words: None) == []


def test_an_identical_run_is_compared_with_the_same_one(runs, synthetic_inputs):
    """Which run was the earlier one is decided when a run is made, and stands in its receipt."""
    written = (changes_folder(runs.march, runs.february.name) / "change.csv").read_bytes()
    again = run(runs.weights, runs.out.parent / "inputs", runs.out)
    assert again == runs.revised
    assert own_earlier(again) == runs.weighed.name
    shutil.rmtree(changes_folder(runs.march, runs.february.name))
    tell_change(runs.march, own_earlier(runs.march))
    assert (changes_folder(runs.march, runs.february.name) / "change.csv").read_bytes() == written


def test_the_terminal_says_it_in_words(runs):
    """Names in p-code order, and how many more; what only looks like a change is told apart."""
    first, worse, path = tell_change(runs.march, runs.february.name)
    assert first.startswith(f"Change since 2024-02 ({runs.february.name}): ")
    assert re.fullmatch(r"Worse: .*, .* and \d+ more", worse)
    assert path.endswith("change.csv")
    lines = tell_change(runs.weighed, runs.march.name)
    assert "0 worse" in lines[0]
    assert re.search(r"no place is worse for it: \d+ by other weights", lines[1])


def test_publishing_tells_the_change_since_what_people_saw(runs, tmp_path):
    """A staged run is compared with the one that `latest` names when it is promoted."""
    place = tmp_path / "demo" / "runs"
    for folder in (runs.february, runs.march, runs.weighed):
        shutil.copytree(folder, place / folder.name)
    promote(place / runs.february.name)
    told = promote(place / runs.weighed.name)
    assert told[0].startswith(f"Change since 2024-02 ({runs.february.name})")
    assert (changes_folder(place / runs.weighed.name, runs.february.name) / "change.csv").is_file()


def test_an_earlier_run_that_cannot_be_read_is_told_and_loses_nothing(runs, tmp_path):
    """It may be of an older version."""
    place = tmp_path / "demo" / "runs"
    for folder in (runs.february, runs.march):
        shutil.copytree(folder, place / folder.name)
    (place / runs.february.name / "cube.nc").write_bytes(b"no cube")
    (line,) = tell_change(place / runs.march.name, runs.february.name)
    assert "not comparable" in line
    receipt = json.loads((place / runs.february.name / "manifest.json").read_text("utf-8"))
    receipt["plan"]["settings"]["risk"]["reference_score"] = 99
    (place / runs.february.name / "manifest.json").write_text(json.dumps(receipt), "utf-8")
    (line,) = tell_change(place / runs.march.name, runs.february.name)
    assert "settings that this version cannot read" in line


# ------------------------------------------------------------------ boundaries


def moved_border(folder: Path) -> tuple[str, str]:
    """Give a part of a subdistrict to its neighbour, along a line between two corners; their codes stay."""
    path = folder / "boundaries" / "synthetic_adm3.gpkg"
    shapes = gpd.read_file(path)
    corners = list(shapely.get_parts(shapes.geometry[0])[0].exterior.coords)[:-1]
    pairs = [(n, m) for n in range(len(corners)) for m in range(n + 2, len(corners))]
    for n, m in pairs:
        part = shapely.Polygon(corners[n : m + 1])
        rest = shapely.Polygon([*corners[m:], *corners[: n + 1]])
        if not (part.is_valid and rest.is_valid and not part.overlaps(rest) and part.area > 0.2 * rest.area):
            continue
        beside = [i for i in shapes.index[1:] if shapes.geometry[i].intersection(part).length > 0.05]
        if beside:
            break
    shapes.loc[0, "geometry"] = rest
    shapes.loc[beside[0], "geometry"] = shapes.geometry[beside[0]].union(part)
    shapes.to_file(path, driver="GPKG")
    return shapes.loc[0, "ADM3_PCODE"], shapes.loc[beside[0], "ADM3_PCODE"]


def test_a_border_that_moved_makes_no_place_worse(synthetic_inputs, country, tmp_path):
    """Of the same month, the same rain, the same table of residents: all of the change is one of the boundaries."""
    nobody = config(tmp_path, (r"(?s)\[sources\.displacement\].*?(?=\n\[hazards)", ""))
    before = run(nobody, synthetic_inputs, tmp_path / "out")
    codes = moved_border(country)
    after = run(nobody, country, tmp_path / "out")
    shares = crosswalk_between(*(runs := [read_run(before), read_run(after)]))
    rows = change_between(*runs, shares)
    assert moved_by(rows) == {"boundary"}
    assert set(rows.index[rows["change_boundary"].fillna(0) != 0]) == set(codes)
    assert set(rows["verdict"]) == {"no real change", "not comparable"}
    written = pd.read_csv(changes_folder(after, before.name) / "crosswalk.csv")
    assert set(written.loc[written["share"] < 0.99, "from_pcode"]) == {codes[1]}


# ------------------------------------------------------------------ which run is the earlier one


def keep(out: Path, as_of: str, run_id: str, issued: str, *, exercise: bool = False, finished: str = "") -> dict:
    told = {"country": "demo", "as_of": as_of, "run_id": run_id, "issued": issued, "exercise": exercise}
    folder = out / "demo" / "runs" / (f"{as_of}-{run_id}" + ("-exercise" if exercise else ""))
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({"run": told, "machine": {"finished": finished}}), "utf-8")
    return told


def test_the_earlier_run_is_the_published_one_else_the_newest(tmp_path):
    """Never a later month, never a drill beside a run, never the run itself."""
    own = keep(tmp_path, "2024-03", "c", "2024-04-08")
    assert earlier_run(own, tmp_path) == ""
    keep(tmp_path, "2024-01", "a", "2024-02-08")
    keep(tmp_path, "2024-02", "b", "2024-03-08", finished="1")
    keep(tmp_path, "2024-02", "a", "2024-03-08", finished="2")
    keep(tmp_path, "2024-04", "d", "2024-05-08")
    keep(tmp_path, "2024-03", "x", "2024-04-09", exercise=True)
    assert earlier_run(own, tmp_path) == "2024-02-a"
    (tmp_path / "demo" / "latest.json").write_text(json.dumps({"run": "2024-01-a"}))
    assert earlier_run(own, tmp_path) == "2024-01-a"
    for itself_or_later in ("2024-03-c", "2024-04-d"):
        (tmp_path / "demo" / "latest.json").write_text(json.dumps({"run": itself_or_later}))
        assert earlier_run(own, tmp_path) == "2024-02-a"
    drill = {**own, "exercise": True, "run_id": "y"}
    assert earlier_run(drill, tmp_path) == "2024-03-x-exercise"


points = st.floats(-9, 9).map(lambda v: round(v, 6)) | st.just(0.0)


@given(st.lists(points, min_size=4, max_size=4), st.floats(-0.09, 0.09))
def test_what_is_shared_out_adds_up_and_gives_nothing_to_a_zero(parts, off):
    """Whatever rounding leaves over."""
    total = round(sum(parts) * 10 + off * 10)
    out = shared_out(np.array(parts), total)
    if any(parts):
        assert out.sum() == total
    assert all(o == 0 for o, p in zip(out, parts, strict=True) if p == 0)
