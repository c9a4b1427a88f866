"""Gates: intervals of other packages, years drawn as a whole, and why a gate is shut."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, false_discovery_control
from sklearn.metrics import roc_auc_score

from geodata.schema import ContractError, Status
from models.gates import (
    REASONS,
    YearSums,
    benjamini_hochberg,
    chance_of_events,
    exact_binomial,
    model_gate,
    model_gates,
    outlook_gate,
    wilson,
    year_block_bootstrap,
)
from models.scores import brier_skill, reliability_slope, roc_auc


def cases(skill, *, years=40, units=8, base=1 / 3, seed=0, bold=1.0):
    """A year is dry or not for most of its units; the model knows so much of it, climatology the odds."""
    rng = np.random.default_rng(seed)
    truth = np.clip(base + skill * np.where(rng.random(years) < base, 1 - base, -base), 0, 1)
    dry = (rng.random((years, 1)) < truth[:, None]) if skill < 1 else truth[:, None] > 0.5
    event = np.repeat(dry, units, axis=1)
    p = np.clip(base + bold * (truth - base), 0, 1)[:, None] + 0 * event
    table = {"year": np.repeat(np.arange(1981, 1981 + years), units), "event": event.astype(float).ravel()}
    return pd.DataFrame(table | {"model": p.ravel(), "outlook": p.ravel(), "climatology": base, "persistence": base})


def codes(gate):
    return [r.code for r in gate.reasons]


# ------------------------------------------------------------------ intervals


@settings(max_examples=40)
@given(st.integers(0, 40), st.integers(1, 40), st.sampled_from([0.8, 0.9, 0.95]))
def test_intervals_are_those_of_another_package(k, n, level):
    k = min(k, n)
    for own, method in ((wilson, "wilson"), (exact_binomial, "exact")):
        other = binomtest(k, n).proportion_ci(confidence_level=level, method=method)
        assert own(k, n, level=level) == pytest.approx((other.low, other.high), abs=1e-9)


def test_of_no_warning_everything_is_possible_and_more_hits_than_warnings_are_refused():
    assert wilson(0, 0) == exact_binomial(0, 0) == (0.0, 1.0)
    with pytest.raises(ContractError, match="3 of 2"):
        wilson(3, 2)


def test_events_in_35_years():
    """5.6 of an SPI of at most -1 on average, ten or more in 4 % of records; of the lower third about 12."""
    assert round(35 * 0.158655, 1) == 5.6
    assert chance_of_events(35, 0.158655) == pytest.approx(0.04, abs=0.005)
    assert chance_of_events(35, 1 / 3) > 0.75


@settings(max_examples=40)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.sampled_from([0.05, 0.1, 0.2]))
def test_discoveries_are_those_of_another_package(p, rate):
    assert benjamini_hochberg(p, rate=rate).tolist() == (false_discovery_control(p) <= rate).tolist()


def test_what_is_not_known_is_no_discovery():
    assert benjamini_hochberg([np.nan, 0.01]).tolist() == [False, True]
    assert benjamini_hochberg([]).tolist() == []


# ------------------------------------------------------------------ drawing years


@settings(max_examples=20)
@given(st.integers(2, 12), st.integers(0, 50))
def test_a_drawn_record_scores_as_its_years_repeated(years, seed):
    """Weighted sums against the scores of the very rows, repeated."""
    rng = np.random.default_rng(seed)
    year = np.repeat(np.arange(years), 6)
    p, reference = rng.random((2, len(year))).round(1)
    o = (rng.random(len(year)) < p).astype(float)
    weights = year_block_bootstrap(years, draws=4, seed=seed)
    found = YearSums.of(year, p, o, reference).scores(weights)
    for draw, often in enumerate(weights.astype(int)):
        rows = np.repeat(np.arange(len(year)), often[year])
        assert found["skill"][draw] == pytest.approx(brier_skill(p[rows], o[rows], reference[rows]), nan_ok=True)
        assert found["slope"][draw] == pytest.approx(reliability_slope(p[rows], o[rows]), nan_ok=True)
        if 0 < o[rows].sum() < len(rows):
            assert found["auc"][draw] == pytest.approx(roc_auc_score(o[rows], p[rows]))
            assert found["auc"][draw] == pytest.approx(roc_auc(p[rows], o[rows]))


@pytest.mark.parametrize("block", [1, 3, 5])
def test_a_drawn_record_has_as_many_years(block):
    weights = year_block_bootstrap(11, draws=300, block_years=block)
    assert (weights.sum(axis=1) == 11).all()
    assert weights.mean() == pytest.approx(1)
    assert np.array_equal(weights, year_block_bootstrap(11, draws=300, block_years=block))
    with pytest.raises(ContractError, match="bootstrap"):
        year_block_bootstrap(0)


def test_units_of_a_year_are_one_witness():
    """Copies of each unit change no interval; drawn as independent cases they would make it narrow."""
    one, many = (model_gate(cases(0.6, units=u, seed=3), baselines=("climatology",)) for u in (1, 30))
    assert many.numbers["skill_low"] == pytest.approx(one.numbers["skill_low"], abs=1e-12)
    assert many.numbers["event_years"] == pytest.approx(one.numbers["event_years"])
    alone = cases(0.6, units=30, seed=3).assign(year=lambda t: np.arange(len(t)))
    width = many.numbers["skill_high"] - many.numbers["skill_low"]
    naive = model_gate(alone, baselines=("climatology",), draws=200).numbers
    assert width > 3 * (naive["skill_high"] - naive["skill_low"])


# ------------------------------------------------------------------ the gates


def test_known_skill_opens_both_gates():
    table = cases(0.85, years=60)
    for gate in (model_gate(table, baselines=("climatology", "persistence")), outlook_gate(table)):
        assert gate.open, gate.words
        assert gate.status == Status.ok
        assert codes(gate) == ["beats"]
        assert gate.words.startswith("Open: its Brier skill against ")


def test_a_model_that_only_repeats_the_outlook_stays_shut():
    gate = model_gate(cases(0.85, years=60))
    assert not gate.open
    assert gate.baseline == "outlook"
    assert gate.numbers["skill"] == 0
    assert "no_better" in codes(gate)


def test_no_skill_is_an_answer():
    table = cases(0.0).assign(
        outlook=lambda t: 1 / 3 + 0.1 * np.sin(t.year), model=lambda t: 1 / 3 + 0.1 * np.cos(t.year)
    )
    for gate in (model_gate(table), outlook_gate(table)):
        assert not gate.open
        assert gate.status == Status.no_skill
        assert "no_better" in codes(gate)


def test_bold_odds_are_shut_for_not_being_true():
    table = cases(0.5, years=80, seed=1)
    for column in ("model", "outlook"):
        table[column] = np.where(table[column] > 1 / 3, 0.75, 0.10)
    honest = cases(0.5, years=80, seed=1)
    assert "not_reliable" not in codes(outlook_gate(honest))
    timid = honest.assign(outlook=1 / 3 + 0.15 * (honest.outlook - 1 / 3))
    assert "not_reliable" in codes(outlook_gate(timid))


def test_few_events_shut_the_gate_and_it_says_that_it_can_hardly_open():
    table = cases(0.9, years=35, base=0.1, seed=4)
    gate = model_gate(table, baselines=("climatology",))
    assert not gate.open
    assert not gate.can_open
    assert {"few_events", "can_hardly_open"} <= set(codes(gate))
    assert "choose an event that comes more often" in gate.words


@pytest.mark.parametrize(("event", "code"), [(0.0, "never_met"), (1.0, "always_met")])
def test_a_target_never_or_always_met(event, code):
    for gate in (model_gate, outlook_gate):
        found = gate(cases(0.5).assign(event=event))
        assert not found.open
        assert code in codes(found)
        assert found.words


def test_fewer_than_30_years_note_an_outlook_and_shut_a_model():
    table = cases(0.85, years=25, seed=2)
    outlook, model = outlook_gate(table), model_gate(table, baselines=("climatology",))
    assert outlook.open, outlook.words
    assert codes(outlook) == ["beats", "short_record"]
    assert not model.open
    assert not model.can_open
    assert "few_years" in codes(model)
    assert codes(outlook_gate(table[table.year < 1995]))[0] == "few_years"


def test_nothing_known_is_shut_with_a_reason():
    table = cases(0.5).assign(model=np.nan, outlook=np.nan)
    for gate in (model_gate(table), outlook_gate(table)):
        assert codes(gate) == ["few_years"]
        assert gate.numbers["years"] == 0
        assert np.isnan(gate.numbers["p_value"])


def test_one_probability_for_all_is_shut():
    assert "one_probability" in codes(model_gate(cases(0.5).assign(model=0.3)))


def test_columns_that_are_absent_are_named():
    with pytest.raises(ContractError, match="persistence"):
        model_gate(cases(0.5).drop(columns="persistence"))
    with pytest.raises(ContractError, match="no baseline"):
        model_gate(cases(0.5), baselines=())


def test_what_is_luck_among_many_is_shut_again():
    """One opening gate whose p is 0.03 stands alone, and falls among twenty without skill."""
    lucky = next(
        t
        for s in range(400)
        if (g := model_gate(t := cases(0.55, years=40, seed=s), baselines=("climatology",))).open
        and 0.02 < g.numbers["p_value"] < 0.05
    )
    alone = model_gates({"a": lucky}, baselines=("climatology",))
    assert alone["a"].open
    others = {i: cases(0.0, seed=100 + i).assign(model=lambda t: 1 / 3 + 0.2 * np.cos(t.year)) for i in range(20)}
    among = model_gates({"a": lucky, **others}, baselines=("climatology",), draws=300)
    assert not among["a"].open
    assert codes(among["a"]) == ["by_chance"]
    assert not any(g.open for g in among.values())


def test_every_reason_is_a_sentence_with_its_numbers():
    numbers = {
        "baseline": "climatology",
        "skill": 0.1,
        "low": 0.0,
        "high": 1.0,
        "years": 3,
        "needed": 10,
        "events": 1.0,
    }
    numbers |= {"expected": 5.6, "chance": 0.04, "least": 0.5, "most": 2.0, "p": 0.04}
    for text in REASONS.values():
        assert "{" not in text.format(**numbers)
