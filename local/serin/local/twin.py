"""How does one start a twin, talk to it, and stop it?

with Twin(Path("cdk.out")) as twin:
    boto3.client("s3", endpoint_url=twin.endpoint_url, …)
    twin.settle()
"""

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, Self

from serin.local.assembly import read_assembly
from serin.local.errors import NotSettled, TwinDown, UnknownStack, error_named
from serin.local.wire import listen

_START_SECONDS = 120.0
_STOP_SECONDS = 30.0  # a large state takes its time to be written
_LOOK_SECONDS = 0.05


class Fault:
    """A kill that was asked for."""

    def __init__(self, twin: "Twin", number: int) -> None:
        self._twin = twin
        self._number = number

    @property
    def has_fired(self) -> bool:
        """Whether the invocation got so far that its process was killed."""
        return bool(self._twin._call("has_fired", number=self._number))


class Twin:
    """A local cloud that runs an assembly, in processes of its own."""

    def __init__(
        self,
        assembly: Path,
        *,
        live: Mapping[str, Path] | None = None,
        port: int = 0,
        clock_rate: float = 1.0,
        state: Path = Path(".serin"),
        snapshot: Path | None = None,
    ) -> None:
        """Prepare a twin; start() brings it up.

        assembly: the folder that a synthesis wrote. live: entries of layers that are these folders instead of
        the assembly's copies. port: where AWS calls are answered, and HTTP one above; 0 takes free ones.
        clock_rate: how much faster than real time schedules come due, and Firehose delivers. state: where the twin
        keeps its files while it runs. snapshot: a folder that its buckets, tables and queues are put back from and
        kept in, so that the next twin goes on where this one ended; nothing outlives the twin where it is None.
        """
        self._assembly = Path(assembly)
        self._live = dict(live or {})
        self._port = port
        self._clock_rate = clock_rate
        self._root = Path(state).absolute()
        self._snapshot = snapshot
        self._process: subprocess.Popen[bytes] | None = None
        self._facts: dict[str, Any] = {}

    @classmethod
    def attach(cls, endpoint_url: str) -> Self:
        """Take hold of a twin that somebody else has started, and will stop.

        Raises TwinDown where there is none.
        """
        twin = cls(Path())
        twin._facts = {"endpoint_url": endpoint_url}
        twin._facts = twin._call("facts")
        return twin

    def __enter__(self) -> Self:
        """Start the twin."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the twin."""
        self.stop()

    def start(self) -> Self:
        """Bring the twin up, and wait until it answers.

        Raises BadAssembly, PortInUse, UnsupportedResource, StackFailed, StateUnreadable, TwinDown.
        """
        read_assembly(self._assembly)
        check_ports(self._port)
        _clear_away_the_dead(self._root)
        self._process = subprocess.Popen(
            self._command(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self._environment(),
            start_new_session=True,  # so that a Ctrl-C reaches only whoever holds the twin
        )
        try:
            self._facts = self._first_words(self._process)
        except BaseException:
            self.stop()
            raise
        if "error" in self._facts:
            error = error_named(self._facts["error"], self._facts["message"])
            self.stop()
            raise error
        return self

    def stop(self) -> None:
        """Stop the twin and all its processes. Stopping it twice is fine."""
        process, self._process = self._process, None
        self._facts = {}
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
        shutil.rmtree(self._state, ignore_errors=True)

    @property
    def endpoint_url(self) -> str:
        """Where AWS clients talk to the twin."""
        return str(self._known("endpoint_url"))

    @property
    def http_url(self) -> str:
        """The address of the REST API, its stage included; empty where the template has none."""
        return str(self._known("http_url"))

    @property
    def outputs(self) -> dict[str, str]:
        """The outputs of all stacks, but those that two stacks name alike: ask outputs_of for them."""
        stacks = self._known("outputs").values()
        names = Counter(name for outputs in stacks for name in outputs)
        return {name: value for outputs in stacks for name, value in outputs.items() if names[name] == 1}

    def outputs_of(self, stack: str) -> dict[str, str]:
        """The outputs of one stack. Raises UnknownStack."""
        stacks = self._known("outputs")
        if stack not in stacks:
            raise UnknownStack(f"the twin runs no stack {stack}, but {', '.join(stacks)}")
        return dict(stacks[stack])

    @property
    def account(self) -> str:
        """The account that everything in the twin belongs to."""
        return str(self._known("account"))

    @property
    def region(self) -> str:
        """The region that everything in the twin is in."""
        return str(self._known("region"))

    @property
    def restored_from(self) -> str | None:
        """When the state was written that the twin was started with; None where it was started empty."""
        return self._known("restored_from")  # type: ignore[no-any-return]

    @property
    def environment(self) -> dict[str, str]:
        """The variables that point the AWS CLI, the CDK and boto3 at the twin."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": "twin",
            "AWS_SECRET_ACCESS_KEY": "twin",
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
        }

    @property
    def is_running(self) -> bool:
        """Whether the twin's process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The number of the twin's process."""
        return int(self._known("pid"))

    def settle(self, timeout_seconds: float = 60.0) -> None:
        """Wait until no message, invocation or execution is under way, and nothing that was printed waits in Firehose.

        Raises NotSettled, saying what still is.
        """
        until = time.monotonic() + timeout_seconds
        while busy := self._call("busy"):
            if time.monotonic() > until:
                raise NotSettled(f"after {timeout_seconds:g} s there are still {', '.join(busy)}")
            time.sleep(_LOOK_SECONDS)

    def invocations(self, function: str) -> list[dict[str, Any]]:
        """List a function's last invocations, oldest first: request_id, event, outcome, error.

        outcome: running, succeeded or failed. error: the type of the error, as Lambda names it.
        """
        return list(self._call("invocations", name=function))

    def logs(self, function: str) -> list[str]:
        """Read what a function has printed, and what Lambda has written beside it."""
        return list(self._call("logs", name=function))

    def kill(self, function: str, *, call: int, when: Literal["before", "after"] = "before") -> Fault:
        """Have the function's process killed at the n-th AWS call of its next invocation.

        before: the call is not carried out. after: it is, but its answer is lost.
        """
        return Fault(self, int(self._call("kill", function=function, call=call, when=when)))

    def deliver_twice(self, function: str) -> None:
        """Have every event to the function delivered once more after it succeeded.

        Messages, asynchronous events and tasks of state machines; not HTTP requests, which nobody repeats.
        """
        self._call("deliver_twice", function=function)

    def clear_faults(self) -> None:
        """Let no more faults happen."""
        self._call("clear_faults")

    @property
    def _state(self) -> Path:
        return self._root / f"twin-{os.getpid()}-{id(self):x}"

    def _known(self, name: str) -> Any:
        if name not in self._facts:
            raise TwinDown("the twin is not running: start() it first")
        return self._facts[name]

    def _command(self) -> list[str]:
        command = [
            sys.executable,
            "-m",
            "serin.local.start",
            str(self._assembly.absolute()),
            "--state",
            str(self._state),
        ]
        command += ["--port", str(self._port), "--clock-rate", str(self._clock_rate)]
        if self._snapshot is not None:
            command += ["--snapshot", str(self._snapshot.absolute())]
        for name, folder in self._live.items():
            command += ["--live", f"{name}={Path(folder).absolute()}"]
        return command

    def _environment(self) -> dict[str, str]:
        # Neither AWS settings of the person's own nor an end of bytecode caching should reach the twin.
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("AWS_") and name != "PYTHONDONTWRITEBYTECODE"
        }
        secrets = {"AWS_ACCESS_KEY_ID": "twin", "AWS_SECRET_ACCESS_KEY": "twin", "AWS_EC2_METADATA_DISABLED": "true"}
        # With many threads, glibc keeps what they freed in as many arenas.
        return {
            **kept,
            **secrets,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "VALIDATE_LAMBDA_S3": "false",
            "MALLOC_ARENA_MAX": "2",
        }

    def _first_words(self, process: "subprocess.Popen[bytes]") -> dict[str, Any]:
        assert process.stdout is not None
        line = _read_line(process.stdout, _START_SECONDS)
        if not line:
            raise TwinDown(f"the twin did not come up (exit status {process.poll()}); its words are above")
        return dict(json.loads(line))

    def _call(self, name: str, /, **arguments: Any) -> Any:
        request = urllib.request.Request(
            f"{self.endpoint_url}/_twin/{name}",
            data=json.dumps(arguments).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                answer = json.load(response)
        except OSError as error:
            raise TwinDown(f"the twin does not answer at {self.endpoint_url}: {error}") from error
        if "error" in answer:
            raise error_named(answer["error"], answer["message"])
        return answer["result"]


def _read_line(stream: IO[bytes], timeout_seconds: float) -> bytes:
    import selectors

    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        return stream.readline() if selector.select(timeout_seconds) else b""


def check_ports(port: int) -> None:
    """Find out at once what the twin's process would find out after some seconds. Raises PortInUse."""
    for number in (port, port + 1) if port else ():
        listen(number).close()


def _clear_away_the_dead(root: Path) -> None:
    """Remove what twins left behind that were killed."""
    for folder in root.glob("twin-*-*"):
        pid = int(folder.name.split("-")[1])
        if pid != os.getpid() and not _is_alive(pid):
            shutil.rmtree(folder, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
