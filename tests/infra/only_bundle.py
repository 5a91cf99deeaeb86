"""Import a function as its bundle would: run with the folder of the function and that of the bundle.

What the handler imports, at the top or later, is imported; a package that neither the bundle nor Lambda's
runtime has is refused, though it is installed here.
"""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator, Sequence
from importlib import metadata
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from packaging.requirements import Requirement

from serin.cdk.packages import canonical, left_out

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "layers" / "serin" / "python"
RUNTIME = {"boto3", "botocore", "s3transfer", "jmespath", "python-dateutil", "six", "urllib3"}


def requirements_of(file: Path) -> Iterator[Requirement]:
    for line in file.read_text().splitlines():
        if text := line.partition("#")[0].strip():
            yield Requirement(text)


def with_dependencies(requirements: Sequence[Requirement]) -> set[str]:
    """Follow what is required, as installed here."""
    found: set[str] = set()
    waiting = [(requirement.name, frozenset(requirement.extras)) for requirement in requirements]
    seen = set(waiting)
    while waiting:
        name, extras = waiting.pop()
        found.add(canonical(name))
        for text in metadata.requires(name) or []:
            needed = Requirement(text)
            marker = needed.marker
            if marker and not any(marker.evaluate({"extra": extra}) for extra in extras | {""}):
                continue
            step = (needed.name, frozenset(needed.extras))
            if step not in seen:
                seen.add(step)
                waiting.append(step)
    return found


class OnlyThese:
    """Refuses to find the modules of other distributions."""

    def __init__(self, allowed: set[str]) -> None:
        self._allowed = allowed
        self._owners = metadata.packages_distributions()

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        owners = {canonical(owner) for owner in self._owners.get(name.partition(".")[0], [])} - {"serin"}
        if owners and not owners & self._allowed:
            raise ModuleNotFoundError(f"{name} is not in the bundle", name=name)
        return None


def imported_by(file: Path) -> Iterator[str]:
    """List the modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def main(function: Path, bundle: Path) -> None:
    requirements = list(requirements_of(bundle / "requirements.in"))
    allowed = with_dependencies(requirements) - left_out(bundle / "requirements.in") | RUNTIME
    sys.meta_path.insert(0, OnlyThese(allowed))
    for name in ["handler", *imported_by(function / "handler.py")]:
        importlib.import_module(name)


if __name__ == "__main__":
    sys.path[:0] = [sys.argv[1], str(LIBRARY)]
    main(Path(sys.argv[1]), Path(sys.argv[2]))
