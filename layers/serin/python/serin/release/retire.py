"""How does a model retire? Nothing is done for it by itself from then on, and it answers until a date, or on and on."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from serin.errors import Conflict, NotFound, Refused
from serin.registry.ports import Write
from serin.registry.records import HistoryEntry, Life, Releasing, Retirement, Route
from serin.registry.registry import Found, Registry, put, put_life, put_releasing, put_training
from serin.release.apply import abort
from serin.release.release_log import ReleaseEvent, ReleaseLog
from serin.release.turn import Releaser

RETIRE, UNDO = "retire", "undo retirement"
JUST_NOW = timedelta(minutes=1)  # what a person means by now has gone by when it comes here


def retire(releaser: Releaser, model: str, reason: str, *, until: datetime | None = None) -> Retirement:
    """Retire a model: no training and no release starts any more, one under way ends, and its champion answers on.

    until: from when on it does not answer, with its time zone; None: it answers until it is deleted. Doing it again
    sets date and reason anew. Raises Refused without a reason, for a date that has gone by, and for a model that is
    being deleted; NotFound where there is nothing of the model.
    """
    if not reason.strip():
        raise Refused("say why: --reason", code="REASON")
    if until is not None and until < releaser.now() - JUST_NOW:
        raise Refused(f"{until:%Y-%m-%d %H:%M} has gone by; to end its answers at once: --until now", code="DATE")
    return releaser.patience.retry_on_conflict(lambda: _retire(releaser, model, reason, until))


def undo_retirement(releaser: Releaser, model: str, reason: str) -> None:
    """Take a retirement back. Raises Conflict where the model is not retired, Refused where it is being deleted."""
    releaser.patience.retry_on_conflict(lambda: _undo(releaser, model, reason))


def _retire(releaser: Releaser, model: str, reason: str, until: datetime | None) -> Retirement:
    registry, release_log, now = releaser.registry, releaser.release_log, releaser.now()
    life, route, releasing = registry.life(model), registry.route(model), registry.releasing(model)
    training = registry.training(model)
    _check_not_deleted(model, life.value)
    if not is_known(registry, model):
        raise NotFound(f"there is nothing of {model} that could retire: no data, no version")
    ends = until.astimezone(UTC).isoformat() if until else ""
    before = life.value.retirement
    if before and (before.by, before.reason, before.until) == (release_log.actor, reason, ends):
        return before
    retirement = Retirement(now.isoformat(), release_log.actor, reason, ends)
    writes, events, answers = _aborted(releaser, model, route, releasing.value, f"{model} is retired: {reason}", now)
    if route and answers:
        answers = replace(answers, retirement=retirement)
        writes.append(put(answers, expected_revision=route.revision))
    entry = _entry(release_log, model, RETIRE, reason, now, route, {"until": ends or None})
    decided = replace(
        training.value,
        decision=f"{model} is {retirement}; nothing is trained",
        decided_at=now.isoformat(),
        is_drift_waiting=False,
    )
    registry.save(
        *writes,
        *(put(event.entry, expected_revision=0) for event in events),
        put(entry, expected_revision=0),
        put_life(model, replace(life.value, retirement=retirement), expected_revision=life.revision),
        # Whoever starts a training or a release at this moment finds that these have moved on, and looks again.
        put_training(model, decided, expected_revision=training.revision),
        put_releasing(model, Releasing(), expected_revision=releasing.revision),
    )
    release_log.tell(answers, *events)
    silent = f"It answers until {ends[:19]} UTC" if ends else "It goes on answering until it is deleted"
    text = f"{reason}\nNothing is trained or released any more. {silent}.\nTake it back: serin retire {model} --undo"
    _tell(release_log, entry, answers, f"{model} is retired", text)
    return retirement


def _aborted(
    releaser: Releaser, model: str, route: Found[Route] | None, releasing: Releasing, reason: str, now: datetime
) -> tuple[list[Write], list[ReleaseEvent], Route | None]:
    """End the release that is under way, and the one that waits. Gives what is written, told, and the route then."""
    answers, writes, events = route.value if route else None, list[Write](), list[ReleaseEvent]()
    for name in filter(None, (releasing.live, releasing.queued)):
        release = releaser.registry.release(model, name)
        change = abort(release.value, answers, reason, now)
        answers = change.route or answers
        writes.append(put(change.release, expected_revision=release.revision))
        entry = releaser.release_log.entry(
            change.release, move=change.move, reason=change.reason, at=now, evidence=change.release.evidence
        )
        events.append(ReleaseEvent(entry, change.release.status, change.subject, change.text))
    return writes, events, answers


def _undo(releaser: Releaser, model: str, reason: str) -> None:
    registry, release_log, now = releaser.registry, releaser.release_log, releaser.now()
    life, route, training = registry.life(model), registry.route(model), registry.training(model)
    _check_not_deleted(model, life.value)
    if life.value.retirement is None:
        raise Conflict(f"{model} is not retired")
    entry = _entry(release_log, model, UNDO, reason or f"it was {life.value.retirement}", now, route, {})
    answers = replace(route.value, retirement=None) if route else None
    decided = replace(training.value, decision="its retirement was taken back", decided_at=now.isoformat())
    registry.save(
        *([put(answers, expected_revision=route.revision)] if route else []),
        put(entry, expected_revision=0),
        put_life(model, replace(life.value, retirement=None), expected_revision=life.revision),
        put_training(model, decided, expected_revision=training.revision),
    )
    _tell(release_log, entry, answers, f"{model} is retired no longer", entry.reason)


def is_known(registry: Registry, model: str) -> bool:
    """Tell whether anything is there of a model that is looked after: data, runs, versions, or who answers."""
    records = (registry.route(model), registry.datasets(model), registry.versions(model), registry.runs(model))
    return any(records)


def _check_not_deleted(model: str, life: Life) -> None:
    if life.is_being_deleted:
        raise Refused(f"{model} is being deleted; end that: serin delete {model}", code="DELETED")


def _entry(
    release_log: ReleaseLog,
    model: str,
    move: str,
    reason: str,
    now: datetime,
    route: Found[Route] | None,
    evidence: dict[str, Any],
) -> HistoryEntry:
    return HistoryEntry(
        id=release_log.new_id(release_log.now()),
        model=model,
        at=now.isoformat(),
        actor=release_log.actor,
        move=move,
        reason=reason,
        version=route.value.champion.version if route else None,
        evidence=evidence,
    )


def _tell(release_log: ReleaseLog, entry: HistoryEntry, route: Route | None, subject: str, text: str) -> None:
    """Tell what was stored, to programs and to people."""
    release_log.tell_model(entry, champion=route.champion.version if route else None)
    release_log.tell_people(subject, text)
