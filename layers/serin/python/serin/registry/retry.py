"""What does a writer do when another was faster? It looks again, a few times, each after a pause drawn at random."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from serin.errors import Conflict, SerinError

Done = TypeVar("Done")

TRIES = 8
FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How a writer waits. draw: gives a number from 0 to 1, at random."""

    sleep: Callable[[float], None]
    draw: Callable[[], float]

    def retry_on_conflict(self, write: Callable[[], Done]) -> Done:
        """Do what may lose a race; each try must read anew. Raises Conflict where the last try lost too."""
        return self.retry_on(Conflict, write)

    def retry_on(self, error: type[SerinError], write: Callable[[], Done]) -> Done:
        """Do it again while it raises this error. Raises the error of the last try.

        The pauses have full jitter, so that those who met once do not meet again.
        Source: Brooker, Exponential Backoff and Jitter (AWS Architecture Blog, 2015).
        """
        for lost in range(TRIES - 1):
            with suppress(error):
                return write()
            self.sleep(self.draw() * min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**lost))
        return write()
