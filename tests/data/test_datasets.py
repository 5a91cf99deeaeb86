"""What was stored is read as the contract of today says."""

from __future__ import annotations

import numpy as np
import pandas as pd

from serin.data.datasets import DatasetFiles
from serin.registry.records import ReceiptStatus
from tests.evaluation.lifetime import MODEL, NUMBER, Lifetime

LEAN = {NUMBER: {"type": "number"}}


def a_file(**columns: list[str]) -> pd.DataFrame:
    rows = len(next(iter(columns.values())))
    return pd.DataFrame({NUMBER: np.arange(rows), "t": ["a", "b"] * (rows // 2), **columns})


def test_a_category_that_is_spelled_like_nothing_stays_one_where_the_contract_lists_it() -> None:
    listed = {**LEAN, "country": {"type": "category", "values": ["NA", "EU"]}}
    for features in (listed, LEAN):  # read when it came, or later
        life = Lifetime(features=features, classes=["NA", "b"])
        table = a_file(country=["NA", "NA", "EU", "EU"] * 20).assign(t=["NA", "b"] * 40)
        assert life.upload_table(table).status is ReceiptStatus.ACCEPTED
        life.edit(features=listed)
        frame = DatasetFiles(life.data, MODEL).read(life.datasets, life.contract).frame
        assert frame["country"].tolist() == table["country"].tolist()
        assert frame["t"].tolist() == table["t"].tolist()


def test_what_was_read_as_a_category_stays_one_when_the_contract_lists_it_no_more() -> None:
    life = Lifetime(features={**LEAN, "country": {"type": "category", "values": ["NA", "EU"]}})
    life.upload_table(a_file(country=["NA", "EU"] * 40))
    life.edit_feature("country", is_in=True, type="category")
    frame = DatasetFiles(life.data, MODEL).read(life.datasets, life.contract).frame
    assert frame["country"].tolist() == ["NA", "EU"] * 40


def test_a_number_that_nobody_can_learn_from_is_left_out_with_its_row() -> None:
    life = Lifetime(features=LEAN)
    life.upload_table(a_file(salary=["1e39", "inf"] + ["3"] * 78))
    life.edit_feature("salary", is_in=True, type="number")
    frame = DatasetFiles(life.data, MODEL).read(life.datasets, life.contract).frame
    assert frame["salary"].tolist() == [3.0] * 78
