"""How are HTTP/1.1 messages read from and written to a socket?

Small on purpose: it stands between a client and a function process on every request. Headers and body
leave in one send, since a second small send waits 40 ms for an acknowledgement (Nagle).
"""

import contextlib
import json
import logging
import re
import socket
import string
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus

from serin.local.errors import PortInUse

_LOG = logging.getLogger(__name__)
_HEAD_LIMIT = 64 * 1024
_WITHOUT_BODY = (204, 304)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def listen(port: int) -> socket.socket:
    """Listen on a port of this machine; 0 takes a free one. Raises PortInUse."""
    try:
        return socket.create_server(("127.0.0.1", port), backlog=128)
    except OSError as error:
        raise PortInUse(f"port {port} is in use by another program: stop it, or choose another port") from error


class Malformed(Exception):
    """When the bytes are not an HTTP request."""


class HeadersTooLarge(Malformed):
    """When the request line and the values of the headers are larger than they may be."""


@dataclass(slots=True)
class Request:
    """One HTTP request; header names as the client wrote them.

    is_too_large: the body was over the reader's limit and has not been read.
    """

    method: str
    target: str
    version: str
    headers: list[tuple[str, str]]
    body: bytes = b""
    lower: dict[str, str] = field(default_factory=dict)
    is_too_large: bool = False

    @property
    def keeps_alive(self) -> bool:
        """Whether the client wants the connection kept open."""
        wishes = [wish.strip() for wish in self.lower.get("connection", "").lower().split(",")]
        return "keep-alive" in wishes if self.version == "HTTP/1.0" else "close" not in wishes


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP response, without the headers that every response carries."""

    status: int
    body: bytes = b""
    headers: list[tuple[str, str]] = field(default_factory=list)


class Connection:
    """One side of an HTTP connection. A read that times out can be taken up again by reading again."""

    def __init__(self, sock: socket.socket, *, body_limit: int | None = None, headers_limit: int = _HEAD_LIMIT) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = sock
        self._body_limit = body_limit
        self._headers_limit = headers_limit
        self._buffer = bytearray()
        self._head: Request | None = None

    def read(self) -> Request | None:
        """Read the next request; None where the peer has closed the connection.

        Raises TimeoutError (the socket's own time-out) and Malformed.
        """
        if self._head is None and not self._read_head():
            return None
        request = self._head
        assert request is not None
        if not self._read_body(request):
            return None
        self._head = None
        return request

    def write(self, response: Response, *, keep_alive: bool = True, is_to_head: bool = False) -> None:
        """Write a response in one send; one to HEAD tells how long its body would be."""
        has_body = response.status not in _WITHOUT_BODY
        lines = [f"HTTP/1.1 {response.status} {_phrase(response.status)}"]
        lines += [f"{name}: {value}" for name, value in response.headers]
        if has_body:
            lines.append(f"Content-Length: {len(response.body)}")
        if not keep_alive:
            lines.append("Connection: close")
        body = response.body if has_body and not is_to_head else b""
        self.socket.sendall("\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + body)

    def close(self) -> None:
        """Close the connection; closing it twice is fine."""
        self.socket.close()

    def _more(self) -> bool:
        received = self.socket.recv(256 * 1024)
        self._buffer += received
        return bool(received)

    def _read_head(self) -> bool:
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if len(self._buffer) > _HEAD_LIMIT:
                raise HeadersTooLarge
            if not self._more():
                return False
        head = bytes(self._buffer[:end]).decode("latin-1")
        del self._buffer[: end + 4]
        self._head = _parse_head(head, limit=self._headers_limit)
        if self._head.lower.get("expect", "").lower() == "100-continue":
            self.socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        return True

    def _read_body(self, request: Request) -> bool:
        if "transfer-encoding" in request.lower:
            return self._read_chunks(request)
        length = _number(request.lower.get("content-length", "0"), string.digits)
        if self._body_limit is not None and length > self._body_limit:
            request.is_too_large = True
            return True
        while len(self._buffer) < length:
            if not self._more():
                return False
        request.body = bytes(self._buffer[:length])
        del self._buffer[:length]
        return True

    def _read_chunks(self, request: Request) -> bool:
        while True:
            while (end := self._buffer.find(b"\r\n")) < 0:
                if not self._more_of_a_line():
                    return False
            size = _number(self._buffer[:end].split(b";")[0].decode("latin-1"), string.hexdigits)
            if size == 0:
                return self._read_trailers(end)
            if self._body_limit is not None and len(request.body) + size > self._body_limit:
                request.is_too_large = True
                return True
            start = end + 2
            while len(self._buffer) < start + size + 2:
                if not self._more():
                    return False
            if self._buffer[start + size : start + size + 2] != b"\r\n":
                raise Malformed("a chunk that is longer than it says")
            request.body += self._buffer[start : start + size]
            del self._buffer[: start + size + 2]

    def _read_trailers(self, start: int) -> bool:
        """Pass over what may follow the last chunk: headers, which nobody here asks for, and an empty line."""
        while (end := self._buffer.find(b"\r\n\r\n", start)) < 0:
            if not self._more_of_a_line():
                return False
        del self._buffer[: end + 4]
        return True

    def _more_of_a_line(self) -> bool:
        if len(self._buffer) > _HEAD_LIMIT:
            raise Malformed("a line without an end")
        return self._more()


def _phrase(status: int) -> str:
    """Give a status its usual words; none where it is no usual one, as HTTP allows."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _parse_head(head: str, *, limit: int) -> Request:
    start, *lines = head.split("\r\n")
    parts = start.split(" ")
    if len(parts) != 3 or not re.fullmatch(r"HTTP/1\.\d", parts[2]):
        raise Malformed("no HTTP/1 request line")
    request = Request(method=parts[0], target=parts[1], version=parts[2], headers=[])
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not _TOKEN.fullmatch(name) or any(sign in value for sign in "\r\n\0"):
            raise Malformed("a line that is no header")
        value = value.strip()
        request.headers.append((name, value))
        lower = name.lower()
        if lower in ("content-length", "transfer-encoding") and request.lower.get(lower, value) != value:
            raise Malformed(f"two of {name}")
        request.lower[lower] = value
    if len(start) + sum(len(value) for _, value in request.headers) > limit:
        raise HeadersTooLarge
    _check_framing(request)
    return request


def _check_framing(request: Request) -> None:
    """Raise Malformed where two readers could differ on where a request ends (RFC 9112, 6.1)."""
    coding = request.lower.get("transfer-encoding")
    if coding is None:
        return
    if coding.lower() != "chunked" or request.version == "HTTP/1.0" or "content-length" in request.lower:
        raise Malformed("a body whose length is not clear")


def _number(text: str, digits: str) -> int:
    stripped = text.strip(" \t")
    if not stripped or not set(stripped) <= set(digits):
        raise Malformed(f"{text!r} is no length")
    return int(stripped, 10 if len(digits) == 10 else 16)


class HttpServer:
    """Answers HTTP on a listening socket, one thread a connection."""

    def __init__(
        self,
        listener: socket.socket,
        *,
        answer: Callable[[Request, str], Response],
        body_limit: int,
        headers_limit: int,
    ) -> None:
        """headers_limit: of the request line and the values of all headers, in bytes."""
        self._listener = listener
        self._answer = answer
        self._body_limit = body_limit
        self._headers_limit = headers_limit

    def start(self) -> None:
        """Begin to accept connections, in threads of its own."""
        threading.Thread(target=self._accept, name="http", daemon=True).start()

    def stop(self) -> None:
        """Accept no more connections."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes who waits for one
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, (peer, _) = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock, peer), name="http", daemon=True).start()

    def _serve(self, sock: socket.socket, peer: str) -> None:
        connection = Connection(sock, body_limit=self._body_limit, headers_limit=self._headers_limit)
        try:
            while self._serve_one(connection, peer):
                pass
        except OSError:
            pass  # the client went away
        finally:
            connection.close()

    def _serve_one(self, connection: Connection, peer: str) -> bool:
        try:
            request = connection.read()
        except Malformed as error:
            connection.write(self._refuse(error), keep_alive=False)
            _discard(connection.socket)
            return False
        if request is None:
            return False
        try:
            response = self._answer(request, peer)
        except Exception:
            _LOG.exception("%s %s could not be answered", request.method, request.target)
            response = Response(500, b'{"message": "Internal server error"}')
        keep_alive = request.keeps_alive and not request.is_too_large
        connection.write(response, keep_alive=keep_alive, is_to_head=request.method == "HEAD")
        if request.is_too_large:
            _discard(connection.socket)
        return keep_alive

    def _refuse(self, error: Malformed) -> Response:
        status, message = 400, "Bad Request"
        if isinstance(error, HeadersTooLarge):
            status, message = 431, f"HTTP header is larger than {self._headers_limit} bytes."
        return Response(status, json.dumps({"message": message}).encode(), [("Content-Type", "application/json")])


def _discard(sock: socket.socket, *, limit: int = 64 * 1024 * 1024) -> None:
    """Throw away what the client goes on sending, so that it reads the answer and not a reset."""
    sock.shutdown(socket.SHUT_WR)
    sock.settimeout(2)
    while limit > 0 and (received := len(sock.recv(1024 * 1024))):
        limit -= received
