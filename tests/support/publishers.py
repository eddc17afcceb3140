"""Publishers, each a server of its own on a port of its own, and what each finds in its access log."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise


@dataclass(frozen=True)
class Request:
    """One request: when it came (monotonic seconds), for which path, with which header fields (names in lower case);
    `posted` is what was posted, None for a GET."""

    at: float
    path: str
    headers: Mapping[str, str]
    posted: bytes | None = None


@dataclass(frozen=True)
class Answer:
    """What is sent."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


Manner = Callable[[Request, int], Answer]
"""How a publisher answers a request, which has this number among all that it got, from 0 on."""


class Publisher:
    """A server that answers in its manner. `log` has every request, in order."""

    def __init__(self, manner: Manner) -> None:
        self.log: list[Request] = []
        self.url = ""
        self._manner = manner
        self._lock = threading.Lock()

    @property
    def gaps(self) -> list[float]:
        """The seconds between one request and the next."""
        return [after.at - before.at for before, after in pairwise(self.log)]

    def paths(self) -> list[str]:
        return [request.path for request in self.log]

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one GET or POST."""
        headers = {name.lower(): value for name, value in handler.headers.items()}
        length = int(headers.get("content-length", "0"))
        posted = handler.rfile.read(length) if handler.command == "POST" else None
        with self._lock:
            request = Request(time.monotonic(), handler.path, headers, posted)
            self.log.append(request)
            answer = self._manner(request, len(self.log) - 1)
        handler.send_response(answer.status)
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        if answer.status != 304:
            handler.send_header("Content-Length", str(len(answer.body)))
        handler.end_headers()
        if answer.status != 304:
            handler.wfile.write(answer.body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


@contextmanager
def open_publishers(manners: Mapping[str, Manner]) -> Iterator[dict[str, Publisher]]:
    """A publisher for each of `manners`, by name, until the block ends."""
    with ExitStack() as servers:
        yield {name: servers.enter_context(_opened(manner)) for name, manner in manners.items()}


@contextmanager
def _opened(manner: Manner) -> Iterator[Publisher]:
    publisher = Publisher(manner)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 64 * 1024

        def do_GET(self) -> None:
            publisher.answer(self)

        def do_POST(self) -> None:
            publisher.answer(self)

        def handle(self) -> None:
            with suppress(ConnectionError):
                super().handle()

        def log_message(self, *_: object) -> None:
            """Be quiet."""

    server = _Server(("127.0.0.1", 0), Handler)
    publisher.url = f"http://127.0.0.1:{server.server_port}/feed"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield publisher
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
