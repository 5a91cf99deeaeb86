"""Which lines become which objects, when, and what is lost?"""

import gzip
import json
import time
import uuid
from contextlib import nullcontext
from datetime import UTC, datetime

import boto3
import pytest
from moto import mock_aws
from moto.s3.models import s3_backends

from serin.local.errors import UnsupportedResource
from serin.local.firehose import Firehose, Stream, fill_in, parse_pattern
from serin.local.schedules import Clock

PREFIX = "heard/dt=!{timestamp:yyyy-MM-dd}/hour=!{timestamp:HH}/"
LATE = datetime(2026, 3, 4, 23, 59, 59, tzinfo=UTC)


# -- the rules, as tables -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "line", "is_kept"),
    [
        ("", "START RequestId: 1", True),
        ('{ $.kind = "kept" }', '{"kind":"kept","n":1}', True),
        ('{$.kind="kept"}', '{"n": 1, "kind": "kept"}', True),
        ('{ $.kind = "kept" }', '{"kind":"other"}', False),
        ('{ $.kind = "kept" }', '{"said":{"kind":"kept"}}', False),
        ('{ $.said.kind = "kept" }', '{"said":{"kind":"kept"}}', True),
        ('{ $.said.kind = "kept" }', '{"said":"kept"}', False),
        ('{ $.kind = "kept" }', 'said {"kind":"kept"}', False),
        ('{ $.kind = "kept" }', '{"kind":"kept"', False),
        ('{ $.kind = "kept" }', "[" * 100_000, False),
        ('{ $.kind = "kept" }', '{"kind":' * 100_000, False),
        ('{ $.kind = "kept" }', "REPORT RequestId: 1", False),
        ('{ ($.kind = "kept") || ($.kind = "held") }', '{"kind":"kept"}', True),
        ('{ ($.kind = "kept") || ($.kind = "held") }', '{"kind":"held"}', True),
        ('{ ($.kind = "kept") || ($.said = "held") }', '{"kind":"held"}', False),
    ],
)
def test_which_lines_a_pattern_keeps(pattern, line, is_kept):
    assert parse_pattern(pattern)(line) is is_kept


@pytest.mark.parametrize(
    "pattern",
    [
        *("ERROR", "[a, b]", '{ $.kind = "ke*" }', "{ $.n > 1 }", '{ $.a = "b" && $.c = "d" }'),
        *('{ ($.a = "b") && ($.c = "d") }', '{ ($.a = "b") || ($.n > 1) }', '{ $.a = "b" || $.c = "d" }'),
    ],
)
def test_a_pattern_that_is_not_understood_is_named(pattern):
    with pytest.raises(UnsupportedResource, match="filter patterns like"):
        parse_pattern(pattern)


@pytest.mark.parametrize(
    ("prefix", "filled"),
    [
        (PREFIX, "heard/dt=2026-03-04/hour=23/"),
        ("", "2026/03/04/23/"),
        ("plain/", "plain/2026/03/04/23/"),
        ("failed/!{firehose:error-output-type}/!{timestamp:yyyy}/", "failed/processing-failed/2026/"),
    ],
)
def test_how_a_prefix_is_filled_in(prefix, filled):
    assert fill_in(prefix, arrived=LATE, error="processing-failed") == filled


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"Prefix": "!{timestamp:EEE}/"}, r"!\{timestamp:EEE\}"),
        ({"Prefix": "!{partitionKeyFromQuery:model}/"}, "partitionKeyFromQuery"),
        ({"CompressionFormat": "Snappy"}, "Snappy"),
        ({"ProcessingConfiguration": {"Enabled": True, "Processors": [{"Type": "Lambda"}]}}, "Lambda"),
        ({"DynamicPartitioningConfiguration": {"Enabled": True}}, "DynamicPartitioning"),
    ],
)
def test_what_a_stream_asks_for_in_vain_is_named(said, reason):
    with pytest.raises(UnsupportedResource, match=reason):
        Stream.read("pipe", {"BucketARN": "arn:aws:s3:::inbox", **said})


# -- gathering, with a bucket and no twin -------------------------------------------------------------


@pytest.fixture
def s3():
    with mock_aws():
        yield boto3.client("s3", region_name="us-east-1")


def a_stream(**said):
    hints = {"SizeInMBs": 1, "IntervalInSeconds": 3600}
    return Stream.read("pipe", {"BucketARN": "arn:aws:s3:::inbox", "BufferingHints": hints, **said})


def a_firehose(rate=1.0):
    return Firehose(clock=Clock(rate), account="123456789012", region="us-east-1", writing=nullcontext())


def contents(s3, prefix=""):
    found = s3.list_objects_v2(Bucket="inbox", Prefix=prefix).get("Contents", [])
    return [s3.get_object(Bucket="inbox", Key=each["Key"])["Body"].read() for each in found]


def metric(name):
    answer = boto3.client("cloudwatch", region_name="us-east-1").get_metric_statistics(
        Namespace="AWS/Firehose",
        MetricName=name,
        Dimensions=[{"Name": "DeliveryStreamName", "Value": "pipe"}],
        StartTime=datetime(2020, 1, 1),
        EndTime=datetime(2100, 1, 1),
        Period=10**10,
        Statistics=["Sum"],
    )
    return sum(point["Sum"] for point in answer["Datapoints"])


def test_records_are_delivered_when_they_are_many(s3):
    s3.create_bucket(Bucket="inbox")
    firehose = a_firehose()
    firehose.accept(a_stream(), [b"a" * 2**19])
    firehose.deliver()
    assert contents(s3) == []

    firehose.accept(a_stream(), [b"b" * 2**19])
    firehose.deliver()
    assert contents(s3) == [b"a" * 2**19 + b"b" * 2**19]
    assert firehose.waiting() == {}


def test_records_are_delivered_when_they_are_old_by_the_twins_clock(s3):
    s3.create_bucket(Bucket="inbox")
    firehose = a_firehose(rate=3600 * 1000)  # an hour takes a millisecond
    firehose.accept(a_stream(), [b"a"])
    time.sleep(0.002)
    firehose.deliver()
    assert contents(s3) == [b"a"]


def test_what_cannot_be_delivered_waits_and_is_then_delivered_in_its_order(s3):
    firehose = a_firehose(rate=3600 * 1000)
    firehose.accept(a_stream(), [b"first ", b"second "])
    firehose.deliver(early=True)
    firehose.accept(a_stream(), [b"third"])
    assert (firehose.waiting(), metric("DeliveryToS3.Records")) == ({"pipe": 3}, 0)

    s3.create_bucket(Bucket="inbox")
    time.sleep(0.002)
    firehose.deliver()
    assert contents(s3) == [b"first second third"]
    assert (firehose.waiting(), metric("DeliveryToS3.Records")) == ({}, 3)


def test_what_comes_while_a_delivery_fails_is_delivered_after_it(s3, monkeypatch):
    firehose = a_firehose(rate=3600 * 1000)

    def fail(*_):
        firehose.accept(a_stream(), [b"second"])
        raise OSError("no such bucket")

    firehose.accept(a_stream(), [b"first "])
    with monkeypatch.context() as patch:
        patch.setattr(s3_backends["123456789012"]["aws"], "put_object", fail)
        firehose.deliver(early=True)
    assert firehose.waiting() == {"pipe": 2}

    s3.create_bucket(Bucket="inbox")
    time.sleep(0.002)
    firehose.deliver()
    assert contents(s3) == [b"first second"]


def test_what_waits_too_long_is_dropped_and_counted(s3):
    firehose = a_firehose()
    for _ in range(6):
        firehose.accept(a_stream(), [b"x" * 2**20])
    assert firehose.waiting() == {"pipe": 4}
    assert metric("ThrottledRecords") == 2


def test_what_cannot_be_read_is_set_aside_with_the_reason(s3):
    s3.create_bucket(Bucket="inbox")
    stream = a_stream(
        ErrorOutputPrefix="failed/!{firehose:error-output-type}/",
        ProcessingConfiguration={"Enabled": True, "Processors": [{"Type": "Decompression"}]},
    )
    firehose = a_firehose()
    firehose.accept(stream, [b"not gzip", gzip.compress(b"fine")])
    firehose.deliver(early=True)
    (failed,) = contents(s3, "failed/processing-failed/")
    assert json.loads(failed)["errorCode"] == "BadGzipFile"
    assert len(contents(s3)) == 2


# -- the whole way, in the twin -----------------------------------------------------------------------


@pytest.fixture
def word():
    """A word that no other test says."""
    return uuid.uuid4().hex


def say(invoke, word, *, times=1, kind="kept"):
    for number in range(times):
        line = json.dumps({"kind": kind, "word": word, "n": number, "text": "ä\u2028"}, ensure_ascii=False)
        invoke("talker", {"do": "print", "text": line})


def delivered(aws, word):
    """Find the keys of the objects that hold a word, and their lines that do."""
    found = {}
    for each in aws("s3").list_objects_v2(Bucket="inbox", Prefix="heard/dt=").get("Contents", []):
        content = aws("s3").get_object(Bucket="inbox", Key=each["Key"])["Body"].read()
        lines = gzip.decompress(content).decode().split("\n")
        assert lines.pop() == "", "the last line ends too"
        if said := [json.loads(line) for line in lines if word in line]:
            found[each["Key"]] = said
    return found


def test_each_line_that_the_pattern_asks_for_arrives_once(aws, twin, invoke, ledger, word):
    before = datetime.now(UTC)
    say(invoke, word, times=3)
    say(invoke, word, kind="other")
    twin.settle(20)

    objects = delivered(aws, word)
    said = [line for lines in objects.values() for line in lines]
    assert sorted(line["n"] for line in said) == [0, 1, 2]
    assert all(line["kind"] == "kept" and line["text"] == "ä\u2028" for line in said)
    hours = {f"heard/dt={moment:%Y-%m-%d}/hour={moment:%H}/" for moment in (before, datetime.now(UTC))}
    for key in objects:
        assert any(key.startswith(hour) for hour in hours)
        assert key.endswith(".jsonl.gz")
        assert ledger(key) == 1, "its event reached a function"


def test_lines_arrive_by_themselves_once_they_are_old_enough(aws, invoke, word):
    say(invoke, word)
    until = time.monotonic() + 20
    while not delivered(aws, word):  # a minute takes a second
        assert time.monotonic() < until, "the line never arrived"
        time.sleep(0.1)


def test_a_record_put_by_hand_goes_the_same_way(aws, twin, word):
    envelope = {"messageType": "DATA_MESSAGE", "logEvents": [{"message": f'{{"word": "{word}"}}'}]}
    record = gzip.compress(json.dumps(envelope).encode())
    aws("firehose").put_record(DeliveryStreamName="pipe", Record={"Data": record})
    twin.settle(20)
    assert list(delivered(aws, word).values()) == [[{"word": word}]]
