"""Where does what a function prints go?

Every line to the function's log group; a line in the Embedded Metric Format to CloudWatch metrics as well.
One thread reads the output of all processes.
"""

import contextlib
import json
import logging
import os
import selectors
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends
from moto.logs.models import LogStream, logs_backends

from serin.local.function_process import FunctionProcess

_GATHER_SECONDS = 0.01  # lines that come within this time are stored together
_KEPT_BYTES = 8 * 1024 * 1024  # of one log group; older lines are dropped, so that many requests do not fill the memory
_BYTES_PER_EVENT = 500  # that an event takes beside its text

_LOG = logging.getLogger(__name__)


class Logs:
    """Reads what processes print, and stores it."""

    def __init__(self, *, account: str, region: str) -> None:
        self._groups = logs_backends[account][region]
        self._metrics = cloudwatch_backends[account][region]
        self._selector = selectors.DefaultSelector()
        self._wake_reader, self._wake_writer = os.pipe()
        os.set_blocking(self._wake_reader, False)
        self._selector.register(self._wake_reader, selectors.EVENT_READ, None)
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._partial: dict[FunctionProcess, bytes] = {}
        self._read: list[tuple[FunctionProcess, list[str] | Callable[[], list[str]]]] = []
        self._last_timestamp = 0
        self._sizes: Counter[str] = Counter()
        threading.Thread(target=self._run, name="logs", daemon=True).start()

    def follow(self, process: FunctionProcess) -> None:
        """Begin to read what a process prints, until it ends."""
        os.set_blocking(process.output.fileno(), False)
        with self._lock:
            self._partial[process] = b""
            self._selector.register(process.output, selectors.EVENT_READ, process)
        self._wake()

    def mark(self, process: FunctionProcess, lines: Callable[[], list[str]]) -> None:
        """Write lines of Lambda's own into a process's log, after what it printed until now.

        lines: called later, in another thread.
        """
        with self._lock:
            is_asleep = not self._read
            self._drain(process)  # what is read here wakes nobody by itself
            self._read.append((process, lines))
        if is_asleep:
            self._wake()

    def store(self) -> None:
        """Store all that was printed until now."""
        with self._lock:
            for process in list(self._partial):
                self._drain(process)
        self._flush()

    def lines(self, group: str) -> list[str]:
        """Read a log group, oldest first, with all that was printed until now."""
        self.store()
        if group not in self._groups.groups:
            return []
        events = [event for stream in self._groups.groups[group].streams.values() for event in stream.events]
        return [event.message for event in sorted(events, key=lambda event: event.timestamp)]

    def _wake(self) -> None:
        os.write(self._wake_writer, b".")

    def _run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self._wake_reader, 4096)
                else:
                    with self._lock:
                        self._drain(key.data)
            try:
                self._flush()
            except Exception:
                _LOG.exception("log lines were lost")
            time.sleep(_GATHER_SECONDS)

    def _drain(self, process: FunctionProcess) -> None:
        """Read the whole lines that a process has printed since."""
        while process in self._partial:
            try:
                read = os.read(process.output.fileno(), 1024 * 1024)
            except BlockingIOError:
                return
            except (OSError, ValueError):
                read = b""
            *lines, rest = (self._partial[process] + read).split(b"\n")
            self._partial[process] = rest
            if not read:
                self._end(process)
                lines.append(rest)
            text = [line.decode("utf-8", "replace").replace("\r", "\n") for line in lines if line]
            if text:
                self._read.append((process, text))

    def _end(self, process: FunctionProcess) -> None:
        del self._partial[process]
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(process.output)
        process.output.close()

    def _flush(self) -> None:
        """Store what was read."""
        with self._flushing:
            with self._lock:
                read, self._read = self._read, []
            events: dict[tuple[str, str], list[dict[str, Any]]] = {}
            self._last_timestamp = max(self._last_timestamp, int(time.time() * 1000))
            for process, lines in read:
                place = (process.spec.log_group, process.log_stream)
                for line in lines() if callable(lines) else lines:
                    events.setdefault(place, []).append({"timestamp": self._last_timestamp, "message": line})
                    self._note_metrics(line)
            for (group, stream), batch in events.items():
                self._store(group, stream, batch)

    def _note_metrics(self, line: str) -> None:
        if line.startswith("{") and '"_aws"' in line:
            for namespace, datum in metrics_in(line):
                self._metrics.put_metric_data(namespace, [datum])

    def _store(self, group: str, name: str, events: list[dict[str, Any]]) -> None:
        self._groups.ensure_log_group(group)
        streams = self._groups.groups[group].streams
        if name not in streams:
            self._groups.create_log_stream(group, name)
        self._groups.put_log_events(group, name, events)
        self._sizes[group] += sum(len(event["message"]) + _BYTES_PER_EVENT for event in events)
        if self._sizes[group] > 2 * _KEPT_BYTES:
            self._sizes[group] = _drop_old_events(list(streams.values()), most=_KEPT_BYTES)


def _drop_old_events(streams: Sequence[LogStream], *, most: int) -> int:
    """Drop the oldest lines of a group's streams. Returns how many bytes are left."""
    left, kept = 0, {id(stream): 0 for stream in streams}
    newest = ((event, stream) for stream in streams for event in stream.events)
    for event, stream in sorted(newest, key=lambda pair: pair[0].event_id, reverse=True):
        left += len(event.message) + _BYTES_PER_EVENT
        if left > most:
            break
        kept[id(stream)] += 1
    for stream in streams:
        stream.events = stream.events[len(stream.events) - kept[id(stream)] :]
    return min(left, most)


def metrics_in(line: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Read the metrics of a line in the Embedded Metric Format: namespace, and datum as PutMetricData has it.

    Yields nothing for a line that is not one.
    Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    try:
        entry = json.loads(line)
        when = datetime.fromtimestamp(entry["_aws"]["Timestamp"] / 1000, UTC).replace(tzinfo=None)
        directives = entry["_aws"]["CloudWatchMetrics"]
        for directive in directives:
            for dimensions in directive.get("Dimensions") or [[]]:
                for metric in directive.get("Metrics", []):
                    values = entry[metric["Name"]]
                    yield (
                        directive["Namespace"],
                        {
                            "MetricName": metric["Name"],
                            "Unit": metric.get("Unit", "None"),
                            "Values": values if isinstance(values, list) else [values],
                            "Timestamp": when,
                            "Dimensions": [{"Name": name, "Value": str(entry[name])} for name in dimensions],
                        },
                    )
    except (ValueError, KeyError, TypeError, AttributeError):
        return
