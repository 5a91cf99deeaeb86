"""How does an alarm come to be?"""

from collections.abc import Callable
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends

from serin.local.alarms import check_alarm
from serin.local.resources.maker import Made, Order


def make_alarm(order: Order) -> Made:
    """Make an alarm, once what it compares has been understood."""
    properties = order.properties
    check_alarm(properties)
    alarm = cloudwatch_backends[order.account][order.region].put_metric_alarm(
        name=order.name,
        namespace=properties.get("Namespace", ""),
        metric_name=properties.get("MetricName", ""),
        comparison_operator=properties["ComparisonOperator"],
        evaluation_periods=int(properties["EvaluationPeriods"]),
        period=int(properties.get("Period", 60)),
        threshold=float(properties["Threshold"]),
        statistic=properties["Statistic"],
        datapoints_to_alarm=int(properties.get("DatapointsToAlarm", properties["EvaluationPeriods"])),
        description=properties.get("AlarmDescription", ""),
        dimensions=properties.get("Dimensions", []),
        alarm_actions=properties.get("AlarmActions", []),
        ok_actions=properties.get("OKActions", []),
        insufficient_data_actions=properties.get("InsufficientDataActions", []),
        treat_missing_data=properties.get("TreatMissingData"),
        actions_enabled=properties.get("ActionsEnabled", True),
    )
    return Made(order.name, Arn=alarm.alarm_arn)


MAKERS: dict[str, Callable[[Order], Any]] = {
    "AWS::CloudWatch::Alarm": make_alarm,
}
NAMED_BY = {  # the property that names a resource, for the types that moto does not know
    "AWS::CloudWatch::Alarm": "AlarmName",
}
