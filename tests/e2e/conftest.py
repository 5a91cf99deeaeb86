"""One twin for all end-to-end tests: the synthesised template, real function processes, a project folder of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from serin.cli.twin import twin_up
from serin.client import project as client_project
from serin.client.environment import EnvironmentClient, reach
from serin.client.follow import Follower, Step
from serin.local.twin import Twin
from serin.shipped.environments import settings

ROOT = Path(__file__).parents[2]
SHARED = ("app.py", "README.md")

EXAMPLES = ("loans", "tumours", "diabetes")

Serin = Callable[..., "subprocess.CompletedProcess[str]"]


def make_project(folder: Path) -> Path:
    """A project folder whose code is ours and whose contracts are the test's."""
    for name in SHARED:
        (folder / name).symlink_to(ROOT / name)
    # A lost message comes again after 20 s here, so that a test of a power cut need not wait for minutes.
    context = settings(json.loads((ROOT / "cdk.json").read_text())["context"])
    context["environments"]["local"]["visibility_seconds"] = 20
    for size in context["environments"]["local"]["sizes"].values():
        size["timeout_seconds"] = min(size["timeout_seconds"], 20)
    (folder / "cdk.json").write_text(json.dumps({"context": context}))
    (ROOT / ".cache").mkdir(exist_ok=True)
    (folder / ".cache").symlink_to(ROOT / ".cache")
    (folder / ".venv").symlink_to(Path(sys.prefix))
    for name in EXAMPLES:
        shutil.copytree(ROOT / "models" / name, folder / "models" / name)
    return folder


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="session")
def twin(project: Path) -> Iterator[Twin]:
    with twin_up(port=0, say=lambda _: None, place=client_project.Project(project)) as facts:
        yield facts["twin"]


@pytest.fixture(scope="session")
def there(twin: Twin, project: Path) -> EnvironmentClient:
    return reach("local", client_project.Project(project))


@pytest.fixture(scope="session")
def serin(project: Path) -> Serin:
    """Run a command as a person would, in the project's folder."""

    def run(*words: str, status: int | None = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(Path(sys.prefix) / "bin" / "serin"), *words],
            cwd=project,
            env={**os.environ, "COLUMNS": "1000"},  # each sentence on one line: what is said counts, not where it wraps
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        if status is not None:
            assert done.returncode == status, f"{done.returncode}: {done.stdout}\n{done.stderr}"
        return done

    return run


def write_contract(project: Path, **said: Any) -> None:
    """Write the contract of one model; the twin takes it up while it runs."""
    folder = project / "models" / said["model"]
    folder.mkdir(exist_ok=True)
    (folder / "model.yaml").write_text(yaml.safe_dump(said))


def upload(there: EnvironmentClient, model: str, name: str, content: bytes) -> list[Step]:
    """Upload, and follow it until it comes to rest."""
    key = f"uploads/{model}/{name}"
    version = there.cloud.data.put(key, content)
    return list(Follower(there.cloud, timeout_seconds=240).upload(model, key, version))
