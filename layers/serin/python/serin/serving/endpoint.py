"""What does the endpoint answer? From the bytes of a request to what is dumped as JSON, whatever serves the HTTP."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serin.contract.spec import ServingSpec
from serin.errors import BadRequest, NotFound
from serin.registry.records import Champion
from serin.serving.answer import answers
from serin.serving.body import MAX_BODY_BYTES, check_count, check_keys, read_json
from serin.serving.encode import Encoded, encode
from serin.serving.route import Router, Serving

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
    """Answers requests: one data plane under every form of HTTP.

    new_id: makes prediction ids. names: lists the models that have a version; raises Unavailable.
    """

    router: Router
    new_id: Callable[[], str]
    names: Callable[[], Sequence[str]] = tuple

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

    def index(self) -> dict[str, Champion | None]:
        """List the models that have a version, each with its champion. Raises Unavailable."""
        return {name: self.router.champion(name) for name in self.names()}

    def _serving(self, model: str) -> Serving:
        if not _NAME.fullmatch(model):
            raise NotFound(
                "there is no model of that name; a name has lower-case letters, digits, - and _", code="UNKNOWN_MODEL"
            )
        return self.router.serving(model)


def read_rows(body: bytes, *, names: tuple[str, ...] = ("rows",)) -> list[dict[str, Any]]:
    """Read `{"rows": [{…}, …]}` strictly. names: the keys under one of which they may stand.

    Raises BadRequest or TooLarge.
    """
    document = read_json(body)
    name = next((name for name in names if isinstance(document, dict) and name in document), names[0])
    rows = document.get(name) if isinstance(document, dict) else None
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise BadRequest(f'the body must be {{"{name}": [{{"<feature>": <value>, …}}, …]}} with at least one row')
    check_keys(document, (name,), "the body")
    check_count(len(rows))
    return rows
