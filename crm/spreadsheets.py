"""Spreadsheets (XLSX) of strangers as tables, and tables as spreadsheets and CSV that no program takes for formulas. Pure."""

import csv
import io
import re
import zipfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from openpyxl import Workbook, load_workbook
from openpyxl.utils.exceptions import InvalidFileException

from crm.tables import MOST_COLUMNS, Table, UnreadableError, named

LARGEST_CONTENT = 400 * 1024 * 1024  # bytes of a spreadsheet when it is unpacked
MOST_ROWS = 1_048_576  # that a spreadsheet can have
LONGEST_CELL = 32_767  # characters that a spreadsheet's cell can hold
FORMULA = ("=", "+", "-", "@", "\t", "\r")
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")  # no XML holds them
_BROKEN = (
    zipfile.BadZipFile, InvalidFileException, DefusedXmlException, ParseError, KeyError, ValueError, IndexError,
    AttributeError, TypeError, OSError, EOFError, NotImplementedError, OverflowError, RuntimeError,
)  # fmt: skip


def is_spreadsheet(raw: bytes) -> bool:
    """Whether bytes may be XLSX: it is an archive."""
    return raw.startswith(b"PK\x03\x04")


def spreadsheet_of(raw: bytes, name: str) -> Table:
    """The first sheet as a table of texts; what is broken, too large or no spreadsheet raises UnreadableError."""
    _check_size(raw, name)
    try:
        book = load_workbook(io.BytesIO(raw), read_only=True, data_only=True, keep_links=False)
        sheet = book.worksheets[0]
        # What a sheet says of its own size is not believed.
        sheet.reset_dimensions()
        return _table(enumerate(sheet.iter_rows(values_only=True, max_col=MOST_COLUMNS + 1), 1), name)
    except UnreadableError:
        raise
    except _BROKEN as error:
        raise UnreadableError(
            f"{name}: is no spreadsheet that can be read ({type(error).__name__})."
        ) from None


def _check_size(raw: bytes, name: str) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            size = sum(part.file_size for part in archive.infolist())
            parts = {part.filename for part in archive.infolist()}
    except _BROKEN as error:
        raise UnreadableError(f"{name}: is a broken archive ({type(error).__name__}).") from None
    if size > LARGEST_CONTENT:
        raise UnreadableError(f"{name}: is larger than {LARGEST_CONTENT // 1024 // 1024} MB when unpacked.")
    if "[Content_Types].xml" not in parts:
        raise UnreadableError(f"{name}: is an archive and no spreadsheet.")


def _table(numbered: Iterable[tuple[int, tuple]], name: str) -> Table:
    headers: list[str] = []
    rows: list[list[str]] = []
    lines: list[int] = []
    problems: dict[int, str] = {}
    for line, values in numbered:
        row = [_text(value) for value in values]
        while row and not row[-1].strip():
            row.pop()
        if not row:
            continue
        if not headers:
            headers = named(row, name)
            continue
        if len(row) > len(headers):
            problems[line] = f"has {len(row)} cells, the header has {len(headers)}"
        rows.append(row[: len(headers)] + [""] * (len(headers) - len(row)))
        lines.append(line)
    if not rows:
        raise UnreadableError(f"{name}: has no rows.")
    return Table(headers, rows, lines, problems)


def _text(value: Any) -> str:
    """A cell as one would type it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(" ", "seconds")
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value).replace("\x00", "")


# --- Out


def neutral(value: Any) -> Any:
    """A text that a spreadsheet would take for a formula, with an apostrophe before it; all else as it is."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def write_csv(path: Path, headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """UTF-8 with the mark by which spreadsheets know it."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([neutral(one) for one in headers])
        for row in rows:
            writer.writerow([_plain(neutral(value)) for value in row])


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    return str(value).lower() if isinstance(value, bool) else value


def write_xlsx(path: Path, headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """One sheet; more rows than a spreadsheet can have raise ValueError."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet("Export")
    try:
        sheet.append([_cell(one) for one in headers])
        for count, row in enumerate(rows, 2):
            if count > MOST_ROWS:
                raise ValueError(f"A spreadsheet has at most {MOST_ROWS:,} rows: choose CSV.")
            sheet.append([_cell(value) for value in row])
        book.save(path)
    finally:
        # What is left when writing was broken off lies in a temporary file of its own.
        with suppress(OSError):
            sheet._writer and sheet._writer.cleanup()
        book.close()


def _cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, str):
        return neutral(_UNWRITABLE.sub("", value))[:LONGEST_CELL]
    return float(value) if isinstance(value, Decimal) else value
