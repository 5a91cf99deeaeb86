"""A turn whose clock is fast ends no step early, and what it leaves behind is mended by the next one."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from serin.registry.records import ReleaseStatus
from serin.release.renewal import LEASE, LONGEST_WAIT_MINUTES
from tests.release.bench import CANARY, Bench

BAKE, WATCH = timedelta(minutes=3), timedelta(minutes=9)
SECTION = {
    **CANARY,
    "steps": [0.5, 0.5],
    "bake": "3m",
    "watch": "9m",
    "min_requests": 10,
    "margins": {"error": 0.5, "slow": None, "unsure": None},
}
LONGEST_LEASE = timedelta(minutes=LONGEST_WAIT_MINUTES) + LEASE


def walk(section: dict[str, Any], *, fast: int, ahead: timedelta, a_minute: int = 40, most: int = 60) -> Bench:
    """Let a healthy release go to its end, a turn a minute, one of which has a clock that is fast.

    Each step that begins and the watch last at least as long as they must, by the true clock.
    """
    bench = Bench()
    bench.start(1)
    bench.turn(1)
    bench.section = section
    bench.start(2)
    bench.clock.at += ahead if fast == -1 else timedelta()
    bench.turn(2)
    bench.clock.at -= ahead if fast == -1 else timedelta()
    place, since = (ReleaseStatus.LIVE, 0), bench.clock.at
    for number in range(most):
        bench.traffic(minutes=1, a_minute=a_minute)
        bench.clock.at += ahead if number == fast else timedelta()
        is_done = bench.turn(2).is_done
        bench.clock.at -= ahead if number == fast else timedelta()
        release = bench.last(2)
        if number != fast and not is_done:
            assert datetime.fromisoformat(release.lease_until) <= bench.clock.at + LONGEST_LEASE
        if (release.status, release.step) != place:
            least = WATCH if place[0] is ReleaseStatus.WATCHING else BAKE
            assert bench.clock.at - since >= least, f"{place} ended early: {release.reason}"
            place, since = (release.status, release.step), bench.clock.at
        if is_done:
            return bench
    return bench


@pytest.mark.parametrize("minutes", [10, 20 * 60])
def test_no_step_and_no_watch_ends_early_by_one_fast_clock(minutes: int) -> None:
    ahead = timedelta(minutes=minutes)
    usual = walk(SECTION, fast=99, ahead=ahead)
    assert usual.moves == ["promote", "start", "advance", "promote", "watched"]
    turns = usual.last(2).turns
    for fast in range(-1, turns):
        bench = walk(SECTION, fast=fast, ahead=ahead)
        assert (bench.moves[:5], bench.champion) == (usual.moves, 2), fast
        assert bench.last(2).turns <= turns + 20, "nor is it held for long"


@pytest.mark.parametrize("minutes", [10, 20 * 60])
def test_where_nobody_asks_a_fast_clock_promotes_nothing(minutes: int) -> None:
    replayed = {**SECTION, "replay": "1h", "on_no_traffic": "promote_on_replay", "limit": "2h"}
    for fast in range(12):
        bench = Bench()
        bench.start(1)
        bench.turn(1)
        bench.asked(*[60] * 60)
        bench.section = replayed
        bench.start(2)
        for number in range(12):
            bench.clock.at += timedelta(minutes=minutes if number == fast else 0)
            bench.turn(2)
            bench.clock.at -= timedelta(minutes=minutes if number == fast else -1)
        assert (bench.last(2).status, bench.champion) == (ReleaseStatus.LIVE, 1), fast


def test_a_watch_that_nobody_asks_in_any_more_ends_by_two_turns() -> None:
    bench = Bench()
    bench.champion_and_trial(SECTION)
    while bench.last(2).status is ReleaseStatus.LIVE:
        bench.traffic(minutes=1, a_minute=40)
        bench.turn(2)
    bench.traffic(minutes=2, a_minute=40)
    for _ in range(9):
        bench.clock.advance(minutes=1)
        bench.turn(2)
    release = bench.last(2)
    assert (release.status, bench.moves[-1]) == (ReleaseStatus.PROMOTED, "watched"), release.reason


def test_a_step_that_nobody_asks_in_any_more_is_held() -> None:
    bench = Bench()
    bench.champion_and_trial(SECTION)
    bench.traffic(minutes=2, a_minute=100)
    for _ in range(30):
        bench.turn(2, after=1)
    assert (bench.last(2).status, bench.weight) == (ReleaseStatus.LIVE, 0.5)
    assert "captures show 1" in bench.last(2).reason
    assert "of the 180 s that it must be asked for" in bench.last(2).reason
