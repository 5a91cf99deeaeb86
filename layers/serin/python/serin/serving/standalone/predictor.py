"""How does an export answer on a command line? `predict.py rows.json`, rows on stdin, or `predict.py --check`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from serin.errors import SerinError
from serin.serving.http.errors import body_of
from serin.serving.rows.body import read_json
from serin.serving.standalone.single import StandaloneVersion, rows_of

TOLERANCE = 1e-5  # another processor may round in another way; what it answers must not change


def main(folder: Path, words: list[str] | None = None) -> int:
    """Answer, and give the exit status: 1 where rows are refused or a golden answer differs."""
    parser = argparse.ArgumentParser(description="Answer rows as the model's endpoint does.")
    parser.add_argument("file", nargs="?", type=Path, help="rows as JSON, [{…}, …]; stdin where left out")
    parser.add_argument("--check", action="store_true", help="answer the golden rows, and compare")
    options = parser.parse_args(words)
    try:
        version = StandaloneVersion.open(lambda name: (folder / name).read_bytes())
        if options.check:
            return _check(version, json.loads((folder / "golden.json").read_bytes()))
        body = options.file.read_bytes() if options.file else sys.stdin.buffer.read()
        rows = rows_of(read_json(body), version.endpoint.serving(version.model).model.spec)
        answer, status = version.endpoint.predict(version.model, json.dumps({"rows": rows}).encode()), 0
    except SerinError as error:
        answer, status = body_of(error, is_v2=False), 1
    except OSError as error:
        parser.error(f"{error.filename}: {error.strerror}")
    sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
    return status


def _check(version: StandaloneVersion, golden: dict[str, Any]) -> int:
    answers = version.predict(golden["rows"])
    differing = [
        place
        for place, (answer, expected) in enumerate(zip(answers, golden["predictions"], strict=True))
        if not _agree({name: value for name, value in answer.items() if name != "id"}, expected)
    ]
    sys.stdout.write(f"{len(answers) - len(differing)} of {len(answers)} golden rows are answered as they must be\n")
    if differing:
        sys.stdout.write(f"another answer: rows {', '.join(map(str, differing))} of golden.json\n")
    return 1 if differing else 0


def _agree(answer: Any, expected: Any) -> bool:
    """Tell whether two answers are the same, numbers up to the tolerance."""
    if isinstance(answer, dict) and isinstance(expected, dict):
        return answer.keys() == expected.keys() and all(_agree(answer[name], expected[name]) for name in answer)
    if isinstance(answer, float) and isinstance(expected, float):
        return abs(answer - expected) <= TOLERANCE * max(1.0, abs(expected))
    return bool(answer == expected)
