"""How does a challenger do on what the champion was asked before? Found out once, and kept beside the release."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from serin.errors import NotFound, Refused, Unverified
from serin.monitoring.layout import Layout
from serin.monitoring.replay import Replay, Window, replay
from serin.monitoring.rescore import Score
from serin.monitoring.summarise import captures_once
from serin.monitoring.version_files import read_challenger, read_layout
from serin.registry.keys import captures_prefix, release_prefix
from serin.registry.ports import Clock, Objects, StoredObject
from serin.registry.records import ModelVersion, Release
from serin.registry.registry import Registry
from serin.serving.lines import Capture

# What a turn has time and memory for, whatever was captured.
MAX_ROWS = 5_000
MAX_BYTES = 32 * 2**20  # as stored
READ_WITHIN = timedelta(seconds=15)


def replay_key(release: Release, champion: int) -> str:
    """Name the replay of a release against a champion, in the data bucket."""
    return f"{release_prefix(release.model, release.id)}replay-{champion}.json"


@dataclass(frozen=True, slots=True)
class Replayer:
    """Replays captured requests to challengers."""

    registry: Registry
    data: Objects
    artifacts: Objects
    now: Clock
    score: Score

    def replay(self, release: Release, champion: ModelVersion, challenger: ModelVersion, *, seconds: float) -> Replay:
        """Give the replay of a release against the champion, and make it where there is none. seconds: how far back.

        Once made it stays, whoever asks and however often. Raises Conflict where another one was made meanwhile, which
        a next try finds; Unverified where the challenger's files are not what was registered.
        """
        key = replay_key(release, champion.number)
        with suppress(NotFound):
            return Replay.from_json(self.data.get(key))
        made = self._made(champion, challenger, seconds)
        self.data.put_once(key, made.to_json())
        return made

    def _made(self, champion: ModelVersion, challenger: ModelVersion, seconds: float) -> Replay:
        until = self.now()
        since = until - timedelta(seconds=seconds)
        window = Window(champion.number, challenger.number, since.isoformat(), until.isoformat())
        try:
            layout = read_layout(champion, self.registry, self.artifacts)
        except (NotFound, Unverified) as error:  # a champion that is broken must not keep its successor away
            return Replay(window, finding=error.message)
        captured = self._captured(champion, layout, since, until)
        window = replace(window, files=captured.files, is_whole=captured.is_whole)
        return replay(captured.requests, window, layout, read_challenger(challenger, self.artifacts), self.score)

    def _captured(self, champion: ModelVersion, layout: Layout, since: datetime, until: datetime) -> _Captured:
        """Read what the champion answered, one request of each entity; within bounds, and what is newest first."""
        requests: dict[str, Capture] = {}
        files = rows = size = 0
        for file in _newest(self.data, since, until):
            size += file.size
            if size > MAX_BYTES or self.now() > until + READ_WITHIN:
                return _Captured([*requests.values()], files, is_whole=False)
            files += 1
            for capture in self._answered(file, champion, layout):
                if capture.unit in requests or capture.at < since.timestamp() * 1000:
                    continue
                rows += len(capture.rows)
                if rows > MAX_ROWS:
                    return _Captured([*requests.values()], files, is_whole=False)
                requests[capture.unit] = capture
        return _Captured([*requests.values()], files, is_whole=True)

    def _answered(self, file: StoredObject, champion: ModelVersion, layout: Layout) -> Iterator[Capture]:
        """Read the requests of a file that the champion answered. A file that is gone or broken holds none."""

        def layout_of(model: str, number: int) -> Layout | None:
            return layout if (model, number) == (champion.model, champion.number) else None

        with suppress(NotFound, Refused):
            for capture in captures_once(self.data.get(file.key, file.version), layout_of, Counter()):
                is_its = (capture.model, capture.version) == (champion.model, champion.number)
                if is_its and capture.arm == "champion" and not capture.is_error and capture.rows:
                    yield capture


@dataclass(frozen=True, slots=True)
class _Captured:
    """The requests to replay, from how many files, and whether these are all."""

    requests: list[Capture]
    files: int
    is_whole: bool


def _newest(data: Objects, since: datetime, until: datetime) -> Iterator[StoredObject]:
    """List the capture files that were written in this time, the newest first."""
    hour = until.replace(minute=0, second=0, microsecond=0)
    while hour > since - timedelta(hours=1):
        folder = data.list(captures_prefix(hour))
        yield from sorted(folder, key=lambda file: (file.stored_at, file.key), reverse=True)
        hour -= timedelta(hours=1)
