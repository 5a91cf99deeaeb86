"""What is told to people reads as it is meant."""

from __future__ import annotations

from typing import Any

import pytest

from serin.cli.render import (
    SHOWN_REASONS,
    evidence,
    tell_drift,
    tell_leaderboard,
    tell_predictions,
    tell_reasons,
)
from serin.cli.show import Output
from serin.client.words import gate_in_words
from serin.monitoring.drift import DriftReport, DriftVerdict, Shift


def test_a_leaderboard_says_which_way_is_better_and_marks_what_cannot_be_chosen(
    capsys: pytest.CaptureFixture[str],
) -> None:
    linear = {"family": "linear", "params": {"C": 1.0}, "mean": 0.1, "std": 0.01, "is_baseline": True}
    dummy = {"family": "dummy", "params": {}, "mean": 0.6, "std": None, "is_baseline": True, "is_candidate": False}
    board = [dummy, {**linear, "is_candidate": True}]
    tell_leaderboard(Output(), {"metric": "log_loss", "fits": 9, "chosen": "linear", "leaderboard": board})
    assert [" ".join(line.split()) for line in capsys.readouterr().out.splitlines() if line] == [
        "leaderboard log_loss by cross-validation, lower is better; 9 fits",
        "model settings mean ± folds",
        "chosen linear C 1.0 0.1000 0.0100",
        "dummy plain (baseline) 0.6000 -",
    ]


def test_drift_is_told_with_what_moved(capsys: pytest.CaptureFixture[str]) -> None:
    report = DriftReport(
        model="loans",
        version=3,
        since="2026-01-01T00:00:00+00:00",
        until="2026-01-02T00:00:00+00:00",
        rows=1234,
        verdict=DriftVerdict.DRIFTED,
        reason="drifted: age",
        features=(Shift("age", DriftVerdict.DRIFTED, 1.25, (0.0, 0.5), "median 44 → 69", importance=0.03),),
        predictions=(Shift("score", DriftVerdict.NOT_ENOUGH, None, (0.0, 0.0), "12 rows"),),
        left_out=("zipcode",),
    )
    tell_drift(Output(), report)
    said = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines() if line]
    assert said == [
        "drift loans@3 drifted",
        "drifted: age",
        "1,234 rows from 2026-01-01 00:00:00 to 2026-01-02 00:00:00",
        "predictions",
        "column verdict effect what moved",
        "score not enough - 12 rows",
        "features",
        "column verdict effect importance what moved",
        "age drifted 1.25 0.0300 median 44 → 69; missing 0.0% → 50.0%",
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
    assert said[first + 1 : first + 3] == ["age -2.00", "f10 +1.00"]
    assert said[first + 1 + SHOWN_REASONS] == "3 more +0.60"
    assert said[-1] == "why p-1: a usual row has 0.2, and so has this one"


@pytest.mark.parametrize(
    ("largest", "smallest", "written"),
    [(0.6482, 0.00004345, ["+0.648", "+0.000"]), (-12_345.6, 3.2, ["-12,346", "+3"]), (0.0, 0.0, ["+0", "+0"])],
)
def test_contributions_have_as_many_decimals_as_the_largest_needs(
    largest: float, smallest: float, written: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    item = {"id": "p-0", "prediction": 1.0, "base": 0.2, "base_rows": 1}
    item |= {"contributions": {"small": smallest, "large": largest}}
    tell_predictions(Output(), {"model": "loans", "version": 3, "predictions": [item]})
    said = {
        line.split()[-1] for line in capsys.readouterr().out.splitlines() if line.startswith(("  small", "  large"))
    }
    assert said == set(written)


@pytest.mark.parametrize(
    ("gate", "words"),
    [
        ("beats champion by -1%", "at most 1% worse than champion"),
        ("beats  champion by -0.005", "at most 0.005 worse than champion"),
        ("beats baseline by 0.02", "beats baseline by 0.02"),
        ("roc_auc >= 0.8", "roc_auc >= 0.8"),
        ("parity", "parity"),
    ],
)
def test_a_gate_is_named_in_words(gate: str, words: str) -> None:
    assert gate_in_words(gate) == words


def test_what_a_gate_saw_is_told_without_digits_that_nobody_reads() -> None:
    gate = {"gate": "mae <= 3", "passed": True, "value": 2.5, "message": "0.999938506, 6.14939949e-05 and 2.5"}
    assert evidence(gate) == "0.9999, 6.149e-05 and 2.5"
    assert evidence({**gate, "message": "f1 is 1 (how sure that is, these rows do not tell); 2"}) == (
        "f1 is 1 (margin of error unknown); 2"
    )
    parity = {"gate": "parity", "passed": True, "value": 1.6e-16, "message": "in row 25: 0.999938506 and 0.999938506"}
    assert evidence(parity).endswith("differ by at most 1.6e-16")
    assert evidence({**parity, "gate": "parity of the served model"}) == evidence(parity)
    assert evidence({**parity, "passed": False}) == "in row 25: 0.9999 and 0.9999"


def a_reason(column: str, *rows: int, code: str = "MISSING", place: str = "line") -> dict[str, Any]:
    message = f"{column} is empty, in {len(rows)} rows; first in {place} 42"
    return {"code": code, "message": message, "fix": "Fill it in.", "column": column, "rows": rows, "count": len(rows)}


def test_a_row_that_is_none_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    total = [a_reason(f"c{place}", 42) for place in range(9)]
    tell_reasons(Output(), [a_reason("other", 1, 2), *total, a_reason("sum", 42, code="DOMAIN")], style="red")
    assert [line.strip() for line in capsys.readouterr().out.splitlines()] == [
        "MISSING: other is empty, in 2 rows; first in line 42",
        "lines 1, 2",
        "Fill it in.",
        "10 columns break the contract in line 42:",
        "MISSING: c0, c1, c2, c3, c4 and 4 more",
        "DOMAIN: sum",
        "the first: c0 is empty, in 1 rows; first in line 42",
        "Correct them; take out what is no row of the table, such as a total.",
    ]


def test_columns_that_are_wrong_in_other_rows_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    tell_reasons(Output(), [a_reason(name, row, place="row") for row, name in enumerate("abcd")], style="red")
    said = capsys.readouterr().out
    assert said.count("Fill it in.") == 4
    tell_reasons(Output(), [a_reason(name, 5, 6, place="row") for name in "abcd"], style="red")
    assert "4 columns break the contract in rows 5, 6:" in capsys.readouterr().out


def test_a_table_without_names_is_told_in_a_few_lines(capsys: pytest.CaptureFixture[str]) -> None:
    absent = [a_reason(f"c{place}", code="MISSING_COLUMN") for place in range(40)]
    tell_reasons(Output(), absent, style="red")
    first, second = capsys.readouterr().out.splitlines()
    assert first == "  MISSING_COLUMN: there are no columns c0, c1, c2, c3, c4 and 35 more"
    assert "begin with a row of column names?" in second
