"""How does a function work off what a queue delivers? Each message by itself; one that fails comes again soon.

A message stays hidden for the queue's visibility time-out, six times as long as its function may take, so that Lambda
can try for a while to invoke a function that is throttled. Once the function has it, that would be a long time to wait
for the next try, and captures that come late are missed. So the function hides its messages anew: at its start for as
long as it may take itself, in case it is killed, and one that failed for a shorter time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from serin.aws.failures import translated
from serin.errors import SerinError

FIRST_PAUSE_SECONDS = 15
PAUSE_GROWS = 6
KILLED_SECONDS = 5  # from when a function must have ended until it surely has


@dataclass(frozen=True)
class Deliveries:
    """What queues deliver to a function, in SQS. tries: how often each message comes before it is set aside."""

    client: Any
    tries: int

    def work_off(
        self, event: dict[str, Any], do: Callable[[SQSRecord], None], context: LambdaContext
    ) -> PartialItemFailureResponse:
        """Do each message of a batch, and answer Lambda which ones failed."""
        self._hide(event["Records"], context.get_remaining_time_in_millis() // 1000 + KILLED_SECONDS)

        def attempt(record: SQSRecord) -> None:
            try:
                do(record)
            except Exception:
                self._hide([record.raw_event], self.pause_after(receives_of(record)))
                raise

        return process_partial_response(event, attempt, BatchProcessor(event_type=EventType.SQS), context)

    def is_last_try(self, record: SQSRecord) -> bool:
        """Tell whether a message that fails now is set aside."""
        return receives_of(record) >= self.tries

    def pause_after(self, receives: int) -> int:
        """Say how many seconds a message that failed stays hidden: longer each time; the last time it is set aside."""
        return 0 if receives >= self.tries else FIRST_PAUSE_SECONDS * PAUSE_GROWS ** (receives - 1)

    def _hide(self, records: Sequence[dict[str, Any]], seconds: int) -> None:
        """Hide messages for so long from now. Where that fails they stay hidden as long as their queue says."""
        queue = records[0]["eventSourceARN"]
        _, _, _, region, account, name = queue.split(":")
        entries = [
            {"Id": str(number), "ReceiptHandle": record["receiptHandle"], "VisibilityTimeout": seconds}
            for number, record in enumerate(records)
        ]
        with suppress(SerinError), translated(queue):
            self.client.change_message_visibility_batch(
                QueueUrl=f"https://sqs.{region}.amazonaws.com/{account}/{name}", Entries=entries
            )


def receives_of(record: SQSRecord) -> int:
    """Say how often a message was delivered, this time included."""
    return int(record.attributes.approximate_receive_count)
