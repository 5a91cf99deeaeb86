"""Judges uploads. Called by SQS with S3's `Object Created` events, by way of EventBridge."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.typing import LambdaContext

from serin.aws.cloud import Cloud, utc_now
from serin.data.receive import Intake, Upload

TRIES = 3  # as often as the queue delivers a message; infra/constructs/queue.py has the same

logger = Logger()
metrics = Metrics()
tracer = Tracer()
processor = BatchProcessor(event_type=EventType.SQS)


@cache
def intake() -> Intake:
    cloud = Cloud.from_environment()
    return Intake(cloud.data, cloud.registry, cloud.contracts, cloud.training_requests, utc_now)


def receive(record: Any) -> None:
    event = json.loads(record.body)
    if event.get("detail-type") != "Object Created":
        logger.info("not an upload", event_type=str(event.get("detail-type") or event.get("Event"))[:80])
        return
    stored = event["detail"]["object"]
    is_last_try = int(record.attributes.approximate_receive_count) >= TRIES
    receipt = intake().receive(Upload(stored["key"], stored["version-id"]), is_last_try=is_last_try)
    logger.info("receipt", model=receipt.model, key=receipt.key, status=receipt.status, dataset=receipt.dataset)
    metrics.add_metric(f"Upload{receipt.status.title()}", MetricUnit.Count, 1)


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics(raise_on_empty_metrics=False)
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    return process_partial_response(event=event, record_handler=receive, processor=processor, context=context)
