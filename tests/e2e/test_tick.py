"""The tick, as the schedule calls it: with the variables and the rights that the template gives it."""

from __future__ import annotations

import json

from serin.client.environment import EnvironmentClient
from serin.local.twin import Twin
from serin.registry.ids import receipt_id
from serin.registry.keys import receipt_key
from serin.registry.records import Release
from tests.e2e.conftest import upload, write_contract
from tests.e2e.test_power_cuts import SMALL, small_table


def invoke_tick(there: EnvironmentClient) -> None:
    answer = there.session.client("lambda").invoke(FunctionName="serin-local-tick", Payload=b"{}")
    assert "FunctionError" not in answer, json.loads(answer["Payload"].read())


def test_it_looks_after_every_model(there: EnvironmentClient, twin: Twin) -> None:
    before = there.cloud.registry.training("diabetes").value.decided_at
    invoke_tick(there)
    twin.settle(60)
    state = there.cloud.registry.training("diabetes").value
    assert state.decided_at > before
    assert state.decision


def test_it_leaves_what_is_well_alone(there: EnvironmentClient, twin: Twin, project: object) -> None:
    write_contract(project, **{**SMALL, "model": "ticked"})  # type: ignore[arg-type]  # the project's folder
    steps = upload(there, "ticked", "a.csv", small_table())
    assert isinstance(steps[-1], Release)
    invoke_tick(there)
    twin.settle(60)
    assert len(there.cloud.registry.runs("ticked")) == 1
    assert [entry.move for entry in there.cloud.registry.history("ticked")] == ["live", "promote"]
    (stored,) = there.cloud.data.list("uploads/ticked/")
    assert there.cloud.data.exists(receipt_key("ticked", receipt_id(stored.key, stored.version)))
