"""How is the twin started, found and stopped? It is one process, which holds `.serin/local.lock` while it lives.

`.serin/local.json` says where it is, and `.serin/state` keeps what it holds for the next one. The system frees the lock
however its holder ends: so a file that was left behind is never believed, and a process that was given a dead twin's
number never killed.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import serin
from serin.client import project
from serin.client.packages import MissingPackage
from serin.client.project import Project
from serin.client.twin import address_file, is_held, lock_file, running_twin, try_lock
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
# Folders of a project in which nothing is of its stacks.
NO_CODE = ("models", "tests", "docs", "build", "dist", "cdk.out", "vendor", "node_modules")
MOST_CODE_BYTES = 2**20  # what is larger is data


@contextmanager
def sole_holder(place: Project) -> Iterator[None]:
    """Hold the lock of a project's twin. Raises SerinError where another process has it."""
    place.state_folder.mkdir(exist_ok=True)
    with lock_file(place).open("w") as lock:
        deadline = time.monotonic() + LOCK_SECONDS
        while not try_lock(lock, fcntl.LOCK_EX):
            if time.monotonic() >= deadline:
                _refuse_a_second(place)
                raise SerinError("the twin is being started or stopped just now; look again: serin local status")
            time.sleep(0.05)
        address_file(place).unlink(missing_ok=True)  # of a twin that was killed
        yield


def _refuse_a_second(place: Project) -> None:
    """Raise SerinError where the twin is up."""
    try:
        twin = running_twin(place)
    except Unavailable:
        return
    raise SerinError(f"the twin is up already (process {twin['pid']}); stop it with: serin local down")


def assembly(say: Callable[[str], None], place: Project) -> Path:
    """Synthesise the environment `local`, or take the assembly that the same inputs gave before."""
    place.environment("local")
    if importlib.util.find_spec("moto") is None:
        raise MissingPackage("moto")  # first, or the synthesis fails for want of something else
    kept = place.root / ".cache" / "assembly" / _inputs_digest(place)
    if (kept / "manifest.json").is_file():
        os.utime(kept)
        return kept
    say("synthesising the environment local")
    fresh = kept.with_name(f"{kept.name}.{os.getpid()}")
    variables = {"CDK_OUTDIR": str(fresh), "CDK_CONTEXT_JSON": json.dumps({**place.context(), "env": "local"})}
    done = subprocess.run(
        [sys.executable, "app.py"],
        cwd=place.root,
        env={**os.environ, **variables},
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
    *,
    port: int,
    say: Callable[[str], None],
    is_kept: bool = False,
    is_fresh: bool = False,
    place: Project | None = None,
) -> Iterator[dict[str, Any]]:
    """Run the twin in this process for as long as the block lasts, and let other commands find it.

    is_kept: it goes on where the last one of the project ended, and the next one will. is_fresh: what was kept goes.
    place: the project, where it is not that of the working folder.
    """
    from serin.local.errors import StateUnreadable, TwinError
    from serin.local.twin import Twin, check_ports

    place = place or project.here()
    _refuse_a_second(place)
    with sole_holder(place):
        folder = assembly(say, place)
        say("starting the twin")
        snapshot = place.state_folder / "state"
        live, kept = {"models": place.models_folder}, snapshot if is_kept else None
        twin = Twin(folder, live=live, port=port, state=place.state_folder, snapshot=kept)
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
                "outputs": _outputs(twin, place),
                "started": _count_resources(folder),
                "restored_from": twin.restored_from,
            }
            address_file(place).write_text(json.dumps(facts, indent=1))
            yield {**facts, "twin": twin}
        finally:
            address_file(place).unlink(missing_ok=True)
            twin.stop()


def _outputs(twin: Twin, place: Project) -> dict[str, str]:
    """Read where everything is, whatever else the project's app has. Raises SerinError where Serin is not in it."""
    from serin.local.errors import UnknownStack

    try:
        return twin.outputs_of(place.stack("local"))
    except UnknownStack as error:
        raise SerinError(f"{error}: does app.py make what Serin consists of?", code="TWIN") from error


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
    place = project.here()
    _refuse_a_second(place)
    place.state_folder.mkdir(exist_ok=True)
    # Not yet local.log: that may be the log of a twin that is up.
    log = place.state_folder / f"local-{os.getpid()}.log"
    command = [sys.executable, "-m", "serin.cli.main", "local", "up", "--port", str(port), *options]
    with log.open("w") as stream:
        process = subprocess.Popen(
            command,
            cwd=place.root,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        while process.poll() is None:
            with suppress(Unavailable):
                twin = running_twin(place)
                if twin["pid"] == process.pid:
                    log.replace(place.state_folder / "local.log")
                    return twin
            time.sleep(0.1)
        logged = log.read_text().strip()
    except BaseException:
        process.terminate()
        raise
    finally:
        log.unlink(missing_ok=True)
    _, _, reason = f"\n{logged}".rpartition("\nerror: ")
    raise SerinError(reason or f"the twin did not start: {logged[-1000:] or process.returncode}")


def stop_detached(timeout_seconds: float = 40.0) -> int:
    """Stop the twin, wherever it runs, and give its process id. Raises Unavailable where none is up."""
    place = project.here()
    pid = int(running_twin(place)["pid"])
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + timeout_seconds
        while is_held(place):
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


def _inputs_digest(place: Project) -> str:
    """Hash everything that the templates and assets are made from. Contracts are not: the twin reads them live."""
    digest = hashlib.sha256()
    for name, file in _inputs(place.root):
        digest.update(f"{name}\0".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _inputs(root: Path) -> Iterator[tuple[str, Path]]:
    """List cdk.json and the project's own code, and Serin's, each by a name that is the same wherever it stands."""
    for path in project_code(root):
        yield path.as_posix(), root / path
    folders = {Path(folder): "*" for folder in serin.__path__}
    folders |= {shipped("functions"): "*.py", shipped("layers"): "requirements.*"}
    for folder, pattern in folders.items():
        for path in sorted(folder.rglob(pattern)):
            if path.is_file() and "__pycache__" not in path.parts:
                yield f"{folder.name}/{path.relative_to(folder).as_posix()}", path


def project_code(root: Path) -> Iterator[Path]:
    """List cdk.json and what a project's stacks may be made from, as paths below its folder."""
    yield Path("cdk.json")
    own = [folder for folder in root.iterdir() if folder.is_dir() and _may_hold_code(folder)]
    for path in sorted([*root.glob("*.py"), *(file for folder in own for file in folder.rglob("*"))]):
        if path.is_file() and "__pycache__" not in path.parts and path.stat().st_size <= MOST_CODE_BYTES:
            yield path.relative_to(root)


def _may_hold_code(folder: Path) -> bool:
    """Tell whether something of a project's stacks may stand in a folder."""
    return folder.name not in NO_CODE and folder.name[0] != "." and not (folder / "pyvenv.cfg").exists()
