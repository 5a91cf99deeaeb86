"""How are the rows of a CSV read? Some megabytes at a time, cut where rows end, and always with their lines.

Most parts are plain: as many cells in each row as there are names, and numbers where numbers are expected. They are
read at once. A part with anything else is looked at row by row; and one whose quotes stand in odd places, and what
follows it, is read as Python's csv module reads it.
"""

from __future__ import annotations

import csv
import io
from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
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
from serin.data import text
from serin.data.cells import MISSING
from serin.data.limits import LONGEST_FIELD, Limits, Unreadable
from serin.data.raw_table import NOWHERE, Lines, RawTable, name_some, tidy_name
from serin.serving.rows.dialect import SAMPLE, Dialect, tell_dialect

ROWS_AT_ONCE = 10_000
_NEWLINE, _QUOTE = ord("\n"), ord('"')
_NULLS = sorted({form for spelling in MISSING for form in (spelling, spelling.upper(), spelling.title(), "NaN")})


def read_csv(
    parts: Iterator[bytes], limits: Limits, names: Sequence[str] = (), numbers: Collection[str] = ()
) -> Iterator[RawTable]:
    """Read the parts of a text. Raises Unreadable, also after some were read.

    names: of the columns, where the first row is data; a CSV that begins with these names is read too. numbers: the
    columns that hold numbers as Serin writes them; parts of the table may give them as such.
    """
    head = b""
    for part in parts:
        head += part
        if len(head) > SAMPLE:
            break
    dialect = tell_dialect(head)
    content = chain((head[start : start + text.PART] for start in range(dialect.start, len(head), text.PART)), parts)
    yield from _Csv(dialect, limits, [*names], frozenset(numbers), line=dialect.lines + 1).read(content)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Where the rows of a text are; those in which nothing is written are left out.

    fields: how many each has; lines: in which line each starts; starts, ends: its bytes, without the newline.
    blank: the lines of those left out; empty: which of them are empty lines. last: the line of the last that is no
    empty one, 0 where there is none.
    """

    fields: Lines
    lines: Lines
    starts: Lines
    ends: Lines
    blank: Lines
    empty: NDArray[np.bool_]
    last: int


@dataclass(slots=True)
class _OddQuotes:
    """What is to be read as the csv module does, from this line on."""

    content: Iterator[bytes]
    line: int


@dataclass(slots=True)
class _Csv:
    """A CSV as far as it was read. line: where what comes next begins."""

    dialect: Dialect
    limits: Limits
    own_names: list[str]
    numbers: frozenset[str]
    line: int
    names: list[str] = field(default_factory=list)
    header_line: int = 0
    has_header: bool = False
    rows: int = 0
    blank: int = 0
    empty: Lines = field(default_factory=lambda: NOWHERE)
    odd_rows: int = 0
    odd: list[tuple[int, int]] = field(default_factory=list)
    last: tuple[int, int] = (0, 0)

    @property
    def separator(self) -> str:
        return self.dialect.separator

    def read(self, content: Iterator[bytes]) -> Iterator[RawTable]:
        pieces: Iterator[tuple[bytes, int] | _OddQuotes]
        pieces = iter([_OddQuotes(content, self.line)]) if self.dialect.escape else self._cut(content)
        for piece in pieces:
            if isinstance(piece, _OddQuotes):
                yield from self._read_slowly(piece)
                break
            body = piece if self.has_header else self._find_header(*piece)
            if body is not None and (part := self._read_piece(*body)) is not None:
                yield part
        self._check_end()

    def _read_piece(self, content: bytes, line: int) -> RawTable | None:
        """Read a piece; None where nothing of it can be given. The first tells whether there is a header at all."""
        part = self._read_plain(content, line) if self.rows and not self.odd_rows else None
        if part is None:
            part = self._read_carefully(content, line)
        else:
            self.last = int(part.lines[-1]), len(self.names)
            part = replace(part, blank=self._count(len(part.lines), NOWHERE, NOWHERE, self.last[0]))
        return part if part is not None and (len(part.lines) or len(part.blank)) else None

    def _cut(self, content: Iterator[bytes]) -> Iterator[tuple[bytes, int] | _OddQuotes]:
        """Cut text where rows end, and tell in which line each piece begins."""
        rest = b""
        for chunk in content:
            rest += chunk
            end = len(rest) if rest.endswith(b"\n") else rest.rfind(b"\n") + 1
            if b'"' in rest:
                letters, quotes = np.frombuffer(rest, dtype=np.uint8), _places(rest, b'"')
                if not _are_around_cells(quotes, letters, ord(self.separator)):
                    yield _OddQuotes(chain([rest], content), self.line)
                    return
                row_ends = _outside(_places(rest, b"\n"), quotes)
                end = int(row_ends[-1]) + 1 if len(row_ends) else 0
                if len(quotes) % 2 and len(rest) - int(quotes[-1]) > LONGEST_FIELD:
                    self._raise_endless(rest, end, content)
                if len(rest) - end > text.LONGEST_LINE:
                    text.raise_long_field(self.line + rest.count(b"\n", 0, end))
            if end:
                yield rest[:end], self.line
                self.line += rest.count(b"\n", 0, end)
                rest = rest[end:]
        if rest:
            quotes = _places(rest, b'"')
            if not _are_around_cells(quotes, np.frombuffer(rest, dtype=np.uint8), ord(self.separator)):
                yield _OddQuotes(iter([rest]), self.line)
                return
            if len(quotes) % 2:
                _raise_open_quote(self.line - 1 + text.line_of(rest, int(quotes[-1])))
            yield rest, self.line

    def _raise_endless(self, rest: bytes, end: int, content: Iterator[bytes]) -> NoReturn:
        """Say of a field that is too long whether it ends at all."""
        if any(b'"' in chunk for chunk in content):
            text.raise_long_field(self.line + rest.count(b"\n", 0, end))
        _raise_open_quote(self.line - 1 + text.line_of(rest, rest.rindex(b'"')))

    def _find_header(self, content: bytes, line: int) -> tuple[bytes, int] | None:
        """Find the first row that is written; give what is below it, or from it on where it is data already."""
        rows = _find_rows(content, line, self.separator)
        if not len(rows.lines):
            return None
        start, end = int(rows.starts[0]), int(rows.ends[0])
        row = next(csv.reader(io.StringIO(content[start:end].decode()), delimiter=self.separator), [])
        line = int(rows.lines[0])
        if not self._set_header(row, line):
            return content[start:], line
        below = content[end + 1 :]
        return (below, line + content.count(b"\n", start, end + 1)) if below else None

    def _set_header(self, row: list[str], line: int) -> bool:
        """Take the names of the columns. Tells whether the row is theirs, and not data."""
        is_header = not self.own_names or [*map(tidy_name, row)] == self.own_names
        self.names = [*map(tidy_name, row)] if is_header else self.own_names
        self.header_line = line if is_header else 0
        self.has_header = True
        return is_header

    def _columns(self) -> list[str]:
        return [name or _unnamed(place, self.names) for place, name in enumerate(self.names)]

    def _read_plain(self, content: bytes, line: int) -> RawTable | None:
        """Read a piece in which each line is a row of as many cells as there are names; None where it is another."""
        ends = np.flatnonzero(np.frombuffer(content, dtype=np.uint8) == _NEWLINE)
        rows, blank = len(ends), self.separator.encode() * (len(self.names) - 1) + b"\n"
        if not content.endswith(b"\n") or content.startswith(blank) or b"\n" + blank in content or b'""' in content:
            return None
        if int(np.diff(ends, prepend=-1).max()) > LONGEST_FIELD:
            return None
        codes = pa.dictionary(pa.int32(), pa.string())
        types = {str(place): pa.float64() if name in self.numbers else codes for place, name in enumerate(self.names)}
        try:
            table = _parse(pa.py_buffer(content), self.separator, types, block_size=len(content) + 1, nulls=_NULLS)
        except pa.ArrowInvalid:
            return None
        if table.num_rows != rows:
            return None
        columns: dict[str, Any] = {}
        is_ascii, unnamed = content.isascii(), set()
        for place, name in enumerate(self._columns()):
            column = table.column(place)
            if types[str(place)] == pa.float64():
                numbers = column.combine_chunks().to_numpy(zero_copy_only=False)
                if np.isnan(numbers).sum() != column.null_count or np.isinf(numbers).any():
                    return None  # words for what is no number
                columns[name] = numbers
            else:
                columns[name] = _as_codes(column.combine_chunks(), is_ascii=is_ascii)
                if not self.names[place] and _is_unwritten(column.combine_chunks().dictionary):
                    unnamed.add(name)

        def reread(places: Lines) -> pd.DataFrame:
            starts = np.concatenate(([0], ends[:-1] + 1))
            some = b"".join(content[starts[place] : ends[place] + 1] for place in places.tolist())
            return self._frame(_parse(pa.py_buffer(some), self.separator, dict.fromkeys(types, pa.large_string())))

        frame = pd.DataFrame(columns, copy=False)
        return RawTable(frame, np.arange(line, line + rows), unnamed=frozenset(unnamed), reread=reread)

    def _read_carefully(self, content: bytes, line: int) -> RawTable | None:
        """Read a piece row by row; None where rows have another number of cells than there are names."""
        rows = _without_trailing(content, _find_rows(content, line, self.separator), self.separator, len(self.names))
        return self._take(rows, lambda: _parse_rows(content, rows, self.separator, len(self.names)))

    def _take(self, rows: _Rows, parse: Any) -> RawTable | None:
        """Count rows, and give them parsed while all have as many cells as there are names."""
        blank = self._count(len(rows.lines), rows.blank, rows.empty, rows.last)
        odd = np.flatnonzero(rows.fields != len(self.names))
        self.odd += [(int(rows.lines[place]), int(rows.fields[place])) for place in odd[: 5 - len(self.odd)]]
        self.odd_rows += len(odd)
        if len(rows.lines):
            self.last = int(rows.lines[-1]), int(rows.fields[-1])
        if self.odd_rows:
            return None
        first = self.rows == len(rows.lines)
        if not len(rows.lines):
            unnamed = {name for name, own in zip(self._columns(), self.names, strict=True) if not own}
            nothing = pd.DataFrame(columns=self._columns(), dtype="str")
            return RawTable(nothing, rows.lines, blank=blank, unnamed=frozenset(unnamed))
        table = parse()
        frame = self._frame(table)
        if first:
            _check_header(self.names, frame, may_be_data=bool(self.own_names))
        above = self.dialect.above if first else ()
        unnamed = {
            name
            for place, name in enumerate(self._columns())
            if not self.names[place] and _is_unwritten(table.column(place))
        }
        return RawTable(frame, rows.lines, blank=blank, above=above, unnamed=frozenset(unnamed))

    def _frame(self, table: pa.Table) -> pd.DataFrame:
        names = self._columns()
        frame = pd.DataFrame({at: _as_cells(column, is_ascii=False) for at, column in enumerate(table.columns)})
        frame.columns = pd.Index(names)
        return frame

    def _count(self, rows: int, blank: Lines, empty: NDArray[Any], last: int) -> Lines:
        """Count rows, and give the lines of those in which nothing is written: empty ones once any other follows."""
        self.rows += rows
        lines = NOWHERE
        if last:
            lines = np.concatenate((self.empty, blank[(blank < last) | ~empty.astype(bool)]))
            self.empty = blank[(blank > last) & empty.astype(bool)]
        else:
            self.empty = np.concatenate((self.empty, blank))
        self.blank += len(lines)
        self.limits.check(rows=self.rows + self.blank + len(self.empty), columns=len(self.names))
        return lines

    def _check_end(self) -> None:
        """Raise Unreadable where there is no row, or some have another number of cells than the header."""
        if not self.has_header:
            fix = "Send a table with a row of column names and at least one row."
            raise Unreadable("EMPTY", "the file is empty", fix=fix)
        if not self.rows:
            message = "the file has a row of column names and nothing below it"
            raise Unreadable("EMPTY", message, fix="Send at least one row.")
        if not self.odd_rows:
            return
        width, line = len(self.names), self.odd[0][0]
        if self.odd_rows == 1 and self.odd[0] == self.last and self.last[1] < width:
            message = f"the last row, line {line}, has {self.last[1]} of {width} fields; the file looks cut off"
            raise Unreadable("TRUNCATED", message, line=line, fix="Send the whole file, or complete its last row.")
        places = ", ".join(f"{at} ({fields})" for at, fields in self.odd)
        header = "the header has" if self.header_line else "read.names has"
        message = (
            f"{header} {width} fields, and {self.odd_rows:,} of {self.rows:,} rows have another number; "
            f"lines, with their number of fields: {places}{', …' if self.odd_rows > 5 else ''}"
        )
        fix = "Give every row as many fields as the header; put fields that hold the separator in quotes."
        if self.odd_rows > self.rows / 2 and not self.header_line:
            fix = "Name every column of the file, in its order."
        elif self.odd_rows > self.rows / 2:
            fix = (
                "Let the file begin with a row of names, one for each column; "
                f"line {self.header_line} seems to be none."
            )
        raise Unreadable("RAGGED", message, line=line, fix=fix)

    def _read_slowly(self, odd: _OddQuotes) -> Iterator[RawTable]:
        """Read rows whose quotes stand in odd places, as Python's csv module does."""
        end = "\x00end"
        cells: list[list[str]] = []
        fields, lines, blank, empty = array("q"), array("q"), array("q"), array("b")
        row: list[str] = []
        last = begun = 0
        line = odd.line

        def flush() -> RawTable | None:
            nowhere = np.empty(0, dtype=np.int64)
            rows = _Rows(
                np.array(fields), np.array(lines), nowhere, nowhere, np.array(blank), np.array(empty, dtype=bool), last
            )
            batch = [*cells]
            part = self._take(rows, lambda: pa.Table.from_batches([_batch(batch)]))
            for kept in (cells, fields, lines, blank, empty):
                del kept[:]
            return part

        reader = self.dialect.reader(chain(_text_lines(odd.content), ["\n", end]))
        try:
            for row in reader:
                if row == [end]:
                    break
                if any(row):
                    last = begun = line
                    if self.has_header or not self._set_header(row, line):
                        while len(row) > len(self.names) and not row[-1]:
                            row.pop()
                        fields.append(len(row))
                        lines.append(line)
                        if len(row) == len(self.names):
                            cells.append(row)
                elif self.has_header:
                    blank.append(line)
                    empty.append(not row)
                    last = line if row else last
                if len(lines) + len(blank) >= ROWS_AT_ONCE:
                    part = flush()
                    last = 0
                    if part is not None and (len(part.lines) or len(part.blank)):
                        yield part
                line = odd.line + reader.line_num
        except csv.Error as error:
            if "field limit" in str(error):
                text.raise_long_field(line)
            raise Unreadable("BAD_FORMAT", f"line {line} is no row of a table: {error}", line=line) from error
        if row != [end]:
            _raise_open_quote(begun)
        if len(lines) or len(blank):
            part = flush()
            if part is not None and (len(part.lines) or len(part.blank)):
                yield part


def _text_lines(content: Iterable[bytes]) -> Iterator[str]:
    rest = b""
    for chunk in content:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (f"{line.decode()}\n" for line in lines)
    if rest:
        yield rest.decode()


def _places(content: bytes, letter: bytes) -> NDArray[np.int64]:
    """Find where a letter stands."""
    return np.flatnonzero(np.frombuffer(content, dtype=np.uint8) == ord(letter))


def _outside(places: NDArray[np.int64], quotes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Keep the places that are not within quotes."""
    return places[np.searchsorted(quotes, places) % 2 == 0] if len(quotes) else places


def _find_rows(content: bytes, line: int, separator: str) -> _Rows:
    """Find the rows of a piece that begins with one, at a line. Raises Unreadable where a field is too long."""
    letters = np.frombuffer(content, dtype=np.uint8)
    newlines, quotes = _places(content, b"\n"), _places(content, b'"')
    ends = _outside(newlines, quotes)
    if not content.endswith(b"\n"):
        ends = np.concatenate((ends, [len(content)]))
    starts = np.concatenate(([0], ends[:-1] + 1))
    inner = _outside(_places(content, separator.encode()), quotes)
    separators = np.diff(np.searchsorted(inner, ends), prepend=0)
    lines = line + np.searchsorted(newlines, starts)
    for row in np.flatnonzero(ends - starts > LONGEST_FIELD).tolist():
        if _longest_field(letters[starts[row] : ends[row]], ord(separator)) > LONGEST_FIELD:
            text.raise_long_field(int(lines[row]))
    written, is_empty = ends - starts > separators, ends == starts
    if b'""' in content:
        quoting = np.diff(np.searchsorted(quotes, ends), prepend=0)
        for row in np.flatnonzero(written & (ends - starts == separators + quoting)).tolist():
            cells = next(csv.reader([content[starts[row] : ends[row]].decode()], delimiter=separator))
            written[row] = any(cells)  # "","" is nothing either
    last = lines[~is_empty]
    return _Rows(
        separators[written] + 1,
        lines[written],
        starts[written],
        ends[written],
        lines[~written],
        is_empty[~written],
        int(last[-1]) if len(last) else 0,
    )


def _are_around_cells(quotes: NDArray[np.int64], letters: NDArray[np.uint8], separator: int) -> bool:
    """Tell whether quotes open behind, and close before, the edge of a cell, or another quote."""
    before, after = quotes[::2] - 1, quotes[1::2] + 1
    neighbours = letters[before[before >= 0]], letters[after[after < len(letters)]]
    return all(np.isin(side, (_NEWLINE, separator, _QUOTE)).all() for side in neighbours)


def _longest_field(row: NDArray[np.uint8], separator: int) -> int:
    """Tell how many bytes the longest field of a row has."""
    quoted = np.cumsum(row == _QUOTE, dtype=np.uint8) & 1
    separators = np.flatnonzero((row == separator) & (quoted == 0))
    return int(np.diff(np.concatenate(([-1], separators, [len(row)]))).max()) - 1


def _without_trailing(content: bytes, rows: _Rows, separator: str, width: int) -> _Rows:
    """Leave out the separators at the ends of rows that have more cells than there are names."""
    letters = np.frombuffer(content, dtype=np.uint8)
    fields, ends = rows.fields.copy(), rows.ends.copy()
    while (trailing := (fields > width) & (letters[ends - 1] == ord(separator))).any():
        ends[trailing] -= 1
        fields[trailing] -= 1
    return replace(rows, fields=fields, ends=ends)


def _parse_rows(content: bytes, rows: _Rows, separator: str, width: int) -> pa.Table:
    """Read the cells of rows as text, in columns named by their place."""
    first, end = int(rows.starts[0]), int(rows.ends[-1])
    body = pa.py_buffer(content).slice(first, end - first)
    if (rows.starts[1:] != rows.ends[:-1] + 1).any():  # rows in which nothing is written, or separators, stand between
        steps = np.zeros(end - first, dtype=np.int8)
        steps[rows.starts - first] += 1
        steps[rows.ends[:-1] + 1 - first] -= 1
        letters = np.frombuffer(body, dtype=np.uint8).copy()
        letters[rows.ends[:-1] - first] = _NEWLINE
        body = pa.py_buffer(letters[np.cumsum(steps, dtype=np.int8) > 0])
    return _parse(body, separator, {str(place): pa.large_string() for place in range(width)})


def _parse(
    body: pa.Buffer,
    separator: str,
    types: dict[str, pa.DataType],
    *,
    block_size: int | None = None,
    nulls: Sequence[str] = (),
) -> pa.Table:
    content = memoryview(body)
    return pa_csv.read_csv(
        pa.BufferReader(body),
        read_options=pa_csv.ReadOptions(
            column_names=[*types], use_threads=False, block_size=block_size or len(content) + 1
        ),
        parse_options=pa_csv.ParseOptions(delimiter=separator, newlines_in_values=True),
        convert_options=pa_csv.ConvertOptions(
            column_types=types, strings_can_be_null=False, null_values=[*nulls], include_columns=[*types]
        ),
    )


def _as_cells(column: pa.ChunkedArray | pa.Array, *, is_ascii: bool) -> pd.Series[str]:
    """Give text in its composed form, out of the formulas that keep a spreadsheet from making numbers of it."""
    if not is_ascii:
        column = pc.utf8_normalize(column, "NFC")
    cells = pd.Series(column.cast(pa.large_string()).to_pandas(), dtype="str")
    if pc.any(pc.starts_with(column, '="')).as_py():
        is_formula = cells.str.startswith('="')
        return cells.mask(is_formula, cells[is_formula].map(unwrap))
    return cells


def _as_codes(column: pa.DictionaryArray, *, is_ascii: bool) -> pd.Series[str]:
    """As `_as_cells`; as codes where that saves something."""
    cells = _as_cells(column.dictionary, is_ascii=is_ascii)
    codes = column.indices.to_numpy()
    if len(cells) > len(codes) // 4 or not cells.is_unique:
        return cells.take(codes).reset_index(drop=True)
    return pd.Series(pd.Categorical.from_codes(codes, pd.Index(cells)))


def _is_unwritten(column: pa.ChunkedArray | pa.Array) -> bool:
    return not pc.any(pc.greater(pc.binary_length(column), 0)).as_py()


def _batch(rows: list[list[str]]) -> pa.RecordBatch:
    columns = [pa.array(cells, type=pa.large_string()) for cells in zip(*rows, strict=True)]
    return pa.RecordBatch.from_arrays(columns, names=[str(place) for place in range(len(columns))])


def _raise_open_quote(line: int) -> NoReturn:
    message = f"a quote that opens in line {line} is never closed; the file looks cut off"
    raise Unreadable("TRUNCATED", message, line=line, fix="Send the whole file, or close the quote.")


def _check_header(names: list[str], frame: pd.DataFrame, *, may_be_data: bool) -> None:
    """Raise Unreadable where the first row is data, or names a column twice. frame: the rows below it."""
    if not may_be_data and _is_data(names, frame):
        raise Unreadable(
            "NO_HEADER",
            f"the first row is data and not column names: {', '.join(names[:6])}{', …' if len(names) > 6 else ''}",
            line=1,
            fix="Put a row with a name for each column above it, or let the contract name them: read: {names: […]}.",
        )
    twice = [name for place, name in enumerate(names) if name and names.index(name) < place]
    if twice:
        raise Unreadable(
            "DUP_COLUMN",
            f"the header has more than one column {name_some([*dict.fromkeys(twice)])}",
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
    sample = frame.head(10_000).set_axis(range(len(names)), axis=1)
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
