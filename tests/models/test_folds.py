"""Folds: no case that teaches meets one that asks, and leaks planted on purpose are caught."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from geodata.schema import ContractError
from models.folds import Cases, blocks_of_years, check_available, expanding_window, find_leaks, year_of
from models.outlook import Season, season_totals
from models.spi import apply_spi, fit_spi


def windows(target, lead, accumulation):
    """Months (first, last) that a case touches: the accumulation known at issue, and the one that is forecast."""
    last = np.asarray(target.year * 12 + target.month)
    return last - lead - accumulation + 1, last


target_months = st.builds(
    lambda start, n, step, units, seed: pd.DatetimeIndex(
        np.random.default_rng(seed).permutation(np.repeat(pd.date_range(start, periods=n, freq=f"{step}MS"), units))
    ),
    st.sampled_from(["1981-01", "1990-04", "2000-11"]),
    st.integers(2, 120),
    st.sampled_from([1, 3, 12]),
    st.integers(1, 3),
    st.integers(0, 9),
)


@settings(max_examples=60)
@given(target_months, st.integers(1, 6), st.integers(1, 3), st.integers(1, 12), st.sampled_from([1, 9, 10]))
def test_no_window_that_teaches_meets_one_that_asks(target, block, lead, accumulation, starts):
    first, last = windows(target, lead, accumulation)
    embargo = lead + accumulation
    folds = blocks_of_years(target, block_years=block, embargo_months=embargo, year_starts=starts)
    folds += expanding_window(target, first_years=1, step_years=block, embargo_months=embargo, year_starts=starts)
    for fold in folds:
        assert not (fold.test & fold.training).any()
        overlap = (first[fold.training][:, None] <= last[fold.test]) & (
            last[fold.training][:, None] >= first[fold.test]
        )
        assert not overlap.any()


@settings(max_examples=40)
@given(target_months, st.integers(1, 6), st.integers(2, 15))
def test_every_case_is_asked_once_and_a_year_stays_whole(target, block, embargo):
    folds = blocks_of_years(target, block_years=block, embargo_months=embargo)
    assert (np.sum([f.test for f in folds], axis=0) == 1).all()
    years = year_of(target)
    for fold in folds:
        assert not set(years[fold.test]) & set(years[~fold.test])


@settings(max_examples=40)
@given(target_months, st.integers(1, 4), st.integers(1, 15))
def test_what_teaches_in_an_expanding_window_is_past(target, first_years, embargo):
    month = np.asarray(target.year * 12 + target.month)
    for fold in expanding_window(target, first_years=first_years, embargo_months=embargo):
        assert fold.training.sum() == 0 or month[fold.training].max() + embargo < month[fold.test].min()
        assert not fold.visible(target[fold.test]).any()
        assert not fold.visible(target[fold.test].shift(500, "MS")).any()


@settings(max_examples=40)
@given(target_months, st.integers(1, 6), st.integers(2, 15))
def test_nothing_is_fitted_on_the_months_around_those_that_ask(target, block, embargo):
    months = pd.date_range("1978-01", "2125-12", freq="MS")
    number = np.asarray(months.year * 12 + months.month)
    for fold in blocks_of_years(target, block_years=block, embargo_months=embargo):
        asked = np.asarray(target[fold.test].year * 12 + target[fold.test].month)
        apart = np.abs(number[fold.visible(months)][:, None] - asked)
        assert apart.min() > embargo
        assert fold.visible(target[fold.training]).all()
        assert not (fold.visible(months) & fold.touched(months)).any()


def test_hidden_months_are_unknown_and_years_that_touch_them_are_not_past():
    months = pd.date_range("1981-01", "2010-12", freq="MS")
    april = pd.date_range("1982-04", "2010-04", freq="12MS")
    fold = blocks_of_years(april, block_years=5, embargo_months=9)[2]
    assert april.year[fold.test].tolist() == [1992, 1993, 1994, 1995, 1996]
    rain = xr.DataArray(np.ones(len(months)), dims="time", coords={"time": months}, attrs={"units": "mm/month"})
    seen = months[fold.hide(rain).notnull().values]
    assert seen[seen < "1994"].max() == pd.Timestamp("1991-06")
    assert seen[seen > "1994"].min() == pd.Timestamp("1997-02")
    past = fold.past_years(4, 7, range(1982, 2011))
    assert past == [*range(1982, 1992), *range(1998, 2011)]  # October 1996 is hidden, so is the season of 1997
    totals = season_totals(fold.hide(rain), Season(4, 7), range(1982, 2011))
    assert totals.notnull().sum() == len(past)


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({"block_years": 0, "embargo_months": 9}, "blocks of 0"),
        ({"block_years": 4, "embargo_months": 0}, "embargo of 0"),
    ],
)
def test_folds_that_cannot_be_are_refused(given_, message):
    with pytest.raises(ContractError, match=message):
        blocks_of_years(pd.DatetimeIndex(["2001-04"]), **given_)
    with pytest.raises(ContractError, match="no cases"):
        blocks_of_years(pd.DatetimeIndex([]), block_years=4, embargo_months=9)
    with pytest.raises(ContractError, match="first years"):
        expanding_window(pd.DatetimeIndex(["2001-04"]), first_years=0, embargo_months=9)


# ------------------------------------------------------------------ what could be had


def test_a_predictor_that_was_not_there_yet_is_an_error():
    issued = pd.DatetimeIndex(["2001-02-10", "2002-02-10"])
    good = pd.DataFrame({"rain": issued - pd.Timedelta(days=1), "sst": issued})
    check_available(good, issued)
    late = good.assign(sst=issued + pd.to_timedelta([0, 26], "D"))
    with pytest.raises(ContractError, match=r"sst: available 2002-03-08, issued 2002-02-10 \(1 cases"):
        check_available(late, issued)
    unknown = good.assign(rain=[issued[0], pd.NaT])
    with pytest.raises(ContractError, match="rain: 1 cases without available_at"):
        check_available(unknown, issued)
    with pytest.raises(ContractError, match="expected 1"):
        check_available(good, issued[:1])


# ------------------------------------------------------------------ leaks planted on purpose

YEARS = range(1982, 2016)
LEAD = 2


def made(seed=0):
    rng = np.random.default_rng(seed)
    times = pd.date_range("1981-01", "2015-12", freq="MS")
    rain = xr.DataArray(
        rng.gamma(2, 20, (len(times), 2)), dims=("time", "pcode"), coords={"time": times}, attrs={"units": "mm/month"}
    )
    return xr.Dataset({"rain": rain})


def prepared(source, fold, *, fit_on_all=False, future=False, event_of_all=False):
    """SPI-3 two months before the end of April, the event a dry April season; leaks by request."""
    rain = source["rain"]
    seen = rain if fold is None else fold.hide(rain)
    parameters = fit_spi(rain if fit_on_all else seen, 3, (1981, 2015), min_years=15, min_positive=10)
    season = Season(4, 3)
    totals = season_totals(rain, season, YEARS)
    learnt = season_totals(rain if event_of_all else seen, season, YEARS)
    event = (totals <= learnt.quantile(1 / 3, "time")).values.astype(float)
    target = season.ends(YEARS)
    known = target - pd.DateOffset(months=LEAD - (1 if future else 0))
    spi = apply_spi(rain, parameters).spi.sel(time=known).values
    n = rain.sizes["pcode"]
    issued = pd.DatetimeIndex(target - pd.DateOffset(months=LEAD - 1)) + pd.Timedelta(days=9)
    rows = {"spi3": spi.ravel()}
    stamps = pd.DataFrame({"spi3": (issued - pd.Timedelta(days=4)).repeat(n)})
    return Cases(
        pd.DataFrame(rows), event.ravel(), target.repeat(n), issued.repeat(n), stamps, np.tile(np.arange(n), len(YEARS))
    )


def fold_of(source):
    return blocks_of_years(prepared(source, None).target, block_years=4, embargo_months=LEAD + 3)[3]


def test_honest_cases_have_no_leak():
    source = made()
    assert find_leaks(prepared, source, fold_of(source)) == []


@pytest.mark.parametrize(
    ("leak", "found"),
    [
        ({"fit_on_all": True}, "spi3: .* cases that teach"),
        ({"future": True}, "spi3: .* cases issued"),
        ({"event_of_all": True}, "event: .* cases that teach"),
    ],
)
def test_a_leak_planted_on_purpose_is_caught_whatever_its_stamp_says(leak, found):
    """SPI and threshold fitted on all years; a predictor of the month after the issue with an honest-looking stamp."""
    source = made()
    leaks = find_leaks(lambda s, f: prepared(s, f, **leak), source, fold_of(source))
    assert leaks
    assert any(pd.Series(leaks).str.contains(found))


def test_an_embargo_shorter_than_the_predictors_reach_is_caught():
    """Cases every month: SPI-3 two months before the end of another SPI-3 reaches back five months."""

    def monthly_cases(source, fold):
        rain = source["rain"].isel(pcode=0)
        totals = rain.rolling(time=3).sum()
        target = rain.indexes["time"][6:]
        issued = pd.DatetimeIndex(target - pd.DateOffset(months=LEAD - 1)) + pd.Timedelta(days=9)
        x = pd.DataFrame({"known": totals.values[6 - LEAD : -LEAD]})
        stamps = pd.DataFrame({"known": issued})
        event = (totals.values[6:] < 100).astype(float)
        return Cases(x, event, target, issued, stamps, np.zeros(len(target)))

    source = made()
    target = monthly_cases(source, None).target
    enough, short = (blocks_of_years(target, block_years=4, embargo_months=m)[3] for m in (LEAD + 3, LEAD))
    assert find_leaks(monthly_cases, source, enough) == []
    assert find_leaks(monthly_cases, source, short)


def test_cases_of_other_lengths_are_refused():
    cases = prepared(made(), None)
    with pytest.raises(ContractError, match="cases"):
        Cases(cases.features, cases.event[:-1], cases.target, cases.issued, cases.available_at, cases.unit)
