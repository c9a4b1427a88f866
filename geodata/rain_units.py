"""Rain in one unit: millimetres per period, converted once, at the door."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from .calendar import next_period
from .grids import Floats

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


def rain_factor(units: str, cadence: str, periods: pd.DatetimeIndex) -> Floats:
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
    raise ValueError(f"units: found {units!r} for precipitation per {cadence}, expected one of {', '.join(known)}")
