"""How does a release move? A turn gathers what is known, asks `next_move`, and stores what that comes to, once."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime

from serin.errors import NotFound, SerinError, Unverified
from serin.monitoring.rescore import Score, score_in_child
from serin.registry.ports import Clock, Objects, Workflow, Write
from serin.registry.records import HistoryEntry, Release, ReleaseStatus, Route, VersionStatus
from serin.registry.register import verify_version
from serin.registry.registry import Registry, put, put_releasing
from serin.registry.retry import Patience
from serin.release.admit import eligibility
from serin.release.apply import Change, ReleaseState, abort, apply
from serin.release.disagreement import Disagreement
from serin.release.evidence import Evidence, StoredEvidence
from serin.release.load_evidence import (
    arrived_minutes,
    complete_minutes,
    covered_seconds,
    feedback_of,
    load_evidence,
    shadow_of,
)
from serin.release.next_step import Decision, Move, must_hand_over, next_move
from serin.release.plan import ARRIVAL_SECONDS, resolve_plan
from serin.release.release_log import ReleaseEvent, ReleaseLog
from serin.release.renewal import trial_time
from serin.release.replay import Replayer
from serin.release.start import ReleaseStarter
from serin.release.verdict import ArmVerdict, compare_arms
from serin.release.verified import Verified


@dataclass(frozen=True, slots=True)
class Turned:
    """What a turn came to. turns: how many its execution took. is_done: no turn follows in that execution."""

    decision: Decision
    turns: int
    is_done: bool


@dataclass(frozen=True, slots=True)
class Revisions:
    """Under which revision each row was read; 0 where it is not stored."""

    release: int
    route: int
    version: int = 0


@dataclass(frozen=True, slots=True)
class Read:
    """The rows, and the revisions that they must still have when they are changed."""

    state: ReleaseState
    revisions: Revisions


@dataclass(frozen=True, slots=True)
class Releaser:
    """Moves releases. seconds_per_minute: how long a minute of a plan lasts. score: how a replay runs a challenger.

    arrival_seconds: how long captures take into a summary.
    """

    registry: Registry
    data: Objects
    artifacts: Objects
    workflow: Workflow
    release_log: ReleaseLog
    now: Clock
    patience: Patience
    seconds_per_minute: float = 60.0
    arrival_seconds: float = ARRIVAL_SECONDS
    score: Score = score_in_child
    verified: Verified = field(default_factory=Verified)

    def turn(self, model: str, name: str, *, execution: int = 1, turns: int = 0) -> Turned:
        """Take one turn: look, decide, do. execution: which of the release's executions asks; turns: how often so far.

        Raises Conflict where others moved the same rows again and again.
        """
        if self.registry.release(model, name).value.executions > execution:
            return self._handed_over(model, name, turns)
        decision = self.patience.retry_on_conflict(lambda: self._turn(model, name, is_last=must_hand_over(turns + 1)))
        release = self.registry.release(model, name).value
        if not release.status.is_under_way:
            self.start_next(model)
            return Turned(decision, turns + 1, is_done=True)
        if release.executions > execution:
            return self._handed_over(model, name, turns + 1)
        return Turned(decision, turns + 1, is_done=False)

    def turn_now(self, model: str) -> Decision | None:
        """Take a turn of the model's release beside those of its workflow, which goes on; None where none is under way.

        Raises Conflict as `turn` does.
        """
        live = self.registry.releasing(model).value.live
        if live is None:
            return None
        return self.turn(model, live, execution=self.registry.release(model, live).value.executions).decision

    def abandon(self, model: str, name: str, error: str) -> None:
        """Give a release up that met an error. The champion stays; a release that ended stays as it ended."""
        self.patience.retry_on_conflict(lambda: self._abandon(model, name, error))
        self.start_next(model)

    def start_next(self, model: str) -> None:
        """Start the release that waits, where none is under way. Where that fails, `tick` does it later."""
        with suppress(SerinError):
            self.starter.start_next(model)

    @property
    def starter(self) -> ReleaseStarter:
        """Who starts releases, in the same name."""
        return ReleaseStarter(self.registry, self.workflow, self.release_log, self.now, self.patience)

    def _turn(self, model: str, name: str, *, is_last: bool) -> Decision:
        now, read = self.now(), self.read(model, name)
        plan, release = read.state.plan, read.state.release
        evidence = self._known(read.state)
        if not release.status.is_under_way:
            return next_move(plan, release, evidence, now)
        time = trial_time(release, now)
        cache = load_evidence(self.data, plan, release, time)
        minutes = arrived_minutes(cache, plan, release, time)
        arms = compare_arms(plan, release, minutes)
        if not arms.with_verdict(ArmVerdict.BREACH):  # which alone may be seen while captures still arrive
            minutes = complete_minutes(minutes, plan, time)
            arms = compare_arms(plan, release, minutes)
        evidence = replace(
            evidence,
            asked_at=cache.asked_at,
            covered_seconds=covered_seconds(cache, plan, release, time),
            arms=arms,
            shadow=shadow_of(cache, release),
        )
        evidence = self._replayed(read.state, evidence)
        now = self.now()  # a replay takes its time, and what is done comes after it
        decision = next_move(plan, release, evidence, now)
        if decision.move is not Move.HOLD or decision.asks:  # people will read it
            evidence = replace(evidence, arms=compare_arms(plan, release, minutes, with_bounds=True))
        if decision.move is Move.ROLL_BACK and release.status is ReleaseStatus.WATCHING and read.state.previous:
            verify_version(read.state.previous, self.artifacts)
        stored = StoredEvidence.of(plan, release, evidence, feedback_of(cache), now)
        change = apply(read.state, decision, stored, now)
        if is_last and change.release.status.is_under_way:
            change = replace(change, release=replace(change.release, executions=release.executions + 1))
        self._save(change, read.state.route, read.revisions, now)
        return decision

    def _save(self, change: Change, before: Route | None, known: Revisions, now: datetime) -> None:
        """Store what a move comes to, all of it or nothing, and tell of it. before: the route as it was."""
        release = change.release
        writes = [put(release, expected_revision=known.release)]
        if change.route:
            writes.append(put(change.route, expected_revision=known.route))
        if change.version:
            writes.append(put(change.version, expected_revision=known.version))
        if not release.status.is_under_way:
            writes.extend(self.freed(release))
        if not change.move:
            self.registry.save(*writes)
            if change.subject:
                self.release_log.tell_people(change.subject, change.text)
            return
        entry = self._entry(change, now)
        self.registry.save(*writes, put(entry, expected_revision=0))
        self.release_log.tell(change.route or before, ReleaseEvent(entry, release.status, change.subject, change.text))

    def freed(self, release: Release) -> list[Write]:
        """Give the model's one place back that a release had."""
        state = self.registry.releasing(release.model)
        if state.value.live != release.id:
            return []
        return [put_releasing(release.model, replace(state.value, live=None), expected_revision=state.revision)]

    def _abandon(self, model: str, name: str, error: str) -> None:
        # Whatever else is missing or broken, a release and its route can be ended.
        release, route, now = self.registry.release(model, name), self.registry.route(model), self.now()
        if release.value.status.is_under_way:
            before = route.value if route else None
            change = abort(release.value, before, f"the release met an error: {error}", now)
            self._save(change, before, Revisions(release.revision, route.revision if route else 0), now)

    def _handed_over(self, model: str, name: str, turns: int) -> Turned:
        """Leave the release to its next execution, which is started here: again, where that got lost."""
        release = self.registry.release(model, name).value
        self.workflow.start(release.execution, release.task)
        return Turned(Decision(Move.HOLD, f"goes on in the execution {release.execution}"), turns, is_done=True)

    def read(self, model: str, name: str) -> Read:
        """Read the rows that a move of this release may change."""
        row, route = self.registry.release(model, name), self.registry.route(model)
        release, champion = row.value, route.value.champion.version if route else None
        version = self.registry.version(model, release.version)
        contract = self.registry.run(model, version.value.run).value.contract
        plan = resolve_plan(
            contract["release"],
            seconds_per_plan_minute=self.seconds_per_minute,
            arrival_seconds=self.arrival_seconds,
        )
        is_watched = release.status is ReleaseStatus.WATCHING
        if release.status is ReleaseStatus.LIVE and not release.step_since:
            release = replace(release, champion_before=champion)  # nothing was compared yet
        previous = release.replaced if is_watched else champion
        state = ReleaseState(
            plan=plan,
            release=release,
            route=route.value if route else None,
            version=version.value,
            previous=self.registry.version(model, previous).value if previous is not None else None,
            further_back=self.replaced_by(model, previous) if previous is not None and is_watched else None,
        )
        revisions = Revisions(row.revision, route.revision if route else 0, version.revision)
        return Read(state, revisions)

    def replaced_by(self, model: str, number: int) -> int | None:
        """The champion that a version replaced, and if that was taken back since, the one before it, and so on."""
        releases = sorted(self.registry.releases(model), key=lambda release: release.attempt)
        replaced = {release.version: release.replaced for release in releases if release.replaced is not None}
        passed = {number}  # versions can replace each other in turn: released, taken back, released again
        before = replaced.get(number)
        while before is not None and self.registry.version(model, before).value.status is VersionStatus.ROLLED_BACK:
            passed.add(before)
            before = replaced.get(before)
            if before in passed:
                return None
        return before

    def _known(self, state: ReleaseState) -> Evidence:
        """What rows and files say of the version, whatever the arms show."""
        release, version = state.release, state.version
        finding = ""
        try:
            self.verified.check(version, self.artifacts)
        except (Unverified, NotFound) as error:
            finding = error.message
        versions = self.registry.versions(version.model)
        champion = state.route.champion.version if state.route else None
        status, blocked = eligibility(
            version,
            versions,
            self.registry.datasets(version.model),
            champion=champion,
            unblocked_by=release.unblocked_by,
            started_by=release.started_by,
        )
        return Evidence(
            status=status,
            model_sha256=version.files["model.onnx"],
            is_verified=not finding,
            champion=champion,
            blocked=blocked,
            finding=finding,
        )

    def _replayed(self, state: ReleaseState, evidence: Evidence) -> Evidence:
        """Add what a replay of captured requests showed, where the plan wants one and there is whom to compare with."""
        plan, release, champion = state.plan, state.release, state.previous
        if not plan.replay_seconds or champion is None or not evidence.is_verified:
            return evidence
        if champion.number != release.champion_before or champion.number == release.version:
            return evidence  # the release ends by that, and soon
        replayer = Replayer(self.registry, self.data, self.artifacts, self.now, self.score)
        replay = replayer.replay(release, champion, state.version, seconds=plan.replay_seconds)
        counted = Disagreement(replay.requests, replay.disagreeing, replay.faults)
        return replace(evidence, replay=counted, replay_finding=replay.finding)

    def _entry(self, change: Change, now: datetime) -> HistoryEntry:
        release = change.release
        approval = {"approval": asdict(release.approval)} if release.approval else {}
        unblocked = {"unblocked_by": release.unblocked_by} if release.unblocked_by else {}
        evidence = {**release.evidence, **change.facts, **approval, **unblocked}
        return self.release_log.entry(release, move=change.move, reason=change.reason, at=now, evidence=evidence)
