"""Error of the SPEI by its calibration and its distribution: simulation, the delta method, and what must hold."""

from math import comb

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from lmoments3 import distr
from scipy.special import expit, logit
from scipy.stats import genextreme, norm

from geodata.schema import ContractError, Status
from models.spei import SpeiParameters, apply_spei, fit_spei
from models.spei_doubt import DISTRIBUTIONS, distribution_spread, spei_sampling_sd

CALIBRATION = (1981, 2010)


def monthly(values, start="1981-01", dims=("time",), name="rain"):
    values = np.asarray(values, dtype=float)
    times = pd.date_range(start, periods=len(values), freq="MS")
    return xr.DataArray(values, dims=dims, coords={"time": times}, attrs={"units": "mm/month"}, name=name)


def climate(years=34, cells=4, seed=0):
    """Rain and PET of a semi-arid record."""
    rng = np.random.default_rng(seed)
    month = np.arange(years * 12)[:, None] % 12
    rain = rng.gamma(1.5, 20.0, (years * 12, cells)) * (1.2 + np.cos(2 * np.pi * month / 12))
    pet = 110 - 80 * np.cos(2 * np.pi * month / 12) + rng.normal(0, 12, (years * 12, cells))
    return monthly(rain, dims=("time", "cell")), monthly(pet, dims=("time", "cell"), name="pet")


def known(n, kappa):
    """Parameters as if learnt from n totals of a standard generalised logistic."""
    whole = xr.DataArray(np.ones(12), dims="month", coords={"month": np.arange(1, 13)})
    learnt = xr.Dataset({k: whole * v for k, v in {"location": 0.0, "scale": 1.0, "kappa": kappa, "n": n}.items()})
    learnt["fit_status"] = (whole * 0).astype("int8")
    return SpeiParameters(learnt.assign_attrs(scale_months=1, distribution=DISTRIBUTIONS[0]))


def values_at(z, kappa):
    """Totals whose index is z."""
    y = logit(norm.cdf(z))
    return y if kappa == 0 else -np.expm1(-kappa * y) / kappa


def stated_at(z, n, kappa):
    """What is told of months whose index is z."""
    rain = monthly(values_at(np.asarray(z), kappa))
    learnt = known(n, kappa)
    return spei_sampling_sd(apply_spei(rain, xr.zeros_like(rain), learnt), learnt).spei_sd.values


def ways(rain, pet, k=3):
    return [fit_spei(rain, pet, k, CALIBRATION, distribution=d) for d in DISTRIBUTIONS]


def spread(rain, pet):
    glo, gev = ways(rain, pet)
    return distribution_spread(apply_spei(rain, pet, glo), rain, pet, [gev])


# ------------------------------------------------------------------ sampling error


@pytest.mark.parametrize("n", [30, 44])
@pytest.mark.parametrize("kappa", [-0.62, -0.45, -0.23, 0.0, 0.17, 0.38])
def test_simulated_records_scatter_as_much(n, kappa):
    """20,000 records, each fitted by the textbook's sums and judged by lmoments3: sd within 5 % of what is told."""
    z = np.array([-2.6, -2.0, -1.5, -1.0, 0.0, 1.0, 2.0])
    x = np.sort(values_at(norm.ppf(np.random.default_rng(7).random((n, 20000))), kappa), axis=0)
    b0, b1, b2 = (sum(x[i] * comb(i, r) / comb(n - 1, r) for i in range(n)) / n for r in range(3))
    l2, l3 = 2 * b1 - b0, 6 * b2 - 6 * b1 + b0
    k = -l3 / l2
    scale = l2 * np.sin(k * np.pi) / (k * np.pi)
    location = b0 - scale * (1 / k - np.pi / np.sin(k * np.pi))
    judged = values_at(z, kappa)[:, None]
    ended = k * (judged - location) / scale >= 1
    p = distr.glo.cdf(np.where(ended, location, judged), k, loc=location, scale=scale)
    lowest = 1 / (2 * (n + 1))
    p = np.where(ended, np.where(k > 0, 1 - lowest, lowest), p)
    simulated = np.clip(norm.ppf(p), -3, 3).std(axis=1)
    assert stated_at(z, n, kappa) == pytest.approx(simulated, rel=0.05)


@pytest.mark.parametrize("kappa", [-0.2, 0.0, 0.1])
def test_of_many_totals_it_is_the_delta_method(kappa):
    """400 totals: covariance of the L-moments by Hosking's integral, carried to the index by derivatives; 5 %."""
    n, z = 400, np.array([-1.5, -1.0, 0.0, 1.0, 1.5])
    y = np.linspace(-40, 40, 8001)
    below, above = expit(y) * np.exp(-kappa * y), expit(-y) * np.exp(-kappa * y)
    legendre = [np.ones_like(y), 2 * expit(y) - 1, 6 * expit(y) ** 2 - 6 * expit(y) + 1]
    step = y[1] - y[0]
    runs = [np.cumsum(p * below) * step for p in legendre]
    covariance = np.array(
        [[np.trapezoid((runs[r] * legendre[s] + runs[s] * legendre[r]) * above, y) for s in range(3)] for r in range(3)]
    )

    def index(moments):
        l1, l2, l3 = moments
        k = -l3 / l2
        scale = l2 * np.sinc(k)
        location = l1 - scale * (1 / k - np.pi / np.sin(k * np.pi))
        return norm.ppf(distr.glo.cdf(values_at(z, kappa), k, loc=location, scale=scale))

    k = kappa or 1e-5
    l2 = 1 / np.sinc(k)
    moments = np.array([1 / k - np.pi / np.sin(k * np.pi), l2, -k * l2])
    slopes = np.array([(index(moments + d) - index(moments - d)) / 2e-4 for d in np.eye(3) * 1e-4])
    expected = np.sqrt(np.einsum("rz,rs,sz->z", slopes, covariance, slopes) / n)
    assert stated_at(z, n, kappa) == pytest.approx(expected, rel=0.05)


def test_it_is_that_of_a_short_record_of_rain():
    """The project's own numbers: about 0.25 and 0.40 with 30 years at -1 and -2, 0.20 and 0.35 with 44."""
    for kappa in (-0.3, 0.0, 0.3):
        assert stated_at([-1.0, -2.0], 30, kappa) == pytest.approx([0.25, 0.40], abs=0.02)
        assert stated_at([-1.0, -2.0], 44, kappa) == pytest.approx([0.20, 0.35], abs=0.03)


@settings(max_examples=15)
@given(st.floats(0.01, 100), st.floats(-50, 50), st.integers(0, 50))
def test_units_and_what_is_added_do_not_matter(factor, offset, seed):
    rain, pet = climate(years=30, cells=2, seed=seed)
    found = []
    for r, e in ((rain, pet), (rain * factor + offset, pet * factor)):
        inputs = [v.assign_attrs(units="mm/month") for v in (r, e)]
        learnt = fit_spei(*inputs, 3, CALIBRATION)
        found.append(spei_sampling_sd(apply_spei(*inputs, learnt), learnt).spei_sd)
    np.testing.assert_allclose(*found, rtol=0, atol=1e-6)


@settings(max_examples=10)
@given(st.integers(0, 50))
def test_a_balance_turned_over_is_as_uncertain(seed):
    """PET less rain: the index and the skewness change their signs, and the error stays."""
    rain, pet = climate(years=30, cells=2, seed=seed)
    found = []
    for one, other in ((rain, pet), (pet, rain)):
        learnt = fit_spei(one, other, 3, CALIBRATION)
        found.append(spei_sampling_sd(apply_spei(one, other, learnt), learnt).spei_sd)
    np.testing.assert_allclose(*found, rtol=0, atol=1e-9)


@settings(max_examples=15)
@given(st.floats(-1.5, 1.5), st.floats(-0.3, 0.3), st.integers(25, 45), st.integers(10, 30))
def test_more_years_less_error(z, kappa, n, more):
    fewer, longer = (stated_at([z], years, kappa).item() for years in (n, n + more))
    assert 0 < longer < fewer


@pytest.mark.parametrize("kappa", [-0.2, 0.0, 0.2])
def test_beyond_the_limits_it_is_that_of_the_limit(kappa):
    far = stated_at([-3.4, 3.4], 35, kappa)
    assert far == pytest.approx(stated_at([-3.0, 3.0], 35, kappa), rel=1e-6)


def test_beyond_the_bound_of_the_fit_it_is_that_of_the_index_there():
    """kappa 0.5, n 40: the distribution ends at 2, and what lies beyond has the index of 1 - 1 / 82."""
    learnt, rain = known(40, 0.5), monthly([2.5])
    index = apply_spei(rain, xr.zeros_like(rain), learnt)
    found = spei_sampling_sd(index, learnt)
    assert found.spei_sd_status.item() == Status.out_of_support
    assert found.spei_sd.item() == pytest.approx(stated_at([norm.ppf(81 / 82)], 40, 0.5).item(), rel=1e-9)


@pytest.mark.parametrize("k", [1, 12])
def test_statuses_are_those_of_the_index(k):
    """Gaps, first months, balances beyond the bound, a month that never differs: an error where there is an index."""
    rain, pet = climate(cells=6)
    rain[12 * 32 + 5] = np.nan
    rain[12 * 33 + 1] = 0.0
    pet[12 * 33 + 1] = 500.0  # beyond the bound of the fit
    rain[6::12, 0], pet[6::12, 0] = 0.0, 300.0
    learnt = fit_spei(rain, pet, k, CALIBRATION)
    index = apply_spei(rain, pet, learnt)
    doubt = spei_sampling_sd(index, learnt)
    assert np.array_equal(doubt.spei_sd_status, index.spei_status)
    assert np.array_equal(doubt.spei_sd.notnull(), index.spei.notnull())
    assert {Status.ok, Status.insufficient_data} <= {Status(int(s)) for s in np.unique(index.spei_status)}
    assert (doubt.spei_sd.values[doubt.spei_sd.notnull().values] > 0).all()
    if k == 1:
        assert Status.out_of_support in index.spei_status.values


def test_chunks_order_of_dimensions_and_slices_change_nothing():
    rain, pet = climate()
    learnt = fit_spei(rain, pet, 3, CALIBRATION)
    index = apply_spei(rain, pet, learnt)
    own = spei_sampling_sd(index, learnt)
    for other in (index.chunk(time=50, cell=2), index.transpose()):
        xr.testing.assert_identical(spei_sampling_sd(other, learnt).compute().transpose("time", "cell"), own)
    recent = apply_spei(rain, pet, learnt, last_months=5)
    xr.testing.assert_identical(spei_sampling_sd(recent, learnt), own.isel(time=slice(-5, None)))


def test_single_precision_in_single_precision_out():
    rain, pet = climate()
    learnt = fit_spei(rain, pet, 3, CALIBRATION)
    own, half = (
        spei_sampling_sd(apply_spei(rain.astype(d), pet.astype(d), learnt), learnt).spei_sd for d in ("f8", "f4")
    )
    assert half.dtype == np.float32
    np.testing.assert_allclose(own, half, atol=1e-4)


def test_another_distribution_has_no_error_here():
    rain, pet = climate(cells=1)
    _, gev = ways(rain, pet)
    with pytest.raises(ContractError, match="found 'generalised extreme value', expected 'generalised logistic'"):
        spei_sampling_sd(apply_spei(rain, pet, gev), gev)


# ------------------------------------------------------------------ spread between distributions


def test_the_spread_is_that_of_the_indices_by_lmoments3():
    """March, 3 months, both distributions fitted by lmoments3, which stops at about 1e-6."""
    rain, pet = climate(years=30, cells=1)
    found = spread(rain, pet).spei_spread.values[2::12, 0]
    totals = (rain - pet).rolling(time=3).sum().values[2::12, 0]
    glo, gev = (d(**d.lmom_fit(totals)).cdf(totals) for d in (distr.glo, distr.gev))
    inside = (np.minimum(glo, gev) > 0) & (np.maximum(glo, gev) < 1)
    expected = np.abs(np.clip(norm.ppf(glo), -3, 3) - np.clip(norm.ppf(gev), -3, 3))
    assert inside.sum() > 25
    assert found[inside] == pytest.approx(expected[inside], abs=1e-4)
    assert 0.02 < found.max() < 1.5


def test_the_spread_has_the_status_of_the_index_and_is_lost_where_a_distribution_is():
    rain, pet = climate(cells=1)
    glo, gev = ways(rain, pet)
    index = apply_spei(rain, pet, glo)
    whole = distribution_spread(index, rain, pet, [gev])
    assert np.array_equal(whole.spei_spread_status, index.spei_status)
    gev.values["fit_status"][0] = Status.insufficient_data
    found = distribution_spread(index.isel(time=slice(-12, None)), rain, pet, [gev])
    assert np.isnan(found.spei_spread[0].item())
    assert found.spei_spread_status[0].item() == Status.insufficient_data
    xr.testing.assert_identical(found.isel(time=slice(1, None)), whole.isel(time=slice(-11, None)))


def test_a_spread_needs_two_distributions_of_one_scale():
    rain, pet = climate(cells=1)
    index = apply_spei(rain, pet, fit_spei(rain, pet, 3, CALIBRATION))
    for others in ([], ways(rain, pet, 6)[1:]):
        with pytest.raises(ContractError, match="spei_spread: found"):
            distribution_spread(index, rain, pet, others)


@pytest.mark.parametrize("skew", [1, -1])
def test_the_extreme_value_member_is_that_of_lmoments3_and_scipy(skew):
    """Parameters to 1e-5, where lmoments3 stops; the index from these by scipy to 1e-9."""
    january = skew * np.random.default_rng(8).gamma(2.0, 15.0, 30) - 40
    values = np.full((30, 12), 20.0) + np.arange(30)[:, None]
    values[:, 0] = january
    rain = monthly(values.ravel())
    learnt = fit_spei(rain, xr.zeros_like(rain), 1, CALIBRATION, distribution="generalised extreme value")
    own = learnt.values.sel(month=1)
    theirs = distr.gev.lmom_fit(january)
    assert [float(own[v]) for v in ("kappa", "location", "scale")] == pytest.approx(
        [theirs["c"], theirs["loc"], theirs["scale"]], rel=1e-5
    )
    assert learnt.distribution == "generalised extreme value"
    expected = norm.ppf(genextreme.cdf(january, float(own.kappa), float(own.location), float(own["scale"])))
    found = apply_spei(rain, xr.zeros_like(rain), learnt).spei.values[::12]
    assert found == pytest.approx(np.clip(expected, -3, 3), abs=1e-9)
