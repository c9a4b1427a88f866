"""How sure the risk of each unit is: its range, the probability of each tier, and a word for committees.

Every choice that could fairly have been another one is drawn many times: the weights of each level,
the normalisation of the scores, the mean of each level, and the error of each indicator. Errors are
common to all units of a draw: an index that runs dry runs dry everywhere. Units with the same inputs
are computed once, in an order that hangs on the inputs alone; so identical units have identical
ranges, tiers and words by construction, in any order of the units.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from zlib import crc32

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from geodata.schema import ContractError
from models.composite import Level, Mean, back, evaluate, into, leaves, levels, name_of
from models.scoring import SPI_BREAKPOINTS
from models.weak_risk import BASES, MAY_LACK, MIDDLE, MIN_UNITS, RANGE, lacking_dimension

TIERS = ("E", "D", "C", "B", "A")
"""By fifths of the rank share; A is the highest risk."""

SURE, FAIRLY_SURE = 0.9, 2.0 / 3.0
"""Probability of the printed tier from which it is called so: "very likely" and "likely" of the IPCC."""

WORDS = ("sure", "fairly sure", "unsure")
NORMALISATIONS = ("min_max", "rank", "z")
OTHER_MEANS: Mapping[str, Mean] = {
    "risk": "arithmetic",
    "hazard": "arithmetic",
    "vulnerability": "scaled_geometric",
    "lack_of_coping": "scaled_geometric",
}
"""The mean that a level could fairly have had instead of the declared one (METHODS.md 6.3). Of indicators it is the
inverted geometric one: by the plain one a single indicator of 0 would be no risk at all."""

TIER_COLUMNS = tuple(f"tier_{t.lower()}_probability" for t in reversed(TIERS))
_STEPS = 100  # of a score point, between which a rank is a straight line
_LARGE = 100_000_000  # scores drawn, from which 32 bits will do
_BLOCK = 500_000  # scores of one part at a time: what a processor keeps at hand


@dataclass(frozen=True)
class HazardError:
    """Error of a hazard, common to all units of a draw.

    Parameters
    ----------
    sd : float
        Standard deviation, in units of the index if ``breakpoints`` are given, else in score points.
        Sampling error of an SPI of 30 years near -1: 0.24.
    breakpoints : pairs (index, score), optional
        How the hazard was scored, so that the index can be moved and scored again.
    """

    sd: float
    breakpoints: Sequence[tuple[float, float]] | None = None


SPI_ERROR = HazardError(0.24, SPI_BREAKPOINTS)


@dataclass(frozen=True)
class Draws:
    """What is drawn, and how often.

    Parameters
    ----------
    draws : int
    seed : int
    concentration : float, of the Dirichlet distribution of each level's weights, per part; the mean is the declared one
    normalisations : share of the draws that score each part between its fixed bounds (``min_max``), by its rank in
        the country (``rank``), or by its distance from the country's mean (``z``)
    other_means : level -> mean that half of the draws take instead of the declared one
    """

    draws: int = 2000
    seed: int = 20240601
    concentration: float = 10.0
    normalisations: Mapping[str, float] = field(default_factory=lambda: {"min_max": 0.5, "rank": 0.25, "z": 0.25})
    other_means: Mapping[str, Mean] = field(default_factory=lambda: dict(OTHER_MEANS))

    def __post_init__(self) -> None:
        shares = self.normalisations
        if self.draws < 100:
            raise ContractError(f"draws: {self.draws}, expected 100 or more")
        if self.concentration <= 0:
            raise ContractError(f"concentration: {self.concentration}, expected above 0")
        if not set(shares) <= set(NORMALISATIONS) or min(shares.values()) < 0 or abs(sum(shares.values()) - 1) > 1e-6:
            raise ContractError(f"normalisations: {dict(shares)}, expected shares of {NORMALISATIONS} that sum to 1")


def risk_confidence(
    scores: pd.DataFrame,
    tree: Level,
    *,
    errors: Mapping[str, HazardError] | None = None,
    indices: pd.DataFrame | None = None,
    index_sds: pd.DataFrame | None = None,
    halfwidths: pd.DataFrame | None = None,
    options: Draws | None = None,
    may_lack: Sequence[str] = MAY_LACK,
) -> pd.DataFrame:
    """Range, tier, probability of each tier and word of confidence of every unit.

    Parameters
    ----------
    scores : DataFrame, index pcode, a column per score of the tree, 0-10, NaN where not known
    tree : Level
    errors : score name -> HazardError; a score that is not named has none
    indices : DataFrame, index pcode, a column of index values per score whose error has breakpoints
    index_sds : DataFrame, index pcode, standard deviation of the index where it is known unit by unit
        (`models.spi_doubt.spi_sampling_sd`); where NaN that of ``errors`` stands
    halfwidths : DataFrame, index pcode, score points by which protection may have moved a score
    options : Draws
    may_lack : dimensions whose absence leaves a range (`models.weak_risk`)

    Returns
    -------
    DataFrame, index pcode
        ``risk_low``, ``risk_high`` (0-10; NaN where nothing is said); ``risk_tier`` A (highest) to E, "" where none;
        ``tier_a_probability`` to ``tier_e_probability`` (1, sum 1; NaN where there is no score);
        ``confidence`` one of WORDS, "" where there is no tier; ``risk_basis`` one of ``models.weak_risk.BASES``.

    Formula
    -------
    range = 5th to 95th percentile of the draws on the fixed bounds, widened to hold the risk itself
    tier of a draw = fifth of (rank - 1/2) / n among the units with a score, ties sharing the middle of their ranks
    tier = the highest that is reached or passed in half of the draws or more
    word = sure if P(tier) >= 0.9, fairly sure if >= 2/3, else unsure
    a unit that lacks a dimension: both ends of what it may be (10th and 90th percentile of the dimension in the
    draw); a tier only if both ends have the same, and never surer than fairly sure

    Limits
    ------
    * Ranks and distances from the mean have no place on the fixed scale: they move tiers, not the range.
    * Errors of all units go together, so that a tier says nothing of an error that strikes one place alone.
    * What no indicator measures is in no draw: sure means robust to these choices, not true.

    References
    ----------
    OECD/JRC Handbook on Constructing Composite Indicators (2008), uncertainty analysis; Saisana, Saltelli and
    Tarantola 2005. Words: IPCC guidance note on uncertainties (Mastrandrea et al. 2010).
    """
    case = _Case.of(scores, tree, errors or {}, indices, index_sds, halfwidths, options or Draws(), may_lack)
    if not case.known.any():
        return _nothing(scores.index)
    return case.widened(_simulate(case)).set_axis(scores.index)


def words_of(probability: np.ndarray, *, weak: np.ndarray | bool = False) -> np.ndarray:
    """Word of confidence for the probability of the printed tier; "" where there is none.

    >>> words_of(np.array([0.95, 0.7, 0.5, np.nan])).tolist()
    ['sure', 'fairly sure', 'unsure', '']
    """
    level = np.select([probability >= SURE, probability >= FAIRLY_SURE], [0, 1], 2)
    level = np.where(weak, np.maximum(level, 1), level)
    return np.where(np.isnan(probability), "", np.array(WORDS)[level])


def tier_of(probabilities: np.ndarray) -> np.ndarray:
    """Place in TIERS of the highest tier that is reached or passed in half of the draws or more.

    Parameters
    ----------
    probabilities : array (tier, unit), E first

    >>> tier_of(np.array([[0.0, 0.5], [0.1, 0.0], [0.3, 0.0], [0.2, 0.0], [0.4, 0.5]])).tolist()
    [3, 4]
    """
    at_least = np.cumsum(probabilities[::-1], axis=0)[::-1]
    return (at_least >= 0.5 - 1e-9).sum(axis=0) - 1


# ------------------------------------------------------------------ what is drawn


@dataclass
class _Part:
    """One score of the distinct units, its error, and how else it may be normalised."""

    score: np.ndarray
    error: HazardError
    index: np.ndarray | None
    sd: np.ndarray | float
    halfwidth: np.ndarray | None
    ranks: np.ndarray  # of each hundredth of a score point, in 0-10
    mean: float
    spread: float

    def drawn(self, normal: np.ndarray, uniform: np.ndarray) -> np.ndarray:
        """Scores (draw, unit) with the error of each draw."""
        if self.index is not None and self.error.breakpoints is not None:
            xs, ys = (np.array(side, dtype=float) for side in zip(*sorted(self.error.breakpoints), strict=True))
            return np.interp(self.index + normal[:, None] * self.sd, xs, ys).astype(self.score.dtype)
        moved = self.score
        if np.any(self.sd):
            moved = moved + normal[:, None] * self.sd
        if self.halfwidth is not None:
            moved = moved + uniform[:, None] * self.halfwidth
        if moved is self.score:
            return np.broadcast_to(moved, (len(normal), len(moved)))
        return np.clip(moved, 0.0, 10.0, out=moved)

    def normalised(self, score: np.ndarray, way: str) -> np.ndarray:
        """The same scores by their rank in the country, or their distance from its mean: 3 sd are 5 points."""
        if way == "min_max":
            return score
        if way == "rank":
            return _looked_up(score, self.ranks)
        away = (score - self.mean) / self.spread if self.spread > 1e-9 else np.zeros_like(score)
        return np.clip(5.0 + away * (5.0 / 3.0), 0.0, 10.0).astype(score.dtype)


@dataclass
class _Case:
    """The distinct units in an order of their inputs alone, and everything that is drawn for them."""

    tree: Level
    options: Draws
    parts: dict[str, _Part]
    risk: np.ndarray  # of the distinct units, NaN where none
    seen: dict[str, np.ndarray]  # of every score and level
    lacking: np.ndarray  # place of the dimension a unit lacks, -1
    times: np.ndarray  # how many units each distinct one stands for
    back_to_units: np.ndarray
    weights: dict[str, np.ndarray]
    other: dict[str, np.ndarray]  # level -> draws that take the other mean
    normal: dict[str, np.ndarray]
    uniform: dict[str, np.ndarray]

    @property
    def known(self) -> np.ndarray:
        return np.isfinite(self.risk)

    @property
    def weak(self) -> np.ndarray:
        return self.lacking >= 0

    @classmethod
    def of(
        cls,
        scores: pd.DataFrame,
        tree: Level,
        errors: Mapping[str, HazardError],
        indices: pd.DataFrame | None,
        index_sds: pd.DataFrame | None,
        halfwidths: pd.DataFrame | None,
        options: Draws,
        may_lack: Sequence[str],
    ) -> _Case:
        names = leaves(tree)
        _check(scores, names, errors, indices)
        tables = {
            "score": scores[names],
            "index": _columns(indices, names, scores.index),
            "sd": _columns(index_sds, names, scores.index),
            "halfwidth": _columns(halfwidths, names, scores.index),
        }
        # NaN is no number that can be compared: -1 stands for it while equal rows are sought, with its own mark.
        rows = np.hstack([t.to_numpy(dtype=float) for t in tables.values()])
        keys = np.hstack([np.where(np.isnan(rows), -1.0, rows), np.isnan(rows)])
        _, first, inverse, times = np.unique(keys, axis=0, return_index=True, return_inverse=True, return_counts=True)
        own = {kind: table.iloc[first] for kind, table in tables.items()}
        values = {n: own["score"][n].to_numpy(dtype=float) for n in names}
        at = evaluate(tree, values) | values
        risk = at[tree.name]
        dims = [np.repeat(at[name_of(p)], times) for p in tree.parts]
        lacking = lacking_dimension(dims, [name_of(p) for p in tree.parts], np.repeat(risk, times), may_lack, MIN_UNITS)
        known = np.isfinite(risk)
        dtype = np.float32 if rows.shape[0] * len(names) * options.draws > _LARGE else np.float64
        parts = {
            n: _part({k: t[n].to_numpy(dtype=float) for k, t in own.items()}, errors.get(n), known, times, dtype)
            for n in names
        }
        return cls(
            tree=tree,
            options=options,
            parts=parts,
            risk=risk,
            seen={name: np.isfinite(value) for name, value in at.items()},
            lacking=lacking[np.cumsum(times) - 1],
            times=times,
            back_to_units=inverse.ravel(),
            weights={level.name: _weights(level, options).astype(dtype) for level in levels(tree)},
            other={
                level.name: _stream(options, f"mean {level.name}").random(options.draws) < 0.5 for level in levels(tree)
            },
            normal={n: _stream(options, f"error {n}").standard_normal(options.draws).astype(dtype) for n in names},
            uniform={n: _stream(options, f"width {n}").uniform(-1, 1, options.draws).astype(dtype) for n in names},
        )

    def blocks(self) -> Iterator[tuple[slice, str]]:
        """Draws in blocks that share a normalisation."""
        size = max(1, _BLOCK // len(self.risk))
        start, share = 0, 0.0
        for way in NORMALISATIONS:
            share += self.options.normalisations.get(way, 0.0)
            stop = round(share * self.options.draws)
            yield from ((slice(i, min(i + size, stop)), way) for i in range(start, stop, size))
            start = stop

    def dimensions(self, rows: slice, way: str) -> list[np.ndarray]:
        """Each dimension (draw, unit) of some draws."""
        return [self._part(part, rows, way) for part in self.tree.parts]

    def _part(self, part: Level | str, rows: slice, way: str) -> np.ndarray:
        if isinstance(part, str):
            own = self.parts[part]
            return own.normalised(own.drawn(self.normal[part][rows], self.uniform[part][rows]), way)
        inner = (self._part(p, rows, way) for p in part.parts)
        return self.mean(part, inner, rows, [self.seen[name_of(p)] for p in part.parts])

    def mean(self, level: Level, parts: Iterable[np.ndarray], rows: slice, seen: Sequence[np.ndarray]) -> np.ndarray:
        """Mean of a level (draw, unit) by the weights and the mean of each draw."""
        other = self.other[level.name][rows]
        kinds: list[tuple[Mean, np.ndarray | slice]] = [(level.mean, slice(None))]
        if (second := self.options.other_means.get(level.name, level.mean)) != level.mean:
            kinds = [(level.mean, np.flatnonzero(~other)), (second, np.flatnonzero(other))]
        weights = self.weights[level.name][rows]
        total = np.zeros((len(other), len(seen[0])), dtype=weights.dtype)
        known = np.zeros_like(total)
        for j, (part, there) in enumerate(zip(parts, seen, strict=True)):
            if level.weights[j] == 0:
                continue
            weight = weights[:, [j]]
            known += weight * there
            for kind, chosen in kinds:
                term = weight[chosen] * into(part[chosen], kind)
                total[chosen] += term if there.all() else np.where(there, term, 0.0)
        total /= np.maximum(known, np.finfo(known.dtype).tiny)
        for kind, chosen in kinds:
            total[chosen] = back(total[chosen], kind)
        return total

    def ends(self, dims: list[np.ndarray], rows: slice) -> np.ndarray:
        """Lowest and highest risk (end, draw, weak unit) of the units that lack a dimension."""
        weak = np.flatnonzero(self.weak)
        out = np.empty((2, len(dims[0]), len(weak)))
        if not len(weak):
            return out
        lacking = self.lacking[weak]
        filled = [[d[:, weak].copy() for d in dims] for _ in MIDDLE]
        for number in set(lacking):
            have = np.flatnonzero(self.seen[name_of(self.tree.parts[number])])
            expanded = np.repeat(dims[number][:, have], self.times[have], axis=1)
            for end, at in zip(filled, np.quantile(expanded, MIDDLE, axis=1), strict=True):
                end[number][:, lacking == number] = at[:, None]
        everything = [np.ones(len(weak), dtype=bool)] * len(dims)
        for place, end in enumerate(filled):
            out[place] = self.mean(self.tree, end, rows, everything)
        return out

    def widened(self, found: _Found) -> pd.DataFrame:
        """The table of all units."""
        out = pd.DataFrame({"risk_low": np.full(len(self.risk), np.nan), "risk_high": np.nan})
        known, weak = self.known, self.weak
        out.loc[known, "risk_low"] = np.minimum(found.low, self.risk[known])
        out.loc[known, "risk_high"] = np.maximum(found.high, self.risk[known])
        out.loc[weak, "risk_low"], out.loc[weak, "risk_high"] = found.weak_low, found.weak_high
        tier = np.full(len(self.risk), -1)
        sureness = np.full(len(self.risk), np.nan)
        tier[known] = tier_of(found.tiers)
        sureness[known] = np.take_along_axis(found.tiers, tier[known][None], axis=0)[0]
        lower, upper = (tier_of(t) for t in found.weak_tiers)
        tier[weak] = np.where(lower == upper, lower, -1)
        least = np.minimum(*(np.take_along_axis(t, lower[None], axis=0)[0] for t in found.weak_tiers))
        sureness[weak] = np.where(lower == upper, least, np.nan)
        out["risk_tier"] = np.array([*TIERS, ""])[tier]
        for column, probability in zip(TIER_COLUMNS, found.tiers[::-1], strict=True):
            out.loc[known, column] = probability
        out["confidence"] = words_of(sureness, weak=weak)
        out["risk_basis"] = np.array(BASES)[np.where(weak, RANGE, known.astype(int))]
        return out.iloc[self.back_to_units].reset_index(drop=True)


@dataclass
class _Found:
    """What the draws say of the distinct units with a score, and of those that lack a dimension."""

    low: np.ndarray
    high: np.ndarray
    tiers: np.ndarray  # (tier, unit)
    weak_low: np.ndarray
    weak_high: np.ndarray
    weak_tiers: np.ndarray  # (end, tier, unit)


def _simulate(case: _Case) -> _Found:
    """All draws, a block at a time: ranks of a block need its own draws alone."""
    known, n_weak = np.flatnonzero(case.known), int(case.weak.sum())
    times = case.times[known]
    dtype = case.weights[case.tree.name].dtype
    decimals = 9 if dtype == np.float64 else 4
    risks = np.empty((case.options.draws, len(known)), dtype=dtype)
    ends = np.empty((2, case.options.draws, n_weak), dtype=dtype)
    tiers, weak_tiers = np.zeros((len(TIERS), len(known))), np.zeros((2, len(TIERS), n_weak))
    seen = [case.seen[name_of(p)][known] for p in case.tree.parts]
    for rows, way in case.blocks():
        for scale in dict.fromkeys(("min_max", way)):
            dims = case.dimensions(rows, scale)
            drawn = case.mean(case.tree, (d[:, known] for d in dims), rows, seen)
            outer = case.ends(dims, rows)
            if scale == "min_max":
                risks[rows], ends[:, rows] = drawn, outer
        drawn, outer = np.round(drawn, decimals), np.round(outer, decimals)
        _count(tiers, _shares(drawn, times))
        for end in range(2) if n_weak else ():
            _count(weak_tiers[end], _shares_among(outer[end], drawn, times))
    low, high = np.quantile(risks, [0.05, 0.95], axis=0)
    weak_low, weak_high = np.quantile(ends[0], 0.05, axis=0), np.quantile(ends[1], 0.95, axis=0)
    return _Found(low, high, tiers / len(risks), weak_low, weak_high, weak_tiers / len(risks))


def _shares(drawn: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Rank share (draw, distinct unit) among all units, equal ones sharing the middle of their ranks."""
    expanded = np.repeat(drawn, times, axis=1)
    first = np.cumsum(times) - times
    return ((rankdata(expanded, axis=1) - 0.5) / expanded.shape[1])[:, first]


def _shares_among(outer: np.ndarray, drawn: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Rank share (draw, unit) that units which are not counted would have among those that are."""
    out = np.empty(outer.shape)
    for i, (values, among) in enumerate(zip(outer, np.sort(np.repeat(drawn, times, axis=1), axis=1), strict=True)):
        out[i] = (np.searchsorted(among, values) + np.searchsorted(among, values, side="right")) / (2.0 * len(among))
    return out


def _count(tiers: np.ndarray, shares: np.ndarray) -> None:
    """Add the draws in which each unit falls in each fifth."""
    fifth = np.minimum((shares * len(TIERS) + 1e-9).astype(int), len(TIERS) - 1)
    for tier in range(len(TIERS)):
        tiers[tier] += (fifth == tier).sum(axis=0)


def _part(
    own: Mapping[str, np.ndarray], error: HazardError | None, known: np.ndarray, times: np.ndarray, dtype: type
) -> _Part:
    """A score of the distinct units; what is not known is a number that its mark leaves out of every mean."""
    error = error or HazardError(0.0)
    score, seen = own["score"], np.isfinite(own["score"])
    country = np.repeat(score[known & seen], times[known & seen])
    scored_again = error.breakpoints is not None
    sd = np.where(np.isfinite(own["sd"]), own["sd"], error.sd) if scored_again else error.sd
    width = None if np.isnan(own["halfwidth"]).all() else np.nan_to_num(own["halfwidth"]).astype(dtype)
    return _Part(
        score=np.where(seen, score, 5.0).astype(dtype),
        error=error,
        index=np.nan_to_num(own["index"]) if scored_again else None,
        sd=np.asarray(sd, dtype=dtype),
        halfwidth=width,
        ranks=_ranks(country).astype(dtype),
        mean=float(country.mean()) if len(country) else 5.0,
        spread=float(country.std()) if len(country) else 0.0,
    )


def _ranks(country: np.ndarray) -> np.ndarray:
    """Share of the units below each hundredth of a score point and half of those at it, in 0-10; 5 if all are alike."""
    values = np.unique(country)
    if len(values) < 2:
        return np.full(10 * _STEPS + 2, 5.0)
    below, upto = (np.searchsorted(np.sort(country), values, side=s) for s in ("left", "right"))
    share = (below + upto) / (2.0 * len(country)) * 10.0
    return np.interp(np.arange(10 * _STEPS + 2) / _STEPS, values, share)


def _looked_up(score: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Values of a table at each hundredth of a score point, straight lines between, without a search."""
    at = score * table.dtype.type(_STEPS)
    node = at.astype(np.int32)
    at -= node
    return table[node] + at * (table[1:] - table[:-1])[node]


def _weights(level: Level, options: Draws) -> np.ndarray:
    """Weights (draw, part) around the declared ones; a part without weight stays without."""
    declared = np.array(level.weights)
    out = np.zeros((options.draws, len(declared)))
    some = declared > 0
    alpha = options.concentration * some.sum() * declared[some] / declared[some].sum()
    drawn = _stream(options, f"weights {level.name}").dirichlet(alpha, size=options.draws)
    out[:, some] = np.maximum(drawn, 1e-12)  # 0 times the logarithm of 0 is no number
    return out


def _stream(options: Draws, name: str) -> np.random.Generator:
    """Random numbers of one thing that is drawn: another hazard more changes those of no other."""
    return np.random.default_rng([options.seed, crc32(name.encode())])


def _columns(table: pd.DataFrame | None, names: Sequence[str], index: pd.Index) -> pd.DataFrame:
    """The table with these columns and units, NaN where it says nothing."""
    return (
        pd.DataFrame(index=index, columns=list(names), dtype=float)
        if table is None
        else table.reindex(index=index, columns=list(names))
    )


def _check(
    scores: pd.DataFrame, names: Sequence[str], errors: Mapping[str, HazardError], indices: pd.DataFrame | None
) -> None:
    wrong = []
    if absent := [n for n in names if n not in scores]:
        wrong.append(f"no scores {absent}")
    if not scores.index.is_unique:
        wrong.append("units that stand twice, expected unique p-codes")
    given = [n for n in names if n in scores]
    wrong += [f"{n} outside 0-10" for n in given if not scores[n].dropna().between(0.0, 10.0).all()]
    behind = [n for n in names if (e := errors.get(n)) and e.breakpoints is not None]
    for name in behind:
        if indices is None or name not in indices:
            wrong.append(f"no index of {name}, whose error is in units of the index")
        elif name in scores and (scores[name].notna() & indices[name].reindex(scores.index).isna()).any():
            wrong.append(f"{name} is scored in units without an index")
    if wrong:
        raise ContractError("risk_confidence: " + "; ".join(wrong))


def _nothing(index: pd.Index) -> pd.DataFrame:
    """The table where no unit has a risk."""
    numbers = dict.fromkeys(("risk_low", "risk_high", *TIER_COLUMNS), np.nan)
    return pd.DataFrame({**numbers, "risk_tier": "", "confidence": "", "risk_basis": BASES[0]}, index=index)[
        ["risk_low", "risk_high", "risk_tier", *TIER_COLUMNS, "confidence", "risk_basis"]
    ]
