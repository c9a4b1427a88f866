"""Combined drought indicator: rain first, then the soil, then the plants, as one stage.

Version 1 of the European Drought Observatory. A stage is published only where it is proven. What
is missing is taken once as not dry and once as dry; the indicator rises with dryness, so the
truth lies between the two stages. Where they are equal the stage is that one; where even the
lower is a drought it stands as "at least" that one; everywhere else it is ``unknown``. A missing
input never reads as no drought.

The stages are words of this indicator. They are no alert levels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import reduce
from typing import Any

import numpy as np
import xarray as xr

from geodata.schema import KEEPS_VALUE, Status, has_status, more_cautious, require_units, status_attrs, status_like
from models.spi import CLASS_EDGES

INPUTS = ("spi_1", "spi_3", "soil_moisture", "vegetation")
"""Variables of the indices that the indicator reads, all worse when low."""


class CdiStage(IntEnum):
    """Stage of the combined drought indicator; the recovery stages exist in version 4 alone."""

    none = 0
    watch = 1
    warning = 2
    alert = 3
    full_recovery = 4
    temporary_soil_moisture_recovery = 5
    temporary_vegetation_recovery = 6
    unknown = 8


@dataclass(frozen=True)
class CdiThresholds:
    """Values below which each input is dry; and whether an alert asks for dry soil too.

    The value table of the European Drought Observatory gives an alert to stressed vegetation
    after a lack of rain, whatever the soil; its text asks for all three.
    """

    spi_1: float = -2.0
    spi_3: float = -1.0
    soil_moisture: float = -1.0
    vegetation: float = -1.0
    alert_needs_dry_soil: bool = False

    def __post_init__(self) -> None:
        # SPI-1 is masked where its driest value is above -1; only up to there does "masked" prove "not below"
        if self.spi_1 > CLASS_EDGES[0]:
            raise ValueError(f"spi_1: found {self.spi_1}, expected {CLASS_EDGES[0]} or lower")


def combined_drought_indicator(
    indices: xr.Dataset,
    *,
    thresholds: CdiThresholds = CdiThresholds(),
    lags: Mapping[str, int] | None = None,
) -> xr.Dataset:
    """Combined drought indicator, version 1.

    A drought that begins in the rain and goes on in the soil and in the plants, as one stage: watch, warning,
    alert. These are words of the indicator, and no alert levels.

    Parameters
    ----------
    indices : Dataset (time, ...)
        ``spi_1``, ``spi_3``, ``soil_moisture``, ``vegetation``: standardised anomalies (1), low is
        worse, each with ``<name>_status``. One that is absent is ``input_missing`` everywhere.
    thresholds : CdiThresholds
    lags : mapping of the names above to steps of the time axis, 0 or more, optional
        A value then speaks that many steps after its own.

    Returns
    -------
    Dataset (time, ...)
        ``cdi_stage`` (flag of `CdiStage`), ``cdi_stage_status``, and ``cdi_at_least`` (flag: exact, or
        at_least where a missing input could raise the stage). ``unknown`` wherever the status keeps
        no value. Where SPI-3 or vegetation is masked, so is the stage: there is no vegetation season.

    Formula
    -------
    rain is dry:  SPI-1 < -2 or SPI-3 < -1
    watch         rain is dry
    warning       rain is dry and soil moisture < -1
    alert         rain is dry and vegetation < -1 (and, if asked for, soil moisture < -1)

    Limits
    ------
    * No memory: as soon as the rain of three months is near normal the stage is none, though the fields are dry.
      Version 4 has one.
    * ``masked_dry_season`` where SPI-3 or vegetation is: without a season of plants there is no such drought.
    * It says "at least" where an input is missing, and ``unknown`` where the rain is: never "no drought".
    * Its stages are of farming and grazing; for rivers and reservoirs it says nothing.
    * Thresholds are those of Europe. Its inputs err by some 0.3 near them, so one stage is inside the noise.

    References
    ----------
    Sepulcre-Canto et al. 2012, Nat. Hazards Earth Syst. Sci. 12; European Drought Observatory, value table of the CDI.
    """
    values, flags = cdi_inputs(indices, lags)
    dry = {name: values[name] < getattr(thresholds, name) for name in INPUTS}
    open_ = {name: values[name].isnull() for name in INPUTS}
    # the driest SPI-1 of a masked month is an ordinary one: it is proven not to lie below its threshold
    open_["spi_1"] = open_["spi_1"] & (flags["spi_1"] != Status.masked_dry_season)
    least = _stage(dry, thresholds)
    most = _stage({name: dry[name] | open_[name] for name in INPUTS}, thresholds)
    known = (least == most) | (least > CdiStage.none)
    masked = _masked(flags["spi_3"]) | _masked(flags["vegetation"])
    return stage_dataset(
        xr.where(known & ~masked, least, np.int8(CdiStage.unknown)),
        at_least=(least != most) & known & ~masked,
        status=_status(flags, values, known, masked),
        attrs={"cdi_version": "1 (Sepulcre-Canto et al. 2012)", **_told(thresholds, lags)},
    )


def stage_dataset(
    stage: xr.DataArray, *, at_least: xr.DataArray, status: xr.DataArray, attrs: Mapping[str, Any]
) -> xr.Dataset:
    """The three variables of an indicator with their flags, on the axes of the status."""
    shape = status.dims
    return xr.Dataset(
        {
            "cdi_stage": stage.astype("int8").transpose(*shape).drop_attrs().assign_attrs(stage_attrs()),
            "cdi_stage_status": status.assign_attrs(status_attrs()),
            "cdi_at_least": at_least.astype("int8")
            .transpose(*shape)
            .drop_attrs()
            .assign_attrs(
                flag_values=np.array([0, 1], dtype="int8"),
                flag_meanings="exact at_least",
                long_name="whether a missing input could raise the stage",
            ),
        },
        attrs=dict(attrs),
    )


def stage_attrs() -> dict[str, Any]:
    """CF attributes of the stage."""
    return {
        "flag_values": np.array([s.value for s in CdiStage], dtype="int8"),
        "flag_meanings": " ".join(s.name for s in CdiStage),
        "long_name": "stage of the combined drought indicator",
    }


# ------------------------------------------------------------------ beneath


def cdi_inputs(
    indices: xr.Dataset, lags: Mapping[str, int] | None = None
) -> tuple[dict[str, xr.DataArray], dict[str, xr.DataArray]]:
    """Values that their status keeps, and that status, each moved by its lag; an absent one is missing everywhere.

    Parameters as of `combined_drought_indicator`.
    """
    lags = dict(lags or {})
    if wrong := {name: lag for name, lag in lags.items() if name not in INPUTS or lag < 0}:
        raise ValueError(f"lags: found {wrong}, expected steps of 0 or more for {', '.join(INPUTS)}")
    present = [name for name in INPUTS if name in indices]
    if not present:
        raise ValueError(f"indices: found {list(indices.data_vars)}, expected some of {', '.join(INPUTS)}")
    for name in present:
        require_units(indices[name], "1")
    values, flags = {}, {}
    for name in INPUTS:
        value = indices[name] if name in present else xr.full_like(indices[present[0]], np.nan, dtype=float)
        flag = indices[f"{name}_status"] if f"{name}_status" in indices else status_like(value, Status.input_missing)
        value = value.where(has_status(flag, KEEPS_VALUE)).shift(time=lags.get(name, 0))
        flag = flag.shift(time=lags.get(name, 0), fill_value=np.int8(Status.insufficient_data))
        lost = value.isnull() & has_status(flag, KEEPS_VALUE)
        values[name] = value
        flags[name] = xr.where(lost, np.int8(Status.insufficient_data), flag).astype("int8")
    return values, flags


def caution(flags: Mapping[str, xr.DataArray], values: Mapping[str, xr.DataArray]) -> xr.DataArray:
    """The most cautious flag of the inputs that have a value; ok where none has."""
    return reduce(more_cautious, [xr.where(values[n].notnull(), flags[n], np.int8(Status.ok)) for n in INPUTS])


def _stage(dry: Mapping[str, xr.DataArray], thresholds: CdiThresholds) -> xr.DataArray:
    """Stage of inputs that are all known to be dry or not."""
    rain = dry["spi_1"] | dry["spi_3"]
    plants = dry["vegetation"] & (dry["soil_moisture"] | (not thresholds.alert_needs_dry_soil))
    stage = xr.where(dry["soil_moisture"], CdiStage.warning, CdiStage.watch)
    return xr.where(rain, xr.where(plants, CdiStage.alert, stage), CdiStage.none).astype("int8")


def _masked(flag: xr.DataArray) -> xr.DataArray:
    return flag == Status.masked_dry_season


def _status(
    flags: Mapping[str, xr.DataArray], values: Mapping[str, xr.DataArray], known: xr.DataArray, masked: xr.DataArray
) -> xr.DataArray:
    """Caution of the inputs behind a stage, or why there is none."""
    # an unknown stage is one whose rain is unknown: its own flag says why, that of the longer total first
    why = xr.where(values["spi_3"].isnull(), flags["spi_3"], flags["spi_1"])
    status = xr.where(known, caution(flags, values), why)
    status = xr.where(masked, np.int8(Status.masked_dry_season), status)
    return status.astype("int8").transpose(*flags["spi_3"].dims)


def _told(thresholds: CdiThresholds, lags: Mapping[str, int] | None) -> dict[str, Any]:
    """What was chosen, as attributes of the result."""
    words = ", ".join(f"{name} < {getattr(thresholds, name):g}" for name in INPUTS)
    return {
        "thresholds": words + (", alert needs dry soil" if thresholds.alert_needs_dry_soil else ""),
        "lags": ", ".join(f"{name} {(lags or {}).get(name, 0)}" for name in INPUTS),
    }
