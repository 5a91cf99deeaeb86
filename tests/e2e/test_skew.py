"""A category is read alike from an upload and from a request: training and serving do not drift apart by spelling."""

from __future__ import annotations

import pandas as pd
import pytest

from serin.contract.serving_spec import NO_CATEGORY, ServingSpec, SpecFeature
from serin.data.cells import parse_categories
from serin.serving.rows.encode import encode

LEARNED = ("(missing)", "N/A", "A11", "none")
TEXTS = (*sorted(NO_CATEGORY), "NA", "?", "NaN", " Null ", "N/A", "none", "None", " A11", "A11 ", "a11", "007", "true")


@pytest.mark.parametrize("text", TEXTS)
def test_a_category_is_read_alike_in_training_and_serving(text: str) -> None:
    feature = SpecFeature("c", "category", allows_missing=True, values=LEARNED, missing_code=0)
    spec = ServingSpec("m", "regression", "y", (feature,))
    listed = LEARNED[1:]
    cells, missing = parse_categories(pd.Series([text], dtype="str"), listed)
    in_training = 0 if missing[0] else LEARNED.index(cells[0]) if cells[0] in LEARNED else -1
    assert encode([{"c": text}], spec).codes[0, 0] == in_training
