"""What is said of a table or of some of its rows: what is wrong, where, and what to do?"""

from __future__ import annotations

import difflib
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

from serin.contract.notation import is_number

ROWS_NAMED = 20


@dataclass(frozen=True, slots=True)
class Reason:
    """One finding: what is wrong, where, and what to do. rows: the first lines or rows it is in, of `count` in all."""

    code: str
    message: str
    fix: str
    column: str | None = None
    rows: tuple[int, ...] = ()
    count: int = 0

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "rows": list(self.rows)}


def nearest(name: str, names: list[str]) -> str | None:
    """Find the name most like another, whatever the case of its letters; None where none is."""
    folded = {other.casefold(): other for other in names}
    near = difflib.get_close_matches(name.casefold(), folded, n=1)
    return folded[near[0]] if near else None


def name_spellings(values: list[str], known: Collection[str]) -> str:
    """Name the first of some categories, each with the known one that it may be meant to be."""
    spelled = [
        f"{value!r}" + (f" (near to {near!r})" if (near := nearest_spelling(value, known)) else "")
        for value in values[:5]
    ]
    return "; ".join(spelled) + (f"; and {len(values) - 5:,} more" if len(values) > 5 else "")


def nearest_spelling(value: str, known: Collection[str]) -> str | None:
    """Find the category that one may be meant to be. Of numbers, 10 is not near to 1, but 1.0 is."""
    if not is_number(value):
        return nearest(value, list(known))
    return next((other for other in known if is_number(other) and float(other) == float(value)), None)
