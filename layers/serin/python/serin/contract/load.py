"""Where does a contract come from, and what does a wrong one say about itself?

A contract is `<models>/<model>/model.yaml`. Each finding names file, line and key, and for an unknown key the nearest
one that exists.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from serin.contract.model import Contract
from serin.errors import ContractError, NotFound, Problem

PLANNED = frozenset({"serving", "monitoring", "governance"})
Place = tuple[str | int, ...]


def load_contract(path: Path) -> Contract:
    """Read one contract. Raises ContractError with every finding; NotFound where there is no such file."""
    try:
        text = path.read_bytes().decode()
    except FileNotFoundError as error:
        raise NotFound(
            f"there is no contract at {path}; write one with: serin init <model> --data <file> --target <column>"
        ) from error
    except UnicodeDecodeError as error:
        raise ContractError([Problem(str(path), 1, "", "is not UTF-8 text")]) from error
    contract = parse_contract(text, str(path))
    if path.name == "model.yaml" and contract.model != path.parent.name:
        message = f"is {contract.model!r}, but the folder is {path.parent.name!r}; they must agree"
        raise ContractError([Problem(str(path), _Document(text, str(path)).line_of(("model",)), "model", message)])
    return contract


def parse_contract(text: str, file: str) -> Contract:
    """Read a contract from YAML text; `file` is what findings call it."""
    document = _Document(text, file)
    try:
        return Contract.model_validate(document.data)
    except ValidationError as error:
        raise ContractError(sorted(_explain(error, document), key=lambda problem: problem.line)) from error


class Contracts:
    """The contracts in a folder, one subfolder a model."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self) -> list[str]:
        return sorted(path.parent.name for path in self.folder.glob("*/model.yaml"))

    def load(self, model: str) -> Contract:
        """Read the contract of one model. Raises NotFound, naming the models that exist."""
        names = self.names()
        if model not in names:
            near = difflib.get_close_matches(model, names, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; there are: {', '.join(names) or 'none yet'}"
            raise NotFound(f"no model is called {model!r}{hint}", code="UNKNOWN_MODEL")
        return load_contract(self.folder / model / "model.yaml")


class _Document:
    """A YAML mapping that remembers on which line each key stands."""

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self._lines: dict[Place, int] = {(): 1}
        try:
            self._refuse_aliases(text)
            node = yaml.compose(text, Loader=yaml.SafeLoader)
            if isinstance(node, yaml.MappingNode):
                self._remember(node, ())
            self.data = yaml.safe_load(text)
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
        if isinstance(node, yaml.MappingNode):
            for key_node, value_node in node.value:
                child = (*place, str(key_node.value))
                line = key_node.start_mark.line + 1
                if child in self._lines:
                    message = f"stands twice; the first is on line {self._lines[child]}"
                    raise ContractError([Problem(self.file, line, _dotted(child), message)])
                self._lines[child] = line
                self._remember(value_node, child)
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self._lines[(*place, index)] = item.start_mark.line + 1
                self._remember(item, (*place, index))


def _explain(error: ValidationError, document: _Document) -> Iterator[Problem]:
    for finding in error.errors():
        place = _known_place(finding.get("ctx", {}).get("place", finding["loc"]), document.data)
        if finding["type"] == "extra_forbidden":
            message = _unknown_key(place)
        elif finding["type"] == "missing":
            message = "is required and missing"
        elif finding["type"] == "literal_error":
            message = f"{finding['input']!r} is not supported; there is {finding['ctx']['expected']}"
        else:
            message = finding["msg"].removeprefix("Value error, ")
        yield Problem(document.file, document.line_of(place), _dotted(place), message)


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
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    return (
        f"is not a key of a contract; did you mean {near[0]}?"
        if near
        else f"is not a key here; there are {', '.join(known)}"
    )


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
