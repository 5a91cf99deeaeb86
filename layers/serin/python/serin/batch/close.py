"""What became of every row of a batch? Counted from what each step left behind, so that nothing is lost in silence."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from serin.batch.job import Job, Source, read_json, write_json
from serin.errors import NotFound
from serin.registry.keys import batch_account_key
from serin.registry.ports import Clock, Objects


@dataclass(frozen=True, slots=True)
class BatchCloser:
    """Writes the account of a batch, once for each attempt."""

    data: Objects
    now: Clock

    def close(self, model: str, job_name: str, error: str | None = None, *, attempt: int = 1) -> dict[str, Any]:
        """Account for every row of a job: answered, rejected, or failed.

        error: what ended the workflow early. It is told where something is left undone, and else was none: so ends a
        workflow that has no part to answer, since every row was rejected.
        """
        key = batch_account_key(model, job_name)
        before = self._found(key)
        if before and next_attempt(before) > attempt:
            return before
        job = Job.read(self.data, model, job_name)
        files = [self._file(job, place, source) for place, source in enumerate(job.sources)]
        account = account_of(job, files, ended_at=self.now().isoformat(), attempt=attempt)
        if error and is_unfinished(account):
            account["error"] = error
        write_json(self.data, key, account)
        return account

    def _file(self, job: Job, place: int, source: Source) -> dict[str, Any]:
        split = self._found(f"{job.work}split/{place:05d}.json")
        if split is None:
            reason = {
                "code": "FAILED",
                "message": "it could not be split",
                "fix": "Try it again; if that fails too, send smaller files.",
            }
            return unread(source, reason)
        parts = [self._part(job, name, rows) for name, rows in split["parts"].items()]
        return {
            **asdict(source),
            "rows": split["rows"],
            "answered": sum(part["answered"] for part in parts),
            "rejected": split["rejected"],
            "failed": sum(part["rows"] - part["answered"] for part in parts),
            "rejected_rows": f"{job.results}rejected-{place:05d}.csv" if split["rejected"] and parts else None,
            "parts": parts,
            "reasons": split["reasons"],
        }

    def _part(self, job: Job, name: str, rows: int) -> dict[str, Any]:
        said = self._found(f"{job.work}answered/{name}.json")
        if said is None:
            return {"key": None, "rows": rows, "answered": 0, "reason": "FAILED"}
        failed = {"reason": "MODEL_OUTPUT", "failed_lines": said["failed"][:100]} if said["failed"] else {}
        key = f"{job.results}{name}.csv"
        return {"key": key, "rows": rows, "answered": said["answered"], "sha256": said["sha256"], **failed}

    def _found(self, key: str) -> dict[str, Any] | None:
        try:
            return read_json(self.data, key)
        except NotFound:
            return None


def account_of(job: Job, files: list[dict[str, Any]], *, ended_at: str, attempt: int = 1) -> dict[str, Any]:
    """Make the account of a batch out of those of its files."""
    counts = {what: sum(file[what] for file in files) for what in ("rows", "answered", "rejected", "failed")}
    return {
        "job": job.id,
        "model": job.model,
        "version": job.version,
        "attempt": attempt,
        "status": _status(counts, files),
        **counts,
        "results": job.results,
        "files": files,
        "started_at": job.started_at,
        "ended_at": ended_at,
    }


def next_attempt(account: dict[str, Any]) -> int:
    """Number the attempt that would follow the one that an account is of. Older code wrote none: it made one only."""
    return int(account.get("attempt", 1)) + 1


def is_unfinished(account: dict[str, Any]) -> bool:
    """Tell whether a file was not split or a part was not answered to its end, so that another attempt may do it."""
    return any(
        _broke(file) or any(part.get("reason") == "FAILED" for part in file["parts"]) for file in account["files"]
    )


def unread(source: Source, reason: dict[str, Any]) -> dict[str, Any]:
    """Account for a file of which no row was read."""
    counts = {"rows": 0, "answered": 0, "rejected": 0, "failed": 0}
    return {**asdict(source), **counts, "parts": [], "reasons": [reason]}


def _status(counts: dict[str, int], files: list[dict[str, Any]]) -> str:
    """done: every row of every file is answered; partial: some; failed: none, though there were good ones; refused."""
    if counts["answered"]:
        whole = counts["answered"] == counts["rows"] and all(file["rows"] for file in files)
        return "done" if whole else "partial"
    return "failed" if counts["failed"] or any(_broke(file) for file in files) else "refused"


def _broke(file: dict[str, Any]) -> bool:
    return any(reason["code"] == "FAILED" for reason in file["reasons"])
