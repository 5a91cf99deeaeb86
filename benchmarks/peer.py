"""How are tools of others run? Each in an environment of its own, made when first needed, so that no pins collide."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.load import BadAnswer, Target, load
from benchmarks.report import FOLDER, say

PEERS = Path(__file__).parent / "peers"
START_SECONDS = 120.0


def python_of(peer: str) -> Path:
    """Find the interpreter that has what benchmarks/peers/<peer>/requirements.txt names."""
    requirements = PEERS / peer / "requirements.txt"
    digest = hashlib.sha256(sys.version.encode() + requirements.read_bytes()).hexdigest()[:12]
    home = FOLDER.parent / "peers" / f"{peer}-{digest}"
    python = home / "bin" / "python"
    if not (home / "ready").exists():
        say(f"installing {peer} for comparison, once")
        install: list[str | Path]
        if uv := shutil.which("uv"):
            subprocess.run([uv, "venv", "-q", "--clear", "--python", sys.executable, home], check=True)
            install = [uv, "pip", "install", "-q", "--python", python]
        else:
            subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True)
            install = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*install, "-r", requirements], check=True)
        (home / "ready").touch()
    return python


def run(peer: str, script: str, *arguments: str | Path) -> None:
    """Run a script of a peer's folder to its end."""
    subprocess.run([python_of(peer), PEERS / peer / script, *arguments], env=_environment(), check=True)


@contextmanager
def serving(command: Sequence[str | Path], target: Target, *, folder: Path) -> Iterator[Target]:
    """Run a server for as long as the block lasts, from when it answers. Raises TimeoutError where it does not."""
    log = FOLDER / f"{target.url.split(':')[2].split('/')[0]}.log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            command, cwd=folder, env=_environment(), stdout=stream, stderr=stream, start_new_session=True
        )
    try:
        _wait_for(process, target, log)
        yield target
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):  # the second for whatever of its group is left
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
        log.unlink()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _environment() -> dict[str, str]:
    """One thread for each, which is fastest for a row; and nothing of ours on the path."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return kept | {"OMP_NUM_THREADS": "1"}


def _wait_for(process: subprocess.Popen[bytes], target: Target, log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            load(target, clients=1, seconds=1, most=1)
            return
        except (OSError, BadAnswer) as error:
            if process.poll() is not None or time.monotonic() > until:
                raise TimeoutError(f"{target.url} does not answer: {error}\n{log.read_text()[-2000:]}") from error
        time.sleep(0.2)
