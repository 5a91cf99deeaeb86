"""Judges a table with Great Expectations, makes its histograms, and writes it as Parquet."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import great_expectations as gx
import numpy as np
import pandas as pd

BINS = 128
source, target, rules = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
table = pd.read_parquet(source) if source.suffix == ".parquet" else pd.read_csv(source, engine="pyarrow")
context = gx.get_context(mode="ephemeral")
batch = context.data_sources.add_pandas("here").add_dataframe_asset("table").add_batch_definition_whole_dataframe("all")
suite = gx.ExpectationSuite("rules")
for name, rule in rules.items():
    if "values" in rule:
        suite.add_expectation(gx.expectations.ExpectColumnValuesToBeInSet(column=name, value_set=rule["values"]))
    else:
        between = gx.expectations.ExpectColumnValuesToBeBetween
        suite.add_expectation(between(column=name, min_value=rule["min"], max_value=rule["max"]))
    suite.add_expectation(gx.expectations.ExpectColumnValuesToNotBeNull(column=name))
result = batch.get_batch({"dataframe": table}).validate(suite)
assert result.success, result
for name, rule in rules.items():
    if "values" in rule:
        table[name].value_counts()
    else:
        np.histogram(table[name].to_numpy(), bins=BINS)
table.to_parquet(target)
