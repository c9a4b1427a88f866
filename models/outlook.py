"""Outlook from rain so far: what is known of a season, and the rest as it went in each past year.

It needs no forecast of others and claims none: late in a season most of the rain has fallen, and what is still to
come is as uncertain as the past years were. Along ``time``; every other dim passes through.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import gammaincinv, ndtr

from geodata.schema import ContractError, Status, require_units, status_attrs
from models.accumulation import month_axis
from models.spi import SpiParameters

MIN_YEARS = 20
"""Past years from which an outlook is given; from 30 the record is a complete one."""


@dataclass(frozen=True)
class Season:
    """The months whose rain the outlook is of.

    Parameters
    ----------
    end_month : int, calendar month in which they end; the year of that month is the year of the season
    months : int, how many; 7 ending in 4 are October to April
    trace_mm : float, mm, totals below this are zero
    """

    end_month: int
    months: int
    trace_mm: float = 1.0

    def __post_init__(self) -> None:
        if not (1 <= self.end_month <= 12 and 1 <= self.months <= 12 and self.trace_mm >= 0):
            raise ContractError(f"season: {self.months} months ending in month {self.end_month}, expected 1 to 12")

    def ends(self, years: Sequence[int]) -> pd.DatetimeIndex:
        """The month in which the season of each year ends."""
        return pd.DatetimeIndex([pd.Timestamp(y, self.end_month, 1) for y in years], name="time")


def season_totals(rain: xr.DataArray, season: Season, years: Sequence[int]) -> xr.DataArray:
    """Rain of the season of each year, labelled by the month in which it ends; NaN where a month is missing.

    >>> rain = xr.DataArray(
    ...     [5.0, 0.5, 0.2, np.nan], dims="time", attrs={"units": "mm/month"},
    ...     coords={"time": pd.date_range("2001-01", periods=4, freq="MS")},
    ... )
    >>> [float(season_totals(rain, Season(m, 2), [2001])[0]) for m in (2, 3, 4)]
    [5.5, 0.0, nan]
    """
    require_units(rain, "mm/month")
    rows = _rows(rain, season, years)
    total = _along_time(rain, lambda v: _trace(_sum(v, rows, season.months), season), ["year"], {"year": len(rows)})
    ends = season.ends(years)
    out = total.rename(year="time").assign_coords(time=ends).transpose(*rain.dims)
    return out.drop_attrs().assign_attrs(units="mm", long_name=f"rain of {season.months} months")


def quantile_threshold(
    rain: xr.DataArray, season: Season, training: Sequence[int], share: float, *, min_years: int = MIN_YEARS
) -> xr.DataArray:
    """Total that this share of the training years stayed at or below: the lower third for 1/3.

    Parameters
    ----------
    rain : DataArray (time, ...), mm/month
    season : Season
    training : years it may be learnt from
    share : float, above 0 and below 1
    min_years : int

    Returns
    -------
    DataArray (...), mm; NaN where it would be no rain at all (nothing drier could be told) or too few years are known
    """
    if not 0.0 < share < 1.0:
        raise ContractError(f"threshold: share {share:g}, expected above 0 and below 1")
    total = season_totals(rain, season, training)
    if total.chunks is not None:
        total = total.chunk(time=-1)
    known = total.notnull().sum("time")
    cut = total.quantile(share, "time", skipna=True).drop_vars("quantile")
    return cut.where((known >= max(min_years, 1)) & (cut > 0)).assign_attrs(units="mm", long_name="threshold")


def spi_threshold(parameters: SpiParameters, season: Season, index: float) -> xr.DataArray:
    """Total at which the SPI of the season is the index; the SPI is at most the index at this total and below.

    Parameters
    ----------
    parameters : SpiParameters of as many months, learnt from the training years alone
    season : Season
    index : float, 1

    Returns
    -------
    DataArray (...), mm; 0 where only a season without rain is as dry, NaN where not even that is, or nothing was learnt
    """
    if parameters.scale_months != season.months:
        raise ContractError(f"threshold: SPI of {parameters.scale_months} months, expected {season.months}")
    learnt = parameters.values.sel(month=season.end_month).drop_vars("month")
    p = float(ndtr(index))
    wet = (p - learnt["p0"]) / (1.0 - learnt["p0"])
    total = learnt["scale"] * xr.apply_ufunc(gammaincinv, learnt["shape"], wet.where(wet > 0), dask="allowed")
    total = xr.where(wet > 0, total, 0.0).where((learnt["p_zero"] <= p) | (wet > 0))
    return total.where(learnt["fit_status"] == Status.ok).assign_attrs(units="mm", long_name="threshold")


def season_event(rain: xr.DataArray, season: Season, years: Sequence[int], threshold: xr.DataArray) -> xr.DataArray:
    """1 where the season's total was at most the threshold, 0 where not, NaN where total or threshold is not known."""
    total = season_totals(rain, season, years)
    return (total <= threshold).where(total.notnull() & threshold.notnull()).transpose(*rain.dims).astype("float64")


def resampled_years_outlook(
    rain: xr.DataArray,
    season: Season,
    years: Sequence[int],
    past: Collection[int],
    threshold: xr.DataArray,
    *,
    leads: Sequence[int] = (1, 2, 3),
    min_years: int = MIN_YEARS,
) -> xr.Dataset:
    """Probability that a season stays at or below a total, from its months so far and each past year's remaining ones.

    Parameters
    ----------
    rain : DataArray (time, ...), mm/month
        Consecutive months; the season may end after them.
    season : Season
    years : seasons to speak about
    past : years whose remaining months may follow: those of the training fold, or all before
        A year that is spoken about may not be among them.
    threshold : DataArray (...), mm, of `quantile_threshold` or `spi_threshold` from the same past years
    leads : months from the last known month to the end of the season
    min_years : int
        Past years with known remaining months that are needed.

    Returns
    -------
    Dataset (time, lead, ...), time the month in which a season ends
        ``outlook`` (1, probability) and ``outlook_status``; ``members_below`` and ``members``, for odds in plain words;
        ``known_total`` (mm); ``known_share`` (lead, ...), the share of the past years' mean total that falls in the
        known months; ``ensemble`` (time, lead, member, ...), mm, member the past year. ``masked_dry_season`` where
        the threshold cannot be reached, ``insufficient_data`` where a known month is missing or past years are few.

    Formula
    -------
    T_i = known rain of this season + rain of the remaining months in past year i, and 0 where T_i < trace
    outlook = share of the past years with T_i <= threshold

    Limits
    ------
    * It knows no more than the rain so far: where that says little, early in a season, it says the usual odds.
    * Past years are taken as equally likely; a warmer or drier climate than theirs is not in it.
    * With n past years it moves in steps of 1 / n, and 0 means that none of them would have been enough.
    * One year's remaining months follow another's beginning: what a wet start tells of the end is lost.

    References
    ----------
    Day 1985 (ensemble of past years); Twedt et al. 1977; Lyon et al. 2012 (for accumulated drought indices).
    """
    require_units(rain, "mm/month")
    years, members, leads = list(years), sorted(past), list(leads)
    if again := sorted(set(years) & set(members)):
        raise ContractError(f"outlook: years {again} would follow themselves, expected past years without them")
    if not members or not years or any(not 1 <= lead <= season.months for lead in leads):
        raise ContractError(
            f"outlook: {len(members)} past years, {len(years)} years and leads {leads}, "
            f"expected some and leads of 1 to {season.months}"
        )
    own, other = _rows(rain, season, years), _rows(rain, season, members)
    sizes = {"year": len(years), "lead": len(leads), "member": len(members)}

    def known_of(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return np.stack([_sum(values, rows - lead, season.months - lead) for lead in leads], axis=-1)

    def every_member(values: np.ndarray) -> np.ndarray:
        rest = np.stack([_sum(values, other, lead) for lead in leads], axis=-2)  # (..., lead, member)
        return _trace(known_of(values, own)[..., None] + rest[..., None, :, :], season)

    known = _along_time(rain, lambda v: known_of(v, own), ["year", "lead"], sizes)
    ensemble = _along_time(rain, every_member, ["year", "lead", "member"], sizes)
    usual = _along_time(rain, lambda v: _share(known_of(v, other), _sum(v, other, season.months)), ["lead"], sizes)

    n = ensemble.notnull().sum("member")
    below = (ensemble <= threshold).sum("member")
    enough = (n >= max(min_years, 1)) & known.notnull()
    told = enough & threshold.notnull()
    status = xr.where(
        enough, xr.where(threshold.notnull(), Status.ok, Status.masked_dry_season), Status.insufficient_data
    )
    order = [d for d in rain.dims if d != "time"]
    found = xr.Dataset(
        {
            "outlook": (below / n.where(told)).assign_attrs(
                units="1", long_name="probability from rain so far and past years"
            ),
            "outlook_status": status.astype("int8").assign_attrs(status_attrs()),
            "members_below": below.where(told, 0)
            .astype("int16")
            .assign_attrs(units="1", long_name="past years that would end at or below the threshold"),
            "members": n.astype("int16").assign_attrs(units="1", long_name="past years"),
            "known_total": known.assign_attrs(units="mm", long_name="rain of the season so far"),
            "known_share": usual.assign_attrs(units="1", long_name="share of the usual rain that falls by then"),
            "ensemble": ensemble.assign_attrs(units="mm", long_name="rain of the season with each past year's rest"),
        },
        attrs={"end_month": season.end_month, "months": season.months},
    )
    ends = season.ends(years)
    last = np.array([[e - pd.DateOffset(months=lead) for lead in leads] for e in ends], dtype="datetime64[ns]")
    return (
        found.rename(year="time")
        .transpose("time", "lead", "member", *order)
        .assign_coords(time=ends, lead=leads, member=members, last_known=(("time", "lead"), last))
    )


# ------------------------------------------------------------------ numpy beneath


def _rows(rain: xr.DataArray, season: Season, years: Sequence[int]) -> np.ndarray:
    """Row in which the season of each year ends; it may lie outside the record."""
    first = month_axis(rain)[0]
    return np.array([(y - first.year) * 12 + season.end_month - first.month for y in years], dtype=int)


def _sum(values: np.ndarray, last: np.ndarray, months: int) -> np.ndarray:
    """Totals (..., row) of so many months up to each row; NaN where one of them is missing or outside the record."""
    total = np.zeros((*values.shape[:-1], len(last)))
    for shift in range(months):
        row = last - months + 1 + shift
        inside = (row >= 0) & (row < values.shape[-1])
        total += np.where(inside, values[..., np.where(inside, row, 0)], np.nan)
    return total


def _trace(total: np.ndarray, season: Season) -> np.ndarray:
    return np.where(total < season.trace_mm, 0.0, total)


def _share(known: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Share (..., lead) of the mean total that the known months hold, over years whose months are all known."""
    seen = np.isfinite(whole)
    part = np.where(seen[..., None], known, 0.0).sum(axis=-2)
    total = np.where(seen, whole, 0.0).sum(axis=-1)[..., None]
    return np.divide(part, total, out=np.full(part.shape, np.nan), where=total > 0)


def _along_time(
    rain: xr.DataArray, kernel: Callable[[np.ndarray], np.ndarray], dims: list[str], sizes: dict[str, int]
) -> xr.DataArray:
    """Kernel (..., time) -> (..., *dims), lazily where the rain is lazy."""
    return xr.apply_ufunc(
        kernel,
        rain,
        input_core_dims=[["time"]],
        output_core_dims=[dims],
        dask="parallelized",
        output_dtypes=[np.float64],
        dask_gufunc_kwargs={"output_sizes": {d: sizes[d] for d in dims}, "allow_rechunk": True},
    )
