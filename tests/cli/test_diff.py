"""Two versions are told apart by what differs, and by how one answered what the other was asked."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from serin.aws.cloud import Cloud
from serin.cli.diff import tell_diff
from serin.cli.show import Output
from serin.client.diff import HIDDEN, diff_versions
from serin.errors import NotFound
from serin.registry.registry import put
from tests.release.bench import CANARY, Bench


def cloud_of(bench: Bench) -> Cloud:
    return cast(Cloud, SimpleNamespace(registry=bench.registry, data=bench.data))


def gate(*, passed: bool) -> dict[str, Any]:
    value = 0.9 if passed else 0.7
    return {"gate": "roc_auc >= 0.8", "passed": passed, "value": value, "message": f"roc_auc is {value}"}


@pytest.fixture
def bench() -> Bench:
    """Version 1, and version 2 of another plan, replayed against it."""
    made = Bench()
    made.start(1, metrics={"roc_auc": 0.7, "f1": 0.5}, gates=(gate(passed=False),))
    made.turn(1)
    made.asked(*[60] * 38, 20, 20)
    made.section = {**CANARY, "replay": "24h"}
    made.start(2, metrics={"roc_auc": 0.9, "f1": 0.5}, gates=(gate(passed=True),))
    made.turn(2)
    return made


def test_only_what_differs_is_named(bench: Bench) -> None:
    found = diff_versions(cloud_of(bench), "loans", 1, 2)
    assert set(found["facts"]) == {"model.onnx"}
    assert found["metrics"] == {"roc_auc": [0.7, 0.9]}
    assert found["contract"]["release.strategy"] == ["blue_green", "canary"]
    assert "target" not in found["contract"]
    assert [each["passed"] for each in found["gates"]["roc_auc >= 0.8"]] == [False, True]
    same = diff_versions(cloud_of(bench), "loans", 2, 2)
    assert [same[kind] for kind in ("facts", "contract", "metrics", "gates", "replay")] == [{}, {}, {}, {}, None]


def margin(text: str, *, passed: bool = True, value: float = 0.1) -> dict[str, Any]:
    return {"gate": text, "passed": passed, "value": value, "message": f"better by {value}"}


def test_a_gate_has_one_line_though_its_words_changed_or_it_was_asked_of_two() -> None:
    bench = Bench()
    bench.start(1, gates=(margin("beats champion by -1%", value=0.2),))
    bench.turn(1)
    now = "at most 1% worse than champion"
    bench.start(2, gates=(margin(now, value=0.3), margin(now, value=0.4)))
    bench.turn(2)
    bench.start(3, gates=(margin(now, value=0.3), margin(now, passed=False, value=-0.4)))
    found = diff_versions(cloud_of(bench), "loans", 1, 2)["gates"]
    assert {name: [each["value"] for each in both] for name, both in found.items()} == {now: [0.2, 0.3]}
    found = diff_versions(cloud_of(bench), "loans", 2, 3)["gates"]
    assert [each["value"] for each in found[now]] == [0.3, -0.4]


@pytest.mark.parametrize("numbers", [(1, 2), (2, 1)])
def test_the_replay_of_one_against_the_other_is_shown_in_either_order(bench: Bench, numbers: tuple[int, int]) -> None:
    replay = diff_versions(cloud_of(bench), "loans", *numbers)["replay"]
    assert (replay["requests"], replay["disagreeing"], replay["window"]["challenger"]) == (40, 2, 2)


def test_people_read_it_in_tables(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    tell_diff(Output(), diff_versions(cloud_of(bench), "loans", 1, 2))
    said = capsys.readouterr().out
    assert "loans@2 on what loans@1 was asked" in said
    assert "2 of 40 requests get another answer, 0 get none" in said
    assert "0.1, 0.9" in said
    assert "age 20, salary -, education school" in said
    assert "rejected: roc_auc is 0.7" in said


def test_what_people_sent_as_sensitive_features_and_entity_is_hidden_unless_it_is_asked_for(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    for run in bench.registry.runs("loans"):
        features = {**run.contract["features"], "age": {**run.contract["features"]["age"], "sensitive": True}}
        revision = bench.registry.run("loans", run.id).revision
        changed = replace(run, contract={**run.contract, "features": features, "entity": "education"})
        bench.registry.save(put(changed, expected_revision=revision))
    hidden = diff_versions(cloud_of(bench), "loans", 1, 2)
    assert {row["values"]["age"] for row in hidden["replay"]["flipped"]} == {HIDDEN}
    tell_diff(Output(), hidden)
    said = capsys.readouterr().out
    assert "age (hidden), salary -, education (hidden)" in said
    assert "--show-values" in said
    tell_diff(Output(), diff_versions(cloud_of(bench), "loans", 1, 2, show_values=True))
    said = capsys.readouterr().out
    assert "age 20, salary -, education school" in said
    assert "--show-values" not in said


def test_a_version_that_is_not_there_is_named(bench: Bench) -> None:
    with pytest.raises(NotFound, match="3"):
        diff_versions(cloud_of(bench), "loans", 1, 3)
