"""Empirical percentiles: where a value stands among the same season of the calibration years.

No distribution is assumed (Gringorten plotting positions), so it is the plain twin of every
standardised index.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from geodata.schema import ContractError, Status, require_units, status_attrs
from models.accumulation import each_block, month_axis, threads_for, time_first, time_last

USUAL = 0.15866
"""Phi(-1): where a zero stands higher than this, the season is too dry for the percentile to show a drought."""


def season_to_date(
    rain: xr.DataArray,
    calibration: tuple[int, int],
    *,
    start_month: int = 10,
    trace_mm: float = 1.0,
    min_years: int = 30,
) -> xr.Dataset:
    """Rain since the season began, ranked among the same months of the calibration years.

    The plain twin of the SPI for the season under way: no distribution is assumed.

    Parameters
    ----------
    rain : DataArray (time, ...), mm/month, consecutive months
    calibration : (first year, last year), both included
        Calendar years of the month that is ranked.
    start_month : int
        First month of the season; 10 for the hydrological year October to September.
    trace_mm : float, mm
        Totals below this count as zero.
    min_years : int
        Totals that a month's calibration needs (one fewer where the season started before the record did).

    Returns
    -------
    Dataset (time, ...)
        ``season_percentile`` (1, 0 driest, 1 wettest) with ``season_percentile_status``, and
        ``season_total`` (mm) with ``season_total_status``. ``masked_dry_season`` where so many
        years have no rain yet that nothing dry could show.

    Formula
    -------
    S_t = P_s + ... + P_t since the last start month s, and 0 where S_t < trace
    percentile = (r - 0.44) / (n + 0.12),  r = 1 + years with less + half of those with as much
    among the same months of the calibration years, the ranked year in the place of its own

    Limits
    ------
    * With 30 years it runs from 0.02 to 0.98: nothing rarer can be told, and it moves in steps of 1/30.
    * Where a season without rain would still stand above 0.159 (Phi of -1), early in the season and in deserts,
      nothing dry could show: ``masked_dry_season``.
    * A month that is missing leaves the rest of its season without a value: ``insufficient_data``.
    * It forgets all at the start of the season: a dry year before it does not count.

    References
    ----------
    Gringorten 1963.
    """
    require_units(rain, "mm/month")
    times = month_axis(rain)
    first_season = pd.Timestamp(calibration[0] - (start_month > 1), start_month, 1)
    unseen = first_season < times[0] <= pd.Timestamp(calibration[0], 1, 1)
    percentile, flags, total, missing = _by_block(
        rain,
        partial(
            _judge_season,
            month=np.asarray(times.month),
            calibrated=_calibrated(times, calibration),
            start_month=start_month,
            trace_mm=trace_mm,
            min_years=min_years - int(unseen),
        ),
        dtypes=[np.float64, np.int8, np.float64, np.int8],
    )
    return xr.Dataset(
        {
            "season_percentile": percentile.assign_attrs(
                units="1", long_name="percentile of the rain since the season began"
            ),
            "season_percentile_status": flags.assign_attrs(status_attrs()),
            "season_total": total.assign_attrs(units="mm", long_name="rain since the season began"),
            "season_total_status": missing.assign_attrs(status_attrs()),
        }
    )


def percentile_of_month(
    values: xr.DataArray,
    calibration: tuple[int, int],
    *,
    min_years: int,
) -> xr.Dataset:
    """Gringorten percentile of each value among the calibration years of its own calendar month.

    A value's own year is left out of the sample and the value itself put in its place, so a
    year inside the calibration and a year after it are judged alike.

    Parameters
    ----------
    values : DataArray (time, ...), any units; one value per month or one per year
    calibration : (first year, last year), both included
    min_years : int
        Values, the ranked one included, below which the status is insufficient_data.

    Returns
    -------
    Dataset (time, ...)
        ``percentile`` (1) = (r - 0.44) / (n + 0.12), tied values sharing their mean rank; ``status``.

    Formula
    -------
    percentile = (r - 0.44) / (n + 0.12),  r = 1 + years with less + half of those with as much

    Limits
    ------
    * With n years it runs from 0.56 / (n + 0.12) to (n - 0.44) / (n + 0.12): with 20, from 0.03 to 0.97.
    * A record is a record however far it lies beyond the others: ranks do not know by how much.
    * ``insufficient_data``: no value, or fewer than ``min_years``.

    References
    ----------
    Gringorten 1963.
    """
    times = pd.DatetimeIndex(values.indexes["time"])
    if times.has_duplicates:
        raise ContractError(f"{values.name}: time labels stand twice")
    percentile, status = _by_block(
        values,
        partial(
            _judge_months,
            month=np.asarray(times.month),
            calibrated=_calibrated(times, calibration),
            min_years=min_years,
        ),
        dtypes=[np.float64, np.int8],
    )
    return xr.Dataset({"percentile": percentile, "status": status})


def gringorten(rank: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Plotting position (r - 0.44) / (n + 0.12), rank 1 lowest."""
    return (rank - 0.44) / (n + 0.12)


# ------------------------------------------------------------------ numpy beneath


def _calibrated(times: pd.DatetimeIndex, calibration: tuple[int, int]) -> np.ndarray:
    return np.asarray((times.year >= calibration[0]) & (times.year <= calibration[1]))


def _by_block(
    values: xr.DataArray, judge: Callable[[np.ndarray], tuple[np.ndarray, ...]], *, dtypes: Sequence[Any]
) -> tuple[xr.DataArray, ...]:
    """``judge`` (time, cells) -> arrays (time, cells) of each dtype, over blocks of cells."""
    threads = threads_for([values])

    def kernel(array: np.ndarray) -> tuple[np.ndarray, ...]:
        flat = time_first(array)
        out = [np.empty(flat.shape, dtype=d) for d in dtypes]

        def work(block: slice) -> None:
            for target, judged in zip(out, judge(np.ascontiguousarray(flat[:, block])), strict=True):
                target[:, block] = judged

        each_block(work, flat.shape[1], threads)
        return time_last(out, array.shape[:-1])

    judged = xr.apply_ufunc(
        kernel,
        values,
        input_core_dims=[["time"]],
        output_core_dims=[["time"]] * len(dtypes),
        dask="parallelized",
        output_dtypes=list(dtypes),
        dask_gufunc_kwargs={"allow_rechunk": True},
    )
    return tuple(v.transpose(*values.dims) for v in judged)


def _judge_season(
    rain: np.ndarray, *, month: np.ndarray, calibrated: np.ndarray, start_month: int, trace_mm: float, min_years: int
) -> tuple[np.ndarray, ...]:
    """Percentile, status, total and status of the total."""
    total = _season_total(rain, month, start_month)
    total[total < trace_mm] = 0.0
    percentile, flags = _judge_months(total, month=month, calibrated=calibrated, min_years=min_years)
    for m in np.unique(month):
        rows = np.flatnonzero(month == m)
        zero = np.zeros((1, total.shape[1]))
        stands_at, _ = _stand(zero, total[rows], calibrated[rows])
        dry = (stands_at > USUAL) & (flags[rows] == Status.ok)
        flags[rows] = np.where(dry, np.int8(Status.masked_dry_season), flags[rows])
        percentile[rows] = np.where(dry, np.nan, percentile[rows])
    missing = np.where(np.isnan(total), np.int8(Status.insufficient_data), np.int8(Status.ok))
    return percentile, flags, total, missing


def _season_total(rain: np.ndarray, month: np.ndarray, start_month: int) -> np.ndarray:
    """Sum since the last ``start_month``; NaN until a season was seen from its start, and after a gap."""
    total = rain.astype(np.float64)
    running = np.full(total.shape[1:], np.nan)
    for row, m in zip(total, month, strict=True):
        row += 0.0 if m == start_month else running
        running = row
    return total


def _judge_months(
    values: np.ndarray, *, month: np.ndarray, calibrated: np.ndarray, min_years: int
) -> tuple[np.ndarray, np.ndarray]:
    """Percentile and status of arrays (time, cells), each calendar month by itself."""
    percentile = np.empty(values.shape)
    status = np.empty(values.shape, dtype=np.int8)
    for m in np.unique(month):
        rows = np.flatnonzero(month == m)
        x = values[rows]
        stands_at, n = _stand(x, x, calibrated[rows])
        enough = np.isfinite(x) & (n >= min_years)
        percentile[rows] = np.where(enough, stands_at, np.nan)
        status[rows] = np.where(enough, np.int8(Status.ok), np.int8(Status.insufficient_data))
    return percentile, status


def _stand(values: np.ndarray, sample: np.ndarray, calibrated: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where values stand in the calibrated years of a sample, each put in the place of its own year.

    Every year is counted once for all values, and each value's own year is then taken off again:
    counts are whole numbers, so nothing is lost by it.

    Parameters
    ----------
    values : array (year, cell) or (1, cell), the same value in each year
    sample : array (year, cell), nowhere below the value of its own year
    calibrated : array (year,)

    Returns
    -------
    percentile, n : arrays (year, cell)
    """
    small = np.uint8 if len(sample) < 256 else np.int64  # bytes add fastest
    below, equal = np.zeros(values.shape, dtype=small), np.zeros(values.shape, dtype=small)
    counted = np.empty(values.shape, dtype=bool)
    for year in sample[calibrated]:
        below += np.less(year, values, out=counted).view(np.uint8)
        equal += np.equal(year, values, out=counted).view(np.uint8)
    own = calibrated[:, np.newaxis]
    equal = equal - (own & (sample == values))
    known = np.isfinite(sample)
    n = known[calibrated].sum(axis=0) - (own & known) + 1.0
    return gringorten(1.0 + below + 0.5 * equal, n), n
