"""Who serves one version over HTTP outside of Lambda? A small HTTP/1.1 server on asyncio, with nothing to install.

One process, one thread: a prediction takes microseconds, and a hand-over would cost more. Run it once for each core.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import formatdate
from functools import cache, lru_cache
from http import HTTPStatus
from pathlib import Path
from urllib.parse import parse_qsl, unquote

from serin.errors import BadRequest, NotFound, SerinError, TooLarge, loggable
from serin.serving.http.dispatch import ROUTES, UNEXPECTED, HttpRoute, Reply, respond
from serin.serving.http.errors import body_of, status_of
from serin.serving.rows.body import MAX_BODY_BYTES, dump_json
from serin.serving.standalone.single import StandaloneVersion

MAX_HEAD_BYTES = 16 * 1024
IDLE_SECONDS = 75.0  # longer than the usual load balancer keeps a connection, so that it is never the first to hang up
REQUEST_SECONDS = 20.0  # within which a request that began must have arrived
SWEEP_SECONDS = 5.0
LINGER_SECONDS = 1.0  # to let a refusal be read by whoever is still sending

BARE = ("/invocations", "/ping")  # as SageMaker asks a container, which serves one model


class App:
    """From a method, a path and a body to an answer: to every path of the endpoint, and to the bare ones."""

    def __init__(self, version: StandaloneVersion) -> None:
        self._endpoint = lambda: version.endpoint
        self._model = version.model
        served = {"model": version.model, "version": str(version.version), "call": f"{version.model}:predict"}
        self._places: dict[str, tuple[HttpRoute, dict[str, str]]] = {}  # found at once, as what is asked for mostly is
        for route in ROUTES:
            parameters = {name: value for name, value in served.items() if f"{{{name}}}" in route.path}
            self._places[route.path.format(**parameters)] = route, parameters
        for bare in BARE:
            self._places[bare] = self._places[f"/models/{version.model}{bare}"]

    def answer(self, head: Head, body: bytes) -> bytes:
        """Answer a request, whatever becomes of it, with the bytes of a response."""
        try:
            return response(self._reply(head, body), head=head)
        except Exception as error:  # such as an answer that cannot be written: it must not take the connection along
            log("NoAnswer", "UNEXPECTED", loggable(error))
            return response(refusal(SerinError(UNEXPECTED, code="UNEXPECTED"), head.path), head=head)

    def _reply(self, head: Head, body: bytes) -> Reply:
        place = self._places.get(head.path) or match(head.path)
        if place is None:
            message = f"there is nothing at {head.path[:200]}; GET /models/{self._model}/docs says what there is"
            return refusal(NotFound(message), head.path)
        route, parameters = place
        if head.method != route.method and (head.method, route.method) != ("HEAD", "GET"):
            error = BadRequest(f"ask {head.path[:200]} by {route.method}", code="METHOD")
            return refusal(error, head.path)._replace(status=405, headers={"Allow": route.method})
        return respond(
            route,
            endpoint=self._endpoint,
            parameters=parameters,
            headers=head.headers,
            body=body,
            query=head.query,
            report=log,
        )


def match(path: str) -> tuple[HttpRoute, dict[str, str]] | None:
    """Find the route of a path and its parameters, percent-decoded, as API Gateway does."""
    segments = [unquote(segment) for segment in path.split("/")]
    for route in ROUTES:
        wanted = route.path.split("/")
        if len(wanted) != len(segments):
            continue
        pairs = list(zip(wanted, segments, strict=True))
        if all(segment if name.startswith("{") else segment == name for name, segment in pairs):
            return route, {name[1:-1]: segment for name, segment in pairs if name.startswith("{")}
    return None


def refusal(error: SerinError, path: str) -> Reply:
    """Say an error in the form that errors have at a path."""
    is_v2 = f"{path}/".startswith("/v2/")
    return Reply(body_of(error, is_v2=is_v2), status_of(error))


def log(metric: str, code: str, reason: str) -> None:
    """Say in one line what a person must see."""
    with suppress(OSError):  # of a log that nobody reads any more
        sys.stderr.write(f"{metric} {code}: {' '.join(reason.split())[:500]}\n")
        sys.stderr.flush()


@dataclass(frozen=True, slots=True)
class Head:
    """What stands above a body. headers: by their names in lower case. length: of the body in bytes, None in chunks."""

    method: str
    path: str
    query: Mapping[str, str]
    length: int | None
    headers: Mapping[str, str]
    is_last: bool
    expects: bool

    @classmethod
    def parse(cls, text: bytes) -> Head:
        """Read a request line and headers. Raises BadRequest, also where they leave open where the body ends."""
        request, *lines = text.decode("latin-1").split("\r\n")
        words = request.split(" ")
        if len(words) != 3 or words[2] not in ("HTTP/1.1", "HTTP/1.0") or not words[1].startswith("/"):
            raise BadRequest("this is no request of HTTP/1.1")
        headers: dict[str, str] = {}
        for line in lines:
            name, colon, value = line.partition(":")
            name = name.lower()
            if not colon or not name or name != name.strip() or "\n" in line or "\r" in line or "\0" in line:
                raise BadRequest("a header is not of the form name: value")
            if name in headers and name in ("content-length", "transfer-encoding", "host"):
                raise BadRequest(f"the header {name} stands twice")
            headers[name] = value.strip(" \t")
        connection = headers.get("connection", "").lower()
        path, _, query = words[1].partition("?")
        return cls(
            method=words[0],
            path=path,
            query=dict(parse_qsl(query, keep_blank_values=True)),
            length=_body_length(headers, is_old=words[2] == "HTTP/1.0"),
            headers=headers,
            is_last="close" in connection or (words[2] == "HTTP/1.0" and "keep-alive" not in connection),
            expects=headers.get("expect", "").lower() == "100-continue",
        )


def _body_length(headers: dict[str, str], *, is_old: bool) -> int | None:
    """Where a body could end in two ways, somebody in between may see another end: refused."""
    length, coding = headers.get("content-length"), headers.get("transfer-encoding")
    if coding is not None:
        if coding.lower() != "chunked" or length is not None or is_old:
            raise BadRequest("a body has either a content-length or the transfer-encoding chunked")
        return None
    if length is None:
        return 0
    if not (length.isascii() and length.isdigit() and len(length) < 19):
        raise BadRequest("content-length is no number")
    return int(length)


class _Body:
    """Takes a body from the bytes that came, in as many steps as they come."""

    def __init__(self, length: int | None) -> None:
        if length is not None and length > MAX_BODY_BYTES:
            raise TooLarge(f"the body has {length:,} bytes; at most {MAX_BODY_BYTES:,} are read")
        self._length = length
        self._parts = bytearray()
        self._missing = 0  # of the chunk under way, with the line's end after it
        self._is_trailer = False

    def take(self, buffer: bytearray) -> bytes | None:
        """Move what belongs to the body out of the buffer; give the body once it is whole."""
        if self._length is None:
            return self._take_chunks(buffer)
        if len(buffer) < self._length:
            return None
        body = bytes(buffer[: self._length])
        del buffer[: self._length]
        return body

    def _take_chunks(self, buffer: bytearray) -> bytes | None:
        start = 0
        try:
            while True:
                if self._missing:
                    taken = min(self._missing, len(buffer) - start)
                    self._parts += buffer[start : start + taken]
                    start += taken
                    self._missing -= taken
                    if self._missing:
                        return None
                    if self._parts[-2:] != b"\r\n":
                        raise BadRequest("a chunk does not end where it says")
                    del self._parts[-2:]
                end = buffer.find(b"\r\n", start)
                if end < 0:
                    if len(buffer) - start > MAX_HEAD_BYTES:
                        raise BadRequest("the length of a chunk does not end")
                    return None
                line, start = bytes(buffer[start:end]), end + 2
                if self._is_trailer:
                    if not line:
                        return bytes(self._parts)
                    continue
                self._begin(line)
        finally:
            del buffer[:start]

    def _begin(self, line: bytes) -> None:
        digits = line.partition(b";")[0].strip(b" \t")
        if not digits or len(digits) > 8 or digits.strip(b"0123456789abcdefABCDEF"):
            raise BadRequest("the length of a chunk is no number")
        size = int(digits, 16)
        if len(self._parts) + size > MAX_BODY_BYTES:
            raise TooLarge(f"the body is longer than the {MAX_BODY_BYTES:,} bytes that are read")
        self._missing, self._is_trailer = (size + 2, False) if size else (0, True)


def response(reply: Reply, *, head: Head | None) -> bytes:
    """Write a response. head: of the request; None where it could not be read, and nothing more will be."""
    body = reply.body.encode() if isinstance(reply.body, str) else dump_json(reply.body)
    more = "Connection: close\r\n" if head is None or head.is_last else ""
    if reply.headers:
        more += "".join(f"{name}: {value}\r\n" for name, value in reply.headers.items())
    if "Content-Type" not in reply.headers:
        more += "Content-Type: application/json\r\n"
    top = f"{_status_line(reply.status)}Content-Length: {len(body)}\r\nDate: {_date(int(time.time()))}\r\n{more}\r\n"
    return top.encode() if head is not None and head.method == "HEAD" else top.encode() + body


@cache
def _status_line(status: int) -> str:
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)


class _Connection(asyncio.Protocol):
    """One connection: requests in, one after the other, responses out in the same order."""

    def __init__(self, app: App, connections: set[_Connection], clock: Callable[[], float]) -> None:
        self._app, self._connections, self._clock = app, connections, clock
        self._buffer = bytearray()
        self._head: Head | None = None
        self._body = _Body(0)
        self._is_over = False
        self._seen = self._begun = clock()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # which a TCP server gives
        self._transport = transport
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio says why; it changes nothing
        self._connections.discard(self)

    def pause_writing(self) -> None:
        """Who does not read its answers is not read either."""
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        if self._is_over:
            return
        self._seen = self._clock()
        if not self._buffer and self._head is None:
            self._begun = self._seen
        self._buffer += data
        try:
            while not self._is_over and self._take_request():
                self._begun = self._seen
        except SerinError as error:
            reply = refusal(error, self._head.path if self._head else "")
            reply = reply._replace(status=431) if error.code == "HEAD_SIZE" else reply
            self._transport.write(response(reply, head=None))
            self._end()

    def is_stale(self, now: float) -> bool:
        is_waiting = self._head is not None or bool(self._buffer)
        return now - self._begun > REQUEST_SECONDS if is_waiting else now - self._seen > IDLE_SECONDS

    def close(self) -> None:
        self._transport.abort() if self._is_over else self._transport.close()

    def _take_request(self) -> bool:
        """Answer the next request, if it is here as a whole. Raises SerinError where it cannot be read."""
        if self._head is None and not self._take_head():
            return False
        assert self._head is not None  # just taken
        body = self._body.take(self._buffer)
        if body is None:
            return False
        head, self._head = self._head, None
        self._transport.write(self._app.answer(head, body))
        if head.is_last:
            self._end()
        return True

    def _take_head(self) -> bool:
        while self._buffer.startswith(b"\r\n"):  # some clients send one too many
            del self._buffer[:2]
        end = self._buffer.find(b"\r\n\r\n")
        if end > MAX_HEAD_BYTES or (end < 0 and len(self._buffer) > MAX_HEAD_BYTES):
            raise BadRequest(f"the headers are longer than {MAX_HEAD_BYTES:,} bytes", code="HEAD_SIZE")
        if end < 0:
            return False
        head = Head.parse(bytes(self._buffer[:end]))
        del self._buffer[: end + 4]
        self._head = head  # before its body, which may be refused
        self._body = _Body(head.length)
        if head.expects and not self._buffer:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return True

    def _end(self) -> None:
        """Send no more, and hang up once the other side had time to read: a reset would take the answer away."""
        self._is_over = True
        self._buffer.clear()
        if self._transport.can_write_eof():
            self._transport.write_eof()
        asyncio.get_running_loop().call_later(LINGER_SECONDS, self._transport.close)


async def serve(app: App, *, host: str, port: int, say: Callable[[str], None]) -> None:
    """Serve until told to end by SIGTERM or SIGINT."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    connections: set[_Connection] = set()
    server = await loop.create_server(lambda: _Connection(app, connections, loop.time), host, port, backlog=1024)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    say(f"listening on port {server.sockets[0].getsockname()[1]}")
    try:
        while not ended.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), timeout=SWEEP_SECONDS)
            for connection in [one for one in connections if one.is_stale(loop.time())]:
                connection.close()
    finally:
        server.close()
        for connection in list(connections):
            connection.close()


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Serve one version of a model over HTTP.")
    parser.add_argument("command", nargs="?", choices=["serve"], help="what SageMaker says to a container; not needed")
    parser.add_argument("--folder", type=Path, default=Path("model"), help="where model.onnx and its papers are")
    parser.add_argument("--host", default="0.0.0.0")
    parser.add_argument("--port", type=int, default=8080, help="0 takes a free one")
    options = parser.parse_args(words)
    try:
        version = StandaloneVersion.open(lambda name: (options.folder / name).read_bytes())
        _say(f"{version.model}@{version.version} is loaded")
        asyncio.run(serve(App(version), host=options.host, port=options.port, say=_say))
    except (SerinError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
