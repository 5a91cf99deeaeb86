"""Takes one turn of a release. Called by the release workflow, again and again, with {model, release}."""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from serin.aws.cloud import Cloud, new_ulid, utc_now
from serin.release.turn import Releaser

logger = Logger()
metrics = Metrics()
tracer = Tracer()


@cache
def releaser() -> Releaser:
    cloud = Cloud.from_environment()
    return Releaser(cloud.registry, cloud.artifacts, cloud.notifier, utc_now, new_ulid, actor="advance_release")


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics(raise_on_empty_metrics=False)
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    decision = releaser().turn(event["model"], event["release"])
    logger.info("turn", model=event["model"], release=event["release"], move=decision.move, reason=decision.reason)
    metrics.add_metric(f"Move{decision.move.title()}", MetricUnit.Count, 1)
    return {
        "model": event["model"],
        "release": event["release"],
        "done": True,
        "wait_seconds": 0,
        "move": decision.move,
    }
