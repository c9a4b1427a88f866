"""Risk on the cube: golden vectors of INFORM, statuses, what is unknown, and the class that is printed."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from geodata.schema import ContractError, Status, status_like
from models.assess import assess, printed_class
from models.composite import TWO_THIRDS, evaluate, inform, weighted_mean
from models.risk import RISK_CLASSES, class_number, class_words
from models.scoring import scaled_geometric_mean

laws = settings(max_examples=40, deadline=None)

scores = st.floats(0, 10)
some = st.one_of(scores, st.just(np.nan))


def scaled(*values):
    return float(scaled_geometric_mean([xr.DataArray(float(v)) for v in values]))


def plain(*values):
    return float(weighted_mean([np.array(float(v)) for v in values], [1 / len(values)] * len(values), "geometric"))


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
    """Everything risk needs."""
    parts = {"hazard_drought": drought, "hazard_water": water, "exposure": exposure, "vulnerability": vulnerability}
    if coping is not None:
        parts["lack_of_coping"] = coping
    return units(**parts)


TWO = ("hazard_and_exposure", "vulnerability")
THREE = (*TWO, "lack_of_coping")


def risk(scores, dimensions):
    return assess(scores, inform(["drought", "water"], dimensions))


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
    assert one(risk(whole(8, 8, 2, 5), TWO).hazard_and_exposure) == pytest.approx(4.0)


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
    ds["hazard_drought_status"][0] = [Status.stale, Status.resolution_limited]
    assert risk(ds, TWO).risk_status.values.tolist() == [[Status.stale, Status.resolution_limited]]


def test_a_dimension_without_source_is_left_out_for_all_and_exponents_rescaled():
    ds = whole(8, 2, 6, 3, 5)
    assert one(risk(ds, ("hazard_and_exposure",)).risk) == pytest.approx(np.sqrt(5.787 * 6), abs=1e-3)
    assert one(risk(ds, THREE).risk) == pytest.approx((np.sqrt(5.787 * 6) * 3 * 5) ** (1 / 3), abs=1e-3)


def test_an_unknown_dimension_is_a_fault():
    with pytest.raises(ContractError, match="coping"):
        risk(whole(8, 2, 6, 3), ("hazard_and_exposure", "coping"))


def test_of_three_indicators_two_are_needed_and_hidden_ones_say_so():
    """Three units: one indicator unknown; two unknown; all three hidden by protection."""
    ds = units(hazard_drought=[8, 8, 8], exposure=[5, 5, 5], a=[2, 2, np.nan], b=[4, np.nan, np.nan], c=[np.nan] * 3)
    for name in "abc":
        ds[f"{name}_status"][0, 2] = Status.suppressed
    out = assess(ds, inform(["drought"], indicators={"vulnerability": ["a", "b", "c"]}))
    assert out.vulnerability.values[0, 0] == pytest.approx(3.0)
    assert out.vulnerability_status.values.tolist() == [[Status.ok, Status.insufficient_data, Status.suppressed]]
    assert out.risk_status.values.tolist() == [[Status.ok, Status.insufficient_data, Status.insufficient_data]]
    assert TWO_THIRDS > 0.5


def test_the_class_that_is_printed_is_that_of_the_whole_range_or_none():
    """A score on a cut; a range inside one class; a range across a cut; nothing."""
    found = printed_class(
        np.array([6.0, np.nan, np.nan, np.nan]), np.array([5.0, 4.0, 3.9, np.nan]),
        np.array([7.0, 5.9, 4.1, np.nan]), ["score", "range", "range", "none"],
    )  # fmt: skip
    assert class_words(found).tolist() == ["high", "medium", "", ""]


# ------------------------------------------------------------------ classes


def test_cuts_belong_to_the_class_above_and_the_unrounded_score_decides():
    """5.96 is printed 6.0 and stays medium; unknown has no class."""
    numbers = class_number(np.array([0, 1.999, 2, 4, 5.96, 6, 8, 10, np.nan]))
    assert class_words(numbers).tolist() == [
        "very_low", "very_low", "low", "medium", "medium", "high", "very_high", "very_high", "",
    ]  # fmt: skip
    assert RISK_CLASSES[int(numbers[5])] == "high"


@pytest.mark.parametrize("cuts", [(2, 4, 6), (4, 2, 6, 8), (0, 2, 4, 6), (2, 2, 4, 6), (2, 4, 6, 10)])
def test_cuts_that_are_not_four_rising_numbers_inside_the_scale_are_refused(cuts):
    with pytest.raises(ValueError, match="four rising"):
        class_number(np.array([1.0]), cuts)


@laws
@given(some, some, some, some, some)
def test_the_cube_says_what_the_tree_says(a, b, c, d, e):
    values = {"hazard_drought": a, "hazard_water": b, "exposure": c, "vulnerability": d, "lack_of_coping": e}
    found = evaluate(inform(["drought", "water"], THREE), {n: np.array(v) for n, v in values.items()})["risk"]
    assert one(risk(units(**values), THREE).risk) == pytest.approx(float(found), abs=1e-12, nan_ok=True)


def test_order_of_units_does_not_matter():
    rng = np.random.default_rng(0)
    ds = whole(*rng.uniform(0, 10, (4, 20)))
    order = rng.permutation(20)
    xr.testing.assert_identical(risk(ds, TWO).isel(pcode=order), risk(ds.isel(pcode=order), TWO))
