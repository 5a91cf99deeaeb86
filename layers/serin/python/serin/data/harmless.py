"""How is a cell of a table for people written, so that no spreadsheet runs it?"""

from __future__ import annotations

import re
from typing import Any

_RUNS = re.compile(r"[=+\-@\t\r\n＝＋－＠]")
_NUMBER = re.compile(r"[-+]?[\d.,' ]*\d[\d.,]*(?:[eE][-+]?\d+)?\s*%?|[-+]", re.ASCII)


def harmless(cell: Any) -> Any:
    """Put an apostrophe before text that a spreadsheet would take for a formula; all else stays as it is.

    Numbers do, also as text, and a sign alone. Doing it again changes nothing.
    Source: OWASP, CSV Injection.
    """
    if isinstance(cell, str) and _RUNS.match(cell) and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell
