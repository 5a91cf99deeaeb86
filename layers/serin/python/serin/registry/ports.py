"""What does the library need from the outside? Each port has a fake in tests/fakes.py and one contract suite."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table: its two keys, what it says, and a revision that rises with each write."""

    partition: str
    sort: str
    body: dict[str, Any]
    revision: int


@dataclass(frozen=True, slots=True)
class Write:
    """A row to be written, if the stored revision is still `expected_revision`; 0: if there is none."""

    partition: str
    sort: str
    body: dict[str, Any]
    expected_revision: int


class Rows(Protocol):
    """The table."""

    def get(self, partition: str, sort: str) -> Row | None:
        """Read one row, consistently."""

    def list(self, partition: str, sort_prefix: str) -> list[Row]:
        """Read every row of a partition whose sort key begins so, in the order of the sort key."""

    def last(self, partition: str, sort_prefix: str) -> Row | None:
        """Read the last of the rows that `list` gives."""

    def write(self, writes: Sequence[Write]) -> None:
        """Write all of these rows or none; where all of them are stored just so already, nothing is to be done.

        Raises Conflict where a revision has moved on, ValueError where a body holds a number that is not finite.
        """

    def erase(self, partition: str, sort_prefix: str) -> None:
        """Delete the rows that `list` gives, whatever their revision."""


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """What was answered for an entity, to be read later. at: sorts by time; expires: seconds since 1970."""

    entity: str
    at: str
    expires: int
    body: dict[str, Any]


class KeptAnswers(Protocol):
    """Answers that can be read by entity."""

    def keep(self, model: str, answers: Sequence[KeptAnswer]) -> None:
        """Keep the answers, each unless a later one of the same entity is kept already."""

    def forget(self, model: str) -> None:
        """Delete every answer that is kept of a model."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as a listing names it."""

    key: str
    version: str
    size: int
    stored_at: datetime


class Objects(Protocol):
    """A bucket."""

    def get(self, key: str, version: str | None = None) -> bytes:
        """Read an object. Raises NotFound."""

    def fetch(self, key: str, version: str | None, path: Path) -> str:
        """Read an object into a file, whatever its size, and give its SHA-256. Raises NotFound."""

    def size(self, key: str, version: str | None = None) -> int:
        """Tell an object's size in bytes without reading it. Raises NotFound."""

    def stored_at(self, key: str, version: str | None = None) -> datetime:
        """Tell when an object was written. Raises NotFound."""

    def exists(self, key: str) -> bool: ...

    def put(self, key: str, content: bytes, *, by: str = "") -> str:
        """Write an object, and give its version. by: who does so, to be noted with it."""

    def put_file(self, key: str, path: Path) -> None:
        """Write a file as an object, whatever its size."""

    def author(self, key: str, version: str) -> str:
        """Tell who wrote an object, by their own word; empty where that was not noted. Raises NotFound."""

    def put_once(self, key: str, content: bytes) -> None:
        """Write an object that never changes. The same bytes again are no error; others raise Conflict."""

    def copy(self, source: str, version: str | None, target: str) -> None:
        """Copy within the bucket. Raises NotFound."""

    def erase(self, prefix: str) -> int:
        """Delete every version of every object under a prefix, for good. Gives how many versions there were."""

    def list(self, prefix: str) -> Iterator[StoredObject]: ...

    def all_versions(self, prefix: str, *, after: str = "") -> Iterator[StoredObject]:
        """List every version under a prefix, by key, also of what was deleted since. after: of keys beyond this one."""

    def list_versions(self, key: str) -> Iterator[StoredObject]:
        """List what is stored of one object, the newest version first; also of one that was deleted since."""


class Queue(Protocol):
    """A queue: what is sent arrives at least once, in any order."""

    def send(self, message: dict[str, Any]) -> None: ...


class Workflow(Protocol):
    """A state machine whose executions are named."""

    def start(self, name: str, payload: dict[str, Any]) -> None:
        """Start an execution; one of that name that exists already is no error."""

    def is_over(self, name: str) -> bool:
        """Tell whether an execution of that name came to its end. One that cannot be seen may still be starting."""


class Notifier(Protocol):
    """People who want to know."""

    def tell(self, subject: str, text: str) -> None: ...


class Events(Protocol):
    """Programs that want to know."""

    def put(self, kind: str, detail: dict[str, Any]) -> None: ...


class Clock(Protocol):
    """What time it is, in UTC."""

    def __call__(self) -> datetime: ...
