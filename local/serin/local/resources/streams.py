"""How do delivery streams come to be, and the logs that flow into them?"""

from collections.abc import Callable
from typing import Any

from moto.firehose.models import DeliveryStream, firehose_backends
from moto.logs.models import logs_backends

from serin.local.errors import UnsupportedResource
from serin.local.firehose import Stream, parse_pattern
from serin.local.resources.maker import Made, Order


def make_delivery_stream(order: Order) -> Made:
    """Make a delivery stream to S3."""
    properties = order.properties
    kind = properties.get("DeliveryStreamType", "DirectPut")
    if kind != "DirectPut" or "ExtendedS3DestinationConfiguration" not in properties:
        raise UnsupportedResource(f"delivery stream {order.name}: the twin has DirectPut to ExtendedS3 only")
    destination = properties["ExtendedS3DestinationConfiguration"]
    Stream.read(order.name, destination)
    stream = DeliveryStream(order.account, order.region, order.name, kind, {}, {}, "ExtendedS3", destination)
    firehose_backends[order.account][order.region].delivery_streams[order.name] = stream
    return Made(order.name, Arn=stream.delivery_stream_arn)


def make_log_stream(order: Order) -> Made:
    """Make a log stream."""
    logs_backends[order.account][order.region].create_log_stream(order.properties["LogGroupName"], order.name)
    return Made(order.name)


def make_subscription_filter(order: Order) -> Made:
    """Subscribe a delivery stream to a log group."""
    properties = order.properties
    destination, pattern = properties["DestinationArn"], properties["FilterPattern"]
    if destination.split(":")[2] != "firehose":
        raise UnsupportedResource(f"subscription filter {order.name}: the twin sends to Firehose, not {destination}")
    parse_pattern(pattern)
    logs_backends[order.account][order.region].put_subscription_filter(
        properties["LogGroupName"], order.name, pattern, destination, properties.get("RoleArn", "")
    )
    return Made(order.name)


MAKERS: dict[str, Callable[[Order], Any]] = {
    "AWS::KinesisFirehose::DeliveryStream": make_delivery_stream,
    "AWS::Logs::LogStream": make_log_stream,
    "AWS::Logs::SubscriptionFilter": make_subscription_filter,
}
NAMED_BY = {  # the property that names a resource, for the types that moto does not know
    "AWS::KinesisFirehose::DeliveryStream": "DeliveryStreamName",
    "AWS::Logs::LogStream": "LogStreamName",
    "AWS::Logs::SubscriptionFilter": "FilterName",
}
