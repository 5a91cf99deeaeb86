"""What goes and what stays where a model is deleted, or an environment destroyed? It is said first, then done."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import boto3
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from serin.aws.bucket import S3Objects
from serin.aws.failures import translated
from serin.cli.show import Output
from serin.client.project import AskedWrongly, Project
from serin.client.words import name_some
from serin.errors import NotFound, Refused, SerinError, Unavailable
from serin.registry.keys import data_prefixes, versions_prefix
from serin.release.delete import Inventory

Run = Callable[..., "subprocess.CompletedProcess[Any]"]


def tell_inventory(output: Output, inventory: Inventory, model: str, capture_days: int) -> None:
    """Say what goes with a model, and what stays."""
    versions = name_some([f"{model}@{number}" for number in inventory.versions]) or "none"
    output.say(f"goes, for good, from {model}:", style="bold")
    output.facts(
        [
            ("versions", versions),
            ("rows", f"{inventory.datasets:,} datasets, {inventory.runs:,} runs, {inventory.releases:,} releases"),
            ("objects", f"every version below {', '.join((versions_prefix(model), *data_prefixes(model)))}"),
            ("answers", "those that batches kept by entity"),
        ]
    )
    output.say("stays:", style="bold")
    output.facts(
        [
            ("history", "who did what, when and why, with the digests of these versions"),
            ("captures", f"they are of all models together, and expire by themselves after {capture_days} days"),
            ("contract", "its model.yaml: what is uploaded for it later begins anew, and its versions are numbered on"),
        ]
    )


@dataclass(frozen=True, slots=True)
class Destruction:
    """What is done to an environment. stateful: the names of its buckets and its table, the table last."""

    project: Project
    environment: str
    data: Literal["keep", "delete"]
    stacks: tuple[str, ...]
    stateful: tuple[str, ...]
    session: Any


def plan_destruction(project: Project, name: str, data: Literal["keep", "delete"] | None) -> Destruction:
    """Find out what destroying an environment means.

    data: what becomes of buckets and table; None: as `retain` says. Raises AskedWrongly for what is no environment on
    AWS, Refused where its settings forbid it, Unavailable without AWS credentials.
    """
    from serin.cdk.environment import BadEnvironment, Environment

    settings = project.environment(name)
    if name == "local":
        message = "local is the twin on this machine: serin local down stops it, serin local up --fresh begins it empty"
        raise AskedWrongly(message)
    if settings.get("protect", True):
        fix = f'write "protect": false into environments.{name} of cdk.json, then: serin cdk deploy -c env={name}'
        raise Refused(f"{name} is protected, and so are its stacks; to destroy it, {fix}", code="PROTECTED")
    session = boto3.session.Session(region_name=settings["region"])
    account = _account(session)
    try:
        environment = Environment.read(name, context=project.context(), default_account=account)
    except BadEnvironment as error:
        raise AskedWrongly(str(error)) from error
    if environment.account != account:
        message = f"{name} is in account {environment.account}, and your AWS credentials are of {account}"
        raise Refused(message, code="ACCOUNT")
    if data == "keep" and not environment.retain:
        fix = f'write "retain": true into environments.{name} of cdk.json, then: serin cdk deploy -c env={name}'
        raise Refused(f"the stacks of {name} take the data with them (retain is false); to keep it, {fix}")
    return Destruction(
        project,
        name,
        data or ("keep" if environment.retain else "delete"),
        stacks=(environment.stack, environment.named("state")),
        stateful=(environment.data_bucket, environment.artifacts_bucket, environment.table),
        session=session,
    )


def tell_destruction(output: Output, plan: Destruction) -> None:
    """Say what goes with an environment, and what stays."""
    names = ", ".join(plan.stateful)
    output.say(f"goes: the stacks {', '.join(plan.stacks)}", style="bold")
    if plan.data == "delete":
        output.say(f"goes, for good, with all models and data: {names}", style="bold red")
        return
    output.say(f"stays: {names}")
    again = f"serin cdk deploy -c env={plan.environment} --import-existing-resources"
    output.say(f"taken in again by:  {again}")


def run_destruction(output: Output, plan: Destruction, *, run: Run = subprocess.run) -> None:
    """Destroy the stacks, and after them what is to go. Doing it again ends what broke off. Raises SerinError."""
    from serin.cdk.command_line import compose, with_node

    command = compose(["destroy", "--force", "-c", f"env={plan.environment}"])
    stdout = sys.stderr if output.as_json else None  # the document stands alone on stdout
    done = run(command, cwd=plan.project.root, env=with_node(os.environ), stdout=stdout, check=False)
    if done.returncode:
        raise SerinError(f"the CDK ended with status {done.returncode}; buckets and table were not touched", code="CDK")
    if plan.data == "delete":
        *buckets, table = plan.stateful
        for bucket in buckets:
            output.say(f"{bucket}: {_delete_bucket(plan.session, bucket):,} versions of objects deleted")
        _delete_table(plan.session, table)
        output.say(f"{table}: deleted")


def _account(session: Any) -> str:
    """Tell which account the caller's credentials are of. Raises Unavailable without any."""
    try:
        return str(session.client("sts").get_caller_identity()["Account"])
    except NoCredentialsError as error:
        fix = "log in as for the AWS CLI (aws sso login, AWS_PROFILE, or keys in the environment)"
        raise Unavailable(f"no AWS credentials were found; {fix}", code="CREDENTIALS") from error
    except (BotoCoreError, ClientError) as error:
        raise Unavailable(f"AWS does not take these credentials: {error}", code="CREDENTIALS") from error


def _delete_bucket(session: Any, bucket: str) -> int:
    """Empty a bucket and remove it. Gives how many versions were in it; one that is gone is no error."""
    client = session.client("s3")
    try:
        erased = S3Objects(client, bucket).erase("")
        with translated(f"the bucket {bucket}"):
            client.delete_bucket(Bucket=bucket)
    except NotFound:
        return 0
    return erased


def _delete_table(session: Any, table: str) -> None:
    try:
        with translated(f"the table {table}"):
            session.client("dynamodb").delete_table(TableName=table)
    except NotFound:
        return
