"""Who is told what a person must see? A function that takes the metric, the code and the reason."""

from __future__ import annotations

from collections.abc import Callable

Report = Callable[[str, str, str], None]


def say_nothing(metric: str, code: str, reason: str) -> None:
    """Report to nobody."""
