"""The benchmarks can be run: by their targets, and through what they measure."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from benchmarks.batch import answer_csv
from benchmarks.release import settings, simulate
from benchmarks.subject import draw_table, make_subject

ROOT = Path(__file__).parents[1]


def test_each_benchmark_has_a_target_that_runs_it() -> None:
    (names,) = re.findall(r"^BENCHMARKS := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for name in names.split():
        assert (ROOT / "benchmarks" / f"{name}.py").exists()
        asked = ["make", "--dry-run", f"bench-{name}"]
        done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True)
        assert f"-m benchmarks.{name}" in done.stdout


def test_a_batch_of_the_benchmark_answers_every_row() -> None:
    rows = draw_table(20, seed=2)
    answered = answer_csv(rows.to_csv(index=False).encode(), make_subject())
    assert answered == len(rows)


def test_simulated_releases_come_to_their_end() -> None:
    equal = simulate(settings()[0], seed=1, releases=20)
    assert equal.promoted >= 0.8
    assert equal.expired == 0
