"""How are records found and changed? Nouns over the table; state changes only on the revision that was read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from typing import Any, Generic, TypeVar

from serin.errors import NotFound
from serin.registry.ids import ulid_after
from serin.registry.ports import Rows, Write
from serin.registry.records import (
    Approval,
    Challenger,
    Champion,
    Dataset,
    DatasetState,
    Deletion,
    DriftState,
    HistoryEntry,
    Life,
    ModelVersion,
    Release,
    ReleaseStatus,
    Releasing,
    Retirement,
    Route,
    Run,
    RunStatus,
    TrainingState,
    UploadSearch,
    VersionStatus,
)

Record = TypeVar("Record")

MAX_KEY_BYTES = 2048  # DynamoDB refuses a longer partition key, also to be read

ENTITY = "ENTITY#"  # with what the partition of a kept answer begins
_UPLOAD_SEARCH = ("UPLOADS", "SEARCH")  # of all models together

_KINDS: dict[type[Any], str] = {
    Route: "ROUTE",
    Life: "LIFE",
    TrainingState: "TRAINING",
    DriftState: "DRIFT",
    Releasing: "RELEASING",
    Dataset: "DATASET#",
    Run: "RUN#",
    ModelVersion: "VERSION#",
    Release: "RELEASE#",
    HistoryEntry: "HISTORY#",
}
_ERASED = (Route, DriftState, Releasing, Dataset, Run, ModelVersion, Release)
_STATUS: dict[type[Any], type[StrEnum]] = {Run: RunStatus, ModelVersion: VersionStatus, Release: ReleaseStatus}


@dataclass(frozen=True, slots=True)
class Found(Generic[Record]):
    """A record together with the revision under which it was read; 0 where it is not stored yet."""

    value: Record
    revision: int


class Registry:
    """Everything that is remembered about models."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def route(self, model: str) -> Found[Route] | None:
        return self._find(Route, model)

    def life(self, model: str) -> Found[Life]:
        return self._find(Life, model) or Found(Life(), 0)

    def training(self, model: str) -> Found[TrainingState]:
        return self._find(TrainingState, model) or Found(TrainingState(), 0)

    def drift(self, model: str) -> Found[DriftState]:
        return self._find(DriftState, model) or Found(DriftState(), 0)

    def releasing(self, model: str) -> Found[Releasing]:
        return self._find(Releasing, model) or Found(Releasing(), 0)

    def upload_search(self) -> Found[UploadSearch]:
        row = self._rows.get(*_UPLOAD_SEARCH)
        return Found(decode(UploadSearch, row.body), row.revision) if row else Found(UploadSearch(), 0)

    def dataset(self, model: str, dataset: str) -> Dataset | None:
        record = self._find(Dataset, model, dataset)
        return record.value if record else None

    def datasets(self, model: str) -> list[Dataset]:
        """List a model's datasets, the oldest first."""
        return [dataset.value for dataset in self.found_datasets(model)]

    def used_datasets(self, model: str) -> list[Dataset]:
        """List the datasets that trainings learn from, the oldest first."""
        return [dataset for dataset in self.datasets(model) if dataset.is_used]

    def found_datasets(self, model: str) -> list[Found[Dataset]]:
        """List a model's datasets as `datasets` does, each under its revision."""
        datasets = self._all_found(Dataset, model)
        return sorted(datasets, key=lambda dataset: (dataset.value.accepted_at, dataset.value.id))

    def run(self, model: str, run: str) -> Found[Run]:
        return self._must_find(Run, model, run, called=f"run {run}")

    def find_run(self, model: str, run: str) -> Found[Run] | None:
        return self._find(Run, model, run)

    def runs(self, model: str) -> list[Run]:
        """List a model's runs, the oldest first."""
        return sorted(self._all(Run, model), key=lambda run: run.started_at)

    def version(self, model: str, number: int) -> Found[ModelVersion]:
        return self._must_find(ModelVersion, model, number_key(number), called=f"version {number}")

    def find_version(self, model: str, number: int) -> Found[ModelVersion] | None:
        return self._find(ModelVersion, model, number_key(number))

    def versions(self, model: str) -> list[ModelVersion]:
        """List a model's versions, the oldest first."""
        return self._all(ModelVersion, model)

    def release(self, model: str, release: str) -> Found[Release]:
        return self._must_find(Release, model, release, called=f"release {release}")

    def find_release(self, model: str, release: str) -> Found[Release] | None:
        return self._find(Release, model, release)

    def releases(self, model: str) -> list[Release]:
        """List a model's releases, the oldest first."""
        return sorted(
            self._all(Release, model), key=lambda release: (release.started_at, release.version, release.attempt)
        )

    def releases_of(self, model: str, number: int) -> list[Release]:
        """List the releases of one version, by their attempts, whatever clocks said when they started."""
        mine = (release for release in self._all(Release, model) if release.version == number)
        return sorted(mine, key=lambda release: release.attempt)

    def history(self, model: str) -> list[HistoryEntry]:
        """List what happened to a model, the oldest first."""
        return self._all(HistoryEntry, model)

    def save(self, *changes: Write) -> None:
        """Store all of these changes or none. Raises Conflict where another was faster.

        What is new in a history gets an id after all that is there, whatever the clocks of its writers said.
        """
        ordered, last = [], dict[str, str]()
        for change in changes:
            if change.sort.startswith(_KINDS[HistoryEntry]):
                change = self._placed(change, last.get(change.partition) or self._last_entry(change.partition))
                last[change.partition] = change.sort
            ordered.append(change)
        self._rows.write(ordered)

    def erase_route(self, model: str) -> None:
        """Delete the row that serving reads, if there is one."""
        self._rows.erase(partition(model), _KINDS[Route])

    def erase_records(self, model: str) -> None:
        """Delete what is remembered about a model, but for its history, its life and which number comes next."""
        for kind in _ERASED:
            self._rows.erase(partition(model), _KINDS[kind])

    def _last_entry(self, partition: str) -> str:
        row = self._rows.last(partition, _KINDS[HistoryEntry])
        return row.sort if row else ""

    def _placed(self, change: Write, last: str) -> Write:
        """Let an entry of a history stand after the last one."""
        if change.sort > last:
            return change
        name = ulid_after(last.removeprefix(_KINDS[HistoryEntry]))
        return replace(change, sort=_KINDS[HistoryEntry] + name, body={**change.body, "id": name})

    def _find(self, kind: type[Record], model: str, name: str = "") -> Found[Record] | None:
        row = self._rows.get(partition(model), _KINDS[kind] + name)
        return Found(decode(kind, row.body), row.revision) if row else None

    def _must_find(self, kind: type[Record], model: str, name: str, *, called: str) -> Found[Record]:
        record = self._find(kind, model, name)
        if record is None:
            raise NotFound(f"{model} has no {called}")
        return record

    def _all(self, kind: type[Record], model: str) -> list[Record]:
        return [record.value for record in self._all_found(kind, model)]

    def _all_found(self, kind: type[Record], model: str) -> list[Found[Record]]:
        rows = self._rows.list(partition(model), _KINDS[kind])
        return [Found(decode(kind, row.body), row.revision) for row in rows]


def put(record: Any, *, expected_revision: int) -> Write:
    """Say that a record is to be stored over the revision that was read; 0 for one that is new."""
    model, sort = _place(record)
    return Write(partition(model), sort, asdict(record), expected_revision)


def put_training(model: str, state: TrainingState, *, expected_revision: int) -> Write:
    return Write(partition(model), _KINDS[TrainingState], asdict(state), expected_revision)


def put_life(model: str, life: Life, *, expected_revision: int) -> Write:
    return Write(partition(model), _KINDS[Life], asdict(life), expected_revision)


def put_upload_search(search: UploadSearch, *, expected_revision: int) -> Write:
    return Write(*_UPLOAD_SEARCH, asdict(search), expected_revision)


def put_drift(model: str, state: DriftState, *, expected_revision: int) -> Write:
    return Write(partition(model), _KINDS[DriftState], asdict(state), expected_revision)


def put_releasing(model: str, state: Releasing, *, expected_revision: int) -> Write:
    return Write(partition(model), _KINDS[Releasing], asdict(state), expected_revision)


def decode(kind: type[Record], body: dict[str, Any]) -> Record:
    """Build a record from a stored row. Keys that this code does not know are left out: newer code wrote them."""
    names: list[str] = [field.name for field in fields(kind)]  # type: ignore[arg-type]  # every kind is a dataclass
    values: dict[str, Any] = {name: _frozen(body[name]) for name in names if name in body}
    if status := _STATUS.get(kind):
        values["status"] = status(body["status"])
    if kind is Dataset and "state" in values:
        values["state"] = DatasetState(values["state"])
    if kind is Route:
        values["champion"] = decode(Champion, body["champion"])
        values["challenger"] = decode(Challenger, body["challenger"]) if body.get("challenger") else None
    if kind in (Route, Life):
        values["retirement"] = decode(Retirement, body["retirement"]) if body.get("retirement") else None
    if kind is Life:
        values["deletion"] = decode(Deletion, body["deletion"]) if body.get("deletion") else None
    if kind is Release:
        values["approval"] = decode(Approval, body["approval"]) if body.get("approval") else None
    return kind(**values)


def _frozen(value: Any) -> Any:
    """Give a list of JSON back as the tuple that it was."""
    return tuple(value) if isinstance(value, list) else value


def partition(model: str) -> str:
    return f"MODEL#{model}"


def answer_key(model: str, entity: str) -> tuple[str, str] | None:
    """Name the row of what a batch answered for an entity; None where the entity is too long to be a key."""
    key = f"{ENTITY}{model}#{entity}"
    return (key, "ANSWER") if len(key.encode()) <= MAX_KEY_BYTES else None


def number_key(number: int) -> str:
    """Write a version's number so that keys sort as numbers do."""
    return f"{number:08d}"


_NAME: dict[type[Any], Callable[[Any], str]] = {
    Route: lambda _: "",
    Dataset: lambda dataset: str(dataset.id),
    Run: lambda run: str(run.id),
    ModelVersion: lambda version: number_key(version.number),
    Release: lambda release: str(release.id),
    HistoryEntry: lambda entry: str(entry.id),
}


def _place(record: Any) -> tuple[str, str]:
    kind = type(record)
    return record.model, _KINDS[kind] + _NAME[kind](record)
