"""How does a person take a champion back? The one before it answers again at once, whatever a release is at."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from serin.errors import Conflict, NotFound
from serin.registry.records import HistoryEntry, ModelVersion, Release, ReleaseStatus, Route, VersionStatus
from serin.registry.register import verify_version
from serin.registry.registry import Found, put
from serin.release.apply import champion_of
from serin.release.next_step import Move
from serin.release.release_log import ReleaseEvent, word_end
from serin.release.turn import Releaser


def rollback(releaser: Releaser, model: str, reason: str, *, version: int | None = None) -> Route:
    """Let the champion before this one answer again, at once, and end a trial against it.

    version: which one to take back. It may be left out, but not twice in a row: a command that is repeated must not
    go back further. Raises Conflict where another one answers, or there is none to go back to.
    """
    route = _route(releaser, model)
    meant = route.value.champion.version
    _check_meant(releaser, route.value, version)
    if route.value.champion.replaced is None:
        raise Conflict(f"{model}@{meant} is the first champion; there is none before it to go back to")
    back = releaser.patience.retry_on_conflict(lambda: _rollback(releaser, model, reason, meant))
    releaser.start_next(model)
    return back


def _rollback(releaser: Releaser, model: str, reason: str, meant: int) -> Route:
    """Do it once. While a turn of a release writes the same rows, this is tried again; the person goes first."""
    registry, route = releaser.registry, _route(releaser, model)
    current = route.value.champion
    if current.version != meant or current.replaced is None:
        raise Conflict(f"somebody else changed who answers for {model} just now; look: serin versions {model}")
    bad, good = registry.version(model, current.version), registry.version(model, current.replaced).value
    verify_version(good, releaser.artifacts)
    now = releaser.now()  # reading files takes its time, and what is done comes after it
    champion = champion_of(good, now, replaced=releaser.replaced_by(model, good.number))
    back = Route(model, champion, retirement=route.value.retirement)
    ended = _ended(releaser, model, meant, reason, now)
    events = _events(releaser, bad.value, back, ended.value if ended else None, reason, now)
    registry.save(
        put(back, expected_revision=route.revision),
        put(replace(bad.value, status=VersionStatus.ROLLED_BACK), expected_revision=bad.revision),
        *([put(ended.value, expected_revision=ended.revision), *releaser.freed(ended.value)] if ended else []),
        *(put(event.entry, expected_revision=0) for event in events),
    )
    releaser.release_log.tell(back, *events)
    return back


def _ended(releaser: Releaser, model: str, meant: int, reason: str, now: datetime) -> Found[Release] | None:
    """End the release that watches the version, or that compares another one with it."""
    live = releaser.registry.releasing(model).value.live
    if live is None:
        return None
    row = releaser.registry.release(model, live)
    release = row.value
    if not release.step_since:
        return None  # nothing was compared yet
    is_own = release.version == meant
    status = ReleaseStatus.ROLLED_BACK if is_own else ReleaseStatus.HALTED
    why = reason if is_own else f"version {meant}, which it was compared with, was rolled back"
    return Found(replace(release, status=status, ended_at=now.isoformat(), reason=why), row.revision)


def _events(
    releaser: Releaser, bad: ModelVersion, back: Route, ended: Release | None, reason: str, now: datetime
) -> list[ReleaseEvent]:
    """Word what becomes of the version, and of a release that ends with it: its own, or one that it was compared in."""
    to, release_log = back.champion.version, releaser.release_log
    own = ended if ended and ended.version == bad.number else None
    entry = HistoryEntry(
        id=release_log.new_id(release_log.now()),
        model=bad.model,
        at=now.isoformat(),
        actor=release_log.actor,
        move=Move.ROLL_BACK,
        reason=reason,
        version=bad.number,
        release=own.id if own else None,
        evidence={"from": bad.number, "to": to, "files": bad.files, "manifest": bad.manifest_sha256},
    )
    subject, text = f"{bad.model}: rolled back to version {to}", f"Version {bad.number} no longer answers: {reason}"
    events = [ReleaseEvent(entry, own.status if own else None, subject, text)]
    if ended and not own:
        halted = release_log.entry(ended, move=str(ended.status), reason=ended.reason, at=now, evidence=ended.evidence)
        events.append(ReleaseEvent(halted, ended.status, *word_end(ended, to)))
    return events


def _route(releaser: Releaser, model: str) -> Found[Route]:
    route = releaser.registry.route(model)
    if route is None:
        raise NotFound(f"{model} has no champion yet")
    return route


def _check_meant(releaser: Releaser, route: Route, version: int | None) -> None:
    model, champion = route.model, route.champion
    if version is not None and version != champion.version:
        raise Conflict(f"{model}@{version} does not answer now, {model}@{champion.version} does; nothing was changed")
    # A challenger's end is a rollback too; one that made the champion is of the moment since which that one answers.
    made_by = [entry.move for entry in releaser.registry.history(model) if entry.at == champion.since]
    if version is None and Move.ROLL_BACK in made_by:
        raise Conflict(
            f"{model} was rolled back to version {champion.version} already, at {champion.since[:19]}; "
            f"to go back further, name what to take back: serin rollback {model}@{champion.version}"
        )
