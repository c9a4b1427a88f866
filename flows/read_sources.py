"""From files to the waist: every source by subdistrict, displacement protected, all faults reported at once."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from pathlib import Path

from prefect import flow

from geodata.schema import InputError
from geodata.store import write_cube, write_geoparquet

from .reading import read_country
from .restricted import write_restricted
from .vintages import boundaries_digest, refuse_second_vintage
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
    country = read_country(plan)
    if country.errors or country.subdistricts is None:
        raise InputError(country.errors)
    rounds = sorted(day.isoformat() for day in country.sites)
    boundaries = boundaries_digest(country.subdistricts)
    refuse_second_vintage(rounds, boundaries, kept_receipts(out_of(work), plan.settings.country.key))
    place = stage(work)
    write_geoparquet(country.subdistricts, place / "subdistricts.parquet")
    for name, cube in country.cubes.items():
        write_cube(cube, place / f"{name}.nc")
    (place / "reading.json").write_text(
        json.dumps(
            {
                "findings": [asdict(f) for f in country.findings],
                "households": country.households,
                "displacement": {"rounds": rounds, "boundaries": boundaries},
            }
        ),
        "utf-8",
    )
    if plan.restricted:
        write_restricted(country.sites, Path(work))
    log.info("Read %d sources for %d subdistricts", len(country.cubes), len(country.subdistricts))
