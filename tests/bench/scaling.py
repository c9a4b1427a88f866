"""`make scaling`: what the hazard stage costs with more cells, more subdistricts, and two worker processes.

Writes docs/scaling.md and docs/scaling.png. Each measurement runs in a process of its own, so
that its peak memory is its own too.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from flows.settings import Settings

DOCS = Path(__file__).resolve().parents[2] / "docs"
MONTHS = 528
AS_OF = "2023-12"
CELL_DEGREES = (0.1, 0.05, 0.025)  # 11,000 cells, 4 and 16 times as many
UNITS = (300, 3000)
BOX = (38.0, 28.0, 49.0, 38.0)  # west, south, east, north
RUNS = 3  # of which the least counts


@dataclass(frozen=True)
class Measured:
    """One measurement of the hazard stage.

    Parameters
    ----------
    cells, units : int
    workers : int, worker processes of a Dask scheduler; 0 for threads of the one process
    seconds : float, of the clock
    means, indices, rasters : float, seconds of processor time, which other programs hardly lengthen, of all
        processes together: files to zonal means, to indices and scores, and cell by cell
    peak_mb : float, of the process; with workers, of the largest process
    """

    cells: int
    units: int
    workers: int
    seconds: float
    means: float
    indices: float
    rasters: float
    peak_mb: float

    @property
    def processor(self) -> float:
        """Processor time of the whole stage."""
        return self.means + self.indices + self.rasters


# ------------------------------------------------------------------ a country of any size


def write_rain(folder: Path, cell: float, box: tuple[float, float, float, float] = BOX) -> int:
    """A GeoTIFF for each of 528 months: gamma rain with dry summers. Returns: cells of an image."""
    import pandas as pd
    import rasterio
    from rasterio.transform import from_origin

    west, south, east, north = box
    height, width = round((north - south) / cell), round((east - west) / cell)
    generator = np.random.default_rng(7)
    shape = generator.uniform(0.6, 2.0, (height, width)).astype("float32")
    layout = {"height": height, "width": width, "count": 1, "dtype": "float32", "nodata": -9999.0}
    place = {"crs": "EPSG:4326", "transform": from_origin(west, north, cell, cell)}
    folder.mkdir(parents=True)
    for month in pd.period_range(end=AS_OF, periods=MONTHS, freq="M"):
        rain = 20.0 * generator.standard_gamma(shape, dtype="float32")
        if 6 <= month.month <= 9:
            rain[generator.random(rain.shape, dtype="float32") < 0.9] = 0.0
        name = f"rain_reconstructed_{month:%Y.%m}.tif"
        with rasterio.open(folder / name, "w", driver="GTiff", **layout, **place) as file:
            file.write(rain, 1)
    return height * width


def write_units(path: Path, n: int) -> None:
    """About `n` subdistricts over the box, in 20 districts of 5 governorates."""
    import geopandas as gpd
    import shapely

    west, south, east, north = BOX
    generator = np.random.default_rng(11)
    points = np.column_stack([generator.uniform(west, east, n), generator.uniform(south, north, n)])
    cells = shapely.get_parts(shapely.voronoi_polygons(shapely.multipoints(points), extend_to=shapely.box(*BOX)))
    shapes = shapely.intersection(cells, shapely.box(west + 0.2, south + 0.2, east - 0.2, north - 0.2))
    shapes = shapes[shapely.area(shapes) > 0]
    district = np.arange(len(shapes)) * 20 // len(shapes)
    codes = {
        "ADM3_PCODE": [f"IQG{d // 4 + 1:02d}Q{d + 1:02d}N{i:04d}" for i, d in enumerate(district)],
        "ADM2_PCODE": [f"IQG{d // 4 + 1:02d}Q{d + 1:02d}" for d in district],
        "ADM1_PCODE": [f"IQG{d // 4 + 1:02d}" for d in district],
    }
    names = {c.replace("PCODE", k): [f"Place {v}" for v in codes[c]] for c in codes for k in ("EN", "AR")}
    path.parent.mkdir(parents=True)
    gpd.GeoDataFrame({**codes, **names}, geometry=list(shapes), crs="EPSG:4326").to_file(path)


def settings_of_rain_alone() -> Settings:
    """Iraq's country file with its monthly rain and its drought hazard, and nothing else."""
    from flows.settings import Settings

    values = tomllib.loads((resources.files("flows") / "config" / "iraq.toml").read_text("utf-8"))
    missing = {name: {"method": "none"} for name in values["hazards"] if name != "drought"}
    kept = {"sources": {"rain": values["sources"]["rain"]}, "hazards": {"drought": values["hazards"]["drought"]}}
    kept["boundaries"] = {k: v for k, v in values["boundaries"].items() if k != "gazetteer"}  # names cost nothing here
    return Settings.model_validate(values | kept | {"hazards": kept["hazards"] | missing, "indicators": {}})


# ------------------------------------------------------------------ one measurement


def hazard_stage(data: Path, cells: int = 0, units: int = 0, scheduler: str | None = None) -> Measured:
    """Zonal means of 528 months from the files, indices and scores of the units, and the last month cell by cell."""
    from flows.compute_hazards import compute_hazards
    from flows.plan import Plan, with_inputs
    from flows.rasters import write_rasters
    from flows.read_sources import read_sources
    from flows.run_country import dask_scheduler
    from flows.workspace import unfinished

    plan = with_inputs(Plan(settings_of_rain_alone(), str(data), AS_OF, "2024-01-15"))
    with tempfile.TemporaryDirectory() as out, unfinished(plan, out) as work, dask_scheduler(scheduler):
        steps = (
            lambda: read_sources.fn(str(work)),
            lambda: compute_hazards.fn(str(work)),
            lambda: write_rasters(plan, str(work), ""),
        )
        start, spent = time.perf_counter(), [processor_seconds()]
        for step in steps:
            step()
            spent.append(processor_seconds())
        seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Measured(cells, units, 0, round(seconds, 3), *(round(s, 3) for s in np.diff(spent)), round(peak))


def processor_seconds() -> float:
    """Processor time so far of this process, and of the workers of its Dask scheduler if it has one."""
    from distributed import get_client

    try:
        workers = sum(get_client().run(time.process_time).values())
    except ValueError:
        workers = 0.0
    return time.process_time() + workers


@contextmanager
def two_workers() -> Iterator[str]:
    """Address of a scheduler with two worker processes of one thread each."""
    from distributed import LocalCluster

    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "host": "127.0.0.1"}
    with LocalCluster(**options, dashboard_address="127.0.0.1:0") as cluster:
        yield cluster.scheduler_address


def measure(cell: float, units: int, workers: int) -> Measured:
    """The hazard stage of a made-up country, with the files of a run before it warm."""
    with tempfile.TemporaryDirectory() as folder:
        settings = settings_of_rain_alone()
        rain_files = Path(folder) / settings.sources["rain"].path
        cells = write_rain(rain_files.parent, cell)
        write_units(Path(folder) / settings.boundaries.path, units)
        if not workers:
            return hazard_stage(Path(folder), cells, units)
        with two_workers() as scheduler:
            alone = hazard_stage(Path(folder), cells, units, scheduler)
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return Measured(**{**asdict(alone), "workers": workers, "peak_mb": round(max(alone.peak_mb, largest))})


# ------------------------------------------------------------------ all of them


def measured_apart(cell: float, units: int, workers: int) -> Measured:
    """Least of each figure of some processes that measure the same: the rest is other programs."""
    runs = []
    for _ in range(RUNS):
        command = [sys.executable, "-m", "tests.bench.scaling", str(cell), str(units), str(workers)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{command[2:]} failed:\n{done.stderr}")
        runs.append(Measured(**json.loads(done.stdout.splitlines()[-1])))
    least = {name: min(getattr(run, name) for run in runs) for name in asdict(runs[0])}
    print(least, flush=True)
    return Measured(**least)


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Exponent of the power of the size that the cost follows: least squares of the logarithms.

    >>> round(slope([(1, 3), (4, 12), (16, 48)]), 6)
    1.0
    """
    sizes, costs = np.log(np.array(points).T)
    return float(np.polyfit(sizes, costs, 1)[0])


def slopes(rows: Sequence[Measured], of: str) -> dict[str, float]:
    """Slope of a cost against cells, for each number of units, and against units, for each number of cells."""

    def along(axis: str, some: Sequence[Measured]) -> float:
        return slope([(getattr(row, axis), getattr(row, of)) for row in some])

    out = {}
    for n in sorted({row.units for row in rows}):
        line = sorted((row for row in rows if row.units == n), key=lambda row: row.cells)
        out[f"cells, {n:,} subdistricts"] = along("cells", line)
        out[f"the last step of it, {n:,} subdistricts"] = along("cells", line[-2:])
    for n in sorted({row.cells for row in rows}):
        out[f"subdistricts, {n:,} cells"] = along("units", [row for row in rows if row.cells == n])
    return out


def table(rows: Sequence[Measured]) -> str:
    """Markdown table of the measurements."""
    head = (
        "| cells | subdistricts | where | seconds | processor: means | by subdistrict | by cell | together | peak MB |"
    )
    lines = [head, "|" + "---:|" * 2 + "---|" + "---:|" * 6]
    for row in rows:
        where = f"{row.workers} processes" if row.workers else "threads"
        parts = " | ".join(f"{s:.1f}" for s in (row.seconds, row.means, row.indices, row.rasters, row.processor))
        lines.append(f"| {row.cells:,} | {row.units:,} | {where} | {parts} | {row.peak_mb:,.0f} |")
    return "\n".join(lines)


def table_of_slopes(rows: Sequence[Measured]) -> str:
    """Markdown table: a row for each line that can be drawn through the measurements."""
    kinds = ("seconds", "means", "indices", "rasters", "processor", "peak_mb")
    found = {kind: slopes(rows, kind) for kind in kinds}
    head = "| against | seconds | processor: means | by subdistrict | by cell | together | peak memory |"
    # Adding 0 makes a -0.00 a 0.00.
    lines = [[line, *(f"{round(found[k][line], 2) + 0.0:.2f}" for k in kinds)] for line in found["seconds"]]
    return "\n".join([head, "|---|" + "---:|" * len(kinds), *(f"| {' | '.join(line)} |" for line in lines)])


def page(rows: Sequence[Measured]) -> str:
    """docs/scaling.md."""
    apart = [[row for row in rows if bool(row.workers) == with_workers] for with_workers in (False, True)]
    threads, processes = (table_of_slopes(part) for part in apart)
    *scales, longest = (str(k) for k in settings_of_rain_alone().hazards["drought"].all_scales)
    told = f"{', '.join(scales)} and {longest}"
    return PAGE.format(table=table(rows), threads=threads, processes=processes, scales=told)


PAGE = """# What the hazard stage costs

Made by `make scaling`: 528 months of made-up rain, one GeoTIFF a month, over a box of 11 by 10
degrees in cells of 0.1, 0.05 and 0.025 degrees (1x, 4x and 16x the cells), and 300 or 3,000
subdistricts of random shape. The settings of the drought hazard are those of Iraq: SPI of {scales}
months, by subdistrict and cell by cell. Two processors; the least of three runs, each in a process of its own; nothing
is kept from a run before.

Seconds are those of the clock. Processor time, of all processes together, is split into

- **means**: files to the area-weighted mean of each subdistrict in each month; the boundaries are read
  and checked, and the share of each cell in each subdistrict is worked out;
- **by subdistrict**: SPI of every scale and the score, stored;
- **by cell**: SPI of every scale learnt in every cell and applied to the last months, and the score as a raster.

{table}

![Seconds and memory against cells](scaling.png)

## Slopes

Exponent of the power of the size that a cost follows (least squares of the logarithms): 1 is in
proportion, below 1 less than that. In threads of one process:

{threads}

With two worker processes (`--dask`), whose own start is not counted:

{processes}

Below 1, a part of the cost does not depend on the size: reading the boundaries, opening the files and all work by
subdistrict cost the same however fine the raster is, and nothing that is done by cell knows of subdistricts. Work by
subdistrict is nearly in proportion to their number.

Above 1, in the last step of the work by cell: the larger record is too large to be turned in memory, so it is written
once to disk in bands of rows, and read again for each scale.

Worker processes cost more here than threads of one process: each imports what it needs, opens the files for itself
and sends what it read. They are for a record that one machine does not hold.
"""


def draw(rows: Sequence[Measured], path: Path) -> None:
    """Seconds and peak memory against cells, and a line of slope 1."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import LogLocator, StrMethodFormatter

    figure, axes = plt.subplots(1, 2, figsize=(9, 4.4), layout="constrained")
    for axis, cost, label in zip(axes, ("seconds", "peak_mb"), ("seconds", "peak memory, MB"), strict=True):
        for (units, workers), style in zip(
            [(n, w) for n in UNITS for w in (0, 2)], ("o-", "o--", "s-", "s--"), strict=True
        ):
            line = [(r.cells, getattr(r, cost)) for r in rows if (r.units, r.workers) == (units, workers)]
            where = f"{workers} processes" if workers else "threads"
            colour = "C0" if units == UNITS[0] else "C1"
            axis.loglog(*zip(*line, strict=True), style, color=colour, label=f"{units:,} subdistricts, {where}")
        sizes = np.array(sorted({r.cells for r in rows}))
        largest = max(getattr(r, cost) for r in rows)
        axis.loglog(sizes, largest * sizes / sizes[-1], color="0.6", linestyle=":", label="slope 1")
        axis.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axis.minorticks_off()
        axis.set(xlabel="cells", ylabel=label)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize="small")
    figure.savefig(path, dpi=100, metadata={"Software": None})


def main() -> None:
    """Measure one size, named on the command line, or all, and write the page and the picture."""
    if sys.argv[1:]:
        cell, units, workers = sys.argv[1:]
        print(json.dumps(asdict(measure(float(cell), int(units), int(workers)))))
        return
    rows = [measured_apart(cell, n, workers) for workers in (0, 2) for n in UNITS for cell in CELL_DEGREES]
    DOCS.mkdir(exist_ok=True)
    (DOCS / "scaling.md").write_text(page(rows), "utf-8")
    draw(rows, DOCS / "scaling.png")


if __name__ == "__main__":
    main()
