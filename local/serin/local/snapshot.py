"""What of the twin outlives its process, and how is it written down?

A folder: `state.json` says what there is, and `objects/` holds the content of every version of every object. It is
written some seconds after a change and once more at the end, always whole: what a killed twin leaves behind is what
was true a moment before. What functions printed and what was measured is not in it.
"""

import base64
import hashlib
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from moto.apigateway.models import apigateway_backends
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import Table
from moto.s3.models import FakeBucket, FakeDeleteMarker, FakeKey, s3_backends
from moto.sqs.models import Message, sqs_backends

from serin.local.errors import StateUnreadable
from serin.local.targets import Targets
from serin.local.workflows import Workflows

_FORMAT = 1
_LOOK_SECONDS = 1.0
_SHARE = 0.05  # of the time, at most, goes into writing
# What a version of an object has beside its key, its content and its time, by moto's names.
_OF_OBJECTS = (
    *("encryption", "kms_key_id", "bucket_key_enabled", "lock_mode", "lock_legal_status", "lock_until"),
    *("checksum_value", "checksum_type", "checksum_parts"),
)
_BYTES = "$bytes"
_OF_MESSAGES = (
    *("message_attributes", "sender_id", "sent_timestamp", "approximate_first_receive_timestamp"),
    *("approximate_receive_count", "deduplication_id", "group_id", "sequence_number", "delayed_until"),
)

_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class _Cut:
    """The state at one moment. contents: by the file that each is to have."""

    state: dict[str, Any]
    contents: dict[str, FakeKey] = field(default_factory=dict)


class Snapshot:
    """Keeps the state of one twin in a folder, and puts it back."""

    def __init__(
        self,
        folder: Path,
        *,
        targets: Targets,
        workflows: Workflows,
        locks: Iterable[AbstractContextManager[Any]],
        changes: Callable[[], Hashable],
        account: str,
        region: str,
    ) -> None:
        """locks: while all are held, no AWS call writes. changes: differs from before once something has changed."""
        self._folder = folder
        self._targets = targets
        self._workflows = workflows
        self._locks = tuple(locks)
        self._changes = changes
        self._s3 = s3_backends[account]["aws"]
        self._dynamodb = dynamodb_backends[account][region]
        self._sqs = sqs_backends[account][region]
        self._gateway = apigateway_backends[account][region]
        self._saving = threading.Lock()
        self._saved: Hashable = None
        self._is_stopping = threading.Event()

    def restore(self) -> dict[str, Any]:
        """Put back what the template's resources held, and give the state. Empty where none was kept.

        Raises StateUnreadable.
        """
        (self._folder / "objects").mkdir(parents=True, exist_ok=True)
        self._buckets: dict[str, FakeBucket] = dict(self._s3.buckets)
        self._tables: dict[str, Table] = dict(self._dynamodb.tables)
        self._queues = dict(self._sqs.queues)
        state = self._read()
        if state:
            try:
                self._fill(state)
            except (KeyError, ValueError, TypeError, AttributeError, OSError) as error:
                raise StateUnreadable(f"the state in {self._folder} cannot be put back: {error!r}") from error
        self._resumed = state
        return state

    def start(self) -> None:
        """Take up the work that was under way, and begin to write changes down. To be called once AWS calls work."""
        for execution in self._resumed.get("executions", ()):
            self._workflows.start(execution["machine"], execution["input"], name=execution["name"])
        for event in self._resumed.get("events", ()):
            self._targets.invoke_later(event["function"], event["event"].encode())
        self._resumed = {}
        threading.Thread(target=self._run, name="snapshot", daemon=True).start()

    def stop(self) -> None:
        """Write down how things are now, and then no more."""
        self._is_stopping.set()
        self.save()

    def save(self) -> None:
        """Write down how things are now."""
        with self._saving:
            self._saved = self._changes()
            cut = self._cut()
            for name, version in cut.contents.items():
                self._write_content(name, version)
            self._write(self._folder / "state.json", json.dumps(cut.state).encode())
            for file in (self._folder / "objects").iterdir():
                if file.name not in cut.contents:
                    file.unlink()

    def _run(self) -> None:
        pause = _LOOK_SECONDS
        while not self._is_stopping.wait(pause):
            if self._changes() == self._saved:
                continue
            begun = time.monotonic()
            try:
                self.save()
            except Exception:
                _LOG.exception("the twin's state could not be written to %s", self._folder)
            pause = max(_LOOK_SECONDS, (time.monotonic() - begun) / _SHARE)

    def _read(self) -> dict[str, Any]:
        file = self._folder / "state.json"
        try:
            state = json.loads(file.read_bytes())
            written_as = state["format"]
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StateUnreadable(f"the state in {file} cannot be read: {error}") from error
        if written_as != _FORMAT:
            raise StateUnreadable(f"the state in {file} has format {written_as}, and this twin reads {_FORMAT}")
        return dict(state)

    def _cut(self) -> _Cut:
        """Look at everything at one moment.

        Messages, events and executions first: what they lead to meanwhile is seen, or happens again.
        """
        cut = _Cut({"format": _FORMAT, "saved_at": datetime.now(UTC).isoformat()})
        with ExitStack() as held:
            for lock in self._locks:
                held.enter_context(lock)
            cut.state["queues"] = {
                name: [_of_message(m) for m in list(q._messages)] for name, q in self._queues.items()
            }
            cut.state["events"] = [
                {"function": function, "event": event.decode()} for function, event in self._targets.pending()
            ]
            cut.state["executions"] = [
                {"machine": execution.state_machine_arn, "name": execution.name, "input": execution.execution_input}
                for execution in self._workflows.running_executions()
            ]
            cut.state["api_keys"] = {key.name: key.value for key in self._gateway.keys.values()}
            cut.state["tables"] = {
                name: [{key: _plain(value) for key, value in item.attrs.items()} for item in table.all_items()]
                for name, table in self._tables.items()
            }
            cut.state["buckets"] = {
                name: [_of_version(version, cut.contents) for version in _versions(bucket)]
                for name, bucket in self._buckets.items()
            }
        return cut

    def _write_content(self, name: str, version: FakeKey) -> None:
        file = self._folder / "objects" / name
        if file.exists():
            return
        try:
            content = version.value
        except ValueError:
            return  # it was deleted meanwhile, and is left out when the state is put back
        self._write(file, content)

    def _write(self, file: Path, content: bytes) -> None:
        unfinished = self._folder / f"{file.name}.part"
        with unfinished.open("wb") as stream:
            stream.write(content)
            if file.name == "state.json":
                stream.flush()
                os.fsync(stream.fileno())
        unfinished.replace(file)

    def _fill(self, state: Mapping[str, Any]) -> None:
        known: dict[str, Mapping[str, Any]] = {"buckets": self._buckets, "tables": self._tables}
        lost = [name for kind in known for name, held in state[kind].items() if held and name not in known[kind]]
        if lost:
            raise StateUnreadable(f"the state in {self._folder} holds {', '.join(lost)}: the template makes it no more")
        for name, versions in state["buckets"].items():
            self._fill_bucket(self._buckets[name], versions)
        for name, items in state["tables"].items():
            _fill_table(self._tables[name], items)
        for name, messages in state["queues"].items():
            if name in self._queues:
                self._queues[name]._messages.extend(_message(stored) for stored in messages)
        self._give_keys_their_values(state["api_keys"])

    def _fill_bucket(self, bucket: FakeBucket, versions: Iterable[Mapping[str, Any]]) -> None:
        for version in versions:
            content = None if version.get("is_deleted") else self._folder / "objects" / Path(version["content"]).name
            if content is not None and not content.exists():
                continue
            made = self._delete_marker(bucket, version) if content is None else self._object(bucket, version, content)
            made.last_modified = datetime.fromisoformat(version["modified"])
            bucket.keys[version["key"]] = made

    def _object(self, bucket: FakeBucket, stored: Mapping[str, Any], content: Path) -> FakeKey:
        key = FakeKey(
            name=stored["key"],
            value=content.read_bytes(),
            bucket_name=bucket.name,
            account_id=self._s3.account_id,
            region_name=self._s3.region_name,
            storage=stored["storage"],
            etag=stored["etag"],
            is_versioned=bucket.is_versioned,
            version_id=stored["version"],
            **{name: stored.get(name) for name in _OF_OBJECTS},
        )
        key.checksum_algorithm = stored.get("checksum_algorithm")
        key._metadata.update(stored["metadata"])
        return key

    def _delete_marker(self, bucket: FakeBucket, stored: Mapping[str, Any]) -> FakeDeleteMarker:
        before = bucket.keys.get(stored["key"]) or FakeKey(
            stored["key"], b"", self._s3.account_id, self._s3.region_name
        )
        marker = FakeDeleteMarker(key=before)
        marker._version_id = stored["version"]
        return marker

    def _give_keys_their_values(self, values: Mapping[str, str]) -> None:
        for key in self._gateway.keys.values():
            key.value = values.get(str(key.name), key.value)
            for keys in self._gateway.usage_plan_keys.values():
                if (under_plan := keys.get(key.id)) is not None:
                    under_plan.value = key.value


def _versions(bucket: FakeBucket) -> Iterator[FakeKey | FakeDeleteMarker]:
    for _, versions in bucket.keys._iterlists():
        yield from list(versions)


def _of_version(version: FakeKey | FakeDeleteMarker, contents: dict[str, FakeKey]) -> dict[str, Any]:
    stored = {"key": version.name, "version": version.version_id, "modified": version.last_modified.isoformat()}
    if isinstance(version, FakeDeleteMarker):
        return {**stored, "is_deleted": True}
    with version.lock:
        etag = version.etag.strip('"')
    name = hashlib.sha256(json.dumps([version.bucket_name, *stored.values(), etag]).encode()).hexdigest()
    contents[name] = version
    others = {name: value for name in (*_OF_OBJECTS, "checksum_algorithm") if (value := getattr(version, name))}
    metadata = dict(version.metadata)
    return {**stored, "etag": etag, "storage": version.storage_class, "content": name, "metadata": metadata, **others}


def _plain(value: DynamoType) -> dict[str, Any]:
    """Write a value as DynamoDB's own JSON."""
    content = value.value
    if value.is_list():
        content = [_plain(item) for item in content]
    elif value.is_map():
        content = {name: _plain(item) for name, item in content.items()}
    return {value.type: _encoded(content)}


def _fill_table(table: Table, items: Iterable[Mapping[str, Any]]) -> None:
    for attributes in items:
        hash_key = DynamoType(_decoded(attributes[table.hash_key_attr]))
        range_key = DynamoType(_decoded(attributes[table.range_key_attr])) if table.range_key_attr else None
        item = Item(hash_key, range_key, {name: _decoded(value) for name, value in attributes.items()})
        if range_key is None:
            table.items[hash_key] = item  # type: ignore[assignment]  # as moto does where there is no range key
        else:
            table.items[hash_key][range_key] = item


def _of_message(message: Message) -> dict[str, Any]:
    stored = {"id": message.id, "body": message.body, **{name: getattr(message, name) for name in _OF_MESSAGES}}
    if not message.visible:  # it is under way, and comes again: that is no failure of its own
        stored["approximate_receive_count"] = max(0, message.approximate_receive_count - 1)
    return {name: _encoded(value) for name, value in stored.items()}


def _message(stored: Mapping[str, Any]) -> Message:
    message = Message(stored["id"], stored["body"])
    for name in _OF_MESSAGES:
        setattr(message, name, _decoded(stored[name]))
    return message


def _encoded(value: Any) -> Any:
    """Make JSON of a value that may hold bytes."""
    if isinstance(value, bytes):
        return {_BYTES: base64.b64encode(value).decode()}
    if isinstance(value, dict):
        return {name: _encoded(item) for name, item in value.items()}
    return [_encoded(item) for item in value] if isinstance(value, list) else value


def _decoded(value: Any) -> Any:
    """Undo `_encoded`."""
    if isinstance(value, dict):
        if set(value) == {_BYTES}:
            return base64.b64decode(value[_BYTES])
        return {name: _decoded(item) for name, item in value.items()}
    return [_decoded(item) for item in value] if isinstance(value, list) else value
