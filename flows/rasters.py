"""Quicklooks: the index behind a hazard, cell by cell, for hazards that have a raster."""

from __future__ import annotations

import math
from pathlib import Path

import xarray as xr

from geodata.grids import grid_of, row_areas
from geodata.rasters import RasterStack, read_raster_stack
from geodata.schema import Findings, Status, status_like
from geodata.store import write_cog
from models.hazards import HazardOptions

from .compute_hazards import hazard_on_months
from .plan import Plan

CELL = "pcode"
"""Cells take the place of subdistricts: index functions let other dimensions pass through."""


def write_rasters(plan: Plan, folder: Path, notice: str) -> list[Path]:
    """Write ``hazard_<name>.tif`` of the as-of month for each hazard with a raster source.

    A cell's score says what its own rain or water says; the score of a subdistrict is that of
    its area mean, and not the mean of these cells.
    """
    written = []
    for name, options in plan.settings.assessed_hazards.items():
        source = plan.settings.sources[options.source]
        if isinstance(source, RasterStack):
            cells = hazard_of_cells(name, options, source, plan)
            titled = cells.assign_attrs(long_name=" · ".join(filter(None, (cells.attrs["long_name"], notice))))
            written.append(write_cog(titled, folder / f"hazard_{name}.tif"))
    return written


def hazard_of_cells(name: str, options: HazardOptions, source: RasterStack, plan: Plan) -> xr.DataArray:
    """Score of every cell in the as-of month. Returns: DataArray (lat, lon), 0-10, NaN where not assessed."""
    raster = read_raster_stack(source, Path(plan.data), Findings(f"sources.{options.source}"))
    if source.quantity == "area_share":
        raster = (raster * cell_areas_km2(raster)).assign_attrs(raster.attrs, units="km2")
    flat = raster.load().stack({CELL: ("lat", "lon")}).drop_vars(["lat", "lon", CELL])
    inputs = xr.Dataset({options.source: flat.assign_coords({CELL: range(flat.sizes[CELL])})})
    inputs[f"{options.source}_status"] = status_like(inputs[options.source], Status.input_missing)
    scored = hazard_on_months(name, inputs, options, source, plan)[f"hazard_{name}"].isel(time=-1)
    cells = raster.isel(time=0, drop=True).copy(data=scored.values.reshape(raster.shape[1:]))
    label = f"hazard: {name} (0-10), cell by cell, {plan.as_of}"
    return cells.assign_attrs(units="1", long_name=label, crs=raster.attrs["crs"]).rename(f"hazard_{name}")


def cell_areas_km2(raster: xr.DataArray) -> xr.DataArray:
    """Area of the cells of each row on a sphere of equal area (radius 6371.007 km). Returns: DataArray (lat,)."""
    grid = grid_of(raster)
    at_the_equator = (math.pi / 180 * 6371.007) ** 2 * grid.dx * grid.dy
    return xr.DataArray(row_areas(grid) * at_the_equator, dims="lat", coords={"lat": raster["lat"]})
