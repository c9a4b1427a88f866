"""How good a forecast was: scores of probabilities, of ensembles and of warnings against what came.

A probability is judged by the Brier score and its parts, an ensemble by the CRPS, a warning by the
table of hits and misses. What is not known (NaN) is left out, pair by pair. All scores are of pooled
cases and know nothing of how many of them are independent: `models.gates` draws years for that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.isotonic import isotonic_regression

from geodata.schema import ContractError


def pairs(probability: Any, event: Any, *others: Any) -> tuple[np.ndarray, ...]:
    """Forecasts and outcomes where all of them are known, each flat and in double precision.

    Raises
    ------
    ContractError
        Shapes that differ, a probability outside 0-1, an event that is neither 0 nor 1.
    """
    given = [np.asarray(v, dtype=float) for v in (probability, event, *others)]
    if len({v.shape for v in given}) > 1:
        raise ContractError(f"scores: shapes {[v.shape for v in given]}, expected one")
    known = np.logical_and.reduce([np.isfinite(v) for v in given])
    p, o, *rest = (v[known] for v in given)
    for forecast in (p, *rest):
        if ((forecast < 0) | (forecast > 1)).any():
            raise ContractError(f"scores: probability {forecast.min():g} to {forecast.max():g}, expected 0 to 1")
    if not np.isin(o, (0.0, 1.0)).all():
        raise ContractError("scores: events that are neither 0 nor 1")
    return p, o, *rest


# ------------------------------------------------------------------ probabilities


def brier(probability: Any, event: Any) -> float:
    """Mean square of the probability less the outcome: 0 perfect, 1 always wrong and sure; NaN without a pair.

    >>> round(brier([0, 0.1, 0.9, 1, 0.5], [0, 0, 1, 1, 1]), 6)
    0.054
    """
    p, o = pairs(probability, event)
    return float(np.mean((p - o) ** 2)) if len(p) else np.nan


def brier_skill(probability: Any, event: Any, baseline: Any) -> float:
    """Share of the baseline's Brier score that the forecast takes away: 1 perfect, 0 no better, below 0 worse.

    Both are judged on the same pairs, those where all three are known. NaN where the baseline is perfect.

    >>> brier_skill([0.5, 0.5], [0, 1], [1, 0])
    0.75
    """
    p, o, reference = pairs(probability, event, baseline)
    lost = np.sum((reference - o) ** 2)
    return float(1.0 - np.sum((p - o) ** 2) / lost) if lost > 0 else np.nan


@dataclass(frozen=True)
class BrierParts:
    """The Brier score in parts; ``total`` is the Brier score itself (1e-12)."""

    reliability: float
    resolution: float
    uncertainty: float
    within_bins: float

    @property
    def total(self) -> float:
        """Reliability less resolution plus uncertainty plus what lies within the bins."""
        return self.reliability - self.resolution + self.uncertainty + self.within_bins


def brier_parts(probability: Any, event: Any, *, bins: int = 10) -> BrierParts:
    """Brier score told apart: are the odds true, do they differ from case to case, how hard is the question.

    Parameters
    ----------
    probability, event : arrays of one shape
    bins : int
        Bins of equal width; a forecast on an edge belongs to the bin above, 1 to the last.

    Returns
    -------
    BrierParts (1): ``reliability`` (0 best), ``resolution`` (larger is better), ``uncertainty`` (of the events alone),
    ``within_bins`` (0 where the forecasts of a bin are all alike)

    Formula
    -------
    Brier = sum n_k (p_k - o_k)^2 / n - sum n_k (o_k - o)^2 / n + o (1 - o) + W
    W = mean (p - p_k)^2 - 2 mean (p - p_k) (e - o_k)
    p_k, o_k means of the n_k forecasts p and events e of a bin, o the mean of all n events

    Limits
    ------
    * Few cases in a bin make reliability look worse and resolution better than they are, both by the same amount.
    * Cases of one year are alike: a thousand unit-months may be worth forty.

    References
    ----------
    Murphy 1973; Stephenson et al. 2008 (W).
    """
    p, o = pairs(probability, event)
    which = np.minimum((p * bins + 1e-9).astype(int), bins - 1)
    n = np.bincount(which, minlength=bins).astype(float)
    filled = np.maximum(n, 1.0)
    p_k, o_k = (np.bincount(which, v, minlength=bins) / filled for v in (p, o))
    inside = (p - p_k[which]) ** 2 - 2.0 * (p - p_k[which]) * (o - o_k[which])
    base = o.mean() if len(o) else np.nan
    return BrierParts(
        reliability=float(np.sum(n * (p_k - o_k) ** 2) / n.sum()) if len(o) else np.nan,
        resolution=float(np.sum(n * (o_k - base) ** 2) / n.sum()) if len(o) else np.nan,
        uncertainty=float(base * (1.0 - base)),
        within_bins=float(inside.mean()) if len(o) else np.nan,
    )


def reliability_curve(
    probability: Any,
    event: Any,
    *,
    independent: int | None = None,
    draws: int = 500,
    level: float = 0.9,
    seed: int = 0,
) -> pd.DataFrame:
    """How often it came true when this was said, rising with what was said, with the band of a true forecast.

    Parameters
    ----------
    probability, event : arrays of one shape
    independent : int, optional
        How many of the cases are independent (years times regions); all of them if not given. The band is that of
        a true forecast with so many cases.
    draws : int
        Simulated records behind the band.
    level : float
        Share of them inside it, at each probability.
    seed : int

    Returns
    -------
    DataFrame, one row for each probability that was said, rising: ``probability`` (1), ``observed`` (1), ``low`` and
    ``high`` (1, the band), ``n`` cases

    Formula
    -------
    observed = isotonic regression of the events on the probabilities
    band: the quantiles of the same regression of events drawn with the probabilities themselves

    Limits
    ------
    * A curve outside the band is not reliable; one inside it may still be, or the record is too short to tell.
    * Cases of one year are alike. Without ``independent`` the band is that of independent cases, and too narrow.

    References
    ----------
    Dimitriadis, Gneiting and Jordan 2021 (CORP); Broecker and Smith 2007 (consistency bars).
    """
    p, o = pairs(probability, event)
    said, which, n = np.unique(p, return_inverse=True, return_counts=True)
    if not len(said):
        return pd.DataFrame(columns=["probability", "observed", "low", "high", "n"], dtype=float)
    rng = np.random.default_rng(seed)
    share = min(1.0, (independent or len(p)) / len(p))
    cases = np.maximum(n * share, 1e-9)
    whole = np.floor(cases).astype(int)
    simulated = np.empty((draws, len(said)))
    for draw in simulated:
        kept = whole + (rng.random(len(said)) < cases - whole)
        some = kept > 0
        if not some.any():
            some, kept = np.ones(len(said), dtype=bool), np.ones(len(said), dtype=int)
        met = rng.binomial(kept[some], said[some]) / kept[some]
        fitted = isotonic_regression(met, sample_weight=kept[some].astype(float))
        draw[:] = np.interp(said, said[some], fitted)
    low, high = np.quantile(simulated, [(1 - level) / 2, (1 + level) / 2], axis=0)
    observed = isotonic_regression(np.bincount(which, o) / n, sample_weight=n.astype(float))
    return pd.DataFrame({"probability": said, "observed": observed, "low": low, "high": high, "n": n})


def reliability_slope(probability: Any, event: Any) -> float:
    """Slope of the events on the probabilities: 1 true odds, below 1 too bold, 0 they say nothing.

    NaN where all probabilities are alike.

    >>> reliability_slope([0.0, 0.0, 1.0, 1.0], [0, 1, 0, 1])
    0.0
    """
    p, o = pairs(probability, event)
    if not len(p) or np.ptp(p) < 1e-12:
        return np.nan
    about = p - p.mean()
    return float(np.sum(about * o) / np.sum(about**2))


def roc_auc(probability: Any, event: Any) -> float:
    """Chance that a case with an event was given more than a case without: 1 perfect, 0.5 blind; ties count half.

    NaN where there are no events, or nothing else.

    >>> roc_auc([0.1, 0.4, 0.4, 0.8], [0, 0, 1, 1])
    0.875
    """
    p, o = pairs(probability, event)
    yes = int(o.sum())
    no = len(o) - yes
    if not yes or not no:
        return np.nan
    return float((rankdata(p)[o == 1].sum() - yes * (yes + 1) / 2.0) / (yes * no))


# ------------------------------------------------------------------ ensembles


def crps_ensemble(ensemble: Any, observed: Any, *, method: Literal["ecdf", "fair"] = "ecdf") -> np.ndarray:
    """Distance of an ensemble from what came, in the units of both: 0 perfect; of one member, the absolute error.

    Parameters
    ----------
    ensemble : array (..., member); a member that is NaN is not there
    observed : array (...)
    method : "ecdf" or "fair"
        The ensemble as it is, or what a very large ensemble of its kind would score: for few members.

    Returns
    -------
    array (...), the units of both, mm for rain; NaN without an observation or member ("fair": with fewer than two)

    Formula
    -------
    CRPS = mean |x_i - y| - sum |x_i - x_j| / (2 m^2), over all pairs of the m members;  fair: / (2 m (m - 1))

    Limits
    ------
    * Rain of a wet place weighs more than rain of a dry one: compare places by skill, not by CRPS.

    References
    ----------
    Gneiting and Raftery 2007; Ferro 2014 (fair).

    >>> [round(float(crps_ensemble([1, 2, 4], 3, method=m)), 6) for m in ("ecdf", "fair")]
    [0.666667, 0.333333]
    """
    if method not in ("ecdf", "fair"):
        raise ContractError(f"crps: method {method!r}, expected 'ecdf' or 'fair'")
    x, y = np.sort(np.asarray(ensemble, dtype=float), axis=-1), np.asarray(observed, dtype=float)  # NaN come last
    m = np.isfinite(x).sum(axis=-1)
    rank = np.arange(1, x.shape[-1] + 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.nansum(np.abs(x - y[..., None]), axis=-1) / m
        apart = 2.0 * np.nansum((2.0 * rank - m[..., None] - 1.0) * x, axis=-1)  # sum over all pairs, both ways
        among = apart / (2.0 * m * (m if method == "ecdf" else m - 1.0))
        score = error - among
    return np.where((m >= (1 if method == "ecdf" else 2)) & np.isfinite(y), score, np.nan)


# ------------------------------------------------------------------ warnings


@dataclass(frozen=True)
class WarningTable:
    """What came of warnings given and not given.

    The false-alarm *ratio* is a share of the warnings, the ratio a committee feels. What some packages call the
    false-alarm rate is a share of the quiet cases, tiny for rare events, and flatters: it is
    ``probability_of_false_detection`` here, and never shown as a ratio. Nor is the share of correct answers given:
    who never warns of a rare event is nearly always right. A ratio of nothing is NaN.

    >>> finley = WarningTable(hits=28, false_alarms=72, misses=23, correct_negatives=2680)
    >>> round(finley.hit_rate, 4), round(finley.false_alarm_ratio, 4), round(finley.peirce, 4)
    (0.549, 0.72, 0.5229)
    """

    hits: int
    false_alarms: int
    misses: int
    correct_negatives: int

    @property
    def n(self) -> int:
        """Cases."""
        return self.hits + self.false_alarms + self.misses + self.correct_negatives

    @property
    def base_rate(self) -> float:
        """Share of the cases that were events."""
        return _ratio(self.hits + self.misses, self.n)

    @property
    def hit_rate(self) -> float:
        """Share of the events that were warned of."""
        return _ratio(self.hits, self.hits + self.misses)

    @property
    def false_alarm_ratio(self) -> float:
        """Share of the warnings that nothing followed."""
        return _ratio(self.false_alarms, self.hits + self.false_alarms)

    @property
    def probability_of_false_detection(self) -> float:
        """Share of the cases without an event that were warned of."""
        return _ratio(self.false_alarms, self.false_alarms + self.correct_negatives)

    @property
    def critical_success_index(self) -> float:
        """Hits among all that was warned of or came."""
        return _ratio(self.hits, self.hits + self.false_alarms + self.misses)

    @property
    def bias(self) -> float:
        """Warnings for each event."""
        return _ratio(self.hits + self.false_alarms, self.hits + self.misses)

    @property
    def peirce(self) -> float:
        """Hit rate less the probability of false detection: 0 for whoever warns always, never or by lot."""
        return self.hit_rate - self.probability_of_false_detection

    @property
    def equitable_threat(self) -> float:
        """Critical success index without the hits of chance (Gilbert)."""
        chance = _ratio((self.hits + self.misses) * (self.hits + self.false_alarms), self.n)
        return _ratio(self.hits - chance, self.hits + self.false_alarms + self.misses - chance)

    @property
    def heidke(self) -> float:
        """Correct answers beyond those of chance."""
        a, b, c, d = self.hits, self.false_alarms, self.misses, self.correct_negatives
        return _ratio(2.0 * (a * d - b * c), (a + c) * (c + d) + (a + b) * (b + d))


def warning_table(warned: Any, event: Any) -> WarningTable:
    """Count warnings (0 or 1) against events (0 or 1); what is not known is left out."""
    w, o = (v == 1 for v in pairs(warned, event))
    if not np.isin(pairs(warned, event)[0], (0.0, 1.0)).all():
        raise ContractError("scores: warnings that are neither 0 nor 1")
    return WarningTable(int((w & o).sum()), int((w & ~o).sum()), int((~w & o).sum()), int((~w & ~o).sum()))


def relative_economic_value(table: WarningTable, cost_loss: float) -> float:
    """What acting on the warnings saves, as a share of what perfect foresight would.

    Whoever acts pays the cost C each time and is spared the loss L; without warnings one acts always or never,
    whichever is cheaper. For probabilities, warn where they exceed C / L and count with `warning_table`.

    Parameters
    ----------
    table : WarningTable
    cost_loss : float, 1, C / L, above 0 and below 1

    Returns
    -------
    float (1), 1 perfect, 0 as cheap as without warnings, below 0 dearer; NaN without events or with nothing else

    Formula
    -------
    V = (min(a, s) - F a (1 - s) + H s (1 - a) - s) / (min(a, s) - s a)
    a = C / L, s base rate, H hit rate, F probability of false detection; at a = s it is H - F

    Limits
    ------
    * Each user has a C / L of their own: a value at the best one speaks for nobody else.
    * Assumes that action spares the whole loss, and that money is the measure.

    References
    ----------
    Richardson 2000; Jolliffe and Stephenson 2012, chapter 9.

    >>> finley = WarningTable(hits=28, false_alarms=72, misses=23, correct_negatives=2680)
    >>> round(relative_economic_value(finley, finley.base_rate), 4)
    0.5229
    """
    if not 0.0 < cost_loss < 1.0:
        raise ContractError(f"economic value: found C / L {cost_loss:g}, expected above 0 and below 1")
    a, s = cost_loss, table.base_rate
    best = min(a, s)
    paid = table.probability_of_false_detection * a * (1.0 - s) - table.hit_rate * s * (1.0 - a) + s
    return _ratio(best - paid, best - s * a)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else np.nan
