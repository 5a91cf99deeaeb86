"""What does a cloud assembly (`cdk.out`) hold: which stacks, in which order, and where are their assets?"""

import fcntl
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from serin.local.errors import BadAssembly

DEFAULT_ACCOUNT = "123456789012"
DEFAULT_REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class Stack:
    """One CloudFormation template, under the name that it is deployed as."""

    name: str
    template: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Assembly:
    """Everything that a synthesis left behind.

    stacks: dependencies first.
    assets: object key in the bootstrap bucket -> the folder or file it is made of.
    """

    account: str
    region: str
    stacks: tuple[Stack, ...]
    assets: dict[str, Path]


def read_assembly(folder: Path) -> Assembly:
    """Read a cloud assembly from its manifest.

    Raises BadAssembly where there is none, or where its stacks are for different accounts or regions.
    """
    artifacts = _read_json(folder / "manifest.json").get("artifacts", {})
    stacks = {name: a for name, a in artifacts.items() if a["type"] == "aws:cloudformation:stack"}
    if not stacks:
        raise BadAssembly(f"{folder}: its manifest.json names no stack. Was it synthesised?")
    account, region = _environment(folder, stacks)
    ordered = _dependencies_first(stacks, artifacts)
    return Assembly(
        account=account,
        region=region,
        stacks=tuple(_read_stack(folder, name, stacks[name]) for name in ordered),
        assets=_read_assets(folder, artifacts),
    )


def hold(folder: Path) -> IO[bytes]:
    """Keep an assembly from being removed for as long as the file that this gives is open, and no longer."""
    manifest = (folder / "manifest.json").open("rb")
    fcntl.flock(manifest, fcntl.LOCK_SH)
    return manifest


def remove_unless_held(folder: Path) -> bool:
    """Remove an assembly, unless a twin runs what is in it. Returns whether it was removed."""
    try:
        with (folder / "manifest.json").open("rb") as manifest:
            fcntl.flock(manifest, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    except OSError:
        return False
    return True


def _read_stack(folder: Path, name: str, artifact: dict[str, Any]) -> Stack:
    properties = artifact["properties"]
    template = _read_json(folder / properties["templateFile"])
    return Stack(name=properties.get("stackName", name), template=template)


def _read_assets(folder: Path, artifacts: dict[str, Any]) -> dict[str, Path]:
    assets: dict[str, Path] = {}
    for artifact in artifacts.values():
        if artifact["type"] != "cdk:asset-manifest":
            continue
        for file in _read_json(folder / artifact["properties"]["file"]).get("files", {}).values():
            if "path" not in file["source"]:
                continue
            for destination in file["destinations"].values():
                assets[destination["objectKey"]] = (folder / file["source"]["path"]).resolve()
    return assets


def _environment(folder: Path, stacks: dict[str, Any]) -> tuple[str, str]:
    """Read where the stacks are to be. A stack that leaves it open is where the others are."""
    environments = {stack.get("environment", "aws://unknown-account/unknown-region") for stack in stacks.values()}
    pairs = [environment.removeprefix("aws://").split("/") for environment in environments]
    accounts = {account for account, _ in pairs if account != "unknown-account"}
    regions = {region for _, region in pairs if region != "unknown-region"}
    if len(accounts) > 1 or len(regions) > 1:
        raise BadAssembly(f"{folder}: one account and region at a time, but it has {sorted(environments)}")
    return accounts.pop() if accounts else DEFAULT_ACCOUNT, regions.pop() if regions else DEFAULT_REGION


def _dependencies_first(stacks: dict[str, Any], artifacts: dict[str, Any]) -> list[str]:
    ordered: list[str] = []

    def visit(name: str) -> None:
        if name in ordered:
            return
        for dependency in artifacts[name].get("dependencies", []):
            if dependency in stacks:
                visit(dependency)
        ordered.append(name)

    for name in stacks:
        visit(name)
    return ordered


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text())
    except FileNotFoundError:
        raise BadAssembly(f"{file} does not exist: give the folder that `cdk synth` wrote") from None
    except ValueError as error:
        raise BadAssembly(f"{file} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise BadAssembly(f"{file} holds no JSON object")
    return content
