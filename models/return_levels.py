"""Return levels of yearly maxima by the regional index flood: one growth curve for a region, the mean of each place.

Forty years hold one or two events of the size that is asked for, so no place is fitted alone: the
shape is that of a homogeneous region (L-moments weighted by record length, GEV), and a place
keeps its own mean. What is published is the growth factor, level over mean: the error of a grid
whose rain is too low everywhere cancels in it. Millimetres are given only for rain that
gauges have calibrated, and who did so must be named.
"""

from __future__ import annotations

import zlib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import ndtr, ndtri

from geodata.schema import ContractError, require_units, status_like
from models.extreme_values import (
    Gev,
    Kappa,
    LMoments,
    gev_of_l_moments,
    gumbel_of_l_moments,
    kappa_of_l_moments,
    l_moments,
)

SHORTEST, LONGEST = 2, 80
"""Years: return periods given, whatever the record."""

CAUTION, HETEROGENEOUS = 1.0, 2.0
"""Limits of Hosking and Wallis's H: below 1 acceptably homogeneous, from 2 on not a region."""

_VALUES = 2e6  # drawn at once


def chance_of_at_least_one(return_period: Any, years: Any) -> Any:
    """Probability of at least one event in so many years: 1 - (1 - 1/T)^N.

    >>> round(float(chance_of_at_least_one(100, 10)), 4)
    0.0956
    """
    with np.errstate(divide="ignore"):  # once a year: ln 0
        return -np.expm1(np.asarray(years) * np.log1p(-1.0 / np.asarray(return_period, dtype=np.float64)))


def longest_return_period(years: Any) -> Any:
    """Longest return period that a record of so many years may speak of: twice its length, at most 80.

    >>> longest_return_period(np.array([30, 44]))
    array([60, 80])
    """
    return np.minimum(2 * np.asarray(years), LONGEST)


# ------------------------------------------------------------------ yearly maxima of a country


@dataclass(frozen=True)
class ReturnRules:
    """How growth curves are made.

    Parameters
    ----------
    min_years : int, yearly maxima that a site needs
    min_sites : int, sites that a region needs: of fewer nothing is pooled
    simulations : int, regions drawn for the measure of heterogeneity
    resamples : int, regions drawn for the interval
    interval : float, nominal cover of the interval
    """

    min_years: int = 30
    min_sites: int = 5
    simulations: int = 500
    resamples: int = 1000
    interval: float = 0.9


DEFAULT_RULES = ReturnRules()


def return_levels(
    maxima: xr.DataArray,
    regions: xr.DataArray,
    return_periods: Sequence[float] = (2, 5, 10, 20, 50),
    rules: ReturnRules = DEFAULT_RULES,
    *,
    gauge_calibration: str | None = None,
) -> xr.Dataset:
    """Growth factors of the highest daily rain, and levels where gauges have calibrated it.

    How many times the usual highest day of a year the one is that comes once in T years. Its shape is pooled over a
    region, as forty years of a place hold one or two such days.

    Parameters
    ----------
    maxima : DataArray (year, ...), mm/day, as of `models.heavy_rain.annual_maxima`
        Loaded whole, as a region is pooled over its sites.
    regions : DataArray (...), str or int
        Region of each site, cell or subdistrict; "" or a missing value for none.
    return_periods : sequence of float, years, 2 or more
    rules : ReturnRules
    gauge_calibration : str, optional
        Who calibrated the rain with which gauges; without it nothing is given in millimetres.

    Returns
    -------
    Dataset (return_period, ...)
        ``growth_factor`` (1, level over the mean of the site) with ``growth_factor_low`` and
        ``growth_factor_high`` (parametric bootstrap), ``growth_factor_gumbel`` (the lower member: k = 0), and
        ``heterogeneity`` (...; 1; H, below 1 homogeneous, from 2 on refused); with ``gauge_calibration`` also
        ``return_level`` (mm/day) with ``_low``, ``_high`` and ``_gumbel``. Each with its status:
        ``insufficient_data`` for a site with too few years, a region with too few sites or too unlike
        ones, and for a return period beyond twice the years of the site.

    Raises
    ------
    ContractError
        A return period below 2 years, or beyond what the longest record may speak of (`longest_return_period`).

    Formula
    -------
    growth factor of T years = xi + alpha / k [1 - (-ln(1 - 1/T))^k]
    k, alpha, xi: GEV of mean 1 with the L-CV and L-skewness of the region, each a mean weighted by years of record
    level = growth factor x mean of the site's yearly maxima
    H = (V - mean V_sim) / sd V_sim,  V spread of the L-CV between sites, V_sim that of simulated alike regions
    interval: 1,000 regions drawn from the fitted one (sites correlated as here) and fitted again

    Limits
    ------
    * A factor, not millimetres: rain of a grid is below that of a gauge, by how much nobody has measured here.
      Millimetres are given only where ``gauge_calibration`` names who did.
    * The interval is approximate: of 200 simulated regions (GEV with k = -0.15; 8 to 40 sites of 44 to 80 years;
      correlation 0 to 0.6) the nominal 90 % held the true 50-year factor in 80 to 87 %.
    * No return period beyond twice the record, nor 80 years. Climate is taken to stand still.
    * Nothing of sites alone, of fewer than 5 sites, or of regions with H of 2 and more.
    * "Once in 50 years" is 2 % in each year: within 10 years it happens with 18 %.

    References
    ----------
    Hosking and Wallis 1997, Regional Frequency Analysis, chapter 6; error bounds as in section 6.4.
    """
    require_units(maxima, "mm/day")
    if gauge_calibration is not None and not gauge_calibration.strip():
        raise ContractError("return_levels: gauge_calibration is empty, expected the name of its source")
    sites = [d for d in maxima.dims if d != "year"]
    values = maxima.transpose("year", *sites).values.astype(np.float64)
    labels = regions.transpose(*sites).values.reshape(-1)
    sample = values.reshape(len(values), -1)
    periods = _checked(return_periods, sample)
    found = _Found(len(periods), sample.shape[1])
    for label in _labels(labels):
        members = np.flatnonzero((labels == label) & (np.isfinite(sample).sum(axis=0) >= rules.min_years))
        _pool(sample[:, members], members, str(label), periods, rules, found)
    coords = {"return_period": xr.Variable("return_period", periods, {"units": "year"})}
    out = found.described(values.shape[1:], sites, gauge_calibration)
    return out.assign_coords({**coords, **{n: c for n, c in maxima.coords.items() if "year" not in c.dims}})


def _checked(return_periods: Sequence[float], sample: np.ndarray) -> np.ndarray:
    periods = np.asarray(return_periods, dtype=np.float64)
    longest = float(longest_return_period(np.isfinite(sample).sum(axis=0).max(initial=0)))
    if (periods < SHORTEST).any() or (periods > longest).any():
        raise ContractError(
            f"return_levels: periods {periods.tolist()}, expected {SHORTEST} to {longest:g} years"
            " (twice the longest record, 80 at most)"
        )
    return periods


def _labels(labels: np.ndarray) -> list[Hashable]:
    """Regions in order of their names."""
    return sorted({label for label in labels.tolist() if not pd.isna(label) and label != ""}, key=str)


class _Found:
    """Results (return period, site), NaN until a region is pooled."""

    def __init__(self, periods: int, sites: int):
        self.growth = {name: np.full((periods, sites), np.nan) for name in ("", "_low", "_high", "_gumbel")}
        self.level = {name: np.full((periods, sites), np.nan) for name in self.growth}
        self.heterogeneity = np.full(sites, np.nan)

    def described(self, shape: tuple[int, ...], sites: list[Hashable], gauge_calibration: str | None) -> xr.Dataset:
        out = {"heterogeneity": _named(self.heterogeneity.reshape(shape), sites, "1", "H of Hosking and Wallis")}
        for name, values in self.growth.items():
            found = values.reshape(-1, *shape)
            out[f"growth_factor{name}"] = _named(
                found, ["return_period", *sites], "1", _WORDS[name].format("growth factor")
            )
            if gauge_calibration is not None:
                found = self.level[name].reshape(-1, *shape)
                words = _WORDS[name].format("highest daily rain")
                out[f"return_level{name}"] = _named(found, ["return_period", *sites], "mm/day", words)
        flags = {f"{name}_status": status_like(values) for name, values in out.items()}
        attrs = {} if gauge_calibration is None else {"gauge_calibration": gauge_calibration}
        return xr.Dataset({**out, **flags}, attrs=attrs)


_WORDS = {
    "": "{} of the regional GEV",
    "_low": "{}, lower bound of the interval (approximate)",
    "_high": "{}, upper bound of the interval (approximate)",
    "_gumbel": "{} of the regional Gumbel distribution (lower member)",
}


def _named(values: np.ndarray, dims: list[Hashable], units: str, words: str) -> xr.DataArray:
    return xr.DataArray(values, dims=dims, attrs={"units": units, "long_name": words})


def _pool(
    sample: np.ndarray, members: np.ndarray, label: str, periods: np.ndarray, rules: ReturnRules, found: _Found
) -> None:
    """Growth curve of one region, put where its members (site,) stand."""
    region = region_of(sample)
    usable = np.isfinite(region.moments.l2)  # no growth of a place that is always dry
    if usable.sum() < rules.min_sites:
        return
    members, region = members[usable], region_of(sample[:, usable])
    random = np.random.default_rng([zlib.crc32(b"return_levels"), zlib.crc32(label.encode())])
    h = heterogeneity(region, random, simulations=rules.simulations)
    found.heterogeneity[members] = h
    if not h < HETEROGENEOUS:
        return
    given = periods[:, None] <= longest_return_period(region.years)
    mean = region.moments.l1
    for name, (growth, of_level) in _curves(region, periods, rules, random).items():
        found.growth[name][:, members] = np.where(given, growth[:, None], np.nan)
        found.level[name][:, members] = np.where(given, of_level * mean, np.nan)


def _curves(
    region: Region, periods: np.ndarray, rules: ReturnRules, random: np.random.Generator
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Growth factor (period,), and level over the mean of each site (period, site), with their bounds.

    The level of a site is less certain than the growth of its region: its own mean is drawn too.
    """
    growth = region.growth()
    curve = growth.level(periods)
    gumbel = gumbel_of_l_moments(1.0, region.mean(region.moments.cv)).level(periods)
    drawn = region.simulated(growth, rules.resamples, random)
    refitted = gev_of_l_moments(1.0, region.mean(drawn.cv), region.mean(drawn.t3))
    curves = Gev(*(np.asarray(v)[:, None] for v in refitted)).level(periods)  # (resample, period)
    # What is drawn errs from the curve as the curve errs from the truth: so much too high, so much too low.
    tails = [(1.0 + rules.interval) / 2.0, (1.0 - rules.interval) / 2.0]
    of_growth = np.quantile(curves / curve, tails, axis=0)
    errors = (curves / curve).T
    of_level = np.stack([np.quantile(e[:, None] * drawn.l1, tails, axis=0) for e in errors], axis=1)
    return {
        "": (curve, curve[:, None]),
        "_gumbel": (gumbel, gumbel[:, None]),
        "_low": (curve / of_growth[0], curve[:, None] / of_level[0]),
        "_high": (curve / of_growth[1], curve[:, None] / of_level[1]),
    }


# ------------------------------------------------------------------ a region


@dataclass(frozen=True)
class Region:
    """Yearly maxima of the sites of a region, as far as its growth curve needs them.

    Parameters
    ----------
    seen : array of bool (year, site), which years each site has
    moments : LMoments of each site
    correlation : float, 0 to 1, mean correlation between sites
    """

    seen: np.ndarray
    moments: LMoments
    correlation: float = 0.0

    @property
    def years(self) -> np.ndarray:
        """Years of each site."""
        return self.seen.sum(axis=0)

    def mean(self, values: np.ndarray) -> Any:
        """Mean over sites, weighted by length of record; over the last axis."""
        return (values * self.years).sum(axis=-1) / self.years.sum()

    @property
    def dispersion(self) -> float:
        """V of Hosking and Wallis: weighted standard deviation of the L-CV between sites."""
        return float(_dispersion(self, self.moments.cv))

    def growth(self) -> Gev:
        """GEV of maxima divided by the mean of their site."""
        return gev_of_l_moments(1.0, self.mean(self.moments.cv), self.mean(self.moments.t3))

    def simulated(self, distribution: Gev | Kappa, times: int, random: np.random.Generator) -> LMoments:
        """L-moments (simulation, site) of sites that all follow one distribution, as many years of each as here.

        One year has one common part in all sites (a Gaussian copula of one factor): rain of one storm
        falls on many cells, and sites drawn apart would tell more than they know.
        """
        years, sites = self.seen.shape
        together = max(int(_VALUES // self.seen.size), 1)
        parts = []
        for first in range(0, times, together):
            normal = random.standard_normal((min(together, times - first), years, 1 + sites))
            normal = np.sqrt(self.correlation) * normal[..., :1] + np.sqrt(1.0 - self.correlation) * normal[..., 1:]
            drawn = distribution.quantile(np.clip(ndtr(normal), 1e-15, 1.0 - 1e-15))
            parts.append(l_moments(np.where(self.seen, drawn, np.nan).swapaxes(0, 1)))
        return LMoments(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def _dispersion(region: Region, cv: np.ndarray) -> Any:
    return np.sqrt(region.mean((cv - np.expand_dims(region.mean(cv), -1)) ** 2))


def region_of(maxima: np.ndarray) -> Region:
    """Region of maxima (year, site), NaN where a year is not known."""
    return Region(np.isfinite(maxima), l_moments(maxima), mean_correlation(maxima))


def mean_correlation(maxima: np.ndarray) -> float:
    """Mean correlation between the normal scores of sites (year, site), 0 to 0.99; pairs by the years both have."""
    seen = np.isfinite(maxima)
    n = seen.sum(axis=0)
    rank = np.where(seen, np.argsort(np.argsort(np.where(seen, maxima, np.inf), axis=0), axis=0), 0)
    score = np.where(seen, ndtri((rank + 0.5) / np.maximum(n, 1)), 0.0)
    score = score / np.sqrt((score**2).sum(axis=0) / np.maximum(n, 1))
    pairs = (seen.sum(axis=1) * (seen.sum(axis=1) - 1)).sum()
    product = (score.sum(axis=1) ** 2 - (score**2).sum(axis=1)).sum()
    return float(np.clip(product / pairs, 0.0, 0.99)) if pairs else 0.0


def heterogeneity(region: Region, random: np.random.Generator, *, simulations: int = 500) -> float:
    """H of Hosking and Wallis: how far the L-CVs lie apart, against sites of one kappa distribution.

    Parameters
    ----------
    region : Region
        With ``correlation`` 0 the measure as published; correlated sites resemble each other, so that
        without their correlation any grid would pass.
    random : Generator
    simulations : int

    Returns
    -------
    float, below `CAUTION` homogeneous, from `HETEROGENEOUS` on no region

    References
    ----------
    Hosking and Wallis 1997, Regional Frequency Analysis, section 4.3; Castellarin et al. 2008,
    J. Hydrol. 360, on correlated sites.
    """
    moments = region.moments
    kappa = kappa_of_l_moments(*(float(region.mean(v)) for v in (moments.cv, moments.t3, moments.t4)))
    drawn = _dispersion(region, region.simulated(kappa, simulations, random).cv)
    return float((region.dispersion - drawn.mean()) / drawn.std(ddof=1))
