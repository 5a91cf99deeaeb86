"""Which version answers now? The route row, at most five seconds old, and the verified models that it names."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

from serin.contract.notation import MODEL_NAME
from serin.errors import NotFound, SerinError, Unavailable, Unverified, loggable
from serin.registry.ids import read_verified
from serin.registry.keys import version_prefix
from serin.registry.records import Champion, ModelVersion, Retirement, Route
from serin.serving.lines import Fault
from serin.serving.report import Report, say_nothing
from serin.serving.routing.trial import Trial
from serin.serving.rows.body import shorten
from serin.serving.runtime.model import FILES, LoadedModel

MAX_AGE_SECONDS = 5.0
RETRY_SECONDS = 60.0  # after which a challenger that was out of reach is looked for again: each look holds up a request
# Half of what the function has. Measured: a forest or a boosting model takes 7 to 8 bytes of memory for each of its
# file, and the smallest model 150 KB.
MEMORY_BYTES = 512 * 2**20
MEMORY_PER_BYTE = 8
MEMORY_AT_LEAST = 256 * 2**10

MAX_DIGITS = 8  # of a version
_NAME = re.compile(MODEL_NAME)


class RouteSource(Protocol):
    """Where routes are read. Raises Unavailable where it is out of reach; gives None where a model has no route."""

    def __call__(self, model: str) -> Route | None: ...


class FileSource(Protocol):
    """Where artifacts are read. Raises NotFound, and Unavailable where it is out of reach."""

    def __call__(self, key: str) -> bytes: ...


class VersionSource(Protocol):
    """Where the rows of versions are read. Raises Unavailable; gives None where there is no such version."""

    def __call__(self, model: str, number: int) -> ModelVersion | None: ...


def no_versions(model: str, number: int) -> ModelVersion | None:  # noqa: ARG001  # a VersionSource
    """Know of no version but those that the route names."""
    return None


@dataclass(frozen=True, slots=True)
class Serving:
    """Who answers one request. version, model: the champion, or the version addressed (is_direct).

    is_degraded: what is newer was out of reach, an older copy answers, or the champion for a challenger that is; it is
    no evidence then for or against either of them, and names no release. trial: None where there is no challenger, or
    it is not to be asked.
    """

    champion: Champion
    version: int
    model: LoadedModel
    is_degraded: bool = False
    is_direct: bool = False
    release: str | None = None
    trial: Trial | None = None

    @property
    def share(self) -> float:
        """Which share of the entities is captured: in a trial one for both arms, which are compared by it."""
        share = self.model.mask.share
        return share if self.trial is None or self.trial.model is None else min(share, self.trial.model.mask.share)


@dataclass(slots=True)
class _Loaded:
    """A verified version in memory, and about how much of it it takes."""

    model: LoadedModel
    files: Mapping[str, str]
    size: int
    used_at: float = 0.0


@dataclass(slots=True)
class _Entry:
    """What a process knows of one model. trial: also where it is not to be asked for now.

    max_age: it ends with the day until which a model that is retired answers.
    """

    serving: Serving
    trial: Trial | None
    loaded: Sequence[_Loaded]
    read_at: float
    read_wall: float
    max_age: float
    used_at: float = 0.0
    retirement: Retirement | None = None

    @property
    def size(self) -> int:
        return sum(version.size for version in self.loaded)


def check_name(model: str) -> None:
    """Raise NotFound where no model can be called so."""
    if not _NAME.fullmatch(model):
        raise NotFound(
            "there is no model of that name; a name has lower-case letters, digits, - and _", code="UNKNOWN_MODEL"
        )


class Router:
    """Keeps routes current and models loaded. One per process; not for several threads.

    monotonic, wall_clock: in seconds. The age of a route is taken by both: either may stand still while a function
    sleeps. loads: how many models were loaded so far. report: told the metric, the code and the reason of what a
    person must see.
    """

    def __init__(
        self,
        routes: RouteSource,
        files: FileSource,
        monotonic: Callable[[], float],
        *,
        versions: VersionSource = no_versions,
        wall_clock: Callable[[], float] = time.time,
        report: Report = say_nothing,
    ) -> None:
        self.monotonic = monotonic
        self.wall_clock = wall_clock
        self.loads = 0
        self._routes = routes
        self._files = files
        self._versions = versions
        self._report = report
        self._entries: dict[str, _Entry] = {}
        self._addressed: dict[str, _Loaded] = {}

    def serving(self, model: str) -> Serving:
        """Find who answers for `model` now.

        Raises NotFound where the model has no champion, or is retired and its time is over, Unavailable where nothing
        can be loaded and nothing was.
        """
        now, entry = self.monotonic(), self._entries.get(model)
        if (
            entry is None
            or now - entry.read_at >= entry.max_age
            or not 0 <= self.wall_clock() - entry.read_wall < entry.max_age
        ):
            entry = self._renew(model, entry)
        entry.used_at = now
        return entry.serving

    def version(self, model: str, version: str) -> Serving:
        """Find a version that is addressed, as it stands in a path: one that is or was champion or challenger.

        Raises as `serving` does, and NotFound where it is no such version.
        """
        serving = self.serving(model)
        trial = self._entries[model].trial
        if version == str(serving.version):
            addressed = serving.model
        elif trial is not None and trial.model is not None and version == str(trial.challenger.version):
            addressed = trial.model
        else:
            loaded = self._addressed.get(f"{model}@{version}") or self._load_addressed(model, version, serving)
            loaded.used_at, addressed = self.monotonic(), loaded.model
        return replace(serving, version=int(version), model=addressed, trial=None, is_direct=True)

    def champion(self, model: str) -> Champion | None:
        """Read who the champion is, without loading it; None where nobody answers. Raises Unavailable."""
        route = self._routes(model)
        if route is None or _is_over(route.retirement, self.wall_clock()):
            return None
        return route.champion

    def _renew(self, model: str, entry: _Entry | None) -> _Entry:
        """Read the route anew; whatever goes wrong with that, go on with the old one, and with its champion alone."""
        if entry is None:
            check_name(model)
            try:
                return self._refresh(model, None)
            except (Unverified, NotFound) as error:
                raise _as_unavailable(error) from error
        try:
            return self._refresh(model, entry)
        except Exception as error:
            if _is_gone(error):
                raise
            self._check_retirement(model, entry.retirement, self.wall_clock())
            self._report_degraded(error)
        entry.read_at, entry.read_wall = self.monotonic(), self.wall_clock()
        entry.max_age = _max_age(entry.retirement, entry.read_wall)
        entry.serving = replace(entry.serving, is_degraded=True, trial=None, release=None)
        return entry

    def _refresh(self, model: str, entry: _Entry | None) -> _Entry:
        read_at, read_wall = self.monotonic(), self.wall_clock()
        route = self._read_route(model, is_cold=entry is None)
        if route is None:
            self._entries.pop(model, None)
            message = f"{model} has no champion: no model is called so here, or nothing of it was released yet"
            raise NotFound(message, code="NO_CHAMPION")
        self._check_retirement(model, route.retirement, read_wall)
        before = entry.loaded if entry else ()
        files, number = route.champion.files, route.champion.version
        champion = _find(before, files) or self._load(model, number, files)
        trial, challenger = self._try_challenger(route, entry, champion)
        serving = Serving(route.champion, number, champion.model)
        if trial is not None and trial.retry_at is not None:
            serving = replace(serving, is_degraded=True)
        elif trial is not None:
            serving = replace(serving, release=trial.challenger.release, trial=trial)
        loaded = (champion,) if challenger is None else (champion, challenger)
        max_age = _max_age(route.retirement, read_wall)
        fresh = _Entry(serving, trial, loaded, read_at, read_wall, max_age, read_at, route.retirement)
        self._entries[model] = fresh
        return fresh

    def _check_retirement(self, model: str, retirement: Retirement | None, wall: float) -> None:
        """Let go of a model whose time is over. Raises NotFound then."""
        if retirement is not None and _is_over(retirement, wall):
            self._entries.pop(model, None)
            raise NotFound(f"{model} answers no longer since {retirement.until[:19]}: {retirement}", code="RETIRED")

    def _read_route(self, model: str, *, is_cold: bool) -> Route | None:
        """Read a route, and where nothing else could answer try it twice."""
        try:
            return self._routes(model)
        except Unavailable:
            if not is_cold:
                raise
            return self._routes(model)

    def _try_challenger(
        self, route: Route, entry: _Entry | None, champion: _Loaded
    ) -> tuple[Trial | None, _Loaded | None]:
        """Load the challenger beside its champion. Where that fails, it is on trial all the same, and not asked."""
        if route.challenger is None:
            return None, None
        trial = Trial.begin(route.challenger, route.salt, entry.trial if entry else None)
        loaded = _find((champion, *(entry.loaded if entry else ())), route.challenger.files)
        if loaded is None and not trial.is_open and trial.is_due(self.monotonic()):
            loaded = self._load_challenger(route.model, trial, beside=champion.size)
        trial.model = loaded.model if loaded else None
        trial.reads_alike = loaded is not None and loaded.model.spec.features == champion.model.spec.features
        return trial, loaded

    def _load_challenger(self, model: str, trial: Trial, *, beside: int) -> _Loaded | None:
        """Load a challenger, and note it where that fails. That its files are out of reach is not its fault."""
        challenger, trial.retry_at = trial.challenger, None
        try:
            loaded = self._load(model, challenger.version, challenger.files, beside=beside)
        except Unavailable as error:
            trial.retry_at = self.monotonic() + RETRY_SECONDS
            self._report_degraded(error)
            return None
        except Exception as error:  # whatever is wrong with a challenger, the champion answers
            trial.note(Fault.RAISED, f"it cannot be loaded: {loggable(error)}")
            with suppress(Exception):  # the answer comes before the word about it
                who = f"the challenger {model}@{challenger.version}"
                self._report("ChallengerFault", Fault.RAISED, f"{who} is answered for by the champion: {trial.reason}")
            return None
        trial.consecutive_failures = 0
        return loaded

    def _load_addressed(self, model: str, version: str, serving: Serving) -> _Loaded:
        is_number = version.isascii() and version.isdigit() and version[0] != "0" and len(version) <= MAX_DIGITS
        row = self._versions(model, int(version)) if is_number else None
        if row is None or not row.served:
            message = (
                f"{model}@{shorten(version)} does not answer: only a version that is or was champion or challenger can "
                f"be asked; the champion is version {serving.champion.version}"
            )
            raise NotFound(message, code="UNKNOWN_VERSION")
        try:
            loaded = self._load(model, row.number, row.files, kept_as=f"{model}@{version}")
        except (Unverified, NotFound) as error:
            raise _as_unavailable(error) from error
        self._addressed[f"{model}@{version}"] = loaded
        return loaded

    def _load(
        self, model: str, number: int, files: Mapping[str, str], *, beside: int = 0, kept_as: str = ""
    ) -> _Loaded:
        """Load a version, after checking that its bytes are those of the digests, and that there is room for it.

        beside: the size of what must stay in memory with it. kept_as: the name under which it is kept, if not `model`.
        """
        prefix = version_prefix(model, number)
        onnx, spec = (read_verified(self._files, prefix + name, files.get(name)) for name in FILES)
        size = max(MEMORY_PER_BYTE * len(onnx), MEMORY_AT_LEAST)
        if beside and beside + size > MEMORY_BYTES:
            message = f"{model}@{number} is too large to be kept in memory beside its champion"
            raise Unverified(message, code="MODEL_SIZE")
        self._make_room(beside + size, kept_as or model)
        self.loads += 1
        return _Loaded(LoadedModel.load(onnx, spec), files, size)

    def _report_degraded(self, error: Exception) -> None:
        """Say why an older route or model answers; the answer comes before the word about it."""
        with suppress(Exception):
            code = error.code if isinstance(error, SerinError) else "UNEXPECTED"
            self._report("Degraded", code, f"the newest route or its model does not serve: {loggable(error)}")

    def _make_room(self, size: int, name: str) -> None:
        """Let go of what was used least recently, until `size` bytes for `name` are within the budget."""
        kept: dict[str, _Entry | _Loaded] = {**self._entries, **self._addressed}
        kept.pop(name, None)
        for oldest in sorted(kept, key=lambda key: kept[key].used_at):
            if size + sum(held.size for held in kept.values()) <= MEMORY_BYTES:
                return
            del kept[oldest]
            self._entries.pop(oldest, None)
            self._addressed.pop(oldest, None)


def _find(loaded: Iterable[_Loaded], files: Mapping[str, str]) -> _Loaded | None:
    return next((version for version in loaded if version.files == files), None)


def _jittered_age() -> float:
    """How old a route may become: not the same in every function, so that not all read the row in one moment.

    A tenth is left for writing a decision down, so that all follow it within MAX_AGE_SECONDS of when it was taken.
    """
    return MAX_AGE_SECONDS * random.uniform(0.8, 0.9)


def _is_over(retirement: Retirement | None, wall: float) -> bool:
    """Tell whether a model answers no longer. wall: seconds since 1970."""
    return retirement is not None and retirement.is_over(datetime.fromtimestamp(wall, UTC))


def _max_age(retirement: Retirement | None, wall: float) -> float:
    """How old a route may become that was read at `wall`: not older than its model answers."""
    age = _jittered_age()
    if retirement is None or not retirement.until:
        return age
    return min(age, datetime.fromisoformat(retirement.until).timestamp() - wall)


def _is_gone(error: Exception) -> bool:
    """Tell whether the model has no champion that may answer, rather than one that is out of reach."""
    return isinstance(error, NotFound) and error.code in ("NO_CHAMPION", "RETIRED")


def _as_unavailable(error: SerinError) -> SerinError:
    return error if _is_gone(error) else Unavailable(error.message, code=error.code)
