"""Decides whether a model is trained now. Called by SQS: after an upload, a run, a tick, or by hand."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.typing import LambdaContext

from serin.aws.cloud import Cloud, utc_now
from serin.training.start import Starter

logger = Logger()
metrics = Metrics()
tracer = Tracer()
processor = BatchProcessor(event_type=EventType.SQS)


@cache
def starter() -> Starter:
    cloud = Cloud.from_environment()
    return Starter(
        cloud.registry,
        cloud.contracts,
        cloud.training_workflow,
        utc_now,
        cloud.code_digest,
        cloud.seconds_per_minute,
    )


def consider(record: Any) -> None:
    request = json.loads(record.body)
    state = starter().consider(request["model"], request["by"], request.get("id", ""))
    logger.info("decided", model=request["model"], by=request["by"], running=state.running, decision=state.decision)


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics(raise_on_empty_metrics=False)
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    return process_partial_response(event=event, record_handler=consider, processor=processor, context=context)
