"""Answers over HTTP. Called by the REST API, whose resources are made from the routes below."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from functools import cache
from typing import Any, cast

from chalice.app import Chalice, Request, Response

from serin.errors import SerinError
from serin.serving.statuses import body_of, status_of

app = Chalice(app_name="serin")


@app.route("/health")
def health() -> Response:
    return Response({"status": "ok"})


@app.route("/models/{model}", api_key_required=True)
def describe(model: str) -> Response:
    return answer(lambda: endpoint().describe(model))


@app.route("/models/{model}/predict", methods=["POST"], api_key_required=True)
def predict(model: str) -> Response:
    request = cast(Request, app.current_request)  # there is one while a route is answered
    return answer(lambda: endpoint().predict(model, request.raw_body))


def answer(work: Callable[[], dict[str, Any]]) -> Response:
    """Answer with what the work gives; or with the status of its error, in the form that every error has here."""
    try:
        body = work()
        if body.get("degraded"):
            log_failure("Degraded", "DEGRADED", "the newest route or its model is out of reach; an older one answers")
        return Response(body)
    except SerinError as error:
        status = status_of(error)
        if status >= 500:
            log_failure("NoAnswer", error.code, error.message)
        return Response(body_of(error), status_code=status, headers={"Retry-After": "5"} if status == 503 else {})


@cache
def endpoint() -> Any:
    """The endpoint, made at the first request: its imports are no part of a synthesis that reads the routes."""
    from serin.aws.lean import LeanReader
    from serin.serving.endpoint import Endpoint
    from serin.serving.route import Router

    reader = LeanReader(os.environ)
    return Endpoint(Router(reader.route, reader.file, time.monotonic), new_id=lambda: secrets.token_hex(8))


def log_failure(metric: str, code: str, reason: str) -> None:
    """Write what a person must see. Powertools is imported here, off the path of every answer that succeeds."""
    from aws_lambda_powertools import Logger, single_metric
    from aws_lambda_powertools.metrics import MetricUnit

    Logger().error(reason, code=code)
    with single_metric(name=metric, unit=MetricUnit.Count, value=1) as counted:
        counted.add_dimension(name="code", value=code)
