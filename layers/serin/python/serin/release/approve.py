"""What does a person say of a release? Yes or no, once, and to the very evidence that they were shown.

Where a contract asks for an approval, it is another one's than that of who uploaded what is new in it or started it.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass, replace

from serin.errors import Conflict, NotFound, Refused
from serin.registry.receipts import read_receipt
from serin.registry.records import Approval, Release, ReleaseStatus
from serin.registry.registry import Found, Registry, put
from serin.release.release_log import ReleaseEvent
from serin.release.turn import Releaser

TRIES = 5
LEAST_SEEN = 8  # characters of a digest: fewer could fit another one by chance
MOST_DATASETS = 100  # of which it is looked up who uploaded them, the newest


@dataclass(frozen=True, slots=True)
class Contributors:
    """Who had a part in a release. uploaded: the new datasets, by their own word; unknown: how many nobody signed.

    started: the release.
    """

    uploaded: tuple[str, ...]
    unknown: int
    started: tuple[str, ...]


def latest_release(registry: Registry, model: str, number: int) -> Found[Release]:
    """Find the last release of a version. Raises NotFound."""
    mine = registry.releases_of(model, number)
    if not mine:
        raise NotFound(f"{model}@{number} has no release; start one with: serin release {model}@{number}")
    return registry.release(model, mine[-1].id)


def answer(
    releaser: Releaser, model: str, number: int, *, is_approved: bool, seen: str, needs_another: bool = True
) -> Release:
    """Answer for the live release of a version. seen: how the digest of the evidence begins that they looked at.

    The first answer to an evidence stands, and an answer that is refused stands in the history. needs_another: whether
    who had a part in the release may not approve it. Raises Conflict, with the code STALE where the evidence is another
    by now, and Refused, with the code FOUR_EYES where somebody else must approve.
    """
    try:
        return _answer(releaser, model, number, is_approved=is_approved, seen=seen, needs_another=needs_another)
    except (Conflict, Refused) as error:
        _note_refusal(releaser, model, number, error, is_approved=is_approved, seen=seen)
        raise


def _answer(
    releaser: Releaser, model: str, number: int, *, is_approved: bool, seen: str, needs_another: bool
) -> Release:
    registry, release_log = releaser.registry, releaser.release_log
    for _ in range(TRIES):
        row, route, now = latest_release(registry, model, number), registry.route(model), releaser.now()
        release, shown = row.value, row.value.shown
        _check(release, shown, seen)
        by = contributors(releaser, release) if is_approved and _is_required(releaser, release) else None
        if by and needs_another:
            _check_is_another(release, by, release_log.actor)
        weight = route.value.challenger.weight if route and route.value.challenger else 0.0
        approval = Approval(is_approved, release_log.actor, now.isoformat(), shown)
        answered = replace(release, approval=approval)
        entry = release_log.entry(
            release,
            move="approved" if is_approved else "rejected",
            reason=f"on the evidence {shown[:12]}: {release.reason}",
            at=now,
            evidence={"approval": asdict(approval), "weight": weight, **({"contributors": asdict(by)} if by else {})},
        )
        try:
            registry.save(put(answered, expected_revision=row.revision), put(entry, expected_revision=0))
        except Conflict:
            continue  # a turn, or somebody else's answer: what is there now decides
        release_log.tell(route.value if route else None, ReleaseEvent(entry, answered.status))
        return answered
    raise Conflict(f"release {release.id} of {model} changes all the time; try again")


def _note_refusal(
    releaser: Releaser, model: str, number: int, error: Conflict | Refused, *, is_approved: bool, seen: str
) -> None:
    """Keep in the history who wanted to answer, and why that was refused."""
    registry, release_log = releaser.registry, releaser.release_log
    release, route = latest_release(registry, model, number).value, registry.route(model)
    entry = release_log.entry(
        release,
        move=f"{'approval' if is_approved else 'rejection'} refused",
        reason=error.message,
        at=releaser.now(),
        evidence={"code": error.code, "seen": seen[:64]},
    )
    releaser.patience.retry_on_conflict(lambda: registry.save(put(entry, expected_revision=0)))
    release_log.tell(route.value if route else None, ReleaseEvent(entry, release.status))


def _is_required(releaser: Releaser, release: Release) -> bool:
    registry = releaser.registry
    run = registry.version(release.model, release.version).value.run
    return bool(registry.run(release.model, run).value.contract["release"]["approval"] == "required")


def contributors(releaser: Releaser, release: Release) -> Contributors:
    """Find out who had a part in a release: in what its champion was not trained on, and in its start."""
    registry, model = releaser.registry, release.model
    before = registry.find_version(model, release.champion_before) if release.champion_before else None
    known = before.value.datasets if before else ()
    new = [name for name in registry.version(model, release.version).value.datasets if name not in known]
    uploaded = [_uploader(releaser, model, name) for name in new[-MOST_DATASETS:]]
    return Contributors(
        uploaded=tuple(sorted({*uploaded} - {""})),
        unknown=len(new) - len(uploaded) + uploaded.count(""),
        started=tuple(
            dict.fromkeys(
                entry.actor
                for entry in registry.history(model)
                if entry.release == release.id and entry.move in (ReleaseStatus.QUEUED, ReleaseStatus.LIVE)
            )
        ),
    )


def _uploader(releaser: Releaser, model: str, name: str) -> str:
    """Tell who says to have uploaded a dataset; empty where that is not known."""
    dataset = releaser.registry.dataset(model, name)
    receipt = read_receipt(releaser.data, model, dataset.receipt) if dataset else None
    if receipt:
        with suppress(NotFound):
            return releaser.data.author(receipt.key, receipt.object_version)
    return ""


def _check_is_another(release: Release, by: Contributors, actor: str) -> None:
    name = f"{release.model}@{release.version}"
    for names, what in ((by.uploaded, "uploaded what is new in it"), (by.started, "started its release")):
        if actor in names:
            raise Refused(f"{actor} {what}: somebody else must approve {name}", code="FOUR_EYES")


def _check(release: Release, shown: str, seen: str) -> None:
    name = f"{release.model}@{release.version}"
    if release.status is not ReleaseStatus.LIVE:
        raise Conflict(f"the release of {name} is {release.status}: {release.reason}")
    if not shown:
        raise Refused(f"the release of {name} has no evidence yet; look again soon: serin releases {release.model}")
    answer = release.approval
    if answer and (answer.evidence == shown or not answer.is_approved):
        word = "approved" if answer.is_approved else "rejected"
        raise Conflict(f"{answer.by} {word} it already, at {answer.at[:19]}; the first answer stands")
    if len(seen) < LEAST_SEEN:
        raise Refused(
            f"{seen!r} is too short to name the evidence that you looked at: {LEAST_SEEN} characters of it at least; "
            f"look: serin releases {release.model}"
        )
    if not shown.startswith(seen):
        raise Conflict(
            f"the evidence changed since you looked; look again: serin releases {release.model}", code="STALE"
        )
