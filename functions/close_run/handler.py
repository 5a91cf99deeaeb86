"""Ends a run, whichever way it went. Called last by the training workflow.

Its event: {model, run, attempt}, and {version, passed} or {error}.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from serin.aws.cloud import PATIENCE, Cloud, utc_now
from serin.aws.messages import explain_error
from serin.aws.observability import count, watched
from serin.training.close import Closer


@cache
def closer() -> Closer:
    cloud = Cloud.from_environment()
    return Closer(cloud.registry, cloud.training_requests, cloud.notifier, utc_now, PATIENCE)


@watched
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    error = explain_error(event["error"]) if "error" in event else None
    run = closer().close(
        event["model"],
        event["run"],
        attempt=event.get("attempt", 1),  # older code started executions without it
        version=event.get("version"),
        passed=event.get("passed", False),
        error=error,
    )
    count(f"Run{run.status.title()}")
    return {**event, "status": run.status}
