"""Does an app that has other stacks take Serin in, under a prefix of its own, on AWS as on the twin?"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from serin.local.twin import Twin
from tests.infra.conftest import ROOT

APP = """
from pathlib import Path

from serin.cdk import Serin  # first: it brings the Node that aws_cdk asks for

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3

app = cdk.App()

shop = cdk.Stack(app, "Shop")  # in whatever account and region
bucket = s3.Bucket(shop, "Orders", bucket_name="orders")
cdk.CfnOutput(shop, "DataBucket", value=bucket.bucket_name)  # as Serin calls one of its own
cdk.CfnOutput(shop, "OrdersArn", value=bucket.bucket_arn)

serin = Serin(app, "Serin", project=Path())

here = cdk.Environment(account=serin.environment.account, region=serin.environment.region)
pipeline = cdk.Stack(app, "Pipeline", env=here)
role = iam.Role(pipeline, "Role", assumed_by=iam.ServicePrincipal("glue.amazonaws.com"))
s3.Bucket.from_bucket_name(pipeline, "Uploads", serin.environment.data_bucket).grant_put(role, "uploads/*")
serin.service.training.queue.queue.grant_send_messages(role)
serin.service.endpoint.http.key.grant_read(role)

app.synth()
"""


@pytest.fixture(scope="module")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `python app.py` leaves behind in a project of somebody else's."""
    project = tmp_path_factory.mktemp("shop")
    (project / "app.py").write_text(APP)
    settings = json.loads((ROOT / "cdk.json").read_text())
    settings["context"]["defaults"] = {"prefix": "shop", "tags": {"team": "shop"}}
    (project / "cdk.json").write_text(json.dumps(settings))
    (project / "models" / "loans").mkdir(parents=True)
    contract = "model: loans\ntask: classification\ntarget: approved\nfeatures: {age: {type: number}}\n"
    (project / "models" / "loans" / "model.yaml").write_text(contract)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CDK_")}
    told = {"CDK_OUTDIR": str(project / "cdk.out"), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "app.py"]
    done = subprocess.run(command, cwd=project, env=inherited | told, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return project / "cdk.out"


@pytest.fixture(scope="module")
def twin(assembly: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twin]:
    with Twin(assembly, state=tmp_path_factory.mktemp("state")) as twin:
        yield twin


def client(twin: Twin, service: str) -> Any:
    session = boto3.session.Session("twin", "twin", region_name=twin.region)
    return session.client(service, endpoint_url=twin.endpoint_url)


def stacks(assembly: Path) -> dict[str, Any]:
    """Read the templates, by the names under which they are deployed."""
    artifacts = json.loads((assembly / "manifest.json").read_text())["artifacts"]
    return {
        artifact["properties"].get("stackName", id): json.loads(
            (assembly / artifact["properties"]["templateFile"]).read_text()
        )
        for id, artifact in artifacts.items()
        if artifact["type"] == "aws:cloudformation:stack"
    }


def test_serins_stacks_are_called_as_in_an_app_of_its_own(assembly: Path) -> None:
    assert stacks(assembly).keys() == {"Shop", "Pipeline", "shop-local", "shop-local-state"}


def test_the_flags_of_cdk_json_hold_without_the_cdks_command_line(assembly: Path) -> None:
    service = stacks(assembly)["shop-local"]
    assert "AWS::ApiGateway::Account" not in {resource["Type"] for resource in service["Resources"].values()}


def test_what_stands_beside_serin_runs_on_the_twin_too(twin: Twin) -> None:
    buckets = [bucket["Name"] for bucket in client(twin, "s3").list_buckets()["Buckets"]]
    assert sorted(buckets) == [
        "orders",
        *(f"shop-local-{name}-123456789012-eu-west-1" for name in ("artifacts", "data")),
    ]
    assert (twin.account, twin.region) == ("123456789012", "eu-west-1")


def test_outputs_are_told_apart_by_their_stacks(twin: Twin) -> None:
    assert twin.outputs_of("Shop") == {"DataBucket": "orders", "OrdersArn": "arn:aws:s3:::orders"}
    assert twin.outputs_of("shop-local")["DataBucket"] == "shop-local-data-123456789012-eu-west-1"
    assert "DataBucket" not in twin.outputs, "of two, neither is the one"
    assert twin.outputs["Table"] == "shop-local"


def test_what_the_app_was_granted_is_serins_own(assembly: Path) -> None:
    resources = stacks(assembly)["Pipeline"]["Resources"].values()
    (policy,) = [resource["Properties"] for resource in resources if resource["Type"] == "AWS::IAM::Policy"]
    granted = {
        json.dumps(statement["Action"]): json.dumps(statement) for statement in policy["PolicyDocument"]["Statement"]
    }
    (put,) = [statement for action, statement in granted.items() if "s3:PutObject" in action]
    (send,) = [statement for action, statement in granted.items() if "sqs:SendMessage" in action]
    (read,) = [statement for action, statement in granted.items() if "apigateway:GET" in action]
    assert "shop-local-data-123456789012-eu-west-1/uploads/*" in put
    assert "TrainingQueue" in send
    assert "ApiKey" in read


def test_serin_answers_under_another_prefix(twin: Twin) -> None:
    outputs = twin.outputs_of("shop-local")
    key = client(twin, "apigateway").get_api_key(apiKey=outputs["ApiKeyId"], includeValue=True)["value"]
    request = urllib.request.Request(
        outputs["ApiUrl"].rstrip("/") + "/models/loans/predict",
        data=b'{"rows": [{"age": 41}]}',
        headers={"x-api-key": key, "content-type": "application/json"},
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=30)
    answer = json.load(refused.value)["error"]
    assert answer["code"] == "NO_CHAMPION", "it has read its table, in which no version stands yet"
