"""Hazard scores 0-10 (10 worst): one option model and one function per method, and how scores combine.

A method works in two steps, because its source may be slower than a month: ``index`` computes
the index on the source's own time axis, ``score`` turns the index, by then on the monthly
axis, into the hazard. `assess_hazard` does both for a source that is monthly already.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import BaseModel, ConfigDict, Field, field_validator
from scipy.special import ndtr

from geodata.schema import KEEPS_VALUE, ContractError, Status, has_status, more_cautious, status_attrs, status_like
from models.anomaly import anomaly_index
from models.heavy_rain import heavy_rain_percentile, rx1day_monthly
from models.percentile import season_to_date
from models.spi import spi
from models.surface_water import water_percentile

Breakpoints = tuple[tuple[float, float], ...]

SPI_BREAKPOINTS: Breakpoints = ((3.0, 0.0), (0.0, 2.0), (-1.0, 4.0), (-1.5, 6.0), (-2.0, 8.0), (-3.0, 10.0))
WATER_BREAKPOINTS: Breakpoints = ((1.0, 0.0), (0.5, 2.0), (0.2, 4.0), (0.1, 6.0), (0.05, 8.0), (0.02, 10.0))
RAIN_BREAKPOINTS: Breakpoints = ((0.0, 0.0), (0.5, 2.0), (0.8, 4.0), (0.9, 6.0), (0.95, 8.0), (0.98, 10.0))


# ------------------------------------------------------------------ options


class HazardOptions(BaseModel):
    """What every hazard block of a country file may say."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: str
    source: str  # name of the block under [sources] that it reads
    label: dict[str, str] = Field(default_factory=dict)
    breakpoints: Breakpoints
    breakpoints_source: str
    max_age_days: int | None = None  # beyond this age a carried index is stale; None: as its source declares
    calibration_years: tuple[int, int] | None = None  # where the source's record is not the country's period

    @field_validator("breakpoints")
    @classmethod
    def _rise_or_fall(cls, value: Breakpoints) -> Breakpoints:
        check_breakpoints(value)
        return value


class DroughtOptions(HazardOptions):
    """Drought from the Standardised Precipitation Index of monthly rain."""

    method: Literal["spi"] = "spi"
    source: str = "rain"
    scales_months: tuple[int, ...] = (6, 12, 24)  # the first that is informative this month speaks
    further_scales_months: tuple[int, ...] = (1, 3)  # computed beside them, for those who read the indices
    trace_mm: float = 1.0
    min_years: int = 30
    min_positive: int = 20
    season_start_month: int = 10
    breakpoints: Breakpoints = SPI_BREAKPOINTS
    breakpoints_source: str = "class edges of WMO-No. 1090 at 4, 6 and 8"


class WaterOptions(HazardOptions):
    """Lack of open water, from its area."""

    method: Literal["water_percentile"] = "water_percentile"
    source: str = "surface_water"
    years_without_imagery: tuple[int, ...] = ()
    min_years: int = 20
    min_area_km2: float = 0.1
    breakpoints: Breakpoints = WATER_BREAKPOINTS
    breakpoints_source: str = "own choice: lowest fifth, tenth and twentieth of the record at 4, 6 and 8"


class HeavyRainOptions(HazardOptions):
    """Heavy rain, from a daily source (mm/day) reduced to the highest day of each month."""

    method: Literal["heavy_rain"] = "heavy_rain"
    source: str = "rain_daily"
    window_months: int = 1
    min_years: int = 10
    start_month: int = 10
    breakpoints: Breakpoints = RAIN_BREAKPOINTS
    breakpoints_source: str = "own choice: one year in 5, 10 and 20 of the yearly highest days at 4, 6 and 8"


class AnomalyOptions(HazardOptions):
    """Any standardised anomaly: vegetation, soil moisture, evaporation."""

    method: Literal["anomaly"] = "anomaly"
    worse_when: Literal["low", "high"] = "low"
    limit: float = 3.0
    breakpoints: Breakpoints = SPI_BREAKPOINTS  # read for the anomaly with its sign turned so that low is worse
    breakpoints_source: str = "as of the SPI"


# ------------------------------------------------------------------ scores


def check_breakpoints(breakpoints: Sequence[tuple[float, float]]) -> None:
    """Raise ValueError unless the scores lie in 0-10 and rise, or fall, all the way along the index.

    >>> check_breakpoints([(0, 2), (-1, 1), (-2, 4)])
    Traceback (most recent call last):
        ...
    ValueError: breakpoints: scores [4.0, 1.0, 2.0] along the index, expected all rising or all falling
    """
    points = sorted((float(x), float(score)) for x, score in breakpoints)
    index, scores = [x for x, _ in points], [score for _, score in points]
    if len(points) < 2 or len(set(index)) < len(index):
        raise ValueError(f"breakpoints: index values {index}, expected two or more, all different")
    if min(scores) < 0 or max(scores) > 10:
        raise ValueError(f"breakpoints: scores {scores}, expected 0 to 10")
    steps = np.diff(scores)
    if not ((steps >= 0).all() or (steps <= 0).all()):
        raise ValueError(f"breakpoints: scores {scores} along the index, expected all rising or all falling")


def score_by_breakpoints(index: xr.DataArray, breakpoints: Sequence[tuple[float, float]]) -> xr.DataArray:
    """Score of an index: straight lines between (index, score) pairs, flat beyond the outermost; NaN stays NaN.

    Parameters
    ----------
    index : DataArray (any dims)
    breakpoints : pairs (index, score 0-10), in any order, scores all rising or all falling

    Returns
    -------
    DataArray, same dims, 0-10

    >>> score_by_breakpoints(xr.DataArray([1.5, -1.25, -4.0, np.nan], dims="time"), SPI_BREAKPOINTS).values
    array([ 1.,  5., 10., nan])
    """
    check_breakpoints(breakpoints)
    points = sorted((float(x), float(score)) for x, score in breakpoints)
    xs, ys = (np.array(side) for side in zip(*points, strict=True))
    return xr.apply_ufunc(
        lambda v: np.interp(v, xs, ys), index, dask="parallelized", output_dtypes=[np.float64], keep_attrs=False
    )


def scaled_geometric_mean(scores: Sequence[xr.DataArray]) -> xr.DataArray:
    """Mean led by the worst: 10 (1 - (g - 1)/9) from the geometric mean g of 10 - 0.9 score; NaN parts are left out.

    Source: INFORM, aggregation of natural hazards.

    >>> float(scaled_geometric_mean([xr.DataArray(8.0), xr.DataArray(2.0)]).round(3))
    5.787
    """
    return xr.apply_ufunc(
        lambda *parts: scaled_mean(np.stack(np.broadcast_arrays(*parts))),
        *scores,
        join="exact",
        dask="parallelized",
        output_dtypes=[np.float64],
        keep_attrs=False,
    )


def scaled_mean(parts: np.ndarray) -> np.ndarray:
    """`scaled_geometric_mean` of an array (part, ...)."""
    seen = np.isfinite(parts)
    count = seen.sum(axis=0)
    logs = np.log(np.where(seen, (10.0 - parts) / 10.0 * 9.0 + 1.0, 1.0))
    mean = logs.sum(axis=0) / np.where(count > 0, count, np.nan)
    return np.clip((10.0 - np.exp(mean)) / 9.0 * 10.0, 0.0, 10.0)


def combine_hazards(hazards: xr.Dataset, names: Sequence[str]) -> xr.Dataset:
    """Score of all hazards together: scaled geometric mean of those assessed.

    Parameters
    ----------
    hazards : Dataset (time, pcode), ``hazard_<name>`` and ``hazard_<name>_status`` of each name
    names : names of the hazards; one that was never computed (no source) may be left out of the dataset

    Returns
    -------
    Dataset (time, pcode)
        ``hazard`` 0-10 and ``hazard_status``: the most cautious of the hazards assessed,
        insufficient_data where none is.
    """
    present = [n for n in names if f"hazard_{n}" in hazards]
    if not present:
        raise ContractError(f"hazards: none of {list(names)} was computed")
    score = scaled_geometric_mean([hazards[f"hazard_{n}"] for n in present])
    return xr.Dataset(
        {
            "hazard": score.assign_attrs(units="1", long_name="hazard, all assessed together (0-10)"),
            "hazard_status": cautious_status(
                [hazards[f"hazard_{n}_status"] for n in present], [hazards[f"hazard_{n}"] for n in present]
            ),
        }
    )


def cautious_status(flags: Sequence[xr.DataArray], values: Sequence[xr.DataArray]) -> xr.DataArray:
    """The most cautious flag of the parts that have a value; insufficient_data where none has."""
    kept = [xr.where(v.notnull(), f, np.int8(Status.ok)) for f, v in zip(flags, values, strict=True)]
    status = reduce(more_cautious, kept)
    known = reduce(lambda a, b: a | b, [v.notnull() for v in values])
    return xr.where(known, status, np.int8(Status.insufficient_data)).astype("int8").assign_attrs(status_attrs())


# ------------------------------------------------------------------ carrying a value forward


def carry_forward(values: xr.DataArray, status: xr.DataArray, *, max_age_days: int | None = None) -> xr.Dataset:
    """Fill the months after the last observed one with the latest informative value.

    A month that was observed and is not informative (``masked_dry_season``) stays as it is.

    Parameters
    ----------
    values, status : DataArray (time, ...), monthly
    max_age_days : int, optional
        A carried value older than this, from the end of its month to the end of the month it is
        carried to, is ``stale``: shown, and raising no alert.

    Returns
    -------
    Dataset (time, ...)
        ``value``, ``status``, ``age_months`` (0 where the value is of the month itself, NaN where none).
    """
    times = pd.DatetimeIndex(values.indexes["time"])
    ends = (times + pd.offsets.MonthEnd(0)).to_numpy()
    day = xr.DataArray((ends - ends[0]) / np.timedelta64(1, "D"), dims="time", coords={"time": values["time"]})
    month = xr.DataArray(np.asarray(times.year * 12.0 + times.month), dims="time", coords={"time": values["time"]})
    kept = has_status(status, KEEPS_VALUE) & values.notnull()
    unseen = has_status(status, {Status.input_missing, Status.insufficient_data})
    carried = values.where(kept).ffill("time")
    use = kept | (unseen & carried.notnull())
    age = (month - month.where(kept).ffill("time")).where(use)
    age_days = day - day.where(kept).ffill("time")
    flag = status.where(kept).ffill("time").fillna(int(Status.insufficient_data)).astype("int8")
    if max_age_days is not None:
        flag = xr.where((age > 0) & (age_days > max_age_days), np.int8(Status.stale), flag)
    return xr.Dataset(
        {
            "value": carried.where(use).transpose(*values.dims).assign_attrs(values.attrs),
            "status": xr.where(use, flag, status).astype("int8").transpose(*values.dims).assign_attrs(status_attrs()),
            "age_months": age.transpose(*values.dims).assign_attrs(units="months", long_name="age of the value"),
        }
    )


# ------------------------------------------------------------------ methods


@dataclass(frozen=True)
class HazardMethod:
    """How one kind of hazard is computed.

    Parameters
    ----------
    options : type[HazardOptions], the block of the country file
    index : (inputs, options, calibration) -> Dataset on the source's own time axis
        Of a source slower than a month, each variable and its status are then put on the monthly axis.
    score : (name, indices, options) -> Dataset on the monthly axis
    scored : str, name of the index that is scored, of a method whose source may be slower than a month
    """

    options: type[HazardOptions]
    index: Callable[[xr.Dataset, Any, tuple[int, int]], xr.Dataset]
    score: Callable[[str, xr.Dataset, Any], xr.Dataset]
    scored: str = ""


def assess_hazard(name: str, inputs: xr.Dataset, options: HazardOptions, calibration: tuple[int, int]) -> xr.Dataset:
    """Indices and score of one hazard whose source is on the monthly axis.

    Parameters
    ----------
    name : str, e.g. "drought"
    inputs : Dataset (time, ...) with the variable ``options.source`` and, if known, ``<source>_status``
    options : HazardOptions, of the method it names
    calibration : (first year, last year), both included

    Returns
    -------
    Dataset (time, ...)
        ``hazard_<name>`` (0-10), ``<name>_percentile`` (1, share of years that are lower),
        ``<name>_age_months`` where values were carried, and the indices of the method, each with ``<...>_status``.
    """
    method = HAZARDS[options.method]
    return method.score(name, method.index(inputs, options, calibration), options)


def _input(inputs: xr.Dataset, source: str) -> tuple[xr.DataArray, xr.DataArray]:
    """Values of a source that its status keeps, and that status."""
    values = inputs[source]
    flags = inputs[f"{source}_status"] if f"{source}_status" in inputs else status_like(values, Status.input_missing)
    return values.where(has_status(flags, KEEPS_VALUE)), flags


def _with_input_status(status: xr.DataArray, of_input: xr.DataArray) -> xr.DataArray:
    """Index status, unless the input says something more: its caution, or why it is absent this month."""
    absent = ~has_status(of_input, KEEPS_VALUE)
    kept = has_status(status, KEEPS_VALUE)
    merged = xr.where(kept, more_cautious(status, xr.where(absent, np.int8(Status.ok), of_input)), status)
    merged = xr.where(absent & ~kept, of_input, merged)
    return merged.astype("int8").transpose(*status.dims).assign_attrs(status_attrs())


def _hazard(name: str, score: xr.DataArray, status: xr.DataArray) -> dict[str, xr.DataArray]:
    return {
        f"hazard_{name}": score.assign_attrs(units="1", long_name=f"hazard: {name} (0-10)"),
        f"hazard_{name}_status": status,
    }


def _drought_index(inputs: xr.Dataset, options: DroughtOptions, calibration: tuple[int, int]) -> xr.Dataset:
    rain, flags = _input(inputs, options.source)
    out: dict[str, xr.DataArray] = {}
    for k in sorted({*options.scales_months, *options.further_scales_months}):
        one = spi(
            rain,
            k,
            calibration,
            trace_mm=options.trace_mm,
            min_years=options.min_years,
            min_positive=options.min_positive,
        )
        out[f"spi_{k}"] = one["spi"]
        out[f"spi_{k}_status"] = _with_input_status(one["spi_status"], flags)
        detectable = one["max_detectable_class"].astype("float32")
        out[f"spi_{k}_max_class"] = detectable.assign_attrs(units="1", long_name=f"driest class SPI-{k} can reach")
        out[f"spi_{k}_max_class_status"] = status_like(detectable)
    season = season_to_date(
        rain,
        calibration,
        start_month=options.season_start_month,
        trace_mm=options.trace_mm,
        min_years=options.min_years,
    )
    for index in ("season_percentile", "season_total"):
        out[index] = season[index]
        out[f"{index}_status"] = _with_input_status(season[f"{index}_status"], flags)
    return xr.Dataset(out)


def headline_spi(indices: xr.Dataset, scales_months: Sequence[int]) -> xr.Dataset:
    """Index of the first scale that is informative this month.

    Where none is, the status is that of the first scale.

    Parameters
    ----------
    indices : Dataset (time, ...) with ``spi_<k>`` and ``spi_<k>_status`` of each scale
    scales_months : scales in order of preference

    Returns
    -------
    Dataset (time, ...): ``index`` (1), ``scale_months`` (months), ``status``
    """
    first = indices[f"spi_{scales_months[0]}"]
    index = xr.full_like(first, np.nan, dtype=float)
    scale = xr.full_like(index, np.nan)
    status = indices[f"spi_{scales_months[0]}_status"]
    for k in scales_months:
        flags = indices[f"spi_{k}_status"]
        speaks = index.isnull() & has_status(flags, KEEPS_VALUE)
        index = xr.where(speaks, indices[f"spi_{k}"].astype(float), index)
        scale = xr.where(speaks, float(k), scale)
        status = xr.where(speaks, flags, status)
    status = status.astype("int8").transpose(*first.dims).assign_attrs(status_attrs())
    return xr.Dataset(
        {"index": index.transpose(*first.dims), "scale_months": scale.transpose(*first.dims), "status": status}
    )


def _drought_score(name: str, indices: xr.Dataset, options: DroughtOptions) -> xr.Dataset:
    headline = headline_spi(indices, options.scales_months)
    index = carry_forward(headline["index"], headline["status"], max_age_days=options.max_age_days)
    scale = carry_forward(headline["scale_months"], headline["status"], max_age_days=options.max_age_days)["value"]
    status, value = index["status"], index["value"]
    percentile = xr.apply_ufunc(ndtr, value, dask="parallelized", output_dtypes=[np.float64])
    return indices.assign(
        {
            f"{name}_index": value.assign_attrs(units="1", long_name="SPI that speaks for drought"),
            f"{name}_index_status": status,
            f"{name}_scale_months": scale.assign_attrs(units="months", long_name="accumulation of that SPI"),
            f"{name}_scale_months_status": status,
            f"{name}_percentile": percentile.assign_attrs(units="1", long_name="share of years that are drier"),
            f"{name}_percentile_status": status,
            f"{name}_age_months": index["age_months"],
            f"{name}_age_months_status": status,
            **_hazard(name, score_by_breakpoints(value, options.breakpoints), status),
        }
    )


def _water_index(inputs: xr.Dataset, options: WaterOptions, calibration: tuple[int, int]) -> xr.Dataset:
    area, flags = _input(inputs, options.source)
    out = water_percentile(
        area,
        calibration,
        years_without_imagery=options.years_without_imagery,
        min_years=options.min_years,
        min_area_km2=options.min_area_km2,
    )
    for index in ("water_percentile", "water_anomaly"):
        out[f"{index}_status"] = _with_input_status(out[f"{index}_status"], flags)
    return out


def _water_score(name: str, indices: xr.Dataset, options: WaterOptions) -> xr.Dataset:
    return _percentile_score(name, "water_percentile", indices, options)


def _heavy_rain_index(inputs: xr.Dataset, options: HeavyRainOptions, calibration: tuple[int, int]) -> xr.Dataset:
    daily, flags = _input(inputs, options.source)
    monthly = rx1day_monthly(daily)
    flags = _worst_day(flags, monthly)
    out = heavy_rain_percentile(
        monthly,
        calibration,
        window_months=options.window_months,
        start_month=options.start_month,
        min_years=options.min_years,
    )
    for index in ("heavy_rain_percentile", "rx1day"):
        out[f"{index}_status"] = _with_input_status(out[f"{index}_status"], flags)
    return out


def _worst_day(flags: xr.DataArray, monthly: xr.DataArray) -> xr.DataArray:
    """Flag of each month: what the kept days claim least of, or that too few were seen."""
    by_month = flags.where(has_status(flags, KEEPS_VALUE)).resample(time="MS").max()
    known = by_month.reindex(time=monthly["time"]).fillna(int(Status.ok)).astype("int8")
    return xr.where(monthly.notnull(), known, np.int8(Status.insufficient_data)).assign_attrs(status_attrs())


def _heavy_rain_score(name: str, indices: xr.Dataset, options: HeavyRainOptions) -> xr.Dataset:
    return _percentile_score(name, "heavy_rain_percentile", indices, options)


def _percentile_score(name: str, variable: str, indices: xr.Dataset, options: HazardOptions) -> xr.Dataset:
    """Score of a percentile, carried to the months after the last observed one."""
    carried = carry_forward(indices[variable], indices[f"{variable}_status"], max_age_days=options.max_age_days)
    value, status = carried["value"], carried["status"]
    further = [v for v in map(str, indices.data_vars) if not v.startswith(variable) and not v.endswith("_status")]
    kept = {v: f"{name}_{v.removeprefix('water_')}" for v in further}
    named = indices[[n for v in further for n in (v, f"{v}_status")]]
    named = named.rename({**kept, **{f"{v}_status": f"{own}_status" for v, own in kept.items()}})
    return named.assign(
        {
            f"{name}_percentile": value.assign_attrs(indices[variable].attrs),
            f"{name}_percentile_status": status,
            f"{name}_age_months": carried["age_months"],
            f"{name}_age_months_status": status,
            **_hazard(name, score_by_breakpoints(value, options.breakpoints), status),
        }
    )


def _anomaly_index(inputs: xr.Dataset, options: AnomalyOptions, calibration: tuple[int, int]) -> xr.Dataset:
    values, flags = _input(inputs, options.source)
    out = anomaly_index(values, limit=options.limit)
    out["anomaly_status"] = _with_input_status(out["anomaly_status"], flags)
    return out


def _anomaly_score(name: str, indices: xr.Dataset, options: AnomalyOptions) -> xr.Dataset:
    carried = carry_forward(indices["anomaly"], indices["anomaly_status"], max_age_days=options.max_age_days)
    value, status = carried["value"], carried["status"]
    towards_dry = value if options.worse_when == "low" else -value
    percentile = xr.apply_ufunc(ndtr, value, dask="parallelized", output_dtypes=[np.float64])
    return xr.Dataset(
        {
            f"{name}_index": value.assign_attrs(units="1", long_name=f"standardised anomaly: {name}"),
            f"{name}_index_status": status,
            f"{name}_percentile": percentile.assign_attrs(units="1", long_name="share of years that are lower"),
            f"{name}_percentile_status": status,
            f"{name}_age_months": carried["age_months"],
            f"{name}_age_months_status": status,
            **_hazard(name, score_by_breakpoints(towards_dry, options.breakpoints), status),
        }
    )


HAZARDS: Mapping[str, HazardMethod] = {
    "spi": HazardMethod(DroughtOptions, _drought_index, _drought_score),
    "water_percentile": HazardMethod(WaterOptions, _water_index, _water_score, "water_percentile"),
    "heavy_rain": HazardMethod(HeavyRainOptions, _heavy_rain_index, _heavy_rain_score),
    "anomaly": HazardMethod(AnomalyOptions, _anomaly_index, _anomaly_score, "anomaly"),
}
"""Method named in a country file -> how it is computed. A new method is its functions and one line here."""
