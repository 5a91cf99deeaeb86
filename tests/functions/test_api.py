"""The Chalice app answers events of API Gateway; every error has its status, and no input ends in a 500."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from chalice.config import Config
from chalice.local import LocalGateway

from functions.api import handler
from serin import errors
from serin.contract.serving_spec import ServingSpec
from serin.errors import ModelOutput, NotFound, SerinError, TooLarge, Unavailable
from serin.serving.endpoint import Endpoint, read_rows
from serin.serving.http.errors import STATUS
from serin.serving.routing.router import Router
from serin.serving.rows.body import MAX_BODY_BYTES


class StubEndpoint:
    """Stands for the endpoint: reads the rows as it does, and answers or raises what the test says."""

    error: Exception | None = None

    def predict(self, model: str, body: bytes, *, explain: bool) -> dict[str, Any]:
        rows = read_rows(body)
        if self.error:
            raise self.error
        return {"model": model, "rows": len(rows), **({"explained": True} if explain else {})}

    def describe(self, model: str, version: str | None = None) -> dict[str, Any]:  # of a stub
        if self.error:
            raise self.error
        return {"model": model, "features": []}

    def serving(self, model: str) -> SimpleNamespace:
        return SimpleNamespace(model=SimpleNamespace(spec=ServingSpec(model, "regression", "y", ())))


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[StubEndpoint]:
    stub = StubEndpoint()
    monkeypatch.setattr(handler, "endpoint", lambda: stub)
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Serin")
    return stub  # type: ignore[return-value]  # nothing to tear down


def ask(
    method: str, path: str, body: bytes = b"", kind: str = "application/json"
) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Send a request through Chalice's own local gateway, which makes API Gateway's event of it."""
    gateway = LocalGateway(handler.app, Config())
    answer = gateway.handle_request(method, path, {"Content-Type": kind, "x-api-key": "k"}, body)
    return answer["statusCode"], json.loads(answer["body"]), answer["headers"]


def test_health_needs_nothing() -> None:
    assert ask("GET", "/health")[:2] == (200, {"status": "ok"})


def test_an_answer_is_json(stub: StubEndpoint) -> None:
    status, body, _ = ask("POST", "/models/loans/predict", b'{"rows": [{}, {}]}')
    assert (status, body) == (200, {"model": "loans", "rows": 2})


def test_an_explanation_is_asked_for_in_the_query(stub: StubEndpoint) -> None:
    path, body = "/models/loans/predict?explain=", b'{"rows": [{}]}'
    assert ask("POST", f"{path}true", body)[:2] == (200, {"model": "loans", "rows": 1, "explained": True})
    status, said, _ = ask("POST", f"{path}1", body)
    assert (status, said["error"]["code"]) == (400, "BAD_REQUEST")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (NotFound("?", code="NO_CHAMPION"), 404, "NO_CHAMPION"),
        (TooLarge("?"), 413, "TOO_LARGE"),
        (Unavailable("?"), 503, "UNAVAILABLE"),
        (ModelOutput("?"), 500, "MODEL_OUTPUT"),
    ],
)
def test_an_error_has_its_status_and_code(stub: StubEndpoint, error: SerinError, status: int, code: str) -> None:
    stub.error = error
    found, body, headers = ask("GET", "/models/loans")
    assert (found, body["error"]["code"]) == (status, code)
    assert ("Retry-After" in headers) == (status == 503)


@pytest.mark.parametrize("path", ["/models/loans", "/v2/models/loans"])
def test_what_was_not_foreseen_is_a_500_in_our_form_and_logged_with_its_place(
    stub: StubEndpoint, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, path: str
) -> None:
    stub.error = ZeroDivisionError("by nothing")
    status, body, _ = ask("GET", path)
    message = body["error"] if path.startswith("/v2") else body["error"]["message"]
    assert status == 500
    assert "not foreseen" in message
    assert "by nothing" not in message
    assert "ZeroDivisionError at dispatch.py:" in caplog.text
    assert "by nothing" not in caplog.text, "what others say of an error may quote a value"
    (counted,) = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    assert (counted["NoAnswer"], counted["code"]) == ([1.0], "UNEXPECTED")


def test_every_error_is_mapped_to_a_status() -> None:
    def kinds(module: ModuleType) -> list[type[SerinError]]:
        return [kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, SerinError)]

    for kind in kinds(errors):
        assert kind in STATUS, f"{kind.__name__} has no status of its own in serin/serving/http/errors.py"


def test_another_content_type_is_refused_in_our_form_and_none_is_json(stub: StubEndpoint) -> None:
    status, body, _ = ask("POST", "/models/loans/predict", b"rows", kind="text/plain")
    assert (status, body["error"]["code"]) == (415, "CONTENT_TYPE")
    assert ask("POST", "/models/loans/predict", b'{"rows": [{}]}', kind="application/json; charset=utf-8")[0] == 200


def test_csv_gets_through_and_the_open_protocol_has_its_own_errors(stub: StubEndpoint) -> None:
    assert ask("POST", "/models/loans/invocations", b"", kind="text/csv")[0] == 400
    stub.error = NotFound("there is none")
    status, body, _ = ask("GET", "/v2/models/loans")
    assert (status, body) == (404, {"error": "there is none"})


HOSTILE = {
    "nothing": b"",
    "not JSON": b"{",
    "not UTF-8": b'{"rows": [{"a": "\xff"}]}',
    "NaN": b'{"rows": [{"a": NaN}]}',
    "Infinity": b'{"rows": [{"a": -Infinity}]}',
    "1e999": b'{"rows": [{"a": 1e999}]}',
    "a key twice": b'{"rows": [{"a": 1, "a": 2}]}',
    "rows twice": b'{"rows": [{}], "rows": [{}]}',
    "depth": b'{"rows": [{"a": ' + b"[" * 5000 + b"]" * 5000 + b"}]}",
    "5,000 digits": b'{"rows": [{"a": ' + b"9" * 5000 + b"}]}",
    "a list": b"[]",
    "no rows": b'{"rows": []}',
    "rows of numbers": b'{"rows": [1]}',
    "a number": b"1",
    "another key": b'{"rows": [{}], "instances": []}',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_body_is_a_400_that_says_why(stub: StubEndpoint, name: str) -> None:
    status, body, _ = ask("POST", "/models/loans/predict", HOSTILE[name])
    assert status == 400
    assert body["error"]["message"]
    assert len(body["error"]["message"]) < 400


@pytest.mark.parametrize("body", [b" " * (MAX_BODY_BYTES + 1), json.dumps({"rows": [{}] * 1001}).encode()])
def test_too_much_is_a_413_with_the_limit(stub: StubEndpoint, body: bytes) -> None:
    status, answer, _ = ask("POST", "/models/loans/predict", body)
    assert status == 413
    assert "at most" in answer["error"]["message"]


@pytest.mark.parametrize("model", ["..", "a#b", "UPPER", "x" * 2049, "a\r\nb", "é", ""])
def test_a_name_that_no_model_can_have_is_not_found(model: str) -> None:
    router = Router(pytest.fail, pytest.fail, lambda: 0.0)  # it must not get so far as to read anything
    endpoint = Endpoint(router, new_id=lambda: "p")
    with pytest.raises(NotFound):
        endpoint.describe(model)
