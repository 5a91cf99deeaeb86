"""How does a fitted pipeline become ONNX? The transform is folded into the model, so that every branch is the same.

Everything is computed in double precision. A tree reads raw values: each threshold is moved back through scaling and
rounding to the largest raw number that scikit-learn sends left, and a missing number is read as one without end, so
that it goes where its median goes. What the graph reads is laid out for it (serin/serving/rows/columns.py): all that
trees ask is whether a column is at most a number, which onnxruntime answers fastest. So an answer differs from
scikit-learn's by no more than the rounding of sums. skl2onnx converts step by step in single precision, which sends
rows with missing values, large integers or values near a threshold down other branches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, checker, helper, numpy_helper
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline

from serin.contract.model import Contract
from serin.contract.serving_spec import ServingSpec
from serin.serving.rows.columns import COLUMNS, Columns
from serin.training.pipelines import MISSING

OPSET, ML_OPSET, IR_VERSION = 21, 5, 10
UNKNOWN = -1  # the code of a category that is none of those learned

_LEQ, _SUM, _NO_TRANSFORM = 0, 1, 0  # of ai.onnx.ml TreeEnsemble

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Categories:
    """What an encoder learned of one column: `values` in the order of their codes."""

    values: tuple[str, ...]
    missing_code: int
    pools_infrequent: bool


def learned_categories(pipeline: Pipeline, contract: Contract) -> dict[str, Categories]:
    """Read the categories that a fitted pipeline tells apart, per column."""
    names = [name for name, feature in contract.features.items() if not feature.is_numeric]
    if not names:
        return {}
    encoder = pipeline["columns"].named_transformers_["categories"]["encode"]
    categories = {}
    for name, values, rare in zip(names, encoder.categories_, encoder.infrequent_categories_, strict=True):
        pooled = set() if rare is None else set(rare)
        kept = tuple(str(value) for value in values if value not in pooled)
        categories[name] = Categories(kept, kept.index(MISSING) if MISSING in kept else UNKNOWN, bool(pooled))
    return categories


def to_onnx(pipeline: Pipeline, spec: ServingSpec) -> bytes:
    """Export a fitted pipeline of `serin.training.pipelines` as the graph that ServingSpec describes."""
    estimator = pipeline["model"]
    inputs = _Inputs.read(pipeline, spec)
    graph = _Graph()
    match estimator:
        case LogisticRegression() | Ridge():
            columns = _add_linear(graph, inputs, estimator)
        case RandomForestClassifier() | RandomForestRegressor():
            columns = _add_forest(graph, inputs, estimator)
        case HistGradientBoostingClassifier() | HistGradientBoostingRegressor():
            columns = _add_boosting(graph, inputs, estimator)
        case _:
            raise TypeError(f"{type(estimator).__name__} cannot be exported")
    return graph.to_bytes(columns, spec)


@dataclass(frozen=True, slots=True)
class _Inputs:
    """What the transform learned. one_hot: per such column its feature among the categories, and its code."""

    median: Floats
    mean: Floats
    scale: Floats
    one_hot: tuple[tuple[int, int], ...]

    @classmethod
    def read(cls, pipeline: Pipeline, spec: ServingSpec) -> _Inputs:
        parts = pipeline["columns"].named_transformers_
        none = np.zeros(0)
        median, mean, scale = none, none, none
        if spec.numeric:
            median = parts["numeric"]["impute"].statistics_
            mean, scale = parts["numeric"]["scale"].mean_, parts["numeric"]["scale"].scale_
        one_hot = []
        for place, feature in enumerate(spec.categories):
            one_hot += [(place, code) for code in range(len(feature.values))]
            one_hot += [(place, UNKNOWN)] if feature.pools_infrequent else []
        return cls(median, mean, scale, tuple(one_hot))


class _Graph:
    """Collects the nodes of a graph, named in the order they come."""

    def __init__(self) -> None:
        self._nodes: list[NodeProto] = []
        self._constants: list[TensorProto] = []

    def add(self, operator: str, *inputs: str, domain: str = "", output: str | None = None, **attributes: Any) -> str:
        name = output or f"t{len(self._nodes)}"
        node = helper.make_node(operator, inputs, [name], name=f"n{len(self._nodes)}", domain=domain, **attributes)
        self._nodes.append(node)
        return name

    def constant(self, value: Floats | Ints) -> str:
        name = f"c{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def to_bytes(self, columns: Columns, spec: ServingSpec) -> bytes:
        read = helper.make_tensor_value_info(COLUMNS, TensorProto.DOUBLE, ["n", len(columns)])
        scores = helper.make_tensor_value_info("scores", TensorProto.DOUBLE, ["n", max(len(spec.classes), 1)])
        graph = helper.make_graph(self._nodes, "serin", [read], [scores], self._constants)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
        model: ModelProto = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="serin")
        helper.set_model_props(model, {COLUMNS: columns.to_json(spec)})
        checker.check_model(model)
        return bytes(model.SerializeToString(deterministic=True))


def _add_binary_scores(graph: _Graph, positive: str) -> None:
    negative = graph.add("Sub", graph.constant(np.ones((1, 1))), positive)
    graph.add("Concat", negative, positive, axis=1, output="scores")


# --- linear ---


def _add_linear(graph: _Graph, inputs: _Inputs, estimator: LogisticRegression | Ridge) -> Columns:
    zeros_and_ones = np.zeros(len(inputs.one_hot))
    mean = np.concatenate([inputs.mean, zeros_and_ones])
    scale = np.concatenate([inputs.scale, zeros_and_ones + 1])
    weights = np.atleast_2d(estimator.coef_).astype(np.float64).T
    scaled = graph.add("Sub", COLUMNS, graph.constant(mean[None]))
    scaled = graph.add("Div", scaled, graph.constant(scale[None]))
    raw = graph.add("MatMul", scaled, graph.constant(weights))
    raw = graph.add("Add", raw, graph.constant(np.atleast_2d(estimator.intercept_).astype(np.float64)))
    if isinstance(estimator, Ridge):
        graph.add("Identity", raw, output="scores")
    elif len(estimator.classes_) == 2:
        _add_binary_scores(graph, graph.add("Sigmoid", raw))
    else:
        graph.add("Softmax", raw, axis=1, output="scores")
    return Columns.of(list(enumerate(inputs.median.tolist())), inputs.one_hot)


# --- trees ---


@dataclass(frozen=True, slots=True)
class _Tree:
    """One tree over transformed columns, its nodes in scikit-learn's order; a leaf gives `value` to one `output`."""

    is_leaf: NDArray[np.bool_]
    column: Ints
    threshold: Floats
    left: Ints
    right: Ints
    value: Floats
    output: int

    @classmethod
    def of_forest(cls, tree: Any, place: int, output: int) -> _Tree:
        value = tree.value[:, 0, place]
        if tree.node_count == 1:
            return cls.constant(value[0], output)
        left, right = tree.children_left, tree.children_right
        return cls(left < 0, tree.feature, tree.threshold, left, right, value, output)

    @classmethod
    def of_boosting(cls, nodes: Any, output: int) -> _Tree:
        if len(nodes) == 1:
            return cls.constant(nodes["value"][0], output)
        left, right = nodes["left"].astype(np.int64), nodes["right"].astype(np.int64)
        column = nodes["feature_idx"].astype(np.int64)
        is_leaf = nodes["is_leaf"].astype(bool)
        return cls(is_leaf, column, nodes["num_threshold"], left, right, nodes["value"], output)

    @classmethod
    def constant(cls, value: float, output: int) -> _Tree:
        """A tree that always gives `value`: ONNX wants a question at every root, so both answers are the same."""
        is_leaf, none = np.array([False, True, True]), np.zeros(3, dtype=np.int64)
        return cls(is_leaf, none, np.zeros(3), none + 1, none + 2, np.full(3, value), output)


def _add_forest(graph: _Graph, inputs: _Inputs, estimator: RandomForestClassifier | RandomForestRegressor) -> Columns:
    fitted = [tree.tree_ for tree in estimator.estimators_]
    classes = len(estimator.classes_) if isinstance(estimator, RandomForestClassifier) else 1
    # A leaf gives one number. Of two classes one probability is enough; of more each has its own copy of the trees.
    places = [1] if classes == 2 else list(range(classes))
    trees = [_Tree.of_forest(tree, place, output) for tree in fitted for output, place in enumerate(places)]
    total, columns = _add_trees(graph, inputs, trees, outputs=len(places), rounds_to_single=True)
    count = graph.constant(np.array([[float(len(fitted))]]))
    if classes == 2:
        _add_binary_scores(graph, graph.add("Div", total, count))
    else:
        graph.add("Div", total, count, output="scores")
    return columns


def _add_boosting(
    graph: _Graph, inputs: _Inputs, estimator: HistGradientBoostingClassifier | HistGradientBoostingRegressor
) -> Columns:
    start = estimator._baseline_prediction.ravel()
    trees = [_Tree.constant(value, output) for output, value in enumerate(start)]  # first, as scikit-learn sums
    for turn in estimator._predictors:
        trees += [_Tree.of_boosting(tree.nodes, output) for output, tree in enumerate(turn)]
    total, columns = _add_trees(graph, inputs, trees, outputs=len(start), rounds_to_single=False)
    if isinstance(estimator, HistGradientBoostingRegressor):
        graph.add("Identity", total, output="scores")
    elif len(start) == 1:
        _add_binary_scores(graph, graph.add("Sigmoid", total))
    else:
        graph.add("Softmax", total, axis=1, output="scores")
    return columns


def _add_trees(
    graph: _Graph, inputs: _Inputs, trees: Sequence[_Tree], *, outputs: int, rounds_to_single: bool
) -> tuple[str, Columns]:
    """Add the sum of trees over the columns that their splits ask about, and lay these out.

    rounds_to_single: whether the estimator rounds a transformed value to single precision before it compares.
    """
    starts = np.cumsum([0, *(len(tree.is_leaf) for tree in trees)])[:-1]
    is_leaf = np.concatenate([tree.is_leaf for tree in trees])
    is_split = ~is_leaf
    left = np.concatenate([tree.left + start for tree, start in zip(trees, starts, strict=True)])[is_split]
    right = np.concatenate([tree.right + start for tree, start in zip(trees, starts, strict=True)])[is_split]
    number = np.where(is_leaf, np.cumsum(is_leaf), np.cumsum(is_split)) - 1
    questions = _questions(
        inputs,
        np.concatenate([tree.column for tree in trees])[is_split],
        np.concatenate([tree.threshold for tree in trees])[is_split],
        rounds_to_single=rounds_to_single,
    )
    targets = np.repeat([tree.output for tree in trees], [int(tree.is_leaf.sum()) for tree in trees])
    weights = np.concatenate([tree.value for tree in trees])[is_leaf].astype(np.float64)
    total = graph.add(
        "TreeEnsemble",
        COLUMNS,
        domain="ai.onnx.ml",
        n_targets=outputs,
        aggregate_function=_SUM,
        post_transform=_NO_TRANSFORM,
        tree_roots=number[starts].tolist(),
        nodes_featureids=questions.column.tolist(),
        nodes_modes=numpy_helper.from_array(np.full(len(left), _LEQ, dtype=np.uint8), "modes"),
        nodes_splits=numpy_helper.from_array(questions.value, "splits"),
        nodes_truenodeids=number[left].tolist(),
        nodes_trueleafs=is_leaf[left].astype(np.int64).tolist(),
        nodes_falsenodeids=number[right].tolist(),
        nodes_falseleafs=is_leaf[right].astype(np.int64).tolist(),
        leaf_targetids=targets.tolist(),
        leaf_weights=numpy_helper.from_array(weights, "weights"),
    )
    return total, questions.columns


@dataclass(frozen=True, slots=True)
class _Questions:
    """What each split asks: is `column` of `columns` at most `value`?"""

    columns: Columns
    column: Ints
    value: Floats


def _questions(inputs: _Inputs, column: Ints, threshold: Floats, *, rounds_to_single: bool) -> _Questions:
    """Turn `transformed column <= threshold` into what is the same of the raw inputs."""
    numbers = len(inputs.mean)
    value, place = threshold.astype(np.float64), np.empty(len(column), dtype=np.int64)

    is_number = column < numbers
    of = column[is_number]
    mean, scale, limit = inputs.mean[of], inputs.scale[of], value[is_number]

    def goes_left(raw: Floats) -> NDArray[np.bool_]:
        with np.errstate(over="ignore"):
            scaled = (raw - mean) / scale
            compared = scaled.astype(np.float32) if rounds_to_single else scaled
        return np.asarray(compared <= limit)

    value[is_number] = _largest_where(goes_left, len(of))
    missing_goes_right = ~goes_left(inputs.median[of])
    asked_numbers, place[is_number] = np.unique(2 * of + missing_goes_right, return_inverse=True)
    asked_codes, code_place = np.unique(column[~is_number] - numbers, return_inverse=True)
    place[~is_number] = len(asked_numbers) + code_place
    columns = Columns.of(
        [(int(number) // 2, np.inf if number % 2 else -np.inf) for number in asked_numbers],
        [inputs.one_hot[code] for code in asked_codes],
    )
    return _Questions(columns, place, value)


def _largest_where(holds: Callable[[Floats], NDArray[np.bool_]], count: int) -> Floats:
    """Find the largest double for which each of `count` falling conditions holds, by bisection over all doubles.

    -inf where it holds for none. Doubles are walked by their bits, read as integers, which rise with them.
    """
    top = int(np.array(np.finfo(np.float64).max).view(np.int64))
    low, high = np.full(count, -top), np.full(count, top)
    for _ in range(64):
        middle = (low >> 1) + (high >> 1) + ((low | high) & 1)  # the mean, rounded up, without overflow
        does = holds(_from_ordinal(middle))
        low, high = np.where(does, middle, low), np.where(does, high, middle - 1)
    largest = _from_ordinal(low)
    return np.where(holds(largest), largest, -np.inf)


def _from_ordinal(ordinal: Ints) -> Floats:
    return np.where(ordinal >= 0, 1.0, -1.0) * np.abs(ordinal).view(np.float64)
