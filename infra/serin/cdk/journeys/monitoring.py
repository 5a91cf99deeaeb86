"""What becomes of what was predicted, and what happens by the clock? Captures are summed up, and drift is looked for.

Its resources stand in the stack itself: parts.py says why.
"""

from __future__ import annotations

from serin.aws import variables
from serin.cdk.constructs.capture_pipe import CapturePipe
from serin.cdk.constructs.function import ServerlessFunction
from serin.cdk.journeys.ingestion import Ingestion
from serin.cdk.journeys.parts import Parts
from serin.cdk.journeys.releases import Releases
from serin.cdk.journeys.training import Training
from serin.registry import keys


class Monitoring:
    """From lines of the endpoint's log to summaries and drift reports; and, by the clock, whatever is due.

    endpoint: whose captures these are. training, ingestion, releases: what the clock starts, or starts again where it
    got lost. queue: a message names an object under captures/ that is to be summed up, for the first time or again.
    """

    def __init__(
        self,
        parts: Parts,
        *,
        endpoint: ServerlessFunction,
        training: Training,
        ingestion: Ingestion,
        releases: Releases,
    ) -> None:
        self._sum_captures_up(parts, endpoint)
        self._look_for_drift(parts, training)
        self._do_what_is_due(parts, training, ingestion, releases)

    def _sum_captures_up(self, parts: Parts, endpoint: ServerlessFunction) -> None:
        data, artifacts = parts.environment.data_bucket, parts.environment.artifacts_bucket
        CapturePipe(parts.stack, "Captured", source=endpoint, environment=parts.environment, alarms=parts.alarms)
        self.queue = parts.queue("Captures", name="captures", reader="summarise")
        parts.send_objects("CapturesArrived", prefix=keys.CAPTURES, to=self.queue)

        self.summarise = parts.function("Summarise", name="summarise", bundle="evaluation", with_models=False)
        self.summarise.may_read(data, keys.CAPTURES)
        self.summarise.may_read(artifacts, keys.MODELS)
        self.summarise.may_write(data, keys.SUMMARIES)
        self.summarise.may_read_table()
        self.queue.read_by(self.summarise, batch_size=10, at_once=5)

    def _look_for_drift(self, parts: Parts, training: Training) -> None:
        data, topic = parts.environment.data_bucket, parts.alarms.topic
        settings = {variables.TOPIC_ARN: topic.topic_arn} | training.queue_settings
        self.check_drift = parts.function("CheckDrift", name="check_drift", bundle="evaluation", variables=settings)
        self.check_drift.may_read(data, keys.SUMMARIES)
        self.check_drift.may_read(parts.environment.artifacts_bucket, keys.MODELS)
        self.check_drift.may_write(data, keys.DRIFT)
        self.check_drift.may_change_table()
        self.check_drift.may_publish(topic.topic_arn)
        self.check_drift.may_send(training.queue.arn)
        parts.every_five_minutes("DriftEveryFiveMinutes", self.check_drift)

    def _do_what_is_due(self, parts: Parts, training: Training, ingestion: Ingestion, releases: Releases) -> None:
        data, topic = parts.environment.data_bucket, parts.alarms.topic
        queues = training.queue_settings | ingestion.queue_settings
        settings = (
            queues | training.workflow_settings | releases.workflow_settings | {variables.TOPIC_ARN: topic.topic_arn}
        )
        self.tick = parts.function("Tick", name="tick", bundle="evaluation", variables=settings)
        self.tick.may_list(data, keys.UPLOADS)
        self.tick.may_read(data, keys.RECEIPTS)
        self.tick.may_change_table()
        self.tick.may_start(training.workflow.arn, releases.arn)  # again, what got lost: a name starts once
        self.tick.may_publish(topic.topic_arn)
        self.tick.may_put_events(releases.events_arn)
        self.tick.may_send(training.queue.arn, ingestion.queue.arn)
        self.tick.may_describe_executions("training", "release")
        parts.every_five_minutes("EveryFiveMinutes", self.tick)
