"""What is known of a challenger when a turn looks?"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta

from serin.contract.sections import Strategy
from serin.monitoring.minutes import Minute
from serin.registry.records import Release, VersionStatus
from serin.release.compare import (
    PASS_LEVEL,
    UNSEEN,
    Disagreement,
    Finding,
    Verdict,
    blocks,
    is_too_much,
    is_worse,
    judge,
)
from serin.release.plan import Plan

LEASE = timedelta(seconds=330)
"""Beyond the wait for the next turn: a workflow tries a turn three times, and each may take 90 s."""


@dataclass(frozen=True, slots=True)
class Arms:
    """What the arms showed. units: in either arm since the trial began; step_units: in both since the step began.

    is_better: whether the challenger of an ab release is certainly better in its question.
    """

    findings: Mapping[str, Finding] = field(default_factory=dict)
    champion_units: int = 0
    challenger_units: int = 0
    step_units: int = 0
    is_better: bool = False

    def with_verdict(self, verdict: Verdict) -> list[Finding]:
        return [finding for finding in self.findings.values() if finding.verdict is verdict]


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that a turn decides on.

    is_verified: the version's files are what its manifest promises; finding: what is wrong with them. champion: who
    answers now. asked_at: when anybody was last known to ask in this release. covered_seconds: for how long of its step
    it was asked, by complete minutes of captures. blocked: SHA-256 of the models that were rolled back. shadow, replay:
    what was compared off the path of answers, and before the release. replay_finding: what is to be known of the replay
    beside its counts.
    """

    status: VersionStatus
    model_sha256: str
    is_verified: bool
    champion: int | None
    blocked: Collection[str]
    finding: str = ""
    asked_at: datetime | None = None
    covered_seconds: float = 0.0
    arms: Arms = Arms()
    shadow: Disagreement = UNSEEN
    replay: Disagreement = UNSEEN
    replay_finding: str = ""


def compare_arms(plan: Plan, release: Release, minutes: Iterable[Minute], *, with_bounds: bool = False) -> Arms:
    """Judge the minutes of a release, all of them anew.

    minutes: complete ones, each as long as the plan's. In each, `challenger` is the release's version and `champion`
    the version that it is to replace: while a promoted version is watched too, when the route names them the other
    way round. with_bounds: work out the bounds too, for people.
    """
    known = sorted(minutes, key=lambda minute: minute.at)
    changes = plan.minutes_of(release.changed_at)
    began = plan.minute_of(step_began(release))
    return Arms(
        findings=judge(known, plan.margins, changes=changes, with_bounds=with_bounds),
        champion_units=sum(minute.champion.units for minute in known),
        challenger_units=sum(minute.challenger.units for minute in known),
        step_units=sum(minute.champion.units + minute.challenger.units for minute in known if minute.at >= began),
        is_better=plan.strategy is Strategy.AB
        and is_worse([block.swapped for block in blocks(known, plan.question, changes=changes)], level=PASS_LEVEL),
    )


def step_began(release: Release) -> datetime:
    """Since when a release stands in its step; a watching one, since its promotion."""
    return datetime.fromisoformat(release.step_since or release.started_at)


def trial_time(release: Release, now: datetime) -> datetime:
    """Tell what time it is in a trial: now, but no later than the turn before gave a lease for.

    Past its lease no time of a trial goes by; and a clock that is fast by hours cannot claim them.
    """
    if release.lease_until:
        return min(now, datetime.fromisoformat(release.lease_until))
    return min(now, datetime.fromisoformat(release.started_at) + LEASE)


def digest(plan: Plan, release: Release, evidence: Evidence) -> str:
    """Name what a person who is asked for approval sees: it changes when a verdict does, not with every request."""
    said = {
        "release": release.id,
        "step": release.step,
        "has_begun": bool(release.step_since),
        "model": evidence.model_sha256,
        "champion": evidence.champion,
        "verdicts": {name: finding.verdict for name, finding in sorted(evidence.arms.findings.items())},
        "is_better": evidence.arms.is_better,
        "disagrees": is_too_much(evidence.shadow, plan.disagreement),
        "replay": asdict(evidence.replay),
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
