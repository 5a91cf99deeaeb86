"""How is a capture file read? Line by line, and within bounds: what each says is in serin.serving.lines."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator

import msgspec

from serin.errors import Refused, TooLarge
from serin.serving.lines import Capture, Feedback

MAX_BYTES = 128 * 2**20  # unpacked; what delivers captures ends a file long before
MAX_LINE_BYTES = 2**20  # as of an event of CloudWatch Logs

_DECODER = msgspec.json.Decoder(Capture | Feedback)


def read_lines(content: bytes) -> Iterator[Capture | Feedback | None]:
    """Read a gzipped file line by line; None for a line that is neither.

    Raises Refused where the file is no gzip or is cut off, TooLarge where it unpacks to more than `MAX_BYTES`.
    """
    return (_read(line) for line in _lines(content))


def _read(line: bytes) -> Capture | Feedback | None:
    if len(line) > MAX_LINE_BYTES:
        return None
    try:
        captured = _DECODER.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if isinstance(captured, Feedback):
        return captured
    has_scores = captured.answered is not None
    return captured if len(captured.scores) == len(captured.rows) * has_scores else None


def _lines(content: bytes) -> Iterator[bytes]:
    """Give the lines that hold anything; of one that is too long, enough to see that it is."""
    left = MAX_BYTES
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            while piece := file.readline(MAX_LINE_BYTES + 1):
                line = piece
                while True:
                    left -= len(piece)
                    if left < 0:
                        raise TooLarge(f"a capture file unpacks to more than {MAX_BYTES:,} bytes; none of it is used")
                    if piece.endswith(b"\n") or not piece:
                        break
                    piece = file.readline(MAX_LINE_BYTES + 1)
                if line.strip():
                    yield line
    except (OSError, EOFError, zlib.error) as error:
        raise Refused(f"the capture file cannot be unpacked: {error}", code="BAD_FORMAT") from error
