"""From files to the waist: every source by subdistrict, displacement protected, all faults reported at once."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from pathlib import Path

from prefect import flow

from geodata.schema import Finding, InputError
from geodata.store import write_cube, write_geoparquet

from .reading import read_country
from .restricted import write_restricted
from .workspace import load_plan, stage

log = logging.getLogger("wadi")


@flow(name="read-sources")
def read_sources(work: str) -> None:
    """Read and check every input, and store what the later stages need.

    Raises
    ------
    InputError : with every error of every source, once all were read
    """
    plan = load_plan(work)
    country = read_country(plan)
    if country.errors or country.subdistricts is None:
        raise InputError(country.errors)
    place = stage(work)
    write_geoparquet(country.subdistricts, place / "subdistricts.parquet")
    for name, cube in country.cubes.items():
        write_cube(cube, place / f"{name}.nc")
    (place / "reading.json").write_text(
        json.dumps({"findings": [asdict(f) for f in country.findings], "households": country.households}), "utf-8"
    )
    if plan.restricted:
        write_restricted(country.sites, Path(work))
    log.info("Read %d sources for %d subdistricts", len(country.cubes), len(country.subdistricts))


def stored_findings(work: str | Path) -> list[Finding]:
    """What `read_sources` found and mended."""
    return [Finding(**f) for f in json.loads((stage(work) / "reading.json").read_text("utf-8"))["findings"]]
