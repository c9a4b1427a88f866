"""SPI: analytic oracles, other projects' code and numbers, the laws it must keep, and dry seasons."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri
from scipy.stats import gamma, kstest, norm

from geodata.schema import ContractError, Status
from models.accumulation import accumulate
from models.spi import SpiParameters, apply_spi, driest_possible, drought_class, fit_spi, spi

CALIBRATION = (1981, 2010)


def monthly(values, start="1981-01", units="mm/month", dims=("time",)):
    values = np.asarray(values, dtype=float)
    times = pd.date_range(start, periods=len(values), freq="MS")
    return xr.DataArray(values, dims=dims, coords={"time": times}, attrs={"units": units}, name="rain")


def arid(years=44, cells=6, seed=0):
    """Rain with the zero shares of an arid record: wet winters, months that are usually dry, rainless summers."""
    rng = np.random.default_rng(seed)
    dry = np.array([0.05, 0.05, 0.08, 0.15, 0.48, 0.98, 1.0, 1.0, 0.93, 0.43, 0.15, 0.06])
    mean = np.array([30, 28, 30, 20, 8, 2, 1, 1, 2, 8, 20, 28.0])
    month = np.arange(years * 12) % 12
    wet = rng.uniform(size=(years * 12, cells)) >= dry[month, None]
    amount = 1.0 + rng.gamma(1.2, mean[month, None] / 1.2, (years * 12, cells))
    return monthly(np.where(wet, amount, 0.0), dims=("time", "cell"))


def one_month(january, start_year=1981):
    """A record whose Januaries are given and whose other months have rain enough."""
    values = np.full((len(january), 12), 20.0) + np.arange(len(january))[:, None]
    values[:, 0] = january
    return monthly(values.ravel(), start=f"{start_year}-01")


# ------------------------------------------------------------------ oracles


def test_analytic_quantiles_of_a_gamma_give_back_normal_quantiles():
    """x_i = Gamma.ppf((i - 0.5) / n) recovers Phi^-1 of the same positions within the error of the fit."""
    n = 200
    position = (np.arange(n) + 0.5) / n
    out = spi(one_month(gamma.ppf(position, 2.5, scale=12.0), 1801), 1, (1801, 2000))
    found = out.spi.values[::12]
    inside = np.abs(norm.ppf(position)) < 2
    assert np.abs(found - norm.ppf(position))[inside].max() < 0.05


def test_known_parameters_give_the_closed_form():
    """Phi^-1(p0 + (1 - p0) F(A)) to 1e-12, zeros at (n0 + 1) / (2 (n + 1))."""
    rain = one_month([0.0, 0.0, *np.linspace(2, 60, 38)])
    learnt = fit_spi(rain, 1, (1981, 2020))
    january = learnt.values.sel(month=1)
    assert (int(january.n), int(january.n0), float(january.p0)) == (40, 2, 2 / 41)
    x = rain.values[24::12]
    expected = norm.ppf(2 / 41 + (1 - 2 / 41) * gamma.cdf(x, float(january["shape"]), scale=float(january["scale"])))
    found = apply_spi(rain, learnt).spi.values[::12]
    assert np.abs(found[2:] - expected).max() < 1e-12
    assert np.abs(found[:2] - norm.ppf(3 / 82)).max() < 1e-12


@given(st.integers(30, 200), st.data())
def test_the_driest_possible_value_has_its_closed_form(n, data):
    n0 = data.draw(st.integers(0, n))
    assert abs(driest_possible(n0, n) - norm.ppf((n0 + 1) / (2 * (n + 1)))) < 1e-12


def test_thom_estimates_by_hand():
    """shape = (1 + sqrt(1 + 4 s / 3)) / (4 s) with s = ln(mean) - mean(ln)."""
    january = np.linspace(5, 90, 30)
    s = np.log(january.mean()) - np.log(january).mean()
    shape = (1 + np.sqrt(1 + 4 * s / 3)) / (4 * s)
    learnt = fit_spi(one_month(january), 1, CALIBRATION).values.sel(month=1)
    assert float(learnt["shape"]) == pytest.approx(shape, rel=1e-13)
    assert float(learnt["scale"]) == pytest.approx(january.mean() / shape, rel=1e-13)


def test_maximum_likelihood_agrees_with_scipy():
    """The fit of scipy.stats.gamma with its location held at 0."""
    january = gamma.rvs(1.4, scale=20, size=40, random_state=3)
    shape, _, scale = gamma.fit(january, floc=0)
    learnt = fit_spi(one_month(january), 1, (1981, 2020), method="ml").values.sel(month=1)
    assert float(learnt["shape"]) == pytest.approx(shape, rel=1e-6)
    assert float(learnt["scale"]) == pytest.approx(scale, rel=1e-6)


def test_l_moments_solve_their_equation():
    """Gamma(a + 1/2) / (sqrt(pi) Gamma(a + 1)) = l2 / l1, with b0 and b1 summed by hand."""
    january = gamma.rvs(0.8, scale=25, size=40, random_state=5) + 1
    x = np.sort(january)
    l1 = x.mean()
    l2 = 2 * sum(i * v for i, v in enumerate(x)) / (40 * 39) - l1
    learnt = fit_spi(one_month(january), 1, (1981, 2020), method="lmoments").values.sel(month=1)
    a = float(learnt["shape"])
    from math import gamma as gamma_function

    assert gamma_function(a + 0.5) / (np.pi**0.5 * gamma_function(a + 1)) == pytest.approx(l2 / l1, rel=1e-12)
    assert float(learnt["scale"]) * a == pytest.approx(l1, rel=1e-12)


@pytest.mark.parametrize("k", [1, 3, 6, 12])
def test_xclim_gives_the_same_index_on_an_arid_field(k):
    """xclim with every choice made explicit (APP, floc = 0, centre of mass, Weibull) to 1e-10, where not masked."""
    from xclim import indices as xclim_indices

    rain = arid()
    own = spi(rain, k, (1981, 2024), trace_mm=0.0)
    theirs = xclim_indices.standardized_precipitation_index(
        rain.assign_attrs(units="mm/month"),
        freq=None,
        window=k,
        dist="gamma",
        method="APP",
        fitkwargs={"floc": 0},
        cal_start="1981-01-01",
        cal_end="2024-12-31",
        prob_zero_interpolation="center",
        plotting_position_zero="weibull",
    ).transpose("time", "cell")
    both = own.spi.notnull().values
    assert both.mean() > 0.4
    assert np.abs(own.spi.values - np.clip(theirs.values, -3, 3))[both].max() < 1e-10


def test_classic_zeros_are_those_of_xclim():
    """The rule of McKee, for comparison: xclim with its "upper" zeros and plain shares, to 1e-10 where not masked."""
    from xclim import indices as xclim_indices

    rain = arid()
    own = spi(rain, 1, (1981, 2024), trace_mm=0.0, zeros="classic")
    theirs = xclim_indices.standardized_precipitation_index(
        rain,
        freq=None,
        window=1,
        dist="gamma",
        method="APP",
        fitkwargs={"floc": 0},
        cal_start="1981-01-01",
        cal_end="2024-12-31",
        prob_zero_interpolation="upper",
        plotting_position_zero="ecdf",
    ).transpose("time", "cell")
    both = own.spi.notnull().values
    assert both.mean() > 0.4
    assert np.abs(own.spi.values - np.clip(theirs.values, -3, 3))[both].max() < 1e-10


@pytest.mark.parametrize(
    ("zeros", "dry", "reachable"),
    [("classic", 6, 1), ("classic", 7, 0), ("centre_of_mass", 13, 1), ("centre_of_mass", 14, 0)],
)
def test_zeros_in_the_middle_show_a_drought_in_twice_as_dry_a_month(zeros, dry, reachable):
    """44 Januaries: Phi^-1(6 / 44) = -1.10, of 7 / 44 -1.00 (above -1); Phi^-1(14 / 90) = -1.01, of 15 / 90 -0.97."""
    january = [0.0] * dry + list(np.linspace(5, 60, 44 - dry))
    out = fit_spi(one_month(january), 1, (1981, 2024), zeros=zeros).values.sel(month=1)
    assert int(out.max_detectable_class) == reachable
    assert (int(out.fit_status) == Status.masked_dry_season) == (reachable == 0)


@pytest.mark.parametrize("k", [1, 6])
def test_climate_indices_numbers_of_123_years(shared_data, k):
    """Another project's stored SPI of 1895-2017 (no zeros in it) to 1e-8."""
    table = pd.read_csv(shared_data / "oracles/climate_indices_monthly_1895_2017.csv")
    rain = monthly(table["precip_mm"], start="1895-01")
    out = spi(rain, k, (1895, 2017), trace_mm=0.0)
    theirs = table[f"spi_{k:02d}_gamma"].clip(-3, 3).to_numpy()
    both = out.spi.notnull().values & np.isfinite(theirs)
    assert both.sum() > 1400
    assert np.abs(out.spi.values - theirs)[both].max() < 1e-8


def test_stored_spi_of_bali(shared_data):
    """Another project's SPI-12 of TerraClimate, calibrated 1991-2020, within 0.003 on every month both have."""
    rain = xr.open_dataset(shared_data / "bali/terraclimate_bali_ppt_1958_2024.nc")["ppt"]
    rain = rain.assign_attrs(units="mm/month")
    theirs = xr.open_dataset(shared_data / "bali/spi_12_bali.nc")["spi_gamma_12_month"]
    out = spi(rain, 12, (1991, 2020))
    difference = np.abs(out.spi.values - theirs.clip(-3, 3).values)
    both = np.isfinite(difference)
    assert both.mean() > 0.3
    assert difference[both].max() < 0.003


def test_uniform_probabilities_on_simulated_gamma():
    """In 500 cells the Kolmogorov-Smirnov test rejects at 5 % in 3 to 7 %, parameters known."""
    rng = np.random.default_rng(11)
    rain = monthly(rng.gamma(2.0, 15.0, (12 * 1000, 500)), start="1001-01", dims=("time", "cell"))
    learnt = fit_spi(rain, 1, (1001, 2000), trace_mm=0.0)
    fresh = monthly(rng.gamma(2.0, 15.0, (12 * 40, 500)), start="1981-01", dims=("time", "cell"))
    index = apply_spi(fresh, learnt).spi.values[::12]
    rejected = np.mean([kstest(norm.cdf(np.clip(c, -2.999, 2.999)), "uniform").pvalue < 0.05 for c in index.T])
    assert 0.03 <= rejected <= 0.07


# ------------------------------------------------------------------ laws


@settings(max_examples=20, deadline=None)
@given(st.floats(0.01, 1000), st.sampled_from([1, 3, 12]))
def test_units_of_rain_do_not_matter(factor, k):
    rain = arid(years=31, cells=2)
    own = spi(rain, k, CALIBRATION)
    scaled = spi((rain * factor).assign_attrs(rain.attrs), k, CALIBRATION, trace_mm=factor)
    assert np.nanmax(np.abs(own.spi.values - scaled.spi.values)) < 1e-10
    assert (own.spi_status.values == scaled.spi_status.values).all()


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(30)))
def test_exchanging_years_exchanges_the_index(order):
    rain = arid(years=30, cells=3)
    years = rain.values.reshape(30, 12, 3)
    own = spi(rain, 1, CALIBRATION).spi.values.reshape(30, 12, 3)
    moved = spi(rain.copy(data=years[list(order)].reshape(360, 3)), 1, CALIBRATION).spi.values.reshape(30, 12, 3)
    assert np.allclose(moved, own[list(order)], atol=1e-12, equal_nan=True)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 359), st.floats(0.1, 50))
def test_more_rain_never_makes_it_drier(month, more):
    rain = arid(years=30, cells=1)
    learnt = fit_spi(rain, 3, CALIBRATION)
    wetter = rain.copy()
    wetter[month] = wetter[month] + more
    before, after = apply_spi(rain, learnt).spi.values, apply_spi(wetter, learnt).spi.values
    both = np.isfinite(before) & np.isfinite(after)
    assert (after[both] >= before[both]).all()


@pytest.mark.parametrize("chunks", [{"time": -1, "cell": -1}, {"time": 7, "cell": 5}, {"time": 50, "cell": 1}])
def test_chunks_and_order_of_dimensions_change_nothing(chunks):
    """One chunk, odd chunks and transposed dimensions: equal bit for bit."""
    rain = arid(cells=7)
    own = spi(rain, 3, CALIBRATION)
    for other in (rain.chunk(chunks), rain.T.chunk(chunks)):
        found = spi(other, 3, CALIBRATION).compute().transpose("time", "cell")
        for name in own.data_vars:
            assert np.array_equal(found[name].values, own[name].values, equal_nan=True), name


def test_more_cells_than_a_block_give_each_cell_its_own_index():
    """The 2,100th cell of a field equals the same cell alone."""
    rain = arid(years=30, cells=2100)
    whole = spi(rain, 6, CALIBRATION).spi.isel(cell=-1)
    alone = spi(rain.isel(cell=[-1]), 6, CALIBRATION).spi.isel(cell=0)
    assert np.array_equal(whole, alone, equal_nan=True)


def test_rasters_keep_their_dimensions():
    """(time, lat, lon) in, (time, lat, lon) out, float32 kept."""
    rain = arid(cells=6)
    raster = xr.DataArray(
        rain.values.reshape(-1, 2, 3).astype("float32"),
        dims=("time", "lat", "lon"),
        coords={"time": rain.time, "lat": [34.0, 33.0], "lon": [43.0, 44.0, 45.0]},
        attrs=rain.attrs,
    )
    out = spi(raster, 3, CALIBRATION)
    assert out.spi.dims == ("time", "lat", "lon")
    assert out.spi.dtype == np.float32
    assert np.allclose(out.spi.values.reshape(-1, 6), spi(rain, 3, CALIBRATION).spi, atol=1e-4, equal_nan=True)


def test_the_input_is_not_changed():
    rain = arid(cells=1)
    before = rain.values.copy()
    spi(rain, 3, CALIBRATION)
    assert np.array_equal(rain.values, before)


# ------------------------------------------------------------------ dry seasons


def test_a_month_that_never_has_rain_is_masked_and_never_a_drought():
    """July of an arid record: every value NaN, status masked_dry_season, no class detectable."""
    out = spi(arid(), 1, CALIBRATION)
    july = out.isel(time=out.time.dt.month == 7)
    assert july.spi.isnull().all()
    assert (july.spi_status == Status.masked_dry_season).all()
    assert (july.max_detectable_class == 0).all()


@pytest.mark.parametrize(
    ("zeros", "reachable"),
    [(0, 3), (1, 2), (2, 2), (3, 2), (4, 1), (8, 1), (9, 0), (30, 0)],
)
def test_a_class_is_detectable_only_where_a_zero_reaches_it(zeros, reachable):
    """Of 30 Januaries: z0 = Phi^-1((n0 + 1) / 62) is -2.14, -1.85, -1.66, -1.52, -1.40, ..., -1.05, -0.99."""
    z0 = ndtri((zeros + 1) / 62)
    assert reachable == sum(z0 <= edge for edge in (-1, -1.5, -2))
    january = [0.0] * zeros + list(np.linspace(5, 60, 30 - zeros))
    out = spi(one_month(january), 1, CALIBRATION).isel(time=0)
    assert int(out.max_detectable_class) == reachable
    assert (int(out.spi_status) == Status.masked_dry_season) == (reachable == 0)


@pytest.mark.parametrize("k", [1, 3, 6])
def test_drizzle_of_a_reanalysis_changes_almost_nothing(k):
    """Noise of mean 0.02 mm a month: under 1 % of classes and under 2 % of statuses change."""
    changed, flipped, total = 0, 0, 0
    for seed in range(6):
        rain = arid(cells=5, seed=seed)
        noise = np.random.default_rng(100 + seed).exponential(0.02, rain.shape)
        own, noisy = (spi(r, k, CALIBRATION) for r in (rain, (rain + noise).assign_attrs(rain.attrs)))
        flipped += int((own.spi_status != noisy.spi_status).sum())
        changed += int((drought_class(own.spi).fillna(9) != drought_class(noisy.spi).fillna(9)).sum())
        total += own.spi.size
    assert changed / total < 0.01
    assert flipped / total < 0.02


def test_without_a_trace_the_drizzle_would_decide():
    """What the trace is for: without it every month has rain, and the dry season is no longer seen."""
    rain = arid(cells=5)
    noise = np.random.default_rng(100).exponential(0.02, rain.shape)
    own, noisy = (spi(r, 1, CALIBRATION, trace_mm=0.0) for r in (rain, (rain + noise).assign_attrs(rain.attrs)))
    assert float((own.spi_status != noisy.spi_status).mean()) > 0.2


def test_a_zero_never_seen_in_calibration_is_out_of_support():
    """30 wet Januaries, then a dry one: p = 1 / 62, kept and marked."""
    out = spi(one_month([*np.linspace(5, 60, 30), 0.0]), 1, CALIBRATION).isel(time=-12)
    assert float(out.spi) == pytest.approx(norm.ppf(1 / 62), abs=1e-12)
    assert int(out.spi_status) == Status.out_of_support


# ------------------------------------------------------------------ calibration


def test_29_years_are_not_enough():
    out = spi(monthly(arid(years=29, cells=1).values[:, 0]), 1, CALIBRATION)
    assert (out.spi_status == Status.insufficient_data).all()
    assert out.spi.isnull().all()
    assert (out.max_detectable_class == 0).all()


@pytest.mark.parametrize(("needed", "status"), [(28, Status.ok), (29, Status.insufficient_data)])
def test_the_positive_totals_must_be_enough_too(needed, status):
    """30 Januaries, two of them dry: 28 with rain. The dry ones are those of the calibration, so nothing is new."""
    out = spi(one_month([0.0, 0.0, *np.linspace(5, 60, 28)]), 1, CALIBRATION, min_positive=needed)
    assert set(out.spi_status.values[::12]) == {int(status)}


@pytest.mark.parametrize("k", [6, 12, 24])
def test_30_complete_years_calibrate_every_scale(k):
    """The windows that reach back before the record are not asked for; a gap inside it still is."""
    rain = monthly(np.random.default_rng(1).gamma(2, 30, 12 * 34))
    out = spi(rain, k, CALIBRATION)
    assert (out.spi_status.values[: k - 1] == Status.insufficient_data).all()
    assert (out.spi_status.values[k - 1 :] == Status.ok).all()
    gap = rain.copy()
    gap[100] = np.nan
    broken = spi(gap, k, CALIBRATION)
    assert (broken.spi_status.values[k - 1 :] == Status.insufficient_data).sum() >= k


def test_a_calibration_longer_than_the_record_gets_no_allowance():
    """Calibration 1981-2010 of a record that starts in 1984 has 27 years."""
    out = spi(monthly(np.random.default_rng(1).gamma(2, 30, 12 * 35), start="1984-01"), 6, CALIBRATION)
    assert (out.spi_status == Status.insufficient_data).all()


def test_months_after_the_calibration_do_not_move_it():
    """Parameters are those of the years named, whatever follows."""
    rain = arid(years=44)
    short, whole = fit_spi(rain[: 12 * 30], 3, CALIBRATION), fit_spi(rain, 3, CALIBRATION)
    xr.testing.assert_identical(short.values, whole.values)


@pytest.mark.parametrize("k", [1, 3, 12, 24])
def test_a_new_month_never_moves_the_past(k):
    """Saved parameters on a longer record: the months before keep their bits."""
    rain = arid(years=44)
    learnt = fit_spi(rain, k, CALIBRATION)
    whole, shorter = apply_spi(rain, learnt), apply_spi(rain[:-1], learnt)
    xr.testing.assert_identical(whole.isel(time=slice(None, -1)), shorter)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("k", [1, 3, 24])
@pytest.mark.parametrize("last", [1, 2, 13])
def test_the_last_months_alone_have_the_same_bits(k, last, dtype):
    """They need only the k - 1 months before them, whichever calendar month the slice begins with."""
    rain = arid(years=44).astype(dtype).isel(time=slice(None, -5))
    learnt = fit_spi(rain, k, CALIBRATION)
    whole = apply_spi(rain, learnt).isel(time=slice(-last, None))
    xr.testing.assert_identical(apply_spi(rain, learnt, last_months=last), whole)
    sliced = apply_spi(rain.isel(time=slice(-(last + k - 1), None)), learnt).isel(time=slice(-last, None))
    xr.testing.assert_identical(sliced, whole)
    before = rain.isel(time=slice(-(last + k - 2), None)) if last + k > 2 else rain[:0]
    if k > 1:
        short = apply_spi(before, learnt).isel(time=slice(-last, None))
        assert (short.spi_status[0] != Status.ok).all()  # one month fewer is a partial sum, and no value


def test_more_months_than_there_are_is_the_whole_record():
    rain = arid(years=31, cells=2)
    learnt = fit_spi(rain, 3, CALIBRATION)
    xr.testing.assert_identical(apply_spi(rain, learnt, last_months=9999), apply_spi(rain, learnt))
    with pytest.raises(ContractError, match="last_months 0, expected at least 1"):
        apply_spi(rain, learnt, last_months=0)


def test_the_probability_behind_the_index_is_not_clipped():
    """A January far beyond the others: the index ends at 3, its probability goes on; NaN where there is no index."""
    rain = one_month([*np.linspace(20, 60, 30), 150.0])
    out = apply_spi(rain, fit_spi(rain, 1, CALIBRATION), probability=True)
    assert out.spi.values[360] == 3
    assert ndtri(out.spi_probability.values[360]) > 3.5
    inside = np.abs(out.spi.values) < 3
    np.testing.assert_allclose(ndtri(out.spi_probability.values[inside]), out.spi.values[inside], rtol=0, atol=1e-12)
    dry = arid()
    out = apply_spi(dry, fit_spi(dry, 1, CALIBRATION), probability=True)
    assert np.array_equal(out.spi_probability.isnull(), out.spi.isnull())
    assert np.array_equal(out.spi_probability_status, out.spi_status)


@pytest.mark.parametrize("start", ["1980-10", "1981-01", "1980-02"])
def test_a_record_may_start_in_any_month(start):
    """Months before the calibration change no parameter and no later index."""
    rain = arid(years=35)
    earlier = pd.date_range(start, "1980-12", freq="MS")
    padded = xr.concat([rain[: len(earlier)].assign_coords(time=earlier), rain], dim="time", combine_attrs="override")
    own, other = (spi(r, 1, CALIBRATION) for r in (rain, padded))
    xr.testing.assert_identical(own, other.isel(time=slice(len(earlier), None)))


def test_parameters_survive_a_file(tmp_path):
    """Saved, read and applied to new months: the same index."""
    rain = arid()
    learnt = fit_spi(rain, 3, CALIBRATION)
    learnt.values.to_netcdf(tmp_path / "spi.nc")
    again = SpiParameters(xr.open_dataset(tmp_path / "spi.nc").load())
    xr.testing.assert_equal(apply_spi(rain, learnt), apply_spi(rain, again))
    assert again.scale_months == 3


def test_parameters_of_another_scale_are_refused():
    rain = arid(cells=1)
    with pytest.raises(ContractError, match="3 months, expected 6"):
        spi(rain, 6, CALIBRATION, parameters=fit_spi(rain, 3, CALIBRATION))


# ------------------------------------------------------------------ bad input


@pytest.mark.parametrize("value", [np.nan, 7.0])
def test_nothing_or_a_constant_gives_no_index(value):
    """All missing, all equal: insufficient_data, no division by zero."""
    out = spi(monthly(np.full(12 * 40, value)), 3, CALIBRATION)
    assert out.spi.isnull().all()
    assert (out.spi_status == Status.insufficient_data).all()


def test_a_missing_month_silences_every_window_that_holds_it():
    rain = monthly(np.random.default_rng(2).gamma(2, 30, 12 * 40))
    rain[400] = np.nan
    out = spi(rain, 3, (1981, 2010))
    lost = np.flatnonzero(out.spi.isnull().values[2:]) + 2
    assert lost.tolist() == [400, 401, 402]


@pytest.mark.parametrize(
    "times", [["1981-01-01", "1981-01-01"], ["1981-01-01", "1981-03-01"], ["1981-02-01", "1981-01-01"]]
)
def test_months_twice_missing_or_out_of_order_are_refused(times):
    rain = xr.DataArray([1.0, 2.0], dims="time", coords={"time": pd.DatetimeIndex(times)}, attrs={"units": "mm/month"})
    with pytest.raises(ContractError, match="consecutive months"):
        spi(rain, 1, CALIBRATION)


def test_rain_in_other_units_is_refused():
    with pytest.raises(ContractError, match="mm/month"):
        spi(monthly(np.ones(24), units="m"), 1, CALIBRATION)


def test_a_partial_sum_never_stands_for_a_window():
    """Totals of 3 months: the first two are unknown, and so is each window with a gap."""
    total = accumulate(np.array([1.0, 2.0, 3.0, np.nan, 5.0, 6.0, 0.2]), 3, trace_mm=1.0)
    assert np.array_equal(total, [np.nan, np.nan, 6.0, np.nan, np.nan, np.nan, 11.2], equal_nan=True)


def test_class_edges_belong_to_the_drier_class():
    """-1, -1.5 and -2 exactly are moderate, severe and extreme."""
    edges = xr.DataArray([-0.999, -1.0, -1.499, -1.5, -1.999, -2.0, np.nan], dims="time")
    assert np.array_equal(drought_class(edges), [0, -1, -1, -2, -2, -3, np.nan], equal_nan=True)
