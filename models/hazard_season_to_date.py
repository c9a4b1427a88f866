"""Method "season_to_date": rain since the season began, ranked; the distribution-free twin of the SPI."""

from __future__ import annotations

from typing import Literal

import xarray as xr

from models.hazards import HazardMethod, HazardOptions, SourceName, kept_input, with_input_status
from models.percentile import season_to_date
from models.scoring import LOW_PERCENTILE, Breakpoints


class SeasonOptions(HazardOptions):
    """The hydrological year October to September, unless another month begins it."""

    method: Literal["season_to_date"] = "season_to_date"
    source: SourceName = "rain"
    start_month: int = 10
    trace_mm: float = 1.0
    min_years: int = 30
    breakpoints: Breakpoints = LOW_PERCENTILE
    breakpoints_source: str = "own choice: the driest fifth, tenth and twentieth of the years at 4, 6 and 8"


def _index(inputs: xr.Dataset, options: SeasonOptions, calibration: tuple[int, int]) -> xr.Dataset:
    rain, flags = kept_input(inputs, options.source)
    season = season_to_date(
        rain,
        calibration,
        start_month=options.start_month,
        trace_mm=options.trace_mm,
        min_years=options.min_years,
    )
    for index in ("season_percentile", "season_total"):
        season[f"{index}_status"] = with_input_status(season[f"{index}_status"], flags)
    return season.rename({v: str(v).removeprefix("season_") for v in season.data_vars})


METHOD = HazardMethod(SeasonOptions, _index, scored="percentile")
