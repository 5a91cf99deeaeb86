"""How does one version answer far from AWS? By the endpoint's own code, over the files of an export."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from serin.errors import Unverified
from serin.registry.records import Champion, Route
from serin.serving.answer import EXPLANATION
from serin.serving.endpoint import Endpoint
from serin.serving.route import Router


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """One version of one model, ready to answer."""

    model: str
    version: int
    endpoint: Endpoint

    @classmethod
    def open(cls, read: Callable[[str], bytes]) -> Elsewhere:
        """Open an export. read: gives a file by its name.

        Raises Unverified, Unavailable where a file is not what the manifest promises, or cannot be loaded.
        """
        try:
            manifest = json.loads(read("manifest.json"))
            name = str(manifest["model"])
            route = Route(name, Champion(int(manifest["version"]), dict(manifest["files"]), since=""))
        except (ValueError, KeyError, TypeError) as error:
            raise Unverified(f"manifest.json cannot be read: {error}") from error
        router = Router(lambda model: route if model == name else None, lambda key: read(_name(key)), time.monotonic)
        router.serving(name)
        endpoint = Endpoint(router, new_id=lambda: secrets.token_hex(8), names=lambda: [name])
        return cls(name, route.champion.version, endpoint)

    def predict(self, rows: Sequence[Mapping[str, Any]], *, explain: bool = False) -> list[dict[str, Any]]:
        """Answer rows as the endpoint does, one object for each. Raises InvalidRows, ModelOutput, Refused."""
        return self.endpoint.answer(self.model, rows, needs=EXPLANATION if explain else ()).answers()


def _name(key: str) -> str:
    return key.rpartition("/")[2]
