"""Cell by cell: what a method makes of the rasters of its block, kept month by month, and means over subdistricts."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import xarray as xr

from geodata.calendar import period_ends
from geodata.grids import describe_grid, grid_of
from geodata.schema import (
    KEEPS_VALUE,
    Status,
    has_status,
    more_cautious,
    status_attrs,
)
from geodata.store import read_cube, write_dataset, writing
from geodata.zonal import ZonalWeights, zonal_mean, zonal_weights
from models.hazards import HAZARDS, HazardOptions

from .block_rasters import bounds_of_run, open_raster, rasters_of, whole_or_in_bands
from .kept import grow, kept_folder
from .learning import calibrating_files, learn_cells, sources_of
from .month_windows import last_day_known, runs_of_months, windows_of
from .months import years_of
from .plan import Plan, code_version
from .workspace import stage

MOST = 0.5
"""Share of a subdistrict's ground above which what its cells say holds for it."""

_CELLS, _MEANS = "cells.nc", "means.nc"


def cells_in_months(name: str, block: HazardOptions, plan: Plan, work: str) -> xr.Dataset:
    """What the score of a block is made of, cell by cell and month by month.

    Returns
    -------
    Dataset (time = month starts, lat, lon), with the attribute ``crs``
    """
    return xr.open_dataset(_worked_out(name, block, plan, work) / _CELLS)  # read as needed: it may be large


def means_in_months(name: str, block: HazardOptions, plan: Plan, work: str) -> xr.Dataset:
    """Means over the subdistricts of all that a method computes cell by cell. Returns: Dataset (time, pcode)."""
    return read_cube(_worked_out(name, block, plan, work) / _MEANS)


def months_of_inputs(inputs: xr.Dataset, block: HazardOptions, plan: Plan) -> xr.Dataset:
    """What a method makes month by month of inputs by subdistrict, where no cells are known.

    A month that speaks by the as-of month is told from days that could be had by then, as of `windows_of`.
    """
    method, years = HAZARDS[block.method], years_of(block, plan)
    if method.window is None or method.fit_cells is None:
        return method.in_months(inputs, block, years)
    learnt = method.fit_cells(inputs, block, years)
    whole, by_then = method.in_months(inputs, block, years, learnt), last_day_known(block, plan)
    known = inputs.sel(time=slice(by_then))
    if not known.sizes["time"]:
        return whole
    months = method.in_months(known, block, years, learnt)
    months = months.isel(time=period_ends(months.indexes["time"], "month") <= by_then)
    return xr.concat([months, whole.isel(time=slice(months.sizes["time"], None))], dim="time", combine_attrs="override")


def _worked_out(name: str, block: HazardOptions, plan: Plan, work: str) -> Path:
    """Folder, in the unfinished run, of the cells of a block and of their means."""
    folder = stage(work) / f"{name}.cells"
    if not (folder / _MEANS).is_file():
        method = HAZARDS[block.method]
        cells, means = (_month_by_month if method.window is not None else _whole)(name, block, plan, work)
        with writing(folder / _CELLS):
            cells.drop_encoding().to_netcdf(folder / _CELLS, engine="netcdf4")
        write_dataset(means, folder / _MEANS)
    return folder


def _whole(name: str, block: HazardOptions, plan: Plan, work: str) -> tuple[xr.Dataset, xr.Dataset]:
    """Cells behind the score and means of all, of a method that needs the whole record for each month."""
    rasters = whole_or_in_bands(rasters_of(block, plan, work), work)
    cells = HAZARDS[block.method].in_months(rasters, block, years_of(block, plan))
    return _scored_and_means(cells.assign_attrs(crs=rasters.attrs["crs"]), block, plan, work)


def _month_by_month(name: str, block: HazardOptions, plan: Plan, work: str) -> tuple[xr.Dataset, xr.Dataset]:
    """The same, kept from run to run: only months are worked out in whose days a file is new or changed."""
    windows, years = windows_of(block, plan, work), years_of(block, plan)
    whole = cache(lambda: whole_or_in_bands(rasters_of(block, plan, work), work))
    first = open_raster(block.source, plan, bounds_of_run(work), only_the_first=True)

    def answer(months: pd.Index) -> xr.Dataset:
        learnt = learn_cells(name, block, plan, work, whole)
        parts = []
        for run in runs_of_months(windows.loc[months]):
            days = slice(run["first"].iloc[0], run["last"].iloc[-1])
            # The record is turned already where something was learnt from it in this run.
            turned = whole.cache_info().currsize
            rasters = whole().sel(time=days) if turned else whole_or_in_bands(rasters_of(block, plan, work, days), work)
            cells = HAZARDS[block.method].in_months(rasters, block, years, learnt).sel(time=run.index)
            scored, means = _scored_and_means(cells.assign_attrs(crs=first.attrs["crs"]), block, plan, work)
            parts.append(xr.merge([scored.load(), means.rename({v: f"{_MEAN}{v}" for v in means.data_vars})]))
        return xr.concat(parts, dim="time", join="exact", combine_attrs="override").sel(time=months)

    question = {"block": block.model_dump(mode="json"), "sources": sources_of(block, plan), "years": years}
    question |= {"learnt": calibrating_files(block, plan), "grid": describe_grid(grid_of(first))}
    question |= {"units": plan.settings.boundaries.model_dump(mode="json"), "code": code_version()}
    found = grow(kept_folder(plan, work), f"cells-{name}", question, windows["digest"], answer)
    means = [str(v) for v in found.data_vars if str(v).startswith(_MEAN)]
    cells = found[[v for v in found.data_vars if v not in means]].assign_attrs(crs=first.attrs["crs"])
    return cells, found[means].rename({v: v.removeprefix(_MEAN) for v in means})


_MEAN = "mean_"  # before the names of means, where they stand beside the cells


def _scored_and_means(cells: xr.Dataset, block: HazardOptions, plan: Plan, work: str) -> tuple[xr.Dataset, xr.Dataset]:
    """Cells behind the score, and means of all; what is lazy is worked out once, on disk."""
    scored = [f"{v}{end}" for v in HAZARDS[block.method].scored_cells for end in ("", "_status")]
    stored = _on_disk(cells, work) if any(v.chunks for v in cells.variables.values()) else cells
    return stored[scored] if scored else stored, means_of_cells(stored, plan, work)


def _on_disk(cells: xr.Dataset, work: str) -> xr.Dataset:
    """Cells written band by band: computed whole, they would all stand in memory."""
    with writing(stage(work) / "cells"):
        store = tempfile.mkdtemp(prefix="cells-", suffix=".zarr", dir=stage(work))
        unpacked = {str(name): {"compressors": None} for name in cells.data_vars}
        cells.drop_encoding().to_zarr(store, mode="w", consolidated=False, encoding=unpacked)
    # A folder lists its variables in no order of its own: that of the method goes into the products.
    return xr.open_zarr(store, chunks=None, consolidated=False)[list(cells.data_vars)].assign_attrs(cells.attrs)


# ------------------------------------------------------------------ means


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
