"""Heat: xclim's counts and percentiles, waves across months and gaps, and what the calibration needs."""

from dataclasses import replace

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from geodata.schema import ContractError, Status, check_cube
from models.heat import HeatRules, heat_indices, heat_wave_days, hot_days, hot_nights, warm_day_percentile

CALIBRATION = (2001, 2004)
RULES = HeatRules(min_years=4)


def summers(first="2001-01-01", last="2004-12-31", cells=2, seed=0):
    """Daily maxima around 20 degrees in winter and 44 in summer, in spells."""
    time = pd.date_range(first, last, freq="D")
    random = np.random.default_rng(seed)
    noise = random.normal(0, 2.5, (len(time) + 2, cells))
    noise = noise[:-2] + noise[1:-1] + noise[2:]
    season = 32 - 12 * np.cos(2 * np.pi * (time.day_of_year.to_numpy() - 20) / 365)[:, None]
    return xr.DataArray(
        season + noise, dims=("time", "cell"), coords={"time": time}, attrs={"units": "degC"}, name="tmax"
    )


def days(values, first="2001-06-01"):
    values = np.asarray(values, dtype=float)
    time = pd.date_range(first, periods=len(values))
    return xr.DataArray(values, dims="time", coords={"time": time}, attrs={"units": "degC"}, name="tmax")


def always(limit):
    """A percentile that says the same on every calendar day."""
    coords = {"calendar_day": np.arange(1, 366)}
    return xr.DataArray(np.full(365, float(limit)), dims="calendar_day", coords=coords, attrs={"units": "degC"})


def waves(values, first="2001-06-01", **rules):
    return heat_wave_days(days(values, first), CALIBRATION, replace(RULES, **rules), percentile=always(0))


# ------------------------------------------------------------------ oracles


def test_xclim_counts_the_same_hot_days_and_nights():
    from xclim import indices as xclim_indices

    tmax = summers()
    tmin = (tmax - 14).assign_attrs(tmax.attrs).rename("tmin")
    theirs = xclim_indices.tx_days_above(tmax, thresh="45 degC", freq="MS").transpose("time", "cell")
    assert np.array_equal(hot_days(tmax).hot_days, theirs)
    theirs = xclim_indices.tn_days_above(tmin, thresh="30 degC", freq="MS").transpose("time", "cell")
    assert np.array_equal(hot_nights(tmin).hot_nights, theirs)
    assert theirs.max() > 5


@pytest.mark.parametrize("window", [5, 15])
def test_xclim_gives_the_same_percentile_of_each_calendar_day(window):
    """Three years without a leap day, quantile of type 8, to 1e-9."""
    from xclim.core import calendar

    tmax = summers(last="2003-12-31")
    theirs = calendar.percentile_doy(tmax, window=window, per=95).isel(percentiles=0)
    rules = replace(RULES, window_days=window, min_years=3)
    own = warm_day_percentile(tmax, (2001, 2003), rules)
    assert own.calendar_day.values.tolist() == list(range(1, 366))
    assert (
        np.abs(own.transpose("calendar_day", "cell").values - theirs.transpose("dayofyear", "cell").values).max() < 1e-9
    )


def test_xclim_counts_the_same_days_of_waves_in_a_year():
    """Against a fixed limit, where no wave lies across a new year."""
    from xclim import indices as xclim_indices

    tmax = summers()
    theirs = xclim_indices.heat_wave_total_length(
        tmax, tmax, thresh_tasmin="42 degC", thresh_tasmax="42 degC", window=3, freq="YS"
    ).transpose("time", "cell")
    own = heat_wave_days(tmax, CALIBRATION, RULES, percentile=always(0)).heat_wave_days
    assert np.array_equal(own.resample(time="YS").sum(), theirs)
    assert theirs.min() > 10


def test_29_february_stands_with_the_28th():
    """Warm leap days stand in the windows around them, and 1 March of a leap year keeps its own percentile."""
    tmax = summers(cells=1).isel(cell=0) * 0 + 20.0
    tmax = tmax.assign_attrs(units="degC")
    tmax.loc["2004-02-29"] = 50.0
    own = warm_day_percentile(tmax, CALIBRATION, replace(RULES, wave_percentile=0.99))
    warm = own.calendar_day.values[own.values > 20].tolist()
    assert warm == [58, 59, 60, 61]  # 27 and 28 February, 1 and 2 March


def test_29_february_is_judged_by_the_28th():
    """Three hot days to the 29th; the percentile of 28 February lies below them, that of 1 March above."""
    tmax = days(np.full(60, 30.0), "2004-01-01")
    tmax.loc["2004-02-27":"2004-02-29"] = 43
    held = always(0)
    held.loc[60] = 50
    out = heat_wave_days(tmax, CALIBRATION, RULES, percentile=held)
    assert out.heat_wave_days.sel(time="2004-02-01").item() == 3


@pytest.mark.parametrize(("day", "month_day"), [(59, "02-28"), (60, "03-01"), (200, "07-19")])
def test_the_percentile_is_that_of_five_days_of_each_year(day, month_day):
    """By numpy, from days picked by their dates."""
    tmax = summers(cells=1)
    centres = [pd.Timestamp(f"{year}-{month_day}") for year in range(2001, 2005)]
    picked = [c + pd.Timedelta(days=shift) for c in centres for shift in range(-2, 3)]
    expected = np.quantile(tmax.sel(time=picked).values[:, 0], 0.95, method="median_unbiased")
    found = warm_day_percentile(tmax, CALIBRATION, RULES).sel(calendar_day=day).item()
    assert found == pytest.approx(expected, abs=1e-12)


# ------------------------------------------------------------------ waves by hand


def test_three_days_make_a_wave_and_two_do_not():
    """Above 42 degrees on 2 and then on 4 days of June."""
    june = np.full(30, 40.0)
    june[3:5] = 43
    june[10:14] = 43
    assert waves(june).heat_wave_days.item() == 4


def test_a_day_at_the_limit_is_not_above_it():
    assert waves(np.full(30, 42.0)).heat_wave_days.item() == 0
    assert hot_days(days(np.full(30, 45.0))).hot_days.item() == 0
    assert hot_nights(days(np.full(30, 30.0))).hot_nights.item() == 0


def test_a_wave_across_the_end_of_a_month_counts_in_both():
    """30 June to 1 July: one day in June, two in July."""
    tmax = days(np.full(61, 40.0))
    tmax[29:32] = 43
    out = heat_wave_days(tmax, CALIBRATION, RULES, percentile=always(0))
    assert out.heat_wave_days.values.tolist() == [1, 2]


def test_a_day_must_also_be_warm_for_its_season():
    """43 degrees all year: above 42 and never above the 95th percentile of themselves."""
    tmax = summers(cells=1) * 0 + 43.0
    assert (heat_wave_days(tmax.assign_attrs(units="degC"), CALIBRATION, RULES).heat_wave_days == 0).all()
    hotter = tmax.assign_attrs(units="degC").copy()
    hotter.loc["2003-07-10":"2003-07-13"] = 47
    out = heat_wave_days(hotter, CALIBRATION, replace(RULES, wave_percentile=0.5)).heat_wave_days
    assert out.sum() == out.sel(time="2003-07-01").item() == 4


def test_a_warm_spell_of_winter_is_no_heat_wave():
    tmax = summers(cells=1)
    tmax.loc["2003-01-10":"2003-01-20"] = 35
    out = heat_wave_days(tmax, CALIBRATION, RULES)
    assert out.heat_wave_days.sel(time="2003-01-01").item() == 0


# ------------------------------------------------------------------ gaps


def test_an_unseen_day_that_decides_a_wave_hides_the_month():
    """Two hot days, one unseen, one hot: a wave of four or none."""
    june = np.full(30, 40.0)
    june[[3, 4, 6]] = 43
    june[5] = np.nan
    out = waves(june)
    assert out.heat_wave_days_status.item() == Status.insufficient_data
    assert np.isnan(out.heat_wave_days.item())


def test_an_unseen_day_beside_whole_waves_hides_nothing():
    """Three hot days, one unseen, three hot: six, whatever the unseen day was."""
    june = np.full(30, 40.0)
    june[3:10] = 43
    june[6] = np.nan
    out = waves(june)
    assert out.heat_wave_days.item() == 6
    assert out.heat_wave_days_status.item() == Status.ok


@pytest.mark.parametrize(("missing", "known"), [(1, True), (2, False)])
def test_a_month_needs_95_percent_of_its_days(missing, known):
    june = np.full(30, 46.0)
    june[:missing] = np.nan
    for out, name in (
        (hot_days(days(june)), "hot_days"),
        (hot_nights(days(june)), "hot_nights"),
        (waves(june), "heat_wave_days"),
    ):
        assert (out[name].item() == 30 - missing) == known, name
        assert (out[f"{name}_status"].item() == Status.ok) == known, name


def test_a_month_that_has_not_ended_is_unknown():
    out = hot_days(days(np.full(40, 46.0)))
    assert out.hot_days_status.values.tolist() == [Status.ok, Status.insufficient_data]


def test_too_few_complete_years_give_no_waves_but_hot_days():
    """Four years, one of them with 30 unseen days: three are complete."""
    tmax = summers()
    tmax[{"time": slice(400, 430), "cell": 1}] = np.nan
    out = heat_wave_days(tmax, CALIBRATION, RULES)
    assert (out.heat_wave_days_status.isel(cell=0) == Status.ok).all()
    assert (out.heat_wave_days_status.isel(cell=1) == Status.insufficient_data).all()
    assert out.heat_wave_days.isel(cell=1).isnull().all()
    assert hot_days(tmax).hot_days.isel(cell=1).notnull().sum() == 46


# ------------------------------------------------------------------ laws


@settings(max_examples=15)
@given(st.integers(0, 1460), st.floats(0.1, 10))
def test_more_heat_never_lowers_a_count(day, more):
    """The percentile held."""
    tmax = summers(cells=1)
    hotter = tmax.copy()
    hotter[day] = hotter[day] + more
    held = warm_day_percentile(tmax, CALIBRATION, RULES)
    for name, of in (
        ("hot_days", lambda t: hot_days(t)),
        ("heat_wave_days", lambda t: heat_wave_days(t, CALIBRATION, RULES, percentile=held)),
    ):
        assert (of(hotter)[name] >= of(tmax)[name]).all(), name


@settings(max_examples=15)
@given(st.sets(st.integers(0, 1460), min_size=1, max_size=10))
def test_a_masked_day_never_lowers_a_count(masked):
    """With every day asked for, a month is as before or unknown; the percentile held."""
    tmax = summers(cells=1)
    holed = tmax.copy()
    holed[list(masked)] = np.nan
    held, strict = warm_day_percentile(tmax, CALIBRATION, RULES), replace(RULES, min_days=1.0)
    for name, of in (
        ("hot_days", lambda t: hot_days(t, strict)),
        ("hot_nights", lambda t: hot_nights(t, strict)),
        ("heat_wave_days", lambda t: heat_wave_days(t, CALIBRATION, strict, percentile=held)),
    ):
        own, found = of(tmax)[name], of(holed)[name]
        assert (found.isnull() | (found == own)).all(), name


@settings(max_examples=10)
@given(st.floats(-20, 20))
def test_shifting_the_scale_and_its_limits_changes_no_count(shift):
    tmax = summers(cells=1)
    shifted = (tmax + shift).assign_attrs(tmax.attrs)
    rules = replace(
        RULES,
        hot_day_above_degc=45 + shift,
        hot_night_above_degc=30 + shift,
        wave_above_degc=42 + shift,
    )
    own, found = heat_indices(tmax, tmax, CALIBRATION, RULES), heat_indices(shifted, shifted, CALIBRATION, rules)
    for name in ("hot_days", "hot_nights", "heat_wave_days"):
        assert np.array_equal(own[name], found[name]), name


@pytest.mark.parametrize("chunks", [{"time": -1, "cell": -1}, {"time": 300, "cell": 2}, {"time": -1, "cell": 1}])
def test_chunks_and_order_of_dimensions_change_nothing(chunks):
    tmax = summers(cells=5)
    tmax[1000:1002, 2] = np.nan
    own = heat_indices(tmax, tmax, CALIBRATION, RULES)
    learnt = warm_day_percentile(tmax, CALIBRATION, RULES)
    for other in (tmax.chunk(chunks), tmax.T.chunk(chunks), tmax.T):
        lazy = heat_indices(other, other, CALIBRATION, RULES)
        assert all(isinstance(v.data, da.Array) for v in lazy.values()) == (other.chunks is not None)
        found = lazy.compute().transpose("time", "cell")
        for name in own.data_vars:
            assert np.allclose(found[name], own[name], rtol=0, atol=1e-12, equal_nan=True), name
        again = warm_day_percentile(other, CALIBRATION, RULES).transpose(*learnt.dims)
        assert np.allclose(again, learnt, rtol=0, atol=1e-12)


def test_a_saved_percentile_is_used_again():
    """Later years do not move what was learnt; what was learnt gives the same days, float32 too."""
    tmax = summers(last="2006-12-31").astype("float32")
    learnt = warm_day_percentile(tmax, CALIBRATION, RULES)
    cut = tmax.sel(time=slice("2005-01-31"))
    xr.testing.assert_identical(learnt, warm_day_percentile(cut, CALIBRATION, RULES))
    own = heat_wave_days(tmax, CALIBRATION, RULES)
    assert own.heat_wave_days.dtype == np.float32
    xr.testing.assert_identical(own, heat_wave_days(tmax, (1900, 1901), RULES, percentile=learnt))
    assert own.heat_wave_days.sum() > 5


def test_every_value_has_its_status_units_and_words():
    tmax = summers().rename(cell="pcode").assign_coords(pcode=["A", "B"])
    tmax[500:510, 1] = np.nan
    check_cube(heat_indices(tmax, tmax, CALIBRATION, RULES))


def test_a_raster_keeps_its_dimensions():
    tmax = summers(cells=6)
    coords = {"time": tmax.time, "lat": [34.0, 33.0], "lon": [43.0, 44.0, 45.0]}
    raster = xr.DataArray(tmax.values.reshape(-1, 2, 3), dims=("time", "lat", "lon"), coords=coords, attrs=tmax.attrs)
    out = heat_wave_days(raster.chunk(lat=1), CALIBRATION, RULES).compute()
    assert out.heat_wave_days.dims == ("time", "lat", "lon")
    flat = heat_wave_days(tmax, CALIBRATION, RULES)
    assert np.array_equal(out.heat_wave_days.values.reshape(-1, 6), flat.heat_wave_days)


# ------------------------------------------------------------------ bad input


def test_kelvin_and_months_are_refused():
    tmax = summers(cells=1)
    for of in (
        hot_days,
        hot_nights,
        lambda t: heat_wave_days(t, CALIBRATION),
        lambda t: warm_day_percentile(t, CALIBRATION),
    ):
        with pytest.raises(ContractError, match="degC"):
            of(tmax.assign_attrs(units="K"))
        with pytest.raises(ContractError, match="consecutive days"):
            of(tmax[::30])


def test_maxima_and_minima_of_other_days_are_refused():
    tmax = summers(cells=1)
    with pytest.raises(ContractError, match="same days and cells"):
        heat_indices(tmax, tmax.sel(time=slice("2003-12-31")), CALIBRATION, RULES)


@pytest.mark.parametrize("wrong", [{"window_days": 4}, {"wave_days": 0}, {"wave_percentile": 95.0}])
def test_an_even_window_no_day_and_a_percentage_are_refused(wrong):
    with pytest.raises(ContractError, match="heat"):
        HeatRules(**wrong)
