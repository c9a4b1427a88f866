"""Cell by cell: the rasters of a block on one grid, what its method makes of them, and means over subdistricts."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import xarray as xr

from geodata.bands import BAND_BYTES, IN_MEMORY_BYTES, by_bands
from geodata.calendar import period_ends
from geodata.evapotranspiration import Evapotranspiration
from geodata.grids import describe_grid, grid_of, same_pixels
from geodata.options import RasterSource, SourceOptions
from geodata.rasters import RasterStack, bounds_of
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
from geodata.store import read_cube, write_dataset, writing
from geodata.zonal import ZonalWeights, zonal_mean, zonal_weights
from models.hazards import HAZARDS, HazardOptions
from models.runoff import land_shares

from .kept import grow, kept_folder
from .learning import calibrating_files, learn_cells, sources_of
from .months import axis_of, known_or_calibrating, years_of
from .period_files import axis_of_files, digests_of
from .plan import Plan, code_version
from .workspace import stage

BANDS = 8
"""Bands, at least, of a small raster: work for each processor or worker."""


MOST = 0.5
"""Share of a subdistrict's ground above which what its cells say holds for it."""


def reads_cells(block: HazardOptions, plan: Plan) -> bool:
    """True if all sources of a block are rasters, so that it can be computed cell by cell."""
    return all(isinstance(plan.settings.sources[name], RasterSource) for name in block.sources.values())


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


def last_day_known(block: HazardOptions, plan: Plan) -> pd.Timestamp:
    """Last day of which every source of a block could be had by the end of the as-of month."""
    return pd.Timestamp(plan.as_of_end) - pd.Timedelta(days=axis_of(block, plan).available_after_days)


_CELLS, _MEANS = "cells.nc", "means.nc"


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
    first = open_raster(block.source, plan, _bounds(work), only_the_first=True)

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


# ------------------------------------------------------------------ months and their days


def windows_of(block: HazardOptions, plan: Plan, work: str) -> pd.DataFrame:
    """Months that speak or calibrate, the days that each needs, and the hash of all files that hold one of these.

    A month that speaks by the as-of month is told from days that could be had by then. One that only
    calibrates is told from every day of the calibration.

    Returns
    -------
    DataFrame, index time = month starts
        ``first``, ``last``, the first and the last of its days; ``speaks``; ``digest``
    """
    source, speaking = plan.settings.sources[block.source], axis_of(block, plan)
    window = HAZARDS[block.method].window
    assert window is not None
    back, on = (pd.Timedelta(days=n) for n in window(block))
    bounds, kept = _bounds(work), kept_folder(plan, work)
    axis = axis_of_files(block.source, plan, Findings(""), kept)
    record = pd.DatetimeIndex(axis) if axis else open_raster(block.source, plan, bounds).indexes["time"]
    days = _cut(record, source, block, plan)
    months = _cut(pd.DatetimeIndex(days.to_period("M").unique().to_timestamp()), speaking, block, plan)
    by_then, ends = last_day_known(block, plan), period_ends(months, "month")
    table = pd.DataFrame({"speaks": ends <= by_then}, index=pd.DatetimeIndex(months, name="time"))
    table["first"] = (table.index - back).where(table.index - back > days[0], days[0])
    latest = pd.Series(days[-1], index=table.index).where(~table["speaks"], min(by_then, days[-1]))
    table["last"] = latest.where(latest < ends + on, ends + on)
    files = [files_of_days(name, plan, days, kept) for name in block.sources.values()]
    table["digest"] = [_digest_of(row, days, files) for row in table.itertuples()]
    return table


def _cut(times: pd.DatetimeIndex, source: SourceOptions, block: HazardOptions, plan: Plan) -> pd.DatetimeIndex:
    axis = xr.Dataset(coords={"time": times})
    return pd.DatetimeIndex(known_or_calibrating(axis, source, years_of(block, plan), plan).indexes["time"])


def files_of_days(name: str, plan: Plan, days: pd.DatetimeIndex, kept: Path) -> np.ndarray:
    """Hash of the file that holds each day; of all files together, where one may hold any day."""
    digests, axis = digests_of(name, plan), axis_of_files(name, plan, Findings(""), kept)
    if not axis:
        return np.full(len(days), "".join(digests.values()), dtype=object)
    return np.array([digests[axis.get(day, "")] for day in days], dtype=object)


def _digest_of(month: Any, days: pd.DatetimeIndex, files: Sequence[np.ndarray]) -> str:
    rows = days.slice_indexer(month.first, month.last)
    held = [list(dict.fromkeys(of_days[rows])) for of_days in files]
    return hashlib.sha256(json.dumps([str(month.first), str(month.last), held]).encode()).hexdigest()


def runs_of_months(windows: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Months that follow one another, in one run; those that speak apart from those that only calibrate."""
    number = windows.index.year * 12 + windows.index.month
    breaks = (np.diff(number, prepend=number[:1]) > 1) | (windows["speaks"] != windows["speaks"].shift())
    return (run for _, run in windows.groupby(breaks.cumsum()))


def _bounds(work: str) -> Bounds | None:
    return bounds_of(gpd.read_parquet(stage(work) / "subdistricts.parquet"))


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
    rasters = {name: open_raster(name, plan, _bounds(work), days) for name in block.sources.values()}
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
