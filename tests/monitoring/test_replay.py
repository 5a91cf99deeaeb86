"""A replay tells how a challenger answers what the champion was asked: in all, by slice, and row by row."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from serin.contract.serving_spec import Conformal, SpecFeature
from serin.errors import Unverified
from serin.monitoring import replay as module
from serin.monitoring.captures import Capture, read_lines
from serin.monitoring.layout import Layout
from serin.monitoring.replay import Replay, Window, replay, share_interval
from serin.monitoring.rescore import Challenger, Score
from serin.serving.rows.encode import Encoded
from tests.builders import a_capture, a_capture_file, a_spec
from tests.monitoring.world import by_age

WINDOW = Window(1, 2, "2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00", files=1, is_whole=True)
LAYOUT = Layout(a_spec(), sensitive=frozenset({"age", "education"}))


def asked(number: int, *rows: tuple[int | None, str | None], **changes: Any) -> Capture:
    """A request that the champion answered with yes, surely."""
    values = [[age, None, school] for age, school in rows]
    line = a_capture(number, n=len(rows), rows=values, **{"scores": [[0.1, 0.9]] * len(rows), **changes})
    (capture,) = read_lines(a_capture_file(line))
    assert isinstance(capture, Capture)
    return capture


def replayed(*captures: Capture, layout: Layout = LAYOUT, score: Score = by_age, **spec: Any) -> Replay:
    found = replay(captures, WINDOW, layout, Challenger(a_spec(**spec), b"onnx"), score)
    assert Replay.from_json(found.to_json()) == found
    return found


def test_requests_count_once_however_many_of_their_rows_flip() -> None:
    found = replayed(asked(1, (60, "school")), asked(2, (20, "school"), (21, "school")), asked(3, (60, "school")))
    assert (found.requests, found.rows, found.disagreeing, found.faults, found.finding) == (3, 4, 1, 0, "")
    assert found.delta == pytest.approx(0.4)


def test_each_value_of_a_sensitive_feature_is_a_slice_and_numbers_are_cut_in_thirds() -> None:
    ages = (20, 30, 40, 50, 60, 70)
    found = replayed(*[asked(age, (age, "college" if age < 60 else None)) for age in ages], asked(1, (None, "odd")))
    slices = {(part.feature, part.value): (part.requests, part.disagreeing) for part in found.slices}
    assert slices == {
        ("age", "up to 36.6667"): (2, 2),
        ("age", "above 36.6667 up to 53.3333"): (2, 1),
        ("age", "above 53.3333"): (2, 0),
        ("age", "(missing)"): (1, 1),
        ("education", "college"): (4, 3),
        ("education", "(missing)"): (2, 0),
        ("education", "(others)"): (1, 1),
    }
    college = next(part for part in found.slices if part.value == "college")
    assert (college.share, college.interval) == (0.75, share_interval(3, 4))


def test_a_request_is_in_each_slice_that_it_has_a_row_in() -> None:
    found = replayed(asked(1, (20, "college"), (60, "school")), layout=Layout(a_spec(), frozenset({"education"})))
    slices = {part.value: (part.requests, part.disagreeing) for part in found.slices}
    assert slices == {"college": (1, 1), "school": (1, 0)}


def test_what_is_hidden_or_has_too_many_values_is_no_slice() -> None:
    many = SpecFeature("education", "category", values=tuple(map(str, range(51))), allows_missing=True)
    spec = a_spec(features=(*a_spec().features[:2], many))
    only_age = a_spec(features=a_spec().features[:1])
    hidden = replace(LAYOUT, hidden=frozenset({"education"}), sensitive=frozenset({"education"}))
    assert replayed(asked(1, (20, "7")), layout=Layout(spec, frozenset({"education"}))).slices == ()
    assert replay([asked(1, (20, "x"))], WINDOW, hidden, Challenger(only_age, b""), by_age).slices == ()


def test_the_rows_that_flip_are_listed_as_captured_with_both_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    captures = [
        asked(0, (60, None)),
        asked(1, (60, "school"), (20, "school")),
        asked(2, (99, None)),
        asked(3, (30, None)),
    ]
    first, second, _ = replayed(*captures).flipped
    assert (first.prediction, first.place, first.values) == (
        captures[1].id,
        1,
        {"age": 20, "salary": None, "education": "school"},
    )
    assert (first.champion, first.challenger) == ((0.1, 0.9), pytest.approx((0.9, 0.1)))
    assert (second.prediction, second.challenger) == (captures[2].id, (None, None))
    monkeypatch.setattr(module, "LISTED", 2)
    assert len(replayed(*captures).flipped) == 2


def test_a_request_without_a_number_is_a_fault_and_no_disagreement() -> None:
    found = replayed(asked(1, (99, None), (20, None)), asked(2, (60, None)))
    assert (found.requests, found.disagreeing, found.faults, found.finding) == (2, 0, 1, "it gave no number")


def refuse(*_: Any) -> NDArray[np.float64]:
    raise Unverified("the model ended its process with status -11")


def test_a_challenger_that_cannot_be_run_fails_on_everything() -> None:
    found = replayed(asked(1, (60, None)), asked(2, (60, None)), score=refuse)
    assert (found.requests, found.faults) == (2, 2)
    assert "status -11" in found.finding
    odd = replayed(asked(1, (60, None)), score=lambda *_: np.zeros((1, 3)))
    assert (odd.faults, "shape" in odd.finding) == (1, True)


def test_what_cannot_be_compared_is_no_fault() -> None:
    hidden = Layout(a_spec(), hidden=frozenset({"age"}))
    found = replayed(asked(1, (60, None)), layout=hidden)
    assert (found.requests, found.faults, found.finding.startswith("captures hide age")) == (0, 0, True)
    assert "no captured request" in replayed().finding


def its_age(onnx: bytes, spec: bytes, encoded: Encoded) -> NDArray[np.float64]:
    return encoded.numeric[:, :1].astype(np.float64)


def test_a_value_outside_the_champions_interval_is_another_answer() -> None:
    spec = a_spec(task="regression", classes=(), positive=None)
    captures = [asked(number, (age, None), scores=[[50.0]]) for number, age in enumerate((49, 52, 56))]
    plain = {"task": "regression", "classes": (), "positive": None}
    sure = Layout(replace(spec, uncertainty=Conformal(0.9, 5.0, 100)))
    assert replayed(*captures, layout=sure, score=its_age, **plain).disagreeing == 1
    found = replayed(*captures, layout=Layout(spec), score=its_age, **plain)
    assert (found.disagreeing, found.delta) == (0, pytest.approx(3.0)), "without an interval nothing is too far"


@pytest.mark.parametrize(
    ("events", "of", "expected"), [(0, 10, (0, 0.2775)), (5, 10, (0.2366, 0.7634)), (1, 1, (0.2065, 1))]
)
def test_the_interval_of_a_share_is_wilsons(events: int, of: int, expected: tuple[float, float]) -> None:
    assert share_interval(events, of) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("text", [b"{}", b"nothing", json.dumps({"format": 2}).encode()])
def test_what_is_no_replay_is_not_read(text: bytes) -> None:
    with pytest.raises(Unverified):
        Replay.from_json(text)
