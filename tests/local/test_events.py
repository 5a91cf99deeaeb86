"""How events reach functions: queues, rules, schedules, asynchronous events; and what comes of failures."""

import json
import time
import uuid

import pytest

from serin.local.errors import NotSettled


@pytest.fixture
def key() -> str:
    """A name that no other test counts under."""
    return str(uuid.uuid4())


@pytest.fixture
def send(aws, twin):
    """Send jobs to a queue."""

    def send_all(queue, *jobs):
        for job in jobs:
            aws("sqs").send_message(QueueUrl=twin.outputs[queue], MessageBody=json.dumps(job))

    return send_all


def received(aws, url):
    return [
        json.loads(message["Body"])
        for message in aws("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    ]


def test_a_message_is_processed_once_and_is_gone(send, twin, ledger, key):
    send("JobsUrl", {"do": "count", "key": key})
    twin.settle(20)

    assert ledger(key) == 1
    assert ledger(f"tried {key}") == 1


def test_a_failed_message_comes_again_and_the_others_do_not(send, twin, aws, ledger, key):
    send("JobsUrl", {"do": "partial", "key": f"bad {key}"}, {"do": "count", "key": f"good {key}"})
    twin.settle(20)

    assert ledger(f"good {key}") == 1
    assert ledger(f"tried bad {key}") == 2
    assert {"do": "partial", "key": f"bad {key}"} in received(aws, twin.outputs["DeadUrl"])


def test_a_crash_is_followed_by_a_redelivery(send, twin, ledger, key):
    fault = twin.kill("fragile_worker", call=1, when="before")
    send("FragileUrl", {"do": "count", "key": key})
    twin.settle(20)

    assert fault.has_fired
    assert ledger(key) == 1
    assert [record["error"] for record in twin.invocations("fragile_worker")[-2:]] == ["Runtime.ExitError", None]


@pytest.mark.parametrize(("when", "effects"), [("before", 1), ("after", 2)])
def test_a_kill_happens_before_or_after_the_call_is_carried_out(send, twin, ledger, key, when, effects):
    fault = twin.kill("fragile_worker", call=2, when=when)  # the first call counts that it was tried
    send("FragileUrl", {"do": "count", "key": key})
    twin.settle(20)

    assert fault.has_fired
    assert ledger(f"tried {key}") == 2
    assert ledger(key) == effects


def test_a_kill_beyond_the_last_call_does_not_fire(send, twin, ledger, key):
    fault = twin.kill("fragile_worker", call=9)
    send("FragileUrl", {"do": "count", "key": key})
    twin.settle(20)

    assert not fault.has_fired
    assert ledger(key) == 1


def test_a_message_is_delivered_twice_when_asked(send, twin, ledger, key):
    twin.deliver_twice("worker")
    send("JobsUrl", {"do": "count", "key": key})
    twin.settle(20)

    assert ledger(key) == 2
    first, second = twin.invocations("worker")[-2:]
    receives = [r["event"]["Records"][0]["attributes"]["ApproximateReceiveCount"] for r in (first, second)]
    assert receives == ["1", "2"]
    assert first["event"]["Records"][0]["body"] == second["event"]["Records"][0]["body"]


def test_an_upload_reaches_the_function_through_rule_and_queue(aws, twin, ledger, key):
    name = f"uploads/ä b+{key}.csv"
    aws("s3").put_object(Bucket="inbox", Key=name, Body=b"a,b\n")
    twin.settle(20)

    assert ledger(name) == 1


def test_a_rule_reaches_a_function_directly(aws, twin, ledger, key):
    aws("s3").put_object(Bucket="inbox", Key=f"heard/{key}", Body=b"")
    aws("s3").put_object(Bucket="inbox", Key=f"unheard/{key}", Body=b"")
    twin.settle(20)

    assert ledger(f"heard/{key}") == 1
    assert ledger(f"unheard/{key}") == 0


def test_two_uploads_are_two_events(aws, twin, key):
    for number in range(2):
        aws("s3").put_object(Bucket="inbox", Key=f"heard/{key}/{number}", Body=b"")
    twin.settle(20)

    events = [record["event"] for record in twin.invocations("listener")]
    ids = {event["id"] for event in events if key in event["detail"].get("object", {}).get("key", "")}
    assert len(ids) == 2


def test_an_asynchronous_event_is_retried_and_then_a_dead_letter(aws, twin, ledger, key):
    event = {"do": "fail_times", "key": key, "times": 9}
    aws("lambda").invoke(FunctionName="unreliable", InvocationType="Event", Payload=json.dumps(event))
    twin.settle(20)

    assert ledger(key) == 3
    assert event in received(aws, twin.outputs["DeadUrl"])


def test_an_asynchronous_event_that_succeeds_at_last_is_no_dead_letter(aws, twin, ledger, key):
    event = {"do": "fail_times", "key": key, "times": 1}
    aws("lambda").invoke(FunctionName="unreliable", InvocationType="Event", Payload=json.dumps(event))
    twin.settle(20)

    assert ledger(key) == 2
    assert event not in received(aws, twin.outputs["DeadUrl"])


def test_a_schedule_comes_due_by_the_twins_clock(ledger):
    seen = ledger("tick")
    until = time.monotonic() + 20
    while ledger("tick") < seen + 2:  # a minute takes a second
        assert time.monotonic() < until, "the schedule never came due"
        time.sleep(0.1)


def test_settling_says_what_is_still_under_way(send, twin, key):
    send("FragileUrl", {"do": "sleep", "seconds": 1})

    with pytest.raises(NotSettled, match="1 messages in fragile"):
        twin.settle(0.2)
    twin.settle(20)
