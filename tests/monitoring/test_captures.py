"""A capture file is read line by line: what is no capture is left out, and nothing of it can take the memory."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from serin.errors import Refused, TooLarge
from serin.monitoring import captures as module
from serin.monitoring.captures import read_lines
from serin.serving.lines import Capture
from tests.builders import a_capture, a_capture_file


@pytest.mark.parametrize(
    "line",
    [
        b"START RequestId: 1 Version: $LATEST",
        b"\xff\xfe",
        b"[]",
        b'{"serin":"capture"}',
        b"[" * 100_000,
        json.dumps(a_capture(serin="other")).encode(),
        json.dumps(a_capture(v=2)).encode(),
        json.dumps(a_capture(arm="third")).encode(),
        json.dumps(a_capture(fault="tired")).encode(),
        json.dumps(a_capture(unit="Ada Lovelace")).encode(),
        json.dumps(a_capture(at=-1)).encode(),
        json.dumps(a_capture(ms=float("nan"))).encode(),
        json.dumps(a_capture(scores=[])).encode(),
        json.dumps(a_capture(answered=None)).encode(),
        json.dumps(a_capture(model="../loans")).encode(),
        json.dumps(a_capture(rows=[["x" * 2**20]])).encode(),
    ],
    ids=range(16),
)
def test_a_line_that_is_no_capture_is_left_out_and_the_others_are_read(line: bytes) -> None:
    found = list(read_lines(a_capture_file(a_capture(1), line, b"", a_capture(2))))
    assert [capture and capture.id for capture in found] == [a_capture(1)["id"], None, a_capture(2)["id"]]


def test_a_key_that_newer_code_writes_is_no_harm() -> None:
    assert next(read_lines(a_capture_file(a_capture(mood="fine")))) is not None


def test_a_file_of_several_gzips_is_read_whole() -> None:
    assert len(list(read_lines(a_capture_file(a_capture(1)) + a_capture_file(a_capture(2))))) == 2


@pytest.mark.parametrize("content", [b"no gzip at all", a_capture_file(a_capture())[:-9]], ids=["text", "cut"])
def test_what_is_no_whole_gzip_is_refused(content: bytes) -> None:
    with pytest.raises(Refused, match="cannot be unpacked"):
        list(read_lines(content))


@pytest.mark.parametrize("piece", [b" ", b"x\n"])
def test_what_grows_without_end_is_stopped_at_the_budget(monkeypatch: pytest.MonkeyPatch, piece: bytes) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 2**16)
    bomb = gzip.compress(piece * 2**17)
    with pytest.raises(TooLarge, match="unpacks to more than"):
        list(read_lines(bomb))


def capture(**changes: Any) -> Capture:
    found = next(read_lines(a_capture_file(a_capture(**changes))))
    assert found is not None
    return found


def test_an_error_is_a_fault_or_no_answer_even_where_another_version_answered() -> None:
    assert not capture().is_error
    assert capture(fault="raised", answered=7).is_error
    assert capture(answered=None, scores=[]).is_error


def test_rows_are_laid_out_by_the_version_that_answered() -> None:
    assert capture(version=8, answered=7, fault="late").laid_out_by == 7
    assert capture(version=8, answered=None, scores=[]).laid_out_by == 8
