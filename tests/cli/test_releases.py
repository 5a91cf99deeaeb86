"""How a release stands is told in lines, with what to do next."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from serin.aws.cloud import Cloud
from serin.cli.releases import bar, follow_release, tell_releases, view
from serin.cli.show import Output
from serin.client.follow import Follower
from serin.client.releases import ways_to_answer
from serin.errors import Unavailable
from serin.registry.records import Approval, Release, ReleaseStatus
from serin.release.rollback import rollback
from tests.release.bench import CANARY, Bench


def cloud_of(bench: Bench) -> Cloud:
    return cast(Cloud, SimpleNamespace(registry=bench.registry, seconds_per_minute=60.0))


def lines_of(bench: Bench) -> str:
    return "\n".join(view(cloud_of(bench), bench.last(2)))


@pytest.mark.parametrize(("share", "full"), [(-1.0, 0), (0.0, 0), (0.5, 10), (1.0, 20), (7.0, 20), (float("nan"), 0)])
def test_a_bar_is_as_full_as_its_share(share: float, full: int) -> None:
    assert bar(share) == "█" * full + "░" * (20 - full)


def test_a_trial_tells_its_units_its_questions_and_a_forecast() -> None:
    bench = Bench()
    bench.champion_and_trial(CANARY)
    assert "none without traffic" in lines_of(bench)
    bench.traffic(minutes=6)
    bench.turn(2)
    said = lines_of(bench)
    assert "each needs 50" in said
    assert "to a breach" in said
    assert "more, if as many ask as until now" in said


def test_a_trial_whose_traffic_ended_has_no_forecast() -> None:
    bench = Bench()
    bench.champion_and_trial(CANARY)
    bench.traffic(minutes=12)
    bench.turn(2)
    assert "more, if as many ask as until now" in lines_of(bench)
    bench.turn(2, after=60)
    assert "forecast none without traffic" in lines_of(bench)


def test_a_release_without_a_trial_shows_no_empty_comparison() -> None:
    bench = Bench()
    bench.champion_and_trial({"strategy": "blue_green", "approval": "required"})
    assert "units" not in lines_of(bench)
    assert "serin approve loans@2" in lines_of(bench)


def test_a_trial_that_asks_what_is_wrong_tells_its_feedback() -> None:
    bench = Bench()
    bench.champion_and_trial(CANARY | {"margins": {**CANARY["margins"], "wrong": 0.1}})
    bench.traffic(minutes=1, wrong={1: 0.0, 2: 0.0})
    bench.turn(2)
    assert "feedback on 60 of these units, and on 0 other predictions" in lines_of(bench)


def test_a_promoted_version_that_was_taken_back_since_is_told_so(capsys: pytest.CaptureFixture[str]) -> None:
    bench = Bench()
    for number in (1, 2):
        bench.start(number)
        bench.turn(number)
    bench.clock.advance(days=3)
    rollback(bench.releaser, "loans", "people complain")
    bench.starter.start_by_hand("loans", 2, unblocked_by="ann")
    bench.turn(2)
    told = tell_releases(Output(), cloud_of(bench), "loans")
    assert [each["id"] for each in told] == ["00000001-1", "00000002-1", "00000002-2"]
    assert [each["status"] for each in told] == ["promoted"] * 3
    back = next(entry.at for entry in bench.registry.history("loans") if entry.move == "roll back")
    assert [each["rolled_back_at"] for each in told] == [None, back, None]
    assert capsys.readouterr().out.count("promoted, rolled back on 2026-01-04") == 1


def an_asking(bench: Bench) -> Release:
    """A release that waits for a person."""
    bench.champion_and_trial({**CANARY, "approval": "required"})
    while not bench.last(2).is_asking:
        bench.traffic(minutes=3)
        bench.turn(2)
    return bench.last(2)


def test_who_is_waited_for_reads_how_to_answer_and_nothing_of_it_once_it_is_answered() -> None:
    bench = Bench()
    asking = an_asking(bench)
    shown = asking.asked[:12]
    assert ways_to_answer(asking)[1:] == [
        f"    serin approve loans@2 --seen {shown}",
        f"    serin reject loans@2 --seen {shown}",
    ]
    assert "forecast" not in lines_of(bench)
    bench.answer(2, is_approved=True, seen=shown)
    assert ways_to_answer(bench.last(2)) == []


def test_who_approved_another_evidence_is_waited_for_again() -> None:
    asking = an_asking(Bench())
    stale = replace(asking, approval=Approval(True, "ann", "2026-01-01T00:00:00+00:00", "another"))
    assert ways_to_answer(stale) == ways_to_answer(asking)


def test_a_trial_that_asks_nobody_says_how_to_end_it() -> None:
    bench = Bench()
    bench.champion_and_trial(CANARY)
    bench.turn(2)
    shown = bench.last(2).evidence["digest"][:12]
    assert ways_to_answer(bench.last(2)) == [f"  end it   serin reject loans@2 --seen {shown}"]


def test_a_first_version_is_compared_with_nobody() -> None:
    bench = Bench({"strategy": "blue_green", "approval": "required"})
    bench.start(1)
    bench.turn(1)
    said = view(cloud_of(bench), bench.last(1))
    assert "a person must look" in said[0]
    assert said[1:] == ways_to_answer(bench.last(1))


def test_who_follows_a_version_is_told_that_it_waits_for_a_person() -> None:
    bench = Bench()
    an_asking(bench)
    followed = Follower(cloud_of(bench), timeout_seconds=5).release("loans", 2)
    assert (followed.status, followed.is_asking) == (ReleaseStatus.LIVE, True)


def test_a_replay_is_told_and_where_to_look() -> None:
    bench = Bench()
    bench.start(1)
    bench.turn(1)
    bench.asked(*[60] * 38, 20, 20)
    bench.section = {**CANARY, "replay": "24h"}
    bench.start(2)
    bench.turn(2)
    assert "disagrees on 2 of 40 requests; look: serin diff loans@1 loans@2" in lines_of(bench)


def test_the_list_names_every_release(capsys: pytest.CaptureFixture[Any]) -> None:
    bench = Bench()
    bench.champion_and_trial(CANARY)
    bench.start(3)
    documents = tell_releases(Output(), cloud_of(bench), "loans")
    assert [document["status"] for document in documents] == ["promoted", "live", "queued"]
    assert "waits for the end of release 00000002-1" in capsys.readouterr().out


def test_each_move_is_told_with_the_share_that_asks_the_version_after_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    bench = Bench()
    bench.champion_and_trial({**CANARY, "watch": "10m"})
    while bench.last(2).status.is_under_way:
        bench.traffic(minutes=2)
        bench.turn(2)
    ended = follow_release(Output(), cloud_of(bench), "loans", bench.last(2).id)
    said = capsys.readouterr().out.splitlines()
    assert ended.status == "promoted"
    assert [line.split()[:3:2] for line in said if bar(1.0)[0] in line] == [
        ["start", "25%"],
        ["advance", "50%"],
        ["promote", "90%"],
        ["watched", "100%"],
    ]
    assert any("units challenger" in line for line in said)
    assert max(map(len, said)) <= 80


def test_who_waits_behind_a_release_that_waits_for_a_person_is_told_so_at_once() -> None:
    bench, said = Bench(), list[str]()
    shown = an_asking(bench).asked[:12]
    bench.start(3)
    with pytest.raises(Unavailable, match=r"release of loans@3 did not come .* release 00000002-1 must end first"):
        Follower(cloud_of(bench), 0.2, said.append).release("loans", 3)
    (told,) = said
    assert told.startswith("waiting for the release of loans@3: release 00000002-1 must end first\n  loans@2 is live: ")
    assert f"serin approve loans@2 --seen {shown}" in told


def test_who_waits_for_a_trial_is_told_what_it_waits_for_itself() -> None:
    bench, said = Bench(), list[str]()
    bench.champion_and_trial(CANARY)
    bench.turn(2)
    with pytest.raises(Unavailable):
        Follower(cloud_of(bench), 0.2, said.append).release("loans", 2)
    assert said[0].startswith("waiting for the release of loans@2: step 1 of 2 (canary, 25%) lasts")


def test_a_release_that_goes_on_is_not_followed_for_ever(capsys: pytest.CaptureFixture[str]) -> None:
    bench = Bench()
    asking = an_asking(bench)
    with pytest.raises(Unavailable, match="goes on"):
        follow_release(Output(), cloud_of(bench), "loans", asking.id, timeout_seconds=0)
    assert "serin approve loans@2" in capsys.readouterr().out, "piped too, a person is told what it waits for"
