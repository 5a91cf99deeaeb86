"""A row keeps its key, however often it comes, and whatever was edited in between."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from serin.data.datasets import DatasetFiles
from serin.data.row_keys import Beside, Earlier, columns_hash
from tests import judging
from tests.builders import a_contract
from tests.evaluation.lifetime import MODEL, NUMBER, Lifetime, Numbers

NUMERIC = {"age": {"type": "number"}, "salary": {"type": "number"}}
CONTRACT = a_contract(features=NUMERIC)


def a_table(rows: int = 300, *, kinds: int = 10**6) -> pd.DataFrame:
    random = np.random.default_rng(0)
    numbers = {name: random.integers(0, kinds, rows).astype(float) for name in NUMERIC}
    return pd.DataFrame(numbers | {"approved": random.choice(["no", "yes"], rows)})


def place(table: pd.DataFrame, *before: Beside) -> Beside:
    earlier = [(Earlier(each, tuple(CONTRACT.features)), True) for each in before]
    return judging.place(table, CONTRACT, earlier)[0]


@pytest.mark.parametrize("kinds", [20, 10**6], ids=["some rows are alike", "all are different"])
def test_in_a_file_appended_to_itself_each_row_has_the_key_of_its_first_time(kinds: int) -> None:
    table = a_table(kinds=kinds)
    first = place(table)
    assert place(pd.concat([table, table], ignore_index=True), first).keys.tolist() == [*first.keys] * 2


def test_copies_in_a_new_file_stay_together() -> None:
    table = a_table()
    assert place(table.loc[table.index.repeat(2)]).keys.tolist() == np.repeat(place(table).keys, 2).tolist()


def test_hashes_of_numbers_are_not_compared_with_hashes_of_text() -> None:
    as_text = a_contract(features=NUMERIC | {"salary": {"type": "category"}})
    assert columns_hash(CONTRACT) != columns_hash(as_text)


LEAN: dict[str, Any] = {NUMBER: {"type": "number"}, "kind": {"type": "category"}}


def keys_of(life: Lifetime, numbers: Numbers) -> list[int]:
    """The keys that rows have in the last dataset, by their numbers."""
    dataset = life.datasets[-1]
    rows = DatasetFiles(life.data, MODEL).read([dataset], life.contract)
    found = dict(zip(rows.frame[NUMBER].astype(int).tolist(), rows.keys.tolist(), strict=True))
    return [found[number] for number in numbers.tolist()]


@pytest.mark.parametrize("without", [(), ("weight",)], ids=["was not read", "was not there"])
def test_rows_that_come_again_with_another_feature_have_their_keys(without: tuple[str, ...]) -> None:
    life = Lifetime(features=LEAN)
    numbers = life.fresh(200)  # of some the weight is empty: they will not fit the contract any more
    life.upload(numbers, without=without)
    fitting = np.array([number for number in numbers if life.population.weight[number] is not None])
    before = keys_of(life, fitting)
    life.edit_feature("weight", is_in=True)
    life.upload(numbers[::-1])
    assert keys_of(life, fitting) == before


def test_rows_that_come_again_with_a_feature_of_another_type_have_their_keys() -> None:
    life = Lifetime()
    numbers = np.array([number for number in life.fresh(200) if life.population.weight[number] is not None])
    life.upload(numbers)
    before = keys_of(life, numbers)
    life.edit_feature("weight", is_in=True, type="category")
    life.upload(numbers[::-1])
    assert keys_of(life, numbers) == before
