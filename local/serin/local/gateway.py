"""How does an HTTP request reach a function through the REST API of the template?

As API Gateway does it: a resource is found by its path, an API key is asked for where the method wants one,
the usage plan and the stage throttle, and the function is given a proxy event (version 1.0). What the
gateway says itself it says in the template's own words, where there is a GatewayResponse.
"""

import base64
import binascii
import json
import logging
import threading
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, unquote

from moto.apigateway.models import GatewayResponse, RestAPI, UsagePlan, apigateway_backends

from serin.local.functions import Functions, Outcome, PayloadTooLarge, StillRunning, Throttled
from serin.local.wire import Request, Response

BODY_LIMIT = 10 * 1024 * 1024
HEADERS_LIMIT = 10_240  # bytes of the request line and all values
_INTEGRATION_SECONDS = 29.0
_QUOTA_SECONDS = {"DAY": 86_400, "WEEK": 7 * 86_400, "MONTH": 30 * 86_400}

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer of the gateway's own. kind: as GatewayResponse names it."""

    kind: str
    status: int
    message: str


class Refused(Exception):
    """When the gateway answers itself. Made anew each time: an exception holds on to the request it was raised for."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


NOT_FOUND = Refusal("MISSING_AUTHENTICATION_TOKEN", 403, "Missing Authentication Token")
ACCESS_DENIED = Refusal("ACCESS_DENIED", 403, "Forbidden")
FORBIDDEN = Refusal("INVALID_API_KEY", 403, "Forbidden")
TOO_LARGE = Refusal("REQUEST_TOO_LARGE", 413, "Request Too Long")
TOO_MANY = Refusal("THROTTLED", 429, "Too Many Requests")
QUOTA = Refusal("QUOTA_EXCEEDED", 429, "Limit Exceeded")
FAILED = Refusal("DEFAULT_5XX", 502, "Internal server error")
# So does API Gateway name a function that Lambda throttles; the template may give it another status.
BUSY = Refusal("INTEGRATION_FAILURE", 500, "Internal server error")
TIMED_OUT = Refusal("INTEGRATION_TIMEOUT", 504, "Endpoint request timed out")


class Bucket:
    """A token bucket: `burst` at once, `rate` a second in the long run."""

    def __init__(self, *, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._filled = now
        self._lock = threading.Lock()

    def take(self, now: float) -> bool:
        """Take a token, if there is one."""
        with self._lock:
            self._tokens = min(self._burst, self._tokens + (now - self._filled) * self._rate)
            self._filled = now
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one resource. segments: of its path; `{name}` matches one, `{name+}` all that follow."""

    method: str
    path: str
    segments: tuple[str, ...]
    resource_id: str
    function: str
    needs_key: bool
    timeout_seconds: float

    def match(self, segments: list[str]) -> dict[str, str] | None:
        """Match the segments of a request's path; the path parameters, or None."""
        parameters: dict[str, str] = {}
        for number, wanted in enumerate(self.segments):
            if wanted.endswith("+}"):
                rest = segments[number:]
                return {**parameters, wanted[1:-2]: unquote("/".join(rest))} if rest else None
            if number >= len(segments):
                return None
            if wanted.startswith("{"):
                if not segments[number]:
                    return None
                parameters[wanted[1:-1]] = unquote(segments[number])
            elif wanted != unquote(segments[number]):
                return None
        return parameters if len(segments) == len(self.segments) else None


class Gateway:
    """Answers for the one REST API that the template has."""

    def __init__(self, *, functions: Functions, account: str, region: str) -> None:
        self._functions = functions
        self._account = account
        self._region = region
        self._backend = apigateway_backends[account][region]
        self._lock = threading.Lock()
        self._routes: dict[str, list[Route]] = {}
        self._buckets: dict[tuple[Any, ...], Bucket] = {}
        self._used: dict[tuple[str, str, int], int] = {}
        self.requests_begun = 0

    @property
    def api(self) -> RestAPI | None:
        """The REST API, once there is one."""
        return next(iter(self._backend.apis.values()), None)

    def local_url(self, url: str, base: str) -> str:
        """Replace the address that the API would have on AWS by the one it has here."""
        for api in self._backend.apis.values():
            url = url.replace(f"https://{api.id}.execute-api.{self._region}.amazonaws.com", base)
        return url

    def answer(self, request: Request, peer: str) -> Response:
        """Answer one HTTP request."""
        request_id = str(uuid.uuid4())
        self.requests_begun += 1
        api = self.api
        try:
            return self._answer(api, request, peer, request_id)
        except Refused as refused:
            return _refuse(refused.refusal, api.gateway_responses if api else {}, request_id)

    def _answer(self, api: RestAPI | None, request: Request, peer: str, request_id: str) -> Response:
        if api is None:
            raise Refused(NOT_FOUND)
        path, _, query = request.target.partition("?")
        _, stage, *segments = path.split("/") if path.count("/") > 1 else [*path.split("/"), ""]
        if stage not in api.stages:
            raise Refused(ACCESS_DENIED)
        route, parameters = self._find(api, request.method, segments)
        if request.is_too_large:
            raise Refused(TOO_LARGE)
        key_id = self._check_key(api, stage, request) if route.needs_key else None
        self._throttle_stage(api, stage, route)
        event = self._event(api, route, request, parameters, stage=stage, segments=segments, query=query)
        event["requestContext"].update(requestId=request_id, extendedRequestId=request_id)
        event["requestContext"]["identity"].update(sourceIp=peer, apiKeyId=key_id)
        return _proxied(self._invoke(route, json.dumps(event).encode()), request_id)

    def _invoke(self, route: Route, event: bytes) -> Outcome:
        try:
            return self._functions.invoke(route.function, event, patience_seconds=route.timeout_seconds)
        except StillRunning:
            raise Refused(TIMED_OUT) from None
        except PayloadTooLarge:
            raise Refused(TOO_LARGE) from None
        except Throttled:
            raise Refused(BUSY) from None

    def _find(self, api: RestAPI, method: str, segments: list[str]) -> tuple[Route, dict[str, str]]:
        routes = self._routes.get(api.id) or self._read_routes(api)
        for route in routes:
            if route.method in (method, "ANY"):
                parameters = route.match(segments)
                if parameters is not None:
                    return route, parameters
        raise Refused(NOT_FOUND)

    def _read_routes(self, api: RestAPI) -> list[Route]:
        """Read the API's methods, the most exact paths first."""
        routes = [
            Route(
                method=method.http_method,
                path=resource.get_path(),
                segments=tuple(resource.get_path().split("/")[1:]),
                resource_id=resource.id,
                function=method.method_integration.uri.split(":function:")[1].split("/")[0].split(":")[0],
                needs_key=bool(method.api_key_required),
                timeout_seconds=float(method.method_integration.timeout_in_millis or 29_000) / 1000,
            )
            for resource in api.resources.values()
            for method in resource.resource_methods.values()
            if method.method_integration and method.method_integration.integration_type == "AWS_PROXY"
        ]
        routes.sort(key=lambda route: [(part.endswith("+}"), part.startswith("{")) for part in route.segments])
        with self._lock:
            self._routes[api.id] = routes
        return routes

    def _check_key(self, api: RestAPI, stage: str, request: Request) -> str:
        """Find the key's usage plan, and keep to its limits. Returns the key's id."""
        value = request.lower.get("x-api-key", "")
        for plan_id, plan in self._backend.usage_plans.items():
            if not any(s.get("apiId") == api.id and s.get("stage") == stage for s in plan.api_stages):
                continue
            for key_id, entry in self._backend.usage_plan_keys.get(plan_id, {}).items():
                key = self._backend.keys.get(key_id)
                if key is not None and key.enabled and value and entry.value == value:
                    self._throttle_key(plan, key_id)
                    return key_id
        raise Refused(FORBIDDEN)

    def _throttle_key(self, plan: UsagePlan, key_id: str) -> None:
        limits = (plan.throttle.get("rateLimit"), plan.throttle.get("burstLimit"))
        if limits != (None, None) and not self._take((plan.id, key_id), *limits):
            raise Refused(TOO_MANY)
        if "limit" in plan.quota:
            period = int(time.time() / _QUOTA_SECONDS[plan.quota.get("period", "MONTH")])
            with self._lock:
                used = self._used.get((plan.id, key_id, period), 0) + 1
                self._used[(plan.id, key_id, period)] = used
            if used > int(plan.quota["limit"]):
                raise Refused(QUOTA)

    def _throttle_stage(self, api: RestAPI, stage: str, route: Route) -> None:
        settings = getattr(api.stages[stage], "twin_method_settings", [])
        for setting in settings:
            is_meant = setting.get("HttpMethod", "*") in ("*", route.method) and setting.get(
                "ResourcePath", "/*"
            ).replace("~1", "/") in ("/*", route.path)
            limits = (setting.get("ThrottlingRateLimit"), setting.get("ThrottlingBurstLimit"))
            if is_meant and limits != (None, None) and not self._take((api.id, stage, route.path), *limits):
                raise Refused(TOO_MANY)

    def _take(self, who: tuple[Any, ...], rate: Any, burst: Any) -> bool:
        limits = (float(rate if rate is not None else 10_000), float(burst if burst is not None else 5_000))
        now = time.monotonic()
        with self._lock:
            bucket = self._buckets.setdefault((*who, *limits), Bucket(rate=limits[0], burst=limits[1], now=now))
        return bucket.take(now)

    def _event(
        self,
        api: RestAPI,
        route: Route,
        request: Request,
        parameters: dict[str, str],
        *,
        stage: str,
        segments: list[str],
        query: str,
    ) -> dict[str, Any]:
        """Write a request as a proxy event, version 1.0."""
        now = time.time()
        path = "/" + "/".join(segments)
        multi_headers: dict[str, list[str]] = {}
        for name, value in request.headers:
            multi_headers.setdefault(name, []).append(value)
        multi_query: dict[str, list[str]] = {}
        for name, value in parse_qsl(query, keep_blank_values=True):
            multi_query.setdefault(name, []).append(value)
        body, is_base64 = _text(request, api.binaryMediaTypes)
        return {
            "resource": route.path,
            "path": unquote(path),
            "httpMethod": request.method,
            "headers": {name: values[-1] for name, values in multi_headers.items()},
            "multiValueHeaders": multi_headers,
            "queryStringParameters": {name: values[-1] for name, values in multi_query.items()} or None,
            "multiValueQueryStringParameters": multi_query or None,
            "pathParameters": parameters or None,
            "stageVariables": api.stages[stage].variables or None,
            "requestContext": {
                "accountId": self._account,
                "apiId": api.id,
                "domainName": request.lower.get("host", "localhost"),
                "domainPrefix": api.id,
                "httpMethod": request.method,
                "identity": {
                    "apiKey": request.lower.get("x-api-key") if route.needs_key else None,
                    "userAgent": request.lower.get("user-agent"),
                },
                "path": f"/{stage}{path}",
                "protocol": request.version,
                "requestTime": datetime.fromtimestamp(now, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000"),
                "requestTimeEpoch": int(now * 1000),
                "resourceId": route.resource_id,
                "resourcePath": route.path,
                "stage": stage,
            },
            "body": body,
            "isBase64Encoded": is_base64,
        }


def _text(request: Request, binary_types: list[str]) -> tuple[str | None, bool]:
    if not request.body:
        return None, False
    kind = request.lower.get("content-type", "application/json").split(";")[0].strip()
    if kind in binary_types or "*/*" in binary_types:
        return base64.b64encode(request.body).decode(), True
    # As AWS does: what is not of a binary media type is text in UTF-8, and each byte that is none becomes U+FFFD. So a
    # body in Latin-1 reaches the function with its letters lost.
    return request.body.decode("utf-8", "replace"), False


def _proxied(outcome: Outcome, request_id: str) -> Response:
    """Make a function's answer an HTTP response. Raises Refused where it is none."""
    if outcome.error_type is not None:
        raise Refused(FAILED)
    try:
        answer = json.loads(outcome.payload)
        status = int(answer["statusCode"])
        if not 200 <= status <= 599:
            raise ValueError(f"{status} is no status of an answer")  # noqa: TRY301 (as for all else that is none)
        headers = _headers(answer)
        body = answer.get("body") or ""
        content = base64.b64decode(body, validate=True) if answer.get("isBase64Encoded") else body.encode()
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error):
        _LOG.info("a function answered HTTP with %d bytes that are no response", len(outcome.payload))
        raise Refused(FAILED) from None
    return Response(status, content, [*headers, ("x-amzn-RequestId", request_id)])


def _headers(answer: dict[str, Any]) -> list[tuple[str, str]]:
    many = answer.get("multiValueHeaders") or {}
    headers = [(name, str(value)) for name, values in many.items() for value in values]
    given = {name.lower() for name in many}
    for name, value in (answer.get("headers") or {}).items():
        if name.lower() not in given:
            headers.append((name, _plain(value)))
            given.add(name.lower())
    if "content-type" not in given:
        headers.append(("Content-Type", "application/json"))
    headers = [(name, value) for name, value in headers if name.lower() not in ("content-length", "connection")]
    if any("\r" in text or "\n" in text for header in headers for text in header):
        raise ValueError("a header holds a line break")
    return headers


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _refuse(refusal: Refusal, responses: dict[str, GatewayResponse], request_id: str) -> Response:
    """Word an answer of the gateway's own, as the template has it."""
    family = "DEFAULT_4XX" if refusal.status < 500 else "DEFAULT_5XX"
    wording = responses.get(refusal.kind) or responses.get(family)
    template = '{"message":$context.error.messageString}'
    headers = [("x-amzn-RequestId", request_id), ("x-amzn-ErrorType", refusal.kind)]
    status, kind = refusal.status, "application/json"
    if wording is not None:
        status = int(wording.status_code or refusal.status)
        kind, template = next(iter((wording.response_templates or {}).items()), (kind, template))
        headers += [
            (name.removeprefix("gatewayresponse.header."), value.strip("'"))
            for name, value in (wording.response_parameters or {}).items()
            if name.startswith("gatewayresponse.header.")
        ]
    body = (
        template.replace("$context.error.messageString", json.dumps(refusal.message))
        .replace("$context.error.message", refusal.message)
        .replace("$context.error.responseType", refusal.kind)
        .replace("$context.requestId", request_id)
    )
    return Response(status, body.encode(), [("Content-Type", kind), *headers])
