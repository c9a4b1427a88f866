"""Printed numbers: rounded once, half up as written, and parts that add up to their printed whole."""

import math
from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maps.rounding import half_up, largest_remainder, printed_tenths, tenths

SCORES = st.floats(0, 10, allow_nan=False)
NUMBERS = st.floats(-1e9, 1e9, allow_nan=False)


@pytest.mark.parametrize(
    ("value", "ndigits", "printed"),
    [
        (5.25, 1, 5.3),
        (4.45, 1, 4.5),
        (0.05, 1, 0.1),
        (1.15, 1, 1.2),
        (2.675, 2, 2.68),
        (1.005, 2, 1.01),
        (4.449999999, 1, 4.4),
        (9.95, 1, 10.0),
        (-0.25, 1, -0.3),
        (2.5, 0, 3.0),
    ],
)
def test_a_tie_is_judged_as_it_is_written(value, ndigits, printed):
    """2.675 is just below the tie in binary, and a reader still expects 2.68."""
    assert half_up(value, ndigits) == printed


def test_a_rounded_zero_has_no_sign():
    """-0.04 prints as 0.0, never as -0.0."""
    assert math.copysign(1, half_up(-0.04)) == 1


@given(NUMBERS, st.integers(0, 4))
def test_rounding_agrees_with_exact_arithmetic(value, ndigits):
    """Fractions of ten, no floats."""
    exact = Decimal(repr(value)).quantize(Decimal(1).scaleb(-ndigits), rounding=ROUND_HALF_UP)
    assert half_up(value, ndigits) == float(exact)


@given(NUMBERS)
def test_rounding_twice_changes_nothing(value):
    once = half_up(value)
    assert half_up(once) == once
    assert abs(once - value) <= 0.05 + 1e-6


@given(NUMBERS, NUMBERS)
def test_rounding_keeps_order(a, b):
    assert (a <= b) <= (half_up(a) <= half_up(b))


def test_parts_add_up_where_plain_rounding_would_not():
    """1.04 + 1.04 + 1.04 prints as 3.1, so one of them must print as 1.1."""
    assert largest_remainder([1.04, 1.04, 1.04], 31) == [11, 10, 10]
    assert largest_remainder([2.26, -0.13, 0.27], 24) == [22, -1, 3]


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=7))
def test_printed_parts_add_up_to_the_printed_whole(parts):
    whole = math.fsum(parts)
    assert sum(largest_remainder(parts, tenths(whole))) == tenths(whole)


@given(st.lists(st.integers(-50, 50), min_size=2, max_size=6), SCORES)
def test_no_part_moves_by_a_whole_tenth(tenths_of_parts, rest):
    parts = [t / 10 for t in tenths_of_parts] + [rest]
    printed = largest_remainder(parts, tenths(math.fsum(parts)))
    assert all(abs(p / 10 - v) < 0.1 + 1e-9 for p, v in zip(printed, parts, strict=True))


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=6))
def test_parts_already_printed_are_left_alone(whole_tenths):
    assert largest_remainder([t / 10 for t in whole_tenths], sum(whole_tenths)) == whole_tenths


def test_a_missing_part_stays_missing_and_the_rest_still_adds_up():
    assert printed_tenths([1.14, math.nan, 1.14], 2.28) == [12, None, 11]
    assert printed_tenths([math.nan, math.nan], 2.0) is None


def test_no_whole_no_parts():
    assert printed_tenths([1.0, 2.0], math.nan) is None


def test_parts_that_do_not_make_the_whole_are_a_fault():
    with pytest.raises(ValueError, match="expected about"):
        largest_remainder([1.0, 1.0], 35)
