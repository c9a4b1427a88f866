"""Numbers as they are printed: one decimal, half up, and parts that add up to their printed whole."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache


def tenths(value: float) -> int:
    """``value`` in tenths, half rounded up, on the shortest decimal that names the float.

    >>> tenths(0.25), tenths(2.55), tenths(-0.05)
    (3, 26, -1)
    """
    return int(Decimal(repr(float(value))).scaleb(1).quantize(Decimal(1), rounding=ROUND_HALF_UP))


@lru_cache(maxsize=100_000)  # a printed table says the same few numbers over and over
def half_up(value: float, ndigits: int = 1) -> float:
    """``value`` to ``ndigits`` decimals, half up; the one rounding of a product.

    >>> half_up(4.45), half_up(4.44), half_up(0.125, 2)
    (4.5, 4.4, 0.13)
    """
    step = Decimal(1).scaleb(-ndigits)
    return float(Decimal(repr(float(value))).quantize(step, rounding=ROUND_HALF_UP)) + 0.0


def largest_remainder(parts: Sequence[float], total: int) -> list[int]:
    """Parts in tenths that add up to ``total`` tenths: each is cut down, the largest remainders are given back first.

    Parameters
    ----------
    parts : sequence of float, their sum is within one half of ``total`` tenths
    total : int, tenths of the printed whole

    >>> largest_remainder([3.33, 3.33, 3.33], 100)
    [34, 33, 33]
    """
    floors = [math.floor(p * 10 + 1e-9) for p in parts]
    by_remainder = sorted(range(len(parts)), key=lambda i: (floors[i] - parts[i] * 10, i))
    missing = total - sum(floors)
    if not 0 <= missing <= len(parts):
        raise ValueError(f"found parts that sum to {math.fsum(parts)}, expected about {total / 10}")
    for i in by_remainder[:missing]:
        floors[i] += 1
    return floors


def printed_tenths(parts: Sequence[float], whole: float) -> list[int | None] | None:
    """Parts in tenths that add up to the printed ``whole``; an absent part stays absent.

    Returns
    -------
    list of int or None, or None where the whole or every part is NaN

    >>> printed_tenths([5.0, 1.26, -0.11, float("nan")], 6.15)
    [50, 13, -1, None]
    """
    there = [i for i, part in enumerate(parts) if not math.isnan(part)]
    if math.isnan(whole) or not there:
        return None
    printed: list[int | None] = [None] * len(parts)
    for i, value in zip(there, largest_remainder([parts[i] for i in there], tenths(whole)), strict=True):
        printed[i] = value
    return printed
