"""Does what the endpoint prints about a prediction reach summaries' door, once?"""

from __future__ import annotations

import gzip
import json
import re
import time
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest

from cli.reach import Reach
from local.twin import Twin

LINES = 40


def client(twin: Twin, service: str) -> Any:
    session = boto3.Session(aws_access_key_id="tests", aws_secret_access_key="tests", region_name=twin.region)
    return session.client(service, endpoint_url=twin.endpoint_url)


def capture_line(id: str) -> str:
    said = {"serin": "capture", "v": 1, "id": id, "at": int(time.time() * 1000), "model": "piped", "version": 1}
    said |= {"answered": 1, "arm": "champion", "release": None, "unit": "0" * 16, "entity": False, "ms": 1.5}
    said |= {"cold": False, "fault": None, "unsure": 0, "n": 1, "rows": [[1, "ä", None]], "scores": [[0.25, 0.75]]}
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"))


@pytest.fixture
def printed(twin: Twin) -> list[str]:
    """Write capture lines, among others, into the log of the endpoint; their ids."""
    logs, group, stream = client(twin, "logs"), "/aws/lambda/serin-local-api", f"tests-{time.time_ns()}"
    logs.create_log_stream(logGroupName=group, logStreamName=stream)
    ids = [f"{stream}-{number}" for number in range(LINES)]
    for id in ids:
        said = ["START RequestId: 1", capture_line(id), '{"level":"ERROR","message":"capture"}', "END RequestId: 1"]
        events = [{"timestamp": int(time.time() * 1000), "message": line} for line in said]
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)
    return ids


def test_each_capture_arrives_once_and_wakes_summarise(twin: Twin, there: Reach, printed: list[str]) -> None:
    before = datetime.now(UTC)
    twin.settle(60)

    arrived: dict[str, list[str]] = {}
    s3, bucket = client(twin, "s3"), there.outputs["DataBucket"]
    for each in s3.list_objects_v2(Bucket=bucket, Prefix="captures/").get("Contents", []):
        lines = gzip.decompress(s3.get_object(Bucket=bucket, Key=each["Key"])["Body"].read()).decode().splitlines()
        if ours := [said["id"] for said in map(json.loads, lines) if said["id"] in printed]:
            arrived[each["Key"]] = ours
    assert sorted(id for ids in arrived.values() for id in ids) == sorted(printed)
    for key in arrived:
        dated = re.fullmatch(r"captures/dt=([\d-]{10})/hour=(\d\d)/[^/]+\.jsonl\.gz", key)
        assert dated
        hour = datetime.fromisoformat(f"{dated[1]}T{dated[2]}:00:00+00:00")
        assert -60 < (before - hour).total_seconds() < 3700

    woken = [record for record in twin.invocations("serin-local-summarise") if record["outcome"] == "succeeded"]
    bodies = [json.loads(message["body"]) for record in woken for message in record["event"]["Records"]]
    keys = [body["detail"]["object"]["key"] for body in bodies]
    assert all(keys.count(key) == 1 for key in arrived)
