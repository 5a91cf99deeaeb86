"""A faulty challenger loads as any model does, and does wrong just what it is to do wrong."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from serin.cli.faulty import answering_nan, answering_nan_above, mistaken, raising, register, slowed
from serin.errors import Conflict
from serin.registry.records import TrainingState
from serin.registry.registry import put_training
from serin.serving.rows.encode import encode
from serin.serving.runtime.model import LoadedModel
from tests.interleave import OvertakenRows, overtake_every_row
from tests.release.bench import CANARY, Bench
from tests.serving.asking import VERSION, train_files
from tests.serving.test_forms import ROW

Load = Callable[..., LoadedModel]


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return train_files()


def scores(files: dict[str, bytes], model: str, edit: Callable[[bytes], bytes]) -> np.ndarray:
    onnx, spec = (files[f"models/{model}/{VERSION}/{name}"] for name in ("model.onnx", "spec.json"))
    loaded = LoadedModel.load(edit(onnx), spec)
    return loaded.raw_scores(encode([ROW, {**ROW, "age": 20}], loaded.spec))


def test_one_raises_whenever_it_is_run(files: dict[str, bytes]) -> None:
    with pytest.raises(Exception, match="out of data bounds"):
        scores(files, "loans", raising)


@pytest.mark.parametrize("model", ["loans", "worths"])
def test_one_answers_what_is_no_number(files: dict[str, bytes], model: str) -> None:
    assert np.isnan(scores(files, model, answering_nan)).all()


def test_one_answers_no_number_to_some_rows_and_the_others_well(files: dict[str, bytes]) -> None:
    well = scores(files, "loans", bytes)
    low, high = sorted(well[:, 0])
    found = scores(files, "loans", lambda onnx: answering_nan_above(onnx, threshold=(low + high) / 2))
    assert np.isnan(found[well[:, 0] == high]).all()
    assert np.array_equal(found[well[:, 0] == low], well[well[:, 0] == low])


@pytest.mark.parametrize("model", ["loans", "worths"])
def test_a_slow_one_answers_the_same(files: dict[str, bytes], model: str) -> None:
    assert np.array_equal(scores(files, model, lambda onnx: slowed(onnx, seconds=0.01)), scores(files, model, bytes))


def test_a_mistaken_classifier_is_certain_of_the_other_label(files: dict[str, bytes]) -> None:
    found = scores(files, "loans", lambda onnx: mistaken(onnx, shift=0.0))
    assert (found.max(axis=1) == 1).all()
    assert (found.argmax(axis=1) == scores(files, "loans", bytes).argmin(axis=1)).all()


def test_a_mistaken_regression_answers_too_much(files: dict[str, bytes]) -> None:
    found = scores(files, "worths", lambda onnx: mistaken(onnx, shift=50.0))
    assert found == pytest.approx(scores(files, "worths", bytes) + 50)


class Cloud(Bench):
    """A bench whose champion others are made of."""

    def __init__(self) -> None:
        super().__init__(rows=OvertakenRows())
        self.start(1)
        self.turn(1)
        self.registry.save(put_training("loans", TrainingState(last_version=1), expected_revision=0))

    def make(self) -> int:
        return register(self, "loans", CANARY)  # type: ignore[arg-type]  # it needs no more of a cloud


def test_a_challenger_is_registered_over_nothing_that_others_wrote_meanwhile() -> None:
    assert overtake_every_row(Cloud(), Cloud.make) == 3


def test_a_challenger_takes_the_place_of_no_other_files() -> None:
    cloud = Cloud()
    cloud.artifacts.put("models/loans/2/model.onnx", b"of another")
    with pytest.raises(Conflict):
        cloud.make()
    assert cloud.artifacts.get("models/loans/2/model.onnx") == b"of another"
