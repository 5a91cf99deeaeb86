"""Which stacks are there? Read by `cdk` (see cdk.json), or run: `CDK_CONTEXT_JSON='{"env": "dev"}' python app.py`."""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

from infra.node import NODE

os.environ["JSII_NODE"] = str(NODE)  # aws_cdk starts it when it is imported

import aws_cdk as cdk

from infra.constructs.layers import TooLarge
from infra.constructs.rest_api import UnsupportedRoute
from infra.constructs.workflow import UnknownTask
from infra.environment import BadEnvironment, Environment, UnknownEnvironment
from infra.packages import NoInstaller
from infra.stacks.service import ServiceStack
from infra.stacks.state import StateStack

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "layers" / "serin" / "python"))  # functions/api, which has the routes, imports it

PROBLEMS = (UnknownEnvironment, BadEnvironment, TooLarge, NoInstaller, UnsupportedRoute, UnknownTask)


def build(*, context: dict[str, Any], outdir: str | None) -> cdk.App:
    """Compose the stacks of the environment that `context` names under `env`.

    context: cdk.json's, and over it what the command line said. outdir: where the templates go; by
    default cdk.out/<env>. Raises one of PROBLEMS.
    """
    environment = Environment.read(
        context["env"], context=context, default_account=os.environ.get("CDK_DEFAULT_ACCOUNT")
    )
    app = cdk.App(
        context=context,
        outdir=outdir or str(ROOT / "cdk.out" / environment.name),
        analytics_reporting=False,
        tree_metadata=False,
        builtin_cloud_formation_validation=False,  # 3 s; the tests have cfn-lint do the same
    )
    target = cdk.Environment(account=environment.account, region=environment.region)
    state = StateStack(app, environment.named("state"), environment=environment, env=target)
    service = ServiceStack(
        app,
        f"serin-{environment.name}",
        environment=environment,
        root=ROOT,
        routes=importlib.import_module("functions.api.handler").app.routes,
        env=target,
    )
    service.add_stack_dependency(state)
    return app


def read_context() -> dict[str, Any]:
    """Read cdk.json's context, and over it what `cdk -c` says."""
    context: dict[str, Any] = json.loads((ROOT / "cdk.json").read_text())["context"]
    told: dict[str, Any] = json.loads(os.environ.get("CDK_CONTEXT_JSON", "{}"))
    return context | told


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        build(context=read_context(), outdir=os.environ.get("CDK_OUTDIR")).synth()
    except PROBLEMS as problem:
        sys.exit(f"app.py: {problem}")
