"""Who asks while a release is on trial? Threads that send rows at a steady rate, and count what came back."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle
from typing import Any
from uuid import uuid4

from serin.client.environment import EnvironmentClient

THREADS = 4
TOLD_AT_ONCE = 10
KEPT_MESSAGES = 5

Row = Mapping[str, Any]


def ever_new(rows: Sequence[Row], entity: str | None) -> Iterator[Row]:
    """Give rows again and again without end, each time as another entity's where the model has entities."""
    for row in cycle(rows):
        yield {**row, entity: uuid4().hex} if entity else row


class Traffic:
    """Asks a model for one row after the other for as long as its block lasts; while there are none, for nothing.

    target: the column of a row that is the truth, which is not sent along; it follows as feedback, some at a time.
    per_second: fewer where the endpoint takes longer. failed: requests, also with feedback; messages: what the first of
    them said. answered: how many answers each version gave; last_answer: when it gave the last, in seconds since 1970.
    """

    def __init__(
        self,
        environment: EnvironmentClient,
        model: str,
        rows: Iterator[Row],
        *,
        target: str = "",
        per_second: float = 30.0,
    ) -> None:
        self.environment, self.model, self.target = environment, model, target
        self.asked, self.failed = 0, 0
        self.answered: Counter[int] = Counter()
        self.last_answer: dict[int, float] = {}
        self.messages: list[str] = []
        self._rows = rows
        self._truths: list[dict[str, Any]] = []
        self._seconds_between, self._next = 1 / per_second, time.monotonic()
        self._is_over, self._lock = threading.Event(), threading.Lock()
        self._threads = [threading.Thread(target=self._ask_on, daemon=True) for _ in range(THREADS)]

    def __enter__(self) -> Traffic:
        assert self.environment.api_key  # read here, for a session makes no clients in several threads at once
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def ask(self, rows: Iterator[Row]) -> None:
        """Ask for other rows from now on."""
        with self._lock:
            self._rows = rows

    def _ask_on(self) -> None:
        while not self._is_over.wait(self._turn()):
            with self._lock:
                row = next(self._rows, None)
                self.asked += row is not None
            if row is not None:
                self._ask(row)

    def _turn(self) -> float:
        """Take the next place in the row of requests, and say how long it is until then."""
        with self._lock:
            now = time.monotonic()
            self._next = max(self._next + self._seconds_between, now)
            return self._next - now

    def _ask(self, row: Row) -> None:
        sent = {name: value for name, value in row.items() if name != self.target}
        try:
            answer = self.environment.call("POST", f"/models/{self.model}/predict", {"rows": [sent]})
            if truths := self._note(answer, row.get(self.target)):
                self.environment.call("POST", f"/models/{self.model}/feedback", {"feedback": truths})
        except Exception as error:  # whatever it is, somebody got no answer
            with self._lock:
                self.failed += 1
                self.messages = [*self.messages, str(error)][:KEPT_MESSAGES]

    def _note(self, answer: Mapping[str, Any], truth: Any) -> list[dict[str, Any]]:
        """Count an answer, and give the feedback that is to be sent now."""
        with self._lock:
            self.answered[answer["version"]] += 1
            self.last_answer[answer["version"]] = time.time()
            if truth is not None:
                self._truths.append({"id": answer["id"], "truth": truth})
            if len(self._truths) < TOLD_AT_ONCE:
                return []
            due, self._truths = self._truths, []
            return due
