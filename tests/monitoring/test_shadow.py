"""A shadow compares what the challenger would have answered, and nothing that it does can hurt."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from serin.contract.serving_spec import SpecFeature
from serin.errors import Unverified
from serin.monitoring import shadow as module
from serin.monitoring.layout import Layout
from serin.monitoring.rescore import Challenger
from serin.monitoring.shadow import compare
from serin.monitoring.summarise import summarise
from serin.monitoring.summary import DisagreementExample, Summary
from serin.monitoring.units import Unit
from serin.serving.rows.encode import Encoded
from tests.builders import a_capture, a_capture_file, a_release, a_spec
from tests.monitoring.world import by_age

RELEASE = a_release(version=2)
LAYOUT = Layout(a_spec())
AGE_ALONE = a_spec(features=(SpecFeature("age", "integer"),))


def asked(number: int, *ages: int, **changes: Any) -> dict[str, Any]:
    """A request that the champion answered with yes, surely."""
    rows = [[age, None, "school"] for age in ages]
    scores = [[0.1, 0.9]] * len(ages)
    return a_capture(number, release=RELEASE.id, n=len(ages), rows=rows, scores=scores, **changes)


def compared(
    *lines: dict[str, Any], layout: Layout = LAYOUT, score: Any = by_age, **spec: Any
) -> tuple[Summary, tuple[str, ...]]:
    content, challenger = a_capture_file(*lines), Challenger(a_spec(**spec), b"onnx")
    return compare(
        content,
        summarise(content, lambda *_: layout),
        layout_of=lambda *_: layout,
        challenger_of=lambda *_: challenger,
        score=score,
    )


def shadowed(summary: Summary) -> list[Unit]:
    """The entities for which the two versions were compared."""
    return [unit for unit in summary.units("loans", RELEASE.id) if unit.is_flipped is not None]


def flips(summary: Summary) -> list[bool | None]:
    return [unit.is_flipped for unit in shadowed(summary)]


def examples(summary: Summary) -> list[DisagreementExample]:
    return [*summary.flips["loans", RELEASE.id].examples.values()]


def test_it_counts_entities_flips_and_how_far_scores_are_apart() -> None:
    summary, warnings = compared(asked(1, 60), asked(2, 20), asked(3, 60, 20))
    assert warnings == ()
    assert sorted(flips(summary)) == [False, True, True]
    assert sorted(unit.delta for unit in shadowed(summary)) == pytest.approx([0, 0.4, 0.8])
    assert {example.row[0] for example in examples(summary)} == {20}
    assert Summary.from_json(summary.to_json()) == summary


def test_an_entity_is_compared_once_and_errors_and_other_arms_not_at_all() -> None:
    summary, _ = compared(
        asked(1, 20),
        asked(2, 60, unit=asked(1)["unit"]),
        asked(3, 20, fault="late"),
        asked(4, 20, arm="challenger", version=2, answered=2),
        asked(5, 20, arm="direct"),
    )
    assert flips(summary) == [True], "by its first request"


def test_where_the_challenger_gives_no_number_it_disagrees() -> None:
    summary, _ = compared(asked(1, 99), asked(2, 60))
    assert {unit.is_flipped: unit.delta for unit in shadowed(summary)} == {True: None, False: pytest.approx(0)}
    assert examples(summary) == []


def test_classes_and_features_may_stand_in_another_order() -> None:
    def mirrored(onnx: bytes, spec: bytes, encoded: Encoded) -> NDArray[np.float64]:
        return by_age(onnx, spec, encoded)[:, ::-1]

    summary, _ = compared(asked(1, 60), asked(2, 20), score=mirrored, classes=("yes", "no"), positive=0)
    assert sorted(flips(summary)) == [False, True]


def test_a_regression_has_no_labels_to_flip() -> None:
    spec = {"task": "regression", "classes": (), "positive": None}
    line = a_capture(1, release=RELEASE.id, scores=[[5.0]])
    summary, _ = compared(line, layout=Layout(a_spec(**spec)), score=lambda *_: np.array([[7.5]]), **spec)
    assert [(unit.is_flipped, unit.delta) for unit in shadowed(summary)] == [(False, 2.5)]


def refuse(*_: Any) -> NDArray[np.float64]:
    raise Unverified("the model took longer than 10 s")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"layout": Layout(a_spec(), hidden=frozenset({"age"}))}, "captures hide age"),
        ({"features": (SpecFeature("height", "number"),)}, "do not hold height"),
        ({"features": (SpecFeature("age", "category"),)}, "do not hold age"),
        ({"classes": ("no", "maybe")}, "other classes"),
        ({"score": refuse}, "took longer"),
        ({"score": lambda *_: np.zeros((1, 3))}, "shape"),
    ],
    ids=["hidden", "unknown", "other type", "other classes", "hangs", "other shape"],
)
def test_what_cannot_be_compared_is_told_and_the_summary_stays(changes: dict[str, Any], said: str) -> None:
    summary, warnings = compared(asked(1, 20), **changes)
    assert said in warnings[0]
    assert (summary.captures, shadowed(summary)) == (1, [])


def test_a_sample_is_bounded_and_of_the_lowest_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ROWS", 7)
    lines = [asked(number, 20, 60) for number in range(10)]
    summary, _ = compared(*lines)
    units = summary.releases["loans", RELEASE.id].firsts
    assert [name for name, unit in units.items() if unit.is_flipped is not None] == sorted(units)[:3]


def test_without_a_release_nothing_is_read_twice_nor_scored() -> None:
    summary, warnings = compared(a_capture(1), score=refuse)
    assert (summary.captures, warnings) == (1, ())
