"""Somebody else's CSV as a header and rows: any delimiter, any usual encoding; what cannot be read is said with its line."""

import codecs
import csv
import io
from dataclasses import dataclass
from pathlib import Path

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


def table_of(text: str, name: str) -> Table:
    """Text as a table."""
    if not text.strip():
        raise UnreadableError(f"{name}: is empty.")
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=_delimiter(text), skipinitialspace=True, strict=True
    )
    csv.field_size_limit(LARGEST_CELL)
    headers: list[str] = []
    rows: list[list[str]] = []
    lines: list[int] = []
    before = 0
    try:
        for row in reader:
            line, before = before + 1, reader.line_num
            if not any(cell.strip() for cell in row):
                continue
            if not headers:
                headers = _headers(row, name)
                continue
            rows.append(_fitting(row, len(headers), name, line))
            lines.append(line)
    except csv.Error as error:
        raise UnreadableError(f"{name}, line {before + 1}: {error}.") from None
    if not rows:
        raise UnreadableError(f"{name}: has a header and no rows.")
    return Table(headers, rows, lines)


def _delimiter(text: str) -> str:
    """The sign that stands most often in the first line outside quotes."""
    first = text.lstrip().split("\n", 1)[0]
    outside = "".join(first.split('"')[::2])
    return max(_DELIMITERS, key=lambda sign: (outside.count(sign), -_DELIMITERS.index(sign)))


def _headers(row: list[str], name: str) -> list[str]:
    if len(row) > MOST_COLUMNS:
        raise UnreadableError(f"{name}: has more than {MOST_COLUMNS} columns.")
    headers = [cell.strip() or f"column {place}" for place, cell in enumerate(row, 1)]
    seen: set[str] = set()
    for header in headers:
        if header.casefold() in seen:
            raise UnreadableError(f"{name}: the column {header!r} stands there twice.")
        seen.add(header.casefold())
    return headers


def _fitting(row: list[str], width: int, name: str, line: int) -> list[str]:
    while len(row) > width and not row[-1].strip():
        row = row[:-1]
    if len(row) > width:
        raise UnreadableError(f"{name}, line {line}: has {len(row)} cells, the header has {width}.")
    return row + [""] * (width - len(row))
