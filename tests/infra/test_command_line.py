"""The CDK's command line runs where nobody has installed Node."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from serin.cdk.command_line import compose, with_node
from serin.cdk.node import NODE


def test_what_asks_for_node_on_the_path_finds_the_bundled_one(tmp_path: Path) -> None:
    script = tmp_path / "cdk"  # as npm writes it
    script.write_text("#!/usr/bin/env node\nconsole.log(process.execPath)\n")
    script.chmod(0o755)
    (tmp_path / "env").symlink_to(str(shutil.which("env")))
    done = subprocess.run([script], env=with_node({"PATH": str(tmp_path)}), capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).samefile(NODE)


def test_what_was_on_the_path_stays_there_behind_it() -> None:
    assert with_node({"PATH": "/a:/b", "AWS_PROFILE": "mine"}) == {
        "PATH": f"{NODE.parent}:/a:/b",
        "AWS_PROFILE": "mine",
    }


@pytest.mark.parametrize(
    ("words", "runs"),
    [
        ("deploy -c env=dev", "deploy --all -c env=dev"),
        ("diff -c env=dev shop-dev", "diff -c env=dev shop-dev"),
        ("destroy shop-dev --force", "destroy shop-dev --force"),
        ("deploy --all", "deploy --all"),
        ("bootstrap -c env=dev", "bootstrap -c env=dev"),
    ],
)
def test_a_command_for_stacks_that_names_none_is_for_all(words: str, runs: str) -> None:
    assert " ".join(compose(words.split())).endswith(f" -- {runs}")
