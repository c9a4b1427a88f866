"""Early-warning levels from what has been observed: which hazard speaks, at what level, and why.

Words live in ``maps``; this module gives codes and values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from geodata.schema import RAISES_ALERTS, AlertLevel, ContractError, Status, has_status, status_attrs
from models.risk import flag_words, name_flags

THRESHOLDS = (4.0, 6.0, 8.0)
"""Hazard scores from which a month counts as watch, warning, emergency (inclusive)."""

REASON_CODES = ("no_data", "normal", "not_persistent", "above_threshold")
"""Nothing observed; below every threshold; this month above one, not yet for long enough; above one for long enough."""


def warning(
    hazards: xr.Dataset,
    names: Sequence[str],
    *,
    thresholds: Mapping[str, Sequence[float]] | Sequence[float] = THRESHOLDS,
    persistence_months: Mapping[str, int] | int = 2,
    period_months: Mapping[str, int] | None = None,
) -> xr.Dataset:
    """Alert level of each unit and month from the hazards observed there.

    The level of a hazard is the one that all of its last ``persistence_months`` observed months
    reach (all there are, at the start of a record). A month that is masked, missing or carried
    forward is not an observation: it neither ends a spell nor lengthens it. A hazard whose
    status raises no alert this month does not speak this month. One observation of a source
    slower than a month counts for all the months of its period, and once.

    Parameters
    ----------
    hazards : Dataset (time, pcode), monthly
        ``hazard_<name>`` 0-10 and ``hazard_<name>_status``; where values may be carried,
        ``<name>_age_months`` (0 = of the month itself). A value is observed in the first month that has it.
    names : hazards, in the order that decides between equals
    thresholds : three rising scores for watch, warning, emergency; or three by hazard name
    persistence_months : int >= 1, or one by hazard name (2 for those not named)
        A hazard that strikes within a month, such as heavy rain, cannot persist for two: give it 1.
    period_months : hazard -> months that one of its observations speaks of (12 of a yearly source); 1 unless named

    Returns
    -------
    Dataset (time, pcode)
        ``warning_score`` 0-10 (highest hazard now, among those that may raise an alert) with
        ``warning_score_status``; ``alert_level`` (AlertLevel, int8; NO_DATA only where no hazard
        may speak); ``alert_hazard`` and ``warning_hazard`` (int8 flags, words by
        `models.risk.flag_words`: the hazard that sets the level, and the highest one; -1 none);
        ``alert_months`` (months observed in a row at or above the level's threshold; 0 if normal or no
        data); ``score_months`` (the same for the highest hazard and the threshold its score is above now).

    References
    ----------
    WMO-No. 1090 for the SPI classes behind the default thresholds.
    """
    present = [n for n in names if f"hazard_{n}" in hazards]
    if not present:
        raise ContractError(f"warning: none of the hazards {list(names)} was computed")
    period = [_period(period_months or {}, n) for n in present]
    persistence = [-(-_persistence(persistence_months, n) // p) for n, p in zip(present, period, strict=True)]
    score, speaks, seen = (np.stack(side) for side in zip(*(_observed(hazards, n) for n in present), strict=True))
    limits = np.array([_limits(thresholds, n) for n in present])
    raw = (score[:, None] >= limits[:, :, None, None]).sum(axis=1)
    held = np.stack([_held(raw[i], seen[i], persistence[i]) for i in range(len(present))])
    level = np.where(speaks & (held >= 0), held, int(AlertLevel.NO_DATA))
    now = np.where(speaks, score, -np.inf)
    highest = now.max(axis=0)
    first = hazards[f"hazard_{present[0]}"].transpose("time", "pcode")
    top = level.max(axis=0)
    # of hazards at the same level the one with the higher score speaks; of equal scores the one declared first
    speaker = np.where(top >= 0, np.argmax(np.where(level == top, now, -np.inf), axis=0), -1)
    loudest = np.where(np.isfinite(highest), np.argmax(now, axis=0), -1)
    runs = _runs(raw, seen) * np.array(period)[:, None, None]
    now_at = np.where(loudest >= 0, _pick(raw, loudest), 0)
    flags = np.stack([hazards[f"hazard_{n}_status"].transpose("time", "pcode").to_numpy() for n in present])
    status = np.where(loudest >= 0, _pick(flags, loudest), int(Status.insufficient_data))

    def like(values: np.ndarray, dtype: str, long_name: str) -> xr.DataArray:
        array = xr.DataArray(values.astype(dtype), dims=first.dims, coords=first.coords)
        return array.assign_attrs(units="1", long_name=long_name)

    return xr.Dataset(
        {
            "warning_score": like(
                np.where(np.isfinite(highest), highest, np.nan), "float64", "highest hazard now (0-10)"
            ),
            "warning_score_status": like(status, "int8", "status").drop_attrs().assign_attrs(status_attrs()),
            "alert_level": like(top, "int8", "alert level").assign_attrs(
                flag_values=np.array([a.value for a in AlertLevel], dtype="int8"),
                flag_meanings=" ".join(a.name for a in AlertLevel),
            ),
            "alert_hazard": like(speaker, "int8", "").assign_attrs(name_flags(present, "hazard that sets the level")),
            "warning_hazard": like(loudest, "int8", "").assign_attrs(
                name_flags(present, "hazard with the highest score")
            ),
            "alert_months": like(
                _months_at(runs, speaker, top), "int16", "observed months in a row at this level or above"
            ),
            "score_months": like(
                _months_at(runs, loudest, now_at), "int16", "observed months in a row as high as the highest hazard"
            ),
        }
    )


def warning_reasons(
    alerts: xr.Dataset,
    hazards: xr.Dataset,
    month: pd.Timestamp | str,
    *,
    thresholds: Mapping[str, Sequence[float]] | Sequence[float] = THRESHOLDS,
    worse_when: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Why each unit stands at its level: a code, and the values a sentence is made of.

    Parameters
    ----------
    alerts : Dataset, as of `warning`
    hazards : Dataset (time, pcode), what `warning` was given, with the indices of each hazard
    month : the month spoken about
    thresholds : as given to `warning`
    worse_when : hazard -> "low" or "high"; "high" for heavy rain, "low" for any other unless said

    Returns
    -------
    DataFrame, index pcode
        ``reason_code`` (one of REASON_CODES) and ``reason_values``, a dict of plain values:
        ``hazard`` (name), ``score``, ``index`` (name) and ``index_value``, ``scale_months``,
        ``percentile`` (share of years that are lower), ``years_of_ten`` (in how many years of ten
        it is less extreme than now, rounded down, "more_extreme_than"), ``worse_when``,
        ``threshold`` (score of the level, or of the level not yet reached), ``months`` (observed
        months in a row at or above it), ``age_months``. A value that is not known is None.
    """
    now, facts = alerts.sel(time=month), hazards.sel(time=month)
    speaker, highest = flag_words(now["alert_hazard"]), flag_words(now["warning_hazard"])
    rows: dict[Any, tuple[str, dict[str, Any]]] = {}
    for i, pcode in enumerate(now["pcode"].to_numpy()):
        level = int(now["alert_level"][i])
        if level < 0:
            rows[pcode] = ("no_data", {})
            continue
        name = str(speaker[i] if level > 0 else highest[i])
        score = float(facts[f"hazard_{name}"][i])
        limits = _limits(thresholds, name)
        reached = sum(score >= limit for limit in limits)
        if level > 0:
            code, limit = "above_threshold", limits[level - 1]
        elif reached:
            code, limit = "not_persistent", limits[reached - 1]
        else:
            code, limit = "normal", limits[0]
        values = _facts(facts, name, i, (worse_when or {}).get(name, "high" if name == "heavy_rain" else "low"))
        months = int(now["alert_months" if level > 0 else "score_months"][i])
        rows[pcode] = (code, {"hazard": name, "score": score, "threshold": float(limit), "months": months, **values})
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["reason_code", "reason_values"])
    return table.rename_axis("pcode")


def _facts(facts: xr.Dataset, name: str, i: int, worse_when: str) -> dict[str, Any]:
    """Index, percentile and age behind a hazard, as plain values."""

    def value(variable: str) -> float | None:
        if variable not in facts:
            return None
        number = float(facts[variable][i])
        return number if np.isfinite(number) else None

    index = next((v for v in (f"{name}_index", f"{name}_percentile") if v in facts), None)
    percentile = value(f"{name}_percentile")
    scale = value(f"{name}_scale_months")
    age = value(f"{name}_age_months")
    less_extreme = None if percentile is None else (1.0 - percentile if worse_when == "low" else percentile)
    return {
        "index": index,
        "index_value": None if index is None else value(index),
        "scale_months": None if scale is None else int(scale),
        "percentile": percentile,
        "years_of_ten": None if less_extreme is None else int(np.floor(less_extreme * 10 + 1e-9)),
        "worse_when": worse_when,
        "age_months": None if age is None else int(age),
    }


def _limits(thresholds: Mapping[str, Sequence[float]] | Sequence[float], name: str) -> tuple[float, ...]:
    """Thresholds of a hazard, proven to rise."""
    given = thresholds.get(name, THRESHOLDS) if isinstance(thresholds, Mapping) else thresholds
    limits = tuple(float(t) for t in given)
    if len(limits) != 3 or not limits[0] <= limits[1] <= limits[2]:
        raise ValueError(f"thresholds of {name}: {list(limits)}, expected three rising scores")
    return limits


def _persistence(given: Mapping[str, int] | int, name: str) -> int:
    """Months a level of this hazard must last, proven to be one or more."""
    months = given.get(name, 2) if isinstance(given, Mapping) else given
    if months < 1:
        raise ValueError(f"persistence_months of {name}: {months}, expected 1 or more")
    return months


def _period(given: Mapping[str, int], name: str) -> int:
    """Months that one observation of this hazard speaks of, proven to be one or more."""
    months = given.get(name, 1)
    if months < 1:
        raise ValueError(f"period_months of {name}: {months}, expected 1 or more")
    return months


def _observed(hazards: xr.Dataset, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Score, whether it may speak, and whether it is newer than what spoke in any month before (time, pcode)."""
    score = hazards[f"hazard_{name}"].transpose("time", "pcode")
    speaks = has_status(hazards[f"hazard_{name}_status"], RAISES_ALERTS).transpose("time", "pcode") & score.notnull()
    if f"{name}_age_months" not in hazards:
        return score.to_numpy(), speaks.to_numpy(), speaks.to_numpy()
    times = pd.DatetimeIndex(score.indexes["time"])
    age = hazards[f"{name}_age_months"].transpose("time", "pcode").to_numpy()
    month = np.where(speaks & np.isfinite(age), np.asarray(times.year * 12 + times.month)[:, None] - age, -np.inf)
    newest = np.maximum.accumulate(np.concatenate([np.full((1, month.shape[1]), -np.inf), month]), axis=0)
    return score.to_numpy(), speaks.to_numpy(), month > newest[:-1]


def _held(raw: np.ndarray, seen: np.ndarray, persistence: int) -> np.ndarray:
    """Lowest level of the last ``persistence`` observed months (time, pcode); -1 before the first."""
    held = np.full(raw.shape, -1)
    last = np.full((persistence, raw.shape[1]), 99)
    any_seen = np.zeros(raw.shape[1], dtype=bool)
    for t in range(len(raw)):
        pushed = np.concatenate([last[1:], raw[t][None]])
        last = np.where(seen[t], pushed, last)
        any_seen |= seen[t]
        held[t] = np.where(any_seen, last.min(axis=0), -1)
    return held


def _runs(raw: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Observed months in a row (step, hazard, time, pcode) at or above each of the three thresholds."""
    run = np.zeros((3, *raw.shape), dtype=int)
    for t in range(raw.shape[1]):
        before = run[:, :, t - 1] if t else np.zeros((3, raw.shape[0], raw.shape[2]), dtype=int)
        for step in range(3):
            reached = raw[:, t] >= step + 1
            run[step, :, t] = np.where(seen[:, t], np.where(reached, before[step] + 1, 0), before[step])
    return run


def _months_at(runs: np.ndarray, speaker: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Length of the run of the speaking hazard at its level; 0 below every threshold."""
    months = np.zeros(level.shape, dtype=int)
    for step, run in enumerate(runs):
        months = np.where(level == step + 1, _pick(run, speaker), months)
    return months


def _pick(values: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Values (hazard, time, pcode) of the hazard at each position (time, pcode)."""
    return np.take_along_axis(values, np.maximum(position, 0)[None], axis=0)[0]
