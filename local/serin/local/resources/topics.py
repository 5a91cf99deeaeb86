"""How is a topic subscribed to?"""

import json
from collections.abc import Callable
from typing import Any

from moto.sns.models import sns_backends

from serin.local.resources.maker import Made, Order


def make_subscription(order: Order) -> Made:
    """Subscribe to a topic."""
    properties = order.properties
    backend = sns_backends[order.account][order.region]
    subscription = backend.subscribe(properties["TopicArn"], properties["Endpoint"], properties["Protocol"])
    if properties.get("RawMessageDelivery"):
        backend.set_subscription_attributes(subscription.arn, "RawMessageDelivery", "true")
    if "FilterPolicy" in properties:
        backend.set_subscription_attributes(subscription.arn, "FilterPolicy", json.dumps(properties["FilterPolicy"]))
    return Made(subscription.arn)


MAKERS: dict[str, Callable[[Order], Any]] = {
    "AWS::SNS::Subscription": make_subscription,
}
