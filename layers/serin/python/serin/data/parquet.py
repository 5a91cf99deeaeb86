"""How is Parquet read that may crash its parser, or unpack to more than memory holds? In a process of its own.

CSV needs none: what it unpacks to is counted before it is parsed (serin/data/read.py).
"""

from __future__ import annotations

import json
import mmap
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

_CHILD = "from serin.data.parquet import answer_parent; answer_parent()"
_REFUSED = 3  # the child's exit status where it could say what is wrong
_INHERITED = ("PATH", "LD_LIBRARY_PATH", "LANG", "TZ", "TMPDIR")  # what Python needs to start, on Lambda too
_OVER = (signal.SIGKILL, signal.SIGXCPU, signal.SIGXFSZ)  # how a process ends that is over a limit
_ROWS_AT_ONCE = 65_536
_TOO_MUCH = "the Parquet file unpacks to more than one upload may hold"


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a file may hold, and its reading take. max_text: bytes of text; memory_mb: address space, of which pyarrow
    alone takes some 400; seconds: of CPU.
    """

    max_rows: int
    max_columns: int
    max_cells: int
    max_text: int
    memory_mb: int = 1500
    seconds: int = 60


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a file holds. names: of all columns; unusable: the types of those that hold no single values, which are not
    in the table.
    """

    table: pa.Table
    rows: int
    names: list[str]
    unusable: dict[str, str]


class ParserFault(Exception):
    """When a file cannot be read. `code` says why: TOO_LARGE, BAD_FORMAT or PARSER_CRASH."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def read_apart(content: bytes, bounds: Bounds) -> Parsed:
    """Read Parquet at no risk to this process. Raises ParserFault."""
    with tempfile.TemporaryFile() as output:
        try:
            child = subprocess.run(
                [sys.executable, "-c", _CHILD, json.dumps(asdict(bounds))],
                input=content,
                stdout=output,
                stderr=subprocess.PIPE,
                timeout=3 * bounds.seconds,
                check=False,
                env=_environment(),
            )
        except subprocess.TimeoutExpired:
            raise ParserFault("TOO_LARGE", f"reading the Parquet file took more than {bounds.seconds} s") from None
        last = child.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        if child.returncode == _REFUSED:
            raise ParserFault(**json.loads(last))
        if child.returncode < 0:
            is_over = -child.returncode in _OVER or b"bad_alloc" in child.stderr
            crash = f"the parser of Parquet ended with {signal.Signals(-child.returncode).name} on it"
            raise ParserFault(*(("TOO_LARGE", _TOO_MUCH) if is_over else ("PARSER_CRASH", crash)))
        if child.returncode:
            raise RuntimeError(f"the process that reads Parquet ended with status {child.returncode}")
        return Parsed(_table(output), **json.loads(last))


def _table(output: IO[bytes]) -> pa.Table:
    """Give what the child wrote, without a copy: the file is gone once nobody looks at it."""
    return pa.ipc.open_stream(pa.py_buffer(mmap.mmap(output.fileno(), 0, access=mmap.ACCESS_READ))).read_all()


def _environment() -> dict[str, str]:
    """What the child is started with: nothing secret. The system's memory pool reserves no address space."""
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    own = {"ARROW_DEFAULT_MEMORY_POOL": "system", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    return {**inherited, **own, "PYTHONPATH": os.pathsep.join(sys.path)}


def answer_parent() -> None:
    """Do the child's part: limits first, then the file; what it holds goes to stdout, all else in a line to stderr."""
    bounds = Bounds(**json.loads(sys.argv[1]))
    most = bounds.max_text + 16 * bounds.max_cells + (1 << 24)
    for limit, value in (
        (resource.RLIMIT_CPU, bounds.seconds),
        (resource.RLIMIT_AS, bounds.memory_mb << 20),
        (resource.RLIMIT_FSIZE, most),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))
    try:
        answer, status = _read(sys.stdin.buffer.read(), bounds, sys.stdout.buffer), 0
    except ParserFault as fault:
        answer, status = {"code": fault.code, "message": fault.message}, _REFUSED
    except MemoryError:  # pyarrow's own is one too
        answer, status = {"code": "TOO_LARGE", "message": _TOO_MUCH}, _REFUSED
    except (pa.ArrowException, OSError, ValueError) as error:
        message = f"the Parquet file cannot be read: {str(error)[:300]}"
        answer, status = {"code": "BAD_FORMAT", "message": message}, _REFUSED
    sys.stdout.flush()
    sys.stderr.write("\n" + json.dumps(answer))
    sys.stderr.flush()
    os._exit(status)  # nothing of the file has to be freed


def _read(content: bytes, bounds: Bounds, out: Any) -> dict[str, Any]:
    """Write the usable columns as a stream of Arrow, and tell the rest of `Parsed`."""
    file = pq.ParquetFile(pa.BufferReader(content))
    schema = file.schema_arrow
    _check(file.metadata.num_rows, len(schema), bounds)  # as it says of itself: before anything is read
    unusable = {field.name: str(field.type) for field in schema if not _is_usable(field.type)}
    unusable |= dict.fromkeys(_names_of_bytes(file, schema), "bytes that are no text")
    has_twice = len(set(schema.names)) < len(schema.names)  # for the parent to refuse
    names = [] if has_twice else [name for name in schema.names if name not in unusable]
    texts = [name for name in names if _is_text(schema.field(name).type)]
    # As codes: of plain text a batch may hold any number of copies.
    file = pq.ParquetFile(pa.BufferReader(content), read_dictionary=texts)
    rows = text = 0
    plain = pa.schema([pa.field(name, _plain(schema.field(name).type)) for name in names])
    with pa.ipc.new_stream(out, plain) as stream:
        for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE, columns=names, use_threads=False):
            rows += batch.num_rows
            _check(rows, len(schema), bounds)
            text += sum(_text_bytes(batch.column(name)) for name in texts)
            if text > bounds.max_text:
                raise ParserFault("TOO_LARGE", f"the table holds more than {bounds.max_text:,} bytes of text")
            columns = [batch.column(field.name).cast(field.type) for field in plain]
            stream.write_batch(pa.RecordBatch.from_arrays(columns, schema=plain))
    return {"rows": rows if names else file.metadata.num_rows, "names": schema.names, "unusable": unusable}


def _names_of_bytes(file: pq.ParquetFile, schema: pa.Schema) -> Iterator[str]:
    """Find the columns of bytes that are no text in UTF-8; some tools mark no text as text."""
    for field in schema:
        if _is_binary(field.type):
            for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE, columns=[field.name], use_threads=False):
                try:
                    batch.column(0).cast(pa.large_string())
                except pa.ArrowInvalid:
                    yield field.name
                    break


def _check(rows: int, columns: int, bounds: Bounds) -> None:
    for count, most, what in (
        (columns, bounds.max_columns, "columns"),
        (rows, bounds.max_rows, "rows"),
        (rows * columns, bounds.max_cells, "cells"),
    ):
        if count > most:
            raise ParserFault("TOO_LARGE", f"the table has {count:,} {what}; {most:,} are allowed")


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


def _plain(kind: pa.DataType) -> pa.DataType:
    """The type of a column without codes, and of text with room for all of it."""
    if pa.types.is_dictionary(kind):
        return _plain(kind.value_type)
    return pa.large_string() if _is_text(kind) else kind
