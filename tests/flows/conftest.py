"""A finished run of the synthetic country, made once, without any server."""

from pathlib import Path

import pytest

ISSUED = "2024-04-08"


@pytest.fixture(scope="session")
def demo_out(synthetic_inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of results that holds one run of the demo."""
    from flows.run_country import run_country

    out = tmp_path_factory.mktemp("out")
    run_country.fn("demo", data=str(synthetic_inputs), issued=ISSUED, out=str(out))
    return out


@pytest.fixture(scope="session")
def demo_run(demo_out: Path) -> Path:
    """Folder of that run."""
    (folder,) = (demo_out / "demo" / "runs").iterdir()
    return folder
