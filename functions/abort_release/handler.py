"""Ends a release that met an error. Called by the release workflow with {model, release, error}."""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from serin.aws.cloud import Cloud
from serin.aws.messages import explain_error
from serin.aws.observability import count, watched
from serin.aws.wiring import releaser_in
from serin.release.turn import Releaser


@cache
def releaser() -> Releaser:
    return releaser_in(Cloud.from_environment(), actor="abort_release")


@watched
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    releaser().abandon(event["model"], event["release"], error=explain_error(event["error"]))
    count("ReleaseAbandoned")
    return {"model": event["model"], "release": event["release"]}
