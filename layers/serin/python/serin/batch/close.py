"""How does a batch end? Each row is accounted for by what the steps left behind, so that nothing is lost in silence."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from serin.batch.account import (
    FAILED,
    AnsweredPart,
    BatchAccount,
    FileAccount,
    PartAccount,
    SplitFile,
    read_account,
    write_account,
)
from serin.batch.job import Job, Source, read_json
from serin.errors import NotFound
from serin.registry.ports import Clock, Objects

_NOT_SPLIT = {
    "code": FAILED,
    "message": "it could not be split",
    "fix": "Try it again; if that fails too, send smaller files.",
}


@dataclass(frozen=True, slots=True)
class BatchCloser:
    """Writes the account of a batch, once for each attempt."""

    data: Objects
    now: Clock

    def close(self, model: str, job_name: str, error: str | None = None, *, attempt: int = 1) -> BatchAccount:
        """Account for every row of a job: answered, rejected, or failed.

        error: what ended the workflow early. It is told where something is left undone, and else was none: so ends a
        workflow that has no part to answer, since every row was rejected.
        """
        before = self._account(model, job_name)
        if before and before.next_attempt > attempt:
            return before
        job = Job.read(self.data, model, job_name)
        files = [self._file(job, place, source) for place, source in enumerate(job.sources)]
        account = BatchAccount.of(job, files, ended_at=self.now().isoformat(), attempt=attempt)
        if error and account.is_unfinished:
            account = replace(account, error=error)
        write_account(self.data, account)
        return account

    def _account(self, model: str, job: str) -> BatchAccount | None:
        try:
            return read_account(self.data, model, job)
        except NotFound:
            return None

    def _file(self, job: Job, place: int, source: Source) -> FileAccount:
        body = self._read(f"{job.work}split/{place:05d}.json")
        if body is None:
            return FileAccount.unread(source, _NOT_SPLIT)
        split = SplitFile.from_dict(body)
        parts = tuple(self._part(job, name, rows) for name, rows in split.parts.items())
        return FileAccount(
            key=source.key,
            version=source.version,
            rows=split.rows,
            answered=sum(part.answered for part in parts),
            rejected=split.rejected,
            failed=sum(part.rows - part.answered for part in parts),
            rejected_rows=f"{job.results}rejected-{place:05d}.csv" if split.rejected and parts else None,
            parts=parts,
            reasons=split.reasons,
        )

    def _part(self, job: Job, name: str, rows: int) -> PartAccount:
        body = self._read(f"{job.work}answered/{name}.json")
        return PartAccount.of(f"{job.results}{name}.csv", rows, AnsweredPart.from_dict(body) if body else None)

    def _read(self, key: str) -> dict[str, Any] | None:
        try:
            return read_json(self.data, key)
        except NotFound:
            return None
