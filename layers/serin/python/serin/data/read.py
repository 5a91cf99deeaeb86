"""What does an upload hold? From its bytes to a table of cells as they were written, or Unreadable, saying why not.

CSV (comma, semicolon or tab; UTF-8), the same under gzip, and Parquet. The kind is told by the first bytes, never by a
name; nothing is unpickled or executed; whatever grows while unpacking stops at a limit.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from serin.data.cells import NUMBER
from serin.errors import BadRequest

LONGEST_FIELD = 131_072
SEND_A_TABLE = "Send a table as CSV in UTF-8, as gzip of it, or as Parquet."


class Unreadable(BadRequest):
    """When an upload is no table that can be read. `line` is where it shows, counted from 1; `fix` what to do."""

    def __init__(self, code: str, message: str, *, line: int | None = None, fix: str = SEND_A_TABLE) -> None:
        super().__init__(message, code=code)
        self.line = line
        self.fix = fix


@dataclass(frozen=True, slots=True)
class Limits:
    """How large an upload may be. `max_bytes` holds for what was sent and for what it unpacks to."""

    max_bytes: int = 256 * 1024 * 1024
    max_rows: int = 5_000_000
    max_columns: int = 1_000


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class RawTable:
    """Cells as they were written: from CSV all text, from Parquet text, numbers, booleans and times, NA where null.

    lines: where each row of `frame` stands in the file, from 1; place: what that counts, `line` or `row`.
    unusable: columns of Parquet that hold no single values, with their type; they are not in `frame`.
    blank: where rows stand in which nothing is written; they are not in `frame`. Of empty lines, those between rows.
    """

    frame: pd.DataFrame
    lines: NDArray[np.int64]
    place: str = "line"
    unusable: dict[str, str] = field(default_factory=dict)
    blank: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    def with_blank(self) -> RawTable:
        """Give the same table with a row of empty cells for each blank one, in its place."""
        if not len(self.blank):
            return self
        lines = np.concatenate((self.lines, self.blank))
        order = np.argsort(lines)
        frame = self.frame.reindex(range(len(lines)), fill_value="").iloc[order].reset_index(drop=True)
        return RawTable(frame, lines[order], self.place, self.unusable)


def read_table(content: bytes, limits: Limits = DEFAULT_LIMITS) -> RawTable:
    """Read a table. Raises Unreadable with a code, a line where there is one, and what to do."""
    _check_size(len(content), limits)
    if content[:2] == b"\x1f\x8b":
        content = _unzip(content, limits)
        if content[:2] == b"\x1f\x8b":
            raise Unreadable("BAD_FORMAT", "this is gzip within gzip")
    if re.match(rb"PAR1[^ -~\s]", content):  # and not a column of that name
        return _read_parquet(content, limits)
    if kind := _foreign_kind(content):
        raise Unreadable("BAD_FORMAT", f"this is not a table but {kind}")
    return _read_csv(_utf8(content), limits)


def name_some(names: Sequence[object]) -> str:
    """Name the first five of many, and say how many more there are."""
    more = f" and {len(names) - 5:,} more" if len(names) > 5 else ""
    return ", ".join(map(repr, names[:5])) + more


def _check_size(size: int, limits: Limits) -> None:
    if size > limits.max_bytes:
        raise Unreadable(
            "TOO_LARGE",
            f"the table is larger than {limits.max_bytes:,} bytes",
            fix="Send it in several smaller uploads.",
        )


def _unzip(content: bytes, limits: Limits) -> bytes:
    """Unpack gzip, stopping at the limit whatever the file claims about its size."""
    unpacked = bytearray()
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            while chunk := file.read(1 << 20):
                unpacked += chunk
                _check_size(len(unpacked), limits)
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


def _utf8(content: bytes) -> bytes:
    """Check that the bytes are text in UTF-8; give them without a byte order mark, each line ending in one newline."""
    fix = "Save the file as UTF-8 (in Excel: 'CSV UTF-8') and send it again."
    if _looks_like_utf16(content):
        raise Unreadable("ENCODING", "the file is not UTF-8; it looks like UTF-16", fix=fix)
    if (nul := content.find(0)) >= 0:
        line = _line_of(content, nul)
        raise Unreadable(
            "ENCODING", f"line {line} holds a NUL byte", line=line, fix="Remove it and send the file again."
        )
    try:
        content.decode()
    except UnicodeDecodeError as error:
        line = _line_of(content, error.start)
        if error.reason == "unexpected end of data":
            fix = "Send the whole file."
            raise Unreadable("TRUNCATED", f"line {line}, the last, is cut off", line=line, fix=fix) from error
        message = f"line {line} is not UTF-8; it looks like Latin-1 or Windows-1252"
        raise Unreadable("ENCODING", message, line=line, fix=fix) from error
    return content.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _line_of(content: bytes, position: int) -> int:
    return content.count(b"\n", 0, position) + 1


@dataclass(frozen=True, slots=True)
class _Rows:
    """Where the rows of a CSV text are; those in which nothing is written are left out.

    fields: how many each has; lines: in which line each starts; starts, ends: its bytes, without the newline.
    blank: the lines of those left out, below the first that is written and above the empty lines at the end.
    """

    fields: NDArray[np.int64]
    lines: NDArray[np.int64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    blank: NDArray[np.int64]


def _read_csv(text: bytes, limits: Limits) -> RawTable:
    if not text.strip():
        raise Unreadable(
            "EMPTY", "the file is empty", fix="Send a table with a row of column names and at least one row."
        )
    delimiter = _delimiter(text)
    rows = _find_rows(text, delimiter)
    cells = None
    if rows is None:
        rows, cells = _parse_slowly(text, delimiter)
    if len(rows.fields) < 2:
        raise Unreadable(
            "EMPTY", "the file has a row of column names and nothing below it", fix="Send at least one row."
        )
    width = int(rows.fields[0])
    if width > limits.max_columns:
        raise Unreadable("TOO_LARGE", f"the table has {width:,} columns; {limits.max_columns:,} are allowed")
    if (count := len(rows.fields) - 1 + len(rows.blank)) > limits.max_rows:
        message = f"the table has {count:,} rows; {limits.max_rows:,} are allowed"
        raise Unreadable("TOO_LARGE", message, fix="Send it in several smaller uploads.")
    _check_widths(rows)
    if cells is None:
        header, *_ = csv.reader(io.StringIO(text[rows.starts[0] : rows.ends[0]].decode()), delimiter=delimiter)
        frame = _parse(text, rows, delimiter)
    else:
        header = cells[0]
        frame = pd.DataFrame(cells[1:], dtype="str")
    names = [name.strip() for name in header]
    _check_header(names, frame)
    kept = [place for place, name in enumerate(names) if name or frame[place].ne("").any()]
    frame = frame[kept]
    frame.columns = pd.Index([names[place] or _unnamed(place, names) for place in kept])
    return RawTable(frame, rows.lines[1:], blank=rows.blank)


def _delimiter(text: bytes) -> str:
    """Choose what separates the cells of the first written line; a comma where nothing does."""
    first = re.sub(rb'"[^"]*"?', b"", text.lstrip(b"\n").split(b"\n", 1)[0])
    return max(",;\t", key=lambda candidate: first.count(candidate.encode()))


def _find_rows(text: bytes, delimiter: str) -> _Rows | None:
    """Find the rows without a loop. None where quotes stand elsewhere than around whole cells.

    Raises Unreadable where a quote is never closed or a field is too long.
    """
    content = np.frombuffer(text, dtype=np.uint8)
    newlines = np.flatnonzero(content == ord("\n"))
    separators = np.flatnonzero(content == ord(delimiter))
    quotes = np.flatnonzero(content == ord('"'))
    borders = newlines
    if len(quotes):
        edges = (ord("\n"), ord(delimiter), ord('"'))
        padded = np.concatenate(([ord("\n")], content, [ord("\n")])).astype(np.uint8)
        opening, closing = quotes[::2], quotes[1::2]
        if not (np.isin(padded[opening], edges).all() and np.isin(padded[closing + 2], edges).all()):
            return None
        if len(quotes) % 2:
            _raise_open_quote(1 + int(np.searchsorted(newlines, quotes[-1])))
        borders = newlines[np.searchsorted(quotes, newlines) % 2 == 0]
        separators = separators[np.searchsorted(quotes, separators) % 2 == 0]
    starts = np.concatenate(([0], borders + 1))
    ends = np.concatenate((borders, [len(text)]))
    inner = np.searchsorted(separators, ends) - np.searchsorted(separators, starts)
    for row in np.flatnonzero(ends - starts > LONGEST_FIELD):
        own = separators[(separators >= starts[row]) & (separators < ends[row])]
        if np.diff([starts[row] - 1, *own, ends[row]]).max() - 1 > LONGEST_FIELD:
            _raise_long_field(1 + int(np.searchsorted(newlines, starts[row])))
    written = ends - starts > inner
    lines = np.searchsorted(newlines, starts) + 1
    blank = ~written
    blank[: np.argmax(written)] = False
    blank[len(starts) - np.argmax(ends[::-1] > starts[::-1]) :] = False
    return _Rows(inner[written] + 1, lines[written], starts[written], ends[written], lines[blank])


def _parse(text: bytes, rows: _Rows, delimiter: str) -> pd.DataFrame:
    """Give the cells below the header as text, in columns named by their place."""
    starts, ends = rows.starts[1:], rows.ends[1:]
    body = text[starts[0] : ends[-1]]
    if (starts[1:] != ends[:-1] + 1).any():  # rows in which nothing is written stand between
        body = b"\n".join(text[start:end] for start, end in zip(starts, ends, strict=True))
    names = [str(place) for place in range(int(rows.fields[0]))]
    table = pa_csv.read_csv(
        pa.BufferReader(body),
        read_options=pa_csv.ReadOptions(column_names=names, block_size=max(1 << 20, 4 * int((ends - starts).max()))),
        parse_options=pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=b'"' in body),
        convert_options=pa_csv.ConvertOptions(
            column_types={name: pa.large_string() for name in names}, strings_can_be_null=False
        ),
    )
    return pd.DataFrame({place: _as_text(column) for place, column in enumerate(table.columns)})


def _parse_slowly(text: bytes, delimiter: str) -> tuple[_Rows, list[list[str]]]:
    """Read rows whose quotes stand in odd places, as Python's csv module does."""
    end = "\x00end"
    lines: list[int] = []
    cells: list[list[str]] = []
    blank: list[int] = []
    reader = csv.reader(io.StringIO(f"{text.decode().rstrip(chr(10))}\n{end}", newline=""), delimiter=delimiter)
    line = 1
    try:
        for row in reader:
            if any(row):
                lines.append(line)
                cells.append(row)
            elif cells:
                blank.append(line)
            line = reader.line_num + 1
    except csv.Error as error:
        if "field limit" in str(error):
            _raise_long_field(line)
        raise Unreadable("BAD_FORMAT", f"line {line} is no row of a table: {error}", line=line) from error
    if cells[-1] != [end]:
        _raise_open_quote(lines[-1])
    fields = np.array([len(row) for row in cells[:-1]], dtype=np.int64)
    nowhere = np.empty(0, dtype=np.int64)
    written, left_out = np.array(lines[:-1], dtype=np.int64), np.array(blank, dtype=np.int64)
    return _Rows(fields, written, nowhere, nowhere, left_out), cells[:-1]


def _raise_open_quote(line: int) -> NoReturn:
    message = f"a quote that opens in line {line} is never closed; the file looks cut off"
    raise Unreadable("TRUNCATED", message, line=line, fix="Send the whole file, or close the quote.")


def _raise_long_field(line: int) -> NoReturn:
    message = f"the row at line {line} has a field of more than {LONGEST_FIELD:,} characters"
    fix = "Shorten the field; if a quote was left open before it, close it."
    raise Unreadable("FIELD_TOO_LONG", message, line=line, fix=fix)


def _check_widths(rows: _Rows) -> None:
    """Raise Unreadable where rows have another number of fields than the header."""
    width, fields = int(rows.fields[0]), rows.fields[1:]
    odd = np.flatnonzero(fields != width)
    if not len(odd):
        return
    last = len(fields) - 1
    line = int(rows.lines[1:][odd[0]])
    if odd[0] == last and fields[last] < width:
        message = f"the last row, line {line}, has {fields[last]} of {width} fields; the file looks cut off"
        raise Unreadable("TRUNCATED", message, line=line, fix="Send the whole file, or complete its last row.")
    places = ", ".join(f"{rows.lines[1:][place]} ({fields[place]})" for place in odd[:5])
    message = (
        f"the header has {width} fields, and {len(odd):,} of {len(fields):,} rows have another number; "
        f"lines, with their number of fields: {places}{', …' if len(odd) > 5 else ''}"
    )
    fix = "Give every row as many fields as the header; put fields that hold the separator in quotes."
    if len(odd) > len(fields) / 2:
        fix = f"Let the file begin with a row of names, one for each column; line {rows.lines[0]} seems to be none."
    raise Unreadable("RAGGED", message, line=line, fix=fix)


def _check_header(names: list[str], frame: pd.DataFrame) -> None:
    """Raise Unreadable where the first row is data, or names a column twice. frame: the rows below it."""
    if _is_data(names, frame):
        raise Unreadable(
            "NO_HEADER",
            f"the first row is data and not column names: {', '.join(names[:6])}{', …' if len(names) > 6 else ''}",
            line=1,
            fix="Put a row with a name for each column above it.",
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
    numbers = [float(name) for name in names if NUMBER.fullmatch(name)]
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
        file = pq.ParquetFile(pa.BufferReader(content))
        names = list(file.schema_arrow.names)
        if len(names) > limits.max_columns:
            raise Unreadable("TOO_LARGE", f"the table has {len(names):,} columns; {limits.max_columns:,} are allowed")
        twice = [name for name, times in Counter(names).items() if times > 1]
        if twice:
            fix = "Give each column a name of its own."
            message = f"the table has more than one column {name_some(twice)}"
            raise Unreadable("DUP_COLUMN", message, fix=fix)
        batches: list[pa.RecordBatch] = []
        rows = size = 0
        for batch in file.iter_batches(batch_size=65_536):
            batches.append(batch)
            rows, size = rows + batch.num_rows, size + batch.nbytes
            _check_size(size, limits)
            if rows > limits.max_rows:
                message = f"the table has more than {limits.max_rows:,} rows"
                raise Unreadable("TOO_LARGE", message, fix="Send it in several smaller uploads.")
        table = pa.Table.from_batches(batches, schema=file.schema_arrow)
        columns = {name: _typed(table.column(name)) for name in table.column_names}
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Unreadable("BAD_FORMAT", f"the Parquet file cannot be read: {error}") from error
    if not table.num_rows:
        raise Unreadable("EMPTY", "the table has no rows", fix="Send at least one row.")
    return RawTable(
        pd.DataFrame({name: column for name, column in columns.items() if column is not None}),
        np.arange(1, table.num_rows + 1),
        "row",
        {name: str(table.schema.field(name).type) for name, column in columns.items() if column is None},
    )


def _typed(column: pa.ChunkedArray) -> pd.Series[Any] | None:
    """Give a column of Parquet as text, numbers, booleans or UTC times; None where it holds no single values."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _typed(column.cast(kind.value_type))
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
    if (
        pa.types.is_null(kind)
        or pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
    ):
        return _as_text(column)
    return None


def _times(column: pa.ChunkedArray) -> pd.Series[Any]:
    """Give times in UTC, to the microsecond. Raises ArrowInvalid where they lie beyond what these can count."""
    kind = column.type
    zone = "UTC" if pa.types.is_timestamp(kind) and kind.tz else None  # whatever the zone, what is stored is UTC
    is_finer = pa.types.is_timestamp(kind) and kind.unit == "ns"
    times = column.cast(pa.timestamp("us", zone), safe=not is_finer).to_pandas()
    return pd.to_datetime(pd.Series(times), utc=True)
