"""How does a person take a champion back? The one before it answers again at once, whatever a release is at."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from serin.errors import Conflict, NotFound, SerinError
from serin.registry.ports import Write
from serin.registry.records import HistoryEntry, ReleaseStatus, Route, VersionStatus
from serin.registry.register import verify_version
from serin.registry.registry import Found, put
from serin.release.enact import champion_of
from serin.release.move import Move
from serin.release.turn import Releaser


def take_back(releaser: Releaser, model: str, reason: str, *, version: int | None = None) -> Route:
    """Let the champion before this one answer again, at once, and end a trial against it.

    version: which one to take back. It may be left out, but not twice in a row: a command that is repeated must not
    go back further. Raises Conflict where another one answers, or there is none to go back to.
    """
    route = _route(releaser, model)
    meant = route.value.champion.version
    _check_meant(releaser, route.value, version)
    if route.value.champion.replaced is None:
        raise Conflict(f"{model}@{meant} is the first champion; there is none before it to go back to")
    back = releaser.patience.insist(lambda: _take_back(releaser, model, reason, meant))
    with suppress(SerinError):  # it is done, whether or not people can be reached
        releaser.notifier.tell(
            f"{model}: rolled back to version {back.champion.version}", f"Version {meant} no longer answers: {reason}"
        )
    releaser.start_next(model)
    return back


def _take_back(releaser: Releaser, model: str, reason: str, meant: int) -> Route:
    """Do it once. While a turn of a release writes the same rows, this is tried again; the person goes first."""
    registry, now, route = releaser.registry, releaser.now(), _route(releaser, model)
    current = route.value.champion
    if current.version != meant or current.replaced is None:
        raise Conflict(f"somebody else changed who answers for {model} just now; look: serin versions {model}")
    bad, good = registry.version(model, current.version), registry.version(model, current.replaced).value
    verify_version(good, releaser.artifacts)
    back = Route(model, champion_of(good, now, replaced=releaser.replaced_by(model, good.number)))
    entry = HistoryEntry(
        id=releaser.new_id(releaser.now()),
        model=model,
        at=now.isoformat(),
        actor=releaser.actor,
        move=Move.ROLL_BACK,
        reason=reason,
        version=good.number,
        evidence={"from": current.version, "to": good.number, "files": good.files},
    )
    registry.save(
        put(back, expected_revision=route.revision),
        put(replace(bad.value, status=VersionStatus.ROLLED_BACK), expected_revision=bad.revision),
        put(entry, expected_revision=0),
        *_ended(releaser, model, meant, reason, now),
    )
    return back


def _ended(releaser: Releaser, model: str, meant: int, reason: str, now: datetime) -> list[Write]:
    """End the release that watches the version, or that compares another one with it."""
    live = releaser.registry.releasing(model).value.live
    if live is None:
        return []
    found = releaser.registry.release(model, live)
    release = found.value
    if not release.step_since:
        return []  # nothing was compared yet
    is_own = release.version == meant
    status = ReleaseStatus.ROLLED_BACK if is_own else ReleaseStatus.HALTED
    why = reason if is_own else f"version {meant}, which it was compared with, was rolled back"
    ended = replace(release, status=status, ended_at=now.isoformat(), reason=why)
    return [put(ended, expected_revision=found.revision), *releaser.freed(release)]


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
