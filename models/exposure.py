"""Exposure: how many people live, or shelter, where the hazard is."""

from __future__ import annotations

import numpy as np
import xarray as xr

from geodata.schema import KEEPS_VALUE, Status, has_status, more_cautious, status_attrs, status_like


def exposure(
    residents: xr.DataArray,
    displaced: xr.DataArray | None = None,
    *,
    residents_status: xr.DataArray | None = None,
    displaced_status: xr.DataArray | None = None,
    people_bounds: tuple[float, float] = (1e3, 1e6),
    share_bounds: tuple[float, float] = (0.0, 0.02),
    unit_dim: str = "pcode",
) -> xr.Dataset:
    """Exposure from residents plus displaced people, absolute and as a share of the country.

    Displaced people enter as published: computed from protected counts, a suppressed unit with
    its stand-in. Where no round has been read yet they are unknown, and exposure speaks of
    residents alone; a unit in which a round counted none has residents alone by observation.
    Units without residents are not part of the country's people.

    Parameters
    ----------
    residents : DataArray (pcode) or (time, pcode), people
    displaced : DataArray (pcode) or (time, pcode), people; optional
    residents_status, displaced_status : Status flags, optional
    people_bounds : (people that score 0, people that score 10), between them by log10
    share_bounds : (share that scores 0, share that scores 10) of the country's people, linear
    unit_dim : dimension of the units

    Returns
    -------
    Dataset (time, pcode) or (pcode)
        ``exposure`` 0-10 (mean of both parts), ``people`` (people), each with ``<name>_status``;
        exposure_unknown where residents are.

    References
    ----------
    INFORM, physical exposure: absolute and relative averaged; fixed bounds, so that no unit
    moves another one's score through the range.
    """
    _check_bounds(people_bounds, share_bounds)
    flags = status_like(residents, Status.exposure_unknown) if residents_status is None else residents_status
    known = residents.notnull() & has_status(flags, KEEPS_VALUE)
    people = residents.where(known).astype(float)
    status = xr.where(known, flags, np.int8(Status.exposure_unknown))
    if displaced is not None:
        counted = displaced.notnull()
        people = people + displaced.where(counted, 0.0)
        if displaced_status is not None:
            kept = counted & has_status(displaced_status, KEEPS_VALUE)
            caution = xr.where(kept, displaced_status, np.int8(Status.ok))
            status = xr.where(known, more_cautious(status, caution), status)
    dims = people.dims
    absolute = min_max(xr.ufuncs.log10(people.clip(min=1.0)), np.log10(people_bounds[0]), np.log10(people_bounds[1]))
    country = people.sum(unit_dim)
    relative = min_max(people / country.where(country > 0), *share_bounds)
    score = (absolute + relative) / 2.0
    status = status.where(score.notnull(), int(Status.exposure_unknown))
    status = status.astype("int8").transpose(*dims).assign_attrs(status_attrs())
    return xr.Dataset(
        {
            "exposure": score.transpose(*dims).assign_attrs(units="1", long_name="exposure (0-10)"),
            "exposure_status": status,
            "people": people.where(score.notnull()).assign_attrs(
                units="people", long_name="residents and displaced people"
            ),
            "people_status": status,
        }
    )


def not_displaced(residents: xr.DataArray, displaced: xr.DataArray) -> xr.DataArray:
    """Residents less the displaced people among them, where the residents are all who are there.

    A count of more displaced people than residents stands for itself: nobody is left, and no fewer.

    Parameters
    ----------
    residents, displaced : DataArray, same dims, people; where the displaced are not known nobody is taken away

    >>> people = xr.DataArray([100.0, 10.0, 100.0], attrs={"units": "people"})
    >>> not_displaced(people, xr.DataArray([30.0, 30.0, np.nan])).values
    array([ 70.,   0., 100.])
    """
    return (residents - displaced.fillna(0.0)).clip(min=0.0).assign_attrs(residents.attrs)


def min_max(values: xr.DataArray, lowest: float, highest: float) -> xr.DataArray:
    """Score 0-10 between two fixed, published bounds; clipped beyond them, NaN stays NaN.

    >>> min_max(xr.DataArray([0.0, 0.5, 2.0]), 0.0, 1.0).values
    array([ 0.,  5., 10.])
    """
    if not lowest < highest:
        raise ValueError(f"bounds: ({lowest}, {highest}), expected the first below the second")
    return ((values - lowest) / (highest - lowest) * 10.0).clip(0.0, 10.0)


def _check_bounds(people: tuple[float, float], share: tuple[float, float]) -> None:
    if not 1.0 <= people[0] < people[1]:
        raise ValueError(f"people_bounds: {people}, expected at least one person, rising")
    if not 0.0 <= share[0] < share[1] <= 1.0:
        raise ValueError(f"share_bounds: {share}, expected 0 to 1, rising")
