"""What is waited for, and since when? Said where that changes, and after each while of silence."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from serin.release.forecast import in_words

SILENCE_SECONDS = 20.0  # the first; each other one lasts as long as all that was waited before it


class Progress:
    """Tells somebody who waits. say: writes a line. clock: tells seconds."""

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._say, self._clock = say, clock
        self._began, self._due = clock(), SILENCE_SECONDS
        self._told = ""

    def tell(self, what: str, reason: str = "", *, is_news: bool = True) -> None:
        """Say what is waited for, where there is something new to say, or after a silence.

        reason: what it waits for itself, where that is known. is_news: whether another reason is told at once; figures
        alone never are.
        """
        waited, gist = self._clock() - self._began, re.sub(r"\d+", "", reason) if is_news else ""
        is_new = gist != self._told
        if not is_new and waited < self._due:
            return
        self._told, self._due = gist, max(2 * waited, SILENCE_SECONDS)
        since = f" ({in_words(waited)})" if waited >= 1 else ""
        why = reason if is_new else reason.partition("\n")[0]
        self._say(f"waiting for {what}{since}" + (f": {why}" if why else ""))
