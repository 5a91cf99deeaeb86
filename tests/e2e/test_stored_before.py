"""What Serin stored before there were keys, borders and judged models is read on: tests/stored says how it came.

Datasets without keys, versions without a judged model, `beats champion by -1%`, specs, summaries, releases.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from serin.contract.model import Contract
from serin.data.border import Border
from serin.data.datasets import DatasetFiles
from serin.data.split import as_columns
from serin.data.storage import dump_table, load_table
from serin.monitoring.check import Checker
from serin.registry.curate import Curator, taint
from serin.registry.ids import dataset_id, sha256, ulid
from serin.registry.lineage import explain_version
from serin.registry.ports import Write
from serin.registry.records import Dataset, ModelVersion, ReceiptStatus, ReleaseStatus, VersionStatus
from serin.registry.requests import TrainingRequest, Trigger
from serin.release.rollback import rollback
from tests.e2e.test_journey_on_fakes import House, as_csv
from tests.fakes import RESTLESS

STORED = Path(__file__).parents[1] / "stored"
ANSWERS: dict[str, list[dict[str, Any]]] = json.loads((STORED / "answers.json").read_text())
WORDS_OF_NOW = {"loans": "at most 1% worse than champion", "rents": "at most 5% worse than champion"}
UNKNOWN_BORDER = "fitted again on the same rows, since it was trained before versions said what they learned from"


class Inherited(House):
    """A house in which another version of Serin lived before."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.clock.at = datetime(2026, 11, 28, 3, 43, tzinfo=UTC)
        numbers = iter(range(1_000_000, 2_000_000))
        said = {
            "registry": self.registry,
            "data": self.data,
            "new_id": lambda now: ulid(now, next(numbers).to_bytes(10, "big")),
            "now": self.clock,
            "actor": "anna",
            "training_requests": self.requests,
        }
        self.curator = Curator(patience=RESTLESS, **said)
        self.checker = Checker(
            artifacts=self.artifacts, contracts=self.intake.contracts, notifier=self.notifier, **said
        )
        with zipfile.ZipFile(STORED / "objects.zip") as stored:
            for name in stored.namelist():
                bucket, _, key = name.partition("/")
                {"data": self.data, "artifacts": self.artifacts}[bucket].put(key, stored.read(name))
        for partition, sort, _, body in json.loads((STORED / "rows.json").read_text()):
            self.registry.save(Write(partition, sort, body, expected_revision=0))
        for model in ANSWERS:
            (folder / model).mkdir()
            contract = self.registry.run(model, self.registry.version(model, 2).value.run).value.contract
            (folder / model / "model.yaml").write_text(yaml.safe_dump(contract, sort_keys=False))

    def edit(self, model: str, **changes: Any) -> None:
        """Edit a contract."""
        file = self.intake.contracts.folder / model / "model.yaml"
        file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), **changes}, sort_keys=False))

    def learn(self, model: str, name: str, table: pd.DataFrame) -> ModelVersion:
        """Upload a table, and give the version that came of it."""
        before = len(self.registry.versions(model))
        receipt = self.upload(f"uploads/{model}/{name}.csv", as_csv(table))
        if receipt.status is ReceiptStatus.HELD:
            self.curator.accept(model, str(receipt.dataset), "it is right")
        return self.learned_since(model, before)

    def learned_since(self, model: str, before: int) -> ModelVersion:
        self.run_what_is_asked(model)
        versions = self.registry.versions(model)
        assert len(versions) == before + 1
        return versions[-1]

    def sent(self, model: str, number: int) -> pd.DataFrame:
        """The table that was uploaded then."""
        return pd.read_csv(io.BytesIO(self.data.get(f"uploads/{model}/{model}-{number}.csv")))

    def answers(self, model: str) -> list[dict[str, Any]]:
        """Ask what was asked then; an answer's id is its own."""
        self.clock.advance(seconds=6)
        body = json.dumps({"rows": [asked["row"] for asked in ANSWERS[model]]}).encode()
        said = self.endpoint.predict(model, body, explain=True)
        return [{name: value for name, value in answer.items() if name != "id"} for answer in said["predictions"]]


@pytest.fixture
def house(tmp_path: Path) -> Inherited:
    return Inherited(tmp_path)


def rents(rows: int, seed: int) -> pd.DataFrame:
    """Rows of the kind that were uploaded then, some of them alike but for the rent."""
    random = np.random.default_rng(seed)
    area, district = random.integers(20, 140, rows), random.choice(["north", "south", "centre"], rows)
    rooms = np.clip(area // 30 + random.integers(0, 2, rows), 1, 6)
    rent = 9 * area + 60 * rooms + np.where(district == "centre", 300, 0) + random.normal(0, 90, rows)
    return pd.DataFrame({"area": area, "rooms": rooms, "district": district, "rent": rent.round()})


def loans(rows: int, seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    salary, debt = random.integers(10, 90, rows) * 1000, random.integers(0, 60, rows) * 1000
    home, student = random.choice(["own", "rent", "parents"], rows), random.random(rows) < 0.2
    worth = (salary - 50_000) / 12_000 - (debt - 30_000) / 15_000 + np.where(home == "own", 1, 0) - student
    return pd.DataFrame(
        {
            "applicant": [f"n{seed}-{place // 2}" for place in range(rows)],
            "salary": salary,
            "debt": debt,
            "home": home,
            "age": random.integers(18, 80, rows),
            "student": student,
            "approved": np.where(worth + random.logistic(0, 0.7, rows) > 0, "yes", "no"),
        }
    )


TABLES = {"loans": loans, "rents": rents}


@pytest.mark.parametrize("model", ANSWERS)
def test_it_answers_as_before(house: Inherited, model: str) -> None:
    for answer, asked in zip(house.answers(model), ANSWERS[model], strict=True):
        expected = dict(asked["answer"])
        moved = {name: value for name, value in expected.pop("contributions").items() if value}
        assert answer.pop("base_rows") == 1  # the spec has one usual row, of medians
        assert answer.pop("base") == pytest.approx(expected.pop("base"), abs=1e-9)
        assert answer.pop("contributions") == pytest.approx(moved, rel=1e-3)
        assert answer == expected


@pytest.mark.parametrize("model", ANSWERS)
def test_it_is_still_known_where_a_version_came_from(house: Inherited, model: str) -> None:
    told = explain_version(house.registry, house.data, model, 2)
    assert [(upload["key"], upload["state"], upload["rows"]) for upload in told["uploads"]] == [
        (f"uploads/{model}/{model}-{number}.csv", "accepted", 240) for number in (1, 2)
    ]
    assert all(upload["received_at"] for upload in told["uploads"])
    assert told["gates"][-1]["gate"].startswith("beats champion by -")
    assert [release["status"] for release in told["releases"]] == [ReleaseStatus.PROMOTED]


@pytest.mark.parametrize("model", ANSWERS)
def test_the_champions_recipe_stands_in_until_a_version_with_a_border_answers(house: Inherited, model: str) -> None:
    third = house.learn(model, "more", TABLES[model](240, 5))
    assert third.status is VersionStatus.PASSED
    beside = [gate["message"] for gate in third.gates if gate["gate"] == WORDS_OF_NOW[model]]
    assert "the champion's (version 2, fitted again)" in beside[0]
    assert all(message.endswith(UNKNOWN_BORDER) for message in beside)
    assert sum(third.holdout.values()) > 100
    if model == "loans":  # its canary waits for requests
        assert house.registry.releases(model)[-1].status is ReleaseStatus.LIVE
        return
    fourth = house.learn(model, "yet-more", TABLES[model](240, 6))
    beside = [gate["message"] for gate in fourth.gates if gate["gate"] == WORDS_OF_NOW[model]]
    assert "the champion's (version 3)" in beside[0]
    assert "fitted again" not in beside[0]


def test_a_run_that_was_trained_before_the_update_is_trained_anew(house: Inherited) -> None:
    house.upload("uploads/rents/more.csv", as_csv(rents(240, 5)))
    run = house.starter.consider(TrainingRequest("rents", Trigger.UPLOAD)).running
    for name in ("model.onnx", "spec.json", "training.json"):
        house.data.put(f"runs/rents/{run}/{name}", house.artifacts.get(f"models/rents/2/{name}"))
    assert house.learned_since("rents", 2).status is VersionStatus.PASSED


def test_the_way_back_leads_to_the_bytes_of_before(house: Inherited) -> None:
    before = house.answers("rents")
    house.learn("rents", "more", rents(240, 5))
    assert house.answers("rents") != before
    rollback(house.releaser, "rents", "a person said so")
    assert house.answers("rents") == before
    fourth = house.learn("rents", "yet-more", rents(240, 6))
    assert "(version 2, fitted again)" in fourth.gates[-2]["message"]


@pytest.mark.parametrize("model", ANSWERS)
def test_what_was_sent_before_is_known_again(house: Inherited, model: str) -> None:
    again = house.upload(f"uploads/{model}/again.csv", house.data.get(f"uploads/{model}/{model}-1.csv"))
    assert (again.status, again.duplicate_of) == (ReceiptStatus.DUPLICATE, f"uploads/{model}/{model}-1.csv")
    turned = house.upload(f"uploads/{model}/turned.csv", as_csv(house.sent(model, 2)[::-1]))
    assert (turned.status, turned.reasons[0]["code"]) == (ReceiptStatus.HELD, "REPEATS")
    assert house.registry.datasets(model)[-1].repeats == 240


@pytest.mark.parametrize("model", ANSWERS)
@pytest.mark.parametrize("order", [1, -1], ids=["in order", "turned"])
def test_rows_that_are_sent_again_are_on_the_sides_where_they_were(house: Inherited, model: str, order: int) -> None:
    mixed = pd.concat([TABLES[model](160, 5), house.sent(model, 1)[::order]])
    assert sides_of_repeats(house, house.learn(model, "mixed", mixed)) == [1] * 240


def test_they_are_so_also_where_the_contract_reads_some_rows_no_more(house: Inherited) -> None:
    features = house.registry.run("rents", house.registry.version("rents", 2).value.run).value.contract["features"]
    rooms = {**features["rooms"], "missing": "refuse"}
    house.edit("rents", features={**features, "rooms": rooms}, data={"min_rows": 50, "max_bad_rows": 0.1})
    again = house.sent("rents", 1)[::-1].dropna()
    assert len(again) < 240
    version = house.learn("rents", "mixed", pd.concat([rents(160, 5), again]))
    assert sides_of_repeats(house, version) == [1] * len(again)


def sides_of_repeats(house: Inherited, version: ModelVersion) -> list[int]:
    """Tell of each row that is in several datasets on how many sides of a version's border it is."""
    contract = Contract.model_validate(house.registry.run(version.model, version.run).value.contract)
    border = Border.from_json(house.artifacts.get(f"{version.prefix}border.json"))
    rows = DatasetFiles(house.data, version.model).read(house.registry.datasets(version.model), contract)
    learned = border.learned(as_columns(rows.frame, border.entity, border.time), rows.keys)
    told = rows.frame.assign(dataset=rows.dataset, learned=learned).groupby([*rows.frame.columns], dropna=False)
    sides = told.agg(datasets=("dataset", "nunique"), sides=("learned", "nunique"))
    return sides["sides"][sides["datasets"] > 1].tolist()


def test_rows_that_came_in_two_datasets_already_are_on_one_side(house: Inherited) -> None:
    files, first = DatasetFiles(house.data, "rents"), house.registry.datasets("rents")[0]
    table = load_table(house.data.get(f"datasets/rents/{first.id}/data.npz"))
    keys = files.keys(first)
    turned = files.keys(stored_as_before(house, first, pd.concat([table[100::-1], table[200:]])))
    assert turned.tolist() == [*keys[100::-1], *keys[200:]]
    thrice = files.keys(stored_as_before(house, first, pd.concat([table] * 3)))
    assert thrice[:240].tolist() == thrice[240:480].tolist() == thrice[480:].tolist()


def stored_as_before(house: Inherited, like: Dataset, table: pd.DataFrame) -> Dataset:
    """Store a table as a dataset without keys."""
    content = dump_table(table)
    name = dataset_id(sha256(content))
    house.data.put(f"datasets/{like.model}/{name}/data.npz", content)
    return replace(like, id=name, rows=len(table), files={"data.npz": sha256(content)})


@pytest.mark.parametrize("model", ANSWERS)
def test_a_dataset_of_before_can_be_taken_back(house: Inherited, model: str) -> None:
    first, second = house.registry.datasets(model)
    house.curator.exclude(model, first.id, "the wrong month")
    assert taint(house.registry.version(model, 2).value, house.registry.datasets(model))[0].id == first.id
    assert house.learned_since(model, 2).datasets == (second.id,)
    house.curator.include(model, first.id, "it was right after all")
    assert [dataset.is_used for dataset in house.registry.datasets(model)] == [True, True]


@pytest.mark.parametrize(("model", "rows"), [("loans", 110 + 91), ("rents", 110)])
def test_summaries_of_before_are_read(house: Inherited, model: str, rows: int) -> None:
    rollback(house.releaser, model, "the first one was asked more")
    report = house.checker.check(model, Trigger.HAND)
    assert report is not None
    assert (report.version, report.rows, report.verdict) == (1, rows, "steady")
