"""From the waist to what people open: tables, the map site, rasters, and the receipt."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import geopandas as gpd
import pandas as pd
import xarray as xr
from prefect import flow, task
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact

from geodata.schema import Manifest, Status, check_cube, check_subdistricts
from geodata.simplify import simplify
from geodata.store import read_cube, read_geoparquet, write_cube, write_geopackage, write_geoparquet, writing
from maps.page import HazardWords, SitePage, standard_layers
from maps.site import build_site, check_budget
from maps.tables import published, write_csv, write_hxl_csv, write_xlsx

from .compute_hazards import on_one_axis
from .gaps import gaps_of
from .indicators import long_table
from .plan import Plan
from .policy import computing, inside_a_run, step
from .rasters import write_rasters
from .receipts import coverage_of, manifest_of, write_receipt
from .issue_warnings import read_reasons
from .score_risk import dimensions
from .score_table import score_table
from .summary import read_summary
from .workspace import load_plan, stage

log = logging.getLogger("wadi")


@flow(name="publish-products")
def publish_products(work: str) -> None:
    """Write every product of the run into its unfinished folder."""
