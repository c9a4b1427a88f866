"""What any forecast must beat: the odds of the month, and what the accumulation has already decided.

An index of three months that is forecast one month ahead shares two of its months with what is known. That
overlap alone looks like skill against the odds of the month, and is none: the persistence baseline has it too.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import ndtr, ndtri
from scipy.stats import norm

from geodata.schema import ContractError, status_attrs, status_like

MIN_YEARS = 20
"""Training years from which odds are given."""


def climatology(event: xr.DataArray, training: Collection[int], *, min_years: int = MIN_YEARS) -> xr.Dataset:
    """Odds of the event in each calendar month, from the training years alone.

    Parameters
    ----------
    event : DataArray (time, ...), 1 where it came, 0 where not, NaN where that is not known
    training : years of the time labels that may be used; all others are not looked at
    min_years : int
        Known outcomes that a month needs.

    Returns
    -------
    Dataset (month 1..12, ...)
        ``climatology`` (1) and ``climatology_status``; ``events`` and ``years``, for odds in plain words.

    >>> times = pd.date_range("2001-04", periods=4, freq="12MS")
    >>> dry = xr.DataArray([1.0, 0.0, 0.0, 1.0], dims="time", coords={"time": times})
    >>> climatology(dry, [2001, 2002, 2003], min_years=3).climatology.sel(month=4).round(3).item()
    0.333
    """
    times = pd.DatetimeIndex(event.indexes["time"])
    wanted = np.flatnonzero(np.isin(times.year, list(training)))
    seen = event.isel(time=wanted)
    if not bool((seen.isnull() | (seen == 0) | (seen == 1)).all()):
        raise ContractError("climatology: events that are neither 0 nor 1")
    months = np.arange(1, 13)
    rows = [np.flatnonzero(times.month[wanted] == m) for m in months]
    years = xr.concat([seen.isel(time=r).notnull().sum("time") for r in rows], dim="month")
    events = xr.concat([seen.isel(time=r).sum("time") for r in rows], dim="month")
    years, events = (v.assign_coords(month=months) for v in (years, events))
    odds = (events / years.where(years >= max(min_years, 1))).astype("float64")
    return xr.Dataset(
        {
            "climatology": odds.assign_attrs(units="1", long_name="odds of the event in this month"),
            "climatology_status": status_like(odds).assign_attrs(status_attrs()),
            "events": events.astype("int16").assign_attrs(units="1", long_name="training years with the event"),
            "years": years.astype("int16").assign_attrs(units="1", long_name="training years"),
        }
    )


def overlap_correlation(
    months: int,
    lead: int,
    *,
    predictor_months: int | None = None,
    end_month: int | None = None,
    variances: Sequence[float] | None = None,
) -> float:
    """Correlation that two accumulations have because they share months, where no month tells of the next.

    Parameters
    ----------
    months : int, of the accumulation that is forecast
    lead : int, months from the end of the one that is known to the end of the other
    predictor_months : int, optional
        Of the accumulation that is known; as many as of the other if not given.
    end_month : int, optional
        Calendar month in which the forecast accumulation ends; goes with ``variances``.
    variances : 12 numbers, optional
        Variance of the rain of each calendar month. Where wet and dry months alternate, a shared dry month decides
        nothing; without them all months count alike.

    Returns
    -------
    float (1), 0 to 1

    Formula
    -------
    rho = sum of v over the shared months / sqrt(sum of v over the one * sum of v over the other)
    v variance of a month; of equal months and accumulations, (k - lead) / k, and 0 from lead = k

    Limits
    ------
    * Months that tell of each other (rivers, storage, soil) are more alike than this: then it is a lower bound.

    References
    ----------
    Lyon et al. 2012 (baseline probabilities of persistence for accumulated drought indices).

    >>> [round(overlap_correlation(3, lead), 3) for lead in (1, 2, 3)]
    [0.667, 0.333, 0.0]
    """
    known = months if predictor_months is None else predictor_months
    if min(months, known) < 1 or lead < 0:
        raise ContractError(f"overlap: found {months} and {known} months and lead {lead}, expected 1 or more and 0")
    if (end_month is None) != (variances is None) or (variances is not None and len(variances) != 12):
        raise ContractError("overlap: found an end month or 12 variances, expected both or neither")
    target, predictor = np.arange(-months + 1, 1), np.arange(-lead - known + 1, -lead + 1)
    weight = np.ones(12) if variances is None else np.asarray(variances, dtype=float)

    def total(offsets: np.ndarray) -> float:
        return float(weight[((end_month or 1) - 1 + offsets) % 12].sum())

    both = np.sqrt(total(target) * total(predictor))
    return float(total(np.intersect1d(target, predictor)) / both) if both > 0 else 0.0


def persistence_probability(index: xr.DataArray, correlation: float, threshold: float) -> xr.DataArray:
    """Probability that a standardised index will be at most the threshold, given what it is now.

    Parameters
    ----------
    index : DataArray (...), 1, standard normal; NaN where it is not known
    correlation : float, of the index now with the one to come, as of `overlap_correlation`
    threshold : float, 1

    Returns
    -------
    DataArray (1), dims of the index

    Formula
    -------
    P(Z' <= t | Z = z) = Phi((t - rho z) / sqrt(1 - rho^2))

    Limits
    ------
    * Both indices must be standard normal together: no zeros of dry seasons, no index cut at its limits.

    References
    ----------
    Lyon et al. 2012.

    >>> persistence_probability(xr.DataArray([-2.0, 0.0, 2.0], dims="time"), 2 / 3, -1.0).round(2).values
    array([0.67, 0.09, 0.  ])
    """
    if not -1.0 <= correlation <= 1.0:
        raise ContractError(f"persistence: correlation {correlation:g}, expected -1 to 1")
    rest = np.sqrt(max(1.0 - correlation**2, 0.0))
    if rest < 1e-9:
        probability = (correlation * index <= threshold).where(index.notnull()).astype("float64")
    else:
        probability = xr.apply_ufunc(ndtr, (threshold - correlation * index) / rest, dask="allowed")
    return probability.assign_attrs(units="1", long_name="probability from persistence")


def overlap_brier_skill(correlation: float, threshold: float = -1.0, *, nodes: int = 20001) -> float:
    """Brier skill against the odds of the month that persistence alone has: what a model must show beyond.

    Parameters
    ----------
    correlation : float, as of `overlap_correlation`
    threshold : float, 1, of the standardised index
    nodes : int
        Points of the quadrature.

    Returns
    -------
    float (1)

    Formula
    -------
    skill = 1 - E[p (1 - p)] / (q (1 - q)),  p = Phi((t - rho z) / sqrt(1 - rho^2)), z normal, q = Phi(t)

    Limits
    ------
    * Of indices that are normal together, and odds that are known exactly: a record of 35 years scatters about it.

    References
    ----------
    Lyon et al. 2012 for the probabilities; the integral by the trapezium rule.

    >>> [round(overlap_brier_skill(rho), 4) for rho in (0.5, 2 / 3, 0.8)]
    [0.1237, 0.2416, 0.3876]
    """
    z = np.linspace(-9.0, 9.0, nodes)
    p = persistence_probability(xr.DataArray(z, dims="z"), correlation, threshold).to_numpy()
    q = float(ndtr(threshold))
    return float(1.0 - np.trapezoid(p * (1.0 - p) * norm.pdf(z), z) / (q * (1.0 - q)))


def standard_scores(totals: xr.DataArray, training: Collection[int], *, min_years: int = MIN_YEARS) -> xr.DataArray:
    """Totals of each calendar month as normal scores by their rank among the training years: z of persistence.

    The plain way to an index without a distribution; a total equal to training ones shares their middle rank.

    Parameters
    ----------
    totals : DataArray (time, ...)
    training : years whose totals are the ranks
    min_years : int

    Returns
    -------
    DataArray (time, ...), 1; NaN where a total is not known or the month has too few training years

    >>> times = pd.date_range("2001-04", periods=4, freq="12MS")
    >>> rain = xr.DataArray([10.0, 20.0, 30.0, 20.0], dims="time", coords={"time": times})
    >>> standard_scores(rain, [2001, 2002, 2003], min_years=3).round(2).values
    array([-0.67,  0.  ,  0.67,  0.  ])
    """
    times = pd.DatetimeIndex(totals.indexes["time"])
    learnt = np.isin(times.year, list(training))
    values = totals.transpose("time", ...)
    flat = values.to_numpy().reshape(len(times), -1).astype(float)
    out = np.full(flat.shape, np.nan)
    for month in range(1, 13):
        rows = np.flatnonzero(times.month == month)
        sample = flat[rows[learnt[rows]]]
        n = np.isfinite(sample).sum(axis=0)
        below = np.zeros((len(rows), flat.shape[1]))
        for own in sample:
            below += (own < flat[rows]) + 0.5 * (own == flat[rows])
        # a training total is ranked with its own place among them, another one in the gaps between
        p = (below + 0.5) / (n + 1.0)
        out[rows] = np.where((n >= max(min_years, 1)) & np.isfinite(flat[rows]), ndtri(p), np.nan)
    scores = values.copy(data=out.reshape(values.shape)).transpose(*totals.dims)
    return scores.drop_attrs().assign_attrs(units="1", long_name="normal score of the total")
