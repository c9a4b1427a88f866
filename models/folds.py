"""Which cases teach and which ask, so that nothing asked was ever taught.

Years are kept whole: all units of a year, and all its months, lie on one side. Around the years that ask lies an
embargo, and what may be fitted is fitted on the months that `Fold.visible` shows. `check_available` and `find_leaks`
catch what looks into the future all the same: the one by the stamps of the predictors, the other by changing what must
not matter and looking whether it does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from geodata.schema import ContractError

YEAR_STARTS = 10
"""First month of the year that is kept whole: the hydrological year, named after the year in which it ends."""


@dataclass(frozen=True)
class Fold:
    """Cases that ask and cases that teach.

    Parameters
    ----------
    test, training : bool arrays, one value for each case
    asked : (first month, last month), both included
        Months of the windows of the cases that ask: no case that teaches may touch them.
    hidden : (first month, last month), both included
        Months that nothing may be fitted on: those asked and the embargo on both sides.
    past_only : bool
        Then all that comes later is hidden too.
    """

    test: np.ndarray
    training: np.ndarray
    asked: tuple[pd.Timestamp, pd.Timestamp]
    hidden: tuple[pd.Timestamp, pd.Timestamp]
    past_only: bool = False

    def touched(self, months: pd.DatetimeIndex) -> np.ndarray:
        """Which of these months no case that teaches may know of."""
        first, last = self.asked
        return np.asarray(months >= first) & (self.past_only | np.asarray(months <= last))

    def visible(self, months: pd.DatetimeIndex) -> np.ndarray:
        """Which of these months may be fitted on."""
        first, last = self.hidden
        before = np.asarray(months < first)
        return before if self.past_only else before | np.asarray(months > last)

    def hide(self, values: xr.DataArray | xr.Dataset) -> xr.DataArray | xr.Dataset:
        """Data (time, ...) with NaN in the months that nothing may be fitted on: what an SPI is learnt from."""
        seen = self.visible(pd.DatetimeIndex(values.indexes["time"]))
        return values.where(xr.DataArray(seen, dims="time", coords={"time": values["time"]}))

    def past_years(self, end_month: int, months: int, years: range) -> list[int]:
        """Years whose accumulation of so many months, ending in this month, is visible from beginning to end."""
        ends = [pd.Timestamp(y, end_month, 1) for y in years]
        whole = [pd.date_range(end=end, periods=months, freq="MS") for end in ends]
        return [y for y, window in zip(years, whole, strict=True) if self.visible(window).all()]


def year_of(months: pd.DatetimeIndex, year_starts: int = YEAR_STARTS) -> np.ndarray:
    """Year that is kept whole.

    >>> year_of(pd.DatetimeIndex(["2008-09", "2008-10", "2009-04"])).tolist()
    [2008, 2009, 2009]
    """
    return np.asarray(months.year + (months.month >= year_starts) * (year_starts > 1), dtype=int)


def blocks_of_years(
    target: pd.DatetimeIndex, *, block_years: int, embargo_months: int, year_starts: int = YEAR_STARTS
) -> list[Fold]:
    """Each block of years asked once, all others outside the embargo teach.

    Parameters
    ----------
    target : months in which the windows of the cases end, one for each case, in any order
    block_years : int
        Years of a block; the last one may be shorter.
    embargo_months : int
        At least lead plus accumulation, of the longest predictor or the event: then no window of a case that teaches
        meets one that asks.
    year_starts : int
        Month in which a year that is kept whole begins.

    Returns
    -------
    list of Fold, in the order of time

    >>> april = pd.date_range("2001-04", periods=6, freq="12MS")
    >>> fold = blocks_of_years(april, block_years=2, embargo_months=9)[1]
    >>> april.year[fold.test].tolist(), april.year[fold.training].tolist()
    ([2003, 2004], [2001, 2002, 2005, 2006])
    >>> fold = blocks_of_years(april, block_years=2, embargo_months=12)[1]
    >>> april.year[fold.training].tolist()
    [2001, 2006]
    """
    year = _years(target, embargo_months, year_starts)
    if block_years < 1:
        raise ContractError(f"folds: blocks of {block_years} years, expected at least 1")
    firsts = range(int(year.min()), int(year.max()) + 1, block_years)
    tests = ((year >= first) & (year < first + block_years) for first in firsts)
    return [_fold(target, test, embargo_months, past_only=False) for test in tests if test.any()]


def expanding_window(
    target: pd.DatetimeIndex,
    *,
    first_years: int,
    step_years: int = 1,
    embargo_months: int,
    year_starts: int = YEAR_STARTS,
) -> list[Fold]:
    """Each step of years asked once, after ``first_years``; only what lies before it, and before the embargo, teaches.

    Parameters and Returns as in `blocks_of_years`.

    >>> april = pd.date_range("2001-04", periods=6, freq="12MS")
    >>> folds = expanding_window(april, first_years=3, embargo_months=9)
    >>> [(april.year[f.training].tolist(), april.year[f.test].tolist()) for f in folds][:2]
    [([2001, 2002, 2003], [2004]), ([2001, 2002, 2003, 2004], [2005])]
    """
    year = _years(target, embargo_months, year_starts)
    if first_years < 1 or step_years < 1:
        raise ContractError(f"folds: {first_years} first years in steps of {step_years}, expected at least 1")
    firsts = range(int(year.min()) + first_years, int(year.max()) + 1, step_years)
    tests = ((year >= first) & (year < first + step_years) for first in firsts)
    return [_fold(target, test, embargo_months, past_only=True) for test in tests if test.any()]


def check_available(available_at: pd.DataFrame, issued: pd.DatetimeIndex) -> None:
    """Prove that every predictor could be had when the warning was issued.

    Parameters
    ----------
    available_at : DataFrame, a row for each case and a column for each predictor: the day from which it could be had
    issued : day of issue of each case

    Raises
    ------
    ContractError
        A predictor that was not there yet, or of which nobody says when it was: each is named, with its worst case.
    """
    if len(available_at) != len(issued):
        raise ContractError(f"available_at: {len(available_at)} cases, expected {len(issued)}")
    wrong = []
    for name in available_at:
        when = pd.DatetimeIndex(available_at[name])
        if when.isna().any():
            wrong.append(f"{name}: {int(when.isna().sum())} cases without available_at")
        late = np.asarray(when > issued)
        if late.any():
            i = int(np.argmax(np.where(late, when - issued, pd.Timedelta(0))))
            wrong.append(f"{name}: available {when[i]:%Y-%m-%d}, issued {issued[i]:%Y-%m-%d} ({late.sum()} cases)")
    if wrong:
        raise ContractError("available_at: looks into the future: " + "; ".join(wrong))


@dataclass(frozen=True)
class Cases:
    """Predictors and outcomes, one row for each case.

    Parameters
    ----------
    features : DataFrame, a column for each predictor; NaN where it is not known
    event : 1, 0, or NaN where it is not known
    target : month in which the window of the event ends
    issued : day on which the warning would have been issued
    available_at : DataFrame of the form of ``features``, the day from which each could be had
    unit : p-code or region
    """

    features: pd.DataFrame
    event: np.ndarray
    target: pd.DatetimeIndex
    issued: pd.DatetimeIndex
    available_at: pd.DataFrame
    unit: np.ndarray

    def __post_init__(self) -> None:
        lengths = {len(v) for v in (self.event, self.target, self.issued, self.available_at, self.unit)}
        same = list(self.features.columns) == list(self.available_at.columns)
        if lengths != {len(self.features)} or not same:
            raise ContractError("cases: features, events, months, days and units differ in length or columns")


Prepare = Callable[[xr.Dataset, Fold | None], Cases]
"""Source (time, ...) and fold to cases; what is fitted on the way sees `Fold.visible` months alone.

The cases are the same ones in the same order for every fold; None asks for them as they are, with all months visible.
"""


def find_leaks(prepare: Prepare, source: xr.Dataset, fold: Fold, *, issues: int = 3, seed: int = 0) -> list[str]:
    """What of the cases depends on what it must not know, found by changing that and looking.

    Two experiments. First the months of the windows that ask are exchanged for others: no predictor and no event of a
    case that teaches may change. Then, for some days of issue among the cases that ask, every hidden month that ends
    after that day is: no predictor of the cases of that day may change. An index fitted on all years fails both, an
    embargo shorter than the predictors reach the first; a predictor from the future fails the second whatever its stamp
    says.

    Parameters
    ----------
    prepare : Prepare
    source : Dataset (time, ...), monthly, labelled by the first day of a month
    fold : Fold
    issues : int
        Days of issue that are tried, spread over those of the fold.
    seed : int

    Returns
    -------
    list of str, one for each leak; empty if there is none
    """
    own = prepare(source, fold)
    months = pd.DatetimeIndex(source.indexes["time"])
    hidden = ~fold.visible(months)
    rng = np.random.default_rng(seed)
    exchanged = prepare(_other(source, fold.touched(months), rng), fold)
    leaks = _changed(own, exchanged, fold.training, "cases that teach", events=True)
    days = own.issued[fold.test].unique().sort_values()
    at = np.unique(np.linspace(0, len(days) - 1, min(issues, len(days))).astype(int))
    for day in days[at]:
        later = hidden & np.asarray(months + pd.offsets.MonthBegin(1) > day)
        of_day = fold.test & np.asarray(own.issued == day)
        other = prepare(_other(source, later, rng), fold)
        leaks += _changed(own, other, of_day, f"cases issued {day:%Y-%m-%d}", events=False)
    return leaks


# ------------------------------------------------------------------ beneath


def _years(target: pd.DatetimeIndex, embargo_months: int, year_starts: int) -> np.ndarray:
    if not len(target) or target.hasnans:
        raise ContractError("folds: no cases, or cases without a target month")
    if embargo_months < 1:
        raise ContractError(f"folds: embargo of {embargo_months} months, expected lead plus accumulation")
    return year_of(target, year_starts)


def _fold(target: pd.DatetimeIndex, test: np.ndarray, embargo: int, *, past_only: bool) -> Fold:
    month = np.asarray(target.year * 12 + target.month)
    first, last = month[test].min(), month[test].max()
    before, after = month < first - embargo, month > last + embargo
    spans = [(first - embargo + 1, last), (first - embargo, last + embargo)]
    asked, hidden = ((_month(start), _month(end)) for start, end in spans)
    return Fold(test, before if past_only else before | after, asked, hidden, past_only)


def _month(number: int) -> pd.Timestamp:
    return pd.Timestamp(int(number - 1) // 12, int(number - 1) % 12 + 1, 1)


def _other(source: xr.Dataset, rows: np.ndarray, rng: np.random.Generator) -> xr.Dataset:
    """The source with these months exchanged for others of the record and stretched, so that no total stays."""
    n = source.sizes["time"]
    take = np.where(rows, rng.permutation(n), np.arange(n))
    stretch = xr.DataArray(np.where(rows, rng.uniform(2.0, 3.0, n), 1.0), dims="time")
    plus = xr.DataArray(np.where(rows, rng.uniform(1.0, 2.0, n), 0.0), dims="time")
    out = source.copy()
    for name, values in source.data_vars.items():
        if "time" in values.dims:
            mixed = values.isel(time=take).assign_coords(time=values["time"])
            out[name] = (mixed * stretch + plus).transpose(*values.dims).assign_attrs(values.attrs)
    return out


def _changed(own: Cases, other: Cases, rows: np.ndarray, who: str, *, events: bool) -> list[str]:
    """Predictors, and events, that are not what they were in these cases."""
    columns = {str(name): (own.features[name], other.features[name]) for name in own.features}
    if events:
        columns["event"] = (pd.Series(own.event), pd.Series(other.event))
    found = []
    for name, pair in columns.items():
        a, b = (np.asarray(v, dtype=float)[rows] for v in pair)
        n = int((~((a == b) | (np.isnan(a) & np.isnan(b)))).sum())
        if n:
            found.append(f"{name}: {n} of {len(a)} {who} depend on what they must not know")
    return found
