"""Which faults are to happen, so that a test can see what survives them?"""

import threading
from dataclasses import dataclass
from typing import Literal

When = Literal["before", "after"]


@dataclass(slots=True)
class Kill:
    """The death of a function's process at one of its AWS calls.

    call: counted from 1, over the next invocation. when: before the call is carried out, or after it was
    but before its answer. has_fired: whether that invocation got so far.
    """

    function: str
    call: int
    when: When
    has_fired: bool = False
    calls_seen: int = 0

    def is_due(self) -> bool:
        """Count one AWS call, and say whether this is the one."""
        self.calls_seen += 1
        return self.calls_seen == self.call and not self.has_fired


class Faults:
    """The faults that are still to happen."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._armed: dict[str, list[Kill]] = {}
        self._kills: list[Kill] = []
        self._repeated: set[str] = set()

    def arm(self, function: str, *, call: int, when: When) -> int:
        """Have the function's next invocation killed. Returns a number to ask `kill` by."""
        with self._lock:
            kill = Kill(function, call, when)
            self._kills.append(kill)
            self._armed.setdefault(function, []).append(kill)
            return len(self._kills) - 1

    def kill(self, number: int) -> Kill:
        """Look up a kill that was armed."""
        return self._kills[number]

    def take(self, function: str) -> Kill | None:
        """Take the kill that is meant for the invocation that begins now."""
        if not self._armed:
            return None
        with self._lock:
            kills = self._armed.get(function)
            return kills.pop(0) if kills else None

    def repeat(self, function: str) -> None:
        """Have every event to the function delivered once more after it succeeded."""
        self._repeated.add(function)

    def is_repeated(self, function: str) -> bool:
        """Whether events to the function are delivered twice."""
        return function in self._repeated

    def clear(self) -> None:
        """Let no more faults happen."""
        with self._lock:
            self._armed.clear()
            self._repeated.clear()
