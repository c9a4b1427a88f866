"""Exact counts, for those who may see them: written beside the site and never inside it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import geopandas as gpd
import pandas as pd

from geodata.review import inert
from geodata.store import writing

from .settings import DISPLACEMENT

FOLDER = "restricted"

NOTICE = """RESTRICTED. This folder holds exact counts and locations of displaced people.
Do not publish it, do not send it on, and do not put it beside the site.
"""


def write_restricted(blocks: Mapping[str, Mapping[date, gpd.GeoDataFrame]], work: Path) -> None:
    """Write the locations of each round of each block, exact and with their subdistrict, under ``restricted/``."""
    folder = work / FOLDER
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "READ_ME_FIRST.txt").write_text(NOTICE, "utf-8")
        for name, day, sites in [(n, day, sites) for n, rounds in blocks.items() for day, sites in rounds.items()]:
            table = pd.DataFrame(sites.drop(columns="geometry"))
            table["longitude"], table["latitude"] = sites.geometry.x, sites.geometry.y
            words = table.select_dtypes(["object", "str"]).columns
            table[words] = table[words].map(lambda cell: inert(cell) if isinstance(cell, str) else cell)
            of_block = "locations" if name == DISPLACEMENT else name
            table.to_csv(folder / f"{of_block}_{day.isoformat()}.csv", index=False)
