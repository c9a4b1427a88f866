"""Method "drought_runs": since when a drought lasts, how severe it has become, and its worst month. An indicator."""

from __future__ import annotations

from typing import Literal

import xarray as xr

from models.hazards import HazardMethod, HazardOptions, Learnt, SourceName, kept_input, with_input_status
from models.runs import months_in_drought
from models.scoring import Breakpoints
from models.spi import SpiParameters, apply_spi, fit_spi

_SHORT = {
    "run_months": "months",
    "run_masked_months": "masked_months",
    "run_severity": "severity",
    "run_peak": "peak",
    "months_since_onset": "since_onset_months",
}


class DroughtRunOptions(HazardOptions):
    """Runs of one SPI; an index of k months remembers k - 1 months before its own."""

    method: Literal["drought_runs"] = "drought_runs"
    source: SourceName = "rain"
    scale_months: int = 6
    onset: float = -1.0
    end: float = 0.0
    trace_mm: float = 1.0
    min_years: int = 30
    breakpoints: Breakpoints = ((0.0, 0.0), (3.0, 4.0), (6.0, 6.0), (12.0, 8.0), (24.0, 10.0))
    breakpoints_source: str = "own choice: a season, half a year, one year and two years of drought"


def _fit(inputs: xr.Dataset, options: DroughtRunOptions, calibration: tuple[int, int]) -> Learnt:
    rain, _ = kept_input(inputs, options.source)
    learnt = fit_spi(rain, options.scale_months, calibration, trace_mm=options.trace_mm, min_years=options.min_years)
    return {"spi": learnt.values}


def _index(inputs: xr.Dataset, options: DroughtRunOptions, learnt: Learnt) -> xr.Dataset:
    rain, flags = kept_input(inputs, options.source)
    one = apply_spi(rain, SpiParameters(learnt["spi"]))
    status = with_input_status(one["spi_status"], flags)
    runs = months_in_drought(one["spi"], status, onset=options.onset, end=options.end)
    runs = runs.rename({f"{long}{end}": f"{own}{end}" for long, own in _SHORT.items() for end in ("", "_status")})
    return runs.assign(index=one["spi"], index_status=status)


METHOD = HazardMethod(DroughtRunOptions, _index, scored="months", fit=_fit)
