"""How are a project's models tested? On a twin of their own, which begins empty and ends with the test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from serin.cli.twin import project_code, twin_up
from serin.client.environment import EnvironmentClient, reach
from serin.client.project import Project, project_at


@contextmanager
def on_twin(project: str | Path = ".") -> Iterator[EnvironmentClient]:
    """Run a copy of a project on a twin for as long as the block lasts, beside one that is up.

    Gives what `serin.connect` gives: `with on_twin() as environment: environment.model("loans").upload("loans.csv")`.
    project: the folder of cdk.json and models/. Raises AskedWrongly where it is none, SerinError where the stacks
    cannot be synthesised or the twin does not start.
    """
    origin = project_at(project)
    with TemporaryDirectory() as scratch:
        copy = Project(Path(scratch) / "project")
        shutil.copytree(origin.models_folder, copy.models_folder)
        for path in project_code(origin.root):
            (copy.root / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(origin.root / path, copy.root / path)
        (origin.root / ".cache").mkdir(exist_ok=True)
        (copy.root / ".cache").symlink_to(origin.root / ".cache")  # of what was synthesised before
        with twin_up(port=0, say=lambda _: None, place=copy):
            yield reach("local", copy)
