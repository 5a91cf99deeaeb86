"""What is known of a challenger when a turn looks, and what is kept of that?"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from serin.errors import Unverified
from serin.registry.records import Release, VersionStatus
from serin.release.disagreement import UNSEEN, Disagreement, is_too_much
from serin.release.plan import Plan
from serin.release.verdict import ArmFinding, Arms


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
    arms: Arms = field(default_factory=Arms)
    shadow: Disagreement = UNSEEN
    replay: Disagreement = UNSEEN
    replay_finding: str = ""


@dataclass(frozen=True, slots=True)
class FeedbackCount:
    """How much feedback was read. joined: to units; others: on predictions that are not compared, or nobody knows."""

    joined: int
    others: int


@dataclass(frozen=True, slots=True)
class StoredReplay(Disagreement):
    """What a replay counted. finding: what is to be known of it beside the counts."""

    finding: str = ""


@dataclass(frozen=True, slots=True)
class StoredEvidence:
    """What a turn saw, as the release and the history keep it, and people and programs are shown it.

    at, asked_at: ISO times, empty and None where nothing was seen yet. feedback: None in what older turns wrote.
    """

    digest: str = ""
    at: str = ""
    asked_at: str | None = None
    covered_seconds: float = 0.0
    champion_units: int = 0
    challenger_units: int = 0
    questions: dict[str, ArmFinding] = field(default_factory=dict)
    shadow: Disagreement = UNSEEN
    replay: StoredReplay = StoredReplay()
    feedback: FeedbackCount | None = None

    @classmethod
    def of(
        cls, plan: Plan, release: Release, evidence: Evidence, feedback: FeedbackCount, now: datetime
    ) -> StoredEvidence:
        """Keep what a turn saw of a release."""
        return cls(
            digest=digest(plan, release, evidence),
            at=now.isoformat(),
            asked_at=evidence.asked_at.isoformat() if evidence.asked_at else None,
            covered_seconds=evidence.covered_seconds,
            champion_units=evidence.arms.champion_units,
            challenger_units=evidence.arms.challenger_units,
            questions=dict(evidence.arms.findings),
            shadow=evidence.shadow,
            replay=StoredReplay(**asdict(evidence.replay), finding=evidence.replay_finding),
            feedback=feedback,
        )

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> StoredEvidence:
        """Read what a release keeps, or an entry of its history. Raises Unverified where it is no such thing."""
        try:
            return msgspec.convert(stored, cls)
        except msgspec.ValidationError as error:
            raise Unverified(f"the evidence of the release cannot be read: {error}") from error

    def to_stored(self) -> dict[str, Any]:
        """Write it as a row keeps it."""
        stored: dict[str, Any] = msgspec.to_builtins(self)
        return stored


def digest(plan: Plan, release: Release, evidence: Evidence) -> str:
    """Name what a person who is asked for approval sees: it changes when a verdict does, not with every request."""
    shown = {
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
    return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()
