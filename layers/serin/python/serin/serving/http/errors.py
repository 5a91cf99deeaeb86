"""Which HTTP status does an error have, and what does its answer say?"""

from __future__ import annotations

from typing import Any

from serin.errors import (
    BadRequest,
    Conflict,
    ContractError,
    InvalidRows,
    ModelOutput,
    NotFound,
    Refused,
    SerinError,
    TooLarge,
    Unavailable,
    Unverified,
    WrongType,
)

STATUS: dict[type[SerinError], int] = {
    BadRequest: 400,
    NotFound: 404,
    Conflict: 409,
    TooLarge: 413,
    WrongType: 415,
    InvalidRows: 422,
    Refused: 422,
    ContractError: 500,
    Unavailable: 503,
    Unverified: 503,
    ModelOutput: 500,
    SerinError: 500,
}


def status_of(error: SerinError) -> int:
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def body_of(error: SerinError, *, is_v2: bool) -> dict[str, Any]:
    """Give an error the form that it has over HTTP: the protocol V2's, or ours; of many problems the first hundred."""
    if is_v2:
        return {"error": error.message}
    body: dict[str, Any] = {"code": error.code, "message": error.message}
    if isinstance(error, InvalidRows):
        body["problems"] = [
            {"row": problem.row, "field": problem.field, "code": problem.code, "message": problem.message}
            for problem in error.problems[:100]
        ]
    return {"error": body}
