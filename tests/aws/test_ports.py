"""Each port behaves the same over its fake and over AWS's own client, so that a fake cannot drift."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from threading import Lock
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.server import ThreadedMotoServer

from serin.aws.bucket import S3Objects
from serin.aws.hot_path import LeanReader
from serin.aws.table import DynamoAnswers, DynamoRows
from serin.errors import Conflict, NotFound, Unavailable
from serin.registry.ports import KeptAnswer, Objects, Rows, Write
from serin.registry.retry import TRIES as PATIENCE_TRIES
from tests.fakes import RESTLESS, FakeAnswers, FakeObjects, FakeRows

REGION = "eu-west-1"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield


@pytest.fixture(params=["fake", "dynamodb"])
def rows(request: pytest.FixtureRequest) -> Rows:
    if request.param == "fake":
        return FakeRows()
    request.getfixturevalue("aws")
    return DynamoRows(make_table(), "t")


def make_table() -> Any:
    client = boto3.client("dynamodb", region_name=REGION)
    client.create_table(
        TableName="t",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}, {"AttributeName": "SK", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("PK", "SK")],
    )
    return client


@pytest.fixture(params=["fake", "s3"])
def objects(request: pytest.FixtureRequest) -> Objects:
    if request.param == "fake":
        return FakeObjects()
    request.getfixturevalue("aws")
    return make_bucket(boto3.client("s3", region_name=REGION))


def make_bucket(client: Any) -> S3Objects:
    client.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": REGION})
    client.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
    return S3Objects(client, "bucket")


def test_a_row_is_read_as_it_was_written(rows: Rows) -> None:
    body = {"n": 0.1, "list": [1, None, "é"], "nested": {"a": True}}
    rows.write([Write("P", "A#1", body, 0)])
    row = rows.get("P", "A#1")
    assert row is not None
    assert (row.body, row.revision) == (body, 1)
    assert rows.get("P", "A#2") is None


def test_rows_are_listed_by_prefix_in_order(rows: Rows) -> None:
    for name in ("B#1", "A#2", "A#10", "A#1"):
        rows.write([Write("P", name, {}, 0)])
    rows.write([Write("Q", "A#9", {}, 0)])
    assert [row.sort for row in rows.list("P", "A#")] == ["A#1", "A#10", "A#2"]


def test_the_last_row_is_the_last_of_those_that_are_listed(rows: Rows) -> None:
    assert rows.last("P", "A#") is None
    for name in ("B#1", "A#2", "A#10"):
        rows.write([Write("P", name, {"is": name}, 0)])
    rows.write([Write("Q", "A#9", {}, 0)])
    assert rows.last("P", "A#") == rows.list("P", "A#")[-1] == rows.get("P", "A#2")


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_number_that_is_not_finite_is_no_part_of_a_row(rows: Rows, number: float) -> None:
    with pytest.raises(ValueError, match="Out of range float values"):
        rows.write([Write("P", "R#1", {}, 0), Write("P", "R#2", {"deep": [{"score": number}]}, 0)])
    assert rows.list("P", "R#") == []


def test_who_writes_what_was_written_just_so_meanwhile_has_it_written(rows: Rows) -> None:
    both = [Write("P", "R#1", {"n": 1}, 0), Write("P", "R#2", {"n": 2}, 0)]
    for writes in (both[:1], both[:1]):
        rows.write(writes)
    with pytest.raises(Conflict):
        rows.write(both)
    assert rows.get("P", "R#2") is None
    for _ in range(2):
        rows.write([Write("P", "R#1", {"n": 3}, 1), Write("P", "R#2", {"n": 2}, 0)])
    assert [(row.body, row.revision) for row in rows.list("P", "R#")] == [({"n": 3}, 2), ({"n": 2}, 1)]
    with pytest.raises(Conflict):
        rows.write([Write("P", "R#1", {"n": 3}, 0)])


@pytest.mark.parametrize("stale", [0, 2, 7])
def test_whoever_holds_another_revision_writes_nothing(rows: Rows, stale: int) -> None:
    rows.write([Write("P", "A", {"by": "first"}, 0)])
    with pytest.raises(Conflict):
        rows.write([Write("P", "A", {"by": "stale"}, stale)])
    row = rows.get("P", "A")
    assert row is not None
    assert row.body == {"by": "first"}


def test_writes_are_all_or_none(rows: Rows) -> None:
    rows.write([Write("P", "A", {}, 0)])
    with pytest.raises(Conflict):
        rows.write([Write("P", "B", {}, 0), Write("P", "A", {"new": 1}, 0)])
    assert rows.get("P", "B") is None
    rows.write([Write("P", "B", {}, 0), Write("P", "A", {"new": 1}, 1)])
    assert [row.revision for name in ("A", "B") for row in rows.list("P", name)] == [2, 1]


def test_a_write_whose_answer_got_lost_succeeds_when_it_comes_again(aws: None) -> None:
    """botocore tries again when an answer is lost; the second try meets the first one's row."""
    client = make_table()
    lost: list[str] = []

    def lose_the_first_answer(**_: Any) -> None:
        if not lost:
            lost.append("answer")
            client.meta.events.unregister("after-call.dynamodb.PutItem", lose_the_first_answer)
            DynamoRows(client, "t").write([Write("P", "A", {"x": 1}, 0)])

    client.meta.events.register("before-call.dynamodb.PutItem", lose_the_first_answer)
    DynamoRows(client, "t").write([Write("P", "A", {"x": 1}, 0)])
    with pytest.raises(Conflict):
        DynamoRows(client, "t").write([Write("P", "A", {"x": 2}, 0)])
    assert lost


def test_an_object_is_read_by_version(objects: Objects) -> None:
    first = objects.put("a b+é/%2F", b"one")
    second = objects.put("a b+é/%2F", b"two")
    assert first != second
    assert (objects.get("a b+é/%2F", first), objects.get("a b+é/%2F")) == (b"one", b"two")
    assert objects.size("a b+é/%2F") == 3


def test_who_wrote_an_object_is_noted_with_its_version(objects: Objects) -> None:
    ann, nobody = objects.put("x", b"1", by="arn:aws:iam::1:user/ann"), objects.put("x", b"2")
    assert (objects.author("x", ann), objects.author("x", nobody)) == ("arn:aws:iam::1:user/ann", "")


def test_what_is_not_there_is_not_found(objects: Objects) -> None:
    assert not objects.exists("x")
    for look in (objects.get, objects.size):
        with pytest.raises(NotFound):
            look("x")
    with pytest.raises(NotFound):
        objects.copy("x", None, "y")
    with pytest.raises(NotFound):
        objects.author("x", objects.put("y", b""))


def test_what_is_put_once_never_changes(objects: Objects) -> None:
    objects.put_once("x", b"one")
    objects.put_once("x", b"one")
    with pytest.raises(Conflict):
        objects.put_once("x", b"two")
    assert objects.get("x") == b"one"


def test_a_copy_is_of_the_version_named(objects: Objects) -> None:
    first = objects.put("x", b"one")
    objects.put("x", b"two")
    objects.copy("x", first, "y")
    assert objects.get("y") == b"one"


def test_objects_are_listed_by_prefix_at_their_latest_version(objects: Objects) -> None:
    objects.put("a/1", b"old")
    latest = objects.put("a/1", b"newer")
    objects.put("b/1", b"")
    assert [(item.key, item.version, item.size) for item in objects.list("a/")] == [("a/1", latest, 5)]


def test_erased_rows_are_those_that_would_be_listed(rows: Rows) -> None:
    for number in range(60):  # more than one call deletes
        rows.write([Write("P", f"A#{number}", {}, 0)])
    rows.write([Write("P", "B", {}, 0), Write("Q", "A#1", {}, 0)])
    for _ in range(2):
        rows.erase("P", "A#")
        assert [row.sort for row in (*rows.list("P", "A"), *rows.list("P", "B"), *rows.list("Q", "A"))] == ["B", "A#1"]
    rows.write([Write("P", "A#1", {}, 0)])


def test_erased_objects_are_gone_in_every_version(objects: Objects) -> None:
    for number in range(3):
        objects.put("a/1", b"%d" % number)
    objects.put("a/2", b"")
    objects.put("ab", b"beside it")
    assert objects.erase("a/") == 4
    assert [item.key for item in objects.all_versions("")] == ["ab"]
    assert (objects.erase("a/"), objects.exists("a/1")) == (0, False)


def test_more_versions_than_a_page_holds_are_erased_and_what_was_deleted_too(aws: None) -> None:
    client = boto3.client("s3", region_name=REGION)
    bucket = make_bucket(client)
    for number in range(1005):
        client.put_object(Bucket="bucket", Key=f"a/{number}", Body=b"")
    client.delete_object(Bucket="bucket", Key="a/1")
    assert bucket.erase("a/") == 1005
    listed = client.list_object_versions(Bucket="bucket")
    assert (listed.get("Versions", []), listed.get("DeleteMarkers", [])) == ([], [])
    client.delete_bucket(Bucket="bucket")


def test_answers_of_one_model_are_forgotten(aws: None) -> None:
    client = make_table()
    answers = DynamoAnswers(client, "t", RESTLESS)
    kept = [KeptAnswer(f"p{number}", "2026", 2_000_000_000, {}) for number in range(30)]
    answers.keep("loans", kept)
    answers.keep("loans2", kept[:1])
    answers.forget("loans")
    assert [item["PK"]["S"] for item in client.scan(TableName="t")["Items"]] == ["ENTITY#loans2#p0"]


@pytest.mark.parametrize("kind", ["fake", "dynamodb"])
def test_an_answer_is_kept_until_a_later_one_comes(request: pytest.FixtureRequest, kind: str) -> None:
    older, newer = (KeptAnswer("ann", at, 2_000_000_000, {"score": at}) for at in ("2026-01-01 0", "2026-01-01 1"))
    if kind == "fake":
        fake = FakeAnswers()
        fake.keep("loans", [newer])
        fake.keep("loans", [older])
        assert fake.found["ann"] == newer
        return
    request.getfixturevalue("aws")
    client = make_table()
    DynamoAnswers(client, "t", RESTLESS).keep("loans", [newer])
    DynamoAnswers(client, "t", RESTLESS).keep("loans", [older])
    item = client.get_item(TableName="t", Key={"PK": {"S": "ENTITY#loans#ann"}, "SK": {"S": "ANSWER"}})["Item"]
    assert (item["body"]["S"], item["expires"]["N"]) == ('{"score":"2026-01-01 1"}', "2000000000")


class Throttling:
    """A table's client that refuses so many writes; the first of them are those of every writer."""

    def __init__(self, refusals: int) -> None:
        self.exceptions = SimpleNamespace(ConditionalCheckFailedException=KeyError)
        self._left, self._lock = refusals, Lock()
        self.written: list[str] = []

    def put_item(self, **asked: Any) -> None:
        with self._lock:
            self._left -= 1
            if self._left >= 0:
                raise ClientError({"Error": {"Code": "ThrottlingException"}}, "PutItem")
            self.written.append(asked["Item"]["PK"]["S"])


@pytest.mark.parametrize("refusals", [0, 5, PATIENCE_TRIES - 1])
def test_answers_are_kept_though_the_table_throttles(refusals: int) -> None:
    client = Throttling(refusals)
    kept = [KeptAnswer(f"p{number}", "2026-01-01 0", 2_000_000_000, {}) for number in range(20)]
    DynamoAnswers(client, "t", RESTLESS).keep("loans", kept)
    assert sorted(client.written) == sorted(f"ENTITY#loans#p{number}" for number in range(20))


def test_a_table_that_goes_on_throttling_ends_the_part_soon() -> None:
    client = Throttling(10**9)
    with pytest.raises(Unavailable):
        DynamoAnswers(client, "t", RESTLESS).keep("loans", [KeptAnswer("p", "2026", 2_000_000_000, {})])
    assert 10**9 - client._left == PATIENCE_TRIES


def test_the_endpoint_reads_an_answer_as_it_was_kept(aws: None) -> None:
    kept = KeptAnswer("ann é/#", "2026-01-01 0", 2_000_000_000, {"score": 0.1})
    too_long = replace(kept, entity="x" * 2048)
    DynamoAnswers(make_table(), "t", RESTLESS).keep("loans", [too_long, kept])
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        there = {"TABLE": "t", "ARTIFACTS_BUCKET": "b", "AWS_REGION": REGION}
        reader = LeanReader({**there, "AWS_ENDPOINT_URL": f"http://{host}:{port}"})
        assert reader.kept_answer("loans", kept.entity) == kept
        assert reader.kept_answer("loans", "bob") is None
        assert reader.kept_answer("loans", too_long.entity) is None, "no key is so long"
    finally:
        server.stop()


def test_the_versions_of_one_object_are_listed_newest_first(objects: Objects) -> None:
    stored = [objects.put("a", content) for content in (b"1", b"22", b"333")]
    objects.put("ab", b"")
    assert [(item.key, item.version, item.size) for item in objects.list_versions("a")] == [
        ("a", stored[2], 3),
        ("a", stored[1], 2),
        ("a", stored[0], 1),
    ]
    assert not any(objects.list_versions("b"))


def test_all_versions_are_listed_by_key_from_a_key_on(objects: Objects) -> None:
    for key in ("p/b", "p/a", "p/b", "p/c", "q/a"):
        objects.put(key, b"x")
    assert [item.key for item in objects.all_versions("p/")] == ["p/a", "p/b", "p/b", "p/c"]
    assert [item.key for item in objects.all_versions("p/", after="p/a")] == ["p/b", "p/b", "p/c"]
    assert [item.key for item in objects.all_versions("p/", after="p/b")] == ["p/c"]
    assert not [*objects.all_versions("p/", after="p/c")]


def test_of_a_deleted_object_the_versions_are_there_still(objects: Objects) -> None:
    version = objects.put("a", b"1")
    if isinstance(objects, FakeObjects):
        objects.delete("a")
    else:
        boto3.client("s3", region_name=REGION).delete_object(Bucket="bucket", Key="a")
    assert not objects.exists("a")
    assert not any(objects.list("a"))
    with pytest.raises(NotFound):
        objects.get("a")
    assert objects.get("a", version) == b"1"
    assert [item.version for item in objects.list_versions("a")] == [version]
    objects.put("a", b"2")
    assert (objects.exists("a"), objects.get("a")) == (True, b"2")
