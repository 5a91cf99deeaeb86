"""HTTP/1.1 as it goes over the socket, byte by byte."""

import socket

import pytest

from serin.local.wire import HttpServer, Response, listen

ANSWERS = {"/none": Response(204, b"never sent"), "/odd": Response(299, b"odd"), "/nothing": Response(304, b"x")}


@pytest.fixture
def ask():
    """Send bytes to a server that answers with what it read, and read until it hangs up."""
    seen = []

    def answer(request, _peer):
        seen.append(request)
        return ANSWERS.get(request.target, Response(200, request.body or b"empty"))

    listener = listen(0)
    server = HttpServer(listener, answer=answer, body_limit=1000, headers_limit=300)
    server.start()

    def send(*parts):
        with socket.create_connection(listener.getsockname(), timeout=20) as sock:
            for part in parts:
                sock.sendall(part)
            sock.shutdown(socket.SHUT_WR)
            answered = b""
            while received := sock.recv(65536):
                answered += received
        return answered

    send.seen = seen
    yield send
    server.stop()


GET = b"GET / HTTP/1.1\r\nHost: x\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


def test_the_answer_to_head_has_the_length_of_a_body_and_none(ask):
    answered = ask(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n" + GET + b"\r\n")
    first, second = answered.split(b"HTTP/1.1 ")[1:]
    assert b"Content-Length: 5\r\n" in first
    assert first.endswith(b"\r\n\r\n")
    assert second.endswith(b"\r\n\r\nempty")


def test_an_answer_that_may_have_no_body_has_none(ask):
    assert ask(b"GET /none HTTP/1.1\r\n\r\n") == b"HTTP/1.1 204 No Content\r\n\r\n"
    assert ask(b"GET /nothing HTTP/1.1\r\n\r\n") == b"HTTP/1.1 304 Not Modified\r\n\r\n"


@pytest.mark.parametrize(
    ("target", "line"),
    [(b"/", b"HTTP/1.1 200 OK\r\n"), (b"/odd", b"HTTP/1.1 299 \r\n"), (b"/none", b"HTTP/1.1 204 No Content\r\n")],
)
def test_a_status_has_its_words_or_none(ask, target, line):
    assert ask(b"GET " + target + b" HTTP/1.1\r\n\r\n").startswith(line)


@pytest.mark.parametrize("trailers", [b"", b"X-Sum: 1\r\n", b"X-Sum: 1\r\nX-More: 0\r\n"])
def test_trailers_end_with_the_request_they_belong_to(ask, trailers):
    chunked = CHUNKED + b"3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\n" + trailers + b"\r\n"
    answered = ask(chunked + GET + b"\r\n")
    assert [request.body for request in ask.seen] == [b"abcde", b""]
    assert answered.count(b"HTTP/1.1 200 OK") == 2


def test_a_request_may_come_byte_by_byte(ask):
    chunked = CHUNKED + b"3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n"
    ask(*(chunked[place : place + 1] for place in range(len(chunked))))
    assert [request.body for request in ask.seen] == [b"abc"]


@pytest.mark.parametrize(
    "sent",
    [
        POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: \r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        POST + b"Content-Length: +3\r\n\r\nabc",
        POST + b"Content-Length: 0x3\r\n\r\nabc",
        POST + b"Content-Length: \xb2\r\n\r\nabc",
        CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n",
        CHUNKED + b"2\r\nabc\r\n0\r\n\r\n",
        CHUNKED + b"\r\nabc\r\n0\r\n\r\n",
        GET + b"No colon\r\n\r\n",
        GET + b" folded: x\r\n\r\n",
        GET + b"Sp ace: x\r\n\r\n",
        GET + b"X: a\nY: b\r\n\r\n",
        GET + b"X: a\0\r\n\r\n",
        b"GET /  HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.x\r\n\r\n",
        b"GET / HTTP/2.0\r\n\r\n",
    ],
)
def test_what_two_readers_could_read_differently_is_refused_and_ends_the_connection(ask, sent):
    answered = ask(sent + GET + b"\r\n")
    assert answered.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert answered.count(b"HTTP/1.1") == 1
    assert not ask.seen


@pytest.mark.parametrize("name", ["X-Token", "Cookie"])
def test_headers_over_the_limit_are_told(ask, name):
    start = len("GET / HTTP/1.1") + len("x")
    fits = GET + name.encode() + b": " + b"v" * (300 - start) + b"\r\n\r\n"
    assert ask(fits).startswith(b"HTTP/1.1 200 OK\r\n")
    answered = ask(fits.replace(b"vv", b"vvv", 1))
    assert answered.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
    assert answered.endswith(b'{"message": "HTTP header is larger than 300 bytes."}')


def test_headers_without_an_end_are_told(ask):
    assert ask(GET + b"X: " + b"v" * 200_000).startswith(b"HTTP/1.1 431 ")


def test_a_client_that_asks_to_close_among_others_is_heard(ask):
    answered = ask(GET + b"Connection: te, close\r\n\r\n" + GET + b"\r\n")
    assert answered.count(b"HTTP/1.1 200") == 1
