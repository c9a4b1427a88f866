"""What an edit of a country file changes: settings that score what was measured, and those that measure anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from geodata.schema import Finding, Findings, InputError
from models.indicators import IndicatorSheet
from models.risk import DIMENSIONS

from .finished_run import FinishedRun
from .indicator_sheet import EMPTY, SHEET, check_sheet
from .settings import DISPLACEMENT, MissingHazard, Settings
from .vintages import GROUPS

SCORING = ("exposure", "risk", "uncertainty", "warning", "reliability", SHEET)
"""Blocks that say how what was measured is scored."""

BESIDE = ("indicators",)
"""Blocks that are published beside the scores and move none."""

OF_COUNTRY = ("people_per_household",)
"""Of who and where, what moves a score. The month is that of the run."""

WORDS = frozenset({"label", "licence", "attribution", "note", "why", "bounds_source", "breakpoints_source"})
"""Options that are read and not reckoned with."""

RESCORED = frozenset({"breakpoints"})
"""Options of a hazard that score its index."""


def paths_that_measure(old: Settings, new: Settings) -> list[str]:
    """Dotted paths of the settings that differ and need the inputs again."""
    before, after = (s.model_dump(mode="json") for s in (old, new))
    gone = [n for n, block in new.hazards.items() if isinstance(block, MissingHazard)]
    gone += [n for n in old.hazards if n not in new.hazards]
    return [
        ".".join(path)
        for path in differing(before, after)
        if not _only_scores(path) and not (path[0] == "hazards" and path[1] in gone)
    ]


def differing(old: Any, new: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Paths of the values that differ between two nested blocks, in their order."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in dict.fromkeys([*old, *new]):
            yield from differing(old.get(key), new.get(key), (*path, str(key)))
    elif old != new:
        yield path


def _only_scores(path: tuple[str, ...]) -> bool:
    if path[0] in (*SCORING, *BESIDE) or any(step in WORDS for step in path):
        return True
    if path[0] == "country":
        return path[1] not in OF_COUNTRY
    if path[0] == "water_demand":
        return path[-1] == "source"
    return path[0] == "hazards" and len(path) > 2 and path[2] in RESCORED


def refuse_what_cannot_be_compared(run: FinishedRun, new: Settings, paths: list[str], config: str) -> None:
    """Raise InputError for another country, other boundaries, or a list of displaced households cut in another way.

    One round cut in two ways is two equations for one unknown, so it is told of one cutting alone.
    """
    key, own = run.plan.settings.country.key, new.country.key
    if own != key:
        raise InputError(Finding("error", "config", config, "country.key", repr(own), f"{key!r}, that of the run"))
    groups = tuple(f"sources.{DISPLACEMENT}.{group}" for group in (*GROUPS, "earlier_boundaries"))
    if cut := [p for p in paths if p.startswith(("boundaries.", *groups))]:
        expected = "as in the run; of another cutting make a run of its own under another --out"
        raise InputError(Finding("error", "config", config, cut[0], "another value than in the run", expected))


def sheet_of_edit(run: FinishedRun, new: Settings, data: str, config: str) -> IndicatorSheet:
    """The indicator sheet of the new settings, checked against its sources.

    Raises
    ------
    InputError : it is wrong, or it is a table that is not in the data folder
    """
    options = new.indicator_sheet
    if options is None:
        return EMPTY
    same_table = options.path is not None and options == run.plan.settings.indicator_sheet
    if same_table and not (Path(data) / str(options.path)).is_file():
        return run.sheet
    log = Findings(SHEET)
    sheet = options.read(Path(data), log)
    taken = {*new.hazards, *new.indicators, *DIMENSIONS, "hazard", "exposure", "risk"}
    check_sheet(sheet, new.sources, taken, options.path or config, log)
    log.stop()
    return sheet
