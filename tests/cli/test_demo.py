"""The demo fails where something does not end as it must. That it ends well is shown in tests/e2e/test_demo.py."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any, cast

import pytest

from serin.cli.demo import Demo
from serin.cli.show import Output
from serin.cli.traffic import Traffic
from serin.client.environment import EnvironmentClient
from serin.errors import SerinError
from serin.registry.records import Route
from tests.release.bench import CANARY, Bench


def a_demo(**cloud: Any) -> Demo:
    return Demo(Output(), cast(EnvironmentClient, SimpleNamespace(cloud=SimpleNamespace(**cloud), model=str)))


def test_a_request_that_failed_fails_it() -> None:
    traffic = SimpleNamespace(asked=3, failed=1, answered=Counter({1: 2}), messages=["the endpoint answers 503"])
    with pytest.raises(SerinError, match="answers 503"):
        a_demo()._tell_traffic(cast(Traffic, traffic))


@pytest.mark.parametrize(("champion", "says"), [(2, "version 2 is not champion"), (1, "a challenger is still asked")])
def test_a_route_that_is_not_as_it_must_be_fails_it(champion: int, says: str) -> None:
    bench = Bench()
    bench.champion_and_trial(CANARY)
    route = cast(Route, bench.route)
    registry = SimpleNamespace(route=lambda _: SimpleNamespace(value=route))
    with pytest.raises(SerinError, match=says):
        a_demo(registry=registry)._must_be_champion(champion)
