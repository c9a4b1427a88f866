"""Change since an earlier run: each cause alone moves its own part, the parts sum, and only the world is worse."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geodata.schema import ContractError
from models.change import FACTORS, Basis, split_change
from models.composite import Means, inform, leaves

laws = settings(max_examples=40, deadline=None)
PARTS = {"vulnerability": ["critical", "protracted"]}
TREE = inform(["drought", "water"], indicators=PARTS)
OTHER_WEIGHTS = inform(
    ["drought", "water"], indicators=PARTS, weights={"risk": {"hazard_and_exposure": 0.8, "vulnerability": 0.2}}
)
OTHER_MEANS = inform(["drought", "water"], indicators=PARTS, means=Means(risk="arithmetic"))


def values(seed=0, n=6, tree=TREE):
    units = pd.Index([f"U{i}" for i in range(n)], name="pcode")
    return pd.DataFrame(np.random.default_rng(seed).uniform(1, 9, (n, len(leaves(tree)))), units, leaves(tree))


def half(score):
    return score / 2.0


def alone(out, factor):
    """That factor moves something, every other nothing, to the last bit."""
    moved = {f for f in FACTORS if (out[f"change_{f}"] != 0).any()}
    return moved == {factor}


def run(table, tree=TREE, as_of="2019-08", **scales):
    return Basis(as_of, table, tree, scales)


def test_the_same_run_has_not_changed():
    out = split_change(run(values()), run(values()))
    assert (out[[f"change_{f}" for f in FACTORS]] == 0).all().all()
    assert set(out.verdict) == {"no real change"}


def test_weights_alone_report_no_worsening():
    out = split_change(run(values()), run(values(), OTHER_WEIGHTS))
    assert alone(out, "weights")
    assert out.change.max() > 0.05
    assert set(out.verdict) == {"no real change"}


def test_means_or_scales_alone_are_method():
    assert alone(split_change(run(values()), run(values(), OTHER_MEANS)), "method")
    assert alone(split_change(run(values()), run(values(), critical=half)), "method")


def test_an_index_computed_in_another_way_from_the_same_files_is_method():
    out = split_change(run(values()), run(values(1)), same_data=True)
    assert alone(out, "method")


def test_another_month_with_the_past_as_it_was_is_real():
    out = split_change(run(values()), run(values(1), as_of="2019-09"), restated=values(0))
    assert alone(out, "real")
    assert set(out.verdict) <= {"worse", "better", "no real change"}
    assert (out.verdict[out.change_real > 0.1] == "worse").all()
    assert (out.verdict[out.change_real < -0.1] == "better").all()


def test_the_same_month_told_otherwise_by_new_files_is_data_vintage():
    out = split_change(run(values()), run(values(1)))
    assert alone(out, "data_vintage")
    assert set(out.verdict) == {"no real change"}


def test_a_past_that_was_revised_to_the_present_leaves_no_real_change():
    now = values(1)
    assert alone(split_change(run(values()), run(now, as_of="2019-09"), restated=now), "data_vintage")


def test_one_unit_split_into_two_with_the_same_figures_has_not_changed():
    """The code is new, the place is not: the crosswalk says so."""
    before = values(n=2)
    after = before.loc[["U0", "U1", "U1"]].set_axis(["U0", "U1a", "U1b"])
    crosswalk = pd.DataFrame([[1, 0], [0, 1], [0, 1.0]], after.index, before.index)
    out = split_change(run(before), run(after), crosswalk=crosswalk, restated=after)
    assert (out[[f"change_{f}" for f in FACTORS]] == 0).all().all()


def test_two_units_made_one_is_boundary():
    """The risk of the mean is not the mean of the risks: that difference is the boundary's."""
    before = values(n=2)
    after = before.mean().to_frame("M").T
    crosswalk = pd.DataFrame([[0.5, 0.5]], ["M"], before.index)
    out = split_change(run(before), run(after), crosswalk=crosswalk, restated=after)
    assert out.change_boundary.abs().item() > 1e-3
    assert out[[f"change_{f}" for f in FACTORS[1:]]].abs().max().max() < 1e-12


def test_a_unit_that_is_new_is_not_comparable_and_has_a_risk():
    out = split_change(run(values(n=5)), run(values(n=6), as_of="2019-09"))
    assert out.verdict["U5"] == "not comparable"
    assert np.isnan(out.change["U5"])
    assert np.isfinite(out.risk_after["U5"])


def test_a_hazard_that_is_seen_for_the_first_time_makes_no_place_worse():
    """Water was not assessed and now is, at 9: nothing else moved, so nothing got worse."""
    before, now = values(), values()
    before["hazard_water"], now["hazard_water"] = np.nan, 9.0
    out = split_change(run(before), run(now, as_of="2019-09"), restated=before)
    assert alone(out, "data_vintage")
    assert set(out.verdict) == {"no real change"}
    back = split_change(run(now), run(before, as_of="2019-09"), restated=now)
    assert alone(back, "data_vintage")


def test_a_hazard_added_to_the_tree_is_method_and_its_later_change_real():
    small = inform(["drought"], indicators=PARTS)
    past = values(0)
    now = past.assign(hazard_water=past.hazard_water + 1)
    out = split_change(
        run(past, small), run(now, as_of="2019-09"), restated=past.drop(columns="hazard_water"), remade=past
    )
    assert {f for f in FACTORS if (out[f"change_{f}"] != 0).any()} == {"method", "real"}
    assert (out.change_real > 0).all()


tables = st.integers(0, 30)


@laws
@given(
    tables,
    tables,
    tables,
    tables,
    st.sampled_from([TREE, OTHER_WEIGHTS, OTHER_MEANS]),
    st.integers(0, 5),
    st.booleans(),
)
def test_the_parts_sum_exactly_to_the_difference_between_the_runs(a, b, c, d, tree, gap, scaled):
    before, now = values(a), values(b)
    before.iloc[gap, 1] = np.nan
    scales = {"critical": half} if scaled else {}
    out = split_change(run(before), run(now, tree, "2019-10", **scales), restated=values(c), remade=values(d))
    total = out[[f"change_{f}" for f in FACTORS]].sum(axis=1)
    np.testing.assert_allclose(total, out.risk_after - out.risk_before, rtol=0, atol=1e-12)
    np.testing.assert_allclose(out.change, out.risk_after - out.risk_before, rtol=0, atol=0)


@laws
@given(st.permutations(range(6)))
def test_order_of_units_does_not_matter(order):
    earlier, later = run(values()), values(1)
    own = split_change(earlier, run(later, as_of="2019-09"))
    moved = split_change(earlier, run(later.iloc[list(order)], as_of="2019-09"))
    pd.testing.assert_frame_equal(own.iloc[list(order)], moved)


def test_runs_that_cannot_be_set_side_by_side_are_refused():
    with pytest.raises(ContractError, match="not before"):
        split_change(run(values(), as_of="2019-09"), run(values()))
    with pytest.raises(ContractError, match="critical"):
        run(values().drop(columns="critical"))
    with pytest.raises(ContractError, match="twice"):
        run(pd.concat([values(), values()]))
    bad = pd.DataFrame(0.4, values().index, values().index)
    with pytest.raises(ContractError, match="sum to 1"):
        split_change(run(values()), run(values()), crosswalk=bad)
