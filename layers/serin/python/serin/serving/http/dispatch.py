"""Which path is answered by what? Under Chalice, or under any other server of HTTP; every path stands here once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from serin.errors import BadRequest, NotFound, SerinError, WrongType, loggable
from serin.serving.http.errors import body_of, status_of
from serin.serving.http.protocols import scoring, v2
from serin.serving.rows.body import dump_json, read_flag

if TYPE_CHECKING:  # who only reads the routes, as a synthesis does, loads nothing that answers
    from serin.serving.endpoint import Endpoint


UNEXPECTED = "something went wrong that was not foreseen; it is in the log, and the request can be sent again"

CHARSETS = ("utf-8", "utf8", "us-ascii", "ascii")
LOST_LETTER = "\ufffd".encode()


class Request(NamedTuple):  # as Reply: made for every request, and a frozen dataclass takes three times as long
    """A request. parameters: of its path. kind: its content type without parameters; JSON where it says none."""

    endpoint: Callable[[], Endpoint]
    parameters: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    kind: str
    query: Mapping[str, str]

    @property
    def model(self) -> str:
        return self.parameters["model"]

    @property
    def version(self) -> str | None:
        return self.parameters.get("version")


class Reply(NamedTuple):
    """What is sent back. body: what is dumped as JSON, or a text of the content type in headers."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = MappingProxyType({})

    @property
    def text(self) -> str:
        """What is sent: the body, as JSON where it is not a text of its own."""
        return self.body if isinstance(self.body, str) else dump_json(self.body).decode()


@dataclass(frozen=True, slots=True)
class HttpRoute:
    """One path and method. needs_key: whether the API asks for a key. types: the content types that it reads."""

    method: str
    path: str
    answer: Callable[[Request], Any]
    needs_key: bool = True
    types: tuple[str, ...] = (scoring.JSON,)

    @property
    def is_v2(self) -> bool:
        return self.path.startswith("/v2")


def respond(
    route: HttpRoute,
    endpoint: Callable[[], Endpoint],
    parameters: Mapping[str, str],
    headers: Mapping[str, str],
    body: bytes,
    query: Mapping[str, str] | None,
    report: Callable[[str, str, str], None],
) -> Reply:
    """Answer a request, or say its error.

    headers: found by their names in lower case. report: told the metric, the code and the reason of what a person
    must see.
    """
    kind, charset = _read_type(headers.get("content-type", scoring.JSON))
    request = Request(endpoint, parameters, headers, body, kind, query or {})
    try:
        if body and route.method == "POST":
            _check_type(route, kind, charset, headers)
            _check_letters(body)
        answer = route.answer(request)
        return answer if isinstance(answer, Reply) else Reply(answer)
    except Exception as raised:
        error = raised if isinstance(raised, SerinError) else SerinError(UNEXPECTED, code="UNEXPECTED")
        status = status_of(error)
        if status >= 500:
            with suppress(Exception):  # the answer comes before the word about it
                report("NoAnswer", error.code, loggable(raised))
        return Reply(body_of(error, is_v2=route.is_v2), status, {"Retry-After": "5"} if status == 503 else {})


@lru_cache(maxsize=64)  # nearly every request has the same
def _read_type(text: str) -> tuple[str, str]:
    """Divide a content type into what it is, and in which charset: "utf-8" where it says none."""
    kind, _, more = text.partition(";")
    pairs = [parameter.partition("=") for parameter in more.split(";")]
    charsets = [value.strip(" \t\"'").lower() for name, _, value in pairs if name.strip().lower() == "charset"]
    return kind.strip().lower(), next((charset for charset in charsets if charset not in CHARSETS), CHARSETS[0])


def _check_type(route: HttpRoute, kind: str, charset: str, headers: Mapping[str, str]) -> None:
    """Raise WrongType where a body comes in a form that is not read here."""
    if kind not in route.types:
        raise WrongType(f"a body of {kind[:80] or 'no type'} is not read here; send {' or '.join(route.types)}")
    if charset not in CHARSETS:
        raise WrongType(f"a body in {charset[:80] or 'no charset'} is not read here; send UTF-8")
    coding = headers.get("content-encoding", "identity").strip().lower()
    if coding != "identity":
        raise WrongType(f"a body with Content-Encoding {coding[:80]} is not read here; send it as it is")


def _check_letters(body: bytes) -> None:
    """Raise BadRequest where letters were lost: API Gateway puts U+FFFD for each byte that is not UTF-8."""
    if not body.isascii() and LOST_LETTER in body:
        raise BadRequest(
            "this is not UTF-8, or has the character U+FFFD, which stands for a letter that was lost; "
            "where that very character is meant, JSON can write it \\ufffd"
        )


def _predict(request: Request) -> dict[str, Any]:
    explain = read_flag(request.query.get("explain", "false"), "explain")
    return request.endpoint().predict(request.model, request.body, explain=explain)


def _kept_answer(request: Request) -> dict[str, Any]:
    entity = request.query.get("entity")
    if not entity:
        raise BadRequest("whose answer? Name the entity in the query: ?entity=…")
    _check_letters(entity.encode())
    return request.endpoint().kept_answer(request.model, entity)


def _feedback(request: Request) -> dict[str, Any]:
    return request.endpoint().take_feedback(request.model, request.body)


def _infer(request: Request) -> dict[str, Any]:
    v2.refuse_binary(request.headers)
    return v2.infer(request.endpoint(), request.model, request.version, request.body)


def _describe(request: Request) -> dict[str, Any]:
    return v2.describe(request.endpoint(), request.model, request.version)


def _ready(request: Request) -> dict[str, Any]:
    return v2.ready(request.endpoint(), request.model, request.version)


def _server_ready(request: Request) -> dict[str, Any]:
    request.endpoint().names()
    return {"ready": True}


def _ping(request: Request) -> dict[str, Any]:
    request.endpoint().describe(request.model)
    return {"status": "ok"}


def _invoke(request: Request) -> Reply:
    wanted = request.headers.get("accept", scoring.JSON)
    answer, headers = scoring.invoke(request.endpoint(), request.model, request.kind, request.body, wanted)
    return Reply(answer, headers=headers)


def _invoke_as_tensorflow(request: Request) -> Reply:
    model, _, verb = request.parameters["call"].rpartition(":")
    if verb != "predict":
        raise NotFound("of TensorFlow Serving's paths there is POST /v1/models/{model}:predict")
    answer, headers = scoring.invoke(request.endpoint(), model, scoring.JSON, request.body, scoring.JSON)
    return Reply(answer, headers=headers)


def _openapi(request: Request) -> dict[str, Any]:
    from serin.serving.http.protocols import openapi  # no prediction needs it

    return openapi.document(request.endpoint().describe(request.model))


def _docs(request: Request) -> Reply:
    from serin.serving.http.protocols import openapi, page

    document = openapi.document(request.endpoint().describe(request.model))
    return Reply(page.write(document), headers={"Content-Type": "text/html; charset=utf-8"})


def _versioned(method: str, below: str, answer: Callable[[Request], Any]) -> list[HttpRoute]:
    return [HttpRoute(method, f"/v2/models/{{model}}{at}{below}", answer) for at in ("", "/versions/{version}")]


ROUTES = [
    HttpRoute("GET", "/health", lambda _: {"status": "ok"}, needs_key=False),
    HttpRoute("GET", "/models/{model}", lambda request: request.endpoint().describe(request.model)),
    HttpRoute("POST", "/models/{model}/predict", _predict),
    HttpRoute("POST", "/models/{model}/invocations", _invoke, types=(scoring.JSON, scoring.CSV, *scoring.JSON_LINES)),
    HttpRoute("POST", "/v1/models/{call}", _invoke_as_tensorflow),
    HttpRoute("GET", "/models/{model}/answers", _kept_answer),
    HttpRoute("POST", "/models/{model}/feedback", _feedback),
    HttpRoute("GET", "/models/{model}/ping", _ping),
    HttpRoute("GET", "/models/{model}/openapi.json", _openapi),
    HttpRoute("GET", "/models/{model}/docs", _docs),
    HttpRoute("GET", "/v2", lambda _: v2.SERVER, needs_key=False),
    HttpRoute("GET", "/v2/health/live", lambda _: {"live": True}, needs_key=False),
    HttpRoute("GET", "/v2/health/ready", _server_ready, needs_key=False),
    HttpRoute("POST", "/v2/repository/index", lambda request: v2.index(request.endpoint(), request.body)),
    *_versioned("GET", "", _describe),
    *_versioned("GET", "/ready", _ready),
    *_versioned("POST", "/infer", _infer),
]
