"""Water seen from space: from rasters of codes (no observation, land, water) to what is known of each subdistrict.

The codes are those of the monthly water history of the Global Surface Water explorer (Pekel et
al. 2016). They are classes: no mean of them says anything, so what leaves here are areas and
shares. A cell nobody saw is neither land nor water.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from .schema import ContractError, Status, status_attrs
from .zonal import PUBLISH_COVERAGE, ZonalWeights, zonal_mean

NO_OBSERVATION, LAND, WATER = 0, 1, 2


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
    if not PUBLISH_COVERAGE <= min_observed_share <= 1.0:
        raise ContractError(f"min_observed_share: {min_observed_share}, expected {PUBLISH_COVERAGE} to 1")
    if list(subdistricts_area_km2.index) != list(weights.pcodes):
        raise ContractError("subdistricts_area_km2: other subdistricts than those of the weights, or in another order")
    share = zonal_mean(_is_water(raster), weights)
    area = xr.DataArray(subdistricts_area_km2.to_numpy("float64"), dims="pcode")
    short = (share["coverage"] < min_observed_share) & (share["coverage"] > 0)
    status = xr.where(short, np.int8(Status.insufficient_data), share["status"]).astype("int8")
    name = raster.attrs.get("long_name", "open water")
    return xr.Dataset(
        {
            "value": (share["value"] * area).where(~short).assign_attrs(units="km2", long_name=name),
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


def occurrence_by_subdistrict(raster: xr.DataArray, weights: ZonalWeights, *, min_months: int = 12) -> xr.Dataset:
    """Mean of `month_weighted_occurrence` over each subdistrict.

    Parameters
    ----------
    raster, min_months
        As `month_weighted_occurrence`.
    weights : ZonalWeights
        Of the grid of `raster`.

    Returns
    -------
    Dataset (time, pcode)
        ``value`` (%), ``coverage`` and ``status`` as `zonal_mean` gives them; one time, the last of the raster.
    """
    occurrence = month_weighted_occurrence(raster, min_months=min_months)
    return zonal_mean(occurrence.expand_dims(time=raster["time"].values[-1:]), weights)
