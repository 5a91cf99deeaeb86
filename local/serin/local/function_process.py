"""How does one process run one function, one event at a time, as Lambda would run it?

The process is AWS's own runtime client, `python -m awslambdaric`. Each has a Lambda Runtime API to itself, on
a socket of its own, so that whoever invokes the function talks to the process directly: no queue and no
second thread stands between an event and its handler. Past its time-out it is killed here; what is answered then is
in `limits.py`.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil  # type: ignore[import-untyped]

from serin.local.faults import Kill
from serin.local.limits import INIT_SECONDS, Answer, failure, out_of_memory, timed_out
from serin.local.reaper import Reaper
from serin.local.wire import Connection, Malformed, Request, Response

_LOOK_SECONDS = 0.25  # how often a wait looks whether the process is still alive
_NEXT = "/2018-06-01/runtime/invocation/next"
_SECRET = "twin"


@dataclass(frozen=True, slots=True)
class Spec:
    """What a function is run with.

    code: the folder it is started in. opt: what it finds its layers under, merged.
    concurrency: how many may run at once, None where the function reserves nothing.
    """

    name: str
    arn: str
    handler: str
    region: str
    code: Path
    opt: Path
    environment: dict[str, str]
    timeout_seconds: float
    memory_mb: int
    concurrency: int | None
    log_group: str


class FunctionProcess:
    """A process that runs one function. One thread at a time may use it."""

    def __init__(
        self, spec: Spec, *, access_key: str, endpoint_url: str, home: Path, log_stream: str, reaper: Reaper
    ) -> None:
        self.spec = spec
        self.access_key = access_key
        self.home = home
        self.log_stream = log_stream
        self.idle_since = time.monotonic()
        self.kill_at: Kill | None = None
        self.init_seconds: float | None = None
        self.most_memory_mb = 0.0
        self._reaper = reaper
        self._why_killed: str | None = None
        self._connection: Connection | None = None
        self._started = time.monotonic()
        self._listener = socket.create_server(("127.0.0.1", 0))
        home.mkdir(parents=True)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "awslambdaric", spec.handler],
            cwd=spec.code,
            env=self._environment(endpoint_url),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,  # a Ctrl-C is the twin's; and what the function starts dies with it
        )
        reaper.watch(self._process.pid)
        assert self._process.stdout is not None
        self.output: IO[bytes] = self._process.stdout

    @property
    def pid(self) -> int:
        """The number of the process, and of its group."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Whether it can take another event."""
        return self._process.poll() is None

    def send(self, request_id: str, payload: bytes, *, timeout_seconds: float) -> Answer | None:
        """Hand an event to the process, once it has asked for one.

        Returns None; or, where the process could not get ready, the answer that says why.
        """
        request = self._wait_for_request(time.monotonic() + INIT_SECONDS + timeout_seconds)
        if request is None:
            return self._end(request_id, timeout_seconds)
        if request.target != _NEXT:
            return self._refused(request)
        if self.init_seconds is None:
            self.init_seconds = time.monotonic() - self._started
        headers = [
            ("Content-Type", "application/json"),
            ("Lambda-Runtime-Aws-Request-Id", request_id),
            ("Lambda-Runtime-Deadline-Ms", str(int((time.time() + timeout_seconds) * 1000))),
            ("Lambda-Runtime-Invoked-Function-Arn", self.spec.arn),
            ("Lambda-Runtime-Trace-Id", f"Root=1-{int(time.time()):08x}-{request_id.replace('-', '')[:24]};Sampled=0"),
        ]
        with contextlib.suppress(OSError):  # it died just now: receive() says so
            assert self._connection is not None
            self._connection.write(Response(200, payload, headers))
        return None

    def receive(self, request_id: str, *, until: float, deadline: float) -> Answer | None:
        """Wait for the answer to the event that was sent.

        until, deadline: monotonic seconds. Returns None where there is no answer by `until`; at the
        deadline the process is killed, and the answer says so.
        """
        request = self._wait_for_request(min(until, deadline))
        if request is None and time.monotonic() < deadline and self.is_alive():
            return None
        if request is None:
            return self._end(request_id, self.spec.timeout_seconds)
        self._acknowledge()
        if request.target.endswith("/response"):
            return Answer(request.body)
        return Answer(request.body, request.lower.get("lambda-runtime-function-error-type", "Unhandled"))

    def kill(self, why: str) -> None:
        """Kill the process and all that it started, and wait until it is gone."""
        if self._why_killed is None and self.is_alive():
            self._why_killed = why
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        """Kill the process and clear away what was its own."""
        self.kill("closed")
        self._reaper.forget(self.pid)
        self._listener.close()
        if self._connection is not None:
            self._connection.close()
        shutil.rmtree(self.home, ignore_errors=True)

    def memory_mb(self, *, with_children: bool = False) -> float:
        """Measure its resident memory, and keep the most that was ever measured; 0 once it is gone.

        with_children: also of the processes that it started, which takes as long as an answer.
        """
        try:
            process = psutil.Process(self.pid)
            memory = process.memory_info().rss / 2**20
            for child in process.children(recursive=True) if with_children else ():
                with contextlib.suppress(psutil.Error):  # it may end just now
                    memory += child.memory_info().rss / 2**20
        except psutil.Error:
            return 0.0
        self.most_memory_mb = max(self.most_memory_mb, memory)
        return float(memory)

    def _environment(self, endpoint_url: str) -> dict[str, str]:
        spec = self.spec
        host, port = self._listener.getsockname()
        own = {name: self._under_opt(value) for name, value in spec.environment.items()}
        python_path = [str(spec.opt / "python"), own.pop("PYTHONPATH", "")]
        return {
            "PATH": f"/usr/local/bin:/usr/bin:/bin:{spec.opt / 'bin'}",  # and not what the person has installed
            "LANG": "C.UTF-8",
            "TZ": ":UTC",
            "HOME": str(self.home),
            "TMPDIR": str(self.home),
            "PYTHONPATH": os.pathsep.join(filter(None, python_path)),
            "LD_LIBRARY_PATH": str(spec.opt / "lib"),
            "LAMBDA_TASK_ROOT": str(spec.code),
            "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
            "AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1:2000",
            **own,
            "_HANDLER": spec.handler,
            "AWS_LAMBDA_RUNTIME_API": f"{host}:{port}",
            "AWS_LAMBDA_FUNCTION_NAME": spec.name,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(spec.memory_mb),
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_LOG_GROUP_NAME": spec.log_group,
            "AWS_LAMBDA_LOG_STREAM_NAME": self.log_stream,
            "AWS_REGION": spec.region,
            "AWS_DEFAULT_REGION": spec.region,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": _SECRET,
            "AWS_SESSION_TOKEN": _SECRET,
            "AWS_ENDPOINT_URL": endpoint_url,
        }

    def _under_opt(self, value: str) -> str:
        return ":".join(
            str(self.spec.opt) + part.removeprefix("/opt") if part == "/opt" or part.startswith("/opt/") else part
            for part in value.split(":")
        )

    def _wait_for_request(self, until: float) -> Request | None:
        """Read what the process says next; None where it has ended, or says nothing in time."""
        while True:
            left = until - time.monotonic()
            try:
                request = self._read(max(0.001, min(_LOOK_SECONDS, left)))
                if request is not None:
                    return request
                self._drop_connection()
            except TimeoutError:
                if left <= _LOOK_SECONDS:
                    return None
            except (OSError, Malformed):
                self._drop_connection()
            if not self.is_alive():
                return None

    def _read(self, seconds: float) -> Request | None:
        if self._connection is None:
            self._listener.settimeout(seconds)
            self._connection = Connection(self._listener.accept()[0])
        self._connection.socket.settimeout(seconds)
        return self._connection.read()

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_LOOK_SECONDS)

    def _acknowledge(self) -> None:
        with contextlib.suppress(OSError):
            assert self._connection is not None
            self._connection.write(Response(202, b"{}", [("Content-Type", "application/json")]))

    def _refused(self, request: Request) -> Answer:
        """Take the report of a failed init, after which the process ends."""
        self._acknowledge()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        self.kill("init failed")
        return Answer(request.body, request.lower.get("lambda-runtime-function-error-type", "Runtime.Unknown"))

    def _end(self, request_id: str, timeout_seconds: float) -> Answer:
        """Say why there is no answer; the process is gone afterwards."""
        if self.is_alive():
            self.kill("timeout")
        code = self._process.wait()
        if self._why_killed == "timeout":
            return timed_out(request_id, timeout_seconds)
        if self._why_killed == "memory":
            return out_of_memory(request_id)
        return failure(request_id, "Runtime.ExitError", f"Runtime exited {_how(code)}")


def _how(code: int) -> str:
    if code == 0:
        return "without providing a reason"
    return f"with error: exit status {code}" if code > 0 else f"with error: signal: {signal.strsignal(-code)}".lower()
