"""What does one capture file come to? Each request counts once; its rows are profiled as their version reads them.

What turned out of predictions, these or earlier ones, is kept to be joined to them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serin.contract.spec import NO_CATEGORY, ServingSpec, SpecFeature, label_text
from serin.monitoring.captures import read_lines
from serin.monitoring.feedback import Truth, Truths, earlier, row_id
from serin.monitoring.summary import (
    MS_PER_MINUTE,
    Served,
    Slice,
    SliceKey,
    Summary,
    Traffic,
    TrafficKey,
    Unit,
    Units,
    first_of,
)
from serin.profile.profile import profile_columns, profile_numbers
from serin.serving.lines import Capture, Feedback, Value

AT_ONCE = 20_000  # captures and rows held in memory before they are counted
MAX_SLICES = 50
MAX_TRUTHS = 100_000  # kept of one file: some 4 MB
MISSING, OTHERS = "(missing)", "(others)"
UNANSWERED = "unanswered"


@dataclass(frozen=True, slots=True)
class Layout:
    """How captured rows of a version are read. sensitive, hidden: features; the hidden are masked or hashed."""

    spec: ServingSpec
    sensitive: frozenset[str] = frozenset()
    hidden: frozenset[str] = frozenset()


LayoutOf = Callable[[str, int], Layout | None]


def summarise(content: bytes, layout_of: LayoutOf) -> Summary:
    """Summarise a capture file. layout_of: how a version's rows are read; None where there is no such version.

    A line that is neither a capture nor feedback, or whose rows are not the version's, is counted and skipped; a
    prediction that stands there twice counts once. Raises as `read_lines`.
    """
    left_out: Counter[str] = Counter()
    truths: defaultdict[str, dict[str, Truth]] = defaultdict(dict)
    summary, batch, held = Summary(), [], 0
    for said in _lines_once(content, layout_of, left_out):
        if isinstance(said, Feedback):
            _keep(said, truths[said.model], left_out)
            continue
        batch.append(said)
        held += 1 + len(said.rows)
        if held >= AT_ONCE:
            summary, batch, held = summary + _count(batch, layout_of), [], 0
    rest = Summary(
        skipped=left_out["skipped"],
        repeated=left_out["repeated"],
        left_out=left_out["truths"],
        truths={model: Truths(known) for model, known in truths.items()},
    )
    return summary + _count(batch, layout_of) + rest


def captures_once(content: bytes, layout_of: LayoutOf, left_out: Counter[str]) -> Iterator[Capture]:
    """Read each request of a file once, and count in `left_out` the lines that are `skipped` or `repeated`."""
    return (said for said in _lines_once(content, layout_of, left_out) if isinstance(said, Capture))


def _lines_once(content: bytes, layout_of: LayoutOf, left_out: Counter[str]) -> Iterator[Capture | Feedback]:
    seen: set[tuple[str, str]] = set()
    for said in read_lines(content):
        if isinstance(said, Feedback):
            yield said
        elif said is None or not _fits(said, layout_of(said.model, said.laid_out_by)):
            left_out["skipped"] += 1
        elif (said.model, said.id) in seen:
            left_out["repeated"] += 1
        else:
            seen.add((said.model, said.id))
            yield said


def _keep(feedback: Feedback, known: dict[str, Truth], left_out: Counter[str]) -> None:
    """Keep what turned out of a row: of one that comes twice the first."""
    name, truth = row_id(feedback.id, feedback.row), Truth(feedback.at, feedback.truth)
    if name in known or len(known) < MAX_TRUTHS:
        known[name] = earlier(truth, known.get(name, truth))
    else:
        left_out["truths"] += 1


def row_columns(rows: Sequence[Sequence[Value]], spec: ServingSpec) -> dict[str, NDArray[Any]]:
    """Turn captured rows into typed columns, as profiles and `encode_columns` take them."""
    return {feature.name: _column([row[place] for row in rows], feature) for place, feature in enumerate(spec.features)}


def score_columns(scores: NDArray[np.float64], spec: ServingSpec) -> dict[str, NDArray[Any]]:
    """Say in columns what a version answered: `score`, as answers have it, and for classification `label`.

    scores: shape (n, classes) or (n, 1), as the serving spec orders them; NaN where there is none; n above 0.
    """
    if not spec.classes:
        return {"score": scores[:, 0]}
    labels = np.array([label_text(label) for label in spec.classes], dtype=object)[scores.argmax(axis=1)]
    labels[np.isnan(scores).any(axis=1)] = None
    return {"score": scores.max(axis=1) if spec.positive is None else scores[:, spec.positive], "label": labels}


def _fits(capture: Capture, layout: Layout | None) -> bool:
    """Tell whether rows and scores are as wide as their version says. Without a layout they are not looked at."""
    if layout is None:
        return True
    features, outputs = len(layout.spec.features), max(len(layout.spec.classes), 1)
    return all(len(row) == features for row in capture.rows) and all(len(row) == outputs for row in capture.scores)


def _count(captures: Sequence[Capture], layout_of: LayoutOf) -> Summary:
    traffic: defaultdict[TrafficKey, list[Capture]] = defaultdict(list)
    read: defaultdict[tuple[str, int], list[Capture]] = defaultdict(list)
    released: defaultdict[tuple[str, str], list[Capture]] = defaultdict(list)
    for capture in captures:
        traffic[TrafficKey(capture.model, capture.version, capture.arm, capture.at // MS_PER_MINUTE)].append(capture)
        if capture.rows:
            read[capture.model, capture.laid_out_by].append(capture)
        if capture.release is not None and capture.arm != "direct":
            released[capture.model, capture.release].append(capture)
    layouts = {place: layout for place in read if (layout := layout_of(*place))}
    summary = Summary(
        captures=len(captures),
        traffic={stretch: _traffic(found) for stretch, found in traffic.items()},
        served={
            place: _served(answered, layout.spec)
            for place, layout in layouts.items()
            if (answered := [capture for capture in read[place] if capture.answered is not None])
        },
        releases={place: _units(found, layouts) for place, found in released.items()},
    )
    for (model, version), layout in layouts.items():
        summary += Summary(slices=_slices(model, read[model, version], layout))
    return summary


def _traffic(captures: Sequence[Capture]) -> Traffic:
    faults = Counter(capture.fault or UNANSWERED for capture in captures if capture.is_error)
    return Traffic(
        requests=len(captures),
        rows=sum(capture.n for capture in captures),
        unsure=sum(capture.unsure for capture in captures),
        faults=dict(faults),
        latency=profile_numbers(np.array([capture.ms for capture in captures if not capture.cold], dtype=np.float64)),
    )


def _served(captures: Sequence[Capture], spec: ServingSpec) -> Served:
    rows = [row for capture in captures for row in capture.rows]
    scores = np.array([row for capture in captures for row in capture.scores], dtype=np.float64)
    return Served(profile_columns(row_columns(rows, spec)), profile_columns(score_columns(scores, spec)))


def _slices(model: str, captures: Sequence[Capture], layout: Layout) -> dict[SliceKey, Slice]:
    """Count the rows of each value of each sensitive feature that is not hidden and has few of them."""
    rows = [(capture.version, capture.is_error, row) for capture in captures for row in capture.rows]
    versions, failed = (np.array([item[place] for item in rows]) for place in (0, 1))
    scores = np.full(len(rows), np.nan)
    answered = [row for capture in captures if not capture.is_error for row in capture.scores]
    if answered:
        scores[~failed] = score_columns(np.array(answered, dtype=np.float64), layout.spec)["score"]
    slices = {}
    for place, feature in enumerate(layout.spec.features):
        if feature.name not in layout.sensitive - layout.hidden or not has_slices(feature):
            continue
        values = np.array([slice_of(row[place], feature) for *_, row in rows], dtype=object)
        for version, value in sorted(set(zip(versions.tolist(), values.tolist(), strict=True))):
            here = (versions == version) & (values == value)
            slices[SliceKey(model, version, feature.name, value)] = Slice(
                rows=int(here.sum()), failed=int(failed[here].sum()), scores=profile_numbers(scores[here & ~failed])
            )
    return slices


def has_slices(feature: SpecFeature) -> bool:
    """Tell whether a feature has values that rows can be told apart by, and few of them."""
    return feature.type == "boolean" or 0 < len(feature.values) <= MAX_SLICES


def slice_of(value: Value, feature: SpecFeature) -> str:
    """Name the slice that a captured value falls in."""
    text = _text(value, feature)
    if text is None:
        return MISSING
    return text if feature.type == "boolean" or text in feature.values else OTHERS


def _units(captures: Sequence[Capture], layouts: Mapping[tuple[str, int], Layout]) -> Units:
    firsts: dict[str, Unit] = {}
    for capture in captures:
        unit = _unit(capture, layouts.get((capture.model, capture.laid_out_by)))
        firsts[capture.unit] = first_of(unit, firsts.get(capture.unit, unit))
    return Units({}) + Units(firsts, last=max(capture.at for capture in captures))


def _unit(capture: Capture, layout: Layout | None) -> Unit:
    return Unit(
        at=capture.at,
        id=capture.id,
        arm=capture.arm,
        is_error=capture.is_error,
        ms=capture.ms,
        is_cold=capture.cold,
        is_unsure=capture.unsure > 0,
        predicted=_predicted(capture, layout.spec) if layout else None,
    )


def _predicted(capture: Capture, spec: ServingSpec) -> str | float | None:
    """Say what the version that was to answer did answer to the first row: a label as text, or a value."""
    scores = [] if capture.is_error or not capture.scores else capture.scores[0]
    numbers = [score for score in scores if score is not None]
    if not numbers or len(numbers) < len(scores):
        return None
    return label_text(spec.classes[numbers.index(max(numbers))]) if spec.classes else numbers[0]


def _column(values: Sequence[Value], feature: SpecFeature) -> NDArray[Any]:
    """A hashed number is text, and read as missing."""
    if feature.is_numeric:
        return np.array([np.nan if value is None or isinstance(value, str) else float(value) for value in values])
    column = np.empty(len(values), dtype=object)
    column[:] = [_text(value, feature) for value in values]
    return column


def _text(value: Value, feature: SpecFeature) -> str | None:
    """Write a value as the category that serving reads it as."""
    if value is None:
        return None
    text = value.strip() if isinstance(value, str) else label_text(value) if isinstance(value, int) else str(value)
    return None if text.lower() in NO_CATEGORY and text not in feature.values else text
