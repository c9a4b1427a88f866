"""Method "heavy_rain": the highest one-day rain of each month, ranked among the highest days of the years."""

from __future__ import annotations

from typing import Literal

import numpy as np
import xarray as xr

from geodata.schema import Status, status_attrs
from models.hazards import (
    HazardMethod,
    HazardOptions,
    OptionalSourceName,
    SourceName,
    kept_input,
    with_input_status,
)
from models.heavy_rain import Antecedent, RainRules, daily_rain_indices, heavy_rain_percentile
from models.runoff import RunoffRules, monthly_runoff
from models.scoring import HIGH_PERCENTILE, Breakpoints


class HeavyRainOptions(HazardOptions):
    """Needs daily rain (mm/day). A rank, not an amount: no gauge has calibrated it."""

    method: Literal["heavy_rain"] = "heavy_rain"
    source: SourceName = "rain_daily"
    curve_number: OptionalSourceName = None  # a raster of SCS curve numbers; runoff is then published beside the rank
    window_months: int = 1
    min_years: int = 10
    min_years_of_wet_days: int = 30  # for the 95th percentile of wet days behind R95pTOT
    start_month: int = 10
    antecedent_k: float = 0.92
    summer_antecedent_k: float | None = None
    moisture: Literal["normal", "rain"] = "rain"  # how wet the soil is before a storm
    gauge_calibration: str | None = None  # who compared the rain with which gauges; without it no return level in mm
    breakpoints: Breakpoints = HIGH_PERCENTILE
    breakpoints_source: str = "own choice: one year in 5, 10 and 20 of the yearly highest days at 4, 6 and 8"

    @property
    def years_needed(self) -> dict[str, int]:
        """Of the rain; a curve number has no years."""
        return {"source": self.min_years}

    @property
    def rules(self) -> RainRules:
        """What the indices of daily rain are told."""
        antecedent = Antecedent(k=self.antecedent_k, summer_k=self.summer_antecedent_k)
        return RainRules(start_month=self.start_month, min_years=self.min_years_of_wet_days, antecedent=antecedent)


def _cells(inputs: xr.Dataset, options: HeavyRainOptions, calibration: tuple[int, int]) -> xr.Dataset:
    daily, _ = kept_input(inputs, options.source)
    out = daily_rain_indices(daily, calibration, options.rules).drop_vars("api_bridged")
    # A day that nobody saw may have been the wettest: what is scored needs every day of its month.
    short = out["days_seen"] < out["time"].dt.days_in_month
    out["rx1day"] = out["rx1day"].where(~short).transpose(*daily.dims)
    flags = xr.where(short, np.int8(Status.insufficient_data), out["rx1day_status"]).transpose(*daily.dims)
    out["rx1day_status"] = flags.astype("int8").assign_attrs(status_attrs())
    if options.curve_number is not None:
        out = out.merge(monthly_runoff(daily, inputs[options.curve_number], RunoffRules(moisture=options.moisture)))
    return out


def _index(inputs: xr.Dataset, options: HeavyRainOptions, calibration: tuple[int, int]) -> xr.Dataset:
    monthly, flags = kept_input(inputs, "rx1day")
    ranked = heavy_rain_percentile(
        monthly,
        calibration,
        window_months=options.window_months,
        start_month=options.start_month,
        min_years=options.min_years,
    )
    further = inputs.drop_vars(["rx1day", "rx1day_status"])
    return further.assign(
        percentile=ranked["heavy_rain_percentile"],
        percentile_status=with_input_status(ranked["heavy_rain_percentile_status"], flags),
        rx1day=ranked["rx1day"],
        rx1day_status=with_input_status(ranked["rx1day_status"], flags),
    )


METHOD = HazardMethod(
    HeavyRainOptions,
    _index,
    scored="percentile",
    cells=_cells,
    scored_cells=("rx1day",),
    cadences=("day",),
    static=("curve_number",),
)
