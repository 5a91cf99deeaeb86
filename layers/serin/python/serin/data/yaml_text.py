"""How is text written into a contract, so that YAML reads it as that text?"""

from __future__ import annotations

import json
import re

from serin.data.cells import MISSING


def on_one_line(text: object) -> str:
    """Give text on one line, without what would end a comment."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in str(text)).split())


_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_ ()./+<>=-]*")


_RESERVED = {"true", "false", "yes", "no", "on", "off", "y", "n"} | MISSING


def as_yaml(text: str) -> str:
    """Write text as a YAML scalar that is read as text, in a flow or block: quoted where it must be."""
    if _WORD.fullmatch(text) and text == text.strip() and text.lower() not in _RESERVED:
        return text
    return json.dumps(text, ensure_ascii=not text.isprintable())
