"""Anomalies: clipping, standardising by calendar month, saved parameters, and seasons without signal."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import gaussian_kde, norm, zscore

from geodata.schema import KEEPS_VALUE, ContractError, Status, has_status
from models.anomaly import (
    AnomalyParameters,
    anomaly_index,
    apply_anomaly,
    empirical_anomaly,
    fit_anomaly,
    low_is_worse,
    standardised_anomaly,
)

CALIBRATION = (1991, 2015)


def soil(years=25, seed=0, cells=None):
    """Soil moisture with a season; July hardly varies."""
    rng = np.random.default_rng(seed)
    times = pd.date_range("1991-01", periods=12 * years, freq="MS")
    sd = np.where(times.month == 7, 0.001, 0.03)
    season = 0.2 + 0.1 * np.cos(2 * np.pi * times.month.to_numpy() / 12)
    shape = (len(times),) if cells is None else (len(times), cells)
    values = (season + (rng.normal(0, 1, shape).T * sd)).T
    dims = ("time",) if cells is None else ("time", "cell")
    return xr.DataArray(values, dims=dims, coords={"time": times}, attrs={"units": "m3/m3"}, name="soil_moisture")


# ------------------------------------------------------------------ standardised by the provider


def test_values_beyond_the_limit_are_clipped_and_marked():
    out = anomaly_index(xr.DataArray([-19.3, -3.0, 0.5, np.nan], dims="time"))
    assert np.array_equal(out.anomaly, [-3, -3, 0.5, np.nan], equal_nan=True)
    assert out.anomaly_status.values.tolist() == [
        Status.out_of_support, Status.ok, Status.ok, Status.insufficient_data,
    ]  # fmt: skip


# ------------------------------------------------------------------ oracles


def test_each_month_is_compared_with_its_own_mean_and_spread():
    """Januaries against scipy's z-scores."""
    values = soil()
    out = standardised_anomaly(values, CALIBRATION)
    expected = np.clip(zscore(values.values[::12], ddof=1), -3, 3)
    assert out.anomaly.values[::12] == pytest.approx(expected, abs=1e-12)


def test_three_januaries_by_hand():
    """0.10, 0.20 and 0.30: mean 0.20, sd 0.10; a fourth year at 0.15 after the calibration stands at -0.5."""
    times = pd.to_datetime(["2001-01", "2002-01", "2003-01", "2004-01"])
    values = xr.DataArray([0.1, 0.2, 0.3, 0.15], dims="time", coords={"time": times}, attrs={"units": "m3/m3"})
    out = standardised_anomaly(values, (2001, 2003), min_years=3)
    assert out.anomaly.values == pytest.approx([-1, 0, 1, -0.5], abs=1e-12)


def test_the_smoothed_percentile_is_that_of_scipy():
    """gaussian_kde of the other Januaries, integrated up to the value; a year after the calibration sees them all."""
    values = soil(years=27)
    out = empirical_anomaly(values, CALIBRATION)
    january = values.values[::12]
    for year in (0, 7, 26):
        others = np.delete(january[:25], year) if year < 25 else january[:25]
        expected = gaussian_kde(others).integrate_box_1d(-np.inf, january[year])
        assert float(out.anomaly_percentile[12 * year]) == pytest.approx(expected, abs=1e-12)
        assert float(out.anomaly[12 * year]) == pytest.approx(np.clip(norm.ppf(expected), -3, 3), abs=1e-9)


def test_the_ranked_percentile_is_gringortens():
    """Lowest of 25 Januaries: 0.56 / 25.12, a normal deviate of -2.01."""
    values = soil()
    values[12 * 4] = 0.01
    out = empirical_anomaly(values, CALIBRATION, method="rank")
    assert float(out.anomaly_percentile[12 * 4]) == pytest.approx(0.56 / 25.12, abs=1e-12)
    assert float(out.anomaly[12 * 4]) == pytest.approx(norm.ppf(0.56 / 25.12), abs=1e-12)


# ------------------------------------------------------------------ laws


def test_units_of_the_input_do_not_matter():
    own = standardised_anomaly(soil(), CALIBRATION)
    percent = standardised_anomaly((soil() * 100).assign_attrs(units="%"), CALIBRATION, min_sd=0.5)
    assert own.anomaly.values == pytest.approx(percent.anomaly.values, abs=1e-9, nan_ok=True)
    assert (own.anomaly_status == percent.anomaly_status).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 299), st.floats(0.001, 0.3))
def test_more_water_never_lowers_the_anomaly(month, more):
    values = soil()
    learnt = fit_anomaly(values, CALIBRATION)
    wetter = values.copy()
    wetter[month] = wetter[month] + more
    before, after = (apply_anomaly(v, learnt).anomaly.values for v in (values, wetter))
    both = np.isfinite(before)
    assert (np.isfinite(after) == both).all()
    assert (after[both] >= before[both]).all()


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(25)), st.sampled_from(["z", "kernel", "rank"]))
def test_exchanging_years_exchanges_the_anomaly(order, how):
    def index(values):
        out = (
            standardised_anomaly(values, CALIBRATION)
            if how == "z"
            else empirical_anomaly(values, CALIBRATION, method=how)
        )
        return out.anomaly.values.reshape(25, 12)

    values = soil()
    moved = values.copy(data=values.values.reshape(25, 12)[list(order)].ravel())
    assert np.allclose(index(moved), index(values)[list(order)], atol=1e-12, equal_nan=True)


@pytest.mark.parametrize("chunks", [{"time": -1, "cell": -1}, {"time": 7, "cell": 5}, {"time": 50, "cell": 1}])
@pytest.mark.parametrize("how", [standardised_anomaly, empirical_anomaly])
def test_chunks_and_order_of_dimensions_change_nothing(chunks, how):
    values = soil(cells=7)
    values[40, 2] = np.nan
    own = how(values, CALIBRATION)
    for other in (values.chunk(chunks), values.T.chunk(chunks)):
        found = how(other, CALIBRATION).compute().transpose("time", "cell")
        for name in own.data_vars:
            assert np.allclose(found[name].values, own[name].values, rtol=0, atol=1e-12, equal_nan=True), name


@pytest.mark.parametrize("how", [standardised_anomaly, empirical_anomaly])
def test_a_value_stands_where_its_status_keeps_one_and_nowhere_else(how):
    values = soil(cells=4)
    values[:, 1] = np.nan
    values[:, 2] = 0.2
    values[30, 3] = np.nan
    values[36, 3] = 5.0
    out = how(values, CALIBRATION, min_sd=0.0)
    for name in (str(v) for v in out.data_vars if not str(v).endswith("_status")):
        assert (out[name].notnull() == has_status(out[f"{name}_status"], KEEPS_VALUE)).all(), name
    assert (out.anomaly_status.isel(cell=1) == Status.insufficient_data).all()
    assert (out.anomaly_status.isel(cell=2) == Status.masked_dry_season).all()
    assert int(out.anomaly_status[36, 3]) == Status.out_of_support


def test_a_float32_raster_stays_float32():
    values = soil(cells=3).astype("float32")
    out = standardised_anomaly(values, CALIBRATION)
    assert out.anomaly.dtype == np.float32
    assert np.allclose(out.anomaly, standardised_anomaly(soil(cells=3), CALIBRATION).anomaly, atol=1e-4, equal_nan=True)


# ------------------------------------------------------------------ statuses and calibration


@pytest.mark.parametrize("how", [standardised_anomaly, empirical_anomaly])
def test_a_season_without_variation_is_masked(how):
    out = how(soil(), CALIBRATION)
    july = out.sel(time=out.time.dt.month == 7)
    assert (july.anomaly_status == Status.masked_dry_season).all()
    assert july.anomaly.isnull().all()


@pytest.mark.parametrize("how", [standardised_anomaly, empirical_anomaly])
def test_fewer_years_than_asked_for_are_not_enough(how):
    out = how(soil(years=19), (1991, 2009))
    assert (out.anomaly_status == Status.insufficient_data).all()
    assert out.anomaly.isnull().all()


def test_a_gap_in_a_masked_season_is_a_gap():
    values = soil()
    values[6] = np.nan
    out = standardised_anomaly(values, CALIBRATION)
    assert int(out.anomaly_status[6]) == Status.insufficient_data


def test_months_after_the_calibration_do_not_move_it():
    values = soil(years=30)
    xr.testing.assert_identical(
        fit_anomaly(values[: 12 * 25], CALIBRATION).values, fit_anomaly(values, CALIBRATION).values
    )


def test_parameters_survive_a_file(tmp_path):
    """Saved, read and applied to new months: the same anomaly, and the receipt says how they were made."""
    values = soil(years=30)
    learnt = fit_anomaly(values, CALIBRATION)
    learnt.values.to_netcdf(tmp_path / "anomaly.nc")
    again = AnomalyParameters(xr.open_dataset(tmp_path / "anomaly.nc").load())
    own = standardised_anomaly(values, CALIBRATION)
    xr.testing.assert_equal(own, standardised_anomaly(values, (1900, 1901), parameters=again))
    assert again.values.attrs["calibration"] == "1991-2015"
    assert again.values.attrs["min_sd"] == 0.005


# ------------------------------------------------------------------ which side is worse


def test_the_worse_side_is_declared_and_turned():
    """A reference evaporation 1.5 above its season is as bad as soil 1.5 below; a third word is refused."""
    index = xr.DataArray([1.5, np.nan], dims="time", attrs={"units": "1"})
    assert np.array_equal(low_is_worse(index, "high"), [-1.5, np.nan], equal_nan=True)
    assert np.array_equal(low_is_worse(index, "low"), index, equal_nan=True)
    assert low_is_worse(index, "high").attrs == index.attrs
    with pytest.raises(ValueError, match="'low' or 'high'"):
        low_is_worse(index, "dry")


def test_evaporation_counted_downward_tells_the_same_when_its_worse_side_is_declared():
    """Upward positive and worse when low, or downward positive and worse when high: one index."""
    up = (soil() * 100).assign_attrs(units="mm/month")
    one = low_is_worse(standardised_anomaly(up, CALIBRATION, min_sd=0.5).anomaly, "low")
    other = low_is_worse(standardised_anomaly((-up).assign_attrs(up.attrs), CALIBRATION, min_sd=0.5).anomaly, "high")
    assert np.allclose(one, other, atol=1e-12, equal_nan=True)


# ------------------------------------------------------------------ bad input


def test_units_without_a_declared_spread_are_refused():
    """What spread of a vegetation index says nothing is not guessed."""
    with pytest.raises(ContractError, match="no min_sd given for units '1'"):
        standardised_anomaly(soil().assign_attrs(units="1"), CALIBRATION)


def test_parameters_of_other_units_are_refused():
    learnt = fit_anomaly(soil(), CALIBRATION)
    with pytest.raises(ContractError, match="units '%', expected 'm3/m3'"):
        apply_anomaly(soil().assign_attrs(units="%"), learnt)


def test_a_month_that_stands_twice_is_refused():
    values = soil()
    twice = xr.concat([values, values[:1]], "time")
    for how in (standardised_anomaly, empirical_anomaly):
        with pytest.raises(ContractError, match="stands twice"):
            how(twice, CALIBRATION)
