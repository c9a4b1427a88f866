"""Heavy rain: how the wettest day of a month ranks against the wettest days of past years.

A relative rank only: daily rain of a grid is an area mean and no gauge was compared, so no
amount in millimetres is judged (no design rain, no return level).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from geodata.schema import Status, require_units, status_attrs
from models.percentile import gringorten


def rx1day_monthly(daily: xr.DataArray, *, min_days: float = 0.95) -> xr.DataArray:
    """Highest one-day rain of each month (ETCCDI Rx1day).

    Parameters
    ----------
    daily : DataArray (time, ...), mm/day
        Dask arrays stay lazy and are read month by month.
    min_days : float
        Share of the month's days that must be seen; else NaN, because the unseen day may be the wettest.

    Returns
    -------
    DataArray (time, ...), mm/day, month-start labels
    """
    require_units(daily, "mm/day")
    times = pd.DatetimeIndex(daily.indexes["time"])
    months = times.to_period("M")
    labels = pd.period_range(months.min(), months.max(), freq="M")
    parts = []
    for label in labels:
        days = daily.isel(time=np.flatnonzero(months == label))
        seen = days.count("time") >= min_days * label.days_in_month
        parts.append(days.max("time").where(seen) if days.sizes["time"] else daily.isel(time=0, drop=True) * np.nan)
    axis = pd.DatetimeIndex(labels.to_timestamp(), name="time")
    highest = xr.concat(parts, dim=xr.Variable("time", axis)).transpose(*daily.dims)
    return highest.assign_attrs(units="mm/day", long_name="highest one-day rain of the month")


def annual_maxima(monthly: xr.DataArray, *, start_month: int = 10, min_months: int = 12) -> xr.DataArray:
    """Highest value of each hydrological year that was seen whole.

    Parameters
    ----------
    monthly : DataArray (time, ...), mm/day, as of `rx1day_monthly`
    start_month : int
        First month of the year; October for the hydrological year, labelled by its end.
    min_months : int
        Months that must be seen; else NaN.

    Returns
    -------
    DataArray (year, ...), mm/day
    """
    year = xr.DataArray(_hydrological_year(monthly, start_month), dims="time", name="year")
    grouped = monthly.assign_coords(year=year).groupby("year")
    seen = grouped.count("time") >= min_months
    return grouped.max("time").where(seen).assign_attrs(units="mm/day", long_name="highest one-day rain of the year")


def heavy_rain_percentile(
    monthly: xr.DataArray,
    calibration: tuple[int, int],
    *,
    window_months: int = 1,
    start_month: int = 10,
    min_years: int = 10,
) -> xr.Dataset:
    """Rank of the highest one-day rain among the highest days of the calibration years.

    The year of the month itself is left out of the record, so that a record-breaking day is
    compared with the other years and not with itself.

    Parameters
    ----------
    monthly : DataArray (time, ...), mm/day, consecutive months, as of `rx1day_monthly`
    calibration : (first year, last year), both included; hydrological years
    window_months : int
        The highest day of this many months, the current one included, is ranked.
    start_month : int
        First month of the hydrological year.
    min_years : int
        Whole years of record, below which the status is insufficient_data.

    Returns
    -------
    Dataset (time, ...)
        ``heavy_rain_percentile`` (1; 1 wettest) and ``rx1day`` (mm/day, highest of the window), with statuses.

    References
    ----------
    Rx1day of ETCCDI; Gringorten 1963.
    """
    require_units(monthly, "mm/day")
    highest = monthly
    for back in range(1, window_months):
        highest = xr.ufuncs.maximum(highest, monthly.shift(time=back))  # NaN if any month of the window is NaN
    maxima = annual_maxima(monthly, start_month=start_month)
    maxima = maxima.sel(year=(maxima["year"] >= calibration[0]) & (maxima["year"] <= calibration[1]))
    percentile, status = xr.apply_ufunc(
        _rank_among_years,
        highest,
        maxima,
        input_core_dims=[["time"], ["year"]],
        output_core_dims=[["time"], ["time"]],
        kwargs={
            "own_year": _hydrological_year(monthly, start_month),
            "years": maxima["year"].to_numpy(),
            "min_years": min_years,
        },
        dask="parallelized",
        output_dtypes=[np.float64, np.int8],
        dask_gufunc_kwargs={"allow_rechunk": True},
    )
    status = status.transpose(*monthly.dims).assign_attrs(status_attrs())
    seen = xr.where(highest.notnull(), np.int8(Status.ok), np.int8(Status.insufficient_data)).astype("int8")
    return xr.Dataset(
        {
            "heavy_rain_percentile": percentile.transpose(*monthly.dims).assign_attrs(
                units="1", long_name="rank of the highest one-day rain among the highest of past years"
            ),
            "heavy_rain_percentile_status": status,
            "rx1day": highest.assign_attrs(units="mm/day", long_name="highest one-day rain"),
            "rx1day_status": seen.assign_attrs(status_attrs()),
        }
    )


def _hydrological_year(values: xr.DataArray, start_month: int) -> np.ndarray:
    times = pd.DatetimeIndex(values.indexes["time"])
    return np.asarray(times.year + ((times.month >= start_month) & (start_month > 1)))


def _rank_among_years(
    values: np.ndarray, maxima: np.ndarray, *, own_year: np.ndarray, years: np.ndarray, min_years: int
) -> tuple[np.ndarray, np.ndarray]:
    """Percentile and status of arrays (..., time) against (..., year)."""
    percentile = np.full(values.shape, np.nan)
    long_enough = np.isfinite(maxima).sum(axis=-1) >= min_years
    for i, year in enumerate(own_year):
        others = maxima[..., years != year]
        x = values[..., i, None]
        n = np.isfinite(others).sum(axis=-1)
        rank = 1.0 + (others < x).sum(axis=-1) + 0.5 * (others == x).sum(axis=-1)
        enough = np.isfinite(values[..., i]) & long_enough
        percentile[..., i] = np.where(enough, gringorten(rank, n + 1.0), np.nan)
    ok = np.isfinite(percentile)
    return percentile, np.where(ok, np.int8(Status.ok), np.int8(Status.insufficient_data))
