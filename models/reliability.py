"""Lack of reliability: how much of a unit's score rests on what is missing, old or too coarse."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import xarray as xr

from geodata.schema import KEEPS_VALUE, has_status

OLDEST_YEARS = 5.0
"""Age at which an input counts as fully out of date."""

ENOUGH_CELLS = 4.0
"""Effective number of raster cells in a unit from which resolution is no limit."""


def lack_of_reliability(
    missing_share: xr.DataArray, median_age_years: xr.DataArray, n_eff: xr.DataArray
) -> xr.DataArray:
    """Lack of reliability 0-10, 10 worst: missing 50 %, age 30 %, resolution 20 %.

    An age or a resolution that is not known counts as the worst one: not to know is no ground for trust.

    Parameters
    ----------
    missing_share : DataArray (pcode) or (time, pcode), 1; indicators declared for the country and absent in the unit
    median_age_years : DataArray, same dims, years; of the inputs that are there
    n_eff : DataArray, same dims, 1; effective number of raster cells in the unit

    Returns
    -------
    DataArray, 0-10

    References
    ----------
    INFORM's lack of reliability index in spirit (missing, out of date), not in formula.

    >>> float(lack_of_reliability(xr.DataArray(0.5), xr.DataArray(2.5), xr.DataArray(2.0)))
    5.0
    """
    missing = missing_share.fillna(1.0).clip(0.0, 1.0)
    age = (median_age_years.fillna(OLDEST_YEARS) / OLDEST_YEARS).clip(0.0, 1.0)
    coarse = 1.0 - (n_eff.fillna(0.0) / ENOUGH_CELLS).clip(0.0, 1.0)
    score = 10.0 * (0.5 * missing + 0.3 * age + 0.2 * coarse)
    return score.clip(0.0, 10.0).assign_attrs(units="1", long_name="lack of reliability (0-10, 10 worst)")


def missing_share(scores: xr.Dataset, declared: Sequence[str]) -> xr.DataArray:
    """Share of the declared indicators that have no value in a unit.

    Parameters
    ----------
    scores : Dataset with ``<name>_status`` of those that were computed; one that is not there is missing everywhere
    declared : names of the indicators declared for the country (the mission's hazards without source included)

    Returns
    -------
    DataArray, dims of the flags, 1
    """
    there = [has_status(scores[f"{n}_status"], KEEPS_VALUE) for n in declared if f"{n}_status" in scores]
    if not there:
        return xr.DataArray(1.0)
    present = reduce(lambda a, b: a + b, [flag.astype(float) for flag in there])
    return 1.0 - present / len(declared)


def median_age_years(ages_days: Sequence[xr.DataArray]) -> xr.DataArray:
    """Median age of the inputs of a unit, those without a value left out.

    Parameters
    ----------
    ages_days : DataArrays (pcode, ...), days from the end of the input's period to the end of the
        as-of month, NaN where the unit has none; a round after that month has age 0

    Returns
    -------
    DataArray, years
    """
    stacked = xr.concat(list(ages_days), dim="input", join="exact").clip(min=0.0)
    return (stacked.median("input", skipna=True) / 365.25).assign_attrs(units="years", long_name="median age of inputs")
