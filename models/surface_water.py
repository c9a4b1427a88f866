"""Open water seen from satellites, and water stored: where a unit stands against its own record.

Nothing is compared between units: a lake is judged by its own years, each calendar month among its
like. A year without imagery, and a month of which too little was seen, are no observation of "dry".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import ndtr

from geodata.schema import ContractError, Status, require_units, status_like
from models.percentile import percentile_of_month

MIN_OBSERVED = 0.7
"""Share of a unit that must be seen for its water area to count."""


# ------------------------------------------------------------------ against the own record


def water_percentile(
    area: xr.DataArray,
    calibration: tuple[int, int],
    *,
    observed_share: xr.DataArray | None = None,
    min_observed: float = MIN_OBSERVED,
    years_without_imagery: Iterable[int] = (),
    detect: bool = True,
    since_year: int | None = None,
    min_years: int = 20,
    min_area_km2: float = 0.1,
) -> xr.Dataset:
    """Percentile of the water area among the calibration years, and its change from the median.

    Months are ranked within their own calendar month, years among years.

    Parameters
    ----------
    area : DataArray (time, pcode, ...), km2; one value per year, or per month
    calibration : (first year, last year), both included
    observed_share : DataArray (time, pcode, ...), 1, optional
        Share of the unit that was seen.
    min_observed : float
        A value of which less was seen, or of which it is not known, is no observation.
    years_without_imagery : years whose readings are no observation (declared)
    detect : bool
        Look for further such years with `find_years_without_imagery`, and leave them out too.
    since_year : int, optional
        Rank among the calibration years from here on only: a regulated river is not what it was.
    min_years : int
        Seen years a percentile needs.
    min_area_km2 : float, km2
        Units whose median, of the same month, lies below are usually dry: a percentile of a few
        pixels says nothing.

    Returns
    -------
    Dataset (time, pcode, ...)
        ``water_percentile`` (1, 0 least water) with its status, ``water_anomaly`` (1, area over
        median minus 1) with its status. Attributes, years in words separated by spaces:
        ``years_without_imagery`` those left out, ``years_found`` those of them that nobody declared,
        ``ranked_years`` first and last of those ranked against.

    Formula
    -------
    percentile = (r - 0.44) / (n + 0.12),  r = 1 + years with less + half of those with as much
    anomaly = area / median of the same month - 1

    Limits
    ------
    * Area, not volume: a deep lake loses water long before it loses area.
    * Open water alone: under reeds and trees it is missed, so that marshes read too small.
    * ``insufficient_data`` where less than 0.7 of the unit was seen, in years without imagery, with fewer than
      ``min_years`` seen years, and where the median lies below ``min_area_km2`` (a few pixels).
    * A year that is found without images may be one of great drought: nothing is told of it, nor is the year before
      told in its stead until the unit is seen again. For a declared year the one before stands, with its age.
    * The rule for such years is a threshold: one that stands just above it comes back, false zeros and all, where a
      few of its empty readings are lost. A year that is declared stays out.
    * In a river ruled by dams low water may be somebody's decision: ``since_year`` ranks within the present rule.
    * With 20 years it runs from 0.03 to 0.97.

    References
    ----------
    Gringorten 1963; years without imagery by the project's own rule (`find_years_without_imagery`).
    """
    require_units(area, "km2")
    seen, left_out = _seen(area, observed_share, min_observed, years_without_imagery, detect, min_area_km2)
    out = _rank("water", "open water area", seen, calibration, since_year, min_years, min_area_km2)
    return out.assign_attrs(**left_out)


def storage_percentile(
    storage: xr.DataArray,
    calibration: tuple[int, int],
    *,
    since_year: int | None = None,
    min_years: int = 20,
) -> xr.Dataset:
    """Percentile of a reservoir's storage, or of its area, within its calendar month, and its change from the median.

    A reservoir filled, raised or starved by a dam upstream has no one record: ``since_year`` ranks
    it among the years of its present regime, and ``ranked_years`` says which those are.

    Parameters
    ----------
    storage : DataArray (time, ...), any units of volume or area; one value per month, or per year
    calibration, since_year, min_years : as of `water_percentile`

    Returns
    -------
    Dataset (time, ...)
        ``storage_percentile`` (1, 0 emptiest) and ``storage_anomaly`` (1, storage over median minus
        1; insufficient_data where the median is 0), with statuses; attribute ``ranked_years``.

    Formula
    -------
    percentile = (r - 0.44) / (n + 0.12),  r = 1 + years with less + half of those with as much
    anomaly = storage / median of the same month - 1

    Limits
    ------
    * Given the area it says nothing of volume, and sediment makes both shrink for good (Mosul: about a tenth of
      its storage).
    * A rank among years, not months of supply: who draws how much is not in it.
    * It belongs to those whom the reservoir serves, if the country file names them; else to where the water lies.
    * ``insufficient_data`` with fewer than ``min_years`` years; with 20 it runs from 0.03 to 0.97.

    References
    ----------
    Gringorten 1963. Sediment of Mosul: Khattab 2017.
    """
    return _rank("storage", "storage", storage, calibration, since_year, min_years, 0.0)


def water_trend(
    area: xr.DataArray,
    *,
    observed_share: xr.DataArray | None = None,
    min_observed: float = MIN_OBSERVED,
    years_without_imagery: Iterable[int] = (),
    detect: bool = True,
    min_years: int = 20,
    min_area_km2: float = 0.1,
) -> xr.Dataset:
    """Trend of a unit's water area over its own record: Theil-Sen slope and Mann-Kendall test.

    Of a monthly record the calendar months are compared each with its like, and their slopes and
    counts pooled (seasonal Kendall), so that a season is no trend.

    Parameters
    ----------
    area : DataArray (time, ...), km2; the record up to the month that is asked about
    observed_share, min_observed, years_without_imagery, detect : as of `water_percentile`
    min_years : int
        Seen years a trend needs.
    min_area_km2 : float, km2
        Units that never held as much have no trend.

    Returns
    -------
    Dataset (...), each with its status
        ``water_trend`` (km2/year), ``water_trend_p`` (1, two-sided), ``water_trend_s`` (1, Kendall's S:
        rises minus falls over all pairs of years), ``water_trend_years`` (1, years seen). Attributes as of
        `water_percentile`.

    Formula
    -------
    slope = median of (x_j - x_i) / (t_j - t_i) over pairs of years i < j of the same month
    S = sum of sign(x_j - x_i),  var(S) = sum over months of [n (n - 1) (2 n + 5) - sum of t (t - 1) (2 t + 5)] / 18
    Z = (S - sign S) / sqrt(var(S)),  p = 2 Phi(-|Z|);  t years alike

    Limits
    ------
    * The p-value is nominal. Years of water follow each other: with autocorrelation a trend is found more often
      than p says; and the months of a year share one fate, which var(S) leaves out.
    * A change of regime (a dam, a diversion) is a step, which a slope cannot tell.
    * It is of the record, 20 years at least, and not to be carried on into the future.
    * Units that never held ``min_area_km2`` have none.

    References
    ----------
    Theil 1950; Sen 1968; Mann 1945; Kendall 1975 (ties); Hirsch, Slack and Smith 1982 (seasons).
    """
    require_units(area, "km2")
    seen, left_out = _seen(area, observed_share, min_observed, years_without_imagery, detect, min_area_km2)
    times = pd.DatetimeIndex(area.indexes["time"])
    if times.to_period("M").has_duplicates:
        raise ContractError(f"{area.name}: a month stands twice on the time axis")
    slope, p, s, years = xr.apply_ufunc(
        _kendall,
        seen,
        input_core_dims=[["time"]],
        output_core_dims=[[]] * 4,
        kwargs={"year": np.asarray(times.year), "month": np.asarray(times.month)},
        keep_attrs=False,
        dask="parallelized",
        output_dtypes=[np.float64] * 4,
        dask_gufunc_kwargs={"allow_rechunk": True},
    )
    enough = (years >= min_years) & slope.notnull() & (seen.max("time") >= min_area_km2)
    return xr.Dataset(
        {
            **_with_status("water_trend", slope.where(enough), "trend of the open water area", "km2/year"),
            **_with_status("water_trend_p", p.where(enough), "probability of such a trend by chance (nominal)"),
            **_with_status("water_trend_s", s.where(enough), "Kendall's S"),
            **_with_status("water_trend_years", years, "years seen"),
        },
        attrs=left_out,
    )


def surface_water_supply_index(percentiles: xr.Dataset, weights: Mapping[str, float]) -> xr.Dataset:
    """Surface Water Supply Index: snow, rain, flow and storage in one number, each by its percentile.

    Parameters
    ----------
    percentiles : Dataset (time, ...), 1 (0 least water)
        Such as snow, rain, stream flow and storage.
    weights : mapping of names of those variables to weights 0 to 1 that sum to 1

    Returns
    -------
    Dataset (time, ...)
        ``swsi`` (1, -4.17 driest to +4.17) and its status: unknown wherever a part with a weight is,
        because the other parts' weights were not made to do without it.

    Raises
    ------
    ValueError
        If a weight is negative, of something that is not there, or they do not sum to 1.

    Formula
    -------
    SWSI = (w_snow P_snow + w_rain P_rain + w_flow P_flow + w_storage P_storage - 50) / 12
    P percentile in %, weights w that sum to 1

    Limits
    ------
    * The weights are judgement: they differ by basin and season, and so does what a value means. Do not
      compare basins.
    * Unknown wherever a part with a weight is: other weights would be another index.
    * Percentiles of a regulated river compare with its past rule (`storage_percentile`, ``since_year``).

    References
    ----------
    Shafer and Dezman 1982, Western Snow Conference.
    """
    absent = sorted(set(weights) - set(map(str, percentiles.data_vars)))
    if absent or min(weights.values(), default=-1.0) < 0 or abs(sum(weights.values()) - 1.0) > 1e-9:
        raise ValueError(
            f"weights: found {dict(weights)}, expected 0 or more of what is there, sum 1 (absent: {absent})"
        )
    index = xr.zeros_like(percentiles[next(iter(weights))]) - 50.0 / 12.0
    for name, weight in weights.items():
        require_units(percentiles[name], "1")
        if weight > 0:
            index = index + weight * 100.0 * percentiles[name] / 12.0
    return xr.Dataset(_with_status("swsi", index, "surface water supply index"))


# ------------------------------------------------------------------ years nobody saw


def find_years_without_imagery(
    area: xr.DataArray, *, min_area_km2: float = 0.1, emptied: float = 0.05, share: float = 0.3, min_units: int = 10
) -> tuple[int, ...]:
    """Years in which too many usually wet units read almost nothing at once.

    A drought empties some lakes; only a missing image empties a third of a country's units to
    a twentieth of their median in one year.

    Parameters
    ----------
    area : DataArray (time, pcode, ...), km2
    min_area_km2 : float, km2
        Units whose median over the record, of the same month, reaches this are usually wet.
    emptied : float
        Share of the unit's own median of that month below which it counts as empty.
    share : float
        Share of usually wet units that must be empty.
    min_units : int
        Usually wet units that there must be: of three lakes, one that falls dry would be a third.

    Returns
    -------
    tuple of int, years in order
    """
    # each month against its own: a lake that shrinks every August is not a lake nobody looked at
    months = area["time"].dt.month
    median = area.groupby(months).median("time").sel(month=months).drop_vars("month")
    wet = median >= min_area_km2
    units = [d for d in area.dims if d != "time"]
    if int(wet.any("time").sum()) < min_units:
        return ()
    empty = (area < emptied * median) & wet
    reading = area.notnull() & wet
    lost = empty.sum(units) / reading.sum(units).clip(min=1)
    years = pd.Series(np.asarray(lost), index=np.asarray(area["time"].dt.year)).groupby(level=0).max()
    return tuple(int(y) for y in years.index[years > share])


def _seen(
    area: xr.DataArray,
    observed_share: xr.DataArray | None,
    min_observed: float,
    years_without_imagery: Iterable[int],
    detect: bool,
    min_area_km2: float,
) -> tuple[xr.DataArray, dict[str, str]]:
    """Area where and when it was observed, and the years left out, as attributes."""
    if observed_share is not None:
        require_units(observed_share, "1")
        area = area.where((observed_share >= min_observed).transpose(*area.dims))
    declared = sorted(set(years_without_imagery))
    found = find_years_without_imagery(area, min_area_km2=min_area_km2) if detect else ()
    undeclared = [y for y in found if y not in declared]
    left_out = [*declared, *undeclared]
    seen = area.where(~area["time"].dt.year.isin(left_out))
    return seen, {"years_without_imagery": _words(sorted(left_out)), "years_found": _words(undeclared)}


def _words(years: Iterable[int]) -> str:
    return " ".join(str(y) for y in years)


# ------------------------------------------------------------------ beneath


def _with_status(name: str, values: xr.DataArray, label: str, units: str = "1") -> dict[str, xr.DataArray]:
    """A variable and its status: insufficient_data where there is no number."""
    values = values.drop_attrs().assign_attrs(units=units, long_name=label)
    return {name: values, f"{name}_status": status_like(values)}


def _rank(
    name: str,
    label: str,
    seen: xr.DataArray,
    calibration: tuple[int, int],
    since_year: int | None,
    min_years: int,
    min_median: float,
) -> xr.Dataset:
    """Percentile within the calendar month, and departure from its median, of values that were observed."""
    first, last = max(calibration[0], since_year or calibration[0]), calibration[1]
    if first > last:
        raise ContractError(f"{seen.name}: since_year {since_year} lies after the calibration, {first} > {last}")
    months = seen["time"].dt.month
    inside = seen.where(seen["time"].dt.year.isin(range(first, last + 1)))
    median = inside.groupby(months).median().sel(month=months).drop_vars("month")
    ranked = percentile_of_month(seen, (first, last), min_years=min_years)
    ok = (median >= min_median) & (ranked["status"] == int(Status.ok))
    variables = {
        f"{name}_percentile": ranked["percentile"].where(ok),
        f"{name}_anomaly": (seen / median.where(median > 0) - 1.0).where(ok),
    }
    labels = (f"percentile of the {label}", f"{label} against its median, relative")
    out = xr.Dataset(attrs={"ranked_years": f"{first}-{last}"})
    for (variable, values), words in zip(variables.items(), labels, strict=True):
        out = out.assign(_with_status(variable, values.transpose(*seen.dims), words))
    return out


def _kendall(values: np.ndarray, *, year: np.ndarray, month: np.ndarray) -> tuple[np.ndarray, ...]:
    """Theil-Sen slope per year, Mann-Kendall p, S, and years seen, of an array (..., time)."""
    s, variance = np.zeros(values.shape[:-1]), np.zeros(values.shape[:-1])
    slopes = []
    for m in np.unique(month):
        rows = np.flatnonzero(month == m)
        rows = rows[np.argsort(year[rows])]
        x = np.ascontiguousarray(values[..., rows], dtype=np.float64)
        earlier, later = np.triu_indices(len(rows), k=1)
        rise = x[..., later] - x[..., earlier]
        slopes.append(rise / (year[rows][later] - year[rows][earlier]))
        s += np.nansum(np.sign(rise), axis=-1)
        variance += _variance_of_s(x)
    with np.errstate(invalid="ignore", divide="ignore"):
        z = np.where(s == 0, 0.0, (s - np.sign(s)) / np.sqrt(variance))
    seen = [np.isfinite(values[..., year == y]).any(axis=-1) for y in np.unique(year)]
    return _median(np.concatenate(slopes, axis=-1)), 2.0 * ndtr(-np.abs(z)), s, np.sum(seen, axis=0).astype(np.float64)


def _variance_of_s(x: np.ndarray) -> np.ndarray:
    """Variance of S of independent values (..., time): n (n - 1) (2 n + 5) / 18, less that of each group of ties."""
    n = np.isfinite(x).sum(axis=-1)
    alike = (x[..., :, None] == x[..., None, :]).sum(axis=-1)  # 0 for a gap: NaN is not alike itself
    ties = np.where(alike > 0, (alike - 1) * (2 * alike + 5), 0).sum(axis=-1)
    return (n * (n - 1) * (2 * n + 5) - ties) / 18.0


def _median(values: np.ndarray) -> np.ndarray:
    """Median of the finite values of the last axis, NaN where there is none."""
    ordered = np.sort(values, axis=-1)  # NaN last
    n = np.isfinite(ordered).sum(axis=-1)
    if ordered.shape[-1] == 0:
        return np.full(n.shape, np.nan)
    low, high = (np.take_along_axis(ordered, k[..., None], -1)[..., 0] for k in (np.maximum(n - 1, 0) // 2, n // 2))
    return np.where(n > 0, (low + high) / 2.0, np.nan)
