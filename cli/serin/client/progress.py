"""What is waited for, and since when? Said where that changes, and after each while of silence."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable

from serin.release.forecast import in_words

SILENCE_SECONDS = 20.0  # the first; each other one lasts as long as all that was waited before it


class Progress:
    """Tells somebody who waits. say: writes a line. clock: tells seconds."""

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._say, self._clock = say, clock
        self._began, self._due = clock(), SILENCE_SECONDS
        self._last = ""

    def tell(self, what: str, reason: str = "", *, is_news: bool = True) -> None:
        """Say what is waited for, where there is something new to say, or after a silence.

        reason: what it waits for itself, where that is known. is_news: whether another reason is told at once; figures
        alone never are.
        """
        waited, gist = self._clock() - self._began, re.sub(r"\d+", "", reason) if is_news else ""
        is_new = gist != self._last
        if not is_new and waited < self._due:
            return
        self._last, self._due = gist, max(2 * waited, SILENCE_SECONDS)
        since = f" ({in_words(waited)})" if waited >= 1 else ""
        why = reason if is_new else reason.partition("\n")[0]
        self._say(f"waiting for {what}{since}" + (f": {why}" if why else ""))


def teller() -> Callable[[str], None]:
    """Give what progress is told to: lines below the cell of a notebook or on a terminal, else nothing."""
    return _print if sys.stdout.isatty() or _is_in_notebook() else lambda _: None


def _print(line: str) -> None:
    print(line, flush=True)


def _is_in_notebook() -> bool:
    """Tell whether a notebook's kernel runs this: IPython is then loaded already."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")
