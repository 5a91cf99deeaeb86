"""What does a person say of a release? Yes or no, once, and to the very evidence that they were shown."""

from __future__ import annotations

from dataclasses import replace

from serin.errors import Conflict, NotFound, Refused
from serin.registry.ports import Clock
from serin.registry.records import Approval, Release, ReleaseStatus
from serin.registry.registry import Found, Registry, put

TRIES = 5
LEAST_SEEN = 8  # characters of a digest: fewer could fit another one by chance


def latest_release(registry: Registry, model: str, number: int) -> Found[Release]:
    """Find the last release of a version. Raises NotFound."""
    mine = [release for release in registry.releases(model) if release.version == number]
    if not mine:
        raise NotFound(f"{model}@{number} has no release; start one with: serin release {model}@{number}")
    return registry.release(model, mine[-1].id)


def answer(
    registry: Registry, model: str, number: int, *, is_approved: bool, seen: str, by: str, now: Clock
) -> Release:
    """Answer for the live release of a version. seen: how the digest of the evidence begins that they looked at.

    The first answer to an evidence stands. Raises Conflict, with the code STALE where the evidence is another by now.
    """
    for _ in range(TRIES):
        found = latest_release(registry, model, number)
        release = found.value
        _check(release, seen)
        approval = Approval(is_approved, by, now().isoformat(), str(release.evidence["digest"]))
        answered = replace(release, approval=approval)
        try:
            registry.save(put(answered, expected_revision=found.revision))
        except Conflict:
            continue  # a turn, or somebody else's answer: what is there now decides
        return answered
    raise Conflict(f"release {release.id} of {model} changes all the time; try again")


def _check(release: Release, seen: str) -> None:
    name = f"{release.model}@{release.version}"
    if release.status is not ReleaseStatus.LIVE:
        raise Conflict(f"the release of {name} is {release.status}: {release.reason}")
    shown = str(release.evidence.get("digest", ""))
    if not shown:
        raise Refused(f"the release of {name} has no evidence yet; look again soon: serin releases {release.model}")
    said = release.approval
    if said and (said.evidence == shown or not said.is_approved):
        word = "approved" if said.is_approved else "rejected"
        raise Conflict(f"{said.by} {word} it already, at {said.at[:19]}; the first answer stands")
    if len(seen) < LEAST_SEEN:
        raise Refused(
            f"{seen!r} is too short to name the evidence that you looked at: {LEAST_SEEN} characters of it at least; "
            f"look: serin releases {release.model}"
        )
    if not shown.startswith(seen):
        raise Conflict(
            f"the evidence changed since you looked; look again: serin releases {release.model}", code="STALE"
        )
