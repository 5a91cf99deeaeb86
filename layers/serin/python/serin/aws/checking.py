"""Who checks for drift in an environment? Made in one place for functions and for people's commands."""

from __future__ import annotations

from serin.aws.cloud import Cloud, new_ulid, utc_now
from serin.monitoring.check import Checker


def checker_in(cloud: Cloud, *, actor: str) -> Checker:
    """Make the one who checks models there. actor: in whose name, for the history."""
    return Checker(
        cloud.registry,
        cloud.data,
        cloud.artifacts,
        cloud.contracts,
        cloud.training_requests,
        cloud.notifier,
        utc_now,
        new_ulid,
        actor=actor,
        seconds_per_minute=cloud.seconds_per_minute,
    )
