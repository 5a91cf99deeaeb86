"""Would the challenger have answered otherwise? It scores a sample of what the champion answered, off the path."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from serin.contract.spec import ServingSpec, label_text
from serin.errors import Refused, SerinError
from serin.monitoring.captures import Capture
from serin.monitoring.summarise import Layout, LayoutOf, captures_once, row_columns
from serin.monitoring.summary import Flip, Flips, Summary, Units
from serin.serving.apart import score_apart
from serin.serving.encode import Encoded, encode_columns

MAX_ROWS = 5_000  # compared of one release in one file
SECONDS = 10.0

Place = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Challenger:
    """A version on trial, as it was registered."""

    spec: ServingSpec
    onnx: bytes


class Score(Protocol):
    """Scores rows with a model that nobody trusts yet. Raises Unverified where it cannot."""

    def __call__(self, onnx: bytes, spec: bytes, encoded: Encoded) -> NDArray[np.float64]: ...


score_in_child: Score = partial(score_apart, seconds=SECONDS)


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
    hindrances = []
    for place, captures in _firsts(content, summary, layout_of).items():
        model, _ = place
        try:
            layout, challenger = layout_of(model, captures[0].version), challenger_of(*place)
            if layout and challenger:
                summary = _noted(summary, place, _compared(captures, layout, challenger, score))
        except SerinError as error:
            hindrances.append(f"{model}, release {place[1]}: the shadow was not compared: {error.message}")
    return summary, tuple(hindrances)


def _firsts(content: bytes, summary: Summary, layout_of: LayoutOf) -> dict[Place, list[Capture]]:
    """Find again the requests to compare, in the order of their entities' hashes."""
    found: defaultdict[Place, list[Capture]] = defaultdict(list)
    if not summary.releases:
        return found
    for capture in captures_once(content, layout_of, Counter()):
        units = summary.releases.get((capture.model, capture.release or ""))
        first = units.firsts.get(capture.unit) if units else None
        if first and first.id == capture.id and capture.arm == "champion" and not capture.is_error and capture.rows:
            found[capture.model, capture.release or ""].append(capture)
    return {place: _sample(captures) for place, captures in found.items()}


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
    """Score the rows of these captures with the challenger. Raises Refused where the two cannot be compared."""
    _check(layout, challenger.spec)
    rows = [row for capture in captures for row in capture.rows]
    encoded = encode_columns(row_columns(rows, layout.spec), challenger.spec)
    theirs = score(challenger.onnx, challenger.spec.to_json(), encoded)
    if theirs.shape != (len(rows), max(len(challenger.spec.classes), 1)):
        raise Refused(f"the challenger gave scores of shape {theirs.shape}")
    theirs = theirs[:, _places(layout.spec, challenger.spec)]
    ours = np.array([row for capture in captures for row in capture.scores], dtype=np.float64)
    is_number = np.asarray(np.isfinite(theirs).all(axis=1))
    delta = np.abs(theirs - ours).mean(axis=1)
    is_flipped = np.logical_not(is_number)
    if layout.spec.classes:
        is_flipped |= theirs.argmax(axis=1) != ours.argmax(axis=1)
    deltas: dict[str, tuple[float | None, bool]] = {}
    flips: dict[str, Flip] = {}
    end = 0
    for capture in captures:
        start, end = end, end + len(capture.rows)
        mean = float(delta[start:end].mean()) if is_number[start:end].all() else None
        flipped = np.flatnonzero(is_flipped[start:end] & is_number[start:end]) + start
        deltas[capture.unit] = mean, bool(is_flipped[start:end].any())
        for row in flipped[:1].tolist():
            flips[capture.unit] = Flip(tuple(rows[row]), tuple(ours[row].tolist()), tuple(theirs[row].tolist()))
    return _Compared(deltas, Flips({}) + Flips(flips))


def _check(layout: Layout, challenger: ServingSpec) -> None:
    """Raise Refused where what was captured is not what the challenger takes and answers."""
    kinds = {feature.name: feature.is_numeric for feature in layout.spec.features}
    for feature in challenger.features:
        if feature.name in layout.hidden:
            raise Refused(f"captures hide {feature.name}; the contract's serving.capture says so")
        if kinds.get(feature.name) is not feature.is_numeric:
            raise Refused(f"captures do not hold {feature.name} as the challenger takes it")
    if _labels(challenger).keys() != _labels(layout.spec).keys():
        raise Refused("the two versions tell other classes apart")


def _labels(spec: ServingSpec) -> dict[str, int]:
    return {label_text(label): place for place, label in enumerate(spec.classes)}


def _places(champion: ServingSpec, challenger: ServingSpec) -> list[int]:
    """Find the champion's outputs, in its order, among the challenger's."""
    places = _labels(challenger)
    return [places[label] for label in _labels(champion)] or [0]


def _noted(summary: Summary, place: Place, compared: _Compared) -> Summary:
    """Give a summary's units of one release what was found of them."""
    firsts = summary.releases[place].firsts
    noted = {
        name: replace(firsts[name], delta=delta, is_flipped=is_flipped)
        for name, (delta, is_flipped) in compared.deltas.items()
    }
    units = Units({**firsts, **noted})
    return replace(summary, releases={**summary.releases, place: units}, flips={**summary.flips, place: compared.flips})
