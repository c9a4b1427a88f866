"""Method "spi": drought from the Standardised Precipitation Index of monthly rain."""

from __future__ import annotations

from typing import Any, Literal

import xarray as xr

from geodata.schema import status_like
from models.hazards import (
    HazardMethod,
    HazardOptions,
    Learnt,
    SourceName,
    kept_input,
    with_input_status,
)
from models.headline import score_headline
from models.scoring import SPI_BREAKPOINTS, Breakpoints
from models.spi import SpiParameters, apply_spi, fit_spi
from models.spi_doubt import METHODS, estimator_spread, fit_estimators, spi_sampling_sd


class DroughtOptions(HazardOptions):
    """Of the scales, the first that is informative this month speaks."""

    method: Literal["spi"] = "spi"
    source: SourceName = "rain"
    scales_months: tuple[int, ...] = (6, 12, 24)
    further_scales_months: tuple[int, ...] = (1, 3, 9)  # computed beside them, for those who read the indices
    trace_mm: float = 1.0
    min_years: int = 30
    min_positive: int = 20
    doubt: bool = True  # sampling error and spread between estimators beside the scales that may speak
    breakpoints: Breakpoints = SPI_BREAKPOINTS
    breakpoints_source: str = "class edges of WMO-No. 1090 at 4, 6 and 8"

    @property
    def all_scales(self) -> tuple[int, ...]:
        """Every accumulation that is computed, in months, rising."""
        return tuple(sorted({*self.scales_months, *self.further_scales_months}))

    def for_cells(self) -> DroughtOptions:
        """Only the index."""
        return self.model_copy(update={"doubt": False})


def _fit(inputs: xr.Dataset, options: DroughtOptions, calibration: tuple[int, int]) -> Learnt:
    rain, _ = kept_input(inputs, options.source)
    how: dict[str, Any] = {
        "trace_mm": options.trace_mm,
        "min_years": options.min_years,
        "min_positive": options.min_positive,
    }
    learnt = {f"spi_{k}": fit_spi(rain, k, calibration, **how).values for k in options.all_scales}
    if options.doubt:
        for k in options.scales_months:
            others = fit_estimators(rain, k, calibration, **how)
            learnt |= {f"spi_{k}_{method}": others[method].values for method in METHODS[1:]}
    return learnt


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
        if options.doubt and k in options.scales_months:
            out |= _doubt(rain, flags, k, learnt)
    return xr.Dataset(out)


def _doubt(rain: xr.DataArray, flags: xr.DataArray, k: int, learnt: Learnt) -> dict[str, xr.DataArray]:
    """Sampling error of one scale, and the spread between the ways to fit it."""
    own = SpiParameters(learnt[f"spi_{k}"])
    others = {method: SpiParameters(learnt[f"spi_{k}_{method}"]) for method in METHODS[1:]}
    both = spi_sampling_sd(rain, own).merge(estimator_spread(rain, {METHODS[0]: own, **others}))
    names = {"spi_sd": f"spi_{k}_sd", "spi_spread": f"spi_{k}_spread"}
    return {
        **{name: both[old] for old, name in names.items()},
        **{f"{name}_status": with_input_status(both[f"{old}_status"], flags) for old, name in names.items()},
    }


def _score(name: str, indices: xr.Dataset, options: DroughtOptions) -> xr.Dataset:
    return score_headline(name, indices, "spi", options.scales_months, options)


def _months_back(options: DroughtOptions) -> int:
    return max(options.all_scales)


def _mapped(options: DroughtOptions) -> tuple[str, ...]:
    return tuple(f"spi_{k}" for k in options.all_scales)


METHOD = HazardMethod(
    DroughtOptions,
    _index,
    scored="index",
    standardised=True,
    own_names=True,
    fit=_fit,
    months_back=_months_back,
    mapped=_mapped,
    score=_score,
)
