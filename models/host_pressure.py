"""How many came to how few: displaced households against residents and water, from protected counts alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from geodata.schema import KEEPS_VALUE, Status, has_status, more_cautious, status_attrs

PER = 1000.0

LEAST_KNOWN = 0.5
"""Share of the households whose origin has a known hazard, below which the hazard at the origins is not told."""


def per_thousand(
    part: xr.DataArray, part_status: xr.DataArray, whole: xr.DataArray, whole_status: xr.DataArray
) -> tuple[xr.DataArray, xr.DataArray]:
    """A protected count per thousand of something else, with its status.

    Parameters
    ----------
    part : DataArray (time, pcode), from a protected count
    whole : DataArray (time, pcode), residents, or m3/day of water
    part_status, whole_status : Status flags

    Returns
    -------
    values, status : NaN where either is not known, with the status of the one that is not; suppressed stays
        suppressed; of nobody and of no water there is no share (insufficient_data)

    >>> few, ok = xr.DataArray([20.0, np.nan, 5.0]), xr.DataArray(np.array([0, 10, 0], dtype="int8"))
    >>> values, status = per_thousand(few, ok, xr.DataArray([4000.0, 50.0, 0.0]), xr.zeros_like(ok))
    >>> values.values.tolist(), status.values.tolist()
    ([5.0, nan, nan], [0, 10, 5])
    """
    ratio = PER * part / whole.where(whole > 0)
    told, known = has_status(part_status, KEEPS_VALUE), has_status(whole_status, KEEPS_VALUE)
    status = xr.where(told, whole_status, part_status)
    status = xr.where(told & known, more_cautious(part_status, whole_status), status)
    status = xr.where(told & known & ratio.isnull(), np.int8(Status.insufficient_data), status)
    return ratio.where(told & known), status.astype("int8").assign_attrs(status_attrs())


def hazard_at_origins(weights: pd.DataFrame, hazard: pd.Series) -> pd.DataFrame:
    """Mean hazard of where the displaced of each destination came from.

    Parameters
    ----------
    weights : DataFrame, index origin, a column per destination
        Households from each origin, from protected cells.
    hazard : Series, index origin
        Mean hazard (0-10) of the origin; NaN where it is not known.

    Returns
    -------
    DataFrame, index destination
        ``hazard_at_origins`` (0-10) and ``hazard_at_origins_status``: insufficient_data where the origins of more than
        half have no known hazard, or nobody is there.

    >>> hazard_at_origins(pd.DataFrame({"D": [30.0, 10.0]}, index=["A", "B"]), pd.Series({"A": 8.0, "B": 4.0}))
       hazard_at_origins hazard_at_origins_status
    D                7.0                       ok
    """
    known = hazard.reindex(weights.index)
    weighed = weights.mul(known.notna(), axis=0).sum()
    mean = weights.mul(known.fillna(0.0), axis=0).sum() / weighed.where(weighed > 0)
    told = (weighed >= LEAST_KNOWN * weights.sum()) & (weighed > 0)
    status = np.where(told, Status.ok.name, Status.insufficient_data.name)
    return pd.DataFrame({"hazard_at_origins": mean.where(told), "hazard_at_origins_status": status})
