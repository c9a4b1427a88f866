"""The shape of the code, held by the tests: one-way imports, a narrow waist, no shadowed names."""

import importlib.util
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("flows", "geodata", "models", "maps")


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env={"PYTHONPATH": str(folder)})


def copy_of_the_code(folder: Path) -> Path:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


@pytest.mark.slow
def test_imports_point_one_way():
    """The contracts of pyproject.toml hold."""
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "bad_line", "contract"),
    [
        ("models/risk.py", "import prefect", "Science is free of orchestration"),
        ("models/risk.py", "import geodata.store", "Of geodata, science and maps see the waist only"),
        ("maps/site.py", "import models.risk", "Imports point one way"),
        ("geodata/zonal.py", "import prefect", "Only flows know Prefect"),
    ],
)
def test_a_bad_import_is_noticed(tmp_path, module, bad_line, contract):
    """A contract with a misspelt name would pass in silence; so each is shown to fail."""
    folder = copy_of_the_code(tmp_path)
    with (folder / module).open("a", encoding="utf-8") as code:
        code.write(f"\n{bad_line}\n")
    done = lint_imports(folder)
    assert done.returncode != 0
    broken = [line for line in done.stdout.splitlines() if line.endswith("BROKEN")]
    assert any(contract in line for line in broken), done.stdout


def test_the_waist_contract_names_every_module_left_of_the_waist():
    """A new reader must not be open to science just because nobody added it to the list."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    waist = next(c for c in contracts if "waist" in c["name"])
    modules = {f"geodata.{path.stem}" for path in (ROOT / "geodata").glob("*.py")}
    assert set(waist["forbidden_modules"]) == modules - {"geodata.__init__", "geodata.schema"}


@pytest.mark.parametrize("name", PACKAGES)
def test_top_level_name_resolves_to_this_repository(name):
    """Another package of the same name ahead on the path would be used in its place."""
    assert Path(importlib.util.find_spec(name).origin).parent == ROOT / name


def test_no_flow_file_bears_the_name_of_another_module():
    """Prefect loads flow files by path: a file named like a module would shadow it."""
    taken = set(sys.stdlib_module_names) | set(PACKAGES) | {"prefect", "dask", "folium", "xarray", "pandas", "numpy"}
    taken |= {name for names in metadata.packages_distributions() for name in (names,) if name.isidentifier()}
    assert not {path.stem for path in (ROOT / "flows").glob("*.py")} & taken - {"__init__"}


def test_science_loads_neither_prefect_nor_folium_nor_rasterio():
    """What a static graph cannot see: nothing heavy comes in by the back door."""
    code = (
        "import sys, models.risk, models.spi, models.hazards, models.warning\n"
        "print([m for m in ('prefect', 'folium', 'rasterio', 'geopandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_help_needs_no_heavy_import():
    """`wadi --help` must be quick, so the command line loads no science."""
    code = (
        "import sys, flows.cli\n"
        "print([m for m in ('prefect', 'xarray', 'geopandas', 'folium', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
