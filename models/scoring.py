"""From an index to a hazard score 0-10 (10 worst), and from several scores to one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add

import numpy as np
import pandas as pd
import xarray as xr

from geodata.schema import KEEPS_VALUE, ContractError, Status, has_status, more_cautious, status_attrs, status_like
from models.composite import ANY, weighted_mean

Breakpoints = tuple[tuple[float, float], ...]

SPI_BREAKPOINTS: Breakpoints = ((3.0, 0.0), (0.0, 2.0), (-1.0, 4.0), (-1.5, 6.0), (-2.0, 8.0), (-3.0, 10.0))
"""Of a standardised index that is worse when low: class edges of WMO-No. 1090 at 4, 6 and 8."""

LOW_PERCENTILE: Breakpoints = ((1.0, 0.0), (0.5, 2.0), (0.2, 4.0), (0.1, 6.0), (0.05, 8.0), (0.02, 10.0))
HIGH_PERCENTILE: Breakpoints = ((0.0, 0.0), (0.5, 2.0), (0.8, 4.0), (0.9, 6.0), (0.95, 8.0), (0.98, 10.0))
"""Of a percentile that is worse when low, and of one that is worse when high: one year in 5, 10 and 20."""


def check_breakpoints(breakpoints: Sequence[tuple[float, float]]) -> None:
    """Raise ValueError unless the scores lie in 0-10 and rise, or fall, all the way along the index.

    >>> check_breakpoints([(0, 2), (-1, 1), (-2, 4)])
    Traceback (most recent call last):
        ...
    ValueError: breakpoints: scores [4.0, 1.0, 2.0] along the index, expected all rising or all falling
    """
    points = sorted((float(x), float(score)) for x, score in breakpoints)
    index, scores = [x for x, _ in points], [score for _, score in points]
    if len(points) < 2 or len(set(index)) < len(index):
        raise ValueError(f"breakpoints: index values {index}, expected two or more, all different")
    if min(scores) < 0 or max(scores) > 10:
        raise ValueError(f"breakpoints: scores {scores}, expected 0 to 10")
    steps = np.diff(scores)
    if not ((steps >= 0).all() or (steps <= 0).all()):
        raise ValueError(f"breakpoints: scores {scores} along the index, expected all rising or all falling")


def score_by_breakpoints(index: xr.DataArray, breakpoints: Sequence[tuple[float, float]]) -> xr.DataArray:
    """Score of an index: straight lines between (index, score) pairs, flat beyond the outermost; NaN stays NaN.

    Parameters
    ----------
    index : DataArray (any dims)
    breakpoints : pairs (index, score 0-10), in any order, scores all rising or all falling

    Returns
    -------
    DataArray, same dims (1, 0-10)

    Formula
    -------
    score = s_i + (x - x_i) (s_(i+1) - s_i) / (x_(i+1) - x_i) between the breakpoints (x_i, s_i), flat beyond them

    Limits
    ------
    * Breakpoints are choices; the block of the country file says whose. A 6 of one hazard is not the
      damage of a 6 of another.
    * A score is no probability and no loss. Beyond the outermost breakpoint all are alike.
    * The error of the index is in it: between two class edges of the SPI one standard deviation is about a point.

    References
    ----------
    The project's own; each block names the source of its breakpoints.

    >>> score_by_breakpoints(xr.DataArray([1.5, -1.25, -4.0, np.nan], dims="time"), SPI_BREAKPOINTS).values
    array([ 1.,  5., 10., nan])
    """
    check_breakpoints(breakpoints)
    points = sorted((float(x), float(score)) for x, score in breakpoints)
    xs, ys = (np.array(side) for side in zip(*points, strict=True))
    return xr.apply_ufunc(
        lambda v: np.interp(v, xs, ys), index, dask="parallelized", output_dtypes=[np.float64], keep_attrs=False
    )


def scaled_geometric_mean(scores: Sequence[xr.DataArray]) -> xr.DataArray:
    """Mean led by the worst of several scores; NaN parts are left out.

    Parameters
    ----------
    scores : DataArrays (any dims), 0-10, on the same labels

    Returns
    -------
    DataArray, same dims (1, 0-10)

    Formula
    -------
    score = 10 (1 - (g - 1) / 9),  g = geometric mean of 10 - 0.9 score_i

    Limits
    ------
    * It says that something is bad, not what: scores of 9 and 1 give 6.5, of 10 and 0 give 7.6.
    * A hazard that was not assessed is left out: the mean of two hazards of one place and of four of another
      are not quite the same thing.
    * Two hazards of one cause (drought and lack of water) count twice.

    References
    ----------
    INFORM, aggregation of natural hazards.

    >>> float(scaled_geometric_mean([xr.DataArray(8.0), xr.DataArray(2.0)]).round(3))
    5.787
    """
    return xr.apply_ufunc(
        lambda *parts: scaled_mean(np.stack(np.broadcast_arrays(*parts))),
        *scores,
        join="exact",
        dask="parallelized",
        output_dtypes=[np.float64],
        keep_attrs=False,
    )


def scaled_mean(parts: np.ndarray) -> np.ndarray:
    """`scaled_geometric_mean` of an array (part, ...)."""
    return weighted_mean(parts, np.full(len(parts), 1.0 / len(parts)), "scaled_geometric", needs=ANY)


def combine_hazards(hazards: xr.Dataset, names: Sequence[str]) -> xr.Dataset:
    """Score of all hazards together: scaled geometric mean of those assessed.

    Parameters
    ----------
    hazards : Dataset (time, pcode), ``hazard_<name>`` and ``hazard_<name>_status`` of each name
    names : names of the hazards declared; one that was never computed (no source) may be left out of the dataset

    Returns
    -------
    Dataset (time, pcode)
        ``hazard`` 0-10 and ``hazard_status``: the most cautious of the hazards assessed,
        insufficient_data where none is. ``hazards_known`` of ``hazards_declared`` stand behind it.
    """
    present = [n for n in names if f"hazard_{n}" in hazards]
    if not present:
        raise ContractError(f"hazards: none of {list(names)} was computed")
    score = scaled_geometric_mean([hazards[f"hazard_{n}"] for n in present])
    known = reduce(add, [hazards[f"hazard_{n}"].notnull().astype("float64") for n in present])
    counts = {
        "hazards_known": (known, "hazards that the combined hazard rests on"),
        "hazards_declared": (xr.full_like(known, len(names)), "hazards that the country file declares"),
    }
    told: dict[str, xr.DataArray] = {}
    for name, (count, label) in counts.items():
        told[name] = count.drop_attrs().assign_attrs(units="1", long_name=label)
        told[f"{name}_status"] = status_like(count)
    return xr.Dataset(
        told
        | {
            "hazard": score.assign_attrs(units="1", long_name="hazard, all assessed together (0-10)"),
            "hazard_status": cautious_status(
                [hazards[f"hazard_{n}_status"] for n in present], [hazards[f"hazard_{n}"] for n in present]
            ),
        }
    )


def cautious_status(flags: Sequence[xr.DataArray], values: Sequence[xr.DataArray]) -> xr.DataArray:
    """The most cautious flag of the parts that have a value; insufficient_data where none has."""
    kept = [xr.where(v.notnull(), f, np.int8(Status.ok)) for f, v in zip(flags, values, strict=True)]
    status = reduce(more_cautious, kept)
    known = reduce(lambda a, b: a | b, [v.notnull() for v in values])
    return xr.where(known, status, np.int8(Status.insufficient_data)).astype("int8").assign_attrs(status_attrs())


# ------------------------------------------------------------------ carrying a value forward


def carry_forward(values: xr.DataArray, status: xr.DataArray, *, max_age_days: int | None = None) -> xr.Dataset:
    """Fill the months after the last observed one with the latest informative value.

    A month that was observed and is not informative (``masked_dry_season``) stays as it is.

    Parameters
    ----------
    values, status : DataArray (time, ...), monthly
    max_age_days : int, optional
        A carried value older than this, from the end of its month to the end of the month it is
        carried to, is ``stale``: shown, and raising no alert.

    Returns
    -------
    Dataset (time, ...)
        ``value``, ``status``, ``age_months`` (0 where the value is of the month itself, NaN where none).
    """
    times = pd.DatetimeIndex(values.indexes["time"])
    ends = (times + pd.offsets.MonthEnd(0)).to_numpy()
    day = xr.DataArray((ends - ends[0]) / np.timedelta64(1, "D"), dims="time", coords={"time": values["time"]})
    month = xr.DataArray(np.asarray(times.year * 12.0 + times.month), dims="time", coords={"time": values["time"]})
    kept = has_status(status, KEEPS_VALUE) & values.notnull()
    unseen = has_status(status, {Status.input_missing, Status.insufficient_data})
    carried = values.where(kept).ffill("time")
    use = kept | (unseen & carried.notnull())
    age = (month - month.where(kept).ffill("time")).where(use)
    age_days = day - day.where(kept).ffill("time")
    flag = status.where(kept).ffill("time").fillna(int(Status.insufficient_data)).astype("int8")
    if max_age_days is not None:
        flag = xr.where((age > 0) & (age_days > max_age_days), np.int8(Status.stale), flag)
    return xr.Dataset(
        {
            "value": carried.where(use).transpose(*values.dims).assign_attrs(values.attrs),
            "status": xr.where(use, flag, status).astype("int8").transpose(*values.dims).assign_attrs(status_attrs()),
            "age_months": age.transpose(*values.dims).assign_attrs(units="months", long_name="age of the value"),
        }
    )
