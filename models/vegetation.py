"""Vegetation under stress: where greenness and heat stand within their own range of the season.

VCI places the vegetation index, TCI the land surface temperature (hot is 0), VHI both between the
lowest and the highest of the same month or dekad, 0 worst and 100 best. The year that is judged
is left out of its own range, else no record could ever be seen. Two things say nothing and are
``masked_dry_season``: ground so bare that its greenness hardly varies, in VCI and VHI, and seasons
in which plants lack warmth rather than water, in TCI and VHI.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

from geodata.schema import KEEPS_VALUE, ContractError, Status, has_status, more_cautious, require_units, status_attrs

Season = Literal["month", "dekad"]

MIN_RANGE_NDVI = 0.05
"""Range of the season below which the ground is bare."""

MIN_RANGE_LST = 1.0
"""degC; about the accuracy of a satellite's land surface temperature (Wan 2014, Remote Sens. Environ. 140)."""

_ROUNDING = 1e-10  # of a constant, means leave departures of this share of it


def vegetation_condition(
    ndvi: xr.DataArray,
    calibration: tuple[int, int],
    *,
    season: Season = "month",
    min_years: int = 15,
    min_range: float = MIN_RANGE_NDVI,
    percentiles: tuple[float, float] = (2.0, 98.0),
) -> xr.Dataset:
    """Vegetation Condition Index: where greenness stands in its range of the season, 0 worst and 100 best.

    The year that is judged is left out of its own range, else no record could be seen.

    Parameters
    ----------
    ndvi : DataArray (time, ...), 1; one value per month or dekad, clouds, snow and water already left out
    calibration : (first year, last year), both included
    season : "month" or "dekad"
        What is compared with its like.
    min_years : int
        Calibration years with a value that a season needs.
    min_range : float, 1
        Seasons whose high - low is smaller are bare ground: ``masked_dry_season``.
    percentiles : (low, high), %
        Of the calibration years, by linear interpolation; (0, 100) for the plain lowest and highest.

    Returns
    -------
    Dataset (time, ...)
        ``vci`` (1, 0 worst to 100 best) and ``vci_status``: ``out_of_support`` where it was clipped.

    Formula
    -------
    VCI = 100 (NDVI - low) / (high - low), cut to 0 ... 100
    low and high: 2nd and 98th percentile of the same month or dekad of the other calibration years

    Limits
    ------
    * Bare ground is ``masked_dry_season``: where high - low is below 0.05 NDVI there is nothing to lose.
    * It tells how green, not why: irrigated fields follow the allocation of water, not rain; harvest and fallow
      look like drought.
    * 15 years tell the ends of the range roughly; a record is cut to 0 or 100 and marked ``out_of_support``.
    * Two satellites without years in common make a step that reads as a trend. Clouds, snow and water have to be
      left out before.

    References
    ----------
    Kogan 1995, Adv. Space Res. 15.
    """
    require_units(ndvi, "1")
    return _placed("vci", ndvi, calibration, season, min_years, min_range, percentiles)


def temperature_condition(
    lst: xr.DataArray,
    ndvi: xr.DataArray,
    calibration: tuple[int, int],
    *,
    season: Season = "month",
    min_years: int = 15,
    min_range: float = MIN_RANGE_LST,
    percentiles: tuple[float, float] = (2.0, 98.0),
    max_correlation: float = 0.0,
) -> xr.Dataset:
    """Temperature Condition Index: where the land's heat stands in its range of the season, 0 hottest and 100 coolest.

    Parameters
    ----------
    lst : DataArray (time, ...), degC, land surface temperature
    ndvi : DataArray (time, ...), 1, on the same axes
        Tells in which seasons warmth is no stress.
    calibration, season, min_years, percentiles : as of `vegetation_condition`
    min_range : float, degC
    max_correlation : float
        Seasons in which NDVI and LST of the calibration years correlate more are limited by energy,
        not by water: ``masked_dry_season``. So are those in which either of them never varies.

    Returns
    -------
    Dataset (time, ...): ``tci`` (1, 0 hottest to 100 coolest) and ``tci_status``

    Formula
    -------
    TCI = 100 (high - LST) / (high - low), cut to 0 ... 100
    low and high: 2nd and 98th percentile of the same month or dekad of the other calibration years

    Limits
    ------
    * Masked (``masked_dry_season``) in seasons in which warmth helps plants, corr(NDVI, LST) > 0 over the
      calibration years, and where high - low is below 1 degC, the accuracy of the satellite.
    * Of 15 years the sign of a correlation near 0 is chance, and so is then the mask.
    * Land surface temperature is seen on clear days alone: a cloudy month was cooler than it says.
    * It is no air temperature, and says nothing of the heat that people feel.

    References
    ----------
    Kogan 1995; Karnieli et al. 2010, J. Climate 23 (sign of the correlation).
    """
    require_units(lst, "degC")
    require_units(ndvi, "1")
    out = _placed("tci", lst, calibration, season, min_years, min_range, percentiles)
    correlation, pairs = _correlation(ndvi, lst, calibration, season)
    kept = has_status(out["tci_status"], KEEPS_VALUE)
    status = xr.where(kept & ~(correlation <= max_correlation), np.int8(Status.masked_dry_season), out["tci_status"])
    status = xr.where(kept & (pairs < min_years), np.int8(Status.insufficient_data), status)
    return _dataset("tci", out["tci"], status, lst.dims)


def vegetation_health(
    ndvi: xr.DataArray,
    lst: xr.DataArray,
    calibration: tuple[int, int],
    *,
    vci_weight: float = 0.5,
    season: Season = "month",
    min_years: int = 15,
    min_range: float = MIN_RANGE_NDVI,
    min_range_lst: float = MIN_RANGE_LST,
    percentiles: tuple[float, float] = (2.0, 98.0),
    max_correlation: float = 0.0,
) -> xr.Dataset:
    """Vegetation Health Index, a VCI + (1 - a) TCI, beside its two parts.

    Parameters
    ----------
    ndvi, lst, calibration, season, min_years, percentiles, max_correlation
        As of `vegetation_condition` and `temperature_condition`.
    vci_weight : float, 0 to 1
        The weight a.
    min_range, min_range_lst : float, 1 and degC

    Returns
    -------
    Dataset (time, ...)
        ``vci``, ``tci``, ``vhi`` (1, 0 worst to 100 best), each with its status; ``vhi`` only where both parts stand.

    Formula
    -------
    VHI = a VCI + (1 - a) TCI,  a = 0.5 unless told

    Limits
    ------
    * What VCI and TCI cannot say, it cannot; it stands only where both do.
    * The weight of one half is a convention, not a measurement; so are the classes below 10, 20, 30 and 40 (extreme,
      severe, moderate and mild drought).
    * Greenness and heat have one cause in common, so it is less than two witnesses.

    References
    ----------
    Kogan 1997, Bull. Am. Meteorol. Soc. 78.
    """
    if not 0.0 <= vci_weight <= 1.0:
        raise ValueError(f"vci_weight: found {vci_weight}, expected 0 to 1")
    of_season: dict[str, Any] = {"season": season, "min_years": min_years, "percentiles": percentiles}
    green = vegetation_condition(ndvi, calibration, min_range=min_range, **of_season)
    heat = temperature_condition(
        lst, ndvi, calibration, min_range=min_range_lst, max_correlation=max_correlation, **of_season
    )
    index = vci_weight * green["vci"] + (1.0 - vci_weight) * heat["tci"]
    status = more_cautious(green["vci_status"], heat["tci_status"])
    out = xr.merge([green, heat, _dataset("vhi", index, status, ndvi.dims)], join="exact")
    return out.assign_attrs(vci_weight=vci_weight)


_NAMES = {"vci": "vegetation condition index", "tci": "temperature condition index", "vhi": "vegetation health index"}


def _dataset(name: str, index: xr.DataArray, status: xr.DataArray, dims: tuple[Any, ...]) -> xr.Dataset:
    """Index, kept where its status keeps one, and that status."""
    kept = index.where(has_status(status, KEEPS_VALUE)).transpose(*dims)
    return xr.Dataset(
        {
            name: kept.assign_attrs(units="1", long_name=f"{_NAMES[name]} (0-100)"),
            f"{name}_status": status.astype("int8").transpose(*dims).assign_attrs(status_attrs()),
        }
    )


def _placed(
    name: str,
    values: xr.DataArray,
    calibration: tuple[int, int],
    season: Season,
    min_years: int,
    min_range: float,
    percentiles: tuple[float, float],
) -> xr.Dataset:
    """Index named ``name`` of values placed within the range of their season; TCI is turned, hot is 0."""
    index, status = _along_time(
        _place,
        [values],
        calibration,
        season,
        dtypes=[np.float64, np.int8],
        quantiles=(percentiles[0] / 100.0, percentiles[1] / 100.0),
        min_years=min_years,
        min_range=min_range,
        turned=name == "tci",
    )
    return _dataset(name, index, status, values.dims)


def _correlation(
    a: xr.DataArray, b: xr.DataArray, calibration: tuple[int, int], season: Season
) -> tuple[xr.DataArray, xr.DataArray]:
    """Pearson's correlation of two variables over the calibration years of each season, and how many pairs it has."""
    r, n = _along_time(_correlate, [a, b], calibration, season, dtypes=[np.float64, np.int16])
    return r, n


def _along_time(
    kernel: Callable[..., Any],
    values: list[xr.DataArray],
    calibration: tuple[int, int],
    season: Season,
    *,
    dtypes: list[Any],
    **options: Any,
) -> tuple[xr.DataArray, ...]:
    """Apply a kernel of arrays (..., time) that knows the season of each time and whether it calibrates."""
    times = pd.DatetimeIndex(values[0].indexes["time"])
    which = _season(times, season)
    if pd.MultiIndex.from_arrays([times.year, which]).has_duplicates:
        raise ContractError(f"{values[0].name}: a {season} stands twice on the time axis, expected one value each")
    return xr.apply_ufunc(
        kernel,
        *values,
        input_core_dims=[["time"]] * len(values),
        output_core_dims=[["time"]] * len(dtypes),
        kwargs={
            "season": which,
            "calibrated": np.asarray((times.year >= calibration[0]) & (times.year <= calibration[1])),
            **options,
        },
        join="exact",
        keep_attrs=False,
        dask="parallelized",
        output_dtypes=dtypes,
        dask_gufunc_kwargs={"allow_rechunk": True},
    )


# ------------------------------------------------------------------ numpy beneath


def _season(times: pd.DatetimeIndex, season: Season) -> np.ndarray:
    """Month 1-12 or dekad 1-36 of each time; the third dekad holds days 21 to the end.

    >>> _season(pd.to_datetime(["2001-01-01", "2001-01-11", "2001-01-31", "2001-12-21"]), "dekad")
    array([ 1,  2,  3, 36])
    """
    if season == "month":
        return np.asarray(times.month, dtype=int)
    return np.asarray(3 * (times.month - 1) + np.minimum((times.day - 1) // 10, 2) + 1, dtype=int)


def _rows(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Some times of an array (..., time), those of a cell side by side."""
    return np.ascontiguousarray(values[..., rows], dtype=np.float64)


def _place(
    values: np.ndarray,
    *,
    season: np.ndarray,
    calibrated: np.ndarray,
    quantiles: tuple[float, float],
    min_years: int,
    min_range: float,
    turned: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Place 0-100 in the range of the season, and status, of an array (..., time)."""
    index = np.full(values.shape, np.nan)
    status = np.empty(values.shape, dtype=np.int8)
    for s in np.unique(season):
        ordered = np.sort(_rows(values, np.flatnonzero((season == s) & calibrated)), axis=-1)  # NaN last
        years = np.isfinite(ordered).sum(axis=-1)
        for row in np.flatnonzero(season == s):
            x = values[..., row].astype(np.float64)
            own = np.isfinite(x) & calibrated[row]
            low, high = (_quantile_without(ordered, years, q, x, own) for q in quantiles)
            with np.errstate(divide="ignore", invalid="ignore"):
                place = 100.0 * ((high - x) if turned else (x - low)) / (high - low)
            flag = np.where((x < low) | (x > high), Status.out_of_support, Status.ok)
            flag = np.where((high - low >= min_range) & (high > low), flag, Status.masked_dry_season)
            flag = np.where(np.isnan(x) | (years < max(min_years, 2)), Status.insufficient_data, flag)
            index[..., row] = np.clip(place, 0.0, 100.0)
            status[..., row] = flag
    return index, status


def _quantile_without(ordered: np.ndarray, count: np.ndarray, q: float, x: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Quantile of the columns of an ordered array (..., year) without one value x, where ``own`` says it is among them.

    Leaving a value out moves those above it one place down, so nothing needs to be ordered again.
    """
    removed = np.where(own, (ordered < x[..., None]).sum(axis=-1), ordered.shape[-1])
    last = np.maximum(count - own - 1, 0)
    place = q * last
    below = np.floor(place).astype(np.intp)
    low, high = (_take(ordered, k + (k >= removed)) for k in (below, np.minimum(below + 1, last)))
    return low + (place - below) * (high - low)


def _take(ordered: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Value at one place of the last axis, NaN where that lies outside."""
    size = ordered.shape[-1]
    if size == 0:
        return np.full(place.shape, np.nan)
    found = np.take_along_axis(ordered, np.minimum(place, size - 1)[..., None], axis=-1)[..., 0]
    return np.where(place < size, found, np.nan)


def _correlate(
    a: np.ndarray, b: np.ndarray, *, season: np.ndarray, calibrated: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Correlation over the calibration years of each season, and pairs, of arrays (..., time)."""
    shape = np.broadcast_shapes(a.shape, b.shape)
    a, b = np.broadcast_to(a, shape), np.broadcast_to(b, shape)
    r, n = np.full(shape, np.nan), np.zeros(shape, dtype=np.int16)
    for s in np.unique(season):
        of_season = np.flatnonzero((season == s) & calibrated)
        x, y = _rows(a, of_season), _rows(b, of_season)
        both = np.isfinite(x) & np.isfinite(y)
        pairs = both.sum(axis=-1)
        with np.errstate(divide="ignore", invalid="ignore"):
            x, y = (_departures(v, both) for v in (x, y))
            found = (x * y).sum(axis=-1) / np.sqrt((x * x).sum(axis=-1) * (y * y).sum(axis=-1))
        r[..., season == s] = found[..., None]
        n[..., season == s] = pairs[..., None]
    return r, n


def _departures(values: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Departures from the mean of what is seen along the last axis; 0 where unseen, or rounding only."""
    mean = np.where(seen, values, 0.0).sum(axis=-1, keepdims=True) / seen.sum(axis=-1, keepdims=True)
    departures = np.where(seen, values - mean, 0.0)
    return np.where(
        np.abs(departures).max(axis=-1, keepdims=True, initial=0.0) > _ROUNDING * np.abs(mean), departures, 0.0
    )
