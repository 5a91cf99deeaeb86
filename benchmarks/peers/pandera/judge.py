"""Judges a table with pandera, on pandas or on polars, makes its histograms, and writes it as Parquet."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

BINS = 128
how, source, target, rules = sys.argv[1], Path(sys.argv[2]), sys.argv[3], json.loads(sys.argv[4])
is_parquet = source.suffix == ".parquet"

if how == "pandas":
    import pandas as pd
    import pandera.pandas as pa

    table = pd.read_parquet(source) if is_parquet else pd.read_csv(source, engine="pyarrow")
else:
    import pandera.polars as pa
    import polars as pl

    table = pl.read_parquet(source) if is_parquet else pl.read_csv(source, infer_schema_length=10_000)

columns = {}
for name, rule in rules.items():
    if "values" in rule:
        columns[name] = pa.Column(str, pa.Check.isin(rule["values"]), coerce=True)
    else:
        columns[name] = pa.Column(float, pa.Check.in_range(rule["min"], rule["max"]), coerce=True)
table = pa.DataFrameSchema(columns).validate(table, lazy=True)
for name, rule in rules.items():
    if "values" in rule:
        table[name].value_counts()
    else:
        np.histogram(table[name].to_numpy(), bins=BINS)
table.to_parquet(target) if how == "pandas" else table.write_parquet(target)
