"""Answers over HTTP. Called by the REST API, whose resources are made from the routes of serin/serving/http.py."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from functools import cache
from typing import Any, cast

from chalice.app import Chalice, Request, Response

from serin.serving.http import ROUTES, Route, respond

app = Chalice(app_name="serin")


def serve(route: Route) -> Callable[..., Response]:
    """Make of a route what Chalice calls."""

    def view(**parameters: str) -> Response:
        request = cast(Request, app.current_request)  # there is one while a route is answered
        body = cast(bytes, request.raw_body)  # of a text Chalice gives the bytes
        reply = respond(
            route,
            endpoint=endpoint,
            parameters=parameters,
            headers=request.headers,
            body=body,
            query=request.query_params or {},
            report=log_failure,
        )
        return Response(reply.body, dict(reply.headers), reply.status)

    return view


for each in ROUTES:
    # Every content type gets to the route, so that a refusal is in the form of its protocol.
    options = {"methods": [each.method], "api_key_required": each.needs_key or None, "content_types": ["*/*"]}
    app.route(each.path, **options)(serve(each))


@cache
def endpoint() -> Any:
    """The endpoint, made at the first request: its imports are no part of a synthesis that reads the routes."""
    from serin.aws.lean import LeanReader
    from serin.serving.capture import Recorder
    from serin.serving.endpoint import Endpoint
    from serin.serving.route import Router

    reader = LeanReader(os.environ)
    router = Router(reader.route, reader.file, time.monotonic, versions=reader.version)
    recorder = Recorder(lambda line: os.write(1, line), wall_clock=time.time, report=log_failure)  # to stdout
    return Endpoint(router, lambda: secrets.token_hex(8), names=reader.models, recorder=recorder, report=log_failure)


def log_failure(metric: str, code: str, reason: str) -> None:
    """Write what a person must see. Powertools is imported here, off the path of every answer that succeeds."""
    from aws_lambda_powertools import Logger, single_metric
    from aws_lambda_powertools.metrics import MetricUnit

    Logger().error(reason, code=code, exc_info=metric == "NoAnswer")
    with single_metric(name=metric, unit=MetricUnit.Count, value=1, default_dimensions={"service": "api"}) as counted:
        counted.add_metadata("code", code)  # no dimension: an alarm watches all codes together
