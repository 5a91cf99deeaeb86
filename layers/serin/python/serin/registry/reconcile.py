"""What got lost? Uploads whose event never came, and runs and releases whose workflow died without a word."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from serin.registry.ids import receipt_id
from serin.registry.keys import UPLOADS, model_of_upload, receipt_key
from serin.registry.ports import Objects, Queue, StoredObject, Workflow
from serin.registry.records import Release, Run, RunStatus, UploadSearch
from serin.registry.registry import Registry

LOST_AFTER = (timedelta(minutes=10), *(timedelta(hours=hours) for hours in (0.5, 2, 8, 24)))
"""At which ages an upload without a receipt is sent again. Not at each tick: it may only be waiting for its turn."""
SEARCHED_VERSIONS = 10_000
"""How many versions one tick lists at most, 1,000 with each call: what it costs has a bound, however many there are."""
ORPHANED_AFTER = timedelta(minutes=2)  # an execution that was just started may not be seen yet


@dataclass(frozen=True, slots=True)
class LostUploads:
    """Finds uploads whose event was lost, of every key and every version, and sends it again.

    S3 lists by key alone, so that all of uploads/ is listed to see what is new. A receipt is asked for only where an
    upload came to one of the ages since the last search; an upload is asked for five times in all.
    """

    data: Objects
    bucket: str
    upload_events: Queue
    now: datetime

    def resend(self, search: UploadSearch) -> tuple[UploadSearch, int]:
        """Go on with a search, or begin the next. Gives how far it came, and how many uploads were sent again."""
        began_at, key, sent = search.began_at or self.now.isoformat(), search.after, 0
        for number, stored in enumerate(self.data.all_versions(UPLOADS, after=search.after)):
            if number >= SEARCHED_VERSIONS and stored.key != key:  # it goes on by key
                return replace(search, began_at=began_at, after=key), sent
            key = stored.key
            if _came_of_age(stored, search.searched_at, began_at) and not self._has_receipt(stored):
                self.upload_events.send(created_event(self.bucket, stored.key, stored.version))
                sent += 1
        return UploadSearch(searched_at=began_at), sent

    def _has_receipt(self, stored: StoredObject) -> bool:
        return self.data.exists(receipt_key(model_of_upload(stored.key), receipt_id(stored.key, stored.version)))


def _came_of_age(stored: StoredObject, since: str, until: str) -> bool:
    """Tell whether an upload came to one of the ages between two searches; the first one looks at all that is old."""
    end = datetime.fromisoformat(until)
    if not since:
        return stored.stored_at + LOST_AFTER[0] <= end
    return any(datetime.fromisoformat(since) < stored.stored_at + age <= end for age in LOST_AFTER)


def created_event(bucket: str, key: str, version: str) -> dict[str, Any]:
    """The part that is read of EventBridge's `Object Created` event of S3."""
    detail = {"bucket": {"name": bucket}, "object": {"key": key, "version-id": version}}
    return {"source": "aws.s3", "detail-type": "Object Created", "detail": detail}


@dataclass(frozen=True, slots=True)
class OrphanFinder:
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
            if release.has_lapsed(self.now)
            or (self._is_old(release.started_at) and self._is_over(self.releasing, release.execution, release.task))
        ]

    def _is_old(self, started_at: str) -> bool:
        return self.now - datetime.fromisoformat(started_at) > ORPHANED_AFTER

    def _is_over(self, workflow: Workflow, execution: str, payload: dict[str, Any]) -> bool:
        workflow.start(execution, payload)  # a name starts once
        return workflow.is_over(execution)
