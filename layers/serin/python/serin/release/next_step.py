"""Does a release take its next step? Each turn makes one move: a pure function of what is known.

Doing it is somebody else's job: `apply.py` says what the rows become.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from math import ceil, isfinite

from serin.contract.keys_and_defaults import NoTraffic
from serin.registry.records import Release, ReleaseStatus
from serin.release.admit import rejection_reason
from serin.release.disagreement import is_surely_allowed, is_too_much
from serin.release.evidence import Evidence, StoredEvidence, digest
from serin.release.plan import Plan, StepKind
from serin.release.renewal import LONGEST_WAIT_MINUTES, step_began, trial_time
from serin.release.verdict import ArmFinding, ArmVerdict, not_known

MAX_TURNS = 1_500
"""A turn costs about 11 events of the 25,000 that an execution of Step Functions may have."""


class Move(StrEnum):
    """HOLD: look again later. BEGIN: the trial, at its first step. ADVANCE: to the next step. DONE: nothing is left to
    do; a watch ends well by it.
    """

    BEGIN = "start"
    HOLD = "hold"
    ADVANCE = "advance"
    PROMOTE = "promote"
    ROLL_BACK = "roll back"
    REFUSE = "refuse"
    EXPIRE = "expire"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Decision:
    """One move. wait_seconds: how long to wait before the next turn; 0 where none follows, or at once.

    asks: whether it waits for a person who looks at this very evidence.
    """

    move: Move
    reason: str
    wait_seconds: int = 0
    asks: bool = False


def next_move(plan: Plan, release: Release, evidence: Evidence, now: datetime) -> Decision:
    """Decide one turn.

    Whatever speaks against the version ends the release at once; what is not known yet holds it, until its limit.
    """
    return _Turn(plan, release, evidence, now).decide()


def must_hand_over(turns: int) -> bool:
    """Tell whether an execution that took so many turns starts another one to go on."""
    return turns >= MAX_TURNS


@dataclass(frozen=True, slots=True)
class _Turn:
    plan: Plan
    release: Release
    evidence: Evidence
    now: datetime

    def decide(self) -> Decision:
        match self.release.status:
            case ReleaseStatus.LIVE:
                return self._live()
            case ReleaseStatus.WATCHING:
                return self._watching()
            case _:
                return Decision(Move.DONE, self.release.reason)

    def _live(self) -> Decision:
        if reason := self._rejection_reason():
            return Decision(Move.REFUSE, reason)
        if breaches := self._breaches():
            return Decision(Move.ROLL_BACK, breaches)
        decision = self._trial()
        if decision.move is Move.HOLD and self._is_at_its_limit:
            return Decision(Move.EXPIRE, f"the limit of the release was reached: {decision.reason}")
        return decision

    def _watching(self) -> Decision:
        if self.evidence.champion != self.release.version:
            return Decision(Move.DONE, f"version {self.evidence.champion} answers by now")
        if breaches := self._breaches():
            return Decision(Move.ROLL_BACK, f"after its promotion: {breaches}")
        left = self.plan.watch_seconds - self._seconds_in_step
        if left > 0:
            return self._hold(f"is watched for {ceil(left)} s more", at_most=left)
        if not self._is_quiet and (early := self._too_early(self.plan.watch_seconds)):
            return self._hold(f"is watched on: {early}")
        return Decision(Move.DONE, "no breach while it was watched")

    def _rejection_reason(self) -> str:
        """What forbids that this version is released, whatever the arms show; empty where nothing does."""
        release, evidence = self.release, self.evidence
        if reason := rejection_reason(release.version, evidence.status, evidence.model_sha256, evidence.blocked):
            return reason
        if not evidence.is_verified:
            return f"version {release.version} does not verify: {evidence.finding}"
        if evidence.replay.faults:
            finding = f": {evidence.replay_finding}" if evidence.replay_finding else ""
            return f"the replay of captured requests {evidence.replay.sentence}{finding}"
        if evidence.champion == release.version:
            return f"version {release.version} answers already"
        if evidence.champion is not None and evidence.champion > release.version:
            return f"version {evidence.champion} is newer and answers already"
        if self.plan.steps and evidence.champion != release.champion_before:
            return (
                f"version {release.champion_before} was the champion when the trial began and "
                f"version {evidence.champion} is now: the comparison no longer tells anything"
            )
        if release.approval and not release.approval.is_approved:
            return f"rejected by {release.approval.by}"
        return ""

    def _breaches(self) -> str:
        return "; ".join(finding.sentence for finding in self.evidence.arms.with_verdict(ArmVerdict.BREACH))

    def _trial(self) -> Decision:
        if self.release.champion_before is None and self.evidence.champion is None:
            return self._promote("the first version that passed its gates")
        if not self.release.step_since and is_too_much(self.evidence.replay, self.plan.disagreement):
            reason = f"the replay {self.evidence.replay.sentence}, certainly more than {self.plan.disagreement:.1%}"
            return self._when_approved(Move.BEGIN if self.plan.steps else Move.PROMOTE, reason)
        if not self.plan.steps:
            return self._promote(f"passed its gates against version {self.release.champion_before}")
        if not self.release.step_since:
            return Decision(Move.BEGIN, "its trial begins")
        step = self.plan.steps[self.release.step]
        if step.kind is StepKind.SPLIT:
            return self._split()
        left = step.seconds - self._seconds_in_step
        if left > 0:
            return self._hold(f"step {self._step} lasts {ceil(left)} s more", at_most=left)
        return self._shadow() if step.kind is StepKind.SHADOW else self._canary()

    def _shadow(self) -> Decision:
        seen, needed = self.evidence.shadow, self.plan.min_requests
        if self._is_unasked:
            return self._no_traffic()
        if not seen.is_sound:
            return self._hold(f"what the shadow counted cannot be: {seen}")
        if is_too_much(seen, self.plan.disagreement):
            reason = f"the shadow {seen.sentence}, certainly more than {self.plan.disagreement:.1%}"
            return self._when_approved(Move.ADVANCE, reason)
        if seen.compared < needed:
            return self._hold(f"the shadow compared {seen.compared} of {needed} requests")
        if early := self._too_early(self.plan.steps[self.release.step].seconds):
            return self._hold(early)
        return Decision(Move.ADVANCE, f"the shadow {seen.sentence}")

    def _canary(self) -> Decision:
        arms = self.evidence.arms
        if self._is_unasked:
            return self._no_traffic()
        if few := self._too_few():
            return self._hold(few)
        if arms.step_units == 0:
            return self._hold(f"no entity's first request of step {self._step} has arrived, and others are no evidence")
        if early := self._too_early(self.plan.steps[self.release.step].seconds):
            return self._hold(early)
        if self.release.step + 1 < len(self.plan.steps):
            return Decision(Move.ADVANCE, f"no breach in step {self._step}")
        findings = [self._finding(question) for question in self.plan.margins]
        missing = [finding for finding in findings if finding.verdict is not ArmVerdict.PASS]
        if missing:
            return self._hold(_sentences(missing))
        return self._promote(_sentences(findings))

    def _split(self) -> Decision:
        finding = self._finding(self.plan.question)
        if few := self._too_few():
            return self._hold(few)
        if not self.evidence.arms.is_better:
            return self._hold(f"no difference is certain; {finding.sentence}")
        guards = [self._finding(question) for question in self.plan.margins if question != self.plan.question]
        if missing := [guard for guard in guards if guard.verdict is not ArmVerdict.PASS]:
            return self._hold(f"certainly better; {finding.sentence}; not yet known is: {_sentences(missing)}")
        return self._promote(f"certainly better; {_sentences([finding, *guards])}")

    def _no_traffic(self) -> Decision:
        reason = f"no traffic in step {self._step}"
        if self._seconds_in_step < self.plan.steps[self.release.step].seconds + self.plan.arrival_seconds:
            return self._hold(f"{reason}, unless captures are on their way")
        match self.plan.on_no_traffic:
            case NoTraffic.HOLD:
                return self._hold(reason)
            case NoTraffic.EXPIRE:
                return Decision(Move.EXPIRE, reason)
            case NoTraffic.PROMOTE_ON_REPLAY:
                return self._on_replay(reason)

    def _on_replay(self, reason: str) -> Decision:
        replay, needed = self.evidence.replay, self.plan.min_requests
        if self.evidence.asked_at is not None:
            return self._hold(f"{reason}, and some before: a replay alone would promote only what nobody asked")
        if not replay.is_sound or replay.compared < needed:
            return self._hold(f"{reason}; the replay compared {replay.compared} of {needed} requests")
        reason = f"{reason}; the replay {replay.sentence}"
        if not is_surely_allowed(replay, self.plan.disagreement):
            return self._hold(f"{reason}, not certainly less than {self.plan.disagreement:.1%}")
        decision = self._promote(reason)
        if decision.move is Move.PROMOTE and not self._is_at_its_limit:
            return self._hold(f"{reason}; that promotes it at the limit of the release")
        return decision

    def _promote(self, reason: str) -> Decision:
        return self._when_approved(Move.PROMOTE, reason) if self.plan.needs_approval else Decision(Move.PROMOTE, reason)

    def _when_approved(self, move: Move, reason: str) -> Decision:
        """Make a move that a person must agree to, once they agreed on this very evidence."""
        approval = self.release.approval
        if approval is None:
            return self._ask(f"a person must look: {reason}")
        if approval.evidence != digest(self.plan, self.release, self.evidence):
            return self._ask(f"STALE: the evidence changed since {approval.by} approved it; look again; {reason}")
        return Decision(move, f"{reason}; approved by {approval.by}")

    def _hold(self, reason: str, *, at_most: float | None = None) -> Decision:
        """Look again after a minute of the plan; in a step that is hours old after up to five."""
        minute = self.plan.minute_seconds
        wait = min(max(self._seconds_in_step / 60, minute), LONGEST_WAIT_MINUTES * minute)
        return Decision(Move.HOLD, reason, wait_seconds=max(1, ceil(wait if at_most is None else min(wait, at_most))))

    def _ask(self, reason: str) -> Decision:
        return replace(self._hold(reason), asks=True)

    def _finding(self, question: str) -> ArmFinding:
        """The answer to a question; where nothing was counted, that it is not known."""
        return self.evidence.arms.findings.get(question) or not_known(question, self.plan.margins[question])

    def _too_few(self) -> str:
        arms, needed = self.evidence.arms, self.plan.min_requests
        if all(isfinite(units) and units >= needed for units in (arms.champion_units, arms.challenger_units)):
            return ""
        return (
            f"the challenger answered {arms.challenger_units} units and the champion {arms.champion_units}, "
            f"of {needed} that each must have"
        )

    def _too_early(self, seconds: float) -> str:
        """Say that captures do not show so much time yet; a clock alone, which may be fast, ends no step."""
        covered = self.evidence.covered_seconds
        if covered >= seconds:
            return ""
        return f"captures show {covered:.0f} s of the {seconds:.0f} s that it must be asked for"

    @property
    def _is_quiet(self) -> bool:
        """Tell whether nobody asks a watched version any more. The turn before must have seen that too."""
        before, last_request_at = StoredEvidence.read(self.release.evidence), self.evidence.asked_at
        if not before.at or before.asked_at != (last_request_at.isoformat() if last_request_at else None):
            return False
        if self._is_unasked or last_request_at is None:
            silent_since = step_began(self.release) + timedelta(seconds=self.plan.watch_seconds)
        else:
            silent_since = last_request_at + timedelta(seconds=self.plan.arrival_seconds + self.plan.minute_seconds)
        return silent_since <= datetime.fromisoformat(before.at)

    @property
    def _is_unasked(self) -> bool:
        last_request_at = self.evidence.asked_at
        return last_request_at is None or last_request_at < step_began(self.release)

    @property
    def _is_at_its_limit(self) -> bool:
        age = (self._time - datetime.fromisoformat(self.release.started_at)).total_seconds()
        return age >= self.plan.limit_seconds

    @property
    def _seconds_in_step(self) -> float:
        return (self._time - step_began(self.release)).total_seconds()

    @property
    def _time(self) -> datetime:
        return trial_time(self.release, self.now)

    @property
    def _step(self) -> str:
        step = self.plan.steps[self.release.step]
        return f"{self.release.step + 1} of {len(self.plan.steps)} ({step.kind}, {step.weight:.0%})"


def _sentences(findings: list[ArmFinding]) -> str:
    return "; ".join(finding.sentence for finding in findings)
