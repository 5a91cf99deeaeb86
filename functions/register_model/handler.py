"""Makes a judged run a model version. Called by the training workflow with {model, run, attempt}."""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from serin.aws.cloud import PATIENCE, Cloud, utc_now
from serin.aws.observability import count, watched
from serin.registry.records import VersionStatus
from serin.registry.register import Registrar


@cache
def registrar() -> Registrar:
    cloud = Cloud.from_environment()
    return Registrar(cloud.registry, cloud.data, cloud.artifacts, utc_now, PATIENCE)


@watched
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    version = registrar().register(event["model"], event["run"])
    count("Registered")
    passed = version.status is VersionStatus.PASSED
    return {**event, "version": version.number, "passed": passed}
