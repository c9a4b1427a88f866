"""Heat: hot days, hot nights and days of heat waves in each month, from daily extremes of the air temperature.

Rules: a month needs 95 % of its days; within the 5 % an unseen day counts as not hot, so that a count
is "at least". A day of a heat wave counts in its own month, though the wave began in the month
before. An unseen day ends a wave; where a seen day would be part of one if the unseen day had been
hot, the month is ``insufficient_data``. The last days of a record are judged by what is known of
them: two hot days at its end may yet become a wave.

The 95th percentile of the calendar day is taken from the calibration years, a year among them
included. So a day in the calibration is compared with a sample that it belongs to and a later
day is not, and the share of hot days jumps a little where the calibration ends (Zhang et al. 2005,
J. Climate 18). Against fixed limits alone (hot days, hot nights) nothing jumps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from geodata.schema import ContractError, require_units, status_like
from models.daily import COMPLETE, days_of, float_type, month_blocks, over_cells, sorted_quantile, year_blocks

_CALENDAR_DAYS = 365  # 29 February stands with 28 February


@dataclass(frozen=True)
class HeatRules:
    """What counts as hot.

    Parameters
    ----------
    hot_day_above_degc : float, degC, of the daily maximum
    hot_night_above_degc : float, degC, of the daily minimum
    wave_above_degc : float, degC
        No day of a wave is cooler than this, however cool its season usually is.
    wave_percentile : float, 0 to 1, of the calendar day, which a day of a wave exceeds too
    wave_days : int, days in a row that make a wave
    window_days : int, odd
        Days around the calendar day whose maxima make its percentile: 5 as ETCCDI, 15 for a smoother one.
    min_days : float, share of a month's days that must be seen
    min_years : int, complete calendar years that the percentile needs
    """

    hot_day_above_degc: float = 45.0
    hot_night_above_degc: float = 30.0
    wave_above_degc: float = 42.0
    wave_percentile: float = 0.95
    wave_days: int = 3
    window_days: int = 5
    min_days: float = COMPLETE
    min_years: int = 30

    def __post_init__(self) -> None:
        if self.window_days < 1 or self.window_days % 2 == 0:
            raise ContractError(f"heat: window_days {self.window_days}, expected an odd number")
        if self.wave_days < 1 or not 0 < self.wave_percentile < 1:
            raise ContractError(
                f"heat: wave of {self.wave_days} days above the percentile {self.wave_percentile},"
                " expected at least a day, and between 0 and 1"
            )


DEFAULT_RULES = HeatRules()


def hot_days(tmax: xr.DataArray, rules: HeatRules = DEFAULT_RULES) -> xr.Dataset:
    """Days of each month whose maximum lies above a limit.

    Parameters
    ----------
    tmax : DataArray (time, ...), degC, consecutive days, NaN where not seen
    rules : HeatRules

    Returns
    -------
    Dataset (time = month starts, ...): ``hot_days`` (day) and ``hot_days_status``

    Raises
    ------
    ContractError
        Other units, or a time axis that is not of consecutive days.

    Formula
    -------
    hot days = days of the month with Tmax > limit (45 degC unless told)

    Limits
    ------
    * One limit for all: 45 degC is ordinary in the plain and unheard of in the mountains, and people get used to heat.
    * Air temperature alone. Humidity, sun and wind decide what a body bears; no UTCI and no WBGT is computed.
    * A cell's mean temperature hides the city in it. The mean over a subdistrict counts parts of days.
    * A month needs 95 % of its days; the others count as not hot, so that a count is "at least".

    References
    ----------
    The project's own limit, in the manner of the ETCCDI counts of summer days (SU).
    """
    words = f"days with a maximum above {rules.hot_day_above_degc:g} degC"
    return _counted(tmax, rules.hot_day_above_degc, rules, "hot_days", words)


def hot_nights(tmin: xr.DataArray, rules: HeatRules = DEFAULT_RULES) -> xr.Dataset:
    """Days of each month whose minimum lies above a limit: nights in which nobody recovers.

    Parameters and Raises as of `hot_days`.

    Returns
    -------
    Dataset (time = month starts, ...): ``hot_nights`` (day) and ``hot_nights_status``

    Formula
    -------
    hot nights = days of the month with Tmin > limit (30 degC unless told)

    Limits
    ------
    * The lowest temperature of the day stands for the night; indoors it may be hotter until the morning.
    * What `hot_days` cannot say, it cannot.

    References
    ----------
    The project's own limit, in the manner of the ETCCDI counts of tropical nights (TR).
    """
    words = f"nights with a minimum above {rules.hot_night_above_degc:g} degC"
    return _counted(tmin, rules.hot_night_above_degc, rules, "hot_nights", words)


def heat_wave_days(
    tmax: xr.DataArray,
    calibration: tuple[int, int] | None = None,
    rules: HeatRules = DEFAULT_RULES,
    *,
    percentile: xr.DataArray | None = None,
) -> xr.Dataset:
    """Days of each month that belong to a heat wave.

    Parameters
    ----------
    tmax : DataArray (time, ...), degC, consecutive days, NaN where not seen
        A Dask array is worked on chunk by chunk, with the whole time axis of a chunk's cells in memory.
    calibration : (first year, last year), both included
    rules : HeatRules
    percentile : DataArray (calendar_day, ...), degC, optional
        Learnt earlier (`warm_day_percentile`); then nothing is fitted, and no calibration is asked for.

    Returns
    -------
    Dataset (time = month starts, ...)
        ``heat_wave_days`` (day) and ``heat_wave_days_status``: insufficient_data also where the calibration has
        fewer than ``min_years`` complete years.

    Raises
    ------
    ContractError
        Other units, or a time axis that is not of consecutive days.

    Formula
    -------
    hot day: Tmax > P95 of the calendar day, and Tmax > 42 degC
    heat wave: 3 hot days or more in a row;  heat wave days = days of the month that belong to one
    P95: of the maxima in a window of 5 days around the calendar day, days of the calibration years all of them,
    position (n + 1/3) 0.95 + 1/3

    Limits
    ------
    * 30 years make a sample of 150 days, and 7 of them lie above P95: it is rough, and with fewer years rougher.
    * The calibration years belong to their own sample, so that heat seems to jump a little where they end.
    * An unseen day ends a wave; where it may have joined two parts the month is ``insufficient_data``. Two hot days
      at the end of a record may yet become a wave: the two days after a month may raise its count, and none later.
    * A wave of the spring below 42 degC is none, though nobody is used to heat by then.
    * Air temperature alone, as `hot_days`.

    References
    ----------
    The project's own definition; window and base period of ETCCDI's TX90p, quantile of type 8 (Hyndman and Fan 1996).
    """
    require_units(tmax, "degC")
    if calibration is None and percentile is None:
        raise ContractError("heat waves: found neither calibration years nor what was learnt from them")
    kernel = _Waves(days_of(tmax), calibration, rules)
    inputs: list[tuple[xr.DataArray, tuple[str, ...]]] = [(tmax, ("time",))]
    if percentile is not None:
        inputs.append((percentile, ("calendar_day",)))
    (found,) = over_cells(kernel.count, inputs, kernel.months.labels, [float_type(tmax)])
    words = (
        f"days of heat waves: {rules.wave_days} or more above {rules.wave_above_degc:g} degC and warm for the season"
    )
    return _named(found, "heat_wave_days", words)


def warm_day_percentile(
    tmax: xr.DataArray, calibration: tuple[int, int], rules: HeatRules = DEFAULT_RULES
) -> xr.DataArray:
    """Percentile of the maxima around each calendar day of the calibration years, to be saved and used again.

    Parameters and Raises as of `heat_wave_days`.

    Returns
    -------
    DataArray (calendar_day 1..365, ...), degC
        29 February has the percentile of 28 February. NaN where fewer than ``min_years`` complete years.

    References
    ----------
    ETCCDI TX90p, with its window of 5 days; quantile of type 8 (Hyndman and Fan 1996).
    """
    require_units(tmax, "degC")
    kernel = _Waves(days_of(tmax), calibration, rules)
    labels = pd.RangeIndex(1, _CALENDAR_DAYS + 1, name="calendar_day")
    (found,) = over_cells(kernel.learn, [(tmax, ("time",))], labels, [float_type(tmax)])
    return found.assign_attrs(units="degC", long_name="percentile of the daily maxima around the day")


def heat_indices(
    tmax: xr.DataArray, tmin: xr.DataArray, calibration: tuple[int, int], rules: HeatRules = DEFAULT_RULES
) -> xr.Dataset:
    """Hot days, hot nights and days of heat waves together.

    Parameters
    ----------
    tmax, tmin : DataArray (time, ...), degC, on the same days and cells
    calibration : (first year, last year), both included
    rules : HeatRules

    Returns
    -------
    Dataset (time = month starts, ...): the variables of `hot_days`, `hot_nights` and `heat_wave_days`
    """
    parts = (hot_days(tmax, rules), hot_nights(tmin, rules), heat_wave_days(tmax, calibration, rules))
    try:
        return xr.merge(parts, join="exact", compat="no_conflicts")
    except (xr.AlignmentError, xr.MergeError) as error:
        found = f"{tmax.name}, {tmin.name}: found different labels"
        raise ContractError(f"{found}, expected the same days and cells ({error})") from None


# ------------------------------------------------------------------ numpy beneath


def _named(found: xr.DataArray, name: str, words: str) -> xr.Dataset:
    return xr.Dataset({name: found.assign_attrs(units="day", long_name=words), f"{name}_status": status_like(found)})


def _counted(values: xr.DataArray, above: float, rules: HeatRules, name: str, words: str) -> xr.Dataset:
    """Days of each month above a limit."""
    require_units(values, "degC")
    months = month_blocks(days_of(values))

    def count(temperature: np.ndarray) -> tuple[np.ndarray]:
        out = np.empty((len(months.labels), temperature.shape[1]))
        for i, (start, stop) in enumerate(months.rows):
            days = temperature[start:stop]
            seen = np.isfinite(days).sum(axis=0)
            enough = seen >= rules.min_days * months.lengths[i]
            out[i] = np.where(enough, (days > above).sum(axis=0), np.nan)
        return (out,)

    (found,) = over_cells(count, [(values, ("time",))], months.labels, [float_type(values)])
    return _named(found, name, words)


class _Waves:
    """Heat waves of maxima (day, cell)."""

    def __init__(self, days: pd.DatetimeIndex, calibration: tuple[int, int] | None, rules: HeatRules):
        self.months, self._rules = month_blocks(days), rules
        is_leap_day = (days.month == 2) & (days.day == 29)
        after_it = days.is_leap_year & (days.month > 2)
        self._calendar = np.asarray(days.day_of_year - 1 - is_leap_day - after_it)  # 0..364
        years = year_blocks(days, 1)
        first, last = calibration or (1, 0)
        inside = (years.labels >= first) & (years.labels <= last)
        self._years = [(*rows, n) for rows, n, is_in in zip(years.rows, years.lengths, inside, strict=True) if is_in]
        self._calibrated = (days.year >= first) & (days.year <= last)
        self._centres = np.flatnonzero(self._calibrated & ~is_leap_day)

    def learn(self, tmax: np.ndarray) -> tuple[np.ndarray]:
        """Percentile of each calendar day (calendar day, cell)."""
        out = np.full((_CALENDAR_DAYS, tmax.shape[1]), np.nan)
        enough = self._has_years(tmax)
        if enough.any():
            for day in range(_CALENDAR_DAYS):
                out[day] = np.where(enough, self._percentile(tmax, day), np.nan)
        return (out,)

    def _has_years(self, tmax: np.ndarray) -> np.ndarray:
        complete = np.zeros(tmax.shape[1], dtype=int)
        for start, stop, length in self._years:
            complete += np.isfinite(tmax[start:stop]).sum(axis=0) >= self._rules.min_days * length
        return complete >= self._rules.min_years

    def _percentile(self, tmax: np.ndarray, day: int) -> np.ndarray:
        """Percentile (cell,) of the maxima in a window around one calendar day of the calibration years."""
        half = self._rules.window_days // 2
        centres = self._centres[self._calendar[self._centres] == day]
        rows = (centres[:, None] + np.arange(-half, half + 1)).ravel()
        rows = rows[(rows >= 0) & (rows < len(tmax))]
        sample = tmax[rows[self._calibrated[rows]]].T.copy()  # no day of the year after moves what was learnt
        sample[np.isnan(sample)] = np.inf
        sample.sort(axis=1)
        return sorted_quantile(sample, self._rules.wave_percentile)

    def count(self, tmax: np.ndarray, percentile: np.ndarray | None = None) -> tuple[np.ndarray]:
        """Days of heat waves (month, cell), NaN where unknown."""
        hot, unseen = np.zeros(tmax.shape, dtype=bool), np.isnan(tmax)
        known = self._has_years(tmax) if percentile is None else np.isfinite(percentile).all(axis=0)
        for day in range(_CALENDAR_DAYS) if known.any() else ():
            rows = np.flatnonzero(self._calendar == day)
            warm = tmax[rows] > self._rules.wave_above_degc
            if warm.any():  # the percentile of a winter's day decides nothing
                limit = self._percentile(tmax, day) if percentile is None else percentile[day]
                hot[rows] = warm & (tmax[rows] > limit.astype(tmax.dtype))
        wave = _in_runs(hot, self._rules.wave_days)
        doubtful = _in_runs(hot | unseen, self._rules.wave_days) & hot & ~wave
        out = np.empty((len(self.months.labels), tmax.shape[1]))
        for i, (start, stop) in enumerate(self.months.rows):
            seen = (stop - start) - unseen[start:stop].sum(axis=0)
            sure = known & (seen >= self._rules.min_days * self.months.lengths[i]) & ~doubtful[start:stop].any(axis=0)
            out[i] = np.where(sure, wave[start:stop].sum(axis=0), np.nan)
        return (out,)


def _in_runs(member: np.ndarray, shortest: int) -> np.ndarray:
    """Days (day, cell) that belong to a run of at least so many.

    >>> _in_runs(np.array([[1], [1], [0], [1], [1], [1]], dtype=bool), 3).ravel().astype(int)
    array([0, 0, 0, 1, 1, 1])
    """
    days = len(member)
    starts = np.ones((max(days - shortest + 1, 0), *member.shape[1:]), dtype=bool)
    for shift in range(shortest):
        starts &= member[shift : shift + len(starts)]
    out = np.zeros_like(member)
    for shift in range(shortest):
        out[shift : shift + len(starts)] |= starts
    return out
