"""Which accumulation speaks: the first scale of a standardised index that is informative this month."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from scipy.special import ndtr

from geodata.schema import KEEPS_VALUE, has_status, status_attrs
from models.hazards import HazardOptions, as_hazard
from models.scoring import carry_forward


def headline(indices: xr.Dataset, index_name: str, scales_months: Sequence[int]) -> xr.Dataset:
    """Index of the first scale that is informative this month.

    In a dry season the short scales are masked and a longer one speaks. Where none does, the
    status is that of the first scale.

    Parameters
    ----------
    indices : Dataset (time, ...) with ``<index_name>_<k>`` and ``<index_name>_<k>_status`` of each scale
    index_name : str, "spi" or "spei"
    scales_months : scales in order of preference

    Returns
    -------
    Dataset (time, ...): ``index`` (1), ``scale_months`` (months), ``status``
    """
    first = indices[f"{index_name}_{scales_months[0]}"]
    index = xr.full_like(first, np.nan, dtype=float)
    scale = xr.full_like(index, np.nan)
    status = indices[f"{index_name}_{scales_months[0]}_status"]
    for k in scales_months:
        flags = indices[f"{index_name}_{k}_status"]
        speaks = index.isnull() & has_status(flags, KEEPS_VALUE)
        index = xr.where(speaks, indices[f"{index_name}_{k}"].astype(float), index)
        scale = xr.where(speaks, float(k), scale)
        status = xr.where(speaks, flags, status)
    status = status.astype("int8").transpose(*first.dims).assign_attrs(status_attrs())
    return xr.Dataset(
        {"index": index.transpose(*first.dims), "scale_months": scale.transpose(*first.dims), "status": status}
    )


def score_headline(
    name: str, indices: xr.Dataset, index_name: str, scales_months: Sequence[int], options: HazardOptions
) -> xr.Dataset:
    """Hazard from the scale that speaks, carried to the months after the last observed one.

    Parameters
    ----------
    name : str, of the hazard
    indices, index_name, scales_months : as of `headline`
    options : of the hazard

    Returns
    -------
    Dataset (time, ...)
        The indices, ``<name>_index``, ``<name>_scale_months`` (which scale speaks), ``<name>_percentile``,
        ``<name>_age_months`` and ``hazard_<name>``, each with its status.
    """
    spoken = headline(indices, index_name, scales_months)
    carried = carry_forward(spoken["index"], spoken["status"], max_age_days=options.max_age_days)
    scale = carry_forward(spoken["scale_months"], spoken["status"], max_age_days=options.max_age_days)["value"]
    status, value = carried["status"], carried["value"]
    percentile = xr.apply_ufunc(ndtr, value, dask="parallelized", output_dtypes=[np.float64])
    told: dict[str, Any] = {
        "index": value.assign_attrs(units="1", long_name=f"{index_name.upper()} that speaks for {name}"),
        "scale_months": scale.assign_attrs(units="months", long_name=f"accumulation of that {index_name.upper()}"),
        "percentile": percentile.assign_attrs(units="1", long_name="share of years that are drier"),
        "age_months": carried["age_months"],
    }
    named = {f"{name}_{key}": values for key, values in told.items()}
    return indices.assign(
        {**named, **{f"{key}_status": status for key in named}, **as_hazard(name, value, status, options)}
    )
