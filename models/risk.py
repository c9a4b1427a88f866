"""The words of risk: its dimensions, its classes, and the flags that point at one of several names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

RISK_CLASSES = ("very_low", "low", "medium", "high", "very_high")
CUTS = (2.0, 4.0, 6.0, 8.0)
"""Default lower bounds of the classes above the first."""

DIMENSIONS = ("hazard_and_exposure", "vulnerability", "lack_of_coping")
"""In the order of the formula; the first is made of hazard and exposure."""

REFERENCE = 2.0
"""Score every part is compared with in the contributions."""


def class_number(score: np.ndarray, cuts: Sequence[float] = CUTS) -> np.ndarray:
    """Class number of a score, from the unrounded score; a cut belongs to the class above it.

    A score of 5.96 is printed 6.0 and is of the class below 6: classes, like every number, are
    computed before the one rounding on publication, and do not move with it.

    Parameters
    ----------
    score : array (any shape), 0-10
    cuts : four rising lower bounds

    Returns
    -------
    array of int8, same shape: 0 (very low) to 4 (very high), -1 where there is no score

    >>> class_number(np.array([0.0, 2.0, 5.99, 8.0, np.nan])).tolist()
    [0, 1, 2, 4, -1]
    """
    check_cuts(cuts)
    return np.where(np.isnan(score), -1, np.searchsorted(cuts, score, side="right")).astype("int8")


def check_cuts(cuts: Sequence[float]) -> None:
    """Raise ValueError unless there are four rising cut points inside 0-10."""
    if len(cuts) != len(RISK_CLASSES) - 1 or list(cuts) != sorted(set(cuts)) or not 0 < cuts[0] <= cuts[-1] < 10:
        raise ValueError(f"cuts: {list(cuts)}, expected four rising numbers between 0 and 10")


def class_words(numbers: np.ndarray) -> np.ndarray:
    """Words of class numbers, "" where there is none.

    >>> class_words(np.array([-1, 0, 4]))
    array(['', 'very_low', 'very_high'], dtype='<U9')
    """
    return np.array(("", *RISK_CLASSES))[np.asarray(numbers).astype(int) + 1]


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
