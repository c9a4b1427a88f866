"""One risk taken apart: contributions that sum, and the smallest change, verified and against a search."""

from itertools import permutations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from geodata.schema import ContractError
from models.composite import Means, evaluate, inform, leaves
from models.explain import index_of_score, main_drivers, printed_change, smallest_change, tree_contributions
from models.risk import CUTS
from models.scoring import SPI_BREAKPOINTS, score_by_breakpoints

laws = settings(max_examples=50, deadline=None)
scores = st.floats(0, 10)
some = st.one_of(scores, st.just(np.nan))
means = st.sampled_from(["arithmetic", "geometric", "scaled_geometric"])
TREE = inform(
    ["drought", "water"],
    indicators={"vulnerability": ["critical", "protracted", "camps"]},
    weights={"vulnerability": {"critical": 0.5, "protracted": 0.3, "camps": 0.2}},
)
NAMES = leaves(TREE)


def unit(*values, tree=TREE):
    return dict(zip(leaves(tree), (np.atleast_1d(np.array(v, dtype=float)) for v in values), strict=True))


def number_of(risk):
    return int(np.searchsorted(CUTS, risk, side="right"))


# ------------------------------------------------------------------ contributions


@laws
@given(st.lists(some, min_size=6, max_size=6), scores, means, means)
def test_contributions_sum_to_the_risk(values, reference, inner, outer):
    """To 1e-9, through hazards, exposure and every single indicator; what is not known adds exactly 0."""
    tree = inform(
        ["drought", "water"],
        indicators={"vulnerability": ["critical", "protracted", "camps"]},
        means=Means(indicators=inner, risk=outer),
    )
    own = unit(*values, tree=tree)
    out = tree_contributions(own, tree, reference=reference)
    total = out["reference"] + sum(out[n] for n in leaves(tree))
    np.testing.assert_allclose(total, evaluate(tree, own)["risk"], rtol=0, atol=1e-9)
    known = np.isfinite(out["reference"][0])
    assert all(out[n][0] == 0 for n in leaves(tree) if known and np.isnan(own[n][0]))
    inside = sum(out[n] for n in ("critical", "protracted", "camps"))
    np.testing.assert_allclose(inside, out["vulnerability"], rtol=0, atol=1e-9)


def test_they_are_the_mean_over_all_orders_of_moving_the_parts():
    """Oracle: every order of the parts counted out, with the formula of INFORM written out."""

    def risk_by_formula(hazards, exposure, vulnerability):
        seen = [(10 - h) / 10 * 9 + 1 for h in hazards if not np.isnan(h)]
        return np.sqrt(np.sqrt((10 - np.prod(seen) ** (1 / len(seen))) / 9 * 10 * exposure) * vulnerability)

    tree, rng = inform(["drought", "water"]), np.random.default_rng(1)
    own = dict(zip(leaves(tree), rng.uniform(0, 10, (4, 5)), strict=True))
    own["hazard_water"][3] = np.nan
    out = tree_contributions(own, tree)
    for k in range(5):
        own_k = np.array([own[n][k] for n in leaves(tree)])
        start = np.where(np.isnan(own_k), np.nan, 2.0)
        orders = list(permutations(range(4)))
        total = np.zeros(4)
        for order in orders:
            at = start.copy()
            for part in order:
                before = risk_by_formula(at[:2], *at[2:])
                at[part] = own_k[part]
                total[part] += risk_by_formula(at[:2], *at[2:]) - before
        np.testing.assert_allclose([out[n][k] for n in leaves(tree)], total / len(orders), rtol=0, atol=1e-9)


@laws
@given(scores, scores, scores, st.floats(0, 10))
def test_equal_hazards_contribute_equally_and_a_part_at_its_reference_nothing(a, c, d, at):
    """Symmetry; dummy."""
    tree = inform(["drought", "water"])
    out = tree_contributions(unit(a, a, c, d, tree=tree), tree)
    assert out["hazard_drought"] == pytest.approx(out["hazard_water"], abs=1e-9)
    reference = {"hazard_drought": 2.0, "hazard_water": at, "exposure": 2.0, "vulnerability": 2.0}
    assert tree_contributions(unit(a, at, c, d, tree=tree), tree, reference=reference)["hazard_water"] == pytest.approx(
        0.0, abs=1e-9
    )


def test_the_main_driver_is_the_largest_part_and_the_earlier_of_equals():
    """Units: dry; crowded; dry and waterless alike; not assessed."""
    tree = inform(["drought", "water"])
    own = unit([9, 2, 9, np.nan], [2, 2, 9, np.nan], [3, 9, 2, 5], [2, 2, 2, 5], tree=tree)
    found = main_drivers(tree_contributions(own, tree), own, leaves(tree))
    assert found.tolist() == ["hazard_drought", "exposure", "hazard_drought", ""]


def test_a_hazard_that_was_not_assessed_drives_no_risk():
    """Everything below the reference, and water unknown: its 0 is the largest number and no reason."""
    own = unit(0.5, np.nan, 1.0, 0.5, 0.5, 0.5)
    assert (
        main_drivers(tree_contributions(own, TREE), own, ["hazard_water", "hazard_drought", "exposure"]) == "exposure"
    )
    nothing = unit(np.nan, np.nan, 1.0, 0.5, 0.5, 0.5)
    assert main_drivers(tree_contributions(nothing, TREE), nothing, NAMES).tolist() == [""]


def test_indicators_share_a_dimension_by_weight_and_distance():
    """Critical at 6 with weight 0.5 is 4 points x 0.5, camps at 7 with 0.2 is 5 x 0.2, protracted at the reference."""
    out = tree_contributions(unit(5, 5, 5, 6, 2, 7), TREE)
    assert out["critical"] / out["camps"] == pytest.approx(2.0 / 1.0)
    assert out["protracted"] == 0


@laws
@given(st.permutations(range(15)))
def test_order_of_units_does_not_matter(order):
    rng = np.random.default_rng(3)
    own = dict(zip(NAMES, rng.uniform(0, 10, (6, 15)), strict=True))
    moved = {n: v[list(order)] for n, v in own.items()}
    a, b = tree_contributions(own, TREE), tree_contributions(moved, TREE)
    assert all(np.allclose(a[n][list(order)], b[n], rtol=0, atol=1e-12) for n in NAMES)


def test_more_hazards_than_can_be_counted_out_are_refused():
    tree = inform([f"h{i}" for i in range(20)])
    with pytest.raises(ContractError, match="22 hazards"):
        tree_contributions(dict.fromkeys(leaves(tree), np.array([5.0])), tree)


# ------------------------------------------------------------------ the smallest change


@laws
@given(st.lists(some, min_size=6, max_size=6), st.sampled_from(["up", "down"]), means)
def test_the_change_does_what_it_says_and_no_smaller_one_does(values, direction, outer):
    """Oracle: every score on a grid of 2,001 values, one at a time."""
    tree = inform(["drought", "water"], indicators={"vulnerability": NAMES[3:]}, means=Means(risk=outer))
    own = unit(*values, tree=tree)
    row = smallest_change(own, tree, direction).iloc[0]
    risk = evaluate(tree, own)["risk"][0]
    if np.isnan(risk):
        assert row["answer"] == "not assessed"
        return
    want = number_of(risk) + (1 if direction == "up" else -1)
    grid, best = np.linspace(0, 10, 2001), np.inf
    for name in set(NAMES) - {"exposure"}:
        if np.isnan(own[name][0]):
            continue
        tried = {n: np.broadcast_to(v, grid.shape) for n, v in own.items()} | {name: grid}
        does = np.searchsorted(CUTS, evaluate(tree, tried)["risk"], side="right") == want
        best = min([best, *np.abs(grid[does] - own[name][0])])
    if row["answer"] == "found":
        after = evaluate(tree, own | {row["part"]: np.array([row["score_to"]])})["risk"][0]
        assert number_of(after) == want
        assert row["risk_after"] == pytest.approx(after)
        assert 0 <= row["score_to"] <= 10
        assert row["change"] == row["score_to"] - row["score_from"]
        assert (row["change"] > 0) == (direction == "up")
        assert abs(row["change"]) <= best + 1e-3
    else:
        assert not np.isfinite(best) or best > 9.99
        assert row["answer"] == ("no class beyond" if want in (-1, 5) else "no single change does")


def test_a_change_by_hand():
    """Hazard 4, exposure 9, vulnerability 8: risk sqrt(6 x 8) = 6.93. Down to 6: vulnerability 36 / 6 = 6 is 2 away,
    hazard 4.5^2 / 9 = 2.25 only 1.75. Up to 8: vulnerability 10.7 is too much, hazard 8^2 / 9 = 7.11."""
    tree = inform(["drought"])
    own = unit(4, 9, 8, tree=tree)
    up, down = (smallest_change(own, tree, d).iloc[0] for d in ("up", "down"))
    assert (up["part"], up["score_to"]) == ("hazard_drought", pytest.approx(64 / 9, abs=1e-6))
    assert (down["part"], down["score_to"]) == ("hazard_drought", pytest.approx(2.25, abs=1e-6))
    assert down["risk_after"] < 6 < 8 <= up["risk_after"]


def test_that_no_single_change_does_is_an_answer():
    """Exposure 0: no hazard lifts the risk. Best and worst class: there is none beyond. Unknown: nothing."""
    tree = inform(["drought"])
    own = unit([5, 10, 0.1, np.nan], [0, 10, 0.1, 5], [5, 10, 0.1, 5], tree=tree)
    up, down = (smallest_change(own, tree, d)["answer"].tolist() for d in ("up", "down"))
    assert up == ["no single change does", "no class beyond", "no single change does", "not assessed"]
    assert down == ["no class beyond", "found", "no class beyond", "not assessed"]


def test_bounds_of_a_score_and_what_may_move_are_kept():
    tree = inform(["drought"])
    own = unit(4, 4, 5, tree=tree)
    bound = smallest_change(own, tree, "up", bounds={"vulnerability": (0.0, 8.9)}).iloc[0]
    assert bound["answer"] == "no single change does"
    moved = smallest_change(own, tree, "up", movable=["exposure"]).iloc[0]
    assert moved["answer"] == "no single change does"
    assert smallest_change(own, tree, "down", movable=["exposure"]).iloc[0]["part"] == "exposure"
    with pytest.raises(ContractError, match="salt"):
        smallest_change(own, tree, "up", movable=["salt"])
    with pytest.raises(ContractError, match="sideways"):
        smallest_change(own, tree, "sideways")


@laws
@given(st.lists(st.floats(0.5, 9.5), min_size=6, max_size=6), st.sampled_from(["up", "down"]))
def test_the_printed_change_still_does_it(values, direction):
    own = unit(*values)
    row = smallest_change(own, TREE, direction).iloc[0]
    if row["answer"] != "found":
        return
    to = printed_change(np.array([row["score_to"]]), direction)
    after = evaluate(TREE, own | {row["part"]: to})["risk"][0]
    assert (after >= row["risk_after"] - 1e-12) if direction == "up" else (after <= row["risk_after"] + 1e-12)


@laws
@given(st.floats(0, 10))
def test_the_index_of_a_score_has_that_score(score):
    index = index_of_score(np.array([score]), SPI_BREAKPOINTS)
    assert score_by_breakpoints(xr.DataArray(index), SPI_BREAKPOINTS).item() == pytest.approx(score, abs=1e-9)
