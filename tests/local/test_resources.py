"""Is what the template says about a resource really so in the twin?"""

import pytest
from botocore.exceptions import ClientError

from serin.local.errors import UnknownStack


def test_a_bucket_has_its_versioning_and_lifecycle(aws):
    assert aws("s3").get_bucket_versioning(Bucket="inbox")["Status"] == "Enabled"
    rules = aws("s3").get_bucket_lifecycle_configuration(Bucket="inbox")["Rules"]
    assert [(rule["ID"], rule["Prefix"], rule["Expiration"]) for rule in rules] == [("old", "tmp/", {"Days": 7})]


def test_an_alarm_is_kept_with_its_dimensions(aws):
    (alarm,) = aws("cloudwatch").describe_alarms(AlarmNames=["dead-letters"])["MetricAlarms"]
    assert alarm["Dimensions"] == [{"Name": "QueueName", "Value": "dead"}]


def test_everything_belongs_to_the_assemblys_account(aws, twin):
    assert aws("sts").get_caller_identity()["Account"] == twin.account == "111122223333"
    assert aws("lambda").get_function(FunctionName="probe")["Configuration"]["FunctionArn"].split(":")[3:5] == [
        twin.region,
        twin.account,
    ]


def test_a_queues_url_leads_to_the_twin(twin):
    assert twin.outputs["JobsUrl"] == f"{twin.endpoint_url}/{twin.account}/jobs"


def test_the_aws_cli_is_pointed_at_the_twin(twin):
    assert twin.environment["AWS_ENDPOINT_URL"] == twin.endpoint_url
    assert twin.environment["AWS_REGION"] == "eu-west-1"


def test_stacks_can_be_described(aws):
    stacks = aws("cloudformation").describe_stacks()["Stacks"]
    assert {stack["StackName"]: stack["StackStatus"] for stack in stacks} == {
        "ledger": "CREATE_COMPLETE",
        "work": "CREATE_COMPLETE",
    }


def test_an_object_that_is_there_is_not_put_again(aws):
    aws("s3").put_object(Bucket="inbox", Key="once", Body=b"1", IfNoneMatch="*")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        aws("s3").put_object(Bucket="inbox", Key="once", Body=b"2", IfNoneMatch="*")


def test_the_outputs_of_a_stack_are_its_own(twin):
    assert twin.outputs_of("ledger") == {"Table": "ledger"}
    assert "Table" not in twin.outputs_of("work")
    with pytest.raises(UnknownStack, match="no stack nowhere, but ledger, work"):
        twin.outputs_of("nowhere")
