"""Answers over HTTP. Called by the REST API, whose resources are made from the routes of these very decorators."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from typing import Any

from chalice.app import Chalice, Request, Response

from serin.serving.http.dispatch import ROUTES, HttpRoute, respond

app = Chalice(app_name="serin-api")  # also a logger, which must not be that of the package


class Text(Response):
    """A response that need not be looked at again for whether it is a text."""

    def to_dict(self, binary_types: list[str] | None = None) -> dict[str, Any]:
        return {"statusCode": self.status_code, "headers": self.headers, "multiValueHeaders": {}, "body": self.body}


def serve(route: HttpRoute) -> Callable[..., Response]:
    """Make of a route what Chalice calls."""

    def view(**parameters: str) -> Response:
        request: Any = app.current_request
        reply = respond(route, endpoint, parameters, request.headers, request.raw_body, request.query_params, report)
        return Text(reply.text, dict(reply.headers), reply.status)

    return view


for route in ROUTES:
    # Every content type gets to the route, so that a refusal is in the form of its protocol.
    app.route(route.path, methods=[route.method], api_key_required=route.needs_key, content_types=["*/*"])(serve(route))


@app.middleware("http")
def answer(request: Request, get_response: Callable[[Request], Response]) -> Response:
    """Go to the view at once: what Chalice does before and after, for binary types and CORS, nothing here needs."""
    view = app.routes[request.path].get(request.method)
    return view.view_function(**request.uri_params or {}) if view else get_response(request)


@cache
def endpoint() -> Any:
    """The endpoint, made at the first request: its imports are no part of a synthesis that reads the routes."""
    from serin.aws.hot_path import make_endpoint

    return make_endpoint(os.environ, report=report)


def report(metric: str, code: str, reason: str) -> None:
    """Say what a person must see. Powertools is imported here, off the path of every answer that succeeds."""
    from serin.aws.observability import log_failure

    log_failure(metric, code, reason)
