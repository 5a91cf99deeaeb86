"""What does a refusal by AWS mean to the library? Translated here, once, for every adapter."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError

from serin.errors import Conflict, NotFound, SerinError, Unavailable

_GONE = {
    "NoSuchKey",
    "NoSuchVersion",
    "404",
    "NoSuchBucket",
    "ResourceNotFoundException",
    "ExecutionDoesNotExist",
    "QueueDoesNotExist",
}
_MOVED_ON = {
    "ConditionalCheckFailedException",
    "TransactionCanceledException",
    "PreconditionFailed",
    "ConditionalRequestConflict",
    "TransactionConflictException",
}
_FORBIDDEN = {
    "AccessDenied",
    "AccessDeniedException",
    "403",
    "ExpiredToken",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
}


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Raise what AWS refused in the library's own words. what: the thing that was asked, for the message."""
    try:
        yield
    except ClientError as error:
        raise _meaning(what, error) from error
    except BotoCoreError as error:
        raise Unavailable(f"{what} is out of reach: {error}") from error


def _meaning(what: str, error: ClientError) -> SerinError:
    code, message = error.response["Error"].get("Code", ""), error.response["Error"].get("Message", "")
    if code in _GONE:
        return NotFound(f"{what} does not exist")
    if code == "TransactionCanceledException" and not _has_moved_on(error):
        return Unavailable(f"{what}: {message}")
    if code in _MOVED_ON:
        return Conflict(f"{what} has moved on since it was read")
    if code in _FORBIDDEN:
        return SerinError(f"{what}: access is denied ({code}: {message}); check your AWS credentials", code="FORBIDDEN")
    return Unavailable(f"{what}: {code}: {message}")


def _has_moved_on(error: ClientError) -> bool:
    """Tell whether a transaction was cancelled by a condition or by another one, rather than by its form or a limit."""
    reasons = error.response.get("CancellationReasons", [])
    codes = {reason.get("Code") for reason in reasons} - {"None", None}
    return not codes or bool(codes & {"ConditionalCheckFailed", "TransactionConflict"})
