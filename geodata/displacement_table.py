"""Displacement counted by governorate, district or subdistrict, with the reason: tables, the DTM API, HDX, HDX HAPI.

Schema of what is read (DataFrame), key (day, code, reason, origin):
day: datetime64, the day the round speaks about; code: text, a unit of the boundary file at the declared level;
reason: one of `REASONS`; origin: text, "" where not told; households and people: whole numbers of 0 or more (float),
NaN where a cell is empty: not known, which is not 0.
Schema of a table in: CSV or XLSX with a row per unit, round and, where asked, reason and origin; units by p-code or
name; counts in digits of any script; no geometry, so no CRS.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from .calendar import period_start
from .crosswalk import EarlierBoundaries
from .options import SourceOptions, require_columns, require_file
from .schema import Findings
from .sheets import clean_text, listed, one_column, parse_counts, read_sheet, rows
from .tables import UnitColumns, match_units

REASONS = ("climate", "mixed", "conflict", "other", "unknown")
"""Why people left: climate alone; climate among several reasons; conflict; anything else; not asked or not told."""

Reason = Literal["climate", "conflict", "other", "unknown"]

DTM_REASONS: Mapping[str, Reason] = {
    "conflict": "conflict",
    "insecurity": "conflict",
    "natural disaster": "climate",
    "drought": "climate",
    "flood": "climate",
    "other reason": "other",
    "no reason for displacement reported": "unknown",
    "not available": "unknown",
}
"""DTM's words. Its natural disasters hold earthquakes too: a country that had one declares its own words."""

SUBDISTRICT = 3

_COUNT = "a count, 0 where nobody is"


class DisplacementTable(UnitColumns):
    """Reader "displacement_table": counts by unit, through the mapping of columns that the country file gives.

    Parameters
    ----------
    time_column : str or None
        Column with the day of the round; None for a table of one round, whose day is ``round_as_of``.
    round_as_of : date or None
    households_column, people_column : str or None
        At least one, unless ``reason_columns`` hold the households. Households lead; where only people are told they
        are people / factor, rounded half up and at least 1 where there is anybody.
    reason_column : str or None
        Column with the reason; several in one cell stand between semicolons.
    reasons : dict
        Their word -> climate, conflict, other or unknown; compared without case. A word that is not there is an error.
    reason_columns : dict
        Instead: column of households -> reason. Of an empty cell the count is not known.
    origin_column : str or None
    where : dict
        Column -> the value that rows to be read have in it.
    people_per_household : float
    earlier_boundaries : EarlierBoundaries or None
        As of a list of locations; for counts by subdistrict.
    """

    reader: Literal["displacement_table"]
    time_column: str | None = None
    round_as_of: date | None = None
    households_column: str | None = None
    people_column: str | None = None
    reason_column: str | None = None
    reasons: dict[str, Reason] = Field(default_factory=lambda: dict(DTM_REASONS))
    reason_columns: dict[str, Reason] = Field(default_factory=dict)
    origin_column: str | None = None
    where: dict[str, str] = Field(default_factory=dict)
    people_per_household: float = Field(gt=0)
    earlier_boundaries: EarlierBoundaries | None = None

    @model_validator(mode="after")
    def _says_when_and_how_many(self) -> DisplacementTable:
        if (self.time_column is None) == (self.round_as_of is None):
            raise ValueError("expected either time_column or round_as_of")
        if self.reason_columns and (self.reason_column or self.households_column or self.people_column):
            raise ValueError("expected reason_columns alone, or a reason_column with one column of counts")
        if not (self.reason_columns or self.households_column or self.people_column):
            raise ValueError("expected households_column, people_column or reason_columns")
        if self.earlier_boundaries and self.level != SUBDISTRICT:
            raise ValueError(f"earlier_boundaries: expected level = {SUBDISTRICT}, found {self.level}")
        return self

    def files_aside(self, root: Path) -> list[Path]:
        """The files of earlier boundaries."""
        return self.earlier_boundaries.files(root) if self.earlier_boundaries else []

    def read(self, root: Path, log: Findings, subdistricts: Any = None) -> pd.DataFrame:
        """Rows of counts: see `read_displacement_table`."""
        return read_displacement_table(self, root, log, subdistricts)


class DtmApi(SourceOptions):
    """Reader "dtm_api": an answer of the DTM API v2 (JSON), or the HDX table made of its answers (CSV with HXL tags).

    Parameters
    ----------
    country : str, ISO 3166-1 alpha-3
    admin_level : 1 or 2, level of the answer that is read
    level : 1, 2 or 3, the level of the boundary file that it is
    operation : str or None, of an answer that holds several
    reasons, people_per_household : as in `DisplacementTable`
    """

    reader: Literal["dtm_api"]
    country: str = Field(pattern=r"^[A-Z]{3}$")
    admin_level: Literal[1, 2]
    level: Literal[1, 2, 3]
    operation: str | None = None
    reasons: dict[str, Reason] = Field(default_factory=lambda: dict(DTM_REASONS))
    people_per_household: float = Field(gt=0)

    def as_table(self, header: list[str]) -> DisplacementTable:
        """The same as a table; an answer of one level has no column that says so."""
        where = {"admin0Pcode": self.country} | ({"operation": self.operation} if self.operation else {})
        where |= {"adminLevel": str(self.admin_level)} if "adminLevel" in header else {}
        return DisplacementTable.model_validate(
            {
                **_common(self),
                "reader": "displacement_table",
                "level": self.level,
                "unit_column": f"admin{self.admin_level}Pcode",
                "time_column": "reportingDate",
                "people_column": "numPresentIdpInd",
                "reason_column": "displacementReason",
                "origin_column": "idpOriginAdmin1Pcode",
                "reasons": self.reasons,
                "where": where,
                "people_per_household": self.people_per_household,
            }
        )

    def read(self, root: Path, log: Findings, subdistricts: Any = None) -> pd.DataFrame:
        """Rows of counts: see `read_displacement_table`."""
        frame = _cells(root, self.path, None, log)
        return _read(self.as_table(list(map(str, frame.columns))), frame, log, subdistricts)


class HdxHapiIdps(SourceOptions):
    """Reader "hdx_hapi_idps": internally displaced people of HDX HAPI (JSON or CSV); it tells no reason.

    Parameters
    ----------
    country, admin_level, level, operation, people_per_household : as in `DtmApi`
    """

    reader: Literal["hdx_hapi_idps"]
    country: str = Field(pattern=r"^[A-Z]{3}$")
    admin_level: Literal[1, 2]
    level: Literal[1, 2, 3]
    operation: str | None = None
    people_per_household: float = Field(gt=0)

    def as_table(self) -> DisplacementTable:
        """The same as a table."""
        where = {"location_code": self.country, "admin_level": str(self.admin_level)}
        where |= {"operation": self.operation} if self.operation else {}
        return DisplacementTable.model_validate(
            {
                **_common(self),
                "reader": "displacement_table",
                "level": self.level,
                "unit_column": f"admin{self.admin_level}_code",
                "time_column": "reference_period_end",
                "people_column": "population",
                "where": where,
                "people_per_household": self.people_per_household,
            }
        )

    def read(self, root: Path, log: Findings, subdistricts: Any = None) -> pd.DataFrame:
        """Rows of counts: see `read_displacement_table`."""
        return _read(self.as_table(), _cells(root, self.path, None, log), log, subdistricts)


def read_displacement_table(
    options: DisplacementTable, root: Path, log: Findings, subdistricts: pd.DataFrame
) -> pd.DataFrame:
    """Counts of a table by round, unit, reason and origin.

    Parameters
    ----------
    options : DisplacementTable
    root : Path
        The data folder.
    log : Findings
        InputError with all that is wrong: unknown units, days, counts and reasons, one key with two counts.
    subdistricts : DataFrame
        The subdistricts table.

    Returns
    -------
    DataFrame
        As the schema at the top says, sorted by its key; reasons that mean the same are added up.
    """
    return _read(options, _cells(root, options.path, options.sheet, log), log, subdistricts)


def counts_by_reason(table: pd.DataFrame, codes: pd.Index) -> pd.DataFrame:
    """Households of each round and unit by reason, for `models.protection.protect`, and never to be published.

    A unit without a row has none of those displaced: the table covers the country. A count that the table leaves empty
    is not known (NaN), and no sum with it is. Where no row of a round tells a reason the reasons are not known either.

    Parameters
    ----------
    table : DataFrame of `read_displacement_table`
    codes : Index of every unit

    Returns
    -------
    DataFrame, index (day, code)
        ``households``; one column for each of `REASONS`; ``climate_at_most``: climate, mixed and unknown together, so
        that the households displaced by climate lie between ``climate`` and it.
    """
    days = pd.Index(table["day"].unique(), name="day").sort_values()
    every = pd.MultiIndex.from_product([days, codes], names=["day", "code"])
    wide = _sums(table, ["day", "code", "reason"])["households"].unstack("reason", fill_value=0.0)
    for axis, labels in enumerate((every, list(REASONS))):
        wide = wide.reindex(labels, axis=axis, fill_value=0.0)
    counts = wide.rename_axis(columns=None)
    counts.insert(0, "households", counts.sum(axis=1, skipna=False))
    counts["climate_at_most"] = counts["climate"] + counts["mixed"] + counts["unknown"]
    told = table.groupby("day")["reason"].agg(lambda r: (r != "unknown").any()).reindex(days)
    silent = counts.index.get_level_values("day").isin(days[~told.to_numpy(dtype=bool)])
    counts.loc[silent, [*REASONS, "climate_at_most"]] = np.nan
    return counts


# ------------------------------------------------------------------ cells


def _common(options: SourceOptions) -> dict[str, Any]:
    return options.model_dump(include=set(SourceOptions.model_fields) - {"reader"})


def _cells(root: Path, file: str, sheet: str | None, log: Findings) -> pd.DataFrame:
    """Cells as text, of a sheet or of a JSON answer (a list of rows, alone or under "result" or "data")."""
    path = require_file(root, file, log)
    if path.suffix.lower() != ".json":
        return read_sheet(path, file, log, sheet)
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        answer = content if isinstance(content, list) else content.get("result", content.get("data"))
        table = [{str(k): _as_text(v) for k, v in row.items()} for row in answer]
    except (UnicodeDecodeError, json.JSONDecodeError, AttributeError, TypeError):
        expected = 'JSON: rows, or an object with rows under "result" or "data"'
        raise log.fail(file=file, field="file", found="something else", expected=expected) from None
    frame = pd.DataFrame(table, dtype=object)
    return frame.set_axis(pd.RangeIndex(1, len(frame) + 1, name="row"), axis=0)


def _as_text(value: Any) -> str | float:
    if value is None or value == "":
        return np.nan
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


# ------------------------------------------------------------------ rows


def _read(options: DisplacementTable, frame: pd.DataFrame, log: Findings, subdistricts: pd.DataFrame) -> pd.DataFrame:
    file = options.path
    named = (
        *(options.unit_column, options.parent_column, options.time_column, options.origin_column),
        *(options.households_column, options.people_column, options.reason_column),
    )
    wanted = [c for c in (*named, *options.reason_columns, *options.where) if c]
    require_columns(frame.columns, dict.fromkeys(wanted), file=file, log=log)
    log.stop()
    frame = _chosen(frame, options, log)
    keys = pd.DataFrame(
        {
            "day": _days(frame, options, log),
            "code": match_units(frame, options, subdistricts, log),
            "origin": _text(frame, options.origin_column, file, log).replace("Not available", ""),
        }
    )
    if options.reason_columns:
        parts = [
            keys.assign(
                reason=reason, said=column, households=parse_counts(one_column(frame, column), file=file, log=log)
            )
            for column, reason in options.reason_columns.items()
        ]
        table = pd.concat(parts).assign(people=np.nan)
        for column in options.reason_columns:
            if (unread := one_column(frame, column).isna()).any():
                where = f"column {column!r}, {rows(unread.index[unread])}"
                log.warning(file=file, field=where, found="an empty cell", expected=_COUNT, action="not known, not 0")
    else:
        said = _text(frame, options.reason_column, file, log)
        counts = _counts(frame, options, log)
        table = keys.assign(reason=_reasons(said, options, log), said=said, **counts)
    table = _once(table, options, log)
    log.stop()
    table = _households_and_people(table, options, log)
    return _sums(table, ["day", "code", "reason", "origin"]).reset_index()


def _sums(table: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Households and people by key, sorted; with an unknown part no sum is known."""
    parts = table.groupby(by)[["households", "people"]]
    return parts.sum().where(parts.count().eq(parts.size(), axis=0))


def _chosen(frame: pd.DataFrame, options: DisplacementTable, log: Findings) -> pd.DataFrame:
    kept = pd.Series(True, index=frame.index)
    for column, value in options.where.items():
        kept &= one_column(frame, column).fillna("").astype(str).str.strip() == value
    if not kept.any():
        told = ", ".join(f"{c} = {v!r}" for c, v in options.where.items()) or "any count"
        raise log.fail(file=options.path, field="rows", found="none", expected=f"rows with {told}")
    return frame[kept]


def _days(frame: pd.DataFrame, options: DisplacementTable, log: Findings) -> pd.Series:
    if options.time_column is None:
        return pd.Series(pd.Timestamp(options.round_as_of), index=frame.index)
    cells = one_column(frame, options.time_column)
    text = cells.fillna("").astype(object).map(lambda t: str(t).strip().replace("/", "-")[:10])
    days = pd.to_datetime(text, format="%Y-%m-%d", errors="coerce")
    if (wrong := days.isna()).any():
        field = f"column {options.time_column!r}, {rows(wrong.index[wrong])}"
        found = listed(repr(str(c)[:40]) for c in cells[wrong].unique())
        log.error(file=options.path, field=field, found=found, expected="a date YYYY-MM-DD")
    return days.map(lambda d: d if pd.isna(d) else period_start(d, "day"))


def _text(frame: pd.DataFrame, column: str | None, file: str, log: Findings) -> pd.Series:
    if column is None:
        return pd.Series("", index=frame.index, dtype=object)
    return clean_text(one_column(frame, column), file=file, log=log)


def _counts(frame: pd.DataFrame, options: DisplacementTable, log: Findings) -> dict[str, pd.Series]:
    nothing = pd.Series(np.nan, index=frame.index)
    counts = {}
    for ours, column in (("households", options.households_column), ("people", options.people_column)):
        counts[ours] = parse_counts(one_column(frame, column), file=options.path, log=log) if column else nothing
    lead = options.households_column or options.people_column
    unread = frame[lead].isna()
    if unread.any():
        where = f"column {lead!r}, {rows(unread.index[unread])}"
        log.error(file=options.path, field=where, found="an empty cell", expected=_COUNT)
    return counts


def _reasons(said: pd.Series, options: DisplacementTable, log: Findings) -> pd.Series:
    """Reason of each row; several in one cell are climate and others (mixed), conflict, or other."""
    words = {theirs.casefold(): ours for theirs, ours in options.reasons.items()} | {"": "unknown"}
    answers, strange = {}, []
    for cell in said.unique():
        parts = [p.strip().casefold() for p in str(cell).split(";")]
        strange += [p for p in parts if p not in words]
        ours = {words.get(p, "unknown") for p in parts} - ({"unknown"} if len(parts) > 1 else set())
        if "climate" in ours and len(ours) > 1:
            answers[cell] = "mixed"
        else:
            answers[cell] = next((r for r in ("climate", "conflict", "other") if r in ours), "unknown")
    if strange:
        field = f"column {options.reason_column!r}"
        expected = f"a reason that the country file names: {', '.join(sorted(options.reasons))}"
        log.error(file=options.path, field=field, found=listed(sorted(set(map(repr, strange)))), expected=expected)
    return said.map(answers)


def _once(table: pd.DataFrame, options: DisplacementTable, log: Findings) -> pd.DataFrame:
    """Each key once: the same row again is dropped, one with another count is an error."""
    key = ["day", "code", "said", "origin"]
    again = table.assign(said=table["said"].str.casefold()).duplicated([*key, "households", "people"])
    if again.any():
        found = f"the same unit, round, reason and count again, {rows(table.index[again])}"
        log.repair(file=options.path, field="rows", found=found, expected="each once", action="counted once")
    table = table[~again]
    folded = table.assign(said=table["said"].str.casefold())
    twice = folded.duplicated(key, keep=False) & folded["day"].notna() & folded["code"].notna()
    if twice.any():
        units = listed(sorted(folded["code"][twice].unique()))
        found = f"{units} with two counts in one round, {rows(table.index[twice])}"
        log.error(file=options.path, field="rows", found=found, expected="one count per unit, round, reason and origin")
    return table


def _households_and_people(table: pd.DataFrame, options: DisplacementTable, log: Findings) -> pd.DataFrame:
    factor = options.people_per_household
    households, people = table["households"], table["people"]
    if households.isna().all() and people.notna().any():
        told = f"people alone, {factor:g} to a household"
        action = "households derived, rounded half up"
        log.add("note", file=options.path, field="households", found=told, expected="households", action=action)
        whole = np.floor(people / factor + 0.5)
        return table.assign(households=whole.where(people == 0, np.maximum(whole, 1)))
    if (other := people.notna() & (people != households * factor)).any():
        found = f"{int(other.sum())} rows with another number of people than households x factor"
        action = "households lead; people are derived from them"
        expected = f"{factor:g} people per household"
        log.warning(file=options.path, field="people", found=found, expected=expected, action=action)
    return table.assign(people=people.where(people.notna(), households * factor))
