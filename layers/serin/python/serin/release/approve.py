"""What does a person say of a release? Yes or no, once, and to the very evidence that they were shown."""

from __future__ import annotations

from dataclasses import asdict, replace

from serin.errors import Conflict, NotFound, Refused
from serin.registry.records import Approval, Release, ReleaseStatus
from serin.registry.registry import Found, Registry, put
from serin.release.chronicle import News
from serin.release.turn import Releaser

TRIES = 5
LEAST_SEEN = 8  # characters of a digest: fewer could fit another one by chance


def latest_release(registry: Registry, model: str, number: int) -> Found[Release]:
    """Find the last release of a version. Raises NotFound."""
    mine = registry.releases_of(model, number)
    if not mine:
        raise NotFound(f"{model}@{number} has no release; start one with: serin release {model}@{number}")
    return registry.release(model, mine[-1].id)


def answer(releaser: Releaser, model: str, number: int, *, is_approved: bool, seen: str) -> Release:
    """Answer for the live release of a version. seen: how the digest of the evidence begins that they looked at.

    The first answer to an evidence stands. Raises Conflict, with the code STALE where the evidence is another by now.
    """
    registry, chronicle = releaser.registry, releaser.chronicle
    for _ in range(TRIES):
        found, route, now = latest_release(registry, model, number), registry.route(model), releaser.now()
        release, shown = found.value, str(found.value.evidence.get("digest", ""))
        _check(release, shown, seen)
        weight = route.value.challenger.weight if route and route.value.challenger else 0.0
        approval = Approval(is_approved, chronicle.actor, now.isoformat(), shown)
        answered = replace(release, approval=approval)
        entry = chronicle.entry(
            release,
            move="approved" if is_approved else "rejected",
            reason=f"on the evidence {shown[:12]}: {release.reason}",
            at=now,
            evidence={"approval": asdict(approval), "weight": weight},
        )
        try:
            registry.save(put(answered, expected_revision=found.revision), put(entry, expected_revision=0))
        except Conflict:
            continue  # a turn, or somebody else's answer: what is there now decides
        chronicle.tell(route.value if route else None, News(entry, answered.status))
        return answered
    raise Conflict(f"release {release.id} of {model} changes all the time; try again")


def _check(release: Release, shown: str, seen: str) -> None:
    name = f"{release.model}@{release.version}"
    if release.status is not ReleaseStatus.LIVE:
        raise Conflict(f"the release of {name} is {release.status}: {release.reason}")
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
