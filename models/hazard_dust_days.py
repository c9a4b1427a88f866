"""Method "dust_days": how often dust blows, against the same months of past years."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import gammaincinv

from geodata.schema import Status, require_units, status_attrs
from models.hazards import HazardMethod, HazardOptions, SourceName, kept_input, with_input_status
from models.percentile import percentile_of_month
from models.scoring import HIGH_PERCENTILE, Breakpoints


class DustOptions(HazardOptions):
    """The days with dust of each month, ranked among the same months: dust has a season."""

    method: Literal["dust_days"] = "dust_days"
    source: SourceName = "dust_days"
    min_years: int = 20
    breakpoints: Breakpoints = HIGH_PERCENTILE
    breakpoints_source: str = "own choice: one year in 5, 10 and 20 at 4, 6 and 8"


def dust_frequency(dust_days: xr.DataArray, calibration: tuple[int, int], *, min_years: int = 20) -> xr.Dataset:
    """Rank of a month's dust days, and of those of the last twelve months, among the calibration years.

    Parameters
    ----------
    dust_days : DataArray (time, ...), days; days of the month with dust, labelled by its first day
    calibration : (first year, last year), both included
    min_years : int
        Years that a month's calibration needs, the ranked one included.

    Returns
    -------
    Dataset (time = every month from the first to the last, ...), each variable with its status
        ``dust_percentile`` (1, 1 dustiest) of the month and ``dust_percentile_12m`` of ``dust_days_12m``
        (days, of the last twelve months; NaN if one is missing); ``dust_rate`` (days, mean of the calendar
        month) with its 95 % interval ``dust_rate_low`` to ``dust_rate_high``.

    Formula
    -------
    percentile = (r - 0.44) / (n + 0.12),  r = 1 + years with fewer dust days + half of those with as many
    rate = mean m of the calendar month over n years,  c = max(1, variance / m),  e = n m / c
    its 95 % interval: (c / n) G^-1(0.025; e) to (c / n) G^-1(0.975; e + 1),  G gamma distribution of scale 1

    Limits
    ------
    * Days, not dust: one hour of haze and a day of storm count alike, and nobody's lungs are in it.
    * What a dust day is, the source decides (visibility, optical depth); two sources do not count alike, and a
      model's dust has to be compared with stations first.
    * A district's count is taken for all its subdistricts.
    * The rate is of past years; it is no forecast. With 20 years percentiles run from 0.03 to 0.97.
    * Without a source the hazard is absent, and not 0.

    References
    ----------
    Gringorten 1963; Garwood 1936 (limits of a Poisson mean), widened by the overdispersion of a negative binomial.
    """
    require_units(dust_days, "days")
    months = pd.DatetimeIndex(dust_days.indexes["time"])
    monthly = dust_days.reindex(time=pd.date_range(months.min(), months.max(), freq="MS"))  # a gap is no calm month
    total = monthly.rolling(time=12).sum()
    month, year = (percentile_of_month(v, calibration, min_years=min_years) for v in (monthly, total))
    rate, low, high = _usual_rate(monthly, calibration, min_years)
    variables = {
        "dust_percentile": (month["percentile"], "1", "percentile of the month's dust days"),
        "dust_percentile_12m": (year["percentile"], "1", "percentile of the dust days of twelve months"),
        "dust_days_12m": (total, "days", "dust days of the last twelve months"),
        "dust_rate": (rate, "days", "mean dust days of the calendar month"),
        "dust_rate_low": (low, "days", "mean dust days of the calendar month, lower 95 % limit"),
        "dust_rate_high": (high, "days", "mean dust days of the calendar month, upper 95 % limit"),
    }
    out = xr.Dataset()
    for name, (values, units, label) in variables.items():
        status = xr.where(values.notnull(), np.int8(Status.ok), np.int8(Status.insufficient_data)).astype("int8")
        out[name] = values.transpose(*dust_days.dims).drop_attrs().assign_attrs(units=units, long_name=label)
        out[f"{name}_status"] = status.transpose(*dust_days.dims).drop_attrs().assign_attrs(status_attrs())
    return out


def _usual_rate(
    monthly: xr.DataArray, calibration: tuple[int, int], min_years: int
) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
    """Mean of each month's calendar month in the calibration years, and its 95 % interval."""
    inside = monthly["time"].dt.year.isin(range(calibration[0], calibration[1] + 1))
    years = monthly.where(inside).groupby("time.month")
    n = years.count().where(lambda n: n >= min_years)
    mean = years.mean()
    # dusty days come in spells: a variance of so many times the mean makes as many times fewer events
    excess = (years.var(ddof=1) / mean.where(mean > 0)).fillna(1.0).clip(min=1.0)
    events = n * mean / excess
    low, high = (
        excess / n * xr.apply_ufunc(gammaincinv, shape, p, dask="parallelized", output_dtypes=[np.float64])
        for shape, p in ((events.where(events > 0), 0.025), (events + 1.0, 0.975))
    )
    low = low.where(~(events == 0), 0.0)
    rate, low, high = (
        v.where(n.notnull()).sel(month=monthly["time"].dt.month).drop_vars("month") for v in (mean, low, high)
    )
    return rate, low, high


def _index(inputs: xr.Dataset, options: DustOptions, calibration: tuple[int, int]) -> xr.Dataset:
    days, flags = kept_input(inputs, options.source)
    out = dust_frequency(days, calibration, min_years=options.min_years)
    flags = flags.reindex(time=out["time"], fill_value=np.int8(Status.input_missing))
    for name in [str(v) for v in out.data_vars if str(v).endswith("_status")]:
        out[name] = with_input_status(out[name], flags)
    return out.rename({name: str(name).removeprefix("dust_") for name in out.data_vars})


METHOD = HazardMethod(DustOptions, _index, scored="percentile")
