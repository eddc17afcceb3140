"""A server of many feeds that grow, on loopback, for processes under test. It runs in a thread."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Farm:
    """Feeds at `/NAME`, each with as many entries as :meth:`grow` gave it.

    A name that starts with `slow` answers after `slow_seconds`, one with `hang` never, one with `broken` with 500.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.slow_seconds = 2.0
        self.requests: Counter[str] = Counter()
        self.unmodified: Counter[str] = Counter()
        self._sizes: dict[str, int] = {}
        self._lock = threading.Lock()

    def grow(self, name: str, count: int = 1) -> None:
        """Add `count` entries to the feed `name`, which may be new."""
        with self._lock:
            self._sizes[name] = self._sizes.get(name, 0) + count

    def sources(self) -> dict[str, str]:
        """Name to URL of every feed."""
        return {name: f"{self.url}/{name}" for name in self._sizes}

    def guids(self) -> set[tuple[str, str]]:
        """Every entry there is: the feed's name and the guid."""
        with self._lock:
            return {(name, f"{name}-{n}") for name, size in self._sizes.items() for n in range(size)}

    def document(self, name: str) -> bytes:
        """The feed `name` as it is now, newest entry first."""
        with self._lock:
            size = self._sizes[name]
        items = "".join(
            f"<item><guid isPermaLink='false'>{name}-{n}</guid><title>{name} entry {n}</title>"
            f"<link>https://news.example/{name}/{n}</link><description>Text of entry {n} of {name}.</description>"
            f"<pubDate>Mon, 23 Nov 2026 {n // 3600 % 24:02}:{n // 60 % 60:02}:{n % 60:02} GMT</pubDate></item>"
            for n in reversed(range(size))
        )
        return f"<rss version='2.0'><channel><title>{name}</title>{items}</channel></rss>".encode()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one GET."""
        name = request.path.strip("/")
        self.requests[name] += 1
        if name.startswith("slow"):
            time.sleep(self.slow_seconds)
        if name.startswith("hang"):
            time.sleep(60)
        if name.startswith("broken") or name not in self._sizes:
            request.send_error(500 if name.startswith("broken") else 404)
            return
        body = self.document(name)
        etag = f'"{hashlib.sha256(body).hexdigest()}"'
        known = request.headers.get("If-None-Match") == etag
        self.unmodified[name] += known
        request.send_response(304 if known else 200)
        request.send_header("ETag", etag)
        request.send_header("Content-Type", "application/rss+xml")
        request.send_header("Content-Length", "0" if known else str(len(body)))
        request.end_headers()
        if not known:
            request.wfile.write(body)


@contextmanager
def open_farm() -> Iterator[Farm]:
    """A farm without feeds, on a free port of 127.0.0.1, until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body in one segment: otherwise each answer waits 40 ms for a delayed acknowledgement.
        wbufsize = 64 * 1024

        def do_GET(self) -> None:
            try:
                opened.answer(self)
            except ConnectionError:
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Be quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    opened = Farm(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield opened
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


@pytest.fixture
def farm() -> Iterator[Farm]:
    """A farm of its own for one test."""
    with open_farm() as opened:
        yield opened
