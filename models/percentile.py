"""Empirical percentiles: where a value stands among the same season of the calibration years.

No distribution is assumed (Gringorten plotting positions), so it is the plain twin of every
standardised index.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from geodata.schema import ContractError, Status, require_units, status_attrs

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

    References
    ----------
    Gringorten 1963.
    """
    require_units(rain, "mm/month")
    times = pd.DatetimeIndex(rain.indexes["time"])
    total = _season_total(rain, times, start_month)
    total = total.where(~(total < trace_mm), 0.0)  # NaN stays NaN
    first_season = pd.Timestamp(calibration[0] - (start_month > 1), start_month, 1)
    unseen = first_season < times[0] <= pd.Timestamp(calibration[0], 1, 1)
    ranked = percentile_of_month(total, calibration, min_years=min_years - int(unseen))
    zero_stands_at = percentile_of_month(
        total.where(total.isnull(), 0.0), calibration, min_years=1, sample=total
    ).percentile
    dry = (zero_stands_at > USUAL) & (ranked.status == int(Status.ok))
    values = ranked.percentile.where(~dry)
    flags = xr.where(dry, np.int8(Status.masked_dry_season), ranked.status).astype("int8")
    flags = flags.transpose(*rain.dims)
    missing = xr.where(total.notnull(), np.int8(Status.ok), np.int8(Status.insufficient_data)).astype("int8")
    return xr.Dataset(
        {
            "season_percentile": values.transpose(*rain.dims).assign_attrs(
                units="1", long_name="percentile of the rain since the season began"
            ),
            "season_percentile_status": flags.assign_attrs(status_attrs()),
            "season_total": total.transpose(*rain.dims).assign_attrs(
                units="mm", long_name="rain since the season began"
            ),
            "season_total_status": missing.transpose(*rain.dims).assign_attrs(status_attrs()),
        }
    )


def percentile_of_month(
    values: xr.DataArray,
    calibration: tuple[int, int],
    *,
    min_years: int,
    sample: xr.DataArray | None = None,
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
    sample : DataArray (time, ...), optional
        What is ranked against, if it is not ``values`` themselves.

    Returns
    -------
    Dataset (time, ...)
        ``percentile`` (1) = (r - 0.44) / (n + 0.12), tied values sharing their mean rank; ``status``.
    """
    times = pd.DatetimeIndex(values.indexes["time"])
    if times.has_duplicates:
        raise ContractError(f"{values.name}: time labels stand twice")
    percentile, status = xr.apply_ufunc(
        _rank_months,
        values,
        values if sample is None else sample,
        input_core_dims=[["time"], ["time"]],
        output_core_dims=[["time"], ["time"]],
        kwargs={
            "month": np.asarray(times.month),
            "calibrated": np.asarray((times.year >= calibration[0]) & (times.year <= calibration[1])),
            "min_years": min_years,
        },
        join="exact",
        dask="parallelized",
        output_dtypes=[np.float64, np.int8],
        dask_gufunc_kwargs={"allow_rechunk": True},
    )
    return xr.Dataset({"percentile": percentile.transpose(*values.dims), "status": status.transpose(*values.dims)})


def gringorten(rank: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Plotting position (r - 0.44) / (n + 0.12), rank 1 lowest."""
    return (rank - 0.44) / (n + 0.12)


def _season_total(rain: xr.DataArray, times: pd.DatetimeIndex, start_month: int) -> xr.DataArray:
    """Sum since the last ``start_month``; NaN until a season was seen from its start, and after a gap."""

    def accumulate(values: np.ndarray) -> np.ndarray:
        months = np.moveaxis(values, -1, 0)
        out = np.empty(months.shape, dtype=np.float64)
        running = np.full(months.shape[1:], np.nan)
        for i, month in enumerate(times.month):
            running = months[i].astype(np.float64) + (0.0 if month == start_month else running)
            out[i] = running
        return np.moveaxis(out, 0, -1)

    return xr.apply_ufunc(
        accumulate,
        rain,
        input_core_dims=[["time"]],
        output_core_dims=[["time"]],
        dask="parallelized",
        output_dtypes=[np.float64],
        dask_gufunc_kwargs={"allow_rechunk": True},
    ).transpose(*rain.dims)


def _rank_months(
    values: np.ndarray, sample: np.ndarray, *, month: np.ndarray, calibrated: np.ndarray, min_years: int
) -> tuple[np.ndarray, np.ndarray]:
    """Percentile and status of arrays (..., time)."""
    x = np.ascontiguousarray(np.moveaxis(values, -1, 0))  # months first: each comparison runs over all units
    record = np.ascontiguousarray(np.moveaxis(sample, -1, 0))
    percentile = np.full(x.shape, np.nan)
    n = np.zeros(x.shape)
    for m in np.unique(month):
        reference = np.flatnonzero((month == m) & calibrated)
        for row in np.flatnonzero(month == m):
            others = record[reference[reference != row]]
            n[row] = np.isfinite(others).sum(axis=0) + 1.0
            rank = 1.0 + (others < x[row]).sum(axis=0) + 0.5 * (others == x[row]).sum(axis=0)
            percentile[row] = gringorten(rank, n[row])
    enough = np.isfinite(x) & (n >= min_years)
    status = np.where(enough, np.int8(Status.ok), np.int8(Status.insufficient_data))
    return np.moveaxis(np.where(enough, percentile, np.nan), 0, -1), np.moveaxis(status, 0, -1)
