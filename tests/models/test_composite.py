"""The tree of means: INFORM's golden vectors, one rule for what is missing, exact inversion, refused weights."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from geodata.schema import ContractError
from models.composite import ALL, TWO_THIRDS, Level, Means, described, evaluate, inform, leaves, means_of, needed
from models.composite import weighted_mean as mean

laws = settings(max_examples=60, deadline=None)
scores = st.floats(0, 10)
some = st.one_of(scores, st.just(np.nan))
means = st.sampled_from(["arithmetic", "geometric", "scaled_geometric"])
THREE = ("hazard_and_exposure", "vulnerability", "lack_of_coping")


def equal(*parts, kind, needs=ALL):
    return float(mean([np.array(float(p)) for p in parts], [1 / len(parts)] * len(parts), kind, needs))


# ------------------------------------------------------------------ oracles


@pytest.mark.parametrize(
    ("parts", "expected"),
    [((8, 2), 5.787), ((10, 0), 7.5975), ((9, 1), 6.491), ((6, 4, 2), 4.1927), ((0, 0), 0), ((10, 10), 10)],
)
def test_scaled_mean_of_inform(parts, expected):
    assert equal(*parts, kind="scaled_geometric") == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    ("dimensions", "plain", "scaled"),
    [((6, 5, 4), 4.9324, 5.055), ((9, 3, 3), 4.3267, 5.9324), ((8, 8, 0), 0.0, 6.3556)],
)
def test_the_declared_mean_of_the_dimensions_decides(dimensions, plain, scaled):
    """PEERS.md section 2: the same three dimensions by INFORM's mean and by CommunityRisk's."""
    values = dict(
        zip(("hazard_h", "exposure", "vulnerability", "lack_of_coping"), (dimensions[0], *dimensions), strict=True)
    )
    for kind, expected in (("geometric", plain), ("scaled_geometric", scaled)):
        tree = inform(["h"], THREE, means=Means(risk=kind))
        assert evaluate(tree, values)["risk"] == pytest.approx(expected, abs=1e-3)


def test_weights_count_by_hand():
    """0.8 of 10 and 0.2 of 5; 10^0.8 5^0.2."""
    parts = [np.array(10.0), np.array(5.0)]
    assert mean(parts, [0.8, 0.2], "arithmetic") == pytest.approx(9.0)
    assert mean(parts, [0.8, 0.2], "geometric") == pytest.approx(8.7055, abs=1e-4)


@laws
@given(scores, scores, scores, scores, scores)
def test_the_tree_of_inform_by_its_formula(a, b, c, d, e):
    """(sqrt(H x exposure) x vulnerability x coping)^(1/3), H the scaled geometric mean, written out."""
    values = {"hazard_drought": a, "hazard_water": b, "exposure": c, "vulnerability": d, "lack_of_coping": e}
    g = np.sqrt(((10 - a) / 10 * 9 + 1) * ((10 - b) / 10 * 9 + 1))
    expected = (np.sqrt((10 - g) / 9 * 10 * c) * d * e) ** (1 / 3)
    found = evaluate(inform(["drought", "water"], THREE), {n: np.array(v) for n, v in values.items()})["risk"]
    assert found == pytest.approx(expected, abs=1e-6)


# ------------------------------------------------------------------ laws


@laws
@given(st.lists(scores, min_size=1, max_size=5), means)
def test_every_mean_lies_between_its_parts(parts, kind):
    assert min(parts) - 1e-9 <= equal(*parts, kind=kind) <= max(parts) + 1e-9


@laws
@given(st.lists(scores, min_size=4, max_size=4), st.integers(0, 3), scores, means, means)
def test_risk_never_falls_when_a_score_rises(parts, which, more, inner, outer):
    names = ["hazard_a", "hazard_b", "exposure", "vulnerability"]
    tree = inform(["a", "b"], means=Means(hazards=inner, risk=outer))
    before = dict(zip(names, map(np.array, parts), strict=True))
    after = before | {names[which]: np.minimum(10.0, before[names[which]] + more)}
    assert evaluate(tree, after)["risk"] >= evaluate(tree, before)["risk"] - 1e-12


@laws
@given(st.lists(some, min_size=1, max_size=6), means, st.sampled_from([0.0, 0.5, TWO_THIRDS, 1.0]))
def test_what_is_missing_is_left_out_and_never_filled_in(parts, kind, needs):
    """At every level: the mean of the known ones where they hold the share of the weight, else nothing."""
    known = [p for p in parts if not np.isnan(p)]
    found = equal(*parts, kind=kind, needs=needs)
    if known and len(known) >= needs * len(parts) - 1e-9:
        assert found == pytest.approx(equal(*known, kind=kind), abs=1e-9)
    else:
        assert np.isnan(found)


def test_the_rule_of_two_thirds_counts_weight_not_heads():
    parts = [np.array(5.0), np.array(np.nan), np.array(np.nan)]
    assert mean(parts, [0.7, 0.2, 0.1], "arithmetic", TWO_THIRDS) == 5.0
    assert np.isnan(mean(parts, [0.6, 0.3, 0.1], "arithmetic", TWO_THIRDS))


def test_a_part_without_weight_moves_nothing_even_at_zero():
    assert mean([np.array(0.0), np.array(5.0)], [0.0, 1.0], "geometric") == pytest.approx(5.0)


def test_hazards_need_one_indicators_two_thirds_and_dimensions_all():
    """The shares of the contract, printed with the tree."""
    tree = inform(["a"], ["hazard_and_exposure", "vulnerability"], indicators={"vulnerability": ["x", "y"]})
    assert {row["level"]: row["needs"] for row in described(tree)} == {
        "risk": 1.0, "hazard_and_exposure": 1.0, "hazard": 0.0, "vulnerability": pytest.approx(2 / 3),
    }  # fmt: skip
    assert leaves(tree) == ["hazard_a", "exposure", "x", "y"]


@laws
@given(st.lists(st.floats(0.5, 9.5), min_size=5, max_size=5), st.integers(0, 4), means, means, st.floats(0.5, 9.5))
def test_the_score_needed_for_a_target_is_the_root_that_a_search_finds(parts, which, inner, outer, target):
    """Oracle: Brent's method on the whole tree."""
    tree = inform(
        ["a", "b"],
        indicators={"vulnerability": ["x", "y"]},
        weights={"vulnerability": {"x": 0.3, "y": 0.7}},
        means=Means(hazards=inner, risk=outer),
    )
    names = leaves(tree)
    values = dict(zip(names, map(np.array, parts), strict=True))

    def off(score):
        return float(evaluate(tree, values | {names[which]: np.array(score)})["risk"]) - target

    found = float(needed(tree, values, names[which], np.array(target)))
    if off(0.0) < 0 < off(10.0):
        assume(abs(off(10.0) - off(0.0)) > 1e-6)
        assert found == pytest.approx(brentq(off, 0, 10, xtol=1e-12), abs=1e-6)
    elif off(0.0) > 1e-9 or off(10.0) < -1e-9:
        assert not 0 <= found <= 10


# ------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("weights", "message"),
    [((0.5, 0.4), "sum to 0.9"), ((1.5, -0.5), "below 0"), ((1.0,), "one each"), ((np.nan, 1.0), "numbers")],
)
def test_weights_that_are_no_weights_are_refused(weights, message):
    with pytest.raises(ContractError, match=message):
        Level("risk", "geometric", ("a", "b"), weights)


def test_a_level_or_mean_that_does_not_exist_is_refused():
    with pytest.raises(ContractError, match="median"):
        Level("risk", "median", ("a",), (1.0,))
    with pytest.raises(ContractError, match="pillars"):
        means_of({"pillars": "geometric"})
    with pytest.raises(ContractError, match="more than once"):
        Level("risk", "geometric", ("a", "a"), (0.5, 0.5))
    with pytest.raises(ContractError, match="hazzard"):
        inform(["a"], weights={"hazzard": {"hazard_a": 1.0}})
    with pytest.raises(ContractError, match="hazard_b"):
        inform(["a"], weights={"hazard": {"hazard_b": 1.0}})
    with pytest.raises(ContractError, match="no scores"):
        evaluate(inform(["a"]), {"exposure": np.array(1.0)})
    assert means_of({"risk": "arithmetic"}) == Means(risk="arithmetic")
