"""The receipt of an upload is found, or it is said why there is none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from serin.errors import NotFound
from serin.registry.ids import receipt_id
from serin.registry.receipts import latest_receipt, write_receipt
from serin.registry.records import Receipt, ReceiptStatus
from tests.fakes import FakeObjects

KEY = "uploads/loans/2024/may.csv"


def a_receipt(version: str) -> Receipt:
    return Receipt(receipt_id(KEY, version), "loans", KEY, version, ReceiptStatus.ACCEPTED, "2026-01-01T00:00:00+00:00")


def test_the_receipt_of_the_latest_version_is_read() -> None:
    objects = FakeObjects()
    receipts = [a_receipt(objects.put(KEY, content)) for content in (b"1", b"2")]
    for receipt in receipts:
        write_receipt(objects, receipt)
    assert latest_receipt(objects, "loans", KEY) == receipts[1] != replace(receipts[0], object_version="2")


class Deleted(FakeObjects):
    """A bucket whose uploads were all deleted, their versions being kept."""

    def exists(self, key: str) -> bool:
        return super().exists(key) and not key.startswith("uploads/")


def test_a_deleted_upload_has_its_receipt_still() -> None:
    objects = Deleted()
    receipt = a_receipt(objects.put(KEY, b"1"))
    with pytest.raises(NotFound, match="was deleted, and there is no receipt"):
        latest_receipt(objects, "loans", KEY)
    write_receipt(objects, receipt)
    assert latest_receipt(objects, "loans", KEY) == receipt


def test_without_an_upload_and_before_its_receipt_one_is_told_so() -> None:
    objects = FakeObjects()
    with pytest.raises(NotFound, match=f"nothing was uploaded as {KEY}"):
        latest_receipt(objects, "loans", KEY)
    objects.put(KEY, b"1")
    with pytest.raises(NotFound, match="no receipt yet"):
        latest_receipt(objects, "loans", KEY)
