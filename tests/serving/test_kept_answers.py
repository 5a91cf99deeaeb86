"""What a batch answered for an entity is read over HTTP, until it expires."""

from __future__ import annotations

import pytest

from serin.errors import Unavailable
from serin.registry.ports import KeptAnswer
from tests.serving.asking import VERSION, World

SAID = {"version": VERSION, "job": "j1", "at": "2026-01-01T00:00:00+00:00", "answer": {"prediction": "yes"}}


@pytest.fixture
def keeping(world: World) -> World:
    world.kept["loans", "ann & co"] = KeptAnswer("ann & co", "2026", expires=int(world.wall) + 60, body=SAID)
    return world


def test_a_kept_answer_says_who_gave_it_and_when(keeping: World) -> None:
    reply = keeping.ask("GET", "/models/loans/answers?entity=ann%20%26%20co")
    assert reply.body == {"model": "loans", "entity": "ann & co", **SAID}
    assert not keeping.captured, "it is no prediction"


def test_an_entity_is_found_however_a_table_wrote_its_number(keeping: World) -> None:
    keeping.kept["loans", "7"] = KeptAnswer("7", "2026", expires=int(keeping.wall) + 60, body=SAID)
    assert [keeping.ask("GET", f"/models/loans/answers?entity={name}").status for name in ("7", "7.0")] == [200, 200]


@pytest.mark.parametrize("entity", ["bob", "x" * 9000])
def test_where_none_is_kept_it_is_said_how_they_come_to_be(keeping: World, entity: str) -> None:
    reply = keeping.ask("GET", f"/models/loans/answers?entity={entity}")
    assert (reply.status, reply.body["error"]["code"]) == (404, "NO_ANSWER_KEPT")
    assert "batch: {keep: 7d}" in reply.body["error"]["message"]
    assert len(reply.body["error"]["message"]) < 400


def test_an_expired_answer_counts_as_none_though_it_is_there_still(keeping: World) -> None:
    keeping.later(59)
    assert keeping.ask("GET", "/models/loans/answers?entity=ann%20%26%20co").status == 200
    keeping.later(1)
    assert keeping.ask("GET", "/models/loans/answers?entity=ann%20%26%20co").status == 404


@pytest.mark.parametrize("query", ["", "?entity=", "?who=ann"])
def test_without_an_entity_it_is_a_400(keeping: World, query: str) -> None:
    assert keeping.ask("GET", f"/models/loans/answers{query}").status == 400


def test_a_name_that_no_model_can_have_reads_no_row_of_another(keeping: World) -> None:
    keeping.kept["loans#ann", "x"] = KeptAnswer("x", "2026", expires=int(keeping.wall) + 60, body=SAID)
    assert keeping.ask("GET", "/models/loans#ann/answers?entity=x").body["error"]["code"] == "UNKNOWN_MODEL"


def test_a_table_out_of_reach_is_a_503(keeping: World) -> None:
    keeping.error = Unavailable("the table is out of reach")
    reply = keeping.ask("GET", "/models/loans/answers?entity=ann")
    assert (reply.status, reply.headers["Retry-After"]) == (503, "5")
