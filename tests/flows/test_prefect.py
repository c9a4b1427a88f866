"""Prefect in earnest: the command line, a server, a worker, PostgreSQL; and what can be checked without any of them."""

import asyncio
import contextlib
import inspect
import json
import logging
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import yaml
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowRunFilter,
    FlowRunFilterName,
    FlowRunFilterParentFlowRunId,
    LogFilter,
    LogFilterFlowRunId,
    LogFilterLevel,
)
from prefect.client.schemas.schedules import CronSchedule
from prefect.flows import load_flow_from_entrypoint
from prefect.states import Failed

from flows.policy import DEFAULTS, OneLine, worth_another_try
from flows.settings import load_settings
from geodata.schema import Finding, InputError

from ..conftest import skip_or_fail
from .conftest import ISSUED

REPOSITORY = Path(__file__).resolve().parents[2]
PROJECT = yaml.safe_load((REPOSITORY / "prefect.yaml").read_text("utf-8"))
DEPLOYMENTS = {deployment["name"]: deployment for deployment in PROJECT["deployments"]}

STAGES = {"read-sources", "balance-water", "compute-hazards", "score-risk", "issue-warnings", "publish-products"}
SOURCES = len(load_settings("demo").sources)
PROGRESS = (f"Read {SOURCES} sources", "Water balance", "Hazards assessed", "Risk of", "Alert levels", "Published")
"""Beginnings of the six lines, one a stage, that tell how far a run is."""

SERVER_STARTS_WITHIN_S = 120
RUN_ENDS_WITHIN_S = 300

# ------------------------------------------------------------------ processes


def environment(home: Path, **more: str) -> dict[str, str]:
    """This one without its Prefect settings, with a home of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "WADI_"))}
    return {**kept, "PREFECT_HOME": str(home), **more}


def run(*command: str, env: dict[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """A command that must end in time."""
    return subprocess.run(
        command, env=env, cwd=cwd, capture_output=True, text=True, timeout=RUN_ENDS_WITHIN_S, check=False
    )


def wadi(*arguments: str, env: dict[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """The command line, as a user has it."""
    return run(sys.executable, "-m", "flows.cli", *arguments, env=env, cwd=cwd)


def prefect(*arguments: str, env: dict[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Prefect's command line, never asking back."""
    done = run(sys.executable, "-m", "prefect", "--no-prompt", *arguments, env=env, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@contextlib.contextmanager
def started(
    *command: str, log: Path, env: dict[str, str] | None = None, stop: signal.Signals = signal.SIGTERM, **more
) -> Iterator[subprocess.Popen[bytes]]:
    """A process with all its children, of which none is left afterwards."""
    with log.open("wb") as lines:
        process = subprocess.Popen(command, env=env, stdout=lines, stderr=lines, start_new_session=True, **more)
    try:
        yield process
    finally:
        process.send_signal(stop)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=10)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(ready, process: subprocess.Popen[bytes], log: Path) -> None:
    """Poll until something is there; fail with the log when the process dies or time is up."""
    deadline = time.monotonic() + SERVER_STARTS_WITHIN_S
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"{process.args} did not start:\n{log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.3)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as reply:
            return reply.status == 200
    except (urllib.error.URLError, OSError):
        return False


@contextlib.contextmanager
def prefect_server(folder: Path, **settings: str) -> Iterator[dict[str, str]]:
    """A server on a free port of this machine; gives the environment of its clients."""
    port, log = free_port(), folder / "server.log"
    env = environment(folder / "home", **DEFAULTS, **settings)
    command = (sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port))
    url = f"http://127.0.0.1:{port}/api"
    with started(*command, log=log, env=env, cwd=folder) as process:
        wait_until(lambda: answers(f"{url}/health"), process, log)
        yield {**environment(folder / "home"), "PREFECT_API_URL": url}


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Environment of the clients of a real server on SQLite, shared by the tests of this file."""
    with prefect_server(tmp_path_factory.mktemp("server")) as env:
        yield env


@pytest.fixture
def api(server: dict[str, str]) -> Iterator[SyncPrefectClient]:
    """The server's own word on what happened."""
    with SyncPrefectClient(api=server["PREFECT_API_URL"]) as client:
        yield client


def run_on(env: dict[str, str], inputs: Path, out: Path, config: str = "demo") -> subprocess.CompletedProcess[str]:
    """`wadi run` of the synthetic country."""
    arguments = ("--config", config, "--data", str(inputs), "--issued", ISSUED, "--out", str(out))
    return wadi("run", *arguments, env=env, cwd=out.parent)


def states(client: SyncPrefectClient, parent) -> dict[str, str]:
    """Name of the flow -> state of each run that a run started."""
    children = client.read_flow_runs(
        flow_run_filter=FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[parent.id]))
    )
    return {client.read_flow(child.flow_id).name: child.state_name for child in children}


def logged_of(client: SyncPrefectClient, flow_run, level: int) -> list[str]:
    """Messages of a run's log in the UI, from a level upward."""
    wanted = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[flow_run.id]), level=LogFilterLevel(ge_=level))
    return [line.message for line in client.read_logs(log_filter=wanted)]


def latest_run(client: SyncPrefectClient, name: str):
    """The last run of a name."""
    found = client.read_flow_runs(flow_run_filter=FlowRunFilter(name=FlowRunFilterName(any_=[name])))
    return max(found, key=lambda each: each.created)


# ------------------------------------------------------------------ without a server


def test_every_bundled_country_has_one_deployment_and_nothing_else_has():
    """A country is deployed by its name."""
    bundled = {p.name.removesuffix(".toml") for p in resources.files("flows").joinpath("config").iterdir()}
    assert set(DEPLOYMENTS) == bundled
    assert len(DEPLOYMENTS) == len(PROJECT["deployments"])
    assert all(deployment["parameters"]["config"] == name for name, deployment in DEPLOYMENTS.items())


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_an_entrypoint_is_the_flow_and_takes_the_parameters(name):
    """What a worker will call, with what it will call it with."""
    deployment = DEPLOYMENTS[name]
    flow = load_flow_from_entrypoint(deployment["entrypoint"])
    assert flow.name == "run-country"
    inspect.signature(flow.fn).bind(**deployment["parameters"])
    assert flow.validate_parameters(deployment["parameters"])["config"] == name
    assert load_settings(name).country.key


@pytest.mark.parametrize("name", [name for name, each in DEPLOYMENTS.items() if each.get("schedules")])
def test_a_schedule_names_its_time_zone(name):
    """Six o'clock is six o'clock where the analyst is; both words are checked by Prefect's own model."""
    for schedule in DEPLOYMENTS[name]["schedules"]:
        checked = CronSchedule(cron=schedule["cron"], timezone=schedule["timezone"])
        assert checked.timezone == "Asia/Baghdad"
        assert schedule["active"] is False


def test_deployments_run_in_one_pool_and_say_which_folders_they_need():
    """The environment gives the places; none is written down."""
    text = (REPOSITORY / "prefect.yaml").read_text("utf-8")
    assert {d["work_pool"]["name"] for d in DEPLOYMENTS.values()} == {"wadi"}
    for place in ("WADI_HOME", "WADI_DATA", "WADI_OUT"):
        assert f"{{{{ ${place} }}}}" in text


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (OSError("the network drive is away"), True),
        (InputError(Finding("error", "sources.rain", "a.tif", "pixels", "half", "all")), False),
        (ValueError("a fault of ours"), False),
    ],
)
def test_only_what_may_pass_is_tried_again(error, again):
    """A wrong input stays wrong; also beside a running event loop, and where the error is kept in a record."""

    async def beside_a_loop():
        return worth_another_try(None, None, Failed(data=error))

    record = SimpleNamespace(data=SimpleNamespace(result=error))
    assert worth_another_try(None, None, Failed(data=error)) is again
    with ThreadPoolExecutor(1) as thread:  # this one may have a loop of its own already
        assert thread.submit(lambda: asyncio.run(beside_a_loop())).result() is again
    assert worth_another_try(None, None, record) is again


MISTAKE = InputError(Finding("error", "sources.rain", "a.tif", "pixels", "half", "all"))


@pytest.mark.parametrize(
    ("error", "level", "passes", "traceback"),
    [
        (MISTAKE, "WARNING", False, False),  # the command line ends with the findings itself
        (MISTAKE, "INFO", True, False),  # a worker's log has one line
        (ValueError("a fault of ours"), "WARNING", True, True),
    ],
)
def test_the_log_of_a_failed_run_keeps_only_our_own_tracebacks(error, level, passes, traceback, request):
    """A mistake is no puzzle for a programmer."""
    chosen = logging.getLogger("prefect").level
    request.addfinalizer(lambda: logging.getLogger("prefect").setLevel(chosen))
    logging.getLogger("prefect").setLevel(level)
    told = (type(error), error, None)
    record = logging.LogRecord("prefect.flow_runs", logging.ERROR, "", 0, "Encountered %r", (error,), told)
    assert OneLine().filter(record) is passes
    assert (record.exc_info is not None) is traceback


WITHOUT_SERVER = """
import json, sys, psutil
from pathlib import Path
from types import SimpleNamespace
from prefect.server.api.server import SubprocessASGIServer
from flows.check_inputs import check_inputs
from flows.run_country import run_country

def refuse(*_, **__):
    raise SystemExit("a server was asked for")

SubprocessASGIServer.start = refuse
config, data, out, issued = sys.argv[1:]
findings = check_inputs.fn(config, data, None, issued)
folder = Path(run_country.fn(config, data=data, issued=issued, out=out))
print(json.dumps([folder.name, len(findings), len(psutil.Process().children(recursive=True))]))
"""


@pytest.mark.slow
def test_plain_functions_of_the_flows_need_no_server(small_config, synthetic_inputs, tmp_path):
    """`.fn` of the whole line, and with it of every stage, starts no process and makes no database."""
    home = tmp_path / "home"
    question = (small_config, str(synthetic_inputs), str(tmp_path / "out"), ISSUED)
    script = (sys.executable, "-c", WITHOUT_SERVER, *question)
    done = run(*script, env=environment(home), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    run_id, findings, children = json.loads(done.stdout.splitlines()[-1])
    assert (tmp_path / "out" / "demo" / "runs" / run_id / "manifest.json").is_file()
    assert findings > 0
    assert children == 0
    assert not list(home.glob("*.db*"))


# ------------------------------------------------------------------ the command line


@pytest.mark.prefect
@pytest.mark.slow
def test_the_demo_works_on_a_machine_that_never_saw_prefect(tmp_path):
    """The first run ends with the summary on stdout; stderr tells five stages, once each, and nothing else."""
    done = wadi("demo", "--out", "out", "--issued", ISSUED, env=environment(tmp_path / "home"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said[0].startswith("SYNTHETIC")
    assert said[1].startswith("Risk per subdistrict")
    assert said[-1].startswith("Map: ")
    assert (tmp_path / said[-1].removeprefix("Map: ")).is_file()
    begun = ("Making the synthetic country", "Starting Prefect", *PROGRESS)
    told = done.stderr.splitlines()
    assert len(told) == len(begun), done.stderr
    assert all(line.startswith(words) for line, words in zip(told, begun, strict=True)), done.stderr


@pytest.mark.prefect
@pytest.mark.slow
def test_a_mistake_is_one_line_per_finding_and_no_traceback(server, api, country, small_config, tmp_path):
    """Two broken files, two lines, code 1; the log in the UI is as short, and no task tried again."""
    for name in ("rainfall/rain_2010.05.tif", "displacement/idp_list_2024-02-29.xlsx"):
        whole = (country / name).read_bytes()
        (country / name).write_bytes(whole[: len(whole) // 2])
    done = run_on(server, country, tmp_path / "out", small_config)
    assert done.returncode == 1
    assert done.stdout == ""
    first, *errors = done.stderr.splitlines()
    assert first.startswith("Starting Prefect")
    assert len(errors) == 2, done.stderr
    for line, name in zip(sorted(errors), ("displacement/idp_list", "rainfall/rain_2010.05.tif"), strict=True):
        assert line.startswith(f"error: {name}")
        assert ": found " in line
        assert ", expected " in line
    assert not list((tmp_path / "out" / "demo" / "runs").iterdir())
    failed = latest_run(api, f"demo-{ISSUED}")
    assert failed.state_name == "Failed"
    assert "rain_2010.05.tif" in failed.state.message
    assert not [line for line in logged_of(api, failed, 0) if "Traceback" in line]


FAULTY = """
import sys
from flows import score_risk
from flows.cli import main
from geodata.schema import ContractError

def broken(*_):
    raise ContractError("rain: dims ('day',), expected ('time', 'pcode')")

score_risk.score = broken
sys.argv = ["wadi", *sys.argv[1:]]
main()
"""


@pytest.mark.prefect
@pytest.mark.slow
def test_a_fault_of_ours_keeps_its_traceback(server, small_config, synthetic_inputs, tmp_path):
    """Code 70, the place in our code, and whose fault it is."""
    arguments = ("run", "--config", small_config, "--data", str(synthetic_inputs), "--issued", ISSUED, "--out", "out")
    done = run(sys.executable, "-c", FAULTY, *arguments, env=server, cwd=tmp_path)
    assert done.returncode == 70
    assert "Traceback" in done.stderr
    assert "ContractError: rain: dims" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("This is a fault in Wadi")
    assert not list((tmp_path / "out" / "demo" / "runs").iterdir())


# ------------------------------------------------------------------ a server


def check_the_record(client: SyncPrefectClient, out: Path) -> None:
    """Runs of every stage, their tasks by name, and the three artifacts of the finished run in `out`."""
    parent = latest_run(client, f"demo-{ISSUED}")
    assert parent.state_name == "Completed"
    assert states(client, parent) == dict.fromkeys(STAGES, "Completed")
    children = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[parent.id]))
    tasks = client.read_task_runs(flow_run_filter=children)
    assert {t.state_name for t in tasks} == {"Completed"}
    names = {t.name.rsplit("-", 1)[0] for t in tasks}
    assert {"read-boundaries", "read-source", "zonal-mean", "assess-hazard", "score", "alert-levels"} <= names
    assert {"publish-tables", "publish-cube", "publish-site", "publish-rasters"} <= names

    left = client.read_artifacts(artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[parent.id])))
    artifacts = {a.key: a for a in left}
    assert set(artifacts) == {"wadi-summary", "wadi-subdistricts", "wadi-map"}
    folder = out / "demo" / json.loads((out / "demo" / "latest.json").read_text("utf-8"))["path"]
    printed = pd.read_csv(folder / "tables" / "subdistricts.csv", dtype=str, keep_default_na=False)
    rows = pd.DataFrame(json.loads(artifacts["wadi-subdistricts"].data))
    pd.testing.assert_frame_equal(rows, printed[list(rows.columns)], check_dtype=False)
    assert {"pcode", "risk_tier", "risk_class", "alert_level", "warning_reason"} <= set(rows.columns)
    assert "SYNTHETIC" in artifacts["wadi-summary"].data
    assert "Risk per subdistrict, Merzan, 2024-03" in artifacts["wadi-summary"].data
    assert (folder / "site" / "index.html").absolute().as_uri() in artifacts["wadi-map"].data


@pytest.mark.prefect
@pytest.mark.slow
def test_a_server_keeps_the_record_of_a_run(server, api, synthetic_inputs, tmp_path):
    """One run, one child per stage, tasks by name, and the result where the analyst looks for it."""
    done = run_on(server, synthetic_inputs, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    check_the_record(api, tmp_path / "out")
    told = logged_of(api, latest_run(api, f"demo-{ISSUED}"), 30)
    assert told == []


@pytest.mark.prefect
@pytest.mark.slow
def test_a_worker_runs_a_deployment(server, api, synthetic_inputs, tmp_path):
    """From prefect.yaml in a fresh copy to `latest.json`, with the commands that its first lines name."""
    home, out = tmp_path / "wadi", tmp_path / "out"
    home.mkdir()
    for package in ("flows", "geodata", "models", "maps"):
        shutil.copytree(REPOSITORY / package, home / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "prefect.yaml", home)
    shutil.copytree(synthetic_inputs, out / "demo" / "inputs")
    places = {"WADI_HOME": str(home), "WADI_DATA": str(tmp_path / "data"), "WADI_OUT": str(out)}
    env = {**server, **places, "PREFECT_WORKER_QUERY_SECONDS": "2"}

    prefect("work-pool", "create", "--type", "process", "wadi", env=env, cwd=home)
    prefect("deploy", "--all", env=env, cwd=home)
    deployed = {api.read_deployment_by_name(f"run-country/{name}").name for name in DEPLOYMENTS}
    assert deployed == set(DEPLOYMENTS)

    log = tmp_path / "worker.log"
    with started(sys.executable, "-m", "prefect", "worker", "start", "--pool", "wadi", log=log, env=env, cwd=tmp_path):
        prefect("deployment", "run", "run-country/demo", "-p", f"issued={ISSUED}", "--watch", env=env, cwd=tmp_path)
    check_the_record(api, out)
    lines = logged_of(api, latest_run(api, f"demo-{ISSUED}"), 0)
    assert not [line for line in lines if "Traceback" in line]
    printed = log.read_text(errors="replace")
    assert all(printed.count(words) == 1 for words in PROGRESS), printed


# ------------------------------------------------------------------ PostgreSQL


@pytest.fixture
def postgres() -> Iterator[str]:
    """URL of a fresh database; the test is skipped, with a reason, where PostgreSQL is not installed."""
    places = [p.parent for p in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))]
    found = shutil.which("initdb", path=os.pathsep.join([os.environ.get("PATH", ""), *map(str, places)]))
    if found is None:
        skip_or_fail("postgres", "no PostgreSQL on this machine (apt-get install postgresql)")
    programs = Path(str(found)).resolve().parent
    # PostgreSQL refuses to run as root, and its user must be able to reach the folder.
    user = "nobody" if os.geteuid() == 0 else None
    folder, port = Path(tempfile.mkdtemp(prefix="wadi-postgres-")), free_port()
    try:
        if user is not None:
            os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
        (folder / "log").touch()
        place = str(folder / "data")
        new = (str(programs / "initdb"), "-D", place, "-U", "wadi", "-A", "trust", "-E", "UTF8", "--no-sync")
        made = subprocess.run(new, user=user, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
        assert made.returncode == 0, made.stderr
        serve = (str(programs / "postgres"), "-D", place, "-h", "127.0.0.1", "-p", str(port), "-k", "", "-F")
        log = folder / "log"
        with started(*serve, log=log, stop=signal.SIGINT, user=user, cwd=folder) as process:
            wait_until(lambda: "ready to accept connections" in log.read_text(), process, log)
            yield f"postgresql+asyncpg://wadi@127.0.0.1:{port}/postgres"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.prefect
@pytest.mark.slow
def test_the_record_can_be_kept_in_postgresql(postgres, small_config, synthetic_inputs, tmp_path):
    """The same run, the same record, on the database that a shared server has."""
    settings = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": postgres}
    with prefect_server(tmp_path, **settings) as env:
        done = run_on(env, synthetic_inputs, tmp_path / "out", small_config)
        assert done.returncode == 0, done.stderr
        with SyncPrefectClient(api=env["PREFECT_API_URL"]) as client:
            check_the_record(client, tmp_path / "out")
    assert not list((tmp_path / "home").glob("*.db*"))
