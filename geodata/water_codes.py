"""Water seen from space: from rasters of codes, or of occurrence, to what is known of each subdistrict.

The codes (no observation, land, water) are those of the monthly water history of the Global
Surface Water explorer (Pekel et al. 2016). They are classes: no mean of them says anything, so
what leaves here are areas and shares. A cell nobody saw is neither land nor water. The
occurrence is one map of all years together: it says where water usually is, and nothing of a month.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from .schema import ContractError, Status, status_attrs
from .zonal import PUBLISH_COVERAGE, ZonalWeights, zonal_mean

NO_OBSERVATION, LAND, WATER = 0, 1, 2

PERMANENT_FROM, CHANGING_FROM = 90.0, 10.0
"""Occurrence, %, from which water counts as permanent, and from which as more than rare: the project's own choice."""

_USUAL_WATER = {
    "value": "open water, mean of all years",
    "permanent": f"ground under water for at least {PERMANENT_FROM:g} % of the time",
    "changing": f"ground under water for {CHANGING_FROM:g} to {PERMANENT_FROM:g} % of the time",
}


def water_by_subdistrict(
    raster: xr.DataArray,
    weights: ZonalWeights,
    subdistricts_area_km2: pd.Series,
    min_observed_share: float = 0.7,
) -> xr.Dataset:
    """Area of open water of each subdistrict, from the part of it that was seen.

    Parameters
    ----------
    raster : DataArray (time, lat, lon), codes 0 no observation, 1 land, 2 water; NaN no data
    weights : ZonalWeights
        Of the grid of `raster`.
    subdistricts_area_km2 : Series, index pcode, km2
        Ground area of each subdistrict.
    min_observed_share : float
        Share of a subdistrict that must have been seen, at least 0.5.

    Returns
    -------
    Dataset (time, pcode)
        ``value``, km2: water seen, divided by the share of the subdistrict that was seen.
        ``coverage``: that share, so water + land + unseen = area, where water = value x coverage.
        ``status``: input_missing where nothing was seen, insufficient_data below
        `min_observed_share`, resolution_limited where the cells are coarser than the subdistrict.

    Raises
    ------
    ContractError : areas of other subdistricts than the weights', or a share that no mean is given for
    """
    name = raster.attrs.get("long_name", "open water")
    areas = _area_seen(_is_water(raster), weights, subdistricts_area_km2, min_observed_share)
    return areas.assign(value=areas["value"].assign_attrs(long_name=name))


def _area_seen(
    cells: xr.DataArray, weights: ZonalWeights, subdistricts_area_km2: pd.Series, min_observed_share: float
) -> xr.Dataset:
    """Area of shares of cells (time, lat, lon), NaN where not seen: ``value`` (km2), ``coverage`` and ``status``."""
    if not PUBLISH_COVERAGE <= min_observed_share <= 1.0:
        raise ContractError(f"min_observed_share: {min_observed_share}, expected {PUBLISH_COVERAGE} to 1")
    if list(subdistricts_area_km2.index) != list(weights.pcodes):
        raise ContractError("subdistricts_area_km2: other subdistricts than those of the weights, or in another order")
    share = zonal_mean(cells, weights, sure_coverage=min_observed_share)  # what was not seen is told by itself
    area = xr.DataArray(subdistricts_area_km2.to_numpy("float64"), dims="pcode")
    short = (share["coverage"] < min_observed_share) & (share["coverage"] > 0)
    status = xr.where(short, np.int8(Status.insufficient_data), share["status"]).astype("int8")
    return xr.Dataset(
        {
            "value": (share["value"] * area).where(~short).assign_attrs(units="km2"),
            "coverage": share["coverage"].assign_attrs(long_name="share of the unit that was observed"),
            "status": status.assign_attrs(status_attrs()),
        }
    )


def _is_water(raster: xr.DataArray) -> xr.DataArray:
    """1 water, 0 land, NaN where nothing was seen."""
    seen = raster.where((raster == LAND) | (raster == WATER))
    return (seen - np.float32(LAND)).assign_attrs(crs=raster.attrs.get("crs", "EPSG:4326"))


def month_weighted_occurrence(raster: xr.DataArray, *, min_months: int = 12) -> xr.DataArray:
    """How often a cell is under water: the mean over the months of the year of its share of observations.

    Water over all observations at once would be the share of the cloud-free season, which in most
    places is the dry one. So each month of the year counts the same, however often it was seen.

    Parameters
    ----------
    raster : DataArray (time, lat, lon), codes as in `water_by_subdistrict`; one image per month
    min_months : int
        Months of the year that must have been seen, each in any year. 1 is how the published
        occurrence map is made: it averages over whichever months were ever seen.

    Returns
    -------
    DataArray (lat, lon), % (0 never, 100 always); NaN where fewer months were seen

    Formula
    -------
    occurrence = 100 mean over months m of the year of [water_m / (water_m + land_m)]

    Limits
    ------
    * How often, not when: a lake that dried up ten years ago and one that fills every spring may be equal.
    * Years of which more months were seen count more, and the early satellites saw little.
    * A month of the year that was never seen leaves the cell without a value, unless ``min_months`` allows it.
    * Reeds, trees, dark shadows and salt crusts are misread by the codes themselves.

    References
    ----------
    Pekel et al. 2016, Nature 540, 418-422: surface water occurrence.

    Examples
    --------
    Water in the one June seen, land in each of three Julys: 50 %, not 25 %.

    >>> times = pd.DatetimeIndex(["2017-06-01", "2017-07-01", "2018-07-01", "2019-07-01"])
    >>> codes = xr.DataArray([[[2.0]], [[1.0]], [[1.0]], [[1.0]]], dims=("time", "lat", "lon"), coords={"time": times})
    >>> month_weighted_occurrence(codes, min_months=2).item()
    50.0
    """
    by_month = _is_water(raster).groupby(raster["time"].dt.month.rename("month"))
    share = by_month.mean()
    seen = share.notnull().sum("month")
    occurrence = 100.0 * share.mean("month").where(seen >= min_months)
    return occurrence.transpose("lat", "lon").assign_attrs(
        units="%", long_name="water occurrence", crs=raster.attrs.get("crs", "EPSG:4326")
    )


def occurrence_by_subdistrict(
    occurrence: xr.DataArray,
    weights: ZonalWeights,
    subdistricts_area_km2: pd.Series,
    min_observed_share: float = 0.7,
) -> xr.Dataset:
    """Where water usually is: open water of each subdistrict in the mean of all years, and how steady it is.

    Parameters
    ----------
    occurrence : DataArray (time, lat, lon), %, one map; NaN where nothing was ever seen
    weights : ZonalWeights
        Of the grid of `occurrence`.
    subdistricts_area_km2, min_observed_share
        As `water_by_subdistrict`.

    Returns
    -------
    Dataset (time, pcode)
        ``value`` (km2, mean area of open water), ``permanent`` (km2, ground under water for 90 % of the time and more),
        ``changing`` (km2, for 10 to 90 % of it), each scaled to the part that was not seen; ``coverage`` (1, share of
        the unit whose occurrence is known) and ``status``, one for all three: insufficient_data below
        `min_observed_share`.

    Raises
    ------
    ContractError : as `water_by_subdistrict`

    Formula
    -------
    usual water = area x mean over cells of occurrence / 100
    permanent = area x share of cells with occurrence >= 90 %,  changing = with 10 % <= occurrence < 90 %

    Limits
    ------
    * A fact of the ground over all years of the map, not of any month: it can be no drought signal.
    * ``changing`` holds what comes and goes with the season, what dried up years ago and what was dammed since.
    * Below 10 % lie rare floods and misread shadows; the two limits are the project's own choice.

    References
    ----------
    Pekel et al. 2016, Nature 540, 418-422: surface water occurrence.
    """
    seen = occurrence.notnull()
    share = occurrence / np.float32(100)
    permanent, at_times = (
        (occurrence >= limit).astype("float32").where(seen) for limit in (PERMANENT_FROM, CHANGING_FROM)
    )
    parts = {"value": share, "permanent": permanent, "changing": at_times - permanent}
    out = xr.Dataset()
    for name, part in parts.items():
        areas = _area_seen(part.assign_attrs(occurrence.attrs), weights, subdistricts_area_km2, min_observed_share)
        out[name] = areas["value"].assign_attrs(units="km2", long_name=_USUAL_WATER[name])
    return out.merge(areas[["coverage", "status"]])
