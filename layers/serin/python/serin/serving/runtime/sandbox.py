"""How is a model run that may crash, hang, or eat memory? In a process of its own, with limits on time and memory."""

from __future__ import annotations

import io
import os
import resource
import subprocess
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serin.errors import SerinError, Unverified
from serin.serving.rows.encode import Arrays, Encoded

_CHILD = "from serin.serving.runtime.sandbox import answer_parent; answer_parent()"
_REFUSED = 3  # the child's exit status where it could say what is wrong
# What Python needs to start: Lambda's finds its own library by LD_LIBRARY_PATH.
_INHERITED = ("PATH", "LD_LIBRARY_PATH", "LANG", "TZ", "TMPDIR")


def score_apart(
    onnx: bytes, spec: bytes, encoded: Encoded, *, seconds: float, memory_mb: int = 1200
) -> NDArray[np.float64]:
    """Load a model and score rows as `LoadedModel.raw_scores` does, at no risk to this process.

    memory_mb: address space, of which numpy and onnxruntime alone take some 500.
    Raises Unverified where the model cannot be loaded or run within the limits.
    """
    arrays = {"onnx": np.frombuffer(onnx, np.uint8), "spec": np.frombuffer(spec, np.uint8)}
    sent = io.BytesIO()
    np.savez(sent, allow_pickle=False, numeric=encoded.numeric, codes=encoded.codes, **arrays)
    try:
        child = subprocess.run(
            [sys.executable, "-c", _CHILD, str(int(seconds) + 1), str(memory_mb * 2**20)],
            input=sent.getvalue(),
            capture_output=True,
            timeout=seconds,
            check=False,
            env=_environment(),
        )
    except subprocess.TimeoutExpired:
        raise Unverified(f"the model took longer than {seconds:g} s and was stopped", code="MODEL_TIME") from None
    if child.returncode == _REFUSED:
        raise Unverified(child.stderr.decode(errors="replace").strip()[-500:], code="MODEL_LOAD")
    if child.returncode:
        raise Unverified(f"the model ended its process with status {child.returncode}", code="MODEL_CRASH")
    scores = np.load(io.BytesIO(child.stdout), allow_pickle=False)
    if scores.dtype != np.float64 or len(scores) != len(encoded):
        raise Unverified(f"the model gave {len(scores)} answers to {len(encoded)} rows", code="MODEL_LOAD")
    return np.asarray(scores)


def _environment() -> dict[str, str]:
    """What the child is started with: nothing secret. One thread, since each takes address space of its own."""
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {**inherited, "PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"}


def answer_parent() -> None:
    """Do the child's part: limits first, then the model; what is wrong is told in a line on stderr."""
    from serin.serving.runtime.model import LoadedModel  # the parent runs no model and need not load what does

    seconds, memory = (int(word) for word in sys.argv[1:3])
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with np.load(io.BytesIO(sys.stdin.buffer.read()), allow_pickle=False) as sent:
        arrays: dict[str, NDArray[Any]] = dict(sent)
    try:
        model = LoadedModel.load(arrays["onnx"].tobytes(), arrays["spec"].tobytes())
        scores = model.raw_scores(Encoded(Arrays(arrays["numeric"], arrays["codes"])))
    except SerinError as error:
        _refuse(error.message)
    except Exception as error:  # onnxruntime's exceptions have no common ancestor but this
        _refuse(f"the model cannot be run: {str(error)[:300]}")
    written = io.BytesIO()  # numpy wants to seek, which a pipe cannot
    np.save(written, scores, allow_pickle=False)
    sys.stdout.buffer.write(written.getvalue())


def _refuse(message: str) -> None:
    sys.stderr.write(message + "\n")
    sys.exit(_REFUSED)
