"""How does a batch start? One version is chosen for all of it, and the workflow is named by the files."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from serin.batch.account import BatchAccount, FileAccount, read_account, write_account
from serin.batch.job import (
    Job,
    Source,
    contract_of,
    job_id,
    sources_under,
    write_json,
)
from serin.errors import NotFound
from serin.registry.keys import batch_account_key, batch_work_prefix, is_single_batch, model_of_batch
from serin.registry.ports import Clock, Objects, Workflow
from serin.registry.records import Champion, Retirement
from serin.registry.registry import Registry


@dataclass(frozen=True, slots=True)
class BatchStarter:
    """Starts batches. Doing it again starts nothing new."""

    registry: Registry
    data: Objects
    workflow: Workflow
    now: Clock

    def start_file(self, key: str, version: str) -> str | None:
        """Start the batch of one file that arrived. Gives the job's id.

        None where the key belongs to no model, or the file lies in a folder and so waits for the batch of that folder.
        """
        return self._start(key, (Source(key, version),)) if is_single_batch(key) else None

    def start_prefix(self, prefix: str) -> str | None:
        """Start one batch of all files in folders under a prefix. Gives the job's id; None where there are none."""
        sources = sources_under(self.data, prefix)
        return self._start(prefix, sources) if sources else None

    def start_again(self, model: str, job: str, attempt: int) -> str | None:
        """Try once more what failed in a batch that ended. attempt: the one after that of its account.

        Gives the job's id; None where nothing is left to try.
        """
        try:
            account = read_account(self.data, model, job)
        except NotFound:
            return None
        if attempt != account.next_attempt or not account.is_unfinished:
            return None
        self._run(model, job, attempt)
        return job

    def _start(self, place: str, sources: tuple[Source, ...]) -> str | None:
        model, job = model_of_batch(place), job_id(sources)
        if model is None:
            return None
        if self.data.exists(batch_account_key(model, job)):
            return job
        work = batch_work_prefix(model, job)
        if not self.data.exists(f"{work}job.json"):
            route = self.registry.route(model)
            if route is None:
                self._refuse(model, job, sources, _no_champion(model))
                return job
            retirement = route.value.retirement
            if retirement is not None and retirement.is_over(self.now()):
                self._refuse(model, job, sources, _retired(model, retirement))
                return job
            self._write(model, job, sources, route.value.champion)
        self._run(model, job, 1)
        return job

    def _run(self, model: str, job: str, attempt: int) -> None:
        work = batch_work_prefix(model, job)
        name = f"{model}-{job}" + (f"-{attempt}" if attempt > 1 else "")  # a name starts once
        lists = {"files": f"{work}files/", "parts": f"{work}parts/"}
        self.workflow.start(name, {"model": model, "job": job, "attempt": attempt, **lists})

    def _write(self, model: str, job: str, sources: tuple[Source, ...], champion: Champion) -> None:
        keep = contract_of(self.registry, model, champion.version).batch.keep
        work = batch_work_prefix(model, job)
        for place in range(len(sources)):
            write_json(self.data, f"{work}files/{place:05d}.json", {"place": place})
        started = Job(
            id=job,
            model=model,
            version=champion.version,
            artifacts=champion.files,
            sources=sources,
            started_at=self.now().isoformat(),
            keep_seconds=None if keep is None else keep.total_seconds(),
        )
        write_json(self.data, f"{work}job.json", asdict(started))

    def _refuse(self, model: str, job: str, sources: tuple[Source, ...], reason: dict[str, str]) -> None:
        """Account for files that nothing can answer."""
        at = self.now().isoformat()
        refused = Job(id=job, model=model, version=None, artifacts={}, sources=sources, started_at=at)
        files = [FileAccount.unread(source, reason) for source in sources]
        write_account(self.data, BatchAccount.of(refused, files, ended_at=at))


def _no_champion(model: str) -> dict[str, str]:
    return {
        "code": "NO_CHAMPION",
        "message": f"{model} has no champion: nothing was released yet",
        "fix": f"Look at serin versions {model}; once there is a champion, send the file again.",
    }


def _retired(model: str, retirement: Retirement) -> dict[str, str]:
    return {
        "code": "RETIRED",
        "message": f"{model} answers no longer since {retirement.until[:19]}: {retirement}",
        "fix": f"Ask the model that follows it, or take that back: serin retire {model} --undo",
    }
