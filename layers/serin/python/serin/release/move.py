"""What is the next move of a release? A pure function of what is known; doing it is somebody else's job."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from serin.registry.records import Release, ReleaseStatus, VersionStatus


class Move(StrEnum):
    PROMOTE = "promote"
    REFUSE = "refuse"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of the challenger when a turn looks.

    is_verified: its files are what its manifest promises. champion: who answers now. blocked: SHA-256 of the models
    that were rolled back.
    """

    status: VersionStatus
    model_sha256: str
    is_verified: bool
    champion: int | None
    blocked: Collection[str]
    finding: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    move: Move
    reason: str


def next_move(release: Release, evidence: Evidence) -> Decision:
    """Decide one turn of a blue_green release: all at once, when nothing speaks against it."""
    if release.status is not ReleaseStatus.LIVE:
        return Decision(Move.DONE, release.reason)
    if evidence.status is not VersionStatus.PASSED:
        return Decision(
            Move.REFUSE,
            f"version {release.version} is {evidence.status}, and only one that passed its gates is released",
        )
    if evidence.model_sha256 in evidence.blocked:
        return Decision(
            Move.REFUSE,
            f"DIGEST_BLOCKED: the same model was rolled back before ({evidence.model_sha256[:16]})",
        )
    if not evidence.is_verified:
        return Decision(Move.REFUSE, f"version {release.version} does not verify: {evidence.finding}")
    if evidence.champion is not None and evidence.champion > release.version:
        return Decision(Move.REFUSE, f"version {evidence.champion} is newer and answers already")
    if release.champion_before is None:
        return Decision(Move.PROMOTE, "the first version that passed its gates")
    return Decision(Move.PROMOTE, f"passed its gates against version {release.champion_before}")
