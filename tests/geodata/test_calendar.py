"""Which value may speak at which month."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from geodata.calendar import (
    month_axis,
    month_end,
    next_period,
    onto_months,
    period_ends,
    period_label,
    period_range,
    period_start,
)
from geodata.schema import ContractError, Status

OK, MISSING = int(Status.ok), int(Status.insufficient_data)


def _series(values, times):
    values = np.asarray(values, dtype="float64")
    values = values if values.ndim == 2 else values[:, np.newaxis]
    coords = {"time": pd.DatetimeIndex(times), "pcode": [f"P{i}" for i in range(values.shape[1])]}
    v = xr.DataArray(values, dims=("time", "pcode"), coords=coords, name="area", attrs={"units": "km2"})
    return v, xr.where(v.isnull(), np.int8(MISSING), np.int8(OK))


def _onto(values, times, months, *, cadence="year", lag=0, age=None, **options):
    v, s = _series(values, times)
    ends = period_ends(pd.DatetimeIndex(times), cadence)
    out, flags = onto_months(v, s, ends, available_after_days=lag, max_age_days=age, months=months, **options)
    return out.values[:, 0].tolist(), [Status(int(f)).name for f in flags.values[:, 0]]


# ------------------------------------------------------------------ periods


@pytest.mark.parametrize(
    ("cadence", "start", "following"),
    [
        ("day", "2020-02-29", "2020-03-01"),
        ("dekad", "2020-02-21", "2020-03-01"),
        ("month", "2020-02-01", "2020-03-01"),
        ("year", "2020-01-01", "2021-01-01"),
        ("round", "2020-02-29", "2020-03-01"),
    ],
)
def test_a_moment_lies_in_its_period(cadence, start, following):
    moment = pd.Timestamp("2020-02-29 13:00")
    assert period_start(moment, cadence) == pd.Timestamp(start)
    assert next_period(pd.Timestamp(start), cadence) == pd.Timestamp(following)


@given(
    st.dates(pd.Timestamp("1900-01-01").date(), pd.Timestamp("2100-01-01").date()),
    st.sampled_from(["day", "dekad", "month", "year"]),
)
def test_periods_follow_each_other_without_gap(day, cadence):
    """Every day lies in one period, and the next begins the day after it ends."""
    start = period_start(pd.Timestamp(day), cadence)
    end = period_ends(pd.DatetimeIndex([start]), cadence)[0]
    assert start <= pd.Timestamp(day) <= end
    assert period_start(end, cadence) == start
    assert next_period(start, cadence) == end + pd.Timedelta(days=1)


def test_a_year_has_36_dekads_of_8_to_11_days():
    starts = period_range(pd.Timestamp("2019-01-01"), pd.Timestamp("2019-12-31"), "dekad")
    days = (period_ends(starts, "dekad") - starts).days.to_numpy() + 1
    assert len(starts) == 36
    assert sorted(set(days)) == [8, 10, 11]
    assert days.sum() == 365


def test_labels_are_as_long_as_the_cadence_needs():
    day = pd.Timestamp("2019-02-21")
    assert [period_label(day, c) for c in ("year", "month", "dekad")] == ["2019", "2019-02", "2019-02-21"]


def test_the_month_axis_holds_both_ends():
    axis = month_axis("1984-01", "2018-12")
    assert (len(axis), axis[0], axis[-1]) == (420, pd.Timestamp("1984-01-01"), pd.Timestamp("2018-12-01"))
    with pytest.raises(ContractError, match="found 2019-01 after 2018-12"):
        month_axis("2019-01", "2018-12")


# ------------------------------------------------------------------ values


def test_a_year_speaks_from_its_end_plus_the_lag():
    """2017 ends on 31 December; with 31 days of lag it is known at the end of January 2018."""
    months = month_axis("2017-11", "2018-03")
    values, status = _onto([1.0, 2.0], ["2016-01-01", "2017-01-01"], months, lag=31)
    assert values == [1.0, 1.0, 2.0, 2.0, 2.0]
    assert status == ["ok"] * 5


def test_one_day_more_of_lag_is_one_month_more():
    months = month_axis("2017-11", "2018-03")
    assert _onto([1.0, 2.0], ["2016-01-01", "2017-01-01"], months, lag=32)[0] == [1.0, 1.0, 1.0, 2.0, 2.0]


def test_before_the_first_period_the_input_is_missing():
    values, status = _onto([1.0], ["2017-01-01"], month_axis("2017-11", "2018-01"))
    assert np.isnan(values[0])
    assert values[1:] == [1.0, 1.0]
    assert status == ["input_missing", "ok", "ok"]


def test_a_value_goes_stale_the_day_after_its_age():
    """2017 is 31 days old at the end of January, 59 at the end of February."""
    values, status = _onto([1.0], ["2017-01-01"], month_axis("2018-01", "2018-03"), age=59)
    assert values == [1.0, 1.0, 1.0]
    assert status == ["ok", "ok", "stale"]


def test_a_period_without_value_speaks_with_its_own_status():
    values, status = _onto([1.0, np.nan], ["2016-01-01", "2017-01-01"], month_axis("2017-12", "2018-01"))
    assert np.isnan(values).all()
    assert status == ["insufficient_data", "insufficient_data"]


def test_a_period_without_value_gives_way_if_asked_and_ages_all_the_same():
    months = month_axis("2017-12", "2018-01")
    values, status = _onto([1.0, np.nan], ["2016-01-01", "2017-01-01"], months, skip_missing=True, age=380)
    assert values == [1.0, 1.0]
    assert status == ["ok", "stale"]  # 2016 is 365 days old at the end of 2017, 396 a month later


def test_where_no_period_ever_had_a_value_the_last_one_speaks_with_its_own_status():
    """A place that never holds water is not one that no source speaks of."""
    months = month_axis("2015-12", "2017-12")
    values, status = _onto([np.nan, np.nan], ["2016-01-01", "2017-01-01"], months, skip_missing=True)
    assert np.isnan(values).all()
    assert status == ["input_missing"] * 12 + ["insufficient_data"] * 13


def test_units_are_carried_one_by_one():
    """The second unit has no value in 2017: only it falls back."""
    v, s = _series([[1.0, 5.0], [2.0, np.nan]], ["2016-01-01", "2017-01-01"])
    out, _ = onto_months(
        v,
        s,
        period_ends(v.indexes["time"], "year"),
        available_after_days=0,
        max_age_days=None,
        months=month_axis("2018-01", "2018-01"),
        skip_missing=True,
    )
    assert out.values.tolist() == [[2.0, 5.0]]
    assert out.attrs == {"units": "km2"}


def test_no_period_at_all_is_input_missing_everywhere():
    v, s = _series(np.empty((0, 2)), [])
    out, flags = onto_months(
        v, s, pd.DatetimeIndex([]), available_after_days=0, max_age_days=30, months=month_axis("2018-01", "2018-02")
    )
    assert out.isnull().all()
    assert (flags == Status.input_missing).all()


def test_periods_may_come_in_any_order_but_none_twice():
    months = month_axis("2018-01", "2018-01")
    assert _onto([2.0, 1.0], ["2017-01-01", "2016-01-01"], months)[0] == [2.0]
    with pytest.raises(ContractError, match="none twice"):
        _onto([2.0, 1.0], ["2017-01-01", "2017-01-01"], months)


@given(st.lists(st.floats(-5, 5), min_size=24, max_size=24), st.integers(0, 90), st.integers(0, 23), st.booleans())
def test_what_comes_later_changes_nothing(values, lag, month, skip):
    """Replacing every value published after the end of a month leaves that month as it was."""
    times = pd.date_range("2017-01-01", periods=24, freq="MS")
    axis = month_axis("2017-01", "2018-12")
    ends = period_ends(times, "month")
    later = ends + pd.Timedelta(days=lag) > month_end(axis[month])
    options = {"cadence": "month", "lag": lag, "age": 60, "skip_missing": skip}
    before = _onto(values, times, axis, **options)
    after = _onto(np.where(later, 999.0, values), times, axis, **options)
    assert np.array_equal(before[0][: month + 1], after[0][: month + 1], equal_nan=True)
    assert before[1][: month + 1] == after[1][: month + 1]


@given(st.integers(0, 400), st.integers(0, 400))
def test_a_longer_lag_never_makes_a_value_known_earlier(a, b):
    short, long = sorted((a, b))
    times = pd.date_range("2015-01-01", periods=3, freq="YS")
    months = month_axis("2015-12", "2018-12")
    first, second = (_onto([1.0, 2.0, 3.0], times, months, lag=lag)[0] for lag in (short, long))
    assert all(np.isnan(late) or late <= early for early, late in zip(first, second, strict=True))
