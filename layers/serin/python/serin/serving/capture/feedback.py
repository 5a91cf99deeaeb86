"""What turned out of earlier predictions? The truth is checked against what the model can say, and kept as lines.

The lines go the way of captures, so that whatever counts predictions finds the truth beside them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from serin.contract.notation import tidy
from serin.contract.serving_spec import Label, ServingSpec, label_text
from serin.errors import BadRequest, InvalidRows, RowProblem, TooLarge
from serin.serving.lines import Feedback
from serin.serving.rows.body import MAX_ROWS, check_keys, read_json, shorten
from serin.serving.rows.encode import MAX_MAGNITUDE

MAX_ITEMS = 1000
ID = r"^[0-9A-Za-z]{1,32}(-\d{1,3})?$"  # of a prediction, or of one of its rows as its answer says it
KEYS = ("id", "truth", "row")
_ID = re.compile(ID, re.ASCII)


@dataclass(frozen=True, slots=True)
class ReceivedTruth:
    """What turned out of one row of a prediction. id: the prediction's, without the row."""

    id: str
    row: int
    truth: Label | float


class _Wrong(Exception):
    """When one key of an item is wrong."""

    def __init__(self, key: str, code: str, message: str) -> None:
        super().__init__(message)
        self.key, self.code, self.message = key, code, message


def read_feedback(body: bytes, specs: Sequence[ServingSpec]) -> list[ReceivedTruth]:
    """Read `{"feedback": [{"id": …, "truth": …, "row": 0}, …]}` strictly: all of it, or nothing.

    specs: of the versions that answer now; the truth is what any of them can say. Raises BadRequest, TooLarge, and
    InvalidRows, which names items as rows.
    """
    document = read_json(body)
    items = document.get("feedback") if isinstance(document, dict) else None
    if not isinstance(items, list) or not items or not all(isinstance(item, dict) for item in items):
        raise BadRequest(
            'the body must be {"feedback": [{"id": "<id of a prediction>", "truth": <what turned out>}, …]} with at '
            "least one item"
        )
    check_keys(document, ("feedback",), "the body")
    if len(items) > MAX_ITEMS:
        raise TooLarge(f"{len(items):,} items of feedback; at most {MAX_ITEMS:,} are taken at once")
    labels = {label_text(label): label for spec in specs for label in spec.classes}
    truths, problems = [], []
    for place, item in enumerate(items):
        check_keys(item, KEYS, f"item {place}")
        try:
            truths.append(_read(item, labels))
        except _Wrong as wrong:
            problems.append(RowProblem(place, wrong.key, wrong.code, wrong.message))
    if problems:
        raise InvalidRows(problems)
    return truths


def feedback_lines(model: str, truths: Iterable[ReceivedTruth], *, at: int) -> Iterator[bytes]:
    """Write a line for each, with its newline. at: milliseconds since 1970."""
    for truth in truths:
        yield msgspec.json.encode(Feedback(1, at, model, truth.id, truth.row, truth.truth)) + b"\n"


def _read(item: Mapping[str, Any], labels: Mapping[str, Label]) -> ReceivedTruth:
    if missing := [key for key in ("id", "truth") if key not in item]:
        raise _Wrong(missing[0], "MISSING", "is missing")
    if not isinstance(item["id"], str) or not _ID.fullmatch(item["id"]):
        sent = shorten(str(item["id"]))
        raise _Wrong("id", "ID", f"{sent!r} is no id of a prediction; take the one that its answer says")
    name, _, place = item["id"].partition("-")
    row = item.get("row", int(place or 0))
    if type(row) is not int or not 0 <= row < MAX_ROWS:
        raise _Wrong("row", "ROW", f"must be a whole number from 0 to {MAX_ROWS - 1}, the place of the row asked")
    if place and row != int(place):
        raise _Wrong("row", "ROW", f"is {row}, and the id says {place}; leave one of them out")
    return ReceivedTruth(name, row, _truth(item["truth"], labels))


def _truth(sent: Any, labels: Mapping[str, Label]) -> Label | float:
    """Read a label, also one written as text, or without labels a number."""
    is_number = isinstance(sent, int | float) and not isinstance(sent, bool)
    if not labels:
        if not is_number or abs(sent) > MAX_MAGNITUDE:
            raise _Wrong("truth", "TYPE", "must be a number that is finite in single precision")
        return float(sent)
    whole = int(sent) if isinstance(sent, float) and sent.is_integer() else sent
    text = label_text(whole) if isinstance(whole, str | int) else ""
    text = text if text in labels else tidy(text.strip())
    if text not in labels:
        known = ", ".join(shorten(name) for name in list(labels)[:20])
        raise _Wrong("truth", "LABEL", f"{shorten(str(sent))!r} is no label of this model; there are {known}")
    return labels[text]
