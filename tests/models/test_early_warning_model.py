"""The fitted model: what it learns by another way, what it may not see, and what it says when nothing can be said."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit, logit

from geodata.schema import ContractError
from models.early_warning_model import PENALTIES, WarningModel, fit_warning_model, logistic_learner, out_of_fold
from models.folds import Cases, blocks_of_years
from models.scores import brier_skill, reliability_slope

EMBARGO = 9


def made(years=60, units=4, weight=1.5, seed=0):
    """An index of the year that matters so much, one that does not, and units that scatter about it."""
    rng = np.random.default_rng(seed)
    target = pd.date_range("1951-04", periods=years, freq="12MS").repeat(units)
    x = pd.DataFrame({"sst": rng.normal(size=years).repeat(units), "noise": rng.normal(size=years * units)})
    event = (rng.random(years * units) < expit(weight * x.sst.to_numpy() - 0.7)).astype(float)
    return x, event, target


# ------------------------------------------------------------------ what it learns


def test_it_finds_the_odds_that_made_the_events():
    x, event, target = made(years=400, units=20)
    model = fit_warning_model(x, event, target, embargo_months=EMBARGO, block_years=40)
    truth = expit(1.5 * x.sst - 0.7)
    assert np.abs(model.probability(x) - truth).max() < 0.08
    assert np.abs(model.probability(x) - truth).mean() < 0.02
    assert reliability_slope(model.probability(x), event) == pytest.approx(1, abs=0.05)


def test_it_is_the_minimum_of_what_its_formula_says():
    """Coefficients of the fit by another minimiser, from the formula itself."""
    x, event, target = made(years=40, units=3, seed=4)
    model = fit_warning_model(x, event, target, embargo_months=EMBARGO, penalties=[0.3])
    z = ((x - x.mean()) / x.std(ddof=0)).to_numpy()
    sign = 2 * event - 1

    def loss(w):
        return (40 / 120) * np.log1p(np.exp(-sign * (z @ w[:2] + w[2]))).sum() + w[:2] @ w[:2] / (2 * 0.3)

    best = minimize(loss, np.zeros(3), tol=1e-12).x
    assert [*model.coefficients, model.intercept] == pytest.approx(best, abs=1e-4)
    assert model.centre == pytest.approx(tuple(x.mean()))
    assert model.spread == pytest.approx(tuple(x.std(ddof=0)))
    by_hand = expit(model.slope * (z @ best[:2] + best[2]) + model.shift)
    assert model.probability(x) == pytest.approx(by_hand, abs=1e-4)


def test_copies_of_a_unit_change_nothing():
    x, event, target = made(years=40, units=1, seed=2)
    one = fit_warning_model(x, event, target, embargo_months=EMBARGO)
    again = np.repeat(np.arange(len(x)), 5)
    many = fit_warning_model(x.iloc[again], event[again], target[again], embargo_months=EMBARGO)
    assert many.penalty == one.penalty
    assert many.probability(x) == pytest.approx(one.probability(x), abs=1e-5)


@settings(max_examples=10)
@given(st.integers(0, 99), st.floats(0.01, 100), st.floats(-50, 50))
def test_units_of_a_predictor_and_order_of_cases_change_nothing(seed, scale, shift):
    x, event, target = made(years=30, units=2, seed=seed)
    own = fit_warning_model(x, event, target, embargo_months=EMBARGO).probability(x)
    other = x.assign(sst=x.sst * scale + shift)
    rows = np.random.default_rng(seed).permutation(len(x))
    found = fit_warning_model(other.iloc[rows], event[rows], target[rows], embargo_months=EMBARGO).probability(other)
    assert found == pytest.approx(own, abs=1e-5)


def test_a_predictor_without_meaning_leaves_the_odds_of_the_years():
    """Twenty made records: what is said differs little from year to year, and is no better than the odds."""
    spread = []
    for seed in range(20):
        x, event, target = made(years=35, units=3, weight=0.0, seed=seed)
        p = fit_warning_model(x, event, target, embargo_months=EMBARGO).probability(x)
        spread.append(p.std())
        assert p.mean() == pytest.approx(event.mean(), abs=0.03)
    assert np.median(spread) < 0.03


# ------------------------------------------------------------------ nothing to learn from


@pytest.mark.parametrize("event", [0.0, 1.0])
def test_an_event_never_or_always_met_has_the_odds_it_had(event):
    x, _, target = made()
    model = fit_warning_model(x, np.full(len(x), event), target, embargo_months=EMBARGO)
    assert model.probability(x) == pytest.approx(event, abs=1e-9)
    assert np.isnan(model.penalty)


def test_too_few_years_for_folds_have_their_odds_and_no_years_none():
    x, event, target = made(years=2, units=10)
    assert fit_warning_model(x, event, target, embargo_months=EMBARGO).probability(x) == pytest.approx(event.mean())
    none = fit_warning_model(x, np.full(len(x), np.nan), target, embargo_months=EMBARGO)
    assert np.isnan(none.probability(x)).all()


def test_what_is_not_known_neither_teaches_nor_is_told():
    x, event, target = made(seed=6)
    x = x.astype(float)
    x.loc[3, "sst"] = np.nan
    event[5] = np.nan
    keep = np.ones(len(x), dtype=bool)
    keep[[3, 5]] = False
    gaps = fit_warning_model(x, event, target, embargo_months=EMBARGO)
    assert gaps == fit_warning_model(x[keep], event[keep], target[keep], embargo_months=EMBARGO)
    assert np.isnan(gaps.probability(x)).tolist() == [i == 3 for i in range(len(x))]


def test_other_predictors_than_it_learnt_are_refused():
    x, event, target = made()
    model = fit_warning_model(x, event, target, embargo_months=EMBARGO)
    with pytest.raises(ContractError, match="predictors"):
        model.probability(x[["noise", "sst"]])
    with pytest.raises(ContractError, match="neither 0 nor 1"):
        fit_warning_model(x, event * 0.5, target, embargo_months=EMBARGO)
    with pytest.raises(ContractError, match="penalties"):
        fit_warning_model(x, event, target, embargo_months=EMBARGO, penalties=[])


def test_it_is_plain_numbers_that_can_be_kept():
    x, event, target = made()
    model = fit_warning_model(x, event, target, embargo_months=EMBARGO)
    again = WarningModel(**{k: tuple(v) if isinstance(v, list) else v for k, v in vars(model).items()})
    assert again == model
    assert model.penalty in PENALTIES


# ------------------------------------------------------------------ out of fold


def cases_of(source, fold):
    """Predictor of the year and event of each unit; nothing is fitted."""
    stacked = source.stack(row=("time", "unit"))
    target = pd.DatetimeIndex(stacked["time"].values)
    x = pd.DataFrame({"sst": stacked["sst"].values})
    issued = target - pd.DateOffset(months=1)
    stamps = pd.DataFrame({"sst": issued - pd.Timedelta(days=3)})
    return Cases(x, stacked["event"].values.astype(float), target, issued, stamps, stacked["unit"].values)


def source_of(years=40, units=5, weight=2.5, seed=1):
    x, event, target = made(years, units, weight, seed)
    shape = (years, units)
    coords = {"time": target[::units], "unit": np.arange(units)}
    fields = {"sst": x["sst"].to_numpy(), "event": event}
    return xr.Dataset({k: (("time", "unit"), v.reshape(shape)) for k, v in fields.items()}, coords=coords)


def asked(source, **options):
    folds = blocks_of_years(cases_of(source, None).target, block_years=5, embargo_months=EMBARGO)
    return out_of_fold(cases_of, source, folds, logistic_learner(embargo_months=EMBARGO), prove=False, **options)


def test_each_case_is_told_once_by_years_that_are_not_its_own():
    source = source_of()
    found = asked(source)
    assert len(found) == 200
    assert not found.duplicated(["time", "unit"]).any()
    assert found.groupby("year").fold.nunique().max() == 1
    own = found[found.fold == 3]
    others = found[(found.year < own.year.min()) | (found.year > own.year.max())]
    assert own.climatology.unique() == pytest.approx([others.event.mean()])
    assert brier_skill(found.model, found.event, found.climatology) > 0.1


def test_outcomes_of_the_years_that_ask_do_not_matter():
    source = source_of()
    other = source.copy(deep=True)
    other["event"][15:20] = 1 - other["event"][15:20]
    own, again = (t[t.fold == 3] for t in (asked(source), asked(other)))
    assert np.array_equal(own.model, again.model)
    assert np.array_equal(own.event, 1 - again.event)


def test_a_predictor_from_the_future_stops_everything():
    source = source_of()

    def late(source, fold):
        cases = cases_of(source, fold)
        return Cases(
            cases.features,
            cases.event,
            cases.target,
            cases.issued,
            cases.available_at + pd.Timedelta(days=30),
            cases.unit,
        )

    folds = blocks_of_years(cases_of(source, None).target, block_years=5, embargo_months=EMBARGO)
    with pytest.raises(ContractError, match="sst: available"):
        out_of_fold(late, source, folds, logistic_learner(embargo_months=EMBARGO), prove=False)


def test_what_its_stamp_hides_is_found_by_changing_it():
    """The predictor is labelled by the month of the event, issued a month before: its stamp says otherwise."""
    source = source_of()
    folds = blocks_of_years(cases_of(source, None).target, block_years=5, embargo_months=EMBARGO)
    with pytest.raises(ContractError, match=r"sst: 5 of 5 cases issued .* must not know"):
        out_of_fold(cases_of, source, folds, logistic_learner(embargo_months=EMBARGO))


def test_folds_of_other_cases_are_refused():
    source = source_of()
    target = cases_of(source, None).target
    folds = blocks_of_years(target, block_years=5, embargo_months=EMBARGO)
    learner = logistic_learner(embargo_months=EMBARGO)
    with pytest.raises(ContractError, match="asked twice"):
        out_of_fold(cases_of, source, [folds[0], folds[0]], learner, prove=False)
    with pytest.raises(ContractError, match="expected the"):
        out_of_fold(cases_of, source.isel(unit=[0]), folds, learner, prove=False)
    with pytest.raises(ContractError, match="no folds"):
        out_of_fold(cases_of, source, [], learner)


def test_calibration_undoes_odds_that_are_too_bold():
    """Few years and many predictors without meaning: uncalibrated the slope is well below 1."""
    rng = np.random.default_rng(8)
    years, units = 300, 1
    target = pd.date_range("1701-04", periods=years, freq="12MS")
    x = pd.DataFrame(rng.normal(size=(years * units, 25)), columns=[f"x{i}" for i in range(25)])
    event = (rng.random(years) < expit(x.x0.to_numpy())).astype(float)
    teach, ask = slice(0, 100), slice(100, 300)
    model = fit_warning_model(x[teach], event[teach], target[teach], embargo_months=EMBARGO, penalties=[10.0])
    bold = WarningModel(**{**vars(model), "slope": 1.0, "shift": 0.0})
    calibrated, raw = (reliability_slope(m.probability(x[ask]), event[ask]) for m in (model, bold))
    assert raw < 0.75
    assert abs(calibrated - 1) < abs(raw - 1)
    assert 0 < model.slope < 1
    assert logit(bold.probability(x[ask])) * model.slope + model.shift == pytest.approx(
        logit(model.probability(x[ask])), abs=1e-9
    )
