"""The indicator sheet of a country: what vulnerability and coping are made of, and what is not assessed.

The sheet is read from rows, whatever file they stood in. A row without a source stays in it as
"not assessed": it counts as missing where reliability is told, and is never filled in.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from geodata.schema import Finding, Findings
from models.composite import weight_faults
from models.risk import DIMENSIONS

Direction = Literal["higher_is_worse", "lower_is_worse"]
Transform = Literal["none", "log10", "log"]

MADE_OF_INDICATORS = DIMENSIONS[1:]
DISPLACED = "displaced:"
"""Before the name of a count of displaced households, in ``values`` of a row."""

_FORMULA = re.compile(r"^\s*[=+@]|^\s*-(?![\d.])")
_LOG_OFFSET = 0.001


def _no_formula(value: Any) -> Any:
    """Text that a spreadsheet would compute is not a number; it is never evaluated."""
    if isinstance(value, str) and _FORMULA.match(value):
        raise ValueError(f"found {value!r}, expected a number, not a formula")
    if isinstance(value, bool):
        raise ValueError(f"found {value}, expected a number")
    return value


def _inert(value: Any) -> Any:
    if isinstance(value, str) and (_FORMULA.match(value) or any(ord(c) < 32 for c in value)):
        raise ValueError(f"found {value!r}, expected plain text")
    return value.strip() if isinstance(value, str) else value


Number = Annotated[float, BeforeValidator(_no_formula), Field(allow_inf_nan=False)]
Text = Annotated[str, BeforeValidator(_inert)]


class Indicator(BaseModel):
    """One row of the sheet.

    Parameters
    ----------
    name : str, as products and configuration call it
    dimension : "vulnerability" or "lack_of_coping"
    direction : whether more of it is worse, or less
    lowest, highest : values that score 0 and 10 (10 and 0 where less is worse), in ``units``; fixed and published
    transform : "log10", or "log" of 0.001 + value (INFORM's), for skewed counts
    weight : within its dimension; those of a dimension sum to 1
    units : str
    source : who says so; empty with ``assessed = false``
    values : where the values come from: "displaced:<part>", the share of the displaced households that are in that
        count, or the name of a source block by subdistrict; their day is then that of the count or the source
    date : day the values speak of, YYYY-MM-DD; empty with ``assessed = false`` or with ``values``
    assessed : false while no source is named
    why : str, why it is in the sheet, or not assessed
    label : language -> what readers of the products call it; its name where a language has none
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[Text, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    dimension: Literal["vulnerability", "lack_of_coping"]
    direction: Direction
    lowest: Number
    highest: Number
    transform: Transform = "none"
    weight: Annotated[Number, Field(ge=0)]
    units: Text = "1"
    source: Text = ""
    values: Text = ""
    date: datetime.date | None = None
    assessed: bool = True
    why: Text = ""
    label: dict[str, Text] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _blank_is_absent(cls, row: Any) -> Any:
        """An empty cell of a table is a key that is not there."""
        if not isinstance(row, Mapping):
            return row
        return {k: v for k, v in row.items() if not (v is None or (isinstance(v, str) and not v.strip()))}

    @model_validator(mode="after")
    def _whole(self) -> Indicator:
        if not self.lowest < self.highest:
            raise ValueError(
                f"found lowest {self.lowest:g} and highest {self.highest:g}, expected lowest below highest"
            )
        least = {"none": -np.inf, "log10": 0.0, "log": -_LOG_OFFSET}[self.transform]
        if self.lowest <= least:
            raise ValueError(f"found lowest {self.lowest:g} with {self.transform}, expected above {least:g}")
        if self.assessed and not (self.source and (self.date or self.values)):
            raise ValueError("found no source or no date, expected both, or assessed = false")
        return self

    @property
    def displaced_part(self) -> str:
        """Count of displaced households of which it is the share; "" where it is none."""
        return self.values.removeprefix(DISPLACED) if self.values.startswith(DISPLACED) else ""

    @property
    def value_source(self) -> str:
        """Source block that holds its values; "" where none does."""
        return "" if self.displaced_part else self.values

    def score(self, values: np.ndarray) -> np.ndarray:
        """Score 0-10, 10 worst, of values in ``units``; NaN stays NaN, and 0 is a value.

        >>> row = {"name": "doctors", "dimension": "lack_of_coping", "direction": "lower_is_worse", "lowest": 0,
        ...        "highest": 4, "weight": 1, "assessed": False}
        >>> Indicator(**row).score(np.array([0.0, 1.0, 9.0, np.nan])).tolist()
        [10.0, 7.5, 0.0, nan]
        """
        lowest, highest = (float(self._transformed(b)) for b in (self.lowest, self.highest))
        score = np.clip((self._transformed(values) - lowest) / (highest - lowest) * 10.0, 0.0, 10.0)
        return 10.0 - score if self.direction == "lower_is_worse" else score

    def value_of(self, score: np.ndarray) -> np.ndarray:
        """Value in ``units`` that has this score: the inverse of `score` between the bounds."""
        lowest, highest = (float(self._transformed(b)) for b in (self.lowest, self.highest))
        share = np.asarray(10.0 - score if self.direction == "lower_is_worse" else score) / 10.0
        at = lowest + share * (highest - lowest)
        if self.transform == "log10":
            return 10.0**at
        return np.exp(at) - _LOG_OFFSET if self.transform == "log" else at

    def _transformed(self, values: np.ndarray | float) -> np.ndarray:
        own = np.asarray(values, dtype=float)
        if self.transform == "none":
            return own
        with np.errstate(divide="ignore", invalid="ignore"):
            # Below what has a logarithm lies below the lower bound too, which is checked to have one.
            if self.transform == "log10":
                return np.where(np.isnan(own), np.nan, np.log10(np.maximum(own, 1e-300)))
            return np.where(np.isnan(own), np.nan, np.log(np.maximum(own + _LOG_OFFSET, 1e-300)))


class IndicatorSheet(BaseModel):
    """All rows of a country."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    indicators: tuple[Indicator, ...]

    @property
    def assessed(self) -> tuple[Indicator, ...]:
        """Rows with a source."""
        return tuple(i for i in self.indicators if i.assessed)

    @property
    def not_assessed(self) -> tuple[Indicator, ...]:
        """Rows that wait for a source, for the definitions of every product."""
        return tuple(i for i in self.indicators if not i.assessed)

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Dimensions with at least one row that is assessed and has a weight."""
        return tuple(d for d in MADE_OF_INDICATORS if any(i.dimension == d and i.weight for i in self.assessed))

    def parts(self) -> dict[str, list[str]]:
        """Dimension -> names of its assessed scores, for `models.composite.inform`."""
        return {d: [i.name for i in self.assessed if i.dimension == d] for d in self.dimensions}

    def weights(self) -> dict[str, dict[str, float]]:
        """Dimension -> score -> weight among the assessed: rows without a source are left out for all units alike."""
        out = {}
        for dimension in self.dimensions:
            own = {i.name: i.weight for i in self.assessed if i.dimension == dimension}
            out[dimension] = {name: weight / sum(own.values()) for name, weight in own.items()}
        return out

    def scores(self, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Scores of the assessed rows; a row that no reader gave values of is not known anywhere (all NaN).

        Parameters
        ----------
        values : indicator name -> array (any shape, the same for all), in the units of its row
        """
        shape = next((np.shape(v) for v in values.values()), ())
        return {i.name: i.score(np.asarray(values.get(i.name, np.full(shape, np.nan)))) for i in self.assessed}

    def missing_share(self, scores: Mapping[str, np.ndarray]) -> np.ndarray:
        """Share of the rows of the sheet, not assessed ones among them, that say nothing of a unit.

        Returns
        -------
        array of the shape of the scores, 1; for `models.reliability.lack_of_reliability`
        """
        known = [np.isfinite(scores[i.name]) for i in self.assessed if i.name in scores]
        return 1.0 - np.sum(known, axis=0) / len(self.indicators) if known else np.array(1.0)


def indicator_sheet(rows: Sequence[Mapping[str, Any]], *, file: str, source: str = "indicators") -> IndicatorSheet:
    """The sheet from the rows of a table, in any format; everything that is wrong with it at once.

    Parameters
    ----------
    rows : one mapping a row: column or key -> cell, as text or as typed values
    file : as the country file names it
    source : block of the country file

    Raises
    ------
    InputError
        A key that does not exist, a number that is none, a formula, lowest not below highest, a name twice,
        weights of a dimension below 0 or not summing to 1, an assessed row without source or date, no row at all.

    References
    ----------
    Columns: indicator table of INFORM's country template (direction, transform, fixed bounds, weight).
    """
    log = Findings(source)
    if not rows:
        log.error(file=file, field="indicators", found="no row", expected="one or more")
    read = [found for number, row in enumerate(rows, start=1) for found in _row(row, number, file, log)]
    names = [i.name for i in read]
    for name in sorted({n for n in names if names.count(n) > 1}):
        log.error(file=file, field=f"{name}: name", found=f"{names.count(name)} rows", expected="each name once")
    if len(read) == len(rows):
        for dimension, fault in _weight_faults(read):
            found, expected = fault.split(", expected ")
            log.error(file=file, field=f"{dimension}: weight", found=found, expected=expected)
    log.stop()
    return IndicatorSheet(indicators=tuple(read))


def _row(row: Mapping[str, Any], number: int, file: str, log: Findings) -> Iterator[Indicator]:
    """The row, if it can be read; else what is wrong, cell by cell."""
    try:
        yield Indicator.model_validate(dict(row))
    except ValidationError as error:
        for fault in error.errors():
            log.items.append(_finding(fault, row, number, file, log.source))


def _finding(fault: Any, row: Mapping[str, Any], number: int, file: str, source: str) -> Finding:
    """A fault of one cell in the words of the checks: row, field, found, expected."""
    cell = ".".join(str(p) for p in fault["loc"]) or "row"
    place = f"row {number} ({str(row.get('name') or '').strip()[:60]!r}): {cell}"
    text = fault["msg"].removeprefix("Value error, ")
    if found := re.fullmatch(r"found (.*), expected (.*)", text, flags=re.DOTALL):
        return Finding("error", source, file, place, *found.groups())
    given = row.get(fault["loc"][0]) if fault["loc"] else None
    words = {"extra_forbidden": "no such column", "missing": "a value"}
    expected = words.get(fault["type"], text.removeprefix("Input should be ").split(", ")[0])
    return Finding("error", source, file, place, repr(given) if given is not None else "nothing", expected)


def _weight_faults(rows: Sequence[Indicator]) -> Iterator[tuple[str, str]]:
    for dimension in MADE_OF_INDICATORS:
        weights = [i.weight for i in rows if i.dimension == dimension]
        if weights and (found := weight_faults(weights)):
            yield dimension, found
