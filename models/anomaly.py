"""Anomalies of vegetation, soil moisture or evaporation: how far a month departs from its season.

The standardised anomaly takes the mean and the spread of the calendar month; the empirical one
takes no distribution and suits what is bounded, as soil moisture is between wilting and
saturation. Neither knows whether low or high is worse: whoever asks declares it (`low_is_worse`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import ndtr, ndtri

from geodata.schema import KEEPS_VALUE, ContractError, Status, has_status, require_units, status_attrs
from models.percentile import percentile_of_month

LIMIT = 3.0
"""Published range; what lies beyond was hardly ever calibrated."""

MIN_SD = {"m3/m3": 0.005}
"""Spread of a calendar month below which it carries no signal, by units; other units need one declared."""

_ROUNDING = 1e-10  # of a constant, sums leave a spread of this share of its mean: no signal either

Empirical = Literal["kernel", "rank"]


@dataclass(frozen=True)
class AnomalyParameters:
    """What was learnt from the calibration years, to be saved and used again.

    Parameters
    ----------
    values : Dataset (month 1..12, ...)
        ``mean`` and ``sd`` of the calendar month in the units of the values, ``n`` values in the
        calibration, ``fit_status`` (Status flag of the month). Its attributes say how it was made,
        so it may be written to a file as it is: ``AnomalyParameters(xr.open_dataset(f))``.
    """

    values: xr.Dataset

    @property
    def units(self) -> str:
        """Units of the values it was learnt from."""
        return str(self.values["mean"].attrs["units"])


def anomaly_index(values: xr.DataArray, *, limit: float = LIMIT) -> xr.Dataset:
    """Index from anomalies that a provider has already standardised.

    Parameters
    ----------
    values : DataArray (time, ...), 1 (standard deviations)
    limit : float
        Values beyond +-limit are clipped and marked ``out_of_support``.

    Returns
    -------
    Dataset (time, ...): ``anomaly`` (1) and ``anomaly_status``

    Formula
    -------
    anomaly = the provider's value, cut to -limit ... limit

    Limits
    ------
    * Which years it was standardised by, and how, only the provider knows; it is not this project's calibration.
    * Where the provider's spread is almost none (bare ground, dry summers) a large value means little, and
      nothing here can see it: only values beyond the limit are marked.
    * Which side is bad is not in it: the country file says so.

    References
    ----------
    The project's own: nothing is computed but the cut.
    """
    status = xr.where(abs(values) > limit, np.int8(Status.out_of_support), np.int8(Status.ok))
    status = xr.where(values.isnull(), np.int8(Status.insufficient_data), status).astype("int8")
    return xr.Dataset(
        {
            "anomaly": values.clip(-limit, limit).assign_attrs(units="1", long_name="standardised anomaly"),
            "anomaly_status": status.assign_attrs(status_attrs()),
        }
    )


def standardised_anomaly(
    values: xr.DataArray,
    calibration: tuple[int, int],
    *,
    min_sd: float | None = None,
    min_years: int = 20,
    limit: float = LIMIT,
    parameters: AnomalyParameters | None = None,
) -> xr.Dataset:
    """Departure from the mean of the calendar month, in standard deviations of the calibration years.

    Parameters
    ----------
    values : DataArray (time, ...), any units, e.g. soil moisture in m3/m3; one value per month
    calibration : (first year, last year), both included
    min_sd : float, units of ``values``
        Where the season varies less it carries no signal: ``masked_dry_season``. Soil moisture in
        m3/m3 has a default (`MIN_SD`); anything else must say.
    min_years : int
        Values that a month's calibration needs.
    limit : float
        As of `anomaly_index`.
    parameters : AnomalyParameters, optional
        Parameters saved earlier; then nothing is fitted.

    Returns
    -------
    Dataset (time, ...)
        ``anomaly`` (1, clipped to +-limit, positive where the value lies above its season) and ``anomaly_status``.

    Raises
    ------
    ContractError
        If a month stands twice, the units are not those of the parameters, or no ``min_sd`` is known for them.

    Formula
    -------
    z = (x - mean_m) / sd_m, cut to -limit ... limit
    mean_m and sd_m (n - 1) of the calendar month m in the calibration years

    Limits
    ------
    * Masked (``masked_dry_season``) where sd_m is below ``min_sd``: 0.005 m3/m3 for soil moisture.
    * Its error is about sqrt((1 + z^2 / 2) / n): 0.4 at -2 with 20 years, 0.3 with 30.
    * It takes the month for symmetric. Soil moisture is bounded by wilting and saturation: there
      `empirical_anomaly` tells more.
    * Soil moisture of a reanalysis is model output, and a change of sensor is a change of the mean.
    * Actual evaporation below normal means a lack of water only where water limits it: in the cold months of the hills
      it lacks warmth, and beside rivers it follows the fields.

    References
    ----------
    Wilks 2011, Statistical Methods in the Atmospheric Sciences (standardised anomalies); the mask is the project's own.
    """
    if parameters is None:
        parameters = fit_anomaly(values, calibration, min_sd=min_sd, min_years=min_years)
    return apply_anomaly(values, parameters, limit=limit)


def fit_anomaly(
    values: xr.DataArray, calibration: tuple[int, int], *, min_sd: float | None = None, min_years: int = 20
) -> AnomalyParameters:
    """Learn mean and spread of each calendar month from the calibration years.

    Parameters and Raises as of `standardised_anomaly`.
    """
    units = str(values.attrs.get("units"))
    if min_sd is None and units not in MIN_SD:
        raise ContractError(f"{values.name}: no min_sd given for units {units!r}, expected one")
    smallest = MIN_SD[units] if min_sd is None else min_sd
    times = _months(values)
    inside = (times.year >= calibration[0]) & (times.year <= calibration[1])
    mean, sd, n, status = xr.apply_ufunc(
        _fit,
        values,
        input_core_dims=[["time"]],
        output_core_dims=[["month"]] * 4,
        kwargs={
            "rows": [np.flatnonzero(inside & (times.month == m)) for m in range(1, 13)],
            "min_sd": smallest,
            "min_years": min_years,
        },
        keep_attrs=False,
        dask="parallelized",
        output_dtypes=[np.float64, np.float64, np.int16, np.int8],
        dask_gufunc_kwargs={"output_sizes": {"month": 12}, "allow_rechunk": True},
    )
    learnt = {
        "mean": mean.assign_attrs(units=units, long_name="mean of the calendar month"),
        "sd": sd.assign_attrs(units=units, long_name="standard deviation of the calendar month"),
        "n": n.assign_attrs(units="1", long_name="values in the calibration"),
        "fit_status": status.assign_attrs(status_attrs()),
    }
    return AnomalyParameters(
        xr.Dataset(
            {name: v.transpose("month", ...) for name, v in learnt.items()},
            coords={"month": np.arange(1, 13)},
            attrs={"calibration": f"{calibration[0]}-{calibration[1]}", "min_sd": smallest, "min_years": min_years},
        )
    )


def apply_anomaly(values: xr.DataArray, parameters: AnomalyParameters, *, limit: float = LIMIT) -> xr.Dataset:
    """Anomaly of each month from parameters learnt before; nothing is fitted again.

    Parameters
    ----------
    values : DataArray (time, ...), units, cells or subdistricts of the parameters
    parameters : AnomalyParameters
    limit : float

    Returns
    -------
    Dataset as of `standardised_anomaly`
    """
    require_units(values, parameters.units)
    learnt = parameters.values
    names = ("mean", "sd", "fit_status")
    dtype = np.float32 if values.dtype == np.float32 else np.float64
    index, status = xr.apply_ufunc(
        _apply,
        values,
        *(learnt[name] for name in names),
        input_core_dims=[["time"]] + [["month"]] * len(names),
        output_core_dims=[["time"], ["time"]],
        kwargs={"month": np.asarray(_months(values).month), "limit": limit, "dtype": dtype},
        join="exact",
        keep_attrs=False,
        dask="parallelized",
        output_dtypes=[dtype, np.int8],
        dask_gufunc_kwargs={"allow_rechunk": True},
    )
    return xr.Dataset(
        {
            "anomaly": index.transpose(*values.dims).assign_attrs(units="1", long_name="standardised anomaly"),
            "anomaly_status": status.transpose(*values.dims).assign_attrs(status_attrs()),
        },
        attrs=dict(learnt.attrs),
    )


def empirical_anomaly(
    values: xr.DataArray,
    calibration: tuple[int, int],
    *,
    method: Empirical = "kernel",
    min_sd: float | None = None,
    min_years: int = 20,
    limit: float = LIMIT,
) -> xr.Dataset:
    """Percentile of each value among the calibration years of its month, and the same as a normal deviate.

    The value's own year is left out of what it is compared with.

    Parameters
    ----------
    values, calibration, min_sd, limit : as of `standardised_anomaly`
    method : "kernel" or "rank"
        Distribution smoothed by a Gaussian kernel of Scott's bandwidth, or Gringorten's plotting position.
    min_years : int
        Values, the ranked one included, that a month needs.

    Returns
    -------
    Dataset (time, ...)
        ``anomaly_percentile`` (1, 0 lowest), ``anomaly`` (1, Phi^-1 of it, clipped to +-limit), and their statuses.

    Formula
    -------
    kernel: percentile = mean over i of Phi((x - x_i) / h),  h = sd n^(-1/5)
    rank:   percentile = (r - 0.44) / (n + 0.12),  r = 1 + years with less + half of those with as much
    anomaly = Phi^-1(percentile), cut to -limit ... limit;  x_i the n other calibration years of the month

    Limits
    ------
    * By rank it cannot pass Phi^-1 of 0.56 / (n + 0.12): 1.9 with 20 years, 2.1 with 30. The kernel can, but what it
      says there is the width of the kernel.
    * The kernel flattens the tails: its anomalies are smaller than those of a fitted distribution.
    * Masked where the month hardly varies, as `standardised_anomaly`.

    References
    ----------
    Carrao et al. 2016, Int. J. Appl. Earth Obs. 48 (empirical standardised soil moisture index); Scott 1992.
    """
    learnt = fit_anomaly(values, calibration, min_sd=min_sd, min_years=1)
    if method == "rank":
        ranked = percentile_of_month(values, calibration, min_years=min_years)
    else:
        ranked = _kernel_percentile(values, calibration, min_years)
    deviate = xr.apply_ufunc(ndtri, ranked["percentile"], dask="parallelized", output_dtypes=[np.float64])
    out = anomaly_index(deviate, limit=limit)
    informs = apply_anomaly(values, learnt)["anomaly_status"]
    flat = (informs == Status.masked_dry_season) & (ranked["status"] == Status.ok)
    status = xr.where(flat, np.int8(Status.masked_dry_season), out["anomaly_status"])
    status = status.astype("int8").transpose(*values.dims).assign_attrs(status_attrs())
    kept = has_status(status, KEEPS_VALUE)
    percentile = ranked["percentile"].where(kept).transpose(*values.dims)
    return xr.Dataset(
        {
            "anomaly_percentile": percentile.assign_attrs(units="1", long_name="percentile of the calendar month"),
            "anomaly_percentile_status": status,
            "anomaly": out["anomaly"].where(kept).transpose(*values.dims).assign_attrs(out["anomaly"].attrs),
            "anomaly_status": status,
        }
    )


def low_is_worse(index: xr.DataArray, worse_when: Literal["low", "high"]) -> xr.DataArray:
    """Index with its sign turned, where need be, so that low is worse, as in the SPI.

    Soil moisture, vegetation and actual evaporation (upward positive) are worse when low; potential
    evaporation, land temperature and evaporation counted downward (negative, as in ERA5) when high.

    Parameters
    ----------
    index : DataArray (any dims), 1
    worse_when : "low" or "high"

    >>> low_is_worse(xr.DataArray([1.5, -0.5]), "high").values
    array([-1.5,  0.5])
    """
    if worse_when not in ("low", "high"):
        raise ValueError(f"worse_when: found {worse_when!r}, expected 'low' or 'high'")
    return (index if worse_when == "low" else -index).assign_attrs(index.attrs)


# ------------------------------------------------------------------ numpy beneath


def _months(values: xr.DataArray) -> pd.DatetimeIndex:
    """Time axis, proven to hold each month once."""
    times = pd.DatetimeIndex(values.indexes["time"])
    if times.to_period("M").has_duplicates:
        raise ContractError(f"{values.name}: a month stands twice on the time axis, expected one value per month")
    return times


def _rows(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Some times of an array (..., time), those of a cell side by side: sums then take the order of one cell alone."""
    return np.ascontiguousarray(values[..., rows], dtype=np.float64)


def _spread(sample: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, standard deviation (n - 1) and count of the finite values along the last axis."""
    seen = np.isfinite(sample)
    n = seen.sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(seen, sample, 0.0).sum(axis=-1) / n
        squares = np.where(seen, sample - mean[..., None], 0.0) ** 2
        return mean, np.sqrt(squares.sum(axis=-1) / (n - 1.0)), n


def _fit(values: np.ndarray, *, rows: list[np.ndarray], min_sd: float, min_years: int) -> tuple[np.ndarray, ...]:
    """mean, sd, n and status (..., month) of an array (..., time)."""
    learnt = [_spread(_rows(values, of_month)) for of_month in rows]
    mean, sd, n = (np.stack(part, axis=-1) for part in zip(*learnt, strict=True))
    status = np.where((sd >= min_sd) & (sd > _ROUNDING * np.abs(mean)), Status.ok, Status.masked_dry_season)
    status = np.where(n < max(min_years, 2), Status.insufficient_data, status)
    return mean, sd, n.astype(np.int16), status.astype(np.int8)


def _apply(
    values: np.ndarray,
    mean: np.ndarray,
    sd: np.ndarray,
    fit_status: np.ndarray,
    *,
    month: np.ndarray,
    limit: float,
    dtype: Any,
) -> tuple[np.ndarray, np.ndarray]:
    """Anomaly and status of an array (..., time)."""
    index = np.full(values.shape, np.nan, dtype=dtype)
    status = np.empty(values.shape, dtype=np.int8)
    for m in np.unique(month):
        rows = month == m
        x = values[..., rows].astype(np.float64)
        fitted = fit_status[..., m - 1, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            z = np.where(fitted == Status.ok, (x - mean[..., m - 1, None]) / sd[..., m - 1, None], np.nan)
        index[..., rows] = np.clip(z, -limit, limit)
        flag = np.where(np.abs(z) > limit, Status.out_of_support, fitted)
        # a month nobody saw is a gap, whatever its season would have told
        status[..., rows] = np.where(np.isnan(x), Status.insufficient_data, flag)
    return index, status


def _kernel_percentile(values: xr.DataArray, calibration: tuple[int, int], min_years: int) -> xr.Dataset:
    """Percentile and status (time, ...) in the smoothed distribution of the other calibration years."""
    times = _months(values)
    percentile, status = xr.apply_ufunc(
        _smooth_months,
        values,
        input_core_dims=[["time"]],
        output_core_dims=[["time"], ["time"]],
        kwargs={
            "month": np.asarray(times.month),
            "calibrated": np.asarray((times.year >= calibration[0]) & (times.year <= calibration[1])),
            "min_years": min_years,
        },
        keep_attrs=False,
        dask="parallelized",
        output_dtypes=[np.float64, np.int8],
        dask_gufunc_kwargs={"allow_rechunk": True},
    )
    return xr.Dataset({"percentile": percentile.transpose(*values.dims), "status": status.transpose(*values.dims)})


def _smooth_months(
    values: np.ndarray, *, month: np.ndarray, calibrated: np.ndarray, min_years: int
) -> tuple[np.ndarray, np.ndarray]:
    """Percentile and status of an array (..., time)."""
    percentile = np.full(values.shape, np.nan)
    enough = np.zeros(values.shape, dtype=bool)
    for row, m in enumerate(month):
        reference = np.flatnonzero((month == m) & calibrated)
        others = _rows(values, reference[reference != row])
        _, sd, n = _spread(others)
        with np.errstate(divide="ignore", invalid="ignore"):
            width = sd * n ** (-0.2)
            kernels = ndtr((values[..., row, None] - others) / width[..., None])
            smooth = np.where(np.isfinite(others), kernels, 0.0).sum(axis=-1) / n
        percentile[..., row] = smooth
        enough[..., row] = np.isfinite(values[..., row]) & (n + 1 >= max(min_years, 2))
    status = np.where(enough, np.int8(Status.ok), np.int8(Status.insufficient_data))
    return np.where(enough, percentile, np.nan), status
