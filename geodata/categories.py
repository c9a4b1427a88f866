"""Tables of amounts by subdistrict and category: irrigated area by crop, animals by kind."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

from .options import require_columns, require_file
from .schema import Finding, Findings, Status, status_attrs
from .sheets import clean_text, listed, one_column, read_sheet, rows
from .tables import UnitColumns, match_units, read_values

HECTARES_PER_KM2 = 100.0


class CategoryTable(UnitColumns):
    """Reader "category_table": one row per subdistrict and category.

    A subdistrict with a row has none of the categories it does not list; one without any row is
    unknown.

    Parameters
    ----------
    category_column, value_column : str
        Amounts in ``units``; no cell of them may be empty.
    reference : date
        Day the amounts were counted or estimated for.
    absent_is_zero : bool
        True for a table that leaves out the subdistricts that have none.
    """

    reader: Literal["category_table"]
    level: Literal[3] = 3
    category_column: str
    value_column: str
    reference: date
    absent_is_zero: bool = False

    def read(self, root: Path, log: Findings, subdistricts: Any = None) -> xr.Dataset:
        """Amounts by subdistrict and category: see `read_category_table`."""
        return read_category_table(self, root, log, subdistricts)


def read_category_table(options: CategoryTable, root: Path, log: Findings, subdistricts: pd.DataFrame) -> xr.Dataset:
    """Amounts of each category.

    Parameters
    ----------
    options : CategoryTable
        What the country file says of the table.
    root : Path
        The data folder.
    log : Findings
        InputError with all that is wrong; subdistricts without a row are a warning.
    subdistricts : DataFrame
        The subdistricts table; its ``area_km2`` bounds an area in hectares.

    Returns
    -------
    Dataset (time, pcode, category)
        ``value`` in ``units`` and ``status``; input_missing where a subdistrict has no row. Time is
        the reference month, one step; categories are sorted.
    """
    file = options.path
    frame = read_sheet(require_file(root, file, log), file, log, options.sheet)
    wanted = [options.unit_column, options.category_column, options.value_column, options.parent_column]
    require_columns(frame.columns, [c for c in wanted if c], file=file, log=log)
    log.stop()
    table = pd.DataFrame(
        {
            "unit": match_units(frame, options, subdistricts, log),
            "category": clean_text(one_column(frame, options.category_column), file=file, log=log),
            "value": read_values(frame, options.value_column, file, log, allow_negative=False),
        }
    )
    if table.empty:
        log.error(file=file, field="rows", found="none", expected="a row per subdistrict and category")
    _check_cells(table, options, log)
    log.stop()
    wide = table.pivot(index="unit", columns="category", values="value").fillna(0.0).reindex(subdistricts.index)
    if options.units == "ha":
        _check_area(wide, subdistricts, options, log)
        log.stop()
    return _as_dataset(_silent_units(wide, options, log), options)


def unknown_categories(values: xr.Dataset, known: Iterable[str], *, source: str, file: str) -> list[Finding]:
    """Errors for the categories of a table that nobody has a coefficient for.

    Parameters
    ----------
    values : Dataset (..., category)
        From `read_category_table`.
    known : categories of the country file
    source, file : str
        Block and path of the table, for the findings.
    """
    names = sorted(known)
    expected = f"one of those with a coefficient: {', '.join(names) or 'none'}"
    return [
        Finding("error", source, file, "category", repr(str(one)), expected)
        for one in values["category"].values
        if str(one) not in names
    ]


def _check_cells(table: pd.DataFrame, options: CategoryTable, log: Findings) -> None:
    for column, empty in (
        (options.category_column, table["category"] == ""),
        (options.value_column, table["value"].isna()),
    ):
        if empty.any() and not log.errors:
            field = f"column {column!r}, {rows(table.index[empty])}"
            log.error(file=options.path, field=field, found="nothing", expected="a value: 0 where there is none")
    known = table.dropna(subset=["unit"])
    again = known.duplicated(["unit", "category"], keep=False)
    if again.any():
        cases = known.loc[again, ["unit", "category"]].drop_duplicates()
        log.error(
            file=options.path,
            field=f"columns {options.unit_column!r} and {options.category_column!r}, {rows(known.index[again])}",
            found=listed(f"{unit} {category!r} twice" for unit, category in cases.itertuples(index=False)),
            expected="one row per subdistrict and category",
        )


def _check_area(wide: pd.DataFrame, subdistricts: pd.DataFrame, options: CategoryTable, log: Findings) -> None:
    """One crop cannot stand on more land than there is: then the unit is another (donum, m2)."""
    whole = subdistricts["area_km2"] * HECTARES_PER_KM2
    over = wide.gt(whole, axis=0).any(axis=1)
    if over.any():
        found = f"more hectares of one category than the subdistrict has, in {listed(wide.index[over])}"
        log.error(file=options.path, field=options.value_column, found=found, expected="areas in hectares")


def _silent_units(wide: pd.DataFrame, options: CategoryTable, log: Findings) -> pd.DataFrame:
    silent = wide.index[wide.isna().all(axis=1)]
    if len(silent) and not options.absent_is_zero:
        found = f"no row for {len(silent)} subdistricts ({listed(silent)})"
        action = "left unknown (input_missing)"
        log.warning(file=options.path, field=options.unit_column, found=found, expected="all of them", action=action)
    return wide.fillna(0.0) if options.absent_is_zero else wide


def _as_dataset(wide: pd.DataFrame, options: CategoryTable) -> xr.Dataset:
    dims, values = ("time", "pcode", "category"), wide.to_numpy(dtype="float64")[np.newaxis]
    label = options.label.get("en") or next(iter(options.label.values()), options.value_column)
    status = np.where(np.isnan(values), Status.input_missing, Status.ok).astype("int8")
    month = pd.DatetimeIndex([pd.Timestamp(options.reference).replace(day=1)]).as_unit("ns")
    return xr.Dataset(
        {
            "value": (dims, values, {"units": options.units, "long_name": label}),
            "status": (dims, status, status_attrs()),
        },
        coords={
            "time": month,
            "pcode": wide.index.to_numpy().astype(str),
            "category": wide.columns.to_numpy().astype(str),
        },
    )
