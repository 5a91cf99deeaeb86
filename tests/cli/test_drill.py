"""A drill passes only what ended as it must, and says of the rest what is wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from serin.cli.drill import drifted, drifting_feature
from serin.cli.drill_report import tell_drill, write_page
from serin.cli.injections import PLAN, Injection, Outcome, injections, judge
from serin.cli.show import Output
from serin.errors import Refused
from serin.registry.records import ReleaseStatus
from serin.release.plan import resolve_plan
from tests.builders import a_contract

RAISES, NAN, SLOW, WORSE, DRIFTS, SILENT = injections("salary", spread=None)
GOOD = Outcome("00000002-1", 2, ReleaseStatus.ROLLED_BACK, "error: breach", (1, 1), asked=300, breached=["error"])
PROMOTED = replace(GOOD, status=ReleaseStatus.PROMOTED, champion=(1, 2), breached=[], answers=99, drifted=["salary"])
EXPIRED = replace(GOOD, status=ReleaseStatus.EXPIRED, asked=0, breached=[])


@pytest.mark.parametrize(
    ("injection", "outcome"),
    [
        (RAISES, GOOD),
        (NAN, GOOD),
        (SLOW, replace(GOOD, breached=["slow"], answers=40)),
        (SLOW, replace(GOOD, answers=40)),
        (WORSE, replace(GOOD, breached=["wrong"], answers=40)),
        (DRIFTS, PROMOTED),
        (DRIFTS, replace(PROMOTED, status=ReleaseStatus.EXPIRED, champion=(1, 1))),
        (SILENT, EXPIRED),
    ],
)
def test_what_ends_as_it_must_passes(injection: Injection, outcome: Outcome) -> None:
    assert judge(injection, outcome, drifting="salary").objections == []


@pytest.mark.parametrize(
    ("injection", "outcome", "objection"),
    [
        (
            RAISES,
            replace(GOOD, status=ReleaseStatus.EXPIRED),
            "it ended expired, and must end rolled_back, found worse in error",
        ),
        (RAISES, replace(GOOD, status=ReleaseStatus.PROMOTED, champion=(1, 2)), "must end rolled_back"),
        (RAISES, replace(GOOD, breached=["slow"]), "was not found worse in error"),
        (RAISES, replace(GOOD, weight=0.5), "has a weight of 50%"),
        (RAISES, replace(GOOD, champion=(1, 2)), "version 2 is champion afterwards, and must be 1"),
        (RAISES, replace(GOOD, failed=3, messages=["late"]), "3 of 300 requests failed: late"),
        (RAISES, replace(GOOD, asked=0), "nothing was asked"),
        (NAN, replace(GOOD, answers=1), "the challenger answered 1 requests"),
        (SLOW, GOOD, "the challenger answered nobody"),
        (WORSE, replace(GOOD, answers=40), "was not found worse in wrong"),
        (DRIFTS, replace(PROMOTED, status=ReleaseStatus.ROLLED_BACK, champion=(1, 1)), "it ended rolled_back"),
        (DRIFTS, replace(PROMOTED, breached=["error"]), "was found worse in error"),
        (DRIFTS, replace(PROMOTED, champion=(1, 1)), "version 1 is champion afterwards, and must be 2"),
        (DRIFTS, replace(PROMOTED, drifted=["age"]), "does not name salary"),
        (SILENT, replace(EXPIRED, status=ReleaseStatus.PROMOTED, champion=(1, 2)), "it ended promoted"),
        (SILENT, replace(EXPIRED, asked=5), "5 requests were asked"),
    ],
)
def test_what_is_not_as_it_must_be_is_said(injection: Injection, outcome: Outcome, objection: str) -> None:
    found = judge(injection, outcome, drifting="salary")
    assert any(objection in said for said in found.objections)
    assert not found.to_document()["passed"]


@pytest.mark.parametrize("injection", injections("salary", spread=None), ids=lambda injection: injection.what)
def test_each_injection_has_a_plan(injection: Injection) -> None:
    plan = resolve_plan({**PLAN, **injection.plan}, seconds_per_plan_minute=1)
    assert [step.weight for step in plan.steps] == [0.5]
    assert set(injection.breaches) <= set(plan.margins)


def test_what_drifts_is_a_number_that_captures_show() -> None:
    features = {"job": {"type": "category"}, "age": {"type": "integer"}, "salary": {"type": "number"}}
    assert drifting_feature(a_contract(features=features)) == "age"
    assert drifting_feature(a_contract(features=features, serving={"capture": {"mask": ["age"]}})) == "salary"
    with pytest.raises(Refused, match="hide every feature"):
        drifting_feature(a_contract(features=features, serving={"capture": {"mask": list(features)}}))


def test_values_drift_into_their_top_tenth() -> None:
    rows = [{"age": age, "job": "clerk"} for age in (*range(20), None)]
    assert [row["age"] for row in drifted(rows, "age")] == [18, 19] * 10 + [18]
    assert {row["job"] for row in drifted(rows, "age")} == {"clerk"}


def test_the_page_and_the_table_tell_what_failed(
    capsys: pytest.CaptureFixture[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = [
        judge(RAISES, replace(GOOD, safe_seconds=8.04, last_seconds=0.2), drifting="salary"),
        judge(DRIFTS, replace(PROMOTED, drifted=[]), drifting="salary"),
    ]
    monkeypatch.setenv("COLUMNS", "80")
    tell_drill(Output(), done)
    table = capsys.readouterr().out
    assert "1 of 2 passed" in table
    assert "passed  the challenger raises  rolled_back  0 of 300" in table
    assert max(map(len, table.splitlines())) <= 80
    assert "what is asked drifts: the drift report does not name salary" in table
    page = write_page("loans", "2026-11-21 06:00 UTC", 61.0, done)
    assert "| passed | the challenger raises | rolled_back | 0 of 300 | 8.0 s |" in page
    assert "**failed**" in page
    assert "- **Not as it must be**: the drift report does not name salary." in page
