"""Which version answers now? The route row, at most five seconds old, and the verified model that it names."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from serin.errors import NotFound, SerinError, Unavailable, Unverified
from serin.registry.records import Champion, Route
from serin.serving.model import LoadedModel

MAX_AGE_SECONDS = 5.0


class RouteSource(Protocol):
    """Where routes are read. Raises Unavailable where it is out of reach; gives None where a model has no route."""

    def __call__(self, model: str) -> Route | None: ...


class FileSource(Protocol):
    """Where artifacts are read. Raises NotFound, and Unavailable where it is out of reach."""

    def __call__(self, key: str) -> bytes: ...


@dataclass(slots=True)
class _Entry:
    route: Route
    loaded: LoadedModel
    read_at: float
    max_age: float
    is_degraded: bool = False


@dataclass(frozen=True, slots=True)
class Serving:
    """The version that answers one request. is_degraded: what is newer was out of reach, an older copy answers."""

    champion: Champion
    model: LoadedModel
    is_degraded: bool


class Router:
    """Keeps routes current and models loaded. One per process; not for several threads."""

    def __init__(self, routes: RouteSource, files: FileSource, monotonic: Callable[[], float]) -> None:
        self._routes = routes
        self._files = files
        self._monotonic = monotonic
        self._entries: dict[str, _Entry] = {}

    def serving(self, model: str) -> Serving:
        """Find who answers for `model` now.

        Raises NotFound where the model has no champion, Unavailable where nothing can be loaded and nothing was.
        """
        entry = self._entries.get(model)
        if entry is None or self._monotonic() - entry.read_at >= entry.max_age:
            try:
                entry = self._refresh(model, entry)
            except (Unavailable, Unverified, NotFound) as error:
                if entry is None or _is_gone(error):
                    raise _as_unavailable(error) from error
                entry.read_at, entry.is_degraded = self._monotonic(), True
        return Serving(entry.route.champion, entry.loaded, entry.is_degraded)

    def champion(self, model: str) -> Champion | None:
        """Read who the champion is, without loading it. Raises Unavailable."""
        route = self._routes(model)
        return route.champion if route else None

    def _refresh(self, model: str, entry: _Entry | None) -> _Entry:
        read_at = self._monotonic()
        route = self._routes(model)
        if route is None:
            self._entries.pop(model, None)
            message = f"{model} has no champion: no model is called so here, or nothing of it was released yet"
            raise NotFound(message, code="NO_CHAMPION")
        same = entry is not None and entry.route.champion.files == route.champion.files
        loaded = entry.loaded if entry is not None and same else self._load(model, route.champion)
        # Jitter, so that many functions do not read the row in the same moment.
        fresh = _Entry(route, loaded, read_at, MAX_AGE_SECONDS * random.uniform(0.8, 1.0))
        self._entries[model] = fresh
        return fresh

    def _load(self, model: str, champion: Champion) -> LoadedModel:
        """Load a version, after checking that its bytes are those that the route names."""
        files = {name: self._files(f"models/{model}/{champion.version}/{name}") for name in ("model.onnx", "spec.json")}
        for name, content in files.items():
            if hashlib.sha256(content).hexdigest() != champion.files[name]:
                raise Unverified(f"{name} of {model}@{champion.version} does not have the digest that the route names")
        return LoadedModel.load(files["model.onnx"], files["spec.json"])


def _is_gone(error: SerinError) -> bool:
    """Tell whether the model has no champion at all, rather than one that is out of reach."""
    return isinstance(error, NotFound) and error.code == "NO_CHAMPION"


def _as_unavailable(error: SerinError) -> SerinError:
    return error if _is_gone(error) else Unavailable(error.message, code=error.code)
