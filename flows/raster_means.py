"""Rasters by subdistrict: checked, averaged, and kept period by period."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import pandas as pd
import xarray as xr

from geodata.grids import describe_grid, grid_of
from geodata.options import SourceOptions
from geodata.rasters import RasterStack, bounds_of, judge, summarise
from geodata.schema import Findings
from geodata.stacks import periods_of_files
from geodata.water_codes import occurrence_by_subdistrict, water_by_subdistrict
from geodata.zonal import zonal_mean, zonal_weights

from .kept import grow
from .period_files import digest_of_each_period, file_of_each_period
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
    Dataset (time, pcode): ``value``, ``status``, ``coverage``; coordinate ``effective_cells`` (pcode)
    """
    weights = zonal_weights_step(grid_of(raster), subdistricts)
    if isinstance(options, RasterStack) and options.quantity == "water_history":
        out = water_step(raster, weights, subdistricts["area_km2"], options.min_observed_share)
    elif isinstance(options, RasterStack) and options.quantity == "water_occurrence":
        areas = occurrence_step(raster, weights, subdistricts["area_km2"], options.min_observed_share)
        out = areas.drop_vars(["permanent", "changing"])
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
    """Means of a stack with a file for each period, of which only the new or changed files are read.

    Returns
    -------
    Dataset as of `by_subdistrict`; None of a stack whose files hold several periods
    """
    if not file_of_each_period(name, plan):
        return None
    root, bounds = Path(plan.data), bounds_of(subdistricts)
    periods = periods_of_files(options, root, log)
    # Without a declared CRS a header says nothing that the run must tell, but of its extent: two files do for all.
    known = periods if options.crs else periods[-1:]
    grid = grid_of(options.raster(root, log, bounds, known))

    def answer(times: pd.DatetimeIndex) -> xr.Dataset:
        images = options.raster(root, Findings(log.source), bounds, times)
        table = summarise(images, options, log)
        log.stop()
        told = xr.Dataset.from_dataframe(table.rename_axis("time").add_prefix(_TOLD))
        return by_subdistrict(images, options, subdistricts).merge(told, join="exact")

    boundaries = [(f.path, f.sha256) for f in plan.inputs if f.source == "boundaries"]
    question = {"source": options.model_dump(mode="json"), "boundaries": boundaries, "code": code_version()}
    question["grid"] = describe_grid(grid)
    question["units"] = plan.settings.boundaries.model_dump(mode="json")
    digests = digest_of_each_period(name, plan, periods)
    whole = grow(kept, f"means-{name}", question, digests, answer)
    told = [v for v in map(str, whole.data_vars) if v.startswith(_TOLD)]
    judge(
        whole[told].reset_coords(drop=True).to_dataframe().rename(columns=lambda c: c.removeprefix(_TOLD)), options, log
    )
    log.stop()
    return whole.drop_vars(told)


_TOLD = "told_"  # before the columns of `summarise`
