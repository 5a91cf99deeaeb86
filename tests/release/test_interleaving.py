"""Two actors at once: whatever one does between two calls of the other, one of them wins and nothing happens twice.

The pairs before a release stand in tests/training/test_interleaving.py, those of uploads in tests/data/test_receive.py,
and a promotion beside a prediction in tests/serving/test_promotion.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields
from functools import cache
from typing import Any

import pytest

from serin.registry.ports import Row, Rows, Write
from serin.registry.reconcile import OrphanFinder
from serin.registry.records import Release
from serin.release.next_step import MAX_TURNS
from serin.release.rollback import rollback
from tests.interleave import OvertakenRows, at_every_call, overtake_every_row
from tests.release import bench as given
from tests.release.bench import Bench

Actor = Callable[[Bench], object]
CANARY = {**given.CANARY, "bake": "4m", "min_requests": 20, "margins": {"error": 0.4, "slow": None, "unsure": None}}
APPROVED = {**CANARY, "approval": "required", "limit": "1h"}
PLANS: dict[str, dict[str, Any]] = {
    "canary": CANARY,
    "approved": APPROVED,
    "watched": {**CANARY, "watch": "1h"},
    "replayed": {**CANARY, "replay": "1h"},
    "at once": {"strategy": "blue_green"},
}


@cache
def a_bench(plan: str, *, minutes: int, bad: float = 0.0) -> Bench:
    """Version 2 answers after 1, and 3 is on trial and has run for so long; 4 and 5 are trained."""
    bench = Bench(rows=OvertakenRows())
    for number in (1, 2):
        bench.start(number)
        bench.turn(number)
    bench.section = PLANS[plan]
    bench.asked(*[60] * 20)
    bench.start(3)
    for _ in range(minutes // 4):
        bench.turn(3)
        bench.traffic(minutes=4, a_minute=20, bad={3: bad})
    for number in (4, 5):
        bench.register(number)
    return bench


def turn(bench: Bench) -> None:
    bench.turn(3)


def last_turn(bench: Bench) -> None:
    bench.turn(3, turns=MAX_TURNS - 1)


def alarmed(bench: Bench) -> None:
    bench.releaser.turn_now("loans")


def rolled_back_by_hand(bench: Bench) -> None:
    rollback(bench.releaser, "loans", "by hand", version=2)


def promoted_one_rolled_back(bench: Bench) -> None:
    rollback(bench.releaser, "loans", "by hand", version=3)


def retired(bench: Bench) -> None:
    """The champion's files are gone, so people take it back."""
    for name in [name for name in bench.artifacts.versions if name.startswith("models/loans/2/")]:
        del bench.artifacts.versions[name]
    rolled_back_by_hand(bench)


def given_up(bench: Bench) -> None:
    bench.releaser.abandon("loans", bench.last(3).id, "it met an error")


def found_dead(bench: Bench) -> None:
    """The lease runs out while a turn sleeps, and the tick sees it."""
    bench.clock.advance(minutes=15)
    for release in OrphanFinder(bench.registry, bench.workflow, bench.workflow, bench.clock()).releases("loans"):
        bench.releaser.abandon("loans", release.id, "found by the tick")
    bench.releaser.start_next("loans")


def trained(bench: Bench) -> None:
    bench.starter.start("loans", 4)


def also_trained(bench: Bench) -> None:
    bench.starter.start("loans", 5)


def started_by_hand(bench: Bench) -> None:
    bench.starter.start_by_hand("loans", 5)


def approved(bench: Bench) -> None:
    _say(bench, is_approved=True)


def approved_unseen(bench: Bench) -> None:
    bench.answer(3, is_approved=True, seen="0" * 12)


def rejected(bench: Bench) -> None:
    _say(bench, is_approved=False)


def _say(bench: Bench, *, is_approved: bool) -> None:
    seen = str(bench.last(3).evidence["digest"])
    bench.answer(3, is_approved=is_approved, seen=seen, by=str(is_approved))
    bench.notifier.tell("answered", str(is_approved))


def too_late(bench: Bench) -> None:
    bench.turn(3, after=60)


class RowsOfOtherCode:
    """The table, as code before or after a deployment writes it: without what it has no word for, or with more."""

    def __init__(self, rows: Rows, *, is_newer: bool) -> None:
        self._rows = rows
        self._is_newer = is_newer

    def get(self, partition: str, sort: str) -> Row | None:
        return self._rows.get(partition, sort)

    def list(self, partition: str, sort_prefix: str) -> list[Row]:
        return self._rows.list(partition, sort_prefix)

    def last(self, partition: str, sort_prefix: str) -> Row | None:
        return self._rows.last(partition, sort_prefix)

    def write(self, writes: Sequence[Write]) -> None:
        self._rows.write(
            [Write(each.partition, each.sort, self._as_written(each.body), each.expected_revision) for each in writes]
        )

    def _as_written(self, body: dict[str, Any]) -> dict[str, Any]:
        if self._is_newer:
            return {**body, "word_of_newer_code": {"a": [1]}}
        unsaid = {each.name: each.default for each in fields(Release) if each.default is not MISSING}
        return {name: value for name, value in body.items() if name not in unsaid or value != unsaid[name]}


def turn_of_newer_code(bench: Bench) -> None:
    _turn_over(bench, RowsOfOtherCode(bench.rows, is_newer=True))


def turn_of_older_code(bench: Bench) -> None:
    _turn_over(bench, RowsOfOtherCode(bench.rows, is_newer=False))


def _turn_over(bench: Bench, rows: Rows) -> None:
    bench.releaser_over(rows).turn("loans", bench.last(3).id)


_SCENES: dict[str, tuple[dict[str, Any], dict[str, tuple[Actor, Actor]]]] = {
    "a promotion is due": (
        {"plan": "canary", "minutes": 16},
        {
            "promote, promote": (turn, turn),
            "promote, roll back by hand": (turn, rolled_back_by_hand),
            "roll back by hand, promote": (rolled_back_by_hand, turn),
            "promote, retire": (turn, retired),
            "retire, promote": (retired, turn),
            "promote, give up": (turn, given_up),
            "give up, promote": (given_up, turn),
            "a slow turn, the watchdog after its lease": (turn, found_dead),
            "the watchdog, a turn that wakes": (found_dead, turn),
            "training done, promote": (trained, turn),
            "promote, training done": (turn, trained),
            "deploy newer code, turn": (turn_of_newer_code, turn),
            "turn, deploy newer code": (turn, turn_of_newer_code),
            "deploy older code, turn": (turn_of_older_code, turn),
            "turn, deploy older code": (turn, turn_of_older_code),
        },
    ),
    "nothing is due": (
        {"plan": "canary", "minutes": 4},
        {
            "hand over, the same again": (last_turn, last_turn),
            "turn, hand over": (turn, last_turn),
            "turn, roll back by hand": (turn, rolled_back_by_hand),
            "training done, training done": (trained, also_trained),
            "training done, the same again": (trained, trained),
            "training done, a person starts another": (trained, started_by_hand),
            "training done, give up": (trained, given_up),
            "give up, training done": (given_up, trained),
        },
    ),
    "it has not begun": (
        {"plan": "canary", "minutes": 0},
        {"begin, begin": (turn, turn), "begin, roll back by hand": (turn, rolled_back_by_hand)},
    ),
    "an advance is due": (
        {"plan": "canary", "minutes": 8},
        {"advance, an alarm": (turn, alarmed), "an alarm, advance": (alarmed, turn)},
    ),
    "a replay is due": (
        {"plan": "replayed", "minutes": 0},
        {"replay, replay": (turn, turn), "replay, roll back by hand": (turn, rolled_back_by_hand)},
    ),
    "a breach is due": (
        {"plan": "canary", "minutes": 4, "bad": 0.9},
        {
            "breach, breach": (turn, turn),
            "breach, an alarm": (turn, alarmed),
            "an alarm, breach": (alarmed, turn),
            "breach, roll back by hand": (turn, rolled_back_by_hand),
            "roll back by hand, breach": (rolled_back_by_hand, turn),
        },
    ),
    "a person is asked": (
        {"plan": "approved", "minutes": 20},
        {
            "approve, reject": (approved, rejected),
            "reject, approve": (rejected, approved),
            "approve, approve": (approved, approved),
            "approve, turn": (approved, turn),
            "turn, approve": (turn, approved),
            "turn, reject": (turn, rejected),
            "approve, expiry": (approved, too_late),
            "expiry, approve": (too_late, approved),
        },
    ),
    "it is watched": (
        {"plan": "watched", "minutes": 20},
        {
            "watch, roll back by hand": (turn, promoted_one_rolled_back),
            "roll back by hand, watch": (promoted_one_rolled_back, turn),
            "the watch ends, roll back by hand": (too_late, promoted_one_rolled_back),
            "roll back by hand, the watch ends": (promoted_one_rolled_back, too_late),
        },
    ),
    "it is released at once": ({"plan": "at once", "minutes": 0}, {"promote at once, the same again": (turn, turn)}),
}
CASES = {pair: (scene, *actors) for scene, pairs in _SCENES.values() for pair, actors in pairs.items()}


@pytest.mark.parametrize("pair", CASES)
def test_two_actors_at_once_leave_one_result(pair: str) -> None:
    scene, one, other = CASES[pair]
    for bench, when in at_every_call(a_bench(**scene), one, other):
        holds(bench, when)


def holds(bench: Bench, when: str) -> None:
    registry, route = bench.registry, bench.route
    releases, history = registry.releases("loans"), registry.history("loans")
    under_way = [release for release in releases if release.status.is_under_way]
    state = registry.releasing("loans").value
    assert len(under_way) <= 1, when
    assert state.live == (under_way[0].id if under_way else None), when
    assert [each.id for each in releases if each.status == "queued"] == ([state.queued] if state.queued else []), when

    moves = Counter((entry.release, entry.move, entry.evidence.get("weight")) for entry in history if entry.release)
    assert max(moves.values()) == 1, when
    assert route is not None
    changes = [entry for entry in history if entry.move == "promote" or entry.evidence.get("to")]
    assert route.champion.version == changes[-1].evidence.get("to", changes[-1].version), when
    assert route.champion.files == registry.version("loans", route.champion.version).value.files, when
    if route.challenger is not None:
        assert under_way, when
        assert route.challenger.release in (under_way[0].trial, under_way[0].watch), when

    told = [(said["release"], said["move"], said["at"]) for _, said in bench.events.found]
    assert Counter(told) == Counter((entry.release, entry.move, entry.at) for entry in history), when
    assert {(said["release"], said["status"]) for _, said in bench.events.found} >= {
        (release.id, release.status) for release in releases
    }, when

    begun = [release for release in releases if release.status not in ("queued", "superseded")]
    assert set(bench.workflow.started) == {
        f"loans-{release.id}" + (f"-{number}" if number > 1 else "")
        for release in begun
        for number in range(1, release.executions + 1)
    }, when
    answers = [text for subject, text in bench.notifier.told if subject == "answered"]
    assert len(answers) <= 1, when
    assert [str(each.approval.is_approved) for each in releases if each.approval] == answers, when
    promoted = [entry for entry in history if entry.move == "promote" and "approved by" in entry.reason]
    assert not promoted or answers == ["True"], when
    assert not [entry for entry in history if entry.version == 3 and entry.move == "promote"] or (
        bench.section != APPROVED or promoted
    ), when


@pytest.mark.parametrize(
    ("scene", "acts", "rows"),
    [
        ("it has not begun", (turn,), 4),
        ("nothing is due", (turn,), 2),
        ("nothing is due", (trained, also_trained, given_up), 3 + 5 + 4 + 3),
        ("nothing is due", (rolled_back_by_hand,), 6),
        ("a promotion is due", (turn,), 5),
        ("a breach is due", (turn,), 5),
        ("a person is asked", (approved, turn), 2 + 5),
        ("a person is asked", (approved_unseen,), 1),
        ("it is watched", (promoted_one_rolled_back,), 5),
        ("it is watched", (too_late,), 2 + 4),
    ],
    ids=lambda each: " and ".join(act.__name__ for act in each) if isinstance(each, tuple) else str(each),
)
def test_nobody_writes_over_what_somebody_else_wrote_meanwhile(scene: str, acts: tuple[Actor, ...], rows: int) -> None:
    def act(bench: Bench) -> None:
        for each in acts:
            each(bench)

    assert overtake_every_row(a_bench(**_SCENES[scene][0]), act) == rows
