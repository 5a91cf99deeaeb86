"""What is kept of a prediction? One line of JSON: what was asked and answered, by which arm, and what went wrong.

Writing it must cost the answer little and must never cost it everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress

import msgspec

from serin.errors import Unavailable, loggable
from serin.serving.answer import Answered
from serin.serving.lines import Capture
from serin.serving.report import Report
from serin.serving.rows.mask import short_hash

# Lambda is said to divide what a function prints at 64 KiB, and neither part would be a line of JSON.
MAX_LINE_BYTES = 60_000


class Recorder:
    """Writes a line for each answer. write: takes it, with its newline. wall_clock: seconds since 1970.

    lost: how many predictions of this process have no line, or one without the rows, for not even one would fit.
    """

    def __init__(self, write: Callable[[bytes], object], *, wall_clock: Callable[[], float], report: Report) -> None:
        self.lost = 0
        self._write = write
        self._wall_clock = wall_clock
        self._report = report
        # A value left out, and one that is missing, are null.
        self._encode = msgspec.json.Encoder(enc_hook=lambda _: None).encode

    def record(self, model: str, answered: Answered, *, seconds: float, is_cold: bool) -> None:
        """Write what was answered, where its entity is in the share that is kept. Never raises."""
        try:
            unit = short_hash(f"{model}\0{answered.entity or answered.id}")
            share = answered.serving.share
            if share < 1 and int(unit, 16) >= share * 2**64:
                return
            self._write(self._line(model, answered, unit, seconds, is_cold))
        except Exception as error:  # whatever it is, the prediction is made, and its answer must arrive
            self._lose(type(error).__name__, loggable(error))

    def keep(self, lines: Iterable[bytes]) -> None:
        """Write lines that somebody waits for. Raises Unavailable where one cannot be written."""
        try:
            for line in lines:
                self._write(line)
        except OSError as error:
            raise Unavailable("it could not all be kept; send it again: what comes twice counts once") from error

    def _lose(self, code: str, reason: str) -> None:
        self.lost += 1
        with suppress(Exception):
            self._report("CaptureLost", code, f"{self.lost} captures were lost so far: {reason}")

    def _line(self, model: str, answered: Answered, unit: str, seconds: float, is_cold: bool) -> bytes:
        is_answered = not answered.failure
        rows = answered.model.mask.rows(answered.encoded.sent) if is_answered else []
        line = Capture(
            1,
            answered.id,
            int(self._wall_clock() * 1000),
            model,
            answered.assigned,
            answered.version if is_answered else None,
            answered.arm,
            answered.serving.release,
            unit,
            answered.entity is not None,
            int(seconds * 1e6) / 1000,
            is_cold,
            answered.fault,
            answered.unsure,
            len(answered.encoded),
            rows,
            answered.scores[: len(rows)].tolist(),
        )
        encoded = self._encode(line)
        while len(encoded) >= MAX_LINE_BYTES and line.rows:
            fitting = len(line.rows) * MAX_LINE_BYTES // (len(encoded) + 1)
            line = msgspec.structs.replace(line, rows=line.rows[:fitting], scores=line.scores[:fitting])
            encoded = self._encode(line)
        if rows and not line.rows:
            self._lose("TOO_LONG", f"the first row of {answered.id} takes more than {MAX_LINE_BYTES:,} bytes")
        return encoded + b"\n"
