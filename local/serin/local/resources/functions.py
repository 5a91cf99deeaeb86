"""How do functions, their layers, and what they poll come to be?"""

from collections.abc import Callable
from typing import Any

from moto.awslambda.models import lambda_backends

from serin.local.errors import UnsupportedResource
from serin.local.resources.maker import Made, Order


def make_function(order: Order) -> Any:
    """Make a function with the layers, tags and destinations that moto drops."""
    properties = order.properties
    runtime = properties.get("Runtime", "")
    if not runtime.startswith("python"):
        raise UnsupportedResource(f"function {order.name}: the twin runs Python, not {runtime or 'an image'}")
    tags = {tag["Key"]: tag["Value"] for tag in properties.get("Tags", [])}
    spec = {**properties, "FunctionName": order.name, "Tags": tags}
    for number in ("Timeout", "MemorySize", "ReservedConcurrentExecutions"):
        if number in spec:
            spec[number] = int(spec[number])
    function = lambda_backends[order.account][order.region].create_function(spec)
    function.twin_properties = properties  # type: ignore[attr-defined]
    return function


def make_layer(order: Order) -> Made:
    """Publish a version of a layer. moto's own cannot be referred to."""
    properties = order.properties
    spec = {**properties, "LayerName": properties.get("LayerName", order.name)}
    layer = lambda_backends[order.account][order.region].publish_layer_version(spec)
    return Made(layer.arn, LayerVersionArn=layer.arn)


def make_mapping(order: Order) -> Any:
    """Map a queue to a function."""
    source = order.properties["EventSourceArn"]
    if source.split(":")[2] != "sqs":
        raise UnsupportedResource(f"an event source mapping from {source}: the twin polls queues only")
    if order.properties.get("FilterCriteria"):
        raise UnsupportedResource(f"the filter of the event source mapping from {source}: the twin has none")
    return lambda_backends[order.account][order.region].create_event_source_mapping(dict(order.properties))


MAKERS: dict[str, Callable[[Order], Any]] = {
    "AWS::Lambda::Function": make_function,
    "AWS::Lambda::LayerVersion": make_layer,
    "AWS::Lambda::EventSourceMapping": make_mapping,
}
