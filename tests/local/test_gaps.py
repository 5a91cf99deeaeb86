"""The gaps of moto that the twin closes. When one of these fails, moto has closed it: remove ours."""

import gzip
import inspect
import json
import socket
import time
from urllib.parse import urlparse

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError
from moto import mock_aws
from moto.awslambda.models import LayerVersion
from moto.cloudformation import parsing
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.table import Table
from moto.events.models import Rule
from moto.sqs.models import Queue
from moto.stepfunctions.parser.models import StepFunctionsParserBackend

from serin.local.assembly import Stack
from serin.local.errors import UnsupportedResource
from serin.local.resources import stacks
from tests.local.assemblies import ref, resource

REGION = "eu-west-1"


def test_moto_has_no_such_types():
    made_here = {
        "AWS::S3::BucketPolicy",
        "AWS::SNS::Subscription",
        "AWS::ApiGateway::Stage",
        "AWS::ApiGateway::ApiKey",
        "AWS::ApiGateway::UsagePlan",
        "AWS::ApiGateway::UsagePlanKey",
        "AWS::ApiGateway::GatewayResponse",
        "AWS::CloudWatch::Alarm",
        "AWS::KinesisFirehose::DeliveryStream",
        "AWS::Logs::LogStream",
        "AWS::Logs::SubscriptionFilter",
    }
    known_to_moto = {model.cloudformation_type() for model in parsing.get_model_list()}
    assert not made_here & known_to_moto


def test_a_type_that_nobody_makes_is_an_error_that_names_it():
    stack = Stack("only", {"Resources": {"Qubits": {"Type": "AWS::Braket::Quantum"}, "Q": {"Type": "AWS::SQS::Queue"}}})
    with pytest.raises(UnsupportedResource, match=r"stack only: the twin cannot make AWS::Braket::Quantum \(Qubits\)"):
        stacks.check_types(stack, known=parsing.get_model_map())


def test_every_type_that_is_not_made_has_a_reason():
    assert all(len(reason) > 10 for reason in stacks.NOT_MADE.values())


def test_moto_cannot_refer_to_a_layer():
    assert not hasattr(LayerVersion, "physical_resource_id")


def test_moto_keeps_every_object_it_made():
    before = len(Queue.instances_tracked)
    Queue("q", REGION, "123456789012")
    assert len(Queue.instances_tracked) == before + 1


def test_moto_copies_whole_tables_for_a_transaction():
    assert not hasattr(Table, "__deepcopy__")
    assert "copy.deepcopy(" in inspect.getsource(DynamoDBBackend.transact_write_items)


def test_moto_gives_queues_urls_of_aws():
    assert Queue("q", REGION, "123456789012").physical_resource_id.startswith("https://sqs.")


def test_moto_names_what_has_no_name_differently_each_time():
    names = {parsing.generate_resource_name("AWS::SQS::Queue", "stack", "Queue") for _ in range(2)}
    assert len(names) == 2


@mock_aws
def test_moto_makes_what_is_exported_before_what_it_depends_on():
    root = {"Fn::GetAtt": ["Api", "RootResourceId"]}
    integration = {"Type": "MOCK"}
    template = {
        "Resources": {
            "Api": resource("ApiGateway::RestApi", Name="api"),
            "Get": resource(
                "ApiGateway::Method",
                RestApiId=ref("Api"),
                ResourceId=root,
                HttpMethod="GET",
                AuthorizationType="NONE",
                Integration=integration,
            ),
            "Deployment": {**resource("ApiGateway::Deployment", RestApiId=ref("Api")), "DependsOn": ["Get"]},
        },
        "Outputs": {"Deployment": {"Value": ref("Deployment"), "Export": {"Name": "deployment"}}},
    }
    client = boto3.client("cloudformation", region_name=REGION)
    with pytest.raises(ResponseParserError, match="contain any methods"):
        client.create_stack(StackName="s", TemplateBody=json.dumps(template))


def test_moto_deletes_a_message_by_building_a_new_list():
    queue = Queue("q", REGION, "123456789012")
    before = queue._messages
    from moto.sqs.models import Message

    message = Message("id", "body")
    message.receipt_handle = "handle"
    queue.add_message(message)
    queue.delete_message("handle")
    assert queue._messages is not before


@mock_aws
def test_moto_drops_what_a_template_says_about_a_bucket():
    bucket = {
        "Type": "AWS::S3::Bucket",
        "Properties": {"BucketName": "bucket", "VersioningConfiguration": {"Status": "Enabled"}},
    }
    client = boto3.client("cloudformation", region_name=REGION)
    client.create_stack(StackName="s", TemplateBody=json.dumps({"Resources": {"B": bucket}}))
    assert "Status" not in boto3.client("s3", region_name=REGION).get_bucket_versioning(Bucket="bucket")


@mock_aws
def test_moto_ignores_the_conditions_of_a_bucket_policy():
    client = boto3.client("s3", region_name="us-east-1")
    client.create_bucket(Bucket="bucket")
    deny = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": "arn:aws:s3:::bucket/*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},  # and this is https
    }
    client.put_bucket_policy(Bucket="bucket", Policy=json.dumps({"Version": "2012-10-17", "Statement": [deny]}))
    with pytest.raises(ClientError, match="Forbidden"):
        client.put_object(Bucket="bucket", Key="k", Body=b"")


def test_moto_sends_no_event_of_a_rule_to_a_function():
    target = {"Id": "t", "Arn": f"arn:aws:lambda:{REGION}:123456789012:function:f"}
    rule = Rule("r", "123456789012", REGION, None, '{"source": ["me"]}', None, None, "default", None, targets=[target])
    with pytest.raises(NotImplementedError):
        rule.send_to_targets({"source": "me"}, transform_input=False)


@mock_aws
def test_moto_never_looks_at_an_alarm():
    client = boto3.client("cloudwatch", region_name=REGION)
    said = {"MetricName": "n", "Namespace": "s", "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1}
    client.put_metric_alarm(AlarmName="a", ComparisonOperator="GreaterThanThreshold", Threshold=0, **said)
    client.put_metric_data(Namespace="s", MetricData=[{"MetricName": "n", "Value": 1}])
    assert client.describe_alarms(AlarmNames=["a"])["MetricAlarms"][0]["StateValue"] == "OK"


@mock_aws
def test_moto_neither_filters_lines_nor_delivers_them_as_told():
    firehose, logs, s3 = (boto3.client(name, region_name="us-east-1") for name in ("firehose", "logs", "s3"))
    s3.create_bucket(Bucket="bucket")
    made = firehose.create_delivery_stream(
        DeliveryStreamName="pipe",
        ExtendedS3DestinationConfiguration={
            "BucketARN": "arn:aws:s3:::bucket",
            "RoleARN": "arn:aws:iam::123456789012:role/r",
            "Prefix": "dt=!{timestamp:yyyy}/",
            "ProcessingConfiguration": {"Enabled": True, "Processors": [{"Type": "Decompression", "Parameters": []}]},
        },
    )
    logs.create_log_group(logGroupName="group")
    logs.create_log_stream(logGroupName="group", logStreamName="stream")
    logs.put_subscription_filter(
        logGroupName="group",
        filterName="filter",
        filterPattern='{ $.kind = "kept" }',
        destinationArn=made["DeliveryStreamARN"],
        roleArn="arn:aws:iam::123456789012:role/r",
    )
    event = {"timestamp": int(time.time() * 1000), "message": "START"}
    logs.put_log_events(logGroupName="group", logStreamName="stream", logEvents=[event])
    (found,) = s3.list_objects_v2(Bucket="bucket")["Contents"]
    assert found["Key"].startswith("dt=!{timestamp:yyyy}/")
    content = s3.get_object(Bucket="bucket", Key=found["Key"])["Body"].read()
    assert json.loads(gzip.decompress(content))["logEvents"][0]["message"] == "START"


def test_moto_runs_no_two_unnamed_executions(monkeypatch):
    backend = StepFunctionsParserBackend(REGION, "123456789012")
    definition = json.dumps({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 1, "End": True}}})
    machine = backend.create_state_machine("m", definition, "arn:aws:iam::123456789012:role/r")
    first = backend.start_execution(machine.arn, execution_input="{}")
    assert backend.start_execution(machine.arn, execution_input="{}") is first


def test_a_client_that_asks_whether_to_go_on_is_told_at_once(twin):
    url = urlparse(twin.endpoint_url)
    head = f"PUT /inbox/asked HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n"
    with socket.create_connection((url.hostname, url.port), timeout=10) as connection:
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 100 Continue"), "before a byte of the body was sent"
        connection.sendall(b"x")
        assert b" 200 " in connection.recv(1000)
