"""What is told to people reads as it is meant."""

from __future__ import annotations

from typing import Any

import pytest

from cli.show import Output
from cli.story import SHOWN_REASONS, tell_drift, tell_leaderboard, tell_predictions
from serin.monitoring.drift import Report, Shift, Verdict


def test_a_leaderboard_says_which_way_is_better_and_marks_what_cannot_be_chosen(
    capsys: pytest.CaptureFixture[str],
) -> None:
    linear = {"family": "linear", "params": {"C": 1.0}, "mean": 0.1, "std": 0.01, "is_baseline": True}
    dummy = {"family": "dummy", "params": {}, "mean": 0.6, "std": None, "is_baseline": True, "is_candidate": False}
    board = [dummy, {**linear, "is_candidate": True}]
    tell_leaderboard(Output(), {"metric": "log_loss", "fits": 9, "chosen": "linear", "leaderboard": board})
    assert [" ".join(line.split()) for line in capsys.readouterr().out.splitlines() if line] == [
        "leaderboard log_loss by cross-validation, lower is better; 9 fits",
        "model settings log_loss over the folds",
        "chosen linear C 1.0 0.1000 ± 0.0100",
        "dummy plain (baseline) 0.6000 -",
    ]


def test_drift_is_told_with_what_moved(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report(
        model="loans",
        version=3,
        since="2026-01-01T00:00:00+00:00",
        until="2026-01-02T00:00:00+00:00",
        rows=1234,
        verdict=Verdict.DRIFTED,
        reason="drifted: age",
        features=(Shift("age", Verdict.DRIFTED, 1.25, (0.0, 0.5), "median 44 → 69", importance=0.03),),
        predictions=(Shift("score", Verdict.NOT_ENOUGH, None, (0.0, 0.0), "12 rows"),),
        left_out=("zipcode",),
    )
    tell_drift(Output(), report)
    said = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines() if line]
    assert said == [
        "loans@3 drifted",
        "drifted: age",
        "1,234 rows from 2026-01-01 00:00:00 to 2026-01-02 00:00:00",
        "column verdict effect importance missing then now what moved",
        "prediction score not enough - - 0.0000 0.0000 12 rows",
        "feature age drifted 1.2500 0.0300 0.0000 0.5000 median 44 → 69",
        "not compared, for captures hide them: zipcode",
    ]


def test_an_explanation_says_what_it_starts_from_and_the_largest_first(capsys: pytest.CaptureFixture[str]) -> None:
    moved = {f"f{place}": 0.1 * place for place in range(1, SHOWN_REASONS + 3)} | {"age": -2.0}
    items: list[dict[str, Any]] = [
        {"id": "p-0", "prediction": "yes", "score": 0.9, "base": 0.234, "base_rows": 64, "contributions": moved},
        {"id": "p-1", "prediction": "no", "score": 0.2, "base": 0.2, "base_rows": 1, "contributions": {}},
    ]
    tell_predictions(Output(), {"model": "loans", "version": 3, "predictions": items})
    said = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines() if line]
    first = said.index("why p-0: the mean over 64 rows is 0.234, and here")
    assert said[first + 1 : first + 3] == ["age -2", "f10 +1"]
    assert said[first + 1 + SHOWN_REASONS] == "3 others +0.6"
    assert said[-1] == "why p-1: a usual row has 0.2, and so has this one"
