"""Where is each thing kept? Keys are composed in one place, and read as they were composed."""

from __future__ import annotations

import ast
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from serin.errors import Refused
from serin.registry import keys

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "layers/serin/python/serin"
PREFIXES = sorted(value for name, value in vars(keys).items() if name.isupper() and str(value).endswith("/"))
PARTS = (LIBRARY, ROOT / "functions", ROOT / "infra/serin", ROOT / "cli/serin")
MODULES = sorted(path for part in PARTS for path in part.rglob("*.py") if path != Path(keys.__file__))
AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("key", "wanted"),
    [
        (keys.upload_key("loans", "may/a.csv"), "uploads/loans/may/a.csv"),
        (keys.receipt_key("loans", "ab"), "receipts/loans/ab.json"),
        (keys.quarantine_prefix("loans", "ab"), "quarantine/loans/ab/"),
        (keys.dataset_prefix("loans", "ab"), "datasets/loans/ab/"),
        (keys.run_prefix("loans", "ab"), "runs/loans/ab/"),
        (keys.version_prefix("loans", 7), "models/loans/7/"),
        (keys.release_prefix("loans", "00000007-1"), "releases/loans/00000007-1/"),
        (keys.captures_prefix(AT), "captures/dt=2026-03-04/hour=05/"),
        (keys.summaries_prefix(AT), "summaries/dt=2026-03-04/hour=05/"),
        (keys.summary_key("captures/dt=2026-03-04/hour=05/x.jsonl.gz"), "summaries/dt=2026-03-04/hour=05/x.json"),
        (keys.drift_report_key("loans", AT), "drift/loans/2026-03-04T050607.json"),
        (keys.batch_key("loans", "a.csv"), "batch/loans/a.csv"),
        (keys.batch_work_prefix("loans", "ab"), "batch-work/loans/ab/"),
        (keys.batch_account_key("loans", "ab"), "predictions/loans/ab/manifest.json"),
    ],
)
def test_keys_stay_what_they_were_when_the_first_objects_were_stored(key: str, wanted: str) -> None:
    assert key == wanted


@pytest.mark.parametrize(
    ("key", "model"),
    [
        ("uploads/loans/a.csv", "loans"),
        ("uploads/loans/may/a.csv", "loans"),
        ("uploads/Loans/a.csv", "_"),
        ("uploads/a.csv", "_"),
        ("uploads//a.csv", "_"),
    ],
)
def test_an_upload_is_for_the_model_of_its_folder(key: str, model: str) -> None:
    assert keys.model_of_upload(key) == model


@pytest.mark.parametrize(
    ("key", "is_single", "model"),
    [
        ("batch/loans/a.csv", True, "loans"),
        ("batch/loans/may/a.csv", False, "loans"),
        ("batch/Loans/a.csv", True, None),
        ("batch/loans/", False, "loans"),
        ("batch//a.csv", False, None),
        ("batch/a.csv", False, None),
        ("uploads/loans/a.csv", False, "loans"),
    ],
)
def test_a_file_of_a_batch_is_answered_by_itself_where_it_lies_in_no_folder(
    key: str, is_single: bool, model: str | None
) -> None:
    assert keys.is_single_batch(key) is is_single
    assert keys.model_of_batch(key) == model


def test_what_is_no_capture_file_has_no_summary() -> None:
    with pytest.raises(Refused, match="no capture file"):
        keys.summary_key("uploads/loans/a.csv")


def test_no_other_module_spells_a_prefix() -> None:
    spelled = [f"{path.relative_to(ROOT)}: {text}" for path in MODULES for text in _composed(path)]
    # The folder of contracts in a project is called so too.
    assert spelled == ["cli/serin/cli/demo.py: models/", "layers/serin/python/serin/contract/load.py: models/"]


def _composed(path: Path) -> list[str]:
    """The beginnings of f-strings, and whole strings, that are a prefix of keys."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    begins = [node.values[0] for node in nodes if isinstance(node, ast.JoinedStr) and node.values]
    texts = [node.value for node in begins if isinstance(node, ast.Constant)]
    whole = [node.value for node in nodes if isinstance(node, ast.Constant) and node not in begins]
    return [text for text in texts if text.startswith(tuple(PREFIXES))] + [text for text in whole if text in PREFIXES]


def test_keys_and_the_names_of_variables_load_nothing_heavy() -> None:
    code = (
        "import sys; import serin.registry.keys, serin.aws.variables;"
        "heavy = ('pydantic', 'numpy', 'pandas', 'msgspec', 'boto3', 'botocore');"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(LIBRARY.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
