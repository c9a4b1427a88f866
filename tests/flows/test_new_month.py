"""A new month costs about a month: what was worked out before is used again, and gives the same bytes."""

import json
import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
import xarray as xr

from flows import learning
from flows.kept import RECORD, grow, recall
from flows.learning import learn
from flows.plan import Plan
from flows.run_country import run_country
from flows.settings import load_settings
from geodata.schema import status_like
from models.hazards import HAZARDS

LAST = "rainfall/rain_2024.03.tif"


def run(data, out, as_of):
    return Path(run_country.fn("demo", data=str(data), as_of=as_of, issued="2024-04-08", out=str(out)))


def receipt(folder):
    return json.loads((folder / "manifest.json").read_text("utf-8"))


def kept(out, kind):
    return sorted((Path(out) / "demo" / "kept").glob(f"{kind}-*"))


@pytest.fixture(scope="module")
def grown(synthetic_inputs, tmp_path_factory):
    """A run of February, then one of March with one more file of rain, in the same folder of results."""
    folder = tmp_path_factory.mktemp("grown")
    data = Path(shutil.copytree(synthetic_inputs, folder / "inputs"))
    march = (data / LAST).rename(folder / "march.tif")
    run(data, folder / "out", "2024-02")
    learnt = {path.name for path in kept(folder / "out", "learnt")}
    march.rename(data / LAST)
    return data, folder / "out", run(data, folder / "out", "2024-03"), learnt


@pytest.mark.slow
def test_a_month_added_to_a_run_gives_the_bytes_of_a_full_run(grown, tmp_path):
    data, _, folder, _ = grown
    assert receipt(folder)["products"] == receipt(run(data, tmp_path, "2024-03"))["products"]


@pytest.mark.slow
def test_a_new_month_moves_nothing_that_was_learnt(grown):
    """The parameters of February serve in March: no second entry, and no word of change."""
    _, out, folder, learnt = grown
    assert {path.name for path in kept(out, "learnt")} == learnt
    assert receipt(folder)["machine"]["calibration_moved"] == []


@pytest.mark.slow
def test_a_changed_calibration_year_is_learnt_anew_and_told(grown, tmp_path):
    """Ten times the rain of May 2010 moves what May learnt, and the receipt says so."""
    data, out, folder, _ = grown
    out, data = (
        Path(shutil.copytree(out, tmp_path / "out", symlinks=True)),
        Path(shutil.copytree(data, tmp_path / "inputs")),
    )
    with rasterio.open(data / "rainfall/rain_2010.05.tif", "r+") as file:
        values = file.read(1)
        file.write(np.where(values >= 0, values * 10, values), 1)
    again = run(data, out, "2024-03")
    assert receipt(again)["machine"]["calibration_moved"][0].startswith("drought: the inputs of 1991-2020 changed")
    before, after = (xr.open_dataset(f / "calibration/drought/spi_1.nc")["scale"].load() for f in (folder, again))
    assert not np.array_equal(before.sel(month=5), after.sel(month=5), equal_nan=True)
    assert np.array_equal(before.sel(month=4), after.sel(month=4), equal_nan=True)


# ------------------------------------------------------------------ what is kept


def answers(values, asked):
    """An answer that notes when it is asked for."""

    def answer():
        asked.append(1)
        return {"a": xr.Dataset({"x": ("n", np.asarray(values, dtype=float))}, attrs={"k": 3})}

    return answer


def test_the_same_question_is_answered_once(tmp_path):
    asked = []
    first = recall(tmp_path, "kind", {"q": 1}, answers([1.5, np.nan], asked))
    second = recall(tmp_path, "kind", {"q": 1}, answers([9.0], asked))
    assert len(asked) == 1
    xr.testing.assert_identical(first["a"], second["a"])
    recall(tmp_path, "kind", {"q": 2}, answers([2.0], asked))
    assert len(asked) == 2


@pytest.mark.parametrize("harm", ["flip a byte", "lose the file", "lose the record"])
def test_a_damaged_answer_is_worked_out_again(tmp_path, harm):
    asked = []
    recall(tmp_path, "kind", "q", answers([1.0, 2.0], asked))
    entry = next(tmp_path.glob("kind-*"))
    if harm == "flip a byte":
        content = bytearray((entry / "a.nc").read_bytes())
        content[-9] ^= 1
        (entry / "a.nc").write_bytes(content)
    else:
        (entry / ("a.nc" if harm == "lose the file" else RECORD)).unlink()
    found = recall(tmp_path, "kind", "q", answers([1.0, 2.0], asked))
    assert len(asked) == 2
    assert found["a"]["x"].values.tolist() == [1.0, 2.0]


def test_only_new_and_changed_periods_are_asked_for(tmp_path):
    """January to March; then February changes and April comes; then March is taken back."""
    asked = []

    def answer(times):
        asked.append([t.month for t in times])
        return xr.Dataset({"x": ("time", [float(t.month) + 10 * len(asked) for t in times])}, coords={"time": times})

    def grown(digests):
        times = pd.DatetimeIndex([pd.Timestamp(2020, m, 1) for m in digests], name="time")
        return grow(tmp_path, "kind", "q", pd.Series(list(digests.values()), index=times), answer)["x"].values.tolist()

    assert grown({1: "a", 2: "b", 3: "c"}) == [11, 12, 13]
    assert grown({1: "a", 2: "B", 3: "c", 4: "d"}) == [11, 22, 13, 24]
    assert grown({1: "a", 2: "B", 4: "d"}) == [11, 22, 24]
    assert asked == [[1, 2, 3], [2, 4]]
    assert grown({1: "x", 2: "y"}) == [31, 32]  # nothing of what was kept stands beside what is new throughout


def test_old_answers_make_room(tmp_path):
    for q in range(6):
        recall(tmp_path, "kind", q, answers([q], []))
        recall(tmp_path, "other", 0, answers([q], []))
    assert len(list(tmp_path.glob("kind-*"))) == 3
    assert len(list(tmp_path.glob("other-*"))) == 1


def test_what_was_used_last_makes_room_last(tmp_path):
    """Four questions, of which the first was asked again: the second goes."""
    for q in (0, 1, 2, 0, 3):
        recall(tmp_path, "kind", q, answers([q], []))
        time.sleep(0.02)
    asked = []
    for q in (0, 2, 3):
        recall(tmp_path, "kind", q, answers([q], asked))
    assert asked == []
    recall(tmp_path, "kind", 1, answers([1], asked))
    assert asked == [1]


@pytest.mark.parametrize("method", ["spi", "spei"])
def test_what_an_older_wadi_learnt_is_learnt_anew(tmp_path, monkeypatch, method):
    """It kept the parameters of the index alone; this one needs those beside it, and asks for the rain again."""
    settings, times = load_settings("demo"), pd.date_range("1991-01", "2020-12", freq="MS")
    values = np.random.default_rng(3).gamma(2.0, 20.0, (len(times), 2)) + 1.0
    of_month = xr.DataArray(
        values, dims=("time", "pcode"), coords={"time": times, "pcode": ["A", "B"]}, attrs={"units": "mm/month"}
    )
    inputs = xr.Dataset({"rain": of_month, "evapotranspiration": of_month[::-1].assign_coords(time=times)})
    inputs = inputs.assign({f"{v}_status": status_like(of_month) for v in ("rain", "evapotranspiration")})
    plan, options, asked = Plan(settings, "", as_of="2020-12", issued="2026-01-15"), HAZARDS[method].options(), []

    def known():
        work = str(tmp_path / "out" / "demo" / "runs" / "new")
        return learn("drought", options, plan, work, "subdistricts", lambda: asked.append(method) or inputs)

    monkeypatch.setattr(learning, "calibrating_files", lambda *_: [])  # the same ones throughout
    with monkeypatch.context() as older:
        older.setattr(learning, "code_version", lambda: "an older one")
        older.setattr(learning, "HAZARDS", {method: replace(HAZARDS[method], fit=lambda *_: {f"{method}_6": inputs})})
        assert set(known()) == {f"{method}_6"}
    for _ in range(2):
        indices = HAZARDS[method].indices(inputs, options, (1991, 2020), known())
        assert {f"{method}_{k}_spread" for k in options.all_scales} <= set(indices)
    assert asked == [method] * 2  # once by each of them
