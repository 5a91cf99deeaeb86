"""Every row of a batch is accounted for, by one version, whatever is wrong with its files."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from serin.batch import split_file
from serin.batch.close import BatchCloser
from serin.batch.job import write_json
from serin.batch.predict import PartPredictor, load
from serin.batch.split import Splitter
from serin.batch.start import BatchStarter
from serin.errors import Unverified
from serin.registry.keys import batch_account_key
from serin.registry.records import Retirement
from serin.registry.registry import Registry, put
from tests.e2e.test_journey_on_fakes import CONTRACT, House, as_csv, table
from tests.fakes import FakeAnswers, FakeWorkflow

FEATURES: dict[str, dict[str, Any]] = CONTRACT["features"]  # type: ignore[assignment]
ROWS = table()[["radius", "texture", "perimeter", "area", "clinic"]]


class BatchHouse:
    """The batch's steps over one set of fakes, done as its workflow would."""

    def __init__(self, house: House) -> None:
        self.house, self.data = house, house.data
        self.workflow, self.kept = FakeWorkflow(), FakeAnswers()
        self.starter = BatchStarter(house.registry, house.data, self.workflow, house.clock)
        self.splitter = Splitter(house.data, house.artifacts)
        self.predictor = PartPredictor(house.data, house.artifacts, self.kept)
        self.closer = BatchCloser(house.data, house.clock)

    def send(self, content: bytes, name: str = "a.csv") -> dict[str, Any]:
        """Send a file, and give the account of its batch."""
        version = self.data.put(f"batch/tumours/{name}", content)
        job = self.starter.start_file(f"batch/tumours/{name}", version)
        assert job
        return self.work(job)

    def work(self, job: str) -> dict[str, Any]:
        for event in [event for name, event in self.workflow.started.items() if name.startswith(f"tumours-{job}")]:
            for found in list(self.data.list(event["files"])):
                self.splitter.split("tumours", job, found.key)
            for found in list(self.data.list(event["parts"])):
                self.predictor.predict("tumours", job, found.key)
            self.closer.close("tumours", job, attempt=event["attempt"])
        return json.loads(self.data.get(f"predictions/tumours/{job}/manifest.json"))  # type: ignore[no-any-return]

    def answers(self, account: dict[str, Any]) -> list[dict[str, str]]:
        parts = [part for file in account["files"] for part in file["parts"]]
        return [row for part in parts for row in csv.DictReader(io.StringIO(self.data.get(part["key"]).decode()))]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> House:
    return train(tmp_path_factory.mktemp("models"))


def train(folder: Path, **features: Any) -> House:
    """Train a champion that keeps its answers by patient. features: more of them."""
    (folder / "tumours").mkdir()
    contract = CONTRACT | {"entity": "patient", "batch": {"keep": "7d"}}
    contract["features"] = {**FEATURES, **features}
    contract["training"] = {"budget": "9 fits", "folds": 2, "candidates": ["linear"]}
    (folder / "tumours" / "model.yaml").write_text(yaml.safe_dump(contract))
    house = House(folder)
    house.upload("uploads/tumours/first.csv", as_csv(table().assign(patient=range(569))))
    assert house.run_what_is_asked("tumours")
    return house


@pytest.fixture
def batch(trained: House, monkeypatch: pytest.MonkeyPatch) -> BatchHouse:
    monkeypatch.setattr(split_file, "PART_ROWS", 100)
    load.cache_clear()
    return BatchHouse(trained)


def counts(account: dict[str, Any]) -> tuple[int, int, int, int]:
    return tuple(account[what] for what in ("rows", "answered", "rejected", "failed"))  # type: ignore[return-value]


def test_each_row_is_answered_as_over_http(batch: BatchHouse) -> None:
    account = batch.send(as_csv(ROWS))
    assert account["status"] == "done"
    assert counts(account) == (569, 569, 0, 0)
    assert len(account["files"][0]["parts"]) == 6
    answered = batch.answers(account)
    assert [int(row["line"]) for row in answered] == list(range(2, 571))
    asked = json.loads(ROWS[:50].to_json(orient="records"))
    online = batch.house.predict("tumours", asked)["predictions"]
    assert [(int(row["prediction"]), float(row["score"])) for row in answered[:50]] == [
        (answer["prediction"], answer["score"]) for answer in online
    ]


def test_a_model_whose_retirement_is_over_answers_no_batch(batch: BatchHouse) -> None:
    registry, now = batch.house.registry, batch.house.clock.at
    retirement = Retirement(now.isoformat(), "arn:aws:iam::1:user/ann", "nobody asks it")
    for days, codes in ((1, []), (0, ["RETIRED"])):
        until = (now + timedelta(days=days)).isoformat()
        set_retirement(registry, replace(retirement, until=until))
        account = batch.send(as_csv(ROWS[:3]), f"retired-{days}.csv")
        assert [reason["code"] for reason in account["files"][0]["reasons"]] == codes
    set_retirement(registry, None)


def set_retirement(registry: Registry, retirement: Retirement | None) -> None:
    route = registry.route("tumours")
    assert route is not None
    registry.save(put(replace(route.value, retirement=retirement), expected_revision=route.revision))


def test_a_category_never_seen_is_answered_with_a_note(batch: BatchHouse) -> None:
    rows = ROWS[:3].assign(clinic=["north", "moon", "north"], radius=[1, 2, "large"])
    account = batch.send(as_csv(rows), "moon.csv")
    assert [row["notes"] for row in batch.answers(account)] == ["", "clinic: 'moon' was never seen in training"]


def test_rows_that_break_the_contract_are_set_aside_with_their_lines(batch: BatchHouse) -> None:
    broken = ROWS.astype({"radius": object})
    broken.loc[[3, 250], "radius"] = "large"
    broken.loc[[7], "texture"] = np.nan  # which may be missing
    account = batch.send(as_csv(broken), "broken.csv")
    assert account["status"] == "partial"
    assert counts(account) == (569, 567, 2, 0)
    rejected = batch.data.get(account["files"][0]["rejected_rows"]).decode().splitlines()
    assert [line.split(",")[:2] for line in rejected[1:]] == [["5", "radius: TYPE"], ["252", "radius: TYPE"]]
    assert {5, 252}.isdisjoint(int(row["line"]) for row in batch.answers(account))


def test_a_row_in_which_nothing_is_written_is_accounted_for(batch: BatchHouse, tmp_path: Path) -> None:
    account = batch.send(as_csv(ROWS[:2]).replace(b"\n", b"\n\n,,,,\n", 1) + b"\n", "holes.csv")
    assert (account["status"], counts(account)) == ("partial", (4, 2, 2, 0))
    assert account["files"][0]["reasons"][0]["rows"] == [2, 3]
    batch = BatchHouse(train(tmp_path, **{name: said | {"missing": "allow"} for name, said in FEATURES.items()}))
    account = batch.send(as_csv(ROWS[:2]) + b",,,,\n", "hole.csv")
    assert (account["status"], counts(account)) == ("done", (3, 3, 0, 0))
    online = batch.house.predict("tumours", [{}])["predictions"][0]["score"]
    assert float(batch.answers(account)[2]["score"]) == online


def test_what_is_no_table_of_its_features_is_refused_and_says_why(batch: BatchHouse) -> None:
    account = batch.send(b"%PDF-1.7\n", "a.pdf")
    assert (account["status"], account["files"][0]["reasons"][0]["code"]) == ("refused", "BAD_FORMAT")
    account = batch.send(as_csv(ROWS.drop(columns="area")), "narrow.csv")
    assert (account["status"], account["files"][0]["reasons"][0]["code"]) == ("refused", "MISSING_COLUMN")
    assert counts(account) == (569, 0, 569, 0)


def test_files_under_a_prefix_are_one_batch(batch: BatchHouse) -> None:
    for name, rows in (("x", ROWS[:150]), ("y", ROWS[150:])):
        batch.data.put(f"batch/tumours/may/{name}.csv", as_csv(rows))
    batch.data.put("batch/tumours/may/z.csv", b"no table")
    job = batch.starter.start_prefix("batch/tumours/may/")
    assert job
    account = batch.work(job)
    assert account["status"] == "partial"
    assert counts(account) == (569, 569, 0, 0)
    assert [file["answered"] for file in account["files"]] == [150, 419, 0]


def test_a_file_is_answered_once_when_it_arrives_or_with_its_folder(batch: BatchHouse) -> None:
    for name in ("single.csv", "june/", "june/x.csv", "june/late/y.csv"):
        key = f"batch/tumours/{name}"
        started = batch.starter.start_file(key, batch.data.put(key, as_csv(ROWS[:3])))
        assert (started is not None) is (name == "single.csv")
    job = batch.starter.start_prefix("batch/tumours/june/")
    assert job
    account = batch.work(job)
    assert [file["key"] for file in account["files"]] == ["batch/tumours/june/late/y.csv", "batch/tumours/june/x.csv"]
    assert batch.starter.start_prefix("batch/tumours/single") is None
    assert batch.starter.start_prefix("batch/tumours/nothing/") is None


def test_done_twice_it_is_one_batch(batch: BatchHouse) -> None:
    account = batch.send(as_csv(ROWS[:20]), "twice.csv")
    stored = {key: len(versions) for key, versions in batch.data.versions.items() if "predictions/" in key}
    started = dict(batch.workflow.started)
    assert batch.starter.start_file("batch/tumours/twice.csv", "1") == account["job"]
    assert (batch.work(account["job"]), dict(batch.workflow.started)) == (account, started)
    assert stored.keys() == {key for key in batch.data.versions if "predictions/" in key}


def test_one_version_answers_all_of_it(batch: BatchHouse) -> None:
    version = batch.data.put("batch/tumours/slow.csv", as_csv(ROWS[:150]))
    job = batch.starter.start_file("batch/tumours/slow.csv", version)
    assert job
    onnx = batch.house.artifacts.versions["models/tumours/1/model.onnx"]
    onnx.append(onnx[-1] + b"\x00")
    try:
        with pytest.raises(Unverified):
            batch.work(job)
    finally:
        onnx.pop()


def test_a_part_that_never_was_answered_is_counted_as_failed(batch: BatchHouse) -> None:
    version = batch.data.put("batch/tumours/cut.csv", as_csv(ROWS[:250]))
    job = batch.starter.start_file("batch/tumours/cut.csv", version)
    assert job
    event = batch.workflow.started[f"tumours-{job}"]
    batch.splitter.split("tumours", job, f"{event['files']}00000.json")
    batch.predictor.predict("tumours", job, f"{event['parts']}00000-00001.npz")
    account = batch.closer.close("tumours", job, "Lambda: out of memory").to_dict()
    assert (account["status"], account["error"]) == ("partial", "Lambda: out of memory")
    assert counts(account) == (250, 100, 0, 150)


def test_what_failed_is_tried_again_and_nothing_else(batch: BatchHouse) -> None:
    for name in ("a", "b"):
        batch.data.put(f"batch/tumours/half/{name}.csv", as_csv(ROWS[:250]))
    job = batch.starter.start_prefix("batch/tumours/half/")
    assert job
    event = batch.workflow.started[f"tumours-{job}"]
    batch.splitter.split("tumours", job, f"{event['files']}00000.json")
    batch.predictor.predict("tumours", job, f"{event['parts']}00000-00001.npz")
    assert batch.starter.start_again("tumours", job, 2) is None, "it has not ended"
    first = batch.closer.close("tumours", job, "Lambda.TooManyRequestsException: Rate Exceeded.")
    assert counts(first.to_dict()) == (250, 100, 0, 150)
    assert first.error

    assert batch.starter.start_again("tumours", job, 3) is None
    assert batch.starter.start_again("tumours", job, 2) == job
    assert batch.closer.close("tumours", job) == first, "a late end of the first attempt"
    done_before = f"predictions/tumours/{job}/00000-00001.csv"
    writes = len(batch.data.versions[done_before])
    again = batch.work(job)
    assert (again["status"], counts(again), again["attempt"]) == ("done", (500, 500, 0, 0), 2)
    assert "error" not in again
    assert len(batch.data.versions[done_before]) == writes
    assert batch.starter.start_again("tumours", job, 3) is None, "nothing is left to try"


def test_an_account_of_the_version_before_can_be_tried_again(batch: BatchHouse) -> None:
    version = batch.data.put("batch/tumours/old.csv", as_csv(ROWS[:5]))
    job = batch.starter.start_file("batch/tumours/old.csv", version)
    assert job
    account = batch.closer.close("tumours", job).to_dict()
    del account["attempt"]
    write_json(batch.data, batch_account_key("tumours", job), account)
    assert batch.starter.start_again("tumours", job, 2) == job


def test_a_workflow_that_had_no_part_to_answer_met_no_error(batch: BatchHouse) -> None:
    """Where every row is refused there is no part, and a map over nothing ends with an error of its own."""
    version = batch.data.put("batch/tumours/b.pdf", b"%PDF-1.7\n")
    job = batch.starter.start_file("batch/tumours/b.pdf", version)
    assert job
    batch.splitter.split("tumours", job, f"batch-work/tumours/{job}/files/00000.json")
    account = batch.closer.close("tumours", job, "States.Runtime: 'Contents'").to_dict()
    assert (account["status"], "error" in account) == ("refused", False)


def test_answers_are_kept_by_entity_the_last_row_of_each(batch: BatchHouse) -> None:
    rows = ROWS[:130].assign(patient=[f"p{place % 120}" for place in range(130)])
    account = batch.send(as_csv(rows), "patients.csv")
    answered = batch.answers(account)
    assert len(batch.kept.found) == 120
    kept = batch.kept.found["p5"]
    assert kept.body["answer"]["score"] == float(answered[125]["score"])
    assert answered[125]["patient"] == "p5"
    assert (kept.body["version"], kept.body["job"]) == (1, account["job"])
    assert "id" not in {*kept.body["answer"], *answered[125]}, "it takes no feedback"


def test_an_entity_that_is_a_number_too_is_written_as_over_http(tmp_path: Path) -> None:
    batch = BatchHouse(train(tmp_path, patient={"type": "integer", "missing": "allow"}))
    account = batch.send(as_csv(ROWS[:3].assign(patient=["7", "", "8.0"])))
    assert [row["patient"] for row in batch.answers(account)] == ["7", "", "8"]
    assert sorted(batch.kept.found) == ["7", "8"]


def test_without_a_champion_the_file_is_refused(tmp_path: Path) -> None:
    batch = BatchHouse(House(tmp_path))
    account = batch.send(as_csv(ROWS[:5]))
    assert (account["status"], account["files"][0]["reasons"][0]["code"]) == ("refused", "NO_CHAMPION")
    assert (account["version"], counts(account), batch.answers(account)) == (None, (0, 0, 0, 0), [])
    assert not batch.workflow.started


@pytest.mark.parametrize("key", ["batch/a.csv", "batch/../a.csv", "batch/UPPER/a.csv"])
def test_a_key_that_belongs_to_no_model_starts_nothing(batch: BatchHouse, key: str) -> None:
    assert batch.starter.start_file(key, "1") is None
