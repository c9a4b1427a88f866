"""Outlook from resampled years: by hand, by the definition, and what it may never look at."""

import time

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from geodata.schema import ContractError, Status
from models.baselines import overlap_brier_skill, overlap_correlation
from models.outlook import (
    Season,
    quantile_threshold,
    resampled_years_outlook,
    season_event,
    season_totals,
    spi_threshold,
)
from models.scores import brier_skill, crps_ensemble
from models.spi import apply_spi, fit_spi

WINTER = Season(end_month=4, months=7)


def monthly(values, start="1981-01", dims=("time",)):
    times = pd.date_range(start, periods=len(values), freq="MS")
    array = xr.DataArray(np.asarray(values, dtype=float), dims=dims, coords={"time": times}, name="rain")
    return array.assign_attrs(units="mm/month")


def made(years=35, units=3, seed=0):
    """Wet winters, dry summers; some units usually dry."""
    rng = np.random.default_rng(seed)
    mean = np.array([40, 35, 30, 20, 6, 0.2, 0, 0, 0.3, 8, 25, 38.0])
    wet = rng.random((years * 12, units)) < np.linspace(0.95, 0.4, units)
    return monthly(rng.gamma(1.5, np.tile(mean, years)[:, None] / 1.5 + 1e-9, wet.shape) * wet, dims=("time", "pcode"))


def mm(*values):
    return xr.DataArray(np.array(values, dtype=float), dims="pcode")


# ------------------------------------------------------------------ by hand


def test_three_past_years_by_hand():
    """Two months to February, January 5 is known; past Februaries 1, 4, 9 make 6, 9, 14: two of three at most 9."""
    rain = monthly([9, 1, *[0] * 10, 2, 4, *[0] * 10, 7, 9, *[0] * 10, 5])
    found = resampled_years_outlook(
        rain, Season(2, 2), [1984], [1981, 1982, 1983], xr.DataArray(9.0), leads=[1, 2], min_years=3
    ).isel(time=0)
    assert found.ensemble.sel(lead=1).values.tolist() == [6, 9, 14]
    assert found.outlook.sel(lead=1) == pytest.approx(2 / 3)
    assert (found.members_below.sel(lead=1), found.members.sel(lead=1)) == (2, 3)
    assert found.known_total.values.tolist() == [5, 0]
    assert found.known_share.values == pytest.approx([18 / 32, 0])
    assert found.ensemble.sel(lead=2).values.tolist() == [10, 6, 16]  # nothing known: the past years as they were
    assert [str(t)[:7] for t in found.last_known.values] == ["1984-01", "1983-12"]
    assert (found.outlook_status == Status.ok).all()


def by_the_definition(rain, season, year, past, cut, lead):
    """Month by month, without arrays."""
    at = {(t.year, t.month): float(v) for t, v in zip(rain.indexes["time"], rain.values, strict=True)}

    def months(y):
        end = y * 12 + season.end_month - 1
        return [divmod(m, 12) for m in range(end - season.months + 1, end + 1)]

    def value(key):
        return at.get((key[0], key[1] + 1), np.nan)

    ends = []
    for other in past:
        known = [value(k) for k in months(year)[: season.months - lead]]
        rest = [value(k) for k in months(other)[season.months - lead :]]
        total = sum(known + rest)
        if np.isfinite(total):
            ends.append(0.0 if total < season.trace_mm else total)
    return np.mean([t <= cut for t in ends]) if ends else np.nan


@settings(max_examples=40)
@given(st.integers(1, 12), st.integers(1, 12), st.data())
def test_it_is_the_definition_for_any_season(end_month, months, data):
    lead = data.draw(st.integers(1, months))
    rain = made(years=8, units=1, seed=data.draw(st.integers(0, 99))).isel(pcode=0)
    if data.draw(st.booleans()):
        rain[data.draw(st.integers(0, 95))] = np.nan
    season, past = Season(end_month, months), [1981, 1982, 1983, 1985, 1986, 1988]
    cut = data.draw(st.floats(0, 200))
    found = resampled_years_outlook(rain, season, [1984, 1987], past, xr.DataArray(cut), leads=[lead], min_years=1)
    for year in (1984, 1987):
        expected = by_the_definition(rain, season, year, past, cut, lead)
        own = found.outlook.sel(time=f"{year}-{end_month:02d}-01", lead=lead).item()
        assert own == pytest.approx(expected, nan_ok=True)


# ------------------------------------------------------------------ what it may look at


def test_nothing_after_the_last_known_month_and_no_year_outside_the_fold_changes_it():
    rain = made()
    past = [*range(1982, 1995), *range(2002, 2016)]
    cut = quantile_threshold(rain, WINTER, past, 1 / 3)
    found = resampled_years_outlook(rain, WINTER, [1998], past, cut, leads=[2])
    other = rain.copy()
    times = rain.indexes["time"]
    hidden = (times > "1995-04-01") & (times < "2001-09-01") & ~((times >= "1997-10-01") & (times <= "1998-02-01"))
    other[hidden] = 999.0
    again = resampled_years_outlook(
        other, WINTER, [1998], past, quantile_threshold(other, WINTER, past, 1 / 3), leads=[2]
    )
    xr.testing.assert_identical(again, found)


def test_the_season_under_way_needs_no_month_that_has_not_come():
    """The record ends in February 2015: the outlook of April 2015 two months ahead is that of the whole record."""
    rain = made()
    past = range(1982, 2015)
    cut = quantile_threshold(rain, WINTER, past, 1 / 3)
    whole = resampled_years_outlook(rain, WINTER, [2015], past, cut, leads=[1, 2])
    sofar = resampled_years_outlook(rain.sel(time=slice(None, "2015-02")), WINTER, [2015], past, cut, leads=[1, 2])
    xr.testing.assert_identical(sofar.sel(lead=2), whole.sel(lead=2))
    assert (sofar.outlook_status.sel(lead=1) == Status.insufficient_data).all()
    assert sofar.outlook.sel(lead=1).isnull().all()


def test_a_year_may_not_follow_itself():
    rain = made()
    with pytest.raises(ContractError, match=r"\[1990\] would follow themselves"):
        resampled_years_outlook(rain, WINTER, [1990], range(1982, 2010), mm(1, 1, 1))


def test_without_anything_known_or_left_it_is_refused():
    for leads in ([0], [8]):
        with pytest.raises(ContractError, match="leads of 1 to 7"):
            resampled_years_outlook(made(), WINTER, [2015], range(1982, 2010), mm(1, 1, 1), leads=leads)
    with pytest.raises(ContractError, match="season"):
        Season(13, 3)


# ------------------------------------------------------------------ statuses


def test_few_past_years_are_no_outlook():
    rain = made()
    cut = mm(100, 100, 100)
    found = resampled_years_outlook(rain, WINTER, [2015], range(1982, 2001), cut)
    assert (found.members == 19).all()
    assert (found.outlook_status == Status.insufficient_data).all()
    assert found.outlook.isnull().all()
    enough = resampled_years_outlook(rain, WINTER, [2015], range(1982, 2002), cut)
    assert (enough.outlook_status == Status.ok).all()


def test_a_gap_in_the_known_months_is_no_outlook_and_one_in_a_past_year_is_a_member_less():
    rain = made()
    rain.loc["2014-12-01"] = np.nan
    rain.loc["1990-04-01"] = np.nan
    found = resampled_years_outlook(rain, WINTER, [2014, 2015], range(1982, 2012), mm(90, 90, 90))
    assert (found.outlook_status.isel(time=1) == Status.insufficient_data).all()
    assert (found.members.isel(time=0) == 29).all()
    assert (found.outlook_status.isel(time=0) == Status.ok).all()


def test_a_threshold_that_cannot_be_reached_is_masked():
    found = resampled_years_outlook(made(), WINTER, [2015], range(1982, 2012), mm(90, np.nan, 90))
    assert (found.outlook_status.isel(pcode=1) == Status.masked_dry_season).all()
    assert (found.outlook.notnull() == (found.outlook_status == Status.ok)).all()


# ------------------------------------------------------------------ thresholds


def test_the_lower_third_is_met_by_a_third_of_the_training_years():
    rain = made(years=37, units=5)
    training = range(1982, 2012)
    cut = quantile_threshold(rain, WINTER, training, 1 / 3)
    share = season_event(rain, WINTER, training, cut).mean("time")
    assert share.values == pytest.approx(10 / 30, abs=1 / 30)
    summer = Season(8, 2)
    assert quantile_threshold(rain, summer, training, 1 / 3).isnull().all()
    assert quantile_threshold(rain, WINTER, range(1982, 1990), 1 / 3).isnull().all()


@pytest.mark.parametrize("season", [WINTER, Season(4, 6), Season(10, 3), Season(9, 4)])
@pytest.mark.parametrize("index", [-1.0, -0.43, 0.5])
def test_a_total_at_or_below_the_threshold_is_an_index_at_or_below_it(season, index):
    """The event by totals is the event by the SPI itself, zeros and dry months included."""
    rain = made(units=6)
    parameters = fit_spi(rain, season.months, (1981, 2015))
    cut = spi_threshold(parameters, season, index)
    years = range(1983, 2016)
    event = season_event(rain, season, years, cut)
    spi = apply_spi(rain, parameters).spi.sel(time=season.ends(years))
    told = event.notnull() & spi.notnull()
    assert told.any() or season.end_month == 9
    assert ((event == 1) == (spi <= index)).where(told, True).all()
    with pytest.raises(ContractError, match="expected 12"):
        spi_threshold(parameters, Season(4, 12), -1.0)


# ------------------------------------------------------------------ form and worth


def test_dask_order_of_dimensions_and_other_dims_change_nothing():
    rain = made(units=4)
    past = range(1982, 2012)
    cut = quantile_threshold(rain, WINTER, past, 1 / 3)
    own = resampled_years_outlook(rain, WINTER, [2014, 2015], past, cut)
    lazy = resampled_years_outlook(rain.chunk(time=50, pcode=2), WINTER, [2014, 2015], past, cut)
    assert lazy.outlook.chunks is not None
    xr.testing.assert_identical(lazy.compute(), own)
    xr.testing.assert_identical(resampled_years_outlook(rain.T, WINTER, [2014, 2015], past, cut), own)
    one = resampled_years_outlook(rain.isel(pcode=1), WINTER, [2014, 2015], past, cut.isel(pcode=1))
    xr.testing.assert_identical(one, own.isel(pcode=1))
    lazy_cut = quantile_threshold(rain.chunk(time=50, pcode=2), WINTER, past, 1 / 3)
    xr.testing.assert_allclose(lazy_cut.compute(), cut)


@settings(max_examples=20)
@given(st.floats(0, 300), st.floats(0, 100))
def test_a_higher_threshold_is_never_less_likely(cut, more):
    rain = made(units=2)
    low, high = (
        resampled_years_outlook(rain, WINTER, [2015], range(1982, 2012), mm(c, c)).outlook for c in (cut, cut + more)
    )
    assert (low <= high).all()


def test_the_more_is_known_the_closer_it_comes():
    """CRPS of the ensemble falls from lead 6 to 1, and the known share of the season rises."""
    rain = made(years=60, units=10)
    found = [
        resampled_years_outlook(
            rain, WINTER, [y], [o for o in range(1982, 2041) if o != y], mm(*[100] * 10), leads=[6, 4, 2, 1]
        )
        for y in range(1982, 2041)
    ]
    ensemble = xr.concat([f.ensemble.drop_vars("member") for f in found], dim="time").transpose(..., "member")
    observed = season_totals(rain, WINTER, range(1982, 2041)).expand_dims(lead=4, axis=1)
    crps = crps_ensemble(ensemble, observed).mean(axis=(0, 2))
    assert (np.diff(crps) < 0).all()
    assert (found[0].known_share.diff("lead") > 0).all()


def test_on_rain_without_memory_it_has_the_skill_that_overlap_buys():
    """Gaussian months, two of three known: rho sqrt(2 / 3), not the 2 / 3 of an index that has forgotten which.

    What an ensemble of 58 members loses is within 0.03.
    """
    rng = np.random.default_rng(11)
    rain = monthly(100 + rng.normal(0, 5, (60 * 12, 150)), dims=("time", "pcode"))
    season, years = Season(4, 3, trace_mm=0), range(1982, 2041)
    cut = xr.DataArray(np.full(150, 300 - 5 * np.sqrt(3)), dims="pcode")
    p = xr.concat(
        [
            resampled_years_outlook(rain, season, [y], [o for o in years if o != y], cut, leads=[1]).outlook
            for y in years
        ],
        dim="time",
    ).isel(lead=0)
    event = season_event(rain, season, years, cut)
    skill = brier_skill(p, event, np.full(event.shape, 0.158655))
    rho = overlap_correlation(3, 1, predictor_months=2)
    assert rho == pytest.approx(np.sqrt(2 / 3))
    assert skill == pytest.approx(overlap_brier_skill(rho), abs=0.03)


def test_speed_of_an_outlook():
    """300 units, 3 leads, 5 targets, one season from 35 years: 2 s asked for."""
    rain = made(years=36, units=300)
    past = range(1982, 2016)
    begun = time.process_time()
    for season in (WINTER, Season(4, 6), Season(12, 3), Season(3, 6), Season(5, 8)):
        cut = quantile_threshold(rain, season, past, 1 / 3)
        resampled_years_outlook(rain, season, [2016], past, cut)
    assert time.process_time() - begun < 2.0
