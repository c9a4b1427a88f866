"""From files to the waist: every source by subdistrict, displacement protected, all faults reported at once."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

import geopandas as gpd
from prefect import flow

from geodata.schema import InputError
from geodata.store import write_cube, write_dataset, write_geoparquet

from .indicator_sheet import keep_sheet
from .kept import kept_folder
from .plan import Plan
from .reading import Country, read_country
from .restricted import write_restricted
from .settings import DISPLACEMENT
from .vintages import boundaries_digest, groups_digest, refuse_second_vintage
from .workspace import kept_receipts, load_plan, out_of, stage

log = logging.getLogger("wadi")


@flow(name="read-sources")
def read_sources(work: str) -> None:
    """Read and check every input, and store what the later stages need.

    Raises
    ------
    InputError : with every error of every source, once all were read
    """
    plan = load_plan(work)
    country = read_country(plan, kept_folder(plan, work))
    if country.errors or country.subdistricts is None:
        raise InputError(country.errors)
    shown = cut_of(plan, country, country.subdistricts)
    refuse_second_vintage(shown["rounds"], shown["cutting"], kept_receipts(out_of(work), plan.settings.country.key))
    place = stage(work)
    write_geoparquet(country.subdistricts, place / "subdistricts.parquet")
    keep_sheet(country.sheet, place)
    for name, cube in country.cubes.items():
        write = write_cube if "pcode" in cube.dims and "node" not in cube.dims else write_dataset
        write(cube, place / f"{name}.nc", packed=False)
    (place / "reading.json").write_text(
        json.dumps(
            {
                "findings": [asdict(f) for f in country.findings],
                "households": country.households,
                "displacement": shown,
            }
        ),
        "utf-8",
    )
    if plan.restricted:
        write_restricted(country.sites, Path(work))
    log.info("Read %d sources for %d subdistricts", len(country.cubes), len(country.subdistricts))


def cut_of(plan: Plan, country: Country, subdistricts: gpd.GeoDataFrame) -> dict[str, Any]:
    """Which rounds a run shows, by day and by file, and how it cuts them."""
    cutting = {"boundaries": boundaries_digest(subdistricts)}
    options = plan.settings.sources.get(DISPLACEMENT)
    if options is not None:
        cutting["groups"] = groups_digest(options)
    files = [f.sha256 for f in plan.inputs if f.source == f"sources.{DISPLACEMENT}"]
    return {"rounds": [*(day.isoformat() for day in sorted(country.sites)), *sorted(files)], "cutting": cutting}
