"""May a graph be run at all? Only operators whose work is bounded by the rows and the weights that they are given.

A loop may never end, and what makes a tensor of a given size may exhaust memory, though the file that says so is small
and passes every checker. The names of operators are read from the file itself, before anything runs it.
"""

from __future__ import annotations

from collections.abc import Iterator

from serin.errors import Unverified

ALLOWED = frozenset(
    [
        "Abs",
        "Add",
        "And",
        "ArgMax",
        "ArgMin",
        "ArrayFeatureExtractor",
        "Cast",
        "Ceil",
        "Clip",
        "Concat",
        "Constant",
        "Div",
        "Equal",
        "Erf",
        "Exp",
        "Flatten",
        "Floor",
        "Gather",
        "Gemm",
        "Greater",
        "GreaterOrEqual",
        "Identity",
        "Imputer",
        "IsInf",
        "IsNaN",
        "LabelEncoder",
        "Less",
        "LessOrEqual",
        "LinearClassifier",
        "LinearRegressor",
        "Log",
        "MatMul",
        "Max",
        "Mean",
        "Min",
        "Mul",
        "Neg",
        "Normalizer",
        "Not",
        "OneHotEncoder",
        "Or",
        "Pow",
        "Reciprocal",
        "ReduceL2",
        "ReduceMax",
        "ReduceMean",
        "ReduceMin",
        "ReduceSum",
        "Relu",
        "Reshape",
        "Round",
        "Scaler",
        "Shape",
        "Sigmoid",
        "Sign",
        "Slice",
        "Softmax",
        "Split",
        "Sqrt",
        "Squeeze",
        "Sub",
        "Sum",
        "Tanh",
        "Transpose",
        "TreeEnsemble",
        "TreeEnsembleClassifier",
        "TreeEnsembleRegressor",
        "Unsqueeze",
        "Where",
        "Xor",
    ]
)

# Numbers of fields in onnx.proto.
_GRAPH, _FUNCTIONS = 7, 25  # of a model
_NODE, _INITIALIZER = 1, 5  # of a graph
_OPERATOR = 4  # of a node
_EXTERNAL = 13  # of a tensor

Part = tuple[int, int]


def check_operators(onnx: bytes) -> None:
    """Raise Unverified where a graph has another operator, functions of its own, or weights in other files.

    Bytes that are no protobuf pass: who loads them says what they are.
    """
    try:
        findings = [*_findings(onnx)]
    except (IndexError, ValueError):
        return
    for code, message in findings:
        raise Unverified(message, code=code)


def _findings(onnx: bytes) -> Iterator[tuple[str, str]]:
    for number, model_part in _fields(onnx, (0, len(onnx))):
        if number == _FUNCTIONS:
            yield "OPERATOR", "the model brings functions of its own, which are not run"
        if number != _GRAPH:
            continue
        for kind, graph_part in _fields(onnx, model_part):
            if kind == _NODE:
                for operator in (onnx[slice(*part)] for field, part in _fields(onnx, graph_part) if field == _OPERATOR):
                    if (name := operator.decode(errors="replace")) not in ALLOWED:
                        yield "OPERATOR", f"the model has the operator {name[:60]!r}, which is not run"
            elif kind == _INITIALIZER and any(field == _EXTERNAL for field, _ in _fields(onnx, graph_part)):
                yield "EXTERNAL_DATA", "the model has weights in another file"


def _fields(content: bytes, part: Part) -> Iterator[tuple[int, Part]]:
    """Walk the fields of a protobuf message: the number of each, and where its bytes are.

    Source: protobuf.dev/programming-guides/encoding.
    """
    place, end = part
    while place < end:
        key, place = _varint(content, place)
        match key & 7:
            case 0:
                begin = place
                _, place = _varint(content, place)
            case 1:
                begin, place = place, place + 8
            case 2:
                size, begin = _varint(content, place)
                place = begin + size
            case 5:
                begin, place = place, place + 4
            case other:
                raise ValueError(f"wire type {other}")
        if place > end:
            raise ValueError("a field ends after its message")
        yield key >> 3, (begin, place)


def _varint(content: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
        shift += 7
        if shift > 63:
            raise ValueError("a number is too long")
