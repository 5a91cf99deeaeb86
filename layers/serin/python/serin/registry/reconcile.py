"""What got lost? Uploads whose event never came, and runs whose workflow died without a word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from serin.registry.ids import receipt_id
from serin.registry.ports import Objects, Queue, Workflow
from serin.registry.records import Run, RunStatus
from serin.registry.registry import Registry


def resend_lost_uploads(model: str, *, data: Objects, bucket: str, upload_events: Queue) -> int:
    """Send the event again of each upload that has no receipt, and say how many. One in flight is harmless twice."""
    received = {stored.key.rsplit("/", 1)[-1].removesuffix(".json") for stored in data.list(f"receipts/{model}/")}
    lost = [
        stored for stored in data.list(f"uploads/{model}/") if receipt_id(stored.key, stored.version) not in received
    ]
    for stored in lost:
        upload_events.send(created_event(bucket, stored.key, stored.version))
    return len(lost)


def created_event(bucket: str, key: str, version: str) -> dict[str, Any]:
    """The part that is read of EventBridge's `Object Created` event of S3."""
    detail = {"bucket": {"name": bucket}, "object": {"key": key, "version-id": version}}
    return {"source": "aws.s3", "detail-type": "Object Created", "detail": detail}


@dataclass(frozen=True, slots=True)
class DeadRuns:
    """Finds runs that are noted as under way while their execution is not."""

    registry: Registry
    workflow: Workflow

    def of(self, model: str) -> list[Run]:
        """List dead runs. One whose start got lost is started instead: a name starts once."""
        dead = []
        for run in self.registry.runs(model):
            if run.status is not RunStatus.RUNNING:
                continue
            self.workflow.start(run.execution, {"model": model, "run": run.id})
            if not self.workflow.is_running(run.execution):
                dead.append(run)
        return dead
