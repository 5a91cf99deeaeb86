"""What stands in for AWS in tests of the library? Each fake passes the same contract suite as its adapter."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from serin.errors import Conflict, NotFound
from serin.registry.ids import sha256
from serin.registry.ports import KeptAnswer, Row, StoredObject, Write
from serin.registry.retry import Patience

RESTLESS = Patience(lambda _: None, lambda: 0.0)  # looks again at once
STORED_AT = datetime(2025, 12, 31, tzinfo=UTC)


class FakeRows:
    """A table in memory. A row goes in and comes out as JSON, as it does in the table."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], Row] = {}
        self._texts: dict[tuple[str, str], str] = {}

    def copy(self, other: FakeRows) -> None:
        """Hold what another table holds."""
        self.rows, self._texts = {**other.rows}, {**other._texts}

    def get(self, partition: str, sort: str) -> Row | None:
        return self._read(partition, sort) if (partition, sort) in self.rows else None

    def list(self, partition: str, sort_prefix: str) -> list[Row]:
        found = [place for place in self.rows if place[0] == partition and place[1].startswith(sort_prefix)]
        return [self._read(*place) for place in sorted(found)]

    def last(self, partition: str, sort_prefix: str) -> Row | None:
        return next(reversed(self.list(partition, sort_prefix)), None)

    def write(self, writes: Sequence[Write]) -> None:
        texts = [json.dumps(change.body, allow_nan=False) for change in writes]
        if any(self._revision(change) != change.expected_revision for change in writes):
            if all(map(self._is_written, writes, texts)):
                return
            raise Conflict(f"one of {[(change.partition, change.sort) for change in writes]} has moved on")
        for change, text in zip(writes, texts, strict=True):
            place = change.partition, change.sort
            self._texts[place] = text
            self.rows[place] = Row(*place, json.loads(text), change.expected_revision + 1)

    def erase(self, partition: str, sort_prefix: str) -> None:
        for row in self.list(partition, sort_prefix):
            del self.rows[row.partition, row.sort], self._texts[row.partition, row.sort]

    def _revision(self, change: Write) -> int:
        place = change.partition, change.sort
        return self.rows[place].revision if place in self.rows else 0

    def _is_written(self, change: Write, text: str) -> bool:
        place = change.partition, change.sort
        return (
            place in self.rows
            and self.rows[place].revision == change.expected_revision + 1
            and self._texts[place] == text
        )

    def _read(self, partition: str, sort: str) -> Row:
        place = partition, sort
        return Row(*place, json.loads(self._texts[place]), self.rows[place].revision)


class FakeObjects:
    """A versioned bucket in memory."""

    def __init__(self) -> None:
        self.versions: dict[str, list[bytes]] = {}
        self.written: dict[tuple[str, str], datetime] = {}  # each a second after the one before
        self.authors: dict[tuple[str, str], str] = {}
        self.deleted: set[str] = set()  # whose newest version is a delete marker

    def get(self, key: str, version: str | None = None) -> bytes:
        if version is None and key in self.deleted:
            raise NotFound(f"{key} was deleted")
        try:
            return self.versions[key][int(version) - 1 if version else -1]
        except (KeyError, IndexError) as error:
            raise NotFound(f"there is no object {key}") from error

    def fetch(self, key: str, version: str | None, path: Path) -> str:
        content = self.get(key, version)
        path.write_bytes(content)
        return sha256(content)

    def size(self, key: str, version: str | None = None) -> int:
        return len(self.get(key, version))

    def stored_at(self, key: str, version: str | None = None) -> datetime:
        self.get(key, version)
        return self.written[key, version or str(len(self.versions[key]))]

    def exists(self, key: str) -> bool:
        return key in self.versions and key not in self.deleted

    def delete(self, key: str) -> None:
        self.deleted.add(key)

    def put(self, key: str, content: bytes, *, by: str = "") -> str:
        self.deleted.discard(key)
        self.versions.setdefault(key, []).append(content)
        version = str(len(self.versions[key]))
        self.written[key, version] = STORED_AT + timedelta(seconds=len(self.written))
        self.authors[key, version] = by
        return version

    def put_file(self, key: str, path: Path) -> None:
        self.put(key, path.read_bytes())

    def erase(self, prefix: str) -> int:
        erased = [key for key in self.versions if key.startswith(prefix)]
        self.deleted -= set(erased)
        return sum(len(self.versions.pop(key)) for key in erased)

    def author(self, key: str, version: str) -> str:
        self.get(key, version)
        return self.authors.get((key, version), "")

    def put_once(self, key: str, content: bytes) -> None:
        if self.exists(key):
            if self.get(key) != content:
                raise Conflict(f"{key} exists already with other content")
            return
        self.put(key, content)

    def copy(self, source: str, version: str | None, target: str) -> None:
        self.put(target, self.get(source, version))

    def list_versions(self, key: str) -> Iterator[StoredObject]:
        for number, content in reversed([*enumerate(self.versions.get(key, ()), start=1)]):
            yield StoredObject(key, str(number), len(content), self.written[key, str(number)])

    def all_versions(self, prefix: str, *, after: str = "") -> Iterator[StoredObject]:
        for key in sorted(self.versions):
            if key.startswith(prefix) and key > after:
                yield from self.list_versions(key)

    def list(self, prefix: str) -> Iterator[StoredObject]:
        for key in sorted(self.versions):
            if key.startswith(prefix) and self.exists(key):
                yield StoredObject(key, str(len(self.versions[key])), len(self.versions[key][-1]), STORED_AT)


@dataclass
class FakeQueue:
    """A queue that keeps what it was sent."""

    messages: list[dict[str, Any]] = field(default_factory=list)

    def send(self, message: dict[str, Any]) -> None:
        self.messages.append(deepcopy(message))


@dataclass
class FakeWorkflow:
    """A state machine that notes what was started; `running` is for the test to change."""

    started: dict[str, dict[str, Any]] = field(default_factory=dict)
    running: set[str] = field(default_factory=set)

    def start(self, name: str, payload: dict[str, Any]) -> None:
        if name not in self.started:
            self.started[name] = deepcopy(payload)
            self.running.add(name)

    def is_over(self, name: str) -> bool:
        return name in self.started and name not in self.running


@dataclass
class FakeAnswers:
    """Kept answers by entity, of one model."""

    found: dict[str, KeptAnswer] = field(default_factory=dict)

    def keep(self, model: str, answers: Sequence[KeptAnswer]) -> None:
        for answer in answers:
            if answer.entity not in self.found or self.found[answer.entity].at <= answer.at:
                self.found[answer.entity] = answer

    def forget(self, model: str) -> None:  # they are of one model
        self.found.clear()


@dataclass
class FakeNotifier:
    told: list[tuple[str, str]] = field(default_factory=list)

    def tell(self, subject: str, text: str) -> None:
        self.told.append((subject, text))


@dataclass
class FakeEvents:
    found: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def put(self, kind: str, detail: dict[str, Any]) -> None:
        self.found.append((kind, deepcopy(detail)))


@dataclass
class FakeClock:
    """A clock that moves a millisecond with each look, and further when told."""

    at: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.at += timedelta(milliseconds=1)
        return self.at

    def advance(self, **duration: float) -> None:
        self.at += timedelta(**duration)
