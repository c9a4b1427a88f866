"""The command line: quick to answer, plain about mistakes, honest in its exit codes."""

import json
import shutil
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli import app
from flows.promote import promote
from flows.serve import ADDRESS, site_folder, site_server
from flows.summary import Summary, read_summary
from flows.verify import differences
from flows.workspace import products
from geodata.schema import InputError

WADI = Path(sys.executable).with_name("wadi")
COMMANDS = ["demo", "run", "check", "compare", "publish", "serve", "verify", "relocate", "doctor"]


def test_help_names_every_command_and_no_stub():
    """Commands that come later are absent."""
    done = subprocess.run([WADI, "--help"], capture_output=True, text=True, check=True)
    commands = [line.split()[0] for line in done.stdout.split("Commands:")[1].strip().splitlines()]
    assert commands == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_shows_an_example(command):
    """`--help` answers "what do I type?"."""
    done = CliRunner().invoke(app, [command, "--help"])
    assert done.exit_code == 0
    assert f"Example: wadi {command}" in done.output


@pytest.mark.parametrize("arguments", [["run"], ["no-such-command"], ["run", "--config", "demo", "--no-such-option"]])
def test_wrong_usage_is_code_2(arguments):
    """Usage is not input."""
    assert CliRunner().invoke(app, arguments).exit_code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "--config", "irak"],
        ["run", "--config", "demo", "--data", "nowhere"],
        ["run", "--config", "demo", "--data", ".", "--as-of", "2019-13"],
        ["run", "--config", "demo", "--data", ".", "--issued", "2019-02-30"],
        ["verify", "nowhere"],
        ["serve", "nowhere"],
    ],
)
def test_a_wrong_argument_is_code_1_and_one_line(arguments):
    """Told before Prefect starts, without a traceback."""
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 1
    assert done.output.startswith("error: ")
    assert "Traceback" not in done.output


def test_a_fault_of_ours_is_code_70_and_keeps_its_traceback(monkeypatch):
    """Someone has to be able to mend it."""

    def broken(*args, **kwargs):
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr("flows.plan.plan_run", broken)
    done = CliRunner().invoke(app, ["run", "--config", "demo"])
    assert done.exit_code == 70


def test_headlines_name_five_and_how_many_more():
    """No rank: p-code order."""
    summary = Summary(Path("run"), "Risk", tuple("abcdefgh"), ("rain: old",), synthetic=True, exercise=False)
    lines = summary.lines()
    assert lines[0].startswith("SYNTHETIC")
    assert "Highest tier (A): a, b, c, d, e and 3 more" in lines
    assert "Gap: rain: old" in lines
    assert lines[-1].endswith("index.html")


def test_the_summary_of_a_run_is_read_from_its_receipt(demo_run):
    """What the terminal says can be said again later."""
    summary = read_summary(demo_run)
    assert len(summary.highest_tier) > 0
    assert any("salinity" in gap for gap in summary.gaps)


def test_a_run_holds_when_nothing_was_touched(demo_run, synthetic_inputs):
    """Inputs, products and numbers are what the receipt says."""
    assert differences(demo_run, None, lambda words: None) == []


def test_one_changed_byte_of_an_input_is_found(demo_run, country):
    """Named, with both hashes."""
    path = country / "rainfall" / "rain_1999.11.tif"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    (found,) = differences(demo_run, str(country), lambda words: None)
    assert "rain_1999.11.tif" in found


def test_one_changed_number_of_a_product_is_found(demo_run, tmp_path):
    """A table edited by hand no longer is the run's."""
    copy = Path(shutil.copytree(demo_run, tmp_path / demo_run.name))
    table = copy / "tables" / "subdistricts.csv"
    table.write_text(table.read_text("utf-8").replace("2024-03", "2024-02", 1), "utf-8")
    assert any("subdistricts.csv" in line for line in differences(copy, None, lambda words: None))


def test_a_forged_receipt_is_found(small_run, tmp_path):
    """A number and its hash edited together still come out otherwise when derived anew."""
    from geodata.store import sha256_of

    copy = Path(shutil.copytree(small_run, tmp_path / small_run.name))
    table = copy / "tables" / "subdistricts.csv"
    table.write_text(table.read_text("utf-8").replace(",3,monitoring", ",0,monitoring", 1), "utf-8")
    receipt = json.loads((copy / "manifest.json").read_text("utf-8"))
    assert receipt["products"]["tables/subdistricts.csv"] != sha256_of(table)
    receipt["products"]["tables/subdistricts.csv"] = sha256_of(table)
    (copy / "manifest.json").write_text(json.dumps(receipt), "utf-8")
    assert any("derived anew" in line for line in differences(copy, None, lambda words: None))


def test_a_staged_run_goes_live_when_it_is_published(demo_run, tmp_path):
    """Somebody looks first; a damaged run, a drill and a run with errors stay where they are."""
    runs = tmp_path / "demo" / "runs"
    copy = Path(shutil.copytree(demo_run, runs / demo_run.name))
    promote(copy)
    assert json.loads((tmp_path / "demo" / "latest.json").read_text())["run"] == demo_run.name
    (copy / "site" / "index.html").write_text("edited")
    with pytest.raises(InputError, match="changed products"):
        promote(copy)
    receipt = json.loads((copy / "manifest.json").read_text("utf-8"))
    for change, words in (({"exercise": True}, "an exercise"), ({"exercise": False}, "3 errors")):
        checks = copy / "checks.json"
        checks.write_text(json.dumps(json.loads(checks.read_text("utf-8")) | {"errors": 3}))
        receipt["run"] |= change
        receipt["products"] = products(copy)
        (copy / "manifest.json").write_text(json.dumps(receipt))
        with pytest.raises(InputError, match=words):
            promote(copy)


def test_the_site_is_served_on_this_machine_only(demo_out):
    """One address, the published run, the right page."""
    with site_server(demo_out, 0) as server:
        assert server.server_address[0] == ADDRESS
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with urllib.request.urlopen(f"http://{ADDRESS}:{server.server_port}/") as answer:
            page = answer.read()
        server.shutdown()
    assert page == (demo_out / "demo" / "latest" / "site" / "index.html").read_bytes()


def test_a_taken_port_is_told(demo_out):
    """Not a traceback."""
    with site_server(demo_out, 0) as server, pytest.raises(InputError, match="--port"):
        site_server(demo_out, server.server_port)


def test_a_folder_without_a_site_is_told(tmp_path):
    """It names what it looked for."""
    with pytest.raises(InputError, match="no site"):
        site_folder(tmp_path)


@pytest.mark.prefect
@pytest.mark.slow
def test_the_doctor_finds_this_machine_well(tmp_path):
    """Every answer is good, and each names what it looked at."""
    done = subprocess.run([WADI, "doctor", "--out", tmp_path / "new"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    answers = [line.removeprefix("ok ").split(":")[0].strip() for line in done.stdout.splitlines()]
    assert {"python", "prefect", "dask", "disk", "write access", "leaflet", "fastapi"} <= set(answers)
