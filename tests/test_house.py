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


def test_imports_go_one_way(tmp_path: Path) -> None:
    for part in PARTS:  # of which the linter reads one, as in a wheel
        shutil.copytree(ROOT / part / "serin", tmp_path / "serin", dirs_exist_ok=True)
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        cwd=ROOT,
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}", "PATH": ""},
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
