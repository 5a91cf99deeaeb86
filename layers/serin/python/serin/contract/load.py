"""Where does a contract come from, and what does a wrong one say about itself?

A contract is `<models>/<model>/model.yaml`. Each finding names file, line and key, and for an unknown key the nearest
one that exists.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from serin.contract.model import Contract
from serin.contract.serving_spec import label_text
from serin.errors import ContractError, NotFound, Problem

PLANNED = frozenset({"governance", "owner", "risk"})
NEAR = 0.65  # how alike two keys are, of 1, for one to be taken for a misspelling of the other
Place = tuple[str | int, ...]


def load_contract(path: Path, *, called: str = "") -> Contract:
    """Read one contract. Raises ContractError with every finding; NotFound where there is no such file.

    called: what findings call the file; its path, where left out.
    """
    called = called or str(path)
    try:
        text = path.read_bytes().decode()
    except FileNotFoundError as error:
        raise NotFound(
            f"there is no contract at {path}; write one with: serin init <model> --data <file> --target <column>"
        ) from error
    except UnicodeDecodeError as error:
        raise ContractError([Problem(called, 1, "", "is not UTF-8 text")]) from error
    except OSError as error:
        why = "is a folder, not a file" if path.is_dir() else f"cannot be read: {error.strerror}"
        raise ContractError([Problem(called, 1, "", why)]) from error
    contract = parse_contract(text, called)
    if path.name == "model.yaml" and contract.model != path.parent.name:
        message = f"is {contract.model!r}, but the folder is {path.parent.name!r}; they must agree"
        raise ContractError([Problem(called, _Document(text, called).line_of(("model",)), "model", message)])
    return contract


def parse_contract(text: str, file: str) -> Contract:
    """Read a contract from YAML text; `file` is what findings call it."""
    document = _Document(text, file)
    problems = list(document.misread)
    try:
        contract = Contract.model_validate(document.data)
    except ValidationError as error:
        known = {problem.key for problem in problems}
        problems += [problem for problem in _explain(error, document) if problem.key not in known]
        raise ContractError(sorted(problems, key=lambda problem: problem.line)) from error
    if problems:
        raise ContractError(problems)
    return contract


class Contracts:
    """The contracts in a folder, one subfolder a model."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self) -> list[str]:
        return sorted(path.parent.name for path in self.folder.glob("*/model.yaml"))

    def load(self, model: str) -> Contract:
        """Read the contract of one model. Raises NotFound, naming the models that exist.

        Findings call the file as its owner knows it, wherever this copy of the folder is.
        """
        names = self.names()
        if model not in names:
            near = difflib.get_close_matches(model.casefold(), names, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; there are: {', '.join(names) or 'none yet'}"
            what = f"no model is called {model!r}" if model else "no model is named"
            raise NotFound(f"{what}{hint}", code="UNKNOWN_MODEL")
        return load_contract(self.folder / model / "model.yaml", called=f"models/{model}/model.yaml")


class _Document:
    """A YAML mapping that remembers on which line each key stands. misread: what YAML reads as nobody means it."""

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self._lines: dict[Place, int] = {(): 1}
        self.misread: list[Problem] = []
        try:
            self._refuse_aliases(text)
            node = yaml.compose(text, Loader=yaml.SafeLoader)
            if isinstance(node, yaml.MappingNode):
                self._remember(node, ())
            self.data = yaml.safe_load(text)
        except ValueError as error:
            raise ContractError(self.misread) from error
        except RecursionError as error:
            raise ContractError([Problem(file, 1, "", "is nested too deeply to be a contract")]) from error
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            message = f"is not valid YAML: {getattr(error, 'problem', None) or 'cannot be read'}"
            raise ContractError([Problem(file, mark.line + 1 if mark else 1, "", message)]) from error
        if not isinstance(self.data, dict):
            raise ContractError(
                [
                    Problem(
                        file,
                        1,
                        "",
                        "must be keys and values; the first lines are model, task, target and features",
                    )
                ]
            )

    def line_of(self, place: Place) -> int:
        """The line of a key, or of the nearest thing around it that has one."""
        while place not in self._lines:
            place = place[:-1]
        return self._lines[place]

    def _refuse_aliases(self, text: str) -> None:
        """A few lines of aliases to aliases can stand for more than a memory holds."""
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                line = event.start_mark.line + 1 if event.start_mark else 1
                raise ContractError([Problem(self.file, line, "", f"has an alias, *{event.anchor}; write it out")])

    def _remember(self, node: yaml.Node, place: Place) -> None:
        if isinstance(node, yaml.ScalarNode):
            self._check_reading(node, place)
        elif isinstance(node, yaml.MappingNode):
            for key_node, value_node in node.value:
                child = (*place, str(key_node.value))
                line = key_node.start_mark.line + 1
                if child in self._lines:
                    message = f"stands twice; the first is on line {self._lines[child]}"
                    raise ContractError([Problem(self.file, line, _dotted(child), message)])
                self._lines[child] = line
                self._check_reading(key_node, child)
                self._remember(value_node, child)
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self._lines[(*place, index)] = item.start_mark.line + 1
                self._remember(item, (*place, index))

    def _check_reading(self, node: yaml.Node, place: Place) -> None:
        """Note what is written without quotes and read as something else: 010 is 8 to YAML, and 12:30 is 750."""
        if not isinstance(node, yaml.ScalarNode) or node.style is not None or node.tag not in _NO_TEXT:
            return
        written, how = node.value, ""
        try:
            read = yaml.safe_load(written)
            is_other = (label_text(read) if isinstance(read, bool) else str(read)) != written
            if (is_other and _is_label(place)) or (node.tag in _NUMBERS and _MISREAD.match(written)):
                how = f"reads as {_shown(read)}"
        except ValueError:
            how = "cannot read"
        if how:
            message = f'is written {written}, which YAML {how}: where text is meant, write "{written}"'
            self.misread.append(Problem(self.file, node.start_mark.line + 1, _dotted(place), message))


_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_NO_TEXT = (*_NUMBERS, "tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp")
_MISREAD = re.compile(r"[-+]?(0[0-7_]+$|[0-9_.]+:)")  # octal, or in sixties


def _is_label(place: Place) -> bool:
    """Tell whether a value stands for a cell of the data, which is text as it is written."""
    return place[0] in ("positive", "classes") or (place[0] == "features" and place[2:3] == ("values",))


def _explain(error: ValidationError, document: _Document) -> Iterator[Problem]:
    for place, findings in _by_place(error, document.data).items():
        first = findings[0]
        if first["type"] in ("extra_forbidden", "invalid_key"):
            message = _unknown_key(place)
        elif first["type"] == "missing":
            message = "is required and missing"
        elif first["type"] == "too_short":
            message = "must not be empty"
        elif first["type"] == "literal_error":
            message = f"{_shown(first['input'])} is not supported; there is {first['ctx']['expected']}"
        elif first["type"] in _WANTED:  # several findings in one place are the branches of a union
            wanted = [_WANTED[finding["type"]].format(**finding.get("ctx", {})) for finding in findings]
            message = _not_wanted(" or ".join(dict.fromkeys(wanted)), first)
        else:
            message = first["msg"].removeprefix("Value error, ")
        yield Problem(document.file, document.line_of(place), _dotted(place), message)


def _by_place(error: ValidationError, data: Any) -> dict[Place, list[ErrorDetails]]:
    by_place: dict[Place, list[ErrorDetails]] = {}
    for finding in error.errors():
        loc = finding["loc"][:-2] if finding["loc"][-1:] == ("[key]",) else finding["loc"]
        place = _known_place(finding.get("ctx", {}).get("place", loc), data)
        by_place.setdefault(place, []).append(finding)
    # A list that holds only what is wrong is not also too short.
    return {
        place: findings
        for place, findings in by_place.items()
        if findings[0]["type"] != "too_short" or not any(other[:-1] == place for other in by_place)
    }


_WANTED = {
    **dict.fromkeys(("string_type", "string_too_short"), "text"),
    **dict.fromkeys(("int_type", "int_parsing", "int_parsing_size", "int_from_float"), "a whole number"),
    **dict.fromkeys(("float_type", "float_parsing", "finite_number"), "a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
    "tuple_type": "a list, like [first, second]",
    **dict.fromkeys(("dict_type", "model_type"), "keys with values, like {{key: value}}"),
    "enum": "{expected}",
    "greater_than_equal": "{ge:g} or more",
    "less_than_equal": "{le:g} or less",
    "less_than": "less than {lt:g}",
    "string_pattern_mismatch": "a lower-case letter and then at most 62 lower-case letters, digits, - and _",
}


def _not_wanted(wanted: str, finding: ErrorDetails) -> str:
    is_key, given = finding["loc"][-1:] == ("[key]",), finding["input"]
    message = f"{'a key' if is_key else ''} must be {wanted}, not {_shown(given)}".strip()
    if wanted == "text" and isinstance(given, bool):
        return f"{message}; YAML reads yes, no, on and off so: put it in quotes"
    if wanted == "text" and isinstance(given, int | float | date):
        return f"{message}; put it in quotes"
    return message


def _shown(value: Any) -> str:
    """Show a value as it stands in YAML, shortened."""
    if value in (None, "", [], {}, ()):
        return "empty"
    text = repr(value) if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _known_place(place: Place, data: Any) -> Place:
    """Cut what pydantic adds to a place: names of union branches that are no keys of the document."""
    kept: list[str | int] = []
    for part in place:
        if isinstance(data, Mapping):
            kept.append(part)
            data = data.get(part)
        elif isinstance(data, list) and isinstance(part, int):
            kept.append(part)
            data = data[part] if part < len(data) else None
    return tuple(kept)


def _unknown_key(place: Place) -> str:
    key = str(place[-1])
    if len(place) == 1 and key in PLANNED:
        return "is not supported yet"
    known = _keys_at(place[:-1])
    for section in Contract.model_fields if len(place) == 1 else ():
        if key in _keys_at((section,)):
            return f"is not a key here but in {section}"
    if near := difflib.get_close_matches(key, known, n=1, cutoff=NEAR):
        return f"is not a key of a contract; did you mean {near[0]}?"
    return f"is not a key here; there are {', '.join(known)}"


def _keys_at(place: Place) -> list[str]:
    """List the keys that may stand inside a place of a contract."""
    model: type[BaseModel] = Contract
    for part in place:
        field = model.model_fields.get(str(part))
        if field is None:  # a column's name inside features
            continue
        inner = [field.annotation, *getattr(field.annotation, "__args__", ())]
        model = next((kind for kind in inner if isinstance(kind, type) and issubclass(kind, BaseModel)), model)
    return list(model.model_fields)


def _dotted(place: Place) -> str:
    return ".".join(str(part) for part in place)
