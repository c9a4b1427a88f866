"""Rain and evaporation in one unit: millimetres per period, converted once, at the door."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import xarray as xr

from .calendar import next_period, period_start
from .grids import Floats
from .schema import ContractError

_MM_PER_PERIOD = {"mm": 1.0, "cm": 10.0, "m": 1000.0, "kg m-2": 1.0}
_MM_PER_DAY = {
    "mm/day": 1.0,
    "m/day": 1000.0,
    "mm/hour": 24.0,
    "kg m-2 s-1": 86400.0,
    "mm/s": 86400.0,
}


def _plain_units(units: str) -> str:
    """Units in one spelling.

    >>> _plain_units("mm month-1"), _plain_units("mm d^-1"), _plain_units("kg/m^2/s")
    ('mm/month', 'mm/day', 'kg m-2 s-1')
    """
    plain = re.sub(r"\s+", " ", units.strip()).replace("**", "").replace("^", "").replace("metres", "m")
    plain = re.sub(r"^kg ?/ ?m2 ?/ ?s$|^kg m-2 ?/ ?s$", "kg m-2 s-1", plain)
    plain = re.sub(r"^kg ?/ ?m2$", "kg m-2", plain)
    plain = re.sub(r"^(mm|m|cm) ?(?:/|per) ?(\w+)$|^(mm|m|cm) (\w+)-1$", _one_period, plain)
    return {"millimetres": "mm", "millimeters": "mm", "meters": "m", "metre": "m", "meter": "m"}.get(plain, plain)


def _one_period(found: re.Match[str]) -> str:
    length, period = found[1] or found[3], found[2] or found[4]
    words = {"d": "day", "days": "day", "mon": "month", "months": "month", "h": "hour", "hr": "hour", "sec": "s"}
    words |= {"yr": "year", "years": "year", "a": "year", "dekads": "dekad"}
    return f"{length}/{words.get(period, period)}"


def rain_factor(units: str, cadence: str, periods: pd.DatetimeIndex, quantity: str = "precipitation") -> Floats:
    """Millimetres per period that one unit stands for, array (time,).

    A depth ("mm", "m", "mm/month" with a monthly cadence) is the total of the period; a rate
    ("mm/day", "kg m-2 s-1") is multiplied by the days of the period.

    >>> rain_factor("m/day", "month", pd.DatetimeIndex(["2019-02-01"]))
    array([28000.])
    """
    plain = _plain_units(units).removesuffix(f"/{cadence}")
    if plain in _MM_PER_PERIOD:
        return np.full(len(periods), _MM_PER_PERIOD[plain])
    rate = _plain_units(units)
    if rate in _MM_PER_DAY:
        ends = pd.DatetimeIndex([next_period(p, cadence) for p in periods], dtype=periods.dtype)
        days = (ends - periods).days.to_numpy() if len(periods) else np.empty(0)
        return _MM_PER_DAY[rate] * days.astype("float64")
    known = sorted([*_MM_PER_PERIOD, *_MM_PER_DAY, f"mm/{cadence}", f"m/{cadence}"])
    raise ValueError(f"units: found {units!r} for {quantity} per {cadence}, expected one of {', '.join(known)}")


def months_from_dekads(raster: xr.DataArray) -> xr.DataArray:
    """Rain of months from that of their three dekads, which have 10, 10 and 8 to 11 days.

    Parameters
    ----------
    raster : DataArray (time, ...), "mm/dekad" or "mm/day" (a rate over the dekad)
        Time is the first day of each dekad: the 1st, 11th or 21st.

    Returns
    -------
    DataArray (time, ...), mm/month
        Time is the first day of each month that has a dekad. A month of which a dekad is
        missing is missing: two dekads say nothing of the third.

    Raises
    ------
    ContractError : other units, times that are no dekads, or the same dekad twice

    Examples
    --------
    >>> days = pd.DatetimeIndex(["2019-02-01", "2019-02-11", "2019-02-21", "2019-03-01"])
    >>> rate = xr.DataArray([1.0, 1.0, 2.0, 1.0], dims="time", coords={"time": days}, attrs={"units": "mm/day"})
    >>> months_from_dekads(rate).values
    array([36., nan])
    """
    times = pd.DatetimeIndex(raster.indexes["time"])
    if not times.is_unique or any(t != period_start(t, "dekad") for t in times):
        raise ContractError(f"{raster.name}: times that are no dekads, or twice, expected days 1, 11 and 21")
    if raster.attrs.get("units") not in ("mm/dekad", "mm/day"):
        raise ContractError(f"{raster.name}: units {raster.attrs.get('units')!r}, expected 'mm/dekad' or 'mm/day'")
    months = pd.DatetimeIndex(times.to_period("M").unique().sort_values().to_timestamp()).as_unit("ns")
    dekads = [period_start(month + pd.Timedelta(days=10 * k), "dekad") for month in months for k in range(3)]
    starts = pd.DatetimeIndex(dekads).as_unit("ns")
    depths = raster.reindex(time=starts)
    if raster.attrs["units"] == "mm/day":
        days = [(next_period(start, "dekad") - start).days for start in starts]
        depths = depths * xr.DataArray(np.asarray(days, raster.dtype), dims="time", coords={"time": starts})
    first, second, third = (depths.isel(time=slice(k, None, 3)).assign_coords(time=months) for k in range(3))
    return (first + second + third).rename(raster.name).assign_attrs(raster.attrs, units="mm/month")
