"""What was served? One small summary a capture file; summaries merge by addition, in whatever order."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol, Self, TypeVar

import msgspec

from serin.errors import Unverified
from serin.monitoring.truths import ReceivedTruth, Truths
from serin.monitoring.units import Unit, Units
from serin.profile.profile import Numbers, Profile, read_profile

FORMAT = 1
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

    def units(self, model: str, release: str) -> Units:
        """Give the first requests of a release, or of what captures name as one."""
        return self.releases.get((model, release), Units({}))

    def to_json(self) -> bytes:
        """Write it; equal summaries give equal bytes."""
        return json.dumps(self.to_data(), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    def to_data(self) -> dict[str, Any]:
        """Write it as what `json` writes."""
        document = _Document(
            format=FORMAT,
            captures=self.captures,
            skipped=self.skipped,
            repeated=self.repeated,
            left_out=self.left_out,
            traffic=[(*key, part) for key, part in sorted(self.traffic.items())],
            served=[(*key, msgspec.to_builtins(part)) for key, part in sorted(self.served.items())],
            slices=[(*key, part) for key, part in sorted(self.slices.items())],
            releases=[(*key, part.firsts) for key, part in sorted(self.releases.items())],
            asked=[(*key, part.last) for key, part in sorted(self.releases.items()) if part.last],
            flips=[(*key, part) for key, part in sorted(self.flips.items())],
            truths={model: part.known for model, part in self.truths.items()},
        )
        data: dict[str, Any] = msgspec.to_builtins(document)
        return data

    @classmethod
    def from_json(cls, text: bytes) -> Summary:
        """Read one. Raises Unverified where it is none, or of a format this code does not know."""
        try:
            data = json.loads(text)  # which reads NaN, unlike msgspec: a score may be none
        except ValueError as error:
            raise Unverified(f"the summary cannot be read: {error}") from error
        return cls.from_data(data)

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Summary:
        """Read one of what `json` reads. Raises as `from_json`."""
        try:
            if data["format"] != FORMAT:
                raise Unverified(f"the summary has format {data['format']}; this version of Serin reads {FORMAT}")
            return msgspec.convert(data, _Document, str_keys=True).summary()
        except (msgspec.MsgspecError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise Unverified(f"the summary cannot be read: {error}") from error


class _Document(msgspec.Struct):
    """How a summary is stored. What is new has a default: older ones are read too."""

    format: int
    captures: int
    skipped: int
    repeated: int
    traffic: list[tuple[str, int, str, int, Traffic]]
    served: list[tuple[str, int, dict[str, Any]]]
    slices: list[tuple[str, int, str, str, Slice]]
    releases: list[tuple[str, str, dict[str, Unit]]]
    flips: list[tuple[str, str, Flips]]
    left_out: int = 0
    asked: list[tuple[str, str, int]] = []
    truths: dict[str, dict[str, ReceivedTruth]] = {}

    def summary(self) -> Summary:
        last_requests = {(model, release): last for model, release, last in self.asked}
        return Summary(
            captures=self.captures,
            skipped=self.skipped,
            repeated=self.repeated,
            left_out=self.left_out,
            traffic={TrafficKey(*row[:4]): row[4] for row in self.traffic},
            served={(model, version): _read_served(part) for model, version, part in self.served},
            slices={SliceKey(*row[:4]): row[4] for row in self.slices},
            releases={
                (model, release): Units(firsts, last_requests.get((model, release), 0))
                for model, release, firsts in self.releases
            },
            flips={(model, release): part for model, release, part in self.flips},
            truths={model: Truths(known) for model, known in self.truths.items()},
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


def _read_served(part: dict[str, Any]) -> Served:
    return Served(**{name: read_profile(profile) for name, profile in part.items()})
