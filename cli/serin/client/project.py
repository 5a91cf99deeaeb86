"""Where is the project, and what does an environment of it consist of?"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serin.contract.load import Contracts
from serin.contract.notation import is_model_name
from serin.errors import SerinError
from serin.shipped.environments import settings, stack_name


class AskedWrongly(SerinError):
    """When something is asked for in a way that cannot be meant. A command then ends with status 2."""

    code = "USAGE"


@dataclass(frozen=True, slots=True)
class Project:
    """A project by its folder, which holds cdk.json and models/."""

    root: Path

    @property
    def models_folder(self) -> Path:
        return self.root / "models"

    @property
    def state_folder(self) -> Path:
        """Where the project's twin keeps what it holds, and says where it is."""
        return self.root / ".serin"

    @property
    def contracts(self) -> Contracts:
        return Contracts(self.models_folder)

    def context(self) -> Any:
        """Read what cdk.json says, filled up by what Serin says. Raises AskedWrongly where it cannot be read."""
        place = self.root / "cdk.json"
        try:
            return settings(json.loads(place.read_bytes())["context"])
        except OSError as error:
            raise AskedWrongly(f"{place} cannot be read: {error.strerror}") from error
        except (ValueError, RecursionError) as error:
            raise AskedWrongly(f"{place} is not JSON: {error}") from error
        except (KeyError, TypeError, AttributeError) as error:
            raise AskedWrongly(f"{place} has no context with `environments`") from error

    def environments(self) -> dict[str, Any]:
        """The environments that cdk.json names, each over its defaults. Raises AskedWrongly where there are none."""
        context = self.context()
        try:
            return {name: {**context["defaults"], **entry} for name, entry in context["environments"].items()}
        except (KeyError, TypeError, AttributeError) as error:
            place = self.root / "cdk.json"
            raise AskedWrongly(f"{place} has no context with `defaults` and `environments`") from error

    def environment(self, name: str) -> dict[str, Any]:
        """Read the settings of one environment. Raises AskedWrongly where cdk.json has no such environment."""
        environments = self.environments()
        if name not in environments:
            raise AskedWrongly(f"there is no environment {name!r}; cdk.json has {', '.join(environments)}")
        environment: dict[str, Any] = environments[name]
        return environment

    def stack(self, environment: str) -> str:
        """Name an environment's stack, as the stacks themselves do. Its outputs say where everything is."""
        return stack_name(self.environment(environment)["prefix"], environment)


def here() -> Project:
    """Find the project of the working folder: the nearest folder at or above it that holds cdk.json and models/.

    Raises AskedWrongly where there is none.
    """
    start = Path.cwd()
    for folder in (start, *start.parents):
        if _is_project(folder):
            return Project(folder)
    raise AskedWrongly(f"{start} is in no project: no folder from there up holds cdk.json and models/")


def project_at(folder: str | Path) -> Project:
    """Take a folder as the project. Raises AskedWrongly where it is none."""
    root = Path(folder).expanduser().resolve()
    if not _is_project(root):
        raise AskedWrongly(f"{root} is no project: it does not hold cdk.json and models/")
    return Project(root)


def _is_project(folder: Path) -> bool:
    return (folder / "cdk.json").is_file() and (folder / "models").is_dir()


def check_name(model: str) -> str:
    """Give a model's name back. Raises AskedWrongly where it cannot be one."""
    if not is_model_name(model):
        raise AskedWrongly(f"{model!r} is no name of a model; names have lower-case letters, digits, - and _")
    return model
