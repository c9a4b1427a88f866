"""What must be shown before a forecast is shown in colour, and why a gate stays shut.

The outlook from rain so far must beat the odds of the month and keep its word; a fitted model must beat the best
baseline, the outlook included, on enough independent events, among all that was tried. Years are drawn, not cases:
the units of a year are one witness. A shut gate is an answer, and says why in a sentence.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import beta, binom, norm

from geodata.schema import ContractError, Status
from models.scores import pairs

EVENT_YEARS = 10
"""Independent events that a model must have been asked about."""

COMPLETE_YEARS = 30
"""Years a model must have been asked about; an outlook with fewer carries a note."""

CAN_HARDLY = 0.05
"""Chance of enough events in a record of this length below which a gate can hardly ever open."""

REASONS: dict[str, str] = {
    "beats": "its Brier skill against {baseline} is {skill:.2f}, and {low:.2f} or more with the years drawn anew",
    "no_better": "its Brier skill against {baseline} is {skill:.2f}, but no better than {low:.2f} is sure",
    "few_years": "only {years} years could be asked, {needed} are needed",
    "short_record": "the record has {years} years, fewer than {needed}: read it with care",
    "few_events": "only {events:.1f} event years could be asked, {needed} are needed",
    "can_hardly_open": (
        "{years} years hold {expected:.1f} such events, and {needed} or more in {chance:.0%} of such records: "
        "choose an event that comes more often"
    ),
    "never_met": "the event never came in {years} years",
    "always_met": "the event came in every case of {years} years",
    "one_probability": "it says the same for every case",
    "not_reliable": "its odds are not true: the slope of what came on what was said is {low:.2f} to {high:.2f}",
    "slope_too_wide": (
        "the slope of what came on what was said is {low:.2f} to {high:.2f}, which is not within {least:g} to {most:g}"
    ),
    "blind": "it cannot tell years with the event from those without: ROC area at least {low:.2f} only",
    "by_chance": "among all that was tried this much may be luck (p = {p:.3f})",
}
"""Why a gate is open or shut: English sentences by code; the catalogues translate by code."""


@dataclass(frozen=True)
class Reason:
    """One reason, as a code with the numbers of its sentence.

    >>> str(Reason("few_years", {"years": 22, "needed": 30}))
    'only 22 years could be asked, 30 are needed'
    """

    code: str
    values: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return REASONS[self.code].format(**self.values)


@dataclass(frozen=True)
class Gate:
    """Answer of a gate.

    Parameters
    ----------
    open : bool
    reasons : why; of an open gate what it has shown, and notes
    numbers : what was found
        ``skill``, ``slope`` and ``auc``, each with ``_low`` and ``_high``; ``p_value``, ``years``, ``event_years``,
        ``years_with_event``, ``base_rate``.
    baseline : str, the one it was judged against
    can_open : bool
        False where a record of this length hardly ever holds enough events.
    """

    open: bool
    reasons: tuple[Reason, ...]
    numbers: dict[str, float]
    baseline: str
    can_open: bool = True

    @property
    def status(self) -> Status:
        """ok, or no_skill: monitoring and the odds of the month still stand."""
        return Status.ok if self.open else Status.no_skill

    @property
    def words(self) -> str:
        """The reasons as one sentence."""
        said = "; ".join(str(r) for r in self.reasons)
        return f"{'Open' if self.open else 'Shut'}: {said}."


# ------------------------------------------------------------------ intervals


def wilson(successes: int, n: int, *, level: float = 0.9) -> tuple[float, float]:
    """Interval of a share by Wilson's score: for hit rates and false-alarm ratios of few warnings.

    >>> [round(v, 4) for v in wilson(1, 10, level=0.95)]
    [0.0179, 0.4042]
    """
    _counts(successes, n)
    if n == 0:
        return 0.0, 1.0
    z2 = float(norm.ppf((1 + level) / 2)) ** 2
    centre = (successes + z2 / 2) / (n + z2)
    half = np.sqrt(z2 * (successes * (n - successes) / n + z2 / 4)) / (n + z2)
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


def exact_binomial(successes: int, n: int, *, level: float = 0.9) -> tuple[float, float]:
    """Interval of a share by Clopper and Pearson: never too narrow.

    >>> [round(v, 4) for v in exact_binomial(1, 10, level=0.95)]
    [0.0025, 0.445]
    """
    _counts(successes, n)
    tail = (1 - level) / 2
    low = float(beta.ppf(tail, successes, n - successes + 1)) if successes else 0.0
    high = float(beta.ppf(1 - tail, successes + 1, n - successes)) if successes < n else 1.0
    return low, high


def chance_of_events(years: int, probability: float, *, needed: int = EVENT_YEARS) -> float:
    """Chance that so many years hold enough events, when each has one with this probability.

    >>> [round(chance_of_events(35, p), 2) for p in (0.1587, 1 / 3)]
    [0.04, 0.78]
    """
    return float(binom.sf(needed - 1, years, probability))


def benjamini_hochberg(p_values: Sequence[float], *, rate: float = 0.1) -> np.ndarray:
    """Which of many tests are discoveries, when at most this share of the discoveries may be luck; NaN is none.

    >>> benjamini_hochberg([0.01, 0.02, 0.03, 0.5]).tolist()
    [True, True, True, False]
    """
    p = np.asarray(p_values, dtype=float)
    ordered = np.sort(np.where(np.isnan(p), np.inf, p))
    passed = np.flatnonzero(ordered <= rate * np.arange(1, len(p) + 1) / max(len(p), 1))
    return np.zeros(len(p), dtype=bool) if not len(passed) else p <= ordered[passed[-1]]


# ------------------------------------------------------------------ drawing years


@dataclass(frozen=True)
class YearSums:
    """What each year adds to the scores, so that a drawn record is a weighted sum of years.

    Parameters
    ----------
    table : array (year, sum): cases, p, o, p^2, p o, squared error, squared error of the baseline
    wins : array (year, year): pairs of an event of the one and a quiet case of the other in which the event was
        given more; ties half
    """

    table: np.ndarray
    wins: np.ndarray

    @classmethod
    def of(cls, year: np.ndarray, p: np.ndarray, o: np.ndarray, baseline: np.ndarray) -> YearSums:
        """Sums of cases by their year."""
        years, which = np.unique(year, return_inverse=True)
        columns = (np.ones(len(p)), p, o, p * p, p * o, (p - o) ** 2, (baseline - o) ** 2)
        table = np.column_stack([np.bincount(which, c, minlength=len(years)) for c in columns])
        quiet = [np.sort(p[(which == y) & (o == 0)]) for y in range(len(years))]
        at = np.flatnonzero(o == 1)
        wins = np.zeros((len(years), len(years)))
        for y, among in enumerate(quiet):
            below, upto = (np.searchsorted(among, p[at], side=s) for s in ("left", "right"))
            wins[:, y] = np.bincount(which[at], (below + upto) / 2.0, minlength=len(years))
        return cls(table, wins)

    def scores(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Brier skill, slope and ROC area of records (draw, how often each year)."""
        n, p, o, pp, po, own, reference = (weights @ self.table).T
        with np.errstate(invalid="ignore", divide="ignore"):
            spread = pp - p * p / n
            slope = np.where(spread > 1e-9 * n, (po - p * o / n) / spread, np.nan)
            auc = np.einsum("dy,yz,dz->d", weights, self.wins, weights) / (o * (n - o))
            skill = 1.0 - own / reference
        return {"skill": skill, "slope": slope, "auc": auc}


def year_block_bootstrap(n_years: int, *, draws: int = 2000, block_years: int = 1, seed: int = 0) -> np.ndarray:
    """How often each year stands in each drawn record.

    Parameters
    ----------
    n_years : int
    draws : int
    block_years : int
        Years that are drawn together, in a circle; 1 where a year tells nothing of the next.
    seed : int

    Returns
    -------
    array (draw, year), each row summing to the number of years
    """
    if n_years < 1 or block_years < 1 or draws < 1:
        raise ContractError(f"bootstrap: {n_years} years in blocks of {block_years}, {draws} draws; expected some")
    rng = np.random.default_rng(seed)
    starts = rng.integers(0, n_years, (draws, -(-n_years // block_years)))
    drawn = ((starts[..., None] + np.arange(block_years)) % n_years).reshape(draws, -1)[:, :n_years]
    rows = np.arange(draws)[:, None] * n_years
    return np.bincount((rows + drawn).ravel(), minlength=draws * n_years).reshape(draws, n_years).astype(float)


# ------------------------------------------------------------------ the two gates


def outlook_gate(
    cases: pd.DataFrame,
    *,
    forecast: str = "outlook",
    baseline: str = "climatology",
    level: float = 0.9,
    draws: int = 2000,
    block_years: int = 1,
    min_years: int = 20,
    seed: int = 0,
) -> Gate:
    """Whether the outlook from rain so far may be shown in colour, for one region, season and lead.

    Parameters
    ----------
    cases : DataFrame, one row for each unit and year, all out of fold
        ``year``, ``event`` (0 or 1) and the probabilities named below; rows with a NaN are left out.
    forecast, baseline : columns
    level : float
        Of the intervals, both sides together: the lower bound of 0.9 is passed by 95 of 100 drawn records.
    draws, block_years, seed : as of `year_block_bootstrap`
    min_years : int
        Years without which it stays shut; below COMPLETE_YEARS it carries a note.

    Returns
    -------
    Gate; its numbers (1)

    Formula
    -------
    open if the lower bound of 1 - Brier / Brier of climatology is above 0, and the interval of the slope holds 1
    slope = sum (p - mean p) o / sum (p - mean p)^2, over the cases; years are drawn, with all their units

    Limits
    ------
    * Late in a season it opens by arithmetic: most of the rain has fallen. That is what it is for.
    * It tells of the years it was asked about; a changed climate was not among them.

    References
    ----------
    Kuensch 1989 (blocks); Weisheimer and Palmer 2014 (slope as reliability).
    """
    year, p, o, reference = _told(cases, forecast, baseline)
    numbers, drawn = _numbers(year, p, o, reference, level, draws, block_years, seed)
    shut = _no_answer(numbers, o, p, min_years)
    if not shut:
        shut += _skill_reasons(numbers, baseline, shut_only=True) + _slope_reasons(numbers, drawn, None)
    notes = () if numbers["years"] >= COMPLETE_YEARS else (_short(numbers),)
    reasons = tuple(shut) or (*_skill_reasons(numbers, baseline), *notes)
    return Gate(not shut, reasons, numbers, baseline)


def model_gate(
    cases: pd.DataFrame,
    *,
    forecast: str = "model",
    baselines: Sequence[str] = ("climatology", "persistence", "outlook"),
    level: float = 0.9,
    draws: int = 2000,
    block_years: int = 1,
    min_years: int = COMPLETE_YEARS,
    event_years: int = EVENT_YEARS,
    slopes: tuple[float, float] = (0.5, 2.0),
    seed: int = 0,
) -> Gate:
    """Whether a fitted model may be shown, for one region, season and lead; luck among many is left to `model_gates`.

    Parameters
    ----------
    cases : DataFrame as of `outlook_gate`, with a column for each baseline
        The best baseline is the one with the lowest Brier score on the same cases.
    forecast : str, column
    baselines : columns
    level, draws, block_years, seed : as of `outlook_gate`
    min_years : int
        Years it must have been asked about.
    event_years : int
        Event years it must have been asked about: each year counts with the share of its cases that were events, so
        that fifty units in one drought are one event.
    slopes : (least, most), within which the interval of the slope must lie

    Returns
    -------
    Gate; its numbers (1)

    Formula
    -------
    open if the lower bounds of 1 - Brier / Brier of the best baseline and of the ROC area are above 0 and 0.5, and the
    interval of the slope holds 1 and lies within the limits, and years and event years suffice
    event years = sum over the years of the share of their cases that were events

    Limits
    ------
    * A model with the skill of shared months alone stays shut, whatever it shows against the odds of the month.
    * 35 years hold 5.6 events of an SPI of at most -1: ten or more in 4 of 100 such records. Of the lower third, 12.
    * What was tried and thrown away counts too: name every region, season and lead that was asked.

    References
    ----------
    Kuensch 1989; Weisheimer and Palmer 2014; Benjamini and Hochberg 1995.
    """
    if not baselines:
        raise ContractError("model gate: no baseline, expected at least one")
    year, p, o, *others = _told(cases, forecast, *baselines)
    lost = [float(np.sum((b - o) ** 2)) for b in others]
    best = int(np.argmin(lost)) if len(o) else 0
    baseline = baselines[best]
    numbers, drawn = _numbers(year, p, o, others[best], level, draws, block_years, seed)
    shut = _no_answer(numbers, o, p, min_years)
    chance = chance_of_events(int(numbers["years"]), numbers["base_rate"], needed=event_years) if len(o) else 0.0
    can_open = chance >= CAN_HARDLY and numbers["years"] >= min_years
    if len(o) and numbers["event_years"] < event_years:
        shut.append(Reason("few_events", {"events": numbers["event_years"], "needed": event_years}))
    if len(o) and chance < CAN_HARDLY:
        told = {"years": int(numbers["years"]), "expected": numbers["event_years"], "needed": event_years}
        shut.append(Reason("can_hardly_open", told | {"chance": chance}))
    if np.isfinite(numbers["skill"]):
        shut += _skill_reasons(numbers, baseline, shut_only=True) + _slope_reasons(numbers, drawn, slopes)
        if not numbers["auc_low"] > 0.5:
            shut.append(Reason("blind", {"low": numbers["auc_low"]}))
    reasons = tuple(shut) or tuple(_skill_reasons(numbers, baseline))
    return Gate(not shut, reasons, numbers, baseline, can_open)


def model_gates(tables: Mapping[Hashable, pd.DataFrame], *, rate: float = 0.1, **options: Any) -> dict[Hashable, Gate]:
    """Gates of all regions, seasons and leads that were tried; what may be luck among so many is shut again.

    Parameters
    ----------
    tables : cases as of `model_gate`, by region, season and lead
    rate : float
        Share of luck among the discoveries that is borne (Benjamini and Hochberg).
    options : as of `model_gate`
    """
    gates = {key: model_gate(cases, **options) for key, cases in tables.items()}
    found = benjamini_hochberg([g.numbers["p_value"] for g in gates.values()], rate=rate)
    return {
        key: gate
        if discovery or not gate.open
        else replace(gate, open=False, reasons=(Reason("by_chance", {"p": gate.numbers["p_value"]}),))
        for (key, gate), discovery in zip(gates.items(), found, strict=True)
    }


# ------------------------------------------------------------------ beneath


def _counts(successes: int, n: int) -> None:
    if not 0 <= successes <= n:
        raise ContractError(f"interval: {successes} of {n}, expected 0 to {n}")


def _told(cases: pd.DataFrame, *columns: str) -> tuple[np.ndarray, ...]:
    """Year, forecast, event and baselines of the rows in which all are known."""
    if absent := [c for c in ("year", "event", *columns) if c not in cases]:
        raise ContractError(f"gate: no columns {absent}")
    forecast, *baselines = columns
    known = cases[["year", "event", *columns]].notna().all(axis=1).to_numpy()
    p, o, *others = pairs(*(cases.loc[known, c].to_numpy(dtype=float) for c in (forecast, "event", *baselines)))
    return cases.loc[known, "year"].to_numpy(dtype=int), p, o, *others


def _numbers(
    year: np.ndarray,
    p: np.ndarray,
    o: np.ndarray,
    baseline: np.ndarray,
    level: float,
    draws: int,
    block_years: int,
    seed: int,
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Scores of the record with their intervals, and the scores of the drawn records."""
    out: dict[str, float] = {"years": len(np.unique(year)), "base_rate": float(o.mean()) if len(o) else np.nan}
    by_year = pd.Series(o).groupby(year).mean()
    out |= {"event_years": float(by_year.sum()), "years_with_event": int((by_year > 0).sum())}
    names = ("skill", "slope", "auc")
    if not len(o):
        empty = {f"{n}{end}": np.nan for n in names for end in ("", "_low", "_high")}
        return out | empty | {"p_value": np.nan}, {n: np.array([]) for n in names}
    sums = YearSums.of(year, p, o, baseline)
    own = sums.scores(np.ones((1, len(sums.table))))
    drawn = sums.scores(year_block_bootstrap(len(sums.table), draws=draws, block_years=block_years, seed=seed))
    for name in names:
        values = drawn[name][np.isfinite(drawn[name])]
        low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2]) if len(values) else (np.nan, np.nan)
        value = own[name][0]
        out |= {
            name: float(value) if np.isfinite(value) else np.nan,
            f"{name}_low": float(low),
            f"{name}_high": float(high),
        }
    worse = int((~(drawn["skill"] > 0)).sum())
    return out | {"p_value": (1 + worse) / (1 + draws)}, drawn


def _no_answer(numbers: Mapping[str, float], o: np.ndarray, p: np.ndarray, min_years: int) -> list[Reason]:
    """Why nothing can be said at all."""
    years = int(numbers["years"])
    found = []
    if years < min_years:
        found.append(Reason("few_years", {"years": years, "needed": min_years}))
    if len(o) and not o.any():
        found.append(Reason("never_met", {"years": years}))
    if len(o) and o.all():
        found.append(Reason("always_met", {"years": years}))
    if len(p) and np.ptp(p) < 1e-12:
        found.append(Reason("one_probability"))
    return found


def _skill_reasons(numbers: Mapping[str, float], baseline: str, *, shut_only: bool = False) -> list[Reason]:
    better = numbers["skill_low"] > 0
    if better and shut_only:
        return []
    told = {"baseline": baseline, "skill": numbers["skill"], "low": numbers["skill_low"]}
    return [Reason("beats" if better else "no_better", told)]


def _slope_reasons(
    numbers: Mapping[str, float], drawn: Mapping[str, np.ndarray], limits: tuple[float, float] | None
) -> list[Reason]:
    if not np.isfinite(drawn["slope"]).any():
        return []  # one probability, which is said elsewhere
    low, high = numbers["slope_low"], numbers["slope_high"]
    if not low - 1e-9 <= 1.0 <= high + 1e-9:
        return [Reason("not_reliable", {"low": low, "high": high})]
    if limits is not None and not (limits[0] <= low and high <= limits[1]):
        return [Reason("slope_too_wide", {"low": low, "high": high, "least": limits[0], "most": limits[1]})]
    return []


def _short(numbers: Mapping[str, float]) -> Reason:
    return Reason("short_record", {"years": int(numbers["years"]), "needed": COMPLETE_YEARS})
