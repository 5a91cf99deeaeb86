"""How is the CDK's command line run where nobody installed Node? By the one that Python's packages bring.

It takes the credentials that the AWS CLI would take.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from serin.cdk.node import NODE, NPM

PACKAGE = "aws-cdk@2.1148.1"  # 2.1147 or newer reads what this aws-cdk-lib writes; npm's `latest` may not
FOR_STACKS = {"deploy", "diff", "destroy"}  # the commands that ask which stacks they are for


def compose(words: Sequence[str]) -> list[str]:
    """Compose the command of `cdk <words>`. Where it is for stacks and names none, it is for all of them."""
    command, *rest = words
    pairs = zip(words, rest, strict=False)  # a word behind an option is what the option says
    stacks = [word for before, word in pairs if not word.startswith("-") and not before.startswith("-")]
    is_for_all = command in FOR_STACKS and not stacks and "--all" not in rest
    return [str(NODE), str(NPM), "exec", "--yes", PACKAGE, "--", command, *["--all"] * is_for_all, *rest]


def with_node(environment: Mapping[str, str]) -> dict[str, str]:
    """Put the bundled Node on the PATH: npm runs the CDK by a script that asks for `node` there, as does the CDK."""
    path = os.pathsep.join(filter(None, [str(NODE.parent), environment.get("PATH", "")]))
    return {**environment, "PATH": path}
