"""The receipt of a run: what it was made from, how, when, and what came of it."""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from geodata.options import SourceOptions
from geodata.schema import Manifest, Source, Status
from models.risk import DIMENSIONS

from .ages import used_periods
from .earlier_run import earlier_run
from .indicator_sheet import load_sheet
from .learning import calibrations
from .plan import Plan
from .workspace import RECEIPT, out_of, products, stage

LIBRARIES = (
    "dask", "exactextract", "folium", "geopandas", "numpy", "pandas", "prefect", "pyogrio", "rasterio",
    "scikit-learn", "scipy", "shapely", "topojson", "xarray", "xlsxwriter", "xstatic-leaflet",
)  # fmt: skip


def manifest_of(plan: Plan, cubes: dict[str, xr.Dataset], scores: xr.Dataset, dimensions: tuple[str, ...]) -> Manifest:
    """What every product says of the run it came from."""
    settings = plan.settings
    sources = [boundary_source(plan)]
    sources += [source_of(name, options, cubes[name], plan) for name, options in settings.sources.items()]
    return Manifest(
        run_id=plan.run_id,
        country=settings.country.key,
        country_name=settings.country.name,
        as_of=plan.as_of,
        issued=date.fromisoformat(plan.issued),
        synthetic=settings.country.synthetic,
        exercise=plan.exercise,
        code_version=plan.code_version,
        config_sha256=settings.sha256,
        dimensions_missing=tuple(d for d in DIMENSIONS if d not in dimensions),
        sources=tuple(sources),
        missing_hazards=settings.missing_hazards,
    )


def boundary_source(plan: Plan) -> Source:
    """The boundaries as a source."""
    options = plan.settings.boundaries
    return Source(
        name="boundaries",
        label=options.label,
        location=options.path,
        sha256=digest_of(plan, "boundaries"),
        licence=options.licence,
        attribution=options.attribution,
        native_units="",
        cadence="once",
        available_after_days=0,
        max_age_days=None,
        last=str(options.vintage),
    )


def source_of(name: str, options: SourceOptions, cube: xr.Dataset, plan: Plan) -> Source:
    """One source, with the periods that were used and their age at the end of the as-of month."""
    first, last, age = used_periods(name, options, cube, plan)
    if age is None:
        status = Status.input_missing
    else:
        old = options.max_age_days is not None and age > options.max_age_days
        status = Status.stale if old else Status.ok
    return Source(
        name=name,
        label=options.label,
        location=location_of(plan, name, options),
        sha256=digest_of(plan, f"sources.{name}"),
        licence=options.licence,
        attribution=options.attribution,
        native_units=options.units,
        cadence=options.cadence,
        available_after_days=options.available_after_days,
        max_age_days=options.max_age_days,
        first=first,
        last=last,
        age_days=age,
        status=status.name,
        note=options.note,
    )


def location_of(plan: Plan, name: str, options: SourceOptions) -> str:
    """Path of a source as the country file has it; the files themselves where it names each round's."""
    if options.path != ".":
        return options.path
    return ", ".join(f.path for f in plan.inputs if f.source == f"sources.{name}")


def digest_of(plan: Plan, block: str) -> str:
    """Hash of a block's files: of the one, or of the lines that `sha256sum` prints for many, sorted by path."""
    files = [f for f in plan.inputs if f.source == block]
    if len(files) == 1:
        return files[0].sha256
    lines = "".join(f"{f.sha256}  {f.path}\n" for f in sorted(files, key=lambda f: f.path))
    return hashlib.sha256(lines.encode()).hexdigest()


def coverage_of(cube: xr.Dataset) -> dict[str, int]:
    """In how many subdistricts each variable has a value in the as-of month."""
    last = cube.isel(time=-1)
    return {str(n): int(last[n].notnull().sum()) for n in last.data_vars if f"{n}_status" in last}


def write_receipt(work: Path, plan: Plan, manifest: Manifest, parts: dict[str, Any], seconds: dict[str, float]) -> None:
    """Write manifest.json, last of all: a folder that has one is whole."""
    receipt = {
        "run": manifest.as_dict(),
        "headlines": parts["headlines"],
        "coverage": parts["coverage"],
        "households": parts["households"],
        "displacement": parts["displacement"],
        "risk_levels": parts["risk_levels"],
        "calibration": calibrations(plan),
        "indicator_sheet": load_sheet(stage(work)).model_dump(mode="json"),
        "products": products(work),
        "plan": json.loads(plan.to_json()),
        "machine": {
            "host": platform.node(),
            "platform": platform.platform(),
            "python": sys.version.split()[0],
            "libraries": {name: metadata.version(name) for name in LIBRARIES},
            "finished": pd.Timestamp.now("UTC").isoformat(timespec="seconds"),
            "seconds": seconds,
            "calibration_moved": parts["calibration_moved"],
            "earlier": earlier_run(manifest.as_dict(), out_of(work)),
        },
    }
    text = json.dumps(receipt, indent=1, ensure_ascii=False, default=str)
    (work / RECEIPT).write_text(text + "\n", "utf-8")
