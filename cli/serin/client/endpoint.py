"""How is the endpoint asked over HTTP, and what does its error mean?"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any, Protocol

from serin.errors import InvalidRows, NotFound, Refused, RowProblem, SerinError, Unavailable

MOST_NAMED = 6  # problems of rows
TIMEOUT_SECONDS = 30
_PROBLEM = ("row", "field", "code", "message")


class Endpoint(Protocol):
    """Where requests are answered."""

    def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]: ...


def ask(url: str, method: str, body: Any, *, api_key: str) -> dict[str, Any]:
    """Send a request and read its answer, JSON both. Raises what the endpoint's error means; Unavailable."""
    request = urllib.request.Request(  # the address comes from the stack's own output
        url,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"x-api-key": api_key, "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:  # as above
            answer: dict[str, Any] = json.load(response)
            return answer
    except urllib.error.HTTPError as error:
        raise _http_error(error) from None  # it says all that the answer said
    except OSError as error:
        raise Unavailable(f"the endpoint {url} does not answer: {error}") from error


def invalid_rows(message: str, problems: list[RowProblem]) -> InvalidRows:
    """Make the error of rows that break the contract; its message names the first problems."""
    invalid = InvalidRows(problems)
    others = [f"\n  row {problem.row}, {problem.field}: {problem.message}" for problem in problems[1:MOST_NAMED]]
    invalid.message = message + "".join(others)
    invalid.args = (invalid.message,)
    return invalid


def _http_error(error: urllib.error.HTTPError) -> SerinError:
    """Turn the endpoint's error into one with its code and message."""
    try:
        body = json.loads(error.read())["error"]
        message, code = body["message"], body["code"]
    except (ValueError, KeyError, TypeError):
        return SerinError(f"the endpoint answers {error.code}", code="HTTP")
    if problems := body.get("problems"):
        return invalid_rows(message, [RowProblem(*(problem[key] for key in _PROBLEM)) for problem in problems])
    kind = NotFound if error.code == 404 else Refused if error.code < 500 else Unavailable
    return kind(message, code=code)
