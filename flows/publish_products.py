"""From the waist to what people open: tables, the map site, rasters, and the receipt."""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import xarray as xr
from prefect import flow
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact

from geodata.schema import Finding, Manifest
from geodata.simplify import simplify
from geodata.store import names_in, read_cube, write_cube, write_geopackage, write_geoparquet, writing
from maps.page import HazardWords, SitePage, standard_layers
from maps.site import build_site
from maps.tables import publishable, write_csv, write_hxl_csv, write_records, write_xlsx
from maps.words import notice
from models.hazards import HAZARDS

from .dictionary import dictionary, meanings
from .displacement_tables import publish_displacement, with_host_pressure
from .further_tables import (
    publish_balance,
    publish_return_levels,
    publish_runs,
    publish_usable_months,
    publish_usual_water,
    water_balance,
)
from .gaps import gaps_of
from .indicator_sheet import load_sheet, sheet_table
from .indicators import long_table
from .issue_warnings import read_reasons
from .learning import moved_calibrations, publish_learnt
from .months import on_months, on_one_axis
from .plan import Plan
from .policy import computing, inside_a_run
from .rasters import write_rasters
from .receipts import coverage_of, manifest_of, write_receipt
from .risk_tree import made_from, read_levels
from .score_risk import dimensions
from .score_table import score_table
from .settings import PEOPLE
from .summary import read_summary
from .workspace import kept_receipts, load_plan, out_of, stage, stage_seconds

log = logging.getLogger("wadi")

INDICATOR_MONTHS = 24

EXACT = ("needs", "weight", "weight_used", "lowest", "highest")
"""Numbers that a score is made with: printed so that it can be made again."""


@flow(name="publish-products")
def publish_products(work: str) -> None:
    """Write every product of a run into its unfinished folder, the receipt last."""
    started = time.perf_counter()
    plan, folder = load_plan(work), Path(work)
    sources = source_cubes(plan, work)
    cube = whole_cube(plan, work, sources)
    subdistricts = gpd.read_parquet(stage(work) / "subdistricts.parquet")
    manifest = manifest_of(plan, sources, cube, dimensions(cube))
    table = whole_table(plan, work, cube, subdistricts, measurements(work, sources))
    reading = json.loads((stage(work) / "reading.json").read_text("utf-8"))

    # Compressing the cube leaves the interpreter free; nothing beside it may touch another NetCDF file.
    with beside(publish_cube, folder, cube.assign_attrs(notice=notice(manifest))):
        vocabulary = dictionary(cube, plan.settings)
        publish_tables(plan, folder, manifest, table, subdistricts, vocabulary)
        publish_making(folder, notice(manifest))
        publish_indicators(folder, cube, notice(manifest))
        publish_site(plan, folder, manifest, table, cube, subdistricts)
    publish_further_tables(plan, work, cube, subdistricts, notice(manifest))
    publish_rasters(plan, work, notice(manifest))
    publish_learnt(work, notice(manifest))
    households = {day: told for day, told in reading["households"].items() if day <= plan.as_of_end.isoformat()}
    noticed = json.loads((stage(work) / "hazards.json").read_text("utf-8"))
    write_checks(
        folder,
        notice(manifest),
        [Finding(**f) for f in (*reading["findings"], *noticed)],
        gaps_of(manifest, table, reading["open_names"]),
        households,
    )
    headlines = {"title": title_of(manifest), "highest_tier": names_of_tier(table, "A")}
    parts: dict[str, Any] = {"headlines": headlines, "coverage": coverage_of(cube), "households": households}
    parts["displacement"] = reading["displacement"]
    parts["risk_levels"] = read_levels(folder).to_dict("records")
    moved = moved_calibrations(plan, kept_receipts(out_of(work), plan.settings.country.key))
    for line in moved:
        log.warning("Calibration: %s", line)
    parts["calibration_moved"] = moved
    seconds = stage_seconds(work) | {"publish-products": round(time.perf_counter() - started, 2)}
    write_receipt(folder, plan, manifest, parts, seconds)
    log.info("Published %d products", sum(1 for p in folder.rglob("*") if p.is_file()))


# ------------------------------------------------------------------ one task per product


@computing("whole-cube")
def whole_cube(plan: Plan, work: str, sources: dict[str, xr.Dataset]) -> xr.Dataset:
    """The waist: sources, indices, hazards, counts, scores and alert levels on one monthly axis."""
    parts = [read_cube(stage(work) / "scores.nc"), read_cube(stage(work) / "warnings.nc")]
    for name, cube in sources.items():
        by_unit = set(cube.drop_vars("effective_cells", errors="ignore").dims) == {"time", "pcode"}
        if by_unit and name not in PEOPLE and plan.settings.sources[name].cadence != "day":
            parts.append(on_months(cube.drop_vars("effective_cells"), plan.settings.sources[name], plan))
    balance = water_balance(work)
    if balance is not None:
        parts.append(balance.rename({name: f"water_{name}" for name in map(str, balance.data_vars)}))
    return with_host_pressure(on_one_axis(parts), plan.settings.country.people_per_household)


@computing("whole-table")
def whole_table(
    plan: Plan, work: str, cube: xr.Dataset, subdistricts: gpd.GeoDataFrame, measured: Collection[str]
) -> pd.DataFrame:
    """The score table of the as-of month, unrounded; of what was measured, only the facts behind each hazard."""
    words = pd.read_parquet(stage(work) / "words.parquet").join(read_reasons(work))
    return score_table(
        cube,
        words,
        subdistricts,
        hazards=tuple(plan.settings.hazards),
        left_out=set(measured) - set(facts(plan)),
    )


@computing("publish-tables")
def publish_tables(
    plan: Plan,
    folder: Path,
    manifest: Manifest,
    table: pd.DataFrame,
    subdistricts: gpd.GeoDataFrame,
    vocabulary: pd.DataFrame,
) -> None:
    """CSV with its HXL twin, XLSX, GeoPackage and GeoParquet of the same rounded rows, and what all variables mean."""
    place = folder / "tables"
    labels = {name: block.label["en"] for name, block in plan.settings.hazards.items() if "en" in block.label}
    rows = publishable(table, labels=labels)
    if words := notice(manifest):
        rows["notice"] = words
    with writing(place / "subdistricts.csv"):
        write_csv(rows, place / "subdistricts.csv")
        write_hxl_csv(rows, place / "subdistricts_hxl.csv")
        write_xlsx(rows, manifest, place / "subdistricts.xlsx", meanings(vocabulary), made_from(folder))
    with writing(place / "dictionary.csv") as path:
        write_records(vocabulary.assign(notice=notice(manifest)), path)
    shapes = gpd.GeoDataFrame(rows, geometry=subdistricts.geometry, crs=subdistricts.crs)
    write_geopackage(shapes, place / "subdistricts.gpkg", dated=date.fromisoformat(plan.issued))
    write_geoparquet(shapes, place / "subdistricts.parquet")


@computing("publish-making")
def publish_making(folder: Path, words: str) -> None:
    """How the risk is made: the mean, parts and weights of each level, and every row of the indicator sheet."""
    levels = read_levels(folder)
    for name, rows in (("risk_levels", levels), ("indicator_sheet", sheet_table(load_sheet(stage(folder))))):
        with writing(folder / "tables" / f"{name}.csv") as path:
            write_records(rows.assign(notice=words), path, decimals=dict.fromkeys(EXACT, 6))


@computing("publish-further-tables")
def publish_further_tables(plan: Plan, work: str, cube: xr.Dataset, subdistricts: gpd.GeoDataFrame, words: str) -> None:
    """Runs of drought, rare rain, usual water, the water balance at three levels, and months in which an SPI speaks."""
    publish_runs(plan, Path(work), cube, words)
    publish_return_levels(plan, Path(work), cube, subdistricts, words)
    publish_usual_water(plan, work, cube, words)
    publish_balance(work, subdistricts, words)
    publish_usable_months(plan, Path(work), cube, subdistricts, words)
    publish_displacement(plan, work, cube, subdistricts, words)


@computing("publish-cube")
def publish_cube(folder: Path, cube: xr.Dataset) -> None:
    """The cube."""
    write_cube(cube, folder / "cube.nc")


@computing("publish-indicators")
def publish_indicators(folder: Path, cube: xr.Dataset, words: str) -> None:
    """The last months of the cube as a long table."""
    with writing(folder / "tables" / "indicators.parquet") as path:
        rows = long_table(cube, INDICATOR_MONTHS)
        rows.attrs = {"notice": words}
        rows.to_parquet(path, index=False, compression="zstd")


@computing("publish-site")
def publish_site(
    plan: Plan, folder: Path, manifest: Manifest, table: pd.DataFrame, cube: xr.Dataset, subdistricts: gpd.GeoDataFrame
) -> None:
    """The map site: one file that asks nothing of any network."""
    settings, shapes = plan.settings, simplify(subdistricts)
    assessed = ("exposure", *(d for d in dimensions(cube) if d != "hazard_and_exposure"))
    page = SitePage(
        subdistricts=shapes.subdistricts,
        adm1_lines=shapes.adm1_lines,
        adm2_lines=shapes.adm2_lines,
        scores=table,
        history=cube[history_variables(cube)],
        manifest=manifest,
        layers=standard_layers(
            tuple(settings.assessed_hazards),
            settings.risk.class_cut_points,
            settings.risk.class_origin,
            dimensions=assessed,
        ),
        hazards={
            name: HazardWords(dict(block.label), dict(getattr(block, "why", {})))
            for name, block in settings.hazards.items()
        },
        indicators={row.name: row.label for row in load_sheet(stage(folder)).assessed if row.label},
        languages=settings.country.languages,
        people_per_household=settings.country.people_per_household,
    )
    with writing(folder / "site" / "index.html") as path:
        path.write_text(build_site(page), "utf-8")


@computing("publish-rasters")
def publish_rasters(plan: Plan, work: str, words: str) -> None:
    """Quicklooks of the hazards that have a raster."""
    write_rasters(plan, work, words)


# ------------------------------------------------------------------ pieces


@contextmanager
def beside(step: Callable[..., None], *given: Any) -> Iterator[None]:
    """Do a step in a thread while the block runs; what it raises is raised at the block's end."""
    with ThreadPoolExecutor(1) as thread:
        done = thread.submit(copy_context().run, step, *given)
        yield
        done.result()


def source_cubes(plan: Plan, work: str) -> dict[str, xr.Dataset]:
    """Every source as it was read, on its own time axis."""
    return {name: read_cube(stage(work) / f"{name}.nc") for name in plan.settings.sources}


def measurements(work: str, sources: Mapping[str, xr.Dataset]) -> list[str]:
    """Variables of the sources and of the indices: too many for a table that people read."""
    own = [name for name in names_in(stage(work) / "hazards.nc") if not name.startswith("hazard")]
    balance = water_balance(work)
    own += [] if balance is None else [f"water_{v}" for v in balance.data_vars]
    return own + [str(v) for name in sources if name not in PEOPLE for v in sources[name].data_vars]


def facts(plan: Plan) -> list[str]:
    """What the table says of each hazard and of each indicator: the index that speaks, its rank and its age."""
    told = ("index", "percentile", "scale_months", "age_months")
    return [f"{name}_{key}" for name in plan.settings.assessed_hazards for key in told] + [
        f"{name}_{HAZARDS[block.method].scored}" for name, block in plan.settings.indicators.items()
    ]


def history_variables(cube: xr.Dataset) -> list[str]:
    """Variables of the small chart."""
    wanted = ("drought_index", "drought_index_status", "drought_scale_months")
    return [name for name in wanted if name in cube]


def names_of_tier(table: pd.DataFrame, tier: str) -> list[str]:
    """English names of the subdistricts of a tier, in p-code order."""
    return [str(name) for name in table.loc[table["risk_tier"] == tier, "name_en"]]


def title_of(manifest: Manifest) -> str:
    """Title of the risk score, naming what it leaves out."""
    without = [f"without {name.replace('lack_of_coping', 'coping capacity')}" for name in manifest.dimensions_missing]
    title = f"Risk per subdistrict, {manifest.country_name['en']}, {manifest.as_of}"
    return title + (f" ({', '.join(without)})" if without else "")


def write_checks(
    folder: Path, words: str, findings: list[Finding], gaps: list[str], households: dict[str, Any]
) -> None:
    """What was found in the inputs, what was done about it, and what could not be said."""
    counts = Counter(finding.severity for finding in findings)
    checks = {
        "notice": words,
        "errors": counts["error"],
        "warnings": counts["warning"],
        "repairs": counts["repair"],
        "notes": counts["note"],
        "findings": [asdict(finding) for finding in findings],
        "gaps": gaps,
        "households": households,
    }
    with writing(folder / "checks.json") as path:
        path.write_text(json.dumps(checks, indent=1, ensure_ascii=False) + "\n", "utf-8")


def leave_artifacts(folder: Path) -> None:
    """Leave the result in the Prefect UI, where the analyst who triggered the run looks for it."""
    if not inside_a_run():
        return
    summary = read_summary(folder)
    rows = pd.read_csv(folder / "tables" / "subdistricts.csv", dtype=str, keep_default_na=False)
    shown = ["pcode", "name_en", "adm1_name", "risk_tier", "risk_class", "alert_level", "warning_reason", "status"]
    create_markdown_artifact("\n\n".join(summary.lines()), key="wadi-summary", description=summary.title)
    create_table_artifact(rows[shown].to_dict("records"), key="wadi-subdistricts", description=summary.title)
    create_link_artifact((folder / "site" / "index.html").absolute().as_uri(), "The map", key="wadi-map")
