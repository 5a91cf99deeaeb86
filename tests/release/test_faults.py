"""Each fault of FAULTS.md «Releases» ends as it must."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from serin.errors import Conflict, Refused, Unavailable
from serin.registry.ids import sha256
from serin.registry.lineage import explain_version
from serin.registry.ports import Write
from serin.registry.receipts import write_receipt
from serin.registry.reconcile import ORPHANED_AFTER, OrphanFinder
from serin.registry.records import Receipt, ReceiptStatus, ReleaseStatus, VersionStatus
from serin.registry.registry import put
from serin.release import verified
from serin.release.next_step import MAX_TURNS, Move
from serin.release.plan import HOLDBACK
from serin.release.renewal import LEASE
from serin.release.rollback import rollback
from tests.builders import a_dataset, a_version
from tests.fakes import FakeObjects, FakeRows
from tests.release.bench import CANARY, Bench

WATCHED = {**CANARY, "watch": "1h"}
APPROVED = {**CANARY, "approval": "required"}


class LosesAnswers(FakeRows):
    """A table that commits what is written and fails all the same, once, when told to; as its adapter, it knows."""

    def __init__(self) -> None:
        super().__init__()
        self.is_failing = False

    def write(self, writes: Sequence[Write]) -> None:
        super().write(writes)
        if self.is_failing:
            self.is_failing = False
            raise Unavailable("the answer of the table was lost")


class IsBusy(FakeRows):
    """A table that refuses so many writes because of others."""

    def __init__(self) -> None:
        super().__init__()
        self.refusals = 0

    def write(self, writes: Sequence[Write]) -> None:
        if self.refusals:
            self.refusals -= 1
            raise Conflict("the transaction met another one")
        super().write(writes)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def finish(bench: Bench, number: int = 2, *, bad: dict[int, float] | None = None, a_minute: int = 60) -> Move:
    """Let traffic flow and take turns until the release of a version ends."""
    for _ in range(60):
        bench.traffic(minutes=3, a_minute=a_minute, bad=bad)
        turned = bench.turn(number)
        if turned.is_done:
            return turned.decision.move
    raise AssertionError(f"no end: {bench.last(number)}")


def shown(bench: Bench, number: int = 2) -> str:
    return str(bench.last(number).evidence["digest"])


def say(bench: Bench, *, is_approved: bool, seen: str, by: str = "ann") -> None:
    bench.answer(2, is_approved=is_approved, seen=seen, by=by)


def test_a_healthy_challenger_is_promoted_step_by_step(bench: Bench) -> None:
    bench.champion_and_trial(CANARY)
    assert (bench.weight, bench.champion) == (0.25, 1)
    assert finish(bench) is Move.PROMOTE
    assert (bench.weight, bench.champion) == (0.0, 2)
    assert bench.moves == ["promote", "start", "advance", "promote"]
    evidence = bench.registry.history("loans")[-1].evidence
    error = evidence["questions"]["error"]
    assert (error["verdict"], error["upper"] <= 0.1, evidence["from"]) == ("pass", True, 1)
    assert evidence["files"] == bench.registry.version("loans", 2).value.files


def test_when_two_trainings_end_together_one_is_on_trial_and_the_other_waits(bench: Bench) -> None:
    bench.champion_and_trial(CANARY)
    assert bench.start(3).status is ReleaseStatus.QUEUED
    assert bench.start(4).status is ReleaseStatus.QUEUED
    assert bench.last(3).status is ReleaseStatus.SUPERSEDED
    assert [name for name in bench.workflow.started if "00000003" in name or "00000004" in name] == []
    finish(bench)
    assert (bench.champion, bench.last(4).status) == (2, ReleaseStatus.LIVE)
    assert bench.last(4).execution in bench.workflow.started
    bench.turn(4)
    assert (bench.weight, bench.last(4).champion_before) == (0.25, 2)


def test_a_release_that_waits_is_not_moved(bench: Bench) -> None:
    bench.champion_and_trial(CANARY)
    bench.start(3)
    assert bench.turn(3).is_done
    assert (bench.last(3).status, bench.weight) == (ReleaseStatus.QUEUED, 0.25)


def test_too_little_traffic_expires_and_is_never_promoted(bench: Bench) -> None:
    bench.champion_and_trial(CANARY)
    while not bench.turn(2, after=20).is_done:
        bench.traffic(minutes=1, a_minute=1)
    assert (bench.last(2).status, bench.weight, bench.champion) == (ReleaseStatus.EXPIRED, 0.0, 1)
    assert bench.route is not None
    assert bench.route.challenger is None


def test_errors_beyond_the_margin_roll_back_with_the_numbers(bench: Bench) -> None:
    bench.champion_and_trial(CANARY)
    assert finish(bench, bad={2: 0.3}) is Move.ROLL_BACK
    assert (bench.last(2).status, bench.weight, bench.champion) == (ReleaseStatus.ROLLED_BACK, 0.0, 1)
    assert bench.registry.version("loans", 2).value.status is VersionStatus.ROLLED_BACK
    last = bench.registry.history("loans")[-1]
    error = last.evidence["questions"]["error"]
    assert (last.move, error["verdict"], error["lower"] >= 0) == ("roll back", "breach", True)
    assert error["seen"]["challenger_events"] > 0
    subject, text = bench.notifier.told[-1]
    assert "loans@2 was rolled back" in subject
    assert "error: breach" in text
    assert "serin why loans@2" in text


def test_a_breach_is_seen_while_captures_still_arrive_and_nothing_else_is(bench: Bench) -> None:
    bench.champion_and_trial({**CANARY, "steps": [0.5], "bake": "1m"})
    bench.traffic(minutes=2, a_minute=400)
    assert bench.turn(2).decision.move is Move.HOLD
    assert bench.last(2).evidence["champion_units"] == 0, "neither minute is complete"
    bench.traffic(minutes=1, a_minute=400, bad={2: 0.3})
    assert bench.turn(2).decision.move is Move.ROLL_BACK
    assert bench.last(2).evidence["questions"]["error"]["seen"]["challenger_events"] > 0


@pytest.mark.parametrize("section", [CANARY, WATCHED], ids=["on trial", "watched"])
def test_the_watchdog_ends_what_is_stuck(bench: Bench, section: dict[str, object]) -> None:
    bench.champion_and_trial(section)
    if section is WATCHED:
        while bench.last(2).status is ReleaseStatus.LIVE:
            bench.traffic(minutes=3)
            bench.turn(2)
    bench.clock.advance(seconds=LEASE.total_seconds() + 400)
    assert bench.weight == 0.0, "the weight lapses by itself"
    orphans = OrphanFinder(bench.registry, bench.workflow, bench.workflow, bench.clock())
    for release in orphans.releases("loans"):
        bench.releaser.abandon("loans", release.id, "no turn was taken")
    is_watched = section is WATCHED
    assert bench.last(2).status is (ReleaseStatus.PROMOTED if is_watched else ReleaseStatus.ABORTED)
    assert bench.champion == (2 if is_watched else 1)
    assert bench.route is not None
    assert bench.route.challenger is None
    assert orphans.releases("loans") == []


def test_an_execution_that_is_over_is_noticed_before_the_lease_ends(bench: Bench) -> None:
    release = bench.champion_and_trial(CANARY)
    bench.clock.advance(seconds=ORPHANED_AFTER.total_seconds() + 1)
    assert OrphanFinder(bench.registry, bench.workflow, bench.workflow, bench.clock()).releases("loans") == []
    bench.workflow.running.clear()
    found = OrphanFinder(bench.registry, bench.workflow, bench.workflow, bench.clock()).releases("loans")
    assert [each.id for each in found] == [release.id]


def test_a_slow_turn_that_wakes_after_the_watchdog_changes_nothing(bench: Bench) -> None:
    release = bench.champion_and_trial(CANARY)
    bench.releaser.abandon("loans", release.id, "stuck")
    before = dict(bench.rows.rows)  # type: ignore[attr-defined]  # the fake's
    assert bench.turn(2).is_done
    assert bench.rows.rows == before  # type: ignore[attr-defined]


def test_while_a_lease_had_lapsed_the_arms_are_not_pooled(bench: Bench) -> None:
    bench.champion_and_trial(CANARY)
    bench.traffic(minutes=8)
    bench.turn(2)
    first, lapsed, back = bench.last(2).changed_at
    assert first < lapsed < back


def test_a_turn_reads_files_that_it_did_not_verify_yet_and_no_others(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.champion_and_trial(CANARY)
    read, get = list[str](), bench.artifacts.get

    def noted(key: str, version: str | None = None) -> bytes:
        read.append(key)
        return get(key, version)

    monkeypatch.setattr(bench.artifacts, "get", noted)
    for _ in range(3):
        bench.turn(2, after=1)
    assert read == []
    bench.artifacts.put("models/loans/2/spec.json", bench.artifacts.get("models/loans/2/spec.json"))
    bench.turn(2, after=1)
    assert set(read) == {f"models/loans/2/{name}" for name in ("manifest.json", "model.onnx", "spec.json")}
    assert bench.last(2).status is ReleaseStatus.LIVE
    bench.artifacts.put("models/loans/2/spec.json", b"another")
    bench.turn(2, after=1)
    assert "does not verify" in bench.last(2).reason


def test_what_is_known_to_be_verified_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verified, "MOST_VERSIONS", 2)
    known, artifacts = verified.Verified(), FakeObjects()
    checked = list[int]()
    monkeypatch.setattr(verified, "verify_version", lambda version, _: checked.append(version.number))
    for number in (1, 2, 2, 1, 3, 2, 1):
        known.check(a_version(number), artifacts)
    assert checked == [1, 2, 3, 1]


def test_a_promotion_whose_answer_was_lost_happens_once() -> None:
    rows = LosesAnswers()
    bench = Bench(rows=rows)
    bench.champion_and_trial(CANARY)
    while bench.last(2).status is ReleaseStatus.LIVE:
        bench.traffic(minutes=3)
        rows.is_failing = True
        with pytest.raises(Unavailable):
            bench.turn(2)
    assert bench.turn(2).is_done
    assert (bench.champion, bench.moves.count("promote")) == (2, 2)


@pytest.mark.parametrize(("refusals", "is_ended"), [(3, False), (100, True)])
def test_conflicts_are_tried_again_and_then_roll_back(refusals: int, is_ended: bool) -> None:
    rows = IsBusy()
    bench = Bench(rows=rows)
    release = bench.champion_and_trial(CANARY)
    rows.refusals = refusals
    if is_ended:
        with pytest.raises(Conflict):
            bench.turn(2)
        rows.refusals = 0
        bench.releaser.abandon("loans", release.id, "Conflict: the transaction met another one")
        assert (bench.last(2).status, bench.weight, bench.champion) == (ReleaseStatus.ABORTED, 0.0, 1)
    else:
        bench.turn(2)
        assert bench.weight == 0.25


def test_a_champion_taken_back_in_mid_canary_halts_the_trial(bench: Bench) -> None:
    bench.start(1)
    bench.turn(1)
    bench.start(2)
    bench.turn(2)
    bench.section = CANARY
    bench.start(3)
    bench.turn(3)
    rollback(bench.releaser, "loans", "it is bad")
    assert (bench.last(3).status, bench.weight, bench.champion) == (ReleaseStatus.HALTED, 0.0, 1)
    assert bench.turn(3).is_done
    assert bench.champion == 1


def test_a_champion_is_taken_back_after_a_challenger_was_and_not_twice(bench: Bench) -> None:
    for number in (1, 2):
        bench.start(number)
        bench.turn(number)
    bench.section = CANARY
    bench.start(3)
    bench.turn(3)
    finish(bench, 3, bad={3: 0.6})
    assert (bench.last(3).status, bench.champion) == (ReleaseStatus.ROLLED_BACK, 2)
    rollback(bench.releaser, "loans", "2 is bad too")
    assert bench.champion == 1
    with pytest.raises(Conflict, match="was rolled back to version 1 already"):
        rollback(bench.releaser, "loans", "the same command again")


def test_after_a_rollback_by_itself_a_person_must_name_what_to_take_back(bench: Bench) -> None:
    for number in (1, 2):
        bench.start(number)
        bench.turn(number)
    bench.section = WATCHED
    bench.start(3)
    bench.turn(3)
    while bench.last(3).status is ReleaseStatus.LIVE:
        bench.traffic(minutes=3)
        bench.turn(3)
    finish(bench, 3, bad={3: 0.5}, a_minute=200)
    assert bench.champion == 2
    with pytest.raises(Conflict, match="was rolled back to version 2 already"):
        rollback(bench.releaser, "loans", "meant 3")
    rollback(bench.releaser, "loans", "means 2", version=2)
    assert bench.champion == 1


def test_a_champion_that_changed_behind_a_trial_halts_it(bench: Bench) -> None:
    bench.champion_and_trial(CANARY)
    bench.register(3)
    found = bench.registry.route("loans")
    assert found is not None
    other = replace(found.value.champion, version=3)
    bench.registry.save(put(replace(found.value, champion=other), expected_revision=found.revision))
    bench.turn(2)
    assert (bench.last(2).status, bench.weight, bench.champion) == (ReleaseStatus.HALTED, 0.0, 3)


def watch(bench: Bench) -> None:
    bench.champion_and_trial(WATCHED)
    while bench.last(2).status is ReleaseStatus.LIVE:
        bench.traffic(minutes=3)
        bench.turn(2)


def test_a_breach_after_promotion_goes_back_to_the_champion_before(bench: Bench) -> None:
    watch(bench)
    assert (bench.champion, bench.weight, bench.last(2).status) == (2, HOLDBACK, ReleaseStatus.WATCHING)
    assert finish(bench, bad={2: 0.5}, a_minute=200) is Move.ROLL_BACK
    assert (bench.champion, bench.weight, bench.last(2).status) == (1, 0.0, ReleaseStatus.ROLLED_BACK)
    assert bench.registry.version("loans", 2).value.status is VersionStatus.ROLLED_BACK


def test_a_watch_without_breach_ends_and_all_follow(bench: Bench) -> None:
    watch(bench)
    assert finish(bench) is Move.DONE
    assert (bench.champion, bench.weight, bench.last(2).status) == (2, 0.0, ReleaseStatus.PROMOTED)
    assert bench.moves[-1] == "watched"


def test_a_way_back_that_does_not_verify_is_not_taken(bench: Bench) -> None:
    watch(bench)
    bench.artifacts.versions["models/loans/1/model.onnx"][-1] = b"other"
    with pytest.raises(Exception, match="digest"):
        finish(bench, bad={2: 0.5}, a_minute=200)
    assert bench.champion == 2


def test_taking_the_watched_champion_back_by_hand_ends_its_release(bench: Bench) -> None:
    watch(bench)
    rollback(bench.releaser, "loans", "people complain")
    assert (bench.champion, bench.weight, bench.last(2).status) == (1, 0.0, ReleaseStatus.ROLLED_BACK)
    assert bench.registry.releasing("loans").value.live is None


def test_what_was_rolled_back_is_blocked_until_a_person_names_it(bench: Bench) -> None:
    bench.champion_and_trial(CANARY)
    finish(bench, bad={2: 0.3})
    bench.start(3, content=b"onnx 2")
    bench.turn(3)
    assert (bench.last(3).status, "DIGEST_BLOCKED" in bench.last(3).reason) == (ReleaseStatus.REFUSED, True)
    with pytest.raises(Refused, match="--override-block") as refused:
        bench.starter.start_by_hand("loans", 3)
    assert refused.value.code == "DIGEST_BLOCKED"
    release = bench.starter.start_by_hand("loans", 3, unblocked_by="ann")
    bench.turn(3)
    assert (release.id, bench.weight) == ("00000003-2", 0.25)
    finish(bench, 3)
    assert (bench.champion, bench.registry.history("loans")[-1].evidence["unblocked_by"]) == (3, "ann")


@pytest.mark.parametrize(
    "version", [{"content": b"bad"}, {"status": VersionStatus.REJECTED}], ids=["blocked", "rejected"]
)
def test_what_may_not_be_released_takes_nobodys_place(bench: Bench, version: dict[str, Any]) -> None:
    bench.start(1)
    bench.turn(1)
    bench.start(2, content=b"bad")
    bench.turn(2)
    rollback(bench.releaser, "loans", "worse")
    bench.section = CANARY
    bench.start(3)
    bench.turn(3)
    bench.start(4)
    refused = bench.start(5, **version)
    with pytest.raises(Refused):
        bench.starter.start_by_hand("loans", 5)
    assert bench.starter.start("loans", 5) == refused
    assert (refused.status, refused.execution in bench.workflow.started) == (ReleaseStatus.REFUSED, False)
    assert refused.reason in (
        "version 5 is rejected, and only one that passed its gates is released",
        f"DIGEST_BLOCKED: the same model was rolled back before ({sha256(b'bad')[:16]})",
    )
    assert bench.registry.releasing("loans").value.queued == bench.last(4).id
    assert events_of(bench)[-1] == (5, "refused", "refused", 1, 0.25)
    subject, text = bench.notifier.told[-1]
    assert (subject, text.split("\n")[0]) == ("loans@5 was not released", refused.reason)
    finish(bench, 3)
    assert bench.last(4).status is ReleaseStatus.LIVE


def test_what_a_person_allows_again_takes_the_place_of_who_waits(bench: Bench) -> None:
    bench.champion_and_trial(CANARY)
    finish(bench, bad={2: 0.3})
    bench.start(3)
    bench.turn(3)
    bench.start(4)
    again = bench.starter.start_by_hand("loans", 2, unblocked_by="ann")
    assert (again.status, bench.last(4).status) == (ReleaseStatus.QUEUED, ReleaseStatus.SUPERSEDED)


def test_starting_by_hand_twice_starts_one_release(bench: Bench) -> None:
    bench.champion_and_trial(CANARY)
    assert bench.starter.start_by_hand("loans", 2).id == "00000002-1"
    bench.releaser.abandon("loans", "00000002-1", "?")
    assert bench.starter.start_by_hand("loans", 2).id == "00000002-2"
    assert bench.starter.start_by_hand("loans", 2).id == "00000002-2"


def test_releases_of_a_version_are_told_apart_by_number_past_the_ninth(bench: Bench) -> None:
    bench.champion_and_trial(APPROVED)
    for attempt in range(2, 12):
        bench.releaser.abandon("loans", bench.last(2).id, "?")
        assert bench.starter.start_by_hand("loans", 2).id == f"00000002-{attempt}"
    assert bench.starter.start_by_hand("loans", 2).attempt == 11, "it is under way already"
    bench.turn(2)
    say(bench, is_approved=False, seen=shown(bench))
    bench.turn(2)
    releases = bench.registry.releases("loans")
    assert [each.id for each in releases] == ["00000001-1", *(f"00000002-{attempt}" for attempt in range(1, 12))]
    assert {each.status for each in releases[1:-1]} == {ReleaseStatus.ABORTED}
    assert releases[-1].status is ReleaseStatus.REFUSED
    assert explain_version(bench.registry, bench.data, "loans", 2)["releases"][-1]["id"] == "00000002-11"


def test_an_executions_name_is_used_once(bench: Bench) -> None:
    release = bench.champion_and_trial(CANARY)
    bench.starter.start("loans", 2)
    started = [name for name in bench.workflow.started if name.startswith(f"loans-{release.id}")]
    assert started == [f"loans-{release.id}"]


def test_past_its_limit_an_execution_hands_over_once(bench: Bench) -> None:
    release = bench.champion_and_trial(CANARY)
    name = f"loans-{release.id}-2"
    last = bench.turn(2, turns=MAX_TURNS - 1)
    assert (last.is_done, last.turns, name in bench.workflow.started) == (True, MAX_TURNS, True)
    assert bench.workflow.started[name] == {"model": "loans", "release": release.id, "execution": 2, "turns": 0}
    again = bench.turn(2, turns=MAX_TURNS - 1)  # the same turn, delivered twice
    assert (again.is_done, bench.last(2).executions) == (True, 2)
    assert not bench.turn(2, execution=2).is_done


def test_a_stale_actor_is_refused_by_the_condition(bench: Bench) -> None:
    release = bench.champion_and_trial(CANARY)
    stale = bench.registry.route("loans")
    assert stale is not None
    bench.turn(2)
    with pytest.raises(Conflict):
        bench.registry.save(put(stale.value, expected_revision=stale.revision))
    assert bench.last(2).id == release.id


def until_asked(bench: Bench) -> None:
    bench.champion_and_trial(APPROVED)
    while not bench.last(2).asked:
        bench.traffic(minutes=3)
        bench.turn(2)


def test_a_promotion_waits_for_a_person_who_is_told_once_how_to_answer(bench: Bench) -> None:
    until_asked(bench)
    told = [text for subject, text in bench.notifier.told if "waits for you" in subject]
    bench.traffic(minutes=3)
    bench.turn(2)
    assert len([text for subject, text in bench.notifier.told if "waits for you" in subject]) == len(told) == 1
    assert f"serin approve loans@2 --seen {shown(bench)[:12]}" in told[0]
    assert (bench.champion, bench.weight) == (1, 0.5)
    say(bench, is_approved=True, seen=shown(bench)[:12])
    assert finish(bench) is Move.PROMOTE
    approval = bench.registry.history("loans")[-1].evidence["approval"]
    assert (approval["by"], approval["evidence"]) == ("ann", bench.registry.history("loans")[-1].evidence["digest"])


def test_the_first_answer_stands_and_the_second_is_told_so(bench: Bench) -> None:
    until_asked(bench)
    say(bench, is_approved=False, seen=shown(bench), by="ann")
    for is_approved in (True, False):
        with pytest.raises(Conflict, match="ann rejected it already"):
            say(bench, is_approved=is_approved, seen=shown(bench), by="bob")
    bench.turn(2)
    assert (bench.last(2).status, bench.weight, bench.champion) == (ReleaseStatus.REFUSED, 0.0, 1)
    with pytest.raises(Conflict, match="refused"):
        say(bench, is_approved=True, seen=shown(bench))


def test_an_answer_that_is_refused_stands_in_the_history(bench: Bench) -> None:
    until_asked(bench)
    for is_approved, seen, by in ((True, "0" * 12, "eve"), (False, "1234567", "bob"), (True, "x" * 500, "eve")):
        with pytest.raises((Conflict, Refused)):
            say(bench, is_approved=is_approved, seen=seen, by=by)
    say(bench, is_approved=True, seen=shown(bench))
    with pytest.raises(Conflict, match="ann approved it already"):
        say(bench, is_approved=True, seen=shown(bench), by="eve")
    entries = [entry for entry in bench.registry.history("loans") if entry.move.endswith(" refused")]
    assert [(entry.actor, entry.move, entry.evidence["code"]) for entry in entries] == [
        ("eve", "approval refused", "STALE"),
        ("bob", "rejection refused", "REFUSED"),
        ("eve", "approval refused", "STALE"),
        ("eve", "approval refused", "CONFLICT"),
    ]
    assert {(entry.version, entry.release) for entry in entries} == {(2, bench.last(2).id)}
    assert entries[2].evidence["seen"] == "x" * 64
    assert "evidence changed" in entries[0].reason
    events_of(bench)


def uploaded(bench: Bench, name: str, *, by: str) -> str:
    """Let somebody upload a dataset; of whom nothing is noted where no name is given."""
    key = f"uploads/loans/{name}.csv"
    version = bench.data.put(key, name.encode(), by=by)
    receipt = Receipt(name, "loans", key, version, ReceiptStatus.ACCEPTED, "2026", dataset=name)
    write_receipt(bench.data, receipt)
    bench.registry.save(put(replace(a_dataset(name), receipt=receipt.id), expected_revision=0))
    return name


def test_who_uploaded_what_is_new_or_started_the_release_does_not_approve_it(bench: Bench) -> None:
    old, new, raw = uploaded(bench, "d1", by="bob"), uploaded(bench, "d2", by="ann"), uploaded(bench, "d3", by="")
    bench.start(1, datasets=(old,))
    bench.turn(1)
    bench.section = {"strategy": "blue_green", "approval": "required"}
    bench.register(2, datasets=(old, new, raw))
    bench.releaser_over(bench.rows, actor="carl").starter.start_by_hand("loans", 2)
    bench.turn(2)
    for by, what in (("ann", "ann uploaded what is new in it"), ("carl", "carl started its release")):
        with pytest.raises(Refused, match=what) as refused:
            say(bench, is_approved=True, seen=shown(bench), by=by)
        assert refused.value.code == "FOUR_EYES"
    assert bench.last(2).approval is None
    assert [entry.actor for entry in bench.registry.history("loans")[-2:]] == ["ann", "carl"]
    say(bench, is_approved=True, seen=shown(bench), by="bob")
    found = bench.registry.history("loans")[-1].evidence["contributors"]
    assert found == {"uploaded": ["ann"], "unknown": 1, "started": ["carl"]}
    bench.turn(2)
    assert bench.champion == 2


def test_who_uploaded_may_reject_and_approves_where_everybody_is_one_identity(bench: Bench) -> None:
    bench.section = {"strategy": "blue_green", "approval": "required"}
    for number in (1, 2):
        bench.start(number, datasets=(uploaded(bench, f"d{number}", by="ann"),))
        bench.turn(number)
        if number == 1:
            bench.answer(1, is_approved=True, seen=shown(bench, 1), needs_another=False)
            bench.turn(1)
    say(bench, is_approved=False, seen=shown(bench))
    bench.turn(2)
    assert (bench.champion, bench.last(2).status) == (1, ReleaseStatus.REFUSED)


def test_where_no_approval_is_required_who_uploaded_may_let_it_go_on(bench: Bench) -> None:
    bench.start(1)
    bench.turn(1)
    bench.section = {"strategy": "blue_green", "replay": "1h", "disagreement": 0.1}
    bench.asked(*[20] * 40)
    bench.start(2, datasets=(uploaded(bench, "d2", by="ann"),))
    bench.turn(2)
    assert bench.last(2).is_asking
    say(bench, is_approved=True, seen=shown(bench))
    bench.turn(2)
    assert bench.champion == 2


def test_an_evidence_is_not_named_by_a_few_characters(bench: Bench) -> None:
    until_asked(bench)
    with pytest.raises(Refused, match="is too short"):
        say(bench, is_approved=True, seen=shown(bench)[:7])
    assert bench.last(2).approval is None


def test_an_answer_to_other_evidence_is_stale(bench: Bench) -> None:
    until_asked(bench)
    with pytest.raises(Conflict) as stale:
        say(bench, is_approved=True, seen="0" * 12)
    assert (stale.value.code, bench.last(2).approval) == ("STALE", None)


def test_an_approval_of_evidence_that_changed_promotes_nothing(bench: Bench) -> None:
    bench.champion_and_trial(APPROVED)
    bench.turn(2)
    say(bench, is_approved=True, seen=shown(bench))
    for _ in range(12):
        bench.traffic(minutes=3)
        bench.turn(2)
    assert (bench.champion, "STALE" in bench.last(2).reason) == (1, True)
    say(bench, is_approved=True, seen=shown(bench))
    assert finish(bench) is Move.PROMOTE


def test_an_approval_does_not_outlive_the_champion_that_it_was_given_against(bench: Bench) -> None:
    for number in (1, 2):
        bench.start(number)
        bench.turn(number)
    bench.section = {"strategy": "blue_green", "approval": "required"}
    bench.start(3)
    bench.turn(3)
    seen = shown(bench, 3)
    bench.answer(3, is_approved=True, seen=seen)
    rollback(bench.releaser, "loans", "2 is bad")
    bench.turn(3)
    assert (bench.champion, "STALE" in bench.last(3).reason) == (1, True)
    assert bench.last(3).is_asking
    bench.answer(3, is_approved=True, seen=shown(bench, 3))
    bench.turn(3)
    assert bench.champion == 3


def test_when_nobody_answers_it_expires(bench: Bench) -> None:
    until_asked(bench)
    bench.turn(2, after=24 * 60)
    assert (bench.last(2).status, bench.weight, bench.champion) == (ReleaseStatus.EXPIRED, 0.0, 1)


def test_a_shadow_answers_nobody_and_then_lots_are_drawn(bench: Bench) -> None:
    bench.champion_and_trial({**CANARY, "shadow": "5m"})
    assert bench.route is not None
    assert bench.route.challenger is not None
    assert (bench.weight, bench.route.challenger.release) == (0.0, "00000002-1")
    assert bench.registry.version("loans", 2).value.served


def events_of(bench: Bench) -> list[tuple[int, str, str | None, int | None, float]]:
    """What events told, and that each is of a row of the history, which all of them are."""
    assert {kind for kind, _ in bench.events.found} == {"Release Changed"}
    told = [detail for _, detail in bench.events.found]
    same = ("model", "release", "version", "move", "reason", "actor", "at")
    history = bench.registry.history("loans")
    assert [[said[key] for key in same] for said in told] == [[getattr(each, key) for key in same] for each in history]
    return [(said["version"], said["move"], said["status"], said["champion"], said["weight"]) for said in told]


def test_every_change_of_state_is_in_the_history_and_an_event(bench: Bench) -> None:
    until_asked(bench)
    bench.start(3)
    bench.start(4)
    say(bench, is_approved=False, seen=shown(bench))
    bench.turn(2)
    assert events_of(bench) == [
        (1, "live", "live", None, 0.0),
        (1, "promote", "promoted", 1, 0.0),
        (2, "live", "live", 1, 0.0),
        (2, "start", "live", 1, 0.25),
        (2, "advance", "live", 1, 0.5),
        (3, "queued", "queued", 1, 0.5),
        (3, "superseded", "superseded", 1, 0.5),
        (4, "queued", "queued", 1, 0.5),
        (2, "rejected", "live", 1, 0.5),
        (2, "refused", "refused", 1, 0.0),
        (4, "live", "live", 1, 0.0),
    ]
    assert ("loans@3 was not released", "version 4 came while it waited") in [
        (subject, text.split("\n")[0]) for subject, text in bench.notifier.told
    ]
    (answered,) = [entry for entry in bench.registry.history("loans") if entry.move == "rejected"]
    assert (answered.actor, answered.evidence["approval"]["evidence"]) == ("ann", shown(bench))


def test_who_takes_a_champion_back_tells_of_it_and_of_the_trial_that_ends(bench: Bench) -> None:
    for number in (1, 2):
        bench.start(number)
        bench.turn(number)
    bench.section = CANARY
    bench.start(3)
    bench.turn(3)
    rollback(bench.releaser, "loans", "people complain")
    assert events_of(bench)[-2:] == [(2, "roll back", None, 1, 0.0), (3, "halted", "halted", 1, 0.0)]
    assert [subject for subject, _ in bench.notifier.told[-2:]] == [
        "loans: rolled back to version 1",
        "loans@3 was not released",
    ]


def test_who_takes_a_watched_champion_back_ends_its_release(bench: Bench) -> None:
    watch(bench)
    rollback(bench.releaser, "loans", "people complain")
    assert events_of(bench)[-1] == (2, "roll back", "rolled_back", 1, 0.0)
    last = bench.registry.history("loans")[-1]
    assert (last.release, last.evidence["from"], last.evidence["to"]) == (bench.last(2).id, 2, 1)
    assert last.evidence["files"] == bench.registry.version("loans", 2).value.files


def test_a_bus_and_a_topic_that_are_out_of_reach_undo_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise Unavailable("it is out of reach")

    monkeypatch.setattr(bench.notifier, "tell", fail)
    monkeypatch.setattr(bench.events, "put", fail)
    until_asked(bench)
    bench.start(3)
    assert bench.start(4).status is ReleaseStatus.QUEUED
    say(bench, is_approved=True, seen=shown(bench))
    assert finish(bench) is Move.PROMOTE
    assert bench.last(4).execution in bench.workflow.started
    rollback(bench.releaser, "loans", "people complain")
    assert bench.champion == 1


def test_summaries_are_read_once_and_a_replaced_one_changes_nothing(bench: Bench) -> None:
    bench.champion_and_trial(CANARY)
    bench.traffic(minutes=6)
    bench.turn(2)
    before = bench.last(2).evidence
    names = [name for name in bench.data.versions if name.startswith("summaries/")]
    for name in names:
        bench.data.put(name, bench.data.get(name))
    bench.turn(2)
    same = {"champion_units", "challenger_units"}
    assert before["champion_units"] > 0
    assert {key: bench.last(2).evidence[key] for key in same} == {key: before[key] for key in same}
