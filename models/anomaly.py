"""Anomalies of vegetation, soil moisture or evaporation: a standardised departure from the season's mean."""

from __future__ import annotations

import numpy as np
import xarray as xr

from geodata.schema import Status, status_attrs

LIMIT = 3.0
"""Published range; what lies beyond was hardly ever calibrated."""


def anomaly_index(values: xr.DataArray, *, limit: float = LIMIT) -> xr.Dataset:
    """Index from anomalies that a provider has already standardised.

    Parameters
    ----------
    values : DataArray (time, ...), 1 (standard deviations)
    limit : float
        Values beyond +-limit are clipped and marked ``out_of_support``.

    Returns
    -------
    Dataset (time, ...): ``anomaly`` (1) and ``anomaly_status``
    """
    status = xr.where(abs(values) > limit, np.int8(Status.out_of_support), np.int8(Status.ok))
    status = xr.where(values.isnull(), np.int8(Status.insufficient_data), status).astype("int8")
    return xr.Dataset(
        {
            "anomaly": values.clip(-limit, limit).assign_attrs(units="1", long_name="standardised anomaly"),
            "anomaly_status": status.assign_attrs(status_attrs()),
        }
    )


def standardised_anomaly(
    values: xr.DataArray,
    calibration: tuple[int, int],
    *,
    min_sd: float = 0.005,
    min_years: int = 20,
    limit: float = LIMIT,
) -> xr.Dataset:
    """Departure from the mean of the calendar month, in standard deviations of the calibration years.

    Parameters
    ----------
    values : DataArray (time, ...), any units, e.g. soil moisture in m3/m3; one value per month
    calibration : (first year, last year), both included
    min_sd : float, units of ``values``
        Where the season varies less it carries no signal: ``masked_dry_season``.
    min_years : int
        Values that a month's calibration needs.
    limit : float
        As of `anomaly_index`.

    Returns
    -------
    Dataset (time, ...): ``anomaly`` (1) and ``anomaly_status``
    """
    year, month = values["time"].dt.year, values["time"].dt.month
    inside = values.where((year >= calibration[0]) & (year <= calibration[1])).groupby(month.rename("month"))
    mean, sd, n = (v.sel(month=month).drop_vars("month") for v in (inside.mean(), inside.std(ddof=1), inside.count()))
    out = anomaly_index((values - mean) / sd.where(sd >= min_sd), limit=limit)
    status = out["anomaly_status"]
    status = xr.where(values.notnull() & ~(sd >= min_sd), np.int8(Status.masked_dry_season), status)
    status = xr.where(n < min_years, np.int8(Status.insufficient_data), status)
    status = status.astype("int8").transpose(*values.dims).assign_attrs(status_attrs())
    keep = status.isin([int(Status.ok), int(Status.out_of_support)])
    return xr.Dataset(
        {
            "anomaly": out["anomaly"].where(keep).transpose(*values.dims).assign_attrs(out["anomaly"].attrs),
            "anomaly_status": status,
        }
    )
