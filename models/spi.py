"""Standardised Precipitation Index: how unusual the rain of the last months is for the season.

Gamma distribution of the positive totals per calendar month, zeros at their centre of mass
(Stagge et al. 2015, Int. J. Climatol. 35), classes of WMO-No. 1090. A drought class is
published only where the index can reach it: in a month that is usually dry the driest
possible value is an ordinary one, and the status says ``masked_dry_season``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import digamma, gammainc, gammaln, ndtri, polygamma

from geodata.schema import ContractError, Status, require_units, status_attrs

Method = Literal["thom", "ml", "lmoments"]

LIMIT = 3.0
"""Published range of the index: a fit on 30 years says nothing about what lies beyond."""

CLASS_EDGES = (-1.0, -1.5, -2.0)
"""Moderate, severe and extreme drought; an edge belongs to the drier class (WMO-No. 1090)."""

_CELLS = 2048  # cells worked on at once: a block of 50 years stays in the processor's cache
_DEGENERATE = 1e-10


@dataclass(frozen=True)
class SpiParameters:
    """What was learnt from the calibration years, to be saved and used again.

    Parameters
    ----------
    values : Dataset (month 1..12, ...)
        ``shape`` and ``scale`` (mm) of the gamma distribution, ``p0`` = n0/(n+1), ``n`` totals in
        the calibration, ``n0`` of them zero, ``fit_status`` (Status flag of the month), and
        ``max_detectable_class`` (0 none, 1 moderate, 2 severe, 3 extreme). Its attributes say how
        it was made, so it may be written to a file as it is: ``SpiParameters(xr.open_dataset(f))``.
    """

    values: xr.Dataset

    @property
    def scale_months(self) -> int:
        """Length of the accumulation."""
        return int(self.values.attrs["scale_months"])

    @property
    def trace_mm(self) -> float:
        """Accumulated totals below this are zero."""
        return float(self.values.attrs["trace_mm"])


def spi(
    rain: xr.DataArray,
    scale_months: int,
    calibration: tuple[int, int],
    *,
    trace_mm: float = 1.0,
    min_years: int = 30,
    min_positive: int = 20,
    method: Method = "thom",
    parameters: SpiParameters | None = None,
) -> xr.Dataset:
    """Standardised Precipitation Index along ``time``, with its status and what it can detect.

    Parameters
    ----------
    rain : DataArray (time, ...), mm/month
        Consecutive months labelled by their first day; a gap is a NaN month.
    scale_months : int
        Length of the accumulation; each value belongs to the month in which it ends.
    calibration : (first year, last year), both included
    trace_mm : float, mm
        Accumulated totals below this count as zero (reanalysis drizzle is no rain).
    min_years, min_positive : int
        Totals, and totals above zero, that a month's calibration needs.
    method : "thom", "ml" or "lmoments"
        How the gamma distribution is fitted.
    parameters : SpiParameters, optional
        Parameters saved earlier; then nothing is fitted.

    Returns
    -------
    Dataset (time, ...)
        ``spi`` (1, clipped to [-3, 3], NaN where not informative), ``spi_status``,
        ``max_detectable_class`` (0 none, 1 moderate, 2 severe, 3 extreme).

    References
    ----------
    McKee et al. 1993; Thom 1958; Stagge et al. 2015; WMO-No. 1090.
    """
    if parameters is None:
        parameters = fit_spi(
            rain,
            scale_months,
            calibration,
            trace_mm=trace_mm,
            min_years=min_years,
            min_positive=min_positive,
            method=method,
        )
    elif parameters.scale_months != scale_months:
        raise ContractError(f"spi: parameters of {parameters.scale_months} months, expected {scale_months}")
    return apply_spi(rain, parameters)


def fit_spi(
    rain: xr.DataArray,
    scale_months: int,
    calibration: tuple[int, int],
    *,
    trace_mm: float = 1.0,
    min_years: int = 30,
    min_positive: int = 20,
    method: Method = "thom",
) -> SpiParameters:
    """Learn the distribution of each calendar month from the calibration years.

    A calibration that starts with the record itself has no total for its first
    ``scale_months - 1`` months. Those windows, which no record could hold, are not asked for:
    30 complete years calibrate every scale.

    Parameters and References as in `spi`.
    """
    require_units(rain, "mm/month")
    months = _months(rain)
    first, last = calibration
    inside = (months.year >= first) & (months.year <= last)
    rows = [np.flatnonzero(inside & (months.month == m)) for m in range(1, 13)]
    unseen = [_before_the_record(months[0], m, first, scale_months) for m in range(1, 13)]
    fitted = xr.apply_ufunc(
        _fit,
        rain,
        input_core_dims=[["time"]],
        output_core_dims=[["month"]] * 6,
        kwargs={
            "scale_months": scale_months,
            "rows": rows,
            "needed": [min_years - lost for lost in unseen],
            "trace_mm": trace_mm,
            "min_positive": min_positive,
            "method": method,
            "threads": _threads(rain),
        },
        dask="parallelized",
        output_dtypes=[np.float64, np.float64, np.int16, np.int16, np.int8, np.int8],
        dask_gufunc_kwargs={"output_sizes": {"month": 12}, "allow_rechunk": True},
    )
    shape, scale, n, n0, status, detectable = (v.transpose("month", ...) for v in fitted)
    values = xr.Dataset(
        {
            "shape": shape.assign_attrs(units="1", long_name="shape of the gamma distribution"),
            "scale": scale.assign_attrs(units="mm", long_name="scale of the gamma distribution"),
            "p0": (n0 / (n + 1.0)).assign_attrs(units="1", long_name="probability of a zero total"),
            "n": n.assign_attrs(units="1", long_name="totals in the calibration"),
            "n0": n0.assign_attrs(units="1", long_name="zero totals in the calibration"),
            "fit_status": status.assign_attrs(status_attrs()),
            "max_detectable_class": detectable.assign_attrs(units="1", long_name="driest class the index can reach"),
        },
        coords={"month": np.arange(1, 13)},
        attrs={
            "scale_months": scale_months,
            "calibration": f"{first}-{last}",
            "trace_mm": trace_mm,
            "method": method,
        },
    )
    return SpiParameters(values)


def apply_spi(rain: xr.DataArray, parameters: SpiParameters) -> xr.Dataset:
    """Index of each month from parameters learnt before; nothing is fitted again.

    Parameters
    ----------
    rain : DataArray (time, ...), mm/month, on the cells or units of the parameters
    parameters : SpiParameters

    Returns
    -------
    Dataset as of `spi`
    """
    require_units(rain, "mm/month")
    months = _months(rain)
    learnt = parameters.values
    dtype = np.float32 if rain.dtype == np.float32 else np.float64
    names = ("shape", "scale", "n", "n0", "fit_status")
    index, status = xr.apply_ufunc(
        _apply,
        rain,
        *(learnt[name] for name in names),
        input_core_dims=[["time"]] + [["month"]] * len(names),
        output_core_dims=[["time"], ["time"]],
        kwargs={
            "scale_months": parameters.scale_months,
            "first_month": int(months.month[0]),
            "trace_mm": parameters.trace_mm,
            "dtype": dtype,
            "threads": _threads(rain),
        },
        join="exact",
        dask="parallelized",
        output_dtypes=[dtype, np.int8],
        dask_gufunc_kwargs={"allow_rechunk": True},
    )
    of_month = xr.DataArray(months.month.to_numpy(), dims="time", coords={"time": rain["time"]})
    detectable = learnt["max_detectable_class"].sel(month=of_month).drop_vars("month")
    k = parameters.scale_months
    return xr.Dataset(
        {
            "spi": index.transpose(*rain.dims).assign_attrs(units="1", long_name=f"SPI of {k} months"),
            "spi_status": status.transpose(*rain.dims).assign_attrs(status_attrs()),
            "max_detectable_class": detectable.transpose(*rain.dims),
        },
        attrs=dict(learnt.attrs),
    )


def drought_class(index: xr.DataArray) -> xr.DataArray:
    """Class of WMO-No. 1090, -3 (extreme drought) to 3 (extremely wet); an edge belongs to the class farther from 0.

    >>> drought_class(xr.DataArray([-2.0, -1.99, -1.5, -1.0, -0.99, 1.0, 2.0], dims="time")).values
    array([-3., -2., -2., -1.,  0.,  1.,  3.])
    """

    def classify(z: np.ndarray) -> np.ndarray:
        rank = np.searchsorted(sorted(-edge for edge in CLASS_EDGES), np.abs(z), side="right")
        return np.where(np.isnan(z), np.nan, np.where(z < 0, -1.0, 1.0) * rank + 0.0)

    return xr.apply_ufunc(classify, index, dask="parallelized", output_dtypes=[np.float64])


def driest_possible(n0: Any, n: Any) -> Any:
    """Index of a zero total, the lowest value a month can take: Phi^-1((n0 + 1) / (2 (n + 1)))."""
    return ndtri((n0 + 1.0) / (2.0 * (n + 1.0)))


def accumulate(rain: np.ndarray, scale_months: int, trace_mm: float) -> np.ndarray:
    """Totals of the last ``scale_months`` rows; NaN if one of them is NaN, 0 below the trace.

    >>> accumulate(np.array([2.0, 1.0, np.nan, 0.4, 0.5, 3.0]), 2, trace_mm=1.0)
    array([nan, 3. , nan, nan, 0. , 3.5])
    """
    total = np.full(rain.shape, np.nan)
    k = scale_months
    if len(rain) >= k:
        window = total[k - 1 :]
        window[...] = rain[: len(rain) - k + 1]
        for shift in range(1, k):
            window += rain[shift : len(rain) - k + 1 + shift]
    total[total < trace_mm] = 0.0
    return total


# ------------------------------------------------------------------ numpy beneath


def _months(rain: xr.DataArray) -> pd.DatetimeIndex:
    """Time axis, proven to be consecutive months."""
    times = pd.DatetimeIndex(rain.indexes["time"])
    month = np.asarray(times.year * 12 + times.month)
    if len(times) == 0 or (np.diff(month) != 1).any():
        raise ContractError(f"{rain.name}: time is not an axis of consecutive months ({len(times)} labels)")
    return times


def _before_the_record(start: pd.Timestamp, month: int, first_year: int, scale_months: int) -> int:
    """How many windows ending in ``month`` of a calibration year reach back before the record starts."""
    if (start.year, start.month) > (first_year, 1):
        return 0
    first_end = (first_year - start.year) * 12 + month - start.month
    return max(0, -(-(scale_months - 1 - first_end) // 12))


def _threads(rain: xr.DataArray) -> int:
    """Threads for a kernel: one inside Dask, which has its own, and otherwise one for each processor."""
    return 1 if rain.chunks is not None else os.cpu_count() or 1


def _each_block(work: Callable[[slice], None], cells: int, threads: int) -> None:
    """Do ``work`` for each block of cells; blocks share nothing, so the order of the threads changes nothing."""
    blocks = [slice(i, min(i + _CELLS, cells)) for i in range(0, cells, _CELLS)]
    if threads == 1 or len(blocks) == 1:
        for block in blocks:
            work(block)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, blocks))  # a list, so that an error in a block is raised here


def _time_first(values: np.ndarray) -> np.ndarray:
    """(time or month, cells) view of an array whose last axis is time."""
    return np.moveaxis(values, -1, 0).reshape(values.shape[-1], -1)


def _fit(
    rain: np.ndarray,
    *,
    scale_months: int,
    rows: list[np.ndarray],
    needed: list[int],
    trace_mm: float,
    min_positive: int,
    method: Method,
    threads: int,
) -> tuple[np.ndarray, ...]:
    """Parameters per calendar month of an array (..., time), in blocks of cells."""
    flat = _time_first(rain)
    dtypes = (np.float64, np.float64, np.int16, np.int16, np.int8, np.int8)
    out = [np.empty((12, flat.shape[1]), dtype=d) for d in dtypes]

    def work(block: slice) -> None:
        total = accumulate(flat[:, block].astype(np.float64), scale_months, trace_mm)
        for month in range(12):
            learnt = _fit_month(total[rows[month]], needed[month], min_positive, method)
            for target, values in zip(out, learnt, strict=True):
                target[month, block] = values

    _each_block(work, flat.shape[1], threads)
    return tuple(np.moveaxis(o.reshape(12, *rain.shape[:-1]), 0, -1) for o in out)


def _fit_month(sample: np.ndarray, needed: int, min_positive: int, method: Method) -> tuple[np.ndarray, ...]:
    """shape, scale, n, n0, status and detectable class from totals (year, cell) of one calendar month."""
    positive = sample > 0
    n = np.isfinite(sample).sum(axis=0)
    n0 = n - positive.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        shape, scale = _FITS[method](sample, positive)
    z0 = driest_possible(n0, n)
    detectable = sum((z0 <= edge).astype(np.int8) for edge in CLASS_EDGES)
    usable = np.isfinite(shape) & np.isfinite(scale) & (n - n0 >= min_positive)
    status = np.where(usable, Status.ok, Status.insufficient_data)
    status = np.where(z0 > CLASS_EDGES[0], Status.masked_dry_season, status)
    status = np.where(n < max(needed, 1), Status.insufficient_data, status)
    return shape, scale, n, n0, status, np.where(n < max(needed, 1), 0, detectable)


def _sum(rows: np.ndarray) -> np.ndarray:
    """Sum over the first axis, row by row: numpy's own order depends on how many cells stand side by side."""
    total = np.zeros(rows.shape[1:])
    for row in rows:
        total += row
    return total


def _log_ratio(sample: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean of the positive totals, and ln(mean) - mean(ln); NaN where they are all equal."""
    count = positive.sum(axis=0)
    mean = _sum(np.where(positive, sample, 0.0)) / count
    logs = np.zeros_like(sample)
    np.log(sample, out=logs, where=positive)
    s = np.log(mean) - _sum(logs) / count
    return mean, np.where(s > _DEGENERATE, s, np.nan)


def _thom(sample: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Thom 1958, second-order approximation of maximum likelihood."""
    mean, s = _log_ratio(sample, positive)
    shape = (1.0 + np.sqrt(1.0 + 4.0 * s / 3.0)) / (4.0 * s)
    return shape, mean / shape


def _maximum_likelihood(sample: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Solve ln a - digamma(a) = s by Newton's method, from Thom's value."""
    mean, s = _log_ratio(sample, positive)
    shape, _ = _thom(sample, positive)
    for _ in range(6):
        step = (np.log(shape) - digamma(shape) - s) / (1.0 / shape - polygamma(1, shape))
        shape = np.where(shape - step > 0, shape - step, shape / 2.0)
    return shape, mean / shape


def _l_moments(sample: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Solve Gamma(a + 1/2) / (sqrt(pi) Gamma(a + 1)) = l2 / l1 with unbiased L-moments of the positives."""
    count = positive.sum(axis=0)
    ordered = np.sort(np.where(positive, sample, np.inf), axis=0)
    ordered = np.where(np.isfinite(ordered), ordered, 0.0)
    rank = np.arange(len(sample))[:, None]
    l1 = _sum(ordered) / count
    b1 = _sum(ordered * rank) / (count * (count - 1.0))
    ratio = (2.0 * b1 - l1) / l1
    ratio = np.where(ratio > _DEGENERATE, ratio, np.nan)
    log_shape = np.log(1.0 / (np.pi * ratio**2))  # large-shape limit of the equation
    for _ in range(60):
        shape = np.exp(log_shape)
        error = gammaln(shape + 0.5) - gammaln(shape + 1.0) - 0.5 * np.log(np.pi) - np.log(ratio)
        slope = shape * (digamma(shape + 0.5) - digamma(shape + 1.0))
        log_shape = log_shape - np.clip(error / slope, -1.0, 1.0)
    shape = np.exp(log_shape)
    return shape, l1 / shape


_FITS = {"thom": _thom, "ml": _maximum_likelihood, "lmoments": _l_moments}


def _apply(
    rain: np.ndarray,
    shape: np.ndarray,
    scale: np.ndarray,
    n: np.ndarray,
    n0: np.ndarray,
    fit_status: np.ndarray,
    *,
    scale_months: int,
    first_month: int,
    trace_mm: float,
    dtype: Any,
    threads: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Index and status of an array (..., time), in blocks of cells."""
    cells = rain.shape[:-1]
    flat = _time_first(rain)
    learnt = [_time_first(np.broadcast_to(v, (*cells, 12))) for v in (shape, scale, n, n0, fit_status)]
    index = np.empty(flat.shape, dtype=dtype)
    status = np.empty(flat.shape, dtype=np.int8)

    def work(block: slice) -> None:
        total = accumulate(flat[:, block].astype(np.float64), scale_months, trace_mm)
        for month in range(1, 13):
            rows = slice((month - first_month) % 12, None, 12)
            index[rows, block], status[rows, block] = _apply_month(total[rows], *(v[month - 1, block] for v in learnt))

    _each_block(work, flat.shape[1], threads)
    return tuple(np.moveaxis(o.reshape(-1, *cells), 0, -1) for o in (index, status))  # type: ignore[return-value]


def _apply_month(
    total: np.ndarray, shape: np.ndarray, scale: np.ndarray, n: np.ndarray, n0: np.ndarray, fit_status: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Index and status of totals (year, cell) of one calendar month."""
    usable = fit_status == Status.ok
    p0 = n0 / (n + 1.0)
    zero = total == 0
    x = np.where(zero | ~usable, np.nan, total)
    probability = p0 + (1.0 - p0) * gammainc(shape, x / scale)
    probability = np.where(zero & usable, (n0 + 1.0) / (2.0 * (n + 1.0)), probability)
    index = np.clip(ndtri(probability), -LIMIT, LIMIT)
    status = np.where(zero & (n0 == 0), np.int8(Status.out_of_support), np.int8(Status.ok))
    status = np.where(np.isnan(total), np.int8(Status.insufficient_data), status)
    return index, np.where(usable, status, fit_status)
