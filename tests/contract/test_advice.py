"""A contract that is allowed may still be worth a second look, and a gate that is proposed can be meant."""

from __future__ import annotations

from typing import Any

import pytest

from serin.contract.advice import advise
from tests.builders import a_contract

FEATURES = {"age": {"type": "integer", "sensitive": True}, "salary": {"type": "number"}}


@pytest.mark.parametrize(
    ("capture", "said"),
    [
        ({}, "captures leave out age: no drift of them is seen, and no replay or shadow can be; serving: {capture: "),
        ({"mask": ["age"]}, "captures leave out age: no drift of them is seen, and no replay or shadow can be"),
        ({"mask": []}, "captures, and the endpoint's log through which they pass, hold age as sent"),
        ({"mask": ["salary"]}, "captures, and the endpoint's log through which they pass, hold age as sent"),
        ({"hash": ["age"]}, ""),
    ],
)
def test_it_says_what_becomes_of_facts_about_people_in_captures(capture: dict[str, Any], said: str) -> None:
    found = [line for line in advise(a_contract(features=FEATURES, serving={"capture": capture})) if "captures" in line]
    assert [line[: len(said)] for line in found] == ([said] if said else [])
    assert ("keeps them" in "".join(found)) == (capture == {})


def test_a_contract_without_facts_about_people_gets_no_advice_about_them() -> None:
    assert not [line for line in advise(a_contract()) if "people" in line or "captures" in line]


GATES = ["beats baseline by 1%", "at most 1% worse than champion"]


@pytest.mark.parametrize(
    ("changes", "example"),
    [
        ({}, "roc_auc >= 0.7"),
        ({"training": {"metric": "f1"}}, "f1 >= 0.7"),
        ({"training": {"metric": "log_loss"}}, "accuracy >= 0.7"),
        ({"task": "regression"}, "r2 >= 0.5"),
        ({"task": "regression", "training": {"metric": "mae"}}, "r2 >= 0.5"),
    ],
)
def test_a_gate_is_proposed_whose_scale_is_known(changes: dict[str, object], example: str) -> None:
    said = [*advise(a_contract(gates=GATES, **changes))]
    assert f"no gate asks for a quality of its own; add one like '{example}'" in said
    assert [*advise(a_contract(gates=[*GATES, example], **changes))] == []


@pytest.mark.parametrize("gate", ["at most 1% worse than champion", "beats champion by 0.01", "beats champion by -1%"])
def test_a_gate_against_the_champion_is_missed_only_where_there_is_none(gate: str) -> None:
    warning = "no gate compares with the champion: a worse version could replace it"
    assert warning in [*advise(a_contract(gates=["roc_auc >= 0.7"]))]
    assert [*advise(a_contract(gates=["roc_auc >= 0.7", gate]))] == []
