"""What serving reads without boto3: where it is out of reach, that is said in words of ours."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import urllib3

from serin.aws import hot_path
from serin.aws.hot_path import LeanReader
from serin.errors import Unavailable

SILENT, CLOSED, GARBAGE = "silent", "closed", "garbage"


@contextmanager
def listening(kind: str) -> Iterator[str]:
    """Listen on a free port: to say nothing, to hang up, or to answer what is no JSON."""
    taken = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def take() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                taken.append(connection)
                if kind == GARBAGE:
                    connection.recv(65536)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n<ht>")
                elif kind == CLOSED:
                    connection.close()

        thread = threading.Thread(target=take)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in taken:
                connection.close()


@pytest.mark.parametrize(
    ("kind", "why"),
    [(SILENT, "did not answer in time"), (CLOSED, "the connection failed"), (GARBAGE, "is not DynamoDB")],
)
def test_what_is_out_of_reach_is_said_in_our_own_words(monkeypatch: pytest.MonkeyPatch, kind: str, why: str) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setattr(hot_path, "_TABLE_TIMEOUT", urllib3.Timeout(connect=0.5, read=0.05))
    with listening(kind) as url:
        where = {"TABLE": "t", "ARTIFACTS_BUCKET": "a", "AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": url}
        with pytest.raises(Unavailable) as caught:
            LeanReader(where).route("loans")
    assert why in caught.value.message
    assert "http" not in caught.value.message.lower()
    assert "Pool" not in caught.value.message


def test_a_capture_that_was_taken_in_part_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[bytes] = []
    monkeypatch.setattr(os, "write", lambda _, line: taken.append(line) or len(line))  # type: ignore[func-returns-value]
    hot_path._print(b"a line\n")
    assert taken == [b"a line\n"]
    monkeypatch.setattr(os, "write", lambda *_: 3)
    with pytest.raises(OSError, match="3 of 7 bytes"):
        hot_path._print(b"a line\n")
