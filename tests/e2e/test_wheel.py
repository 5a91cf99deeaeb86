"""A repository of one's own, from a wheel alone: a table of somebody's own, and the tests that come with a project."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.test_power_cuts import small_table

ROOT = Path(__file__).parents[2]
WORD = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*command, "-w", str(folder), str(ROOT)], check=True, capture_output=True)
    (built,) = folder.glob("serin-*.whl")
    return built


@pytest.fixture(scope="module")
def run(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> WORD:
    """Run Python with the wheel unpacked, and nothing of the checkout on its path."""
    site = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    packages = [path for path in sys.path if path.endswith("site-packages")]

    def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        variables = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), *packages]), "COLUMNS": "200"}
        # -S: the checkout is installed here too, by a file that only `site` reads.
        command = [sys.executable, "-S", *words]
        return subprocess.run(command, cwd=cwd, env=variables, capture_output=True, text=True, timeout=300, check=False)

    return run


def test_the_wheel_has_one_package_and_all_that_a_deployment_takes(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"serin"}
    functions = {path.parent.name for path in ROOT.glob("functions/*/handler.py")}
    assert {f"serin/shipped/functions/{function}/handler.py" for function in functions} <= set(names)
    bundles = {path.parent.name for path in ROOT.glob("layers/*/requirements.in")}
    assert {f"serin/shipped/layers/{bundle}/requirements.txt" for bundle in bundles} <= set(names)
    workflows = {path.name for path in ROOT.glob("infra/serin/cdk/workflows/*.json")}
    assert {f"serin/cdk/workflows/{name}" for name in workflows} <= set(names)
    assert not [name for name in names if "__pycache__" in name]


def test_a_table_of_ones_own_gets_answers_in_a_repository_of_ones_own(run: WORD, tmp_path: Path) -> None:
    made = run("-m", "serin.cli.main", "new", "shop", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    shop = tmp_path / "shop"
    (tmp_path / "mine.csv").write_bytes(small_table())
    try:
        tried = run("-m", "serin.cli.main", "try", "../mine.csv", "--target", "y", cwd=shop)
        assert tried.returncode == 0, tried.stdout + tried.stderr
        assert "champion  mine@1 answers now" in tried.stdout
        assert "what it answers to the first 3 rows" in tried.stdout
        assert (shop / "models" / "mine" / "model.yaml").exists()
        assert "is up" in run("-m", "serin.cli.main", "local", "status", cwd=shop).stdout
    finally:
        run("-m", "serin.cli.main", "local", "down", cwd=shop)


def test_its_stacks_are_called_as_it_is(run: WORD, tmp_path: Path) -> None:
    assert run("-m", "serin.cli.main", "new", "shop", cwd=tmp_path).returncode == 0
    context = '{"env": "prod", "aws:cdk:bundling-stacks": []}'
    code = f"import os; os.environ['CDK_CONTEXT_JSON'] = {context!r}; exec(open('app.py').read())"
    done = run("-c", code, cwd=tmp_path / "shop")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "shop" / "cdk.out" / "prod" / "shop-prod.template.json").exists()
