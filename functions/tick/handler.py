"""Looks for what is due or got lost. Called by a schedule, every five minutes."""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from serin.aws.cloud import Cloud, utc_now
from serin.registry.reconcile import DeadRuns, resend_lost_uploads
from serin.training.close import Closer

logger = Logger()
metrics = Metrics()


@cache
def cloud() -> Cloud:
    return Cloud.from_environment()


def look_after(model: str) -> None:
    """Put back what got lost of one model, and let it ask whether a training is due."""
    here = cloud()
    closer = Closer(here.registry, here.training_requests, here.notifier, utc_now)
    lost = resend_lost_uploads(model, data=here.data, bucket=here.data.bucket, upload_events=here.upload_events)
    dead = DeadRuns(here.registry, here.training_workflow).of(model)
    for run in dead:
        closer.close(model, run.id, version=run.version, passed=False, error="its workflow ended without closing it")
    here.training_requests.send({"model": model, "by": "tick"})
    metrics.add_metric("LostUploads", MetricUnit.Count, lost)
    metrics.add_metric("DeadRuns", MetricUnit.Count, len(dead))


@logger.inject_lambda_context
@metrics.log_metrics(raise_on_empty_metrics=False)
def handler(event: dict[str, Any], context: LambdaContext) -> None:
    for model in cloud().contracts.names():
        look_after(model)
