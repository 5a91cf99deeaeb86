"""How is something shown? Tables and colour on a terminal, plain text when piped, one JSON document when asked."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

STYLES = {
    "accepted": "green",
    "passed": "green",
    "promoted": "green",
    "yes": "green",
    "registered": "green",
    "duplicate": "yellow",
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

    def say(self, text: str = "", *, style: str = "") -> None:
        """Write a line for people."""
        if self.as_json:
            return
        if self.is_terminal:
            self.console.print(escape(text), style=style or None)
        else:
            print(text, flush=True)

    def heading(self, text: str) -> None:
        self.say()
        self.say(text, style="bold cyan")

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Write a table. Numbers in a column line up at the right."""
        if self.as_json:
            return
        cells = [[_cell(value) for value in row] for row in rows]
        right = [_is_numeric(row[index] for row in cells) for index in range(len(columns))]
        if self.is_terminal:
            self._rich_table(columns, cells, right)
        else:
            self._plain_table(columns, cells, right)

    def facts(self, facts: Iterable[tuple[str, object]]) -> None:
        """Write names and values, one a line."""
        pairs = [(name, _cell(value)) for name, value in facts]
        width = max((len(name) for name, _ in pairs), default=0)
        for name, value in pairs:
            self.say(f"  {name:<{width}}  {value}")

    def document(self, value: Any) -> None:
        """Write the one JSON document, where JSON was asked for."""
        if self.as_json:
            print(json.dumps(value, indent=2, ensure_ascii=False, default=str), flush=True)

    def waiting(self, text: str) -> AbstractContextManager[Any]:
        """Show that something is under way, on a terminal."""
        return self.console.status(text) if self.is_terminal else nullcontext()

    def _rich_table(self, columns: Sequence[str], cells: Sequence[Sequence[str]], right: Sequence[bool]) -> None:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        for name, is_right in zip(columns, right, strict=True):
            table.add_column(name, justify="right" if is_right else "left", overflow="fold")
        for row in cells:
            table.add_row(*(_styled(value) for value in row))
        self.console.print(Padding(table, (0, 0, 0, 2)), soft_wrap=False)

    def _plain_table(self, columns: Sequence[str], cells: Sequence[Sequence[str]], right: Sequence[bool]) -> None:
        widths = [max(len(row[index]) for row in [columns, *cells]) for index in range(len(columns))]
        for row in [columns, *cells]:
            parts = (
                value.rjust(width) if is_right else value.ljust(width)
                for value, width, is_right in zip(row, widths, right, strict=True)
            )
            print(("  " + "  ".join(parts)).rstrip(), flush=True)


def complain(message: str) -> None:
    """Write what went wrong to stderr."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if console.is_terminal:
        console.print(f"[bold red]error[/] {escape(message)}")
    else:
        print(f"error: {message}", file=sys.stderr, flush=True)


def moment(iso: str | None) -> str:
    """Shorten an ISO time to seconds."""
    return iso[:19].replace("T", " ") if iso else "-"


def short(digest: str | None) -> str:
    """Shorten a digest to what one compares by eye."""
    return digest[:12] if digest else "-"


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
    return bool(texts) and all(cell.replace(",", "").replace(".", "").replace("-", "").isdigit() for cell in texts)


def _styled(value: str) -> str:
    style = STYLES.get(value)
    return f"[{style}]{escape(value)}[/]" if style else escape(value)
