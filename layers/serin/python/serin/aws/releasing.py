"""Who moves releases in an environment? Made in one place for functions and for people's commands."""

from __future__ import annotations

from serin.aws.cloud import PATIENCE, Cloud, new_ulid, utc_now
from serin.release.chronicle import Chronicle
from serin.release.turn import Releaser


def releaser_in(cloud: Cloud, *, actor: str) -> Releaser:
    """Make the one who moves releases there. actor: in whose name, for the history."""
    return Releaser(
        registry=cloud.registry,
        data=cloud.data,
        artifacts=cloud.artifacts,
        workflow=cloud.release_workflow,
        chronicle=Chronicle(cloud.events, cloud.notifier, new_ulid, utc_now, actor),
        now=utc_now,
        patience=PATIENCE,
        seconds_per_minute=cloud.seconds_per_minute,
        arrival_seconds=cloud.arrival_seconds,
    )
