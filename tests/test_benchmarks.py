"""The benchmarks can be run: by their targets, and through what they measure."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.batch import answer_csv
from benchmarks.poison import SWAPPED, Outcome, cells_of, figures, with_wrong_labels
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


def test_labels_of_the_benchmark_are_as_wrong_as_it_says() -> None:
    table = pd.DataFrame({"x": range(10_000), "y": ["no", "yes"] * 5_000})

    def changed(labels: str) -> float:
        wrong = with_wrong_labels(table, "y", labels, np.random.default_rng(0))
        assert sorted(wrong["y"]) == sorted(table["y"])
        return float((wrong["y"] != table["y"]).mean())

    assert [round(changed(labels), 1) for labels in ("0%", "30%", "100%", SWAPPED)] == [0.0, 0.1, 0.5, 1.0]
    assert abs(changed("30%") - 0.15) < 0.02


def test_poisoned_uploads_are_held_or_no_worse_than_clean_ones() -> None:
    def outcomes(labels: str, *, held: int, worse: int) -> list[Outcome]:
        return [
            Outcome("loans", 4_000, labels, place < held, place >= held, 20 - worse <= place) for place in range(20)
        ]

    def missed(*found: list[Outcome]) -> list[str]:
        cells = cells_of([each for some in found for each in some])
        return [figure.name for figure in figures(cells) if not figure.is_met]

    clean = outcomes("0%", held=1, worse=2)
    assert missed(clean, outcomes("30%", held=19, worse=1), outcomes("10%", held=0, worse=3)) == []
    assert missed(clean, outcomes("30%", held=18, worse=0)) == ["loans, 4,000 rows, 30% shuffled: held"]
    assert missed(outcomes("0%", held=2, worse=2)) == ["loans, 4,000 rows, 0% shuffled: held"]
    bad = missed(clean, outcomes("10%", held=0, worse=4))
    assert bad == ["loans, 4,000 rows, 10% shuffled: promoted, and truly worse"]
