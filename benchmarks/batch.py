"""How fast are many rows, and are they right? Against scikit-learn's own predict on the same table, on one thread.

Run by `make bench-batch`.
"""

from __future__ import annotations

import io
import sys
from typing import cast

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # a part of scikit-learn

from benchmarks.report import Figure, alternate, cpu_seconds, say, tell
from benchmarks.subject import CONTRACT, NAME, Subject, columns_of, draw_table, make_subject
from serin.aws.cloud import utc_now
from serin.batch.close import BatchCloser
from serin.batch.predict import PartPredictor
from serin.batch.split import Splitter
from serin.batch.start import BatchStarter
from serin.registry.keys import batch_key
from serin.registry.ports import Objects
from serin.registry.records import Run, RunStatus
from serin.registry.registry import Registry, put
from serin.serving.rows.encode import encode_columns
from serin.serving.runtime.model import LoadedModel
from tests.fakes import FakeAnswers, FakeObjects, FakeRows, FakeWorkflow

ROUNDS = {1_000: 25, 1_000_000: 3}  # by the number of rows
CSV_ROUNDS = {1_000: 5, 1_000_000: 1}
PARITY_ROWS = 200_000
TOLERANCE = 1e-5
UNSEEN_SHARE = 0.05


def main() -> int:
    subject = make_subject()
    model = LoadedModel.load(subject.files["model.onnx"], subject.files["spec.json"])
    with threadpool_limits(1):
        timed = [figure for rows in ROUNDS for figure in (*arrays(subject, model, rows), *csv(subject, rows))]
        return tell("batch", [*timed, *parity(subject, model)])


def arrays(subject: Subject, model: LoadedModel, rows: int) -> list[Figure]:
    """Measure arrays to arrays: from codes, as the model reads categories, and from texts, as tables hold them."""
    say(f"{rows:,} rows, arrays to arrays")
    table = draw_table(rows, seed=2)
    columns = columns_of(table)
    encoded = encode_columns(columns, subject.spec)
    took = alternate(
        {
            "codes": lambda: cpu_seconds(lambda: model.predict(encoded)),
            "texts": lambda: cpu_seconds(lambda: model.predict(encode_columns(columns, subject.spec))),
            "scikit-learn": lambda: cpu_seconds(lambda: subject.pipeline.predict_proba(table)),
        },
        rounds=ROUNDS[rows],
    )
    return [
        Figure(f"{rows:,} rows: Serin, from numbers and codes", took["codes"] * 1000, "ms"),
        Figure(f"{rows:,} rows: Serin, from numbers and texts", took["texts"] * 1000, "ms"),
        Figure(f"{rows:,} rows: scikit-learn", took["scikit-learn"] * 1000, "ms"),
        Figure(f"{rows:,} rows: scikit-learn / Serin, codes", took["scikit-learn"] / took["codes"], "×", at_least=4),
        Figure(f"{rows:,} rows: scikit-learn / Serin, texts", took["scikit-learn"] / took["texts"], "×"),
    ]


def csv(subject: Subject, rows: int) -> list[Figure]:
    """Measure CSV to CSV: all that a batch does, and what a short script does."""
    say(f"{rows:,} rows, CSV to CSV")
    content = draw_table(rows, seed=2).to_csv(index=False, float_format="%.4f").encode()
    took = alternate(
        {
            "batch": lambda: cpu_seconds(lambda: answer_csv(content, subject)),
            "script": lambda: cpu_seconds(lambda: answer_csv_by_script(content, subject)),
        },
        rounds=CSV_ROUNDS[rows],
    )
    return [
        Figure(f"{rows:,} rows, CSV to CSV: a batch of Serin's", took["batch"] * 1000, "ms"),
        Figure(f"{rows:,} rows, CSV to CSV: pandas and scikit-learn", took["script"] * 1000, "ms"),
    ]


def answer_csv(content: bytes, subject: Subject) -> int:
    """Answer a file as a batch does: every row judged by the contract, answered, and written with its line.

    Gives how many rows are answered.
    """
    data, registry, workflow = FakeObjects(), Registry(FakeRows()), FakeWorkflow()
    contract = CONTRACT.model_dump(mode="json")
    run = Run(subject.version.run, NAME, RunStatus.REGISTERED, (), 0, contract, CONTRACT.digest, "", "", "")
    for record in (run, subject.version, subject.route):
        registry.save(put(record, expected_revision=0))
    key = batch_key(NAME, "rows.csv")
    job = BatchStarter(registry, data, workflow, utc_now).start_file(key, data.put(key, content))
    assert job is not None, "there is a champion"
    event = workflow.started[f"{NAME}-{job}"]
    for file in list(data.list(event["files"])):
        Splitter(data, cast(Objects, subject)).split(NAME, job, file.key)
    for part in list(data.list(event["parts"])):
        PartPredictor(data, cast(Objects, subject), FakeAnswers()).predict(NAME, job, part.key)
    account: int = BatchCloser(data, utc_now).close(NAME, job).answered
    return account


def answer_csv_by_script(content: bytes, subject: Subject) -> None:
    """Read, predict and write with pandas and scikit-learn: no row is judged, and only probabilities are told."""
    table = pd.read_csv(io.BytesIO(content))
    pd.DataFrame(subject.pipeline.predict_proba(table), columns=subject.pipeline.classes_).to_csv(index=False)


def parity(subject: Subject, model: LoadedModel) -> list[Figure]:
    """Compare answers row by row, where values are missing and categories were never seen."""
    say(f"parity over {PARITY_ROWS:,} rows")
    table = draw_table(PARITY_ROWS, seed=3, unseen_share=UNSEEN_SHARE)
    ours = model.predict(encode_columns(columns_of(table), subject.spec))
    theirs = subject.pipeline.predict_proba(table)
    off = np.abs(ours - theirs).max(axis=1)
    flipped = ours.argmax(axis=1) != theirs.argmax(axis=1)
    return [
        Figure(f"parity, {PARITY_ROWS:,} rows: the largest difference", float(off.max())),
        Figure("rows off by more than 1e-5", float((off > TOLERANCE).sum()), "rows", at_most=0),
        Figure("flipped labels", float(flipped.sum()), "rows", at_most=0),
    ]


if __name__ == "__main__":
    sys.exit(main())
