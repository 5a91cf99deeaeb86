"""Summarises captures. Called by SQS with S3's `Object Created` events, by way of EventBridge."""

from __future__ import annotations

import json
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()
processor = BatchProcessor(event_type=EventType.SQS)


def summarise(record: Any) -> None:
    logger.info("captures", key=json.loads(record.body)["detail"]["object"]["key"])


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    return process_partial_response(event=event, record_handler=summarise, processor=processor, context=context)
