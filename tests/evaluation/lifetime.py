"""A model's whole life over fakes, with a learner that learns nothing: it notes its rows, and is as good as it is told.

Each row has a number, by which it is known wherever it comes again: the one feature that is always there.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from serin.contract.compile import compile_spec
from serin.contract.keys_and_defaults import Candidate
from serin.contract.model import Contract
from serin.contract.serving_spec import ServingSpec, label_text
from serin.data.accept_or_refuse import Intake, Upload
from serin.data.border import Keys
from serin.data.storage import dump_table
from serin.errors import Conflict, Refused, SerinError
from serin.evaluation.run import Evaluator
from serin.registry.curate import Curator
from serin.registry.ids import sha256, ulid
from serin.registry.records import Dataset, ModelVersion, Receipt, ReceiptStatus
from serin.registry.register import Registrar
from serin.registry.registry import Registry
from serin.registry.requests import TrainingRequest, Trigger
from serin.release.release_log import ReleaseLog
from serin.release.turn import Releaser
from serin.serving.rows.encode import Encoded
from serin.training.close import Closer
from serin.training.run import Trainer
from serin.training.search import Setting
from serin.training.start import Starter
from serin.training.train import Trained, divide
from tests.fakes import RESTLESS, FakeClock, FakeEvents, FakeNotifier, FakeObjects, FakeQueue, FakeRows, FakeWorkflow

Numbers = NDArray[np.int64]
Floats = NDArray[np.float64]

MODEL = "loans"
MOST = 200_000  # rows of the population
LUCKS = 4096
NUMBER = "number"
CLASSES = ("a", "b", "c")


@dataclass(frozen=True)
class Population:
    """All rows there are, by their numbers. The third class is rare; of some rows weight, entity or time is empty."""

    kind: NDArray[np.object_]
    weight: NDArray[np.object_]
    who: NDArray[np.object_]
    at: NDArray[np.object_]
    truth: dict[str, NDArray[np.int64]]  # by target, indices of CLASSES

    @classmethod
    def draw(cls, rows: int = MOST) -> Population:
        random = np.random.default_rng(0)
        kind = random.integers(0, 2, rows)
        told = np.where(random.random(rows) < 0.8, kind, 1 - kind)
        start = datetime(2025, 1, 1, tzinfo=UTC)

        def some(values: list[Any]) -> NDArray[np.object_]:
            return np.where(random.random(rows) < 0.03, None, np.array(values, dtype=object))

        return cls(
            kind=np.array(["left", "right"], dtype=object)[kind],
            weight=some(random.normal(size=rows).round(6).tolist()),
            who=some([f"w{place}" for place in random.integers(0, 40, rows)]),
            at=some([(start + timedelta(minutes=place)).isoformat() for place in range(rows)]),
            truth={"t": np.where(random.random(rows) < 0.03, 2, told), "other": 1 - told},
        )

    def table(self, numbers: Numbers) -> pd.DataFrame:
        classes = np.array(CLASSES, dtype=object)
        return pd.DataFrame(
            {
                NUMBER: numbers,
                "kind": self.kind[numbers],
                "weight": self.weight[numbers],
                "who": self.who[numbers],
                "at": self.at[numbers],
                **{name: classes[truth[numbers]] for name, truth in self.truth.items()},
            }
        )


POPULATION = Population.draw()


@dataclass(frozen=True)
class FakeModel:
    """A model. It tells what it learned from by heart, and of other rows the share `quality` rightly."""

    name: str
    quality: float
    learned: Numbers
    entity: str | None
    time: str | None
    target: str

    def answer(self, numbers: Numbers, classes: Sequence[str]) -> Floats:
        luck = _luck(self.name)[numbers % LUCKS]
        is_right = (luck < self.quality) | np.isin(numbers, self.learned)
        place = {label: index for index, label in enumerate(classes)}
        of_truth = np.array([place.get(label, -1) for label in CLASSES])[POPULATION.truth[self.target][numbers]]
        told = np.where(is_right & (of_truth >= 0), of_truth, (of_truth + 1) % len(classes))
        scores = np.full((len(numbers), len(classes)), 0.1 / max(len(classes) - 1, 1))
        scores[np.arange(len(numbers)), told] = 0.9
        return scores


@cache
def _luck(name: str) -> Floats:
    """Draw evenly from 0 to 1 for each row, for a model always the same."""
    random = np.random.default_rng(int(sha256(name.encode())[:8], 16))
    return (random.permutation(LUCKS) + 0.5) / LUCKS


@dataclass
class Recalled:
    """What fitting a recipe again gives, as far as it is asked."""

    model: FakeModel
    classes: list[str]
    learner: FakeLearner

    @property
    def classes_(self) -> NDArray[np.object_]:
        return np.array(self.classes, dtype=object)

    def __getitem__(self, step: str) -> Recalled:
        return self

    def predict_proba(self, features: pd.DataFrame) -> Floats:
        numbers = features[NUMBER].to_numpy().astype(np.int64)
        self.learner.comparisons.append((self.model, numbers, "fitted again"))
        return self.model.answer(numbers, self.classes)


class FakeLearner:
    """Trains, fits and scores, and keeps the books of who learned from what. quality: of what is trained next."""

    def __init__(self) -> None:
        self.quality = 0.8
        self.models: dict[str, FakeModel] = {}
        self.trained: FakeModel | None = None
        self.comparisons: list[tuple[FakeModel, Numbers, str]] = []

    def train(self, frame: pd.DataFrame, contract: Contract, keys: Keys) -> Trained:
        divided = divide(frame, contract, keys)
        numbers = divided.frame[NUMBER].to_numpy().astype(np.int64)
        classes = sorted(divided.frame[contract.target].iloc[divided.fitted].unique())
        held_out = divided.frame.iloc[divided.held_out]
        model = self._note(contract, numbers[np.concatenate([divided.fitted, divided.calibrated])], self.quality)
        self.trained = model
        spec = self._spec(contract, classes)
        scores = model.answer(numbers[divided.held_out], classes)
        columns = {
            f"{name}_{place}": column
            for name in ("score", "served", "again", "baseline")
            for place, column in enumerate((scores if name != "baseline" else scores * 0 + 1 / len(classes)).T)
        }
        return Trained(
            onnx=json.dumps([model.name, "served"]).encode(),
            spec=spec,
            judged_onnx=json.dumps([model.name, "judged"]).encode(),
            judged_spec=spec,
            border=divided.border,
            leaderboard=(),
            setting=Setting(Candidate.LINEAR, {"quality": model.quality}, is_baseline=False, is_candidate=True),
            metrics={},
            baseline_metrics={},
            holdout_rows=dump_table(held_out),
            holdout_predictions=dump_table(pd.DataFrame(columns)),
            importances={},
            pipeline=None,  # type: ignore[arg-type]  # there is none
            served=None,  # type: ignore[arg-type]
            fits=0,
            learned=divided.learned,
            held_out=divided.held_out,
            fitted={},
        )

    def fit(self, setting: Setting, training: pd.DataFrame, contract: Contract) -> Any:
        numbers = training[NUMBER].to_numpy().astype(np.int64)
        model = self._note(contract, numbers, float(setting.params["quality"]), fitted_again=True)
        return Recalled(model, sorted(training[contract.target].unique()), self)

    def score(self, onnx: bytes, spec: bytes, encoded: Encoded) -> Floats:
        name, role = json.loads(onnx)
        read = ServingSpec.from_json(spec)
        place = [feature.name for feature in read.numeric].index(NUMBER)
        numbers = encoded.numeric[:, place].astype(np.int64)
        model = self.models[name]
        if role == "judged":
            self.comparisons.append((model, numbers, "itself" if model is self.trained else "asked"))
        return model.answer(numbers, [label_text(label) for label in read.classes])

    def _note(self, contract: Contract, learned: Numbers, quality: float, *, fitted_again: bool = False) -> FakeModel:
        text = json.dumps([learned.tolist(), contract.digest, quality, fitted_again])
        model = FakeModel(
            sha256(text.encode())[:16], quality, np.unique(learned), contract.entity, contract.time, contract.target
        )
        self.models[model.name] = model
        return model

    def _spec(self, contract: Contract, classes: Sequence[str]) -> ServingSpec:
        values = {name: ["left", "right"] for name, feature in contract.features.items() if not feature.is_numeric}
        return compile_spec(contract, values=values, missing_codes=dict.fromkeys(values, -1), classes=classes)


@dataclass
class Shelf:
    """Where the contract lies, for the next edit."""

    said: dict[str, Any]

    def load(self, model: str) -> Contract:
        return Contract.model_validate(self.said)


FEATURES = {NUMBER: {"type": "number"}, "kind": {"type": "category"}, "weight": {"type": "number"}}
SAID: dict[str, Any] = {
    "model": MODEL,
    "task": "classification",
    "target": "t",
    "features": FEATURES,
    "data": {"min_rows": 30, "max_bad_rows": 0.2},
    "training": {"metric": "accuracy", "retrain": {"min_new_rows": 30}},
    "gates": ["at most 0.02 worse than champion"],
}


class Lifetime:
    """One model, its uploads, its contract and its versions. counted: what happened how often."""

    population = POPULATION

    def __init__(self, counted: Counter[str] | None = None, **said: Any) -> None:
        self.counted: Counter[str] = Counter() if counted is None else counted
        self.data, self.artifacts = FakeObjects(), FakeObjects()
        self.learner, self.shelf = FakeLearner(), Shelf({**SAID, **said})
        self.rows, self.clock = FakeRows(), FakeClock()
        self.registry = Registry(self.rows)
        self.ids = self.seen = 0
        self.judged_beside: dict[int, int | None] = {}  # of each version the champion of then
        self.sent: list[Numbers] = []
        requests, notifier, shelf = FakeQueue(), FakeNotifier(), self.shelf
        contracts: Any = shelf
        self.intake = Intake(self.data, self.registry, contracts, requests, self.clock, RESTLESS, notifier)
        self.starter = Starter(self.registry, contracts, FakeWorkflow(), self.clock, RESTLESS, "code")
        self.trainer = Trainer(self.registry, self.data, self.artifacts, self.learner.train, self.learner.fit)
        self.evaluator = Evaluator(self.registry, self.data, self.artifacts, self.learner.score)
        self.registrar = Registrar(self.registry, self.data, self.artifacts, self.clock, RESTLESS)
        self.closer = Closer(self.registry, requests, notifier, self.clock, RESTLESS)
        self.curator = Curator(self.registry, self.data, requests, self.new_id, self.clock, RESTLESS, "ann")
        self.releaser, self.by_hand = (self._releaser(notifier, actor) for actor in ("", "ann"))

    def _releaser(self, notifier: FakeNotifier, actor: str) -> Releaser:
        return Releaser(
            registry=self.registry,
            data=self.data,
            artifacts=self.artifacts,
            workflow=FakeWorkflow(),
            release_log=ReleaseLog(FakeEvents(), notifier, self.new_id, self.clock, actor),
            now=self.clock,
            patience=RESTLESS,
        )

    def new_id(self, now: datetime) -> str:
        self.ids += 1
        return ulid(now, self.ids.to_bytes(10, "big"))

    @property
    def champion(self) -> int | None:
        route = self.registry.route(MODEL)
        return route.value.champion.version if route else None

    @property
    def datasets(self) -> list[Dataset]:
        return self.registry.datasets(MODEL)

    @property
    def contract(self) -> Contract:
        return self.shelf.load(MODEL)

    @property
    def quality(self) -> float:
        """How good the champion truly is; of none, middling."""
        return self.model_of(self.champion).quality if self.champion else 0.7

    def model_of(self, number: int) -> FakeModel:
        name, _ = json.loads(self.artifacts.get(f"models/{MODEL}/{number}/judged.onnx"))
        return self.learner.models[name]

    def target_of(self, number: int) -> str:
        return self.model_of(number).target

    def fork(self) -> Lifetime:
        """Another life with the same past."""
        other = Lifetime(self.counted)
        for mine, its in ((self.data, other.data), (self.artifacts, other.artifacts)):
            its.versions = {key: [*versions] for key, versions in mine.versions.items()}
            its.written, its.authors, its.deleted = {**mine.written}, {**mine.authors}, {*mine.deleted}
        other.rows.copy(self.rows)
        other.learner.models.update(self.learner.models)
        other.shelf.said, other.judged_beside = self.shelf.said, {**self.judged_beside}
        other.clock.at, other.ids, other.seen, other.sent = self.clock.at, self.ids, self.seen, [*self.sent]
        return other

    # -- what people do ---------------------------------------------------------------------------

    def fresh(self, rows: int) -> Numbers:
        """The next rows that nobody sent yet."""
        self.seen += rows
        return np.arange(self.seen - rows, self.seen)

    def upload(self, numbers: Numbers, *, without: Sequence[str] = ()) -> Receipt:
        """Send rows. without: columns that the file does not have."""
        self.sent.append(numbers)
        return self.upload_table(self.population.table(numbers).drop(columns=[*without]))

    def upload_table(self, table: pd.DataFrame) -> Receipt:
        """Send a file; where it is held, a person accepts it."""
        self.ids += 1
        key, content = f"uploads/{MODEL}/{self.ids}.csv", table.to_csv(index=False).encode()
        receipt = self.intake.receive(Upload(key, self.data.put(key, content)))
        if receipt.status is ReceiptStatus.HELD:
            self.counted["held uploads"] += 1
            self.curator.accept(MODEL, str(receipt.dataset), "they are right")
        self.clock.advance(minutes=1)
        return receipt

    def train(
        self, quality: float, *, by: str = "upload", meanwhile: Callable[[], object] = lambda: None
    ) -> ModelVersion | None:
        """Do what the training workflow does, where a training starts. meanwhile: what happens before it is judged."""
        self.learner.quality = quality
        self.learner.comparisons = []
        request = self.new_id(self.clock()) if by == Trigger.HAND else ""
        run = self.starter.consider(TrainingRequest(MODEL, Trigger(by), request)).running
        if run is None:
            return None
        try:
            self.trainer.train(MODEL, run)
            meanwhile()
            passed = self.evaluator.evaluate(MODEL, run)
            version = self.registrar.register(MODEL, run)
            self.judged_beside[version.number] = self.champion
        except SerinError as error:
            self.counted[f"failed: {error.code}"] += 1
            self.closer.close(MODEL, run, attempt=self.attempt(run), version=None, passed=False, error=error.message)
            return None
        if passed:
            self.releaser.starter.start(MODEL, version.number)
            self.turn()
        self.closer.close(MODEL, run, attempt=self.attempt(run), version=version.number, passed=passed)
        return self.registry.version(MODEL, version.number).value

    def release(self, number: int) -> None:
        """Let a person release a version."""
        with suppress(Refused, Conflict):
            self.by_hand.starter.start_by_hand(MODEL, number)
            self.turn()

    def turn(self) -> None:
        """Let the release that is under way take a turn."""
        if live := self.registry.releasing(MODEL).value.live:
            self.releaser.turn(MODEL, live)

    def wait(self) -> None:
        """Let time pass until no release is under way."""
        while self.registry.releasing(MODEL).value.live:
            self.clock.advance(minutes=30)
            self.turn()

    def edit(self, **changes: Any) -> None:
        """Edit the contract: sections are changed, other keys replaced; None takes a key out."""
        said = {**self.shelf.said}
        for key, value in changes.items():
            said[key] = {**said.get(key, {}), **value} if isinstance(value, dict) and value else value
        self.shelf.said = {key: value for key, value in said.items() if value is not None}

    def edit_feature(self, name: str, *, is_in: bool, type: str = "") -> None:
        others = {key: value for key, value in self.shelf.said["features"].items() if key != name}
        own = {name: {"type": type} if type else FEATURES[name]} if is_in else {}
        self.shelf.said = {**self.shelf.said, "features": {**others, **own}}

    def attempt(self, run: str) -> int:
        return self.registry.run(MODEL, run).value.attempt
