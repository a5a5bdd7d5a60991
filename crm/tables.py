"""Somebody else's CSV as a header and rows: any delimiter, any usual encoding; what cannot be read is said with its line."""

import codecs
import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LARGEST_FILE = 500 * 1024 * 1024
LARGEST_CELL = 1_000_000
MOST_COLUMNS = 2_000
_DELIMITERS = ",;\t|"
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
_OTHER_FILES = (
    (b"PK\x03\x04", "a spreadsheet or archive"),
    (b"%PDF", "a PDF"),
    (b"\x1f\x8b", "a compressed file"),
)


class UnreadableError(ValueError):
    """The file is no table that can be read; the message says what and where, for people."""


@dataclass(frozen=True, slots=True)
class Table:
    """Column names as given (unnamed ones are `column 3`) and rows of as many cells; `lines` are where rows begin."""

    headers: list[str]
    rows: list[list[str]]
    lines: list[int]
    problems: dict[int, str] = field(default_factory=dict)  # by line, where broken rows are kept

    def place(self, name: str) -> int:
        """Where a column stands, by its name without regard to case or blanks around it."""
        names = [header.casefold() for header in self.headers]
        if name.strip().casefold() not in names:
            raise UnreadableError(f"There is no column {name!r}. The columns are: {', '.join(self.headers)}.")
        return names.index(name.strip().casefold())


def read_table(path: Path) -> Table:
    """Read a CSV file. Short rows are filled with empty cells; longer ones, and all that is broken, raise UnreadableError."""
    return table_of(decoded(_bytes_of(path), path.name), path.name)


def _bytes_of(path: Path) -> bytes:
    if not path.exists():
        raise UnreadableError(f"{path}: there is no such file.")
    if path.is_dir():
        raise UnreadableError(f"{path}: is a folder.")
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise UnreadableError(f"{path}: is larger than {LARGEST_FILE // 1024 // 1024} MB.")
        return path.read_bytes()
    except OSError as error:
        raise UnreadableError(f"{path}: cannot be read ({error.strerror}).") from None


def decoded(raw: bytes, name: str) -> str:
    """Bytes as text: by the mark at their start, else UTF-8, else Windows' western European."""
    for start, kind in _OTHER_FILES:
        if raw.startswith(start):
            raise UnreadableError(f"{name}: is {kind}, not CSV.")
    encoding = next((encoding for mark, encoding in _MARKS if raw.startswith(mark)), None)
    for candidate in [encoding] if encoding else ["utf-8", "cp1252", "latin-1"]:
        try:
            text = raw.decode(candidate)
            break
        except UnicodeDecodeError as error:
            problem = error
    else:
        raise UnreadableError(f"{name}: is not valid {encoding} (byte {problem.start}).")
    if "\x00" in text:
        line = text.count("\n", 0, text.index("\x00")) + 1
        raise UnreadableError(f"{name}, line {line}: holds a NUL character.")
    return text


def table_of(text: str, name: str, *, keep_broken: bool = False) -> Table:
    """Text as a table. With `keep_broken` a row that does not fit is kept as far as it goes, with its problem beside it."""
    if not text.strip():
        raise UnreadableError(f"{name}: is empty.")
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=_delimiter(text), skipinitialspace=True, strict=True
    )
    csv.field_size_limit(LARGEST_CELL)
    headers: list[str] = []
    rows: list[list[str]] = []
    lines: list[int] = []
    problems: dict[int, str] = {}
    for line, row, problem in _read(reader):
        if problem and not (keep_broken and headers):
            raise UnreadableError(f"{name}, line {line}: {problem}.")
        if not problem and not any(cell.strip() for cell in row):
            continue
        if not headers:
            headers = named(row, name)
            continue
        row, misfit = _fitting(row, len(headers))
        if misfit and not keep_broken:
            raise UnreadableError(f"{name}, line {line}: {misfit}.")
        if problem or misfit:
            problems[line] = problem or misfit
        rows.append(row)
        lines.append(line)
    if not rows:
        raise UnreadableError(f"{name}: has a header and no rows.")
    return Table(headers, rows, lines, problems)


def _read(reader: Any) -> Iterator[tuple[int, list[str], str]]:
    """Each row with the line where it begins, and what is wrong with its quotes; after that reading goes on."""
    before = 0
    while True:
        try:
            row, problem = next(reader), ""
        except StopIteration:
            return
        except csv.Error as error:
            row, problem = [], str(error)
        line, before = before + 1, reader.line_num
        yield line, row, problem


def _delimiter(text: str) -> str:
    """The sign that stands most often in the first line outside quotes."""
    first = text.lstrip().split("\n", 1)[0]
    outside = "".join(first.split('"')[::2])
    return max(_DELIMITERS, key=lambda sign: (outside.count(sign), -_DELIMITERS.index(sign)))


def named(row: list[str], name: str) -> list[str]:
    """The names of the columns; unnamed ones are `column 3`, and two of one name are refused."""
    if len(row) > MOST_COLUMNS:
        raise UnreadableError(f"{name}: has more than {MOST_COLUMNS} columns.")
    headers = [cell.strip() or f"column {place}" for place, cell in enumerate(row, 1)]
    seen: set[str] = set()
    for header in headers:
        if header.casefold() in seen:
            raise UnreadableError(f"{name}: the column {header!r} stands there twice.")
        seen.add(header.casefold())
    return headers


def _fitting(row: list[str], width: int) -> tuple[list[str], str]:
    """The row as wide as the header, and what is wrong when it was wider."""
    while len(row) > width and not row[-1].strip():
        row = row[:-1]
    misfit = f"has {len(row)} cells, the header has {width}" if len(row) > width else ""
    return row[:width] + [""] * (width - len(row)), misfit
