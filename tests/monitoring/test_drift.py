"""Drift is told where there is some, and not where a window merely is a sample."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serin.monitoring.drift import (
    CELLS,
    DRIFTED_FROM,
    FALSE_ALARMS,
    DriftVerdict,
    Shift,
    compare_column,
    compare_columns,
    index_by_chance,
    population_stability_index,
    sum_up,
)
from serin.profile.profile import profile_columns

RANDOM = np.random.default_rng(7)
BEGIN = RANDOM.bit_generator.state


@pytest.fixture(autouse=True)
def same_draws() -> None:
    """Let each test draw the same, whichever ran before it."""
    RANDOM.bit_generator.state = BEGIN


def numbers(values: Any) -> Any:
    return profile_columns({"x": np.asarray(values, dtype=np.float64)}).columns["x"]


def texts(values: Any) -> Any:
    return profile_columns({"x": np.asarray(values, dtype=object)}).columns["x"]


def normal(rows: int, shift: float = 0.0, missing: float = 0.0) -> Any:
    values = RANDOM.normal(shift, 1, rows)
    values[RANDOM.random(rows) < missing] = np.nan
    return numbers(values)


def skewed(rows: int) -> Any:
    """Few frequent categories and many rare ones."""
    return texts([f"c{value}" for value in RANDOM.zipf(1.5, rows)])


def rounded(rows: int) -> Any:
    return numbers(RANDOM.poisson(0.7, rows))


@pytest.mark.parametrize("rows", [100, 1000])
@pytest.mark.parametrize("draw", [normal, skewed, rounded], ids=["normal", "rare categories", "few values"])
def test_a_window_drawn_from_the_reference_does_not_alarm(draw: Any, rows: int) -> None:
    reference = draw(5000)
    shifts = [compare_column("x", reference, draw(rows), tests=1) for _ in range(300)]
    assert {shift.verdict for shift in shifts} == {DriftVerdict.STEADY}
    assert np.mean([shift.effect for shift in shifts]) < 0.03, "what chance gives is taken off"


def test_as_many_columns_as_there_are_do_not_make_an_alarm_more_likely() -> None:
    counts = np.full(CELLS, 100)
    assert (
        index_by_chance(counts, counts, false_alarms=FALSE_ALARMS / 50)[1]
        > (index_by_chance(counts, counts, false_alarms=FALSE_ALARMS)[1])
    )


def test_the_index_that_chance_gives_is_exceeded_as_seldom_as_it_says() -> None:
    p = np.full(CELLS, 1 / CELLS)
    pairs = [(RANDOM.multinomial(2000, p), RANDOM.multinomial(500, p)) for _ in range(3000)]
    mean, most = index_by_chance(*pairs[0], false_alarms=0.05)
    found = np.array([population_stability_index(*pair) for pair in pairs])
    assert found.mean() == pytest.approx(mean, rel=0.05)
    assert (found > most).mean() == pytest.approx(0.05, abs=0.015)


@pytest.mark.parametrize(
    ("reference", "window"),
    [
        (normal(5000), normal(200, shift=0.9)),
        (normal(5000), normal(200, missing=0.3)),
        (normal(5000), numbers(RANDOM.normal(0, 3, 200))),
        (texts(["a", "b"] * 2500), texts(["a"] * 180 + ["b"] * 20)),
        (texts(["a", "b"] * 2500), texts(["a", "new"] * 100)),
        (texts(["a", "b"] * 2500), texts(["a", None] * 100)),
    ],
    ids=["mean", "missing", "spread", "shares", "unseen", "text missing"],
)
def test_what_moved_far_is_told(reference: Any, window: Any) -> None:
    shift = compare_column("x", reference, window, tests=15)
    assert shift.verdict is DriftVerdict.DRIFTED
    assert (shift.effect or 0) > DRIFTED_FROM


SEVEN, EMPTY = np.full(5000, 7.0), np.full(5000, np.nan)


@pytest.mark.parametrize(
    ("reference", "window", "detail"),
    [
        (numbers(SEVEN), numbers(np.full(200, 8.0)), "was always 7"),
        (numbers(SEVEN), normal(200), "was always 7"),
        (numbers(SEVEN), normal(200, missing=1.0), "was always 7"),
        (numbers([*SEVEN, np.nan]), normal(200), "was always 7"),
        (numbers(EMPTY), normal(200), "was always missing"),
        (texts([None] * 5000), texts(["a", "b"] * 100), "was always missing"),
        (texts(["a"] * 5000), texts(["a", "b"] * 100), "was always a"),
    ],
    ids=[
        "another constant",
        "filled",
        "emptied",
        "with a gap",
        "numbers where none were",
        "text where none was",
        "text",
    ],
)
def test_what_had_no_spread_cannot_drift_and_is_a_finding_about_integrity(
    reference: Any, window: Any, detail: str
) -> None:
    shift = compare_column("x", reference, window, tests=1)
    assert (shift.verdict, shift.effect) == (DriftVerdict.INTEGRITY, None)
    assert shift.detail == f"{detail} in training, and is not any more"
    verdict, reason = sum_up((shift,), ())
    assert (verdict, reason.startswith(f"x {detail} in training")) == (DriftVerdict.INTEGRITY, True)


@pytest.mark.parametrize("column", [numbers(SEVEN), numbers(EMPTY), texts([None] * 5000), texts(["a"] * 5000)])
def test_what_has_no_spread_still_is_steady(column: Any) -> None:
    assert compare_column("x", column, column, tests=1).verdict is DriftVerdict.STEADY


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 50), min_size=2, max_size=8), st.lists(st.integers(0, 50), min_size=2, max_size=8))
def test_the_index_is_never_negative_and_the_same_both_ways(one: list[int], other: list[int]) -> None:
    size = min(len(one), len(other))
    p, q = np.array(one[:size]), np.array(other[:size])
    assert population_stability_index(p, q) == pytest.approx(population_stability_index(q, p))
    assert population_stability_index(p, q) >= 0 == population_stability_index(p, p)


@pytest.mark.parametrize(("before", "now"), [(5000, 99), (99, 5000), (5000, 0)])
def test_too_little_is_no_verdict(before: int, now: int) -> None:
    shift = compare_column("x", normal(before), normal(now), tests=1)
    assert (shift.verdict, shift.effect) == (DriftVerdict.NOT_ENOUGH, None)


def test_what_drifted_comes_first_and_of_that_what_the_model_leans_on_most() -> None:
    reference = profile_columns({name: RANDOM.normal(0, 1, 2000) for name in "abcd"})
    window = profile_columns({name: RANDOM.normal(by, 1, 500) for name, by in zip("abcd", (2, 3, 0, 0), strict=True)})
    shifts = compare_columns(reference, window, tests=4, importances={"a": 0.3, "c": 0.1, "d": 0.2})
    assert [(shift.column, shift.importance) for shift in shifts] == [("a", 0.3), ("b", None), ("d", 0.2), ("c", 0.1)]


def test_columns_come_the_most_moved_first_and_only_those_that_both_have() -> None:
    reference = profile_columns({name: RANDOM.normal(0, 1, 2000) for name in ("a", "b", "c", "target")})
    window = profile_columns(
        {"a": RANDOM.normal(0, 1, 500), "b": RANDOM.normal(2, 1, 500), "d": RANDOM.normal(0, 1, 500)}
    )
    assert [shift.column for shift in compare_columns(reference, window, tests=3)] == ["b", "a"]


def test_a_detail_says_what_moved() -> None:
    shares = compare_column("x", texts(["a", "b"] * 100), texts(["a", "c"] * 100), tests=1)
    assert shares.detail == "b 50.0% → 0.0%"
    assert compare_column("x", normal(500), normal(500, missing=0.999999), tests=1).detail == ""


def a_shift(column: str, verdict: DriftVerdict) -> Shift:
    return Shift(column, verdict, None if verdict is DriftVerdict.NOT_ENOUGH else 0.5, (0.0, 0.0), "")


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ((), DriftVerdict.NOT_ENOUGH),
        ((DriftVerdict.NOT_ENOUGH, DriftVerdict.NOT_ENOUGH), DriftVerdict.NOT_ENOUGH),
        ((DriftVerdict.NOT_ENOUGH, DriftVerdict.STEADY), DriftVerdict.STEADY),
        ((DriftVerdict.STEADY, DriftVerdict.MOVED), DriftVerdict.MOVED),
        ((DriftVerdict.MOVED, DriftVerdict.DRIFTED, DriftVerdict.NOT_ENOUGH), DriftVerdict.DRIFTED),
        ((DriftVerdict.INTEGRITY, DriftVerdict.DRIFTED), DriftVerdict.DRIFTED),
        ((DriftVerdict.MOVED, DriftVerdict.INTEGRITY, DriftVerdict.STEADY), DriftVerdict.INTEGRITY),
    ],
)
def test_all_in_all_the_worst_counts_and_is_named(verdicts: tuple[DriftVerdict, ...], expected: DriftVerdict) -> None:
    shifts = tuple(a_shift(f"f{place}", verdict) for place, verdict in enumerate(verdicts))
    verdict, reason = sum_up(shifts, ())
    assert verdict is expected
    if expected is DriftVerdict.DRIFTED:
        assert reason == "drifted: f1"


def kelvin(rows: int, mean: float, *, outliers: int = 0) -> Any:
    return numbers([*RANDOM.normal(mean, 0.8, rows), *RANDOM.lognormal(5, 5, outliers)])


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (lambda: kelvin(20_000, 290.5), lambda: kelvin(5000, 294)),
        (lambda: kelvin(20_000, 290.5), lambda: kelvin(5000, 291.5)),
        (lambda: kelvin(20_000, 290.5, outliers=50), lambda: kelvin(5000, 294, outliers=20)),
        (lambda: numbers(RANDOM.integers(1995, 2006, 20_000)), lambda: numbers(RANDOM.integers(2015, 2025, 5000))),
        (
            lambda: numbers(RANDOM.uniform(1.7e9, 1.705e9, 20_000)),
            lambda: numbers(RANDOM.uniform(1.712e9, 1.716e9, 500)),
        ),
    ],
    ids=["kelvin", "kelvin by little", "kelvin with outliers", "years", "seconds since 1970"],
)
def test_numbers_far_from_zero_drift_by_their_own_spread(before: Any, now: Any) -> None:
    assert compare_column("x", before(), now(), tests=5).verdict is DriftVerdict.DRIFTED


def as_before(column: Any) -> Any:
    """A column as it was summarised before bins grew finer."""
    return replace(column, bins=dict(column.bins_at(0)), fineness=0)


def test_where_the_bins_of_one_side_are_too_coarse_it_is_not_called_steady() -> None:
    reference = as_before(kelvin(20_000, 290.5))
    shift = compare_column("x", reference, kelvin(5000, 294), tests=5)
    assert (shift.verdict, shift.effect) == (DriftVerdict.NOT_ENOUGH, None)
    assert "too coarse to tell" in shift.detail
    assert compare_column("x", reference, kelvin(5000, 350), tests=5).verdict is DriftVerdict.DRIFTED
    assert compare_column("x", kelvin(20_000, 290.5), kelvin(5000, 294, outliers=2000), tests=5).verdict is not (
        DriftVerdict.STEADY
    )


@pytest.mark.parametrize("draw", [normal, rounded], ids=["normal", "few values"])
def test_coarse_bins_are_enough_for_what_lies_in_many_or_has_few_values(draw: Any) -> None:
    assert compare_column("x", as_before(draw(5000)), draw(1000), tests=5).verdict is DriftVerdict.STEADY


def test_a_steady_report_names_the_columns_of_which_there_is_not_enough_to_tell() -> None:
    shifts = (
        a_shift("age", DriftVerdict.STEADY),
        a_shift("heat", DriftVerdict.NOT_ENOUGH),
        a_shift("year", DriftVerdict.NOT_ENOUGH),
    )
    assert sum_up(shifts, ())[1].endswith("; too little is known of heat, year")
