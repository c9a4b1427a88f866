"""The same law as everywhere else: half up, once, and parts that add up."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from maps.rounding import half_up, largest_remainder, printed_tenths, tenths
from models import rounding as law

SCORES = st.floats(0, 10, allow_nan=False)


@given(SCORES)
def test_rounds_as_the_models_do(score):
    """Site and table print one number."""
    assert half_up(score) == law.round_half_up(score)


@given(SCORES, st.integers(0, 3))
def test_rounds_to_any_number_of_decimals_as_the_models_do(score, ndigits):
    assert half_up(score, ndigits) == law.round_half_up(score, ndigits)


def test_ties_on_the_written_number():
    assert [half_up(v) for v in (0.25, 2.55, 4.45, 4.449)] == [0.3, 2.6, 4.5, 4.4]


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=7))
def test_printed_parts_add_up_to_the_printed_whole(parts):
    whole = math.fsum(parts)
    assert sum(largest_remainder(parts, tenths(whole))) == tenths(whole)


@given(st.lists(st.integers(-50, 50), min_size=2, max_size=6), SCORES)
def test_no_part_moves_by_a_whole_tenth(tenths_of_parts, rest):
    parts = [t / 10 for t in tenths_of_parts] + [rest]
    printed = largest_remainder(parts, tenths(math.fsum(parts)))
    assert all(abs(p / 10 - v) < 0.1 + 1e-9 for p, v in zip(printed, parts, strict=True))


def test_agrees_with_the_models_on_a_worked_row():
    parts = [5.0, 1.23, 0.86, -0.44, 0.25]
    ours = [p / 10 for p in largest_remainder(parts, tenths(sum(parts)))]
    assert ours == list(law.largest_remainder(np.array(parts), sum(parts)))


def test_no_whole_no_parts():
    assert printed_tenths([1.0, 2.0], math.nan) is None
