"""What a run could not say: told in its output and in checks.json, and what --strict refuses."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from geodata.schema import Manifest, Status


def gaps_of(manifest: Manifest, table: pd.DataFrame, open_names: Mapping[str, int] | None = None) -> list[str]:
    """One line for each source that is absent or old, each hazard without a source, each score with holes and names
    that wait for a decision.

    Parameters
    ----------
    manifest : Manifest
    table : DataFrame, index pcode, the score table
    open_names : mapping, review file of the run -> names in it without a decision
    """
    lines = []
    for source in manifest.sources:
        if source.status == Status.stale.name:
            lines.append(f"{source.name}: {source.age_days} days old (ends {source.last}), so it raises no alert")
        elif source.status == Status.input_missing.name:
            lines.append(f"{source.name}: nothing available by {manifest.as_of}")
    lines += [f"hazard {name}: no source" for name in manifest.missing_hazards]
    lines += [f"{name.replace('_', ' ')}: not assessed in this country" for name in manifest.dimensions_missing]
    ranged = table["risk_basis"] == "range"
    if ranged.any():
        lines.append(
            f"risk: {int(ranged.sum())} of {len(table)} subdistricts as a range, one dimension not known there"
        )
    why = table.loc[table["risk"].isna() & ~ranged, "risk_status"].value_counts().sort_index()
    lines += [f"risk: {count} of {len(table)} subdistricts not assessed ({word})" for word, count in why.items()]
    lines += [f"review/{file}: {count} names wait for a decision" for file, count in (open_names or {}).items()]
    return lines
