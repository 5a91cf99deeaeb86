"""Whatever a file holds, it has a verdict, in time and in memory: 500 files, drawn anew in each run."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from serin.data import apart
from tests.data import hostile
from tests.data.test_intake import CONTRACT

MAY_DIE_OF = {-signal.SIGXCPU, -signal.SIGSEGV, -signal.SIGABRT, -signal.SIGKILL, -signal.SIGBUS}


@pytest.mark.skipif(sys.platform != "linux", reason="limits are kept by Linux")
def test_500_hostile_files_each_have_a_verdict(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(2**32)
    (tmp_path / "files").mkdir()
    for name, content in hostile.hostile_files(seed):
        (tmp_path / "files" / name).write_bytes(content)
    assert len(list((tmp_path / "files").iterdir())) == 500
    (tmp_path / "contract.json").write_text(CONTRACT.model_dump_json())
    command = [sys.executable, hostile.__file__, str(tmp_path)]
    run = subprocess.run(command, capture_output=True, check=True, text=True, env=apart._environment())
    found = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(found) == 500
    for each in found:
        told = f"seed {seed}: {each}"
        assert each["seconds"] < 3 * hostile.SECONDS, told
        assert each["memory_mb"] < hostile.MEMORY_MB, told
        if each["verdict"] is None:  # it is given by who started it: serin/data/apart.py
            assert each["exit"] in MAY_DIE_OF, told
        else:
            status, codes, _ = each["verdict"]
            assert (each["exit"], codes != ["INTERNAL"]) == (0, True), told
            assert status == "accepted" or codes, told
