"""Tables by administrative unit: joined to the subdistricts by p-code or by name, never by luck."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import Field

from .calendar import period_label, period_range, period_start
from .options import SourceOptions, nearest, require_columns, require_file
from .schema import Findings, Status, status_attrs
from .sheets import SHOWN, clean_text, listed, one_column, parse_numbers, read_sheet, rows

MISSING_WORDS = ("NA", "N/A", "n/a", "NaN", "nan", "null", "-", "..")
"""How tables write "no value" in a cell. In a list of counts these words are errors."""

_PARTS = {"year": 1, "month": 2}  # of a date that name a period of the cadence
_PERIOD_WRITTEN = {"year": "a year", "month": "a month YYYY-MM"}
_CODE_OF_LEVEL = {1: "adm1_pcode", 2: "adm2_pcode", 3: "pcode"}
_NAME_OF_LEVEL = {1: "adm1_name", 2: "adm2_name", 3: "name"}


class UnitColumns(SourceOptions):
    """How a table names its units.

    Parameters
    ----------
    unit_column : str
        Column with the p-code or the name of the unit.
    unit_by : "pcode" or "name"
    level : 1, 2 or 3
        Which units: governorates, districts, subdistricts (ADM1 to ADM3).
    name_language : "en", "ar" or "ckb"
        Which of the boundary file's names the table uses.
    aliases : dict
        Their name -> ours, for units and parents alike.
    parent_column : str or None
        Column with the name or p-code of a unit above, where names repeat.
    sheet : str or None
        Sheet of a workbook; None is the first.
    """

    unit_column: str
    unit_by: Literal["pcode", "name"] = "pcode"
    level: Literal[1, 2, 3] = 3
    name_language: Literal["en", "ar", "ckb"] = "en"
    aliases: dict[str, str] = Field(default_factory=dict)
    parent_column: str | None = None
    sheet: str | None = None


class UnitTable(UnitColumns):
    """Reader "unit_table": one row per unit and period.

    Parameters
    ----------
    time_column : str
        Column with the period: a year (``1984``), month (``1984-03``) or date (``1984-03-31``).
    value_column : str
    scale : float
        Factor to the unit the products speak in, e.g. 0.0009 km2 per 30 m pixel.
    scaled_units : str or None
        Unit after scaling; None if ``units`` says it already.
    allow_negative : bool
        True for anomalies and balances.
    """

    reader: Literal["unit_table"]
    time_column: str
    value_column: str
    scale: float = Field(default=1.0, gt=0)
    scaled_units: str | None = None
    allow_negative: bool = False

    def read(self, root: Path, log: Findings, subdistricts: Any = None) -> xr.Dataset:
        """Values by subdistrict: see `read_unit_table`."""
        return read_unit_table(self, root, log, subdistricts)


def read_unit_table(options: UnitTable, root: Path, log: Findings, subdistricts: pd.DataFrame) -> xr.Dataset:
    """Values of a table, given to every subdistrict of the unit they speak of.

    Parameters
    ----------
    options : UnitTable
        What the country file says of the table.
    root : Path
        The data folder.
    log : Findings
        InputError with all that is wrong: unknown, ambiguous and repeated units, text or negative
        values, impossible periods.
    subdistricts : DataFrame
        The subdistricts table.

    Returns
    -------
    Dataset (time, pcode)
        ``value`` (unit after scaling) and ``status``: resolution_limited for values of districts
        and governorates, input_missing where the table is silent. Time is the start of each
        period that the table has, as in rasters; every subdistrict is there.
    """
    file = options.path
    frame = read_sheet(require_file(root, file, log), file, log, options.sheet)
    wanted = [options.unit_column, options.time_column, options.value_column, options.parent_column]
    require_columns(frame.columns, [c for c in wanted if c], file=file, log=log)
    log.stop()
    unit = match_units(frame, options, subdistricts, log)
    time = parse_periods(one_column(frame, options.time_column), options, log)
    value = read_values(frame, options.value_column, file, log, allow_negative=options.allow_negative)
    _refuse_repeated(pd.DataFrame({"unit": unit, "time": time}), options, log)
    log.stop()
    wide = pd.DataFrame({"time": time, "unit": unit, "value": value * options.scale})
    wide = wide.pivot(index="time", columns="unit", values="value").sort_index()
    _warn_of_gaps(wide, options, subdistricts, log)
    return _spread(wide, options, subdistricts)


def read_values(frame: pd.DataFrame, column: str, file: str, log: Findings, *, allow_negative: bool) -> pd.Series:
    """Numbers of a value column; NaN where the table says there is none. Returns: Series float64."""
    cells = one_column(frame, column)
    numbers = parse_numbers(cells.mask(cells.isin(MISSING_WORDS)), file=file, log=log)
    negative = numbers < 0
    if negative.any() and not allow_negative:
        log.error(
            file=file,
            field=f"column {column!r}, {rows(negative.index[negative])}",
            found=listed(numbers[negative]),
            expected="values of 0 or more",
        )
    return numbers


def match_units(frame: pd.DataFrame, options: UnitColumns, subdistricts: pd.DataFrame, log: Findings) -> pd.Series:
    """Code of the unit of each row, at the level of the table; None where an error was noted.

    Names are compared without case. A name that stands for several units is an error unless
    ``parent_column`` tells which is meant.

    Returns
    -------
    Series of str
        Index of ``frame``; ``adm1_pcode``, ``adm2_pcode`` or ``pcode`` by level.
    """
    file, ours = options.path, _known_units(options, subdistricts)
    _check_aliases(options, ours, log)
    aliases = {_fold(theirs): _fold(name) for theirs, name in options.aliases.items()}
    asked = pd.DataFrame({"said": clean_text(one_column(frame, options.unit_column), file=file, log=log)})
    asked["key"] = asked["said"].map(lambda t: aliases.get(_fold(t), _fold(t)))
    if options.parent_column is not None:
        parent = clean_text(one_column(frame, options.parent_column), file=file, log=log)
        asked["parent"] = parent.map(lambda t: aliases.get(_fold(t), _fold(t)))
    else:
        asked["parent"] = ""
    cases = asked.drop_duplicates(["key", "parent"])
    answers = {
        (key, parent): _one_unit(key, parent, said, ours, options)
        for key, parent, said in cases[["key", "parent", "said"]].itertuples(index=False)
    }
    _report_unmatched({c: a for c, a in answers.items() if a[1]}, asked, options, log)
    return pd.Series(
        [answers[case][0] for case in zip(asked["key"], asked["parent"], strict=True)], index=frame.index, dtype=object
    )


def parse_periods(cells: pd.Series, options: SourceOptions, log: Findings) -> pd.Series:
    """Start of the period each row speaks about; NaT where it is none.

    Parameters
    ----------
    cells : Series
        Years, months or dates as text.
    options : SourceOptions
        Its cadence says what a period is.
    log : Findings
        Told of impossible periods.

    Returns
    -------
    Series
        datetime64, same index.
    """
    text = cells.fillna("").astype(object).map(lambda t: str(t).strip().replace("/", "-"))
    times = pd.to_datetime(text.map({t: _period(t, options.cadence) for t in text.unique()}))
    if (wrong := times.isna()).any():
        log.error(
            file=options.path,
            field=f"column {cells.name!r}, {rows(wrong.index[wrong])}",
            found=listed(repr(t[:40]) for t in text[wrong].unique()),
            expected=_PERIOD_WRITTEN.get(options.cadence, "a date YYYY-MM-DD"),
        )
    return times


def _period(text: str, cadence: str) -> pd.Timestamp | None:
    """Start of the period that ``text`` names by as many parts as the cadence needs, or more."""
    parts = text.removesuffix(".0").partition(" ")[0].partition("T")[0].split("-")
    if not _PARTS.get(cadence, 3) <= len(parts) <= 3 or not all(p.isascii() and p.isdigit() for p in parts):
        return None
    year, month, day = [int(p) for p in parts] + [1] * (3 - len(parts))
    try:
        return period_start(pd.Timestamp(year, month, day), cadence) if len(parts[0]) == 4 else None
    except ValueError:
        return None


def _fold(text: str) -> str:
    return text.strip().casefold()


def _known_units(options: UnitColumns, subdistricts: pd.DataFrame) -> pd.DataFrame:
    """Units of the table's level: key, name, code, and the folded names and codes above them."""
    flat = subdistricts.drop(columns="geometry", errors="ignore").reset_index()
    code = _CODE_OF_LEVEL[options.level]
    name = _name_column(options.level, options.name_language)
    shown = flat[code if options.unit_by == "pcode" else name].astype(str)
    known = pd.DataFrame({"key": shown.map(_fold), "shown": shown, "code": flat[code]})
    above = [level for level in (1, 2) if level < options.level]
    columns = [c for n in above for c in (_CODE_OF_LEVEL[n], _name_column(n, options.name_language))]
    known["above"] = [frozenset(map(_fold, map(str, values))) for values in flat[columns].to_numpy()]
    return known[known["key"] != ""].drop_duplicates(["key", "code"])


def _name_column(level: int, language: str) -> str:
    column = _NAME_OF_LEVEL[level]
    if level == 3:
        return f"{column}_{language}"
    return column if language == "en" else f"{column}_{language}"


def _one_unit(
    key: str, parent: str, said: str, ours: pd.DataFrame, options: UnitColumns
) -> tuple[str | None, str, str]:
    """(code, found, expected): the last two say what is wrong if there is no code."""
    found = ours[ours["key"] == key]
    if parent and not found.empty:
        below = found[[parent in above for above in found["above"]]]
        if below.empty:
            return None, f"{said!r} in {parent!r}", f"a unit above it as in {sorted(found['above'].iloc[0])}"
        found = below
    if len(found) == 1:
        return str(found["code"].iloc[0]), "", ""
    if found.empty:
        hint = nearest(said, ours["shown"])
        wanted = f"a {options.unit_by} of ADM{options.level} of the boundary file"
        return None, f"{said!r}" + (f" (did you mean {hint!r}?)" if hint else ""), f"{wanted}, or an alias"
    codes = sorted(found["code"])
    return None, f"{said!r}, which is {listed(codes)}", "one unit: a parent_column that tells them apart, or p-codes"


def _report_unmatched(
    wrong: dict[tuple[str, str], tuple[str | None, str, str]], asked: pd.DataFrame, options: UnitColumns, log: Findings
) -> None:
    for (key, parent), (_, found, expected) in list(wrong.items())[: 2 * SHOWN]:
        where = asked.index[(asked["key"] == key) & (asked["parent"] == parent)]
        field = f"column {options.unit_column!r}, {rows(where)}"
        log.error(file=options.path, field=field, found=found, expected=expected)
    if len(wrong) > 2 * SHOWN:
        more = f"{len(wrong) - 2 * SHOWN} more units"
        expected = f"ADM{options.level} units of the boundary file"
        log.error(file=options.path, field=f"column {options.unit_column!r}", found=more, expected=expected)


def _check_aliases(options: UnitColumns, ours: pd.DataFrame, log: Findings) -> None:
    known = set(ours["key"]).union(*ours["above"])
    for theirs, name in options.aliases.items():
        if _fold(name) not in known:
            hint = nearest(name, ours["shown"])
            found = f"{name!r}" + (f" (did you mean {hint!r}?)" if hint else "")
            log.error(file=options.path, field=f"aliases.{theirs}", found=found, expected="a name of ours")


def _refuse_repeated(keys: pd.DataFrame, options: UnitTable, log: Findings) -> None:
    known = keys.dropna()
    repeated = known[known.duplicated(keep=False)]
    for (unit, time), group in list(repeated.groupby(["unit", "time"]))[:SHOWN]:
        log.error(
            file=options.path,
            field=f"columns {options.unit_column!r} and {options.time_column!r}, {rows(group.index)}",
            found=f"{unit} in {period_label(time, options.cadence)} {len(group)} times",
            expected="one row per unit and period",
        )


def warn_of_absent_periods(times: pd.Index, column: str, options: SourceOptions, log: Findings) -> None:
    """Note the months or years between the first and the last that a table does not speak of.

    Parameters
    ----------
    times : DatetimeIndex, starts of its periods in order
    column : str, where they stand
    options : SourceOptions
    log : Findings
    """
    if options.cadence in ("month", "year") and len(times) > 1:
        absent = period_range(times[0], times[-1], options.cadence).difference(times)
        if len(absent):
            found = f"no rows for {listed(period_label(t, options.cadence) for t in absent)}"
            log.warning(file=options.path, field=column, found=found, expected="every period")


def _warn_of_gaps(wide: pd.DataFrame, options: UnitTable, subdistricts: pd.DataFrame, log: Findings) -> None:
    warn_of_absent_periods(wide.index, options.time_column, options, log)
    code = _CODE_OF_LEVEL[options.level]
    silent = sorted(set(subdistricts.reset_index()[code]) - set(wide.columns))
    if silent:
        found = f"no row for {len(silent)} of the ADM{options.level} units ({listed(silent)})"
        action = "left without value (input_missing)"
        log.warning(file=options.path, field=options.unit_column, found=found, expected="every unit", action=action)


def _spread(wide: pd.DataFrame, options: UnitTable, subdistricts: pd.DataFrame) -> xr.Dataset:
    codes = subdistricts.reset_index()[_CODE_OF_LEVEL[options.level]]
    values = wide.reindex(columns=codes).to_numpy(dtype="float64")
    kept = Status.ok if options.level == 3 else Status.resolution_limited
    status = np.where(np.isnan(values), Status.input_missing, kept).astype("int8")
    label = options.label.get("en") or next(iter(options.label.values()), options.value_column)
    attrs = {"units": options.scaled_units or options.units, "long_name": label}
    return xr.Dataset(
        {"value": (("time", "pcode"), values, attrs), "status": (("time", "pcode"), status, status_attrs())},
        coords={"time": wide.index.as_unit("ns").to_numpy(), "pcode": subdistricts.index.to_numpy().astype(str)},
    )
