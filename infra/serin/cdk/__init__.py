"""Serin on AWS, as stacks of the AWS CDK: `SerinApp` is all of a project's app, `Serin` a part of somebody else's.

Import this before aws_cdk where no Node is installed: it brings one.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from serin.cdk.node import NODE

if TYPE_CHECKING:
    from serin.cdk.app import Serin, SerinApp
    from serin.cdk.environment import Environment
    from serin.cdk.stacks.service import ServiceStack
    from serin.cdk.stacks.state import StateStack

__all__ = ["Environment", "Serin", "SerinApp", "ServiceStack", "StateStack"]

os.environ.setdefault("JSII_NODE", str(NODE))  # aws_cdk starts it when it is imported

_MODULES = {"Environment": "environment", "ServiceStack": "stacks.service", "StateStack": "stacks.state"}


def __getattr__(name: str) -> Any:
    """Import a stack when it is asked for: aws_cdk takes two seconds, and what packs code has no use for it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES.get(name, 'app')}"), name)
