"""What cannot be trusted is not loaded, and what is no number is not answered."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import numpy_helper

from serin.errors import ModelOutput, Unverified
from serin.serving.rows.encode import Arrays, Encoded, PlainRow, encode_columns
from serin.serving.runtime import model as serving_model
from serin.serving.runtime.model import LoadedModel
from tests.training.exporting import Exported, a_contract_for, export


@cache
def exported() -> Exported:
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"x": random.normal(size=80), "k": random.choice(["a", "b"], 80)})
    frame = frame.assign(t=np.where(frame["x"] > 0, "yes", "no"))
    return export(frame, a_contract_for(frame, "t"), "linear")


def the_spec(**changes: Any) -> bytes:
    return json.dumps({**json.loads(exported().model.spec.to_json()), **changes}).encode()


def some_rows(rows: int) -> Encoded:
    random = np.random.default_rng(1)
    columns = {"x": random.normal(size=rows), "k": random.choice(np.array(["a", "b", "c", None]), rows)}
    return encode_columns(columns, exported().model.spec)


def changed(**initializers: Any) -> bytes:
    """The graph with other constants of the given names."""
    graph = onnx.load_from_string(exported().onnx)
    for constant in graph.graph.initializer:
        if constant.name in initializers:
            constant.CopyFrom(numpy_helper.from_array(initializers[constant.name], constant.name))
    return bytes(graph.SerializeToString())


def refused(content: bytes, spec: bytes | None = None) -> Unverified:
    with pytest.raises(Unverified) as caught:
        LoadedModel.load(content, spec or the_spec())
    return caught.value


def test_scores_are_probabilities_of_the_classes() -> None:
    scores = exported().model.predict(some_rows(50))
    assert scores.shape == (50, 2)
    assert scores.dtype == np.float64
    np.testing.assert_allclose(scores.sum(axis=1), 1)


@pytest.mark.parametrize("rows", [0, 1, 10, 11, 30])
def test_many_rows_are_scored_as_a_few_are(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = exported().model
    monkeypatch.setattr("serin.serving.runtime.model.CHUNK_CELLS", 10 * len(loaded.columns))
    encoded = some_rows(rows)
    scores = loaded.predict(encoded)
    assert scores.shape == (rows, 2)
    if rows:
        last = Encoded(Arrays(encoded.numeric[-1:], encoded.codes[-1:]))
        np.testing.assert_allclose(scores[-1:], loaded.predict(last), rtol=1e-12)


def test_threads_that_ask_for_one_row_each_get_their_own_scores() -> None:
    loaded, encoded = exported().model, some_rows(200)
    rows = [PlainRow(*values) for values in zip(encoded.numeric.tolist(), encoded.codes.tolist(), strict=True)]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda row: loaded.predict(Encoded(row)), rows))
    np.testing.assert_allclose(np.concatenate(found), loaded.predict(encoded), rtol=1e-12)


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x80\x04\x95pickle"])
def test_bytes_that_are_no_model_are_refused(content: bytes) -> None:
    assert refused(content).code == "MODEL_LOAD"


def test_a_model_cut_short_is_refused() -> None:
    assert refused(exported().onnx[:-40]).code in ("MODEL_LOAD", "CONTRACT")


def test_a_model_over_the_limit_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving_model, "MAX_ONNX_BYTES", len(exported().onnx) - 1)
    assert refused(exported().onnx).code == "MODEL_SIZE"


def test_a_spec_that_is_none_is_refused() -> None:
    assert refused(exported().onnx, b"{}").code == "UNVERIFIED"


@pytest.mark.parametrize(
    "changes",
    [
        {"classes": ["a", "b", "c"]},
        {"classes": []},
        {"features": [{"name": "x", "type": "number"}]},
        {"features": [{"name": "x", "type": "number"}, {"name": "k", "type": "number"}]},
        {"features": [{"name": name, "type": "number"} for name in "yz"] + [{"name": "k", "type": "category"}]},
    ],
)
def test_a_model_whose_inputs_or_outputs_are_not_what_its_spec_says_is_refused(changes: dict[str, Any]) -> None:
    features = [{"values": [], **feature} for feature in changes.get("features", [])]
    spec = the_spec(**{**changes, "features": features} if features else changes)
    assert refused(exported().onnx, spec).code == "CONTRACT"


def test_a_model_of_single_precision_is_refused() -> None:
    graph = onnx.load_from_string(exported().onnx)
    graph.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    assert refused(bytes(graph.SerializeToString())).code in ("CONTRACT", "MODEL_LOAD")


def test_a_score_that_is_no_finite_number_is_an_error_of_the_model() -> None:
    loaded = LoadedModel.load(changed(c0=np.array([[np.nan]])), the_spec())
    with pytest.raises(ModelOutput, match="row 0") as caught:
        loaded.predict(some_rows(3))
    assert caught.value.code == "MODEL_OUTPUT"
