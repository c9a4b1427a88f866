"""Scores: breakpoints, carrying forward, combining."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from geodata.schema import ContractError, Status, check_cube, status_like
from models.scoring import (
    HIGH_PERCENTILE,
    LOW_PERCENTILE,
    SPI_BREAKPOINTS,
    carry_forward,
    check_breakpoints,
    combine_hazards,
    score_by_breakpoints,
)

laws = settings(max_examples=40, deadline=None)
NAN = np.nan
CALIBRATION = (1981, 2010)


def series(values, start="2001-01", **attrs):
    """One unit's months."""
    times = pd.date_range(start, periods=len(values), freq="MS")
    return xr.DataArray(
        np.asarray(values, dtype=float)[:, None],
        dims=("time", "pcode"),
        coords={"time": times, "pcode": ["U0"]},
        attrs=attrs,
    )


def flags(*words):
    return xr.DataArray(
        np.array([[Status[w]] for w in words], dtype="int8"),
        dims=("time", "pcode"),
        coords={"time": pd.date_range("2001-01", periods=len(words), freq="MS"), "pcode": ["U0"]},
    )


def words(status):
    return [Status(int(s)).name for s in status.values.ravel()]


def score(index, breakpoints=SPI_BREAKPOINTS):
    return score_by_breakpoints(xr.DataArray(float(index)), breakpoints).item()


# ------------------------------------------------------------------ breakpoints


@pytest.mark.parametrize(
    ("spi", "expected"),
    [(3, 0), (1.5, 1), (0, 2), (-0.5, 3), (-1, 4), (-1.25, 5), (-1.5, 6), (-2, 8), (-2.5, 9), (-3, 10)],
)
def test_drought_scores_sit_on_the_class_edges_of_wmo_1090(spi, expected):
    assert score(spi) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("percentile", "expected"), [(1, 0), (0.75, 1), (0.5, 2), (0.2, 4), (0.1, 6), (0.05, 8), (0.02, 10), (0, 10)]
)
def test_little_water_scores_high(percentile, expected):
    assert score(percentile, LOW_PERCENTILE) == pytest.approx(expected, abs=1e-12)


@laws
@given(st.floats(-4, 4), st.floats(0, 4))
def test_a_drier_index_never_scores_less(index, drier):
    assert score(index - drier) >= score(index)


@laws
@given(st.floats(0, 1), st.floats(0, 1))
def test_a_heavier_rain_never_scores_less(a, b):
    assert score(max(a, b), HIGH_PERCENTILE) >= score(min(a, b), HIGH_PERCENTILE)


@laws
@given(st.lists(st.one_of(st.floats(-4, 4), st.just(NAN)), min_size=1, max_size=20))
def test_unknown_never_becomes_a_score(index):
    found = score_by_breakpoints(xr.DataArray(index, dims="time"), SPI_BREAKPOINTS)
    assert (found.isnull().values == np.isnan(index)).all()
    assert found.fillna(0).values.min() >= 0
    assert found.fillna(0).values.max() <= 10


@pytest.mark.parametrize(
    "breakpoints",
    [[(0, 2)], [(0, 2), (0, 4)], [(0, 2), (-1, 1), (-2, 4)], [(0, -1), (-1, 4)], [(0, 2), (-1, 11)]],
)
def test_breakpoints_that_are_no_ladder_are_refused(breakpoints):
    with pytest.raises(ValueError, match="breakpoints"):
        check_breakpoints(breakpoints)


# ------------------------------------------------------------------ carrying forward


def test_the_latest_value_is_carried_until_it_is_stale():
    """Rain ends in February: March and April carry it (31 and 61 days), May (92 days) is stale."""
    values = series([1.0, 2.0, NAN, NAN, NAN])
    out = carry_forward(values, flags("ok", "ok", *["input_missing"] * 3), max_age_days=61)
    assert out.value.values.ravel().tolist() == [1, 2, 2, 2, 2]
    assert words(out.status) == ["ok", "ok", "ok", "ok", "stale"]
    assert out.age_months.values.ravel().tolist() == [0, 0, 1, 2, 3]


def test_a_masked_month_stays_masked_and_nothing_is_invented_before_the_first_value():
    values = series([NAN, 3.0, NAN, NAN])
    out = carry_forward(values, flags("insufficient_data", "ok", "masked_dry_season", "input_missing"))
    assert np.array_equal(out.value.values.ravel(), [NAN, 3, NAN, 3], equal_nan=True)
    assert words(out.status) == ["insufficient_data", "ok", "masked_dry_season", "ok"]


def test_a_carried_value_keeps_the_caution_it_had():
    out = carry_forward(series([3.0, NAN]), flags("resolution_limited", "input_missing"))
    assert words(out.status) == ["resolution_limited", "resolution_limited"]


@laws
@given(st.lists(st.sampled_from(["ok", "stale", "masked_dry_season", "input_missing"]), min_size=1, max_size=24))
def test_after_carrying_value_and_status_still_agree(history):
    kept = {"ok", "stale"}
    values = series([float(i) if w in kept else NAN for i, w in enumerate(history)])
    out = carry_forward(values, flags(*history), max_age_days=90)
    assert (out.value.notnull().values.ravel() == [w in kept for w in words(out.status)]).all()


# ------------------------------------------------------------------ combining


def hazards(**scores):
    data = {}
    for name, values in scores.items():
        array = series(values)
        data |= {f"hazard_{name}": array, f"hazard_{name}_status": status_like(array)}
    return xr.Dataset(data)


def test_hazards_combine_over_those_assessed():
    """(8, 2) -> 5.787; (8, unknown) -> 8; neither -> insufficient_data."""
    out = combine_hazards(hazards(drought=[8, 8, NAN], water=[2, NAN, NAN]), ["drought", "water", "salinity"])
    assert out.hazard.values.ravel()[:2] == pytest.approx([5.787, 8.0], abs=1e-3)
    assert words(out.hazard_status) == ["ok", "ok", "insufficient_data"]


def test_how_many_of_the_declared_hazards_stand_behind_the_mean_is_told():
    """Of three that are declared salinity has no source; a masked one is not known either."""
    out = combine_hazards(hazards(drought=[8, 8, NAN], water=[2, NAN, NAN]), ["drought", "water", "salinity"])
    check_cube(out)
    assert out.hazards_known.values.ravel().tolist() == [2, 1, 0]
    assert out.hazards_declared.values.ravel().tolist() == [3, 3, 3]
    assert words(out.hazards_known_status) == ["ok"] * 3


def test_the_most_cautious_of_the_hazards_assessed_stands():
    """A masked hazard says nothing about the other one's status."""
    ds = hazards(drought=[8, NAN, 8], water=[2, 2, 2])
    ds["hazard_drought_status"] = flags("stale", "masked_dry_season", "out_of_support")
    ds["hazard_water_status"] = flags("resolution_limited", "ok", "resolution_limited")
    assert words(combine_hazards(ds, ["drought", "water"]).hazard_status) == ["stale", "ok", "out_of_support"]


def test_no_hazard_at_all_is_a_fault():
    with pytest.raises(ContractError, match="none of"):
        combine_hazards(xr.Dataset(), ["salinity"])
