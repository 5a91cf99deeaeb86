"""An environment is found from anywhere by its project's folder, and what keeps it from being reached is told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import serin
from serin.client.project import AskedWrongly, Project, here, project_at
from serin.errors import Unavailable
from serin.shipped import library_files

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shop" / "models").mkdir(parents=True)
    (tmp_path / "shop" / "cdk.json").write_bytes((ROOT / "cdk.json").read_bytes())
    return tmp_path / "shop"


def test_a_project_is_found_from_within_and_named_from_elsewhere(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder / "models")
    assert here() == Project(folder)
    monkeypatch.chdir(folder.parent)
    assert project_at("shop") == Project(folder)
    with pytest.raises(Unavailable, match="start it with: serin local up"):
        serin.connect("local", project="shop")


def test_whoever_is_in_no_project_is_told_to_name_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    with pytest.raises(AskedWrongly, match=r'name it: serin\.connect\("dev", project="…/shop"\)'):
        serin.connect("dev")
    with pytest.raises(AskedWrongly, match=r"is no project: it does not hold cdk\.json"):
        serin.connect("dev", project=folder.parent)


def test_an_environment_that_does_not_exist_is_told_with_those_that_do(folder: Path) -> None:
    with pytest.raises(AskedWrongly, match=r"no environment 'nowhere'; cdk\.json has .*local"):
        serin.connect("nowhere", project=folder)


def test_serin_imports_its_client_only_to_connect() -> None:
    code = "import sys, serin; print([name for name in sys.modules if name.startswith(('serin.', 'boto3', 'pandas'))])"
    path = str(ROOT / "layers/serin/python")
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_function_does_not_carry_the_client() -> None:
    assert not [path for path in library_files() if "client" in path.parts[1:2]]
