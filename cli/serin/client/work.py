"""What becomes of what one asked for? An upload or a training is followed, step by step, to its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol, Self

from serin.aws.cloud import Cloud
from serin.client.follow import Follower, Judged, Skipped, Step, ended_badly, sentence
from serin.client.progress import teller
from serin.registry.records import ModelVersion, Receipt, ReceiptStatus, Release, Run

TIMEOUT_SECONDS = 900.0

Say = Callable[[str], None]


class Place(Protocol):
    """Where the work is done."""

    @property
    def cloud(self) -> Cloud: ...


class Work:
    """Something that was asked for. steps: those that were seen so far, in order; `wait` and `follow` see more."""

    def __init__(self, place: Place, model: str) -> None:
        self.place, self.model = place, model
        self.steps: list[Step] = []

    def follow(
        self, timeout_seconds: float = TIMEOUT_SECONDS, say: Callable[[str], None] | None = None
    ) -> Iterator[Step]:
        """Give each step as it comes, from the first one, until the work has come to rest.

        say: is told what is waited for; where left out, a notebook or a terminal is. Raises Unavailable where a step
        does not come in time: the work goes on, and can be followed again.
        """
        self.steps = []
        for step in self._follow(Follower(self.place.cloud, timeout_seconds, say or teller())):
            self.steps.append(step)
            yield step

    def wait(self, timeout_seconds: float = TIMEOUT_SECONDS, say: Say | None = None) -> Self:
        """Follow it to its end and say each step. Raises as `follow`."""
        say = say or teller()
        for step in self.follow(timeout_seconds, say):
            say(sentence(step))
        return self

    @property
    def is_good(self) -> bool:
        """Tell whether it ended as whoever asked will have wished, as far as it was followed."""
        return bool(self.steps) and not ended_badly(self.steps[-1])

    @property
    def skipped(self) -> str:
        """Why no training followed; empty where one did."""
        return next((step.reason for step in self.steps if isinstance(step, Skipped)), "")

    @property
    def run(self) -> Run | None:
        """The training that followed, as it was last seen."""
        runs = (step.run if isinstance(step, Judged) else step for step in reversed(self.steps))
        return next((run for run in runs if isinstance(run, Run)), None)

    @property
    def version(self) -> ModelVersion | None:
        """The version that came of it, with the evidence of its gates."""
        return next((step.version for step in self.steps if isinstance(step, Judged)), None)

    @property
    def release(self) -> Release | None:
        """The release of that version, as it was last seen."""
        return next((step for step in reversed(self.steps) if isinstance(step, Release)), None)

    def _follow(self, follower: Follower) -> Iterator[Step]:
        raise NotImplementedError

    def _described(self) -> str:
        return "".join(map(sentence, self.steps[-1:])) or "not followed yet; wait() follows it"


class Upload(Work):
    """A table that was sent. key: of the object in the data bucket; object_version: which of its versions."""

    def __init__(self, place: Place, model: str, *, key: str, object_version: str, size: int) -> None:
        super().__init__(place, model)
        self.key, self.object_version, self.size = key, object_version, size

    @property
    def receipt(self) -> Receipt | None:
        """What was decided about the table, and why."""
        return next((step for step in self.steps if isinstance(step, Receipt)), None)

    @property
    def is_good(self) -> bool:
        """Tell whether the table is used, and what followed of it did not end badly."""
        is_used = self.receipt is not None and self.receipt.status in (ReceiptStatus.ACCEPTED, ReceiptStatus.DUPLICATE)
        return is_used and super().is_good

    def _follow(self, follower: Follower) -> Iterator[Step]:
        return follower.upload(self.model, self.key, self.object_version)

    def __repr__(self) -> str:
        return f"<upload of {self.key}: {self._described()}>"


class Training(Work):
    """A training that was asked for by hand. request: the id of the request."""

    def __init__(self, place: Place, model: str, *, request: str) -> None:
        super().__init__(place, model)
        self.request = request

    @property
    def is_good(self) -> bool:
        """Tell whether a version came of it that passed its gates, and whose release did not end badly."""
        return not self.skipped and super().is_good

    def _follow(self, follower: Follower) -> Iterator[Step]:
        return follower.training(self.model, self.request)

    def __repr__(self) -> str:
        return f"<training of {self.model}: {self._described()}>"
