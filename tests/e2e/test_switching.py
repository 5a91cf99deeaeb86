"""On the twin: who answers over HTTP follows the route, and every answer leaves its line in the log."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import pytest

from serin.aws.wiring import releaser_in
from serin.cli.examples import tables
from serin.client.environment import EnvironmentClient
from serin.errors import SerinError
from serin.local.twin import Twin
from serin.registry.records import Release
from serin.registry.registry import put
from serin.release.rollback import rollback
from serin.serving.rows.mask import short_hash
from tests.e2e.conftest import upload, write_contract
from tests.serving.asking import FEATURES, a_table
from tests.serving.test_forms import ROW, tensors

MODEL = "switching"


@pytest.fixture(scope="module")
def served(there: EnvironmentClient, project: object) -> EnvironmentClient:
    training = {"budget": "9 fits", "folds": 2, "candidates": ["linear"]}
    said = {"model": MODEL, "task": "classification", "target": "approved", "features": FEATURES, "gates": []}
    write_contract(project, **said, entity="applicant", training=training)  # type: ignore[arg-type]  # a Path
    table = a_table()[[*FEATURES, "approved"]].assign(applicant=[f"A{number}" for number in range(240)])
    steps = upload(there, MODEL, "rows.csv", tables.to_csv(table))
    assert isinstance(steps[-1], Release)
    return there


@pytest.fixture
def second(served: EnvironmentClient) -> int:
    """A second version, of the same files, that replaced the first."""
    registry, artifacts = served.cloud.registry, served.cloud.artifacts
    first, route = registry.version(MODEL, 1).value, registry.route(MODEL)
    assert route is not None
    for name in [*first.files, "manifest.json"]:
        artifacts.copy(f"{first.prefix}{name}", None, f"models/{MODEL}/2/{name}")
    champion = replace(route.value.champion, version=2, replaced=1)
    registry.save(
        put(replace(first, number=2), expected_revision=0),
        put(replace(route.value, champion=champion), expected_revision=route.revision),
    )
    return 2


def predict(there: EnvironmentClient, **row: Any) -> dict[str, Any]:
    return there.call("POST", f"/models/{MODEL}/predict", {"rows": [{**ROW, **row}]})


def test_a_warm_function_follows_the_route_and_leaves_lines(served: EnvironmentClient, twin: Twin, second: int) -> None:
    time.sleep(5)  # the age that a route may have, in real seconds
    answer = predict(served, applicant="A1")
    assert answer["version"] == second
    rollback(releaser_in(served.cloud, actor="a test"), MODEL, "to see it switch", version=second)
    time.sleep(5)
    assert predict(served, applicant="A1")["version"] == 1
    direct = served.call("POST", f"/v2/models/{MODEL}/versions/{second}/infer", {"inputs": tensors([ROW])})
    assert direct["model_version"] == str(second)
    with pytest.raises(SerinError, match="404"):
        served.call("GET", f"/v2/models/{MODEL}/versions/7/ready")
    lines = [json.loads(line) for line in twin.logs("serin-local-api") if line.startswith('{"serin":"capture"')]
    mine = [line for line in lines if line["model"] == MODEL]
    assert [(line["version"], line["arm"], line["unit"] == short_hash(f"{MODEL}\0A1")) for line in mine] == [
        (second, "champion", True),
        (1, "champion", True),
        (second, "direct", False),
    ]
    assert mine[0]["rows"] == [[41, "degree", True, 50.5]], "in the order of the contract, which is alphabetical here"
    assert mine[0]["id"] == answer["id"]
