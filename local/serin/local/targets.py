"""How does an event reach what it is meant for, by ARN, when nobody waits for an answer?

EventBridge rules, schedules, bucket and topic notifications all end here. A function's own asynchronous
events are tried three times, then go to its dead-letter queue.
"""

import itertools
import logging
import threading
import time

from moto.awslambda.models import lambda_backends
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

from serin.local.errors import UnsupportedResource
from serin.local.faults import Faults
from serin.local.functions import Functions, Outcome, PayloadTooLarge, Throttled
from serin.local.limits import ASYNC_PAYLOAD_LIMIT
from serin.local.workflows import Workflows

# Lambda waits one minute, then two; here seconds, so that a test sees the end of it.
_RETRY_SECONDS = (1.0, 2.0)

_LOG = logging.getLogger(__name__)


class Targets:
    """Sends events on their way."""

    def __init__(
        self, *, functions: Functions, workflows: Workflows, faults: Faults, account: str, region: str
    ) -> None:
        self._functions = functions
        self._workflows = workflows
        self._faults = faults
        self._lambda = lambda_backends[account][region]
        self._queues = sqs_backends[account][region]
        self._topics = sns_backends[account][region]
        self._pending: dict[int, tuple[str, bytes]] = {}
        self._numbers = itertools.count()

    @property
    def under_way(self) -> int:
        """How many asynchronous events have not come to their end."""
        return len(self._pending)

    def pending(self) -> list[tuple[str, bytes]]:
        """List the asynchronous events that have not come to their end, each with its function."""
        return list(self._pending.values())

    def send(self, arn: str, event: bytes) -> None:
        """Send an event to a function, a queue, a topic or a state machine."""
        service, name = arn.split(":")[2], arn.split(":")[-1]
        if service == "lambda":
            self.invoke_later(arn.split(":")[6], event)
        elif service == "sqs":
            self._queues.send_message(name, event.decode())
        elif service == "sns":
            self._topics.publish(event.decode(), arn=arn)
        elif service == "states":
            self._workflows.start(arn, event.decode())
        else:
            raise UnsupportedResource(f"{arn}: the twin cannot send an event there")

    def invoke_later(self, function: str, event: bytes) -> None:
        """Have a function run on an event, soon, with Lambda's retries."""
        if len(event) > ASYNC_PAYLOAD_LIMIT:
            raise PayloadTooLarge(f"{len(event)} bytes; the limit is {ASYNC_PAYLOAD_LIMIT}")
        number = next(self._numbers)
        self._pending[number] = (function, event)
        threading.Thread(target=self._deliver, args=(number, function, event), name="async", daemon=True).start()

    def _deliver(self, number: int, function: str, event: bytes) -> None:
        try:
            outcome = self._try(function, event)
            for pause in _RETRY_SECONDS:
                if outcome is not None and outcome.error_type is None:
                    break
                time.sleep(pause)
                outcome = self._try(function, event)
            if outcome is None or outcome.error_type is not None:
                self._give_up(function, event)
            elif self._faults.is_repeated(function):
                self._try(function, event)
        except Exception:
            _LOG.exception("an event for %s was lost", function)
        finally:
            del self._pending[number]

    def _try(self, function: str, event: bytes) -> Outcome | None:
        try:
            return self._functions.invoke(function, event)
        except Throttled:
            return None

    def _give_up(self, function: str, event: bytes) -> None:
        config = self._lambda.get_function(function)
        dead_letters = getattr(config, "twin_properties", {}).get("DeadLetterConfig", {}).get("TargetArn")
        if dead_letters:
            self.send(dead_letters, event)
        else:
            _LOG.warning("an event for %s failed and is dropped: it has no dead-letter queue", function)
