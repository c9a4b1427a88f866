"""Cell by cell: the rasters of a block on one grid, what its method makes of them, and means over subdistricts."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import xarray as xr

from geodata.bands import BAND_BYTES, IN_MEMORY_BYTES, by_bands
from geodata.evapotranspiration import Evapotranspiration
from geodata.grids import describe_grid, grid_of, same_pixels
from geodata.options import RasterSource
from geodata.rasters import bounds_of
from geodata.schema import (
    KEEPS_VALUE,
    Finding,
    Findings,
    InputError,
    Status,
    has_status,
    more_cautious,
    status_attrs,
)
from geodata.stacks import Bounds
from geodata.store import write_dataset
from geodata.zonal import ZonalWeights, zonal_mean, zonal_weights
from models.hazards import HAZARDS, HazardOptions
from models.runoff import land_shares

from .months import known_or_calibrating, years_of
from .plan import Plan
from .workspace import stage

BANDS = 8
"""Bands, at least, of a small raster: work for each processor or worker."""


MOST = 0.5
"""Share of a subdistrict's ground above which what its cells say holds for it."""


def reads_cells(block: HazardOptions, plan: Plan) -> bool:
    """True if all sources of a block are rasters, so that it can be computed cell by cell."""
    return all(isinstance(plan.settings.sources[name], RasterSource) for name in block.sources.values())


def cells_in_months(name: str, block: HazardOptions, plan: Plan, work: str) -> xr.Dataset:
    """What a method computes cell by cell, kept in the folder of the unfinished run.

    Returns
    -------
    Dataset (time = month starts, lat, lon), with the attribute ``crs``
    """
    path = stage(work) / f"{name}.cells.nc"
    if not path.is_file():
        method = HAZARDS[block.method]
        rasters = whole_or_in_bands(rasters_of(block, plan, work), work)
        cells = method.in_months(rasters, block, years_of(block, plan))
        write_dataset(cells.assign_attrs(crs=rasters.attrs["crs"]), path)
    return xr.open_dataset(path)  # read variable by variable: all of them may be large


def means_of_cells(cells: xr.Dataset, plan: Plan, work: str) -> xr.Dataset:
    """Area-weighted mean over each subdistrict of every variable (time, lat, lon), and why there is none."""
    names = [v for v in map(str, cells.data_vars) if not v.endswith("_status")]
    place = {"crs": cells.attrs["crs"]}
    weights, out = weights_of(cells[names[0]].assign_attrs(place), work), xr.Dataset()
    for name in names:
        means = zonal_mean(cells[name].load().assign_attrs(place), weights)
        flags = cells.get(f"{name}_status")
        out[name] = means["value"].assign_attrs(cells[name].attrs)
        out[f"{name}_status"] = means["status"]
        if flags is not None:
            out[f"{name}_status"] = status_of_cells(means["status"], flags.load().assign_attrs(place), weights)
    return out


def status_of_cells(status: xr.DataArray, flags: xr.DataArray, weights: ZonalWeights) -> xr.DataArray:
    """Status of a mean (time, pcode), where the flags of its cells (time, lat, lon) say more.

    Without a value: what most of the ground says of it. With one: what more than half of the
    ground says with caution.
    """
    for member in sorted({int(code) for code in np.unique(flags.values)} - {int(Status.ok)}):
        here = zonal_mean((flags == member).astype("float32").assign_attrs(flags.attrs, units="1"), weights)["value"]
        kept = has_status(status, KEEPS_VALUE)
        if Status(member) in KEEPS_VALUE:
            flag = xr.full_like(status, member).assign_attrs(status.attrs)
            status = xr.where(kept & (here > MOST), more_cautious(status, flag), status)
        else:
            status = xr.where(~kept & (here > MOST), np.int8(member), status)
    return status.astype("int8").assign_attrs(status_attrs())


def weights_of(raster: xr.DataArray, work: str) -> ZonalWeights:
    """What each cell is worth to each subdistrict of the run."""
    return zonal_weights(grid_of(raster), gpd.read_parquet(stage(work) / "subdistricts.parquet"))


def rasters_of(block: HazardOptions, plan: Plan, work: str) -> xr.Dataset:
    """Rasters of a block under the names of their sources, over the periods that speak or calibrate.

    Returns
    -------
    Dataset (time, lat, lon), lazy, with the attribute ``crs``; a source without periods has no time

    Raises
    ------
    InputError : the rasters are not on the same cells
    """
    bounds = bounds_of(gpd.read_parquet(stage(work) / "subdistricts.parquet"))
    rasters = {name: open_raster(name, plan, bounds) for name in block.sources.values()}
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


def open_raster(name: str, plan: Plan, bounds: Bounds | None) -> xr.DataArray:
    """Raster of a source whose values were checked when it was read; lazy."""
    source = plan.settings.sources[name]
    assert isinstance(source, RasterSource)
    raster = source.raster(Path(plan.data), Findings(f"sources.{name}"), bounds)
    return raster.isel(time=0, drop=True) if source.cadence == "once" else raster
