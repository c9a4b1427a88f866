"""Method "vegetation_health": VCI, TCI and VHI cell by cell, from greenness and the temperature of the land."""

from __future__ import annotations

from functools import reduce
from typing import Literal

import xarray as xr

from models.hazards import HazardMethod, HazardOptions, SourceName, kept_input, with_input_status
from models.scoring import Breakpoints
from models.vegetation import vegetation_health

_ALL = ("vci", "tci", "vhi")


class VegetationHealthOptions(HazardOptions):
    """Of the three, one is scored."""

    method: Literal["vegetation_health"] = "vegetation_health"
    source: SourceName = "ndvi"
    temperature: SourceName = "land_temperature"
    scored_index: Literal["vci", "tci", "vhi"] = "vhi"
    vci_weight: float = 0.5
    min_years: int = 15
    breakpoints: Breakpoints = ((100.0, 0.0), (50.0, 2.0), (30.0, 4.0), (20.0, 6.0), (10.0, 8.0), (0.0, 10.0))
    breakpoints_source: str = "moderate, severe and extreme drought begin at 30, 20 and 10 (Kogan 1995)"


def _cells(rasters: xr.Dataset, options: VegetationHealthOptions, calibration: tuple[int, int]) -> xr.Dataset:
    ndvi, flags = kept_input(rasters, options.source)
    lst, heat_flags = kept_input(rasters, options.temperature)
    out = vegetation_health(ndvi, lst, calibration, vci_weight=options.vci_weight, min_years=options.min_years)
    read = {"vci": (flags,), "tci": (flags, heat_flags), "vhi": (flags, heat_flags)}
    return out.assign({f"{v}_status": reduce(with_input_status, read[v], out[f"{v}_status"]) for v in _ALL})


def _index(inputs: xr.Dataset, options: VegetationHealthOptions, calibration: tuple[int, int]) -> xr.Dataset:
    scored = options.scored_index
    out = inputs[[name for v in _ALL for name in (v, f"{v}_status")]]
    return out.rename({scored: "index", f"{scored}_status": "index_status"})


METHOD = HazardMethod(VegetationHealthOptions, _index, cells=_cells)
