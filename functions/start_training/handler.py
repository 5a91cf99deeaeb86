"""Decides whether a model is trained now. Called by SQS: after an upload, a run, a tick, or by hand."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.typing import LambdaContext

from serin.aws.cloud import PATIENCE, Cloud, utc_now
from serin.aws.observability import log, watched
from serin.registry.requests import TrainingRequest
from serin.training.start import Starter


@cache
def cloud() -> Cloud:
    return Cloud.from_environment()


@cache
def starter() -> Starter:
    here = cloud()
    return Starter(
        here.registry,
        here.contracts,
        here.training_workflow,
        utc_now,
        PATIENCE,
        here.code_digest,
        here.seconds_per_minute,
    )


def consider(record: Any) -> None:
    request = TrainingRequest.from_message(json.loads(record.body))
    state = starter().consider(request)
    log().info("decided", model=request.model, by=request.by, running=state.running, decision=state.decision)


@watched
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    return cloud().deliveries.work_off(event, consider, context)
