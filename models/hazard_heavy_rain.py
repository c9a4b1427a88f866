"""Method "heavy_rain": the highest one-day rain of each month, ranked among the highest days of the years."""

from __future__ import annotations

from typing import Literal

import numpy as np
import xarray as xr

from geodata.schema import KEEPS_VALUE, Status, has_status, status_attrs
from models.hazards import HazardMethod, HazardOptions, SourceName, kept_input, with_input_status
from models.heavy_rain import heavy_rain_percentile, rx1day_monthly
from models.scoring import HIGH_PERCENTILE, Breakpoints


class HeavyRainOptions(HazardOptions):
    """Needs daily rain (mm/day). A rank, not an amount: no gauge has calibrated it."""

    method: Literal["heavy_rain"] = "heavy_rain"
    source: SourceName = "rain_daily"
    window_months: int = 1
    min_years: int = 10
    start_month: int = 10
    breakpoints: Breakpoints = HIGH_PERCENTILE
    breakpoints_source: str = "own choice: one year in 5, 10 and 20 of the yearly highest days at 4, 6 and 8"


def _cells(inputs: xr.Dataset, options: HeavyRainOptions, calibration: tuple[int, int]) -> xr.Dataset:
    daily, flags = kept_input(inputs, options.source)
    highest = rx1day_monthly(daily)
    return xr.Dataset({"rx1day": highest, "rx1day_status": _of_the_days(flags, highest)})


def _of_the_days(flags: xr.DataArray, monthly: xr.DataArray) -> xr.DataArray:
    """Flag of each month: what the kept days claim least of, or that too few were seen."""
    by_month = flags.where(has_status(flags, KEEPS_VALUE)).resample(time="MS").max()
    known = by_month.reindex(time=monthly["time"]).fillna(int(Status.ok)).astype("int8")
    return xr.where(monthly.notnull(), known, np.int8(Status.insufficient_data)).assign_attrs(status_attrs())


def _index(inputs: xr.Dataset, options: HeavyRainOptions, calibration: tuple[int, int]) -> xr.Dataset:
    monthly, flags = kept_input(inputs, "rx1day")
    out = heavy_rain_percentile(
        monthly,
        calibration,
        window_months=options.window_months,
        start_month=options.start_month,
        min_years=options.min_years,
    )
    for index in ("heavy_rain_percentile", "rx1day"):
        out[f"{index}_status"] = with_input_status(out[f"{index}_status"], flags)
    return out.rename({v: str(v).removeprefix("heavy_rain_") for v in out.data_vars})


METHOD = HazardMethod(HeavyRainOptions, _index, scored="percentile", cells=_cells)
