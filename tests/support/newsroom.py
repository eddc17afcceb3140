"""A server of feeds, and of the article pages that they link to, on loopback, for processes under test. It runs in
threads."""

from __future__ import annotations

import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeAlias

Answer: TypeAlias = Callable[[BaseHTTPRequestHandler], None]

_WORDS = re.findall(
    r"\w+",
    "vendors closed hole web interface routers network commands administrator password crafted request firmware device "
    "reported supplier chips owners install update researchers server patch gateway token session attackers library",
)
_PARAGRAPHS = 5
_WORDS_PER_PARAGRAPH = 40


@dataclass(frozen=True, slots=True)
class Story:
    """An article that its feed announces and its page tells, in words that tell it from every other."""

    feed: str
    number: int

    @property
    def guid(self) -> str:
        return f"{self.feed}-{self.number}"

    @property
    def path(self) -> str:
        return f"/{self.feed}/{self.number}.html"

    @property
    def title(self) -> str:
        return f"Story {self.number} of {self.feed}"

    @property
    def paragraphs(self) -> list[str]:
        chance = random.Random(self.guid)
        # In letters: of pages that differ by numbers alone digestd says that they are the same.
        own = "".join(chance.choice("bdfgklmnprst") + chance.choice("aeiou") for _ in range(8))
        return [
            " ".join([own, *chance.choices(_WORDS, k=_WORDS_PER_PARAGRAPH)]).capitalize() + "."
            for _ in range(_PARAGRAPHS)
        ]

    @property
    def text(self) -> str:
        """What digestd is to make of the page."""
        return "\n\n".join([f"# {self.title}", *self.paragraphs])

    def page(self) -> bytes:
        """The page, with what stands round the article on any page."""
        paragraphs = "".join(f"<p>{paragraph}</p>" for paragraph in self.paragraphs)
        return (
            f"<!DOCTYPE html><html lang='en'><head><title>{self.title}</title></head><body>"
            "<nav><a href='/'>Home</a> <a href='/about.html'>About</a></nav>"
            f"<article><h1>{self.title}</h1>{paragraphs}</article><footer>All rights reserved.</footer></body></html>"
        ).encode()


@dataclass(frozen=True, slots=True)
class Announced:
    """One entry of a feed: the page at `path`, and `content` in full (HTML) if the feed carries it."""

    guid: str
    title: str
    path: str
    content: str | None = None

    def item(self, base_url: str, number: int) -> str:
        """The entry as RSS, the `number`-th of its feed."""
        moment = f"{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}"
        content = f"<content:encoded>{escape(self.content)}</content:encoded>" if self.content else ""
        return (
            f"<item><guid isPermaLink='false'>{self.guid}</guid><title>{escape(self.title)}</title>"
            f"<link>{base_url}{self.path}</link><description>What {self.guid} is about.</description>{content}"
            f"<pubDate>Tue, 03 Mar 2026 {moment} GMT</pubDate></item>"
        )


class Newsroom:
    """Feeds at `/NAME`, filled by :meth:`publish` and :meth:`announce`, and the pages that they link to.

    A page answers after `page_seconds`. `requests` counts by path; `sent` has the bytes of body that
    :meth:`trickle` and :meth:`pour` got rid of.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.page_seconds = 0.0
        self.robots = "User-agent: *\nDisallow: /private/\n"
        self.requests: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        self._feeds: dict[str, list[Announced]] = {}
        self._pages: dict[str, Answer] = {}
        self._lock = threading.Lock()

    def publish(self, feed: str, count: int = 1) -> list[Story]:
        """Add `count` stories with their pages to `feed`, which may be new."""
        begin = len(self._feeds.get(feed, ()))
        stories = [Story(feed, number) for number in range(begin, begin + count)]
        for story in stories:
            self.announce(feed, story.path, respond(story.page()), title=story.title)
        return stories

    def forget(self, feed: str) -> None:
        """Let `feed` be as if nothing had ever been in it."""
        self._feeds.pop(feed, None)

    def announce(
        self,
        feed: str,
        path: str,
        answer: Answer | None,
        *,
        title: str | None = None,
        content: str | None = None,
    ) -> str:
        """Add an entry to `feed` that links to `path`, which is served by `answer` (None: 404); returns its guid."""
        entries = self._feeds.setdefault(feed, [])
        guid = f"{feed}-{len(entries)}"
        entries.append(Announced(guid, title or f"The page at {path}", path, content))
        if answer is not None:
            self.serve(path, answer)
        return guid

    def serve(self, path: str, answer: Answer) -> None:
        """Serve `path`, which no feed need link to."""
        self._pages[path] = answer

    def sources(self) -> dict[str, str]:
        """Name to URL of every feed."""
        return {name: f"{self.url}/{name}" for name in self._feeds}

    def asked_for(self, stories: list[Story]) -> Counter[str]:
        """How often the page of each of `stories` was asked for, by guid."""
        return Counter({story.guid: self.requests[story.path] for story in stories})

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one GET."""
        path = request.path.partition("?")[0]
        with self._lock:
            self.requests[path] += 1
        if path == "/robots.txt":
            respond(self.robots.encode(), {"Content-Type": "text/plain"})(request)
        elif path.strip("/") in self._feeds:
            respond(self.document(path.strip("/")), {"Content-Type": "application/rss+xml"})(request)
        elif path in self._pages:
            time.sleep(self.page_seconds)
            self._pages[path](request)
        else:
            request.send_error(404)

    def trickle(self, declared: int, headers: Mapping[str, str], first: bytes = b"") -> Answer:
        """Declare a body of `declared` bytes and send it slowly, counting into `sent`, until the client goes."""

        def answer(request: BaseHTTPRequestHandler) -> None:
            _send_head(request, 200, {"Content-Length": str(declared), **headers})
            piece = first
            for _ in range(200):
                request.wfile.write(piece)
                request.wfile.flush()
                self.sent[request.path] += len(piece)
                piece = b"x" * 1024
                time.sleep(0.05)
            request.close_connection = True

        return answer

    def pour(self, size: int, headers: Mapping[str, str]) -> Answer:
        """Send `size` bytes without saying how many, as fast as they are taken, counting into `sent`."""
        piece = b"<p>" + b"x" * 65_533

        def answer(request: BaseHTTPRequestHandler) -> None:
            _send_head(request, 200, {"Connection": "close", **headers})
            while self.sent[request.path] < size:
                request.wfile.write(piece)
                self.sent[request.path] += len(piece)
            request.close_connection = True

        return answer

    def document(self, name: str) -> bytes:
        """The feed `name` as RSS, the newest first."""
        items = [entry.item(self.url, number) for number, entry in enumerate(self._feeds[name])]
        return (
            "<rss version='2.0' xmlns:content='http://purl.org/rss/1.0/modules/content/'>"
            f"<channel><title>{name}</title>{''.join(reversed(items))}</channel></rss>"
        ).encode()


def respond(body: bytes = b"", headers: Mapping[str, str] | None = None, status: int = 200) -> Answer:
    """Answer with `body`, as HTML unless `headers` say otherwise."""
    fields = {"Content-Type": "text/html; charset=utf-8", "Content-Length": str(len(body)), **(headers or {})}

    def answer(request: BaseHTTPRequestHandler) -> None:
        _send_head(request, status, fields)
        request.wfile.write(body)

    return answer


def redirect(location: str) -> Answer:
    """Send the client to `location`."""
    return respond(headers={"Location": location}, status=302)


def _send_head(request: BaseHTTPRequestHandler, status: int, headers: Mapping[str, str]) -> None:
    request.send_response(status)
    for name, value in headers.items():
        request.send_header(name, value)
    request.end_headers()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128


@contextmanager
def open_newsroom(port: int = 0, made: Callable[[str], Newsroom] = Newsroom) -> Iterator[Newsroom]:
    """A newsroom without feeds, as `made` makes it for its URL, on `port` of 127.0.0.1 (0: a free one), until the block
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

    server = _Server(("127.0.0.1", port), Handler)
    opened = made(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield opened
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
