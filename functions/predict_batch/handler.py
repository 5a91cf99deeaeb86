"""Answers one part of a batch. Called by the batch workflow for each part, with {model, job, key}."""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from serin.aws.cloud import Cloud
from serin.aws.observability import watched
from serin.batch.predict import PartPredictor


@cache
def predictor() -> PartPredictor:
    cloud = Cloud.from_environment()
    return PartPredictor(cloud.data, cloud.artifacts, cloud.kept_answers)


@watched
def handler(event: dict[str, Any], context: LambdaContext) -> None:
    predictor().predict(event["model"], event["job"], event["key"])
