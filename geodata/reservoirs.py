"""Reader "reservoir_table": what reservoirs hold, given to the subdistricts that they serve."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import Field, model_validator

from .calendar import period_label
from .options import SourceOptions, describe_missing, nearest, require_columns, require_file
from .schema import Findings, Status, status_attrs
from .sheets import listed, one_column, read_sheet, rows
from .tables import parse_periods, read_values, warn_of_absent_periods

_LEVELS = ("pcode", "adm2_pcode", "adm1_pcode")


class ReservoirTable(SourceOptions):
    """Reader "reservoir_table": a column for each reservoir, or a row for each reservoir and period.

    Parameters
    ----------
    time_column : str
        Column with the period: a year or a month (``1984-03``).
    unit_column, value_column : str or None
        Of a table with a row for each reservoir and period: columns with its name and its value.
        Without them every reservoir of `serves` is a column.
    serves : dict
        Reservoir -> p-codes of the subdistricts that it serves; the p-code of a district or
        governorate stands for all of its subdistricts.
    scale : float
        Factor to the unit the products speak in.
    scaled_units : str or None
        Unit after scaling; None if ``units`` says it already.
    sheet : str or None
        Sheet of a workbook; None is the first.
    """

    reader: Literal["reservoir_table"]
    cadence: Literal["month", "year"]
    time_column: str
    unit_column: str | None = None
    value_column: str | None = None
    serves: dict[str, Annotated[tuple[str, ...], Field(min_length=1)]] = Field(min_length=1)
    scale: float = Field(default=1.0, gt=0)
    scaled_units: str | None = None
    sheet: str | None = None

    @model_validator(mode="after")
    def _long_or_wide(self) -> ReservoirTable:
        if (self.unit_column is None) != (self.value_column is None):
            raise ValueError("found one of unit_column and value_column, expected both or neither")
        return self

    def read(self, root: Path, log: Findings, subdistricts: Any = None) -> xr.Dataset:
        """Values by subdistrict: see `read_reservoir_table`."""
        return read_reservoir_table(self, root, log, subdistricts)


def read_reservoir_table(options: ReservoirTable, root: Path, log: Findings, subdistricts: pd.DataFrame) -> xr.Dataset:
    """What the reservoirs of each subdistrict hold, added up.

    A subdistrict that draws on several reservoirs has their sum: what is out of one may come from
    another. The whole of a reservoir is given to each subdistrict that it serves, so these values
    must not be added up over subdistricts.

    Parameters
    ----------
    options : ReservoirTable
        What the country file says of the table.
    root : Path
        The data folder.
    log : Findings
        InputError with all that is wrong: columns, reservoirs and p-codes that are not there, text
        or negative values, impossible and repeated periods. Reservoirs that serve nobody, and
        absent periods, are warnings.
    subdistricts : DataFrame
        The subdistricts table.

    Returns
    -------
    Dataset (time, pcode)
        ``value`` (unit after scaling) and ``status``: resolution_limited where a reservoir of the
        subdistrict serves others too, insufficient_data where one of its reservoirs has no
        value in this period, input_missing where none has, or where no reservoir serves.
    """
    file = options.path
    frame = read_sheet(require_file(root, file, log), file, log, options.sheet)
    long = [options.unit_column, options.value_column] if options.unit_column else []
    require_columns(frame.columns, [options.time_column, *[c for c in long if c]], file=file, log=log)
    log.stop()
    served = _served(options, subdistricts, log)
    time = parse_periods(one_column(frame, options.time_column), options, log)
    wide = _long(frame, time, options, log) if options.unit_column else _wide(frame, time, options, log)
    log.stop()
    warn_of_absent_periods(wide.index, options.time_column, options, log)
    return _given_to(served, wide[list(served.columns)] * options.scale, options)


def _served(options: ReservoirTable, subdistricts: pd.DataFrame, log: Findings) -> pd.DataFrame:
    """Which reservoir serves which subdistrict: bool, index pcode, a column for each reservoir."""
    flat = subdistricts.drop(columns="geometry", errors="ignore").reset_index()
    known = {str(code) for level in _LEVELS for code in flat[level]}
    served = {}
    for reservoir, codes in options.serves.items():
        for code in codes:
            if code not in known:
                hint = nearest(code, known)
                log.error(
                    file=options.path,
                    field=f"serves.{reservoir}",
                    found=f"{code!r}" + (f" (did you mean {hint!r}?)" if hint else ""),
                    expected="a p-code of the boundary file",
                )
        served[reservoir] = flat[list(_LEVELS)].isin(codes).any(axis=1).to_numpy()
    return pd.DataFrame(served, index=subdistricts.index)


def _wide(frame: pd.DataFrame, time: pd.Series, options: ReservoirTable, log: Findings) -> pd.DataFrame:
    """Values, time x reservoir, of a table with a column for each."""
    there = [str(c) for c in frame.columns if c != options.time_column]
    _match_reservoirs(there, options, log)
    _refuse_repeated(time.to_frame("time"), options, log)
    log.stop()
    columns = {
        name: read_values(frame, name, options.path, log, allow_negative=False).to_numpy() for name in options.serves
    }
    return pd.DataFrame(columns, index=pd.DatetimeIndex(time)).sort_index()


def _long(frame: pd.DataFrame, time: pd.Series, options: ReservoirTable, log: Findings) -> pd.DataFrame:
    """Values, time x reservoir, of a table with a row for each reservoir and period."""
    assert options.unit_column is not None
    assert options.value_column is not None
    name = one_column(frame, options.unit_column).fillna("").astype(str).str.strip()
    _match_reservoirs(list(name.unique()), options, log)
    _refuse_repeated(pd.DataFrame({"reservoir": name, "time": time}), options, log)
    value = read_values(frame, options.value_column, options.path, log, allow_negative=False)
    log.stop()
    table = pd.DataFrame({"time": time, "reservoir": name, "value": value})
    return table.pivot(index="time", columns="reservoir", values="value").sort_index()


def _match_reservoirs(there: list[str], options: ReservoirTable, log: Findings) -> None:
    for name in options.serves:
        if name not in there:
            found = describe_missing(name, there)
            log.error(file=options.path, field=f"serves.{name}", found=found, expected="a reservoir of the table")
    if unused := sorted(set(there) - set(options.serves)):
        log.warning(
            file=options.path,
            field="serves",
            found=f"nobody served by {listed(unused)}",
            expected="the p-codes that every reservoir serves",
            action="not read",
        )


def _refuse_repeated(keys: pd.DataFrame, options: ReservoirTable, log: Findings) -> None:
    known = keys.dropna()
    for period, group in known[known.duplicated(keep=False)].groupby("time"):
        log.error(
            file=options.path,
            field=f"column {options.time_column!r}, {rows(group.index)}",
            found=f"{period_label(pd.Timestamp(period), options.cadence)} {len(group)} times",
            expected="one value per reservoir and period",
        )


def _given_to(served: pd.DataFrame, wide: pd.DataFrame, options: ReservoirTable) -> xr.Dataset:
    links, held = served.to_numpy("float64"), wide.to_numpy("float64")
    known = np.isfinite(held)
    of_it, with_value = links.sum(axis=1), known.astype("float64") @ links.T  # reservoirs of each subdistrict
    shared = (links @ (links.sum(axis=0) > 1)) > 0
    whole = (with_value == of_it) & (of_it > 0)
    values = np.where(whole, np.where(known, held, 0.0) @ links.T, np.nan)
    kept = np.where(shared, Status.resolution_limited, Status.ok)
    partly = np.where(with_value > 0, Status.insufficient_data, Status.input_missing)
    label = options.label.get("en") or next(iter(options.label.values()), "reservoirs")
    attrs = {"units": options.scaled_units or options.units, "long_name": label}
    dims = ("time", "pcode")
    return xr.Dataset(
        {
            "value": (dims, values, attrs),
            "status": (dims, np.where(whole, kept, partly).astype("int8"), status_attrs()),
        },
        coords={"time": wide.index.as_unit("ns").to_numpy(), "pcode": served.index.to_numpy().astype(str)},
    )
