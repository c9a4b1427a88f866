"""Method "cdi": stage of the combined drought indicator, from rain, soil moisture and vegetation. An indicator."""

from __future__ import annotations

from typing import Literal

import xarray as xr

from geodata.schema import KEEPS_VALUE, has_status
from models.anomaly import AnomalyParameters, anomaly_index, apply_anomaly, fit_anomaly
from models.cdi import combined_drought_indicator
from models.hazards import HazardMethod, HazardOptions, Learnt, SourceName, kept_input, with_input_status
from models.scoring import Breakpoints
from models.spi import SpiParameters, apply_spi, fit_spi

_SCALES = (1, 3)


class CdiOptions(HazardOptions):
    """Soil moisture as it was measured or modelled; vegetation as anomalies that its provider standardised."""

    method: Literal["cdi"] = "cdi"
    source: SourceName = "rain"
    soil_moisture: SourceName = "soil_moisture"
    vegetation: SourceName = "vegetation"
    trace_mm: float = 1.0
    min_years: int = 30
    min_years_soil: int = 20
    breakpoints: Breakpoints = ((0.0, 0.0), (1.0, 4.0), (2.0, 6.0), (3.0, 8.0))
    breakpoints_source: str = "own choice: watch, warning and alert of the indicator at 4, 6 and 8"

    @property
    def years_needed(self) -> dict[str, int]:
        """Vegetation comes standardised: it calibrates nothing here."""
        return {"source": self.min_years, "soil_moisture": self.min_years_soil}


def _fit(inputs: xr.Dataset, options: CdiOptions, calibration: tuple[int, int]) -> Learnt:
    rain, _ = kept_input(inputs, options.source)
    soil, _ = kept_input(inputs, options.soil_moisture)
    fits = {
        f"spi_{k}": fit_spi(rain, k, calibration, trace_mm=options.trace_mm, min_years=options.min_years).values
        for k in _SCALES
    }
    return {**fits, "soil_moisture": fit_anomaly(soil, calibration, min_years=options.min_years_soil).values}


def _index(inputs: xr.Dataset, options: CdiOptions, learnt: Learnt) -> xr.Dataset:
    rain, rain_flags = kept_input(inputs, options.source)
    soil, soil_flags = kept_input(inputs, options.soil_moisture)
    green, green_flags = kept_input(inputs, options.vegetation)
    indices = xr.Dataset()
    for k in _SCALES:
        one = apply_spi(rain, SpiParameters(learnt[f"spi_{k}"]))
        indices[f"spi_{k}"] = one["spi"]
        indices[f"spi_{k}_status"] = with_input_status(one["spi_status"], rain_flags)
    wetness = apply_anomaly(soil, AnomalyParameters(learnt["soil_moisture"]))
    indices["soil_moisture"] = wetness["anomaly"]
    indices["soil_moisture_status"] = with_input_status(wetness["anomaly_status"], soil_flags)
    greenness = anomaly_index(green)
    indices["vegetation"] = greenness["anomaly"]
    indices["vegetation_status"] = with_input_status(greenness["anomaly_status"], green_flags)
    return _as_numbers(combined_drought_indicator(indices))


def _as_numbers(stages: xr.Dataset) -> xr.Dataset:
    """Stage as a number with a status, as every value of the cube; the words stand in its attributes."""
    status = stages["cdi_stage_status"]
    words = stages["cdi_stage"].attrs
    number = stages["cdi_stage"].where(has_status(status, KEEPS_VALUE)).astype("float64")
    meaning = ", ".join(f"{v} {w}" for v, w in zip(words["flag_values"], words["flag_meanings"].split(), strict=True))
    at_least = stages["cdi_at_least"].where(has_status(status, KEEPS_VALUE)).astype("float64")
    return xr.Dataset(
        {
            "stage": number.drop_attrs().assign_attrs(units="1", long_name=f"CDI stage: {meaning}"),
            "stage_status": status,
            "at_least": at_least.drop_attrs().assign_attrs(
                units="1", long_name="1 where a missing input could raise the CDI stage"
            ),
            "at_least_status": status,
        },
        attrs=stages.attrs,
    )


METHOD = HazardMethod(CdiOptions, _index, scored="stage", fit=_fit)
