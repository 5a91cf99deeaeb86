"""How is something called in a sentence? Times, digests, names and gates, as people read them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from serin.registry.records import Life


def moment(iso: str | None) -> str:
    """Shorten an ISO time to seconds."""
    return iso[:19].replace("T", " ") if iso else "-"


def short(digest: str | None) -> str:
    """Shorten a digest to what one compares by eye."""
    return digest[:12] if digest else "-"


def word_life(model: str, life: Life) -> str:
    """Say that a model is retired or deleted; nothing where it is in use and always was."""
    if life.is_being_deleted:
        return f"{model} is being deleted; where that broke off, end it: serin delete {model}"
    if life.retirement:
        until = life.retirement.until
        ends = f"it answers until {moment(until)} UTC" if until else "it answers until it is deleted"
        return f"{model} is {life.retirement}; {ends}"
    return f"an earlier {model} was {life.deletion}" if life.deletion else ""


def name_some(names: Sequence[str]) -> str:
    """Name five of many, and say how many more there are."""
    return ", ".join(names) if len(names) <= 6 else f"{', '.join(names[:5])} and {len(names) - 5:,} more"


def gate_in_words(text: str) -> str:
    """Name a gate as its contract does, also one of a version from before there was a word for it."""
    margin = re.fullmatch(r"beats\s+champion\s+by\s+-(\S+?)\s*(%?)", text)
    return f"at most {margin[1]}{margin[2]} worse than champion" if margin else text
