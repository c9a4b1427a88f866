"""Finished runs of the synthetic country, made once, without any server."""

import re
import shutil
from importlib import resources
from pathlib import Path

import pytest

from ..conftest import made_once

ISSUED = "2024-04-08"


@pytest.fixture(scope="session")
def demo_out(synthetic_inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of results that holds one run of the demo."""
    from flows.run_country import run_country

    made = made_once(
        "demo-out",
        tmp_path_factory,
        lambda out: run_country.fn("demo", data=str(synthetic_inputs), issued=ISSUED, out=str(out)),
    )
    # Some tests add runs to it: each worker has a copy of its own.
    return Path(shutil.copytree(made, tmp_path_factory.mktemp("demo") / "out", symlinks=True))


@pytest.fixture(scope="session")
def demo_run(demo_out: Path) -> Path:
    """Folder of that run."""
    (folder,) = (demo_out / "demo" / "runs").iterdir()
    return folder


SMALL = {"sources": ("rain", "residents", "displacement", "returnees"), "hazards": ("drought",)}
"""What the small country file keeps: enough for every stage and every kind of product."""

LEFT_OUT = ("indicators", "water_demand", "water_balance")


def small_country_file() -> str:
    """The demo's country file with three of its sources and one hazard; no indicator, no demand for water."""
    text = (resources.files("flows") / "config" / "demo.toml").read_text("utf-8")
    blocks = []
    for block in re.split(r"(?m)^(?=\[)", text):
        kind, name, inner = header.groups() if (header := re.match(r"\[(\w+)\.?(\w*)(\.?)", block)) else ("", "", "")
        if kind in SMALL and name not in SMALL[kind]:
            blocks.append(f'[hazards.{name}]\nmethod = "none"\n\n' if kind == "hazards" and not inner else "")
        elif kind not in LEFT_OUT:
            blocks.append(block)
    return "".join(blocks)


@pytest.fixture(scope="session")
def small_config(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Path of the small country file: for tests of what does not depend on how many hazards a country has."""
    path = tmp_path_factory.mktemp("small") / "demo.toml"  # a run is named after its file
    path.write_text(small_country_file(), "utf-8")
    return str(path)


@pytest.fixture(scope="session")
def small_run(small_config: str, synthetic_inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run of the small country file."""
    from flows.run_country import run_country

    out = tmp_path_factory.mktemp("small-out")
    return Path(run_country.fn(small_config, data=str(synthetic_inputs), issued=ISSUED, out=str(out)))
