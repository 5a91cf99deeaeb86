"""The demo that `make demo` tells goes its whole way on a twin, and each of its figures is one that happened."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from serin.cli.demo import MODEL, Demo
from serin.cli.show import Output
from serin.client.environment import EnvironmentClient
from tests.e2e.conftest import write_contract

pytestmark = pytest.mark.xdist_group("demo")  # a twin more, rather than a minute more after the other end-to-end tests


def test_the_demo_tells_the_whole_loop(
    there: EnvironmentClient, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = yaml.safe_load((project / "models" / MODEL / "model.yaml").read_text())
    training = {**written["training"], "folds": 2, "budget": "6 fits", "candidates": ["linear"]}
    write_contract(project, **{**written, "training": training})
    demo = Demo(Output(), there)
    demo.tell()

    said = capsys.readouterr().out
    for told in (
        "leaderboard",
        f"gates  {MODEL}@1 passed",
        "TOO_MANY_BAD_ROWS",
        "steady: nothing moved",
        "drifted: ",
        "mean_smoothness",
        "training tumours: what is asked has drifted",
        f"gates  {MODEL}@2 passed",
        "the shadow disagrees",
        f"champion  {MODEL}@2",
        "wrong: breach",
    ):
        assert told in said
    releases = there.cloud.registry.releases(MODEL)
    assert [(release.version, str(release.status)) for release in releases] == [
        (1, "promoted"),
        (2, "promoted"),
        (3, "rolled_back"),
    ]
    moves = [entry.move for entry in there.cloud.registry.history(MODEL) if entry.release == releases[1].id]
    assert moves == ["live", "start", "advance", "advance", "promote"]
    traffic = [step for step in demo.steps if step["step"] == "traffic"]
    assert [step["failed"] for step in traffic] == [0, 0]
    assert all(f"{step['asked']:,} requests" in said for step in traffic)
