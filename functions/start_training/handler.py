"""Decides whether a model is trained now. Called by SQS: after an upload, a run, a tick, or by hand."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.typing import LambdaContext

from serin.aws.cloud import PATIENCE, Cloud, utc_now
from serin.aws.watch import log, watched
from serin.training.start import Starter

processor = BatchProcessor(event_type=EventType.SQS)


@cache
def starter() -> Starter:
    cloud = Cloud.from_environment()
    return Starter(
        cloud.registry,
        cloud.contracts,
        cloud.training_workflow,
        utc_now,
        PATIENCE,
        cloud.code_digest,
        cloud.seconds_per_minute,
    )


def consider(record: Any) -> None:
    request = json.loads(record.body)
    state = starter().consider(request["model"], request["by"], request.get("id", ""))
    log().info("decided", model=request["model"], by=request["by"], running=state.running, decision=state.decision)


@watched
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    return process_partial_response(event=event, record_handler=consider, processor=processor, context=context)
