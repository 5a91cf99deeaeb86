"""How fast is an upload judged, profiled and kept, and in how much memory? Beside pandera and Great Expectations.

Run by `make bench-data`. Each contestant is a process of its own, timed from its start to its end: it reads the table,
checks every column, makes the same histograms, and writes Parquet.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import psutil  # type: ignore[import-untyped]
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from benchmarks.peer import PEERS, python_of
from benchmarks.report import FOLDER, Figure, say, tell
from serin.contract.model import Contract
from serin.data.judge_apart import judge_for_parent
from serin.data.kept_table import KeptTable
from serin.data.row_keys import place_rows

SIZES = (1_000_000, 5_000_000)
NUMBERS, INTEGERS, CATEGORIES = 14, 2, 3
VALUES = [f"kind {number}" for number in range(12)]
ROUNDS = {1_000_000: 3, 5_000_000: 2}
LOOK_SECONDS = 0.02


@dataclass(frozen=True)
class Took:
    """What a process took, with those that it started: seconds from its start to its end, and memory at most."""

    seconds: float
    memory_mb: float


def rules() -> dict[str, dict[str, Any]]:
    """What each column is held to."""
    numbers = {f"n{place}": {"min": -1000.0, "max": 1000.0} for place in range(NUMBERS)}
    integers = {f"i{place}": {"min": 0.0, "max": 99.0} for place in range(INTEGERS)}
    categories = {f"c{place}": {"values": VALUES} for place in range(CATEGORIES)}
    return {**numbers, **integers, **categories, "y": {"values": ["yes", "no"]}}


def a_contract() -> Contract:
    features: dict[str, Any] = {}
    for name, rule in rules().items():
        if name != "y":
            kind = "category" if "values" in rule else "integer" if name.startswith("i") else "number"
            features[name] = {"type": kind, **rule}
    return Contract.model_validate(
        {"model": "m", "task": "classification", "target": "y", "classes": ["yes", "no"], "features": features}
    )


def make_table(rows: int) -> pa.Table:
    random = np.random.default_rng(rows)
    columns: dict[str, Any] = {f"n{place}": random.normal(50, 20, rows).round(3) for place in range(NUMBERS)}
    columns |= {f"i{place}": random.integers(0, 100, rows) for place in range(INTEGERS)}
    texts = pa.array(VALUES)
    columns |= {f"c{place}": texts.take(pa.array(random.integers(0, len(VALUES), rows))) for place in range(CATEGORIES)}
    return pa.table(columns | {"y": pa.array(["yes", "no"]).take(pa.array(random.integers(0, 2, rows)))})


def measure(command: list[str | Path]) -> Took:
    """Run a process to its end. Raises CalledProcessError where it fails."""
    begun, most = time.perf_counter(), 0.0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while process.poll() is None:
        most = max(most, _memory_mb(process.pid))
        time.sleep(LOOK_SECONDS)
    seconds = time.perf_counter() - begun
    if process.returncode:
        assert process.stderr is not None
        raise subprocess.CalledProcessError(process.returncode, command, stderr=process.stderr.read().decode()[-2000:])
    return Took(seconds, most)


def _memory_mb(pid: int) -> float:
    try:
        root = psutil.Process(pid)
        return float(sum(each.memory_info().rss for each in (root, *root.children(recursive=True))) / 2**20)
    except psutil.Error:
        return 0.0


def contestants(file: Path, folder: Path) -> Mapping[str, Callable[[], Took]]:
    said, target = json.dumps(rules()), folder / "theirs.parquet"
    pandera, expectations = python_of("pandera"), python_of("great_expectations")
    by_pandera, by_expectations = PEERS / "pandera" / "judge.py", PEERS / "great_expectations" / "judge.py"
    return {
        "Serin": lambda: measure([sys.executable, "-m", "benchmarks.data", file, folder / "ours"]),
        "pandera on pandas": lambda: measure([pandera, by_pandera, "pandas", file, target, said]),
        "pandera on polars": lambda: measure([pandera, by_pandera, "polars", file, target, said]),
        "Great Expectations": lambda: measure([expectations, by_expectations, file, target, said]),
    }


def main() -> int:
    figures: list[Figure] = []
    took: dict[tuple[str, int, str], Took] = {}
    with TemporaryDirectory(dir=_scratch()) as scratch:
        for rows in SIZES:
            table, files = make_table(rows), {kind: Path(scratch) / f"table.{kind}" for kind in ("csv", "parquet")}
            pa_csv.write_csv(table, files["csv"])
            pq.write_table(table, files["parquet"], row_group_size=122_880)
            del table
            for kind, file in files.items():
                say(f"{rows:,} rows, {kind}")
                for name, one in _alternate(contestants(file, Path(scratch)), rounds=ROUNDS[rows]).items():
                    took[kind, rows, name] = one
                figures += _figures(kind, rows, took)
            figures.append(_keys(Path(scratch) / "ours", rows))
    for kind in ("csv", "parquet"):
        growth = took[kind, SIZES[1], "Serin"].memory_mb / took[kind, SIZES[0], "Serin"].memory_mb
        figures.append(Figure(f"{kind}: Serin's memory, 5M rows / 1M rows", growth, "×", at_most=1.2))
    return tell("data", figures)


def _scratch() -> Path:
    FOLDER.mkdir(parents=True, exist_ok=True)
    return FOLDER


def _alternate(each: Mapping[str, Callable[[], Took]], *, rounds: int) -> dict[str, Took]:
    """Let all run in turn, and give of each the median time and the most memory."""
    samples: dict[str, list[Took]] = {name: [] for name in each}
    for turn in range(rounds):
        for name in [*each][:: 1 if turn % 2 == 0 else -1]:
            samples[name].append(each[name]())
    return {
        name: Took(median(one.seconds for one in all_), max(one.memory_mb for one in all_))
        for name, all_ in samples.items()
    }


def _figures(kind: str, rows: int, took: Mapping[tuple[str, int, str], Took]) -> list[Figure]:
    label = f"{kind}, {rows // 1_000_000}M rows"
    here = {name: one for (of, size, name), one in took.items() if (of, size) == (kind, rows)}
    ours, theirs = here["Serin"], here["pandera on pandas"]
    told = [
        figure
        for name, one in here.items()
        for figure in (
            Figure(f"{label}: {name}", one.seconds, "s"),
            Figure(f"{label}: {name}, memory", one.memory_mb, "MB"),
        )
    ]
    speed, least = theirs.seconds / ours.seconds, {"csv": 0.8, "parquet": 1.5}[kind]
    share = ours.memory_mb / theirs.memory_mb
    if rows != SIZES[1]:
        return [*told, Figure(f"{label}: pandera on pandas / Serin", speed, "×")]
    return [
        *told,
        Figure(f"{label}: pandera on pandas / Serin", speed, "×", at_least=least),
        Figure(f"{label}: memory, Serin / pandera on pandas", share, "×", at_most=0.3),
    ]


def _keys(folder: Path, rows: int) -> Figure:
    """Measure what follows in the function: the keys of all rows, where none came before."""
    begun = time.perf_counter()
    place_rows(KeptTable(folder), a_contract())
    return Figure(f"{rows // 1_000_000}M rows: Serin, then their keys", time.perf_counter() - begun, "s")


def judge(file: str, folder: str) -> None:
    """Judge a table as the function's child does."""
    shutil.rmtree(folder, ignore_errors=True)
    verdict = judge_for_parent(file, folder, a_contract().model_dump_json(), None, {})
    assert verdict["status"] == "accepted", verdict["reasons"]


if __name__ == "__main__":
    sys.exit(main() if len(sys.argv) == 1 else judge(*sys.argv[1:]))
