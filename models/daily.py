"""Daily series: the axis proven, its blocks of days (months, hydrological years), spells, kernels over cells.

Every index from daily values stands on the same rules. A block of days is complete if 95 % of the
days that the calendar gives it were seen. An unseen day is neither dry nor wet, neither hot nor
cool: it ends a spell, and a spell whose length it hides is unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from geodata.schema import ContractError
from models.accumulation import each_block, threads_for, time_first, time_last

COMPLETE = 0.95
"""Share of a block's days that must be seen."""

LONGEST_SPELL = 730
"""Days beyond which the length of a spell is not told: what was more than two years ago decides nothing now."""


@dataclass(frozen=True)
class Blocks:
    """Consecutive blocks of a daily axis.

    Parameters
    ----------
    labels : Index (block,), month starts or years
    starts, stops : array (block,), rows of the axis, the stop excluded
    lengths : array (block,), days of the block in the calendar, on the axis or not
    """

    labels: pd.Index
    starts: np.ndarray
    stops: np.ndarray
    lengths: np.ndarray

    @property
    def rows(self) -> list[tuple[int, int]]:
        """Start and stop of each block."""
        return [(int(a), int(b)) for a, b in zip(self.starts, self.stops, strict=True)]


def days_of(values: xr.DataArray) -> pd.DatetimeIndex:
    """Time axis, proven to be consecutive days. Raises: ContractError."""
    times = pd.DatetimeIndex(values.indexes["time"])
    if len(times) == 0 or (np.diff(times.to_numpy()) != np.timedelta64(1, "D")).any():
        raise ContractError(f"{values.name}: time is not an axis of consecutive days ({len(times)} labels)")
    return times.normalize()


def month_blocks(days: pd.DatetimeIndex) -> Blocks:
    """Calendar months, labelled by their first day; the outermost may lie half outside the axis.

    >>> month_blocks(pd.date_range("2001-01-31", "2001-03-02")).rows
    [(0, 1), (1, 29), (29, 31)]
    """
    months = pd.period_range(days[0], days[-1], freq="M")
    starts = pd.DatetimeIndex(months.to_timestamp(), name="time")
    return Blocks(starts, *_rows(days, starts, months[-1] + 1))


def year_blocks(days: pd.DatetimeIndex, start_month: int = 10) -> Blocks:
    """Hydrological years, labelled by the year in which they end; calendar years for ``start_month`` 1.

    >>> years = year_blocks(pd.date_range("2001-09-30", "2003-09-30"))
    >>> years.labels.tolist(), years.lengths.tolist()
    ([2001, 2002, 2003], [365, 365, 365])
    """
    ends_later = int(start_month > 1)
    years = hydrological_year(days, start_month)
    labels = pd.RangeIndex(years[0], years[-1] + 1, name="year")
    starts = pd.DatetimeIndex([pd.Timestamp(year - ends_later, start_month, 1) for year in labels])
    end = pd.Period(year=int(years[-1]) + 1 - ends_later, month=start_month, freq="M")
    return Blocks(labels, *_rows(days, starts, end))


def hydrological_year(times: pd.DatetimeIndex, start_month: int) -> np.ndarray:
    """Year, labelled by its end, that each label belongs to."""
    return np.asarray(times.year + ((times.month >= start_month) & (start_month > 1)))


def _rows(
    days: pd.DatetimeIndex, starts: pd.DatetimeIndex, end: pd.Period
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    edges = starts.append(pd.DatetimeIndex([end.to_timestamp()]))
    rows = np.clip((edges - days[0]).days.to_numpy(), 0, len(days))
    return rows[:-1], rows[1:], np.diff(edges).astype("timedelta64[D]").astype(int)


# ------------------------------------------------------------------ kernels on (time, cells)


def over_cells(
    kernel: Callable[..., tuple[np.ndarray, ...]],
    inputs: Sequence[tuple[xr.DataArray, tuple[str, ...]]],
    labels: pd.Index,
    dtypes: Sequence[Any],
) -> list[xr.DataArray]:
    """Apply a kernel to blocks of cells, in threads outside Dask and chunk by chunk inside.

    Parameters
    ----------
    kernel : callable
        Gets one array (core, cells), or (cells,), per input; gives arrays (label, cells).
    inputs : sequence of (DataArray, core dims)
        The first has core dim ``time`` and every other dimension that the rest have; a rest may
        lack some of them.
    labels : Index, named
        Coordinate of the results in place of ``time``.
    dtypes : sequence
        One for each result.

    Returns
    -------
    list of DataArray, dims of the first input with ``time`` replaced by the name of ``labels``
    """
    first = inputs[0][0]
    name = str(labels.name)
    results = xr.apply_ufunc(
        _in_blocks,
        *(values for values, _ in inputs),
        input_core_dims=[list(core) for _, core in inputs],
        output_core_dims=[[_NEW]] * len(dtypes),
        kwargs={
            "kernel": kernel,
            "has_core": [bool(core) for _, core in inputs],
            "size": len(labels),
            "dtypes": tuple(dtypes),
            "threads": threads_for([values for values, _ in inputs]),
        },
        join="exact",
        dask="parallelized",
        output_dtypes=list(dtypes),
        dask_gufunc_kwargs={"output_sizes": {_NEW: len(labels)}, "allow_rechunk": True},
    )
    dims: list[Hashable] = [name if dim == "time" else dim for dim in first.dims]
    found = results if isinstance(results, tuple) else (results,)
    return [r.rename({_NEW: name}).assign_coords({name: labels}).transpose(*dims) for r in found]


_NEW = "block_of_days"


def _in_blocks(
    *values: np.ndarray,
    kernel: Callable[..., tuple[np.ndarray, ...]],
    has_core: list[bool],
    size: int,
    dtypes: tuple[Any, ...],
    threads: int,
) -> Any:
    """Kernel over arrays (..., core), whose leading dimensions are those of the first."""
    shape = values[0].shape[:-1]
    flat = [_flat(v, shape, core) for v, core in zip(values, has_core, strict=True)]
    out = [np.empty((size, flat[0].shape[1]), dtype=dtype) for dtype in dtypes]

    def work(block: slice) -> None:
        for target, found in zip(out, kernel(*(v[..., block] for v in flat)), strict=True):
            target[:, block] = found

    each_block(work, flat[0].shape[1], threads)
    moved = time_last(out, shape)
    return moved if len(moved) > 1 else moved[0]


def _flat(values: np.ndarray, shape: tuple[int, ...], has_core: bool) -> np.ndarray:
    """(core, cells) or (cells,); a view wherever the array allows one."""
    if not has_core:
        return np.broadcast_to(values, shape).reshape(-1)
    return time_first(np.broadcast_to(values, (*shape, values.shape[-1])))


def float_type(values: xr.DataArray) -> type[np.floating[Any]]:
    """float32 for float32, else float64."""
    return np.float32 if values.dtype == np.float32 else np.float64


def sorted_quantile(ordered: np.ndarray, share: float, min_values: int = 1) -> np.ndarray:
    """Quantile of sorted rows (cell, value) that end in inf where a row has fewer values; NaN below ``min_values``.

    References
    ----------
    Hyndman and Fan 1996, type 8 (median-unbiased): position (n + 1/3) share + 1/3.

    >>> sorted_quantile(np.array([[1.0, 2.0, 3.0, np.inf]]), 0.5), sorted_quantile(np.full((1, 2), np.inf), 0.5)
    (array([2.]), array([nan]))
    """
    n = np.isfinite(ordered).sum(axis=1)
    position = np.clip((n + 1.0 / 3.0) * share + 1.0 / 3.0, 1.0, np.maximum(n, 1)) - 1.0
    below = position.astype(int)
    cells = np.arange(len(ordered))
    low = ordered[cells, below].astype(np.float64)
    high = ordered[cells, np.minimum(below + 1, np.maximum(n - 1, 0))].astype(np.float64)
    with np.errstate(invalid="ignore"):
        found = low + (position - below) * (high - low)
    return np.where(n >= max(min_values, 1), found, np.nan)


class Spells:
    """Longest spells, block after block.

    Beside the spell as seen runs the longest it can have been, had every unseen day belonged to
    it, and had it begun before the record. Where the two agree, and are no longer than
    `LONGEST_SPELL`, the length is certain. So a record that begins as many days before a block says of
    it what any longer one does.
    """

    def __init__(self, cells: int):
        self._run = np.zeros((2, cells), dtype=np.int32)
        self._run[1] = LONGEST_SPELL

    def cut(self) -> None:
        """Forget what came before: the next block stands alone."""
        self._run[:] = 0

    def longest(self, inside: np.ndarray, unseen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Longest spell reached in these days (day, cell), and whether it is certain."""
        member = np.stack([inside, inside | unseen], axis=1).astype(np.int32)
        longest = np.zeros_like(self._run)
        for day in member:
            self._run += 1
            self._run *= day
            np.maximum(longest, self._run, out=longest)
        return longest[0], (longest[0] == longest[1]) & (longest[1] <= LONGEST_SPELL)
