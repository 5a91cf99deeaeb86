"""What did captures show of a release so far? Each summary of a capture file is read once; what it told is kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from serin.errors import NotFound, Unverified
from serin.monitoring.minutes import Minute, count_minutes
from serin.monitoring.summary import Summary
from serin.monitoring.truths import ReceivedTruth, Terms, Truths
from serin.registry.keys import release_prefix, summaries_prefix
from serin.registry.ports import Objects
from serin.registry.records import Release, ReleaseStatus
from serin.release.disagreement import Disagreement
from serin.release.evidence import FeedbackCount
from serin.release.evidence_cache import EvidenceCache, FrozenMinutes
from serin.release.plan import Plan, StepKind
from serin.release.renewal import step_began
from serin.serving.prediction_id import row_id

KEPT_TRUTHS = 20_000
"""Of feedback on predictions that are no unit's first: they may yet be read, or never were asked."""
REPLACED_WITHIN = timedelta(hours=3)
"""A summary may be written anew so long after the hour of its capture file; after that it is not looked for again."""


def load_evidence(data: Objects, plan: Plan, release: Release, now: datetime) -> EvidenceCache:
    """Read the summaries that came since the last look, and keep what all of them say of this release.

    Reading one twice changes nothing: the first requests of entities merge as a union does, and so does feedback.
    """
    key = release_prefix(release.model, release.id) + "seen.json"
    try:
        known = EvidenceCache.from_json(data.get(key))
    except NotFound:
        known = EvidenceCache(_hour(datetime.fromisoformat(release.started_at)))
    files, summary = dict(known.files), known.summary
    for name, version in _listed(data, known.since, now):
        if files.get(name) != version:
            files[name] = version
            with suppress(NotFound, Unverified):  # one that is gone or broken tells nothing, of whichever model it is
                summary += _of(Summary.from_json(data.get(name, version)), release)
    since = max(known.since, _hour(now - REPLACED_WITHIN))
    files = {name: version for name, version in files.items() if name >= _folder(since)}
    cache = _freeze(EvidenceCache(since, files, _bounded(summary), known.frozen), plan, release, now)
    if cache != known:
        data.put(key, cache.to_json())
    return cache


def arrived_minutes(cache: EvidenceCache, plan: Plan, release: Release, now: datetime) -> list[Minute]:
    """Count what has arrived; of the last minutes more may come.

    Whether answers were wrong counts in those alone that are older than feedback may be: each prediction then had the
    same time to get some, in either arm and at whatever time one looks.
    In those after a promotion the previous champion stands in the challenger's place; they are turned round, so that
    `challenger` is the release's version throughout.
    """
    trial, watch = (
        [
            *(frozen := cache.frozen.get(name, FrozenMinutes())).minutes,
            *(minute for minute in _minutes(cache, plan, release.model, name, now) if minute.at >= frozen.end),
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


def covered_seconds(cache: EvidenceCache, plan: Plan, release: Release, now: datetime) -> float:
    """Tell for how long of its step a release was asked: from its first request to its last in a complete minute.

    Captures tell the time that the endpoint had. Where the clock of a turn is fast, no more of them are there.
    """
    units = cache.summary.units(release.model, _place(plan, release))
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


def _freeze(cache: EvidenceCache, plan: Plan, release: Release, now: datetime) -> EvidenceCache:
    end, judged_end = _end(plan, now), _judged_end(plan, now)
    frozen = {
        name: cache.frozen.get(name, FrozenMinutes()).go_on(
            _minutes(cache, plan, release.model, name, now), end=end, judged_end=judged_end, is_full=units.is_full
        )
        for (_, name), units in cache.summary.releases.items()
        if name != release.id  # a shadow has no arms
    }
    return replace(cache, frozen=frozen)


def _end(plan: Plan, now: datetime) -> int:
    """The first minute of which captures may still arrive."""
    return plan.minute_of(now - timedelta(seconds=plan.arrival_seconds))


def _judged_end(plan: Plan, now: datetime) -> int:
    """The first minute in which predictions may not yet have had all the time that their feedback may take."""
    return plan.minute_of(now - timedelta(seconds=plan.arrival_seconds + plan.feedback_seconds))


def shadow_of(cache: EvidenceCache, release: Release) -> Disagreement:
    """Say how often the challenger disagreed in its shadow."""
    flips = [unit.is_flipped for unit in cache.summary.units(release.model, release.id) if unit.is_flipped is not None]
    return Disagreement(compared=len(flips), disagreeing=sum(flips))


def feedback_of(cache: EvidenceCache) -> FeedbackCount:
    """Count the feedback that was read so far, early or late as it came."""
    known, units = _known(cache.summary), _unit_rows(cache.summary)
    return FeedbackCount(len(known.keys() & units), len(known.keys() - units))


def _minutes(cache: EvidenceCache, plan: Plan, model: str, name: str, now: datetime) -> tuple[Minute, ...]:
    before = _judged_end(plan, now) * plan.minute_seconds * 1000
    return count_minutes(
        cache.summary.units(model, name),
        cache.summary.truths.get(model),
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


def _bounded(summary: Summary) -> Summary:
    """Drop feedback that no unit waits for where it is too much: that with the highest ids, which are random."""
    known = _known(summary)
    others = sorted(known.keys() - _unit_rows(summary))
    for name in others[KEPT_TRUTHS:]:
        del known[name]
    return replace(summary, truths={model: Truths(known) for model in summary.truths})


def _known(summary: Summary) -> dict[str, ReceivedTruth]:
    """What turned out of the one model that is told of."""
    return {name: truth for truths in summary.truths.values() for name, truth in truths.known.items()}


def _unit_rows(summary: Summary) -> set[str]:
    return {row_id(unit.id, 0) for units in summary.releases.values() for unit in units}


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
