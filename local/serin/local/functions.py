"""Which processes run a function, and what comes of an event?

moto holds what a function is; this holds its processes: started when an event finds none idle, kept warm,
killed when they take too much memory, or too long (`function_process.py`).
"""

import itertools
import json
import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from serin.local.faults import Faults
from serin.local.function_process import FunctionProcess, Spec
from serin.local.limits import SYNC_PAYLOAD_LIMIT, Answer, deadline, shortened
from serin.local.logs import Logs
from serin.local.reaper import Reaper

_PROCESSES = 10  # of one function, where it reserves no concurrency; more events wait their turn
_PATIENCE_SECONDS = 0.1  # how long an event waits for a process to come free before another is started
_QUEUE_SECONDS = 60.0  # how long an event waits where the function has as many processes as it may
_IDLE_SECONDS = 300.0
_LOOK_SECONDS = 0.05  # how often the memory of busy processes is measured
_LOOKS_AT_CHILDREN = 10  # each so many times, that of what they started too
_KEPT_RECORDS = 2000  # of one function
_KEPT_BYTES = 4 * 1024 * 1024  # of their events, but for the last one's

_LOG = logging.getLogger(__name__)


class Throttled(Exception):
    """When a function already runs as often as it may."""


class PayloadTooLarge(Exception):
    """When an event is larger than Lambda takes."""


class StillRunning(Exception):
    """When there is no answer yet, and the caller waits no longer. The function goes on."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one invocation. error_type: None where the function succeeded."""

    request_id: str
    payload: bytes
    error_type: str | None


@dataclass(slots=True)
class Record:
    """One invocation, for tests to look at."""

    request_id: str
    event: bytes
    outcome: str = "running"
    error: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Say it as JSON, with the event parsed."""
        return {**asdict(self), "event": json.loads(self.event or b"null")}


class _Pool:
    """The processes of one function."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.changed = threading.Condition()
        self.idle: list[FunctionProcess] = []
        self.size = 0
        self.running = 0
        self.records: deque[Record] = deque()
        self._records_bytes = 0

    def note(self, record: Record) -> None:
        """Keep a record, and let go of the oldest ones where there are many."""
        with self.changed:
            self.records.append(record)
            self._records_bytes += len(record.event)
            while len(self.records) > 1 and (self._records_bytes > _KEPT_BYTES or len(self.records) > _KEPT_RECORDS):
                self._records_bytes -= len(self.records.popleft().event)

    @property
    def limit(self) -> int:
        return _PROCESSES if self.spec.concurrency is None else self.spec.concurrency


class Functions:
    """Runs every function of the twin."""

    def __init__(
        self,
        *,
        describe: Callable[[str], Spec],
        note_error: Callable[[str], None],
        logs: Logs,
        faults: Faults,
        homes: Path,
        endpoint_url: str,
    ) -> None:
        """describe: what a function is run with, by name; raises UnknownFunction. note_error: told who failed."""
        self._describe = describe
        self.note_error = note_error
        self._logs = logs
        self._faults = faults
        self._homes = homes
        self._endpoint_url = endpoint_url
        self._reaper = Reaper()
        self._lock = threading.Lock()
        self._pools: dict[str, _Pool] = {}
        self._by_key: dict[str, FunctionProcess] = {}
        self._busy: set[FunctionProcess] = set()
        self._numbers = itertools.count(1)
        self._something_busy = threading.Event()
        self._is_stopping = False
        self.invocations_begun = 0
        threading.Thread(target=self._keep_watch, name="watch", daemon=True).start()

    def invoke(self, name: str, payload: bytes, *, patience_seconds: float | None = None) -> Outcome:
        """Run a function on an event, and wait for what comes of it.

        patience_seconds: how long to wait for the answer; StillRunning after that.
        Raises UnknownFunction, Throttled, PayloadTooLarge.
        """
        if len(payload) > SYNC_PAYLOAD_LIMIT:
            raise PayloadTooLarge(f"{len(payload)} bytes; the limit is {SYNC_PAYLOAD_LIMIT}")
        began = time.monotonic()
        until = began + patience_seconds if patience_seconds else float("inf")
        pool = self._pool(name)
        record = Record(request_id=str(uuid.uuid4()), event=payload)
        process = self._acquire(pool, until=until)
        pool.note(record)
        return _Invocation(self, pool, process, record).run(until=until)

    def free(self, name: str) -> int:
        """Count how many more events the function could take at once."""
        pool = self._pool(name)
        return max(0, pool.limit - pool.running)

    def running(self) -> dict[str, int]:
        """Count the invocations under way, by function."""
        return {name: pool.running for name, pool in self._pools.items() if pool.running}

    def records(self, name: str) -> list[dict[str, Any]]:
        """List the last invocations of a function, oldest first."""
        return [record.as_json() for record in list(self._pool(name).records)]

    def log_group(self, name: str) -> str:
        """Name the log group that a function writes to."""
        return self._pool(name).spec.log_group

    def process_of(self, access_key: str) -> FunctionProcess | None:
        """Find out which process makes an AWS call, by the access key that it was given."""
        return self._by_key.get(access_key)

    def refresh(self, name: str) -> None:
        """Take up a change of the function's code or configuration: the next event finds new processes."""
        with self._lock:
            pool = self._pools.pop(name, None)
        if pool:
            for process in pool.idle:
                self._close(process)

    def stop(self) -> None:
        """Kill every process."""
        self._is_stopping = True
        for process in list(self._by_key.values()):
            process.kill("stopped")
            process.close()
        self._reaper.close()

    def _pool(self, name: str) -> _Pool:
        pool = self._pools.get(name)
        if pool is None:
            with self._lock:
                pool = self._pools.setdefault(name, _Pool(self._describe(name)))
        return pool

    def _acquire(self, pool: _Pool, *, until: float) -> FunctionProcess:
        """Take an idle process, or start one; wait for one where the function may have no more."""
        with pool.changed:
            pool.running += 1
            self.invocations_begun += 1
        try:
            process = self._wait_for_idle(pool, until=until) or self._start_for(pool)
        except BaseException:
            with pool.changed:
                pool.running -= 1
            raise
        process.kill_at = self._faults.take(pool.spec.name)
        self._busy.add(process)
        self._something_busy.set()
        return process

    def _wait_for_idle(self, pool: _Pool, *, until: float) -> FunctionProcess | None:
        """Take an idle process; None where another is to be started. Raises Throttled."""
        spec = pool.spec
        with pool.changed:
            if spec.concurrency is not None and pool.running > spec.concurrency:
                raise Throttled(f"{spec.name} runs {spec.concurrency} times at once, and may no more")
            if not pool.idle and pool.size:
                pool.changed.wait_for(lambda: pool.idle, timeout=_PATIENCE_SECONDS)
            while not pool.idle and pool.size >= pool.limit:
                if not pool.changed.wait(timeout=min(_QUEUE_SECONDS, until - time.monotonic())):
                    raise Throttled(f"no process of {spec.name} came free")
            while pool.idle:
                process = pool.idle.pop()
                if process.is_alive():
                    return process
                pool.size -= 1
                self._close(process)
            pool.size += 1
            return None

    def _start_for(self, pool: _Pool) -> FunctionProcess:
        try:
            return self._start(pool.spec)
        except BaseException:
            with pool.changed:
                pool.size -= 1
                pool.changed.notify()
            raise

    def _start(self, spec: Spec) -> FunctionProcess:
        number = next(self._numbers)
        access_key = f"AKIATWIN{number:012d}"
        process = FunctionProcess(
            spec,
            access_key=access_key,
            endpoint_url=self._endpoint_url,
            home=self._homes / str(number),
            log_stream=f"{datetime.now(UTC):%Y/%m/%d}/[$LATEST]{uuid.uuid4().hex}",
            reaper=self._reaper,
        )
        self._by_key[access_key] = process
        self._logs.follow(process)
        if self._is_stopping:
            process.close()
        return process

    def release(self, pool: _Pool, process: FunctionProcess) -> None:
        """Let the next event have the process."""
        self._busy.discard(process)
        process.kill_at = None
        process.idle_since = time.monotonic()
        is_usable = process.is_alive() and self._pools.get(pool.spec.name) is pool
        if not is_usable:
            self._close(process)
        with pool.changed:
            pool.running -= 1
            if is_usable:
                pool.idle.append(process)
            else:
                pool.size -= 1
            pool.changed.notify()

    def mark(self, process: FunctionProcess, lines: Callable[[], list[str]]) -> None:
        """Write Lambda's own lines into a function's log."""
        self._logs.mark(process, lines)

    def _close(self, process: FunctionProcess) -> None:
        self._by_key.pop(process.access_key, None)
        process.close()

    def _keep_watch(self) -> None:
        """Kill what takes too much memory, and let go of what has long been idle."""
        looks = 0
        while not self._is_stopping:
            self._something_busy.wait(timeout=_IDLE_SECONDS / 10)
            looks += 1
            for process in list(self._busy):
                if process.memory_mb(with_children=looks % _LOOKS_AT_CHILDREN == 0) > process.spec.memory_mb:
                    process.kill("memory")
            if not self._busy:
                self._something_busy.clear()
            self._reap()
            time.sleep(_LOOK_SECONDS)

    def _reap(self) -> None:
        oldest = time.monotonic() - _IDLE_SECONDS
        for pool in list(self._pools.values()):
            with pool.changed:
                tired = [process for process in pool.idle if process.idle_since < oldest]
                pool.idle = [process for process in pool.idle if process.idle_since >= oldest]
                pool.size -= len(tired)
            for process in tired:
                self._close(process)


class _Invocation:
    """One event on its way through one process."""

    def __init__(self, functions: Functions, pool: _Pool, process: FunctionProcess, record: Record) -> None:
        self._functions = functions
        self._pool = pool
        self._process = process
        self._record = record

    def run(self, *, until: float) -> Outcome:
        request_id, spec = self._record.request_id, self._process.spec
        is_cold = self._process.init_seconds is None
        self._functions.mark(self._process, lambda: [f"START RequestId: {request_id} Version: $LATEST"])
        try:
            answer = self._process.send(request_id, self._record.event, timeout_seconds=spec.timeout_seconds)
            self._began = time.monotonic()
            self._init_seconds = self._process.init_seconds if is_cold else None
            self._deadline = deadline(self._began, spec.timeout_seconds)
            if answer is None:
                answer = self._process.receive(request_id, until=until, deadline=self._deadline)
        except BaseException:
            self._functions.release(self._pool, self._process)
            raise
        if answer is None:
            threading.Thread(target=self._finish_later, daemon=True).start()
            raise StillRunning(request_id)
        return self._finish(answer)

    def _finish_later(self) -> None:
        answer = self._process.receive(self._record.request_id, until=self._deadline, deadline=self._deadline)
        if answer is not None:
            self._finish(answer)

    def _finish(self, answer: Answer) -> Outcome:
        answer = shortened(answer)
        request_id = self._record.request_id
        self._record.outcome = "succeeded" if answer.error_type is None else "failed"
        self._record.error = answer.error_type
        if answer.error_type is not None:
            self._functions.note_error(self._process.spec.name)
        milliseconds = (time.monotonic() - self._began) * 1000
        self._functions.mark(self._process, lambda: self._report(answer, milliseconds))
        self._functions.release(self._pool, self._process)
        return Outcome(request_id, answer.payload, answer.error_type)

    def _report(self, answer: Answer, milliseconds: float) -> list[str]:
        request_id, spec = self._record.request_id, self._process.spec
        self._process.memory_mb()
        report = (
            f"REPORT RequestId: {request_id}\tDuration: {milliseconds:.2f} ms"
            f"\tBilled Duration: {int(milliseconds) + 1} ms"
            f"\tMemory Size: {spec.memory_mb} MB\tMax Memory Used: {self._process.most_memory_mb:.0f} MB"
        )
        if self._init_seconds is not None:
            report += f"\tInit Duration: {self._init_seconds * 1000:.2f} ms"
        lines = [f"END RequestId: {request_id}", report]
        if answer.error_type in ("Sandbox.Timedout", "Runtime.OutOfMemory", "Runtime.ExitError"):
            lines.insert(0, json.loads(answer.payload)["errorMessage"])
        return lines
