"""The whole journey on fakes: the library alone takes rows from an upload to an answer."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.datasets import load_breast_cancer

from serin.contract.load import Contracts
from serin.data.accept_or_refuse import Intake, Upload
from serin.errors import NotFound
from serin.evaluation.run import Evaluator
from serin.registry.ids import ulid
from serin.registry.lineage import explain_version
from serin.registry.records import Receipt, ReceiptStatus, Release, ReleaseStatus
from serin.registry.register import Registrar
from serin.registry.registry import Registry
from serin.registry.requests import TrainingRequest, Trigger
from serin.release.release_log import ReleaseLog
from serin.release.rollback import rollback
from serin.release.turn import Releaser
from serin.serving.endpoint import Endpoint
from serin.serving.routing.router import Router
from serin.training.close import Closer
from serin.training.run import Trainer
from serin.training.start import Starter
from tests.fakes import (
    RESTLESS,
    FakeClock,
    FakeEvents,
    FakeNotifier,
    FakeObjects,
    FakeQueue,
    FakeRows,
    FakeWorkflow,
)


class House:
    """Every part of the library over one set of fakes."""

    def __init__(self, models: Path) -> None:
        self.data, self.artifacts = FakeObjects(), FakeObjects()
        self.requests, self.events = FakeQueue(), FakeQueue()
        self.training, self.releasing = FakeWorkflow(), FakeWorkflow()
        self.notifier, self.clock = FakeNotifier(), FakeClock()
        self.registry = Registry(FakeRows())
        contracts = Contracts(models)
        self.intake = Intake(self.data, self.registry, contracts, self.requests, self.clock, RESTLESS, self.notifier)
        self.starter = Starter(self.registry, contracts, self.training, self.clock, RESTLESS, "code")
        self.trainer = Trainer(self.registry, self.data, self.artifacts)
        self.evaluator = Evaluator(self.registry, self.data, self.artifacts)
        self.registrar = Registrar(self.registry, self.data, self.artifacts, self.clock, RESTLESS)
        ids = iter(range(1, 10_000))

        def new_id(now: datetime) -> str:
            return ulid(now, next(ids).to_bytes(10, "big"))

        self.releaser = Releaser(
            registry=self.registry,
            data=self.data,
            artifacts=self.artifacts,
            workflow=self.releasing,
            release_log=ReleaseLog(FakeEvents(), self.notifier, new_id, self.clock, "test"),
            now=self.clock,
            patience=RESTLESS,
        )
        self.closer = Closer(self.registry, self.requests, self.notifier, self.clock, RESTLESS)
        router = Router(self._route, self._file, monotonic=lambda: self.clock().timestamp())
        self.endpoint = Endpoint(router, new_id=lambda: f"p{next(ids)}")

    def upload(self, key: str, content: bytes) -> Receipt:
        return self.intake.receive(Upload(key, self.data.put(key, content)))

    def run_what_is_asked(self, model: str) -> Release | None:
        """Do what the queue and the workflows would: train, judge, register, release."""
        state = self.starter.consider(TrainingRequest(model, Trigger.UPLOAD))
        if state.running is None:
            return None
        self.trainer.train(model, state.running)
        passed = self.evaluator.evaluate(model, state.running)
        version = self.registrar.register(model, state.running)
        release = self.releaser.starter.start(model, version.number) if passed else None
        if release:
            self.releaser.turn(model, release.id)
        self.closer.close(model, state.running, attempt=1, version=version.number, passed=passed)
        return release and self.registry.release(model, release.id).value

    def predict(self, model: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
        return self.endpoint.predict(model, json.dumps({"rows": rows}).encode())

    def _route(self, model: str) -> Any:
        found = self.registry.route(model)
        return found.value if found else None

    def _file(self, key: str) -> bytes:
        return self.artifacts.get(key)


def table() -> pd.DataFrame:
    bunch = load_breast_cancer(as_frame=True)
    frame = bunch.frame.iloc[:, [0, 1, 2, 3, 30]].copy()
    frame.columns = ["radius", "texture", "perimeter", "area", "benign"]
    frame["clinic"] = np.where(frame.index % 3 == 0, "north", "south")
    return frame


CONTRACT = {
    "model": "tumours",
    "task": "classification",
    "target": "benign",
    "features": {
        "radius": {"type": "number", "min": 0},
        "texture": {"type": "number", "min": 0, "missing": "allow"},
        "perimeter": {"type": "number", "min": 0},
        "area": {"type": "number", "min": 0},
        "clinic": {"type": "category"},
    },
    "training": {"budget": "20 fits", "retrain": {"min_new_rows": 100}},
    "gates": ["roc_auc >= 0.9", "beats baseline by 0.1", "at most 0.05 worse than champion"],
}


@pytest.fixture
def house(tmp_path: Path) -> House:
    (tmp_path / "tumours").mkdir()
    (tmp_path / "tumours" / "model.yaml").write_text(yaml.safe_dump(CONTRACT))
    return House(tmp_path)


def as_csv(frame: pd.DataFrame) -> bytes:
    return frame.to_csv(index=False).encode()


def test_from_an_upload_to_an_answer_and_back(house: House) -> None:
    receipt = house.upload("uploads/tumours/first.csv", as_csv(table()[:400]))
    assert (receipt.status, receipt.rows) == (ReceiptStatus.ACCEPTED, 400)
    release = house.run_what_is_asked("tumours")
    assert release is not None
    assert release.status is ReleaseStatus.PROMOTED
    row = {"radius": 14.1, "texture": None, "perimeter": 92, "area": 650.5, "clinic": "west"}
    answer = house.predict("tumours", [row])
    assert answer["version"] == 1
    assert answer["predictions"][0]["prediction"] in (0, 1)
    assert 0 <= answer["predictions"][0]["score"] <= 1
    assert "west" in answer["predictions"][0]["notes"][0]

    bad = table()[400:].assign(radius="large")
    refused = house.upload("uploads/tumours/bad.csv", as_csv(bad))
    assert refused.status is ReceiptStatus.QUARANTINED
    assert house.data.get(f"{refused.quarantine}upload") == as_csv(bad)
    assert house.run_what_is_asked("tumours") is None

    house.upload("uploads/tumours/second.csv", as_csv(table()[400:]))
    house.run_what_is_asked("tumours")
    house.clock.advance(seconds=6)
    assert house.predict("tumours", [row])["version"] == 2
    rollback(house.releaser, "tumours", "a person said so")
    house.clock.advance(seconds=6)
    assert house.predict("tumours", [row])["version"] == 1

    assert [version.served for version in house.registry.versions("tumours")] == [True, True]
    lineage = explain_version(house.registry, house.data, "tumours", 2)
    assert [upload["key"] for upload in lineage["uploads"]] == [
        "uploads/tumours/first.csv",
        "uploads/tumours/second.csv",
    ]
    assert [entry["move"] for entry in lineage["history"]] == ["live", "promote", "roll back"]
    assert lineage["gates"][-1]["gate"] == "at most 0.05 worse than champion"


def test_the_same_event_again_changes_nothing(house: House) -> None:
    content = as_csv(table())
    upload = Upload("uploads/tumours/a.csv", house.data.put("uploads/tumours/a.csv", content))
    assert house.intake.receive(upload) == house.intake.receive(upload)
    house.run_what_is_asked("tumours")
    house.run_what_is_asked("tumours")
    assert len(house.registry.datasets("tumours")) == len(house.registry.versions("tumours")) == 1


def test_the_same_bytes_under_another_key_are_a_duplicate(house: House) -> None:
    first = house.upload("uploads/tumours/a.csv", as_csv(table()))
    again = house.upload("uploads/tumours/b.csv", as_csv(table()))
    assert (again.status, again.duplicate_of, again.dataset) == (ReceiptStatus.DUPLICATE, first.key, first.dataset)


@pytest.mark.parametrize(
    "key", ["uploads/nobody/a.csv", "uploads/../a.csv", "uploads/a.csv", "uploads/tumours/../../x"]
)
def test_every_key_gets_a_receipt(house: House, key: str) -> None:
    receipt = house.upload(key, b"a,b\n1,2\n")
    assert receipt.status is ReceiptStatus.QUARANTINED
    assert house.data.get(f"{receipt.quarantine}upload") == b"a,b\n1,2\n"


def change_contract(house: House, **features: Any) -> None:
    """Edit the contract as a person would between two uploads."""
    file = house.intake.contracts.folder / "tumours" / "model.yaml"
    kept = {name: said for name, said in {**CONTRACT["features"], **features}.items() if said is not None}  # type: ignore[dict-item]
    file.write_text(yaml.safe_dump({**CONTRACT, "features": kept}))


def test_after_a_feature_was_dropped_all_rows_are_still_learned_from(house: House) -> None:
    house.upload("uploads/tumours/a.csv", as_csv(table()[:400]))
    house.run_what_is_asked("tumours")
    change_contract(house, clinic=None)
    house.upload("uploads/tumours/b.csv", as_csv(table()[400:]))
    house.run_what_is_asked("tumours")
    version = house.registry.version("tumours", 2).value
    assert json.loads(house.artifacts.get(f"{version.prefix}training.json"))["rows"] == 569


def test_after_a_feature_was_added_rows_without_it_are_left_out_and_that_is_said(house: House) -> None:
    change_contract(house, clinic=None)
    house.upload("uploads/tumours/a.csv", as_csv(table()[:300].drop(columns="clinic")))
    house.run_what_is_asked("tumours")
    change_contract(house)
    house.upload("uploads/tumours/b.csv", as_csv(table()[300:]))
    house.run_what_is_asked("tumours")
    report = json.loads(house.artifacts.get(f"{house.registry.version('tumours', 2).value.prefix}training.json"))
    assert report["rows"] == 269
    assert "it has no column clinic" in report["left_out"][0]


def test_after_a_feature_changed_its_type_uploads_still_get_their_receipts(house: House) -> None:
    frame = table().assign(clinic=lambda rows: np.where(rows["clinic"] == "north", "1", "2"))
    receipts = [house.upload("uploads/tumours/a.csv", as_csv(frame[:200]))]
    change_contract(house, clinic={"type": "number"})
    receipts.append(house.upload("uploads/tumours/b.csv", as_csv(frame[200:400])))
    receipts.append(house.upload("uploads/tumours/c.csv", as_csv(frame[400:])))
    assert [receipt.status for receipt in receipts] == [ReceiptStatus.ACCEPTED] * 3
    house.run_what_is_asked("tumours")
    assert len(house.registry.versions("tumours")) == 1


def test_a_damaged_champion_holds_no_better_version_back(house: House) -> None:
    house.upload("uploads/tumours/a.csv", as_csv(table()[:400]))
    house.run_what_is_asked("tumours")
    house.artifacts.versions["models/tumours/1/predictions.npz"][-1] += b"!"
    house.upload("uploads/tumours/b.csv", as_csv(table()[400:]))
    release = house.run_what_is_asked("tumours")
    assert release is not None
    assert (release.version, release.status) == (2, ReleaseStatus.PROMOTED)
    gates = house.registry.version("tumours", 2).value.gates
    assert "fitted again on the same rows, since models/tumours/1/predictions.npz" in gates[-1]["message"]


def test_an_upload_whose_judging_ended_the_process_gets_a_receipt_at_the_last_try(house: House) -> None:
    upload = Upload("uploads/tumours/a.csv", house.data.put("uploads/tumours/a.csv", as_csv(table())))
    receipt = house.intake.receive(upload, is_last_try=True)
    assert (receipt.status, receipt.reasons[0]["code"]) == (ReceiptStatus.QUARANTINED, "CRASH")
    assert house.intake.receive(upload) == receipt


def test_an_object_that_is_gone_gets_a_receipt_that_says_so(house: House) -> None:
    receipt = house.intake.receive(Upload("uploads/tumours/a.csv", "1"))
    assert receipt.status is ReceiptStatus.GONE


def test_a_version_that_fails_its_gates_is_kept_with_its_evidence_and_never_answers(house: House) -> None:
    frame = table()
    frame["benign"] = np.random.default_rng(0).permutation(frame["benign"])
    house.upload("uploads/tumours/noise.csv", as_csv(frame))
    assert house.run_what_is_asked("tumours") is None
    version = house.registry.version("tumours", 1).value
    assert version.status == "rejected"
    assert next(gate["gate"] for gate in version.gates if not gate["passed"]) == "roc_auc >= 0.9"
    with pytest.raises(NotFound):
        house.predict("tumours", [{}])
