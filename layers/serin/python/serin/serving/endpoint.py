"""What does the endpoint answer? From the bytes of a request to what is dumped as JSON, whatever serves the HTTP."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from serin.contract.spec import ServingSpec
from serin.errors import BadRequest, NotFound, TooLarge
from serin.registry.records import Champion
from serin.serving.answer import answers
from serin.serving.encode import Encoded, encode
from serin.serving.model import MAX_ROWS
from serin.serving.route import Router, Serving

MAX_BODY_BYTES = 2**20
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")


@dataclass(frozen=True, slots=True)
class Answered:
    """What one version answers to the rows of one request, in whatever form they came. scores: as its spec says."""

    id: str
    champion: Champion
    spec: ServingSpec
    scores: NDArray[np.float64]
    notes: tuple[tuple[str, ...], ...]
    is_degraded: bool


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Answers requests: one data plane under every form of HTTP. new_id: makes prediction ids."""

    router: Router
    new_id: Callable[[], str]

    def predict(self, model: str, body: bytes) -> dict[str, Any]:
        """Answer `{"rows": [{…}, …]}`.

        Raises BadRequest, TooLarge, InvalidRows, NotFound, Unavailable; ModelOutput where the model gives no number.
        """
        serving = self._serving(model)
        fast = serving.model.decoder.decode(body) if len(body) <= MAX_BODY_BYTES else None
        encoded = encode(read_rows(body), serving.model.spec) if fast is None else fast
        answered = self._answer(serving, encoded)
        said = {
            "model": model,
            "version": answered.champion.version,
            "id": answered.id,
            "predictions": answers(answered.scores, answered.spec, prediction_id=answered.id, notes=answered.notes),
        }
        return {**said, "degraded": True} if answered.is_degraded else said

    def answer(self, model: str, rows: Sequence[Mapping[str, Any]]) -> Answered:
        """Answer rows, all of them by one version. Raises as `predict` does."""
        serving = self._serving(model)
        return self._answer(serving, encode(rows, serving.model.spec))

    def _answer(self, serving: Serving, encoded: Encoded) -> Answered:
        scores = serving.model.predict(encoded)
        return Answered(self.new_id(), serving.champion, serving.model.spec, scores, encoded.notes, serving.is_degraded)

    def describe(self, model: str) -> dict[str, Any]:
        """Say what a model is, who answers, and what it takes."""
        serving = self._serving(model)
        spec = serving.model.spec
        return {
            "model": model,
            "task": spec.task,
            "target": spec.target,
            "champion": {
                "version": serving.champion.version,
                "since": serving.champion.since,
                "files": serving.champion.files,
            },
            "classes": list(spec.classes),
            "features": [feature.describe() for feature in spec.features],
            "degraded": serving.is_degraded,
        }

    def _serving(self, model: str) -> Serving:
        if not _NAME.fullmatch(model):
            raise NotFound(
                "there is no model of that name; a name has lower-case letters, digits, - and _", code="UNKNOWN_MODEL"
            )
        return self.router.serving(model)


def read_rows(body: bytes, *, names: tuple[str, ...] = ("rows",)) -> list[dict[str, Any]]:
    """Read the rows of a request strictly: no NaN, no key twice, no nesting, no endless number.

    names: the keys under one of which they may stand. Raises BadRequest or TooLarge.
    """
    if len(body) > MAX_BODY_BYTES:
        raise TooLarge(f"the body has {len(body):,} bytes; at most {MAX_BODY_BYTES:,} are read")
    try:
        document = json.loads(
            body.decode(), object_pairs_hook=_without_repeats, parse_constant=_refuse_constant, parse_float=_finite
        )
    except UnicodeDecodeError as error:
        raise BadRequest("the body is not UTF-8") from error
    except RecursionError as error:
        raise BadRequest("the body is nested too deeply") from error
    except ValueError as error:
        raise BadRequest(f"the body is not JSON: {_short(str(error))}") from error
    name = next((name for name in names if isinstance(document, dict) and name in document), names[0])
    rows = document.get(name) if isinstance(document, dict) else None
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise BadRequest(f'the body must be {{"{name}": [{{"<feature>": <value>, …}}, …]}} with at least one row')
    if unknown := set(document) - {name}:
        raise BadRequest(f"{_short(sorted(unknown)[0])!r} is not known here; the body has {name} and nothing else")
    if len(rows) > MAX_ROWS:
        raise TooLarge(f"{len(rows):,} rows; at most {MAX_ROWS:,} are answered at once")
    return rows


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise BadRequest(f"the key {_short(twice)!r} stands twice in one object")
    return found


def _refuse_constant(text: str) -> NoReturn:
    raise BadRequest(f"{text} is not a number of JSON", code="NON_FINITE")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise BadRequest(f"{_short(text)} is too large a number", code="NON_FINITE")
    return number


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "…"
