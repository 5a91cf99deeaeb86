"""Is each prediction that the endpoint answers captured and summarised, once?"""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from serin.client.environment import EnvironmentClient
from serin.local.twin import Twin
from serin.monitoring.summary import Summary
from serin.registry.keys import summary_key
from tests.e2e.conftest import upload, write_contract
from tests.e2e.test_power_cuts import SMALL, small_table

PREDICTIONS = 40
KEY = re.compile(r"captures/dt=([\d-]{10})/hour=(\d\d)/[^/]+\.jsonl\.gz")


def test_each_prediction_is_captured_and_summarised_once(project: Path, twin: Twin, there: EnvironmentClient) -> None:
    write_contract(project, **SMALL | {"model": "captured"})
    upload(there, "captured", "a.csv", small_table())
    begun = datetime.now(UTC)
    asked = [there.call("POST", "/models/captured/predict", {"rows": [{"x": n}]})["id"] for n in range(PREDICTIONS)]
    twin.settle(60)

    data, captured, files = there.cloud.data, Counter[str](), []
    for stored in data.list("captures/"):
        lines = [json.loads(line) for line in gzip.decompress(data.get(stored.key)).splitlines()]
        if ours := [line["id"] for line in lines if line["model"] == "captured"]:
            captured.update(ours)
            files.append(stored.key)
    assert captured == Counter(asked)
    assert len(files) < PREDICTIONS, "they are gathered"
    for key in files:
        dated = KEY.fullmatch(key)
        assert dated
        hour = datetime.fromisoformat(f"{dated[1]}T{dated[2]}:00:00+00:00")
        assert -60 < (begun - hour).total_seconds() < 3700
    summaries = [Summary.from_json(data.get(summary_key(key))) for key in files]
    counted = [(stretch, said) for summary in summaries for stretch, said in summary.traffic.items()]
    assert sum(said.requests for stretch, said in counted if stretch.model == "captured") == PREDICTIONS
