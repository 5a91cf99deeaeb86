"""How is something shown? Tables and colour on a terminal, plain text when piped, one JSON document when asked.

No line is wider than 80 columns, or than COLUMNS where that is set: sentences wrap, and so do the cells of a table. A
word of a sentence that is longer, such as a path, stays in one piece, so that it can be copied.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import zip_longest
from textwrap import TextWrapper
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

WIDTH = 80
GAP = 2  # between the columns of a table
LEAST = 20  # a column that is folded stays at least so wide
BESIDE = 44  # a table's last column goes below its rows where less would be left for it

STYLES = {
    "accepted": "green",
    "passed": "green",
    "promoted": "green",
    "champion": "green",
    "yes": "green",
    "registered": "green",
    "duplicate": "yellow",
    "held": "yellow",
    "excluded": "yellow",
    "quarantined": "red",
    "rejected": "red",
    "rolled_back": "red",
    "failed": "red",
    "refused": "red",
    "aborted": "red",
    "halted": "red",
    "live": "cyan",
    "watching": "cyan",
    "queued": "yellow",
    "superseded": "yellow",
    "expired": "yellow",
    "no": "red",
}


class Output:
    """Where a command writes. as_json: nothing but one document goes to stdout, the rest is left out."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self.console = Console(highlight=False, soft_wrap=True)
        self.is_terminal = self.console.is_terminal and not as_json
        self.width = line_width()

    def say(self, text: str = "", *, style: str = "") -> None:
        """Write a sentence for people. What wraps goes on a little to the right of its beginning."""
        for line in wrap(text, self.width):
            self._write((line, style))

    def raw(self, text: str) -> None:
        """Write a line for another program as it is."""
        if not self.as_json:
            print(text, flush=True)

    def heading(self, text: str) -> None:
        self.say()
        self.say(text, style="bold cyan")

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]], *, is_folded: bool = False) -> None:
        """Write a table; nothing where it has no rows. Numbers in a column line up at the right.

        One that is too wide has its last column below each row, or where it is_folded, or still too wide, its widest
        columns are folded; where they get too narrow, each row becomes names and values.
        """
        cells = [[_cell(value) for value in row] for row in rows]
        if not cells:
            return
        layout = _Layout.of(columns, cells, self.width - GAP, is_folded)
        if layout is None:
            for place, row in enumerate(cells):
                if place:
                    self.say()
                self.facts(zip(columns, row, strict=True))
            return
        for parts in layout.beside(columns, self.console):
            self._write(*((part, "dim") for part in parts))
        for row in cells:
            for parts in layout.beside(row, self.console):
                self._write(*zip(parts, (STYLES.get(cell, "") for cell in row), strict=False))
            if layout.has_below:
                for line in _fold(row[-1], self.width - 2 * GAP, self.console):
                    self._write((" " * 2 * GAP + line, ""))

    def facts(self, facts: Iterable[tuple[str, object]]) -> None:
        """Write names and values, one a line."""
        pairs = [(name, _cell(value)) for name, value in facts]
        width = max((len(name) for name, _ in pairs), default=0)
        for name, value in pairs:
            lines = wrap(value, self.width - width - 2 * GAP, hang=0)
            for label, line in zip_longest([name], lines, fillvalue=""):
                self._write((f"  {label:<{width}}  {line}", ""))

    def document(self, value: Any) -> None:
        """Write the one JSON document, where JSON was asked for."""
        if self.as_json:
            print(json.dumps(value, indent=2, ensure_ascii=False, default=str), flush=True)

    def waiting(self, text: str) -> AbstractContextManager[Any]:
        """Show that something is under way, on a terminal."""
        return self.console.status(text) if self.is_terminal else nullcontext()

    def _write(self, *parts: tuple[str, str]) -> None:
        """Write a line of texts with their styles."""
        if self.as_json:
            return
        if self.is_terminal:
            line = Text.assemble(*parts)
            line.rstrip()
            self.console.print(line)
        else:
            print("".join(text for text, _ in parts).rstrip(), flush=True)


@dataclass(frozen=True, slots=True)
class _Layout:
    """How the columns of a table share a line. has_below: the last one has no place in it, and goes below."""

    widths: Sequence[int]
    is_right: Sequence[bool]
    has_below: bool

    @classmethod
    def of(cls, columns: Sequence[str], cells: Sequence[Sequence[str]], room: int, is_folded: bool) -> _Layout | None:
        """Fit a table into so many columns of a line; None where they are too few."""
        widths = [max(cell_len(row[place]) for row in [columns, *cells]) for place in range(len(columns))]
        is_right = [_is_numeric(row[place] for row in cells) for place in range(len(columns))]
        *others, last = widths
        left = room - sum(others) - GAP * len(others)
        has_below = not is_folded and last > LEAST and left < min(last, BESIDE)
        shown = others if has_below else widths
        while sum(shown) + GAP * (len(shown) - 1) > room:
            widest = max(shown)
            if widest <= LEAST:
                return None
            shown[shown.index(widest)] -= 1
        return cls(shown, is_right, has_below)

    def beside(self, row: Sequence[str], console: Console) -> Iterator[list[str]]:
        """Give the lines of what of a row stands side by side, in pieces: one a column."""
        columns = [*zip(row, self.widths, self.is_right, strict=False)]  # those for which there is a width
        pieces = [_fold(cell, width, console) for cell, width, _ in columns]
        for parts in zip_longest(*pieces, fillvalue=""):
            yield [
                " " * GAP + _pad(part, width, is_right)
                for part, (_, width, is_right) in zip(parts, columns, strict=True)
            ]


def complain(message: str) -> None:
    """Write what went wrong to stderr."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    for place, line in enumerate(wrap(f"error: {message}", line_width())):
        if console.is_terminal:
            console.print(Text.assemble(("error:", "bold red"), line.removeprefix("error:")) if not place else line)
        else:
            print(line, file=sys.stderr, flush=True)


def line_width() -> int:
    """How wide a line may be."""
    columns = shutil.get_terminal_size((WIDTH, 24)).columns
    return columns if os.environ.get("COLUMNS") else min(columns, WIDTH)


def wrap(text: str, width: int, *, hang: int = 2) -> list[str]:
    """Wrap each line of a text at spaces. hang: how much further right than its beginning it goes on."""
    lines = []
    for line in text.split("\n"):
        body = line.lstrip(" ")
        indent = " " * (len(line) - len(body))
        wrapper = TextWrapper(
            width,
            initial_indent=indent,
            subsequent_indent=indent + " " * hang,
            break_long_words=False,
            break_on_hyphens=False,
        )
        lines += wrapper.wrap(body) or [""]
    return lines


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.4f}" if abs(value) < 1000 else f"{value:,.1f}"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value)


def _is_numeric(cells: Iterable[str]) -> bool:
    texts = [cell for cell in cells if cell != "-"]
    return bool(texts) and all(re.fullmatch(r"-?\d[\d,]*(\.\d+)?", cell) for cell in texts)


def _fold(cell: str, width: int, console: Console) -> list[str]:
    """Wrap a cell, within a word where that is wider."""
    return [line.plain.rstrip() for line in Text(cell).wrap(console, width)]


def _pad(text: str, width: int, is_right: bool) -> str:
    gap = " " * (width - cell_len(text))
    return gap + text if is_right else text + gap
