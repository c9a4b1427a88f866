"""Method "water_percentile": lack of open water, from its area against the unit's own record."""

from __future__ import annotations

from typing import Literal

import xarray as xr

from models.hazards import HazardMethod, HazardOptions, SourceName, kept_input, with_input_status
from models.scoring import LOW_PERCENTILE, Breakpoints
from models.surface_water import water_percentile


class WaterOptions(HazardOptions):
    """The source may be yearly: each year is ranked among its own kind, then carried."""

    method: Literal["water_percentile"] = "water_percentile"
    source: SourceName = "surface_water"
    years_without_imagery: tuple[int, ...] = ()
    min_years: int = 20
    min_area_km2: float = 0.1
    breakpoints: Breakpoints = LOW_PERCENTILE
    breakpoints_source: str = "own choice: lowest fifth, tenth and twentieth of the record at 4, 6 and 8"


def _index(inputs: xr.Dataset, options: WaterOptions, calibration: tuple[int, int]) -> xr.Dataset:
    area, flags = kept_input(inputs, options.source)
    out = water_percentile(
        area,
        calibration,
        years_without_imagery=options.years_without_imagery,
        min_years=options.min_years,
        min_area_km2=options.min_area_km2,
    )
    for index in ("water_percentile", "water_anomaly"):
        out[f"{index}_status"] = with_input_status(out[f"{index}_status"], flags)
    return out.rename({v: str(v).removeprefix("water_") for v in out.data_vars})


METHOD = HazardMethod(WaterOptions, _index, scored="percentile")
