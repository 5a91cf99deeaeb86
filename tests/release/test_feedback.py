"""A release asks which version is wrong more often only of feedback, and without any it promotes nothing."""

from __future__ import annotations

from typing import Any

import pytest

from serin.registry.records import ReleaseStatus
from tests.release.bench import CANARY, Bench

ASKS: dict[str, Any] = {
    **CANARY,
    "margins": {"error": None, "slow": None, "unsure": None, "wrong": 0.1},
    "feedback_within": "5m",
    "limit": "1h",
}
AB: dict[str, Any] = {
    "strategy": "ab",
    "min_requests": 50,
    "margins": ASKS["margins"],
    "feedback_within": "5m",
    "horizon": "1h",
}


def run(section: dict[str, Any], wrong: dict[int, float]) -> Bench:
    """Try version 2 against 1, with a turn every few minutes, until the release ends."""
    bench = Bench()
    bench.champion_and_trial(section)
    for _ in range(20):
        bench.traffic(minutes=4, wrong=wrong)
        if bench.turn(2).is_done:
            break
    return bench


@pytest.mark.parametrize("section", [ASKS, AB], ids=["canary", "ab"])
def test_a_challenger_that_is_wrong_more_often_is_rolled_back(section: dict[str, Any]) -> None:
    bench = run(section, {1: 0.05, 2: 0.5})
    ended = bench.last(2)
    assert (ended.status, bench.champion, bench.weight) == (ReleaseStatus.ROLLED_BACK, 1, 0.0)
    assert ended.reason.startswith("wrong: breach")
    assert ended.evidence["feedback"]["joined"] > 50


def test_a_challenger_that_is_wrong_as_often_is_promoted() -> None:
    bench = run(ASKS, {1: 0.05, 2: 0.05})
    assert (bench.last(2).status, bench.champion) == (ReleaseStatus.PROMOTED, 2)


def test_an_ab_release_promotes_what_is_certainly_wrong_less_often() -> None:
    bench = run(AB, {1: 0.5, 2: 0.05})
    assert (bench.last(2).status, bench.champion) == (ReleaseStatus.PROMOTED, 2)
    assert "certainly better" in bench.last(2).reason


def test_an_ab_release_of_equals_ends_at_its_horizon_and_the_champion_stays() -> None:
    bench = run(AB, {1: 0.05, 2: 0.05})
    assert (bench.last(2).status, bench.champion) == (ReleaseStatus.EXPIRED, 1)


@pytest.mark.parametrize("section", [ASKS, AB], ids=["canary", "ab"])
@pytest.mark.parametrize("wrong", [{}, {1: 0.05}, {2: 0.05}], ids=["none", "of the champion", "of the challenger"])
def test_without_feedback_on_both_a_release_expires_and_is_never_promoted(
    section: dict[str, Any], wrong: dict[int, float]
) -> None:
    bench = run(section, wrong)
    ended = bench.last(2)
    assert (ended.status, bench.champion, bench.weight) == (ReleaseStatus.EXPIRED, 1, 0.0)
    assert "wrong: not enough" in ended.reason
    assert "promote" not in bench.moves[1:]


def test_predictions_are_judged_once_they_are_as_old_as_feedback_may_be() -> None:
    bench = Bench()
    bench.champion_and_trial(AB)
    bench.traffic(minutes=6, a_minute=100, wrong={1: 0.0, 2: 1.0})
    bench.turn(2)
    assert bench.last(2).evidence["challenger_units"] > 100
    assert bench.last(2).evidence["questions"]["wrong"]["seen"]["challenger_units"] == 0
    bench.turn(2, after=5)
    assert bench.last(2).status is ReleaseStatus.ROLLED_BACK


def test_feedback_that_comes_after_the_promotion_leads_back() -> None:
    bench = Bench()
    bench.champion_and_trial({**ASKS, "margins": {**ASKS["margins"], "error": 0.1, "wrong": 0.4}, "watch": "2h"})
    for _ in range(30):
        bench.traffic(minutes=4, wrong={1: 0.05, 2: 0.05})
        bench.turn(2)
        if bench.last(2).status is ReleaseStatus.WATCHING:
            break
    assert bench.champion == 2
    for _ in range(10):
        bench.traffic(minutes=4, wrong={1: 0.05, 2: 0.9})
        bench.turn(2)
    assert (bench.last(2).status, bench.champion) == (ReleaseStatus.ROLLED_BACK, 1)
    assert "after its promotion: wrong: breach" in bench.last(2).reason
