"""Is what would be deployed what was agreed: kept, closed, alarmed, and reached as the app says?"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from functions.api import handler
from functions.api.handler import app as chalice_app
from serin.cdk.app import read_context
from serin.cdk.environment import Environment
from tests.golden import check_golden
from tests.infra.conftest import ENVIRONMENTS, Synthesised

GOLDEN = Path(__file__).parent / "golden"
FUNCTIONS_ROOT = Path(__file__).resolve().parents[2] / "functions"
FUNCTIONS = {folder.name for folder in FUNCTIONS_ROOT.iterdir() if folder.is_dir()}
FUNCTIONS -= {"__pycache__"}
WITHOUT_MODELS = {"api", "start_batch", "split_batch", "predict_batch", "close_batch", "summarise"}

# The only permissions that name every resource, or that stand for more than one action: each has its reason.
ANY_RESOURCE = {
    "xray:PutTraceSegments": "X-Ray has no resources to name",
    "xray:PutTelemetryRecords": "X-Ray has no resources to name",
    "xray:GetSamplingRules": "X-Ray has no resources to name",
    "xray:GetSamplingTargets": "X-Ray has no resources to name",
    "logs:CreateLogDelivery": "deliveries of logs have no resources to name",
    "logs:GetLogDelivery": "deliveries of logs have no resources to name",
    "logs:UpdateLogDelivery": "deliveries of logs have no resources to name",
    "logs:DeleteLogDelivery": "deliveries of logs have no resources to name",
    "logs:ListLogDeliveries": "deliveries of logs have no resources to name",
    "logs:PutResourcePolicy": "resource policies of CloudWatch Logs are the account's",
    "logs:DescribeResourcePolicies": "resource policies of CloudWatch Logs are the account's",
    "logs:DescribeLogGroups": "Step Functions asks for all of them",
}


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


# -- what is kept -------------------------------------------------------------------------------------


def test_what_is_stateful_is_never_renamed_nor_replaced(synthesised: dict[str, Synthesised]) -> None:
    """A logical id, a name, or a key or its type that changes here would make CloudFormation make a new, empty one."""
    lines = []
    for name in ENVIRONMENTS:
        for id, resource in synthesised[name].state["Resources"].items():
            properties = resource["Properties"]
            identity = properties.get("BucketName") or properties.get("TableName")
            types = {a["AttributeName"]: a["AttributeType"] for a in properties.get("AttributeDefinitions", [])}
            keys = [
                f"{key['AttributeName']} {key['KeyType']} {types[key['AttributeName']]}"
                for key in properties.get("KeySchema", [])
            ]
            if identity:
                lines.append(" ".join([name, id, resource["Type"], identity, *keys, resource["DeletionPolicy"]]))
    check_golden(GOLDEN / "stateful.txt", "\n".join(lines) + "\n")


@pytest.mark.parametrize("name", ["dev", "staging", "prod"])
def test_what_is_stateful_outlives_its_stack(synthesised: dict[str, Synthesised], name: str) -> None:
    resources = synthesised[name].state["Resources"].values()
    kept = [r for r in resources if r["Type"] in ("AWS::S3::Bucket", "AWS::DynamoDB::Table")]
    assert len(kept) == 3
    assert {(r["DeletionPolicy"], r["UpdateReplacePolicy"]) for r in kept} == {("RetainExceptOnCreate", "Retain")}


def test_what_is_stateful_cannot_be_deleted_by_mistake_in_prod(each: Synthesised) -> None:
    is_prod = each.environment == "prod"
    table = next(r for r in each.state["Resources"].values() if r["Type"] == "AWS::DynamoDB::Table")["Properties"]
    assert table["DeletionProtectionEnabled"] is is_prod
    assert each.is_protected(f"serin-{each.environment}-state") is is_prod
    assert not each.is_protected(f"serin-{each.environment}"), "all of it can be made again"


def test_nothing_stateful_is_held_by_an_export(each: Synthesised) -> None:
    assert "Fn::ImportValue" not in json.dumps(each.service)
    assert "Outputs" not in each.state


def test_buckets_are_versioned_encrypted_and_closed(each: Synthesised) -> None:
    buckets = [r["Properties"] for r in each.state["Resources"].values() if r["Type"] == "AWS::S3::Bucket"]
    for bucket in buckets:
        assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
        closed = bucket["PublicAccessBlockConfiguration"]
        assert closed == dict.fromkeys(
            ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True
        )
        rules = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert rules == [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
    policies = [r["Properties"] for r in each.state["Resources"].values() if r["Type"] == "AWS::S3::BucketPolicy"]
    assert len(policies) == len(buckets) == 2
    for policy in policies:
        insecure = {"Bool": {"aws:SecureTransport": "false"}}
        denied = [s for s in policy["PolicyDocument"]["Statement"] if s.get("Condition") == insecure]
        assert [(s["Effect"], s["Action"], s["Principal"]) for s in denied] == [("Deny", "s3:*", {"AWS": "*"})]


def test_a_model_is_written_once_and_no_function_deletes_it(each: Synthesised) -> None:
    statements = {
        statement.get("Sid"): statement
        for resource in each.state["Resources"].values()
        if resource["Type"] == "AWS::S3::BucketPolicy"
        for statement in resource["Properties"]["PolicyDocument"]["Statement"]
    }
    once, never = statements["WriteOnce"], statements["FunctionsNeverDelete"]
    assert (once["Effect"], once["Action"], once["Principal"]) == ("Deny", "s3:PutObject", {"AWS": "*"})
    assert once["Condition"] == {"Null": {"s3:if-none-match": "true"}, "Bool": {"s3:ObjectCreationOperation": "true"}}
    assert (never["Effect"], never["Action"]) == ("Deny", ["s3:DeleteObject", "s3:DeleteObjectVersion"])
    assert never["Condition"]["ArnLike"]["aws:PrincipalArn"].endswith(f":role/serin-{each.environment}-*")
    for statement in (once, never):
        assert "/models/*" in json.dumps(statement["Resource"])


def test_uploads_are_announced_without_a_custom_resource(each: Synthesised) -> None:
    data = next(
        r for id, r in each.state["Resources"].items() if id.startswith("Data") and r["Type"] == "AWS::S3::Bucket"
    )
    assert data["Properties"]["NotificationConfiguration"] == {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}
    both = [*each.state["Resources"].values(), *each.service["Resources"].values()]
    assert not [r for r in both if r["Type"].startswith("Custom::")]


def test_the_table_can_be_restored(each: Synthesised) -> None:
    table = next(r for r in each.state["Resources"].values() if r["Type"] == "AWS::DynamoDB::Table")["Properties"]
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires", "Enabled": True}


# -- functions ----------------------------------------------------------------------------------------


def test_every_folder_of_functions_is_a_function(each: Synthesised) -> None:
    names = {f["FunctionName"] for f in each.properties("AWS::Lambda::Function")}
    assert names == {f"serin-{each.environment}-{name}" for name in FUNCTIONS}


def test_each_function_has_a_role_of_its_own_and_keeps_its_logs_for_a_while(each: Synthesised) -> None:
    functions = each.properties("AWS::Lambda::Function")
    roles = [f["Role"]["Fn::GetAtt"][0] for f in functions]
    assert len(set(roles)) == len(functions)
    assert not any("ManagedPolicyArns" in role for role in each.properties("AWS::IAM::Role"))
    groups = {g["LogGroupName"]: g["RetentionInDays"] for g in each.properties("AWS::Logs::LogGroup")}
    for function in functions:
        assert groups[f"/aws/lambda/{function['FunctionName']}"] > 0


def test_each_function_has_its_environment(each: Synthesised) -> None:
    for name in FUNCTIONS:
        function = each.function(name)
        variables = function["Environment"]["Variables"]
        assert variables["POWERTOOLS_SERVICE_NAME"] == name
        assert variables["ENVIRONMENT"] == each.environment
        assert variables["SECONDS_PER_PLAN_MINUTE"] == ("1" if each.environment == "local" else "60")
        assert variables["ARRIVAL_SECONDS"] == ("7" if each.environment == "local" else "240")
        assert ("MODELS_PATH" in variables) is (name not in WITHOUT_MODELS)
        assert function["Runtime"] == "python3.13"


def test_layers_are_at_most_five_and_bundled_outside_local(each: Synthesised) -> None:
    counts = {name: len(each.function(name)["Layers"]) for name in FUNCTIONS}
    bundles = 0 if each.environment == "local" else 1
    assert counts == {name: (1 if name in WITHOUT_MODELS else 2) + bundles for name in FUNCTIONS}


def test_no_permission_is_wider_than_it_must_be(each: Synthesised) -> None:
    for policy in each.properties("AWS::IAM::Policy"):
        for statement in policy["PolicyDocument"]["Statement"]:
            actions = listed(statement["Action"])
            assert not [action for action in actions if "*" in action]
            for resource in map(json.dumps, listed(statement["Resource"])):
                if resource == '"*"':
                    assert set(actions) <= ANY_RESOURCE.keys()
                elif "*" in resource:
                    assert re.fullmatch(
                        r'"arn:aws:s3:::serin-[\w-]+/(uploads|receipts|datasets|quarantine|runs|models|batch|batch-work|predictions|captures|captures-failed|summaries|releases|drift)/\*"'
                        r'|"arn:aws:states:[\w-]+:\d{12}:execution:serin-\w+-(training|release):\*"'
                        r'|"arn:aws:states:[\w-]+:\d{12}:execution:serin-\w+-batch/\*"',
                        resource,
                    )


def permitted(each: Synthesised, function: str) -> set[str]:
    """Say which keys a function may read and write, as `read data/uploads/*`."""
    words = {"s3:GetObject": "read", "s3:PutObject": "write"}
    bucket = re.compile("arn:aws:s3:::serin-[a-z]+-([a-z]+)-[^/]*")
    return {
        f"{words[action]} " + bucket.sub(lambda match: match[1], resource)
        for statement in each.statements_of(function)
        for action in listed(statement["Action"])
        if action in words
        for resource in listed(statement["Resource"])
    }


def test_each_function_reaches_its_own_keys_and_no_others(prod: Synthesised) -> None:
    assert {name: permitted(prod, name) for name in FUNCTIONS if permitted(prod, name)} == {
        "validate_data": {
            *("read data/uploads/*", "read data/receipts/*", "read data/datasets/*"),
            *("write data/receipts/*", "write data/datasets/*", "write data/quarantine/*"),
        },
        "tick": {"read data/receipts/*"},
        "train_model": {"read data/datasets/*", "read data/runs/*", "write data/runs/*", "read artifacts/models/*"},
        "evaluate_model": {"read data/runs/*", "write data/runs/*", "read artifacts/models/*"},
        "register_model": {"read data/runs/*", "read artifacts/models/*", "write artifacts/models/*"},
        "advance_release": {
            *("read artifacts/models/*", "read data/summaries/*", "read data/releases/*", "read data/captures/*"),
            "write data/releases/*",
        },
        "api": {"read artifacts/models/*"},
        "start_batch": {
            *("read data/batch/*", "read data/batch-work/*", "read data/predictions/*"),
            *("write data/batch-work/*", "write data/predictions/*"),
        },
        "split_batch": {
            *("read data/batch/*", "read data/batch-work/*", "read artifacts/models/*"),
            *("write data/batch-work/*", "write data/predictions/*"),
        },
        "predict_batch": {
            *("read data/batch-work/*", "read artifacts/models/*"),
            *("write data/batch-work/*", "write data/predictions/*"),
        },
        "close_batch": {"read data/batch-work/*", "read data/predictions/*", "write data/predictions/*"},
        "summarise": {"read data/captures/*", "read artifacts/models/*", "write data/summaries/*"},
        "check_drift": {"read data/summaries/*", "read artifacts/models/*", "write data/drift/*"},
    }


def test_who_reads_objects_is_told_that_one_is_missing(prod: Synthesised) -> None:
    """Without s3:ListBucket, S3 answers 403 for a key that does not exist."""
    readers = (
        "validate_data",
        "train_model",
        "evaluate_model",
        "register_model",
        "advance_release",
        "api",
        "summarise",
        "check_drift",
    )
    for name in readers:
        lists = [s for s in prod.statements_of(name) if "s3:ListBucket" in listed(s["Action"])]
        assert lists, name
        assert all(set(s["Condition"]) == {"StringLikeIfExists"} for s in lists)


@pytest.mark.parametrize("function", sorted(FUNCTIONS - {"split_batch", "close_batch"}))
def test_who_only_reads_the_table_may_only_read_it(prod: Synthesised, function: str) -> None:
    actions = {action for statement in prod.statements_of(function) for action in listed(statement["Action"])}
    expected = {"dynamodb:GetItem"}
    if function in ("train_model", "evaluate_model"):  # which look at all datasets and versions of a model
        expected |= {"dynamodb:Query"}
    elif function not in ("api", "start_batch", "summarise"):
        expected |= {"dynamodb:Query", "dynamodb:PutItem"}
    assert {action for action in actions if action.startswith("dynamodb:")} == expected


def test_who_changes_releases_may_tell_programs_and_people_and_no_one_else_puts_events(prod: Synthesised) -> None:
    may = {
        name: {action for statement in prod.statements_of(name) for action in listed(statement["Action"])}
        for name in FUNCTIONS - {"close_batch"}
    }
    assert {name for name, actions in may.items() if "events:PutEvents" in actions} == {
        file.parent.name
        for file in FUNCTIONS_ROOT.glob("*/handler.py")
        if re.search("ReleaseStarter|releaser_in", file.read_text())
    }
    assert not [name for name, actions in may.items() if "events:PutEvents" in actions and "sns:Publish" not in actions]


def test_the_api_only_reads(prod: Synthesised) -> None:
    actions = {action for statement in prod.statements_of("api") for action in listed(statement["Action"])}
    assert not [a for a in actions if a.startswith(("s3:Put", "sqs:", "sns:", "states:"))]


# -- queues, alarms -----------------------------------------------------------------------------------


def test_every_queue_sets_aside_what_fails_and_waits_longer_than_its_reader(each: Synthesised) -> None:
    queues = each.of_type("AWS::SQS::Queue")
    mappings = each.properties("AWS::Lambda::EventSourceMapping")
    functions = each.of_type("AWS::Lambda::Function")
    assert len(mappings) == 4
    for mapping in mappings:
        queue = queues[mapping["EventSourceArn"]["Fn::GetAtt"][0]]["Properties"]
        reader = functions[mapping["FunctionName"]["Ref"]]["Properties"]
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert queue["RedrivePolicy"]["maxReceiveCount"] == 4
        assert reader["Environment"]["Variables"]["TRIES"] == "4"
        assert queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0] in queues
        times = 1 if each.environment == "local" else 6
        assert queue["VisibilityTimeout"] >= times * reader["Timeout"]
        role = each.statements_of(reader["FunctionName"].removeprefix(f"serin-{each.environment}-"))
        assert any("sqs:ChangeMessageVisibility" in listed(statement["Action"]) for statement in role)


def test_queues_are_encrypted_with_a_key_under_which_eventbridge_may_write(each: Synthesised) -> None:
    for queue in each.properties("AWS::SQS::Queue"):
        assert queue["SqsManagedSseEnabled"] is True
        assert "KmsMasterKeyId" not in queue


def test_people_are_told_of_what_waits_or_failed(each: Synthesised) -> None:
    alarms = {
        a["AlarmName"].removeprefix(f"serin-{each.environment}-"): a for a in each.properties("AWS::CloudWatch::Alarm")
    }
    assert alarms.keys() == {
        *("uploads-dead-letters", "training-dead-letters", "training-failed", "release-failed", "tick-failed"),
        *("batches-dead-letters", "batch-failed"),
        *("uploads-waiting", "training-waiting", "batches-waiting", "captures-waiting"),
        *("captures-dead-letters", "captures-late", "captures-lost"),
        *("no-answer", "degraded", "api-failed", "challenger-fault", "capture-lost"),
        "check_drift-failed",
    }
    topic = next(iter(each.of_type("AWS::SNS::Topic")))
    for name, alarm in alarms.items():
        above = 900 if name == "captures-late" or name.endswith("-waiting") else 0
        assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (above, "GreaterThanThreshold")
        # A challenger's fault is no failed request: it is news for the release, not for people.
        assert alarm.get("AlarmActions") == (None if name == "challenger-fault" else [{"Ref": topic}])
    queues = {
        q["Properties"]["QueueName"].removeprefix(f"serin-{each.environment}-"): id
        for id, q in each.of_type("AWS::SQS::Queue").items()
    }
    for name, alarm in alarms.items():
        if name.endswith(("-dead-letters", "-waiting")):
            is_late, dead = name.endswith("-waiting"), "ApproximateNumberOfMessagesVisible"
            assert alarm["MetricName"] == ("ApproximateAgeOfOldestMessage" if is_late else dead)
            watched = alarm["Dimensions"][0]["Value"]["Fn::GetAtt"][0]
            assert watched == queues.pop(name.removesuffix("-waiting"))
    assert not queues, "every queue is watched"


def test_an_alarm_of_the_endpoint_triggers_a_turn_and_does_nothing_else(each: Synthesised) -> None:
    alarms = each.of_type("AWS::CloudWatch::Alarm")
    rules = [r for r in each.properties("AWS::Events::Rule") if r.get("EventPattern", {}).get("source") != ["aws.s3"]]
    (rule,) = [rule for rule in rules if "EventPattern" in rule]
    pattern = rule["EventPattern"]
    assert pattern["source"] == ["aws.cloudwatch"]
    assert (pattern["detail-type"], pattern["detail"]) == (
        ["CloudWatch Alarm State Change"],
        {"state": {"value": ["ALARM"]}},
    )
    rings = [alarms[arn["Fn::GetAtt"][0]]["Properties"]["AlarmName"] for arn in pattern["resources"]]
    assert rings == [f"serin-{each.environment}-{name}" for name in ("no-answer", "api-failed", "challenger-fault")]
    (target,) = rule["Targets"]
    function = each.of_type("AWS::Lambda::Function")[target["Arn"]["Fn::GetAtt"][0]]["Properties"]
    assert function["FunctionName"] == f"serin-{each.environment}-advance_release"
    assert "InputTransformer" not in target, "the function reads the event as it is"


# -- captures -----------------------------------------------------------------------------------------


def destination(each: Synthesised) -> dict[str, Any]:
    (stream,) = each.properties("AWS::KinesisFirehose::DeliveryStream")
    assert stream["DeliveryStreamEncryptionConfigurationInput"] == {"KeyType": "AWS_OWNED_CMK"}
    found: dict[str, Any] = stream["ExtendedS3DestinationConfiguration"]
    return found


def test_capture_lines_of_the_api_and_nothing_else_go_to_firehose(each: Synthesised) -> None:
    (subscription,) = each.properties("AWS::Logs::SubscriptionFilter")
    assert subscription["FilterPattern"] == '{ ($.serin = "capture") || ($.serin = "feedback") }'
    group = each.of_type("AWS::Logs::LogGroup")[subscription["LogGroupName"]["Ref"]]["Properties"]
    assert group["LogGroupName"] == f"/aws/lambda/serin-{each.environment}-api"
    (stream,) = each.of_type("AWS::KinesisFirehose::DeliveryStream")
    assert subscription["DestinationArn"] == {"Fn::GetAtt": [stream, "Arn"]}


def test_captures_are_objects_of_lines_by_the_hour(each: Synthesised) -> None:
    told = destination(each)
    assert told["Prefix"] == "captures/dt=!{timestamp:yyyy-MM-dd}/hour=!{timestamp:HH}/"
    assert told["ErrorOutputPrefix"].startswith("captures-failed/!{firehose:error-output-type}/")
    assert (told["CompressionFormat"], told["FileExtension"]) == ("GZIP", ".jsonl.gz")
    processors = told["ProcessingConfiguration"]["Processors"]
    assert [each["Type"] for each in processors] == [
        *("Decompression", "CloudWatchLogProcessing", "AppendDelimiterToRecord")
    ]
    seconds = told["BufferingHints"]["IntervalInSeconds"]
    assert seconds == (1 if each.environment == "local" else 60)


def test_what_could_not_be_delivered_is_logged_for_a_while(each: Synthesised) -> None:
    told = destination(each)["CloudWatchLoggingOptions"]
    group = each.of_type("AWS::Logs::LogGroup")[told["LogGroupName"]["Ref"]]["Properties"]
    assert group["RetentionInDays"] > 0
    stream = each.of_type("AWS::Logs::LogStream")[told["LogStreamName"]["Ref"]]["Properties"]
    assert stream["LogGroupName"] == told["LogGroupName"]


def test_firehose_writes_captures_only_and_logs_may_only_send_to_it(prod: Synthesised) -> None:
    delivery = destination(prod)["RoleARN"]["Fn::GetAtt"][0]
    may = {
        (action, json.dumps(resource))
        for statement in prod.statements_of_role(delivery)
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    }
    bucket = "arn:aws:s3:::serin-prod-data-000000000000-eu-west-1"
    written = {json.loads(resource) for action, resource in may if action == "s3:PutObject"}
    assert written == {f"{bucket}/captures/*", f"{bucket}/captures-failed/*"}
    assert not [action for action, _ in may if "Delete" in action]

    (subscription,) = prod.properties("AWS::Logs::SubscriptionFilter")
    (statement,) = prod.statements_of_role(subscription["RoleArn"]["Fn::GetAtt"][0])
    assert statement["Action"] == ["firehose:PutRecord", "firehose:PutRecordBatch"]
    assert statement["Resource"] == subscription["DestinationArn"]


def test_only_our_own_streams_and_log_groups_use_their_roles(each: Synthesised) -> None:
    roles = [statement for role in each.properties("AWS::IAM::Role") for statement in assumed(role)]
    conditions = {statement["Principal"]["Service"]: statement.get("Condition") for statement in roles}
    (account,) = re.findall(r"\d{12}", destination(each)["BucketARN"])
    assert conditions["firehose.amazonaws.com"] == {"StringEquals": {"sts:ExternalId": account}}
    assert conditions["logs.amazonaws.com"] == {"StringLike": {"aws:SourceArn": f"arn:aws:logs:eu-west-1:{account}:*"}}


def assumed(role: dict[str, Any]) -> list[dict[str, Any]]:
    return list(role["AssumeRolePolicyDocument"]["Statement"])


def test_nothing_outlives_its_days_in_any_version(each: Synthesised) -> None:
    """What expires becomes an old version, and is gone only when that expires too."""
    days = Environment.read(each.environment, context=read_context(FUNCTIONS_ROOT.parent), default_account=None).days
    resources = each.state["Resources"]
    data = next(r for id, r in resources.items() if id.startswith("Data") and r["Type"] == "AWS::S3::Bucket")
    tidy, *rules = data["Properties"]["LifecycleConfiguration"]["Rules"]
    assert tidy["NoncurrentVersionExpiration"] == {"NoncurrentDays": days.old_versions}
    gone_after = {
        rule["Prefix"]: rule["ExpirationInDays"] + rule["NoncurrentVersionExpiration"]["NoncurrentDays"]
        for rule in rules
    }
    assert gone_after == {
        **dict.fromkeys(("uploads/", "quarantine/"), days.uploads),
        "runs/": days.runs,
        **dict.fromkeys(("batch/", "batch-work/", "predictions/"), days.batches),
        **dict.fromkeys(("captures/", "captures-failed/", "releases/"), days.captures),
        "summaries/": days.summaries,
    }


def test_captures_lie_in_the_log_of_the_endpoint_no_longer_than_they_are_kept(each: Synthesised) -> None:
    days = Environment.read(each.environment, context=read_context(FUNCTIONS_ROOT.parent), default_account=None).days
    groups = {g["LogGroupName"]: g["RetentionInDays"] for g in each.properties("AWS::Logs::LogGroup")}
    kept = groups[f"/aws/lambda/serin-{each.environment}-api"]
    assert kept == days.endpoint_logs
    assert kept <= min(days.captures, 30)


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        *(("no-answer", "NoAnswer"), ("degraded", "Degraded")),
        *(("challenger-fault", "ChallengerFault"), ("capture-lost", "CaptureLost")),
    ],
)
def test_an_alarm_watches_what_the_endpoint_of_its_environment_reports(
    each: Synthesised, name: str, metric: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The alarm watches the very metric that the function emits: an alarm on another one would never ring."""
    full = f"serin-{each.environment}-{name}"
    (alarm,) = [a for a in each.properties("AWS::CloudWatch::Alarm") if a["AlarmName"] == full]
    monkeypatch.setenv(
        "POWERTOOLS_METRICS_NAMESPACE", each.function("api")["Environment"]["Variables"]["POWERTOOLS_METRICS_NAMESPACE"]
    )
    handler.report(metric, "CODE", "a reason")
    (emitted,) = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    (said,) = emitted["_aws"]["CloudWatchMetrics"]
    assert (alarm["Namespace"], alarm["MetricName"]) == (said["Namespace"], said["Metrics"][0]["Name"])
    (names,) = said["Dimensions"]
    assert alarm["Dimensions"] == [{"Name": name, "Value": emitted[name]} for name in names]


def test_no_two_environments_of_an_account_watch_one_metric(synthesised: dict[str, Synthesised]) -> None:
    watched = [
        (
            alarm["Namespace"],
            alarm["MetricName"],
            *(name_of(synthesised[name], d["Value"]) for d in alarm["Dimensions"]),
        )
        for name in ("dev", "staging", "prod")
        for alarm in synthesised[name].properties("AWS::CloudWatch::Alarm")
    ]
    assert len(watched) == len(set(watched))


def name_of(each: Synthesised, value: Any) -> str:
    """Name what a template refers to as it is called once deployed."""
    if isinstance(value, str):
        return value
    (refers,) = value.values()
    properties = each.service["Resources"][refers if isinstance(refers, str) else refers[0]]["Properties"]
    return next(str(named) for key, named in properties.items() if key.endswith("Name"))


def test_alarms_may_publish_to_the_topic(each: Synthesised) -> None:
    (topic,) = each.properties("AWS::SNS::Topic")
    assert "KmsMasterKeyId" not in topic  # CloudWatch could not publish under the key that AWS manages
    (policy,) = each.properties("AWS::SNS::TopicPolicy")
    allowed = [s for s in policy["PolicyDocument"]["Statement"] if s["Effect"] == "Allow"]
    assert [(s["Principal"], s["Action"]) for s in allowed] == [
        ({"Service": "cloudwatch.amazonaws.com"}, "sns:Publish")
    ]


# -- HTTP ---------------------------------------------------------------------------------------------


def served(each: Synthesised) -> set[tuple[str, str, bool]]:
    """List path, method and whether a key is asked for, as the template has them."""
    resources = each.of_type("AWS::ApiGateway::Resource")

    def path(id: str) -> str:
        properties = resources[id]["Properties"]
        parent = properties["ParentId"].get("Ref")
        return f"{path(parent) if parent else ''}/{properties['PathPart']}"

    return {
        (path(m["ResourceId"]["Ref"]), m["HttpMethod"], m["ApiKeyRequired"])
        for m in each.properties("AWS::ApiGateway::Method")
    }


def test_the_resources_of_the_api_are_the_routes_of_the_app(each: Synthesised) -> None:
    assert served(each) == {
        (path, method, bool(route.api_key_required))
        for path, methods in chalice_app.routes.items()
        for method, route in methods.items()
    }
    assert {m["Integration"]["Type"] for m in each.properties("AWS::ApiGateway::Method")} == {"AWS_PROXY"}


def test_only_what_says_that_it_is_there_is_answered_without_a_key(each: Synthesised) -> None:
    without = {path for path, _, key in served(each) if not key}
    assert without == {"/health", "/v2", "/v2/health/live", "/v2/health/ready"}


def test_what_the_gateway_refuses_looks_like_what_the_app_refuses(each: Synthesised) -> None:
    responses = {r["ResponseType"]: r for r in each.properties("AWS::ApiGateway::GatewayResponse")}
    for response in responses.values():
        template = response["ResponseTemplates"]["application/json"]
        body = json.loads(template.replace("$context.error.messageString", '"a message"'))
        assert body.keys() == {"error"}
        assert body["error"].keys() == {"code", "message"}
    for kind, status in [
        *(("INVALID_API_KEY", "403"), ("MISSING_AUTHENTICATION_TOKEN", "404"), ("REQUEST_TOO_LARGE", "413")),
        *(("THROTTLED", "429"), ("INTEGRATION_FAILURE", "429"), ("INTEGRATION_TIMEOUT", "504")),
    ]:
        assert responses[kind]["StatusCode"] == status
    for kind, response in responses.items():
        if response.get("StatusCode") == "429":
            assert "gatewayresponse.header.Retry-After" in response["ResponseParameters"], kind


def test_a_key_has_a_limit(each: Synthesised) -> None:
    (plan,) = each.properties("AWS::ApiGateway::UsagePlan")
    assert plan["Throttle"]["RateLimit"] > 0
    (stage,) = each.properties("AWS::ApiGateway::Stage")
    assert stage["MethodSettings"][0]["ThrottlingRateLimit"] == plan["Throttle"]["RateLimit"]
    assert len(each.of_type("AWS::ApiGateway::UsagePlanKey")) == 1


# -- the whole ----------------------------------------------------------------------------------------


def test_the_outputs_are_those_that_the_command_line_reads(each: Synthesised) -> None:
    assert list(each.service["Outputs"]) == [
        *("ApiUrl", "ApiKeyId", "DataBucket", "ArtifactsBucket", "Table", "TrainingQueueUrl", "UploadsQueueUrl"),
        *("BatchesQueueUrl",),
        *("TrainingWorkflowArn", "ReleaseWorkflowArn", "TopicArn"),
    ]


def test_what_prod_is_made_of_is_what_was_agreed(prod: Synthesised) -> None:
    lines = []
    for template in (prod.state, prod.service):
        for id, resource in sorted(template["Resources"].items()):
            properties = resource.get("Properties", {})
            name = next((str(v) for k, v in properties.items() if k.endswith("Name") and isinstance(v, str)), "")
            if resource["Type"] == "AWS::ApiGateway::Deployment":
                id = "(changes with the routes)"
            lines.append(f"{resource['Type']} {id} {name}".rstrip())
    check_golden(GOLDEN / "prod.txt", "\n".join(lines) + "\n")


def test_cfn_lint_finds_nothing(synthesised: dict[str, Synthesised]) -> None:
    templates = [str(file) for each in synthesised.values() for file in each.folder.glob("*.template.json")]
    assert len(templates) == 2 * len(ENVIRONMENTS)
    lint = [str(Path(sys.executable).parent / "cfn-lint"), *templates]
    found = subprocess.run(lint, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")
