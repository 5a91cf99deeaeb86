"""Hand-written cloud assemblies, as a synthesis would leave them."""

import json
from pathlib import Path
from typing import Any

ACCOUNT, REGION = "111122223333", "eu-west-1"
ROLE = {
    "Type": "AWS::IAM::Role",
    "Properties": {
        "RoleName": "anything",
        "AssumeRolePolicyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}
            ],
        },
    },
}


class AssemblyWriter:
    """Collects stacks and assets, and writes them as a `cdk.out`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self._stacks: dict[str, dict[str, Any]] = {}
        self._dependencies: dict[str, list[str]] = {}
        self._files: dict[str, Any] = {}

    def asset(self, name: str, files: dict[str, str]) -> str:
        """Write a folder of files as an asset. Returns its object key."""
        for path, content in files.items():
            file = self.folder / f"asset.{name}" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
        key = f"{name}.zip"
        self._files[name] = {
            "source": {"path": f"asset.{name}", "packaging": "zip"},
            "destinations": {"current": {"bucketName": "bootstrap", "objectKey": key}},
        }
        return key

    def file(self, name: str, content: str) -> str:
        """Write one file as an asset. Returns its object key."""
        (self.folder / f"asset.{name}").write_text(content)
        self._files[name] = {
            "source": {"path": f"asset.{name}", "packaging": "file"},
            "destinations": {"current": {"bucketName": "bootstrap", "objectKey": name}},
        }
        return name

    def stack(
        self,
        name: str,
        resources: dict[str, Any],
        outputs: dict[str, Any] | None = None,
        *,
        after: tuple[str, ...] = (),
        role: dict[str, Any] | None = ROLE,
    ) -> None:
        """Add a stack; `role` is there for its functions."""
        self._stacks[name] = {
            "Parameters": {
                "BootstrapVersion": {
                    "Type": "AWS::SSM::Parameter::Value<String>",
                    "Default": "/cdk-bootstrap/hnb659fds/version",
                }
            },
            "Resources": {"Role": role, **resources} if role else resources,
            "Outputs": outputs or {},
        }
        self._dependencies[name] = list(after)

    def write(self) -> Path:
        """Write the assembly."""
        artifacts: dict[str, Any] = {}
        for name, template in self._stacks.items():
            (self.folder / f"{name}.template.json").write_text(json.dumps(template))
            artifacts[name] = {
                "type": "aws:cloudformation:stack",
                "environment": f"aws://{ACCOUNT}/{REGION}",
                "dependencies": [*self._dependencies[name], "all.assets"],
                "properties": {"templateFile": f"{name}.template.json", "stackName": name},
            }
        artifacts["all.assets"] = {"type": "cdk:asset-manifest", "properties": {"file": "all.assets.json"}}
        (self.folder / "all.assets.json").write_text(json.dumps({"files": self._files}))
        (self.folder / "manifest.json").write_text(json.dumps({"version": "48.0.0", "artifacts": artifacts}))
        return self.folder


def function(name: str, code: str, **properties: Any) -> dict[str, Any]:
    """Describe a function whose code is an asset."""
    return {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "FunctionName": name,
            "Handler": "handler.handler",
            "Runtime": "python3.13",
            "Role": {"Fn::GetAtt": ["Role", "Arn"]},
            "Timeout": 10,
            "MemorySize": 512,
            "Code": {"S3Bucket": "bootstrap", "S3Key": code},
            **properties,
        },
    }


def resource(kind: str, **properties: Any) -> dict[str, Any]:
    """Describe a resource; `kind` without the `AWS::`."""
    return {"Type": f"AWS::{kind}", "Properties": properties}


def ref(logical_id: str) -> dict[str, Any]:
    """Refer to a resource."""
    return {"Ref": logical_id}


def arn(logical_id: str) -> dict[str, Any]:
    """Refer to a resource's ARN."""
    return {"Fn::GetAtt": [logical_id, "Arn"]}
