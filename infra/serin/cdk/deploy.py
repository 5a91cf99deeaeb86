"""Run the CDK's command line for one environment: `python -m serin.cdk.deploy dev [deploy|diff|destroy|bootstrap …]`.

Run by `make deploy ENV=dev`. It takes the credentials that the AWS CLI would take.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping

from serin.cdk.node import NODE, NPM

COMMAND_LINE = "aws-cdk@2.1148.1"  # 2.1147 or newer reads what this aws-cdk-lib writes; npm's `latest` may not
STACKS = {"deploy", "diff", "destroy"}  # the commands that ask which stacks they are for


def cdk(environment: str, *arguments: str) -> list[str]:
    """Compose the command. Without arguments, it deploys."""
    what, *rest = arguments or ("deploy",)
    all_stacks = ["--all"] if what in STACKS else []
    return [
        str(NODE),
        str(NPM),
        "exec",
        "--yes",
        COMMAND_LINE,
        "--",
        what,
        *all_stacks,
        *rest,
        "-c",
        f"env={environment}",
    ]


def with_node(environment: Mapping[str, str]) -> dict[str, str]:
    """Put the bundled Node on the PATH: npm runs the CDK by a script that asks for `node` there, as does the CDK."""
    path = os.pathsep.join(filter(None, [str(NODE.parent), environment.get("PATH", "")]))
    return {**environment, "PATH": path}


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("deploy: name an environment of cdk.json, as in: python -m serin.cdk.deploy dev")
    sys.exit(subprocess.run(cdk(*sys.argv[1:]), env=with_node(os.environ), check=False).returncode)
