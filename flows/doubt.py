"""Years whose reading is in doubt: nothing is told of them, and nothing older in their stead."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from geodata.calendar import month_end, period_ends
from geodata.options import SourceOptions
from geodata.schema import Status


def without_doubtful_years(told: xr.Dataset, own: xr.Dataset, scored: str, source: SourceOptions) -> xr.Dataset:
    """Indices and scores without the months for which a year in doubt speaks: insufficient_data.

    A year that is found without images may as well be one of great drought. The year before may
    stand in for a year that is known to have none, with its age; here it would look like calm.
    The doubt lasts until the unit is seen again.

    Parameters
    ----------
    told : Dataset (time, ...) on months, with the attribute ``years_found`` where a method found such years
    own : Dataset (time, ...), the indices on the source's own axis
    scored : str, name of the one that is NaN where nothing was seen
    source : SourceOptions, whose cadence it has

    Returns
    -------
    Dataset, as given
    """
    years = [int(year) for year in told.attrs.get("years_found", "").split()]
    if not years:
        return told
    doubtful = _speaks_in_doubt(told["time"], own[scored], years, source)
    out = told.copy()
    for name in [str(v) for v in told.data_vars if f"{v}_status" in told]:
        values, flags = told[name], told[f"{name}_status"]
        out[name] = values.where(~doubtful).transpose(*values.dims).assign_attrs(values.attrs)
        lost = flags.where(~doubtful, np.int8(Status.insufficient_data)).transpose(*flags.dims)
        out[f"{name}_status"] = lost.assign_attrs(flags.attrs)
    return out


def _speaks_in_doubt(
    months: xr.DataArray, index: xr.DataArray, years: list[int], source: SourceOptions
) -> xr.DataArray:
    """True where the last period that was seen, or is in doubt, by the end of a month is in doubt."""
    doubt = index["time"].dt.year.isin(years)
    number = xr.DataArray(np.arange(index.sizes["time"], dtype=float), dims="time", coords={"time": index["time"]})
    last = number.where(index.notnull() | doubt).ffill("time").fillna(-1.0).astype("int64")
    known = period_ends(pd.DatetimeIndex(index.indexes["time"]), source.cadence)
    known += pd.Timedelta(days=source.available_after_days)
    ends = pd.DatetimeIndex([month_end(month) for month in months.to_index()])
    latest = np.searchsorted(known.to_numpy(), ends.to_numpy(), side="right") - 1
    row = last.isel(time=np.maximum(latest, 0)).assign_coords(time=months)
    told = (row >= 0) & xr.DataArray(latest >= 0, dims="time", coords={"time": months})
    return told & row.copy(data=doubt.values[np.maximum(row.values, 0)])
