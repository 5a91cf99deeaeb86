"""What becomes of a capture file? It gets one summary, under its own name: one that comes twice counts once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from serin.errors import NotFound, TooLarge, Unverified
from serin.monitoring.captures import MAX_BYTES
from serin.monitoring.layout import Layout
from serin.monitoring.rescore import Challenger, Score, score_in_child
from serin.monitoring.shadow import compare
from serin.monitoring.summarise import summarise
from serin.monitoring.summary import Summary
from serin.monitoring.version_files import read_challenger, read_layout
from serin.registry.keys import summary_key
from serin.registry.ports import Objects
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

        Of a version whose files are gone or broken requests count and rows do not; the others' count as ever. A file
        that comes again replaces its own summary. Raises Refused where it cannot be read, TooLarge where it is over the
        limit.
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
        version = self.registry.find_version(model, number)
        return read_layout(version.value, self.registry, self.artifacts) if version else None

    def challenger(self, model: str, release: str) -> Challenger | None:
        """Find the version that a release tries; None where there is no such release."""
        trial = self.registry.find_release(model, release)
        if trial is None:
            return None
        return read_challenger(self.registry.version(model, trial.value.version).value, self.artifacts)
