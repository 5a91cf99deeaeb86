"""Summaries count each request once, and merge to the same whatever the order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serin.errors import Unverified
from serin.monitoring import units
from serin.monitoring.layout import Layout, score_columns
from serin.monitoring.minutes import Counts, Minute, count_minutes
from serin.monitoring.summarise import AT_ONCE, summarise
from serin.monitoring.summary import KEPT_FLIPS, DisagreementExample, Flips, SliceKey, Summary, TrafficKey
from serin.profile.profile import Categories
from tests.builders import a_capture, a_capture_file, a_release, a_spec

MINUTE = 1_767_225_600_000 // 60_000
RELEASE = a_release(version=2)
PLACE = (RELEASE.model, RELEASE.id)
LAYOUT = Layout(a_spec(), sensitive=frozenset({"age", "education"}))


def layouts(model: str, version: int) -> Layout | None:
    return LAYOUT if model == "loans" and version < 9 else None


def summary_of(*lines: dict[str, Any] | bytes) -> Summary:
    return summarise(a_capture_file(*lines), layouts)


def in_release(number: int, **changes: Any) -> dict[str, Any]:
    return a_capture(number, release=RELEASE.id, **changes)


CAPTURES = st.builds(
    a_capture,
    number=st.integers(0, 30),
    at=st.integers(0, 5).map(lambda second: MINUTE * 60_000 + second * 25_000),
    release=st.sampled_from([None, RELEASE.id]),
    arm=st.sampled_from(["champion", "challenger", "direct"]),
    unit=st.integers(0, 6).map(lambda entity: f"{entity * 7919 % 13:016x}"),
    version=st.sampled_from([1, 2, 9]),
    ms=st.sampled_from([0.5, 20.0, 300.0]),
    cold=st.booleans(),
    fault=st.sampled_from([None, None, "late"]),
    unsure=st.integers(0, 1),
)
FILES = st.lists(st.lists(CAPTURES, max_size=8), min_size=1, max_size=4)


@pytest.mark.parametrize("kept", [20_000, 3])
@settings(deadline=None, max_examples=40)
@given(files=FILES, order=st.randoms(use_true_random=False))
def test_merging_gives_the_same_whatever_the_order(kept: int, files: list[list[dict[str, Any]]], order: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(units, "KEPT_UNITS", kept)
        parts = [summary_of(*lines) for lines in files]
        straight = sum(parts, Summary())
        order.shuffle(parts)
        while len(parts) > 1:  # in any shape of a tree
            parts.append(parts.pop(order.randrange(len(parts))) + parts.pop(order.randrange(len(parts))))
        assert parts[0] == straight
        assert parts[0].to_json() == straight.to_json()
        assert Summary.from_json(straight.to_json()) == straight


@settings(deadline=None, max_examples=40)
@given(FILES)
def test_an_entity_counts_once_in_a_release_by_its_first_request(files: list[list[dict[str, Any]]]) -> None:
    for number, line in enumerate(line for lines in files for line in lines):
        line["id"] = f"{number:016x}"
    merged = sum((summary_of(*lines) for lines in files), Summary())
    counted = count_minutes(merged.units(*PLACE), slow_after_ms=100)
    firsts: dict[str, dict[str, Any]] = {}
    for line in sorted((line for lines in files for line in lines), key=lambda line: (line["at"], line["id"])):
        if line["release"] and line["arm"] != "direct":
            firsts.setdefault(line["unit"], line)
    for arm in ("champion", "challenger"):
        mine = [line for line in firsts.values() if line["arm"] == arm]
        found = [getattr(minute, arm) for minute in counted]
        assert sum(counts.units for counts in found) == len(mine)
        assert sum(counts.error for counts in found) == sum(line["fault"] is not None for line in mine)
        assert sum(counts.unsure for counts in found) == sum(line["unsure"] for line in mine)
        timed = [line for line in mine if not line["cold"]]
        assert sum(counts.timed for counts in found) == len(timed)
        assert sum(counts.slow for counts in found) == sum(line["ms"] > 100 for line in timed)


def test_past_the_bound_entities_of_the_lowest_hashes_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units, "KEPT_UNITS", 10)
    lines = [in_release(number) for number in range(50)]
    kept = summary_of(*lines[:25]) + summary_of(*lines[25:])
    assert list(kept.releases["loans", RELEASE.id].firsts) == sorted(line["unit"] for line in lines)[:10]


def test_minutes_hold_both_arms_and_come_in_the_order_of_time() -> None:
    summary = summary_of(
        in_release(70, arm="challenger", version=2, fault="raised"),
        in_release(1, ms=150.0),
        in_release(2, ms=150.0, cold=True),
        in_release(3, arm="challenger", version=2, answered=2, unsure=1),
        in_release(4, arm="direct"),
        a_capture(5),
    )
    assert count_minutes(summary.units(*PLACE), slow_after_ms=100) == (
        Minute(MINUTE, Counts(units=2, timed=1, slow=1), Counts(units=1, timed=1, unsure=1)),
        Minute(MINUTE + 1, Counts(), Counts(units=1, timed=1, error=1)),
    )
    assert count_minutes(summary.units(*PLACE), slow_after_ms=200)[0].champion.slow == 0
    assert count_minutes(summary.units("loans", "another"), slow_after_ms=100) == ()


def test_a_prediction_that_stands_in_a_file_twice_counts_once() -> None:
    once = summary_of(a_capture(1), a_capture(2))
    twice = summary_of(a_capture(1), a_capture(2), a_capture(1))
    assert twice.repeated == 1
    assert twice + Summary(repeated=-1) == once


def test_what_is_no_capture_or_does_not_fit_its_version_is_counted_and_skipped() -> None:
    summary = summary_of(b"END RequestId: 1", a_capture(1, rows=[[41]]), a_capture(2, scores=[[1.0]]), a_capture(3))
    assert (summary.captures, summary.skipped) == (1, 3)


def test_traffic_is_counted_by_version_arm_and_minute() -> None:
    summary = summary_of(
        a_capture(1, n=3, unsure=2, ms=2.0),
        a_capture(2, ms=900.0, cold=True),
        a_capture(3, fault="late"),
        a_capture(4, answered=None, scores=[]),
        a_capture(5, version=2, arm="challenger"),
        a_capture(61),
    )
    traffic = summary.traffic[TrafficKey("loans", 1, "champion", MINUTE)]
    assert (traffic.requests, traffic.rows, traffic.unsure) == (4, 6, 2)
    assert traffic.faults == {"late": 1, "unanswered": 1}
    assert traffic.latency.maximum == 2.0, "a cold start is not timed"
    assert sum(traffic.latency.bins.values()) == 3
    assert {(key.version, key.minute - MINUTE) for key in summary.traffic} == {(1, 0), (2, 0), (1, 1)}


def test_rows_and_scores_are_profiled_for_the_version_that_answered() -> None:
    summary = summary_of(
        a_capture(1, rows=[[41, 100.0, "college"], [20, None, None]], scores=[[0.2, 0.8], [0.9, 0.1]]),
        a_capture(2, version=2, fault="raised", answered=1),
        a_capture(3, answered=None, scores=[]),
    )
    served = summary.served["loans", 1]
    assert (served.rows.rows, served.scores.rows) == (3, 3)
    assert served.rows.columns["education"] == Categories(missing=1, counts={"college": 2})
    assert served.scores.columns["label"] == Categories(missing=0, counts={"no": 1, "yes": 2})
    assert set(summary.served) == {("loans", 1)}


def test_categories_are_read_as_serving_reads_them() -> None:
    said = [" college", "N/A", None, True, 12345678901234567]
    summary = summary_of(*[a_capture(number, rows=[[41, 1, value]]) for number, value in enumerate(said)])
    assert summary.served["loans", 1].rows.columns["education"] == Categories(
        missing=2, counts={"12345678901234567": 1, "college": 1, "true": 1}
    )


def test_a_version_that_nobody_knows_counts_as_traffic_alone() -> None:
    summary = summary_of(a_capture(1, version=9, answered=9, rows=[["?"]], scores=[[1.0]]))
    assert (summary.captures, summary.skipped, len(summary.traffic), summary.served) == (1, 0, 1, {})


def test_slices_of_sensitive_features_count_rows_failures_and_scores() -> None:
    rows = [[41, 1.0, "college"], [41, 1.0, "school"], [41, 1.0, None], [41, 1.0, "kindergarten"]]
    scores = [[1 - score, score] for score in (0.75, 0.5, 0.25, 0.125)]
    failed = a_capture(2, version=2, fault="raised", answered=1)
    slices = summary_of(a_capture(1, n=4, rows=rows, scores=scores), failed).slices
    assert {key.value for key in slices} == {"college", "school", "(missing)", "(others)"}
    assert {key.feature for key in slices} == {"education"}, "age has too many values"
    college, other = (
        slices[SliceKey("loans", 1, "education", "college")],
        slices[SliceKey("loans", 2, "education", "college")],
    )
    assert (college.rows, college.failed, college.scores.maximum) == (1, 0, 0.75)
    assert (other.rows, other.failed, other.scores.maximum) == (1, 1, None)


def test_what_captures_hide_is_not_sliced() -> None:
    hidden = Layout(a_spec(), sensitive=frozenset({"education"}), hidden=frozenset({"education"}))
    assert summarise(a_capture_file(a_capture()), lambda *_: hidden).slices == {}


def test_a_file_of_more_than_is_held_at_once_counts_whole() -> None:
    lines = [
        in_release(number, n=100, rows=[[41, 1.0, "school"]] * 100, scores=[[0.5, 0.5]] * 100) for number in range(250)
    ]
    summary = summary_of(*lines)
    assert summary.served["loans", 1].rows.rows == 25_000 > AT_ONCE
    assert (summary.captures, len(summary.releases["loans", RELEASE.id].firsts)) == (250, 250)


def test_examples_of_flips_are_few_and_the_same_whatever_the_order() -> None:
    parts = [Flips({f"{n:016x}": DisagreementExample((n, "x"), (0.4, 0.6), (0.6, 0.4))}) for n in range(40)]
    there = sum(parts[1:], parts[0])
    assert there == sum(parts[-2::-1], parts[-1])
    assert len(there.examples) == KEPT_FLIPS
    again = Flips({f"{0:016x}": DisagreementExample((7,), (0.4, 0.6), (0.6, 0.4))})
    assert there + again == again + there


@pytest.mark.parametrize(
    ("changes", "scores", "expected"),
    [
        ({}, [[0.25, 0.75]], {"score": [0.75], "label": ["yes"]}),
        ({"positive": 0}, [[0.25, 0.75]], {"score": [0.25], "label": ["yes"]}),
        ({"classes": (1, 2, 3), "positive": None}, [[0.2, 0.5, 0.3]], {"score": [0.5], "label": ["2"]}),
        ({"task": "regression", "classes": (), "positive": None}, [[7.5]], {"score": [7.5]}),
    ],
    ids=["positive last", "positive first", "three classes", "regression"],
)
def test_scores_are_told_as_answers_tell_them(
    changes: dict[str, Any], scores: list[list[float]], expected: dict[str, list[Any]]
) -> None:
    found = score_columns(np.array(scores), a_spec(**changes))
    assert {name: column.tolist() for name, column in found.items()} == expected


def test_a_summary_is_read_whose_champion_had_answered_no_number() -> None:
    flips = Flips({"0" * 16: DisagreementExample((7, None), (float("nan"), 0.5), (0.6, 0.4))})
    summary = Summary(flips={PLACE: flips})
    assert Summary.from_json(summary.to_json()).to_json() == summary.to_json()


@pytest.mark.parametrize("text", [b"", b"[]", b'{"format":2}', b'{"format":1}', b'{"format":1,"captures":"1"}'])
def test_what_is_no_summary_is_unverified(text: bytes) -> None:
    with pytest.raises(Unverified, match="the summary"):
        Summary.from_json(text)
