"""What is told to people reads as it is meant."""

from __future__ import annotations

import pytest

from cli.show import Output
from cli.story import tell_drift, tell_leaderboard
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
