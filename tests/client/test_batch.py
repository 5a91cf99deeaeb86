"""Who asks for a batch again is told what will be done, or why there is nothing to do."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from serin.aws.cloud import Cloud
from serin.batch.account import BatchAccount, FileAccount, PartAccount, write_account
from serin.batch.job import Job, write_json
from serin.client.batch import follow_batch, send_again, send_prefix
from serin.errors import NotFound, Refused, Unavailable
from serin.registry.keys import batch_work_prefix
from tests.fakes import FakeObjects, FakeQueue

FAILED = PartAccount(key=None, rows=2, answered=0, reason="FAILED")
DONE = PartAccount(key="predictions/loans/job/00000-00000.csv", rows=2, answered=2, sha256="ab")
HALF = replace(DONE, answered=1, reason="MODEL_OUTPUT", failed_lines=(3,))


def cloud_with(*parts: PartAccount, attempt: int = 1) -> Cloud:
    data, job = FakeObjects(), Job("job", "loans", 1, {}, (), started_at="2026-01-01T00:00:00+00:00")
    rejected = {"code": "TYPE", "message": "x is no number", "fix": "write numbers"}
    file = FileAccount("batch/loans/a.csv", "v1", 5, 3, 1, 1, None, parts, (rejected,))
    write_account(data, BatchAccount.of(job, [file], ended_at="2026-01-01T00:01:00+00:00", attempt=attempt))
    write_json(data, batch_work_prefix("loans", "job") + "job.json", {})
    return cast(Cloud, SimpleNamespace(data=data, batches=FakeQueue()))


def test_what_failed_is_asked_for_as_the_next_attempt() -> None:
    cloud = cloud_with(DONE, FAILED, attempt=2)
    assert send_again(cloud, "loans", "job") == 3
    assert cast(FakeQueue, cloud.batches).messages == [{"model": "loans", "job": "job", "attempt": 3}]


def test_where_nothing_failed_nothing_is_asked_for() -> None:
    cloud = cloud_with(DONE, HALF)
    with pytest.raises(Refused, match="nothing is left to try"):
        send_again(cloud, "loans", "job")
    with pytest.raises(NotFound, match="loans has no batch other that ended"):
        send_again(cloud, "loans", "other")


def test_a_batch_whose_working_files_are_gone_says_so() -> None:
    cloud = cloud_with(FAILED)
    del cast(FakeObjects, cloud.data).versions[batch_work_prefix("loans", "job") + "job.json"]
    with pytest.raises(NotFound, match="send its files again"):
        send_again(cloud, "loans", "job")


def test_an_account_of_an_earlier_attempt_is_not_taken_for_this_one() -> None:
    cloud = cloud_with(DONE, attempt=2)
    assert follow_batch(cloud, "loans", "job", 1, print, attempt=2).attempt == 2
    with pytest.raises(Unavailable):
        follow_batch(cloud, "loans", "job", 0.01, print, attempt=3)


def test_a_folder_without_files_is_told_in_plain_words() -> None:
    cloud = cloud_with(DONE)
    cloud.data.put("batch/loans/direct.csv", b"x")
    with pytest.raises(NotFound, match="there is no file in batch/loans/may/"):
        send_prefix(cloud, "batch/loans/may/")
    with pytest.raises(NotFound, match="were answered when they arrived"):
        send_prefix(cloud, "batch/loans/")
