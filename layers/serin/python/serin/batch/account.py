"""What became of every row of a batch? The account of it, of its files and of their parts, and their forms in JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from typing import Any

from serin.batch.job import Job, Source, read_json, write_json
from serin.registry.keys import batch_account_key
from serin.registry.ports import Objects

FAILED = "FAILED"  # the code of what broke, so that another attempt may do it
NAMED_LINES = 100  # of rows that failed

Reason = dict[str, Any]  # as serin.data.reasons writes it: code, message and fix at least


class BatchStatus(StrEnum):
    DONE = "done"  # every row of every file is answered
    PARTIAL = "partial"  # some are
    FAILED = "failed"  # none is, though there were good ones
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class SplitFile:
    """What splitting one file gave. parts: how many rows each has, by name."""

    rows: int
    parts: dict[str, int]
    rejected: int
    reasons: tuple[Reason, ...]

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "reasons": list(self.reasons)}

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> SplitFile:
        return cls(**{**_known(cls, body), "reasons": tuple(body["reasons"])})


@dataclass(frozen=True, slots=True)
class AnsweredPart:
    """What answering one part gave. failed: the lines of rows whose answer was no number. sha256: of the answers."""

    answered: int
    failed: tuple[int, ...]
    sha256: str

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "failed": list(self.failed)}

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> AnsweredPart:
        return cls(**{**_known(cls, body), "failed": tuple(body["failed"])})


@dataclass(frozen=True, slots=True)
class PartAccount:
    """One part of a file. key: of its answers, None where there are none. reason: why rows of it have no answer."""

    key: str | None
    rows: int
    answered: int
    sha256: str | None = None
    reason: str | None = None
    failed_lines: tuple[int, ...] | None = None

    @classmethod
    def of(cls, key: str, rows: int, answered: AnsweredPart | None) -> PartAccount:
        """Account for a part. answered: None where it never was."""
        if answered is None:
            return cls(key=None, rows=rows, answered=0, reason=FAILED)
        part = cls(key=key, rows=rows, answered=answered.answered, sha256=answered.sha256)
        if not answered.failed:
            return part
        return replace(part, reason="MODEL_OUTPUT", failed_lines=answered.failed[:NAMED_LINES])

    def to_dict(self) -> dict[str, Any]:
        always = {"key": self.key, "rows": self.rows, "answered": self.answered}
        more = {"sha256": self.sha256, "reason": self.reason, "failed_lines": self.failed_lines}
        return always | {name: value for name, value in more.items() if value is not None}

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> PartAccount:
        lines = body.get("failed_lines")
        return cls(**{**_known(cls, body), "failed_lines": None if lines is None else tuple(lines)})


@dataclass(frozen=True, slots=True)
class FileAccount:
    """One file of a batch. rejected_rows: the key of the table of rows that were set aside."""

    key: str
    version: str
    rows: int
    answered: int
    rejected: int
    failed: int
    rejected_rows: str | None
    parts: tuple[PartAccount, ...]
    reasons: tuple[Reason, ...]

    @classmethod
    def unread(cls, source: Source, reason: Reason) -> FileAccount:
        """Account for a file of which no row was read."""
        return cls(
            key=source.key,
            version=source.version,
            rows=0,
            answered=0,
            rejected=0,
            failed=0,
            rejected_rows=None,
            parts=(),
            reasons=(reason,),
        )

    @property
    def is_broken(self) -> bool:
        """Whether it could not be split."""
        return any(reason["code"] == FAILED for reason in self.reasons)

    def to_dict(self) -> dict[str, Any]:
        parts = [part.to_dict() for part in self.parts]
        return {**asdict(self), "parts": parts, "reasons": list(self.reasons)}

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> FileAccount:
        parts, reasons = map(PartAccount.from_dict, body["parts"]), tuple(body["reasons"])
        return cls(**{"rejected_rows": None, **_known(cls, body), "parts": tuple(parts), "reasons": reasons})


@dataclass(frozen=True, slots=True)
class BatchAccount:
    """A whole batch, after one attempt. version: None where nothing can answer. results: the prefix of the answers.

    error: what ended the workflow early, where something is left undone.
    """

    job: str
    model: str
    version: int | None
    attempt: int
    status: BatchStatus
    rows: int
    answered: int
    rejected: int
    failed: int
    results: str
    files: tuple[FileAccount, ...]
    started_at: str
    ended_at: str
    error: str | None = None

    @classmethod
    def of(cls, job: Job, files: Sequence[FileAccount], *, ended_at: str, attempt: int = 1) -> BatchAccount:
        """Add up the accounts of a batch's files."""
        return cls(
            job=job.id,
            model=job.model,
            version=job.version,
            attempt=attempt,
            status=_status(files),
            rows=sum(file.rows for file in files),
            answered=sum(file.answered for file in files),
            rejected=sum(file.rejected for file in files),
            failed=sum(file.failed for file in files),
            results=job.results,
            files=tuple(files),
            started_at=job.started_at,
            ended_at=ended_at,
        )

    @property
    def next_attempt(self) -> int:
        """The number of the attempt that would follow."""
        return self.attempt + 1

    @property
    def is_unfinished(self) -> bool:
        """Whether a file was not split or a part was not answered to its end, so that another attempt may do it."""
        return any(file.is_broken or any(part.reason == FAILED for part in file.parts) for file in self.files)

    def to_dict(self) -> dict[str, Any]:
        body = {**asdict(self), "status": str(self.status), "files": [file.to_dict() for file in self.files]}
        return body if self.error else {name: value for name, value in body.items() if name != "error"}

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> BatchAccount:
        """Read an account. Older code made one attempt only, and wrote no number of it."""
        files = tuple(map(FileAccount.from_dict, body["files"]))
        return cls(**{"attempt": 1, **_known(cls, body), "status": BatchStatus(body["status"]), "files": files})


def read_account(data: Objects, model: str, job: str) -> BatchAccount:
    """Read the account of a batch that ended. Raises NotFound."""
    return BatchAccount.from_dict(read_json(data, batch_account_key(model, job)))


def write_account(data: Objects, account: BatchAccount) -> None:
    write_json(data, batch_account_key(account.model, account.job), account.to_dict())


def _known(kind: type[Any], body: Mapping[str, Any]) -> dict[str, Any]:
    """What this code knows of an account that newer code may have written."""
    return {field.name: body[field.name] for field in fields(kind) if field.name in body}


def _status(files: Sequence[FileAccount]) -> BatchStatus:
    if any(file.answered for file in files):
        is_whole = all(file.rows and file.answered == file.rows for file in files)
        return BatchStatus.DONE if is_whole else BatchStatus.PARTIAL
    return BatchStatus.FAILED if any(file.failed or file.is_broken for file in files) else BatchStatus.REFUSED
