"""What one asked for is followed to its end, and says whether that is good."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import pytest

from serin.client.follow import Follower, Judged, Skipped, Step
from serin.client.work import Place, Training, Upload
from serin.registry.records import Receipt, ReceiptStatus, ReleaseStatus, RunStatus, VersionStatus
from tests.builders import a_release, a_run, a_version

REASONS = ({"message": "too many bad rows"}, {"message": "age is negative in row 3"})
RECEIPT = Receipt("r1", "loans", "uploads/loans/a.csv", "v1", ReceiptStatus.ACCEPTED, "", rows=9, good_rows=8)
REFUSED = replace(RECEIPT, status=ReceiptStatus.QUARANTINED, good_rows=0, reasons=REASONS)
SKIPPED = Skipped("every row was trained on already")
JUDGED = Judged(a_run(status=RunStatus.REGISTERED), a_version(2), {})
REJECTED = Judged(a_run(status=RunStatus.REJECTED), a_version(2, status=VersionStatus.REJECTED), {})
PROMOTED = a_release(2, status=ReleaseStatus.PROMOTED)


def followed(monkeypatch: pytest.MonkeyPatch, *steps: Step) -> tuple[Upload, Training]:
    """An upload and a training that take these steps."""

    def take(self: Follower, *_: Any) -> Iterator[Step]:
        yield from steps

    monkeypatch.setattr(Follower, "upload", take)
    monkeypatch.setattr(Follower, "training", take)
    place = cast(Place, type("Place", (), {"cloud": None})())
    upload = Upload(place, "loans", key=RECEIPT.key, object_version="v1", size=10)
    return upload.wait(say=lambda _: None), Training(place, "loans", request="q").wait(say=lambda _: None)


@pytest.mark.parametrize(
    ("steps", "is_good_upload", "is_good_training"),
    [
        ((RECEIPT, SKIPPED), True, False),
        ((RECEIPT, a_run(), JUDGED, PROMOTED), True, True),
        ((RECEIPT, a_run(), REJECTED), False, False),
        ((RECEIPT, a_run(), a_run(status=RunStatus.FAILED, error="x")), False, False),
        ((RECEIPT, a_run(), JUDGED, a_release(2, status=ReleaseStatus.ROLLED_BACK)), False, False),
    ],
)
def test_an_end_is_good_or_not(
    monkeypatch: pytest.MonkeyPatch, steps: tuple[Step, ...], is_good_upload: bool, is_good_training: bool
) -> None:
    upload, training = followed(monkeypatch, *steps)
    assert upload.is_good is is_good_upload
    assert training.is_good is is_good_training


def test_what_came_of_it_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    upload, _ = followed(monkeypatch, RECEIPT, a_run(), JUDGED, PROMOTED)
    assert (upload.receipt, upload.version, upload.run, upload.release) == (
        RECEIPT,
        JUDGED.version,
        JUDGED.run,
        PROMOTED,
    )
    upload, training = followed(monkeypatch, RECEIPT, SKIPPED)
    assert (upload.version, upload.run, training.skipped) == (None, None, SKIPPED.reason)


def test_who_waits_is_told_each_step_and_why_an_upload_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    upload, _ = followed(monkeypatch, REFUSED)
    assert not upload.is_good
    lines: list[str] = []
    upload.wait(say=lines.append)
    assert lines == [
        "uploads/loans/a.csv is quarantined: 0 of 9 rows are good\n  too many bad rows\n  age is negative in row 3"
    ]
    assert "quarantined" in repr(upload)
