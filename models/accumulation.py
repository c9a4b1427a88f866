"""What every standardised index shares: totals of the last months, calendar months apart, and blocks of cells.

An index learns something from each calendar month of the calibration years (`learn_by_month`) and judges
every month by what was learnt of its own calendar month (`judge_by_month`). Both work on numpy arrays
(time, cells), a block of cells at a time, so that nothing larger than a block is ever held in
double precision, and every cell has the same bits however the field is cut.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from geodata.schema import ContractError

Totals = Callable[..., np.ndarray]
"""(time, cells) of each input, in double precision, to the totals (time, cells) that are judged."""

_CELLS = 2048  # cells worked on at once: a block of 50 years stays in the processor's cache


def accumulate(values: np.ndarray, scale_months: int, trace_mm: float | None = None) -> np.ndarray:
    """Totals of the last ``scale_months`` rows; NaN if one of them is NaN, 0 below the trace.

    Each window is summed from its own first month, so that a total is the same bit for bit in a
    longer record and in a shorter one.

    >>> accumulate(np.array([2.0, 1.0, np.nan, 0.4, 0.5, 3.0]), 2, trace_mm=1.0)
    array([nan, 3. , nan, nan, 0. , 3.5])
    """
    total = np.full(values.shape, np.nan)
    k = scale_months
    if len(values) >= k:
        window = total[k - 1 :]
        window[...] = values[: len(values) - k + 1]
        for shift in range(1, k):
            window += values[shift : len(values) - k + 1 + shift]
    if trace_mm is not None:
        total[total < trace_mm] = 0.0
    return total


def month_axis(values: xr.DataArray) -> pd.DatetimeIndex:
    """Time axis, proven to be consecutive months.

    Raises
    ------
    ContractError
        A month twice, missing or out of order, or none at all.
    """
    times = pd.DatetimeIndex(values.indexes["time"])
    month = np.asarray(times.year * 12 + times.month)
    if len(times) == 0 or (np.diff(month) != 1).any():
        raise ContractError(f"{values.name}: time is not an axis of consecutive months ({len(times)} labels)")
    return times


def recent(values: xr.DataArray, last_months: int | None, scale_months: int) -> xr.DataArray:
    """The months that the totals of the last ``last_months`` months are made of; all of them if None."""
    if last_months is None:
        return values
    if last_months < 1:
        raise ContractError(f"{values.name}: found last_months {last_months}, expected at least 1")
    return values.isel(time=slice(-(last_months + scale_months - 1), None))


def calibration_rows(months: pd.DatetimeIndex, calibration: tuple[int, int]) -> list[np.ndarray]:
    """Rows of the calibration years, one array for each calendar month."""
    inside = (months.year >= calibration[0]) & (months.year <= calibration[1])
    return [np.flatnonzero(inside & (months.month == m)) for m in range(1, 13)]


def totals_needed(
    months: pd.DatetimeIndex, calibration: tuple[int, int], scale_months: int, min_years: int
) -> list[int]:
    """How many totals each calendar month's calibration needs: the windows that no record could hold are not asked for.

    >>> totals_needed(pd.date_range("1981-01", periods=360, freq="MS"), (1981, 2010), 3, 30)
    [29, 29, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30]
    """
    return [min_years - _before_the_record(months[0], m, calibration[0], scale_months) for m in range(1, 13)]


def learn_by_month(
    inputs: Sequence[xr.DataArray],
    totals: Totals,
    learn: Callable[[np.ndarray, int], tuple[np.ndarray, ...]],
    *,
    scale_months: int,
    calibration: tuple[int, int],
    min_years: int,
    dtypes: Sequence[Any],
) -> tuple[xr.DataArray, ...]:
    """What ``learn`` makes of the totals of each calendar month of the calibration years.

    A calibration that starts with the record itself has no total for its first
    ``scale_months - 1`` months. Those windows, which no record could hold, are not asked for:
    30 complete years calibrate every scale.

    Parameters
    ----------
    inputs : DataArrays (time, ...) on one axis of consecutive months
    totals : function of one array (time, cells) for each input
    learn : function (totals (year, cell), how many are needed) -> one array (cell,) for each dtype
    scale_months : int
    calibration : (first year, last year), both included
    min_years : int
    dtypes : one for each result, at least two

    Returns
    -------
    DataArrays (month 1..12, ...), one for each dtype
    """
    inputs = on_one_grid(inputs)
    months = month_axis(inputs[0])
    rows = calibration_rows(months, calibration)
    needed = totals_needed(months, calibration, scale_months, min_years)
    threads = threads_for(inputs)

    def kernel(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        flat = [time_first(a) for a in arrays]
        out = [np.empty((12, flat[0].shape[1]), dtype=d) for d in dtypes]

        def work(block: slice) -> None:
            total = totals(*(f[:, block].astype(np.float64, copy=False) for f in flat))
            for month in range(12):
                for target, learnt in zip(out, learn(total[rows[month]], needed[month]), strict=True):
                    target[month, block] = learnt

        each_block(work, flat[0].shape[1], threads)
        return time_last(out, arrays[0].shape[:-1])

    learnt = xr.apply_ufunc(
        kernel,
        *inputs,
        input_core_dims=[["time"]] * len(inputs),
        output_core_dims=[["month"]] * len(dtypes),
        join="exact",
        dask="parallelized",
        output_dtypes=list(dtypes),
        dask_gufunc_kwargs={"output_sizes": {"month": 12}, "allow_rechunk": True},
    )
    return tuple(v.transpose("month", ...).assign_coords(month=np.arange(1, 13)) for v in learnt)


def judge_by_month(
    inputs: Sequence[xr.DataArray],
    totals: Totals,
    judge: Callable[..., tuple[np.ndarray, ...]],
    learnt: Sequence[xr.DataArray],
    *,
    dtypes: Sequence[Any],
) -> tuple[xr.DataArray, ...]:
    """What ``judge`` makes of every total, given what was learnt of its calendar month.

    Parameters
    ----------
    inputs : DataArrays (time, ...) on one axis of consecutive months
    totals : function of one array (time, cells) for each input
    judge : function (totals (year, cell), learnt (cell,) ...) -> one array (year, cell) for each dtype
    learnt : DataArrays (month 1..12, ...), on the cells of the inputs
    dtypes : one for each result, at least two

    Returns
    -------
    DataArrays (time, ...), one for each dtype, their dims in the order of the inputs
    """
    inputs = on_one_grid(inputs)
    first_month = int(month_axis(inputs[0]).month[0])
    threads = threads_for([*inputs, *learnt])

    def kernel(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        flat = [time_first(a) for a in arrays[: len(inputs)]]
        cells = arrays[0].shape[:-1]
        known = [time_first(np.broadcast_to(v, (*cells, 12))) for v in arrays[len(inputs) :]]
        out = [np.empty(flat[0].shape, dtype=d) for d in dtypes]

        def work(block: slice) -> None:
            total = totals(*(f[:, block].astype(np.float64, copy=False) for f in flat))
            for month in range(1, 13):
                rows = slice((month - first_month) % 12, None, 12)
                judged = judge(total[rows], *(v[month - 1, block] for v in known))
                for target, values in zip(out, judged, strict=True):
                    target[rows, block] = values

        each_block(work, flat[0].shape[1], threads)
        return time_last(out, cells)

    judged = xr.apply_ufunc(
        kernel,
        *inputs,
        *learnt,
        input_core_dims=[["time"]] * len(inputs) + [["month"]] * len(learnt),
        output_core_dims=[["time"]] * len(dtypes),
        join="exact",
        dask="parallelized",
        output_dtypes=list(dtypes),
        dask_gufunc_kwargs={"allow_rechunk": True},
    )
    return tuple(v.transpose(*inputs[0].dims) for v in judged)


def sum_rows(rows: np.ndarray) -> np.ndarray:
    """Sum over the first axis, row by row: numpy's own order depends on how many cells stand side by side."""
    total = np.zeros(rows.shape[1:])
    for row in rows:
        total += row
    return total


def on_one_grid(inputs: Sequence[xr.DataArray]) -> tuple[xr.DataArray, ...]:
    """Inputs with the same dims; labels that differ are refused, never joined."""
    try:
        return xr.broadcast(*xr.align(*inputs, join="exact", copy=False))
    except xr.AlignmentError as error:
        names = ", ".join(str(v.name) for v in inputs)
        raise ContractError(f"{names}: found different labels, expected the same months and cells ({error})") from None


def _before_the_record(start: pd.Timestamp, month: int, first_year: int, scale_months: int) -> int:
    """How many windows ending in ``month`` of a calibration year reach back before the record starts."""
    if (start.year, start.month) > (first_year, 1):
        return 0
    first_end = (first_year - start.year) * 12 + month - start.month
    return max(0, -(-(scale_months - 1 - first_end) // 12))


def threads_for(inputs: Sequence[xr.DataArray]) -> int:
    """Threads for a kernel: one inside Dask, which has its own, and otherwise one for each processor."""
    return 1 if any(v.chunks is not None for v in inputs) else os.cpu_count() or 1


def each_block(work: Callable[[slice], None], cells: int, threads: int) -> None:
    """Do ``work`` for each block of cells; blocks share nothing, so the order of the threads changes nothing."""
    blocks = [slice(i, min(i + _CELLS, cells)) for i in range(0, cells, _CELLS)]
    if threads == 1 or len(blocks) == 1:
        for block in blocks:
            work(block)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, blocks))  # a list, so that an error in a block is raised here


def time_first(values: np.ndarray) -> np.ndarray:
    """(time or month, cells) view of an array whose last axis is time."""
    return np.moveaxis(values, -1, 0).reshape(values.shape[-1], -1)


def time_last(values: Sequence[np.ndarray], cells: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    """Arrays (time or month, cells) back in the shape of their input, time last."""
    return tuple(np.moveaxis(v.reshape(len(v), *cells), 0, -1) for v in values)
