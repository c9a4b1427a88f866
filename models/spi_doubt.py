"""How far the SPI can be trusted: the error of a short calibration, the choice of estimator, the class.

Thirty or forty years tell the gamma distribution only roughly. The index has an error of about 0.2 near -1
and 0.3 beyond -2, so that a difference of one drought class is inside the noise; and where two respected
ways to fit the same rain disagree, the reader should see by how much.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial, reduce
from typing import get_args

import numpy as np
import xarray as xr
from scipy.special import gammainc, gammaincinv, gammaln, ndtr, ndtri, polygamma

from geodata.schema import KEEPS_VALUE, ContractError, Status, has_status, require_units, status_attrs
from models.accumulation import accumulate, judge_by_month, recent
from models.spi import CLASS_EDGES, LIMIT, Method, SpiParameters, apply_spi, fit_spi, status_of_totals

METHODS: tuple[Method, ...] = get_args(Method)
"""The estimators whose spread is published."""

_STEP = 1e-4  # of the derivative by the shape, in its spread: the error is of the order of the square


def spi_sampling_sd(rain: xr.DataArray, parameters: SpiParameters, *, last_months: int | None = None) -> xr.Dataset:
    """Standard deviation of each SPI value over calibrations of the same length.

    By the delta method from the asymptotic covariance of the maximum-likelihood shape and scale given the
    positive totals, and from the binomial variance of the number of zeros. Near -1 it is about 0.22 with 30
    years of rain and 0.18 with 44, near -2 about 0.32 and 0.25.

    Parameters
    ----------
    rain : DataArray (time, ...), mm/month, on the cells or units of the parameters
    parameters : SpiParameters
        With the zeros at their centre of mass.
    last_months : int, optional
        Give out only this many months at the end.

    Returns
    -------
    Dataset (time, ...)
        ``spi_sd`` (1): of the published index, so beyond its limits that of the limit; and its status, which is
        that of the index.

    Formula
    -------
    sd = sqrt((1 - p0)^2 V + (1 - F)^2 var(p0)) / phi(SPI)
    V = Fa^2 var(a) + 2 Fa Fb cov(a, b) + Fb^2 var(b)
    var(p0) = (n / (n + 1)^2) q (1 - q),  q = n0 / n
    zero total: sd = sqrt(n q (1 - q)) / (2 (n + 1)) / phi(SPI),  q = max(n0, 1) / n
    F gamma distribution of shape a and scale b, Fa and Fb its derivatives by them; their covariance is the
    inverse of the Fisher information of n - n0 totals; phi density of the standard normal; p0, n, n0 as in the SPI

    Limits
    ------
    * Asymptotic: simulation finds 4 % more with 44 years and 9 % more with 30; L-moments have about 10 % more.
    * Not in it: the bias of 0.03 to 0.1 towards the dry side that Thom's approximation adds, the doubt whether
      rain is gamma distributed, and the error of the rain itself.
    * Months whose index is not given have none; beyond -3 and 3 it is that of the limit.

    References
    ----------
    Covariance of gamma estimators: Bobee and Ashkar 1991. Uncertainty of the SPI: Stagge et al. 2015.
    """
    require_units(rain, "mm/month")
    learnt = parameters.values
    if learnt.attrs["zeros"] != "centre_of_mass":
        raise ContractError(f"spi_sd: found zeros {learnt.attrs['zeros']!r}, expected 'centre_of_mass'")
    k = parameters.scale_months
    sd, status = (
        v.isel(time=slice(-(last_months or 0), None))
        for v in judge_by_month(
            [recent(rain, last_months, k)],
            partial(accumulate, scale_months=k, trace_mm=parameters.trace_mm),
            _sampling_sd,
            [learnt[name] for name in ("shape", "scale", "n", "n0", "fit_status")],
            dtypes=[np.float32 if rain.dtype == np.float32 else np.float64, np.int8],
        )
    )
    return xr.Dataset(
        {
            "spi_sd": sd.assign_attrs(units="1", long_name=f"sampling standard deviation of the SPI of {k} months"),
            "spi_sd_status": status.assign_attrs(status_attrs()),
        }
    )


def fit_estimators(
    rain: xr.DataArray,
    scale_months: int,
    calibration: tuple[int, int],
    *,
    trace_mm: float = 1.0,
    min_years: int = 30,
    min_positive: int = 20,
) -> dict[Method, SpiParameters]:
    """Parameters of every estimator, to be saved and used again; parameters as of `models.spi.fit_spi`."""
    return {
        method: fit_spi(
            rain,
            scale_months,
            calibration,
            trace_mm=trace_mm,
            min_years=min_years,
            min_positive=min_positive,
            method=method,
        )
        for method in METHODS
    }


def estimator_spread(
    rain: xr.DataArray, estimators: Mapping[Method, SpiParameters], *, last_months: int | None = None
) -> xr.Dataset:
    """Largest less smallest SPI of several estimators, beside the index.

    Parameters
    ----------
    rain : DataArray (time, ...), mm/month
    estimators : parameters of each, as of `fit_estimators`; the first is that of the index
    last_months : int, optional
        Give out only this many months at the end.

    Returns
    -------
    Dataset (time, ...)
        ``spi_spread`` (1), and its status: that of the index, or insufficient_data where an estimator
        finds no value although the first does.

    Raises
    ------
    ContractError
        Fewer than two estimators, or of different lengths of accumulation.

    Formula
    -------
    spread = max(SPI_m) - min(SPI_m) over the estimators m: Thom, maximum likelihood, L-moments

    Limits
    ------
    * It tells how much hangs on the way of fitting, and nothing of the shortness of the record
      (`spi_sampling_sd`): estimators may agree and be wrong together.
    * The indices are cut to -3 to 3 first, so that the spread of a month beyond both is 0.

    References
    ----------
    The project's own measure; the estimators are those of `models.spi.spi`.
    """
    found = [apply_spi(rain, p, last_months=last_months) for p in estimators.values()]
    return spread_between("spi", found, "estimator")


def spread_between(name: str, found: Sequence[xr.Dataset], what: str) -> xr.Dataset:
    """Largest less smallest of one index, found in several ways.

    Parameters
    ----------
    name : str, "spi" or "spei"
    found : Datasets (time, ...) with ``<name>`` and ``<name>_status``, as of `models.spi.apply_spi`
        The first is the published one.
    what : str, by what they differ

    Returns
    -------
    Dataset (time, ...): ``<name>_spread`` (1), and its status, as of `estimator_spread`
    """
    scales = {int(one.attrs["scale_months"]) for one in found}
    if len(found) < 2 or len(scales) != 1:
        raise ContractError(f"{name}_spread: found {len(found)} {what}s of {sorted(scales)} months, expected 2 of one")
    indices, status = [one[name] for one in found], found[0][f"{name}_status"]
    spread = xr.apply_ufunc(
        _range, *indices, join="exact", dask="parallelized", output_dtypes=[indices[0].dtype], keep_attrs=False
    )
    label = f"spread of the {name.upper()} of {scales.pop()} months by {what}"
    return xr.Dataset(beside_index(f"{name}_spread", spread.assign_attrs(units="1", long_name=label), status))


def beside_index(name: str, values: xr.DataArray, status: xr.DataArray) -> dict[str, xr.DataArray]:
    """A variable beside an index, and its status: that of the index, unless it alone is unknown."""
    alone = values.isnull() & has_status(status, KEEPS_VALUE)
    flags = xr.where(alone, np.int8(Status.insufficient_data), status).astype("int8")
    return {name: values, f"{name}_status": flags.transpose(*values.dims).assign_attrs(status_attrs())}


def class_probabilities(index: xr.DataArray, sd: xr.DataArray, status: xr.DataArray) -> xr.Dataset:
    """Probability of each drought class, if the index is off by a normal error.

    Parameters
    ----------
    index, sd : DataArray (...), 1
        SPI and its standard deviation; with 0 the class is certain.
    status : DataArray (...), Status flags of the index

    Returns
    -------
    Dataset (..., drought_class)
        ``class_probability`` (1) of the classes 0 none, 1 moderate, 2 severe, 3 extreme, which sum to 1, and
        its status. An edge belongs to the drier class.

    Formula
    -------
    P(class c) = Phi((e_c - z) / sd) - Phi((e_(c+1) - z) / sd),  edges e = infinity, -1, -1.5, -2, -infinity
    z index, sd its standard deviation

    Limits
    ------
    * The odds that the class is right, given one source of error; not the odds that a drought will come.
    * What the standard deviation leaves out is left out here: with `spi_sampling_sd` bias, estimator and rain.

    References
    ----------
    The project's own use of the normal error; class edges of WMO-No. 1090.

    Examples
    --------
    >>> value, sd, status = (xr.DataArray([v], dims="time") for v in (-1.5, 0.25, 0))
    >>> class_probabilities(value, sd, status).class_probability.values.round(3)
    array([[0.023, 0.477, 0.477, 0.023]])
    """
    kept = has_status(status, KEEPS_VALUE)
    p = xr.apply_ufunc(
        _class_probabilities,
        index.where(kept),
        sd,
        output_core_dims=[["drought_class"]],
        join="exact",
        dask="parallelized",
        output_dtypes=[np.float64],
        dask_gufunc_kwargs={"output_sizes": {"drought_class": len(CLASS_EDGES) + 1}},
    ).assign_coords(drought_class=np.arange(len(CLASS_EDGES) + 1))
    lost = p.isnull() & kept
    flags = xr.where(lost, np.int8(Status.insufficient_data), status).astype("int8").transpose(*p.dims)
    return xr.Dataset(
        {
            "class_probability": p.assign_attrs(units="1", long_name="probability of the drought class"),
            "class_probability_status": flags.assign_attrs(status_attrs()),
        }
    )


# ------------------------------------------------------------------ numpy beneath


def _sampling_sd(
    total: np.ndarray, shape: np.ndarray, scale: np.ndarray, n: np.ndarray, n0: np.ndarray, fit_status: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Standard deviation and status of totals (year, cell) of one calendar month."""
    usable = fit_status == Status.ok
    zero = total == 0
    x = np.where(zero | ~usable, np.nan, total)
    sd = np.where(zero & usable, _sd_of_a_zero(n, n0), _sd_of_a_total(x, shape, scale, n, n0))
    return sd, status_of_totals(total, n0, fit_status)


def _sd_of_a_zero(n: np.ndarray, n0: np.ndarray) -> np.ndarray:
    """Of Phi^-1((n0 + 1) / (2 (n + 1))): n0 is binomial. One zero has been seen, if only this one."""
    share = np.maximum(n0, 1) / n
    deviation = np.sqrt(n * share * (1.0 - share)) / (2.0 * (n + 1.0))
    return deviation / _density(ndtri((n0 + 1.0) / (2.0 * (n + 1.0))))


def _sd_of_a_total(x: np.ndarray, shape: np.ndarray, scale: np.ndarray, n: np.ndarray, n0: np.ndarray) -> np.ndarray:
    """Of Phi^-1(p0 + (1 - p0) F(x)): gamma parameters from n - n0 totals, p0 = n0 / (n + 1)."""
    p0 = n0 / (n + 1.0)
    lowest, highest = (gammaincinv(shape, np.clip((p - p0) / (1.0 - p0), 0.0, 1.0)) for p in ndtr([-LIMIT, LIMIT]))
    u = np.clip(x / scale, lowest, highest)  # the published index says no more than its limits
    below = gammainc(shape, u)
    step = _STEP * np.minimum(shape, np.sqrt(shape))
    by_shape = (gammainc(shape + step, u) - gammainc(shape - step, u)) / (2.0 * step)
    by_scale = -np.exp(shape * np.log(u) - u - gammaln(shape))  # in units of the scale
    # Covariance of (shape, scale / scale): inverse of the Fisher information [[trigamma, 1], [1, shape]].
    curvature = polygamma(1, shape)
    variance = by_shape**2 * shape - 2.0 * by_shape * by_scale + by_scale**2 * curvature
    variance /= (n - n0) * (shape * curvature - 1.0)
    of_p0 = n0 / n * (1.0 - n0 / n) * n / (n + 1.0) ** 2
    z = ndtri(p0 + (1.0 - p0) * below)
    return np.sqrt((1.0 - p0) ** 2 * variance + (1.0 - below) ** 2 * of_p0) / _density(z)


def _density(z: np.ndarray) -> np.ndarray:
    """Density of the standard normal distribution."""
    return np.exp(-0.5 * z**2) / np.sqrt(2.0 * np.pi)


def _range(*values: np.ndarray) -> np.ndarray:
    """Largest less smallest; NaN where one of them is."""
    return reduce(np.maximum, values) - reduce(np.minimum, values)


def _class_probabilities(index: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """(..., class 0 to 3) of values and their standard deviations."""
    index, sd = (np.asarray(v, dtype=np.float64)[..., np.newaxis] for v in (index, sd))
    edges = np.array([np.inf, *CLASS_EDGES, -np.inf])
    away = edges - index
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        at_least = np.where(sd > 0, ndtr(away / sd), np.where(away >= 0, 1.0, 0.0))
    return np.where(np.isnan(index + sd), np.nan, -np.diff(at_least, axis=-1))
