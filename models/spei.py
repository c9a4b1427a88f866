"""Standardised Precipitation-Evapotranspiration Index: how unusual the water balance of the last months is.

The balance D = rain - PET is summed, and its distribution in each calendar month is a generalised
logistic one (Vicente-Serrano et al. 2010), fitted by unbiased probability-weighted moments
(Begueria et al. 2014). Where evaporation is many times the rain, D follows temperature and the index
tells of heat rather than of missing rain: `spei_drivers` says where.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
import xarray as xr
from scipy.special import expit, ndtri

from geodata.schema import KEEPS_VALUE, ContractError, Status, has_status, require_units, status_attrs
from models.accumulation import (
    accumulate,
    calibration_rows,
    each_block,
    judge_by_month,
    learn_by_month,
    month_axis,
    on_one_grid,
    recent,
    sum_rows,
    threads_for,
    time_first,
    time_last,
    totals_needed,
)
from models.extreme_values import gev_of_l_moments, l_moments
from models.spi import LIMIT

Distribution = Literal["generalised logistic", "generalised extreme value"]
"""Of the totals; the first is that of the published index."""

HEAT_BELOW = 0.3
"""Correlation of the index with rain below which it is an index of heat."""

_LOGISTIC = 1e-6  # |kappa| below which the generalised logistic is the logistic
_DEGENERATE = 1e-10


@dataclass(frozen=True)
class SpeiParameters:
    """What was learnt from the calibration years, to be saved and used again.

    Parameters
    ----------
    values : Dataset (month 1..12, ...)
        ``location`` (mm), ``scale`` (mm) and ``kappa`` (1) of the distribution, ``n`` totals in the
        calibration, and ``fit_status`` (Status flag of the month). Its attributes say how it was made and
        of which distribution, so it may be written to a file as it is: ``SpeiParameters(xr.open_dataset(f))``.
    """

    values: xr.Dataset

    @property
    def scale_months(self) -> int:
        """Length of the accumulation."""
        return int(self.values.attrs["scale_months"])

    @property
    def distribution(self) -> Distribution:
        """Whose parameters they are."""
        return self.values.attrs["distribution"]


def spei(
    rain: xr.DataArray,
    pet: xr.DataArray,
    scale_months: int,
    calibration: tuple[int, int],
    *,
    min_years: int = 30,
    distribution: Distribution = "generalised logistic",
    parameters: SpeiParameters | None = None,
) -> xr.Dataset:
    """Standardised Precipitation-Evapotranspiration Index along ``time``, with its status.

    As the SPI, of rain less reference evapotranspiration: it tells also of a year that was dry because it was hot.

    Parameters
    ----------
    rain, pet : DataArray (time, ...), mm/month
        Consecutive months labelled by their first day, the same in both; a gap is a NaN month.
    scale_months : int
        Length of the accumulation; each value belongs to the month in which it ends.
    calibration : (first year, last year), both included
    min_years : int
        Totals that a month's calibration needs.
    distribution : "generalised logistic" or "generalised extreme value"
        Of the totals: that of the index, or the other one that is used for it.
    parameters : SpeiParameters, optional
        Parameters saved earlier; then nothing is fitted.

    Returns
    -------
    Dataset (time, ...)
        ``spei`` (1, clipped to [-3, 3]) and ``spei_status``: insufficient_data where the window has a gap or
        the calibration fewer years; out_of_support where the balance lies beyond the bound of the fitted
        distribution, where the index is that of probability 1/(2(n+1)), or of 1 less that.

    Formula
    -------
    D_t = P_t - PET_t,  x_t = D_(t-k+1) + ... + D_t
    b_r = mean over i of x_(i) C(i-1, r) / C(n-1, r)       (x_(i) rising, per calendar month)
    l1 = b0,  l2 = 2 b1 - b0,  l3 = 6 b2 - 6 b1 + b0,  kappa = -l3 / l2
    alpha = l2 sin(kappa pi) / (kappa pi),  xi = l1 - alpha (1 / kappa - pi / sin(kappa pi))
    y = -ln(1 - kappa (x - xi) / alpha) / kappa            ((x - xi) / alpha where |kappa| < 1e-6)
    SPEI = Phi^-1(1 / (1 + exp(-y))), cut to -3 ... 3
    "generalised extreme value": the GEV with these l1, l2 and l3 / l2, SPEI = Phi^-1(exp(-exp(-y)))

    Limits
    ------
    * Where PET is many times the rain the index follows heat, not missing rain: `spei_drivers` says where.
    * No month is masked for dryness. In a rainless season it is an index of evapotranspiration alone.
    * It inherits every error of PET: Hargreaves knows neither wind nor humidity.
    * Beyond the bound of the fitted distribution (``out_of_support``) it says "rarer than any year", not how rare.
    * ``insufficient_data`` too: totals that do not differ, or whose fit has no mean (kappa of 1 or -1, and beyond).
    * The error of a 30-year fit is about 0.25 near -1 and 0.40 near -2 (44 years: 0.20 and 0.35), so that one
      class is inside the noise: `models.spei_doubt.spei_sampling_sd`.

    References
    ----------
    Vicente-Serrano et al. 2010, J. Climate 23; Begueria et al. 2014, Int. J. Climatol. 34;
    Hosking and Wallis 1997 (generalised logistic and extreme value).
    """
    if parameters is None:
        parameters = fit_spei(rain, pet, scale_months, calibration, min_years=min_years, distribution=distribution)
    elif parameters.scale_months != scale_months:
        raise ContractError(f"spei: parameters of {parameters.scale_months} months, expected {scale_months}")
    return apply_spei(rain, pet, parameters)


def fit_spei(
    rain: xr.DataArray,
    pet: xr.DataArray,
    scale_months: int,
    calibration: tuple[int, int],
    *,
    min_years: int = 30,
    distribution: Distribution = "generalised logistic",
) -> SpeiParameters:
    """Learn the distribution of each calendar month from the calibration years.

    As for the SPI, 30 complete years calibrate every scale. Parameters and References as in `spei`.
    """
    _require(rain, pet)
    location, scale, kappa, n, status = learn_by_month(
        [rain, pet],
        partial(_balance, scale_months=scale_months),
        partial(_learn, distribution=distribution),
        scale_months=scale_months,
        calibration=calibration,
        min_years=min_years,
        dtypes=[np.float64, np.float64, np.float64, np.int16, np.int8],
    )
    values = xr.Dataset(
        {
            "location": location.assign_attrs(units="mm", long_name=f"location of the {distribution}"),
            "scale": scale.assign_attrs(units="mm", long_name=f"scale of the {distribution}"),
            "kappa": kappa.assign_attrs(units="1", long_name=f"shape of the {distribution}"),
            "n": n.assign_attrs(units="1", long_name="totals in the calibration"),
            "fit_status": status.assign_attrs(status_attrs()),
        },
        attrs={
            "scale_months": scale_months,
            "calibration": f"{calibration[0]}-{calibration[1]}",
            "distribution": distribution,
            "method": "unbiased probability-weighted moments",
        },
    )
    return SpeiParameters(values)


def apply_spei(
    rain: xr.DataArray,
    pet: xr.DataArray,
    parameters: SpeiParameters,
    *,
    last_months: int | None = None,
    probability: bool = False,
) -> xr.Dataset:
    """Index of each month from parameters learnt before; nothing is fitted again.

    Parameters
    ----------
    rain, pet : DataArray (time, ...), mm/month, on the cells or units of the parameters
    parameters : SpeiParameters
    last_months : int, optional
        Give out only this many months at the end; of those before, no more are read than they need.
    probability : bool
        Give out the probability behind the index too, which is not clipped to [-3, 3].

    Returns
    -------
    Dataset as of `spei`
        With ``spei_probability`` (1) and its status, if asked for.
    """
    _require(rain, pet)
    learnt = parameters.values
    k = parameters.scale_months
    dtype = np.float32 if rain.dtype == pet.dtype == np.float32 else np.float64
    dtypes = [dtype, np.int8, np.float64] if probability else [dtype, np.int8]
    index, status, *p = (
        v.isel(time=slice(-(last_months or 0), None))
        for v in judge_by_month(
            [recent(rain, last_months, k), recent(pet, last_months, k)],
            partial(_balance, scale_months=k),
            partial(judge_totals, distribution=parameters.distribution, probability=probability),
            [learnt[name] for name in ("location", "scale", "kappa", "n", "fit_status")],
            dtypes=dtypes,
        )
    )
    flags = status.assign_attrs(status_attrs())
    out = {"spei": index.assign_attrs(units="1", long_name=f"SPEI of {k} months"), "spei_status": flags}
    if probability:
        out["spei_probability"] = p[0].assign_attrs(units="1", long_name=f"probability of a drier {k} months")
        out["spei_probability_status"] = flags
    return xr.Dataset(out, attrs=dict(learnt.attrs))


def spei_drivers(
    rain: xr.DataArray,
    pet: xr.DataArray,
    index: xr.Dataset,
    scale_months: int,
    calibration: tuple[int, int],
    *,
    by_month: bool = False,
    min_years: int = 30,
) -> xr.Dataset:
    """What the index follows, rain or evaporation, over the calibration years.

    All totals are taken as departures from the mean of their calendar month, so that the seasons,
    which the index knows nothing of, do not count; for correlations over all months, in the standard
    deviations of their calendar month.

    Parameters
    ----------
    rain, pet : DataArray (time, ...), mm/month, as given to `spei`
    index : Dataset (time, ...) with ``spei`` and ``spei_status``, as of `spei`
    scale_months : int
        Length of the accumulation of that index.
    calibration : (first year, last year), both included
    by_month : bool
        One answer for each calendar month (dim ``month``), or one for all.
    min_years : int
        Years of values below which there is no answer.

    Returns
    -------
    Dataset (...) or (month 1..12, ...)
        ``share_rain`` and ``share_pet`` (1): parts of the variance of D, cov(P, D) / var(D) and
        cov(-PET, D) / var(D), which sum to 1 (one may be negative, where rainy months are cloudy ones);
        ``r_rain`` and ``r_pet`` (1): correlation of the index with P and with PET; each with its status.
        ``heat_index`` (flag): 1 where r_rain < 0.3, 0 where not, -1 where unknown.

    Formula
    -------
    share_rain = cov(P, D) / var(D),  share_pet = cov(-PET, D) / var(D),  D = P - PET
    r_rain = corr(SPEI, P),  r_pet = corr(SPEI, PET)
    P, PET and D are totals of k months, less the mean of their calendar month

    Limits
    ------
    * One answer for the calibration years: a single drought may have had other causes.
    * A correlation is no cause: cloudless months are dry and hot at once.
    * The limit of 0.3 is a choice; near it the word "heat" is uncertain: 30 years of one month tell r to about 0.2.

    References
    ----------
    The project's own; variance and correlation as usual.
    """
    _require(rain, pet)
    inputs = on_one_grid([rain, pet, index["spei"].where(has_status(index["spei_status"], KEEPS_VALUE))])
    months = month_axis(rain)
    kernel = partial(
        _drivers,
        scale_months=scale_months,
        rows=calibration_rows(months, calibration),
        needed=totals_needed(months, calibration, scale_months, min_years),
        by_month=by_month,
        threads=threads_for(inputs),
    )
    found = xr.apply_ufunc(
        kernel,
        *inputs,
        input_core_dims=[["time"]] * 3,
        output_core_dims=[["month"]] * 4,
        dask="parallelized",
        output_dtypes=[np.float64] * 4,
        dask_gufunc_kwargs={"output_sizes": {"month": 12 if by_month else 1}, "allow_rechunk": True},
    )
    names = {
        "share_rain": "share of the variance of the water balance from rain",
        "share_pet": "share of the variance of the water balance from evaporation",
        "r_rain": "correlation of SPEI with rain",
        "r_pet": "correlation of SPEI with evaporation",
    }
    out: dict[str, xr.DataArray] = {}
    for (name, long_name), answer in zip(names.items(), found, strict=True):
        value = answer.transpose("month", ...)
        value = value.assign_coords(month=np.arange(1, 13)) if by_month else value.isel(month=0)
        flags = xr.where(value.notnull(), np.int8(Status.ok), np.int8(Status.insufficient_data)).astype("int8")
        out[name] = value.assign_attrs(units="1", long_name=long_name)
        out[f"{name}_status"] = flags.assign_attrs(status_attrs())
    r = out["r_rain"]
    heat = xr.where(r.isnull(), np.int8(-1), (r < HEAT_BELOW).astype("int8")).astype("int8")
    out["heat_index"] = heat.assign_attrs(
        flag_values=np.array([-1, 0, 1], dtype="int8"),
        flag_meanings="unknown water_balance heat",
        long_name="whether SPEI tells of heat rather than of rain",
    )
    return xr.Dataset(out)


def _require(rain: xr.DataArray, pet: xr.DataArray) -> None:
    require_units(rain, "mm/month")
    require_units(pet, "mm/month")


# ------------------------------------------------------------------ numpy beneath


def _balance(rain: np.ndarray, pet: np.ndarray, *, scale_months: int) -> np.ndarray:
    """Totals of rain less PET."""
    return accumulate(rain - pet, scale_months)


def _learn(sample: np.ndarray, needed: int, *, distribution: Distribution) -> tuple[np.ndarray, ...]:
    """location, scale, kappa, n and status from totals (year, cell) of one calendar month."""
    n = np.isfinite(sample).sum(axis=0)
    location, scale, kappa = fit_totals(sample, distribution)
    usable = np.isfinite(scale) & (scale > 0) & (n >= max(needed, 1))
    return location, scale, kappa, n, np.where(usable, Status.ok, Status.insufficient_data)


def fit_totals(sample: np.ndarray, distribution: Distribution) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """location, scale and kappa from totals (year, cell) by unbiased probability-weighted moments; NaN where none.

    Beyond an L-skewness of 1 or -1 a distribution has no mean; without spread it is no distribution.
    """
    l1, l2, t3, _ = l_moments(sample)
    usable = (l2 > _DEGENERATE * np.maximum(1.0, np.abs(l1))) & (np.abs(t3) < 1)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return _DISTRIBUTIONS[distribution].fit(l1, np.where(usable, l2, np.nan), np.where(usable, t3, np.nan))


def _fit_logistic(l1: np.ndarray, l2: np.ndarray, t3: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Generalised logistic (Hosking and Wallis 1997, A.7)."""
    logistic = np.abs(t3) < _LOGISTIC
    k = np.where(logistic, 1.0, -t3)
    sine = np.sin(k * np.pi)
    scale = np.where(logistic, l2, l2 * sine / (k * np.pi))
    location = np.where(logistic, l1, l1 - scale * (1.0 / k - np.pi / sine))
    return location, scale, np.where(logistic, 0.0, k)


def _fit_extreme_value(l1: np.ndarray, l2: np.ndarray, t3: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Generalised extreme value."""
    gev = gev_of_l_moments(l1, l2, t3)
    return gev.location, gev.scale, gev.k


class _Form(NamedTuple):
    """A distribution: its parameters from l1, l2 and t3, and the probability of a reduced variate y."""

    fit: Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]
    probability: Callable[[np.ndarray], np.ndarray]


_DISTRIBUTIONS: dict[Distribution, _Form] = {
    "generalised logistic": _Form(_fit_logistic, expit),
    "generalised extreme value": _Form(_fit_extreme_value, lambda y: np.exp(-np.exp(-y))),
}


def judge_totals(
    total: np.ndarray,
    location: np.ndarray,
    scale: np.ndarray,
    kappa: np.ndarray,
    n: np.ndarray,
    fit_status: np.ndarray,
    *,
    distribution: Distribution,
    probability: bool = False,
) -> tuple[np.ndarray, ...]:
    """Index and status, and the probability if asked for, of totals (year, cell) of one calendar month."""
    usable = fit_status == Status.ok
    z = (np.where(usable, total, np.nan) - location) / scale
    straight = kappa == 0
    k = np.where(straight, 1.0, kappa)
    beyond = ~straight & (k * z >= 1.0)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        y = np.where(straight, z, -np.log1p(-k * z) / k)
        inside = _DISTRIBUTIONS[distribution].probability(y)
    lowest = 1.0 / (2.0 * (n + 1.0))
    p = np.where(beyond, np.where(k > 0, 1.0 - lowest, lowest), inside)
    status = np.where(beyond, np.int8(Status.out_of_support), np.int8(Status.ok))
    status = np.where(np.isnan(total), np.int8(Status.insufficient_data), status)
    index, status = np.clip(ndtri(p), -LIMIT, LIMIT), np.where(usable, status, fit_status)
    return (index, status, p) if probability else (index, status)


def _drivers(
    *arrays: np.ndarray,
    scale_months: int,
    rows: list[np.ndarray],
    needed: list[int],
    by_month: bool,
    threads: int,
) -> tuple[np.ndarray, ...]:
    """Shares of rain and PET, and their correlations with the index, of arrays (..., time): each (..., 1 or 12)."""
    flat = [time_first(a) for a in arrays]
    out = np.empty((4, 12 if by_month else 1, flat[0].shape[1]))

    def work(block: slice) -> None:
        rain, pet, index = (f[:, block].astype(np.float64) for f in flat)
        series = (accumulate(rain, scale_months), accumulate(pet, scale_months), index)
        table = np.asarray([_products(*(v[r] for v in series)) for r in rows])  # (month, product, cell)
        if by_month:
            out[..., block] = _shares(table, np.asarray(needed))
        else:
            out[..., block] = _shares(table.sum(axis=0, keepdims=True), np.asarray([sum(needed)]))

    each_block(work, flat[0].shape[1], threads)
    return time_last(list(out), arrays[0].shape[:-1])


def _products(rain: np.ndarray, pet: np.ndarray, index: np.ndarray) -> list[np.ndarray]:
    """How many years one calendar month has, and sums of products of departures from its means, each (cell,).

    The index has the same spread in every month, so what it is correlated with is measured in
    the month's own deviations: the rainiest months must not decide alone.
    """
    seen = np.isfinite(rain) & np.isfinite(pet) & np.isfinite(index)
    p, e, z = (_departures(v, seen) for v in (rain, pet, index))
    d = p - e
    ps, es = _in_deviations(p), _in_deviations(e)
    return [sum_rows(v) for v in (seen * 1.0, p * d, e * d, d * d, z * ps, z * es, z * z, ps * ps, es * es)]


def _shares(table: np.ndarray, needed: np.ndarray) -> np.ndarray:
    """(share of rain, of PET, r with rain, with PET) x month x cell from the sums of `_products`."""
    n, pd, ed, dd, zp, ze, zz, pp, ee = np.moveaxis(table, 1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.asarray([pd / dd, -ed / dd, zp / np.sqrt(zz * pp), ze / np.sqrt(zz * ee)])
    enough = n >= np.maximum(needed, 1)[:, np.newaxis]
    return np.where(enough & np.isfinite(found), found, np.nan)


def _departures(values: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Differences from the mean of the rows seen; 0 where a row was not, or differs by rounding alone."""
    values = np.where(seen, values, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = sum_rows(values) / seen.sum(axis=0)
    away = values - mean
    return np.where(seen & (np.abs(away) > _DEGENERATE * np.abs(mean)), away, 0.0)


def _in_deviations(departures: np.ndarray) -> np.ndarray:
    """Departures in units of their own root mean square; 0 where there are none."""
    size = np.sqrt(sum_rows(departures**2) / len(departures))
    return np.divide(departures, size, out=np.zeros_like(departures), where=size > 0)
