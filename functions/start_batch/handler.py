"""Starts batches. Called by SQS with S3's `Object Created` events, by way of EventBridge, or with what people ask for.

That is {prefix}, or {model, job, attempt} to try again what failed.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.typing import LambdaContext

from serin.aws.cloud import Cloud, utc_now
from serin.aws.observability import count, log, watched
from serin.batch.start import BatchStarter


@cache
def cloud() -> Cloud:
    return Cloud.from_environment()


@cache
def starter() -> BatchStarter:
    here = cloud()
    return BatchStarter(here.registry, here.data, here.batch_workflow, utc_now)


def start(record: Any) -> None:
    event = json.loads(record.body)
    if "prefix" in event:
        job = starter().start_prefix(event["prefix"])
    elif "job" in event:
        job = starter().start_again(event["model"], event["job"], event["attempt"])
    elif event.get("detail-type") == "Object Created":
        stored = event["detail"]["object"]
        job = starter().start_file(stored["key"], stored["version-id"])
    else:
        job = None
    log().info("batch", job=job)
    count("BatchStarted" if job else "NotABatch")


@watched
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    return cloud().deliveries.work_off(event, start, context)
