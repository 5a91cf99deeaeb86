"""How is Parquet read? By batches of rows, after what it says of itself was held to the limits.

What may crash its parser, or unpack to more than memory holds, is read in a process of its own: `apart.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from serin.data.limits import Limits, Unreadable
from serin.data.raw_table import RawTable, name_some

_CELLS_AT_ONCE, _MOST_ROWS_AT_ONCE = 2_600_000, 131_072
_BUFFER = 1 << 20  # bytes of a column that are read at once


def read_parquet(file: BinaryIO, limits: Limits) -> Iterator[RawTable]:
    """Read a file by batches of rows. Raises Unreadable, also after some were read."""
    size = file.seek(0, 2)
    file.seek(max(size - 4, 0))
    if file.read(4) != b"PAR1":
        raise Unreadable("TRUNCATED", "the Parquet file has no end; it looks cut off", fix="Send the whole file.")
    try:
        yield from _read(file, limits)
    except (MemoryError, Unreadable):  # Arrow's own is both of this and of those below
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        message = f"the Parquet file cannot be read: {str(error)[:300]}"
        raise Unreadable("BAD_FORMAT", message, fix="Send it as CSV in UTF-8.") from error


def _read(file: Any, limits: Limits) -> Iterator[RawTable]:
    parquet = _open(file)
    schema = parquet.schema_arrow
    limits.check(rows=parquet.metadata.num_rows, columns=len(schema))  # as it says of itself: before anything is read
    twice = [name for name, times in Counter(schema.names).items() if times > 1]
    if twice:
        message = f"the table has more than one column {name_some(twice)}"
        raise Unreadable("DUP_COLUMN", message, fix="Give each column a name of its own.")
    unusable = {column.name: str(column.type) for column in schema if not _is_usable(column.type)}
    unusable |= dict.fromkeys(_names_of_bytes(parquet, schema), "bytes that are no text")
    names = [name for name in schema.names if name not in unusable]
    texts = [name for name in names if _is_text(schema.field(name).type)]
    if not parquet.metadata.num_rows:
        raise Unreadable("EMPTY", "the table has no rows", fix="Send at least one row.")
    if not names:
        rows = np.arange(1, parquet.metadata.num_rows + 1)
        yield RawTable(pd.DataFrame(index=range(len(rows))), rows, "row", unusable)
        return
    rows_read = text = 0
    # As codes: of plain text a batch may hold any number of copies.
    for batch in _open(file, texts).iter_batches(_rows_at_once(parquet, len(names)), columns=names, use_threads=False):
        lines = np.arange(rows_read + 1, rows_read + batch.num_rows + 1)
        rows_read += batch.num_rows
        limits.check(rows=rows_read, columns=len(schema))
        text += sum(_text_bytes(batch.column(name)) for name in texts)
        if text > limits.max_bytes:
            limits.refuse(f"the table holds more than {limits.max_bytes:,} bytes of text")
        columns = {name: _typed(batch.column(name)) for name in names}
        yield RawTable(pd.DataFrame(columns, copy=False), lines, "row", unusable)


def _rows_at_once(file: pq.ParquetFile, columns: int) -> int:
    """How many rows fit into a part of a table: as equal shares of a group of rows as can be."""
    most = min(max(_CELLS_AT_ONCE // columns, 1), _MOST_ROWS_AT_ONCE)
    group: int = max(file.metadata.row_group(0).num_rows, 1)
    return -(-group // -(-group // most))


def _open(file: Any, texts: list[str] | None = None) -> pq.ParquetFile:
    return pq.ParquetFile(file, read_dictionary=texts, pre_buffer=False, buffer_size=_BUFFER)


def _names_of_bytes(file: pq.ParquetFile, schema: pa.Schema) -> Iterator[str]:
    """Find the columns of bytes that are no text in UTF-8; some tools mark no text as text."""
    for column in schema:
        if _is_binary(column.type):
            for batch in file.iter_batches(batch_size=_MOST_ROWS_AT_ONCE, columns=[column.name], use_threads=False):
                try:
                    batch.column(0).cast(pa.large_string())
                except pa.ArrowInvalid:
                    yield column.name
                    break


def _typed(column: pa.Array) -> pd.Series[Any]:
    """Give a column of Parquet as text, numbers, booleans or UTC times."""
    kind = column.type
    if pa.types.is_dictionary(kind) and not _is_text(kind.value_type):
        column, kind = column.dictionary_decode(), kind.value_type
    if pa.types.is_boolean(kind):
        return pd.Series(column.to_pandas(types_mapper=lambda _: pd.BooleanDtype()))
    if pa.types.is_integer(kind):
        if not column.null_count and kind != pa.uint64():
            return pd.Series(column.to_numpy().astype(np.int64, copy=False))
        return pd.Series(
            column.to_pandas(types_mapper=lambda _: pd.UInt64Dtype() if kind == pa.uint64() else pd.Int64Dtype())
        )
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return pd.Series(column.cast(pa.float64()).to_numpy(zero_copy_only=False))
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return _times(column)
    if pa.types.is_dictionary(kind):
        texts = pd.Index(column.dictionary.cast(pa.large_string()).to_pandas(), dtype="str")
        if len(texts) <= len(column) // 4 and texts.is_unique:
            return pd.Series(pd.Categorical.from_codes(column.indices.fill_null(-1).to_numpy(), texts))
    return pd.Series(column.cast(pa.large_string()).to_pandas(), dtype="str")


def _times(column: pa.Array) -> pd.Series[Any]:
    """Give times in UTC, to the microsecond. Raises ArrowInvalid where they lie beyond what these can count."""
    kind = column.type
    zone = "UTC" if pa.types.is_timestamp(kind) and kind.tz else None  # whatever the zone, what is stored is UTC
    is_finer = pa.types.is_timestamp(kind) and kind.unit == "ns"
    times = column.cast(pa.timestamp("us", zone), safe=not is_finer).to_pandas()
    return pd.to_datetime(pd.Series(times), utc=True)


def _text_bytes(column: pa.Array) -> int:
    """Count the bytes of a column of text once it is no longer codes."""
    if not pa.types.is_dictionary(column.type):
        return int(column.nbytes)
    sizes = pc.binary_length(column.dictionary).cast(pa.int64())
    return int(pc.sum(sizes.take(column.indices)).as_py() or 0)


def _is_text(kind: pa.DataType) -> bool:
    is_marked = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    return bool(is_marked or _is_binary(kind))


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _is_usable(kind: pa.DataType) -> bool:
    """Tell whether a column holds text, numbers, booleans or times, which can be judged."""
    if pa.types.is_dictionary(kind):
        return _is_usable(kind.value_type)
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    is_time = pa.types.is_timestamp(kind) or pa.types.is_date(kind)
    return bool(is_number or is_time or _is_text(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind))
