"""Every upload is accounted for, whatever is repeated, killed or deleted; and two at once make one dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from random import Random

import pytest
import yaml

from serin.contract.load import Contracts
from serin.data.accept_or_refuse import Intake, Upload
from serin.registry.ids import receipt_id
from serin.registry.keys import model_of_upload
from serin.registry.receipts import read_receipt
from serin.registry.records import Life, Receipt, ReceiptStatus, Retirement
from serin.registry.registry import Registry, put_life
from tests.builders import a_contract
from tests.fakes import RESTLESS, FakeClock, FakeNotifier, FakeObjects, FakeQueue
from tests.interleave import OvertakenRows, Seam, at_every_call, overtake_every_row

Actor = Callable[["Uploads"], None]
TRIES = 3
BAD = b"not,a,table\nof,this"


class Killed(BaseException):
    """The process is gone: nothing catches this."""


class Uploads:
    """Uploads of `loans` and the queue that brings them, over fakes.

    queue: what is still to be done, with how often it was tried; dead: what was given up.
    """

    def __init__(self, folder: Path) -> None:
        (folder / "loans").mkdir()
        said = a_contract(data={"min_rows": 10}).model_dump(mode="json", exclude_defaults=True)
        (folder / "loans" / "model.yaml").write_text(yaml.safe_dump(said))
        self.seam, self.table = Seam(), OvertakenRows()
        self.registry, self.data = Registry(self.seam.over(self.table)), self.seam.over(FakeObjects())
        self.requests = self.seam.over(FakeQueue())
        self.intake = Intake(
            self.data, self.registry, Contracts(folder), self.requests, FakeClock(), RESTLESS, FakeNotifier()
        )
        self.all: list[Upload] = []
        self.queue: list[tuple[Upload, int]] = []
        self.dead: list[Upload] = []
        self.sent = self.deleted = 0

    def upload(self, key: str, content: bytes) -> Upload:
        upload = Upload(key, self.data.put(key, content))
        self.all.append(upload)
        self.send(upload)
        return upload

    def send(self, upload: Upload) -> None:
        self.queue.append((upload, 0))
        self.sent += 1

    def deliver(self, place: int, *, kill_at: int | None = None, is_after: bool = False) -> None:
        """Let the function have a message; it may be killed at a call."""
        upload, tries = self.queue.pop(place)

        def be_killed() -> None:
            raise Killed

        if kill_at is not None:
            self.seam.at(kill_at, be_killed, is_after=is_after)
        try:
            self.intake.receive(upload, is_last_try=tries + 1 >= TRIES)
        except Killed:
            if tries + 1 < TRIES:
                self.queue.append((upload, tries + 1))
            else:
                self.dead.append(upload)
        else:
            self.deleted += 1
        self.seam.leave()

    def receipt(self, upload: Upload) -> Receipt | None:
        return read_receipt(self.data, upload.model, receipt_id(upload.key, upload.version))

    def check(self) -> None:
        """Nothing is lost: what has no receipt is under way, and each message is somewhere."""
        assert self.sent == self.deleted + len(self.queue) + len(self.dead)
        under_way = {upload for upload, _ in self.queue} | set(self.dead)
        found = Counter(receipt.status if (receipt := self.receipt(upload)) else None for upload in self.all)
        without = [upload for upload in self.all if self.receipt(upload) is None]
        assert set(without) <= under_way
        assert len(self.all) == sum(found[status] for status in ReceiptStatus) + len(without)

    def check_end(self) -> None:
        """What was accepted is a dataset and the reverse; the same rows are one; what was refused is kept."""
        receipts = [receipt for upload in self.all if (receipt := self.receipt(upload))]
        assert len(receipts) == len(self.all)
        by_status = {status: [each for each in receipts if each.status is status] for status in ReceiptStatus}
        accepted = {receipt.dataset: receipt for receipt in by_status[ReceiptStatus.ACCEPTED]}
        assert len(accepted) == len(by_status[ReceiptStatus.ACCEPTED])
        assert {each.id: each.receipt for each in self.registry.datasets("loans")} == {
            name: receipt.id for name, receipt in accepted.items()
        }
        for receipt in by_status[ReceiptStatus.DUPLICATE]:
            assert accepted[receipt.dataset].key == receipt.duplicate_of
        for receipt in by_status[ReceiptStatus.QUARANTINED]:
            assert self.data.exists(f"{receipt.quarantine}upload") or receipt.reasons[0]["code"] == "CRASH"


def rows(first: int) -> bytes:
    """A small table of its own."""
    lines = [
        f"{20 + first % 60},{1000 + first + number},school,{'yes' if number % 2 else 'no'}" for number in range(10)
    ]
    return "\n".join(["age,salary,education,approved", *lines]).encode()


@pytest.fixture
def uploads(tmp_path: Path) -> Uploads:
    return Uploads(tmp_path)


def something(uploads: Uploads, draw: Random) -> None:
    """Let one thing happen."""
    happens = draw.random()
    if happens < 0.35 or not uploads.all:
        content = draw.choice([rows(draw.randrange(6)), rows(draw.randrange(1000)), BAD])
        another = f"uploads/{draw.choice(['loans', 'loans', 'nobody'])}/{len(uploads.all)}.csv"
        kept = [each.key for each in uploads.all if uploads.data.exists(each.key)]
        uploads.upload(draw.choice([another, *kept[-1:]]), content)
    elif happens < 0.9 and uploads.queue:
        kill_at = draw.randrange(14) if draw.random() < 0.5 else None
        uploads.deliver(draw.randrange(len(uploads.queue)), kill_at=kill_at, is_after=draw.random() < 0.5)
    elif happens < 0.94:
        uploads.send(draw.choice(uploads.all))  # the same event again
    elif happens < 0.97:
        uploads.data.delete(draw.choice(uploads.all).key)
    elif uploads.dead:
        uploads.send(uploads.dead.pop())
        uploads.deleted += 1


@pytest.mark.parametrize("seed", range(3))
def test_every_upload_and_every_message_is_accounted_for(uploads: Uploads, seed: int) -> None:
    draw = Random(seed)
    for _ in range(150):
        something(uploads, draw)
        uploads.check()
    while uploads.queue or uploads.dead:
        while uploads.dead:
            uploads.send(uploads.dead.pop())
            uploads.deleted += 1
        uploads.deliver(0)
        uploads.check()
    uploads.check_end()


def deleted(uploads: Uploads) -> None:
    uploads.data.delete(uploads.all[0].key)


def deleted_for_good(uploads: Uploads) -> None:
    uploads.data.versions.clear()


def killed_again(uploads: Uploads) -> None:
    for _ in range(TRIES - 2):
        uploads.deliver(0, kill_at=0)


@pytest.mark.parametrize("then", [deleted, deleted_for_good, killed_again])
def test_what_became_a_dataset_before_it_was_killed_is_accepted_all_the_same(
    uploads: Uploads, then: Callable[[Uploads], None]
) -> None:
    uploads.upload("uploads/loans/1.csv", rows(1))
    found = set()
    for kill_at in range(20):
        trial = deepcopy(uploads)
        trial.deliver(0, kill_at=kill_at)
        if not trial.queue:
            break
        if trial.registry.datasets("loans"):
            then(trial)
            trial.deliver(0)
            trial.check_end()
            found.add(trial.receipt(trial.all[0]).status)
    assert found == {ReceiptStatus.ACCEPTED}


@pytest.mark.parametrize("delete", [deleted, deleted_for_good])
def test_an_upload_that_was_deleted_before_it_was_judged_is_gone(uploads: Uploads, delete: Actor) -> None:
    upload = uploads.upload("uploads/loans/1.csv", rows(1))
    delete(uploads)
    receipt = uploads.intake.receive(upload)
    assert (receipt.status, receipt.reasons[0]["code"]) == (ReceiptStatus.GONE, "GONE")
    assert (uploads.registry.datasets("loans"), uploads.requests.messages) == ([], [])


def test_what_nothing_foresaw_has_its_receipt_at_once_and_is_kept(
    uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OverflowError("4111 1111 1111 1111")

    monkeypatch.setattr("serin.data.expect.Expectation.look", fail)
    receipt = uploads.intake.receive(uploads.upload("uploads/loans/1.csv", rows(1)))
    assert (receipt.status, [reason["code"] for reason in receipt.reasons]) == (ReceiptStatus.QUARANTINED, ["INTERNAL"])
    assert uploads.data.get(f"{receipt.quarantine}upload") == rows(1)
    assert "4111" not in str(receipt)


def first(uploads: Uploads) -> None:
    uploads.intake.receive(uploads.all[0])


def second(uploads: Uploads) -> None:
    uploads.intake.receive(uploads.all[1])


@pytest.mark.parametrize(("one", "other"), [(first, first), (first, second)], ids=["redrive, original", "same rows"])
def test_two_at_once_make_one_dataset(uploads: Uploads, one: Actor, other: Actor) -> None:
    for name in ("a", "b"):
        uploads.upload(f"uploads/loans/{name}.csv", rows(1))
    for after, when in at_every_call(uploads, one, other):
        second(after)
        after.check_end()
        said = [receipt.status for upload in after.all if (receipt := after.receipt(upload))]
        assert sorted(said) == [ReceiptStatus.ACCEPTED, ReceiptStatus.DUPLICATE], when


def test_a_dataset_is_not_written_over_another(uploads: Uploads) -> None:
    uploads.upload("uploads/loans/a.csv", rows(1))
    assert overtake_every_row(uploads, first) == 1


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("uploads/LOANS/x.csv", "no model is called 'LOANS'; did you mean loans?"),
        ("uploads/laons/x.csv", "no model is called 'laons'; did you mean loans?"),
        ("uploads/_/x.csv", "no model is called '_'; there are: loans"),
        ("uploads/x.csv", "no model is named; there are: loans"),
    ],
)
def test_an_upload_for_no_model_is_told_by_what_was_written(uploads: Uploads, key: str, message: str) -> None:
    receipt = uploads.intake.receive(uploads.upload(key, BAD))
    assert (receipt.status, receipt.reasons[0]["message"]) == (ReceiptStatus.QUARANTINED, message)
    assert receipt.model == model_of_upload(key)


def test_an_upload_to_a_retired_model_is_set_aside_whole_with_the_reason(uploads: Uploads) -> None:
    retirement = Retirement("2026-01-01T00:00:00+00:00", "arn:aws:iam::1:user/ann", "nobody asks it")
    uploads.registry.save(put_life("loans", Life(retirement), expected_revision=0))
    upload = uploads.upload("uploads/loans/1.csv", rows(1))
    receipt = uploads.intake.receive(upload)
    assert (receipt.status, receipt.reasons[0]["code"]) == (ReceiptStatus.QUARANTINED, "RETIRED")
    assert "retired since 2026-01-01T00:00:00, by ann: nobody asks it" in str(receipt.reasons[0]["message"])
    assert uploads.data.get(f"{receipt.quarantine}upload") == rows(1)
    assert (uploads.registry.datasets("loans"), uploads.requests.messages) == ([], [])
