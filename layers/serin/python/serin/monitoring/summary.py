"""What was served? One small summary a capture file; summaries merge by addition, in whatever order.

A capture file that comes again is summarised again under the same key, so that it counts once.
"""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from operator import attrgetter
from typing import Any, NamedTuple, Protocol, Self, TypeVar

from serin.errors import Unverified
from serin.monitoring.feedback import Terms, Truth, Truths, judge
from serin.monitoring.minutes import Counts, Minute
from serin.profile.profile import Numbers, Profile, read_column
from serin.registry.records import Release

FORMAT = 1
KEPT_UNITS = 20_000  # of each release: some 2 MB
KEPT_FLIPS = 20
MS_PER_MINUTE = 60_000


class TrafficKey(NamedTuple):
    """What traffic is counted by. minute: whole minutes since 1970, UTC."""

    model: str
    version: int
    arm: str
    minute: int


class SliceKey(NamedTuple):
    """What slices are counted by: a value of a sensitive feature, in what one version was asked."""

    model: str
    version: int
    feature: str
    value: str


@dataclass(frozen=True, slots=True)
class Traffic:
    """What one version was asked in one arm and minute. unsure: rows that a person must decide.

    faults: requests by what went wrong, none of 0. latency: the milliseconds of requests that were neither a cold start
    nor a load, in bins.
    """

    requests: int
    rows: int
    unsure: int
    faults: dict[str, int]
    latency: Numbers

    def __add__(self, other: Self) -> Self:
        return replace(
            self,
            requests=self.requests + other.requests,
            rows=self.rows + other.rows,
            unsure=self.unsure + other.unsure,
            faults=dict(Counter(self.faults) + Counter(other.faults)),
            latency=self.latency + other.latency,
        )


@dataclass(frozen=True, slots=True)
class Served:
    """The rows that one version answered, and what it answered: `score`, and for classification `label`."""

    rows: Profile
    scores: Profile

    def __add__(self, other: Self) -> Self:
        return replace(self, rows=self.rows + other.rows, scores=self.scores + other.scores)


@dataclass(frozen=True, slots=True)
class Slice:
    """The captured rows of one slice. failed: rows of requests that failed; scores: of the others."""

    rows: int
    failed: int
    scores: Numbers

    def __add__(self, other: Self) -> Self:
        return replace(
            self, rows=self.rows + other.rows, failed=self.failed + other.failed, scores=self.scores + other.scores
        )


@dataclass(frozen=True, slots=True)
class Unit:
    """The first request of an entity in a release. at: milliseconds since 1970; id: of the prediction.

    predicted: what its version answered to the first row, a label as text or a value; None where it did not answer.
    delta, is_flipped: how far the challenger's scores are from the champion's, the mean over rows and outputs, and
    whether any row would get another label; None where the two were not compared.
    """

    at: int
    id: str
    arm: str
    is_error: bool
    ms: float
    is_cold: bool
    is_unsure: bool
    delta: float | None = None
    is_flipped: bool | None = None
    predicted: str | float | None = None


_values = attrgetter(*(each.name for each in fields(Unit)))  # astuple copies deeply, and there are thousands


@dataclass(frozen=True, slots=True)
class Units:
    """The first requests of a release's entities, by the entities' hashes; past a bound, of the lowest hashes.

    Which entities are kept does not depend on the order of merging, nor does which request was the first.
    last: when anybody asked last, first request or not, in milliseconds since 1970; 0 where that was not counted.
    """

    firsts: dict[str, Unit]
    last: int = 0

    def __add__(self, other: Self) -> Self:
        firsts = dict(self.firsts)
        for name, unit in other.firsts.items():
            firsts[name] = first_of(unit, firsts[name]) if name in firsts else unit
        kept = {name: firsts[name] for name in sorted(firsts)[:KEPT_UNITS]}
        return replace(self, firsts=kept, last=max(self.last, other.last))

    @property
    def is_full(self) -> bool:
        """Whether there may have been more entities than are kept."""
        return len(self.firsts) >= KEPT_UNITS


def first_of(one: Unit, other: Unit) -> Unit:
    """Choose the first of two requests of an entity, whichever is named first."""
    return min(one, other, key=lambda unit: (unit.at, unit.id, repr(unit)))


@dataclass(frozen=True, slots=True)
class DisagreementExample:
    """A row to which the challenger would have given another label. row: as captured; the others: scores."""

    row: tuple[int | float | str | bool | None, ...]
    champion: tuple[float, ...]
    challenger: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Flips:
    """A few of the rows with another label, by their entities' hashes; past a bound, of the lowest hashes."""

    examples: dict[str, DisagreementExample]

    def __add__(self, other: Self) -> Self:
        both = [*self.examples.items(), *other.examples.items()]
        examples = dict(sorted(both, key=repr, reverse=True))  # of two of one entity the first stays
        return replace(self, examples={name: examples[name] for name in sorted(examples)[:KEPT_FLIPS]})


@dataclass(frozen=True, slots=True)
class Summary:
    """What one or more capture files say. served: by model and version; releases, flips: by model and release.

    captures: requests that are counted; skipped: lines that say nothing; repeated: requests that stood in a file twice.
    truths: by model, of whichever predictions; left_out: how many more there were than a summary keeps.
    """

    captures: int = 0
    skipped: int = 0
    repeated: int = 0
    left_out: int = 0
    traffic: dict[TrafficKey, Traffic] = field(default_factory=dict)
    served: dict[tuple[str, int], Served] = field(default_factory=dict)
    slices: dict[SliceKey, Slice] = field(default_factory=dict)
    releases: dict[tuple[str, str], Units] = field(default_factory=dict)
    flips: dict[tuple[str, str], Flips] = field(default_factory=dict)
    truths: dict[str, Truths] = field(default_factory=dict)

    def __add__(self, other: Summary) -> Summary:
        return Summary(
            captures=self.captures + other.captures,
            skipped=self.skipped + other.skipped,
            repeated=self.repeated + other.repeated,
            left_out=self.left_out + other.left_out,
            traffic=_merged(self.traffic, other.traffic),
            served=_merged(self.served, other.served),
            slices=_merged(self.slices, other.slices),
            releases=_merged(self.releases, other.releases),
            flips=_merged(self.flips, other.flips),
            truths=_merged(self.truths, other.truths),
        )

    def to_json(self) -> bytes:
        """Write it; equal summaries give equal bytes."""
        data = {
            "format": FORMAT,
            "captures": self.captures,
            "skipped": self.skipped,
            "repeated": self.repeated,
            "left_out": self.left_out,
            "traffic": [[*key, asdict(part)] for key, part in sorted(self.traffic.items())],
            "served": [[*key, asdict(part)] for key, part in sorted(self.served.items())],
            "slices": [[*key, asdict(part)] for key, part in sorted(self.slices.items())],
            "releases": [
                [*key, {name: _values(unit) for name, unit in part.firsts.items()}]
                for key, part in sorted(self.releases.items())
            ],
            "asked": [[*key, part.last] for key, part in sorted(self.releases.items()) if part.last],
            "flips": [[*key, asdict(part)] for key, part in sorted(self.flips.items())],
            "truths": {model: part.known for model, part in self.truths.items()},
        }
        return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Summary:
        """Read one. Raises Unverified where it is none, or of a format this code does not know."""
        try:
            data = json.loads(text)
            if data["format"] != FORMAT:
                raise Unverified(f"the summary has format {data['format']}; this version of Serin reads {FORMAT}")
            asked = {(model, release): last for model, release, last in data.get("asked", [])}
            return cls(
                captures=data["captures"],
                skipped=data["skipped"],
                repeated=data["repeated"],
                left_out=data.get("left_out", 0),  # as of all that is new: older summaries are read too
                traffic={
                    TrafficKey(*key): Traffic(**{**part, "latency": _numbers(part["latency"])})
                    for *key, part in data["traffic"]
                },
                served={
                    (model, version): Served(**{name: _profile(profile) for name, profile in part.items()})
                    for model, version, part in data["served"]
                },
                slices={
                    SliceKey(*key): Slice(**{**part, "scores": _numbers(part["scores"])})
                    for *key, part in data["slices"]
                },
                releases={
                    (model, release): Units(
                        {name: Unit(*unit) for name, unit in firsts.items()}, asked.get((model, release), 0)
                    )
                    for model, release, firsts in data["releases"]
                },
                flips={
                    (model, release): Flips({name: _flip(flip) for name, flip in part["examples"].items()})
                    for model, release, part in data["flips"]
                },
                truths={
                    model: Truths({name: Truth(*truth) for name, truth in known.items()})
                    for model, known in data.get("truths", {}).items()
                },
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Unverified(f"the summary cannot be read: {error}") from error


@dataclass(frozen=True, slots=True)
class Disagreement:
    """How far the challenger of a release is from its champion on the same requests, each an entity's first.

    compared, flipped: entities; flipped are too those for which the challenger gives no number, which have no delta.
    delta: the sum of their scores' mean differences.
    """

    compared: int
    flipped: int
    delta: float
    examples: tuple[DisagreementExample, ...]


def minutes(
    summary: Summary,
    place: tuple[str, str],
    *,
    slow_after_ms: float,
    minute_seconds: float = 60.0,
    terms: Terms | None = None,
) -> tuple[Minute, ...]:
    """Count units minute by minute, in the order of time. slow_after_ms: a longer answer is slow.

    place: the model, and what captures name as release. minute_seconds: how long a minute of the plan lasts.
    terms: which answers are judged as right or wrong; none, where not given.
    """
    wrong = judge(_units(summary, place), summary.truths.get(place[0], Truths({})), terms) if terms else {}
    found: defaultdict[int, dict[str, list[Unit]]] = defaultdict(lambda: {"champion": [], "challenger": []})
    for unit in _units(summary, place):
        found[int(unit.at // (1000 * minute_seconds))][unit.arm].append(unit)
    return tuple(
        Minute(at, *(_counts(arms[arm], slow_after_ms, wrong) for arm in ("champion", "challenger")))
        for at, arms in sorted(found.items())
    )


def disagreement(summary: Summary, release: Release) -> Disagreement:
    """Sum up what a shadow found."""
    compared = [unit for unit in _units(summary, (release.model, release.id)) if unit.is_flipped is not None]
    flips = summary.flips.get((release.model, release.id), Flips({}))
    return Disagreement(
        compared=len(compared),
        flipped=sum(unit.is_flipped is True for unit in compared),
        delta=math.fsum(unit.delta or 0.0 for unit in compared),
        examples=tuple(flips.examples.values()),
    )


def _units(summary: Summary, place: tuple[str, str]) -> Iterable[Unit]:
    return summary.releases.get(place, Units({})).firsts.values()


def _counts(units: Sequence[Unit], slow_after_ms: float, wrong: Mapping[str, bool]) -> Counts:
    timed = [unit for unit in units if not unit.is_cold]
    return Counts(
        units=len(units),
        timed=len(timed),
        judged=sum(unit.id in wrong for unit in units),
        error=sum(unit.is_error for unit in units),
        slow=sum(unit.ms > slow_after_ms for unit in timed),
        unsure=sum(unit.is_unsure for unit in units),
        wrong=sum(wrong.get(unit.id, False) for unit in units),
    )


class _Part(Protocol):
    """What can be merged by addition."""

    def __add__(self, other: Self, /) -> Self: ...


_Key = TypeVar("_Key")
_P = TypeVar("_P", bound=_Part)


def _merged(one: Mapping[_Key, _P], other: Mapping[_Key, _P]) -> dict[_Key, _P]:
    merged = dict(one)
    for key, part in other.items():
        merged[key] = merged[key] + part if key in merged else part
    return merged


def _numbers(data: dict[str, Any]) -> Numbers:
    column = read_column(data)
    if not isinstance(column, Numbers):
        raise TypeError("a column of numbers is expected")
    return column


def _profile(data: dict[str, Any]) -> Profile:
    return Profile(data["rows"], {name: read_column(column) for name, column in data["columns"].items()})


def _flip(data: dict[str, Any]) -> DisagreementExample:
    return DisagreementExample(**{name: tuple(values) for name, values in data.items()})
