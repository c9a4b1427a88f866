"""The rasters that a block names: opened, on one grid and one time axis, and turned so that time can be gone along."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import xarray as xr

from geodata.bands import BAND_BYTES, IN_MEMORY_BYTES, by_bands
from geodata.evapotranspiration import Evapotranspiration
from geodata.grids import describe_grid, grid_of, same_pixels
from geodata.options import RasterSource
from geodata.rasters import RasterStack, bounds_of
from geodata.schema import Finding, Findings, InputError
from geodata.stacks import Bounds
from models.hazards import HazardOptions
from models.runoff import land_shares

from .months import known_or_calibrating, years_of
from .period_files import axis_of_files
from .plan import Plan
from .workspace import stage

BANDS = 8
"""Bands, at least, of a small raster: work for each processor or worker."""


def reads_cells(block: HazardOptions, plan: Plan) -> bool:
    """True if all sources of a block are rasters, so that it can be computed cell by cell."""
    return all(isinstance(plan.settings.sources[name], RasterSource) for name in block.sources.values())


def rasters_of(block: HazardOptions, plan: Plan, work: str, days: slice | None = None) -> xr.Dataset:
    """Rasters of a block under the names of their sources, over the periods that speak or calibrate, or over some.

    Parameters
    ----------
    days : slice of Timestamps, the first and the last to give out; files without any of them stay closed

    Returns
    -------
    Dataset (time, lat, lon), lazy, with the attribute ``crs``; a source without periods has no time

    Raises
    ------
    InputError : the rasters are not on the same cells
    """
    bounds = bounds_of_run(work)
    rasters = {name: open_raster(name, plan, bounds, days) for name in block.sources.values()}
    first = rasters[block.source]
    rasters |= {name: land_shares(r, first) for name, r in rasters.items() if quantity_of(name, plan) == "curve_number"}
    rasters |= {name: of_nearest_cells(r, first) for name, r in rasters.items() if is_smooth(name, plan)}
    for name, raster in rasters.items():
        if not same_pixels(grid_of(raster), grid_of(first)):
            raise InputError(
                Finding(
                    "error",
                    f"sources.{name}",
                    plan.settings.sources[name].path,
                    "grid",
                    describe_grid(grid_of(raster)),
                    f"the cells of sources.{block.source}: {describe_grid(grid_of(first))}",
                )
            )
    # The first source sets the time axis: where another has no image the cells of that period have no value.
    on_axis = {n: r.reindex(time=first["time"]) if "time" in r.dims else r for n, r in rasters.items()}
    together = xr.merge([raster.rename(n) for n, raster in on_axis.items()], join="exact", compat="no_conflicts")
    together = together.assign_attrs(crs=first.attrs["crs"])
    if days is not None:
        return together.sel(time=days)
    return known_or_calibrating(together, plan.settings.sources[block.source], years_of(block, plan), plan)


def whole_or_in_bands(rasters: xr.Dataset, work: str) -> xr.Dataset:
    """Rasters as what is computed along time needs them: in memory, or a large record lazily and in bands."""
    return rasters.load() if rasters.nbytes <= IN_MEMORY_BYTES else in_bands(rasters, work)


def in_bands(rasters: xr.Dataset, work: str) -> xr.Dataset:
    """Rasters with the whole time axis of few rows in one chunk, as what is computed along time needs them."""
    turned = {}
    for name, raster in rasters.items():
        few = -(-raster.sizes["lat"] // BANDS) if raster.nbytes < BANDS * BAND_BYTES else None
        turned[name] = by_bands(raster, stage(work) / "bands", rows=few) if "time" in raster.dims else raster
    return xr.Dataset(turned, attrs=rasters.attrs)


def open_raster(
    name: str, plan: Plan, bounds: Bounds | None, days: slice | None = None, *, only_the_first: bool = False
) -> xr.DataArray:
    """Raster of a source whose values were checked when it was read; lazy. With `days`, no other files are opened."""
    source = plan.settings.sources[name]
    assert isinstance(source, RasterSource)
    root, log = Path(plan.data), Findings(f"sources.{name}")
    axis = axis_of_files(name, plan, Findings("")) if days is not None or only_the_first else {}
    if axis and isinstance(source, RasterStack):
        every = pd.DatetimeIndex(axis)
        some = every[:0] if days is None else every[every.slice_indexer(days.start, days.stop)]
        return source.raster(root, log, bounds, {t: axis[t] for t in (some if len(some) else every[:1])})
    raster = source.raster(root, log, bounds)
    return raster.isel(time=0, drop=True) if source.cadence == "once" else raster


def bounds_of_run(work: str) -> Bounds | None:
    """Bounds of the subdistricts of the run, degree."""
    return bounds_of(gpd.read_parquet(stage(work) / "subdistricts.parquet"))


def is_smooth(name: str, plan: Plan) -> bool:
    """True of evapotranspiration: it follows temperature, which changes little from one cell of rain to the next."""
    return isinstance(plan.settings.sources[name], Evapotranspiration)


def of_nearest_cells(raster: xr.DataArray, cells: xr.DataArray) -> xr.DataArray:
    """A raster on the cells of another: of each, the value of the cell its centre lies in, and none beyond the raster.

    >>> coarse = xr.DataArray([[1.0, 2.0]], dims=("lat", "lon"), coords={"lat": [0.5], "lon": [0.5, 1.5]})
    >>> lon = [0.25, 0.75, 1.25, 1.75, 2.25]
    >>> fine = xr.DataArray([[0.0] * 5], dims=("lat", "lon"), coords={"lat": [0.25], "lon": lon})
    >>> of_nearest_cells(coarse, fine).values.tolist()
    [[1.0, 1.0, 2.0, 2.0, nan]]
    """
    half = float(abs(np.diff(raster["lon"].values)).mean()) / 2 * (1 + 1e-9)
    return raster.reindex(lat=cells["lat"], lon=cells["lon"], method="nearest", tolerance=half)


def quantity_of(name: str, plan: Plan) -> str:
    """What the values of a source are; "" of a source that does not say."""
    return str(getattr(plan.settings.sources[name], "quantity", ""))
