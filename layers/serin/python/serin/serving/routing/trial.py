"""What does this process know of a challenger on trial? Whether it is still asked, and what it did wrong.

A challenger that fails is no failed request: the champion answers in its place. After three failures in a row this
process stops asking it, and the entities that it would have answered go on counting against it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from serin.registry.records import Challenger
from serin.serving.lines import Fault
from serin.serving.routing.split_and_lease import Split, read_lease
from serin.serving.runtime.model import LoadedModel

MOST_FAILURES = 3
# Measured after the call, in which nothing else can run. Whether it is merely slow is for the release to judge.
DEADLINE_SECONDS = 0.25


@dataclass(slots=True)
class Trial(Split):
    """The challenger of a route as this process knows it, behind a circuit breaker.

    model: None where it could not be loaded. reads_alike: it takes rows encoded for the champion.
    fault, reason: what it did wrong last. consecutive_failures: how often in a row.
    retry_at: where its files were out of reach, when to look for them again, by the process's clock.
    """

    model: LoadedModel | None = None
    reads_alike: bool = False
    fault: Fault | None = None
    reason: str = ""
    consecutive_failures: int = 0
    retry_at: float | None = None

    @classmethod
    def begin(cls, challenger: Challenger, salt: str, before: Trial | None) -> Trial:
        """Begin with a challenger, or go on with the one before where it is the same under another weight."""
        trial = cls(challenger, salt, read_lease(challenger.lease_until))
        if before is not None and _identity(before.challenger) == _identity(challenger):
            trial.fault, trial.reason, trial.retry_at = before.fault, before.reason, before.retry_at
            trial.consecutive_failures = before.consecutive_failures
        return trial

    def is_due(self, now: float) -> bool:
        """Tell whether its files are to be looked for. now: by the process's clock."""
        return self.retry_at is None or now >= self.retry_at

    @property
    def is_open(self) -> bool:
        """Whether the circuit is open: it failed too often in a row to be asked again."""
        return self.consecutive_failures >= MOST_FAILURES

    def note(self, fault: Fault, reason: str) -> None:
        """Remember what it did wrong."""
        self.fault, self.reason, self.consecutive_failures = fault, reason, self.consecutive_failures + 1


def _identity(challenger: Challenger) -> tuple[Any, ...]:
    return challenger.version, challenger.files, challenger.release
