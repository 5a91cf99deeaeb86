"""A row keeps its place, whatever comes after it; and repeats are doubted where no table repeats rows by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

import serin.data.row_keys
from serin.data.row_keys import Beside, Earlier, Repeats, count_repeats, row_hashes
from tests.builders import a_contract
from tests.judging import place

ROWS = 2_000


def few_kinds(rows: int, seed: int = 0) -> NDArray[np.uint64]:
    """Hashes of rows of a table of eight distinct ones, the last of them rare."""
    random = np.random.default_rng(seed)
    return random.choice(hashes(8), rows, p=[0.3, 0.2, 0.15, 0.1, 0.1, 0.1, 0.049, 0.001])


def hashes(rows: int, seed: int = 0) -> NDArray[np.uint64]:
    """Hashes of rows of which none repeats another."""
    return row_hashes(pd.DataFrame({"x": np.arange(rows) + 1e9 * seed}), ["x"])


def words(rows: int, seed: int = 0) -> NDArray[np.uint64]:
    """Hashes of rows some of which come often and most seldom, as words in a text do."""
    return np.random.default_rng(seed).zipf(1.6, rows).astype(np.uint64) * np.uint64(2**40 + 1)


@pytest.mark.parametrize("kind", [few_kinds, words])
def test_repeats_that_a_table_has_by_itself_are_natural(kind: Any) -> None:
    assert count_repeats(kind(ROWS), []).unnatural < ROWS * 0.02
    assert count_repeats(kind(ROWS), [kind(ROWS, seed) for seed in (1, 2, 3)]).unnatural < ROWS * 0.02


def test_every_row_twice_is_unnatural() -> None:
    assert count_repeats(np.repeat(hashes(ROWS), 2), []) == Repeats(ROWS, ROWS)


def test_a_file_that_is_sent_again_after_others_is_unnatural() -> None:
    files = [hashes(ROWS, seed) for seed in (1, 2, 3)]
    assert count_repeats(files[0], files) == Repeats(ROWS, pytest.approx(ROWS, rel=0.01))
    half = np.concatenate([files[0][: ROWS // 2], hashes(ROWS // 2, 4)])
    assert count_repeats(half, files) == Repeats(ROWS // 2, pytest.approx(ROWS // 2, rel=0.01))
    assert count_repeats(hashes(ROWS, 5), files) == Repeats(0, 0)


def test_repeats_are_foretold_for_more_rows_than_came_before() -> None:
    """Of words more and more are known, and of a table of numbers none, however many come at once."""
    assert count_repeats(words(5 * ROWS), [words(ROWS, 1)]).unnatural < ROWS * 0.1
    assert count_repeats(hashes(5 * ROWS), [hashes(ROWS, 1)]) == Repeats(0, 0)
    again = np.concatenate([hashes(ROWS, 1), hashes(ROWS), hashes(ROWS)])
    assert count_repeats(again, [hashes(ROWS, 1)]).unnatural == pytest.approx(2 * ROWS, rel=0.02)


def test_of_very_many_rows_before_some_tell_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    earlier = [words(ROWS, seed) for seed in range(1, 9)]
    every = count_repeats(words(ROWS), earlier)
    copied = count_repeats(np.repeat(hashes(ROWS), 2), earlier)
    monkeypatch.setattr(serin.data.row_keys, "MOST_KNOWN", 500)
    assert count_repeats(words(ROWS), earlier).count == every.count
    assert count_repeats(words(ROWS), earlier).unnatural < ROWS * 0.1
    assert count_repeats(np.repeat(hashes(ROWS), 2), earlier).unnatural == pytest.approx(copied.unnatural, rel=0.3)


CONTRACT = a_contract(
    features={"age": {"type": "number"}, "salary": {"type": "number"}, "education": {"type": "category"}}
)


def as_earlier(beside: Beside) -> Earlier:
    return Earlier(beside, tuple(CONTRACT.features))


def a_table(rows: int, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": random.uniform(18, 90, rows),
            "salary": random.normal(3000, 500, rows).round(),
            "education": random.choice(["school", "college"], rows),
            "approved": random.choice(["no", "yes"], rows),
        }
    )


def tiled(rows: int) -> pd.DataFrame:
    return pd.concat([a_table(rows // 10)] * 10, ignore_index=True)


def drawn(rows: int) -> pd.DataFrame:
    return a_table(rows // 10).sample(rows, replace=True, random_state=0, ignore_index=True)


@pytest.mark.parametrize("copied", [tiled, drawn])
def test_nine_rows_in_ten_that_repeat_others_are_unnatural_at_once_and_later(copied: Any) -> None:
    beside, repeats = place(copied(ROWS), CONTRACT)
    assert repeats.unnatural >= 0.89 * ROWS
    assert len(np.unique(beside.keys)) <= ROWS / 10, "copies stay on one side of every split"
    before, none = place(a_table(ROWS, seed=9), CONTRACT)
    assert none == Repeats(0, 0)
    assert place(copied(ROWS), CONTRACT, [(as_earlier(before), True)])[1].unnatural >= 0.88 * ROWS


def test_few_rows_that_come_often_are_natural() -> None:
    """As where a device that is off sends zeros."""
    table = a_table(ROWS)
    table.loc[: ROWS * 0.6] = [0.0, 0.0, "school", "no"]
    assert place(table, CONTRACT)[1] == Repeats(pytest.approx(ROWS * 0.6, abs=1), 0)


def test_a_row_that_comes_again_keeps_its_key() -> None:
    first, _ = place(a_table(ROWS), CONTRACT)
    again = a_table(ROWS).sample(frac=1, random_state=1).assign(approved="yes")
    order = again.index.to_numpy()
    second, _ = place(again, CONTRACT, [(as_earlier(first), False)])
    assert (second.keys == first.keys[order]).all()
    # Of several keys, for it may have been a copy where it came first, the oldest holds.
    other = Beside(first.keys + np.uint64(1), first.names, first.rows, first.columns)
    third, _ = place(again, CONTRACT, [(as_earlier(other), False), (as_earlier(first), False)])
    assert (third.keys == other.keys[order]).all()


def test_rows_that_are_naturally_alike_split_freely() -> None:
    table = a_table(ROWS).assign(age=30.0, salary=1000.0)
    keys = place(table, CONTRACT)[0].keys
    assert len(np.unique(keys)) == ROWS


def test_rows_are_known_only_where_they_were_accepted() -> None:
    before, _ = place(a_table(ROWS), CONTRACT)
    assert place(a_table(ROWS), CONTRACT, [(as_earlier(before), False)])[1] == Repeats(0, 0)
    assert place(a_table(ROWS), CONTRACT, [(as_earlier(before), True)])[1].count == ROWS


@pytest.mark.parametrize(("before", "rows"), [(200, 5_000), (500, 20_000), (1_000, 20_000)])
def test_a_table_of_many_kinds_may_grow_past_what_came_before(before: int, rows: int) -> None:
    kinds = hashes(2_048)
    random = np.random.default_rng(0)
    first, later = (random.choice(kinds, size) for size in (before, rows))
    assert count_repeats(later, [first]).unnatural < rows * 0.1


@pytest.mark.parametrize(("kinds", "rows"), [(6_000, 400), (300_000, 5_000)])
def test_rows_that_meet_by_chance_are_natural(kinds: int, rows: int) -> None:
    values = hashes(kinds)
    draws = [np.random.default_rng(seed).choice(values, rows) for seed in range(40)]
    assert sum(count_repeats(draw, []).unnatural > 0 for draw in draws) <= 2


def test_copies_are_told_by_categories_too() -> None:
    random = np.random.default_rng(0)
    names = [f"c{number}" for number in range(12)]
    contract = a_contract(features={name: {"type": "category"} for name in names})
    table = pd.DataFrame({name: random.choice(list("abcd"), ROWS // 10) for name in names}).assign(approved="yes")
    copied = table.sample(ROWS, replace=True, random_state=0, ignore_index=True)
    assert place(copied, contract)[1].unnatural >= 0.89 * ROWS
    # Drawn anew from as few kinds, rows meet by themselves.
    few = pd.DataFrame({name: random.choice(list("ab"), ROWS * 3) for name in names}).assign(approved="yes")
    assert place(few[[*names[:8], "approved"]].assign(**dict.fromkeys(names[8:], "a")), contract)[1].count > ROWS
    assert place(few.assign(**dict.fromkeys(names[8:], "a")), contract)[1].unnatural < ROWS * 0.05


def test_features_that_come_again_with_other_labels_are_natural() -> None:
    """As those of products that are sold often, each of its own weight and price."""
    sold = a_table(ROWS // 10).sample(ROWS, replace=True, random_state=0, ignore_index=True)
    labels = np.random.default_rng(1).choice(["no", "yes"], ROWS)
    assert place(sold.assign(approved=labels), CONTRACT)[1].unnatural < ROWS * 0.05
