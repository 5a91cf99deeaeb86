"""What can go wrong, and what does it mean to whoever called?

    SerinError
    ├── ContractError     the contract says something it must not
    ├── NotFound          what was asked for does not exist
    ├── Refused           what was sent cannot be used as it is
    │   ├── BadRequest    it cannot be read at all
    │   ├── InvalidRows   it can be read, and breaks the contract
    │   ├── TooLarge      it is over a limit
    │   └── WrongType     it is of a content type that is not read
    ├── Conflict          the state moved on, or forbids this
    ├── Unverified        stored bytes are not what their manifest promises
    ├── ModelOutput       the model answered what is no answer
    └── Unavailable       something is out of reach for now; the same call may succeed later

The HTTP status of each stands in serin/serving/http/errors.py, and nowhere else.
"""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import dataclass


class SerinError(Exception):
    """When Serin cannot do what was asked. `code` is stable; the message is for a person."""

    code = "ERROR"
    fix = ""  # what to do, where the message does not say it

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code


class ContractError(SerinError):
    """When a contract cannot be used. `problems` holds each finding with its place."""

    code = "CONTRACT"

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding in a contract: where it stands and what is wrong with it."""

    file: str
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.key or 'the contract'}: {self.message}"


class NotFound(SerinError):
    """When what was asked for does not exist."""

    code = "NOT_FOUND"


class Refused(SerinError):
    """When what was sent cannot be used as it is."""

    code = "REFUSED"


class BadRequest(Refused):
    """When what was sent cannot be read."""

    code = "BAD_REQUEST"


@dataclass(frozen=True, slots=True)
class RowProblem:
    """What is wrong with one field of one row sent for prediction. row counts from 0."""

    row: int
    field: str
    code: str
    message: str


class InvalidRows(Refused):
    """When rows can be read but break the contract. `problems` names row and field of each.

    unnamed: how many more there are, not worth naming each.
    """

    code = "INVALID_ROWS"

    def __init__(self, problems: Sequence[RowProblem], *, unnamed: int = 0) -> None:
        first, others = problems[0], len(problems) - 1 + unnamed
        more = f" (and {others:,} more)" if others else ""
        super().__init__(f"row {first.row}, {first.field}: {first.message}{more}")
        self.problems = tuple(problems)


class TooLarge(Refused):
    """When what was sent is over a limit."""

    code = "TOO_LARGE"


class WrongType(Refused):
    """When what was sent is of a content type that is not read."""

    code = "CONTENT_TYPE"


class Conflict(SerinError):
    """When the state moved on since it was read, or forbids what was asked."""

    code = "CONFLICT"


class Unverified(SerinError):
    """When stored bytes are not what their manifest promises."""

    code = "UNVERIFIED"


class ModelOutput(SerinError):
    """When a model answers what is no answer: a score that is not a finite number."""

    code = "MODEL_OUTPUT"


class Unavailable(SerinError):
    """When something is out of reach for now; the same call may succeed later."""

    code = "UNAVAILABLE"


def loggable(error: BaseException) -> str:
    """Say of an error what may stand in a log: our own words, or of others' its type and place.

    Whoever else words an error, and whoever refuses a row, may quote values in it, which are nobody's to read there.
    """
    if isinstance(error, SerinError) and not isinstance(error, Refused):
        return error.message
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    places = " > ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in frames)
    code = f" {error.code}" if isinstance(error, SerinError) else ""
    return f"{type(error).__name__}{code} at {places or 'no known place'}"
