"""Who kills the function processes when the twin itself is killed?

This script, started by the twin beside everything else. It reads `+<group>` and `-<group>` from its standard
input; when that closes, however the twin came to its end, it kills every process group still on its list.
It knows nothing but the standard library, so that it starts in a few milliseconds.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading


class Reaper:
    """The twin's end of the pipe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a Ctrl-C in the terminal is not for it
        )

    def watch(self, group: int) -> None:
        """Have a process group killed when the twin ends."""
        self._tell(f"+{group}\n")

    def forget(self, group: int) -> None:
        """Strike a process group off the list: it has ended, and its number may be used again."""
        self._tell(f"-{group}\n")

    def close(self) -> None:
        """Let the reaper do its work and end."""
        with self._lock, contextlib.suppress(OSError):
            assert self._process.stdin is not None
            self._process.stdin.close()
        self._process.wait()

    def _tell(self, line: str) -> None:
        with self._lock, contextlib.suppress(OSError, ValueError):
            assert self._process.stdin is not None
            self._process.stdin.write(line.encode())
            self._process.stdin.flush()


def _keep_watch() -> None:
    groups: set[int] = set()
    for line in sys.stdin:
        group = int(line[1:])
        (groups.add if line[0] == "+" else groups.discard)(group)
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    _keep_watch()
