"""A file is answered as a whole: split, answered part by part in a distributed map, every row accounted for."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from serin.batch.job import write_json
from serin.client.environment import EnvironmentClient
from serin.registry.keys import batch_account_key
from tests.e2e.conftest import Serin, upload, write_contract
from tests.e2e.test_power_cuts import SMALL, small_table


def test_a_file_and_a_prefix_are_answered(
    project: Path, there: EnvironmentClient, serin: Serin, tmp_path: Path
) -> None:
    write_contract(project, **SMALL | {"model": "batched", "entity": "who", "batch": {"keep": "1h"}})
    rows = small_table().decode().splitlines()
    named = "\n".join([f"{rows[0]},who", *(f"{row},w{place}" for place, row in enumerate(rows[1:]))]) + "\n"
    upload(there, "batched", "first.csv", named.encode())

    (tmp_path / "march.csv").write_text("who,x\nann,0.5\nbob,large\ncarl,-1\n")
    done = serin("batch", "batched", str(tmp_path / "march.csv"), "--out", str(tmp_path / "out.csv"), status=1)
    assert "partial: batched@1 answered 2 of 3 rows; 1 set aside, 0 failed" in done.stdout
    with (tmp_path / "out.csv").open() as file:
        answers = list(csv.DictReader(file))
    assert [(row["line"], row["who"]) for row in answers] == [("2", "ann"), ("4", "carl")]
    online = there.call("POST", "/models/batched/predict", {"rows": [{"x": 0.5}, {"x": -1}]})["predictions"]
    assert [float(row["score"]) for row in answers] == [answer["score"] for answer in online]

    kept = there.call("GET", "/models/batched/answers?entity=carl")
    assert (kept["model"], kept["entity"], kept["version"]) == ("batched", "carl", 1)
    assert kept["answer"]["score"] == float(answers[1]["score"])

    for name in ("a", "b"):
        there.cloud.data.put(f"batch/batched/all/{name}.csv", b"x\n1\n2\n")
    account = json.loads(serin("batch", "batched", "batch/batched/all/", "--wait", "--json").stdout)
    assert (account["status"], account["answered"], len(account["files"])) == ("done", 4, 2)
    accounts = [found for found in there.cloud.data.list("predictions/batched/") if "manifest" in found.key]
    assert len(accounts) == 2, "the files of a folder are answered with it, and not when they arrive"

    (tmp_path / "april.csv").write_text("no table\n")
    refused = json.loads(serin("batch", "batched", str(tmp_path / "april.csv"), "--wait", "--json", status=1).stdout)
    assert (refused["status"], "error" in refused) == ("refused", False), "there was no part to answer"


def test_what_failed_is_tried_again(project: Path, there: EnvironmentClient, serin: Serin, tmp_path: Path) -> None:
    write_contract(project, **SMALL | {"model": "retried"})
    upload(there, "retried", "first.csv", small_table())
    (tmp_path / "may.csv").write_text("x\n1\n2\n")
    first = json.loads(serin("batch", "retried", str(tmp_path / "may.csv"), "--wait", "--json").stdout)
    job, data = first["job"], there.cloud.data
    assert "nothing is left to try" in serin("batch", "retried", "--again", job, status=2).stderr

    part = first["files"][0]["parts"][0]  # as if its function had been throttled until the workflow gave it up
    part.update(key=None, answered=0, reason="FAILED")
    write_json(data, batch_account_key("retried", job), first)
    there.session.client("s3").delete_object(
        Bucket=data.bucket, Key=f"batch-work/retried/{job}/answered/00000-00000.json"
    )
    again = json.loads(serin("batch", "retried", "--again", job, "--wait", "--json").stdout)
    assert (again["status"], again["answered"], again["attempt"]) == ("done", 2, 2)
