"""What goes wrong is told in a sentence, with what to do and a status, and never as a traceback."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from serin.cli.main import main
from serin.client import project
from serin.client.model import Environment, ModelClient
from serin.registry.registry import Registry
from tests.fakes import FakeRows

ROOT = Path(__file__).parents[2]
CONTRACT = "model: loans\ntask: classification\ntarget: y\nfeatures: {x: {type: number}}\n"


Serin = Callable[..., tuple[str, str]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "models" / "loans").mkdir(parents=True)
    (tmp_path / "models" / "loans" / "model.yaml").write_text(CONTRACT)
    (tmp_path / "cdk.json").write_bytes((ROOT / "cdk.json").read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(project, "here", lambda: project.Project(tmp_path))
    return tmp_path


@pytest.fixture
def serin(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Serin:
    """Run a command, as its program does; gives what it wrote to stdout and stderr."""

    def run(*words: str, status: int) -> tuple[str, str]:
        monkeypatch.setattr(sys, "argv", ["serin", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == status
        said = capsys.readouterr()
        return said.out, said.err

    return run


def test_what_to_do_about_a_file_that_cannot_be_read_is_told(folder: Path, serin: Serin) -> None:
    (folder / "two.csv").write_text("a,a\n1,2\n")
    words = ("init", "twice", "--data", "two.csv", "--target", "a")
    assert serin(*words, status=2)[1] == (
        "error: the header has more than one column 'a'\nGive each column a name of its own.\n"
    )
    said = json.loads(serin(*words, "--json", status=2)[0])["error"]
    assert (said["code"], said["fix"]) == ("DUP_COLUMN", "Give each column a name of its own.")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"{", "is not JSON"),
        (b"\xff", "is not JSON"),
        (b"[]", "has no context with"),
        (b'{"context": 5}', "has no context with"),
        (b'{"context": {"defaults": {}, "environments": {"local": 5}}}', "has no context with"),
    ],
)
def test_a_broken_cdk_json_is_told(folder: Path, serin: Serin, content: bytes, says: str) -> None:
    (folder / "cdk.json").write_bytes(content)
    assert says in serin("versions", "loans", status=2)[1]


def test_a_folder_in_the_contracts_place_is_told(folder: Path, serin: Serin) -> None:
    (folder / "models" / "credit" / "model.yaml").mkdir(parents=True)
    assert "models/credit/model.yaml:1: the contract: is a folder" in serin("check", status=1)[0]
    assert "is a folder" in serin("versions", "credit", status=2)[1]


def test_a_check_forecasts_the_release(folder: Path, serin: Serin) -> None:
    file = folder / "models" / "loans" / "model.yaml"
    file.write_text(f"{CONTRACT}entity: who\nrelease: {{strategy: canary}}\n")
    assert "a release takes at least 30 min; if both" in serin("check", status=0)[0]
    assert "10 entities a minute" in json.loads(serin("check", "--json", status=0)[0])["releases"]["loans"]


@pytest.mark.skipif(sys.platform == "darwin", reason="names of files are always UTF-8 there")
def test_a_files_name_that_is_not_utf8_is_told(folder: Path, serin: Serin) -> None:
    name = os.fsdecode(b"caf\xe9.csv")
    (folder / name).write_text("x,y\n1,a\n")
    assert "is not UTF-8" in serin("upload", "loans", name, status=2)[1]
    assert "is not UTF-8" in serin("init", "m", "--data", name, "--target", "y", status=2)[1]


def test_a_drill_needs_rows(serin: Serin) -> None:
    assert "give some with --data <file>" in serin("drill", "credit", status=2)[1]


def test_releases_of_a_model_that_does_not_exist_are_not_told(serin: Serin, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = SimpleNamespace(registry=Registry(FakeRows()))
    there = SimpleNamespace(model=lambda name: ModelClient(cast(Environment, SimpleNamespace(cloud=nothing)), name))
    monkeypatch.setattr("serin.client.environment.reach", lambda _env: there)
    assert "nomodel" in serin("releases", "nomodel", status=2)[1]


@pytest.mark.parametrize(("module", "extra"), [("pandas", "data"), ("aws_cdk.aws_s3", "cdk"), ("moto", "local")])
def test_a_package_that_this_installation_goes_without_is_named_with_its_extra(
    serin: Serin, monkeypatch: pytest.MonkeyPatch, module: str, extra: str
) -> None:
    def missing() -> None:
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)

    monkeypatch.setattr(project, "here", missing)
    error = serin("check", status=1)[1]
    assert (
        error == f'error: this needs {module.partition(".")[0]}, which is not installed\npip install "serin[{extra}]"\n'
    )
