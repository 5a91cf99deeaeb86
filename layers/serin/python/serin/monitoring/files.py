"""Where do captures and their summaries lie, and how does a capture file get its summary?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from serin.contract.spec import ServingSpec
from serin.errors import Refused, TooLarge, Unverified
from serin.monitoring.captures import MAX_BYTES
from serin.monitoring.shadow import Challenger, Score, compare, score_in_child
from serin.monitoring.summarise import Layout, summarise
from serin.monitoring.summary import MS_PER_MINUTE, Summary
from serin.registry.ids import sha256
from serin.registry.ports import Objects
from serin.registry.records import ModelVersion
from serin.registry.registry import Registry

CAPTURES, SUMMARIES = "captures/", "summaries/"
ENDING = ".jsonl.gz"
LATEST_ARRIVAL = timedelta(hours=2)  # after what they hold: captures wait for each other before they are written


def summary_key(capture_key: str) -> str:
    """Name the summary of a capture file. Raises Refused where the key is none of a capture file."""
    if not capture_key.startswith(CAPTURES) or not capture_key.endswith(ENDING):
        raise Refused(f"{capture_key!r} is no capture file: {CAPTURES}dt=…/hour=…/<name>{ENDING}")
    return SUMMARIES + capture_key.removeprefix(CAPTURES).removesuffix(ENDING) + ".json"


@dataclass(frozen=True, slots=True)
class Summariser:
    """Gives capture files their summaries."""

    registry: Registry
    data: Objects
    artifacts: Objects
    score: Score = score_in_child

    def summarise(self, key: str, version: str) -> tuple[Summary, tuple[str, ...]]:
        """Summarise a capture file, compare the challengers of releases in it, store that, and say what hindered it.

        Doing it again replaces the same summary. Raises Refused where the file cannot be read, TooLarge where it is
        over the limit.
        """
        target = summary_key(key)
        if (size := self.data.size(key, version)) > MAX_BYTES:
            raise TooLarge(f"the capture file {key} has {size:,} bytes; at most {MAX_BYTES:,} are read")
        content, layout_of = self.data.get(key, version), cache(self.layout)
        summary, hindrances = compare(
            content,
            summarise(content, layout_of),
            layout_of=layout_of,
            challenger_of=self.challenger,
            score=self.score,
        )
        self.data.put(target, summary.to_json())
        return summary, hindrances

    def layout(self, model: str, number: int) -> Layout | None:
        """Find how a version's captured rows are read; None where there is no such version."""
        found = self.registry.find_version(model, number)
        return read_layout(found.value, self.registry, self.artifacts) if found else None

    def challenger(self, model: str, release: str) -> Challenger | None:
        """Find the version that a release tries; None where there is no such release."""
        found = self.registry.find_release(model, release)
        if found is None:
            return None
        version = self.registry.version(model, found.value.version).value
        spec = ServingSpec.from_json(verified_file(version, "spec.json", self.artifacts))
        return Challenger(spec, verified_file(version, "model.onnx", self.artifacts))


def read_layout(version: ModelVersion, registry: Registry, artifacts: Objects) -> Layout:
    """Read how a version's captured rows are laid out, and what its contract says of its features."""
    contract = registry.run(version.model, version.run).value.contract
    capture = contract.get("serving", {}).get("capture", {})
    return Layout(
        spec=ServingSpec.from_json(verified_file(version, "spec.json", artifacts)),
        sensitive=frozenset(name for name, feature in contract["features"].items() if feature["sensitive"]),
        hidden=frozenset((*capture.get("mask", ()), *capture.get("hash", ()))),
    )


def verified_file(version: ModelVersion, name: str, artifacts: Objects) -> bytes:
    """Read one file of a version. Raises Unverified where it is not the one that was registered."""
    content = artifacts.get(version.prefix + name)
    if sha256(content) != version.files[name]:
        raise Unverified(f"{version.prefix}{name} does not have the digest that was registered")
    return content


def read_summaries(data: Objects, *, since: datetime, until: datetime) -> Iterator[Summary]:
    """Read the summaries of the capture files that hold any request from `since` on, up to `until`.

    A file is taken whole: at its edges a window is as exact as files are short.
    """
    first, last = since.timestamp() * 1000 // MS_PER_MINUTE, until.timestamp() * 1000 // MS_PER_MINUTE
    hour = since.replace(minute=0, second=0, microsecond=0)
    while hour <= until + LATEST_ARRIVAL:
        for stored in data.list(f"{SUMMARIES}dt={hour:%Y-%m-%d}/hour={hour:%H}/"):
            summary = Summary.from_json(data.get(stored.key))
            if any(first <= stretch.minute <= last for stretch in summary.traffic):
                yield summary
        hour += timedelta(hours=1)
