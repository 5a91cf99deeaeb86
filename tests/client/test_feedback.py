"""A file of what turned out is posted in pieces; what is wrong in it is named by its line, and the rest is taken."""

from __future__ import annotations

import gzip
import io
import json
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import pytest

from serin.client.feedback import Refused, Sent, send_feedback
from serin.client.project import AskedWrongly
from serin.contract.serving_spec import ServingSpec
from serin.data.limits import Unreadable
from serin.errors import InvalidRows
from serin.serving.capture.feedback import read_feedback
from tests.builders import a_spec

CLASSES = a_spec()
NUMBERS = a_spec(task="regression", classes=(), positive=None)


@dataclass
class FakeEndpoint:
    """Takes feedback on one model as the real endpoint does. pieces: how much came at once."""

    spec: ServingSpec = CLASSES
    taken: list[tuple[str, int, Any]] = field(default_factory=list)
    pieces: list[int] = field(default_factory=list)

    def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        if path == "/models/loans":
            return {"classes": list(self.spec.classes)}
        assert (method, path) == ("POST", "/models/loans/feedback")
        try:
            found = read_feedback(json.dumps(body).encode(), [self.spec])
        except InvalidRows as error:
            raise InvalidRows(error.problems[:100]) from error
        self.taken += [(each.id, each.row, each.truth) for each in found]
        self.pieces.append(len(found))
        return {"received": len(found)}


def send(content: str | bytes, spec: ServingSpec = CLASSES) -> tuple[Sent, list[tuple[str, int, Any]]]:
    there = FakeEndpoint(spec)
    return send_feedback(there, "loans", content.encode() if isinstance(content, str) else content), there.taken


def a_parquet(**columns: list[Any]) -> bytes:
    buffer = io.BytesIO()
    pd.DataFrame(columns).to_parquet(buffer)
    return buffer.getvalue()


FILES = {
    "table": b"id,truth\na1-0,yes\nb2-3,no\n",
    "rows apart": b"truth;who;id;row\nyes;x;a1;\nno;y;b2;3\n",
    "gzip": gzip.compress(b"id,truth\na1,yes\nb2-3,no\n"),
    "parquet": a_parquet(id=["a1", "b2"], truth=["yes", "no"], row=[0, 3]),
    "lines": b'{"id": "a1", "truth": "yes"}\n\n{"id": "b2", "truth": "no", "row": 3, "who": "x"}\n',
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_read_in_any_form(name: str) -> None:
    assert send(FILES[name]) == (Sent(2, ()), [("a1", 0, "yes"), ("b2", 3, "no")])


@pytest.mark.parametrize(
    "content", [b"id,truth\na1,2\n", a_parquet(id=["a1"], truth=[2]), b'{"id": "a1", "truth": 2}'], ids=range(3)
)
def test_truths_become_what_the_model_says(content: bytes) -> None:
    assert send(content, a_spec(classes=(1, 2)))[1] == [("a1", 0, 2)]
    assert send(content, NUMBERS)[1] == [("a1", 0, 2.0)]


def test_what_is_wrong_is_named_by_its_line_and_the_rest_is_taken() -> None:
    sent, taken = send("id,truth,row\na1,yes,\n?,yes,\nb2,maybe,\nc3,,\nd4,no,first\ne5,no,7\n")
    assert [each.line for each in sent.refused] == [3, 4, 5, 6]
    assert [each.message.partition(":")[0] for each in sent.refused] == ["id", "truth", "truth", "row"]
    assert (sent.received, taken) == (2, [("a1", 0, "yes"), ("e5", 7, "no")])


def test_lines_that_are_no_objects_are_named_too() -> None:
    sent, taken = send('{"id": "a1", "truth": "yes"}\n[1]\n{"id"\n{"truth": "no"}\n{"id": "a", "truth": NaN}')
    assert ([each.line for each in sent.refused], taken) == ([2, 3, 4, 5], [("a1", 0, "yes")])
    assert sent.refused[2] == Refused(4, "id: is missing")


def test_a_value_that_is_no_number_is_named() -> None:
    sent, _ = send("id,truth\na1,high\na2,nan\na3,1e3\n", NUMBERS)
    assert (sent.received, [each.line for each in sent.refused]) == (1, [2, 3])


def test_a_large_file_goes_in_pieces_even_where_more_is_wrong_than_an_answer_names() -> None:
    there = FakeEndpoint()
    lines = [f"a{number},{'maybe' if number % 4 else 'yes'}" for number in range(2_500)]
    sent = send_feedback(there, "loans", "\n".join(["id,truth", *lines]).encode())
    assert (sent.received, len(sent.refused), there.pieces) == (625, 1_875, [250, 250, 125])


@pytest.mark.parametrize("content", ["", "id,label\na1,yes\n", "id,truth\n"], ids=["empty", "other", "no row"])
def test_a_file_that_holds_none_is_refused(content: str) -> None:
    with pytest.raises((AskedWrongly, Unreadable)):
        send(content)
