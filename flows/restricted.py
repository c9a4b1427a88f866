"""Exact counts, for those who may see them: written beside the site and never inside it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import geopandas as gpd
import pandas as pd

from geodata.store import writing

FOLDER = "restricted"

NOTICE = """RESTRICTED. This folder holds exact counts and locations of displaced people.
Do not publish it, do not send it on, and do not put it beside the site.
"""


def write_restricted(rounds: Mapping[date, gpd.GeoDataFrame], work: Path) -> None:
    """Write each round's locations, exact and with their subdistrict, under ``restricted/``."""
    folder = work / FOLDER
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "READ_ME_FIRST.txt").write_text(NOTICE, "utf-8")
        for day, sites in rounds.items():
            table = pd.DataFrame(sites.drop(columns="geometry"))
            table["longitude"], table["latitude"] = sites.geometry.x, sites.geometry.y
            table.to_csv(folder / f"locations_{day.isoformat()}.csv", index=False)
