"""The README's tour works as written, block by block, in a fresh folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from rich.cells import cell_len

from serin.cli.main import app
from serin.contract.load import parse_contract
from serin.serving.http.dispatch import ROUTES
from tests.e2e.conftest import ROOT, make_project

pytestmark = pytest.mark.xdist_group("readme")

README = (ROOT / "README.md").read_text()
TOUR = re.findall(r"```sh tour\n(.*?)```", README, re.DOTALL)

# Keeps what commands say to people, which is all but documents and what a shell evaluates.
LOGGED = """
serin() {
    case " $* " in
        *" --json "* | *" env "*) command serin "$@" ;;
        *)
            command serin "$@" 2>&1 | tee -a said.log
            return "${PIPESTATUS[0]}"
            ;;
    esac
}
"""


@pytest.mark.skipif(
    not all(map(shutil.which, ("bash", "curl", "cut", "head"))), reason="the tour asks for curl, cut and head"
)
def test_the_tour_works_as_written(tmp_path: Path) -> None:
    assert len(TOUR) >= 7
    script = f"set -eu\n{LOGGED}" + "\n".join(f'echo "── block {number}"\n{block}' for number, block in enumerate(TOUR))
    folder = make_project(tmp_path)
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    done = subprocess.run(
        ["bash", "-c", f"trap 'serin local down || true' ERR\n{script}"],
        cwd=folder,
        env=environment | {"SERIN_PORT": "0", "PATH": f"{Path(sys.prefix) / 'bin'}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "credit@1 answers now" in done.stdout
    assert '"probabilities"' in done.stdout, "curl was answered"
    assert done.stdout.count('{"predictions":[') == 2, "both scoring forms were answered"
    assert '"id":"mine"' in done.stdout, "the open protocol was answered"
    assert "credit@1 answered 3 of 3 rows" in done.stdout
    assert '"entity":"A0000000"' in done.stdout, "a kept answer was read"
    assert "credit@1 answers again" in done.stdout
    assert "40 of 40 golden rows" in done.stdout
    assert "is down" in done.stdout
    lines = (folder / "said.log").read_text().splitlines()
    assert len(lines) > 100
    assert [line for line in lines if cell_len(line) > 80] == [], "wider than 80 columns"


def test_every_make_target_that_it_names_exists() -> None:
    named = set(re.findall(r"^make (\w+)", README, re.MULTILINE))
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"demo", "test"} <= named <= targets


def test_the_contract_that_it_shows_is_one() -> None:
    shown = re.search(r"```yaml\n(.*?)```", README, re.DOTALL)
    assert shown
    assert parse_contract(shown[1], "README.md").model == "credit"


def test_every_command_that_it_names_exists() -> None:
    named = set(re.findall(r"^serin (\w+)", README, re.MULTILINE))
    assert len(named) > 8
    assert named <= {*typer.main.get_command(app).commands}  # type: ignore[attr-defined]  # it is a group


def test_the_page_about_serving_names_every_path() -> None:
    named = set(re.findall(r"`(GET|POST) (/[^`]*)`", (ROOT / "docs" / "serving.md").read_text()))
    assert named == {(route.method, route.path) for route in ROUTES}


def test_every_place_that_it_names_exists() -> None:
    places = re.findall(r"`((?:layers|infra|local|cli|docs|benchmarks)/[\w/.*-]*)`", README)
    assert places
    for place in places:
        assert list(ROOT.glob(place.rstrip("/"))), place
