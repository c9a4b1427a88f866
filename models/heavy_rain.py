"""Heavy rain from daily rain: ETCCDI indices by month and by hydrological year, and ranks among past years.

A relative rank only: daily rain of a grid is an area mean, which is below what a gauge in it
measures, and no gauge was compared, so no amount in millimetres is judged (return levels as
growth factors: `models.return_levels`). A flash flood takes hours; of it daily rain shows no
more than that a day was heavy.

Rules, for every index here:

* A block of days (a month, a year) is complete if 95 % of the days that the calendar gives it
  were seen; else its values are ``insufficient_data``. Within the 5 % an unseen day adds nothing, so
  a maximum or a sum is "at least"; ``days_seen`` says how many were seen. Rx1day may be told to ask for more
  (`RainRules`).
* A month looks back: a window of five days belongs to the month in which it ends, and a spell to
  every month that it reaches, with the length it has reached by then. A year stands alone: no
  window and no spell reaches into it from the year before.
* An unseen day ends a spell. Where it may have hidden a longer one, or the longest was under way
  when the record began or may be longer than two years, the length is ``insufficient_data``.
* A month needs the days of `days_before` before it, and no more: a longer record says the same of it, bit by bit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import xarray as xr

from geodata.schema import ContractError, Status, require_units, status_attrs, status_like
from models.accumulation import sum_rows
from models.daily import (
    COMPLETE,
    LONGEST_SPELL,
    Spells,
    days_of,
    float_type,
    hydrological_year,
    month_blocks,
    over_cells,
    sorted_quantile,
    year_blocks,
)
from models.percentile import gringorten

WINDOW_DAYS = 5
"""Days of the longer maximum, Rx5day."""

HEAVY = 0.95
"""Share of wet days below a heavy one: R95p."""

SUMMER = (6, 7, 8, 9)
"""Months in which more evaporates, so that the antecedent index may be told to forget sooner."""

_QUANTILE_CELLS = 128  # cells sorted at once
_NOTHING_LEARNT = "heavy rain: found neither calibration years nor what was learnt from them"
_SHORTEST_MONTH, _LONGEST_MONTH = 28, 31


@dataclass(frozen=True)
class Antecedent:
    """Recursive antecedent precipitation index: API_t = k API_(t-1) + P_t.

    Parameters
    ----------
    k : float, share of the index that is left after a day
    summer_k : float or None, the same in `SUMMER` (0.85 is usual); None for ``k`` all year
    bridge_days : int
        An unseen day leaves the index unknown, and it must spin up again. With 1 or 2, as many unseen
        days in a row count as dry instead, and the index is flagged for as long as a spin-up takes.
    spin_up_days : int
        Days after which the index speaks, though it began at 0: of 0.92, 90 days leave 0.06 %.
        By month it begins `memory_months` before; what fell earlier is less than float32 can tell.

    Raises
    ------
    ContractError
        A share outside 0 to 1, or a bridge longer than 2 days.

    References
    ----------
    Kohler and Linsley 1951. Not the sum of the last days that xclim computes under the same name.
    """

    k: float = 0.92
    summer_k: float | None = None
    bridge_days: int = 0
    spin_up_days: int = 90

    def __post_init__(self) -> None:
        if not all(0.0 < k < 1.0 for k in (self.k, self.k if self.summer_k is None else self.summer_k)):
            raise ContractError(f"api: k {self.k} and {self.summer_k}, expected between 0 and 1")
        if self.bridge_days not in (0, 1, 2):
            raise ContractError(f"api: bridge_days {self.bridge_days}, expected 0, 1 or 2")

    def of_days(self, days: pd.DatetimeIndex) -> np.ndarray:
        """Share left after each day."""
        summer = np.isin(days.month, SUMMER)
        return np.where(summer, self.k if self.summer_k is None else self.summer_k, self.k)

    @property
    def memory_months(self) -> int:
        """Months before the current one that count at its end: of what fell earlier less than 2^-24 is left."""
        longest = max(self.k, self.k if self.summer_k is None else self.summer_k)
        days = max(np.log(2.0**-24) / np.log(longest), self.spin_up_days + self.bridge_days + 1)
        return int(np.ceil(days / _SHORTEST_MONTH))


@dataclass(frozen=True)
class RainRules:
    """What the indices of daily rain are told.

    Parameters
    ----------
    wet_day_mm : float, mm, the least rain of a wet day (ETCCDI: 1)
    min_days : float, share of a block's days that must be seen
    min_days_of_highest : float or None
        The same for Rx1day alone, whose unseen day may have been the highest; None for ``min_days``.
    start_month : int, first month of the hydrological year
    min_years : int, complete years of the calibration that the 95th percentile needs
    min_wet_days : int
        Wet days that it needs: of 100, five lie above it.
    antecedent : Antecedent
    """

    wet_day_mm: float = 1.0
    min_days: float = COMPLETE
    min_days_of_highest: float | None = None
    start_month: int = 10
    min_years: int = 30
    min_wet_days: int = 100
    antecedent: Antecedent = field(default_factory=Antecedent)


DEFAULT_RULES = RainRules()


def days_before(rules: RainRules = DEFAULT_RULES) -> int:
    """Days before a month that its indices need: those of the longest spell told, and of the antecedent index.

    >>> days_before()
    730
    """
    return max(LONGEST_SPELL, (rules.antecedent.memory_months + 1) * _LONGEST_MONTH)


# ------------------------------------------------------------------ indices by month and by year


def daily_rain_indices(
    daily: xr.DataArray,
    calibration: tuple[int, int] | None = None,
    rules: RainRules = DEFAULT_RULES,
    *,
    wet_day_p95: xr.DataArray | None = None,
) -> xr.Dataset:
    """Every monthly index of daily rain, in one pass.

    The highest rain of one day and of five, the rain of very wet days (R95pTOT), the longest dry and wet spells (CDD,
    CWD), and how wet the ground is at the end of the month (API).

    Parameters
    ----------
    daily : DataArray (time, ...), mm/day, consecutive days, NaN where not seen
        A Dask array is worked on chunk by chunk, with the whole time axis of a chunk's cells in
        memory: give it in bands (`geodata.bands.by_bands`).
    calibration : (first year, last year), both included; hydrological years, for the 95th percentile
    rules : RainRules
    wet_day_p95 : DataArray (...), mm/day, optional
        The percentile learnt earlier (`wet_day_percentile`); then nothing is fitted, and no calibration is asked for.

    Returns
    -------
    Dataset (time = month starts, ...), each with its status
        ``rx1day`` (mm/day), ``rx5day`` (mm), ``wet_day_total_mm`` and ``r95p_total_mm`` (mm; sums over wet
        days and over those above the 95th percentile), ``cdd`` and ``cwd`` (day; longest dry and
        wet spell), ``api`` (mm, at the end of the month), ``days_seen`` (day), and the flag
        ``api_bridged``.

    Raises
    ------
    ContractError
        Other units, or a time axis that is not of consecutive days.

    Formula
    -------
    Rx1day = max P_d,  Rx5day = max (P_(d-4) + ... + P_d)
    wet-day total = sum of P_d over days with P_d >= 1 mm;  R95pTOT = the same over days with P_d > P95
    P95: 95th percentile of the wet days of the calibration years, position (n + 1/3) 0.95 + 1/3
    CDD, CWD = longest run of days with P_d < 1 mm, and of days with P_d >= 1 mm
    API_d = k API_(d-1) + P_d, begun at 0 eight whole months before the current one (k = 0.92; more for a larger k)

    Limits
    ------
    * Rain of a cell is a mean over its ground: its highest day is below what a gauge in it measures, and a day's
      total says nothing of the hour in which it fell.
    * A month needs 95 % of its days; what the others brought is missing, so that a maximum or a sum is "at least".
      Spells that an unseen day may have lengthened are ``insufficient_data``.
    * A spell longer than two years (730 days) is ``insufficient_data``: a month is told from the days of the two
      years before it alone, so that a new month never asks for the whole record.
    * R95pTOT needs 30 complete years and 100 wet days; with fewer years, where they are allowed, P95 is rough.
    * CDD of a dry season is the length of the dry season, not a drought.
    * In months, spells and windows reach back over the edge: sums of months are not the year
      (`yearly_rain_indices`).

    References
    ----------
    ETCCDI indices (Zhang et al. 2011, WIREs Clim. Change 2); Kohler and Linsley 1951.
    """
    require_units(daily, "mm/day")
    _require_learnt(calibration, wet_day_p95)
    kernel = _Kernel(days_of(daily), calibration, rules, by_year=False)
    dtypes = [*[float_type(daily)] * len(_BLOCK), np.int16, float_type(daily), np.int8]
    *values, seen, api, bridged = over_cells(kernel, _inputs(daily, wet_day_p95), kernel.blocks.labels, dtypes)
    out = _described({**dict(zip(_BLOCK, values, strict=True)), "api": api}, seen)
    return out.assign(api_bridged=bridged.assign_attrs(_BRIDGED))


def yearly_rain_indices(
    daily: xr.DataArray,
    calibration: tuple[int, int] | None = None,
    rules: RainRules = DEFAULT_RULES,
    *,
    wet_day_p95: xr.DataArray | None = None,
) -> xr.Dataset:
    """The indices of `daily_rain_indices` by hydrological year, each year on its own.

    Parameters and Raises as of `daily_rain_indices`.

    Returns
    -------
    Dataset (year, ...), years labelled by their end
        As of `daily_rain_indices` (mm/day, mm, day), but for ``api``;
        and ``r95p_share`` (1), the share of the wet-day total that fell on heavy days;
        in a year without a wet day it is ``masked_dry_season``.

    Formula
    -------
    Rx1day, Rx5day, R95pTOT, CDD and CWD as by month, over the days of a hydrological year alone
    r95p_share = R95pTOT / wet-day total

    Limits
    ------
    * As of `daily_rain_indices`; a year needs 95 % of its days.
    * No window and no spell reaches into a year from the one before: a dry summer is cut where a year begins in it.
    * P95 knows the calibration years and not the later ones: shares of the two are not quite alike.
    * One year is one number: a trend of it needs more years than most daily records have.

    References
    ----------
    ETCCDI indices (Zhang et al. 2011, WIREs Clim. Change 2), by hydrological in place of calendar years.
    """
    require_units(daily, "mm/day")
    _require_learnt(calibration, wet_day_p95)
    kernel = _Kernel(days_of(daily), calibration, rules, by_year=True)
    dtypes = [*[float_type(daily)] * len(_BLOCK), np.int16]
    *values, seen = over_cells(kernel, _inputs(daily, wet_day_p95), kernel.blocks.labels, dtypes)
    found = dict(zip(_BLOCK, values, strict=True))
    total, heavy = found["wet_day_total_mm"], found["r95p_total_mm"]
    out = _described({**found, "r95p_share": heavy / total.where(total > 0)}, seen)
    dry = (total == 0) & heavy.notnull()
    status = xr.where(dry, np.int8(Status.masked_dry_season), out["r95p_share_status"]).astype("int8")
    return out.assign(r95p_share_status=status.assign_attrs(status_attrs()))


def wet_day_percentile(
    daily: xr.DataArray, calibration: tuple[int, int], rules: RainRules = DEFAULT_RULES
) -> xr.DataArray:
    """95th percentile of the wet days of the calibration years, to be saved and used again.

    Parameters as of `daily_rain_indices`.

    Returns
    -------
    DataArray (...), mm/day
        NaN where there are fewer than ``min_years`` complete years or ``min_wet_days`` wet days.

    References
    ----------
    Hyndman and Fan 1996, type 8, as ETCCDI percentiles are computed.
    """
    require_units(daily, "mm/day")
    kernel = _Kernel(days_of(daily), calibration, rules, by_year=True)
    (found,) = over_cells(kernel.learn, _inputs(daily), pd.RangeIndex(1, name="only"), [float_type(daily)])
    return found.isel(only=0, drop=True).assign_attrs(units="mm/day", long_name="95th percentile of wet days")


def antecedent_precipitation(daily: xr.DataArray, rules: Antecedent = DEFAULT_RULES.antecedent) -> xr.Dataset:
    """Antecedent precipitation index of each day: what is left of the rain so far, a share ``k`` of it after each day.

    Parameters
    ----------
    daily : DataArray (time, ...), mm/day, consecutive days, NaN where not seen
    rules : Antecedent

    Returns
    -------
    Dataset (time, ...)
        ``api`` (mm) with ``api_status`` (insufficient_data while it spins up and after a gap), and the flag
        ``api_bridged``: 1 where an unseen day of the last ``spin_up_days`` was taken for a dry one.

    Formula
    -------
    API_d = k API_(d-1) + P_d,  k = 0.92 (and another in June to September, if told)

    Limits
    ------
    * One number for how wet the ground is: no soil, no slope, no evaporation but what k stands for.
    * k is a convention (0.85 to 0.98); an index by another k is another index, and so is a sum of the last days.
    * 90 days after its start, or after a gap, 0.06 % of what came before is missing (k = 0.92); before that
      ``insufficient_data``.
    * A bridged day counts as dry, so that the index is "at least" while ``api_bridged`` is 1.

    References
    ----------
    Kohler and Linsley 1951.

    Examples
    --------
    >>> days = pd.date_range("2001-01-01", periods=4)
    >>> rain = xr.DataArray([8.0, 0.0, 4.0, 0.0], dims="time", coords={"time": days}, attrs={"units": "mm/day"})
    >>> antecedent_precipitation(rain, Antecedent(k=0.5, spin_up_days=0)).api.values
    array([8., 4., 6., 3.])
    """
    require_units(daily, "mm/day")
    kernel = _DailyIndex(rules, days_of(daily))
    labels = pd.DatetimeIndex(daily.indexes["time"], name="time")
    api, bridged = over_cells(kernel, _inputs(daily), labels, [float_type(daily), np.int8])
    out = xr.Dataset({"api": api.assign_attrs(_WORDS["api"]), "api_status": status_like(api)})
    return out.assign(api_bridged=bridged.assign_attrs(_BRIDGED))


_BLOCK = ("rx1day", "rx5day", "wet_day_total_mm", "r95p_total_mm", "cdd", "cwd")

_WORDS = {
    "rx1day": {"units": "mm/day", "long_name": "highest one-day rain"},
    "rx5day": {"units": "mm", "long_name": "highest five-day rain"},
    "wet_day_total_mm": {"units": "mm", "long_name": "rain of wet days"},
    "r95p_total_mm": {"units": "mm", "long_name": "rain of days above the 95th percentile of wet days"},
    "r95p_share": {"units": "1", "long_name": "share of the rain of wet days that fell on heavy ones"},
    "cdd": {"units": "day", "long_name": "longest dry spell"},
    "cwd": {"units": "day", "long_name": "longest wet spell"},
    "api": {"units": "mm", "long_name": "antecedent precipitation index"},
    "days_seen": {"units": "day", "long_name": "days seen"},
}
_BRIDGED = {"flag_values": np.array([0, 1], dtype="int8"), "flag_meanings": "seen bridged"}


def _require_learnt(calibration: tuple[int, int] | None, learnt: xr.DataArray | None) -> None:
    if calibration is None and learnt is None:
        raise ContractError(_NOTHING_LEARNT)


def _inputs(daily: xr.DataArray, wet_day_p95: xr.DataArray | None = None) -> list[tuple[xr.DataArray, tuple[str, ...]]]:
    return [(daily, ("time",)), *([] if wet_day_p95 is None else [(wet_day_p95, ())])]


def _described(values: Mapping[str, xr.DataArray], seen: xr.DataArray) -> xr.Dataset:
    """The indices and the days seen, with their units, words and statuses."""
    counted = xr.full_like(seen, int(Status.ok), dtype="int8").assign_attrs(status_attrs())
    flags = {f"{name}_status": status_like(found) for name, found in values.items()}
    named = {name: found.assign_attrs(_WORDS[name]) for name, found in {**values, "days_seen": seen}.items()}
    return xr.Dataset({**named, **flags, "days_seen_status": counted})


def rx1day_monthly(daily: xr.DataArray, *, min_days: float = 0.95) -> xr.DataArray:
    """Highest one-day rain of each month (ETCCDI Rx1day).

    Parameters
    ----------
    daily : DataArray (time, ...), mm/day
        Dask arrays stay lazy and are read month by month.
    min_days : float
        Share of the month's days that must be seen; else NaN, because the unseen day may be the wettest.

    Returns
    -------
    DataArray (time, ...), mm/day, month-start labels
    """
    require_units(daily, "mm/day")
    times = pd.DatetimeIndex(daily.indexes["time"])
    months = times.to_period("M")
    labels = pd.period_range(months.min(), months.max(), freq="M")
    parts = []
    for label in labels:
        days = daily.isel(time=np.flatnonzero(months == label))
        seen = days.count("time") >= min_days * label.days_in_month
        parts.append(days.max("time").where(seen) if days.sizes["time"] else daily.isel(time=0, drop=True) * np.nan)
    axis = pd.DatetimeIndex(labels.to_timestamp(), name="time")
    highest = xr.concat(parts, dim=xr.Variable("time", axis)).transpose(*daily.dims)
    return highest.assign_attrs(units="mm/day", long_name="highest one-day rain of the month")


def annual_maxima(monthly: xr.DataArray, *, start_month: int = 10, min_months: int = 12) -> xr.DataArray:
    """Highest value of each hydrological year that was seen whole.

    Parameters
    ----------
    monthly : DataArray (time, ...), mm/day, as of `rx1day_monthly`
    start_month : int
        First month of the year; October for the hydrological year, labelled by its end.
    min_months : int
        Months that must be seen; else NaN.

    Returns
    -------
    DataArray (year, ...), mm/day
    """
    year = xr.DataArray(
        hydrological_year(pd.DatetimeIndex(monthly.indexes["time"]), start_month), dims="time", name="year"
    )
    grouped = monthly.assign_coords(year=year).groupby("year")
    seen = grouped.count("time") >= min_months
    return grouped.max("time").where(seen).assign_attrs(units="mm/day", long_name="highest one-day rain of the year")


def calibration_maxima(monthly: xr.DataArray, calibration: tuple[int, int], *, start_month: int = 10) -> xr.DataArray:
    """Highest value of each whole hydrological year of the calibration, to be saved and used again.

    Parameters as of `heavy_rain_percentile`.

    Returns
    -------
    DataArray (year, ...), mm/day, NaN of a year that was not seen whole
    """
    maxima = annual_maxima(monthly, start_month=start_month)
    return maxima.sel(year=(maxima["year"] >= calibration[0]) & (maxima["year"] <= calibration[1]))


def heavy_rain_percentile(
    monthly: xr.DataArray,
    calibration: tuple[int, int] | None = None,
    *,
    window_months: int = 1,
    start_month: int = 10,
    min_years: int = 10,
    maxima: xr.DataArray | None = None,
) -> xr.Dataset:
    """Rank of the highest one-day rain among the highest days of the calibration years.

    The year of the month itself is left out of the record, so that a record-breaking day is
    compared with the other years and not with itself.

    Parameters
    ----------
    monthly : DataArray (time, ...), mm/day, consecutive months, as of `rx1day_monthly`
    calibration : (first year, last year), both included; hydrological years
    window_months : int
        The highest day of this many months, the current one included, is ranked.
    start_month : int
        First month of the hydrological year.
    min_years : int
        Whole years of record, below which the status is insufficient_data.
    maxima : DataArray (year, ...), mm/day, optional
        Learnt earlier (`calibration_maxima`); then the months are ranked, and no calibration is asked for.

    Returns
    -------
    Dataset (time, ...)
        ``heavy_rain_percentile`` (1; 1 wettest) and ``rx1day`` (mm/day, highest of the window), with statuses.

    Formula
    -------
    percentile = (r - 0.44) / (n + 0.12),  r = 1 + years with a lower highest day + half of those with an equal one
    among the highest days of the calibration years, the month's own year in the place of its own

    Limits
    ------
    * A rank, not an amount: no gauge has calibrated it, and daily rain of a cell is below that of a gauge.
    * A month is ranked among the highest days of whole years: an ordinary wet month stands near 0, and two
      subdistricts with equal ranks may have had 20 and 80 mm.
    * With n years it ends at (n - 0.44) / (n + 0.12): with 12 years at 0.95, so that nothing rarer can show.
    * A flash flood takes hours and a slope; of it this says no more than that a day was heavy.

    References
    ----------
    Rx1day of ETCCDI; Gringorten 1963.
    """
    require_units(monthly, "mm/day")
    highest = monthly
    for back in range(1, window_months):
        highest = xr.ufuncs.maximum(highest, monthly.shift(time=back))  # NaN if any month of the window is NaN
    if maxima is None:
        if calibration is None:
            raise ContractError(_NOTHING_LEARNT)
        maxima = calibration_maxima(monthly, calibration, start_month=start_month)
    percentile, status = xr.apply_ufunc(
        _rank_among_years,
        highest,
        maxima,
        input_core_dims=[["time"], ["year"]],
        output_core_dims=[["time"], ["time"]],
        kwargs={
            "own_year": hydrological_year(pd.DatetimeIndex(monthly.indexes["time"]), start_month),
            "years": maxima["year"].to_numpy(),
            "min_years": min_years,
        },
        dask="parallelized",
        output_dtypes=[np.float64, np.int8],
        dask_gufunc_kwargs={"allow_rechunk": True},
    )
    status = status.transpose(*monthly.dims).assign_attrs(status_attrs())
    seen = xr.where(highest.notnull(), np.int8(Status.ok), np.int8(Status.insufficient_data)).astype("int8")
    return xr.Dataset(
        {
            "heavy_rain_percentile": percentile.transpose(*monthly.dims).assign_attrs(
                units="1", long_name="rank of the highest one-day rain among the highest of past years"
            ),
            "heavy_rain_percentile_status": status,
            "rx1day": highest.assign_attrs(units="mm/day", long_name="highest one-day rain"),
            "rx1day_status": seen.assign_attrs(status_attrs()),
        }
    )


# ------------------------------------------------------------------ numpy beneath


class _Kernel:
    """Indices of rain (day, cell), block of days after block of days."""

    def __init__(self, days: pd.DatetimeIndex, calibration: tuple[int, int] | None, rules: RainRules, *, by_year: bool):
        self.rules, self.days, self.by_year = rules, days, by_year
        self.years = year_blocks(days, rules.start_month)
        self.blocks = self.years if by_year else month_blocks(days)
        first, last = calibration or (1, 0)
        self.calibrated = (self.years.labels >= first) & (self.years.labels <= last)

    def percentile(self, rain: np.ndarray) -> np.ndarray:
        """95th percentile of the wet days of the calibration years (cell,)."""
        every = zip(self.years.rows, self.years.lengths, self.calibrated, strict=True)
        years = [(*rows, length) for rows, length, is_calibrated in every if is_calibrated]
        complete = np.zeros(rain.shape[1], dtype=int)
        for start, stop, length in years:
            complete += np.isfinite(rain[start:stop]).sum(axis=0) >= self.rules.min_days * length
        if not years or (complete < self.rules.min_years).all():
            return np.full(rain.shape[1], np.nan)
        record = rain[years[0][0] : years[-1][1]]
        found = _wet_day_quantile(record, HEAVY, self.rules.wet_day_mm, self.rules.min_wet_days)
        return np.where(complete >= self.rules.min_years, found, np.nan)

    def learn(self, rain: np.ndarray) -> tuple[np.ndarray]:
        """The percentile as a kernel of one row."""
        return (self.percentile(rain)[None],)

    def __call__(self, rain: np.ndarray, percentile: np.ndarray | None = None) -> tuple[np.ndarray, ...]:
        """Rows of `_BLOCK` (block, cell), then the days seen, and by month the antecedent index and its flag."""
        cells, blocks = rain.shape[1], len(self.blocks.labels)
        heavy = (self.percentile(rain) if percentile is None else percentile).astype(rain.dtype)
        values = np.empty((len(_BLOCK), blocks, cells), dtype=rain.dtype)
        seen = np.empty((blocks, cells), dtype=np.int16)
        api, bridged = np.empty((blocks, cells), dtype=rain.dtype), np.empty((blocks, cells), dtype=np.int8)
        spells = Spells(cells), Spells(cells)
        recursion = Recursion(self.rules.antecedent, self.days, cells)
        memory = _Memory(self.rules.antecedent)
        for i, (start, stop) in enumerate(self.blocks.rows):
            values[:, i], seen[i] = self._block(rain, heavy, i, spells)
            if not self.by_year:
                recursion.restart()
                recursion.advance(rain[start:stop])
                known, bridged[i] = recursion.known()
                api[i] = np.where(known, memory.take_up(recursion), np.nan)
        return (*values, seen) if self.by_year else (*values, seen, api, bridged)

    def _block(
        self, rain: np.ndarray, heavy: np.ndarray, i: int, spells: tuple[Spells, Spells]
    ) -> tuple[np.ndarray, np.ndarray]:
        """The indices of one block (index, cell), and the days seen."""
        start, stop = self.blocks.rows[i]
        back = 0 if self.by_year else WINDOW_DAYS - 1
        first = max(start - back, 0)
        unseen = np.isnan(rain[first:stop])
        filled = np.where(unseen, 0, rain[first:stop])
        own, hidden = filled[start - first :], unseen[start - first :]
        seen = len(own) - hidden.sum(axis=0)
        enough = self.rules.min_days * self.blocks.lengths[i]
        share_for_highest = self.rules.min_days_of_highest
        enough_for_highest = enough if share_for_highest is None else share_for_highest * self.blocks.lengths[i]
        enough_for_windows = self.rules.min_days * (self.blocks.lengths[i] + back)
        wet = own >= self.rules.wet_day_mm
        if self.by_year:
            for spell in spells:
                spell.cut()
        (cdd, cdd_sure), (cwd, cwd_sure) = spells[0].longest(~wet & ~hidden, hidden), spells[1].longest(wet, hidden)
        five_days = _windows(filled)[start - first :].max(axis=0)
        found = (own.max(axis=0), five_days, _sum_where(own, wet), _sum_where(own, own > heavy), cdd, cwd)
        complete = seen >= enough
        windows_complete = complete & (len(filled) - unseen.sum(axis=0) >= enough_for_windows)
        known = (
            seen >= enough_for_highest,
            windows_complete,
            complete,
            complete & ~np.isnan(heavy),
            complete & cdd_sure,
            complete & cwd_sure,
        )
        return np.where(known, found, np.nan), seen


class _DailyIndex:
    """Antecedent index of every day of rain (day, cell), and its flag."""

    def __init__(self, rules: Antecedent, days: pd.DatetimeIndex):
        self._rules, self._days = rules, days

    def __call__(self, rain: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        recursion = Recursion(self._rules, self._days, rain.shape[1])
        api, bridged = np.empty(rain.shape), np.empty(rain.shape, dtype=np.int8)
        for day in range(len(rain)):
            recursion.advance(rain[day : day + 1])
            api[day], bridged[day] = recursion.value()
        return api, bridged


def _windows(filled: np.ndarray) -> np.ndarray:
    """Rain of the five days that end with each row, as far as the rows reach."""
    total = filled.copy()
    for back in range(1, WINDOW_DAYS):
        total[back:] += filled[:-back]
    return total


def _sum_where(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    return sum_rows(np.where(chosen, values, 0))


def _wet_day_quantile(rain: np.ndarray, share: float, wet_day_mm: float, min_wet_days: int) -> np.ndarray:
    """Type 8 quantile of the wet days of rain (day, cell); NaN where they are too few."""
    out = np.empty(rain.shape[1])
    for start in range(0, rain.shape[1], _QUANTILE_CELLS):
        part = rain[:, start : start + _QUANTILE_CELLS].T.copy()
        part[~(part >= wet_day_mm)] = np.inf  # dry and unseen days alike, behind the wet ones
        part.sort(axis=1)
        out[start : start + _QUANTILE_CELLS] = sorted_quantile(part, share, min_wet_days)
    return out


class Recursion:
    """State of the antecedent index of each cell after the days seen so far."""

    def __init__(self, rules: Antecedent, days: pd.DatetimeIndex, cells: int):
        self._rules = rules
        self._k = rules.of_days(days)
        self._day = 0
        self._api = np.zeros(cells)
        self._left = np.ones(cells)  # share of what came before the last restart
        self._began = np.zeros(cells, dtype=np.int32)  # day from which nothing is missing
        self._gap = np.zeros(cells, dtype=np.int32)  # unseen days in a row, up to now
        self._bridged = np.full(cells, -rules.spin_up_days, dtype=np.int32)  # last day taken for dry

    def advance(self, rain: np.ndarray) -> None:
        """Take up the next days (day, cell)."""
        unseen = np.isnan(rain)
        has_gap = unseen.any(axis=1)
        for i in range(len(rain)):
            self._api *= self._k[self._day]
            self._left *= self._k[self._day]
            if has_gap[i] or (self._day and self._gap.any()):
                self._over_gap(rain[i], unseen[i])
            else:
                self._api += rain[i]
            self._day += 1

    def _over_gap(self, rain: np.ndarray, unseen: np.ndarray) -> None:
        self._api += np.where(unseen, 0, rain)
        self._gap = np.where(unseen, self._gap + 1, 0)
        broken = self._gap > self._rules.bridge_days
        self._bridged[unseen & ~broken] = self._day
        self._api[broken] = self._left[broken] = 0.0
        self._began[broken] = self._day + 1

    def before(self, rain: np.ndarray) -> np.ndarray:
        """Take up the next days (day, cell), and tell the index as it was before each of them."""
        index = np.empty(rain.shape)
        for day in range(len(rain)):
            index[day], _ = self.value()
            self.advance(rain[day : day + 1])
        return index

    def restart(self) -> None:
        """Begin the index anew at 0, and go on counting the days and the gaps."""
        self._api[:] = 0.0
        self._left[:] = 1.0

    def since_restart(self) -> tuple[np.ndarray, np.ndarray]:
        """What fell since the restart and is left, and the share that is left of what fell before (cell,)."""
        return self._api.copy(), self._left.copy()

    def known(self) -> tuple[np.ndarray, np.ndarray]:
        """True where the index has spun up, and where a day of it was bridged (cell,)."""
        known = self._day - self._began > self._rules.spin_up_days
        return known, known & (self._day - 1 - self._bridged < self._rules.spin_up_days)

    def value(self) -> tuple[np.ndarray, np.ndarray]:
        """Index of each cell, NaN until it has spun up, and 1 where a day was bridged."""
        known, bridged = self.known()
        return np.where(known, self._api, np.nan), bridged


class _Memory:
    """Antecedent index at the ends of months, put together from what each month left.

    Always of the same months, one after the other: a recursion through the whole record would round otherwise
    than one begun later.
    """

    def __init__(self, rules: Antecedent):
        self._months: deque[tuple[np.ndarray, np.ndarray]] = deque(maxlen=rules.memory_months + 1)

    def take_up(self, recursion: Recursion) -> np.ndarray:
        """Index (cell,) at the end of the month since whose start the recursion was restarted."""
        self._months.append(recursion.since_restart())
        index = np.zeros_like(self._months[0][0])
        for fell, left in self._months:
            index = index * left + fell
        return index


def _rank_among_years(
    values: np.ndarray, maxima: np.ndarray, *, own_year: np.ndarray, years: np.ndarray, min_years: int
) -> tuple[np.ndarray, np.ndarray]:
    """Percentile and status of arrays (..., time) against (..., year)."""
    percentile = np.full(values.shape, np.nan)
    long_enough = np.isfinite(maxima).sum(axis=-1) >= min_years
    for i, year in enumerate(own_year):
        others = maxima[..., years != year]
        x = values[..., i, None]
        n = np.isfinite(others).sum(axis=-1)
        rank = 1.0 + (others < x).sum(axis=-1) + 0.5 * (others == x).sum(axis=-1)
        enough = np.isfinite(values[..., i]) & long_enough
        percentile[..., i] = np.where(enough, gringorten(rank, n + 1.0), np.nan)
    ok = np.isfinite(percentile)
    return percentile, np.where(ok, np.int8(Status.ok), np.int8(Status.insufficient_data))
