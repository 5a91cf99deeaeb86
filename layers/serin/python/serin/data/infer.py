"""Which contract fits a file? A first one, written from it, with a comment on every line that a person should check."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from serin.contract.load import parse_contract
from serin.contract.metrics import Task
from serin.contract.notation import Notation
from serin.contract.serving_spec import NO_CATEGORY
from serin.data.cells import find_missing
from serin.data.expect import expect_table
from serin.data.labels import spelled_alike
from serin.data.limits import DEFAULT_LIMITS, Limits, Unreadable
from serin.data.raw_table import RawTable
from serin.data.read import read_table
from serin.data.reasons import nearest
from serin.data.recognise import Recognised, Spelling, recognise
from serin.data.suggest import LEAST_ROWS, Column, Role, Suggestion, choose_task, name_classes, suggest
from serin.data.yaml_text import as_yaml, on_one_line

SCHEMA = "../../docs/contract.schema.json"


@dataclass(frozen=True, slots=True)
class Told:
    """What a person says of a table beforehand; None where they leave it to be found.

    names: of the columns of a file whose first row is data. dates: in the terms of strptime.
    """

    task: Task | None = None
    entity: str | None = None
    time: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    dates: str | None = None
    encoding: str | None = None
    names: tuple[str, ...] = ()

    @property
    def reading(self) -> dict[str, str]:
        keys = {key: getattr(self, key) for key in ("decimal", "thousands", "dates")}
        return {key: value for key, value in keys.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Inferred:
    """A contract in YAML, and what was seen in the file that a person should know: a sentence each."""

    text: str
    seen: tuple[str, ...]


def infer_contract(
    content: bytes,
    file_name: str,
    model: str,
    target: str,
    limits: Limits = DEFAULT_LIMITS,
    told: Told = Told(),  # frozen
) -> Inferred:
    """Write a contract, as YAML with comments, that the file itself keeps to.

    Raises Unreadable where the file cannot be read, nothing could be learned from it, or it can be read in two ways of
    which nobody told one; and ContractError where `model` is no name for one.
    """
    raw = _read(content, limits, told)
    names = [str(name) for name in raw.frame.columns]
    for column in (target, told.entity, told.time):
        if column is not None and column not in names:
            near = nearest(column, names)
            message = f"{file_name} has no column {column}{f'; did you mean {near}?' if near else ''}"
            fix = f"Name one of its columns: {', '.join(names[:20])}; or, if its first row is data, all: --names a,b,c."
            raise Unreadable("MISSING_COLUMN", message, fix=fix)
    spelling = recognise(raw.frame, told.reading)
    _check_is_decided(spelling)
    wanted = Column(target, raw.frame[target], spelling.of(target))
    has_target = ~find_missing(wanted.cells, NO_CATEGORY, wanted.notation)
    without_target, told_of = int((~has_target).sum()), raw
    if 0 < without_target < len(raw.frame):  # a row of totals, as a rule: nothing that is suggested comes from it
        told_of = replace(raw, frame=raw.frame[has_target].reset_index(drop=True), lines=raw.lines[has_target])
        wanted = Column(target, told_of.frame[target], spelling.of(target))
    task, about_task = choose_task(wanted)
    if told.task is not None and told.task is not task:
        task, about_task = told.task, "as you say"
    suggestions = [_as_told(suggestion, told) for suggestion in suggest(told_of, wanted, task, spelling)]
    if not any(suggestion.role is Role.FEATURE for suggestion in suggestions):
        fix = "Send a table with at least one column to learn from; text that differs in every row is none."
        raise Unreadable("NO_FEATURES", f"{file_name} has no column to predict {target} from", fix=fix)
    head = [
        f"# yaml-language-server: $schema={SCHEMA}",
        f"# Written from {on_one_line(file_name)}, {len(raw.lines):,} rows by {len(names)} columns. "
        "Read it, and correct it.",
        f"model: {as_yaml(model)}",
        f"task: {task}  # {about_task}",
        f"target: {as_yaml(target)}",
        *([name_classes(wanted)] if task is Task.CLASSIFICATION else []),
        *_features_and_roles(suggestions),
        *_reading(raw, spelling, told),
    ]
    text = "\n".join([*head, *_data_rules(head, raw, suggestions)]) + "\n"
    return Inferred(text, tuple(_seen(raw, spelling, wanted, without_target)))


def _read(content: bytes, limits: Limits, told: Told) -> RawTable:
    """Read a table, also one in the encoding of Western Europe where that is plain to see."""
    try:
        return read_table(content, limits, encoding=told.encoding or "utf-8", names=told.names)
    except Unreadable as error:
        if error.code == "NO_HEADER":
            error.fix = "Name its columns: --names a,b,c, or --names-from a file that begins with them."
        if error.code == "ENCODING" and told.encoding is None:
            if _is_western(content):
                return read_table(content, limits, encoding="cp1252", names=told.names)
            error.fix = "Say how it is encoded, --encoding cp1250, mac-roman or another, or save it as UTF-8."
        raise


def _is_western(content: bytes) -> bool:
    """Tell whether bytes are text in Windows-1252: all letters beyond ASCII are those of Western Europe."""
    try:
        letters = [letter for letter in content.decode("cp1252") if not letter.isascii()]
    except UnicodeDecodeError:
        return False
    return sum(letter in _WESTERN for letter in letters) >= 0.95 * len(letters)


_WESTERN = frozenset("äöüßÄÖÜéèêëàáâãçñíìîïóòôõúùûÉÈÊÀÁÂÇÑÍÓÔÚåæøÅÆØ€£§°²³µ´½¼«»–—’‘“”„…·\xa0")


def _check_is_decided(spelling: Spelling) -> None:
    if not spelling.open:
        return
    questions, ways = [], dict[str, None]()
    for name, found in spelling.open.items():
        readings = ((found.notation, found.example), *found.rivals)
        questions.append(f"{name}: {', or '.join(example for _, example in readings)}")
        for notation, _ in readings:
            ways[_option(notation)] = None
    more = f"; and {len(questions) - 3} more" if len(questions) > 3 else ""
    message = f"some columns can be read in two ways: {'; '.join(questions[:3])}{more}"
    raise Unreadable("TWO_READINGS", message, fix=f"Say which it is: {', or '.join(ways)}.")


def _option(notation: Notation) -> str:
    if notation.dates:
        return f"--dates {notation.dates}"
    return f'--thousands "{notation.thousands}"' if notation.thousands else f'--decimal "{notation.decimal}"'


def _as_told(suggestion: Suggestion, told: Told) -> Suggestion:
    """Give a column the role that a person named; of two for one role, theirs."""
    for role, name in ((Role.ENTITY, told.entity), (Role.TIME, told.time)):
        if name is None:
            continue
        if suggestion.name == name:
            return Suggestion(name, role, ("as you say",))
        if suggestion.role is role:
            return Suggestion(suggestion.name, Role.IGNORED, (*suggestion.comments, f"another column is the {role}"))
    return suggestion


def _reading(raw: RawTable, spelling: Spelling, told: Told) -> Iterator[str]:
    """Write the section `read`: what all recognised columns have in common for the table, the rest by column."""
    columns = {name: _keys(found) for name, found in spelling.columns.items()}
    lines: list[str] = []
    if raw.encoding != "utf-8":
        lines.append(f"  encoding: {as_yaml(raw.encoding)}")
    if told.names:
        lines.append(f"  names: [{', '.join(map(as_yaml, told.names))}]")
    if columns:
        lines.append("  columns:")
        for name, keys in columns.items():
            example = on_one_line(spelling.columns[name].example)
            lines.append(f"    {as_yaml(name)}: {{{', '.join(keys)}}}  # {example}")
    if lines:
        yield "read:  # how this file is written; correct it where it is wrong"
        yield from lines


def _keys(found: Recognised) -> list[str]:
    notation, keys = found.notation, []
    if notation.decimal != ".":
        keys.append(f'decimal: "{notation.decimal}"')
    if notation.thousands:
        keys.append(f'thousands: "{notation.thousands}"')
    for key, texts in (("units", notation.units), ("missing", found.signs)):
        if texts:
            keys.append(f"{key}: [{', '.join(json.dumps(text, ensure_ascii=False) for text in texts)}]")
    if notation.accounting:
        keys.append("accounting: true")
    if notation.dates:
        keys.append(f'dates: "{notation.dates}"')
    return keys


def _seen(raw: RawTable, spelling: Spelling, target: Column, without_target: int) -> Iterator[str]:
    if raw.encoding != "utf-8":
        yield f"the file is read as {raw.encoding}"
    if raw.above:
        yield f"left out above the names: {', '.join(repr(line[:60]) for line in raw.above[:3])}"
    for name, found in spelling.columns.items():
        signs = f"; {' and '.join(map(repr, found.signs))} as missing" if found.signs else ""
        yield f"{name}: {found.example}{signs}"
    if without_target:
        rows = "1 row has" if without_target == 1 else f"{without_target:,} rows have"
        yield f"{rows} no {target.name}; nothing is suggested from {'it' if without_target == 1 else 'them'}"
    for group in spelled_alike(list(target.categories.unique()) if target.numbers is None else []):
        labels = ", ".join(map(repr, group))
        yield f"{target.name} has {labels}, which look like one class; an upload that has them is held"


def _features_and_roles(suggestions: list[Suggestion]) -> Iterator[str]:
    yield "features:"
    for suggestion in suggestions:
        if suggestion.role is Role.FEATURE:
            yield f"  {as_yaml(suggestion.name)}: {{{', '.join(suggestion.keys)}}}{_comment(suggestion)}"
    for suggestion in suggestions:
        if suggestion.role in (Role.ENTITY, Role.TIME):
            yield f"{suggestion.role}: {as_yaml(suggestion.name)}{_comment(suggestion)}"


def _data_rules(head: list[str], raw: RawTable, suggestions: list[Suggestion]) -> list[str]:
    """Write the section `data` so that the file is accepted. Raises Unreadable where no such rules do."""
    ignored = [suggestion for suggestion in suggestions if suggestion.role is Role.IGNORED]
    lenient = f"data: {{max_bad_rows: 99%, min_rows: {LEAST_ROWS}}}"
    outcome = expect_table(raw, parse_contract("\n".join([*head, lenient]), "the new contract"))
    if outcome.refusals:
        first = outcome.refusals[0]
        raise Unreadable(first.code, first.message, fix="Send a table with more rows that can be learned from.")
    rows, bad = outcome.rows, outcome.bad_rows
    rules: list[str] = []
    if bad > rows * 0.01:
        share, most = math.ceil(bad / rows * 100), max(outcome.reasons, key=lambda reason: reason.count)
        rules.append(f"  max_bad_rows: {share}%  # as many of this file are set aside: {on_one_line(most.message)}")
    if rows - bad < 100:
        rules.append(
            f"  min_rows: {max(LEAST_ROWS, (rows - bad) // 2)}  # this file has {rows - bad}; more would be better"
        )
    if ignored:
        rules += ["  ignore:", *(f"    - {as_yaml(suggestion.name)}{_comment(suggestion)}" for suggestion in ignored)]
    return ["data:", *rules] if rules else []


def _comment(suggestion: Suggestion) -> str:
    return f"  # {on_one_line('; '.join(suggestion.comments))}" if suggestion.comments else ""
