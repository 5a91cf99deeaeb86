"""Is there a test for every condition of every write? Each is taken away in a copy of the project; a test must go red.

`make mutate` runs it, in some minutes, and tells of each condition by which test it is held. The conditions are found
in the source, so a new write is found too: revisions that a row must still have, conditions of DynamoDB and S3, objects
that are put once, and the names under which executions start once. Which tests are run is said in TESTS.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

ROOT = Path(__file__).parent.parent
LIBRARY = "layers/serin/python/serin"
SOURCES = (LIBRARY, "functions", "cli")
ROOTS = (".", "layers/serin/python", "infra", "local", "cli")
"""The folders that code is imported from: `serin` has its parts in four of them."""
LEFT_OUT = (".*", "build", "cdk.out", "node_modules", "__pycache__")
LAST_TIME = ROOT / "build" / "mutate.json"
"""Which test went red for which condition the last time: it is asked first."""

TESTS = {
    "cli": ("tests/cli/test_faulty.py",),
    "data": ("tests/data/test_accept_or_refuse.py",),
    "monitoring": ("tests/monitoring/test_check.py", "tests/monitoring"),
    "registry": (
        "tests/registry",
        "tests/training/test_interleaving.py",
        "tests/release/test_interleaving.py",
        "tests/monitoring/test_check.py",
    ),
    "release": (
        "tests/release/test_turn.py",
        "tests/release/test_faults.py",
        "tests/release/test_retire.py",
        "tests/release/test_delete.py",
        "tests/release/test_replay.py",
        "tests/release/test_interleaving.py",
        "tests/release/test_invariants.py",
    ),
    "training": ("tests/training/test_start.py", "tests/training/test_interleaving.py"),
}
"""The tests that hold a package's conditions, the quick ones first; else those in the folder of its name."""

ANY_REVISION = "type('Any', (int,), {'__ne__': lambda *_: False})"
"""A revision that a row always has."""
ALWAYS = "attribute_exists(PK) OR attribute_not_exists(PK)"


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition in the source: where it stands, and what stands there once it is taken away."""

    path: str
    line: int
    text: str
    begin: int
    end: int
    without: str

    @property
    def tests(self) -> tuple[str, ...]:
        package = self.path.removeprefix(f"{LIBRARY}/").split("/")[0]
        return TESTS.get(package, (f"tests/{package}",))

    @property
    def name(self) -> str:
        return f"{self.path.removeprefix(LIBRARY + '/')}:{self.line} {self.text}"

    def removed_from(self, source: bytes) -> bytes:
        return source[: self.begin] + self.without.encode() + source[self.end :]


def conditions() -> Iterator[Condition]:
    """Find every condition of every write."""
    for folder in SOURCES:
        for file in sorted((ROOT / folder).rglob("*.py")):
            yield from _conditions_of(file)


def _conditions_of(file: Path) -> Iterator[Condition]:
    source = file.read_bytes()
    lines = source.splitlines(keepends=True)

    def found(node: ast.expr | ast.keyword, without: str, *, of: ast.AST | None = None) -> Condition:
        begin = sum(map(len, lines[: node.lineno - 1])) + node.col_offset
        end = sum(map(len, lines[: (node.end_lineno or 0) - 1])) + (node.end_col_offset or 0)
        text = f"{ast.unparse(node)}  in  {ast.unparse(of)}" if of else ast.unparse(node)
        return Condition(str(file.relative_to(ROOT)), node.lineno, text, begin, end, without)

    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "ConditionExpression":
                    yield found(value, f"'({ast.literal_eval(value)}) OR {ALWAYS}'")
        if not isinstance(node, ast.Call):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
        if called == "Write":
            revision = node.args[-1]
            yield found(revision, f"{ANY_REVISION}({ast.unparse(revision)})", of=node)
        if called == "put_once":
            yield found(node.func, ast.unparse(node.func).removesuffix("_once"), of=node)
        if called == "start" and ast.unparse(node.func).endswith("workflow.start"):
            yield found(node.args[0], _new_name(node.args[0]), of=node)
        for keyword in node.keywords:
            match keyword.arg:
                case "expected_revision":
                    for value in _alternatives(keyword.value):
                        yield found(value, f"{ANY_REVISION}({ast.unparse(value)})", of=node)
                case "ConditionExpression":
                    yield found(keyword.value, f"'({ast.literal_eval(keyword.value)}) OR {ALWAYS}'")
                case "IfNoneMatch" | "IfMatch":
                    yield found(keyword, "**{}")
                case "name" if called == "start_execution":
                    yield found(keyword.value, _new_name(keyword.value), of=node)


def _alternatives(value: ast.expr) -> list[ast.expr]:
    return [value.body, value.orelse] if isinstance(value, ast.IfExp) else [value]


def _new_name(name: ast.expr) -> str:
    """Give another name at each time."""
    return f"({ast.unparse(name)} + __import__('uuid').uuid4().hex)"


class Copies:
    """Copies of the project, one for each processor, in which a condition is taken away and put back."""

    def __init__(self, folder: Path) -> None:
        self.free: SimpleQueue[Path] = SimpleQueue()
        for number in range(os.cpu_count() or 1):
            copy = folder / str(number)
            shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*LEFT_OUT))
            self.free.put(copy)

    def red_without(self, condition: Condition, first: str | None) -> str | None:
        """Name the test that goes red once the condition is taken away; None where none does."""
        copy = self.free.get()
        file = copy / condition.path
        source = file.read_bytes()
        file.write_bytes(condition.removed_from(source))
        try:
            return red(copy, (*((first,) if first else ()), *condition.tests))
        finally:
            file.write_bytes(source)
            self.free.put(copy)


def red(project: Path, tests: tuple[str, ...]) -> str | None:
    """Run tests in their order, and name the first that goes red."""
    command = [sys.executable, "-m", "pytest", "-x", "-rfE", "-p", "no:cacheprovider", *tests]
    path = os.pathsep.join(str(project / root) for root in ROOTS)
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    found = re.search(r"^(?:FAILED|ERROR) (.*?)(?: - .*)?$", done.stdout, re.MULTILINE)
    return found.group(1) if found else f"pytest ended with {done.returncode}: {done.stdout[-300:]}{done.stderr[-300:]}"


def main() -> int:
    """Take each condition away once, and tell what went red."""
    wanted = [each for each in conditions() if not sys.argv[1:] or any(word in each.name for word in sys.argv[1:])]
    known = json.loads(LAST_TIME.read_text()) if LAST_TIME.exists() else {}
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as workers:
        copies = Copies(Path(folder))
        if broken := red(copies.free.get(), tuple(dict.fromkeys(sum((each.tests for each in wanted), ())))):
            print(f"with every condition in its place, this is red already: {broken}")
            return 2
        copies = Copies(Path(folder) / "mutants")
        survived = []
        for each, killer in zip(
            wanted, workers.map(lambda each: copies.red_without(each, known.get(each.name)), wanted), strict=True
        ):
            print(f"{'SURVIVED' if killer is None else 'held':8}  {each.name}\n          {killer or ''}", flush=True)
            known[each.name] = killer
            if killer is None:
                survived.append(each.name)
    LAST_TIME.parent.mkdir(exist_ok=True)
    LAST_TIME.write_text(json.dumps({name: test for name, test in known.items() if test}, indent=1))
    print(f"{len(wanted) - len(survived)} of {len(wanted)} conditions are held by a test")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
