"""What an edit of the settings would move: told before it is applied, by the very scores that a run would give."""

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from flows.cli import app
from flows.compare_settings import compare, compare_settings
from flows.finished_run import read_run
from flows.rescoring import hazard_names, measured, month_of, rescored, scored_index
from flows.run_country import run_country
from flows.settings import load_settings
from flows.settings_edit import paths_that_measure
from flows.workspace import products
from geodata.schema import InputError
from models.change import FACTORS
from models.hazards import HAZARDS

from .conftest import ISSUED
from .test_changes import config

WEIGHTS = (r"\[risk\]\n", "[risk]\nweights = { risk = { hazard_and_exposure = 0.8, vulnerability = 0.2 } }\n")
STEEPER = (r"\[-1\.0, 4\], \[-1\.5, 6\]", "[-0.5, 4], [-1.0, 6]")
CUTS = (r"class_cut_points = \[2.0, 4.0,", "class_cut_points = [2.0, 4.5,")
WARNINGS = (r"watch_score = 4.0", "watch_score = 2.5")
BOUNDS = (r"lowest = 0, highest = 0.5", "lowest = 0, highest = 0.2")
PEOPLE = (r"people_high = 1_000_000", "people_high = 200_000")
SCALES = (r"scales_months = \[6, 12, 24\]", "scales_months = [12, 24]")


def moved_by(table: pd.DataFrame) -> set[str]:
    return {f for f in FACTORS if (table[f"change_{f}"].fillna(0).abs() > 0).any()}


def compared(run: Path, data: Path, *edits: tuple[str, str], place: Path) -> pd.DataFrame:
    path = config(place, *edits)
    return compare(read_run(run), load_settings(path), str(data), path)


def published(folder: Path) -> pd.DataFrame:
    """Class, tier and level of a run, as of its table."""
    table = pd.read_csv(folder / "tables" / "subdistricts.csv", dtype=str, keep_default_na=False).set_index("pcode")
    return table[["risk_class", "risk_tier", "alert_level"]]


def told(table: pd.DataFrame, side: str) -> pd.DataFrame:
    columns = {f"{c}_{side}": c for c in ("risk_class", "risk_tier", "alert_level")}
    return table[list(columns)].rename(columns=columns).astype(str)


def test_a_run_scored_again_by_its_own_settings_is_the_run(demo_run):
    """To the last bit, every score and part of it: the same functions, on what the cube holds."""
    run = read_run(demo_run)
    month = month_of(run)
    again = rescored(run.plan, measured(run, month), run.sheet)
    names = [n for n in map(str, again.cube.data_vars) if n in month]
    assert {"risk", "exposure", "vulnerability", "contribution_exposure"} <= set(names)
    for name in names:
        assert month[name].identical(again.cube[name].assign_attrs(month[name].attrs)) or (
            month[name].values.tobytes() == again.cube[name].values.tobytes()
        ), name


def test_every_hazard_of_the_demo_can_be_scored_again_from_its_index(demo_run):
    """Whatever the method: breakpoints can be moved without the inputs."""
    run = read_run(demo_run)
    cube = run.cube(names=hazard_names(run.plan.settings))
    blocks = run.plan.settings.assessed_hazards
    assert len(blocks) == 7
    assert [n for n, b in blocks.items() if scored_index(cube, n, b) is None] == []
    assert all(b.method in HAZARDS for b in blocks.values())


def test_the_same_settings_move_nothing(small_run, small_config):
    """And it is said."""
    lines = compare_settings.fn(str(small_run), small_config)
    assert "No subdistrict changes its class, tier or alert level." in lines
    assert any(re.search(r"class: 0, tier: 0, alert level: 0", line) for line in lines)


def test_what_is_told_is_what_a_run_with_these_settings_gives(small_run, synthetic_inputs, tmp_path):
    """All blocks that score at once: class, tier and level of every subdistrict before and after."""
    edits = (WEIGHTS, STEEPER, CUTS, WARNINGS, BOUNDS, PEOPLE)
    table = compared(small_run, tmp_path / "no inputs", *edits, place=tmp_path / "edit")
    edited = config(tmp_path / "edit", *edits)
    after = Path(run_country.fn(edited, data=str(synthetic_inputs), issued=ISSUED, out=str(tmp_path / "out")))
    assert told(table, "before").equals(published(small_run).loc[table.index])
    assert told(table, "after").equals(published(after).loc[table.index])
    assert (told(table, "before") != told(table, "after")).any().all()


@pytest.mark.parametrize(
    ("edit", "factors"),
    [(WEIGHTS, {"weights"}), (STEEPER, {"method"}), (BOUNDS, {"method"}), (PEOPLE, {"method"}), (CUTS, set())],
    ids=["weights", "breakpoints", "bounds", "exposure", "cut points"],
)
def test_each_edit_moves_its_own_factor(small_run, edit, factors, tmp_path):
    """Nothing is real: the world is the same."""
    assert moved_by(compared(small_run, tmp_path, edit, place=tmp_path)) == factors


def test_another_scale_is_measured_from_the_inputs_again(small_run, synthetic_inputs, tmp_path):
    """In a place that is gone afterwards; and the result is that of a run."""
    before = products(small_run)
    table = compared(small_run, synthetic_inputs, SCALES, place=tmp_path / "edit")
    assert moved_by(table) == {"method"}
    edited = config(tmp_path / "edit", SCALES)
    after = Path(run_country.fn(edited, data=str(synthetic_inputs), issued=ISSUED, out=str(tmp_path / "out")))
    assert told(table, "after").equals(published(after).loc[table.index])
    assert products(small_run) == before
    assert [p.name for p in small_run.parent.iterdir()] == [small_run.name]


def test_without_the_inputs_it_says_which_setting_needs_them(small_run, country, tmp_path):
    """One error: the setting, and the folder that is missing or is not what the run read."""
    with pytest.raises(InputError, match=r"hazards.drought.scales_months.*no folder.*--data") as told:
        compared(small_run, tmp_path / "nowhere", SCALES, place=tmp_path)
    assert len(told.value.findings) == 1
    (country / "rainfall" / "rain_1999.11.tif").unlink()
    with pytest.raises(InputError, match=r"rain_1999.11.tif: gone.*the inputs that the run was made from"):
        compared(small_run, country, SCALES, place=tmp_path)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        ((r'key = "demo"', 'key = "other"'), "country.key: found 'other', expected 'demo'"),
        ((r'pcode = "ADM3_PCODE"', 'pcode = "ADM2_PCODE"'), "boundaries.pcode.*under another --out"),
        ((r"camp = \[.Camp.\]", "camp = []"), "sources.displacement.shelter.camp.*under another --out"),
    ],
    ids=["country", "boundaries", "shelter"],
)
def test_what_cannot_be_compared_is_refused(small_run, synthetic_inputs, edit, words, tmp_path):
    """Another country; and a round cut in two ways, which could tell counts apart."""
    with pytest.raises(InputError, match=words):
        compared(small_run, synthetic_inputs, edit, place=tmp_path)


def test_words_measure_nothing(small_config, tmp_path):
    """A label, a licence and a reason are no settings to run again for."""
    edits = ((r'licence = "none needed"', 'licence = "ours"'), (r'why = "WMO normal', 'why = "as WMO'))
    old, new = load_settings(small_config), load_settings(config(tmp_path, *edits, WEIGHTS, STEEPER))
    assert paths_that_measure(old, new) == []
    assert paths_that_measure(old, load_settings(config(tmp_path, SCALES))) == ["hazards.drought.scales_months"]


def test_the_command_line_names_some_or_all_and_writes_a_table(small_run, tmp_path):
    """P-code order, no rank; the table holds every subdistrict."""
    before = products(small_run)
    edited, out = config(tmp_path, WEIGHTS, WARNINGS), tmp_path / "compare.csv"
    arguments = ["compare", str(small_run), "--config", edited]
    done = CliRunner().invoke(app, [*arguments, "--out", str(out)])
    assert done.exit_code == 0, done.output
    named = [line for line in done.stdout.splitlines() if line.startswith("XWG")]
    assert len(named) == 20
    assert named == sorted(named)
    more = int(re.search(r"and (\d+) more; --all names them", done.stdout).group(1))
    every = CliRunner().invoke(app, [*arguments, "--all"]).stdout
    assert len([line for line in every.splitlines() if line.startswith("XWG")]) == 20 + more
    assert re.search(r"tier \w+ -> \w+; .*risk \d\.\d -> \d\.\d \(weights [+−]\d\.\d\)", done.stdout)
    rows = pd.read_csv(out)
    assert len(rows) == 60
    assert {"risk_class_before", "risk_tier_after", "alert_level_after", "change_weights", "notice"} <= set(rows)
    assert products(small_run) == before


def test_a_run_that_is_none_is_one_error(tmp_path, small_config):
    """Code 1, one line."""
    done = CliRunner().invoke(app, ["compare", str(tmp_path), "--config", small_config])
    assert done.exit_code == 1
    assert done.output.startswith("error: ")
    assert len(done.output.strip().splitlines()) == 1


def test_a_damaged_run_is_told(small_run, small_config, tmp_path):
    """Its cube is not there any more."""
    copy = Path(shutil.copytree(small_run, tmp_path / small_run.name))
    (copy / "cube.nc").unlink()
    with pytest.raises(InputError, match=r"cube\.nc"):
        compare_settings.fn(str(copy), small_config)
