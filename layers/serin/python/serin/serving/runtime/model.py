"""How is a model version loaded and run? Its ONNX graph on one thread, once it is what its serving spec says."""

from __future__ import annotations

import math
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from serin.contract.serving_spec import ServingSpec
from serin.errors import ModelOutput, Unverified
from serin.serving.rows.body import MAX_ROWS
from serin.serving.rows.columns import COLUMNS, Columns, RowPacker
from serin.serving.rows.decode import RowDecoder
from serin.serving.rows.encode import Arrays, Encoded, PlainRow
from serin.serving.rows.mask import CaptureMask
from serin.serving.runtime.operators import check_operators

if TYPE_CHECKING:  # few requests ask for it
    from serin.serving.runtime.explain import Explained

FILES = ("model.onnx", "spec.json")  # of a version, what is loaded
MAX_ONNX_BYTES = 100 * 2**20
CHUNK_CELLS = 2**18  # of rows times columns; larger chunks are no faster, and cost memory
FEW_NUMBERS = 16  # up to so many, Python's own loop is done sooner than NumPy's


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that is ready to answer. usual: the rows that explanations start from; None where it has none."""

    spec: ServingSpec
    decoder: RowDecoder
    mask: CaptureMask
    columns: Columns
    usual: Arrays | None
    _session: Any
    _one: _OneRow

    @classmethod
    def load(cls, onnx: bytes, spec: bytes) -> LoadedModel:
        """Load a version. Raises Unverified where it cannot be loaded or is not what the spec says."""
        parsed = ServingSpec.from_json(spec)
        if len(onnx) > MAX_ONNX_BYTES:
            message = f"the model has {len(onnx):,} bytes; at most {MAX_ONNX_BYTES:,} are loaded"
            raise Unverified(message, code="MODEL_SIZE")
        check_operators(onnx)
        session = _session(onnx)
        columns = Columns.from_json(session.get_modelmeta().custom_metadata_map.get(COLUMNS, "{}"), parsed)
        outputs = max(len(parsed.classes), 1)
        _check_tensors(session, columns=len(columns), outputs=outputs)
        decoder, one = RowDecoder(parsed, max_rows=MAX_ROWS), _OneRow(session, columns, outputs=outputs)
        return cls(parsed, decoder, CaptureMask(parsed), columns, _usual(parsed), session, one)

    def predict(self, encoded: Encoded) -> NDArray[np.float64]:
        """Score rows: (n, classes) probabilities, or (n, 1) values. Raises ModelOutput where one is not finite."""
        scores = self.raw_scores(encoded)
        if not _are_finite(scores):
            row = int(np.flatnonzero(~np.isfinite(scores).all(axis=1))[0])
            raise ModelOutput(f"the model gave no finite number for row {row}")
        return scores

    def explain(self, encoded: Encoded, scores: NDArray[np.float64]) -> Explained:
        """Say what each feature contributed to these scores. Raises Refused, TooLarge as `check_explainable`."""
        from serin.serving.runtime.explain import check_explainable, explain  # few requests ask for it

        check_explainable(self.spec, len(encoded))
        assert self.usual is not None  # just checked
        return explain(encoded, scores, self.spec, self.usual, self.predict)

    def raw_scores(self, encoded: Encoded) -> NDArray[np.float64]:
        """Score rows as `predict`, finite or not."""
        rows = encoded.values
        if isinstance(rows, PlainRow):
            return self._one.run(rows)
        step = max(1, CHUNK_CELLS // max(1, len(self.columns)))
        starts = range(0, rows.row_count, step) or [0]
        return np.concatenate([self._run(rows.part(start, start + step)) for start in starts])

    def _run(self, rows: Arrays) -> NDArray[np.float64]:
        scores: NDArray[np.float64] = self._session.run(["scores"], {COLUMNS: self.columns.pack(rows)})[0]
        return scores


def _session(onnx: bytes) -> Any:
    """Make a session of one thread. Raises Unverified where the model cannot be loaded."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # errors come as exceptions
    try:
        return ort.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions have no common ancestor but this
        raise Unverified(f"the model cannot be loaded: {_first_line(error)}", code="MODEL_LOAD") from error


def _check_tensors(session: Any, *, columns: int, outputs: int) -> None:
    """Raise Unverified where a graph takes or gives something else than its spec says."""
    takes = {tensor.name: (tensor.type, tensor.shape[1:]) for tensor in session.get_inputs()}
    gives = {tensor.name: (tensor.type, tensor.shape[1:]) for tensor in session.get_outputs()}
    if takes != {COLUMNS: ("tensor(double)", [columns])} or gives != {"scores": ("tensor(double)", [outputs])}:
        raise Unverified(f"the model takes {takes} and gives {gives}, and its spec says otherwise", code="CONTRACT")


def _usual(spec: ServingSpec) -> Arrays | None:
    """Lay out the rows that explanations start from. Raises Unverified where they are not as wide as rows are."""
    if not spec.baseline:
        return None
    count = len(spec.baseline)
    try:
        numeric = np.array(spec.baseline.numbers, dtype=np.float64).reshape(count, len(spec.numeric))
        codes = np.array(spec.baseline.codes, dtype=np.int64).reshape(count, len(spec.categories))
    except ValueError as error:
        raise Unverified("the rows of the spec's baseline are not as wide as rows are", code="CONTRACT") from error
    return Arrays(numeric, codes)


class _OneRow:
    """Runs a model on one row, in arrays that are bound to its session once: to bind them takes as long as to run."""

    def __init__(self, session: Any, columns: Columns, *, outputs: int) -> None:
        row, self._scores = np.zeros((1, len(columns))), np.zeros((1, outputs))
        self._binding = session.io_binding()
        self._binding.bind_ortvalue_input(COLUMNS, ort.OrtValue.ortvalue_from_numpy(row))
        self._binding.bind_ortvalue_output("scores", ort.OrtValue.ortvalue_from_numpy(self._scores))
        self._row = row.data.cast("B")
        self._pack = RowPacker(columns)
        self._run = session.run_with_iobinding
        self._lock = Lock()

    def run(self, row: PlainRow) -> NDArray[np.float64]:
        with self._lock:
            self._row[:] = self._pack(row)
            self._run(self._binding)
            return self._scores.copy()


def _are_finite(scores: NDArray[np.float64]) -> bool:
    if scores.size <= FEW_NUMBERS:
        return all(map(math.isfinite, scores.ravel().tolist()))
    return bool(np.isfinite(scores).all())


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:300]
