"""Quicklooks: the index behind a hazard, cell by cell, for hazards that have a raster."""

from __future__ import annotations

from pathlib import Path

import xarray as xr

from geodata.options import SourceOptions
from geodata.rasters import RasterStack
from geodata.schema import Findings
from geodata.store import write_cog
from models.hazards import HAZARDS, HazardOptions

from .compute_hazards import hazard_on_months
from .plan import Plan

CELL = "pcode"
"""Cells take the place of subdistricts: index functions let other dimensions pass through."""


def write_rasters(plan: Plan, folder: Path) -> list[Path]:
    """Write ``hazard_<name>.tif`` of the as-of month for each hazard with a raster source.

    A cell's score says what its own rain or water says; the score of a subdistrict is that of
    its area mean, and not the mean of these cells (METHODS 1.5).
    """
    written = []
    for name, options in plan.settings.assessed_hazards.items():
        source = plan.settings.sources[options.source]
        if isinstance(source, RasterStack) and "cells" in HAZARDS[options.method].__dataclass_fields__:
            written.append(write_cog(hazard_of_cells(name, options, source, plan), folder / f"hazard_{name}.tif"))
    return written


def hazard_of_cells(name: str, options: HazardOptions, source: SourceOptions, plan: Plan) -> xr.DataArray:
    """Score of every cell in the as-of month. Returns: DataArray (lat, lon), 0-10, NaN where not assessed."""
    raster = source.read(Path(plan.data), Findings(f"sources.{options.source}"))
    inputs = xr.Dataset({options.source: raster.stack({CELL: ("lat", "lon")})})
    scored = hazard_on_months(name, inputs, options, source, plan)[f"hazard_{name}"].isel(time=-1)
    cells = scored.unstack(CELL).sortby("lat", ascending=False)
    label = f"hazard: {name} (0-10), cell by cell, {plan.as_of}"
    return cells.assign_attrs(units="1", long_name=label, crs=raster.attrs["crs"]).rename(f"hazard_{name}")
