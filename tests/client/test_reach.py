"""A command finds the stack that its environment names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from serin.client.environment import reach
from serin.errors import NotFound

TEMPLATE = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}, "Outputs": {"Table": {"Value": "a-table"}}}


@pytest.fixture(autouse=True)
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A project whose environment `dev` is called by the prefix `shop`, and `prod` as usual."""
    environments = {"dev": {"prefix": "shop"}, "prod": {}}
    context = {"defaults": {"region": "eu-west-1"}, "environments": environments}
    (tmp_path / "cdk.json").write_text(json.dumps({"context": context}))
    (tmp_path / "models").mkdir()
    monkeypatch.chdir(tmp_path)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "tests")
    with mock_aws():
        yield


def test_an_environment_is_reached_by_its_prefix() -> None:
    cloudformation = boto3.client("cloudformation", region_name="eu-west-1")
    cloudformation.create_stack(StackName="shop-dev", TemplateBody=json.dumps(TEMPLATE))
    assert reach("dev").outputs == {"Table": "a-table"}


@pytest.mark.parametrize(("env", "stack"), [("dev", "shop-dev"), ("prod", "serin-prod")])
def test_a_stack_that_is_not_there_is_named(env: str, stack: str) -> None:
    with pytest.raises(NotFound, match=f"the stack {stack} is not deployed; deploy it with: make deploy ENV={env}"):
        reach(env)
