"""How do the bytes of a file become text? Unpacked, decoded and checked, some megabytes at a time."""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import BinaryIO, NoReturn, cast

import numpy as np
import pyarrow as pa

from serin.data.limits import LONGEST_FIELD, Limits, Unreadable

PART = 8 << 20  # bytes that are looked through at once
LONGEST_LINE = 64 << 20  # bytes
GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_BOM = b"\xef\xbb\xbf"
_SAVE_AS_UTF8 = (
    "Save the file as UTF-8 (in Excel: 'CSV UTF-8'), or let the contract say how it is encoded: "
    "read: {encoding: cp1252}."
)

Source = Callable[[], BinaryIO]


def unpacked(source: Source, limits: Limits) -> Source:
    """Give a file unpacked, if it is packed. Raises Unreadable where what was packed is packed again."""
    packed = _start_of(source)[:4]
    if not _is_packed(packed):
        return source

    def read() -> BinaryIO:
        return cast(BinaryIO, _Unpacked(source(), packed, limits))

    if _is_packed(_start_of(read)[:4]):
        raise Unreadable("BAD_FORMAT", "this is packed twice: gzip or zstd within gzip or zstd")
    return read


def _is_packed(start: bytes) -> bool:
    return start[:2] == GZIP or start == ZSTD


def _start_of(source: Source) -> bytes:
    with source() as file:
        return file.read(1024)


class _Unpacked:
    """A packed file as what it unpacks to; it stops at the limit whatever the file claims about its size."""

    def __init__(self, file: BinaryIO, start: bytes, limits: Limits) -> None:
        self._raw, self._limits, self._read = file, limits, 0
        self._kind = "gzip" if start[:2] == GZIP else "zstd"
        self._file = gzip.GzipFile(fileobj=file) if self._kind == "gzip" else pa.CompressedInputStream(file, "zstd")

    def read(self, size: int = PART) -> bytes:
        try:
            content = bytes(self._file.read(size))
        except EOFError as error:
            raise self._cut_off() from error
        except (OSError, zlib.error) as error:
            if "runcated" in str(error):
                raise self._cut_off() from error
            raise Unreadable("BAD_FORMAT", f"the {self._kind} data is damaged: {error}") from error
        self._read += len(content)
        self._limits.check_bytes(self._read)
        return content

    def _cut_off(self) -> Unreadable:
        return Unreadable("TRUNCATED", f"the {self._kind} file ends before its data does", fix="Send the whole file.")

    def __enter__(self) -> _Unpacked:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._raw.close()


@contextmanager
def as_whole(file: BinaryIO) -> Iterator[BinaryIO]:
    """Give a file that is read from any place: itself, or what it unpacks to."""
    if not isinstance(file, _Unpacked):
        yield file
        return
    with TemporaryFile() as whole:
        while part := file.read(PART):
            whole.write(part)
        yield whole


def read_text(source: Source, encoding: str) -> tuple[str, Iterator[bytes]]:
    """Read text in UTF-8, without a byte order mark, each line ending in one newline; and say how it was encoded.

    Each part ends where a line does. encoding: what it is where it is neither UTF-8 nor UTF-16 with its mark. The parts
    raise Unreadable.
    """
    if _start_of(source)[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        encoding = "utf-16"
    elif _is_utf8(encoding) or _holds_utf8(source):
        encoding = "utf-8"
    return encoding, _checked(_lines(_decoded(source, encoding)))


def _decoded(source: Source, encoding: str) -> Iterator[bytes]:
    """Give the bytes of the file in UTF-8, PART at a time."""
    decoder = None if encoding == "utf-8" else codecs.getincrementaldecoder(encoding)()
    newlines = 0
    with source() as file:
        while True:
            part = file.read(PART)
            if decoder is None:
                if not part:
                    return
                yield part
                continue
            try:
                text = decoder.decode(part, final=not part)
            except UnicodeError as error:
                line = newlines + part[: getattr(error, "start", 0)].count(b"\n") + 1
                message = f"line {line} is not {encoding}, as the contract says that the file is"
                fix = "Correct read.encoding in the contract, or save the file as UTF-8."
                raise Unreadable("ENCODING", message, line=line, fix=fix) from error
            newlines += text.count("\n")
            yield text.encode("utf-8", "surrogatepass")
            if not part:
                return


def _lines(parts: Iterator[bytes]) -> Iterator[bytes]:
    """Cut text where lines end, with one newline for each end, whatever it was."""
    rest, is_first, lines = b"", True, 0
    for part in parts:
        content = rest + part
        if is_first:
            if len(content) < len(_BOM) and _BOM.startswith(content):
                rest = content
                continue
            while content.startswith(_BOM):  # tools that add one to a file that has one are not rare
                content = content[len(_BOM) :]
            if len(content) < len(_BOM) and _BOM.startswith(content):
                rest = content
                continue
            is_first = False
        held = content[-1:] if content.endswith(b"\r") else b""  # of a pair whose other half may follow
        content = content[: len(content) - len(held)]
        if b"\r" in content:
            content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        end = content.rfind(b"\n") + 1
        if end:
            lines += content.count(b"\n")
            yield content[:end]
        rest = content[end:] + held
        if len(rest) > LONGEST_LINE:
            raise_long_field(lines + 1)
    if rest.endswith(b"\r"):
        rest = rest[:-1] + b"\n"
    if rest and rest != _BOM:
        yield rest


def _checked(parts: Iterator[bytes]) -> Iterator[bytes]:
    """Pass text on. Raises Unreadable where it is none, with the line."""
    lines = 0
    for place, part in enumerate(parts):
        if not place and _looks_like_utf16(part):
            raise Unreadable("ENCODING", "the file is not UTF-8; it looks like UTF-16", fix=_SAVE_AS_UTF8)
        if (nul := part.find(0)) >= 0:
            line = lines + line_of(part, nul)
            raise Unreadable(
                "ENCODING", f"line {line} holds a NUL byte", line=line, fix="Remove it and send the file again."
            )
        try:
            check_utf8(part)
        except UnicodeDecodeError as error:
            line = lines + line_of(part, error.start)
            if error.reason == "unexpected end of data":
                message = f"line {line}, the last, is cut off"
                raise Unreadable("TRUNCATED", message, line=line, fix="Send the whole file.") from error
            message = f"line {line} is not UTF-8; it looks like Latin-1 or Windows-1252"
            raise Unreadable("ENCODING", message, line=line, fix=_SAVE_AS_UTF8) from error
        yield part
        lines += part.count(b"\n")


def _looks_like_utf16(content: bytes) -> bool:
    sample = content[:2000]
    return sample[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) or any(
        sample[side::2].count(0) > len(sample) * 0.3 and sample[1 - side :: 2].count(0) == 0 for side in (0, 1)
    )


def _is_utf8(encoding: str) -> bool:
    return encoding.lower().replace("_", "-") in ("utf-8", "utf8", "utf-8-sig", "ascii")


def _holds_utf8(source: Source) -> bool:
    try:
        for part in _lines(_decoded(source, "utf-8")):
            check_utf8(part)
    except UnicodeDecodeError:
        return False
    return True


def check_utf8(content: bytes) -> None:
    """Raise UnicodeDecodeError where the bytes are no text; without decoding, which can take four times their size."""
    ends = pa.py_buffer(np.array([0, len(content)], dtype=np.int64))
    try:
        pa.LargeStringArray.from_buffers(1, ends, pa.py_buffer(content)).validate(full=True)
    except pa.ArrowInvalid:
        content.decode()


def raise_long_field(line: int) -> NoReturn:
    message = f"the row at line {line} has a field of more than {LONGEST_FIELD:,} characters"
    fix = "Shorten the field; if a quote was left open before it, close it."
    raise Unreadable("FIELD_TOO_LONG", message, line=line, fix=fix)


def line_of(content: bytes, position: int) -> int:
    return content.count(b"\n", 0, position) + 1
