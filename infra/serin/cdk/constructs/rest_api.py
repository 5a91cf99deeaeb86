"""How is the Chalice app reached? By resources made from its own routes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Protocol

from aws_cdk import aws_apigateway as apigateway
from constructs import Construct

from serin.cdk.constructs.api_key import add_api_key
from serin.cdk.constructs.function import ServerlessFunction
from serin.cdk.environment import Environment


class UnsupportedRoute(Exception):
    """When a route asks for what is not built here: CORS, or an authorizer."""


class Route(Protocol):
    """What is read of a Chalice route."""

    api_key_required: bool | None
    cors: object
    authorizer: object


Routes = Mapping[str, Mapping[str, Route]]  # path -> method -> route

# What API Gateway answers by itself, said as the app says it: type, status, code.
REFUSALS = [
    (apigateway.ResponseType.DEFAULT_4_XX, None, "REFUSED"),
    (apigateway.ResponseType.DEFAULT_5_XX, None, "UNAVAILABLE"),
    (apigateway.ResponseType.INVALID_API_KEY, 403, "API_KEY"),
    # So does API Gateway call a path or method that does not exist, where no route asks for IAM.
    (apigateway.ResponseType.MISSING_AUTHENTICATION_TOKEN, 404, "NOT_FOUND"),
    (apigateway.ResponseType.REQUEST_TOO_LARGE, 413, "TOO_LARGE"),
    (apigateway.ResponseType.THROTTLED, 429, "TOO_MANY_REQUESTS"),
    (apigateway.ResponseType.QUOTA_EXCEEDED, 429, "TOO_MANY_REQUESTS"),
    # A function with no concurrency left; see docs/decisions/2026-11-21-a-full-function-is-a-429.md.
    (apigateway.ResponseType.INTEGRATION_FAILURE, 429, "TOO_MANY_REQUESTS"),
    (apigateway.ResponseType.INTEGRATION_TIMEOUT, 504, "TIMEOUT"),
]
MESSAGES = {
    "API_KEY": "The x-api-key header is missing, or its key is not known here.",
    "NOT_FOUND": "There is no such path, or it does not take this method.",
    "TOO_LARGE": "The body is larger than 10 MB.",
    "TOO_MANY_REQUESTS": "Too many requests. Wait as long as Retry-After says, then send this one again.",
    "TIMEOUT": "The function did not answer in time. The request can be sent again.",
}
RETRY_LATER = {"Retry-After": "'1'"}


class RestApi(Construct):
    """A REST API with a key and a usage plan, every route of which is answered by one function."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        routes: Routes,
        function: ServerlessFunction,
        environment: Environment,
    ) -> None:
        super().__init__(scope, id)
        limits = environment.requests
        self.api = apigateway.RestApi(
            self,
            "Api",
            rest_api_name=environment.named("api"),
            endpoint_types=[apigateway.EndpointType.REGIONAL],
            deploy_options=apigateway.StageOptions(
                stage_name="live",
                tracing_enabled=environment.tracing,
                throttling_rate_limit=limits.per_second,
                throttling_burst_limit=limits.burst,
            ),
        )
        self.api.node.try_remove_child("Endpoint")  # an output of its own making; ours is ApiUrl
        self._add_routes(routes, function)
        self._add_refusals()
        self.key = add_api_key(self.api, environment)

    def _add_routes(self, routes: Routes, function: ServerlessFunction) -> None:
        integration = apigateway.LambdaIntegration(
            function.function, proxy=True, allow_test_invoke=False, scope_permission_to_method=False
        )
        for path, methods in sorted(routes.items()):
            resource = self.api.root.resource_for_path(path)
            for method, route in sorted(methods.items()):
                if route.cors or route.authorizer:
                    raise UnsupportedRoute(f"{method} {path}: neither CORS nor an authorizer is supported yet")
                resource.add_method(method, integration, api_key_required=bool(route.api_key_required))

    def _add_refusals(self) -> None:
        for kind, status, code in REFUSALS:
            message = json.dumps(MESSAGES[code]) if code in MESSAGES else "$context.error.messageString"
            self.api.add_gateway_response(
                f"Refusal{kind.response_type}",
                type=kind,
                status_code=str(status) if status else None,
                response_headers=RETRY_LATER if status in (429, 504) else None,
                templates={"application/json": f'{{"error": {{"code": "{code}", "message": {message}}}}}'},
            )
