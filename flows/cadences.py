"""What time steps a block's sources must have: those its method is made for, and all of them the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from geodata.options import SourceOptions
from geodata.schema import Finding
from models.hazards import HAZARDS, HazardOptions

Sources = Mapping[str, SourceOptions]

DAY = "day"


def lacks_days(block: HazardOptions, sources: Sources) -> bool:
    """True if a method of daily extremes is given a record by month or by year: it can say nothing, and not "none"."""
    return HAZARDS[block.method].needs_days and sources[block.source].cadence != DAY


def unfit_cadences(section: str, blocks: Mapping[str, HazardOptions], sources: Sources) -> list[Finding]:
    """An error for each source whose time step the method of its block cannot use."""
    findings: list[Finding] = []
    for name, block in blocks.items():
        if section == "hazards" and lacks_days(block, sources):
            continue  # told when the sources are read, and shown as input_missing
        for option, found, expected in _unfit(block, sources):
            findings.append(
                Finding(
                    "error",
                    "config",
                    "",
                    f"{section}.{name}.{option}",
                    f"sources.{block.sources[option]} with cadence {found!r}",
                    expected,
                )
            )
    return findings


def _unfit(block: HazardOptions, sources: Sources) -> Iterator[tuple[str, str, str]]:
    """Option, its cadence, and what was expected."""
    method, own = HAZARDS[block.method], sources[block.source].cadence
    for option, source in block.sources.items():
        found = sources[source].cadence
        if option in method.static:
            continue
        if option == "source" and found not in method.cadences:
            yield option, found, f"cadence {' or '.join(map(repr, method.cadences))} for method {block.method!r}"
        elif found != own:
            yield option, found, f"cadence {own!r}, that of sources.{block.source}"
