"""Where is a project's twin? `.serin/local.json` says so, and is believed while a process holds `.serin/local.lock`."""

from __future__ import annotations

import fcntl
import json
import socket
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from serin.client.project import Project
from serin.errors import Unavailable


def running_twin(project: Project) -> dict[str, Any]:
    """Read where the twin is. Raises Unavailable, saying how to start it."""
    try:
        if not is_held(project):
            raise ProcessLookupError("no process holds the lock")
        state: dict[str, Any] = json.loads(address_file(project).read_text())
        address = urlsplit(state["endpoint_url"])
        socket.create_connection((address.hostname, address.port), timeout=2).close()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Unavailable("the twin is not up; start it with: serin local up --detach", code="TWIN_DOWN") from error
    return state


def is_held(project: Project) -> bool:
    """Tell whether a process holds the lock, and so is the project's twin."""
    try:
        with lock_file(project).open() as lock:
            return not try_lock(lock, fcntl.LOCK_SH)
    except FileNotFoundError:
        return False


def try_lock(lock: IO[str], kind: int) -> bool:
    """Take a lock if nobody has it. kind: fcntl.LOCK_EX or LOCK_SH."""
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def lock_file(project: Project) -> Path:
    return project.state_folder / "local.lock"


def address_file(project: Project) -> Path:
    return project.state_folder / "local.json"
