"""The subdistrict table for other programs: CSV, its HXL twin, and a workbook for people.

The table arrives rounded. Here nothing is computed: what is unknown stays empty, with the
reason in its status beside it.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xlsxwriter

from geodata.schema import AlertLevel, ContractError, Manifest, Status

from .rounding import half_up, printed_tenths
from .words import load_catalogue, sentence

COLUMNS = (
    "pcode", "name_en", "name_ar", "name_ckb", "adm1_pcode", "adm1_name", "adm2_pcode", "adm2_name", "area_km2",
    "residents", "displaced_households", "displaced_people", "displaced_climate_households", "returnee_households",
    "hazard_drought", "hazard_water", "hazard_heavy_rain", "hazard", "exposure", "vulnerability", "lack_of_coping",
    "risk", "risk_class", "risk_low", "risk_high", "risk_tier", "lack_of_reliability", "main_driver",
    "warning_score", "alert_level", "alert_basis", "warning_reason", "status", "as_of",
)  # fmt: skip
"""Columns of ``subdistricts.csv``, in this order; statuses and further columns follow."""

COUNTS = (
    "residents", "displaced_households", "displaced_people", "displaced_climate_households", "returnee_households",
)  # fmt: skip
INTEGERS = (*COUNTS, "alert_level", "hazards_known", "hazards_declared")

TAGS: Mapping[str, str] = {
    "pcode": "#adm3+code", "name_en": "#adm3+name+i_en", "name_ar": "#adm3+name+i_ar", "name_ckb": "#adm3+name+i_ckb",
    "adm1_pcode": "#adm1+code", "adm1_name": "#adm1+name", "adm2_pcode": "#adm2+code", "adm2_name": "#adm2+name",
    "area_km2": "#indicator+area+km2", "residents": "#population+residents",
    "displaced_households": "#affected+idps+hh",
    "displaced_people": "#affected+idps+ind", "displaced_climate_households": "#affected+idps+climate+hh",
    "returnee_households": "#affected+returnees+hh", "risk_class": "#severity+risk+class",
    "risk_low": "#severity+risk+min", "risk_high": "#severity+risk+max", "risk_tier": "#severity+risk+tier",
    "main_driver": "#indicator+risk+driver", "alert_level": "#severity+alert+level", "alert_basis": "#meta+alert+basis",
    "hazards_known": "#indicator+hazards+known+num", "hazards_declared": "#indicator+hazards+declared+num",
    "warning_reason": "#description+alert", "status": "#status+risk", "as_of": "#date+period", "notice": "#meta+notice",
}  # fmt: skip
"""HXL tags; any other score is ``#severity+<name>``, its status ``#status+<name>``."""


def decimals(column: str) -> int:
    """Decimals a column is printed with: scores, their parts and areas one; the indices behind them two.

    >>> decimals("risk"), decimals("contribution_water"), decimals("drought_percentile")
    (1, 1, 2)
    """
    return 1 if column in COLUMNS or column.startswith(("contribution_", "hazard_")) else 2


def publishable(
    table: pd.DataFrame,
    labels: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """The score table as it is printed: rounded once, whole counts, the reason in English.

    Parameters
    ----------
    table : DataFrame, index pcode, unrounded; the columns of the score table
    labels : mapping, hazard -> its English name, for hazards without words in the catalogues

    Returns
    -------
    DataFrame, index pcode sorted; ``warning_reason`` in place of reason code and values
    """
    whole = table.sort_index()
    rounded = whole.drop(columns=["reason_code", "reason_values"], errors="ignore").copy()
    for column in rounded.columns:
        if column in INTEGERS:
            rounded[column] = pd.to_numeric(rounded[column], errors="coerce").round().astype("Int64")
        elif pd.api.types.is_float_dtype(rounded[column]):
            rounded[column] = _half_up(rounded[column], decimals(column))
    if parts := parts_of_risk(whole):
        rounded[parts] = printed_parts(whole[parts], whole["risk"])
    if "reason_code" in whole:
        rounded["warning_reason"] = reasons(whole, labels=labels)
    return rounded


def _half_up(column: pd.Series, ndigits: int) -> pd.Series:
    return column.map(lambda value: half_up(value, ndigits), na_action="ignore")


def parts_of_risk(table: pd.DataFrame) -> list[str]:
    """Columns of a score table that add up to the risk.

    >>> parts_of_risk(pd.DataFrame(columns=["risk", "contribution_water", "contribution_water_status"]))
    ['contribution_water']
    """
    return [c for c in table.columns if c.startswith("contribution_") and not c.endswith("_status")]


def printed_parts(parts: pd.DataFrame, whole: pd.Series) -> pd.DataFrame:
    """Unrounded parts as they are printed: they add up to their printed whole; no whole, no parts."""
    rows = [
        [np.nan if v is None else v / 10 for v in printed_tenths(row, total) or [None] * len(row)]
        for row, total in zip(parts.to_numpy(dtype="float64"), whole.to_numpy(dtype="float64"), strict=True)
    ]
    return pd.DataFrame(rows, index=parts.index, columns=parts.columns)


def reasons(table: pd.DataFrame, lang: str = "en", labels: Mapping[str, str] | None = None) -> list[str]:
    """The sentence behind each level, in the table's order."""
    values = [v if isinstance(v, Mapping) else {} for v in table["reason_values"]]
    codes = table["reason_code"].fillna("").astype(str)
    return [sentence(lang, code, v, labels) for code, v in zip(codes, values, strict=True)]


def ordered_columns(table: pd.DataFrame) -> list[str]:
    """Contract columns first, then their statuses, then whatever else there is, by name."""
    held = ["pcode", *table.columns]
    if absent := [c for c in COLUMNS if c not in held]:
        raise ContractError(f"subdistricts.csv: columns {absent} absent")
    statuses = [f"{c}_status" for c in COLUMNS if f"{c}_status" in held]
    rest = sorted(set(held) - set(COLUMNS) - set(statuses))
    return [*COLUMNS, *statuses, *rest]


# ------------------------------------------------------------------ CSV


def _cell(column: str, value: Any) -> str:
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return ""
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, int | np.integer):
        return str(int(value))
    if isinstance(value, float | np.floating):
        places = decimals(column)
        text = f"{half_up(float(value), places):.{places}f}"
        return text if places == 1 else text.rstrip("0").rstrip(".")
    return str(value)


def _rows(table: pd.DataFrame, columns: Sequence[str]) -> list[list[str]]:
    whole = table.sort_index()
    cells = [[_cell(c, v) for v in (whole.index if c == "pcode" else whole[c])] for c in columns]
    return [list(row) for row in zip(*cells, strict=True)]


def _write(path: Path, rows: Sequence[Sequence[str]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    path.write_text(text.getvalue(), encoding="utf-8", newline="")


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """``subdistricts.csv``: one row per subdistrict sorted by p-code, UTF-8, unknown empty.

    Parameters
    ----------
    table : DataFrame, index pcode, already rounded (`publishable`); the contract's columns and any others
    """
    columns = ordered_columns(table)
    _write(path, [columns, *_rows(table, columns)])


def tag(column: str) -> str:
    """The HXL tag of a column.

    >>> tag("hazard_drought"), tag("risk_status"), tag("pcode"), tag("spi_12_status")
    ('#severity+hazard+drought', '#status+risk', '#adm3+code', '#status+spi_12')
    """
    if column in TAGS:
        return TAGS[column]
    # An attribute begins with a letter, so a number stays with the word before it.
    attributes = re.sub(r"_(?=[^\d])", "+", column.removesuffix("_status"))
    return ("#status+" if column.endswith("_status") else "#severity+") + attributes


def write_records(table: pd.DataFrame, path: Path, decimals: Mapping[str, int] | None = None) -> None:
    """Any further table as CSV, UTF-8, in its own order of rows and columns: months as YYYY-MM, unknown empty.

    Parameters
    ----------
    table : DataFrame; the index is not written
    path : Path
    decimals : mapping, column -> decimals of its numbers; 2 unless named
    """
    plain = table.copy()
    for column in plain.columns:
        if pd.api.types.is_datetime64_any_dtype(plain[column]):
            plain[column] = plain[column].dt.strftime("%Y-%m")
        elif pd.api.types.is_float_dtype(plain[column]):
            plain[column] = _half_up(plain[column], (decimals or {}).get(str(column), 2))
        elif pd.api.types.is_bool_dtype(plain[column]):
            plain[column] = plain[column].map({True: "true", False: "false"})
    _write(path, [list(map(str, plain.columns)), *plain.astype(object).where(plain.notna(), "").values.tolist()])


def write_hxl_csv(table: pd.DataFrame, path: Path) -> None:
    """The same table with a row of HXL tags under the header."""
    columns = ordered_columns(table)
    _write(path, [columns, [tag(c) for c in columns], *_rows(table, columns)])


# ------------------------------------------------------------------ workbook

MEANINGS: Mapping[str, str] = {
    "pcode": "Unique code of the subdistrict",
    "area_km2": "Area, km2, on the ellipsoid",
    "residents": "People who live there as their source counts them: displaced people apart, unless it includes them",
    "displaced_households": "Displaced households: to the nearest 5; empty with status 'suppressed' means 1 to 4",
    "displaced_people": "Households times the declared factor, computed after protection",
    "hazard": "All hazards together, 0 to 10, 10 worst; of those that are known alone, see hazards_known",
    "hazards_known": "How many hazards the combined hazard of the unit rests on",
    "hazards_declared": "How many hazards the country file names, with or without a source",
    "risk": "Risk score, 0 to 10, 10 worst; how it is made stands below, level by level",
    "risk_basis": "score; range where one dimension is not known there: then risk_low and risk_high are what the risk "
    "could be, going by the rest of the country; none",
    "confidence": "How sure the group (tier) is: sure, fairly sure, unsure; by how often the draws agree",
    "change_up_part": "The one part whose change alone moves the place one class higher (see change_up_answer)",
    "change_up_from": "Score of that part now, 0 to 10",
    "change_up_to": "Score of that part from which on the class is one higher",
    "change_down_part": "The one part whose change alone moves the place one class lower (see change_down_answer)",
    "change_down_from": "Score of that part now, 0 to 10",
    "change_down_to": "Score of that part from which on the class is one lower",
    "risk_class": "Class of the unrounded score; the limits are in the sources sheet of the site",
    "risk_low": "Low end of the likely range (9 chances in 10)",
    "risk_high": "High end of the likely range (9 chances in 10)",
    "risk_tier": "Group A (highest) to E, by how most draws of weights, means, scales and errors place it: places in "
    "one group cannot be told apart, and one with a slightly higher score may stand in a lower group",
    "lack_of_reliability": "How little we know, 0 to 10, 10 worst",
    "main_driver": "The part that adds most to the score",
    "alert_level": "-1 not assessed, " + ", ".join(f"{a.value} {a.name.lower()}" for a in AlertLevel if a >= 0),
    "alert_basis": "What the level rests on: monitoring, outlook or forecast",
    "status": "Status of the risk score",
    "as_of": "The month the table speaks about",
}


def _meaning(column: str, further: Mapping[str, str]) -> str:
    if column.endswith("_status"):
        return f"Why {column.removesuffix('_status')} has, or lacks, a value"
    if column.startswith("tier_") and column.endswith("_probability"):
        return f"Share of the draws in which the place stands in group {column[5].upper()}"
    return MEANINGS.get(column) or further.get(column, "0 to 10, 10 worst" if column.startswith("hazard") else "")


def write_xlsx(
    table: pd.DataFrame,
    manifest: Manifest,
    path: Path,
    meanings: Mapping[str, str] | None = None,
    made_from: Mapping[str, str] | None = None,
) -> None:
    """A workbook for people: the scores, what the columns and statuses mean, the sources and their ages.

    Text that looks like a formula stays text, and the creation date is the day of issue, so
    that equal runs give equal bytes.

    Parameters
    ----------
    table : DataFrame, index pcode, already rounded (`publishable`)
    manifest : Manifest
    meanings : mapping, column -> what it is, of columns that the contract does not name
    made_from : mapping, level of the risk -> which mean of which parts, with which weights
    """
    options = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False, "in_memory": True}
    with xlsxwriter.Workbook(str(path), options) as book:
        book.set_properties(
            {"title": _title(manifest), "created": datetime.combine(manifest.issued, datetime.min.time())}
        )
        _scores_sheet(book, table, manifest)
        _definitions_sheet(book, table, manifest, meanings or {}, made_from or {})
        _sources_sheet(book, manifest)


def _title(manifest: Manifest) -> str:
    words = load_catalogue("en")
    flags = [words(f"banner.{n}") for n in ("exercise", "synthetic") if getattr(manifest, n)]
    without = [words(f"without.{d}") for d in manifest.dimensions_missing]
    name = manifest.country_name.get("en", manifest.country)
    risk = ", ".join([words("layer.risk"), *without])
    return ". ".join([*flags, f"{risk}: {name}, {manifest.as_of}, issued {manifest.issued.isoformat()}"])


def _sheet(book: Any, name: str, heads: Sequence[str], widths: Sequence[float], banner: str) -> Any:
    """A sheet whose first row says what it is, with frozen, filtered heads below."""
    sheet = book.add_worksheet(name)
    sheet.write_string(0, 0, banner, book.add_format({"bold": True}))
    head = book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"})
    for k, (text, width) in enumerate(zip(heads, widths, strict=True)):
        sheet.write_string(1, k, text, head)
        sheet.set_column(k, k, width)
    return sheet


def _finish(sheet: Any, rows: int, columns: int, frozen: int = 1) -> None:
    sheet.freeze_panes(2, frozen)
    sheet.autofilter(1, 0, 1 + max(rows, 1), columns - 1)


def _scores_sheet(book: Any, table: pd.DataFrame, manifest: Manifest) -> None:
    columns, whole = ordered_columns(table), table.sort_index()
    widths = [
        26 if c.startswith(("name", "adm1_name", "adm2_name")) else 60 if c == "warning_reason" else 14 for c in columns
    ]
    sheet = _sheet(book, "scores", columns, widths, _title(manifest))
    count, *scores = (book.add_format({"num_format": form}) for form in ("#,##0", "0.0", "0.00"))
    for k, column in enumerate(columns):
        for row, value in enumerate(whole.index if column == "pcode" else whole[column], start=2):
            text = _cell(column, value)
            if not text:
                continue
            if isinstance(value, float | int | np.number) and not isinstance(value, bool):
                sheet.write_number(row, k, float(text), count if column in INTEGERS else scores[decimals(column) - 1])
            else:
                sheet.write_string(row, k, text)
    _finish(sheet, len(whole), len(columns), frozen=2)


def _definitions_sheet(
    book: Any, table: pd.DataFrame, manifest: Manifest, meanings: Mapping[str, str], made_from: Mapping[str, str]
) -> None:
    words = load_catalogue("en")
    rows = [(c, tag(c), _meaning(c, meanings)) for c in ordered_columns(table)]
    rows += [(f"level: {name}", "", how) for name, how in made_from.items()]
    rows += [(f"status: {s.name}", "", words(f"status.{s.name}")) for s in Status]
    rows += [(f"alert_level: {a.value}", "", words(f"alert.{a.name}")) for a in AlertLevel]
    rows += [(f"hazard: {h}", "", words("status.input_missing")) for h in manifest.missing_hazards]
    rows += [(f"dimension: {d}", "", words("status.input_missing")) for d in manifest.dimensions_missing]
    sheet = _sheet(book, "definitions", ("name", "HXL tag", "meaning"), (32, 34, 100), _title(manifest))
    for row, cells in enumerate(rows, start=2):
        for k, text in enumerate(cells):
            sheet.write_string(row, k, text)
    _finish(sheet, len(rows), 3)


def _sources_sheet(book: Any, manifest: Manifest) -> None:
    heads = (
        "source",
        "first",
        "last",
        "age_days",
        "status",
        "units",
        "licence",
        "attribution",
        "file",
        "sha256",
        "note",
    )
    sheet = _sheet(book, "sources", heads, (34, 10, 10, 10, 12, 12, 30, 60, 40, 20, 60), _title(manifest))
    for row, s in enumerate(manifest.sources, start=2):
        age = "" if s.age_days is None else str(s.age_days)
        label, note = s.label.get("en", s.name), s.note.get("en", "")
        cells = (
            label,
            s.first,
            s.last,
            age,
            s.status,
            s.native_units,
            s.licence,
            s.attribution,
            s.location,
            s.sha256,
            note,
        )
        for k, text in enumerate(cells):
            sheet.write_string(row, k, str(text))
    _finish(sheet, len(manifest.sources), len(heads))
