"""How does a release stand, in a sentence? And what became of it after its end?"""

from __future__ import annotations

from collections.abc import Sequence

from serin.registry.records import HistoryEntry, Release, ReleaseStatus
from serin.release.next_step import Move


def headline(release: Release) -> str:
    return f"{release.model}@{release.version} is {release.status}: {release.reason}"


def ways_to_answer(release: Release) -> list[str]:
    """Give the commands that a person can answer a live release with."""
    name, shown = f"{release.model}@{release.version}", evidence_seen(release)
    if release.is_asking:
        return ["  it waits for you:", *(f"    serin {word} {name} --seen {shown}" for word in ("approve", "reject"))]
    is_ended_by_hand = release.status is ReleaseStatus.LIVE and shown and release.approval is None
    return [f"  end it   serin reject {name} --seen {shown}"] if is_ended_by_hand else []


def evidence_seen(release: Release) -> str:
    """Name the evidence that a release shows now: whoever answers says by it what they saw. Empty: there is none."""
    return release.shown[:12]


def rolled_back_at(release: Release, history: Sequence[HistoryEntry]) -> str | None:
    """Tell when the version that a release promoted was taken back, after the release had ended; None where it was not.

    history: the model's, the oldest entry first.
    """
    if release.status is not ReleaseStatus.PROMOTED:
        return None
    moves = (entry.move if entry.release == release.id else "" for entry in history)
    since = next((place for place, move in enumerate(moves) if move == Move.PROMOTE), len(history))
    later = (entry for entry in history[since:] if entry.evidence.get("from") == release.version)
    return next((entry.at for entry in later if entry.move == Move.ROLL_BACK), None)
