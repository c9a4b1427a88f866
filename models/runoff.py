"""Storm runoff by the curve-number method of the Soil Conservation Service (SCS-CN), for daily rain only.

The method is one of storms: a month's rain put into it as one storm gives several times the
runoff. So rain in other units than mm/day, or on another axis than days, is refused.

Runoff is computed for each class of land in a cell and then averaged by area, never for the mean
curve number. Runoff is convex in the retention S, so that the mean retention gives too little; in
the curve number itself it is convex for small storms and concave for large ones (land of 60 and 100
in halves yields 59.3 mm of 100 mm, the mean of 80 gives 50.5; of 300 mm they yield 231, and 80 gives
235), so that no such rule holds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

from geodata.schema import ContractError, Status, require_units, status_attrs
from models.accumulation import sum_rows
from models.daily import COMPLETE, Blocks, days_of, float_type, month_blocks, over_cells
from models.heavy_rain import Antecedent, Recursion

CLASSES = "curve_number_class"
"""Dimension of the land classes of a cell; its coordinate holds their curve numbers."""

RAIN_LIMITS_MM = (35.6, 53.3)
"""Rain of five days below which the soil is dry, and above which it is wet, in the growing season (1.4 and 2.1 inches).

In the dormant season 12.7 and 27.9 mm. National Engineering Handbook, Section 4, 1972, table 4.2.
"""

_DRY, _NORMAL, _WET, _UNKNOWN = range(4)
_ANTECEDENT_DAYS = 5


@dataclass(frozen=True)
class RunoffRules:
    """How storms become runoff.

    Parameters
    ----------
    moisture : "normal", "rain" or "api"
        Soil before the storm: always of class II; by the rain of the five days before; by the
        antecedent precipitation index of the day before.
    limits_mm : (float, float), mm
        Rain or index below which the soil is dry (class I) and above which it is wet (class III).
        There is no usual value for the index, so "api" needs its own.
    initial_share : float
        Share of the retention that is lost before any runoff: 0.2. (Numbers for 0.05 need converted
        curve numbers.)
    min_days : float, share of a month's days whose runoff must be known
    min_cover : float, share of a cell whose curve number must be known
    antecedent : Antecedent, the index behind "api"
    """

    moisture: Literal["normal", "rain", "api"] = "normal"
    limits_mm: tuple[float, float] | None = None
    initial_share: float = 0.2
    min_days: float = COMPLETE
    min_cover: float = 0.95
    antecedent: Antecedent = field(default_factory=Antecedent)

    def __post_init__(self) -> None:
        if self.moisture == "api" and self.limits_mm is None:
            raise ContractError("runoff: moisture 'api' without limits_mm, expected the two limits of the index")
        dry, wet = self.limits
        if not 0 <= dry < wet:
            raise ContractError(f"runoff: limits_mm {self.limits}, expected the dry one below the wet one")

    @property
    def limits(self) -> tuple[float, float]:
        """Limits of a dry and a wet soil."""
        return self.limits_mm or RAIN_LIMITS_MM


DEFAULT_RULES = RunoffRules()


# ------------------------------------------------------------------ the method


def retention_mm(curve_number: Any) -> Any:
    """Potential retention S = 25400 / CN - 254, mm.

    >>> float(retention_mm(80))
    63.5
    """
    with np.errstate(divide="ignore"):
        return 25400.0 / np.asarray(curve_number, dtype=np.float64) - 254.0


def dry_curve_number(curve_number: Any) -> Any:
    """Curve number of dry soil (class I): 4.2 CN / (10 - 0.058 CN).

    >>> round(float(dry_curve_number(80)), 2)
    62.69
    """
    return 4.2 * curve_number / (10.0 - 0.058 * curve_number)


def wet_curve_number(curve_number: Any) -> Any:
    """Curve number of wet soil (class III): 23 CN / (10 + 0.13 CN).

    >>> round(float(wet_curve_number(80)), 2)
    90.2
    """
    return 23.0 * curve_number / (10.0 + 0.13 * curve_number)


def storm_runoff(rain_mm: Any, curve_number: Any, initial_share: float = 0.2) -> Any:
    """Runoff of one storm by the curve number of the land (SCS-CN).

    Parameters
    ----------
    rain_mm : array, mm, of one storm
    curve_number : array, 0 to 100
    initial_share : float, Ia / S

    Returns
    -------
    array, mm; NaN where the rain is

    Formula
    -------
    Q = (P - Ia)^2 / (P - Ia + S) where P > Ia, else 0
    S = 25400 / CN - 254 mm,  Ia = 0.2 S
    dry soil: CN1 = 4.2 CN / (10 - 0.058 CN);  wet soil: CN3 = 23 CN / (10 + 0.13 CN)

    Limits
    ------
    * One storm of a day or less. A month's rain put in as one storm gives several times the runoff.
    * It knows neither how hard it rained nor how long, nor slope, nor frozen or crusted ground.
    * Curve numbers come from tables of American farmland; 5 more or less halve or double the runoff of 30 mm.
    * A share of 0.05 in place of 0.2 needs curve numbers converted for it.

    References
    ----------
    Soil Conservation Service 1972, National Engineering Handbook, Section 4.

    >>> storm_runoff(np.array([10.0, 100.0]), 80).round(2)
    array([ 0.  , 50.54])
    """
    return _runoff(np.asarray(rain_mm, dtype=np.float64), retention_mm(curve_number), initial_share)


def _runoff(rain: np.ndarray, retention: np.ndarray, initial_share: float) -> np.ndarray:
    with np.errstate(invalid="ignore"):  # a curve number of 0 retains everything: inf
        excess = rain - initial_share * retention
        return np.where(np.isnan(rain), np.nan, np.where(excess > 0, excess**2 / (excess + retention), 0.0))


# ------------------------------------------------------------------ daily rain of cells


def daily_runoff(daily: xr.DataArray, land: xr.DataArray, rules: RunoffRules = DEFAULT_RULES) -> xr.Dataset:
    """Runoff of each day.

    Parameters
    ----------
    daily : DataArray (time, ...), mm/day, consecutive days, NaN where not seen
    land : DataArray (...) or (curve_number_class, ...)
        Curve number of each cell; or the share of its area (0 to 1) in each class, whose curve
        number is the coordinate, as `land_shares` gives it. NaN, or no share, where unknown.
    rules : RunoffRules

    Returns
    -------
    Dataset (time, ...)
        ``runoff`` (mm/day) with ``runoff_status``: input_missing where the curve number of the cell is unknown,
        insufficient_data on days whose rain was not seen, or where it is unknown how wet the soil
        was and the storm is large enough for this to matter.

    Raises
    ------
    ContractError
        Rain that is not daily, or a curve number outside 0-100.
    """
    require_units(daily, "mm/day")
    days = days_of(daily)
    labels = pd.DatetimeIndex(daily.indexes["time"], name="time")
    kernel = _Kernel(days, month_blocks(days), rules)
    (runoff,) = over_cells(kernel.by_day, _inputs(daily, land), labels, [float_type(daily)])
    attrs = {"units": "mm/day", "long_name": "storm runoff"}
    return _described({"runoff": runoff.assign_attrs(attrs)}, daily, land, rules)


def monthly_runoff(daily: xr.DataArray, land: xr.DataArray, rules: RunoffRules = DEFAULT_RULES) -> xr.Dataset:
    """Highest one-day runoff of each month, and its total.

    Parameters and Raises as of `daily_runoff`.

    Returns
    -------
    Dataset (time = month starts, ...)
        ``runoff_max`` (mm/day) and ``runoff_total_mm`` (mm), with statuses as of `daily_runoff`. A month needs the
        runoff of 95 % of its days; a day without it adds nothing.

    Formula
    -------
    Q_d = sum over classes of land of share x Q(P_d, CN),  Q that of a storm (SCS-CN)
    highest = max Q_d,  total = sum of Q_d over the days of the month

    Limits
    ------
    * What `storm_runoff` cannot say, it cannot. Runoff of a cell is not the flow of a river: nothing is routed.
    * Where it follows the rain of the five days before, the wetness of the soil is one of three classes, and its
      limits (35.6 and 53.3 mm) are those of the American growing season.
    * ``input_missing`` where less than 95 % of a cell has a curve number; ``insufficient_data`` where fewer
      than 95 % of the days are known. A day that is not known adds nothing: the sum is "at least".
    * Not calibrated by any gauge, and scored in no hazard.

    References
    ----------
    Soil Conservation Service 1972, National Engineering Handbook, Section 4.
    """
    require_units(daily, "mm/day")
    days = days_of(daily)
    months = month_blocks(days)
    kernel = _Kernel(days, months, rules)
    highest, total = over_cells(kernel.by_month, _inputs(daily, land), months.labels, [float_type(daily)] * 2)
    named = {
        "runoff_max": highest.assign_attrs(units="mm/day", long_name="highest one-day storm runoff"),
        "runoff_total_mm": total.assign_attrs(units="mm", long_name="storm runoff of the month"),
    }
    return _described(named, daily, land, rules)


def land_shares(curve_number: xr.DataArray, cells: xr.DataArray) -> xr.DataArray:
    """Share of the area of each rain cell in each curve number of a finer raster.

    Parameters
    ----------
    curve_number : DataArray (lat, lon), degree; evenly spaced, NaN where unknown
    cells : DataArray (..., lat, lon), the raster of rain, for its coordinates

    Returns
    -------
    DataArray (curve_number_class, lat, lon), 0 to 1; what is missing from 1 is unknown

    Raises
    ------
    ContractError
        A curve number outside 0-100, or a grid of one row or column.
    """
    fine = curve_number.transpose("lat", "lon")
    numbers = _checked(np.unique(fine.values[~np.isnan(fine.values)]))
    rows = _overlap(np.sin(np.radians(_edges(cells["lat"]))), np.sin(np.radians(_edges(fine["lat"]))))
    columns = _overlap(_edges(cells["lon"]), _edges(fine["lon"]))
    shares = [rows @ (fine.values == number) @ columns.T for number in numbers]
    coords = {CLASSES: numbers, "lat": cells["lat"].values, "lon": cells["lon"].values}
    shape = (len(numbers), len(rows), len(columns))
    return xr.DataArray(np.reshape(shares, shape), dims=(CLASSES, "lat", "lon"), coords=coords, attrs={"units": "1"})


def _edges(centres: xr.DataArray) -> np.ndarray:
    """Pairs (cell, 2) of lower and upper edge."""
    values = centres.values.astype(np.float64)
    if len(values) < 2:
        raise ContractError(f"grid: {len(values)} {centres.name}, expected two or more to tell the cell size")
    half = abs(values[-1] - values[0]) / (len(values) - 1) / 2
    return np.stack([values - half, values + half], axis=1)


def _overlap(of: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Share of each interval (n, 2) that lies in each of the others (m, 2). Returns: array (n, m)."""
    low = np.maximum(of[:, None, 0], parts[None, :, 0])
    high = np.minimum(of[:, None, 1], parts[None, :, 1])
    return np.clip(high - low, 0.0, None) / (of[:, 1] - of[:, 0])[:, None]


def _checked(numbers: np.ndarray) -> np.ndarray:
    known = numbers[~np.isnan(numbers)]
    if known.size and (known.min() < 0 or known.max() > 100):
        raise ContractError(f"curve number: found {known.min():g} to {known.max():g}, expected 0 to 100")
    return numbers


def _by_class(land: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Curve number and share of area of each class, both with dimension `CLASSES`."""
    if CLASSES not in land.dims:
        _checked(land.values)
        number = land.expand_dims({CLASSES: [0]}).drop_vars(CLASSES)
        return number, number.notnull().astype(np.float64)
    number = xr.DataArray(_checked(land[CLASSES].values.astype(np.float64)), dims=CLASSES)
    return number, land.drop_vars(CLASSES).fillna(0.0)


def _inputs(daily: xr.DataArray, land: xr.DataArray) -> list[tuple[xr.DataArray, tuple[str, ...]]]:
    number, share = _by_class(land)
    return [(daily, ("time",)), (number, (CLASSES,)), (share, (CLASSES,))]


def _described(
    values: dict[str, xr.DataArray], daily: xr.DataArray, land: xr.DataArray, rules: RunoffRules
) -> xr.Dataset:
    _, share = _by_class(land)
    covered = share.sum(CLASSES) >= rules.min_cover
    out: dict[str, xr.DataArray] = {}
    for name, found in values.items():
        unknown = xr.where(covered, np.int8(Status.insufficient_data), np.int8(Status.input_missing))
        status = xr.where(found.notnull(), np.int8(Status.ok), unknown).astype("int8").transpose(*daily.dims)
        out |= {name: found, f"{name}_status": status.assign_attrs(status_attrs())}
    return xr.Dataset(out)


# ------------------------------------------------------------------ numpy beneath


class _Kernel:
    """Runoff of rain (day, cell) on land (class, cell), month after month."""

    def __init__(self, days: pd.DatetimeIndex, months: Blocks, rules: RunoffRules):
        self._days, self._months, self._rules = days, months, rules

    def by_day(self, rain: np.ndarray, number: np.ndarray, share: np.ndarray) -> tuple[np.ndarray]:
        """Runoff (day, cell), NaN where unknown."""
        return (np.concatenate(list(self._each_month(rain, number, share))),)

    def by_month(self, rain: np.ndarray, number: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Highest runoff of a day and total (month, cell), NaN where too few days are known."""
        highest, total = np.empty((2, len(self._months.labels), rain.shape[1]))
        for i, runoff in enumerate(self._each_month(rain, number, share)):
            unknown = np.isnan(runoff)
            known = len(runoff) - unknown.sum(axis=0) >= self._rules.min_days * self._months.lengths[i]
            filled = np.where(unknown, 0.0, runoff)
            highest[i] = np.where(known, filled.max(axis=0), np.nan)
            total[i] = np.where(known, sum_rows(filled), np.nan)
        return highest, total

    def _each_month(self, rain: np.ndarray, number: np.ndarray, share: np.ndarray) -> Any:
        cover = sum_rows(share)
        with np.errstate(divide="ignore", invalid="ignore"):
            weight = np.where(cover >= self._rules.min_cover, share / cover, np.nan)
        land = _Land(number, weight, self._rules.initial_share)
        recursion = Recursion(self._rules.antecedent, self._days, rain.shape[1])
        for start, stop in self._months.rows:
            yield land.runoff(rain[start:stop], self._moisture(rain, start, stop, recursion))

    def _moisture(self, rain: np.ndarray, start: int, stop: int, recursion: Recursion) -> np.ndarray:
        """Class of the soil before each of these days (day, cell)."""
        if self._rules.moisture == "normal":
            return np.full((stop - start, rain.shape[1]), _NORMAL, dtype=np.int8)
        before = (
            _rain_before(rain, start, stop) if self._rules.moisture == "rain" else recursion.before(rain[start:stop])
        )
        dry, wet = self._rules.limits
        known = np.where(before < dry, _DRY, np.where(before > wet, _WET, _NORMAL))
        return np.where(np.isnan(before), _UNKNOWN, known).astype(np.int8)


def _rain_before(rain: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Rain of the five days before each day from start to stop; NaN if one of them was not seen."""
    total = np.zeros((stop - start, rain.shape[1]))
    for back in range(1, _ANTECEDENT_DAYS + 1):
        first = max(back - start, 0)
        total[:first] = np.nan
        total[first:] += rain[max(start - back, 0) : stop - back]
    return total


class _Land:
    """Retention of each class of land (class, cell) under dry, normal and wet soil, and its share of the cell."""

    def __init__(self, number: np.ndarray, weight: np.ndarray, initial_share: float):
        present = np.flatnonzero((weight > 0).any(axis=1))
        number, self._weight = number[present], weight[present]
        self._unknown = np.isnan(weight).all(axis=0)
        self._retention = np.stack([retention_mm(f(number)) for f in (dry_curve_number, np.asarray, wet_curve_number)])
        self._initial = initial_share
        least = np.where(self._weight > 0, self._retention[_WET], np.inf).min(axis=0, initial=np.inf)
        self._no_runoff_mm = initial_share * least  # rain up to which no class, however wet, yields runoff

    def runoff(self, rain: np.ndarray, moisture: np.ndarray) -> np.ndarray:
        """Runoff (day, cell): most days have none, so only storms are worked on."""
        out = np.where(np.isnan(rain) | self._unknown, np.nan, 0.0)
        day, cell = np.nonzero(rain > self._no_runoff_mm)
        storm, soil = rain[day, cell].astype(np.float64), moisture[day, cell]
        total = np.where(soil == _UNKNOWN, np.nan, 0.0)
        soil = np.where(soil == _UNKNOWN, _NORMAL, soil)
        for i, weight in enumerate(self._weight):
            retention = self._retention[soil, i, cell]
            total += np.where(weight[cell] > 0, weight[cell] * _runoff(storm, retention, self._initial), 0.0)
        out[day, cell] = total
        out[:, self._unknown] = np.nan
        return out
