"""How does a REST API come to be, with its keys and limits?"""

from collections.abc import Callable
from typing import Any

from moto.apigateway.models import apigateway_backends

from serin.local.errors import UnsupportedResource
from serin.local.resources.maker import Made, Order


def make_rest_api(order: Order) -> Any:
    """Make a REST API."""
    properties = order.properties
    if "Body" in properties or "BodyS3Location" in properties:
        raise UnsupportedResource(f"REST API {properties.get('Name')}: the twin reads resources, not a Body")
    api = apigateway_backends[order.account][order.region].create_rest_api(
        properties.get("Name", order.name),
        properties.get("Description", ""),
        endpoint_configuration=properties.get("EndpointConfiguration"),
    )
    api.binaryMediaTypes = properties.get("BinaryMediaTypes", [])
    return api


def make_method(order: Order) -> Any:
    """Make a method that hands requests to a function; the twin's gateway has no other integration."""
    properties = order.properties
    integration = properties.get("Integration", {})
    backend = apigateway_backends[order.account][order.region]
    if integration.get("Type") != "AWS_PROXY":
        raise UnsupportedResource(f"a method with the integration {integration.get('Type')}: the twin has AWS_PROXY")
    if properties.get("AuthorizationType", "NONE") != "NONE":
        raise UnsupportedResource(f"a method with authorization {properties['AuthorizationType']}: the twin has NONE")
    method = backend.put_method(
        properties["RestApiId"],
        properties["ResourceId"],
        properties["HttpMethod"],
        "NONE",
        api_key_required=properties.get("ApiKeyRequired") in (True, "true"),
    )
    backend.put_integration(
        properties["RestApiId"],
        properties["ResourceId"],
        properties["HttpMethod"],
        integration["Type"],
        integration.get("Uri", ""),
        integration_method=integration.get("IntegrationHttpMethod", "POST"),
        timeout_in_millis=str(integration.get("TimeoutInMillis", 29_000)),
    )
    return Made(f"{properties['ResourceId']}-{properties['HttpMethod']}") if method is None else method


def make_stage(order: Order) -> Made:
    """Make a stage, with its throttling."""
    properties = order.properties
    stage = apigateway_backends[order.account][order.region].create_stage(
        properties["RestApiId"],
        properties["StageName"],
        properties.get("DeploymentId", ""),
        variables=properties.get("Variables"),
        description=properties.get("Description", ""),
    )
    stage.twin_method_settings = properties.get("MethodSettings", [])  # type: ignore[attr-defined]
    return Made(properties["StageName"])


def make_api_key(order: Order) -> Made:
    """Make an API key."""
    properties = order.properties
    key = apigateway_backends[order.account][order.region].create_api_key(
        {
            "name": properties.get("Name", order.name),
            "description": properties.get("Description", ""),
            "enabled": properties.get("Enabled") in (True, "true"),
            **({"value": properties["Value"]} if "Value" in properties else {}),
        }
    )
    return Made(key.id, APIKeyId=key.id)


def make_usage_plan(order: Order) -> Made:
    """Make a usage plan, with its throttling and quota."""
    properties = order.properties
    plan = apigateway_backends[order.account][order.region].create_usage_plan(
        {
            "name": properties.get("UsagePlanName", order.name),
            "description": properties.get("Description", ""),
            "apiStages": [
                {"apiId": stage["ApiId"], "stage": stage["Stage"]} for stage in properties.get("ApiStages", [])
            ],
            "throttle": _camel(properties.get("Throttle", {})),
            "quota": _camel(properties.get("Quota", {})),
        }
    )
    return Made(plan.id, Id=plan.id)


def make_usage_plan_key(order: Order) -> Made:
    """Put an API key under a usage plan."""
    properties = order.properties
    key = apigateway_backends[order.account][order.region].create_usage_plan_key(
        properties["UsagePlanId"], {"keyId": properties["KeyId"], "keyType": properties["KeyType"]}
    )
    return Made(f"{key.id}:{properties['UsagePlanId']}")


def make_gateway_response(order: Order) -> Made:
    """Set how the gateway words an answer of its own."""
    properties = order.properties
    apigateway_backends[order.account][order.region].put_gateway_response(
        properties["RestApiId"],
        properties["ResponseType"],
        properties.get("StatusCode"),  # type: ignore[arg-type]
        properties.get("ResponseParameters", {}),
        properties.get("ResponseTemplates", {}),
    )
    return Made(f"{properties['RestApiId']}-{properties['ResponseType']}")


def _camel(properties: dict[str, Any]) -> dict[str, Any]:
    return {name[0].lower() + name[1:]: value for name, value in properties.items()}


MAKERS: dict[str, Callable[[Order], Any]] = {
    "AWS::ApiGateway::RestApi": make_rest_api,
    "AWS::ApiGateway::Method": make_method,
    "AWS::ApiGateway::Stage": make_stage,
    "AWS::ApiGateway::ApiKey": make_api_key,
    "AWS::ApiGateway::UsagePlan": make_usage_plan,
    "AWS::ApiGateway::UsagePlanKey": make_usage_plan_key,
    "AWS::ApiGateway::GatewayResponse": make_gateway_response,
}
NAMED_BY = {  # the property that names a resource, for the types that moto does not know
    "AWS::ApiGateway::Stage": "StageName",
}
