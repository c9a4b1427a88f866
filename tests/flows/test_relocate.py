"""A movement of households: both ends before and after, by the scores of the run and from published counts alone."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import flows.scenario_run
from flows.cli import app
from flows.finished_run import read_run
from flows.relocate_households import ENDS, domestic_of, report_of, unit_of
from flows.rescoring import measured, month_of, rescored
from flows.scenario_words import FIRST, lines_of
from flows.workspace import products
from geodata.schema import InputError, Status
from geodata.store import read_cube, write_cube
from models.protection import STAND_IN
from models.relocation import KINDS, Movement

from .conftest import ISSUED

MANY, FEW, NOBODY, SOME = "XWG04Q03N01", "XWG02Q03N01", "XWG01Q01N02", "XWG04Q02N02"
"""2,580 displaced households; 1 to 4 of them; none; 10."""


@pytest.fixture(scope="module")
def run(demo_run):
    return read_run(demo_run)


@pytest.fixture(scope="module")
def table(demo_run) -> pd.DataFrame:
    path = demo_run / "tables" / "subdistricts.csv"
    return pd.read_csv(path, keep_default_na=False, na_values=[""]).set_index("pcode")


@pytest.fixture(scope="module")
def report(run):
    return report_of(run, Movement(MANY, SOME, 100, arriving="critical"))


# ------------------------------------------------------------------ the same scores


def test_before_is_what_the_run_published(report, table):
    """Scores, classes, tiers, counts and levels of both ends."""
    for end in ENDS:
        before, row = report[end]["before"], table.loc[report[end]["pcode"]]
        for name in ("risk", "hazard", "exposure", "vulnerability", "residents", "displaced_households"):
            assert before[name]["value"] == row[name], name
            assert before[name]["status"] == row[f"{name}_status"], name
        assert before["risk_class"]["value"] == row["risk_class"]
        assert before["risk_tier"]["value"] == row["risk_tier"]
        assert report[end]["warning_reason"] == row["warning_reason"]
        assert before["alert_level"]["value"] in ("normal", "watch", "warning", "emergency")


def test_the_demand_of_people_is_that_of_the_balance(run):
    """The same coefficients, the same groups: to the last digit."""
    month = month_of(run)
    again = domestic_of(run, rescored(run.plan, measured(run, month), run.sheet).cube)
    own = again["demand_domestic"].transpose(*month["water_demand_domestic"].dims)
    assert np.allclose(own.values, month["water_demand_domestic"].values, rtol=1e-12, equal_nan=True)
    assert np.isfinite(own.values).any()


def test_a_hundred_households_more_in_critical_shelter_are_more_easily_harmed(report):
    """Where ten lived before; where they left, hardly anything changes."""
    before, after = (report["destination"][side] for side in ("before", "after"))
    for name in ("vulnerability", "risk", "host_pressure"):
        assert after[name]["value"] > before[name]["value"], name
    assert after["exposure"]["value"] >= before["exposure"]["value"]
    assert after["displaced_households"]["value"] == 110
    assert after["hazard"] == before["hazard"]
    assert after["alert_level"] == before["alert_level"]
    assert after["host_pressure"]["value"] == pytest.approx(1000 * 110 * 6 / 27490, abs=0.05)
    assert after["water_supply"]["mid"] < before["water_supply"]["mid"]
    assert report["origin"]["after"]["displaced_households"]["value"] == 2480


@settings(max_examples=4)
@given(st.data())
def test_households_are_conserved(run, table, data):
    """Over subdistricts with a published count, any destination and any number."""
    origin = data.draw(st.sampled_from(list(table.index[table["displaced_households"] >= 5])))
    destination = data.draw(st.sampled_from([p for p in table.index if p != origin]))
    n = data.draw(st.integers(1, int(table.at[origin, "displaced_households"])))
    kind = data.draw(st.sampled_from(KINDS[:2]))
    account = report_of(run, Movement(origin, destination, n, kind))["households"]
    known = table.loc[[origin, destination], "displaced_households"].sum()
    assert account["displaced_before"] == known
    assert account["displaced_after"] + account["became_residents"] == account["displaced_before"]
    assert account["became_residents"] == (n if kind == "return" else 0)


def test_nothing_else_moves(run):
    """The country holds as many people as before, so no other subdistrict is more exposed."""
    from flows.relocate_households import cells_of, how, with_counts, with_stand_ins
    from models.relocation import relocate

    inputs = measured(run, month_of(run))
    counts = with_stand_ins(cells_of(inputs, [MANY, SOME]))
    after = relocate(counts, Movement(MANY, SOME, 100), **how(run.plan.settings))
    one, two = (
        rescored(run.plan, cube, run.sheet).cube["exposure"].isel(time=-1).to_series()
        for cube in (inputs, with_counts(inputs, after, run.plan.settings))
    )
    others = one.index.drop([MANY, SOME])
    assert np.allclose(one[others], two[others], equal_nan=True)


# ------------------------------------------------------------------ what is hidden, absent or not known


def test_a_few_stay_a_few(run):
    """The stand-in is never printed, and those who come do not tell how many were there."""
    report = report_of(run, Movement(MANY, FEW, 17))
    before, after = (report["destination"][side] for side in ("before", "after"))
    assert before["displaced_households"] == {"value": None, "status": "suppressed"}
    assert after["displaced_households"] == {"at_least": 17, "status": "suppressed"}
    text = "\n".join(lines_of(report))
    assert "17 and few (1-4)" in text
    assert "few (1-4) at the destination" in text
    assert str(STAND_IN) not in json.dumps(report["households"])
    assert {"low", "high", "status"} == set(before["risk"])
    assert "–" in text


def test_a_count_that_becomes_small_is_few(run):
    """As a run would print it: of 2,580 less 2,577."""
    after = report_of(run, Movement(MANY, NOBODY, 2577))["origin"]["after"]
    assert after["displaced_households"] == {"value": None, "status": "suppressed"}
    assert after["vulnerability"] == {"value": None, "status": "suppressed"}
    assert "low" in after["risk"]


def test_where_all_leave_nobody_is_left_to_be_assessed(run):
    """Which is no vulnerability of 0."""
    after = report_of(run, Movement(MANY, NOBODY, 2580))["origin"]["after"]
    assert after["displaced_households"]["value"] == 0
    assert after["vulnerability"]["value"] is None
    assert "low" in after["risk"]


def test_where_nobody_counted_those_who_come_are_told_and_no_share_is_made_up(run, tmp_path):
    """Unknown and 17 is 17 or more, and how they are harmed is not known."""
    copy = Path(shutil.copytree(run.folder, tmp_path / run.folder.name))
    cube = read_cube(copy / "cube.nc")
    for name in [str(v) for v in cube.data_vars if str(v).startswith("displaced_") and f"{v}_status" in cube]:
        cube[name].loc[{"pcode": SOME}] = np.nan
        cube[f"{name}_status"].loc[{"pcode": SOME}] = int(Status.input_missing)
    write_cube(cube, copy / "cube.nc")
    report = report_of(read_run(copy), Movement(MANY, SOME, 17))
    after = report["destination"]["after"]
    assert after["displaced_households"] == {"at_least": 17, "status": "input_missing"}
    assert after["vulnerability"]["value"] is None
    assert report["households"]["besides"] == ["those that nobody counted at the destination"]
    assert "17 and others not counted" in "\n".join(lines_of(report))


@pytest.mark.parametrize("kind", KINDS)
def test_the_words_give_no_advice_and_promise_nothing(run, kind):
    """The own plan comes first; nothing is safe; every absent value says why."""
    text = "\n".join(lines_of(report_of(run, Movement(MANY, FEW, 50, kind))))
    assert FIRST in text
    assert text.startswith("SYNTHETIC")
    assert not re.search(r"\b(safe|no risk|all clear|nan|None|should move)\b", text)
    assert "without coping capacity" in text


# ------------------------------------------------------------------ what was typed


@pytest.mark.parametrize(
    ("movement", "words"),
    [
        ((MANY, SOME, 2581), "N: found 2,581, expected at most 2,580, the published displaced households in Belnosh"),
        ((FEW, SOME, 1), r"A: found displaced households in Ain Varmira: few \(1-4\)"),
        ((FEW, SOME, 3), r"A: found displaced households in Ain Varmira: few \(1-4\)"),
        ((NOBODY, SOME, 1), "expected at most 0"),
        ((SOME, MANY, 9, "displaced", "camp"), "camp shelter"),
        (("XWG06Q03N01", SOME, 1, "evacuation"), "households of residents in Kewdar: not told"),
        ((NOBODY, SOME, 10**6, "evacuation"), "at most 2,545, the published households of residents"),
    ],
)
def test_more_than_the_published_count_is_one_error(run, movement, words):
    """It tells the published count and nothing beside it."""
    with pytest.raises(InputError, match=words) as error:
        report_of(run, Movement(*movement))
    assert len(error.value.findings) == 1


def test_a_hidden_count_gives_the_same_answer_whatever_is_asked(run):
    """Nobody can try out how many there are."""
    answers = set()
    for n in (1, 2, 3, 4, 5, 100):
        with pytest.raises(InputError) as error:
            report_of(run, Movement(FEW, SOME, n))
        answers.add(str(error.value))
    assert len(answers) == 1


def test_names_are_accepted_where_they_mean_one(run):
    """P-codes, and names in any of the scripts; the nearest are listed where there is no such name."""
    units = run.subdistricts
    assert unit_of(MANY, units, "A") == MANY
    assert unit_of("belnosh", units, "A") == MANY
    assert unit_of(units.at[MANY, "name_ar"], units, "A") == MANY
    with pytest.raises(InputError, match=r"A: found 'Belnash.*nearest: .*\(XWG") as error:
        unit_of("Belnash Town", units, "A")
    assert len(error.value.findings) == 1
    twice = units.copy()
    twice["name_en"] = twice["name_en"].replace(twice.at[SOME, "name_en"], "Belnosh")
    with pytest.raises(InputError, match=rf"'Belnosh', ambiguous.*{SOME}.*{MANY}"):
        unit_of("Belnosh", twice, "A")


def relocate_command(*arguments: str, config: str, data: Path, out: Path):
    given = ["--config", config, "--data", str(data), "--issued", ISSUED, "--out", str(out)]
    return CliRunner().invoke(app, ["relocate", *arguments, *given])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((MANY, SOME, "0"), "N: found '0', expected a whole number"),
        ((MANY, SOME, "1.5"), "N: found '1.5', expected a whole number"),
        ((MANY, MANY, "5"), "B: found"),
        (
            (MANY, SOME, "5", "--kind", "flight"),
            "--kind: found 'flight', expected one of displaced, return",
        ),
        ((MANY, SOME, "5", "--arriving", "tents"), "--arriving: found 'tents'"),
        (("Nowhere at all", SOME, "5"), "A: found 'Nowhere at all'"),
    ],
)
def test_a_wrong_argument_is_one_line_and_code_1(arguments, words, small_run, small_config, synthetic_inputs):
    """Field, found, expected."""
    out = small_run.parents[2]
    done = relocate_command(*arguments, config=small_config, data=synthetic_inputs, out=out)
    assert done.exit_code == 1
    assert words in done.output
    assert len([line for line in done.output.splitlines() if line.startswith("error: ")]) == 1
    assert "Traceback" not in done.output


def test_a_kept_run_is_used_whatever_day_it_was_issued_on(small_run, small_config, synthetic_inputs, monkeypatch):
    """The same inputs, settings, code and month have the same numbers; nothing published changes."""
    monkeypatch.setattr(flows.scenario_run, "STAGES", ())  # a run made anew would have no products
    out, before = small_run.parents[2], products(small_run)
    arguments = ["relocate", MANY, SOME, "40", "--config", small_config, "--data", str(synthetic_inputs)]
    done = CliRunner().invoke(app, [*arguments, "--issued", "2024-05-02", "--out", str(out), "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["run"] == small_run.name
    assert told["movement"]["households"] == 40
    assert told["destination"]["after"]["displaced_households"]["value"] == 50
    assert told["destination"]["after"]["water_demand"] == {"value": None, "status": "input_missing"}
    assert [p.name for p in small_run.parent.iterdir()] == [small_run.name]
    assert products(small_run) == before


def test_without_a_kept_run_one_is_made_and_nothing_is_published(small_config, synthetic_inputs, tmp_path, small_run):
    """As `wadi run` makes it, byte by byte; `latest` stays where it was."""
    done = relocate_command("Belnosh", SOME, "40", config=small_config, data=synthetic_inputs, out=tmp_path)
    assert done.exit_code == 0, done.output
    (made,) = (tmp_path / "demo" / "runs").iterdir()
    assert made.name == small_run.name
    assert products(made) == products(small_run)
    assert not (tmp_path / "demo" / "latest.json").exists()
    assert "40 displaced households go from Belnosh to Shemrok" in done.stdout
