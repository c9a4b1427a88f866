"""One round of displacement is cut in one way only, or its counts could be told apart."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import geopandas as gpd

from geodata.options import SourceOptions
from geodata.schema import Finding, InputError

GROUPS = (
    *("columns", "shelter", "periods", "origins", "reasons"),
    *("level", "unit_column", "households_column", "people_column", "reason_column", "reason_columns", "where"),
)
"""Options that say which households are counted together."""


def boundaries_digest(subdistricts: gpd.GeoDataFrame) -> str:
    """Hash of codes and shapes alone: a new name is no new boundary."""
    digest = hashlib.sha256()
    for pcode, shape in zip(subdistricts.index, subdistricts.geometry, strict=True):
        digest.update(str(pcode).encode() + b"\0" + shape.normalize().wkb)
    return digest.hexdigest()


def groups_digest(options: SourceOptions) -> str:
    """Hash of how a list's households are put into groups."""
    chosen = options.model_dump(mode="json", include=set(GROUPS))
    return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()


def refuse_second_vintage(rounds: Mapping[str, Mapping[str, str]], kept: Iterable[Mapping[str, Any]]) -> None:
    """Raise InputError if a kept run shows one of these rounds cut in another way.

    The same locations counted in two cuttings of the country, in two groupings or in two places are two
    equations for one unknown: their difference can tell a count that each of them protects. A run that moves
    protected counts by a crosswalk it publishes adds no equation: it names the boundaries these were counted on, so it
    is accepted beside a run on those, and on no others.

    Parameters
    ----------
    rounds : day of a round, "YYYY-MM-DD", or hash of its file -> digests of what its counts were cut by,
        e.g. {"boundaries": digest, "groups": digest}
    kept : receipts of the kept runs
    """
    for receipt in kept:
        shown = receipt.get("displacement", {}).get("rounds", {})
        for name in sorted(rounds.keys() & set(shown)):
            before = shown[name] if isinstance(shown, Mapping) else {}
            other = sorted(cut for cut, digest in rounds[name].items() if before.get(cut) != digest)
            if other:
                run = f"{receipt['run']['as_of']}-{receipt['run']['run_id']}"
                raise InputError(
                    Finding(
                        "error",
                        "sources.displacement",
                        " and ".join(other),
                        f"round {name}",
                        f"other {' and '.join(other)} than in the kept run {run}",
                        "one cutting for one round: remove that run, or use another --out",
                    )
                )
