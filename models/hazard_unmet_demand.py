"""Method "unmet_demand": share of the demand for water that rivers and canals leave unmet, from the water balance."""

from __future__ import annotations

from typing import Literal

import xarray as xr

from models.hazards import HazardMethod, HazardOptions, SourceName, kept_input
from models.scoring import Breakpoints


class UnmetDemandOptions(HazardOptions):
    """Where the inflow at the border is not known, nothing is scored: a river is not made of local rain."""

    method: Literal["unmet_demand"] = "unmet_demand"
    source: SourceName = "river_network"
    breakpoints: Breakpoints = ((0.0, 0.0), (0.05, 2.0), (0.15, 4.0), (0.3, 6.0), (0.5, 8.0), (0.8, 10.0))
    breakpoints_source: str = "own choice: a seventh, a third and a half of the demand unmet at 4, 6 and 8"


def _index(inputs: xr.Dataset, options: UnmetDemandOptions, calibration: tuple[int, int]) -> xr.Dataset:
    share, flags = kept_input(inputs, "unmet_share")
    words = {"units": "1", "long_name": "share of the demand for water that is unmet"}
    return xr.Dataset({"index": share.drop_attrs().assign_attrs(words), "index_status": flags})


METHOD = HazardMethod(UnmetDemandOptions, _index, made_by="water_balance")
