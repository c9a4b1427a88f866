"""Ranges and tiers: identical units alike, any order, the risk inside its range."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geodata.schema import ContractError
from models.scoring import SPI_BREAKPOINTS
from models.uncertainty import SPI_ERROR, HazardError, risk_range

laws = settings(max_examples=20, deadline=None)
ERRORS = {"drought": HazardError(1.0), "water": HazardError(1.0)}
HAZARDS = ["drought", "water"]


def table(n=40, seed=0):
    """Units with two hazards, exposure, vulnerability and the risk these make."""
    rng = np.random.default_rng(seed)
    columns = ["hazard_drought", "hazard_water", "exposure", "vulnerability"]
    scores = pd.DataFrame(rng.uniform(0, 10, (n, 4)), columns=columns, index=[f"U{i:03d}" for i in range(n)])
    return with_risk(scores.rename_axis("pcode"))


def with_risk(scores):
    inverted = np.log((10 - scores[["hazard_drought", "hazard_water"]]) / 10 * 9 + 1).mean(axis=1)
    hazard = (10 - np.exp(inverted)) / 9 * 10
    return scores.assign(risk=np.sqrt(np.sqrt(hazard * scores.exposure) * scores.vulnerability))


def test_the_risk_lies_in_its_range_and_ranges_are_no_points():
    scores = table()
    out = risk_range(scores, HAZARDS, errors=ERRORS)
    assert (out.risk_low <= scores.risk).all()
    assert (scores.risk <= out.risk_high).all()
    assert (out.risk_high - out.risk_low).median() > 0.3
    assert out.risk_low.min() >= 0
    assert out.risk_high.max() <= 10


def test_without_any_error_equal_dimensions_leave_a_point():
    """Weights do not matter where both dimensions are 5."""
    scores = with_risk(
        pd.DataFrame({"hazard_drought": [5.0], "hazard_water": 5.0, "exposure": 5.0, "vulnerability": 5.0})
    )
    out = risk_range(scores, HAZARDS)
    assert out[["risk_low", "risk_high"]].to_numpy().ravel() == pytest.approx([5, 5], abs=1e-8)


@laws
@given(st.permutations(range(12)))
def test_order_of_units_does_not_matter(order):
    scores = table(12)
    own = risk_range(scores, HAZARDS, errors=ERRORS, draws=100)
    pd.testing.assert_frame_equal(
        own.iloc[list(order)], risk_range(scores.iloc[list(order)], HAZARDS, errors=ERRORS, draws=100)
    )


def test_identical_units_have_identical_ranges_and_tiers():
    """Ten copies of each of five units."""
    five = table(5)
    scores = pd.concat([five.set_index(five.index + f"-{i}") for i in range(10)]).sort_index()
    widths = pd.DataFrame({"vulnerability": 1.0}, index=scores.index)
    out = risk_range(scores, HAZARDS, errors=ERRORS, halfwidths=widths)
    kinds = out.groupby(out.index.str[:4])
    assert (kinds.nunique() == 1).all().all()
    assert out.risk_tier.nunique() == 5


def test_all_units_alike_share_the_middle_tier():
    scores = pd.concat([table(1)] * 7)
    scores.index = [f"U{i}" for i in range(7)]
    assert set(risk_range(scores, HAZARDS, errors=ERRORS).risk_tier) == {"C"}


def test_tiers_follow_the_risk_where_nothing_is_uncertain():
    """Twenty units far apart, both dimensions equal: four in each tier, A the highest."""
    level = np.linspace(0.5, 10, 20)
    scores = pd.DataFrame({"hazard_drought": level, "hazard_water": level, "exposure": level, "vulnerability": level})
    out = risk_range(with_risk(scores), HAZARDS)
    assert "".join(out.risk_tier) == "EEEEDDDDCCCCBBBBAAAA"


def test_a_unit_without_risk_has_neither_range_nor_tier_and_moves_no_other():
    scores = table(10)
    with_gap = pd.concat([scores, scores.iloc[[0]].rename({"U000": "U999"}).assign(vulnerability=np.nan, risk=np.nan)])
    own, out = (risk_range(s, HAZARDS, errors=ERRORS) for s in (scores, with_gap))
    assert out.loc["U999"].tolist()[2] == ""
    assert out.loc["U999", ["risk_low", "risk_high"]].isna().all()
    pd.testing.assert_frame_equal(out.drop("U999"), own)


def test_a_hazard_absent_in_a_unit_is_left_out_there():
    scores = table(10)
    scores.loc["U003", "hazard_water"] = np.nan
    scores.loc["U003", "risk"] = np.sqrt(
        np.sqrt(scores.hazard_drought["U003"] * scores.exposure["U003"]) * scores.vulnerability["U003"]
    )
    out = risk_range(scores, HAZARDS, errors=ERRORS)
    assert out.loc["U003", "risk_low"] < scores.risk["U003"] < out.loc["U003", "risk_high"]


def test_the_same_seed_gives_the_same_answer_and_another_one_another():
    scores = table()
    first, again, other = (risk_range(scores, HAZARDS, errors=ERRORS, seed=s) for s in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    assert not first.risk_low.equals(other.risk_low)


def test_a_larger_error_widens_the_range():
    scores = table()
    narrow, wide = (risk_range(scores, HAZARDS, errors={"drought": HazardError(sd)}) for sd in (0.1, 2.0))
    assert ((wide.risk_high - wide.risk_low) - (narrow.risk_high - narrow.risk_low)).median() > 0


def test_an_error_of_the_index_is_scored_again():
    """SPI -1 (score 4) with an error of 0.24: the range covers scores of SPI -1.4 and -0.6."""
    scores = pd.DataFrame({"hazard_drought": [4.0], "exposure": 10.0, "risk": np.sqrt(40.0)}, index=["U0"])
    indices = pd.DataFrame({"drought": [-1.0]}, index=["U0"])
    out = risk_range(
        scores, ["drought"], ["hazard_and_exposure"], errors={"drought": SPI_ERROR}, indices=indices, draws=5000
    )
    at = np.interp([-1 + 1.645 * 0.24, -1 - 1.645 * 0.24], *zip(*sorted(SPI_BREAKPOINTS), strict=True))
    assert out[["risk_low", "risk_high"]].to_numpy().ravel() == pytest.approx(np.sqrt(at * 10), abs=0.06)
    with pytest.raises(ContractError, match="drought"):
        risk_range(scores, ["drought"], ["hazard_and_exposure"], errors={"drought": SPI_ERROR})
