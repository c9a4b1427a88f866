"""Scores: published oracles, second ways to the same number, and what must hold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import brier_score_loss, roc_auc_score

import models.scores as scores
from geodata.schema import ContractError
from models.scores import (
    WarningTable,
    brier,
    brier_parts,
    brier_skill,
    crps_ensemble,
    relative_economic_value,
    reliability_curve,
    reliability_slope,
    roc_auc,
    warning_table,
)

FINLEY = WarningTable(hits=28, false_alarms=72, misses=23, correct_negatives=2680)
CASES = st.lists(st.tuples(st.sampled_from([k / 10 for k in range(11)]), st.booleans()), min_size=2, max_size=60)


def two(cases):
    p, o = np.array(cases, dtype=float).T
    return p, o


# ------------------------------------------------------------------ warnings


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("hit_rate", 0.5490),
        ("false_alarm_ratio", 0.7200),
        ("probability_of_false_detection", 0.0262),
        ("critical_success_index", 0.2276),
        ("equitable_threat", 0.2160),
        ("heidke", 0.3553),
        ("peirce", 0.5229),
        ("bias", 1.9608),
    ],
)
def test_the_tornadoes_of_finley_1884(name, published):
    assert getattr(FINLEY, name) == pytest.approx(published, abs=1e-4 / 2)


def test_nothing_is_called_a_false_alarm_rate():
    """Packages call the probability of false detection so (.0262 for Finley, where the ratio is .72)."""
    named = {*dir(scores), *dir(WarningTable)}
    assert not [name for name in named if "false_alarm_rate" in name or name in ("far", "accuracy")]


def test_warnings_are_counted_and_the_unknown_left_out():
    table = warning_table([1, 1, 0, 0, np.nan, 1], [1, 0, 1, 0, 1, np.nan])
    assert table == WarningTable(1, 1, 1, 1)
    with pytest.raises(ContractError, match="neither 0 nor 1"):
        warning_table([0.5], [1])


def test_a_ratio_of_nothing_is_not_known():
    silent = WarningTable(0, 0, 3, 7)
    assert silent.hit_rate == 0
    assert np.isnan(silent.false_alarm_ratio)
    assert np.isnan(WarningTable(0, 2, 0, 3).hit_rate)
    assert np.isnan(WarningTable(0, 0, 0, 0).base_rate)


# ------------------------------------------------------------------ economic value


def test_value_at_the_base_rate_is_the_peirce_score():
    assert relative_economic_value(FINLEY, FINLEY.base_rate) == pytest.approx(FINLEY.peirce, abs=1e-9)


def costs(table, cost, loss):
    """Money by the rule itself: who acts pays, who does not loses when it comes."""
    events = table.hits + table.misses
    own = (table.hits + table.false_alarms) * cost + table.misses * loss
    return min(table.n * cost, events * loss), own, events * cost


@settings(max_examples=50)
@given(*[st.integers(1, 40)] * 4, st.floats(0.05, 0.95))
def test_value_is_what_is_saved_in_money(a, b, c, d, ratio):
    table = WarningTable(a, b, c, d)
    without, own, perfect = costs(table, ratio * 100, 100)
    assert relative_economic_value(table, ratio) == pytest.approx((without - own) / (without - perfect), abs=1e-9)


def test_perfect_warnings_are_worth_one_and_a_ratio_outside_is_refused():
    assert relative_economic_value(WarningTable(5, 0, 0, 5), 0.3) == pytest.approx(1)
    for ratio in (0.0, 1.0):
        with pytest.raises(ContractError, match="C / L"):
            relative_economic_value(FINLEY, ratio)


# ------------------------------------------------------------------ Brier


def test_a_brier_score_by_hand():
    assert brier([0, 0.1, 0.9, 1, 0.5], [0, 0, 1, 1, 1]) == pytest.approx(0.054, abs=1e-12)


@settings(max_examples=50)
@given(CASES)
def test_brier_and_auc_are_those_of_another_package(cases):
    p, o = two(cases)
    assert brier(p, o) == pytest.approx(brier_score_loss(o, p), abs=1e-12)
    if 0 < o.sum() < len(o):
        assert roc_auc(p, o) == pytest.approx(roc_auc_score(o, p), abs=1e-12)
    else:
        assert np.isnan(roc_auc(p, o))


@settings(max_examples=200)
@given(CASES)
def test_parts_of_binned_forecasts_sum_to_the_brier_score(cases):
    """Tenths from 0 to 1 in eleven bins: all forecasts of a bin are alike, so nothing lies within."""
    p, o = two(cases)
    parts = brier_parts(p, o, bins=11)
    assert parts.within_bins == pytest.approx(0, abs=1e-12)
    assert parts.reliability - parts.resolution + parts.uncertainty == pytest.approx(brier(p, o), abs=1e-12)
    assert min(parts.reliability, parts.resolution, parts.uncertainty) >= 0


@settings(max_examples=50)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60), st.integers(1, 12))
def test_parts_of_any_forecasts_sum_to_the_brier_score(cases, bins):
    p, o = two(cases)
    assert brier_parts(p, o, bins=bins).total == pytest.approx(brier(p, o), abs=1e-12)


def test_skill_is_judged_on_the_same_cases():
    """The third baseline is not known: the worst forecast of the three does not count."""
    assert brier_skill([0.5, 0.5, 1.0], [0, 1, 0], [1, 0, np.nan]) == 0.75
    assert np.isnan(brier_skill([0.5], [1], [1.0]))
    assert np.isnan(brier([], []))


@pytest.mark.parametrize(("p", "o"), [([1.2], [1]), ([-0.1], [0]), ([0.5], [2]), ([0.5, 0.5], [1])])
def test_what_is_no_probability_or_no_event_is_refused(p, o):
    with pytest.raises(ContractError, match="scores"):
        brier(p, o)


# ------------------------------------------------------------------ reliability


def test_true_odds_lie_in_the_band_and_bold_ones_do_not():
    rng = np.random.default_rng(2)
    truth = rng.choice(np.linspace(0.05, 0.95, 10), 4000)
    o = (rng.random(4000) < truth).astype(float)
    good = reliability_curve(truth, o, draws=200)
    inside = ((good.observed >= good.low) & (good.observed <= good.high)).mean()
    assert inside >= 0.7
    bold = np.where(truth > 0.5, 0.95, 0.05)
    bad = reliability_curve(bold, o, draws=200)
    assert ((bad.observed < bad.low) | (bad.observed > bad.high)).all()
    assert reliability_slope(truth, o) == pytest.approx(1, abs=0.06)
    assert reliability_slope(bold, o) < 0.7


def test_the_curve_rises_and_of_few_independent_cases_the_band_is_wide():
    rng = np.random.default_rng(3)
    p = rng.random(500).round(1)
    o = (rng.random(500) < p).astype(float)
    curve = reliability_curve(p, o, draws=200)
    assert (np.diff(curve.observed) >= 0).all()
    assert curve.n.sum() == 500
    few = reliability_curve(p, o, draws=200, independent=40)
    assert (few.high - few.low).mean() > 2 * (curve.high - curve.low).mean()
    assert curve.equals(reliability_curve(p, o, draws=200))
    assert reliability_curve([], []).empty


def test_one_probability_has_no_slope():
    assert np.isnan(reliability_slope([0.3, 0.3], [0, 1]))


# ------------------------------------------------------------------ ensembles


def test_crps_of_the_normal_distribution():
    """sqrt(2 / pi) - 1 / sqrt(pi) for N(0, 1) and 0; of any observation by the closed form."""
    m = 100_000
    members = norm.ppf((np.arange(m) + 0.5) / m)
    assert crps_ensemble(members, 0.0) == pytest.approx(0.233695, abs=1e-6)
    y = 1.3
    closed = y * (2 * norm.cdf(y) - 1) + 2 * norm.pdf(y) - 1 / np.sqrt(np.pi)
    assert crps_ensemble(members, y) == pytest.approx(closed, abs=2e-6)


@pytest.mark.parametrize(("method", "by_hand"), [("ecdf", 0.666667), ("fair", 0.333333)])
def test_crps_by_hand(method, by_hand):
    assert crps_ensemble([4, 1, np.nan, 2], 3, method=method) == pytest.approx(by_hand, abs=1e-6)


@settings(max_examples=50)
@given(st.lists(st.floats(-50, 50), min_size=2, max_size=12), st.floats(-50, 50))
def test_crps_is_that_of_all_pairs(members, y):
    x, m = np.array(members), len(members)
    apart = np.abs(x[:, None] - x).sum()
    for method, pairs in (("ecdf", m * m), ("fair", m * (m - 1))):
        expected = np.abs(x - y).mean() - apart / (2 * pairs)
        assert crps_ensemble(x, y, method=method) == pytest.approx(expected, abs=1e-9)


def test_crps_of_what_is_not_known():
    found = crps_ensemble([[1.0, 2.0], [np.nan, np.nan], [3.0, np.nan]], [np.nan, 1.0, 5.0])
    assert np.isnan(found[:2]).all()
    assert found[2] == 2  # of one member the absolute error
    assert np.isnan(crps_ensemble([3.0, np.nan], 5.0, method="fair"))
    with pytest.raises(ContractError, match="method"):
        crps_ensemble([1.0], 1.0, method="best")
