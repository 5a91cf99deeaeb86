"""How does each resource of a template become real?

moto's CloudFormation resolves the references, keeps the order and makes what it knows. For the types it
leaves out, and for the properties it drops, this adds what is missing to its list of types. A type that
nobody makes is an error that names it.
"""

import json
import logging
import re
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from typing import Any

from moto.apigateway.models import apigateway_backends
from moto.awslambda.models import lambda_backends
from moto.cloudformation import parsing
from moto.cloudformation.models import cloudformation_backends
from moto.cloudwatch.models import cloudwatch_backends
from moto.firehose.models import DeliveryStream, firehose_backends
from moto.logs.models import logs_backends
from moto.s3.models import s3_backends
from moto.scheduler.models import scheduler_backends
from moto.sns.models import sns_backends
from moto.ssm.models import ssm_backends

from serin.local.alarms import check_alarm
from serin.local.assembly import Assembly, Stack
from serin.local.errors import StackFailed, UnsupportedResource
from serin.local.firehose import Stream, parse_pattern
from serin.local.schedules import parse_schedule
from serin.local.workflows import Workflows

BOOTSTRAP_VERSION = "/cdk-bootstrap/hnb659fds/version"

# Types that are taken note of and nothing more, with the reason why that is enough here.
NOT_MADE = {
    "AWS::CDK::Metadata": "statistics for the makers of the CDK",
    "AWS::ApiGateway::Account": "lets API Gateway write its own logs; the twin's gateway writes none",
    "AWS::CloudWatch::CompositeAlarm": "each alarm is evaluated by itself",
    "AWS::CloudWatch::Dashboard": "nobody draws it",
    "AWS::Lambda::Permission": "the twin lets every event through: who may invoke is proved on the template",
    "AWS::S3::BucketPolicy": "moto denies by it whatever its conditions say: it is proved on the template",
    "AWS::SNS::TopicPolicy": "policies are not enforced: they are proved on the template",
    "AWS::SQS::QueuePolicy": "policies are not enforced: they are proved on the template",
    "AWS::Logs::ResourcePolicy": "policies are not enforced: they are proved on the template",
    "AWS::IAM::ServiceLinkedRole": "roles are not assumed",
    "AWS::Budgets::Budget": "nothing here costs money",
    "AWS::ResourceGroups::Group": "a view, not a thing",
    "AWS::XRay::Group": "nothing is traced",
}

_LOG = logging.getLogger(__name__)


class Made:
    """A resource, as moto's CloudFormation wants to hold it."""

    def __init__(self, physical_id: str, **attributes: str) -> None:
        self.physical_resource_id = physical_id
        self._attributes = attributes

    def get_cfn_attribute(self, name: str) -> str:
        """Answer Fn::GetAtt."""
        return self._attributes.get(name, self.physical_resource_id)

    def is_created(self) -> bool:
        """Say that it is there."""
        return True


@dataclass(frozen=True, slots=True)
class Order:
    """What a template asks for: one resource, its references resolved."""

    name: str
    properties: dict[str, Any]
    account: str
    region: str


class Maker:
    """Stands where moto's CloudFormation expects a class that makes resources of one type."""

    def __init__(self, make: Callable[[Order], Any]) -> None:
        self._make = make

    def create_from_cloudformation_json(
        self, resource_name: str, cloudformation_json: dict[str, Any], account_id: str, region_name: str, **about: Any
    ) -> Any:
        """Make the resource."""
        properties = cloudformation_json.get("Properties") or {}
        try:
            return self._make(Order(resource_name, properties, account_id, region_name))
        except (UnsupportedResource, StackFailed):
            raise
        except Exception as error:
            _LOG.debug("%s", resource_name, exc_info=True)
            raise StackFailed(f"{about['LogicalId']}: {type(error).__name__}: {error}") from error

    def has_cfn_attr(self, _attr: str) -> bool:
        """Let every attribute pass: get_cfn_attribute answers it."""
        return True


@dataclass(slots=True)
class Resources:
    """Makes the stacks of an assembly."""

    assembly: Assembly
    workflows: Workflows
    outputs: dict[str, str] = field(default_factory=dict)

    def make_all(self) -> None:
        """Create every stack, dependencies first.

        Raises UnsupportedResource and StackFailed.
        """
        self._extend_moto()
        account, region = self.assembly.account, self.assembly.region
        ssm_backends[account][region].put_parameter(
            name=BOOTSTRAP_VERSION,
            description="",
            value="30",
            parameter_type="String",
            allowed_pattern="",
            keyid="",
            overwrite=False,
            tags=[],
            data_type="text",
            tier=None,
            policies=None,
        )
        for stack in self.assembly.stacks:
            self._make(stack)

    def _make(self, stack: Stack) -> None:
        check_types(stack, known=parsing.get_model_map())
        backend = cloudformation_backends[self.assembly.account][self.assembly.region]
        try:
            made = backend.create_stack(stack.name, json.dumps(stack.template), {}, tags={})
        except (UnsupportedResource, StackFailed):
            raise
        except Exception as error:
            _LOG.debug("stack %s", stack.name, exc_info=True)
            raise StackFailed(f"stack {stack.name}: {type(error).__name__}: {error}") from error
        for output in made.output_map.values():
            if output is not None:
                self.outputs[output.key] = output.value

    def _extend_moto(self) -> None:
        makers: dict[str, Callable[[Order], Any]] = {
            "AWS::SNS::Subscription": make_subscription,
            "AWS::Lambda::Function": make_function,
            "AWS::Lambda::LayerVersion": make_layer,
            "AWS::Lambda::Alias": make_alias,
            "AWS::Lambda::EventInvokeConfig": make_invoke_config,
            "AWS::Lambda::EventSourceMapping": make_mapping,
            "AWS::ApiGateway::RestApi": make_rest_api,
            "AWS::ApiGateway::Method": make_method,
            "AWS::ApiGateway::Stage": make_stage,
            "AWS::ApiGateway::ApiKey": make_api_key,
            "AWS::ApiGateway::UsagePlan": make_usage_plan,
            "AWS::ApiGateway::UsagePlanKey": make_usage_plan_key,
            "AWS::ApiGateway::GatewayResponse": make_gateway_response,
            "AWS::ApiGateway::RequestValidator": make_request_validator,
            "AWS::CloudWatch::Alarm": make_alarm,
            "AWS::KinesisFirehose::DeliveryStream": make_delivery_stream,
            "AWS::Logs::LogStream": make_log_stream,
            "AWS::Logs::SubscriptionFilter": make_subscription_filter,
            "AWS::Scheduler::ScheduleGroup": make_schedule_group,
            "AWS::Scheduler::Schedule": make_schedule,
            "AWS::StepFunctions::StateMachine": self._make_state_machine,
        }
        known = parsing.get_model_map()
        bucket, rule = known["AWS::S3::Bucket"], known["AWS::Events::Rule"]
        makers["AWS::S3::Bucket"] = lambda order: make_bucket(order, bucket)
        makers["AWS::Events::Rule"] = lambda order: make_rule(order, rule)
        for kind in NOT_MADE:
            makers[kind] = lambda order: Made(order.name)
        known.update({kind: Maker(make) for kind, make in makers.items()})  # type: ignore[misc]
        parsing.get_name_type_map().update(_NAME_PROPERTIES)

    def _make_state_machine(self, order: Order) -> Any:
        properties = order.properties
        if "DefinitionS3Location" in properties:
            file = self.assembly.assets[properties["DefinitionS3Location"]["Key"]]
            definition = file.read_text()
        else:
            definition = properties.get("DefinitionString") or json.dumps(properties["Definition"])
        for name, value in properties.get("DefinitionSubstitutions", {}).items():
            definition = definition.replace("${" + name + "}", str(value))
        left = re.search(r"\$\{[\w.]+\}", definition)
        if left:
            raise StackFailed(f"{order.name}: nothing is substituted for {left[0]} in its definition")
        return self.workflows.create(
            name=properties.get("StateMachineName", order.name),
            definition=definition,
            role=properties.get("RoleArn", ""),
            kind=properties.get("StateMachineType", "STANDARD"),
        )


def check_types(stack: Stack, *, known: Container[str]) -> None:
    """Raise UnsupportedResource where a template holds types that are not known, naming them."""
    missing = sorted(
        f"{resource['Type']} ({logical_id})"
        for logical_id, resource in stack.template.get("Resources", {}).items()
        if resource["Type"] not in known and resource["Type"] not in parsing.NULL_MODELS
    )
    if missing:
        raise UnsupportedResource(f"stack {stack.name}: the twin cannot make {', '.join(missing)}")


# The property that names a resource, for the types that moto does not know.
_NAME_PROPERTIES = {
    "AWS::ApiGateway::Stage": "StageName",
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::KinesisFirehose::DeliveryStream": "DeliveryStreamName",
    "AWS::Logs::LogStream": "LogStreamName",
    "AWS::Logs::SubscriptionFilter": "FilterName",
    "AWS::Scheduler::Schedule": "Name",
    "AWS::Scheduler::ScheduleGroup": "Name",
}


def make_bucket(order: Order, moto_bucket: Any) -> Any:
    """Make a bucket with the versioning, lifecycle and notifications that moto drops."""
    bucket = moto_bucket.create_from_cloudformation_json(
        order.name, {"Properties": order.properties}, order.account, order.region
    )
    backend = s3_backends[order.account]["aws"]
    if "VersioningConfiguration" in order.properties:
        backend.put_bucket_versioning(bucket.name, order.properties["VersioningConfiguration"]["Status"])
    if "PublicAccessBlockConfiguration" in order.properties:
        blocks = {
            name: str(value).lower() for name, value in order.properties["PublicAccessBlockConfiguration"].items()
        }
        backend.put_public_access_block(bucket.name, blocks)
    if "LifecycleConfiguration" in order.properties:
        rules = [_lifecycle_rule(rule) for rule in order.properties["LifecycleConfiguration"]["Rules"]]
        backend.put_bucket_lifecycle_configuration(bucket.name, rules)
    if "NotificationConfiguration" in order.properties:
        notifications = _notifications(order.properties["NotificationConfiguration"])
        backend.put_bucket_notification_configuration(bucket.name, notifications)
    return bucket


def _lifecycle_rule(rule: dict[str, Any]) -> dict[str, Any]:
    """Say in the API's words what CloudFormation says in its own."""
    said: dict[str, Any] = {"ID": rule.get("Id"), "Status": rule["Status"], "Prefix": rule.get("Prefix", "")}
    if "ExpirationInDays" in rule:
        said["Expiration"] = {"Days": str(rule["ExpirationInDays"])}
    elif rule.get("ExpiredObjectDeleteMarker"):
        said["Expiration"] = {"ExpiredObjectDeleteMarker": "true"}
    if "Transitions" in rule:
        said["Transition"] = [
            {"Days": str(t["TransitionInDays"]), "StorageClass": t["StorageClass"]} for t in rule["Transitions"]
        ]
    noncurrent = rule.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays")
    noncurrent = noncurrent or rule.get("NoncurrentVersionExpirationInDays")
    if noncurrent:
        said["NoncurrentVersionExpiration"] = {"NoncurrentDays": str(noncurrent)}
    if "AbortIncompleteMultipartUpload" in rule:
        days = rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"]
        said["AbortIncompleteMultipartUpload"] = {"DaysAfterInitiation": str(days)}
    return said


def _notifications(said: dict[str, Any]) -> dict[str, Any]:
    def entries(kind: str, target: str, api_target: str) -> list[dict[str, Any]]:
        return [
            {
                api_target: entry[target],
                "Event": [entry["Event"]],
                "Filter": {"S3Key": {"FilterRule": entry["Filter"]["S3Key"]["Rules"]}} if "Filter" in entry else {},
            }
            for entry in said.get(kind, [])
        ]

    configuration: dict[str, Any] = {
        "QueueConfiguration": entries("QueueConfigurations", "Queue", "Queue"),
        "TopicConfiguration": entries("TopicConfigurations", "Topic", "Topic"),
        "CloudFunctionConfiguration": entries("LambdaConfigurations", "Function", "CloudFunction"),
    }
    event_bridge = said.get("EventBridgeConfiguration")
    if event_bridge is not None and event_bridge.get("EventBridgeEnabled", True) in (True, "true"):
        configuration["EventBridgeConfiguration"] = {}
    return configuration


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


def make_alias(order: Order) -> Made:
    """Give a function's version a name."""
    properties = order.properties
    function = properties["FunctionName"].split(":")[-1]
    alias = lambda_backends[order.account][order.region].create_alias(
        properties["Name"], function, properties["FunctionVersion"], properties.get("Description", ""), ""
    )
    return Made(alias.arn, AliasArn=alias.arn)


def make_invoke_config(order: Order) -> Made:
    """Set the retries and destinations of a function's asynchronous events."""
    function = lambda_backends[order.account][order.region].get_function(order.properties["FunctionName"])
    function.twin_invoke_config = order.properties  # type: ignore[attr-defined]
    return Made(f"{function.function_name}-invoke-config")


def make_mapping(order: Order) -> Any:
    """Map a queue to a function."""
    source = order.properties["EventSourceArn"]
    if source.split(":")[2] != "sqs":
        raise UnsupportedResource(f"an event source mapping from {source}: the twin polls queues only")
    if order.properties.get("FilterCriteria"):
        raise UnsupportedResource(f"the filter of the event source mapping from {source}: the twin has none")
    return lambda_backends[order.account][order.region].create_event_source_mapping(dict(order.properties))


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
    if integration.get("Type") not in ("AWS_PROXY", "MOCK"):
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


def make_request_validator(order: Order) -> Made:
    """Make a request validator. The twin's gateway leaves it to the function to validate."""
    properties = order.properties
    validator = apigateway_backends[order.account][order.region].create_request_validator(
        properties["RestApiId"],
        properties.get("Name", order.name),
        properties.get("ValidateRequestBody"),
        properties.get("ValidateRequestParameters"),
    )
    return Made(validator.id)


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


def make_rule(order: Order, moto_rule: Any) -> Any:
    """Make a rule, once its schedule has been understood."""
    if "ScheduleExpression" in order.properties:
        parse_schedule(order.properties["ScheduleExpression"])
    return moto_rule.create_from_cloudformation_json(
        order.name, {"Properties": order.properties}, order.account, order.region
    )


def make_schedule_group(order: Order) -> Made:
    """Make a group of schedules."""
    group = scheduler_backends[order.account][order.region].create_schedule_group(order.name, [])
    return Made(order.name, Arn=group.arn)


def make_schedule(order: Order) -> Made:
    """Make a schedule."""
    properties = order.properties
    parse_schedule(properties["ScheduleExpression"])
    schedule = scheduler_backends[order.account][order.region].create_schedule(
        description=properties.get("Description", ""),
        end_date="",
        flexible_time_window=properties["FlexibleTimeWindow"],
        group_name=properties.get("GroupName", "default"),
        kms_key_arn="",
        name=order.name,
        schedule_expression=properties["ScheduleExpression"],
        schedule_expression_timezone=properties.get("ScheduleExpressionTimezone", "UTC"),
        start_date="",
        state=properties.get("State", "ENABLED"),
        target=properties["Target"],
        action_after_completion=None,
    )
    return Made(order.name, Arn=schedule.arn)


def _camel(properties: dict[str, Any]) -> dict[str, Any]:
    return {name[0].lower() + name[1:]: value for name, value in properties.items()}
