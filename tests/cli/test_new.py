"""What a repository of one's own begins with, and how it learns of a newer Serin."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from serin.cli import new, upgrade
from serin.cli.new import write_project
from serin.cli.upgrade import upgrade_project
from serin.client.project import AskedWrongly

VERSION = metadata.version("serin")


def installed_from(patch: pytest.MonkeyPatch, origin: dict[str, object] | None) -> None:
    """Let Serin be installed from somewhere else: what pip notes of it (PEP 610)."""
    text = None if origin is None else json.dumps(origin)
    patch.setattr(new.metadata, "distribution", lambda _: SimpleNamespace(version=VERSION, read_text=lambda _: text))


def test_a_project_is_called_as_its_folder_and_nothing_is_left_to_fill_in(tmp_path: Path) -> None:
    files = write_project(tmp_path / "shop")
    assert {str(path.relative_to(tmp_path / "shop")) for path in files} >= {
        ".github/workflows/serin.yml",
        ".gitignore",
        "Makefile",
        "README.md",
        "app.py",
        "cdk.json",
        "models/loans/model.yaml",
        "requirements.txt",
    }
    assert json.loads((tmp_path / "shop" / "cdk.json").read_text())["context"]["defaults"]["prefix"] == "shop"
    for path in files:
        assert not any(word in path.read_text() for word in ("{name}", "{region}", "{serin}")), path
    workflow = yaml.safe_load((tmp_path / "shop" / ".github" / "workflows" / "serin.yml").read_text())
    assert set(workflow["jobs"]) == {"check", "diff", "dev", "prod"}
    assert "${{ vars.AWS_ROLE_DEV }}" in json.dumps(workflow["jobs"]["dev"])


@pytest.mark.parametrize("name", ["Shop", "9lives", "a-name-far-too-long", "my_shop"])
def test_a_name_that_no_bucket_can_have_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(AskedWrongly, match="cannot be the name of a project"):
        write_project(tmp_path / name)
    assert not (tmp_path / name).exists()


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "mine.txt").write_text("mine")
    with pytest.raises(AskedWrongly, match="is not empty"):
        write_project(tmp_path / "shop")


def test_an_installed_version_is_pinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed_from(monkeypatch, None)
    write_project(tmp_path / "shop")
    assert f"\nserin[local]=={VERSION}\n" in (tmp_path / "shop" / "requirements.txt").read_text()


def test_a_wheel_that_no_index_has_goes_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = tmp_path / "serin-9-py3-none-any.whl"
    wheel.write_bytes(b"a wheel")
    installed_from(monkeypatch, {"url": wheel.as_uri(), "archive_info": {}})
    write_project(tmp_path / "shop")
    assert (tmp_path / "shop" / "vendor" / wheel.name).read_bytes() == b"a wheel"
    assert "\n--find-links vendor\nserin[local]==" in (tmp_path / "shop" / "requirements.txt").read_text()


def test_an_upgrade_says_what_changed_since(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "log.md").write_text(
        "# What changed\n\n## 0.3.0\n\n- third\n\n## 0.2.0\n\n- second\n\n## 0.1.0\n\n- first\n"
    )
    monkeypatch.setattr(upgrade, "shipped", lambda _: tmp_path / "log.md")
    monkeypatch.setattr(upgrade.metadata, "version", lambda _: "0.3.0")
    (tmp_path / ".serin-version").write_text("0.1.0\n")
    (tmp_path / "requirements.txt").write_text("serin[local]==0.3.0\npytest==9.2.0\n")
    upgraded = upgrade_project(tmp_path)
    assert upgraded.changes == {"0.3.0": "- third", "0.2.0": "- second"}
    assert (tmp_path / ".serin-version").read_text() == "0.3.0\n"
    assert (tmp_path / "docs" / "contract.schema.json").exists()
    assert upgrade_project(tmp_path).summary.startswith("nothing to do")


@pytest.mark.parametrize(
    ("pins", "follows", "says"),
    [
        (f"serin=={VERSION}9\n", VERSION, "first: make setup"),
        ("", "99.0", f"and {VERSION}, which is installed, is older"),
    ],
)
def test_a_project_that_cannot_be_upgraded_is_told_why(tmp_path: Path, pins: str, follows: str, says: str) -> None:
    (tmp_path / "requirements.txt").write_text(pins)
    (tmp_path / ".serin-version").write_text(follows)
    with pytest.raises(AskedWrongly, match=says):
        upgrade_project(tmp_path)
    assert (tmp_path / ".serin-version").read_text() == follows


def test_the_changelog_tells_of_this_version() -> None:
    assert VERSION in upgrade._changelog()
