"""Who is told when something goes wrong on AWS? Of drift nobody here: serin/monitoring/check.py tells the topic."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from serin.cdk.environment import Environment


class Alarms(Construct):
    """A topic that people read, and the alarms that write to it."""

    def __init__(self, scope: Construct, id: str, *, environment: Environment) -> None:
        super().__init__(scope, id)
        self._environment = environment
        # Unencrypted: CloudWatch cannot publish under the key that AWS manages for SNS, and a key of
        # one's own costs more each month than the rest of an idle Serin. No message holds a row of data.
        self.topic = sns.Topic(self, "Topic", topic_name=environment.named("news"), enforce_ssl=True)
        # enforce_ssl replaces the topic's default policy, by which alarms of the account may publish.
        self.topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid="AlarmsMayPublish",
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[self.topic.topic_arn],
                conditions={"StringEquals": {"aws:SourceAccount": environment.account}},
            )
        )
        if environment.alarms_email:
            self.topic.add_subscription(subscriptions.EmailSubscription(environment.alarms_email))

    def when_any(self, name: str, *, metric: cloudwatch.Metric, description: str, above: float = 0) -> cloudwatch.Alarm:
        """Tell people as soon as the metric is above a number.

        description: what happened and what to do, for whoever gets the mail.
        """
        alarm = self.note_any(name, metric=metric, description=description, above=above)
        alarm.add_alarm_action(actions.SnsAction(self.topic))
        return alarm

    def note_any(self, name: str, *, metric: cloudwatch.Metric, description: str, above: float = 0) -> cloudwatch.Alarm:
        """Ring as soon as the metric is above a number, for programs: nobody need do anything about it."""
        return cloudwatch.Alarm(
            self,
            name,
            alarm_name=self._environment.named(name),
            alarm_description=description,
            metric=metric,
            threshold=above,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            evaluation_periods=1,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )


PERIOD = cdk.Duration.minutes(1)
