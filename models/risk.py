"""Risk: the dimensions combined, the class it falls in, and what each part contributed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from itertools import combinations
from math import factorial

import numpy as np
import xarray as xr

from geodata.schema import ContractError, Status, more_cautious, status_attrs
from models.scoring import scaled_mean

RISK_CLASSES = ("very_low", "low", "medium", "high", "very_high")
CUTS = (2.0, 4.0, 6.0, 8.0)
"""Default lower bounds of the classes above the first."""

DIMENSIONS = ("hazard_and_exposure", "vulnerability", "lack_of_coping")
"""In the order of the formula; the first is made of hazard and exposure."""

REFERENCE = 2.0
"""Score every part is compared with in the contributions."""


def hazard_and_exposure(hazard: xr.DataArray, exposure: xr.DataArray) -> xr.DataArray:
    """First dimension of risk, sqrt(hazard x exposure); NaN if either is.

    >>> float(hazard_and_exposure(xr.DataArray(9.0), xr.DataArray(4.0)))
    6.0
    """
    return xr.ufuncs.sqrt(hazard * exposure)


def geometric_mean(scores: Sequence[xr.DataArray]) -> xr.DataArray:
    """Plain geometric mean; NaN if any part is, 0 if any part is 0 (no floor: INFORM's own rule).

    >>> float(geometric_mean([xr.DataArray(6.0), xr.DataArray(5.0), xr.DataArray(4.0)]).round(4))
    4.9324
    """
    return reduce(lambda a, b: a * b, scores) ** (1.0 / len(scores))


def risk(scores: xr.Dataset, dimensions: Sequence[str] = ("hazard_and_exposure", "vulnerability")) -> xr.Dataset:
    """Risk from the dimensions assessed for the whole country.

    A dimension without a source is left out for all units and the exponents are rescaled, so
    every title must name it. A unit that lacks a dimension others have gets no score.

    Parameters
    ----------
    scores : Dataset (time, pcode)
        ``hazard``, ``exposure`` and, if among the dimensions, ``vulnerability`` and
        ``lack_of_coping``, 0-10, each with ``<name>_status``.
    dimensions : subset of DIMENSIONS, the ones assessed

    Returns
    -------
    Dataset (time, pcode)
        ``hazard_and_exposure`` and ``risk`` 0-10, unrounded, each with ``<name>_status``: the most
        cautious of its parts; exposure_unknown where that is why it is missing, else insufficient_data.

    References
    ----------
    INFORM: geometric mean of the dimensions.
    """
    if unknown := [d for d in dimensions if d not in DIMENSIONS]:
        raise ContractError(f"risk: dimensions {unknown}, expected some of {list(DIMENSIONS)}")
    if not dimensions:
        raise ContractError("risk: no dimension is assessed")
    first = hazard_and_exposure(scores["hazard"], scores["exposure"])
    first_status = _status(first, [scores["hazard_status"], scores["exposure_status"]])
    values = {"hazard_and_exposure": first, **{d: scores[d] for d in dimensions if d != DIMENSIONS[0]}}
    flags = {"hazard_and_exposure": first_status, **{d: scores[f"{d}_status"] for d in values if d != DIMENSIONS[0]}}
    score = geometric_mean([values[d] for d in dimensions])
    return xr.Dataset(
        {
            "hazard_and_exposure": first.assign_attrs(units="1", long_name="hazard and exposure (0-10)"),
            "hazard_and_exposure_status": first_status,
            "risk": score.assign_attrs(units="1", long_name="risk (0-10)"),
            "risk_status": _status(score, [flags[d] for d in dimensions]),
        },
        attrs={
            "dimensions": " ".join(dimensions),
            "dimensions_missing": " ".join(d for d in DIMENSIONS if d not in dimensions),
        },
    )


def risk_class(score: xr.DataArray, cuts: Sequence[float] = CUTS) -> xr.DataArray:
    """Class number of a score, from the unrounded score; a cut belongs to the class above it.

    A score of 5.96 is printed 6.0 and is of the class below 6: classes, like every number, are
    computed before the one rounding on publication, and do not move with it.

    Parameters
    ----------
    score : DataArray (any dims), 0-10
    cuts : four rising lower bounds

    Returns
    -------
    DataArray of int8, same dims: 0 (very low) to 4 (very high), -1 where there is no score

    >>> risk_class(xr.DataArray([0.0, 2.0, 5.99, 8.0, np.nan])).values
    array([ 0,  1,  2,  4, -1], dtype=int8)
    """
    check_cuts(cuts)
    number = sum((score >= cut).astype(np.int8) for cut in cuts)
    return (
        xr.where(score.notnull(), number, np.int8(-1))
        .astype("int8")
        .assign_attrs(
            units="1",
            long_name="class",
            flag_values=np.arange(-1, len(RISK_CLASSES), dtype="int8"),
            flag_meanings=" ".join(("not_assessed", *RISK_CLASSES)),
        )
    )


def check_cuts(cuts: Sequence[float]) -> None:
    """Raise ValueError unless there are four rising cut points inside 0-10."""
    if len(cuts) != len(RISK_CLASSES) - 1 or list(cuts) != sorted(set(cuts)) or not 0 < cuts[0] <= cuts[-1] < 10:
        raise ValueError(f"cuts: {list(cuts)}, expected four rising numbers between 0 and 10")


def class_words(numbers: xr.DataArray | np.ndarray) -> np.ndarray:
    """Words of class numbers, "" where there is none.

    >>> class_words(np.array([-1, 0, 4]))
    array(['', 'very_low', 'very_high'], dtype='<U9')
    """
    return np.array(("", *RISK_CLASSES))[np.asarray(numbers).astype(int) + 1]


def contributions(
    scores: xr.Dataset,
    hazards: Sequence[str],
    dimensions: Sequence[str] = ("hazard_and_exposure", "vulnerability"),
    *,
    reference: float | Mapping[str, float] = REFERENCE,
) -> xr.Dataset:
    """What each part adds to the risk against a fixed reference score: exact Shapley values.

    The parts are the hazards, exposure, vulnerability and lack of coping. The starting score is
    the risk of a unit with every part at the reference; a part's contribution is the mean, over
    all orders of moving the parts from there to their own scores, of what its move changes. A
    hazard that was not assessed in a unit is no part of that unit's risk and contributes exactly 0.

    Parameters
    ----------
    scores : Dataset (time, pcode)
        ``hazard_<name>`` of each hazard, ``exposure``, and the other dimensions assessed, 0-10.
    hazards : names of the hazards
    dimensions : as of `risk`
    reference : one score, or a score by part name

    Returns
    -------
    Dataset (time, pcode)
        ``contribution_reference`` and ``contribution_<part>``, which sum to the unrounded risk
        (NaN where there is no risk); ``main_driver``, int8, the part with the largest
        contribution (the earlier of equals; never a hazard that was not assessed there) as a flag whose words
        `main_driver_words` gives, -1 where no risk.

    References
    ----------
    Shapley 1953; efficiency, symmetry and dummy axioms.
    """
    parts = {h: scores[f"hazard_{h}"].astype(float) for h in hazards if f"hazard_{h}" in scores}
    if not parts:
        raise ContractError(f"contributions: none of the hazards {list(hazards)} was computed")
    others = [p for p in ("exposure", *DIMENSIONS[1:]) if p == "exposure" or p in dimensions]
    if DIMENSIONS[0] not in dimensions:
        others.remove("exposure")
        parts = {}
    parts |= {p: scores[p].astype(float) for p in others}
    names = list(parts)
    template, *rest = xr.broadcast(*parts.values())
    own = np.stack([np.asarray(v) for v in (template, *rest)])
    at = np.array([reference if isinstance(reference, int | float) else reference[n] for n in names], dtype=float)
    start = np.where(np.isnan(own), np.nan, at.reshape(-1, *[1] * template.ndim))
    n_hazards = sum(n in hazards for n in names)
    values = _shapley(own, start, n_hazards, list(dimensions))
    return _contribution_dataset(template, names, *values, np.isnan(own))


def main_driver_words(contribution: xr.Dataset) -> np.ndarray:
    """Names of the main drivers, "" where there is none."""
    return flag_words(contribution["main_driver"])


def flag_words(flags: xr.DataArray) -> np.ndarray:
    """Words of a flag variable that counts from -1 (``none``, given as ""), from its own attributes."""
    words = ("", *str(flags.attrs["flag_meanings"]).split()[1:])
    return np.array(words)[np.asarray(flags).astype(int) + 1]


def name_flags(names: Sequence[str], long_name: str) -> dict[str, object]:
    """CF attributes of a flag variable that points at one of ``names``, -1 at none of them."""
    return {
        "units": "1",
        "long_name": long_name,
        "flag_values": np.arange(-1, len(names), dtype="int8"),
        "flag_meanings": " ".join(("none", *names)),
    }


# ------------------------------------------------------------------ numpy beneath


def _status(score: xr.DataArray, flags: Sequence[xr.DataArray]) -> xr.DataArray:
    """The most cautious flag where there is a score; otherwise why there is none."""
    kept = reduce(more_cautious, flags)
    unknown = reduce(lambda a, b: a | b, [f == int(Status.exposure_unknown) for f in flags])
    why = xr.where(unknown, np.int8(Status.exposure_unknown), np.int8(Status.insufficient_data))
    merged = xr.where(score.notnull(), kept, why).astype("int8")
    return merged.transpose(*score.dims).assign_attrs(status_attrs())


def _risk_of_parts(parts: np.ndarray, n_hazards: int, dimensions: list[str]) -> np.ndarray:
    """Risk from parts (part, ...): the hazards first, then exposure and the further dimensions."""
    values = []
    rest = parts[n_hazards:]
    if DIMENSIONS[0] in dimensions:
        values.append(np.sqrt(scaled_mean(parts[:n_hazards]) * rest[0]))
        rest = rest[1:]
    values.extend(rest)
    return np.prod(values, axis=0) ** (1.0 / len(values))


def _shapley(
    own: np.ndarray, start: np.ndarray, n_hazards: int, dimensions: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Risk at the start, and the contribution of each part (part, ...)."""
    n = len(own)
    weight = [factorial(size) * factorial(n - size - 1) / factorial(n) for size in range(n)]
    shape = (n, *[1] * (own.ndim - 1))
    contribution = np.zeros(own.shape)
    origin = np.full(own.shape[1:], np.nan)
    for size in range(n + 1):
        for moved in combinations(range(n), size):
            inside = np.isin(np.arange(n), moved)
            value = _risk_of_parts(np.where(inside.reshape(shape), own, start), n_hazards, dimensions)
            if not moved:
                origin = value
            # each coalition's value enters once per part: with it if inside, without it if outside
            for part in range(n):
                contribution[part] += weight[size - 1] * value if inside[part] else -weight[size] * value
    absent = np.isnan(own) & np.isfinite(origin)
    return origin, np.where(absent, 0.0, contribution)


def _contribution_dataset(
    template: xr.DataArray, names: list[str], origin: np.ndarray, contribution: np.ndarray, absent: np.ndarray
) -> xr.Dataset:
    def like(values: np.ndarray, name: str) -> xr.DataArray:
        array = xr.DataArray(values, dims=template.dims, coords=template.coords)
        return array.drop_attrs().assign_attrs(units="1", long_name=f"contribution to risk: {name}")

    out = {"contribution_reference": like(origin, "starting score")}
    out |= {f"contribution_{name}": like(contribution[i], name) for i, name in enumerate(names)}
    known = np.isfinite(origin)
    # differences below 1e-9 are arithmetic, not drivers: equal parts go to the earlier one
    # and the 0 of a part that is not there must not beat parts that all lower the risk
    size = np.where(absent, -np.inf, np.round(np.where(known, contribution, 0.0), 9))
    driver = np.where(known, np.argmax(size, axis=0), -1)
    flags = name_flags(names, "part with the largest contribution")
    out["main_driver"] = like(driver.astype("int8"), "").drop_attrs().assign_attrs(flags)
    return xr.Dataset(out)
