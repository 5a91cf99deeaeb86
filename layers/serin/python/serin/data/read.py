"""What does an upload hold? From its bytes to a table of cells as they were written, or Unreadable, saying why not.

CSV (csv_rows.py), JSON Lines, the same under gzip or zstd, and Parquet. The kind is told by the first bytes, never by a
name; nothing is unpickled or executed; whatever grows while unpacking stops at a limit. A table is read in parts, so
that its size does not matter.
"""

from __future__ import annotations

import io
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from queue import Full, Queue
from threading import Event, Thread

import numpy as np

from serin.data.csv_rows import read_csv
from serin.data.json_lines import is_json_lines, read_json_lines
from serin.data.limits import DEFAULT_LIMITS, SEND_A_TABLE, Limits, Unreadable
from serin.data.parquet import read_parquet
from serin.data.raw_table import RawTable, join_frames
from serin.data.text import Source, as_whole, read_text, unpacked

PARTS_AHEAD = 2


def read_table(
    content: bytes, limits: Limits = DEFAULT_LIMITS, *, encoding: str = "utf-8", names: Sequence[str] = ()
) -> RawTable:
    """Read a table as a whole. Raises Unreadable with a code, a line where there is one, and what to do.

    encoding: of a CSV that is not UTF-8. names: of the columns, where the first row is data; a CSV that begins with
    these names is read too.
    """
    limits.check_bytes(len(content))
    return join_parts([*read_parts(lambda: io.BytesIO(content), limits, encoding=encoding, names=names)])


def read_parts(
    source: Source,
    limits: Limits = DEFAULT_LIMITS,
    *,
    encoding: str = "utf-8",
    names: Sequence[str] = (),
    numbers: Collection[str] = (),
) -> Iterator[RawTable]:
    """Read a table part by part; there is one at least. Raises Unreadable as `read_table`, also after some were read.

    source: opens the file at its beginning. numbers: columns of numbers as Serin writes them, which parts of a CSV may
    give as such.
    """
    source = unpacked(source, limits)
    with source() as file:
        start = file.read(1024)
    if re.match(rb"PAR1[^ -~\s]", start):  # and not a column of that name
        with source() as file, as_whole(file) as whole:
            yield from read_parquet(whole, limits)
        return
    kind = _foreign_kind(start)
    is_lines = kind == "JSON" and is_json_lines(source)
    if kind and not is_lines:
        fix = "Send an object a line (JSON Lines), or CSV." if kind == "JSON" else SEND_A_TABLE
        raise Unreadable("BAD_FORMAT", f"this is not a table but {kind}", fix=fix)
    encoding, text = read_text(source, encoding)
    parts = read_json_lines(text, limits) if is_lines else read_csv(text, limits, names, numbers)
    for part in parts:
        yield replace(part, encoding=encoding)


def read_ahead(parts: Iterator[RawTable]) -> Iterator[RawTable]:
    """Read the next parts in a thread of their own while one is looked at."""
    waiting: Queue[RawTable | BaseException | None] = Queue(PARTS_AHEAD)
    is_over = Event()

    def put(what: RawTable | BaseException | None) -> None:
        while not is_over.is_set():
            with suppress(Full):
                waiting.put(what, timeout=0.1)
                return

    def read() -> None:
        try:
            for part in parts:
                put(part)
                if is_over.is_set():
                    return
            put(None)
        except BaseException as error:  # it is raised where the parts are looked at
            put(error)

    thread = Thread(target=read, daemon=True)
    thread.start()
    try:
        while (part := waiting.get()) is not None:
            if isinstance(part, BaseException):
                raise part
            yield part
    finally:
        is_over.set()
        thread.join()


def join_parts(parts: Sequence[RawTable]) -> RawTable:
    """Put the parts of a table together."""
    unusable = {name: kind for part in parts for name, kind in part.unusable.items()}
    unnamed = frozenset.intersection(*(part.unnamed for part in parts))
    frame = join_frames([part.frame for part in parts])
    left_out = [name for name in frame.columns if name in unusable or name in unnamed]
    return replace(
        parts[0],
        frame=frame.drop(columns=left_out) if left_out else frame,
        lines=np.concatenate([part.lines for part in parts]),
        blank=np.concatenate([part.blank for part in parts]),
        unusable=unusable,
        unnamed=frozenset(),
    )


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
