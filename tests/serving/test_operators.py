"""A graph is run only where every operator's work is bounded; and what training exports is."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from serin.errors import Unverified
from serin.serving.runtime.operators import ALLOWED, check_operators


def a_model(*operators: str) -> onnx.ModelProto:
    nodes = [helper.make_node(name, ["x"], [f"y{place}"]) for place, name in enumerate(operators)]
    given = helper.make_tensor_value_info("x", TensorProto.DOUBLE, [None, 1])
    graph = helper.make_graph(nodes, "g", [given], [])
    graph.initializer.append(numpy_helper.from_array(np.arange(3.0), "w"))
    return helper.make_model(graph)


def test_allowed_operators_pass() -> None:
    check_operators(a_model(*sorted(ALLOWED)).SerializeToString())


@pytest.mark.parametrize("name", ["Loop", "If", "Scan", "ConstantOfShape", "Expand", "Tile", "Range", "Anything"])
def test_another_operator_is_refused_by_name(name: str) -> None:
    with pytest.raises(Unverified, match=name) as caught:
        check_operators(a_model("Add", name).SerializeToString())
    assert caught.value.code == "OPERATOR"


def test_functions_of_its_own_are_refused() -> None:
    model = a_model("Add")
    model.functions.append(helper.make_function("own", "f", ["a"], ["b"], [helper.make_node("Abs", ["a"], ["b"])], []))
    with pytest.raises(Unverified, match="functions of its own"):
        check_operators(model.SerializeToString())


def test_weights_in_another_file_are_refused() -> None:
    model = a_model("Add")
    model.graph.initializer[0].external_data.add(key="location", value="../secret")
    model.graph.initializer[0].data_location = TensorProto.EXTERNAL
    with pytest.raises(Unverified) as caught:
        check_operators(model.SerializeToString())
    assert caught.value.code == "EXTERNAL_DATA"


@given(st.binary(max_size=200))
def test_any_bytes_are_looked_through_without_a_crash(content: bytes) -> None:
    with suppress(Unverified):
        check_operators(content)
