"""Judges what a run made, as serving will run it. Called by the training workflow with {model, run, attempt}."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from serin.aws.cloud import Cloud
from serin.aws.observability import count, watched
from serin.evaluation.run import Evaluator
from serin.serving.runtime.sandbox import score_apart

SECONDS = 60.0  # for one model to answer the hold-out; the function has 300 for all of them


@cache
def evaluator() -> Evaluator:
    cloud = Cloud.from_environment()
    return Evaluator(cloud.registry, cloud.data, cloud.artifacts, partial(score_apart, seconds=SECONDS, memory_mb=2000))


@watched
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    passed = evaluator().evaluate(event["model"], event["run"])
    count("GatesPassed" if passed else "GatesFailed")
    return event
