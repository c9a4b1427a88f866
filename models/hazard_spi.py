"""Method "spi": drought from the Standardised Precipitation Index of monthly rain."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import xarray as xr
from scipy.special import ndtr

from geodata.schema import KEEPS_VALUE, has_status, status_attrs, status_like
from models.hazards import (
    HazardMethod,
    HazardOptions,
    Learnt,
    SourceName,
    as_hazard,
    kept_input,
    with_input_status,
)
from models.scoring import SPI_BREAKPOINTS, Breakpoints, carry_forward
from models.spi import SpiParameters, apply_spi, fit_spi


class DroughtOptions(HazardOptions):
    """Of the scales, the first that is informative this month speaks."""

    method: Literal["spi"] = "spi"
    source: SourceName = "rain"
    scales_months: tuple[int, ...] = (6, 12, 24)
    further_scales_months: tuple[int, ...] = (1, 3, 9)  # computed beside them, for those who read the indices
    trace_mm: float = 1.0
    min_years: int = 30
    min_positive: int = 20
    breakpoints: Breakpoints = SPI_BREAKPOINTS
    breakpoints_source: str = "class edges of WMO-No. 1090 at 4, 6 and 8"

    @property
    def all_scales(self) -> tuple[int, ...]:
        """Every accumulation that is computed, in months, rising."""
        return tuple(sorted({*self.scales_months, *self.further_scales_months}))

    def for_cells(self) -> DroughtOptions:
        """Only the scales that may speak."""
        return self.model_copy(update={"further_scales_months": ()})


def _fit(inputs: xr.Dataset, options: DroughtOptions, calibration: tuple[int, int]) -> Learnt:
    rain, _ = kept_input(inputs, options.source)
    return {
        f"spi_{k}": fit_spi(
            rain,
            k,
            calibration,
            trace_mm=options.trace_mm,
            min_years=options.min_years,
            min_positive=options.min_positive,
        ).values
        for k in options.all_scales
    }


def _index(inputs: xr.Dataset, options: DroughtOptions, learnt: Learnt) -> xr.Dataset:
    rain, flags = kept_input(inputs, options.source)
    out: dict[str, xr.DataArray] = {}
    for k in options.all_scales:
        one = apply_spi(rain, SpiParameters(learnt[f"spi_{k}"]))
        out[f"spi_{k}"] = one["spi"]
        out[f"spi_{k}_status"] = with_input_status(one["spi_status"], flags)
        detectable = one["max_detectable_class"].astype("float32")
        out[f"spi_{k}_max_class"] = detectable.assign_attrs(units="1", long_name=f"driest class SPI-{k} can reach")
        out[f"spi_{k}_max_class_status"] = status_like(detectable)
    return xr.Dataset(out)


def headline_spi(indices: xr.Dataset, scales_months: tuple[int, ...]) -> xr.Dataset:
    """Index of the first scale that is informative this month.

    Where none is, the status is that of the first scale.

    Parameters
    ----------
    indices : Dataset (time, ...) with ``spi_<k>`` and ``spi_<k>_status`` of each scale
    scales_months : scales in order of preference

    Returns
    -------
    Dataset (time, ...): ``index`` (1), ``scale_months`` (months), ``status``
    """
    first = indices[f"spi_{scales_months[0]}"]
    index = xr.full_like(first, np.nan, dtype=float)
    scale = xr.full_like(index, np.nan)
    status = indices[f"spi_{scales_months[0]}_status"]
    for k in scales_months:
        flags = indices[f"spi_{k}_status"]
        speaks = index.isnull() & has_status(flags, KEEPS_VALUE)
        index = xr.where(speaks, indices[f"spi_{k}"].astype(float), index)
        scale = xr.where(speaks, float(k), scale)
        status = xr.where(speaks, flags, status)
    status = status.astype("int8").transpose(*first.dims).assign_attrs(status_attrs())
    return xr.Dataset(
        {"index": index.transpose(*first.dims), "scale_months": scale.transpose(*first.dims), "status": status}
    )


def _score(name: str, indices: xr.Dataset, options: DroughtOptions) -> xr.Dataset:
    headline = headline_spi(indices, options.scales_months)
    index = carry_forward(headline["index"], headline["status"], max_age_days=options.max_age_days)
    scale = carry_forward(headline["scale_months"], headline["status"], max_age_days=options.max_age_days)["value"]
    status, value = index["status"], index["value"]
    percentile = xr.apply_ufunc(ndtr, value, dask="parallelized", output_dtypes=[np.float64])
    told: dict[str, Any] = {
        "index": value.assign_attrs(units="1", long_name="SPI that speaks for drought"),
        "scale_months": scale.assign_attrs(units="months", long_name="accumulation of that SPI"),
        "percentile": percentile.assign_attrs(units="1", long_name="share of years that are drier"),
        "age_months": index["age_months"],
    }
    named = {f"{name}_{key}": values for key, values in told.items()}
    return indices.assign(
        {**named, **{f"{key}_status": status for key in named}, **as_hazard(name, value, status, options)}
    )


def _months_back(options: DroughtOptions) -> int:
    return max(options.all_scales)


METHOD = HazardMethod(
    DroughtOptions,
    _index,
    scored="index",
    standardised=True,
    own_names=True,
    fit=_fit,
    months_back=_months_back,
    score=_score,
)
