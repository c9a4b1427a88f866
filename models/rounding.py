"""Rounding on publication: half up, once, and parts that add up to the printed total.

Scores are computed unrounded and rounded here alone, so that a printed value never depends
on how often it was rounded on the way.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from geodata.schema import ContractError

Numbers = TypeVar("Numbers", float, npt.NDArray[Any], pd.Series, xr.DataArray)

SUM_TOLERANCE = 1e-6
"""How far parts may be from their total before it is a fault; contributions keep 1e-9."""

_SNAP = 1e-9  # of one printed unit: closer to a whole unit than this is binary noise


def round_half_up(x: Numbers, ndigits: int = 1) -> Numbers:
    """Round half up, as the number is written: 5.25 -> 5.3, 4.45 -> 4.5, 2.675 -> 2.68.

    A tie is judged on the shortest decimal that names the number (its ``repr``), as a reader
    with pencil would, and not on the binary fraction behind it; ties go away from zero
    (``decimal.ROUND_HALF_UP``), so the sign never changes the digits. NaN and infinities
    pass; a rounded zero has no sign.

    Parameters
    ----------
    x : float, ndarray, Series or DataArray (any dims), any unit
        Unrounded; dask-backed arrays stay lazy.
    ndigits : int >= 0
        Decimals kept.

    Returns
    -------
    same type and dims as ``x``
        float64, same unit.

    >>> round_half_up(5.25), round_half_up(4.45), round_half_up(2.675, 2), round_half_up(-0.25)
    (5.3, 4.5, 2.68, -0.3)
    >>> round_half_up(np.array([0.05, -0.04, np.nan]))
    array([0.1, 0. , nan])
    """
    if isinstance(x, xr.DataArray):
        return xr.apply_ufunc(
            _rounded, x, kwargs={"ndigits": ndigits}, dask="parallelized", output_dtypes=["float64"], keep_attrs=True
        )
    if isinstance(x, pd.Series):
        return pd.Series(_rounded(x.to_numpy(), ndigits), index=x.index, name=x.name)
    rounded = _rounded(np.asarray(x), ndigits)
    return rounded if isinstance(x, np.ndarray) else float(rounded)


def largest_remainder(
    parts: pd.DataFrame | npt.NDArray[Any], total: pd.Series | npt.NDArray[Any] | float, ndigits: int = 1
) -> Any:
    """Round parts so that what is printed adds up to the printed total.

    Each part is taken down to a whole printed unit, and the units still owed to the rounded
    total go to the largest remainders, the first of equals first (Hamilton's method). So no
    part moves by a whole unit, whatever its sign, and a part that is already a printed
    number is left alone.

    Parameters
    ----------
    parts : DataFrame or ndarray (..., part)
        Unrounded, may be negative; NaN is no part and stays NaN.
    total : Series or ndarray (...)
        Unrounded sum of the parts; NaN where there is none to print.
    ndigits : int >= 0
        Decimals printed.

    Returns
    -------
    same type and shape as ``parts``
        Rows sum to ``round_half_up(total, ndigits)``; all NaN where the total is NaN.

    >>> largest_remainder(np.array([1.04, 1.04, 1.04]), 3.12)
    array([1.1, 1. , 1. ])
    """
    values = np.asarray(parts, dtype="float64")
    if isinstance(parts, pd.DataFrame) and isinstance(total, pd.Series):
        total = total.reindex(parts.index)
    whole = np.asarray(total, dtype="float64")
    units, scale = np.where(np.isnan(values), 0.0, values), 10.0**ndigits
    _check_sum(units.sum(axis=-1), whole, has_part=~np.isnan(values).all(axis=-1))
    exact = _snapped(units * scale)
    floor = np.floor(exact)
    owed = np.where(np.isnan(whole), 0.0, np.round(_rounded(whole, ndigits) * scale)) - floor.sum(axis=-1)
    # A NaN part sorts last and so never receives a unit: at most as many units are owed
    # as there are parts with a remainder.
    remainder = np.where(np.isnan(values), -1.0, exact - floor)
    rank = np.argsort(np.argsort(-remainder, axis=-1, kind="stable"), axis=-1, kind="stable")
    printed = (floor + (rank < owed[..., np.newaxis])) / scale + 0.0
    printed = np.where(np.isnan(values) | np.isnan(whole)[..., np.newaxis], np.nan, printed)
    if isinstance(parts, pd.DataFrame):
        return pd.DataFrame(printed, index=parts.index, columns=parts.columns)
    return printed


def _rounded(x: npt.NDArray[Any], ndigits: int) -> npt.NDArray[np.float64]:
    if ndigits < 0:
        raise ContractError(f"ndigits: found {ndigits}, expected 0 or more")
    scale = 10.0**ndigits
    with np.errstate(invalid="ignore", over="ignore"):
        size = np.abs(x.astype("float64")) * scale
        units = np.floor(size + 0.5)
        resolution = np.finfo(x.dtype).eps if x.dtype.kind == "f" else np.finfo("float64").eps
        near_tie = np.abs(size - np.floor(size) - 0.5) <= 4 * resolution * np.maximum(size, 1.0)
    near_tie &= np.isfinite(size)
    if near_tie.any():
        units = np.where(near_tie, 0.0, units)
        units[near_tie] = [_units_as_written(v, ndigits) for v in x[near_tie]]
    # Beyond 2**53 printed units every number is whole already.
    rounded = np.where(size < 2.0**53, np.sign(x) * units / scale, x)
    return rounded + 0.0


def _units_as_written(value: Any, ndigits: int) -> float:
    written = Decimal(str(value)).copy_abs().scaleb(ndigits)
    return float(written.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def _snapped(units: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    nearest = np.round(units)
    return np.where(np.abs(units - nearest) <= _SNAP * np.maximum(np.abs(units), 1.0), nearest, units)


def _check_sum(
    sums: npt.NDArray[np.float64], total: npt.NDArray[np.float64], *, has_part: npt.NDArray[np.bool_]
) -> None:
    gap = np.where(np.isnan(total), 0.0, np.abs(sums - total))
    if (gap > SUM_TOLERANCE).any() or (~has_part & ~np.isnan(total)).any():
        raise ContractError(f"parts: sum differs from the total by up to {gap.max():g}, expected {SUM_TOLERANCE:g}")
