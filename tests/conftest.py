"""Fixtures shared by all tests."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
# A law may take its time: the machines that hold it are shared, and speed is shown by `make bench`.
settings.register_profile("wadi", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("wadi")

MUST_RUN = os.environ.get("WADI_MUST_RUN", "").split(",")
"""Groups ("browser", "shared") that the gate does not let a test skip."""


SIZES = {"desktop": (1280, 800), "phone": (390, 844), "small": (320, 640)}


def skip_or_fail(group: str, reason: str) -> None:
    """Skip the test, or fail it where this group must run."""
    if group in MUST_RUN:
        pytest.fail(f"{reason}, and WADI_MUST_RUN names {group!r}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real data; the test is skipped, with this reason, where it is absent."""
    if not SHARED.is_dir():
        skip_or_fail("shared", "the real data (../shared/data) is not on this machine")
    return SHARED


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium; the test is skipped, with this reason, where there is none."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        skip_or_fail("browser", "no Chromium on this machine")
    return str(found)


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Any]:
    """A headless Chromium."""
    from playwright import sync_api

    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens an address at a size; asserts at the end that nothing was requested and nothing went wrong."""
    requests, faults, contexts = [], [], []

    def watched(address: str, size: str = "desktop", **options: Any) -> Any:
        width, height = SIZES[size]
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.route(re.compile("^https?:"), lambda route: (requests.append(route.request.url), route.abort()))
        page.on("pageerror", lambda error: faults.append(error.message))
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.goto(address)
        return page

    yield watched
    for context in contexts:
        context.close()
    assert requests == []
    assert faults == []


def made_once(name: str, tmp_path_factory: pytest.TempPathFactory, make: Callable[[Path], object]) -> Path:
    """A folder that the first worker to ask for it makes, and that all workers of a session read.

    Parameters
    ----------
    name : str, of the folder
    make : (Path) -> fills the folder; a failure is told to each worker that asks
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "made-once" / name
    folder.parent.mkdir(exist_ok=True)
    done = folder.with_suffix(".done")
    with FileLock(folder.with_suffix(".lock")):
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            make(folder)
            done.touch()
    return folder


@pytest.fixture(scope="session")
def synthetic_inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data folder of the synthetic country. Read only: a test that breaks something copies it first."""
    from geodata import synthetic

    return made_once("inputs", tmp_path_factory, synthetic.write_country)


@pytest.fixture
def country(synthetic_inputs: Path, tmp_path: Path) -> Path:
    """A copy of the synthetic country's data folder that a test may break."""
    return Path(shutil.copytree(synthetic_inputs, tmp_path / "inputs"))
