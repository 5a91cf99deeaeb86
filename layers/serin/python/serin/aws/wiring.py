"""Who works in an environment, with which parts? Made in one place for functions and for people's commands."""

from __future__ import annotations

from serin.aws.cloud import PATIENCE, Cloud, new_ulid, utc_now
from serin.monitoring.check import Checker
from serin.release.delete import Deleter
from serin.release.release_log import ReleaseLog
from serin.release.turn import Releaser


def checker_in(cloud: Cloud, *, actor: str) -> Checker:
    """Make the one who checks models for drift there. actor: in whose name, for the history."""
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


def deleter_in(cloud: Cloud, *, actor: str) -> Deleter:
    """Make the one who deletes models there. actor: in whose name, for the history."""
    return Deleter(
        registry=cloud.registry,
        data=cloud.data,
        artifacts=cloud.artifacts,
        answers=cloud.kept_answers,
        release_log=_log_in(cloud, actor),
        now=utc_now,
        patience=PATIENCE,
    )


def releaser_in(cloud: Cloud, *, actor: str) -> Releaser:
    """Make the one who moves releases there. actor: in whose name, for the history."""
    return Releaser(
        registry=cloud.registry,
        data=cloud.data,
        artifacts=cloud.artifacts,
        workflow=cloud.release_workflow,
        release_log=_log_in(cloud, actor),
        now=utc_now,
        patience=PATIENCE,
        seconds_per_minute=cloud.seconds_per_minute,
        arrival_seconds=cloud.arrival_seconds,
    )


def _log_in(cloud: Cloud, actor: str) -> ReleaseLog:
    return ReleaseLog(cloud.events, cloud.notifier, new_ulid, utc_now, actor)
