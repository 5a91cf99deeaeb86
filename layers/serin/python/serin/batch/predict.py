"""How is one part of a batch answered? By the version that the job names, in one run of its graph."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import numpy as np

from serin.batch.account import AnsweredPart
from serin.batch.job import LINE, Job, write_json
from serin.data.harmless import harmless
from serin.data.storage import load_columns
from serin.registry.ids import read_verified, sha256
from serin.registry.keys import version_prefix
from serin.registry.ports import KeptAnswer, KeptAnswers, Objects
from serin.serving.answer import answers
from serin.serving.rows.encode import encode_columns, entity_text, notes_of
from serin.serving.runtime.model import FILES, LoadedModel


@dataclass(frozen=True, slots=True)
class PartPredictor:
    """Answers parts of batches. What is answered already is left as it is."""

    data: Objects
    artifacts: Objects
    kept: KeptAnswers

    def predict(self, model: str, job_name: str, part_key: str) -> None:
        """Answer one part of a job. Raises Unverified where the model is not the one that the job names."""
        job = Job.read(self.data, model, job_name)
        name = part_key.rpartition("/")[2].removesuffix(".npz")
        account_key = f"{job.work}answered/{name}.json"
        if self.data.exists(account_key):
            return
        assert job.version is not None  # what has no champion is not split
        columns = load_columns(self.data.get(part_key))
        lines = columns[LINE].astype(np.int64)
        prefix, digests = version_prefix(model, job.version), tuple(job.artifacts.items())
        loaded = load(self.artifacts, prefix, digests)  # type: ignore[arg-type]  # adapters hash by identity
        encoded = encode_columns(columns, loaded.spec)
        scores = loaded.raw_scores(encoded)
        is_number = np.isfinite(scores).all(axis=1)
        answered, lines_failed = lines[is_number].tolist(), lines[~is_number].tolist()
        texts = [columns[feature.name][is_number].tolist() for feature in loaded.spec.categories]
        notes = notes_of(encoded.codes[is_number], texts, loaded.spec)
        given = answers(scores[is_number], loaded.spec, prediction_id="", notes=notes)
        for answer in given:
            del answer["id"]  # no capture has these rows: feedback on one would never be joined
        entity = loaded.spec.entity
        entities = [*map(entity_text, columns[entity][is_number].tolist())] if entity in columns else None
        if job.keep_seconds is not None and entities is not None:
            self.kept.keep(model, _latest(job, job.keep_seconds, name, zip(entities, given, strict=True)))
        table = _csv(answered, given, {} if entities is None else {str(entity): entities})
        self.data.put(f"{job.results}{name}.csv", table)
        part = AnsweredPart(answered=len(answered), failed=tuple(lines_failed), sha256=sha256(table))
        write_json(self.data, account_key, part.to_dict())


@lru_cache(maxsize=1)
def load(artifacts: Objects, prefix: str, digests: tuple[tuple[str, str], ...]) -> LoadedModel:
    """Load the version of these digests; the last one is kept, since a process answers many parts of one job.

    Raises Unverified where a file is not the one that its digest names.
    """
    known = dict(digests)
    return LoadedModel.load(*(read_verified(artifacts.get, prefix + name, known.get(name)) for name in FILES))


def _latest(
    job: Job, keep_seconds: float, part: str, answered: Iterator[tuple[str | None, dict[str, Any]]]
) -> list[KeptAnswer]:
    """Say what is to be kept: of each entity the last row's answer, so long after the job's start."""
    expires = datetime.fromisoformat(job.started_at) + timedelta(seconds=keep_seconds)
    about = {"version": job.version, "job": job.id, "at": job.started_at}
    last = {entity: answer for entity, answer in answered if entity is not None}
    return [
        KeptAnswer(
            entity, at=f"{job.started_at} {part}", expires=int(expires.timestamp()), body={**about, "answer": answer}
        )
        for entity, answer in last.items()
    ]


def _csv(lines: Sequence[int], given: Sequence[dict[str, Any]], beside: dict[str, list[Any]]) -> bytes:
    """Write answers as a table: the line of each row in its file, what identifies it, and all that was answered.

    No cell is one that a spreadsheet would run.
    """
    flat = [dict(_flat(answer)) for answer in given]
    names = list(dict.fromkeys(name for answer in flat for name in answer))
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(map(harmless, ["line", *beside, *names]))
    identified = zip(*beside.values(), strict=True) if beside else ((),) * len(lines)
    for line, known, answer in zip(lines, identified, flat, strict=True):
        writer.writerow(map(harmless, [line, *known, *(answer.get(name) for name in names)]))
    return buffer.getvalue().encode()


def _flat(answer: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in answer.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", "|".join(map(str, value)) if isinstance(value, list) else value
