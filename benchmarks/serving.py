"""How fast is one prediction? The handler against the bare model run and scikit-learn; over HTTP against others.

Run by `make bench-serving`. Everything of one table was measured in one run, in turns.
"""

from __future__ import annotations

import compileall
import json
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast
from unittest.mock import patch

import numpy as np
import onnxruntime as ort
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # a part of scikit-learn

from benchmarks.load import Target, load
from benchmarks.on_twin import on_twin
from benchmarks.peer import PEERS, free_port, python_of, run, serving
from benchmarks.report import FOLDER, Figure, alternate, cpu_seconds, say, tell
from benchmarks.subject import FEATURES, NAME, Subject, an_event, make_subject
from functions.api import handler
from serin.cli.export import export, write
from serin.registry.ports import Objects
from serin.serving.capture.recorder import Recorder
from serin.serving.endpoint import Endpoint
from serin.serving.routing import router as routing
from serin.serving.routing.router import Router
from serin.serving.rows.encode import Encoded
from serin.serving.runtime.model import LoadedModel

ROUNDS = 25
HTTP_ROUNDS = 5
HTTP_SECONDS = 2.0
MOST_REQUESTS = 4_000
CLIENTS = 8
# Where each is asked, and under which key it takes rows.
PEERS_ASKED = {
    "mlflow": ("invocations", "dataframe_records"),
    "bentoml": ("predict", "rows"),
    "fastapi": ("predict", "rows"),
}


def main() -> int:
    subject = make_subject()
    subject.write(FOLDER / "subject")
    return tell("serving", [*in_process(subject), *over_http(subject)])


def in_process(subject: Subject) -> list[Figure]:
    """Measure the handler from event to response, its capture line discarded."""
    say(f"in one process, {ROUNDS} rounds")
    event = an_event(subject)
    bare = bare_run(subject)
    ours = handling(event, endpoint_of(subject, LoadedModel))
    theirs = handling(event, endpoint_of(subject, by_scikit_learn(subject)))
    with threadpool_limits(1):
        took = alternate(
            {
                "handler": lambda: cpu_seconds(ours, times=300),
                "bare run": lambda: cpu_seconds(bare, times=300),
                "scikit-learn": lambda: cpu_seconds(theirs, times=10),
            },
            rounds=ROUNDS,
        )
    handled, ran, by_pandas = took["handler"], took["bare run"], took["scikit-learn"]
    return [
        Figure("handler: event to response", handled * 1e6, "µs"),
        Figure("bare session.run of a graph of two tensors", ran * 1e6, "µs"),
        Figure("scikit-learn in the same handler", by_pandas * 1e6, "µs"),
        Figure("handler / bare run", handled / ran, "×", at_most=4.2),
        Figure("scikit-learn / handler", by_pandas / handled, "×", at_least=90),
    ]


def bare_run(subject: Subject) -> Callable[[], object]:
    """The same trees by skl2onnx, behind imputer, scaler and one-hot columns; float32 and int64 in."""
    graph = FOLDER / "two-tensors.onnx"
    run("skl2onnx", "convert.py", FOLDER / "subject", graph)
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    model = LoadedModel.load(subject.files["model.onnx"], subject.files["spec.json"])
    encoded = model.decoder.decode(subject.body)
    assert encoded is not None, "the row is an ordinary one"
    feeds = {"numeric": encoded.numeric.astype(np.float32), "codes": encoded.codes}
    np.testing.assert_allclose(session.run(None, feeds)[1], model.predict(encoded), atol=1e-5)
    return lambda: session.run(None, feeds)


def endpoint_of(subject: Subject, kind: type[LoadedModel]) -> Endpoint:
    """The endpoint as the function makes it, over files at hand instead of S3's."""
    router = Router(lambda _: subject.route, subject.get, time.monotonic)
    with patch.object(routing, "LoadedModel", kind):
        router.serving(NAME)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    recorder = Recorder(partial(os.write, nowhere), wall_clock=time.time, report=handler.report)
    return Endpoint(router, new_id=lambda: secrets.token_hex(8), recorder=recorder)


def by_scikit_learn(subject: Subject) -> type[LoadedModel]:
    """A model that is read, checked and answered like ours, and run by the pipeline on a DataFrame."""
    values = [np.array([*feature.values, None], dtype=object) for feature in subject.spec.categories]

    class ByScikitLearn(LoadedModel):
        def raw_scores(self, encoded: Encoded) -> NDArray[np.float64]:
            columns = [
                *encoded.numeric.T,
                *(known[codes] for known, codes in zip(values, encoded.codes.T, strict=True)),
            ]
            scores: NDArray[np.float64] = subject.pipeline.predict_proba(
                pd.DataFrame(dict(zip(FEATURES, columns, strict=True)))
            )
            return scores

    return ByScikitLearn


def handling(event: dict[str, Any], endpoint: Endpoint) -> Callable[[], object]:
    """A call of the handler, as Lambda makes it."""

    def handle() -> object:
        handler.endpoint = lambda: endpoint  # type: ignore[assignment]  # the one that it would make needs AWS
        return handler.app(dict(event), None)

    answer = handle()
    assert isinstance(answer, dict)
    assert answer["statusCode"] == 200, answer
    return handle


def over_http(subject: Subject) -> list[Figure]:
    """Measure every server by the same client, one after the other, round by round."""
    with ExitStack() as running:
        targets = {
            "twin": running.enter_context(on_twin(subject)).target,
            "container": running.enter_context(container(subject)),
            **{name: running.enter_context(peer(name, subject)) for name in PEERS_ASKED},
        }
        say(f"over HTTP, {HTTP_ROUNDS} rounds")
        ms = alternate({name: partial(median_ms, target) for name, target in targets.items()}, rounds=HTTP_ROUNDS)
        rates = alternate({name: partial(per_second, target) for name, target in targets.items()}, rounds=HTTP_ROUNDS)
    return [
        *(Figure(f"{name}: p50, one client", ms[name], "ms") for name in targets),
        *(Figure(f"{name}: requests a second, {CLIENTS} clients", rates[name], "/s") for name in targets),
        Figure("MLflow / twin, p50", ms["mlflow"] / ms["twin"], "×", at_least=5),
        Figure("twin / MLflow, requests a second", rates["twin"] / rates["mlflow"], "×", at_least=8),
        Figure("MLflow / container, p50", ms["mlflow"] / ms["container"], "×", at_least=15),
        Figure("container / MLflow, requests a second", rates["container"] / rates["mlflow"], "×", at_least=60),
        *(Figure(f"{name} / container, p50", ms[name] / ms["container"], "×") for name in ("bentoml", "fastapi")),
    ]


def median_ms(target: Target) -> float:
    return load(target, clients=1, seconds=HTTP_SECONDS, most=MOST_REQUESTS).median_ms


def per_second(target: Target) -> float:
    return load(target, clients=CLIENTS, seconds=HTTP_SECONDS, most=MOST_REQUESTS).per_second


@contextmanager
def container(subject: Subject) -> Iterator[Target]:
    """Run the server of `serin export --as container` from its build context, as its Dockerfile does."""
    with TemporaryDirectory() as scratch:
        folder = Path(scratch) / "context"
        write(export(subject.version, cast(Objects, subject), "container"), folder)  # of which it only reads
        compileall.compile_dir(folder / "serin", quiet=1)
        port = free_port()
        command = [sys.executable, "-m", "serin.serving.standalone.server", "--host", "127.0.0.1", "--port", str(port)]
        target = Target(f"http://127.0.0.1:{port}/models/{NAME}/predict", subject.body)
        with serving(command, target, folder=folder):
            yield target


@contextmanager
def peer(name: str, subject: Subject) -> Iterator[Target]:
    """Run the server of another tool, from its own environment."""
    path, key = PEERS_ASKED[name]
    port = free_port()
    target = Target(f"http://127.0.0.1:{port}/{path}", json.dumps({key: [subject.row]}).encode())
    command: list[str | Path] = [python_of(name), PEERS / name / "serve.py", FOLDER / "subject", str(port)]
    with serving(command, target, folder=FOLDER):
        yield target


if __name__ == "__main__":
    sys.exit(main())
