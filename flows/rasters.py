"""Cell by cell: the score of a hazard, and the indices behind it, in the as-of month."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import xarray as xr

from geodata.grids import grid_of, row_areas
from geodata.schema import Status, status_like
from geodata.store import write_cog, write_score_cog
from maps.palettes import colour_table
from models.hazards import HAZARDS, HazardOptions

from .block_rasters import rasters_of, reads_cells, whole_or_in_bands
from .compute_hazards import hazard_on_months
from .hazard_cells import cells_in_months
from .learning import learn
from .months import axis_of
from .plan import Plan

CARRIED_MONTHS = 24
"""Beyond this a cell of a quicklook is not assessed, where a subdistrict's value would be shown as stale."""

CELL = "pcode"
"""Cells take the place of subdistricts: index functions let other dimensions pass through."""


def write_rasters(plan: Plan, work: str, notice: str) -> list[Path]:
    """Write the as-of month of each block made from rasters, for those who open it in a GIS.

    ``rasters/hazard_<name>.tif`` of a hazard: its score. ``rasters/<name>.tif``: the indices that its
    method maps, a band for each, without a value where an index says nothing; none in a month without rain.

    A cell's score says what its own rain or water says; the score of a subdistrict is that of
    its area mean, and not the mean of these cells.
    """
    folder, written = Path(work) / "rasters", []
    scored = plan.settings.assessed_hazards
    for name, block in plan.settings.blocks.items():
        mapped = HAZARDS[block.method].mapped
        if not reads_cells(block, plan) or (name not in scored and mapped is None):
            continue
        cells = month_of_cells(name, block, plan, work)
        for v in cells.data_vars:
            told = (cells[v].attrs["long_name"], plan.as_of, notice)
            cells[v] = cells[v].assign_attrs(long_name=" · ".join(filter(None, told)))
        if name in scored:
            colours = colour_table(name, plan.settings.risk.class_cut_points)
            written.append(write_score_cog(cells[f"hazard_{name}"], folder / f"hazard_{name}.tif", colours))
        if mapped is not None and cells[list(mapped(block))].to_array().notnull().any():
            written.append(write_cog(cells[list(mapped(block))], folder / f"{name}.tif"))
    return written


def month_of_cells(name: str, block: HazardOptions, plan: Plan, work: str) -> xr.Dataset:
    """Score of every cell in the as-of month, and the indices that the method maps.

    A method that has learnt needs the last months only; what a cell said longer than
    ``CARRIED_MONTHS`` ago is not carried to the as-of month.

    Returns
    -------
    Dataset (lat, lon): ``hazard_<name>``, 0-10, and the indices; NaN where not assessed
    """
    spoken, source = block.for_cells(), axis_of(block, plan)
    rasters = cell_inputs(name, block, plan, work)
    learnt = learn(name, spoken, plan, work, "cells", lambda: in_a_row(rasters, work))
    back = HAZARDS[block.method].months_back
    recent = rasters if back is None else last_months(rasters, back(spoken) + CARRIED_MONTHS, plan)
    found = hazard_on_months(name, in_a_row(recent, work), spoken, source, plan, learnt)
    mapped = HAZARDS[block.method].mapped
    wanted = [f"hazard_{name}", *(mapped(spoken) if mapped is not None else ())]
    last = found[wanted].isel(time=-1, drop=True).compute()
    place = {"lat": rasters["lat"], "lon": rasters["lon"]}
    shape = (rasters.sizes["lat"], rasters.sizes["lon"])
    cells = xr.Dataset({v: (("lat", "lon"), last[v].values.reshape(shape), last[v].attrs) for v in wanted}, place)
    for v in wanted:
        cells[v] = cells[v].assign_attrs(crs=rasters.attrs["crs"], long_name=f"{last[v].attrs['long_name']}, by cell")
    return cells


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
