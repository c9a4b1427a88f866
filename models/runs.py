"""Drought runs: when a drought began, how long it has lasted, how severe it is, and when it ended.

A run is a spell of months whose index lies below ``end`` and reaches ``onset``; by default the
definition of McKee et al. (1993): below 0, reaching -1. A month whose index is masked is not
observable: it neither ends a run nor counts in it, and the run says how many there were.
An index of k months remembers k - 1 months before its own, so the duration of a run of SPI-12 is not a
count of dry months.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

from geodata.schema import KEEPS_VALUE, ContractError, Status, status_attrs
from models.accumulation import each_block, month_axis, on_one_grid, threads_for, time_first, time_last

Starts = Literal["first_below", "onset"]

EVENT_COLUMNS = (
    "onset_month",
    "confirmed_month",
    "end_month",
    "duration_months",
    "observed_months",
    "masked_months",
    "severity",
    "intensity",
    "peak",
    "peak_month",
    "months_since_onset",
    "interarrival_months",
    "censored_start",
    "censored_end",
    "masked_before",
    "masked_after",
)
"""Columns of the table of `drought_runs` after those of the unit."""


def drought_runs(
    index: xr.DataArray,
    status: xr.DataArray,
    *,
    onset: float = -1.0,
    end: float = 0.0,
    starts: Starts = "first_below",
    max_gap: int = 0,
    gap_below: float = np.inf,
) -> pd.DataFrame:
    """Every run of an index, one row for each run and unit.

    A run begins with the first month of a spell below ``end`` that reaches ``onset``, and ends before the first month
    back at ``end``.

    Parameters
    ----------
    index : DataArray (time, ...), 1
        Consecutive months.
    status : DataArray (time, ...), Status flags of the index
    onset : float
        A spell is a drought once it is at or below this.
    end : float
        A drought ends before the first month at or above this. Deficits are measured from here.
    starts : "first_below" or "onset"
        A run starts with the first month of its spell below ``end`` (McKee et al. 1993), or with the first at
        or below ``onset`` (two thresholds). With ``end`` equal to ``onset`` both are a plain threshold.
    max_gap : int, months
        Runs this few months apart are one.
    gap_below : float
        Only if every month between them that is observed lies below this.

    Returns
    -------
    DataFrame, in the order of the units and, of each, of time
        One column for each dim besides time, and then
        ``onset_month``, ``end_month``: first and last month of the run that were observed;
        ``confirmed_month``: the first month at or below ``onset``, before which nobody could know;
        ``duration_months`` (months): from onset to end, both included; ``masked_months`` of them not observable,
        ``observed_months`` the rest;
        ``severity`` (1): sum of ``end`` - index over its months below ``end``; ``intensity`` (1): severity /
        observed_months; ``peak`` (1): lowest index, first reached in ``peak_month``;
        ``months_since_onset`` (months): from onset to the last month of the record;
        ``interarrival_months`` (months): from this onset to the next of the unit, empty for the last;
        ``censored_start``: no month before it was observed; ``censored_end``: no end was observed, the
        run may go on; ``masked_before``, ``masked_after``: months next to it that are not observable, in which
        it may have begun or gone on.

    Raises
    ------
    ContractError
        Thresholds or a gap that no run could have, labels that differ, months that do not follow each other.

    Formula
    -------
    run = consecutive months with z < end, at least one of them with z <= onset
    D = months from onset to end,  S = sum of (end - z) over months with z < end
    I = S / observed months,  peak = min z,  interarrival = onset of the next run - onset

    Limits
    ------
    * An index of k months remembers k - 1 months before its own: a run of SPI-12 may go on through a wet winter.
    * A masked month ends no run, so that a run over a dry season may be two: ``masked_months`` tells.
    * Severity is in standard deviations: not a depth of water, and not to be compared between scales.
    * Runs that touch the ends of the record are longer than they seem (``censored_start``, ``censored_end``).
    * Forty years of rain without memory hold some 19 runs of SPI-6 and 11 of SPI-12: too few for odds.

    Examples
    --------
    >>> values = [0.2, -0.5, -1.2, np.nan, -1.0, 0.1, -0.7, -1.6]
    >>> index = xr.DataArray(values, dims="time", coords={"time": pd.date_range("2001", periods=8, freq="MS")})
    >>> status = xr.where(index.isnull(), int(Status.masked_dry_season), int(Status.ok))
    >>> drought_runs(index, status)[["duration_months", "masked_months", "severity", "peak", "censored_end"]]
       duration_months  masked_months  severity  peak  censored_end
    0                4              1       2.7  -1.2         False
    1                2              0       2.3  -1.6          True

    References
    ----------
    Yevjevich 1967; McKee et al. 1993; pooling by time between events: Tallaksen et al. 1997.
    """
    _check_thresholds(onset, end)
    if max_gap < 0 or (max_gap > 0 and gap_below <= end):
        # A run ends with a month at or above `end`, so every gap holds one.
        raise ContractError(f"runs: found max_gap {max_gap} and gap_below {gap_below}, expected a gap that can be")
    index, status = on_one_grid([index, status])
    months = month_axis(index)
    units = [d for d in index.dims if d != "time"]
    x, flags = (v.transpose(*units, "time").values.reshape(-1, len(months)) for v in (index, status))
    cell, t = np.nonzero(_observed(x, flags))  # unit by unit, each in the order of time
    seen = _Seen(cell, t, x[cell, t].astype(np.float64), len(months))
    first, last, confirmed = _pool(seen, _spells(seen, onset, end, starts), max_gap, gap_below)
    table = _describe(seen, first, last, confirmed, end)
    for name in ("onset_month", "confirmed_month", "end_month", "peak_month"):
        table[name] = months[table[name]]
    labels = np.unravel_index(cell[first], [index.sizes[d] for d in units]) if units else ()
    for place, (unit, at) in enumerate(zip(units, labels, strict=True)):
        table.insert(place, str(unit), index[unit].values[at])
    return table


def months_in_drought(
    index: xr.DataArray,
    status: xr.DataArray,
    *,
    onset: float = -1.0,
    end: float = 0.0,
    starts: Starts = "first_below",
) -> xr.Dataset:
    """The run under way in each month, as far as it was known in that month.

    No month depends on a later one. A spell that has not yet reached ``onset`` is no drought; once it
    does, its months since it fell below ``end`` count.

    Parameters
    ----------
    index, status, onset, end, starts
        As of `drought_runs`.

    Returns
    -------
    Dataset (time, ...), each variable with its status, which is that of the index
        ``run_months`` (months): observed months of the run so far, 0 where there is none;
        ``run_masked_months`` (months): months since its onset that were not observable;
        ``run_severity`` (1): sum of ``end`` - index so far;
        ``run_peak`` (1): lowest index so far, 0 where there is no run;
        ``months_since_onset`` (months): since the first month of the run, 0 in it and where there is none.

    Formula
    -------
    months = months of the run so far with z < end,  severity = sum of (end - z) over them
    peak = min z so far,  since onset = month - onset month

    Limits
    ------
    * A run is known once its index reaches ``onset``: the months before read 0, though they count afterwards.
    * No number in a month whose index is not observable; the run goes on behind it.
    * Months of the index, not of rain: an index of k months remembers k - 1 before its own.

    References
    ----------
    Yevjevich 1967; McKee et al. 1993. Given out month by month it is the project's own.
    """
    _check_thresholds(onset, end)
    index, status = on_one_grid([index, status])
    month_axis(index)
    names = {
        "run_months": ("months", "observed months of the drought so far"),
        "run_masked_months": ("months", "months of the drought so far that were not observable"),
        "run_severity": ("1", "severity of the drought so far"),
        "run_peak": ("1", "lowest index of the drought so far"),
        "months_since_onset": ("months", "months since the onset of the drought"),
    }
    dtype = np.float32 if index.dtype == np.float32 else np.float64
    dtypes = [np.float32, np.float32, dtype, dtype, np.float32, np.int8]
    kernel = partial(_follow, onset=onset, end=end, starts=starts, dtypes=dtypes, threads=threads_for([index, status]))
    found = xr.apply_ufunc(
        kernel,
        index,
        status,
        input_core_dims=[["time"], ["time"]],
        output_core_dims=[["time"]] * 6,
        dask="parallelized",
        output_dtypes=dtypes,
        dask_gufunc_kwargs={"allow_rechunk": True},
    )
    *values, flags = (v.transpose(*index.dims) for v in found)
    flags = flags.assign_attrs(status_attrs())
    out: dict[str, xr.DataArray] = {}
    for (name, (units, long_name)), value in zip(names.items(), values, strict=True):
        out[name] = value.assign_attrs(units=units, long_name=long_name)
        out[f"{name}_status"] = flags
    return xr.Dataset(out)


# ------------------------------------------------------------------ numpy beneath


@dataclass(frozen=True)
class _Seen:
    """Months that were observed, unit after unit: of which unit, which month of the record, and the index."""

    cell: np.ndarray
    t: np.ndarray
    x: np.ndarray
    months: int

    def same_cell_as_next(self) -> np.ndarray:
        """True where the next entry is a later month of the same unit."""
        return np.append(self.cell[1:] == self.cell[:-1], np.zeros(min(len(self.cell), 1), dtype=bool))


def _check_thresholds(onset: float, end: float) -> None:
    if not onset <= end <= 0 or onset >= 0:
        raise ContractError(f"runs: found onset {onset} and end {end}, expected onset <= end <= 0 and onset < 0")


def _observed(index: np.ndarray, status: np.ndarray) -> np.ndarray:
    return np.isin(status, [int(s) for s in KEEPS_VALUE]) & np.isfinite(index)


def _spells(seen: _Seen, onset: float, end: float, starts: Starts) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First and last entry of each spell that reaches the onset, and the entry that does so first."""
    below = seen.x < end
    goes_on = below[:-1] & below[1:] & seen.same_cell_as_next()[:-1]
    first = np.flatnonzero(below & ~np.insert(goes_on, 0, False)[: len(below)])
    last = np.flatnonzero(below & ~np.append(goes_on, False)[: len(below)])
    reached = np.flatnonzero(below & (seen.x <= onset))
    spell, at = np.unique(np.searchsorted(first, reached, side="right") - 1, return_index=True)
    confirmed = reached[at]
    return (first[spell] if starts == "first_below" else confirmed), last[spell], confirmed


def _pool(
    seen: _Seen, spells: tuple[np.ndarray, np.ndarray, np.ndarray], max_gap: int, gap_below: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Spells of a unit that a short gap parts, as one."""
    first, last, confirmed = spells
    if max_gap == 0 or len(first) < 2:
        return spells
    gaps = np.column_stack([last[:-1] + 1, first[1:]]).ravel()
    highest = np.maximum.reduceat(seen.x, gaps)[::2]
    near = seen.t[first[1:]] - seen.t[last[:-1]] - 1 <= max_gap
    merged = near & (highest < gap_below) & (seen.cell[first[1:]] == seen.cell[last[:-1]])
    opens, closes = np.insert(~merged, 0, True), np.append(~merged, True)
    return first[opens], last[closes], confirmed[opens]


def _describe(seen: _Seen, first: np.ndarray, last: np.ndarray, confirmed: np.ndarray, end: float) -> pd.DataFrame:
    """Columns of the table; months as rows of the record."""
    t, n = seen.t, len(first)
    within = np.column_stack([first, last + 1]).ravel()
    beyond = np.append(seen.x, np.inf)  # so that a run may close the array
    severity = np.add.reduceat(np.maximum(end - beyond, 0.0), within)[::2]
    peak = np.minimum.reduceat(beyond, within)[::2]
    observed = last - first + 1
    run = np.repeat(np.arange(n), observed)
    entry = np.arange(observed.sum()) - np.repeat(np.cumsum(observed) - observed, observed) + first[run]
    lowest = entry[seen.x[entry] == peak[run]]
    peak_at = lowest[np.unique(run[seen.x[entry] == peak[run]], return_index=True)[1]]
    follows = seen.same_cell_as_next()
    censored_start = ~np.insert(follows, 0, False)[first]
    censored_end = ~follows[last]
    before = np.where(censored_start, -1, t[first - 1])
    after = np.where(censored_end, seen.months, t[(last + 1) % max(len(t), 1)])
    arrival = np.diff(t[first], append=0)
    has_next = np.append(seen.cell[first[1:]] == seen.cell[first[:-1]], np.zeros(min(n, 1), dtype=bool))
    duration = t[last] - t[first] + 1
    columns = {
        "onset_month": t[first],
        "confirmed_month": t[confirmed],
        "end_month": t[last],
        "duration_months": duration,
        "observed_months": observed,
        "masked_months": duration - observed,
        "severity": severity,
        "intensity": severity / observed,
        "peak": peak,
        "peak_month": t[peak_at],
        "months_since_onset": seen.months - 1 - t[first],
        "interarrival_months": pd.array(arrival, dtype="Int64"),
        "censored_start": censored_start,
        "censored_end": censored_end,
        "masked_before": t[first] - before - 1,
        "masked_after": after - t[last] - 1,
    }
    columns["interarrival_months"][~has_next] = pd.NA
    return pd.DataFrame(columns, columns=list(EVENT_COLUMNS))


def _follow(
    index: np.ndarray,
    status: np.ndarray,
    *,
    onset: float,
    end: float,
    starts: Starts,
    dtypes: list[Any],
    threads: int,
) -> tuple[np.ndarray, ...]:
    """Variables of `months_in_drought` of arrays (..., time), month after month."""
    x, flags = time_first(index), time_first(status)
    out = [np.empty(x.shape, dtype=d) for d in dtypes]

    def work(block: slice) -> None:
        cells = x[:, block].shape[1]
        length, start, deficit = np.zeros(cells), np.zeros(cells), np.zeros(cells)
        lowest, drought = np.zeros(cells), np.zeros(cells, dtype=bool)
        for month in range(len(x)):
            now = x[month, block].astype(np.float64)
            seen = _observed(now, flags[month, block])
            below = seen & (now < end)
            goes_on = below | ~seen  # a month that is not observed ends nothing
            drought = (drought & goes_on) | (below & (now <= onset))
            counts = below if starts == "first_below" else below & drought
            length, deficit = (np.where(goes_on, v, 0.0) for v in (length, deficit))
            start = np.where(counts & (length == 0), month, start)
            lowest = np.where(counts & ((length == 0) | (now < lowest)), now, lowest)
            length += counts
            deficit += np.where(counts, end - now, 0.0)
            since = month - start
            found = (length, since + 1 - length, deficit, lowest, since)
            for target, value in zip(out, found, strict=False):
                target[month, block] = np.where(seen, np.where(drought, value, 0.0), np.nan)
            claimed = np.isin(flags[month, block], [int(s) for s in KEEPS_VALUE])
            no_number = np.int8(Status.insufficient_data)
            out[-1][month, block] = np.where(claimed & ~seen, no_number, flags[month, block])

    each_block(work, x.shape[1], threads)
    return time_last(out, index.shape[:-1])
