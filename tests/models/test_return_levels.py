"""Return levels: textbook numbers, other projects' fits, the growth curve of a region, and what is not given."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import ndtr
from scipy.stats import genextreme, kappa4

from geodata.schema import ContractError, Status
from models.extreme_values import (
    Gev,
    Kappa,
    LMoments,
    gev_by_likelihood,
    gev_of_l_moments,
    gumbel_of_l_moments,
    kappa_of_l_moments,
    l_moments,
)
from models.return_levels import (
    Region,
    ReturnRules,
    chance_of_at_least_one,
    heterogeneity,
    longest_return_period,
    mean_correlation,
    return_levels,
)

QUICK = ReturnRules(simulations=100, resamples=200)
TRUTH = Gev(-0.15, 12.0, 40.0)
MEAN = genextreme.mean(-0.15, loc=40, scale=12)

YEARS = [98, 59, 90, 61, 65, 86, 78, 72, 67, 99, 49, 61, 69, 73, 70, 66, 59, 74, 82]
L_CV = [0.1209, 0.0915, 0.1124, 0.1032, 0.0967, 0.1328, 0.1008, 0.1143, 0.1107, 0.1179]
L_CV += [0.1308, 0.1119, 0.1018, 0.1025, 0.1054, 0.1174, 0.1115, 0.1003, 0.1046]
SKEWNESS = [0.0488, 0.0105, 0.0614, 0.0417, -0.0134, -0.0176, 0.0943, 0.0555, 0.0478, 0.0492]
SKEWNESS += [0.0940, -0.0429, 0.0435, 0.0182, -0.0224, 0.0124, -0.0346, 0.0446, 0.0128]
KURTOSIS = [0.1433, 0.1569, 0.1541, 0.1429, 0.1568, 0.1206, 0.1967, 0.1210, 0.1371, 0.0900]
KURTOSIS += [0.1273, 0.0927, 0.1446, 0.1047, 0.1664, 0.1317, 0.1032, 0.1450, 0.1583]
"""L-moment ratios of yearly rain at 19 sites (North Cascades; Hosking 1996, IBM RC20525)."""


def maxima(sites=10, years=44, distribution=TRUTH, scale=1.0, seed=0, correlation=0.0):
    """Yearly highest days of one distribution; each site has its own factor of scale."""
    random = np.random.default_rng(seed)
    normal = np.sqrt(correlation) * random.standard_normal((years, 1))
    normal = normal + np.sqrt(1 - correlation) * random.standard_normal((years, sites))
    values = distribution.quantile(ndtr(normal)) * np.broadcast_to(scale, sites)
    coords = {"year": np.arange(1980, 1980 + years), "site": [f"S{i:02d}" for i in range(sites)]}
    return xr.DataArray(values, dims=("year", "site"), coords=coords, attrs={"units": "mm/day"}, name="rx1day")


def one_region(values, name="north"):
    return xr.DataArray([name] * values.sizes["site"], dims="site", coords={"site": values.site})


def cascades():
    moments = LMoments(np.ones(19), np.array(L_CV), np.array(SKEWNESS), np.array(KURTOSIS))
    return Region(np.arange(99)[:, None] < YEARS, moments)


# ------------------------------------------------------------------ oracles


@pytest.fixture
def port_pirie(shared_data):
    """Yearly highest sea levels of Coles 2001, 65 values."""
    return pd.read_csv(shared_data / "oracles/portpirie.csv", encoding="utf-8-sig")["SeaLevel"].to_numpy()


def test_l_moments_of_port_pirie(port_pirie):
    assert [float(v) for v in l_moments(port_pirie)] == pytest.approx([3.98062, 0.134644, 0.137433, 0.132831], abs=1e-5)


def test_fits_by_l_moments_of_port_pirie(port_pirie):
    m = l_moments(port_pirie)
    gev, gumbel = gev_of_l_moments(m.l1, m.l2, m.t3), gumbel_of_l_moments(m.l1, m.l2)
    assert [float(v) for v in gev] == pytest.approx([0.05121, 0.20322, 3.87315], abs=1e-4)
    assert float(gev.level(100)) == pytest.approx(4.7060, abs=1e-4)
    assert [float(v) for v in gumbel] == pytest.approx([0, 0.19425, 3.86849], abs=1e-4)


def test_maximum_likelihood_of_port_pirie(port_pirie):
    """Coles: 3.87, 0.198, xi = -0.050, log-likelihood 4.34, x10 4.30, x100 4.69; his xi is minus our k."""
    gev, log_likelihood = gev_by_likelihood(port_pirie)
    assert [gev.location, gev.scale, -gev.k] == pytest.approx([3.87, 0.198, -0.050], abs=0.005)
    assert log_likelihood == pytest.approx(4.34, abs=0.005)
    assert gev.level([10, 100]).tolist() == pytest.approx([4.30, 4.69], abs=0.005)


@pytest.mark.parametrize("k", [-0.4, -0.15, -1e-9, 0.0, 0.05, 0.3])
def test_lmoments3_gives_the_same_moments_and_the_same_fit(k):
    """Live, on samples of heavy and light tails: moments to 1e-12, parameters to the 1e-5 of its own solver."""
    import lmoments3
    from lmoments3 import distr

    sample = genextreme.rvs(k, loc=40, scale=12, size=44, random_state=7)
    m = l_moments(sample)
    l1, l2, t3, t4 = lmoments3.lmom_ratios(sample.copy(), nmom=4)
    assert [float(v) for v in m] == pytest.approx([l1, l2, t3, t4], rel=1e-12)
    theirs = distr.gev.lmom_fit(sample.copy())
    gev = gev_of_l_moments(m.l1, m.l2, m.t3)
    assert [float(v) for v in gev] == pytest.approx([theirs["c"], theirs["scale"], theirs["loc"]], rel=1e-5, abs=2e-6)
    gumbel, theirs = gumbel_of_l_moments(m.l1, m.l2), distr.gum.lmom_fit(sample.copy())
    assert [float(v) for v in gumbel[1:]] == pytest.approx([theirs["scale"], theirs["loc"]], rel=1e-9)


@given(st.floats(-0.9, 5).filter(lambda k: abs(k) > 1e-6))
def test_the_shape_solves_its_equation(k):
    """From the exact L-skewness 2 (1 - 3^-k) / (1 - 2^-k) - 3 the shape comes back to 1e-8, however far from 0."""
    t3 = 2 * (1 - 3.0**-k) / (1 - 2.0**-k) - 3
    assert float(gev_of_l_moments(1.0, 0.2, t3).k) == pytest.approx(k, abs=1e-8, rel=1e-8)


@pytest.mark.parametrize(("k", "scale", "location"), [(-0.4, 3.0, -5.0), (-0.1, 12.0, 40.0), (0.3, 0.2, 3.9)])
def test_l_moments_of_a_gev_give_it_back(k, scale, location):
    """L-moments by quadrature of scipy's quantiles, and from them the parameters."""
    powers = [quad(lambda p, r=r: genextreme.ppf(p, k) * p**r, 0, 1, limit=200)[0] for r in range(3)]
    l1, l2 = powers[0], 2 * powers[1] - powers[0]
    t3 = (6 * powers[2] - 6 * powers[1] + powers[0]) / l2
    found = gev_of_l_moments(location + scale * l1, scale * l2, t3)
    assert [float(v) for v in found] == pytest.approx([k, scale, location], abs=2e-4 * max(1, scale))


@pytest.mark.parametrize("k", [-0.3, -1e-12, 0.0, 0.2])
def test_quantiles_are_those_of_scipy_with_its_sign(k):
    """scipy's c is our k, and the xi of Coles is -k: a negative k has the heavy tail."""
    p = np.array([0.01, 0.5, 0.99])
    assert np.allclose(Gev(k, 12.0, 40.0).quantile(p), genextreme.ppf(p, k, loc=40, scale=12), rtol=1e-9)
    assert Gev(-0.2, 1.0, 0.0).level(100) > Gev(0.0, 1.0, 0.0).level(100) > Gev(0.2, 1.0, 0.0).level(100)


@pytest.mark.parametrize("ratios", [(0.11, 0.0279, 0.1366), (0.3, 0.2, 0.15), (0.2, 0.1, 0.05), (0.4, 0.4, 0.25)])
def test_lmoments3_gives_the_same_kappa_distribution(ratios):
    from lmoments3 import distr

    theirs = distr.kap.lmom_fit(lmom_ratios=[1, *ratios])
    found = kappa_of_l_moments(*ratios)
    expected = [theirs[n] for n in ("k", "h", "scale", "loc")]
    assert list(found) == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_quantiles_of_the_kappa_distribution_are_those_of_scipy():
    p = np.array([0.05, 0.5, 0.95])
    for k, h in ((0.12, -0.3), (-0.2, 0.4), (0.1, 1e-9)):
        assert np.allclose(Kappa(k, h, 2.0, 5.0).quantile(p), kappa4.ppf(p, h, k, loc=5, scale=2), rtol=1e-6)


def test_above_its_kurtosis_the_kappa_distribution_is_the_generalised_logistic():
    """h = -1 and k = -t3."""
    found = kappa_of_l_moments(0.2, 0.15, 0.30)
    assert (found.k, found.h) == (-0.15, -1.0)


def test_regional_numbers_of_the_north_cascades():
    """Hosking's own program prints kappa 0.9542, 0.1533, 0.1236, -0.2955 for its example, and H = 0.62 of 500 draws."""
    region = cascades()
    kappa = kappa_of_l_moments(
        *(float(region.mean(v)) for v in (region.moments.cv, region.moments.t3, region.moments.t4))
    )
    assert [kappa.location, kappa.scale, kappa.k, kappa.h] == pytest.approx([0.9542, 0.1533, 0.1236, -0.2955], abs=1e-4)
    assert heterogeneity(region, np.random.default_rng(1), simulations=2000) == pytest.approx(0.62, abs=0.15)


def test_a_century_event_comes_in_ten_years_with_9_56_percent():
    assert chance_of_at_least_one(100, 10) == pytest.approx(0.0956, abs=5e-5)
    assert chance_of_at_least_one([1.0, 2.0], 1).tolist() == pytest.approx([1.0, 0.5])


# ------------------------------------------------------------------ a region


def test_the_growth_curve_is_that_of_the_truth():
    """40 sites of GEV(40, 12, k = -0.15), 80 years each: the 50-year factor within 4 %; factors of scale cancel."""
    sample = maxima(sites=40, years=80, scale=np.linspace(0.2, 3, 40), seed=1)
    out = return_levels(sample, one_region(sample), (2, 50), QUICK)
    truth = TRUTH.level([2, 50]) / MEAN
    assert out.growth_factor.values[:, 0].tolist() == pytest.approx(truth.tolist(), rel=0.04)
    assert (out.heterogeneity < 2).all()
    assert float(out.growth_factor_gumbel[1, 0]) < float(out.growth_factor[1, 0])


def test_levels_are_factors_times_the_mean_of_the_place():
    """And only where somebody answers for the millimetres."""
    sample = maxima(scale=np.linspace(0.5, 2, 10))
    out = return_levels(sample, one_region(sample), (10,), QUICK, gauge_calibration="12 gauges, 1990-2020")
    mean = sample.mean("year")
    assert np.allclose(out.return_level, out.growth_factor * mean)
    assert np.allclose(out.return_level_gumbel, out.growth_factor_gumbel * mean)
    assert out.return_level.attrs["units"] == "mm/day"
    assert out.attrs["gauge_calibration"] == "12 gauges, 1990-2020"
    wide = (out.return_level_high - out.return_level_low) / mean
    assert (wide > out.growth_factor_high - out.growth_factor_low).all()


def test_without_gauges_there_are_no_millimetres():
    sample = maxima()
    out = return_levels(sample, one_region(sample), (10,), QUICK)
    assert {v.attrs.get("units") for v in out.values() if "flag_meanings" not in v.attrs} == {"1"}
    assert not [name for name in out if "level" in name]
    with pytest.raises(ContractError, match="name of its source"):
        return_levels(sample, one_region(sample), (10,), QUICK, gauge_calibration=" ")


def test_sites_that_are_no_region_are_refused():
    """Half of the sites vary three times as much: H above 2, no value, and the H stands."""
    unlike = xr.concat([maxima(10), maxima(10, distribution=Gev(-0.15, 4.0, 40.0), seed=3)], dim="site")
    out = return_levels(unlike, one_region(unlike), (10,), QUICK)
    assert (out.heterogeneity > 2).all()
    assert out.growth_factor.isnull().all()
    assert (out.growth_factor_status == Status.insufficient_data).all()
    assert (out.heterogeneity_status == Status.ok).all()


def test_correlated_sites_do_not_pass_for_a_region_because_they_resemble_each_other():
    """The same years in every site, correlation 0.6: the published measure is far below that of sites drawn alike."""
    sample = maxima(sites=20, correlation=0.6, seed=5).values
    assert mean_correlation(sample) == pytest.approx(0.6, abs=0.15)
    region = Region(np.isfinite(sample), l_moments(sample), mean_correlation(sample))
    apart = replace(region, correlation=0.0)
    alone, together = (heterogeneity(r, np.random.default_rng(2)) for r in (apart, region))
    assert alone < together - 0.5
    assert abs(together) < 2


def test_correlation_is_found_on_the_years_both_have():
    sample = maxima(sites=12, years=200, correlation=0.5).values
    holed = sample.copy()
    holed[np.random.default_rng(1).random(holed.shape) < 0.3] = np.nan
    assert mean_correlation(holed) == pytest.approx(mean_correlation(sample), abs=0.1)
    assert mean_correlation(maxima(sites=12, years=200).values) < 0.05


@pytest.mark.slow
def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    """100 regions of 8 sites of 44 years, correlation 0.4: the 50-year factor lies inside in 75 to 95 % of them.

    H is drawn too: of regions that are homogeneous some 5 % are refused.
    """
    truth = float(TRUTH.level(50) / MEAN)
    held, refused = [], 0
    for seed in range(100):
        sample = maxima(sites=8, correlation=0.4, seed=seed)
        out = return_levels(sample, one_region(sample), (50,), QUICK).isel(site=0, return_period=0)
        if out.heterogeneity < 2:
            held.append(float(out.growth_factor_low) <= truth <= float(out.growth_factor_high))
        else:
            refused += 1
    assert 0.75 <= np.mean(held) <= 0.95
    assert 1 <= refused <= 12


# ------------------------------------------------------------------ what is not given


def test_no_period_beyond_twice_the_record_is_given():
    """35 years speak of 70, 44 of 80 at most; a shorter site beside a longer one keeps to its own."""
    assert longest_return_period([30, 44]).tolist() == [60, 80]
    sample = maxima(years=35)
    with pytest.raises(ContractError, match="2 to 70 years"):
        return_levels(sample, one_region(sample), (71,), QUICK)
    sample = maxima(years=44)
    sample[:14, 0] = np.nan
    with pytest.raises(ContractError, match="2 to 80 years"):
        return_levels(sample, one_region(sample), (81,), QUICK)
    out = return_levels(sample, one_region(sample), (60, 61), QUICK)
    assert out.growth_factor.notnull().values[:, 0].tolist() == [True, False]
    assert out.growth_factor.notnull().values[:, 1].tolist() == [True, True]


@pytest.mark.parametrize("period", [1.9, 1.0, -3.0])
def test_a_period_below_two_years_is_refused(period):
    sample = maxima()
    with pytest.raises(ContractError, match="expected 2 to 80"):
        return_levels(sample, one_region(sample), (period,), QUICK)


@pytest.mark.parametrize(("years", "known"), [(30, True), (29, False)])
def test_a_site_needs_30_years(years, known):
    sample = maxima(years=44)
    sample[years:, 3] = np.nan
    out = return_levels(sample, one_region(sample), (10,), QUICK)
    assert bool(out.growth_factor.notnull()[0, 3]) == known
    assert out.growth_factor.notnull().sum() == 9 + known


@pytest.mark.parametrize(("least", "known"), [(4, True), (5, False)])
def test_of_too_few_sites_nothing_is_pooled(least, known):
    """Four sites, alike enough."""
    sample = maxima(sites=4, seed=2)
    out = return_levels(sample, one_region(sample), (10,), replace(QUICK, min_sites=least))
    assert bool(out.growth_factor.notnull().all()) == known
    assert bool(out.growth_factor.isnull().all()) != known


def test_a_place_without_rain_or_without_a_region_says_nothing():
    sample = maxima(sites=8)
    sample[:, 0] = 0.0
    regions = one_region(sample).astype(object)
    regions[1] = None
    out = return_levels(sample, regions, (10,), QUICK)
    assert out.growth_factor.isnull().values[0].tolist() == [True, True] + [False] * 6
    assert (out.growth_factor_status[0, :2] == Status.insufficient_data).all()


def test_monthly_units_are_refused():
    sample = maxima().assign_attrs(units="mm/month")
    with pytest.raises(ContractError, match="mm/day"):
        return_levels(sample, one_region(sample))


# ------------------------------------------------------------------ laws


@settings(max_examples=10)
@given(st.floats(0.01, 100))
def test_units_of_rain_do_not_move_a_growth_factor(factor):
    sample = maxima(sites=6)
    own = return_levels(sample, one_region(sample), (5, 50), QUICK)
    scaled = return_levels((sample * factor).assign_attrs(sample.attrs), one_region(sample), (5, 50), QUICK)
    xr.testing.assert_allclose(own, scaled, rtol=1e-9)


@settings(max_examples=10)
@given(st.permutations(range(44)))
def test_the_order_of_years_does_not_matter(order):
    sample = maxima(sites=6)
    moved = sample.copy(data=sample.values[list(order)])
    first, other = (return_levels(s, one_region(s), (5, 50), QUICK) for s in (sample, moved))
    xr.testing.assert_allclose(first, other, rtol=1e-9)


@given(st.lists(st.floats(0, 500), min_size=5, max_size=40), st.floats(0.01, 100), st.floats(-50, 50))
def test_l_moments_follow_scale_and_shift(values, factor, shift):
    sample = np.array(values)
    own, moved = l_moments(sample), l_moments(factor * sample + shift)
    if not np.isfinite(own.l2) or own.l2 < 1e-3:
        return
    assert float(moved.l1) == pytest.approx(factor * float(own.l1) + shift, abs=1e-6)
    assert float(moved.l2) == pytest.approx(factor * float(own.l2), rel=1e-6)
    assert float(moved.t3) == pytest.approx(float(own.t3), abs=1e-6)


def test_factors_rise_with_the_period_and_stay_inside_their_bounds():
    sample = maxima(sites=8)
    out = return_levels(sample, one_region(sample), (2, 5, 10, 20, 50, 80), QUICK).isel(site=0)
    assert (np.diff(out.growth_factor) > 0).all()
    assert (out.growth_factor_low < out.growth_factor).all()
    assert (out.growth_factor < out.growth_factor_high).all()
    assert (np.diff(out.growth_factor_high - out.growth_factor_low)[1:] > 0).all()


def test_a_region_does_not_depend_on_its_neighbours():
    """North alone gives what north gives beside south, bit for bit; so does the same run again."""
    north, south = maxima(sites=6), maxima(sites=7, seed=9)
    both = xr.concat([south, north], dim="site")
    regions = xr.DataArray(["south"] * 7 + ["north"] * 6, dims="site", coords={"site": both.site})
    together = return_levels(both, regions, (10,), QUICK)
    alone = return_levels(north, one_region(north), (10,), QUICK)
    assert np.array_equal(together.growth_factor_low[:, 7:], alone.growth_factor_low)
    assert np.array_equal(together.heterogeneity[7:], alone.heterogeneity)


def test_rasters_and_lazy_arrays_give_the_same():
    """(year, lat, lon), chunked, dims in another order."""
    sample = maxima(sites=6)
    coords = {"year": sample.year, "lat": [34.0, 33.0], "lon": [43.0, 44.0, 45.0]}
    raster = xr.DataArray(
        sample.values.reshape(-1, 2, 3), dims=("year", "lat", "lon"), coords=coords, attrs=sample.attrs
    )
    regions = xr.DataArray(
        np.zeros((2, 3), dtype=int), dims=("lat", "lon"), coords={k: coords[k] for k in ("lat", "lon")}
    )
    own = return_levels(sample, one_region(sample, "0"), (10,), QUICK)
    for other in (raster, raster.chunk(lat=1, year=10), raster.transpose("lat", "year", "lon")):
        found = return_levels(other, regions, (10,), QUICK)
        assert found.growth_factor.dims == ("return_period", "lat", "lon")
        for name in own.data_vars:
            assert np.array_equal(found[name].values.ravel(), own[name].values.ravel(), equal_nan=True), name


def test_three_values_or_equal_ones_have_no_moments():
    assert np.isnan(l_moments(np.array([1.0, 2.0, 3.0, np.nan]))).all()
    assert np.isnan(l_moments(np.full(20, 7.0))).all()
    both = l_moments(np.array([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0], [4.0, 5.0], [np.nan, 5.0]]))
    assert float(both.l1[0]) == 2.5
    assert np.isnan(both.l1[1])
