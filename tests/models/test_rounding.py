"""Printed numbers: half up, and parts that add up."""

from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from geodata.schema import ContractError
from models.rounding import largest_remainder, round_half_up

finite = st.floats(-1e9, 1e9, allow_nan=False)
part = st.floats(-10, 10, allow_nan=False).filter(lambda v: v == 0 or abs(v) > 1e-12)


@pytest.mark.parametrize(
    ("x", "ndigits", "printed"),
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
        (np.inf, 1, np.inf),
    ],
)
def test_a_tie_is_judged_as_it_is_written(x, ndigits, printed):
    """2.675 is just below the tie in binary, and a reader still expects 2.68."""
    assert round_half_up(x, ndigits) == printed


def test_nan_passes_and_a_rounded_zero_has_no_sign():
    """-0.04 prints as 0.0, never as -0.0."""
    rounded = round_half_up(np.array([-0.04, np.nan]))
    assert not np.signbit(rounded[0])
    assert np.isnan(rounded[1])


@given(finite, st.integers(0, 4))
def test_rounding_agrees_with_the_decimal_library(x, ndigits):
    exact = Decimal(repr(x)).quantize(Decimal(1).scaleb(-ndigits), rounding=ROUND_HALF_UP)
    assert round_half_up(x, ndigits) == float(exact)


@given(finite)
def test_rounding_twice_changes_nothing(x):
    once = round_half_up(x)
    assert round_half_up(once) == once
    assert abs(once - x) <= 0.05 + 1e-6


@given(finite, finite)
def test_rounding_keeps_order(a, b):
    assert (a <= b) <= (round_half_up(a) <= round_half_up(b))


@given(hnp.arrays("float64", hnp.array_shapes(max_dims=2, max_side=5), elements=st.floats(-50, 50)))
def test_arrays_round_like_their_values(values):
    rounded = round_half_up(values)
    assert rounded.shape == values.shape
    np.testing.assert_array_equal(rounded.ravel(), [round_half_up(float(v)) for v in values.ravel()])


def test_series_and_dataarray_keep_labels_and_lazy_arrays_stay_lazy():
    """A float32 is read as it is written too: 4.45, not 4.449999809."""
    series = pd.Series([0.25, np.nan], index=["A", "B"], name="risk")
    pd.testing.assert_series_equal(round_half_up(series), pd.Series([0.3, np.nan], index=["A", "B"], name="risk"))
    array = xr.DataArray(np.float32([4.45, 1.0]), dims="pcode", attrs={"units": "1"}).chunk(pcode=1)
    rounded = round_half_up(array)
    assert rounded.chunks is not None
    assert rounded.attrs == {"units": "1"}
    assert rounded.values.tolist() == [4.5, 1.0]


def test_a_negative_number_of_digits_is_refused():
    with pytest.raises(ContractError, match="ndigits"):
        round_half_up(1.0, -1)


def test_parts_add_up_where_plain_rounding_would_not():
    """1.04 + 1.04 + 1.04 prints as 3.1, so one of them must print as 1.1."""
    assert largest_remainder(np.array([1.04, 1.04, 1.04]), 3.12).tolist() == [1.1, 1.0, 1.0]
    assert largest_remainder(np.array([2.26, -0.13, 0.27]), 2.40).tolist() == [2.2, -0.1, 0.3]


@given(hnp.arrays("float64", (3, 4), elements=part), st.integers(0, 3))
def test_printed_parts_sum_to_the_printed_total(parts, ndigits):
    total = parts.sum(axis=1)
    printed = largest_remainder(parts, total, ndigits)
    expected = round_half_up(total, ndigits)
    np.testing.assert_array_equal(np.round(printed.sum(axis=1), ndigits) + 0.0, expected)


@given(hnp.arrays("float64", (3, 4), elements=part))
def test_no_part_moves_by_a_whole_unit(parts):
    printed = largest_remainder(parts, parts.sum(axis=1))
    assert (np.abs(printed - parts) < 0.1 + 1e-9).all()


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=6))
def test_parts_already_printed_are_left_alone(tenths):
    parts = np.array(tenths) / 10
    np.testing.assert_array_equal(largest_remainder(parts, parts.sum()), parts)


def test_a_missing_part_stays_missing_and_the_rest_still_adds_up():
    """A frame keeps its labels; a row without a total prints nothing."""
    parts = pd.DataFrame({"drought": [1.14, np.nan], "water": [np.nan, np.nan], "exposure": [1.14, 2.0]}, ["A", "B"])
    printed = largest_remainder(parts, pd.Series({"B": np.nan, "A": 2.28}))
    assert printed.loc["A"].tolist()[::2] == [1.2, 1.1]
    assert np.isnan(printed.loc["A", "water"])
    assert printed.loc["B"].isna().all()


@pytest.mark.parametrize("total", [2.1, 1.0])
def test_parts_that_do_not_make_the_total_are_a_fault(total):
    with pytest.raises(ContractError, match="sum differs"):
        largest_remainder(np.array([1.0, 1.0]), total)


def test_a_total_without_any_part_is_a_fault():
    with pytest.raises(ContractError):
        largest_remainder(np.array([np.nan, np.nan]), 0.0)
