"""One round of displacement is published on one set of boundaries, or its counts could be told apart."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import geopandas as gpd

from geodata.schema import Finding, InputError


def boundaries_digest(subdistricts: gpd.GeoDataFrame) -> str:
    """Hash of codes and shapes alone: a new name is no new boundary."""
    digest = hashlib.sha256()
    for pcode, shape in zip(subdistricts.index, subdistricts.geometry, strict=True):
        digest.update(str(pcode).encode() + b"\0" + shape.normalize().wkb)
    return digest.hexdigest()


def refuse_second_vintage(rounds: Iterable[str], boundaries: str, kept: Iterable[Mapping[str, Any]]) -> None:
    """Raise InputError if a kept run shows one of these rounds on other boundaries.

    The same locations counted in two cuttings of the country are two equations for one
    unknown: their difference can tell a count that each of them protects.

    Parameters
    ----------
    rounds : days of the rounds, "YYYY-MM-DD"
    boundaries : str, of `boundaries_digest`
    kept : receipts of the kept runs
    """
    mine = set(rounds)
    for receipt in kept:
        shown = receipt.get("displacement", {})
        both = sorted(mine & set(shown.get("rounds", ())))
        if both and shown["boundaries"] != boundaries:
            raise InputError(
                Finding(
                    "error",
                    "sources.displacement",
                    "boundaries",
                    f"round {', '.join(both)}",
                    f"other boundaries than in the kept run {receipt['run']['as_of']}-{receipt['run']['run_id']}",
                    "one set of boundaries for one round: remove that run, or use another --out",
                )
            )
