"""How does a version come to answer? A workflow gives its release turns, each of which holds, moves or takes back.

Its resources stand in the stack itself: parts.py says why.
"""

from __future__ import annotations

from aws_cdk import aws_cloudwatch as cloudwatch

from serin.aws import variables
from serin.cdk.journeys.parts import Parts
from serin.registry import keys


class Releases:
    """The release workflow, and who starts, moves and aborts a release.

    start_release: the task of another workflow that begins a release. advance_release: takes a turn whenever it is
    invoked, and decides by itself whether there is anything to do; abort_release: what the workflow does on an error.
    workflow: its executions are named by the functions. arn: of the workflow, which the functions know by name, for
    they start its executions and it invokes them. events_arn: the bus on which moves are told to programs.
    """

    def __init__(self, parts: Parts) -> None:
        environment, topic = parts.environment, parts.alarms.topic
        here = f"{environment.region}:{environment.account}"
        self.arn = f"arn:aws:states:{here}:stateMachine:{environment.named('release')}"
        self.events_arn = f"arn:aws:events:{here}:event-bus/default"
        self.workflow_settings = {variables.RELEASE_WORKFLOW_ARN: self.arn}
        self._parts = parts
        settings = {variables.TOPIC_ARN: topic.topic_arn} | self.workflow_settings

        advance = parts.function("AdvanceRelease", name="advance_release", bundle="evaluation", variables=settings)
        advance.may_read(environment.artifacts_bucket, keys.MODELS)
        advance.may_read(environment.data_bucket, keys.SUMMARIES, keys.RELEASES, keys.CAPTURES)  # to replay
        advance.may_write(environment.data_bucket, keys.RELEASES)
        abort = parts.function("AbortRelease", name="abort_release", bundle="evaluation", variables=settings)
        start = parts.function("StartRelease", name="start_release", bundle="base", variables=settings)
        for function in (advance, abort, start):
            function.may_change_table()
            function.may_publish(topic.topic_arn)
            function.may_put_events(self.events_arn)
            function.may_start(self.arn)

        self.advance_release, self.abort_release, self.start_release = advance, abort, start
        self.workflow = parts.workflow("ReleaseWorkflow", name="release", functions=[advance, abort])

    def take_a_turn_when(self, *alarms: cloudwatch.Alarm) -> None:
        """Have every release under way take a turn as soon as one of the alarms rings. They decide nothing."""
        self._parts.wake_when("AlarmRang", *alarms, function=self.advance_release)
