"""A model that crashes, hangs or eats memory ends its own process, and no other."""

from __future__ import annotations

import numpy as np
import onnx.parser
import pytest

from serin.contract.serving_spec import ServingSpec, SpecFeature
from serin.errors import Unverified
from serin.serving.rows.columns import Columns
from serin.serving.rows.encode import Arrays, Encoded
from serin.serving.runtime import sandbox
from serin.serving.runtime.sandbox import score_apart

SPEC = ServingSpec("m", "regression", "y", (SpecFeature("x", "number"),)).to_json()
ROWS = Encoded(Arrays(np.array([[1.0], [2.5]]), np.empty((2, 0), np.int64)))

DOUBLES = "scores = Add(columns, columns)"
EATS = """
    n = Constant<value = int64[2] {40000, 40000}>()
    zeros = ConstantOfShape<value = double[1] {0}>(n)
    sum = ReduceSum<keepdims = 0>(zeros)
    scores = Add(columns, sum)
"""
HANGS = """
    most = Constant<value = int64 {9223372036854775807}>()
    yes = Constant<value = bool {1}>()
    scores = Loop (most, yes, columns) <body = each (int64 i, bool c, double[n, 1] a) => (bool on, double[n, 1] b) {
        on = Identity(c)
        b = Identity(a)
    }>
"""


def model(body: str) -> bytes:
    graph = f'<ir_version: 8, opset_import: ["": 17]> g (double[n, 1] columns) => (double[n, 1] scores) {{ {body} }}'
    parsed = onnx.parser.parse_model(graph)
    onnx.helper.set_model_props(parsed, {"columns": Columns.of([(0, np.nan)], []).to_json(ServingSpec.from_json(SPEC))})
    return bytes(parsed.SerializeToString())


def test_scores_come_back_as_the_model_gives_them() -> None:
    assert score_apart(model(DOUBLES), SPEC, ROWS, seconds=30).tolist() == [[2.0], [5.0]]


@pytest.mark.parametrize(
    ("graph", "seconds", "said"),
    [
        (model(EATS), 30.0, "cannot be run"),
        (model(HANGS), 2.0, "longer than 2 s"),
    ],
    ids=["eats memory", "hangs"],
)
def test_what_a_model_does_wrong_is_told(
    graph: bytes, seconds: float, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even of an operator that is not on the list, were it let through."""
    child = "import serin.serving.runtime.model as m; m.check_operators = lambda _: None; "
    monkeypatch.setattr("serin.serving.runtime.sandbox._CHILD", child + sandbox._CHILD)
    with pytest.raises(Unverified, match=said):
        score_apart(graph, SPEC, ROWS, seconds=seconds)


@pytest.mark.parametrize(
    ("graph", "seconds", "said"),
    [
        (model(EATS), 30.0, "the operator 'ConstantOfShape', which is not run"),
        (model(HANGS), 30.0, "the operator 'Loop', which is not run"),
        (b"no model", 30.0, "cannot be loaded"),
    ],
    ids=["eats memory", "hangs", "no model"],
)
def test_what_might_never_end_is_not_even_begun(graph: bytes, seconds: float, said: str) -> None:
    with pytest.raises(Unverified, match=said):
        score_apart(graph, SPEC, ROWS, seconds=seconds)


def test_a_child_that_dies_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serin.serving.runtime.sandbox._CHILD", "import os; os.abort()")
    with pytest.raises(Unverified, match="status -6"):
        score_apart(b"", SPEC, ROWS, seconds=30)


def test_a_child_gets_what_python_needs_to_start_and_nothing_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", "/var/lang/lib")  # where Lambda's Python finds its own library
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    tells = (
        "import os, sys; sys.stderr.write(' '.join(sorted(os.environ)) + os.environ['LD_LIBRARY_PATH']); sys.exit(3)"
    )
    monkeypatch.setattr("serin.serving.runtime.sandbox._CHILD", tells)
    with pytest.raises(Unverified) as told:
        score_apart(b"", SPEC, ROWS, seconds=30)
    assert "/var/lang/lib" in told.value.message
    assert "PYTHONPATH" in told.value.message
    assert "AWS_" not in told.value.message
