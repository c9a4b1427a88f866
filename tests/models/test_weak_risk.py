"""A unit that lacks one dimension: a range from the middle of the country, no number and no silence."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.composite import evaluate, inform
from models.weak_risk import RANGE, SCORE, class_of_range, risk_span

laws = settings(max_examples=40, deadline=None)
TREE = inform(["drought"])


def country(vulnerability, hazard=9.0, exposure=4.0):
    """Units that are alike but for vulnerability; hazard and exposure sqrt(9 x 4) = 6."""
    v = np.asarray(vulnerability, dtype=float)
    return {"hazard_drought": np.full(v.shape, hazard), "exposure": np.full(v.shape, exposure), "vulnerability": v}


def test_the_range_by_hand():
    """Vulnerability 0, 1, ..., 10 in eleven units: percentiles 1 and 9, risk sqrt(6 x 1) to sqrt(6 x 9)."""
    out = risk_span(country([*range(11), np.nan]), TREE)
    assert (out.low[-1], out.high[-1]) == pytest.approx((np.sqrt(6), np.sqrt(54)))
    assert out.basis.tolist() == [SCORE] * 11 + [RANGE]
    assert out.lacking[-1] == 1


def test_a_unit_with_a_score_is_a_point():
    values = country([*range(11), np.nan])
    out = risk_span(values, TREE)
    np.testing.assert_array_equal(out.low[:-1], evaluate(TREE, values)["risk"][:-1])
    np.testing.assert_array_equal(out.low[:-1], out.high[:-1])


@laws
@given(st.lists(st.floats(0, 10), min_size=10, max_size=30), st.floats(0, 1))
def test_the_risk_it_would_have_at_any_score_in_the_middle_of_the_country_lies_in_the_range(known, share):
    out = risk_span(country([*known, np.nan]), TREE)
    low, high = np.quantile(known, [0.1, 0.9])
    would = evaluate(TREE, country([low + share * (high - low)]))["risk"][0]
    assert out.low[-1] - 1e-9 <= would <= out.high[-1] + 1e-9


@laws
@given(st.permutations(range(15)))
def test_order_of_units_does_not_matter(order):
    v = np.array([*np.linspace(0, 10, 12), np.nan, np.nan, 3.0])
    own, moved = risk_span(country(v), TREE), risk_span(country(v[list(order)]), TREE)
    np.testing.assert_allclose(own.low[list(order)], moved.low, rtol=0, atol=1e-12)


def test_weak_units_move_no_other_and_not_each_other():
    known = np.linspace(0, 10, 12)
    one, many = (risk_span(country([*known, *[np.nan] * n]), TREE) for n in (1, 5))
    assert set(many.low[12:]) == {one.low[12]}


def test_two_dimensions_lacking_or_hazard_and_exposure_leave_nothing():
    values = country([*np.linspace(0, 10, 12), np.nan, 5.0])
    values["exposure"][12:] = np.nan
    out = risk_span(values, TREE)
    assert np.isnan(out.low[12:]).all()
    assert out.basis[12:].tolist() == [0, 0]


def test_too_few_units_speak_for_no_other():
    """Nine units with the dimension are too few, ten are enough."""
    nine, ten = (risk_span(country([*np.linspace(1, 9, n), np.nan]), TREE) for n in (9, 10))
    assert np.isnan(nine.low[-1])
    assert np.isfinite(ten.low[-1])


def test_months_are_told_apart():
    """Leading dims pass: each month has its own percentiles."""
    v = np.array([[*range(11), np.nan], [*[4.0] * 11, np.nan]])
    out = risk_span(country(v), TREE)
    assert out.low[:, -1] == pytest.approx([np.sqrt(6), np.sqrt(24)])
    assert out.high[1, -1] == pytest.approx(np.sqrt(24))


@laws
@given(st.floats(0, 10), st.floats(0, 10))
def test_a_class_only_where_the_whole_range_lies_in_it(a, b):
    low, high = sorted((a, b))
    found = class_of_range(np.array([low]), np.array([high]))[0]
    inside = {int(np.searchsorted([2, 4, 6, 8], x, side="right")) for x in np.linspace(low, high, 500)}
    assert found == (inside.pop() if len(inside) == 1 else -1)


def test_cuts_that_do_not_rise_are_refused():
    with pytest.raises(ValueError, match="four rising"):
        class_of_range(np.array([1.0]), np.array([2.0]), (4, 2, 6, 8))
