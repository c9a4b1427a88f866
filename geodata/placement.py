"""Where a location may lie whose coordinates are not exact: the chance of each subdistrict.

Lists give a village by the middle of its houses, or of its district. With an error of a kilometre a
place beside a border may lie on either side of it.
"""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from scipy.stats import qmc

from .schema import ContractError

KM_PER_DEGREE = 111.195
"""Of latitude, on a sphere of radius 6371.0 km; at these distances the ellipsoid changes nothing."""

_SURE = 4.0  # standard deviations from every border beyond which no draw is made
_OUTSIDE = ""


def unit_probabilities(
    points: gpd.GeoSeries, subdistricts: gpd.GeoDataFrame, sigma_km: float, *, draws: int = 4096, seed: int = 0
) -> pd.DataFrame:
    """Probability that a location lies in each subdistrict, if its coordinates have a normal error.

    Drawn quasi-randomly (Sobol), the same for every location, so that two places alike are treated alike.

    Parameters
    ----------
    points : GeoSeries, index of any kind, EPSG:4326
    subdistricts : GeoDataFrame, index pcode, EPSG:4326, without overlaps
    sigma_km : float, km
        Standard deviation of the error to the east and to the north; 1 for a village, 3 for a place that was given
        the middle of its district.
    draws : int, a power of 2
    seed : int

    Returns
    -------
    DataFrame with columns ``point``, ``pcode`` ("" outside all) and ``probability``; of each point they sum to 1

    Raises
    ------
    ContractError : a negative error, or coordinates in another CRS

    References
    ----------
    For a straight border at a distance d: P(wrong side) = Phi(-d / sigma).
    """
    if sigma_km < 0 or points.crs is None or points.crs.to_epsg() != 4326:
        raise ContractError(f"placement: sigma {sigma_km} km in {points.crs}, expected 0 or more in EPSG:4326")
    error_km = qmc.MultivariateNormalQMC(np.zeros(2), seed=seed).random(draws) * sigma_km
    shapes, codes = subdistricts.geometry.to_numpy(), subdistricts.index.to_numpy().astype(str)
    borders, tree = shapely.boundary(shapes), shapely.STRtree(shapes)
    shapely.prepare(shapes)
    shapely.prepare(borders)
    names = [*codes, _OUTSIDE]
    rows = []
    for label, point in points.items():
        east = KM_PER_DEGREE * np.cos(np.radians(point.y))
        reach = _SURE * sigma_km / east
        around = np.sort(tree.query(shapely.box(point.x - reach, point.y - reach, point.x + reach, point.y + reach)))
        is_near = shapely.dwithin(borders[around], point, reach).any()
        offsets = error_km / [east, KM_PER_DEGREE] if is_near else np.zeros((1, 2))
        unit = np.full(len(offsets), len(codes))
        for k in around[::-1]:  # so that on a border the first of the two stands
            unit[shapely.intersects_xy(shapes[k], point.x + offsets[:, 0], point.y + offsets[:, 1])] = k
        found, count = np.unique(unit, return_counts=True)
        rows += [(label, names[u], n / len(offsets)) for u, n in zip(found, count, strict=True)]
    return pd.DataFrame(rows, columns=["point", "pcode", "probability"])
