"""How does work wait, and where does it go when it cannot be done?"""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_lambda_event_sources as event_sources
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from serin.aws import variables
from serin.cdk.constructs.alarms import PERIOD, Alarms
from serin.cdk.constructs.function import ServerlessFunction
from serin.cdk.environment import Environment

TRIES = 4
WAITING_SECONDS = 900


class WorkQueue(Construct):
    """A queue read by one function. A message that failed time and again is set aside, and people are told.

    reader: the name of that function, which is made later and then handed to `read_by`.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        name: str,
        reader: str,
        environment: Environment,
        alarms: Alarms,
    ) -> None:
        super().__init__(scope, id)
        # Not the SQS key that AWS manages: EventBridge could not write to such a queue.
        self.dead_letters = sqs.Queue(
            self,
            "DeadLetters",
            queue_name=environment.named(f"{name}-dead-letters"),
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=cdk.Duration.days(14),
        )
        visibility_seconds = environment.visibility_seconds or 6 * environment.size_of(reader).timeout_seconds
        self.queue = sqs.Queue(
            self,
            "Queue",
            queue_name=environment.named(name),
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=cdk.Duration.days(14),
            visibility_timeout=cdk.Duration.seconds(visibility_seconds),
            dead_letter_queue=sqs.DeadLetterQueue(queue=self.dead_letters, max_receive_count=TRIES),
        )
        alarms.when_any(
            f"{name}-dead-letters",
            metric=self.dead_letters.metric_approximate_number_of_messages_visible(period=PERIOD, statistic="Maximum"),
            description=f"A message of the {name} queue failed {TRIES} times and was set aside. Read the logs of "
            f"its function, mend the cause, then redrive the dead letters: doing one again does no harm.",
        )
        alarms.when_any(
            f"{name}-waiting",
            metric=self.queue.metric_approximate_age_of_oldest_message(period=PERIOD, statistic="Maximum"),
            above=WAITING_SECONDS,
            description=f"A message has waited in the {name} queue for {WAITING_SECONDS // 60} minutes: its function "
            f"({reader}) fails on it, is throttled, or has more to do than it can. Read the function's logs.",
        )

    @property
    def arn(self) -> str:
        """Name the queue to others."""
        return self.queue.queue_arn

    @property
    def url(self) -> str:
        """Say where messages are sent to."""
        return self.queue.queue_url

    def read_by(self, reader: ServerlessFunction, *, batch_size: int, at_once: int) -> None:
        """Wake the function for each batch; only what it reports as failed comes again.

        at_once: how many batches are worked on at a time; without a limit, those that Lambda throttles would count as
        tried, and end among the dead letters.
        """
        reader.function.add_environment(variables.TRIES, str(TRIES))
        reader.function.add_event_source(
            event_sources.SqsEventSource(
                self.queue, batch_size=batch_size, report_batch_item_failures=True, max_concurrency=at_once
            )
        )
