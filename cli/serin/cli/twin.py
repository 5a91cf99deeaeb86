"""How is the twin started, found and stopped? It is one process, which holds `.serin/local.lock` while it lives.

`.serin/local.json` says where it is, and `.serin/state` keeps what it holds for the next one. The system frees the lock
however its holder ends: so a file that was left behind is never believed, and a process that was given a dead twin's
number never killed.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

import serin
from serin.cli import project
from serin.errors import SerinError, Unavailable
from serin.shipped import shipped

if TYPE_CHECKING:
    from serin.local.twin import Twin

KEPT_ASSEMBLIES = 4
LOCK_SECONDS = 2.0  # to wait for the lock: whoever asks whether it is held has it for a moment
_KINDS = {
    "AWS::Lambda::Function": "functions",
    "AWS::SQS::Queue": "queues",
    "AWS::StepFunctions::StateMachine": "workflows",
    "AWS::S3::Bucket": "buckets",
    "AWS::DynamoDB::Table": "table",
    "AWS::ApiGateway::RestApi": "REST API",
    "AWS::Events::Rule": "rules",
    "AWS::SNS::Topic": "topic",
}
_NO_CODE = ("models", "tests", "build", "cdk.out", "node_modules")  # folders in which nothing is of the stacks


def state_folder() -> Path:
    return project.root() / ".serin"


def running_twin() -> dict[str, Any]:
    """Read where the twin is. Raises Unavailable, saying how to start it."""
    try:
        if not _is_held():
            raise ProcessLookupError("no process holds the lock")
        state: dict[str, Any] = json.loads(_where().read_text())
        address = urlsplit(state["endpoint_url"])
        socket.create_connection((address.hostname, address.port), timeout=2).close()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Unavailable("the twin is not up; start it with: serin local up --detach", code="TWIN_DOWN") from error
    return state


@contextmanager
def sole_holder() -> Iterator[None]:
    """Hold the lock of this project's twin. Raises SerinError where another process has it."""
    state_folder().mkdir(exist_ok=True)
    with (state_folder() / "local.lock").open("w") as lock:
        deadline = time.monotonic() + LOCK_SECONDS
        while not _try_lock(lock, fcntl.LOCK_EX):
            if time.monotonic() >= deadline:
                _refuse_a_second()
                raise SerinError("the twin is being started or stopped just now; look again: serin local status")
            time.sleep(0.05)
        _where().unlink(missing_ok=True)  # of a twin that was killed
        yield


def _refuse_a_second() -> None:
    """Raise SerinError where the twin is up."""
    try:
        found = running_twin()
    except Unavailable:
        return
    raise SerinError(f"the twin is up already (process {found['pid']}); stop it with: serin local down")


def _is_held() -> bool:
    try:
        with (state_folder() / "local.lock").open() as lock:
            return not _try_lock(lock, fcntl.LOCK_SH)
    except FileNotFoundError:
        return False


def _try_lock(lock: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _where() -> Path:
    return state_folder() / "local.json"


def assembly(say: Callable[[str], None]) -> Path:
    """Synthesise the environment `local`, or take the assembly that the same inputs gave before."""
    project.check_environment("local")
    kept = project.root() / ".cache" / "assembly" / _inputs_digest()
    if (kept / "manifest.json").is_file():
        os.utime(kept)
        return kept
    say("synthesising the environment local")
    fresh = kept.with_name(f"{kept.name}.{os.getpid()}")
    said = {"CDK_OUTDIR": str(fresh), "CDK_CONTEXT_JSON": json.dumps({**project.context(), "env": "local"})}
    done = subprocess.run(
        [sys.executable, "app.py"],
        cwd=project.root(),
        env={**os.environ, **said},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SerinError(f"the synthesis of local failed:\n{done.stderr[-3000:]}", code="SYNTHESIS")
    _forget_old_assemblies(kept.parent)
    try:
        fresh.rename(kept)
    except OSError:  # somebody else made the same one meanwhile
        shutil.rmtree(fresh)
    return kept


def _forget_old_assemblies(cache: Path) -> None:
    """Remove the assemblies that were used least lately. What a twin runs stays: projects may share one cache."""
    from serin.local.assembly import remove_unless_held

    finished = [folder for folder in cache.iterdir() if "." not in folder.name]
    for old in sorted(finished, key=lambda folder: folder.stat().st_mtime)[:-KEPT_ASSEMBLIES]:
        remove_unless_held(old)


@contextmanager
def twin_up(
    *, port: int, say: Callable[[str], None], is_kept: bool = False, is_fresh: bool = False
) -> Iterator[dict[str, Any]]:
    """Run the twin in this process for as long as the block lasts, and let other commands find it.

    is_kept: it goes on where the last one of the project ended, and the next one will. is_fresh: what was kept goes.
    """
    from serin.local.errors import StateUnreadable, TwinError
    from serin.local.twin import Twin, check_ports

    _refuse_a_second()
    with sole_holder():
        folder = assembly(say)
        say("starting the twin")
        snapshot = state_folder() / "state"
        live, kept = {"models": project.models_folder()}, snapshot if is_kept else None
        twin = Twin(folder, live=live, port=port, state=state_folder(), snapshot=kept)
        try:
            if is_fresh:
                check_ports(port)  # first, or what was kept is gone for nothing
                shutil.rmtree(snapshot, ignore_errors=True)
            twin.start()
        except StateUnreadable as error:
            unreadable = SerinError(str(error), code="TWIN")
            unreadable.fix = f"set {snapshot} aside, or throw it away and start anew: serin local up --fresh"
            raise unreadable from error
        except TwinError as error:
            raise SerinError(str(error), code="TWIN") from error
        try:
            facts = {
                "pid": os.getpid(),
                "endpoint_url": twin.endpoint_url,
                "environment": twin.environment,
                "outputs": twin.outputs,
                "started": _count_resources(folder),
                "restored_from": twin.restored_from,
            }
            _where().write_text(json.dumps(facts, indent=1))
            yield {**facts, "twin": twin}
        finally:
            _where().unlink(missing_ok=True)
            twin.stop()


def wait_for_end(twin: Twin) -> None:
    """Sleep until Ctrl-C or a SIGTERM. Raises SerinError where the twin dies meanwhile."""
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    while not ended.wait(1.0):
        if not twin.is_running:
            raise SerinError("the twin has died; start it again with: serin local up")


def start_detached(port: int, *options: str) -> dict[str, Any]:
    """Start the twin as a process of its own, and wait until it can be used. options: of `serin local up`."""
    _refuse_a_second()
    state_folder().mkdir(exist_ok=True)
    log = state_folder() / f"local-{os.getpid()}.log"  # not yet local.log: that may be the log of a twin that is up
    command = [sys.executable, "-m", "serin.cli.main", "local", "up", "--port", str(port), *options]
    with log.open("w") as stream:
        process = subprocess.Popen(
            command,
            cwd=project.root(),
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        while process.poll() is None:
            with suppress(Unavailable):
                found = running_twin()
                if found["pid"] == process.pid:
                    log.replace(state_folder() / "local.log")
                    return found
            time.sleep(0.1)
        said = log.read_text().strip()
    except BaseException:
        process.terminate()
        raise
    finally:
        log.unlink(missing_ok=True)
    _, _, reason = f"\n{said}".rpartition("\nerror: ")
    raise SerinError(reason or f"the twin did not start: {said[-1000:] or process.returncode}")


def stop_detached(timeout_seconds: float = 40.0) -> int:
    """Stop the twin, wherever it runs, and give its process id. Raises Unavailable where none is up."""
    pid = int(running_twin()["pid"])
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + timeout_seconds
        while _is_held():
            if time.monotonic() >= deadline:
                os.kill(pid, signal.SIGKILL)  # it still holds the lock: it is still the twin
                break
            time.sleep(0.05)
    return pid


@contextmanager
def own_twin(*, port: int, keep: bool, say: Callable[[str], None]) -> Iterator[None]:
    """Run a twin for a block: gone when it ends, or left running where it is to be kept, unless the block fails.

    It begins empty, and what it holds is not kept: the project's own state waits for `serin local up`.
    """
    if not keep:
        with twin_up(port=port, say=say):
            yield
        return
    start_detached(port, "--ephemeral")
    try:
        yield
    except BaseException:
        stop_detached()
        raise


def _count_resources(folder: Path) -> list[str]:
    """Say what an assembly consists of, by the kinds that people know."""
    templates = [json.loads(file.read_text()) for file in folder.glob("*.template.json")]
    types = Counter(resource["Type"] for template in templates for resource in template["Resources"].values())
    return [f"{types[kind]} {name}" for kind, name in _KINDS.items() if types[kind]]


def _inputs_digest() -> str:
    """Hash everything that the templates and assets are made from. Contracts are not: the twin reads them live."""
    digest = hashlib.sha256()
    for name, file in _inputs():
        digest.update(f"{name}\0".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _inputs() -> Iterator[tuple[str, Path]]:
    """List cdk.json and the project's own code, and Serin's, each by a name that is the same wherever it stands."""
    start = project.root()
    yield "cdk.json", start / "cdk.json"
    for path in sorted(start.glob("*.py")) + sorted(
        file
        for folder in start.iterdir()
        if folder.is_dir() and folder.name not in _NO_CODE and not folder.name.startswith(".")
        if not (folder / "pyvenv.cfg").exists()
        for file in folder.rglob("*.py")
    ):
        yield path.relative_to(start).as_posix(), path
    folders = {Path(folder): "*" for folder in serin.__path__}
    folders |= {shipped("functions"): "*.py", shipped("layers"): "requirements.*"}
    for folder, pattern in folders.items():
        for path in sorted(folder.rglob(pattern)):
            if path.is_file() and "__pycache__" not in path.parts:
                yield f"{folder.name}/{path.relative_to(folder).as_posix()}", path
