"""Sheets: what a spreadsheet does to text and numbers, undone in sight of the log."""

import zipfile

import numpy as np
import pandas as pd
import pytest
import xlsxwriter
from hypothesis import given
from hypothesis import strategies as st

from geodata.schema import Findings, InputError
from geodata.sheets import clean_text, parse_counts, parse_numbers, read_sheet


def write_workbook(path, cells, sheet="Sheet"):
    """Rows of values, None for an empty cell."""
    with xlsxwriter.Workbook(path) as book:
        page = book.add_worksheet(sheet)
        for n, row in enumerate(cells):
            for k, value in enumerate(row):
                if value is not None:
                    page.write(n, k, value)
    return path


def read(path, **how):
    log = Findings("sources.x")
    return read_sheet(path, path.name, log, **how), log


def column(*cells, name="Families"):
    return pd.Series(list(cells), index=range(2, 2 + len(cells)), name=name, dtype="str")


@pytest.mark.parametrize("name", ["t.csv", "t.xlsx"])
def test_rows_are_numbered_as_a_spreadsheet_does(tmp_path, name):
    """A blank row keeps its number, an HXL row is left out: b stands in row 5."""
    cells = [["id", "n"], ["#loc", "#n"], ["a", 1], [None, None], ["b", 2]]
    path = tmp_path / name
    if name.endswith("csv"):
        path.write_text("\n".join(",".join("" if c is None else str(c) for c in row) for row in cells))
    else:
        write_workbook(path, cells)
    frame, log = read(path)
    assert frame.index.tolist() == [3, 5]
    assert frame["n"].tolist() == ["1", "2"]
    assert log.items == []


def test_quotes_semicolons_and_a_byte_order_mark_are_read(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes('\ufeffid;name\r\n1;"He said ""Abu; Ali"""\r\n'.encode())
    assert read(path)[0]["name"].tolist() == ['He said "Abu; Ali"']


def test_null_bytes_are_removed_and_listed(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(b"id,name\n1,Ba\x00sra\n")
    frame, log = read(path)
    assert frame["name"].tolist() == ["Basra"]
    assert [f.severity for f in log.items] == ["repair"]


def damaged_sheet(path):
    """A workbook whose sheet breaks off, in a zip that is whole."""
    write_workbook(path, [["id"], ["1"], ["2"]])
    with zipfile.ZipFile(path) as whole:
        parts = {name: whole.read(name) for name in whole.namelist()}
    parts["xl/worksheets/sheet1.xml"] = parts["xl/worksheets/sheet1.xml"][:-40]
    with zipfile.ZipFile(path, "w") as broken:
        for name, content in parts.items():
            broken.writestr(name, content)


def zip_of_something_else(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")


def cut_short(path):
    write_workbook(path, [["id"], *([str(n)] for n in range(500))])
    path.write_bytes(path.read_bytes()[:-600])


def flipped_byte(path):
    write_workbook(path, [["id"], *([str(n)] for n in range(500))])
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda p: p.write_text("id,n\n1,2\n"), "text"),
        (lambda p: p.write_text("<!DOCTYPE html><html><body>Sign in</body></html>"), "HTML"),
        (lambda p: p.write_bytes(b""), "empty file"),
        (lambda p: p.write_bytes(OLE + "EncryptedPackage".encode("utf-16-le")), "password-protected"),
        (lambda p: p.write_bytes(OLE), "old binary workbook"),
        (zip_of_something_else, "zip of something else (readme.txt)"),
        (cut_short, "cut short or damaged"),
        (flipped_byte, "damaged"),
        (damaged_sheet, "damaged sheet"),
        (lambda p: write_workbook(p, []), "found no"),
    ],
)
def test_what_is_no_workbook_is_named(tmp_path, make, found):
    """One error that names the file and what it is instead."""
    path = tmp_path / "list.xlsx"
    make(path)
    with pytest.raises(InputError) as error:
        read(path)
    assert len(error.value.findings) == 1
    assert error.value.findings[0].file == "list.xlsx"
    assert found in str(error.value)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"<html>not found</html>", "HTML"),
        (b"PK\x03\x04....", "zip or a workbook"),
        ("id,n\n".encode("utf-16"), "UTF-16"),
        (b"id,name\n1,\xe7\xc7\n", "not UTF-8"),
        (b"id,n\n1,2\n3,4,5\n", "line 3"),
        (b"", "empty file"),
        (b"\n\n", "found"),
    ],
)
def test_what_is_no_csv_is_named(tmp_path, content, found):
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"t\.csv") as error:
        read(path)
    assert found in str(error.value)


def test_a_missing_sheet_names_the_nearest(tmp_path):
    path = write_workbook(tmp_path / "t.xlsx", [["id"], ["1"]], sheet="Locations")
    assert read(path, sheet="Locations")[0]["id"].tolist() == ["1"]
    with pytest.raises(InputError, match="did you mean 'Locations'"):
        read(path, sheet="Location")


def test_names_stay_as_written_but_cannot_act():
    """Mark-up and quotes are text; null bytes and bidirectional overrides are removed, with a repair."""
    log = Findings("x")
    names = column(
        "<script>alert('x')</script>", '"Abu" & Ali', "ab\u202egnp.exe", "x_x0000_y", " حي\u200f  الامين ", None
    )
    cleaned = clean_text(names, file="f", log=log).tolist()
    assert cleaned == ["<script>alert('x')</script>", '"Abu" & Ali', "abgnp.exe", "xy", "حي\u200f الامين", ""]
    assert [(f.severity, f.field) for f in log.items] == [("repair", "column 'Families', rows 4, 5")]


@given(st.text(max_size=30))
def test_cleaned_text_never_holds_a_control_character(text):
    cleaned = clean_text(pd.Series([text], dtype=object), file="f", log=Findings("x")).iloc[0]
    assert not any(ord(c) < 32 or c in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069" for c in cleaned)


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        ("1,234", 1234),
        ("12 345", 12345),
        ("1٬234", 1234),
        ("٣٤١", 341),
        ("۱۲۳", 123),
        (" 16 ", 16),
        ("1,234,567", 1234567),
    ],
)
def test_separators_and_arabic_indic_digits_are_read(cell, number):
    log = Findings("x")
    assert parse_counts(column(cell), file="f", log=log).tolist() == [number]
    assert log.errors == []
    assert all(f.severity == "note" for f in log.items)


@pytest.mark.parametrize("cell", ["1,234", "٣٤١"])
def test_a_number_read_with_care_leaves_a_note(cell):
    log = Findings("x")
    parse_numbers(column("5", cell), file="f", log=log)
    assert [(f.severity, f.field) for f in log.items] == [("note", "column 'Families', row 3")]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("about 20", "a number"),
        ("-5", "0 or more"),
        ("3.5", "whole"),
        ("1,23", "a number"),
        ("inf", "a number"),
        ("#N/A", "a number"),
    ],
)
def test_what_is_no_count_is_named_with_row_and_column(cell, expected):
    log = Findings("x")
    counts = parse_counts(column("4", cell), file="list.xlsx", log=log)
    assert np.isnan(counts.iloc[1])
    assert len(log.errors) == 1
    assert log.errors[0].field == "column 'Families', row 3"
    assert repr(cell) in log.errors[0].found
    assert expected in log.errors[0].expected


def test_an_empty_cell_is_unknown_and_no_error():
    log = Findings("x")
    assert parse_counts(column("4", None, "  "), file="f", log=log).isna().tolist() == [False, True, True]
    assert log.items == []


def test_a_decimal_comma_is_read_in_coordinates_alone():
    log = Findings("x")
    assert parse_numbers(column("36,787"), file="f", log=log, decimal_comma=True).tolist() == [36.787]
    assert parse_numbers(column("36,787"), file="f", log=log).tolist() == [36787]


@given(st.integers(0, 10**9))
def test_a_count_survives_being_written_with_separators(n):
    assert parse_counts(column(f"{n:,}"), file="f", log=Findings("x")).tolist() == [n]
