"""What became of every row of a batch? An account is read as it was written, by older code too."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from serin.batch.account import AnsweredPart, BatchAccount, BatchStatus, FileAccount, PartAccount
from serin.batch.job import Job, Source

SOURCE = Source("batch/loans/a.csv", "v1")
JOB = Job("j1", "loans", 3, {"model.onnx": "ab"}, (SOURCE,), started_at="2026-01-01T00:00:00+00:00")
REJECTED = {"code": "TYPE", "message": "x is no number", "fix": "write numbers", "column": "x", "rows": [4], "count": 1}
WHOLE = PartAccount.of("predictions/loans/j1/00000-00000.csv", 2, AnsweredPart(2, (), "aa"))
HALF = PartAccount.of("predictions/loans/j1/00000-00001.csv", 2, AnsweredPart(1, (7,), "bb"))
LOST = PartAccount.of("predictions/loans/j1/00000-00002.csv", 2, None)
STORED: dict[str, Any] = {
    "job": "j1",
    "model": "loans",
    "version": 3,
    "attempt": 2,
    "status": "partial",
    "rows": 7,
    "answered": 3,
    "rejected": 1,
    "failed": 3,
    "results": "predictions/loans/j1/",
    "files": [
        {
            "key": "batch/loans/a.csv",
            "version": "v1",
            "rows": 7,
            "answered": 3,
            "rejected": 1,
            "failed": 3,
            "rejected_rows": "predictions/loans/j1/rejected-00000.csv",
            "parts": [
                {"key": "predictions/loans/j1/00000-00000.csv", "rows": 2, "answered": 2, "sha256": "aa"},
                {
                    "key": "predictions/loans/j1/00000-00001.csv",
                    "rows": 2,
                    "answered": 1,
                    "sha256": "bb",
                    "reason": "MODEL_OUTPUT",
                    "failed_lines": [7],
                },
                {"key": None, "rows": 2, "answered": 0, "reason": "FAILED"},
            ],
            "reasons": [REJECTED],
        }
    ],
    "started_at": "2026-01-01T00:00:00+00:00",
    "ended_at": "2026-01-01T00:01:00+00:00",
    "error": "Lambda: out of memory",
}


def a_file(*parts: PartAccount, rejected: int = 1) -> FileAccount:
    rows, answered = sum(part.rows for part in parts), sum(part.answered for part in parts)
    table = "predictions/loans/j1/rejected-00000.csv" if rejected else None
    reasons = (REJECTED,) if rejected else ()
    return FileAccount(
        SOURCE.key, SOURCE.version, rows + rejected, answered, rejected, rows - answered, table, parts, reasons
    )


def an_account(*files: FileAccount) -> BatchAccount:
    return BatchAccount.of(JOB, files, ended_at="2026-01-01T00:01:00+00:00", attempt=2)


def as_json(account: BatchAccount) -> dict[str, Any]:
    return json.loads(json.dumps(account.to_dict()))  # type: ignore[no-any-return]


def test_an_account_has_the_form_that_it_always_had() -> None:
    account = replace(an_account(a_file(WHOLE, HALF, LOST)), error="Lambda: out of memory")
    assert as_json(account) == STORED
    assert list(account.to_dict()) == list(STORED)
    assert BatchAccount.from_dict(STORED) == account


def test_what_older_code_did_not_write_and_newer_code_wrote_besides_is_no_hindrance() -> None:
    file = {name: value for name, value in STORED["files"][0].items() if name != "rejected_rows"}
    older = {name: value for name, value in STORED.items() if name not in ("attempt", "error")} | {"files": [file]}
    account = BatchAccount.from_dict(older | {"colour": "red"})
    assert (account.attempt, account.next_attempt, account.error) == (1, 2, None)
    assert account.files[0].rejected_rows is None


@pytest.mark.parametrize(
    ("files", "status", "is_unfinished"),
    [
        ([a_file(WHOLE, rejected=0)], BatchStatus.DONE, False),
        ([a_file(WHOLE)], BatchStatus.PARTIAL, False),
        ([a_file(WHOLE, HALF, rejected=0)], BatchStatus.PARTIAL, False),
        ([a_file(WHOLE, LOST, rejected=0)], BatchStatus.PARTIAL, True),
        ([a_file(WHOLE, rejected=0), FileAccount.unread(SOURCE, REJECTED)], BatchStatus.PARTIAL, False),
        ([a_file(LOST)], BatchStatus.FAILED, True),
        ([a_file()], BatchStatus.REFUSED, False),
        ([FileAccount.unread(SOURCE, REJECTED)], BatchStatus.REFUSED, False),
        ([FileAccount.unread(SOURCE, {**REJECTED, "code": "FAILED"})], BatchStatus.FAILED, True),
    ],
)
def test_a_batch_is_done_where_every_row_of_every_file_is_answered(
    files: list[FileAccount], status: BatchStatus, is_unfinished: bool
) -> None:
    account = an_account(*files)
    assert (account.status, account.is_unfinished) == (status, is_unfinished)
