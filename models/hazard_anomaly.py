"""Method "anomaly": vegetation, soil moisture or evaporation that its provider has already standardised."""

from __future__ import annotations

from typing import Literal

import xarray as xr

from models.anomaly import anomaly_index
from models.hazards import HazardMethod, HazardOptions, SourceName, kept_input, with_input_status
from models.scoring import SPI_BREAKPOINTS, Breakpoints


class AnomalyOptions(HazardOptions):
    """The breakpoints are read for the anomaly with its sign turned so that low is worse."""

    method: Literal["anomaly"] = "anomaly"
    source: SourceName
    worse_when: Literal["low", "high"] = "low"
    limit: float = 3.0
    breakpoints: Breakpoints = SPI_BREAKPOINTS
    breakpoints_source: str = "as of the SPI"

    @property
    def turned(self) -> bool:
        """True where a high value is bad."""
        return self.worse_when == "high"


def _index(inputs: xr.Dataset, options: AnomalyOptions, calibration: tuple[int, int]) -> xr.Dataset:
    values, flags = kept_input(inputs, options.source)
    out = anomaly_index(values, limit=options.limit)
    return xr.Dataset({"index": out["anomaly"], "index_status": with_input_status(out["anomaly_status"], flags)})


METHOD = HazardMethod(AnomalyOptions, _index, standardised=True, cadences=("dekad", "month", "year"))
