"""Summarises capture files. Called by SQS with S3's `Object Created` events, by way of EventBridge."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.typing import LambdaContext

from serin.aws.cloud import Cloud
from serin.aws.observability import count, log, watched
from serin.monitoring.summary_per_file import Summariser


@cache
def cloud() -> Cloud:
    return Cloud.from_environment()


@cache
def summariser() -> Summariser:
    here = cloud()
    return Summariser(here.registry, here.data, here.artifacts)


def summarise(record: Any) -> None:
    event = json.loads(record.body)
    if event.get("detail-type") != "Object Created":
        log().info("not a capture file", event_type=str(event.get("detail-type") or event.get("Event"))[:80])
        return
    stored = event["detail"]["object"]
    summary, warnings = summariser().summarise(stored["key"], stored["version-id"])
    count("CapturesCounted", summary.captures)
    count("CapturesSkipped", summary.skipped)
    count("FeedbackCounted", sum(len(truths.known) for truths in summary.truths.values()))
    count("FeedbackLeftOut", summary.left_out)
    count("SummariesHindered", len(warnings))
    for hindrance in warnings:
        log().warning(hindrance, key=stored["key"])
    if summary.skipped:
        log().warning("lines that are no captures were skipped", key=stored["key"], skipped=summary.skipped)


@watched
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    return cloud().deliveries.work_off(event, summarise, context)
