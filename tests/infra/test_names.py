"""Can two teams share an account? All that one of them has is called by the prefix that its cdk.json says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serin.cdk.app import SerinApp
from serin.shipped.environments import settings
from tests.infra.conftest import ROOT

TAGS = {"team": "shop", "cost-centre": "42"}
# What has no name of its own, or one within something that has; CloudFormation names roles by their stack.
NAMELESS = {
    *(f"AWS::ApiGateway::{kind}" for kind in ("Resource", "Method", "GatewayResponse", "Deployment", "Stage")),
    *("AWS::ApiGateway::UsagePlanKey", "AWS::IAM::Role", "AWS::IAM::Policy", "AWS::S3::BucketPolicy"),
    *("AWS::SNS::TopicPolicy", "AWS::SQS::QueuePolicy", "AWS::Logs::LogStream"),
    *("AWS::Lambda::Permission", "AWS::Lambda::EventSourceMapping"),
}
NAME = re.compile(
    "(Bucket|Table|Function|Layer|Queue|StateMachine|Topic|Alarm|LogGroup|DeliveryStream|Filter|UsagePlan)?Name"
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The environment prod, of a project whose prefix is `shop`."""
    folder = tmp_path_factory.mktemp("shop")
    says = {"env": "prod", "defaults": {"prefix": "shop", "tags": TAGS}, "environments": {"prod": {}}}
    SerinApp(ROOT, context={**settings(says), "aws:cdk:bundling-stacks": []}, outdir=str(folder)).synth()
    return folder


@pytest.fixture(scope="module")
def templates(shop: Path) -> list[dict[str, Any]]:
    return [json.loads((shop / f"{stack}.template.json").read_text()) for stack in ("shop-prod-state", "shop-prod")]


def resources(templates: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for template in templates:
        for resource in template["Resources"].values():
            yield resource["Type"], resource.get("Properties", {})


def name_of(properties: dict[str, Any]) -> str | None:
    """What a resource is called: its property of the type `FunctionName`, where it is spelled out."""
    return next((v for k, v in properties.items() if NAME.fullmatch(k) and isinstance(v, str)), None)


def test_every_name_follows_the_prefix(templates: list[dict[str, Any]]) -> None:
    for kind, properties in resources(templates):
        if kind not in NAMELESS:
            name = name_of(properties)
            assert name is not None, kind
            assert re.fullmatch(r"(/aws/[a-z/]+/)?shop-prod(-[\w-]+)?", name), (kind, name)


def test_nothing_is_called_as_it_is_with_the_usual_prefix(templates: list[dict[str, Any]]) -> None:
    for template in templates:
        assert not re.findall(r'[^"]*(?:serin-|Serin/)[^"]*', json.dumps(template))


def test_both_stacks_are_tagged(templates: list[dict[str, Any]], shop: Path) -> None:
    buckets = [properties for kind, properties in resources(templates) if kind == "AWS::S3::Bucket"]
    functions = [properties for kind, properties in resources(templates) if kind == "AWS::Lambda::Function"]
    for properties in (*buckets, *functions):
        assert {tag["Key"]: tag["Value"] for tag in properties["Tags"]} == TAGS
    artifacts = json.loads((shop / "manifest.json").read_text())["artifacts"]
    assert [artifacts[stack]["properties"]["tags"] for stack in ("shop-prod-state", "shop-prod")] == [TAGS, TAGS]


def test_cfn_lint_finds_nothing_in_what_is_tagged(shop: Path) -> None:
    lint = [str(Path(sys.executable).parent / "cfn-lint"), *map(str, shop.glob("*.template.json"))]
    found = subprocess.run(lint, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")
