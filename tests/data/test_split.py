"""The hold-out keeps its promises: nothing leaks, nothing is empty, and a row stays where it was."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from serin.contract.model import Contract
from serin.data.border import Border, Mask, hash_values
from serin.data.row_keys import Earlier, content_keys, row_hashes
from serin.data.split import MOST_HELD_OUT, as_columns
from serin.data.split import split_holdout as draw
from tests.builders import a_contract
from tests.judging import place


def a_table(rows: int = 1000, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": random.integers(18, 90, rows).astype(float),
            "salary": random.normal(3000, 500, rows),
            "education": random.choice(["school", "college"], rows),
            "person": [f"p{number}" for number in random.integers(0, max(1, rows // 5), rows)],
            "at": random.integers(1_700_000_000, 1_700_900_000, rows).astype(float),
            "approved": random.choice(["no", "yes"], rows),
        }
    )


def keys_of(table: pd.DataFrame, contract: Contract) -> NDArray[np.uint64]:
    """Give rows the keys that they get when they come in as one upload."""
    return content_keys(row_hashes(table, list(contract.features)))


def split_holdout(table: pd.DataFrame, contract: Contract) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return draw(table, keys_of(table, contract), contract)[:2]


CONTRACTS = {"content": a_contract(), "entity": a_contract(entity="person"), "time": a_contract(time="at")}


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS)
def test_every_row_is_on_one_side_and_the_share_is_kept(contract: Contract) -> None:
    train, holdout = split_holdout(a_table(2000), contract)
    assert sorted([*train, *holdout]) == list(range(2000))
    assert 0.15 < len(holdout) / 2000 < 0.25


@pytest.mark.parametrize("kind", ["content", "entity"])
def test_a_row_stays_on_its_side_when_more_come(kind: str) -> None:
    first, more = a_table(500), a_table(700, seed=1)
    before = set(split_holdout(first, CONTRACTS[kind])[1])
    after = set(split_holdout(pd.concat([first, more], ignore_index=True), CONTRACTS[kind])[1])
    assert before == {row for row in after if row < 500}


def test_the_rows_of_one_entity_are_on_one_side() -> None:
    table = a_table()
    train, holdout = split_holdout(table, CONTRACTS["entity"])
    assert not set(table["person"][train]) & set(table["person"][holdout])


def test_rows_that_are_alike_split_freely() -> None:
    table = pd.DataFrame({"age": 30.0, "salary": 1.0, "education": "school", "approved": ["no", "yes"] * 500})
    assert 0.15 < len(split_holdout(table, CONTRACTS["content"])[1]) / 1000 < 0.25


def test_a_file_that_is_sent_again_falls_on_the_same_sides() -> None:
    table, contract = a_table(200), CONTRACTS["content"]
    once = keys_of(table, contract)
    twice = pd.concat([table, table], ignore_index=True)
    holdout = draw(twice, np.concatenate([once, once]), contract)[1]
    sides = np.isin(np.arange(400), holdout)
    assert (sides[:200] == sides[200:]).all()


@pytest.mark.parametrize("order", [1, -1], ids=["in order", "turned"])
def test_a_row_keeps_its_key_in_whatever_file_it_is_sent_again(order: int) -> None:
    """Rows of few kinds, so that many are alike in their features and not in their targets."""
    random, contract = np.random.default_rng(0), CONTRACTS["content"]

    def some(rows: int) -> pd.DataFrame:
        return a_table(rows).assign(age=random.integers(20, 25, rows), salary=1.0, approved=[*map(str, range(rows))])

    first = some(60)
    sent = pd.concat([some(40).assign(approved="new"), first[::order]], ignore_index=True)
    before, _ = place(first, contract)
    after, _ = place(sent, contract, [(Earlier(before, tuple(contract.features)), True)])
    assert dict(zip(sent["approved"][40:], after.keys[40:], strict=True)) == dict(
        zip(first["approved"], before.keys, strict=True)
    )


def test_with_time_the_holdout_is_the_latest_rows() -> None:
    table = a_table()
    train, holdout = split_holdout(table, CONTRACTS["time"])
    assert table["at"][train].max() < table["at"][holdout].min()


def test_rows_of_one_time_are_on_one_side() -> None:
    table = a_table().assign(at=np.repeat(np.arange(10.0), 100))
    train, holdout = split_holdout(table, CONTRACTS["time"])
    assert not set(table["at"][train]) & set(table["at"][holdout])
    assert len(holdout) == 200


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS)
def test_every_class_is_on_both_sides(contract: Contract) -> None:
    rare = ["early", "early", "late", "late", "late"]
    table = a_table(1000).sort_values("at", ignore_index=True)
    table.loc[[0, 1, 997, 998, 999], "approved"] = rare
    train, holdout = split_holdout(table, contract)
    assert set(table["approved"][train]) == set(table["approved"][holdout]) == {"no", "yes", "early", "late"}


@pytest.mark.parametrize("kind", CONTRACTS)
def test_the_border_says_of_every_row_on_which_side_it_is(kind: str) -> None:
    table, contract = a_table(400), CONTRACTS[kind]
    keys = keys_of(table, contract)
    train, holdout, border = draw(table, keys, contract)
    restored = Border.from_json(border.to_json())
    learned = restored.learned(as_columns(table, contract.entity, contract.time), keys)
    assert np.flatnonzero(learned).tolist() == train.tolist()
    assert np.flatnonzero(~learned).tolist() == holdout.tolist()


@pytest.mark.parametrize("change", [{"seed": 7}, {"folds": 3}, {"budget": 99}])
def test_what_is_edited_in_the_contract_moves_no_row(change: dict[str, int]) -> None:
    table = a_table()
    sides = [split_holdout(table, a_contract(training=training))[1].tolist() for training in ({}, change)]
    assert sides[0] == sides[1]


def test_a_smaller_holdout_is_a_part_of_a_larger_one() -> None:
    table = a_table()
    small, large = (set(split_holdout(table, a_contract(training={"holdout": share}))[1]) for share in (0.1, 0.4))
    assert small < large


def test_a_holdout_is_no_larger_than_it_need_be() -> None:
    rows = 10 * MOST_HELD_OUT
    table = pd.DataFrame({"age": np.arange(rows, dtype=float), "salary": 1.0, "education": "school", "approved": "yes"})
    table.loc[::2, "approved"] = "no"
    for contract in (CONTRACTS["content"], a_contract(time="age", features={"salary": {"type": "number"}})):
        assert 0.9 * MOST_HELD_OUT < len(split_holdout(table, contract)[1]) < 1.1 * MOST_HELD_OUT


def test_of_a_row_without_entity_or_time_nobody_can_say_that_it_was_not_learned_from() -> None:
    keys = np.array([2**64 - 1, 2**64 - 1], dtype=np.uint64)

    def learned(border: Border, **columns: list[object]) -> list[bool]:
        found: Mask = border.learned({name: np.array(values) for name, values in columns.items()}, keys)
        return found.tolist()

    assert learned(Border(below=1)) == [False, False]
    assert learned(Border(entity="person", below=1)) == [True, True]
    assert learned(Border(entity="person", below=1), person=np.array(["a", None], dtype=object)) == [False, True]  # type: ignore[arg-type]
    assert learned(Border(time="at", until=5.0), at=[6.0, float("nan")]) == [False, True]


def test_an_entity_has_one_key_whether_written_as_text_or_number() -> None:
    as_text, as_number = np.array(["7", "12"], dtype=object), np.array([7.0, 12.0])
    assert hash_values(as_text).tolist() == hash_values(as_number).tolist()


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS)
@pytest.mark.parametrize("same", [["age", "salary", "education", "approved", "at", "person"], ["person"], ["at"]])
def test_no_side_is_empty_where_all_is_equal(contract: Contract, same: list[str]) -> None:
    table = a_table(30)
    table[same] = table[same].iloc[0].tolist()
    train, holdout = split_holdout(table, contract)
    assert len(train) > 0
    assert len(holdout) > 0


def test_an_entity_that_is_a_class_leaves_no_side_empty() -> None:
    table = a_table(20).assign(person=["a"] * 10 + ["b"] * 10, approved=["no"] * 10 + ["yes"] * 10)
    train, holdout = split_holdout(table, a_contract(entity="person"))
    assert len(train) == len(holdout) == 10


def test_moving_an_entity_takes_no_class_from_training() -> None:
    people = ["a"] * 4 + ["b"] * 4 + ["c"] * 4 + ["d"] * 14 + ["e"] * 14
    classes = ["rare", "yes"] * 2 + ["rare", "no"] * 2 + ["yes"] * 4 + ["no"] * 28
    for salt in range(30):
        table = a_table(40).assign(person=[f"{person}{salt}" for person in people], approved=classes)
        train, _ = split_holdout(table, a_contract(entity="person"))
        assert set(table["approved"][train]) == {"rare", "yes", "no"}


def test_a_table_of_one_row_cannot_be_split() -> None:
    with pytest.raises(ValueError, match="fewer than two rows"):
        split_holdout(a_table(1), a_contract())


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.sampled_from([0.0, 1.0, 2.0]), st.sampled_from("xyz")), min_size=2, max_size=30))
def test_both_sides_have_every_class_of_two_rows(rows: list[tuple[float, str]]) -> None:
    table = pd.DataFrame({"n": [row[0] for row in rows], "y": [row[1] for row in rows]})
    for extra in ({}, {"time": "n"}):
        features = {"n": {"type": "number"}} if not extra else {"y2": {"type": "category"}}
        contract = a_contract(target="y", features=features, **extra)
        train, holdout = split_holdout(table.assign(y2="a"), contract)
        often = {label for label, count in table["y"].value_counts().items() if count >= 2}
        if often:
            assert often <= set(table["y"][train])
            assert often <= set(table["y"][holdout])


def test_hashes_do_not_depend_on_the_order_of_columns_or_the_sign_of_zero() -> None:
    table = pd.DataFrame({"a": [0.0, 1.0, np.nan], "b": ["x", None, "y"]})
    changed = pd.DataFrame({"b": ["x", None, "y"], "a": [-0.0, 1.0, np.nan]})
    hashes = row_hashes(table, ("a", "b"))
    assert (hashes == row_hashes(changed, ("b", "a"))).all()
    assert len(set(hashes)) == 3
