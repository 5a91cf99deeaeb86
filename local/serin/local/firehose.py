"""How do log lines become objects in a bucket?

As Firehose makes them: a subscription's filter pattern says which lines; they are taken out of the envelope that
CloudWatch Logs sends, gathered until they are many or old enough, and put under a prefix that holds the time.
"""

import base64
import gzip
import json
import logging
import re
import threading
import time
import uuid
import zlib
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends
from moto.s3.models import s3_backends

from serin.local.errors import UnsupportedResource
from serin.local.schedules import Clock

_LOOK_SECONDS = 0.05
_KEPT_BUFFERS = 4  # so many times its size a stream holds while the bucket takes nothing; more is dropped and counted
_EQUALS = re.compile(r'\s*\$\.([\w.]+)\s*=\s*"([^"\\*%]+)"\s*')
_EITHER = re.compile(r"\s*\(([^()]*)\)\s*")
_EXPRESSION = re.compile(r"!\{([\w-]+):([^}]*)\}")
_TIMES = {"yyyy": "%Y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S"}
_PROCESSORS = {"Decompression", "CloudWatchLogProcessing", "AppendDelimiterToRecord"}
_UNREADABLE = (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError)

_LOG = logging.getLogger(__name__)


@lru_cache
def parse_pattern(pattern: str) -> Callable[[str], bool]:
    """Read a filter pattern of CloudWatch Logs: the empty one, `{ $.key = "value" }`, or such in parentheses with ||.

    Raises UnsupportedResource where it is another.
    """
    if not pattern.strip():
        return lambda _line: True
    equalities = _equalities(pattern.strip())
    if not equalities:
        raise UnsupportedResource(f'the twin reads filter patterns like {{ $.key = "value" }}, not {pattern!r}')

    def matches(line: str) -> bool:
        try:
            entry = json.loads(line) if line.startswith("{") else None
        except (ValueError, RecursionError):
            return False
        return any(_value_at(entry, path) == value for path, value in equalities)

    return matches


def _equalities(pattern: str) -> list[tuple[list[str], str]]:
    """Read which keys, by their paths, may have which values; nothing where the pattern is of another kind."""
    if not (pattern.startswith("{") and pattern.endswith("}")):
        return []
    parts = pattern[1:-1].split("||")
    inner = [_EITHER.fullmatch(part) for part in parts]
    texts = parts if len(parts) == 1 and not inner[0] else [part[1] if part else "" for part in inner]
    matches = [_EQUALS.fullmatch(text) for text in texts]
    return [(match[1].split("."), match[2]) for match in matches if match] if all(matches) else []


def _value_at(value: Any, path: list[str]) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


@dataclass(frozen=True, slots=True)
class Stream:
    """How one delivery stream delivers. prefix, error_prefix: with expressions that are yet to be filled in."""

    name: str
    bucket: str
    prefix: str
    error_prefix: str
    extension: str
    is_compressed: bool
    size_bytes: int
    interval_seconds: float
    processors: frozenset[str]

    @classmethod
    def read(cls, name: str, destination: dict[str, Any]) -> "Stream":
        """Read an ExtendedS3DestinationConfiguration. Raises UnsupportedResource, saying what the twin cannot do."""
        processing = destination.get("ProcessingConfiguration", {})
        processors = {
            processor["Type"] for processor in processing.get("Processors", []) if _is_true(processing, "Enabled")
        }
        compression = destination.get("CompressionFormat", "UNCOMPRESSED")
        beyond = sorted(processors - _PROCESSORS)
        beyond += [part for part in ("DynamicPartitioning", "DataFormatConversion") if _is_on(destination, part)]
        beyond += [compression] if compression not in ("GZIP", "UNCOMPRESSED") else []
        if beyond:
            raise UnsupportedResource(f"delivery stream {name}: the twin cannot do {', '.join(beyond)}")
        hints = destination.get("BufferingHints", {})
        stream = cls(
            name=name,
            bucket=destination["BucketARN"].split(":")[-1],
            prefix=destination.get("Prefix", ""),
            error_prefix=destination.get("ErrorOutputPrefix", ""),
            extension=destination.get("FileExtension") or (".gz" if compression == "GZIP" else ""),
            is_compressed=compression == "GZIP",
            size_bytes=int(hints.get("SizeInMBs", 5)) * 2**20,
            interval_seconds=float(hints.get("IntervalInSeconds", 300)),
            processors=frozenset(processors),
        )
        for prefix in (stream.prefix, stream.error_prefix):
            fill_in(prefix, arrived=datetime.now(UTC))
        return stream

    def text_of(self, record: bytes) -> bytes:
        """Make of a record what is to be delivered; nothing, where it holds no message. Raises one of _UNREADABLE."""
        data = gzip.decompress(record) if "Decompression" in self.processors else record
        parts = [data]
        if "CloudWatchLogProcessing" in self.processors:
            envelope = json.loads(data)
            is_data = envelope["messageType"] == "DATA_MESSAGE"
            parts = [event["message"].encode() for event in envelope["logEvents"]] if is_data else []
        delimiter = b"\n" if "AppendDelimiterToRecord" in self.processors else b""
        return b"".join(part + delimiter for part in parts)


def fill_in(prefix: str, *, arrived: datetime, error: str = "") -> str:
    """Fill in the expressions of a prefix; to one that has none the hour is added.

    Raises UnsupportedResource where an expression is not understood.
    """

    def value(match: re.Match[str]) -> str:
        if match[1] == "timestamp" and all(word in _TIMES for word in re.findall("[A-Za-z]+", match[2])):
            return re.sub("[A-Za-z]+", lambda word: arrived.strftime(_TIMES[word[0]]), match[2])
        if match[0] == "!{firehose:error-output-type}":
            return error
        raise UnsupportedResource(f"the twin cannot fill in {match[0]} in the prefix {prefix!r}")

    filled, expressions = _EXPRESSION.subn(value, prefix)
    return filled if expressions else f"{prefix}{arrived:%Y/%m/%d/%H}/"


@dataclass(slots=True)
class _Buffer:
    """What waits to be one object. error: why it is none of the good ones; empty for those."""

    stream: Stream
    error: str
    arrived: datetime
    due: float
    records: int = 0
    size: int = 0
    has_failed: bool = False
    parts: list[bytes] = field(default_factory=list)

    def add(self, text: bytes, *, records: int = 1) -> None:
        self.parts.append(text)
        self.size += len(text)
        self.records += records

    def key(self) -> str:
        prefix = self.stream.error_prefix if self.error else self.stream.prefix
        name = f"{self.stream.name}-1-{self.arrived:%Y-%m-%d-%H-%M-%S}-{uuid.uuid4()}{self.stream.extension}"
        return fill_in(prefix, arrived=self.arrived, error=self.error) + name

    def content(self) -> bytes:
        content = b"".join(self.parts)
        return gzip.compress(content, compresslevel=1) if self.stream.is_compressed else content


class Firehose:
    """Gathers the records of every delivery stream, and delivers them."""

    def __init__(self, *, clock: Clock, account: str, region: str, writing: AbstractContextManager[Any]) -> None:
        """writing: held while an object is put."""
        self._clock = clock
        self._writing = writing
        self.deliveries = 0
        self._s3 = s3_backends[account]["aws"]
        self._metrics = cloudwatch_backends[account][region]
        self._lock = threading.Lock()
        self._delivering = threading.Lock()
        self._buffers: dict[tuple[str, str], _Buffer] = {}
        self._is_stopping = threading.Event()

    def start(self) -> None:
        """Begin to deliver what is due."""
        threading.Thread(target=self._run, name="firehose", daemon=True).start()

    def stop(self) -> None:
        """Deliver no more."""
        self._is_stopping.set()

    def accept(self, stream: Stream, records: Iterable[bytes]) -> None:
        """Take records in."""
        for record in records:
            try:
                text, error = stream.text_of(record), ""
            except _UNREADABLE as problem:
                text, error = _failure(record, problem), "processing-failed"
            if text:
                self._add(stream, error, text)

    def deliver(self, *, early: bool = False) -> None:
        """Deliver what is due, and wait for what is being delivered.

        early: deliver also what only waits to be more or older.
        """
        with self._delivering:
            now = time.monotonic()
            with self._lock:
                due = [
                    key
                    for key, buffer in self._buffers.items()
                    if buffer.due <= now or (early and not buffer.has_failed)
                ]
                buffers = [self._buffers.pop(key) for key in due]
            for buffer in buffers:
                self._put(buffer)

    def waiting(self) -> dict[str, int]:
        """Count the records that are not delivered yet, by stream."""
        with self._lock:
            counts = Counter[str]()
            for (name, _), buffer in self._buffers.items():
                counts[name] += buffer.records
            return dict(counts)

    def _run(self) -> None:
        while not self._is_stopping.wait(_LOOK_SECONDS):
            try:
                self.deliver()
            except Exception:
                _LOG.exception("records could not be delivered")

    def _add(self, stream: Stream, error: str, text: bytes) -> None:
        with self._lock:
            buffer = self._buffers.setdefault((stream.name, error), self._new_buffer(stream, error))
            if buffer.size + len(text) > _KEPT_BUFFERS * stream.size_bytes:
                self._count(stream, "ThrottledRecords", 1)
                return
            buffer.add(text)
            if buffer.size >= stream.size_bytes and not buffer.has_failed:
                buffer.due = 0.0

    def _new_buffer(self, stream: Stream, error: str) -> _Buffer:
        due = time.monotonic() + self._clock.real_seconds(stream.interval_seconds)
        return _Buffer(stream, error, datetime.now(UTC), due)

    def _put(self, buffer: _Buffer) -> None:
        stream = buffer.stream
        try:
            key, content = buffer.key(), buffer.content()
            with self._writing:
                self._s3.put_object(stream.bucket, key, content)
        except Exception as error:
            _LOG.warning("stream %s: %d records wait: %s", stream.name, buffer.records, error)
            self._count(stream, "DeliveryToS3.Success", 0)
            self._put_back(buffer)
            return
        self.deliveries += 1
        self._count(stream, "DeliveryToS3.Success", 1)
        self._count(stream, "DeliveryToS3.Records", buffer.records)

    def _put_back(self, buffer: _Buffer) -> None:
        """Try again after the interval, before what has come since."""
        with self._lock:
            newer = self._buffers.get((buffer.stream.name, buffer.error))
            if newer:
                buffer.add(b"".join(newer.parts), records=newer.records)
            buffer.due = self._new_buffer(buffer.stream, buffer.error).due
            buffer.has_failed = True
            self._buffers[buffer.stream.name, buffer.error] = buffer

    def _count(self, stream: Stream, metric: str, value: float) -> None:
        datum = {
            "MetricName": metric,
            "Unit": "Count",
            "Values": [value],
            "Timestamp": datetime.now(UTC).replace(tzinfo=None),
            "Dimensions": [{"Name": "DeliveryStreamName", "Value": stream.name}],
        }
        self._metrics.put_metric_data("AWS/Firehose", [datum])


def _failure(record: bytes, problem: Exception) -> bytes:
    """Say in a line what could not be processed."""
    failure = {"errorCode": type(problem).__name__, "errorMessage": str(problem)}
    return json.dumps({**failure, "rawData": base64.b64encode(record).decode()}).encode() + b"\n"


def _is_true(properties: dict[str, Any], name: str) -> bool:
    return properties.get(name) in (True, "true")


def _is_on(destination: dict[str, Any], part: str) -> bool:
    return _is_true(destination.get(f"{part}Configuration", {}), "Enabled")
