"""Each turn makes the one move that plan, state and evidence lead to."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serin.monitoring.minutes import Counts, Minute
from serin.registry.records import Approval, Release, ReleaseStatus, VersionStatus
from serin.release.disagreement import Disagreement
from serin.release.evidence import Evidence, digest
from serin.release.next_step import MAX_TURNS, Decision, Move, must_hand_over, next_move
from serin.release.plan import Plan, resolve_plan
from serin.release.sequential import Block
from serin.release.verdict import ArmFinding, Arms, ArmVerdict, compare_arms
from tests.builders import a_release

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
CANARY = {"strategy": "canary", "shadow": "15m", "margins": {"error": 0.01, "slow": 0.02, "unsure": None}}
SHADOW, FIRST, LAST = 0, 1, 3
BEFORE = NOW - timedelta(days=1)  # that the trial began


def a_plan(**said: Any) -> Plan:
    return resolve_plan({**CANARY, **said}, seconds_per_plan_minute=60)


def trial(step: int = LAST, *, minutes: float = 60, **changes: Any) -> Release:
    """A canary of version 2 against version 1 that has stood in a step for so many minutes."""
    since = (NOW - timedelta(minutes=minutes)).isoformat()
    values = {"champion_before": 1, "strategy": "canary", "started_at": since, "step": step, "step_since": since}
    values |= {"lease_until": NOW.isoformat()}
    return a_release(2, **{**values, **changes})


def said(question: str, verdict: ArmVerdict) -> ArmFinding:
    return ArmFinding(question, verdict, 0.01, Block(500, 5, 500, 5), breach=0.1, passing=1.1)


def arms(error: ArmVerdict = ArmVerdict.PASS, slow: ArmVerdict = ArmVerdict.PASS, **changes: Any) -> Arms:
    findings = {"error": said("error", error), "slow": said("slow", slow)}
    values = {"findings": findings, "champion_units": 500, "challenger_units": 500, "step_units": 900}
    return Arms(**{**values, **changes})


def evidence(**changes: Any) -> Evidence:
    values: dict[str, Any] = {
        "status": VersionStatus.PASSED,
        "model_sha256": "a",
        "is_verified": True,
        "champion": 1,
        "blocked": set(),
        "asked_at": NOW,
        "covered_seconds": inf,
        "arms": arms(),
        "shadow": Disagreement(500, 10),
    }
    return Evidence(**{**values, **changes})


def check(decision: Decision, move: Move, reason: str) -> None:
    assert (decision.move, reason in decision.reason) == (move, True), decision
    assert (decision.wait_seconds > 0) is (decision.move is Move.HOLD)


@pytest.mark.parametrize("plan", [a_plan(), resolve_plan({"strategy": "blue_green"}, seconds_per_plan_minute=60)])
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"status": VersionStatus.REJECTED}, "is rejected"),
        ({"status": VersionStatus.ROLLED_BACK}, "is rolled_back"),
        ({"is_verified": False, "finding": "spec.json differs"}, "spec.json differs"),
        ({"blocked": {"a"}}, "DIGEST_BLOCKED"),
        ({"champion": 3}, "version 3 is newer"),
        ({"champion": 2}, "version 2 answers already"),
    ],
)
def test_what_may_not_be_released_is_refused_at_every_step(plan: Plan, change: dict[str, Any], reason: str) -> None:
    for step in (SHADOW, FIRST, LAST):
        check(next_move(plan, trial(step), evidence(**change), NOW), Move.REFUSE, reason)


def test_a_trial_against_a_champion_that_is_gone_tells_nothing() -> None:
    check(next_move(a_plan(), trial(), evidence(champion=None), NOW), Move.REFUSE, "no longer tells")


@pytest.mark.parametrize("strategy", ["canary", "blue_green"])
def test_the_first_version_has_nobody_to_be_compared_with(strategy: str) -> None:
    plan = resolve_plan({"strategy": strategy}, seconds_per_plan_minute=60)
    first = trial(0, champion_before=None)
    check(next_move(plan, first, evidence(champion=None, arms=Arms()), NOW), Move.PROMOTE, "the first version")


def test_blue_green_promotes_at_once() -> None:
    plan = resolve_plan({"strategy": "blue_green"}, seconds_per_plan_minute=60)
    check(next_move(plan, trial(0), evidence(arms=Arms()), NOW), Move.PROMOTE, "passed its gates against version 1")


@pytest.mark.parametrize("status", [status for status in ReleaseStatus if status not in ("live", "watching")])
def test_what_has_ended_does_not_move(status: ReleaseStatus) -> None:
    worst = evidence(arms=arms(ArmVerdict.BREACH), status=VersionStatus.REJECTED)
    check(next_move(a_plan(), trial(status=status, reason="so it was"), worst, NOW), Move.DONE, "so it was")


@pytest.mark.parametrize(
    ("step", "minutes", "change", "move", "reason"),
    [
        (SHADOW, 5, {}, Move.HOLD, "lasts 600 s more"),
        (SHADOW, 15, {}, Move.ADVANCE, "disagrees on 10 of 500"),
        (SHADOW, 15, {"shadow": Disagreement(399, 0)}, Move.HOLD, "399 of 400"),
        (SHADOW, 15, {"shadow": Disagreement(500, 200)}, Move.HOLD, "a person must look"),
        (SHADOW, 15, {"shadow": Disagreement(500, 0, faults=200)}, Move.HOLD, "a person must look"),
        (SHADOW, 15, {"shadow": Disagreement()}, Move.HOLD, "0 of 400"),
        (SHADOW, 15, {"shadow": Disagreement(), "asked_at": BEFORE}, Move.HOLD, "on their way"),
        (FIRST, 5, {}, Move.HOLD, "lasts 300 s more"),
        (FIRST, 10, {}, Move.ADVANCE, "no breach"),
        (FIRST, 10, {"arms": arms(ArmVerdict.NOT_ENOUGH)}, Move.ADVANCE, "no breach"),
        (FIRST, 10, {"arms": arms(challenger_units=399)}, Move.HOLD, "answered 399 units"),
        (FIRST, 10, {"arms": arms(champion_units=399)}, Move.HOLD, "the champion 399"),
        (FIRST, 1, {"arms": arms(slow=ArmVerdict.BREACH)}, Move.ROLL_BACK, "slow: breach"),
        (SHADOW, 1, {"arms": arms(ArmVerdict.BREACH)}, Move.ROLL_BACK, "error: breach"),
        (LAST, 5, {}, Move.HOLD, "lasts 300 s more"),
        (LAST, 10, {}, Move.PROMOTE, "error: pass"),
        (LAST, 10, {"arms": arms(slow=ArmVerdict.NOT_ENOUGH)}, Move.HOLD, "slow: not enough"),
        (LAST, 10, {"arms": arms(findings={"error": said("error", ArmVerdict.PASS)})}, Move.HOLD, "slow: not enough"),
        (LAST, 10, {"arms": arms(findings={})}, Move.HOLD, "error: not enough"),
        (LAST, 10, {"arms": arms(challenger_units=399)}, Move.HOLD, "399"),
        (SHADOW, 15, {"covered_seconds": 899}, Move.HOLD, "captures show 899 s of the 900 s"),
        (FIRST, 10, {"covered_seconds": 599}, Move.HOLD, "captures show 599 s of the 600 s"),
        (FIRST, 10, {"covered_seconds": 600}, Move.ADVANCE, "no breach"),
        (LAST, 10, {"covered_seconds": 0.0}, Move.HOLD, "captures show 0 s of the 600 s"),
        (LAST, 10, {"covered_seconds": nan}, Move.HOLD, "captures show nan s"),
        (LAST, 10, {"arms": arms(step_units=0)}, Move.HOLD, "no entity's first request"),
        (LAST, 10, {"arms": arms(step_units=0), "asked_at": BEFORE}, Move.HOLD, "on their way"),
        (LAST, 13, {"arms": arms(step_units=0), "asked_at": BEFORE}, Move.HOLD, "(canary, 50%)"),
        (LAST, 7 * 24 * 60, {"arms": arms(slow=ArmVerdict.NOT_ENOUGH)}, Move.EXPIRE, "the limit"),
        (LAST, 7 * 24 * 60, {}, Move.PROMOTE, "error: pass"),
        (SHADOW, 7 * 24 * 60, {"shadow": Disagreement(500, 200)}, Move.EXPIRE, "a person must look"),
    ],
)
def test_where_a_canary_goes_from_here(
    step: int, minutes: float, change: dict[str, Any], move: Move, reason: str
) -> None:
    check(next_move(a_plan(), trial(step, minutes=minutes), evidence(**change), NOW), move, reason)


WEEK = 7 * 24 * 60


@pytest.mark.parametrize("step", [SHADOW, FIRST, LAST])
@pytest.mark.parametrize(
    ("then", "minutes", "replay", "move", "reason"),
    [
        ("hold", 60, Disagreement(500, 0), Move.HOLD, "no traffic"),
        ("hold", WEEK, Disagreement(500, 0), Move.EXPIRE, "no traffic"),
        ("expire", 60, Disagreement(500, 0), Move.EXPIRE, "no traffic"),
        ("promote_on_replay", 60, Disagreement(500, 0), Move.HOLD, "at the limit"),
        ("promote_on_replay", WEEK, Disagreement(500, 0), Move.PROMOTE, "the replay disagrees on 0 of 500"),
        ("promote_on_replay", WEEK, Disagreement(400, 20), Move.PROMOTE, "disagrees on 20 of 400"),
        ("promote_on_replay", WEEK, Disagreement(399, 0), Move.EXPIRE, "399 of 400"),
        ("promote_on_replay", WEEK, Disagreement(), Move.EXPIRE, "0 of 400"),
        ("promote_on_replay", WEEK, Disagreement(500, 45), Move.EXPIRE, "not certainly less than 10.0%"),
        ("promote_on_replay", WEEK, Disagreement(500, 0, faults=1), Move.REFUSE, "failed on 1"),
        ("promote_on_replay", WEEK, Disagreement(nan, 0), Move.EXPIRE, "the replay"),  # type: ignore[arg-type]
        ("promote_on_replay", WEEK, Disagreement(inf, 0), Move.EXPIRE, "the replay"),  # type: ignore[arg-type]
    ],
)
def test_without_traffic_the_contract_decides(
    step: int, then: str, minutes: float, replay: Disagreement, move: Move, reason: str
) -> None:
    nobody = evidence(asked_at=None, arms=Arms(), shadow=Disagreement(), replay=replay)
    check(next_move(a_plan(on_no_traffic=then), trial(step, minutes=minutes), nobody, NOW), move, reason)


BLUE_GREEN = resolve_plan({"strategy": "blue_green"}, seconds_per_plan_minute=60)
AB = resolve_plan({"strategy": "ab", "margins": {"wrong": 0.02}}, seconds_per_plan_minute=60)


@pytest.mark.parametrize(("plan", "goes_on"), [(a_plan(), Move.BEGIN), (AB, Move.BEGIN), (BLUE_GREEN, Move.PROMOTE)])
@pytest.mark.parametrize(
    ("replay", "move", "reason"),
    [
        (Disagreement(), None, ""),
        (Disagreement(500, 0), None, ""),
        (Disagreement(500, 60), None, ""),
        (
            Disagreement(500, 200),
            Move.HOLD,
            "a person must look: the replay disagrees on 200 of 500",
        ),
        (Disagreement(500, 0, faults=1), Move.REFUSE, "failed on 1: it gave no number"),
    ],
)
def test_before_anybody_meets_a_challenger_its_replay_is_looked_at(
    plan: Plan, goes_on: Move, replay: Disagreement, move: Move | None, reason: str
) -> None:
    waiting = trial(0, step_since="", started_at=NOW.isoformat())
    seen = evidence(arms=Arms(), replay=replay, replay_finding="it gave no number")
    check(next_move(plan, waiting, seen, NOW), move or goes_on, reason)
    if move is Move.HOLD:
        later = NOW + timedelta(days=14)
        leased = replace(waiting, lease_until=later.isoformat())
        check(next_move(plan, leased, seen, later), Move.EXPIRE, "a person must look")


def test_who_approved_of_a_replay_did_not_approve_of_what_followed() -> None:
    plan = a_plan(steps=[0.5], shadow=None, approval="required")
    far = evidence(replay=Disagreement(500, 200))
    waiting = trial(0, step_since="")
    approved = replace(waiting, approval=Approval(True, "ada", NOW.isoformat(), digest(plan, waiting, far)))
    check(next_move(plan, approved, far, NOW), Move.BEGIN, "approved by ada")
    check(next_move(plan, replace(approved, step_since=trial().step_since), far, NOW), Move.HOLD, "STALE")
    more = evidence(replay=Disagreement(500, 201))
    check(next_move(plan, approved, more, NOW), Move.HOLD, "STALE")


def test_where_a_person_must_agree_a_replay_alone_promotes_nothing() -> None:
    plan = a_plan(on_no_traffic="promote_on_replay", approval="required")
    nobody, release = evidence(asked_at=None, arms=Arms(), replay=Disagreement(500, 0)), trial()
    check(next_move(plan, release, nobody, NOW), Move.HOLD, "a person must look")
    said_yes = Approval(True, "ada", NOW.isoformat(), digest(plan, release, nobody))
    check(next_move(plan, replace(release, approval=said_yes), nobody, NOW), Move.HOLD, "at the limit")
    late = trial(minutes=WEEK, approval=replace(said_yes, evidence=digest(plan, release, nobody)))
    check(next_move(plan, late, nobody, NOW), Move.PROMOTE, "approved by ada")


@pytest.mark.parametrize("count", [nan, inf])
@pytest.mark.parametrize("step", [SHADOW, FIRST, LAST])
def test_what_is_not_finite_holds(step: int, count: float) -> None:
    broken: dict[str, Any] = {
        "arms": arms(challenger_units=count, step_units=count),
        "shadow": Disagreement(count, 0),  # type: ignore[arg-type]
    }
    assert next_move(a_plan(), trial(step), evidence(**broken), NOW).move is Move.HOLD


class TestApproval:
    plan = a_plan(approval="required")

    def approve(self, release: Release, seen: Evidence, *, is_approved: bool = True) -> Release:
        return replace(
            release, approval=Approval(is_approved, "ada", NOW.isoformat(), digest(self.plan, release, seen))
        )

    def test_a_promotion_waits_for_a_person(self) -> None:
        check(next_move(self.plan, trial(), evidence(), NOW), Move.HOLD, "a person must look")

    def test_an_approval_of_this_evidence_promotes(self) -> None:
        release = self.approve(trial(), evidence())
        check(next_move(self.plan, release, evidence(), NOW), Move.PROMOTE, "approved by ada")

    def test_more_requests_with_the_same_verdicts_are_the_same_evidence(self) -> None:
        release = self.approve(trial(), evidence())
        more = evidence(arms=arms(challenger_units=900, champion_units=900))
        check(next_move(self.plan, release, more, NOW), Move.PROMOTE, "approved by ada")

    def test_an_approval_of_other_evidence_is_stale(self) -> None:
        release = self.approve(trial(), evidence(arms=arms(slow=ArmVerdict.NOT_ENOUGH)))
        check(next_move(self.plan, release, evidence(), NOW), Move.HOLD, "STALE")

    def test_an_approval_of_the_shadow_is_none_of_the_promotion(self) -> None:
        far = evidence(shadow=Disagreement(500, 200))
        release = self.approve(trial(SHADOW), far)
        check(next_move(self.plan, release, far, NOW), Move.ADVANCE, "approved by ada")
        check(next_move(self.plan, replace(release, step=LAST), far, NOW), Move.HOLD, "STALE")

    def test_an_approval_does_not_outweigh_what_is_missing_or_a_breach(self) -> None:
        few, bad = evidence(arms=arms(slow=ArmVerdict.NOT_ENOUGH)), evidence(arms=arms(slow=ArmVerdict.BREACH))
        check(next_move(self.plan, self.approve(trial(), few), few, NOW), Move.HOLD, "slow: not enough")
        check(next_move(self.plan, self.approve(trial(), bad), bad, NOW), Move.ROLL_BACK, "slow: breach")

    def test_a_rejection_ends_it_whatever_it_saw(self) -> None:
        release = self.approve(trial(FIRST), evidence(arms=arms(ArmVerdict.NOT_ENOUGH)), is_approved=False)
        check(next_move(self.plan, release, evidence(), NOW), Move.REFUSE, "rejected by ada")

    def test_nobody_answers_until_the_limit(self) -> None:
        check(next_move(self.plan, trial(minutes=7 * 24 * 60), evidence(), NOW), Move.EXPIRE, "a person must look")


@pytest.mark.parametrize(
    ("minutes", "change", "move", "reason"),
    [
        (5, {}, Move.HOLD, "watched for 1500 s more"),
        (30, {}, Move.DONE, "no breach"),
        (30, {"arms": Arms()}, Move.DONE, "no breach"),
        (5, {"arms": arms(ArmVerdict.BREACH)}, Move.ROLL_BACK, "after its promotion: error: breach"),
        (30, {"arms": arms(ArmVerdict.BREACH)}, Move.ROLL_BACK, "error: breach"),
        (5, {"champion": 1, "arms": arms(ArmVerdict.BREACH)}, Move.DONE, "version 1 answers"),
    ],
)
def test_a_promoted_version_is_watched(minutes: float, change: dict[str, Any], move: Move, reason: str) -> None:
    watching = trial(minutes=minutes, status=ReleaseStatus.WATCHING)
    check(next_move(a_plan(watch="30m"), watching, evidence(**{"champion": 2, **change}), NOW), move, reason)


SILENT = NOW - timedelta(minutes=5)


@pytest.mark.parametrize(
    ("asked", "before", "move"),
    [
        (SILENT, {"at": NOW, "asked_at": SILENT}, Move.DONE),
        (SILENT, {}, Move.HOLD),
        (SILENT, {"at": NOW, "asked_at": SILENT - timedelta(minutes=1)}, Move.HOLD),
        (SILENT, {"at": NOW - timedelta(minutes=2), "asked_at": SILENT}, Move.HOLD),
        (NOW - timedelta(minutes=2), {"at": NOW, "asked_at": NOW - timedelta(minutes=2)}, Move.HOLD),
        (None, {"at": NOW, "asked_at": None}, Move.DONE),
        (None, {"at": NOW - timedelta(minutes=2), "asked_at": None}, Move.HOLD),
        (BEFORE, {"at": NOW, "asked_at": BEFORE}, Move.DONE),
    ],
)
def test_a_watch_waits_for_captures_unless_two_turns_say_that_nobody_asks(
    asked: datetime | None, before: dict[str, Any], move: Move
) -> None:
    seen = {name: at and at.isoformat() for name, at in before.items()}
    watching = trial(minutes=31, status=ReleaseStatus.WATCHING, evidence=seen)
    known = evidence(champion=2, asked_at=asked, covered_seconds=1799)
    assert next_move(a_plan(watch="30m"), watching, known, NOW).move is move
    enough = evidence(champion=2, asked_at=asked, covered_seconds=1800)
    assert next_move(a_plan(watch="30m"), watching, enough, NOW).move is Move.DONE


@pytest.mark.parametrize("step", [FIRST, LAST])
def test_no_time_of_a_trial_goes_by_past_the_lease_that_the_turn_before_gave(step: int) -> None:
    late = NOW + timedelta(days=30)
    given = trial(step, minutes=4, lease_until=(NOW + timedelta(minutes=5)).isoformat())
    check(next_move(a_plan(), given, evidence(), late), Move.HOLD, "lasts 60 s more")
    first = trial(step, minutes=4, lease_until="")
    check(next_move(a_plan(), first, evidence(), late), Move.HOLD, "lasts 270 s more")


ALL_PASS = {question: said(question, ArmVerdict.PASS) for question in ("error", "slow", "unsure", "wrong")}
NOT_YET = said("slow", ArmVerdict.NOT_ENOUGH)


@pytest.mark.parametrize(
    ("minutes", "change", "move", "reason"),
    [
        (5, {"is_better": True, "findings": ALL_PASS}, Move.PROMOTE, "certainly better"),
        (5, {"is_better": True, "findings": ALL_PASS | {"slow": NOT_YET}}, Move.HOLD, "slow: not enough"),
        (5, {"is_better": True, "challenger_units": 10}, Move.HOLD, "answered 10 units"),
        (5, {}, Move.HOLD, "no difference is certain"),
        (14 * 24 * 60, {}, Move.EXPIRE, "no difference is certain"),
    ],
)
def test_an_ab_release_goes_on_until_one_is_better(
    minutes: float, change: dict[str, Any], move: Move, reason: str
) -> None:
    plan = resolve_plan({"strategy": "ab", "margins": {"wrong": 0.02}}, seconds_per_plan_minute=60)
    check(next_move(plan, trial(0, minutes=minutes), evidence(arms=arms(**change)), NOW), move, reason)


@pytest.mark.parametrize(
    ("minutes", "wait_seconds"), [(0, 60), (9.9, 6), (9.99999, 1), (11, 60), (120, 120), (6000, 300)]
)
def test_a_turn_says_how_long_to_wait(minutes: float, wait_seconds: int) -> None:
    waiting = evidence(arms=arms(challenger_units=1))
    assert next_move(a_plan(), trial(FIRST, minutes=minutes), waiting, NOW).wait_seconds == wait_seconds


def test_an_execution_hands_over_before_its_history_is_full() -> None:
    assert [must_hand_over(turns) for turns in (0, MAX_TURNS - 1, MAX_TURNS)] == [False, False, True]


def minutes_of(rate: tuple[float, float], *, count: int, units: int = 100) -> list[Minute]:
    start = a_plan().minute_of(NOW - timedelta(minutes=count))
    one, other = (Counts(units=units, timed=units, judged=units, wrong=round(units * each)) for each in rate)
    return [Minute(start + at, one, other) for at in range(count)]


def test_the_arms_of_a_release_are_judged_by_its_plan() -> None:
    plan = resolve_plan({"strategy": "ab", "margins": {"wrong": 0.02}}, seconds_per_plan_minute=60)
    seen = compare_arms(plan, trial(0, minutes=10), minutes_of((0.2, 0.05), count=30), with_bounds=True)
    assert (seen.champion_units, seen.challenger_units, seen.step_units) == (3000, 3000, 2000)
    assert seen.is_better
    assert seen.findings["wrong"].verdict is ArmVerdict.PASS
    assert not compare_arms(plan, trial(0), minutes_of((0.05, 0.2), count=30)).is_better
    assert not compare_arms(a_plan(), trial(0), minutes_of((0.2, 0.05), count=30)).is_better


COUNTS = st.one_of(st.integers(0, 2000), st.sampled_from([nan, inf]))


@settings(deadline=None, max_examples=300)
@given(
    st.builds(Disagreement, COUNTS, COUNTS, COUNTS),
    st.sampled_from([a_plan(), a_plan(on_no_traffic="promote_on_replay"), AB, BLUE_GREEN]),
    st.booleans(),
    st.sampled_from([0.0, 60.0, 20_000.0]),
)
def test_a_replay_never_rolls_back_and_never_promotes_what_it_does_not_certainly_allow(
    replay: Disagreement, plan: Plan, has_begun: bool, minutes: float
) -> None:
    release = trial(0, minutes=minutes, **({} if has_begun else {"step_since": ""}))
    nobody = evidence(asked_at=None, arms=Arms(), shadow=Disagreement(), replay=replay)
    move = next_move(plan, release, nobody, NOW).move
    assert move is not Move.ROLL_BACK
    if move is Move.PROMOTE and plan.steps:
        assert plan.on_no_traffic == "promote_on_replay"
        assert replay.is_sound
        assert replay.faults == 0
        assert 400 <= replay.compared < inf
        assert replay.disagreeing < 0.1 * replay.compared


VERDICTS = st.sampled_from(ArmVerdict)
UNITS = st.one_of(st.integers(0, 2000), st.sampled_from([nan, inf]))


@settings(deadline=None, max_examples=200)
@given(st.integers(SHADOW, LAST), VERDICTS, VERDICTS, UNITS, UNITS, st.integers(0, 20_000), st.booleans())
def test_a_promotion_implies_that_everything_passed(
    step: int, error: ArmVerdict, slow: ArmVerdict, champion: float, challenger: float, minutes: int, is_newer: bool
) -> None:
    seen = evidence(
        arms=arms(error, slow, champion_units=champion, challenger_units=challenger), champion=3 if is_newer else 1
    )
    if next_move(a_plan(), trial(step, minutes=minutes), seen, NOW).move is Move.PROMOTE:
        assert step == LAST
        assert error is slow is ArmVerdict.PASS
        assert 400 <= champion < inf
        assert 400 <= challenger < inf
        assert not is_newer


@settings(deadline=None, max_examples=100)
@given(st.integers(SHADOW, LAST), VERDICTS, VERDICTS, st.integers(0, 2000), st.sampled_from(["hold", "expire"]))
def test_every_trial_ends_by_its_limit(step: int, error: ArmVerdict, slow: ArmVerdict, units: int, then: str) -> None:
    seen = evidence(arms=arms(error, slow, challenger_units=units, step_units=units), shadow=Disagreement(units, 0))
    late = trial(step, minutes=7 * 24 * 60)
    assert next_move(a_plan(on_no_traffic=then), late, seen, NOW).move is not Move.HOLD
