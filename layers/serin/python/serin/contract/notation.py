"""How are a model's name, a number and a boolean written? Once, for contracts, tables, requests and keys."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

MODEL_NAME = r"[a-z][a-z0-9_-]{0,62}"
MODEL_NAME_PATTERN = f"^{MODEL_NAME}$"  # as a JSON schema says it
POINTED = re.compile(r"([-+]?[0-9]+)\.0+")  # a whole number as others write it beside missing ones
NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"  # finite; digits are those of ASCII
BOOLEANS = {
    **dict.fromkeys(("true", "t", "yes", "y", "1", "1.0"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0", "0.0"), False),
}
"""What a cell of a table may say, in lower case."""

_MODEL_NAME = re.compile(MODEL_NAME)
_NUMBER = re.compile(NUMBER, re.ASCII)


def is_model_name(text: str) -> bool:
    """Tell whether a model can be called so."""
    return _MODEL_NAME.fullmatch(text) is not None


def unwrap(text: str) -> str:
    """Take a text out of the formula that keeps a spreadsheet from making a number of it: `="02116"` is 02116."""
    return text[2:-1] if text.startswith('="') and text.endswith('"') and len(text) > 2 else text


def tidy(text: str) -> str:
    """Give a text the one form it has everywhere: characters composed (NFC), and a whole number without a point."""
    text = text if text.isascii() else unicodedata.normalize("NFC", text)
    pointed = POINTED.fullmatch(text)
    return pointed[1] if pointed else text


def is_number(text: str) -> bool:
    """Tell whether a text is a finite number in decimal notation, with nothing around it."""
    return _NUMBER.fullmatch(text) is not None


MINUS = str.maketrans(dict.fromkeys("\u2212\u2012\u2013\ufe63\uff0d", "-"))  # as typesetters write it
_SPACES = " \u00a0\u2009\u202f"
_GROUPING = {"": "", ",": ",", ".": r"\.", " ": f"[{_SPACES}]", "'": "['\u2019]"}


@dataclass(frozen=True, slots=True)
class Notation:
    """How a column writes numbers, times, and that nothing is known, where that is not Serin's own way.

    thousands: between groups of digits; a number may be written without. units: what may stand before or behind a
    number, and is left out. accounting: whether `(5)` and `5-` are -5. missing: spellings beside the usual ones, in
    lower case. dates: how times are written, in the terms of strptime; ISO 8601 is read beside it.
    """

    decimal: str = "."
    thousands: str = ""
    units: tuple[str, ...] = ()
    accounting: bool = False
    missing: tuple[str, ...] = ()
    dates: str | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Notation:
        """Build one from JSON; OWN where that says nothing."""
        lists = {key: tuple(data[key]) for key in ("units", "missing") if key in data}
        return cls(**{**data, **lists}) if data else OWN

    @property
    def has_own_numbers(self) -> bool:
        """Tell whether numbers need more than Serin's own way of reading them."""
        return bool(self.decimal != "." or self.thousands or self.units or self.accounting)

    @property
    def group(self) -> str:
        """A pattern of what stands between groups of digits."""
        return _GROUPING[self.thousands]

    @property
    def number(self) -> str:
        """A pattern of numbers without sign brackets and units, for RE2 as for Python."""
        group, point = self.group, re.escape(self.decimal)
        grouped = rf"|[1-9][0-9]{{0,2}}(?:{group}[0-9]{{2,3}})*{group}[0-9]{{3}}" if group else ""
        return rf"[-+]?(?:(?:[0-9]+{grouped})(?:{point}[0-9]*)?|{point}[0-9]+)(?:[eE][-+]?[0-9]+)?"

    @property
    def rewritings(self) -> tuple[tuple[str, str], ...]:
        """Patterns and what they become, one after the other, until a number of this notation is left."""
        units = "|".join(map(re.escape, sorted(self.units, key=len, reverse=True)))
        space = f"[{_SPACES}]*"
        return (
            *([(r"^\(([^-+()]*)\)$", r"-\1"), (r"^([^-+()]+)-$", r"-\1")] if self.accounting else []),
            *([(rf"^([-+]?){space}(?:{units}){space}([-+]?)", r"\1\2")] if units else []),
            *([(rf"{space}(?:{units})$", "")] if units else []),
        )

    def plain(self, text: str) -> str | None:
        """Rewrite a number as Serin's own notation has it; None where the text is none. text: without spaces around."""
        text = text.translate(MINUS)
        if not self.has_own_numbers:
            return text if is_number(text) else None
        rewritings, number = _patterns(self)
        for pattern, replacement in rewritings:
            text = pattern.sub(replacement, text)
        if number.fullmatch(text) is None:
            return None
        if self.thousands:
            text = re.sub(self.group, "", text)
        return text.replace(self.decimal, ".")

    def read_number(self, text: str) -> float | None:
        """Read a number to the nearest double; None where the text is none. text: without spaces around."""
        plain = self.plain(text)
        return None if plain is None else float(plain)

    def is_missing(self, text: str, usual: Collection[str]) -> bool:
        """Tell whether a text says that nothing is known. text: in lower case, without spaces around."""
        return text in usual or text in self.missing


@lru_cache(maxsize=1024)
def _patterns(notation: Notation) -> tuple[tuple[tuple[re.Pattern[str], str], ...], re.Pattern[str]]:
    """Compile what a notation rewrites, and its numbers: once, and not for every cell."""
    return tuple((re.compile(pattern), text) for pattern, text in notation.rewritings), re.compile(notation.number)


OWN = Notation()
"""How Serin reads where a contract says nothing: 12.5, and ISO 8601."""
