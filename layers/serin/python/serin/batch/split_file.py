"""How does a file become parts that can be answered side by side? Its good rows, typed, some thousand in each.

A row in which nothing is written is a row too, in which all is missing. Rows are judged by the spec of the version that
will answer: what it refuses over HTTP is refused here, row by row.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from serin.batch.job import LINE
from serin.contract.notation import OWN
from serin.contract.serving_spec import ServingSpec
from serin.data.apart import Bounds, run_apart
from serin.data.expect import FeatureExpectation
from serin.data.limits import DEFAULT_LIMITS, Unreadable
from serin.data.read import read_ahead, read_parts
from serin.data.reasons import Reason
from serin.data.storage import dump_table
from serin.data.write import RejectedRows

PART_ROWS = 20_000  # a second or so of work, and some megabytes


def split_apart(file: Path, folder: Path, spec: bytes, bounds: Bounds) -> dict[str, Any]:
    """Split a file in another process, as `split_file` does."""
    request = {"file": str(file), "folder": str(folder), "spec": spec.decode()}
    try:
        return run_apart(split_file, request, bounds)
    except Unreadable as error:
        return _refused(error)


def split_file(file: str, folder: str, spec: str) -> dict[str, Any]:
    """Split a file into a folder: `<number>.npz` for each part, `rejected.csv` where rows were set aside.

    Gives its rows, how many each part has, how many were rejected, and the reasons.
    """
    try:
        return _split(Path(file), Path(folder), ServingSpec.from_json(spec.encode()))
    except Unreadable as error:
        return _refused(error)
    except MemoryError:
        fix = "Split it into several files under one prefix."
        return _refused(Unreadable("TOO_LARGE", "reading it takes more memory than there is", fix=fix))


def _split(file: Path, folder: Path, spec: ServingSpec) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    expectation, rejected = FeatureExpectation(spec), RejectedRows(folder)
    waiting: list[pd.DataFrame] = []
    parts: dict[str, int] = {}

    def write(least: int) -> None:
        while sum(map(len, waiting)) >= least:
            good = pd.concat(waiting, ignore_index=True)
            name = f"{len(parts):05d}"
            (folder / f"{name}.npz").write_bytes(dump_table(good.iloc[:PART_ROWS]))
            parts[name] = len(good.iloc[:PART_ROWS])
            waiting[:] = [good.iloc[PART_ROWS:]]

    numbers = [feature.name for feature in spec.numeric if feature.type != "boolean" and feature.notation == OWN]
    raw_parts = read_parts(
        lambda: file.open("rb"), DEFAULT_LIMITS, encoding=spec.encoding, names=spec.names, numbers=numbers
    )
    for part in read_ahead(raw_parts):
        raw = part.with_blank()
        finding = expectation.look(raw)
        if finding is None:
            continue
        if finding.is_bad.any():
            places = np.flatnonzero(finding.is_bad)
            rejected.add(raw.as_written(places), raw.lines[places], finding.why, raw.place)
        waiting.append(finding.table.assign(**{LINE: raw.lines})[~finding.is_bad])
        write(PART_ROWS)
    if refusals := expectation.refusals:
        return {"rows": expectation.rows, "parts": {}, "rejected": expectation.rows, "reasons": _dicts(refusals)}
    write(1)
    rejected.close()
    return {
        "rows": expectation.rows,
        "parts": parts,
        "rejected": expectation.bad,
        "reasons": _dicts(expectation.reasons),
    }


def _refused(error: Unreadable) -> dict[str, Any]:
    reasons = [{"code": error.code, "message": error.message, "fix": error.fix}]
    return {"rows": 0, "parts": {}, "rejected": 0, "reasons": reasons}


def _dicts(reasons: tuple[Reason, ...]) -> list[dict[str, Any]]:
    return [reason.to_dict() for reason in reasons]
