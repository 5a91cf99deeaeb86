"""What does one capture file come to? Each request counts once; its rows are profiled as their version reads them.

What turned out of predictions, these or earlier ones, is kept to be joined to them. Of a file that comes twice:
summary_per_file.py.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from serin.contract.serving_spec import ServingSpec
from serin.monitoring.captures import read_lines
from serin.monitoring.layout import (
    Layout,
    LayoutOf,
    has_slices,
    predicted,
    row_columns,
    score_columns,
    slice_of,
)
from serin.monitoring.summary import MS_PER_MINUTE, Served, Slice, SliceKey, Summary, Traffic, TrafficKey
from serin.monitoring.truths import ReceivedTruth, Truths, earlier
from serin.monitoring.units import Unit, Units, first_of
from serin.profile.profile import profile_columns, profile_numbers
from serin.serving.lines import Capture, Feedback
from serin.serving.prediction_id import row_id

AT_ONCE = 20_000  # captures and rows held in memory before they are counted
MAX_TRUTHS = 100_000  # kept of one file: some 4 MB
UNANSWERED = "unanswered"


def summarise(content: bytes, layout_of: LayoutOf) -> Summary:
    """Summarise a capture file. layout_of: how a version's rows are read; None where there is no such version.

    A line that is neither a capture nor feedback, or whose rows are not the version's, is counted and skipped; a
    prediction that stands there twice counts once. Raises as `read_lines`.
    """
    left_out: Counter[str] = Counter()
    truths: defaultdict[str, dict[str, ReceivedTruth]] = defaultdict(dict)
    summary, batch, held = Summary(), [], 0
    for line in _lines_once(content, layout_of, left_out):
        if isinstance(line, Feedback):
            _keep(line, truths[line.model], left_out)
            continue
        batch.append(line)
        held += 1 + len(line.rows)
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
    return (line for line in _lines_once(content, layout_of, left_out) if isinstance(line, Capture))


def _lines_once(content: bytes, layout_of: LayoutOf, left_out: Counter[str]) -> Iterator[Capture | Feedback]:
    seen: set[tuple[str, str]] = set()
    for line in read_lines(content):
        if isinstance(line, Feedback):
            yield line
        elif line is None or not _fits(line, layout_of):
            left_out["skipped"] += 1
        elif (line.model, line.id) in seen:
            left_out["repeated"] += 1
        else:
            seen.add((line.model, line.id))
            yield line


def _fits(capture: Capture, layout_of: LayoutOf) -> bool:
    """Tell whether rows and scores are as wide as their version says. Without a layout they are not looked at."""
    layout = layout_of(capture.model, capture.laid_out_by)
    return layout is None or layout.fits(capture)


def _keep(feedback: Feedback, known: dict[str, ReceivedTruth], left_out: Counter[str]) -> None:
    """Keep what turned out of a row: of one that comes twice the first."""
    name, truth = row_id(feedback.id, feedback.row), ReceivedTruth(feedback.at, feedback.truth)
    if name in known or len(known) < MAX_TRUTHS:
        known[name] = earlier(truth, known.get(name, truth))
    else:
        left_out["truths"] += 1


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
        traffic={key: _traffic(requests) for key, requests in traffic.items()},
        served={
            place: _served(answered, layout.spec)
            for place, layout in layouts.items()
            if (answered := [capture for capture in read[place] if capture.answered is not None])
        },
        releases={place: _units(split, layouts) for place, split in released.items()},
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
        predicted=predicted(capture, layout.spec) if layout else None,
    )
