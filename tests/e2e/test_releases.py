"""On the twin, under traffic: a healthy challenger is promoted by itself, and one that is worse is rolled back.

Worse is one that fails, and one that is wrong more often, once what turned out came back.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from cli.examples import tables
from cli.faulty import mistaken, register
from cli.follow import Follower
from cli.reach import Reach
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


def release(there: Reach, number: int) -> Any:
    """Start its release, and follow it until it ends."""
    ReleaseStarter(there.cloud.registry, there.cloud.release_workflow, utc_now, PATIENCE).start(MODEL, number)
    follower = Follower(there.cloud, timeout_seconds=120)
    return follower._release(MODEL, number)


@pytest.fixture
def traffic(served: Reach) -> Iterator[Traffic]:
    with Traffic(served, MODEL, ever_new([ROW], "applicant")) as asking:
        yield asking


def test_a_healthy_challenger_is_promoted(served: Reach, traffic: Traffic) -> None:
    ended = release(served, register(served.cloud, MODEL, CANARY))
    assert ended.status is ReleaseStatus.PROMOTED, ended.reason
    route = served.cloud.registry.route(MODEL)
    assert route is not None
    assert (route.value.champion.version, route.value.challenger) == (2, None)
    assert (traffic.failed, traffic.messages) == (0, [])


def test_a_challenger_that_fails_is_rolled_back_and_nobody_notices(served: Reach, traffic: Traffic) -> None:
    before = served.cloud.registry.route(MODEL)
    assert before is not None
    ended = release(served, register(served.cloud, MODEL, CANARY, lambda _: b"no model at all"))
    assert ended.status is ReleaseStatus.ROLLED_BACK, ended.reason
    route = served.cloud.registry.route(MODEL)
    assert route is not None
    assert (route.value.champion.version, route.value.challenger) == (before.value.champion.version, None)
    assert (traffic.failed, traffic.messages) == (0, [])


def test_a_challenger_that_is_wrong_more_often_is_rolled_back_on_feedback(served: Reach) -> None:
    before = served.cloud.registry.route(MODEL)
    assert before is not None
    champion = before.value.champion.version
    said = served.call("POST", f"/models/{MODEL}/predict", {"rows": [ROW]})["predictions"][0]["prediction"]
    margins = {"error": None, "slow": None, "unsure": None, "wrong": 0.3}
    plan = {**CANARY, "margins": margins, "feedback_within": "2m"}
    rows = ever_new([{**ROW, "approved": said}], "applicant")
    with Traffic(served, MODEL, rows, target="approved") as traffic:
        ended = release(served, register(served.cloud, MODEL, plan, partial(mistaken, shift=0.0)))
    assert (ended.status, ended.reason[:13]) == (ReleaseStatus.ROLLED_BACK, "wrong: breach")
    assert ended.evidence["feedback"]["joined"] > 0
    route = served.cloud.registry.route(MODEL)
    assert route is not None
    assert (route.value.champion.version, route.value.challenger) == (champion, None)
    assert (traffic.failed, traffic.messages) == (0, [])
