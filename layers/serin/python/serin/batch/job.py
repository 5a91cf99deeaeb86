"""What is a batch job, and where is each piece of it kept?

batch/<model>/<name>                                a file that is answered as soon as it arrives
batch/<model>/<folder>/…                            files that are answered together, once somebody asks
batch-work/<model>/<job>/job.json                   the job: its files, and the version that answers all of it
batch-work/<model>/<job>/files/00000.json           one for each file to split
batch-work/<model>/<job>/split/00000.json           what became of that file
batch-work/<model>/<job>/parts/00000-00000.npz      its good rows, typed, some at a time
batch-work/<model>/<job>/answered/00000-00000.json  what became of that part
predictions/<model>/<job>/00000-00000.csv           the answers
predictions/<model>/<job>/rejected-00000.csv        the rows that break the contract, with why
predictions/<model>/<job>/manifest.json             the account of every row; written last
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from serin.contract.model import Contract
from serin.registry.ids import sha256
from serin.registry.keys import batch_work_prefix, predictions_prefix
from serin.registry.ports import Objects
from serin.registry.registry import Registry

LINE = "\x00line"  # the column of a part that says where a row stands in its file; no table has one of that name


@dataclass(frozen=True, slots=True)
class Source:
    """One file to be answered: a key, exactly as stored, and the object's version."""

    key: str
    version: str


@dataclass(frozen=True, slots=True)
class Job:
    """One batch. version, artifacts: the model version that answers every row, with its files' SHA-256.

    version: None where the model has no champion, and so nothing is started. keep_seconds: how long answers can be read
    by entity; None where they are not kept.
    """

    id: str
    model: str
    version: int | None
    artifacts: dict[str, str]
    sources: tuple[Source, ...]
    started_at: str
    keep_seconds: float | None = None

    @property
    def work(self) -> str:
        return batch_work_prefix(self.model, self.id)

    @property
    def results(self) -> str:
        return predictions_prefix(self.model, self.id)

    @classmethod
    def read(cls, data: Objects, model: str, job: str) -> Job:
        """Read a job. Raises NotFound."""
        body = read_json(data, batch_work_prefix(model, job) + "job.json")
        return cls(**{**body, "sources": tuple(Source(**source) for source in body["sources"])})


def job_id(sources: Sequence[Source]) -> str:
    """Name a job by its files, so that the same files twice are one job."""
    return sha256(json.dumps([[source.key, source.version] for source in sources]).encode())[:16]


def sources_under(data: Objects, prefix: str) -> tuple[Source, ...]:
    """List the files under a prefix that are answered together. A file in no folder was answered when it arrived."""
    return tuple(Source(stored.key, stored.version) for stored in data.list(prefix) if _is_in_folder(stored.key))


def _is_in_folder(key: str) -> bool:
    return key.count("/") > 2 and not key.endswith("/")  # a key that ends so is the folder itself


def contract_of(registry: Registry, model: str, version: int) -> Contract:
    """Read the contract that a version was trained under. Raises NotFound."""
    run = registry.version(model, version).value.run
    return Contract.model_validate(registry.run(model, run).value.contract)


def read_json(data: Objects, key: str) -> dict[str, Any]:
    """Read an object of JSON. Raises NotFound."""
    body: dict[str, Any] = json.loads(data.get(key))
    return body


def write_json(data: Objects, key: str, body: dict[str, Any]) -> None:
    data.put(key, json.dumps(body, indent=1, ensure_ascii=False, allow_nan=False).encode())
