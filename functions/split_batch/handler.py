"""Splits one file of a batch. Called by the batch workflow for each file, with {model, job, key}."""

from __future__ import annotations

import os
from functools import cache, partial
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from serin.aws.bounds import bounds_of
from serin.aws.cloud import Cloud
from serin.aws.observability import watched
from serin.batch.split import Splitter
from serin.batch.split_file import split_apart


@cache
def splitter() -> Splitter:
    cloud = Cloud.from_environment()
    return Splitter(cloud.data, cloud.artifacts, partial(split_apart, bounds=bounds_of(os.environ)))


@watched
def handler(event: dict[str, Any], context: LambdaContext) -> None:
    splitter().split(event["model"], event["job"], event["key"])
