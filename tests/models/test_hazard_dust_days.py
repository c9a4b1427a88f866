"""Dust frequency: ranks by hand, Poisson limits of a table, their coverage, and months nobody counted."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from geodata.schema import KEEPS_VALUE, ContractError, Status, check_cube, has_status
from models.hazard_dust_days import dust_frequency

CALIBRATION = (1991, 2020)


def counts(years=30, units=4, seed=0, rate=None):
    """Dust days per month: seldom in winter, a third of the days in June."""
    rng = np.random.default_rng(seed)
    season = 5.0 - 4.5 * np.cos(2 * np.pi * (np.arange(12 * years) % 12) / 12) if rate is None else rate
    days = np.minimum(rng.poisson(np.broadcast_to(season, 12 * years)[:, None], (12 * years, units)), 28)
    times = pd.date_range("1991-01", periods=12 * years, freq="MS")
    coords = {"time": times, "pcode": [f"U{i}" for i in range(units)]}
    return xr.DataArray(days.astype(float), dims=("time", "pcode"), coords=coords, attrs={"units": "days"}, name="dust")


# ------------------------------------------------------------------ oracles


def test_the_dustiest_june_of_thirty_by_hand():
    """Rank 30 of 30 by Gringorten: 29.56 / 30.12; the twelve months it ends are summed."""
    days = counts()
    days.loc["2004-06", "U0"] = 28
    out = dust_frequency(days, CALIBRATION)
    assert float(out.dust_percentile.sel(time="2004-06-01", pcode="U0")) == pytest.approx(29.56 / 30.12)
    twelve = days.sel(time=slice("2003-07", "2004-06"), pcode="U0").sum()
    assert float(out.dust_days_12m.sel(time="2004-06-01", pcode="U0")) == twelve


@pytest.mark.parametrize(("events", "low", "high"), [(0, 0.0, 3.689), (1, 0.025, 5.572), (10, 4.795, 18.390)])
def test_limits_of_a_rare_event_are_those_of_the_printed_table(events, low, high):
    """Exact 95 % limits of a Poisson count, as in tables after Garwood; each divided by thirty years."""
    days = counts(units=1) * 0
    days[: 12 * events : 12] = 1
    out = dust_frequency(days.assign_attrs(units="days"), CALIBRATION).isel(time=0, pcode=0)
    assert float(out.dust_rate) * 30 == pytest.approx(events)
    assert float(out.dust_rate_low) * 30 == pytest.approx(low, abs=6e-4)
    assert float(out.dust_rate_high) * 30 == pytest.approx(high, abs=6e-4)


def test_spells_widen_the_interval():
    """Thirty Januaries of 0 or 12 days: variance over mean f = 6.2069, limits f chi2(2 T / f) / 2 n."""
    days = counts(units=1) * 0
    days[::24] = 12
    out = dust_frequency(days.assign_attrs(units="days"), CALIBRATION).isel(time=0, pcode=0)
    f = 12 * 15 / 29
    assert f == pytest.approx(np.var([0, 12] * 15, ddof=1) / 6)
    assert float(out.dust_rate_low) == pytest.approx(f * chi2.ppf(0.025, 2 * 180 / f) / 60, rel=1e-10)
    assert float(out.dust_rate_high) == pytest.approx(f * chi2.ppf(0.975, 2 * 180 / f + 2) / 60, rel=1e-10)


@pytest.mark.parametrize("size", [None, 2.0])
def test_the_interval_covers_the_rate_as_often_as_it_says(size):
    """Poisson and negative binomial counts around 4 days, 3,000 times thirty years: 92 to 99 % of intervals hold it."""
    rng = np.random.default_rng(1)
    shape = (30, 3000)
    days = rng.poisson(4.0, shape) if size is None else rng.negative_binomial(size, size / (size + 4.0), shape)
    times = pd.date_range("1991-01", periods=30, freq="YS")
    data = xr.DataArray(days.astype(float), dims=("time", "pcode"), coords={"time": times}, attrs={"units": "days"})
    out = dust_frequency(data, CALIBRATION).isel(time=0)
    covered = float(((out.dust_rate_low <= 4) & (out.dust_rate_high >= 4)).mean())
    assert 0.92 <= covered <= 0.99


# ------------------------------------------------------------------ laws


@settings(max_examples=15, deadline=None)
@given(st.integers(12, 359), st.integers(1, 10))
def test_more_dust_never_ranks_lower(month, more):
    days = counts(units=1)
    dustier = days.copy()
    dustier[month] = dustier[month] + more
    before, after = (dust_frequency(d, CALIBRATION).isel(time=month, pcode=0) for d in (days, dustier))
    for name in ("dust_percentile", "dust_percentile_12m", "dust_days_12m", "dust_rate"):
        assert float(after[name]) >= float(before[name]), name


@pytest.mark.parametrize("chunks", [{"time": -1, "pcode": -1}, {"time": 100, "pcode": 3}])
def test_chunks_and_order_of_dimensions_change_nothing(chunks):
    days = counts()
    own = dust_frequency(days, CALIBRATION)
    for other in (days.chunk(chunks), days.T.chunk(chunks)):
        found = dust_frequency(other, CALIBRATION).compute().transpose("time", "pcode")
        xr.testing.assert_allclose(found, own, rtol=0, atol=1e-12)


def test_the_result_keeps_the_promises_of_the_cube():
    days = counts()
    days[40, 1] = np.nan
    out = dust_frequency(days, CALIBRATION)
    check_cube(out)
    interval = (out.dust_rate_low <= out.dust_rate) & (out.dust_rate <= out.dust_rate_high)
    assert interval.all()


# ------------------------------------------------------------------ months nobody counted


def test_a_month_that_is_missing_is_no_calm_month():
    """A NaN, and a label that is not there at all: no rank, and no twelve months that hold it."""
    for days in (counts().where(lambda d: d.time != np.datetime64("2010-03-01")), counts().drop_sel(time="2010-03-01")):
        out = dust_frequency(days.assign_attrs(units="days"), CALIBRATION)
        assert out.sizes["time"] == 360
        lost = out.dust_days_12m_status.isel(pcode=0) == Status.insufficient_data
        assert lost.values.sum() == 11 + 12
        assert lost.sel(time=slice("2010-03", "2011-02")).all()
        assert out.dust_percentile.sel(time="2010-03-01").isnull().all()


def test_fewer_years_than_asked_for_are_not_enough():
    out = dust_frequency(counts(years=19), CALIBRATION)
    for name in ("dust_percentile", "dust_percentile_12m", "dust_rate", "dust_rate_low", "dust_rate_high"):
        assert not has_status(out[f"{name}_status"], KEEPS_VALUE).any(), name


def test_a_month_that_stands_twice_is_refused():
    days = counts()
    with pytest.raises(ValueError, match="duplicate"):
        dust_frequency(xr.concat([days, days[-1:]], "time"), CALIBRATION)


def test_shares_of_days_are_refused():
    with pytest.raises(ContractError, match="expected 'days'"):
        dust_frequency(counts().assign_attrs(units="%"), CALIBRATION)
