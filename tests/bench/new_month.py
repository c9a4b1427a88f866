"""A new month: the run after one more month of rain, against a full run of that month in an empty folder.

Iraq at 0.05 degrees and 44 years: monthly rain with a file each for drought, and daily rain in files of a month for
heavy rain. Each run has a process of its own and the whole of `run_country`, publishing included; files were
read before, so that all of them find the same cache.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

BOX = (38.7, 28.95, 48.7, 37.45)  # west, south, east, north
ROWS, COLUMNS, CELL = 170, 200, 0.05
FIRST, LAST = "1984-01", "2027-12"
BEFORE, ISSUED = "2027-11", "2028-01-10"
USUAL_MM = (30, 28, 30, 20, 8, 0.5, 0.2, 0.2, 0.5, 8, 20, 28)
MONTHLY = "rainfall/month/rain_{YYYY}.{MM}.tif"
DAILY = "rainfall/day/rain_{YYYY}.{MM}.tif"
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "iraq"


def new_month(*, daily: bool) -> dict[str, float]:
    """Seconds of the run of a new month and of the full run, and the larger memory of the two."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        write_inputs(place / "data", daily=daily)
        config = write_country_file(place / "country.toml", daily=daily)
        held_back = [path for path in (place / "data" / "rainfall").rglob(f"*{LAST.replace('-', '.')}.tif")]
        hidden = [Path(shutil.move(path, place / f"{i}.tif")) for i, path in enumerate(held_back)]
        run(config, place / "data", BEFORE, place / "grown")
        for path, kept in zip(held_back, hidden, strict=True):
            shutil.move(kept, path)
        grown = run(config, place / "data", LAST, place / "grown")
        full = run(config, place / "data", LAST, place / "full")
    if grown["products"] != full["products"]:
        other = [name for name, digest in full["products"].items() if grown["products"].get(name) != digest]
        sys.exit(f"the run of a new month left other bytes than a full one: {', '.join(other)}")
    return {
        "seconds": grown["seconds"],
        "full": full["seconds"],
        "peak_mb": max(grown["peak_mb"], full["peak_mb"]),
        "products": len(full["products"]),
    } | {f"{name}_s": seconds for name, seconds in grown["stages"].items()}


def run(config: Path, data: Path, as_of: str, out: Path) -> dict[str, Any]:
    """One run in a process of its own."""
    command = [sys.executable, "-m", "tests.bench.new_month", *map(str, (config, data, as_of, out))]
    # As on any machine that has run Wadi before: modules are compiled once, and not in each process.
    env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    if done.returncode:
        sys.exit(f"the run of {as_of} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


# ------------------------------------------------------------------ the country


def write_inputs(data: Path, *, daily: bool) -> None:
    """Iraq's own tables and boundaries, and rain by month and by day: whole images in files of a month, not packed."""
    import pandas as pd

    if not SHARED.is_dir():
        sys.exit("the real data is not on this machine")
    for part in ("boundaries", "names", "population", "displacement", "water"):
        shutil.copytree(SHARED / part, data / part)
    generator = np.random.default_rng(7)
    for month in pd.period_range(FIRST, LAST, freq="M"):
        usual = USUAL_MM[month.month - 1]
        days = generator.standard_exponential((month.days_in_month, ROWS, COLUMNS), dtype="float32")
        np.maximum(days - np.float32(1.6), 0, out=days)  # a fifth of the days is wet
        days *= np.float32(usual / month.days_in_month / 0.2)
        name = f"{month:%Y.%m}"
        write_images(data / MONTHLY.replace("{YYYY}.{MM}", name), days.sum(axis=0, keepdims=True))
        if daily:
            write_images(data / DAILY.replace("{YYYY}.{MM}", name), days)


def write_images(path: Path, images: np.ndarray) -> None:
    """A GeoTIFF with a band for each image."""
    import rasterio
    from rasterio.transform import from_origin

    path.parent.mkdir(parents=True, exist_ok=True)
    layout = {"height": ROWS, "width": COLUMNS, "count": len(images), "dtype": "float32", "nodata": -9999.0}
    place = {"crs": "EPSG:4326", "transform": from_origin(BOX[0], BOX[3], CELL, CELL)}
    with rasterio.open(path, "w", driver="GTiff", **layout, **place) as file:
        file.write(images)


def settings_of_iraq() -> dict[str, Any]:
    """Iraq's country file as plain values."""
    return tomllib.loads((resources.files("flows") / "config" / "iraq.toml").read_text("utf-8"))


def write_country_file(path: Path, *, daily: bool) -> Path:
    """Iraq with the made-up rain."""
    text = (resources.files("flows") / "config" / "iraq.toml").read_text("utf-8")
    text = text.replace(settings_of_iraq()["sources"]["rain"]["path"], MONTHLY)
    text = without(text, ("sources.evaporation", "indicators.evaporation"))
    if daily:
        text = without(text, ("hazards.heavy_rain",)) + DAILY_BLOCKS
    path.write_text(text, "utf-8")
    return path


def without(text: str, blocks: tuple[str, ...]) -> str:
    """A country file without some of its blocks and what stands under them."""
    kept, inside = [], False
    for line in text.splitlines(keepends=True):
        if line.startswith("["):
            name = line.strip().strip("[]")
            inside = any(name == block or name.startswith(f"{block}.") for block in blocks)
        kept += [] if inside else [line]
    return "".join(kept)


DAILY_BLOCKS = f"""
[sources.rain_daily]
reader = "raster_stack"
path = "{DAILY}"
quantity = "precipitation"
units = "mm/day"
cadence = "day"
max_age_days = 62
label = {{ en = "Rain by day (made up)", ar = "أمطار يومية", ckb = "بارانی ڕۆژانە" }}
licence = "none needed"
attribution = "made by tests.bench.new_month"

[hazards.heavy_rain]
method = "heavy_rain"
source = "rain_daily"
"""


def main() -> None:
    """One run as the command line asks for it; prints its seconds, memory and products."""
    import resource
    import time

    from flows.policy import prepare_prefect

    prepare_prefect()
    start = time.perf_counter()
    from flows.run_country import run_country

    config, data, as_of, out = sys.argv[1:]
    folder = Path(run_country.fn(config, data=data, as_of=as_of, issued=ISSUED, out=out))
    seconds = time.perf_counter() - start
    receipt = json.loads((folder / "manifest.json").read_text("utf-8"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    stages = receipt["machine"]["seconds"]
    print(json.dumps({"seconds": seconds, "peak_mb": peak, "stages": stages, "products": receipt["products"]}))


if __name__ == "__main__":
    main()
