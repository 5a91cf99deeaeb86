"""The templates of every environment, synthesised once a session and without bundling."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from serin.cdk.app import SerinApp, read_context

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = ["local", "dev", "staging", "prod"]


@dataclass(frozen=True)
class Synthesised:
    """One environment's stacks."""

    environment: str
    folder: Path

    @property
    def state(self) -> dict[str, Any]:
        return self._template(f"serin-{self.environment}-state")

    @property
    def service(self) -> dict[str, Any]:
        return self._template(f"serin-{self.environment}")

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        """List the stateless stack's resources of one type, by logical id."""
        resources = self.service["Resources"]
        return {id: resource for id, resource in resources.items() if resource["Type"] == kind}

    def properties(self, kind: str) -> list[dict[str, Any]]:
        return [resource["Properties"] for resource in self.of_type(kind).values()]

    def function(self, name: str) -> dict[str, Any]:
        full = f"serin-{self.environment}-{name}"
        return next(f for f in self.properties("AWS::Lambda::Function") if f["FunctionName"] == full)

    def statements_of(self, function: str) -> list[dict[str, Any]]:
        """List what the role of a function may do."""
        return self.statements_of_role(self.function(function)["Role"]["Fn::GetAtt"][0])

    def statements_of_role(self, role: str) -> list[dict[str, Any]]:
        """List what a role may do, by its logical id."""
        return [
            statement
            for policy in self.properties("AWS::IAM::Policy")
            if {"Ref": role} in policy["Roles"]
            for statement in policy["PolicyDocument"]["Statement"]
        ]

    def is_protected(self, stack: str) -> bool:
        """Tell whether CloudFormation refuses to delete a stack."""
        artifacts = json.loads((self.folder / "manifest.json").read_text())["artifacts"]
        return bool(artifacts[stack]["properties"].get("terminationProtection"))

    def _template(self, stack: str) -> dict[str, Any]:
        template: dict[str, Any] = json.loads((self.folder / f"{stack}.template.json").read_text())
        return template


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep these tests on one worker, so that there is one synthesis."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("infra"))


@pytest.fixture(scope="session")
def synthesised(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Synthesised]:
    everything = {}
    for name in ENVIRONMENTS:
        folder = tmp_path_factory.mktemp(name)
        context = {**read_context(ROOT), "env": name, "aws:cdk:bundling-stacks": []}
        SerinApp(ROOT, context=context, outdir=str(folder)).synth()
        everything[name] = Synthesised(name, folder)
    return everything


@pytest.fixture(params=ENVIRONMENTS)
def each(request: pytest.FixtureRequest, synthesised: dict[str, Synthesised]) -> Synthesised:
    """Every environment in turn."""
    return synthesised[request.param]


@pytest.fixture
def prod(synthesised: dict[str, Synthesised]) -> Synthesised:
    return synthesised["prod"]
