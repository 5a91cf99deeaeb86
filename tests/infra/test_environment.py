"""Does a wrong setting say what is wrong, and does a synthesis need nothing but Python?"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from serin.cdk.app import read_context
from serin.cdk.environment import UNKNOWN_ACCOUNT, BadEnvironment, Environment, Size, UnknownEnvironment
from serin.shipped.environments import settings

ROOT = Path(__file__).resolve().parents[2]


def context() -> dict[str, Any]:
    return read_context(ROOT)


def read(name: str, changed: dict[str, Any] | None = None, account: str | None = None) -> Environment:
    told = context()
    told["environments"].get(name, {}).update(changed or {})
    return Environment.read(name, context=told, default_account=account)


def test_a_wrong_name_is_answered_with_the_right_ones() -> None:
    with pytest.raises(UnknownEnvironment, match=r"no environment 'production'.*local, dev, staging, prod"):
        read("production")


def test_a_setting_that_nothing_reads_is_refused() -> None:
    with pytest.raises(BadEnvironment, match=r"'dev': nothing reads regoin"):
        read("dev", {"regoin": "eu-west-1"})


def test_a_setting_that_lacks_is_named() -> None:
    told = context()
    del told["defaults"]["region"]
    with pytest.raises(BadEnvironment, match="'dev': lacks region"):
        Environment.read("dev", context=told, default_account=None)


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


def test_what_a_project_says_goes_over_what_serin_says_key_by_key() -> None:
    own = {
        "defaults": {"region": "eu-north-1"},
        "environments": {"dev": {"days": {"logs": 3}, "sizes": {}}, "live": {}},
    }
    filled = settings(own)
    dev = Environment.read("dev", context=filled, default_account=None)
    live = Environment.read("live", context=filled, default_account=None)
    assert (dev.region, dev.days.logs, dev.days.runs) == ("eu-north-1", 3, live.days.runs)
    assert Environment.read("local", context=filled, default_account=None).bundle is False
    assert own["environments"]["live"] == {}


def test_the_account_is_the_callers_unless_the_environment_names_one() -> None:
    assert read("dev").account == UNKNOWN_ACCOUNT
    assert read("dev", account="111122223333").account == "111122223333"
    assert read("dev", {"account": "444455556666"}, account="111122223333").account == "444455556666"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"prefix": "Shop"}, r"prefix is 'Shop', but names take lower-case letters"),
        ({"prefix": "shop_"}, "lower-case letters, digits, and single hyphens"),
        ({"prefix": "-shop"}, "a letter first"),
        ({"prefix": "7shops"}, "a letter first"),
        ({"prefix": "shop-"}, "hyphens between them"),
        ({"prefix": ""}, "prefix is ''"),
        ({"prefix": 7}, "prefix is 7"),
        ({"prefix": "a-shop-with-a-long-name"}, r"'a-shop-with-a-long-name-dev', .* has 27 characters; at most 24"),
        ({"tags": {"cost-centre": 7}}, "the value of cost-centre must be a text"),
        ({"tags": ["shop"]}, "tags"),
    ],
)
def test_a_name_that_aws_would_not_take_is_refused(changed: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadEnvironment, match=f"'dev': .*{reason}"):
        read("dev", changed)


def test_an_environment_is_called_what_its_resources_can_be_called() -> None:
    settings = context()
    settings["environments"]["Dev"] = settings["environments"]["dev"]
    with pytest.raises(BadEnvironment, match="its name is 'Dev'"):
        Environment.read("Dev", context=settings, default_account=None)


def test_the_longest_prefix_leaves_room_for_a_bucket_in_any_region() -> None:
    environment = read("dev", {"prefix": "a" * 20, "account": "1" * 12, "region": "ap-southeast-1"})
    assert len(environment.artifacts_bucket) <= 63  # as S3 has it


def test_tags_are_those_of_all_environments_and_its_own() -> None:
    tags = {
        "defaults": {"tags": {"team": "credit", "stage": "any"}},
        "environments": {"dev": {"tags": {"stage": "dev"}}},
    }
    dev = Environment.read("dev", context=settings(tags), default_account=None)
    assert dev.tags == {"team": "credit", "stage": "dev"}


def test_a_project_from_before_prefixes_is_called_as_it_was_and_stays_protected() -> None:
    before = Environment.read("dev", context=settings({"environments": {"dev": {}}}), default_account=None)
    assert (before.stack, before.metrics, before.tags, before.protect) == ("serin-dev", "Serin/dev", {}, True)


def test_an_environment_changes_the_size_of_one_function() -> None:
    environment = read("dev", {"sizes": {"api": {"memory_mb": 3008}}})
    assert environment.size_of("api") == Size(memory_mb=3008, timeout_seconds=10)
    assert environment.size_of("train_model") == Size(memory_mb=3008, timeout_seconds=900, disk_mb=4096)
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


@pytest.mark.parametrize("disk_mb", [511, 10_241])
def test_a_disk_that_lambda_does_not_have_is_refused(disk_mb: int) -> None:
    with pytest.raises(BadEnvironment, match=f"disk_mb of split_batch is {disk_mb}; Lambda has 512 to 10240"):
        read("dev", {"sizes": {"split_batch": {"disk_mb": disk_mb}}})
