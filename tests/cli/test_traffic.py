"""Traffic asks for each row once, tells the truth afterwards, and counts what came back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, cast

from serin.cli.traffic import THREADS, TOLD_AT_ONCE, Row, Traffic, ever_new
from serin.client.environment import EnvironmentClient
from serin.errors import Unavailable


class Endpoint:
    """Answers as version 3, and remembers what it was sent; what is asked of x below 0 fails."""

    api_key = "key"

    def __init__(self) -> None:
        self.asked: list[Row] = []
        self.truths: list[dict[str, Any]] = []

    def call(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if path == "/models/loans/feedback":
            self.truths += body["feedback"]
            return {}
        (row,) = body["rows"]
        if row["x"] < 0:
            raise Unavailable("nobody is there")
        self.asked.append(row)
        return {"id": f"p{row['x']}", "version": 3}


def asking(endpoint: Endpoint, rows: Iterator[Row]) -> Traffic:
    return Traffic(cast(EnvironmentClient, endpoint), "loans", rows, target="y", per_second=10_000)


def until(holds: Callable[[], bool]) -> None:
    """Wait for a thread. A test that is wrong fails afterwards."""
    deadline = time.monotonic() + 10
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.005)


def test_each_row_is_asked_once_and_its_truth_told_some_at_a_time() -> None:
    endpoint, count = Endpoint(), 2 * TOLD_AT_ONCE + 5
    with asking(endpoint, ({"x": x, "y": -x} for x in range(count))) as traffic:
        until(lambda: traffic.answered[3] == count)
    assert sorted(row["x"] for row in endpoint.asked) == list(range(count))
    assert not any("y" in row for row in endpoint.asked)
    assert len(endpoint.truths) == 2 * TOLD_AT_ONCE
    assert all(said["id"] == f"p{-said['truth']}" for said in endpoint.truths)
    assert (traffic.asked, traffic.failed, set(traffic.last_answer)) == (count, 0, {3})


def test_what_is_asked_may_change_and_stop() -> None:
    endpoint = Endpoint()
    with asking(endpoint, iter([{"x": 1}])) as traffic:
        until(lambda: traffic.answered[3] == 1)
        traffic.ask(iter([{"x": 2}]))
        until(lambda: traffic.answered[3] == 2)
    traffic.ask(iter([{"x": 3}]))
    assert endpoint.asked == [{"x": 1}, {"x": 2}]


def test_what_fails_is_counted_and_does_not_end_it() -> None:
    endpoint = Endpoint()
    with asking(endpoint, iter([*[{"x": -1}] * (THREADS + 1), {"x": 1}])) as traffic:
        until(lambda: traffic.answered[3] == 1)
    assert (traffic.asked, traffic.failed) == (THREADS + 2, THREADS + 1)
    assert set(traffic.messages) == {"nobody is there"}


def test_rows_come_again_as_other_entities() -> None:
    rows = list(islice(ever_new([{"x": 1}, {"x": 2}], "who"), 6))
    assert [row["x"] for row in rows] == [1, 2] * 3
    assert len({row["who"] for row in rows}) == 6
    assert list(islice(ever_new([{"x": 1}], None), 2)) == [{"x": 1}] * 2
