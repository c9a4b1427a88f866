"""Anomalies: clipping, standardising by calendar month, and seasons without signal."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from geodata.schema import Status
from models.anomaly import anomaly_index, standardised_anomaly


def soil(years=25, seed=0):
    """Soil moisture with a season; July hardly varies."""
    rng = np.random.default_rng(seed)
    times = pd.date_range("1991-01", periods=12 * years, freq="MS")
    sd = np.where(times.month == 7, 0.001, 0.03)
    values = 0.2 + 0.1 * np.cos(2 * np.pi * times.month / 12) + rng.normal(0, 1, len(times)) * sd
    return xr.DataArray(values, dims="time", coords={"time": times}, attrs={"units": "m3/m3"})


def test_values_beyond_the_limit_are_clipped_and_marked():
    out = anomaly_index(xr.DataArray([-19.3, -3.0, 0.5, np.nan], dims="time"))
    assert np.array_equal(out.anomaly, [-3, -3, 0.5, np.nan], equal_nan=True)
    assert out.anomaly_status.values.tolist() == [
        Status.out_of_support, Status.ok, Status.ok, Status.insufficient_data,
    ]  # fmt: skip


def test_each_month_is_compared_with_its_own_mean_and_spread():
    """Januaries by hand."""
    values = soil()
    january = values.values[::12]
    out = standardised_anomaly(values, (1991, 2015))
    expected = np.clip((january - january.mean()) / january.std(ddof=1), -3, 3)
    assert out.anomaly.values[::12] == pytest.approx(expected, abs=1e-12)


def test_a_season_without_variation_is_masked():
    out = standardised_anomaly(soil(), (1991, 2015))
    july = out.sel(time=out.time.dt.month == 7)
    assert (july.anomaly_status == Status.masked_dry_season).all()
    assert july.anomaly.isnull().all()


def test_fewer_years_than_asked_for_are_not_enough():
    out = standardised_anomaly(soil(), (1991, 2009))
    assert (out.anomaly_status == Status.insufficient_data).all()
    assert out.anomaly.isnull().all()


def test_units_of_the_input_do_not_matter():
    own = standardised_anomaly(soil(), (1991, 2015))
    percent = standardised_anomaly(soil() * 100, (1991, 2015), min_sd=0.5)
    xr.testing.assert_allclose(own, percent, rtol=0, atol=1e-9)
