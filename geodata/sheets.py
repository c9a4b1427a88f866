"""Sheets of humanitarian tables, CSV or XLSX, opened without trust: every cell is text first.

What spreadsheets do to numbers (thousands separators, Arabic-Indic digits, numbers kept as
text) is undone here in sight of the log; nothing is guessed.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pyogrio
from pyogrio.errors import DataLayerError, DataSourceError

from .options import describe_missing
from .schema import Findings

SHOWN = 10
"""Rows or names a finding spells out before it says how many more."""

MAX_UNPACKED_BYTES = 4 * 2**30
"""A workbook that unpacks to more is no table of locations but an attack or an accident."""

MAX_WORKBOOK_BYTES = 100 * 2**20
"""A list of 100,000 locations has about 20 MB; a workbook of five times as much holds something else."""

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_BLANK = re.compile(r"\s+")
# Control characters, and the marks that reorder the text after them. The plain direction
# marks (LRM, RLM, ALM) belong to Arabic spelling and stay.
_UNSAFE = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\ufeff]")
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")  # how a workbook writes a character XML forbids
_DIGITS = str.maketrans("٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹٫٬", "01234567890123456789.,")
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:[,\s'\u2019]\d{3})+(?:\.\d+)?")


def read_sheet(path: Path, file: str, log: Findings, sheet: str | None = None) -> pd.DataFrame:
    """Cells of one sheet as text.

    Parameters
    ----------
    path : Path
        CSV in UTF-8, or XLSX.
    file : str
        The same relative to the data folder, for findings.
    log : Findings
        Told of what was mended; InputError if the file is none of the two.
    sheet : str or None
        Name of a sheet of a workbook; None is the first that holds cells.

    Returns
    -------
    DataFrame
        Index ``row`` as a spreadsheet counts (the header is row 1); columns are the header's
        texts and may repeat; cells str, NaN if empty. HXL tags and empty rows are left out.
    """
    workbook = _is_workbook(path, file, log)
    cells = _workbook_cells(path, file, log, sheet) if workbook else _csv_cells(path, file, log)
    cells = cells[cells.notna().any(axis=1)]
    if cells.empty:
        raise log.fail(file=file, field="file", found="no cells", expected="a header and rows below it")
    header = [_plain(str(name)) if isinstance(name, str) else "" for name in cells.iloc[0]]
    frame = cells.iloc[1:].set_axis(pd.Index(header, dtype=object), axis=1).rename_axis(index="row")
    # HXL tags stand below the header and only there.
    tagged = len(frame) > 0 and frame.iloc[0].dropna().astype(str).str.startswith("#").all()
    return frame.iloc[1:] if tagged else frame


def one_column(frame: pd.DataFrame, name: str) -> pd.Series:
    """First of the columns called ``name``."""
    found = frame[name]
    return found.iloc[:, 0] if isinstance(found, pd.DataFrame) else found


def clean_text(cells: pd.Series, *, file: str, log: Findings) -> pd.Series:
    """Names as inert text: no control characters, no bidirectional overrides, single blanks.

    Anything else, mark-up and quotes included, is part of the name and is kept as it is;
    whoever prints it escapes it. Returns: Series of str, "" where empty.
    """
    text = cells.fillna("").astype(object)
    odd = text.map(lambda t: bool(_UNSAFE.search(t) or _ESCAPED.search(t)))
    if odd.any():
        decoded = text[odd].map(lambda t: _ESCAPED.sub(lambda m: chr(int(m[1], 16)), t))
        unsafe = decoded.map(lambda t: bool(_UNSAFE.search(t)))
        text[odd] = decoded.map(lambda t: _UNSAFE.sub("", t))
        if unsafe.any():
            log.repair(
                file=file,
                field=f"column {cells.name!r}, {rows(unsafe.index[unsafe])}",
                found="control characters or bidirectional overrides in a text",
                expected="text that shows what it holds",
                action="characters removed",
            )
    return text.map(_plain)


def parse_numbers(cells: pd.Series, *, file: str, log: Findings, decimal_comma: bool = False) -> pd.Series:
    """Numbers a column holds: NaN where a cell is empty, an error where it holds anything else.

    Thousands separators (``1,234``) and Arabic-Indic digits are read, with a note.

    Parameters
    ----------
    cells : Series
        Text by row; its name goes to the findings.
    file, log
        Where findings go.
    decimal_comma : bool
        Read ``36,79`` as 36.79 (coordinates, which have no thousands).

    Returns
    -------
    Series
        float64, same index.
    """
    filled = cells.notna()
    numbers = pd.to_numeric(cells, errors="coerce").astype("float64")
    unread = filled & ~np.isfinite(numbers)
    if not unread.any():
        return numbers
    text = cells[unread].astype(object).map(lambda t: _BLANK.sub(" ", t.translate(_DIGITS)).strip())
    filled &= ~unread | (text != "").reindex(cells.index, fill_value=False)
    mended = pd.to_numeric(text.map(_without_separators(decimal_comma)), errors="coerce").astype("float64")
    mended = mended.where(np.isfinite(mended))
    numbers[unread] = mended
    if mended.notna().any():
        log.add(
            "note",
            file=file,
            field=f"column {cells.name!r}, {rows(mended.index[mended.notna()])}",
            found="numbers with separators, blanks or Arabic-Indic digits",
            expected="plain digits",
            action="read as the numbers they write",
        )
    _report(cells, filled & numbers.isna(), "a number", file=file, log=log)
    return numbers


def parse_counts(cells: pd.Series, *, file: str, log: Findings) -> pd.Series:
    """Counts: whole numbers of 0 or more. Errors name column and rows.

    Returns: Series float64 (whole), same index, NaN where a cell is empty or wrong.
    """
    numbers = parse_numbers(cells, file=file, log=log)
    negative, fraction = numbers < 0, (numbers % 1 != 0) & numbers.notna()
    _report(cells, negative, "a count of 0 or more", file=file, log=log)
    _report(cells, fraction & ~negative, "a whole number", file=file, log=log)
    return numbers.mask(negative | fraction)


def rows(index: Iterable[object]) -> str:
    """``row 3`` or ``rows 3, 5 and 12 more``.

    >>> rows([3]), rows(range(1, 14))
    ('row 3', 'rows 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 3 more')
    """
    numbers = list(index)
    return f"{'row' if len(numbers) == 1 else 'rows'} {listed(numbers)}"


def listed(items: Iterable[object]) -> str:
    """The first items, and how many more there are."""
    texts = [str(i) for i in items]
    more = f" and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
    return ", ".join(texts[:SHOWN]) + more


def _report(cells: pd.Series, wrong: pd.Series, expected: str, *, file: str, log: Findings) -> None:
    if not wrong.any():
        return
    found = dict.fromkeys(repr(_UNSAFE.sub("", str(v))[:40]) for v in cells[wrong])
    field = f"column {cells.name!r}, {rows(wrong.index[wrong])}"
    log.error(file=file, field=field, found=listed(found), expected=expected)


def _plain(text: str) -> str:
    return _BLANK.sub(" ", _UNSAFE.sub("", text)).strip()


def _without_separators(decimal_comma: bool) -> Callable[[str], str]:
    def plain(text: str) -> str:
        if decimal_comma and text.count(",") == 1 and "." not in text:
            return text.replace(",", ".")
        return re.sub(r"[,\s'\u2019]", "", text) if _GROUPED.fullmatch(text) else text

    return plain


# ------------------------------------------------------------------ files


def _is_workbook(path: Path, file: str, log: Findings) -> bool:
    """True for a sound XLSX, False for what may be a CSV; InputError for anything else."""
    size = path.stat().st_size
    if path.suffix.lower() in (".xlsx", ".xlsm") and size > MAX_WORKBOOK_BYTES:
        expected = f"a workbook of at most {MAX_WORKBOOK_BYTES // 2**20} MB, or a CSV table"
        raise log.fail(file=file, field="file", found=f"{size // 2**20} MB", expected=expected)
    with path.open("rb") as opened:
        head = opened.read(4096)
    named_workbook = path.suffix.lower() in (".xlsx", ".xlsm")
    if named_workbook and head.startswith(b"PK"):
        _check_workbook(path, file, log)
        return True
    found = _what_it_is(head, path)
    if not found and not named_workbook:
        return False
    expected = "an XLSX workbook" if named_workbook else "a CSV table"
    raise log.fail(file=file, field="file", found=found or "text", expected=expected)


def _what_it_is(head: bytes, path: Path) -> str:
    """Name of what a file is if it can be no CSV, else ""."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head:
        return "an empty file"
    if head.startswith(_OLE):
        # The stream names of an OLE file are UTF-16 and may stand anywhere in it.
        encrypted = "EncryptedPackage".encode("utf-16-le") in path.read_bytes()
        return "a password-protected workbook" if encrypted else "an old binary workbook (.xls)"
    if head.startswith(b"PK"):
        return "a zip or a workbook under another name"
    if text.startswith(b"<"):
        return "an HTML or XML page"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "text in UTF-16"
    return ""


def _check_workbook(path: Path, file: str, log: Findings) -> None:
    """Raise InputError unless every part of the workbook unpacks and its sheets end as XML should."""
    try:
        with zipfile.ZipFile(path) as archive:
            fault = _workbook_fault(archive)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError):
        fault = "a file cut short or damaged"
    if fault:
        raise log.fail(file=file, field="file", found=fault, expected="an XLSX workbook")


def _workbook_fault(archive: zipfile.ZipFile) -> str:
    members = archive.infolist()
    names = [m.filename for m in members]
    if any(m.flag_bits & 1 for m in members):
        return "a password-protected zip"
    if "xl/workbook.xml" not in names:
        return f"a zip of something else ({listed(names[:3]) or 'empty'})"
    if sum(m.file_size for m in members) > MAX_UNPACKED_BYTES:
        return f"a workbook that unpacks to more than {MAX_UNPACKED_BYTES // 2**30} GB"
    for member in members:
        tail = b""
        with archive.open(member) as opened:
            while chunk := opened.read(2**20):
                tail = (tail + chunk)[-64:]
        # GDAL reads a sheet up to where its XML breaks and says nothing.
        if member.filename.startswith("xl/worksheets/sheet") and not tail.rstrip().endswith(b"worksheet>"):
            return f"a damaged sheet ({member.filename})"
    return ""


def _workbook_cells(path: Path, file: str, log: Findings, sheet: str | None) -> pd.DataFrame:
    try:
        return pyogrio.read_dataframe(
            path,
            layer=sheet if sheet is not None else 0,
            read_geometry=False,
            fid_as_index=True,
            HEADERS="DISABLE",
            FIELD_TYPES="STRING",
        )
    except DataLayerError:
        names = [str(name) for name in pyogrio.list_layers(path)[:, 0]]
        found = describe_missing(sheet or "a sheet", names)
        raise log.fail(file=file, field="sheet", found=found, expected="a sheet with cells") from None
    except DataSourceError:
        raise log.fail(file=file, field="file", found="no readable sheet", expected="an XLSX workbook") from None


def _csv_cells(path: Path, file: str, log: Findings) -> pd.DataFrame:
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise log.fail(
            file=file, field=f"row {line}", found="bytes that are not UTF-8", expected="UTF-8 text"
        ) from None
    if "\0" in text:
        text = text.replace("\0", "")
        log.repair(file=file, field="file", found="null bytes", expected="plain text", action="bytes removed")
    header = text.lstrip().partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    try:
        cells = pd.read_csv(
            io.StringIO(text),
            header=None,
            dtype=str,
            sep=delimiter,
            keep_default_na=False,
            na_values=[""],
            skip_blank_lines=False,
            quoting=csv.QUOTE_MINIMAL,
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise log.fail(file=file, field="file", found=str(error).strip(), expected="rows of equal length") from None
    return cells.set_axis(range(1, len(cells) + 1))
