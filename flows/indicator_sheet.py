"""The indicator sheet of a country in a run: where its rows stand, where their values come from, and their scores."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import Field, model_validator

from geodata.options import DataPath, Options, SourceOptions, describe_missing, require_file
from geodata.schema import KEEPS_VALUE, Findings, Status, has_status, status_attrs
from geodata.sheets import read_sheet
from models.indicators import DISPLACED, Indicator, IndicatorSheet, indicator_sheet

SHEET = "indicator_sheet"
"""Block of the country file."""

SHARES = ("critical", "camp_or_critical", "protracted")
"""Counts of displaced households of which there can be a share: each among the households, protected on its own."""

EMPTY = IndicatorSheet(indicators=())
"""Of a country file without one: neither vulnerability nor coping is assessed."""


class SheetOptions(Options):
    """Rows of the sheet, in the country file itself or in a table beside the data.

    Parameters
    ----------
    path : str or None
        A CSV or XLSX in the data folder, a column for each key of a row.
    rows : list of tables
        Or the rows themselves, keys as of `models.indicators.Indicator`.
    """

    path: DataPath | None = None
    rows: tuple[dict[str, Any], ...] = Field(default=())

    @model_validator(mode="after")
    def _one_way(self) -> SheetOptions:
        if (self.path is None) == (not self.rows):
            raise ValueError("expected either path or rows")
        if self.rows:
            indicator_sheet(self.rows, file="", source="config")
        return self

    def files(self, root: Path) -> list[Path]:
        """The table, if there is one, for hashing."""
        return [root / self.path] if self.path is not None and (root / self.path).is_file() else []

    def read(self, root: Path, log: Findings) -> IndicatorSheet:
        """The sheet; InputError with everything that is wrong with it."""
        if self.path is None:
            return indicator_sheet(self.rows, file="country file", source=log.source)
        frame = read_sheet(require_file(root, self.path, log), self.path, log)
        rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
        return indicator_sheet([{str(k): v for k, v in row.items()} for row in rows], file=self.path, source=log.source)


def check_sheet(
    sheet: IndicatorSheet, sources: Mapping[str, SourceOptions], taken: Collection[str], file: str, log: Findings
) -> None:
    """Note what is wrong with the rows of a sheet beside the rest of the country file, and which are not assessed.

    Parameters
    ----------
    sheet : IndicatorSheet
    sources : source blocks of the country file
    taken : names that a row may not have: hazards, indicators, dimensions
    file : where the sheet stands
    log : Findings
        An error for each assessed row whose values come from nowhere or are in other units than their source's, and
        for each name that is taken; a note for each row that waits for a source.
    """
    known = [*(f"{DISPLACED}{p}" for p in SHARES), *sources]
    for row in sheet.indicators:
        if row.name in taken or row.name in sources:
            log.error(
                file=file, field=f"{row.name}: name", found="the name of another block", expected="one of its own"
            )
        if not row.assessed:
            expected = "a source; until then it lowers reliability and is never filled in"
            action = row.why or "stays in the sheet"
            log.add("note", file=file, field=row.name, found="not assessed", expected=expected, action=action)
        elif row.values not in known:
            found = describe_missing(row.values, known) if row.values else "nothing"
            expected = f"{DISPLACED}<part> or the name of a source block"
            log.error(file=file, field=f"{row.name}: values", found=found, expected=expected)
        elif row.value_source and sources[row.value_source].units != row.units:
            expected = f"{sources[row.value_source].units!r}, as sources.{row.value_source} has"
            log.error(file=file, field=f"{row.name}: units", found=repr(row.units), expected=expected)


def keep_sheet(sheet: IndicatorSheet, folder: Path) -> None:
    """Store the sheet in a run's stage, for the later stages."""
    (folder / f"{SHEET}.json").write_text(sheet.model_dump_json(), "utf-8")


def load_sheet(folder: Path) -> IndicatorSheet:
    """The sheet that `keep_sheet` stored."""
    return IndicatorSheet.model_validate(json.loads((folder / f"{SHEET}.json").read_text("utf-8")))


def indicator_scores(sheet: IndicatorSheet, cube: xr.Dataset, shares: xr.Dataset) -> xr.Dataset:
    """Value and score of every assessed row.

    Parameters
    ----------
    sheet : IndicatorSheet
    cube : Dataset (time, pcode), the sources by month
    shares : Dataset (time, pcode) of `models.vulnerability.displaced_shares`, by name of the count

    Returns
    -------
    Dataset (time, pcode)
        ``<name>`` 0-10 and ``<name>_value`` in the units of the row, each with its status.
    """
    out: dict[str, xr.DataArray] = {}
    for row in sheet.assessed:
        held, name = (shares, row.displaced_part) if row.displaced_part else (cube, row.value_source)
        flags = held[f"{name}_status"]
        told = has_status(flags, KEEPS_VALUE) & held[name].notnull()
        value = held[name].where(told).drop_attrs()
        words = row.name.replace("_", " ")
        out[f"{row.name}_value"] = value.assign_attrs(units=row.units, long_name=words)
        score = value.copy(data=row.score(value.values))
        out[row.name] = score.assign_attrs(units="1", long_name=f"{words} (0-10, 10 worst)")
        lost = xr.where(told, flags, xr.where(has_status(flags, KEEPS_VALUE), np.int8(Status.insufficient_data), flags))
        for variable in (row.name, f"{row.name}_value"):
            out[f"{variable}_status"] = lost.astype("int8").assign_attrs(status_attrs())
    return xr.Dataset(out)


def score_halfwidth(row: Indicator, value: pd.Series, width: pd.Series) -> pd.Series:
    """Score points by which a value that is off by a width may be off."""
    high, low = (row.score((value + sign * width).to_numpy(dtype=float)) for sign in (1.0, -1.0))
    return pd.Series(np.abs(high - low) / 2.0, index=value.index)


def sheet_table(sheet: IndicatorSheet) -> pd.DataFrame:
    """Every row of the sheet as a table, those that wait for a source among them."""
    rows = [row.model_dump(mode="json") for row in sheet.indicators]
    weights = {name: w for parts in sheet.weights().values() for name, w in parts.items()}
    table = pd.DataFrame(rows, columns=list(Indicator.model_fields))
    table["weight_used"] = [weights.get(name, 0.0) for name in table["name"]]
    return table.rename(columns={"values": "values_from"})
