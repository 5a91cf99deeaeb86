"""Starts the release of a version that passed its gates.

Called by the training workflow with {model, run, attempt, version}.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from serin.aws.cloud import PATIENCE, Cloud, new_ulid, utc_now
from serin.aws.observability import count, watched
from serin.release.release_log import ReleaseLog
from serin.release.start import ReleaseStarter


@cache
def starter() -> ReleaseStarter:
    cloud = Cloud.from_environment()
    release_log = ReleaseLog(cloud.events, cloud.notifier, new_ulid, utc_now, "start_release")
    return ReleaseStarter(cloud.registry, cloud.release_workflow, release_log, utc_now, PATIENCE)


@watched
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    release = starter().start(event["model"], event["version"])
    count("ReleaseStarted")
    return {**event, "release": release.id}
