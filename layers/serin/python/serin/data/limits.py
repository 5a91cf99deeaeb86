"""How large may a table be, and what is said of one that cannot be read?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from serin.errors import BadRequest

LONGEST_FIELD = 131_072  # bytes
SEND_A_TABLE = "Send a table as CSV in UTF-8, as JSON Lines, as gzip or zstd of these, or as Parquet."


class Unreadable(BadRequest):
    """When an upload is no table that can be read. `line` is where it shows, counted from 1; `fix` what to do."""

    def __init__(self, code: str, message: str, *, line: int | None = None, fix: str = SEND_A_TABLE) -> None:
        super().__init__(message, code=code)
        self.line = line
        self.fix = fix


@dataclass(frozen=True, slots=True)
class Limits:
    """How large an upload may be.

    max_sent: bytes of the file; max_bytes: of what it unpacks to, and of the text in it.
    """

    max_sent: int = 1 << 30
    max_bytes: int = 8 << 30
    max_rows: int = 50_000_000
    max_columns: int = 1_000
    max_cells: int = 1_000_000_000

    def check(self, *, rows: int, columns: int) -> None:
        """Raise Unreadable where a table is larger than allowed. rows: also those in which nothing is written."""
        if columns > self.max_columns:
            fix = "Leave out the columns that are not needed."
            raise Unreadable(
                "TOO_LARGE", f"the table has {columns:,} columns; {self.max_columns:,} are allowed", fix=fix
            )
        if rows > self.max_rows:
            self.refuse(f"the table has {rows:,} rows; {self.max_rows:,} are allowed")
        if rows * columns > self.max_cells:
            self.refuse(f"the table has {rows * columns:,} cells; {self.max_cells:,} are allowed")

    def check_bytes(self, size: int) -> None:
        """Raise Unreadable where a table holds more bytes than allowed."""
        if size > self.max_bytes:
            self.refuse(f"the table is larger than {self.max_bytes:,} bytes")

    def refuse(self, message: str) -> NoReturn:
        raise Unreadable("TOO_LARGE", message, fix="Send it in several smaller uploads.")


DEFAULT_LIMITS = Limits()
