"""Feedback is joined to its prediction once, whichever is read first, and judges both arms at the same age."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serin.contract.keys_and_defaults import Release as Section
from serin.monitoring import summarise as module
from serin.monitoring.layout import Layout
from serin.monitoring.minutes import Minute, count_minutes
from serin.monitoring.summarise import summarise
from serin.monitoring.summary import Summary
from serin.monitoring.truths import ReceivedTruth, Terms, Truths
from serin.registry.keys import summary_key
from serin.release import load_evidence as module_of_release
from serin.release.evidence import FeedbackCount
from serin.release.load_evidence import arrived_minutes, complete_minutes, feedback_of, load_evidence
from serin.release.plan import Plan, resolve_plan
from tests.builders import a_capture, a_capture_file, a_feedback, a_release, a_spec
from tests.fakes import FakeObjects

START = datetime(2026, 1, 1, tzinfo=UTC)
MS = int(START.timestamp() * 1000)
LAYOUT = Layout(a_spec())
RELEASE = a_release(version=2, started_at=START.isoformat())
PLACE = (RELEASE.model, RELEASE.trial)
HOUR = Terms(within=3_600_000, before=MS + 10**9)


def summary_of(*lines: dict[str, Any] | bytes, layout: Layout = LAYOUT) -> Summary:
    return summarise(a_capture_file(*lines), lambda *_: layout)


def asked(number: int, **changes: Any) -> dict[str, Any]:
    """A prediction of the trial, whose answer is yes."""
    version = {"version": 2, "answered": 2} if changes.get("arm") == "challenger" else {}
    return a_capture(number, release=RELEASE.trial, **version, **changes)


def judged(summary: Summary, terms: Terms = HOUR) -> tuple[int, int]:
    """How many units were judged, and how many of them were wrong."""
    found = count_minutes(summary.units(*PLACE), summary.truths.get(PLACE[0]), slow_after_ms=1, terms=terms)
    arms = [counts for minute in found for counts in (minute.champion, minute.challenger)]
    return sum(counts.judged for counts in arms), sum(counts.wrong for counts in arms)


def test_an_answer_is_wrong_where_another_label_turned_out() -> None:
    known = summary_of(asked(1), asked(2), asked(3), a_feedback(1), a_feedback(2, truth="no"))
    assert judged(known) == (2, 1)


@pytest.mark.parametrize(
    ("classes", "truth", "expected"),
    [
        ((1, 2), 2, (1, 0)),
        ((1, 2), 1, (1, 1)),
        ((False, True), True, (1, 0)),
        ((False, True), False, (1, 1)),
        ((1, 2), 1.5, (0, 0)),
    ],
    ids=str,
)
def test_labels_of_any_kind_are_compared(classes: Any, truth: Any, expected: tuple[int, int]) -> None:
    layout = Layout(a_spec(classes=classes))
    assert judged(summary_of(asked(1), a_feedback(1, truth=truth), layout=layout)) == expected


@pytest.mark.parametrize(
    ("tolerance", "truth", "expected"),
    [(0.5, 7, (1, 0)), (0.5, 8.0, (1, 0)), (0.5, 8.25, (1, 1)), (None, 7.0, (0, 0)), (0.5, "7", (0, 0))],
)
def test_a_value_is_wrong_beyond_the_tolerance(tolerance: float | None, truth: Any, expected: tuple[int, int]) -> None:
    layout = Layout(a_spec(task="regression", classes=(), positive=None))
    known = summary_of(asked(1, scores=[[7.5]]), a_feedback(1, truth=truth), layout=layout)
    assert judged(known, Terms(HOUR.within, HOUR.before, tolerance)) == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"arm": "challenger", "answered": 1, "fault": "raised"},
        {"answered": None, "fault": "not_a_number", "scores": []},
        {"rows": [], "scores": []},
        {"scores": [[None, 0.5]]},
    ],
    ids=["the champion answered", "nobody answered", "nothing kept", "no number"],
)
def test_what_a_version_did_not_answer_is_not_judged(changes: dict[str, Any]) -> None:
    line = a_capture(1, release=RELEASE.trial, version=2, **{"answered": 2, "fault": None} | changes)
    assert judged(summary_of(line, a_feedback(1, truth="no"))) == (0, 0)


def test_a_request_of_several_rows_is_judged_by_its_first() -> None:
    rows = {"n": 2, "rows": [[41, 1.0, "college"]] * 2, "scores": [[0.2, 0.8], [0.8, 0.2]]}
    assert judged(summary_of(asked(1, **rows), a_feedback(1), a_feedback(1, row=1, truth="yes"))) == (1, 0)
    assert judged(summary_of(asked(1, **rows), a_feedback(1, row=1))) == (0, 0)


def test_only_the_first_request_of_an_entity_is_judged() -> None:
    again = [asked(number, unit="0" * 16) for number in (1, 2)]
    assert judged(summary_of(*again, a_feedback(1), a_feedback(2, truth="no"))) == (1, 0)


def test_the_first_that_was_received_counts_and_again_is_as_once() -> None:
    lines = [a_feedback(1, at=MS + 9_000, truth="no"), a_feedback(1, at=MS + 5_000), a_feedback(1, at=MS + 5_000)]
    assert judged(summary_of(asked(1), *lines)) == (1, 0)
    assert judged(summary_of(asked(1)) + summary_of(lines[0]) + summary_of(lines[1])) == (1, 0)


def test_feedback_counts_that_came_in_time_on_predictions_that_are_old_enough() -> None:
    known = summary_of(asked(10), a_feedback(10, at=MS + 10_000 + 60_000))
    assert judged(known, Terms(within=60_000, before=MS + 10_001)) == (1, 0)
    assert judged(known, Terms(within=59_999, before=MS + 10_001)) == (0, 0)
    assert judged(known, Terms(within=60_000, before=MS + 10_000)) == (0, 0)


def test_a_file_keeps_no_more_than_a_summary_holds_and_counts_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TRUTHS", 2)
    found = summary_of(a_feedback(1), a_feedback(2), a_feedback(3), a_feedback(1, truth="no"), a_feedback(4))
    assert (sorted(found.truths["loans"].known), found.left_out) == ([f"{1:016x}-0", f"{2:016x}-0"], 2)


def test_it_is_written_and_read_with_a_summary() -> None:
    truths = [a_feedback(1), a_feedback(2, truth=True), a_feedback(3, truth=2), a_feedback(4, truth=2.0)]
    found = summary_of(asked(1), *truths)
    again = Summary.from_json(found.to_json())
    assert again == found
    assert [type(truth.value) for truth in again.truths["loans"].known.values()] == [str, bool, int, float]


def test_a_summary_from_before_there_was_feedback_is_read() -> None:
    said = json.loads(summary_of(asked(1)).to_json())
    del said["truths"], said["left_out"]
    for _, _, firsts in said["releases"]:
        for unit in firsts.values():
            del unit[-1]
    assert judged(Summary.from_json(json.dumps(said).encode())) == (0, 0)


@pytest.mark.parametrize(
    "changes",
    [{"truth": None}, {"truth": [1]}, {"row": 1000}, {"id": "../x"}, {"v": 2}, {"model": "Loans"}],
    ids=str,
)
def test_a_line_that_is_no_feedback_is_skipped(changes: dict[str, Any]) -> None:
    found = summary_of(a_feedback(1, **changes))
    assert (found.skipped, found.truths) == (1, {})


# -- joined over many files, in any order -------------------------------------------------------------

PLAN = resolve_plan(
    Section.model_validate({"feedback_within": "5m", "margins": {"wrong": "2%"}}).model_dump(mode="json"),
    seconds_per_plan_minute=60.0,
)
LINES = st.one_of(
    st.builds(
        asked,
        number=st.integers(1, 12),
        at=st.integers(0, 8).map(lambda minute: MS + minute * 60_000),
        arm=st.sampled_from(["champion", "challenger"]),
        unit=st.integers(0, 5).map(lambda entity: f"{entity:016x}"),
        scores=st.sampled_from([[[0.2, 0.8]], [[0.8, 0.2]]]),
    ),
    st.builds(
        a_feedback,
        number=st.integers(1, 16),
        at=st.integers(0, 14).map(lambda minute: MS + minute * 60_000),
        truth=st.sampled_from(["no", "yes"]),
        row=st.integers(0, 1),
    ),
)


def by_hand(lines: list[dict[str, Any]], now: datetime) -> dict[tuple[int, str], tuple[int, int]]:
    """Join the slow way: by minute and arm, how many were judged and how many of these were wrong."""
    firsts: dict[str, dict[str, Any]] = {}
    for line in sorted(lines, key=lambda line: (line["at"], line["id"])):
        if line["serin"] == "capture":
            firsts.setdefault(line["unit"], line)
    truths: dict[str, dict[str, Any]] = {}
    for line in sorted(lines, key=lambda line: (line["at"], line.get("truth", ""))):
        if line["serin"] == "feedback" and line["row"] == 0:
            truths.setdefault(line["id"], line)
    ripe = (now - timedelta(minutes=2, seconds=5) - timedelta(minutes=5)).timestamp() // 60
    found: dict[tuple[int, str], tuple[int, int]] = {}
    for line in firsts.values():
        minute, truth = line["at"] // 60_000, truths.get(line["id"])
        if truth and minute < ripe and truth["at"] - line["at"] <= 300_000:
            many, wrong = found.get((minute, line["arm"]), (0, 0))
            is_wrong = (line["scores"] == [[0.2, 0.8]]) != (truth["truth"] == "yes")
            found[minute, line["arm"]] = many + 1, wrong + is_wrong
    return found


def counted(minutes: list[Minute]) -> dict[tuple[int, str], tuple[int, int]]:
    arms = ("champion", "challenger")
    found = {(minute.at, arm): getattr(minute, arm) for minute in minutes for arm in arms}
    return {place: (counts.judged, counts.wrong) for place, counts in found.items() if counts.judged}


@settings(deadline=None, max_examples=60)
@given(
    files=st.lists(st.lists(LINES, max_size=10), min_size=1, max_size=4),
    order=st.lists(st.integers(0, 3), max_size=8),
    age=st.integers(5, 25),
)
def test_the_join_is_the_same_whatever_is_read_first_and_however_often(
    files: list[list[dict[str, Any]]], order: list[int], age: int
) -> None:
    captured: set[str] = set()
    for lines in files:
        lines[:] = [line for line in lines if line["serin"] == "feedback" or not _seen(line["id"], captured)]
    data, now = FakeObjects(), START + timedelta(minutes=age)
    for number in (*(place % len(files) for place in order), *range(len(files))):
        put(data, number, files[number])
        load_evidence(data, PLAN, RELEASE, now)
    seen = load_evidence(data, PLAN, RELEASE, now)
    written = [line for lines in files for line in lines]
    assert counted(complete_minutes(arrived_minutes(seen, PLAN, RELEASE, now), PLAN, now)) == by_hand(written, now)
    ids = {line["id"] for line in written if line["serin"] == "feedback" and line["row"] == 0}
    found = feedback_of(seen)
    assert found.joined + found.others == len(ids)


def _seen(name: str, before: set[str]) -> bool:
    """Tell whether a name was met before; it is met now."""
    is_seen = name in before
    before.add(name)
    return is_seen


def put(data: FakeObjects, number: int, lines: list[dict[str, Any]]) -> None:
    """Store a file's summary, as `summarise` does when the file comes, or comes again."""
    key = summary_key(f"captures/dt=2026-01-01/hour=00/{number}.jsonl.gz")
    data.put(key, summary_of(*lines).to_json())


def test_feedback_on_what_nobody_knows_is_kept_aside_and_counted() -> None:
    data = FakeObjects()
    put(data, 1, [asked(1), a_feedback(1), a_feedback(99)])
    assert feedback_of(load_evidence(data, PLAN, RELEASE, START)) == FeedbackCount(joined=1, others=1)
    put(data, 2, [asked(99)])  # late is not never
    assert feedback_of(load_evidence(data, PLAN, RELEASE, START)) == FeedbackCount(joined=2, others=0)


def test_past_a_bound_only_feedback_that_a_unit_waits_for_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module_of_release, "KEPT_TRUTHS", 3)
    data = FakeObjects()
    put(data, 1, [*map(asked, range(30, 40)), *map(a_feedback, range(40))])
    assert feedback_of(load_evidence(data, PLAN, RELEASE, START)) == FeedbackCount(joined=10, others=3)


def test_another_models_feedback_is_not_read() -> None:
    data = FakeObjects()
    put(data, 1, [asked(1), a_feedback(1, model="other")])
    assert feedback_of(load_evidence(data, PLAN, RELEASE, START)) == FeedbackCount(joined=0, others=0)


def test_truths_merge_as_a_union() -> None:
    one, other = Truths({"a": ReceivedTruth(2, "no")}), Truths({"a": ReceivedTruth(1, "yes"), "b": ReceivedTruth(1, 1)})
    assert one + other == other + one == Truths({"a": ReceivedTruth(1, "yes"), "b": ReceivedTruth(1, 1)})


def a_plan(**said: Any) -> Plan:
    return resolve_plan(Section.model_validate(said).model_dump(mode="json"), seconds_per_plan_minute=1.0)


def test_by_default_no_release_waits_for_feedback() -> None:
    for strategy in ("canary", "blue_green", "ab"):
        assert "wrong" not in a_plan(strategy=strategy).margins


def test_the_time_that_feedback_has_is_scaled_as_all_of_a_plan() -> None:
    assert (a_plan().feedback_seconds, a_plan(feedback_within="5m").feedback_seconds) == (1440, 5)
