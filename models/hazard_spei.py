"""Method "spei": drought from rain less evaporation (SPEI), which in a dry country follows heat as much as rain."""

from __future__ import annotations

from typing import Literal

import xarray as xr

from geodata.schema import status_like
from models.hazards import HazardMethod, HazardOptions, Learnt, SourceName, kept_input, with_input_status
from models.headline import score_headline
from models.scoring import SPI_BREAKPOINTS, Breakpoints
from models.spei import SpeiParameters, apply_spei, fit_spei, spei_drivers


class SpeiOptions(HazardOptions):
    """Of the scales, the first that is informative this month speaks."""

    method: Literal["spei"] = "spei"
    source: SourceName = "rain"
    evapotranspiration: SourceName = "evapotranspiration"
    scales_months: tuple[int, ...] = (6, 12, 24)
    further_scales_months: tuple[int, ...] = (1, 3, 9)
    min_years: int = 30
    breakpoints: Breakpoints = SPI_BREAKPOINTS
    breakpoints_source: str = "the class edges of the SPI, WMO-No. 1090, at 4, 6 and 8"

    @property
    def all_scales(self) -> tuple[int, ...]:
        """Every accumulation that is computed, in months, rising."""
        return tuple(sorted({*self.scales_months, *self.further_scales_months}))


def _fit(inputs: xr.Dataset, options: SpeiOptions, calibration: tuple[int, int]) -> Learnt:
    rain, _ = kept_input(inputs, options.source)
    pet, _ = kept_input(inputs, options.evapotranspiration)
    learnt: dict[str, xr.Dataset] = {}
    for k in options.all_scales:
        parameters = fit_spei(rain, pet, k, calibration, min_years=options.min_years)
        drivers = spei_drivers(
            rain, pet, apply_spei(rain, pet, parameters), k, calibration, min_years=options.min_years
        )
        learnt |= {f"spei_{k}": parameters.values, f"drivers_{k}": drivers}
    return learnt


def _index(inputs: xr.Dataset, options: SpeiOptions, learnt: Learnt) -> xr.Dataset:
    rain, rain_flags = kept_input(inputs, options.source)
    pet, pet_flags = kept_input(inputs, options.evapotranspiration)
    out: dict[str, xr.DataArray] = {}
    for k in options.all_scales:
        one = apply_spei(rain, pet, SpeiParameters(learnt[f"spei_{k}"]))
        out[f"spei_{k}"] = one["spei"]
        out[f"spei_{k}_status"] = with_input_status(with_input_status(one["spei_status"], rain_flags), pet_flags)
        follows = learnt[f"drivers_{k}"]["r_rain"].astype("float64")
        everywhere = follows.broadcast_like(one["spei"]).transpose(*rain.dims)
        out[f"spei_{k}_r_rain"] = everywhere.assign_attrs(
            units="1", long_name=f"correlation of SPEI-{k} with rain; below 0.3 it is an index of heat"
        )
        out[f"spei_{k}_r_rain_status"] = status_like(everywhere)
    return xr.Dataset(out)


def _score(name: str, indices: xr.Dataset, options: SpeiOptions) -> xr.Dataset:
    return score_headline(name, indices, "spei", options.scales_months, options)


def _months_back(options: SpeiOptions) -> int:
    return max(options.all_scales)


def _mapped(options: SpeiOptions) -> tuple[str, ...]:
    return tuple(f"spei_{k}" for k in options.all_scales)


METHOD = HazardMethod(
    SpeiOptions,
    _index,
    scored="index",
    standardised=True,
    own_names=True,
    fit=_fit,
    months_back=_months_back,
    mapped=_mapped,
    score=_score,
)
