"""SPEI: R's and xclim's numbers, closed forms by hand, the laws it must keep, and what it follows."""

from math import comb, pi, sin

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri
from scipy.stats import norm

from geodata.schema import ContractError, Status
from models.spei import SpeiParameters, apply_spei, fit_spei, spei, spei_drivers
from models.spi import drought_class

CALIBRATION = (1981, 2010)


def monthly(values, start="1981-01", units="mm/month", dims=("time",), name="rain"):
    values = np.asarray(values, dtype=float)
    times = pd.date_range(start, periods=len(values), freq="MS")
    return xr.DataArray(values, dims=dims, coords={"time": times}, attrs={"units": units}, name=name)


def climate(years=34, cells=4, seed=0):
    """Rain and PET of a semi-arid record: PET several times the rain in summer."""
    rng = np.random.default_rng(seed)
    month = np.arange(years * 12)[:, None] % 12
    rain = rng.gamma(1.5, 20.0, (years * 12, cells)) * (1.2 + np.cos(2 * np.pi * month / 12))
    pet = 110 - 80 * np.cos(2 * np.pi * month / 12) + rng.normal(0, 12, (years * 12, cells))
    dims = ("time", "cell")
    return monthly(rain, dims=dims), monthly(pet, dims=dims, name="pet")


def one_month(january, years_after=0):
    """A record whose January balances are given (as rain, without PET); other months are anything."""
    values = np.full((len(january), 12), 20.0) + np.arange(len(january))[:, None]
    values[:, 0] = january
    rain = monthly(values.ravel())
    return rain, monthly(np.zeros(values.size), name="pet")


def wichita(shared_data):
    table = pd.read_csv(shared_data / "oracles/r_spei_wichita_spei1.csv")
    start = f"{table.year[0]}-{table.month[0]:02d}"
    pet = monthly(table.pet_thornthwaite, start=start, name="pet")
    return monthly(table.prcp, start=start), pet, table.spei_1_glo_ubpwm.to_numpy()


def unclipped(rain, pet, k, calibration):
    out = apply_spei(rain, pet, fit_spei(rain, pet, k, calibration), probability=True)
    return ndtri(out.spei_probability.values)


# ------------------------------------------------------------------ oracles


def test_the_numbers_of_the_r_package(shared_data):
    """SPEI-1 of Wichita by R (generalised logistic, unbiased PWM), calibrated on the whole record, to 1e-9."""
    rain, pet, theirs = wichita(shared_data)
    assert np.abs(unclipped(rain, pet, 1, (1980, 2011)) - theirs).max() < 1e-9
    assert np.abs(spei(rain, pet, 1, (1980, 2011)).spei.values - theirs).max() < 1e-9
    assert len(theirs) == 382
    assert np.abs(theirs).max() < 3


@pytest.mark.parametrize("k", [1, 3, 12])
def test_xclim_with_lmoments3_gives_the_same_index(k):
    """xclim with the generalised logistic of lmoments3 by PWM, to 1e-9."""
    from lmoments3 import distr
    from xclim import indices as xclim_indices

    rain, pet = climate(cells=1)
    theirs = xclim_indices.standardized_precipitation_evapotranspiration_index(
        (rain - pet).squeeze("cell").assign_attrs(units="mm/month"),
        freq=None,
        window=k,
        dist=distr.glo,
        method="PWM",
        fitkwargs={},
        cal_start="1981-01-01",
        cal_end="2014-12-31",
    )
    own = unclipped(rain, pet, k, (1981, 2014))[:, 0]
    both = np.isfinite(own)
    assert both.sum() == 12 * 34 - k + 1
    ok = np.abs(theirs.values) < 8  # xclim puts values outside the support at 8.21
    assert (ok | ~both).mean() > 0.99
    assert np.abs(own - theirs.values)[both & ok].max() < 1e-9


def test_parameters_and_index_by_hand():
    """b_r = mean of x_(i) C(i-1, r) / C(n-1, r), L-moments, kappa, scale, location and the closed form of the index."""
    january = np.random.default_rng(8).gamma(2.0, 15.0, 30) - 40
    x, n = sorted(january), 30
    b0, b1, b2 = (sum(v * comb(i, r) / comb(n - 1, r) for i, v in enumerate(x)) / n for r in range(3))
    l1, l2, l3 = b0, 2 * b1 - b0, 6 * b2 - 6 * b1 + b0
    kappa = -l3 / l2
    alpha = l2 * sin(kappa * pi) / (kappa * pi)
    xi = l1 - alpha * (1 / kappa - pi / sin(kappa * pi))
    rain, pet = one_month(january)
    learnt = fit_spei(rain, pet, 1, CALIBRATION)
    found = learnt.values.sel(month=1)
    assert float(found.kappa) == pytest.approx(kappa, rel=1e-12)
    assert float(found["scale"]) == pytest.approx(alpha, rel=1e-12)
    assert float(found.location) == pytest.approx(xi, rel=1e-12)
    y = -np.log(1 - kappa * (january - xi) / alpha) / kappa
    expected = norm.ppf(1 / (1 + np.exp(-y)))
    assert np.abs(apply_spei(rain, pet, learnt).spei.values[::12] - expected).max() < 1e-12


def test_a_symmetric_sample_is_logistic():
    """Third L-moment 0: F = 1 / (1 + exp(-(x - l1) / l2)), with l2 of 0..29 = 31 / 6."""
    rain, pet = one_month(np.arange(30.0))
    learnt = fit_spei(rain, pet, 1, CALIBRATION)
    assert float(learnt.values.kappa.sel(month=1)) == 0
    expected = norm.ppf(1 / (1 + np.exp(-(np.arange(30) - 14.5) * 6 / 31)))
    assert np.abs(apply_spei(rain, pet, learnt).spei.values[::12] - expected).max() < 1e-9


def test_the_balance_is_rain_less_pet_summed_over_the_window():
    """SPEI-3 of rain and PET = SPEI-1 of their differences summed by hand."""
    rain, pet = climate(cells=1)
    difference = (rain - pet).values[:, 0]
    summed = monthly([np.nan, np.nan, *(difference[i : i + 3].sum() for i in range(len(difference) - 2))])
    own = spei(rain, pet, 3, (1982, 2014)).spei.values[:, 0]
    other = spei(summed, monthly(np.zeros(len(rain)), name="pet"), 1, (1982, 2014)).spei.values
    np.testing.assert_allclose(own, other, rtol=0, atol=1e-9)


# ------------------------------------------------------------------ beyond what was calibrated


@pytest.mark.parametrize(("skew", "value", "p"), [(1, -1e4, 1 / 62), (-1, 1e4, 61 / 62)])
def test_a_balance_beyond_the_bound_is_kept_and_marked(skew, value, p):
    """The fitted distribution ends below (or above): there F = 1 / (2 (n + 1)), or 1 less that."""
    january = skew * np.random.default_rng(1).gamma(1.0, 20.0, 30)
    rain, pet = one_month([*january, value])
    out = spei(rain, pet, 1, CALIBRATION).isel(time=-12)
    assert int(out.spei_status) == Status.out_of_support
    assert float(out.spei) == pytest.approx(norm.ppf(p), abs=1e-12)


def test_far_inside_the_support_the_index_ends_at_3():
    """A balance far above everything, in a distribution without an upper bound."""
    january = np.random.default_rng(1).gamma(1.0, 20.0, 30)
    rain, pet = one_month([*january, 1e6])
    learnt = fit_spei(rain, pet, 1, CALIBRATION)
    out = apply_spei(rain, pet, learnt, probability=True).isel(time=-12)
    assert float(out.spei) == 3
    assert int(out.spei_status) == Status.ok
    assert ndtri(float(out.spei_probability)) > 3


# ------------------------------------------------------------------ laws


@settings(max_examples=15)
@given(st.floats(0.01, 100), st.floats(-50, 50), st.sampled_from([1, 3, 12]))
def test_units_and_what_is_added_to_both_do_not_matter(factor, offset, k):
    rain, pet = climate(cells=2)
    own = spei(rain, pet, k, CALIBRATION)
    other = spei(
        (rain * factor + offset).assign_attrs(rain.attrs),
        (pet * factor + offset).assign_attrs(rain.attrs),
        k,
        CALIBRATION,
    )
    np.testing.assert_allclose(own.spei, other.spei, rtol=0, atol=1e-8)
    assert (own.spei_status.values == other.spei_status.values).all()


@settings(max_examples=15)
@given(st.permutations(range(30)))
def test_exchanging_years_exchanges_the_index(order):
    rain, pet = climate(years=30, cells=2)
    own = spei(rain, pet, 1, CALIBRATION).spei.values.reshape(30, 12, 2)
    moved = [v.copy(data=v.values.reshape(30, 12, 2)[list(order)].reshape(360, 2)) for v in (rain, pet)]
    found = spei(*moved, 1, CALIBRATION).spei.values.reshape(30, 12, 2)
    np.testing.assert_allclose(found, own[list(order)], rtol=0, atol=1e-12)


@settings(max_examples=40)
@given(st.integers(0, 359), st.floats(0.1, 400), st.integers(0, 50))
def test_more_rain_never_makes_it_drier(month, more, seed):
    """The index never falls, and beyond the support at least its class never does."""
    rain, pet = climate(years=30, cells=1, seed=seed)
    learnt = fit_spei(rain, pet, 3, CALIBRATION)
    wetter = rain.copy()
    wetter[month] = wetter[month] + more
    before, after = (apply_spei(r, pet, learnt) for r in (rain, wetter))
    both = (before.spei_status.values == Status.ok) & (after.spei_status.values == Status.ok)
    assert (after.spei.values[both] >= before.spei.values[both]).all()
    classes = [np.nan_to_num(drought_class(out.spei).values) for out in (before, after)]
    assert (classes[1] >= classes[0]).all()


@pytest.mark.parametrize("chunks", [{"time": -1, "cell": -1}, {"time": 7, "cell": 5}, {"time": 50, "cell": 1}])
def test_chunks_and_order_of_dimensions_change_nothing(chunks):
    """One chunk, odd chunks, transposed dimensions, one lazy input beside one that is not: equal bit for bit."""
    rain, pet = climate(cells=7)
    own = spei(rain, pet, 3, CALIBRATION)
    for r, e in ((rain.chunk(chunks), pet.chunk(chunks)), (rain.T.chunk(chunks), pet), (rain.T, pet.T)):
        found = spei(r, e, 3, CALIBRATION)
        assert found.spei.dims == r.dims
        found = found.compute().transpose("time", "cell")
        for name in own.data_vars:
            assert np.array_equal(found[name].values, own[name].values, equal_nan=True), name


def test_one_pet_serves_every_cell():
    """PET without the dimension of cells is the PET of each of them."""
    rain, pet = climate(cells=3)
    alone = pet.isel(cell=0, drop=True)
    whole = spei(rain, alone, 3, CALIBRATION)
    each = spei(rain, alone.expand_dims(cell=3).transpose("time", "cell"), 3, CALIBRATION)
    assert np.array_equal(whole.spei, each.spei, equal_nan=True)


def test_a_new_month_never_moves_the_past():
    """Saved parameters, a longer record: the months before have the same bits, and so has a slice of the last."""
    rain, pet = climate(years=34)
    learnt = fit_spei(rain, pet, 12, CALIBRATION)
    whole = apply_spei(rain, pet, learnt)
    shorter = apply_spei(rain[:-1], pet[:-1], learnt)
    assert np.array_equal(whole.spei[:-1], shorter.spei, equal_nan=True)
    recent = apply_spei(rain, pet, learnt, last_months=2)
    xr.testing.assert_identical(recent, whole.isel(time=slice(-2, None)))
    xr.testing.assert_identical(
        fit_spei(rain[:-1], pet[:-1], 12, CALIBRATION).values, fit_spei(rain, pet, 12, CALIBRATION).values
    )


def test_parameters_survive_a_file(tmp_path):
    rain, pet = climate()
    learnt = fit_spei(rain, pet, 3, CALIBRATION)
    learnt.values.to_netcdf(tmp_path / "spei.nc")
    again = SpeiParameters(xr.open_dataset(tmp_path / "spei.nc").load())
    xr.testing.assert_equal(apply_spei(rain, pet, learnt), spei(rain, pet, 3, CALIBRATION, parameters=again))
    assert again.values.attrs["calibration"] == "1981-2010"


def test_single_precision_in_single_precision_out():
    rain, pet = climate()
    own = spei(rain, pet, 3, CALIBRATION).spei
    half = spei(rain.astype("float32"), pet.astype("float32"), 3, CALIBRATION).spei
    assert half.dtype == np.float32
    assert np.allclose(own, half, atol=1e-4, equal_nan=True)


# ------------------------------------------------------------------ calibration and bad input


@pytest.mark.parametrize(("years", "status"), [(29, Status.insufficient_data), (30, Status.ok)])
def test_30_complete_years_are_needed_and_enough(years, status):
    rain, pet = climate(years=years, cells=1)
    out = spei(rain, pet, 12, CALIBRATION)
    assert set(out.spei_status.values[11:].ravel()) == {int(status)}
    assert (out.spei.isnull().values == (out.spei_status.values == Status.insufficient_data)).all()


@pytest.mark.parametrize("which", [0, 1])
def test_a_gap_in_either_silences_the_windows_that_hold_it(which):
    inputs = climate(cells=1)
    inputs[which][400] = np.nan
    lost = np.flatnonzero(spei(*inputs, 3, CALIBRATION).spei.isnull().values[2:, 0]) + 2
    assert lost.tolist() == [400, 401, 402]


@pytest.mark.parametrize("value", [np.nan, 7.0])
def test_nothing_or_a_constant_gives_no_index(value):
    rain = monthly(np.full(12 * 40, value))
    out = spei(rain, monthly(np.full(12 * 40, 3.3), name="pet"), 3, CALIBRATION)
    assert out.spei.isnull().all()
    assert (out.spei_status == Status.insufficient_data).all()


def test_other_units_are_refused():
    rain, pet = climate(cells=1)
    with pytest.raises(ContractError, match="pet: units 'mm/day', expected 'mm/month'"):
        spei(rain, pet.assign_attrs(units="mm/day"), 1, CALIBRATION)


def test_months_that_differ_are_refused():
    """PET that starts a month later is never matched by position, nor is the record cut to what both have."""
    rain, pet = climate(cells=1)
    for other in (pet[1:], pet.assign_coords(time=pet.time + pd.Timedelta(days=31))):
        with pytest.raises(ContractError, match="expected the same months"):
            spei(rain, other, 1, CALIBRATION)


def test_parameters_of_another_scale_are_refused():
    rain, pet = climate(cells=1)
    with pytest.raises(ContractError, match="3 months, expected 6"):
        spei(rain, pet, 6, CALIBRATION, parameters=fit_spei(rain, pet, 3, CALIBRATION))


# ------------------------------------------------------------------ rain or heat


def test_shares_and_correlations_by_hand():
    """January of 30 years: numpy's covariances and correlations."""
    rain, pet = climate(years=30, cells=1)
    out = spei(rain, pet, 1, CALIBRATION)
    found = spei_drivers(rain, pet, out, 1, CALIBRATION, by_month=True).isel(cell=0)
    p, e, z = (v.values[::12, 0] for v in (rain, pet, out.spei))
    assert float(found.share_rain.sel(month=1)) == pytest.approx(np.cov(p, p - e)[0, 1] / np.var(p - e, ddof=1))
    assert float(found.share_pet.sel(month=1)) == pytest.approx(np.cov(-e, p - e)[0, 1] / np.var(p - e, ddof=1))
    assert float(found.r_rain.sel(month=1)) == pytest.approx(np.corrcoef(z, p)[0, 1])
    assert float(found.r_pet.sel(month=1)) == pytest.approx(np.corrcoef(z, e)[0, 1])


@settings(max_examples=15)
@given(st.integers(0, 1000), st.booleans(), st.sampled_from([1, 12]))
def test_the_shares_sum_to_the_whole(seed, by_month, k):
    rain, pet = climate(years=30, cells=2, seed=seed)
    found = spei_drivers(rain, pet, spei(rain, pet, k, CALIBRATION), k, CALIBRATION, by_month=by_month)
    assert found.share_rain.dims == (("month", "cell") if by_month else ("cell",))
    np.testing.assert_allclose(found.share_rain + found.share_pet, 1.0, rtol=0, atol=1e-9)
    assert (np.abs(found.r_rain) <= 1 + 1e-12).all()


@pytest.mark.parametrize(("rain_sd", "pet_sd", "flag"), [(30.0, 1.0, 0), (1.0, 30.0, 1)])
def test_where_evaporation_rules_it_is_a_heat_index(rain_sd, pet_sd, flag):
    """The seasons of PET, 20 times larger than what differs between years, play no part."""
    rng = np.random.default_rng(3)
    season = 600 * np.sin(np.arange(360) * np.pi / 6)
    rain = monthly(50 + rng.normal(0, rain_sd, 360))
    pet = monthly(900 + season + rng.normal(0, pet_sd, 360), name="pet")
    found = spei_drivers(rain, pet, spei(rain, pet, 1, CALIBRATION), 1, CALIBRATION)
    assert int(found.heat_index) == flag
    assert float(found.share_pet if flag else found.share_rain) > 0.95
    assert float(found.r_rain) < 0.3 if flag else float(found.r_rain) > 0.95


def test_a_pet_that_never_differs_says_nothing_of_heat():
    """A climatology of PET: all variance is the rain's, and a correlation with it does not exist."""
    rain, _ = climate(years=30, cells=1)
    pet = monthly(np.tile(np.linspace(31.7, 197.3, 12), 30), name="pet")
    found = spei_drivers(rain, pet, spei(rain, pet, 3, CALIBRATION), 3, CALIBRATION).isel(cell=0)
    assert float(found.share_rain) == pytest.approx(1.0)
    assert float(found.r_rain) > 0.95
    assert np.isnan(float(found.r_pet))
    assert int(found.r_pet_status) == Status.insufficient_data
    assert int(found.heat_index) == 0


def test_without_an_index_nothing_is_said():
    rain, pet = climate(years=20, cells=1)
    found = spei_drivers(rain, pet, spei(rain, pet, 3, CALIBRATION), 3, CALIBRATION)
    assert int(found.heat_index.item()) == -1
    assert all(int(found[f"{n}_status"].item()) == Status.insufficient_data for n in ("share_rain", "r_rain", "r_pet"))


@pytest.mark.parametrize(("calibration", "known"), [((1981, 2009), False), ((1981, 2010), True)])
@pytest.mark.parametrize("by_month", [True, False])
def test_fewer_than_30_years_say_nothing_of_what_it_follows(calibration, known, by_month):
    """The windows of 12 months that the record cannot hold are not asked for; a 30th year is."""
    rain, pet = climate(cells=1)
    found = spei_drivers(rain, pet, spei(rain, pet, 12, CALIBRATION), 12, calibration, by_month=by_month)
    assert (found.r_rain.notnull() == known).all()
    assert ((found.heat_index == -1) == (not known)).all()
