"""How does a rule of EventBridge come to be?"""

from collections.abc import Callable
from typing import Any

from moto.events.models import Rule

from serin.local.resources.maker import Order
from serin.local.schedules import parse_schedule


def make_rule(order: Order) -> Any:
    """Make a rule, once its schedule has been understood."""
    if "ScheduleExpression" in order.properties:
        parse_schedule(order.properties["ScheduleExpression"])
    return Rule.create_from_cloudformation_json(
        order.name, {"Properties": order.properties}, order.account, order.region
    )


MAKERS: dict[str, Callable[[Order], Any]] = {
    "AWS::Events::Rule": make_rule,
}
