"""On the twin, under traffic: a healthy challenger is promoted by itself, and a drill ends as it must.

Lost is a challenger that cannot be loaded; worse is one that is wrong more often, once what turned out came back.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from serin.aws.wiring import releaser_in
from serin.cli.drill import Drill
from serin.cli.examples import tables
from serin.cli.faulty import register
from serin.cli.injections import Injection, injections
from serin.cli.show import Output
from serin.cli.traffic import Traffic, ever_new
from serin.client.environment import EnvironmentClient
from serin.client.follow import Follower
from serin.local.twin import Twin
from serin.monitoring.captures import read_lines
from serin.registry.records import Release, ReleaseStatus
from serin.serving.lines import Capture
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
def served(there: EnvironmentClient, project: object) -> EnvironmentClient:
    training = {"budget": "9 fits", "folds": 2, "candidates": ["linear"]}
    said = {"model": MODEL, "task": "classification", "target": "approved", "features": FEATURES, "gates": []}
    write_contract(project, **said, entity="applicant", training=training)  # type: ignore[arg-type]  # a Path
    table = a_table()[[*FEATURES, "approved"]].assign(applicant=[f"A{number}" for number in range(240)])
    upload(there, MODEL, "rows.csv", tables.to_csv(table))
    return there


@pytest.fixture
def events(there: EnvironmentClient) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """What Serin says of the model on the event bus, as a rule of somebody else's receives it."""
    sqs, bus = there.session.client("sqs"), there.session.client("events")
    url = sqs.create_queue(QueueName="listens")["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    bus.put_rule(Name="listens", EventPattern=json.dumps({"source": ["serin"], "detail": {"model": [MODEL]}}))
    bus.put_targets(Rule="listens", Targets=[{"Id": "queue", "Arn": queue}])

    def received() -> list[dict[str, Any]]:
        found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(message["Body"]) for message in found]

    yield received
    bus.remove_targets(Rule="listens", Ids=["queue"])
    bus.delete_rule(Name="listens")
    sqs.delete_queue(QueueUrl=url)


def release(there: EnvironmentClient, number: int) -> Release:
    """Start its release, and follow it until it ends."""
    releaser_in(there.cloud, actor="a test").starter.start(MODEL, number)
    return Follower(there.cloud, timeout_seconds=120).release(MODEL, number)


def test_a_healthy_challenger_is_promoted(
    served: EnvironmentClient, events: Callable[[], list[dict[str, Any]]]
) -> None:
    number = register(served.cloud, MODEL, CANARY)
    with Traffic(served, MODEL, ever_new([ROW], "applicant")) as traffic:
        ended = release(served, number)
    assert ended.status is ReleaseStatus.PROMOTED, ended.reason
    route = served.cloud.registry.route(MODEL)
    assert route is not None
    assert (route.value.champion.version, route.value.challenger) == (2, None)
    assert (traffic.failed, traffic.messages) == (0, [])
    told = events()
    assert {event["detail-type"] for event in told} == {"Release Changed"}
    details = [event["detail"] for event in told]
    assert [(said["move"], said["status"], said["champion"], said["weight"]) for said in details] == [
        ("live", "live", 1, 0.0),
        ("start", "live", 1, 0.5),
        ("promote", "promoted", 2, 0.0),
    ]


def test_a_drill_passes(served: EnvironmentClient, twin: Twin) -> None:
    drill = Drill(Output(), served, served.project.contracts.load(MODEL))
    answer = served.call("POST", f"/models/{MODEL}/predict", {"rows": [ROW]})
    drill.rows = [{**ROW, "approved": answer["predictions"][0]["prediction"]}]
    *_, worse, _, silent = injections(drill.drifting, spread=drill.spread)
    lost = Injection("is lost", "it cannot be loaded", breaches=("error",), edit=lambda _: b"no model", answers=False)
    done = drill.inject([lost, worse, silent])
    assert [drilled.objections for drilled in done] == [[], [], []]
    kept = served.cloud.data.get(f"releases/{MODEL}/{done[1].outcome.release}/drill.json")
    assert json.loads(kept)["passed"]
    alarms = [
        turn["event"]["detail"]["alarmName"]
        for turn in twin.invocations("serin-local-advance_release")
        if turn["event"].get("detail-type") == "CloudWatch Alarm State Change"
    ]
    assert "serin-local-challenger-fault" in alarms, "it rang, and a turn was taken beside those of the workflow"
    moves = [entry.move for entry in served.cloud.registry.history(MODEL) if entry.release == done[0].outcome.release]
    assert moves == ["live", "start", "roll back"]


def is_captured(there: EnvironmentClient, version: int) -> bool:
    """Tell whether captures of what a version answered as champion have arrived."""
    files = (there.cloud.data.get(stored.key) for stored in there.cloud.data.list("captures/"))
    captures = (capture for content in files for capture in read_lines(content) if isinstance(capture, Capture))
    return any((each.model, each.version, each.arm) == (MODEL, version, "champion") for each in captures)


def test_a_challenger_that_fails_on_captured_requests_is_refused_before_anybody_meets_it(
    served: EnvironmentClient,
) -> None:
    before = served.cloud.registry.route(MODEL)
    assert before is not None
    number = register(served.cloud, MODEL, {**CANARY, "replay": "24h"}, lambda _: b"another that is no model")
    with Traffic(served, MODEL, ever_new([ROW], "applicant")) as traffic:
        while not is_captured(served, before.value.champion.version):
            time.sleep(0.2)
        ended = release(served, number)
    assert ended.status is ReleaseStatus.REFUSED, ended.reason
    assert ended.evidence["replay"]["faults"] == ended.evidence["replay"]["compared"] > 0
    assert not served.cloud.registry.version(MODEL, number).value.served
    assert served.cloud.registry.route(MODEL) == before
    assert (traffic.failed, traffic.messages) == (0, [])
