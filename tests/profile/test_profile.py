"""Profiles merge by addition, exactly, and say what is in a column."""

from __future__ import annotations

import json
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from serin.errors import Unverified
from serin.profile import profile as module
from serin.profile.profile import (
    MOST_BINS,
    Categories,
    Numbers,
    Profile,
    bin_bounds,
    profile_columns,
    profile_numbers,
    read_column,
)

ROWS = st.lists(st.tuples(st.floats(), st.none() | st.text(max_size=3)), max_size=30)


def columns(rows: list[tuple[float, str | None]]) -> dict[str, NDArray[Any]]:
    texts = np.empty(len(rows), dtype=object)
    texts[:] = [row[1] for row in rows]
    return {"n": np.array([row[0] for row in rows], dtype=np.float64), "t": texts}


@pytest.mark.parametrize("kept", [1000, 3])  # categories, and bins
@settings(deadline=None, max_examples=50)
@given(a=ROWS, b=ROWS, c=ROWS)
def test_the_profile_of_two_tables_is_the_sum_of_their_profiles(
    kept: int, a: list[tuple[float, str | None]], b: list[tuple[float, str | None]], c: list[tuple[float, str | None]]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "KEPT_CATEGORIES", kept)
        patch.setattr(module, "MOST_BINS", kept)
        one, two, three = (profile_columns(columns(rows)) for rows in (a, b, c))
        assert one + two == profile_columns(columns(a + b))
        assert (one + two).to_json() == (two + one).to_json()
        assert (one + two) + three == one + (two + three)


@settings(deadline=None, max_examples=50)
@given(
    centre=st.floats(-1e6, 1e6),
    width=st.floats(1e-6, 1e3),
    parts=st.lists(st.integers(0, 400), min_size=1, max_size=6),
)
def test_numbers_close_together_or_far_apart_are_counted_the_same_however_they_were_divided(
    centre: float, width: float, parts: list[int]
) -> None:
    values = np.random.default_rng(len(parts)).normal(centre, width, sum(parts))
    added = [profile_numbers(part) for part in np.split(values, np.cumsum(parts)[:-1])]
    assert reduce(add, added) == reduce(add, reversed(added)) == profile_numbers(values)


def test_the_bins_of_a_narrow_range_are_fine_and_of_a_wide_one_coarse() -> None:
    random = np.random.default_rng(5)
    narrow, wide = profile_numbers(random.normal(290.5, 0.8, 20_000)), profile_numbers(random.lognormal(10, 5, 20_000))
    assert MOST_BINS / 2 < len(narrow.bins) <= MOST_BINS
    assert (wide.fineness, len(wide.bins) > MOST_BINS) == (0, True)


def test_what_was_summarised_before_bins_grew_finer_is_read_and_added() -> None:
    values = np.random.default_rng(5).normal(290.5, 0.8, 200)
    fine = profile_numbers(values)
    before = {"missing": 0, "minimum": float(values.min()), "maximum": float(values.max()), "bins": fine.bins_at(0)}
    told = read_column(json.loads(json.dumps(before)))
    assert isinstance(told, Numbers)
    both = told + fine
    assert both.fineness == 0
    assert both.bins == {index: 2 * count for index, count in told.bins.items()}


@settings(deadline=None, max_examples=50)
@given(ROWS)
def test_it_survives_json(rows: list[tuple[float, str | None]]) -> None:
    profile = profile_columns(columns(rows))
    assert Profile.from_json(profile.to_json()) == profile


def test_it_counts_rows_missing_ends_and_categories() -> None:
    profile = profile_columns(columns([(1.0, "a"), (float("nan"), None), (-3.5, "a"), (0.0, "b")]))
    numbers, texts = profile.columns["n"], profile.columns["t"]
    assert profile.rows == 4
    assert isinstance(numbers, Numbers)
    assert (numbers.missing, numbers.minimum, numbers.maximum) == (1, -3.5, 1.0)
    assert sum(numbers.bins.values()) == 3
    assert numbers.bins[0] == 1
    assert texts == Categories(missing=1, counts={"a": 2, "b": 1})


@settings(deadline=None, max_examples=50)
@given(st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False))
def test_a_value_lies_within_its_bin(value: float) -> None:
    numbers = profile_columns({"n": np.array([value])}).columns["n"]
    assert isinstance(numbers, Numbers)
    (index,) = numbers.bins
    low, high = bin_bounds(index, numbers.fineness)
    assert low == value if value == 0 else abs(low) <= abs(value) < abs(high)


def test_small_whole_numbers_have_a_bin_each() -> None:
    numbers = profile_columns({"n": np.arange(-63.0, 64.0)}).columns["n"]
    assert isinstance(numbers, Numbers)
    assert len(numbers.bins) == 127


def test_categories_past_the_bound_are_counted_as_others() -> None:
    texts = np.array([f"c{number}" for number in range(3000)] * 2, dtype=object)
    column = profile_columns({"t": texts}).columns["t"]
    assert isinstance(column, Categories)
    assert len(column.counts) == 1000
    assert set(column.counts.values()) == {2}
    assert column.others == 4000
    assert set(column.counts) != set(sorted(set(texts))[:1000])  # the alphabet would be no fair sample


def test_profiles_of_other_columns_do_not_merge() -> None:
    with pytest.raises(ValueError, match="cannot be merged: n, t"):
        profile_columns({"n": np.array([1.0])}) + profile_columns({"t": np.array(["x"], dtype=object)})


@pytest.mark.parametrize("text", [b"", b"[]", b'{"format":1}', b'{"format":9,"rows":1,"columns":{}}'])
def test_what_is_no_profile_is_unverified(text: bytes) -> None:
    with pytest.raises(Unverified, match=r"profile\.json"):
        Profile.from_json(text)


@pytest.mark.parametrize(
    "value", [np.inf, -np.inf, 5e-324, -5e-324, 2.2250738585072014e-308, -0.0, np.finfo(float).max]
)
def test_a_column_of_one_value_has_one_bin_whatever_it_is(value: float) -> None:
    column = profile_numbers(np.array([value] * 3))
    assert list(column.bins.values()) == [3]
    assert column == profile_numbers(np.array([value])) + profile_numbers(np.array([value] * 2))
    assert column.minimum == column.maximum == np.clip(value, -np.finfo(float).max, np.finfo(float).max)
