"""How fast does a server answer? Clients that keep their connection send one request after the other."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from statistics import median
from urllib.parse import urlsplit

PATIENCE_SECONDS = 60.0  # after which an answer that is still missing ends the benchmark


@dataclass(frozen=True, slots=True)
class Target:
    """Where a server is asked, and with what."""

    url: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def request(self) -> bytes:
        place = urlsplit(self.url)
        headers = {
            "Host": place.netloc,
            "Content-Type": "application/json",
            "Content-Length": str(len(self.body)),
            **self.headers,
        }
        lines = [f"POST {place.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self.body


@dataclass(frozen=True, slots=True)
class Load:
    """What came of a load: the median time to an answer, and how many answers came a second."""

    median_ms: float
    per_second: float


class BadAnswer(Exception):
    """When a server does not answer a request with 200: what it then takes says nothing."""


def load(target: Target, *, clients: int, seconds: float, most: int) -> Load:
    """Ask until `seconds` are over or `most` requests are answered. Raises BadAnswer, OSError."""
    return asyncio.run(_load(target, clients=clients, seconds=seconds, most=most))


async def _load(target: Target, *, clients: int, seconds: float, most: int) -> Load:
    begun = time.perf_counter()
    asking = [_keep_asking(target, until=begun + seconds, most=max(1, most // clients)) for _ in range(clients)]
    taken = await asyncio.wait_for(asyncio.gather(*asking), timeout=seconds + PATIENCE_SECONDS)
    every = [duration for by_client in taken for duration in by_client]
    return Load(median(every) * 1000, len(every) / (time.perf_counter() - begun))


async def _keep_asking(target: Target, *, until: float, most: int) -> list[float]:
    """Ask over one connection, and tell how long each answer took, in seconds."""
    loop, place = asyncio.get_running_loop(), urlsplit(target.url)
    client = _Client(target.request, loop.create_future(), until=until, most=most)
    await loop.create_connection(lambda: client, str(place.hostname), place.port or 80)
    await client.done
    return client.taken


class _Client(asyncio.Protocol):
    """One connection. It looks at no more of an answer than its status and its end."""

    def __init__(self, request: bytes, done: asyncio.Future[None], *, until: float, most: int) -> None:
        self.done = done
        self.taken: list[float] = []
        self._request, self._until, self._most = request, until, most
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # which TCP gives
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not _is_whole(self._buffer):
            return
        now = time.perf_counter()
        self.taken.append(now - self._sent)
        if not self._buffer.startswith(b"HTTP/1.1 200"):
            self._fail(BadAnswer(self._buffer[:500].decode(errors="replace")))
        elif now > self._until or len(self.taken) >= self._most:
            self._transport.close()
            self.done.set_result(None)
        else:
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(BadAnswer(f"the server hung up: {exc}"))

    def _send(self) -> None:
        self._buffer = b""
        self._sent = time.perf_counter()
        self._transport.write(self._request)

    def _fail(self, error: BadAnswer) -> None:
        self._transport.close()
        self.done.set_exception(error)


def _is_whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return False
    _, _, rest = head.lower().partition(b"\r\ncontent-length:")
    return len(body) >= int(rest.partition(b"\r\n")[0]) if rest else body.endswith(b"0\r\n\r\n")
