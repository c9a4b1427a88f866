"""Is this machine able to run Wadi? Each answer is a name, good or bad, and plain words."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

Answer = tuple[str, bool, str]

PINS = {
    "fastapi": ("0.139", "0.150", "newer ones break the start of Prefect's server"),
    "sqlalchemy": ("2.0", "2.1", "with 2.1 Prefect schedules no run"),
}
"""Packages whose version decides whether Prefect works: lowest, first bad one, why."""

LIBRARIES = ("geopandas", "rasterio", "xarray", "shapely", "dask", "prefect", "folium", "scikit-learn", "exactextract")
FREE_GIB_WANTED = 1.0


def examine(out: Path) -> Iterator[Answer]:
    """Every answer, in the order a person would ask."""
    yield python()
    yield from versions()
    yield from pins()
    yield write_access(out)
    yield disk(out)
    yield leaflet()
    yield fonts()
    yield dask()
    yield prefect()


def python() -> Answer:
    """The Python in use."""
    return "python", (3, 11) <= sys.version_info[:2] <= (3, 13), f"{sys.version.split()[0]} (3.11 to 3.13 wanted)"


def versions() -> Iterator[Answer]:
    """The libraries a run stands on."""
    for name in LIBRARIES:
        try:
            yield name, True, metadata.version(name)
        except metadata.PackageNotFoundError:
            yield name, False, "not installed"


def pins() -> Iterator[Answer]:
    """Versions outside which Prefect is known to break."""
    for name, (low, high, why) in PINS.items():
        version = metadata.version(name)
        good = _numbers(low) <= _numbers(version) < _numbers(high)
        yield name, good, version if good else f"{version}, wanted >={low},<{high}: {why}"


def write_access(out: Path) -> Answer:
    """Can results be written?"""
    place = _existing(out)
    try:
        with tempfile.NamedTemporaryFile(dir=place):
            return "write access", True, str(place)
    except OSError as error:
        return "write access", False, f"{place}: {error.strerror or error}"


def disk(out: Path) -> Answer:
    """Is there room for a few runs?"""
    free = shutil.disk_usage(_existing(out)).free / 2**30
    return "disk", free >= FREE_GIB_WANTED, f"{free:.1f} GiB free ({FREE_GIB_WANTED:.0f} wanted)"


def leaflet() -> Answer:
    """Is the map library at hand without the network?"""
    try:
        return "leaflet", True, f"{metadata.version('xstatic-leaflet')} from its package, no network needed"
    except metadata.PackageNotFoundError:
        return "leaflet", False, "the package xstatic-leaflet is not installed"


def fonts() -> Answer:
    """The page uses the reader's fonts; nothing here is needed to make it."""
    folders = ("/usr/share/fonts", "/Library/Fonts", "C:/Windows/Fonts")
    known = [f for f in folders if Path(f).is_dir()]
    words = "system fonts in " + ", ".join(known) if known else "none found here; readers' devices bring their own"
    return "fonts", True, words


def dask() -> Answer:
    """Does Dask compute?"""
    import dask.array as da

    total = int(da.ones(1000, chunks=100).sum().compute())
    return (
        "dask",
        total == 1000,
        f"{os.cpu_count()} processors, a sum over ten chunks {'right' if total == 1000 else 'WRONG'}",
    )


def prefect() -> Answer:
    """Can a flow run, on the server named by the settings or on one of its own?"""
    from prefect import flow
    from prefect.settings import PREFECT_API_URL

    @flow(name="doctor")
    def one() -> int:
        return 1

    where = PREFECT_API_URL.value() or "a server of its own"
    try:
        return "prefect", one() == 1, f"a flow ran on {where}"
    except (RuntimeError, OSError, ValueError) as error:
        return "prefect", False, f"no flow can run on {where}: {error}"


def _existing(path: Path) -> Path:
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
