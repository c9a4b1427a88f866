"""Method "water_percentile": lack of open water, from its area against the unit's own record."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import xarray as xr

from geodata.schema import Status, status_attrs
from models.hazards import HazardMethod, HazardOptions, SourceName, kept_input, with_input_status
from models.scoring import LOW_PERCENTILE, Breakpoints
from models.surface_water import water_percentile, water_trend


class WaterOptions(HazardOptions):
    """The source may be yearly: each year is ranked among its own kind, then carried."""

    method: Literal["water_percentile"] = "water_percentile"
    source: SourceName = "surface_water"
    years_without_imagery: tuple[int, ...] = ()
    find_years_without_imagery: bool = True  # false where the source itself says what was not seen
    min_years: int = 20
    min_area_km2: float = 0.1
    since_year: int | None = None  # rank among the years of the present regime only
    trend: bool = True
    breakpoints: Breakpoints = LOW_PERCENTILE
    breakpoints_source: str = "own choice: lowest fifth, tenth and twentieth of the record at 4, 6 and 8"

    def for_cells(self) -> WaterOptions:
        """Without the trend."""
        return self.model_copy(update={"trend": False})


def _index(inputs: xr.Dataset, options: WaterOptions, calibration: tuple[int, int]) -> xr.Dataset:
    area, flags = kept_input(inputs, options.source)
    seen: dict[str, Any] = {
        "observed_share": inputs.get(f"{options.source}_coverage"),
        "years_without_imagery": options.years_without_imagery,
        "detect": options.find_years_without_imagery,
        "min_years": options.min_years,
        "min_area_km2": options.min_area_km2,
    }
    out = water_percentile(area, calibration, since_year=options.since_year, **seen)
    for index in ("water_percentile", "water_anomaly"):
        out[f"{index}_status"] = with_input_status(out[f"{index}_status"], flags)
    out = out.assign(_at_the_end(water_trend(area, **seen), area)) if options.trend else out
    return out.rename({v: str(v).removeprefix("water_") for v in out.data_vars})


def _at_the_end(trend: xr.Dataset, area: xr.DataArray) -> xr.Dataset:
    """A trend over the whole record (pcode), as what is known in its last period (time, pcode)."""
    last = area["time"] == area["time"][-1]
    out = xr.Dataset()
    for name in [str(v) for v in trend.data_vars if not str(v).endswith("_status")]:
        values = trend[name].astype("float64").broadcast_like(area).where(last).transpose(*area.dims)
        flags = trend[f"{name}_status"].broadcast_like(area).where(last, np.int8(Status.insufficient_data))
        out[name] = values.assign_attrs(trend[name].attrs)
        out[f"{name}_status"] = flags.astype("int8").transpose(*area.dims).assign_attrs(status_attrs())
    return out


METHOD = HazardMethod(WaterOptions, _index, scored="percentile", cadences=("month", "year"))
