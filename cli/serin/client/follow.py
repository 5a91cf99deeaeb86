"""What becomes of an upload or a training that was asked for? It is followed from row to row until it comes to rest."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from serin.aws.cloud import Cloud
from serin.client.progress import Progress
from serin.client.releases import headline, ways_to_answer
from serin.errors import Unavailable
from serin.registry.ids import receipt_id, release_id
from serin.registry.keys import run_prefix
from serin.registry.receipts import read_receipt
from serin.registry.records import (
    ModelVersion,
    Receipt,
    ReceiptStatus,
    Release,
    ReleaseStatus,
    Run,
    RunStatus,
)


@dataclass(frozen=True, slots=True)
class Skipped:
    """No training follows, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Judged:
    """A run came to its end with a version: its leaderboard and its gates."""

    run: Run
    version: ModelVersion
    training: dict[str, Any]


SHOWN_REASONS = 5
_BAD_ENDS = ("rejected", "held", "failed", "refused", "rolled_back", "expired", "halted", "aborted", "superseded")

Step = Receipt | Skipped | Run | Judged | Release


@dataclass(frozen=True, slots=True)
class Follower:
    """Follows work in one environment, and gives up after `timeout_seconds`. say: is told what is waited for."""

    cloud: Cloud
    timeout_seconds: float
    say: Callable[[str], None] = lambda _: None

    def upload(self, model: str, key: str, version: str) -> Iterator[Step]:
        """Follow an upload to its receipt, and an accepted one on to the champion."""
        name = receipt_id(key, version)
        receipt = self.until(lambda: read_receipt(self.cloud.data, model, name), f"the receipt of {key}")
        yield receipt
        if receipt.status is ReceiptStatus.ACCEPTED:
            yield from self._training(
                model,
                is_mine=lambda run: receipt.dataset in run.datasets,
                is_answered=lambda: self._is_considered(model, receipt.dataset or ""),
            )

    def training(self, model: str, request: str) -> Iterator[Step]:
        """Follow a training that was asked for by hand under the id `request`."""
        yield from self._training(
            model,
            is_mine=lambda run: run.request == request,
            is_answered=lambda: request in self.cloud.registry.training(model).value.answered,
        )

    def release(self, model: str, version: int) -> Release:
        """Follow the first release of a version until its trial ends or a person is waited for."""

        def ended() -> Release | None:
            stored = self.cloud.registry.find_release(model, release_id(version))
            if stored is None or stored.value.status is ReleaseStatus.QUEUED:
                return None
            is_on_trial = stored.value.status is ReleaseStatus.LIVE and not stored.value.is_asking
            return None if is_on_trial else stored.value

        what = f"the release of {model}@{version}"
        release: Release = self.until(ended, what, lambda: self._holds_up_release(model, version))
        return release

    def _holds_up_release(self, model: str, version: int) -> str:
        """Say what the release of a version waits for, and how a person can answer."""
        registry = self.cloud.registry
        stored = registry.find_release(model, release_id(version))
        if stored is None:
            return ""
        release = stored.value
        if release.status is ReleaseStatus.LIVE and release.reason:
            return f"{release.reason}\n  watch it   serin releases {model} --follow"
        ahead = registry.releasing(model).value.live
        if release.status is not ReleaseStatus.QUEUED or ahead is None:
            return ""
        first = registry.release(model, ahead).value
        return "\n".join([f"release {first.id} must end first", f"  {headline(first)}", *ways_to_answer(first)])

    def next_run(self, model: str, known: Collection[str]) -> Iterator[Run | Judged]:
        """Follow the first run that is none of the `known` ones to its end. A release of what it made goes on."""

        def begun() -> Run | None:
            return next((run for run in self.cloud.registry.runs(model) if run.id not in known), None)

        run = self.until(begun, f"a training of {model}")
        yield replace(run, error=None)
        yield self._ended(model, run)

    def _is_considered(self, model: str, dataset: str) -> bool:
        stored = self.cloud.registry.dataset(model, dataset)
        return stored is not None and stored.is_considered

    def _training(self, model: str, is_mine: Callable[[Run], bool], is_answered: Callable[[], bool]) -> Iterator[Step]:
        def decided() -> Skipped | Run | None:
            answered = is_answered()  # before the state is read: it is then at least as new as that answer
            state = self.cloud.registry.training(model).value
            if mine := [run for run in self.cloud.registry.runs(model) if is_mine(run)]:
                return mine[-1]
            # While another run is under way nothing is decided yet: its end asks again.
            return Skipped(state.decision) if answered and not state.running else None

        def running() -> str:
            state = self.cloud.registry.training(model).value
            return f"run {state.running} must end first" if state.running else ""

        choice = self.until(decided, f"the decision on training {model}", running)
        if isinstance(choice, Run):
            yield replace(choice, error=None)
            yield from self._run(model, choice)
        else:
            yield choice

    def _run(self, model: str, run: Run) -> Iterator[Step]:
        ended = self._ended(model, run)
        yield ended
        if isinstance(ended, Judged) and ended.run.status is RunStatus.REGISTERED:
            yield self.release(model, ended.version.number)

    def _ended(self, model: str, run: Run) -> Run | Judged:
        def ended() -> Run | None:
            stored = self.cloud.registry.run(model, run.id).value
            return None if stored.status is RunStatus.RUNNING else stored

        done: Run = self.until(ended, f"run {run.id} of {model}")
        if done.version is None or done.status is RunStatus.FAILED:
            return done
        training = json.loads(self.cloud.data.get(run_prefix(model, done.id) + "training.json"))
        return Judged(done, self.cloud.registry.version(model, done.version).value, training)

    def until(self, look: Callable[[], Any], what: str, holds_up: Callable[[], str] = lambda: "") -> Any:
        """Look until there is something. Raises Unavailable after the time-out.

        what: is waited for. holds_up: says what keeps it from coming, where that is known.
        """
        deadline, pause, progress = time.monotonic() + self.timeout_seconds, 0.1, Progress(self.say)
        while time.monotonic() < deadline:
            awaited = look()
            if awaited is not None:
                return awaited
            progress.tell(what, holds_up())
            time.sleep(pause)
            pause = min(pause * 1.2, 2.0)
        reason = holds_up()
        why = f": {reason}" if reason else ""
        raise Unavailable(f"{what} did not come within {self.timeout_seconds:g} s; it may still come{why}")


def as_document(step: Step) -> dict[str, Any]:
    """Give a step the form it has in JSON."""
    return {"step": type(step).__name__.lower(), **asdict(step)}


def ended_badly(step: Step) -> bool:
    """Tell whether the last thing that was followed is a no: gates not passed, a run failed, a release refused."""
    if isinstance(step, Skipped):
        return False
    return (step.version if isinstance(step, Judged) else step).status in _BAD_ENDS


def sentence(step: Step) -> str:
    """Say in a line what a step is; below it why an upload is not as it should be."""
    match step:
        case Receipt():
            reasons = "".join(f"\n  {reason['message']}" for reason in step.reasons[:SHOWN_REASONS])
            return f"{step.key} is {step.status}: {step.good_rows:,} of {step.rows:,} rows are good{reasons}"
        case Skipped():
            return f"no training now: {step.reason}"
        case Run() if step.error:
            return f"run {step.id} failed: {step.error}"
        case Run():
            return f"training {step.model}: {step.reason} (run {step.id})"
        case Judged():
            return f"{step.version.model}@{step.version.number}, {step.version.chosen}: gates {step.version.status}"
        case Release():
            return headline(step)
