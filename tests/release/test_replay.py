"""Before a release meets anybody, its challenger is tried on what the champion was asked; once, whatever happens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from serin.errors import NotFound, Unavailable, Unverified
from serin.monitoring.replay import Replay
from serin.registry.ports import StoredObject
from serin.registry.records import ReleaseStatus
from serin.registry.registry import put
from serin.release import replay as module
from serin.release.rollback import rollback
from tests.builders import a_capture_file
from tests.fakes import FakeObjects
from tests.monitoring.world import by_age
from tests.release.bench import CANARY, Bench

REPLAYED = {**CANARY, "replay": "24h"}
KEY = "releases/loans/00000002-1/replay-1.json"


class Mortal(FakeObjects):
    """A bucket whose caller is killed at a call, before it or after it was done."""

    def __init__(self) -> None:
        super().__init__()
        self.calls_left: int | None = None
        self.is_after = False

    def get(self, key: str, version: str | None = None) -> bytes:
        return self._guarded(FakeObjects.get, key, version)

    def put(self, key: str, content: bytes, *, by: str = "") -> str:
        return self._guarded(FakeObjects.put, key, content)

    def list(self, prefix: str) -> Iterator[StoredObject]:
        return self._guarded(FakeObjects.list, prefix)

    def _guarded(self, call: Any, *args: Any) -> Any:
        if self.calls_left is None:
            return call(self, *args)
        self.calls_left -= 1
        if self.calls_left < 0 and not self.is_after:
            raise Unavailable("killed")
        found = call(self, *args)
        if self.calls_left < 0:
            raise Unavailable("killed")
        return found


@pytest.fixture
def bench() -> Bench:
    """Version 1 answers, and from now on versions are replayed before they are tried."""
    made = Bench()
    made.start(1)
    made.turn(1)
    made.section = REPLAYED
    return made


def found(bench: Bench, key: str = KEY) -> Replay:
    return Replay.from_json(bench.data.get(key))


def begin(bench: Bench, number: int = 2) -> ReleaseStatus:
    bench.start(number)
    bench.turn(number)
    return bench.last(number).status


def test_a_challenger_that_agrees_begins_and_its_replay_is_kept(bench: Bench) -> None:
    bench.asked(*[60] * 40)
    begin(bench)
    assert (bench.weight, bench.moves) == (0.25, ["promote", "start"])
    seen = found(bench)
    assert (seen.requests, seen.disagreeing, seen.window.champion, seen.window.challenger) == (40, 0, 1, 2)
    assert (seen.window.is_whole, seen.window.files) == (True, 1)
    kept = bench.registry.history("loans")[-1].evidence["replay"]
    assert kept == {"compared": 40, "disagreeing": 0, "faults": 0, "finding": ""}


def test_too_much_disagreement_waits_for_a_person_before_anybody_meets_it(bench: Bench) -> None:
    bench.asked(*[60] * 20, *[20] * 20)
    begin(bench)
    assert bench.route is not None
    assert (bench.route.challenger, bench.moves) == (None, ["promote"])
    bench.turn(2, after=2)
    told = [text for subject, text in bench.notifier.told if "waits for you" in subject]
    assert len(told) == 1
    assert "the replay disagrees on 20 of 40 requests" in told[0]
    shown = str(bench.last(2).evidence["digest"])
    bench.answer(2, is_approved=True, seen=shown)
    bench.turn(2)
    assert (bench.weight, bench.moves) == (0.25, ["promote", "approved", "start"])
    assert bench.registry.history("loans")[-1].evidence["approval"]["by"] == "ann"
    for _ in range(5):
        bench.traffic(minutes=3)
        bench.turn(2)
    assert bench.weight == 0.5, "it is asked for no second time"


@pytest.mark.parametrize("strategy", [REPLAYED, {"strategy": "blue_green", "replay": "24h"}], ids=["canary", "at once"])
def test_who_says_no_to_a_replay_ends_it_and_nobody_does_it_expires(bench: Bench, strategy: dict[str, Any]) -> None:
    bench.section = strategy
    bench.asked(*[20] * 40)
    begin(bench)
    shown = str(bench.last(2).evidence["digest"])
    bench.answer(2, is_approved=False, seen=shown)
    bench.turn(2)
    assert (bench.last(2).status, bench.champion) == (ReleaseStatus.REFUSED, 1)
    bench.asked(*[20] * 40)
    begin(bench, 3)
    bench.turn(3, after=8 * 24 * 60)
    assert (bench.last(3).status, bench.champion) == (ReleaseStatus.EXPIRED, 1)


def test_at_once_promotes_after_a_replay_that_agrees(bench: Bench) -> None:
    bench.section = {"strategy": "blue_green", "replay": "24h"}
    bench.asked(*[60] * 40)
    assert (begin(bench), bench.champion) == (ReleaseStatus.PROMOTED, 2)
    assert bench.registry.history("loans")[-1].evidence["replay"]["compared"] == 40


def test_what_is_done_is_dated_after_the_replay_that_it_rests_on(bench: Bench) -> None:
    bench.section = {"strategy": "blue_green", "replay": "24h"}
    bench.asked(*[60] * 40)

    def score(*asked: Any) -> NDArray[np.float64]:
        bench.clock.advance(seconds=8)
        return by_age(*asked)

    bench.score = score
    before = bench.clock.at
    begin(bench)
    promoted = bench.registry.history("loans")[-1]
    assert bench.route is not None
    assert promoted.at == bench.route.champion.since == bench.last(2).ended_at
    assert datetime.fromisoformat(promoted.at) > before + timedelta(seconds=8)
    assert promoted.evidence["at"] == promoted.at


def refuse(*_: Any) -> NDArray[np.float64]:
    raise Unverified("the model took longer than 10 s and was stopped")


@pytest.mark.parametrize(("score", "reason"), [(by_age, "failed on 1: it gave no number"), (refuse, "took longer")])
def test_a_challenger_that_fails_on_what_was_asked_is_refused(bench: Bench, score: Any, reason: str) -> None:
    bench.score = score
    bench.asked(*[60] * 40, 99)
    assert begin(bench) is ReleaseStatus.REFUSED
    assert reason in bench.last(2).reason
    assert (bench.champion, bench.moves) == (1, ["promote", "refused"])
    assert not bench.registry.version("loans", 2).value.served


def test_a_challenger_that_does_not_verify_is_not_even_run(bench: Bench) -> None:
    bench.score = refuse
    bench.asked(*[60] * 40)
    bench.start(2)
    bench.artifacts.put("models/loans/2/model.onnx", b"another")
    bench.turn(2)
    assert (bench.last(2).status, "does not verify" in bench.last(2).reason) == (ReleaseStatus.REFUSED, True)


def test_what_ends_at_once_is_not_replayed(bench: Bench) -> None:
    bench.register(2)
    route = bench.registry.route("loans")
    assert route is not None
    bench.starter.start("loans", 2)
    answering = replace(route.value, champion=replace(route.value.champion, version=2))
    bench.registry.save(put(answering, expected_revision=route.revision))
    bench.turn(2)
    assert "answers already" in bench.last(2).reason
    begin(bench, 3)
    route = bench.registry.route("loans")
    assert route is not None
    back = replace(route.value, champion=replace(route.value.champion, version=1))
    bench.registry.save(put(back, expected_revision=route.revision))
    bench.turn(3)
    assert bench.last(3).status is ReleaseStatus.HALTED
    kept = [stored.key for stored in bench.data.list("releases/") if "replay" in stored.key]
    assert kept == ["releases/loans/00000003-1/replay-2.json"]


def test_without_captures_the_trial_begins(bench: Bench) -> None:
    begin(bench)
    assert (bench.weight, found(bench).requests) == (0.25, 0)
    assert "no captured request" in bench.last(2).evidence["replay"]["finding"]


def test_the_first_version_has_nothing_to_be_replayed() -> None:
    bench = Bench(REPLAYED)
    assert (begin(bench, 1), bench.champion) == (ReleaseStatus.PROMOTED, 1)
    assert list(bench.data.list("releases/loans/00000001-1/replay")) == []


def test_a_broken_champion_does_not_keep_its_successor_away(bench: Bench) -> None:
    bench.artifacts.put("models/loans/1/spec.json", b"[]")
    begin(bench)
    assert (bench.weight, "digest" in found(bench).finding) == (0.25, True)


def test_only_what_the_champion_answered_in_that_time_is_replayed_and_each_entity_once(bench: Bench) -> None:
    bench.asked(20, at=0)
    bench.asked(20, arm="challenger")
    bench.asked(20, arm="direct")
    bench.asked(20, fault="late")
    bench.asked(20, version=7, answered=7)
    bench.asked(20, model="other")
    bench.asked(20, rows=[], scores=[])
    bench.asked(20, unit="f" * 16)
    bench.asked(60, 60, unit="f" * 16)  # the newer one
    begin(bench)
    seen = found(bench)
    assert (seen.requests, seen.disagreeing) == (1, 0)


def test_hours_before_are_replayed_too_and_longer_ago_not(bench: Bench) -> None:
    bench.asked(60)
    bench.clock.advance(minutes=30)
    bench.asked(60)
    bench.clock.advance(hours=2)
    bench.asked(60)
    bench.clock.advance(hours=21, minutes=45)
    begin(bench)
    assert found(bench).requests == 2


def test_a_file_that_is_broken_or_gone_holds_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.data.put(bench.asked(60), b"no gzip")
    bench.data.put(bench.asked(60), a_capture_file(b"no capture"))
    gone, get = bench.asked(60), bench.data.get

    def get_others(key: str, version: str | None = None) -> bytes:
        if key == gone:
            raise NotFound(key)
        return get(key, version)

    monkeypatch.setattr(bench.data, "get", get_others)
    bench.asked(60)
    begin(bench)
    assert (found(bench).requests, found(bench).window.files) == (1, 4)


@pytest.mark.parametrize(
    ("bound", "most", "requests"), [("MAX_ROWS", 5, 5), ("MAX_BYTES", 600, 6), ("READ_WITHIN", timedelta(0), 0)]
)
def test_what_is_read_is_bounded_and_the_newest_comes_first(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, bound: str, most: Any, requests: int
) -> None:
    bench.asked(20, 20, 20)
    bench.asked(60, 60, 60)
    bench.asked(60, 60, 60)
    monkeypatch.setattr(module, bound, most)
    begin(bench)
    seen = found(bench)
    assert (seen.requests, seen.disagreeing, seen.window.is_whole) == (requests, 0, False)


def test_a_person_who_takes_the_champion_back_has_the_release_replayed_against_who_answers_then(bench: Bench) -> None:
    bench.section = {"strategy": "blue_green"}
    begin(bench)
    bench.section = REPLAYED
    bench.asked(*[20] * 40)
    begin(bench, 3)
    rollback(bench.releaser, "loans", "by hand")
    bench.turn(3)
    assert (bench.weight, bench.champion) == (0.25, 1)
    versions = [found(bench, f"releases/loans/00000003-1/replay-{number}.json").requests for number in (2, 1)]
    assert versions == [40, 0]


@pytest.mark.parametrize("is_after", [False, True])
def test_killed_at_any_call_a_turn_taken_again_finds_one_replay(is_after: bool) -> None:
    for call in range(60):
        bench = Bench()
        bench.data = Mortal()
        bench.releaser = bench.releaser_over(bench.rows)
        bench.start(1)
        bench.turn(1)
        bench.section = REPLAYED
        bench.asked(*[60] * 40)
        bench.start(2)
        bench.data.calls_left, bench.data.is_after = call, is_after
        try:
            bench.turn(2)
        except Unavailable:
            bench.data.calls_left = None
            bench.turn(2)
        else:
            assert call > 25
            return
        assert len(bench.data.versions[KEY]) == 1
        assert (bench.weight, bench.moves) == (0.25, ["promote", "start"])
    raise AssertionError("a turn makes more calls than were tried")


def test_of_two_turns_at_once_both_go_by_the_replay_that_was_kept_first(bench: Bench) -> None:
    bench.asked(*[60] * 40)
    bench.start(2)

    def score(*asked: Any) -> NDArray[np.float64]:
        bench.score = by_age
        bench.turn(2)  # another one takes the whole turn meanwhile
        return by_age(*asked) * np.nan

    bench.score = score
    bench.turn(2)
    assert (len(bench.data.versions[KEY]), found(bench).faults) == (1, 0)
    assert (bench.weight, bench.moves) == (0.25, ["promote", "start"])


def test_a_replay_alone_promotes_at_the_limit_where_the_contract_says_so(bench: Bench) -> None:
    bench.section = {**REPLAYED, "on_no_traffic": "promote_on_replay"}
    bench.asked(*[60] * 60)
    begin(bench)
    bench.turn(2, after=60)
    assert (bench.last(2).status, bench.champion) == (ReleaseStatus.LIVE, 1)
    bench.turn(2, after=24 * 60)
    assert (bench.last(2).status, bench.champion, bench.weight) == (ReleaseStatus.PROMOTED, 2, 0.0)
    assert "the replay disagrees on 0 of 60 requests" in bench.registry.history("loans")[-1].reason


def test_too_small_a_replay_promotes_nothing(bench: Bench) -> None:
    bench.section = {**REPLAYED, "on_no_traffic": "promote_on_replay"}
    bench.asked(*[60] * 49)
    begin(bench)
    bench.turn(2, after=25 * 60)
    assert (bench.last(2).status, bench.champion) == (ReleaseStatus.EXPIRED, 1)
