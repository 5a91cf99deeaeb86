"""What do functions and library find where version 1 of `a_contract` was registered?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from serin.data.storage import dump_table
from serin.profile.profile import profile_columns
from serin.registry.ids import sha256
from serin.registry.ports import Objects
from serin.registry.registry import Registry, put
from serin.serving.rows.encode import Encoded
from tests.builders import a_capture, a_contract, a_route, a_run, a_spec, a_version

CONTEXT: Any = SimpleNamespace(
    function_name="f",
    memory_limit_in_mb=512,
    invoked_function_arn="arn:aws:lambda:eu-west-1:123456789012:function:f",
    aws_request_id="r",
    get_remaining_time_in_millis=lambda: 60_000,
)

ROWS = 2000


def a_table(rows: int, *, seed: int = 0, older: float = 0.0) -> tuple[list[list[Any]], list[list[float]]]:
    """Rows as they are captured, and their scores. older: years that everybody has more."""
    random = np.random.default_rng(seed)
    ages = (random.integers(18, 70, rows) + older).tolist()
    schools = random.choice(np.array(["college", "school"]), rows).tolist()
    table = [[age, float(age * 1000), school] for age, school in zip(ages, schools, strict=True)]
    return table, [[1 - age / 100, age / 100] for age in ages]


def captures_of(rows: int, *, at: int, **table: Any) -> list[dict[str, Any]]:
    """The captures of requests of one row each."""
    made = zip(*a_table(rows, **table), strict=True)
    return [
        a_capture(number, at=at, rows=[row], scores=[scores], release=None) for number, (row, scores) in enumerate(made)
    ]


def by_age(onnx: bytes, spec: bytes, encoded: Encoded) -> NDArray[np.float64]:
    """A challenger that says yes from 50 on, and no number at 99."""
    yes = np.where(encoded.numeric[:, 0] == 99, np.nan, (encoded.numeric[:, 0] >= 50) * 0.8 + 0.1)
    return np.column_stack([1 - yes, yes])


def register(
    registry: Registry, artifacts: Objects, *, is_champion: bool = False, empty: Sequence[str] = (), **spec: Any
) -> None:
    """Store version 1, as registering and releasing it do. empty: numbers that all were missing in its training.

    spec: what its serving spec says otherwise.
    """
    said = a_contract().model_dump(mode="json")
    said["features"]["education"]["sensitive"] = True
    rows, scores = a_table(ROWS)
    ages, salaries, schools = zip(*rows, strict=True)
    columns = {
        "age": np.array(ages, dtype=np.float64),
        "salary": np.array(salaries, dtype=np.float64),
        "education": np.array(schools, dtype=object),
        "approved": np.array(["yes"] * ROWS, dtype=object),
    }
    columns |= {name: np.full(ROWS, np.nan) for name in empty}
    predictions = pd.DataFrame({f"score_{place}": [row[place] for row in scores] for place in (0, 1)})
    files = {
        "model.onnx": b"onnx",
        "spec.json": a_spec(**spec).to_json(),
        "profile.json": profile_columns(columns).to_json(),
        "predictions.npz": dump_table(predictions),
        "training.json": json.dumps({"importances": {"salary": 0.2, "age": 0.1}}).encode(),
    }
    digests = {name: sha256(content) for name, content in files.items()}
    registry.save(
        put(a_run("run1", contract=said), expected_revision=0),
        put(a_version(1, files=digests), expected_revision=0),
        *([put(a_route(1), expected_revision=0)] if is_champion else []),
    )
    for name, content in files.items():
        artifacts.put(f"models/loans/1/{name}", content)
