"""What does a capture file say? One line for each request that was answered, and for each truth that came back.

Both are read strictly and within bounds.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from serin.contract.notation import MODEL_NAME_PATTERN
from serin.errors import Refused, TooLarge

MAX_BYTES = 128 * 2**20  # unpacked; what delivers captures ends a file long before
MAX_LINE_BYTES = 2**20  # as of an event of CloudWatch Logs

Value = int | float | str | bool | None


class Capture(msgspec.Struct, frozen=True, tag_field="serin", tag="capture"):
    """One request that was not refused.

    at: milliseconds since 1970. version: the one that was to answer; answered: the one that did, None where nobody
    could. arm: `direct` is no evidence. release: where the route has a challenger. unit: the hash of the entity, or of
    the prediction's id. ms: inside the endpoint; cold: with the load of a model or a process. fault: what `version`
    did wrong. unsure: rows for a person to decide. n: rows asked, of which `rows` and `scores` may hold fewer; both in
    the order of features and classes that `laid_out_by` has.
    """

    v: Literal[1]
    id: Annotated[str, Meta(min_length=1, max_length=100)]
    at: Annotated[int, Meta(ge=0, lt=10**14)]
    model: Annotated[str, Meta(pattern=MODEL_NAME_PATTERN)]
    version: Annotated[int, Meta(ge=1)]
    answered: Annotated[int, Meta(ge=1)] | None
    arm: Literal["champion", "challenger", "direct"]
    release: Annotated[str, Meta(min_length=1, max_length=100)] | None
    unit: Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]
    ms: Annotated[float, Meta(ge=0)]
    cold: bool
    fault: Literal["raised", "not_a_number", "late"] | None
    unsure: Annotated[int, Meta(ge=0)]
    n: Annotated[int, Meta(ge=1)]
    rows: list[list[Value]]
    scores: list[list[float | None]]

    @property
    def is_error(self) -> bool:
        """Tell whether the version that was to answer failed, be it that another one answered in its place."""
        return self.fault is not None or self.answered is None

    @property
    def laid_out_by(self) -> int:
        """The version in whose features' and classes' order rows and scores stand."""
        return self.answered or self.version


class Feedback(msgspec.Struct, frozen=True, tag_field="serin", tag="feedback"):
    """What turned out of one row of a prediction. at: when it was received, in milliseconds since 1970."""

    v: Literal[1]
    at: Annotated[int, Meta(ge=0, lt=10**14)]
    model: Annotated[str, Meta(pattern=MODEL_NAME_PATTERN)]
    id: Annotated[str, Meta(pattern="^[0-9A-Za-z]{1,32}$")]
    row: Annotated[int, Meta(ge=0, lt=1000)]
    truth: int | float | str | bool


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
        said = _DECODER.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if isinstance(said, Feedback):
        return said
    has_scores = said.answered is not None
    return said if len(said.scores) == len(said.rows) * has_scores else None


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
