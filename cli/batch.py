"""How is a batch sent, followed and fetched?"""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path
from typing import Any

from serin.aws.cloud import Cloud
from serin.batch.job import Source, job_id, manifest_key, read_json
from serin.errors import NotFound, Unavailable


def send_file(cloud: Cloud, model: str, file: Path, content: bytes) -> str:
    """Send a file; the environment does the rest by itself. Gives the job's id."""
    key = f"batch/{model}/{file.name}"
    return job_id([Source(key, cloud.data.put(key, content))])


def send_prefix(cloud: Cloud, prefix: str) -> str:
    """Ask for one batch of all files under a prefix. Gives the job's id. Raises NotFound where there are none."""
    sources = [Source(found.key, found.version) for found in cloud.data.list(prefix)]
    if not sources:
        raise NotFound(f"there is no file under {prefix} in the bucket of data")
    cloud.batches.send({"prefix": prefix})
    return job_id(sources)


def follow_batch(cloud: Cloud, model: str, job: str, timeout_seconds: float) -> dict[str, Any]:
    """Wait for the account of a batch. Raises Unavailable where it takes too long."""
    end = time.monotonic() + timeout_seconds
    while time.monotonic() < end:
        try:
            return read_json(cloud.data, manifest_key(model, job))
        except NotFound:
            time.sleep(0.3)
    raise Unavailable(f"no account of the batch {job} after {timeout_seconds:.0f} s; it goes on without you")


def write_answers(cloud: Cloud, account: dict[str, Any], out: Path) -> int:
    """Write the answers of all parts into one file, and tell how many there are."""
    parts = [
        (file["key"], csv.DictReader(io.StringIO(cloud.data.get(part["key"]).decode())))
        for file in account["files"]
        for part in file.get("parts", ())
        if part["key"]
    ]
    names = dict.fromkeys(name for _, part in parts for name in part.fieldnames or ())
    rows = [{"file": key, **row} for key, part in parts for row in part]
    with out.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["file", *names], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return len(rows)
