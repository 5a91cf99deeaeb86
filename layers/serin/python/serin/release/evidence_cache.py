"""What is kept of the summaries that were read for a release, so that each is read once and the past stays?"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import structs

from serin.monitoring.minutes import Minute
from serin.monitoring.summary import Summary


class FrozenMinutes(msgspec.Struct, frozen=True, array_like=True):
    """Minutes as they were counted once all of their captures had arrived.

    end: they are those before this minute. judged_end: of those before this one it is known too which answers were
    wrong.
    """

    end: int = 0
    judged_end: int = 0
    minutes: tuple[Minute, ...] = ()

    def go_on(self, counted: Iterable[Minute], *, end: int, judged_end: int, is_full: bool) -> FrozenMinutes:
        """Take over minutes that were counted anew; once units were left out, only what was not known before."""
        complete = [minute for minute in counted if minute.at < end]
        if not is_full:
            return FrozenMinutes(end, judged_end, tuple(complete))
        known = {minute.at: minute for minute in self.minutes}
        for minute in complete:
            if minute.at >= self.end:
                known[minute.at] = minute
            elif minute.at in known and self.judged_end <= minute.at < judged_end:
                known[minute.at] = _judged_as(minute, known[minute.at])
        return FrozenMinutes(end, judged_end, tuple(known[at] for at in sorted(known)))


def _judged_as(counted: Minute, known: Minute) -> Minute:
    """Say of a minute that is known which of its answers were wrong."""
    champion, challenger = (
        structs.replace(before, judged=after.judged, wrong=after.wrong)
        for before, after in ((known.champion, counted.champion), (known.challenger, counted.challenger))
    )
    return Minute(known.at, champion, challenger)


@dataclass(frozen=True, slots=True)
class EvidenceCache:
    """What a release's summaries told. files: those that were read, by key, with the version that was read.

    since: the hour from which files are still looked for. frozen: by what captures name as release. A test may be
    looked at whenever one likes only if its past stays: of more entities than are kept, others are left out the more
    there are, so that a minute counted anew would be another one.
    """

    since: datetime
    files: dict[str, str] = field(default_factory=dict)
    summary: Summary = field(default_factory=Summary)
    frozen: dict[str, FrozenMinutes] = field(default_factory=dict)

    def to_json(self) -> bytes:
        document = _Document(self.since.isoformat(), self.files, self.summary.to_data(), self.frozen)
        return json.dumps(msgspec.to_builtins(document), separators=(",", ":"), ensure_ascii=False).encode()

    @classmethod
    def from_json(cls, text: bytes) -> EvidenceCache:
        document = msgspec.convert(json.loads(text), _Document)
        summary = Summary.from_data(document.told)
        return cls(datetime.fromisoformat(document.since), document.files, summary, document.settled)

    @property
    def asked_at(self) -> datetime | None:
        """When anybody was last known to ask in this release, or in its shadow or watch; None where nobody was."""
        releases = self.summary.releases.values()
        last = max((at for units in releases for at in (units.last, *(unit.at for unit in units))), default=0)
        return datetime.fromtimestamp(last / 1000, UTC) if last else None


class _Document(msgspec.Struct):
    """How it is stored. What is new has a default: older ones are read too."""

    since: str
    files: dict[str, str]
    told: dict[str, Any]
    settled: dict[str, FrozenMinutes] = {}
