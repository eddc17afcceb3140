"""A server of many feeds that grow, on loopback, for processes under test. It runs in threads."""

from __future__ import annotations

import selectors
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from support.newsroom import Story

# No feed of ours has fallen silent.
_YESTERDAY = datetime.combine(datetime.now(UTC) - timedelta(days=1), time_of_day(), UTC)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for the feed `name` by the User-Agent `agent`, `at` a moment of the monotonic clock."""

    name: str
    agent: str
    at: float


class Farm:
    """Feeds at `/NAME`, each with as many entries as :meth:`grow` gave it, spread over the hosts `urls` in turn.

    A name that starts with `slow` answers after `slow_seconds`, one with `hang` never, one with `broken` with 500.
    `requests` counts by name, and `asked` has every request in order. `on_request` is given each of them before it is
    answered. With `with_pages` entries link to pages here, those of :class:`~support.newsroom.Story`, instead of to a
    host that does not exist; such pages are not counted.
    """

    def __init__(self, urls: Sequence[str], *, with_pages: bool = False) -> None:
        self.url = urls[0]
        self.slow_seconds = 2.0
        self.requests: Counter[str] = Counter()
        self.asked: list[Asked] = []
        self.unmodified: Counter[str] = Counter()
        self.on_request: Callable[[Asked], object] = lambda asked: None
        self._urls = urls
        self._with_pages = with_pages
        self._sizes: dict[str, int] = {}
        self._lock = threading.Lock()

    def grow(self, name: str, count: int = 1) -> None:
        """Add `count` entries to the feed `name`, which may be new."""
        with self._lock:
            self._sizes[name] = self._sizes.get(name, 0) + count

    def sources(self) -> dict[str, str]:
        """Name to URL of every feed."""
        return {
            name: f"{self._urls[number % len(self._urls)]}/{name}" for number, name in enumerate(self._sizes)
        }

    def guids(self) -> set[tuple[str, str]]:
        """Every entry there is: the feed's name and the guid."""
        with self._lock:
            return {
                (name, Story(name, number).guid)
                for name, size in self._sizes.items()
                for number in range(size)
            }

    def document(self, name: str) -> tuple[bytes, str]:
        """The feed `name` as it is now, newest entry first, and its ETag: how many entries it has, in quotes."""
        with self._lock:
            size = self._sizes[name]
        items = "".join(
            f"<item><guid isPermaLink='false'>{name}-{n}</guid><title>{name} entry {n}</title>"
            f"<link>{self._link(name, n)}</link><description>Text of entry {n} of {name}.</description>"
            f"<pubDate>{format_datetime(_YESTERDAY + timedelta(seconds=n % 86_400))}</pubDate></item>"
            for n in reversed(range(size))
        )
        return (
            f"<rss version='2.0'><channel><title>{name}</title>{items}</channel></rss>".encode(),
            f'"{size}"',
        )

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one GET."""
        name, _, page = request.path.strip("/").partition("/")
        if page and self._with_pages:
            _send(request, Story(name, int(page.removesuffix(".html"))).page(), "text/html; charset=utf-8")
            return
        asked = Asked(name, request.headers.get("User-Agent", ""), time.monotonic())
        with self._lock:
            self.requests[name] += 1
            self.asked.append(asked)
        self.on_request(asked)
        if name.startswith("slow"):
            time.sleep(self.slow_seconds)
        if name.startswith("hang"):
            time.sleep(60)
        if name.startswith("broken") or name not in self._sizes:
            request.send_error(500 if name.startswith("broken") else 404)
            return
        body, etag = self.document(name)
        known = request.headers.get("If-None-Match") == etag
        with self._lock:
            self.unmodified[name] += known
        _send(request, b"" if known else body, "application/rss+xml", 304 if known else 200, etag)

    def _link(self, name: str, number: int) -> str:
        if self._with_pages:
            return f"{self.url}{Story(name, number).path}"
        return f"https://news.example/{name}/{number}"


def _send(
    request: BaseHTTPRequestHandler,
    body: bytes,
    content_type: str,
    status: int = 200,
    etag: str | None = None,
) -> None:
    request.send_response(status)
    if etag is not None:
        request.send_header("ETag", etag)
    request.send_header("Content-Type", content_type)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    # For `handle_request`, which is called where a connection waits.
    timeout = 0


@contextmanager
def open_farm(hosts: int = 1, *, with_pages: bool = False) -> Iterator[Farm]:
    """A farm without feeds, on so many free ports of 127.0.0.1, each of them a host to digestd, until the block
    ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body in one segment: otherwise each answer waits 40 ms for a delayed acknowledgement.
        wbufsize = 64 * 1024

        def do_GET(self) -> None:
            opened.answer(self)

        def handle(self) -> None:
            # Whoever asked may have been killed.
            with suppress(ConnectionError):
                super().handle()

        def finish(self) -> None:
            with suppress(ConnectionError):
                super().finish()

        def log_message(self, *_: object) -> None:
            """Be quiet."""

    with ExitStack() as closing:
        servers = [closing.enter_context(_Server(("127.0.0.1", 0), Handler)) for _ in range(hosts)]
        urls = [f"http://127.0.0.1:{server.server_port}" for server in servers]
        opened = Farm(urls, with_pages=with_pages)
        ended = threading.Event()
        thread = threading.Thread(target=_serve, args=(servers, ended))
        thread.start()
        try:
            yield opened
        finally:
            ended.set()
            thread.join(10)


def _serve(servers: Sequence[_Server], ended: threading.Event) -> None:
    """Accept connections of all `servers` in this one thread: `serve_forever` would take a thread for each."""
    with selectors.DefaultSelector() as selector:
        for server in servers:
            selector.register(server, selectors.EVENT_READ, server)
        while not ended.is_set():
            for key, _ in selector.select(0.05):
                key.data.handle_request()


@pytest.fixture
def farm() -> Iterator[Farm]:
    """A farm of its own for one test."""
    with open_farm() as opened:
        yield opened
