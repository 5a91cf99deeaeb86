"""Serin: from a table of data to a prediction endpoint that looks after itself."""

from __future__ import annotations

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)  # in a checkout the package stands in several folders, in a wheel in one

TYPE_CHECKING = False  # as a type checker knows it; importing typing would cost a function's cold start
if TYPE_CHECKING:
    from pathlib import Path

    from serin.client.environment import EnvironmentClient


def connect(env: str = "local", project: str | Path | None = None) -> EnvironmentClient:
    """Connect to an environment of a project: `local` is its twin, the others are asked with your AWS credentials.

    project: the folder with cdk.json and models/; where left out, the one that the working folder is in. Raises
    AskedWrongly where there is no such project or environment, Unavailable where the twin is not up or AWS cannot be
    asked, NotFound where the stack is not deployed.
    """
    from serin.client import environment  # only here: no function on Lambda connects, and none carries the client

    return environment.connect(env, project)
