"""What did captures show of a release so far? Each summary of a capture file is read once; what it told is kept."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import astuple, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from serin.errors import NotFound, Unverified
from serin.monitoring.minutes import Counts, Minute, count_minutes
from serin.monitoring.summary import Summary
from serin.monitoring.truths import ReceivedTruth, Terms, Truths, row_id
from serin.registry.keys import release_prefix, summaries_prefix
from serin.registry.ports import Objects
from serin.registry.records import Release, ReleaseStatus
from serin.release.compare import Disagreement
from serin.release.evidence import step_began
from serin.release.plan import Plan, StepKind

KEPT_TRUTHS = 20_000
"""Of feedback on predictions that are no unit's first: they may yet be read, or never were asked."""
REPLACED_WITHIN = timedelta(hours=3)
"""A summary may be written anew so long after the hour of its capture file; after that it is not looked for again."""


@dataclass(frozen=True, slots=True)
class FrozenMinutes:
    """Minutes as they were counted once all of their captures had arrived.

    end: they are those before this minute. judged_end: of those before this one it is known too which answers were
    wrong.
    """

    end: int = 0
    judged_end: int = 0
    minutes: tuple[Minute, ...] = ()

    def to_json(self) -> list[Any]:
        rows = [[each.at, *(list(astuple(arm)) for arm in (each.champion, each.challenger))] for each in self.minutes]
        return [self.end, self.judged_end, rows]

    @classmethod
    def from_json(cls, said: list[Any]) -> FrozenMinutes:
        end, judged_end, rows = said
        return cls(end, judged_end, tuple(Minute(at, *(Counts(*arm) for arm in arms)) for at, *arms in rows))

    def go_on(self, found: Iterable[Minute], *, end: int, judged_end: int, is_full: bool) -> FrozenMinutes:
        """Take over minutes that were counted anew; once units were left out, only what was not known before."""
        found = [minute for minute in found if minute.at < end]
        if not is_full:
            return FrozenMinutes(end, judged_end, tuple(found))
        known = {minute.at: minute for minute in self.minutes}
        for minute in found:
            if minute.at >= self.end:
                known[minute.at] = minute
            elif minute.at in known and self.judged_end <= minute.at < judged_end:
                known[minute.at] = _judged_as(minute, known[minute.at])
        return FrozenMinutes(end, judged_end, tuple(known[at] for at in sorted(known)))


def _judged_as(found: Minute, known: Minute) -> Minute:
    """Say of a minute that is known which of its answers were wrong."""
    champion, challenger = (
        replace(before, judged=after.judged, wrong=after.wrong)
        for before, after in ((known.champion, found.champion), (known.challenger, found.challenger))
    )
    return Minute(known.at, champion, challenger)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a release's summaries told. files: those that were read, by key, with the version that was read.

    since: the hour from which files are still looked for. settled: by what captures name as release. A test may be
    looked at whenever one likes only if its past stays: of more entities than are kept, others are left out the more
    there are, so that a minute counted anew would be another one.
    """

    since: datetime
    files: dict[str, str] = field(default_factory=dict)
    told: Summary = field(default_factory=Summary)
    settled: dict[str, FrozenMinutes] = field(default_factory=dict)

    def to_json(self) -> bytes:
        document = {
            "since": self.since.isoformat(),
            "files": self.files,
            "told": json.loads(self.told.to_json()),
            "settled": {name: settled.to_json() for name, settled in self.settled.items()},
        }
        return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Seen:
        document = json.loads(text)
        told = Summary.from_json(json.dumps(document["told"]).encode())
        settled = {name: FrozenMinutes.from_json(said) for name, said in document.get("settled", {}).items()}
        return cls(datetime.fromisoformat(document["since"]), document["files"], told, settled)

    @property
    def asked_at(self) -> datetime | None:
        """When anybody was last known to ask in this release, or in its shadow or watch; None where nobody was."""
        told = self.told.releases.values()
        last = max((at for units in told for at in (units.last, *(unit.at for unit in units))), default=0)
        return datetime.fromtimestamp(last / 1000, UTC) if last else None


def look(data: Objects, plan: Plan, release: Release, now: datetime) -> Seen:
    """Read the summaries that came since the last look, and keep what all of them say of this release.

    Reading one twice changes nothing: the first requests of entities merge as a union does, and so does feedback.
    """
    key = release_prefix(release.model, release.id) + "seen.json"
    try:
        seen = Seen.from_json(data.get(key))
    except NotFound:
        seen = Seen(_hour(datetime.fromisoformat(release.started_at)))
    files, told = dict(seen.files), seen.told
    for name, version in _listed(data, seen.since, now):
        if files.get(name) != version:
            files[name] = version
            with suppress(NotFound, Unverified):  # one that is gone or broken tells nothing, of whichever model it is
                told += _of(Summary.from_json(data.get(name, version)), release)
    since = max(seen.since, _hour(now - REPLACED_WITHIN))
    files = {name: version for name, version in files.items() if name >= _folder(since)}
    found = _settle(Seen(since, files, _bounded(told), seen.settled), plan, release, now)
    if found != seen:
        data.put(key, found.to_json())
    return found


def arrived_minutes(seen: Seen, plan: Plan, release: Release, now: datetime) -> list[Minute]:
    """Count what has arrived; of the last minutes more may come.

    Whether answers were wrong counts in those alone that are older than feedback may be: each prediction then had the
    same time to get some, in either arm and at whatever time one looks.
    In those after a promotion the previous champion stands in the challenger's place; they are turned round, so that
    `challenger` is the release's version throughout.
    """
    trial, watch = (
        [
            *(settled := seen.settled.get(name, FrozenMinutes())).minutes,
            *(minute for minute in _minutes(seen, plan, release.model, name, now) if minute.at >= settled.end),
        ]
        for name in (release.trial, release.watch)
    )
    if release.status is not ReleaseStatus.WATCHING:
        return trial
    return [*trial, *(minute.swapped for minute in watch)]


def complete_minutes(minutes: Iterable[Minute], plan: Plan, now: datetime) -> list[Minute]:
    """Choose those whose captures have all arrived."""
    end = _end(plan, now)
    return [minute for minute in minutes if minute.at < end]


def covered_seconds(seen: Seen, plan: Plan, release: Release, now: datetime) -> float:
    """Tell for how long of its step a release was asked: from its first request to its last in a complete minute.

    Captures tell the time that the endpoint had. Where the clock of a turn is fast, no more of them are there.
    """
    units = seen.told.units(release.model, _place(plan, release))
    began = step_began(release).timestamp() * 1000
    firsts = [unit.at for unit in units if unit.at >= began]
    if not firsts:
        return 0.0
    last = min(max(units.last, *firsts), _end(plan, now) * plan.minute_seconds * 1000)
    return max(last - min(firsts), 0.0) / 1000


def _place(plan: Plan, release: Release) -> str:
    """What captures name as release in its present step."""
    if release.status is ReleaseStatus.WATCHING:
        return release.watch
    is_shadow = plan.steps and plan.steps[release.step].kind is StepKind.SHADOW
    return release.id if is_shadow else release.trial


def _settle(seen: Seen, plan: Plan, release: Release, now: datetime) -> Seen:
    end, judged_end = _end(plan, now), _judged_end(plan, now)
    settled = {
        name: seen.settled.get(name, FrozenMinutes()).go_on(
            _minutes(seen, plan, release.model, name, now), end=end, judged_end=judged_end, is_full=units.is_full
        )
        for (_, name), units in seen.told.releases.items()
        if name != release.id  # a shadow has no arms
    }
    return replace(seen, settled=settled)


def _end(plan: Plan, now: datetime) -> int:
    """The first minute of which captures may still arrive."""
    return plan.minute_of(now - timedelta(seconds=plan.arrival_seconds))


def _judged_end(plan: Plan, now: datetime) -> int:
    """The first minute in which predictions may not yet have had all the time that their feedback may take."""
    return plan.minute_of(now - timedelta(seconds=plan.arrival_seconds + plan.feedback_seconds))


def shadow_of(seen: Seen, release: Release) -> Disagreement:
    """Say how often the challenger disagreed in its shadow."""
    flips = [unit.is_flipped for unit in seen.told.units(release.model, release.id) if unit.is_flipped is not None]
    return Disagreement(compared=len(flips), disagreeing=sum(flips))


@dataclass(frozen=True, slots=True)
class Feedback:
    """How much of it was read. joined: to units; others: on predictions that are not compared, or that nobody knows."""

    joined: int
    others: int


def feedback_of(seen: Seen) -> Feedback:
    """Count the feedback that was read so far, early or late as it came."""
    known, units = _known(seen.told), _unit_rows(seen.told)
    return Feedback(len(known.keys() & units), len(known.keys() - units))


def _minutes(seen: Seen, plan: Plan, model: str, name: str, now: datetime) -> tuple[Minute, ...]:
    before = _judged_end(plan, now) * plan.minute_seconds * 1000
    return count_minutes(
        seen.told.units(model, name),
        seen.told.truths.get(model),
        slow_after_ms=plan.slow_after_ms,
        minute_seconds=plan.minute_seconds,
        terms=Terms(plan.feedback_seconds * 1000, before=before, tolerance=plan.tolerance),
    )


def _of(summary: Summary, release: Release) -> Summary:
    places = [(release.model, name) for name in (release.id, release.trial, release.watch)]
    truths = summary.truths.get(release.model, Truths({})).known
    firsts = {name: truth for name, truth in truths.items() if name.endswith(row_id("", 0))}
    return Summary(
        truths={release.model: Truths(firsts)} if firsts else {},
        releases={place: summary.releases[place] for place in places if place in summary.releases},
        flips={place: summary.flips[place] for place in places if place in summary.flips},
    )


def _bounded(told: Summary) -> Summary:
    """Drop feedback that no unit waits for where it is too much: that with the highest ids, which are random."""
    known = _known(told)
    others = sorted(known.keys() - _unit_rows(told))
    for name in others[KEPT_TRUTHS:]:
        del known[name]
    return replace(told, truths={model: Truths(known) for model in told.truths})


def _known(told: Summary) -> dict[str, ReceivedTruth]:
    """What turned out of the one model that is told of."""
    return {name: truth for truths in told.truths.values() for name, truth in truths.known.items()}


def _unit_rows(told: Summary) -> set[str]:
    return {row_id(unit.id, 0) for units in told.releases.values() for unit in units}


def _listed(data: Objects, since: datetime, now: datetime) -> Iterator[tuple[str, str]]:
    hour = since
    while hour <= now:
        for stored in data.list(_folder(hour)):
            yield stored.key, stored.version
        hour += timedelta(hours=1)


def _folder(hour: datetime) -> str:
    return summaries_prefix(hour)


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)
