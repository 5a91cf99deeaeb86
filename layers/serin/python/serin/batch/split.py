"""What becomes of a file of a batch? Its parts, what was rejected, and the account of it are written once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from serin.batch.account import SplitFile
from serin.batch.job import Job, Source, read_json, write_json
from serin.batch.split_file import split_file
from serin.data.limits import DEFAULT_LIMITS
from serin.data.write import REJECTED
from serin.errors import NotFound
from serin.registry.ids import read_verified
from serin.registry.keys import version_prefix
from serin.registry.ports import Objects

Split = Callable[[Path, Path, bytes], dict[str, Any]]
"""Splits a file into a folder by a spec, as `split_file` does."""


def split_here(file: Path, folder: Path, spec: bytes) -> dict[str, Any]:
    """Split a file in this process."""
    return split_file(str(file), str(folder), spec.decode())


@dataclass(frozen=True, slots=True)
class Splitter:
    """Splits the files of batches. What is split already is left as it is. split_file: a function does it apart."""

    data: Objects
    artifacts: Objects
    split_file: Split = split_here

    def split(self, model: str, job_name: str, file_key: str) -> None:
        """Split one file of a job. What cannot be read is accounted for as refused.

        Raises Unverified where the version's spec is not the one that the job names.
        """
        job = Job.read(self.data, model, job_name)
        place = int(read_json(self.data, file_key)["place"])
        key = f"{job.work}split/{place:05d}.json"
        if not self.data.exists(key):
            write_json(self.data, key, self._split(job, place, job.sources[place]).to_dict())

    def _split(self, job: Job, place: int, source: Source) -> SplitFile:
        assert job.version is not None  # what has no champion is not split
        key, digest = version_prefix(job.model, job.version) + "spec.json", job.artifacts.get("spec.json")
        spec = read_verified(self.artifacts.get, key, digest)
        with TemporaryDirectory() as temporary:
            file, folder = Path(temporary) / "file", Path(temporary) / "parts"
            try:
                size = self.data.size(source.key, source.version)
                if size > DEFAULT_LIMITS.max_sent:
                    most = DEFAULT_LIMITS.max_sent // 2**20
                    message = f"{size / 2**20:,.0f} MiB are more than the {most:,} MiB of one file"
                    return _refused("TOO_LARGE", message, "Split it into several files under one prefix.")
                self.data.fetch(source.key, source.version, file)
            except NotFound:
                return _refused("GONE", "the object was deleted before it could be read", "Send it again.")
            done = self.split_file(file, folder, spec)
            if (folder / REJECTED).exists():
                self.data.put_file(f"{job.results}rejected-{place:05d}.csv", folder / REJECTED)
            for name in done["parts"]:
                self.data.put_file(f"{job.work}parts/{place:05d}-{name}.npz", folder / f"{name}.npz")
        parts = {f"{place:05d}-{name}": rows for name, rows in done["parts"].items()}
        return SplitFile(done["rows"], parts, done["rejected"], tuple(done["reasons"]))


def _refused(code: str, message: str, fix: str) -> SplitFile:
    return SplitFile(rows=0, parts={}, rejected=0, reasons=({"code": code, "message": message, "fix": fix},))
