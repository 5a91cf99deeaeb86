"""What does an upload hold? From its bytes to a table of cells as they were written, or Unreadable, saying why not.

CSV (serving/rows/dialect.py), JSON Lines, the same under gzip, and Parquet. The kind is told by the first bytes, never
by a name; nothing is unpickled or executed; whatever grows while unpacking stops at a limit.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import unicodedata
import zlib
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from serin.contract.notation import is_number, unwrap
from serin.data.json_lines import BadLine, is_json_lines, read_lines
from serin.data.parquet import Bounds, ParserFault, read_apart
from serin.errors import BadRequest
from serin.serving.rows.dialect import Dialect, tell_dialect

LONGEST_FIELD = 131_072
PART = 1 << 22  # bytes that are looked through at once
ROWS_AT_ONCE = 10_000
_NEWLINE, _QUOTE = ord("\n"), ord('"')
SEND_A_TABLE = "Send a table as CSV in UTF-8, as JSON Lines, as gzip of these, or as Parquet."


class Unreadable(BadRequest):
    """When an upload is no table that can be read. `line` is where it shows, counted from 1; `fix` what to do."""

    def __init__(self, code: str, message: str, *, line: int | None = None, fix: str = SEND_A_TABLE) -> None:
        super().__init__(message, code=code)
        self.line = line
        self.fix = fix


@dataclass(frozen=True, slots=True)
class Limits:
    """How large an upload may be; by default as large as can be judged in 2 GB of memory.

    max_bytes: of what was sent, of what it unpacks to, and of the text in it.
    """

    max_bytes: int = 160 * 1024 * 1024
    max_rows: int = 5_000_000
    max_columns: int = 1_000
    max_cells: int = 24_000_000

    def check(self, *, rows: int, columns: int) -> None:
        """Raise Unreadable where a table is larger than allowed. rows: also those in which nothing is written."""
        if columns > self.max_columns:
            fix = "Leave out the columns that are not needed."
            raise Unreadable(
                "TOO_LARGE", f"the table has {columns:,} columns; {self.max_columns:,} are allowed", fix=fix
            )
        if rows > self.max_rows:
            self.refuse(f"the table has {rows:,} rows; {self.max_rows:,} are allowed")
        if rows * columns > self.max_cells:
            self.refuse(f"the table has {rows * columns:,} cells; {self.max_cells:,} are allowed")

    def check_bytes(self, size: int) -> None:
        """Raise Unreadable where so many bytes are more than allowed."""
        if size > self.max_bytes:
            self.refuse(f"the table is larger than {self.max_bytes:,} bytes")

    def refuse(self, message: str) -> NoReturn:
        raise Unreadable("TOO_LARGE", message, fix="Send it in several smaller uploads.")


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class RawTable:
    """Cells as they were written: from CSV all text, from Parquet text, numbers, booleans and times, NA where null.

    lines: where each row of `frame` stands in the file, from 1; place: what that counts, `line` or `row`.
    unusable: columns of Parquet that hold no single values, with their type; they are not in `frame`.
    blank: where rows stand in which nothing is written; they are not in `frame`. Of empty lines, those between rows.
    above: lines above the names that are no rows. encoding: that of CSV.
    """

    frame: pd.DataFrame
    lines: NDArray[np.int64]
    place: str = "line"
    unusable: dict[str, str] = field(default_factory=dict)
    blank: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    above: tuple[str, ...] = ()
    encoding: str = "utf-8"

    def with_blank(self) -> RawTable:
        """Give the same table with a row of empty cells for each blank one, in its place."""
        if not len(self.blank):
            return self
        lines = np.concatenate((self.lines, self.blank))
        order = np.argsort(lines)
        frame = self.frame.reindex(range(len(lines)), fill_value="").iloc[order].reset_index(drop=True)
        return RawTable(frame, lines[order], self.place, self.unusable)


def read_table(
    content: bytes, limits: Limits = DEFAULT_LIMITS, *, encoding: str = "utf-8", names: Sequence[str] = ()
) -> RawTable:
    """Read a table. Raises Unreadable with a code, a line where there is one, and what to do.

    encoding: of a CSV that is not UTF-8. names: of the columns, where the first row is data; a CSV that begins with
    these names is read too.
    """
    limits.check_bytes(len(content))
    if content[:2] == b"\x1f\x8b":
        content = _unzip(content, limits)
        if content[:2] == b"\x1f\x8b":
            raise Unreadable("BAD_FORMAT", "this is gzip within gzip")
    if re.match(rb"PAR1[^ -~\s]", content):  # and not a column of that name
        return _read_parquet(content, limits)
    kind = _foreign_kind(content)
    is_lines = kind == "JSON" and is_json_lines(content)
    if kind and not is_lines:
        fix = "Send an object a line (JSON Lines), or CSV." if kind == "JSON" else SEND_A_TABLE
        raise Unreadable("BAD_FORMAT", f"this is not a table but {kind}", fix=fix)
    text, encoding = _utf8(content, encoding)
    if is_lines:
        return replace(_read_json_lines(text, limits), encoding=encoding)
    return replace(_read_csv(text, limits, [*names]), encoding=encoding)


def name_some(names: Sequence[object]) -> str:
    """Name the first five of many, and say how many more there are."""
    more = f" and {len(names) - 5:,} more" if len(names) > 5 else ""
    return ", ".join(map(repr, names[:5])) + more


def _unzip(content: bytes, limits: Limits) -> bytes:
    """Unpack gzip, stopping at the limit whatever the file claims about its size."""
    unpacked = bytearray()
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            while chunk := file.read(1 << 20):
                unpacked += chunk
                limits.check_bytes(len(unpacked))
    except EOFError as error:
        fix = "Send the whole file."
        raise Unreadable("TRUNCATED", "the gzip file ends before its data does", fix=fix) from error
    except (OSError, zlib.error) as error:
        raise Unreadable("BAD_FORMAT", f"the gzip data is damaged: {error}") from error
    return bytes(unpacked)


_MAGIC = {
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"PK\x05\x06": "a zip archive",
    b"\xd0\xcf\x11\xe0": "an Excel workbook of the old kind",
    b"%PDF-": "a PDF document",
    b"\x89PNG": "an image",
    b"\xff\xd8\xff": "an image",
    b"GIF87a": "an image",
    b"GIF89a": "an image",
    b"\xfd7zXZ": "an xz file",
    b"\x28\xb5\x2f\xfd": "a zstd file",
    b"7z\xbc\xaf": "a 7z archive",
    b"Rar!\x1a": "a RAR archive",
    b"\x7fELF": "a program",
    b"MZ\x90": "a program",
    b"\x93NUMPY": "a NumPy array",
    b"\x89HDF": "an HDF5 file",
    b"SQLite format 3\x00": "an SQLite database",
    b"Obj\x01": "an Avro file",
    b"ARROW1\x00": "an Arrow file",
}
_PICKLE = re.compile(rb"\x80[\x02-\x05]|[(\]}][ldt]?p\d+\n|\([ldt]p?\d*\n|c[\w.]+\n[\w.]+\n[(pq]")
_MARKUP = re.compile(rb"<(?:!doctype|!--|\?xml|(?:html|head|body|table|svg)\b|[a-z]+[ :/])", re.IGNORECASE)
_JSON = re.compile(rb"[\[{]\s*[\"\[{\]}\d-]")


def _foreign_kind(content: bytes) -> str | None:
    """Name what the bytes are, where they are something else than text in rows."""
    start = content[:1024].removeprefix(b"\xef\xbb\xbf").lstrip()
    for magic, kind in _MAGIC.items():
        if content.startswith(magic):
            return kind
    if content[:3] == b"BZh" and content[4:10] == b"1AY&SY":
        return "a bzip2 file"
    if content[257:262] == b"ustar":
        return "a tar archive"
    if _PICKLE.match(content):
        return "a Python pickle, which is never opened"
    if _MARKUP.match(start):
        return "HTML or XML"
    if _JSON.match(start):
        return "JSON"
    controls = sum(0 < byte < 9 or 13 < byte < 32 for byte in start)
    return "binary data" if controls > len(start) * 0.05 else None


def _looks_like_utf16(content: bytes) -> bool:
    sample = content[:2000]
    return sample[:2] in (b"\xff\xfe", b"\xfe\xff") or any(
        sample[side::2].count(0) > len(sample) * 0.3 and sample[1 - side :: 2].count(0) == 0 for side in (0, 1)
    )


def _utf8(content: bytes, encoding: str) -> tuple[bytes, str]:
    """Give text in UTF-8, without a byte order mark, each line ending in one newline; and how it was encoded.

    encoding: what it is where it is neither UTF-8 nor UTF-16 with its mark.
    """
    fix = (
        "Save the file as UTF-8 (in Excel: 'CSV UTF-8'), or let the contract say how it is encoded: "
        "read: {encoding: cp1252}."
    )
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding, content = "utf-16", _transcoded(content, "utf-16")
    elif not _is_utf8(encoding) and not _holds_utf8(content):
        content = _transcoded(content, encoding)
    else:
        encoding = "utf-8"
    if _looks_like_utf16(content):
        raise Unreadable("ENCODING", "the file is not UTF-8; it looks like UTF-16", fix=fix)
    if (nul := content.find(0)) >= 0:
        line = _line_of(content, nul)
        raise Unreadable(
            "ENCODING", f"line {line} holds a NUL byte", line=line, fix="Remove it and send the file again."
        )
    try:
        _check_utf8(content)
    except UnicodeDecodeError as error:
        line = _line_of(content, error.start)
        if error.reason == "unexpected end of data":
            fix = "Send the whole file."
            raise Unreadable("TRUNCATED", f"line {line}, the last, is cut off", line=line, fix=fix) from error
        message = f"line {line} is not UTF-8; it looks like Latin-1 or Windows-1252"
        raise Unreadable("ENCODING", message, line=line, fix=fix) from error
    while content.startswith(b"\xef\xbb\xbf"):  # tools that add one to a file that has one are not rare
        content = content[3:]
    return content.replace(b"\r\n", b"\n").replace(b"\r", b"\n"), encoding


def _is_utf8(encoding: str) -> bool:
    return encoding.lower().replace("_", "-") in ("utf-8", "utf8", "utf-8-sig", "ascii")


def _transcoded(content: bytes, encoding: str) -> bytes:
    try:
        return content.decode(encoding).encode()
    except UnicodeError as error:
        start = getattr(error, "start", 0)
        line = _line_of(content, start)
        message = f"line {line} is not {encoding}, as the contract says that the file is"
        fix = "Correct read.encoding in the contract, or save the file as UTF-8."
        raise Unreadable("ENCODING", message, line=line, fix=fix) from error


def _holds_utf8(content: bytes) -> bool:
    try:
        _check_utf8(content)
    except UnicodeDecodeError:
        return False
    return True


def _check_utf8(content: bytes) -> None:
    """Raise UnicodeDecodeError where the bytes are no text; without decoding, which can take four times their size."""
    ends = pa.py_buffer(np.array([0, len(content)], dtype=np.int64))
    try:
        pa.LargeStringArray.from_buffers(1, ends, pa.py_buffer(content)).validate(full=True)
    except pa.ArrowInvalid:
        content.decode()


def _line_of(content: bytes, position: int) -> int:
    return content.count(b"\n", 0, position) + 1


@dataclass(frozen=True, slots=True)
class _Rows:
    """Where the rows of a CSV text are; those in which nothing is written are left out.

    header: the cells of the first. fields: how many each has; lines: in which line each starts; starts, ends: its
    bytes, without the newline. blank: the lines of those left out, below the first that is written and above the empty
    lines at the end.
    """

    header: list[str]
    fields: NDArray[np.int64]
    lines: NDArray[np.int64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    blank: NDArray[np.int64]


def _read_csv(text: bytes, limits: Limits, own_names: list[str]) -> RawTable:
    if not text or text.isspace():
        raise Unreadable(
            "EMPTY", "the file is empty", fix="Send a table with a row of column names and at least one row."
        )
    dialect = tell_dialect(text)
    delimiter, is_ascii = dialect.separator, text.isascii()
    if dialect.lines:
        text = b"\n" * dialect.lines + text[dialect.start :]  # so that lines keep their numbers
    if text.count(b"\n") + text.count(delimiter.encode()) > limits.max_cells:
        limits.refuse(f"the table has more than {limits.max_cells:,} cells")
    rows, table = None if dialect.escape else _find_rows(text, delimiter, limits), None
    if rows is None:
        rows, table = _parse_slowly(text, dialect, own_names)
    elif own_names and [*map(tidy_name, rows.header)] != own_names:
        rows = _with_header(rows, own_names)
    if len(rows.fields) < 2:
        raise Unreadable(
            "EMPTY", "the file has a row of column names and nothing below it", fix="Send at least one row."
        )
    limits.check(rows=len(rows.fields) - 1 + len(rows.blank), columns=len(rows.header))
    if table is None:
        rows = _without_trailing(text, rows, delimiter)
    _check_widths(rows)
    frame = _as_frame(table or _parse(text, rows, delimiter), is_ascii=is_ascii)
    names = [tidy_name(name) for name in rows.header]
    _check_header(names, frame, may_be_data=bool(own_names))
    kept = [place for place, name in enumerate(names) if name or frame[place].ne("").any()]
    frame = frame[kept]
    frame.columns = pd.Index([names[place] or _unnamed(place, names) for place in kept])
    return RawTable(frame, rows.lines[1:], blank=rows.blank, above=dialect.above)


def tidy_name(name: str) -> str:
    """Give a column's name the one form that it has everywhere."""
    return unicodedata.normalize("NFC", name.strip())


def _with_header(rows: _Rows, names: list[str]) -> _Rows:
    """Put a row of names above the first, which is data."""
    fields, zero = np.concatenate(([len(names)], rows.fields)), np.zeros(1, dtype=np.int64)
    lines, starts, ends = (np.concatenate((zero, places)) for places in (rows.lines, rows.starts, rows.ends))
    return _Rows(names, fields, lines, starts, ends, rows.blank)


def _without_trailing(text: bytes, rows: _Rows, delimiter: str) -> _Rows:
    """Leave out the separators at the ends of rows that have more cells than there are names."""
    content, width = np.frombuffer(text, dtype=np.uint8), len(rows.header)
    fields, ends = rows.fields.copy(), rows.ends.copy()
    while (trailing := (fields > width) & (content[ends - 1] == ord(delimiter))).any():
        ends[trailing] -= 1
        fields[trailing] -= 1
    return replace(rows, fields=fields, ends=ends)


def _find_rows(text: bytes, delimiter: str, limits: Limits) -> _Rows | None:
    """Find the rows, part by part. None where quotes stand elsewhere than around whole cells.

    Raises Unreadable where a quote is never closed, a field is too long, or there are too many rows.
    """
    content = np.frombuffer(text, dtype=np.uint8)
    borders, separators, newlines = [], [], []  # where rows end; and how many of these stand before
    is_quoted = count = separators_before = newlines_before = 0
    for start in range(0, len(content), PART):
        part = content[start : start + PART]
        all_newlines = np.flatnonzero(part == _NEWLINE)
        quoted = is_quoted ^ (np.cumsum(part == _QUOTE, dtype=np.uint8) & 1)  # from an opening quote to its closing one
        if not _quotes_are_around_cells(content, start, quoted, ord(delimiter)):
            return None
        row_ends = np.flatnonzero((part == _NEWLINE) & (quoted == 0))
        inner = np.flatnonzero((part == ord(delimiter)) & (quoted == 0))
        borders.append(row_ends + start)
        separators.append(np.searchsorted(inner, row_ends) + separators_before)
        newlines.append(np.searchsorted(all_newlines, row_ends) + newlines_before)
        is_quoted, count = int(quoted[-1]), count + len(row_ends)
        separators_before, newlines_before = separators_before + len(inner), newlines_before + len(all_newlines)
        if count > limits.max_rows + 1:
            limits.refuse(f"the table has more than {limits.max_rows:,} rows")
    if is_quoted:
        _raise_open_quote(_line_of(text, text.rindex(b'"')))
    ends = np.concatenate((*borders, [len(text)]))
    starts = np.concatenate(([0], ends[:-1] + 1))
    inner = np.diff(np.concatenate(([0], *separators, [separators_before])))
    lines = np.concatenate(([1], *(before + 2 for before in newlines)))
    for row in np.flatnonzero(ends - starts > LONGEST_FIELD).tolist():
        if _longest_field(content[starts[row] : ends[row]], ord(delimiter)) > LONGEST_FIELD:
            _raise_long_field(int(lines[row]))
    written = ends - starts > inner
    first = int(np.argmax(written))
    blank = ~written
    blank[:first] = False
    blank[len(starts) - np.argmax(ends[::-1] > starts[::-1]) :] = False
    header = next(csv.reader(io.StringIO(text[starts[first] : ends[first]].decode()), delimiter=delimiter), [])
    return _Rows(header, inner[written] + 1, lines[written], starts[written], ends[written], lines[blank])


def _quotes_are_around_cells(content: NDArray[np.uint8], start: int, quoted: NDArray[Any], delimiter: int) -> bool:
    """Tell whether the quotes of a part open behind, and close before, the edge of a cell, or another quote."""
    quotes = np.flatnonzero(content[start : start + len(quoted)] == _QUOTE)
    is_opening = quoted[quotes] == 1
    before, after = quotes[is_opening] + start - 1, quotes[~is_opening] + start + 1
    neighbours = content[before[before >= 0]], content[after[after < len(content)]]
    return all(np.isin(side, (_NEWLINE, delimiter, _QUOTE)).all() for side in neighbours)


def _longest_field(row: NDArray[np.uint8], delimiter: int) -> int:
    """Tell how many bytes the longest field of a row has."""
    quoted = np.cumsum(row == _QUOTE, dtype=np.uint8) & 1
    separators = np.flatnonzero((row == delimiter) & (quoted == 0))
    return int(np.diff(np.concatenate(([-1], separators, [len(row)]))).max()) - 1


def _parse(text: bytes, rows: _Rows, delimiter: str) -> pa.Table:
    """Read the cells below the header as text, in columns named by their place."""
    starts, ends = rows.starts[1:], rows.ends[1:]
    first, end = int(starts[0]), int(ends[-1])
    body = pa.py_buffer(text).slice(first, end - first)
    if (starts[1:] != ends[:-1] + 1).any():  # rows in which nothing is written, or separators, stand between
        steps = np.zeros(end - first, dtype=np.int8)
        steps[starts - first] += 1
        steps[ends[:-1] + 1 - first] -= 1
        content = np.frombuffer(body, dtype=np.uint8).copy()
        content[ends[:-1] - first] = _NEWLINE
        body = pa.py_buffer(content[np.cumsum(steps, dtype=np.int8) > 0])
    names = [str(place) for place in range(len(rows.header))]
    return pa_csv.read_csv(
        pa.BufferReader(body),
        read_options=pa_csv.ReadOptions(column_names=names, block_size=max(1 << 20, 4 * int((ends - starts).max()))),
        parse_options=pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=b'"' in text),
        convert_options=pa_csv.ConvertOptions(
            column_types={name: pa.large_string() for name in names}, strings_can_be_null=False
        ),
    )


def _as_frame(table: pa.Table, *, is_ascii: bool) -> pd.DataFrame:
    columns = table.columns if is_ascii else [pc.utf8_normalize(column, "NFC") for column in table.columns]
    return pd.DataFrame({place: _unwrapped(_as_text(column)) for place, column in enumerate(columns)})


def _unwrapped(cells: pd.Series[str]) -> pd.Series[str]:
    """As `unwrap`, cell by cell."""
    is_formula = cells.str.startswith('="')
    return cells.mask(is_formula, cells[is_formula].map(unwrap)) if is_formula.any() else cells


def _parse_slowly(text: bytes, dialect: Dialect, own_names: list[str]) -> tuple[_Rows, pa.Table]:
    """Read rows whose quotes stand in odd places, as Python's csv module does. Rows of another width are left out."""
    end = "\x00end"
    header: list[str] = []
    cells: list[list[str]] = []
    fields, lines, blank = array("q"), array("q"), array("q")
    batches: list[pa.RecordBatch] = []
    row: list[str] = []
    last = line = 1
    content = io.TextIOWrapper(io.BytesIO(text), encoding="utf-8", newline="")
    reader = dialect.reader(chain(content, ["\n", end]))
    try:
        for row in reader:
            if row == [end]:
                break
            last = line if row else last
            if any(row):
                if not header and own_names and [*map(tidy_name, row)] != own_names:
                    header = own_names
                    fields.append(len(header))
                    lines.append(0)
                while header and len(row) > len(header) and not row[-1]:
                    row.pop()
                fields.append(len(row))
                lines.append(line)
                if not header:
                    header = row
                elif len(row) == len(header):
                    cells.append(row)
            elif header:
                blank.append(line)
            if len(cells) == ROWS_AT_ONCE:
                batches.append(_batch(cells))
                cells.clear()
            line = reader.line_num + 1
    except csv.Error as error:
        if "field limit" in str(error):
            _raise_long_field(line)
        raise Unreadable("BAD_FORMAT", f"line {line} is no row of a table: {error}", line=line) from error
    if row != [end]:
        _raise_open_quote(lines[-1])
    batches += [_batch(cells)] if cells else []
    nowhere = np.empty(0, dtype=np.int64)
    left_out = np.array(blank, dtype=np.int64)
    rows = _Rows(header, np.array(fields), np.array(lines), nowhere, nowhere, left_out[left_out <= last])
    return rows, pa.Table.from_batches(batches) if batches else pa.table({})


def _batch(rows: list[list[str]]) -> pa.RecordBatch:
    columns = [pa.array(cells, type=pa.large_string()) for cells in zip(*rows, strict=True)]
    return pa.RecordBatch.from_arrays(columns, names=[str(place) for place in range(len(columns))])


def _raise_open_quote(line: int) -> NoReturn:
    message = f"a quote that opens in line {line} is never closed; the file looks cut off"
    raise Unreadable("TRUNCATED", message, line=line, fix="Send the whole file, or close the quote.")


def _raise_long_field(line: int) -> NoReturn:
    message = f"the row at line {line} has a field of more than {LONGEST_FIELD:,} characters"
    fix = "Shorten the field; if a quote was left open before it, close it."
    raise Unreadable("FIELD_TOO_LONG", message, line=line, fix=fix)


def _read_json_lines(text: bytes, limits: Limits) -> RawTable:
    if not text.isascii():
        text = unicodedata.normalize("NFC", text.decode()).encode()
    try:
        columns, unusable, lines, blank = read_lines(
            text, lambda rows, columns: limits.check(rows=rows, columns=columns)
        )
    except BadLine as error:
        fix = 'Write an object of JSON in each line: {"age": 41, "region": "north"}.'
        raise Unreadable("BAD_FORMAT", str(error), line=error.line, fix=fix) from error
    if not len(lines):
        raise Unreadable("EMPTY", "the table has no rows", fix="Send at least one row.")
    return RawTable(pd.DataFrame(columns), lines, unusable=unusable, blank=blank)


def _check_widths(rows: _Rows) -> None:
    """Raise Unreadable where rows have another number of fields than the header."""
    width, fields = len(rows.header), rows.fields[1:]
    odd = np.flatnonzero(fields != width)
    if not len(odd):
        return
    last = len(fields) - 1
    line = int(rows.lines[1:][odd[0]])
    if odd[0] == last and fields[last] < width:
        message = f"the last row, line {line}, has {fields[last]} of {width} fields; the file looks cut off"
        raise Unreadable("TRUNCATED", message, line=line, fix="Send the whole file, or complete its last row.")
    places = ", ".join(f"{rows.lines[1:][place]} ({fields[place]})" for place in odd[:5])
    header = "the header has" if rows.lines[0] else "read.names has"
    message = (
        f"{header} {width} fields, and {len(odd):,} of {len(fields):,} rows have another number; "
        f"lines, with their number of fields: {places}{', …' if len(odd) > 5 else ''}"
    )
    fix = "Give every row as many fields as the header; put fields that hold the separator in quotes."
    if len(odd) > len(fields) / 2 and not rows.lines[0]:
        fix = "Name every column of the file, in its order."
    elif len(odd) > len(fields) / 2:
        fix = f"Let the file begin with a row of names, one for each column; line {rows.lines[0]} seems to be none."
    raise Unreadable("RAGGED", message, line=line, fix=fix)


def _check_header(names: list[str], frame: pd.DataFrame, *, may_be_data: bool) -> None:
    """Raise Unreadable where the first row is data, or names a column twice. frame: the rows below it."""
    if not may_be_data and _is_data(names, frame):
        raise Unreadable(
            "NO_HEADER",
            f"the first row is data and not column names: {', '.join(names[:6])}{', …' if len(names) > 6 else ''}",
            line=1,
            fix="Put a row with a name for each column above it, or let the contract name them: read: {names: […]}.",
        )
    twice = [name for name, times in Counter(names).items() if name and times > 1]
    if twice:
        raise Unreadable(
            "DUP_COLUMN",
            f"the header has more than one column {name_some(twice)}",
            line=1,
            fix="Give each column a name of its own.",
        )


def _unnamed(place: int, names: list[str]) -> str:
    """Name a column without a name, an index as a rule, as pandas does."""
    name = f"Unnamed: {place}"
    while name in names:
        name += ".1"
    return name


def _is_data(names: list[str], frame: pd.DataFrame) -> bool:
    """Tell whether a first row reads as data: numbers that are no series of names, or cells that come again below."""
    numbers = [float(name) for name in names if is_number(name)]
    if len(numbers) >= 3 and _is_series(numbers):
        return False
    if len(numbers) >= 2 and len(numbers) >= len(names) / 4:
        return True
    sample = frame.head(10_000)
    sample = sample[~(sample == names).all(axis=1)]  # a header written again among the rows is not recurring data
    written = [place for place, name in enumerate(names) if name]
    recurring = sum(bool((sample[place] == names[place]).any()) for place in written)
    return recurring >= 2 and recurring >= len(written) / 2


def _is_series(numbers: list[float]) -> bool:
    """Tell whether numbers could be names: 0, 1, 2, … or 10, 20, 30, …; years; or many that only rise."""
    steps = np.diff(numbers)
    if (steps > 0).all() and (np.allclose(steps, steps[0]) or len(numbers) >= 6):
        return True
    return len(set(numbers)) == len(numbers) and all(
        number.is_integer() and 1900 <= number <= 2100 for number in numbers
    )


def _as_text(column: pa.ChunkedArray) -> pd.Series[str]:
    return pd.Series(column.cast(pa.large_string()).to_pandas(), dtype="str")


def _read_parquet(content: bytes, limits: Limits) -> RawTable:
    if content[-4:] != b"PAR1":
        raise Unreadable("TRUNCATED", "the Parquet file has no end; it looks cut off", fix="Send the whole file.")
    try:
        bounds = Bounds(limits.max_rows, limits.max_columns, limits.max_cells, limits.max_bytes)
        parsed = read_apart(content, bounds)
        twice = [name for name, times in Counter(parsed.names).items() if times > 1]
        if twice:
            fix = "Give each column a name of its own."
            message = f"the table has more than one column {name_some(twice)}"
            raise Unreadable("DUP_COLUMN", message, fix=fix)
        columns = {name: _typed(parsed.table.column(name)) for name in parsed.table.column_names}
    except ParserFault as fault:
        fix = "Send it in several smaller uploads." if fault.code == "TOO_LARGE" else "Send it as CSV in UTF-8."
        raise Unreadable(fault.code, fault.message, fix=fix) from fault
    except pa.ArrowException as error:
        raise Unreadable("BAD_FORMAT", f"the Parquet file cannot be read: {error}") from error
    if not parsed.rows:
        raise Unreadable("EMPTY", "the table has no rows", fix="Send at least one row.")
    return RawTable(pd.DataFrame(columns), np.arange(1, parsed.rows + 1), "row", parsed.unusable)


def _typed(column: pa.ChunkedArray) -> pd.Series[Any]:
    """Give a column of Parquet as text, numbers, booleans or UTC times."""
    kind = column.type
    if pa.types.is_boolean(kind):
        return pd.Series(column.to_pandas(types_mapper=lambda _: pd.BooleanDtype()))
    if pa.types.is_integer(kind):
        return pd.Series(
            column.to_pandas(types_mapper=lambda _: pd.UInt64Dtype() if kind == pa.uint64() else pd.Int64Dtype())
        )
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return pd.Series(column.cast(pa.float64()).to_pandas())
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return _times(column)
    return _as_text(column)


def _times(column: pa.ChunkedArray) -> pd.Series[Any]:
    """Give times in UTC, to the microsecond. Raises ArrowInvalid where they lie beyond what these can count."""
    kind = column.type
    zone = "UTC" if pa.types.is_timestamp(kind) and kind.tz else None  # whatever the zone, what is stored is UTC
    is_finer = pa.types.is_timestamp(kind) and kind.unit == "ns"
    times = column.cast(pa.timestamp("us", zone), safe=not is_finer).to_pandas()
    return pd.to_datetime(pd.Series(times), utc=True)
