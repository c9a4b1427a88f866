"""Prefect's temporary server, started while other things are made ready: nothing else takes as long to start.

Prefect itself starts the same server, but only when a flow is called, and loads all of it into the
calling process too. Whoever has configured Prefect in any way gets what Prefect makes of that.
"""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

CONFIGURED_BY = (
    "PREFECT_API_URL", "PREFECT_API_KEY", "PREFECT_PROFILE", "PREFECT_PROFILES_PATH",
    "PREFECT_SERVER_EPHEMERAL_ENABLED", "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE",
)  # fmt: skip
"""Variables that say which server is meant, or that none may be started."""

TEMPORARY = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}
ADDRESS = "127.0.0.1"


def start_server() -> Callable[[], None]:
    """Start the server in the background and name it to Prefect; call before Prefect is imported.

    Returns
    -------
    () -> None
        Waits until the server answers; RuntimeError if it ends or takes too long.
    """
    if "prefect" in sys.modules or is_configured():
        return lambda: None
    port = free_port()
    options = ("--host", ADDRESS, "--port", str(port), "--log-level", "error", "--lifespan", "on")
    command = [sys.executable, "-m", "uvicorn", "--factory", "prefect.server.api.server:create_app", *options]
    server = subprocess.Popen(command, env={**os.environ, **TEMPORARY})
    atexit.register(stop, server)
    os.environ["PREFECT_API_URL"] = f"http://{ADDRESS}:{port}/api"
    return lambda: wait_for(server, f"http://{ADDRESS}:{port}/api/health")


def is_configured() -> bool:
    """True where the user has told Prefect anything about servers, by variable or by file."""
    home = Path(os.environ.get("PREFECT_HOME", "~/.prefect")).expanduser()
    project = Path("pyproject.toml")
    return (
        any(name in os.environ for name in CONFIGURED_BY)
        or any(path.exists() for path in (home / "profiles.toml", Path("prefect.toml"), Path(".env")))
        or (project.is_file() and "[tool.prefect" in project.read_text("utf-8", "replace"))
    )


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return int(probe.getsockname()[1])


def wait_for(server: subprocess.Popen[bytes], address: str) -> None:
    """Return when something answers at an address."""
    limit = time.monotonic() + float(os.environ["PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"])
    while not answers(address):
        if server.poll() is not None:
            raise RuntimeError(f"Prefect's temporary server ended with code {server.returncode}")
        if time.monotonic() > limit:
            raise RuntimeError("Prefect's temporary server did not answer in time")
        time.sleep(0.05)


def answers(address: str) -> bool:
    """True if a server answers, whatever it says."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        direct.open(address, timeout=5).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def stop(server: subprocess.Popen[bytes]) -> None:
    """End the server; what Prefect still had to tell it was told before, as it registered later."""
    server.terminate()
    try:
        server.wait(5)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
