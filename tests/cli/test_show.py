"""What commands write fits into 80 columns, on a terminal and piped, and nothing of it is lost."""

from __future__ import annotations

import re
from typing import Any

import pytest
from rich.cells import cell_len

from serin.cli.show import Output, complain

SENTENCE = (
    "the truth lies in the set of 89.7% of the rows (95%: 0.87 to 0.921); 0.9 is promised, calibrated on other rows"
)
STYLE = r"\x1b\[[\d;]*m"
PATH = "uploads/credit/" + "a" * 90 + ".csv"
DIGEST = "59a59b6833aadd8632ce6c996f8e10dd7a05ec9aa6793835986ed72744a116a9"

TABLES: dict[str, tuple[tuple[str, ...], list[tuple[Any, ...]]]] = {
    "narrow": (("name", "rows"), [("a", 1), ("b", 20_000)]),
    "long text at the end": (("", "gate", "evidence"), [("passed", "coverage", SENTENCE)]),
    "long text beside wide columns": (("when", "who", "move", "why"), [("x" * 19, "y" * 20, "z" * 20, SENTENCE)]),
    "two long texts": (("", "credit@1", "credit@2"), [("a gate", SENTENCE, SENTENCE)]),
    "words longer than their column": (("key", "sha256", "key"), [(PATH, DIGEST, PATH)]),
    "more columns than fit": (tuple(f"column {place}" for place in range(9)), [("0123456789",) * 9]),
    "wide letters": (("text", "again"), [("日本語" * 20, "日本語" * 20)]),
}


@pytest.fixture(params=["piped", "terminal"])
def output(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Output:
    monkeypatch.delenv("COLUMNS")
    monkeypatch.setenv("NO_COLOR", "1")
    if request.param == "terminal":
        monkeypatch.setenv("FORCE_COLOR", "1")
    made = Output()
    assert made.is_terminal is (request.param == "terminal")
    return made


@pytest.mark.parametrize("name", TABLES)
def test_a_table_fits_and_loses_nothing(output: Output, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    columns, rows = TABLES[name]
    output.table(columns, rows)
    said = plain(capsys)
    assert max(map(cell_len, said.splitlines())) <= 80
    letters = sorted(said.replace("\n", "").replace(" ", ""))
    for row in rows:
        for cell in row:
            for letter in set(str(cell)) - {" "}:
                assert letters.count(letter) >= str(cell).count(letter), cell


def test_a_table_lines_up(output: Output, capsys: pytest.CaptureFixture[str]) -> None:
    output.table(*TABLES["narrow"])
    assert [line.rstrip() for line in plain(capsys).splitlines()] == [
        "  name    rows",
        "  a          1",
        "  b     20,000",
    ]


@pytest.mark.parametrize("why", [SENTENCE, "the first version that passed its gates"])
def test_what_has_no_room_at_the_end_of_a_row_goes_below_it(
    output: Output, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    output.table(("release", "status", "strategy", "started", "why"), [("00000001-1", "live", "canary", "x" * 19, why)])
    head, row, *below = (line.rstrip() for line in plain(capsys).splitlines())
    assert head == "  release     status  strategy  started"
    assert row == f"  00000001-1  live    canary    {'x' * 19}"
    assert " ".join(line.strip() for line in below) == why


def test_a_table_of_pairs_is_folded(output: Output, capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("", "credit@1", "credit@2"), [("a gate", SENTENCE, SENTENCE)], is_folded=True)
    head, row, *_ = plain(capsys).splitlines()
    assert head.split() == ["credit@1", "credit@2"]
    assert row.count("the truth lies in") == 2


def test_a_table_without_rows_is_left_out(output: Output, capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("a", "b"), [])
    assert capsys.readouterr().out == ""


def test_a_sentence_wraps_and_a_path_stays_in_one_piece(output: Output, capsys: pytest.CaptureFixture[str]) -> None:
    output.say(f"  {SENTENCE}")
    output.facts([("a fact", SENTENCE)])
    output.say(f"uploaded 1 byte to {PATH}")
    *lines, path = plain(capsys).splitlines()
    assert max(map(len, lines)) <= 80
    assert path.strip() == PATH


def test_what_another_program_reads_does_not_wrap(output: Output, capsys: pytest.CaptureFixture[str]) -> None:
    output.raw(f"export A={SENTENCE}")
    assert capsys.readouterr().out == f"export A={SENTENCE}\n"


def test_an_error_wraps(output: Output, capsys: pytest.CaptureFixture[str]) -> None:
    complain(SENTENCE)
    lines = re.sub(STYLE, "", capsys.readouterr().err).splitlines()
    assert lines[0].startswith("error: the truth")
    assert len(lines) == 2
    assert max(map(len, lines)) <= 80


def test_who_says_how_wide_lines_may_be_gets_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    Output().say(SENTENCE)
    assert capsys.readouterr().out == f"{SENTENCE}\n"


def plain(capsys: pytest.CaptureFixture[str]) -> str:
    said = capsys.readouterr().out
    return re.sub(STYLE, "", said)
