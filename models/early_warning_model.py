"""A fitted model of the odds of an event: regularised, calibrated, and asked only about years it has not seen.

Logistic regression with an L2 penalty, its strength chosen by inner folds, its odds calibrated by what it said of
years it had not seen (Platt). `out_of_fold` runs this, or any other learner, with everything fitted inside the fold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from geodata.schema import ContractError
from models.folds import YEAR_STARTS, Fold, Prepare, blocks_of_years, check_available, find_leaks, year_of

PENALTIES = (0.01, 0.1, 1.0, 10.0)
"""Inverse strengths of the penalty that are tried, the strongest first; of equals the stronger is taken."""

_FIRM = 30.0  # beyond this a log-odd is 0 or 1


@dataclass(frozen=True)
class WarningModel:
    """What was learnt, as plain numbers that can be saved.

    Parameters
    ----------
    names : predictors, in their order
    centre, spread : mean and standard deviation of each in training
    coefficients : of the standardised predictors
    intercept : float
    slope, shift : of the calibration, 1 and 0 if there is none
    penalty : float, the inverse strength that was chosen; NaN where the odds are the same for every case
    """

    names: tuple[str, ...]
    centre: tuple[float, ...]
    spread: tuple[float, ...]
    coefficients: tuple[float, ...]
    intercept: float
    slope: float = 1.0
    shift: float = 0.0
    penalty: float = np.nan

    def probability(self, features: pd.DataFrame) -> np.ndarray:
        """Probability of the event in each case; NaN where a predictor is not known."""
        if list(features.columns) != list(self.names):
            raise ContractError(f"model: predictors {list(features.columns)}, expected {list(self.names)}")
        x = (features.to_numpy(dtype=float) - np.array(self.centre)) / np.array(self.spread)
        odds = self.slope * (x @ np.array(self.coefficients) + self.intercept) + self.shift
        return expit(np.clip(odds, -_FIRM, _FIRM))


Learner = Callable[[pd.DataFrame, np.ndarray, pd.DatetimeIndex], Callable[[pd.DataFrame], np.ndarray]]
"""Predictors, events and target months of the cases that teach, to a function of predictors to probabilities."""


def fit_warning_model(
    features: pd.DataFrame,
    event: np.ndarray,
    target: pd.DatetimeIndex,
    *,
    embargo_months: int,
    block_years: int = 5,
    penalties: Sequence[float] = PENALTIES,
    year_starts: int = YEAR_STARTS,
) -> WarningModel:
    """Learn the odds of the event from its predictors, with years kept whole.

    The strength of the penalty is the one whose odds for years not seen have the least squared error. What it said of
    those years calibrates it: where it said nothing true, the calibration leaves the odds of the training years.

    Parameters
    ----------
    features : DataFrame, a row for each case; cases with a NaN do not teach
    event : 1, 0 or NaN, one for each case
    target : months in which the windows of the cases end
    embargo_months : int
        At least lead plus accumulation, as in `models.folds`.
    block_years : int
        Years of an inner block.
    penalties : inverse strengths that are tried
        Per year, not per case: copies of a unit change nothing.
    year_starts : int

    Returns
    -------
    WarningModel; its probabilities (1)
        The same odds for every case where the training years have no event, nothing else, or too few years for folds.

    Formula
    -------
    odds = 1 / (1 + exp(-(a l + b))),  l = c + sum w_j (x_j - mean_j) / sd_j
    w, c minimise (years / cases) sum ln(1 + exp(-+l)) + sum w_j^2 / (2 C);  C by the Brier score out of fold
    a >= 0, b by maximum likelihood of the events on the l of years not seen (Platt)

    Limits
    ------
    * What counts is years times independent regions: 35 years of 3 to 6 regions are 105 to 210 cases, not thousands.
    * It follows straight lines: a predictor that matters at both ends must come twice.
    * Odds of a climate that changes are those of the training years.

    References
    ----------
    Hastie, Tibshirani and Friedman 2009; Platt 1999 (calibration).
    """
    x, y = features.to_numpy(dtype=float), np.asarray(event, dtype=float)
    known = np.isfinite(y) & np.isfinite(x).all(axis=1)
    x, y, months = x[known], y[known], target[known]
    names = tuple(map(str, features.columns))
    if not np.isin(y, (0.0, 1.0)).all():
        raise ContractError("model: events that are neither 0 nor 1")
    if not len(penalties) or min(penalties) <= 0:
        raise ContractError(f"model: penalties {list(penalties)}, expected some above 0")
    if not len(y) or y.min() == y.max():
        return _same_for_all(names, y)
    folds = blocks_of_years(months, block_years=block_years, embargo_months=embargo_months, year_starts=year_starts)
    folds = [f for f in folds if f.training.any() and 0 < y[f.training].mean() < 1]
    if len(folds) < 2:
        return _same_for_all(names, y)
    said = np.full((len(penalties), len(y)), np.nan)
    share = len(np.unique(year_of(months, year_starts))) / len(y)
    for fold in folds:
        centre, spread = _scale(x[fold.training])
        teach, ask = ((x[rows] - centre) / spread for rows in (fold.training, fold.test))
        for odds, penalty in zip(said, penalties, strict=True):
            weights, intercept = _logistic(teach, y[fold.training], penalty * share)
            odds[fold.test] = ask @ weights + intercept
    asked = np.isfinite(said[0])
    lost = np.array([np.mean((expit(odds[asked]) - y[asked]) ** 2) for odds in said])
    chosen = int(np.flatnonzero(lost <= lost.min() + 1e-12)[0])
    slope, shift = _platt(said[chosen][asked], y[asked])
    centre, spread = _scale(x)
    weights, intercept = _logistic((x - centre) / spread, y, penalties[chosen] * share)
    return WarningModel(
        names,
        tuple(map(float, centre)),
        tuple(map(float, spread)),
        tuple(map(float, weights)),
        float(intercept),
        slope,
        shift,
        float(penalties[chosen]),
    )


def logistic_learner(
    *,
    embargo_months: int,
    block_years: int = 5,
    penalties: Sequence[float] = PENALTIES,
    year_starts: int = YEAR_STARTS,
) -> Learner:
    """The model above as a learner of `out_of_fold`; parameters as of `fit_warning_model`."""

    def learn(
        features: pd.DataFrame, event: np.ndarray, target: pd.DatetimeIndex
    ) -> Callable[[pd.DataFrame], np.ndarray]:
        return fit_warning_model(
            features,
            event,
            target,
            embargo_months=embargo_months,
            block_years=block_years,
            penalties=penalties,
            year_starts=year_starts,
        ).probability

    return learn


def out_of_fold(
    prepare: Prepare,
    source: xr.Dataset,
    folds: Sequence[Fold],
    learner: Learner,
    *,
    year_starts: int = YEAR_STARTS,
    name: str = "model",
    prove: bool = True,
) -> pd.DataFrame:
    """What a learner says of each case when its years, and all that is fitted on the way, are unseen.

    Parameters
    ----------
    prepare : Prepare
        Fits what is to be fitted (SPI, thresholds, corrections) on the months that the fold shows; asked anew for
        each fold, so that an event is judged by the fold's own threshold.
    source : Dataset (time, ...)
    folds : of `models.folds`, over the cases that ``prepare`` makes
    learner : Learner
    year_starts : int
    name : str, of the column
    prove : bool
        Look for leaks in the middle fold before anything is asked (`models.folds.find_leaks`).

    Returns
    -------
    DataFrame, a row for each case that asks, as the gates want it
        ``time`` (month in which the window ends), ``issued``, ``unit``, ``year``, ``event``, the probability under its
        name, ``climatology`` (share of the events among the cases that teach, of the same calendar month), ``fold``.

    Raises
    ------
    ContractError
        A leak; a predictor that could not be had when the warning was issued; a case that is asked twice; no folds, or
        folds of other cases.
    """
    if not folds:
        raise ContractError("out of fold: no folds")
    if prove and (leaks := find_leaks(prepare, source, folds[len(folds) // 2])):
        raise ContractError("out of fold: " + "; ".join(leaks))
    parts = []
    asked = np.zeros(len(folds[0].test), dtype=int)
    for number, fold in enumerate(folds):
        cases = prepare(source, fold)
        if len(cases.event) != len(fold.test):
            raise ContractError(f"out of fold: {len(cases.event)} cases, expected the {len(fold.test)} of the folds")
        check_available(cases.available_at, cases.issued)
        asked = asked + fold.test
        if (asked > 1).any() or (fold.test & fold.training).any():
            raise ContractError("out of fold: a case asked twice, or asked and taught")
        event = np.asarray(cases.event, dtype=float)
        teach = fold.training & np.isfinite(event)
        say = learner(cases.features[teach], event[teach], cases.target[teach])
        usual = pd.Series(event[teach]).groupby(np.asarray(cases.target[teach].month)).mean()
        target = cases.target[fold.test]
        parts.append(
            pd.DataFrame(
                {
                    "time": target,
                    "issued": cases.issued[fold.test],
                    "unit": cases.unit[fold.test],
                    "year": year_of(target, year_starts),
                    "event": event[fold.test],
                    name: say(cases.features[fold.test]) if teach.any() else np.nan,
                    "climatology": usual.reindex(target.month).to_numpy(),
                    "fold": number,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


# ------------------------------------------------------------------ beneath


def _scale(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    spread = x.std(axis=0)
    return x.mean(axis=0), np.where(spread > 1e-12, spread, 1.0)


def _logistic(x: np.ndarray, y: np.ndarray, penalty: float) -> tuple[np.ndarray, float]:
    """Coefficients and intercept; scikit-learn penalises the sum over cases by 1 / (2 C)."""
    if not x.shape[1]:
        return np.zeros(0), float(np.log(y.mean() / (1.0 - y.mean())))
    fitted = LogisticRegression(C=penalty, solver="newton-cholesky", max_iter=200, tol=1e-6).fit(x, y)
    return fitted.coef_[0], float(fitted.intercept_[0])


def _platt(said: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Slope and shift of the log-odds; a slope below 0 would turn what was learnt around, and becomes 0."""
    base = float(np.log(y.mean() / (1.0 - y.mean())))
    spread = said.std()
    if spread < 1e-9:
        return 0.0, base
    centre = said.mean()
    weights, intercept = _logistic(((said - centre) / spread)[:, None], y, 1e6)
    slope = float(weights[0]) / spread
    return (float(slope), float(intercept - slope * centre)) if slope > 0 else (0.0, base)


def _same_for_all(names: tuple[str, ...], y: np.ndarray) -> WarningModel:
    """The odds of the training years; of none, NaN."""
    p = float(y.mean()) if len(y) else np.nan
    odds = np.nan if np.isnan(p) else float(np.clip(np.log(max(p, 1e-13)) - np.log(max(1.0 - p, 1e-13)), -_FIRM, _FIRM))
    zeros = (0.0,) * len(names)
    return WarningModel(names, zeros, (1.0,) * len(names), zeros, odds)
