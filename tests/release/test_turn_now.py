"""An alarm triggers a turn at once, beside those of the workflow: what happens, happens once all the same."""

from __future__ import annotations

from typing import Any

import pytest

from serin.release.next_step import Move
from tests.release.bench import CANARY, Bench

WATCHED = {**CANARY, "bake": "4m", "min_requests": 20, "margins": {"error": 0.3}, "watch": "8m"}


def ended(bench: Bench, *, rings: bool, bad: float) -> list[Any]:
    """Let the release of version 2 go to its end, with or without an alarm; and say all that came of it."""
    bench.champion_and_trial(WATCHED)
    for _ in range(60):
        bench.traffic(minutes=3, a_minute=40, bad={2: bad})
        for _ in range(2 if rings else 0):
            bench.releaser.turn_now("loans")
        if bench.turn(2).is_done:
            break
        if rings:
            bench.releaser.turn_now("loans")
    release = bench.last(2)
    told = [subject for subject, _ in bench.notifier.told]
    events = [(detail["move"], detail["weight"]) for _, detail in bench.events.found]
    return [release.status, release.executions, bench.moves, told, events, bench.workflow.started, bench.champion]


@pytest.mark.parametrize("bad", [0.0, 0.4], ids=["healthy", "faulty"])
def test_turns_by_an_alarm_double_neither_a_move_nor_a_row(bad: float) -> None:
    assert ended(Bench(), rings=True, bad=bad) == ended(Bench(), rings=False, bad=bad)


def test_without_a_release_under_way_an_alarm_changes_nothing() -> None:
    bench = Bench()
    assert bench.releaser.turn_now("loans") is None
    bench.champion_and_trial(CANARY)
    bench.releaser.abandon("loans", bench.last(2).id, "for a test")
    before = dict(bench.rows.rows)  # type: ignore[attr-defined]  # the fake's
    assert bench.releaser.turn_now("loans") is None
    assert bench.rows.rows == before  # type: ignore[attr-defined]


def test_a_turn_by_an_alarm_leaves_the_workflow_its_lease() -> None:
    bench = Bench()
    bench.champion_and_trial({**CANARY, "bake": "30s"})
    bench.turn(2, after=360)
    until = bench.last(2).lease_until
    bench.traffic(minutes=4, a_minute=400)
    decision = bench.releaser.turn_now("loans")
    assert decision is not None
    assert (decision.move, decision.wait_seconds) == (Move.ADVANCE, 0)
    assert bench.last(2).lease_until == until, "the workflow looks again only after five minutes"


def test_a_turn_by_an_alarm_is_for_whichever_execution_goes_on() -> None:
    bench = Bench()
    bench.champion_and_trial(CANARY)
    bench.turn(2, turns=1_499)
    assert bench.last(2).executions == 2
    bench.traffic(minutes=1, a_minute=400, bad={2: 0.9})
    decision = bench.releaser.turn_now("loans")
    assert decision is not None
    assert decision.move is Move.ROLL_BACK
