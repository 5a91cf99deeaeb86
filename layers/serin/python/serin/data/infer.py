"""Which contract fits a file? A first one, written from it, with a comment on every line that a person should check."""

from __future__ import annotations

import math
from collections.abc import Iterator

from serin.contract.load import parse_contract
from serin.contract.metrics import Task
from serin.data.expect import expect
from serin.data.read import DEFAULT_LIMITS, Limits, RawTable, Unreadable, read_table
from serin.data.reasons import nearest
from serin.data.suggest import LEAST_ROWS, Column, Role, Suggestion, choose_task, name_classes, suggest
from serin.data.yaml_text import as_yaml, on_one_line

SCHEMA = "../../docs/contract.schema.json"


def infer_contract(content: bytes, file_name: str, model: str, target: str, limits: Limits = DEFAULT_LIMITS) -> str:
    """Write a contract, as YAML with comments, that the file itself keeps to.

    Raises Unreadable where the file cannot be read or nothing could be learned from it, and ContractError where
    `model` is no name for one.
    """
    raw = read_table(content, limits)
    names = [str(name) for name in raw.frame.columns]
    if target not in names:
        near = nearest(target, names)
        hint = f"; did you mean {near}?" if near else ""
        message = f"{file_name} has no column {target}{hint}"
        raise Unreadable(
            "MISSING_COLUMN", message, fix=f"Name one of its columns as the target: {', '.join(names[:20])}."
        )
    wanted = Column(target, raw.frame[target])
    task, about_task = choose_task(wanted)
    suggestions = [*suggest(raw, wanted, task)]
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
    ]
    return "\n".join([*head, *_data_rules(head, raw, suggestions)]) + "\n"


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
    finding = expect(raw, parse_contract("\n".join([*head, lenient]), "the new contract"))
    if finding.refusals:
        first = finding.refusals[0]
        raise Unreadable(first.code, first.message, fix="Send a table with more rows that can be learned from.")
    rows, bad = len(raw.lines), int(finding.is_bad.sum())
    rules: list[str] = []
    if bad > rows * 0.01:
        share, most = math.ceil(bad / rows * 100), max(finding.reasons, key=lambda reason: reason.count)
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
