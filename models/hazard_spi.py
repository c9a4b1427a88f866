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
from models.spi import Method, SpiParameters, apply_spi, fit_spi
from models.spi_doubt import METHODS, beside_index, estimator_spread, fit_estimators, spi_sampling_sd


class DroughtOptions(HazardOptions):
    """Of the scales, the first that is informative this month speaks."""

    method: Literal["spi"] = "spi"
    source: SourceName = "rain"
    scales_months: tuple[int, ...] = (6, 12, 24)
    further_scales_months: tuple[int, ...] = (1, 3, 9)  # computed beside them, for those who read the indices
    trace_mm: float = 1.0
    min_years: int = 30
    min_positive: int = 20
    doubt: bool = True  # sampling error and spread between estimators beside the index of every scale
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
    learnt: dict[str, xr.Dataset] = {}
    for k in options.all_scales:
        if options.doubt:
            found = fit_estimators(rain, k, calibration, **how)
            learnt |= {_named(k, method): parameters.values for method, parameters in found.items()}
        else:
            learnt[_named(k, METHODS[0])] = fit_spi(rain, k, calibration, **how).values
    return learnt


def _named(k: int, method: Method) -> str:
    """Name of what was learnt of a scale by an estimator; that of the index itself goes without saying."""
    return f"spi_{k}" if method == METHODS[0] else f"spi_{k}_{method}"


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
        if options.doubt:
            ways = {method: SpiParameters(learnt[_named(k, method)]) for method in METHODS}
            error, spread = spi_sampling_sd(rain, ways[METHODS[0]]), estimator_spread(rain, ways)
            out |= beside_index(f"spi_{k}_sd", error["spi_sd"], out[f"spi_{k}_status"])
            out |= beside_index(f"spi_{k}_spread", spread["spi_spread"], out[f"spi_{k}_status"])
    return xr.Dataset(out)


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
