"""How does a person say what turned out? A file is posted in pieces; what the endpoint refuses is named by its line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from serin.client.endpoint import Endpoint
from serin.client.project import AskedWrongly
from serin.errors import BadRequest, InvalidRows
from serin.serving.capture.feedback import KEYS, MAX_ITEMS
from serin.serving.rows.body import read_json


@dataclass(frozen=True, slots=True)
class Refused:
    """What was not taken. line: where it stands in the file, from 1."""

    line: int
    message: str


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a file."""

    received: int
    refused: tuple[Refused, ...]


def send_feedback(endpoint: Endpoint, model: str, content: bytes) -> Sent:
    """Post all of a file, but for what is wrong in it. Doing it again changes nothing.

    content: a table with the columns id, truth and perhaps row, or a JSON object a line with these keys; what else
    stands there is left out. Raises AskedWrongly, Unreadable, and what the endpoint's errors mean.
    """
    is_regression = not endpoint.call("GET", f"/models/{model}")["classes"]
    refused: list[Refused] = []
    is_json = content.lstrip()[:1] == b"{"
    items = [*(_from_lines(content, refused) if is_json else _from_table(content, is_regression=is_regression))]
    if not items and not refused:
        raise AskedWrongly("the file holds no feedback")
    received = 0
    for start in range(0, len(items), MAX_ITEMS):
        received += _post(endpoint, model, dict(items[start : start + MAX_ITEMS]), refused)
    return Sent(received, tuple(sorted(refused, key=lambda line: line.line)))


def _post(endpoint: Endpoint, model: str, piece: dict[int, Any], refused: list[Refused]) -> int:
    """Post items, by their lines, without those that are refused, until the others are taken."""
    while piece:
        lines = list(piece)
        try:
            answer = endpoint.call("POST", f"/models/{model}/feedback", {"feedback": list(piece.values())})
            return int(answer["received"])
        except InvalidRows as error:
            for problem in error.problems:
                line = lines[problem.row]
                refused.append(Refused(line, f"{problem.field}: {problem.message}"))
                del piece[line]
    return 0


def _from_lines(content: bytes, refused: list[Refused]) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, text in enumerate(content.splitlines(), start=1):
        try:
            item = read_json(text) if text.strip() else None
        except BadRequest as error:
            refused.append(Refused(number, error.message.replace("the body", "the line")))
            continue
        if isinstance(item, dict):
            yield number, {key: item[key] for key in KEYS if key in item}
        elif text.strip():
            refused.append(Refused(number, 'a line is an object like {"id": "1f0c86a2b3d4e5f6-0", "truth": "yes"}'))


def _from_table(content: bytes, *, is_regression: bool) -> Iterator[tuple[int, dict[str, Any]]]:
    from serin.data.cells import as_text
    from serin.data.read import read_table

    raw = read_table(content)
    names = [name for name in KEYS if name in raw.frame.columns]
    if missing := {"id", "truth"} - set(names):
        raise AskedWrongly(f"the table has no column {' and no column '.join(sorted(missing))}; it needs id and truth")
    columns = [as_text(raw.frame[name]).astype(object).where(raw.frame[name].notna(), None) for name in names]
    for line, *cells in zip(raw.lines.tolist(), *columns, strict=True):
        yield line, _typed(dict(zip(names, cells, strict=True)), is_regression=is_regression)


def _typed(cells: Mapping[str, str | None], *, is_regression: bool) -> dict[str, Any]:
    """Make numbers of texts where numbers are meant; of what is none the endpoint says what is wrong."""
    item: dict[str, Any] = {key: value for key, value in cells.items() if key != "row" or value}
    if is_regression:
        item["truth"] = _number(item["truth"])
    if "row" in item and item["row"].isdecimal():
        item["row"] = int(item["row"])
    return item


def _number(text: str | None) -> float | str | None:
    try:
        number = float(text or "")
    except ValueError:
        return text
    return number if isfinite(number) else text
