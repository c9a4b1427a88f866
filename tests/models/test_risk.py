"""Risk: golden vectors of INFORM, the laws of its means, classes, and exact contributions."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from geodata.schema import ContractError, Status, status_like
from models.risk import (
    RISK_CLASSES,
    class_words,
    contributions,
    geometric_mean,
    hazard_and_exposure,
    main_driver_words,
    risk,
    risk_class,
)
from models.scoring import scaled_geometric_mean

laws = settings(max_examples=40, deadline=None)

scores = st.floats(0, 10)
some = st.one_of(scores, st.just(np.nan))


def scaled(*values):
    return float(scaled_geometric_mean([xr.DataArray(float(v)) for v in values]))


def plain(*values):
    return float(geometric_mean([xr.DataArray(float(v)) for v in values]))


def units(**columns):
    """Scores of a few units in one month, with their statuses."""
    data = {}
    for name, values in columns.items():
        array = xr.DataArray(
            np.atleast_1d(np.asarray(values, dtype=float))[None, :],
            dims=("time", "pcode"),
            coords={"pcode": [f"U{i}" for i in range(np.size(values))]},
        )
        data |= {name: array, f"{name}_status": status_like(array)}
    return xr.Dataset(data)


def whole(drought, water, exposure, vulnerability, coping=None):
    """Hazards combined, and everything risk needs."""
    parts = {"hazard_drought": drought, "hazard_water": water, "exposure": exposure, "vulnerability": vulnerability}
    if coping is not None:
        parts["lack_of_coping"] = coping
    ds = units(**parts)
    hazard = scaled_geometric_mean([ds.hazard_drought, ds.hazard_water])
    return ds.assign(hazard=hazard, hazard_status=status_like(hazard))


TWO = ("hazard_and_exposure", "vulnerability")
THREE = (*TWO, "lack_of_coping")


def one(array):
    """The number of a single unit in a single month."""
    return array.item()


# ------------------------------------------------------------------ golden vectors


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((8, 2), 5.787),
        ((10, 0), 7.5975),
        ((9, 1), 6.491),
        ((6, 4, 2), 4.1927),
        ((0, 0), 0),
        ((5, 5), 5),
        ((10, 10), 10),
        ((6, 5, 4), 5.055),
        ((9, 3, 3), 5.9324),
        ((8, 8, 0), 6.3556),
    ],
)
def test_scaled_mean_of_inform(parts, expected):
    assert scaled(*parts) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [((6, 5, 4), 4.9324), ((9, 3, 3), 4.3267), ((8, 8, 0), 0.0), ((7.2, 5.1, 6.3), 6.1388)],
)
def test_risk_of_inform(parts, expected):
    assert plain(*parts) == pytest.approx(expected, abs=1e-4)


def test_hazard_and_exposure_enter_by_the_root_of_their_product():
    assert hazard_and_exposure(xr.DataArray(8.0), xr.DataArray(2.0)) == pytest.approx(4.0)


def test_risk_of_one_unit_by_hand():
    """sqrt(sqrt(5.787 x 6) x 3) from hazards 8 and 2, exposure 6, vulnerability 3."""
    out = risk(whole(8, 2, 6, 3), TWO)
    assert one(out.risk) == pytest.approx((np.sqrt(5.787 * 6) * 3) ** 0.5, abs=1e-3)
    assert out.attrs["dimensions_missing"] == "lack_of_coping"


# ------------------------------------------------------------------ laws of the means


@laws
@given(st.lists(scores, min_size=1, max_size=6))
def test_the_scaled_mean_lies_between_its_smallest_and_largest_part(parts):
    assert min(parts) - 1e-9 <= scaled(*parts) <= max(parts) + 1e-9


@laws
@given(st.lists(scores, min_size=1, max_size=6))
def test_the_scaled_mean_is_led_by_the_worst(parts):
    assert scaled(*parts) >= np.mean(parts) - 1e-9


@laws
@given(st.lists(scores, min_size=1, max_size=6))
def test_the_plain_mean_is_held_back_by_the_best(parts):
    assert min(parts) - 1e-9 <= plain(*parts) <= np.mean(parts) + 1e-9


@laws
@given(st.lists(some, min_size=1, max_size=6))
def test_absent_hazards_are_left_out_and_none_is_no_score(parts):
    present = [p for p in parts if not np.isnan(p)]
    if present:
        assert scaled(*parts) == pytest.approx(scaled(*present), abs=1e-12)
    else:
        assert np.isnan(scaled(*parts))


@laws
@given(scores, scores, scores, scores, st.integers(0, 3), st.floats(0, 10))
def test_risk_never_falls_when_a_part_rises(a, b, c, d, which, more):
    before = [a, b, c, d]
    after = list(before)
    after[which] = min(10.0, before[which] + more)
    low, high = (one(risk(whole(*p), TWO).risk) for p in (before, after))
    assert high >= low - 1e-12


@laws
@given(scores, scores, scores, scores, scores)
def test_risk_lies_between_its_smallest_and_largest_part(a, b, c, d, e):
    value = one(risk(whole(a, b, c, d, e), THREE).risk)
    assert min(a, b, c, d, e) - 1e-9 <= value <= max(a, b, c, d, e) + 1e-9


# ------------------------------------------------------------------ what is unknown


@laws
@given(some, some, some, some)
def test_a_missing_dimension_never_becomes_a_score(a, b, c, d):
    out = risk(whole(a, b, c, d), TWO)
    known = not (np.isnan([a, b]).all() or np.isnan(c) or np.isnan(d))
    assert bool(out.risk.notnull().all()) == known
    assert (one(out.risk_status) == Status.ok) == known


def test_a_unit_that_lacks_what_others_have_is_insufficient_data():
    """Three units: whole; nobody displaced; residents unknown. The last says so."""
    ds = whole([8, 8, 8], [2, 2, 2], [6, 6, np.nan], [3, np.nan, 3])
    ds["exposure_status"] = status_like(ds.exposure, Status.exposure_unknown)
    out = risk(ds, TWO)
    assert out.risk_status.values.tolist() == [[Status.ok, Status.insufficient_data, Status.exposure_unknown]]
    assert out.hazard_and_exposure_status.values.tolist() == [[Status.ok, Status.ok, Status.exposure_unknown]]
    assert out.risk.notnull().values.tolist() == [[True, False, False]]


def test_the_most_cautious_status_of_the_parts_stands():
    """A stale hazard makes a stale risk; a coarse one a resolution_limited risk."""
    ds = whole([8, 8], [2, 2], [6, 6], [3, 3])
    ds["hazard_status"][0] = [Status.stale, Status.resolution_limited]
    assert risk(ds, TWO).risk_status.values.tolist() == [[Status.stale, Status.resolution_limited]]


def test_a_dimension_without_source_is_left_out_for_all_and_exponents_rescaled():
    ds = whole(8, 2, 6, 3, 5)
    assert one(risk(ds, ("hazard_and_exposure",)).risk) == pytest.approx(np.sqrt(5.787 * 6), abs=1e-3)
    assert one(risk(ds, THREE).risk) == pytest.approx((np.sqrt(5.787 * 6) * 3 * 5) ** (1 / 3), abs=1e-3)


def test_an_unknown_dimension_is_a_fault():
    with pytest.raises(ContractError, match="coping"):
        risk(whole(8, 2, 6, 3), ("hazard_and_exposure", "coping"))


# ------------------------------------------------------------------ classes


def test_cuts_belong_to_the_class_above_and_the_unrounded_score_decides():
    """5.96 is printed 6.0 and stays medium; unknown has no class."""
    numbers = risk_class(xr.DataArray([0, 1.999, 2, 4, 5.96, 6, 8, 10, np.nan]))
    assert class_words(numbers).tolist() == [
        "very_low", "very_low", "low", "medium", "medium", "high", "very_high", "very_high", "",
    ]  # fmt: skip
    assert RISK_CLASSES[int(numbers[5])] == "high"


@pytest.mark.parametrize("cuts", [(2, 4, 6), (4, 2, 6, 8), (0, 2, 4, 6), (2, 2, 4, 6), (2, 4, 6, 10)])
def test_cuts_that_are_not_four_rising_numbers_inside_the_scale_are_refused(cuts):
    with pytest.raises(ValueError, match="four rising"):
        risk_class(xr.DataArray([1.0]), cuts)


# ------------------------------------------------------------------ contributions


@laws
@given(some, some, scores, scores, scores, st.floats(0, 10))
def test_contributions_sum_to_the_risk(a, b, c, d, e, reference):
    """Efficiency to 1e-9, absent hazards contribute exactly 0; no risk, no contributions."""
    ds = whole(a, b, c, d, e)
    out = contributions(ds, ["drought", "water"], THREE, reference=reference)
    parts = [v for v in out.data_vars if str(v).startswith("contribution_")]
    total = sum(one(out[p]) for p in parts)
    if np.isnan([a, b]).all():
        assert np.isnan(total)
        assert main_driver_words(out).tolist() == [[""]]
        return
    assert total == pytest.approx(one(risk(ds, THREE).risk), abs=1e-9)
    assert one(out.contribution_reference) == pytest.approx(reference, abs=1e-9)
    for name, value in (("drought", a), ("water", b)):
        if np.isnan(value):
            assert one(out[f"contribution_{name}"]) == 0.0


@laws
@given(scores, scores, scores)
def test_equal_hazards_contribute_equally(a, c, d):
    """Symmetry."""
    out = contributions(whole(a, a, c, d), ["drought", "water"], TWO)
    assert one(out.contribution_drought) == pytest.approx(one(out.contribution_water), abs=1e-9)


@laws
@given(scores, scores, scores, st.floats(0, 10))
def test_a_part_at_its_reference_contributes_nothing(a, b, c, d):
    """Dummy."""
    out = contributions(whole(a, b, c, d), ["drought", "water"], TWO, reference={
        "drought": 2.0, "water": b, "exposure": 2.0, "vulnerability": 2.0,
    })  # fmt: skip
    assert one(out.contribution_water) == pytest.approx(0.0, abs=1e-9)


def test_contributions_by_hand():
    """Only exposure 9 and vulnerability 4 move from 2 and 2 (hazard stays 2): 2 orders, risk = (sqrt(2 e) v) ** 0.5."""

    def value(e, v):
        return (np.sqrt(2 * e) * v) ** 0.5

    by_exposure = (value(9, 2) - value(2, 2) + value(9, 4) - value(2, 4)) / 2
    out = contributions(whole(2, 2, 9, 4), ["drought", "water"], TWO)
    assert one(out.contribution_exposure) == pytest.approx(by_exposure, abs=1e-12)
    assert one(out.contribution_vulnerability) == pytest.approx(value(9, 4) - 2 - by_exposure, abs=1e-12)


def test_the_main_driver_is_the_largest_part_and_the_earlier_of_equals():
    """Units: dry; crowded; dry and waterless alike; not assessed."""
    out = contributions(
        whole([9, 2, 9, np.nan], [2, 2, 9, np.nan], [3, 9, 2, 5], [2, 2, 2, 5]), ["drought", "water"], TWO
    )
    assert main_driver_words(out).tolist() == [["drought", "exposure", "drought", ""]]


def test_a_hazard_that_was_not_assessed_drives_no_risk():
    """Everything below the reference, and water unknown: its 0 is the largest number and no reason."""
    out = contributions(whole(0.5, np.nan, 1.0, 0.5), ["drought", "water"], TWO)
    assert one(out.contribution_water) == 0.0
    assert main_driver_words(out).tolist() == [["exposure"]]


def test_a_hazard_that_was_never_computed_is_no_part():
    out = contributions(whole(9, 3, 5, 5), ["drought", "water", "salinity"], TWO)
    assert "contribution_salinity" not in out
    with pytest.raises(ContractError, match="salinity"):
        contributions(whole(9, 3, 5, 5), ["salinity"], TWO)


def test_order_of_units_does_not_matter():
    rng = np.random.default_rng(0)
    ds = whole(*rng.uniform(0, 10, (4, 20)))
    order = rng.permutation(20)
    own, moved = (contributions(d, ["drought", "water"], TWO) for d in (ds, ds.isel(pcode=order)))
    xr.testing.assert_identical(own.isel(pcode=order), moved)
    xr.testing.assert_identical(risk(ds, TWO).isel(pcode=order), risk(ds.isel(pcode=order), TWO))
