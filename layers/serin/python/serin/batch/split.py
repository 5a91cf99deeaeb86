"""How does a file become parts that can be answered side by side? Its good rows, typed, some thousand in each.

A row in which nothing is written is a row too, in which all is missing.
They are judged by the spec of the version that will answer: what it refuses over HTTP is refused here, row by row.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from serin.batch.account import SplitFile
from serin.batch.job import LINE, Job, Source, read_json, write_json
from serin.contract.serving_spec import ServingSpec
from serin.data.expect import TableFinding, expect_features
from serin.data.intake import write_rejected
from serin.data.read import DEFAULT_LIMITS, RawTable, Unreadable, read_table
from serin.data.reasons import Reason
from serin.data.storage import dump_table
from serin.errors import NotFound
from serin.registry.ids import read_verified
from serin.registry.keys import version_prefix
from serin.registry.ports import Objects

PART_ROWS = 20_000  # a second or so of work, and some megabytes


@dataclass(frozen=True, slots=True)
class Splitter:
    """Splits the files of batches. What is split already is left as it is."""

    data: Objects
    artifacts: Objects

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
        spec = self._spec(job)
        try:
            raw = self._read(source, spec)
        except Unreadable as error:
            return _refused(error.code, error.message, error.fix)
        except NotFound:
            return _refused("GONE", "the object was deleted before it could be read", "Send it again.")
        finding = expect_features(raw, spec)
        if finding.table is None:
            rows = len(raw.lines)
            return SplitFile(rows=rows, parts={}, rejected=rows, reasons=_dicts(finding.refusals))
        rejected = int(finding.is_bad.sum())
        if rejected:
            self.data.put(f"{job.results}rejected-{place:05d}.csv", write_rejected(raw, finding))
        return SplitFile(
            rows=len(raw.lines),
            parts=self._write_parts(job, place, raw, finding),
            rejected=rejected,
            reasons=_dicts(finding.reasons),
        )

    def _spec(self, job: Job) -> ServingSpec:
        assert job.version is not None  # what has no champion is not split
        key, digest = version_prefix(job.model, job.version) + "spec.json", job.artifacts.get("spec.json")
        return ServingSpec.from_json(read_verified(self.artifacts.get, key, digest))

    def _read(self, source: Source, spec: ServingSpec) -> RawTable:
        """Read a file. Raises Unreadable and NotFound."""
        size = self.data.size(source.key, source.version)
        if size > DEFAULT_LIMITS.max_bytes:
            message = f"{size / 2**20:,.0f} MiB are more than the {DEFAULT_LIMITS.max_bytes // 2**20} MiB of one file"
            raise Unreadable("TOO_LARGE", message, fix="Split it into several files under one prefix.")
        content = self.data.get(source.key, source.version)
        return read_table(content, encoding=spec.encoding, names=spec.names).with_blank()

    def _write_parts(self, job: Job, place: int, raw: RawTable, finding: TableFinding) -> dict[str, int]:
        """Write the good rows in parts, and tell how many each has."""
        assert finding.table is not None
        good = finding.table.assign(**{LINE: raw.lines})[~finding.is_bad]
        parts = {}
        for number, start in enumerate(range(0, len(good), PART_ROWS)):
            part = good.iloc[start : start + PART_ROWS]
            name = f"{place:05d}-{number:05d}"
            self.data.put(f"{job.work}parts/{name}.npz", dump_table(part))
            parts[name] = len(part)
        return parts


def _refused(code: str, message: str, fix: str) -> SplitFile:
    return SplitFile(rows=0, parts={}, rejected=0, reasons=({"code": code, "message": message, "fix": fix},))


def _dicts(reasons: Iterable[Reason]) -> tuple[dict[str, Any], ...]:
    return tuple(reason.to_dict() for reason in reasons)
