"""One twin for all tests here: a small cloud with a function for each thing that can go wrong."""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from serin.local.twin import Twin
from tests.local.assemblies import AssemblyWriter, arn, function, ref, resource

PROBE = Path(__file__).with_name("probe.py").read_text()
LEDGER = resource(
    "DynamoDB::Table",
    TableName="ledger",
    BillingMode="PAY_PER_REQUEST",
    KeySchema=[{"AttributeName": "key", "KeyType": "HASH"}],
    AttributeDefinitions=[{"AttributeName": "key", "AttributeType": "S"}],
)
INBOX = resource(
    "S3::Bucket",
    BucketName="inbox",
    VersioningConfiguration={"Status": "Enabled"},
    NotificationConfiguration={"EventBridgeConfiguration": {"EventBridgeEnabled": True}},
    LifecycleConfiguration={"Rules": [{"Id": "old", "Status": "Enabled", "Prefix": "tmp/", "ExpirationInDays": 7}]},
)


@pytest.fixture(scope="session")
def live_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that stands in for the entry `models` of every layer."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "loans.yaml").write_text("first")
    return folder


@pytest.fixture(scope="session")
def twin(tmp_path_factory: pytest.TempPathFactory, live_models: Path) -> Iterator[Twin]:
    """The shared twin."""
    folder = tmp_path_factory.mktemp("twin")
    assembly = write_assembly(folder / "cdk.out")
    with Twin(assembly, live={"models": live_models}, clock_rate=60, state=folder / "state") as twin:
        yield twin


@pytest.fixture(autouse=True)
def no_faults(request: pytest.FixtureRequest) -> Iterator[None]:
    """Leave no fault armed for the next test."""
    yield
    if "twin" in request.fixturenames:
        request.getfixturevalue("twin").clear_faults()


@pytest.fixture(scope="session")
def aws(twin: Twin) -> Callable[[str], Any]:
    """Make a client for a service of the twin, once."""
    clients: dict[str, Any] = {}
    lock = threading.Lock()

    def client(service: str) -> Any:
        with lock:
            if service not in clients:
                clients[service] = client_of(twin, service)
        return clients[service]

    return client


@pytest.fixture(scope="session")
def invoke(aws: Callable[[str], Any]) -> Callable[..., Any]:
    """Run a function through Lambda's API; its answer, and the type of its error."""

    def call(name: str, event: Any) -> tuple[Any, str | None]:
        answer = aws("lambda").invoke(FunctionName=name, Payload=json.dumps(event))
        payload = json.loads(answer["Payload"].read())
        return payload, payload["errorType"] if "FunctionError" in answer else None

    return call


@pytest.fixture(scope="session")
def ledger(aws: Callable[[str], Any]) -> Callable[[str], int]:
    """Read how often something was done, which the probe counts in a table."""

    def count(key: str) -> int:
        item = aws("dynamodb").get_item(TableName="ledger", Key={"key": {"S": key}}, ConsistentRead=True)
        return int(item.get("Item", {}).get("n", {}).get("N", 0))

    return count


def client_of(twin: Twin, service: str) -> Any:
    """Make a client for a service of a twin."""
    return boto3.Session(aws_access_key_id="tests", aws_secret_access_key="tests").client(
        service,
        endpoint_url=twin.endpoint_url,
        region_name=twin.region,
        config=Config(max_pool_connections=32, retries={"total_max_attempts": 1}),
    )


def write_assembly(folder: Path) -> Path:
    """Write the shared twin's assembly: two stacks, one upon the other."""
    writer = AssemblyWriter(folder)
    writer.stack("ledger", {"Ledger": LEDGER, "Inbox": INBOX}, {"Table": {"Value": ref("Ledger")}}, role=None)
    code = writer.asset("probe", {"handler.py": PROBE})
    layers = _layers(writer)
    resources = {
        **layers,
        **_functions(writer, code),
        **_queues(),
        **_events(),
        **_pipe(),
        **_workflows(writer),
        **_rest_api(),
        "Metadata": resource("CDK::Metadata", Analytics="v2"),
        "Alarm": resource(
            "CloudWatch::Alarm",
            AlarmName="dead-letters",
            ComparisonOperator="GreaterThanThreshold",
            EvaluationPeriods=1,
            Threshold=0,
            Statistic="Maximum",
            Namespace="AWS/SQS",
            MetricName="ApproximateNumberOfMessagesVisible",
            Dimensions=[{"Name": "QueueName", "Value": "dead"}],
        ),
        **_alarm(),
    }
    url = ["https://", ref("Api"), ".execute-api.", ref("AWS::Region"), ".", ref("AWS::URLSuffix"), "/", ref("Stage")]
    outputs = {
        "ApiUrl": {"Value": {"Fn::Join": ["", url]}},
        "KeyId": {"Value": ref("Key")},
        "SlowKeyId": {"Value": ref("SlowKey")},
        "JobsUrl": {"Value": ref("Jobs")},
        "DeadUrl": {"Value": ref("Dead")},
        "FragileUrl": {"Value": ref("Fragile")},
        "ReadersUrl": {"Value": ref("Readers")},
        "LoopArn": {"Value": ref("Loop")},
        "CatchArn": {"Value": ref("Catch")},
    }
    writer.stack("work", resources, outputs, after=("ledger",))
    return writer.write()


def _layers(writer: AssemblyWriter) -> dict[str, Any]:
    library = writer.asset("library", {"python/library/__init__.py": "SAID = 'by the library'\n"})
    more = writer.asset("more", {"python/more.py": "SAID = 'by another layer'\n", "models/loans.yaml": "a copy"})
    return {
        "Library": resource("Lambda::LayerVersion", Content={"S3Bucket": "bootstrap", "S3Key": library}),
        "More": resource("Lambda::LayerVersion", Content={"S3Bucket": "bootstrap", "S3Key": more}),
    }


def _functions(writer: AssemblyWriter, code: str) -> dict[str, Any]:
    raising = writer.asset("raising", {"handler.py": "raise ValueError('no TABLE is set')\n"})
    importing = writer.asset("importing", {"handler.py": "import a_module_that_is_not_there\n"})
    variables = {"Variables": {"MODELS_PATH": "/opt/models", "GREETING": "hello"}}
    return {
        "Probe": function("probe", code, Layers=[ref("Library"), ref("More")], Environment=variables),
        "Short": function("short", code, Timeout=1),
        "Small": function("small", code, MemorySize=128),
        "Raising": function("raising", raising),
        "Importing": function("importing", importing),
        "Single": function("single", code, ReservedConcurrentExecutions=1),
        "Worker": function("worker", code),
        "FragileWorker": function("fragile_worker", code),
        "Web": function("web", code, Timeout=3),
        "Ticker": function("ticker", code),
        "Listener": function("listener", code),
        "Talker": function("talker", code, LoggingConfig={"LogGroup": ref("Talk")}),
        "Unreliable": function("unreliable", code, DeadLetterConfig={"TargetArn": arn("Dead")}),
    }


def _queues() -> dict[str, Any]:
    return {
        "Dead": resource("SQS::Queue", QueueName="dead"),
        "Jobs": resource(
            "SQS::Queue",
            QueueName="jobs",
            VisibilityTimeout=2,
            RedrivePolicy={"deadLetterTargetArn": arn("Dead"), "maxReceiveCount": 2},
        ),
        "JobsMapping": resource(
            "Lambda::EventSourceMapping",
            EventSourceArn=arn("Jobs"),
            FunctionName=ref("Worker"),
            BatchSize=10,
            MaximumBatchingWindowInSeconds=0,
            FunctionResponseTypes=["ReportBatchItemFailures"],
        ),
        "Fragile": resource("SQS::Queue", QueueName="fragile", VisibilityTimeout=2),
        "FragileMapping": resource(
            "Lambda::EventSourceMapping", EventSourceArn=arn("Fragile"), FunctionName=ref("FragileWorker"), BatchSize=1
        ),
    }


def _events() -> dict[str, Any]:
    created = {"source": ["aws.s3"], "detail-type": ["Object Created"], "detail": {"bucket": {"name": ["inbox"]}}}
    to_queue = {**created, "detail": {**created["detail"], "object": {"key": [{"prefix": "uploads/"}]}}}
    to_function = {**created, "detail": {**created["detail"], "object": {"key": [{"prefix": "heard/"}]}}}
    return {
        "Uploaded": resource("Events::Rule", EventPattern=to_queue, Targets=[{"Id": "q", "Arn": arn("Fragile")}]),
        "Heard": resource("Events::Rule", EventPattern=to_function, Targets=[{"Id": "f", "Arn": arn("Listener")}]),
        "Tick": resource(
            "Events::Rule",
            ScheduleExpression="rate(1 minute)",
            Targets=[{"Id": "t", "Arn": arn("Ticker"), "Input": '{"do": "count", "key": "tick"}'}],
        ),
        "TickPermission": resource(
            "Lambda::Permission",
            FunctionName=arn("Ticker"),
            Action="lambda:InvokeFunction",
            Principal="events.amazonaws.com",
        ),
    }


def _alarm() -> dict[str, Any]:
    rang = {
        "source": ["aws.cloudwatch"],
        "detail-type": ["CloudWatch Alarm State Change"],
        "resources": [arn("Trouble"), arn("Failing")],
        "detail": {"state": {"value": ["ALARM"]}},
    }
    return {
        "Trouble": resource(
            "CloudWatch::Alarm",
            AlarmName="trouble",
            ComparisonOperator="GreaterThanThreshold",
            EvaluationPeriods=1,
            Period=60,
            Threshold=1,
            Statistic="Sum",
            TreatMissingData="notBreaching",
            Namespace="Probe",
            MetricName="Trouble",
            Dimensions=[{"Name": "service", "Value": "probe"}],
            AlarmActions=[ref("News")],
        ),
        "Failing": resource(
            "CloudWatch::Alarm",
            AlarmName="failing",
            ComparisonOperator="GreaterThanOrEqualToThreshold",
            EvaluationPeriods=1,
            Period=60,
            Threshold=1,
            Statistic="Sum",
            Namespace="AWS/Lambda",
            MetricName="Errors",
            Dimensions=[{"Name": "FunctionName", "Value": ref("Raising")}],
        ),
        "Rang": resource("Events::Rule", EventPattern=rang, Targets=[{"Id": "f", "Arn": arn("Listener")}]),
        "News": resource("SNS::Topic", TopicName="news"),
        "Readers": resource("SQS::Queue", QueueName="readers"),
        "Reading": resource(
            "SNS::Subscription",
            TopicArn=ref("News"),
            Protocol="sqs",
            Endpoint=arn("Readers"),
            RawMessageDelivery=True,
        ),
    }


def _pipe() -> dict[str, Any]:
    processors = [
        {"Type": "Decompression", "Parameters": [{"ParameterName": "CompressionFormat", "ParameterValue": "GZIP"}]},
        {
            "Type": "CloudWatchLogProcessing",
            "Parameters": [{"ParameterName": "DataMessageExtraction", "ParameterValue": "true"}],
        },
        {"Type": "AppendDelimiterToRecord"},
    ]
    return {
        "Talk": resource("Logs::LogGroup", LogGroupName="talk"),
        "PipeLogs": resource("Logs::LogStream", LogGroupName=ref("Talk"), LogStreamName="of the pipe"),
        "Pipe": resource(
            "KinesisFirehose::DeliveryStream",
            DeliveryStreamName="pipe",
            ExtendedS3DestinationConfiguration={
                "BucketARN": "arn:aws:s3:::inbox",
                "RoleARN": arn("Role"),
                "Prefix": "heard/dt=!{timestamp:yyyy-MM-dd}/hour=!{timestamp:HH}/",
                "ErrorOutputPrefix": "failed/!{firehose:error-output-type}/",
                "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 60},
                "CompressionFormat": "GZIP",
                "FileExtension": ".jsonl.gz",
                "ProcessingConfiguration": {"Enabled": True, "Processors": processors},
            },
        ),
        "Subscription": resource(
            "Logs::SubscriptionFilter",
            LogGroupName=ref("Talk"),
            FilterPattern='{ $.kind = "kept" }',
            DestinationArn=arn("Pipe"),
            RoleArn=arn("Role"),
        ),
    }


def _task(next_state: str, **more: Any) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": "${ProbeArn}", "Payload.$": "$"},
        "OutputPath": "$.Payload",
        "Next": next_state,
        **more,
    }


def _workflows(writer: AssemblyWriter) -> dict[str, Any]:
    retry = [{"ErrorEquals": ["ValueError"], "IntervalSeconds": 1, "MaxAttempts": 2, "BackoffRate": 1}]
    loop = {
        "StartAt": "Turn",
        "States": {
            "Turn": _task("IsDone"),
            "IsDone": {
                "Type": "Choice",
                "Choices": [{"Variable": "$.turns", "NumericGreaterThanEquals": 3, "Next": "Done"}],
                "Default": "Wait",
            },
            "Wait": {"Type": "Wait", "SecondsPath": "$.wait_seconds", "Next": "Turn"},
            "Done": {"Type": "Succeed"},
        },
    }
    catch = {
        "StartAt": "Try",
        "States": {
            "Try": _task(
                "Done", Retry=retry, Catch=[{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "Undo"}]
            ),
            "Undo": {"Type": "Pass", "Next": "Failed"},
            "Failed": {"Type": "Fail", "ErrorPath": "$.error.Error", "CausePath": "$.error.Cause"},
            "Done": {"Type": "Succeed"},
        },
    }
    substitutions = {"ProbeArn": arn("Probe")}
    return {
        "Loop": resource(
            "StepFunctions::StateMachine",
            StateMachineName="loop",
            RoleArn=arn("Role"),
            DefinitionString=json.dumps(loop),
            DefinitionSubstitutions=substitutions,
        ),
        "Catch": resource(
            "StepFunctions::StateMachine",
            StateMachineName="catch",
            RoleArn=arn("Role"),
            DefinitionS3Location={"Bucket": "bootstrap", "Key": writer.file("catch.asl.json", json.dumps(catch))},
            DefinitionSubstitutions=substitutions,
        ),
    }


def _method(name: str, *, verb: str, needs_key: bool, **integration: Any) -> dict[str, Any]:
    uri = ["arn:aws:apigateway:", ref("AWS::Region"), ":lambda:path/2015-03-31/functions/", arn("Web"), "/invocations"]
    return resource(
        "ApiGateway::Method",
        RestApiId=ref("Api"),
        ResourceId=ref(name),
        HttpMethod=verb,
        AuthorizationType="NONE",
        ApiKeyRequired=needs_key,
        Integration={
            "Type": "AWS_PROXY",
            "IntegrationHttpMethod": "POST",
            "Uri": {"Fn::Join": ["", uri]},
            **integration,
        },
    )


def _rest_api() -> dict[str, Any]:
    root = {"Fn::GetAtt": ["Api", "RootResourceId"]}

    def part(path: str, parent: Any = root) -> dict[str, Any]:
        return resource("ApiGateway::Resource", RestApiId=ref("Api"), ParentId=parent, PathPart=path)

    stages = [{"ApiId": ref("Api"), "Stage": ref("Stage")}]
    ours = '{"error":{"code":"$context.error.responseType","message":$context.error.messageString}}'
    return {
        "Api": resource("ApiGateway::RestApi", Name="api", BinaryMediaTypes=["application/octet-stream"]),
        "Health": part("health"),
        "Slow": part("slow"),
        "Models": part("models"),
        "Model": part("{model}", ref("Models")),
        "Predict": part("predict", ref("Model")),
        "GetHealth": _method("Health", verb="GET", needs_key=False),
        "GetSlow": _method("Slow", verb="GET", needs_key=False, TimeoutInMillis=500),
        "PostPredict": _method("Predict", verb="POST", needs_key=True),
        "Deployment": {
            **resource("ApiGateway::Deployment", RestApiId=ref("Api")),
            "DependsOn": ["GetHealth", "GetSlow", "PostPredict"],
        },
        "Stage": resource("ApiGateway::Stage", RestApiId=ref("Api"), StageName="live", DeploymentId=ref("Deployment")),
        "Key": resource("ApiGateway::ApiKey", Enabled=True),
        "Plan": resource("ApiGateway::UsagePlan", ApiStages=stages, Throttle={"RateLimit": 1000, "BurstLimit": 1000}),
        "PlanKey": resource("ApiGateway::UsagePlanKey", KeyId=ref("Key"), KeyType="API_KEY", UsagePlanId=ref("Plan")),
        "SlowKey": resource("ApiGateway::ApiKey", Enabled=True),
        "SlowPlan": resource(
            "ApiGateway::UsagePlan",
            UsagePlanName="slow",
            ApiStages=stages,
            Throttle={"RateLimit": 0.01, "BurstLimit": 2},
        ),
        "SlowPlanKey": resource(
            "ApiGateway::UsagePlanKey", KeyId=ref("SlowKey"), KeyType="API_KEY", UsagePlanId=ref("SlowPlan")
        ),
        "Throttled": resource(
            "ApiGateway::GatewayResponse",
            RestApiId=ref("Api"),
            ResponseType="THROTTLED",
            ResponseParameters={"gatewayresponse.header.Retry-After": "'1'"},
            ResponseTemplates={"application/json": ours},
        ),
        "Full": resource(
            "ApiGateway::GatewayResponse",
            RestApiId=ref("Api"),
            ResponseType="INTEGRATION_FAILURE",
            StatusCode="429",
            ResponseParameters={"gatewayresponse.header.Retry-After": "'1'"},
            ResponseTemplates={"application/json": ours},
        ),
        "Unknown": resource(
            "ApiGateway::GatewayResponse",
            RestApiId=ref("Api"),
            ResponseType="MISSING_AUTHENTICATION_TOKEN",
            StatusCode="404",
            ResponseTemplates={"application/json": ours},
        ),
    }
