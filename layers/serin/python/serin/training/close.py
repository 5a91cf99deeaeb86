"""How does a run end? Its row says so, whoever wants to know is told, and what arrived meanwhile gets its turn."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

from serin.errors import SerinError
from serin.registry.ports import Clock, Notifier, Queue
from serin.registry.records import Run, RunStatus, VersionStatus
from serin.registry.registry import Registry, put, put_training
from serin.registry.requests import TrainingRequest, Trigger
from serin.registry.retry import Patience


@dataclass(frozen=True, slots=True)
class Closer:
    """Closes runs."""

    registry: Registry
    training_requests: Queue
    notifier: Notifier
    now: Clock
    patience: Patience

    def close(
        self, model: str, run: str, *, attempt: int, version: int | None, passed: bool, error: str | None = None
    ) -> Run:
        """End an attempt at a run, once; one that a later attempt took over from ends nothing.

        error: why it failed; it is tried again by hand or with the next data, not by itself.
        """
        status = RunStatus.FAILED if error else RunStatus.REGISTERED if passed else RunStatus.REJECTED
        closed, is_new = self.patience.retry_on_conflict(
            lambda: self._close_once(model, run, attempt, status, version, error)
        )
        self.training_requests.send(TrainingRequest(model, Trigger.RUN).to_message())
        if is_new:
            with suppress(SerinError):  # it stays closed where people cannot be reached
                self._tell(closed)
        return closed

    def _close_once(
        self, model: str, name: str, attempt: int, status: RunStatus, version: int | None, error: str | None
    ) -> tuple[Run, bool]:
        run = self.registry.run(model, name)
        if run.value.status is not RunStatus.RUNNING or run.value.attempt != attempt:
            return run.value, False
        state = self.registry.training(model)
        ended = replace(
            run.value, status=status, version=version or run.value.version, error=error, ended_at=self.now().isoformat()
        )
        writes = [put(ended, expected_revision=run.revision)]
        if state.value.running == name:
            freed = replace(state.value, running=None)
            writes.append(put_training(model, freed, expected_revision=state.revision))
        self.registry.save(*writes)
        return ended, True

    def _is_held(self, run: Run) -> bool:
        version = self.registry.find_version(run.model, run.version) if run.version else None
        return version is not None and version.value.status is VersionStatus.HELD

    def _tell(self, run: Run) -> None:
        match run.status:
            case RunStatus.FAILED:
                self.notifier.tell(
                    f"{run.model}: training failed",
                    f"Run {run.id} failed: {run.error}\nTry again with: serin train {run.model}",
                )
            case RunStatus.REJECTED if self._is_held(run):
                self.notifier.tell(
                    f"{run.model}@{run.version} waits for you",
                    f"It cannot be compared with the champion. Look: serin why {run.model}@{run.version}\n"
                    f"Release it all the same with: serin release {run.model}@{run.version}",
                )
            case RunStatus.REJECTED:
                self.notifier.tell(
                    f"{run.model}@{run.version} was rejected by its gates",
                    f"The champion goes on answering. See the evidence with: serin why {run.model}@{run.version}",
                )
            case _:
                self.notifier.tell(
                    f"{run.model}@{run.version} passed its gates", f"See it with: serin why {run.model}@{run.version}"
                )
