"""What would a challenger have answered to what the champion was asked before? In all, by slice, and row by row."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from serin.contract.serving_spec import SpecFeature
from serin.errors import Refused, Unverified
from serin.monitoring.layout import MISSING, Layout, has_slices, row_columns, slice_of
from serin.monitoring.rescore import Challenger, Rescored, Score, rescore
from serin.serving.lines import Capture, Value

FORMAT = 1
LISTED = 100
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Window:
    """What was replayed. champion, challenger: versions; since, until: ISO times; files: how many were read.

    is_whole: whether all of that time was, rather than the newest part of it alone.
    """

    champion: int
    challenger: int
    since: str
    until: str
    files: int = 0
    is_whole: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """The requests that held a row of one slice of a sensitive feature.

    disagreeing: those where such a row got another answer or none; share: of the requests, with its 95% interval.
    """

    feature: str
    value: str
    requests: int
    disagreeing: int
    share: float
    interval: tuple[float, float]


@dataclass(frozen=True, slots=True)
class ReplayedRow:
    """A row that got another answer, or no number. prediction: its id; place: in that request, from 0.

    values: as captured. challenger: its scores in the champion's order, None for what is no number.
    """

    prediction: str
    place: int
    values: dict[str, Value]
    champion: tuple[float, ...]
    challenger: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Replay:
    """How a challenger did on captured requests, one of each entity.

    disagreeing: requests with a row that got another answer; faults: with one that got no number, not counted twice.
    finding: why the challenger could not be run, which makes every request a fault, or why nothing could be compared.
    delta: the mean difference of the scores. slices: of each sensitive feature. flipped: the first rows.
    """

    window: Window
    requests: int = 0
    rows: int = 0
    disagreeing: int = 0
    faults: int = 0
    finding: str = ""
    delta: float | None = None
    slices: tuple[Part, ...] = ()
    flipped: tuple[ReplayedRow, ...] = ()

    def to_json(self) -> bytes:
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1, ensure_ascii=False, allow_nan=False).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Replay:
        """Read one. Raises Unverified where it is none, or of a format this code does not know."""
        try:
            data = json.loads(text)
            if data["format"] != FORMAT:
                raise Unverified(f"the replay has format {data['format']}; this version of Serin reads {FORMAT}")
            return msgspec.convert(data, cls)
        except (msgspec.ValidationError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise Unverified(f"the replay cannot be read: {error}") from error


def replay(captures: Sequence[Capture], window: Window, layout: Layout, challenger: Challenger, score: Score) -> Replay:
    """Let the challenger answer these requests. What is wrong with it is a finding, not an error."""
    if not captures:
        return Replay(window, finding="no captured request of the champion was found")
    rows = sum(len(capture.rows) for capture in captures)
    try:
        scored = rescore(captures, layout, challenger, score)
    except Refused as error:
        return Replay(window, finding=error.message)
    except Unverified as error:
        return Replay(window, len(captures), rows, faults=len(captures), finding=error.message)
    requests = np.repeat(np.arange(len(captures)), [len(capture.rows) for capture in captures])
    failed = np.unique(requests[~scored.is_number])
    flipped = np.setdiff1d(requests[scored.is_flipped], failed)
    return Replay(
        window=window,
        requests=len(captures),
        rows=rows,
        disagreeing=len(flipped),
        faults=len(failed),
        finding="it gave no number" if len(failed) else "",
        delta=float(scored.delta[scored.is_number].mean()) if scored.is_number.any() else None,
        slices=tuple(_parts(scored, requests, layout)),
        flipped=tuple(_rows(scored, captures, requests, layout)),
    )


def share_interval(events: int, of: int) -> tuple[float, float]:
    """Bound a share, at 95%. of: at least 1. Source: Wilson, Probable Inference (1927)."""
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    share, widened = events / of, 1 + z * z / of
    middle = (share + z * z / (2 * of)) / widened
    half = z / widened * (share * (1 - share) / of + z * z / (4 * of * of)) ** 0.5
    return max(middle - half, 0.0), min(middle + half, 1.0)


def _parts(scored: Rescored, requests: NDArray[np.int64], layout: Layout) -> Iterator[Part]:
    is_apart, columns = scored.is_flipped | ~scored.is_number, row_columns(scored.rows, layout.spec)
    for place, feature in enumerate(layout.spec.features):
        if feature.name not in layout.sensitive - layout.hidden:
            continue
        names = _slices([row[place] for row in scored.rows], columns[feature.name], feature)
        for name in sorted(set(names)):
            is_here = np.array([other == name for other in names])
            held, apart = (len(np.unique(requests[rows])) for rows in (is_here, is_here & is_apart))
            yield Part(feature.name, name, held, apart, apart / held, share_interval(apart, held))


def _slices(values: Sequence[Value], column: NDArray[Any], feature: SpecFeature) -> list[str]:
    """Name each row's slice: its value, or in which third of the rows its number lies. Text of too many has none."""
    if has_slices(feature):
        return [slice_of(value, feature) for value in values]
    if not feature.is_numeric:
        return []
    present = column[~np.isnan(column)]
    low, high = np.quantile(present, [1 / 3, 2 / 3]) if len(present) else (0.0, 0.0)
    thirds = [f"up to {low:g}", f"above {low:g} up to {high:g}", f"above {high:g}"]
    return [MISSING if np.isnan(number) else thirds[int(number > low) + int(number > high)] for number in column]


def _rows(
    scored: Rescored, captures: Sequence[Capture], requests: NDArray[np.int64], layout: Layout
) -> Iterator[ReplayedRow]:
    first = np.searchsorted(requests, requests)  # the place of each request's first row
    names = [feature.name for feature in layout.spec.features]
    for row in np.flatnonzero(scored.is_flipped | ~scored.is_number)[:LISTED].tolist():
        yield ReplayedRow(
            prediction=captures[requests[row]].id,
            place=row - int(first[row]),
            values=dict(zip(names, scored.rows[row], strict=True)),
            champion=tuple(scored.ours[row].tolist()),
            challenger=tuple(score if np.isfinite(score) else None for score in scored.theirs[row].tolist()),
        )
