"""Destroying an environment says first what goes and what stays, and does just that."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from serin.cli.commands.arguments import confirm
from serin.cli.endings import plan_destruction, run_destruction, tell_destruction
from serin.cli.show import Output
from serin.client.project import AskedWrongly, Project
from serin.errors import Refused, SerinError, Unavailable

ROOT = Path(__file__).parents[2]
ACCOUNT, REGION = "123456789012", "eu-west-1"


def a_project(folder: Path, **settings: Any) -> Project:
    """A project whose environment `dev` is of moto's account."""
    cdk = json.loads((ROOT / "cdk.json").read_text())
    cdk["context"]["environments"]["dev"].update({"account": ACCOUNT, "region": REGION, **settings})
    (folder / "cdk.json").write_text(json.dumps(cdk))
    return Project(folder)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield


class Cdk:
    """What stands in for the CDK's command line. status: with which it ends."""

    def __init__(self, status: int = 0) -> None:
        self.status, self.commands = status, list[str]()

    def __call__(self, command: list[str], **_: Any) -> subprocess.CompletedProcess[Any]:
        self.commands.append(" ".join(command[command.index("--") + 1 :]))
        return subprocess.CompletedProcess(command, self.status)


def make_stateful(names: tuple[str, ...]) -> Any:
    """Make buckets, with what was overwritten and what was deleted, and the table. Gives the client of buckets."""
    s3, dynamodb = boto3.client("s3", region_name=REGION), boto3.client("dynamodb", region_name=REGION)
    *buckets, table = names
    for bucket in buckets:
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        for _ in range(2):
            s3.put_object(Bucket=bucket, Key="a", Body=b"")
        s3.delete_object(Bucket=bucket, Key="a")
    dynamodb.create_table(
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "PK", "AttributeType": "S"}],
    )
    return s3


def left(s3: Any) -> int:
    tables = boto3.client("dynamodb", region_name=REGION).list_tables()["TableNames"]
    return len(s3.list_buckets()["Buckets"]) + len(tables)


def test_what_is_retained_stays_and_is_named(aws: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = plan_destruction(a_project(tmp_path, retain=True), "dev", None)
    s3, cdk = make_stateful(plan.stateful), Cdk()
    tell_destruction(Output(), plan)
    run_destruction(Output(), plan, run=cdk)
    said = capsys.readouterr().out
    assert all(name in said for name in (*plan.stacks, *plan.stateful, "--import-existing-resources"))
    assert (cdk.commands, left(s3)) == (["destroy --all --force -c env=dev"], 3)


def test_what_is_to_go_goes_after_the_stacks_and_again_is_no_error(aws: None, tmp_path: Path) -> None:
    plan = plan_destruction(a_project(tmp_path, retain=True), "dev", "delete")
    s3 = make_stateful(plan.stateful)
    with pytest.raises(SerinError, match="status 1; buckets and table were not touched"):
        run_destruction(Output(), plan, run=Cdk(status=1))
    assert left(s3) == 3
    for _ in range(2):
        run_destruction(Output(), plan, run=Cdk())
        assert left(s3) == 0


def test_what_is_protected_is_refused_with_what_to_change(aws: None, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r'"protect": false into environments.dev'):
        plan_destruction(a_project(tmp_path, protect=True), "dev", None)


def test_data_that_the_stacks_take_with_them_cannot_be_kept(aws: None, tmp_path: Path) -> None:
    project = a_project(tmp_path, retain=False)
    assert plan_destruction(project, "dev", None).data == "delete"
    with pytest.raises(Refused, match="retain is false"):
        plan_destruction(project, "dev", "keep")


def test_another_account_is_not_touched(aws: None, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="is in account 210987654321, and your AWS credentials are of 123456789012"):
        plan_destruction(a_project(tmp_path, account="210987654321"), "dev", None)


def test_without_credentials_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    with pytest.raises(Unavailable, match="no AWS credentials were found"):
        plan_destruction(a_project(tmp_path), "dev", None)


def test_the_twin_has_commands_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(AskedWrongly, match=r"serin local down .* --fresh"):
        plan_destruction(a_project(tmp_path), "local", None)


def test_a_name_must_be_said_and_be_the_right_one() -> None:
    confirm("dev", "dev", what="the environment")
    with pytest.raises(AskedWrongly, match="'prod' is not 'dev'; nothing was done"):
        confirm("dev", "prod", what="the environment")
    with pytest.raises(AskedWrongly, match="--yes dev"):
        confirm("dev", "", what="the environment")
