"""Would the challenger have answered otherwise? It scores a sample of what the champion answered, off the path."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from msgspec import structs

from serin.errors import SerinError
from serin.monitoring.layout import Layout, LayoutOf
from serin.monitoring.rescore import Challenger, Score, rescore
from serin.monitoring.summarise import captures_once
from serin.monitoring.summary import DisagreementExample, Flips, Summary
from serin.serving.lines import Capture

MAX_ROWS = 5_000  # compared of one release in one file

Place = tuple[str, str]


def compare(
    content: bytes,
    summary: Summary,
    *,
    layout_of: LayoutOf,
    challenger_of: Callable[[str, str], Challenger | None],
    score: Score,
) -> tuple[Summary, tuple[str, ...]]:
    """Add to a file's summary how far each release's challenger is from its champion; and say what hindered that.

    Compared are requests that the champion answered and that are their entity's first in this file, of the lowest
    hashes; one whose rows the challenger gives no number for is one that it would have answered otherwise.
    challenger_of: by model and release; None where there is none.
    """
    warnings = []
    for place, captures in _firsts(content, summary, layout_of).items():
        model, _ = place
        try:
            layout, challenger = layout_of(model, captures[0].version), challenger_of(*place)
            if layout and challenger:
                summary = _noted(summary, place, _compared(captures, layout, challenger, score))
        except SerinError as error:
            warnings.append(f"{model}, release {place[1]}: the shadow was not compared: {error.message}")
    return summary, tuple(warnings)


def _firsts(content: bytes, summary: Summary, layout_of: LayoutOf) -> dict[Place, list[Capture]]:
    """Find again the requests to compare, in the order of their entities' hashes."""
    compared: defaultdict[Place, list[Capture]] = defaultdict(list)
    if not summary.releases:
        return compared
    for capture in captures_once(content, layout_of, Counter()):
        units = summary.releases.get((capture.model, capture.release or ""))
        first = units.firsts.get(capture.unit) if units else None
        if first and first.id == capture.id and capture.arm == "champion" and not capture.is_error and capture.rows:
            compared[capture.model, capture.release or ""].append(capture)
    return {place: _sample(captures) for place, captures in compared.items()}


def _sample(captures: Sequence[Capture]) -> list[Capture]:
    ordered = sorted(captures, key=lambda capture: capture.unit)
    ordered = [capture for capture in ordered if capture.version == ordered[0].version]
    rows = np.cumsum([len(capture.rows) for capture in ordered])
    return ordered[: int(np.searchsorted(rows, MAX_ROWS, side="right"))]


@dataclass(frozen=True, slots=True)
class _Compared:
    """By entity's hash: how far the scores are apart and whether a label flipped; and examples of that."""

    deltas: Mapping[str, tuple[float | None, bool]]
    flips: Flips


def _compared(captures: Sequence[Capture], layout: Layout, challenger: Challenger, score: Score) -> _Compared:
    """Score the rows of these captures with the challenger, and sum up by entity. Raises as `rescore` does."""
    scored = rescore(captures, layout, challenger, score)
    deltas: dict[str, tuple[float | None, bool]] = {}
    flips: dict[str, DisagreementExample] = {}
    end = 0
    for capture in captures:
        start, end = end, end + len(capture.rows)
        is_number, is_flipped = scored.is_number[start:end], scored.is_flipped[start:end]
        mean = float(scored.delta[start:end].mean()) if is_number.all() else None
        deltas[capture.unit] = mean, bool((is_flipped | ~is_number).any())
        for row in (np.flatnonzero(is_flipped)[:1] + start).tolist():
            ours, theirs = (tuple(scores[row].tolist()) for scores in (scored.ours, scored.theirs))
            flips[capture.unit] = DisagreementExample(tuple(scored.rows[row]), ours, theirs)
    return _Compared(deltas, Flips({}) + Flips(flips))


def _noted(summary: Summary, place: Place, compared: _Compared) -> Summary:
    """Give a summary's units of one release what was found of them."""
    before = summary.releases[place]
    noted = {
        name: structs.replace(before.firsts[name], delta=delta, is_flipped=is_flipped)
        for name, (delta, is_flipped) in compared.deltas.items()
    }
    units = replace(before, firsts={**before.firsts, **noted})
    return replace(summary, releases={**summary.releases, place: units}, flips={**summary.flips, place: compared.flips})
