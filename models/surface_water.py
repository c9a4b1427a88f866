"""Open water seen from satellites: how the area of this period stands against the same unit's own record."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
import xarray as xr

from geodata.schema import Status, status_attrs
from models.percentile import percentile_of_month


def water_percentile(
    area: xr.DataArray,
    calibration: tuple[int, int],
    *,
    years_without_imagery: Iterable[int] = (),
    detect: bool = True,
    min_years: int = 20,
    min_area_km2: float = 0.1,
) -> xr.Dataset:
    """Percentile of the water area among the calibration years, and its change from the median.

    Parameters
    ----------
    area : DataArray (time, pcode, ...), km2; one value per year, or per month
    calibration : (first year, last year), both included
    years_without_imagery : years whose readings are no observation (declared)
    detect : bool
        Look for further such years with `find_years_without_imagery`, and leave them out too.
    min_years : int
        Seen years a percentile needs.
    min_area_km2 : float, km2
        Units whose median lies below are usually dry: a percentile of a few pixels says nothing.

    Returns
    -------
    Dataset (time, pcode, ...)
        ``water_percentile`` (1, 0 least water) with its status, ``water_anomaly`` (1, area over
        median minus 1) with its status. Attributes, years in words separated by spaces:
        ``years_without_imagery`` those left out, ``years_found`` those of them that nobody declared.
    """
    declared = sorted(set(years_without_imagery))
    found = (
        [y for y in find_years_without_imagery(area, min_area_km2=min_area_km2) if y not in declared] if detect else []
    )
    year = area["time"].dt.year
    seen = area.where(~year.isin([*declared, *found]))
    inside = (year >= calibration[0]) & (year <= calibration[1])
    median = seen.where(inside).median("time")
    wet = median >= min_area_km2
    ranked = percentile_of_month(seen, calibration, min_years=min_years)
    ok = wet & (ranked.status == int(Status.ok))
    status = xr.where(ok, np.int8(Status.ok), np.int8(Status.insufficient_data)).astype("int8")
    status = status.transpose(*area.dims).assign_attrs(status_attrs())
    anomaly = seen / median.where(wet) - 1.0
    return xr.Dataset(
        {
            "water_percentile": ranked.percentile.where(ok)
            .transpose(*area.dims)
            .assign_attrs(units="1", long_name="percentile of the open water area"),
            "water_percentile_status": status,
            "water_anomaly": anomaly.where(ok)
            .transpose(*area.dims)
            .assign_attrs(units="1", long_name="open water area against its median, relative"),
            "water_anomaly_status": status,
        },
        attrs={"years_without_imagery": _words(sorted([*declared, *found])), "years_found": _words(found)},
    )


def find_years_without_imagery(
    area: xr.DataArray, *, min_area_km2: float = 0.1, emptied: float = 0.05, share: float = 0.3
) -> tuple[int, ...]:
    """Years in which too many usually wet units read almost nothing at once.

    A drought empties some lakes; only a missing image empties a third of a country's units to
    a twentieth of their median in one year.

    Parameters
    ----------
    area : DataArray (time, pcode, ...), km2
    min_area_km2 : float, km2
        Units whose median over the record, of the same month, reaches this are usually wet.
    emptied : float
        Share of the unit's own median of that month below which it counts as empty.
    share : float
        Share of usually wet units that must be empty.

    Returns
    -------
    tuple of int, years in order
    """
    # each month against its own: a lake that shrinks every August is not a lake nobody looked at
    months = area["time"].dt.month
    median = area.groupby(months).median("time").sel(month=months).drop_vars("month")
    wet = median >= min_area_km2
    if not bool(wet.any()):
        return ()
    units = [d for d in area.dims if d != "time"]
    empty = (area < emptied * median) & wet
    reading = area.notnull() & wet
    lost = empty.sum(units) / reading.sum(units).clip(min=1)
    years = pd.Series(np.asarray(lost), index=np.asarray(area["time"].dt.year)).groupby(level=0).max()
    return tuple(int(y) for y in years.index[years > share])


def _words(years: Iterable[int]) -> str:
    return " ".join(str(y) for y in years)
