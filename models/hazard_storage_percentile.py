"""Method "storage_percentile": how full the reservoirs are that serve a subdistrict, against their present regime."""

from __future__ import annotations

from typing import Literal

import xarray as xr

from models.hazards import HazardMethod, HazardOptions, SourceName, kept_input, with_input_status
from models.scoring import LOW_PERCENTILE, Breakpoints
from models.surface_water import storage_percentile


class StorageOptions(HazardOptions):
    """Storage, or the area of the water, of the reservoirs that the source links to the subdistricts they serve."""

    method: Literal["storage_percentile"] = "storage_percentile"
    source: SourceName = "reservoirs"
    since_year: int | None = None  # rank among the years of the present regime only
    min_years: int = 20
    breakpoints: Breakpoints = LOW_PERCENTILE
    breakpoints_source: str = "own choice: lowest fifth, tenth and twentieth of the record at 4, 6 and 8"


def _index(inputs: xr.Dataset, options: StorageOptions, calibration: tuple[int, int]) -> xr.Dataset:
    storage, flags = kept_input(inputs, options.source)
    out = storage_percentile(storage, calibration, since_year=options.since_year, min_years=options.min_years)
    for index in ("storage_percentile", "storage_anomaly"):
        out[f"{index}_status"] = with_input_status(out[f"{index}_status"], flags)
    return out.rename({v: str(v).removeprefix("storage_") for v in out.data_vars})


METHOD = HazardMethod(StorageOptions, _index, scored="percentile", cadences=("month", "year"))
