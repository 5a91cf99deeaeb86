"""On the twin, under traffic: a healthy challenger is promoted by itself, and a drill ends as it must.

Lost is a challenger that cannot be loaded; worse is one that is wrong more often, once what turned out came back.
"""

from __future__ import annotations

import json

import pytest

from cli import project
from cli.drill import Drill
from cli.examples import tables
from cli.faulty import register
from cli.follow import Follower
from cli.injections import Injection, injections
from cli.reach import Reach
from cli.show import Output
from cli.traffic import Traffic, ever_new
from serin.aws.cloud import PATIENCE, utc_now
from serin.registry.records import ReleaseStatus
from serin.release.start import ReleaseStarter
from tests.e2e.conftest import upload, write_contract
from tests.serving.asking import FEATURES, a_table
from tests.serving.test_forms import ROW

MODEL = "releasing"
# A minute of a plan is a second here.
CANARY = {
    "strategy": "canary",
    "steps": [0.5],
    "bake": "8m",
    "min_requests": 20,
    "margins": {"error": 0.3, "slow": None, "unsure": None},
    "limit": "3h",
}


@pytest.fixture(scope="module")
def served(there: Reach, project: object) -> Reach:
    training = {"budget": "9 fits", "folds": 2, "candidates": ["linear"]}
    said = {"model": MODEL, "task": "classification", "target": "approved", "features": FEATURES, "gates": []}
    write_contract(project, **said, entity="applicant", training=training)  # type: ignore[arg-type]  # a Path
    table = a_table()[[*FEATURES, "approved"]].assign(applicant=[f"A{number}" for number in range(240)])
    upload(there, MODEL, "rows.csv", tables.to_csv(table))
    return there


def test_a_healthy_challenger_is_promoted(served: Reach) -> None:
    number, cloud = register(served.cloud, MODEL, CANARY), served.cloud
    with Traffic(served, MODEL, ever_new([ROW], "applicant")) as traffic:
        ReleaseStarter(cloud.registry, cloud.release_workflow, utc_now, PATIENCE).start(MODEL, number)
        ended = Follower(cloud, timeout_seconds=120).release(MODEL, number)
    assert ended.status is ReleaseStatus.PROMOTED, ended.reason
    route = served.cloud.registry.route(MODEL)
    assert route is not None
    assert (route.value.champion.version, route.value.challenger) == (2, None)
    assert (traffic.failed, traffic.messages) == (0, [])


def test_a_drill_passes(served: Reach) -> None:
    drill = Drill(Output(), served, project.contracts().load(MODEL))
    answer = served.call("POST", f"/models/{MODEL}/predict", {"rows": [ROW]})
    drill.rows = [{**ROW, "approved": answer["predictions"][0]["prediction"]}]
    *_, worse, _, silent = injections(drill.drifting, spread=drill.spread)
    lost = Injection("is lost", "it cannot be loaded", breaches=("error",), edit=lambda _: b"no model", answers=False)
    done = drill.inject([lost, worse, silent])
    assert [drilled.objections for drilled in done] == [[], [], []]
    kept = served.cloud.data.get(f"releases/{MODEL}/{done[1].outcome.release}/drill.json")
    assert json.loads(kept)["passed"]
