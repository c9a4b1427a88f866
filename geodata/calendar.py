"""Periods and months: which value of a source may speak at which month, and how old it is.

A run that looks at month m knows nothing that became available after the end of m. A period ends,
then is published `available_after_days` later; only then does it count.
"""

from __future__ import annotations

import calendar as gregorian

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from .schema import KEEPS_VALUE, ContractError, Status, status_attrs

_FREQUENCY = {"day": "D", "month": "MS", "year": "YS"}


def period_start(moment: pd.Timestamp, cadence: str) -> pd.Timestamp:
    """Start of the period that `moment` lies in; a "round" or "once" is the day itself.

    >>> period_start(pd.Timestamp("2019-02-28 12:00"), "dekad")
    Timestamp('2019-02-21 00:00:00')
    """
    day = pd.Timestamp(moment).normalize()
    if cadence == "year":
        return day.replace(month=1, day=1)
    if cadence == "month":
        return day.replace(day=1)
    return day.replace(day=min(10 * ((day.day - 1) // 10), 20) + 1) if cadence == "dekad" else day


def next_period(start: pd.Timestamp, cadence: str) -> pd.Timestamp:
    """Start of the period after the one that begins at `start`.

    >>> next_period(pd.Timestamp("2019-02-21"), "dekad")
    Timestamp('2019-03-01 00:00:00')
    """
    if cadence == "dekad" and start.day < 21:
        return start + pd.Timedelta(days=10)
    if cadence in ("month", "dekad"):
        return start.replace(day=1) + pd.DateOffset(months=1)
    return start + (pd.DateOffset(years=1) if cadence == "year" else pd.Timedelta(days=1))


def period_range(first: pd.Timestamp, last: pd.Timestamp, cadence: str) -> pd.DatetimeIndex:
    """Starts of all periods from `first` to `last`, both included."""
    if cadence in _FREQUENCY:
        return pd.date_range(first, last, freq=_FREQUENCY[cadence], unit="ns")
    starts, start = [], first
    while start <= last:
        starts.append(start)
        start = next_period(start, cadence)
    return pd.DatetimeIndex(starts).as_unit("ns")


def period_label(start: pd.Timestamp, cadence: str) -> str:
    """A period as findings name it: "2019", "2019-02" or "2019-02-21"."""
    return str(start.strftime({"year": "%Y", "month": "%Y-%m"}.get(cadence, "%Y-%m-%d")))


def period_ends(starts: pd.DatetimeIndex, cadence: str) -> pd.DatetimeIndex:
    """Last day of each period; of a "round" or "once", the day itself.

    >>> period_ends(pd.DatetimeIndex(["2020-02-01"]), "month")[0].date().isoformat()
    '2020-02-29'
    """
    one_day = pd.Timedelta(days=1)
    month_ends = starts - pd.to_timedelta(starts.day - 1, unit="D") + pd.DateOffset(months=1) - one_day
    ends = {
        "year": starts + pd.DateOffset(years=1) - one_day,
        "month": month_ends,
        "dekad": month_ends.where(starts.day >= 21, starts + 9 * one_day),
    }
    return pd.DatetimeIndex(ends.get(cadence, starts).values).as_unit("ns")


def month_axis(first: str | pd.Timestamp, as_of: str | pd.Timestamp) -> pd.DatetimeIndex:
    """Starts of all months from `first` to `as_of`, both included.

    >>> [m.strftime("%Y-%m") for m in month_axis("2018-11", "2019-01")]
    ['2018-11', '2018-12', '2019-01']
    """
    start, stop = (period_start(pd.Timestamp(m), "month") for m in (first, as_of))
    if start > stop:
        raise ContractError(f"months: found {first} after {as_of}, expected the first month not to come after as-of")
    return period_range(start, stop, "month")


def month_end(month: pd.Timestamp) -> pd.Timestamp:
    """Last day of a month."""
    return month.replace(day=gregorian.monthrange(month.year, month.month)[1])


def onto_months(
    values: xr.DataArray,
    status: xr.DataArray,
    period_end: pd.DatetimeIndex,
    *,
    available_after_days: int,
    max_age_days: int | None,
    months: pd.DatetimeIndex,
    skip_missing: bool = False,
) -> tuple[xr.DataArray, xr.DataArray]:
    """What was known of a source at the end of each month.

    Parameters
    ----------
    values, status : DataArray (time, pcode)
        One row for each period of the source, in any order.
    period_end : DatetimeIndex (time,)
        Last day of each period.
    available_after_days : int
        Days from then until the value can be had.
    max_age_days : int or None
        Age, from the end of the period to the end of the month, beyond which a value is stale.
    months : DatetimeIndex (month,)
        Starts of the months asked for.
    skip_missing : bool
        True: a period that keeps no value gives way to the latest before it that does, unit by
        unit; where none ever did, it speaks with its own status. False: it speaks, with its own status.

    Returns
    -------
    values, status : DataArray (time, pcode)
        On the months: the latest period that was available by then; input_missing before the
        first. No value that came later can change them.
    """
    ends = pd.DatetimeIndex(period_end)
    if len(ends) != values.sizes["time"] or not ends.is_unique:
        raise ContractError(f"{values.name}: found {len(ends)} period ends, expected one for each period, none twice")
    order = np.argsort(ends.to_numpy(), kind="stable")
    ends = ends[order]
    v = values.transpose("time", "pcode").values[order].astype("float64")
    s = status.transpose("time", "pcode").values[order].astype("int8")
    month_ends = pd.DatetimeIndex([month_end(m) for m in months])
    known = np.searchsorted((ends + pd.Timedelta(days=available_after_days)).to_numpy(), month_ends.to_numpy(), "right")
    speaks = _speaking(np.isin(s, [int(k) for k in KEEPS_VALUE]) & ~np.isnan(v), skip_missing)
    latest = np.where(known[:, np.newaxis] > 0, speaks[np.maximum(known - 1, 0)], -1) if len(ends) else None
    if latest is None:
        latest = np.full((len(months), values.sizes["pcode"]), -1)
        v, s, ends = np.full((1, v.shape[1]), np.nan), np.zeros((1, v.shape[1]), "int8"), month_ends[:1]
    picked = np.maximum(latest, 0)
    unit = np.arange(v.shape[1])
    out = np.where(latest >= 0, v[picked, unit], np.nan)
    flags = np.where(latest >= 0, s[picked, unit], np.int8(Status.input_missing)).astype("int8")
    if max_age_days is not None:
        age = month_ends.to_numpy()[:, np.newaxis] - ends.to_numpy()[picked]
        old = (age > np.timedelta64(max_age_days, "D")) & ~np.isnan(out)
        flags[old] = Status.stale
    coords = {"time": months, "pcode": values["pcode"].values}
    return (
        xr.DataArray(out, dims=("time", "pcode"), coords=coords, name=values.name, attrs=values.attrs),
        xr.DataArray(flags, dims=("time", "pcode"), coords=coords, name=status.name, attrs=status_attrs()),
    )


def _speaking(kept: npt.NDArray[np.bool_], skip_missing: bool) -> npt.NDArray[np.intp]:
    """Row that speaks for each row and unit: itself, or the latest up to it that keeps a value, if any does."""
    row = np.arange(kept.shape[0])[:, np.newaxis]
    if not skip_missing:
        return np.broadcast_to(row, kept.shape)
    speaks = np.maximum.accumulate(np.where(kept, row, -1), axis=0)
    return np.where(speaks >= 0, speaks, row)
