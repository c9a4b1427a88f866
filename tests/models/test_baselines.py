"""Baselines: odds of the month, and the skill that shared months alone buy."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal, norm

from geodata.schema import ContractError, Status
from models.accumulation import accumulate
from models.baselines import (
    climatology,
    overlap_brier_skill,
    overlap_correlation,
    persistence_probability,
    standard_scores,
)


def monthly(values, start="1981-01", dims=("time",)):
    times = pd.date_range(start, periods=len(values), freq="MS")
    return xr.DataArray(np.asarray(values, dtype=float), dims=dims, coords={"time": times})


# ------------------------------------------------------------------ climatology


def test_odds_are_those_of_the_training_years_and_of_no_other():
    rng = np.random.default_rng(0)
    event = monthly(rng.integers(0, 2, (480, 3)), dims=("time", "pcode"))
    training = [*range(1981, 2001), *range(2006, 2021)]
    found = climatology(event, training)
    own = event.values.reshape(40, 12, 3)[[y - 1981 for y in training]]
    assert np.allclose(found.climatology, own.mean(axis=0))
    assert (found.years == 35).all()
    changed = event.copy()
    changed[240:300] = 1 - changed[240:300]  # 2001 to 2005
    xr.testing.assert_identical(climatology(changed, training), found)


def test_too_few_outcomes_are_no_odds():
    event = monthly(np.ones(480))
    event.values[3 : 25 * 12 : 12] = np.nan
    found = climatology(event, range(1981, 2021))
    april = found.sel(month=4)
    assert np.isnan(april.climatology)
    assert april.climatology_status == Status.insufficient_data
    assert (april.years, found.years.sel(month=5)) == (15, 40)
    assert found.climatology.sel(month=5) == 1


def test_what_is_no_event_is_refused():
    with pytest.raises(ContractError, match="neither 0 nor 1"):
        climatology(monthly([0.3] * 12), [1981])


# ------------------------------------------------------------------ overlap


@pytest.mark.parametrize(("lead", "rho"), [(0, 1), (1, 2 / 3), (2, 1 / 3), (3, 0), (4, 0)])
def test_white_noise_of_three_months(lead, rho):
    assert overlap_correlation(3, lead) == pytest.approx(rho, abs=1e-12)


def test_correlations_of_simulated_rain():
    """Seasonal variances and accumulations of other lengths: 40,000 years of made rain, within 0.02."""
    rng = np.random.default_rng(1)
    variances = np.array([9, 8, 6, 3, 1, 0.1, 0.1, 0.1, 0.2, 2, 5, 8.0])
    rain = rng.normal(0, np.sqrt(variances), (40_000, 12)).ravel()
    for months, predictor, lead in ((6, 6, 1), (6, 3, 2), (3, 7, 1), (7, 4, 3)):
        target, known = accumulate(rain, months)[15::12], accumulate(rain, predictor)[15 - lead :: 12]
        n = min(len(target), len(known))
        simulated = np.corrcoef(target[:n], known[:n])[0, 1]
        found = overlap_correlation(months, lead, predictor_months=predictor, end_month=4, variances=variances)
        assert found == pytest.approx(simulated, abs=0.02)


def test_an_end_month_without_variances_is_refused():
    with pytest.raises(ContractError, match="both or neither"):
        overlap_correlation(3, 1, end_month=4)
    with pytest.raises(ContractError, match="overlap"):
        overlap_correlation(0, 1)


@pytest.mark.parametrize(
    ("rho", "skill"),
    [(0.2, 0.018), (0.3, 0.041), (0.4, 0.076), (0.5, 0.124), (0.6, 0.188), (0.7, 0.273), (0.8, 0.388)],
)
def test_skill_that_overlap_alone_buys(rho, skill):
    assert overlap_brier_skill(rho) == pytest.approx(skill, abs=6e-4)


def test_skill_of_three_months_one_month_ahead():
    assert overlap_brier_skill(2 / 3) == pytest.approx(0.2416, abs=5e-5)


@settings(max_examples=15)
@given(st.floats(0, 0.95), st.floats(-2, 1))
def test_the_skill_is_that_of_the_joint_distribution(rho, threshold):
    """E[p^2] is P(both below) of two normals with correlation rho^2."""
    q = norm.cdf(threshold)
    both = multivariate_normal([0, 0], [[1, rho**2], [rho**2, 1]]).cdf([threshold, threshold])
    assert overlap_brier_skill(rho, threshold) == pytest.approx((both - q * q) / (q - q * q), abs=1e-4)


def test_persistence_is_true_to_a_simulation():
    """Among 200,000 pairs near z = -1, the share that falls below -1 within 0.01 of the formula."""
    rng = np.random.default_rng(4)
    rho, z = 2 / 3, -1 + rng.normal(0, 0.02, 200_000)
    later = rho * z + np.sqrt(1 - rho**2) * rng.normal(size=len(z))
    found = persistence_probability(xr.DataArray([-1.0, np.nan], dims="time"), rho, -1.0)
    assert found[0].item() == pytest.approx((later <= -1).mean(), abs=0.01)
    assert np.isnan(found[1])


def test_without_correlation_it_is_the_odds_and_with_a_full_one_the_index():
    z = xr.DataArray([-2.0, -1.0, 0.0, np.nan], dims="time")
    assert persistence_probability(z, 0.0, -1.0).values[:3] == pytest.approx(norm.cdf(-1))
    assert persistence_probability(z, 1.0, -1.0).values[:3].tolist() == [1, 1, 0]
    assert np.isnan(persistence_probability(z, 1.0, -1.0).values[3])
    with pytest.raises(ContractError, match="correlation"):
        persistence_probability(z, 1.2, -1.0)


# ------------------------------------------------------------------ normal scores


def test_scores_use_the_training_years_alone():
    rng = np.random.default_rng(7)
    rain = monthly(rng.gamma(1.5, 20, (480, 2)), dims=("time", "pcode"))
    training = range(1981, 2011)
    found = standard_scores(rain, training)
    changed = rain.copy()
    changed[-12:] = 0
    again = standard_scores(changed, training)
    assert np.array_equal(found[:-12], again[:-12])
    january = rain.values[0 : 30 * 12 : 12, 0]
    below = (january < rain.values[-12, 0]).sum()
    assert found.values[-12, 0] == pytest.approx(norm.ppf((below + 0.5) / 31))
    assert found.values[: 30 * 12].std() == pytest.approx(1, abs=0.1)
    assert standard_scores(rain, range(1981, 1991)).isnull().all()
