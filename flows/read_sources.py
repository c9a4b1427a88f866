"""From files to the waist: every source by subdistrict, displacement protected, all faults reported at once."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from pathlib import Path

import geopandas as gpd
from prefect import flow

from geodata.review import Review, write_review
from geodata.schema import InputError
from geodata.store import write_cube, write_dataset, write_geoparquet, writing

from .indicator_sheet import keep_sheet
from .kept import kept_folder
from .reading import Country, read_country
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
    country = read_country(plan, kept_folder(plan, work))
    if country.errors or country.subdistricts is None:
        raise InputError(country.errors)
    shown = rounds_of(country, country.subdistricts)
    refuse_second_vintage(shown, kept_receipts(out_of(work), plan.settings.country.key))
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
                "households": {d: told for c in country.counted.values() for d, told in c.households.items()},
                "displacement": {"rounds": shown},
                "open_names": write_reviews(country.reviews, Path(work)),
            }
        ),
        "utf-8",
    )
    for name, counted in country.counted.items():
        for table, rows in counted.tables.items():
            rows.to_parquet(place / f"{name}_{table}.parquet", index=False)
    if plan.restricted:
        write_restricted({name: counted.sites for name, counted in country.counted.items()}, Path(work))
    log.info("Read %d sources for %d subdistricts", len(country.cubes), len(country.subdistricts))


def rounds_of(country: Country, subdistricts: gpd.GeoDataFrame) -> dict[str, dict[str, str]]:
    """Which rounds a run shows, by day and by file, and how it cuts each: on its own boundaries, or on the earlier ones
    that it publishes a crosswalk from."""
    boundaries = {"boundaries": boundaries_digest(subdistricts)}
    return {name: boundaries | cut for counted in country.counted.values() for name, cut in counted.rounds.items()}


def write_reviews(reviews: list[Review], folder: Path) -> dict[str, int]:
    """Write what analysts have to decide on into the run, file by file. Returns: name of a file -> names that wait."""
    waiting: dict[str, int] = {}
    for name in sorted({review.name for review in reviews}):
        of_file = [review for review in reviews if review.name == name]
        questions = {question.key: question for review in of_file for question in review.questions}
        if questions:
            decisions = {key: decision for review in of_file for key, decision in review.decisions.items()}
            with writing(folder / "review" / name) as path:
                write_review(path, questions.values(), decisions)
            waiting[name] = len(questions)
    return waiting
