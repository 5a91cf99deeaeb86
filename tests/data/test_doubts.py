"""What cannot be a table's own doing is held until a person looks; what can be is not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from serin.contract.model import Contract
from serin.data.doubts import doubt_upload
from serin.data.labels import NewLabel
from serin.data.learnable import choose_rows
from serin.data.reasons import Reason
from serin.data.row_keys import Repeats
from serin.data.storage import as_columns
from tests.builders import a_contract

CONTRACT = a_contract(features={"age": {"type": "number"}, "shop": {"type": "category", "missing": "allow"}})
VALUES = a_contract(task="regression", target="price", features={"age": {"type": "number"}})


def a_table(rows: int, seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    age = random.normal(40, 10, rows)
    shop = pd.Series(random.choice(["north", "south"], rows), dtype="str")
    shop[random.random(rows) < 0.1] = None
    price = age + 5 * random.normal(size=rows)
    return pd.DataFrame({"age": age, "shop": shop, "approved": np.where(price > 40, "yes", "no"), "price": price})


def doubts(
    table: pd.DataFrame,
    before: pd.DataFrame | None = None,
    contract: Contract = CONTRACT,
    *,
    unnatural: int = 0,
    new_labels: tuple[NewLabel, ...] = (),
) -> list[Reason]:
    repeats = Repeats(unnatural + 7, unnatural)
    last = None if before is None else as_columns(before, *before.columns)
    some, labels = table.iloc[choose_rows(len(table))], () if contract.task == "regression" else set(table["approved"])
    said = doubt_upload(len(table), some, last, contract, labels=labels, repeats=repeats, new_labels=new_labels)
    return [*said]


def test_an_upload_like_those_before_is_not_doubted() -> None:
    assert doubts(a_table(2_000, 1)) == []
    assert doubts(a_table(2_000, 1), a_table(4_000, 0)) == []
    assert doubts(a_table(2_000, 1), a_table(4_000, 0), VALUES) == []


def test_spellings_of_one_class_are_doubted() -> None:
    table = a_table(200, 1)
    table.loc[::9, "approved"] = "YES"
    (doubt,) = doubts(table)
    assert (doubt.code, doubt.column) == ("SPELLINGS", "approved")
    assert "'YES' and 'yes'" in doubt.message or "'yes' and 'YES'" in doubt.message


@pytest.mark.parametrize(("contract", "target"), [(CONTRACT, "approved"), (VALUES, "price")])
def test_labels_of_other_rows_are_noise(contract: Contract, target: str) -> None:
    table = a_table(2_000, 1)
    mixed = table.assign(**{target: table[target].to_numpy()[::-1]})
    (doubt,) = doubts(mixed, a_table(4_000, 0), contract)
    assert (doubt.code, doubt.column) == ("NOISE", target)
    assert "cannot be learned" in doubt.message
    assert "Accept it" in doubt.fix


def test_swapped_labels_and_signs_say_the_opposite() -> None:
    table = a_table(2_000, 1)
    swapped = table.assign(approved=table["approved"].map({"yes": "no", "no": "yes"}), price=-table["price"])
    for contract, column in ((CONTRACT, "approved"), (VALUES, "price")):
        (doubt,) = doubts(swapped, a_table(4_000, 0), contract)
        assert (doubt.code, doubt.column) == ("OPPOSITE", column)


def test_only_labels_that_were_mixed_up_in_some_part_of_a_large_upload_are_needed_to_hold_it() -> None:
    table = a_table(60_000, 1)
    labels = table["approved"].to_numpy(copy=True)
    labels[:25_000] = labels[:25_000][::-1]
    assert [doubt.code for doubt in doubts(table.assign(approved=labels), a_table(4_000, 0))] == ["NOISE"]


def test_columns_that_were_not_there_before_are_not_asked() -> None:
    assert doubts(a_table(2_000, 1), a_table(4_000, 0).drop(columns="shop")) == []


def test_half_of_the_rows_may_not_repeat_others_unnaturally() -> None:
    assert doubts(a_table(100, 1), unnatural=40) == []
    (doubt,) = doubts(a_table(100, 1), unnatural=41)
    assert (doubt.code, doubt.count) == ("REPEATS", 48)
    assert "48 of 100 rows" in doubt.message
    assert "about 7" in doubt.message


def test_new_classes_are_doubted_where_they_are_many_or_look_misspelled() -> None:
    most = round(1_000 * CONTRACT.data.max_bad_rows)
    assert doubts(a_table(1_000, 1), new_labels=(NewLabel("later", most, None),)) == []
    (many,) = doubts(a_table(1_000, 1), new_labels=(NewLabel("later", most + 1, None),))
    assert (many.code, many.column, many.count) == ("NEW_CLASS", "approved", most + 1)
    (misspelled,) = doubts(a_table(1_000, 1), new_labels=(NewLabel("yess", 1, "yes"),))
    assert "'yess' (like 'yes')" in misspelled.message
