"""Judges uploads. Called by SQS with S3's `Object Created` events, by way of EventBridge."""

from __future__ import annotations

import json
import os
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.typing import LambdaContext

from serin.aws.bounds import bounds_of, limits_of
from serin.aws.cloud import PATIENCE, Cloud, utc_now
from serin.aws.observability import count, log, watched
from serin.data.accept_or_refuse import Intake, Upload
from serin.data.judge_apart import JudgeApart


@cache
def cloud() -> Cloud:
    return Cloud.from_environment()


@cache
def intake() -> Intake:
    here = cloud()
    limits = limits_of(os.environ)
    return Intake(
        here.data,
        here.registry,
        here.contracts,
        here.training_requests,
        utc_now,
        PATIENCE,
        here.notifier,
        JudgeApart(bounds_of(os.environ), limits),
        limits,
    )


def receive(record: Any) -> None:
    event = json.loads(record.body)
    if event.get("detail-type") != "Object Created":
        log().info("not an upload", event_type=str(event.get("detail-type") or event.get("Event"))[:80])
        return
    stored = event["detail"]["object"]
    is_last_try = cloud().deliveries.is_last_try(record)
    receipt = intake().receive(Upload(stored["key"], stored["version-id"]), is_last_try=is_last_try)
    log().info("receipt", model=receipt.model, key=receipt.key, status=receipt.status, dataset=receipt.dataset)
    count(f"Upload{receipt.status.title()}")
    if fault := next((reason for reason in receipt.reasons if reason["code"] == "INTERNAL"), None):
        log().error(fault["message"], model=receipt.model, key=receipt.key)
        count("UploadFault")


@watched
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    return cloud().deliveries.work_off(event, receive, context)
