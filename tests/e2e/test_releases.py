"""On the twin, under traffic: a healthy challenger is promoted by itself, and one that is worse is rolled back.

Worse is one that fails, and one that is wrong more often, once what turned out came back.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from cli.examples import tables
from cli.follow import Follower
from cli.reach import Reach
from local.twin import Twin
from serin.aws.cloud import PATIENCE, utc_now
from serin.contract.model import Release as Section
from serin.monitoring.captures import Capture, read_lines
from serin.registry.ids import sha256
from serin.registry.records import ReleaseStatus
from serin.registry.registry import put
from serin.release.start import ReleaseStarter
from tests.e2e.conftest import upload, write_contract
from tests.serving.asking import FEATURES, a_table, with_scores
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


class Traffic:
    """Asks for predictions for ever new entities, from a thread.

    truth: what turns out of each of them, as is said at once; None where nothing does.
    """

    def __init__(self, there: Reach) -> None:
        self.there, self.asked, self.failed = there, 0, 0
        self.truth: Any = None
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> Traffic:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._is_over.is_set():
            self.asked += 1
            row = {**ROW, "applicant": f"N{time.time_ns()}"}
            try:
                answer = self.there.call("POST", f"/models/{MODEL}/predict", {"rows": [row]})["predictions"][0]
                if self.truth is not None:
                    item = {"id": answer["id"], "truth": self.truth}
                    self.there.call("POST", f"/models/{MODEL}/feedback", {"feedback": [item]})
            except Exception:
                self.failed += 1
            time.sleep(0.02)


@pytest.fixture(scope="module")
def served(there: Reach, project: object) -> Reach:
    training = {"budget": "9 fits", "folds": 2, "candidates": ["linear"]}
    said = {"model": MODEL, "task": "classification", "target": "approved", "features": FEATURES, "gates": []}
    write_contract(project, **said, entity="applicant", training=training)  # type: ignore[arg-type]  # a Path
    table = a_table()[[*FEATURES, "approved"]].assign(applicant=[f"A{number}" for number in range(240)])
    upload(there, MODEL, "rows.csv", tables.to_csv(table))
    return there


def register(there: Reach, number: int, *, model: bytes | None = None, **section: Any) -> None:
    """Register another version with the first one's files, under a plan of canary; with another model, where given.

    section: what the contract says of the release otherwise.
    """
    registry, artifacts = there.cloud.registry, there.cloud.artifacts
    first = registry.version(MODEL, 1).value
    run = registry.run(MODEL, first.run).value
    contract = {**run.contract, "release": Section.model_validate(CANARY | section).model_dump(mode="json")}
    files = {name: artifacts.get(first.prefix + name) for name in first.files}
    files |= {"model.onnx": model} if model else {}
    digests = {name: sha256(content) for name, content in files.items()}
    manifest = json.dumps({"files": digests}).encode()
    other = replace(
        first, number=number, run=f"run-{number}", files=digests, manifest_sha256=sha256(manifest), served=False
    )
    for name, content in {**files, "manifest.json": manifest}.items():
        artifacts.put_once(other.prefix + name, content)
    registry.save(
        put(other, expected_revision=0), put(replace(run, id=other.run, contract=contract), expected_revision=0)
    )


@pytest.fixture
def events(there: Reach) -> Iterator[Callable[[], list[dict[str, Any]]]]:
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


def release(there: Reach, number: int) -> Any:
    """Start its release, and follow it until it ends."""
    ReleaseStarter(there.cloud.registry, there.cloud.release_workflow, utc_now, PATIENCE).start(MODEL, number)
    follower = Follower(there.cloud, timeout_seconds=120)
    return follower._release(MODEL, number)


@pytest.fixture
def traffic(served: Reach) -> Iterator[Traffic]:
    with Traffic(served) as asking:
        yield asking


def test_a_healthy_challenger_is_promoted(
    served: Reach, traffic: Traffic, events: Callable[[], list[dict[str, Any]]]
) -> None:
    register(served, 2)
    ended = release(served, 2)
    assert ended.status is ReleaseStatus.PROMOTED, ended.reason
    route = served.cloud.registry.route(MODEL)
    assert route is not None
    assert (route.value.champion.version, route.value.challenger) == (2, None)
    assert traffic.failed == 0
    told = events()
    assert {event["detail-type"] for event in told} == {"Release Changed"}
    details = [event["detail"] for event in told]
    assert [(said["move"], said["status"], said["champion"], said["weight"]) for said in details] == [
        ("start", "live", 1, 0.5),
        ("promote", "promoted", 2, 0.0),
    ]


def test_a_challenger_that_fails_is_rolled_back_and_nobody_notices(served: Reach, traffic: Traffic, twin: Twin) -> None:
    before = served.cloud.registry.route(MODEL)
    assert before is not None
    register(served, 3, model=b"no model at all")
    ended = release(served, 3)
    assert ended.status is ReleaseStatus.ROLLED_BACK, ended.reason
    route = served.cloud.registry.route(MODEL)
    assert route is not None
    assert (route.value.champion.version, route.value.challenger) == (before.value.champion.version, None)
    assert traffic.failed == 0
    alarms = [
        turn["event"]["detail"]["alarmName"]
        for turn in twin.invocations("serin-local-advance_release")
        if turn["event"].get("detail-type") == "CloudWatch Alarm State Change"
    ]
    assert "serin-local-challenger-fault" in alarms, "it rang, and a turn was taken beside those of the workflow"
    moves = [entry.move for entry in served.cloud.registry.history(MODEL) if entry.release == ended.id]
    assert moves == ["start", "roll back"]


def test_a_challenger_that_is_wrong_more_often_is_rolled_back_on_feedback(served: Reach, traffic: Traffic) -> None:
    before = served.cloud.registry.route(MODEL)
    assert before is not None
    number = before.value.champion.version
    traffic.truth = served.call("POST", f"/models/{MODEL}/predict", {"rows": [ROW]})["predictions"][0]["prediction"]
    turned = with_scores(served.cloud.artifacts.get(f"models/{MODEL}/{number}/model.onnx"), "turned")
    margins = {"error": None, "slow": None, "unsure": None, "wrong": 0.3}
    register(served, 4, model=turned, margins=margins, feedback_within="2m")
    ended = release(served, 4)
    assert (ended.status, ended.reason[:13]) == (ReleaseStatus.ROLLED_BACK, "wrong: breach")
    assert ended.evidence["feedback"]["joined"] > 0
    route = served.cloud.registry.route(MODEL)
    assert route is not None
    assert (route.value.champion.version, route.value.challenger) == (number, None)
    assert traffic.failed == 0


def is_captured(there: Reach, version: int) -> bool:
    """Tell whether captures of what a version answered have arrived."""
    files = (there.cloud.data.get(stored.key) for stored in there.cloud.data.list("captures/"))
    captures = (capture for content in files for capture in read_lines(content) if isinstance(capture, Capture))
    return any((capture.model, capture.version) == (MODEL, version) for capture in captures)


def test_a_challenger_that_fails_on_captured_requests_is_refused_before_anybody_meets_it(
    served: Reach, traffic: Traffic
) -> None:
    before = served.cloud.registry.route(MODEL)
    assert before is not None
    while not is_captured(served, before.value.champion.version):
        time.sleep(0.2)
    register(served, 5, model=b"another that is no model", replay="24h")
    ended = release(served, 5)
    assert ended.status is ReleaseStatus.REFUSED, ended.reason
    assert ended.evidence["replay"]["faults"] == ended.evidence["replay"]["compared"] > 0
    assert not served.cloud.registry.version(MODEL, 5).value.served
    assert served.cloud.registry.route(MODEL) == before
    assert traffic.failed == 0
