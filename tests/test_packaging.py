"""The wheel holds what the code reads: a missing catalogue is noticed only where nobody develops."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("flows", "geodata", "models", "maps")


@pytest.mark.slow
def test_the_wheel_holds_every_file_of_the_packages(tmp_path):
    """Code, country files, catalogues, script and style sheet."""
    source = tmp_path / "source"  # a copy: an old build folder beside the code would be packed too
    for package in PACKAGES:
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, source], check=True)
    (wheel,) = tmp_path.glob("wadi-*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith(PACKAGES)}
    here = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert packed == here


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize("kind", ["run", "test"])
def test_pins_are_names_versions_and_hashes_and_nothing_else(version, kind):
    """No address of an index or a mirror, no path of a machine."""
    lines = (ROOT / "requirements" / f"{kind}-{version}.txt").read_text("utf-8").splitlines()
    assert len(lines) > 500
    strange = [
        line
        for line in lines
        if not line.startswith("    --hash=sha256:")
        and not (line[:1].isalnum() and "==" in line and line.endswith("\\"))
    ]
    assert strange == []
    assert not [line for line in lines if "://" in line or "@ " in line]


def test_the_two_breakages_of_prefect_stay_pinned():
    """Newer fastapi breaks its start, newer sqlalchemy its scheduler."""
    for version in ("3.11", "3.12", "3.13"):
        pins = (ROOT / "requirements" / f"run-{version}.txt").read_text("utf-8")
        assert "\nfastapi==0.1" in pins
        assert tuple(map(int, pins.split("\nfastapi==")[1].split()[0].split(".")[:2])) < (0, 150)
        assert "\nsqlalchemy==2.0." in pins
