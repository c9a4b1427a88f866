"""Error of the SPI by its calibration and its estimator: stated numbers, simulation, and what must hold."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import gammaincinv
from scipy.stats import gamma, norm

from geodata.schema import ContractError, Status
from models.spi import SpiParameters, apply_spi, drought_class, fit_spi, spi
from models.spi_doubt import class_probabilities, estimator_spread, fit_estimators, spi_sampling_sd

CALIBRATION = (1981, 2010)


def monthly(values, start="1981-01", dims=("time",)):
    values = np.asarray(values, dtype=float)
    times = pd.date_range(start, periods=len(values), freq="MS")
    return xr.DataArray(values, dims=dims, coords={"time": times}, attrs={"units": "mm/month"}, name="rain")


def arid(years=40, cells=5, seed=0):
    """Wet winters and months that are usually dry."""
    rng = np.random.default_rng(seed)
    dry = np.array([0, 0, 0.1, 0.15, 0.48, 0.98, 1.0, 1.0, 0.93, 0.43, 0.15, 0.06])
    month = np.arange(years * 12) % 12
    wet = rng.uniform(size=(years * 12, cells)) >= dry[month, None]
    return monthly(np.where(wet, 1 + rng.gamma(1.2, 15, (years * 12, cells)), 0.0), dims=("time", "cell"))


def known(n, shape=2.0, scale=15.0, n0=0):
    """Parameters as if learnt from n totals of a gamma distribution, n0 of them zero."""
    whole = xr.DataArray(np.ones(12), dims="month", coords={"month": np.arange(1, 13)})
    values = {"shape": shape, "scale": scale, "p0": n0 / (n + 1), "p_zero": (n0 + 1) / (2 * (n + 1)), "n": n, "n0": n0}
    learnt = xr.Dataset({name: whole * v for name, v in values.items()})
    learnt["fit_status"] = (whole * 0).astype("int8")
    learnt["max_detectable_class"] = (whole * 3).astype("int8")
    return SpiParameters(learnt.assign_attrs(scale_months=1, trace_mm=1e-9, zeros="centre_of_mass"))


def rain_at(z, shape=2.0, scale=15.0, p0=0.0):
    return monthly(gamma.ppf((norm.cdf(z) - p0) / (1 - p0), shape, scale=scale))


# ------------------------------------------------------------------ sampling error


@pytest.mark.parametrize(("n", "stated"), [(44, [0.19, 0.23, 0.28, 0.32]), (30, [0.24, 0.29, 0.35, 0.41])])
@pytest.mark.parametrize("shape", [0.8, 2.0, 10.0])
def test_the_error_is_that_of_a_simulation(n, stated, shape):
    """Stated by simulation for a true gamma model at -1, -1.5, -2 and -2.5; within 15 %."""
    z = np.array([-1, -1.5, -2, -2.5])
    found = spi_sampling_sd(rain_at(z, shape), known(n, shape)).spi_sd.values
    assert found == pytest.approx(stated, rel=0.15)


@pytest.mark.slow
@pytest.mark.parametrize(("n", "share"), [(44, 0.0), (30, 0.0), (44, 0.2)])
def test_simulated_records_scatter_as_much(n, share):
    """6,000 records of n Januaries, each fitted anew, judge the same rain: sd within 15 % of the formula."""
    rng = np.random.default_rng(5)
    z = np.array([-0.5, 0.0, 1.0, 2.0]) if share else np.array([-2.5, -2.0, -1.5, -1.0, 0.0, 1.0, 2.0])
    records = np.where(rng.random((n, 6000)) < share, 0.0, rng.gamma(2.0, 15.0, (n, 6000)))
    judged = gamma.ppf((norm.cdf(z) - share) / (1 - share), 2.0, scale=15.0)
    values = np.full((n + len(z), 12, 6000), 9.0) + rng.random((n + len(z), 12, 6000))
    values[:n, 0], values[n:, 0] = records, judged[:, None]
    rain = monthly(values.reshape(-1, 6000), start="1901-01", dims=("time", "cell"))
    learnt = fit_spi(rain, 1, (1901, 1900 + n), trace_mm=1e-9, min_positive=1)
    out = apply_spi(rain, learnt, probability=True).spi_probability.values[12 * n :: 12]
    simulated = np.nanstd(norm.ppf(out), axis=1)  # not clipped at 3
    n0 = round(share * n)
    stated = spi_sampling_sd(monthly(judged), known(n, n0=n0)).spi_sd.values
    assert stated == pytest.approx(simulated, rel=0.15)


def test_a_normal_limit_by_hand():
    """A gamma of large shape is normal: sd = sqrt((1 + z^2 / 2) / n)."""
    z = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    found = spi_sampling_sd(rain_at(z, shape=1e5), known(50, shape=1e5)).spi_sd.values
    assert found == pytest.approx(np.sqrt((1 + z**2 / 2) / 50), rel=0.01)


def test_the_error_of_a_zero_is_that_of_how_many_there_are():
    """n = 40, n0 = 4: sd of p is sqrt(40 x .1 x .9) / 82, over the density at Phi^-1(5 / 82)."""
    found = spi_sampling_sd(monthly([0.0]), known(40, n0=4)).spi_sd.item()
    assert found == pytest.approx(np.sqrt(3.6) / 82 / norm.pdf(norm.ppf(5 / 82)), rel=1e-12)


def test_a_zero_never_seen_before_is_uncertain_too():
    out = spi_sampling_sd(monthly([0.0]), known(40))
    assert out.spi_sd_status.item() == Status.out_of_support
    assert 0.2 < out.spi_sd.item() < 1


def test_beyond_the_published_limit_it_is_the_error_of_the_limit():
    """A total that would stand at 6 is published as 3, with the error of 3; one near nothing likewise."""
    shape, scale = 2.0, 15.0
    limits = scale * gammaincinv(shape, norm.cdf([-3, 3]))
    far = spi_sampling_sd(monthly([limits[0] / 50, limits[1] * 3]), known(40)).spi_sd.values
    assert far == pytest.approx(spi_sampling_sd(monthly(limits), known(40)).spi_sd.values, rel=1e-9)
    assert np.isfinite(far).all()


@settings(max_examples=20)
@given(st.floats(-2.9, 2.9), st.integers(30, 100), st.integers(1, 60))
def test_more_years_are_more_certain(z, n, more):
    fewer, longer = (spi_sampling_sd(rain_at([z]), known(years)).spi_sd.item() for years in (n, n + more))
    assert longer < fewer


@pytest.mark.parametrize("k", [1, 6])
def test_statuses_are_those_of_the_index(k):
    """Dry seasons, gaps, first months: where the index speaks there is an error, and nowhere else."""
    rain = arid()
    rain[12 * 35] = np.nan  # after the calibration
    learnt = fit_spi(rain, k, CALIBRATION)
    index, doubt = apply_spi(rain, learnt), spi_sampling_sd(rain, learnt)
    assert np.array_equal(doubt.spi_sd_status, index.spi_status)
    assert np.array_equal(doubt.spi_sd.notnull(), index.spi.notnull())
    assert len(np.unique(index.spi_status)) > 1
    assert (doubt.spi_sd.values[doubt.spi_sd.notnull().values] > 0).all()


def test_chunks_order_of_dimensions_and_slices_change_nothing():
    rain = arid()
    learnt = fit_spi(rain, 3, CALIBRATION)
    own = spi_sampling_sd(rain, learnt)
    for other in (rain.chunk(time=50, cell=2), rain.T):
        found = spi_sampling_sd(other, learnt).compute().transpose("time", "cell")
        xr.testing.assert_identical(found, own)
    xr.testing.assert_identical(spi_sampling_sd(rain, learnt, last_months=5), own.isel(time=slice(-5, None)))


def test_zeros_at_the_upper_end_have_no_error_here():
    rain = arid()
    with pytest.raises(ContractError, match="found zeros 'classic'"):
        spi_sampling_sd(rain, fit_spi(rain, 3, CALIBRATION, zeros="classic"))


def test_rain_in_other_units_is_refused():
    with pytest.raises(ContractError, match="mm/month"):
        spi_sampling_sd(monthly([1.0]).assign_attrs(units="m"), known(40))


# ------------------------------------------------------------------ spread between estimators


def test_the_spread_is_the_largest_less_the_smallest():
    rain = arid()
    found = estimator_spread(rain, fit_estimators(rain, 3, CALIBRATION))
    all_three = np.stack([spi(rain, 3, CALIBRATION, method=m).spi.values for m in ("thom", "ml", "lmoments")])
    expected = all_three.max(axis=0) - all_three.min(axis=0)
    assert np.array_equal(found.spi_spread.values, expected, equal_nan=True)
    assert np.array_equal(found.spi_spread_status, spi(rain, 3, CALIBRATION).spi_status)
    assert 0.01 < float(found.spi_spread.max()) < 1.5


def test_where_one_estimator_has_no_value_there_is_no_spread():
    rain = arid(cells=1)
    estimators = fit_estimators(rain, 3, CALIBRATION)
    estimators["ml"].values["fit_status"][0] = Status.insufficient_data
    found = estimator_spread(rain, estimators, last_months=12)
    assert found.sizes["time"] == 12
    january = found.isel(time=0)
    assert np.isnan(january.spi_spread.item())
    assert january.spi_spread_status.item() == Status.insufficient_data
    assert found.isel(time=1).spi_spread_status.item() == Status.ok


def test_a_spread_needs_two_estimators_of_one_scale():
    rain = arid(cells=1)
    thom, other = fit_spi(rain, 3, CALIBRATION), fit_spi(rain, 6, CALIBRATION, method="ml")
    for estimators in ({"thom": thom}, {"thom": thom, "ml": other}):
        with pytest.raises(ContractError, match="spi_spread: found"):
            estimator_spread(rain, estimators)


# ------------------------------------------------------------------ probability of a class


def probabilities(value, sd, status=Status.ok):
    arrays = (xr.DataArray([v], dims="time") for v in (value, sd, int(status)))
    return class_probabilities(*arrays).isel(time=0)


def test_probabilities_of_the_classes_by_hand():
    """-1.2 with an error of 0.2: Phi(1), Phi(-1.5) and Phi(-4) lie beyond -1, -1.5 and -2."""
    beyond = norm.cdf([1.0, -1.5, -4.0])
    expected = [1 - beyond[0], beyond[0] - beyond[1], beyond[1] - beyond[2], beyond[2]]
    assert probabilities(-1.2, 0.2).class_probability.values == pytest.approx(expected, abs=1e-12)


@settings(max_examples=50)
@given(st.floats(-3, 3), st.floats(0, 2))
def test_they_sum_to_one_and_a_drier_value_is_never_less_likely_a_drought(value, sd):
    found = probabilities(value, sd).class_probability.values
    assert found.sum() == pytest.approx(1, abs=1e-12)
    assert (found >= 0).all()
    drier = probabilities(value - 0.1, sd).class_probability.values
    assert (np.cumsum(drier[::-1])[:3] >= np.cumsum(found[::-1])[:3] - 1e-12).all()


@pytest.mark.parametrize("value", [-3, -2, -1.99, -1.5, -1.49, -1, -0.99, 0, 3])
def test_without_an_error_it_is_the_class_itself(value):
    """An edge belongs to the drier class."""
    own = int(drought_class(xr.DataArray([float(value)], dims="time")).clip(max=0).item())
    assert probabilities(float(value), 0.0).class_probability.values.tolist() == [float(c == -own) for c in range(4)]


def test_no_index_or_no_error_no_probability():
    masked = probabilities(-1.2, 0.2, Status.masked_dry_season)
    assert masked.class_probability.isnull().all()
    assert (masked.class_probability_status == Status.masked_dry_season).all()
    unknown = probabilities(-1.2, np.nan)
    assert unknown.class_probability.isnull().all()
    assert (unknown.class_probability_status == Status.insufficient_data).all()


def test_probabilities_of_a_lazy_field_are_those_of_a_real_one():
    rain = arid()
    learnt = fit_spi(rain, 3, CALIBRATION)
    index, doubt = apply_spi(rain, learnt), spi_sampling_sd(rain, learnt)
    arrays = [index.spi, doubt.spi_sd, index.spi_status]
    own = class_probabilities(*arrays)
    assert own.class_probability.dims == ("time", "cell", "drought_class")
    lazy = class_probabilities(*(a.chunk(time=100, cell=2) for a in arrays))
    assert lazy.class_probability.chunks is not None
    xr.testing.assert_identical(lazy.compute(), own)
