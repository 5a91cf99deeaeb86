"""Where do AWS calls arrive, and what happens to them on the way to moto?

They are put under a lock where moto is not safe under threads, and those of a function's process are
counted, so that a test can have it killed at one of them. `/_twin/…` is for whoever holds the twin.
"""

import contextlib
import io
import json
import logging
import re
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server

from serin.local.errors import TwinError
from serin.local.function_process import FunctionProcess
from serin.local.functions import Functions

_CREDENTIAL = re.compile(r"Credential=([^/]+)/[^/]*/[^/]*/([^/]+)/")
_READS = ("Get", "BatchGet", "TransactGet", "Query", "Scan", "Describe", "List")
_WHOLE_BODY_LIMIT = 64 * 1024 * 1024  # a body up to this size is read before a lock is taken

_LOG = logging.getLogger(__name__)

Environ = dict[str, Any]
StartResponse = Callable[..., Any]


class Endpoint:
    """The WSGI application that every AWS client of the twin talks to."""

    def __init__(
        self,
        *,
        functions: Functions,
        control: Callable[[str, dict[str, Any]], Any],
        locks: Mapping[str, AbstractContextManager[Any]],
    ) -> None:
        """control: answers a call of whoever holds the twin, by name and arguments. locks: by service."""
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._functions = functions
        self._control = control
        self._locks = locks
        self.writes = 0

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        if environ["PATH_INFO"].startswith("/_twin/"):
            return self._answer_holder(environ, start_response)
        access_key, service = _caller(environ)
        self.writes += not _only_reads(environ)
        process = self._functions.process_of(access_key)
        if process is not None and process.kill_at is not None and process.kill_at.is_due():
            return self._with_kill(process, service, environ, start_response)
        return self._carry_out(service, environ, start_response)

    def _carry_out(self, service: str, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        with self._lock_for(service, environ):
            return self._moto.get_application(environ)(environ, start_response)

    def _lock_for(self, service: str, environ: Environ) -> AbstractContextManager[Any]:
        """Keep checks and writes of one service together: moto checks a condition, then writes."""
        if service not in self._locks or (service == "s3" and environ["REQUEST_METHOD"] in ("GET", "HEAD")):
            return contextlib.nullcontext()
        length = int(environ.get("CONTENT_LENGTH") or 0)
        if length <= _WHOLE_BODY_LIMIT:  # nobody waits for a slow sender
            environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(length)) if length else io.BytesIO()
        return self._locks[service]

    def _with_kill(
        self, process: FunctionProcess, service: str, environ: Environ, start_response: StartResponse
    ) -> Iterable[bytes]:
        kill = process.kill_at
        assert kill is not None
        kill.has_fired = True
        if kill.when == "before":
            process.kill("fault")
            start_response("503 Service Unavailable", [])
            return []
        body = self._carry_out(service, environ, start_response)
        process.kill("fault")
        return body

    def _answer_holder(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        name = environ["PATH_INFO"].removeprefix("/_twin/")
        length = int(environ.get("CONTENT_LENGTH") or 0)
        arguments = json.loads(environ["wsgi.input"].read(length) or b"{}")
        try:
            answer = {"result": self._control(name, arguments)}
        except TwinError as error:
            answer = {"error": type(error).__name__, "message": str(error)}
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(answer).encode()]


class _Handler(MotoRequestHandler):
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and body leave together

    def run_wsgi(self) -> None:
        """Answer a request; one that asks whether to go on is told so at once, or boto3 waits a second at each put."""
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.wfile.flush()
            del self.headers["Expect"]
        super().run_wsgi()

    def log(self, type: str, message: str, *args: Any) -> None:
        _LOG.debug(f"{type}: {message}", *args)


def serve(endpoint: Endpoint, listener: socket.socket) -> BaseWSGIServer:
    """Answer AWS calls on a listening socket, one thread a connection."""
    server = make_server(
        "127.0.0.1",
        0,
        endpoint,
        threaded=True,
        request_handler=_Handler,
        fd=listener.fileno(),
    )
    server.daemon_threads = True  # type: ignore[attr-defined]
    server.handle_error = _note_error  # type: ignore[method-assign,assignment]
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="aws", daemon=True).start()
    return server


def _note_error(_request: Any, client: Any) -> None:
    _LOG.debug("the connection of %s broke", client, exc_info=True)  # a killed process reads no answer


def _only_reads(environ: Environ) -> bool:
    operation = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
    return operation.startswith(_READS) if operation else environ["REQUEST_METHOD"] in ("GET", "HEAD")


def _caller(environ: Environ) -> tuple[str, str]:
    """Read the access key and the service that a request was signed for."""
    signed = environ.get("HTTP_AUTHORIZATION") or ""
    credential = _CREDENTIAL.search(signed)
    if credential is None and "X-Amz-Credential=" in (query := environ.get("QUERY_STRING", "")):
        credential = _CREDENTIAL.search(query.replace("%2F", "/").replace("X-Amz-Credential=", "Credential="))
    return (credential[1], credential[2]) if credential else ("", "")
