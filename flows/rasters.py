"""Quicklooks: the index behind a hazard, cell by cell, for hazards that have a raster."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import xarray as xr

from geodata.grids import grid_of, row_areas
from geodata.schema import Status, status_like
from geodata.store import write_score_cog
from maps.palettes import colour_table
from models.hazards import HAZARDS, HazardOptions

from .compute_hazards import hazard_on_months
from .hazard_cells import cells_in_months, rasters_of, reads_cells, whole_or_in_bands
from .learning import learn
from .months import axis_of
from .plan import Plan

CARRIED_MONTHS = 24
"""Beyond this a cell of a quicklook is not assessed, where a subdistrict's value would be shown as stale."""

CELL = "pcode"
"""Cells take the place of subdistricts: index functions let other dimensions pass through."""


def write_rasters(plan: Plan, work: str, notice: str) -> list[Path]:
    """Write ``rasters/hazard_<name>.tif`` of the as-of month for each hazard made from rasters.

    A cell's score says what its own rain or water says; the score of a subdistrict is that of
    its area mean, and not the mean of these cells.
    """
    written = []
    for name, block in plan.settings.assessed_hazards.items():
        if reads_cells(block, plan):
            cells = hazard_of_cells(name, block, plan, work)
            titled = cells.assign_attrs(long_name=" · ".join(filter(None, (cells.attrs["long_name"], notice))))
            colours = colour_table(name, plan.settings.risk.class_cut_points)
            written.append(write_score_cog(titled, Path(work) / "rasters" / f"hazard_{name}.tif", colours))
    return written


def hazard_of_cells(name: str, block: HazardOptions, plan: Plan, work: str) -> xr.DataArray:
    """Score of every cell in the as-of month. Returns: DataArray (lat, lon), 0-10, NaN where not assessed.

    A method that has learnt needs the last months only; what a cell said longer than
    ``CARRIED_MONTHS`` ago is not carried to the as-of month.
    """
    spoken, source = block.for_cells(), axis_of(block, plan)
    rasters = cell_inputs(name, block, plan, work)
    learnt = learn(name, spoken, plan, work, "cells", lambda: in_a_row(rasters, work))
    back = HAZARDS[block.method].months_back
    recent = rasters if back is None else last_months(rasters, back(spoken) + CARRIED_MONTHS, plan)
    scored = hazard_on_months(name, in_a_row(recent, work), spoken, source, plan, learnt)[f"hazard_{name}"]
    cells = xr.DataArray(
        scored.isel(time=-1).compute().values.reshape(rasters.sizes["lat"], rasters.sizes["lon"]),
        dims=("lat", "lon"),
        coords={"lat": rasters["lat"], "lon": rasters["lon"]},
        name=f"hazard_{name}",
    )
    label = f"hazard: {name} (0-10), cell by cell, {plan.as_of}"
    return cells.assign_attrs(units="1", long_name=label, crs=rasters.attrs["crs"])


def in_a_row(rasters: xr.Dataset, work: str) -> xr.Dataset:
    """Cells one after another in the place of subdistricts, with their statuses; a large record stays lazy."""
    flat = whole_or_in_bands(rasters, work).stack({CELL: ("lat", "lon")}).drop_vars(["lat", "lon", CELL])
    flat = flat.assign_coords({CELL: range(flat.sizes[CELL])})
    unflagged = [v for v in map(str, flat.data_vars) if not v.endswith("_status") and f"{v}_status" not in flat]
    return flat.assign({f"{v}_status": status_like(flat[v], Status.input_missing) for v in unflagged})


def last_months(rasters: xr.Dataset, months: int, plan: Plan) -> xr.Dataset:
    """Periods of the last months up to and with the as-of month; all, where the record ended before them."""
    end = pd.Timestamp(plan.as_of)
    recent = rasters.sel(time=slice(end - pd.DateOffset(months=months - 1), end))
    return recent if recent.sizes["time"] else rasters


def cell_inputs(name: str, block: HazardOptions, plan: Plan, work: str) -> xr.Dataset:
    """What the index of a block is computed from, cell by cell (time, lat, lon)."""
    method = HAZARDS[block.method]
    if method.cells is not None:
        cells = cells_in_months(name, block, plan, work)
        return (
            cells[[f"{v}{end}" for v in method.scored_cells for end in ("", "_status")]]
            if method.scored_cells
            else cells
        )
    rasters = rasters_of(block, plan, work)
    for source, raster in rasters.items():
        if getattr(plan.settings.sources[str(source)], "quantity", "") == "area_share":
            rasters[source] = (raster * cell_areas_km2(raster)).assign_attrs(raster.attrs, units="km2")
    return rasters


def cell_areas_km2(raster: xr.DataArray) -> xr.DataArray:
    """Area of the cells of each row on a sphere of equal area (radius 6371.007 km). Returns: DataArray (lat,)."""
    grid = grid_of(raster)
    at_the_equator = (math.pi / 180 * 6371.007) ** 2 * grid.dx * grid.dy
    return xr.DataArray(row_areas(grid) * at_the_equator, dims="lat", coords={"lat": raster["lat"]})
