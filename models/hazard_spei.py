"""Method "spei": drought from rain less evaporation (SPEI), which in a dry country follows heat as much as rain."""

from __future__ import annotations

from typing import Literal

import xarray as xr

from geodata.schema import status_like
from models.hazards import HazardMethod, HazardOptions, Learnt, SourceName, kept_input, with_input_status
from models.headline import score_headline
from models.scoring import SPI_BREAKPOINTS, Breakpoints
from models.spei import Distribution, SpeiParameters, apply_spei, fit_spei, spei_drivers
from models.spei_doubt import DISTRIBUTIONS, distribution_spread, spei_sampling_sd
from models.spi_doubt import beside_index


class SpeiOptions(HazardOptions):
    """Of the scales, the first that is informative this month speaks."""

    method: Literal["spei"] = "spei"
    source: SourceName = "rain"
    evapotranspiration: SourceName = "evapotranspiration"
    scales_months: tuple[int, ...] = (6, 12, 24)
    further_scales_months: tuple[int, ...] = (1, 3, 9)
    min_years: int = 30
    doubt: bool = True  # sampling error and spread between distributions beside the index of every scale
    breakpoints: Breakpoints = SPI_BREAKPOINTS
    breakpoints_source: str = "the class edges of the SPI, WMO-No. 1090, at 4, 6 and 8"

    @property
    def all_scales(self) -> tuple[int, ...]:
        """Every accumulation that is computed, in months, rising."""
        return tuple(sorted({*self.scales_months, *self.further_scales_months}))

    def for_cells(self) -> SpeiOptions:
        """Only the index."""
        return self.model_copy(update={"doubt": False})


def _fit(inputs: xr.Dataset, options: SpeiOptions, calibration: tuple[int, int]) -> Learnt:
    rain, _ = kept_input(inputs, options.source)
    pet, _ = kept_input(inputs, options.evapotranspiration)
    learnt: dict[str, xr.Dataset] = {}
    ways = DISTRIBUTIONS if options.doubt else DISTRIBUTIONS[:1]
    for k in options.all_scales:
        found = {d: fit_spei(rain, pet, k, calibration, min_years=options.min_years, distribution=d) for d in ways}
        index = apply_spei(rain, pet, found[DISTRIBUTIONS[0]])
        learnt |= {_named(k, d): parameters.values for d, parameters in found.items()}
        learnt |= {f"drivers_{k}": spei_drivers(rain, pet, index, k, calibration, min_years=options.min_years)}
    return learnt


def _named(k: int, distribution: Distribution) -> str:
    """Name of what was learnt of a scale with a distribution; that of the index itself goes without saying."""
    return f"spei_{k}" if distribution == DISTRIBUTIONS[0] else f"spei_{k}_{distribution.replace(' ', '_')}"


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
        if options.doubt:
            own, *others = (SpeiParameters(learnt[_named(k, distribution)]) for distribution in DISTRIBUTIONS)
            error, spread = spei_sampling_sd(one, own), distribution_spread(one, rain, pet, others)
            out |= beside_index(f"spei_{k}_sd", error["spei_sd"], out[f"spei_{k}_status"])
            out |= beside_index(f"spei_{k}_spread", spread["spei_spread"], out[f"spei_{k}_status"])
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
