"""Who hears of what is done to a model's releases? The history keeps it; once it is stored, programs and people do."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from serin.errors import SerinError
from serin.registry.ports import Clock, Events, Notifier
from serin.registry.records import HistoryEntry, Release, ReleaseStatus, Route


class NewId(Protocol):
    """Makes an id that sorts by time."""

    def __call__(self, now: datetime) -> str: ...


@dataclass(frozen=True, slots=True)
class ReleaseEvent:
    """One thing that was done. status: of its release since. subject, text: what people are told; empty: nothing."""

    entry: HistoryEntry
    status: ReleaseStatus | None
    subject: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class ReleaseLog:
    """Words what is done for the history, and tells of it. actor: in whose name.

    What is done stays done where nobody can be reached: the history has it.
    """

    events: Events
    notifier: Notifier
    new_id: NewId
    now: Clock
    actor: str

    def entry(
        self, release: Release, *, move: str, reason: str, at: datetime, evidence: Mapping[str, Any]
    ) -> HistoryEntry:
        """Word one thing that is done to a release, to be stored with it."""
        return HistoryEntry(
            id=self.new_id(self.now()),
            model=release.model,
            at=at.isoformat(),
            actor=self.actor,
            move=move,
            reason=reason,
            version=release.version,
            release=release.id,
            evidence=dict(evidence),
        )

    def tell(self, route: Route | None, *events: ReleaseEvent) -> None:
        """Tell what was stored. route: the model's, after it."""
        for event in events:
            detail = {
                "model": event.entry.model,
                "release": event.entry.release,
                "version": event.entry.version,
                "move": event.entry.move,
                "status": event.status,
                "reason": event.entry.reason,
                "actor": event.entry.actor,
                "champion": route.champion.version if route else None,
                "weight": route.challenger.weight if route and route.challenger else 0.0,
                "at": event.entry.at,
            }
            with suppress(SerinError):
                self.events.put("Release Changed", detail)
            if event.subject:
                self.tell_people(event.subject, event.text)

    def tell_model(self, entry: HistoryEntry, *, champion: int | None) -> None:
        """Tell programs of what was done to a model as a whole, once it is stored. champion: who answers after it."""
        detail = {
            "model": entry.model,
            "move": entry.move,
            "reason": entry.reason,
            "actor": entry.actor,
            "champion": champion,
            "until": entry.evidence.get("until"),
            "at": entry.at,
        }
        with suppress(SerinError):
            self.events.put("Model Changed", detail)

    def tell_people(self, subject: str, text: str) -> None:
        with suppress(SerinError):
            self.notifier.tell(subject, text)


def word_end(release: Release, champion: int | None) -> tuple[str, str]:
    """Say in a subject and a text that a release ended, and that who answered goes on."""
    name = f"{release.model}@{release.version}"
    what = "is watched no longer" if release.status is ReleaseStatus.PROMOTED else "was not released"
    answers = "No version answers yet" if champion is None else f"Version {champion} goes on answering"
    return f"{name} {what}", f"{release.reason}\n{answers}. Look: serin why {name}"
