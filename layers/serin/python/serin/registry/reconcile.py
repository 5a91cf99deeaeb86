"""What got lost? Uploads whose event never came, and runs and releases whose workflow died without a word."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from serin.registry.ids import receipt_id
from serin.registry.ports import Objects, Queue, Workflow
from serin.registry.records import Release, Run, RunStatus
from serin.registry.registry import Registry

LOST_AFTER = timedelta(hours=3)  # longer than a message takes to be tried for the last time
DEAD_AFTER = timedelta(minutes=2)  # an execution that was just started may not be seen yet


def resend_lost_uploads(model: str, *, data: Objects, bucket: str, upload_events: Queue, now: datetime) -> int:
    """Send the event again of each upload that should long have had a receipt and has none, and say how many."""
    received = {stored.key.rsplit("/", 1)[-1].removesuffix(".json") for stored in data.list(f"receipts/{model}/")}
    lost = [
        stored
        for stored in data.list(f"uploads/{model}/")
        if now - stored.stored_at > LOST_AFTER and receipt_id(stored.key, stored.version) not in received
    ]
    for stored in lost:
        upload_events.send(created_event(bucket, stored.key, stored.version))
    return len(lost)


def created_event(bucket: str, key: str, version: str) -> dict[str, Any]:
    """The part that is read of EventBridge's `Object Created` event of S3."""
    detail = {"bucket": {"name": bucket}, "object": {"key": key, "version-id": version}}
    return {"source": "aws.s3", "detail-type": "Object Created", "detail": detail}


@dataclass(frozen=True, slots=True)
class Dead:
    """Finds what is noted as under way while its execution came to its end. What was never started is started."""

    registry: Registry
    training: Workflow
    releasing: Workflow
    now: datetime

    def runs(self, model: str) -> list[Run]:
        running = [run for run in self.registry.runs(model) if run.status is RunStatus.RUNNING]
        old = [run for run in running if self._is_old(run.started_at)]
        return [run for run in old if self._is_over(self.training, run.execution, run.payload)]

    def releases(self, model: str) -> list[Release]:
        """Find also those whose lease ran out, whether or not an execution seems to run."""
        under_way = [release for release in self.registry.releases(model) if release.status.is_under_way]
        return [
            release
            for release in under_way
            if self._has_lapsed(release)
            or (self._is_old(release.started_at) and self._is_over(self.releasing, release.execution, release.task))
        ]

    def _has_lapsed(self, release: Release) -> bool:
        return bool(release.lease_until) and self.now > datetime.fromisoformat(release.lease_until)

    def _is_old(self, started_at: str) -> bool:
        return self.now - datetime.fromisoformat(started_at) > DEAD_AFTER

    def _is_over(self, workflow: Workflow, execution: str, payload: dict[str, Any]) -> bool:
        workflow.start(execution, payload)  # a name starts once
        return workflow.is_over(execution)
