"""Judging an upload takes no more memory where it has more rows, and as much as validate_data has."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from serin.contract.model import Contract
from serin.data import apart
from serin.data.judge_apart import judge_for_parent
from serin.shipped.environments import settings

WIDTH = 20
ROWS = 200_000  # several parts
TIMES = 4
PARENT_MB = 450  # what the function holds besides
LEEWAY_MB = 60  # what an allocator keeps, give or take

_CHILD = f"""
import json, sys
from {judge_for_parent.__module__} import judge_for_parent
verdict = judge_for_parent(**json.loads(sys.argv[1]))
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(verdict["status"], verdict["rows"], peak)
"""


def a_table(rows: int, *, are_numbers: bool) -> pd.DataFrame:
    random = np.random.default_rng(0)
    numbers = {f"f{place}": random.normal(50, 20, rows).round(3) for place in range(WIDTH - 1)}
    table = pd.DataFrame(numbers if are_numbers else {name: ["xxxxxx"] * rows for name in numbers})
    return table.assign(y=np.where(np.arange(rows) % 2, "a", "b"))


def peak_mb(content: bytes, folder: Path) -> tuple[str, int, float]:
    """Judge a table in a process of its own: the verdict, its rows, and its memory at most."""
    shutil.rmtree(folder / "kept", ignore_errors=True)
    (folder / "table").write_bytes(content)
    features = {f"f{place}": {"type": "number"} for place in range(WIDTH - 1)}
    contract = Contract.model_validate({"model": "m", "task": "classification", "target": "y", "features": features})
    asked = {
        "file": str(folder / "table"),
        "folder": str(folder / "kept"),
        "contract": contract.model_dump_json(),
        "previous": None,
        "limits": {},
    }
    child = subprocess.run(
        [sys.executable, "-c", _CHILD, json.dumps(asked)],
        capture_output=True,
        check=True,
        text=True,
        env=apart._environment(),
    )
    status, rows, kilobytes = child.stdout.split()
    return status, int(rows), int(kilobytes) / 1024


@pytest.mark.skipif(sys.platform != "linux", reason="memory is told by /proc")
@pytest.mark.parametrize("are_numbers", [True, False], ids=["numbers", "every row is bad"])
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_memory_does_not_grow_with_the_table(kind: str, are_numbers: bool, tmp_path: Path) -> None:
    def content(rows: int) -> bytes:
        table = a_table(rows, are_numbers=are_numbers)
        if kind == "csv":
            return table.to_csv(index=False).encode()
        buffer = io.BytesIO()
        table.to_parquet(buffer, row_group_size=50_000)
        return buffer.getvalue()

    verdict = "accepted" if are_numbers else "quarantined"
    status, rows, small = peak_mb(content(ROWS), tmp_path)
    assert (status, rows) == (verdict, ROWS)
    status, rows, large = peak_mb(content(TIMES * ROWS), tmp_path)
    assert (status, rows) == (verdict, TIMES * ROWS)
    assert large <= 1.2 * small + LEEWAY_MB
    assert large + PARENT_MB <= settings({})["defaults"]["sizes"]["validate_data"]["memory_mb"]
