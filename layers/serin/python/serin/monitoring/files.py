"""How does a capture file get its summary? What is needed to read it comes from the registry."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from serin.contract.spec import ServingSpec
from serin.errors import NotFound, TooLarge, Unverified
from serin.monitoring.captures import MAX_BYTES
from serin.monitoring.rescore import Challenger, Score, score_in_child
from serin.monitoring.shadow import compare
from serin.monitoring.summarise import Layout, summarise
from serin.monitoring.summary import Summary
from serin.registry.ids import read_verified
from serin.registry.keys import summary_key
from serin.registry.ports import Objects
from serin.registry.records import ModelVersion
from serin.registry.registry import Registry


@dataclass(frozen=True, slots=True)
class Summariser:
    """Gives capture files their summaries."""

    registry: Registry
    data: Objects
    artifacts: Objects
    score: Score = score_in_child

    def summarise(self, key: str, version: str) -> tuple[Summary, tuple[str, ...]]:
        """Summarise a capture file, compare the challengers of releases in it, store that, and say what hindered it.

        Of a version whose files are gone or broken requests count and rows do not; the others' count as ever.
        Doing it again replaces the same summary. Raises Refused where the file cannot be read, TooLarge where it is
        over the limit.
        """
        target = summary_key(key)
        if (size := self.data.size(key, version)) > MAX_BYTES:
            raise TooLarge(f"the capture file {key} has {size:,} bytes; at most {MAX_BYTES:,} are read")
        content, unreadable = self.data.get(key, version), list[str]()

        @cache
        def layout_of(model: str, number: int) -> Layout | None:
            try:
                return self.layout(model, number)
            except (NotFound, Unverified) as error:
                unreadable.append(f"{model}@{number}: its rows were not summarised: {error.message}")
                return None

        summary, warnings = compare(
            content,
            summarise(content, layout_of),
            layout_of=layout_of,
            challenger_of=self.challenger,
            score=self.score,
        )
        self.data.put(target, summary.to_json())
        return summary, (*unreadable, *warnings)

    def layout(self, model: str, number: int) -> Layout | None:
        """Find how a version's captured rows are read; None where there is no such version."""
        found = self.registry.find_version(model, number)
        return read_layout(found.value, self.registry, self.artifacts) if found else None

    def challenger(self, model: str, release: str) -> Challenger | None:
        """Find the version that a release tries; None where there is no such release."""
        found = self.registry.find_release(model, release)
        if found is None:
            return None
        return read_challenger(self.registry.version(model, found.value.version).value, self.artifacts)


def read_challenger(version: ModelVersion, artifacts: Objects) -> Challenger:
    """Read a version to score rows with. Raises Unverified where it is not the one that was registered."""
    spec = ServingSpec.from_json(verified_file(version, "spec.json", artifacts))
    return Challenger(spec, verified_file(version, "model.onnx", artifacts))


def read_layout(version: ModelVersion, registry: Registry, artifacts: Objects) -> Layout:
    """Read how a version's captured rows are laid out, and what its contract says of its features."""
    contract = registry.run(version.model, version.run).value.contract
    spec = ServingSpec.from_json(verified_file(version, "spec.json", artifacts))
    return Layout(
        spec=spec,
        sensitive=frozenset(name for name, feature in contract["features"].items() if feature["sensitive"]),
        hidden=frozenset(name for name in (*spec.capture.masked, *spec.capture.hashed, spec.entity) if name),
    )


def verified_file(version: ModelVersion, name: str, artifacts: Objects) -> bytes:
    """Read one file of a version. Raises Unverified where it is not the one that was registered."""
    return read_verified(artifacts.get, version.prefix + name, version.files[name])
