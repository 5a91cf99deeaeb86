"""A file is answered as a whole: split, answered part by part in a distributed map, every row accounted for."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from cli.reach import Reach
from tests.e2e.conftest import Serin, upload, write_contract
from tests.e2e.test_power_cuts import SMALL, small_table


def test_a_file_and_a_prefix_are_answered(project: Path, there: Reach, serin: Serin, tmp_path: Path) -> None:
    write_contract(project, **SMALL | {"model": "batched", "entity": "who", "batch": {"keep": "1h"}})
    rows = small_table().decode().splitlines()
    named = "\n".join([f"{rows[0]},who", *(f"{row},w{place}" for place, row in enumerate(rows[1:]))]) + "\n"
    upload(there, "batched", "first.csv", named.encode())

    (tmp_path / "march.csv").write_text("who,x\nann,0.5\nbob,large\ncarl,-1\n")
    done = serin("batch", "batched", str(tmp_path / "march.csv"), "--out", str(tmp_path / "out.csv"), status=1)
    assert "partial: of 3 rows 2 answered by batched@1, 1 set aside, 0 failed" in done.stdout
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
