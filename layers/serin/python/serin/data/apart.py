"""How is a file read that may crash its parser, or take more memory, time or disk than there is? In another process."""

from __future__ import annotations

import importlib
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from serin.data.limits import Unreadable

_CHILD = "from serin.data.apart import answer_parent; answer_parent()"
_INHERITED = ("PATH", "LD_LIBRARY_PATH", "LANG", "TZ", "TMPDIR")  # what Python needs to start, on Lambda too
_OVER = (signal.SIGKILL, signal.SIGXCPU, signal.SIGXFSZ)  # how a process ends that is over a limit


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the other process may take. memory_mb: of address space; seconds: of CPU, and from its start to its end;
    disk_mb: of one file it writes.
    """

    memory_mb: int
    seconds: int
    disk_mb: int


def run_apart(work: Callable[..., dict[str, Any]], asked: Mapping[str, Any], bounds: Bounds) -> dict[str, Any]:
    """Do work of a module in another process: it takes what can be said in JSON, and gives that.

    Raises Unreadable where the process ends: TOO_LARGE over a limit, PARSER_CRASH else.
    """
    order = {"module": work.__module__, "name": work.__name__, "asked": asked, "bounds": asdict(bounds)}
    smaller = "Send it in several smaller uploads."
    try:
        child = subprocess.run(
            [sys.executable, "-c", _CHILD],
            input=json.dumps(order).encode(),
            capture_output=True,
            timeout=bounds.seconds,
            check=False,
            env=_environment(),
        )
    except subprocess.TimeoutExpired:
        raise Unreadable("TOO_LARGE", f"reading it takes more than {bounds.seconds} s", fix=smaller) from None
    if child.returncode == 0:
        answer: dict[str, Any] = json.loads(child.stdout.rpartition(b"\n")[2])
        return answer
    if child.returncode > 0:
        raise RuntimeError(
            f"the process that reads files ended with status {child.returncode}: {child.stderr[-500:]!r}"
        )
    if -child.returncode in _OVER or b"bad_alloc" in child.stderr:
        raise Unreadable("TOO_LARGE", "reading it takes more memory, time or disk than there is", fix=smaller)
    name = signal.Signals(-child.returncode).name
    raise Unreadable("PARSER_CRASH", f"the parser ended with {name} on it", fix="Send it as CSV in UTF-8.")


def _environment() -> dict[str, str]:
    """What the child is started with: nothing secret. The system's memory pool reserves no address space."""
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    own = {"ARROW_DEFAULT_MEMORY_POOL": "system", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    return {**inherited, **own, "PYTHONPATH": os.pathsep.join(sys.path)}


def answer_parent() -> None:
    """Do the child's part: limits first, then the work; what it gives is the last line of stdout."""
    order = json.loads(sys.stdin.buffer.read())
    bounds = Bounds(**order["bounds"])
    for limit, value in (
        (resource.RLIMIT_CPU, bounds.seconds),
        (resource.RLIMIT_AS, bounds.memory_mb << 20),
        (resource.RLIMIT_FSIZE, bounds.disk_mb << 20),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))
    answer = getattr(importlib.import_module(order["module"]), order["name"])(**order["asked"])
    sys.stdout.write("\n" + json.dumps(answer))
    sys.stdout.flush()
    os._exit(0)  # nothing of the file has to be freed
