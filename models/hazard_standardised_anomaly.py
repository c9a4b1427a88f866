"""Method "standardised_anomaly": soil moisture, or any monthly state, against the normal of its calendar month."""

from __future__ import annotations

from typing import Literal

import xarray as xr

from models.anomaly import AnomalyParameters, apply_anomaly, fit_anomaly
from models.hazards import HazardMethod, HazardOptions, Learnt, SourceName, kept_input, with_input_status
from models.scoring import SPI_BREAKPOINTS, Breakpoints


class StandardisedAnomalyOptions(HazardOptions):
    """Says itself on which side a value is bad; the breakpoints are read with the sign turned so that low is worse."""

    method: Literal["standardised_anomaly"] = "standardised_anomaly"
    source: SourceName
    worse_when: Literal["low", "high"]
    min_sd: float | None = None  # in units of the source; None: as known for its units
    min_years: int = 20
    limit: float = 3.0
    breakpoints: Breakpoints = SPI_BREAKPOINTS
    breakpoints_source: str = "own choice: the steps of the SPI"

    @property
    def turned(self) -> bool:
        """True where a high value is bad."""
        return self.worse_when == "high"


def _fit(inputs: xr.Dataset, options: StandardisedAnomalyOptions, calibration: tuple[int, int]) -> Learnt:
    values, _ = kept_input(inputs, options.source)
    learnt = fit_anomaly(values, calibration, min_sd=options.min_sd, min_years=options.min_years)
    return {"anomaly": learnt.values}


def _index(inputs: xr.Dataset, options: StandardisedAnomalyOptions, learnt: Learnt) -> xr.Dataset:
    values, flags = kept_input(inputs, options.source)
    out = apply_anomaly(values, AnomalyParameters(learnt["anomaly"]), limit=options.limit)
    return xr.Dataset({"index": out["anomaly"], "index_status": with_input_status(out["anomaly_status"], flags)})


def _months_back(options: StandardisedAnomalyOptions) -> int:
    return 1


METHOD = HazardMethod(StandardisedAnomalyOptions, _index, standardised=True, fit=_fit, months_back=_months_back)
