"""What the default limits allow is judged in the memory that validate_data has."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from serin.data.read import DEFAULT_LIMITS
from serin.shipped.environments import settings

SHARE = 10  # a table of this part of what is allowed is judged, and takes this part of the memory
WIDTH = 20
OTHERS_MB = 300  # what the function holds besides, boto3 among it, and what it needs to store the table

_CHILD = """
import sys
from serin.contract.model import Contract
from serin.data.intake import judge_upload
content = open(sys.argv[1], "rb").read()
features = {f"f{place}": {"type": "number"} for place in range(int(sys.argv[2]) - 1)}
contract = Contract.model_validate({"model": "m", "task": "classification", "target": "y", "features": features})

def memory_kb(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name))

judge_upload(content[:content.index(b"\\n", 100_000)], contract)  # what is loaded or made once
before = memory_kb("VmRSS")
judgement = judge_upload(content, contract)
print(judgement.status, memory_kb("VmHWM") - before)
"""


def a_table(cells: tuple[str, str]) -> bytes:
    """A table that fills its share of the cells allowed: rows of these two cells in turn."""
    header = ",".join([*(f"f{place}" for place in range(WIDTH - 1)), "y"])
    first, second = (",".join([cell] * (WIDTH - 1) + [label]) for cell, label in zip(cells, "ab", strict=True))
    rows = DEFAULT_LIMITS.max_cells // SHARE // WIDTH - 1
    return "\n".join([header, *[first, second] * (rows // 2), ""]).encode()


@pytest.mark.skipif(sys.platform != "linux", reason="memory is told by /proc")
@pytest.mark.parametrize(
    ("content", "verdict"),
    [
        (a_table(("12.345", "-1.2e3")), "accepted"),
        (a_table(("xxxxxx", "yyyyyy")), "quarantined"),
    ],
    ids=["numbers", "every row is bad"],
)
def test_the_largest_table_is_judged_within_the_memory_there_is(content: bytes, verdict: str, tmp_path: Path) -> None:
    assert len(content) <= DEFAULT_LIMITS.max_bytes / SHARE
    (tmp_path / "table").write_bytes(content)
    child = subprocess.run(
        [sys.executable, "-c", _CHILD, str(tmp_path / "table"), str(WIDTH)], capture_output=True, check=True, text=True
    )
    status, taken_kb = child.stdout.split()
    memory_mb = settings({})["defaults"]["sizes"]["validate_data"]["memory_mb"]
    assert status == verdict
    assert int(taken_kb) / 1024 * SHARE + OTHERS_MB <= memory_mb
