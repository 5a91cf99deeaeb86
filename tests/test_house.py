"""The house keeps its shape: imports go one way, and a handler fits on a screen."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PARTS = ("layers/serin/python", "infra", "local", "cli")  # each with a part of the package
HANDLERS = sorted(ROOT.glob("functions/*/handler.py"))
LINES_OF_A_SCREEN = 60


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that holds all parts of the package, as in a wheel: what reads imports reads one folder."""
    folder = tmp_path_factory.mktemp("package")
    for part in PARTS:
        shutil.copytree(ROOT / part / "serin", folder / "serin", dirs_exist_ok=True)
    return folder


def test_no_module_imports_itself_by_way_of_others(package: Path) -> None:
    """Not even for its types, or inside a function."""
    code = (
        "import grimp; from graphlib import TopologicalSorter;"
        "graph = grimp.build_graph('serin', 'functions', cache_dir=None);"
        "imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules};"
        "print(len(list(TopologicalSorter(imports).static_order())))"
    )
    path = f"{package}:{ROOT}"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert "CycleError" not in done.stderr, done.stderr
    assert int(done.stdout) > 250


def test_imports_go_one_way(package: Path) -> None:
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        cwd=ROOT,
        env={"PYTHONPATH": f"{package}:{ROOT}", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_answers_a_prediction_loads_nothing_heavy() -> None:
    """The linter reads what is written; this sees what is really loaded."""
    code = (
        "import sys, os; os.environ.update(TABLE='t', ARTIFACTS_BUCKET='b', AWS_REGION='r');"
        "from functions.api import handler; handler.endpoint();"
        "heavy = ('pydantic', 'pandas', 'sklearn', 'boto3', 'yaml', 'aws_lambda_powertools');"
        "print([name for name in heavy if name in sys.modules])"
    )
    path = f"{ROOT}:{ROOT / 'layers/serin/python'}"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("handler", HANDLERS, ids=lambda path: path.parent.name)
def test_a_handler_composes_and_fits_on_a_screen(handler: Path) -> None:
    text = handler.read_text()
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
    longest = max((node.end_lineno or 0) - node.lineno for node in functions)
    assert longest <= 20
    assert len(text.splitlines()) <= LINES_OF_A_SCREEN
    assert "Called" in (ast.get_docstring(ast.parse(text)) or ""), "it says who calls it"


@pytest.mark.parametrize("handler", HANDLERS, ids=lambda path: path.parent.name)
def test_every_function_is_watched(handler: Path) -> None:
    """By the shared decorator; `api` loads Powertools only where something went wrong."""
    is_lean = handler.parent.name == "api"
    sign = "    from serin.aws.observability import log_failure" if is_lean else "@watched\ndef handler("
    assert sign in handler.read_text()


def test_each_function_is_one_verb_with_one_handler() -> None:
    assert len(HANDLERS) == 17
    assert all([path.name for path in handler.parent.glob("*.py")] == ["handler.py"] for handler in HANDLERS)
