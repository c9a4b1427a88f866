"""Combined drought indicator, version 4: stages with a memory, and three ways to recover.

The rules are a condensation of those of the European Drought Observatory's version 4, written from
a description of them; compare them with the factsheet before a country relies on them.

A stage depends on the one before. So the whole set of stages that the inputs allow is carried
along: at the start of a record, and over a gap, it is every one that could be; informative steps
narrow it. A stage is published where one is left, or where all that are left are droughts (then as
"at least" the mildest); everywhere else it is ``unknown``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
import xarray as xr

from geodata.schema import Status
from models.cdi import INPUTS, CdiStage, caution, cdi_inputs, stage_dataset

DRY, USUAL, WET = range(3)  # rain; wet alone ends a drought of the soil before it began
STRESSED, WEAK, RECOVERING, GOOD = range(4)  # soil moisture and vegetation

RANK = {
    CdiStage.none: 0,
    CdiStage.full_recovery: 0,
    CdiStage.watch: 1,
    CdiStage.temporary_soil_moisture_recovery: 2,
    CdiStage.warning: 3,
    CdiStage.temporary_vegetation_recovery: 4,
    CdiStage.alert: 5,
}
"""How far each stage is into a drought."""

_STAGES = tuple(RANK)


@dataclass(frozen=True)
class CdiLevels:
    """Edges between the levels of each input, and how long a stage holds while its input recovers.

    Parameters
    ----------
    spi_1, spi_3 : (dry at or below, wet above)
    soil_moisture, vegetation : (stressed at or below, weak at or below, recovering at or below)
    hold_steps : int
        Steps, dekads in the original, that an alert or a warning may wait for its recovery.
    """

    spi_1: tuple[float, float] = (-2.0, 0.5)
    spi_3: tuple[float, float] = (-1.0, 0.0)
    soil_moisture: tuple[float, float, float] = (-1.0, -0.5, 0.0)
    vegetation: tuple[float, float, float] = (-1.0, -0.5, 0.0)
    hold_steps: int = 5


def combined_drought_indicator_v4(
    indices: xr.Dataset, *, levels: CdiLevels = CdiLevels(), lags: Mapping[str, int] | None = None
) -> xr.Dataset:
    """Combined drought indicator, version 4 (rules as condensed).

    Stages with a memory: an alert or a warning holds for some steps while its input recovers, and the ways to
    recover have stages of their own.

    Parameters
    ----------
    indices, lags : as of `models.cdi.combined_drought_indicator`
        Steps follow each other without a gap; the original's are dekads.
    levels : CdiLevels

    Returns
    -------
    Dataset (time, ...)
        ``cdi_stage`` (flag), ``cdi_stage_status`` and ``cdi_at_least`` (flag), as of
        `models.cdi.combined_drought_indicator`, with the recovery stages.

    Formula
    -------
    rain is dry: SPI-1 <= -2 or SPI-3 <= -1;  wet: SPI-1 > 0.5 and SPI-3 > 0.  The first that holds:
    1. vegetation <= -1: alert if rain is dry, soil <= -1, or a drought or its temporary recovery was under way;
       else none
    2. after an alert or its temporary recovery, up to 5 steps: vegetation <= -0.5 alert, <= 0 temporary
       recovery of vegetation; then, or above 0: warning if soil <= -1, watch if rain is dry, else full recovery
    3. soil <= -1: warning; but none if nothing was under way and rain is wet
    4. after a warning or its temporary recovery, up to 5 steps: soil <= -0.5 warning, <= 0 temporary
       recovery of soil moisture; then, or above 0: watch if rain is dry, else full recovery
    5. rain is dry: watch     6. after a watch: full recovery     7. none

    Limits
    ------
    * The rules are a condensation of the published ones: compare them with the factsheet before relying on them.
    * A gap lets go of what was known: the stage is ``unknown``, or "at least", until the inputs settle it again.
    * A first step of a record is settled by its inputs alone, or not at all.
    * Steps of the original are dekads: with months, five steps are five months of waiting.
    * What version 1 cannot say of masks, rivers and thresholds holds here too.

    References
    ----------
    Cammalleri et al. 2021, Nat. Hazards Earth Syst. Sci. 21; European Drought Observatory, CDI factsheet, version 4.
    """
    values, flags = cdi_inputs(indices, lags)
    # the driest SPI of a masked month is an ordinary one: proven not to be dry, and nothing more
    ordinary = {n: flags[n] == Status.masked_dry_season for n in ("spi_1", "spi_3")}
    stage, at_least = xr.apply_ufunc(
        _walk,
        *(values[n] for n in INPUTS),
        *ordinary.values(),
        input_core_dims=[["time"]] * 6,
        output_core_dims=[["time"]] * 2,
        kwargs={"levels": levels},
        keep_attrs=False,
        dask="parallelized",
        output_dtypes=[np.int8, np.bool_],
        dask_gufunc_kwargs={"allow_rechunk": True},
    )
    masked = ordinary["spi_3"] | (flags["vegetation"] == Status.masked_dry_season)
    known = (stage != CdiStage.unknown) & ~masked
    status = xr.where(known, caution(flags, values), _why(flags, values))
    status = xr.where(masked, np.int8(Status.masked_dry_season), status).astype("int8")
    return stage_dataset(
        xr.where(known, stage, np.int8(CdiStage.unknown)),
        at_least=at_least & known,
        status=status.transpose(*flags["spi_3"].dims),
        attrs={
            "cdi_version": "4, rules as condensed; compare with the factsheet",
            "levels": str(levels),
            "lags": ", ".join(f"{name} {(lags or {}).get(name, 0)}" for name in INPUTS),
        },
    )


def next_stage(
    rain: int, soil: int, plants: int, before: CdiStage, held: int, *, hold_steps: int = 5
) -> tuple[CdiStage, int]:
    """Stage that follows, and for how many steps it has been held.

    Parameters
    ----------
    rain : DRY, USUAL or WET
    soil, plants : STRESSED, WEAK, RECOVERING or GOOD
    before : CdiStage of the step before
    held : int, steps that it has been held while its input recovered

    >>> next_stage(USUAL, GOOD, WEAK, CdiStage.alert, 0)
    (<CdiStage.alert: 3>, 1)
    """
    s = CdiStage
    waiting = held < hold_steps
    calm = before in (s.none, s.full_recovery)
    after = s.watch if rain == DRY else s.full_recovery
    if plants == STRESSED:
        return (s.none if calm and rain != DRY and soil != STRESSED else s.alert), 0
    if before in (s.alert, s.temporary_vegetation_recovery):
        if waiting and plants != GOOD:
            return (s.alert if plants == WEAK else s.temporary_vegetation_recovery), held + 1
        return (s.warning if soil == STRESSED else after), 0
    if soil == STRESSED:
        return (s.none if calm and rain == WET else s.warning), 0
    if before in (s.warning, s.temporary_soil_moisture_recovery):
        if waiting and soil != GOOD:
            return (s.warning if soil == WEAK else s.temporary_soil_moisture_recovery), held + 1
        return after, 0
    if rain == DRY:
        return s.watch, 0
    return (s.full_recovery if before == s.watch else s.none), 0


# ------------------------------------------------------------------ numpy beneath


def _why(flags: Mapping[str, xr.DataArray], values: Mapping[str, xr.DataArray]) -> xr.DataArray:
    """Flag of an input that is missing; where none is, it is the past that nobody saw."""
    why = xr.full_like(flags["spi_3"], np.int8(Status.insufficient_data))
    for name in ("soil_moisture", "vegetation", "spi_1", "spi_3"):
        why = xr.where(values[name].isnull(), flags[name], why)
    return why


@lru_cache
def _transitions(hold_steps: int) -> np.ndarray:
    """Matrix (input class, situation before, situation after); a situation is a stage and how long it is held."""
    situations = list(product(_STAGES, range(hold_steps + 1)))
    place = {situation: i for i, situation in enumerate(situations)}
    classes = list(product(range(3), range(4), range(4)))
    table = np.zeros((len(classes), len(situations), len(situations)), dtype=np.float32)
    for c, (rain, soil, plants) in enumerate(classes):
        for i, (before, held) in enumerate(situations):
            table[c, i, place[next_stage(rain, soil, plants, before, held, hold_steps=hold_steps)]] = 1.0
    return table


def _walk(
    spi_1: np.ndarray,
    spi_3: np.ndarray,
    soil: np.ndarray,
    plants: np.ndarray,
    ordinary_1: np.ndarray,
    ordinary_3: np.ndarray,
    *,
    levels: CdiLevels,
) -> tuple[np.ndarray, np.ndarray]:
    """Stage, and whether it is a lower bound, of arrays (..., time)."""
    parts = np.broadcast_arrays(spi_1, spi_3, soil, plants, ordinary_1, ordinary_3)
    shape = parts[0].shape
    spi_1, spi_3, soil, plants, ordinary_1, ordinary_3 = (p.reshape(-1, shape[-1]) for p in parts)
    table = _transitions(levels.hold_steps)
    situations = np.ones((len(soil), table.shape[1]), dtype=bool)
    stage = np.empty(soil.shape, dtype=np.int8)
    at_least = np.empty(soil.shape, dtype=bool)
    for t in range(shape[-1]):
        rain = _rain(spi_1[:, t], spi_3[:, t], ordinary_1[:, t], ordinary_3[:, t], levels)
        classes = (
            rain[:, :, None, None]
            & _possible(soil[:, t], levels.soil_moisture)[:, None, :, None]
            & _possible(plants[:, t], levels.vegetation)[:, None, None, :]
        ).reshape(len(soil), -1)
        situations = _step(situations, classes, table)
        stages = np.asarray(situations.reshape(len(soil), len(_STAGES), -1).any(axis=-1))
        stage[:, t], at_least[:, t] = _proven(stages)
    return stage.reshape(shape), at_least.reshape(shape)


def _possible(values: np.ndarray, edges: tuple[float, ...]) -> np.ndarray:
    """Levels (cell, level) that a value may have: one, or all where it is missing; an edge belongs to the drier."""
    level = np.searchsorted(edges, values, side="left")
    return (level[:, None] == np.arange(len(edges) + 1)) | np.isnan(values)[:, None]


def _rain(
    spi_1: np.ndarray, spi_3: np.ndarray, ordinary_1: np.ndarray, ordinary_3: np.ndarray, levels: CdiLevels
) -> np.ndarray:
    """Which of DRY, USUAL and WET (cell, 3) the two totals allow: one dry makes it dry, only both wet make it wet."""
    one, three = _possible(spi_1, levels.spi_1), _possible(spi_3, levels.spi_3)
    one[:, DRY] &= ~ordinary_1
    three[:, DRY] &= ~ordinary_3
    not_dry = one[:, 1:].any(axis=1) & three[:, 1:].any(axis=1)
    return np.stack(
        [
            one[:, DRY] | three[:, DRY],
            not_dry & (one[:, USUAL] | three[:, USUAL]),
            one[:, WET] & three[:, WET],
        ],
        axis=1,
    )


def _step(situations: np.ndarray, classes: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Situations (cell, situation) that may follow, over all input classes (cell, class) that may be."""
    after = np.zeros_like(situations)
    for c in range(len(table)):
        cells = np.flatnonzero(classes[:, c])
        if cells.size:
            after[cells] |= situations[cells].astype(np.float32) @ table[c] > 0
    return after


def _proven(possible: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Stage of each row of possible stages (cell, stage), and whether it is only the mildest of several droughts."""
    ranks = np.array([RANK[s] for s in _STAGES])
    mildest = np.where(possible, ranks, ranks.max() + 1).argmin(axis=1)
    exact = possible.sum(axis=1) == 1
    drought = ranks[mildest] > 0
    stage = np.where(exact | drought, np.array(_STAGES, dtype=np.int8)[mildest], CdiStage.unknown)
    return stage.astype(np.int8), drought & ~exact
