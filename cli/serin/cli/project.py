"""Where is the project, and what does an environment of it consist of?"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from serin.contract.load import Contracts
from serin.errors import SerinError
from serin.shipped import settings


class AskedWrongly(SerinError):
    """When a command was called in a way that cannot be meant. Exit status 2."""

    code = "USAGE"


@cache
def root() -> Path:
    """The project's folder: the nearest at or above the working folder that holds cdk.json and models/.

    Raises AskedWrongly where there is none.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "cdk.json").is_file() and (folder / "models").is_dir():
            return folder
    raise AskedWrongly(f"{here} is in no project: no folder from there up holds cdk.json and models/")


def models_folder() -> Path:
    return root() / "models"


def contracts() -> Contracts:
    return Contracts(models_folder())


def context() -> Any:
    """Read what cdk.json says of this project, filled up by what Serin says. Raises AskedWrongly where it cannot."""
    place = root() / "cdk.json"
    try:
        return settings(json.loads(place.read_bytes())["context"])
    except OSError as error:
        raise AskedWrongly(f"{place} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise AskedWrongly(f"{place} is not JSON: {error}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise AskedWrongly(f"{place} has no context with `environments`") from error


def environments() -> dict[str, Any]:
    """The environments that cdk.json names, each over its defaults."""
    try:
        return {name: {**context()["defaults"], **entry} for name, entry in context()["environments"].items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise AskedWrongly(f"{root() / 'cdk.json'} has no context with `defaults` and `environments`") from error


def check_environment(name: str) -> str:
    """Give the name back. Raises AskedWrongly where cdk.json has no such environment."""
    if name not in environments():
        raise AskedWrongly(f"there is no environment {name!r}; cdk.json has {', '.join(environments())}")
    return name


def stack_name(environment: str) -> str:
    """Name an environment's stack, as the stacks themselves do. Its outputs say where everything is."""
    return f"{environments()[environment].get('prefix', 'serin')}-{environment}"
