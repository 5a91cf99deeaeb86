"""A challenger disagrees too often, or surely seldom enough, only where that is certain."""

from __future__ import annotations

from collections.abc import Callable
from math import comb

import pytest

from serin.release.disagreement import Disagreement, is_surely_allowed, is_too_much
from serin.release.sequential import PASS_LEVEL


@pytest.mark.parametrize(
    ("seen", "is_over"),
    [
        (Disagreement(), False),
        (Disagreement(400, 40), False),
        (Disagreement(400, 50), False),
        (Disagreement(400, 80), True),
        (Disagreement(400, 0, faults=80), True),
        (Disagreement(1, 1), False),
    ],
)
def test_a_shadow_disagrees_too_much_only_when_that_is_certain(seen: Disagreement, is_over: bool) -> None:
    assert is_too_much(seen, 0.1) is is_over


@pytest.mark.parametrize(
    ("seen", "is_under"),
    [
        (Disagreement(400, 0), True),
        (Disagreement(400, 20), True),
        (Disagreement(400, 40), False),
        (Disagreement(400, 0, faults=40), False),
        (Disagreement(20, 0), False),
        (Disagreement(), False),
    ],
)
def test_a_replay_is_allowed_only_when_that_is_certain(seen: Disagreement, is_under: bool) -> None:
    assert is_surely_allowed(seen, 0.1) is is_under


@pytest.mark.parametrize("of", [50, 400, 1000])
@pytest.mark.parametrize("allowed", [0.01, 0.1, 0.4])
@pytest.mark.parametrize("tell", [is_too_much, is_surely_allowed])
def test_at_the_very_limit_of_what_is_allowed_it_is_told_wrongly_at_most_that_often(
    tell: Callable[[Disagreement, float], bool], allowed: float, of: int
) -> None:
    wrong = [events for events in range(of + 1) if tell(Disagreement(of, events), allowed)]
    assert sum(comb(of, events) * allowed**events * (1 - allowed) ** (of - events) for events in wrong) <= PASS_LEVEL
