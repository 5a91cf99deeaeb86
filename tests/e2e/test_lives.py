"""A model lives whole on the twin: it is trained, retired, answers no longer, is deleted, and its name begins anew."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from serin.client.environment import EnvironmentClient
from serin.errors import NotFound
from serin.registry.keys import data_prefixes, versions_prefix
from serin.registry.records import Receipt
from tests.e2e.conftest import Serin, upload, write_contract
from tests.e2e.test_power_cuts import SMALL, small_table


def test_a_model_retires_is_deleted_and_begins_anew(
    project: Path, there: EnvironmentClient, serin: Serin, tmp_path: Path
) -> None:
    write_contract(project, **SMALL | {"model": "mortal", "entity": "who", "batch": {"keep": "1h"}})
    rows = small_table().decode().splitlines()
    table = "\n".join([f"{rows[0]},who", *(f"{row},w{place}" for place, row in enumerate(rows[1:]))]).encode()
    upload(there, "mortal", "first.csv", table)
    (tmp_path / "ask.csv").write_text("who,x\nann,0.5\n")
    serin("batch", "mortal", str(tmp_path / "ask.csv"), "--wait")
    model = there.model("mortal")
    assert "retire it first" in serin("delete", "mortal", "--yes", "mortal", status=2).stderr

    said = serin("retire", "mortal", "--reason", "nobody asks it", "--until", "2100-01-01").stdout
    assert "it answers until 2100-01-01 00:00:00 UTC" in said
    assert "nobody asks it; it answers until" in serin("versions", "mortal").stdout
    assert "nobody asks it; it answers until" in serin("why", "mortal@champion").stdout
    assert model.ask([{"x": 0.5}])["version"] == 1
    (receipt,) = upload(there, "mortal", "second.csv", small_table(300))
    assert isinstance(receipt, Receipt)
    assert (receipt.status, receipt.reasons[0]["code"]) == ("quarantined", "RETIRED")
    assert "is retired since" in serin("train", "mortal", "--wait", status=1).stdout

    serin("retire", "mortal", "--undo")
    assert model.overview().life.retirement is None
    serin("retire", "mortal", "--reason", "nobody asks it", "--until", "now")
    time.sleep(5)  # as old the route may be that a running endpoint has
    with pytest.raises(NotFound, match=r"mortal answers no longer since .*: nobody asks it"):
        model.ask([{"x": 0.5}])

    assert "say --yes mortal" in serin("delete", "mortal", status=2).stderr
    deleted = serin("delete", "mortal", "--yes", "mortal").stdout
    assert "expire by themselves after" in deleted
    for prefix in data_prefixes("mortal"):
        assert not any(there.cloud.data.all_versions(prefix)), prefix
    assert not any(there.cloud.artifacts.all_versions(versions_prefix("mortal")))
    with pytest.raises(NotFound, match="no champion"):
        model.ask([{"x": 0.5}])
    with pytest.raises(NotFound, match="no answer"):
        there.call("GET", "/models/mortal/answers?entity=ann")
    history = there.cloud.registry.history("mortal")
    assert [entry.move for entry in history][-2:] == ["delete", "deleted"]
    assert json.loads(serin("versions", "mortal", "--json").stdout)["versions"] == []
    assert "nothing of mortal to delete" in serin("delete", "mortal", "--yes", "mortal", status=2).stderr

    upload(there, "mortal", "first.csv", table)
    assert model.ask([{"x": 0.5}])["version"] == 2
