"""The hold-out keeps its promises: nothing leaks, nothing is empty, and a row stays where it was."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serin.contract.model import Contract
from serin.data.split import row_hashes, split_holdout
from tests.builders import a_contract


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


def test_equal_rows_are_on_one_side() -> None:
    table = pd.concat([a_table(200)] * 3, ignore_index=True)
    sides = np.isin(np.arange(600), split_holdout(table, CONTRACTS["content"])[1])
    assert (sides[:200] == sides[200:400]).all()
    assert (sides[:200] == sides[400:]).all()


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


def test_the_seed_decides() -> None:
    table = a_table()
    sides = [split_holdout(table, a_contract(training={"seed": seed}))[1].tolist() for seed in (0, 0, 1)]
    assert sides[0] == sides[1] != sides[2]


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
    for seed in range(8):
        train, holdout = split_holdout(table, a_contract(entity="person", training={"seed": seed}))
        assert len(train) == len(holdout) == 10


def test_moving_an_entity_takes_no_class_from_training() -> None:
    people = ["a"] * 4 + ["b"] * 4 + ["c"] * 4 + ["d"] * 14 + ["e"] * 14
    classes = ["rare", "yes"] * 2 + ["rare", "no"] * 2 + ["yes"] * 4 + ["no"] * 28
    table = a_table(40).assign(person=people, approved=classes)
    for seed in range(30):
        train, _ = split_holdout(table, a_contract(entity="person", training={"seed": seed}))
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
    hashes = row_hashes(table, ("a", "b"), seed=0)
    assert (hashes == row_hashes(changed, ("b", "a"), seed=0)).all()
    assert len(set(hashes)) == 3
    assert hashes[0] != row_hashes(table, ("a", "b"), seed=1)[0]
