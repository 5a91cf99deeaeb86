"""How is a body read, and written? Strictly: no NaN, no key twice, no endless number, no more than its limits."""

from __future__ import annotations

import json
import math
import unicodedata
from typing import Any, NoReturn

import msgspec

from serin.errors import BadRequest, TooLarge

dump_json = msgspec.json.Encoder().encode  # much faster than json, and what is not finite becomes null
MAX_BODY_BYTES = 2**20
MAX_ROWS = 1000


class _NonFinite(Exception):
    """When a number is not finite."""


class _Held(Exception):
    """When the field of such a number is found."""


def read_text(body: bytes) -> str:
    """Read a body as text in composed characters, without a mark of UTF-8 before it. Raises BadRequest or TooLarge."""
    if len(body) > MAX_BODY_BYTES:
        raise TooLarge(f"the body has {len(body):,} bytes; at most {MAX_BODY_BYTES:,} are read")
    try:
        text = body.decode("utf-8-sig")
        return text if text.isascii() else unicodedata.normalize("NFC", text)
    except UnicodeDecodeError as error:
        raise BadRequest("the body is not UTF-8") from error


def read_json(body: bytes) -> Any:
    """Read a body as JSON. Raises BadRequest or TooLarge."""
    text = read_text(body)
    try:
        document = json.loads(
            text, object_pairs_hook=_without_repeats, parse_constant=_refuse_constant, parse_float=_finite
        )
        if "\\u" in text:  # an escape can stand for half a character, which no answer could repeat
            json.dumps(document, ensure_ascii=False).encode()
        return document
    except UnicodeEncodeError as error:
        half = ascii(error.object[error.start])
        raise BadRequest(f"the body has half of a surrogate pair, {half}, which is no character") from error
    except _NonFinite as error:
        raise BadRequest(f"{shorten(_holder(text))}: {error}", code="NON_FINITE") from None
    except RecursionError as error:
        raise BadRequest("the body is nested too deeply") from error
    except ValueError as error:
        raise BadRequest(f"the body is not JSON: {shorten(str(error))}") from error


def check_keys(document: dict[str, Any], known: tuple[str, ...], place: str) -> None:
    """Raise BadRequest where an object has a key that means nothing there."""
    if unknown := document.keys() - set(known):
        raise BadRequest(
            f"{shorten(min(unknown))!r} is not known here; {place} has {' and '.join(known)}, nothing else"
        )


def read_flag(text: str, name: str) -> bool:
    """Read a parameter of a query that says yes or no. Raises BadRequest."""
    if text not in ("true", "false"):
        raise BadRequest(f"{name} must be true or false, not {shorten(text)!r}")
    return text == "true"


def check_count(rows: int) -> None:
    """Raise BadRequest where there is no row, TooLarge where there are too many."""
    if rows < 1:
        raise BadRequest("there must be at least one row")
    if rows > MAX_ROWS:
        raise TooLarge(f"{rows:,} rows; at most {MAX_ROWS:,} are answered at once")


def shorten(text: str) -> str:
    """Write what somebody sent for a message."""
    return text if len(text) <= 80 else text[:77] + "…"


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise BadRequest(f"the key {shorten(twice)!r} stands twice in one object")
    return document


def _refuse_constant(text: str) -> NoReturn:
    raise _NonFinite(f"{text} is not a number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _NonFinite(f"{shorten(text)} is too large a number")
    return number


def _holder(text: str) -> str:
    """Name the field, or the tensor, in which a number stands that is not finite: the parser does not say."""

    def look(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        document = dict(pairs)
        for key, value in pairs:
            if _is_not_finite(value):
                raise _Held(document["name"] if key == "data" and isinstance(document.get("name"), str) else key)
        return document

    try:
        json.loads(text, object_pairs_hook=look)
    except _Held as held:
        return str(held)
    except (ValueError, RecursionError):  # what is more is wrong with it has no need to be said
        pass
    return "the body"


def _is_not_finite(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_is_not_finite, value))
    return isinstance(value, float) and not math.isfinite(value)
