"""Does a wrong setting say what is wrong, and does a synthesis need nothing but Python?"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from serin.cdk.environment import UNKNOWN_ACCOUNT, BadEnvironment, Environment, Size, UnknownEnvironment

ROOT = Path(__file__).resolve().parents[2]


def context() -> dict[str, Any]:
    settings: dict[str, Any] = json.loads((ROOT / "cdk.json").read_text())["context"]
    return settings


def read(name: str, changed: dict[str, Any] | None = None, account: str | None = None) -> Environment:
    settings = context()
    settings["environments"].get(name, {}).update(changed or {})
    return Environment.read(name, context=settings, default_account=account)


def test_a_wrong_name_is_answered_with_the_right_ones() -> None:
    with pytest.raises(UnknownEnvironment, match=r"no environment 'production'.*local, dev, staging, prod"):
        read("production")


def test_a_setting_that_nothing_reads_is_refused() -> None:
    with pytest.raises(BadEnvironment, match=r"'dev': nothing reads regoin"):
        read("dev", {"regoin": "eu-west-1"})


def test_a_setting_that_lacks_is_named() -> None:
    settings = context()
    del settings["defaults"]["region"]
    with pytest.raises(BadEnvironment, match="'dev': lacks region"):
        Environment.read("dev", context=settings, default_account=None)


def test_a_wrong_group_of_settings_is_named() -> None:
    with pytest.raises(BadEnvironment, match="downloads"):
        read("dev", {"days": {"logs": 1, "downloads": 1}})


@pytest.mark.parametrize(
    ("changed", "reason"),
    [({"old_versions": 90}, "fewer than uploads"), ({"captures": 1}, "at least 2"), ({"captures": 7}, "endpoint_logs")],
)
def test_days_that_cannot_all_be_kept_to_are_refused(changed: dict[str, int], reason: str) -> None:
    days = context()["environments"]["dev"]["days"]
    with pytest.raises(BadEnvironment, match=reason):
        read("dev", {"days": {**days, **changed}})


def test_the_account_is_the_callers_unless_the_environment_names_one() -> None:
    assert read("dev").account == UNKNOWN_ACCOUNT
    assert read("dev", account="111122223333").account == "111122223333"
    assert read("dev", {"account": "444455556666"}, account="111122223333").account == "444455556666"


def test_an_environment_changes_the_size_of_one_function() -> None:
    environment = read("dev", {"sizes": {"api": {"memory_mb": 3008}}})
    assert environment.size_of("api") == Size(memory_mb=3008, timeout_seconds=10)
    assert environment.size_of("train_model") == Size(memory_mb=3008, timeout_seconds=900)
    assert environment.size_of("tick") == Size(memory_mb=512, timeout_seconds=60)


def test_a_synthesis_needs_no_account_no_credentials_and_no_node(tmp_path: Path) -> None:
    bare = {"PATH": "/nowhere", "HOME": str(Path.home()), "CDK_OUTDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "app.py"], cwd=ROOT, env=bare, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "serin-local.template.json").exists()


def test_a_wrong_environment_ends_the_program_with_a_sentence() -> None:
    told = {"PATH": "/nowhere", "HOME": str(Path.home()), "CDK_CONTEXT_JSON": '{"env": "live"}'}
    done = subprocess.run([sys.executable, "app.py"], cwd=ROOT, env=told, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "app.py: there is no environment 'live'; cdk.json has local, dev, staging, prod\n"
