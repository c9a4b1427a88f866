"""Exposure: residents plus displaced, by number and by share, and never a zero for unknown."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from geodata.schema import Status
from models.exposure import exposure, min_max, not_displaced

laws = settings(max_examples=40, deadline=None)
people = st.floats(0, 1e7)


def units(values, names=None):
    return xr.DataArray(
        np.asarray(values, dtype=float), dims="pcode", coords={"pcode": names or [f"U{i}" for i in range(len(values))]}
    )


def flags(*words):
    return xr.DataArray(
        np.array([Status[w] for w in words], dtype="int8"),
        dims="pcode",
        coords={"pcode": [f"U{i}" for i in range(len(words))]},
    )


def test_exposure_by_hand():
    """Two units of a country of 1,010,000: 10,000 (log part 3.333, share 0.99 % -> 4.950) and a million (10, 10)."""
    out = exposure(units([10_000, 1_000_000]))
    assert out.exposure.values == pytest.approx([(10 / 3 + 10_000 / 1_010_000 / 0.02 * 10) / 2, 10.0])


def test_displaced_people_add_to_the_residents():
    """9,000 residents and 1,000 displaced are 10,000 people, whoever they are."""
    together = exposure(units([9_000, 50_000]), units([1_000, 0]))
    residents = exposure(units([10_000, 50_000]))
    np.testing.assert_allclose(together.exposure, residents.exposure)
    assert together.people.values.tolist() == [10_000, 50_000]


@laws
@given(people, st.one_of(st.just(np.nan), people))
def test_displaced_people_among_the_residents_are_counted_once(residents, displaced):
    """All who are there stay all who are there; a count of more displaced people than that stands for itself."""
    told = units([displaced, 0.0])
    out = exposure(not_displaced(units([residents, 1.0]), told), told)
    expected = residents if np.isnan(displaced) else max(residents, displaced)
    assert out.people.values[0] == pytest.approx(expected, rel=1e-12)


def test_where_no_round_was_read_residents_speak_alone():
    out = exposure(units([10_000, 50_000]), units([np.nan, 0]))
    assert out.people.values.tolist() == [10_000, 50_000]
    assert (out.exposure_status == Status.ok).all()


def test_unknown_residents_are_unknown_exposure_whoever_shelters_there():
    out = exposure(units([np.nan, 50_000]), units([3_000, 0]))
    assert out.exposure_status.values.tolist() == [Status.exposure_unknown, Status.ok]
    assert out.exposure.isnull().values.tolist() == [True, False]
    assert out.people.isnull().values.tolist() == [True, False]


def test_residents_whose_status_keeps_no_value_are_unknown():
    out = exposure(units([7.0, 50_000]), residents_status=flags("input_missing", "resolution_limited"))
    assert out.exposure_status.values.tolist() == [Status.exposure_unknown, Status.resolution_limited]


def test_the_more_cautious_of_both_counts_stands():
    """A stale round; a suppressed unit's stand-in says nothing about residents."""
    out = exposure(
        units([1e4] * 3), units([500, 15, np.nan]), displaced_status=flags("stale", "suppressed", "input_missing")
    )
    assert out.exposure_status.values.tolist() == [Status.stale, Status.ok, Status.ok]
    assert out.people.values.tolist() == [10_500, 10_015, 10_000]


def test_nobody_living_there_is_a_real_zero():
    assert exposure(units([0, 50_000])).exposure.values[0] == 0


@laws
@given(people, people, st.floats(0, 1e6))
def test_more_people_never_expose_a_unit_less(a, b, more):
    before, after = (exposure(units([v, b, 5e6])).exposure.values[0] for v in (a, a + more))
    assert after >= before - 1e-12


@laws
@given(st.lists(st.one_of(people, st.just(np.nan)), min_size=1, max_size=10))
def test_exposure_lies_in_0_to_10_and_unknown_never_becomes_a_score(values):
    out = exposure(units(values))
    kept = out.exposure.where(out.exposure.notnull(), 0)
    assert kept.min() >= 0
    assert kept.max() <= 10
    unknown = out.exposure_status == Status.exposure_unknown
    assert (out.exposure.isnull() == unknown).all()
    if np.nansum(values) > 0:
        assert (unknown.values == np.isnan(values)).all()


@laws
@given(st.permutations(range(6)))
def test_order_of_units_does_not_matter(order):
    values = units([1e3, 5e3, 2e4, 8e4, 3e5, 1e6])
    own = exposure(values).isel(pcode=list(order))
    xr.testing.assert_allclose(own, exposure(values.isel(pcode=list(order))), rtol=0, atol=1e-12)


def test_months_are_scored_each_on_its_own():
    """(time, pcode) in, (time, pcode) out; residents of one reference date serve every month."""
    displaced = xr.DataArray([[0.0, 0.0], [5_000.0, 0.0]], dims=("time", "pcode"), coords={"pcode": ["U0", "U1"]})
    out = exposure(units([10_000, 50_000]), displaced).transpose("time", "pcode")
    assert out.people.values.tolist() == [[10_000, 50_000], [15_000, 50_000]]
    assert out.exposure.values[1, 0] > out.exposure.values[0, 0]


@pytest.mark.parametrize("bounds", [{"people_bounds": (0, 10)}, {"people_bounds": (10, 10)}, {"share_bounds": (0, 2)}])
def test_bounds_that_span_nothing_are_refused(bounds):
    with pytest.raises(ValueError, match="bounds"):
        exposure(units([1.0]), **bounds)


def test_equal_bounds_are_an_error_not_a_zero():
    with pytest.raises(ValueError, match="bounds"):
        min_max(xr.DataArray([1.0]), 1.0, 1.0)
