"""Method "heavy_rain": the highest one-day rain of each month, ranked among the highest days of the years."""

from __future__ import annotations

from typing import Literal

import xarray as xr

from models.hazards import (
    HazardMethod,
    HazardOptions,
    Learnt,
    OptionalSourceName,
    SourceName,
    kept_input,
    with_input_status,
)
from models.heavy_rain import (
    Antecedent,
    RainRules,
    calibration_maxima,
    daily_rain_indices,
    days_before,
    heavy_rain_percentile,
    wet_day_percentile,
)
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
        return RainRules(
            start_month=self.start_month,
            min_years=self.min_years_of_wet_days,
            min_days_of_highest=1.0,  # a day that nobody saw may have been the wettest: it must lower no rank
            antecedent=antecedent,
        )


def _fit_cells(inputs: xr.Dataset, options: HeavyRainOptions, calibration: tuple[int, int]) -> Learnt:
    daily, _ = kept_input(inputs, options.source)
    return {"wet_days": xr.Dataset({"p95": wet_day_percentile(daily, calibration, options.rules)})}


def _window(options: HeavyRainOptions) -> tuple[int, int]:
    return days_before(options.rules), 0


def _cells(inputs: xr.Dataset, options: HeavyRainOptions, learnt: Learnt) -> xr.Dataset:
    daily, _ = kept_input(inputs, options.source)
    held = learnt["wet_days"]["p95"]
    out = daily_rain_indices(daily, rules=options.rules, wet_day_p95=held).drop_vars("api_bridged")
    if options.curve_number is not None:
        out = out.merge(monthly_runoff(daily, inputs[options.curve_number], RunoffRules(moisture=options.moisture)))
    return out


def _fit(inputs: xr.Dataset, options: HeavyRainOptions, calibration: tuple[int, int]) -> Learnt:
    monthly, _ = kept_input(inputs, "rx1day")
    maxima = calibration_maxima(monthly, calibration, start_month=options.start_month)
    return {"highest_days": xr.Dataset({"rx1day": maxima})}


def _months_back(options: HeavyRainOptions) -> int:
    return options.window_months


def _index(inputs: xr.Dataset, options: HeavyRainOptions, learnt: Learnt) -> xr.Dataset:
    monthly, flags = kept_input(inputs, "rx1day")
    ranked = heavy_rain_percentile(
        monthly,
        maxima=learnt["highest_days"]["rx1day"],
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
    fit_cells=_fit_cells,
    window=_window,
    scored_cells=("rx1day",),
    fit=_fit,
    months_back=_months_back,
    cadences=("day",),
    static=("curve_number",),
)
