"""Standardised Precipitation Index: how unusual the rain of the last months is for the season.

Gamma distribution of the positive totals per calendar month, zeros at their centre of mass
(Stagge et al. 2015, Int. J. Climatol. 35), classes of WMO-No. 1090. A drought class is
published only where the index can reach it: in a month that is usually dry the driest
possible value is an ordinary one, and the status says ``masked_dry_season``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import xarray as xr
from scipy.special import digamma, gammainc, gammaln, ndtri, polygamma

from geodata.schema import ContractError, Status, require_units, status_attrs
from models.accumulation import accumulate, judge_by_month, learn_by_month, month_axis, recent, sum_rows

Method = Literal["thom", "ml", "lmoments"]
Zeros = Literal["centre_of_mass", "classic"]

LIMIT = 3.0
"""Published range of the index: a fit on 30 years says nothing about what lies beyond."""

CLASS_EDGES = (-1.0, -1.5, -2.0)
"""Moderate, severe and extreme drought; an edge belongs to the drier class (WMO-No. 1090)."""

_DEGENERATE = 1e-10


@dataclass(frozen=True)
class SpiParameters:
    """What was learnt from the calibration years, to be saved and used again.

    Parameters
    ----------
    values : Dataset (month 1..12, ...)
        ``shape`` and ``scale`` (mm) of the gamma distribution, ``p0`` the probability of no rain,
        ``p_zero`` the one that a total of zero is given, ``n`` totals in the calibration, ``n0`` of them
        zero, ``fit_status`` (Status flag of the month), and ``max_detectable_class`` (0 none, 1 moderate,
        2 severe, 3 extreme). Its attributes say how it was made, so it may be written to a file as it
        is: ``SpiParameters(xr.open_dataset(f))``.
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
    zeros: Zeros = "centre_of_mass",
    parameters: SpiParameters | None = None,
) -> xr.Dataset:
    """Standardised Precipitation Index along ``time``, with its status and what it can detect.

    The rain of the last months among the same months of the calibration years, told in standard deviations: 0 is
    usual; below -1 lies one year in six, below -1.5 one in fifteen, below -2 one in forty-four.

    Parameters
    ----------
    rain : DataArray (time, ...), mm/month
        Consecutive months labelled by their first day; a gap is a NaN month.
    scale_months : int
        Length of the accumulation; each value belongs to the month in which it ends.
    calibration : (first year, last year), both included
    trace_mm : float, mm
        Accumulated totals below this count as zero (reanalysis drizzle is no rain).
    min_years : int
        Totals that a month's calibration needs.
    min_positive : int
        Totals above zero that it needs.
    method : "thom", "ml" or "lmoments"
        How the gamma distribution is fitted.
    zeros : "centre_of_mass" or "classic"
        Where totals of zero stand: in the middle of their probability (Stagge et al. 2015), or at its upper
        end (McKee et al. 1993, only to compare with others: a usual dry month is then never dry).
    parameters : SpiParameters, optional
        Parameters saved earlier; then nothing is fitted.

    Returns
    -------
    Dataset (time, ...)
        ``spi`` (1, clipped to [-3, 3], NaN where not informative), ``spi_status``,
        ``max_detectable_class`` (0 none, 1 moderate, 2 severe, 3 extreme).

    Formula
    -------
    A_t = P_t + P_(t-1) + ... + P_(t-k+1), and 0 where A_t < trace
    s = ln(mean x) - mean(ln x),  a = (1 + sqrt(1 + 4 s / 3)) / (4 s),  b = mean x / a           (Thom)
    p = p0 + (1 - p0) F(A_t; a, b) where A_t > 0,  p0 = n0 / (n + 1)
    p = (n0 + 1) / (2 (n + 1)) where A_t = 0
    SPI = Phi^-1(p), cut to -3 ... 3
    x the positive totals of the calendar month in the n calibration years, n0 of its totals 0; F gamma distribution;
    "ml" solves ln a - digamma(a) = s, "lmoments" Gamma(a + 1/2) / (sqrt(pi) Gamma(a + 1)) = l2 / l1

    Limits
    ------
    * In a month that is usually dry it cannot reach a drought: moderate, severe and extreme need (n0 + 1) / (n + 1)
      of at most 0.317, 0.134 and 0.0455. Without moderate the month is ``masked_dry_season``.
    * ``insufficient_data``: a gap in the window, too few totals or positive totals in the calibration, or all alike.
      ``out_of_support``: no rain at all in a month that always had some.
    * The error of a 30-year fit is about 0.24 near -1 and 0.35 near -2 (44 years: 0.19 and 0.28), so that one
      class is inside the noise; beyond -3 and 3 it says no more.
    * How unusual rain is, not how much is missing; and nothing of heat, soil, rivers or demand.
    * Of rain averaged over the subdistrict. A mean of the indices of its cells is no SPI: it hides extremes.

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
            zeros=zeros,
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
    zeros: Zeros = "centre_of_mass",
) -> SpiParameters:
    """Learn the distribution of each calendar month from the calibration years.

    A calibration that starts with the record itself has no total for its first
    ``scale_months - 1`` months. Those windows, which no record could hold, are not asked for:
    30 complete years calibrate every scale.

    Parameters and References as in `spi`.
    """
    require_units(rain, "mm/month")
    shape, scale, p0, p_zero, n, n0, status, detectable = learn_by_month(
        [rain],
        partial(accumulate, scale_months=scale_months, trace_mm=trace_mm),
        partial(_learn, min_positive=min_positive, method=method, zeros=zeros),
        scale_months=scale_months,
        calibration=calibration,
        min_years=min_years,
        dtypes=[np.float64] * 4 + [np.int16, np.int16, np.int8, np.int8],
    )
    values = xr.Dataset(
        {
            "shape": shape.assign_attrs(units="1", long_name="shape of the gamma distribution"),
            "scale": scale.assign_attrs(units="mm", long_name="scale of the gamma distribution"),
            "p0": p0.assign_attrs(units="1", long_name="probability of a zero total"),
            "p_zero": p_zero.assign_attrs(units="1", long_name="probability that a zero total is given"),
            "n": n.assign_attrs(units="1", long_name="totals in the calibration"),
            "n0": n0.assign_attrs(units="1", long_name="zero totals in the calibration"),
            "fit_status": status.assign_attrs(status_attrs()),
            "max_detectable_class": detectable.assign_attrs(units="1", long_name="driest class the index can reach"),
        },
        attrs={
            "scale_months": scale_months,
            "calibration": f"{calibration[0]}-{calibration[1]}",
            "trace_mm": trace_mm,
            "method": method,
            "zeros": zeros,
        },
    )
    return SpiParameters(values)


def apply_spi(
    rain: xr.DataArray, parameters: SpiParameters, *, last_months: int | None = None, probability: bool = False
) -> xr.Dataset:
    """Index of each month from parameters learnt before; nothing is fitted again.

    A month has the same index, bit for bit, in the whole record and in any part of it that holds
    its last ``scale_months`` months.

    Parameters
    ----------
    rain : DataArray (time, ...), mm/month, on the cells or units of the parameters
    parameters : SpiParameters
    last_months : int, optional
        Give out only this many months at the end; of those before, no more are read than they need.
    probability : bool
        Give out the probability behind the index too, which is not clipped.

    Returns
    -------
    Dataset as of `spi`
        With ``spi_probability`` (1) and its status, if asked for.
    """
    require_units(rain, "mm/month")
    learnt = parameters.values
    k = parameters.scale_months
    dtype = np.float32 if rain.dtype == np.float32 else np.float64
    dtypes = [dtype, np.int8, np.float64] if probability else [dtype, np.int8]
    index, status, *p = (
        v.isel(time=slice(-(last_months or 0), None))
        for v in judge_by_month(
            [recent(rain, last_months, k)],
            partial(accumulate, scale_months=k, trace_mm=parameters.trace_mm),
            partial(_judge, probability=probability),
            [learnt[name] for name in ("shape", "scale", "p0", "p_zero", "n0", "fit_status")],
            dtypes=dtypes,
        )
    )
    of_month = xr.DataArray(month_axis(index).month.to_numpy(), dims="time", coords={"time": index["time"]})
    detectable = learnt["max_detectable_class"].sel(month=of_month).drop_vars("month")
    flags = status.assign_attrs(status_attrs())
    out = {
        "spi": index.assign_attrs(units="1", long_name=f"SPI of {k} months"),
        "spi_status": flags,
        "max_detectable_class": detectable.transpose(*rain.dims),
    }
    if probability:
        out["spi_probability"] = p[0].assign_attrs(units="1", long_name=f"probability of less rain in {k} months")
        out["spi_probability_status"] = flags
    return xr.Dataset(out, attrs=dict(learnt.attrs))


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
    return ndtri(_centre_of_mass(n0, n)[1])


# ------------------------------------------------------------------ numpy beneath


def _centre_of_mass(n0: Any, n: Any) -> tuple[Any, Any]:
    """Probability of no rain by Weibull positions, and of the middle of the zeros (Stagge et al. 2015)."""
    return n0 / (n + 1.0), (n0 + 1.0) / (2.0 * (n + 1.0))


def _classic(n0: Any, n: Any) -> tuple[Any, Any]:
    """Share of zeros, at which every zero stands (McKee et al. 1993)."""
    return n0 / n, n0 / n


_ZEROS: dict[str, Callable[[Any, Any], tuple[Any, Any]]] = {"centre_of_mass": _centre_of_mass, "classic": _classic}


def _learn(
    sample: np.ndarray, needed: int, *, min_positive: int, method: Method, zeros: Zeros
) -> tuple[np.ndarray, ...]:
    """Parameters from totals (year, cell) of one calendar month, in the order of `fit_spi`."""
    positive = sample > 0
    n = np.isfinite(sample).sum(axis=0)
    n0 = n - positive.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        shape, scale = _FITS[method](sample, positive)
        p0, p_zero = _ZEROS[zeros](n0, n)
    z0 = ndtri(p_zero)
    detectable = sum((z0 <= edge).astype(np.int8) for edge in CLASS_EDGES)
    few = n < max(needed, 1)
    usable = np.isfinite(shape) & np.isfinite(scale) & (n - n0 >= min_positive)
    status = np.where(usable, Status.ok, Status.insufficient_data)
    status = np.where(z0 > CLASS_EDGES[0], Status.masked_dry_season, status)
    status = np.where(few, Status.insufficient_data, status)
    return shape, scale, p0, p_zero, n, n0, status, np.where(few, 0, detectable)


def _log_ratio(sample: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean of the positive totals, and ln(mean) - mean(ln); NaN where they are all equal."""
    count = positive.sum(axis=0)
    mean = sum_rows(np.where(positive, sample, 0.0)) / count
    logs = np.zeros_like(sample)
    np.log(sample, out=logs, where=positive)
    s = np.log(mean) - sum_rows(logs) / count
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
    l1 = sum_rows(ordered) / count
    b1 = sum_rows(ordered * rank) / (count * (count - 1.0))
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


def _judge(
    total: np.ndarray,
    shape: np.ndarray,
    scale: np.ndarray,
    p0: np.ndarray,
    p_zero: np.ndarray,
    n0: np.ndarray,
    fit_status: np.ndarray,
    *,
    probability: bool,
) -> tuple[np.ndarray, ...]:
    """Index and status, and the probability if asked for, of totals (year, cell) of one calendar month."""
    usable = fit_status == Status.ok
    zero = total == 0
    x = np.where(zero | ~usable, np.nan, total)
    p = p0 + (1.0 - p0) * gammainc(shape, x / scale)
    p = np.where(zero & usable, p_zero, p)
    index, status = np.clip(ndtri(p), -LIMIT, LIMIT), status_of_totals(total, n0, fit_status)
    return (index, status, p) if probability else (index, status)


def status_of_totals(total: np.ndarray, n0: np.ndarray, fit_status: np.ndarray) -> np.ndarray:
    """Status of totals (year, cell) of one calendar month: that of its fit, unless the total says more."""
    status = np.where((total == 0) & (n0 == 0), np.int8(Status.out_of_support), np.int8(Status.ok))
    status = np.where(np.isnan(total), np.int8(Status.insufficient_data), status)
    return np.where(fit_status == Status.ok, status, fit_status)
