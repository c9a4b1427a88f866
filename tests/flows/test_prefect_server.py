"""The temporary server is started early, unless the user has told Prefect of another."""

import os
import subprocess
import sys

import pytest

from flows import prefect_server


@pytest.fixture
def unconfigured(monkeypatch, tmp_path):
    """Nobody has told Prefect anything, and it is not imported; what would be started is told instead."""
    for name in prefect_server.CONFIGURED_BY:
        monkeypatch.setenv(name, "")  # so that what the code sets is unset after the test
        monkeypatch.delenv(name)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "prefect", raising=False)
    started = []
    monkeypatch.setattr(subprocess, "Popen", lambda command, env: started.append(env))
    monkeypatch.setattr("atexit.register", lambda *_: None)
    return started


def test_a_server_is_started_and_named_to_prefect_alone(unconfigured, monkeypatch):
    prefect_server.start_server()
    (env,) = unconfigured
    assert env["PREFECT__SERVER_EPHEMERAL"] == "1"
    assert "PREFECT_API_URL" not in env
    assert os.environ["PREFECT_API_URL"].startswith("http://127.0.0.1:")


@pytest.mark.parametrize("name", prefect_server.CONFIGURED_BY)
def test_a_variable_that_names_a_server_leaves_it_to_prefect(unconfigured, monkeypatch, name):
    monkeypatch.setenv(name, "anything")
    prefect_server.start_server()()
    assert unconfigured == []


@pytest.mark.parametrize(
    ("path", "text"),
    [("home/profiles.toml", ""), ("prefect.toml", ""), (".env", ""), ("pyproject.toml", "[tool.prefect.api]\n")],
)
def test_a_file_that_configures_prefect_leaves_it_to_prefect(unconfigured, tmp_path, path, text):
    (tmp_path / path).parent.mkdir(exist_ok=True)
    (tmp_path / path).write_text(text)
    prefect_server.start_server()()
    assert unconfigured == []


def test_settings_that_prefect_has_read_already_are_not_written_past_it(unconfigured, monkeypatch):
    monkeypatch.setitem(sys.modules, "prefect", sys)
    prefect_server.start_server()()
    assert unconfigured == []


def test_a_server_that_ended_is_told_with_its_code(monkeypatch):
    monkeypatch.setenv("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "60")
    ended = subprocess.Popen([sys.executable, "-c", "raise SystemExit(7)"])
    ended.wait()
    with pytest.raises(RuntimeError, match="code 7"):
        prefect_server.wait_for(ended, f"http://127.0.0.1:{prefect_server.free_port()}/api/health")


def test_a_server_that_never_answers_is_not_waited_for_forever(monkeypatch):
    monkeypatch.setenv("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "0.1")
    silent = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        with pytest.raises(RuntimeError, match="in time"):
            prefect_server.wait_for(silent, f"http://127.0.0.1:{prefect_server.free_port()}/api/health")
    finally:
        prefect_server.stop(silent)
    assert silent.returncode is not None
