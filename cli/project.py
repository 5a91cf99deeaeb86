"""Where is the project, and what does an environment of it consist of?"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from serin.contract.load import Contracts
from serin.errors import SerinError


class AskedWrongly(SerinError):
    """When a command was called in a way that cannot be meant. Exit status 2."""

    code = "USAGE"


@cache
def root() -> Path:
    """The project's folder: the nearest at or above the working folder that holds cdk.json, else Serin's own."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "cdk.json").is_file() and (folder / "models").is_dir():
            return folder
    return Path(__file__).resolve().parents[1]


def models_folder() -> Path:
    return root() / "models"


def contracts() -> Contracts:
    return Contracts(models_folder())


def environments() -> dict[str, Any]:
    """The environments that cdk.json names, each over its defaults."""
    context = json.loads((root() / "cdk.json").read_text())["context"]
    return {name: {**context["defaults"], **entry} for name, entry in context["environments"].items()}


def check_environment(name: str) -> str:
    """Give the name back. Raises AskedWrongly where cdk.json has no such environment."""
    if name not in environments():
        raise AskedWrongly(f"there is no environment {name!r}; cdk.json has {', '.join(environments())}")
    return name
