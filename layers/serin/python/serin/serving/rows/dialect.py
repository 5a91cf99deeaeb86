"""How is a CSV written? What separates its cells, what escapes a quote, and which lines above the names are no rows.

Told from the first lines, and never guessed at further down: a table is one dialect.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

SAMPLE = 1 << 16  # bytes that are looked at
LINES = 100
SEPARATORS = (b",", b";", b"\t", b"|")
_QUOTED = re.compile(rb'(?<![^,;\t|\n ])"((?:[^"\\]|\\.|"")*)"', re.DOTALL)
_SEPARATOR_LINE = re.compile(rb'"?sep=([,;:|\t^~])"?\s*', re.IGNORECASE)  # as Excel writes and reads it


@dataclass(frozen=True, slots=True)
class Dialect:
    """separator: one character. above: what stands above the names; lines, start: of how many lines and bytes it is."""

    separator: str
    above: tuple[str, ...] = ()
    lines: int = 0
    start: int = 0
    escape: str | None = None

    def reader(self, lines: Iterable[str], *, strict: bool = False) -> Any:
        """Give the csv module's reader of rows. It raises csv.Error where one is none."""
        return csv.reader(
            lines,
            delimiter=self.separator,
            escapechar=self.escape,
            doublequote=self.escape is None,
            skipinitialspace=True,
            strict=strict,
        )


def tell_dialect(text: bytes) -> Dialect:
    """Tell how a text in UTF-8, whose lines end in newlines, is written."""
    sample = text[:SAMPLE]
    lines = _QUOTED.sub(_crossed_out, sample).split(b"\n")[:LINES]
    if len(text) > SAMPLE and len(lines) < LINES:
        lines = lines[:-1] or lines  # the last is cut
    told = _SEPARATOR_LINE.fullmatch(lines[0])
    comments = _count_comments(lines[1:] if told else lines) + bool(told)
    separator = told[1] if told else _separator(lines[comments:])
    if comments > bool(told) and _is_header(lines, comments - 1, separator):
        comments -= 1
    above = comments + _count_titles(lines[comments:], separator)
    start = sum(len(line) + 1 for line in lines[:above])
    texts = (line.decode(errors="replace").strip() for line in sample[:start].split(b"\n"))
    return Dialect(
        separator.decode(),
        tuple(text for text in texts if text.strip(separator.decode())),
        sample.count(b"\n", 0, start),
        start,
        "\\" if b'\\"' in sample and _is_escaped(sample[start:], separator.decode()) else None,
    )


def _crossed_out(quoted: re.Match[bytes]) -> bytes:
    """Keep the length of what stands in quotes, and whether it is anything."""
    return (b"x" if quoted[1] else b'"') * len(quoted[0])


def _count_comments(lines: list[bytes]) -> int:
    """Count the lines at the top that begin with #; none where all do."""
    count = next((place for place, line in enumerate(lines) if not line.startswith(b"#")), 0)
    return count if any(line.strip() for line in lines[count:]) else 0


def _is_header(lines: list[bytes], place: int, separator: bytes) -> bool:
    """Tell whether a line that begins with # holds the names of the columns below it."""
    cells = _count(lines[place], separator)
    return cells > 1 and place + 1 < len(lines) and _count(lines[place + 1], separator) == cells


def _separator(lines: list[bytes]) -> bytes:
    """Choose what stands equally often in the most lines, then the most often; a comma where nothing does.

    It stands in the first line that is written, if that is not a title above a blank one.
    """
    first = next((place for place, line in enumerate(lines) if line.strip()), 0)
    is_title = len(lines) > first + 1 and not lines[first + 1].strip()
    likely = [candidate for candidate in SEPARATORS if is_title or candidate in lines[first]]

    def support(candidate: bytes) -> tuple[int, int]:
        counts = Counter(_count(line, candidate) for line in lines if line.strip())
        cells, times = max(counts.items(), key=lambda pair: (pair[0] > 1, pair[1], pair[0]), default=(1, 0))
        return (times, cells) if cells > 1 else (0, 0)

    return max(likely or SEPARATORS[:1], key=support)


def _count(line: bytes, separator: bytes) -> int:
    return line.count(separator) + 1


def _count_titles(lines: list[bytes], separator: bytes) -> int:
    """Count the lines at the top in which one cell is written, or none, where those below have several.

    In a table of two columns a line counts only where it has no separator, for the names of one may lack, and stands
    above a blank one.
    """
    counts = Counter(_count(line, separator) for line in lines if line.strip(separator + b" "))
    width = max(counts, key=lambda cells: (counts[cells], cells), default=1)
    if width < 2:
        return 0
    for place, line in enumerate(lines):
        cells = [cell for cell in line.split(separator) if cell.strip(b' "')]
        is_alone = separator not in line and len(lines) > place + 1 and not lines[place + 1].strip()
        is_title = len(cells) <= 1 and (width > 2 or is_alone) and not line.startswith(separator)
        if cells and not is_title:
            return place
    return 0


def _is_escaped(text: bytes, separator: str) -> bool:
    """Tell whether rows are of one width only where a backslash before a quote takes it as it is."""

    def widths(escape: str | None) -> set[int]:
        lines = text.decode(errors="replace").splitlines(keepends=True)[:LINES]
        rows = csv.reader(lines[:-1] or lines, delimiter=separator, escapechar=escape, doublequote=escape is None)
        try:
            return {len(row) for row in rows if row}
        except csv.Error:
            return set()

    return len(widths("\\")) == 1 and len(widths(None)) != 1
