"""Draws: identical units alike, any order, tiers that follow the risk, words by their rule, weak units weak."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geodata.schema import ContractError
from models.composite import evaluate, inform, leaves
from models.confidence import (
    SPI_ERROR,
    TIER_COLUMNS,
    Draws,
    HazardError,
    _looked_up,
    _ranks,
    risk_confidence,
    tier_of,
    words_of,
)
from models.scoring import SPI_BREAKPOINTS
from models.weak_risk import risk_span

laws = settings(max_examples=15, deadline=None)
TREE = inform(["drought", "water"], indicators={"vulnerability": ["critical", "protracted", "camps"]})
ERRORS = {"hazard_drought": HazardError(1.0), "hazard_water": HazardError(1.0), "critical": HazardError(0.5)}
FEW = Draws(draws=200)
FIXED = Draws(draws=200, normalisations={"min_max": 1.0}, other_means={})


def table(n=40, seed=0, tree=TREE):
    values = np.random.default_rng(seed).uniform(0, 10, (n, len(leaves(tree))))
    return pd.DataFrame(values, columns=leaves(tree), index=[f"U{i:03d}" for i in range(n)]).rename_axis("pcode")


def risk_of(scores, tree=TREE):
    return evaluate(tree, {n: scores[n].to_numpy() for n in leaves(tree)})["risk"]


def level(values):
    """Units whose every score is the same number: no weight, mean or draw of weights moves their risk."""
    return pd.DataFrame({n: values for n in leaves(TREE)}, index=[f"U{i:03d}" for i in range(len(values))])


# ------------------------------------------------------------------ oracles


def test_twenty_units_far_apart_are_four_in_each_tier_and_sure():
    out = risk_confidence(level(np.linspace(0.5, 10, 20)), TREE, options=FEW)
    assert "".join(out.risk_tier) == "EEEEDDDDCCCCBBBBAAAA"
    assert set(out.confidence) == {"sure"}
    assert (out[list(TIER_COLUMNS)].max(axis=1) == 1).all()


def test_without_error_a_unit_of_equal_scores_is_a_point():
    out = risk_confidence(level(np.linspace(1, 9, 9)), TREE, options=FEW)
    np.testing.assert_allclose(out.risk_low, np.linspace(1, 9, 9), atol=1e-9)
    np.testing.assert_allclose(out.risk_high, np.linspace(1, 9, 9), atol=1e-9)


def test_an_error_of_the_index_is_scored_again():
    """SPI -1 (score 4) with an error of 0.24 and exposure 10: the range covers the scores of SPI -1.39 and -0.61."""
    tree = inform(["drought"], ["hazard_and_exposure"])
    scores = pd.DataFrame({"hazard_drought": [4.0], "exposure": 10.0}, index=["U0"])
    indices = pd.DataFrame({"hazard_drought": [-1.0]}, index=["U0"])
    options = Draws(draws=8000, normalisations={"min_max": 1.0}, other_means={}, concentration=1e7)
    out = risk_confidence(scores, tree, errors={"hazard_drought": SPI_ERROR}, indices=indices, options=options)
    at = np.interp([-1 + 1.645 * 0.24, -1 - 1.645 * 0.24], *zip(*sorted(SPI_BREAKPOINTS), strict=True))
    assert out[["risk_low", "risk_high"]].to_numpy().ravel() == pytest.approx(np.sqrt(at * 10), abs=0.06)


def test_the_error_known_beside_an_index_stands_in_place_of_the_constant():
    """Three units alike but for their record: 0.1, unknown (the constant 0.24), 0.5."""
    tree = inform(["drought"], ["hazard_and_exposure"])
    index = ["U0", "U1", "U2"]
    scores = pd.DataFrame({"hazard_drought": 4.0, "exposure": 10.0}, index=index)
    indices = pd.DataFrame({"hazard_drought": -1.0}, index=index)
    sds = pd.DataFrame({"hazard_drought": [0.1, np.nan, 0.5]}, index=index)
    options = Draws(draws=8000, normalisations={"min_max": 1.0}, other_means={}, concentration=1e7)
    out = risk_confidence(
        scores, tree, errors={"hazard_drought": SPI_ERROR}, indices=indices, index_sds=sds, options=options
    )
    for unit, sd in zip(index, (0.1, 0.24, 0.5), strict=True):
        at = np.interp([-1 + 1.645 * sd, -1 - 1.645 * sd], *zip(*sorted(SPI_BREAKPOINTS), strict=True))
        assert out.loc[unit, ["risk_low", "risk_high"]].to_numpy(float) == pytest.approx(np.sqrt(at * 10), abs=0.1)


def test_weights_of_two_dimensions_by_an_independent_simulation():
    """Hazard and exposure 9, vulnerability 4: risk 9^w 4^(1-w) with w of Dirichlet(10, 10), which is Beta(10, 10)."""
    tree = inform(["drought"])
    scores = pd.DataFrame({"hazard_drought": [9.0], "exposure": 9.0, "vulnerability": 4.0}, index=["U0"])
    options = Draws(draws=20000, normalisations={"min_max": 1.0}, other_means={})
    out = risk_confidence(scores, tree, options=options)
    from scipy.stats import beta

    w = beta(10, 10).ppf([0.05, 0.95])
    expected = 9.0**w * 4.0 ** (1 - w)
    assert out[["risk_low", "risk_high"]].to_numpy().ravel() == pytest.approx(expected, abs=0.02)


def test_the_other_mean_widens_the_range_to_what_it_gives():
    """Geometric sqrt(9 x 1) = 3, arithmetic 5."""
    tree = inform(["drought"])
    scores = pd.DataFrame({"hazard_drought": [9.0], "exposure": 9.0, "vulnerability": 1.0}, index=["U0"])
    options = Draws(draws=400, normalisations={"min_max": 1.0}, other_means={"risk": "arithmetic"}, concentration=1e7)
    out = risk_confidence(scores, tree, options=options)
    assert out[["risk_low", "risk_high"]].to_numpy().ravel() == pytest.approx([3, 5], abs=1e-2)


def test_ranks_in_place_of_bounds_move_the_tier_and_not_the_range():
    """One hazard has outliers: by its bounds it decides, by ranks it counts as the other dimension does."""
    tree = inform(["drought"])
    n = 20
    scores = pd.DataFrame(
        {"hazard_drought": np.linspace(5, 5.1, n), "exposure": 5.0, "vulnerability": np.linspace(9, 1, n)},
        index=[f"U{i:02d}" for i in range(n)],
    )
    bounds, ranks = (
        risk_confidence(scores, tree, options=Draws(draws=200, normalisations=w, other_means={}))
        for w in ({"min_max": 1.0}, {"rank": 1.0})
    )
    assert not ranks.risk_tier.equals(bounds.risk_tier)
    pd.testing.assert_frame_equal(ranks[["risk_low", "risk_high"]], bounds[["risk_low", "risk_high"]])


# ------------------------------------------------------------------ laws


@laws
@given(st.permutations(range(12)))
def test_order_of_units_does_not_matter(order):
    """To the last bit."""
    scores = table(12)
    scores.iloc[3, 3:] = np.nan
    own = risk_confidence(scores, TREE, errors=ERRORS, options=FEW)
    moved = risk_confidence(scores.iloc[list(order)], TREE, errors=ERRORS, options=FEW)
    pd.testing.assert_frame_equal(own.iloc[list(order)], moved, check_exact=True)


def test_identical_units_have_identical_ranges_tiers_and_words():
    five = table(5)
    scores = pd.concat([five.set_index(five.index + f"-{i}") for i in range(10)]).sort_index()
    widths = pd.DataFrame({"critical": 1.0}, index=scores.index)
    out = risk_confidence(scores, TREE, errors=ERRORS, halfwidths=widths, options=FEW)
    assert (out.groupby(out.index.str[:4]).nunique() == 1).all().all()
    assert out.risk_tier.nunique() == 5


def test_tiers_are_fifths_of_the_units_and_not_of_their_kinds():
    """Sixteen units of 20 are alike: they share ranks 1 to 16, whose middle is in the middle fifth; four are above."""
    scores = level(np.array([1.0] * 16 + [2.0, 3.0, 4.0, 5.0]))
    assert "".join(risk_confidence(scores, TREE, options=FEW).risk_tier) == "C" * 16 + "AAAA"


def test_without_error_the_range_of_a_weak_unit_is_that_of_the_country_counted_by_units():
    """Oracle: models.weak_risk, where most units of the country are alike."""
    scores = pd.concat([table(12), *[table(1).rename({"U000": f"V{i}"}) for i in range(15)]])
    scores.loc["weak"] = scores.iloc[3]
    scores.loc["weak", ["critical", "protracted", "camps"]] = np.nan
    options = Draws(draws=100, normalisations={"min_max": 1.0}, other_means={}, concentration=1e9)
    out = risk_confidence(scores, TREE, options=options)
    span = risk_span({n: scores[n].to_numpy() for n in leaves(TREE)}, TREE)
    np.testing.assert_allclose(out[["risk_low", "risk_high"]], np.c_[span.low, span.high], atol=1e-3)


def test_all_units_alike_share_the_middle_tier():
    scores = pd.concat([table(1)] * 7).set_axis([f"U{i}" for i in range(7)])
    assert set(risk_confidence(scores, TREE, errors=ERRORS, options=FEW).risk_tier) == {"C"}


@laws
@given(st.integers(0, 50))
def test_probabilities_sum_to_one_and_the_risk_lies_in_its_range(seed):
    scores = table(30, seed)
    out = risk_confidence(scores, TREE, errors=ERRORS, options=FEW)
    np.testing.assert_allclose(out[list(TIER_COLUMNS)].sum(axis=1), 1, atol=1e-9)
    own = risk_of(scores)
    assert ((out.risk_low <= own) & (own <= out.risk_high)).all()
    assert out[["risk_low", "risk_high"]].stack().between(0, 10).all()


def test_a_unit_that_is_worse_in_everything_has_no_lower_tier():
    scores = table(40)
    worse = (scores.iloc[[10]] + 1).clip(upper=10).rename({"U010": "U010w"})
    out = risk_confidence(pd.concat([scores, worse]), TREE, errors=ERRORS, options=FEW)
    assert out.risk_tier["U010w"] <= out.risk_tier["U010"]  # A is the highest
    assert out.risk_low["U010w"] >= out.risk_low["U010"]


def test_one_draw_more_of_a_hazard_changes_the_draws_of_no_other_thing():
    """A hazard without weight and without error leaves everything as it was."""
    more = inform(
        ["drought", "water", "salt"],
        indicators={"vulnerability": ["critical", "protracted", "camps"]},
        weights={"hazard": {"hazard_drought": 0.5, "hazard_water": 0.5, "hazard_salt": 0.0}},
    )
    scores = table(20)
    own = risk_confidence(scores, TREE, errors=ERRORS, options=FEW)
    pd.testing.assert_frame_equal(
        own, risk_confidence(scores.assign(hazard_salt=5.0), more, errors=ERRORS, options=FEW)
    )


def test_the_same_seed_gives_the_same_answer_and_another_one_another():
    scores = table()
    first, again, other = (risk_confidence(scores, TREE, options=Draws(draws=200, seed=s)) for s in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again, check_exact=True)
    assert not first.risk_low.equals(other.risk_low)


def test_a_larger_error_widens_the_range_and_makes_less_sure():
    scores = table(60)
    small, large = (
        risk_confidence(scores, TREE, errors={"hazard_drought": HazardError(sd)}, options=FIXED) for sd in (0.1, 3.0)
    )
    assert ((large.risk_high - large.risk_low) - (small.risk_high - small.risk_low)).median() > 0


def test_numbers_of_32_bits_say_the_same(monkeypatch):
    scores = table(60)
    scores.iloc[5, 3:] = np.nan
    own = risk_confidence(scores, TREE, errors=ERRORS, options=FEW)
    monkeypatch.setattr("models.confidence._LARGE", 0)
    short = risk_confidence(scores, TREE, errors=ERRORS, options=FEW)
    pd.testing.assert_frame_equal(own, short, check_exact=False, atol=0.006)


def test_blocks_of_draws_change_nothing(monkeypatch):
    scores = table(30)
    own = risk_confidence(scores, TREE, errors=ERRORS, options=FEW)
    monkeypatch.setattr("models.confidence._BLOCK", 100)
    pd.testing.assert_frame_equal(own, risk_confidence(scores, TREE, errors=ERRORS, options=FEW))


def test_a_rank_is_the_share_of_the_country_below_and_half_of_those_alike():
    """Of 1, 2, 2, 7: at 1 half a unit of four, at 2 one and half of two, at 7 three and a half; flat beyond."""
    at = _ranks(np.array([2.0, 1.0, 7.0, 2.0]))
    assert at[[0, 100, 200, 700, 1000]].tolist() == pytest.approx([1.25, 1.25, 5.0, 8.75, 8.75])
    assert set(_ranks(np.array([3.0, 3.0]))) == {5.0}
    assert _looked_up(np.array([0.0, 1.5, 10.0]), at).tolist() == pytest.approx([1.25, 3.125, 8.75])


# ------------------------------------------------------------------ what is missing


def test_a_unit_that_lacks_a_dimension_has_a_range_that_holds_that_of_the_country_and_moves_no_other():
    scores = table(40)
    lacks = scores.iloc[[0]].rename({"U000": "weak"})
    lacks[["critical", "protracted", "camps"]] = np.nan
    both = pd.concat([scores, lacks])
    out = risk_confidence(both, TREE, errors=ERRORS, options=FEW)
    span = risk_span({n: both[n].to_numpy() for n in leaves(TREE)}, TREE)
    assert out.risk_low["weak"] <= span.low[-1]
    assert span.high[-1] <= out.risk_high["weak"]
    assert out.risk_basis["weak"] == "range"
    assert out.loc["weak", list(TIER_COLUMNS)].isna().all()
    own = risk_confidence(scores, TREE, errors=ERRORS, options=FEW)
    pd.testing.assert_frame_equal(out.drop("weak"), own, check_exact=True)


def test_a_weak_unit_has_a_tier_only_where_the_whole_range_lies_in_it_and_is_never_sure():
    """Vulnerability hardly differs: hazards of 9.9 and 0.3 decide. Where it differs, nothing can be said."""
    alike = level(np.linspace(0.5, 9.5, 20)).assign(critical=5.0, protracted=5.0, camps=5.0)
    differs = level(np.linspace(0.5, 9.5, 20))
    for scores, tiers in ((alike, ["A", "E"]), (differs, ["", ""])):
        ends = scores.iloc[[19, 0]].set_axis(["high", "low"])
        ends[["critical", "protracted", "camps"]] = np.nan
        out = risk_confidence(pd.concat([scores, ends]), TREE, options=FEW).loc[["high", "low"]]
        assert out.risk_tier.tolist() == tiers
        assert out.confidence.tolist() == (["fairly sure"] * 2 if tiers[0] else ["", ""])


def test_without_hazard_or_exposure_nothing_is_said():
    scores = table(20)
    scores.loc["U003", ["hazard_drought", "hazard_water"]] = np.nan
    out = risk_confidence(scores, TREE, options=FEW).loc["U003"]
    assert out[["risk_low", "risk_high"]].isna().all()
    assert out[["risk_tier", "confidence", "risk_basis"]].tolist() == ["", "", "none"]
    nobody = risk_confidence(scores.assign(exposure=np.nan), TREE, options=FEW)
    assert set(nobody.risk_basis) == {"none"}
    assert list(nobody) == list(risk_confidence(scores, TREE, options=FEW))


def test_a_hazard_absent_in_a_unit_is_left_out_there():
    """Its draws are those of a unit that has the other hazard alone."""
    scores = table(20)
    scores.loc["U003", "hazard_water"] = np.nan
    out = risk_confidence(scores, TREE, options=FIXED)
    same = scores.assign(hazard_water=scores.hazard_water.fillna(scores.hazard_drought))
    filled = risk_confidence(same, TREE, options=FIXED)
    assert out.loc["U003", ["risk_low", "risk_high"]].to_numpy(float) == pytest.approx(
        filled.loc["U003", ["risk_low", "risk_high"]].to_numpy(float), abs=1e-9
    )


# ------------------------------------------------------------------ words and bad input


def test_words_at_their_edges():
    assert words_of(np.array([1, 0.9, 0.8999, 2 / 3, 0.66, 0, np.nan])).tolist() == [
        "sure", "sure", "fairly sure", "fairly sure", "unsure", "unsure", "",
    ]  # fmt: skip
    assert words_of(np.array([1.0]), weak=True).tolist() == ["fairly sure"]


@laws
@given(st.lists(st.integers(0, 100), min_size=5, max_size=5).filter(any))
def test_the_printed_tier_is_reached_or_passed_in_half_of_the_draws_and_no_higher_one_is(counts):
    p = np.array(counts) / sum(counts)
    tier = tier_of(p[:, None])[0]
    assert p[tier:].sum() >= 0.5 - 1e-9
    assert p[tier + 1 :].sum() < 0.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"draws": 5}, "100 or more"),
        ({"concentration": 0.0}, "above 0"),
        ({"normalisations": {"min_max": 0.5}}, "sum to 1"),
        ({"normalisations": {"quantile": 1.0}}, "quantile"),
    ],
)
def test_draws_that_cannot_be_drawn_are_refused(options, message):
    with pytest.raises(ContractError, match=message):
        Draws(**options)


def test_scores_that_do_not_fit_are_refused():
    scores = table(5)
    with pytest.raises(ContractError, match="camps"):
        risk_confidence(scores.drop(columns="camps"), TREE)
    with pytest.raises(ContractError, match="critical outside 0-10"):
        risk_confidence(scores.assign(critical=11.0), TREE)
    with pytest.raises(ContractError, match="twice"):
        risk_confidence(pd.concat([scores, scores]), TREE)
    with pytest.raises(ContractError, match="index of hazard_drought"):
        risk_confidence(scores, TREE, errors={"hazard_drought": SPI_ERROR})
    with pytest.raises(ContractError, match="without an index"):
        risk_confidence(
            scores,
            TREE,
            errors={"hazard_drought": SPI_ERROR},
            indices=pd.DataFrame({"hazard_drought": np.nan}, index=scores.index),
        )
