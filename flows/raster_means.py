"""Rasters by subdistrict: checked, averaged, and kept period by period."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import xarray as xr

from geodata.grids import describe_grid, grid_of
from geodata.options import SourceOptions
from geodata.rasters import RasterStack, bounds_of, judge, summarise
from geodata.schema import Findings, GridSpec
from geodata.water_codes import occurrence_by_subdistrict, water_by_subdistrict
from geodata.zonal import zonal_mean, zonal_weights

from .kept import grow
from .period_files import axis_of_files, digests_of, names_tell
from .plan import Plan, code_version
from .policy import computing, reading

zonal_weights_step = computing("zonal-weights")(zonal_weights)
zonal_mean_step = reading("zonal-mean")(zonal_mean)
water_step = reading("water-by-subdistrict")(water_by_subdistrict)
occurrence_step = reading("occurrence-by-subdistrict")(occurrence_by_subdistrict)


def by_subdistrict(raster: xr.DataArray, options: SourceOptions, subdistricts: gpd.GeoDataFrame) -> xr.Dataset:
    """A raster brought to the subdistricts, as its quantity asks: a mean, an area of ground, an area of water.

    Returns
    -------
    Dataset (time, pcode): ``value``, ``status``, ``coverage``; coordinate ``effective_cells`` (pcode), and of a map of
    usual water ``permanent`` and ``changing`` too: facts of the ground, which are carried onto no month
    """
    weights = zonal_weights_step(grid_of(raster), subdistricts)
    if isinstance(options, RasterStack) and options.quantity == "water_history":
        out = water_step(raster, weights, subdistricts["area_km2"], options.min_observed_share)
    elif isinstance(options, RasterStack) and options.quantity == "water_occurrence":
        areas = occurrence_step(raster, weights, subdistricts["area_km2"], options.min_observed_share)
        out = areas.set_coords(["permanent", "changing"])
    else:
        out = zonal_mean_step(raster, weights)
    if isinstance(options, RasterStack) and options.quantity == "area_share":
        ground = xr.DataArray(subdistricts["area_km2"].to_numpy(), dims="pcode")
        out["value"] = (out["value"] * ground).assign_attrs(units="km2")
    return out.assign_coords(effective_cells=("pcode", weights.n_eff))


@reading("read-raster")
def read_by_subdistrict(
    name: str, options: RasterStack, plan: Plan, log: Findings, subdistricts: gpd.GeoDataFrame, kept: Path
) -> xr.Dataset | None:
    """Means of a stack of several files, of which only the new or changed are read.

    Returns
    -------
    Dataset as of `by_subdistrict`; None of a source in one file
    """
    axis = axis_of_files(name, plan, log, kept)
    if not axis:
        return None
    root, bounds = Path(plan.data), bounds_of(subdistricts)
    own = Findings(log.source)
    grid = grid_of(options.raster(root, own, bounds, to_open(axis, options)))
    log.items += [finding for finding in own.items if finding not in log.items]

    def answer(times: pd.Index) -> xr.Dataset:
        images = options.raster(root, Findings(log.source), bounds, {time: axis[time] for time in times})
        table = summarise(images, options, log)
        log.stop()
        told = xr.Dataset.from_dataframe(table.rename_axis("time").add_prefix(_TOLD))
        return by_subdistrict(images, options, subdistricts).merge(told, join="exact")

    digests = digests_of(name, plan)
    of_periods = pd.Series([digests.get(path, "") for path in axis.values()], index=pd.DatetimeIndex(axis, name="time"))
    whole = grow(kept, f"means-{name}", question_of(options, plan, grid), of_periods, answer)
    told = [v for v in map(str, whole.data_vars) if v.startswith(_TOLD)]
    judge(
        whole[told].reset_coords(drop=True).to_dataframe().rename(columns=lambda c: c.removeprefix(_TOLD)), options, log
    )
    log.stop()
    return whole.drop_vars(told)


def to_open(axis: Mapping[pd.Timestamp, str], options: RasterStack) -> dict[pd.Timestamp, str]:
    """Periods whose files are opened for what their headers say.

    The first and the last file tell grid and extent of all. Only a declared CRS is noted for each file, and is
    not told yet of files whose names say what they hold.
    """
    return dict(axis) if options.crs and names_tell(options) else {max(axis): axis[max(axis)]}


def question_of(options: SourceOptions, plan: Plan, grid: GridSpec) -> dict[str, Any]:
    """All that the means of a period depend on, but the file."""
    return {
        "source": options.model_dump(mode="json"),
        "boundaries": [(f.path, f.sha256) for f in plan.inputs if f.source == "boundaries"],
        "units": plan.settings.boundaries.model_dump(mode="json"),
        "grid": describe_grid(grid),
        "code": code_version(),
    }


_TOLD = "told_"  # before the columns of `summarise`
