"""Two actors at once: whatever one does between two calls of the other, one of them wins and nothing happens twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress

import pytest

from serin.errors import SerinError
from serin.registry.ports import Row, Write
from serin.release.approve import answer
from serin.release.take_back import take_back
from tests.fakes import FakeRows
from tests.release.bench import CANARY, Bench

Actor = Callable[[Bench], object]


class Interrupted(FakeRows):
    """A table at whose nth call from now on, before it is done, somebody else does all that they have to do."""

    def __init__(self) -> None:
        super().__init__()
        self.calls_left = -1
        self.other: Callable[[], object] = lambda: None

    def get(self, partition: str, sort: str) -> Row | None:
        self._let_other()
        return super().get(partition, sort)

    def list(self, partition: str, sort_prefix: str) -> list[Row]:
        self._let_other()
        return super().list(partition, sort_prefix)

    def write(self, writes: Sequence[Write]) -> None:
        self._let_other()
        super().write(writes)

    def _let_other(self) -> None:
        self.calls_left -= 1
        if self.calls_left == -1:
            self.other()


def a_bench(section: dict[str, object], *, minutes: int, bad: float = 0.0) -> tuple[Bench, Interrupted]:
    """Version 2 answers after 1, and 3 is on trial and has run for so long."""
    table = Interrupted()
    bench = Bench(rows=table)
    for number in (1, 2):
        bench.start(number)
        bench.turn(number)
    bench.section = section
    bench.start(3)
    bench.turn(3)
    for _ in range(minutes // 4):
        bench.traffic(minutes=4, bad={3: bad})
        bench.turn(3)
    bench.traffic(minutes=4, bad={3: bad})
    return bench, table


def turn(bench: Bench) -> None:
    bench.releaser.turn("loans", bench.last(3).id)


def alarmed(bench: Bench) -> None:
    bench.releaser.turn_now("loans")


def rolled_back_by_hand(bench: Bench) -> None:
    take_back(bench.releaser, "loans", "by hand", version=2)


def given_up(bench: Bench) -> None:
    bench.releaser.abandon("loans", bench.last(3).id, "the watchdog found it")


def trained(bench: Bench) -> None:
    bench.starter.start("loans", 4)


def also_trained(bench: Bench) -> None:
    bench.starter.start("loans", 5)


def says(is_approved: bool) -> Actor:
    def say(bench: Bench) -> None:
        seen = str(bench.last(3).evidence["digest"])
        answer(bench.registry, "loans", 3, is_approved=is_approved, seen=seen, by=str(is_approved), now=bench.clock)

    return say


def too_late(bench: Bench) -> None:
    bench.clock.advance(days=2)
    turn(bench)


APPROVED = {**CANARY, "approval": "required"}
PAIRS = {
    "promote, promote": (CANARY, 20, 0.0, turn, turn),
    "advance, an alarm": (CANARY, 8, 0.0, turn, alarmed),
    "an alarm, breach": (CANARY, 0, 0.9, alarmed, turn),
    "promote, roll back by hand": (CANARY, 20, 0.0, turn, rolled_back_by_hand),
    "roll back by hand, promote": (CANARY, 20, 0.0, rolled_back_by_hand, turn),
    "breach, roll back by hand": (CANARY, 0, 0.9, turn, rolled_back_by_hand),
    "promote, watchdog": (CANARY, 20, 0.0, turn, given_up),
    "watchdog, a turn that wakes": (CANARY, 20, 0.0, given_up, turn),
    "approve, reject": (APPROVED, 24, 0.0, says(True), says(False)),
    "reject, approve": (APPROVED, 24, 0.0, says(False), says(True)),
    "approve, expiry": (APPROVED, 24, 0.0, says(True), too_late),
    "expiry, approve": (APPROVED, 24, 0.0, too_late, says(True)),
    "training done, training done": (CANARY, 0, 0.0, trained, also_trained),
    "training done, promote": (CANARY, 20, 0.0, trained, turn),
    "promote, training done": (CANARY, 20, 0.0, turn, trained),
}


@pytest.mark.parametrize("pair", PAIRS)
def test_two_actors_at_once_leave_one_result(pair: str) -> None:
    section, minutes, bad, one, other = PAIRS[pair]
    call, was_interrupted = 0, True
    while was_interrupted:
        bench, table = a_bench(section, minutes=minutes, bad=bad)
        for number in (4, 5):
            bench.register(number)
        did = []

        def do_other(bench: Bench = bench, did: list[int] = did) -> None:
            did.append(1)
            with suppress(SerinError):
                other(bench)

        table.other, table.calls_left = do_other, call
        with suppress(SerinError):
            one(bench)
        was_interrupted = bool(did)
        table.calls_left = -1
        holds(bench, f"{pair}, at call {call}")
        call += 1
    assert call > 3


def holds(bench: Bench, when: str) -> None:
    releases = bench.registry.releases("loans")
    under_way = [release for release in releases if release.status.is_under_way]
    state = bench.registry.releasing("loans").value
    assert len(under_way) <= 1, when
    assert state.live == (under_way[0].id if under_way else None), when
    history = bench.registry.history("loans")
    rows = Counter((entry.release, entry.move, entry.evidence.get("weight")) for entry in history)
    assert max(rows.values()) == 1, when
    route = bench.route
    assert route is not None
    if route.challenger is not None:
        assert under_way, when
        assert route.challenger.release == under_way[0].trial, when
    changes = [entry for entry in bench.registry.history("loans") if entry.move in ("promote", "roll back")]
    last = [entry.evidence.get("to", entry.version) for entry in changes]
    assert route.champion.version == last[-1], when
    waiting = [release.id for release in releases if release.status == "queued"]
    assert waiting == ([state.queued] if state.queued else []), when
