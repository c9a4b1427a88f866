"""How far the SPEI can be trusted: the error of a short calibration, and the choice of distribution.

As for the SPI, thirty or forty years tell a distribution only roughly, and its ends least of all. The
generalised logistic is one of two distributions in use; where the other one judges the same balance otherwise,
the reader should see by how much.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import get_args

import numpy as np
import xarray as xr
from scipy.ndimage import map_coordinates
from scipy.special import logit, ndtr

from geodata.schema import KEEPS_VALUE, ContractError, Status, has_status, status_attrs
from models.accumulation import month_axis
from models.spei import Distribution, SpeiParameters, apply_spei, fit_totals, judge_totals
from models.spi import LIMIT
from models.spi_doubt import spread_between

DISTRIBUTIONS: tuple[Distribution, ...] = get_args(Distribution)
"""The distributions whose spread is published."""

_RECORDS = 8000  # fitted anew for each length and shape: a simulation of 60,000 differs by 3 % at most
_SEED = 20240601
_KAPPAS = np.linspace(0.0, 1.0, 11)  # of one sign: a distribution turned over turns the index over
_INDICES = np.linspace(-LIMIT, LIMIT, 25)


def spei_sampling_sd(index: xr.Dataset, parameters: SpeiParameters) -> xr.Dataset:
    """Standard deviation of each SPEI value over calibrations of the same length.

    By simulation of records of the fitted distribution, each of which is fitted anew. Near -1 it is about 0.25
    with 30 years and 0.20 with 44, near -2 about 0.40 and 0.35, almost whatever the shape of the distribution.

    Parameters
    ----------
    index : Dataset (time, ...) with ``spei`` and ``spei_status``, as of `models.spei.apply_spei`
    parameters : SpeiParameters
        Of that index: of the generalised logistic.

    Returns
    -------
    Dataset (time, ...)
        ``spei_sd`` (1): of the published index, so beyond its limits that of the limit; and its status, which is
        that of the index.

    Raises
    ------
    ContractError
        Parameters of another distribution.

    Formula
    -------
    sd = standard deviation over r of SPEI_r(x),  SPEI(x) = z the value itself
    SPEI_r as the SPEI, of n totals drawn from a generalised logistic of the kappa of the calendar month
    It depends on z, kappa and n alone, as location and scale cancel: 8,000 records r for each n, on a grid of kappa
    (steps of 0.1) and z (steps of 0.25), linear between

    Limits
    ------
    * The spread about the mean of such fits, which itself is up to 0.15 too dry near -2 with 30 years, 0.1 with 44.
    * Of the index as it is published: cut at -3 and 3, and put at 1 / (2 (n + 1)) beyond the bound of a fit. So
      the error grows no more beyond -2 and 2, where the index says less and less.
    * Accurate to about 3 %. Not in it: the doubt whether the balance has this distribution
      (`distribution_spread`), the error of kappa itself, and that of rain and PET.
    * A formula by the covariance of L-moments would be off by up to a third near -2 with 30 years, and has no value
      at all for kappa beyond 1/2 or -1/2, where that covariance is infinite.

    References
    ----------
    Parametric bootstrap: Efron and Tibshirani 1993. Records of a fitted distribution to tell the accuracy of
    L-moments: Hosking and Wallis 1997. Uncertainty of standardised indices: Stagge et al. 2015.
    """
    if parameters.distribution != DISTRIBUTIONS[0]:
        raise ContractError(f"spei_sd: found {parameters.distribution!r}, expected {DISTRIBUTIONS[0]!r}")
    value, status = index["spei"], index["spei_status"]
    month = xr.DataArray(month_axis(value).month.to_numpy(), dims="time", coords={"time": value["time"]})
    kappa, n = (parameters.values[name].sel(month=month).drop_vars("month") for name in ("kappa", "n"))
    sd = xr.apply_ufunc(
        _sampling_sd,
        value.where(has_status(status, KEEPS_VALUE)),
        kappa,
        n,
        join="exact",
        dask="parallelized",
        output_dtypes=[value.dtype],
        keep_attrs=False,
    ).transpose(*value.dims)
    label = f"sampling standard deviation of the SPEI of {parameters.scale_months} months"
    return xr.Dataset(
        {"spei_sd": sd.assign_attrs(units="1", long_name=label), "spei_sd_status": status.assign_attrs(status_attrs())}
    )


def distribution_spread(
    index: xr.Dataset, rain: xr.DataArray, pet: xr.DataArray, others: Sequence[SpeiParameters]
) -> xr.Dataset:
    """Difference between the SPEI of two distributions, beside the index.

    Parameters
    ----------
    index : Dataset (time, ...) with ``spei`` and ``spei_status``, as of `models.spei.apply_spei`
    rain, pet : DataArray (time, ...), mm/month
        What it was made of, or more months before.
    others : parameters of the other distributions, as of `models.spei.fit_spei`

    Returns
    -------
    Dataset (time, ...)
        ``spei_spread`` (1), and its status: that of the index, or insufficient_data where a distribution
        gives no value although the first does.

    Raises
    ------
    ContractError
        No other distribution, or one of another length of accumulation.

    Formula
    -------
    spread = max(SPEI_d) - min(SPEI_d) over the distributions d: generalised logistic, generalised extreme value

    Limits
    ------
    * Both have the same mean, L-scale and L-skewness, so that they differ at the ends above all. It says nothing
      of the shortness of the record (`spei_sampling_sd`), nor whether either of them is right.
    * The indices are cut to -3 to 3 first, and beyond the bound of a distribution its index is that of
      1 / (2 (n + 1)): where one of them ends and the other does not, the spread is that of the rule.

    References
    ----------
    The project's own measure. Both distributions for the SPEI: Stagge et al. 2015, Int. J. Climatol. 35;
    Vicente-Serrano and Begueria 2016, Int. J. Climatol. 36.
    """
    found = [apply_spei(rain, pet, other, last_months=index.sizes["time"]) for other in others]
    return spread_between("spei", [index, *found], "distribution")


# ------------------------------------------------------------------ numpy beneath


def _sampling_sd(index: np.ndarray, kappa: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Standard deviation of index values, given the shape and the totals of their calibration; NaN of a NaN."""
    index, kappa, n = np.broadcast_arrays(index, kappa, n)
    sd = np.full(index.shape, np.nan, dtype=index.dtype)
    known = np.isfinite(index) & np.isfinite(kappa)
    for totals in np.unique(n[known]):
        here = known & (n == totals)
        turned = np.where(kappa[here] < 0, -1.0, 1.0)
        k, z = turned * kappa[here], turned * index[here]
        place = [(k - _KAPPAS[0]) / (_KAPPAS[1] - _KAPPAS[0]), (z - _INDICES[0]) / (_INDICES[1] - _INDICES[0])]
        sd[here] = map_coordinates(_simulated(int(totals)), place, order=1, mode="nearest")
    return sd


@lru_cache(maxsize=256)
def _simulated(n: int) -> np.ndarray:
    """Standard deviation (kappa, index) of the SPEI over records of n totals."""
    half = logit(np.random.default_rng(_SEED).random((n, _RECORDS // 2)))
    drawn = np.concatenate([half, -half], axis=1)  # each record and itself turned over: no side is favoured
    judged = logit(ndtr(_INDICES))[:, np.newaxis]
    sd = []
    for kappa in _KAPPAS:
        location, scale, shape = fit_totals(_quantile(drawn, kappa), DISTRIBUTIONS[0])
        status = np.where(np.isfinite(scale), Status.ok, Status.insufficient_data)
        found, _ = judge_totals(
            _quantile(judged, kappa), location, scale, shape, np.asarray(n), status, distribution=DISTRIBUTIONS[0]
        )
        sd.append(np.nanstd(found, axis=1))
    return np.asarray(sd)


def _quantile(y: np.ndarray, kappa: float) -> np.ndarray:
    """Value of the standard generalised logistic whose reduced variate is y."""
    return y if kappa == 0 else -np.expm1(-kappa * y) / kappa
