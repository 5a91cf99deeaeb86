"""Which stacks are there for a project? Two, of the environment that is asked for, as cdk.json describes it."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aws_cdk as cdk
from constructs import Construct

from serin.cdk.constructs.layers import TooLarge
from serin.cdk.constructs.rest_api import Routes, UnsupportedRoute
from serin.cdk.constructs.workflow import UnknownTask
from serin.cdk.environment import BadEnvironment, Environment, UnknownEnvironment
from serin.cdk.packages import NoInstaller
from serin.cdk.stacks.service import ServiceStack
from serin.cdk.stacks.state import StateStack
from serin.shipped import shipped
from serin.shipped.environments import settings

PROBLEMS = (UnknownEnvironment, BadEnvironment, TooLarge, NoInstaller, UnsupportedRoute, UnknownTask)
FLAGS = ("@aws-cdk/", "aws:cdk:")  # context that is for the CDK


class Serin(Construct):
    """Both stacks of one environment, as a part of an app that has others too.

    project: the folder of cdk.json and models/. context: what cdk.json says, and `env`, the environment; by default as
    cdk.json there and `cdk -c` say. environment: what everything is called. state, service: the stacks, named as in an
    app of Serin's own, so that the commands find them; the app can grant, tag and watch what is in them.
    Raises one of PROBLEMS.
    """

    def __init__(self, scope: Construct, id: str, *, project: Path, context: Mapping[str, Any] | None = None) -> None:
        super().__init__(scope, id)
        context = context or read_context(project)
        for name, value in context.items():
            if name.startswith(FLAGS):  # which only `cdk` gives to an app; run by itself it would not have them
                self.node.set_context(name, value)
        self.environment = read_environment(context)
        self.state, self.service = add_stacks(self, environment=self.environment, project=project)


class SerinApp(cdk.App):
    """The whole app of a project, to which stacks of its own can be added: `SerinApp().synth()` in app.py.

    project: the folder of cdk.json and models/; by default the working folder, in which `cdk` runs an app.
    context: as for Serin. outdir: where the templates go; by default as `cdk` says, else cdk.out/<env>.
    Raises one of PROBLEMS; in app.py, where no context is given, it ends with the problem as its last word.
    """

    def __init__(
        self, project: Path | None = None, *, context: Mapping[str, Any] | None = None, outdir: str | None = None
    ) -> None:
        project = (project or Path.cwd()).resolve()
        if context is None:
            logging.basicConfig(level=logging.INFO, format="%(message)s")
        try:
            full_context = dict(context or read_context(project))
            self.environment = read_environment(full_context)
            folder = outdir or os.environ.get("CDK_OUTDIR") or str(project / "cdk.out" / self.environment.name)
            super().__init__(
                context=full_context,
                outdir=folder,
                analytics_reporting=False,
                tree_metadata=False,
                builtin_cloud_formation_validation=False,  # 3 s; the tests have cfn-lint do the same
            )
            self.state, self.service = add_stacks(self, environment=self.environment, project=project)
        except PROBLEMS as problem:
            if context is not None:
                raise
            sys.exit(f"app.py: {problem}")


def add_stacks(scope: Construct, *, environment: Environment, project: Path) -> tuple[StateStack, ServiceStack]:
    """Compose an environment's stacks. project: the folder of models/."""
    target = cdk.Environment(account=environment.account, region=environment.region)
    state = StateStack(scope, environment.named("state"), environment=environment, env=target)
    service = ServiceStack(
        scope, environment.stack, environment=environment, project=project, routes=chalice_routes(), env=target
    )
    for stack in (state, service):
        for key, value in environment.tags.items():
            cdk.Tags.of(stack).add(key, value)
    service.add_stack_dependency(state)
    return state, service


def read_context(project: Path) -> dict[str, Any]:
    """Read the context of a project's cdk.json, filled up by `settings`, and over it what `cdk -c` says."""
    context: dict[str, Any] = json.loads((project / "cdk.json").read_text())["context"]
    overrides: dict[str, Any] = json.loads(os.environ.get("CDK_CONTEXT_JSON", "{}"))
    return settings({**context, **overrides})


def read_environment(context: Mapping[str, Any]) -> Environment:
    """Find the environment that a context names under `env`. Raises UnknownEnvironment, BadEnvironment."""
    return Environment.read(context["env"], context=context, default_account=os.environ.get("CDK_DEFAULT_ACCOUNT"))


def chalice_routes() -> Routes:
    """Read which routes the endpoint's Chalice app has."""
    spec = importlib.util.spec_from_file_location("serin_api_handler", shipped("functions") / "api" / "handler.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    routes: Routes = module.app.routes
    return routes
