"""What do the rows become when a release makes a move? A pure function; storing them is somebody else's job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from serin.registry.records import (
    Challenger,
    Champion,
    ModelVersion,
    Release,
    ReleaseStatus,
    Route,
    VersionStatus,
)
from serin.release.evidence import StoredEvidence
from serin.release.next_step import Decision, Move
from serin.release.plan import HOLDBACK, Plan, StepKind
from serin.release.release_log import word_end
from serin.release.renewal import renew_lease, trial_time


@dataclass(frozen=True, slots=True)
class ReleaseState:
    """The rows that a move may change, as they were read.

    previous: the version that a promotion replaces, or replaced. further_back: the number of the one before that.
    """

    plan: Plan
    release: Release
    route: Route | None
    version: ModelVersion
    previous: ModelVersion | None = None
    further_back: int | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What the rows become; a row that stays as it is, is None.

    move: what the history calls it; empty where it is no news. subject, text: what people are told; empty: nothing.
    """

    release: Release
    route: Route | None = None
    version: ModelVersion | None = None
    move: str = ""
    reason: str = ""
    subject: str = ""
    text: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


def apply(state: ReleaseState, decision: Decision, evidence: StoredEvidence, now: datetime) -> Change:
    """Do one move. evidence: what it rests on, kept with the release. A release that ended stays as it ended."""
    since = trial_time(state.release, now)
    state = replace(state, release=_turned(state.plan, state.release, decision, evidence, now))
    change = _apply(state, decision, now, since)
    files = {"files": state.version.files, "manifest": state.version.manifest_sha256}
    return replace(change, facts={**change.facts, **files})


def _apply(state: ReleaseState, decision: Decision, now: datetime, since: datetime) -> Change:
    """Do it. since: when a step begins that begins now, by the time of the trial."""
    match decision.move:
        case Move.DONE if state.release.status is not ReleaseStatus.WATCHING:
            return Change(state.release)
        case Move.DONE:
            return _end(state.release, state.route, ReleaseStatus.PROMOTED, decision.reason, now, move="watched")
        case Move.PROMOTE:
            return _promote(state, decision.reason, now, since)
        case Move.ROLL_BACK:
            return _roll_back(state, decision.reason, now)
        case Move.REFUSE:
            is_halted = state.release.step_since and _champion(state.route) != state.release.champion_before
            return _end(
                state.release,
                state.route,
                ReleaseStatus.HALTED if is_halted else ReleaseStatus.REFUSED,
                decision.reason,
                now,
            )
        case Move.BEGIN:
            return _begin(state, since)
        case Move.EXPIRE:
            return _end(state.release, state.route, ReleaseStatus.EXPIRED, decision.reason, now)
        case Move.ADVANCE:
            return _advance(state, decision.reason, since)
        case Move.HOLD:
            return _hold(state, decision)


def abort(release: Release, route: Route | None, reason: str, now: datetime) -> Change:
    """Give a release up: weight 0, and who answers stays. One that was promoted stays promoted, unwatched from now."""
    if release.status is ReleaseStatus.WATCHING:
        reason = f"its watch ended early: {reason}"
        return _end(release, route, ReleaseStatus.PROMOTED, reason, now, move="watch ended")
    return _end(release, route, ReleaseStatus.ABORTED, reason, now)


def champion_of(version: ModelVersion, since: datetime, *, replaced: int | None) -> Champion:
    """Make a version the one that answers."""
    return Champion(version.number, _served(version), since.isoformat(), replaced)


def _turned(plan: Plan, release: Release, decision: Decision, evidence: StoredEvidence, now: datetime) -> Release:
    """Note what every turn notes. While a lease had lapsed nobody was split, which is a change of weight too."""
    lapsed = (release.lease_until, now.isoformat()) if release.has_lapsed(now) else ()
    wait, minute = decision.wait_seconds, plan.minute_seconds
    return replace(
        release,
        reason=decision.reason,
        turns=release.turns + 1,
        evidence=evidence.to_stored(),
        lease_until=renew_lease(release, now, wait_seconds=wait, minute_seconds=minute),
        changed_at=(*release.changed_at, *lapsed),
    )


def _begin(state: ReleaseState, since: datetime) -> Change:
    first = state.plan.steps[0]
    if first.kind is StepKind.SHADOW:
        reason = "the shadow begins: the challenger answers nobody yet"
    else:
        reason = f"{first.weight:.0%} of the entities ask the challenger"
    return _split(state, 0, since, move=Move.BEGIN, reason=reason)


def _advance(state: ReleaseState, reason: str, since: datetime) -> Change:
    step = state.release.step + 1
    weight = state.plan.steps[step].weight
    return _split(state, step, since, move=Move.ADVANCE, reason=f"{reason}; {weight:.0%} of the entities ask it now")


def _split(state: ReleaseState, step: int, since: datetime, *, move: str, reason: str) -> Change:
    at = since.isoformat()
    release = replace(state.release, step=step, step_since=at, changed_at=(*state.release.changed_at, at))
    route = _trying(replace(state, release=release))
    return Change(release, route, _tried(state.version), move, reason, facts={"weight": state.plan.steps[step].weight})


def _hold(state: ReleaseState, decision: Decision) -> Change:
    """Renew the lease. Where a person must look, tell them once for each evidence."""
    release = state.release
    if release.status is ReleaseStatus.WATCHING:
        route = _watching(state)
    else:
        route = _trying(state) if release.step_since else None  # nobody is tried before the trial begins
    shown = release.shown
    if not decision.asks or shown == release.asked:
        return Change(release, route)
    name = f"{release.model}@{release.version}"
    return Change(
        replace(release, asked=shown),
        route,
        subject=f"{name} waits for you",
        text=f"{decision.reason}\nSay yes:  serin approve {name} --seen {shown[:12]}\n"
        f"Say no:   serin reject {name} --seen {shown[:12]}",
    )


def _promote(state: ReleaseState, reason: str, now: datetime, since: datetime) -> Change:
    version, before = state.version, _champion(state.route)
    at = since.isoformat()
    watches = state.plan.watch_seconds > 0 and state.previous is not None
    release = replace(
        state.release,
        status=ReleaseStatus.WATCHING if watches else ReleaseStatus.PROMOTED,
        replaced=before,
        ended_at=None if watches else now.isoformat(),
        step_since=at,
        changed_at=(*state.release.changed_at, at),
    )
    route = Route(version.model, champion_of(version, now, replaced=before))
    if watches:
        route = _watching(replace(state, release=release, route=route)) or route
    name = f"{version.model}@{version.number}"
    return Change(
        release,
        route,
        # A person may have let through what was rolled back before; from now on it is as good as any champion.
        replace(version, served=True, status=VersionStatus.PASSED),
        Move.PROMOTE,
        reason,
        f"{name} is the champion",
        f"{reason}. Take it back with: serin rollback {version.model}",
        {"gates": list(version.gates), "from": before, "weight": 1 - HOLDBACK if watches else 1.0},
    )


def _roll_back(state: ReleaseState, reason: str, now: datetime) -> Change:
    """Take the version back: before its promotion it just answers nobody; after it, the one before answers again."""
    release, route, version = state.release, state.route, state.version
    ended = replace(release, status=ReleaseStatus.ROLLED_BACK, ended_at=now.isoformat(), reason=reason)
    if release.status is ReleaseStatus.WATCHING and state.previous is not None:
        route = Route(release.model, champion_of(state.previous, now, replaced=state.further_back))
    else:
        route = _alone(route, release)
    return Change(
        ended,
        route,
        replace(version, status=VersionStatus.ROLLED_BACK),
        Move.ROLL_BACK,
        reason,
        f"{release.model}@{release.version} was rolled back",
        f"{reason}\nVersion {_champion(route or state.route)} answers. "
        f"What was rolled back is not released again by itself. Look: serin why {release.model}@{release.version}",
        {"from": version.number, "to": _champion(route or state.route)},
    )


def _end(
    release: Release, route: Route | None, status: ReleaseStatus, reason: str, now: datetime, *, move: str = ""
) -> Change:
    """End a release without changing who answers."""
    ended = replace(release, status=status, ended_at=now.isoformat(), reason=reason)
    subject, text = word_end(ended, _champion(route))
    return Change(ended, _alone(route, release), None, move or str(status), reason, subject, text)


def _trying(state: ReleaseState) -> Route | None:
    """Give the challenger the weight of its step, for as long as the lease lasts."""
    if state.route is None:
        return None
    release, step = state.release, state.plan.steps[state.release.step]
    name = release.id if step.kind is StepKind.SHADOW else release.trial
    challenger = Challenger(release.version, _served(state.version), name, step.weight, release.lease_until)
    return replace(state.route, challenger=challenger, salt=release.trial)


def _watching(state: ReleaseState) -> Route | None:
    """Leave a share of the entities with the previous champion, drawn anew by another salt."""
    if state.route is None or state.previous is None:
        return None
    release, before = state.release, state.previous
    challenger = Challenger(before.number, _served(before), release.watch, HOLDBACK, release.lease_until)
    return replace(state.route, challenger=challenger, salt=release.watch)


def _alone(route: Route | None, release: Release) -> Route | None:
    """Take the release's challenger off the route; None where there is none of it."""
    mine = (release.id, release.trial, release.watch)
    if route is None or route.challenger is None or route.challenger.release not in mine:
        return None
    return replace(route, challenger=None, salt="")


def _tried(version: ModelVersion) -> ModelVersion | None:
    return None if version.served else replace(version, served=True)


def _served(version: ModelVersion) -> dict[str, str]:
    return {name: version.files[name] for name in ("model.onnx", "spec.json")}


def _champion(route: Route | None) -> int | None:
    return route.champion.version if route else None
