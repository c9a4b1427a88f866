"""The tests that decide: no skill where there is none, of overlap no more than overlap has, and skill where it is."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.signal import lfilter
from scipy.special import ndtri
from scipy.stats import gamma, norm
from sklearn.ensemble import ExtraTreesClassifier

from geodata.schema import ContractError, Status
from models.baselines import overlap_brier_skill, overlap_correlation, persistence_probability
from models.early_warning_model import logistic_learner, out_of_fold
from models.folds import Cases, Fold, blocks_of_years, find_leaks
from models.gates import model_gate, outlook_gate
from models.outlook import Season, quantile_threshold, resampled_years_outlook, season_event, season_totals
from models.scores import brier_skill, roc_auc
from models.spi import apply_spi, fit_spi

THIRD = float(ndtri(1 / 3))


def white_rain(years, units, seed, common=0.85):
    """Months that tell nothing of each other; units that share most of theirs; two slow indices without meaning."""
    rng = np.random.default_rng(seed)
    times = pd.date_range("1981-01", periods=years * 12, freq="MS")
    z = common * rng.normal(size=(len(times), 1)) + np.sqrt(1 - common**2) * rng.normal(size=(len(times), units))
    coords = {"time": times, "pcode": np.arange(units)}
    rain = xr.DataArray(gamma.ppf(norm.cdf(z), 4, scale=12), dims=("time", "pcode"), coords=coords)
    slow = lfilter([np.sqrt(1 - 0.9**2)], [1, -0.9], rng.normal(size=(len(times), 2)), axis=0)
    indices = xr.DataArray(slow, dims=("time", "index"), coords={"time": times})
    return xr.Dataset({"rain": rain.assign_attrs(units="mm/month"), "indices": indices})


def spi_cases(source, fold, *, lead, threshold, fit_on_all=False):
    """SPI-3, the one before it and the indices, to an SPI-3 so many months ahead; fitted on what the fold shows."""
    rain = source["rain"]
    seen = rain if fold is None or fit_on_all else fold.hide(rain)
    times = rain.indexes["time"]
    span = (int(times.year[0]), int(times.year[-1]))
    spi = apply_spi(rain, fit_spi(seen, 3, span, min_years=15, min_positive=10)).spi
    target = times[8:]
    n = rain.sizes["pcode"]
    known = spi.values[8 - lead : len(times) - lead], spi.values[5 - lead : len(times) - 3 - lead]
    issued = pd.DatetimeIndex(target - pd.DateOffset(months=lead - 1)) + pd.Timedelta(days=9)
    month = 2 * np.pi * np.asarray(target.month).repeat(n) / 12
    features = {"spi3": known[0].ravel(), "spi3_before": known[1].ravel(), "sin": np.sin(month), "cos": np.cos(month)}
    features |= {f"index{i}": v.repeat(n) for i, v in enumerate(source["indices"].values[8 - lead : -lead].T)}
    stamps = pd.DataFrame(dict.fromkeys(features, (issued - pd.Timedelta(days=4)).repeat(n)))
    event = (spi.values[8:] <= threshold).astype(float)
    return Cases(
        pd.DataFrame(features),
        event.ravel(),
        target.repeat(n),
        issued.repeat(n),
        stamps,
        np.tile(np.arange(n), len(target)),
    )


def by_heart(features, event, target):
    """A learner that can remember every case: many trees, three cases a leaf."""
    model = ExtraTreesClassifier(60, min_samples_leaf=3, random_state=0, n_jobs=1).fit(features.to_numpy(), event)
    return lambda asked: model.predict_proba(asked.to_numpy())[:, 1]


def persistence(features, event, target, *, lead, threshold):
    """The analytic baseline, as a learner that learns nothing."""
    rho = overlap_correlation(3, lead)
    return lambda asked: persistence_probability(xr.DataArray(asked["spi3"].to_numpy()), rho, threshold).to_numpy()


def blocks(prepare, source, embargo):
    return blocks_of_years(prepare(source, None).target, block_years=5, embargo_months=embargo)


def random_folds(n, seed=0):
    """What must not be done: any case, in any year, hides among its neighbours."""
    part = np.random.default_rng(seed).permutation(np.arange(n) % 5)
    nowhere = (pd.Timestamp("1900-01-01"), pd.Timestamp("1900-01-01"))
    return [Fold(part == k, part != k, nowhere, nowhere) for k in range(5)]


def told(prepare, source, folds, lead, threshold, **options):
    """Out of fold by the logistic model, with persistence beside it."""
    learner = logistic_learner(embargo_months=lead + 6, block_years=12, penalties=(0.01, 0.3, 10.0))
    table = out_of_fold(prepare, source, folds, learner, **options)
    ahead = partial(persistence, lead=lead, threshold=threshold)
    table["persistence"] = out_of_fold(prepare, source, folds, ahead, prove=False)["model"]
    return table


# ------------------------------------------------------------------ nothing to predict


@pytest.mark.slow
def test_a_field_without_predictability_is_no_skill_in_19_of_20_seeds():
    prepare = partial(spi_cases, lead=3, threshold=THIRD)
    shut = []
    for seed in range(20):
        source = white_rain(36, 4, seed)
        table = told(prepare, source, blocks(prepare, source, 9), 3, THIRD, prove=seed == 0)
        gate = model_gate(table, baselines=("climatology", "persistence"), draws=500)
        assert gate.can_open, "it must be shut for want of skill, not of events"
        shut.append(gate.status == Status.no_skill and "no_better" in {r.code for r in gate.reasons})
    assert sum(shut) >= 19


@pytest.mark.slow
def test_random_folds_would_have_shown_skill_where_there_is_none():
    """The same field, learner and gate: cases drawn at random show false skill, blocks of years show none."""
    prepare = partial(spi_cases, lead=3, threshold=THIRD)
    source = white_rain(36, 10, 1, common=0.9)
    n = len(prepare(source, None).event)
    lucky = out_of_fold(prepare, source, random_folds(n), by_heart, prove=False)
    honest = out_of_fold(prepare, source, blocks(prepare, source, 9), by_heart)
    assert brier_skill(lucky.model, lucky.event, lucky.climatology) > 0.2
    assert roc_auc(lucky.model, lucky.event) > 0.75
    assert brier_skill(honest.model, honest.event, honest.climatology) < 0
    fooled, found = (model_gate(t, baselines=("climatology",), draws=500) for t in (lucky, honest))
    assert fooled.numbers["skill_low"] > 0.1
    assert found.status == Status.no_skill
    assert "no_better" in {r.code for r in found.reasons}


# ------------------------------------------------------------------ overlap and nothing else


@pytest.mark.slow
def test_overlap_alone_has_its_analytic_skill_and_nothing_beyond_persistence():
    """SPI-3 one month ahead at -1: 0.2416 against the odds of the month, inside the interval; the gate stays shut."""
    prepare = partial(spi_cases, lead=1, threshold=-1.0)
    source = white_rain(80, 6, 3, common=0.6)
    table = told(prepare, source, blocks(prepare, source, 7), 1, -1.0)
    against_odds = model_gate(table, baselines=("climatology",)).numbers
    assert against_odds["skill_low"] < overlap_brier_skill(2 / 3) < against_odds["skill_high"]
    assert overlap_brier_skill(2 / 3) == pytest.approx(0.2416, abs=5e-5)
    assert against_odds["skill_low"] > 0.15, "one would have been fooled"
    own = model_gate(table, forecast="persistence", baselines=("climatology",)).numbers
    assert own["skill_low"] < 0.2416 < own["skill_high"]
    gate = model_gate(table, baselines=("climatology", "persistence"))
    assert gate.baseline == "persistence"
    assert gate.status == Status.no_skill
    assert "no_better" in {r.code for r in gate.reasons}
    assert abs(gate.numbers["skill"]) < 0.02


# ------------------------------------------------------------------ known skill

SEASON, LEAD = Season(4, 7, trace_mm=0.0), 3


def governed(years=45, units=6, seed=0, strength=0.8):
    """An index of January that governs the rain of February to April; all other months tell nothing."""
    rng = np.random.default_rng(seed)
    times = pd.date_range("1970-10", periods=years * 12, freq="MS")
    index = xr.DataArray(rng.normal(size=len(times)), dims="time", coords={"time": times})
    noise = 0.9 * rng.normal(size=(len(times), 1)) + np.sqrt(0.19) * rng.normal(size=(len(times), units))
    spring = np.isin(times.month, (2, 3, 4))[:, None]
    january = np.array([index.values[i - m + 1] if m in (2, 3, 4) else 0.0 for i, m in enumerate(times.month)])
    z = np.where(spring, strength * january[:, None] + np.sqrt(1 - strength**2) * noise, noise)
    coords = {"time": times, "pcode": np.arange(units)}
    rain = xr.DataArray(60 + 10 * z, dims=("time", "pcode"), coords=coords, attrs={"units": "mm/month"})
    return xr.Dataset({"rain": rain, "index": index})


def season_years(source):
    return range(1971, int(source.indexes["time"].year[-1]) + 1)


def governed_cases(source, fold):
    """Rain so far and the index of January, to a season in the lower third of the years that may be seen."""
    rain, years = source["rain"], season_years(source)
    past = list(years) if fold is None else fold.past_years(SEASON.end_month, SEASON.months, years)
    event = season_event(rain, SEASON, years, quantile_threshold(rain, SEASON, past, 1 / 3))
    target, n = SEASON.ends(years), rain.sizes["pcode"]
    known = season_totals(rain, Season(1, 4, trace_mm=0.0), years)
    january = source["index"].sel(time=known.indexes["time"]).values.repeat(n)
    issued = pd.DatetimeIndex(target - pd.DateOffset(months=2)) + pd.Timedelta(days=9)
    features = pd.DataFrame({"so_far": known.values.ravel(), "index": january})
    stamps = pd.DataFrame(dict.fromkeys(features, (issued - pd.Timedelta(days=4)).repeat(n)))
    return Cases(
        features, event.values.ravel(), target.repeat(n), issued.repeat(n), stamps, np.tile(np.arange(n), len(years))
    )


def outlook_of_folds(source, folds, lead):
    """The resampled years in the same folds, a row for each case in the order of `out_of_fold`."""
    rain, years = source["rain"], season_years(source)
    target, n = SEASON.ends(years), rain.sizes["pcode"]
    parts = []
    for fold in folds:
        asked = sorted(set(target.repeat(n)[fold.test].year))
        past = fold.past_years(SEASON.end_month, SEASON.months, years)
        cut = quantile_threshold(rain, SEASON, past, 1 / 3)
        found = resampled_years_outlook(rain, SEASON, asked, past, cut, leads=[lead])
        parts.append(found.outlook.isel(lead=0).transpose("time", "pcode").values.ravel())
    return np.concatenate(parts)


def test_known_skill_is_recovered_and_opens_its_gate():
    """Of 10.84 parts of variance the rain so far explains 4, with the index 9.76: both skills by the same integral."""
    source = governed()
    folds = blocks_of_years(governed_cases(source, None).target, block_years=5, embargo_months=LEAD + 7)
    table = out_of_fold(governed_cases, source, folds, logistic_learner(embargo_months=LEAD + 7))
    table["outlook"] = outlook_of_folds(source, folds, LEAD)
    gate = model_gate(table, baselines=("climatology", "outlook"))
    assert gate.open, gate.words
    assert gate.baseline == "outlook"
    against_odds = model_gate(table, baselines=("climatology",)).numbers
    assert against_odds["skill_low"] < overlap_brier_skill(np.sqrt(9.76 / 10.84), THIRD) < against_odds["skill_high"]
    told_so_far = outlook_gate(table).numbers
    assert told_so_far["skill_low"] < overlap_brier_skill(np.sqrt(4 / 10.84), THIRD) < told_so_far["skill_high"]


def test_the_outlook_opens_its_own_gate_late_in_the_season_and_not_before_it():
    """One month to go six of seven are known; with seven to go nothing is. Months that tell nothing of each other."""
    source = governed(years=45, seed=5, strength=0.0)
    folds = blocks_of_years(governed_cases(source, None).target, block_years=5, embargo_months=8)
    base = out_of_fold(governed_cases, source, folds, logistic_learner(embargo_months=8), prove=False)
    late, early = (outlook_gate(base.assign(outlook=outlook_of_folds(source, folds, lead))) for lead in (1, 7))
    assert late.open, late.words
    assert not early.open


# ------------------------------------------------------------------ leaks


def test_an_index_fitted_on_all_years_is_caught_before_anything_is_asked():
    source = white_rain(36, 2, 0)
    honest = partial(spi_cases, lead=3, threshold=THIRD)
    folds = blocks(honest, source, 9)
    assert find_leaks(honest, source, folds[3]) == []
    leaky = partial(spi_cases, lead=3, threshold=THIRD, fit_on_all=True)
    with pytest.raises(ContractError, match=r"spi3: .* depend on what they must not know"):
        out_of_fold(leaky, source, folds, logistic_learner(embargo_months=9))


def test_a_predictor_of_the_season_itself_is_caught():
    """The index of March in a warning of February, under the stamp of January."""

    def peeking(source, fold):
        cases = governed_cases(source, fold)
        march = source["index"].shift(time=-2).sel(time=cases.target - pd.DateOffset(months=3)).values
        return Cases(
            cases.features.assign(index=march), cases.event, cases.target, cases.issued, cases.available_at, cases.unit
        )

    source = governed()
    folds = blocks_of_years(governed_cases(source, None).target, block_years=5, embargo_months=LEAD + 7)
    with pytest.raises(ContractError, match="index: 6 of 6 cases issued"):
        out_of_fold(peeking, source, folds, logistic_learner(embargo_months=LEAD + 7))
