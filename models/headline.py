"""Which accumulation speaks: the first scale of a standardised index that is informative this month."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from scipy.special import ndtr

from geodata.schema import KEEPS_VALUE, Status, has_status, status_attrs
from models.hazards import HazardOptions, as_hazard
from models.scoring import carry_forward
from models.spi_doubt import beside_index, class_probabilities

CLASSES = ("moderate", "severe", "extreme")
"""Drought classes of WMO-No. 1090, from the mildest."""


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

    Formula
    -------
    index = index of the first scale k, in the order of the country file, whose status keeps a value this month

    Limits
    ------
    * From month to month the scale may change, and the index with it, though no rain fell: ``scale_months``
      says which one speaks.
    * A longer scale speaks of a longer time: in a dry season it tells of the winter before.
    * A gap in the newest month silences all scales alike; an older value is then carried, with its age.
    * No shorter scale speaks for a longer one that lacks a month: it may know nothing of the drought.

    References
    ----------
    The project's own rule for dry seasons.
    """
    first = indices[f"{index_name}_{scales_months[0]}"]
    index = xr.full_like(first, np.nan, dtype=float)
    scale = xr.full_like(index, np.nan)
    status = indices[f"{index_name}_{scales_months[0]}_status"]
    lost = xr.zeros_like(index)  # longest of the scales so far that a dry season did not silence
    for k in scales_months:
        flags = indices[f"{index_name}_{k}_status"]
        kept = has_status(flags, KEEPS_VALUE)
        speaks = index.isnull() & kept & (lost <= k)
        lost = xr.where(kept | (flags == Status.masked_dry_season), lost, np.maximum(lost, k))
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
        ``<name>_age_months`` and ``hazard_<name>``, each with its status; and, where the scales have them,
        ``<name>_sd``, ``<name>_spread`` and ``<name>_probability_<class>`` of the months that were observed.
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
    doubt = _doubt(name, indices, index_name, spoken, scales_months)
    return indices.assign(
        {**named, **{f"{key}_status": status for key in named}, **doubt, **as_hazard(name, value, status, options)}
    )


def _doubt(
    name: str, indices: xr.Dataset, index_name: str, spoken: xr.Dataset, scales_months: Sequence[int]
) -> dict[str, xr.DataArray]:
    """How sure the index is that speaks, in its own months: what stands beside its scale, and the odds of a class."""
    out: dict[str, xr.DataArray] = {}
    words = {"sd": "sampling standard deviation of", "spread": "spread between ways to fit"}
    for what in [w for w in words if f"{index_name}_{scales_months[0]}_{w}" in indices]:
        value = xr.full_like(spoken["index"], np.nan)
        for k in scales_months:
            value = xr.where(spoken["scale_months"] == k, indices[f"{index_name}_{k}_{what}"].astype(float), value)
        label = {"units": "1", "long_name": f"{words[what]} the {index_name.upper()} that speaks for {name}"}
        value = value.transpose(*spoken["index"].dims).assign_attrs(label)
        out |= beside_index(f"{name}_{what}", value, spoken["status"])
    if f"{name}_sd" in out:
        odds = class_probabilities(spoken["index"], out[f"{name}_sd"], out[f"{name}_sd_status"])["class_probability"]
        for rank, word in enumerate(CLASSES, start=1):
            worse = odds.sel(drought_class=slice(rank, None)).sum("drought_class", skipna=False)
            label = {"units": "1", "long_name": f"probability that the drought is {word} or worse"}
            out |= beside_index(f"{name}_probability_{word}", worse.assign_attrs(label), spoken["status"])
    return out
