"""Method "percent_of_normal": rain of the last months against their mean in the calibration years."""

from __future__ import annotations

from typing import Literal

import numpy as np
import xarray as xr

from geodata.schema import Status, require_units, status_attrs
from models.accumulation import month_axis
from models.hazards import HazardMethod, HazardOptions, SourceName, kept_input, with_input_status
from models.scoring import Breakpoints


class PercentOfNormalOptions(HazardOptions):
    """A plain figure for readers who know what rain is usual; in a dry season there is no usual rain."""

    method: Literal["percent_of_normal"] = "percent_of_normal"
    source: SourceName = "rain"
    months: int = 6  # summed, up to and with the month that is judged
    min_normal_mm: float = 30.0  # below it the season is dry, and a share of it says nothing
    min_years: int = 20  # of the calibration, that make a mean
    breakpoints: Breakpoints = ((1.5, 0.0), (1.0, 2.0), (0.75, 4.0), (0.5, 6.0), (0.25, 8.0), (0.0, 10.0))
    breakpoints_source: str = "own choice: three quarters, half and a quarter of normal at 4, 6 and 8"


def share_of_normal(
    rain: xr.DataArray, calibration: tuple[int, int], *, months: int, min_normal_mm: float, min_years: int
) -> xr.Dataset:
    """Rain of the last months over its mean.

    Parameters
    ----------
    rain : DataArray (time, ...), mm/month, consecutive months
    calibration : (first year, last year), both included
    months : int
    min_normal_mm : float, mm
    min_years : int

    Returns
    -------
    Dataset (time, ...): ``share`` (1, 1 as usual) and ``share_status``
    """
    require_units(rain, "mm/month")
    month_axis(rain)  # a month that is left out would shorten the sum unseen
    total = rain.rolling(time=months).sum()
    inside = total.where(total["time"].dt.year.isin(range(calibration[0], calibration[1] + 1)))
    years = inside.groupby("time.month")
    normal = years.mean().where(years.count() >= min_years).sel(month=total["time"].dt.month).drop_vars("month")
    status = xr.where(normal < min_normal_mm, np.int8(Status.masked_dry_season), np.int8(Status.ok))
    status = xr.where(total.isnull() | normal.isnull(), np.int8(Status.insufficient_data), status)
    share = (total / normal).where(status == Status.ok).transpose(*rain.dims)
    return xr.Dataset(
        {
            "share": share.assign_attrs(units="1", long_name=f"rain of {months} months, share of normal"),
            "share_status": status.astype("int8").transpose(*rain.dims).assign_attrs(status_attrs()),
        }
    )


def _index(inputs: xr.Dataset, options: PercentOfNormalOptions, calibration: tuple[int, int]) -> xr.Dataset:
    rain, flags = kept_input(inputs, options.source)
    chosen = {name: getattr(options, name) for name in ("months", "min_normal_mm", "min_years")}
    out = share_of_normal(rain, calibration, **chosen)
    return out.assign(share_status=with_input_status(out["share_status"], flags))


METHOD = HazardMethod(PercentOfNormalOptions, _index, scored="share")
