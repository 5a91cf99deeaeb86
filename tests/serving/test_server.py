"""The server of an export speaks HTTP/1.1, with an answer for whatever comes; its paths are those of the endpoint."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from serin.registry.ids import sha256
from serin.serving.endpoint import read_rows
from serin.serving.http.dispatch import ROUTES, HttpRoute
from serin.serving.rows.body import MAX_BODY_BYTES
from serin.serving.standalone import server
from serin.serving.standalone.server import App, Head, serve
from serin.serving.standalone.single import StandaloneVersion
from tests.serving.asking import VERSION, World


class StubEndpoint:
    def predict(self, model: str, body: bytes, *, explain: bool) -> dict[str, Any]:
        rows = read_rows(body)
        if "fail" in rows[0]:
            raise RuntimeError("a\ndefect")
        if "odd" in rows[0]:
            return {"no JSON": object()}
        return {"rows": len(rows), **({"explained": True} if explain else {})}

    def describe(self, model: str) -> dict[str, Any]:
        return {"model": model}


class StubVersion:
    model, version, endpoint = "loans", 7, StubEndpoint()


Answer = tuple[int, dict[str, str], Any]
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[list[Answer]]]


def talk(with_server: Talk) -> list[Answer]:
    """Start a server, connect, and let the test talk."""

    async def scenario() -> list[Answer]:
        port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        app = App(StubVersion())  # type: ignore[arg-type]  # it stands for a version
        serving = asyncio.create_task(
            serve(app, host="127.0.0.1", port=0, say=lambda line: port.set_result(int(line.split()[-1])))
        )
        reader, writer = await asyncio.open_connection("127.0.0.1", await port)
        try:
            return await asyncio.wait_for(with_server(reader, writer), timeout=10)
        finally:
            writer.close()
            serving.cancel()

    return asyncio.run(scenario())


async def read_answer(reader: asyncio.StreamReader, *, has_body: bool = True) -> Answer:
    top = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in top[1:] if line)
    length = int(headers.get("content-length", 0)) if has_body else 0
    body = await reader.readexactly(length)
    return int(top[0].split()[1]), headers, json.loads(body) if body else None


def send(*parts: bytes, answers: int = 1, has_body: bool = True) -> list[Answer]:
    """Send parts one after the other, and read so many answers."""

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> list[Answer]:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.001)
        return [await read_answer(reader, has_body=has_body) for _ in range(answers)]

    return talk(conversation)


def post(body: bytes, *headers: bytes, path: bytes = b"/models/loans/predict") -> bytes:
    lines = [b"POST " + path + b" HTTP/1.1", b"Host: x", b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


CHUNKED = b"POST /models/loans/predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_requests_are_answered_however_their_bytes_come() -> None:
    request = post(b'{"rows": [{}, {}]}')
    assert [answer[2] for answer in send(request * 3, answers=3)] == [{"rows": 2}] * 3
    one_by_one = [request[place : place + 1] for place in range(len(request))]
    assert send(*one_by_one)[0][2] == {"rows": 2}


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_body_in_chunks_is_read(size: int) -> None:
    body = b'{"rows": [{"a": 1}, {"b": 2}]}'
    chunks = b"5;x=y\r\n" + body[:5] + b"\r\n%X\r\n" % (len(body) - 5) + body[5:] + b"\r\n0\r\nTrailer: z\r\n\r\n"
    stream = CHUNKED + chunks + post(b'{"rows": [{}]}')
    parts = [stream[start : start + size] for start in range(0, len(stream), size)]
    assert [answer[2] for answer in send(*parts, answers=2)] == [{"rows": 2}, {"rows": 1}]


def test_an_explanation_is_asked_for_in_the_query() -> None:
    body = b'{"rows": [{}]}'
    queries = (b"explain=true", b"x=1", b"explain=1", b"explain=")
    asked = [post(body, path=b"/models/loans/predict?" + query) for query in queries]
    explained, plain, *wrong = send(*asked, answers=4)
    assert (explained[2], plain[2]) == ({"rows": 1, "explained": True}, {"rows": 1})
    assert [(status, "true or false" in said["error"]["message"]) for status, _, said in wrong] == [(400, True)] * 2


def test_who_asks_to_continue_is_told_to() -> None:
    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> list[Answer]:
        body = b'{"rows": [{}]}'
        writer.write(post(body, b"Expect: 100-continue").removesuffix(body))
        first = await read_answer(reader)
        writer.write(body)
        return [first, await read_answer(reader)]

    assert [answer[0] for answer in talk(conversation)] == [100, 200]


def test_a_connection_is_kept_or_closed_as_asked() -> None:
    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> list[Answer]:
        writer.write(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
        kept = await read_answer(reader)
        writer.write(b"GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        closed = await read_answer(reader)
        assert await reader.read() == b"", "and then it hangs up"
        return [kept, closed]

    kept, closed = talk(conversation)
    assert "connection" not in kept[1]
    assert closed[1]["connection"] == "close"
    assert "date" in kept[1]


def test_head_has_no_body() -> None:
    status, headers, body = send(b"HEAD /health HTTP/1.1\r\nHost: x\r\n\r\n", has_body=False)[0]
    assert (status, body) == (200, None)
    assert int(headers["content-length"]) > 0


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (b"GET /nothing HTTP/1.1\r\n\r\n", 404, "NOT_FOUND"),
        (b"GET /models/loans/predict HTTP/1.1\r\n\r\n", 405, "METHOD"),
        (post(b"{"), 400, "BAD_REQUEST"),
        (post(b"a,b", b"Content-Type: text/csv"), 415, "CONTENT_TYPE"),
        (post(b'{"rows": [{"fail": 1}]}'), 500, "UNEXPECTED"),
        (post(b'{"rows": [{"odd": 1}]}'), 500, "UNEXPECTED"),
    ],
)
def test_a_refusal_keeps_the_connection(request_: bytes, status: int, code: str) -> None:
    refused, after = send(request_ + post(b'{"rows": [{}]}'), answers=2)
    assert (refused[0], refused[2]["error"]["code"], after[0]) == (status, code, 200)
    assert ("allow" in refused[1]) == (status == 405)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"\x16\x03\x01\x02\x00\r\n\r\n", 400),
        (b"GET /ping\r\n\r\n", 400),
        (b"GET http://x/ping HTTP/1.1\r\n\r\n", 400),
        (b"GET /ping HTTP/2.0\r\n\r\n", 400),
        (b"GET /ping HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET /ping HTTP/1.1\r\nname : value\r\n\r\n", 400),
        (b"GET /ping HTTP/1.1\r\na: b\nc: d\r\n\r\n", 400),
        (b"POST /ping HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST /ping HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST /ping HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /ping HTTP/1.1\r\nContent-Length: +1\r\n\r\n", 400),
        (b"POST /ping HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 400),
        (b"POST /ping HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (CHUNKED + b"-1\r\n", 400),
        (CHUNKED + b"\r\n", 400),
        (CHUNKED + b"2\r\nabc\r\n", 400),
        (CHUNKED + b"2\r\n{}XX0\r\n\r\n", 400),
        (CHUNKED + b"9" * 20_000, 400),
        (CHUNKED + b"FFFFFFF\r\n", 413),
        (b"POST /ping HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1), 413),
        (b"GET /ping HTTP/1.1\r\na: " + b"x" * 20_000, 431),
    ],
)
def test_where_the_next_request_would_begin_is_not_guessed(request_: bytes, status: int) -> None:
    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> list[Answer]:
        writer.write(request_ + post(b'{"rows": [{}]}'))
        answer = await read_answer(reader)
        assert await reader.read() == b"", "nothing more is answered"
        return [answer]

    ((found, headers, body),) = talk(conversation)
    assert (found, headers["connection"]) == (status, "close")
    assert body["error"]["message"]


def test_who_does_not_finish_a_request_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "REQUEST_SECONDS", 0.05)
    monkeypatch.setattr(server, "SWEEP_SECONDS", 0.02)

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> list[Answer]:
        closed = asyncio.create_task(reader.read())
        for _ in range(200):
            if closed.done():
                return []
            writer.write(b"x")
            await asyncio.sleep(0.01)
        raise AssertionError("it waits for ever")

    assert talk(slow) == []


def test_a_query_and_a_media_type_with_parameters_are_understood() -> None:
    head = Head.parse(b"POST /a?b=c HTTP/1.1\r\nContent-Type: Application/JSON; charset=utf-8\r\nContent-Length: 3")
    assert (head.path, head.query, head.length, head.is_last) == ("/a", {"b": "c"}, 3, False)
    assert send(post(b'{"rows": [{}]}', b"Content-Type: Application/JSON; charset=utf-8"))[0][0] == 200


def test_what_nobody_foresaw_is_one_line_of_the_log(capfd: pytest.CaptureFixture[str]) -> None:
    send(post(b'{"rows": [{"fail": 1}]}') + post(b'{"rows": [{"odd": 1}]}') + post(b"{"), answers=3)
    raised, unwritten = capfd.readouterr().err.splitlines()
    assert raised.startswith("NoAnswer UNEXPECTED: RuntimeError at dispatch.py:")
    assert unwritten.startswith("NoAnswer UNEXPECTED: TypeError at ")
    assert "a defect" not in raised, "what others say of an error may quote a value"


@pytest.fixture
def app(model_files: dict[str, bytes]) -> App:
    """The server over an export of `loans`, whose ids are those of the tests' endpoint."""
    files = {name: model_files[f"models/loans/{VERSION}/{name}"] for name in ("model.onnx", "spec.json")}
    digests = {name: sha256(content) for name, content in files.items()}
    files["manifest.json"] = json.dumps({"model": "loans", "version": VERSION, "files": digests}).encode()
    version = StandaloneVersion.open(files.__getitem__)
    return App(replace(version, endpoint=replace(version.endpoint, new_id=lambda: "p1")))


def ask(app: App, method: str, path: str, body: bytes = b"", *headers: bytes) -> tuple[int, dict[str, str], str]:
    top = b"\r\n".join([f"{method} {path} HTTP/1.1".encode(), *headers])
    head, _, text = app.answer(Head.parse(top), body).partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    return int(status.split()[1]), dict(line.lower().split(": ", 1) for line in lines), text.decode()


ROW = {"age": 41, "salary": 50.5, "owner": True, "education": "degree"}
TENSORS = [
    {"name": name, "shape": [1], "datatype": kind, "data": [value]}
    for (name, value), kind in zip(ROW.items(), ("INT64", "FP64", "BOOL", "BYTES"), strict=True)
]
BODIES = {"predict": {"rows": [ROW]}, "invocations": {"instances": [ROW]}, "infer": {"inputs": TENSORS}}
CSV = b"age,salary,owner,education\n41,50.5,true,degree\n"
BY_MODEL = [route for route in ROUTES if not route.path.endswith("/feedback")]  # which a container does not keep


@pytest.mark.parametrize("route", BY_MODEL, ids=lambda route: f"{route.method} {route.path}")
def test_each_path_is_answered_as_by_the_endpoint(app: App, world: World, route: HttpRoute) -> None:
    world.names = ("loans",)
    path = route.path.format(model="loans", version=VERSION, call="loans:predict") + (
        "?entity=x" if "answers" in route.path else ""
    )
    said = BODIES.get("invocations" if path.endswith(":predict") else path.rpartition("/")[2])
    body = json.dumps(said).encode() if said else b""
    expected = world.ask(route.method, path, body)
    status, headers, text = ask(app, route.method, path, body)
    assert (status, text) == (expected.status, expected.text.replace("2026-01-01T00:00:00+00:00", ""))
    sent = {name.lower(): value.lower() for name, value in expected.headers.items()}
    assert {"content-type": "application/json", **sent}.items() <= headers.items()


def test_the_bare_paths_are_those_of_the_one_model(app: App) -> None:
    body = json.dumps(BODIES["invocations"]).encode()
    for asked in ((body, b"Content-Type: application/json"), (CSV, b"Content-Type: text/csv")):
        bare = ask(app, "POST", "/invocations", *asked)
        assert bare[::2] == ask(app, "POST", "/models/loans/invocations", *asked)[::2] == (200, bare[2])
        assert (bare[1]["x-serin-version"], bare[1]["x-serin-prediction-id"]) == (str(VERSION), "p1")
    assert ask(app, "GET", "/ping")[::2] == ask(app, "GET", "/models/loans/ping")[::2] == (200, '{"status":"ok"}')


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/models/lo%61ns", 200, None),
        ("HEAD", "/v2/models/loans/ready", 200, None),
        ("GET", f"/v2/models/loans/versions/%{ord(str(VERSION)):x}/ready", 200, None),
        ("GET", "/v2/models/loans/versions/4", 404, "text"),
        ("GET", "/v2/models/loans/versions/03", 404, "text"),
        ("GET", "/v2/models/worths", 404, "text"),
        ("GET", "/v2/nothing", 404, "text"),
        ("GET", "/v2/models/loans/infer", 405, "text"),
        ("POST", "/v2", 405, "text"),
        ("GET", "/models/worths", 404, "NO_CHAMPION"),
        ("GET", "/models/lo%2Fans", 404, "UNKNOWN_MODEL"),
        ("GET", "/models%2Floans", 404, "NOT_FOUND"),
        ("POST", "/models//predict", 404, "NOT_FOUND"),
        ("GET", "/v2x", 404, "NOT_FOUND"),
        ("POST", "/models/loans/feedback", 404, "NO_FEEDBACK_KEPT"),
    ],
)
def test_a_path_is_matched_part_by_part(app: App, method: str, path: str, status: int, code: str | None) -> None:
    found, headers, text = ask(app, method, path)
    assert found == status
    assert ("allow" in headers) == (status == 405)
    if code is not None:
        error = json.loads(text)["error"]
        assert code == ("text" if isinstance(error, str) else error["code"])


def test_a_body_that_is_too_long_is_refused_in_the_form_of_its_path() -> None:
    top = b"POST /v2/models/loans/infer HTTP/1.1\r\n"
    for length in (
        b"Content-Length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1),
        b"Transfer-Encoding: chunked\r\n\r\nFFFFFFF\r\n",
    ):
        status, _, said = send(top + length)[0]
        assert (status, list(said), type(said["error"])) == (413, ["error"], str)
