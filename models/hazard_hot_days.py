"""Method "hot_days": days and nights of heat in each month, from the highest and the lowest temperature of each day."""

from __future__ import annotations

from typing import Literal

import xarray as xr

from geodata.schema import more_cautious, status_attrs
from models.hazards import HazardMethod, HazardOptions, Learnt, SourceName, kept_input
from models.heat import HeatRules, heat_wave_days, hot_days, hot_nights, warm_day_percentile
from models.scoring import Breakpoints


class HeatOptions(HazardOptions):
    """Hot days or hot nights, whichever are more: a night that brings no rest is half of what kills."""

    method: Literal["hot_days"] = "hot_days"
    source: SourceName = "tmax"  # highest temperature of the day
    tmin: SourceName = "tmin"
    hot_day_above_degc: float = 45.0
    hot_night_above_degc: float = 30.0
    wave_above_degc: float = 42.0
    min_years: int = 30  # of the percentile behind heat waves
    breakpoints: Breakpoints = ((0.0, 0.0), (3.0, 2.0), (7.0, 4.0), (14.0, 6.0), (21.0, 8.0), (28.0, 10.0))
    breakpoints_source: str = "own choice: one, two and three weeks of the month at 4, 6 and 8"

    @property
    def years_needed(self) -> dict[str, int]:
        """Of the days, for heat waves; hot days and nights are counted against fixed limits."""
        return {"source": self.min_years}

    @property
    def rules(self) -> HeatRules:
        """What counts as hot."""
        return HeatRules(
            hot_day_above_degc=self.hot_day_above_degc,
            hot_night_above_degc=self.hot_night_above_degc,
            wave_above_degc=self.wave_above_degc,
            min_years=self.min_years,
            min_days=1.0,  # a day that nobody saw may have been hot: it must not lower the count
        )


def _fit_cells(inputs: xr.Dataset, options: HeatOptions, calibration: tuple[int, int]) -> Learnt:
    tmax, _ = kept_input(inputs, options.source)
    return {"warm_days": xr.Dataset({"percentile": warm_day_percentile(tmax, calibration, options.rules)})}


def _window(options: HeatOptions) -> tuple[int, int]:
    beside = options.rules.wave_days - 1
    return beside, beside


def _cells(inputs: xr.Dataset, options: HeatOptions, learnt: Learnt) -> xr.Dataset:
    tmax, tmin = (kept_input(inputs, source)[0] for source in (options.source, options.tmin))
    days, nights = hot_days(tmax, options.rules), hot_nights(tmin, options.rules)
    held = learnt["warm_days"]["percentile"]
    return days.merge(nights).merge(heat_wave_days(tmax, rules=options.rules, percentile=held))


def _index(inputs: xr.Dataset, options: HeatOptions, calibration: tuple[int, int]) -> xr.Dataset:
    (days, of_days), (nights, of_nights) = (kept_input(inputs, v) for v in ("hot_days", "hot_nights"))
    more = xr.where(days >= nights, days, nights).where(days.notnull() & nights.notnull())
    both = more_cautious(of_days, of_nights)
    status = xr.where(days.isnull(), of_days, xr.where(nights.isnull(), of_nights, both)).astype("int8")
    return inputs.assign(
        index=more.transpose(*days.dims).assign_attrs(
            units="day", long_name="hot days or hot nights, the more of them"
        ),
        index_status=status.transpose(*days.dims).assign_attrs(status_attrs()),
    )


METHOD = HazardMethod(
    HeatOptions,
    _index,
    cells=_cells,
    fit_cells=_fit_cells,
    window=_window,
    scored_cells=("hot_days", "hot_nights"),
    cadences=("day",),
)
