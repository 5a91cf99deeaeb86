"""How much memory does the twin's server take after many requests? Predictions over HTTP, with captures on.

Run by `make bench-memory`. The server is the process that holds moto and answers; functions have their own.
"""

from __future__ import annotations

import sys

import psutil  # type: ignore[import-untyped]

from benchmarks.load import load
from benchmarks.on_twin import on_twin
from benchmarks.report import Figure, say, tell
from benchmarks.subject import make_subject

REQUESTS = 100_000
CLIENTS = 8
ROUNDS = 10
MOST_MB = 600.0
LONGEST_SECONDS = 3600.0  # of a round


def resident_mb(pid: int) -> float:
    """Measure the resident memory of a process."""
    return float(psutil.Process(pid).memory_info().rss / 2**20)


def measure(requests: int) -> list[Figure]:
    """Ask so often, and measure the server before and after. Raises BadAnswer where an answer is none."""
    with on_twin(make_subject()) as there:
        before = most = resident_mb(there.twin.pid)
        say(f"{before:.0f} MB before")
        rates = []
        for number in range(1, ROUNDS + 1):
            done = load(there.target, clients=CLIENTS, seconds=LONGEST_SECONDS, most=requests // ROUNDS)
            rates.append(done.per_second)
            most = max(most, resident_mb(there.twin.pid))
            say(f"{resident_mb(there.twin.pid):.0f} MB after {requests * number // ROUNDS:,} requests")
        after = resident_mb(there.twin.pid)
    return [
        Figure("requests", requests),
        Figure("requests a second", sum(rates) / len(rates)),
        Figure("server, before", before, "MB"),
        Figure("server, after", after, "MB", at_most=MOST_MB),
        Figure("server, at most on the way", max(most, after), "MB", at_most=MOST_MB),
    ]


if __name__ == "__main__":
    sys.exit(tell("memory", measure(REQUESTS)))
