"""What does a bad challenger look like? The champion's own graph, edited to do one thing wrong, under another plan."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from math import ceil
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper, load_from_string, numpy_helper

from serin.aws.cloud import Cloud
from serin.contract.keys_and_defaults import Release as ReleaseSection
from serin.errors import NotFound
from serin.registry.ids import sha256
from serin.registry.registry import put, put_training

TRIAL_TURNS = 20  # to see how long one takes here
WIDTH = 256  # of the matrices that a turn multiplies

Edit = Callable[[bytes], bytes]


def raising(onnx: bytes) -> bytes:
    """Let a model load, and fail whenever it is run: it looks for a row after the last one."""
    return _edited(
        onnx,
        helper.make_node("Shape", ["before"], ["rows"], start=0, end=1),
        helper.make_node("Gather", ["before", "rows"], ["beyond"], axis=0),
        helper.make_node("Add", ["before", "beyond"], ["scores"]),
    )


def answering_nan(onnx: bytes) -> bytes:
    """Let a model answer what is no number."""
    return _edited(onnx, helper.make_node("Mul", ["before", "nan"], ["scores"]), nan=np.array(np.nan))


def answering_nan_above(onnx: bytes, *, threshold: float) -> bytes:
    """Let a model answer what is no number where its first score would be above a threshold, and else as before."""
    return _edited(
        onnx,
        helper.make_node("Gather", ["before", "first"], ["first_value"], axis=1),
        helper.make_node("Greater", ["first_value", "threshold"], ["is_above"]),
        helper.make_node("Where", ["is_above", "nan", "nothing"], ["blemish"]),
        helper.make_node("Add", ["before", "blemish"], ["scores"]),
        first=np.array([0]),
        threshold=np.array(threshold),
        nan=np.array(np.nan),
        nothing=np.array(0.0),
    )


def slowed(onnx: bytes, *, seconds: float) -> bytes:
    """Let a model answer as before, but about so much later on a machine like this one."""
    turn = _seconds_of(_burning(onnx, TRIAL_TURNS)) / TRIAL_TURNS
    return _burning(onnx, ceil(seconds / turn))


def mistaken(onnx: bytes, *, shift: float) -> bytes:
    """Let a classifier be certain of the label that it finds least likely, and a regression answer `shift` too much."""
    (width,) = (output.type.tensor_type.shape.dim[1].dim_value for output in load_from_string(onnx).graph.output)
    if width == 1:
        return _edited(onnx, helper.make_node("Add", ["before", "shift"], ["scores"]), shift=np.array(shift))
    return _edited(
        onnx,
        helper.make_node("ArgMin", ["before"], ["least"], axis=1, keepdims=0),
        helper.make_node("Gather", ["certain", "least"], ["scores"], axis=0),
        certain=np.eye(width),
    )


def register(cloud: Cloud, model: str, plan: Mapping[str, Any], edit: Edit | None = None) -> int:
    """Register another version with the champion's files under a plan, and give its number. edit: changes its graph."""
    registry, artifacts = cloud.registry, cloud.artifacts
    route, state = registry.route(model), registry.training(model)
    if route is None:
        raise NotFound(f"{model} has no champion: nothing was released yet", code="NO_CHAMPION")
    champion = registry.version(model, route.value.champion.version).value
    run, number = registry.run(model, champion.run).value, state.value.last_version + 1
    files = {name: artifacts.get(champion.prefix + name) for name in champion.files}
    if edit:
        files["model.onnx"] = edit(files["model.onnx"])
    digests = {name: sha256(content) for name, content in files.items()}
    lineage = json.loads(artifacts.get(champion.prefix + "manifest.json"))
    manifest = json.dumps({**lineage, "version": number, "files": digests}).encode()
    version = replace(
        champion,
        number=number,
        run=f"run-{number}",
        files=digests,
        manifest_sha256=sha256(manifest),
        served=False,
        compared_with=None,  # nobody compared it: that it is released all the same is the point
    )
    for name, content in {**files, "manifest.json": manifest}.items():
        artifacts.put_once(version.prefix + name, content)
    contract = {**run.contract, "release": ReleaseSection.model_validate(plan).model_dump(mode="json")}
    registry.save(
        put(version, expected_revision=0),
        put(replace(run, id=version.run, version=number, contract=contract), expected_revision=0),
        put_training(model, replace(state.value, last_version=number), expected_revision=state.revision),
    )
    return number


def _edited(onnx: bytes, *nodes: NodeProto, **constants: NDArray[Any]) -> bytes:
    """Let `nodes` make `scores` out of what the graph gave so far, which they know as `before`."""
    model = _renamed(onnx)
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    return bytes(model.SerializeToString())


def _renamed(onnx: bytes) -> ModelProto:
    model = load_from_string(onnx)
    for node in model.graph.node:
        node.output[:] = ["before" if name == "scores" else name for name in node.output]
    return model


def _burning(onnx: bytes, turns: int) -> bytes:
    """Multiply matrices that count for nothing, one turn after the other; a loop would not be loaded."""
    node = helper.make_node
    squares = [node("MatMul", [f"square{turn}", f"square{turn}"], [f"square{turn + 1}"]) for turn in range(turns)]
    return _edited(
        onnx,
        # Of the answer, so that nothing of it can be computed while the model is loaded.
        node("ReduceSum", ["before"], ["all"], keepdims=0),
        node("Mul", ["all", "nothing"], ["none"]),
        node("Add", ["column", "none"], ["ones"]),
        node("MatMul", ["ones", "row"], ["square0"]),
        *squares,
        node("ReduceSum", [f"square{turns}"], ["burned"], keepdims=0),
        node("Mul", ["burned", "nothing"], ["ash"]),
        node("Add", ["before", "ash"], ["scores"]),
        nothing=np.array(0.0),
        column=np.ones((WIDTH, 1)),
        row=np.full((1, WIDTH), 1 / WIDTH),
    )


def _seconds_of(onnx: bytes) -> float:
    """Measure how long a graph takes for one row, at its quickest of three."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    (columns,) = session.get_inputs()
    feeds = {columns.name: np.zeros((1, columns.shape[1]))}
    took = []
    for _ in range(3):
        begun = time.perf_counter()
        session.run(None, feeds)
        took.append(time.perf_counter() - begun)
    return min(took)
