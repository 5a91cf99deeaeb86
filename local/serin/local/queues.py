"""How do the messages of a queue reach the function that is mapped to it?

As Lambda's pollers do it: in batches, no more at once than the function may run, failed ones back after
their visibility time-out, partial failures alone, and to the dead-letter queue after too many receives.
"""

import base64
import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from moto.awslambda.models import EventSourceMapping, lambda_backends
from moto.sqs.exceptions import ReceiptHandleIsInvalid
from moto.sqs.models import Message, Queue, sqs_backends

from serin.local.faults import Faults
from serin.local.functions import Functions, Outcome, Throttled
from serin.local.limits import SYNC_PAYLOAD_LIMIT

_LOOK_SECONDS = 0.02
_BATCHES = 2  # of one function at once, where neither it nor its mapping says: a laptop has few cores

_LOG = logging.getLogger(__name__)


class Queues:
    """Polls every queue that is mapped to a function."""

    def __init__(self, *, functions: Functions, faults: Faults, account: str, region: str) -> None:
        self._functions = functions
        self._faults = faults
        self._mappings = lambda_backends[account][region]._event_source_mappings
        self._sqs = sqs_backends[account][region]
        self._in_flight: Counter[str] = Counter()
        self._first_seen: dict[str, float] = {}
        self._lock = threading.Lock()
        self._is_stopping = threading.Event()

    def start(self) -> None:
        """Begin to poll."""
        threading.Thread(target=self._poll, name="queues", daemon=True).start()

    def stop(self) -> None:
        """Receive no more messages."""
        self._is_stopping.set()

    def waiting(self) -> dict[str, int]:
        """Count the messages that are still on their way to a function, in flight or not, by queue."""
        queues = {queue.name: queue for mapping, queue in self._mapped() if mapping.enabled}
        return {name: count for name, queue in queues.items() if (count := len(queue._messages))}

    def _mapped(self) -> list[tuple[EventSourceMapping, Queue]]:
        mappings = [m for m in list(self._mappings.values()) if m.event_source_arn.split(":")[2] == "sqs"]
        pairs = [(mapping, self._sqs.queues.get(mapping.event_source_arn.split(":")[-1])) for mapping in mappings]
        return [(mapping, queue) for mapping, queue in pairs if queue is not None]

    def _poll(self) -> None:
        while not self._is_stopping.wait(_LOOK_SECONDS):
            for mapping, queue in self._mapped():
                try:
                    if mapping.enabled and queue._messages:
                        self._receive(mapping, queue)
                except Exception:
                    _LOG.exception("queue %s could not be polled", queue.name)

    def _receive(self, mapping: EventSourceMapping, queue: Queue) -> None:
        """Hand out as many batches as there are messages and room for."""
        function = mapping.function_arn.split(":")[6]
        while self._has_room(mapping, function) and self._is_batch_due(mapping, queue):
            messages = self._sqs.receive_message(
                queue.name,
                mapping.batch_size,
                0,
                queue.visibility_timeout,  # type: ignore[attr-defined]
                ["All"],
            )
            if not messages:
                return
            with self._lock:
                self._in_flight[function] += 1
                self._in_flight[mapping.uuid] += 1
            threading.Thread(
                target=self._deliver, args=(mapping, queue, function, messages), name="batch", daemon=True
            ).start()

    def _has_room(self, mapping: EventSourceMapping, function: str) -> bool:
        limit = (mapping.scaling_config or {}).get("MaximumConcurrency", _BATCHES)
        # What has been received but does not run yet is counted twice for a moment: fewer at once, never more.
        return self._in_flight[mapping.uuid] < int(limit) and self._functions.free(function) > 0

    def _is_batch_due(self, mapping: EventSourceMapping, queue: Queue) -> bool:
        """Whether a batch is full, or its first message has waited for the batching window."""
        if not mapping.max_batch_window:
            return True
        count = len(queue.messages)
        if count == 0:
            self._first_seen.pop(mapping.uuid, None)
            return False
        first_seen = self._first_seen.setdefault(mapping.uuid, time.monotonic())
        if count < mapping.batch_size and time.monotonic() - first_seen < float(mapping.max_batch_window):
            return False
        self._first_seen.pop(mapping.uuid, None)
        return True

    def _deliver(self, mapping: EventSourceMapping, queue: Queue, function: str, messages: list[Message]) -> None:
        try:
            self._deliver_batch(mapping, queue, function, messages)
        except Throttled:
            pass  # they come again after their visibility time-out
        except Exception:
            _LOG.exception("a batch from %s could not be delivered", queue.name)
        finally:
            with self._lock:
                self._in_flight[function] -= 1
                self._in_flight[mapping.uuid] -= 1

    def _deliver_batch(self, mapping: EventSourceMapping, queue: Queue, function: str, messages: list[Message]) -> None:
        event = batch_event(messages, queue)
        if len(event) > SYNC_PAYLOAD_LIMIT and len(messages) > 1:
            middle = len(messages) // 2
            self._deliver_batch(mapping, queue, function, messages[:middle])
            self._deliver_batch(mapping, queue, function, messages[middle:])
            return
        outcome = self._functions.invoke(function, event)
        is_partial = "ReportBatchItemFailures" in (mapping.function_response_types or [])
        failed = failed_messages(outcome, [message.id for message in messages], is_partial=is_partial)
        done = [message for message in messages if message.id not in failed]
        if done and self._faults.is_repeated(function):
            self._functions.invoke(function, batch_event(done, queue, extra_receives=1))
        for message in done:
            self._delete(queue, message)

    def _delete(self, queue: Queue, message: Message) -> None:
        try:
            queue.delete_message(message.receipt_handle or "")
        except ReceiptHandleIsInvalid:
            _LOG.info("message %s of %s was deleted meanwhile", message.id, queue.name)


def batch_event(messages: Sequence[Message], queue: Queue, *, extra_receives: int = 0) -> bytes:
    """Write messages as the event that Lambda makes of them."""
    return json.dumps({"Records": [_record(message, queue, extra_receives) for message in messages]}).encode()


def failed_messages(outcome: Outcome, ids: Sequence[str], *, is_partial: bool) -> set[str]:
    """Find out which messages of a batch were not processed.

    is_partial: the mapping lets the function report failures one by one. As on AWS null, and an object whose list is
    empty, null or not there, is a success of all; an answer that cannot be understood, or names a message that is not
    in the batch, fails all of them.
    Source: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
    """
    if outcome.error_type is not None:
        return set(ids)
    if not is_partial:
        return set()
    try:
        answer = json.loads(outcome.payload or b"null")
        failures = None if answer is None else answer.get("batchItemFailures")
        failed = set() if failures is None else {failure["itemIdentifier"] for failure in failures}
    except (ValueError, KeyError, TypeError, AttributeError):
        return set(ids)
    return failed if failed <= set(ids) else set(ids)


def _record(message: Message, queue: Queue, extra_receives: int) -> dict[str, Any]:
    return {
        "messageId": message.id,
        "receiptHandle": message.receipt_handle,
        "body": message.body,
        "attributes": {
            "ApproximateReceiveCount": str(message.approximate_receive_count + extra_receives),
            "SentTimestamp": str(message.sent_timestamp),
            "SenderId": str(message.sender_id),
            "ApproximateFirstReceiveTimestamp": str(message.approximate_first_receive_timestamp),
            **({"MessageGroupId": message.group_id} if message.group_id else {}),
        },
        "messageAttributes": {
            name: _message_attribute(value) for name, value in (message.message_attributes or {}).items()
        },
        "md5OfBody": message.body_md5,
        "eventSource": "aws:sqs",
        "eventSourceARN": queue.queue_arn,
        "awsRegion": queue.region,
    }


def _message_attribute(value: dict[str, Any]) -> dict[str, Any]:
    attribute: dict[str, Any] = {"dataType": value["DataType"], "stringListValues": [], "binaryListValues": []}
    if value.get("StringValue") is not None:
        attribute["stringValue"] = value["StringValue"]
    binary = value.get("BinaryValue")
    if binary is not None:
        attribute["binaryValue"] = binary if isinstance(binary, str) else base64.b64encode(binary).decode()
    return attribute
