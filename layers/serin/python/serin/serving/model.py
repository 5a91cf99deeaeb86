"""How is a model version loaded and run? Its ONNX graph on one thread, once it is what its serving spec says."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from serin.contract.spec import ServingSpec
from serin.errors import ModelOutput, Unverified
from serin.serving.body import MAX_ROWS
from serin.serving.capture import Veil
from serin.serving.decode import RowDecoder
from serin.serving.encode import Encoded

if TYPE_CHECKING:
    from serin.serving.explain import Explained

MAX_ONNX_BYTES = 100 * 2**20
CHUNK_ROWS = 4096  # larger chunks are no faster, and cost memory
FEW_NUMBERS = 16  # up to so many, Python's own loop is done sooner than NumPy's


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that is ready to answer."""

    spec: ServingSpec
    decoder: RowDecoder
    veil: Veil
    _session: Any
    _inputs: tuple[str, ...]

    @classmethod
    def load(cls, onnx: bytes, spec: bytes) -> LoadedModel:
        """Load a version. Raises Unverified where it cannot be loaded or is not what the spec says."""
        read = ServingSpec.from_json(spec)
        if len(onnx) > MAX_ONNX_BYTES:
            message = f"the model has {len(onnx):,} bytes; at most {MAX_ONNX_BYTES:,} are loaded"
            raise Unverified(message, code="MODEL_SIZE")
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4  # errors come as exceptions
        try:
            session = ort.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's exceptions have no common ancestor but this
            raise Unverified(f"the model cannot be loaded: {_first_line(error)}", code="MODEL_LOAD") from error
        asked = _inputs(read)
        found = {tensor.name: (tensor.type, tensor.shape[1:]) for tensor in session.get_inputs()}
        given = {tensor.name: (tensor.type, tensor.shape[1:]) for tensor in session.get_outputs()}
        if found != asked or given != {"scores": ("tensor(double)", [max(len(read.classes), 1)])}:
            raise Unverified(f"the model takes {found} and gives {given}, and its spec says otherwise", code="CONTRACT")
        return cls(read, RowDecoder(read, max_rows=MAX_ROWS), Veil(read), session, tuple(asked))

    def predict(self, encoded: Encoded) -> NDArray[np.float64]:
        """Score rows: (n, classes) probabilities, or (n, 1) values. Raises ModelOutput where one is not finite."""
        scores = self.raw_scores(encoded)
        if not _are_finite(scores):
            row = int(np.flatnonzero(~np.isfinite(scores).all(axis=1))[0])
            raise ModelOutput(f"the model gave no finite number for row {row}")
        return scores

    def explain(self, encoded: Encoded, scores: NDArray[np.float64]) -> Explained:
        """Say what each feature contributed to these scores. Raises Refused, TooLarge as `check_explainable`."""
        from serin.serving.explain import explain  # few requests ask for it

        return explain(encoded, scores, self.spec, self.predict)

    def raw_scores(self, encoded: Encoded) -> NDArray[np.float64]:
        """Score rows as `predict`, finite or not."""
        tensors = {"numeric": encoded.numeric, "codes": encoded.codes}
        feeds = {name: tensors[name] for name in self._inputs}
        if len(encoded) <= CHUNK_ROWS:
            return self._run(feeds)
        starts = range(0, len(encoded), CHUNK_ROWS)
        chunks = [{name: tensor[start : start + CHUNK_ROWS] for name, tensor in feeds.items()} for start in starts]
        return np.concatenate([self._run(chunk) for chunk in chunks])

    def _run(self, feeds: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
        scores: NDArray[np.float64] = self._session.run(["scores"], feeds)[0]
        return scores


def _are_finite(scores: NDArray[np.float64]) -> bool:
    if scores.size <= FEW_NUMBERS:
        return all(map(math.isfinite, scores.ravel().tolist()))
    return bool(np.isfinite(scores).all())


def _inputs(spec: ServingSpec) -> dict[str, tuple[str, list[int]]]:
    numeric = {"numeric": ("tensor(double)", [len(spec.numeric)])} if spec.numeric else {}
    codes = {"codes": ("tensor(int64)", [len(spec.categories)])} if spec.categories else {}
    return numeric | codes


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:300]
